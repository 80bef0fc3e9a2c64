/* A name is taken from something and given to something else. */
static void look(void) {
    mkfile(in("f"), "f"), mkfile(in("g"), "g"), mkdir(in("d"), 0755), mkdir(in("full"), 0755);
    mkdir(in("empty"), 0755), mkdir(in("full/in"), 0755), mkfile(in("full/in/f"), "deep");
    symlink("f", in("lf")), symlink("d", in("ld")), symlink("none", in("dangling"));

    /* What may take whose place. */
    TELL(rename(in("f"), in("d")));
    TELL(rename(in("d"), in("f")));
    TELL(rename(in("d"), in("full")));
    TELL(rename(in("f"), in("full")));
    TELL(rename(in("d"), in("lf")));
    TELL(rename(in("d"), in("ld")));
    TELL(rename(in("full"), in("empty")));
    tell_content("empty/in/f");
    TELL(rename(in("empty"), in("full")));
    TELL(rename(in("f"), in("g")));
    tell_content("g"), tell_content("f");
    TELL(rename(in("g"), in("f")));

    /* Links, not what they lead to. */
    mkfile(in("h"), "h");
    TELL(rename(in("h"), in("lf")));
    tell_content("lf"), tell_content("f");
    TELL(rename(in("dangling"), in("moved")));
    tell_kind("moved");
    TELL(rename(in("lf"), in("moved")));
    tell_kind("moved");
    TELL(rename(in("ld"), in("ld2")));
    TELL(rename(in("f"), in("ld2/f")));
    tell_kind("d/f");
    TELL(rename(in("ld2/f"), in("f")));

    /* Into itself, and into what is in it. */
    TELL(rename(in("f"), in("f")));
    TELL(rename(in("full"), in("full")));
    TELL(rename(in("full"), in("full/x")));
    TELL(rename(in("full"), in("full/in/x")));
    TELL(rename(in("full"), in("full/in")));
    TELL(rename(in("full/in"), in("full")));
    TELL(rename(in("full/in/f"), in("full")));
    TELL(rename(in("full/in/f"), in("full/in")));

    /* One file by two names keeps both. */
    TELL(link(in("f"), in("same")));
    TELL(rename(in("f"), in("same")));
    tell_kind("f"), tell_kind("same");

    /* What is no name, and what is not there. */
    TELL(rename(in("."), in("x")));
    TELL(rename(in("d/."), in("x")));
    TELL(rename(in("full/in/.."), in("x")));
    TELL(rename(in("d"), in(".")));
    TELL(rename(in("d"), in("full/.")));
    TELL(rename(in("d"), in("full/..")));
    TELL(rename(in("none"), in("x")));
    TELL(rename(in("none"), in("none")));
    TELL(rename(in("none"), in("f")));
    TELL(rename(in("none/x"), in("x")));
    TELL(rename(in("f"), in("none/x")));
    TELL(rename(in("f/x"), in("x")));
    TELL(rename(in("f"), in("same/x")));
}
