//! What an adapter is, and the terms it speaks in.

use std::ffi::OsString;
use std::path::Path;

use wasmrun_core::{Capability, Limits, Outcome, Proposals, Result, Support, Task, Trap, TrapKind};
use wasmrun_wasi_preview1 as wasi;

use crate::scratch::Scratch;
use crate::stderr::Marker;
use crate::version::Version;

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

    /// The proposals that version has and has switched on.
    fn proposals(&self, version: &Version) -> Proposals;

    /// What that version can do with modules.
    fn capability(&self, version: &Version) -> Capability {
        relayed_capability(self.proposals(version))
    }

    /// Whether it lets guests recurse until the host has no memory left.
    fn stack_is_ours_to_bound(&self) -> bool {
        false
    }

    /// Whether its WASI sees a module's first memory only, whichever is exported.
    fn sees_first_memory_only(&self) -> bool {
        false
    }

    /// Whether it still has active segments once they are in a memory or a table, where the specification has
    /// them dropped.
    fn keeps_spent_segments(&self) -> bool {
        false
    }

    /// Whether it looks for the name of a file that it is handed, and so takes none that has no name.
    fn opens_by_name(&self) -> bool {
        false
    }

    /// As many pages as it can give a memory, if it cannot give the 65536 that 32 bits address.
    fn most_pages(&self) -> Option<u64> {
        None
    }

    /// The command line that runs a rewritten module: one that wants nothing but its standard input
    /// and output.
    fn arguments(&self, job: &Job<'_>) -> Result<Vec<OsString>>;

    /// The arguments a person would type to run `program` with nothing but arguments of its own.
    /// `None` if it cannot be typed.
    fn plain_arguments(&self, program: &Path, args: &[String]) -> Option<Vec<OsString>> {
        Some(run_with(program, args))
    }

    /// What its words say of how a guest ended that did not say it itself, or of why it could not
    /// start. `None` if they say nothing of that.
    fn explain(&self, words: &str) -> Option<Result<Outcome>>;

    /// How it compiles guests ahead of time, if it does.
    fn compiler(&self) -> Option<&'static dyn Compiler> {
        None
    }

    /// How it runs components, if it does.
    fn components(&self) -> Option<&'static dyn Components> {
        None
    }
}

/// `run PROGRAM ARGS`, which most runtimes take.
fn run_with(program: &Path, args: &[String]) -> Vec<OsString> {
    let words = ["run".into(), program.into()].into_iter();
    words.chain(args.iter().map(OsString::from)).collect()
}

/// One run of a module, or what a guest is compiled for, as an adapter sees it.
pub(crate) struct Job<'a> {
    pub(crate) version: &'a Version,
    /// An absolute path of the guest's file.
    pub(crate) program: &'a Path,
    /// What is there was [compiled](Adapter::compiler) by the runtime.
    pub(crate) compiled: bool,
    /// The [directory](Compiler::keeps_a_directory) in which the runtime finds what it compiled.
    pub(crate) code: Option<&'a Path>,
    /// It has a memory that threads may share.
    pub(crate) shared_memory: bool,
    pub(crate) limits: &'a Limits,
    pub(crate) scratch: &'a Scratch,
}

/// A runtime that takes components, and is their host.
pub(crate) trait Components: Send + Sync {
    /// What that version can do with components.
    fn capability(&self, version: &Version) -> Capability;

    /// The command line for a run.
    fn invocation(&self, job: &ComponentJob<'_>) -> Result<Invocation>;

    /// What the end of the process says of the guest. `words` is what the runtime may have said on
    /// its standard error, by the markers of the [`Invocation`].
    fn verdict(&self, code: i32, words: &str) -> Verdict;
}

/// One run of a component, as an adapter sees it.
pub(crate) struct ComponentJob<'a> {
    /// An absolute path of the guest's file.
    pub(crate) program: &'a Path,
    /// What is there was [compiled](Adapter::compiler) by the runtime.
    pub(crate) compiled: bool,
    /// What is asked. Its streams are taken care of already.
    pub(crate) task: &'a Task,
}

/// How a run of a component is started.
#[derive(Debug, Default)]
pub(crate) struct Invocation {
    pub(crate) args: Vec<OsString>,
    /// How the runtime's own messages start.
    pub(crate) markers: Vec<Marker>,
}

/// What the end of a process means.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The guest ended by itself; all words were its own.
    Guest(Outcome),
    /// The words were the runtime's, about how the guest ended or why it could not run.
    Runtime(Result<Outcome>),
}

/// A runtime's compiler, whose files the runtime then takes in place of guests or along with them.
pub(crate) trait Compiler: Send + Sync {
    /// The command line that compiles `job`'s program into `file`.
    fn arguments(&self, job: &Job<'_>, file: &Path) -> Vec<OsString>;

    /// Whether the runtime starts a module sooner than it compiles it, because it interprets.
    fn is_slow(&self) -> bool {
        false
    }

    /// Whether `file` is a directory, in which the runtime puts one file and finds it again when it is
    /// given the guest. To what follows in that file it pays no attention.
    fn keeps_a_directory(&self) -> bool {
        false
    }

    /// The file it put there, without what a rewritten guest has no use for.
    fn trimmed(&self, kept: Vec<u8>) -> Vec<u8> {
        kept
    }
}

/// What every runtime can do with modules, because we do it around them.
pub(crate) fn relayed_capability(proposals: Proposals) -> Capability {
    use Support::{Emulated, Native, Unsupported};
    Capability {
        proposals,
        shared_memories: match proposals.contains(Proposals::THREADS) {
            true => Native,
            false => Unsupported,
        },
        memory: Emulated,
        fuel: Emulated,
        table_elements: Emulated,
        reports_fuel: Emulated,
        reports_peak_memory: Emulated,
        ..wasi::capability(Emulated)
    }
}

pub(crate) fn trapped(kind: TrapKind, message: &str) -> Outcome {
    Outcome::Trapped(Trap::new(kind, message))
}
