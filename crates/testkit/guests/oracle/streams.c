/* Standard input is a pipe with the letter q, standard output another pipe; there is a file `f`. */
static void look(void) {
    char c = 'x';
    TELL(write(0, &c, 1));
    TELL(read(1, &c, 1));
    TELL(read(2, &c, 1));
    for (int fd = 0; fd < 3; fd++) {
        TELL(lseek(fd, 0, SEEK_CUR));
        TELL(pread(fd, &c, 1, 0));
        TELL(pwrite(fd, &c, 1, 0));
        TELL(fsync(fd));
        TELL(fdatasync(fd));
        TELL(ftruncate(fd, 0));
        TELL_ERROR(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
        TELL(fcntl(fd, F_SETFL, O_NONBLOCK));
        TELL((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
        TELL(fcntl(fd, F_SETFL, O_APPEND));
        TELL((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
        TELL((fcntl(fd, F_GETFL) & O_APPEND) != 0);
        TELL(fcntl(fd, F_SETFL, 0));
    }
    /* Nothing read, nothing written: no error, no wait. */
    TELL(read(0, &c, 0));
    TELL(write(1, &c, 0));
    TELL(write(2, &c, 0));
    int f = open(in("f"), O_RDWR);
    TELL(f >= 0);
    TELL(read(f, &c, 0));
    TELL(write(f, &c, 0));
    TELL(pread(f, &c, 0, 0));
    TELL(pread(f, &c, 0, 1000));
    TELL(pwrite(f, &c, 0, 0));
    /* What was there is still there. */
    TELL(read(0, &c, 1));
    TELL(c);
    TELL(read(0, &c, 1));
    TELL(close(0));
    TELL(read(0, &c, 1));
    TELL(fsync(0));
    TELL(close(0));
}
