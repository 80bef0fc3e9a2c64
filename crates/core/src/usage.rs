//! What a guest uses, told while it runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cpu::CpuClock;
use crate::{Account, Control, Limits, NetworkStats, Stats, Traffic};

/// Where the engine that runs a guest tells what the guest uses, for [`Run::stats`](crate::Run::stats) to be read from
/// another thread.
#[derive(Debug, Clone)]
pub struct Usage(Arc<Gauges>);

#[derive(Debug)]
struct Gauges {
    account: Account,
    /// Fuel units; [`UNTOLD`] if nobody tells.
    fuel: AtomicU64,
    /// How often that was told.
    fuel_tellings: AtomicU64,
    cpu: Mutex<Option<Cpu>>,
    traffic: Traffic,
}

#[derive(Debug, Clone, Copy)]
struct Cpu {
    clock: CpuClock,
    /// What it showed before the guest.
    before: Duration,
    /// What it showed at the last look.
    last: Duration,
}

const UNTOLD: u64 = u64::MAX;

/// What a guest that runs is given to tell its fuel.
const PATIENCE: Duration = Duration::from_millis(20);

/// What a started guest has used so far: see [`Run::stats`](crate::Run::stats). What an engine does not tell while the
/// guest runs is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct LiveStats {
    /// Time since the start.
    pub elapsed: Duration,
    /// Processor time: of the guest's thread or, of a runtime in a process of its own, of that process, its start
    /// included.
    pub cpu: Option<Duration>,
    /// Bytes of all linear memories and tables together, as [`Limits::memory`] counts them. They never shrink, so this
    /// is the largest size as well.
    pub memory: Option<u64>,
    /// Fuel units. wasmtime and wasmi tell them of a guest that can be interrupted, wasmtime as of the guest's last
    /// call of a function.
    pub fuel_used: Option<u64>,
    /// What it had of the network, if it is a component that was granted any, and its engine is in this process.
    pub network: Option<NetworkStats>,
}

impl Usage {
    /// Nothing used yet.
    pub fn new(limits: &Limits) -> Self {
        Usage(Arc::new(Gauges {
            account: Account::new(limits),
            fuel: AtomicU64::new(UNTOLD),
            fuel_tellings: AtomicU64::new(0),
            cpu: Mutex::new(None),
            traffic: Traffic::default(),
        }))
    }

    /// What there is of the guest's memories and tables.
    pub fn account(&self) -> &Account {
        &self.0.account
    }

    /// What goes over the network.
    pub fn traffic(&self) -> &Traffic {
        &self.0.traffic
    }

    /// Hears what of its fuel the guest has used.
    pub fn tell_fuel(&self, used: u64) {
        self.0.fuel.store(used, Ordering::Relaxed);
        self.0.fuel_tellings.fetch_add(1, Ordering::Release);
    }

    /// Hears that the guest runs on this thread, for as long as it does.
    pub fn on_this_thread(&self) {
        self.tell_clock(CpuClock::of_this_thread());
    }

    /// Hears that the guest is in that process.
    pub fn in_process(&self, id: u32) {
        self.tell_clock(CpuClock::of_process(id));
    }

    /// What the clock shows now was before the guest.
    fn tell_clock(&self, clock: Option<CpuClock>) {
        *self.0.cpu() = clock.and_then(|clock| {
            let before = clock.read()?;
            let last = before;
            Some(Cpu {
                clock,
                before,
                last,
            })
        });
    }

    /// Processor time that the guest has used. Of one that is gone, what it had when this was last asked.
    pub fn cpu(&self) -> Option<Duration> {
        let mut cpu = self.0.cpu();
        let cpu = cpu.as_mut()?;
        cpu.last = cpu.clock.read().unwrap_or(cpu.last);
        cpu.last.checked_sub(cpu.before)
    }

    /// What is used by now.
    pub(crate) fn look(&self, began: Instant, control: &Control) -> LiveStats {
        self.ask_for_fuel(control);
        let fuel = self.0.fuel.load(Ordering::Relaxed);
        LiveStats {
            elapsed: began.elapsed(),
            cpu: self.cpu(),
            // Most have some; of the others it is as if nobody told.
            memory: Some(self.0.account.bytes()).filter(|bytes| *bytes > 0),
            fuel_used: (fuel != UNTOLD).then_some(fuel),
            network: self.0.traffic.stats(),
        }
    }

    /// Has the guest tell what of its fuel it has used, if it is one that does.
    fn ask_for_fuel(&self, control: &Control) {
        let tellings = || self.0.fuel_tellings.load(Ordering::Acquire);
        let (before, until) = (tellings(), Instant::now() + PATIENCE);
        if !control.look() {
            return;
        }
        // One that is in a call of the host does not answer.
        while tellings() == before && Instant::now() < until {
            std::thread::sleep(PATIENCE / 100);
        }
    }
}

impl Default for Usage {
    /// Of a guest without limits.
    fn default() -> Self {
        Usage::new(&Limits::default())
    }
}

impl LiveStats {
    /// What a guest has used that began at some time, and has ended like this.
    pub(crate) fn of_ended(elapsed: Duration, stats: Option<&Stats>) -> Self {
        LiveStats {
            elapsed,
            cpu: stats.and_then(|stats| stats.cpu),
            memory: stats.and_then(|stats| stats.peak_memory),
            fuel_used: stats.and_then(|stats| stats.fuel_used),
            network: stats.and_then(|stats| stats.network),
        }
    }
}

impl Gauges {
    fn cpu(&self) -> MutexGuard<'_, Option<Cpu>> {
        // Nothing that can panic runs under this lock.
        self.cpu.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
