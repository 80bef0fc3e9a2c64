//! Where in a registry something is.

use std::fmt;
use std::str::FromStr;

use wasmrun_guest::{Error, ErrorKind};

use crate::Digest;

/// A place in a registry: `oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGITS]`.
///
/// The grammar is that of the [distribution specification], strictly, and without docker's habits: the host is always
/// there. A reference without tag and digest is about the tag `latest`. Where there is a digest, it says what is meant,
/// and the tag is for the reader.
///
/// ```
/// use wasmrun_registry::Reference;
///
/// let reference: Reference = "oci://127.0.0.1:5000/tools/python:3.12".parse()?;
/// assert_eq!(reference.registry(), "127.0.0.1:5000");
/// assert_eq!(reference.repository(), "tools/python");
/// assert_eq!(reference.tag(), Some("3.12"));
/// # Ok::<(), wasmrun_guest::Error>(())
/// ```
///
/// [distribution specification]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// What a reference begins with.
const SCHEME: &str = "oci://";

impl Reference {
    /// The longest name, of registry and repository together, that all registries take.
    const MOST: usize = 255;

    /// Host and port of the registry.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The name of the repository in it.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `latest` where neither a tag nor a digest was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// What it is called among a registry's manifests.
    pub(crate) fn manifest(&self) -> String {
        match (self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => LATEST.into(),
        }
    }

    /// The name that it has in a store: without the scheme, and without the tag where there is a digest.
    pub(crate) fn name(&self) -> String {
        let separator = if self.digest.is_some() { '@' } else { ':' };
        format!(
            "{}/{}{separator}{}",
            self.registry,
            self.repository,
            self.manifest()
        )
    }

    /// The reference that has this name in a store.
    pub(crate) fn named(name: &str) -> Result<Reference, Error> {
        format!("{SCHEME}{name}").parse()
    }
}

const LATEST: &str = "latest";

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| {
            let message = format!(
                "`{text}` is no reference: {why} (expected oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGITS])"
            );
            Error::new(ErrorKind::Config, message)
        };
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| wrong("it has to begin with oci://"))?;
        let (registry, rest) = rest
            .split_once('/')
            .ok_or_else(|| wrong("a / and the repository have to follow the host"))?;
        if registry.contains('@') {
            return Err(wrong("a user has no place in it; use `wasmrun login`"));
        }
        if !is_registry(registry) {
            return Err(wrong("the host is not one, or its port is no number"));
        }
        let (rest, digest) = match rest.split_once('@') {
            None => (rest, None),
            Some((rest, digest)) => {
                let digest = digest
                    .parse()
                    .map_err(|_| wrong("the digest has to be sha256: and 64 digits 0-9a-f"))?;
                (rest, Some(digest))
            }
        };
        let (repository, tag) = match rest.split_once(':') {
            None => (rest, None),
            Some((_, tag)) if !is_tag(tag) => {
                return Err(wrong(
                    "a tag has up to 128 letters, digits, _, . and -, and begins with a letter, a digit or _",
                ));
            }
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
        };
        if !repository.split('/').all(is_component) {
            return Err(wrong(
                "a repository has lower-case letters, digits and, between them, ., _, __ and -, in parts separated by /",
            ));
        }
        if registry.len() + 1 + repository.len() > Reference::MOST {
            return Err(wrong("host and repository have more than 255 characters"));
        }
        let latest = || digest.is_none().then(|| LATEST.to_owned());
        Ok(Reference {
            registry: registry.to_ascii_lowercase(),
            repository: repository.into(),
            tag: tag.or_else(latest),
            digest,
        })
    }
}

/// Whether it is a host, by name or address, with a port or without.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                ("localhost", (!port.is_empty()).then_some(port))
            }
            _ => return false,
        },
        None => match text.find(':') {
            Some(at) => {
                let (host, port) = text.split_at(at);
                (host, Some(port))
            }
            None => (text, None),
        },
    };
    let is_port = |port: &str| {
        let digits = port.strip_prefix(':').unwrap_or_default();
        digits.bytes().all(|digit| digit.is_ascii_digit())
            && digits.parse::<u16>().is_ok_and(|port| port > 0)
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

/// Whether it is a tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
fn is_tag(text: &str) -> bool {
    let is_in = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(is_in) && !text.starts_with(['.', '-'])
}

/// Whether it is a part of a repository's name: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(text: &str) -> bool {
    let is_separator = |c: char| matches!(c, '.' | '_' | '-');
    let known = text
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || is_separator(c));
    let mut separators = text.split(|c: char| !is_separator(c));
    let well_separated = separators.all(|separator| {
        matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
    });
    known
        && well_separated
        && !text.is_empty()
        && !text.starts_with(is_separator)
        && !text.ends_with(is_separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_reference_is_read_and_written() {
        let digest = format!("@sha256:{DIGITS}");
        for (text, shown) in [
            ("oci://h/r", "oci://h/r:latest".to_owned()),
            (
                "oci://H.example:5000/a/b-c__d.e:V1.0_x",
                "oci://h.example:5000/a/b-c__d.e:V1.0_x".into(),
            ),
            ("oci://[::1]:5000/r:t", "oci://[::1]:5000/r:t".into()),
            (&format!("oci://h/r{digest}"), format!("oci://h/r{digest}")),
            (
                &format!("oci://h/r:t{digest}"),
                format!("oci://h/r:t{digest}"),
            ),
        ] {
            let reference: Reference = text.parse().expect(text);
            assert_eq!(reference.to_string(), shown);
            let again: Reference = shown.parse().expect("what was shown");
            assert_eq!(again, reference);
            let named = Reference::named(&reference.name()).expect("a name");
            assert_eq!(named.name(), reference.name());
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_with_what_to_do() {
        for (text, why) in [
            ("h/r", "begin with oci://"),
            ("oci://h", "have to follow the host"),
            ("oci://user:secret@h/r", "wasmrun login"),
            ("oci://-h/r", "the host is not one"),
            ("oci://h:0/r", "the host is not one"),
            ("oci://h:70000/r", "the host is not one"),
            ("oci://h:/r", "the host is not one"),
            ("oci://h:+1/r", "the host is not one"),
            ("oci://[::g]/r", "the host is not one"),
            ("oci://h/", "lower-case"),
            ("oci://h/R", "lower-case"),
            ("oci://h/a//b", "lower-case"),
            ("oci://h/../b", "lower-case"),
            ("oci://h/a..b", "lower-case"),
            ("oci://h/a_-b", "lower-case"),
            ("oci://h/r:", "a tag has"),
            ("oci://h/r:-t", "a tag has"),
            ("oci://h/r:t:u", "a tag has"),
            ("oci://h/r@sha256:12", "the digest has to be"),
            ("oci://h/r@sha512:12", "the digest has to be"),
        ] {
            let error = text.parse::<Reference>().expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        let upper = format!("oci://h/r@sha256:{}", DIGITS.to_uppercase());
        upper
            .parse::<Reference>()
            .expect_err("an upper-case digest");
    }
}
