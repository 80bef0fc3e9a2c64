/* What moves the time of the last write, and that of the last change. The time of the last reading depends on how the
 * file system is mounted, and is told only where it was given. */
#include <time.h>

#ifdef __wasi__
/* What Zig builds wasi-libc with is not what its header says. */
#undef UTIME_NOW
#undef UTIME_OMIT
#define UTIME_NOW 0x3fffffff
#define UTIME_OMIT 0x3ffffffe
#endif

/* What is looked at, and how it was. */
static const char *subject;
static struct stat was;

/* Later than all that was, by the coarsest clock that a file system has. */
static void before(const char *name) {
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    lstat(in(subject = name), &was);
}

static const char *moved(struct timespec from, struct timespec to) {
    if (to.tv_sec == from.tv_sec && to.tv_nsec == from.tv_nsec)
        return "stays";
    return to.tv_sec > from.tv_sec || (to.tv_sec == from.tv_sec && to.tv_nsec > from.tv_nsec) ? "moves" : "moves back";
}

static void tell(const char *what, int result) {
    const char *error = result < 0 ? error_name(errno) : "done";
    struct stat is;
    lstat(in(subject), &is);
    fprintf(stderr, "%s: %s; of %s, mtime %s, ctime %s\n", what, error, subject, moved(was.st_mtim, is.st_mtim),
            moved(was.st_ctim, is.st_ctim));
}
#define OF(name, call) (before(name), tell(#call, (call) < 0 ? -1 : 0))

static void tell_times(const char *name) {
    struct stat s;
    lstat(in(name), &s);
    fprintf(stderr, "%s: atime %lld.%09ld, mtime %lld.%09ld\n", name, (long long)s.st_atim.tv_sec,
            (long)s.st_atim.tv_nsec, (long long)s.st_mtim.tv_sec, (long)s.st_mtim.tv_nsec);
}

/* All three are of one moment, or only the last two. */
static void tell_same(const char *name) {
    struct stat s;
    lstat(in(name), &s);
    fprintf(stderr, "%s: from atime, mtime %s; from mtime, ctime %s\n", name, moved(s.st_atim, s.st_mtim),
            moved(s.st_mtim, s.st_ctim));
}

#define AT(seconds, nanoseconds) {.tv_sec = seconds, .tv_nsec = nanoseconds}
#define OMIT {.tv_nsec = UTIME_OMIT}
#define NOW {.tv_nsec = UTIME_NOW}
#define GIVEN(atime, mtime) ((struct timespec[2]){atime, mtime})
#define SET(name, times, flags) utimensat(AT_FDCWD, in(name), times, flags)

static void look(void) {
    char c;
    mkfile(in("f"), "content"), mkdir(in("d"), 0755), symlink("f", in("l")), symlink("none", in("dangling"));
    int f = open(in("f"), O_RDWR), d = open(in("d"), O_RDONLY | O_DIRECTORY), r = open(in("f"), O_RDONLY);

    OF("f", read(f, &c, 1));
    OF("f", write(f, "x", 1));
    OF("f", write(f, "x", 0));
    OF("f", pwrite(f, "x", 1, 3));
    OF("f", ftruncate(f, 5));
    OF("f", ftruncate(f, 5));
    OF("f", open(in("f"), O_RDWR));
    OF("f", open(in("f"), O_RDWR | O_CREAT, 0644));
    OF("f", open(in("f"), O_RDWR | O_TRUNC));
    OF("f", rename(in("f"), in("f")));
    OF("f", link(in("f"), in("g")));
    OF("f", unlink(in("g")));
    OF("f", rename(in("f"), in("g")) + rename(in("g"), in("f")));

    /* A directory is written to when an entry comes or goes, and not when what is there is written to. */
    OF("d", openat(d, "new", O_RDWR | O_CREAT, 0644));
    OF("d", openat(d, "new", O_RDWR | O_CREAT | O_TRUNC, 0644));
    OF("d", mkdirat(d, "sub", 0755));
    OF("d", renameat(d, "new", d, "newer"));
    OF("d", symlinkat("x", d, "link"));
    OF("d", linkat(d, "newer", d, "newest", 0));
    OF("d", unlinkat(d, "newest", 0));
    OF("d", unlinkat(d, "sub", AT_REMOVEDIR));
    OF("d", rename(in("d"), in("e")) + rename(in("e"), in("d")));
    OF("d", mkdir(in("d"), 0755));

    /* As they are given; the last change is the setting itself. */
    OF("f", SET("f", GIVEN(AT(1000000000, 123456789), AT(1100000000, 1)), 0));
    tell_times("f");
    OF("f", SET("f", GIVEN(OMIT, AT(4102444800, 999999999)), 0));
    tell_times("f");
    OF("f", SET("f", GIVEN(AT(0, 0), OMIT), 0));
    tell_times("f");
    OF("f", SET("f", GIVEN(OMIT, OMIT), 0));
    OF("f", SET("f", GIVEN(OMIT, NOW), 0));
    tell_same("f");
    OF("f", SET("f", GIVEN(NOW, AT(6, 6)), 0));
    tell_same("f");
    OF("f", SET("f", NULL, 0));
    tell_same("f");
    OF("f", write(f, "x", 1));

    /* On what is open, however it was opened. */
    OF("f", futimens(f, GIVEN(AT(7, 7), AT(8, 8))));
    tell_times("f");
    OF("f", futimens(r, GIVEN(AT(9, 9), OMIT)));
    tell_times("f");
    OF("f", futimens(r, NULL));
    tell_same("f");
    OF("d", futimens(d, GIVEN(AT(10, 10), AT(11, 11))));
    tell_times("d");

    /* Of a link, or of what it leads to. */
    OF("f", SET("l", GIVEN(AT(12, 12), AT(13, 13)), AT_SYMLINK_NOFOLLOW));
    tell_times("l");
    OF("l", SET("l", GIVEN(AT(14, 14), AT(15, 15)), 0));
    tell_times("f");
    OF("dangling", SET("dangling", GIVEN(AT(16, 16), AT(17, 17)), AT_SYMLINK_NOFOLLOW));
    tell_times("dangling");
    TELL(SET("dangling", GIVEN(AT(16, 16), AT(17, 17)), 0));
    TELL(SET("none", NULL, 0));
    TELL(SET("none", GIVEN(OMIT, OMIT), 0));
    TELL(SET("f/", NULL, 0));
    TELL(SET("f/x", NULL, 0));
}
