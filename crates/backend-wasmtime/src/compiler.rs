//! Ending wasmtime's compiler before it is done.
//!
//! Cranelift tells a profiler of the thread when it begins a pass over a function, and ours unwinds from there. Which
//! threads compile is wasmtime's affair, within the pool it finds itself in: so that it is one of ours, where each has
//! that profiler.

use std::any::Any;

use cranelift_codegen::timing::{Pass, Profiler, set_thread_profiler};
use rayon::ThreadPoolBuilder;
use wasmrun_core::{Control, Error, ErrorKind, Guest, Result};
use wasmtime_environ::wasmparser::{Parser, Payload};

/// Compiles, on several threads if `parallel`, unless `control` is interrupted before that is done.
///
/// # Errors
///
/// Those of `compile`.
pub(crate) fn until_interrupted<T: Send>(
    control: Option<&Control>,
    parallel: bool,
    compile: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let Some(control) = control else {
        return compile();
    };
    if !parallel {
        let _profiler = Replaced::by(control);
        return compile();
    }
    let control = control.clone();
    let pool = ThreadPoolBuilder::new()
        .thread_name(|_| "wasmrun-compile".into())
        .start_handler(move |_| drop(set_thread_profiler(interrupter(&control))))
        .build();
    let pool = pool.map_err(|source| {
        Error::new(ErrorKind::Io, "cannot start threads to compile with").with_source(source)
    })?;
    pool.install(compile)
}

/// Whether a guest is to be compiled on several threads though that may have to end early. Rayon leaves each function,
/// nearly, by itself then, which takes as long as to compile one of a few instructions; a single thread leaves at once.
pub(crate) fn is_worth_several_threads(guest: &Guest) -> bool {
    const SMALL: u64 = 32;
    let functions = Parser::new(0)
        .parse_all(guest.bytes())
        .map_while(Result::ok)
        .map(|payload| match payload {
            Payload::FunctionSection(functions) => u64::from(functions.count()),
            _ => 0,
        });
    guest.size() / SMALL >= functions.sum()
}

struct Interrupter(Control);

fn interrupter(control: &Control) -> Box<dyn Profiler> {
    Box::new(Interrupter(control.clone()))
}

impl Profiler for Interrupter {
    fn start_pass(&self, _: Pass) -> Box<dyn Any> {
        self.0.unwind_if_interrupted();
        Box::new(())
    }
}

/// The calling thread's own profiler, until this is dropped.
struct Replaced(Option<Box<dyn Profiler>>);

impl Replaced {
    fn by(control: &Control) -> Self {
        Replaced(Some(set_thread_profiler(interrupter(control))))
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        if let Some(own) = self.0.take() {
            set_thread_profiler(own);
        }
    }
}
