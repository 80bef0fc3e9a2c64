//! Waiting for a future on the guest's own thread, cut short when the guest is to end.

use std::future::{self, Future};
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::runtime::{Builder, EnterGuard, Runtime};
use wasmrun_core::{Control, Interrupt};

/// How long to wait before asking again for what the system did not give.
const RETRY: Duration = Duration::from_millis(10);

/// Runs `future` to its end on this thread, or until `control` is interrupted.
///
/// The future may use tokio's clocks and sockets, and run guest code. What it waits for is watched
/// by one thread that all guests share, started when it is first needed.
///
/// # Errors
///
/// The [`Interrupt`], if that came before the future's end.
pub fn block_on<F: Future>(control: &Control, future: F) -> Result<F::Output, Interrupt> {
    let reactor = loop {
        // Started before anything waits: a guest that asks again and again whether a time has come
        // never does.
        match reactor().and_then(|reactor| reactor.start().map(|()| reactor)) {
            Ok(reactor) => break reactor,
            // Out of descriptors or threads: wait until there are some, or the guest is to end.
            Err(_) => match control.sleep(RETRY) {
                None => {}
                Some(reason) => return Err(reason),
            },
        }
    };
    let _context = reactor.enter();
    block_on_ready(control, future)
}

/// As [`block_on`], and cheaper, for a future that uses tokio's clocks and sockets only after its
/// first poll, if at all: any preview1 function but `poll_oneoff`.
///
/// # Errors
///
/// The [`Interrupt`], if that came before the future's end.
pub fn block_on_ready<F: Future>(control: &Control, future: F) -> Result<F::Output, Interrupt> {
    let mut future = pin!(future);
    if let Poll::Ready(output) = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        return Ok(output);
    }
    let waker = WAKER.with(Waker::clone);
    let mut cx = Context::from_waker(&waker);
    loop {
        let reactor = reactor();
        let _context = reactor.as_ref().ok().map(|reactor| reactor.enter());
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Ok(output);
        }
        if let Poll::Ready(reason) = control.poll_interrupted(&mut cx) {
            return Err(reason);
        }
        match reactor.and_then(Reactor::start) {
            Ok(()) => thread::park(),
            // Out of descriptors or threads.
            Err(_) => thread::park_timeout(RETRY),
        }
    }
}

/// Does what makes or uses clocks and sockets of tokio, but does not wait for them.
pub fn within_reactor<R>(work: impl FnOnce() -> R) -> R {
    let reactor = reactor();
    let _context = reactor.as_ref().ok().map(|reactor| reactor.enter());
    work()
}

thread_local! {
    /// One for all waits of a thread: the control keeps every waker that it has not seen before.
    static WAKER: Waker = Waker::from(Arc::new(Unpark(thread::current())));
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// What tells the futures of all guests that a stream is ready or a time has come. Guests run and
/// wait on threads of their own, so that none holds another up, and may do so within somebody
/// else's runtime.
pub(crate) struct Reactor {
    runtime: Runtime,
    started: Mutex<bool>,
}

/// The reactor, made when it is first asked for.
pub(crate) fn reactor() -> io::Result<&'static Reactor> {
    static REACTOR: OnceLock<Reactor> = OnceLock::new();
    if let Some(reactor) = REACTOR.get() {
        return Ok(reactor);
    }
    let reactor = Reactor {
        runtime: Builder::new_current_thread().enable_all().build()?,
        started: Mutex::new(false),
    };
    Ok(REACTOR.get_or_init(|| reactor))
}

impl Reactor {
    /// Lets this thread make futures that the reactor wakes.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Starts its thread, if that has not happened yet.
    pub(crate) fn start(&'static self) -> io::Result<()> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if !*started {
            thread::Builder::new()
                .name("wasmrun-reactor".into())
                .spawn(|| self.runtime.block_on(future::pending::<()>()))?;
            *started = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_that_is_ready_is_not_waited_for() {
        let control = Control::new();
        control.interrupt(Interrupt::Kill);
        assert_eq!(block_on_ready(&control, future::ready(7)), Ok(7));
    }

    #[test]
    fn a_clock_is_waited_for() {
        let sleep = async { tokio::time::sleep(Duration::from_millis(5)).await };
        assert_eq!(block_on(&Control::new(), sleep), Ok(()));
    }

    #[test]
    fn an_interrupt_cuts_a_wait_short() {
        let control = Control::new();
        let waiting = control.clone();
        let waiter = thread::spawn(move || block_on(&waiting, future::pending::<()>()));
        control.interrupt(Interrupt::Timeout);
        assert_eq!(waiter.join().expect("no panic"), Err(Interrupt::Timeout));
    }

    #[test]
    fn a_guest_that_computes_does_not_hold_up_one_that_sleeps() {
        let (computing, done) = std::sync::mpsc::channel();
        let computer = thread::spawn(move || {
            let compute = async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                done.recv().expect("the sleeper to wake");
            };
            block_on(&Control::new(), compute)
        });
        let sleep = async { tokio::time::sleep(Duration::from_millis(20)).await };
        assert_eq!(block_on(&Control::new(), sleep), Ok(()));
        computing.send(()).expect("the other guest to listen");
        assert_eq!(computer.join().expect("no panic"), Ok(()));
    }

    #[test]
    fn waiting_within_somebody_elses_runtime_works() {
        let theirs = Builder::new_current_thread().build().expect("a runtime");
        let slept = theirs.block_on(async {
            let sleep = async { tokio::time::sleep(Duration::from_millis(5)).await };
            block_on(&Control::new(), sleep)
        });
        assert_eq!(slept, Ok(()));
    }
}
