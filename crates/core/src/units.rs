//! Sizes and times as people write them: on a command line, and in files.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytesize::ByteSize;

pub use crate::written::{Maybe, Size};

/// With more, times come near those that humantime panics over.
const MOST_DIGITS: usize = 15;

/// Bytes: a number, or one with a unit. k, M, G are powers of 1000, Ki, Mi, Gi powers of 1024.
///
/// # Errors
///
/// What is wrong with it, to be put behind its name.
///
/// ```
/// use wasmrun_core::units;
///
/// assert_eq!(units::size("64Mi"), Ok(67_108_864));
/// assert_eq!(units::size("1.5G"), Ok(1_500_000_000));
/// ```
pub fn size(text: &str) -> Result<u64, String> {
    let size: ByteSize = text
        .parse()
        .map_err(|_| "the form is a number of bytes, or one with a unit such as 64Mi or 1.5G")?;
    // Where what was asked for is left when it is more than can be told.
    if size == ByteSize(u64::MAX) && text.parse() != Ok(u64::MAX) {
        return Err("that is more than any machine has; 16Ei is the end".into());
    }
    Ok(size.as_u64())
}

/// A time span with units, such as `500ms`, `2s` or `1m30s`.
///
/// # Errors
///
/// What is wrong with it, to be put behind its name.
pub fn duration(text: &str) -> Result<Duration, String> {
    if digits(text) > MOST_DIGITS {
        let told = || format!("a time has at most {MOST_DIGITS} digits");
        return exact(text).ok_or_else(told);
    }
    humantime::parse_duration(text).map_err(|error| {
        let seconds = format!("{text}s");
        match humantime::parse_duration(&seconds) {
            Ok(_) => format!("a time has a unit; did you mean {seconds}?"),
            Err(_) => error.to_string(),
        }
    })
}

/// A time span as [`duration`] reads it.
pub(crate) fn duration_text(duration: Duration) -> String {
    let text = humantime::format_duration(duration).to_string();
    match digits(&text) {
        0..=MOST_DIGITS => text,
        _ => format!("{}s {}ns", duration.as_secs(), duration.subsec_nanos()),
    }
}

/// The form that any time span has, however many digits that takes.
fn exact(text: &str) -> Option<Duration> {
    let (seconds, nanos) = text.strip_suffix("ns")?.split_once("s ")?;
    let nanos: u32 = nanos.parse().ok()?;
    (nanos < 1_000_000_000).then_some(Duration::new(seconds.parse().ok()?, nanos))
}

fn digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

/// A moment in UTC, such as `2026-01-31T12:00:00Z`, as nanoseconds since 1970.
///
/// # Errors
///
/// What is wrong with it, to be put behind its name.
pub fn moment(text: &str) -> Result<u64, String> {
    let form = || "the form is 2026-01-31T12:00:00Z, not before 1970 nor after 2554".to_owned();
    let time = humantime::parse_rfc3339_weak(text).map_err(|_| form())?;
    let since = time.duration_since(UNIX_EPOCH).map_err(|_| form())?;
    u64::try_from(since.as_nanos()).map_err(|_| form())
}

/// A moment as [`moment`] reads it.
pub(crate) fn moment_text(nanos: u64) -> String {
    let time: SystemTime = UNIX_EPOCH + Duration::from_nanos(nanos);
    humantime::format_rfc3339(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_that_is_written_is_read_as_the_same() {
        for duration in [
            Duration::ZERO,
            Duration::from_secs(2),
            Duration::from_millis(90_500),
            Duration::from_nanos(1),
            Duration::new(999_999, 999_999_999),
            Duration::from_millis(u64::MAX),
            Duration::from_secs(u64::MAX),
            Duration::MAX,
        ] {
            let text = duration_text(duration);
            assert_eq!(super::duration(&text), Ok(duration), "{text}");
        }
        assert_eq!(duration_text(Duration::from_secs(90)), "1m 30s");
    }

    #[test]
    fn a_moment_that_is_written_is_read_as_the_same() {
        for nanos in [0, 1, 1_769_860_800_000_000_000, u64::MAX] {
            let text = moment_text(nanos);
            assert_eq!(moment(&text), Ok(nanos), "{text}");
        }
        assert_eq!(
            moment_text(1_769_860_800_000_000_000),
            "2026-01-31T12:00:00Z"
        );
    }
}
