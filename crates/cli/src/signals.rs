//! Signals end the guest, and then us with `128 + n`.

#[cfg(unix)]
pub use unix::*;

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::{self, Read};
    use std::panic::resume_unwind;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM};
    use signal_hook::flag::{register, register_conditional_shutdown};
    use signal_hook::iterator::{Handle, Signals};
    use wasmrun::exit_code;

    static ON_CLOSED_PIPE: AtomicBool = AtomicBool::new(true);
    /// Unless [`watch`] or [`attend`] has taken over.
    static AT_ONCE: AtomicBool = AtomicBool::new(true);

    /// A closed pipe ends us as it ends any filter. Rust's runtime would otherwise have every
    /// write return an error, and a guest that does not look at those would write for ever.
    pub fn end_quietly_on_a_closed_pipe() {
        exit_on(SIGPIPE, &ON_CLOSED_PIPE);
        // It fails for signals that cannot be handled, and this can.
        let _ = register(SIGPIPE, &ON_CLOSED_PIPE);
    }

    /// Leaves the first closed pipe to the guest, whose write then fails. If it goes on to write, or is not there
    /// any more, that ends us.
    #[must_use = "the guest's time is over once it is dropped"]
    pub fn leave_a_closed_pipe_to_the_guest() -> Left {
        ON_CLOSED_PIPE.store(false, Ordering::SeqCst);
        Left
    }

    pub struct Left;

    impl Drop for Left {
        fn drop(&mut self) {
            ON_CLOSED_PIPE.store(true, Ordering::SeqCst);
        }
    }

    /// Ends this process on a signal, and with it a guest that is part of it. Starts no thread.
    ///
    /// An exit code of our own rather than the signal's default action: that does nothing for the
    /// first process of a container.
    pub fn end_with_the_process() {
        for signal in heeded() {
            exit_on(signal, &AT_ONCE);
        }
    }

    /// Calls `on_signal` with each signal that asks us to end, on a thread of its own, and lets no
    /// signal end us otherwise.
    pub fn watch(mut on_signal: impl FnMut(u8) + Send + 'static) -> io::Result<()> {
        let mut signals = Signals::new(heeded())?;
        thread::Builder::new()
            .name("wasmrun-signals".into())
            .spawn(move || {
                for signal in signals.forever() {
                    on_signal(number(signal));
                }
            })?;
        AT_ONCE.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Does the work on a thread of its own, and calls `on_signal` with each signal that comes meanwhile and
    /// asks us to end.
    pub fn attend<T: Send>(
        mut on_signal: impl FnMut(u8),
        work: impl FnOnce() -> T + Send,
    ) -> io::Result<T> {
        let mut signals = Signals::new(heeded())?;
        let done = Done(signals.handle());
        AT_ONCE.store(false, Ordering::SeqCst);
        let worked = thread::scope(|scope| {
            let worker = thread::Builder::new()
                .name("wasmrun-guest".into())
                .spawn_scoped(scope, move || {
                    let _done = done;
                    work()
                })?;
            for signal in signals.forever() {
                on_signal(number(signal));
            }
            Ok(worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        AT_ONCE.store(true, Ordering::SeqCst);
        worked
    }

    /// Nobody waits for signals once this is dropped.
    struct Done(Handle);

    impl Drop for Done {
        fn drop(&mut self) {
            self.0.close();
        }
    }

    fn exit_on(signal: i32, condition: &'static AtomicBool) {
        let code = exit_code::of_signal(number(signal));
        // It fails for signals that cannot be handled, and these can.
        let _ = register_conditional_shutdown(signal, code.into(), condition);
    }

    fn number(signal: i32) -> u8 {
        u8::try_from(signal).unwrap_or(u8::MAX)
    }

    /// The signals that end us, without those that whoever started us wants ignored, as `nohup` and shells do
    /// for jobs in the background.
    fn heeded() -> impl Iterator<Item = i32> {
        static IGNORED: OnceLock<u64> = OnceLock::new();
        let ignored = *IGNORED.get_or_init(|| ignored(&status()).unwrap_or(0));
        let heeded = move |signal: &i32| ignored >> (signal - 1) & 1 == 0;
        [SIGHUP, SIGINT, SIGTERM].into_iter().filter(heeded)
    }

    /// What the system says of this process.
    fn status() -> String {
        // With room for all of it, it is read at once.
        let mut status = String::with_capacity(4 << 10);
        let read = File::open("/proc/self/status");
        // Without it, no signal is known to be ignored.
        let _ = read.and_then(|mut file| file.read_to_string(&mut status));
        status
    }

    /// The mask of signals that are ignored.
    fn ignored(status: &str) -> Option<u64> {
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_ignored_signals_are_read_from_the_mask() {
            let status = "Name:\tx\nSigIgn:\t0000000000001003\nSigCgt:\t0\n";
            assert_eq!(ignored(status), Some(0x1003));
            assert_eq!(ignored(""), None);
        }
    }
}

/// Elsewhere the system ends us, and in-process guests with us; nothing is watched.
#[cfg(not(unix))]
mod elsewhere {
    pub fn end_quietly_on_a_closed_pipe() {}

    pub fn leave_a_closed_pipe_to_the_guest() {}

    pub fn end_with_the_process() {}

    pub fn watch(_on_signal: impl FnMut(u8) + Send + 'static) -> std::io::Result<()> {
        Ok(())
    }

    pub fn attend<T>(_on_signal: impl FnMut(u8), work: impl FnOnce() -> T) -> std::io::Result<T> {
        Ok(work())
    }
}

#[cfg(not(unix))]
pub use elsewhere::*;
