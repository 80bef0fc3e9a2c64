//! Why a package is not read.

use std::fmt;
use std::io;

/// Why a package is not read, in one line that does not name it: who opened it does.
#[derive(Debug)]
pub struct Problem {
    message: String,
    source: Option<io::Error>,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Problem {
            message: message.into(),
            source: None,
        }
    }

    /// The same, of a part of the package.
    pub(crate) fn of(self, part: impl fmt::Display) -> Self {
        Problem {
            message: format!("{part}: {}", self.message),
            ..self
        }
    }

    /// Whether the system failed to read it, or refused to: nothing is known of what is in it then.
    pub fn is_io(&self) -> bool {
        self.source.is_some()
    }
}

/// The end of a file is the package's fault, and all else the system's.
impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Problem::new("it is cut off"),
            _ => Problem {
                message: format!("it cannot be read: {error}"),
                source: Some(error),
            },
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_ref()
            .map(|error| error as &(dyn std::error::Error + 'static))
    }
}
