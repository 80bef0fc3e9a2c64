//! Guests compiled ahead of time, by the runtime's own compiler.

use std::fs::File;
use std::sync::Arc;

use wasmrun_core::stdio::{Capture, Input, Output};
use wasmrun_core::{Control, Error, ErrorKind, Result, Usage};

use crate::adapter::{Compiler, Job};
use crate::packed;
use crate::runtime::Runtime;
use crate::scratch::{private_directory, read_file};
use crate::spawn::{Launch, Status, Streams, execute};
use crate::stderr::Splitter;

/// How much of what a compiler says is listened to, in bytes.
const LONGEST_COMPLAINT: u64 = 64 << 10;

/// Compiles the program of `job`, which may have to be handed to the runtime. If it
/// [wants](Compiler::keeps_a_directory) a directory, what comes of it is [packed].
/// `control` may end the compiler.
pub(crate) fn compile(
    runtime: &Runtime,
    compiler: &dyn Compiler,
    job: &Job<'_>,
    handed: Option<Arc<File>>,
    control: Option<&Control>,
) -> Result<Vec<u8>> {
    let directory = private_directory()?;
    // What WasmEdge makes of it goes by the name's end.
    let file = directory.path().join("guest.so");
    let launch = Launch {
        executable: runtime.path.clone(),
        args: compiler.arguments(job, &file),
        handed,
        usage: Usage::default(),
    };
    let said = Capture::new(LONGEST_COMPLAINT);
    let streams = Streams {
        stdin: Input::Null,
        stdout: Output::Capture(said.clone()),
        stderr: Output::Capture(said.clone()),
        splitter: Splitter::new(Vec::new()),
    };
    let (status, _) = execute(launch, streams, control.unwrap_or(&Control::new()))?;
    if status == Status::Code(0) && compiler.keeps_a_directory() {
        return packed::pack(job.program, &file, |kept| compiler.trimmed(kept));
    }
    if status == Status::Code(0) && file.is_file() {
        return read_file(&file);
    }
    let words = String::from_utf8_lossy(&said.take().bytes).into_owned();
    let message = format!(
        "could not compile the guest ahead of time; it ended with {:?} and said: {}",
        status,
        words.lines().last().unwrap_or("nothing")
    );
    Err(Error::new(ErrorKind::Engine, message).with_context("said", words))
}
