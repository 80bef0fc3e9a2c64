//! Ends a guest that computes: from another thread, at no cost to the guest while nothing happens.
//!
//! wasmer sends a signal to the guest's thread and unwinds the guest from the signal handler. It
//! does so wherever on its stack the guest is, also in the middle of wasmer's own functions, which
//! may hold a lock or be allocating just then; the lock would stay locked for the whole process. So
//! a handler of ours goes first and lets the signal through only while the guest runs code of its
//! own. The signal is sent again and again until it arrives there.
//!
//! A guest that does nothing but fill and copy gigabytes is almost never seen in code of its own.
//! After [`PATIENCE`] it is unwound wherever it is: those functions hold no locks.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use wasmer::{Interrupter, Store};
use wasmrun_core::{Control, Error, ErrorKind, Hook, Result};

pub(crate) const SUPPORTED: bool = true;

/// Time between two signals.
const RETRY: Duration = Duration::from_micros(50);

/// How long a guest is given to be seen in code of its own.
const PATIENCE: Duration = Duration::from_millis(500);

/// Lets an interrupt of the control end the guest, until it is dropped.
pub(crate) struct Interruption {
    _run: Arc<Run>,
    _hook: Hook,
}

/// A run that can be interrupted. Gone when the run is over.
struct Run {
    interrupter: Interrupter,
    impatient: Arc<AtomicBool>,
}

/// Prepares a run in `store` of the guest whose code is at `code`.
pub(crate) fn prepare(
    store: &mut Store,
    control: &Control,
    code: Range<usize>,
) -> Result<Interruption> {
    start_chaser().map_err(|source| {
        Error::new(ErrorKind::Io, "cannot start a thread for time limits").with_source(source)
    })?;
    let impatient = Arc::new(AtomicBool::new(false));
    let anywhere = impatient.clone();
    store.set_trap_handler(Some(Box::new(move |signal: c_int, _, context| {
        // To have handled a signal is to ignore it.
        signal == libc::SIGUSR1
            && !anywhere.load(Ordering::Relaxed)
            // SAFETY: wasmer passes on the context its signal handler was given.
            && !code.contains(&unsafe { program_counter(context) })
    })));
    let run = Arc::new(Run {
        interrupter: store.interrupter(),
        impatient,
    });
    let weak = Arc::downgrade(&run);
    let hook = control.on_interrupt(move || chase(weak.clone()));
    Ok(Interruption {
        _run: run,
        _hook: hook,
    })
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
static CHASED: Mutex<Vec<Chased>> = Mutex::new(Vec::new());
static MORE: Condvar = Condvar::new();

struct Chased {
    run: Weak<Run>,
    since: Instant,
}

fn chased() -> MutexGuard<'static, Vec<Chased>> {
    // Nothing that can panic runs under this lock.
    CHASED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn chase(run: Weak<Run>) {
    chased().push(Chased {
        run,
        since: Instant::now(),
    });
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
                    send_signals();
                }
            })?;
        *started = true;
    }
    Ok(())
}

fn send_signals() {
    let mut chased = chased();
    while chased.is_empty() {
        chased = MORE.wait(chased).unwrap_or_else(PoisonError::into_inner);
    }
    chased.retain(|Chased { run, since }| {
        let Some(run) = run.upgrade() else {
            return false;
        };
        if since.elapsed() > PATIENCE {
            run.impatient.store(true, Ordering::Relaxed);
        }
        run.interrupter.interrupt();
        true
    });
    drop(chased);
    thread::sleep(RETRY);
}
