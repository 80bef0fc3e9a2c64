//! The end of a run, which comes once: by the guest, or by a signal at any time before.

use std::io;
use std::path::Path;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmrun::{Control, Error, ErrorKind, Interrupt, Outcome, Result, Stats, exit_code};

use crate::report::{ReportFile, RunReport};
use crate::{say, signals};

/// What a run and the thread that waits for signals share.
#[derive(Clone)]
pub struct Ending(Arc<Mutex<State>>);

/// Where a run has got to.
pub struct State {
    pub report: RunReport,
    /// Until the report is written.
    file: Option<ReportFile>,
    /// What ends a guest, or a compiler, that would outlive us, once there may be one.
    control: Option<Control>,
    /// The signal on which it was ended.
    pub signal: Option<u8>,
    watching: bool,
}

impl Ending {
    pub fn new(report: RunReport) -> Self {
        Ending(Arc::new(Mutex::new(State {
            report,
            file: None,
            control: None,
            signal: None,
            watching: false,
        })))
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        // What a panic leaves is still what is known of the run.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the report written to `path`.
    pub fn report_to(&self, path: &Path) -> Result<()> {
        // Under the lock: a signal finds the file or no file, never one it does not know of.
        let mut state = self.lock();
        state.file = Some(ReportFile::create(path)?);
        Ok(())
    }

    /// Has a signal end the run: what is part of this process ends with it, at once; other guests
    /// are killed first.
    pub fn watch_signals(&self) -> Result<()> {
        let mut state = self.lock();
        if state.watching {
            return Ok(());
        }
        let ending = self.clone();
        signals::watch(move |signal| ending.lock().on_signal(signal)).map_err(unwatched)?;
        state.watching = true;
        Ok(())
    }

    /// Does the work while signals are [watched](Ending::watch_signals), by this thread if no other does.
    pub fn attend<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        // What a signal calls takes the lock.
        let watching = self.lock().watching;
        match watching {
            true => Ok(work()),
            false => {
                signals::attend(|signal| self.lock().on_signal(signal), work).map_err(unwatched)
            }
        }
    }

    /// Says what ends the guest.
    pub fn kill_by(&self, control: &Control) {
        self.lock().control = Some(control.clone());
    }
}

fn unwatched(source: io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot watch for signals beside the guest").with_source(source)
}

impl State {
    fn on_signal(&mut self, signal: u8) {
        match (&self.control, self.signal) {
            (Some(control), None) => {
                control.interrupt(Interrupt::Kill);
                self.signal = Some(signal);
            }
            // Whoever asks twice does not want to wait.
            _ => {
                self.report
                    .ended(&Outcome::Killed, &Stats::default(), Some(signal));
                let code = self.finish(exit_code::of_signal(signal));
                process::exit(code.into());
            }
        }
    }

    /// Writes the report, if one was asked for; returns the exit code.
    pub fn finish(&mut self, code: u8) -> u8 {
        let Some(file) = self.file.take() else {
            return code;
        };
        match self.report.write(file, code) {
            Ok(()) => code,
            Err(error) => {
                say::line(format_args!(
                    "{error}; the exit code would have been {code}"
                ));
                exit_code::WASMRUN
            }
        }
    }
}
