//! Rules about the network, on a network of the test's own: with addresses that are private, public or a cloud's
//! metadata, and names that come to whatever the test wants.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::net::{AddressFamily, SocketType};
use serde_json::{Value, json};
use wasmrun_testkit::sockets::{
    ACCESS_DENIED, DONE, INVALID_ARGUMENT, NAME_UNRESOLVABLE, Step, guest,
};

use crate::common::with_cache;
use crate::peers::{NameServer, Names, Peers};
use crate::space::{Want, enter};

use Step::{
    AnswerTwo, AwaitDatagram, Connect, ConnectToFound, Listen, LookUp, Send, SendConnected,
};

/// What the network has, beside loopback.
const ADDRESSES: [&str; 8] = [
    "10.20.30.40",
    "10.20.30.41",
    "203.0.113.10",
    "169.254.169.254",
    "fd12::40",
    "fd12::41",
    "fd00:ec2::254",
    // 10.20.30.40, as a translator to IPv4 has it.
    "64:ff9b::a14:1e28",
];

const NAMES: Names = &[
    ("public.example", &[&["203.0.113.10"]]),
    ("private.example", &[&["10.20.30.41"]]),
    (
        "rebinding.example",
        &[
            &["203.0.113.10"],
            &["10.20.30.41"],
            &["127.0.0.1"],
            &["169.254.169.254", "fd00:ec2::254"],
            &["::1", "64:ff9b::7f00:1", "::ffff:127.0.0.1"],
        ],
    ),
    (
        "several.example",
        &[&[
            "10.20.30.41",
            "127.0.0.1",
            "203.0.113.10",
            "169.254.169.254",
            "::1",
            "fd12::40",
        ]],
    ),
    ("alias.example", &[&["public.example"]]),
    ("inward.example", &[&["here.example"]]),
    ("here.example", &[&["127.0.0.1", "::1"]]),
    ("silent.example", &[]),
];

/// Longer than any guest here takes.
const PATIENCE: &str = "60s";

/// Names that the system knows by itself.
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n169.254.169.254 metadata.example\n";

/// It waits for an answer as long as it can be told to.
const RESOLVER: &str = "nameserver 127.0.0.1\nsearch .\noptions timeout:30 attempts:5\n";

/// The network of a test, with servers at two ports of all addresses.
struct Network {
    scratch: PathBuf,
    peers: Peers,
    names: NameServer,
}

impl Network {
    /// See [`enter`].
    fn enter(test: &str) -> Option<Self> {
        let files = [
            Want::File("/etc/hosts", HOSTS),
            Want::File("/etc/resolv.conf", RESOLVER),
            Want::File("/etc/nsswitch.conf", "hosts: files dns\n"),
        ];
        let addresses = ADDRESSES.map(Want::Address);
        let scratch = enter(
            &format!("network_rules::{test}"),
            &[&files[..], &addresses].concat(),
        )?;
        let addresses = ADDRESSES.into_iter().chain(["127.0.0.1", "::1"]).map(ip);
        let places = addresses.flat_map(|address| [7000, 7001].map(|port| (address, port).into()));
        Some(Network {
            scratch,
            peers: Peers::at(places.collect()),
            names: NameServer::of(NAMES),
        })
    }

    /// Has a guest take steps with these options, asserts what it is told of each, and returns the report.
    fn run(&self, options: &[&str], steps: &[(Step<'_>, u8)]) -> Value {
        let (steps, expected): (Vec<_>, Vec<_>) = steps.iter().copied().unzip();
        let ran = self.command(PATIENCE, options, &steps).output();
        let ran = ran.expect("wasmrun starts");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(0), "{said}");
        assert_eq!(ran.stdout, expected, "{options:?} {steps:?} {said}");
        self.report()
    }

    /// The same, and asserts where a server was reached.
    fn reaches(&self, options: &[&str], steps: &[(Step<'_>, u8)], expected: &[&str]) -> Value {
        let report = self.run(options, steps);
        assert_eq!(self.peers.reached(), expected, "{options:?}");
        report
    }

    /// Starts a guest whose first step tells at which port it is.
    fn start(&self, options: &[&str], steps: &[Step<'_>]) -> Started {
        let mut command = self.command(PATIENCE, options, steps);
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("wasmrun starts");
        let mut stdout = child.stdout.take().expect("a pipe");
        let mut told = [0; 3];
        stdout.read_exact(&mut told).expect("it tells its port");
        assert_eq!(told[0], DONE);
        Started {
            port: u16::from_le_bytes([told[1], told[2]]),
            child,
            stdout,
        }
    }

    fn command(&self, timeout: &str, options: &[&str], steps: &[Step<'_>]) -> Command {
        let component = self.scratch.join("sockets.wasm");
        fs::write(&component, guest(steps).bytes()).expect("a file");
        let mut command = with_cache(&self.scratch.join("cache"));
        command.args(["--engine=wasmtime", "--timeout", timeout, "--report"]);
        command.arg(self.report_file()).args(options).arg(component);
        command
    }

    fn report_file(&self) -> PathBuf {
        self.scratch.join("report.json")
    }

    fn report(&self) -> Value {
        let report = fs::read(self.report_file()).expect("a report");
        serde_json::from_slice(&report).expect("JSON")
    }
}

/// A guest that runs.
struct Started {
    port: u16,
    child: Child,
    stdout: ChildStdout,
}

impl Started {
    /// Asserts what else it is told.
    fn ended(mut self, expected: &[u8]) {
        let mut told = Vec::new();
        self.stdout.read_to_end(&mut told).expect("a pipe");
        assert_eq!(told, expected);
        let ended = self.child.wait().expect("it ends");
        assert!(ended.success(), "{ended}");
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn to(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// What a report tells of the network: connections, bytes out and in.
fn traffic(report: &Value) -> [u64; 3] {
    ["connections", "bytes_out", "bytes_in"]
        .map(|what| report["network"][what].as_u64().expect("a number"))
}

/// Connects from an address of IPv4 that is not the one that the system would take.
fn connect_from(from: &str, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &SocketAddr::new(ip(from), 0))?;
    rustix::net::connect(&socket, &to)?;
    Ok(socket.into())
}

// ---- addresses ---------------------------------------------------------------------------------

#[test]
fn an_address_is_reached_as_its_rule_says_and_no_other() {
    let Some(network) = Network::enter("an_address_is_reached_as_its_rule_says_and_no_other")
    else {
        return;
    };
    let report = network.reaches(
        &["--net=tcp:10.20.30.40:7000"],
        &[
            (Connect(to("10.20.30.40:7000")), DONE),
            (Connect(to("10.20.30.41:7000")), ACCESS_DENIED),
            (Connect(to("10.20.30.40:7001")), ACCESS_DENIED),
            (Connect(to("[fd12::40]:7000")), ACCESS_DENIED),
            (Connect(to("127.0.0.1:7000")), ACCESS_DENIED),
            (Send(to("10.20.30.40:7000")), ACCESS_DENIED),
            (SendConnected(to("10.20.30.40:7000")), ACCESS_DENIED),
            (Connect(to("10.20.30.40:7000")), DONE),
        ],
        &["tcp:10.20.30.40:7000", "tcp:10.20.30.40:7000"],
    );
    assert_eq!(traffic(&report), [2, 8, 8]);
    let denied = |protocol: &str, address: &str, times: u64| json!({"what": "connect", "protocol": protocol, "address": address, "times": times});
    let expected = json!({
        "attempts": [
            denied("tcp", "10.20.30.41:7000", 1),
            denied("tcp", "10.20.30.40:7001", 1),
            denied("tcp", "[fd12::40]:7000", 1),
            denied("tcp", "127.0.0.1:7000", 1),
            denied("udp", "10.20.30.40:7000", 2),
        ],
        "further": 0,
    });
    assert_eq!(report["denied"], expected);
}

#[test]
fn what_is_denied_is_denied_whatever_allows_it() {
    let Some(network) = Network::enter("what_is_denied_is_denied_whatever_allows_it") else {
        return;
    };
    let all = ["--net=0.0.0.0/0", "--net=[::]/0", "--net=10.20.30.40"];
    for options in [
        [&all[..], &["--net=deny:10.0.0.0/8"]].concat(),
        [&["--net=deny:10.0.0.0/8"], &all[..]].concat(),
    ] {
        network.reaches(
            &options,
            &[
                (Connect(to("10.20.30.40:7000")), ACCESS_DENIED),
                (Connect(to("10.20.30.41:7000")), ACCESS_DENIED),
                (Connect(to("[64:ff9b::a14:1e28]:7000")), ACCESS_DENIED),
                (Send(to("10.20.30.41:7000")), ACCESS_DENIED),
                (Connect(to("203.0.113.10:7000")), DONE),
                (Connect(to("[fd12::40]:7000")), DONE),
            ],
            &["tcp:203.0.113.10:7000", "tcp:[fd12::40]:7000"],
        );
    }
    network.reaches(
        &["--net=10.20.30.40", "--net=deny:tcp:10.20.30.40:7000"],
        &[
            (Connect(to("10.20.30.40:7000")), ACCESS_DENIED),
            (Connect(to("10.20.30.40:7001")), DONE),
            (Send(to("10.20.30.40:7000")), DONE),
        ],
        &["tcp:10.20.30.40:7001", "udp:10.20.30.40:7000"],
    );
}

#[test]
fn metadata_and_loopback_are_reached_where_they_are_named() {
    let Some(network) = Network::enter("metadata_and_loopback_are_reached_where_they_are_named")
    else {
        return;
    };
    let special = [
        "127.0.0.1:7000",
        "[::1]:7000",
        "169.254.169.254:7000",
        "[fd00:ec2::254]:7000",
    ];
    let connects = |told| special.map(|address| (Connect(to(address)), told));
    let sends = |told| special.map(|address| (Send(to(address)), told));
    for options in [
        &["--net=0.0.0.0/0", "--net=[::]/0", "--net=*"][..],
        // What holds more than them does not name them.
        &[
            "--net=126.0.0.0/7",
            "--net=169.254.0.0/15",
            "--net=[fd00::]/8",
            "--net=[::]/1",
        ],
        &[
            "--net=127.0.0.1",
            "--net=[::1]",
            "--net=169.254.169.254",
            "--net=[fd00:ec2::254]",
            "--net=deny:0.0.0.0/0",
            "--net=deny:[::]/0",
        ],
    ] {
        let steps = [connects(ACCESS_DENIED), sends(ACCESS_DENIED)].concat();
        network.reaches(options, &steps, &[]);
    }
    // What is no address to connect to is not asked for.
    let this_host = (Connect(to("0.0.0.0:7000")), INVALID_ARGUMENT);
    network.reaches(&["--net=0.0.0.0/0"], &[this_host], &[]);
    network.reaches(
        &[
            "--net=tcp:127.0.0.0/8",
            "--net=tcp:[::1]",
            "--net=tcp:169.254.169.254:7000",
            "--net=tcp:[fd00:ec2::]/32",
        ],
        &[connects(DONE), sends(ACCESS_DENIED)].concat(),
        &special
            .map(|address| format!("tcp:{address}"))
            .each_ref()
            .map(String::as_str),
    );
}

#[test]
fn ipv4_in_ipv6_is_reached_as_ipv4_is() {
    let Some(network) = Network::enter("ipv4_in_ipv6_is_reached_as_ipv4_is") else {
        return;
    };
    let (translated, mapped) = (
        to("[64:ff9b::a14:1e28]:7000"),
        to("[::ffff:10.20.30.40]:7000"),
    );
    network.reaches(
        &["--net=tcp:10.20.30.40:7000"],
        &[
            (Connect(translated), DONE),
            (Connect(to("[64:ff9b::a14:1e28]:7001")), ACCESS_DENIED),
            // Sockets of IPv6 are for it alone.
            (Connect(mapped), INVALID_ARGUMENT),
            (Send(mapped), INVALID_ARGUMENT),
        ],
        &["tcp:[64:ff9b::a14:1e28]:7000"],
    );
    // All of IPv6 is not all of what it carries, unless it is denied.
    network.reaches(
        &["--net=[::]/0"],
        &[(Connect(translated), ACCESS_DENIED)],
        &[],
    );
    network.reaches(
        &["--net=10.20.30.40", "--net=deny:[::]/0"],
        &[
            (Connect(translated), ACCESS_DENIED),
            (Connect(to("10.20.30.40:7000")), DONE),
        ],
        &["tcp:10.20.30.40:7000"],
    );
    for name in ["::ffff:10.20.30.40", "[::ffff:10.20.30.40]", "10.20.7720"] {
        let denied = [(LookUp(name), ACCESS_DENIED)];
        network.run(&["--net=0.0.0.0/0", "--net=deny:10.0.0.0/8"], &denied);
        network.run(&["--net=*"], &denied);
        network.run(&["--net=10.20.30.40:7000"], &[(LookUp(name), DONE)]);
    }
}

// ---- names -------------------------------------------------------------------------------------

#[test]
fn what_a_name_comes_to_is_reached_once_it_was_looked_up() {
    let Some(network) = Network::enter("what_a_name_comes_to_is_reached_once_it_was_looked_up")
    else {
        return;
    };
    let public = to("203.0.113.10:7000");
    let report = network.reaches(
        &["--net=tcp:public.example:7000"],
        &[
            (Connect(public), ACCESS_DENIED),
            (LookUp("public.example"), DONE),
            (ConnectToFound(7000), DONE),
            (Connect(public), DONE),
            (ConnectToFound(7001), ACCESS_DENIED),
            (Send(public), ACCESS_DENIED),
            (LookUp("PUBLIC.example."), DONE),
        ],
        &["tcp:203.0.113.10:7000", "tcp:203.0.113.10:7000"],
    );
    assert_eq!(traffic(&report), [2, 8, 8]);
    // The next run begins anew.
    let options = ["--net=tcp:public.example:7000"];
    network.reaches(&options, &[(Connect(public), ACCESS_DENIED)], &[]);
    // A private address is one like any other, unless it is denied.
    let looked_up = (LookUp("private.example"), DONE);
    network.reaches(
        &["--net=tcp:private.example:7000"],
        &[
            looked_up,
            (ConnectToFound(7001), ACCESS_DENIED),
            (ConnectToFound(7000), DONE),
            (Connect(to("10.20.30.40:7000")), ACCESS_DENIED),
        ],
        &["tcp:10.20.30.41:7000"],
    );
}

#[test]
fn a_name_that_comes_to_something_else_the_next_time_leads_nowhere_else() {
    let Some(network) =
        Network::enter("a_name_that_comes_to_something_else_the_next_time_leads_nowhere_else")
    else {
        return;
    };
    let name = "rebinding.example";
    let report = network.reaches(
        &["--net=tcp:rebinding.example:7000", "--net=deny:10.0.0.0/8"],
        &[
            (LookUp(name), DONE),
            (ConnectToFound(7000), DONE),
            (LookUp(name), ACCESS_DENIED),
            (Connect(to("10.20.30.41:7000")), ACCESS_DENIED),
            (LookUp(name), ACCESS_DENIED),
            (Connect(to("127.0.0.1:7000")), ACCESS_DENIED),
            (LookUp(name), ACCESS_DENIED),
            (Connect(to("169.254.169.254:7000")), ACCESS_DENIED),
            (Connect(to("[fd00:ec2::254]:7000")), ACCESS_DENIED),
            (LookUp(name), ACCESS_DENIED),
            (Connect(to("[::1]:7000")), ACCESS_DENIED),
            // What it came to at first stays.
            (Connect(to("203.0.113.10:7000")), DONE),
        ],
        &["tcp:203.0.113.10:7000", "tcp:203.0.113.10:7000"],
    );
    let denied = &report["denied"]["attempts"][0];
    assert_eq!(
        denied,
        &json!({"what": "look-up", "name": name, "times": 4})
    );
}

#[test]
fn of_the_addresses_of_a_name_those_are_reached_that_rules_allow() {
    let Some(network) =
        Network::enter("of_the_addresses_of_a_name_those_are_reached_that_rules_allow")
    else {
        return;
    };
    network.reaches(
        &["--net=tcp:several.example:7000", "--net=deny:10.0.0.0/8"],
        &[
            (LookUp("several.example"), DONE),
            (ConnectToFound(7000), DONE),
            (Connect(to("10.20.30.41:7000")), ACCESS_DENIED),
            (Connect(to("127.0.0.1:7000")), ACCESS_DENIED),
            (Connect(to("[::1]:7000")), ACCESS_DENIED),
            (Connect(to("169.254.169.254:7000")), ACCESS_DENIED),
            (Connect(to("[fd12::40]:7000")), DONE),
        ],
        &["tcp:203.0.113.10:7000", "tcp:[fd12::40]:7000"],
    );
}

#[test]
fn names_that_no_rule_allows_are_not_even_looked_up() {
    let Some(network) = Network::enter("names_that_no_rule_allows_are_not_even_looked_up") else {
        return;
    };
    for options in [
        &["--net=tcp:other.example", "--net=*.public.example"][..],
        &["--net=*", "--net=deny:public.example"],
        &["--net=public.example:7000", "--net=deny:*.example:1-7000"],
        &["--net=0.0.0.0/0"],
        &["--listen=10.20.30.40:7002"],
    ] {
        network.run(options, &[(LookUp("public.example"), ACCESS_DENIED)]);
        assert_eq!(network.names.asked(), [""; 0], "{options:?}");
    }
    let nobody = (LookUp("nobody.example"), NAME_UNRESOLVABLE);
    network.run(&["--net=*.example"], &[nobody]);
    assert_eq!(network.names.asked(), ["nobody.example"]);
}

#[test]
fn a_name_that_stands_for_another_is_judged_as_itself() {
    let Some(network) = Network::enter("a_name_that_stands_for_another_is_judged_as_itself") else {
        return;
    };
    network.reaches(
        &["--net=tcp:alias.example:7000"],
        &[
            (LookUp("public.example"), ACCESS_DENIED),
            (LookUp("alias.example"), DONE),
            (ConnectToFound(7000), DONE),
        ],
        &["tcp:203.0.113.10:7000"],
    );
    network.run(
        &["--net=tcp:public.example:7000"],
        &[(LookUp("alias.example"), ACCESS_DENIED)],
    );
    let report = network.reaches(
        &["--net=inward.example"],
        &[
            (LookUp("inward.example"), ACCESS_DENIED),
            (Connect(to("127.0.0.1:7000")), ACCESS_DENIED),
        ],
        &[],
    );
    let denied = &report["denied"]["attempts"][0];
    assert_eq!(denied["name"], "inward.example");
}

#[test]
fn names_that_the_system_knows_lead_to_loopback_by_localhost_alone() {
    let Some(network) =
        Network::enter("names_that_the_system_knows_lead_to_loopback_by_localhost_alone")
    else {
        return;
    };
    network.reaches(
        &["--net=tcp:localhost:7000"],
        &[
            (LookUp("localhost"), DONE),
            (ConnectToFound(7000), DONE),
            (Connect(to("[::1]:7000")), DONE),
            (Connect(to("127.0.0.1:7001")), ACCESS_DENIED),
        ],
        &["tcp:127.0.0.1:7000", "tcp:[::1]:7000"],
    );
    network.reaches(
        &["--net=*", "--net=metadata.example"],
        &[
            (LookUp("localhost"), ACCESS_DENIED),
            (LookUp("metadata.example"), ACCESS_DENIED),
            (Connect(to("169.254.169.254:7000")), ACCESS_DENIED),
        ],
        &[],
    );
}

#[test]
fn who_waits_for_an_answer_about_a_name_has_no_more_time_than_others() {
    let Some(network) =
        Network::enter("who_waits_for_an_answer_about_a_name_has_no_more_time_than_others")
    else {
        return;
    };
    // Compiled before, it takes no time but to wait.
    let silent = LookUp("silent.example");
    network.run(&["--net=public.example"], &[(silent, ACCESS_DENIED)]);
    let ended = network.command("1s", &["--net=*"], &[silent]).status();
    assert_eq!(ended.expect("wasmrun starts").code(), Some(124));
    assert_eq!(network.names.asked(), ["silent.example"]);
}

// ---- datagrams, and listening ------------------------------------------------------------------

#[test]
fn datagrams_go_to_whom_a_rule_allows_and_come_from_there() {
    let Some(network) = Network::enter("datagrams_go_to_whom_a_rule_allows_and_come_from_there")
    else {
        return;
    };
    let options = ["--net=udp:10.20.30.41:7000", "--net=udp:[fd12::40]:7001"];
    let report = network.reaches(
        &options,
        &[
            (Send(to("10.20.30.41:7000")), DONE),
            (SendConnected(to("10.20.30.41:7000")), DONE),
            (Send(to("10.20.30.40:7000")), ACCESS_DENIED),
            (Send(to("[fd12::40]:7001")), DONE),
            (SendConnected(to("[fd12::40]:7001")), DONE),
            (Send(to("[fd12::40]:7000")), ACCESS_DENIED),
            (SendConnected(to("[fd12::41]:7001")), ACCESS_DENIED),
            (Connect(to("10.20.30.41:7000")), ACCESS_DENIED),
        ],
        &[
            "udp:10.20.30.41:7000",
            "udp:10.20.30.41:7000",
            "udp:[fd12::40]:7001",
            "udp:[fd12::40]:7001",
        ],
    );
    assert_eq!(traffic(&report), [0, 16, 16]);

    // Of what comes to a socket that is open to nobody else, the guest is given that of its peer.
    let options = ["--net=udp:10.20.30.41:7002"];
    let started = network.start(&options, &[AwaitDatagram(to("0.0.0.0:0"))]);
    for (from, said) in [
        ("10.20.30.40:7002", "another address"),
        ("10.20.30.41:7003", "another port"),
        ("10.20.30.41:7002", "it"),
    ] {
        let peer = UdpSocket::bind(from).expect("a place of the test's own");
        let sent = peer.send_to(said.as_bytes(), ("10.20.30.40", started.port));
        sent.expect("it is sent");
    }
    started.ended(&[DONE]);
    assert_eq!(traffic(&network.report()), [0, 0, 2]);
}

#[test]
fn datagrams_come_from_anyone_to_where_a_guest_listens_and_are_answered_as_rules_say() {
    let Some(network) = Network::enter(
        "datagrams_come_from_anyone_to_where_a_guest_listens_and_are_answered_as_rules_say",
    ) else {
        return;
    };
    let options = ["--listen=udp:10.20.30.40:7002", "--net=udp:10.20.30.41"];
    let started = network.start(&options, &[AnswerTwo(to("10.20.30.40:7002"))]);
    assert_eq!(started.port, 7002);
    let peers = ["10.20.30.41:7003", "203.0.113.10:7003"];
    let peers = peers.map(|place| UdpSocket::bind(place).expect("a place of the test's own"));
    for peer in &peers {
        peer.send_to(b"hello", "10.20.30.40:7002")
            .expect("it is sent");
    }
    started.ended(&[DONE, ACCESS_DENIED]);
    let mut answer = [0; 8];
    let (length, from) = peers[0].recv_from(&mut answer).expect("an answer");
    assert_eq!(
        (&answer[..length], from),
        (&b"hello"[..], to("10.20.30.40:7002"))
    );
    peers[1].set_nonblocking(true).expect("a socket");
    let nothing = peers[1].recv_from(&mut answer).expect_err("no answer");
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    let report = network.report();
    assert_eq!(traffic(&report), [0, 5, 10]);
    let denied = &report["denied"]["attempts"];
    let attempt =
        json!({"what": "connect", "protocol": "udp", "address": "203.0.113.10:7003", "times": 1});
    assert_eq!(denied, &json!([attempt]));
}

#[test]
fn a_guest_listens_where_a_rule_says_and_is_reached_there_alone() {
    let Some(network) =
        Network::enter("a_guest_listens_where_a_rule_says_and_is_reached_there_alone")
    else {
        return;
    };
    let options = ["--listen=10.20.30.40:7002"];
    let listening = to("10.20.30.40:7002");
    let started = network.start(&options, &[Listen(listening)]);
    assert_eq!(started.port, 7002);
    for elsewhere in [
        "10.20.30.41:7002",
        "127.0.0.1:7002",
        "203.0.113.10:7002",
        "[fd12::40]:7002",
        "10.20.30.40:7003",
    ] {
        let refused = TcpStream::connect(elsewhere).expect_err("nobody is there");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{elsewhere}");
    }
    let mut stream = connect_from("203.0.113.10", listening).expect("it listens");
    stream.write_all(b"hello").expect("it reads");
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).expect("it writes");
    assert_eq!(&answer, b"ping");
    started.ended(&[DONE]);
    assert_eq!(traffic(&network.report()), [1, 4, 5]);

    let elsewhere = [
        "10.20.30.41:7002",
        "10.20.30.40:7003",
        "0.0.0.0:7002",
        "127.0.0.1:7002",
        "[fd12::40]:7002",
        "[::]:7002",
        "[64:ff9b::a14:1e28]:7003",
    ];
    let report = network.run(
        &options,
        &elsewhere.map(|at| (Listen(to(at)), ACCESS_DENIED)),
    );
    network.run(
        &options,
        &elsewhere.map(|at| (AwaitDatagram(to(at)), ACCESS_DENIED)),
    );
    let denied = elsewhere.map(
        |address| json!({"what": "listen", "protocol": "tcp", "address": address, "times": 1}),
    );
    assert_eq!(report["denied"]["attempts"], json!(denied));
}
