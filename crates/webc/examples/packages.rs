//! Writes packages of each sort into a directory, for a fuzz target to begin with: `cargo run -p wasmrun-webc --example packages
//! DIRECTORY`.

use std::path::PathBuf;
use std::{env, fs, io};

use wasmrun_testkit::packages::{Packed, PackedCommand};

fn main() -> io::Result<()> {
    let directory = env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or_else(|| io::Error::other("name a directory"))?;
    fs::create_dir_all(&directory)?;
    let command = PackedCommand {
        name: "app",
        atom: "program",
        args: &["-x"],
        env: &["A=1"],
        argv0: Some("application"),
        working_directory: Some("/data"),
        ..PackedCommand::default()
    };
    let whole = Packed::new()
        .named("tools/app", "1.2.3")
        .atom("program", b"\0asm\x01\0\0\0")
        .command(command)
        .file("assets", "d/deep", "deep")
        .file("assets", "top", "top")
        .shows(None, "assets", "/data");
    let using = whole
        .clone()
        .entrypoint("app")
        .uses("used", "tools/used@^2")
        .shows(Some("used"), "share", "/share");
    let linked = whole.clone().link("assets", "d/up", "../top");
    for (name, bytes) in [
        ("whole", whole.bytes()),
        ("linked", linked.bytes()),
        ("using", using.bytes()),
        ("empty", Packed::new().bytes()),
        ("version-2", using.bytes_of_version_2()),
        ("without-digests", whole.bytes_without_digests()),
    ] {
        fs::write(directory.join(name), bytes)?;
    }
    Ok(())
}
