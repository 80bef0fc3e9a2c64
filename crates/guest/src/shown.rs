//! Text from outside, made fit for a message.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// The longest name a message repeats, in characters.
const LONGEST: usize = 80;

/// A name the guest chose, as a message may show it: control characters escaped, so that it can
/// neither break the line nor drive a terminal, and cut when it is longer than 80 characters.
pub fn shown(name: &str) -> String {
    let mut start = escaped(name.chars().take(LONGEST));
    if name.chars().nth(LONGEST).is_some() {
        start.push('…');
    }
    start
}

/// All of a path, escaped like [`shown`] but not cut: the caller chose it and needs to find it.
pub(crate) fn shown_path(path: &str) -> String {
    if path.is_empty() {
        return "''".to_owned();
    }
    escaped(path.chars())
}

/// Writes a path into JSON, which has no way to tell a name that is not UTF-8: `\u{fffd}` stands for
/// what is not.
pub fn serialize_path<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    path.to_string_lossy().serialize(to)
}

/// As [`serialize_path`], for a path that may not be there.
pub(crate) fn serialize_some_path<S: Serializer>(
    path: &Option<PathBuf>,
    to: S,
) -> Result<S::Ok, S::Error> {
    let path = path.as_deref().map(Path::to_string_lossy);
    path.serialize(to)
}

fn escaped(chars: impl Iterator<Item = char>) -> String {
    let mut out = String::new();
    for c in chars {
        match c {
            // Quotes and backslashes are harmless and common in paths.
            '\\' | '\'' | '"' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_the_line_or_drive_the_terminal() {
        assert_eq!(shown("a\nb\u{1b}[31m\0"), r"a\nb\u{1b}[31m\0");
        assert_eq!(shown("right\u{202e}left"), r"right\u{202e}left");
    }

    #[test]
    fn a_long_name_is_cut_and_a_path_is_not() {
        let long = "é".repeat(200);
        assert_eq!(shown(&long).chars().count(), LONGEST + 1);
        assert_eq!(shown_path(&long), long);
        assert_eq!(shown(&"x".repeat(LONGEST)), "x".repeat(LONGEST));
    }
}
