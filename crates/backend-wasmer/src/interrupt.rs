//! Ends a guest that computes: from another thread, at no cost to the guest while nothing happens.
//!
//! wasmer sends a signal to the guest's thread and unwinds the guest from the signal handler. It
//! does so wherever on its stack the guest is, also in the middle of functions of wasmer's and of
//! libraries, which may hold a lock or be allocating just then; the lock would stay locked for the
//! whole process. So a handler of ours goes first and lets the signal through only while the guest
//! runs code of its own. The signal is sent again and again until it arrives there; a guest that is
//! hardly ever there meets one of its [checkpoints](crate::checkpoints) instead.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use wasmer::{Interrupter, Store};
use wasmrun_core::{Control, Error, ErrorKind, Hook, Result};

use crate::checkpoints::Flag;

pub(crate) const SUPPORTED: bool = true;

/// Time between two signals.
const RETRY: Duration = Duration::from_micros(50);

/// What ends a guest from another thread. Dropped before the guest's instance is.
pub(crate) struct Interruption(Arc<Run>);

impl Interruption {
    /// Lets an interrupt of the control end the guest, as long as the hook is kept.
    pub(crate) fn by(&self, control: &Control) -> Hook {
        let run = Arc::downgrade(&self.0);
        control.on_interrupt(move || chase(run.clone()))
    }
}

impl Drop for Interruption {
    fn drop(&mut self) {
        self.0.flag.forget();
    }
}

/// A run that can be interrupted. Gone when the run is over.
struct Run {
    interrupter: Interrupter,
    flag: Arc<Flag>,
}

/// Prepares `store` for the guest whose code is at `code` and whose checkpoints look at `flag`.
pub(crate) fn prepare(
    store: &mut Store,
    code: Range<usize>,
    flag: Arc<Flag>,
) -> Result<Interruption> {
    start_chaser().map_err(|source| {
        Error::new(ErrorKind::Io, "cannot start a thread for time limits").with_source(source)
    })?;
    store.set_trap_handler(Some(Box::new(move |signal: c_int, _, context| {
        // To have handled a signal is to ignore it.
        // SAFETY: wasmer passes on the context its signal handler was given.
        signal == libc::SIGUSR1 && !code.contains(&unsafe { program_counter(context) })
    })));
    Ok(Interruption(Arc::new(Run {
        interrupter: store.interrupter(),
        flag,
    })))
}

/// Where the thread was when the signal came.
///
/// # Safety
///
/// `context` must be the third argument of a signal handler.
unsafe fn program_counter(context: *const c_void) -> usize {
    // SAFETY: the third argument of a signal handler points to this.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    #[cfg(target_arch = "x86_64")]
    let counter = context.uc_mcontext.gregs[libc::REG_RIP as usize].cast_unsigned();
    #[cfg(target_arch = "aarch64")]
    let counter = context.uc_mcontext.pc;
    counter as usize
}

/// What is being chased: runs that were interrupted and have not ended yet.
static CHASED: Mutex<Vec<Weak<Run>>> = Mutex::new(Vec::new());
static MORE: Condvar = Condvar::new();

fn chased() -> MutexGuard<'static, Vec<Weak<Run>>> {
    // Nothing that can panic runs under this lock.
    CHASED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn chase(run: Weak<Run>) {
    chased().push(run);
    MORE.notify_one();
}

/// One thread for the process, because a hook must not block and a signal may have to be sent
/// more than once.
fn start_chaser() -> std::io::Result<()> {
    static STARTED: Mutex<bool> = Mutex::new(false);
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*started {
        thread::Builder::new()
            .name("wasmrun-interrupt".into())
            .spawn(|| {
                loop {
                    interrupt_all();
                    thread::sleep(RETRY);
                }
            })?;
        *started = true;
    }
    Ok(())
}

fn interrupt_all() {
    let mut chased = chased();
    while chased.is_empty() {
        chased = MORE.wait(chased).unwrap_or_else(PoisonError::into_inner);
    }
    chased.retain(|run| {
        let Some(run) = run.upgrade() else {
            return false;
        };
        run.flag.raise();
        run.interrupter.interrupt();
        true
    });
}
