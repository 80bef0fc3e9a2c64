/* Flags that are given when a file is opened, and later. */
static void tell_flags(const char *when, int fd) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        told(when, flags);
    else
        fprintf(stderr, "%s:%s%s%s%s\n", when, flags & O_APPEND ? " append" : "", flags & O_NONBLOCK ? " nonblock" : "",
                flags & O_DSYNC ? " dsync" : "", (flags & O_ACCMODE) == O_RDWR ? " both" : "");
}

static void look(void) {
    mkfile(in("f"), "content");
    int plain = open(in("f"), O_RDWR), append = open(in("f"), O_RDWR | O_APPEND);
    int nonblock = open(in("f"), O_RDWR | O_NONBLOCK), dsync = open(in("f"), O_RDWR | O_DSYNC);
    int sync = open(in("f"), O_RDWR | O_SYNC | O_APPEND);
    tell_flags("plain", plain), tell_flags("append", append), tell_flags("nonblock", nonblock);
    tell_flags("dsync", dsync);
    TELL(sync >= 0 && (fcntl(sync, F_GETFL) & O_SYNC) == O_SYNC);
    TELL(write(append, "-end", 4));
    TELL(write(dsync, "C", 1));
    TELL(write(sync, "!", 1));
    tell_content("f");

    /* To append can be turned on and off, and for a descriptor of its own. How it is written to disk stays. */
    TELL(fcntl(append, F_SETFL, 0));
    tell_flags("append off", append);
    TELL(lseek(append, 1, SEEK_SET));
    TELL(write(append, "O", 1));
    TELL(fcntl(plain, F_SETFL, O_APPEND));
    tell_flags("plain appends", plain), tell_flags("the other", append);
    TELL(write(plain, "?", 1));
    TELL(lseek(plain, 0, SEEK_CUR));
    TELL(fcntl(plain, F_SETFL, O_APPEND | O_NONBLOCK));
    tell_flags("plain nonblock", plain);
    TELL(fcntl(plain, F_SETFL, O_DSYNC));
    tell_flags("plain dsync", plain);
    TELL(fcntl(dsync, F_SETFL, 0));
    tell_flags("dsync off", dsync);
    tell_content("f");
}
