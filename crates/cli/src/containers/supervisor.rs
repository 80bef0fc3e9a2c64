//! The process that a container runs in: this command again, in a session of its own.

use std::env;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use wasmrun::{Engines, Error, ErrorKind, Result, RunFile};
use wasmrun_containers::{Containers, Happened, Info, LogQuery, Signal, Spec};

use super::log_file::Writer;
use super::request::{self, Refused, Reply, Request};
use super::store::{Kept, Place, Record, failed};
use crate::{cache, signals};

/// The first argument of such a process. The second is the container's name.
const IS_MEANT: &str = "__supervise";

/// Whether this process is to be such a one.
pub fn is_supervisor() -> bool {
    env::args_os().nth(1).is_some_and(|first| first == IS_MEANT)
}

/// Starts such a process for a container that nobody looks after; returns once the container runs.
pub fn start(place: &Place) -> Result<()> {
    let Some(lock) = place.hold()? else {
        // Somebody does.
        return Ok(());
    };
    let exe = env::current_exe().map_err(|source| {
        Error::new(ErrorKind::Io, "cannot find this command's own file").with_source(source)
    })?;
    // The lock is its as well from its beginning on, whatever becomes of this process.
    let child = Command::new(&exe)
        .args([IS_MEANT, &place.name])
        .stdin(lock)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.map_err(failed("start", &exe))?;
    let mut said = BufReader::new(child.stdout.take().ok_or_else(silent)?);
    match request::receive::<Result<(), Refused>>(&mut said) {
        Ok(Some(Ok(()))) => Ok(()),
        Ok(Some(Err(refused))) => {
            // It ends now. Its directory is nobody's then.
            let _ = child.wait();
            Err(refused.into())
        }
        Ok(None) | Err(_) => Err(silent()),
    }
}

fn silent() -> Error {
    let message = "the process that was to look after the container ended at once";
    Error::new(ErrorKind::Engine, message)
}

/// Is that process; returns the exit code, for which nobody waits.
pub fn supervise() -> u8 {
    let started = Supervisor::new().and_then(|mut supervisor| {
        supervisor.start()?;
        Ok(supervisor)
    });
    let said = started.as_ref().map(drop).map_err(|error| Refused {
        kind: error.kind(),
        message: error.to_string(),
    });
    // Who started this may have gone.
    let _ = request::send(&mut io::stdout(), &said);
    match started.and_then(Supervisor::go_on) {
        Ok(()) => 0,
        Err(error) => error.kind().exit_code(),
    }
}

struct Supervisor {
    place: Place,
    containers: Containers,
    kept: Kept,
    /// When it was made, not when it was last started.
    created_ms: u64,
    listener: Option<UnixListener>,
    log: Option<Writer>,
    events: wasmrun_containers::ContainerEvents,
    _lock: File,
}

impl Supervisor {
    fn new() -> Result<Self> {
        let lock = own_lock().map_err(|source| {
            Error::new(ErrorKind::Io, "cannot keep the container's lock").with_source(source)
        })?;
        let name = env::args().nth(2).unwrap_or_default();
        let place = Place::open(&name)?;
        // It is no leader of a group, so this does not fail.
        let _ = rustix::process::setsid();
        let kept = place.kept()?;
        env::set_current_dir(&kept.directory).map_err(failed("go to", &kept.directory))?;
        let engines = match kept.cache {
            true => cache::engines(false),
            false => Engines::new(),
        };
        let mut spec = Spec::of_run(RunFile::from_json(&kept.run)?)?;
        spec.restart = kept.restart;
        let most = spec.run.config.logs.unwrap_or(Spec::LOG);
        let log = Writer::open(place.log(), most).map_err(failed("write", &place.log()))?;
        let containers = Containers::new(engines);
        let events = containers.events();
        containers.create(&name, spec)?;
        let created_ms = place.record()?.created_ms;
        let (listener, log) = (None, Some(log));
        Ok(Supervisor {
            place,
            containers,
            kept,
            created_ms,
            listener,
            log,
            events,
            _lock: lock,
        })
    }

    fn start(&mut self) -> Result<()> {
        let socket = self.place.socket();
        // Nobody listens there any more.
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).map_err(failed("listen on", &socket))?;
        self.listener = Some(listener);
        let (containers, name) = (self.containers.clone(), self.place.name.clone());
        signals::watch(move |signal| {
            let signal = signal.to_string().parse().unwrap_or(Signal::Term);
            // One that has ended need not be.
            let _ = containers.kill(&name, signal);
        })
        .map_err(|source| {
            Error::new(ErrorKind::Io, "cannot watch for signals").with_source(source)
        })?;
        let started = self.containers.start(&self.place.name);
        self.tell()?;
        started
    }

    fn go_on(mut self) -> Result<()> {
        let detached = nowhere().and_then(|nowhere| {
            rustix::stdio::dup2_stdout(&nowhere)?;
            Ok(())
        });
        detached.map_err(|source| {
            Error::new(ErrorKind::Io, "cannot leave the terminal").with_source(source)
        })?;
        let name = &self.place.name;
        let mut logs = self.containers.logs(name, &LogQuery::new().follow())?;
        let log = self.log.take();
        let writer = thread::spawn(move || {
            let Some(mut log) = log else { return };
            for line in logs.by_ref() {
                // A disk that is full does not end the container; it may have room for later lines.
                let _ = log.write(&line.into());
            }
        });
        if let Some(listener) = self.listener.take() {
            let (containers, name) = (self.containers.clone(), name.clone());
            thread::spawn(move || serve(&listener, &containers, &name));
        }
        while let Some(event) = self.events.next() {
            if let Happened::Ended(_) = event.what {
                break;
            }
            // Likewise.
            let _ = self.tell();
        }
        // All is in the log before anybody is told that it is over.
        let _ = writer.join();
        self.tell()?;
        // Nobody listens there any more.
        let _ = std::fs::remove_file(self.place.socket());
        Ok(())
    }

    fn tell(&self) -> Result<()> {
        let name = &self.place.name;
        let info = self.containers.info(name)?;
        let stats = match info.state.is_over() {
            false => None,
            true => Some(json(&self.containers.stats(name)?)?),
        };
        let created_ms = self.created_ms;
        self.place.tell(&Record {
            stats,
            created_ms,
            ..record(&info, &self.kept)
        })
    }
}

/// What is told of a container.
pub fn record(info: &Info, kept: &Kept) -> Record {
    Record {
        name: info.id.clone(),
        exit_code: info.state.exit_code(),
        state: info.state.clone(),
        guest: info.guest.to_string(),
        engine: info.engine.clone(),
        restart: kept.restart,
        restarts: info.restarts,
        created_ms: milliseconds(info.created),
        started_ms: info.started.map(milliseconds),
        ended_ms: info.ended.map(milliseconds),
        pid: std::process::id(),
        stats: None,
    }
}

pub fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The lock that is our standard input, where no process that we start finds it.
fn own_lock() -> io::Result<File> {
    let lock = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(&nowhere()?)?;
    Ok(lock.into())
}

fn nowhere() -> io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options
        .read(true)
        .write(true)
        .open(PathBuf::from("/dev/null"))
}

fn serve(listener: &UnixListener, containers: &Containers, name: &str) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let (containers, name) = (containers.clone(), name.to_owned());
        // Without a thread to be had, whoever asks is told nothing.
        let _ = thread::Builder::new().spawn(move || answer(stream, &containers, &name));
    }
}

fn answer(mut stream: UnixStream, containers: &Containers, name: &str) -> io::Result<()> {
    let asked = request::receive(&mut BufReader::new(&stream))?;
    let Some(asked) = asked else { return Ok(()) };
    let reply: Reply = carry_out(asked, containers, name).map_err(Refused::from);
    request::send(&mut stream, &reply)?;
    stream.flush()
}

fn carry_out(asked: Request, containers: &Containers, name: &str) -> Result<serde_json::Value> {
    match asked {
        Request::Stop(grace) => {
            let (containers, name) = (containers.clone(), name.to_owned());
            // It is over when this process is.
            let stopping = thread::Builder::new().spawn(move || containers.stop(&name, grace));
            stopping.map_err(|source| {
                let message = "cannot start a thread that stops the container";
                Error::new(ErrorKind::Io, message).with_source(source)
            })?;
            Ok(serde_json::Value::Null)
        }
        Request::Kill(signal) => {
            containers.kill(name, signal)?;
            Ok(serde_json::Value::Null)
        }
        Request::Stats => json(&containers.stats(name)?),
    }
}

fn json(value: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|source| {
        Error::new(ErrorKind::Engine, "cannot tell what it uses").with_source(source)
    })
}
