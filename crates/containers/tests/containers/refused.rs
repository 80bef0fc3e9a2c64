//! What is refused, by name and with the state.

use wasmrun::{ErrorKind, Stdout};
use wasmrun_containers::Containers;

use crate::common::{LONG, containers, spec, started};

#[test]
fn every_error_names_the_container_and_its_state() {
    let containers = containers();
    started(&containers, "web", spec("wasmi", "loop"));
    let running = "container web (running)";
    let error = containers
        .create("web", spec("wasmi", "loop"))
        .expect_err("taken");
    assert_eq!(error.kind(), ErrorKind::InUse);
    assert!(error.to_string().starts_with(running), "{error}");
    let error = containers.remove("web").expect_err("it runs");
    assert_eq!(error.kind(), ErrorKind::InUse);
    assert!(error.to_string().starts_with(running), "{error}");
    let error = containers.exec("web").expect_err("never");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().starts_with(running), "{error}");
    assert!(error.to_string().contains("one program"), "{error}");
    containers.stop("web", LONG / 1000).expect("it ends");
    let error = containers.take_stdin("web").expect_err("it is over");
    assert!(
        error
            .to_string()
            .starts_with("container web (exited with 137)"),
        "{error}"
    );
    let none = containers.state("none").expect_err("no such");
    assert_eq!(none.kind(), ErrorKind::Config);
    assert!(none.to_string().contains("container none (not created)"));
}

#[test]
fn a_name_leads_nowhere() {
    let containers = containers();
    for name in ["", ".", "..", "a/b", "-a", "a b", "\u{e4}", "a\nb"] {
        let error = containers
            .create(name, spec("wasmi", "hello"))
            .expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Config);
    }
    assert!(containers.list().is_empty());
}

#[test]
fn what_only_one_run_can_have_is_refused_before_it_is_created() {
    let containers = containers();
    let mut captured = spec("wasmi", "hello");
    captured.run.config.stdout = Stdout::Capture;
    let mut digest = spec("wasmi", "hello");
    digest.run.launch.sha256 = "0".repeat(64).parse().ok();
    assert!(digest.run.launch.sha256.is_some());
    for spec in [captured, digest] {
        let error = containers.create("x", spec).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("container x"), "{error}");
    }
}

#[test]
fn an_image_without_a_store_is_refused() {
    let containers = Containers::new(wasmrun::Engines::new());
    containers
        .create("x", spec("wasmi", "hello"))
        .expect("not looked at");
    let error = containers.start("x").expect_err("no store");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("hello"), "{error}");
}
