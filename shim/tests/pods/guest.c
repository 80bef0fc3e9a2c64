/* What most tests run in a container: it does what its first argument says. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <unistd.h>

extern char **environ;

static int failed(const char *path) {
    printf("%s: %s\n", path, strerror(errno));
    return 1;
}

static int say(int count, char **words) {
    for (int i = 0; i < count; i++)
        printf("argument %s\n", words[i]);
    for (char **variable = environ; *variable; variable++)
        printf("variable %s\n", *variable);
    return 0;
}

static int read_file(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file)
        return failed(path);
    char buffer[4096];
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0)
        fwrite(buffer, 1, got, stdout);
    return 0;
}

static int write_file(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file < 0)
        return failed(path);
    for (size_t left = strlen(text); left > 0;) {
        ssize_t written = write(file, text, left);
        if (written < 0)
            return failed(path);
        text += written;
        left -= written;
    }
    printf("%s: written\n", path);
    return 0;
}

static int list(const char *path) {
    DIR *directory = opendir(path);
    if (!directory)
        return failed(path);
    for (struct dirent *entry; (entry = readdir(directory));)
        printf("entry %s\n", entry->d_name);
    return 0;
}

/* As much memory as there is, by the MiB, and used; then it still works. */
static int grow(void) {
    const size_t step = 1 << 20;
    int count = 0;
    for (volatile char *block; count < 4000 && (block = malloc(step)); count++)
        for (size_t at = 0; at < step; at += 4096)
            block[at] = 1;
    printf("refused after %d MiB\n", count);
    return 0;
}

static int line(void) {
    char line[4096];
    if (fgets(line, sizeof line, stdin))
        fputs(line, stdout);
    return 0;
}

static int echo(void) {
    int c;
    while ((c = getchar()) != EOF)
        putchar(c);
    printf("end of input\n");
    return 0;
}

int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "say";
    const char *first = count > 2 ? words[2] : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!strcmp(what, "say"))
        return say(count, words);
    if (!strcmp(what, "exit"))
        exit(atoi(first));
    if (!strcmp(what, "trap"))
        __builtin_trap();
    if (!strcmp(what, "read"))
        return read_file(first);
    if (!strcmp(what, "write"))
        return write_file(first, count > 3 ? words[3] : "text");
    if (!strcmp(what, "list"))
        return list(first);
    if (!strcmp(what, "grow"))
        return grow();
    if (!strcmp(what, "line"))
        return line();
    if (!strcmp(what, "echo"))
        return echo();
    if (!strcmp(what, "both")) {
        printf("to stdout\n");
        fprintf(stderr, "to stderr\n");
        return 0;
    }
    if (!strcmp(what, "random")) {
        unsigned long long random;
        getentropy(&random, sizeof random);
        printf("random %llx\n", random);
        return 0;
    }
    if (!strcmp(what, "sleep")) {
        printf("sleeping\n");
        sleep(atoi(first));
        printf("slept\n");
        return 0;
    }
    if (!strcmp(what, "spin")) {
        printf("spinning\n");
        for (volatile unsigned long turns = 0;; turns++)
            ;
    }
    printf("%s: not known\n", what);
    return 2;
}
