//! Who is on the network of a test: servers at addresses, and one for names.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What happened, in that order. All clones are the same.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, what: String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(what);
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// ---- servers -----------------------------------------------------------------------------------

/// Servers that send back what they are sent, until the process ends.
pub struct Peers {
    places: Vec<SocketAddr>,
    log: Log,
}

/// What is sent to them to know that they have seen all that came before, and is not noted.
const PROBE: &[u8] = b"probe";

impl Peers {
    /// At each of these places, over TCP and UDP.
    pub fn at(places: Vec<SocketAddr>) -> Self {
        let log = Log::default();
        for &place in &places {
            let tcp = TcpListener::bind(place).expect("a place of the test's own");
            let udp = UdpSocket::bind(place).expect("a place of the test's own");
            serve(log.clone(), format!("tcp:{place}"), move |buffer| {
                let (mut stream, _) = tcp.accept()?;
                let read = stream.read(buffer)?;
                Ok((read, Box::new(move |bytes| stream.write_all(bytes))))
            });
            serve(log.clone(), format!("udp:{place}"), move |buffer| {
                let (read, from) = udp.recv_from(buffer)?;
                let udp = udp.try_clone()?;
                Ok((
                    read,
                    Box::new(move |bytes| udp.send_to(bytes, from).map(drop)),
                ))
            });
        }
        Peers { places, log }
    }

    /// Where they were reached since this was asked last.
    pub fn reached(&self) -> Vec<String> {
        for &place in &self.places {
            self.probe(place).expect("they serve");
        }
        self.log.taken()
    }

    fn probe(&self, place: SocketAddr) -> io::Result<()> {
        let mut answer = [0; PROBE.len()];
        let mut tcp = TcpStream::connect(place)?;
        tcp.write_all(PROBE)?;
        tcp.read_exact(&mut answer)?;
        let udp = UdpSocket::bind((place.ip(), 0))?;
        udp.send_to(PROBE, place)?;
        udp.recv(&mut answer).map(drop)
    }
}

type Answer = Box<dyn FnOnce(&[u8]) -> io::Result<()>>;

/// Receives, notes that, and answers, in a thread.
fn serve(
    log: Log,
    name: String,
    mut receive: impl FnMut(&mut [u8]) -> io::Result<(usize, Answer)> + Send + 'static,
) {
    thread::spawn(move || {
        let mut buffer = [0; 64];
        loop {
            // Who was here and is gone is no matter of the server's.
            if let Ok((length, answer)) = receive(&mut buffer) {
                let received = &buffer[..length];
                if received != PROBE {
                    log.note(name.clone());
                }
                let _ = answer(received);
            }
        }
    });
}

// ---- names -------------------------------------------------------------------------------------

/// Names, and what each comes to: the first time it is looked up, the second, and so on; the last is what it comes to
/// then. That is addresses, or the name that it stands for. Of what comes to nothing, nothing is answered.
pub type Names = &'static [(&'static str, &'static [&'static [&'static str]])];

/// A server for names at port 53 of loopback (RFC 1035), until the process ends.
pub struct NameServer {
    log: Log,
}

impl NameServer {
    pub fn of(names: Names) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:53").expect("a port of the test's own");
        let log = Log::default();
        let mut zone = Zone {
            names,
            times: HashMap::new(),
            log: log.clone(),
        };
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if let Some(answer) = zone.answer(&buffer[..length]) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        NameServer { log }
    }

    /// The names that it was asked for since this was asked last.
    pub fn asked(&self) -> Vec<String> {
        let mut asked = self.log.taken();
        asked.sort();
        asked.dedup();
        asked
    }
}

struct Zone {
    names: Names,
    /// How often a name was asked for, by the type of record.
    times: HashMap<(String, u16), usize>,
    log: Log,
}

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;

impl Zone {
    fn known(&self, name: &str) -> Option<&'static [&'static [&'static str]]> {
        let mut names = self.names.iter();
        names.find_map(|(known, answers)| (*known == name).then_some(*answers))
    }

    /// The answer to a message with one question, if there is one.
    fn answer(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let question = message.get(12..)?;
        let (name, length) = name_at(question)?;
        let wanted = u16::from_be_bytes(question.get(length..length + 2)?.try_into().ok()?);
        self.log.note(name.clone());
        let code = match self.known(&name) {
            Some([]) => return None,
            Some(_) => 0,
            // There is no such name.
            None => 3,
        };
        let records = self.records(&name, wanted);
        let mut answer = message.get(..2)?.to_vec();
        answer.extend([0x85, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
        answer.extend(question.get(..length + 4)?);
        answer.extend(records.concat());
        Some(answer)
    }

    /// The records of a name that are of a type, or say what it stands for.
    fn records(&mut self, name: &str, wanted: u16) -> Vec<Vec<u8>> {
        let answers = self.known(name).unwrap_or_default();
        let times = self.times.entry((name.to_owned(), wanted)).or_default();
        let Some(now) = answers.get(*times).or(answers.last()) else {
            return Vec::new();
        };
        *times += 1;
        let mut records = Vec::new();
        for value in *now {
            match (value.parse(), wanted) {
                (Ok(IpAddr::V4(address)), A) => records.push(record(name, A, &address.octets())),
                (Ok(IpAddr::V6(address)), AAAA) => {
                    records.push(record(name, AAAA, &address.octets()))
                }
                (Ok(_), _) => {}
                (Err(_), _) => {
                    records.push(record(name, CNAME, &name_bytes(value)));
                    records.extend(self.records(value, wanted));
                }
            }
        }
        records
    }
}

/// A record of the Internet's class, that nobody is to keep.
fn record(name: &str, of: u16, data: &[u8]) -> Vec<u8> {
    let mut record = name_bytes(name);
    record.extend(of.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 0, 0, data.len() as u8]);
    record.extend(data);
    record
}

fn name_bytes(name: &str) -> Vec<u8> {
    let labels = name.split('.');
    let labels = labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

/// The name that bytes begin with, in lower case, and how many it takes.
fn name_at(bytes: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 0);
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = bytes.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
}
