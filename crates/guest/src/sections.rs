//! A module or component as a list of sections, for copies of it in which some differ.

use wasmparser::{BinaryReader, BinaryReaderError};

/// The magic number and the version, which come before the sections.
pub(crate) const HEADER: usize = 8;

pub(crate) struct Section<'a> {
    pub(crate) id: u8,
    pub(crate) whole: &'a [u8],
    pub(crate) contents: &'a [u8],
}

impl<'a> Section<'a> {
    /// What comes before the contents.
    pub(crate) fn header(&self) -> &'a [u8] {
        &self.whole[..self.whole.len() - self.contents.len()]
    }
}

pub(crate) fn sections(
    wasm: &[u8],
) -> impl Iterator<Item = Result<Section<'_>, BinaryReaderError>> {
    let mut reader = BinaryReader::new(&wasm[HEADER..], HEADER);
    std::iter::from_fn(move || {
        (!reader.eof()).then(|| {
            let begin = reader.original_position();
            let id = reader.read_u8()?;
            let length = reader.read_var_u32()? as usize;
            let contents = reader.read_bytes(length)?;
            Ok(Section {
                id,
                whole: &wasm[begin..reader.original_position()],
                contents,
            })
        })
    })
}

pub(crate) fn write_leb(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
