/* Names of odd bytes, and no name at all. Names are UTF-8 here: others WASI cannot have. */
static int touch(int at, const char *path) {
    int fd = openat(at, path, O_RDWR | O_CREAT | O_EXCL, 0644);
    return fd < 0 ? fd : close(fd);
}

static const char *const NAMES[] = {
    "a b", " ", "a\nb", "\t", "\\", "a\\b", "...", "..a", ".a", "-", "~", "*", "a:b", "\"'", "\x01", "\x7f",
    "\xc3\xa4", "a\xcc\x88", "\xe2\x82\xac", "\xf0\x9f\x92\xbe", "CON", "end.", "A", "a",
};
enum { COUNT = sizeof NAMES / sizeof NAMES[0] };

static void look(void) {
    struct stat s;
    char target[10];
    int made = 0, listed = 0, read = 0, there = 0, at = open(directory, O_RDONLY | O_DIRECTORY);
    mkfile(in("f"), "f"), mkdir(in("odd"), 0755), mkdir(in("links"), 0755);
    int odd = open(in("odd"), O_RDONLY | O_DIRECTORY), links = open(in("links"), O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < COUNT; i++) {
        made += touch(odd, NAMES[i]) == 0;
        there += symlinkat(NAMES[i], links, NAMES[i]) == 0 && renameat(odd, NAMES[i], odd, NAMES[i]) == 0;
        read += readlinkat(links, NAMES[i], target, sizeof target) == (ssize_t)strlen(NAMES[i])
                && memcmp(target, NAMES[i], strlen(NAMES[i])) == 0;
    }
    TELL(made == COUNT);
    TELL(there == COUNT);
    TELL(read == COUNT);
    DIR *d = opendir(in("odd"));
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        for (int i = 0; i < COUNT; i++)
            listed += strcmp(e->d_name, NAMES[i]) == 0;
    TELL(listed == COUNT);

    TELL(touch(at, ""));
    TELL(openat(at, "", O_RDONLY));
    TELL(openat(at, "", O_RDONLY | O_DIRECTORY));
    TELL(fstatat(at, "", &s, 0));
    TELL(fstatat(at, "", &s, AT_SYMLINK_NOFOLLOW));
    TELL(faccessat(at, "", F_OK, 0));
    TELL(readlinkat(at, "", target, sizeof target));
    TELL(mkdirat(at, "", 0755));
    TELL(unlinkat(at, "", 0));
    TELL(unlinkat(at, "", AT_REMOVEDIR));
    TELL(symlinkat("f", at, ""));
    TELL(symlinkat("", at, "x"));
    TELL(linkat(at, "", at, "x", 0));
    TELL(linkat(at, "f", at, "", 0));
    TELL(renameat(at, "", at, "x"));
    TELL(renameat(at, "f", at, ""));
    TELL(utimensat(at, "", NULL, 0));
}
