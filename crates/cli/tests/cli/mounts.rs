//! What is mounted by options, and what was changed there.

use std::fs;
use std::path::PathBuf;

use crate::common::{Guests, run};

/// Makes the directory `made` in the first that it is given, and exits with the errno.
const MAKES: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "made")
    (func (export "_start")
      (call $exit (call $mkdir (i32.const 3) (i32.const 0) (i32.const 4)))))"#;

/// A directory of that name with a file in it.
fn directory(guests: &Guests, name: &str) -> PathBuf {
    let directory = guests.dir().join(name);
    fs::create_dir(&directory).expect("a directory");
    fs::write(directory.join("kept"), "").expect("a file");
    directory
}

fn made(guests: &Guests, options: &[&str]) -> (Option<i32>, String) {
    let guest = guests.file("makes.wat", MAKES);
    let guest = guest.to_str().expect("UTF-8");
    let seen = run([&["--engine", "wasmi"], options, &[guest]].concat());
    (seen.code, seen.stdout)
}

#[test]
fn what_a_guest_changes_of_an_overlay_is_told_and_not_done() {
    let guests = Guests::new();
    let project = directory(&guests, "project");
    let overlay = format!("{}::/work", project.display());
    let (code, told) = made(&guests, &["--overlay", &overlay, "--changes", "-"]);
    assert_eq!(code, Some(0), "{told}");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let expected = serde_json::json!([{
        "mount": "/work", "path": "made", "change": "created", "type": "directory", "size": 0
    }]);
    assert_eq!(told, expected);
    assert_eq!(fs::read_dir(project).expect("it is there").count(), 1);
}

#[test]
fn each_kind_is_mounted_by_an_option() {
    const ROFS: i32 = 69;
    let guests = Guests::new();
    let project = directory(&guests, "project");
    let file = project.join("kept");
    let (project, file) = (project.display(), file.display());
    for (options, code) in [
        (&["--tmpfs", "/tmp:1Mi"][..], 0),
        (&["--mount", "type=tmpfs,dst=/tmp,ro"], ROFS),
        (&["--mount", &format!("src={project},dst=/work,ro")], ROFS),
        (&["--mount", &format!("src={file},dst=/work/file")], ROFS),
        (
            &[
                "--mount",
                &format!("type=overlay,lower={project},dst=/work"),
            ],
            0,
        ),
    ] {
        assert_eq!(
            made(&guests, options),
            (Some(code), String::new()),
            "{options:?}"
        );
    }
}

#[test]
fn a_later_mount_lies_over_an_earlier_one_if_asked() {
    let guests = Guests::new();
    let project = directory(&guests, "project");
    let shown = format!("{}::/work", project.display());
    let options = ["--dir", &shown, "--tmpfs", "/work"];
    let refused = made(&guests, &options);
    assert_eq!(refused, (Some(125), String::new()));
    let layered = [&["--layer-dirs", "--changes", "-"], &options[..]].concat();
    let (code, told) = made(&guests, &layered);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("\"made\""), "{told}");
    assert_eq!(fs::read_dir(project).expect("it is there").count(), 1);
}

#[test]
fn a_volume_is_a_directory_of_the_users_data() {
    let guests = Guests::new();
    let data = directory(&guests, "data");
    let guest = guests.file("makes.wat", MAKES);
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_wasmrun"))
        .args(["--engine", "wasmi", "--volume", "kept:/v"])
        .arg(guest)
        .env("XDG_DATA_HOME", &data)
        .status();
    assert!(status.expect("it starts").success());
    assert!(data.join("wasmrun/volumes/kept/made").is_dir());
}
