//! What is known of a file, as WASI 0.3 tells it.

use wasmrun_fs::{Errno, FileType, SetTime, SetTimes, Stat};
use wasmtime_wasi::p3::bindings::clocks::system_clock::Instant;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    DescriptorStat, DescriptorType, NewTimestamp,
};

use crate::stat::{SECOND, time_to_set};

pub(super) fn descriptor_type(file_type: FileType) -> DescriptorType {
    match file_type {
        FileType::Regular => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::Other => DescriptorType::Other(None),
    }
}

pub(super) fn descriptor_stat(stat: &Stat) -> DescriptorStat {
    DescriptorStat {
        type_: descriptor_type(stat.file_type),
        link_count: stat.links,
        size: stat.size,
        data_access_timestamp: Some(instant(stat.accessed)),
        data_modification_timestamp: Some(instant(stat.modified)),
        status_change_timestamp: Some(instant(stat.changed)),
    }
}

pub(super) fn instant(nanoseconds: u64) -> Instant {
    Instant {
        // Both are less than what a number of 64 bits comes to in seconds.
        seconds: (nanoseconds / SECOND) as i64,
        nanoseconds: (nanoseconds % SECOND) as u32,
    }
}

/// The times that are to be set: [`Errno::Inval`] for one that is none, [`Errno::Overflow`] for one before the year 1970 or
/// after 2554.
pub(super) fn set_times(accessed: NewTimestamp, modified: NewTimestamp) -> Result<SetTimes, Errno> {
    Ok(SetTimes {
        accessed: set_time(accessed)?,
        modified: set_time(modified)?,
    })
}

fn set_time(time: NewTimestamp) -> Result<SetTime, Errno> {
    Ok(match time {
        NewTimestamp::NoChange => SetTime::Keep,
        NewTimestamp::Now => SetTime::Now,
        NewTimestamp::Timestamp(time) => {
            time_to_set(u64::try_from(time.seconds).ok(), time.nanoseconds)?
        }
    })
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
