//! Answering a guest's calls until it ends.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use wasmrun_core::stdio::Output;
use wasmrun_core::{Control, HostFunction, HostMemory, Limits, Result, Task, Usage};
use wasmrun_wasi_preview1::{Function, GuestMemory, Imported, Stop, Wasi, preview1};

use super::distant::{Distant, contact};
use super::memory::{Mirror, Strings};
use super::protocol::{Begin, Call, Layout, MAGIC, Stream, own, tells_fuel};
use super::rewrite::Relayed;
use crate::readable::Readable;
use crate::spawn::Dialogue;

/// How a guest ended that told us.
#[derive(Debug)]
pub(super) enum End {
    /// It returned from its entry.
    Returned,
    /// It used up its stack.
    Overflowed,
    /// It used up its fuel.
    OutOfFuel,
    /// It exited, or must not go on.
    Stopped(Stop),
    /// It said something that is no call.
    Babbled([u8; 4]),
}

/// What a guest that is served comes to.
#[derive(Debug)]
pub(super) enum Served {
    /// It waits to be called.
    Ready,
    /// Its end.
    Ended(End),
}

/// What answers a guest's calls.
pub(super) struct Host {
    /// Whether standard output and error take whatever is written.
    take_all: [bool; 2],
    wasi: Wasi,
}

impl Host {
    /// Takes the task's streams.
    pub(super) fn of(task: &mut Task, control: &Control) -> Result<Self> {
        Ok(Host {
            take_all: [&task.stdout, &task.stderr].map(Output::takes_all),
            wasi: Wasi::of(task, control)?,
        })
    }
}

/// One guest at the other end of the wire.
pub(super) struct Session {
    relayed: Arc<Relayed>,
    host: Host,
    limits: Limits,
    /// What the guest is told when it begins. Where it counts fuel, it counts that down.
    begin: Begin,
    metered: bool,
    fuel_left: Option<u64>,
    strings: (Strings, Strings),
    mirror: Mirror,
    /// The slots of the call of a function of the host that was last.
    results: Vec<u64>,
    /// Contact was lost while memory was read or written.
    lost: Option<io::ErrorKind>,
    /// What the runtime needs no more once the guest begins.
    pub(super) opened_at_start: Option<Readable>,
    /// When the guest began to run.
    pub(super) began: Option<Instant>,
    usage: Usage,
}

impl Session {
    pub(super) fn new(relayed: Arc<Relayed>, metered: bool, mut host: Host, task: &Task) -> Self {
        let mut streams = host.take_all.map(|takes_all| Stream {
            takes_all,
            filetype: None,
        });
        if relayed.asks_of_streams() {
            for (stream, descriptor) in streams.iter_mut().zip(Begin::FIRST..) {
                stream.filetype = filetype(&mut host.wasi, descriptor);
            }
        }
        let args = task.args.iter().map(String::len);
        let env = task.env.iter();
        let env = env.map(|(name, value)| name.len() + 1 + value.len());
        Session {
            mirror: Mirror::new(relayed.layout()),
            relayed,
            host,
            begin: Begin {
                fuel: task.limits.fuel.unwrap_or(0).min(Begin::MOST_FUEL),
                streams,
            },
            metered,
            fuel_left: None,
            limits: task.limits.clone(),
            strings: (Strings::new(args), Strings::new(env)),
            results: Vec::new(),
            lost: None,
            opened_at_start: None,
            began: None,
            usage: task.usage.clone(),
        }
    }

    /// Until the guest waits to be called, or says that it has ended, or has to.
    pub(super) fn serve(&mut self, wire: &mut Dialogue) -> io::Result<Served> {
        if self.relayed.is_told(self.metered) {
            // The guest finds it there and need not wait for us.
            wire.send(self.begin.bytes().as_flattened())?;
        }
        self.serve_on(wire)
    }

    /// Calls the function of that number with these parameters and so much fuel, of a guest that waits for that, and
    /// goes on to serve it. Its results are in [`results`](Session::results) once it is ready again.
    pub(super) fn call(
        &mut self,
        wire: &mut Dialogue,
        number: usize,
        params: &[u64],
        fuel: Option<u64>,
    ) -> io::Result<Served> {
        contact(self.lost)?;
        self.begin.fuel = fuel.unwrap_or(0).min(Begin::MOST_FUEL);
        self.fuel_left = None;
        let room = self.relayed.layout().params;
        let params = params
            .iter()
            .copied()
            .chain(std::iter::repeat(0))
            .take(room);
        let given = std::iter::once(self.begin.fuel).chain(params);
        self.mirror.end(wire, number as u64, given)?;
        self.serve_on(wire)
    }

    /// The fuel that was left when the guest said so last.
    pub(super) fn fuel_left(&self) -> Option<u64> {
        self.fuel_left
    }

    /// What answered the guest's calls, for another session.
    pub(super) fn into_host(self) -> Host {
        self.host
    }

    /// Bytes of the memory of a guest that waits to be called.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.mirror.size()
    }

    /// What the function returned that was called last.
    pub(super) fn results(&self) -> &[u64] {
        &self.results
    }

    /// The memory of a guest that waits to be called.
    pub(super) fn memory<'a>(&'a mut self, wire: &'a mut Dialogue) -> Distant<'a> {
        Distant::new(&mut self.mirror, wire, &mut self.lost)
    }

    fn serve_on(&mut self, wire: &mut Dialogue) -> io::Result<Served> {
        const MAGIC_BYTES: usize = size_of_val(&MAGIC);
        let call_bytes = self.relayed.layout().call_bytes() as usize - MAGIC_BYTES;
        loop {
            let mut magic = [0; MAGIC_BYTES];
            wire.receive(&mut magic)?;
            if magic != MAGIC.to_le_bytes() {
                return Ok(Served::Ended(End::Babbled(magic)));
            }
            let mut call = [0; Layout::LONGEST.call_bytes() as usize - MAGIC_BYTES];
            wire.receive(&mut call[..call_bytes])?;
            let call = Call::parse(&call);
            let [asked, ..] = call.arguments;
            match call.number {
                own::BEGIN => {
                    self.opened_at_start = None;
                    self.began = Some(Instant::now());
                    self.usage.account().see(asked);
                }
                own::GROW_MEMORIES => {
                    let granted = self.limits.memory.is_none_or(|limit| asked <= limit);
                    if granted {
                        self.usage.account().see(asked);
                    }
                    self.mirror.finish(wire, granted.into())?;
                }
                own::GROW_TABLES => {
                    let granted = asked <= self.limits.most_table_elements();
                    self.mirror.finish(wire, granted.into())?;
                }
                own::END => {
                    self.fuel_left = Some(asked);
                    return Ok(Served::Ended(End::Returned));
                }
                own::RESULT => {
                    let result = usize::try_from(asked).ok();
                    let result = result.and_then(|slot| self.results.get(slot).copied());
                    let result =
                        result.ok_or_else(|| invalid(format!("there is no result {asked}")))?;
                    self.mirror.finish(wire, result)?;
                }
                own::READY => {
                    self.fuel_left = Some(asked);
                    self.results.clear();
                    self.results.extend(&call.arguments[1..]);
                    let size = self.memory_size(&call);
                    self.mirror.begin(size, call.apart)?;
                    return Ok(Served::Ready);
                }
                own::OVERFLOW => return Ok(Served::Ended(End::Overflowed)),
                own::OUT_OF_FUEL => {
                    self.fuel_left = Some(0);
                    return Ok(Served::Ended(End::OutOfFuel));
                }
                _ => {
                    if let Err(stop) = self.answer(wire, &call)? {
                        return Ok(Served::Ended(End::Stopped(stop)));
                    }
                }
            }
        }
    }

    /// The fuel the guest used, if it was counted and the guest said how much is left.
    pub(super) fn fuel_used(&self) -> Option<u64> {
        let left = self.fuel_left.filter(|_| self.metered)?;
        Some(self.begin.fuel.saturating_sub(left))
    }

    fn answer(&mut self, wire: &mut Dialogue, call: &Call) -> io::Result<Result<(), Stop>> {
        let relayed = self.relayed.clone();
        let Some(function) = relayed.functions.get(call.number as usize) else {
            return Err(invalid(format!("there is no call {}", call.number)));
        };
        let answered = match function {
            Imported::Wasi(function) => self.answer_wasi(wire, function, call)?,
            Imported::Host(function) => self.answer_host(wire, function, call)?,
        };
        if answered.is_err() && tells_fuel(function) {
            // Behind the arguments.
            let slots = function.params().iter().map(|ty| ty.slots());
            self.fuel_left = call.arguments.get(slots.sum::<usize>()).copied();
        }
        Ok(answered)
    }

    fn answer_host(
        &mut self,
        wire: &mut Dialogue,
        function: &HostFunction,
        call: &Call,
    ) -> io::Result<Result<(), Stop>> {
        let params = function.signature().param_slots();
        self.results.clear();
        self.results.extend(&call.arguments[..params]);
        self.results.resize(function.slots(), 0);
        let size = self.memory_size(call);
        self.mirror.begin(size, call.apart)?;
        if let Some(hint) = call.hint {
            self.mirror.receive(wire, hint)?;
        }
        let mut memory = Distant::new(&mut self.mirror, wire, &mut self.lost);
        let memory = HostMemory::Distant(&mut memory);
        let called = function.call(self.host.wasi.host(), memory, &mut self.results);
        contact(self.lost)?;
        match called {
            Err(ended) => Ok(Err(ended.into())),
            Ok(()) => {
                let first = self.results.first().copied();
                self.mirror.end(wire, first.unwrap_or(0), []).map(Ok)
            }
        }
    }

    /// Bytes of the memory that a call works on.
    fn memory_size(&self, call: &Call) -> u64 {
        match self.relayed.has_memory || call.apart {
            true => call.memory,
            false => 0,
        }
    }

    fn answer_wasi(
        &mut self,
        wire: &mut Dialogue,
        function: &Function,
        call: &Call,
    ) -> io::Result<Result<(), Stop>> {
        let arguments = &call.arguments[..function.params.len()];
        let memory = self.memory_size(call);
        let access = self
            .mirror
            .fetch(wire, memory, function, call, self.strings)?;
        let mut memory = GuestMemory::Unshared(self.mirror.bytes());
        match (function.call)(&mut self.host.wasi, &mut memory, arguments) {
            Err(stop) => Ok(Err(stop)),
            Ok(errno) if call.unawaited => {
                let written = arguments.get(3).map(|at| *at as u32 as usize);
                let written = written.map(|at| self.mirror.count(at));
                let wanted = call.hint.map(|hint| hint.length as usize);
                if errno == Some(0) && wanted.is_some() && written == wanted {
                    return Ok(Ok(()));
                }
                let message = "the guest did not wait for a write that failed";
                Err(invalid(message.to_owned()))
            }
            // What failed has written nothing.
            Ok(Some(errno)) if errno != 0 => self.mirror.finish(wire, errno as u32 as u64).map(Ok),
            Ok(_) => self.mirror.store(wire, &access, 0).map(Ok),
        }
    }
}

/// The guest said what no guest of ours says.
fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// The file type of a descriptor, if nothing else about it has to be told.
fn filetype(wasi: &mut Wasi, descriptor: i32) -> Option<u8> {
    /// As guests' memories are: numbers are looked for where they are aligned in ours.
    #[repr(align(8))]
    struct Stat([u8; 24]);

    let mut stat = Stat([0; 24]);
    let mut memory = GuestMemory::Unshared(&mut stat.0);
    let errno = preview1::fd_fdstat_get(wasi, &mut memory, descriptor, 0);
    let [filetype, ..] = stat.0;
    let plain = [filetype.into(), Stream::RIGHTS, Stream::RIGHTS].map(u64::to_le_bytes);
    (matches!(errno, Ok(0)) && stat.0 == *plain.as_flattened()).then_some(filetype)
}

#[cfg(test)]
mod tests {
    use wasmrun_core::Control;
    use wasmrun_wasi_preview1::World;

    use super::*;

    #[test]
    fn what_a_stream_is_can_be_told_as_long_as_it_is_one() {
        let mut wasi = Wasi::new(&[], &World::new(Vec::new()), Control::new());
        let known = [1, 2, 0, 3].map(|descriptor| filetype(&mut wasi, descriptor));
        // What is read has other rights, and a stream that goes nowhere has no type.
        assert_eq!(known, [Some(0), Some(0), None, None]);
        let mut memory = [];
        let closed = preview1::fd_close(&mut wasi, &mut GuestMemory::Unshared(&mut memory), 1);
        assert!(matches!(closed, Ok(0)));
        assert_eq!(filetype(&mut wasi, 1), None);
    }
}
