//! A host for flattened components, on wasmi: it notes what is called, and answers as it is told.

use std::collections::VecDeque;

use wasmi::{Caller, Engine, Error, Func, FuncType, Linker, Module, Store, Val, ValType};
use wasmrun_flatten::Flattened;
use wasmrun_guest::Guest;

/// What a component did.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    /// The host's functions that it called: the name and the arguments.
    pub calls: Vec<String>,
    /// How it ended, unless it returned.
    pub end: Option<String>,
}

/// What the host answers to functions that want memory, one answer a call: of each, the alignment and the size.
type Wishes = VecDeque<(u32, u32)>;

struct Host {
    calls: Vec<String>,
    wishes: Wishes,
}

impl Host {
    fn wish(&mut self) -> i64 {
        match self.wishes.pop_front() {
            Some((align, size)) => i64::from(align) << 32 | i64::from(size),
            None => -1,
        }
    }
}

/// The text of a command: fields that make an instance `$i`, whose function `run` it lifts.
pub fn command(fields: &str) -> String {
    lifted(fields, "")
}

/// Likewise, with options of the lifting.
pub fn lifted(fields: &str, options: &str) -> String {
    format!(
        r#"(component {fields}
            (func $run (result (result)) (canon lift (core func $i "run") {options}))
            (instance $run (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $run)))"#
    )
}

/// An interface of one function, which notes a number, lowered as `$note`; and an instance `$host` with it.
pub const NOTE: &str = r#"
    (import "my:host/notes@1.0.0" (instance $notes (export "note" (func (param "n" u32)))))
    (core func $note (canon lower (func $notes "note")))
    (core instance $host (export "note" (func $note)))"#;

/// The call of it that is noted.
pub fn note(number: u32) -> String {
    format!("my:host/notes@1.0.0#note({number})")
}

/// A component as one module.
pub fn flat(text: &str) -> Flattened {
    Guest::from_bytes("component", text)
        .and_then(|guest| wasmrun_flatten::flatten(&guest))
        .unwrap_or_else(|error| panic!("{error:?}\n{text}"))
}

/// Runs a component whose calls want no memory.
pub fn run(text: &str) -> Ran {
    run_wishing(text, [])
}

/// Runs a component; calls that want memory want this, until there is no more.
pub fn run_wishing(text: &str, wishes: impl Into<Wishes>) -> Ran {
    let engine = Engine::default();
    let module = Module::new(&engine, flat(text).module.bytes()).expect("it is valid");
    let host = Host {
        calls: Vec::new(),
        wishes: wishes.into(),
    };
    let mut store = Store::new(&engine, host);
    let mut linker = Linker::new(&engine);
    for import in module.imports() {
        let ty = import.ty().func().expect("functions alone are imported");
        let function = answering(&mut store, import.module(), import.name(), ty);
        linker
            .define(import.module(), import.name(), function)
            .expect("it is not imported twice");
    }
    let ended = linker
        .instantiate_and_start(&mut store, &module)
        .and_then(|instance| {
            let start = instance.get_typed_func::<(), ()>(&store, "_start")?;
            start.call(&mut store, ())
        });
    Ran {
        calls: store.into_data().calls,
        end: ended.err().map(|error| error.to_string()),
    }
}

fn answering(store: &mut Store<Host>, module: &str, name: &str, ty: &FuncType) -> Func {
    let is_cabi = module == "[cabi]";
    let called = match is_cabi {
        true => name.to_owned(),
        false => format!("{module}#{name}"),
    };
    let ends = is_cabi && matches!(name, "trap" | "exit-err");
    let function = move |mut caller: Caller<'_, Host>, params: &[Val], results: &mut [Val]| {
        let params: Vec<_> = params.iter().map(shown).collect();
        let call = format!("{called}({})", params.join(", "));
        if ends {
            return Err(Error::new(call));
        }
        let host = caller.data_mut();
        host.calls.push(call);
        match results {
            [Val::I64(wish)] => *wish = host.wish(),
            // A number that can be told from others.
            [Val::I32(number)] => *number = 100 + host.calls.len() as i32,
            _ => {}
        }
        Ok(())
    };
    Func::new(store, ty.clone(), function)
}

fn shown(value: &Val) -> String {
    match value.ty() {
        ValType::I32 => value.i32().map(|value| (value as u32).to_string()),
        ValType::I64 => value.i64().map(|value| value.to_string()),
        _ => None,
    }
    .unwrap_or_else(|| "?".to_owned())
}
