/* What is open stays what it is, whatever becomes of its name. */
static int touch(int at, const char *path) {
    int fd = openat(at, path, O_RDWR | O_CREAT, 0644);
    return fd < 0 ? fd : close(fd);
}

static int folder(const char *name) {
    mkdir(in(name), 0755);
    return open(in(name), O_RDONLY | O_DIRECTORY);
}

static void look(void) {
    struct stat s;
    char content[10];

    /* A file whose name is removed, and whose name another is given. */
    mkfile(in("f"), "0123");
    int top = folder("."), f = open(in("f"), O_RDWR);
    TELL(unlink(in("f")));
    TELL(open(in("f"), O_RDONLY));
    TELL(write(f, "abcdef", 6));
    TELL(pread(f, content, 4, 2));
    TELL(memcmp(content, "cdef", 4));
    TELL(ftruncate(f, 3));
    TELL(lseek(f, 0, SEEK_END));
    TELL(fsync(f));
    TELL(fstat(f, &s));
    TELL(s.st_nlink);
    mkfile(in("f"), "another"), mkfile(in("taker"), "taken");
    TELL(pread(f, content, 10, 0));
    f = open(in("f"), O_RDWR);
    TELL(rename(in("taker"), in("f")));
    TELL(read(f, content, 10));
    TELL(fstat(f, &s));
    TELL(s.st_nlink);
    TELL(write(f, "lost", 4));
    tell_content("f");

    /* A directory that is moved, with what is in it. */
    int d = folder("d"), e = folder("e"), in_d = folder("d/in"), deep = folder("d/in/deep");
    TELL(renameat(d, "in", e, "out"));
    TELL(touch(deep, "f"));
    tell_kind("e/out/deep/f");
    TELL(rename(in("e"), in("d/e")));
    TELL(mkdirat(in_d, "made", 0755));
    tell_kind("d/e/out/made");
    TELL(renameat(deep, "f", top, "back"));
    tell_kind("back");
    TELL(openat(e, "out/made", O_RDONLY | O_DIRECTORY) >= 0);

    /* One that is removed: nothing can be made in it, not even when its name is there again. */
    int gone = folder("gone");
    TELL(rmdir(in("gone")));
    TELL(touch(gone, "x"));
    TELL(openat(gone, "x", O_RDONLY));
    TELL(mkdirat(gone, "x", 0755));
    TELL(symlinkat("x", gone, "x"));
    TELL(linkat(top, "f", gone, "x", 0));
    TELL(renameat(top, "f", gone, "x"));
    TELL(unlinkat(gone, "x", 0));
    TELL(openat(gone, ".", O_RDONLY) >= 0);
    TELL(fstat(gone, &s));
    TELL(s.st_nlink);
    TELL(fsync(gone));
    TELL(mkdir(in("gone"), 0755));
    TELL(touch(gone, "x"));
    /* And one whose place another took. */
    int taken = folder("taken"), taker = folder("taker");
    TELL(rename(in("taker"), in("taken")));
    TELL(touch(taken, "x"));
    TELL(touch(taker, "x"));
    tell_kind("taken/x");
}
