//! The data that a guest begins with: where they are, and the guest without them.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use wasmparser::{BinaryReader, BinaryReaderError, Data, DataKind, DataSectionReader, Operator};

use super::sections::{HEADER, sections, write_leb};
use super::{Guest, MemoryDecl, invalid, shown};
use crate::Result;

/// What active segments put into memories.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ActiveData {
    /// So many bytes.
    pub(super) bytes: u64,
    /// From so many segments.
    pub(super) segments: u64,
    /// Where, where that is known of all of them.
    pub(super) range: Option<Range<u64>>,
}

impl ActiveData {
    /// What the segments of a module put into `memories`, which are all that it has.
    pub(super) fn read(
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

/// A module and its data, apart from each other: [`Guest::without_data`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WithoutData {
    /// The module. Its active segments are as they are once they were dropped, which they are before it runs;
    /// nothing else has changed, and its code is where it was.
    pub module: Vec<u8>,
    /// The bytes of its [`data_range`](Guest::data_range).
    pub data: Vec<u8>,
}

/// See [`Guest::without_data`].
pub(super) fn apart(guest: &Guest, range: Range<u64>) -> Result<Option<WithoutData>> {
    let [memory] = guest.memories() else {
        return Ok(None);
    };
    split(guest.bytes(), memory, range).map_err(|source| {
        invalid(&shown(guest.name()), "its data section cannot be read").with_source(source)
    })
}

const DATA_SECTION: u8 = 11;
const DATA_COUNT_SECTION: u8 = 12;

/// A segment without anything, as one is that was dropped.
const DROPPED: [u8; 2] = [1, 0];

fn split(
    wasm: &[u8],
    memory: &MemoryDecl,
    range: Range<u64>,
) -> Result<Option<WithoutData>, BinaryReaderError> {
    let mut module = wasm[..HEADER].to_vec();
    let mut data = vec![0; usize::try_from(range.end - range.start).unwrap_or(0)];
    let mut are_counted = false;
    for section in sections(wasm) {
        let section = section?;
        are_counted |= section.id == DATA_COUNT_SECTION;
        if section.id != DATA_SECTION {
            module.extend(section.whole);
            continue;
        }
        let segments = DataSectionReader::new(BinaryReader::new(section.contents, 0))?;
        let mut left = Vec::new();
        write_leb(&mut left, segments.count() as usize);
        for segment in segments {
            let segment = segment?;
            if matches!(segment.kind, DataKind::Passive) {
                left.extend(&section.contents[segment.range]);
                continue;
            }
            left.extend(DROPPED);
            if segment.data.is_empty() {
                continue;
            }
            let begin = place(&segment, memory).and_then(|at| at.start.checked_sub(range.start));
            let begin = begin.and_then(|begin| usize::try_from(begin).ok());
            let room = begin.and_then(|begin| data.get_mut(begin..)?.get_mut(..segment.data.len()));
            match room {
                Some(room) => room.copy_from_slice(segment.data),
                None => return Ok(None),
            }
        }
        // No code names a segment of those that are not counted.
        if are_counted {
            module.push(DATA_SECTION);
            write_leb(&mut module, left.len());
            module.extend(left);
        }
    }
    Ok(Some(WithoutData { module, data }))
}
