//! One rule about where a guest may listen, and its text.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::NetworkProtocol;
use super::address::judged;
use crate::{Error, ErrorKind, Result};

/// Where a guest may listen for connections, and bind sockets for datagrams.
///
/// Its text is `[tcp:|udp:]ADDRESS:PORT`; it is about both protocols unless it says which. `0.0.0.0` and `[::]` are every
/// address of the host, of IPv4 and of IPv6. Port 0 is any that the system chooses.
///
/// ```
/// # use wasmrun_core::ListenRule;
/// let rule: ListenRule = "tcp:[::1]:8080".parse()?;
/// assert_eq!(rule.to_string(), "tcp:[::1]:8080");
/// # Ok::<(), wasmrun_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct ListenRule {
    protocol: Option<NetworkProtocol>,
    address: SocketAddr,
}

impl ListenRule {
    /// Whether a socket may be bound to `address`, in which port 0 is one that the system is to choose.
    pub(super) fn allows_bind(&self, protocol: NetworkProtocol, address: SocketAddr) -> bool {
        self.is_about(protocol, address.ip()) && address.port() == self.address.port()
    }

    /// Whether a socket that is bound to `address` may listen.
    pub(super) fn allows_listen(&self, protocol: NetworkProtocol, address: SocketAddr) -> bool {
        // To any other port than those that the system chooses it could not have been bound.
        self.is_about(protocol, address.ip()) && [0, address.port()].contains(&self.address.port())
    }

    fn is_about(&self, protocol: NetworkProtocol, address: IpAddr) -> bool {
        let (ours, address) = (self.address.ip(), judged(address));
        self.protocol.is_none_or(|ours| ours == protocol)
            && (ours == address || ours.is_unspecified() && ours.is_ipv4() == address.is_ipv4())
    }
}

impl FromStr for ListenRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (protocol, address) = NetworkProtocol::before(text);
        let address: SocketAddr = address.parse().map_err(|_| {
            Error::new(
                ErrorKind::Config,
                format!(
                    "{text:?} is nowhere to listen: it is [tcp:|udp:]ADDRESS:PORT, such as 127.0.0.1:8080 or \
                     [::1]:8080, and port 0 is any that is free"
                ),
            )
        })?;
        let address = SocketAddr::new(judged(address.ip()), address.port());
        Ok(ListenRule { protocol, address })
    }
}

impl TryFrom<String> for ListenRule {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ListenRule> for String {
    fn from(rule: ListenRule) -> String {
        rule.to_string()
    }
}

impl fmt::Display for ListenRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(protocol) = self.protocol {
            write!(f, "{protocol}:")?;
        }
        self.address.fmt(f)
    }
}
