//! `wasmrun [run] GUEST`.

use std::time::{Duration, Instant};

use wasmrun::guest::shown;
use wasmrun::{
    Attachments, CacheUse, Capability, Choice, Control, Engines, Error, ErrorKind, Guest,
    GuestKind, Limits, LockedWorkspace, Miss, Outcome, Refusal, Result, Selection, Stats, TrapKind,
    check, exit_code,
};

use crate::args::{RunArgs, option_for};
use crate::changes::Changes;
use crate::ending::Ending;
use crate::invoke::{self, Invocation};
use crate::report::RunReport;
use crate::resolve::{self, Request};
use crate::{cache, containers, progress, say, signals, workspace};

/// Runs the guest; returns the exit code.
pub fn run(args: &RunArgs) -> u8 {
    if args.detach.detach {
        return containers::detach(args);
    }
    signals::end_with_the_process();
    let engines = match args.no_cache {
        true => Engines::new(),
        false => cache::engines(args.verbose),
    };
    let resolved = resolve::asked_on(&args.launch, &args.guest).and_then(|file| {
        let workspace = file.launch.workspace.as_deref().map(workspace::locked);
        let choice = file.choice(&engines)?;
        in_workspace(workspace.transpose()?, Request::of(&file)?, choice)
    });
    let (workspace, request, choice) = match resolved {
        Ok(resolved) => resolved,
        Err(error) => return say::error(&error, args.verbose),
    };
    let report = RunReport::new(&request.guest, &request.config.limits);
    let ending = Ending::new(report);
    let ended = match &args.report {
        None => Ok(()),
        // Watched from before there is a file: it must not stay empty, whatever comes.
        Some(path) => ending.watch_signals().and_then(|()| ending.report_to(path)),
    };
    if let Err(error) = ended {
        return say::error(&error, args.verbose);
    }
    let code = match execute(
        args,
        &request,
        &engines,
        &choice,
        &ending,
        workspace.as_ref(),
    ) {
        Ok(ended) => tell(&ended, &request.config.limits, args.verbose),
        Err(error) => {
            ending.lock().report.failed(&error);
            say::error(&error, args.verbose)
        }
    };
    ending.lock().finish(code)
}

/// What is to be run, in a workspace perhaps: its engines and limits hold where none are asked for.
fn in_workspace(
    workspace: Option<LockedWorkspace>,
    mut request: Request,
    mut choice: Choice,
) -> Result<(Option<LockedWorkspace>, Request, Choice)> {
    if let Some(workspace) = &workspace {
        request.config = workspace.config(&request.config);
        if choice == Choice::Auto {
            choice = workspace.choice();
        }
    }
    Ok((workspace, request, choice))
}

/// A guest that ended.
struct Ended {
    guest: String,
    engine: String,
    outcome: Outcome,
    /// Whether there was time to compile it.
    compiled: bool,
    signal: Option<u8>,
    /// What an invoked function returned, a line each.
    printed: String,
}

fn execute(
    args: &RunArgs,
    request: &Request,
    engines: &Engines,
    choice: &Choice,
    ending: &Ending,
    workspace: Option<&LockedWorkspace>,
) -> Result<Ended> {
    let changes = args.changes.as_deref().map(Changes::to).transpose()?;
    let control = Control::new();
    if let Some(timeout) = request.config.limits.timeout {
        control.expire_after(timeout)?;
    }
    let began = Instant::now();
    let (guest, mut config) = request.source.open(engines, &request.config)?;
    ending.lock().report.read(&guest, began.elapsed());

    let invocation = Invocation::of(&guest, &config)?;
    if invocation.is_some() {
        (config.entry, config.args) = (None, Vec::new());
    }
    let began = Instant::now();
    let engine = select(
        args,
        invoke::request(invocation.as_ref(), &config),
        engines,
        choice,
        &guest,
        ending,
    )?
    .engine;
    let info = engine.info().clone();
    ending.lock().report.selected(&info, began.elapsed());

    let outside = resolve::is_outside(&info);
    let config = config.killable(outside);
    let mut compiled = false;
    let run = || {
        let program = progress::compile(
            engines,
            engine,
            &guest,
            invoke::request(invocation.as_ref(), &config),
            &control,
        )?;
        compiled = control.interrupted().is_none();
        if let Some(CacheUse::Miss {
            why,
            not_kept: Some(not_kept),
        }) = program.cache_use()
            && args.verbose
            && *why != Miss::NoArtifacts
        {
            say::line(format_args!("the compiled code is not kept: {not_kept}"));
        }
        ending.lock().report.compiled(&program);
        // What an executable writes for a component is not the guest's call here.
        let writes_itself = !outside || guest.kind() == GuestKind::Module;
        let _left = writes_itself.then(signals::leave_a_closed_pipe_to_the_guest);
        match &invocation {
            Some(invocation) => invocation.run(&program, &config, &control),
            None => {
                let attachments = Attachments::new().control(&control);
                let mut report = program.run_with(&config, attachments)?;
                if let Some(workspace) = workspace {
                    workspace.told(&mut report);
                }
                if let Some(changes) = changes {
                    changes.write(workspace, &report.layers)?;
                }
                ending.lock().report.denied(&report.denied);
                Ok((report.outcome, report.stats, String::new()))
            }
        }
    };
    let (ended, signal) = if outside {
        ending.kill_by(&control);
        let ended = ending.attend(run)?;
        (ended, ending.lock().signal)
    } else {
        (run(), None)
    };
    let (outcome, stats, printed) = match signal {
        Some(_) => (Outcome::Killed, Stats::default(), String::new()),
        None => ended?,
    };
    ending.lock().report.ended(&outcome, &stats, signal);
    Ok(Ended {
        guest: shown(guest.name()),
        engine: info.name,
        outcome,
        compiled,
        signal,
        printed,
    })
}

fn select(
    args: &RunArgs,
    request: wasmrun::Request<'_>,
    engines: &Engines,
    choice: &Choice,
    guest: &Guest,
    ending: &Ending,
) -> Result<Selection> {
    if args.explain {
        let explanation = engines.explain(guest, request, choice);
        say::asked_for(&explanation)?;
        ending.lock().report.considered(&explanation.considered);
        return explanation.into_selection();
    }
    let selected = engines.select(guest, request, choice);
    match &selected {
        Ok(selection) => ending.lock().report.considered(&selection.considered),
        Err(_) if args.report.is_some() => {
            let considered = engines.explain(guest, request, choice).considered;
            ending.lock().report.considered(&considered);
        }
        Err(_) => {}
    }
    selected.map_err(|error| {
        let one_could = check::refusals(&Capability::EVERYTHING, guest, request).is_empty();
        match (error.kind(), error.engine()) {
            (ErrorKind::Unsupported, None) if one_could => {
                let explanation = engines.explain(guest, request, choice);
                let way_out = explanation
                    .nearest()
                    .and_then(|(_, lacking)| without(lacking));
                let way_out = way_out.unwrap_or_default();
                let message = format!("{error}{way_out}; --explain shows every engine");
                Error::new(ErrorKind::Unsupported, message)
            }
            _ => error,
        }
    })
}

/// The options without which the engine that lacks this could run the guest.
fn without(lacking: &[Refusal]) -> Option<String> {
    let options: Option<Vec<_>> = lacking
        .iter()
        .map(|refusal| option_for(refusal.what).filter(|_| refusal.asked))
        .collect();
    Some(format!(" (it could without {})", options?.join(" and ")))
}

/// Says how the guest ended, unless it exited by itself; returns the exit code.
fn tell(ended: &Ended, limits: &Limits, verbose: bool) -> u8 {
    let Ended {
        guest,
        engine,
        outcome,
        compiled,
        signal,
        printed,
    } = ended;
    if let Some(signal) = signal {
        return exit_code::of_signal(*signal);
    }
    let limit = |limit: Option<String>| limit.map(|limit| format!("limit {limit}; "));
    match outcome {
        Outcome::Exited(_) if !printed.is_empty() => {
            let code = say::print(printed);
            if code != 0 {
                return code;
            }
        }
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
                Outcome::TooMuchOutput => {
                    limit(limits.output.map(|bytes| format!("{bytes} bytes")))
                }
                Outcome::OutOfMemory => limit(limits.memory.map(|bytes| format!("{bytes} bytes"))),
                _ => None,
            };
            let limit = limit.unwrap_or_default();
            let way_out = match (other, compiled) {
                (Outcome::TimedOut, false) if limits.timeout != Some(Duration::ZERO) => {
                    " before it was compiled; `wasmrun compile` does that beforehand"
                }
                _ => "",
            };
            say::line(format_args!("{guest} {other}{way_out} ({limit}{engine})"));
        }
    }
    outcome.exit_code()
}
