//! The front in the manner of `std::process::Command`.

use wasmrun::{Access, Command, ErrorKind, InheritEnv, Outcome, Stdin};

use crate::fake;

fn command() -> Command {
    let mut command = Command::from_guest(fake::guest());
    command.engines(fake::engines([("a", fake::memory), ("b", fake::nothing)]));
    command
}

#[test]
fn output_is_captured_and_input_is_empty_unless_given() {
    let report = command().arg("x").env("K", "V").output().expect("runs");
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert_eq!(report.engine, "a");
    assert_eq!(
        String::from_utf8_lossy(&report.stdout.bytes),
        r#"["app.wasm", "x"] [("K", "V")] Null"#
    );
    let report = command()
        .stdin(Stdin::Bytes(b"!".to_vec()))
        .output()
        .expect("runs");
    assert!(String::from_utf8_lossy(&report.stdout.bytes).contains("Bytes([33])"));
}

#[test]
fn what_one_engine_cannot_do_goes_to_another() {
    let report = command()
        .limit(|limits| limits.memory = Some(1 << 20))
        .output()
        .expect("runs");
    assert_eq!(report.engine, "b");
}

#[test]
fn an_engine_asked_for_by_name_is_used_or_refuses() {
    assert_eq!(command().engine("b").output().expect("runs").engine, "b");
    let error = command()
        .engine("a")
        .limit(|limits| limits.memory = Some(1 << 20))
        .status()
        .expect_err("a cannot");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn a_spawned_guest_can_be_killed() {
    let run = command().stdin(Stdin::Null).spawn().expect("starts");
    run.kill().expect("spawned guests are killable");
    run.wait().expect("ends");
}

#[test]
fn a_missing_guest_and_a_missing_directory_are_told_apart() {
    let error = Command::new("no/such/guest.wasm")
        .status()
        .expect_err("no such file");
    assert_eq!(error.kind(), ErrorKind::GuestNotFound);
    let error = command()
        .map_dir("no/such/directory", "/data", Access::ReadOnly)
        .output()
        .expect_err("no such directory");
    assert_eq!(error.kind(), ErrorKind::Preopen);
}

#[test]
fn a_file_over_the_cap_is_not_run() {
    let error = Command::new(env!("CARGO_MANIFEST_PATH"))
        .max_guest_bytes(3)
        .status()
        .expect_err("over the cap");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn inherited_variables_that_are_not_set_are_refused() {
    let error = command()
        .inherit_env(InheritEnv::Named(vec!["WASMRUN_NOT_SET".into()]))
        .output()
        .expect_err("not set");
    assert_eq!(error.kind(), ErrorKind::Config);
}
