/* What is made and removed: where something is already, where nothing is, and where nothing can be. */
static int at;

static int opened(const char *path, int flags) {
    int fd = openat(at, path, flags, 0644);
    return fd < 0 ? fd : close(fd);
}

static void look(void) {
    at = open(directory, O_RDONLY | O_DIRECTORY);
    mkfile(in("f"), "content"), mkdir(in("d"), 0755), mkdir(in("full"), 0755), mkfile(in("full/f"), "");
    symlink("f", in("lf")), symlink("d", in("ld")), symlink("none", in("dangling"));

    TELL(opened("new", O_WRONLY | O_CREAT | O_EXCL));
    TELL(opened("new", O_WRONLY | O_CREAT | O_EXCL));
    TELL(opened("d", O_WRONLY | O_CREAT | O_EXCL));
    TELL(opened("lf", O_WRONLY | O_CREAT | O_EXCL));
    TELL(opened("ld", O_WRONLY | O_CREAT | O_EXCL));
    TELL(opened("f", O_RDONLY | O_CREAT));
    TELL(opened("by a reader", O_RDONLY | O_CREAT));
    TELL(opened("none/x", O_WRONLY | O_CREAT));
    TELL(opened("f/x", O_WRONLY | O_CREAT));
    TELL(opened("lf/x", O_WRONLY | O_CREAT));
    TELL(opened("ld/x", O_WRONLY | O_CREAT));
    TELL(opened("dangling/x", O_WRONLY | O_CREAT));

    /* Directories are opened to be read, and by nothing that would make or empty a file. */
    TELL(opened("d", O_RDONLY));
    TELL(opened("d", O_WRONLY));
    TELL(opened("d", O_RDWR));
    TELL(opened("d", O_RDONLY | O_CREAT));
    TELL(opened("d", O_WRONLY | O_CREAT));
    TELL(opened("d", O_RDONLY | O_TRUNC));
    TELL(opened("d", O_RDONLY | O_DIRECTORY));
    TELL(opened("d", O_RDWR | O_DIRECTORY));
    TELL(opened("d", O_RDONLY | O_DIRECTORY | O_TRUNC));
    TELL(opened("ld", O_WRONLY));
    TELL(opened("f", O_RDONLY | O_DIRECTORY));
    TELL(opened("f", O_WRONLY | O_DIRECTORY | O_TRUNC));
    TELL(opened("lf", O_RDONLY | O_DIRECTORY));
    TELL(opened("none", O_RDONLY | O_DIRECTORY));
    TELL(opened(".", O_RDWR));
    TELL(opened(".", O_WRONLY | O_CREAT));
    tell_content("f");
    /* No directory is made so. How that fails, and whether it leaves a file, depends on which Linux it is. */
    TELL(opened("made", O_RDONLY | O_CREAT | O_DIRECTORY) < 0);
    TELL(opened("f", O_RDONLY | O_CREAT | O_DIRECTORY) < 0);
    unlinkat(at, "made", 0);

    TELL(mkdirat(at, "d", 0755));
    TELL(mkdirat(at, "f", 0755));
    TELL(mkdirat(at, "lf", 0755));
    TELL(mkdirat(at, "dangling", 0755));
    TELL(mkdirat(at, ".", 0755));
    TELL(mkdirat(at, "none/x", 0755));
    TELL(mkdirat(at, "f/x", 0755));
    TELL(mkdirat(at, "ld/sub", 0755));
    TELL(unlinkat(at, "full", AT_REMOVEDIR));
    TELL(unlinkat(at, "f", AT_REMOVEDIR));
    TELL(unlinkat(at, "ld", AT_REMOVEDIR));
    TELL(unlinkat(at, "none", AT_REMOVEDIR));
    TELL(unlinkat(at, ".", AT_REMOVEDIR));
    TELL(unlinkat(at, "d", 0));
    TELL(unlinkat(at, "full", 0));
    TELL(unlinkat(at, ".", 0));
    TELL(unlinkat(at, "none", 0));
    TELL(unlinkat(at, "f/x", 0));
    TELL(unlinkat(at, "ld", 0));
    tell_kind("d");
}
