//! Guests compiled ahead of time, by the runtime's own compiler.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use wasmrun_core::stdio::{Capture, Input, Output};
use wasmrun_core::{Control, Error, ErrorKind, Result, fingerprint};
use wasmrun_rewrite::FINGERPRINT;
use wasmrun_wasi_preview1::HOSTCALL_FUEL;

use crate::adapters::Job;
use crate::engine::Runtime;
use crate::packed;
use crate::program_file::Stamp;
use crate::scratch::{read_file, write_into};
use crate::spawn::{Launch, Status, Streams, execute};
use crate::stderr::Splitter;

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

/// How much of what a compiler says is listened to, in bytes.
const LONGEST_COMPLAINT: u64 = 64 << 10;

/// What the files that runtimes are given depend on beside the guest, the options, and the runtime's name
/// and version.
pub(crate) fn identity(runtime: &Runtime) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let ours = format!("{version} {OURS:x} {FINGERPRINT:x} {HOSTCALL_FUEL}");
    let theirs = runtime.adapter.compiler().map(|_| {
        // Another build of the same version may take other files.
        let build = Stamp::of(&runtime.path);
        format!("{build:?}\n{:?}", processor())
    });
    format!("{ours}\n{}", theirs.unwrap_or_default()).into_bytes()
}

/// Where it is decided what is in them.
const OURS: u64 = fingerprint([
    include_bytes!("adapters/mod.rs"),
    include_bytes!("adapters/node.rs"),
    include_bytes!("adapters/wasmedge.rs"),
    include_bytes!("adapters/wasmer.rs"),
    include_bytes!("adapters/wasmi.rs"),
    include_bytes!("adapters/wasmtime.rs"),
    include_bytes!("adapters/wazero.rs"),
    include_bytes!("adapters/wazero/source_map.rs"),
    include_bytes!("ahead.rs"),
    include_bytes!("component.rs"),
    include_bytes!("packed.rs"),
    include_bytes!("relay/call.rs"),
    include_bytes!("relay/memory.rs"),
    include_bytes!("relay/mod.rs"),
    include_bytes!("relay/obey.rs"),
    include_bytes!("relay/protocol.rs"),
    include_bytes!("relay/rewrite.rs"),
    include_bytes!("relay/streams.rs"),
]);

macro_rules! features {
    ($detected:ident: $($feature:tt)*) => {
        [$(($feature, std::arch::$detected!($feature))),*]
    };
}

/// What of the processor compilers look at: code for one machine may not run on another with which
/// the cache is shared.
#[cfg(target_arch = "x86_64")]
fn processor() -> impl std::fmt::Debug {
    features!(is_x86_feature_detected:
        "sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "lzcnt" "bmi1" "bmi2" "fma" "f16c" "avx" "avx2"
        "avxvnni" "avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl" "avx512vbmi" "avx512bitalg"
        "aes" "pclmulqdq" "sha" "adx" "movbe" "cmpxchg16b")
}

#[cfg(target_arch = "aarch64")]
fn processor() -> impl std::fmt::Debug {
    features!(is_aarch64_feature_detected:
        "lse" "paca" "pacg" "fp16" "dotprod" "sve" "sve2" "bti" "aes" "sha2" "crc" "rcpc")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn processor() -> impl std::fmt::Debug {
    std::env::consts::ARCH
}

/// Compiles the program of `job` into a file in `directory`, and says what is in there. If the runtime
/// [wants](Compiler::keeps_a_directory) a directory, this is [packed].
pub(crate) fn compile(
    runtime: &Runtime,
    compiler: &dyn Compiler,
    job: &Job<'_>,
    directory: &Path,
) -> Result<(PathBuf, Vec<u8>)> {
    let name = job.program.file_stem().unwrap_or("guest".as_ref());
    // What WasmEdge makes of it goes by the name's end.
    let file = directory.join(name).with_extension("so");
    let launch = Launch {
        executable: runtime.path.clone(),
        args: compiler.arguments(job, &file),
    };
    let said = Capture::new(LONGEST_COMPLAINT);
    let streams = Streams {
        stdin: Input::Null,
        stdout: Output::Capture(said.clone()),
        stderr: Output::Capture(said.clone()),
        splitter: Splitter::new(Vec::new()),
    };
    let ended = execute(launch, streams, &Control::new())?;
    if ended.status == Status::Code(0) && compiler.keeps_a_directory() {
        let packed = packed::pack(job.program, &file, |kept| compiler.trimmed(kept))?;
        // What remains goes with the directory.
        let _ = fs::remove_dir_all(&file);
        let path = write_into(directory, "packed", &packed)?;
        return Ok((path, packed));
    }
    if ended.status == Status::Code(0) && file.is_file() {
        let code = read_file(&file)?;
        return Ok((file, code));
    }
    let words = String::from_utf8_lossy(&said.take().bytes).into_owned();
    let message = format!(
        "could not compile the guest ahead of time; it ended with {:?} and said: {}",
        ended.status,
        words.lines().last().unwrap_or("nothing")
    );
    Err(Error::new(ErrorKind::Engine, message).with_context("said", words))
}
