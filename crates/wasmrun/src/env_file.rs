//! Files of environment variables, as Docker's `--env-file` has them.
//!
//! A line is `NAME=VALUE`, or `NAME` alone for the host's value, and nothing if the host has none. White space before
//! a name is left out, and all else is part of the value, quotes and white space at its end as well. Lines that begin
//! with `#` and empty ones are none. A byte order mark in front is left out.

use std::env::VarError;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use wasmrun_core::{Error, ErrorKind, Result};

/// The largest file that is read: 16 MiB.
const MAX_BYTES: u64 = 16 << 20;

/// Reads a file: names and values, in its order. A name may be there twice.
///
/// # Errors
///
/// [`Io`](ErrorKind::Io) if it cannot be read; [`Config`](ErrorKind::Config), with the line, for what is no variable.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<(String, String)>> {
    let path = path.as_ref();
    let name = path.display().to_string();
    parse(&name, &content(path)?)
}

/// What is in a file that people write, if it is no larger than that can be.
pub(crate) fn content(path: &Path) -> Result<Vec<u8>> {
    let name = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|source| {
            Error::new(ErrorKind::Io, format!("cannot read {name}")).with_source(source)
        })?;
    if bytes.len() as u64 > MAX_BYTES {
        let message = format!("{name} is larger than {MAX_BYTES} bytes");
        return Err(Error::new(ErrorKind::Config, message));
    }
    Ok(bytes)
}

/// Reads what is in a file that errors call `name`.
///
/// # Errors
///
/// As for [`read`], where they do not concern files.
///
/// ```
/// let variables = wasmrun::env_file::parse("app.env", b"# of the app\nMODE=fast\n  LOG=\"a b\" \n")?;
/// assert_eq!(variables, [("MODE".into(), "fast".into()), ("LOG".into(), "\"a b\" ".into())]);
/// # Ok::<(), wasmrun::Error>(())
/// ```
pub fn parse(name: &str, bytes: &[u8]) -> Result<Vec<(String, String)>> {
    let mut variables = Vec::new();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
        match variable(line) {
            Ok(variable) => variables.extend(variable),
            Err(why) => {
                let message = format!("{name}, line {number}: {why}");
                return Err(Error::new(ErrorKind::Config, message));
            }
        }
    }
    Ok(variables)
}

fn variable(line: &[u8]) -> Result<Option<(String, String)>, String> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = std::str::from_utf8(line).map_err(|_| "this is not UTF-8".to_owned())?;
    let line = line.trim_start();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, value) = match line.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (line, None),
    };
    if name.is_empty() {
        return Err("a name is expected in front of `=`".into());
    }
    if name.contains(char::is_whitespace) {
        return Err(format!("the name {name:?} has white space in it"));
    }
    let value = match (value, std::env::var(name)) {
        (Some(value), _) => value.to_owned(),
        (None, Ok(value)) => value,
        (None, Err(VarError::NotPresent)) => return Ok(None),
        (None, Err(VarError::NotUnicode(_))) => {
            return Err(format!("the host's value of {name} is not UTF-8"));
        }
    };
    Ok(Some((name.to_owned(), value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &[u8]) -> Result<Vec<(String, String)>, String> {
        parse("a.env", text).map_err(|error| error.to_string())
    }

    /// The cases of docker/cli, opts/file_test.go and pkg/kvfile/kvfile_test.go.
    #[test]
    fn variables_are_as_docker_has_them() {
        let text = b"\xef\xbb\xbfFOO=BAR\n    BAZ=QUUX\n# comment\n\n    # another\n\
            foobar=foobaz\nwith.dots=working\nand_underscore=working too\nEMPTY=\nQUOTED=\"a\" # kept\n\
            trailing=a b \t\nequals=a=b\ncr=1\r\n  \n";
        let expected = [
            ("FOO", "BAR"),
            ("BAZ", "QUUX"),
            ("foobar", "foobaz"),
            ("with.dots", "working"),
            ("and_underscore", "working too"),
            ("EMPTY", ""),
            ("QUOTED", "\"a\" # kept"),
            ("trailing", "a b \t"),
            ("equals", "a=b"),
            ("cr", "1"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parsed(text), Ok(expected.into()));
        assert_eq!(parsed(b""), Ok(vec![]));
    }

    #[test]
    fn a_name_alone_is_the_hosts_and_left_out_if_it_has_none() {
        let path = std::env::var("PATH").expect("tests have a PATH");
        let expected = vec![("PATH".to_owned(), path)];
        assert_eq!(parsed(b"PATH\nWASMRUN_NOT_SET\n"), Ok(expected));
    }

    #[test]
    fn what_is_no_variable_is_told_with_its_line() {
        for (text, told) in [
            (
                &b"A=1\n=2"[..],
                "a.env, line 2: a name is expected in front of `=`",
            ),
            (b"=", "a.env, line 1: a name is expected in front of `=`"),
            (
                b"A B=1",
                "a.env, line 1: the name \"A B\" has white space in it",
            ),
            (
                b"\n\nA =1",
                "a.env, line 3: the name \"A \" has white space in it",
            ),
            (
                b"A B",
                "a.env, line 1: the name \"A B\" has white space in it",
            ),
            (b"A=1\nB=\xff\n", "a.env, line 2: this is not UTF-8"),
        ] {
            assert_eq!(parsed(text), Err(told.into()));
        }
    }
}
