//! What a guest tried of the network, and was denied.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::NetworkProtocol;

/// Something that a guest tried of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Attempt {
    /// To look up a name, or have the address told that it gave in place of one; or all that the name came to is denied.
    LookUp {
        /// The name, cut after 255 characters.
        name: String,
    },
    /// To connect, or send a datagram.
    Connect {
        /// Over this.
        protocol: NetworkProtocol,
        /// To this address.
        address: SocketAddr,
    },
    /// To listen, or bind a socket to an address.
    Listen {
        /// Over this.
        protocol: NetworkProtocol,
        /// At this address; port 0 is any.
        address: SocketAddr,
    },
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attempt::LookUp { name } => write!(f, "look up {name:?}"),
            Attempt::Connect { protocol, address } => write!(f, "connect to {protocol}:{address}"),
            Attempt::Listen { protocol, address } => write!(f, "listen at {protocol}:{address}"),
        }
    }
}

/// What a guest tried, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeniedAttempt {
    /// What it tried.
    #[serde(flatten)]
    pub attempt: Attempt,
    /// How often.
    pub times: u64,
}

/// What a guest tried of the network, and was denied by [rules](super::NetworkRules) or, of names, by the lack of a
/// network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Denied {
    /// What it tried, in the order of the first times: of different attempts the first 256.
    pub attempts: Vec<DeniedAttempt>,
    /// How often it tried something else.
    pub further: u64,
}

/// So many different attempts are told.
const MOST_TOLD: usize = 256;

const LONGEST_NAME: usize = 255;

/// Where is noted what a guest is denied, for the report. All clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Denials(Arc<Mutex<Denied>>);

impl Denials {
    /// Notes that the guest was denied this.
    pub fn note(&self, mut attempt: Attempt) {
        if let Attempt::LookUp { name } = &mut attempt
            && let Some((end, _)) = name.char_indices().nth(LONGEST_NAME)
        {
            name.truncate(end);
        }
        // No panic leaves it half done.
        let mut denied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Denied { attempts, further } = &mut *denied;
        match attempts.iter().position(|known| known.attempt == attempt) {
            Some(known) => attempts[known].times = attempts[known].times.saturating_add(1),
            None if attempts.len() < MOST_TOLD => {
                attempts.push(DeniedAttempt { attempt, times: 1 });
            }
            None => *further = further.saturating_add(1),
        }
    }

    pub(crate) fn all(&self) -> Denied {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_and_bounded() {
        let denials = Denials::default();
        for _ in 0..2 {
            for number in 0..300u16 {
                denials.note(Attempt::Connect {
                    protocol: NetworkProtocol::Tcp,
                    address: SocketAddr::from(([127, 0, 0, 1], number)),
                });
            }
        }
        denials.note(Attempt::LookUp {
            name: "ü".repeat(1000),
        });
        let denied = denials.all();
        assert_eq!((denied.attempts.len(), denied.further), (256, 89));
        assert_eq!(denied.attempts[255].times, 2);
    }

    #[test]
    fn a_long_name_is_cut() {
        let denials = Denials::default();
        denials.note(Attempt::LookUp {
            name: "ü".repeat(1000),
        });
        let name = "ü".repeat(255);
        assert_eq!(denials.all().attempts[0].attempt, Attempt::LookUp { name });
    }
}
