//! Copying a module: everything as it is but for what is replaced, and sections with more in them.

use std::ops::Range;

use wasm_encoder::{Encode, Module, RawSection, SectionId};
use wasmparser::{BinaryReader, BinaryReaderError, Operator, OperatorsReader};

use crate::Parts;
use crate::numbers::Numbers;

/// Writes a section whose contents are `data`.
pub fn raw(module: &mut Module, id: SectionId, data: &[u8]) {
    module.section(&RawSection { id: id as u8, data });
}

/// A section's contents with more entries behind its own: `[0]` are those of one without any.
pub fn append<'a>(contents: &[u8], more: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<u8> {
    let (count, entries) = split_count(contents);
    let mut all = Vec::with_capacity(contents.len() + 64);
    (count as usize + more.len()).encode(&mut all);
    all.extend(entries);
    for entry in more {
        all.extend(entry);
    }
    all
}

/// The count that a section's contents start with, and the entries.
pub(crate) fn split_count(contents: &[u8]) -> (u32, &[u8]) {
    let mut reader = BinaryReader::new(contents, 0);
    // It has been read before.
    let count = reader.read_var_u32().unwrap_or(0);
    (count, &contents[reader.original_position()..])
}

/// Copies operators, with the numbers of functions adjusted and those that `replaced` names a
/// function for replaced by a call of it.
pub(crate) fn copy_operators(
    mut operators: OperatorsReader<'_>,
    copy: &mut Copy<'_>,
    mut replaced: impl FnMut(&Operator<'_>) -> Option<u32>,
) -> Result<(), BinaryReaderError> {
    while !operators.eof() {
        let begin = operators.original_position();
        let operator = operators.read()?;
        let range = begin..operators.original_position();
        copy_operator(&operator, range, copy, &mut replaced);
    }
    Ok(())
}

/// As [`copy_operators`], of the one in `range`.
pub(crate) fn copy_operator(
    operator: &Operator<'_>,
    range: Range<usize>,
    copy: &mut Copy<'_>,
    replaced: impl FnOnce(&Operator<'_>) -> Option<u32>,
) {
    const CALL: u8 = 0x10;
    const RETURN_CALL: u8 = 0x12;
    const REF_FUNC: u8 = 0xd2;
    let (code, function) = match *operator {
        Operator::Call { function_index } => (CALL, copy.numbers.of(function_index)),
        Operator::ReturnCall { function_index } => (RETURN_CALL, copy.numbers.of(function_index)),
        Operator::RefFunc { function_index } => (REF_FUNC, copy.numbers.of(function_index)),
        _ => match replaced(operator) {
            Some(helper) => (CALL, helper),
            None => return,
        },
    };
    copy.replace(range, |out| {
        out.push(code);
        function.encode(out);
    });
}

/// A part of the module being copied, with replacements.
pub(crate) struct Copy<'a> {
    wasm: &'a [u8],
    range: Range<usize>,
    pub(crate) numbers: &'a Numbers,
    out: Vec<u8>,
}

impl<'a> Copy<'a> {
    pub(crate) fn new(parts: &Parts<'a>, range: Range<usize>, numbers: &'a Numbers) -> Self {
        Copy {
            wasm: parts.wasm,
            numbers,
            out: Vec::with_capacity(range.len() + 16),
            range,
        }
    }

    /// Copies up to `range`, and writes something else in its place.
    pub(crate) fn replace(&mut self, range: Range<usize>, write: impl FnOnce(&mut Vec<u8>)) {
        self.out.extend(&self.wasm[self.range.start..range.start]);
        write(&mut self.out);
        self.range.start = range.end;
    }

    /// Copies up to a place, and writes something there.
    pub(crate) fn insert(&mut self, at: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.replace(at..at, write);
    }

    /// Replaces the number at `offset`.
    pub(crate) fn number(&mut self, offset: usize, number: u32) {
        let continues = self.wasm[offset..].iter().position(|byte| byte & 0x80 == 0);
        let end = offset + continues.unwrap_or(0) + 1;
        self.replace(offset..end, |out| number.encode(out));
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.out.extend(&self.wasm[self.range.clone()]);
        self.out
    }
}
