//! Guests compiled ahead of time, by the runtime's own compiler.

use std::fs;
use std::path::{Path, PathBuf};

use wasmrun_core::stdio::{Capture, Input, Output};
use wasmrun_core::{Control, Error, ErrorKind, Result};

use crate::adapter::{Compiler, Job};
use crate::packed;
use crate::runtime::Runtime;
use crate::scratch::{read_file, write_into};
use crate::spawn::{Launch, Status, Streams, execute};
use crate::stderr::Splitter;

/// How much of what a compiler says is listened to, in bytes.
const LONGEST_COMPLAINT: u64 = 64 << 10;

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
    let (status, _) = execute(launch, streams, &Control::new())?;
    if status == Status::Code(0) && compiler.keeps_a_directory() {
        let packed = packed::pack(job.program, &file, |kept| compiler.trimmed(kept))?;
        // What remains goes with the directory.
        let _ = fs::remove_dir_all(&file);
        let path = write_into(directory, "packed", &packed)?;
        return Ok((path, packed));
    }
    if status == Status::Code(0) && file.is_file() {
        let code = read_file(&file)?;
        return Ok((file, code));
    }
    let words = String::from_utf8_lossy(&said.take().bytes).into_owned();
    let message = format!(
        "could not compile the guest ahead of time; it ended with {:?} and said: {}",
        status,
        words.lines().last().unwrap_or("nothing")
    );
    Err(Error::new(ErrorKind::Engine, message).with_context("said", words))
}
