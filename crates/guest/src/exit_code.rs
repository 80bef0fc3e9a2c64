//! The exit codes by which the `wasmrun` command tells how things went.
//!
//! A guest's own exit code passes through; what no guest code can tell has a code of its own, the
//! ones shells and `timeout(1)` use.

use crate::error::ErrorKind;

/// Time or fuel ran out.
pub const TIME_OR_FUEL: u8 = 124;
/// wasmrun itself failed: bad usage, a directory that is not there, an engine's inner failure.
pub const WASMRUN: u8 = 125;
/// The file is no program for us: not wasm, invalid, or in need of what no engine here can do.
pub const NOT_RUNNABLE: u8 = 126;
/// The file, or the engine asked for, was not found.
pub const NOT_FOUND: u8 = 127;
/// The guest trapped (`128 + SIGABRT`).
pub const TRAP: u8 = 134;
/// The guest needed more memory than it may have, or was killed (`128 + SIGKILL`).
pub const MEMORY_OR_KILL: u8 = 137;

/// The guest wrote more than it may (`128 + SIGXFSZ`, what a limit on the size of files ends with).
pub const OUTPUT: u8 = 153;

/// The code for a signal that ended us: `128 + n`.
pub const fn of_signal(signal: u8) -> u8 {
    128u8.saturating_add(signal)
}

/// The code for a guest's own exit code: its low eight bits, as POSIX has it, except that a failure
/// is never told as success.
pub const fn of_guest(code: i32) -> u8 {
    match (code, (code & 0xff) as u8) {
        (0, _) => 0,
        (_, 0) => 1,
        (_, low) => low,
    }
}

impl ErrorKind {
    /// The exit code by which a process tells an error of this kind.
    pub fn exit_code(self) -> u8 {
        use ErrorKind::*;
        match self {
            GuestNotFound | EngineNotFound => NOT_FOUND,
            NotWasm | Invalid | Unsupported => NOT_RUNNABLE,
            InUse | Preopen | Config | Io | Engine | Host | Ended => WASMRUN,
            Interrupted => TIME_OR_FUEL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_guest_never_looks_successful() {
        assert_eq!(of_guest(0), 0);
        assert_eq!(of_guest(42), 42);
        assert_eq!(of_guest(200), 200);
        assert_eq!(of_guest(-1), 255);
        assert_eq!(of_guest(256), 1);
    }
}
