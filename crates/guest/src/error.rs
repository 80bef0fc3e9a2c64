//! The one error type of wasmrun, down here where all crates find it: what kept a guest from running or
//! from being observed.
//!
//! How a guest itself ended, however badly, is an outcome, never an [`Error`].

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of thing went wrong. Callers branch on this; people read the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The guest's file does not exist.
    GuestNotFound,
    /// The file is something other than WebAssembly: an ELF binary, a script, text, nothing at all.
    NotWasm,
    /// The file is WebAssembly, but malformed, truncated or larger than the caller accepts; or it is not the one that
    /// the caller expects.
    Invalid,
    /// The guest needs, or the caller asks for, something the engine cannot do.
    Unsupported,
    /// No engine of that name is built in or installed.
    EngineNotFound,
    /// A host directory could not be opened, or two preopens claim one guest path.
    Preopen,
    /// The configuration contradicts itself or holds a value no guest could be given.
    Config,
    /// The operating system refused something (reading a file, making a pipe, starting a process).
    Io,
    /// The engine failed in a way that says nothing about the guest.
    Engine,
    /// A function of the host panicked.
    Host,
    /// The instance has ended, and cannot be called.
    Ended,
    /// It was ended before it was done: its time ran out, or the caller wanted it gone.
    Interrupted,
    /// Somebody else uses it, and nobody else may meanwhile.
    InUse,
}

/// What kept a guest from running or from being observed.
///
/// `Display` is one line: the message, then the engine. `Debug` tells the whole story, with the
/// operation, the context and the chain of causes.
#[derive(Clone)]
pub struct Error(Box<Repr>);

#[derive(Clone)]
struct Repr {
    kind: ErrorKind,
    message: String,
    engine: Option<String>,
    operation: Option<&'static str>,
    context: Vec<(&'static str, String)>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error that says `message`: what is wrong and, where there is one, the way out. A message
    /// of several lines becomes one.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Repr {
            kind,
            message: one_line(message.into()),
            engine: None,
            operation: None,
            context: Vec::new(),
            source: None,
        }))
    }

    /// Names the engine that was asked.
    #[must_use]
    pub fn with_engine(mut self, engine: impl Into<String>) -> Self {
        self.0.engine = Some(engine.into());
        self
    }

    /// Names the operation that failed, in the words of the API (`"compile"`, `"start"`).
    #[must_use]
    pub fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.operation = Some(operation);
        self
    }

    /// Adds a fact that helps to find the cause.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into().into());
        self
    }

    /// What sort of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message alone, without engine, context and causes.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The engine that was asked, where one was.
    pub fn engine(&self) -> Option<&str> {
        self.0.engine.as_deref()
    }
}

/// Others' words, names that a guest chose among them, can neither break the line nor drive a terminal.
fn one_line(message: String) -> String {
    if !message.contains(char::is_control) {
        return message;
    }
    let mut line = String::with_capacity(message.len());
    for part in message.lines().map(str::trim) {
        if !line.is_empty() {
            line.push(' ');
        }
        for c in part.chars() {
            if c.is_control() {
                line.extend(c.escape_default());
            } else {
                line.push(c);
            }
        }
    }
    line
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(engine) = &self.0.engine {
            write!(f, "{engine}: ")?;
        }
        f.write_str(&self.0.message)?;
        if let Some(source) = &self.0.source {
            // One line: a cause with several lines is told whole by `Debug`.
            let cause = source.to_string();
            let first = cause.lines().next().unwrap_or_default();
            if !first.is_empty() {
                write!(f, ": {}", one_line(first.to_owned()))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)?;
        if let Some(engine) = &self.0.engine {
            write!(f, "\n  engine: {engine}")?;
        }
        if let Some(operation) = self.0.operation {
            write!(f, "\n  operation: {operation}")?;
        }
        for (key, value) in &self.0.context {
            write!(f, "\n  {key}: {value}")?;
        }
        let mut cause = self
            .0
            .source
            .as_deref()
            .map(|source| source as &dyn StdError);
        while let Some(error) = cause {
            write!(f, "\n  caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_one_line_and_debug_tells_the_story() {
        let error = Error::new(ErrorKind::Io, "cannot read app.wasm")
            .with_engine("wasmtime")
            .with_operation("compile")
            .with_context("path", "app.wasm")
            .with_source(std::io::Error::other("disk on fire\nand more"));
        assert_eq!(
            error.to_string(),
            "wasmtime: cannot read app.wasm: disk on fire"
        );
        let lines = Error::new(
            ErrorKind::Invalid,
            "not `\u{1b}[31mx`:\n  expected=[\n    1,\n  ]",
        )
        .with_source(std::io::Error::other("a\tb"));
        assert_eq!(
            lines.to_string(),
            r"not `\u{1b}[31mx`: expected=[ 1, ]: a\tb"
        );
        let story = format!("{error:?}");
        for part in ["Io", "compile", "path: app.wasm", "and more"] {
            assert!(story.contains(part), "{story}");
        }
    }
}
