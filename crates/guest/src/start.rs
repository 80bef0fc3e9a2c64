//! A module's start section, turned into an export.

use wasmparser::{BinaryReader, BinaryReaderError};

use crate::decl::Export;
use crate::sections::{HEADER, sections, write_leb};

const EXPORT_SECTION: u8 = 7;
const START_SECTION: u8 = 8;

/// A name for the start function that none of the `exports` has.
pub(crate) fn free_name(exports: &[Export]) -> String {
    let mut name = String::from("wasmrun:start");
    while exports.iter().any(|export| export.name == name) {
        name.push('\'');
    }
    name
}

/// The module without its start section, the start function exported as `name`; `None` if it has no such
/// section.
pub(crate) fn as_export(wasm: &[u8], name: &str) -> Result<Option<Vec<u8>>, BinaryReaderError> {
    let Some(start) = start_function(wasm)? else {
        return Ok(None);
    };
    let mut module = wasm[..HEADER].to_vec();
    let mut has_exports = false;
    for section in sections(wasm) {
        let section = section?;
        let exports = match section.id {
            EXPORT_SECTION => section.contents,
            // None, where they would have been.
            START_SECTION if !has_exports => &[0],
            _ => &[],
        };
        if !exports.is_empty() {
            has_exports = true;
            let contents = with_export(exports, name, start)?;
            module.push(EXPORT_SECTION);
            write_leb(&mut module, contents.len());
            module.extend(contents);
        }
        match section.id {
            START_SECTION | EXPORT_SECTION => {}
            _ => module.extend(section.whole),
        }
    }
    Ok(Some(module))
}

fn start_function(wasm: &[u8]) -> Result<Option<u32>, BinaryReaderError> {
    for section in sections(wasm) {
        let section = section?;
        if section.id == START_SECTION {
            return BinaryReader::new(section.contents, 0)
                .read_var_u32()
                .map(Some);
        }
    }
    Ok(None)
}

fn with_export(exports: &[u8], name: &str, function: u32) -> Result<Vec<u8>, BinaryReaderError> {
    let mut reader = BinaryReader::new(exports, 0);
    let count = reader.read_var_u32()?;
    let rest = &exports[reader.original_position()..];
    let mut contents = Vec::with_capacity(exports.len() + name.len() + 16);
    write_leb(&mut contents, count as usize + 1);
    contents.extend(rest);
    write_leb(&mut contents, name.len());
    contents.extend(name.as_bytes());
    contents.push(0);
    write_leb(&mut contents, function as usize);
    Ok(contents)
}
