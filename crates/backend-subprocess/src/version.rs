//! Versions of runtimes, as far as they are compared.

use std::fmt;

/// Major, minor and patch, and the words they came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    numbers: [u32; 3],
    text: String,
}

impl Version {
    pub(crate) fn new(major: u32, minor: u32, patch: u32) -> Self {
        Version {
            numbers: [major, minor, patch],
            text: format!("{major}.{minor}.{patch}"),
        }
    }

    /// Reads the version that `text` starts with: `48.0.8`, `v20.20.2`, `7.4.2-rc.1`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let text = text.split_whitespace().next()?;
        let mut numbers = [0; 3];
        let release = text.split(['-', '+']).next()?;
        let mut parts = release.split('.');
        for number in &mut numbers {
            match parts.next() {
                Some(part) => *number = part.parse().ok()?,
                None => break,
            }
        }
        Some(Version {
            numbers,
            text: text.to_owned(),
        })
    }

    /// The version in the first line of `text` that holds one after `prefix`.
    pub(crate) fn after(prefix: &str, text: &str) -> Option<Self> {
        text.lines()
            .find_map(|line| Version::parse(line.split_once(prefix)?.1.trim_start()))
    }

    /// A build between releases, which tells no number; taken for `numbers`.
    pub(crate) fn unreleased(text: &str, taken_for: Version) -> Self {
        Version {
            text: text.to_owned(),
            ..taken_for
        }
    }

    pub(crate) fn at_least(&self, major: u32) -> bool {
        self.numbers[0] >= major
    }

    pub(crate) fn is_older_than(&self, other: &Version) -> bool {
        self.numbers < other.numbers
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_runtimes_print_them() {
        for (printed, prefix, expected) in [
            (
                "wasmtime 48.0.8 (1c2e3d 2026-11-01)",
                "wasmtime ",
                [48, 0, 8],
            ),
            (
                "/opt/wasmedge version 0.17.1\n (plugin) version 0.1.0.0",
                "version ",
                [0, 17, 1],
            ),
            ("v20.20.2\n", "", [20, 20, 2]),
            ("wasmer 7.5.0-rc.1", "wasmer ", [7, 5, 0]),
        ] {
            let version = Version::after(prefix, printed).expect(printed);
            assert_eq!(version.numbers, expected, "{printed}");
        }
    }

    #[test]
    fn what_is_no_version_is_none() {
        for printed in ["", "hello", "wasmtime", "wasmtime x.y"] {
            assert_eq!(Version::after("wasmtime ", printed), None, "{printed}");
        }
    }

    #[test]
    fn versions_compare_by_number() {
        let old = Version::new(9, 12, 0);
        assert!(old.is_older_than(&Version::new(10, 0, 0)));
        assert!(old.at_least(9) && !old.at_least(10));
    }
}
