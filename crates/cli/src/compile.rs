//! `wasmrun compile GUEST`.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use wasmrun::guest::shown;
use wasmrun::{
    CacheUse, Choice, Control, Engines, Error, ErrorKind, Interrupt, Miss, Result, RunConfig,
    exit_code,
};

use crate::args::CompileArgs;
use crate::{cache, guest, progress, resolve, say, signals};

/// Compiles a guest for later runs; returns the exit code.
pub fn compile(args: &CompileArgs) -> u8 {
    // The signal that ended it.
    let signal = AtomicU8::new(0);
    let made = make(args, &signal);
    match (made, signal.into_inner()) {
        (Ok(told), 0) => say::print(format!("{told}\n")),
        (Err(error), 0) => say::error(&error, false),
        (_, signal) => exit_code::of_signal(signal),
    }
}

fn make(args: &CompileArgs, ended_by: &AtomicU8) -> Result<String> {
    // Without a cache there is no use in it.
    let cache = cache::open()?;
    let engines = Engines::new().with_cache(cache.clone());
    // Whatever else a package or an image says is for the run.
    let (guest, _) =
        guest::find(&args.package.of(&args.program))?.open(&engines, &RunConfig::new())?;
    // How much of each is for the run to say.
    let config = RunConfig::new().limit(|limits| {
        limits.fuel = args.fuel.then_some(u64::MAX);
        limits.timeout = args.timeout.then_some(Duration::MAX);
        limits.stack = args.max_stack;
    });
    let choice = Choice::from(args.engine.as_str());
    let engine = engines.select(&guest, &config, &choice)?.engine;
    // As a run will ask for it.
    let outside = resolve::is_outside(engine.info());
    let config = config.killable(outside);
    let control = Control::new();
    let compile = || progress::compile_ahead(&cache, engine, &guest, &config, &control);
    let program = if outside {
        let end = |signal| {
            ended_by.store(signal, Ordering::SeqCst);
            control.interrupt(Interrupt::Kill);
        };
        signals::attend(end, compile).map_err(|source| {
            Error::new(
                ErrorKind::Io,
                "cannot watch for signals beside the compiler",
            )
            .with_source(source)
        })??
    } else {
        compile()?
    };
    let info = program.engine().info();
    let (name, engine) = (
        shown(guest.name()),
        format!("{} {}", info.name, info.version),
    );
    match program.cache_use() {
        Some(CacheUse::Hit) => Ok(format!("{name}: compiled before ({engine})")),
        Some(CacheUse::Miss {
            why: why @ Miss::NoArtifacts,
            ..
        }) => Err(Error::new(ErrorKind::Unsupported, why.to_string()).with_engine(&info.name)),
        Some(CacheUse::Miss { not_kept: None, .. }) => {
            let time = Duration::from_millis(program.compile_time().as_millis() as u64);
            let time = humantime::format_duration(time);
            Ok(format!("{name}: compiled in {time} ({engine})"))
        }
        Some(CacheUse::Miss {
            not_kept: Some(why),
            ..
        }) => Err(Error::new(
            ErrorKind::Io,
            format!("{name} was compiled, but its code is not kept: {why}"),
        )
        .with_engine(&info.name)),
        _ => Err(Error::new(ErrorKind::Io, "the cache was not asked")),
    }
}
