//! A started guest.

use std::io::{PipeReader, PipeWriter, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::control::{Control, Interrupt};
use crate::log::{Log, LogLine};
use crate::mappings::Counted;
use crate::{Error, ErrorKind, LiveStats, Report, Result, Usage};

/// A started guest, in the manner of [`std::process::Child`].
///
/// Dropping it kills a guest that is [killable](crate::RunConfig::killable), and lets any other run
/// to its end unobserved.
#[derive(Debug)]
#[non_exhaustive]
pub struct Run {
    /// The guest's standard input, where [`Stdin::Pipe`](crate::Stdin::Pipe) asked for it. Drop it
    /// to let the guest see the end of its input.
    pub stdin: Option<PipeWriter>,
    /// Its standard output, where [`Stdout::Pipe`](crate::Stdout::Pipe) asked for it.
    pub stdout: Option<PipeReader>,
    /// Its standard error, likewise.
    pub stderr: Option<PipeReader>,
    control: Control,
    killable: bool,
    usage: Usage,
    pub(crate) log: Option<Log>,
    began: Instant,
    thread: Option<JoinHandle<()>>,
    end: Receiver<Result<Report>>,
    /// Who is to be woken when the guest has ended.
    waker: Arc<Mutex<Option<Waker>>>,
    /// What came of it, once it is known.
    ended: Option<Result<Report>>,
    /// Time until then.
    took: Duration,
}

/// Whether a started guest still runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunState<'a> {
    /// It does, for so long already.
    Running(Duration),
    /// It has ended.
    Ended(&'a Report),
    /// It could not be started, or observed to its end.
    Failed(&'a Error),
}

/// Something that happened to a started guest.
#[derive(Debug)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "the large one comes once, as the last"
)]
pub enum Event {
    /// It wrote to its standard output.
    Stdout(Vec<u8>),
    /// It wrote to its standard error.
    Stderr(Vec<u8>),
    /// It ended; always the last event.
    Ended(Result<Report>),
}

impl Run {
    /// Starts `guest`, which `control` ends, on a thread that `thread` makes.
    ///
    /// # Errors
    ///
    /// The operating system refuses the thread.
    pub(crate) fn start(
        thread: thread::Builder,
        control: Control,
        killable: bool,
        usage: Usage,
        guest: impl FnOnce() -> Result<Report> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (ended, end) = sync_channel(1);
        let waker = Arc::new(Mutex::new(None::<Waker>));
        let waits = waker.clone();
        let counted = Counted::new()?;
        let thread = thread.spawn(move || {
            let _counted = counted;
            let report = catch_unwind(AssertUnwindSafe(guest));
            // Nobody listens to a run that was dropped.
            let _ = ended.send(report.unwrap_or_else(|_| Err(panicked())));
            if let Some(waker) = locked(&waits).take() {
                waker.wake();
            }
        })?;
        Ok(Run {
            stdin: None,
            stdout: None,
            stderr: None,
            control,
            killable,
            usage,
            log: None,
            began: Instant::now(),
            thread: Some(thread),
            end,
            waker,
            ended: None,
            took: Duration::ZERO,
        })
    }

    /// Waits for the guest to end. Closes its standard input first, if that is still here.
    ///
    /// # Errors
    ///
    /// What kept the guest from starting or from being observed.
    pub fn wait(mut self) -> Result<Report> {
        drop(self.stdin.take());
        if self.ended.is_none() {
            let end = self.end.recv();
            self.note(end.unwrap_or_else(|_| Err(panicked())));
        }
        self.ended.take().unwrap_or_else(|| Err(panicked()))
    }

    /// Waits so long for the guest to end; `None` if it has not. Its standard input stays open.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Run::wait).
    pub fn wait_timeout(&mut self, time: Duration) -> Result<Option<Report>> {
        if self.ended.is_none() {
            match self.end.recv_timeout(time) {
                Ok(ended) => self.note(ended),
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => self.note(Err(panicked())),
            }
        }
        self.ended.clone().transpose()
    }

    /// The report, if the guest has ended.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Run::wait).
    pub fn try_wait(&mut self) -> Result<Option<Report>> {
        self.wait_timeout(Duration::ZERO)
    }

    /// Whether it still runs, and if not, what came of it.
    pub fn state(&mut self) -> RunState<'_> {
        // What it says is noted.
        let _ = self.try_wait();
        match &self.ended {
            None => RunState::Running(self.began.elapsed()),
            Some(Ok(report)) => RunState::Ended(report),
            Some(Err(error)) => RunState::Failed(error),
        }
    }

    /// Whether the guest has ended, so that [`Run::wait`] returns at once.
    pub fn has_ended(&self) -> bool {
        self.ended.is_some() || self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// What the guest has used so far or, once this knows its end, in all.
    pub fn stats(&self) -> LiveStats {
        match &self.ended {
            None => self.usage.look(self.began, &self.control),
            Some(ended) => {
                let stats = ended.as_ref().ok().map(|report| &report.stats);
                LiveStats::of_ended(self.took, stats)
            }
        }
    }

    /// The last `tail` lines that the guest has written to its output streams: of what the config has
    /// [kept](crate::RunConfig::logs).
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if the config did not ask for it.
    pub fn logs(&self, tail: usize) -> Result<Vec<LogLine>> {
        logged(self.log.as_ref(), tail)
    }

    /// Asks the guest to end: closes its standard input, which programs that read it take for that, and lets functions
    /// of the host [know](crate::HostCall::is_asked_to_end). If it has not ended after `grace`, it is
    /// [killed](Run::kill). Returns once it is gone.
    ///
    /// # Errors
    ///
    /// As for [`Run::kill`], before anything is done, and [`Run::wait`].
    pub fn stop(mut self, grace: Duration) -> Result<Report> {
        let killer = self.killer()?;
        self.ask_to_end();
        if self.wait_timeout(grace)?.is_none() {
            killer.kill();
        }
        self.wait()
    }

    /// Asks the guest to end, as [`stop`](Run::stop) does, and leaves it at that. Returns at once.
    pub fn ask_to_end(&mut self) {
        drop(self.stdin.take());
        self.control.ask_to_end();
    }

    /// Ends the guest. Returns at once; [`Run::wait`] tells when it is gone.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if the config did not ask for it by
    /// [`killable`](crate::RunConfig::killable).
    pub fn kill(&self) -> Result<()> {
        self.killer().map(|killer| killer.kill())
    }

    /// What ends the guest from another thread, while this one [waits](Run::wait).
    ///
    /// # Errors
    ///
    /// As for [`Run::kill`].
    pub fn killer(&self) -> Result<Killer> {
        Killer::new(&self.control, self.killable)
    }

    /// What the guest writes to those of its streams that are pipes, as it comes, and then its end.
    pub fn events(mut self) -> Events {
        // A reader that falls behind holds the guest up, as a full pipe would.
        let (sender, events) = sync_channel(16);
        forward(self.stdout.take(), Event::Stdout, &sender);
        forward(self.stderr.take(), Event::Stderr, &sender);
        drop(sender);
        Events {
            events,
            run: Some(self),
        }
    }

    fn note(&mut self, ended: Result<Report>) {
        if let Some(thread) = self.thread.take() {
            // It has said its last, and panics no more.
            let _ = thread.join();
        }
        self.took = self.began.elapsed();
        self.ended = Some(ended);
    }
}

/// A run is a future of what [`wait`](Run::wait) returns, for any executor. Its standard input stays open. Dropped before
/// it is ready, it ends the guest as any run that is dropped.
impl Future for Run {
    type Output = Result<Report>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Before the look: the guest may end in between.
        *locked(&self.waker) = Some(context.waker().clone());
        match self.try_wait() {
            Ok(None) => Poll::Pending,
            Ok(Some(report)) => Poll::Ready(Ok(report)),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

/// The last lines of what is kept.
pub(crate) fn logged(log: Option<&Log>, tail: usize) -> Result<Vec<LogLine>> {
    let log = log.ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            "nothing is kept of what the guest writes; ask for it with RunConfig::logs",
        )
    })?;
    Ok(log.tail(tail))
}

fn locked(waker: &Mutex<Option<Waker>>) -> MutexGuard<'_, Option<Waker>> {
    // Nothing that can panic runs under this lock.
    waker.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends a guest, from any thread. Does nothing once the guest has ended.
#[derive(Debug, Clone)]
pub struct Killer(Control);

impl Killer {
    pub(crate) fn new(control: &Control, killable: bool) -> Result<Self> {
        match killable {
            true => Ok(Killer(control.clone())),
            false => Err(Error::new(
                ErrorKind::Unsupported,
                "the guest was not started killable; ask for it with RunConfig::killable",
            )),
        }
    }

    /// Ends the guest. Returns at once; what waits for the guest tells when it is gone.
    pub fn kill(&self) {
        self.0.interrupt(Interrupt::Kill);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.killable {
            self.control.interrupt(Interrupt::Kill);
        }
    }
}

fn forward(pipe: Option<PipeReader>, event: fn(Vec<u8>) -> Event, events: &SyncSender<Event>) {
    let Some(mut pipe) = pipe else { return };
    let events = events.clone();
    thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        // A pipe that cannot be read, or a caller who no longer listens, ends the stream.
        while let Ok(read @ 1..) = pipe.read(&mut buffer) {
            if events.send(event(buffer[..read].to_vec())).is_err() {
                break;
            }
        }
    });
}

/// What happens to a started guest, in order. The last is [`Event::Ended`].
#[derive(Debug)]
pub struct Events {
    events: Receiver<Event>,
    run: Option<Run>,
}

impl Events {
    /// Waits so long for the next event.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](NoEvent::TimedOut) if there was none, [`Over`](NoEvent::Over) if there will be none.
    pub fn recv_timeout(&mut self, time: Duration) -> Result<Event, NoEvent> {
        let began = Instant::now();
        match self.events.recv_timeout(time) {
            Ok(event) => return Ok(event),
            Err(RecvTimeoutError::Timeout) => return Err(NoEvent::TimedOut),
            // Both streams have ended, and so has the guest, or will.
            Err(RecvTimeoutError::Disconnected) => {}
        }
        let run = self.run.as_mut().ok_or(NoEvent::Over)?;
        drop(run.stdin.take());
        match run.wait_timeout(time.saturating_sub(began.elapsed())) {
            Ok(None) => Err(NoEvent::TimedOut),
            Ok(Some(report)) => {
                self.run = None;
                Ok(Event::Ended(Ok(report)))
            }
            Err(error) => {
                self.run = None;
                Ok(Event::Ended(Err(error)))
            }
        }
    }

    /// The run, to be looked at; `None` once the last event was told.
    pub fn run(&self) -> Option<&Run> {
        self.run.as_ref()
    }

    /// What ends the guest meanwhile.
    ///
    /// # Errors
    ///
    /// As for [`Run::kill`]; [`Ended`](ErrorKind::Ended) once the last event was told.
    pub fn killer(&self) -> Result<Killer> {
        match &self.run {
            Some(run) => run.killer(),
            None => Err(Error::new(ErrorKind::Ended, "the guest has ended")),
        }
    }
}

/// Why there is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoEvent {
    /// None came in time.
    TimedOut,
    /// The guest's end was the last.
    Over,
}

impl std::fmt::Display for NoEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NoEvent::TimedOut => "no event came in time",
            NoEvent::Over => "the guest has ended, and there are no more events",
        })
    }
}

impl std::error::Error for NoEvent {}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        match self.events.recv() {
            Ok(event) => Some(event),
            Err(_) => self.run.take().map(|run| Event::Ended(run.wait())),
        }
    }
}

pub(crate) fn panicked() -> Error {
    Error::new(
        ErrorKind::Engine,
        "the engine panicked; this is a defect of the engine or of wasmrun",
    )
}
