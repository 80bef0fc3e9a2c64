/* Symbolic links and what they lead to. */
static void look(void) {
    struct stat s;
    char target[5000], name[100];
    mkdir(in("a"), 0755), mkdir(in("a/b"), 0755), mkfile(in("a/f"), "in a"), mkfile(in("f"), "on top");

    /* Relative to where the link is; and `..` is the parent of where a link leads, not of where it is. */
    TELL(symlink("../f", in("a/b/up")));
    TELL(symlink("b/../b/.././f", in("a/round")));
    TELL(symlink("a/b", in("ab")));
    TELL(symlink("ab/../f", in("through")));
    tell_content("a/b/up"), tell_content("a/round"), tell_content("ab/../f"), tell_content("ab/up");
    tell_content("through"), tell_content("ab/../round/"), tell_content("f/../f");
    TELL(open(in("ab/../../f"), O_RDONLY) >= 0);

    /* Forty in a row are followed, whether in one place or on the way. */
    int at = open(directory, O_RDONLY | O_DIRECTORY);
    TELL(symlinkat("f", at, "chain1"));
    for (int i = 2; i <= 45; i++) {
        snprintf(target, sizeof target, "chain%d", i - 1);
        snprintf(name, sizeof name, "chain%d", i);
        symlinkat(target, at, name);
    }
    TELL(openat(at, "chain40", O_RDONLY) >= 0);
    TELL(openat(at, "chain41", O_RDONLY));
    TELL(fstatat(at, "chain45", &s, 0));
    TELL(fstatat(at, "chain45", &s, AT_SYMLINK_NOFOLLOW));
    TELL(symlinkat(".", at, "here"));
    target[0] = 0;
    for (int i = 0; i < 40; i++)
        strcat(target, "here/");
    TELL(fstatat(at, strcat(target, "f"), &s, 0));
    memmove(target + 5, target, strlen(target) + 1);
    TELL(fstatat(at, memcpy(target, "here/", 5), &s, 0));

    /* In a circle. */
    TELL(symlink("circle", in("circle")));
    TELL(open(in("circle"), O_RDONLY));
    TELL(open(in("circle"), O_RDWR | O_CREAT, 0644));
    TELL(open(in("circle/f"), O_RDONLY));
    TELL(open(in("circle"), O_RDONLY | O_NOFOLLOW));
    TELL(mkdir(in("circle"), 0755));
    TELL(stat(in("circle"), &s));
    TELL(lstat(in("circle"), &s));
    TELL(unlink(in("circle")));

    /* To nothing, until it is made through the link. */
    TELL(symlink("made", in("dangling")));
    TELL(open(in("dangling"), O_RDWR));
    TELL(open(in("dangling"), O_RDWR | O_CREAT | O_EXCL, 0644));
    TELL(open(in("dangling"), O_RDWR | O_CREAT | O_NOFOLLOW, 0644));
    tell_kind("made");
    TELL(open(in("dangling"), O_RDWR | O_CREAT, 0644) >= 0);
    tell_kind("made");
    TELL(symlink("none/made", in("astray")));
    TELL(open(in("astray"), O_RDWR | O_CREAT, 0644));

    /* What a link says. */
    TELL(symlink("0123456789", in("digits")));
    TELL(readlink(in("digits"), target, sizeof target));
    TELL(readlink(in("digits"), target, 10));
    TELL(readlink(in("digits"), target, 3));
    TELL(readlink(in("digits"), target, 0));
    TELL(readlink(in("f"), target, sizeof target));
    TELL(readlink(in("a"), target, sizeof target));
    TELL(readlink(in("none"), target, sizeof target));
    TELL(lstat(in("digits"), &s));
    TELL(s.st_size);
    TELL(symlink("", in("empty")));
    TELL(symlink("x", in("f")));
    TELL(symlink("x", in("dangling")));
    TELL(symlink("x", in("none/x")));
    TELL(symlink("x", in("f/x")));
    /* A link itself is removed, not what it leads to. */
    TELL(rmdir(in("ab")));
    TELL(unlink(in("ab")));
    tell_kind("a/b");
}
