//! Signals end the guest, and then us with `128 + n`.

#[cfg(unix)]
pub use unix::*;

#[cfg(unix)]
mod unix {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM};
    use signal_hook::flag::register_conditional_shutdown;
    use signal_hook::iterator::Signals;
    use wasmrun::exit_code;

    static ON_CLOSED_PIPE: AtomicBool = AtomicBool::new(true);
    /// Until [`watch`] takes over.
    static AT_ONCE: AtomicBool = AtomicBool::new(true);

    /// A closed pipe ends us as it ends any filter. Rust's runtime would otherwise have every
    /// write return an error, and a guest that does not look at those would write for ever.
    pub fn end_quietly_on_a_closed_pipe() {
        exit_on(SIGPIPE, &ON_CLOSED_PIPE);
    }

    /// Ends this process on a signal, and with it a guest that is part of it. Starts no thread.
    ///
    /// An exit code of our own rather than the signal's default action: that does nothing for the
    /// first process of a container.
    pub fn end_with_the_process() {
        for signal in [SIGINT, SIGTERM] {
            if !ignored(signal) {
                exit_on(signal, &AT_ONCE);
            }
        }
    }

    /// Calls `on_signal` with each signal that asks us to end, on a thread of its own, and lets no
    /// signal end us otherwise.
    pub fn watch(mut on_signal: impl FnMut(u8) + Send + 'static) -> std::io::Result<()> {
        let wanted = [SIGHUP, SIGINT, SIGTERM];
        let mut signals = Signals::new(wanted.into_iter().filter(|&signal| !ignored(signal)))?;
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

    fn exit_on(signal: i32, condition: &'static AtomicBool) {
        let code = exit_code::of_signal(number(signal));
        // It fails for signals that cannot be handled, and these can.
        let _ = register_conditional_shutdown(signal, code.into(), condition);
    }

    fn number(signal: i32) -> u8 {
        u8::try_from(signal).unwrap_or(u8::MAX)
    }

    /// Whether whoever started us wants the signal ignored, as `nohup` and shells do for jobs in
    /// the background.
    fn ignored(signal: i32) -> bool {
        std::fs::read_to_string("/proc/self/status")
            .ok()
            .and_then(|status| ignores(&status, signal))
            .unwrap_or(false)
    }

    fn ignores(status: &str, signal: i32) -> Option<bool> {
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))?;
        let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
        Some(mask >> (signal - 1) & 1 == 1)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_ignored_signals_are_read_from_the_mask() {
            let status = "Name:\tx\nSigIgn:\t0000000000001003\nSigCgt:\t0\n";
            assert_eq!(ignores(status, SIGHUP), Some(true));
            assert_eq!(ignores(status, SIGINT), Some(true));
            assert_eq!(ignores(status, SIGTERM), Some(false));
            assert_eq!(ignores("", SIGINT), None);
        }
    }
}

/// Elsewhere the system ends us, and in-process guests with us; `watch` cannot.
#[cfg(not(unix))]
mod elsewhere {
    pub fn end_quietly_on_a_closed_pipe() {}

    pub fn end_with_the_process() {}

    pub fn watch(_on_signal: impl FnMut(u8) + Send + 'static) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(not(unix))]
pub use elsewhere::*;
