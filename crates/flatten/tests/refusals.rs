//! What cannot be one module is refused by name.

use wasmrun_flatten::Flattened;
use wasmrun_guest::{Error, ErrorKind, Guest, Result};

fn flatten(text: &str) -> Result<Flattened> {
    wasmrun_flatten::flatten(&Guest::from_bytes("component", text)?)
}

fn refusal(text: &str) -> Error {
    match flatten(text) {
        Ok(_) => panic!("it is not refused: {text}"),
        Err(error) => error,
    }
}

#[track_caller]
fn refused(text: &str, because: &str) {
    let error = refusal(text);
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.to_string().contains(because), "{error}");
}

/// A command with these fields before its own.
fn command(fields: &str) -> String {
    format!(
        r#"(component {fields}
            (core module $m (func (export "run") (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $run (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $run)))"#
    )
}

/// A command that imports an interface with one function, `f`, whose type this is, and has its core function called by a
/// module. It is lowered with these options.
fn lowering(ty: &str, core: &str, options: &str) -> String {
    command(&format!(
        r#"(import "my:host/it@1.0.0" (instance $it (export "f" (func {ty}))))
        (core module $libc (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
        (core instance $libc (instantiate $libc))
        (core func $f (canon lower (func $it "f") {options}))
        (core module $user (import "" "f" (func {core})))
        (core instance (instantiate $user (with "" (instance (export "f" (func $f))))))"#
    ))
}

#[test]
fn what_is_no_component_is_refused() {
    refused("(module)", "a module cannot be flattened");
    let error = flatten("\x7fELF").expect_err("it is no program");
    assert_eq!(error.kind(), ErrorKind::NotWasm);
}

#[test]
fn what_is_not_valid_is_refused() {
    let text = r#"(component (core module (func (result i32))))"#;
    assert_eq!(refusal(text).kind(), ErrorKind::Invalid);
}

#[test]
fn what_doubles_is_refused_before_it_does() {
    let mut text = "(component (core module $m) (core instance (instantiate $m)))".to_owned();
    for _ in 0..24 {
        text = text.replacen("(component", "(component $c", 1);
        text =
            format!("(component {text} (instance (instantiate $c)) (instance (instantiate $c)))");
    }
    let error = refusal(&text);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("more than 10000 instances"),
        "{error}"
    );
}

#[test]
fn what_is_no_command_is_refused() {
    refused("(component)", "exports no `wasi:cli/run@0.2.x`");
    let other = command("").replace("@0.2.0", "@0.3.0");
    refused(&other, "exports no `wasi:cli/run@0.2.x`");
    let typed = command("").replace("(result (result))", "(result u32)");
    refused(&typed, "no `func() -> result`");
}

#[test]
fn imports_that_are_not_of_functions_are_refused() {
    let module = r#"(import "m" (core module $given)) (core instance (instantiate $given))"#;
    refused(&command(module), "passes core modules");
    let module = r#"(core module $own) (export "m" (core module $own))"#;
    refused(&command(module), "passes core modules");
    refused(&command(r#"(import "c" (component))"#), "component");
    let nested = r#"(import "my:host/it@1.0.0" (instance $it (export "inner" (instance
            (export "f" (func))))))
        (alias export $it "inner" (instance $inner))
        (core func $f (canon lower (func $inner "f")))
        (core module $user (import "" "f" (func)))
        (core instance (instantiate $user (with "" (instance (export "f" (func $f))))))"#;
    refused(&command(nested), "an instance within another");
}

#[test]
fn memories_of_64_bits_are_refused() {
    let large = "(core module $large (memory i64 1)) (core instance (instantiate $large))";
    refused(&command(large), "addresses of 64 bits");
}

#[test]
fn what_is_asynchronous_is_refused() {
    let text = lowering("async", "(result i32)", "async");
    refused(&text, "async");
    let lifted = command("").replace(
        r#"(canon lift (core func $i "run"))"#,
        r#"(canon lift (core func $i "run") async (callback (func $i "run")))"#,
    );
    assert!(flatten(&lifted).is_err());
    let typed = lowering("async", "", "");
    refused(&typed, "async");
}

#[test]
fn objects_of_garbage_collection_are_refused() {
    let text = r#"(import "my:host/it@1.0.0" (instance $it (export "f" (func (param "s" string)))))
        (core type $chars (array (mut i8)))
        (core type $lowered (func (param (ref null $chars))))
        (core func $f (canon lower (func $it "f") gc (core-type $lowered)))"#;
    refused(&command(text), "gc");
}

#[test]
fn modules_that_are_instantiated_too_often_are_refused() {
    let data = "x".repeat(1 << 20);
    let instances = "(core instance (instantiate $large))".repeat(18);
    let text = command(&format!(
        r#"(core module $large (data "{data}")) {instances}"#
    ));
    refused(&text, "instantiates modules more than once");
}
