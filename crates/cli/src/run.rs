//! `wasmrun [run] GUEST`.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use wasmrun::guest::shown;
use wasmrun::{
    CacheUse, Capability, Engines, Error, ErrorKind, Guest, Limits, Miss, Outcome, Place, Program,
    Report, Result, RunConfig, Selection, Stats, TrapKind, check, exit_code,
};

use crate::args::RunArgs;
use crate::report::{ReportFile, RunReport};
use crate::resolve::{Request, resolve};
use crate::{cache, progress, say, signals};

/// Runs the guest; returns the exit code.
pub fn run(args: &RunArgs) -> u8 {
    signals::end_with_the_process();
    let engines = match args.no_cache {
        true => Engines::new(),
        false => cache::engines(args.verbose),
    };
    let opened = resolve(args, &engines).and_then(|request| {
        let file = args.report.as_deref().map(ReportFile::create).transpose()?;
        Ok((request, file))
    });
    let (request, file) = match opened {
        Ok(opened) => opened,
        Err(error) => return say::error(&error, args.verbose),
    };
    let mut report = RunReport::new(&request.guest, &request.config.limits);
    let code = match execute(args, &request, &engines, &mut report) {
        Ok(ended) => tell(&ended, &request.config.limits, args.verbose),
        Err(error) => {
            report.failed(&error);
            say::error(&error, args.verbose)
        }
    };
    match file.map(|file| report.write(file, code)) {
        None | Some(Ok(())) => code,
        Some(Err(error)) => {
            say::line(format_args!(
                "{error}; the exit code would have been {code}"
            ));
            exit_code::WASMRUN
        }
    }
}

/// A guest that ended.
struct Ended {
    guest: String,
    engine: String,
    outcome: Outcome,
    signal: Option<u8>,
}

fn execute(
    args: &RunArgs,
    request: &Request,
    engines: &Engines,
    report: &mut RunReport,
) -> Result<Ended> {
    let began = Instant::now();
    let guest = engines.guest(&request.guest, request.max_guest_bytes)?;
    report.read(&guest, began.elapsed());

    let began = Instant::now();
    let engine = select(args, request, engines, &guest, report)?.engine;
    let info = engine.info().clone();
    report.selected(&info, began.elapsed());

    // A process of its own has to be ended; what is part of ours ends with us.
    let outside = info.place != Place::InProcess;
    let config = request.config.clone().killable(outside);
    let program = progress::compile(engines, engine, &guest, &config)?;
    if let Some(CacheUse::Miss {
        why,
        not_kept: Some(not_kept),
    }) = program.cache_use()
        && args.verbose
        && *why != Miss::NoArtifacts
    {
        say::line(format_args!("the compiled code is not kept: {not_kept}"));
    }
    report.compiled(&program);
    let (outcome, stats, signal) = if outside || args.report.is_some() {
        watched(&program, &config)?
    } else {
        let Report { outcome, stats, .. } = program.run(&config)?;
        (outcome, stats, None)
    };
    report.ended(&outcome, &stats, signal);
    Ok(Ended {
        guest: shown(guest.name()),
        engine: info.name,
        outcome,
        signal,
    })
}

fn select(
    args: &RunArgs,
    request: &Request,
    engines: &Engines,
    guest: &Guest,
    report: &mut RunReport,
) -> Result<Selection> {
    let Request { config, choice, .. } = request;
    if args.explain {
        let explanation = engines.explain(guest, config, choice);
        say::plain(&explanation);
        report.considered(&explanation.considered);
        return explanation.into_selection();
    }
    let selected = engines.select(guest, config, choice);
    match &selected {
        Ok(selection) => report.considered(&selection.considered),
        Err(_) if args.report.is_some() => {
            report.considered(&engines.explain(guest, config, choice).considered);
        }
        Err(_) => {}
    }
    selected.map_err(|error| {
        let one_could = check::refusals(&Capability::EVERYTHING, guest, config).is_empty();
        match (error.kind(), error.engine()) {
            (ErrorKind::Unsupported, None) if one_could => Error::new(
                ErrorKind::Unsupported,
                format!("{error}; --explain shows every engine"),
            ),
            _ => error,
        }
    })
}

enum Event {
    Ended(Box<Result<Report>>),
    Signal(u8),
}

/// Runs the guest on another thread, while this one waits for its end or a signal.
fn watched(program: &Program, config: &RunConfig) -> Result<(Outcome, Stats, Option<u8>)> {
    let no_watch =
        |source| Error::new(ErrorKind::Io, "cannot watch for signals").with_source(source);
    let (events, happened) = channel();
    let signals = events.clone();
    // Nobody listens any more once the guest has ended.
    signals::watch(move |signal| drop(signals.send(Event::Signal(signal)))).map_err(no_watch)?;

    let run = program.start(config)?;
    let killer = run.killer().ok();
    thread::Builder::new()
        .name("wasmrun-wait".into())
        .spawn(move || drop(events.send(Event::Ended(Box::new(run.wait())))))
        .map_err(no_watch)?;

    let killed_by = |signal| (Outcome::Killed, Stats::default(), Some(signal));
    let mut killed = None;
    loop {
        match (happened.recv(), killed) {
            (Ok(Event::Ended(_)), Some(signal)) => return Ok(killed_by(signal)),
            (Ok(Event::Ended(ended)), None) => {
                let Report { outcome, stats, .. } = (*ended)?;
                return Ok((outcome, stats, None));
            }
            (Ok(Event::Signal(signal)), None) => match &killer {
                Some(killer) => {
                    killer.kill();
                    killed = Some(signal);
                }
                None => return Ok(killed_by(signal)),
            },
            // Whoever asks twice does not want to wait.
            (Ok(Event::Signal(signal)), Some(_)) => return Ok(killed_by(signal)),
            (Err(_), _) => {
                return Err(Error::new(ErrorKind::Engine, "the guest's end was lost"));
            }
        }
    }
}

/// Says how the guest ended, unless it exited by itself; returns the exit code.
fn tell(ended: &Ended, limits: &Limits, verbose: bool) -> u8 {
    let Ended {
        guest,
        engine,
        outcome,
        signal,
    } = ended;
    if let Some(signal) = signal {
        return exit_code::of_signal(*signal);
    }
    let limit = |limit: Option<String>| limit.map(|limit| format!("limit {limit}; "));
    match outcome {
        Outcome::Exited(_) => {}
        Outcome::Trapped(trap) => {
            let first = trap.message.lines().next().unwrap_or_default();
            match trap.kind {
                TrapKind::Other if !first.is_empty() => {
                    say::line(format_args!("{guest} trapped: {} ({engine})", shown(first)));
                }
                kind => say::line(format_args!("{guest} trapped: {kind} ({engine})")),
            }
            if verbose {
                for line in trap.message.lines() {
                    say::plain(format_args!("  {}\n", say::harmless(line)));
                }
            }
        }
        other => {
            let limit = match other {
                Outcome::TimedOut => limit(
                    limits
                        .timeout
                        .map(|time| humantime::format_duration(time).to_string()),
                ),
                Outcome::OutOfFuel => limit(limits.fuel.map(|fuel| fuel.to_string())),
                Outcome::OutOfMemory => limit(limits.memory.map(|bytes| format!("{bytes} bytes"))),
                _ => None,
            };
            let limit = limit.unwrap_or_default();
            say::line(format_args!("{guest} {other} ({limit}{engine})"));
        }
    }
    outcome.exit_code()
}
