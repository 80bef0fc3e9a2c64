//! Finding runtimes, and asking them who they are.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use wasmrun_core::stdio::{Capture, Input, Output};
use wasmrun_core::{
    Answers, Control, EngineInfo, Error, ErrorKind, Interrupt, Place, Result, Usage,
};

use crate::adapter::Adapter;
use crate::adapters::ADAPTERS;
use crate::engine::SubprocessEngine;
use crate::spawn::{Launch, Status, Streams, execute};
use crate::stderr::Splitter;
use crate::version::Version;

/// The names of all engines of this backend, best first.
pub const NAMES: &[&str] = &[
    "wasmtime-cli",
    "wasmer-cli",
    "wasmi-cli",
    "wasmedge-cli",
    "wazero-cli",
    "node-cli",
];

/// How long a runtime may take to tell its version. The first start of a large executable from a
/// cold disk takes a second or two.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much it may say.
const LONGEST_ANSWER: u64 = 64 << 10;

/// An engine that was looked for.
#[derive(Debug)]
pub struct Discovered {
    /// Its name.
    pub name: &'static str,
    /// The engine, or why it is not here.
    pub engine: Result<SubprocessEngine>,
}

/// Looks for all engines on `PATH`, at the same time. In the order of [`NAMES`].
pub fn discover() -> Vec<Discovered> {
    thread::scope(|scope| {
        let searches = ADAPTERS.map(|adapter| {
            let search = thread::Builder::new().spawn_scoped(scope, || search(adapter, None));
            (adapter, search)
        });
        searches
            .into_iter()
            .map(|(adapter, started)| Discovered {
                name: adapter.name(),
                engine: match started {
                    Ok(search) => search.join().unwrap_or_else(|_| Err(not_found(adapter))),
                    // No thread to be had: without one, then.
                    Err(_) => search(adapter, None),
                },
            })
            .collect()
    })
}

/// Looks for the executable of the engine `name` on `PATH`, and asks it for its version, unless
/// `answers` remembers it.
///
/// # Errors
///
/// [`EngineNotFound`](ErrorKind::EngineNotFound) if there is none, if it is too old, or if it is
/// something else; the message says how to get one.
pub fn find(name: &str, answers: Option<&dyn Answers>) -> Result<SubprocessEngine> {
    search(adapter(name)?, answers)
}

/// Takes the executable at `path` for the engine `name`, and asks it for its version, unless
/// `answers` remembers it.
///
/// # Errors
///
/// As for [`find`].
pub fn at(
    name: &str,
    path: impl AsRef<Path>,
    answers: Option<&dyn Answers>,
) -> Result<SubprocessEngine> {
    let (adapter, path) = (adapter(name)?, path.as_ref());
    let found = std::path::absolute(path)
        .ok()
        .filter(|path| path.is_file())
        .ok_or_else(|| {
            let message = format!("no executable at {}", path.display());
            Error::new(ErrorKind::EngineNotFound, message).with_engine(name)
        })?;
    probe(adapter, found, answers).map_err(|error| error.with_engine(name))
}

/// The command a person would type to run `program` on this runtime, with nothing but arguments: to
/// see what the runtime does by itself, without us. `None` if it is no runtime of this backend, or has
/// no such command.
pub fn own_command(runtime: &EngineInfo, program: &Path, args: &[String]) -> Option<Command> {
    let Place::Executable(executable) = &runtime.place else {
        return None;
    };
    let adapter = ADAPTERS
        .into_iter()
        .find(|adapter| adapter.name() == runtime.name)?;
    let mut command = Command::new(executable);
    command.args(adapter.plain_arguments(program, args)?);
    Some(command)
}

fn adapter(name: &str) -> Result<&'static dyn Adapter> {
    ADAPTERS
        .into_iter()
        .find(|adapter| adapter.name() == name)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::EngineNotFound,
                format!(
                    "no runtime is called {name:?}; there are {}",
                    NAMES.join(", ")
                ),
            )
        })
}

fn search(
    adapter: &'static dyn Adapter,
    answers: Option<&dyn Answers>,
) -> Result<SubprocessEngine> {
    let path = which::which(adapter.executable())
        .ok()
        .and_then(|path| std::path::absolute(path).ok())
        .ok_or_else(|| not_found(adapter))?;
    probe(adapter, path, answers).map_err(|error| error.with_engine(adapter.name()))
}

fn not_found(adapter: &dyn Adapter) -> Error {
    Error::new(
        ErrorKind::EngineNotFound,
        format!(
            "no executable {:?} on PATH; get it by {}",
            adapter.executable(),
            adapter.how_to_get()
        ),
    )
    .with_engine(adapter.name())
}

fn probe(
    adapter: &'static dyn Adapter,
    path: PathBuf,
    answers: Option<&dyn Answers>,
) -> Result<SubprocessEngine> {
    let mut ask = || ask(adapter, &path);
    let printed = match answers.filter(|_| speaks_for_itself(adapter, &path)) {
        Some(answers) => answers.answer(&path, &adapter.version_args().join(" "), &mut ask),
        None => ask(),
    }?;
    let Some(version) = adapter.version(&printed) else {
        return Err(Error::new(
            ErrorKind::EngineNotFound,
            format!(
                "{} is no {}: asked for its version, it says {:?}",
                path.display(),
                adapter.executable(),
                printed.lines().next().unwrap_or_default()
            ),
        ));
    };
    check_age(adapter, &path, &version)?;
    tracing::debug!(engine = adapter.name(), %version, path = %path.display(), "found runtime");
    Ok(SubprocessEngine::new(adapter, version, path))
}

/// Whether its version is that of the file: it is no script, nor an executable of many names, which
/// could call something else tomorrow without having changed.
fn speaks_for_itself(adapter: &dyn Adapter, path: &Path) -> bool {
    let is_script = || -> io::Result<bool> {
        let mut start = [0; 2];
        File::open(path)?.read_exact(&mut start)?;
        Ok(start == *b"#!")
    };
    let own_name = path.canonicalize().is_ok_and(|file| {
        file.file_stem()
            .is_some_and(|name| name == adapter.executable())
    });
    own_name && is_script().is_ok_and(|script| !script)
}

fn check_age(adapter: &dyn Adapter, path: &Path, version: &Version) -> Result<()> {
    let minimum = adapter.minimum();
    if version.is_older_than(&minimum) {
        return Err(Error::new(
            ErrorKind::EngineNotFound,
            format!(
                "{} is version {version}, and {minimum} is the oldest that will do; get a newer one by {}",
                path.display(),
                adapter.how_to_get()
            ),
        ));
    }
    Ok(())
}

/// What the executable prints when it is asked for its version.
fn ask(adapter: &dyn Adapter, path: &Path) -> Result<String> {
    let launch = Launch {
        executable: path.to_owned(),
        args: adapter.version_args().iter().map(Into::into).collect(),
        handed: None,
        usage: Usage::default(),
    };
    let answer = Capture::new(LONGEST_ANSWER);
    let streams = Streams {
        stdin: Input::Null,
        stdout: Output::Capture(answer.clone()),
        stderr: Output::Null,
        splitter: Splitter::new(Vec::new()),
    };
    let refuse = |why: String| {
        Error::new(
            ErrorKind::EngineNotFound,
            format!("{} does not tell its version: {why}", path.display()),
        )
    };
    let control = Control::new();
    let (status, _) = within(PATIENCE, &control, || execute(launch, streams, &control))?;
    match status {
        _ if control.interrupted().is_some() => Err(refuse(format!(
            "no answer within {} seconds",
            PATIENCE.as_secs()
        ))),
        Status::Code(0) => Ok(String::from_utf8_lossy(&answer.take().bytes).into_owned()),
        Status::Code(code) => Err(refuse(format!("it exits with {code}"))),
        Status::Signal(signal) => Err(refuse(format!("signal {signal} ends it"))),
    }
}

/// Runs `step`, and interrupts it when it takes longer than `time`.
fn within<T>(time: Duration, control: &Control, step: impl FnOnce() -> T) -> T {
    let (done, waiting) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if waiting.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                control.interrupt(Interrupt::Timeout);
            }
        });
        let result = step();
        drop(done);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_adapter_is_named() {
        assert_eq!(ADAPTERS.map(|adapter| adapter.name()), NAMES);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = find("wasm3-cli", None).expect_err("there is none");
        assert_eq!(error.kind(), ErrorKind::EngineNotFound);
        assert!(error.to_string().contains("wasmtime-cli"), "{error}");
    }
}
