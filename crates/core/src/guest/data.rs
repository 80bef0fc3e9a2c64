//! The data that a guest begins with: where they are, and the guest without them.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use wasmparser::{
    BinaryReader, BinaryReaderError, ConstExpr, DataKind, DataSectionReader, Operator,
};

use super::sections::{HEADER, sections, write_leb};
use super::{Guest, MemoryDecl, invalid, shown};
use crate::Result;

/// What active segments put into memories.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ActiveData {
    /// So many bytes.
    pub(super) bytes: u64,
    /// Where, where that is known of all of them.
    pub(super) range: Option<Range<u64>>,
}

impl ActiveData {
    /// What the segments of a module put into `memories`, which are all that it has.
    pub(super) fn read(
        section: DataSectionReader<'_>,
        memories: &[MemoryDecl],
    ) -> Result<Self, BinaryReaderError> {
        let room = match memories {
            [memory] if !memory.imported && !memory.shared => memory.initial_bytes,
            _ => 0,
        };
        let (mut bytes, mut range, mut are_known) = (0, None::<Range<u64>>, true);
        for segment in section {
            let segment = segment?;
            let DataKind::Active { offset_expr, .. } = segment.kind else {
                continue;
            };
            let length = segment.data.len() as u64;
            bytes += length;
            match place(&offset_expr, length).filter(|place| place.end <= room) {
                Some(place) if place.is_empty() => {}
                Some(place) => range = Some(range.map_or(place.clone(), |all| around(all, place))),
                None => are_known = false,
            }
        }
        Ok(ActiveData {
            bytes,
            range: range.filter(|_| are_known),
        })
    }
}

/// Where a segment goes whose place is a constant.
fn place(offset: &ConstExpr<'_>, length: u64) -> Option<Range<u64>> {
    let mut operators = offset.get_operators_reader();
    let begin = match operators.read().ok()? {
        Operator::I32Const { value } => value.cast_unsigned().into(),
        Operator::I64Const { value } => value.cast_unsigned(),
        _ => return None,
    };
    let is_all = matches!(operators.read(), Ok(Operator::End));
    is_all.then_some(begin..begin.checked_add(length)?)
}

fn around(one: Range<u64>, other: Range<u64>) -> Range<u64> {
    one.start.min(other.start)..one.end.max(other.end)
}

/// See [`Guest::without_data`].
pub(super) fn apart(guest: &Guest, range: Range<u64>) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
    let mut data = vec![0; usize::try_from(range.end - range.start).unwrap_or(0)];
    let take = |place: Range<u64>, bytes: &[u8]| {
        let begin = place.start.checked_sub(range.start)?;
        let begin = usize::try_from(begin).ok()?;
        data.get_mut(begin..begin + bytes.len())?
            .copy_from_slice(bytes);
        Some(())
    };
    match emptied(guest.bytes(), take) {
        Ok(module) => Ok(module.map(|module| (module, data))),
        Err(source) => Err(
            invalid(&shown(guest.name()), "its data section cannot be read").with_source(source),
        ),
    }
}

const DATA_SECTION: u8 = 11;

/// The module with its active segments empty. `take` is told where each is and what is in it; `None` if it
/// does not take one.
fn emptied(
    wasm: &[u8],
    mut take: impl FnMut(Range<u64>, &[u8]) -> Option<()>,
) -> Result<Option<Vec<u8>>, BinaryReaderError> {
    let mut module = wasm[..HEADER].to_vec();
    for section in sections(wasm) {
        let section = section?;
        if section.id != DATA_SECTION {
            module.extend(section.whole);
            continue;
        }
        let Some(contents) = emptied_segments(section.contents, &mut take)? else {
            return Ok(None);
        };
        module.push(DATA_SECTION);
        write_leb(&mut module, contents.len());
        module.extend(contents);
    }
    Ok(Some(module))
}

fn emptied_segments(
    contents: &[u8],
    take: &mut impl FnMut(Range<u64>, &[u8]) -> Option<()>,
) -> Result<Option<Vec<u8>>, BinaryReaderError> {
    let segments = DataSectionReader::new(BinaryReader::new(contents, 0))?;
    let mut emptied = Vec::new();
    write_leb(&mut emptied, segments.count() as usize);
    for segment in segments {
        let segment = segment?;
        let DataKind::Active { offset_expr, .. } = segment.kind else {
            emptied.extend(&contents[segment.range]);
            continue;
        };
        let length = segment.data.len() as u64;
        let taken = place(&offset_expr, length).and_then(|place| match length {
            0 => Some(()),
            _ => take(place, segment.data),
        });
        if taken.is_none() {
            return Ok(None);
        }
        let offset = offset_expr.get_binary_reader();
        let end = offset.original_position() + offset.bytes_remaining();
        emptied.extend(&contents[segment.range.start..end]);
        write_leb(&mut emptied, 0);
    }
    Ok(Some(emptied))
}
