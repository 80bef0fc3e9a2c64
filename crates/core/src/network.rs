//! What of the network a guest may reach: rules, and what comes of them.
//!
//! Everything here is a decision about names, addresses and ports. Who has sockets asks before they do anything.

mod address;
mod decision;
mod denied;
mod listen;
mod rule;
mod rules;
mod traffic;

pub use decision::Pins;
pub use denied::{Attempt, Denials, Denied, DeniedAttempt};
pub use listen::ListenRule;
pub use rule::NetworkRule;
pub use rules::NetworkRules;
pub use traffic::{NetworkStats, Traffic};

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is spoken over the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkProtocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl NetworkProtocol {
    const ALL: [NetworkProtocol; 2] = [NetworkProtocol::Tcp, NetworkProtocol::Udp];

    /// The protocol that a text begins with, and what is behind it.
    fn before(text: &str) -> (Option<Self>, &str) {
        let mut all = NetworkProtocol::ALL.into_iter();
        let found = all.find_map(|protocol| {
            let rest = text.strip_prefix(protocol.name())?.strip_prefix(':')?;
            Some((protocol, rest))
        });
        found.map_or((None, text), |(protocol, rest)| (Some(protocol), rest))
    }

    fn name(self) -> &'static str {
        match self {
            NetworkProtocol::Tcp => "tcp",
            NetworkProtocol::Udp => "udp",
        }
    }
}

impl fmt::Display for NetworkProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
