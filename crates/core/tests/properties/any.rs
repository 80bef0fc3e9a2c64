//! Any config that there can be. The tests of files of runs use it too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use wasmrun_core::{
    Access, Clock, InheritEnv, MemoryMount, Mount, MountSource, Network, NetworkRules, Overflow,
    OverlayMount, PackageMount, Random, RunConfig, SamePath, Sha256, Stdin, Stdout,
};

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
    select(vec![
        SamePath::Refuse,
        SamePath::Replace,
        SamePath::Keep,
        SamePath::Layer,
    ])
}

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

pub const NAMES: &[&str] = &["a.example", "b.a.example", "localhost", "A.Example."];

pub fn address() -> impl Strategy<Value = IpAddr> {
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

pub fn rule() -> impl Strategy<Value = String> {
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

fn source() -> BoxedStrategy<MountSource> {
    let path = || any::<String>().prop_map(PathBuf::from);
    let numbers = || optional(any::<u64>());
    let memory = || {
        (numbers(), numbers()).prop_map(|(bytes, entries)| MemoryMount {
            bytes,
            entries,
            ..MemoryMount::default()
        })
    };
    let copy = (memory(), path()).prop_map(|(memory, from)| MemoryMount {
        from: Some(Box::new(MountSource::Bind(from))),
        ..memory
    });
    let package = (path(), any::<String>(), optional(any::<String>()));
    let package = package.prop_map(|(file, volume, directory)| PackageMount {
        sha256: directory.as_ref().map(|text| Sha256::of(text.as_bytes())),
        file,
        volume,
        directory,
    });
    let plain = prop_oneof![
        path().prop_map(MountSource::Bind),
        path().prop_map(MountSource::File),
        path().prop_map(MountSource::Tar),
        package.prop_map(MountSource::Package),
        any::<String>().prop_map(MountSource::Volume),
        memory().prop_map(MountSource::Memory),
        copy.prop_map(MountSource::Memory),
    ];
    let overlay = |inner: BoxedStrategy<MountSource>| {
        (vec(inner.clone(), 0..3), inner).prop_map(|(lower, upper)| {
            let upper = Box::new(upper);
            MountSource::Overlay(OverlayMount { lower, upper })
        })
    };
    plain.prop_recursive(2, 4, 3, overlay).boxed()
}

fn mount() -> impl Strategy<Value = Mount> {
    let access = select(vec![Access::ReadOnly, Access::ReadWrite]);
    (any::<String>(), source(), access).prop_map(|(path, source, access)| Mount {
        path,
        source,
        access,
    })
}

fn what_it_sees() -> impl Strategy<Value = RunConfig> {
    let strings = || vec(any::<String>(), 0..3);
    let mounts = vec(mount(), 0..3);
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
    (names, variables, mounts, more).prop_map(
        |(
            (args, argv0, entry),
            (env, inherit),
            mounts,
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
            config.argv0 = argv0;
            config.entry = entry.clone();
            config.working_directory = entry;
            config.env = env;
            config.mounts = mounts;
            config.privileged = privileged;
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

pub fn any_config() -> impl Strategy<Value = RunConfig> {
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
