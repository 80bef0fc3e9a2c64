//! Why an archive is not shown.

use std::fmt::{self, Display};
use std::io;

/// So many bytes of a name are told.
const TOLD: usize = 200;

/// Why an archive is not shown: one line that names it, and the member that is the reason, if one is.
#[derive(Debug)]
pub struct TarError {
    archive: String,
    problem: Problem,
}

/// What is wrong with an archive.
#[derive(Debug)]
pub(super) struct Problem {
    member: Option<String>,
    message: String,
    source: Option<io::Error>,
}

impl Problem {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Problem {
            member: None,
            message: message.into(),
            source: None,
        }
    }

    /// What failed, and why.
    pub(super) fn io(what: &str, error: io::Error) -> Self {
        Problem {
            message: format!("{what}: {error}"),
            source: Some(error),
            member: None,
        }
    }

    pub(super) fn of_member(self, name: &[u8]) -> Self {
        Problem {
            member: Some(told(name)),
            ..self
        }
    }

    pub(super) fn in_archive(self, archive: impl Display) -> TarError {
        TarError {
            archive: archive.to_string(),
            problem: self,
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Problem::io("it cannot be read", error)
    }
}

impl Display for TarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.archive)?;
        if let Some(member) = &self.problem.member {
            write!(f, "member {member}: ")?;
        }
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for TarError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.problem
            .source
            .as_ref()
            .map(|error| error as &(dyn std::error::Error + 'static))
    }
}

/// A name as it can be told in one line, whatever is in it.
pub(super) fn told(name: &[u8]) -> String {
    match name.get(..TOLD) {
        Some(beginning) if name.len() > TOLD => {
            format!("{:?}...", String::from_utf8_lossy(beginning))
        }
        _ => format!("{:?}", String::from_utf8_lossy(name)),
    }
}
