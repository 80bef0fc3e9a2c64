//! Runs as futures.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};
use wasmrun::asynchronous::AsyncProgram;
use wasmrun::{
    Attachments, Choice, Engines, ErrorKind, Guest, HostCall, HostFunctions, Outcome, Program,
    Request, RunConfig, Stdin, Stdout,
};
use wasmrun_testkit::guests;

/// With one thread, which whatever blocked it would show.
fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn program(guest: &Guest, config: &RunConfig) -> Program {
    Engines::shared()
        .compile(guest, config, &Choice::Auto)
        .expect("compiles")
}

fn piped() -> RunConfig {
    RunConfig::new()
        .stdin(Stdin::Pipe)
        .stdout(Stdout::Pipe)
        .killable(true)
}

#[test]
fn a_guest_is_written_to_and_read_from() {
    let config = piped();
    let program = program(&guests::cat(), &config);
    runtime().block_on(async {
        let mut run = program.start_async(&config).expect("starts");
        let (mut stdin, mut stdout) = (run.stdin.take(), run.stdout.take());
        let (stdin, stdout) = (stdin.as_mut(), stdout.as_mut());
        let (stdin, stdout) = (stdin.expect("a pipe"), stdout.expect("a pipe"));
        for text in ["hello", "again"] {
            stdin.write_all(text.as_bytes()).await.expect("it reads");
            let mut read = [0; 5];
            stdout.read_exact(&mut read).await.expect("it writes");
            assert_eq!(read, text.as_bytes());
        }
    });
    runtime().block_on(async {
        let mut run = program.start_async(&config).expect("starts");
        drop(run.stdin.take());
        assert_eq!(run.await.expect("a run").outcome, Outcome::Exited(0));
    });
}

#[test]
fn many_runs_are_waited_for_by_one_thread() {
    let config = RunConfig::new().killable(true).stdout(Stdout::Capture);
    let program = program(&guests::hello(), &config);
    runtime().block_on(async {
        let runs: Vec<_> = (0..20)
            .map(|_| program.start_async(&config).expect("starts"))
            .collect();
        for run in runs {
            assert_eq!(run.await.expect("a run").stdout.bytes, b"hello\n");
        }
        let report = program.run_async(&config).await.expect("a run");
        assert_eq!(report.stdout.bytes, b"hello\n");
    });
}

#[test]
fn a_run_that_is_dropped_ends() {
    let host = HostFunctions::new().function("env", "alive", |call: &mut HostCall<'_>| {
        let alive = call.state::<std::sync::mpsc::Sender<()>>();
        // Nobody may listen any more.
        let _ = alive.map(|alive| alive.send(()));
    });
    let guest = Guest::from_bytes(
        "lives.wat",
        r#"(module (import "env" "alive" (func $alive))
             (func (export "_start") (loop (call $alive) (br 0))))"#,
    );
    let (guest, config) = (guest.expect("a guest"), RunConfig::new().killable(true));
    let request = Request::new(&config, &host);
    let program = Engines::shared().compile(&guest, request, &Choice::Auto);
    let program = program.expect("compiles");
    let (alive, lives) = std::sync::mpsc::channel::<()>();
    runtime().block_on(async {
        let attachments = Attachments::new().state(alive);
        let run = program.start_async_with(&config, attachments);
        let slept = timeout(Duration::from_millis(50), run.expect("starts")).await;
        assert!(slept.is_err(), "it never ends by itself");
        sleep(Duration::from_millis(1)).await;
    });
    // The run's state goes with it: the other end is gone once the guest is.
    while lives.recv_timeout(Duration::from_secs(60)).is_ok() {}
    assert!(matches!(
        lives.try_recv(),
        Err(std::sync::mpsc::TryRecvError::Disconnected)
    ));
}

#[test]
fn what_could_not_be_ended_is_refused() {
    let config = RunConfig::new();
    let program = program(&guests::hello(), &config);
    let error = runtime().block_on(program.run_async(&config));
    assert_eq!(
        error.expect_err("not killable").kind(),
        ErrorKind::Unsupported
    );
}
