//! Whole programs, as modules and as components.

mod common;

use common::{both, captured, command, component, module, outcome, refused, run};
use wasmrun_core::{Access, ErrorKind, Network, Outcome, Random, RunConfig, Stdin};

fn hello() -> String {
    command(
        r#"(data (i32.const 100) "hello\n")
           (func (export "_start") (call $write (i32.const 100) (i32.const 6)))"#,
    )
}

#[test]
fn a_program_prints() {
    for guest in both(&hello()) {
        let report = run(&guest, &captured());
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(report.stdout.bytes, b"hello\n");
    }
}

#[test]
fn a_report_says_what_a_run_cost() {
    for guest in both(&hello()) {
        let stats = run(&guest, &captured()).stats;
        assert!(stats.compile.is_some() && stats.instantiate.is_some() && stats.run.is_some());
        assert!(stats.peak_memory.is_some_and(|bytes| bytes >= 65_536));
        assert_eq!(stats.fuel_used, None);
    }
}

#[test]
fn exit_codes_of_modules_arrive_whole() {
    for code in [0, 42, 126, 200, -1] {
        let guest = module(&command(&format!(
            r#"(func (export "_start") (call $proc_exit (i32.const {code})) unreachable)"#
        )));
        assert_eq!(outcome(&guest, &RunConfig::new()), Outcome::Exited(code));
    }
}

#[test]
fn a_component_exits_with_success_or_failure() {
    for (code, exited) in [(0, 0), (42, 1)] {
        let guest = component(&command(&format!(
            r#"(func (export "_start") (call $proc_exit (i32.const {code})) unreachable)"#
        )));
        assert_eq!(outcome(&guest, &RunConfig::new()), Outcome::Exited(exited));
    }
}

/// A component of its own making, that needs no adapter.
fn bare(import: &str, run: &str) -> wasmrun_core::Guest {
    let text = format!(
        r#"(component
            {import}
            (core module $main (func (export "run") (result i32) {run}))
            (core instance $main (instantiate $main))
            (func $run (result (result)) (canon lift (core func $main "run")))
            (instance $command (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $command)))"#
    );
    wasmrun_core::Guest::from_bytes("bare.wat", text).expect("a component")
}

#[test]
fn what_run_returns_is_the_exit_code_of_a_component() {
    for code in [0, 1] {
        let guest = bare("", &format!("i32.const {code}"));
        assert_eq!(outcome(&guest, &RunConfig::new()), Outcome::Exited(code));
    }
}

#[test]
fn a_component_can_be_started_by_the_name_of_its_entry() {
    let guest = bare("", "i32.const 0");
    for entry in ["_start", "wasi:cli/run", "wasi:cli/run@0.2.0"] {
        let config = RunConfig::new().entry(entry);
        assert_eq!(outcome(&guest, &config), Outcome::Exited(0));
    }
}

#[test]
fn a_component_may_exit_with_a_code() {
    let text = r#"(component
        (import "wasi:cli/exit@0.2.0" (instance $exit
            (export "exit-with-code" (func (param "status-code" u8)))))
        (core func $exit (canon lower (func $exit "exit-with-code")))
        (core module $main
            (import "host" "exit" (func $exit (param i32)))
            (func (export "run") (result i32) (call $exit (i32.const 77)) unreachable))
        (core instance $host (export "exit" (func $exit)))
        (core instance $main (instantiate $main (with "host" (instance $host))))
        (func $run (result (result)) (canon lift (core func $main "run")))
        (instance $command (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $command)))"#;
    let guest = wasmrun_core::Guest::from_bytes("exit.wat", text).expect("a component");
    assert_eq!(outcome(&guest, &RunConfig::new()), Outcome::Exited(77));
}

#[test]
fn a_component_is_told_its_working_directory() {
    let text = r#"(component
        (import "wasi:cli/environment@0.2.0" (instance $environment
            (export "initial-cwd" (func (result (option string))))))
        (core module $libc
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
        (core instance $libc (instantiate $libc))
        (core func $cwd (canon lower (func $environment "initial-cwd")
            (memory $libc "memory") (realloc (func $libc "realloc"))))
        (core module $main
            (import "host" "cwd" (func $cwd (param i32)))
            (import "libc" "memory" (memory 1))
            ;; Succeeds if there is one and it begins with "/dat".
            (func (export "run") (result i32)
                (call $cwd (i32.const 16))
                (i32.eqz (i32.and
                    (i32.load8_u (i32.const 16))
                    (i32.eq (i32.load (i32.const 1024)) (i32.const 0x7461642f))))))
        (core instance $host (export "cwd" (func $cwd)))
        (core instance $main (instantiate $main
            (with "host" (instance $host)) (with "libc" (instance $libc))))
        (func $run (result (result)) (canon lift (core func $main "run")))
        (instance $command (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $command)))"#;
    let guest = wasmrun_core::Guest::from_bytes("cwd.wat", text).expect("a component");
    assert_eq!(outcome(&guest, &RunConfig::new()), Outcome::Exited(1));
    let config = RunConfig::new().working_directory("/data");
    assert_eq!(outcome(&guest, &config), Outcome::Exited(0));
}

#[test]
fn a_component_gets_a_socket_only_where_the_network_is_granted() {
    let text = r#"(component
        (import "wasi:sockets/network@0.2.0" (instance $network
            (type $code (enum "unknown" "access-denied" "not-supported"
                "invalid-argument" "out-of-memory" "timeout" "concurrency-conflict"
                "not-in-progress" "would-block" "invalid-state" "new-socket-limit"
                "address-not-bindable" "address-in-use" "remote-unreachable"
                "connection-refused" "connection-reset" "connection-aborted"
                "datagram-too-large" "name-unresolvable" "temporary-resolver-failure"
                "permanent-resolver-failure"))
            (export "error-code" (type (eq $code)))
            (type $version (enum "ipv4" "ipv6"))
            (export "ip-address-family" (type (eq $version)))))
        (alias export $network "error-code" (type $error))
        (alias export $network "ip-address-family" (type $family))
        (import "wasi:sockets/tcp@0.2.0" (instance $tcp
            (export "tcp-socket" (type (sub resource)))))
        (alias export $tcp "tcp-socket" (type $socket))
        (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
            (alias outer 1 $error (type $error-here))
            (export "error-code" (type $e (eq $error-here)))
            (alias outer 1 $family (type $family-here))
            (export "ip-address-family" (type $f (eq $family-here)))
            (alias outer 1 $socket (type $socket-here))
            (export "tcp-socket" (type $s (eq $socket-here)))
            (export "create-tcp-socket" (func
                (param "address-family" $f) (result (result (own $s) (error $e)))))))
        (core module $libc (memory (export "memory") 1))
        (core instance $libc (instantiate $libc))
        (core func $create (canon lower (func $create "create-tcp-socket")
            (memory $libc "memory")))
        (core module $main
            (import "host" "create" (func $create (param i32 i32)))
            (import "libc" "memory" (memory 1))
            (func (export "run") (result i32)
                (call $create (i32.const 0) (i32.const 16))
                (i32.load8_u (i32.const 16))))
        (core instance $host (export "create" (func $create)))
        (core instance $main (instantiate $main
            (with "host" (instance $host)) (with "libc" (instance $libc))))
        (func $run (result (result)) (canon lift (core func $main "run")))
        (instance $command (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $command)))"#;
    let guest = wasmrun_core::Guest::from_bytes("socket.wat", text).expect("a component");
    assert_eq!(outcome(&guest, &RunConfig::new()), Outcome::Exited(1));
    let config = RunConfig::new().network(Network::Host);
    assert_eq!(outcome(&guest, &config), Outcome::Exited(0));
}

#[test]
fn seeded_random_numbers_are_those_of_modules_in_components_too() {
    let draw = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (drop (call $random (i32.const 100) (i32.const 32)))
            (i32.store (i32.const 0) (i32.const 100))
            (i32.store (i32.const 4) (i32.const 32))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;
    let drawn = |seed| {
        let config = captured().random(Random::Seeded(seed));
        both(draw).map(|guest| run(&guest, &config).stdout.bytes)
    };
    let [module, component] = drawn(7);
    assert_eq!(module.len(), 32);
    assert_eq!(module, component);
    assert_ne!(drawn(8)[0], module);
}

#[test]
fn a_program_reads_its_input() {
    let echo = command(
        r#"(func (export "_start")
            (local $read i32)
            (loop $again
                (local.set $read (call $read (i32.const 100) (i32.const 5)))
                (if (local.get $read) (then
                    (call $write (i32.const 100) (local.get $read))
                    (br $again)))))"#,
    );
    let config = captured().stdin(Stdin::Bytes(b"some more input".to_vec()));
    for guest in both(&echo) {
        assert_eq!(run(&guest, &config).stdout.bytes, b"some more input");
    }
}

#[test]
fn a_program_sees_its_arguments_and_environment() {
    let show = r#"(module
        (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "args_sizes_get"
            (func $args_sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_sizes_get"
            (func $env_sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func $write (param $len i32)
            (i32.store (i32.const 0) (i32.const 1000))
            (i32.store (i32.const 4) (local.get $len))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
        (func (export "_start")
            (drop (call $args (i32.const 500) (i32.const 1000)))
            (drop (call $args_sizes (i32.const 16) (i32.const 20)))
            (call $write (i32.load (i32.const 20)))
            (drop (call $env (i32.const 500) (i32.const 1000)))
            (drop (call $env_sizes (i32.const 16) (i32.const 20)))
            (call $write (i32.load (i32.const 20)))))"#;
    let config = captured().argv0("me").args(["-x", "", "ü"]).env("K", "V=W");
    for guest in both(show) {
        let shown = run(&guest, &config).stdout.bytes;
        assert_eq!(String::from_utf8_lossy(&shown), "me\0-x\0\0ü\0K=V=W\0");
    }
}

#[test]
fn a_directory_can_be_read_only() {
    // Exits with the errno of creating a file in the first directory.
    let create = r#"(module
        (import "wasi_snapshot_preview1" "path_open" (func $path_open
            (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 100) "new")
        (func (export "_start")
            (call $proc_exit (call $path_open
                (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 3)
                (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 8)))))"#;
    let dir = tempfile::tempdir().expect("a directory");
    for guest in both(create) {
        let with = |access| RunConfig::new().map_dir(dir.path(), "/data", access);
        assert_ne!(outcome(&guest, &with(Access::ReadOnly)), Outcome::Exited(0));
        assert!(!dir.path().join("new").exists());
        assert_eq!(
            outcome(&guest, &with(Access::ReadWrite)),
            Outcome::Exited(0)
        );
        std::fs::remove_file(dir.path().join("new")).expect("it was created");
    }
}

#[test]
fn the_predecessor_of_preview1_works() {
    let guest = module(&hello().replace("wasi_snapshot_preview1", "wasi_unstable"));
    assert_eq!(run(&guest, &captured()).stdout.bytes, b"hello\n");
}

#[test]
fn a_chosen_entry_is_called_after_initialize() {
    let guest = module(&command(
        r#"(data (i32.const 100) "ie")
           (func (export "_initialize") (call $write (i32.const 100) (i32.const 1)))
           (func (export "_start") unreachable)
           (func (export "entry") (call $write (i32.const 101) (i32.const 1)))"#,
    ));
    let printed = |entry: &str| run(&guest, &captured().entry(entry)).stdout.bytes;
    assert_eq!(printed("entry"), b"ie");
    assert_eq!(printed("_initialize"), b"i");
}

#[test]
fn a_start_section_runs_first_and_may_call_the_host() {
    let guest = module(&command(
        r#"(data (i32.const 100) "sm")
           (func $first (call $write (i32.const 100) (i32.const 1)))
           (start $first)
           (func (export "_start") (call $write (i32.const 101) (i32.const 1)))"#,
    ));
    assert_eq!(run(&guest, &captured()).stdout.bytes, b"sm");
}

#[test]
fn exiting_in_a_start_section_is_an_exit() {
    let guest = module(&command(
        r#"(func $first (call $proc_exit (i32.const 3)))
           (start $first)
           (func (export "_start"))"#,
    ));
    assert_eq!(outcome(&guest, &RunConfig::new()), Outcome::Exited(3));
}

#[test]
fn one_program_runs_many_times_at_the_same_time() {
    for guest in both(&hello()) {
        let program = common::compile(&guest, &captured());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let report = program.run(&captured()).expect("runs");
                        assert_eq!(report.stdout.bytes, b"hello\n");
                    }
                });
            }
        });
    }
}

#[test]
fn invalid_code_is_refused_when_compiled() {
    let module = wat::parse_str(r#"(module (func (export "_start") i32.const 1))"#).expect("text");
    let guest = wasmrun_core::Guest::from_bytes("bad.wasm", module).expect("well-formed");
    let error = refused(&guest, &RunConfig::new());
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    assert!(!error.to_string().contains('\n'));
}

#[test]
fn an_import_of_another_type_than_wasis_is_refused_by_name() {
    let guest = module(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32)))
            (func (export "_start")))"#,
    );
    let error = refused(&guest, &RunConfig::new());
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.to_string().contains("fd_close"), "{error}");
}

#[test]
fn a_shared_memory_is_refused() {
    let guest = module(r#"(module (memory 1 2 shared) (func (export "_start")))"#);
    let error = refused(&guest, &RunConfig::new());
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.to_string().contains("threads"), "{error}");
}

#[test]
fn each_proposal_it_claims_compiles() {
    for (name, text) in [
        (
            "multi-value",
            "(func (result i32 i32) i32.const 1 i32.const 2)",
        ),
        (
            "bulk-memory",
            "(memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 1)))",
        ),
        ("reference-types", "(table 1 externref)"),
        ("simd", "(func (result v128) (i32x4.splat (i32.const 1)))"),
        ("tail-call", "(func $f (return_call $f))"),
        (
            "extended-const",
            "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
        ),
        ("multi-memory", "(memory 1) (memory 1)"),
        ("memory64", "(memory i64 1)"),
        (
            "relaxed-simd",
            "(func (param v128 v128) (result v128)
                (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))",
        ),
        ("exceptions", "(tag $e) (func (throw $e))"),
        (
            "function-references",
            "(type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0)))",
        ),
        (
            "gc",
            "(type $s (struct (field i32))) (func (result (ref $s)) (struct.new_default $s))",
        ),
    ] {
        let guest = module(&format!(r#"(module {text} (func (export "_start")))"#));
        assert!(
            guest.proposals().iter().any(|used| used == name),
            "{name} is not what {text} uses"
        );
        assert_eq!(
            outcome(&guest, &RunConfig::new()),
            Outcome::Exited(0),
            "{name}"
        );
    }
}
