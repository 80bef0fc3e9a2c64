//! Any bytes are flattened or refused, and what comes out is valid and asks for nothing but functions.

use wasmparser::{Parser, Payload, TypeRef, Validator, WasmFeatures};
use wasmrun_flatten::flatten;
use wasmrun_guest::{ErrorKind, Guest};

/// Whether it was flattened.
pub fn holds(bytes: &[u8]) -> bool {
    let flattened = match Guest::from_bytes("component", bytes).and_then(|guest| flatten(&guest)) {
        Ok(flattened) => flattened,
        Err(error) => {
            use ErrorKind::{Invalid, NotWasm, Unsupported};
            let kind = error.kind();
            assert!(matches!(kind, Invalid | NotWasm | Unsupported), "{error:?}");
            assert!(!error.message().contains("no valid one"), "{error:?}");
            return false;
        }
    };
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(flattened.module.bytes())
        .expect("it is valid");
    let mut imports = Vec::new();
    for payload in Parser::new(0).parse_all(flattened.module.bytes()) {
        if let Payload::ImportSection(section) = payload.expect("it is valid") {
            for import in section.into_imports() {
                let import = import.expect("it is valid");
                assert!(matches!(import.ty, TypeRef::Func(_)));
                imports.push((import.module.to_owned(), import.name.to_owned()));
            }
        }
    }
    let told = flattened.imports.into_iter();
    let told = told.map(|import| (import.interface.clone(), import.imported_name()));
    let told: Vec<_> = told.collect();
    let (first, rest) = imports.split_at(told.len());
    assert_eq!(first, told);
    assert!(rest.iter().all(|(module, _)| module == "[cabi]"));
    true
}
