/* A directory with many entries is read, and changed meanwhile. */
enum { MANY = 900 };
static unsigned char seen[2 * MANY];

static void forget(void) { memset(seen, 0, sizeof seen); }

/* How many of the numbers up to `below` were not seen as often as they should be. */
static int wrong(int from, int below, int times) {
    int wrong = 0;
    for (int i = from; i < below; i++)
        wrong += seen[i] != times;
    return wrong;
}

/* Reads on, and returns how many entries that are no numbers there were. */
static int read_on(DIR *d, int entries) {
    int others = 0;
    for (struct dirent *e; entries-- && (e = readdir(d)) != NULL;) {
        int number;
        if (sscanf(e->d_name, "file%d", &number) == 1)
            seen[number]++;
        else
            others++;
    }
    return others;
}

static int file(int d, int number, int made) {
    char name[20];
    snprintf(name, sizeof name, "file%d", number);
    if (!made)
        return unlinkat(d, name, 0) == 0;
    int fd = openat(d, name, O_CREAT | O_EXCL | O_WRONLY, 0644);
    return fd >= 0 && close(fd) == 0;
}

static void look(void) {
    char name[300];
    int made = 0, removed = 0;
    TELL(mkdir(in("many"), 0755));
    int at = open(in("many"), O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < MANY; i++)
        made += file(at, i, 1);
    TELL(made);
    DIR *d = opendir(in("many"));
    TELL(read_on(d, -1));
    TELL(wrong(0, MANY, 1));
    TELL(readdir(d) == NULL);

    /* Again, on the same handle; and back to a place in the middle. */
    forget(), rewinddir(d);
    TELL(read_on(d, 300));
    long place = telldir(d);
    struct dirent *e = readdir(d);
    snprintf(name, sizeof name, "%s", e ? e->d_name : "");
    read_on(d, 150);
    seekdir(d, place);
    e = readdir(d);
    TELL(e && strcmp(e->d_name, name) == 0);
    seekdir(d, place), forget(), read_on(d, -1);
    int rest = 0;
    for (int i = 0; i < MANY; i++)
        rest += seen[i];
    TELL(rest);

    /* What comes and goes meanwhile may be seen or not; all else once, and nothing twice. */
    forget(), rewinddir(d), read_on(d, 300);
    for (int i = 0; i < MANY; i += 3)
        removed += file(at, i, 0) && file(at, MANY + i, 1);
    TELL(removed);
    read_on(d, -1);
    int twice = 0, missed = 0;
    for (int i = 0; i < 2 * MANY; i++)
        twice += seen[i] > 1, missed += i < MANY && i % 3 && !seen[i];
    TELL(twice);
    TELL(missed);
    /* From the beginning, it is as it is now. */
    forget(), rewinddir(d), read_on(d, -1);
    int now = 0;
    for (int i = 0; i < 2 * MANY; i++)
        now += seen[i] == (i < MANY ? i % 3 != 0 : (i - MANY) % 3 == 0);
    TELL(now == 2 * MANY);
    TELL(closedir(d));
}
