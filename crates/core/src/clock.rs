//! Time that only the guest moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::Clock;

/// The clocks of one run for which [`Clock::Virtual`] was asked. Clones are the same clocks.
#[derive(Debug, Clone)]
pub struct VirtualClock(Arc<State>);

#[derive(Debug)]
struct State {
    start: u64,
    step: u64,
    elapsed: AtomicU64,
}

/// What the clocks of a run tell at one moment, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VirtualTime {
    /// Since 1970-01-01 00:00 UTC.
    pub wall: u64,
    /// Since the run began.
    pub monotonic: u64,
}

impl VirtualClock {
    /// The clocks of a run that begins, if `clock` is virtual.
    pub fn of(clock: Clock) -> Option<Self> {
        let Clock::Virtual { start, step } = clock else {
            return None;
        };
        let elapsed = AtomicU64::new(0);
        Some(VirtualClock(Arc::new(State {
            start,
            step,
            elapsed,
        })))
    }

    /// What they tell a guest that looks, which moves both by a step.
    pub fn read(&self) -> VirtualTime {
        let elapsed = self.advance(self.0.step);
        self.at(elapsed)
    }

    /// What they would tell, without moving them.
    pub fn peek(&self) -> VirtualTime {
        self.at(self.0.elapsed.load(Relaxed))
    }

    /// Lets so many nanoseconds pass at once.
    pub fn pass(&self, nanoseconds: u64) {
        self.advance(nanoseconds);
    }

    /// How much had passed before.
    fn advance(&self, nanoseconds: u64) -> u64 {
        let advanced = |elapsed: u64| Some(elapsed.saturating_add(nanoseconds));
        let before = self.0.elapsed.fetch_update(Relaxed, Relaxed, advanced);
        // Either is what it was before.
        before.unwrap_or_else(|elapsed| elapsed)
    }

    fn at(&self, elapsed: u64) -> VirtualTime {
        VirtualTime {
            wall: self.0.start.saturating_add(elapsed),
            monotonic: elapsed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(start: u64, step: u64) -> VirtualClock {
        VirtualClock::of(Clock::Virtual { start, step }).expect("a virtual clock")
    }

    fn time(wall: u64, monotonic: u64) -> VirtualTime {
        VirtualTime { wall, monotonic }
    }

    #[test]
    fn a_look_moves_both_and_a_peek_none() {
        let clock = clock(100, 3);
        assert_eq!(clock.read(), time(100, 0));
        assert_eq!(clock.peek(), time(103, 3));
        assert_eq!(clock.clone().read(), time(103, 3));
        clock.pass(10);
        assert_eq!(clock.read(), time(116, 16));
    }

    #[test]
    fn time_ends_where_numbers_do() {
        let clock = clock(u64::MAX - 1, u64::MAX);
        clock.read();
        clock.read();
        assert_eq!(clock.peek(), time(u64::MAX, u64::MAX));
    }

    #[test]
    fn other_clocks_are_not_virtual() {
        for clock in [Clock::Host, Clock::Fixed(1)] {
            assert!(VirtualClock::of(clock).is_none());
        }
    }
}
