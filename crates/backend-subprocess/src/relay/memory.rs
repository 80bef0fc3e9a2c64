//! The part of a guest's memory that a call works on: fetched before, stored after.
//!
//! The functions of `wasmrun-wasi-preview1` work on a slice. Ours has the size of the guest's memory
//! and is filled only where the function is going to read; what the function writes is known by its
//! definition and its result.

use std::io;
use std::ops::Range;

use wasmrun_wasi_preview1::{Function, HOSTCALL_FUEL, unstable};

use super::protocol::{AREA, command};

/// Both ends of the wire.
pub(super) trait Wire {
    /// Fills `bytes`, or says that nothing more comes.
    fn receive(&mut self, bytes: &mut [u8]) -> io::Result<()>;
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;
}

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
    Scattered { count: usize },
}

/// Of a function with these arguments.
fn plan(function: &Function, arguments: &[u64], args: Strings, env: Strings) -> Plan {
    let is_unstable = function.module == unstable::MODULE;
    let argument = |place: usize| arguments.get(place).map_or(0, |value| *value as u32 as usize);
    let at = |place: usize, bytes: usize| argument(place)..argument(place).saturating_add(bytes);
    let buffer = |place: usize| at(place, argument(place + 1));
    let array = |place: usize, count: usize, unit: usize| {
        at(place, argument(count).saturating_mul(unit))
    };
    let (filestat, subscription) = if is_unstable { (56, 56) } else { (64, 48) };
    let mut plan = Plan::default();
    match function.name {
        "args_get" => {
            plan.writes = vec![Write::All(at(0, args.pointers)), Write::All(at(1, args.bytes))];
        }
        "environ_get" => {
            plan.writes = vec![Write::All(at(0, env.pointers)), Write::All(at(1, env.bytes))];
        }
        "args_sizes_get" | "environ_sizes_get" => {
            plan.writes = vec![Write::All(at(0, 4)), Write::All(at(1, 4))];
        }
        "clock_res_get" | "fd_prestat_get" | "fd_tell" => plan.writes = vec![Write::All(at(1, 8))],
        "clock_time_get" => plan.writes = vec![Write::All(at(2, 8))],
        "fd_seek" => plan.writes = vec![Write::All(at(3, 8))],
        "fd_fdstat_get" => plan.writes = vec![Write::All(at(1, 24))],
        "fd_filestat_get" => plan.writes = vec![Write::All(at(1, filestat))],
        "fd_prestat_dir_name" => {
            // The name may be shorter than the buffer.
            plan.reads = vec![buffer(1)];
            plan.writes = vec![Write::All(buffer(1))];
        }
        "random_get" => plan.writes = vec![Write::All(buffer(0))],
        "fd_readdir" => {
            plan.writes = vec![
                Write::Counted {
                    to: buffer(1),
                    unit: 1,
                    count: argument(4),
                },
                Write::All(at(4, 4)),
            ];
        }
        "fd_read" | "fd_pread" | "sock_recv" => {
            let count = if function.name == "fd_read" { 3 } else { 4 };
            plan.vectors = Some((array(1, 2, 8), false));
            plan.writes = vec![
                Write::Scattered {
                    count: argument(count),
                },
                Write::All(at(count, 4)),
            ];
            if function.name == "sock_recv" {
                plan.writes.push(Write::All(at(5, 2)));
            }
        }
        "fd_write" | "fd_pwrite" | "sock_send" => {
            let count = if function.name == "fd_write" { 3 } else { 4 };
            plan.vectors = Some((array(1, 2, 8), true));
            plan.writes = vec![Write::All(at(count, 4))];
        }
        "path_create_directory" | "path_remove_directory" | "path_unlink_file" => {
            plan.reads = vec![buffer(1)];
        }
        "path_filestat_get" => {
            plan.reads = vec![buffer(2)];
            plan.writes = vec![Write::All(at(4, filestat))];
        }
        "path_filestat_set_times" => plan.reads = vec![buffer(2)],
        "path_link" => plan.reads = vec![buffer(2), buffer(5)],
        "path_rename" => plan.reads = vec![buffer(1), buffer(4)],
        "path_symlink" => plan.reads = vec![buffer(0), buffer(3)],
        "path_open" => {
            plan.reads = vec![buffer(2)];
            plan.writes = vec![Write::All(at(8, 4))];
        }
        "path_readlink" => {
            plan.reads = vec![buffer(1)];
            plan.writes = vec![
                Write::Counted {
                    to: buffer(3),
                    unit: 1,
                    count: argument(5),
                },
                Write::All(at(5, 4)),
            ];
        }
        "poll_oneoff" => {
            plan.reads = vec![array(0, 2, subscription)];
            plan.writes = vec![
                Write::Counted {
                    to: array(1, 2, 32),
                    unit: 32,
                    count: argument(3),
                },
                Write::All(at(3, 4)),
            ];
        }
        "sock_accept" => plan.writes = vec![Write::All(at(2, 4))],
        // The others are told everything by their arguments.
        _ => {}
    }
    plan
}

/// Our copy of a guest's memory: as large, and true where a call needs it.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    bytes: Vec<u8>,
    /// Whether the start of the memory is true, which the guest keeps aside during a call.
    has_area: bool,
    /// Whether the start of the memory is to change.
    changes_area: bool,
    /// What is to be sent with the return.
    commands: Vec<u8>,
}

/// A call in progress.
pub(super) struct Access {
    plan: Plan,
    /// Where the I/O vectors lead: the functions use the first that leads anywhere.
    buffer: Option<Range<usize>>,
}

/// What a function takes from a guest in one call; it refuses more without looking at it.
const MOST: usize = HOSTCALL_FUEL as usize;

impl Mirror {
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Fetches what `function` is going to read.
    pub(super) fn fetch(
        &mut self,
        wire: &mut impl Wire,
        size: u64,
        function: &Function,
        arguments: &[u64],
        (args, env): (Strings, Strings),
    ) -> io::Result<Access> {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size != self.bytes.len() {
            // Zeroed pages cost nothing until they are written to.
            self.bytes = vec![0; size];
        }
        self.has_area = false;
        self.changes_area = false;
        let plan = plan(function, arguments, args, env);
        self.read(wire, &plan.reads)?;
        let buffer = match &plan.vectors {
            Some((vectors, _)) => self.first_buffer(wire, vectors)?,
            None => None,
        };
        if let (Some((_, true)), Some(buffer)) = (&plan.vectors, &buffer) {
            self.read(wire, std::slice::from_ref(buffer))?;
        }
        // What is around the bytes that change must be true as well.
        let writes = plan.writes.iter().filter_map(|write| match write {
            Write::All(to) | Write::Counted { to, .. } => Some(to),
            Write::Scattered { .. } => None,
        });
        if writes.chain(&buffer).any(is_in_area) {
            self.read(wire, &[0..AREA as usize])?;
        }
        Ok(Access { plan, buffer })
    }

    /// Stores what the function wrote, and returns `value` from it.
    pub(super) fn store(
        &mut self,
        wire: &mut impl Wire,
        access: &Access,
        value: u64,
    ) -> io::Result<()> {
        for write in &access.plan.writes {
            match write {
                Write::All(to) => self.write(to.clone()),
                Write::Counted { to, unit, count } => {
                    let bytes = self.count(*count).saturating_mul(*unit).min(to.len());
                    self.write(to.start..to.start + bytes);
                }
                Write::Scattered { count } => {
                    if let Some(buffer) = &access.buffer {
                        let bytes = self.count(*count).min(buffer.len());
                        self.write(buffer.start..buffer.start + bytes);
                    }
                }
            }
        }
        self.finish(wire, value)
    }

    /// Returns `value` from a call.
    pub(super) fn finish(&mut self, wire: &mut impl Wire, value: u64) -> io::Result<()> {
        if std::mem::take(&mut self.changes_area) {
            self.command(command::RESTORE, 0..AREA as usize);
            self.commands.extend(&self.bytes[..AREA as usize]);
        }
        self.commands.extend(command::RETURN.to_le_bytes());
        self.commands.extend([0; 4]);
        self.commands.extend(value.to_le_bytes());
        let sent = wire.send(&self.commands);
        self.commands.clear();
        sent
    }

    fn command(&mut self, code: u32, range: Range<usize>) {
        // Addresses have 32 bits, so that a range beyond them is no part of the memory.
        for number in [code, range.start as u32, range.len() as u32, 0] {
            self.commands.extend(number.to_le_bytes());
        }
    }

    /// Makes these ranges true, as far as there is memory.
    fn read(&mut self, wire: &mut impl Wire, ranges: &[Range<usize>]) -> io::Result<()> {
        let ranges = ranges.iter().map(|range| self.within(range));
        let ranges: Vec<_> = ranges.filter(|range| range.len() <= MOST).collect();
        let area = !self.has_area && ranges.iter().any(is_in_area);
        if area {
            self.command(command::KEEP, 0..AREA as usize);
        }
        for range in ranges.iter().filter_map(beyond_area) {
            self.command(command::READ, range);
        }
        if self.commands.is_empty() {
            return Ok(());
        }
        wire.send(&self.commands)?;
        self.commands.clear();
        if area {
            wire.receive(&mut self.bytes[..AREA as usize])?;
            self.has_area = true;
        }
        for range in ranges.iter().filter_map(beyond_area) {
            wire.receive(&mut self.bytes[range])?;
        }
        Ok(())
    }

    fn write(&mut self, range: Range<usize>) {
        let range = self.within(&range);
        self.changes_area |= is_in_area(&range);
        if let Some(range) = beyond_area(&range) {
            self.command(command::WRITE, range.clone());
            self.commands.extend(&self.bytes[range]);
        }
    }

    fn within(&self, range: &Range<usize>) -> Range<usize> {
        let start = range.start.min(self.bytes.len());
        start..range.end.clamp(start, self.bytes.len())
    }

    fn count(&self, at: usize) -> usize {
        match self.bytes.get(at..at + 4) {
            Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]) as usize,
            _ => 0,
        }
    }

    /// Where the first of the I/O vectors that leads anywhere leads. There may be many that do not.
    fn first_buffer(
        &mut self,
        wire: &mut impl Wire,
        vectors: &Range<usize>,
    ) -> io::Result<Option<Range<usize>>> {
        const VECTOR: usize = 8;
        let vectors = self.within(vectors);
        if vectors.len() > MOST {
            return Ok(None);
        }
        let mut at = vectors.start;
        let mut some = 2;
        while at < vectors.end {
            let end = at.saturating_add(some * VECTOR).min(vectors.end);
            self.read(wire, &[at..end])?;
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

fn is_in_area(range: &Range<usize>) -> bool {
    !range.is_empty() && range.start < AREA as usize
}

fn beyond_area(range: &Range<usize>) -> Option<Range<usize>> {
    let range = range.start.max(AREA as usize)..range.end;
    (!range.is_empty()).then_some(range)
}

#[cfg(test)]
mod tests {
    use wasmrun_wasi_preview1::FUNCTIONS;

    use super::*;

    #[test]
    fn every_function_that_takes_an_address_has_a_plan() {
        // Those that are told everything by numbers.
        let plain = |name: &str| {
            let sets = ["fd_advise", "fd_allocate", "fd_close", "fd_datasync", "fd_sync"];
            let more = ["fd_renumber", "proc_exit", "proc_raise", "sched_yield", "sock_shutdown"];
            sets.contains(&name) || more.contains(&name) || name.starts_with("fd_fdstat_set")
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
