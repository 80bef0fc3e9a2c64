//! How the command is linked: so that it starts fast.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What a start executes, to be put side by side. Written by `scripts/start-order`.
const START: &str = "start.ld";

/// Libraries by the names under which the standard library asks for them, and what they are as
/// archives. Linked in, there is no library to find, map and relocate.
const C_LIBRARY: [(&str, &[&str]); 7] = [
    UNWINDER,
    ("c", &["c", "gcc_eh", "gcc"]),
    ("m", &["m"]),
    ("rt", &["rt"]),
    ("pthread", &["pthread"]),
    ("dl", &["dl"]),
    ("util", &["util"]),
];
const UNWINDER: (&str, &[&str]) = ("gcc_s", &["gcc_eh", "gcc"]);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={START}");
    println!("cargo::rustc-check-cfg=cfg(linked_in)");
    if target("OS") != "linux" || target("ENV") != "gnu" {
        return;
    }
    // At a fixed address the loader has nothing to relocate: otherwise it corrects 58,000 addresses,
    // and so touches 240 pages, at every start, which takes longer than a small guest runs.
    let fixed = !feature("PIE");
    if fixed {
        link("-no-pie");
    }
    // What follows is for the linker that Rust comes with, or the C compiler's; and `cc` is the host's.
    if linker_was_chosen() || env::var("HOST") != env::var("TARGET") {
        return;
    }
    // WasmEdge's library is loaded into the running process, which takes the shared C library.
    if fixed && !feature("WASMEDGE") && linked_in(&C_LIBRARY).is_some() {
        link("-static");
        println!("cargo::rustc-cfg=linked_in");
    } else {
        linked_in(&[UNWINDER]);
    }
    let released = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if released && target("ARCH") == "x86_64" {
        let manifest = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        link("-T");
        link(&format!("{manifest}/{START}"));
    }
}

/// Has the linker find the archives of `libraries` before the shared libraries of these names. `None`
/// if one is not there.
fn linked_in(libraries: &[(&str, &[&str])]) -> Option<()> {
    // All or none: half a C library linked in does not go with the other half loaded.
    let scripts: Vec<(String, String)> = libraries
        .iter()
        .map(|(name, parts)| {
            let archives: Option<Vec<_>> = parts.iter().map(|part| archive(part)).collect();
            let script = format!("GROUP({})\n", archives?.join(" "));
            Some((format!("lib{name}.so"), script))
        })
        .collect::<Option<_>>()?;
    let folder = PathBuf::from(env::var_os("OUT_DIR")?).join("archives");
    fs::create_dir_all(&folder).ok()?;
    for (file, script) in scripts {
        fs::write(folder.join(file), script).ok()?;
    }
    link(&format!("-L{}", folder.display()));
    Some(())
}

/// Where the C compiler has that library as an archive.
fn archive(name: &str) -> Option<String> {
    let told = Command::new("cc")
        .arg(format!("-print-file-name=lib{name}.a"))
        .output();
    let path = String::from_utf8(told.ok()?.stdout).ok()?;
    // Without one, it tells the name that it was given.
    let path = path.trim();
    Path::new(path).is_absolute().then(|| path.to_owned())
}

/// By `-C linker=…`, `-C link-arg=-fuse-ld=…` and the like, or `-C target-feature=+crt-static`.
fn linker_was_chosen() -> bool {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    env::var_os("RUSTC_LINKER").is_some() || flags.contains("link") || flags.contains("crt-static")
}

/// Hands the command's linker an argument, and no other's: its tests are linked as usual.
fn link(argument: &str) {
    println!("cargo::rustc-link-arg-bins={argument}");
}

fn target(what: &str) -> String {
    env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default()
}

fn feature(name: &str) -> bool {
    env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
}
