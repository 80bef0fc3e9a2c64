//! Any config that there can be. The tests of files of runs use it too.

use std::path::PathBuf;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use wasmrun_core::{
    Access, Clock, InheritEnv, MemoryMount, Mount, MountSource, Network, Overflow, OverlayMount,
    Random, RunConfig, Stdin, Stdout,
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

fn source() -> BoxedStrategy<MountSource> {
    let path = || any::<String>().prop_map(PathBuf::from);
    let numbers = || optional(any::<u64>());
    let memory = (numbers(), numbers())
        .prop_map(|(bytes, entries)| MountSource::Memory(MemoryMount { bytes, entries }));
    let plain = prop_oneof![
        path().prop_map(MountSource::Bind),
        path().prop_map(MountSource::File),
        path().prop_map(MountSource::Tar),
        any::<String>().prop_map(MountSource::Volume),
        memory,
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
        any::<[bool; 4]>(),
        any::<u64>(),
    );
    (names, variables, mounts, more).prop_map(
        |(
            (args, argv0, entry),
            (env, inherit),
            mounts,
            (stdin, stdout, stderr, [replace, killable, network, fixed], number),
        )| {
            let mut config = RunConfig::new()
                .args(args)
                .inherit_env(inherit)
                .replace_mounts(replace)
                .killable(killable)
                .stdin(stdin)
                .stdout(stdout)
                .stderr(stderr);
            config.argv0 = argv0;
            config.entry = entry.clone();
            config.working_directory = entry;
            config.env = env;
            config.mounts = mounts;
            if network {
                config.network = Network::Host;
            }
            if fixed {
                config.clock = Clock::Fixed(number);
                config.random = Random::Seeded(number);
            }
            config
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
