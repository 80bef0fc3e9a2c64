/* How long names and paths may be. All is relative to a handle: the directory's own path is not the same for both. */
static int at;

static int touch(int d, const char *path) {
    int fd = openat(d, path, O_RDWR | O_CREAT, 0644);
    return fd < 0 ? fd : close(fd);
}

static void with_name(const char *name) {
    struct stat s;
    char path[300];
    fprintf(stderr, "a name of %d\n", (int)strlen(name));
    TELL(touch(at, name));
    TELL(fstatat(at, name, &s, 0));
    TELL(unlinkat(at, name, 0));
    TELL(mkdirat(at, name, 0755));
    TELL(unlinkat(at, name, AT_REMOVEDIR));
    TELL(symlinkat("f", at, name));
    TELL(renameat(at, name, at, "l"));
    TELL(linkat(at, "l", at, name, 0));
    TELL(renameat(at, "f", at, name));
    TELL(renameat(at, name, at, "f"));
    /* It is not looked for in what is not there, or is no directory. */
    snprintf(path, sizeof path, "none/%s", name);
    TELL(fstatat(at, path, &s, 0));
    snprintf(path, sizeof path, "f/%s", name);
    TELL(fstatat(at, path, &s, 0));
    snprintf(path, sizeof path, "to %d", (int)strlen(name));
    TELL(symlinkat(name, at, path));
    TELL(fstatat(at, path, &s, 0));
}

static void with_path(const char *path) {
    static char target[5000];
    struct stat s;
    fprintf(stderr, "a path of %d\n", (int)strlen(path));
    TELL(fstatat(at, path, &s, 0));
    TELL(touch(at, path));
    unlinkat(at, "target", 0);
    TELL(symlinkat(path, at, "target"));
    TELL(readlinkat(at, "target", target, sizeof target));
    TELL(fstatat(at, "target", &s, 0));
}

static void look(void) {
    static char path[5000];
    char name[300];
    at = open(directory, O_RDONLY | O_DIRECTORY);
    mkfile(in("f"), "f");
    memset(name, 'n', 256), name[256] = 0;
    with_name(name + 1), with_name(name);
    /* Bytes count, whatever they stand for. */
    for (int i = 0; i < 128; i++)
        memcpy(name + 2 * i, "\xc3\xa4", 2);
    TELL(touch(at, name));
    name[255] = 0, name[254] = 'n';
    TELL(touch(at, name));

    for (int i = 0; i < 2047; i++)
        strcpy(path + 2 * i, "./");
    strcpy(path + 4094, "f"), with_path(path);
    strcpy(path + 4094, "/f"), with_path(path);

    /* How deep a directory is does not matter to who has it open. */
    int deep[25] = {at}, made = 0, removed = 0;
    name[200] = 0;
    for (int i = 1; i < 25; i++) {
        made += mkdirat(deep[i - 1], name, 0755) == 0;
        deep[i] = openat(deep[i - 1], name, O_RDONLY | O_DIRECTORY);
    }
    TELL(made);
    TELL(touch(deep[24], "x"));
    TELL(renameat(deep[24], "x", at, "from the depth"));
    for (int i = 24; i > 0; i--)
        removed += unlinkat(deep[i - 1], name, AT_REMOVEDIR) == 0;
    TELL(removed);
}
