//! Strings in the encoding that a component has them in.

use std::borrow::Cow;

use wasmrun_flatten::Encoding;
use wasmtime::{Result, format_err};

/// What says, of the length of a string in either of two encodings, that it is UTF-16.
const IS_UTF16: u32 = 1 << 31;

/// How a string is laid out, by its length as a component says it.
pub(super) struct Layout {
    pub(super) bytes: u64,
    pub(super) align: u32,
    units: Units,
}

enum Units {
    Utf8,
    Utf16,
    Latin1,
}

impl Layout {
    pub(super) fn of(length: u32, encoding: Encoding) -> Self {
        let (length, units) = match encoding {
            Encoding::Utf8 => (length, Units::Utf8),
            Encoding::Utf16 => (length, Units::Utf16),
            Encoding::Latin1OrUtf16 if length & IS_UTF16 == 0 => (length, Units::Latin1),
            Encoding::Latin1OrUtf16 => (length ^ IS_UTF16, Units::Utf16),
        };
        let (size, align) = match units {
            Units::Utf8 => (1, 1),
            Units::Utf16 => (2, 2),
            // Where it could have been UTF-16, it is aligned as that.
            Units::Latin1 => (1, 2),
        };
        Layout {
            bytes: u64::from(length) * size,
            align,
            units,
        }
    }

    /// The string that these bytes are.
    pub(super) fn decoded(&self, bytes: Vec<u8>) -> Result<String> {
        match self.units {
            Units::Utf8 => Ok(String::from_utf8(bytes).map_err(|error| error.utf8_error())?),
            Units::Latin1 => Ok(bytes.into_iter().map(char::from).collect()),
            Units::Utf16 => {
                let (units, _) = bytes.as_chunks();
                let units: Vec<_> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
                Ok(String::from_utf16(&units)?)
            }
        }
    }
}

/// A string as a component is given it.
pub(super) struct Encoded<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    pub(super) align: u32,
    /// The length, as a component is told it.
    pub(super) length: u32,
}

impl<'a> Encoded<'a> {
    pub(super) fn of(string: &'a str, encoding: Encoding) -> Result<Self> {
        let utf16 = || -> Vec<u8> {
            let units = string.encode_utf16();
            units.flat_map(u16::to_le_bytes).collect()
        };
        let latin1 = || -> Option<Vec<u8>> {
            let chars = string.chars();
            chars.map(|char| u8::try_from(char).ok()).collect()
        };
        let (bytes, align, size, tag): (Cow<'_, _>, _, _, _) = match encoding {
            Encoding::Utf8 => (string.as_bytes().into(), 1, 1, 0),
            Encoding::Utf16 => (utf16().into(), 2, 2, 0),
            Encoding::Latin1OrUtf16 => match latin1() {
                Some(bytes) => (bytes.into(), 2, 1, 0),
                None => (utf16().into(), 2, 2, IS_UTF16),
            },
        };
        let length = u32::try_from(bytes.len()).ok();
        let length = length.filter(|length| length & IS_UTF16 == 0);
        let length = length.ok_or_else(|| {
            let length = string.len();
            format_err!("string length of {length} too large to copy into wasm")
        })?;
        Ok(Encoded {
            bytes,
            align,
            length: (length / size) | tag,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::Latin1OrUtf16];

    fn encoded(string: &str, encoding: Encoding) -> Encoded<'_> {
        Encoded::of(string, encoding).expect("it is short")
    }

    #[test]
    fn strings_come_back_from_every_encoding() {
        for string in ["", "plain", "caf\u{e9}\u{ff}", "\u{20ac} \u{10348}\u{e9}"] {
            for encoding in ALL {
                let encoded = encoded(string, encoding);
                let layout = Layout::of(encoded.length, encoding);
                assert_eq!(layout.bytes, encoded.bytes.len() as u64);
                assert_eq!(layout.align, encoded.align);
                let decoded = layout.decoded(encoded.bytes.into_owned());
                assert_eq!(decoded.expect("it is sound"), string);
            }
        }
    }

    #[test]
    fn the_shorter_of_two_encodings_is_taken() {
        let latin1 = encoded("\u{e9}a", Encoding::Latin1OrUtf16);
        assert_eq!((&*latin1.bytes, latin1.length), (&[0xe9, 0x61][..], 2));
        let utf16 = encoded("\u{20ac}a", Encoding::Latin1OrUtf16);
        assert_eq!(&*utf16.bytes, [0xac, 0x20, 0x61, 0]);
        assert_eq!(utf16.length, 2 | IS_UTF16);
    }

    #[test]
    fn what_is_in_no_encoding_is_no_string() {
        for (bytes, length, encoding) in [
            (vec![0xff], 1, Encoding::Utf8),
            (vec![0, 0xd8], 1, Encoding::Utf16),
            (vec![0, 0xdc], 1 | IS_UTF16, Encoding::Latin1OrUtf16),
        ] {
            assert!(Layout::of(length, encoding).decoded(bytes).is_err());
        }
    }
}
