//! What is known of a file, as WASI tells it.

use wasmrun_fs::{Advice, Errno, FileType, SetTime, SetTimes, Stat};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, DescriptorStat, DescriptorType, MetadataHashValue, NewTimestamp,
};

pub(crate) const SECOND: u64 = 1_000_000_000;

/// What versions of WASI say alike, each in types of its own. What is no kind of file that they know is `$other`, and `$moment`
/// tells a time.
macro_rules! told_alike {
    ($other:expr, $moment:ident) => {
        pub(crate) fn descriptor_type(file_type: FileType) -> DescriptorType {
            match file_type {
                FileType::Regular => DescriptorType::RegularFile,
                FileType::Directory => DescriptorType::Directory,
                FileType::Symlink => DescriptorType::SymbolicLink,
                FileType::CharacterDevice => DescriptorType::CharacterDevice,
                FileType::BlockDevice => DescriptorType::BlockDevice,
                FileType::Other => $other,
            }
        }

        pub(crate) fn descriptor_stat(stat: &Stat) -> DescriptorStat {
            DescriptorStat {
                type_: descriptor_type(stat.file_type),
                link_count: stat.links,
                size: stat.size,
                data_access_timestamp: Some($moment(stat.accessed)),
                data_modification_timestamp: Some($moment(stat.modified)),
                status_change_timestamp: Some($moment(stat.changed)),
            }
        }

        /// The times that are to be set: [`Errno::Inval`] for one that is none, [`Errno::Overflow`] for one before the year
        /// 1970 or after 2554.
        pub(crate) fn set_times(
            accessed: NewTimestamp,
            modified: NewTimestamp,
        ) -> Result<SetTimes, Errno> {
            Ok(SetTimes {
                accessed: set_time(accessed)?,
                modified: set_time(modified)?,
            })
        }

        fn set_time(time: NewTimestamp) -> Result<SetTime, Errno> {
            Ok(match time {
                NewTimestamp::NoChange => SetTime::Keep,
                NewTimestamp::Now => SetTime::Now,
                NewTimestamp::Timestamp(time) => time_to_set(time.seconds, time.nanoseconds)?,
            })
        }

        pub(crate) fn advice(told: types::Advice) -> Advice {
            match told {
                types::Advice::Normal => Advice::Normal,
                types::Advice::Sequential => Advice::Sequential,
                types::Advice::Random => Advice::Random,
                types::Advice::WillNeed => Advice::WillNeed,
                types::Advice::DontNeed => Advice::DontNeed,
                types::Advice::NoReuse => Advice::NoReuse,
            }
        }
    };
}

told_alike!(DescriptorType::Unknown, datetime);

#[cfg(feature = "p3")]
pub(crate) use told_alike;

pub(crate) fn datetime(nanoseconds: u64) -> Datetime {
    Datetime {
        seconds: nanoseconds / SECOND,
        // Less than a second.
        nanoseconds: (nanoseconds % SECOND) as u32,
    }
}

/// A time that is to be set. Seconds before the year 1970 are as much out of reach as those after 2554.
pub(crate) fn time_to_set(seconds: impl TryInto<u64>, nanoseconds: u32) -> Result<SetTime, Errno> {
    let nanoseconds = u64::from(nanoseconds);
    if nanoseconds >= SECOND {
        return Err(Errno::Inval);
    }
    let seconds = seconds.try_into().ok();
    let time = seconds
        .and_then(|seconds| seconds.checked_mul(SECOND))
        .and_then(|seconds| seconds.checked_add(nanoseconds));
    Ok(SetTime::To(time.ok_or(Errno::Overflow)?))
}

/// What tells one file from all others, as long as it is there. Guests take half of it for an inode number, so neither
/// half is the same for two files that a guest may meet, on whichever file systems.
pub(crate) fn hash(stat: &Stat) -> MetadataHashValue {
    MetadataHashValue {
        lower: mix(mix(stat.device) ^ stat.inode),
        upper: mix(mix(stat.inode) ^ stat.device),
    }
}

/// The last step of SplitMix64: every bit of the result hangs on every bit of the number, and no two numbers have the
/// same.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, nanoseconds: u32) -> Result<SetTime, Errno> {
        set_time(NewTimestamp::Timestamp(Datetime {
            seconds,
            nanoseconds,
        }))
    }

    #[test]
    fn times_that_are_told_can_be_set() {
        for time in [0, 1, SECOND - 1, SECOND, u64::MAX] {
            let Datetime {
                seconds,
                nanoseconds,
            } = datetime(time);
            assert_eq!(at(seconds, nanoseconds), Ok(SetTime::To(time)));
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        assert_eq!(at(0, 1_000_000_000), Err(Errno::Inval));
        assert_eq!(at(u64::MAX, 0), Err(Errno::Overflow));
        assert_eq!(at(u64::MAX / SECOND, 999_999_999), Err(Errno::Overflow));
    }

    #[test]
    fn files_are_told_apart() {
        let stat = |device, inode| Stat {
            file_type: FileType::Regular,
            device,
            inode,
            links: 1,
            size: 0,
            accessed: 0,
            modified: 0,
            changed: 0,
        };
        let mut halves = std::collections::HashSet::new();
        for device in [0, 1, 2, 3, 1 << 32, u64::MAX] {
            for inode in 0..1000 {
                let MetadataHashValue { lower, upper } = hash(&stat(device, inode));
                assert!(halves.insert((0, lower)) && halves.insert((1, upper)));
            }
        }
    }
}
