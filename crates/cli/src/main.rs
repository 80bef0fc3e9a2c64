//! The `wasmrun` command: arguments in, calls to the `wasmrun` library, reports out.
//!
//! Arguments are parsed into a plain struct ([`args`]) and resolved into what the library takes
//! ([`resolve`]). Nothing here knows an engine.

mod args;
mod cache;
mod compile;
mod ending;
mod engines;
mod inspect;
mod progress;
mod report;
mod resolve;
mod run;
mod say;
mod signals;
mod values;
mod version;
mod wrap;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use wasmrun::exit_code;

use args::{Cli, Command};

fn main() -> ExitCode {
    signals::end_quietly_on_a_closed_pipe();
    let code = match Cli::try_parse() {
        Ok(cli) => dispatch(cli),
        Err(error) if error.kind() == ErrorKind::DisplayVersion => say::print(&version::text()),
        Err(error) => {
            // A usage error that cannot be shown is still one.
            let _ = error.print();
            if error.use_stderr() {
                exit_code::WASMRUN
            } else {
                0
            }
        }
    };
    ExitCode::from(code)
}

fn dispatch(cli: Cli) -> u8 {
    match (cli.command, cli.run) {
        (Some(Command::Run(args)), _) => run::run(&args),
        (Some(Command::Compile(args)), _) => compile::compile(&args),
        (Some(Command::Cache(args)), _) => cache::cache(&args),
        (Some(Command::Engines(args)), _) => engines::engines(&args),
        (Some(Command::Inspect(args)), _) => inspect::inspect(&args),
        (None, Some(args)) => run::run(&args),
        (None, None) => unreachable!("clap asks for a guest or a subcommand"),
    }
}
