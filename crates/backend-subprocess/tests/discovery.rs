//! Finding runtimes: what is not one, or too old, or stuck, is told so.

mod common;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::script;
use wasmrun_backend_subprocess::{NAMES, at, discover, find, own_command};
use wasmrun_core::{Answers, Engine, EngineInfo, ErrorKind, Place, Result};

fn refusal(name: &str, body: &str) -> String {
    let (_directory, path) = script(body);
    let error = at(name, &path, None).expect_err("it is no runtime");
    assert_eq!(error.kind(), ErrorKind::EngineNotFound, "{error:?}");
    assert_eq!(error.engine(), Some(name));
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    error.to_string()
}

#[test]
fn all_are_found_in_order_and_one_by_one() {
    let found = discover();
    let names: Vec<_> = found.iter().map(|found| found.name).collect();
    assert_eq!(names, NAMES);
    for found in found {
        if common::runtime(found.name).is_none() {
            continue;
        }
        let engine = found.engine.expect("it was found by name");
        assert_eq!(engine.info().name, found.name);
        let Place::Executable(path) = &engine.info().place else {
            panic!("{:?}", engine.info());
        };
        assert!(path.is_absolute());
        let again = at(found.name, path, None).expect("it is there");
        assert_eq!(again.info(), engine.info());
    }
}

/// Counts how often it is turned to, and remembers nothing.
#[derive(Debug, Default)]
struct Turned(AtomicUsize);

impl Answers for Turned {
    fn answer(
        &self,
        executable: &Path,
        question: &str,
        ask: &mut dyn FnMut() -> Result<String>,
    ) -> Result<String> {
        assert!(executable.is_absolute());
        assert_eq!(question, "--version");
        self.0.fetch_add(1, Ordering::Relaxed);
        ask()
    }
}

#[test]
fn only_the_answer_of_an_executable_that_speaks_for_itself_is_remembered() {
    let Some(engine) = common::runtime("wasmi-cli") else {
        return;
    };
    let Place::Executable(path) = &engine.info().place else {
        panic!("{:?}", engine.info());
    };
    let turned = Turned::default();
    let found = at("wasmi-cli", path, Some(&turned)).expect("it is there");
    assert_eq!(found.info(), engine.info());
    assert_eq!(turned.0.load(Ordering::Relaxed), 1);

    // What calls something else may call another version tomorrow, and be the same file.
    let (directory, script) = script(&format!("exec '{}' \"$@\"", path.display()));
    let named = directory.path().join("wasmi");
    std::fs::rename(script, &named).expect("renames");
    at("wasmi-cli", &named, Some(&turned)).expect("it is one");
    let of_many_names = directory.path().join("shims");
    std::fs::copy(path, &of_many_names).expect("copies");
    std::fs::remove_file(&named).expect("removes");
    symlink(&of_many_names, &named).expect("links");
    at("wasmi-cli", &named, Some(&turned)).expect("it is one");
    assert_eq!(turned.0.load(Ordering::Relaxed), 1);
}

#[test]
fn another_program_is_no_runtime() {
    for name in NAMES {
        let told = refusal(name, "echo hello; echo 1.2.3");
        assert!(told.contains("hello"), "{told}");
        refusal(name, "");
        refusal(name, "exit 3");
        refusal(name, "kill -9 $$");
    }
}

#[test]
fn a_runtime_that_is_too_old_is_told_which_will_do() {
    for (name, version, enough) in [
        ("wasmtime-cli", "wasmtime-cli 13.0.0", ""),
        ("wasmtime-cli", "wasmtime 35.9.9", "36.0.0"),
        ("wasmer-cli", "wasmer 7.3.9", "7.4.0"),
        ("wasmedge-cli", "wasmedge version 0.16.4", "0.17.0"),
        ("wasmi-cli", "wasmi 1.0.9", "2.0.0"),
        ("node-cli", "v18.20.0", "20.0.0"),
    ] {
        let told = refusal(name, &format!("echo '{version}'"));
        assert!(told.contains(enough), "{told}");
    }
}

#[test]
fn a_probe_is_bounded_in_output_and_environment() {
    let told = refusal("wasmtime-cli", "echo yes; head -c 10000000 /dev/zero");
    assert!(told.contains("yes"), "{told}");
    let (_directory, path) = script("echo \"wasmtime 48.0.8$HOME$CARGO\"; cat");
    let engine = at("wasmtime-cli", path, None).expect("a version");
    assert_eq!(engine.info().version, "48.0.8");
}

#[test]
fn a_probe_that_hangs_is_ended() {
    let mark = format!("6{:09}", std::process::id());
    let (_directory, path) = script(&format!("sleep {mark} & sleep {mark}"));
    let error = at("wasmi-cli", &path, None).expect_err("it hangs");
    assert!(error.to_string().contains("no answer"), "{error}");
    // What it started is gone with it.
    assert_eq!(common::processes_with(&mark), [""; 0]);
}

#[test]
fn what_is_no_executable_is_not_found() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    for path in [file.path(), "/no/such/file".as_ref(), "/".as_ref()] {
        let error = at("wasmtime-cli", path, None).expect_err("no executable");
        assert!(
            matches!(error.kind(), ErrorKind::EngineNotFound | ErrorKind::Io),
            "{error:?}"
        );
        assert!(
            error.to_string().contains(path.to_str().expect("UTF-8")),
            "{error}"
        );
    }
}

#[test]
fn a_missing_runtime_says_how_to_get_it() {
    // Names are found on PATH only, and this one has another.
    let error = find("wasmtime", None).expect_err("not the engine's name");
    assert_eq!(error.kind(), ErrorKind::EngineNotFound);
}

#[test]
fn a_runtimes_own_command_is_its_executable_with_the_program_and_its_arguments() {
    let info = |name: &str, place| EngineInfo {
        name: name.into(),
        version: String::new(),
        place,
    };
    let there = || Place::Executable("/opt/runtime".into());
    let words = |name: &str| -> Option<Vec<String>> {
        let args = ["a".into(), "-b".into()];
        let command = own_command(&info(name, there()), "/app.wasm".as_ref(), &args)?;
        let words = [command.get_program()]
            .into_iter()
            .chain(command.get_args());
        Some(
            words
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
        )
    };
    for name in NAMES {
        let Some(words) = words(name) else {
            assert_eq!(*name, "node-cli", "it takes scripts only");
            continue;
        };
        assert_eq!(words[0], "/opt/runtime");
        assert!(words.contains(&"/app.wasm".to_owned()), "{words:?}");
        assert_eq!(words[words.len() - 2..], ["a", "-b"], "{name}");
    }
    assert_eq!(words("wasmtime"), None);
    let linked = info("wasmtime-cli", Place::InProcess);
    assert!(own_command(&linked, "/app.wasm".as_ref(), &[]).is_none());
}
