//! Functions of the host that await something.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::Control;

use super::function::HostEnded;

/// A function of the host that awaits something: an `async` closure.
///
/// The guest's thread waits for it, and goes on when the guest is to end: a time-out or a kill drops what is
/// awaited. (A function that blocks in another way is waited for, however long that takes.) No async runtime is
/// needed or brought; what is awaited may need one, to be entered by the closure.
///
/// ```
/// use wasmrun_core::{Async, HostFunctions};
///
/// # async fn fetch(id: u32) -> Result<u32, std::io::Error> { Ok(id + 1) }
/// let host = HostFunctions::new().function("env", "fetch", Async(async |id: u32| fetch(id).await));
/// # assert!(!host.is_empty());
/// ```
#[derive(Clone, Copy)]
pub struct Async<F>(
    /// The closure.
    pub F,
);

impl<F> fmt::Debug for Async<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Async")
    }
}

/// Waits on this thread until the future is ready or the guest is to end.
pub(super) fn wait<T>(control: &Control, future: impl Future<Output = T>) -> Result<T, HostEnded> {
    // One for each thread, so that a control which it waits on a thousand times has it once.
    thread_local! {
        static WAKER: Waker = Waker::from(Arc::new(Unpark(thread::current())));
    }
    let mut future = pin!(future);
    let waker = WAKER.with(Waker::clone);
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Ok(value);
        }
        if control.poll_interrupted(&mut context).is_ready() {
            return Err(HostEnded);
        }
        thread::park();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
