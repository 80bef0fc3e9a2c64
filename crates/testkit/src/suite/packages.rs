//! Packages: their commands are run with what they say, under what the caller says, and stay as they are.

use std::path::PathBuf;

use wasmrun_core::{
    Access, ErrorKind, Guest, Mount, Outcome, Program, RunConfig, SamePath, WasiVersion,
};
use wasmrun_webc::{Package, PackagedCommand, Use};

use super::directories::holds;
use super::overlays::{after, layer, told};
use crate::case::{Case, captured, stdout};
use crate::guests::{self, files};
use crate::packages::{Packed, PackedCommand};

crate::suite::rules![
    the_arguments_of_a_command_come_before_the_callers,
    the_variables_of_a_command_are_there_unless_the_caller_has_them,
    the_volumes_of_a_package_are_seen_where_it_says,
    what_a_guest_writes_leaves_the_package_as_it_is,
    a_mount_at_the_path_of_a_volume_is_an_error_unless_allowed,
    the_atoms_and_volumes_of_other_packages_are_used,
    a_component_is_run_from_a_package,
    a_package_of_version_2_is_run,
    a_volume_that_is_damaged_is_an_error,
    a_wasix_guest_sees_and_changes_the_volumes_of_its_package,
];

fn made(case: &Case, name: &str, packed: &Packed) -> PathBuf {
    let path = case.path(name);
    packed.write(&path);
    path
}

fn open(case: &Case, packed: &Packed) -> PackagedCommand {
    command(&made(case, "app.webc", packed), &[])
}

fn command(path: &PathBuf, uses: &[Use]) -> PackagedCommand {
    let package = Package::open(path).expect("a package");
    let command = package.command(None, uses, Guest::DEFAULT_MAX_BYTES);
    command.expect("a command")
}

/// With one command, of these arguments and variables.
fn simple(atom: &Guest, args: &[&str], env: &[&str]) -> Packed {
    Packed::new()
        .atom("program", atom.bytes())
        .command(PackedCommand {
            name: "app",
            atom: "program",
            args,
            env,
            ..PackedCommand::default()
        })
}

/// What does to files what its arguments say, and a volume with a few.
fn with_files() -> Packed {
    simple(&files(), &[], &[])
        .file("assets", "kept", "kept\n")
        .file("assets", "removed", "removed\n")
        .file("assets", "d/deep", "deep\n")
        .shows(None, "assets", "/o")
}

fn the_arguments_of_a_command_come_before_the_callers(case: &Case) {
    let command = open(case, &simple(&guests::args(), &["-x", "one"], &[]));
    let config = command.under(&captured().arg("two"));
    if let Some(report) = case.run(command.guest(), &config) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "app\0-x\0one\0two\0.");
    }
}

fn the_variables_of_a_command_are_there_unless_the_caller_has_them(case: &Case) {
    let command = open(
        case,
        &simple(&guests::environ(), &[], &["A=package", "B=package"]),
    );
    let config = command.under(&captured().env("B", "caller").env("C", "caller"));
    if let Some(report) = case.run(command.guest(), &config) {
        assert_eq!(stdout(&report), "A=package\0B=caller\0C=caller\0.");
    }
}

fn the_volumes_of_a_package_are_seen_where_it_says(case: &Case) {
    let packed = with_files()
        .link("assets", "l", "d/deep")
        .file("whole", "lib/inner/f", "inner")
        .shows_directory("whole", "/lib/inner", "/o/inner");
    let command = open(case, &packed);
    let _ = holds(
        case,
        &command.under(&captured()),
        &[
            ("list 3", "ok d/ inner/ kept l@ removed"),
            ("open a 3:l read", "ok"),
            ("pread a 0 4", "ok deep"),
            ("stat 3:d/deep", "ok file 5"),
            ("open i 3:inner dir", "ok"),
            ("list i", "ok f"),
        ],
    );
}

fn what_a_guest_writes_leaves_the_package_as_it_is(case: &Case) {
    let path = made(case, "app.webc", &with_files());
    let before = case.tree();
    let command = command(&path, &[]);
    let config = command.under(&captured());
    let operations = [
        "open a 3:new write create",
        "write a new",
        "unlink 3:removed",
    ];
    if let Some(report) = after(case, &config, &operations) {
        assert_eq!(told(layer(&report)), ["+ new 3", "- removed"]);
        assert_eq!(case.tree(), before);
        let _ = holds(case, &config, &[("list 3", "ok d/ kept removed")]);
    }
}

fn a_mount_at_the_path_of_a_volume_is_an_error_unless_allowed(case: &Case) {
    let command = open(case, &with_files());
    case.write("mine/mine", "mine");
    let mount = |access| Mount::bind(case.path("mine"), "/o", access);
    let config = |same_path| {
        let asked = captured()
            .mount(mount(Access::ReadOnly))
            .same_path(same_path);
        command.under(&asked)
    };
    for (same_path, list) in [
        (SamePath::Replace, "ok mine"),
        (SamePath::Keep, "ok d/ kept removed"),
        (SamePath::Layer, "ok d/ kept mine removed"),
    ] {
        let _ = holds(case, &config(same_path), &[("list 3", list)]);
    }
    if let Some(error) = failure(case, command.guest(), &config(SamePath::Refuse)) {
        assert_eq!(error.kind(), ErrorKind::Preopen, "{error:?}");
    }
}

/// Why it is not run, if it is the engine's to run it.
fn failure(case: &Case, guest: &Guest, config: &RunConfig) -> Option<wasmrun_core::Error> {
    if !case.can("own_mounts") {
        return None;
    }
    let program = Program::compile(case.engine().clone(), guest, config).ok()?;
    Some(program.run(config).expect_err("it is not run"))
}

fn the_atoms_and_volumes_of_other_packages_are_used(case: &Case) {
    let used = Packed::new()
        .named("tools/files", "1.2.3")
        .atom("program", files().bytes())
        .file("share", "kept", "theirs")
        .file("share", "theirs", "theirs")
        .shows(None, "share", "/o");
    let packed = Packed::new()
        .uses("files", "tools/files@^1.2")
        .command(PackedCommand {
            name: "app",
            atom: "program",
            dependency: Some("files"),
            ..PackedCommand::default()
        })
        .file("assets", "kept", "ours")
        .shows(None, "assets", "/o")
        .shows(Some("files"), "share", "/p");
    let used = made(case, "used.webc", &used);
    let command = command(&made(case, "app.webc", &packed), &[used.into()]);
    let _ = holds(
        case,
        &command.under(&captured()),
        &[
            ("list 3", "ok kept theirs"),
            ("open a 3:kept read", "ok"),
            ("pread a 0 9", "ok ours"),
            ("list 4", "ok kept theirs"),
        ],
    );
}

fn a_component_is_run_from_a_package(case: &Case) {
    let component = guests::component(&guests::hello());
    let command = open(case, &simple(&component, &[], &[]));
    if let Some(report) = case.run(command.guest(), &command.under(&captured())) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "hello\n");
    }
}

fn a_package_of_version_2_is_run(case: &Case) {
    let path = case.path("app.webc");
    std::fs::write(&path, with_files().bytes_of_version_2()).expect("a file");
    let command = command(&path, &[]);
    let _ = holds(
        case,
        &command.under(&captured()),
        &[
            ("list 3", "ok d/ kept removed"),
            ("open a 3:d/deep read", "ok"),
            ("pread a 0 4", "ok deep"),
        ],
    );
}

fn a_volume_that_is_damaged_is_an_error(case: &Case) {
    let path = made(case, "app.webc", &with_files());
    let command = command(&path, &[]);
    let mut bytes = std::fs::read(&path).expect("it reads");
    let content = b"kept\n";
    let at = bytes
        .windows(content.len())
        .rposition(|window| window == content);
    bytes[at.expect("the content of a file")] ^= 1;
    std::fs::write(&path, bytes).expect("it is damaged");
    let config = command.under(&captured());
    if let Some(error) = failure(case, command.guest(), &config) {
        assert_eq!(error.kind(), ErrorKind::Preopen, "{error:?}");
        assert!(error.to_string().contains("SHA-256"), "{error}");
    }
}

/// Copies the file `o/kept` to standard output, and makes `o/new`, by a descriptor of the root. Ends with the number of the
/// call that failed.
const WASIX: &str = r#"(module
    (import "wasix_32v1" "proc_id" (func $proc_id (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "o/kept")
    (data (i32.const 8) "o/new")
    (func $check (param $errno i32) (param $call i32)
        (if (local.get $errno) (then (call $exit (local.get $call)))))
    (func (export "_start")
        (call $check (call $proc_id (i32.const 64)) (i32.const 1))
        (call $check
            (call $open (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 0)
                (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32))
            (i32.const 2))
        (i32.store (i32.const 40) (i32.const 1024))
        (i32.store (i32.const 44) (i32.const 100))
        (call $check
            (call $read (i32.load (i32.const 32)) (i32.const 40) (i32.const 1) (i32.const 48))
            (i32.const 3))
        (i32.store (i32.const 44) (i32.load (i32.const 48)))
        (call $check (call $write (i32.const 1) (i32.const 40) (i32.const 1) (i32.const 48)) (i32.const 4))
        (call $check
            (call $open (i32.const 4) (i32.const 0) (i32.const 8) (i32.const 5) (i32.const 1)
                (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 32))
            (i32.const 5))
        (call $check
            (call $write (i32.load (i32.const 32)) (i32.const 40) (i32.const 1) (i32.const 48))
            (i32.const 6))))"#;

fn a_wasix_guest_sees_and_changes_the_volumes_of_its_package(case: &Case) {
    let guest = guests::text("wasix.wasm", WASIX);
    assert_eq!(guest.wasi(), WasiVersion::Wasix);
    let packed = simple(&guest, &[], &[])
        .file("assets", "kept", "kept")
        .shows(None, "assets", "/o");
    let path = made(case, "app.webc", &packed);
    let before = case.tree();
    let command = command(&path, &[]);
    if let Some(report) = case.run(command.guest(), &command.under(&captured())) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "kept");
        assert_eq!(told(layer(&report)), ["+ new 4"]);
        assert_eq!(case.tree(), before);
    }
}
