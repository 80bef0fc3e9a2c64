//! Starting a runtime that does not end with the thread that asks for it.

use std::io;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::process::Pid;

use super::start::{self, Streams};
use crate::spawn::launch::Launch;

struct Order {
    launch: Launch,
    streams: Streams,
    started: SyncSender<io::Result<Pid>>,
}

/// As [`start`](start::start), by a thread that is there as long as this process.
pub(super) fn start(launch: &Launch, streams: Streams) -> io::Result<Pid> {
    let (started, start) = sync_channel(1);
    let order = Order {
        launch: launch.clone(),
        streams,
        started,
    };
    starter()?.send(order).map_err(|_| gone())?;
    start.recv().map_err(|_| gone())?
}

fn starter() -> io::Result<Sender<Order>> {
    static STARTER: Mutex<Option<Sender<Order>>> = Mutex::new(None);
    // Nothing that can panic runs under this lock.
    let mut starter = STARTER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(starter) = &*starter {
        return Ok(starter.clone());
    }
    let (sender, orders) = channel::<Order>();
    thread::Builder::new()
        .name("wasmrun-starter".into())
        .spawn(move || {
            for order in orders {
                let pid = start::start(&order.launch, order.streams);
                // Whoever asked waits for it.
                let _ = order.started.send(pid);
            }
        })?;
    Ok(starter.insert(sender).clone())
}

fn gone() -> io::Error {
    io::Error::other("the thread that starts runtimes is gone")
}
