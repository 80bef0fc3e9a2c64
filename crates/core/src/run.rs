//! A started guest.

use std::io::{PipeReader, PipeWriter, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::control::{Control, Interrupt};
use crate::{Error, ErrorKind, Report, Result};

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
    pub(crate) control: Control,
    pub(crate) killable: bool,
    pub(crate) thread: Option<JoinHandle<Result<Report>>>,
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
    /// Waits for the guest to end. Closes its standard input first, if that is still here.
    ///
    /// # Errors
    ///
    /// What kept the guest from starting or from being observed.
    pub fn wait(mut self) -> Result<Report> {
        drop(self.stdin.take());
        match self.thread.take() {
            Some(thread) => thread.join().unwrap_or_else(|_| Err(panicked())),
            None => Err(panicked()),
        }
    }

    /// Whether the guest has ended, so that [`Run::wait`] returns at once.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// The report if the guest has ended, and the run itself if not.
    ///
    /// # Errors
    ///
    /// The run, still going.
    pub fn try_wait(self) -> Result<Result<Report>, Run> {
        if self.has_ended() {
            Ok(self.wait())
        } else {
            Err(self)
        }
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
    pub fn events(mut self) -> impl Iterator<Item = Event> {
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

struct Events {
    events: Receiver<Event>,
    run: Option<Run>,
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        match self.events.recv() {
            Ok(event) => Some(event),
            // Both streams have ended, and so has the guest, or will.
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
