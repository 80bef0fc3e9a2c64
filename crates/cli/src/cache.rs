//! Where compiled code is kept, and `wasmrun cache`.

use std::env;
use std::path::PathBuf;
use std::time::SystemTime;

use wasmrun::cache::{Entry, Removed};
use wasmrun::guest::shown;
use wasmrun::{Cache, Engines, ErrorKind, Result};

use crate::args::{CacheArgs, CacheCommand};
use crate::say;

/// The variable that says where the cache is.
pub const DIR: &str = "WASMRUN_CACHE_DIR";

/// Shows or changes what is kept; returns the exit code.
pub fn cache(args: &CacheArgs) -> u8 {
    match run(&args.command) {
        Ok(code) => code,
        Err(error) => say::error(&error, false),
    }
}

fn run(command: &CacheCommand) -> Result<u8> {
    if let CacheCommand::Dir = command {
        return Ok(say::print(format!("{}\n", dir()?.display())));
    }
    let cache = open()?;
    Ok(match command {
        CacheCommand::Dir => unreachable!("it needs no cache"),
        CacheCommand::List { json: true } => say::print_json(&cache.list()?),
        CacheCommand::List { json: false } => say::print(table(&cache.list()?)),
        CacheCommand::Verify => {
            let verified = cache.verify()?;
            let damaged = verified.damaged.len() as u64 + verified.unreadable;
            for entry in &verified.damaged {
                let guest = shown(&entry.guest);
                say::line(format_args!(
                    "{guest}, compiled by {} {}, was damaged and is removed",
                    entry.engine, entry.engine_version
                ));
            }
            if verified.unreadable > 0 {
                let what = say::count(verified.unreadable, "record");
                say::line(format_args!(
                    "removed {what} of which nothing could be read"
                ));
            }
            let good = say::count(verified.good, "program");
            match say::print(format!("{good} undamaged\n")) {
                0 => u8::from(damaged > 0),
                failed => failed,
            }
        }
        CacheCommand::Clear => say::print(told(cache.clear()?)),
        CacheCommand::Prune { max_size } => say::print(told(cache.prune(*max_size)?)),
    })
}

fn dir() -> Result<PathBuf> {
    match asked_for() {
        Some(dir) => Ok(dir),
        None => Cache::user_dir(),
    }
}

fn asked_for() -> Option<PathBuf> {
    let dir = env::var_os(DIR).filter(|dir| !dir.is_empty())?;
    Some(dir.into())
}

pub fn open() -> Result<Cache> {
    Cache::open(dir()?)
}

/// Engines that keep what they compile, as far as there is a place for it. That there is none is
/// told where the user can do something about it.
pub fn engines(verbose: bool) -> Engines {
    match open() {
        Ok(cache) => Engines::new().with_cache(cache),
        Err(error) => {
            if verbose || asked_for().is_some() || error.kind() == ErrorKind::Config {
                say::line(&error);
            }
            Engines::new()
        }
    }
}

fn told(removed: Removed) -> String {
    let programs = say::count(removed.entries, "program");
    format!("removed {programs}, {}\n", say::size(removed.bytes))
}

/// A line for each program.
fn table(entries: &[Entry]) -> String {
    let now = SystemTime::now();
    let rows: Vec<[String; 5]> = entries.iter().map(|entry| row(entry, now)).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: [usize; 5] = std::array::from_fn(width);
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(widths);
            let cells: Vec<_> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            format!("{}\n", cells.join("  ").trim_end())
        })
        .collect()
}

fn row(entry: &Entry, now: SystemTime) -> [String; 5] {
    let mut options = Vec::new();
    if entry.fuel {
        options.push("fuel".to_owned());
    }
    if entry.interruptible {
        options.push("timeout".to_owned());
    }
    if let Some(stack) = entry.stack {
        options.push(format!("stack {}", say::size(stack)));
    }
    let age = now.duration_since(entry.last_used).unwrap_or_default();
    [
        shown(&entry.guest),
        format!("{} {}", entry.engine, entry.engine_version),
        options.join(", "),
        say::size(entry.bytes),
        say::ago(age),
    ]
}
