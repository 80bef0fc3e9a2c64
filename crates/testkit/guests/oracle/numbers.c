/* Which numbers descriptors have: the lowest that is free, or the one they are given. */
#ifdef __wasi__
#include <wasi/libc.h>
#define renumber __wasilibc_fd_renumber
#else
static int renumber(int fd, int to) {
    int done = dup2(fd, to);
    return done < 0 ? -1 : fd == to ? 0 : close(fd);
}
#endif

static int another(void) { return open(in("f"), O_RDWR); }

static void look(void) {
    char bytes[10];
    mkfile(in("f"), "content"), mkdir(in("d"), 0755);
    int a = another(), b = another(), c = another();
    TELL(a < b && b < c);
    TELL(close(b));
    TELL(close(a));
    TELL(close(a));
    TELL(read(a, bytes, 1));
    int first = open(in("d"), O_RDONLY), failed = open(in("none"), O_RDONLY), second = another(), third = another();
    TELL(failed);
    TELL(first == a);
    TELL(second == b);
    TELL(third > c);

    /* A descriptor takes another's number, and its place in the file along. */
    TELL(lseek(second, 3, SEEK_SET));
    TELL(renumber(second, first));
    TELL(lseek(first, 0, SEEK_CUR));
    TELL(read(second, bytes, 1));
    TELL(renumber(second, first));
    TELL(renumber(first, first));
    TELL(read(first, bytes, 10));
    TELL(another() == second);
    TELL(close(1000));
    TELL(close(-1));
    TELL(renumber(1000, 1000));
    TELL(renumber(1000, first));
    TELL(read(first, bytes, 10));
}
