//! Why bytes are no WebAssembly program.

use std::error::Error as StdError;
use std::fmt;

use wasmparser::BinaryReaderError;

use crate::error::{Error, ErrorKind};

/// Why bytes are no well-formed WebAssembly; says where.
#[derive(Debug)]
pub(crate) struct Malformed(String);

impl Malformed {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Malformed(what.into())
    }

    pub(crate) fn at(offset: usize, what: impl fmt::Display) -> Self {
        Malformed(format!("{what} (at offset {offset:#x})"))
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Malformed {}

impl From<BinaryReaderError> for Malformed {
    fn from(error: BinaryReaderError) -> Self {
        Malformed(error.to_string())
    }
}

/// The error for a guest that is `called` so and is malformed, or invalid, for this reason.
pub(crate) fn invalid(called: &str, what: impl fmt::Display) -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!("{called} is not a valid WebAssembly program: {what}"),
    )
}
