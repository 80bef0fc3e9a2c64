//! `wasmrun bench GUEST`: one program measured on several engines.

mod export;
mod measure;
mod results;
pub mod spawner;
mod start;
mod statistics;

use clap::ArgMatches;
use wasmrun::{Result, Stdout};

use crate::args::{BenchArgs, GuestArgs};
use crate::compare::Stage;
use crate::resolve::usage;
use crate::say;

use export::Format;
use measure::{Plan, measure};

/// Options that a process for the guest gets from us, whatever was typed.
const OURS: &[&str] = &[
    "dir", "mount", "overlay", "pull", "stdin", "tmpfs", "volume",
];

/// Measures the engines; returns the exit code. `matches` is how the command line was parsed.
pub fn bench(args: &BenchArgs, matches: &ArgMatches) -> u8 {
    execute(args, matches).unwrap_or_else(|error| say::error(&error, args.several.verbose))
}

fn execute(args: &BenchArgs, matches: &ArgMatches) -> Result<u8> {
    let matches = matches
        .subcommand_matches("bench")
        .ok_or_else(|| usage("this is not `wasmrun bench`"))?;
    let options = GuestArgs::typed(matches, OURS);
    // Before anything is measured that could then not be written.
    let page = args.html.as_deref().map(export::Page::create).transpose()?;
    let stage = Stage::set(&args.several)?;
    if let Some(package) = stage.request.source.package() {
        return Err(usage(format!(
            "{} is a package, and what is measured is a file, or a reference, and what it is run with",
            package.display()
        )));
    }
    for output in [&stage.request.config.stdout, &stage.request.config.stderr] {
        if let Stdout::File(path) = output {
            return Err(usage(format!(
                "every process that is measured would write to {}; leave that out of the file",
                path.display()
            )));
        }
    }
    let comparison = stage.compare()?;
    if !comparison.agree && !args.ignore_differences {
        let code = comparison.tell(args.json);
        say::line("the engines differ, so they are not measured; --ignore-differences does it");
        return Ok(code);
    }
    let plan = Plan {
        warmup: args.warmup,
        runs: args.runs,
        time: args.time,
    };
    let results = measure(&stage, &comparison, &options, plan)?;
    if let Some(page) = page {
        page.write(&results)?;
    }
    let format = match (args.json, args.csv, args.markdown) {
        (true, ..) => Format::Json,
        (_, true, _) => Format::Csv,
        (.., true) => Format::Markdown,
        _ => Format::Terminal,
    };
    Ok(export::print(&results, format))
}
