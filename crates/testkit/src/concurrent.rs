//! Guests of WASI 0.3: components whose functions, streams and futures are asynchronous.

use std::sync::OnceLock;

use wasmrun_core::Guest;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

/// A command whose `run` does this with functions of `guests/p3.wat`, and then leaves its result: 0 or, for an error, 1.
pub fn command(work: &str) -> Guest {
    with_fields(&format!(
        r#"(func (export "wasi:cli/run@0.3.0#run") (result i32) (local $a i32) (local $b i32) (local $c i64)
            {work})"#
    ))
}

/// A command that is called back: `run` is what it does first, `callback` what when it is. Both leave what is to come, 0 for
/// the end.
pub fn called_back(run: &str, callback: &str) -> Guest {
    with_fields(&format!(
        r#"(func (export "[async-lift]wasi:cli/run@0.3.0#run") (result i32) {run})
        (func (export "[callback][async-lift]wasi:cli/run@0.3.0#run") (param i32 i32 i32) (result i32) {callback})"#
    ))
}

/// A component of `guests/p3.wat` with these fields.
pub fn with_fields(fields: &str) -> Guest {
    static WORLD: OnceLock<(Resolve, WorldId)> = OnceLock::new();
    let (resolve, world) = WORLD.get_or_init(|| {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("p3.wit", include_str!("../guests/p3.wit"));
        let package = package.expect("our own text");
        let world = resolve.select_world(&[package], None);
        (resolve, world.expect("the only one"))
    });
    let source = format!("(module {} {fields})", include_str!("../guests/p3.wat"));
    let mut module = wat::parse_str(&source).unwrap_or_else(|error| panic!("{error}\n{source}"));
    let encoded = embed_component_metadata(&mut module, resolve, *world, StringEncoding::UTF8)
        .and_then(|()| ComponentEncoder::default().module(&module))
        .and_then(|mut encoder| encoder.encode());
    match encoded {
        Ok(bytes) => Guest::from_bytes("p3.wasm", bytes).expect("wit-component's own work"),
        Err(error) => panic!("no component comes of it: {error:?}"),
    }
}
