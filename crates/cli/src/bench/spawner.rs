//! Starts processes and measures them, from a process of its own.
//!
//! What the system tells of the most memory a process had includes the process that started it,
//! until it became another program. So what starts them has to be small, and `bench`, with all those
//! engines in it, is not.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use std::{env, fs};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasmrun::{Error, ErrorKind, Result};

use crate::scratch::Scratch;

/// The argument by which `wasmrun` is that process. No part of the command line that users know.
const IS_MEANT: &str = "--bench-spawner";

/// A process to start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    pub program: OsString,
    pub args: Vec<OsString>,
    pub env: Vec<(OsString, OsString)>,
    /// The file it reads as its standard input.
    pub stdin: Option<OsString>,
}

/// A process that has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ended {
    /// From before its start to after its end.
    pub ms: f64,
    /// `None` where a signal ended it.
    pub code: Option<i32>,
    /// The most memory it had, in bytes, where the system tells.
    pub max_rss: Option<u64>,
}

type Reply = std::result::Result<Ended, String>;

/// The process that starts processes.
pub struct Spawner {
    child: Child,
    /// Until it is waited for: then its number may be another's.
    there: Arc<AtomicBool>,
    orders: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Spawner {
    /// Starts it. A signal that ends us ends it, and what it has started.
    pub fn start(scratch: &Scratch) -> Result<Self> {
        let mut command = Command::new(this_program()?);
        command
            .arg(IS_MEANT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        system::in_own_group(&mut command);
        let mut child = command.spawn().map_err(gone)?;
        let pid = child.id();
        let there = Arc::new(AtomicBool::new(true));
        let is_there = there.clone();
        scratch.ends(move || {
            if is_there.load(Ordering::SeqCst) {
                system::end_group(pid);
            }
        });
        match (child.stdin.take(), child.stdout.take()) {
            (Some(orders), Some(replies)) => Ok(Spawner {
                child,
                there,
                orders: Some(orders),
                replies: BufReader::new(replies),
            }),
            _ => Err(gone(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Runs a process to its end. The inner error says why it could not be started.
    pub fn run(&mut self, order: &Order) -> Result<Reply> {
        let orders = self.orders.as_mut().ok_or(io::ErrorKind::BrokenPipe);
        orders
            .map_err(io::Error::from)
            .and_then(|orders| send(orders, order))
            .and_then(|()| receive(&mut self.replies))
            .and_then(|reply| reply.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()))
            .map_err(gone)
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        // The end of its orders is its own.
        self.orders = None;
        self.there.store(false, Ordering::SeqCst);
        let _ = self.child.wait();
    }
}

/// The file of this program.
pub fn this_program() -> Result<OsString> {
    let path = env::current_exe().map_err(|source| {
        Error::new(ErrorKind::Io, "cannot tell where wasmrun itself is").with_source(source)
    })?;
    Ok(path.into())
}

/// Whether this process is to be that one.
pub fn is_meant() -> bool {
    env::args_os().nth(1).is_some_and(|first| first == IS_MEANT)
}

/// Is that process: carries out orders until there are no more. Returns the exit code.
pub fn serve() -> u8 {
    let (mut orders, mut replies) = (io::stdin().lock(), io::stdout().lock());
    while let Ok(Some(order)) = receive::<Order>(&mut orders) {
        let reply: Reply = carry_out(&order).map_err(|error| error.to_string());
        if send(&mut replies, &reply).is_err() {
            break;
        }
    }
    0
}

fn carry_out(order: &Order) -> io::Result<Ended> {
    let stdin = match &order.stdin {
        Some(path) => fs::File::open(path)?.into(),
        None => Stdio::null(),
    };
    let mut command = Command::new(&order.program);
    command
        .args(&order.args)
        .envs(order.env.iter().map(|(name, value)| (name, value)))
        .stdin(stdin)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let began = Instant::now();
    let child = command.spawn()?;
    let (code, max_rss) = system::wait(child)?;
    Ok(Ended {
        ms: began.elapsed().as_secs_f64() * 1e3,
        code,
        max_rss,
    })
}

fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, message)?;
    to.write_all(b"\n")?;
    to.flush()
}

fn receive<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = String::new();
    match from.read_line(&mut line)? {
        0 => Ok(None),
        _ => Ok(Some(serde_json::from_str(&line)?)),
    }
}

fn gone(source: io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        "the process that starts processes is not there",
    )
    .with_source(source)
}

#[cfg(unix)]
mod system {
    use std::io;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Child, Command, ExitStatus};

    pub fn in_own_group(command: &mut Command) {
        command.process_group(0);
    }

    pub fn end_group(leader: u32) {
        if let Ok(leader) = i32::try_from(leader) {
            // SAFETY: a plain system call. The leader is our child, not yet waited for, so that the
            // number is still its own.
            unsafe { libc::kill(-leader, libc::SIGTERM) };
        }
    }

    /// Waits for the end of a process.
    pub fn wait(child: Child) -> io::Result<(Option<i32>, Option<u64>)> {
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let mut status = 0;
        // SAFETY: `rusage` is plain numbers, for which zeros are good.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        loop {
            // SAFETY: both pointers are to live values of the right types, and nobody else waits for
            // this child: we own it.
            let waited = unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
            if waited == pid {
                break;
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        // Linux counts in KiB, macOS in bytes.
        let unit = if cfg!(target_vendor = "apple") {
            1
        } else {
            1024
        };
        let max_rss = u64::try_from(usage.ru_maxrss).ok().map(|rss| rss * unit);
        Ok((ExitStatus::from_raw(status).code(), max_rss))
    }
}

/// Elsewhere memory is not told.
#[cfg(not(unix))]
mod system {
    use std::io;
    use std::process::{Child, Command};

    pub fn in_own_group(_: &mut Command) {}

    pub fn end_group(_: u32) {}

    pub fn wait(mut child: Child) -> io::Result<(Option<i32>, Option<u64>)> {
        Ok((child.wait()?.code(), None))
    }
}
