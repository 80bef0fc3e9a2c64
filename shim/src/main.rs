//! `containerd-shim-wasmrun-v1`: containerd's shim for WebAssembly programs, which `wasmrun` runs.
//!
//! containerd starts it for each pod. It serves the [task service](task) until all containers of the pod are deleted.
//! What has to do with namespaces, mounts and cgroups is done by [short-lived processes](steps) of this same executable,
//! because it cannot be done in a process with threads, and what stays in memory is small that way.

mod annotations;
mod cgroup;
mod children;
mod code;
mod command;
mod content;
mod create;
mod detached;
mod devices;
mod events;
mod executor;
mod features;
mod guest;
mod options;
mod rootfs;
mod shim;
mod stdio;
mod steps;
mod task;

use containerd_shim::Config;

/// The runtime's name, as a pod's runtime class has it.
const NAME: &str = "io.containerd.wasmrun.v1";

fn main() {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    if let [action, step] = &args[..]
        && action == steps::ACTION
    {
        return steps::run(step);
    }
    match containerd_shim::parse(&args) {
        Ok(flags) if flags.version => println!("{NAME} {}", env!("CARGO_PKG_VERSION")),
        Ok(flags) if flags.info => features::tell(),
        // What is wrong with them is said there.
        _ => containerd_shim::run::<shim::Shim>(
            NAME,
            Some(Config {
                // All children are waited for in one place of our own.
                no_reaper: true,
                ..Config::default()
            }),
        ),
    }
}
