//! The records of pax headers, which stand for what the header of a member has no room for.

use std::rc::Rc;

/// What pax headers tell of members. The names may be long, and those of a global header are of every member behind it,
/// so they are shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Extensions {
    pub(super) name: Option<Rc<[u8]>>,
    /// The target of a link.
    pub(super) target: Option<Rc<[u8]>>,
    pub(super) size: Option<u64>,
    /// Nanoseconds since 1970.
    pub(super) modified: Option<u64>,
    /// The content is not as it is in the archive, but what is between its holes.
    pub(super) sparse: bool,
}

impl Extensions {
    /// Adds what the records in `bytes` tell, or gives what is wrong with them. An empty value takes back what was told
    /// before.
    ///
    /// The parser of the `tar` crate ends a record at the first newline, which may be part of a name.
    pub(super) fn add(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while !bytes.is_empty() {
            let (key, value, rest) =
                record(bytes).ok_or("expected records of a pax header, found other bytes")?;
            self.set(key, value)?;
            bytes = rest;
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let value = Some(value).filter(|value| !value.is_empty());
        match key {
            b"path" => self.name = value.map(Rc::from),
            b"linkpath" => self.target = value.map(Rc::from),
            b"size" => {
                let size = value.map(|value| number(value).ok_or("expected a number as its size"));
                self.size = size.transpose()?;
            }
            b"mtime" => {
                let time =
                    value.map(|value| nanoseconds(value).ok_or("expected a time in seconds"));
                self.modified = time.transpose()?;
            }
            _ => self.sparse |= key.starts_with(b"GNU.sparse."),
        }
        Ok(())
    }

    /// These, and those of `defaults` where there is none.
    pub(super) fn or(self, defaults: &Extensions) -> Extensions {
        Extensions {
            name: self.name.or_else(|| defaults.name.clone()),
            target: self.target.or_else(|| defaults.target.clone()),
            size: self.size.or(defaults.size),
            modified: self.modified.or(defaults.modified),
            sparse: self.sparse || defaults.sparse,
        }
    }
}

/// The first record, which is `LENGTH KEY=VALUE\n` with the length of all of it: its key, its value, and what is behind
/// it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(number(&bytes[..space])?).ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], rest))
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(text).ok()?;
    let all = digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().ok())?
}

/// A time in seconds since 1970 with a fraction perhaps, in nanoseconds. It is 0 for any before.
fn nanoseconds(text: &[u8]) -> Option<u64> {
    let negative = text.strip_prefix(b"-");
    let text = str::from_utf8(negative.unwrap_or(text)).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let seconds = number(seconds.as_bytes())?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction = number(format!("{fraction:0<9.9}").as_bytes())?;
    Some(match negative {
        Some(_) => 0,
        None => seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(fraction),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(bytes: &[u8]) -> Result<Extensions, &'static str> {
        let mut extensions = Extensions::default();
        extensions.add(bytes).map(|()| extensions)
    }

    #[test]
    fn a_record_ends_where_its_length_says() {
        let told = add(b"14 path=a\nb=c\n11 size=12\n").expect("records");
        assert_eq!(told.name.as_deref(), Some(&b"a\nb=c"[..]));
        assert_eq!(told.size, Some(12));
    }

    #[test]
    fn an_empty_value_takes_back_what_was_told() {
        let told = add(b"10 path=a\n9 size=1\n8 path=\n").expect("records");
        assert_eq!((told.name, told.size), (None, Some(1)));
    }

    #[test]
    fn what_is_no_record_is_an_error() {
        let records: [&[u8]; 9] = [
            b"x",
            b"1 ",
            b"0 a=b\n",
            b"7 a=b\n",
            b"5 a=b\n",
            b"6 a b\n",
            b"-6 a=b\n",
            b"99999999999999999999 a=b\n",
            b"12 size=0x1\n",
        ];
        for bytes in records {
            assert!(add(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn times_have_fractions_and_do_not_overflow() {
        for (text, time) in [
            ("1", Some(1_000_000_000)),
            ("1.5", Some(1_500_000_000)),
            ("1.000000001999", Some(1_000_000_001)),
            ("1.", Some(1_000_000_000)),
            ("-1.5", Some(0)),
            ("18446744073709551615.9", Some(u64::MAX)),
            ("", None),
            ("-", None),
            (".5", None),
            ("1.x", None),
            ("1e3", None),
            ("+1", None),
        ] {
            assert_eq!(nanoseconds(text.as_bytes()), time, "{text}");
        }
    }
}
