//! What may block in the kernel, where nothing but a signal reaches a thread: to read or write a device, or to open a file
//! that is on another machine.

use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use wasmrun_core::{Control, Hook};

/// Has the calls of this thread fail that block in the kernel, as interrupted, from when the guest is to end until
/// this is dropped.
#[derive(Debug)]
#[must_use = "calls are no longer cut short once it is dropped"]
pub struct CutShort {
    over: Arc<AtomicBool>,
    _hook: Hook,
}

impl CutShort {
    /// Of the guest that `control` ends.
    pub fn by(control: &Control) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        // SAFETY: it has no conditions.
        let thread = unsafe { libc::gettid() };
        let ended = over.clone();
        let hook = control.on_interrupt(move || {
            if !ended.load(Ordering::SeqCst) {
                let ended = ended.clone();
                // Without a thread, nothing is left to do it.
                let _ = thread::Builder::new()
                    .name("wasmrun-cut-short".into())
                    .spawn(move || signal(thread, &ended));
            }
        });
        CutShort { over, _hook: hook }
    }
}

impl Drop for CutShort {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

/// Signals a thread until that is over: it may not have got to the call yet.
fn signal(thread: i32, over: &AtomicBool) {
    heeded();
    while !over.load(Ordering::SeqCst) {
        // SAFETY: plain numbers. Should the thread have ended, no other does anything for this signal.
        unsafe {
            libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// By default it is ignored, and nobody counts on it: it comes with data that are out of band.
const SIGNAL: i32 = libc::SIGURG;

/// Has the signal interrupt calls, as one that is ignored does not.
fn heeded() {
    static ONCE: Once = Once::new();
    extern "C" fn nothing(_: i32) {}
    ONCE.call_once(|| {
        // SAFETY: the pointers are valid, and the handler does nothing. Without `SA_RESTART` it interrupts. One that
        // somebody else has put there stays.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(SIGNAL, std::ptr::null(), &mut action);
            if [libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction) {
                action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
                action.sa_flags = 0;
                libc::sigaction(SIGNAL, &action, std::ptr::null_mut());
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use wasmrun_core::Interrupt;

    use super::*;

    #[test]
    fn what_blocks_in_the_kernel_is_interrupted() {
        let control = Control::new();
        let waiting = control.clone();
        let waiter = thread::spawn(move || {
            let _cut_short = CutShort::by(&waiting);
            rustix::event::poll(&mut [], None)
        });
        thread::sleep(Duration::from_millis(5));
        control.interrupt(Interrupt::Timeout);
        let waited = waiter.join().expect("no panic");
        assert_eq!(waited, Err(rustix::io::Errno::INTR));
    }
}
