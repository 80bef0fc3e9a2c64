//! The cgroups of a container: what is in them, what they count, and whether they are frozen.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use containerd_shim::protos::cgroups::metrics as v1;
use containerd_shim::protos::cgroups_v2::metrics as v2;
use containerd_shim::protos::protobuf::well_known_types::any::Any;
use containerd_shim::protos::protobuf::{MessageDyn, MessageField};
use containerd_shim::util::convert_to_any;
use libcgroups::common::{
    AnyCgroupManager, CgroupConfig, CgroupManager, ControllerOpt, FreezerState,
    create_cgroup_manager,
};
use libcgroups::stats::{BlkioDeviceStat, MemoryData, Stats};
use libcontainer::oci_spec::runtime::{LinuxDeviceCgroup, LinuxNetwork, LinuxResources, Spec};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::devices;

/// Where the node has its cgroups: of version 2, or a directory for each hierarchy of version 1.
const ROOT: &str = "/sys/fs/cgroup";

/// How long processes that were killed may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the cgroups of a container are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cgroups {
    /// As the specification of the container names them.
    pub path: PathBuf,
    /// Whether systemd made them.
    pub systemd: bool,
    /// The container's identifier.
    pub id: String,
    /// The directory where the kernel tells of memory.
    pub memory: Option<PathBuf>,
}

impl Cgroups {
    /// The processes in them, by the numbers that this process knows them by.
    pub fn processes(&self) -> Result<Vec<i32>, String> {
        let all = self.manager()?.get_all_pids().map_err(told)?;
        Ok(all.into_iter().map(|pid| pid.as_raw()).collect())
    }

    /// Ends all processes in them.
    ///
    /// # Errors
    ///
    /// A line, if they do not end.
    pub fn end(&self) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let left = self.processes().unwrap_or_default();
            if left.is_empty() {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("the processes {left:?} of {} do not end", self.id));
            }
            for pid in left.iter().copied().filter_map(Pid::from_raw) {
                // It may have ended by itself.
                let _ = kill_process(pid, Signal::KILL);
            }
            // What is frozen does not even die.
            let _ = self.freeze(false);
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets none of the processes go on, or all.
    pub fn freeze(&self, frozen: bool) -> Result<(), String> {
        let state = match frozen {
            true => FreezerState::Frozen,
            false => FreezerState::Thawed,
        };
        self.manager()?.freeze(state).map_err(told)
    }

    /// Lets the processes use the devices that the rules allow. With version 1 libcontainer has done that.
    pub fn confine(&self, devices: &[LinuxDeviceCgroup]) -> Result<(), String> {
        match self.unified() {
            Some(directory) => devices::confine(directory, devices),
            None if has_version_2() => {
                Err(format!("the cgroup of {} is not below {ROOT}", self.id))
            }
            None => Ok(()),
        }
    }

    /// Sets limits anew.
    pub fn update(&self, resources: &LinuxResources) -> Result<(), String> {
        check(resources)?;
        if let Some(devices) = resources.devices() {
            self.confine(devices)?;
        }
        let options = ControllerOpt {
            resources,
            disable_oom_killer: false,
            oom_score_adj: None,
            freezer_state: None,
        };
        self.manager()?.apply(&options).map_err(told)
    }

    /// What they have counted, in the form that containerd has for the version of cgroups that the node has.
    pub fn metrics(&self) -> Result<Any, String> {
        let message: Box<dyn MessageDyn> = match self.unified() {
            Some(directory) => Box::new(of_v2(directory)),
            None => Box::new(self.of_v1(&self.manager()?.stats().map_err(told)?)),
        };
        convert_to_any(message).map_err(told)
    }

    /// The directory of the only cgroup, on a node that has version 2 alone.
    fn unified(&self) -> Option<&Path> {
        self.memory.as_deref().filter(|_| has_version_2())
    }

    fn of_v1(&self, stats: &Stats) -> v1::Metrics {
        let memory = &stats.memory;
        let detail = |name: &str| memory.stats.get(name).copied().unwrap_or(0);
        let mut metrics = v1::Metrics::new();
        metrics.cpu = MessageField::some(v1::CPUStat {
            usage: MessageField::some(v1::CPUUsage {
                total: stats.cpu.usage.usage_total,
                kernel: stats.cpu.usage.usage_kernel,
                user: stats.cpu.usage.usage_user,
                per_cpu: stats.cpu.usage.per_core_usage_total.clone(),
                ..v1::CPUUsage::default()
            }),
            throttling: MessageField::some(v1::Throttle {
                periods: stats.cpu.throttling.periods,
                throttled_periods: stats.cpu.throttling.throttled_periods,
                throttled_time: stats.cpu.throttling.throttled_time,
                ..v1::Throttle::default()
            }),
            ..v1::CPUStat::default()
        });
        metrics.memory = MessageField::some(v1::MemoryStat {
            usage: entry(&memory.memory),
            swap: entry(&memory.memswap),
            kernel: entry(&memory.kernel),
            kernel_tcp: entry(&memory.kernel_tcp),
            cache: memory.cache,
            rss: detail("rss"),
            mapped_file: detail("mapped_file"),
            pg_fault: detail("pgfault"),
            pg_maj_fault: detail("pgmajfault"),
            inactive_anon: detail("inactive_anon"),
            active_anon: detail("active_anon"),
            inactive_file: detail("inactive_file"),
            active_file: detail("active_file"),
            hierarchical_memory_limit: detail("hierarchical_memory_limit"),
            total_cache: detail("total_cache"),
            total_rss: detail("total_rss"),
            total_mapped_file: detail("total_mapped_file"),
            total_pg_fault: detail("total_pgfault"),
            total_pg_maj_fault: detail("total_pgmajfault"),
            total_inactive_anon: detail("total_inactive_anon"),
            total_active_anon: detail("total_active_anon"),
            total_inactive_file: detail("total_inactive_file"),
            total_active_file: detail("total_active_file"),
            ..v1::MemoryStat::default()
        });
        metrics.pids = MessageField::some(v1::PidsStat {
            current: stats.pids.current,
            limit: stats.pids.limit,
            ..v1::PidsStat::default()
        });
        metrics.blkio = MessageField::some(v1::BlkIOStat {
            io_service_bytes_recursive: operations(&stats.blkio.service_bytes),
            io_serviced_recursive: operations(&stats.blkio.serviced),
            ..v1::BlkIOStat::default()
        });
        metrics.memory_oom_control = MessageField::some(v1::MemoryOomControl {
            oom_kill: self.killed_for_memory(),
            ..v1::MemoryOomControl::default()
        });
        metrics
    }

    /// How many of the processes the kernel has killed because memory ran out.
    pub fn killed_for_memory(&self) -> u64 {
        let Some(memory) = &self.memory else {
            return 0;
        };
        // Each version has one of them.
        let counted = ["memory.events", "memory.oom_control"].map(|name| {
            keyed(
                &fs::read_to_string(memory.join(name)).unwrap_or_default(),
                "oom_kill",
            )
        });
        counted[0].max(counted[1])
    }

    fn manager(&self) -> Result<AnyCgroupManager, String> {
        create_cgroup_manager(CgroupConfig {
            cgroup_path: self.path.clone(),
            systemd_cgroup: self.systemd,
            container_name: self.id.clone(),
        })
        .map_err(told)
    }
}

/// What a cgroup of version 2 has counted: 0 where a controller is not enabled or the kernel does not count. libcgroups would
/// tell nothing at all then, such as where the kernel measures no pressure.
fn of_v2(directory: &Path) -> v2::Metrics {
    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();
    let number = |name: &str| match read(name).trim() {
        "max" => u64::MAX,
        number => number.parse().unwrap_or(0),
    };
    let (cpu, memory, events) = (read("cpu.stat"), read("memory.stat"), read("memory.events"));
    let mut metrics = v2::Metrics::new();
    metrics.cpu = MessageField::some(v2::CPUStat {
        usage_usec: keyed(&cpu, "usage_usec"),
        user_usec: keyed(&cpu, "user_usec"),
        system_usec: keyed(&cpu, "system_usec"),
        nr_periods: keyed(&cpu, "nr_periods"),
        nr_throttled: keyed(&cpu, "nr_throttled"),
        throttled_usec: keyed(&cpu, "throttled_usec"),
        ..v2::CPUStat::default()
    });
    metrics.memory = MessageField::some(v2::MemoryStat {
        usage: number("memory.current"),
        usage_limit: number("memory.max"),
        swap_usage: number("memory.swap.current"),
        swap_limit: number("memory.swap.max"),
        anon: keyed(&memory, "anon"),
        file: keyed(&memory, "file"),
        file_mapped: keyed(&memory, "file_mapped"),
        kernel_stack: keyed(&memory, "kernel_stack"),
        inactive_anon: keyed(&memory, "inactive_anon"),
        active_anon: keyed(&memory, "active_anon"),
        inactive_file: keyed(&memory, "inactive_file"),
        active_file: keyed(&memory, "active_file"),
        pgfault: keyed(&memory, "pgfault"),
        pgmajfault: keyed(&memory, "pgmajfault"),
        ..v2::MemoryStat::default()
    });
    metrics.pids = MessageField::some(v2::PidsStat {
        current: number("pids.current"),
        limit: number("pids.max"),
        ..v2::PidsStat::default()
    });
    metrics.io = MessageField::some(v2::IOStat {
        usage: read("io.stat").lines().filter_map(device).collect(),
        ..v2::IOStat::default()
    });
    metrics.memory_events = MessageField::some(v2::MemoryEvents {
        low: keyed(&events, "low"),
        high: keyed(&events, "high"),
        max: keyed(&events, "max"),
        oom: keyed(&events, "oom"),
        oom_kill: keyed(&events, "oom_kill"),
        ..v2::MemoryEvents::default()
    });
    metrics
}

/// A number of a file that has a name and a number a line, or 0.
fn keyed(text: &str, name: &str) -> u64 {
    counted(text.lines(), ' ', name)
}

/// The number of the entry of this name, or 0.
fn counted<'a>(entries: impl Iterator<Item = &'a str>, between: char, name: &str) -> u64 {
    let mut entries = entries.filter_map(|entry| entry.split_once(between));
    let found = entries.find(|(key, _)| *key == name);
    found
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

fn entry(data: &MemoryData) -> MessageField<v1::MemoryEntry> {
    MessageField::some(v1::MemoryEntry {
        limit: data.limit,
        usage: data.usage,
        max: data.max_usage,
        failcnt: data.fail_count,
        ..v1::MemoryEntry::default()
    })
}

/// What was read from and written to devices, as version 1 counts it.
fn operations(counted: &[BlkioDeviceStat]) -> Vec<v1::BlkIOEntry> {
    let entry = |count: &BlkioDeviceStat| v1::BlkIOEntry {
        op: count.op_type.clone().unwrap_or_default(),
        major: count.major,
        minor: count.minor,
        value: count.value,
        ..v1::BlkIOEntry::default()
    };
    counted.iter().map(entry).collect()
}

/// A line of version 2's `io.stat`: a device's numbers, and what was read from it and written to it.
fn device(line: &str) -> Option<v2::IOEntry> {
    let (device, counts) = line.split_once(' ')?;
    let (major, minor) = device.split_once(':')?;
    let count = |name| counted(counts.split(' '), '=', name);
    Some(v2::IOEntry {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
        rbytes: count("rbytes"),
        wbytes: count("wbytes"),
        rios: count("rios"),
        wios: count("wios"),
        ..v2::IOEntry::default()
    })
}

/// The directories of the cgroups that a process is in, one a hierarchy, and which controllers each has.
pub fn directories(pid: i32) -> Vec<(Vec<String>, PathBuf)> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let root = Path::new(ROOT);
    let lines = text.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        Some((parts.next()?, parts.next()?.trim_start_matches('/')))
    });
    let found = lines.filter_map(|(controllers, path)| {
        let names: Vec<String> = controllers.split(',').map(str::to_owned).collect();
        // The second version alone, or beside hierarchies of the first.
        let mounts = match controllers {
            "" => vec![root.into(), root.join("unified")],
            all => vec![root.join(all.trim_start_matches("name="))],
        };
        let directory = mounts.into_iter().find_map(|mount: PathBuf| {
            let directory = mount.join(path);
            directory.join("cgroup.procs").exists().then_some(directory)
        });
        Some((names, directory?))
    });
    found.collect()
}

/// Whether systemd makes the cgroup: if the specification names it as systemd does, by slice, prefix and name with colons between. The
/// kubelet does so where that is its driver, and containerd 1.6 tells of it in no other way. `asked` is what the runtime's options say.
///
/// # Errors
///
/// A line, if options and name do not agree, or the node has version 1: libcontainer speaks to systemd only with version 2, and would
/// make a cgroup beside the slice.
pub fn is_systemds(spec: &Spec, asked: bool) -> Result<bool, String> {
    let Some(path) = path_of(spec).and_then(Path::to_str) else {
        return Ok(asked);
    };
    let parts: Vec<&str> = path.split(':').collect();
    let is_named =
        matches!(parts[..], [slice, _, _] if slice.is_empty() || slice.ends_with(".slice"));
    match (asked, is_named) {
        (true, false) => Err(format!(
            "the runtime's option SystemdCgroup is set, and the cgroup {path} has no name as systemd gives it: slice:prefix:name"
        )),
        (_, true) if !has_version_2() => Err(format!(
            "the cgroup {path} is systemd's to make, which takes version 2 of cgroups, and the node has version 1: let the \
             cgroup driver of the kubelet, or of docker, be cgroupfs"
        )),
        (_, is_named) => Ok(is_named),
    }
}

/// Refuses limits that libcontainer would leave out.
///
/// # Errors
///
/// A line that names the limit.
pub fn check(resources: &LinuxResources) -> Result<(), String> {
    let (version_2, rdma, unified, network) = (
        has_version_2(),
        resources.rdma().as_ref(),
        resources.unified().as_ref(),
        resources.network().as_ref(),
    );
    let refused = if rdma.is_some_and(|rdma| !rdma.is_empty()) {
        "rdma cannot be had"
    } else if !version_2 && unified.is_some_and(|unified| !unified.is_empty()) {
        "unified cannot be had with version 1 of cgroups, which the node has"
    } else if version_2 && network.is_some_and(|network| *network != LinuxNetwork::default()) {
        "network cannot be had with version 2 of cgroups, which the node has"
    } else {
        return Ok(());
    };
    Err(format!("the container's limit linux.resources.{refused}"))
}

fn has_version_2() -> bool {
    Path::new(ROOT).join("cgroup.controllers").exists()
}

/// Makes the cgroups of version 2 that are around that of the specification. libcontainer would too, but fails if a container that
/// is made at the same time is ahead of it.
pub fn make_parents(spec: &Spec) -> std::io::Result<()> {
    let path = path_of(spec).and_then(|path| path.strip_prefix("/").unwrap_or(path).parent());
    match path {
        Some(parents) if has_version_2() => fs::create_dir_all(Path::new(ROOT).join(parents)),
        _ => Ok(()),
    }
}

fn path_of(spec: &Spec) -> Option<&Path> {
    let linux = spec.linux().as_ref();
    linux.and_then(|linux| linux.cgroups_path().as_deref())
}

/// Where the kernel tells of the memory of the cgroup that a process is in.
pub fn memory_of(pid: i32) -> Option<PathBuf> {
    let all = directories(pid);
    let is_memory = |(controllers, _): &&(Vec<String>, PathBuf)| {
        controllers
            .iter()
            .any(|name| name == "memory" || name.is_empty())
    };
    all.iter()
        .find(is_memory)
        .map(|(_, directory)| directory.clone())
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_asked_by_the_name_of_the_cgroup() {
        let is_systemds = |path: &str, asked| {
            let spec =
                serde_json::json!({ "ociVersion": "1.1.0", "linux": { "cgroupsPath": path } });
            is_systemds(
                &serde_json::from_value(spec).expect("a specification"),
                asked,
            )
        };
        let slice = is_systemds("kubepods-besteffort.slice:cri-containerd:1f", false);
        match has_version_2() {
            true => assert_eq!(slice, Ok(true)),
            false => assert!(slice.expect_err("refused").contains("cgroupfs")),
        }
        for path in ["/kubepods/besteffort/1f", "/a:b:c"] {
            assert_eq!(is_systemds(path, false), Ok(false));
            assert!(is_systemds(path, true).expect_err("refused").contains(path));
        }
    }

    #[test]
    fn limits_that_would_be_left_out_are_refused_by_name() {
        let check = |resources: serde_json::Value| {
            check(&serde_json::from_value(resources).expect("resources"))
        };
        assert_eq!(check(serde_json::json!({"pids": {"limit": 7}})), Ok(()));
        let none = serde_json::json!({"rdma": {}, "unified": {}, "network": {}});
        assert_eq!(check(none), Ok(()));
        let rdma = check(serde_json::json!({"rdma": {"mlx5_1": {"hcaHandles": 3}}}));
        assert!(rdma.expect_err("refused").contains("rdma"));
        let unified = check(serde_json::json!({"unified": {"memory.high": "1"}}));
        let network = check(serde_json::json!({"network": {"classID": 5}}));
        assert_eq!(
            [unified.is_ok(), network.is_ok()],
            [has_version_2(), !has_version_2()]
        );
    }

    #[test]
    fn what_version_2_counts_is_told_and_what_it_does_not_is_0() {
        let directory = tempfile::tempdir().expect("a directory");
        // As Linux 6.1 has them, without swap and without measuring pressure.
        for (name, text) in [
            (
                "cpu.stat",
                "usage_usec 1500000\nuser_usec 1200000\nsystem_usec 300000\nnr_periods 7\nnr_throttled 3\nthrottled_usec 9\n",
            ),
            ("memory.current", "5242880\n"),
            ("memory.max", "268435456\n"),
            (
                "memory.stat",
                "anon 4096\nfile 8192\ninactive_file 2048\nactive_file 6144\npgfault 12\npgmajfault 1\n",
            ),
            (
                "memory.events",
                "low 0\nhigh 0\nmax 5\noom 2\noom_kill 1\noom_group_kill 0\n",
            ),
            (
                "io.stat",
                "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n253:1 \n",
            ),
            ("pids.current", "2\n"),
            ("pids.max", "max\n"),
        ] {
            fs::write(directory.path().join(name), text).expect("a file");
        }
        let metrics = of_v2(directory.path());
        let (cpu, memory) = (&metrics.cpu, &metrics.memory);
        assert_eq!(
            [cpu.usage_usec, cpu.user_usec, cpu.system_usec],
            [1_500_000, 1_200_000, 300_000]
        );
        assert_eq!(
            [cpu.nr_periods, cpu.nr_throttled, cpu.throttled_usec],
            [7, 3, 9]
        );
        assert_eq!(
            [memory.usage, memory.usage_limit, memory.swap_usage],
            [5 << 20, 256 << 20, 0]
        );
        assert_eq!(
            [memory.anon, memory.inactive_file, memory.pgmajfault],
            [4096, 2048, 1]
        );
        let disk = &metrics.io.usage[0];
        assert_eq!(
            [disk.major, disk.rbytes, disk.wbytes, disk.rios, disk.wios],
            [8, 4096, 8192, 1, 2]
        );
        assert_eq!([metrics.pids.current, metrics.pids.limit], [2, u64::MAX]);
        assert_eq!(
            [metrics.memory_events.oom, metrics.memory_events.oom_kill],
            [2, 1]
        );
    }
}
