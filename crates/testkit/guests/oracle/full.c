/* Standard output is a device that is full. */
static void look(void) {
    TELL(write(1, "abc", 3));
    TELL(write(1, "abc", 3));
    TELL(write(1, "", 0));
    TELL(fsync(1));
}
