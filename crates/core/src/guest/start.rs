//! A module's start section, turned into an export.

use wasmparser::{BinaryReader, BinaryReaderError};

use super::sections::{HEADER, sections, write_leb};
use super::{Guest, invalid, shown};
use crate::Result;

const EXPORT_SECTION: u8 = 7;
const START_SECTION: u8 = 8;

/// See [`Guest::start_export`].
pub(super) fn name(guest: &Guest) -> Option<String> {
    guest.start_section().then(|| {
        let mut name = String::from("wasmrun:start");
        while guest.exports().iter().any(|export| export.name == name) {
            name.push('\'');
        }
        name
    })
}

/// See [`Guest::start_as_export`].
pub(super) fn as_export(guest: &Guest) -> Result<Option<(Vec<u8>, String)>> {
    let Some(name) = name(guest) else {
        return Ok(None);
    };
    match with_export_for_start(guest.bytes(), &name) {
        Ok(module) => Ok(module.map(|module| (module, name))),
        Err(source) => {
            Err(invalid(&shown(guest.name()), "its sections cannot be read").with_source(source))
        }
    }
}

fn with_export_for_start(wasm: &[u8], name: &str) -> Result<Option<Vec<u8>>, BinaryReaderError> {
    let Some(start) = start_function(wasm)? else {
        return Ok(None);
    };
    let mut module = wasm[..HEADER].to_vec();
    for section in sections(wasm) {
        let section = section?;
        match section.id {
            START_SECTION => {}
            EXPORT_SECTION => {
                let contents = with_export(section.contents, name, start)?;
                module.push(EXPORT_SECTION);
                write_leb(&mut module, contents.len());
                module.extend(contents);
            }
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
