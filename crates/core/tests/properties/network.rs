//! Whatever text is given for a rule about the network, it is refused or means one rule; and whatever the rules, what they
//! deny is denied, and what none covers is not reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use wasmrun_core::{ErrorKind, ListenRule, NetworkProtocol, NetworkRule, NetworkRules, Pins};

/// Of any text, as a rule.
pub fn text_holds(text: &str) {
    match text.parse::<NetworkRule>() {
        Ok(rule) => {
            let written = rule.to_string();
            assert_eq!(written.parse::<NetworkRule>().expect("it is a rule"), rule);
            let again = written.parse::<NetworkRule>().expect("it is a rule");
            assert_eq!(again.to_string(), written);
        }
        Err(error) => refused(&error),
    }
    match text.parse::<ListenRule>() {
        Ok(rule) => {
            let again: ListenRule = rule.to_string().parse().expect("it is a rule");
            assert_eq!(again, rule);
        }
        Err(error) => refused(&error),
    }
}

fn refused(error: &wasmrun_core::Error) {
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!error.to_string().contains(['\n', '\0']), "{error}");
}

/// Of any rules, an address, a port and a name that comes to the address.
pub fn rules_hold(texts: &[String], address: IpAddr, port: u16, name: &str) {
    let rules: Vec<NetworkRule> = texts.iter().flat_map(|text| text.parse()).collect();
    let target = SocketAddr::new(address, port);
    for protocol in [NetworkProtocol::Tcp, NetworkProtocol::Udp] {
        let all = reaches(&rules, protocol, target, name);

        // One rule alone does what it says, and nothing else makes up for it.
        let (deny, allow): (Vec<_>, Vec<_>) = rules
            .iter()
            .cloned()
            .partition(|rule| rule.to_string().starts_with("deny:"));
        if all {
            let mut allow = allow.iter();
            assert!(
                allow.any(|rule| reaches(std::slice::from_ref(rule), protocol, target, name)),
                "{target} is reached, and no rule covers it: {texts:?}"
            );
        }

        // Without what denies, no less is reached. What it denies is not, but what a name comes to that is not looked up is
        // not known.
        let without_denials = reaches(&allow, protocol, target, name);
        assert!(without_denials || !all, "{texts:?} {target}");
        for rule in &deny {
            let written = rule.to_string();
            let opposite = written.trim_start_matches("deny:").parse::<NetworkRule>();
            let opposite = [opposite.expect("it is a rule")];
            let is_known = may_look_up(&rules, name) || !may_look_up(&opposite, name);
            if is_known && reaches(&opposite, protocol, target, name) {
                assert!(!all, "{written} denies {target}: {texts:?}");
            }
        }

        // The order says nothing.
        let reversed: Vec<_> = rules.iter().rev().cloned().collect();
        assert_eq!(
            reaches(&reversed, protocol, target, name),
            all,
            "{texts:?} {target}"
        );

        // In whatever form it comes, but that what denies IPv6 denies that form.
        if let IpAddr::V4(inner) = address {
            let denies_ipv6 = deny.iter().any(|rule| rule.to_string().contains('['));
            for carrying in carrying(inner) {
                let target = SocketAddr::new(carrying.into(), port);
                let is_reached = reaches(&rules, protocol, target, name);
                assert!(
                    is_reached == all || denies_ipv6 && !is_reached,
                    "{texts:?} {target}"
                );
            }
        }
    }
}

fn may_look_up(rules: &[NetworkRule], name: &str) -> bool {
    let rules = rules.iter().cloned();
    rules
        .fold(NetworkRules::new(), NetworkRules::connect)
        .allow_name(name)
}

/// Whether an address is reached after a name that comes to it was looked up, if it may be.
fn reaches(
    rules: &[NetworkRule],
    protocol: NetworkProtocol,
    target: SocketAddr,
    name: &str,
) -> bool {
    let rules = rules
        .iter()
        .cloned()
        .fold(NetworkRules::new(), NetworkRules::connect);
    let mut pins = Pins::default();
    if rules.allow_name(name) {
        let told = rules.pin(&mut pins, name, [target.ip()]);
        // What is told can be reached, and what is not cannot.
        let is_told = !told.is_empty();
        assert_eq!(
            is_told,
            rules.allow_address(&pins, target.ip()),
            "{rules:?} {target} {name}"
        );
    }
    let is_reached = rules.allow_connect(&pins, protocol, target);
    // What is reached is told, but for a port that there is not.
    assert!(
        !is_reached || rules.allow_address(&pins, target.ip()),
        "{rules:?} {target}"
    );
    is_reached
}

/// The forms of IPv6 that carry an address, but for the two that mean something else.
fn carrying(address: Ipv4Addr) -> Vec<Ipv6Addr> {
    let bits = u128::from(address.to_bits());
    let mut carrying = vec![
        address.to_ipv6_mapped(),
        Ipv6Addr::from_bits(0x0064_ff9b << 96 | bits),
        Ipv6Addr::from_bits(0x2002 << 112 | bits << 80),
        Ipv6Addr::from_bits(0x2002 << 112 | bits << 80 | 0xffff_0001),
    ];
    if bits > 1 {
        carrying.push(Ipv6Addr::from_bits(bits));
    }
    carrying
}
