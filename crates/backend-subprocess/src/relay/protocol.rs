//! What goes over the wire between a rewritten guest and us: its standard input and output.
//!
//! The guest asks with a [`Call`], we work on its memory by commands, and the last of them returns.
//! All numbers are little-endian.
//!
//! ```text
//! call:    magic u32, number u32, memory u64, total u64, arguments 9 × u64
//! command: code u32, address u32, length u32, 0 u32    read, write, keep, restore
//!          code u32, 0 u32, value u64                  return
//! ```
//!
//! A `read` is answered by that many bytes of the guest's memory; a `write` is followed by the
//! bytes it puts there. What the guest prepares its messages in is the start of its own memory, whose
//! bytes it keeps aside: `keep` is answered by those, and `restore` is followed by others for them.

/// The start of a [`Call`]. Anything else is the runtime talking.
pub(super) const MAGIC: u32 = 0x7772_6e01;

/// As many as the longest function of WASI preview1 takes.
pub(super) const MAX_ARGUMENTS: usize = 9;

/// Where in the guest's memory a message is prepared: an I/O vector, the count it moved, and then
/// the call or command.
pub(super) const VECTOR: u32 = 0;
pub(super) const MOVED: u32 = 8;
pub(super) const MESSAGE: u32 = 16;

pub(super) const CALL_BYTES: u32 = 24 + 8 * MAX_ARGUMENTS as u32;
pub(super) const COMMAND_BYTES: u32 = 16;

/// The part of the guest's memory that messages are prepared in.
pub(super) const AREA: u32 = MESSAGE + CALL_BYTES;

/// The memory a guest needs at least: while the area is sent itself, the I/O vector is behind it.
pub(super) const ROOM: u32 = AREA + 16;

/// What a command does.
pub(super) mod command {
    pub(in crate::relay) const RETURN: u32 = 0;
    pub(in crate::relay) const READ: u32 = 1;
    pub(in crate::relay) const WRITE: u32 = 2;
    pub(in crate::relay) const KEEP: u32 = 3;
    pub(in crate::relay) const RESTORE: u32 = 4;
}

/// Calls of the rewritten guest's own; smaller numbers are the guest's imports in their order.
pub(super) mod own {
    /// The guest is about to run; returns the bytes its memories may have together.
    pub(in crate::relay) const BEGIN: u32 = u32::MAX;
    /// Returns the elements its tables may have together.
    pub(in crate::relay) const TABLES: u32 = u32::MAX - 1;
    /// The guest has returned from its entry.
    pub(in crate::relay) const END: u32 = u32::MAX - 2;
}

/// A call, as it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) number: u32,
    /// Bytes of the memory that the wire reads and writes.
    pub(super) memory: u64,
    /// Bytes of all memories of the guest together.
    pub(super) total: u64,
    pub(super) arguments: [u64; MAX_ARGUMENTS],
}

impl Call {
    /// Reads a call without its magic number.
    pub(super) fn parse(bytes: &[u8; CALL_BYTES as usize - 4]) -> Self {
        let long = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let [a, b, c, d, ..] = *bytes;
        Call {
            number: u32::from_le_bytes([a, b, c, d]),
            memory: long(4),
            total: long(12),
            arguments: std::array::from_fn(|argument| long(20 + 8 * argument)),
        }
    }
}
