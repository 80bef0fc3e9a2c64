/* Files that are longer than what was written to them, and where writing goes. */
static void tell_size(int f) {
    struct stat s;
    told("size", fstat(f, &s) < 0 ? -1 : s.st_size);
}

static void tell_zeros(int f, off_t from, size_t size) {
    static char bytes[100000];
    memset(bytes, 'x', sizeof bytes);
    ssize_t got = told("pread", pread(f, bytes, size, from)), zeros = 0;
    for (ssize_t i = 0; i < got; i++)
        zeros += bytes[i] == 0;
    told("zeros", zeros);
}

static void look(void) {
    char bytes[20];
    int f = open(in("f"), O_RDWR | O_CREAT, 0644);

    /* Beyond the end: nothing is there before it is written. */
    TELL(lseek(f, 70000, SEEK_SET));
    tell_size(f);
    TELL(read(f, bytes, 1));
    TELL(write(f, "abc", 3));
    tell_size(f);
    tell_zeros(f, 0, 80000), tell_zeros(f, 69999, 2), tell_zeros(f, 70003, 1), tell_zeros(f, 1LL << 40, 1);
    TELL(pwrite(f, "z", 1, 80000));
    TELL(lseek(f, 0, SEEK_CUR));
    tell_size(f);
    /* Nothing written is nothing longer. */
    TELL(pwrite(f, "z", 0, 90000));
    tell_size(f);

    /* What was cut off does not come back. */
    TELL(ftruncate(f, 70001));
    TELL(ftruncate(f, 70010));
    tell_size(f), tell_zeros(f, 70000, 100);
    TELL(lseek(f, 0, SEEK_CUR));
    TELL(ftruncate(f, 5));
    TELL(lseek(f, 0, SEEK_CUR));
    TELL(read(f, bytes, 1));
    TELL(write(f, "q", 1));
    tell_size(f), tell_zeros(f, 0, 80000);
    TELL(ftruncate(f, 1LL << 33));
    TELL(lseek(f, -1, SEEK_END));
    TELL(read(f, bytes, 5));
    TELL(ftruncate(f, 0));

    TELL_ERROR(posix_fallocate(f, 100, 50));
    tell_size(f), tell_zeros(f, 0, 200);
    TELL_ERROR(posix_fallocate(f, 0, 10));
    TELL_ERROR(posix_fallocate(f, 0, 0));
    TELL_ERROR(posix_fallocate(f, INT64_MAX, 10));
    tell_size(f);

    /* Further than a file can go. */
    TELL(pwrite(f, "x", 1, INT64_MAX));
    TELL(pwrite(f, "x", 1, INT64_MAX - 1));
    TELL(pread(f, bytes, 1, INT64_MAX));
    TELL(pread(f, bytes, 1, INT64_MAX - 1));
    TELL(ftruncate(f, INT64_MAX));
    TELL(ftruncate(f, 0));

    /* What is appended goes to the end, whatever place was named. */
    int a = open(in("f"), O_RDWR | O_APPEND);
    TELL(write(a, "0123", 4));
    TELL(pwrite(f, "AB", 2, 6));
    TELL(lseek(a, 1, SEEK_SET));
    TELL(read(a, bytes, 1));
    TELL(write(a, "x", 1));
    TELL(lseek(a, 0, SEEK_CUR));
    TELL(pwrite(a, "y", 1, 0));
    TELL(lseek(a, 0, SEEK_CUR));
    TELL(ftruncate(a, 3));
    TELL(write(a, "z", 1));
    TELL(lseek(a, 0, SEEK_CUR));
    tell_content("f");
    TELL(open(in("f"), O_WRONLY | O_TRUNC) >= 0);
    tell_size(f);
    TELL(write(a, "more", 4));
    tell_content("f");
    TELL(open(in("f"), O_RDONLY | O_TRUNC) >= 0);
    tell_size(f);
}
