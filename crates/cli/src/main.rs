//! The `wasmrun` command: arguments in, calls to the `wasmrun` library, reports out.
//!
//! Arguments are parsed into a plain struct ([`args`]) and resolved into what the library takes
//! ([`resolve`]). Nothing here knows an engine.

mod args;
mod bench;
mod cache;
mod changes;
mod compare;
mod compile;
mod config;
mod containers;
mod ending;
mod engines;
mod flatten;
mod guest;
#[cfg(feature = "oci")]
mod images;
mod input;
mod inspect;
mod invoke;
mod lineup;
#[cfg(all(
    target_os = "linux",
    target_env = "gnu",
    target_feature = "crt-static",
    not(test)
))]
mod linked_in;
mod manual;
mod mounts;
mod progress;
mod report;
mod resolve;
mod run;
mod say;
mod scratch;
mod signals;
mod values;
mod version;
mod wave;
mod workspace;
mod world;
mod wrap;
mod written;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use wasmrun::exit_code;

use args::{Cli, Command};

fn main() -> ExitCode {
    if containers::is_supervisor() {
        return ExitCode::from(containers::supervise());
    }
    signals::end_quietly_on_a_closed_pipe();
    if bench::spawner::is_meant() {
        return ExitCode::from(bench::spawner::serve());
    }
    if let Some(args) = args::plain_run() {
        return ExitCode::from(run::run(&args));
    }
    let parsed = Cli::command()
        .try_get_matches()
        .and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let code = match parsed {
        Ok((cli, matches)) => dispatch(cli, &matches),
        Err(error) if error.kind() == ErrorKind::DisplayVersion => say::print(version::text()),
        Err(error) if error.use_stderr() => {
            // A usage error that cannot be shown is still one.
            let _ = error.print();
            exit_code::WASMRUN
        }
        Err(help) => say::printed(help.print()),
    };
    ExitCode::from(code)
}

fn dispatch(cli: Cli, matches: &ArgMatches) -> u8 {
    match cli.command {
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Compare(args)) => compare::compare(&args),
        Some(Command::Bench(args)) => bench::bench(&args, matches),
        Some(Command::Config(args)) => config::config(&args),
        Some(Command::Schema) => config::schema(),
        Some(Command::Compile(args)) => compile::compile(&args),
        Some(Command::Flatten(args)) => flatten::flatten(&args),
        Some(Command::Cache(args)) => cache::cache(&args),
        Some(Command::Workspace(args)) => workspace::workspace(&args),
        Some(Command::Containers(command)) => containers::containers(&command),
        Some(Command::Engines(args)) => engines::engines(&args),
        Some(Command::Inspect(args)) => inspect::inspect(&args),
        #[cfg(feature = "oci")]
        Some(Command::Images(command)) => images::images(&command),
        Some(Command::Completions { shell }) => manual::completions(shell),
        Some(Command::Man { dir }) => manual::pages(&dir),
        None => run::run(&cli.run),
    }
}
