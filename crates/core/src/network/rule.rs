//! One rule about whom a guest may connect to, and its text.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::NetworkProtocol;
use super::address::{judged, judged_block, special};
use crate::{Error, ErrorKind, Result};

/// A rule about whom a guest may connect to, or send datagrams.
///
/// Its text is `[allow:|deny:][tcp:|udp:]HOST[:PORT[-PORT]]`. It allows unless it says otherwise, and is about both
/// protocols and all ports unless it says which. HOST is one of
///
/// - a name, such as `api.example.com`, in ASCII (`xn--…` for others);
/// - `*.example.com`: every name below `example.com`, which itself it is not; `*` is every name;
/// - an address, or a block of them such as `10.0.0.0/8` or `fd12::/16`. One of IPv6 is put in brackets where a port
///   follows: `[2001:db8::1]:443`, `[2001:db8::/32]:443`.
///
/// ```
/// # use wasmrun_core::NetworkRule;
/// let rule: NetworkRule = "allow:tcp:API.example.com:8000-8999".parse()?;
/// assert_eq!(rule.to_string(), "tcp:api.example.com:8000-8999");
/// assert!("deny:10.0.0.1/8".parse::<NetworkRule>().is_err());
/// # Ok::<(), wasmrun_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct NetworkRule {
    pub(super) allows: bool,
    protocol: Option<NetworkProtocol>,
    host: Host,
    pub(super) ports: RangeInclusive<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Name(String),
    /// Every name below this one; below the root, if it is empty.
    Below(String),
    /// Judged, with no bits beyond its length.
    Block(IpNet),
}

const ALL_PORTS: RangeInclusive<u16> = 1..=u16::MAX;

impl NetworkRule {
    /// Whether it is about that protocol.
    pub(super) fn is_for(&self, protocol: NetworkProtocol) -> bool {
        self.protocol.is_none_or(|ours| ours == protocol)
    }

    /// Whether it is about a name, which is normal.
    pub(super) fn is_about(&self, name: &str) -> bool {
        match &self.host {
            Host::Name(ours) => ours == name,
            Host::Below(above) if above.is_empty() => true,
            Host::Below(above) => {
                let below = name.strip_suffix(above.as_str());
                below.is_some_and(|below| below.ends_with('.'))
            }
            Host::Block(_) => false,
        }
    }

    /// Whether it is about `localhost` by that name, and so about loopback.
    pub(super) fn is_about_localhost(&self) -> bool {
        matches!(&self.host, Host::Name(name) if name == "localhost")
    }

    /// Whether it is about an address. One that allows is about special addresses only if it is about no others. One that
    /// denies is about what carries an address of IPv4 in either form, so that all of IPv6 can be denied.
    pub(super) fn covers(&self, address: IpAddr) -> bool {
        let Host::Block(block) = &self.host else {
            return false;
        };
        let judged = judged(address);
        let names = |range: &IpNet| range.contains(block);
        match self.allows {
            true => block.contains(&judged) && special(judged).is_none_or(names),
            false => block.contains(&judged) || block.contains(&address.to_canonical()),
        }
    }
}

impl FromStr for NetworkRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).map_err(|why| {
            Error::new(
                ErrorKind::Config,
                format!(
                    "{text:?} is no network rule: {why}; rules are [allow:|deny:][tcp:|udp:]HOST[:PORT[-PORT]], \
                     such as tcp:api.example.com:443"
                ),
            )
        })
    }
}

impl TryFrom<String> for NetworkRule {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<NetworkRule> for String {
    fn from(rule: NetworkRule) -> String {
        rule.to_string()
    }
}

impl fmt::Display for NetworkRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.protocol) {
            _ if !self.allows => f.write_str("deny:")?,
            // Otherwise taken for the word.
            (Host::Name(name), None) if ["allow", "deny"].contains(&name.as_str()) => {
                f.write_str("allow:")?;
            }
            _ => {}
        }
        if let Some(protocol) = self.protocol {
            write!(f, "{protocol}:")?;
        }
        match &self.host {
            // Otherwise taken for the protocol.
            Host::Name(name)
                if self.protocol.is_none() && ["tcp", "udp"].contains(&name.as_str()) =>
            {
                write!(f, "{name}.")?;
            }
            Host::Name(name) => f.write_str(name)?,
            Host::Below(above) if above.is_empty() => f.write_str("*")?,
            Host::Below(above) => write!(f, "*.{above}")?,
            Host::Block(block) => {
                let is_one = block.prefix_len() == block.max_prefix_len();
                let block = match is_one {
                    true => block.addr().to_string(),
                    false => block.to_string(),
                };
                match block.contains(':') {
                    true => write!(f, "[{block}]")?,
                    false => f.write_str(&block)?,
                }
            }
        }
        match (self.ports.start(), self.ports.end()) {
            _ if self.ports == ALL_PORTS => Ok(()),
            (first, last) if first == last => write!(f, ":{first}"),
            (first, last) => write!(f, ":{first}-{last}"),
        }
    }
}

fn parse(text: &str) -> Result<NetworkRule, String> {
    let (allows, rest) = match text.strip_prefix("deny:") {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix("allow:").unwrap_or(text)),
    };
    let (protocol, rest) = NetworkProtocol::before(rest);
    let (host, ports) = host_and_ports(rest)?;
    Ok(NetworkRule {
        allows,
        protocol,
        host,
        ports,
    })
}

fn host_and_ports(text: &str) -> Result<(Host, RangeInclusive<u16>), String> {
    if let Some(inner) = text.strip_prefix('[') {
        let (inside, behind) = inner.split_once(']').ok_or("a `]` is missing")?;
        let is_block = behind.starts_with('/');
        let (length, ports) = match behind.split_once(':') {
            Some((length, ports)) => (length, Some(ports)),
            None => (behind, None),
        };
        if !inside.contains(':') || !(length.is_empty() || is_block) {
            return Err("brackets are for an address of IPv6, and `:PORT` may follow them".into());
        }
        return Ok((
            block(&format!("{inside}{length}"))?,
            ports.map_or(Ok(ALL_PORTS), port_range)?,
        ));
    }
    // An address of IPv6 without brackets has no port.
    if text.bytes().filter(|byte| *byte == b':').count() > 1 {
        return match block(text) {
            Ok(block) => Ok((block, ALL_PORTS)),
            Err(_) => Err(format!(
                "{text:?} is no address of IPv6, and nothing else has several `:`; \
                 before a port, an address of IPv6 is put in brackets"
            )),
        };
    }
    let (host, ports) = match text.split_once(':') {
        Some((host, ports)) => (host, port_range(ports)?),
        None => (text, ALL_PORTS),
    };
    Ok((self::host(host)?, ports))
}

fn host(text: &str) -> Result<Host, String> {
    if text == "*" {
        return Ok(Host::Below(String::new()));
    }
    if let Some(above) = text.strip_prefix("*.") {
        return name(above).map(Host::Below);
    }
    // As names end in no number, what does is an address.
    match text.contains('/') || ends_in_a_number(text) {
        true => block(text),
        false => name(text).map(Host::Name),
    }
}

fn block(text: &str) -> Result<Host, String> {
    let parsed = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) if text.contains('/') => text
            .parse()
            .map_err(|_| format!("{text:?} is no block of addresses, such as 10.0.0.0/8"))?,
        Err(_) => {
            return Err(format!(
                "{text:?} is no address, and names end in no number"
            ));
        }
    };
    let whole = parsed.trunc();
    if whole != parsed {
        return Err(format!(
            "{parsed} has bits beyond the first {}; the block is {whole}",
            parsed.prefix_len()
        ));
    }
    Ok(Host::Block(judged_block(whole)))
}

fn port_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let port = text.parse().ok().filter(|port| digits && *port > 0);
        port.ok_or_else(|| format!("{text:?} is no port, which is 1 to 65535"))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(format!(
            "the ports {first}-{last} are none; the lower one comes first"
        ));
    }
    Ok(first..=last)
}

/// A name in the one form that it is compared in: see [`normal_name`].
fn name(text: &str) -> Result<String, String> {
    normal_name(text).ok_or_else(|| match text {
        "" => "a host is missing".into(),
        text if !text.is_ascii() => {
            format!("{text:?} is not in ASCII; give the name's xn-- form")
        }
        text => format!("{text:?} is no name of a host"),
    })
}

/// A name in lower case and without the dot of the root, if it is one that a host can have: up to 253 bytes, in labels
/// of up to 63 letters, digits, hyphens and underscores (RFC 1035, 2.3), of which the last is no number.
pub(super) fn normal_name(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_of_names);
    let is_name = text.len() <= 253 && text.split('.').all(is_label) && !ends_in_a_number(text);
    is_name.then(|| text.to_ascii_lowercase())
}

/// Whether a host is taken for an address (WHATWG URL, "ends in a number").
fn ends_in_a_number(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_hexadecimal = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .or(last.strip_prefix("0X"))
            .is_some_and(is_hexadecimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_written_in_one_way() {
        for (text, written) in [
            ("example.com", "example.com"),
            ("allow:Example.COM.:443", "example.com:443"),
            ("deny:udp:*.example.com:1-65535", "deny:udp:*.example.com"),
            ("tcp:*:443", "tcp:*:443"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/32:22", "10.1.2.3:22"),
            ("2001:db8::1", "[2001:db8::1]"),
            ("[2001:db8::]/32:80-90", "[2001:db8::/32]:80-90"),
            ("[2001:db8::/32]:80-80", "[2001:db8::/32]:80"),
            ("[::ffff:10.0.0.0/104]:80", "10.0.0.0/8:80"),
            ("tcp:tcp:80", "tcp:tcp:80"),
            ("deny:udp.:80", "deny:udp.:80"),
            ("allow:deny:80", "allow:deny:80"),
            ("deny:allow:80", "deny:allow:80"),
        ] {
            let rule: NetworkRule = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(rule.to_string(), written, "{text}");
            assert_eq!(written.parse::<NetworkRule>().expect("it is a rule"), rule);
        }
    }

    #[test]
    fn a_bad_rule_is_refused_with_what_is_wrong_and_an_example() {
        for (text, why) in [
            ("", "a host is missing"),
            ("tcp::80", "a host is missing"),
            ("tcp:443", "names end in no number"),
            ("example.com:0", "\"0\" is no port"),
            ("example.com:+1", "no port"),
            ("example.com:65536", "no port"),
            ("example.com:9-8", "the lower one comes first"),
            ("example.com:", "\"\" is no port"),
            ("10.0.0.1/8", "the block is 10.0.0.0/8"),
            ("10.0.0.0/33", "no block of addresses"),
            ("example.com/8", "no block of addresses"),
            ("2001:db8::1:x", "is put in brackets"),
            ("[2001:db8::1", "`]` is missing"),
            ("[example.com]:80", "brackets are for"),
            ("[::1]80", "brackets are for"),
            ("bücher.example", "xn--"),
            ("a..b", "no name of a host"),
            ("*.*.b", "no name of a host"),
            ("0x7f.1", "no address"),
            ("127.1", "no address"),
            ("http://example.com", "port"),
        ] {
            let error = text.parse::<NetworkRule>().expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
            assert!(error.contains("tcp:api.example.com:443"), "{error}");
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn a_pattern_is_about_what_is_below_it() {
        let rule: NetworkRule = "*.example.com".parse().expect("a rule");
        assert!(rule.is_about("a.example.com") && rule.is_about("a.b.example.com"));
        assert!(!rule.is_about("example.com") && !rule.is_about("badexample.com"));
    }
}
