//! One difference between two engines.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};
use similar::TextDiff;

use super::output::Output;
use crate::say::harmless;

/// Where an engine differs from the first.
#[derive(Debug, Serialize)]
pub struct Difference {
    pub engine: String,
    pub part: Part,
    #[serde(flatten)]
    pub how: How,
}

/// What differs.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    Outcome,
    Stdout,
    Stderr,
    /// A file, by its path in the guest.
    File(String),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Outcome => "outcome",
            Part::Stdout => "stdout",
            Part::Stderr => "stderr",
            Part::File(path) => path,
        })
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// How it differs.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum How {
    /// Something short.
    Value { first: String, here: String },
    /// Text, as a unified diff.
    Text { diff: String },
    /// Anything else.
    Bytes {
        first_bytes: u64,
        here_bytes: u64,
        /// The place of the first byte that differs, or that only the longer one has.
        at: u64,
    },
}

/// Text that is longer is told as bytes: nobody reads such a diff.
pub const MAX_TEXT: usize = 1 << 20;
/// A diff that is good enough comes sooner than the best one.
const PATIENCE: Duration = Duration::from_millis(500);

/// The difference between the bytes of the first engine and those of another.
pub fn of_bytes(name: &str, between: (&str, &str), first: &[u8], here: &[u8]) -> Option<How> {
    if first == here {
        return None;
    }
    if let (Some(one), Some(other)) = (text(first), text(here)) {
        let diff = unified(&harmless(name), between, one, other);
        return Some(How::Text { diff });
    }
    Some(How::Bytes {
        first_bytes: first.len() as u64,
        here_bytes: here.len() as u64,
        at: common(first, here) as u64,
    })
}

/// The same of what they wrote to a stream.
pub fn of_outputs(name: &str, between: (&str, &str), first: &Output, here: &Output) -> Option<How> {
    if first == here {
        return None;
    }
    if first.is_kept() && here.is_kept() {
        return of_bytes(name, between, &first.start, &here.start);
    }
    let at = common(&first.start, &here.start);
    let all = |output: &Output| at == output.start.len() && !output.is_kept();
    if all(first) && all(here) {
        // Where the rest begins to differ is not known.
        let told = |output: &Output| {
            let Output { start, bytes, rest } = output;
            let beyond = bytes - start.len() as u64;
            format!("{bytes} bytes, the last {beyond} with digest {rest}")
        };
        return Some(How::Value {
            first: told(first),
            here: told(here),
        });
    }
    Some(How::Bytes {
        first_bytes: first.bytes,
        here_bytes: here.bytes,
        at: at as u64,
    })
}

/// How many bytes are the same at the start of both.
pub fn common(one: &[u8], other: &[u8]) -> usize {
    // Many at a time, as far as they are the same.
    const MANY: usize = 4 << 10;
    let pairs = one.chunks(MANY).zip(other.chunks(MANY));
    let many = MANY * pairs.take_while(|(a, b)| a == b).count();
    let many = many.min(one.len());
    let pairs = one[many..].iter().zip(&other[many..]);
    many + pairs.take_while(|(a, b)| a == b).count()
}

/// A unified diff, in which nothing but a line feed ends a line.
fn unified(name: &str, between: (&str, &str), first: &str, here: &str) -> String {
    let lines = |text| str::split_inclusive(text, '\n').collect::<Vec<_>>();
    let (first, here) = (lines(first), lines(here));
    let diff = TextDiff::configure()
        .timeout(PATIENCE)
        .diff_slices(&first, &here);
    let mut text = format!("--- {name} ({})\n+++ {name} ({})\n", between.0, between.1);
    for hunk in diff.unified_diff().iter_hunks() {
        text += &format!("{}\n", hunk.header());
        for change in hunk.iter_changes() {
            text += &format!("{}{}", change.tag(), change.value());
            if !change.value().ends_with('\n') {
                text += "\n\\ No newline at end of file\n";
            }
        }
    }
    text
}

fn text(bytes: &[u8]) -> Option<&str> {
    let text = str::from_utf8(bytes).ok()?;
    (bytes.len() <= MAX_TEXT && !text.contains('\0')).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AB: (&str, &str) = ("a", "b");

    #[test]
    fn text_differs_by_lines() {
        let how = of_bytes("stdout", AB, b"one\ntwo\n", b"one\n2\n");
        let diff = "--- stdout (a)\n+++ stdout (b)\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n";
        assert_eq!(how, Some(How::Text { diff: diff.into() }));
    }

    #[test]
    fn lines_end_with_line_feeds_and_with_nothing_else() {
        let how = of_bytes("a\nb", AB, b"10%\r20%\r\nend", b"10%\r30%\r\nend\r");
        let diff = "--- a\\nb (a)\n+++ a\\nb (b)\n@@ -1,2 +1,2 @@\n-10%\r20%\r\n-end\n\
                    \\ No newline at end of file\n+10%\r30%\r\n+end\r\n\\ No newline at end of file\n";
        assert_eq!(how, Some(How::Text { diff: diff.into() }));
    }

    #[test]
    fn what_is_no_text_differs_by_size_and_place() {
        let how = |first: &[u8], here: &[u8]| of_bytes("stdout", AB, first, here);
        let bytes = |first_bytes, here_bytes, at| {
            Some(How::Bytes {
                first_bytes,
                here_bytes,
                at,
            })
        };
        assert_eq!(how(b"\0ab", b"\0ac"), bytes(3, 3, 2));
        assert_eq!(how(b"\xff", b""), bytes(1, 0, 0));
        assert_eq!(how(b"text", b"text\xff"), bytes(4, 5, 4));
    }

    proptest! {
        #[test]
        fn only_what_is_the_same_does_not_differ(
            (one, other) in (any::<Vec<u8>>(), any::<Vec<u8>>()),
        ) {
            prop_assert_eq!(of_bytes("x", AB, &one, &one), None);
            prop_assert_eq!(of_bytes("x", AB, &one, &other).is_none(), one == other);
        }
    }
}
