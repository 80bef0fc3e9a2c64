//! What an instance costs: the time to make one, and the memory that it takes while it lives.

use std::{fs, thread, time::Duration};

use criterion::Criterion;
use wasmrun::{Program, RunConfig, Stdout};

use crate::group::Group;
use crate::{NOTHING, SLEEPER, by_hand, engines, guest, in_process};

/// As many as live at the same time.
const LIVE: usize = 1000;

pub fn benches(criterion: &mut Criterion) {
    // By hand there are no streams either.
    let config = RunConfig::new().stdout(Stdout::Null).stderr(Stdout::Null);
    let nothing = guest("nothing", NOTHING);
    let mut group = Group::new(criterion, "instantiate");
    group.by_hand(by_hand::all(&nothing, None));
    group.runs(engines(), &nothing, &config);
    drop(group);

    let data = guest("data", &changing_data());
    let mut group = Group::new(criterion, "data");
    group.by_hand(by_hand::all(&data, None));
    // The start of a process says nothing of it.
    group.runs(in_process(), &data, &config);
}

/// Begins with 128 KiB of data, and changes a byte in every sixteenth KiB of them.
fn changing_data() -> String {
    let data = "wasmrun!".repeat(16 << 10);
    format!(
        r#"(module (memory 4) (data (i32.const 65536) "{data}")
            (func (export "_start") (local $at i32)
                (local.set $at (i32.const 65536))
                (loop $next
                    (i32.store8 (local.get $at) (i32.load8_u offset=1 (local.get $at)))
                    (local.set $at (i32.add (local.get $at) (i32.const 16384)))
                    (br_if $next (i32.lt_u (local.get $at) (i32.const 196608))))))"#
    )
}

/// Prints how much more memory this process has while guests live in it, for each of them.
pub fn print_memory() {
    println!("\n| engine | memory of each of {LIVE} live instances |\n|---|---:|");
    for (name, engine) in in_process() {
        let config = RunConfig::new().killable(true);
        let program = Program::compile(engine, &guest("sleeper", SLEEPER), &config).expect(name);
        let Some(before) = resident() else {
            return println!("| {name} | unknown: this system does not tell |");
        };
        let runs: Vec<_> = (0..LIVE)
            .map(|_| program.start(&config).expect(name))
            .collect();
        // Until all of them sleep.
        thread::sleep(Duration::from_secs(2));
        let more = resident().unwrap_or(before).saturating_sub(before);
        for run in &runs {
            run.kill().expect("killable");
        }
        for run in runs {
            run.wait().expect(name);
        }
        println!("| {name} | {:.1} KiB |", more as f64 / LIVE as f64 / 1024.0);
    }
}

/// Bytes of memory that this process has.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}
