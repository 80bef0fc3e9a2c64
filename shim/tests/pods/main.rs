//! The shim as it is used: by real containerd, with real images, through `ctr`, the kubelet's interface and docker.
//!
//! `scripts/pods` installs what that takes and runs this. Each rule is tried with each containerd.

mod bench;
mod cri;
mod docker;
mod faults;
mod guests;
mod images;
mod node;
mod pods;
mod registry;
mod tasks;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::json;

use guests::Guests;
use node::{Given, Node, Release};

/// The names of the images.
const GUEST: &str = "localhost/guest:1";
const HELLO: &str = "localhost/hello:1";
const PYTHON: &str = "localhost/python:1";
const CONNECTS: &str = "localhost/connects:1";
const USER: &str = "localhost/user:1";
const LINUX: &str = "localhost/linux:1";
const PAUSE: &str = "localhost/pause:1";
const ARTIFACT: &str = "localhost/artifact:1";

/// The user and group of the image [`USER`].
const UID: u32 = 1234;

/// A rule by its name, and how it is tried on a node.
type Rule = (&'static str, fn(&Node));

fn main() -> ExitCode {
    let benching = env::args().any(|argument| argument == "--bench");
    let arguments = Arguments::from_iter(env::args().filter(|argument| argument != "--bench"));
    let nodes = match nodes() {
        Ok(nodes) => nodes,
        Err(reason) => return left_out(&reason),
    };
    let guests = Guests::new();
    for node in &nodes {
        fill(node, &guests);
    }
    if benching {
        bench::run(&nodes, arguments.filter.as_deref().unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    let mut trials = Vec::new();
    for node in &nodes {
        // With the containerd that its daemon was made for.
        let docker = match node.release {
            Release::Sid => docker::ALL,
            Release::Bookworm => &[],
        };
        for (name, test) in [tasks::ALL, pods::ALL, registry::ALL, docker].concat() {
            let node = node.clone();
            trials.push(Trial::test(format!("{} {name}", node.name), move || {
                test(&node);
                Ok(())
            }));
        }
    }
    let mut conclusion = libtest_mimic::run(&arguments, trials);
    // Those that stop containerd, or fill it, have it for themselves.
    let mut alone = Vec::new();
    for node in &nodes {
        for (name, test) in faults::ALL {
            let node = node.clone();
            alone.push(Trial::test(format!("{} {name}", node.name), move || {
                test(&node);
                Ok(())
            }));
        }
        let node = node.clone();
        alone.push(Trial::test(
            format!("{} nothing_is_left_at_the_end", node.name),
            move || nothing_left(&node),
        ));
    }
    let mut one_at_a_time = arguments.clone();
    one_at_a_time.test_threads = Some(1);
    conclusion.num_failed += libtest_mimic::run(&one_at_a_time, alone).num_failed;
    conclusion.exit_code()
}

fn nodes() -> Result<Vec<Arc<Node>>, String> {
    let folder = |name: &str| {
        let given = env::var_os(name).map(PathBuf::from);
        given.ok_or(format!("{name} is not set: scripts/pods runs this"))
    };
    let given = Given {
        programs: folder("WASMRUN_PODS")?,
        ours: folder("WASMRUN_PODS_BIN")?,
    };
    [Release::Bookworm, Release::Sid]
        .map(|release| Node::start(release, &given))
        .into_iter()
        .collect()
}

/// What the system does not let us have is a failure where `CI` is set.
fn left_out(reason: &str) -> ExitCode {
    let reason = format!(
        "{reason}; it takes root with namespaces and cgroups, in a container with --privileged"
    );
    if env::var_os("CI").is_some() {
        eprintln!("{reason}");
        return ExitCode::FAILURE;
    }
    eprintln!("WARNING: the shim was not tried under containerd at all: {reason}");
    ExitCode::SUCCESS
}

/// Makes the images, and a node know them.
fn fill(node: &Node, guests: &Guests) {
    let program: &[(&str, &[u8])] = &[
        ("guest.wasm", &guests.guest),
        ("etc/greeting", b"from the image\n"),
    ];
    let entry = &["/guest.wasm"];
    let files = node.path("image.tar");
    let user = json!({ "User": format!("{UID}:{UID}") });
    let of_image = json!({ "Env": ["FROM=the image"] });
    images::wasm(&files, GUEST, program, entry, of_image);
    node.import(&files);
    images::wasm(&files, USER, program, entry, user);
    node.import(&files);
    images::wasm(
        &files,
        HELLO,
        &[("hello.wasm", &guests.hello)],
        &["/hello.wasm"],
        json!({}),
    );
    node.import(&files);
    images::wasm(
        &files,
        PYTHON,
        &[("python.wasm", &guests.python)],
        &["/python.wasm"],
        json!({}),
    );
    node.import(&files);
    let connects: &[(&str, &[u8])] = &[("connects.wasm", &guests.connects)];
    images::wasm(&files, CONNECTS, connects, &["/connects.wasm"], json!({}));
    node.import(&files);
    images::artifact(&files, ARTIFACT, &guests.guest);
    // Its layer is no archive.
    node.import_with(&files, &["--no-unpack"]);
    let pause: &[(&str, &[u8])] = &[("pause", &guests.pause)];
    images::linux(&files, LINUX, pause, &["/pause"]);
    node.import(&files);
    images::linux(&files, PAUSE, pause, &["/pause"]);
    node.import(&files);
}

fn nothing_left(node: &Node) -> Result<(), Failed> {
    let left = node.left_of("");
    match left.is_empty() {
        true => Ok(()),
        false => Err(left.join("\n").into()),
    }
}
