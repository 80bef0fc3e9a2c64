//! What is read, and what is wrong with what is not.

use std::env::VarError;
use std::path::Path;
use std::time::Duration;

use wasmrun_core::{Access, InheritEnv, Mount, Network, Overflow, Stdout};

use super::*;

fn told(text: &str) -> String {
    RunFile::from_toml(text).expect_err(text).to_string()
}

fn told_of_json(text: &str) -> String {
    RunFile::from_json(text).expect_err(text).to_string()
}

#[test]
fn toml_and_json_say_the_same() {
    let toml = RunFile::from_toml(
        r#"
        guest = "app.wasm"
        sha256 = "sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"
        max_guest_size = "1Mi"
        engine = "auto"
        prefer = ["wasmi"]
        env_file = ["a.env"]
        args = ["-v", "x"]
        inherit_env = { named = ["LANG"] }
        stdin = { file = "in.txt" }
        stdout = "null"
        network = "host"
        clock = { fixed = 1970-01-01T00:00:01Z }
        random = { seeded = 0x10 }
        mounts = [
            { path = "/data", bind = "data" },
            { path = "/tmp", memory = { bytes = "1Mi" } },
        ]

        [env]
        Z = "1"
        A = "2"

        [limits]
        memory = "64Mi"
        timeout = "1m30s"
        output = 1_000
        overflow = "stop"
        "#,
    );
    let json = RunFile::from_json(
        r#"{
        "guest": "app.wasm",
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "max_guest_size": 1048576, "engine": "auto", "prefer": ["wasmi"], "env_file": ["a.env"],
        "args": ["-v", "x"], "inherit_env": {"named": ["LANG"]}, "stdin": {"file": "in.txt"},
        "stdout": "null", "network": "host", "clock": {"fixed": 1000000000},
        "random": {"seeded": 16},
        "mounts": [
            {"path": "/data", "access": "read-only", "bind": "data"},
            {"path": "/tmp", "access": "read-write", "memory": {"bytes": 1048576, "entries": null}}
        ],
        "env": [["Z", "1"], ["A", "2"]],
        "limits": {"memory": 67108864, "timeout": 90000, "output": "1k", "overflow": "stop", "fuel": null}
        }"#,
    );
    let file = toml.expect("TOML");
    assert_eq!(file, json.expect("JSON"));
    assert_eq!(file.launch.guest.as_deref(), Some(Path::new("app.wasm")));
    assert_eq!(file.launch.sha256, Some(Sha256::of(b"abc")));
    let config = RunConfig::new()
        .args(["-v", "x"])
        .env("Z", "1")
        .env("A", "2")
        .inherit_env(InheritEnv::Named(vec!["LANG".into()]))
        .stdin(Stdin::File("in.txt".into()))
        .stdout(Stdout::Null)
        .network(Network::Host)
        .clock(wasmrun_core::Clock::Fixed(1_000_000_000))
        .random(wasmrun_core::Random::Seeded(16))
        .map_dir("data", "/data", Access::ReadOnly)
        .mount(Mount::memory("/tmp", 1 << 20))
        .limit(|limits| {
            limits.memory = Some(64 << 20);
            limits.timeout = Some(Duration::from_secs(90));
            limits.output = Some(1000);
            limits.overflow = Overflow::Stop;
        });
    assert_eq!(file.config, config);
    assert_eq!(RunFile::from_toml("").expect("nothing"), RunFile::default());
}

#[test]
fn a_key_that_is_not_known_is_told_with_the_nearest_and_its_place() {
    for (text, expected) in [
        (
            "[limits]\nfuel = 1\nmemroy = 1",
            "TOML: unknown key `memroy` in limits, line 3 column 1; did you mean `memory`?",
        ),
        (
            "guest = 'a'\n  gest = 'b'",
            "TOML: unknown key `gest`, line 2 column 3; did you mean `guest`?",
        ),
        (
            "limts.fuel = 1",
            "TOML: unknown key `limts`, line 1 column 1; did you mean `limits`?",
        ),
        (
            "[[mounts]]\npath = '/'\nbind = '.'\n[[mounts]]\npath = '/a'\nbnd = 'é'",
            "TOML: unknown key `bnd` in mounts[1], line 6 column 1; did you mean `bind`?",
        ),
        (
            "mounts = [{ path = 'é', memory = { byts = 1 } }]",
            "TOML: unknown key `byts` in mounts[0].memory, line 1 column 36; did you mean `bytes`?",
        ),
        (
            "stdin = 'inherrit'",
            "TOML: unknown value `inherrit` of stdin, line 1 column 9; did you mean `inherit`?",
        ),
        (
            "stdin = { fle = 'a' }",
            "TOML: unknown value `fle` of stdin, line 1 column 11; did you mean `file`?",
        ),
        (
            "network = 'everything'",
            "TOML: unknown value `everything` of network, line 1 column 11; there are `denied`, `host`, `rules`",
        ),
    ] {
        assert_eq!(told(text), expected);
    }
    assert_eq!(
        told_of_json("{\n \"argv0\": \"é\", \"limits\": {\"é\": 1}}"),
        "JSON: unknown key `é` in limits, line 2 column 27; there are `memory`, `fuel`, `timeout`, `stack`, `output`, \
         `overflow`, `table_elements`, `instances`"
    );
    assert_eq!(
        told_of_json("{\"args\": [], \"engin\": \"wasmi\"}"),
        "JSON: unknown key `engin`, line 1 column 14; did you mean `engine`?"
    );
}

#[test]
fn a_value_that_is_wrong_is_told_with_its_place() {
    for (text, expected) in [
        (
            "args = ['a',\n  1]",
            "TOML: args[1]: integer `1`, where a string is expected, line 2 column 3",
        ),
        (
            "[limits]\nmemory = '64 potatoes'",
            "TOML: limits.memory: the form is a number of bytes, or one with a unit such as 64Mi or 1.5G, line 2 column 10",
        ),
        (
            "limits.timeout = '3'",
            "TOML: limits.timeout: a time has a unit; did you mean 3s?, line 1 column 18",
        ),
        (
            "limits.fuel = -1",
            "TOML: limits.fuel: integer `-1`, where a number is expected, line 1 column 15",
        ),
        (
            "limits.fuel = 1.5",
            "TOML: limits.fuel: floating point `1.5`, where a number is expected, line 1 column 15",
        ),
        (
            "limits = [1]",
            "TOML: limits: a list, where a table is expected, line 1 column 10",
        ),
        (
            "[env]\nA = true",
            "TOML: env.A: boolean `true`, where a string is expected, line 2 column 5",
        ),
        (
            "stdin = 1",
            "TOML: stdin: integer `1`, where text or a table with one key is expected, line 1 column 9",
        ),
        (
            "stdin = { inherit = 1 }",
            "TOML: stdin: `inherit` has no value; it is written \"inherit\", line 1 column 11",
        ),
        (
            "stdin = 'file'",
            "TOML: stdin: `file` needs a value: { file = … }, line 1 column 9",
        ),
        (
            "[[mounts]]\npath = '/a'",
            "TOML: mounts[0]: a mount has one of bind, file, volume, tar, package, memory and overlay, line 1 column 1",
        ),
        (
            "mounts = [{ path = '/a', bind = 'a', tar = 'b' }]",
            "TOML: mounts[0]: a mount has one of bind, file, volume, tar, package, memory and overlay, line 1 column 11",
        ),
        (
            "mounts = [{ path = '/a', overlay = {} }]",
            "TOML: mounts[0].overlay: `lower` is missing, line 1 column 36",
        ),
        (
            "sha256 = 'abc'",
            "TOML: sha256: a SHA-256 digest has 64 hexadecimal digits, line 1 column 10",
        ),
        (
            "variables = 'HOME'",
            "TOML: variables: string \"HOME\", where a sequence is expected, line 1 column 13",
        ),
        (
            "a = 1\nargs = ['${HOME}']",
            "TOML: `${HOME}` is not among the `variables` of this file; add it there, or write `$${` for what is meant as \
             it is, line 2 column 9",
        ),
        (
            "limits.fuel = 99999999999999999999",
            "TOML: the number is too large, line 1 column 15",
        ),
    ] {
        assert_eq!(told(text), expected);
    }
    assert_eq!(
        told_of_json("[]"),
        "JSON: a table is expected, line 1 column 1"
    );
    assert_eq!(
        told_of_json("{\"limits\": {\"memory\":\n true}}"),
        "JSON: limits.memory: boolean `true`, where bytes, as a number or as text with a unit such as \"64Mi\" is \
         expected, line 2 column 2"
    );
    assert_eq!(
        told_of_json("{\"args\": [],\n \"args\": []}"),
        "JSON: key `args` is there twice, line 2 column 2"
    );
}

#[test]
fn what_is_neither_toml_nor_json_is_told_with_its_place() {
    for (text, place) in [
        ("a = ", "line 1 column 5"),
        ("é = 1", "line 1 column 1"),
        ("\n[a\n", "line 2 column 3"),
    ] {
        let told = told(text);
        assert!(told.starts_with("TOML: ") && told.contains(place), "{told}");
    }
    let told = told("a = 1\na = 2");
    assert!(
        told.contains("duplicate key") && told.contains("line 2 column 1"),
        "{told}"
    );
    for (text, place) in [
        ("", "line 1 column 1"),
        ("{", "line 1 column 1"),
        ("{\n\"args\": [,]}", "line 2 column 10"),
        ("{\"args\": []}}", "line 1 column 13"),
        ("{'a': 1}", "line 1 column 2"),
        ("{} // no", "line 1 column 4"),
    ] {
        let told = told_of_json(text);
        assert!(
            told.starts_with("JSON: ") && told.contains(place),
            "{text}: {told}"
        );
    }
    let deep = "[".repeat(100_000);
    assert!(told_of_json(&deep).contains("recursion limit"));
    assert!(RunFile::from_toml(&format!("a = {deep}")).is_err());
    assert!(RunFile::from_toml(&format!("a{} = 1", ".a".repeat(100_000))).is_err());
}

#[test]
fn a_variable_is_used_where_it_is_declared() {
    let host = |name: &str| match name {
        "HOME" => Ok("/home/me".to_owned()),
        "MEMORY" => Ok("1Mi".to_owned()),
        _ => Err(VarError::NotPresent),
    };
    let of = |text: &str| RunFile::of(toml::parse(text)?, &host);
    let file = of(
        "variables = ['HOME', 'MEMORY']\nguest = '${HOME}/a.wasm'\nargs = ['$${HOME}', '$HOME']\n\
         limits.memory = '${MEMORY}'\nmounts = [{ path = '/h', bind = '${HOME}' }]",
    );
    let file = file.expect("it is read");
    assert_eq!(
        file.launch.guest.as_deref(),
        Some(Path::new("/home/me/a.wasm"))
    );
    assert_eq!(file.launch.variables, [""; 0]);
    assert_eq!(file.config.args, ["${HOME}", "$HOME"]);
    assert_eq!(file.config.limits.memory, Some(1 << 20));
    assert_eq!(file.config.mounts[0].host(), Some(Path::new("/home/me")));
    for (text, words) in [
        (
            "variables = ['A']\nargs = ['${A}']",
            "the variable A is not set here",
        ),
        (
            "variables = ['HOME']\nargs = ['${HOM}']",
            "`${HOM}` is not among",
        ),
    ] {
        let problem = of(text).expect_err(text).told("f", text).to_string();
        assert!(
            problem.contains(words) && problem.ends_with("line 2 column 9"),
            "{problem}"
        );
    }
}

#[test]
fn relative_paths_are_from_the_files_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    let path = at("job.toml");
    let text = "guest = 'a.wasm'\nenv_file = ['a.env']\nengine = 'wasmi-cli=bin/wasmi'\n\
                stdin = { file = 'in' }\nmounts = [{ path = '/a', bind = 'a' }, { path = '/b', bind = '/b' }]";
    std::fs::write(&path, text).expect("a file");
    let file = RunFile::read(&path).expect("it is read");
    assert_eq!(file.launch.guest, Some(at("a.wasm")));
    assert_eq!(file.launch.env_file, [at("a.env")]);
    let engine = format!("wasmi-cli={}", at("bin/wasmi").display());
    assert_eq!(file.launch.engine, Some(engine));
    assert_eq!(file.config.stdin, Stdin::File(at("in")));
    assert_eq!(file.config.mounts[0].host(), Some(&*at("a")));
    assert_eq!(file.config.mounts[1].host(), Some(Path::new("/b")));

    std::fs::write(&path, "guest = '-'").expect("a file");
    let file = RunFile::read(&path).expect("it is read");
    assert_eq!(file.launch.guest.as_deref(), Some(Path::new("-")));
}

#[test]
fn variables_of_files_are_below_those_of_the_config() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("a.env"), "A=1\nB=1\nC=1").expect("a file");
    std::fs::write(at("b.env"), "B=2\nC=2").expect("a file");
    std::fs::write(at("job.toml"), "env_file = ['a.env', 'b.env']\nenv.C = '3'").expect("a file");
    let config = RunFile::read(at("job.toml")).and_then(|file| file.run_config());
    let env = config.expect("it is read").env;
    let last = |name: &str| {
        let mut all = env.iter().rev();
        all.find_map(|(other, value)| (other == name).then_some(value.as_str()))
    };
    assert_eq!(
        [last("A"), last("B"), last("C")],
        [Some("1"), Some("2"), Some("3")]
    );

    std::fs::write(at("b.env"), "B=2\nC D=2").expect("a file");
    let error = RunFile::read(at("job.toml")).and_then(|file| file.run_config());
    let told = error.expect_err("a name with a space").to_string();
    assert!(told.contains("b.env, line 2: "), "{told}");
}

#[test]
fn what_is_written_says_no_more_than_it_has_to() {
    let mut file = RunFile::default();
    assert_eq!(file.to_toml().expect("it is written"), "");
    assert_eq!(file.to_json().expect("it is written"), "{}\n");
    file.launch.guest = Some("app.wasm".into());
    file.launch.variables = vec!["HOME".into()];
    file.config = RunConfig::new()
        .args(["${X}", "a"])
        .env("HOME", "not written")
        .env("A", "$${B}")
        .map_dir("data", "/data", Access::ReadOnly)
        .mount(Mount::overlay(".", "/work", 1 << 20))
        .limit(|limits| {
            limits.memory = Some(64 << 20);
            limits.timeout = Some(Duration::from_secs(2));
            limits.fuel = Some(u64::MAX);
        });
    let toml = file.to_toml().expect("it is written");
    assert_eq!(
        toml,
        r#"guest = "app.wasm"
variables = ["HOME"]
args = [
    "$${X}",
    "a",
]
stdin = "null"

[env]
HOME = "${HOME}"
A = "$$${B}"

[[mounts]]
path = "/data"
bind = "data"
access = "read-only"

[[mounts]]
path = "/work"
access = "read-write"

[[mounts.overlay.lower]]
bind = "."

[mounts.overlay.upper.memory]
bytes = 1048576

[limits]
memory = 67108864
fuel = "18446744073709551615"
timeout = "2s"
"#
    );
    let again = RunFile::from_toml(&toml).expect("it is read");
    let home = std::env::var("HOME").expect("tests have a home");
    file.config.env[0].1 = home;
    assert_eq!(again, file);
    let json = file.to_json().expect("it is written");
    assert_eq!(RunFile::from_json(&json).expect("it is read"), file);
}

#[cfg(unix)]
#[test]
fn a_path_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let mut file = RunFile::default();
    file.launch.guest = Some(std::ffi::OsStr::from_bytes(b"\xff").into());
    let error = file.to_toml().expect_err("no text");
    assert_eq!(error.kind(), ErrorKind::Config);
}
