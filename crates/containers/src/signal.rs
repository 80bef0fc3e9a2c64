//! Signals that end a container.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wasmrun::{Error, ErrorKind, Result};

/// A signal that ends a container. A WebAssembly guest has no handlers for signals, so each of these does what it does by
/// default: it ends the guest at once, and the exit code tells which it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Signal {
    /// SIGHUP, 1.
    Hup = 1,
    /// SIGINT, 2.
    Int = 2,
    /// SIGQUIT, 3.
    Quit = 3,
    /// SIGKILL, 9.
    Kill = 9,
    /// SIGUSR1, 10 as Linux has it.
    Usr1 = 10,
    /// SIGUSR2, 12 likewise.
    Usr2 = 12,
    /// SIGTERM, 15.
    Term = 15,
}

const NAMED: [(&str, Signal); 7] = [
    ("HUP", Signal::Hup),
    ("INT", Signal::Int),
    ("QUIT", Signal::Quit),
    ("KILL", Signal::Kill),
    ("USR1", Signal::Usr1),
    ("USR2", Signal::Usr2),
    ("TERM", Signal::Term),
];

impl Signal {
    /// Its number.
    pub fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = NAMED.iter().find(|(_, signal)| signal == self);
        write!(f, "SIG{}", named.map_or("", |(name, _)| name))
    }
}

/// By name, with `SIG` or without, or by number.
impl FromStr for Signal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let named = NAMED
            .iter()
            .find(|(known, signal)| *known == name || signal.number().to_string() == name);
        named.map(|(_, signal)| *signal).ok_or_else(|| {
            let known: Vec<_> = NAMED.iter().map(|(name, _)| *name).collect();
            let message = format!(
                "signal {text:?} means nothing to a guest, which has no handlers; there are {}, each of which ends it",
                known.join(", ")
            );
            Error::new(ErrorKind::Unsupported, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_name_and_a_number() {
        for text in ["SIGTERM", "TERM", "sigterm", "15"] {
            assert_eq!(text.parse::<Signal>().expect(text), Signal::Term);
        }
        for (_, signal) in NAMED {
            let text = signal.to_string();
            assert_eq!(text.parse::<Signal>().expect("known"), signal);
        }
        for text in ["", "STOP", "19", "0", "SIGSIGKILL"] {
            let error = text.parse::<Signal>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
    }
}
