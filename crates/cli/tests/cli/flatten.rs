//! `wasmrun flatten`.

use std::fs;
use std::process::Stdio;

use wasmrun::Guest;

use crate::common::{Guests, Seen, run, wasmrun};

/// A command that ends itself.
const COMPONENT: &str = r#"(component
    (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
    (core func $exit (canon lower (func $exit "exit")))
    (core module $m
        (import "" "exit" (func $exit (param i32)))
        (func (export "run") (result i32) (call $exit (i32.const 1)) (i32.const 0)))
    (core instance $i (instantiate $m (with "" (instance (export "exit" (func $exit))))))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $run (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $run)))"#;

fn flatten(args: &[&std::path::Path]) -> Seen {
    run([std::path::Path::new("flatten")].iter().chain(args))
}

#[test]
fn a_component_is_written_as_a_module_with_its_imports() {
    let guests = Guests::new();
    let component = guests.file("app.wat", COMPONENT);
    let module = guests.dir().join("core.wasm");
    let seen = flatten(&[&component, "-o".as_ref(), &module]);
    assert_eq!((seen.code, &*seen.stdout, &*seen.stderr), (Some(0), "", ""));
    let read = Guest::open(&module).expect("a module");
    let imports: Vec<_> = read.imports().iter().map(ToString::to_string).collect();
    assert_eq!(imports[0], "wasi:cli/exit@0.2.0.exit");
    assert!(
        imports[1..]
            .iter()
            .all(|import| import.starts_with("[cabi].")),
        "{imports:?}"
    );
    read.validate().expect("it is valid");

    let piped = wasmrun()
        .args(["flatten", "-"])
        .stdin(fs::File::open(&component).expect("a file"))
        .stdout(Stdio::piped())
        .output()
        .expect("wasmrun starts");
    assert!(piped.stdout == fs::read(&module).expect("a file"));
}

#[test]
fn what_cannot_be_flattened_leaves_what_was_there() {
    let guests = Guests::new();
    let module = guests.file("core.wasm", "as it was");
    let passing = COMPONENT.replace(
        "(core module $m",
        r#"(core module $own) (export "own" (core module $own)) (core module $m"#,
    );
    for (name, text, why) in [
        ("passing.wat", &*passing, "it passes core modules"),
        (
            "module.wat",
            "(module)",
            "a module cannot be flattened, only a component",
        ),
        ("cut.wat", "(component", "cut.wat"),
    ] {
        let component = guests.file(name, text);
        let seen = flatten(&[&component, "-o".as_ref(), &module]);
        assert_eq!(seen.code, Some(126), "{seen:?}");
        assert!(seen.message().contains(why), "{seen:?}");
        assert_eq!(fs::read(&module).expect("a file"), b"as it was");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let guests = Guests::new();
    let component = guests.file("app.wat", COMPONENT);
    let module = guests.dir().join("no/core.wasm");
    let seen = flatten(&[&component, "-o".as_ref(), &module]);
    assert_eq!(seen.code, Some(125), "{seen:?}");
    assert!(seen.message().contains("no/core.wasm"), "{seen:?}");
}
