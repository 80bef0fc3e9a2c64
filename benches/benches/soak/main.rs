//! What is left behind by very many calls, and what very many guests take that live at the same time:
//! `cargo bench -p wasmrun-benches --bench soak`, of all engines or those that are named. `cargo test` has a few of each.

mod process;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use process::Process;
use wasmrun::{
    Called, Engine, Engines, Guest, HostFunctions, Instance, Place, Program, Request, RunConfig,
    Stdout,
};

/// Calls the host once for each call of its own.
const ADDER: &str = r#"(module
    (import "host" "add" (func $add (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "add") (param i32 i32) (result i32)
        (i32.store (i32.const 0) (local.get 0))
        (call $add (i32.load (i32.const 0)) (local.get 1))))"#;

/// Sleeps for ten minutes.
const SLEEPER: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff"
        (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store (i32.const 16) (i32.const 1))
        (i64.store (i32.const 24) (i64.const 600000000000))
        (drop (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 256)))))"#;

const THREADS: u32 = 8;

/// How much there is of everything.
struct Amounts {
    calls: u32,
    /// Of a runtime in a process of its own, whose calls take a thousand times as long.
    distant_calls: u32,
    guests: u32,
}

fn main() {
    if cfg!(feature = "wasmedge") {
        wasmrun_testkit::restart_with_wasmedge();
    }
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let is_asked_for = |name: &str| {
        let mut names = arguments.iter().filter(|name| !name.starts_with('-'));
        names.clone().next().is_none() || names.any(|asked| asked == name)
    };
    let amounts = match arguments.iter().any(|argument| argument == "--bench") {
        true => Amounts {
            calls: 1_000_000,
            distant_calls: 20_000,
            guests: 10_000,
        },
        false => Amounts {
            calls: 2_000,
            distant_calls: 80,
            guests: 20,
        },
    };
    let engines = Engines::shared().all().into_iter();
    for (name, engine) in engines.filter(|(name, _)| is_asked_for(name)) {
        let engine = match engine {
            Ok(engine) => engine,
            Err(error) => {
                eprintln!("left out: {error}");
                continue;
            }
        };
        let in_process = engine.info().place == Place::InProcess;
        let calls = match in_process {
            true => amounts.calls,
            false => amounts.distant_calls,
        };
        println!("\n{name}");
        call_and_call_again(&engine, calls);
        if in_process {
            keep(&engine, amounts.guests);
            sleep(&engine, amounts.guests);
        }
    }
}

/// So many calls by all threads together, with an instance for each thread, which is reset now and then; each calls the
/// host.
fn call_and_call_again(engine: &Arc<dyn Engine>, calls: u32) {
    let host = HostFunctions::new().function("host", "add", |a: i32, b: i32| a.wrapping_add(b));
    let config = quiet();
    let guest = Guest::from_bytes("adder.wasm", ADDER).expect("the guest is sound");
    let request = Request::new(&config, &host).live();
    let program = Program::compile(engine.clone(), &guest, request).expect("it compiles");
    // What is made once, by the first.
    let share = calls / THREADS;
    on_threads(&program, &config, share / 10);
    let (before, began) = (Process::now(), Instant::now());
    on_threads(&program, &config, share);
    println!(
        "  {calls} calls by {THREADS} threads in {:.1?}: {}",
        began.elapsed(),
        Process::now().since(&before)
    );
}

fn on_threads(program: &Program, config: &RunConfig, calls: u32) {
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut instance = program.instantiate(config).expect("an instance");
                call(&mut instance, calls);
            });
        }
    });
}

fn call(instance: &mut Instance, calls: u32) {
    let add = instance.typed::<(u32, u32), u32>("add").expect("its type");
    for number in 0..calls {
        let sum = add.call(instance, (number, 1)).expect("a call");
        assert_eq!(sum, Called::Returned(number + 1));
        if number % 1000 == 999 {
            instance.reset().expect("it begins anew");
        }
    }
}

/// So many instances that live at the same time.
fn keep(engine: &Arc<dyn Engine>, count: u32) {
    let host = HostFunctions::new().function("host", "add", |a: i32, b: i32| a.wrapping_add(b));
    let config = quiet();
    let guest = Guest::from_bytes("adder.wasm", ADDER).expect("the guest is sound");
    let request = Request::new(&config, &host).live();
    let program = Program::compile(engine.clone(), &guest, request).expect("it compiles");
    let before = Process::now();
    let mut instances = Vec::new();
    for _ in 0..count {
        match program.instantiate(&config) {
            Ok(mut instance) => {
                call(&mut instance, 1);
                instances.push(instance);
            }
            Err(error) => {
                println!("  no more than {} instances: {error}", instances.len());
                break;
            }
        }
    }
    tell("instances", instances.len(), &before);
    drop(instances);
    println!("    and without them: {}", Process::now().since(&before));
}

/// So many runs that sleep at the same time, each on a thread of its own.
fn sleep(engine: &Arc<dyn Engine>, count: u32) {
    let config = quiet().killable(true);
    let guest = Guest::from_bytes("sleeper.wasm", SLEEPER).expect("the guest is sound");
    let program = Program::compile(engine.clone(), &guest, &config).expect("it compiles");
    let before = Process::now();
    let mut runs = Vec::new();
    for _ in 0..count {
        match program.start(&config) {
            Ok(run) => runs.push(run),
            Err(error) => {
                println!("  no more than {} runs: {error}", runs.len());
                break;
            }
        }
    }
    // Until all of them sleep.
    thread::sleep(Duration::from_millis(u64::from(count / 5)));
    tell("sleeping runs", runs.len(), &before);
    for run in &runs {
        run.kill().expect("killable");
    }
    let mut failed = None;
    for run in runs {
        if let Err(error) = run.wait() {
            failed.get_or_insert((0, error)).0 += 1;
        }
    }
    if let Some((count, error)) = failed {
        println!("    {count} of them failed, as in: {error}");
    }
    println!("    and without them: {}", Process::now().since(&before));
}

fn tell(what: &str, count: usize, before: &Process) {
    let now = Process::now();
    println!(
        "  {count} {what}, {:.1} KiB each: {}",
        (now.resident.saturating_sub(before.resident)) as f64 / 1024.0 / count.max(1) as f64,
        now.since(before)
    );
}

fn quiet() -> RunConfig {
    RunConfig::new().stdout(Stdout::Null).stderr(Stdout::Null)
}
