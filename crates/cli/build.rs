//! How the command is linked: so that it starts fast.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |what: &str| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if target("OS") != "linux" || target("ENV") != "gnu" {
        return;
    }
    // At a fixed address the loader has nothing to relocate: otherwise it corrects 58,000 addresses,
    // and so touches 240 pages, at every start, which takes longer than a small guest runs.
    if env::var_os("CARGO_FEATURE_PIE").is_none() {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
    // One library less to find, map and relocate.
    if let Some(folder) = unwinder_that_is_linked_in() {
        println!("cargo::rustc-link-search=native={}", folder.display());
    }
}

/// A folder in which the linker finds the C compiler's unwinder as an archive, under the name by which
/// the standard library asks for the shared one. `None` if there is no such archive.
fn unwinder_that_is_linked_in() -> Option<PathBuf> {
    // Whoever chose a linker knows why; and `cc` is for the host.
    if env::var_os("RUSTC_LINKER").is_some() || env::var("HOST") != env::var("TARGET") {
        return None;
    }
    let told = Command::new("cc")
        .arg("-print-file-name=libgcc_eh.a")
        .output();
    let path = String::from_utf8(told.ok()?.stdout).ok()?;
    // Without one, it tells the name that it was given.
    if !Path::new(path.trim()).is_absolute() {
        return None;
    }
    let folder = PathBuf::from(env::var_os("OUT_DIR")?).join("unwinder");
    fs::create_dir_all(&folder).ok()?;
    fs::write(folder.join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n").ok()?;
    Some(folder)
}
