/* What every program of this directory begins with.
 *
 * A program is compiled for WASI and for the machine itself, and both have to say the same of what they
 * find. So it calls what both have, names errors rather than numbers them, and says no more than what is to
 * be the same. What it says goes to standard error: input and output are what it looks at.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((unused)) static const char *error_name(int error) {
    switch (error) {
#define NAMED(name) \
    case name: \
        return #name
        NAMED(EACCES); NAMED(EAGAIN); NAMED(EBADF); NAMED(EBUSY); NAMED(EEXIST); NAMED(EFAULT);
        NAMED(EFBIG); NAMED(EINTR); NAMED(EINVAL); NAMED(EIO); NAMED(EISDIR); NAMED(ELOOP);
        NAMED(EMFILE); NAMED(EMLINK); NAMED(ENAMETOOLONG); NAMED(ENODEV); NAMED(ENOENT); NAMED(ENOMEM);
        NAMED(ENOSPC); NAMED(ENOSYS); NAMED(ENOTDIR); NAMED(ENOTEMPTY); NAMED(ENOTSUP); NAMED(ENOTTY);
        NAMED(ENXIO); NAMED(EOVERFLOW); NAMED(EPERM); NAMED(EPIPE); NAMED(EROFS); NAMED(ESPIPE);
        NAMED(ETXTBSY); NAMED(EXDEV);
#undef NAMED
    case 0:
        return "no error";
    default:
        return "an error without a name here";
    }
}

/* A line with what was called and the number it returned, or why it failed. */
__attribute__((unused)) static long long told(const char *what, long long result) {
    if (result < 0)
        fprintf(stderr, "%s: %s\n", what, error_name(errno));
    else
        fprintf(stderr, "%s: %lld\n", what, result);
    return result;
}
#define TELL(call) told(#call, (call))

/* The same for what returns the error itself. */
#define TELL_ERROR(call) (void)fprintf(stderr, "%s: %s\n", #call, error_name(call))

/* The path of something in the directory that the program was given. */
static const char *directory;
__attribute__((unused)) static const char *in(const char *name) {
    static char paths[4][4096];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

/* A file with a content, whatever was there. */
__attribute__((unused)) static void mkfile(const char *path, const char *content) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    size_t size = strlen(content);
    if (fd < 0 || write(fd, content, size) != (ssize_t)size || close(fd) < 0)
        fprintf(stderr, "no file made: %s\n", error_name(errno));
}

/* What is under a name, as a letter: links are not followed. */
__attribute__((unused)) static char kind(const char *path) {
    struct stat s;
    if (lstat(path, &s) < 0)
        return '.';
    return S_ISREG(s.st_mode) ? 'f' : S_ISDIR(s.st_mode) ? 'd' : S_ISLNK(s.st_mode) ? 'l' : '?';
}

__attribute__((unused)) static void tell_kind(const char *name) {
    fprintf(stderr, "%s is %c\n", name, kind(in(name)));
}

/* A line with what a file contains, or why it does not open. */
__attribute__((unused)) static void tell_content(const char *name) {
    char content[100];
    int fd = open(in(name), O_RDONLY);
    ssize_t size = fd < 0 ? -1 : read(fd, content, sizeof content);
    if (size < 0)
        fprintf(stderr, "%s: %s\n", name, error_name(errno));
    else
        fprintf(stderr, "%s: \"%.*s\"\n", name, (int)size, content);
    if (fd >= 0)
        close(fd);
}

static void look(void);

int main(int argc, char **argv) {
    if (argc != 2)
        abort();
    directory = argv[1];
    look();
    return 0;
}
