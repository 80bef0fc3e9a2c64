//! The rules of a run.

use serde::{Deserialize, Serialize};

use super::{ListenRule, NetworkRule};

/// What of the network a guest may reach: what a rule allows and none denies, in whatever order they are. Without rules
/// that is nothing.
///
/// - Addresses are reached where a rule covers them. Names are looked up by us, and only those that a rule is about; what
///   they come to can be reached then as the rule says, for the rest of the run.
/// - Loopback, link-local, multicast, broadcast and unspecified addresses, and those of metadata services, are reached only
///   by a rule that names them: by such an address or a block that lies within theirs, as `127.0.0.0/8` does and
///   `0.0.0.0/0` does not; loopback by the name `localhost` as well. No other name leads there, whatever it comes to.
/// - Private addresses, such as `10.0.0.0/8`, are reached like any other. Deny them where a name or a block is to lead
///   to public ones alone.
/// - An IPv6 address that carries an IPv4 address (mapped, compatible, NAT64, 6to4) is judged as that. A rule that denies
///   IPv6 is about it as well, unless it is mapped, which is IPv4 to the network.
/// - A rule that denies a name keeps it from being looked up, and what it comes to from being reached as far as the rule
///   says. What it would come to is not known before; to keep a guest from an address, deny the address.
///
/// ```
/// # use wasmrun_core::{Network, NetworkRules, RunConfig};
/// let rules = NetworkRules::new()
///     .connect("tcp:*.example.com:443".parse()?)
///     .connect("deny:10.0.0.0/8".parse()?)
///     .listen("127.0.0.1:8080".parse()?);
/// let config = RunConfig::new().network(Network::Rules(rules));
/// # Ok::<(), wasmrun_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct NetworkRules {
    /// Whom the guest may connect to, and send datagrams. Who connects to it is not asked for.
    pub connect: Vec<NetworkRule>,
    /// Where it may listen.
    pub listen: Vec<ListenRule>,
}

impl NetworkRules {
    /// None: nothing is reached.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule about whom the guest may connect to.
    #[must_use]
    pub fn connect(mut self, rule: NetworkRule) -> Self {
        self.connect.push(rule);
        self
    }

    /// Adds a place where it may listen.
    #[must_use]
    pub fn listen(mut self, rule: ListenRule) -> Self {
        self.listen.push(rule);
        self
    }
}
