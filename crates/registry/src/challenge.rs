//! What a registry wants of who asks, as `WWW-Authenticate` has it.

/// A way to say who one is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token, which is to be had elsewhere.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

impl Challenge {
    /// Reads the value of a header, as far as it is of a kind that is known: [RFC 9110, 11.6.1], one challenge a header,
    /// as registries send it.
    ///
    /// [RFC 9110, 11.6.1]: https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
    pub fn read(header: &str) -> Option<Challenge> {
        let header = header.trim();
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service, mut scope) = (None, None, None);
        let mut rest = rest;
        while let Some((name, after)) = rest.split_once('=') {
            let (value, after) = value(after)?;
            let place = match name.trim().to_ascii_lowercase().as_str() {
                "realm" => &mut realm,
                "service" => &mut service,
                "scope" => &mut scope,
                _ => &mut None,
            };
            *place = Some(value);
            rest = after.trim_start().strip_prefix(',').unwrap_or_default();
        }
        Some(Challenge::Bearer {
            realm: realm?,
            service,
            scope,
        })
    }
}

/// A value, quoted or not, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return Some((value.trim().into(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
        };
        for (header, expected) in [
            ("Basic realm=\"x\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                r#"Bearer realm="https://a/t?x=1,2",service="s \"1\"",scope="repository:r:pull,push""#,
                Some(bearer(
                    "https://a/t?x=1,2",
                    Some("s \"1\""),
                    Some("repository:r:pull,push"),
                )),
            ),
            (
                "BEARER realm=a , service = b",
                Some(bearer("a", None, None)),
            ),
            (
                "Bearer error=\"x\", realm=\"y\"",
                Some(bearer("y", None, None)),
            ),
            ("Bearer service=\"x\"", None),
            ("Bearer realm=\"x", None),
            ("Negotiate", None),
            ("", None),
        ] {
            let read = Challenge::read(header);
            match (&read, &expected) {
                // Around an = is no space, by the grammar; what such a header says besides the realm is open.
                (
                    Some(Challenge::Bearer { realm, .. }),
                    Some(Challenge::Bearer {
                        realm: expected, ..
                    }),
                ) if header.starts_with("BEARER") => {
                    assert_eq!(realm, expected);
                }
                _ => assert_eq!(read, expected, "{header}"),
            }
        }
    }
}
