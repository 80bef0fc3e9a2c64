//! `wasmrun flatten COMPONENT`.

use std::io::{self, IsTerminal};
use std::path::Path;

use wasmrun::flatten::flatten as flattened;
use wasmrun::{Engines, Error, ErrorKind, Result, RunConfig};

use crate::args::FlattenArgs;
use crate::written::written;
use crate::{guest, say};

/// Writes a component as one core module; returns the exit code.
pub fn flatten(args: &FlattenArgs) -> u8 {
    write(args).unwrap_or_else(|error| say::error(&error, false))
}

fn write(args: &FlattenArgs) -> Result<u8> {
    let to = args.output.as_deref().unwrap_or(Path::new("-"));
    if to.as_os_str() == "-" && io::stdout().is_terminal() {
        let message = "a module is no text for a terminal: give -o FILE, or redirect the output";
        return Err(Error::new(ErrorKind::Config, message));
    }
    let source = guest::find(&args.package.of(&args.program))?;
    let (component, _) = source.open(&Engines::new(), &RunConfig::new())?;
    let module = flattened(&component)?.module;
    written(to, |to| {
        to.write_all(module.bytes()).map_err(|source| {
            Error::new(ErrorKind::Io, "cannot write the module").with_source(source)
        })
    })
}
