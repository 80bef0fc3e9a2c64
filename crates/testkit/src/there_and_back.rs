//! Values of any types through a function of the host and back: of the suite, and of a fuzz target.

use std::sync::Arc;

use wasmrun_core::guest::{FuncSignature, ValueType};
use wasmrun_core::{
    Called, Dynamic, Engine, Guest, HostFunctions, Program, Request, Result, RunConfig, Value,
};

/// Calls an export with `params`, which calls a function of the host of the same type with them; that returns
/// `results`, and so does the export.
///
/// # Errors
///
/// The guest is not taken.
pub fn there_and_back(engine: Arc<dyn Engine>, params: &[Value], results: &[Value]) -> Result<()> {
    let types = |values: &[Value]| values.iter().map(Value::ty).collect::<Vec<_>>();
    let signature = FuncSignature {
        params: types(params),
        results: types(results),
    };
    let guest = Guest::from_bytes("passing.wasm", passing(&signature))?;
    let (expected, given) = (params.to_vec(), results.to_vec());
    let function = Dynamic::new(signature, move |_, params| {
        assert!(are_same(params, &expected), "given {params:?}");
        Ok(given.clone())
    });
    let host = HostFunctions::new().function("env", "f", function);
    let config = RunConfig::new();
    let program = Program::compile(engine, &guest, Request::new(&config, &host).live())?;
    let mut instance = program.instantiate(&config).expect("an instance");
    match instance.call("g", params).expect("a call") {
        Called::Returned(returned) => assert!(are_same(&returned, results), "got {returned:?}"),
        Called::Ended(outcome) => panic!("it {outcome}"),
    }
    Ok(())
}

/// A guest that hands on what it is given, and what it gets back.
fn passing(signature: &FuncSignature) -> String {
    let names = |types: &[ValueType]| {
        let names: Vec<_> = types.iter().map(|ty| ty.as_str()).collect();
        names.join(" ")
    };
    let (params, results) = (names(&signature.params), names(&signature.results));
    let ty = format!("(param {params}) (result {results})");
    let get: String = (0..signature.params.len())
        .map(|local| format!("(local.get {local})"))
        .collect();
    format!(
        r#"(module (import "env" "f" (func $f {ty})) (func (export "g") {ty} (call $f {get})))"#
    )
}

/// Bit by bit: numbers that are none are the same as themselves.
fn are_same(some: &[Value], others: &[Value]) -> bool {
    let bits = |value: &Value| match *value {
        Value::I32(value) => u128::from(value.cast_unsigned()),
        Value::I64(value) => u128::from(value.cast_unsigned()),
        Value::F32(value) => value.to_bits().into(),
        Value::F64(value) => value.to_bits().into(),
        Value::V128(bytes) => u128::from_le_bytes(bytes),
    };
    some.iter()
        .map(|value| (value.ty(), bits(value)))
        .eq(others.iter().map(|value| (value.ty(), bits(value))))
}
