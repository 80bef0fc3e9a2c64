//! Modules that are malformed, hostile or merely odd, on every in-process engine: each ends in a clean
//! error or a clean outcome, in little memory and little time.
//!
//! Engines run here in processes of their own, so that one that crashes or hangs says by which
//! module, which is kept in a file. `cargo test -p wasmrun-testkit --test hostile -- wasmer` chooses.

#[path = "../../guest/tests/properties/doubling.rs"]
mod doubling;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use std::{env, fs, io, thread};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use wasmrun::{
    Access, Engine, Engines, Error, ErrorKind, Guest, Outcome, Overflow, Program, Report, Result,
    RunConfig, Stdin, Stdout,
};
use wasmrun_testkit::guests::{self, Endless};
use wasmrun_testkit::{may_be_missing, restart_with_wasmedge, this_program};

/// Set for a process that runs the modules: the engine, and the first module's place.
const ENGINE: &str = "WASMRUN_HOSTILE_ENGINE";
const FROM: &str = "WASMRUN_HOSTILE_FROM";

/// Modules in the corpus, at least.
const LEAST: usize = 2000;
/// A module that takes longer has found a guest that cannot be ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a process may have had in memory. No guest gets a tenth of it.
const MOST_MEMORY: u64 = 1 << 30;
/// Enough to see what is wrong.
const MOST_FAILURES: usize = 10;

fn main() -> ExitCode {
    restart_with_wasmedge();
    if let (Ok(engine), Ok(from)) = (env::var(ENGINE), env::var(FROM)) {
        return endure(&engine, from.parse().expect("a number"));
    }
    let modules = Arc::new(corpus());
    assert!(modules.len() >= LEAST, "only {} modules", modules.len());
    let engines = Engines::shared().in_process();
    let trials = engines
        .map(|(name, engine)| {
            let (modules, name) = (modules.clone(), name.to_owned());
            let missing = engine.err();
            Trial::ignorable_test(
                format!("{name}::endures_every_module"),
                move || match missing {
                    None => watch(&name, &modules).map(|()| Completion::Completed),
                    Some(_) if may_be_missing() => Ok(Completion::ignored_with("not here")),
                    Some(error) => Err(error.into()),
                },
            )
        })
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

// ---- the modules -----------------------------------------------------------------------------------

struct Module {
    name: String,
    bytes: Vec<u8>,
}

/// What nobody wrote, what was good before it was cut off or changed in some bits, and what doubles.
fn corpus() -> Vec<Module> {
    let generated = wasmrun_corpus::modules().map(|module| Module {
        name: format!("{} (seed {})", module.name, wasmrun_corpus::SEED),
        bytes: module.wasm.to_vec(),
    });
    let good = [
        ("hello", guests::hello()),
        ("cat", guests::cat()),
        ("args", guests::args()),
        ("recursion", guests::recursion(100)),
        ("poll", Endless::Poll.guest()),
        ("start", Endless::Naps.at_instantiation()),
        ("unstable", guests::unstable(guests::CAT)),
        ("component", guests::component(&guests::hello())),
    ];
    generated
        .chain(good.iter().flat_map(|(name, guest)| damaged(name, guest)))
        .chain([8, 24].into_iter().flat_map(doubled))
        .chain(doubled_as_far_as_it_goes())
        .collect()
}

fn doubled(levels: usize) -> impl Iterator<Item = Module> {
    let components = doubling::components(levels).into_iter();
    components.map(move |(way, text)| Module {
        name: format!("{way}, doubled {levels} times"),
        bytes: text.into_bytes(),
    })
}

/// The largest of each kind that inspection lets through to engines.
fn doubled_as_far_as_it_goes() -> impl Iterator<Item = Module> {
    let mut largest = BTreeMap::new();
    for levels in 8..24 {
        for (way, module) in doubling::components(levels)
            .into_iter()
            .zip(doubled(levels))
        {
            if Guest::from_bytes("guest.wat", &*module.bytes).is_ok() {
                largest.insert(way.0, module);
            }
        }
    }
    largest.into_values()
}

fn damaged(name: &str, guest: &Guest) -> Vec<Module> {
    const CUTS: usize = 40;
    const FLIPS: u64 = 100;
    let bytes = guest.bytes();
    let cuts = (0..CUTS).map(|number| {
        let length = bytes.len() * number / CUTS;
        Module {
            name: format!("{name} cut at {length}"),
            bytes: bytes[..length].to_vec(),
        }
    });
    let flips = (0..FLIPS).map(|seed| {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut bytes = bytes.to_vec();
        for _ in 0..random.random_range(1..=4) {
            let place = random.random_range(0..bytes.len());
            bytes[place] ^= 1 << random.random_range(0..8);
        }
        Module {
            name: format!("{name} with flipped bits, {seed}"),
            bytes,
        }
    });
    cuts.chain(flips).collect()
}

// ---- the process that runs them --------------------------------------------------------------------

/// Runs every module from the one at `from` on, and says before each which it is.
fn endure(engine: &str, from: usize) -> ExitCode {
    let engine = Engines::shared().get(engine).expect("the parent has it");
    let directory = tempfile::tempdir().expect("a directory");
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (place, module) in corpus().iter().enumerate().skip(from) {
        say(&format!("{place}"));
        let config = config(place).map_dir(directory.path(), "/", Access::ReadWrite);
        let end = match run(engine.clone(), module, config) {
            Ok(report) => {
                let captured = report.stdout.bytes.len().max(report.stderr.bytes.len());
                assert!(captured as u64 <= OUTPUT);
                match report.outcome {
                    Outcome::Exited(0) => "exited with 0".to_owned(),
                    Outcome::Exited(_) => "exited".to_owned(),
                    outcome => outcome.to_string(),
                }
            }
            Err(error) => {
                assert_clean(&error);
                format!("{:?}", error.kind())
            }
        };
        *seen.entry(end).or_default() += 1;
    }
    for (end, count) in seen {
        say(&format!("{end}: {count}"));
    }
    if let Some(peak) = peak_memory() {
        say(&format!("peak of memory: {} MiB", peak >> 20));
        assert!(peak <= MOST_MEMORY, "{peak} bytes");
    }
    ExitCode::SUCCESS
}

const OUTPUT: u64 = 64 << 10;

fn config(place: usize) -> RunConfig {
    RunConfig::new()
        .args(["one", "two"])
        .env("NAME", "value")
        .stdin(Stdin::Bytes(b"some input".to_vec()))
        .stdout(Stdout::Capture)
        .stderr(Stdout::Capture)
        .limit(|limits| {
            limits.memory = Some(64 << 20);
            limits.table_elements = Some(100_000);
            limits.timeout = Some(Duration::from_millis(100));
            limits.output = Some(OUTPUT);
            if place.is_multiple_of(2) {
                limits.fuel = Some(10_000_000);
                limits.overflow = Overflow::Stop;
            }
        })
}

fn run(engine: Arc<dyn Engine>, module: &Module, mut config: RunConfig) -> Result<Report> {
    let guest = Guest::from_bytes("guest.wasm", module.bytes.clone())?;
    // All of it is read, whether or not it is run.
    serde_json::to_string(&guest.inspect()).expect("what was inspected can be told");
    if !guest.is_command() {
        config.entry = guest.entries().into_iter().next();
    }
    Program::compile(engine, &guest, &config)?.run(&config)
}

/// An error says what is wrong with the guest, on one line. That the engine failed is no such thing.
fn assert_clean(error: &Error) {
    let line = error.to_string();
    assert!(!line.contains('\n') && !line.is_empty(), "{line:?}");
    assert_ne!(error.kind(), ErrorKind::Engine, "{error:?}");
    assert_ne!(error.kind(), ErrorKind::Io, "{error:?}");
}

fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    // Without a parent there is nobody to go on for.
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .expect("the parent listens");
}

/// Bytes.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = peak.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}

// ---- the process that watches ----------------------------------------------------------------------

/// Has every module run, the one after a failure by another process, and tells of all that failed.
fn watch(engine: &str, modules: &[Module]) -> std::result::Result<(), Failed> {
    let mut failures = Vec::new();
    let mut from = 0;
    while from < modules.len() && failures.len() < MOST_FAILURES {
        let (last, failure) = watch_one(engine, from)?;
        let Some(failure) = failure else {
            break;
        };
        let Some(place) = last else {
            return Err(failure.into());
        };
        let kept = keep(engine, place, &modules[place])?;
        failures.push(format!(
            "{}, kept as {}: {failure}",
            modules[place].name,
            kept.display()
        ));
        from = place + 1;
    }
    if failures.is_empty() {
        return Ok(());
    }
    Err(failures.join("\n").into())
}

/// What one process makes of the modules from the one at `from` on: the last it began with, and how
/// it failed.
fn watch_one(engine: &str, from: usize) -> io::Result<(Option<usize>, Option<String>)> {
    let mut child = Command::new(this_program()?)
        .env(ENGINE, engine)
        .env(FROM, from.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (lines, complaints) = (lines(child.stdout.take()), lines(child.stderr.take()));
    let mut last = None;
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => match line.parse() {
                Ok(place) => last = Some(place),
                Err(_) => println!("{engine}: {line}"),
            },
            Err(RecvTimeoutError::Timeout) => {
                child.kill()?;
                child.wait()?;
                return Ok((last, Some("it never ends".into())));
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok((last, failure(&mut child, &complaints)?))
}

fn failure(child: &mut Child, complaints: &Receiver<String>) -> io::Result<Option<String>> {
    let status = child.wait()?;
    if status.success() {
        return Ok(None);
    }
    let said: Vec<_> = complaints.iter().take(10).collect();
    Ok(Some(format!("{status}: {}", said.join(" | "))))
}

fn lines(stream: Option<impl io::Read + Send + 'static>) -> Receiver<String> {
    let (sender, lines) = channel();
    if let Some(stream) = stream {
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(io::Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    lines
}

/// The module as a file, where it can be looked at.
fn keep(engine: &str, place: usize, module: &Module) -> io::Result<PathBuf> {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{engine}-{place}.wasm"));
    fs::write(&file, &module.bytes)?;
    Ok(file)
}
