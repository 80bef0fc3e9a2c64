//! The data that a guest begins with: where they are, and the guest without them.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use wasmparser::{BinaryReader, BinaryReaderError, Data, DataKind, DataSectionReader, Operator};

use crate::decl::MemoryDecl;
use crate::sections::{HEADER, sections, write_leb};

/// What active segments put into memories.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ActiveData {
    /// So many bytes.
    pub(crate) bytes: u64,
    /// From so many segments.
    pub(crate) segments: u64,
    /// Where, where that is known of all of them.
    pub(crate) range: Option<Range<u64>>,
}

impl ActiveData {
    /// What the segments of a module put into `memories`, which are all that it has.
    pub(crate) fn read(
        section: DataSectionReader<'_>,
        memories: &[MemoryDecl],
    ) -> Result<Self, BinaryReaderError> {
        let memory = match memories {
            [memory] if !memory.imported && !memory.shared => Some(memory),
            _ => None,
        };
        let mut active = ActiveData::default();
        let mut are_known = true;
        for segment in section {
            let segment = segment?;
            if matches!(segment.kind, DataKind::Passive) {
                continue;
            }
            active.segments += 1;
            active.bytes += segment.data.len() as u64;
            match memory.and_then(|memory| place(&segment, memory)) {
                Some(place) if place.is_empty() => {}
                Some(place) => {
                    let all = active.range.take().unwrap_or(place.clone());
                    active.range = Some(all.start.min(place.start)..all.end.max(place.end));
                }
                None => are_known = false,
            }
        }
        active.range.take_if(|_| !are_known);
        Ok(active)
    }

    /// Those of another module as well. Where is known if one of the two has any.
    pub(crate) fn add(&mut self, other: ActiveData) {
        self.bytes += other.bytes;
        self.segments += other.segments;
        self.range = self.range.take().or(other.range);
    }
}

/// Where in the one `memory` an active segment goes, if that is a constant within what the memory has at
/// first.
fn place(segment: &Data<'_>, memory: &MemoryDecl) -> Option<Range<u64>> {
    let DataKind::Active {
        memory_index: 0,
        offset_expr,
    } = &segment.kind
    else {
        return None;
    };
    let mut operators = offset_expr.get_operators_reader();
    let begin = match (operators.read().ok()?, memory.memory64) {
        (Operator::I32Const { value }, false) => value.cast_unsigned().into(),
        (Operator::I64Const { value }, true) => value.cast_unsigned(),
        _ => return None,
    };
    let is_all = matches!(operators.read(), Ok(Operator::End));
    let end = begin.checked_add(segment.data.len() as u64)?;
    (is_all && end <= memory.initial_bytes).then_some(begin..end)
}

/// A guest and its data, apart from each other: [`Guest::without_data`](crate::Guest::without_data).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WithoutData {
    /// The guest. Active segments are as they are once they were dropped, which they are before it runs, and those
    /// that no code can name are gone; nothing else has changed, and all is where it was. It is valid if the
    /// guest is.
    pub binary: Vec<u8>,
    /// Where in its memory the data begin.
    pub at: u64,
    /// The bytes of its [`data_range`](crate::Guest::data_range).
    pub data: Vec<u8>,
}

/// A module, or a component, and its data in that range of its one memory, apart from each other.
pub(crate) fn apart(
    wasm: &[u8],
    is_component: bool,
    memory: &MemoryDecl,
    range: Range<u64>,
) -> Result<Option<WithoutData>, BinaryReaderError> {
    let Some(length) = length(&range) else {
        return Ok(None);
    };
    let mut taken = Taken {
        memory,
        at: range.start,
        data: vec![0; length],
        is_all: true,
    };
    let binary = if is_component {
        taken.out_of_component(wasm)?
    } else {
        taken.out_of_module(wasm)?
    };
    Ok(taken.is_all.then_some(WithoutData {
        binary,
        at: taken.at,
        data: taken.data,
    }))
}

/// More are not taken out of a guest.
const MOST: usize = 1 << 30;

fn length(range: &Range<u64>) -> Option<usize> {
    let length = usize::try_from(range.end - range.start);
    length.ok().filter(|length| *length <= MOST)
}

const CUSTOM_SECTION: u8 = 0;
/// In a component.
const MODULE_SECTION: u8 = 1;
const DATA_SECTION: u8 = 11;
const DATA_COUNT_SECTION: u8 = 12;

/// A segment without anything, as one is that was dropped.
const DROPPED: [u8; 2] = [1, 0];

/// The data that were taken out of a guest.
struct Taken<'a> {
    memory: &'a MemoryDecl,
    at: u64,
    data: Vec<u8>,
    is_all: bool,
}

impl Taken<'_> {
    fn out_of_component(&mut self, wasm: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
        let mut component = wasm[..HEADER].to_vec();
        for section in sections(wasm) {
            let section = section?;
            if section.id == MODULE_SECTION && section.contents.len() >= HEADER {
                component.extend(section.header());
                component.extend(self.out_of_module(section.contents)?);
            } else {
                component.extend(section.whole);
            }
        }
        Ok(component)
    }

    fn out_of_module(&mut self, wasm: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
        let mut module = wasm[..HEADER].to_vec();
        let mut are_counted = false;
        for section in sections(wasm) {
            let section = section?;
            are_counted |= section.id == DATA_COUNT_SECTION;
            let left = match section.id {
                DATA_SECTION => self.out_of_section(section.contents)?,
                _ => None,
            };
            let Some(left) = left else {
                module.extend(section.whole);
                continue;
            };
            let end = module.len() + section.whole.len();
            // No code names a segment of those that are not counted. The section stays, for whoever looks
            // whether it is where it should be.
            let left = if are_counted { left } else { vec![0] };
            module.push(DATA_SECTION);
            write_leb(&mut module, left.len());
            module.extend(left);
            fill(&mut module, end);
        }
        Ok(module)
    }

    /// What is left of a data section; `None` if it stays as it is.
    fn out_of_section(&mut self, contents: &[u8]) -> Result<Option<Vec<u8>>, BinaryReaderError> {
        let segments = DataSectionReader::new(BinaryReader::new(contents, 0))?;
        let mut left = Vec::new();
        let mut are_passive = true;
        write_leb(&mut left, segments.count() as usize);
        for segment in segments {
            let segment = segment?;
            if matches!(segment.kind, DataKind::Passive) {
                left.extend(&contents[segment.range]);
                continue;
            }
            are_passive = false;
            left.extend(DROPPED);
            self.is_all &= segment.data.is_empty() || self.take(&segment).is_some();
        }
        Ok((!are_passive).then_some(left))
    }

    fn take(&mut self, segment: &Data<'_>) -> Option<()> {
        let begin = place(segment, self.memory)?.start.checked_sub(self.at)?;
        let room = self.data.get_mut(usize::try_from(begin).ok()?..)?;
        room.get_mut(..segment.data.len())?
            .copy_from_slice(segment.data);
        Some(())
    }
}

/// Fills a module with a section that says nothing up to its `end`, three bytes away at least, for what comes
/// next to be where it was.
fn fill(module: &mut Vec<u8>, end: usize) {
    module.push(CUSTOM_SECTION);
    let left = end - module.len();
    if left <= 0x80 {
        module.push(left as u8 - 1);
    } else {
        // A length is of as many bytes as one likes, up to five.
        let length = left - 5;
        module.extend([0, 7, 14, 21].map(|shift| (length >> shift) as u8 | 0x80));
        module.push((length >> 28) as u8);
    }
    // Its name, without a character, and anything.
    module.resize(end, 0);
}
