//! Measuring, turn by turn: in every round each engine has its turn, so that what changes on the
//! machine meanwhile meets all of them, and each round begins with another.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use wasmrun::{
    Cache, CacheUse, Engines, Error, ErrorKind, Place, Program, Result, Stdin, is_read_once,
    is_reference,
};

use super::results::{Host, Measured, Record, Results, Subject};
use super::spawner::Spawner;
use super::start::{self, Start, Starts};
use super::statistics::Summary;
use crate::compare::{Comparison, Ran, Stage};
use crate::lineup::{Contestant, Refused};
use crate::resolve;
use crate::world::World;

/// Fewer rounds are not measured, however long they take.
const FEWEST: u32 = 3;
/// More are not, however short they are.
const MOST: u32 = 1000;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub warmup: u32,
    /// Exactly so many rounds, or as many as fit into the time.
    pub runs: Option<u32>,
    pub time: Duration,
}

/// Measures the engines that took part in the comparison.
pub fn measure(
    stage: &Stage,
    comparison: &Comparison,
    options: &[OsString],
    plan: Plan,
) -> Result<Results> {
    let file = file(stage)?;
    let named = &stage.request.guest;
    let cache = stage.scratch.path().join("cache");
    let contestants = stage
        .lineup
        .able
        .iter()
        .filter_map(|contestant| {
            let ran = comparison
                .ran
                .iter()
                .find(|ran| ran.engine.name == contestant.label)?;
            Some((contestant, ran))
        })
        .collect();
    let starts = Starts {
        options,
        guest: if is_reference(named) { named } else { &file },
        binary: &binary(stage, &file)?,
        stdin: stdin_file(stage)?,
        cache: &cache,
        asked: &stage.asked,
        config: &stage.request.config,
    };
    let mut bench = Bench {
        stage,
        file: &file,
        starts,
        cache: Cache::open(&cache)?,
        spawner: Spawner::start(&stage.scratch)?,
        contestants,
        record: Record::default(),
        empty: Vec::new(),
        least_rss: None,
        given_up: BTreeSet::new(),
        failed: BTreeSet::new(),
        warnings: comparison.warnings.clone(),
    };
    let rounds = bench.rounds(plan)?;
    let refused = comparison.refused.iter().chain(&comparison.failed);
    Ok(bench.results(plan, rounds, refused.cloned().collect()))
}

/// The guest as a file, from which every round and every process reads it.
fn file(stage: &Stage) -> Result<PathBuf> {
    #[cfg(feature = "oci")]
    if let Some(image) = stage.request.source.image() {
        return Ok(image.program.clone());
    }
    let given = &stage.request.guest;
    if !is_read_once(given) {
        return std::path::absolute(given).map_err(|source| {
            Error::new(ErrorKind::Io, "cannot tell the current directory").with_source(source)
        });
    }
    // In a directory of its own, under the name by which a guest knows itself.
    let dir = stage.scratch.path().join("guest");
    std::fs::create_dir(&dir).map_err(|source| cannot_write(&dir, source))?;
    write(&dir, stage.guest.name(), stage.guest.bytes())
}

/// The guest as a file that every runtime takes, not all of which read text.
fn binary(stage: &Stage, guest: &Path) -> Result<PathBuf> {
    let bytes = stage.guest.bytes();
    let is_text = bytes.starts_with(b"\0asm")
        && std::fs::read(guest).is_ok_and(|file| !file.starts_with(b"\0asm"));
    match is_text {
        true => write(stage.scratch.path(), "guest.wasm", bytes),
        false => Ok(guest.into()),
    }
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = dir.join(name);
    std::fs::write(&path, bytes).map_err(|source| cannot_write(&path, source))?;
    Ok(path)
}

fn cannot_write(path: &Path, source: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot write {}", path.display())).with_source(source)
}

/// A file with the guest's standard input, for processes.
fn stdin_file(stage: &Stage) -> Result<Option<OsString>> {
    match &stage.request.config.stdin {
        Stdin::Bytes(bytes) => Ok(Some(write(stage.scratch.path(), "stdin", bytes)?.into())),
        Stdin::File(path) => Ok(Some(path.into())),
        _ => Ok(None),
    }
}

struct Bench<'a> {
    stage: &'a Stage,
    /// With the guest.
    file: &'a Path,
    starts: Starts<'a>,
    /// For compiled code, with nothing in it at first.
    cache: Cache,
    spawner: Spawner,
    /// With how the guest went on them when they were compared.
    contestants: Vec<(&'a Contestant, &'a Ran)>,
    record: Record,
    /// Times of a process that does nothing.
    empty: Vec<f64>,
    /// What every process is said to have had, because what started it had.
    least_rss: Option<u64>,
    given_up: BTreeSet<(usize, Start)>,
    /// In some round, in this process.
    failed: BTreeSet<usize>,
    warnings: Vec<String>,
}

impl Bench<'_> {
    fn rounds(&mut self, plan: Plan) -> Result<u32> {
        let bar = Bar::new(plan);
        for number in 0..plan.warmup {
            self.round(number as usize, false, &bar)?;
        }
        let began = Instant::now();
        for number in 0.. {
            let enough = match plan.runs {
                Some(runs) => number >= runs,
                None => number >= FEWEST && (began.elapsed() >= plan.time || number >= MOST),
            };
            if enough {
                return Ok(number);
            }
            bar.at(number, began.elapsed());
            self.round(number as usize, true, &bar)?;
        }
        Ok(0)
    }

    fn round(&mut self, number: usize, counts: bool, bar: &Bar) -> Result<()> {
        bar.says("an empty process");
        if let Some(order) = start::nothing()
            && let Ok(ended) = self.spawner.run(&order)?
        {
            self.least_rss = self.least_rss.max(ended.max_rss);
            if counts {
                self.empty.push(ended.ms);
            }
        }
        let began = Instant::now();
        Engines::new().guest(self.file, self.stage.request.max_guest_bytes)?;
        self.take(Subject::Inspect, 0, began.elapsed(), counts);
        for turn in 0..self.contestants.len() {
            let engine = (turn + number) % self.contestants.len();
            bar.says(&self.contestants[engine].0.label);
            self.phases(engine, counts)?;
            let contestant = self.contestants[engine].0;
            for start in self.starts.of(contestant) {
                self.start(engine, start, counts)?;
            }
        }
        Ok(())
    }

    fn phases(&mut self, engine: usize, counts: bool) -> Result<()> {
        let (
            contestant,
            Ran {
                outcome: expected, ..
            },
        ) = self.contestants[engine];
        let world = self.stage.world()?;
        let ran = self.stage.run(contestant, &world);
        let loaded = self.load(engine, &world);
        drop(world);
        let (report, loaded) = match (ran, loaded) {
            (Ok(report), Ok(loaded)) => (report, loaded),
            // What was measured before is kept.
            (Err(error), _) | (_, Err(error)) => {
                if self.failed.insert(engine) {
                    let label = &contestant.label;
                    self.warn(format!(
                        "{label} failed in a round, whose phases do not count: {error}"
                    ));
                }
                return Ok(());
            }
        };
        if report.outcome != *expected {
            self.warn(format!(
                "{} did not always end in the same way: {expected}, but also {}",
                contestant.label, report.outcome
            ));
        }
        let stats = report.stats;
        for (phase, time) in [
            (Subject::Load, loaded),
            (Subject::Compile, stats.compile),
            (Subject::Instantiate, stats.instantiate),
            (Subject::Run, stats.run),
        ] {
            if let Some(time) = time {
                self.take(phase, engine, time, counts);
            }
        }
        Ok(())
    }

    /// How long it took to take the guest's code from the cache, if it was there: as a process finds it that
    /// is started next.
    fn load(&self, engine: usize, world: &World) -> Result<Option<Duration>> {
        let contestant = self.contestants[engine].0;
        let outside = resolve::is_outside(contestant.info());
        let (guest, config) = (&self.stage.guest, world.config.clone().killable(outside));
        let made = Program::compile_cached(contestant.engine.clone(), guest, &config, &self.cache)?;
        let hit = made.cache_use() == Some(&CacheUse::Hit);
        Ok(hit.then(|| made.compile_time()))
    }

    fn start(&mut self, engine: usize, start: Start, counts: bool) -> Result<()> {
        if self.given_up.contains(&(engine, start)) {
            return Ok(());
        }
        if counts && start == Start::Warm && !self.record.has(Subject::Start(start), engine) {
            // It is warm from its second time on.
            self.start(engine, start, false)?;
            if self.given_up.contains(&(engine, start)) {
                return Ok(());
            }
        }
        let (
            contestant,
            Ran {
                outcome: expected, ..
            },
        ) = self.contestants[engine];
        let world = self.stage.world()?;
        let order = self.starts.order(start, contestant, &world.config)?;
        let label = &contestant.label;
        let trouble = match self.spawner.run(&order)? {
            Err(error) => Some(format!("could not be started: {error}")),
            Ok(ended) => {
                let same = match (start, ended.code) {
                    (_, None) => false,
                    // Runtimes have exit codes of their own for traps and the like.
                    (Start::Own, Some(code)) => (code == 0) == expected.success(),
                    (_, Some(code)) => code == i32::from(expected.exit_code()),
                };
                let taken = self.record.of(Subject::Start(start), engine);
                match counts {
                    true => {
                        taken.samples_ms.push(ended.ms);
                        taken.max_rss.extend(ended.max_rss);
                    }
                    false => taken.warmup_ms.push(ended.ms),
                }
                (!same).then(|| match ended.code {
                    Some(code) => format!("ended with exit code {code}, not as in the comparison"),
                    None => "was ended by a signal".into(),
                })
            }
        };
        if let Some(trouble) = trouble {
            self.given_up.insert((engine, start));
            self.record.forget(Subject::Start(start), engine);
            self.warn(format!("{label}{start} {trouble}, and is left out"));
        }
        Ok(())
    }

    fn take(&mut self, subject: Subject, engine: usize, time: Duration, counts: bool) {
        let (taken, ms) = (self.record.of(subject, engine), time.as_secs_f64() * 1e3);
        match counts {
            true => taken.samples_ms.push(ms),
            false => taken.warmup_ms.push(ms),
        }
    }

    fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn results(mut self, plan: Plan, rounds: u32, refused: Vec<Refused>) -> Results {
        let empty_process = Summary::of(&self.empty);
        for (number, (contestant, _)) in self.contestants.iter().enumerate() {
            if let (Some(empty), Place::Executable(_)) = (&empty_process, &contestant.info().place)
            {
                let phase = self.record.with_process(number);
                for ms in phase.samples_ms.iter_mut().chain(&mut phase.warmup_ms) {
                    *ms = (*ms - empty.median_ms).max(0.0);
                }
            }
        }
        // What is no more than that is not known.
        let least = self.least_rss.map(|least| least + least / 20);
        let engines = self
            .contestants
            .iter()
            .map(|(_, ran)| Measured {
                info: ran.engine.clone(),
                outcome: ran.outcome.clone(),
                guest_memory: ran.stats.peak_memory,
            })
            .collect::<Vec<_>>();
        let mut series = self
            .record
            .into_series(|number| engines[number].info.name.clone());
        for one in &mut series {
            one.max_rss = one.max_rss.filter(|rss| Some(*rss) > least);
            if one.subject == Subject::Inspect {
                one.engine = "wasmrun".into();
            }
        }
        let mut results = Results {
            wasmrun: env!("CARGO_PKG_VERSION"),
            host: Host::this(),
            guest: self.stage.guest.name().to_owned(),
            guest_bytes: self.stage.guest.bytes().len(),
            args: self.stage.request.config.args.clone(),
            rounds: rounds as usize,
            warmup: plan.warmup as usize,
            empty_process,
            engines,
            series,
            refused,
            warnings: self.warnings,
        };
        results.warn();
        results
    }
}

/// Progress, on a terminal.
struct Bar(ProgressBar, Plan);

impl Bar {
    fn new(plan: Plan) -> Self {
        let length = match plan.runs {
            Some(runs) => u64::from(runs),
            None => plan.time.as_millis() as u64,
        };
        let bar = ProgressBar::new(length);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}") {
            bar.set_style(style);
        }
        Bar(bar, plan)
    }

    fn at(&self, round: u32, passed: Duration) {
        self.0.set_position(match self.1.runs {
            Some(_) => u64::from(round),
            None => passed.as_millis() as u64,
        });
    }

    fn says(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
