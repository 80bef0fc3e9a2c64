//! Values of WebAssembly, and functions whose types are made at run time.

use std::fmt;

use crate::guest::{FuncSignature, ValueType};

use super::call::HostCall;
use super::function::{Body, Failure};
use super::typed::IntoHostFunction;

/// A value of WebAssembly: what a function takes or returns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A 32-bit integer.
    I32(i32),
    /// A 64-bit integer.
    I64(i64),
    /// A 32-bit float.
    F32(f32),
    /// A 64-bit float.
    F64(f64),
    /// A vector, the least significant byte first.
    V128([u8; 16]),
}

impl Value {
    /// Its type.
    pub fn ty(&self) -> ValueType {
        match self {
            Value::I32(_) => ValueType::I32,
            Value::I64(_) => ValueType::I64,
            Value::F32(_) => ValueType::F32,
            Value::F64(_) => ValueType::F64,
            Value::V128(_) => ValueType::V128,
        }
    }

    /// The value of that type in the first of these slots; `None` if there are too few, or for a reference.
    fn from_slots(ty: ValueType, slots: &[u64]) -> Option<Self> {
        let (first, rest) = slots.split_first()?;
        Some(match ty {
            ValueType::I32 => Value::I32(*first as i32),
            ValueType::I64 => Value::I64(first.cast_signed()),
            ValueType::F32 => Value::F32(f32::from_bits(*first as u32)),
            ValueType::F64 => Value::F64(f64::from_bits(*first)),
            ValueType::V128 => {
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&first.to_le_bytes());
                bytes[8..].copy_from_slice(&rest.first()?.to_le_bytes());
                Value::V128(bytes)
            }
            ValueType::Reference => return None,
        })
    }

    /// Puts it into the first of these slots, and gives back those behind it. `None` if there are too few.
    fn put(self, slots: &mut [u64]) -> Option<&mut [u64]> {
        let (own, rest) = slots.split_at_mut_checked(self.ty().slots())?;
        own.copy_from_slice(&self.slots()[..own.len()]);
        Some(rest)
    }

    /// The values of these types in slots: see [`HostFunction::call`](crate::HostFunction::call).
    pub fn all(types: &[ValueType], mut slots: &[u64]) -> impl Iterator<Item = Value> {
        types.iter().map_while(move |ty| {
            let value = Value::from_slots(*ty, slots)?;
            slots = &slots[ty.slots()..];
            Some(value)
        })
    }

    /// Puts values into slots, one after the other, as many as there is room for.
    pub fn put_all(values: impl IntoIterator<Item = Value>, mut slots: &mut [u64]) {
        for value in values {
            match value.put(slots) {
                Some(rest) => slots = rest,
                None => return,
            }
        }
    }

    fn slots(self) -> [u64; 2] {
        match self {
            Value::I32(value) => [value.cast_unsigned().into(), 0],
            Value::I64(value) => [value.cast_unsigned(), 0],
            Value::F32(value) => [value.to_bits().into(), 0],
            Value::F64(value) => [value.to_bits(), 0],
            Value::V128(bytes) => {
                let value = u128::from_le_bytes(bytes);
                [value as u64, (value >> 64) as u64]
            }
        }
    }
}

/// A function of the host whose type is made at run time. It is given as many values as the type has parameters,
/// of their types, and has to return its results.
///
/// ```
/// use wasmrun_core::guest::{FuncSignature, ValueType};
/// use wasmrun_core::{Dynamic, HostFunctions, Value};
///
/// let sum = FuncSignature {
///     params: vec![ValueType::I64; 3],
///     results: vec![ValueType::I64],
/// };
/// let host = HostFunctions::new().function("env", "sum", Dynamic::new(sum, |_, params| {
///     let sum = params.iter().map(|param| match param {
///         Value::I64(value) => *value,
///         _ => 0,
///     });
///     Ok(vec![Value::I64(sum.sum())])
/// }));
/// # assert!(!host.is_empty());
/// ```
pub struct Dynamic<F> {
    signature: FuncSignature,
    function: F,
}

impl<F> Dynamic<F>
where
    F: Fn(
            &mut HostCall<'_>,
            &[Value],
        ) -> Result<Vec<Value>, Box<dyn std::error::Error + Send + Sync>>
        + Send
        + Sync
        + 'static,
{
    /// A function of that type. References cannot be passed, and are refused where a guest is to be compiled with
    /// it.
    pub fn new(signature: FuncSignature, function: F) -> Self {
        Dynamic {
            signature,
            function,
        }
    }
}

impl<F> fmt::Debug for Dynamic<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dynamic{}", self.signature)
    }
}

impl<F> IntoHostFunction<Vec<Value>> for Dynamic<F>
where
    F: Fn(&mut HostCall<'_>, &[Value]) -> Result<Vec<Value>, Failure> + Send + Sync + 'static,
{
    fn signature(&self) -> FuncSignature {
        self.signature.clone()
    }

    fn into_body(self) -> Box<Body> {
        let Dynamic {
            signature,
            function,
        } = self;
        Box::new(move |call, slots| {
            let params: Vec<Value> = Value::all(&signature.params, slots).collect();
            let results = function(call, &params)?;
            let types = results.iter().map(Value::ty);
            if !types.eq(signature.results.iter().copied()) {
                return Err(WrongResults::of(&signature, &results).into());
            }
            Value::put_all(results, slots);
            Ok(())
        })
    }
}

/// A function of the host on the slots of its call: its parameters are in the first of them, and so are its results to be.
/// For those who have types of their own above that; [`HostFunction::call`](crate::HostFunction::call) says what is in a
/// slot.
///
/// ```
/// use wasmrun_core::guest::{FuncSignature, ValueType};
/// use wasmrun_core::{HostFunctions, RawFunction};
///
/// let sum = FuncSignature {
///     params: vec![ValueType::I64; 3],
///     results: vec![ValueType::I64],
/// };
/// let host = HostFunctions::new().function("env", "sum", RawFunction::new(sum, |_, slots| {
///     slots[0] = slots.iter().sum();
///     Ok(())
/// }));
/// # assert!(!host.is_empty());
/// ```
pub struct RawFunction<F> {
    signature: FuncSignature,
    reads: Option<usize>,
    other_memory: Option<String>,
    function: F,
}

impl<F> RawFunction<F>
where
    F: Fn(&mut HostCall<'_>, &mut [u64]) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
        + Send
        + Sync
        + 'static,
{
    /// A function of that type, which is given as many slots as its parameters fill, or its results, whichever are more.
    pub fn new(signature: FuncSignature, function: F) -> Self {
        RawFunction {
            signature,
            reads: None,
            other_memory: None,
            function,
        }
    }

    /// The same, said to read first of all the bytes whose address is that parameter and whose number is the next, both of
    /// them `i32`. Where the engine is another process, that saves asking it for them.
    #[must_use]
    pub fn reading(self, param: usize) -> Self {
        RawFunction {
            reads: Some(param),
            ..self
        }
    }

    /// The same, for a guest that exports several memories: it works on the one that is exported by that name.
    #[must_use]
    pub fn on_memory(self, name: impl Into<String>) -> Self {
        RawFunction {
            other_memory: Some(name.into()),
            ..self
        }
    }
}

impl<F> fmt::Debug for RawFunction<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawFunction{}", self.signature)
    }
}

impl<F> IntoHostFunction<Vec<u64>> for RawFunction<F>
where
    F: Fn(&mut HostCall<'_>, &mut [u64]) -> Result<(), Failure> + Send + Sync + 'static,
{
    fn signature(&self) -> FuncSignature {
        self.signature.clone()
    }

    fn reads(&self) -> Option<usize> {
        let are_there = |param: &usize| {
            let params = self.signature.params.get(*param..*param + 2);
            params == Some(&[ValueType::I32; 2])
        };
        self.reads.filter(are_there)
    }

    fn other_memory(&self) -> Option<String> {
        self.other_memory.clone()
    }

    fn into_body(self) -> Box<Body> {
        Box::new(self.function)
    }
}

/// A function returned something else than its type says.
#[derive(Debug)]
struct WrongResults(String);

impl WrongResults {
    fn of(signature: &FuncSignature, results: &[Value]) -> Self {
        let returned = FuncSignature {
            params: signature.params.clone(),
            results: results.iter().map(Value::ty).collect(),
        };
        WrongResults(format!("it is of type {signature} and did as {returned}"))
    }
}

impl fmt::Display for WrongResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongResults {}
