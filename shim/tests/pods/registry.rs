//! From a file to a pod: `wasmrun` puts a program into a registry, and containerd takes it from there.

use std::fs;
use std::process::{Child, Stdio};

use crate::Rule;
use crate::guests::Guests;
use crate::node::{Node, RUNTIME, eventually};

pub const ALL: &[Rule] = &[("what_wasmrun_pushes_containerd_runs", pushed)];

/// Each node has a loopback interface of its own.
const ADDRESS: &str = "127.0.0.1:5000";

/// docker-registry, in a node.
struct Registry<'a> {
    node: &'a Node,
    process: Child,
}

impl<'a> Registry<'a> {
    fn start(node: &'a Node) -> Registry<'a> {
        let data = node.path("registry");
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: \"{ADDRESS}\"}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\n",
            data.display()
        );
        let file = node.path("registry.yml");
        fs::write(&file, config).expect("a file");
        let process = node
            .command("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nsenter starts");
        Registry { node, process }
    }
}

impl Drop for Registry<'_> {
    fn drop(&mut self) {
        let own = self.node.path("registry.yml").display().to_string();
        let processes = self.node.processes();
        for (pid, _) in processes.iter().filter(|(_, line)| line.contains(&own)) {
            let kill = ["-KILL", &pid.to_string()];
            self.node.run(self.node.command("kill").args(kill), b"");
        }
        self.process.wait().ok();
    }
}

fn pushed(node: &Node) {
    let _registry = Registry::start(node);
    let program = node.path("pushed.wasm");
    fs::write(&program, Guests::guest()).expect("a file");
    let files = node.path("pushed");
    fs::create_dir_all(&files).expect("a directory");
    fs::write(files.join("greeting"), "pushed\n").expect("a file");
    let image = format!("{ADDRESS}/tools/guest:1.0");
    eventually(|| {
        let mut wasmrun = node.command("wasmrun");
        wasmrun.args(["push", "--plain-http", ADDRESS, "--dir"]);
        wasmrun.arg(format!("{}::/etc", files.display()));
        let ran = node.run(wasmrun.arg(&program).arg(format!("oci://{image}")), b"");
        (ran.code() == 0).then_some(()).ok_or(format!("{ran}"))
    });
    let platform = ["--platform", "wasip1/wasm"];
    let pull = ["image", "pull", "--plain-http"];
    node.ctr(&[&pull[..], &platform, &[&image]].concat())
        .ended(0);
    let id = node.id("task");
    let run = ["run", "--rm", "--runtime", RUNTIME];
    let arguments = [&image as &str, &id, "/pushed.wasm", "read", "/etc/greeting"];
    let ran = node
        .ctr(&[&run[..], &platform, &arguments].concat())
        .ended(0);
    assert_eq!(ran.stdout, "pushed\n");
    node.nothing_left_of(&id);
}
