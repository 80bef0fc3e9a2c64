//! The registry: what is in it, and in which order.

use std::sync::Arc;

use wasmrun::{Choice, Engines, ErrorKind, Place, RunConfig};

use crate::fake;

const FEATURES: [(&str, bool); 5] = [
    ("wasmtime", cfg!(feature = "wasmtime")),
    ("wasmer", cfg!(feature = "wasmer")),
    ("wasmi", cfg!(feature = "wasmi")),
    ("wasmedge", cfg!(feature = "wasmedge")),
    ("wasmi-cli", cfg!(feature = "subprocess")),
];

#[test]
fn engines_that_are_not_built_in_are_known_and_name_their_feature() {
    for (name, built_in) in FEATURES {
        assert!(Engines::new().names().any(|known| known == name));
        if built_in {
            continue;
        }
        let error = Engines::new().get(name).expect_err("not built in");
        assert_eq!(error.kind(), ErrorKind::EngineNotFound);
        assert!(error.to_string().contains("Cargo feature"), "{error}");
    }
}

#[test]
fn engines_that_are_built_in_are_here_and_opened_once() {
    for (name, built_in) in &FEATURES[..3] {
        if !built_in {
            continue;
        }
        let engines = Engines::new();
        let engine = engines.get(name).expect("built in");
        assert_eq!(engine.info().name, *name);
        assert_eq!(engine.info().place, Place::InProcess);
        let again = engines.clone().get(name).expect("built in");
        assert!(Arc::ptr_eq(&engine, &again));
    }
}

#[test]
fn a_path_is_only_for_engines_that_are_executables() {
    let engines = fake::engines([("a", fake::nothing)]);
    let error = engines.get("a=/bin/true").expect_err("not an executable");
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn a_registered_engine_takes_the_place_of_its_namesake() {
    let mut engines = fake::engines([("a", fake::memory), ("b", fake::nothing)]);
    let replacement = fake::engines([("a", fake::nothing), ("c", fake::nothing)]);
    for (_, engine) in replacement.all() {
        engines.register(engine.expect("registered"));
    }
    assert_eq!(engines.names().collect::<Vec<_>>(), ["a", "b", "c"]);
    let config = RunConfig::new().limit(|limits| limits.memory = Some(1 << 20));
    let selection = engines
        .select(&fake::guest(), &config, &Choice::Auto)
        .expect("the new a fits");
    assert_eq!(selection.engine.info().name, "a");
}
