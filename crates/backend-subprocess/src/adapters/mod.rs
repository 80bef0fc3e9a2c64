//! What there is to know of each runtime: one adapter each.
//!
//! To add a runtime, add its file here, its line in [`ADAPTERS`] and its line in the facade's
//! registry; the tests then run everything on it.

mod command_line;
mod node;
mod traps;
mod wasmedge;
mod wasmer;
mod wasmi;
mod wasmtime;
mod wazero;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use wasmrun_core::guest::ExportKind;
use wasmrun_core::{
    Capability, Error, ErrorKind, Guest, Outcome, Result, Support, Task, WasiVersion,
};

use crate::scratch::Scratch;
use crate::stderr::Marker;
use crate::version::Version;

/// Every runtime, best first.
pub(crate) static ADAPTERS: [&dyn Adapter; 6] = [
    &wasmtime::Wasmtime,
    &wasmer::Wasmer,
    &wasmedge::WasmEdge,
    &wasmi::Wasmi,
    &wazero::Wazero,
    &node::Node,
];

/// A runtime that is an executable.
pub(crate) trait Adapter: Send + Sync {
    /// The engine's name.
    fn name(&self) -> &'static str;

    /// The executable's name.
    fn executable(&self) -> &'static str;

    /// How to get it, after "get it by".
    fn how_to_get(&self) -> &'static str;

    /// Arguments that make it print its version.
    fn version_args(&self) -> &'static [&'static str] {
        &["--version"]
    }

    /// The version in what it prints; `None` if some other program printed it.
    fn version(&self, printed: &str) -> Option<Version>;

    /// The oldest version this adapter speaks to.
    fn minimum(&self) -> Version;

    /// What that version can do.
    fn capability(&self, version: &Version) -> Capability;

    /// Whether it hands a guest's exit code to the operating system whatever it is. Those that do
    /// not tell of large codes themselves.
    fn passes_large_exit_codes(&self) -> bool {
        false
    }

    /// Refuses guests that the runtime would run, but not as they are meant.
    fn accept(&self, _guest: &Guest) -> Result<()> {
        Ok(())
    }

    /// The command line for a run.
    fn invocation(&self, job: &Job<'_>) -> Result<Invocation>;

    /// What the end of the process says of the guest. `words` is what the runtime may have said on
    /// its standard error, by the markers of the [`Invocation`].
    fn verdict(&self, job: &Job<'_>, code: i32, words: &str) -> Verdict;
}

/// One run, as an adapter sees it.
pub(crate) struct Job<'a> {
    pub(crate) version: &'a Version,
    pub(crate) guest: &'a Guest,
    /// An absolute path of the guest's file.
    pub(crate) program: PathBuf,
    /// What is asked. Its streams are taken care of already.
    pub(crate) task: &'a Task,
    pub(crate) scratch: &'a Scratch,
}

impl Job<'_> {
    /// The guest's `argv[0]`.
    pub(crate) fn argv0(&self) -> &str {
        self.task.args.first().map_or("", String::as_str)
    }

    /// The guest's other arguments.
    pub(crate) fn args(&self) -> &[String] {
        self.task.args.get(1..).unwrap_or_default()
    }

    /// The export to call; the default one for a component.
    pub(crate) fn entry(&self) -> &str {
        self.task.entry.as_deref().unwrap_or(Guest::DEFAULT_ENTRY)
    }

    /// A path of the program whose last part is `name`: for runtimes that take `argv[0]` from
    /// there.
    pub(crate) fn program_named(&self, name: &str) -> Result<PathBuf> {
        if self.program.file_name().is_some_and(|own| own == name) {
            return Ok(self.program.clone());
        }
        let is_a_name = !matches!(name, "" | "." | "..") && !name.contains('/') && name.len() < 256;
        if !is_a_name {
            return Err(unsupported(format!(
                "takes argv[0] from the name of the guest's file, which cannot be {name:?}"
            )));
        }
        self.scratch.link(name, &self.program)
    }
}

/// How a run is started.
#[derive(Debug, Default)]
pub(crate) struct Invocation {
    pub(crate) args: Vec<OsString>,
    pub(crate) directory: Option<PathBuf>,
    /// How the runtime's own messages start.
    pub(crate) markers: Vec<Marker>,
    /// The guest cannot write to its standard output, so what comes there is the runtime's.
    pub(crate) discards_stdout: bool,
}

/// What the end of a process means.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The guest ended by itself; all words were its own.
    Guest(Outcome),
    /// The words were the runtime's, about how the guest ended or why it could not run.
    Runtime(Result<Outcome>),
}

/// What holds for every runtime, because the operating system or this crate does it, or because
/// no runtime has a way to be told.
pub(crate) fn common_capability() -> Capability {
    Capability {
        modules: Support::Native,
        preview1: Support::Native,
        args: Support::Native,
        env: Support::Native,
        timeout: Support::Emulated,
        kill: Support::Emulated,
        ..Capability::default()
    }
}

pub(crate) fn unsupported(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

/// The guest's exit code is not one of those that arrive.
pub(crate) fn lost_exit_code(arriving: &str) -> Error {
    unsupported(format!(
        "the guest exited with a code that is not one of {arriving}, and this runtime passes on no other"
    ))
}

/// For runtimes that know no WASI yet when an instance is made.
fn refuse_start_with_wasi(guest: &Guest) -> Result<()> {
    if guest.start_section() && guest.wasi() != WasiVersion::None {
        return Err(unsupported(
            "has no WASI yet when a start section runs, and the guest has one",
        ));
    }
    Ok(())
}

fn exports_function(guest: &Guest, name: &str) -> bool {
    guest
        .exports()
        .iter()
        .any(|export| export.name == name && matches!(export.kind, ExportKind::Function(_)))
}

/// For runtimes that call the entry and nothing before it.
fn refuse_initialize(guest: &Guest) -> Result<()> {
    if exports_function(guest, "_initialize") {
        return Err(unsupported(
            "does not call _initialize before the entry, and the guest exports one",
        ));
    }
    Ok(())
}

/// For runtimes whose memory limit is one for each memory.
fn refuse_several_memories(guest: &Guest, limit: Option<u64>) -> Result<()> {
    if limit.is_some() && guest.memories().len() > 1 {
        return Err(unsupported(format!(
            "limits each memory by itself, and the guest has {}",
            guest.memories().len()
        )));
    }
    if limit.is_some() && guest.memories().iter().any(|memory| memory.shared) {
        return Err(unsupported(
            "cannot limit a shared memory, which the guest has",
        ));
    }
    Ok(())
}

/// A path in UTF-8: what command lines are made of.
fn utf8(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        unsupported(format!(
            "cannot be given {}: its name is not UTF-8",
            path.display()
        ))
    })
}
