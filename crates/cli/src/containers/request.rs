//! What is asked of a container's supervisor, over its socket: a line of JSON each way.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasmrun::{Error, ErrorKind, Result};
use wasmrun_containers::Signal;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// End it, after that time. It is answered at once.
    Stop(Duration),
    /// End it as a signal does. It is answered at once.
    Kill(Signal),
    /// Tell what it uses.
    Stats,
}

/// What is answered, or why it cannot be done.
pub type Reply = Result<serde_json::Value, Refused>;

/// An error that goes from one process to another.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refused {
    pub kind: ErrorKind,
    pub message: String,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused {
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}

impl From<Refused> for Error {
    fn from(Refused { kind, message }: Refused) -> Self {
        Error::new(kind, message)
    }
}

/// Writes a line.
pub fn send(to: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    to.write_all(&line)
}

/// Reads a line; `None` at the end.
pub fn receive<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    match line.is_empty() {
        true => Ok(None),
        false => Ok(Some(serde_json::from_slice(&line)?)),
    }
}

/// Asks the supervisor at that socket; `None` if it has gone, or goes before it answers.
pub fn ask(socket: &Path, request: &Request) -> Result<Option<serde_json::Value>> {
    let Ok(mut stream) = UnixStream::connect(socket) else {
        return Ok(None);
    };
    let reply =
        send(&mut stream, request).and_then(|()| receive::<Reply>(&mut BufReader::new(stream)));
    match reply {
        Ok(Some(reply)) => Ok(Some(reply?)),
        Ok(None) | Err(_) => Ok(None),
    }
}
