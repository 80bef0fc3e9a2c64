//! A table of what was measured, as ratios, from the files that criterion keeps.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use std::{env, fs};

use serde::Deserialize;
use wasmrun::Engines;

/// What is measured in the group, in nanoseconds, by engine and variant.
type Group = BTreeMap<String, f64>;

#[derive(Deserialize)]
struct Benchmark {
    group_id: String,
    function_id: Option<String>,
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

/// What a bench took beside what it was measured in turn with, by group and name.
static BESIDE: Mutex<BTreeMap<(String, String), f64>> = Mutex::new(BTreeMap::new());

/// Keeps the ratio of a bench to what it was measured in turn with.
pub fn beside(group: &str, name: &str, ratio: f64) {
    let mut beside = BESIDE.lock().unwrap_or_else(PoisonError::into_inner);
    beside.insert((group.to_owned(), name.to_owned()), ratio);
}

/// Prints what criterion wrote since this process started, as Markdown.
pub fn print() {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    collect(&directory(), &mut groups);
    if groups.is_empty() {
        return;
    }
    let known: Vec<_> = Engines::shared()
        .all()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    println!(
        "\n| group | what | median | to the first | beside its counterpart |\n|---|---|---:|---:|---:|"
    );
    let beside = BESIDE.lock().unwrap_or_else(PoisonError::into_inner);
    for (group, members) in groups {
        let order = |name: &str| {
            let place = known.iter().position(|known| *known == engine(name));
            (place.unwrap_or(usize::MAX), !name.contains("by hand"))
        };
        let mut members: Vec<_> = members.into_iter().collect();
        members.sort_by_key(|(name, _)| order(name));
        let Some(first) = members.first().map(|(_, time)| *time) else {
            continue;
        };
        for (name, time) in &members {
            let beside = beside.get(&(group.clone(), name.clone()));
            let beside = beside.map_or(String::new(), |ratio| format!("{ratio:.3}"));
            println!(
                "| {group} | {name} | {} | {:.3} | {beside} |",
                shown(*time),
                time / first
            );
        }
    }
}

/// Where criterion is to keep its files: where it does by itself, which it asks cargo for.
pub fn directory() -> PathBuf {
    let beside = || Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("criterion");
    env::var_os("CRITERION_HOME").map_or_else(beside, PathBuf::from)
}

fn collect(directory: &Path, groups: &mut BTreeMap<String, Group>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.ends_with("new") {
            if let Some((benchmark, median)) = read(&path) {
                let name = benchmark.function_id.unwrap_or_default();
                groups
                    .entry(benchmark.group_id)
                    .or_default()
                    .insert(name, median);
            }
        } else if path.is_dir() {
            collect(&path, groups);
        }
    }
}

/// One measurement, if it is of this run: what an earlier one left behind tells nothing of now.
fn read(directory: &Path) -> Option<(Benchmark, f64)> {
    let file = directory.join("estimates.json");
    let age = SystemTime::now()
        .duration_since(fs::metadata(&file).ok()?.modified().ok()?)
        .ok()?;
    if age > crate::began().elapsed() {
        return None;
    }
    let estimates: Estimates = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let benchmark =
        serde_json::from_slice(&fs::read(directory.join("benchmark.json")).ok()?).ok()?;
    Some((benchmark, estimates.median.point_estimate))
}

/// Whose bench it is.
pub fn engine(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

fn shown(nanoseconds: f64) -> String {
    match nanoseconds {
        time if time >= 1e9 => format!("{:.2} s", time / 1e9),
        time if time >= 1e6 => format!("{:.2} ms", time / 1e6),
        time if time >= 1e3 => format!("{:.2} µs", time / 1e3),
        time => format!("{time:.0} ns"),
    }
}
