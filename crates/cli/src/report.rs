//! `--report FILE`: how a run went, for programs.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use wasmrun::guest::serialize_path;
use wasmrun::{
    CacheUse, Considered, Denied, EngineInfo, Error, ErrorKind, Guest, GuestKind, Limits,
    NetworkStats, Outcome, Program, Result, Stats, WasiVersion,
};

/// What is known of a run; filled in as it goes.
#[derive(Debug, Serialize)]
pub struct RunReport {
    /// Our version.
    wasmrun: &'static str,
    guest: GuestPart,
    engine: Option<EngineInfo>,
    outcome: Option<Outcome>,
    error: Option<ErrorPart>,
    exit_code: u8,
    signal: Option<u8>,
    times: Times,
    /// What the cache had of the guest; null without a cache.
    cache: Option<CacheUse>,
    fuel_used: Option<u64>,
    peak_memory: Option<u64>,
    /// Connections and bytes; null where nobody counts them.
    network: Option<NetworkStats>,
    /// What the guest tried of the network and was denied.
    denied: Denied,
    limits: Limits,
    engines: Vec<Considered>,
    #[serde(skip)]
    began: Instant,
}

#[derive(Debug, Serialize)]
struct GuestPart {
    /// As it was given.
    #[serde(serialize_with = "serialize_path")]
    path: PathBuf,
    #[serde(flatten)]
    read: Option<ReadGuest>,
}

#[derive(Debug, Serialize)]
struct ReadGuest {
    kind: GuestKind,
    wasi: WasiVersion,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct ErrorPart {
    kind: ErrorKind,
    engine: Option<String>,
    message: String,
}

#[derive(Debug, Default, Serialize)]
struct Times {
    inspect_ms: Option<f64>,
    select_ms: Option<f64>,
    compile_ms: Option<f64>,
    instantiate_ms: Option<f64>,
    run_ms: Option<f64>,
    cpu_ms: Option<f64>,
    total_ms: f64,
}

impl RunReport {
    pub fn new(guest: &Path, limits: &Limits) -> Self {
        RunReport {
            wasmrun: env!("CARGO_PKG_VERSION"),
            guest: GuestPart {
                path: guest.into(),
                read: None,
            },
            engine: None,
            outcome: None,
            error: None,
            exit_code: 0,
            signal: None,
            times: Times::default(),
            cache: None,
            fuel_used: None,
            peak_memory: None,
            network: None,
            denied: Denied::default(),
            limits: limits.clone(),
            engines: Vec::new(),
            began: Instant::now(),
        }
    }

    pub fn read(&mut self, guest: &Guest, time: Duration) {
        self.times.inspect_ms = Some(millis(time));
        self.guest.read = Some(ReadGuest {
            kind: guest.kind(),
            wasi: guest.wasi(),
            bytes: guest.size(),
        });
    }

    pub fn selected(&mut self, engine: &EngineInfo, time: Duration) {
        self.times.select_ms = Some(millis(time));
        self.engine = Some(engine.clone());
    }

    pub fn compiled(&mut self, program: &Program) {
        self.cache = program.cache_use().cloned();
    }

    pub fn considered(&mut self, engines: &[Considered]) {
        self.engines = engines.to_vec();
    }

    pub fn ended(&mut self, outcome: &Outcome, stats: &Stats, signal: Option<u8>) {
        self.outcome = Some(outcome.clone());
        self.signal = signal;
        self.times.compile_ms = stats.compile.map(millis);
        self.times.instantiate_ms = stats.instantiate.map(millis);
        self.times.run_ms = stats.run.map(millis);
        self.times.cpu_ms = stats.cpu.map(millis);
        self.fuel_used = stats.fuel_used;
        self.peak_memory = stats.peak_memory;
        self.network = stats.network;
    }

    pub fn denied(&mut self, denied: &Denied) {
        self.denied = denied.clone();
    }

    pub fn failed(&mut self, error: &Error) {
        self.error = Some(ErrorPart {
            kind: error.kind(),
            engine: error.engine().map(str::to_owned),
            message: error.to_string(),
        });
    }

    pub fn write(&mut self, mut to: ReportFile, exit_code: u8) -> Result<()> {
        self.exit_code = exit_code;
        self.times.total_ms = millis(self.began.elapsed());
        to.write(self).map_err(|source| to.failed(source))
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Where a report goes. Opened before the guest starts, so that a run whose report could not be
/// written is refused.
#[derive(Debug)]
pub struct ReportFile {
    path: PathBuf,
    file: File,
}

impl ReportFile {
    pub fn create(path: &Path) -> Result<Self> {
        match File::create(path) {
            Ok(file) => Ok(ReportFile {
                path: path.into(),
                file,
            }),
            Err(source) => Err(cannot_write(path, source)),
        }
    }

    fn write(&mut self, report: &RunReport) -> io::Result<()> {
        let mut to = BufWriter::new(&mut self.file);
        serde_json::to_writer_pretty(&mut to, report)?;
        to.write_all(b"\n")?;
        to.flush()
    }

    fn failed(&self, source: io::Error) -> Error {
        cannot_write(&self.path, source)
    }
}

fn cannot_write(path: &Path, source: io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        format!("cannot write the report to {}", path.display()),
    )
    .with_source(source)
}

#[cfg(all(test, unix))]
mod held;

#[cfg(all(test, unix))]
mod tests {
    use proptest::prelude::*;

    use super::held;

    proptest! {
        #[test]
        fn a_report_is_json_whatever_it_tells_of(
            path in proptest::collection::vec(any::<u8>(), 0..20),
            text in any::<String>(),
            number in any::<u64>(),
        ) {
            held::report(&path, &text, number);
        }
    }
}
