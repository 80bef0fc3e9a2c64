/* There is a file `f` of ten bytes. */
static void look(void) {
    int f = open(in("f"), O_RDWR);
    char c = 'x';
    TELL(lseek(f, 5, SEEK_SET));
    TELL(lseek(f, INT64_MAX, SEEK_CUR));
    TELL(lseek(f, INT64_MAX, SEEK_END));
    TELL(lseek(f, INT64_MIN, SEEK_CUR));
    TELL(lseek(f, -6, SEEK_CUR));
    TELL(lseek(f, -11, SEEK_END));
    TELL(lseek(f, -1, SEEK_SET));
    TELL(lseek(f, 0, 77));
    TELL(lseek(f, 0, SEEK_CUR));
    TELL(lseek(f, 3, SEEK_CUR));
    TELL(lseek(f, 3, SEEK_END));
    TELL(read(f, &c, 1));
    TELL(pread(f, &c, 1, -1));
    TELL(pwrite(f, &c, 1, -1));
    TELL(ftruncate(f, -1));
    TELL_ERROR(posix_fadvise(f, 0, 5, 99));
    TELL(lseek(f, 0, SEEK_CUR));
}
