/* What a descriptor may be used for: one to read, to write, both, a directory's, and one there is not. */
static int access_of(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -1 : (flags & O_ACCMODE) == O_RDONLY ? 0 : (flags & O_ACCMODE) == O_WRONLY ? 1
                        : (flags & O_ACCMODE) == O_RDWR     ? 2
                                                            : 3;
}

#define USE(fd) \
    TELL(read(fd, &c, 1)); \
    TELL(read(fd, &c, 0)); \
    TELL(pread(fd, &c, 1, 0)); \
    TELL(write(fd, "x", 1)); \
    TELL(write(fd, "x", 0)); \
    TELL(pwrite(fd, "x", 1, 0)); \
    TELL(ftruncate(fd, 5)); \
    TELL_ERROR(posix_fallocate(fd, 0, 1)); \
    TELL_ERROR(posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL)); \
    TELL(fsync(fd)); \
    TELL(fdatasync(fd)); \
    TELL(fstat(fd, &s)); \
    TELL(futimens(fd, NULL)); \
    TELL(access_of(fd)); \
    TELL(fcntl(fd, F_SETFL, 0)); \
    TELL(openat(fd, "none", O_RDONLY)); \
    TELL(openat(fd, ".", O_RDONLY) < 0 ? -1 : 0); \
    TELL(fstatat(fd, "none", &s, 0)); \
    TELL(mkdirat(fd, "made", 0755)); \
    TELL(unlinkat(fd, "none", 0)); \
    TELL(fdopendir(fd) ? 0 : -1)

/* WASI seeks in no directory. */
#define SEEK(fd) \
    TELL(lseek(fd, 0, SEEK_SET)); \
    TELL(lseek(fd, 0, SEEK_CUR))

static void look(void) {
    struct stat s;
    char c;
    mkfile(in("f"), "content"), mkdir(in("d"), 0755);
    int readable = open(in("f"), O_RDONLY), writable = open(in("f"), O_WRONLY), both = open(in("f"), O_RDWR);
    int folder = open(in("d"), O_RDONLY), none = 1000;
    USE(readable);
    USE(writable);
    USE(both);
    USE(folder);
    USE(none);
    SEEK(readable);
    SEEK(writable);
    SEEK(both);
    SEEK(none);

    /* Each has its own place in a file. */
    TELL(lseek(readable, 2, SEEK_SET));
    TELL(lseek(both, 4, SEEK_SET));
    TELL(read(readable, &c, 1));
    TELL(lseek(readable, 0, SEEK_CUR));
    TELL(lseek(both, 0, SEEK_CUR));
}
