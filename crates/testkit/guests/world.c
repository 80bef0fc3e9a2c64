/* world: says what it finds of its world, as its arguments ask, a line or more for each. All that could differ from one
 * run to the next is among it.
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
#include <time.h>
#include <unistd.h>

static void tell_time(const char *name, struct timespec time) {
    printf(" %s %lld.%09ld", name, (long long)time.tv_sec, time.tv_nsec);
}

static void clocks(void) {
    struct timespec wall, monotonic;
    if (clock_gettime(CLOCK_REALTIME, &wall) < 0 || clock_gettime(CLOCK_MONOTONIC, &monotonic) < 0)
        abort();
    printf("clocks:"), tell_time("wall", wall), tell_time("monotonic", monotonic), puts("");
}

static void nap(const char *seconds) {
    struct timespec time = {atoll(seconds), 0};
    if (nanosleep(&time, NULL) < 0)
        abort();
    printf("slept %s s\n", seconds);
}

/* Looks at the clock until so many microseconds have passed. */
static void spin(const char *microseconds) {
    struct timespec now, end;
    if (clock_gettime(CLOCK_MONOTONIC, &end) < 0)
        abort();
    int64_t nanoseconds = end.tv_sec * 1000000000LL + end.tv_nsec + atoll(microseconds) * 1000;
    int looks = 0;
    do {
        looks++;
        if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
            abort();
    } while (now.tv_sec * 1000000000LL + now.tv_nsec < nanoseconds);
    printf("looked %d times\n", looks);
}

/* Waits for input, so many milliseconds at most. */
static void wait(const char *milliseconds) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    int ready = poll(&input, 1, atoi(milliseconds));
    printf("waited: %s\n", ready < 0 ? strerror(errno) : ready ? "input" : "nothing came");
}

static void drawn(void) {
    unsigned char bytes[16];
    if (getentropy(bytes, sizeof bytes) < 0)
        abort();
    printf("random:");
    for (size_t i = 0; i < sizeof bytes; i++)
        printf(" %02x", bytes[i]);
    puts("");
}

static const char *kind(unsigned char type) {
    return type == DT_DIR ? "dir" : type == DT_LNK ? "link" : type == DT_REG ? "file" : "other";
}

/* What a directory lists, in its order, a line each. With `removes`, each file of it is removed as it is met. */
static void list(const char *path, int removes) {
    DIR *directory = opendir(path);
    if (directory == NULL) {
        printf("list %s: %s\n", path, strerror(errno));
        return;
    }
    printf("list %s\n", path);
    for (struct dirent *entry; (errno = 0, entry = readdir(directory)) != NULL;) {
        printf("- %s %s %llu\n", entry->d_name, kind(entry->d_type),
               (unsigned long long)entry->d_ino);
        if (removes && entry->d_type == DT_REG && unlinkat(dirfd(directory), entry->d_name, 0) < 0)
            printf("remove %s: %s\n", entry->d_name, strerror(errno));
    }
    if (errno != 0)
        printf("list %s: %s\n", path, strerror(errno));
    closedir(directory);
}

static void tell_stat(const char *path, int times) {
    struct stat s;
    if (stat(path, &s) < 0) {
        printf("stat %s: %s\n", path, strerror(errno));
        return;
    }
    printf("stat %s: %llu:%llu links %llu", path, (unsigned long long)s.st_dev,
           (unsigned long long)s.st_ino, (unsigned long long)s.st_nlink);
    if (S_ISREG(s.st_mode))
        printf(" size %lld", (long long)s.st_size);
    if (times) {
        tell_time("a", s.st_atim);
        tell_time("m", s.st_mtim);
        tell_time("c", s.st_ctim);
    }
    puts("");
}

/* A file that has its own path in it. */
static void make(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    struct stat s;
    if (fd < 0 || write(fd, path, strlen(path)) < 0 || fstat(fd, &s) < 0)
        printf("make %s: %s\n", path, strerror(errno));
    else
        printf("make %s: %llu\n", path, (unsigned long long)s.st_ino);
    if (fd >= 0)
        close(fd);
}

static void read_all(const char *path) {
    static char content[4096];
    int fd = open(path, O_RDONLY);
    ssize_t size = fd < 0 ? -1 : read(fd, content, sizeof content - 1);
    content[size < 0 ? 0 : size] = '\0';
    printf("read %s: %s\n", path, size < 0 ? strerror(errno) : content);
    if (fd >= 0)
        close(fd);
}

static void did(const char *what, const char *path, int result) {
    printf("%s %s: %s\n", what, path, result < 0 ? strerror(errno) : "done");
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        char *what = argv[i], *path = strchr(what, '=');
        if (path != NULL)
            *path++ = '\0';
        if (!strcmp(what, "clocks"))
            clocks();
        else if (!strcmp(what, "sleep"))
            nap(path);
        else if (!strcmp(what, "spin"))
            spin(path);
        else if (!strcmp(what, "wait"))
            wait(path);
        else if (!strcmp(what, "random"))
            drawn();
        else if (!strcmp(what, "list"))
            list(path, 0);
        else if (!strcmp(what, "empty"))
            list(path, 1);
        else if (!strcmp(what, "stat"))
            tell_stat(path, 0);
        else if (!strcmp(what, "times"))
            tell_stat(path, 1);
        else if (!strcmp(what, "make"))
            make(path);
        else if (!strcmp(what, "mkdir"))
            did(what, path, mkdir(path, 0755));
        else if (!strcmp(what, "remove"))
            did(what, path, unlink(path));
        else if (!strcmp(what, "touch"))
            did(what, path, utimensat(AT_FDCWD, path, NULL, 0));
        else if (!strcmp(what, "read"))
            read_all(path);
        else
            abort();
    }
    return 0;
}
