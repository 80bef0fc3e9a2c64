//! The part of a guest's memory that a call works on: fetched before, stored after.
//!
//! The functions of `wasmrun-wasi-preview1` work on a slice. Ours has the size of the guest's memory
//! and is filled only where the function is going to read; what the function writes is known by its
//! definition and its result.

use std::io;
use std::ops::Range;
use std::slice;

use wasmrun_wasi_preview1::{Function, HOSTCALL_FUEL, unstable};

use crate::spawn::Dialogue;

use super::protocol::{Call, Command, Hint, Layout, SMALL_LENGTHS, command};
use super::zeros::Zeros;

/// How many bytes the arguments or the environment take: the pointers, and the strings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strings {
    pub(super) pointers: usize,
    pub(super) bytes: usize,
}

impl Strings {
    /// Of these lengths, each without its final zero.
    pub(super) fn new(lengths: impl Iterator<Item = usize>) -> Self {
        let none = Strings {
            pointers: 0,
            bytes: 0,
        };
        lengths.fold(none, |all, length| Strings {
            pointers: all.pointers + 4,
            bytes: all.bytes + length + 1,
        })
    }
}

/// What of the guest's memory a call says itself that the function is going to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HintOf {
    Nothing,
    /// A text whose address and length are these arguments.
    Text(usize),
    /// Where I/O vectors lead whose address and count are these arguments.
    Vectors {
        at: usize,
        read: bool,
    },
}

/// Of the function of that name.
pub(super) fn hint(function: &str) -> HintOf {
    match function {
        "path_symlink" => HintOf::Text(0),
        "path_create_directory"
        | "path_readlink"
        | "path_remove_directory"
        | "path_rename"
        | "path_unlink_file" => HintOf::Text(1),
        "path_filestat_get" | "path_filestat_set_times" | "path_link" | "path_open" => {
            HintOf::Text(2)
        }
        "fd_read" | "fd_pread" | "sock_recv" => HintOf::Vectors { at: 1, read: false },
        "fd_write" | "fd_pwrite" | "sock_send" => HintOf::Vectors { at: 1, read: true },
        _ => HintOf::Nothing,
    }
}

/// What a function reads and writes.
#[derive(Debug, Default)]
struct Plan {
    reads: Vec<Range<usize>>,
    writes: Vec<Write>,
    /// I/O vectors, and whether the function reads what they lead to.
    vectors: Option<(Range<usize>, bool)>,
}

#[derive(Debug)]
enum Write {
    All(Range<usize>),
    /// As many units of `unit` bytes as the number at `count` says.
    Counted {
        to: Range<usize>,
        unit: usize,
        count: usize,
    },
    /// To where the I/O vectors lead, as many bytes as the number at `count` says.
    Scattered {
        count: usize,
    },
}

/// Of a function with these arguments.
fn plan(function: &Function, arguments: &[u64], args: Strings, env: Strings) -> Plan {
    let argument = |place: usize| {
        arguments
            .get(place)
            .map_or(0, |value| *value as u32 as usize)
    };
    let at = |place: usize, bytes: usize| argument(place)..argument(place).saturating_add(bytes);
    let buffer = |place: usize| at(place, argument(place + 1));
    let array =
        |place: usize, count: usize, unit: usize| at(place, argument(count).saturating_mul(unit));
    let all = |place: usize, bytes: usize| Write::All(at(place, bytes));
    let counted = |to: Range<usize>, unit: usize, count: usize| Write::Counted {
        to,
        unit,
        count: argument(count),
    };
    let (filestat, subscription) = match function.module {
        unstable::MODULE => (56, 56),
        _ => (64, 48),
    };
    let mut reads = Vec::new();
    let mut vectors = None;
    match hint(function.name) {
        HintOf::Nothing => {}
        HintOf::Text(at) => reads.push(buffer(at)),
        HintOf::Vectors { at, read } => vectors = Some((array(at, at + 1, 8), read)),
    }
    let mut writes = Vec::new();
    match function.name {
        "args_get" => writes.extend([all(0, args.pointers), all(1, args.bytes)]),
        "environ_get" => writes.extend([all(0, env.pointers), all(1, env.bytes)]),
        "args_sizes_get" | "environ_sizes_get" => writes.extend([all(0, 4), all(1, 4)]),
        "clock_res_get" | "fd_prestat_get" | "fd_tell" => writes.push(all(1, 8)),
        "clock_time_get" => writes.push(all(2, 8)),
        "fd_seek" => writes.push(all(3, 8)),
        "fd_fdstat_get" => writes.push(all(1, 24)),
        "fd_filestat_get" => writes.push(all(1, filestat)),
        "path_filestat_get" => writes.push(all(4, filestat)),
        "fd_prestat_dir_name" => {
            // The name may be shorter than the buffer.
            reads.push(buffer(1));
            writes.push(Write::All(buffer(1)));
        }
        "random_get" => writes.push(Write::All(buffer(0))),
        "fd_readdir" => writes.extend([counted(buffer(1), 1, 4), all(4, 4)]),
        "path_readlink" => writes.extend([counted(buffer(3), 1, 5), all(5, 4)]),
        "poll_oneoff" => {
            reads.push(array(0, 2, subscription));
            writes.extend([counted(array(1, 2, 32), 32, 3), all(3, 4)]);
        }
        "fd_read" => writes.extend([Write::Scattered { count: argument(3) }, all(3, 4)]),
        "fd_pread" => writes.extend([Write::Scattered { count: argument(4) }, all(4, 4)]),
        "sock_recv" => {
            let count = argument(4);
            writes.extend([Write::Scattered { count }, all(4, 4), all(5, 2)]);
        }
        "fd_write" => writes.push(all(3, 4)),
        "fd_pwrite" | "sock_send" => writes.push(all(4, 4)),
        "path_link" => reads.push(buffer(5)),
        "path_rename" => reads.push(buffer(4)),
        "path_symlink" => reads.push(buffer(3)),
        "path_open" => writes.push(all(8, 4)),
        "sock_accept" => writes.push(all(2, 4)),
        // The others are told everything by their arguments.
        _ => {}
    }
    Plan {
        reads,
        writes,
        vectors,
    }
}

/// Our copy of the guest's memory that a call is about: as large, and true where the call needs it.
#[derive(Debug)]
pub(super) struct Mirror {
    layout: Layout,
    size: usize,
    /// At least as many.
    bytes: Zeros,
    /// Bytes of the start of the memory that the guest keeps aside during a call.
    area: usize,
    /// Whether they are true.
    has_area: bool,
    /// Whether it is to be replaced there when the call returns.
    replaces_area: bool,
    /// What is true as well, of what came with the call.
    given: Range<usize>,
    /// What is to be sent next.
    out: Vec<u8>,
}

/// A call in progress.
pub(super) struct Access {
    plan: Plan,
    /// Where the I/O vectors lead: the functions use the first that leads anywhere.
    buffer: Option<Range<usize>>,
}

/// What a function takes from a guest in one call; it refuses more without looking at it.
const MOST: usize = HOSTCALL_FUEL as usize;

/// So many bytes are sent at once rather than one after the other.
const TOGETHER: usize = 4 << 10;

/// So much of a copy that was needed once is not kept for good.
const KEPT: usize = 16 << 20;

impl Mirror {
    pub(super) fn new(layout: Layout) -> Self {
        Mirror {
            layout,
            size: 0,
            bytes: Zeros::default(),
            area: 0,
            has_area: false,
            replaces_area: false,
            given: 0..0,
            out: Vec::new(),
        }
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.size]
    }

    /// Fetches what `function` is going to read.
    pub(super) fn fetch(
        &mut self,
        wire: &mut Dialogue,
        size: u64,
        function: &Function,
        call: &Call,
        (args, env): (Strings, Strings),
    ) -> io::Result<Access> {
        self.resize(size, false)?;
        self.has_area = false;
        let mut plan = plan(function, &call.arguments, args, env);
        let hinted = call.hint.map(|hint| {
            let start = hint.address as usize;
            (
                start..start.saturating_add(hint.length as usize),
                hint.vector as usize,
            )
        });
        let buffer = match (&plan.vectors, hinted) {
            (None, None) => None,
            (None, Some((text, _))) => {
                wire.receive(self.part(&text)?)?;
                plan.reads.retain(|range| *range != text);
                None
            }
            (Some((vectors, read)), Some((buffer, number))) => {
                self.part(&buffer)?;
                self.lead(vectors, number, &buffer)?;
                if *read {
                    wire.receive(self.part(&buffer)?)?;
                }
                Some(buffer)
            }
            (Some((vectors, read)), None) => {
                let buffer = self.first_buffer(wire, vectors)?;
                if *read && let Some(buffer) = &buffer {
                    self.read(wire, slice::from_ref(buffer))?;
                }
                buffer
            }
        };
        self.read(wire, &plan.reads)?;
        let access = Access { plan, buffer };
        // What is around the bytes that change there must be true as well.
        if access.may_change().any(|range| self.is_in_area(&range)) {
            self.read(wire, slice::from_ref(&(0..self.area)))?;
        }
        Ok(access)
    }

    /// Makes our copy as large as the guest's memory, which has no more than 32 bits of addresses and, unless it is
    /// apart from the wire's, room for messages.
    fn resize(&mut self, size: u64, apart: bool) -> io::Result<()> {
        const MOST: u64 = 1 << 32;
        let (area, room) = match apart {
            true => (0, 0),
            false => (self.layout.area(), self.layout.room()),
        };
        let sound = size == 0 || (room.into()..=MOST).contains(&size);
        let size = usize::try_from(size).ok().filter(|_| sound);
        let size = size.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "no memory has such a size")
        })?;
        self.area = area as usize;
        if size > self.bytes.len() {
            self.size = 0;
            self.bytes = Zeros::new(size)?;
        }
        self.size = size;
        Ok(())
    }

    /// Begins a call of a function that says as it goes what it reads and writes, of a memory of so many bytes, which may be
    /// apart from the wire's.
    pub(super) fn begin(&mut self, size: u64, apart: bool) -> io::Result<()> {
        self.has_area = false;
        self.replaces_area = false;
        self.given = 0..0;
        self.resize(size, apart)
    }

    /// Receives what comes with such a call.
    pub(super) fn receive(&mut self, wire: &mut Dialogue, hint: Hint) -> io::Result<()> {
        let start = hint.address as usize;
        let given = start..start.saturating_add(hint.length as usize);
        wire.receive(self.part(&given)?)?;
        self.given = given;
        Ok(())
    }

    /// Bytes of the memory.
    pub(super) fn size(&self) -> u64 {
        self.size as u64
    }

    /// Fills `bytes` with what is at that place, where there is memory.
    pub(super) fn get(
        &mut self,
        wire: &mut Dialogue,
        at: usize,
        bytes: &mut [u8],
    ) -> io::Result<()> {
        let range = at..at + bytes.len();
        if self.given.start <= range.start && range.end <= self.given.end {
            bytes.copy_from_slice(&self.bytes[range]);
            return Ok(());
        }
        let (area, beyond) = bytes.split_at_mut(self.within_area(&range));
        if !area.is_empty() {
            self.keep_area(wire)?;
            area.copy_from_slice(&self.bytes[at..at + area.len()]);
        }
        if let Some(range) = self.beyond_area(&range) {
            self.command(command::READ, range);
            self.flush(wire)?;
            wire.receive(beyond)?;
        }
        Ok(())
    }

    /// Puts `bytes` there, where there is memory.
    pub(super) fn set(&mut self, wire: &mut Dialogue, at: usize, bytes: &[u8]) -> io::Result<()> {
        let range = at..at + bytes.len();
        // It may not be true any more.
        self.given = 0..0;
        let (area, beyond) = bytes.split_at(self.within_area(&range));
        if !area.is_empty() {
            self.keep_area(wire)?;
            self.bytes[at..at + area.len()].copy_from_slice(area);
            self.replaces_area = true;
        }
        if let Some(range) = self.beyond_area(&range) {
            self.command(command::WRITE, range);
            // Several small ones go together, and with what follows.
            if beyond.len() + self.out.len() <= TOGETHER {
                self.out.extend(beyond);
            } else {
                self.flush(wire)?;
                wire.send(beyond)?;
            }
        }
        Ok(())
    }

    /// Ends such a call, with that value; behind it go these words.
    pub(super) fn end(
        &mut self,
        wire: &mut Dialogue,
        value: u64,
        words: impl IntoIterator<Item = u64>,
    ) -> io::Result<()> {
        let code = match self.replaces_area {
            true => command::REPLACE,
            false => command::RETURN,
        };
        self.prepare(code, value, Range::default(), Range::default());
        self.out
            .extend(words.into_iter().flat_map(u64::to_le_bytes));
        self.send(wire)
    }

    /// Makes the start of the memory true.
    fn keep_area(&mut self, wire: &mut Dialogue) -> io::Result<()> {
        if !self.has_area {
            self.command(command::KEEP, 0..0);
            self.flush(wire)?;
            self.receive_area(wire)?;
        }
        Ok(())
    }

    fn receive_area(&mut self, wire: &mut Dialogue) -> io::Result<()> {
        wire.receive(&mut self.bytes[..self.area])?;
        self.has_area = true;
        Ok(())
    }

    fn flush(&mut self, wire: &mut Dialogue) -> io::Result<()> {
        wire.send(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// How many of these bytes are at the start of the memory.
    fn within_area(&self, range: &Range<usize>) -> usize {
        range.end.min(self.area).saturating_sub(range.start)
    }

    /// Stores what the function wrote, and returns `value` from it.
    pub(super) fn store(
        &mut self,
        wire: &mut Dialogue,
        access: &Access,
        value: u64,
    ) -> io::Result<()> {
        let mut changed: Vec<_> = access
            .plan
            .writes
            .iter()
            .filter_map(|write| match write {
                Write::All(to) => Some(to.clone()),
                Write::Counted { to, unit, count } => {
                    let bytes = self.count(*count).saturating_mul(*unit).min(to.len());
                    Some(to.start..to.start + bytes)
                }
                Write::Scattered { count } => access.buffer.as_ref().map(|buffer| {
                    let bytes = self.count(*count).min(buffer.len());
                    buffer.start..buffer.start + bytes
                }),
            })
            .map(|range| self.within(&range))
            .filter(|range| !range.is_empty())
            .collect();
        let small = changed.pop_if(|range| is_small(range));
        let code = match changed.iter().any(|range| self.is_in_area(range)) {
            true => command::REPLACE,
            false => command::RETURN,
        };
        let beyond = changed.iter().filter_map(|range| self.beyond_area(range));
        let mut beyond: Vec<_> = beyond.collect();
        let last = beyond.pop();
        for range in beyond {
            self.command(command::WRITE, range.clone());
            self.out.extend(&self.bytes[range]);
        }
        self.finish_with(wire, code, value, last, small)
    }

    /// Returns `value` from a call.
    pub(super) fn finish(&mut self, wire: &mut Dialogue, value: u64) -> io::Result<()> {
        self.finish_with(wire, command::RETURN, value, None, None)
    }

    fn finish_with(
        &mut self,
        wire: &mut Dialogue,
        code: u32,
        value: u64,
        write: Option<Range<usize>>,
        small: Option<Range<usize>>,
    ) -> io::Result<()> {
        self.prepare(
            code,
            value,
            write.unwrap_or_default(),
            small.unwrap_or_default(),
        );
        self.send(wire)
    }

    /// Puts the end of a call behind what is to be sent.
    fn prepare(&mut self, code: u32, value: u64, write: Range<usize>, small: Range<usize>) {
        let mut number = [0; 8];
        number[..small.len()].copy_from_slice(&self.bytes[small.clone()]);
        let command = Command {
            code,
            small: (small.start as u32, small.len() as u32, number),
            address: write.start as u32,
            length: write.len() as u32,
            value,
        };
        command.write(&mut self.out);
        self.out.extend(&self.bytes[write]);
        if code == command::REPLACE {
            self.out.extend(&self.bytes[..self.area]);
        }
    }

    fn send(&mut self, wire: &mut Dialogue) -> io::Result<()> {
        let sent = wire.send(&self.out);
        if self.out.len() > KEPT {
            self.out = Vec::new();
            self.bytes = Zeros::default();
            self.size = 0;
        }
        self.out.clear();
        sent
    }

    fn command(&mut self, code: u32, range: Range<usize>) {
        let command = Command {
            code,
            address: range.start as u32,
            length: range.len() as u32,
            ..Command::default()
        };
        command.write(&mut self.out);
    }

    /// A part of the memory that the guest says is there.
    fn part(&mut self, range: &Range<usize>) -> io::Result<&mut [u8]> {
        self.bytes()
            .get_mut(range.clone())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a hint leads nowhere"))
    }

    /// Makes the I/O vector of that number lead to a buffer, and those before it nowhere.
    fn lead(
        &mut self,
        vectors: &Range<usize>,
        number: usize,
        buffer: &Range<usize>,
    ) -> io::Result<()> {
        let end = vectors.start.saturating_add((number + 1) * VECTOR);
        let vectors = self.part(&(vectors.start..end))?;
        let (before, vector) = vectors.split_at_mut(number * VECTOR);
        before.fill(0);
        vector[..4].copy_from_slice(&(buffer.start as u32).to_le_bytes());
        vector[4..].copy_from_slice(&(buffer.len() as u32).to_le_bytes());
        Ok(())
    }

    /// Makes these ranges true, as far as there is memory.
    fn read(&mut self, wire: &mut Dialogue, ranges: &[Range<usize>]) -> io::Result<()> {
        let ranges = ranges.iter().map(|range| self.within(range));
        let ranges: Vec<_> = ranges.filter(|range| range.len() <= MOST).collect();
        let area = !self.has_area && ranges.iter().any(|range| self.is_in_area(range));
        if area {
            self.command(command::KEEP, 0..0);
        }
        let beyond = ranges.iter().filter_map(|range| self.beyond_area(range));
        let beyond: Vec<_> = beyond.collect();
        for range in &beyond {
            self.command(command::READ, range.clone());
        }
        if self.out.is_empty() {
            return Ok(());
        }
        self.flush(wire)?;
        if area {
            self.receive_area(wire)?;
        }
        for range in beyond {
            wire.receive(&mut self.bytes[range])?;
        }
        Ok(())
    }

    fn is_in_area(&self, range: &Range<usize>) -> bool {
        !range.is_empty() && range.start < self.area
    }

    fn beyond_area(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let range = range.start.max(self.area)..range.end;
        (!range.is_empty()).then_some(range)
    }

    fn within(&self, range: &Range<usize>) -> Range<usize> {
        let start = range.start.min(self.size);
        start..range.end.clamp(start, self.size)
    }

    /// The number at an address; 0 where there is none.
    pub(super) fn count(&self, at: usize) -> usize {
        match self.bytes[..self.size].get(at..at + 4) {
            Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]) as usize,
            _ => 0,
        }
    }

    /// Where the first of the I/O vectors that leads anywhere leads. There may be many that do not.
    fn first_buffer(
        &mut self,
        wire: &mut Dialogue,
        vectors: &Range<usize>,
    ) -> io::Result<Option<Range<usize>>> {
        let vectors = self.within(vectors);
        if vectors.len() > MOST {
            return Ok(None);
        }
        let mut at = vectors.start;
        let mut some = 2;
        while at < vectors.end {
            let end = at.saturating_add(some * VECTOR).min(vectors.end);
            self.read(wire, slice::from_ref(&(at..end)))?;
            for vector in (at..end).step_by(VECTOR) {
                let (start, length) = (self.count(vector), self.count(vector + 4));
                if length > 0 {
                    return Ok(Some(start..start.saturating_add(length)));
                }
            }
            at = end;
            some *= 2;
        }
        Ok(None)
    }
}

impl Access {
    /// Everything that may change but for a small number at the end, which the guest stores itself.
    fn may_change(&self) -> impl Iterator<Item = Range<usize>> {
        let mut changes: Vec<_> = self
            .plan
            .writes
            .iter()
            .filter_map(|write| match write {
                Write::All(to) | Write::Counted { to, .. } => Some(to.clone()),
                Write::Scattered { .. } => self.buffer.clone(),
            })
            .collect();
        changes.pop_if(|range| is_small(range));
        changes.into_iter()
    }
}

/// The bytes of an I/O vector.
const VECTOR: usize = 8;

fn is_small(range: &Range<usize>) -> bool {
    SMALL_LENGTHS.contains(&(range.len() as u32))
}

#[cfg(test)]
mod tests {
    use wasmrun_wasi_preview1::FUNCTIONS;

    use super::*;

    #[test]
    fn every_function_that_takes_an_address_has_a_plan() {
        // Those that are told everything by numbers.
        let plain = |name: &str| {
            let sets = [
                "fd_advise",
                "fd_allocate",
                "fd_close",
                "fd_datasync",
                "fd_sync",
            ];
            let more = [
                "fd_renumber",
                "proc_exit",
                "proc_raise",
                "sched_yield",
                "sock_shutdown",
            ];
            sets.contains(&name)
                || more.contains(&name)
                || name.starts_with("fd_fdstat_set")
                || name.starts_with("fd_filestat_set")
        };
        let some = Strings {
            pointers: 4,
            bytes: 1,
        };
        for function in FUNCTIONS {
            let arguments: Vec<u64> = (0..function.params.len() as u64).map(|n| 8 + n).collect();
            let plan = plan(function, &arguments, some, some);
            let empty = plan.reads.is_empty() && plan.writes.is_empty() && plan.vectors.is_none();
            assert_eq!(empty, plain(function.name), "{}", function.name);
        }
    }
}
