/* A Linux program that says what it was given and waits to be ended, as a pod's first container does. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
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
    signal(SIGTERM, end);
    signal(SIGINT, end);
    for (;;)
        pause();
}
