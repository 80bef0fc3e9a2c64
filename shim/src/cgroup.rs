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
    AnyCgroupManager, CgroupConfig, CgroupManager, CgroupSetup, ControllerOpt, FreezerState,
    create_cgroup_manager, get_cgroup_setup,
};
use libcgroups::stats::{MemoryData, Stats};
use libcontainer::oci_spec::runtime::LinuxResources;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

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

    /// Sets limits anew.
    pub fn update(&self, resources: &LinuxResources) -> Result<(), String> {
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
        let stats = self.manager()?.stats().map_err(told)?;
        let is_v2 = matches!(get_cgroup_setup().map_err(told)?, CgroupSetup::Unified);
        let message: Box<dyn MessageDyn> = match is_v2 {
            true => Box::new(self.of_v2(&stats)),
            false => Box::new(self.of_v1(&stats)),
        };
        convert_to_any(message).map_err(told)
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
        metrics.memory_oom_control = MessageField::some(v1::MemoryOomControl {
            oom_kill: self.killed_for_memory(),
            ..v1::MemoryOomControl::default()
        });
        metrics
    }

    fn of_v2(&self, stats: &Stats) -> v2::Metrics {
        let memory = &stats.memory;
        let detail = |name: &str| memory.stats.get(name).copied().unwrap_or(0);
        let mut metrics = v2::Metrics::new();
        // Of this version the counters are kept in microseconds, as they are told here.
        metrics.cpu = MessageField::some(v2::CPUStat {
            usage_usec: stats.cpu.usage.usage_total,
            user_usec: stats.cpu.usage.usage_user,
            system_usec: stats.cpu.usage.usage_kernel,
            nr_periods: stats.cpu.throttling.periods,
            nr_throttled: stats.cpu.throttling.throttled_periods,
            throttled_usec: stats.cpu.throttling.throttled_time,
            ..v2::CPUStat::default()
        });
        metrics.memory = MessageField::some(v2::MemoryStat {
            usage: memory.memory.usage,
            usage_limit: memory.memory.limit,
            swap_usage: memory.memswap.usage,
            swap_limit: memory.memswap.limit,
            anon: detail("anon"),
            file: detail("file"),
            file_mapped: detail("file_mapped"),
            kernel_stack: detail("kernel_stack"),
            inactive_anon: detail("inactive_anon"),
            active_anon: detail("active_anon"),
            inactive_file: detail("inactive_file"),
            active_file: detail("active_file"),
            pgfault: detail("pgfault"),
            pgmajfault: detail("pgmajfault"),
            ..v2::MemoryStat::default()
        });
        metrics.pids = MessageField::some(v2::PidsStat {
            current: stats.pids.current,
            limit: stats.pids.limit,
            ..v2::PidsStat::default()
        });
        metrics.memory_events = MessageField::some(v2::MemoryEvents {
            oom_kill: self.killed_for_memory(),
            ..v2::MemoryEvents::default()
        });
        metrics
    }

    /// How many of the processes the kernel has killed because memory ran out.
    pub fn killed_for_memory(&self) -> u64 {
        let Some(memory) = &self.memory else {
            return 0;
        };
        let counted = ["memory.events", "memory.oom_control"].map(|name| {
            let text = fs::read_to_string(memory.join(name)).unwrap_or_default();
            text.lines()
                .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
        });
        counted.into_iter().flatten().next().unwrap_or(0)
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

fn entry(data: &MemoryData) -> MessageField<v1::MemoryEntry> {
    MessageField::some(v1::MemoryEntry {
        limit: data.limit,
        usage: data.usage,
        max: data.max_usage,
        failcnt: data.fail_count,
        ..v1::MemoryEntry::default()
    })
}

/// The directories of the cgroups that a process is in, one a hierarchy, and which controllers each has.
pub fn directories(pid: i32) -> Vec<(Vec<String>, PathBuf)> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let root = Path::new("/sys/fs/cgroup");
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

/// Where the kernel tells of the memory of the cgroup that a process is in.
pub fn memory_of(pid: i32) -> Option<PathBuf> {
    let all = directories(pid);
    let is_memory = |(controllers, directory): &&(Vec<String>, PathBuf)| {
        controllers.iter().any(|name| name == "memory")
            || controllers.iter().all(String::is_empty) && directory.join("memory.events").exists()
    };
    all.iter()
        .find(is_memory)
        .map(|(_, directory)| directory.clone())
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}
