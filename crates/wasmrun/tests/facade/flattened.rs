//! Components where one engine has them and another is given modules.

use wasmrun::{Choice, Engines, ErrorKind, Guest, Outcome, RunConfig, Verdict};

/// A command that no engine is to be given as a module, because it offers a module of its own.
const OFFERING_A_MODULE: &str = r#"(component
    (core module $m (func (export "run") (result i32) (i32.const 0)))
    (export "m" (core module $m))
    (core instance $i (instantiate $m))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $run (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $run)))"#;

#[test]
fn what_cannot_be_flattened_goes_on_to_an_engine_that_has_components() {
    let engines = Engines::new();
    let guest = Guest::from_bytes("app.wat", OFFERING_A_MODULE).expect("a component");
    let config = RunConfig::new();
    let choice = Choice::from(["wasmi", "wasmtime"]);
    let selection = engines.select(&guest, &config, &choice).expect("one can");
    assert_eq!(selection.engine.info().name, "wasmtime");
    let Verdict::PassedOver { reasons } = &selection.considered[0].verdict else {
        panic!("{:?}", selection.considered);
    };
    assert_eq!(reasons[0].what, "components");
    let program = engines
        .compile(&guest, &config, &choice)
        .expect("a program");
    let report = program.run(&config).expect("it runs");
    assert_eq!(report.outcome, Outcome::Exited(0));

    let error = engines
        .select(&guest, &config, &Choice::from("wasmi"))
        .expect_err("wasmi cannot");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let message = error.to_string();
    assert!(
        message.starts_with(
            "wasmi: cannot run components: the component cannot be made one core module: it passes core modules"
        ),
        "{message}"
    );
    assert!(message.contains("wasmtime"), "{message}");
}

#[cfg(unix)]
#[test]
fn a_component_is_flattened_once_where_there_is_a_cache() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.wat");
    let text = OFFERING_A_MODULE.replace(r#"(export "m" (core module $m))"#, "");
    std::fs::write(&path, text).expect("a file");
    let cache = wasmrun::Cache::open(directory.path().join("cache")).expect("a cache");
    let run = || {
        let engines = Engines::new().with_cache(cache.clone());
        let guest = engines.guest(&path, 1 << 20).expect("a component");
        let config = RunConfig::new();
        let program = engines
            .compile(&guest, &config, &"wasmi".into())
            .expect("a program");
        let report = program.run(&config).expect("it runs");
        assert_eq!(report.outcome, Outcome::Exited(0));
    };
    run();
    let kept = cache.list().expect("it reads");
    let [module] = &*kept else {
        panic!("{kept:?}");
    };
    assert_eq!((&*module.guest, &*module.engine), ("app.wat", "flatten"));
    run();

    // What is spoilt is made again.
    std::fs::write(&module.path, "no module").expect("it is ours");
    run();
    assert_eq!(cache.list().expect("it reads").len(), 1);
    assert_ne!(
        std::fs::read(&module.path).expect("it is there"),
        b"no module"
    );
}
