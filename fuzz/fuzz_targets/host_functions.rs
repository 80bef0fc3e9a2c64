//! Values of any types through a function of the host and back.
#![no_main]

#[path = "../../crates/testkit/src/there_and_back.rs"]
mod there_and_back;

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::{arbitrary, fuzz_target};
use there_and_back::there_and_back;
use wasmrun_core::{Engine, Value};

fuzz_target!(|values: (Vec<Any>, Vec<Any>)| {
    static ENGINES: LazyLock<Vec<Arc<dyn Engine>>> = LazyLock::new(|| {
        let all = wasmrun::Engines::shared().all().into_iter();
        all.filter_map(|(_, engine)| engine.ok()).collect()
    });
    let (params, results) = values;
    let [params, results] = [params, results].map(|values| {
        let values = values.into_iter().map(Value::from);
        values.collect::<Vec<_>>()
    });
    for engine in &*ENGINES {
        // Only a type that has too much of something is not taken.
        let taken = there_and_back(engine.clone(), &params, &results);
        assert!(
            taken.is_ok() || params.len().max(results.len()) > 1000,
            "{taken:?}"
        );
    }
});

#[derive(Debug, arbitrary::Arbitrary)]
enum Any {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
    V128([u8; 16]),
}

impl From<Any> for Value {
    fn from(any: Any) -> Value {
        match any {
            Any::I32(value) => Value::I32(value),
            Any::I64(value) => Value::I64(value),
            Any::F32(bits) => Value::F32(f32::from_bits(bits)),
            Any::F64(bits) => Value::F64(f64::from_bits(bits)),
            Any::V128(bytes) => Value::V128(bytes),
        }
    }
}
