//! What the runs of modules and components have in common: the store and what is told of its cost.

use std::time::Instant;

use wasmrun_core::{Control, Error, ErrorKind, Limits, Result, Stats, Usage};
use wasmtime::Store;

use crate::epoch::{self, Interruption};
use crate::limits::Limiter;
use crate::variant::Variant;

/// What a store holds: the guest's world, and what it may use of ours.
pub(crate) struct Host<W> {
    pub(crate) world: W,
    pub(crate) limiter: Limiter,
}

/// A store for one run, with its limits switched on. The guest can be interrupted as long as the
/// second part is kept.
pub(crate) fn make<W: 'static>(
    variant: &Variant,
    world: W,
    limits: &Limits,
    usage: Usage,
    control: &Control,
) -> Result<(Store<Host<W>>, Option<Interruption>)> {
    let limiter = Limiter::new(limits, usage.clone());
    let mut store = Store::new(variant.engine(), Host { world, limiter });
    store.limiter(|host| &mut host.limiter);
    if let Some(fuel) = limits.fuel {
        fill(&mut store, fuel)?;
    }
    let interruption = variant
        .is_interruptible()
        .then(|| epoch::end_on_interrupt(&mut store, control, limits.fuel.zip(Some(usage))));
    Ok((store, interruption))
}

/// Lets what runs next have that much fuel.
pub(crate) fn fill<W>(store: &mut Store<Host<W>>, fuel: u64) -> Result<()> {
    store.set_fuel(fuel).map_err(|source| {
        Error::new(ErrorKind::Engine, "cannot count the guest's fuel").with_source(source)
    })
}

/// What was used of it.
pub(crate) fn fuel_used<W>(store: &Store<Host<W>>, had: Option<u64>) -> Option<u64> {
    had.and_then(|fuel| fuel.checked_sub(store.get_fuel().ok()?))
}

/// What the run that `store` was made for has cost. It `began`, and the guest was `made`.
pub(crate) fn stats<W: 'static>(
    store: &Store<Host<W>>,
    limits: &Limits,
    began: Instant,
    made: Instant,
) -> Stats {
    let mut stats = Stats::default();
    stats.instantiate = Some(made - began);
    stats.run = Some(made.elapsed());
    stats.fuel_used = fuel_used(store, limits.fuel);
    stats.peak_memory = Some(store.data().limiter.peak_memory());
    stats
}
