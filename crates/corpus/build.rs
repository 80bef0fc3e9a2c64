//! Generates the corpus: by wasm-smith from random bytes, by wasm-mutate from programs that work, and by
//! wit-component from those programs as they are.

use std::path::Path;
use std::{env, error, fs, iter};

use arbitrary::Unstructured;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wasm_mutate::WasmMutate;
use wasm_smith::{Component, Config, Module};
use wit_component::ComponentEncoder;

type Result<T> = std::result::Result<T, Box<dyn error::Error>>;

/// How many modules each profile of wasm-smith gives, and how many components it gives.
const GENERATED: u64 = 250;
/// How many descendants each program has.
const MUTATED: u64 = 100;
/// How many mutations lie between a program and its last descendant, at most.
const GENERATIONS: u32 = 6;

/// What a command exports.
const COMMAND: &str = r#"(module (func (export "_start")) (memory (export "memory") 1))"#;

/// Functions of WASI that a guest could do harm with.
const WASI: &str = include_str!("wasi.wat");

/// Programs that work.
const PROGRAMS: [(&str, &str); 4] = [
    ("writes", include_str!("programs/writes.wat")),
    ("computes", include_str!("programs/computes.wat")),
    ("opens", include_str!("programs/opens.wat")),
    ("tables", include_str!("programs/tables.wat")),
];

fn main() -> Result<()> {
    for input in ["build.rs", "wasi.wat", "programs"] {
        println!("cargo::rerun-if-changed={input}");
    }
    println!("cargo::rerun-if-env-changed=WASMRUN_CORPUS_SEED");
    let seed = match env::var("WASMRUN_CORPUS_SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => 0,
    };
    println!("cargo::rustc-env=WASMRUN_CORPUS_SEED={seed}");
    let mut corpus = Vec::new();
    for (name, config) in profiles()? {
        for number in 0..GENERATED {
            let module = generated(seed << 32 | number, |bytes| {
                Ok(Module::new(config.clone(), bytes)?.to_bytes())
            })?;
            write(&mut corpus, &format!("{name} {number}"), &module)?;
        }
    }
    for number in 0..GENERATED {
        let component = generated(seed << 32 | number, |bytes| {
            let config = bytes.arbitrary()?;
            Ok(Component::new(config, bytes)?.to_bytes())
        })?;
        write(&mut corpus, &format!("component {number}"), &component)?;
    }
    for (name, text) in PROGRAMS {
        let program = wat::parse_str(text)?;
        write(&mut corpus, &format!("{name} wrapped"), &wrapped(&program)?)?;
        for number in 0..MUTATED {
            let module = mutated(&program, seed << 32 | number);
            write(&mut corpus, &format!("{name} mutated {number}"), &module)?;
        }
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("corpus"), corpus)?;
    Ok(())
}

fn profiles() -> Result<Vec<(&'static str, Config)>> {
    // Only what every engine here takes.
    let command = Config {
        max_instructions: 300,
        max_funcs: 20,
        max_types: 20,
        exports: Some(wat::parse_str(COMMAND)?),
        available_imports: Some(wat::parse_str(WASI)?),
        memory64_enabled: false,
        threads_enabled: false,
        gc_enabled: false,
        tail_call_enabled: false,
        max_memory32_bytes: 1 << 20,
        ..Config::default()
    };
    let greedy = Config {
        max_memories: 10,
        max_tables: 10,
        max_memory32_bytes: 1 << 32,
        max_table_elements: u64::from(u32::MAX),
        memory64_enabled: true,
        gc_enabled: true,
        tail_call_enabled: true,
        ..command.clone()
    };
    let invalid = Config {
        allow_invalid_funcs: true,
        ..command.clone()
    };
    let anything = Config {
        max_instructions: 300,
        export_everything: true,
        max_memories: 4,
        max_tables: 4,
        wide_arithmetic_enabled: true,
        custom_page_sizes_enabled: true,
        generate_custom_sections: true,
        ..Config::default()
    };
    Ok(vec![
        ("command", command),
        ("greedy", greedy),
        ("invalid", invalid),
        ("anything", anything),
    ])
}

fn random(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// The first that comes of the random numbers: some bytes give none.
fn generated(
    seed: u64,
    generate: impl Fn(&mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>>,
) -> Result<Vec<u8>> {
    let mut random = random(seed);
    let first = iter::repeat_with(|| {
        let mut bytes = vec![0; random.random_range(100..6000)];
        random.fill_bytes(&mut bytes);
        generate(&mut Unstructured::new(&bytes))
    })
    .take(100)
    .find_map(std::result::Result::ok);
    Ok(first.ok_or("wasm-smith gives nothing")?)
}

/// A program as a component.
fn wrapped(program: &[u8]) -> Result<Vec<u8>> {
    Ok(ComponentEncoder::default()
        .module(program)?
        .adapter(
            WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
            WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
        )?
        .encode()?)
}

/// A descendant of `program`, as far as mutations of it were found.
fn mutated(program: &[u8], seed: u64) -> Vec<u8> {
    let mut random = random(seed);
    let mut module = program.to_vec();
    for _ in 0..random.random_range(1..=GENERATIONS) {
        let mut mutate = WasmMutate::default();
        mutate.seed(random.next_u64()).preserve_semantics(false);
        mutate.fuel(1000);
        let next = mutate
            .run(&module)
            .ok()
            .and_then(|mut descendants| descendants.next()?.ok());
        module = next.unwrap_or(module);
    }
    module
}

fn write(corpus: &mut Vec<u8>, name: &str, module: &[u8]) -> Result<()> {
    for part in [name.as_bytes(), module] {
        corpus.extend(u32::try_from(part.len())?.to_le_bytes());
        corpus.extend(part);
    }
    Ok(())
}
