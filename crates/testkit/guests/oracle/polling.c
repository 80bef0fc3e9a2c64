/* Standard output is a pipe with room in it; there is a file `f`, and an empty one `empty`. */
static struct pollfd fds[8];
static int count;

static void add(int fd, short events) { fds[count++] = (struct pollfd){.fd = fd, .events = events}; }

/* One that cannot be waited for is told in its place, and the others as they are. */
static void tell(const char *what) {
    fprintf(stderr, "%s\n", what);
    TELL(poll(fds, count, 0));
    for (int i = 0; i < count; i++)
        fprintf(stderr, "  %d:%s%s%s%s%s\n", i, fds[i].revents & POLLIN ? " in" : "",
                fds[i].revents & POLLOUT ? " out" : "", fds[i].revents & POLLNVAL ? " invalid" : "",
                fds[i].revents & POLLERR ? " error" : "", fds[i].revents & POLLHUP ? " hung up" : "");
    count = 0;
}

static void look(void) {
    int f = open(in("f"), O_RDONLY), empty = open(in("empty"), O_RDWR), d = open(in("."), O_RDONLY);
    add(77, POLLIN), add(1, POLLOUT);
    tell("a descriptor there is not, and one that is ready");
    add(77, POLLIN | POLLOUT), add(78, POLLOUT);
    tell("none there is");
    add(d, POLLIN);
    tell("a directory");
    add(f, POLLIN), add(f, POLLOUT), add(empty, POLLIN | POLLOUT);
    tell("files");
    add(1, POLLIN);
    tell("the wrong way");
    add(f, POLLIN), add(d, POLLIN), add(1, POLLOUT), add(1, POLLIN), add(99, POLLIN);
    tell("of every kind");
}
