/* A Linux program that says what it was given and waits to be ended, as a pod's first container does. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void end(int signal) {
    (void)signal;
    _exit(0);
}

int main(int count, char **words) {
    if (count > 1 && !strcmp(words[1], "say")) {
        puts("a Linux program");
        return 0;
    }
    if (count > 1 && !strcmp(words[1], "device")) {
        /* Nothing drives it, which would be told to whom it is given. */
        if (mknod("/device", S_IFCHR | 0600, makedev(1, 200)))
            perror("making");
        if (open("/device", O_RDONLY) < 0)
            perror("opening");
        if (open("/dev/null", O_RDWR) < 0)
            perror("opening null");
        return 0;
    }
    signal(SIGTERM, end);
    signal(SIGINT, end);
    for (;;)
        pause();
}
