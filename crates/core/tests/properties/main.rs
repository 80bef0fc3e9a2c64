//! What holds whatever comes from outside: configs in JSON, paths, and guests that are refused.
//!
//! The properties are in files of their own, because the fuzz targets in `fuzz/` use them too.

mod config;
mod network;
mod path;
mod refusals;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use wasmrun_core::{
    Access, Clock, InheritEnv, Network, NetworkRules, Overflow, Random, RunConfig, SamePath, Stdin,
    Stdout,
};

// ---- configs ---------------------------------------------------------------------------------------

fn optional<T: std::fmt::Debug + Clone + 'static>(
    strategy: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<T>> {
    prop_oneof![Just(None), strategy.prop_map(Some)].boxed()
}

fn stdout() -> impl Strategy<Value = Stdout> {
    prop_oneof![
        select(vec![
            Stdout::Inherit,
            Stdout::Null,
            Stdout::Capture,
            Stdout::Pipe
        ]),
        any::<String>().prop_map(|path| Stdout::File(path.into())),
    ]
}

fn stdin() -> impl Strategy<Value = Stdin> {
    prop_oneof![
        select(vec![Stdin::Null, Stdin::Inherit, Stdin::Pipe]),
        vec(any::<u8>(), 0..20).prop_map(Stdin::Bytes),
        any::<String>().prop_map(|path| Stdin::File(path.into())),
    ]
}

fn same_path() -> impl Strategy<Value = SamePath> {
    select(vec![SamePath::Refuse, SamePath::Replace, SamePath::Layer])
}

fn rules() -> impl Strategy<Value = NetworkRules> {
    let listen = (select(vec!["", "tcp:", "udp:"]), address(), any::<u16>());
    let listen = listen.prop_map(|(protocol, address, port)| {
        let address = SocketAddr::new(address, port);
        format!("{protocol}{address}").parse().expect("a rule")
    });
    (vec(rule(), 0..4), vec(listen, 0..3)).prop_map(|(connect, listen)| {
        let mut rules = NetworkRules::new();
        rules.connect = connect
            .iter()
            .map(|rule| rule.parse().expect("a rule"))
            .collect();
        rules.listen = listen;
        rules
    })
}

fn what_it_sees() -> impl Strategy<Value = RunConfig> {
    let strings = || vec(any::<String>(), 0..3);
    let preopens = vec((any::<String>(), any::<String>(), any::<bool>()), 0..3);
    let inherit = prop_oneof![
        select(vec![InheritEnv::None, InheritEnv::All]),
        strings().prop_map(InheritEnv::Named),
    ];
    let names = (
        strings(),
        optional(any::<String>()),
        optional(any::<String>()),
    );
    let variables = (vec((any::<String>(), any::<String>()), 0..3), inherit);
    let more = (
        stdin(),
        stdout(),
        stdout(),
        (any::<[bool; 5]>(), same_path()),
        any::<u64>(),
        rules(),
    );
    (names, variables, preopens, more).prop_map(
        |(
            (args, argv0, entry),
            (env, inherit),
            preopens,
            (
                stdin,
                stdout,
                stderr,
                ([killable, network, fixed, privileged, deterministic], same_path),
                number,
                rules,
            ),
        )| {
            let mut config = RunConfig::new()
                .args(args)
                .inherit_env(inherit)
                .same_path(same_path)
                .killable(killable)
                .stdin(stdin)
                .stdout(stdout)
                .stderr(stderr);
            config.privileged = privileged;
            config.argv0 = argv0;
            config.entry = entry.clone();
            config.working_directory = entry;
            config.env = env;
            for (host, guest, writable) in preopens {
                let access = if writable {
                    Access::ReadWrite
                } else {
                    Access::ReadOnly
                };
                config = config.map_dir(host, guest, access);
            }
            if network {
                config.network = match fixed {
                    true => Network::Host,
                    false => Network::Rules(rules),
                };
            }
            if fixed {
                config.clock = Clock::Fixed(number);
                config.random = Random::Seeded(number);
            }
            match deterministic {
                true => config.deterministic(number),
                false => config,
            }
        },
    )
}

fn any_config() -> impl Strategy<Value = RunConfig> {
    let numbers = || optional(any::<u64>());
    let limits = (
        numbers(),
        numbers(),
        numbers(),
        numbers(),
        numbers(),
        any::<bool>(),
    );
    (what_it_sees(), limits).prop_map(|(config, (memory, fuel, millis, output, stack, stop))| {
        config.limit(|limits| {
            limits.memory = memory;
            limits.fuel = fuel;
            limits.timeout = millis.map(Duration::from_millis);
            limits.output = output;
            limits.stack = stack;
            limits.table_elements = memory;
            limits.instances = fuel;
            limits.overflow = if stop {
                Overflow::Stop
            } else {
                Overflow::Truncate
            };
        })
    })
}

proptest! {
    #[test]
    fn a_config_survives_its_json(config in any_config()) {
        let json = serde_json::to_string(&config).expect("it is written");
        prop_assert_eq!(serde_json::from_str::<RunConfig>(&json).expect("it is read"), config);
        config::holds(&json);
    }

    #[test]
    fn a_config_with_an_unknown_field_is_refused(
        (config, name) in (any_config(), "[a-z_]{1,12}x"),
    ) {
        for place in ["", "/limits", "/mounts/0"] {
            let mut json = serde_json::to_value(&config).expect("it is written");
            let Some(object) = json.pointer_mut(place).and_then(|value| value.as_object_mut())
            else {
                continue;
            };
            object.insert(name.clone(), serde_json::Value::Null);
            let error = serde_json::from_value::<RunConfig>(json).expect_err("nobody knows it");
            prop_assert!(error.to_string().contains(&name), "{}", error);
        }
    }

    #[test]
    fn any_text_as_a_config_is_read_or_refused(text in "\\{[ -~]{0,100}\\}?") {
        config::holds(&text);
    }
}

// ---- the network -----------------------------------------------------------------------------------

/// Few enough that rules are often about them.
const ADDRESSES: &[&str] = &[
    "1.2.3.4",
    "1.2.3.5",
    "10.0.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "0.0.0.0",
    "2001:db8::1",
    "::1",
    "fe80::1",
    "64:ff9b::a00:1",
    "::ffff:127.0.0.1",
    "2002:102:304::1",
];

const NAMES: &[&str] = &["a.example", "b.a.example", "localhost", "A.Example."];

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        select(ADDRESSES).prop_map(|address| address.parse().expect("an address")),
        any::<IpAddr>(),
    ]
}

/// A block that an address is in, as its text.
fn block() -> impl Strategy<Value = String> {
    (address(), 0..=128u32).prop_map(|(address, length)| match address {
        IpAddr::V4(address) => {
            let length = length.min(32);
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            format!("{}/{length}", Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            format!(
                "[{}/{length}]",
                Ipv6Addr::from_bits(address.to_bits() & mask)
            )
        }
    })
}

fn rule() -> impl Strategy<Value = String> {
    let names = ["*", "*.example", "*.a.example"].into_iter();
    let host = prop_oneof![
        select(names.chain(NAMES.iter().copied()).collect::<Vec<_>>()).prop_map(str::to_owned),
        block(),
    ];
    let ports = prop_oneof![
        Just(String::new()),
        (1..100u16).prop_map(|port| format!(":{port}")),
        (1..100u16, 0..100u16).prop_map(|(first, more)| format!(":{first}-{}", first + more)),
    ];
    let words = (
        select(vec!["", "allow:", "deny:"]),
        select(vec!["", "tcp:", "udp:"]),
    );
    (words, host, ports)
        .prop_map(|((what, protocol), host, ports)| format!("{what}{protocol}{host}{ports}"))
}

proptest! {
    #[test]
    fn a_rule_about_the_network_survives_its_text(rule in rule()) {
        prop_assert!(rule.parse::<wasmrun_core::NetworkRule>().is_ok(), "{}", rule);
        network::text_holds(&rule);
    }

    #[test]
    fn any_text_as_a_rule_about_the_network_is_read_or_refused(
        text in prop_oneof![any::<String>(), "(deny:|allow:)?(tcp:|udp:)?[a-f0-9:.*/\\[\\]-]{0,40}"],
    ) {
        network::text_holds(&text);
    }

    #[test]
    fn what_is_denied_is_denied_and_what_nothing_covers_is_not_reached(
        rules in vec(rule(), 0..6), address in address(), port in 1..200u16, name in select(NAMES),
    ) {
        network::rules_hold(&rules, address, port, name);
    }
}

// ---- paths -----------------------------------------------------------------------------------------

proptest! {
    #[test]
    fn a_guest_path_is_normal_or_refused(path in "[/.a-c\u{e9}\u{202e}: \0]{0,20}") {
        path::holds(&path);
    }

    #[test]
    fn any_text_as_a_guest_path_is_normal_or_refused(path in any::<String>()) {
        path::holds(&path);
    }
}

// ---- guests ----------------------------------------------------------------------------------------

/// A name in the text format, each byte written as a number.
fn quoted(name: &str) -> String {
    let bytes = name.bytes().map(|byte| format!("\\{byte:02x}"));
    format!("\"{}\"", bytes.collect::<String>())
}

proptest! {
    #[test]
    fn a_guest_of_any_names_is_refused_in_a_line(
        (module, import, export) in any::<(String, String, String)>(),
    ) {
        let text = format!(
            "(module (import {} {} (func)) (func (export {})))",
            quoted(&module), quoted(&import), quoted(&export),
        );
        refusals::hold(text.as_bytes());
    }
}
