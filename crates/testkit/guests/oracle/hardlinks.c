/* One file by several names. */
static void tell_names(const char *name) {
    struct stat s;
    fprintf(stderr, "%s has %d names\n", name, lstat(in(name), &s) < 0 ? -1 : (int)s.st_nlink);
}

static void look(void) {
    struct stat s, t;
    mkfile(in("f"), "content"), mkdir(in("d"), 0755);
    symlink("f", in("lf")), symlink("d", in("ld")), symlink("none", in("dangling"));

    TELL(link(in("f"), in("d/g")));
    tell_names("f"), tell_names("d/g");
    TELL(stat(in("f"), &s));
    TELL(stat(in("d/g"), &t));
    TELL(s.st_ino == t.st_ino && s.st_dev == t.st_dev);
    mkfile(in("d/g"), "changed"), tell_content("f");

    /* A link is linked itself, unless it is to be followed. */
    TELL(link(in("lf"), in("itself")));
    tell_kind("itself"), tell_names("lf");
    TELL(link(in("dangling"), in("dangling too")));
    TELL(link(in("ld"), in("ld too")));
    TELL(linkat(AT_FDCWD, in("lf"), AT_FDCWD, in("followed"), AT_SYMLINK_FOLLOW));
    tell_kind("followed"), tell_names("f");
    TELL(linkat(AT_FDCWD, in("f"), AT_FDCWD, in("plain"), AT_SYMLINK_FOLLOW));
    TELL(linkat(AT_FDCWD, in("dangling"), AT_FDCWD, in("x"), AT_SYMLINK_FOLLOW));
    TELL(linkat(AT_FDCWD, in("ld"), AT_FDCWD, in("x"), AT_SYMLINK_FOLLOW));

    TELL(link(in("d"), in("x")));
    TELL(link(in("f"), in("f")));
    TELL(link(in("f"), in("d")));
    TELL(link(in("f"), in("d/g")));
    TELL(link(in("f"), in("dangling")));
    TELL(link(in("none"), in("x")));
    TELL(link(in("none"), in("f")));
    TELL(link(in("f"), in("none/x")));
    TELL(link(in("f"), in("f/x")));
    TELL(link(in("f/x"), in("x")));

    int d = open(in("d"), O_RDONLY | O_DIRECTORY), top = open(in("."), O_RDONLY | O_DIRECTORY);
    TELL(linkat(d, "g", top, "by handles", 0));
    TELL(unlinkat(d, "g", 0));
    tell_names("by handles");
    /* A directory has a name more for each directory in it. */
    tell_names("d");
    TELL(mkdir(in("d/sub"), 0755));
    tell_names("d"), tell_names("d/sub");
}
