//! `wasmrun compile GUEST`.

use std::time::Duration;

use wasmrun::guest::shown;
use wasmrun::{CacheUse, Choice, Engines, Error, ErrorKind, Miss, Result, RunConfig};

use crate::args::CompileArgs;
use crate::{cache, progress, resolve, say};

/// Compiles a guest for later runs; returns the exit code.
pub fn compile(args: &CompileArgs) -> u8 {
    match make(args) {
        Ok(told) => say::print(&format!("{told}\n")),
        Err(error) => say::error(&error, false),
    }
}

fn make(args: &CompileArgs) -> Result<String> {
    // Without a cache there is no use in it.
    let cache = cache::open()?;
    let engines = Engines::new().with_cache(cache.clone());
    let guest = engines.guest(&args.guest, args.max_guest_size)?;
    // How much of each is for the run to say.
    let config = RunConfig::new().limit(|limits| {
        limits.fuel = args.fuel.then_some(u64::MAX);
        limits.timeout = args.timeout.then_some(Duration::MAX);
        limits.stack = args.max_stack;
    });
    let choice = Choice::from(args.engine.as_str());
    let engine = engines.select(&guest, &config, &choice)?.engine;
    // As a run will ask for it.
    let config = config.killable(resolve::is_outside(engine.info()));
    let program = progress::compile_ahead(&cache, engine, &guest, &config)?;
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
