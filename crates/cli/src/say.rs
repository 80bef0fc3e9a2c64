//! What we say ourselves: results to standard output, everything else, a line each, to standard
//! error.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use serde::Serialize;
use wasmrun::{Error, exit_code};

/// Prints a result; returns the exit code.
pub fn print(text: &str) -> u8 {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => 0,
        // Whoever read it has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => 0,
        Err(error) => {
            line(format_args!("cannot write to standard output: {error}"));
            exit_code::WASMRUN
        }
    }
}

/// Prints a result as JSON; returns the exit code.
pub fn print_json(value: &impl Serialize) -> u8 {
    match serde_json::to_string_pretty(value) {
        Ok(json) => print(&format!("{json}\n")),
        Err(error) => {
            line(format_args!("cannot print JSON: {error}"));
            exit_code::WASMRUN
        }
    }
}

/// Says one line under our name.
pub fn line(message: impl Display) {
    plain(format_args!("wasmrun: {message}\n"));
}

/// Says text that is not under our name.
pub fn plain(text: impl Display) {
    // There is no one left to tell that standard error is gone.
    let _ = write!(io::stderr().lock(), "{text}");
}

/// A line from elsewhere, unable to drive a terminal.
pub fn harmless(line: &str) -> String {
    let mut harmless = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '\t' => harmless.push_str("    "),
            c if c.is_control() => harmless.extend(c.escape_default()),
            c => harmless.push(c),
        }
    }
    harmless
}

/// Says what went wrong; returns the exit code.
pub fn error(error: &Error, verbose: bool) -> u8 {
    if verbose {
        line(format_args!("{error}\n  {error:?}"));
    } else {
        line(error);
    }
    error.kind().exit_code()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(harmless("\tat \u{1b}[31mf ü"), "    at \\u{1b}[31mf ü");
    }
}
