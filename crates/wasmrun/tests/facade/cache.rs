//! Code that was kept does what code that was just compiled does, on every engine that has any.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use wasmrun::{
    Cache, CacheUse, Choice, Command, Engines, Guest, Limits, Miss, Outcome, Report, RunConfig,
    Stdout,
};
#[cfg(feature = "wasmtime")]
use wasmrun::{Called, HostFunctions, HostInterface, Request};
use wasmrun_testkit::{may_be_missing, particular};

/// Those of this build that have something to keep of a guest.
const ENGINES: &[&str] = &[
    #[cfg(feature = "wasmtime")]
    "wasmtime",
    #[cfg(feature = "wasmer")]
    "wasmer",
    #[cfg(feature = "subprocess")]
    "wasmtime-cli",
    #[cfg(feature = "subprocess")]
    "wasmer-cli",
    #[cfg(feature = "subprocess")]
    "wasmi-cli",
    #[cfg(feature = "subprocess")]
    "wazero-cli",
    #[cfg(feature = "subprocess")]
    "node-cli",
];

/// Those of them that run components.
const COMPONENT_ENGINES: &[&str] = &[
    #[cfg(feature = "wasmtime")]
    "wasmtime",
    #[cfg(feature = "subprocess")]
    "wasmtime-cli",
];

/// Those that are here. A runtime that is missing is a failure, unless it may be.
fn present(engines: &'static [&str]) -> impl Iterator<Item = &'static str> {
    let is_here = |engine: &&str| match Engines::shared().get(engine) {
        Ok(_) => true,
        Err(error) if may_be_missing() => {
            eprintln!("NOT TESTED: {error}");
            false
        }
        Err(error) => panic!("{error} (scripts/runtimes installs all of them)"),
    };
    engines.iter().copied().filter(is_here)
}

const WASI: &str = r#"
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "hello\n")
  (func $hello
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 6))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))"#;

/// Guests that end in different ways, by name.
fn guests() -> Vec<Guest> {
    let module = |name: &str, text: &str| {
        let text = format!("(module {WASI} {text})");
        Guest::from_bytes(name, text).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    vec![
        module("hello", r#"(func (export "_start") (call $hello))"#),
        module(
            "exit",
            r#"(func (export "_start") (call $hello) (call $exit (i32.const 300)))"#,
        ),
        module(
            "start section",
            r#"(start $hello) (func (export "_initialize") (call $hello))
               (func (export "_start") (call $hello))"#,
        ),
        module(
            "trap",
            r#"(func $deep (drop (i32.div_u (i32.const 1) (i32.const 0))))
               (func (export "_start") (call $hello) (call $deep))"#,
        ),
        module(
            "recursion",
            r#"(func $f (export "_start") (call $f) (call $hello))"#,
        ),
        module(
            "table",
            r#"(table 2 funcref) (elem (i32.const 0) $hello)
               (func (export "_start")
                 (call_indirect (i32.const 0)) (call_indirect (i32.const 1)))"#,
        ),
        module(
            "grows",
            r#"(func (export "_start")
                 (call $exit (memory.grow (i32.const 10))))"#,
        ),
        module(
            "data",
            &format!(
                r#"(data (i32.const 1000) "{}")
                   (func (export "_start")
                     (call $hello) (call $exit (i32.load8_u (i32.const 60000))))"#,
                "z".repeat(100_000),
            ),
        ),
        module(
            "computes",
            r#"(func (export "_start") (local $i i32)
                 (loop (local.set $i (i32.add (local.get $i) (i32.const 1)))
                       (br_if 0 (i32.lt_u (local.get $i) (i32.const 10000))))
                 (call $exit (i32.rem_u (local.get $i) (i32.const 251))))"#,
        ),
    ]
}

fn configs() -> Vec<RunConfig> {
    let limited = |change: fn(&mut Limits)| RunConfig::new().stdout(Stdout::Capture).limit(change);
    vec![
        limited(|_| {}),
        limited(|limits| limits.fuel = Some(1_000_000)),
        limited(|limits| limits.fuel = Some(50)),
        limited(|limits| limits.timeout = Some(Duration::from_secs(60))),
        limited(|limits| limits.memory = Some(4 << 16)),
        limited(|limits| {
            limits.fuel = Some(1_000_000);
            limits.timeout = Some(Duration::from_secs(60));
        }),
    ]
}

struct Here(TempDir);

impl Here {
    fn new() -> Here {
        Here(TempDir::new().expect("a directory"))
    }

    /// As a process of its own would have them.
    fn engines(&self) -> Engines {
        Engines::new().with_cache(self.cache())
    }

    fn cache(&self) -> Cache {
        Cache::open(self.0.path().join("cache")).expect("a cache")
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).expect("writes");
        path
    }
}

fn run(engines: &Engines, engine: &str, guest: &Guest, config: &RunConfig) -> Report {
    let report = engines
        .compile(guest, config, &Choice::from(engine))
        .and_then(|program| program.run(config));
    report.unwrap_or_else(|error| panic!("{engine}, {guest:?}: {error:?}"))
}

/// All of a report that is the same each time.
fn essence(report: &Report) -> impl PartialEq + std::fmt::Debug {
    let message = match &report.outcome {
        // Runtimes name a file of that run.
        Outcome::Trapped(trap) if !report.engine.ends_with("-cli") => trap.message.clone(),
        _ => String::new(),
    };
    (
        report.outcome.clone(),
        message,
        report.stdout.clone(),
        report.stats.fuel_used,
        report.stats.peak_memory,
    )
}

#[test]
fn a_hit_ends_as_a_cold_run_does_with_fuel_and_limits_too() {
    let here = Here::new();
    for engine in present(ENGINES) {
        for guest in guests() {
            for config in configs() {
                let cold = run(&Engines::new(), engine, &guest, &config);
                assert_eq!(cold.stats.cache, None);
                let first = run(&here.engines(), engine, &guest, &config);
                let second = run(&here.engines(), engine, &guest, &config);
                let what = format!("{engine}, {guest:?}, {config:?}");
                assert_eq!(second.stats.cache, Some(CacheUse::Hit), "{what}");
                assert_eq!(essence(&first), essence(&cold), "{what}");
                assert_eq!(essence(&second), essence(&cold), "{what}");
            }
        }
    }
    assert!(here.cache().verify().expect("verifies").damaged.is_empty());
}

#[test]
fn a_timeout_ends_code_from_the_cache_in_loops_and_long_operations() {
    let here = Here::new();
    let config = RunConfig::new().limit(|limits| limits.timeout = Some(Duration::from_millis(50)));
    for body in [
        "(loop (br 0))",
        "(loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 131072)) (br 0))",
    ] {
        let text = format!(r#"(module (memory 2) (func (export "_start") {body}))"#);
        let guest = Guest::from_bytes("loop.wat", text).expect("a guest");
        for engine in present(ENGINES) {
            for _ in 0..2 {
                let report = run(&here.engines(), engine, &guest, &config);
                assert_eq!(report.outcome, Outcome::TimedOut, "{engine}");
            }
            let report = run(&here.engines(), engine, &guest, &config);
            assert_eq!(report.stats.cache, Some(CacheUse::Hit), "{engine}");
        }
    }
}

#[test]
fn many_runs_at_once_share_code_from_the_cache() {
    let here = Here::new();
    let guest = &guests()[0];
    let config = RunConfig::new().stdout(Stdout::Capture);
    for engine in present(ENGINES) {
        run(&here.engines(), engine, guest, &config);
        let program = here
            .engines()
            .compile(guest, &config, &Choice::from(engine))
            .expect("loads");
        assert_eq!(program.cache_use(), Some(&CacheUse::Hit));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let report = program.run(&config).expect("runs");
                        assert_eq!(report.stdout.bytes, b"hello\n");
                    }
                });
            }
        });
    }
}

#[cfg(feature = "subprocess")]
#[test]
fn a_compiler_that_takes_its_time_is_used_only_when_nobody_waits() {
    for engine in present(&["wasmedge-cli"]) {
        for guest in guests() {
            for config in configs() {
                let here = Here::new();
                let what = format!("{engine}, {guest:?}, {config:?}");
                let cold = run(&Engines::new(), engine, &guest, &config);
                let first = run(&here.engines(), engine, &guest, &config);
                let Some(CacheUse::Miss {
                    not_kept: Some(why),
                    ..
                }) = &first.stats.cache
                else {
                    panic!("{what}: {:?}", first.stats.cache);
                };
                assert!(why.contains("wasmrun compile"), "{why}");
                let runtime = here.engines().get(engine).expect("it is here");
                wasmrun::Program::compile_with(
                    runtime,
                    &guest,
                    &config,
                    wasmrun::Compilation::new().cache(&here.cache()).ahead(),
                )
                .expect("compiles");
                let second = run(&here.engines(), engine, &guest, &config);
                assert_eq!(second.stats.cache, Some(CacheUse::Hit), "{what}");
                assert_eq!(essence(&second), essence(&cold), "{what}");
            }
        }
    }
}

/// Another process may remove it to make room, after it was found.
#[cfg(feature = "subprocess")]
#[test]
fn code_that_is_gone_is_done_without_unless_the_guest_has_changed() {
    let here = Here::new();
    let file = here.file("app.wasm", guests()[1].bytes());
    thread::sleep(Duration::from_millis(3100));
    let config = RunConfig::new().stdout(Stdout::Capture);
    let open = || {
        here.engines()
            .guest(&file, Guest::DEFAULT_MAX_BYTES)
            .expect("a guest")
    };
    for engine in present(&["wasmtime-cli"]) {
        run(&here.engines(), engine, &open(), &config);
        let known = open();
        assert!(!known.is_read());
        let choice = Choice::from(engine);
        let program = here
            .engines()
            .compile(&known, &config, &choice)
            .expect("loads");
        assert_eq!(program.cache_use(), Some(&CacheUse::Hit));
        here.cache().clear().expect("clears");
        fs::write(&file, guests()[0].bytes()).expect("writes");
        let error = program.run(&config).expect_err("it is another guest");
        assert!(error.to_string().contains("has changed"), "{error}");
        fs::write(&file, guests()[1].bytes()).expect("writes");
        let report = program.run(&config).expect("runs");
        assert_eq!(report.outcome, Outcome::Exited(300));
    }
}

#[test]
fn components_are_kept_too() {
    let component = |name: &str, body: &str| {
        Guest::from_bytes(name, particular::component(body)).expect("a guest")
    };
    let guests = [
        component("fails", "(i32.const 1)"),
        component("traps", "(i32.div_u (i32.const 1) (i32.const 0))"),
        component(
            "computes",
            "(local $i i32)
             (loop (local.set $i (i32.add (local.get $i) (i32.const 1)))
                   (br_if 0 (i32.lt_u (local.get $i) (i32.const 1000))))
             (i32.const 0)",
        ),
    ];
    for engine in present(COMPONENT_ENGINES) {
        for guest in &guests {
            for config in configs() {
                let here = Here::new();
                let what = format!("{engine}, {guest:?}, {config:?}");
                let cold = run(&Engines::new(), engine, guest, &config);
                for hit in [false, true] {
                    let report = run(&here.engines(), engine, guest, &config);
                    let was_hit = report.stats.cache == Some(CacheUse::Hit);
                    assert_eq!(was_hit, hit, "{what}: {:?}", report.stats.cache);
                    assert_eq!(report.outcome, cold.outcome, "{what}");
                }
            }
        }
    }
}

#[cfg(feature = "wasix")]
#[test]
fn guests_that_use_wasix_are_kept_too() {
    let here = Here::new();
    let text = r#"(module
        (import "wasix_32v1" "proc_id" (func $pid (param i32) (result i32)))
        (import "wasix_32v1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func $begin (i32.store (i32.const 100) (i32.const 42)))
        (start $begin)
        (func (export "_start")
            (if (call $pid (i32.const 8)) (then unreachable))
            (call $exit (i32.load (i32.const 100)))))"#;
    let guest = Guest::from_bytes("wasix.wat", text).expect("a guest");
    for _ in 0..2 {
        let report = run(&here.engines(), "wasmer", &guest, &RunConfig::new());
        assert_eq!(report.outcome, Outcome::Exited(42));
    }
    let report = run(&here.engines(), "wasmer", &guest, &RunConfig::new());
    assert_eq!(report.stats.cache, Some(CacheUse::Hit));
}

#[test]
fn truncated_code_is_compiled_anew_and_never_loaded() {
    let here = Here::new();
    let guest = &guests()[0];
    let config = RunConfig::new().stdout(Stdout::Capture);
    for engine in present(ENGINES) {
        for keep in [0, 1, 64, 4096] {
            run(&here.engines(), engine, guest, &config);
            let entries = here.cache().list().expect("lists");
            let entry = entries.iter().find(|entry| entry.engine == engine);
            let code = fs::File::options()
                .write(true)
                .open(&entry.expect("an entry").path)
                .expect("opens");
            code.set_len(keep).expect("truncates");
            let report = run(&here.engines(), engine, guest, &config);
            let miss = CacheUse::Miss {
                why: Miss::Damaged,
                not_kept: None,
            };
            assert_eq!(report.stats.cache, Some(miss), "{engine}, {keep}");
            assert_eq!(report.stdout.bytes, b"hello\n");
        }
    }
}

#[test]
fn a_warm_start_does_not_read_the_guest() {
    let here = Here::new();
    let file = here.file("app.wasm", guests()[1].bytes());
    // Until the file is certain to be older than what is known of it.
    thread::sleep(Duration::from_millis(3100));
    for engine in present(ENGINES) {
        let output = || {
            let mut command = Command::new(&file);
            let command = command.engine(engine).cache(here.cache());
            command.output().expect("runs")
        };
        let cold = output();
        let warm = output();
        assert!(matches!(cold.stats.cache, Some(CacheUse::Miss { .. })));
        assert_eq!(warm.stats.cache, Some(CacheUse::Hit), "{engine}");
        assert_eq!(essence(&warm), essence(&cold), "{engine}");
        let guest = here
            .engines()
            .guest(&file, Guest::DEFAULT_MAX_BYTES)
            .expect("a guest");
        assert!(!guest.is_read());
    }
}

#[cfg(feature = "wasmtime")]
#[test]
fn a_component_that_calls_the_host_is_kept_and_checked_unread_too() {
    const GUEST: &str = r#"(component
        (import "acme:host/numbers@1.0.0" (instance $host
            (export "next" (func (param "number" u32) (result u32)))))
        (core func $next (canon lower (func $host "next")))
        (core module $m
            (import "host" "next" (func $next (param i32) (result i32)))
            (func (export "next") (param i32) (result i32) (call $next (local.get 0))))
        (core instance $i (instantiate $m (with "host" (instance (export "next" (func $next))))))
        (func (export "next") (param "number" u32) (result u32) (canon lift (core func $i "next"))))"#;
    let here = Here::new();
    let guest = Guest::from_bytes("app.wat", GUEST).expect("a guest");
    let file = here.file("app.wasm", guest.bytes());
    // Until the file is certain to be older than what is known of it.
    thread::sleep(Duration::from_millis(3100));
    let config = RunConfig::new();
    let compile = |interface| {
        let engines = here.engines();
        let guest = engines.guest(&file, Guest::DEFAULT_MAX_BYTES)?;
        let host = HostFunctions::new().interface("acme:host/numbers@1.0.0", interface);
        let request = Request::new(&config, &host).live();
        let program = engines.compile(&guest, request, &Choice::from("wasmtime"))?;
        Ok::<_, wasmrun::Error>((guest.is_read(), program))
    };
    for hit in [false, true] {
        let next = HostInterface::new().function("next", |_, (number,): (u32,)| number + 1);
        let (was_read, program) = compile(next).expect("a program");
        assert_eq!(was_read, !hit);
        assert_eq!(program.cache_use() == Some(&CacheUse::Hit), hit);
        let mut instance = program.instantiate(&config).expect("an instance");
        let called = instance.call_component_as("next", (20_u32,));
        assert_eq!(called.expect("a call"), Called::Returned(21_u32));
    }
    let other = HostInterface::new().function("next", |_, (number,): (u64,)| number);
    let error = compile(other).expect_err("of another type");
    assert!(
        error
            .message()
            .ends_with("and the host has it as func(u64) -> u64"),
        "{error}"
    );
}
