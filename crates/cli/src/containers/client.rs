//! What people ask of containers.

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytesize::ByteSize;
use serde_json::Value;
use wasmrun::guest::shown;
use wasmrun::{Error, ErrorKind, LogStream, Result, RunFile, Stdin, is_read_once};
use wasmrun_containers::{Signal, State};

use super::args::ContainersCommand;
use super::log_file::{Line, Reader};
use super::request::{self, Request};
use super::store::{Kept, Place, Record, failed};
use super::supervisor::{self, milliseconds};
use crate::args::RunArgs;
use crate::resolve::usage;
use crate::values::StdinArg;
use crate::{guest, resolve, say};

/// Starts a container; returns the exit code.
pub fn detach(args: &RunArgs) -> u8 {
    match made(args) {
        Ok(name) => say::print(format!("{name}\n")),
        Err(error) => say::error(&error, args.verbose),
    }
}

fn made(args: &RunArgs) -> Result<String> {
    let mut file = resolve::asked_on(&args.launch, &args.guest)?;
    let guest = file.launch.program()?.to_owned();
    refuse_ours(args, &file)?;
    // With all that is shown meanwhile, and before there is a container.
    guest::find(&file.launch)?;
    // Whatever comes of the host's environment, it is what it was when this was typed.
    file.launch.variables.clear();
    let kept = Kept {
        run: file.to_json()?,
        restart: args.detach.restart,
        cache: !args.no_cache,
        directory: env::current_dir().map_err(failed("find", Path::new(".")))?,
    };
    let name = match &args.detach.name {
        Some(name) => name.clone(),
        None => made_up(&guest),
    };
    let record = Record {
        name: name.clone(),
        state: State::Created,
        exit_code: None,
        guest: guest.display().to_string(),
        engine: None,
        restart: kept.restart,
        restarts: 0,
        created_ms: milliseconds(SystemTime::now()),
        started_ms: None,
        ended_ms: None,
        pid: std::process::id(),
        stats: None,
    };
    let place = Place::create(&name, &kept, &record)?;
    if let Err(error) = supervisor::start(&place) {
        // What never ran need not be removed by hand.
        if let Some(_held) = place.hold()? {
            place.remove()?;
        }
        return Err(error);
    }
    Ok(name)
}

/// What a container cannot have of this command's.
fn refuse_ours(args: &RunArgs, file: &RunFile) -> Result<()> {
    let refuse = |what: &str| {
        let message =
            format!("{what} ends with this command, and a container goes on; name a file");
        Err(usage(message))
    };
    if is_read_once(file.launch.program()?) {
        return refuse("a guest that is read from a pipe");
    }
    match &args.guest.stdin {
        Some(StdinArg::Inherit) => refuse("--stdin inherit"),
        _ if file.config.stdin == Stdin::Pipe => refuse("stdin = \"pipe\""),
        _ => Ok(()),
    }
}

/// A name that says what it is, and is free most likely.
fn made_up(guest: &Path) -> String {
    let stem = guest.file_stem().unwrap_or_default().to_string_lossy();
    let is_good = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let stem: String = stem.chars().filter(is_good).take(40).collect();
    let stem = stem.trim_start_matches(['_', '-']);
    let stem = if stem.is_empty() { "guest" } else { stem };
    format!("{stem}-{:06x}", fastrand::u32(..1 << 24))
}

/// Shows or changes containers; returns the exit code.
pub fn containers(command: &ContainersCommand) -> u8 {
    run(command).unwrap_or_else(|error| say::error(&error, false))
}

fn run(command: &ContainersCommand) -> Result<u8> {
    match command {
        ContainersCommand::Ps { json } => ps(*json),
        ContainersCommand::Start { names } => {
            each(names, |place| supervisor::start(&place)).map(|()| 0)
        }
        ContainersCommand::Stop { names, time } => {
            // All have the same time.
            each(names, |place| {
                request::ask(&place.socket(), &Request::Stop(*time)).map(drop)
            })?;
            each(names, |place| place.wait()).map(|()| 0)
        }
        ContainersCommand::Kill { names, signal } => {
            each(names, |place| kill(&place, *signal)).map(|()| 0)
        }
        ContainersCommand::Wait { name } => wait(&Place::open(name)?),
        ContainersCommand::Logs {
            name,
            follow,
            tail,
            since,
            timestamps,
        } => {
            let show = |line: &Line| match since {
                Some(since) if line.time < *since => Ok(()),
                _ => show(line, *timestamps),
            };
            logs(&Place::open(name)?, *follow, *tail, show)
        }
        ContainersCommand::Stats { names, json } => stats(names, *json),
        ContainersCommand::Rm { names, force } => {
            for name in names {
                remove(name, *force)?;
            }
            Ok(0)
        }
    }
}

/// All are looked for before anything is done to one.
fn each(names: &[String], mut done: impl FnMut(Place) -> Result<()>) -> Result<()> {
    let places = names.iter().map(|name| Place::open(name));
    let places = places.collect::<Result<Vec<_>>>()?;
    places.into_iter().try_for_each(&mut done)
}

fn kill(place: &Place, signal: Signal) -> Result<()> {
    if place.is_held()? && request::ask(&place.socket(), &Request::Kill(signal))?.is_some() {
        return Ok(());
    }
    let (name, state) = (&place.name, place.record()?.state);
    let message = format!("container {name} ({state}) does not run, and there is nothing to kill");
    Err(Error::new(ErrorKind::Ended, message))
}

fn wait(place: &Place) -> Result<u8> {
    place.wait()?;
    let record = place.record()?;
    if let State::Failed { reason, .. } = &record.state {
        say::line(format_args!("container {} failed: {reason}", record.name));
    }
    record.exit_code.ok_or_else(|| {
        let message = format!("container {} was never started", record.name);
        Error::new(ErrorKind::Ended, message)
    })
}

fn remove(name: &str, force: bool) -> Result<()> {
    if force && !Place::all()?.iter().any(|place| place.name == name) {
        return Ok(());
    }
    let place = Place::open(name)?;
    let mut held = place.hold()?;
    if held.is_none() && force {
        request::ask(&place.socket(), &Request::Kill(Signal::Kill))?;
        place.wait()?;
        held = place.hold()?;
    }
    if held.is_none() {
        let state = place.record()?.state;
        let message = format!(
            "container {name} ({state}) cannot be removed while it runs; stop it first, or give --force"
        );
        return Err(Error::new(ErrorKind::InUse, message));
    }
    place.remove()
}

/// How often whoever follows a log looks for more.
const LOOK_EVERY: Duration = Duration::from_millis(50);

fn logs(
    place: &Place,
    follow: bool,
    tail: Option<usize>,
    show: impl Fn(&Line) -> io::Result<()>,
) -> Result<u8> {
    let shown = || -> io::Result<()> {
        let mut reader = Reader::open(place.log())?;
        if let Some(tail) = tail {
            reader.tail(tail)?.iter().try_for_each(&show)?;
        }
        loop {
            // Before the look: what is there when nobody writes any more is all.
            let goes_on = follow && place.is_held().unwrap_or(false);
            while let Some(line) = reader.next()? {
                show(&line)?;
            }
            if !goes_on {
                return Ok(());
            }
            sleep(LOOK_EVERY);
        }
    };
    match shown() {
        Ok(()) => Ok(0),
        // Whoever read it has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        Err(error) => Err(failed("read", &place.log())(error)),
    }
}

fn show(line: &Line, timestamps: bool) -> io::Result<()> {
    let mut text = Vec::new();
    if timestamps {
        let time = humantime::format_rfc3339_nanos(line.time);
        text.extend_from_slice(format!("{time} ").as_bytes());
    }
    text.extend_from_slice(&line.bytes);
    if line.ended || timestamps {
        text.push(b'\n');
    }
    match line.stream {
        LogStream::Stdout => {
            let mut stdout = io::stdout();
            stdout.write_all(&text)?;
            stdout.flush()
        }
        LogStream::Stderr => io::stderr().write_all(&text),
    }
}

/// Those that are there, and do not go meanwhile.
fn records() -> Result<Vec<(Place, Record)>> {
    let mut records = Vec::new();
    for place in Place::all()? {
        match place.record() {
            Ok(record) => records.push((place, record)),
            Err(_) if Place::open(&place.name).is_err() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

fn ps(json: bool) -> Result<u8> {
    let records: Vec<_> = records()?.into_iter().map(|(_, record)| record).collect();
    if json {
        return Ok(say::print_json(&records));
    }
    let ago = |time: Option<u64>| {
        let time = time.map(|time| UNIX_EPOCH + Duration::from_millis(time));
        let age = time.map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
        age.map_or("never".to_owned(), say::ago)
    };
    let rows = records.iter().map(|record| {
        [
            record.name.clone(),
            record.engine.clone().unwrap_or_default(),
            ago(record.started_ms),
            record.restarts.to_string(),
            shown(&record.guest),
            // Last, as it may have a reason.
            shown(&record.state.to_string()),
        ]
    });
    let heads = ["NAME", "ENGINE", "STARTED", "RESTARTS", "GUEST", "STATE"];
    Ok(say::print(table(heads, rows)))
}

fn stats(names: &[String], json: bool) -> Result<u8> {
    let records = match names {
        [] => records()?,
        names => {
            let mut records = Vec::new();
            each(names, |place| {
                let record = place.record()?;
                records.push((place, record));
                Ok(())
            })?;
            records
        }
    };
    let mut all = Vec::new();
    for (place, record) in records {
        let live = match record.state.is_over() {
            true => None,
            false => request::ask(&place.socket(), &Request::Stats)?,
        };
        // One that ended meanwhile has told what it used.
        let stats = match live {
            None => place.record()?.stats,
            live => live,
        };
        all.push((record, stats.unwrap_or(Value::Null)));
    }
    if json {
        let all: Vec<_> = all
            .iter()
            .map(|(record, stats)| {
                let mut told = serde_json::json!({ "name": record.name });
                if let (Some(told), Value::Object(stats)) = (told.as_object_mut(), stats) {
                    told.extend(stats.clone());
                }
                told
            })
            .collect();
        return Ok(say::print_json(&all));
    }
    let rows = all.iter().map(|(record, stats)| {
        let size = |key: &str| stats[key].as_u64().map(|bytes| ByteSize(bytes).to_string());
        let of = |used: Option<String>, most: Option<String>| match (used, most) {
            (None, _) => "-".to_owned(),
            (Some(used), None) => used,
            (Some(used), Some(most)) => format!("{used} of {most}"),
        };
        let count = |key: &str| stats[key].as_u64().map(|count| count.to_string());
        let cpu = stats["cpu_ms"]
            .as_f64()
            .map(|ms| format!("{:.3}s", ms / 1e3));
        let network = &stats["network"];
        let bytes = |key: &str| {
            network[key]
                .as_u64()
                .map(|bytes| ByteSize(bytes).to_string())
        };
        let traffic = bytes("bytes_in").zip(bytes("bytes_out"));
        let written = ["stdout_bytes", "stderr_bytes"].map(|key| stats[key].as_u64().unwrap_or(0));
        [
            record.name.clone(),
            cpu.unwrap_or("-".into()),
            of(size("memory"), size("memory_limit")),
            of(size("peak_memory"), None),
            of(count("fuel_used"), count("fuel_limit")),
            traffic.map_or("-".into(), |(received, sent)| {
                format!("{received} / {sent}")
            }),
            ByteSize(written.iter().sum()).to_string(),
        ]
    });
    let heads = [
        "NAME",
        "CPU",
        "MEMORY",
        "PEAK",
        "FUEL",
        "NETWORK IN / OUT",
        "WRITTEN",
    ];
    Ok(say::print(table(heads, rows)))
}

/// Columns as wide as what is in them.
fn table<const N: usize>(heads: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut lines = vec![heads.map(str::to_owned)];
    lines.extend(rows);
    let widths: Vec<_> = (0..N)
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max())
        .collect();
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            row.push_str(&format!("{cell:width$}  ", width = width.unwrap_or(0)));
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}
