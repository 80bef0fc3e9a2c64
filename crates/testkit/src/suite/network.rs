//! The network within rules: what a component reaches, and what it is told where it does not.
//!
//! All of it is between a guest and a server of the test, on loopback.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmrun_core::{
    Attempt, Network, NetworkProtocol, NetworkRules, Outcome, Report, RunConfig, Stdout,
};

use crate::case::{Case, captured};
use crate::sockets::{ACCESS_DENIED, DONE, INVALID_ARGUMENT, Step, guest};

crate::suite::rules![
    a_component_connects_where_a_rule_says,
    without_rules_nothing_is_reached,
    what_denies_goes_before_what_allows,
    protocol_and_port_of_a_rule_count,
    loopback_is_reached_only_where_it_is_named,
    ipv4_in_ipv6_is_judged_as_ipv4,
    localhost_is_looked_up_and_reached_as_its_rule_says,
    a_name_is_looked_up_only_where_a_rule_is_about_it,
    an_address_in_place_of_a_name_is_judged_as_an_address,
    datagrams_go_where_a_rule_says,
    a_component_listens_where_a_rule_says,
    datagrams_come_from_anyone_where_a_rule_says,
    a_component_with_the_hosts_network_reaches_all_and_is_counted,
    what_was_denied_is_told_within_bounds,
];

// ---- a server ----------------------------------------------------------------------------------

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server on loopback that sends back what it is sent, over TCP and over UDP at the same port.
struct Server {
    address: SocketAddr,
    /// How often it was reached.
    reached: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    fn new() -> Self {
        // A port that is free for the one may be taken for the other.
        let pairs = (0..100).map(|_| {
            let tcp = TcpListener::bind("127.0.0.1:0")?;
            let udp = UdpSocket::bind(tcp.local_addr()?)?;
            Ok::<_, std::io::Error>((tcp, udp))
        });
        let (tcp, udp) = pairs.flatten().next().expect("a port of loopback");
        let address = tcp.local_addr().expect("it is bound");
        let (reached, over) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let threads = [
            echo(&reached, &over, move |buffer, heard| {
                let (mut stream, _) = tcp.accept()?;
                stream.set_read_timeout(Some(PATIENCE))?;
                let read = stream.read(buffer)?;
                heard();
                stream.write_all(&buffer[..read])
            }),
            echo(&reached, &over, move |buffer, heard| {
                let (read, from) = udp.recv_from(buffer)?;
                heard();
                udp.send_to(&buffer[..read], from).map(drop)
            }),
        ];
        Server {
            address,
            reached,
            over,
            threads: threads.into(),
        }
    }

    fn port(&self) -> u16 {
        self.address.port()
    }

    fn reached(&self) -> usize {
        self.reached.load(Ordering::SeqCst)
    }
}

/// Answers, in a thread, until it is over. What is heard is counted before it is answered: a guest that has its answer ends.
fn echo(
    reached: &Arc<AtomicUsize>,
    over: &Arc<AtomicBool>,
    mut answer: impl FnMut(&mut [u8], &dyn Fn()) -> std::io::Result<()> + Send + 'static,
) -> JoinHandle<()> {
    let (reached, over) = (reached.clone(), over.clone());
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while !over.load(Ordering::SeqCst) {
            // Whoever does not send, or has gone, is not answered.
            let _ = answer(&mut buffer, &|| {
                reached.fetch_add(1, Ordering::SeqCst);
            });
        }
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes both. What fails here failed before.
        let _ = TcpStream::connect(self.address);
        let _ = UdpSocket::bind("127.0.0.1:0").and_then(|ours| ours.send_to(b"", self.address));
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

// ---- a run -------------------------------------------------------------------------------------

fn rules(texts: &[&str]) -> NetworkRules {
    let rules = texts.iter().map(|text| text.parse().expect("a rule"));
    rules.fold(NetworkRules::new(), NetworkRules::connect)
}

fn within(rules: NetworkRules) -> RunConfig {
    captured().network(Network::Rules(rules))
}

/// Takes these steps, within these rules about whom the guest may connect to.
fn ran(case: &Case, texts: &[&str], steps: &[Step<'_>]) -> Option<Report> {
    let report = case.run(&guest(steps), &within(rules(texts)))?;
    assert_eq!(report.outcome, Outcome::Exited(0));
    Some(report)
}

/// Asserts what the guest is told of each step.
fn told(case: &Case, texts: &[&str], steps: &[Step<'_>], expected: &[u8]) {
    if let Some(report) = ran(case, texts, steps) {
        assert_eq!(report.stdout.bytes, expected, "{texts:?}");
    }
}

fn to(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

// ---- rules -------------------------------------------------------------------------------------

fn a_component_connects_where_a_rule_says(case: &Case) {
    let server = Server::new();
    let rule = format!("tcp:{}", server.address);
    let steps = [Step::Connect(server.address), Step::Connect(server.address)];
    if let Some(report) = ran(case, &[&rule], &steps) {
        assert_eq!(report.stdout.bytes, [DONE, DONE]);
        assert_eq!(server.reached(), 2);
        let network = report.stats.network.expect("it is counted");
        assert_eq!(
            (network.connections, network.bytes_out, network.bytes_in),
            (2, 8, 8)
        );
        assert_eq!(report.denied.attempts, []);
    }
}

fn without_rules_nothing_is_reached(case: &Case) {
    let server = Server::new();
    let anywhere = to("127.0.0.1:0");
    let steps = [
        Step::Connect(server.address),
        Step::Send(server.address),
        Step::SendConnected(server.address),
        Step::LookUp("localhost"),
        Step::LookUp("127.0.0.1"),
        Step::Listen(anywhere),
        Step::Listen(to("0.0.0.0:0")),
        Step::AwaitDatagram(anywhere),
    ];
    if let Some(report) = ran(case, &[], &steps) {
        assert_eq!(report.stdout.bytes, [ACCESS_DENIED; 8]);
        assert_eq!(server.reached(), 0);
        let network = report.stats.network.expect("it is counted");
        assert_eq!(
            (network.connections, network.bytes_out, network.bytes_in),
            (0, 0, 0)
        );
        let tried = report
            .denied
            .attempts
            .iter()
            .map(|denied| (denied.attempt.to_string(), denied.times));
        let tried: Vec<_> = tried.collect();
        let expected = [
            (format!("connect to tcp:{}", server.address), 1),
            (format!("connect to udp:{}", server.address), 2),
            ("look up \"localhost\"".into(), 1),
            ("look up \"127.0.0.1\"".into(), 1),
            ("listen at tcp:127.0.0.1:0".into(), 1),
        ];
        assert_eq!(tried[..5], expected);
        // A socket that is bound to no address has got its port by then.
        assert!(
            tried[5].0.starts_with("listen at tcp:0.0.0.0:"),
            "{tried:?}"
        );
        assert_eq!(tried[6..], [("listen at udp:127.0.0.1:0".into(), 1)]);
    }
}

fn what_denies_goes_before_what_allows(case: &Case) {
    let server = Server::new();
    for deny in [
        "deny:127.0.0.0/8",
        "deny:tcp:127.0.0.1",
        "deny:0.0.0.0/0:1-65535",
    ] {
        for texts in [["127.0.0.1", deny], [deny, "127.0.0.1"]] {
            told(
                case,
                &texts,
                &[Step::Connect(server.address)],
                &[ACCESS_DENIED],
            );
        }
    }
    assert_eq!(server.reached(), 0);
}

fn protocol_and_port_of_a_rule_count(case: &Case) {
    let server = Server::new();
    let (above, port) = (server.port().checked_add(1).unwrap_or(1), server.port());
    for rule in [
        format!("tcp:127.0.0.1:{above}"),
        format!("udp:127.0.0.1:{port}"),
        format!("127.0.0.2:{port}"),
    ] {
        told(
            case,
            &[&rule],
            &[Step::Connect(server.address)],
            &[ACCESS_DENIED],
        );
    }
    assert_eq!(server.reached(), 0);
    let range = format!("127.0.0.1:{}-{port}", port - 1);
    told(case, &[&range], &[Step::Connect(server.address)], &[DONE]);
}

fn loopback_is_reached_only_where_it_is_named(case: &Case) {
    let server = Server::new();
    let connect = || [Step::Connect(server.address)];
    told(
        case,
        &["0.0.0.0/0", "[::]/0", "*"],
        &connect(),
        &[ACCESS_DENIED],
    );
    assert_eq!(server.reached(), 0);
    told(case, &["127.0.0.0/8"], &connect(), &[DONE]);
}

fn ipv4_in_ipv6_is_judged_as_ipv4(case: &Case) {
    let server = Server::new();
    let port = server.port();
    let carrying = |address: &str| Step::Connect(to(&format!("[{address}]:{port}")));
    let steps = [
        carrying("64:ff9b::7f00:1"),
        carrying("2002:7f00:1::"),
        carrying("64:ff9b:1::7f00:1"),
    ];
    let everything = ["0.0.0.0/0", "[::]/0", "[::1]"];
    told(case, &everything, &steps, &[ACCESS_DENIED; 3]);
    // Sockets of IPv6 are for it alone, so here WASI has another answer before any rule is asked.
    let steps = [carrying("::ffff:127.0.0.1"), carrying("::127.0.0.1")];
    told(case, &everything, &steps, &[INVALID_ARGUMENT; 2]);
    told(case, &["127.0.0.1"], &steps, &[INVALID_ARGUMENT; 2]);
    assert_eq!(server.reached(), 0);
}

fn localhost_is_looked_up_and_reached_as_its_rule_says(case: &Case) {
    let server = Server::new();
    let (rule, port) = (format!("tcp:localhost:{}", server.port()), server.port());
    let steps = [
        // Not known yet.
        Step::Connect(server.address),
        Step::LookUp("localhost"),
        Step::ConnectToFound(port),
        Step::Connect(server.address),
        Step::ConnectToFound(port.checked_add(1).unwrap_or(1)),
        Step::Send(server.address),
    ];
    let expected = [
        ACCESS_DENIED,
        DONE,
        DONE,
        DONE,
        ACCESS_DENIED,
        ACCESS_DENIED,
    ];
    told(case, &[&rule], &steps, &expected);
    // What one run looked up is not known to the next.
    told(
        case,
        &[&rule],
        &[Step::Connect(server.address)],
        &[ACCESS_DENIED],
    );
    if case.can("network_rules") {
        assert_eq!(server.reached(), 2);
    }
}

fn a_name_is_looked_up_only_where_a_rule_is_about_it(case: &Case) {
    let steps = || [Step::LookUp("localhost"), Step::LookUp("LOCALHOST")];
    for texts in [
        &["tcp:127.0.0.0/8"][..],
        &["*.localhost"],
        &["*", "deny:localhost"],
        &[
            "tcp:localhost:1-9",
            "deny:localhost:1-5",
            "deny:tcp:localhost:6-99",
        ],
        // Every name, but none leads to loopback.
        &["*"],
    ] {
        let look_up = || [Step::LookUp("localhost")];
        told(case, texts, &look_up(), &[ACCESS_DENIED]);
    }
    told(case, &["udp:Localhost:1"], &steps(), &[DONE, DONE]);
    told(
        case,
        &["*"],
        &[Step::LookUp("two words")],
        &[INVALID_ARGUMENT],
    );
}

fn an_address_in_place_of_a_name_is_judged_as_an_address(case: &Case) {
    let server = Server::new();
    for name in [
        "127.0.0.1",
        "0x7f.1",
        "2130706433",
        "::ffff:127.0.0.1",
        "[64:ff9b::7f00:1]",
    ] {
        let look_up = || [Step::LookUp(name)];
        told(
            case,
            &["*", "0.0.0.0/0", "[::]/0", "localhost"],
            &look_up(),
            &[ACCESS_DENIED],
        );
        told(
            case,
            &["127.0.0.1", "deny:127.0.0.1"],
            &look_up(),
            &[ACCESS_DENIED],
        );
        told(
            case,
            &["127.0.0.1", "deny:tcp:127.0.0.1"],
            &look_up(),
            &[DONE],
        );
    }
    let rule = format!("tcp:{}", server.address);
    let steps = [
        Step::LookUp("127.0.0.1"),
        Step::ConnectToFound(server.port()),
    ];
    told(case, &[&rule], &steps, &[DONE, DONE]);
}

fn datagrams_go_where_a_rule_says(case: &Case) {
    let server = Server::new();
    let (rule, other) = (
        format!("udp:{}", server.address),
        format!("tcp:{}", server.address),
    );
    let steps = || {
        [
            Step::Send(server.address),
            Step::SendConnected(server.address),
        ]
    };
    told(case, &[&other], &steps(), &[ACCESS_DENIED; 2]);
    assert_eq!(server.reached(), 0);
    if let Some(report) = ran(case, &[&rule], &steps()) {
        assert_eq!(report.stdout.bytes, [DONE; 2]);
        let network = report.stats.network.expect("it is counted");
        assert_eq!(
            (network.connections, network.bytes_out, network.bytes_in),
            (0, 8, 8)
        );
    }
}

/// Starts a guest that takes a step and tells at which port, hands that to `visit`, and asserts that the guest was
/// served.
fn visited(case: &Case, rule: &str, step: Step<'_>, visit: impl FnOnce(SocketAddr)) {
    let rules = NetworkRules::new().listen(rule.parse().expect("a rule"));
    let config = within(rules).stdout(Stdout::Pipe);
    let Some(mut run) = case.start(&guest(&[step]), &config) else {
        return;
    };
    let mut stdout = run.stdout.take().expect("a pipe");
    let mut told = [0; 3];
    stdout.read_exact(&mut told).expect("it tells its port");
    assert_eq!(told[0], DONE);
    visit(SocketAddr::from((
        [127, 0, 0, 1],
        u16::from_le_bytes([told[1], told[2]]),
    )));
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).expect("it tells how it went");
    assert_eq!(rest, [DONE]);
    let report = run.wait().expect("it was observed");
    assert_eq!(report.outcome, Outcome::Exited(0));
    let network = report.stats.network.expect("it is counted");
    assert_eq!(network.bytes_in, 4);
}

fn a_component_listens_where_a_rule_says(case: &Case) {
    for (rule, address) in [
        ("tcp:127.0.0.1:0", "127.0.0.1:0"),
        ("0.0.0.0:0", "127.0.0.1:0"),
        ("0.0.0.0:0", "0.0.0.0:0"),
    ] {
        visited(case, rule, Step::Listen(to(address)), |address| {
            let mut stream = TcpStream::connect(address).expect("it listens");
            stream.write_all(b"ping").expect("it reads");
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).expect("it writes");
            assert_eq!(&answer, b"ping");
        });
    }
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
    let taken = taken.local_addr().expect("it is bound");
    for (rule, address) in [
        (format!("tcp:{taken}"), "127.0.0.1:0".into()),
        ("127.0.0.1:0".into(), taken.to_string()),
        ("127.0.0.1:0".into(), "127.0.0.2:0".into()),
        ("127.0.0.1:0".into(), "0.0.0.0:0".into()),
        ("udp:127.0.0.1:0".into(), "127.0.0.1:0".to_owned()),
        ("127.0.0.1:0".into(), "[::1]:0".into()),
    ] {
        let rules = NetworkRules::new().listen(rule.parse().expect("a rule"));
        let guest = guest(&[Step::Listen(to(&address))]);
        if let Some(report) = case.run(&guest, &within(rules)) {
            assert_eq!(report.stdout.bytes, [ACCESS_DENIED], "{rule} {address}");
        }
    }
}

fn datagrams_come_from_anyone_where_a_rule_says(case: &Case) {
    for rule in ["udp:127.0.0.1:0", "127.0.0.1:0"] {
        visited(
            case,
            rule,
            Step::AwaitDatagram(to("127.0.0.1:0")),
            |address| {
                let ours = UdpSocket::bind("127.0.0.1:0").expect("a port of loopback");
                ours.send_to(b"ping", address).expect("it is sent");
            },
        );
    }
    // One that is bound to no address of its own is given nothing but what comes from where it may send to.
    let server = Server::new();
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a port of loopback");
    let rules = rules(&[&format!("udp:{}", server.address)]);
    let config = within(rules).stdout(Stdout::Pipe).limit(|limits| {
        limits.timeout = Some(Duration::from_millis(300));
    });
    let guest = guest(&[Step::AwaitDatagram(to("0.0.0.0:0"))]);
    let Some(mut run) = case.start(&guest, &config) else {
        return;
    };
    let mut stdout = run.stdout.take().expect("a pipe");
    let mut told = [0; 3];
    stdout.read_exact(&mut told).expect("it tells its port");
    let port = u16::from_le_bytes([told[1], told[2]]);
    let sent = stranger.send_to(b"ping", ("127.0.0.1", port));
    sent.expect("it is sent");
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).expect("it ends");
    assert_eq!(rest, [0; 0]);
    assert_eq!(
        run.wait().expect("it was observed").outcome,
        Outcome::TimedOut
    );
}

fn a_component_with_the_hosts_network_reaches_all_and_is_counted(case: &Case) {
    let server = Server::new();
    let steps = [
        Step::Connect(server.address),
        Step::Send(server.address),
        Step::LookUp("localhost"),
        Step::ConnectToFound(server.port()),
    ];
    let config = captured().network(Network::Host);
    let Some(report) = case.run(&guest(&steps), &config) else {
        return;
    };
    assert_eq!(report.stdout.bytes, [DONE; 4]);
    assert_eq!(server.reached(), 3);
    assert_eq!(report.denied.attempts, []);
    if case.can("network_rules") {
        let network = report.stats.network.expect("it is counted");
        assert_eq!(
            (network.connections, network.bytes_out, network.bytes_in),
            (2, 12, 12)
        );
    }
}

fn what_was_denied_is_told_within_bounds(case: &Case) {
    let steps: Vec<_> = (1..=300)
        .map(|port| Step::Connect(SocketAddr::from(([127, 0, 0, 1], port))))
        .collect();
    if let Some(report) = ran(case, &[], &steps) {
        assert_eq!(report.stdout.bytes, [ACCESS_DENIED; 300]);
        assert_eq!(
            (report.denied.attempts.len(), report.denied.further),
            (256, 44)
        );
        let last = Attempt::Connect {
            protocol: NetworkProtocol::Tcp,
            address: to("127.0.0.1:256"),
        };
        assert_eq!(report.denied.attempts[255].attempt, last);
        assert_eq!(report.denied.attempts[255].times, 1);
    }
}
