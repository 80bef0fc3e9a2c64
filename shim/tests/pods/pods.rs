//! Pods as a kubelet makes them: sandbox, containers, logs, the end.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cri::Cri;
use crate::node::{Node, eventually};
use crate::{ARTIFACT, GUEST, LINUX, PYTHON, Rule};

pub const ALL: &[Rule] = &[
    ("pod: a_container_runs_and_its_log_is_kept", runs),
    ("pod: stopping_gives_the_grace_that_was_asked_for", stops),
    ("pod: limits_and_annotations_are_the_pods", limits),
    ("pod: the_deployment_of_the_documentation_runs", documented),
    ("pod: a_linux_container_runs_beside_a_guest", sidecar),
    ("pod: an_artifact_runs_by_its_command", artifact),
    ("pod: statistics_are_true", statistics),
    ("pod: exec_is_refused_with_the_reason", exec),
    ("pod: a_slice_is_systemds_or_refused", slice),
    ("pod: it_can_go_while_it_compiles", goes_while_compiling),
];

/// The values of variables are bytes to CRI, which JSON has as text.
const BASE64_OF_C: &str = "Qw==";

/// A pod, and what a kubelet knows of it.
pub struct Pod<'a> {
    node: &'a Node,
    cri: Cri,
    config: Value,
    pub id: String,
}

impl<'a> Pod<'a> {
    pub fn new(node: &'a Node, annotations: Value) -> Pod<'a> {
        Pod::with_handler(node, annotations, "wasmrun")
    }

    /// On a runtime by the name that it has in containerd's configuration.
    pub fn with_handler(node: &'a Node, annotations: Value, handler: &str) -> Pod<'a> {
        let name = node.id("pod");
        let logs = node.path(&format!("logs/{name}"));
        fs::create_dir_all(&logs).expect("a directory");
        let config = json!({
            "metadata": { "name": name, "namespace": "default", "uid": name, "attempt": 0 },
            "hostname": name,
            "log_directory": logs,
            "annotations": annotations,
            "linux": {
                "cgroup_parent": format!("/{}", node.namespace()),
                "security_context": { "namespace_options": { "pid": "CONTAINER" } },
            },
        });
        let mut cri = node.cri();
        let request = json!({ "config": config, "runtime_handler": handler });
        let reply = cri.call("RunPodSandbox", request);
        let id = text(&reply["pod_sandbox_id"]);
        Pod {
            node,
            cri,
            config,
            id,
        }
    }

    /// Makes a container and starts it; its identifier. `more` goes into its config.
    pub fn start(&mut self, name: &str, image: &str, more: Value) -> Result<String, String> {
        let id = self.create(name, image, more)?;
        self.begin(&id)?;
        Ok(id)
    }

    /// Starts a container that was made.
    pub fn begin(&mut self, container: &str) -> Result<(), String> {
        let request = json!({ "container_id": container });
        self.cri.try_call("StartContainer", request).map(drop)
    }

    /// Makes a container.
    pub fn create(&mut self, name: &str, image: &str, more: Value) -> Result<String, String> {
        let mut config = json!({
            "metadata": { "name": name, "attempt": 0 },
            "image": { "image": image },
            "log_path": format!("{name}.log"),
            "linux": {},
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        config["linux"]["security_context"]["namespace_options"] = json!({ "pid": "CONTAINER" });
        let request =
            json!({ "pod_sandbox_id": self.id, "config": config, "sandbox_config": self.config });
        Ok(text(
            &self.cri.try_call("CreateContainer", request)?["container_id"],
        ))
    }

    /// The exit code of a container, when it has ended.
    #[track_caller]
    pub fn ended(&mut self, container: &str) -> i64 {
        eventually(|| {
            let reply = self
                .cri
                .call("ContainerStatus", json!({ "container_id": container }));
            let status = &reply["status"];
            match status["state"].as_str() {
                // What is 0 is left out.
                Some("CONTAINER_EXITED") => Ok(status["exit_code"].as_i64().unwrap_or(0)),
                state => Err(format!("{container} is {state:?}")),
            }
        })
    }

    /// The log as the kubelet finds it: time, stream, a tag for whole lines, and the line.
    pub fn log(&self, name: &str) -> Vec<(String, String)> {
        let folder = self.config["log_directory"].as_str().unwrap_or_default();
        let log = fs::read_to_string(format!("{folder}/{name}.log")).unwrap_or_default();
        let parsed = log.lines().map(|line| {
            let parts: Vec<&str> = line.splitn(4, ' ').collect();
            match parts[..] {
                [time, stream, "F", words] if time.contains('T') => {
                    (stream.to_owned(), words.to_owned())
                }
                _ => panic!("not a line of a log: {line}"),
            }
        });
        parsed.collect()
    }

    /// Waits for a line.
    #[track_caller]
    pub fn says(&self, name: &str, words: &str) {
        eventually(|| {
            let log = self.log(name);
            let found = log.iter().any(|(_, line)| line.contains(words));
            found
                .then_some(())
                .ok_or(format!("{words:?} is not in {log:?}"))
        });
    }

    /// Speaks to a containerd that was started again.
    pub fn reconnect(&mut self) {
        self.cri = self.node.cri();
    }

    pub fn call(&mut self, method: &str, request: Value) -> Value {
        self.cri.call(method, request)
    }

    /// Ends it; nothing is left.
    #[track_caller]
    pub fn remove(mut self) {
        let pod = json!({ "pod_sandbox_id": self.id });
        self.cri.call("StopPodSandbox", pod.clone());
        self.cri.call("RemovePodSandbox", pod);
        self.node.nothing_left_of(&self.id);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn runs(node: &Node) {
    let mut pod = Pod::new(node, json!({}));
    let more = json!({
        "args": ["say", "two words"],
        "envs": [{ "key": "LANG", "value": BASE64_OF_C }],
    });
    let container = pod.start("guest", GUEST, more).expect("it starts");
    assert_eq!(pod.ended(&container), 0);
    for line in [
        "argument two words",
        "variable LANG=C",
        "variable FROM=the image",
    ] {
        pod.says("guest", line);
    }
    let failing = pod
        .start("failing", GUEST, json!({ "args": ["exit", "42"] }))
        .expect("it starts");
    assert_eq!(pod.ended(&failing), 42);
    let both = pod
        .start("both", GUEST, json!({ "args": ["both"] }))
        .expect("it starts");
    assert_eq!(pod.ended(&both), 0);
    pod.says("both", "to stderr");
    let mut log = pod.log("both");
    log.sort();
    let line = |stream: &str, words: &str| (stream.to_owned(), words.to_owned());
    assert_eq!(
        log,
        [line("stderr", "to stderr"), line("stdout", "to stdout")]
    );
    pod.call("RemoveContainer", json!({ "container_id": container }));
    node.nothing_left_of(&container);
    pod.remove();
}

fn stops(node: &Node) {
    let mut pod = Pod::new(node, json!({}));
    let container = pod
        .start("guest", GUEST, json!({ "args": ["sleep", "1000"] }))
        .expect("it starts");
    pod.says("guest", "sleeping");
    let began = Instant::now();
    pod.call(
        "StopContainer",
        json!({ "container_id": container, "timeout": 30 }),
    );
    assert_eq!(pod.ended(&container), 143);
    assert!(
        began.elapsed() < Duration::from_secs(25),
        "it was killed, not ended"
    );
    pod.remove();
}

fn limits(node: &Node) {
    let mut pod = Pod::new(node, json!({ "wasmrun.fuel": "10000000" }));
    let limit = (192u64 << 20).to_string();
    let resources = json!({ "args": ["grow"], "linux": { "resources": { "memory_limit_in_bytes": limit } },
        "annotations": { "wasmrun.fuel": "100000000000" } });
    let container = pod.start("grows", GUEST, resources).expect("it starts");
    assert_eq!(pod.ended(&container), 0, "{:?}", pod.log("grows"));
    pod.says("grows", "refused after");
    let timed = json!({ "args": ["spin"], "annotations": { "wasmrun.timeout": "300ms" } });
    let container = pod.start("timed", GUEST, timed).expect("it starts");
    assert_eq!(pod.ended(&container), 124);
    let wrong = json!({ "annotations": { "wasmrun.fule": "1" } });
    let error = pod.start("wrong", GUEST, wrong).expect_err("it is refused");
    assert!(error.contains("wasmrun.fule"), "{error}");
    pod.remove();
}

/// What docs/kubernetes.md has as a Deployment, as a kubelet asks for it.
fn documented(node: &Node) {
    let pictures = node.path(&node.id("files/pictures"));
    fs::create_dir(&pictures).expect("a directory");
    fs::write(pictures.join("one"), "a picture\n").expect("a file");
    let annotations = json!({ "wasmrun.engine": "wasmtime", "wasmrun.max-stack": "1Mi" });
    let mut pod = Pod::new(node, annotations);
    let container = |args: &[&str]| {
        json!({
            "args": args,
            "envs": [{ "key": "LANG", "value": BASE64_OF_C }],
            "mounts": [{ "container_path": "/data", "host_path": pictures, "readonly": true }],
            "linux": {
                "resources": {
                    "memory_limit_in_bytes": (192u64 << 20).to_string(),
                    "cpu_period": "100000",
                    "cpu_quota": "50000",
                },
                "security_context": { "run_as_user": { "value": "1000" }, "readonly_rootfs": true },
            },
        })
    };
    let ends = |pod: &mut Pod<'_>, name: &str, args: &[&str]| {
        let started = pod.start(name, GUEST, container(args)).expect("it starts");
        pod.ended(&started)
    };
    assert_eq!(ends(&mut pod, "reads", &["read", "/data/one"]), 0);
    pod.says("reads", "a picture");
    for (name, path) in [("writes-data", "/data/two"), ("writes-root", "/two")] {
        assert_eq!(ends(&mut pod, name, &["write", path]), 1);
        pod.says(name, "Read-only file system");
    }
    assert_eq!(ends(&mut pod, "grows", &["grow"]), 0);
    pod.says("grows", "refused after");
    pod.remove();
}

fn sidecar(node: &Node) {
    let mut pod = Pod::new(node, json!({}));
    let linux = pod
        .start("linux", LINUX, json!({ "args": ["say"] }))
        .expect("it starts");
    assert_eq!(pod.ended(&linux), 0);
    pod.says("linux", "a Linux program");
    let guest = pod
        .start("guest", GUEST, json!({ "args": ["exit", "7"] }))
        .expect("it starts");
    assert_eq!(pod.ended(&guest), 7);
    pod.remove();
}

/// The module is the layer, so it is no file of an image.
fn artifact(node: &Node) {
    let mut pod = Pod::new(node, json!({}));
    let more = json!({ "command": ["/guest.wasm"], "args": ["exit", "42"] });
    let container = pod.start("artifact", ARTIFACT, more).expect("it starts");
    assert_eq!(pod.ended(&container), 42, "{:?}", pod.log("artifact"));
    pod.remove();
}

fn statistics(node: &Node) {
    let mut pod = Pod::new(node, json!({}));
    let container = pod
        .start("guest", GUEST, json!({ "args": ["spin"] }))
        .expect("it starts");
    pod.says("guest", "spinning");
    eventually(|| {
        let reply = pod.call("ContainerStats", json!({ "container_id": container }));
        let number = |path: &str| -> u64 {
            let value = reply["stats"].pointer(path).and_then(Value::as_str);
            value.and_then(|value| value.parse().ok()).unwrap_or(0)
        };
        let spent = number("/cpu/usage_core_nano_seconds/value");
        let used = number("/memory/working_set_bytes/value");
        (spent > 200_000_000 && used > 0)
            .then_some(())
            .ok_or(format!("{reply}"))
    });
    pod.remove();
}

fn exec(node: &Node) {
    let mut pod = Pod::new(node, json!({}));
    let container = pod
        .start("guest", GUEST, json!({ "args": ["sleep", "1000"] }))
        .expect("it starts");
    let request = json!({ "container_id": container, "cmd": ["/guest.wasm"], "timeout": 10 });
    let error = pod
        .cri
        .try_call("ExecSync", request)
        .expect_err("it is refused");
    assert!(error.contains("one process"), "{error}");
    pod.remove();
}

/// CPython takes an engine seconds. Who gives its start up, as a kubelet does after a while, finds nothing left of it.
/// There is no systemd on the node.
fn slice(node: &Node) {
    let name = node.id("pod");
    let config = json!({
        "metadata": { "name": name, "namespace": "default", "uid": name, "attempt": 0 },
        "log_directory": node.path("logs"),
        "linux": {
            "cgroup_parent": "wasmrun.slice",
            "security_context": { "namespace_options": { "pid": "CONTAINER" } },
        },
    });
    let request = json!({ "config": config, "runtime_handler": "wasmrun" });
    let refused = node.cri().try_call("RunPodSandbox", request);
    let words = refused.expect_err("there is no such slice");
    assert!(words.contains("systemd"), "{words}");
}

fn goes_while_compiling(node: &Node) {
    let mut pod = Pod::new(node, json!({ "wasmrun.engine": "wasmer" }));
    let more = json!({ "args": ["-c", "print(1)"] });
    let container = pod.create("python", PYTHON, more).expect("it is created");
    let start = json!({ "container_id": container });
    // Where it was faster than that, its end is all there is to see.
    let _ = pod.cri.hurried("StartContainer", start, 1);
    let id = json!({ "pod_sandbox_id": pod.id });
    eventually(|| pod.cri.try_call("StopPodSandbox", id.clone()));
    eventually(|| pod.cri.try_call("RemovePodSandbox", id.clone()));
    node.nothing_left_of(&pod.id);
    eventually(|| {
        let compiles = |(_, line): &(u32, String)| line.contains("compile --engine wasmer");
        let left: Vec<_> = node.processes().into_iter().filter(compiles).collect();
        left.is_empty().then_some(()).ok_or(format!("{left:?}"))
    });
}
