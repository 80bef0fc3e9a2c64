//! The behaviour suite every wasmrun engine passes, and the guests it runs.
//!
//! An engine that is not part of wasmrun is tried in the same way as those that are. In a test of
//! `harness = false`:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use std::sync::Arc;
//!
//! use wasmrun_testkit::{NullEngine, Named, run};
//!
//! fn main() -> ExitCode {
//!     // Your engine here; the null engine runs no guest and fails nearly everything.
//!     let engine = Arc::new(NullEngine::default());
//!     run([Named::new("null", Ok(engine))])
//! }
//! ```
//!
//! Trials are named `engine::topic::rule`, and the usual arguments choose among them: `cargo test
//! -- wasmer::limits`. There are three sorts:
//!
//! - the [`suite`]: what every engine does, or refuses to by name. What it can do it says by its
//!   [`Capability`](wasmrun_core::Capability); where that lacks what a rule asks for, the refusal is
//!   what is asserted. No rule is skipped. Where WASI leaves open what is right, Linux says it: the rules of the topic
//!   `linux` compile a C program twice, for WASI and for this machine, and compare what both find. A new one is a file
//!   in `guests/oracle/` and a few lines.
//! - [`programs`]: real programs, and components from JavaScript and Python, with the same output and files everywhere.
//! - [`differential`]: where only agreement matters, each engine against the first.
//!
//! Guests from C need the compiler that `scripts/programs` gets, and so do the real programs. A
//! trial that lacks something fails.

mod case;
pub mod compiler;
pub mod concurrent;
pub mod differential;
pub mod guests;
pub mod known_differences;
mod made;
pub mod matrix;
mod null;
mod oracle;
pub mod packages;
pub mod particular;
pub mod programs;
pub mod registry;
mod restart;
pub mod sockets;
pub mod suite;
mod there_and_back;
mod tree;

use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use wasmrun_core::{CodeCache, Engine, Result};

pub use case::{Case, pack};
pub use null::NullEngine;
pub use restart::{restart_with_wasmedge, this_program, with_wasmedge};
pub use tree::Tree;

/// An engine, or what keeps it from being here.
#[derive(Debug)]
pub struct Named {
    name: String,
    engine: Result<Arc<dyn Engine>>,
}

impl Named {
    /// An engine that goes by `name`.
    pub fn new(name: impl Into<String>, engine: Result<Arc<dyn Engine>>) -> Self {
        Named {
            name: name.into(),
            engine,
        }
    }

    /// The trial `engine::present`, which fails if it is not here. With `WASMRUN_ALLOW_MISSING=1` in the environment it is
    /// shown as ignored instead: for a machine that cannot have every runtime.
    pub fn present(&self) -> Trial {
        present(&self.name, &self.engine)
    }
}

/// Runs every trial on every engine, as the command line asks.
pub fn run(engines: impl IntoIterator<Item = Named>) -> ExitCode {
    let (trials, _) = trials(engines, None);
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Every trial on every engine, and the engines that are here. An engine that is not fails [a trial](Named::present).
///
/// Real programs and those in C take long to compile: what comes of it is kept in `code`, if there is one, between their
/// trials and runs.
pub fn trials(
    engines: impl IntoIterator<Item = Named>,
    code: Option<&Arc<dyn CodeCache>>,
) -> (Vec<Trial>, Vec<Arc<dyn Engine>>) {
    let mut trials = Vec::new();
    let mut here = Vec::new();
    for named in engines {
        trials.push(named.present());
        here.extend(named.engine.ok());
    }
    for engine in &here {
        trials.extend(suite::trials(engine, code));
        trials.extend(programs::trials(engine, code));
    }
    trials.extend(suite::as_components(&here, code));
    trials.extend(differential::trials(&here));
    (trials, here)
}

/// Whether an engine that is not here is no failure: `WASMRUN_ALLOW_MISSING=1` says that this machine is to do
/// without.
pub fn may_be_missing() -> bool {
    env::var_os("WASMRUN_ALLOW_MISSING").is_some_and(|on| on == "1")
}

fn present(name: &str, engine: &Result<Arc<dyn Engine>>) -> Trial {
    let missing = engine.as_ref().err().map(ToString::to_string);
    let called = engine
        .as_ref()
        .ok()
        .map(|engine| engine.info().name.clone());
    let name = name.to_owned();
    Trial::ignorable_test(format!("{name}::present"), move || match missing {
        None if called.as_ref() == Some(&name) => Ok(Completion::Completed),
        None => Err(format!("an engine calls itself {called:?} and not {name:?}").into()),
        Some(reason) if may_be_missing() => {
            eprintln!("WARNING: {name} was not tried at all: {reason}");
            Ok(Completion::ignored_with("not here"))
        }
        Some(reason) => Err(Failed::from(format!(
            "{reason} (scripts/runtimes installs the runtimes; WASMRUN_ALLOW_MISSING=1 does without)"
        ))),
    })
}
