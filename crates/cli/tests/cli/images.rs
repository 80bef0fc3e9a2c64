//! Programs in registries: the command from end to end, against docker's registry.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use wasmrun_testkit::registry::DockerRegistry;

#[cfg(target_os = "linux")]
use crate::common::on_a_terminal;
#[cfg(feature = "wasmedge")]
use crate::common::wasmrun_with_wasmedge;
use crate::common::{ARGS_AND_ENV, NOTHING, Seen, engines, wasmrun};

/// `me` with the password `hunter2`, as bcrypt has it.
const HTPASSWD: &str = "me:$2y$05$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.\n";

/// A user with a store and credentials of their own.
struct User(TempDir);

impl User {
    fn new() -> User {
        User(TempDir::new().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).expect("a file");
        self.path(name).display().to_string()
    }

    /// Pushes a program; returns its file and its reference.
    fn pushes(&self, name: &str, content: &str, registry: &DockerRegistry) -> (String, String) {
        let guest = self.file(name, content);
        let reference = format!("oci://{}/{name}:1", registry.address());
        self.prints(&["push", &guest, &reference]);
        (guest, reference)
    }

    fn command(&self) -> Command {
        self.of(wasmrun())
    }

    fn of(&self, mut command: Command) -> Command {
        command
            .env("XDG_DATA_HOME", self.path("data"))
            .env("DOCKER_CONFIG", self.path("docker"));
        command
    }

    fn run(&self, args: &[impl AsRef<OsStr>]) -> Seen {
        self.command()
            .args(args)
            .output()
            .expect("wasmrun starts")
            .into()
    }

    /// What it prints, which has to succeed.
    #[track_caller]
    fn prints(&self, args: &[&str]) -> String {
        let seen = self.run(args);
        assert_eq!(
            (seen.code, &*seen.stderr),
            (Some(0), ""),
            "{args:?}: {seen:?}"
        );
        seen.stdout
    }

    /// The one line that it says when it fails.
    #[track_caller]
    fn fails(&self, code: i32, args: &[&str]) -> String {
        let seen = self.run(args);
        assert_eq!(seen.code, Some(code), "{args:?}: {seen:?}");
        seen.message().to_owned()
    }

    fn login(&self, registry: &str, password: &str) -> Seen {
        let mut child = self
            .command()
            .args(["login", registry, "--user", "me"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("wasmrun starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(password.as_bytes()).expect("it reads");
        drop(stdin);
        child.wait_with_output().expect("it ends").into()
    }
}

#[test]
fn cpython_comes_from_a_registry_on_every_engine() {
    let Some(registry) = DockerRegistry::start(None) else {
        return;
    };
    let (user, other) = (User::new(), User::new());
    let python = wasmrun_testkit::programs::program("python.wasm");
    let python = python.path().expect("a file").display().to_string();
    fs::create_dir(user.path("lib")).expect("a directory");
    user.file("lib/greeting.py", "def greet(): return 'from the image'\n");
    let reference = format!("oci://{}/python:3.12", registry.address());
    let lib = format!("{}::/lib/greet:ro", user.path("lib").display());
    let pushed = user.prints(&["push", "--dir", &lib, &python, &reference]);
    assert!(
        pushed.starts_with(&format!("{reference} is sha256:")),
        "{pushed}"
    );

    let mut all = engines();
    if cfg!(feature = "subprocess") {
        all.extend(["wasmtime-cli", "wasmi-cli"]);
    }
    const PROGRAM: &str = "import sys; sys.path.append('/lib/greet'); import greeting; print(1, greeting.greet()); open('/lib/greet/new', 'w').write('x')";
    for engine in &all {
        let ran = other.prints(&["--engine", engine, &reference, "-c", PROGRAM]);
        assert_eq!(ran, "1 from the image\n", "{engine}");
    }
    #[cfg(feature = "wasmedge")]
    {
        let mut wasmedge = other.of(wasmrun_with_wasmedge());
        let wasmedge = wasmedge.args(["--engine", "wasmedge", &reference, "-c", PROGRAM]);
        let seen = Seen::from(wasmedge.output().expect("wasmrun starts"));
        assert_eq!(seen.stdout, "1 from the image\n", "{seen:?}");
    }
    // With the registry gone.
    drop(registry);
    for policy in ["never", "missing"] {
        let ran = other.prints(&[
            "--engine", "wasmi", "--pull", policy, &reference, "-c", PROGRAM,
        ]);
        assert_eq!(ran, "1 from the image\n");
    }
    let told = other.fails(125, &["--pull", "always", &reference, "-c", "1"]);
    assert!(told.contains("the connection to"), "{told}");
}

#[test]
fn what_an_image_says_is_under_what_is_asked() {
    let Some(registry) = DockerRegistry::start(None) else {
        return;
    };
    let user = User::new();
    let (_, reference) = user.pushes("show.wat", ARGS_AND_ENV, &registry);
    let show = |args: &[&str]| {
        let printed = user.prints(args);
        printed
            .split_terminator('\0')
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        show(&["--env", "K=V", &reference, "a"]),
        ["show.wat", "a", "K=V"]
    );
    assert_eq!(show(&["--argv0", "x", &reference]), ["x"]);
    // As a file, which may name it.
    let job = user.file(
        "job.toml",
        &format!("guest = '{reference}'\nargs = ['b']\n"),
    );
    assert_eq!(show(&["--config", &job]), ["show.wat", "b"]);
    let told = user.fails(125, &["--command", "x", &reference]);
    assert!(told.contains("which is no webc package"), "{told}");
    let digest = "0".repeat(64);
    let told = user.fails(126, &["--sha256", &digest, &reference]);
    assert!(told.contains("is not the expected program"), "{told}");
}

#[test]
fn a_reference_is_a_guest_for_every_command() {
    let Some(registry) = DockerRegistry::start(None) else {
        return;
    };
    let (user, other) = (User::new(), User::new());
    let (guest, reference) = user.pushes("show.wat", ARGS_AND_ENV, &registry);

    let never = ["--pull", "never"];
    for verb in ["inspect", "compile", "flatten", "compare", "bench"] {
        let told = other.fails(127, &[&[verb], &never[..], &[&reference]].concat());
        assert!(told.contains("`wasmrun pull` gets it"), "{verb}: {told}");
    }
    // As the first to want it, each gets it.
    let inspected = other.prints(&["inspect", "--pull", "always", &reference]);
    assert!(inspected.starts_with("show.wat: module"), "{inspected}");
    drop(registry);
    let told = other.fails(125, &["inspect", "--pull", "always", &reference]);
    assert!(told.contains("the connection to"), "{told}");
    if engines().contains(&"wasmtime") {
        let cache = other.path("cache").display().to_string();
        let compile = || {
            let mut command = other.command();
            command.env("WASMRUN_CACHE_DIR", &cache);
            command.args(["compile", "--engine", "wasmtime", &reference]);
            Seen::from(command.output().expect("wasmrun starts")).stdout
        };
        assert!(compile().starts_with("show.wat: compiled in"));
        assert!(compile().starts_with("show.wat: compiled before"));
    }
    let told = other.fails(126, &["flatten", "-o", "/dev/null", &reference]);
    assert!(told.contains("a module cannot be flattened"), "{told}");
    // One engine twice, so that there are two.
    let twice = ["--engines", "wasmi,wasmi", "--env", "K=V"];
    let compared = other.prints(&[&["compare", "--json"], &twice[..], &[&reference, "a"]].concat());
    let compared: serde_json::Value = serde_json::from_str(&compared).expect("JSON");
    assert_eq!(
        (&compared["agree"], &compared["engines"][1]["stdout_bytes"]),
        (&true.into(), &"show.wat\0a\0K=V\0".len().into())
    );
    let measure = [
        "bench", "--json", "--runs", "2", "--warmup", "0", "--pull", "missing",
    ];
    let measured = other.prints(&[&measure[..], &twice[..], &[&reference, "a"]].concat());
    let measured: serde_json::Value = serde_json::from_str(&measured).expect("JSON");
    let left_out = |warning: &serde_json::Value| warning.to_string().contains("is left out");
    let warnings = measured["warnings"].as_array().expect("warnings");
    assert!(!warnings.iter().any(left_out), "{measured}");
    assert_eq!(measured["args"], serde_json::json!(["a"]));

    // What is said of registries is in the file, and is kept to from there.
    let job = other.prints(
        &[
            &["config"],
            &never[..],
            &["--plain-http", "h:1", &reference],
        ]
        .concat(),
    );
    assert!(job.contains("pull = \"never\""), "{job}");
    assert!(job.contains("plain_http = [\"h:1\"]"), "{job}");
    let job = user.file("job.toml", &job);
    let told = User::new().fails(127, &["--config", &job]);
    assert!(told.contains("`wasmrun pull` gets it"), "{told}");
    for asked in [&never[..], &["--plain-http", "h:1"]] {
        let told = user.fails(125, &[asked, &[&guest]].concat());
        assert!(told.contains("which is no reference"), "{told}");
    }
    let told = user.fails(125, &["push", &reference, "oci://h/other:1"]);
    assert!(told.contains("`wasmrun tag`"), "{told}");
}

#[test]
fn a_store_is_looked_at_and_changed() {
    let Some(registry) = DockerRegistry::start(None) else {
        return;
    };
    let user = User::new();
    let (_, one) = user.pushes("nothing.wat", NOTHING, &registry);
    let pushed = user.prints(&["push", &one]);
    let digest = pushed
        .trim()
        .rsplit(' ')
        .next()
        .expect("a digest")
        .to_owned();
    assert_eq!(user.prints(&["pull", &one]), format!("{one} is {digest}\n"));
    assert_eq!(user.prints(&["tag", &one, "oci://localhost/other:2"]), "");
    let listed = user.prints(&["images"]);
    let short = &digest["sha256:".len()..][..12];
    assert_eq!(
        listed.lines().filter(|line| line.contains(short)).count(),
        2,
        "{listed}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&user.prints(&["images", "--json"])).expect("JSON");
    assert_eq!(json[0]["digest"], digest);
    let by_digest = format!("oci://anywhere.example/x@{digest}");
    user.prints(&["--pull", "never", &by_digest]);

    let file = user.path("images.tar").display().to_string();
    user.prints(&["save", "--output", &file, "oci://localhost/other:2"]);
    user.prints(&["rmi", &one, "oci://localhost/other:2"]);
    assert_eq!(user.prints(&["images"]), "");
    assert_eq!(
        fs::read_dir(user.path("data/wasmrun/images/blobs/sha256"))
            .expect("a directory")
            .count(),
        0
    );
    assert_eq!(user.prints(&["load", &file]), "oci://localhost/other:2\n");
    user.prints(&["--pull", "never", "oci://localhost/other:2"]);
    let told = user.prints(&["prune", "--max-size", "0"]);
    assert!(told.starts_with("removed 1 name and 3 files"), "{told}");
}

#[test]
fn what_fails_is_one_line() {
    let Some(registry) = DockerRegistry::start(None) else {
        return;
    };
    let user = User::new();
    let at = |name: &str| format!("oci://{}/{name}", registry.address());
    let cases: &[(i32, &[&str], &str)] = &[
        (127, &[&at("none:1")], "is not in the registry"),
        (127, &["pull", &at("none:1")], "is not in the registry"),
        (127, &["--pull", "never", &at("none:1")], "wasmrun pull"),
        (127, &["push", &at("none:1")], "is not in the store"),
        (127, &["rmi", &at("none:1")], "is not in the store"),
        (127, &["save", "-o", "/nowhere/x", &at("none:1")], ""),
        (125, &["oci://HOST"], "is no reference"),
        (
            125,
            &["oci://127.0.0.1:1/x"],
            "the connection to 127.0.0.1:1 failed",
        ),
        (125, &["load", "/nowhere/x"], "cannot read /nowhere/x"),
        (
            125,
            &["push", "--dir", "/tmp", &at("x:1")],
            "--dir is for a GUEST",
        ),
        (127, &["push", "/nowhere/x", &at("x:1")], "/nowhere/x"),
        (
            125,
            &["login", registry.address(), "--user", "me"],
            "no password on standard input",
        ),
    ];
    for (code, args, what) in cases {
        let seen = user.run(args);
        let told = seen.message();
        assert!(told.contains(what), "{args:?}: {told}");
        assert!(
            seen.code == Some(*code) || what.is_empty(),
            "{args:?}: {seen:?}"
        );
    }
    assert_eq!(user.prints(&["images"]), "");
}

#[test]
fn a_login_is_checked_kept_and_forgotten() {
    let Some(registry) = DockerRegistry::start(Some(HTPASSWD)) else {
        return;
    };
    let user = User::new();
    let guest = user.file("nothing.wat", NOTHING);
    let reference = format!("oci://{}/nothing:1", registry.address());
    let told = user.fails(125, &["push", &guest, &reference]);
    assert!(
        told.contains(&format!("wasmrun login {}", registry.address())),
        "{told}"
    );
    let refused = user.login(registry.address(), "hunter3\n");
    assert_eq!(refused.code, Some(125));
    assert!(refused.message().contains("does not let in"));
    assert!(!user.path("docker/config.json").exists());
    let kept = user.login(registry.address(), "hunter2\n");
    assert_eq!((kept.code, &*kept.stdout), (Some(0), ""));
    assert!(
        kept.message().contains("who can read that file"),
        "{kept:?}"
    );
    for seen in [&refused, &kept] {
        assert!(!format!("{seen:?}").contains("hunter"));
    }
    user.prints(&["push", &guest, &reference]);
    user.prints(&["--pull", "always", &reference]);
    user.prints(&["logout", registry.address()]);
    user.fails(125, &["--pull", "always", &reference]);
    let seen = user.run(&["logout", registry.address()]);
    assert!(seen.message().contains("nothing was kept"));
}

#[test]
fn a_pull_that_is_ended_anywhere_leaves_the_store_whole() {
    let Some(registry) = DockerRegistry::start(None) else {
        return;
    };
    let user = User::new();
    let large = wasmrun_testkit::programs::program("python.wasm");
    let large = large.path().expect("a file").display().to_string();
    let reference = format!("oci://{}/large:1", registry.address());
    user.prints(&["push", &large, &reference]);
    let other = User::new();
    let blobs = other.path("data/wasmrun/images/blobs/sha256");
    for (signal, milliseconds) in [("INT", 10), ("KILL", 30), ("INT", 60), ("KILL", 100)] {
        let mut pull = other
            .command()
            .args(["pull", &reference])
            .stdout(Stdio::null())
            .spawn()
            .expect("wasmrun starts");
        thread::sleep(Duration::from_millis(milliseconds));
        let kill = Command::new("kill")
            .args([format!("-{signal}"), pull.id().to_string()])
            .status();
        kill.expect("it runs");
        pull.wait().expect("it ends");
        let whole = other.run(&["images"]);
        assert_eq!(whole.code, Some(0), "{whole:?}");
        for blob in fs::read_dir(&blobs).into_iter().flatten() {
            let blob = blob.expect("an entry");
            let found = wasmrun::Sha256::of(&fs::read(blob.path()).expect("readable"));
            assert_eq!(found.to_string(), blob.file_name().to_string_lossy());
        }
    }
    other.prints(&["pull", &reference]);
    assert_eq!(fs::read_dir(&blobs).expect("a directory").count(), 3);
    #[cfg(target_os = "linux")]
    {
        // With a bar for what is large, if somebody looks.
        let program = wasmrun::Sha256::of(&fs::read(&large).expect("readable")).to_string();
        let mut pull = User::new().command();
        let shown = on_a_terminal(pull.args(["pull", &reference]).stdout(Stdio::null()));
        assert!(shown.contains(&program[..12]), "{shown:?}");
    }
}

#[test]
fn an_image_runs_as_a_container() {
    let Some(registry) = DockerRegistry::start(None) else {
        return;
    };
    let other = User::new();
    let (_, reference) = User::new().pushes("show.wat", ARGS_AND_ENV, &registry);

    fs::create_dir(other.path("run")).expect("a directory");
    let prints = |args: &[&str]| {
        let mut command = other.command();
        let command = command.env("XDG_RUNTIME_DIR", other.path("run")).args(args);
        let seen = Seen::from(command.output().expect("wasmrun starts"));
        assert_eq!(
            (seen.code, &*seen.stderr),
            (Some(0), ""),
            "{args:?}: {seen:?}"
        );
        seen.stdout
    };
    let detach = ["run", "--detach", "--name", "web", "--engine", "wasmi"];
    prints(&[&detach[..], &["--env", "K=V", &reference, "a"]].concat());
    prints(&["wait", "web"]);
    assert_eq!(prints(&["logs", "web"]), "show.wat\0a\0K=V\0\n");
    let always = ["--name", "new", "--pull", "always", &reference];
    prints(&[&["run", "--detach", "--engine", "wasmi"], &always[..]].concat());
    prints(&["wait", "new"]);
    // It was fetched, and is started again with the registry gone.
    drop(registry);
    prints(&["start", "web"]);
    prints(&["wait", "web"]);
    // Unless it is to be what the tag leads to now.
    let mut start = other.command();
    let start = start.env("XDG_RUNTIME_DIR", other.path("run"));
    let seen = Seen::from(start.args(["start", "new"]).output().expect("it starts"));
    assert_eq!(seen.code, Some(125), "{seen:?}");
    assert!(seen.message().contains("the connection to"), "{seen:?}");
    prints(&["rm", "web", "new"]);
}
