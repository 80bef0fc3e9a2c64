//! How the command is linked.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |what: &str| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    let keeps_pie = env::var_os("CARGO_FEATURE_PIE").is_some();
    // At a fixed address the loader has nothing to relocate: otherwise it corrects 58,000 addresses,
    // and so touches 240 pages, at every start, which takes longer than a small guest runs.
    if target("OS") == "linux" && target("ENV") == "gnu" && !keeps_pie {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
