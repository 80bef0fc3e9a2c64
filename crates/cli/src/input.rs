//! Standard input for several runs: read once, given to each.

use std::fs::File;
use std::io::{self, IsTerminal, Read};

use wasmrun::{Error, ErrorKind, Result, Stdin};

/// The most that is kept.
const LIMIT: u64 = 1 << 30;

/// What `stdin` asks for, in a form that any number of runs can have. A terminal is not read: nobody
/// would type the same for each.
pub fn read_once(stdin: &Stdin) -> Result<Stdin> {
    match stdin {
        Stdin::Inherit if io::stdin().is_terminal() => Ok(Stdin::Null),
        Stdin::Inherit => read(io::stdin().lock(), "standard input"),
        // A pipe or a device gives what it has once.
        Stdin::File(path) if path.exists() && !path.is_file() => {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|source| failed(&name, source))?;
            read(file, &name)
        }
        other => Ok(other.clone()),
    }
}

fn read(from: impl Read, name: &str) -> Result<Stdin> {
    let mut bytes = Vec::new();
    from.take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| failed(name, source))?;
    if bytes.len() as u64 > LIMIT {
        return Err(Error::new(
            ErrorKind::Config,
            format!("{name} is more than 1 GiB; put it into a file and give --stdin FILE"),
        ));
    }
    Ok(Stdin::Bytes(bytes))
}

fn failed(name: &str, source: io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot read {name}")).with_source(source)
}
