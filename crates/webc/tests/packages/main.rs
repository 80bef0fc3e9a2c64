//! Packages as they are made elsewhere, and what is wrong with those that are not.

mod dependencies;
mod held;
mod malformed;
mod properties;
mod reading;

use wasmrun_testkit::packages::{Packed, PackedCommand};

/// A module that does nothing.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// With something of each sort in it.
fn full() -> Packed {
    Packed::new()
        .named("tools/app", "1.2.3")
        .atom("program", MODULE)
        .command(PackedCommand {
            name: "app",
            atom: "program",
            args: &["-x"],
            env: &["A=1", "B=x=y"],
            argv0: Some("application"),
            working_directory: Some("/data"),
            ..PackedCommand::default()
        })
        .command(PackedCommand {
            name: "other",
            atom: "thing",
            dependency: Some("used"),
            ..PackedCommand::default()
        })
        .entrypoint("app")
        .file("assets", "d/e/deep", "deep")
        .file("assets", "top", "top")
        .shows(None, "assets", "/data")
        .shows(Some("used"), "share", "/share")
        .uses("used", "tools/used@^2")
}
