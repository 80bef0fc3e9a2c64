//! Under docker, with containerd's store of images: docker's daemon on the node's containerd.

use std::fs;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::Rule;
use crate::images;
use crate::node::{Node, RUNTIME, Ran, eventually};

pub const ALL: &[Rule] = &[("docker: it_runs_what_ctr_does", runs)];

struct Docker<'a> {
    node: &'a Node,
    daemon: Child,
}

impl<'a> Docker<'a> {
    fn start(node: &'a Node) -> Docker<'a> {
        let base = node.path("docker");
        fs::create_dir_all(&base).expect("a directory");
        let config = json!({
            "features": { "containerd-snapshotter": true },
            "iptables": false,
            "ip6tables": false,
            "bridge": "none",
        });
        fs::write(base.join("daemon.json"), config.to_string()).expect("a file");
        let log = fs::File::create(base.join("log")).expect("a file");
        let path = |name: &str| base.join(name).display().to_string();
        let daemon = node
            .command("dockerd")
            .args([
                "--config-file",
                &path("daemon.json"),
                "--data-root",
                &path("root"),
            ])
            .args(["--exec-root", &path("exec"), "--pidfile", &path("pid")])
            .args([
                "--containerd",
                &node.path("containerd.sock").display().to_string(),
            ])
            .args(["--host", &format!("unix://{}", path("docker.sock"))])
            .args(["--cgroup-parent", &format!("/{}", node.namespace())])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn()
            .expect("nsenter starts");
        let docker = Docker { node, daemon };
        eventually(|| {
            let said = docker.docker(&["version"]);
            (said.code() == 0).then_some(()).ok_or(format!("{said}"))
        });
        docker
    }

    fn docker(&self, arguments: &[&str]) -> Ran {
        self.docker_with_input(arguments, b"")
    }

    fn docker_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let socket = format!("unix://{}", self.node.path("docker/docker.sock").display());
        self.node.run(
            self.node
                .command("docker")
                .args(["--host", &socket])
                .args(arguments),
            input,
        )
    }

    fn run(&self, options: &[&str], arguments: &[&str]) -> Ran {
        self.run_with_input(options, arguments, b"")
    }

    fn run_with_input(&self, options: &[&str], arguments: &[&str], input: &[u8]) -> Ran {
        let run = [
            "run",
            "--rm",
            "--runtime",
            RUNTIME,
            "--platform",
            "wasi/wasm",
        ];
        self.docker_with_input(
            &[&run, options, &["localhost/docker:1"], arguments].concat(),
            input,
        )
    }
}

impl Drop for Docker<'_> {
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.node.path("docker/pid")).unwrap_or_default();
        self.node
            .run(self.node.command("kill").args(["-TERM", pid.trim()]), b"");
        for _ in 0..200 {
            if matches!(self.daemon.try_wait(), Ok(Some(_))) {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.daemon.kill().ok();
        self.daemon.wait().ok();
        // The network of `--network host`, which the daemon leaves.
        let network = self.node.path("docker/exec/netns/default");
        self.node.run(self.node.command("umount").arg(network), b"");
    }
}

fn runs(node: &Node) {
    let docker = Docker::start(node);
    let image = node.path("docker.tar");
    let guest = crate::guests::Guests::guest();
    images::wasm(
        &image,
        "localhost/docker:1",
        &[("guest.wasm", &guest)],
        &["/guest.wasm"],
        json!({}),
    );
    docker
        .docker(&["load", "--input", &image.display().to_string()])
        .ended(0);
    for network in ["host", "none"] {
        let options = ["--network", network, "--env", "LANG=C"];
        let ran = docker.run(&options, &["say", "two words"]).ended(0);
        for line in ["argument two words", "variable LANG=C"] {
            assert!(ran.stdout.contains(line), "{network}: {ran}");
        }
        docker
            .run(&["--network", network], &["exit", "42"])
            .ended(42);
    }
    let ran = docker
        .run(&["--network", "none", "--read-only"], &["write", "/new"])
        .ended(1);
    assert!(ran.stdout.contains("Read-only file system"), "{ran}");
    let ran = docker
        .run(&["--network", "none", "--memory", "192m"], &["grow"])
        .ended(0);
    crate::tasks::refused_below(&ran, 192);
    let ran = docker
        .run_with_input(
            &["--network", "none", "--interactive"],
            &["echo"],
            b"a line\n",
        )
        .ended(0);
    assert_eq!(ran.stdout, "a line\nend of input\n");
    docker
        .docker(&["image", "rm", "--force", "localhost/docker:1"])
        .ended(0);
}
