//! What holds of every run as a file. The property is in a file of its own, because a fuzz target uses it too.

#[path = "../../../core/tests/properties/any.rs"]
mod any;
mod run_file;

use std::path::PathBuf;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use wasmrun::{Launch, PullPolicy, RunFile, Sha256};

fn any_launch() -> impl Strategy<Value = Launch> {
    let path = || any::<String>().prop_map(PathBuf::from);
    let digest = vec(any::<u8>(), 0..4).prop_map(|bytes| Sha256::of(&bytes));
    (
        (of(path()), of(digest), of(any::<u64>())),
        (of(any::<String>()), vec(any::<String>(), 0..3)),
        (of(any_policy()), vec(any::<String>(), 0..3)),
        vec(path(), 0..3),
    )
        .prop_map(
            |((guest, sha256, max_guest_size), (engine, prefer), registries, env_file)| Launch {
                guest,
                sha256,
                max_guest_size,
                engine,
                prefer,
                pull: registries.0,
                plain_http: registries.1,
                env_file,
                ..Launch::default()
            },
        )
}

fn any_policy() -> impl Strategy<Value = PullPolicy> {
    select(
        &[
            PullPolicy::Always,
            PullPolicy::IfNotPresent,
            PullPolicy::Never,
        ][..],
    )
}

proptest! {
    #[test]
    fn a_run_survives_its_file((launch, config) in (any_launch(), any::any_config())) {
        run_file::survives(&RunFile { launch, config });
    }

    #[test]
    fn any_text_as_a_run_is_read_or_refused(text in any::<String>()) {
        run_file::holds(&text);
    }

    #[test]
    fn any_keys_as_a_run_are_read_or_refused(
        text in "((guest|args|env|mounts|limits|memory|path|bind|stdin|fuel)|[\\[\\]{}=.,\"'\n]|\\$\\{|1| ){0,20}",
    ) {
        run_file::holds(&text);
    }

    #[test]
    fn any_json_as_a_run_is_read_or_refused(
        text in "\\{(\"(guest|args|env|mounts|limits|memory|path|bind)\"|[\\[\\]{}:,]|1| ){0,20}\\}",
    ) {
        run_file::holds(&text);
    }
}
