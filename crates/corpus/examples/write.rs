//! Writes the corpus into a directory, a file for each module: `cargo run --example write DIRECTORY`.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let directory = env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or_else(|| io::Error::other("name a directory"))?;
    fs::create_dir_all(&directory)?;
    for module in wasmrun_corpus::modules() {
        let name = module.name.replace(' ', "-") + ".wasm";
        fs::write(directory.join(name), module.wasm)?;
    }
    Ok(())
}
