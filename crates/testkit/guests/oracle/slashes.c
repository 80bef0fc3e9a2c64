/* Paths that end in a slash, in `.` or in `..`: every call, for what can be there. Each call has a directory of its
 * own, or one that the call before left as it was, and what is in it afterwards is told as well: by a letter each, in the
 * order of `NAMES`. */
static const char *const NAMES[] = {"f", "d", "lf", "ld", "dangling", "none", "gone", "file", "dir", "new"};
static const char AS_MADE[] = "fdlll..fd.";
enum { TRIED = 6, ALL = 10 };
static const char *const ENDS[] = {"", "/", "//", "/.", "/.."};

static int scene;
static char left[ALL + 1];
static const char *the(const char *name) {
    char path[100];
    snprintf(path, sizeof path, "%d/%s", scene, name);
    return in(path);
}

static void make_scene(void) {
    if (!strcmp(left, AS_MADE))
        return;
    char name[20];
    snprintf(name, sizeof name, "%d", ++scene);
    mkdir(in(name), 0755), mkdir(the("d"), 0755), mkdir(the("dir"), 0755);
    mkfile(the("f"), "f"), mkfile(the("file"), "file");
    symlink("f", the("lf")), symlink("d", the("ld")), symlink("gone", the("dangling"));
}

static void look_at_what_is_left(void) {
    memset(left, '.', ALL);
    DIR *d = opendir(the(""));
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        for (int i = 0; i < ALL; i++)
            if (!strcmp(e->d_name, NAMES[i]))
                left[i] = e->d_type == DT_REG ? 'f' : e->d_type == DT_DIR ? 'd' : e->d_type == DT_LNK ? 'l' : '?';
    if (d != NULL)
        closedir(d);
}

static void tell(const char *what, const char *path, long long result) {
    const char *error = result < 0 ? error_name(errno) : "done";
    look_at_what_is_left();
    fprintf(stderr, "%s, where p is %s: %s, and then %s\n", what, path, error, left);
}

static int opened(const char *path, int flags) {
    int fd = open(path, flags, 0644);
    return fd < 0 ? fd : close(fd);
}

static void look(void) {
    struct stat s;
    char target[100], path[100];
    const char *p;
#define CALL(call) make_scene(), p = the(path), tell(#call, path, (call))
    for (int i = 0; i < 5 * TRIED; i++) {
        snprintf(path, sizeof path, "%s%s", NAMES[i % TRIED], ENDS[i / TRIED]);
        CALL(stat(p, &s));
        CALL(lstat(p, &s));
        CALL(access(p, F_OK));
        CALL(readlink(p, target, sizeof target));
        CALL(opened(p, O_RDONLY));
        CALL(opened(p, O_WRONLY));
        CALL(opened(p, O_RDONLY | O_DIRECTORY));
        CALL(opened(p, O_RDONLY | O_NOFOLLOW));
        CALL(opened(p, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
        CALL(opened(p, O_WRONLY | O_CREAT));
        CALL(opened(p, O_WRONLY | O_CREAT | O_NOFOLLOW));
        CALL(opened(p, O_WRONLY | O_CREAT | O_EXCL));
        CALL(opened(p, O_WRONLY | O_TRUNC));
        CALL(mkdir(p, 0755));
        CALL(rmdir(p));
        CALL(unlink(p));
        CALL(symlink("f", p));
        CALL(link(p, the("new")));
        CALL(link(the("file"), p));
        CALL(linkat(AT_FDCWD, p, AT_FDCWD, the("new"), AT_SYMLINK_FOLLOW));
        CALL(rename(p, the("new")));
        CALL(rename(the("file"), p));
        CALL(rename(the("dir"), p));
    }
}
