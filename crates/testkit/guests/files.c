/* files: does to its directories what its arguments say, one operation each, and prints for each
 * what came of it: `ok`, `ok` and a value, or the name of an error.
 *
 * It calls WASI itself, not through a C library with ideas of its own. A path is written `DIR:PATH`,
 * where DIR is a directory that was mapped, by its path here; or a descriptor's number; or the letter
 * of an open directory. An open file has a letter.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

static const char *const errors[] = {
    "ok", "2BIG", "ACCES", "ADDRINUSE", "ADDRNOTAVAIL", "AFNOSUPPORT", "AGAIN", "ALREADY", "BADF",
    "BADMSG", "BUSY", "CANCELED", "CHILD", "CONNABORTED", "CONNREFUSED", "CONNRESET", "DEADLK",
    "DESTADDRREQ", "DOM", "DQUOT", "EXIST", "FAULT", "FBIG", "HOSTUNREACH", "IDRM", "ILSEQ",
    "INPROGRESS", "INTR", "INVAL", "IO", "ISCONN", "ISDIR", "LOOP", "MFILE", "MLINK", "MSGSIZE",
    "MULTIHOP", "NAMETOOLONG", "NETDOWN", "NETRESET", "NETUNREACH", "NFILE", "NOBUFS", "NODEV",
    "NOENT", "NOEXEC", "NOLCK", "NOLINK", "NOMEM", "NOMSG", "NOPROTOOPT", "NOSPC", "NOSYS",
    "NOTCONN", "NOTDIR", "NOTEMPTY", "NOTRECOVERABLE", "NOTSOCK", "NOTSUP", "NOTTY", "NXIO",
    "OVERFLOW", "OWNERDEAD", "PERM", "PIPE", "PROTO", "PROTONOSUPPORT", "PROTOTYPE", "RANGE", "ROFS",
    "SPIPE", "SRCH", "STALE", "TIMEDOUT", "TXTBSY", "XDEV", "NOTCAPABLE",
};

static const char *const types[] = {
    "unknown", "block", "char", "dir", "file", "dgram", "stream", "symlink",
};

/* ---- what is printed -------------------------------------------------------------------------- */

static char out[1 << 20];
static size_t out_len;

static void put(const void *bytes, size_t len) {
    if (len > sizeof out - out_len)
        abort();
    memcpy(out + out_len, bytes, len);
    out_len += len;
}

static void put_text(const char *text) { put(text, strlen(text)); }

static void put_number(uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = '0' + number % 10;
    while (number /= 10);
    put(digits + at, sizeof digits - at);
}

static void put_error(uint16_t error) {
    if (error < sizeof errors / sizeof *errors)
        put_text(errors[error]);
    else
        put_text("?"), put_number(error);
}

static void put_type(uint8_t type) {
    put_text(type < sizeof types / sizeof *types ? types[type] : "?");
}

static void flush(void) {
    for (size_t at = 0; at < out_len;) {
        __wasi_ciovec_t piece = {(const uint8_t *)out + at, out_len - at};
        size_t written;
        if (__wasi_fd_write(1, &piece, 1, &written) != 0)
            abort();
        at += written;
    }
}

/* ---- words of an operation -------------------------------------------------------------------- */

static char *rest;

static char *word(void) {
    while (*rest == ' ')
        rest++;
    char *start = rest;
    while (*rest != ' ' && *rest != '\0')
        rest++;
    if (*rest == ' ')
        *rest++ = '\0';
    return start;
}

static uint64_t number(void) { return strtoull(word(), NULL, 10); }

static __wasi_fd_t opened[26];

static __wasi_fd_t descriptor(const char *name) {
    if (*name >= 'a' && *name <= 'z')
        return opened[*name - 'a'];
    return (__wasi_fd_t)strtoul(name, NULL, 10);
}

static __wasi_fd_t file(void) { return descriptor(word()); }

struct place {
    __wasi_fd_t fd;
    char *path;
};

/* As C libraries compare them: without what leads to the root. */
static const char *bare(const char *path) {
    for (;;) {
        if (path[0] == '/')
            path++;
        else if (path[0] == '.' && (path[1] == '/' || path[1] == '\0'))
            path++;
        else
            return path;
    }
}

/* The preopen that holds a mapped directory, and the directory's path below it, as C libraries find
 * them: some hosts have one preopen for everything. */
static __wasi_fd_t preopen_of(const char *mapped, const char **below) {
    static char name[4096];
    __wasi_fd_t best = (__wasi_fd_t)-1;
    size_t longest = 0;
    __wasi_prestat_t prestat;
    mapped = bare(mapped);
    *below = mapped;
    for (__wasi_fd_t fd = 3; __wasi_fd_prestat_get(fd, &prestat) == 0; fd++) {
        size_t len = prestat.u.dir.pr_name_len;
        if (len >= sizeof name || __wasi_fd_prestat_dir_name(fd, (uint8_t *)name, len) != 0)
            abort();
        name[len] = '\0';
        const char *held = bare(name);
        len = strlen(held);
        int holds = len == 0 || (!strncmp(mapped, held, len) &&
                                 (mapped[len] == '/' || mapped[len] == '\0'));
        if (holds && (best == (__wasi_fd_t)-1 || len > longest)) {
            best = fd;
            longest = len;
            *below = bare(mapped + len);
        }
    }
    return best;
}

static int is_descriptor(const char *name) {
    return (*name >= '0' && *name <= '9') || (*name >= 'a' && *name <= 'z' && name[1] == '\0');
}

/* In PATH, `@N` stands for N times the letter x, so that long names can be asked for. */
static struct place place(void) {
    static char paths[2][1 << 16];
    static int next;
    char *path = paths[next++ % 2];
    char *text = word(), *colon = strchr(text, ':');
    if (colon == NULL)
        abort();
    *colon = '\0';
    struct place place = {0, path};
    const char *below = "";
    place.fd = is_descriptor(text) ? descriptor(text) : preopen_of(text, &below);
    if (*below != '\0') {
        path = stpcpy(path, below);
        *path++ = '/';
    }
    if (colon[1] == '@') {
        size_t len = strtoul(colon + 2, NULL, 10);
        if (len > 1 << 15)
            abort();
        memset(path, 'x', len);
        path[len] = '\0';
    } else {
        strcpy(path, colon + 1);
    }
    return place;
}

/* A directory, open: a descriptor, or one that was mapped. */
static __wasi_fd_t directory(void) {
    const char *name = word(), *below;
    if (is_descriptor(name))
        return descriptor(name);
    __wasi_fd_t fd = preopen_of(name, &below);
    if (*below != '\0' && __wasi_path_open(fd, 0, below, __WASI_OFLAGS_DIRECTORY,
                                           __WASI_RIGHTS_FD_READDIR, 0, 0, &fd) != 0)
        return (__wasi_fd_t)-1;
    return fd;
}

/* ---- operations that print more than ok ------------------------------------------------------- */

static uint8_t buffer[1 << 16];

static void op_open(void) {
    char letter = *word();
    struct place at = place();
    __wasi_lookupflags_t lookup = __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW;
    __wasi_oflags_t how = 0;
    __wasi_fdflags_t flags = 0;
    __wasi_rights_t rights = 0;
    const __wasi_rights_t directory =
        __WASI_RIGHTS_PATH_CREATE_DIRECTORY | __WASI_RIGHTS_PATH_CREATE_FILE |
        __WASI_RIGHTS_PATH_LINK_SOURCE | __WASI_RIGHTS_PATH_LINK_TARGET | __WASI_RIGHTS_PATH_OPEN |
        __WASI_RIGHTS_FD_READDIR | __WASI_RIGHTS_PATH_READLINK | __WASI_RIGHTS_PATH_RENAME_SOURCE |
        __WASI_RIGHTS_PATH_RENAME_TARGET | __WASI_RIGHTS_PATH_FILESTAT_GET |
        __WASI_RIGHTS_PATH_FILESTAT_SET_SIZE | __WASI_RIGHTS_PATH_FILESTAT_SET_TIMES |
        __WASI_RIGHTS_FD_FILESTAT_GET | __WASI_RIGHTS_FD_FILESTAT_SET_TIMES |
        __WASI_RIGHTS_PATH_SYMLINK | __WASI_RIGHTS_PATH_REMOVE_DIRECTORY |
        __WASI_RIGHTS_PATH_UNLINK_FILE;
    const __wasi_rights_t read = __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK |
                                 __WASI_RIGHTS_FD_TELL | __WASI_RIGHTS_FD_FILESTAT_GET;
    const __wasi_rights_t write =
        __WASI_RIGHTS_FD_WRITE | __WASI_RIGHTS_FD_SEEK | __WASI_RIGHTS_FD_TELL |
        __WASI_RIGHTS_FD_FILESTAT_GET | __WASI_RIGHTS_FD_DATASYNC | __WASI_RIGHTS_FD_SYNC |
        __WASI_RIGHTS_FD_ALLOCATE | __WASI_RIGHTS_FD_FILESTAT_SET_SIZE |
        __WASI_RIGHTS_FD_FILESTAT_SET_TIMES | __WASI_RIGHTS_FD_FDSTAT_SET_FLAGS;
    for (char *flag; *(flag = word()) != '\0';) {
        if (!strcmp(flag, "read"))
            rights |= read;
        else if (!strcmp(flag, "write"))
            rights |= write;
        else if (!strcmp(flag, "append"))
            rights |= write, flags |= __WASI_FDFLAGS_APPEND;
        else if (!strcmp(flag, "create"))
            how |= __WASI_OFLAGS_CREAT;
        else if (!strcmp(flag, "exclusive"))
            how |= __WASI_OFLAGS_EXCL;
        else if (!strcmp(flag, "truncate"))
            how |= __WASI_OFLAGS_TRUNC;
        else if (!strcmp(flag, "dir"))
            how |= __WASI_OFLAGS_DIRECTORY;
        else if (!strcmp(flag, "nofollow"))
            lookup = 0;
        else
            abort();
    }
    /* As a C library does: a directory hands down what it was given itself. */
    __wasi_fdstat_t parent = {0};
    (void)__wasi_fd_fdstat_get(at.fd, &parent);
    if (how & __WASI_OFLAGS_DIRECTORY)
        rights |= directory & parent.fs_rights_inheriting;
    __wasi_fd_t fd;
    uint16_t error = __wasi_path_open(at.fd, lookup, at.path, how, rights,
                                      parent.fs_rights_inheriting, flags, &fd);
    if (error == 0)
        opened[letter - 'a'] = fd;
    put_error(error);
}

static void op_read(__wasi_fd_t fd) {
    __wasi_iovec_t piece = {buffer, sizeof buffer};
    size_t len;
    uint16_t error = __wasi_fd_read(fd, &piece, 1, &len);
    put_error(error);
    if (error == 0)
        put_text(" "), put(buffer, len);
}

static void op_pread(__wasi_fd_t fd) {
    uint64_t offset = number();
    __wasi_iovec_t piece = {buffer, sizeof buffer};
    piece.buf_len = number();
    size_t len;
    uint16_t error = __wasi_fd_pread(fd, &piece, 1, offset, &len);
    put_error(error);
    if (error == 0)
        put_text(" "), put(buffer, len);
}

static void op_write(__wasi_fd_t fd) {
    __wasi_ciovec_t piece = {(const uint8_t *)rest, strlen(rest)};
    size_t len;
    uint16_t error = __wasi_fd_write(fd, &piece, 1, &len);
    put_error(error);
    if (error == 0)
        put_text(" "), put_number(len);
}

static void op_pwrite(__wasi_fd_t fd) {
    uint64_t offset = number();
    __wasi_ciovec_t piece = {(const uint8_t *)rest, strlen(rest)};
    size_t len;
    uint16_t error = __wasi_fd_pwrite(fd, &piece, 1, offset, &len);
    put_error(error);
    if (error == 0)
        put_text(" "), put_number(len);
}

static void op_seek(__wasi_fd_t fd) {
    int64_t offset = strtoll(word(), NULL, 10);
    const char *whence = word();
    __wasi_filesize_t position;
    uint16_t error = __wasi_fd_seek(
        fd, offset,
        !strcmp(whence, "set") ? __WASI_WHENCE_SET
                               : !strcmp(whence, "end") ? __WASI_WHENCE_END : __WASI_WHENCE_CUR,
        &position);
    put_error(error);
    if (error == 0)
        put_text(" "), put_number(position);
}

static void put_stat(uint16_t error, const __wasi_filestat_t *stat) {
    const char *what = word();
    put_error(error);
    if (error != 0)
        return;
    put_text(" ");
    if (!strcmp(what, "mtime")) {
        put_number(stat->mtim);
    } else if (!strcmp(what, "links")) {
        put_number(stat->nlink);
    } else {
        put_type(stat->filetype);
        if (stat->filetype == __WASI_FILETYPE_REGULAR_FILE)
            put_text(" "), put_number(stat->size);
    }
}

static void op_stat(__wasi_lookupflags_t lookup) {
    struct place at = place();
    __wasi_filestat_t stat;
    uint16_t error = __wasi_path_filestat_get(at.fd, lookup, at.path, &stat);
    put_stat(error, &stat);
}

static void op_fstat(__wasi_fd_t fd) {
    __wasi_filestat_t stat;
    uint16_t error = __wasi_fd_filestat_get(fd, &stat);
    put_stat(error, &stat);
}

static void op_readlink(void) {
    struct place at = place();
    size_t len;
    uint16_t error = __wasi_path_readlink(at.fd, at.path, buffer, sizeof buffer, &len);
    put_error(error);
    if (error == 0)
        put_text(" "), put(buffer, len);
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a directory, in their order, read through a buffer of the given size. */
static void op_list(__wasi_fd_t fd) {
    static char *names[4096];
    size_t count = 0, size = number();
    if (size == 0)
        size = 4096;
    __wasi_dircookie_t cookie = __WASI_DIRCOOKIE_START;
    for (size_t used = size; used == size;) {
        uint16_t error = __wasi_fd_readdir(fd, buffer, size, cookie, &used);
        if (error != 0) {
            put_error(error);
            return;
        }
        size_t at = 0;
        while (used - at >= sizeof(__wasi_dirent_t)) {
            __wasi_dirent_t entry;
            memcpy(&entry, buffer + at, sizeof entry);
            if (used - at - sizeof entry < entry.d_namlen)
                break;
            char *name = malloc(entry.d_namlen + 3);
            if (name == NULL || count == sizeof names / sizeof *names)
                abort();
            memcpy(name, buffer + at + sizeof entry, entry.d_namlen);
            name[entry.d_namlen] = '\0';
            strcat(name, entry.d_type == __WASI_FILETYPE_DIRECTORY       ? "/"
                         : entry.d_type == __WASI_FILETYPE_SYMBOLIC_LINK ? "@"
                                                                         : "");
            if (strcmp(name, "./") && strcmp(name, "../"))
                names[count++] = name;
            at += sizeof entry + entry.d_namlen;
            cookie = entry.d_next;
        }
        if (at == 0 && used == size)
            break; /* one name is longer than the buffer */
    }
    qsort(names, count, sizeof *names, by_bytes);
    put_text("ok");
    for (size_t i = 0; i < count; i++)
        put_text(" "), put_text(names[i]);
}

static void op_preopen(__wasi_fd_t fd) {
    __wasi_prestat_t prestat;
    uint16_t error = __wasi_fd_prestat_get(fd, &prestat);
    if (error == 0)
        error = __wasi_fd_prestat_dir_name(fd, buffer, prestat.u.dir.pr_name_len);
    put_error(error);
    if (error == 0)
        put_text(" "), put(buffer, prestat.u.dir.pr_name_len);
}

static void op_flags(__wasi_fd_t fd) {
    __wasi_fdstat_t stat;
    uint16_t error = __wasi_fd_fdstat_get(fd, &stat);
    put_error(error);
    if (error != 0)
        return;
    put_text(" "), put_type(stat.fs_filetype);
    if (stat.fs_flags & __WASI_FDFLAGS_APPEND)
        put_text(" append");
}

/* Opens a path many times, counting how often it was what it should be, and something else. */
static void op_hammer(void) {
    uint64_t times = number();
    struct place at = place();
    const char *expected = word();
    uint64_t other = 0;
    for (uint64_t i = 0; i < times; i++) {
        __wasi_fd_t fd;
        if (__wasi_path_open(at.fd, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, at.path, 0,
                             __WASI_RIGHTS_FD_READ, 0, 0, &fd) != 0)
            continue;
        __wasi_iovec_t piece = {buffer, sizeof buffer};
        size_t len;
        if (__wasi_fd_read(fd, &piece, 1, &len) == 0 && len > 0 &&
            (len != strlen(expected) || memcmp(buffer, expected, len)))
            other++;
        (void)__wasi_fd_close(fd);
    }
    put_text("ok "), put_number(other);
}

/* ---- all of them ------------------------------------------------------------------------------ */

static void operation(char *text) {
    rest = text;
    const char *op = word();
    struct place a, b;
    if (!strcmp(op, "open")) {
        op_open();
    } else if (!strcmp(op, "close")) {
        put_error(__wasi_fd_close(file()));
    } else if (!strcmp(op, "read")) {
        op_read(file());
    } else if (!strcmp(op, "pread")) {
        op_pread(file());
    } else if (!strcmp(op, "write")) {
        op_write(file());
    } else if (!strcmp(op, "pwrite")) {
        op_pwrite(file());
    } else if (!strcmp(op, "seek")) {
        op_seek(file());
    } else if (!strcmp(op, "resize")) {
        __wasi_fd_t fd = file();
        put_error(__wasi_fd_filestat_set_size(fd, number()));
    } else if (!strcmp(op, "allocate")) {
        __wasi_fd_t fd = file();
        put_error(__wasi_fd_allocate(fd, 0, number()));
    } else if (!strcmp(op, "sync")) {
        put_error(__wasi_fd_sync(file()));
    } else if (!strcmp(op, "touch")) {
        __wasi_fd_t fd = file();
        put_error(__wasi_fd_filestat_set_times(fd, 0, number(), __WASI_FSTFLAGS_MTIM));
    } else if (!strcmp(op, "fstat")) {
        op_fstat(file());
    } else if (!strcmp(op, "flags")) {
        op_flags(file());
    } else if (!strcmp(op, "set-append")) {
        put_error(__wasi_fd_fdstat_set_flags(file(), __WASI_FDFLAGS_APPEND));
    } else if (!strcmp(op, "renumber")) {
        __wasi_fd_t fd = file();
        put_error(__wasi_fd_renumber(fd, file()));
    } else if (!strcmp(op, "list")) {
        op_list(directory());
    } else if (!strcmp(op, "preopen")) {
        op_preopen(file());
    } else if (!strcmp(op, "mkdir")) {
        a = place();
        put_error(__wasi_path_create_directory(a.fd, a.path));
    } else if (!strcmp(op, "rmdir")) {
        a = place();
        put_error(__wasi_path_remove_directory(a.fd, a.path));
    } else if (!strcmp(op, "unlink")) {
        a = place();
        put_error(__wasi_path_unlink_file(a.fd, a.path));
    } else if (!strcmp(op, "rename")) {
        a = place(), b = place();
        put_error(__wasi_path_rename(a.fd, a.path, b.fd, b.path));
    } else if (!strcmp(op, "link")) {
        a = place(), b = place();
        put_error(__wasi_path_link(a.fd, 0, a.path, b.fd, b.path));
    } else if (!strcmp(op, "link-followed")) {
        a = place(), b = place();
        put_error(
            __wasi_path_link(a.fd, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, a.path, b.fd, b.path));
    } else if (!strcmp(op, "symlink")) {
        char *target = word();
        a = place();
        put_error(__wasi_path_symlink(target, a.fd, a.path));
    } else if (!strcmp(op, "readlink")) {
        op_readlink();
    } else if (!strcmp(op, "stat")) {
        op_stat(__WASI_LOOKUPFLAGS_SYMLINK_FOLLOW);
    } else if (!strcmp(op, "lstat")) {
        op_stat(0);
    } else if (!strcmp(op, "touch-path")) {
        a = place();
        put_error(__wasi_path_filestat_set_times(a.fd, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, a.path, 0,
                                                 number(), __WASI_FSTFLAGS_MTIM));
    } else if (!strcmp(op, "hammer")) {
        op_hammer();
    } else {
        abort();
    }
    put_text("\n");
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        operation(argv[i]);
    flush();
    return 0;
}
