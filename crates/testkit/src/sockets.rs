//! Guests with sockets: a component takes steps, and tells what comes of each.

use std::net::SocketAddr;
use std::sync::OnceLock;

use wasmrun_core::Guest;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

/// What a guest tells of a step that was taken. Otherwise it is the number of the error code of `wasi:sockets`, and one.
pub const DONE: u8 = 0;

/// What it tells of one that was denied.
pub const ACCESS_DENIED: u8 = 2;

/// What it tells of one that makes no sense.
pub const INVALID_ARGUMENT: u8 = 4;

/// What it tells of one where nobody listens.
pub const CONNECTION_REFUSED: u8 = 15;

/// What it tells of a name that comes to nothing.
pub const NAME_UNRESOLVABLE: u8 = 19;

/// A step of a guest, of which it tells by a byte on standard output what came of it.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// To connect, send `ping`, and read what comes back.
    Connect(SocketAddr),
    /// To look a name up.
    LookUp(&'a str),
    /// To connect to the last address of IPv4 that was looked up, at this port.
    ConnectToFound(u16),
    /// To send `ping` in a datagram, and receive what comes back.
    Send(SocketAddr),
    /// The same from a socket that is connected.
    SendConnected(SocketAddr),
    /// To listen and tell the port, in two bytes; then to send `ping` to the first who connects, and read what comes.
    Listen(SocketAddr),
    /// To bind a socket for datagrams and tell the port, in two bytes; then to receive one.
    AwaitDatagram(SocketAddr),
    /// The same with two datagrams, each of which is sent back; what comes of that is told of each.
    AnswerTwo(SocketAddr),
}

/// Where names are in the guest's memory.
const NAME: usize = 1024;

impl Step<'_> {
    fn text(&self, at: usize) -> String {
        match self {
            Step::Connect(address) => format!("(call $connect {})", numbers(*address)),
            Step::LookUp(name) => {
                format!(
                    "(call $look_up (i32.const {at}) (i32.const {}))",
                    name.len()
                )
            }
            Step::ConnectToFound(port) => format!("(call $connect_to_found (i32.const {port}))"),
            Step::Send(address) => {
                format!("(call $exchange (i32.const 0) {})", numbers(*address))
            }
            Step::SendConnected(address) => {
                format!("(call $exchange (i32.const 1) {})", numbers(*address))
            }
            Step::Listen(address) => format!("(call $listen {})", numbers(*address)),
            Step::AwaitDatagram(address) => {
                format!("(call $await_datagram {})", numbers(*address))
            }
            Step::AnswerTwo(address) => format!("(call $answer_two {})", numbers(*address)),
        }
    }
}

/// A socket address as `sockets.wat` has it.
fn numbers(address: SocketAddr) -> String {
    let port = u32::from(address.port());
    let mut numbers = match address {
        SocketAddr::V4(address) => {
            let bytes = address.ip().octets().map(u32::from);
            [&[0, port], &bytes[..]].concat()
        }
        SocketAddr::V6(address) => {
            let words = address.ip().segments().map(u32::from);
            [
                &[1, port, address.flowinfo()],
                &words[..],
                &[address.scope_id()],
            ]
            .concat()
        }
    };
    numbers.resize(12, 0);
    let texts = numbers.iter().map(|number| format!("(i32.const {number})"));
    texts.collect::<Vec<_>>().join(" ")
}

/// A component that takes these steps.
pub fn guest(steps: &[Step<'_>]) -> Guest {
    let (mut text, mut data, mut at) = (String::new(), String::new(), NAME);
    for step in steps {
        text.push_str(&step.text(at));
        if let Step::LookUp(name) = step {
            data.push_str(&format!("(data (i32.const {at}) {name:?})"));
            at += name.len();
        }
    }
    component(&text, &data)
}

/// A component that calls functions of `guests/sockets.wat`, with further fields of a module.
fn component(calls: &str, fields: &str) -> Guest {
    static WORLD: OnceLock<(Resolve, WorldId)> = OnceLock::new();
    let (resolve, world) = WORLD.get_or_init(|| {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("sockets.wit", include_str!("../guests/sockets.wit"));
        let package = package.expect("our own text");
        let world = resolve.select_world(&[package], None);
        (resolve, world.expect("the only one"))
    });
    let source = format!(
        "(module {} {fields} (func (export \"wasi:cli/run@0.2.0#run\") (result i32) {calls} (i32.const 0)))",
        include_str!("../guests/sockets.wat")
    );
    let mut module = wat::parse_str(&source).unwrap_or_else(|error| panic!("{error}\n{source}"));
    let encoded = embed_component_metadata(&mut module, resolve, *world, StringEncoding::UTF8)
        .and_then(|()| ComponentEncoder::default().module(&module))
        .and_then(|mut encoder| encoder.encode());
    match encoded {
        Ok(bytes) => Guest::from_bytes("sockets.wasm", bytes).expect("wit-component's own work"),
        Err(error) => panic!("no component comes of it: {error:?}"),
    }
}
