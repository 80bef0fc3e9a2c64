//! All engines of one process at work in it: their handlers for faults, their timeouts and kills do not get in
//! each other's way, in whatever order they come.
//!
//! A process of its own, because what is set up first matters.

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use wasmrun::{
    Choice, Engine, Engines, Guest, Outcome, Program, RunConfig, Stdout, Trap, TrapKind,
};
use wasmrun_testkit::{guests, may_be_missing, restart_with_wasmedge};

fn main() -> ExitCode {
    restart_with_wasmedge();
    let arguments = Arguments::from_args();
    // Trials run at the same time, in one process: this has to be seen before any other engine is asked for.
    let loaded = what_auto_loads();
    let engines: Vec<_> = Engines::shared().in_process().collect();
    let here: Here = engines
        .iter()
        .filter_map(|(name, engine)| Some(((*name).to_owned(), engine.as_ref().ok()?.clone())))
        .collect();
    let missing: Vec<String> = engines
        .iter()
        .filter_map(|(_, engine)| engine.as_ref().err().map(ToString::to_string))
        .collect();
    let trials = vec![
        Trial::test("every_engine_is_here", move || present(&missing)),
        Trial::test("auto_loads_no_library_it_does_not_need", move || loaded),
        of(&here, "traps_and_timeouts_alternate", alternate),
        of(&here, "engines_run_within_each_others_runs", nest),
        of(&here, "kills_reach_the_right_guest", kill),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

type Here = Vec<(String, Arc<dyn Engine>)>;

fn of(engines: &Here, name: &str, test: fn(&Here)) -> Trial {
    let engines = engines.clone();
    Trial::test(name, move || {
        test(&engines);
        Ok(())
    })
}

fn present(missing: &[String]) -> Result<(), Failed> {
    if missing.is_empty() || may_be_missing() {
        return Ok(());
    }
    Err(missing.join("; ").into())
}

/// The first engine of all takes the guest; WasmEdge, which comes later, is a library of its own.
fn what_auto_loads() -> Result<(), Failed> {
    let config = RunConfig::new().stdout(Stdout::Null);
    let program = Engines::new().compile(&guests::hello(), &config, &Choice::Auto)?;
    program.run(&config)?;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    match maps.contains("libwasmedge") {
        true => Err("WasmEdge's library is loaded".into()),
        false => Ok(()),
    }
}

/// What ends a guest by a fault on some engines and by a check on others, and what ends it from outside.
const ENDS: &[(&str, TrapKind)] = &[
    ("unreachable", TrapKind::Unreachable),
    (
        "(drop (i32.load (i32.const 0x7fffffff)))",
        TrapKind::MemoryOutOfBounds,
    ),
    (
        "(drop (i32.div_s (i32.const 1) (i32.load (i32.const 0))))",
        TrapKind::DivideByZero,
    ),
    ("(call $deeper)", TrapKind::StackOverflow),
];

fn program(engine: &Arc<dyn Engine>, body: &str, config: &RunConfig) -> Program {
    let guest = format!(
        r#"(module
            (memory (export "memory") 1)
            (func $deeper (call $deeper) (call $deeper))
            (func (export "_start") {body}))"#
    );
    let guest = Guest::from_bytes("guest.wat", guest).expect("a guest");
    Program::compile(engine.clone(), &guest, config).expect("compiles")
}

fn soon() -> RunConfig {
    RunConfig::new().limit(|limits| limits.timeout = Some(Duration::from_millis(5)))
}

/// Every end on every engine, from several threads that start at different engines.
fn alternate(engines: &Here) {
    let late = RunConfig::new().limit(|limits| limits.timeout = Some(Duration::from_secs(600)));
    let trapping: Vec<_> = engines
        .iter()
        .flat_map(|(name, engine)| ENDS.iter().map(move |end| (name, engine, end)))
        .map(|(name, engine, (body, kind))| (name, program(engine, body, &late), *kind))
        .collect();
    let endless: Vec<_> = engines
        .iter()
        .map(|(name, engine)| (name, program(engine, "(loop $l (br $l))", &soon())))
        .collect();
    thread::scope(|scope| {
        for number in 0..6 {
            let (late, trapping, endless) = (&late, &trapping, &endless);
            scope.spawn(move || {
                for round in 0..20 {
                    for place in 0..trapping.len() {
                        let (name, program, kind) = &trapping[(place + number) % trapping.len()];
                        let outcome = program.run(late).expect("runs").outcome;
                        let expected = Outcome::Trapped(Trap::new(*kind, ""));
                        assert_eq!(outcome, expected, "{name}");
                    }
                    let (name, program) = &endless[(round + number) % endless.len()];
                    let outcome = program.run(&soon()).expect("runs").outcome;
                    assert_eq!(outcome, Outcome::TimedOut, "{name}");
                }
            });
        }
    });
}

/// While a guest of one engine waits in a host call, guests of all engines trap and run out of time.
fn nest(engines: &Here) {
    let config = RunConfig::new()
        .stdin(wasmrun::Stdin::Pipe)
        .stdout(Stdout::Capture)
        .killable(true);
    for (outer, engine) in engines {
        let waits = Program::compile(engine.clone(), &guests::cat(), &config).expect("compiles");
        let mut run = waits.start(&config).expect("starts");
        for (name, inner) in engines {
            for (body, kind) in ENDS {
                let outcome = program(inner, body, &soon()).run(&RunConfig::new());
                let expected = Outcome::Trapped(Trap::new(*kind, ""));
                assert_eq!(
                    outcome.expect("runs").outcome,
                    expected,
                    "{name} in {outer}"
                );
            }
            let endless = program(inner, "(loop $l (br $l))", &soon());
            let outcome = endless.run(&soon()).expect("runs").outcome;
            assert_eq!(outcome, Outcome::TimedOut, "{name} in {outer}");
        }
        std::io::Write::write_all(&mut run.stdin.take().expect("a pipe"), b"still here")
            .expect("it reads");
        let report = run.wait().expect("it ends");
        assert_eq!(report.outcome, Outcome::Exited(0), "{outer}");
        assert_eq!(report.stdout.bytes, b"still here", "{outer}");
    }
}

/// Of guests that all run for ever, one after the other is killed, and the others run on.
fn kill(engines: &Here) {
    let config = RunConfig::new().killable(true);
    let mut runs: Vec<_> = engines
        .iter()
        .chain(engines.iter().rev())
        .map(|(name, engine)| {
            let endless = program(engine, "(loop $l (br $l))", &config);
            (name, endless.start(&config).expect("starts"))
        })
        .collect();
    while let Some((name, run)) = runs.pop() {
        run.kill().expect("it can be killed");
        assert_eq!(
            run.wait().expect("it ends").outcome,
            Outcome::Killed,
            "{name}"
        );
        for (name, other) in &runs {
            assert!(!other.has_ended(), "{name}");
        }
    }
}
