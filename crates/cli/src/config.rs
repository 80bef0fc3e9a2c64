//! `wasmrun config` and `wasmrun schema`: runs as files.

use wasmrun::RunFile;

use crate::args::ConfigArgs;
use crate::{resolve, say};

/// Prints a command line as a file; returns the exit code.
pub fn config(args: &ConfigArgs) -> u8 {
    let text = resolve::asked_on(&args.engine, &args.guest).and_then(|file| {
        // What could not be run is not printed.
        file.choice(&wasmrun::Engines::new())?;
        file.guest()?;
        resolve::not_for_programs(&file.config)?;
        match args.json {
            true => file.to_json(),
            false => file.to_toml(),
        }
    });
    match text {
        Ok(text) => say::print(text),
        Err(error) => say::error(&error, false),
    }
}

/// Prints the JSON Schema of such files; returns the exit code.
pub fn schema() -> u8 {
    say::print_json(&RunFile::schema())
}
