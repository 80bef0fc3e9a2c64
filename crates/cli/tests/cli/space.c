/* space: starts a program in namespaces of its own.
 *
 *   space [-a ADDRESS] [-f FILE PLACE] [-t OPTIONS DIRECTORY] ... PROGRAM [ARGUMENT...]
 *
 * The program is root there. It has a network of nothing but loopback, which has each ADDRESS beside its own; it finds
 * each FILE at its PLACE as well; and each DIRECTORY is an empty tmpfs with these OPTIONS. Exits with 77 and a reason if
 * the system does not let it be made.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

static void refused(const char *what, const char *which) {
    fprintf(stderr, "%s %s: %s\n", what, which, strerror(errno));
    exit(77);
}

static void put(const char *path, const char *format, ...) {
    char text[64];
    va_list numbers;
    va_start(numbers, format);
    int length = vsnprintf(text, sizeof text, format, numbers);
    va_end(numbers);
    int file = open(path, O_WRONLY);
    if (file < 0 || write(file, text, length) != length)
        refused("write to", path);
    close(file);
}

/* Root needs no user namespace, where there are none. */
static void separate(void) {
    unsigned user = geteuid(), group = getegid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) == 0) {
        put("/proc/self/setgroups", "deny");
        put("/proc/self/uid_map", "0 %u 1", user);
        put("/proc/self/gid_map", "0 %u 1", group);
    } else if (user != 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
        refused("make", "namespaces");
    }
    /* What is mounted here is not to be mounted elsewhere. */
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        refused("keep", "mounts apart");
}

static void asked(int family, unsigned long request, void *what, const char *which) {
    int any = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (any < 0 || ioctl(any, request, what) != 0)
        refused("set up", which);
    close(any);
}

static void loopback_up(void) {
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    asked(AF_INET, SIOCSIFFLAGS, &up, "loopback");
}

/* An address of IPv4 beside others is that of an alias of the interface. */
static void add_ipv4(struct in_addr address, int number) {
    struct ifreq alias = {0};
    snprintf(alias.ifr_name, sizeof alias.ifr_name, "lo:%d", number);
    struct sockaddr_in of = {.sin_family = AF_INET, .sin_addr = address};
    memcpy(&alias.ifr_addr, &of, sizeof of);
    asked(AF_INET, SIOCSIFADDR, &alias, "an address of IPv4");
    of.sin_addr.s_addr = INADDR_NONE; /* It alone, and not the network of its class. */
    memcpy(&alias.ifr_netmask, &of, sizeof of);
    asked(AF_INET, SIOCSIFNETMASK, &alias, "an address of IPv4");
}

static void add_ipv6(struct in6_addr address) {
    /* in6_ifreq, whose header does not go with those of the C library. */
    struct {
        struct in6_addr address;
        uint32_t length;
        int interface;
    } of = {address, 128, if_nametoindex("lo")};
    asked(AF_INET6, SIOCSIFADDR, &of, "an address of IPv6");

    /* The system has it be used a moment later. */
    struct sockaddr_in6 own = {.sin6_family = AF_INET6, .sin6_addr = address};
    int any = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (int times = 0; bind(any, (struct sockaddr *)&own, sizeof own) != 0; times++) {
        if (errno != EADDRNOTAVAIL || times == 10000)
            refused("use", "an address of IPv6");
        usleep(1000);
    }
    close(any);
}

static void add_address(const char *text) {
    static int number;
    struct in_addr ipv4;
    struct in6_addr ipv6;
    if (inet_pton(AF_INET, text, &ipv4) == 1) {
        add_ipv4(ipv4, ++number);
    } else if (inet_pton(AF_INET6, text, &ipv6) == 1) {
        add_ipv6(ipv6);
    } else {
        fprintf(stderr, "%s is no address\n", text);
        exit(2);
    }
}

int main(int count, char **arguments) {
    separate();
    loopback_up();
    int at = 1;
    while (at < count && arguments[at][0] == '-') {
        char **values = arguments + at + 1;
        switch (at + 2 < count ? arguments[at][1] : 0) {
        case 'a':
            add_address(values[0]);
            at += 2;
            break;
        case 'f':
            if (mount(values[0], values[1], NULL, MS_BIND, NULL) != 0)
                refused("mount a file at", values[1]);
            at += 3;
            break;
        case 't':
            if (mount("none", values[1], "tmpfs", MS_NOSUID | MS_NODEV, values[0]) != 0)
                refused("mount a tmpfs at", values[1]);
            at += 3;
            break;
        default:
            fprintf(stderr, "%s is no option\n", arguments[at]);
            return 2;
        }
    }
    if (at < count)
        execv(arguments[at], arguments + at);
    fprintf(stderr, "cannot start the program\n");
    return 2;
}
