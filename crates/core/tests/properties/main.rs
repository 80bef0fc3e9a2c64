//! What holds whatever comes from outside: configs in JSON, paths, and guests that are refused.
//!
//! The properties are in files of their own, because the fuzz targets in `fuzz/` use them too.

mod config;
mod path;
mod refusals;

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use wasmrun_core::{
    Access, Clock, InheritEnv, Network, Overflow, Random, RunConfig, Stdin, Stdout,
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
        any::<[bool; 6]>(),
        any::<u64>(),
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
                [replace, killable, network, fixed, privileged, deterministic],
                number,
            ),
        )| {
            let mut config = RunConfig::new()
                .args(args)
                .inherit_env(inherit)
                .replace_mounts(replace)
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
                config.network = Network::Host;
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
