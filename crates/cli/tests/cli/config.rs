//! Runs as files: `--config`, `wasmrun config`, `wasmrun schema`, and `--env-file`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use wasmrun::Sha256;

use crate::common::{ARGS_AND_ENV, CAT, CREATE, Guests, LOOP, Seen, exit, run, wasmrun};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// A directory with the guest `app.wat`, and a subdirectory `jobs` for files of runs.
fn jobs(guest: impl AsRef<[u8]>) -> (Guests, PathBuf) {
    let guests = Guests::new();
    let jobs = guests.dir().join("jobs");
    std::fs::create_dir(&jobs).expect("a directory");
    std::fs::write(jobs.join("app.wat"), guest).expect("a guest");
    (guests, jobs)
}

/// `wasmrun` in the directory above the files of runs.
fn above(guests: &Guests) -> Command {
    let mut command = wasmrun();
    command.current_dir(guests.dir());
    command
}

fn seen(command: &mut Command) -> Seen {
    command.output().expect("wasmrun starts").into()
}

/// What the guest [`ARGS_AND_ENV`] was told, without its `argv[0]`.
fn told(seen: &Seen) -> Vec<&str> {
    assert_eq!(seen.code, Some(0), "{seen:?}");
    seen.stdout.split_terminator('\0').skip(1).collect()
}

#[test]
fn a_job_file_with_everything_in_it_runs() {
    let seen = run(["--config".into(), examples().join("job.toml")]);
    assert_eq!((seen.code, &*seen.stderr), (Some(0), ""), "{seen:?}");
    let lines: Vec<_> = seen.stdout.lines().map(str::trim).collect();
    assert_eq!(lines[1], "14     113     633  fog.txt", "{seen:?}");
    assert_eq!(lines[4], "37     237    1410  total");
}

#[test]
fn the_schema_knows_the_example_and_the_example_every_key() {
    let text = std::fs::read_to_string(examples().join("job.toml")).expect("an example");
    let file: Value = toml::from_str(&text).expect("TOML");
    let schema = schema();
    assert_eq!(refused(&schema, &file), None);
    let keys = schema["properties"].as_object().expect("keys");
    let limits = schema["$defs"]["Limits"]["properties"].as_object();
    for key in keys.keys().chain(limits.expect("keys").keys()) {
        let is_there = text.lines().any(|line| {
            let line = line.trim_start_matches(['#', '[', ' ']);
            line.strip_prefix(key.as_str())
                .is_some_and(|rest| rest.trim_start().starts_with(['=', ']']))
        });
        // One engine, or the preferred ones.
        assert!(is_there || key == "engine", "{key}");
        assert!(
            keys.get(key)
                .is_none_or(|key| key["description"].is_string()),
            "{key}"
        );
    }
}

fn schema() -> Value {
    let seen = run(["schema"]);
    assert_eq!((seen.code, &*seen.stderr), (Some(0), ""));
    serde_json::from_str(&seen.stdout).expect("JSON")
}

/// What is wrong with `file` by the schema.
fn refused(schema: &Value, file: &Value) -> Option<String> {
    let mut compiler = boon::Compiler::new();
    compiler.set_default_draft(boon::Draft::V2020_12);
    let mut schemas = boon::Schemas::new();
    let name = "run.schema.json";
    compiler
        .add_resource(name, schema.clone())
        .expect("a resource");
    let schema = compiler.compile(name, &mut schemas).expect("a schema");
    let refused = schemas.validate(file, schema).err();
    refused.map(|error| error.to_string())
}

#[test]
fn the_schema_lets_through_what_is_read_and_nothing_else() {
    let schema = schema();
    for (text, is_right) in [
        ("{}", true),
        (
            r#"{"guest": "a", "env": [["A", "1"]], "stdin": {"bytes": [1]}}"#,
            true,
        ),
        (
            r#"{"limits": {"memory": 1, "timeout": 2000, "fuel": "18446744073709551615"}}"#,
            true,
        ),
        (
            r#"{"mounts": [{"path": "/a", "memory": {}}], "clock": {"fixed": 1}}"#,
            true,
        ),
        (r#"{"gest": "a"}"#, false),
        (r#"{"limits": {"memroy": 1}}"#, false),
        (r#"{"limits": {"memory": true}}"#, false),
        (r#"{"limits": {"fuel": "64Mi"}}"#, false),
        (r#"{"stdin": "nul"}"#, false),
        (r#"{"mounts": [{"path": "/a"}]}"#, false),
        (r#"{"mounts": [{"bind": "a"}]}"#, false),
        (
            r#"{"mounts": [{"path": "/a", "bind": "a", "tar": "b"}]}"#,
            false,
        ),
        (r#"{"env": {"A": 1}}"#, false),
    ] {
        let file = serde_json::from_str(text).expect("JSON");
        assert_eq!(refused(&schema, &file).is_none(), is_right, "{text}");
        let guests = Guests::new();
        let job = guests.file("job.json", text);
        let seen = run([
            "config".as_ref(),
            "--config".as_ref(),
            job.as_os_str(),
            "app.wasm".as_ref(),
        ]);
        assert_eq!(seen.code == Some(0), is_right, "{text}: {seen:?}");
    }
}

#[test]
fn a_line_is_printed_as_a_file_that_does_the_same() {
    let (guests, jobs) = jobs(ARGS_AND_ENV);
    let jobs_in = |args: &[&str]| {
        seen(
            wasmrun()
                .current_dir(&jobs)
                .env("OURS", "of the host")
                .args(args),
        )
    };
    for line in [
        &["app.wat"][..],
        &["app.wat", "a", "", "--help", "${A}", "\u{e9} \"'\n"],
        &[
            "--env", "A=1", "--env", "OURS", "--env", "B=${A}", "--argv0", "me", "app.wat",
        ],
        &["--inherit-env", "--env", "OURS=2", "app.wat"],
        &["--env-file", "vars", "--env", "B=3", "app.wat"],
        &[
            "--dir",
            ".::/d:ro",
            "--tmpfs",
            "/t",
            "--timeout",
            "1m",
            "--max-memory",
            "1Mi",
            "app.wat",
        ],
        &[
            "--fuel", "100000", "--engine", "wasmi", "--stdin", "null", "--seed", "7", "app.wat",
        ],
        &[
            "--sha256",
            &sha256(ARGS_AND_ENV),
            "--max-guest-size",
            "1M",
            "app.wat",
            "x",
        ],
    ] {
        std::fs::write(jobs.join("vars"), "A=file\nB=2\nOURS\n").expect("a file");
        let typed = jobs_in(line);
        for (name, options) in [
            ("job.toml", &["config"][..]),
            ("job.json", &["config", "--json"]),
        ] {
            let printed = jobs_in(&[options, line].concat());
            assert_eq!((printed.code, &*printed.stderr), (Some(0), ""), "{line:?}");
            assert!(!printed.stdout.contains("of the host"), "{printed:?}");
            std::fs::write(jobs.join(name), &printed.stdout).expect("a file");
            let again = jobs_in(&["--config", name]);
            assert_eq!(told(&again), told(&typed), "{line:?}");
            assert_eq!(again.stdout, typed.stdout, "{line:?}");
            // And from another directory.
            let path = format!("jobs/{name}");
            let elsewhere = seen(
                above(&guests)
                    .env("OURS", "of the host")
                    .args(["run", "--config", &path]),
            );
            if !line.contains(&"--inherit-env") {
                assert_eq!(elsewhere.stdout, typed.stdout, "{line:?}: {elsewhere:?}");
            }
            // A file of a file is that file.
            let once_more = jobs_in(&[options, &["--config", name]].concat());
            assert_eq!(once_more.stdout, printed.stdout, "{line:?}");
        }
    }
}

fn sha256(content: &str) -> String {
    Sha256::of(content.as_bytes()).to_string()
}

#[test]
fn the_command_line_goes_over_the_file() {
    let (guests, jobs) = jobs(ARGS_AND_ENV);
    std::fs::write(
        jobs.join("job.toml"),
        "guest = 'app.wat'\nargs = ['of', 'file']\nargv0 = 'file'\nenv_file = ['vars']\n\
         env = { A = 'file', B = 'file', C = 'file' }\n",
    )
    .expect("a file");
    std::fs::write(jobs.join("vars"), "A=vars\nD=vars\n").expect("a file");
    let typed = guests.file("typed", "B=typed\nD=typed\nE\n");
    let typed = typed.to_str().expect("UTF-8");
    let job = |args: &[&str]| {
        seen(
            above(&guests)
                .args(["--config", "jobs/job.toml"])
                .args(args),
        )
    };

    let plain = job(&[]);
    assert!(plain.stdout.starts_with("file\0"), "{plain:?}");
    assert_eq!(
        told(&plain),
        ["of", "file", "A=file", "D=vars", "B=file", "C=file"]
    );

    let other = job(&["--argv0", "typed", "--env-file", typed, "--env", "C=typed"]);
    assert!(other.stdout.starts_with("typed\0"), "{other:?}");
    assert_eq!(told(&other)[..2], ["of", "file"]);
    let mut env = told(&other)[2..].to_owned();
    env.sort_unstable();
    assert_eq!(env, ["A=file", "B=typed", "C=typed", "D=typed"]);

    let guest = guests.file("other.wat", ARGS_AND_ENV);
    let guest = guest.to_str().expect("UTF-8");
    assert_eq!(told(&job(&[guest]))[..2], ["of", "file"]);
    assert_eq!(told(&job(&[guest, "typed"]))[..2], ["typed", "A=file"]);
}

#[test]
fn limits_streams_and_engines_are_the_files_unless_they_are_typed() {
    let (guests, jobs) = jobs(LOOP);
    std::fs::write(
        jobs.join("job.toml"),
        "guest = 'app.wat'\nlimits.timeout = '50ms'\nengine = 'nonesuch'",
    )
    .expect("a file");
    let job = |args: &[&str]| {
        seen(
            above(&guests)
                .args(["--config", "jobs/job.toml"])
                .args(args),
        )
    };
    assert_eq!(job(&[]).code, Some(127));
    assert_eq!(job(&["--engine", "auto"]).code, Some(124));
    assert_eq!(job(&["--prefer", "wasmi"]).code, Some(124));

    let cat = guests.file("cat.wat", CAT);
    let cat = cat.to_str().expect("UTF-8");
    std::fs::write(jobs.join("in.txt"), "of the file").expect("a file");
    std::fs::write(
        jobs.join("cat.toml"),
        "stdin = { file = 'in.txt' }\nstdout = { file = 'out.txt' }\nmax_guest_size = 10",
    )
    .expect("a file");
    let job = |args: &[&str]| {
        seen(
            above(&guests)
                .args(["--config", "jobs/cat.toml"])
                .args(args)
                .arg(cat),
        )
    };
    let told = job(&[]);
    assert_eq!(told.code, Some(126), "{told:?}");
    assert_eq!(job(&["--max-guest-size", "1M"]).code, Some(0));
    let out = || std::fs::read_to_string(jobs.join("out.txt")).expect("it was made");
    assert_eq!(out(), "of the file");
    assert_eq!(
        job(&["--max-guest-size", "1M", "--stdin", "null"]).code,
        Some(0)
    );
    assert_eq!(out(), "");
}

#[test]
fn paths_are_from_the_files_directory_and_mounts_are_replaced_by_path() {
    let (guests, jobs) = jobs(CREATE);
    for directory in ["jobs/data", "typed"] {
        std::fs::create_dir(guests.dir().join(directory)).expect("a directory");
    }
    std::fs::write(
        jobs.join("job.toml"),
        "guest = 'app.wat'\nmounts = [{ path = '/data', bind = 'data', access = 'read-write' }]",
    )
    .expect("a file");
    let job = |args: &[&str]| {
        seen(
            above(&guests)
                .args(["--config", "jobs/job.toml"])
                .args(args),
        )
        .code
    };
    assert_eq!(job(&[]), Some(0));
    assert!(jobs.join("data/new.txt").exists());
    assert_eq!(job(&["--dir", "typed::/data/."]), Some(0));
    assert!(guests.dir().join("typed/new.txt").exists());
    // Read-only is EROFS.
    assert_eq!(job(&["--dir", "typed::data:ro"]), Some(69));
}

#[test]
fn any_other_guest_than_the_expected_is_refused_before_all_else() {
    let (guests, jobs) = jobs(exit(7));
    let expected = sha256(&exit(7));
    let job = format!("guest = 'app.wat'\nsha256 = '{expected}'");
    std::fs::write(jobs.join("job.toml"), job).expect("a file");
    let code = || seen(above(&guests).args(["--config", "jobs/job.toml"]));
    // The second time a cache knows it.
    assert_eq!([code().code, code().code], [Some(7), Some(7)]);
    for other in [exit(8), "no program at all".to_owned()] {
        std::fs::write(jobs.join("app.wat"), &other).expect("a guest");
        let seen = code();
        assert_eq!(seen.code, Some(126), "{seen:?}");
        let both = format!(
            "its SHA-256 is {}, where {expected} is expected",
            sha256(&other)
        );
        assert!(seen.message().contains(&both), "{seen:?}");
    }
    let typed = sha256("no program at all");
    let seen = seen(above(&guests).args(["--config", "jobs/job.toml", "--sha256", &typed]));
    assert!(
        seen.message()
            .contains("is text, not a WebAssembly program"),
        "{seen:?}"
    );
    for command in ["compare", "bench"] {
        let seen = run([
            command.as_ref(),
            "--config".as_ref(),
            jobs.join("job.toml").as_os_str(),
        ]);
        assert_eq!(seen.code, Some(126), "{seen:?}");
        assert!(seen.message().contains(&expected), "{seen:?}");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_place() {
    let guests = Guests::new();
    for (text, message) in [
        (
            "guest = 'a'\n[limits]\nmemroy = 1",
            "unknown key `memroy` in limits, line 3 column 1; did you mean `memory`?",
        ),
        (
            "guest = 'a'\nargs = ['${NO}']",
            "`${NO}` is not among the `variables` of this file; add it there, or write `$${` for what is meant as it is, \
             line 2 column 9",
        ),
        (
            "guest = 'a'\nvariables = ['WASMRUN_NOT_SET']\nargv0 = '${WASMRUN_NOT_SET}'",
            "the variable WASMRUN_NOT_SET is not set here, line 3 column 9",
        ),
        (
            "guest = ",
            "string values must be quoted, expected literal string, line 1 column 9",
        ),
    ] {
        let job = guests.file("job.toml", text);
        let seen = run(["--config".as_ref(), job.as_os_str()]);
        assert_eq!(seen.code, Some(125), "{seen:?}");
        assert_eq!(seen.message(), format!("{}: {message}", job.display()));
    }
    for (text, message) in [
        ("", "name the guest to run"),
        (
            "guest = 'a'\nstdout = 'capture'",
            "is for programs that use the library",
        ),
        (
            "guest = 'a'\nlogs = 1",
            "logs is for programs that use the library",
        ),
        (
            "guest = 'a'\nengine = 'wasmi'\nprefer = ['wasmer']",
            "leaves nothing to prefer",
        ),
    ] {
        let job = guests.file("job.toml", text);
        for command in ["run", "config"] {
            let seen = run([command.as_ref(), "--config".as_ref(), job.as_os_str()]);
            assert_eq!(seen.code, Some(125), "{seen:?}");
            assert!(seen.message().contains(message), "{seen:?}");
        }
    }
    let seen = run(["--config", "no/such/job.toml"]);
    assert_eq!(seen.code, Some(125));
    assert!(
        seen.message().starts_with("cannot read no/such/job.toml: "),
        "{seen:?}"
    );
}

#[test]
fn variables_come_from_files_as_docker_has_them() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", ARGS_AND_ENV);
    let one = guests.file(
        "one.env",
        "\u{feff}# first\nA=1\n  B=\"2\" \r\nOURS\nWASMRUN_NOT_SET\n",
    );
    let two = guests.file("two.env", "A=2\n");
    let with = |options: &[&str]| -> Seen {
        let mut command = wasmrun();
        command
            .env("OURS", "of the host")
            .arg("--env-file")
            .arg(&one);
        seen(
            command
                .arg("--env-file")
                .arg(&two)
                .args(options)
                .arg(&guest),
        )
    };
    assert_eq!(told(&with(&[])), ["A=2", "B=\"2\" ", "OURS=of the host"]);
    assert_eq!(
        told(&with(&["--env", "A=3"])),
        ["A=3", "B=\"2\" ", "OURS=of the host"]
    );

    let wrong = guests.file("wrong.env", "A=1\n\nB C=1\n");
    let seen = run(["--env-file".as_ref(), wrong.as_os_str(), guest.as_os_str()]);
    assert_eq!(seen.code, Some(125));
    let message = format!(
        "{}, line 3: the name \"B C\" has white space in it",
        wrong.display()
    );
    assert_eq!(seen.message(), message);
}
