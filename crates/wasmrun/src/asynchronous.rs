//! Runs as futures, with streams as tokio has them. Feature `tokio`; on Unix.
//!
//! A guest keeps a thread of its own: what waits for it does not block. Dropping a run kills its guest.
//!
//! ```
//! use wasmrun::asynchronous::AsyncProgram;
//! use wasmrun::{Choice, Engines, Guest, Outcome, RunConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # if !cfg!(any(feature = "wasmtime", feature = "wasmer", feature = "wasmi")) { return Ok(()); }
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let guest = Guest::from_bytes("nothing.wat", r#"(module (func (export "_start")))"#)?;
//! let config = RunConfig::new().killable(true);
//! let program = Engines::shared().compile(&guest, &config, &Choice::Auto)?;
//! let report = program.run_async(&config).await?;
//! assert_eq!(report.outcome, Outcome::Exited(0));
//! # Ok(())
//! # })
//! # }
//! ```

use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::net::unix::pipe::{Receiver, Sender};
use wasmrun_core::{
    Attachments, Error, ErrorKind, Killer, Program, Report, Result, Run, RunConfig,
};

/// What a [`Program`] does as a future.
pub trait AsyncProgram {
    /// Runs the guest. Dropping the future kills it.
    ///
    /// # Errors
    ///
    /// As for [`start_async`](AsyncProgram::start_async) and [`Run::wait`].
    fn run_async(&self, config: &RunConfig) -> impl Future<Output = Result<Report>> + Send;

    /// Starts the guest. Dropping what is returned kills it.
    ///
    /// # Errors
    ///
    /// As for [`Program::start`]. [`Unsupported`](ErrorKind::Unsupported) if the config is not
    /// [killable](RunConfig::killable); [`Io`](ErrorKind::Io) if its pipes cannot be tokio's, as outside of a runtime
    /// of tokio's that has its input and output enabled.
    fn start_async(&self, config: &RunConfig) -> Result<AsyncRun> {
        self.start_async_with(config, Attachments::new())
    }

    /// As [`start_async`](AsyncProgram::start_async), with what the run is handed beside its config.
    ///
    /// # Errors
    ///
    /// Likewise.
    fn start_async_with(&self, config: &RunConfig, attachments: Attachments) -> Result<AsyncRun>;
}

/// A started guest: a future of its report.
#[derive(Debug)]
#[non_exhaustive]
pub struct AsyncRun {
    /// The guest's standard input, where [`Stdin::Pipe`](crate::Stdin::Pipe) asked for it. Drop it to let the guest
    /// see the end of its input.
    pub stdin: Option<Sender>,
    /// Its standard output, where [`Stdout::Pipe`](crate::Stdout::Pipe) asked for it.
    pub stdout: Option<Receiver>,
    /// Its standard error, likewise.
    pub stderr: Option<Receiver>,
    run: Run,
}

impl AsyncProgram for Program {
    async fn run_async(&self, config: &RunConfig) -> Result<Report> {
        self.start_async(config)?.await
    }

    fn start_async_with(&self, config: &RunConfig, attachments: Attachments) -> Result<AsyncRun> {
        if !config.killable {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "a run that is dropped could not be ended; ask for it with RunConfig::killable",
            ));
        }
        let mut run = self.start_with(config, attachments)?;
        let stdin = run.stdin.take().map(OwnedFd::from);
        let stdin = stdin.map(Sender::from_owned_fd).transpose();
        let receiver = |end: OwnedFd| Receiver::from_owned_fd(end);
        let stdout = run.stdout.take().map(OwnedFd::from).map(receiver);
        let stderr = run.stderr.take().map(OwnedFd::from).map(receiver);
        let not_made = |source| {
            let message = "the guest's pipes cannot be waited for by tokio here";
            Error::new(ErrorKind::Io, message).with_source(source)
        };
        Ok(AsyncRun {
            stdin: stdin.map_err(not_made)?,
            stdout: stdout.transpose().map_err(not_made)?,
            stderr: stderr.transpose().map_err(not_made)?,
            run,
        })
    }
}

impl AsyncRun {
    /// What ends the guest from elsewhere.
    ///
    /// # Errors
    ///
    /// None, as it was started so that it can be ended.
    pub fn killer(&self) -> Result<Killer> {
        self.run.killer()
    }
}

impl Future for AsyncRun {
    type Output = Result<Report>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.run).poll(context)
    }
}
