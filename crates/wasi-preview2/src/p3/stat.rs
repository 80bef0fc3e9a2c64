//! What is known of a file, as WASI 0.3 tells it.

use wasmrun_fs::{Advice, Errno, FileType, SetTime, SetTimes, Stat};
use wasmtime_wasi::p3::bindings::clocks::system_clock::Instant;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    self, DescriptorStat, DescriptorType, NewTimestamp,
};

use crate::stat::{SECOND, time_to_set, told_alike};

told_alike!(DescriptorType::Other(None), instant);

pub(super) fn instant(nanoseconds: u64) -> Instant {
    Instant {
        // Both are less than what a number of 64 bits comes to in seconds.
        seconds: (nanoseconds / SECOND) as i64,
        nanoseconds: (nanoseconds % SECOND) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_are_told_can_be_set() {
        for time in [0, 1, SECOND - 1, SECOND, u64::MAX] {
            let set = set_time(NewTimestamp::Timestamp(instant(time)));
            assert_eq!(set, Ok(SetTime::To(time)));
        }
    }

    #[test]
    fn what_is_no_time_or_not_in_reach_is_refused() {
        let at = |seconds, nanoseconds| {
            set_time(NewTimestamp::Timestamp(Instant {
                seconds,
                nanoseconds,
            }))
        };
        assert_eq!(at(0, 1_000_000_000), Err(Errno::Inval));
        assert_eq!(at(-1, 0), Err(Errno::Overflow));
        assert_eq!(at(i64::MAX, 0), Err(Errno::Overflow));
    }
}
