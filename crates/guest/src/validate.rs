//! Whether all of a guest is valid, its code included.

use wasmparser::{
    BinaryReaderError, FuncToValidate, FuncValidatorAllocations, FunctionBody, ValidPayload,
    Validator, ValidatorResources,
};

use crate::malformed::Malformed;
use crate::parser::{FEATURES, parser};
use crate::side_by_side::side_by_side;

/// Validates a module, or a component and its modules; of several faults, the first is told.
pub(crate) fn validate(wasm: &[u8]) -> Result<(), Malformed> {
    let mut functions = Vec::new();
    let around = around_functions(wasm, &mut functions);
    let bytes = functions.iter().map(|(_, body)| body.range().len()).sum();
    let within = side_by_side(&functions, bytes, |functions| {
        let mut allocations = FuncValidatorAllocations::default();
        for (function, body) in functions {
            let mut validator = again(function).into_validator(allocations);
            if let Err(error) = validator.validate(body) {
                return Some(error);
            }
            allocations = validator.into_allocations();
        }
        None
    });
    // Each thread stops at a fault of its own, and none that comes before the first was left out.
    let errors = within.into_iter().flatten().chain(around.err());
    match errors.min_by_key(BinaryReaderError::offset) {
        None => Ok(()),
        Some(first) => Err(first.into()),
    }
}

type Function<'a> = (FuncToValidate<ValidatorResources>, FunctionBody<'a>);

/// Validates all but the functions, which are collected.
fn around_functions<'a>(
    wasm: &'a [u8],
    functions: &mut Vec<Function<'a>>,
) -> Result<(), BinaryReaderError> {
    let mut validator = Validator::new_with_features(FEATURES);
    for payload in parser().parse_all(wasm) {
        if let ValidPayload::Func(function, body) = validator.payload(&payload?)? {
            functions.push((function, body));
        }
    }
    Ok(())
}

/// It is used up by validating, and is no more than a few references.
fn again(function: &FuncToValidate<ValidatorResources>) -> FuncToValidate<ValidatorResources> {
    FuncToValidate {
        resources: function.resources.clone(),
        index: function.index,
        ty: function.ty,
        features: function.features,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sections::write_leb;

    /// A module of functions that take and give nothing.
    fn module(bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut code = vec![bodies.len() as u8];
        for body in bodies {
            write_leb(&mut code, body.len());
            code.extend(body);
        }
        let mut wasm = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03".to_vec();
        wasm.extend([bodies.len() as u8 + 1, bodies.len() as u8]);
        wasm.resize(wasm.len() + bodies.len(), 0);
        wasm.push(10);
        write_leb(&mut wasm, code.len());
        wasm.extend(code);
        wasm
    }

    #[test]
    fn the_first_of_several_faults_is_told() {
        const NOP: u8 = 0x01;
        const END: u8 = 0x0b;
        let large = [&[0], &*vec![NOP; 1 << 20], &[END]].concat();
        let [i32_eqz, i64_eqz] = [0x45, 0x50].map(|operator| vec![0, operator, END]);
        for (bodies, first) in [
            ([&large, &i32_eqz, &large, &i64_eqz], "i32"),
            ([&i64_eqz, &large, &i32_eqz, &large], "i64"),
        ] {
            let told = validate(&module(&bodies.map(Clone::clone))).expect_err("not valid");
            assert!(
                told.to_string().contains(&format!("expected {first}")),
                "{told}"
            );
        }
    }

    #[test]
    fn a_fault_in_code_comes_before_one_in_a_later_section() {
        let text = r#"(module (func i32.eqz) (data (memory 3) (i32.const 0) ""))"#;
        let told = validate(&wat::parse_str(text).expect("it is text")).expect_err("not valid");
        assert!(told.to_string().contains("expected i32"), "{told}");
    }
}
