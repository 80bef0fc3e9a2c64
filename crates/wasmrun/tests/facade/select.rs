//! Which engine is taken, and what is said of the others.

use wasmrun::{Choice, Engines, ErrorKind, Guest, RunConfig, Verdict};

use crate::fake::{engines, guest, memory, memory_and_fuel, nothing};

fn capped() -> RunConfig {
    RunConfig::new().limit(|limits| {
        limits.memory = Some(1 << 20);
        limits.fuel = Some(1000);
    })
}

fn refused(engines: &Engines, guest: &Guest, config: &RunConfig, choice: Choice) -> String {
    let error = engines
        .select(guest, config, &choice)
        .expect_err("nothing fits");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    error.to_string()
}

#[test]
fn the_first_that_can_is_taken_and_those_after_it_are_not_looked_at() {
    let engines = engines([("a", memory), ("b", nothing), ("c", nothing)]);
    let selection = engines
        .select(&guest(), &capped(), &Choice::Auto)
        .expect("b fits");
    assert_eq!(selection.engine.info().name, "b");
    let verdicts: Vec<_> = selection
        .considered
        .iter()
        .map(|one| &one.verdict)
        .collect();
    assert!(matches!(verdicts[0], Verdict::PassedOver { reasons } if reasons[0].what == "memory"));
    assert_eq!(verdicts[1..], [&Verdict::Taken, &Verdict::NotReached]);
}

#[test]
fn a_choice_is_walked_in_its_own_order() {
    let engines = engines([("a", nothing), ("b", nothing)]);
    let selection = engines
        .select(&guest(), &capped(), &Choice::from(["b", "a"]))
        .expect("both fit");
    assert_eq!(selection.engine.info().name, "b");
}

#[test]
fn an_explanation_tells_of_every_engine() {
    let engines = engines([("a", memory_and_fuel), ("bb", nothing), ("c", nothing)]);
    let explanation = engines.explain(&guest(), &capped(), &Choice::from(["a", "c"]));
    assert_eq!(
        explanation.to_string(),
        "a   1.0  unable: cannot limit memory; cannot limit fuel\n\
         c   1.0  taken\n\
         bb  1.0  able\n"
    );
    let json = serde_json::to_value(&explanation).expect("serialises");
    assert_eq!(json[0]["verdict"], "passed-over");
    assert_eq!(json[0]["reasons"][1]["what"], "fuel");
    assert_eq!(json[1]["version"], "1.0");
    assert_eq!(
        explanation.into_selection().expect("c").engine.info().name,
        "c"
    );
}

#[test]
fn an_engine_asked_for_by_name_that_cannot_names_those_that_can() {
    let engines = engines([
        ("a", memory),
        ("b", nothing),
        ("c", memory_and_fuel),
        ("d", nothing),
    ]);
    assert_eq!(
        refused(&engines, &guest(), &capped(), "a".into()),
        "a: cannot limit memory; b and d can"
    );
}

#[test]
fn an_engine_asked_for_by_name_says_so_if_no_other_can() {
    let engines = engines([("a", memory), ("b", memory_and_fuel)]);
    assert_eq!(
        refused(&engines, &guest(), &capped(), "b".into()),
        "b: cannot limit memory; cannot limit fuel; no engine here can"
    );
}

#[test]
fn the_nearest_engine_is_named_when_none_can() {
    let engines = engines([("a", memory_and_fuel), ("b", memory)]);
    assert_eq!(
        refused(&engines, &guest(), &capped(), Choice::Auto),
        "no engine can run app.wasm as asked; nearest is b, which cannot limit memory"
    );
}

#[test]
fn what_no_engine_could_do_is_said_without_blaming_one() {
    let library = Guest::from_bytes("lib.wasm", r#"(module (func (export "f")))"#).expect("wasm");
    for engines in [engines([("a", memory), ("b", nothing)]), Engines::empty()] {
        assert_eq!(
            refused(&engines, &library, &RunConfig::new(), Choice::Auto),
            "lib.wasm: the guest is not a command: it exports no _start function; functions that \
             could be called instead: f"
        );
    }
}

#[test]
fn an_unknown_name_is_refused_with_the_known_ones() {
    let engines = engines([("a", nothing), ("b", nothing)]);
    for choice in [Choice::from("wasmtim"), Choice::from(["a", "wasmtim"])] {
        let error = engines
            .select(&guest(), &RunConfig::new(), &choice)
            .expect_err("no such engine");
        assert_eq!(error.kind(), ErrorKind::EngineNotFound);
        assert_eq!(
            error.to_string(),
            "no engine is called wasmtim; there are a, b"
        );
    }
}

#[test]
fn no_engine_at_all_is_an_error_of_its_own() {
    let error = Engines::empty()
        .select(&guest(), &RunConfig::new(), &Choice::Auto)
        .expect_err("no engine");
    assert_eq!(error.kind(), ErrorKind::EngineNotFound);
}
