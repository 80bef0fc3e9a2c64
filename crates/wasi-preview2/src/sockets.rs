//! What a component may do with the network.
//!
//! Sockets are wasmtime-wasi's, which asks before it does anything with an address. Names are looked up here, since
//! wasmtime-wasi only knows whether that is allowed at all, and what goes through sockets is counted.

mod counted;
mod delegate;
mod lookup;
mod tcp;
mod udp;

use std::collections::HashSet;
use std::fmt;
use std::future::ready;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use lookup::LookUp;
use wasmrun_core::{Attempt, Denials, Network, NetworkProtocol, Pins, Task, Usage};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::sockets::SocketAddrUse;

/// What a component has of the network.
pub struct Sockets {
    pub(crate) gate: Gate,
    /// Sockets and streams of datagrams, by their place in the table, that are bound where a rule says: they may be sent to
    /// by anyone.
    pub(crate) open_to_all: HashSet<u32>,
    /// How many have been made to listen by WASI 0.3.
    #[cfg(feature = "p3")]
    pub(crate) listeners: usize,
}

impl Sockets {
    /// What `task` gives it.
    pub fn of(task: &Task) -> Self {
        let sockets = Sockets {
            gate: Gate::new(
                task.network.clone(),
                task.denials.clone(),
                task.usage.clone(),
                Arc::new(resolve),
            ),
            open_to_all: HashSet::new(),
            #[cfg(feature = "p3")]
            listeners: 0,
        };
        if task.network != Network::Denied {
            task.usage.traffic().begin();
        }
        sockets
    }

    /// Has every address that is used in this context be asked for here.
    pub fn guard(&self, context: &mut WasiCtxBuilder) {
        let has_sockets = self.gate.0.network != Network::Denied;
        context.allow_tcp(has_sockets).allow_udp(has_sockets);
        let gate = self.gate.clone();
        context.socket_addr_check(move |address, what| Box::pin(ready(gate.allows(address, what))));
    }
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sockets")
            .field(&self.gate.0.network)
            .finish()
    }
}

/// What finds the addresses of a name. It may take its time.
type Resolve = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// As the host does.
fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
    let found = (name, 0).to_socket_addrs()?;
    Ok(found.map(|address| address.ip()).collect())
}

/// Where it is decided what a guest may do with the network. All clones are the same.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Inner>);

struct Inner {
    network: Network,
    pins: Mutex<Pins>,
    denials: Denials,
    usage: Usage,
    resolve: Arc<Resolve>,
}

impl Gate {
    fn new(network: Network, denials: Denials, usage: Usage, resolve: Arc<Resolve>) -> Self {
        Gate(Arc::new(Inner {
            network,
            pins: Mutex::default(),
            denials,
            usage,
            resolve,
        }))
    }

    /// Whether a socket may be used so. What is denied is noted.
    fn allows(&self, address: SocketAddr, what: SocketAddrUse) -> bool {
        use NetworkProtocol::{Tcp, Udp};
        use SocketAddrUse::{
            TcpAccept, TcpBind, TcpConnect, TcpListen, UdpBind, UdpReceive, UdpSend,
        };

        let rules = match &self.0.network {
            Network::Denied => return false,
            Network::Host => return true,
            Network::Rules(rules) => rules,
        };
        let (is_allowed, attempt) = match what {
            // Who is no socket to listen is bound like this when it connects or, explicitly, before it sends.
            TcpBind | UdpBind if address.ip().is_unspecified() && address.port() == 0 => {
                return true;
            }
            TcpAccept => return true,
            // Here it is not known which socket receives: see `receive` in `udp.rs`.
            UdpReceive => return true,
            TcpBind => (rules.allow_bind(Tcp, address), listen(Tcp, address)),
            UdpBind => (rules.allow_bind(Udp, address), listen(Udp, address)),
            TcpListen => (rules.allow_listen(Tcp, address), listen(Tcp, address)),
            TcpConnect => (self.allows_connect(Tcp, address), connect(Tcp, address)),
            UdpSend => (self.allows_connect(Udp, address), connect(Udp, address)),
        };
        if !is_allowed {
            self.0.denials.note(attempt);
        }
        is_allowed
    }

    pub(crate) fn allows_connect(&self, protocol: NetworkProtocol, address: SocketAddr) -> bool {
        match &self.0.network {
            Network::Denied => false,
            Network::Host => true,
            Network::Rules(rules) => rules.allow_connect(&self.pins(), protocol, address),
        }
    }

    /// Whether a socket that is bound to `address` may be sent datagrams by anyone.
    pub(crate) fn is_open_to_all(&self, address: SocketAddr) -> bool {
        match &self.0.network {
            Network::Denied => false,
            Network::Host => true,
            Network::Rules(rules) => rules.allow_bind(NetworkProtocol::Udp, address),
        }
    }

    /// Whether the guest may look a name up, or be told an address that it gave in place of one.
    pub(crate) fn allows_look_up(&self, wanted: &Wanted) -> bool {
        let is_allowed = match (&self.0.network, wanted) {
            (Network::Denied, _) => false,
            (Network::Host, _) => true,
            (Network::Rules(rules), Wanted::Name(name)) => rules.allow_name(name),
            (Network::Rules(rules), Wanted::Address(address)) => {
                rules.allow_address(&self.pins(), *address)
            }
        };
        if !is_allowed {
            self.denied_name(wanted.to_string());
        }
        is_allowed
    }

    /// The addresses of a name that may be looked up: those that the guest can reach. `None` if there are none but such as
    /// it cannot. Takes its time.
    pub(crate) fn look_up(&self, name: &str) -> io::Result<Option<Vec<IpAddr>>> {
        let found = (self.0.resolve)(name)?;
        let Network::Rules(rules) = &self.0.network else {
            let canonical = found.iter().map(IpAddr::to_canonical);
            return Ok(Some(canonical.collect()));
        };
        let is_known = !found.is_empty();
        let told = rules.pin(&mut self.pins(), name, found);
        if told.is_empty() && is_known {
            self.denied_name(name.to_owned());
            return Ok(None);
        }
        Ok(Some(told))
    }

    fn denied_name(&self, name: String) {
        self.0.denials.note(Attempt::LookUp { name });
    }

    fn pins(&self) -> std::sync::MutexGuard<'_, Pins> {
        // Nothing that can panic runs under this lock.
        self.0.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn usage(&self) -> &Usage {
        &self.0.usage
    }
}

fn listen(protocol: NetworkProtocol, address: SocketAddr) -> Attempt {
    Attempt::Listen { protocol, address }
}

fn connect(protocol: NetworkProtocol, address: SocketAddr) -> Attempt {
    Attempt::Connect { protocol, address }
}

/// What a guest wants to know the addresses of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A name, in ASCII.
    Name(String),
    Address(IpAddr),
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Name(name) => name.fmt(f),
            Wanted::Address(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use SocketAddrUse::{TcpBind, TcpConnect, TcpListen, UdpSend};
    use wasmrun_core::NetworkRules;

    use super::*;

    /// A gate for which the same name comes to something else each time.
    fn gate(rules: &[&str], answers: &'static [&'static [&'static str]]) -> Gate {
        let rules = rules.iter().map(|rule| rule.parse().expect("a rule"));
        let rules = rules.fold(NetworkRules::new(), NetworkRules::connect);
        let asked = AtomicUsize::new(0);
        let resolve = move |_: &str| {
            let answer = answers[asked.fetch_add(1, Ordering::Relaxed) % answers.len()];
            Ok(answer.iter().map(|answer| ip(answer)).collect())
        };
        Gate::new(
            Network::Rules(rules),
            Denials::default(),
            Usage::default(),
            Arc::new(resolve),
        )
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn to(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn looked_up(gate: &Gate) -> Option<Vec<IpAddr>> {
        let name = Wanted::Name("a.example".into());
        assert!(gate.allows_look_up(&name));
        gate.look_up("a.example").expect("it is resolved")
    }

    #[test]
    fn a_name_that_comes_to_something_else_the_second_time_leads_nowhere_else() {
        const ANSWERS: &[&[&str]] = &[
            &["203.0.113.1"],
            &["127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"],
        ];
        let gate = gate(&["tcp:a.example:443"], ANSWERS);
        assert_eq!(looked_up(&gate), Some(vec![ip("203.0.113.1")]));
        assert!(gate.allows(to("203.0.113.1:443"), TcpConnect));
        assert_eq!(looked_up(&gate), None);
        for address in ["127.0.0.1:443", "169.254.169.254:443", "[::1]:443"] {
            assert!(!gate.allows(to(address), TcpConnect), "{address}");
        }
        // What was pinned before stays.
        assert!(gate.allows(to("203.0.113.1:443"), TcpConnect));
    }

    #[test]
    fn of_several_addresses_those_are_told_that_are_allowed() {
        const ANSWERS: &[&[&str]] = &[&["10.0.0.1", "203.0.113.1", "127.0.0.1"]];
        let gate = gate(&["*", "deny:10.0.0.0/8"], ANSWERS);
        assert_eq!(looked_up(&gate), Some(vec![ip("203.0.113.1")]));
        assert!(!gate.allows(to("10.0.0.1:80"), UdpSend));
    }

    #[test]
    fn nothing_is_looked_up_that_no_rule_is_about() {
        let gate = gate(&["b.example"], &[&["203.0.113.1"]]);
        assert!(!gate.allows_look_up(&Wanted::Name("a.example".into())));
        assert!(!gate.allows_look_up(&Wanted::Address(ip("203.0.113.1"))));
        assert!(gate.allows_look_up(&Wanted::Name("b.example".into())));
    }

    #[test]
    fn a_socket_that_is_not_to_listen_is_bound_anywhere_and_listens_nowhere() {
        let gate = gate(&[], &[&[]]);
        assert!(gate.allows(to("0.0.0.0:0"), TcpBind));
        assert!(!gate.allows(to("0.0.0.0:40000"), TcpListen));
        assert!(!gate.allows(to("127.0.0.1:0"), TcpBind));
    }
}
