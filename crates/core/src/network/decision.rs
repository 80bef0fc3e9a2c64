//! What rules come to: a tool for whoever has sockets.

use std::collections::{BTreeSet, HashMap};
use std::iter;
use std::net::{IpAddr, SocketAddr};

use super::address::{judged, special};
use super::rule::normal_name;
use super::{NetworkProtocol, NetworkRule, NetworkRules};

/// What the names that a guest looked up came to: addresses, each with the rules about its names. It is for one set of
/// rules.
#[derive(Debug, Default)]
pub struct Pins(HashMap<IpAddr, BTreeSet<usize>>);

/// So many addresses are kept of names. What more names come to is not reached.
const MOST_PINNED: usize = 4096;

impl Pins {
    fn has(&self, address: IpAddr, rule: usize) -> bool {
        let rules = self.0.get(&address);
        rules.is_some_and(|rules| rules.contains(&rule))
    }

    /// Whether there was room for it.
    fn add(&mut self, address: IpAddr, rules: impl Iterator<Item = usize>) -> bool {
        let mut rules = rules.peekable();
        if rules.peek().is_none() {
            return true;
        }
        let is_full = self.0.len() >= MOST_PINNED;
        if is_full && !self.0.contains_key(&address) {
            return false;
        }
        self.0.entry(address).or_default().extend(rules);
        true
    }
}

impl NetworkRules {
    /// Whether a name may be looked up: a rule about it allows something that none about it denies.
    pub fn allow_name(&self, name: &str) -> bool {
        let Some(name) = normal_name(name) else {
            return false;
        };
        leave_something(self.connect.iter().filter(|rule| rule.is_about(&name)))
    }

    /// Takes what a name came to, that was [allowed](NetworkRules::allow_name). Returns what the guest may be told of it:
    /// addresses that it can reach on some port. These are pinned.
    pub fn pin(
        &self,
        pins: &mut Pins,
        name: &str,
        found: impl IntoIterator<Item = IpAddr>,
    ) -> Vec<IpAddr> {
        let Some(name) = normal_name(name) else {
            return Vec::new();
        };
        let mut told = Vec::new();
        for address in found {
            // No name leads to special addresses, but for that of loopback.
            let judged = judged(address);
            let leads = |rule: &NetworkRule| {
                !rule.allows
                    || special(judged).is_none()
                    || judged.is_loopback() && rule.is_about_localhost()
            };
            let about = self.connect.iter().enumerate();
            let about = about.filter(|(_, rule)| rule.is_about(&name) && leads(rule));
            let about: Vec<_> = about.map(|(at, _)| at).collect();
            let all = self.connect.iter().enumerate().filter(|(at, rule)| {
                about.contains(at) || rule.covers(address) || pins.has(judged, *at)
            });
            let is_reached = leave_something(all.map(|(_, rule)| rule));
            // What denies holds even where nothing of this name is left.
            let lasting = about.iter().copied();
            let lasting = lasting.filter(|at| is_reached || !self.connect[*at].allows);
            if pins.add(judged, lasting) && is_reached {
                told.push(address.to_canonical());
            }
        }
        told
    }

    /// Whether an address that was given in place of a name may be told: it can be reached on some port.
    pub fn allow_address(&self, pins: &Pins, address: IpAddr) -> bool {
        leave_something(self.about(pins, address))
    }

    /// Whether a guest may connect to `address`, or send a datagram there.
    pub fn allow_connect(
        &self,
        pins: &Pins,
        protocol: NetworkProtocol,
        address: SocketAddr,
    ) -> bool {
        let mut is_allowed = false;
        for rule in self.about(pins, address.ip()) {
            if rule.is_for(protocol) && rule.ports.contains(&address.port()) {
                if !rule.allows {
                    return false;
                }
                is_allowed = true;
            }
        }
        is_allowed
    }

    /// Whether a socket may be bound to `address` to listen there, or to receive datagrams from anyone.
    pub fn allow_bind(&self, protocol: NetworkProtocol, address: SocketAddr) -> bool {
        let mut rules = self.listen.iter();
        rules.any(|rule| rule.allows_bind(protocol, address))
    }

    /// Whether a socket that is bound to `address` may listen.
    pub fn allow_listen(&self, protocol: NetworkProtocol, address: SocketAddr) -> bool {
        let mut rules = self.listen.iter();
        rules.any(|rule| rule.allows_listen(protocol, address))
    }

    /// The rules about an address.
    fn about<'a>(
        &'a self,
        pins: &'a Pins,
        address: IpAddr,
    ) -> impl Iterator<Item = &'a NetworkRule> + Clone {
        let (rules, judged) = (self.connect.iter().enumerate(), judged(address));
        let about = rules.filter(move |(at, rule)| rule.covers(address) || pins.has(judged, *at));
        about.map(|(_, rule)| rule)
    }
}

/// Whether these rules allow something that none of them denies.
fn leave_something<'a>(rules: impl Iterator<Item = &'a NetworkRule> + Clone) -> bool {
    let (allow, deny): (Vec<_>, Vec<_>) = rules.partition(|rule| rule.allows);
    NetworkProtocol::ALL.into_iter().any(|protocol| {
        let allow = allow.iter().filter(|rule| rule.is_for(protocol));
        let deny = || deny.iter().filter(|rule| rule.is_for(protocol));
        // If a port is left, so is one that begins what is allowed or follows on what is denied.
        allow.into_iter().any(|rule| {
            let behind = deny().filter_map(|rule| rule.ports.end().checked_add(1));
            iter::once(*rule.ports.start())
                .chain(behind)
                .filter(|port| rule.ports.contains(port))
                .any(|port| !deny().any(|rule| rule.ports.contains(&port)))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::NetworkProtocol::{Tcp, Udp};
    use super::*;

    fn rules(texts: &[&str]) -> NetworkRules {
        let rules = texts.iter().map(|text| text.parse().expect("a rule"));
        rules.fold(NetworkRules::new(), NetworkRules::connect)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn to(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn without_rules_nothing_is_reached() {
        let rules = rules(&[]);
        assert!(!rules.allow_name("example.com"));
        assert!(!rules.allow_connect(&Pins::default(), Tcp, to("1.2.3.4:80")));
    }

    #[test]
    fn protocol_and_port_count() {
        let rules = rules(&["tcp:1.2.3.4:80-90", "udp:1.2.3.4:53"]);
        let reached =
            |protocol, address| rules.allow_connect(&Pins::default(), protocol, to(address));
        assert!(
            reached(Tcp, "1.2.3.4:80") && reached(Tcp, "1.2.3.4:90") && reached(Udp, "1.2.3.4:53")
        );
        assert!(
            !reached(Tcp, "1.2.3.4:91")
                && !reached(Tcp, "1.2.3.4:53")
                && !reached(Udp, "1.2.3.4:80")
        );
    }

    #[test]
    fn special_addresses_are_reached_only_where_they_are_named() {
        let everything = rules(&["0.0.0.0/0", "[::]/0", "*"]);
        let named = rules(&["127.0.0.0/8", "169.254.169.254", "[::1]"]);
        for address in [
            "127.0.0.1:80",
            "169.254.169.254:80",
            "[::1]:80",
            "[64:ff9b::7f00:1]:80",
        ] {
            assert!(
                !everything.allow_connect(&Pins::default(), Tcp, to(address)),
                "{address}"
            );
            assert!(
                named.allow_connect(&Pins::default(), Tcp, to(address)),
                "{address}"
            );
        }
        assert!(everything.allow_connect(&Pins::default(), Tcp, to("10.0.0.1:80")));
    }

    #[test]
    fn what_carries_an_ipv4_address_is_denied_in_either_form() {
        let reached = |deny, address| {
            let rules = rules(&["0.0.0.0/0", "[2000::]/3", deny]);
            rules.allow_connect(&Pins::default(), Tcp, to(address))
        };
        for address in ["[64:ff9b::102:304]:80", "[2002:102:304::1]:80"] {
            assert!(reached("deny:9.9.9.9", address), "{address}");
            assert!(!reached("deny:1.2.3.4", address), "{address}");
            assert!(!reached("deny:[::]/0", address), "{address}");
        }
        assert!(!reached("deny:[2000::]/3", "[2002:102:304::1]:80"));
        // What is mapped goes over IPv4.
        assert!(reached("deny:[::]/0", "[::ffff:1.2.3.4]:80"));
    }

    #[test]
    fn what_a_name_came_to_is_reached_as_its_rule_says() {
        let rules = rules(&["tcp:*.example.com:443"]);
        let mut pins = Pins::default();
        assert!(rules.allow_name("A.example.com.") && !rules.allow_name("example.com"));
        assert!(!rules.allow_connect(&pins, Tcp, to("1.2.3.4:443")));
        assert_eq!(
            rules.pin(&mut pins, "a.example.com", [ip("1.2.3.4")]),
            [ip("1.2.3.4")]
        );
        assert!(rules.allow_connect(&pins, Tcp, to("1.2.3.4:443")));
        assert!(rules.allow_connect(&pins, Tcp, to("[64:ff9b::102:304]:443")));
        assert!(!rules.allow_connect(&pins, Tcp, to("1.2.3.4:80")));
        assert!(!rules.allow_connect(&pins, Udp, to("1.2.3.4:443")));
    }

    #[test]
    fn no_name_leads_to_special_addresses_or_denied_ones() {
        let rules = rules(&["*", "deny:10.0.0.0/8", "deny:tcp:1.2.3.4:80"]);
        let mut pins = Pins::default();
        let found = [
            "127.0.0.1",
            "::1",
            "169.254.169.254",
            "10.1.1.1",
            "::ffff:10.1.1.1",
            "1.2.3.4",
        ];
        assert_eq!(
            rules.pin(&mut pins, "a.example", found.map(ip)),
            [ip("1.2.3.4")]
        );
        assert!(rules.allow_connect(&pins, Tcp, to("1.2.3.4:81")));
        for address in [
            "127.0.0.1:81",
            "[::1]:81",
            "169.254.169.254:80",
            "10.1.1.1:81",
            "1.2.3.4:80",
        ] {
            assert!(!rules.allow_connect(&pins, Tcp, to(address)), "{address}");
        }
    }

    #[test]
    fn a_name_does_not_widen_what_a_rule_about_an_address_allows() {
        let rules = rules(&["evil.example", "tcp:127.0.0.1:80"]);
        let mut pins = Pins::default();
        assert_eq!(
            rules.pin(&mut pins, "evil.example", [ip("127.0.0.1")]),
            [ip("127.0.0.1")]
        );
        assert!(rules.allow_connect(&pins, Tcp, to("127.0.0.1:80")));
        assert!(!rules.allow_connect(&pins, Tcp, to("127.0.0.1:22")));
    }

    #[test]
    fn localhost_leads_to_loopback_by_its_own_name_alone() {
        let rules = rules(&["tcp:localhost:80", "*"]);
        let mut pins = Pins::default();
        let told = rules.pin(&mut pins, "a.localhost", [ip("127.0.0.1")]);
        assert!(told.is_empty(), "{told:?}");
        assert_eq!(
            rules.pin(&mut pins, "localhost", [ip("127.0.0.1")]),
            [ip("127.0.0.1")]
        );
        assert!(rules.allow_connect(&pins, Tcp, to("127.0.0.1:80")));
        assert!(!rules.allow_connect(&pins, Tcp, to("127.0.0.1:81")));
    }

    #[test]
    fn a_name_that_is_denied_as_far_as_it_is_allowed_is_not_looked_up() {
        let denied = rules(&[
            "tcp:*.example.com:80-90",
            "deny:tcp:a.example.com:80-85",
            "deny:*.example.com:86-99",
        ]);
        assert!(!denied.allow_name("a.example.com") && denied.allow_name("b.example.com"));
        let other = rules(&["tcp:a.example.com", "deny:udp:a.example.com"]);
        assert!(other.allow_name("a.example.com"));
    }

    #[test]
    fn a_name_that_is_denied_is_denied_where_another_leads_as_well() {
        let rules = rules(&["*.example.com", "deny:a.example.com:25"]);
        let mut pins = Pins::default();
        for name in ["a.example.com", "b.example.com"] {
            assert_eq!(rules.pin(&mut pins, name, [ip("1.2.3.4")]), [ip("1.2.3.4")]);
        }
        assert!(rules.allow_connect(&pins, Tcp, to("1.2.3.4:80")));
        assert!(!rules.allow_connect(&pins, Tcp, to("1.2.3.4:25")));
    }

    #[test]
    fn what_is_pinned_is_bounded() {
        let rules = rules(&["*"]);
        let mut pins = Pins::default();
        let found = (0..10_000)
            .map(|number| IpAddr::from(0x0a00_0000u32.wrapping_add(number).to_be_bytes()));
        assert_eq!(rules.pin(&mut pins, "a.example", found).len(), MOST_PINNED);
    }

    #[test]
    fn listening_is_where_a_rule_says() {
        let rules = NetworkRules::new()
            .listen("tcp:127.0.0.1:0".parse().expect("a rule"))
            .listen("0.0.0.0:8080".parse().expect("a rule"));
        assert!(
            rules.allow_bind(Tcp, to("127.0.0.1:0")) && !rules.allow_bind(Udp, to("127.0.0.1:0"))
        );
        assert!(rules.allow_listen(Tcp, to("127.0.0.1:40000")));
        assert!(!rules.allow_bind(Tcp, to("127.0.0.1:40000")));
        assert!(
            rules.allow_bind(Udp, to("127.0.0.1:8080"))
                && rules.allow_bind(Tcp, to("0.0.0.0:8080"))
        );
        assert!(
            !rules.allow_bind(Tcp, to("[::]:8080"))
                && !rules.allow_listen(Tcp, to("0.0.0.0:40000"))
        );
    }
}
