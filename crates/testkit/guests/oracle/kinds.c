/* What is in a directory is told with what it is; and what is no directory is not read. */
static void look(void) {
    mkdir(in("d"), 0755), mkdir(in("d/sub"), 0755), mkfile(in("d/f"), ""), symlink("sub", in("d/to sub"));
    symlink("f", in("d/to f")), symlink("none", in("d/dangling")), symlink("d", in("ld")), mkdir(in("gone"), 0755);
    int folders = 0, files = 0, links = 0, others = 0;
    DIR *d = opendir(in("ld"));
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        *(e->d_type == DT_DIR ? &folders : e->d_type == DT_REG ? &files : e->d_type == DT_LNK ? &links : &others) += 1;
    TELL(folders);
    TELL(files);
    TELL(links);
    TELL(others);
    TELL(closedir(d));

    /* One that was removed has nothing in it. */
    d = opendir(in("gone"));
    TELL(rmdir(in("gone")));
    rewinddir(d);
    TELL(readdir(d) == NULL);
    TELL(closedir(d));
    TELL(opendir(in("gone")) ? 0 : -1);
    TELL(opendir(in("d/f")) ? 0 : -1);
    TELL(opendir(in("d/to f")) ? 0 : -1);
    TELL(opendir(in("d/dangling")) ? 0 : -1);
    TELL(opendir(in("d/to sub")) ? 0 : -1);
    TELL(opendir(in("d/f/")) ? 0 : -1);
}
