//! What we say ourselves: results to standard output, everything else, a line each, to standard
//! error.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use bytesize::ByteSize;
use serde::Serialize;
use wasmrun::{Error, Result, exit_code};

/// Prints a result; returns the exit code.
pub fn print(text: impl AsRef<[u8]>) -> u8 {
    printed(io::stdout().write_all(text.as_ref()))
}

/// Makes sure of what was written to standard output; returns the exit code.
pub fn printed(written: io::Result<()>) -> u8 {
    match written.and_then(|()| io::stdout().flush()) {
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
        Ok(json) => print(format!("{json}\n")),
        Err(error) => {
            line(format_args!("cannot print JSON: {error}"));
            exit_code::WASMRUN
        }
    }
}

/// So many of something.
pub fn count(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// So many bytes.
pub fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// How long something is ago, to the minute.
pub fn ago(age: Duration) -> String {
    let minutes = Duration::from_secs(age.as_secs() / 60 * 60);
    match minutes.is_zero() {
        true => "just now".into(),
        false => format!("{} ago", humantime::format_duration(minutes)),
    }
}

/// Says one line under our name.
pub fn line(message: impl Display) {
    plain(format_args!("wasmrun: {message}\n"));
}

/// Says text that is not under our name.
pub fn plain(text: impl Display) {
    // There is no one left to tell that standard error is gone.
    let _ = asked_for(text);
}

/// Says on standard error what was asked for there.
pub fn asked_for(text: impl Display) -> Result<()> {
    write!(io::stderr().lock(), "{text}").map_err(|source| {
        Error::new(wasmrun::ErrorKind::Io, "cannot write to standard error").with_source(source)
    })
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
