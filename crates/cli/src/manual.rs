//! What is made of the command line's own description: completions for shells, and the manual.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use wasmrun::{Error, ErrorKind};

use crate::args::Cli;
use crate::say;

/// Prints the completions for a shell; returns the exit code.
pub fn completions(shell: Shell) -> u8 {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "wasmrun", &mut text);
    say::print(text)
}

/// Writes a page for each command into `dir`; returns the exit code.
pub fn pages(dir: &Path) -> u8 {
    let written =
        std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir));
    match written {
        Ok(()) => 0,
        Err(source) => {
            let what = format!("cannot write the manual into {}", dir.display());
            say::error(&Error::new(ErrorKind::Io, what).with_source(source), false)
        }
    }
}
