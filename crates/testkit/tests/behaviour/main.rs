//! Every engine that wasmrun knows, through the whole suite; and the matrix in the documentation.
//!
//! `cargo test -p wasmrun-testkit --test behaviour -- wasmer-cli::limits` chooses.

mod flattened;
mod workspaces;

use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::{env, fs, thread};

use libtest_mimic::{Arguments, Failed, Trial};
use wasmrun::{Cache, Engines};
use wasmrun_core::{CodeCache, Engine};
use wasmrun_testkit::{Named, compiler, known_differences, matrix, restart_with_wasmedge, trials};

fn main() -> ExitCode {
    restart_with_wasmedge();
    let mut arguments = Arguments::from_args();
    // Many trials wait: for a process to start, a deadline, a disk. So even a small machine runs some at a time.
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    arguments.test_threads.get_or_insert(processors.max(4));
    let known: Vec<_> = Engines::shared()
        .all()
        .into_iter()
        .map(|(name, engine)| Named::new(name, engine))
        .collect();
    let all = known.len();
    let code: Arc<dyn CodeCache> = Arc::new(Cache::open(compiler::kept()).expect("a cache"));
    let (mut trials, here) = trials(known, Some(&code));
    trials.extend(workspaces::trials(&here));
    trials.extend(flattened::trials(&here, &code));
    // The page tells of every engine: it cannot be compared where one is missing, and that is what
    // the trial of that engine says.
    if here.len() == all {
        trials.push(Trial::test("documentation::engines", move || {
            documented(&here)
        }));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let whole = conclusion.num_passed > 0
        && conclusion.num_filtered_out + conclusion.num_failed + conclusion.num_ignored == 0;
    let unneeded = known_differences::unneeded();
    if whole && !unneeded.is_empty() {
        for (engine, why) in unneeded {
            eprintln!("no longer a difference of {engine}, take it out of the list: {why}");
        }
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn documented(engines: &[Arc<dyn Engine>]) -> Result<(), Failed> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/engines.md");
    let rendered = matrix::render(engines);
    if env::var_os("WASMRUN_BLESS").is_some_and(|on| on == "1") {
        fs::write(&page, rendered)?;
        return Ok(());
    }
    let committed = fs::read_to_string(&page).unwrap_or_default();
    if committed == rendered {
        return Ok(());
    }
    Err(
        "docs/engines.md is out of date: run this with WASMRUN_BLESS=1 and look at what changed"
            .into(),
    )
}
