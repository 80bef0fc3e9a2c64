//! A set of numbers that come in runs.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of numbers, kept as ranges that neither overlap nor touch.
#[derive(Default)]
pub(super) struct Ranges {
    /// From their start to their end.
    ranges: BTreeMap<u64, u64>,
    len: u64,
}

impl Ranges {
    /// How many numbers are in it.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// How many numbers of `range` are not in it.
    pub(super) fn missing(&self, range: &Range<u64>) -> u64 {
        let present =
            |(start, end): (u64, u64)| end.min(range.end).saturating_sub(start.max(range.start));
        size(range) - self.touching(range).map(present).sum::<u64>()
    }

    /// Adds a range, which is not empty.
    pub(super) fn insert(&mut self, range: Range<u64>) {
        self.len += self.missing(&range);
        let absorbed: Vec<_> = self.touching(&range).collect();
        let mut union = range;
        for (start, end) in absorbed {
            self.ranges.remove(&start);
            union = union.start.min(start)..union.end.max(end);
        }
        self.ranges.insert(union.start, union.end);
    }

    /// Removes all numbers from `start` on: how many.
    pub(super) fn truncate(&mut self, start: u64) -> u64 {
        let before = self.len;
        for (first, end) in self.ranges.split_off(&start) {
            self.len -= end - first;
        }
        if let Some(mut last) = self.ranges.last_entry() {
            let kept = start.min(*last.get());
            self.len -= last.insert(kept) - kept;
        }
        before - self.len
    }

    /// The ranges that overlap `range` or touch it.
    fn touching(&self, range: &Range<u64>) -> impl Iterator<Item = (u64, u64)> {
        let before = self.ranges.range(..range.start).next_back();
        let before = before.filter(|(_, end)| **end >= range.start);
        let others = self.ranges.range(range.start..=range.end);
        before
            .into_iter()
            .chain(others)
            .map(|(&start, &end)| (start, end))
    }
}

fn size(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_are_a_set(steps in prop::collection::vec((any::<bool>(), 0u64..64, 1u64..16), 0..50)) {
            let mut ranges = Ranges::default();
            let mut set = BTreeSet::new();
            for (insert, start, length) in steps {
                let range = start..start + length;
                let missing = range.clone().filter(|number| !set.contains(number)).count();
                prop_assert_eq!(ranges.missing(&range), missing as u64);
                if insert {
                    ranges.insert(range.clone());
                    set.extend(range);
                } else {
                    let removed = set.split_off(&start).len();
                    prop_assert_eq!(ranges.truncate(start), removed as u64);
                }
                prop_assert_eq!(ranges.len(), set.len() as u64);
                let runs = set.iter().filter(|number| !set.contains(&(*number + 1))).count();
                prop_assert_eq!(ranges.ranges.len(), runs);
            }
        }
    }
}
