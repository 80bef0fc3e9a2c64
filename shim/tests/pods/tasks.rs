//! Containers as `ctr` runs them: what the spec says holds.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::guests::{ACCESS_DENIED, CONNECTION_REFUSED, Guests};
use crate::node::{Node, RUNTIME, Ran, Release, eventually};
use crate::{CONNECTS, GUEST, HELLO, LINUX, Rule, UID, USER};

pub const ALL: &[Rule] = &[
    ("a_guest_says_hello", says_hello),
    (
        "arguments_and_environment_are_the_specs",
        arguments_and_environment,
    ),
    ("the_exit_code_is_the_guests", exit_code),
    ("streams_stay_apart", streams),
    ("standard_input_reaches_the_guest", standard_input),
    ("a_trap_says_why", trap),
    ("what_is_no_program_is_refused_with_the_reason", no_program),
    (
        "an_unknown_annotation_is_refused_by_name",
        unknown_annotation,
    ),
    ("a_bad_value_is_refused_by_name", bad_value),
    ("each_engine_can_be_chosen", engines),
    ("fuel_runs_out", fuel),
    ("time_runs_out", timeout),
    ("the_stack_has_the_size_asked_for", stack),
    ("a_deterministic_run_repeats", deterministic),
    ("a_whole_run_can_be_given", whole_run),
    ("the_network_is_what_was_granted", network),
    ("a_module_has_no_other_working_directory", working_directory),
    ("growth_fails_below_the_memory_limit", memory_limit),
    ("a_limit_too_small_is_refused", small_memory_limit),
    ("mounts_are_what_the_spec_says", mounts),
    ("a_mount_is_read_only_with_all_below", recursive_mount),
    ("a_full_mount_is_full", full_mount),
    ("the_rootfs_is_what_the_spec_says", rootfs),
    ("files_belong_to_the_specs_user", user),
    ("a_signal_ends_the_guest", signals),
    ("a_guest_can_be_paused", pause),
    ("exec_is_refused_with_the_reason", exec),
    ("its_process_may_what_one_of_runc_may", confined),
    ("nothing_of_the_runtime_is_visible", hidden),
    ("metrics_are_true", metrics),
    ("a_linux_program_runs_as_one", linux_program),
    ("a_linux_program_has_no_devices_but_runcs", devices),
    ("what_libcontainer_leaves_out_is_refused", left_out),
    ("what_the_runtime_can_do_is_told", features),
    ("the_second_start_is_warm", warm),
];

/// Runs a container to its end and removes it: `options` are those of `ctr run`.
pub fn run(node: &Node, image: &str, options: &[&str], arguments: &[&str]) -> Ran {
    run_with_input(node, image, options, arguments, b"")
}

fn run_with_input(
    node: &Node,
    image: &str,
    options: &[&str],
    arguments: &[&str],
    input: &[u8],
) -> Ran {
    let id = node.id("task");
    let mut command = node.command("ctr");
    command.args(["run", "--rm"]).args(platform(image));
    command
        .args(["--runtime", RUNTIME])
        .args(options)
        .args([image, &id])
        .args(words(image, arguments));
    let ran = node.run(&mut command, input);
    node.nothing_left_of(&id);
    ran
}

/// What `ctr` is told to run: without words the image's own, which others would take the place of.
fn words<'a>(image: &str, arguments: &[&'a str]) -> Vec<&'a str> {
    let program = match image {
        GUEST | USER if !arguments.is_empty() => Some("/guest.wasm"),
        _ => None,
    };
    program
        .into_iter()
        .chain(arguments.iter().copied())
        .collect()
}

fn platform(image: &str) -> &'static [&'static str] {
    match image {
        LINUX => &[],
        _ => &["--platform", "wasi/wasm"],
    }
}

/// A container that runs.
pub struct Running<'a> {
    node: &'a Node,
    pub id: String,
}

impl<'a> Running<'a> {
    pub fn start(node: &'a Node, image: &str, options: &[&str], arguments: &[&str]) -> Running<'a> {
        Running::start_on(node, RUNTIME, image, options, arguments)
    }

    fn start_on(
        node: &'a Node,
        runtime: &str,
        image: &str,
        options: &[&str],
        arguments: &[&str],
    ) -> Running<'a> {
        let id = node.id("task");
        let log = format!("file://{}", node.path(&format!("files/{id}")).display());
        let mut command = node.command("ctr");
        command
            .args(["run", "--detach", "--log-uri", &log])
            .args(platform(image));
        command
            .args(["--runtime", runtime])
            .args(options)
            .args([image, &id])
            .args(words(image, arguments));
        node.run(&mut command, b"").ended(0);
        Running { node, id }
    }

    /// What it has said.
    pub fn said(&self) -> String {
        fs::read_to_string(self.node.path(&format!("files/{}", self.id))).unwrap_or_default()
    }

    #[track_caller]
    pub fn says(&self, words: &str) {
        eventually(|| {
            let said = self.said();
            said.contains(words)
                .then_some(())
                .ok_or(format!("{words:?} is not in {said:?}"))
        });
    }

    #[track_caller]
    pub fn is(&self, state: &str) {
        eventually(|| {
            let tasks = self.node.ctr(&["task", "ls"]).stdout;
            let line = tasks
                .lines()
                .find(|line| line.starts_with(&self.id))
                .unwrap_or_default();
            let is = line.split_whitespace().last() == Some(state);
            is.then_some(())
                .ok_or(format!("{} is not {state}: {line:?}", self.id))
        });
    }

    /// Removes it, whether containerd still knows that it has ended or not.
    #[track_caller]
    pub fn is_gone(&self) {
        self.node.ctr(&["task", "delete", &self.id]);
        self.node.ctr(&["container", "delete", &self.id]).ended(0);
        self.node.nothing_left_of(&self.id);
    }

    pub fn kill(&self, signal: &str) -> Ran {
        self.node
            .ctr(&["task", "kill", "--signal", signal, &self.id])
    }

    /// Its exit code, once it has ended and is removed.
    #[track_caller]
    pub fn ends(&self) -> i32 {
        self.is("STOPPED");
        let deleted = self.node.ctr(&["task", "delete", &self.id]).ended(0);
        self.node.ctr(&["container", "delete", &self.id]).ended(0);
        // What is not 0 is a warning.
        let code = deleted.stderr.split("non-zero exit code ").nth(1);
        let code = code.map_or("0", |rest| rest.trim_end_matches(['"', '\n']));
        let code = code.parse().unwrap_or_else(|_| panic!("{deleted}"));
        self.node.nothing_left_of(&self.id);
        code
    }
}

fn says_hello(node: &Node) {
    let ran = run(node, HELLO, &[], &[]).ended(0);
    assert_eq!(ran.stdout, "hello\n");
    assert_eq!(ran.stderr, "");
}

fn arguments_and_environment(node: &Node) {
    let ran = run(
        node,
        GUEST,
        &["--env", "LANG=C", "--env", "EMPTY="],
        &["say", "two words"],
    )
    .ended(0);
    for line in ["argument /guest.wasm", "argument say", "argument two words"] {
        assert!(ran.stdout.lines().any(|told| told == line), "{line}: {ran}");
    }
    for variable in [
        "variable LANG=C",
        "variable EMPTY=",
        "variable FROM=the image",
    ] {
        assert!(
            ran.stdout.lines().any(|told| told == variable),
            "{variable}: {ran}"
        );
    }
}

fn exit_code(node: &Node) {
    run(node, GUEST, &[], &["exit", "42"]).ended(42);
    run(node, GUEST, &[], &["exit", "255"]).ended(255);
}

fn streams(node: &Node) {
    let ran = run(node, GUEST, &[], &["both"]).ended(0);
    assert_eq!((&*ran.stdout, &*ran.stderr), ("to stdout\n", "to stderr\n"));
}

/// `ctr` does not tell that its own input has ended; docker does, and is asked.
fn standard_input(node: &Node) {
    let ran = run_with_input(node, GUEST, &[], &["line"], b"a line\n").ended(0);
    assert_eq!(ran.stdout, "a line\n");
}

fn trap(node: &Node) {
    let ran = run(node, GUEST, &[], &["trap"]).ended(134);
    assert!(ran.stderr.contains("unreachable"), "{ran}");
}

fn no_program(node: &Node) {
    let id = node.id("task");
    let mut command = node.command("ctr");
    command.args([
        "run",
        "--rm",
        "--platform",
        "wasi/wasm",
        "--runtime",
        RUNTIME,
    ]);
    let text = node.path(&node.id("files/text"));
    fs::write(&text, "neither of Linux nor WebAssembly").expect("a file");
    let mount = format!(
        "type=bind,src={},dst=/guest.wasm,options=rbind:ro",
        text.display()
    );
    command.args(["--mount", &mount, GUEST, &id]);
    let ran = node.run(&mut command, b"");
    assert_ne!(ran.code(), 0, "{ran}");
    assert!(ran.stderr.contains("/guest.wasm"), "{ran}");
    node.ctr(&["container", "delete", &id]);
    node.nothing_left_of(&id);
}

fn refused(node: &Node, annotation: &str, words: &[&str]) {
    let ran = run(node, GUEST, &["--annotation", annotation], &["say"]);
    assert_ne!(ran.code(), 0, "{annotation}: {ran}");
    for word in words {
        assert!(
            ran.stderr.contains(word),
            "{annotation}: {word:?} is not in {ran}"
        );
    }
    assert!(!ran.stdout.contains("argument"), "the guest has run: {ran}");
}

fn unknown_annotation(node: &Node) {
    refused(node, "wasmrun.fule=1000", &["wasmrun.fule", "wasmrun.fuel"]);
    // What others ask of others is no concern of ours.
    run(
        node,
        GUEST,
        &["--annotation", "example.com/fuel=1"],
        &["exit", "0"],
    )
    .ended(0);
}

fn bad_value(node: &Node) {
    refused(node, "wasmrun.fuel=much", &["wasmrun.fuel", "much"]);
    refused(node, "wasmrun.timeout=soon", &["wasmrun.timeout", "soon"]);
    refused(node, "wasmrun.engine=diesel", &["diesel"]);
    refused(
        node,
        "wasmrun.max-stack=deep",
        &["wasmrun.max-stack", "deep"],
    );
    refused(
        node,
        "wasmrun.deterministic=maybe",
        &["wasmrun.deterministic", "maybe"],
    );
}

fn engines(node: &Node) {
    for engine in ["wasmtime", "wasmer", "wasmi"] {
        let annotation = format!("wasmrun.engine={engine}");
        run(node, GUEST, &["--annotation", &annotation], &["exit", "42"]).ended(42);
    }
}

fn fuel(node: &Node) {
    let ran = run(
        node,
        GUEST,
        &["--annotation", "wasmrun.fuel=10000000"],
        &["spin"],
    )
    .ended(124);
    assert!(ran.stderr.contains("fuel"), "{ran}");
}

fn timeout(node: &Node) {
    let ran = run(
        node,
        GUEST,
        &["--annotation", "wasmrun.timeout=300ms"],
        &["spin"],
    )
    .ended(124);
    assert!(ran.stderr.contains("time"), "{ran}");
    run(
        node,
        GUEST,
        &["--annotation", "wasmrun.timeout=300ms"],
        &["sleep", "600"],
    )
    .ended(124);
}

fn stack(node: &Node) {
    run(
        node,
        GUEST,
        &["--annotation", "wasmrun.max-stack=1Mi"],
        &["exit", "42"],
    )
    .ended(42);
}

fn deterministic(node: &Node) {
    let options = ["--annotation", "wasmrun.deterministic=true"];
    let random = |options: &[&str]| run(node, GUEST, options, &["random"]).ended(0).stdout;
    assert_eq!(random(&options), random(&options));
    assert_ne!(random(&[]), random(&[]));
}

fn whole_run(node: &Node) {
    let run_file = "wasmrun.config=[limits]\nfuel = 10000000\n";
    let ran = run(node, GUEST, &["--annotation", run_file], &["spin"]).ended(124);
    assert!(ran.stderr.contains("fuel"), "{ran}");
}

/// In the network of the node, whose loopback is up: nobody listens there.
fn network(node: &Node) {
    let told = |annotation: &[&str]| {
        let options = [&["--net-host"], annotation].concat();
        let ran = run(node, CONNECTS, &options, &[]).ended(0);
        ran.stdout.bytes().next().unwrap_or_else(|| panic!("{ran}"))
    };
    let of = |value: &str| told(&["--annotation", &format!("wasmrun.network={value}")]);
    assert_eq!(
        told(&[]),
        CONNECTION_REFUSED,
        "the pod's network is the guest's"
    );
    assert_eq!(of("host"), CONNECTION_REFUSED);
    assert_eq!(of("none"), ACCESS_DENIED);
    assert_eq!(of("tcp:127.0.0.1:9"), CONNECTION_REFUSED);
    assert_eq!(of("tcp:127.0.0.1:10"), ACCESS_DENIED);
}

/// WASI preview1 has none, so it is not ignored.
fn working_directory(node: &Node) {
    let ran = run(node, GUEST, &["--cwd", "/etc"], &["say"]);
    assert_ne!(ran.code(), 0, "{ran}");
    assert!(ran.stderr.contains("working directory"), "{ran}");
    run(node, GUEST, &["--cwd", "/"], &["exit", "42"]).ended(42);
}

fn memory_limit(node: &Node) {
    let limit = (192u64 << 20).to_string();
    let ran = run(node, GUEST, &["--memory-limit", &limit], &["grow"]).ended(0);
    refused_below(&ran, 192);
}

/// Fails unless the guest says that it got some memory, and less than so many MiB.
#[track_caller]
pub fn refused_below(ran: &Ran, mebibytes: u64) {
    let count = ran.stdout.trim().strip_prefix("refused after ");
    let count = count.and_then(|rest| rest.strip_suffix(" MiB"));
    let count: u64 = count.and_then(|count| count.parse().ok()).unwrap_or(0);
    assert!((16..mebibytes).contains(&count), "{ran}");
}

fn small_memory_limit(node: &Node) {
    let ran = run(node, GUEST, &["--memory-limit", "1048576"], &["say"]);
    assert_ne!(ran.code(), 0, "{ran}");
    assert!(ran.stderr.contains("memory"), "{ran}");
}

fn mounts(node: &Node) {
    let folder = node.path(&node.id("files/mounted"));
    fs::create_dir(&folder).expect("a directory");
    fs::write(folder.join("there"), "from outside\n").expect("a file");
    let mount = |kind: &str| {
        format!(
            "type=bind,src={},dst=/data,options=rbind:{kind}",
            folder.display()
        )
    };
    let read_only = mount("ro");
    let ran = run(
        node,
        GUEST,
        &["--mount", &read_only],
        &["read", "/data/there"],
    )
    .ended(0);
    assert_eq!(ran.stdout, "from outside\n");
    let ran = run(
        node,
        GUEST,
        &["--mount", &read_only],
        &["write", "/data/new"],
    )
    .ended(1);
    assert_eq!(ran.stdout, "/data/new: Read-only file system\n");
    let ran = run(
        node,
        GUEST,
        &["--mount", &mount("rw")],
        &["write", "/data/new", "inside"],
    )
    .ended(0);
    assert_eq!(ran.stdout, "/data/new: written\n");
    assert_eq!(
        fs::read_to_string(folder.join("new")).expect("the guest's"),
        "inside"
    );
}

fn recursive_mount(node: &Node) {
    let folder = node.path(&node.id("files/mounted"));
    let below = folder.join("below");
    fs::create_dir_all(&below).expect("a directory");
    let mount = ["-t", "tmpfs", "-o", "mode=1777", "tmpfs"];
    node.run(node.command("mount").args(mount).arg(&below), &[])
        .ended(0);
    for (option, code) in [("rro", 1), ("ro", 0)] {
        let mount = format!(
            "type=bind,src={},dst=/data,options=rbind:{option}",
            folder.display()
        );
        let write = ["write", "/data/below/new"];
        run(node, GUEST, &["--mount", &mount], &write).ended(code);
    }
    node.run(node.command("umount").arg(&below), &[]).ended(0);
}

fn full_mount(node: &Node) {
    let mount = "type=tmpfs,src=tmpfs,dst=/small,options=size=4k:mode=1777";
    let large = "x".repeat(20_000);
    let ran = run(
        node,
        GUEST,
        &["--mount", mount],
        &["write", "/small/large", &large],
    )
    .ended(1);
    assert_eq!(ran.stdout, "/small/large: No space left on device\n");
}

fn rootfs(node: &Node) {
    let ran = run(node, GUEST, &[], &["read", "/etc/greeting"]).ended(0);
    assert_eq!(ran.stdout, "from the image\n");
    run(node, GUEST, &[], &["write", "/new"]).ended(0);
    let ran = run(node, GUEST, &["--read-only"], &["write", "/new"]).ended(1);
    assert_eq!(ran.stdout, "/new: Read-only file system\n");
    // Nothing of the node, and nothing of ours.
    let ran = run(node, GUEST, &[], &["list", "/"]).ended(0);
    for name in ["guest.wasm", "etc"] {
        assert!(
            ran.stdout
                .lines()
                .any(|line| line == format!("entry {name}")),
            "{ran}"
        );
    }
    for name in ["home", "usr", "tmp", "root"] {
        assert!(
            !ran.stdout
                .lines()
                .any(|line| line == format!("entry {name}")),
            "{ran}"
        );
    }
}

fn user(node: &Node) {
    let folder = node.path(&node.id("files/owned"));
    fs::create_dir(&folder).expect("a directory");
    std::os::unix::fs::chown(&folder, Some(UID), Some(UID)).expect("root may");
    let mount = format!(
        "type=bind,src={},dst=/data,options=rbind:rw",
        folder.display()
    );
    let ran = run(node, USER, &["--mount", &mount], &["write", "/data/new"]).ended(0);
    // Such as that compiled code is not this user's to read.
    assert_eq!(ran.stderr, "");
    let owner = fs::metadata(folder.join("new")).expect("the guest's");
    assert_eq!((owner.uid(), owner.gid()), (UID, UID));
    let ran = run(
        node,
        USER,
        &["--mount", &mount],
        &["write", "/etc/greeting"],
    )
    .ended(1);
    assert_eq!(ran.stdout, "/etc/greeting: Permission denied\n");
}

fn signals(node: &Node) {
    for (signal, code) in [("SIGTERM", 143), ("SIGKILL", 137), ("SIGINT", 130)] {
        let task = Running::start(node, GUEST, &[], &["sleep", "1000"]);
        task.says("sleeping");
        task.kill(signal).ended(0);
        assert_eq!(task.ends(), code, "{signal}: {}", task.said());
    }
}

fn pause(node: &Node) {
    let task = Running::start(node, GUEST, &[], &["spin"]);
    task.says("spinning");
    node.ctr(&["task", "pause", &task.id]).ended(0);
    task.is("PAUSED");
    let before = processor_time(node, &task.id);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(processor_time(node, &task.id), before, "it runs on");
    node.ctr(&["task", "resume", &task.id]).ended(0);
    task.is("RUNNING");
    eventually(|| {
        (processor_time(node, &task.id) > before)
            .then_some(())
            .ok_or("it stays".into())
    });
    task.kill("SIGKILL").ended(0);
    assert_eq!(task.ends(), 137);
}

fn exec(node: &Node) {
    let task = Running::start(node, GUEST, &[], &["sleep", "1000"]);
    let ran = node.ctr(&[
        "task",
        "exec",
        "--exec-id",
        "second",
        &task.id,
        "/guest.wasm",
    ]);
    assert_ne!(ran.code(), 0, "{ran}");
    assert!(
        ran.stderr.contains("exec") && ran.stderr.contains("one process"),
        "{ran}"
    );
    task.is("RUNNING");
    task.kill("SIGKILL").ended(0);
    task.ends();
}

/// The lines of a process' status that say what it may.
fn rights(node: &Node, id: &str) -> Vec<String> {
    let tasks = node.ctr(&["task", "ls"]).stdout;
    let line = tasks
        .lines()
        .find(|line| line.starts_with(id))
        .unwrap_or_default();
    let pid = line.split_whitespace().nth(1).unwrap_or_default();
    let status = fs::read_to_string(node.own(&format!("/proc/{pid}/status"))).expect("it runs");
    let names = ["Uid:", "Gid:", "Groups:", "Cap", "NoNewPrivs:", "Seccomp:"];
    let lines = status
        .lines()
        .filter(|line| names.iter().any(|name| line.starts_with(name)));
    lines.map(str::to_owned).collect()
}

fn confined(node: &Node) {
    for options in [&["--seccomp"][..], &[]] {
        let ours = Running::start(node, GUEST, options, &["sleep", "1000"]);
        let theirs = Running::start_on(node, "io.containerd.runc.v2", LINUX, options, &[]);
        ours.says("sleeping");
        let rights_of_ours = rights(node, &ours.id);
        assert_eq!(rights_of_ours, rights(node, &theirs.id));
        assert!(
            rights_of_ours.iter().any(|line| line == "NoNewPrivs:\t1"),
            "{rights_of_ours:?}"
        );
        for task in [ours, theirs] {
            task.kill("SIGKILL").ended(0);
            task.ends();
        }
    }
}

/// Descriptors, environment and command line of the process that runs the guest are not the guest's to read.
fn hidden(node: &Node) {
    for file in [
        "/proc/self/environ",
        "/proc/self/cmdline",
        "/proc/1/environ",
        "/proc/1/maps",
    ] {
        let ran = run(node, GUEST, &[], &["read", file]);
        for ours in ["WASMRUN", "--config", "memfd"] {
            assert!(!ran.stdout.contains(ours), "{file}: {ran}");
        }
    }
    for folder in ["/proc/self/fd", "/proc/1/fd"] {
        let ran = run(node, GUEST, &[], &["list", folder]);
        assert!(!ran.stdout.contains("entry 3"), "{folder}: {ran}");
    }
}

/// A number of `ctr task metrics`, by its path with cgroups of version 1, or else of version 2.
fn metric(node: &Node, id: &str, [first, second]: [&str; 2]) -> u64 {
    let metrics = node
        .ctr(&["task", "metrics", "--format", "json", id])
        .ended(0);
    let parsed: Value =
        serde_json::from_str(&metrics.stdout).unwrap_or_else(|_| panic!("{metrics}"));
    let number = parsed.pointer(first).or(parsed.pointer(second));
    number.and_then(Value::as_u64).unwrap_or(0)
}

/// Only to be compared.
fn processor_time(node: &Node, id: &str) -> u64 {
    metric(node, id, ["/cpu/usage/total", "/cpu/usage_usec"])
}

fn metrics(node: &Node) {
    let limit = 256u64 << 20;
    let task = Running::start(
        node,
        GUEST,
        &["--memory-limit", &limit.to_string()],
        &["spin"],
    );
    task.says("spinning");
    // A fifth of a second: nanoseconds, or microseconds.
    let enough = [
        ("/cpu/usage/total", 200_000_000),
        ("/cpu/usage_usec", 200_000),
    ];
    eventually(|| {
        let spent = enough.map(|(path, least)| metric(node, &task.id, [path, path]) > least);
        spent
            .contains(&true)
            .then_some(())
            .ok_or("it spends no time".into())
    });
    let told = |paths| metric(node, &task.id, paths);
    assert_eq!(told(["/memory/usage/limit", "/memory/usage_limit"]), limit);
    let used = told(["/memory/usage/usage", "/memory/usage"]);
    assert!(used > 0 && used <= limit, "{used}");
    task.kill("SIGKILL").ended(0);
    task.ends();
}

fn linux_program(node: &Node) {
    let ran = run(node, LINUX, &[], &["/pause", "say"]);
    assert_eq!(ran.ended(0).stdout, "a Linux program\n");
}

fn devices(node: &Node) {
    let ran = run(node, LINUX, &[], &["/pause", "device"]).ended(0);
    assert_eq!(ran.stderr, "opening: Operation not permitted\n");
    let theirs = [
        "run",
        "--rm",
        "--runtime",
        "io.containerd.runc.v2",
        LINUX,
        &node.id("task"),
        "/pause",
        "device",
    ];
    assert_eq!(node.ctr(&theirs).ended(0).stderr, ran.stderr);
}

/// A specification as a whole, since `ctr` has no words for some of it.
fn left_out(node: &Node) {
    let id = node.id("task");
    let root = node.path(&format!("files/{id}"));
    fs::create_dir_all(&root).expect("a directory");
    fs::write(root.join("guest.wasm"), Guests::guest()).expect("a file");
    let run = |place: &str, value: Value| {
        let mut spec = json!({
            "ociVersion": "1.1.0",
            "root": { "path": root },
            "process": {
                "user": { "uid": 0, "gid": 0 }, "cwd": "/", "args": ["/guest.wasm", "exit", "42"],
            },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
            ],
            "linux": {
                "cgroupsPath": format!("/{}/{id}", node.namespace()),
                "namespaces": [{ "type": "mount" }, { "type": "pid" }],
            },
        });
        let (parent, name) = place.rsplit_once('/').expect("a path");
        spec.pointer_mut(parent).expect("it is there")[name] = value;
        let file = node.path(&format!("{id}.json"));
        fs::write(&file, spec.to_string()).expect("a file");
        let file = file.display().to_string();
        let ran = node.ctr(&["run", "--rm", "--runtime", RUNTIME, "--config", &file, &id]);
        node.nothing_left_of(&id);
        ran
    };
    run("/process/cwd", json!("/")).ended(42);
    // The kernel has no SELinux, or none of this label.
    let label = json!("nobody_u:nobody_r:nothing_t:s0");
    let rdma = json!({ "rdma": { "mlx5_1": { "hcaHandles": 3 } } });
    let mapped = json!(["idmap"]);
    for (place, value, words) in [
        ("/process/selinuxLabel", label, "SELinux, nobody_u"),
        ("/linux/resources", rdma, "linux.resources.rdma"),
        ("/mounts/1/options", mapped, "idmap"),
    ] {
        let ran = run(place, value);
        assert!(ran.code() != 0 && ran.stderr.contains(words), "{ran}");
    }
}

/// containerd 1.6 asks no runtime.
fn features(node: &Node) {
    if node.release == Release::Bookworm {
        return;
    }
    let told = node.ctr(&["plugins", "inspect-runtime", "--runtime", RUNTIME]);
    let told: Value = serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{told}"));
    let options = told["Features"]["mountOptions"].as_array().expect("a list");
    assert!(options.contains(&json!("rro")), "{told}");
    let idmap = told.pointer("/Features/linux/mountExtensions/idmap/enabled");
    assert_eq!(idmap, Some(&json!(false)), "{told}");
}

fn warm(node: &Node) {
    run(node, HELLO, &[], &[]).ended(0);
    let kept = |node: &Node| {
        let mut count = 0;
        crate::node::walk(&node.path("cache"), 6, &mut |_, is_folder| {
            count += u32::from(!is_folder)
        });
        count
    };
    let before = kept(node);
    assert!(before > 0, "nothing is kept");
    run(node, HELLO, &[], &[]).ended(0);
}
