//! What a run of bytes is, told from its beginning.

use crate::error::{Error, ErrorKind};
use crate::kind::GuestKind;

/// What a guest's bytes turned out to be.
pub(crate) enum Source {
    /// A binary that starts like one this crate reads.
    Binary(GuestKind),
    /// Text that starts like the text format.
    Text,
    /// WebAssembly that ends inside its own header.
    CutHeader,
    /// WebAssembly of a version nobody here knows.
    OtherVersion {
        /// 1 for every core module.
        version: u16,
        /// 0 for core modules, 1 for components.
        layer: u16,
    },
    /// Something else.
    Foreign(Foreign),
}

/// Something that is not a WebAssembly program.
#[derive(Clone, Copy)]
pub(crate) struct Foreign {
    /// What it is, with its article.
    what: &'static str,
    /// What to do about it; empty where there is nothing useful to say.
    help: &'static str,
}

impl Foreign {
    /// The error that says so of the file called `name`.
    pub(crate) fn refusal(self, name: &str) -> Error {
        let Foreign { what, help } = self;
        let colon = if help.is_empty() { "" } else { ": " };
        Error::new(
            ErrorKind::NotWasm,
            format!("{name} is {what}, not a WebAssembly program{colon}{help}"),
        )
    }
}

const MAGIC: &[u8] = b"\0asm";
const PACKAGE: &[u8] = b"\0webc";
const COMPILE: &str = "compile its source for wasm32-wasip1";
const UNPACK: &str = "unpack it first";
const COMPILED: &str = "give the .wasm file it was compiled from";

/// First bytes, and what starts with them. The first match counts.
const SIGNATURES: &[(&[u8], &str, &str)] = &[
    (b"\x7fELF", "an ELF binary", COMPILE),
    (b"\xfe\xed\xfa\xce", "a Mach-O binary", COMPILE),
    (b"\xfe\xed\xfa\xcf", "a Mach-O binary", COMPILE),
    (b"\xce\xfa\xed\xfe", "a Mach-O binary", COMPILE),
    (b"\xcf\xfa\xed\xfe", "a Mach-O binary", COMPILE),
    (b"\xca\xfe\xba\xbf", "a universal Mach-O binary", COMPILE),
    (b"\xbe\xba\xfe\xca", "a universal Mach-O binary", COMPILE),
    (b"\xbf\xba\xfe\xca", "a universal Mach-O binary", COMPILE),
    (b"MZ", "a Windows (PE) binary", COMPILE),
    (
        b"#!",
        "a script",
        "run its interpreter, as a .wasm file, and give it the script",
    ),
    (b"\x1f\x8b", "a gzip file", UNPACK),
    (b"PK\x03\x04", "a zip file", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd file", UNPACK),
    (b"\xfd7zXZ\0", "an xz file", UNPACK),
    (
        b"!<arch>\n",
        "a library (ar archive)",
        "link it into a program for wasm32-wasip1",
    ),
    (b"BC\xc0\xde", "LLVM bitcode", COMPILE),
    (
        b"wasmer-universal",
        "a program compiled ahead of time by wasmer",
        COMPILED,
    ),
    (
        b"version https://git-lfs.github.com/",
        "a Git LFS pointer",
        "fetch the file itself with `git lfs pull`",
    ),
    (
        b"<!DOCTYPE",
        "an HTML page",
        "was it downloaded from the wrong address?",
    ),
    (
        b"<!doctype",
        "an HTML page",
        "was it downloaded from the wrong address?",
    ),
];

/// Tells what `bytes` are.
pub(crate) fn sniff(bytes: &[u8]) -> Source {
    if bytes.starts_with(PACKAGE) {
        return Source::Binary(GuestKind::Package);
    }
    if let Some(header) = bytes.strip_prefix(MAGIC) {
        return match header {
            [1, 0, 0, 0, ..] => Source::Binary(GuestKind::Module),
            [13, 0, 1, 0, ..] => Source::Binary(GuestKind::Component),
            &[a, b, c, d, ..] => Source::OtherVersion {
                version: u16::from_le_bytes([a, b]),
                layer: u16::from_le_bytes([c, d]),
            },
            _ => Source::CutHeader,
        };
    }
    if bytes.is_empty() {
        return Source::Foreign(Foreign {
            what: "empty",
            help: "",
        });
    }
    if MAGIC.starts_with(bytes) {
        return Source::CutHeader;
    }
    if let Some(foreign) = signature(bytes) {
        return Source::Foreign(foreign);
    }
    if !is_text(bytes) {
        return Source::Foreign(Foreign {
            what: "binary data of an unknown kind",
            help: "",
        });
    }
    if skip_blank(bytes).first() == Some(&b'(') {
        return Source::Text;
    }
    Source::Foreign(Foreign {
        what: "text",
        help: "",
    })
}

/// What a file starting with `head` is, if it is one of the kinds known by name.
pub(crate) fn signature(head: &[u8]) -> Option<Foreign> {
    let foreign = |what, help| Some(Foreign { what, help });
    // wasmtime's own ELF flavour: byte 7 is the ABI.
    if head.starts_with(b"\x7fELF") && head.get(7) == Some(&200) {
        return foreign("a program compiled ahead of time by wasmtime", COMPILED);
    }
    // Java and universal Mach-O share their magic; a Java version is never below 45, and nobody
    // ships that many architectures.
    if let [0xca, 0xfe, 0xba, 0xbe, a, b, c, d, ..] = *head {
        return if u32::from_be_bytes([a, b, c, d]) < 45 {
            foreign("a universal Mach-O binary", COMPILE)
        } else {
            foreign("a Java class", COMPILE)
        };
    }
    SIGNATURES
        .iter()
        .find(|(magic, ..)| head.starts_with(magic))
        // Two letters prove little: prose may start with them too.
        .filter(|(magic, ..)| *magic != b"MZ" || !is_text(head))
        .map(|(_, what, help)| Foreign { what, help })
}

/// Whether the first kilobyte reads as text: UTF-8 without control characters.
fn is_text(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1024)];
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character cut by the end of the window is no fault.
        Err(error) if error.error_len().is_none() && head.len() < bytes.len() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}'))
}

/// The rest of a text after the white space and comments it starts with, by the rules of the text
/// format: `;;` to the end of the line, `(;` to the matching `;)`.
fn skip_blank(mut text: &[u8]) -> &[u8] {
    let mut depth = 0_usize;
    loop {
        text = match text {
            [b'(', b';', rest @ ..] => {
                depth += 1;
                rest
            }
            [b';', b')', rest @ ..] if depth > 0 => {
                depth -= 1;
                rest
            }
            [_, rest @ ..] if depth > 0 => rest,
            [b';', b';', rest @ ..] => {
                let end = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
                &rest[end..]
            }
            [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] => rest,
            _ => return text,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(bytes: &[u8]) -> &'static str {
        match sniff(bytes) {
            Source::Foreign(foreign) => foreign.what,
            Source::Text => "wat",
            Source::Binary(kind) => kind.as_str(),
            Source::CutHeader => "cut",
            Source::OtherVersion { .. } => "version",
        }
    }

    #[test]
    fn a_module_a_component_and_a_package_are_told_by_their_headers() {
        assert_eq!(what(b"\0asm\x01\0\0\0"), "module");
        assert_eq!(what(b"\0asm\x0d\0\x01\0"), "component");
        assert_eq!(what(b"\0webc001"), "package");
        assert_eq!(what(b"\0asm\x02\0\0\0"), "version");
        for cut in 1..8 {
            assert_eq!(what(&b"\0asm\x01\0\0\0"[..cut]), "cut");
        }
    }

    #[test]
    fn what_is_not_wasm_is_named() {
        assert_eq!(what(b""), "empty");
        assert_eq!(what(b"\x7fELF\x02\x01\x01\0"), "an ELF binary");
        let cwasm = b"\x7fELF\x02\x01\x01\xc8";
        assert_eq!(what(cwasm), "a program compiled ahead of time by wasmtime");
        for magic in [
            b"\xfe\xed\xfa\xce",
            b"\xfe\xed\xfa\xcf",
            b"\xce\xfa\xed\xfe",
            b"\xcf\xfa\xed\xfe",
        ] {
            assert_eq!(what(magic), "a Mach-O binary");
        }
        let fat = "a universal Mach-O binary";
        assert_eq!(what(b"\xca\xfe\xba\xbe\0\0\0\x02"), fat);
        assert_eq!(what(b"\xca\xfe\xba\xbf\0\0\0\x02"), fat);
        assert_eq!(what(b"\xca\xfe\xba\xbe\0\0\0\x34"), "a Java class");
        assert_eq!(what(b"MZ\x90\0\x03\0"), "a Windows (PE) binary");
        assert_eq!(what(b"MZ is how Mark Zbikowski signed"), "text");
        assert_eq!(what(b"#!/bin/sh\necho hi\n"), "a script");
        assert_eq!(what(b"\x1f\x8b\x08\0"), "a gzip file");
        assert_eq!(what(b"PK\x03\x04"), "a zip file");
        assert_eq!(what(b"!<arch>\nfoo.o/"), "a library (ar archive)");
        assert_eq!(what(b"int main(void) {}\n"), "text");
        assert_eq!(what(b"\n \n"), "text");
        assert_eq!(what(b"\x01\x02\x03"), "binary data of an unknown kind");
    }

    #[test]
    fn text_after_comments_that_opens_a_parenthesis_is_the_text_format() {
        assert_eq!(what(b"(module)"), "wat");
        assert_eq!(
            what(b" \n;; one\r\n(; two (; three ;) ;)\t(component)"),
            "wat"
        );
        assert_eq!(what(b";; only a comment"), "text");
        assert_eq!(what(b"(; never closed (module)"), "text");
        assert_eq!(what("(module (; ü ;))".as_bytes()), "wat");
        assert_eq!(what(b"(\xff"), "binary data of an unknown kind");
    }

    #[test]
    fn a_character_cut_by_the_window_is_still_text() {
        let mut text = "x".repeat(1023);
        text.push('é');
        assert_eq!(what(text.as_bytes()), "text");
    }
}
