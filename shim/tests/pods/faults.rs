//! What goes wrong on a node, one at a time.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use crate::node::{Node, Ran, eventually};
use crate::pods::Pod;
use crate::tasks::{Running, run};
use crate::{GUEST, HELLO, Rule, images};

pub const ALL: &[Rule] = &[
    ("a_killed_shim_takes_its_guest_along", killed_shim),
    ("guests_outlive_a_killed_containerd", killed_containerd),
    (
        "pods_outlive_a_killed_containerd",
        killed_containerd_under_pods,
    ),
    ("a_full_cache_costs_speed_only", full_cache),
    ("a_full_state_directory_is_told", full_state),
    ("input_that_nobody_reads_holds_nothing_up", ignored_input),
    ("an_image_that_lies_is_not_run", lying_image),
    ("a_hundred_run_eight_at_a_time", hundred),
    ("a_hundred_sleep_at_once", hundred_at_once),
];

/// The shim of a container, which is not a process of the container.
fn shim_of(node: &Node, id: &str) -> u32 {
    let of_it = |line: &str| line.contains("containerd-shim-wasmrun-v1") && line.contains(id);
    let found = node.processes().into_iter().find(|(_, line)| of_it(line));
    found
        .unwrap_or_else(|| panic!("{id} has no shim: {:?}", node.processes()))
        .0
}

fn killed_shim(node: &Node) {
    let task = Running::start(node, GUEST, &[], &["sleep", "1000"]);
    task.says("sleeping");
    let shim = shim_of(node, &task.id).to_string();
    node.run(node.command("kill").args(["-KILL", &shim]), &[])
        .ended(0);
    eventually(|| {
        let tasks = node.ctr(&["task", "ls"]).stdout;
        let runs = tasks
            .lines()
            .any(|line| line.starts_with(&task.id) && line.contains("RUNNING"));
        (!runs).then_some(()).ok_or(tasks)
    });
    node.ctr(&["task", "delete", "--force", &task.id]);
    node.ctr(&["container", "delete", &task.id]).ended(0);
    node.nothing_left_of(&task.id);
}

fn killed_containerd(node: &Node) {
    let task = Running::start(node, GUEST, &[], &["sleep", "1000"]);
    let short = Running::start(node, GUEST, &[], &["sleep", "1"]);
    task.says("sleeping");
    node.kill_containerd();
    short.says("slept");
    node.start_containerd().expect("it starts again");
    task.is("RUNNING");
    // containerd 2 forgets who ended while it was away.
    short.is_gone();
    task.kill("SIGTERM").ended(0);
    assert_eq!(task.ends(), 143);
    run(node, HELLO, &[], &[]).ended(0);
}

fn killed_containerd_under_pods(node: &Node) {
    let mut pod = Pod::new(node, json!({}));
    let container = pod
        .start("guest", GUEST, json!({ "args": ["sleep", "2"] }))
        .expect("it starts");
    pod.says("guest", "sleeping");
    node.kill_containerd();
    node.start_containerd().expect("it starts again");
    pod.reconnect();
    assert_eq!(pod.ended(&container), 0);
    pod.remove();
}

/// Runs a guest while this directory of the node has room for so many pages.
fn run_with_room(node: &Node, directory: &str, pages: u32) -> Ran {
    fs::create_dir_all(node.path(directory)).expect("a directory");
    let directory = node.path(directory).display().to_string();
    let options = format!("size={}k,mode=700", 4 * pages);
    let mount = ["-t", "tmpfs", "-o", &options, "tmpfs", &directory];
    node.run(node.command("mount").args(mount), &[]).ended(0);
    let ran = run(node, GUEST, &[], &["exit", "42"]);
    node.run(node.command("umount").args(["--lazy", &directory]), &[])
        .ended(0);
    ran
}

fn full_cache(node: &Node) {
    run_with_room(node, "cache", 4).ended(42);
}

/// Wherever it gets full: containerd writes there first, then the shim, then libcontainer.
fn full_state(node: &Node) {
    let directory = format!("state/io.containerd.runtime.v2.task/{}", node.namespace());
    let mut failed = 0;
    for pages in 1..=24 {
        let ran = run_with_room(node, &directory, pages);
        match ran.code() {
            42 => break,
            _ => assert!(
                ran.stderr.contains("no space left") || ran.stderr.contains("No space left"),
                "{pages} pages: {ran}"
            ),
        }
        failed += 1;
    }
    assert!((1..24).contains(&failed), "{failed}");
    run(node, GUEST, &[], &["exit", "42"]).ended(42);
}

/// The client keeps the guest's input open, and the guest does not read it.
fn ignored_input(node: &Node) {
    let id = node.id("task");
    let mut command = node.command("sh");
    let script = format!(
        "(sleep 30; echo late) | ctr run --rm --platform wasi/wasm --runtime {} {GUEST} {id} /guest.wasm exit 42; \
         echo \"ended with $?\"",
        crate::node::RUNTIME
    );
    let mut child = command
        .args(["-c", &script])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("nsenter starts");
    eventually(|| {
        let tasks = node.ctr(&["task", "ls"]).stdout;
        let containers = node.ctr(&["container", "ls"]).stdout;
        let there = tasks.contains(&id) || containers.contains(&id);
        (!there).then_some(()).ok_or(tasks)
    });
    node.nothing_left_of(&id);
    child.kill().ok();
    child.wait().ok();
}

fn lying_image(node: &Node) {
    let file = node.path("lying.tar");
    images::lying(
        &file,
        "localhost/lying:1",
        &[("guest.wasm", b"\0asm\x01\0\0\0")],
        &["/guest.wasm"],
    );
    let file = file.display().to_string();
    let imported = node.ctr(&["image", "import", "--all-platforms", &file]);
    let ran = run(node, "localhost/lying:1", &[], &[]);
    assert_ne!(ran.code(), 0, "{imported}\n{ran}");
}

fn hundred(node: &Node) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < 100 {
                    assert_eq!(run(node, HELLO, &[], &[]).ended(0).stdout, "hello\n");
                }
            });
        }
    });
}

fn hundred_at_once(node: &Node) {
    let next = AtomicUsize::new(0);
    let mut tasks = Vec::new();
    thread::scope(|scope| {
        let start = || {
            let mut tasks = Vec::new();
            while next.fetch_add(1, Ordering::Relaxed) < 100 {
                tasks.push(Running::start(node, GUEST, &[], &["sleep", "1000"]));
            }
            tasks
        };
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
        for worker in workers {
            tasks.extend(worker.join().expect("they start"));
        }
    });
    for task in &tasks {
        task.says("sleeping");
    }
    for task in &tasks {
        task.kill("SIGTERM").ended(0);
    }
    for task in &tasks {
        assert_eq!(task.ends(), 143);
    }
}
