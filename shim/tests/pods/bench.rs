//! What a pod costs, side by side with runc in one run.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::node::{Node, RUNTIME, Release, eventually};
use crate::pods::Pod;
use crate::{GUEST, HELLO, LINUX, PYTHON};

const RUNC: &str = "io.containerd.runc.v2";
const TASKS: u32 = 50;
const ROUNDS: u32 = 5;

/// What runs, and on what.
#[derive(Clone, Copy)]
struct Side {
    name: &'static str,
    runtime: &'static str,
    handler: &'static str,
    hello: (&'static str, &'static [&'static str]),
    sleeper: (&'static str, &'static [&'static str]),
}

const OURS: Side = Side {
    name: "wasmrun",
    runtime: RUNTIME,
    handler: "wasmrun",
    hello: (HELLO, &[]),
    sleeper: (GUEST, &["sleep", "1000"]),
};

const THEIRS: Side = Side {
    name: "runc",
    runtime: RUNC,
    handler: "runc",
    hello: (LINUX, &["/pause", "say"]),
    sleeper: (LINUX, &[]),
};

/// Measures what has `wanted` in its name: memory, tasks or python.
pub fn run(nodes: &[Arc<Node>], wanted: &str) {
    let is_wanted = |name: &str| name.contains(wanted);
    for node in nodes {
        println!("{}", node.name);
        if is_wanted("memory") {
            memory(node, 1);
            memory(node, 10);
        }
        if is_wanted("tasks") {
            tasks(node, 1, "one after the other");
            tasks(node, 8, "8 at a time");
        }
        if is_wanted("python") && node.release == Release::Sid {
            python(node);
        }
    }
}

/// `ctr run --rm` of hello, by turns.
fn tasks(node: &Node, at_a_time: u32, how: &str) {
    let mut taken = [Duration::ZERO; 2];
    for side in [OURS, THEIRS] {
        hello(node, side);
    }
    for _ in 0..ROUNDS {
        for (side, taken) in [OURS, THEIRS].into_iter().zip(&mut taken) {
            let next = AtomicU32::new(0);
            let began = Instant::now();
            thread::scope(|scope| {
                for _ in 0..at_a_time {
                    scope.spawn(|| {
                        while next.fetch_add(1, Ordering::Relaxed) < TASKS / ROUNDS {
                            hello(node, side);
                        }
                    });
                }
            });
            *taken += began.elapsed();
        }
    }
    let [ours, theirs] = taken.map(|taken| f64::from(TASKS) / taken.as_secs_f64());
    println!(
        "  {TASKS} tasks {how}: {ours:.1} a second, runc {theirs:.1}: {:.2} times runc's rate",
        ours / theirs
    );
}

fn hello(node: &Node, side: Side) {
    let id = node.id("bench");
    let mut command = node.command("ctr");
    command.args(["run", "--rm", "--runtime", side.runtime]);
    if side.runtime == RUNTIME {
        command.args(["--platform", "wasi/wasm"]);
    }
    let (image, words) = side.hello;
    node.run(command.args([image, &id]).args(words), b"")
        .ended(0);
}

/// The memory of pods with a sleeping container: of all processes but containerd.
fn memory(node: &Node, pods: u32) {
    let [ours, theirs] = [OURS, THEIRS].map(|side| {
        // Those before are gone.
        eventually(|| match proportional(node) {
            0 => Ok(()),
            left => Err(format!("{left} KiB are still in use")),
        });
        let started: Vec<Pod<'_>> = (0..pods)
            .map(|_| {
                let mut pod = Pod::with_handler(node, json!({}), side.handler);
                let (image, words) = side.sleeper;
                pod.start("sleeper", image, json!({ "args": words }))
                    .unwrap_or_else(|error| panic!("{}: {error}", side.name));
                if let ["sleep", ..] = words {
                    pod.says("sleeper", "sleeping");
                }
                pod
            })
            .collect();
        thread::sleep(Duration::from_secs(2));
        let taken = proportional(node);
        started.into_iter().for_each(Pod::remove);
        taken
    });
    println!(
        "  memory of {pods} pods: {ours} KiB, runc {theirs} KiB: {:.2} times runc's",
        ours as f64 / theirs as f64
    );
}

/// The proportional set size of all processes of the node but containerd and its first, in KiB.
fn proportional(node: &Node) -> u64 {
    let others = ["bash ", "sleep ", "sh -c ", "containerd -c "];
    let processes = node.processes();
    let counted = processes
        .iter()
        .filter(|(_, line)| !others.iter().any(|other| line.starts_with(other)));
    counted
        .map(|(pid, _)| {
            let rollup = fs::read_to_string(node.own(&format!("/proc/{pid}/smaps_rollup")))
                .unwrap_or_default();
            let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
            let number = line.and_then(|line| line.split_whitespace().next());
            number
                .and_then(|number| number.parse::<u64>().ok())
                .unwrap_or(0)
        })
        .sum()
}

/// CPython's first line, both in a container of a pod that is there and outside, with its code kept.
fn python(node: &Node) {
    const WORDS: [&str; 2] = ["-c", "print('first')"];
    let mut pod = Pod::new(node, json!({}));
    let mut inside = |n: u32| {
        let name = format!("python-{n}");
        let container = pod
            .create(&name, PYTHON, json!({ "args": WORDS }))
            .expect("a container");
        let began = Instant::now();
        pod.begin(&container).expect("it starts");
        while pod.log(&name).is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        began.elapsed()
    };
    let program = std::env::var("WASMRUN_PROGRAMS").unwrap_or_default() + "/python.wasm";
    let outside = || {
        let mut wasmrun = Command::new(node.ours().join("wasmrun"));
        wasmrun.arg(&program).args(WORDS).stdout(Stdio::piped());
        let began = Instant::now();
        let mut ran = wasmrun.spawn().expect("wasmrun starts");
        let mut line = String::new();
        let stdout = ran.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("read");
        let taken = began.elapsed();
        assert_eq!(
            (&*line, ran.wait().expect("it ends").code()),
            ("first\n", Some(0))
        );
        taken
    };
    // The first compiles.
    inside(0);
    outside();
    let mut taken = [Vec::new(), Vec::new()];
    for n in 1..=ROUNDS {
        taken[0].push(inside(n));
        taken[1].push(outside());
    }
    let [inside, outside] = taken.map(|mut taken| {
        taken.sort();
        taken[taken.len() / 2]
    });
    pod.remove();
    println!(
        "  CPython's first line, from the start of its container in a warm pod: {} ms, outside {} ms: {:.2} times",
        inside.as_millis(),
        outside.as_millis(),
        inside.as_secs_f64() / outside.as_secs_f64()
    );
}
