//! What was measured: the one type that every export shows.

use std::collections::BTreeMap;
use std::env::consts::{ARCH, OS};
use std::fmt;

use serde::{Serialize, Serializer};
use wasmrun::{EngineInfo, Outcome};

use super::start::Start;
use super::statistics::{Ratio, Summary};
use crate::lineup::Refused;

/// The whole result.
#[derive(Debug, Serialize)]
pub struct Results {
    /// Our version.
    pub wasmrun: &'static str,
    pub host: Host,
    pub guest: String,
    pub guest_bytes: usize,
    pub args: Vec<String>,
    /// Rounds that count.
    pub rounds: usize,
    /// Rounds before them.
    pub warmup: usize,
    /// A process that does nothing. It is subtracted from the phase that starts one, where the engine
    /// is an executable.
    pub empty_process: Option<Summary>,
    pub engines: Vec<Measured>,
    pub series: Vec<Series>,
    /// Engines that were not measured.
    pub refused: Vec<Refused>,
    pub warnings: Vec<String>,
}

/// Where it was measured.
#[derive(Debug, Serialize)]
pub struct Host {
    pub system: &'static str,
    pub architecture: &'static str,
    pub processors: Option<usize>,
}

impl Host {
    pub fn this() -> Self {
        Host {
            system: OS,
            architecture: ARCH,
            processors: std::thread::available_parallelism().ok().map(Into::into),
        }
    }
}

/// An engine that was measured.
#[derive(Debug, Serialize)]
pub struct Measured {
    #[serde(flatten)]
    pub info: EngineInfo,
    pub outcome: Outcome,
    /// The most memory the guest had, in bytes, where the engine tells.
    pub guest_memory: Option<u64>,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// From nothing to the end of a process.
    Start(Start),
    /// Reading and checking the guest.
    Inspect,
    Compile,
    /// Taking the compiled code from the cache, instead of compiling.
    Load,
    Instantiate,
    Run,
}

impl Subject {
    /// The phases of a run without a cache, in order.
    pub const PHASES: [Subject; 4] = [
        Subject::Inspect,
        Subject::Compile,
        Subject::Instantiate,
        Subject::Run,
    ];

    /// Whether two subjects are measured against each other.
    fn contests(self, other: Subject) -> bool {
        match (self, other) {
            (Subject::Start(_), Subject::Start(_)) => true,
            (one, other) => one == other,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Subject::Start(Start::Cold) => "cold start",
            Subject::Start(Start::Warm) => "warm start",
            Subject::Start(Start::Own) => "start by itself",
            Subject::Inspect => "inspect",
            Subject::Compile => "compile",
            Subject::Load => "load",
            Subject::Instantiate => "instantiate",
            Subject::Run => "run",
        })
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// The measurements of one thing on one engine.
#[derive(Debug, Serialize)]
pub struct Series {
    pub engine: String,
    pub subject: Subject,
    #[serde(flatten)]
    pub summary: Summary,
    pub fastest: bool,
    /// Against the fastest. `None` for that itself.
    pub to_fastest: Option<Ratio>,
    /// Whether it differs from the fastest, if that can be told.
    pub significant: Option<bool>,
    /// The most memory the process had, in bytes, where the system tells.
    pub max_rss: Option<u64>,
    /// In the order of measuring.
    pub samples_ms: Vec<f64>,
    /// Those that do not count.
    pub warmup_ms: Vec<f64>,
}

impl Series {
    /// The engine, and how it was started where there are several ways.
    pub fn label(&self) -> String {
        match self.subject {
            Subject::Start(start) => format!("{}{start}", self.engine),
            _ => self.engine.clone(),
        }
    }
}

/// Measurements as they come.
#[derive(Debug, Default)]
pub struct Record(BTreeMap<(Subject, usize), Taken>);

#[derive(Debug, Default)]
pub struct Taken {
    pub warmup_ms: Vec<f64>,
    pub samples_ms: Vec<f64>,
    pub max_rss: Vec<u64>,
}

impl Record {
    /// What was measured of `subject` on the engine of that number.
    pub fn of(&mut self, subject: Subject, engine: usize) -> &mut Taken {
        self.0.entry((subject, engine)).or_default()
    }

    /// What was measured, on an engine that is an executable, of the phase that starts it.
    pub fn with_process(&mut self, engine: usize) -> &mut Taken {
        // A runtime that does not tell when the guest begins has one phase only.
        let phase = match self.0.contains_key(&(Subject::Instantiate, engine)) {
            true => Subject::Instantiate,
            false => Subject::Run,
        };
        self.of(phase, engine)
    }

    /// Whether anything was.
    pub fn has(&self, subject: Subject, engine: usize) -> bool {
        self.0.contains_key(&(subject, engine))
    }

    /// Forgets it.
    pub fn forget(&mut self, subject: Subject, engine: usize) {
        self.0.remove(&(subject, engine));
    }

    /// The series, compared with each other, engines named by their number.
    pub fn into_series(self, name: impl Fn(usize) -> String) -> Vec<Series> {
        let mut series: Vec<Series> = self
            .0
            .into_iter()
            .filter_map(|((subject, engine), taken)| {
                Some(Series {
                    engine: name(engine),
                    subject,
                    fastest: false,
                    summary: Summary::of(&taken.samples_ms)?,
                    to_fastest: None,
                    significant: None,
                    max_rss: taken.max_rss.into_iter().max(),
                    samples_ms: taken.samples_ms,
                    warmup_ms: taken.warmup_ms,
                })
            })
            .collect();
        for place in 0..series.len() {
            let subject = series[place].subject;
            let fastest = series
                .iter()
                .enumerate()
                .filter(|(_, other)| subject.contests(other.subject))
                .min_by(|(_, a), (_, b)| a.summary.median_ms.total_cmp(&b.summary.median_ms))
                .map(|(fastest, _)| fastest);
            match fastest {
                Some(fastest) if fastest != place => {
                    let (own, base) = (&series[place].samples_ms, &series[fastest].samples_ms);
                    let ratio = Ratio::of(own, base);
                    series[place].to_fastest = ratio;
                    series[place].significant = ratio.and_then(|ratio| ratio.is_significant());
                }
                _ => series[place].fastest = true,
            }
        }
        series
    }
}

impl Results {
    /// The starts, fastest first.
    pub fn starts(&self) -> Vec<&Series> {
        let mut starts: Vec<&Series> = self
            .series
            .iter()
            .filter(|series| matches!(series.subject, Subject::Start(_)))
            .collect();
        starts.sort_by(|a, b| a.summary.median_ms.total_cmp(&b.summary.median_ms));
        starts
    }

    /// What was measured of that phase on that engine. A guest is inspected once for all.
    pub fn phase(&self, engine: &str, phase: Subject) -> Option<&Series> {
        self.series.iter().find(|series| {
            series.subject == phase && (phase == Subject::Inspect || series.engine == engine)
        })
    }

    /// Says in plain English what makes the measurements less than they seem.
    pub fn warn(&mut self) {
        /// Fewer say little.
        const ENOUGH: usize = 10;
        let mut warnings = Vec::new();
        if cfg!(debug_assertions) {
            warnings.push(
                "this wasmrun was built for development; its own part is slower than it should be"
                    .into(),
            );
        }
        if self.rounds < ENOUGH {
            warnings.push(format!(
                "{} rounds tell little; --time or --runs gives more",
                self.rounds
            ));
        }
        let starts = self.starts();
        let outliers: Vec<String> = starts
            .iter()
            .filter(|series| series.summary.outliers > 0)
            .map(|series| {
                let Summary { outliers, runs, .. } = series.summary;
                format!("{} ({outliers} of {runs})", series.label())
            })
            .collect();
        if !outliers.is_empty() {
            warnings.push(format!(
                "some measurements are far from all others, so something else was running: {}; \
                 try again on a quiet machine",
                some(&outliers)
            ));
        }
        let noisy: Vec<String> = starts
            .iter()
            .filter(|series| series.summary.mad_ms > 0.2 * series.summary.median_ms)
            .map(|series| series.label())
            .collect();
        if !noisy.is_empty() {
            warnings.push(format!(
                "measurements vary by more than a fifth: {}; their medians are rough",
                some(&noisy)
            ));
        }
        let first: Vec<String> = starts
            .iter()
            .filter_map(|series| {
                let first = *series.warmup_ms.first().or(series.samples_ms.first())?;
                let Summary {
                    median_ms, mad_ms, ..
                } = series.summary;
                let slow = first > 1.5 * median_ms && first - median_ms > (10.0 * mad_ms).max(1.0);
                slow.then(|| format!("{} ({:.1} times)", series.label(), first / median_ms))
            })
            .collect();
        if !first.is_empty() {
            let counted = match self.warmup {
                0 => "; --warmup 1 would leave it out",
                _ => "; it does not count here, but a first run on a machine does",
            };
            warnings.push(format!(
                "the very first run took much longer than the others, as files come from the disk \
                 then: {}{counted}",
                some(&first)
            ));
        }
        self.warnings.extend(warnings);
    }
}

/// The first of them, and how many more.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let (shown, more) = names.split_at(names.len().min(SHOWN));
    match more.len() {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(of: &[(Subject, usize, &[f64])]) -> Vec<Series> {
        let mut record = Record::default();
        for (subject, engine, samples) in of {
            record.of(*subject, *engine).samples_ms = samples.to_vec();
        }
        record.into_series(|number| format!("e{number}"))
    }

    #[test]
    fn each_is_compared_with_the_fastest_at_the_same() {
        let cold = Subject::Start(Start::Cold);
        let own = Subject::Start(Start::Own);
        let series = record(&[
            (cold, 0, &[2.0, 2.1, 1.9, 2.0, 2.1, 1.9]),
            (own, 1, &[4.0, 4.1, 3.9, 4.0, 4.1, 3.9]),
            (Subject::Run, 0, &[5.0]),
            (Subject::Run, 1, &[1.0]),
            (Subject::Compile, 0, &[1.0]),
        ]);
        let ratios: Vec<_> = series
            .iter()
            .map(|series| series.to_fastest.map(|ratio| ratio.ratio))
            .collect();
        assert_eq!(ratios, [None, Some(2.0), None, Some(5.0), None]);
        assert_eq!(series[1].significant, Some(true));
        assert_eq!(series[3].significant, None);
    }
}
