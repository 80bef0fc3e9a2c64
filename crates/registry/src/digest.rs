//! What content is addressed by.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wasmrun_guest::{Error, ErrorKind, Sha256};

/// The digest of some content, as descriptors have it: `sha256:` and 64 hexadecimal digits in lower case.
///
/// Of the algorithms that the [specification] has, this is the one that every registry uses; any other is refused.
///
/// [specification]: https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(Sha256);

impl Digest {
    /// That of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::of(bytes))
    }

    /// That of all there is to read.
    pub(crate) fn of_reader(mut reader: impl Read) -> io::Result<Digest> {
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(hasher.digest()),
                read => hasher.update(buffer.get(..read).unwrap_or_default()),
            }
        }
    }

    /// The digits without the algorithm: the name of a blob in a layout.
    pub fn hex(&self) -> String {
        self.0.to_string()
    }

    /// As [`Guest::open_expected`](wasmrun_guest::Guest::open_expected) takes it.
    pub fn sha256(&self) -> Sha256 {
        self.0
    }
}

/// The digest of what comes piece by piece.
#[derive(Clone, Default)]
pub(crate) struct Hasher(sha2::Sha256);

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        sha2::Digest::update(&mut self.0, bytes);
    }

    pub fn digest(self) -> Digest {
        let digest: [u8; 32] = sha2::Digest::finalize(self.0).into();
        Digest(digest.into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let lower = !text.contains(|c: char| c.is_ascii_uppercase());
        let digits = text.strip_prefix("sha256:").filter(|_| lower);
        let digest = digits.filter(|digits| !digits.contains(':'));
        match digest.and_then(|digits| digits.parse().ok()) {
            Some(digest) => Ok(Digest(digest)),
            None => Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "`{text}` is no digest that is known here: sha256: and 64 hexadecimal digits in lower case"
                ),
            )),
        }
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}
