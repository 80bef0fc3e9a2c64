//! What a program is recognised by outside of wasmrun: the digest that registries and `sha256sum` tell.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result};

/// The SHA-256 digest of some content.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// That of these bytes.
    pub fn of(bytes: &[u8]) -> Sha256 {
        use sha2::Digest;
        Sha256(sha2::Sha256::digest(bytes).into())
    }

    /// Fails unless it is that of `bytes`, which are called `name`.
    pub(crate) fn check(&self, name: &str, bytes: &[u8]) -> Result<()> {
        match Sha256::of(bytes) {
            found if found == *self => Ok(()),
            found => Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "{name} is not the expected program: its SHA-256 is {found}, where {self} is expected"
                ),
            )),
        }
    }
}

/// A digest that was made elsewhere.
impl From<[u8; 32]> for Sha256 {
    fn from(digest: [u8; 32]) -> Self {
        Sha256(digest)
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

/// The text is no SHA-256 digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSha256;

impl fmt::Display for NoSha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SHA-256 digest has 64 hexadecimal digits")
    }
}

impl std::error::Error for NoSha256 {}

/// 64 hexadecimal digits, of either case, as they are or after `sha256:`.
impl FromStr for Sha256 {
    type Err = NoSha256;

    fn from_str(text: &str) -> Result<Self, NoSha256> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text).as_bytes();
        let mut digest = [0; 32];
        if digits.len() != 2 * digest.len() {
            return Err(NoSha256);
        }
        for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(NoSha256);
            let value = digit(pair[0])? << 4 | digit(pair[1])?;
            *byte = u8::try_from(value).map_err(|_| NoSha256)?;
        }
        Ok(Sha256(digest))
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's example.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_digest_is_that_of_the_standard_and_survives_being_written_down() {
        let digest = Sha256::of(b"abc");
        assert_eq!(digest.to_string(), ABC);
        for text in [ABC.to_owned(), ABC.to_uppercase(), format!("sha256:{ABC}")] {
            assert_eq!(text.parse(), Ok(digest), "{text}");
        }
        for text in [
            "",
            "abc",
            &ABC[1..],
            &ABC.replace('a', "g"),
            &"\u{e9}".repeat(32),
        ] {
            assert_eq!(text.parse::<Sha256>(), Err(NoSha256), "{text}");
        }
    }

    #[test]
    fn a_mismatch_names_both() {
        let expected = Sha256::of(b"abc");
        expected.check("app.wasm", b"abc").expect("it is the one");
        let error = expected.check("app.wasm", b"abd").expect_err("another");
        let told = error.to_string();
        assert!(
            told.contains(ABC) && told.contains(&Sha256::of(b"abd").to_string()),
            "{told}"
        );
    }
}
