//! What this process has of the system.

use std::fmt;
use std::fs;

/// What this process has. What the system does not tell is 0.
pub struct Process {
    /// Bytes of memory.
    pub resident: u64,
    threads: usize,
    descriptors: usize,
    mappings: usize,
}

impl Process {
    pub fn now() -> Self {
        let count = |directory| fs::read_dir(directory).map_or(0, Iterator::count);
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        Process {
            resident: resident().unwrap_or(0),
            threads: count("/proc/self/task"),
            descriptors: count("/proc/self/fd"),
            mappings: maps.lines().count(),
        }
    }

    /// How much more of each that is.
    pub fn since(&self, before: &Process) -> impl fmt::Display + use<> {
        let more = |now: usize, then: usize| now as i64 - then as i64;
        let bytes = self.resident as i64 - before.resident as i64;
        format!(
            "{:+.1} MiB of memory, {:+} threads, {:+} descriptors, {:+} mappings",
            bytes as f64 / f64::from(1 << 20),
            more(self.threads, before.threads),
            more(self.descriptors, before.descriptors),
            more(self.mappings, before.mappings),
        )
    }
}

fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}
