//! What goes over the wire between a rewritten guest and us: its standard input and output.
//!
//! A guest may be told something when it [begins](Begin). It asks with a [`Call`], we work on its memory by commands,
//! and the last of them returns. All numbers are little-endian.
//!
//! ```text
//! begin:   fuel u64, streams u64
//! call:    magic u32, number u32, memory u64, hint 3 × u32, hinted u32, arguments n × u64
//! command: code u32, small length u32, address u32, length u32, small address u32, 0 u32,
//!          small u64, value u64
//! ```
//!
//! `n` is what the guest's imports need, see [`Layout`]. A `read` is answered by that many bytes of the
//! guest's memory; a `write` is followed by the bytes it puts there. `return` is a `write`, the storing
//! of a small number, and the end of the call with a value.
//!
//! What the guest prepares its messages in is the start of its own memory, whose bytes it keeps
//! aside: `keep` is answered by those, and `replace` is a `return` that is followed by others for them. Neither comes in a call
//! about another memory of the guest's, which its [`hinted`](hinted::MEMORY) tells.
//!
//! A guest that stays ([`Purpose::Live`]) makes a call when it [waits](own::READY) to be called itself. The value that this
//! returns is the [number](callable) of the function, and behind the command comes what it is given:
//!
//! ```text
//! given:   fuel u64, parameters m × u64
//! ```
//!
//! The hint saves going to and fro: it is what most calls would be asked for next. A guest whose standard output
//! takes whatever is written to it waits for no answer there, if [`hinted`](hinted::UNAWAITED) says so.

use std::borrow::Cow;

use wasmrun_core::guest::{ExportKind, FuncSignature, GlobalDecl, ValueType, shown};
use wasmrun_core::{Error, ErrorKind, Guest, Result};
use wasmrun_wasi_preview1::Imported;

/// The start of a [`Call`]. Anything else is the runtime talking.
pub(super) const MAGIC: u32 = 0x7772_6e01;

/// As many as twelve vectors fill, and what else a call tells.
pub(super) const MAX_ARGUMENTS: usize = 25;

/// The descriptors that messages come from and go to.
pub(super) const STDIN: i32 = 0;
pub(super) const STDOUT: i32 = 1;

/// Where in the guest's memory a message is prepared: two I/O vectors, of which the second makes room for
/// the count that they moved, and then the call or command.
pub(super) const VECTOR: u32 = 0;
pub(super) const MOVED: u32 = 8;
pub(super) const MESSAGE: u32 = 16;

/// The bytes of a call before its arguments.
pub(super) const HEADER: u32 = 32;
pub(super) const COMMAND_BYTES: u32 = 40;
/// The bytes of what a guest is told when it begins.
pub(super) const BEGIN_BYTES: u32 = 16;

/// How long a small number may be.
pub(super) const SMALL_LENGTHS: [u32; 3] = [2, 4, 8];

/// What a guest is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Purpose<'a> {
    /// To run from this entry to its end.
    Run(&'a str),
    /// To be called.
    Live,
}

/// What can be called of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Callable<'a> {
    /// An exported function.
    Function(&'a str),
    /// What gives back the value of an exported global.
    Get(&'a str),
    /// What sets it.
    Set(&'a str),
}

/// All of it, in the order of their numbers, with their types: what takes and gives back numbers and vectors, and no
/// more than there is room for.
pub(super) fn callable(
    guest: &Guest,
) -> impl Iterator<Item = (Callable<'_>, Cow<'_, FuncSignature>)> {
    guest.exports().iter().flat_map(|export| {
        let name = &*export.name;
        let found = match &export.kind {
            ExportKind::Function(signature) => [
                Some((Callable::Function(name), Cow::Borrowed(&**signature))),
                None,
            ],
            ExportKind::Global(GlobalDecl { ty, mutable }) => {
                let get = FuncSignature {
                    params: vec![],
                    results: vec![*ty],
                };
                let set = FuncSignature {
                    params: vec![*ty],
                    results: vec![],
                };
                let set = mutable.then_some((Callable::Set(name), Cow::Owned(set)));
                [Some((Callable::Get(name), Cow::Owned(get))), set]
            }
            _ => [None, None],
        };
        found.into_iter().flatten().filter(|(_, signature)| {
            let slots = signature.param_slots().max(signature.result_slots());
            slots < MAX_ARGUMENTS && !signature.has(ValueType::Reference)
        })
    })
}

/// How long a guest's calls are: those that a guest never makes need no room, and no code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// How many arguments a call has.
    pub(super) arguments: usize,
    /// How many slots the parameters fill of what can be called, at most.
    pub(super) params: usize,
}

/// A guest keeps what it knows of its streams in 32 bits.
const _: () = assert!(Begin::STREAMS as u32 * Stream::BITS <= u32::BITS);

/// A command is received where a call was, and so is what a guest is told first.
const _: () = assert!(COMMAND_BYTES <= Layout::of_arguments(1).call_bytes());
const _: () = assert!(BEGIN_BYTES <= COMMAND_BYTES);

impl Layout {
    pub(super) const LONGEST: Layout = Layout::of_arguments(MAX_ARGUMENTS);

    const fn of_arguments(arguments: usize) -> Self {
        Layout {
            arguments,
            params: 0,
        }
    }

    /// Of a guest with these imports, started for that.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) for a function whose parameters are too many for a call.
    pub(super) fn of(guest: &Guest, functions: &[Imported], purpose: Purpose<'_>) -> Result<Self> {
        // So much have the calls of our own.
        let mut arguments = 1;
        for function in functions {
            let params = function.params().iter().map(|ty| ty.slots());
            let needed = params.sum::<usize>() + usize::from(tells_fuel(function));
            if needed > MAX_ARGUMENTS {
                let (module, name) = (shown(function.module()), shown(function.name()));
                let message = format!(
                    "cannot call {module}.{name}: its parameters fill more than the {} words there are for them",
                    MAX_ARGUMENTS - 1
                );
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            arguments = arguments.max(needed);
        }
        let mut params = 0;
        if purpose == Purpose::Live {
            // Fuel comes first, both ways.
            for (_, signature) in callable(guest) {
                params = params.max(signature.param_slots());
                arguments = arguments.max(1 + signature.result_slots());
            }
            arguments = arguments.max(1 + params);
        }
        Ok(Layout { arguments, params })
    }

    /// The bytes of what a function that is called is given.
    pub(super) const fn given_bytes(self) -> u32 {
        8 + 8 * self.params as u32
    }

    pub(super) const fn call_bytes(self) -> u32 {
        HEADER + 8 * self.arguments as u32
    }

    /// The part of the guest's memory that messages are prepared in.
    pub(super) const fn area(self) -> u32 {
        MESSAGE + self.call_bytes()
    }

    /// The memory a guest needs at least: while the area is sent itself, the I/O vectors are behind it.
    pub(super) const fn room(self) -> u32 {
        self.area() + 16
    }
}

/// Whether the guest tells with a call of that function how much fuel is left, behind its arguments: it may end there.
pub(super) fn tells_fuel(function: &Imported) -> bool {
    match function {
        Imported::Wasi(function) => function.result.is_none(),
        Imported::Host(_) => true,
    }
}

/// What a command does.
pub(super) mod command {
    pub(in crate::relay) const READ: u32 = 0;
    pub(in crate::relay) const WRITE: u32 = 1;
    /// Here and from here on, the area is as the guest left it.
    pub(in crate::relay) const RETURN: u32 = 2;
    pub(in crate::relay) const KEEP: u32 = 3;
    pub(in crate::relay) const REPLACE: u32 = 4;
}

/// Calls of the rewritten guest's own; smaller numbers are the guest's imports in their order.
pub(super) mod own {
    /// The guest has returned from its entry, with this much fuel left. It waits for no answer.
    pub(in crate::relay) const END: u32 = u32::MAX;
    /// The guest is about to run, with so many bytes in all its memories and tables. It waits for no answer; if it is told
    /// something, [`Begin`](super::Begin), that is sent before it asks.
    pub(in crate::relay) const BEGIN: u32 = u32::MAX - 1;
    /// Whether its memories and tables may have that many bytes together; not 0 if they may.
    pub(in crate::relay) const GROW_MEMORIES: u32 = u32::MAX - 2;
    /// Whether its tables may have that many elements together. Their bytes are asked about next.
    pub(in crate::relay) const GROW_TABLES: u32 = u32::MAX - 3;
    /// The guest's calls take more stack than they may.
    pub(in crate::relay) const OVERFLOW: u32 = u32::MAX - 4;
    /// The guest has no fuel left.
    pub(in crate::relay) const OUT_OF_FUEL: u32 = u32::MAX - 5;
    /// What is in that slot of the results of the function of the host that was called last; the first came with its
    /// return.
    pub(in crate::relay) const RESULT: u32 = u32::MAX - 6;
    /// The guest waits to be called. With it come the fuel that is left, and the results of the call before.
    pub(in crate::relay) const READY: u32 = u32::MAX - 7;
}

/// What a call's hint is made of, and what becomes of the call.
pub(super) mod hinted {
    /// It is sent with the call.
    pub(in crate::relay) const FOLLOWS: u32 = 1;
    /// I/O vectors lead to it.
    pub(in crate::relay) const VECTORS: u32 = 2;
    /// The guest waits for no answer: all of what follows is written.
    pub(in crate::relay) const UNAWAITED: u32 = 4;
    /// From this bit on, which memory the call is about: 0 for the wire's.
    pub(in crate::relay) const MEMORY: u32 = 3;
}

/// What a guest is told when it begins.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Begin {
    /// What it may use, where fuel is counted.
    pub(super) fuel: u64,
    /// Its standard output and its standard error.
    pub(super) streams: [Stream; Begin::STREAMS as usize],
}

/// What a guest knows of a standard stream, until it puts something else there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stream {
    /// Whatever is written to it is written.
    pub(super) takes_all: bool,
    /// Its file type, if that is all there is to know of it: no flags, and the [rights](Stream::RIGHTS) of a stream
    /// that is written to.
    pub(super) filetype: Option<u8>,
}

impl Begin {
    /// The descriptor of the first stream.
    pub(super) const FIRST: i32 = 1;
    /// How many they are.
    pub(super) const STREAMS: i32 = 2;
    /// More fuel cannot be counted. That is enough for centuries.
    pub(super) const MOST_FUEL: u64 = i64::MAX as u64;

    /// As it is sent.
    pub(super) fn bytes(self) -> [[u8; 8]; BEGIN_BYTES as usize / 8] {
        let [stdout, stderr] = self.streams.map(Stream::bits);
        [self.fuel, stderr << Stream::BITS | stdout].map(u64::to_le_bytes)
    }
}

impl Stream {
    /// How many bits tell of it: whether it takes all, and one more than its file type or 0.
    pub(super) const BITS: u32 = 9;
    /// `fd_write`.
    pub(super) const RIGHTS: u64 = 1 << 6;

    fn bits(self) -> u64 {
        let filetype = self.filetype.map_or(0, |filetype| u64::from(filetype) + 1);
        filetype << 1 | u64::from(self.takes_all)
    }
}

/// A call, as it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) number: u32,
    /// Bytes of the memory that it is about.
    pub(super) memory: u64,
    /// That is not the wire's.
    pub(super) apart: bool,
    pub(super) hint: Option<Hint>,
    /// Nobody waits for an answer.
    pub(super) unawaited: bool,
    pub(super) arguments: [u64; MAX_ARGUMENTS],
}

/// Bytes of the guest's memory that a call is about. They follow it if the function reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hint {
    pub(super) address: u32,
    /// Never 0.
    pub(super) length: u32,
    /// Which of the I/O vectors leads there; those before it lead nowhere.
    pub(super) vector: u32,
}

impl Call {
    /// Reads a call without its magic number. Arguments it does not have are 0.
    pub(super) fn parse(bytes: &[u8; Layout::LONGEST.call_bytes() as usize - 4]) -> Self {
        let word = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[at..at + 4]);
            u32::from_le_bytes(word)
        };
        let long = |at: usize| u64::from(word(at + 4)) << 32 | u64::from(word(at));
        Call {
            number: word(0),
            memory: long(4),
            apart: word(24) >> hinted::MEMORY != 0,
            hint: (word(16) > 0).then(|| Hint {
                address: word(12),
                length: word(16),
                vector: word(20),
            }),
            unawaited: word(24) & hinted::UNAWAITED != 0,
            arguments: std::array::from_fn(|argument| long(28 + 8 * argument)),
        }
    }
}

/// A command, as it is sent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Command {
    pub(super) code: u32,
    pub(super) address: u32,
    pub(super) length: u32,
    /// A number's address, its length, one of [`SMALL_LENGTHS`] or 0, and itself.
    pub(super) small: (u32, u32, [u8; 8]),
    pub(super) value: u64,
}

impl Command {
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        let (small_address, small_length, small) = self.small;
        for word in [
            self.code,
            small_length,
            self.address,
            self.length,
            small_address,
            0,
        ] {
            to.extend(word.to_le_bytes());
        }
        to.extend(small);
        to.extend(self.value.to_le_bytes());
    }
}
