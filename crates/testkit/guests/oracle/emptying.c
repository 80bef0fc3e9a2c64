/* A directory is emptied while it is read, once, as `rm -r` does. */
static void look(void) {
    char name[4200];
    int made = 0, removed = 0;
    TELL(mkdir(in("d"), 0755));
    for (int i = 0; i < 400; i++) {
        snprintf(name, sizeof name, "%s/%d", in("d"), i);
        int fd = open(name, O_CREAT | O_WRONLY, 0644);
        made += fd >= 0 && close(fd) == 0;
    }
    TELL(made);
    DIR *d = opendir(in("d"));
    TELL(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            removed += unlinkat(dirfd(d), e->d_name, 0) == 0;
    TELL(removed);
    TELL(closedir(d));
    TELL(rmdir(in("d")));
}
