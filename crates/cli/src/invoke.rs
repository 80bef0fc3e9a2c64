//! `--invoke` of a function that takes values or returns some.

use wasmrun::guest::{
    ComponentFunction, ComponentType, ExportKind, FuncSignature, ValueType, shown,
};
use wasmrun::{
    Attachments, ComponentValue, Control, Guest, GuestKind, Outcome, Program, Request, Result,
    RunConfig, Stats, Value, component_function,
};

use crate::resolve::usage;
use crate::wave;

/// A function to call, and with what.
#[derive(Debug)]
pub enum Invocation {
    Module {
        name: String,
        params: Vec<Value>,
    },
    Component {
        name: String,
        params: Vec<ComponentValue>,
    },
}

/// How a guest ended, what that cost and, if its function returned, what: a line each.
pub type Invoked = (Outcome, Stats, String);

impl Invocation {
    /// The call that `config` asks for, if it is one of a function that takes or returns values. One that does neither is
    /// an entry like another.
    ///
    /// # Errors
    ///
    /// The arguments are not the function's.
    pub fn of(guest: &Guest, config: &RunConfig) -> Result<Option<Self>> {
        match (&config.entry, guest.kind()) {
            (Some(call), GuestKind::Module) => of_module(guest, call, &config.args),
            (Some(call), GuestKind::Component) => of_component(guest, call, &config.args),
            (None, _) | (_, GuestKind::Package) => Ok(None),
        }
    }

    /// Makes an instance, and the call.
    ///
    /// # Errors
    ///
    /// As for [`Program::instantiate`] and [`wasmrun::Instance::call`].
    pub fn run(&self, program: &Program, config: &RunConfig, control: &Control) -> Result<Invoked> {
        let attachments = Attachments::new().control(control);
        let mut instance = program.instantiate_with(config, attachments)?;
        let called = match self {
            Invocation::Module { name, params } => {
                let called = instance.call(name, params)?.returned();
                called.map(|values| values.iter().map(line).collect())
            }
            Invocation::Component { name, params } => {
                let called = instance.call_component(name, params)?.returned();
                called.map(|value| value.as_ref().map(line_of_component).unwrap_or_default())
            }
        };
        let stats = instance.stats();
        Ok(match called {
            Ok(printed) => (Outcome::Exited(0), stats, printed),
            Err(outcome) => (outcome, stats, String::new()),
        })
    }
}

fn of_module(guest: &Guest, name: &str, args: &[String]) -> Result<Option<Invocation>> {
    let mut exports = guest.exports().iter();
    let signature = exports.find_map(|export| match &export.kind {
        ExportKind::Function(signature) if export.name == *name => Some(signature),
        _ => None,
    });
    match signature {
        Some(signature) if !signature.is_empty() => Ok(Some(Invocation::Module {
            name: name.to_owned(),
            params: params(name, signature, args)?,
        })),
        _ => Ok(None),
    }
}

/// `call` is the name of a function, or that with what it is to be given, in parentheses.
fn of_component(guest: &Guest, call: &str, args: &[String]) -> Result<Option<Invocation>> {
    // One that is not valid has no functions, and its engine tells why.
    if guest.has_entry(call) || guest.exported_functions().is_empty() {
        return Ok(None);
    }
    let (name, given) = match call.find('(') {
        Some(place) => (&call[..place], Some(&call[place..])),
        None => (call, None),
    };
    let function = component_function(guest, name.trim_end())?;
    let params = params_of_component(function, given, args).map_err(|why| {
        let signature = &function.signature;
        usage(format!("{function} is {signature}: {why}"))
    })?;
    Ok(Some(Invocation::Component {
        name: match &*function.interface {
            "" => function.name.to_string(),
            interface => format!("{interface}#{}", function.name),
        },
        params,
    }))
}

/// What a function is given: in parentheses, or by arguments. Options at the end may be left out.
fn params_of_component(
    function: &ComponentFunction,
    given: Option<&str>,
    args: &[String],
) -> Result<Vec<ComponentValue>, String> {
    let types = function.signature.params.iter().map(|(_, ty)| ty);
    if function.signature.is_opaque {
        return Err("handles of resources, streams and the like cannot be written".to_owned());
    }
    if let Some(given) = given {
        if !args.is_empty() {
            return Err(
                "it is given values in parentheses, and arguments behind the guest as well"
                    .to_owned(),
            );
        }
        return wave::values(types, given).map_err(|error| format!("{}: {error}", shown(given)));
    }
    let (needed, most) = (needed(types.clone()), types.len());
    if !(needed..=most).contains(&args.len()) {
        let takes = match needed == most {
            true => most.to_string(),
            false => format!("{needed} to {most}"),
        };
        let given = args.len();
        return Err(format!("it takes {takes} arguments, and {given} are given"));
    }
    let rest = std::iter::repeat_n(ComponentValue::Option(None), most - args.len());
    let values = types.zip(args).map(|(ty, arg)| {
        wave::value(ty, arg).map_err(|error| {
            let quotes = match ty {
                ComponentType::String => r#"; a string is written "like this""#,
                ComponentType::Char => "; a char is written 'c'",
                _ => "",
            };
            format!("{} is no {ty}: {error}{quotes}", shown(arg))
        })
    });
    values.chain(rest.map(Ok)).collect()
}

/// How many there are without the options at the end.
fn needed<'a>(
    types: impl DoubleEndedIterator<Item = &'a ComponentType> + ExactSizeIterator,
) -> usize {
    let all = types.len();
    let options = types
        .rev()
        .take_while(|ty| matches!(ty, ComponentType::Option(_)));
    all - options.count()
}

fn line_of_component(value: &ComponentValue) -> String {
    let text = wave::written(value);
    format!(
        "{}\n",
        text.as_deref().unwrap_or("a value that cannot be written")
    )
}

/// What is asked of an engine.
pub fn request<'a>(invocation: Option<&Invocation>, config: &'a RunConfig) -> Request<'a> {
    let request = Request::from(config);
    match invocation {
        Some(_) => request.live(),
        None => request,
    }
}

fn params(name: &str, signature: &FuncSignature, args: &[String]) -> Result<Vec<Value>> {
    let FuncSignature { params, .. } = signature;
    let refuse = |why: String| usage(format!("{} is of type {signature}: {why}", shown(name)));
    if args.len() != params.len() {
        let (wanted, given) = (params.len(), args.len());
        return Err(refuse(format!(
            "it takes {wanted} arguments, and {given} are given"
        )));
    }
    let pairs = params.iter().zip(args);
    let values = pairs.map(|(ty, arg)| {
        value(*ty, arg).ok_or_else(|| refuse(format!("{} is no {ty}", shown(arg))))
    });
    values.collect()
}

/// A value as it is written: integers in decimal or, with `0x`, hexadecimal, signed or not; vectors likewise, as one
/// number of 128 bits.
fn value(ty: ValueType, text: &str) -> Option<Value> {
    Some(match ty {
        ValueType::I32 => match integer(text)? {
            value @ -0x8000_0000..0x1_0000_0000 => Value::I32(value as i32),
            _ => return None,
        },
        ValueType::I64 => match integer(text)? {
            value @ -0x8000_0000_0000_0000..0x1_0000_0000_0000_0000 => Value::I64(value as i64),
            _ => return None,
        },
        ValueType::F32 => Value::F32(text.parse().ok()?),
        ValueType::F64 => Value::F64(text.parse().ok()?),
        ValueType::V128 => {
            let value = match text.strip_prefix("0x") {
                Some(digits) => u128::from_str_radix(digits, 16).ok()?,
                None => text.parse().ok()?,
            };
            Value::V128(value.to_le_bytes())
        }
        ValueType::Reference => return None,
    })
}

fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    // Neither takes a second sign, nor white space.
    let value = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => digits.parse().ok(),
    };
    let value = i128::from(value.filter(|_| !digits.contains('+'))?);
    Some(if negative { -value } else { value })
}

/// A value, as a line.
fn line(value: &Value) -> String {
    format!("{}\n", printed(value))
}

fn printed(value: &Value) -> String {
    match value {
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::F32(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
        Value::V128(bytes) => format!("{:#034x}", u128::from_le_bytes(*bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_are_printed() {
        for (ty, text, printed_as) in [
            (ValueType::I32, "7", "7"),
            (ValueType::I32, "-2147483648", "-2147483648"),
            (ValueType::I32, "4294967295", "-1"),
            (ValueType::I32, "0xff", "255"),
            (ValueType::I64, "-0x10", "-16"),
            (ValueType::I64, "18446744073709551615", "-1"),
            (ValueType::F32, "0.5", "0.5"),
            (ValueType::F64, "-inf", "-inf"),
            (ValueType::F64, "1e300", "1e300"),
            (
                ValueType::V128,
                "0x10",
                "0x00000000000000000000000000000010",
            ),
        ] {
            let value = value(ty, text).unwrap_or_else(|| panic!("{ty} {text}"));
            if text == "1e300" {
                assert_eq!(value, Value::F64(1e300));
                continue;
            }
            assert_eq!(printed(&value), printed_as, "{ty} {text}");
        }
        for (ty, text) in [
            (ValueType::I32, "4294967296"),
            (ValueType::I32, "-2147483649"),
            (ValueType::I32, "1.0"),
            (ValueType::I32, "+1"),
            (ValueType::I32, "--1"),
            (ValueType::I32, ""),
            (ValueType::I64, "18446744073709551616"),
            (ValueType::I64, "0x"),
            (ValueType::F32, "one"),
            (ValueType::V128, "-1"),
            (ValueType::Reference, "0"),
        ] {
            assert!(value(ty, text).is_none(), "{ty} {text}");
        }
    }
}
