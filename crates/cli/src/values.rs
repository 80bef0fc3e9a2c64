//! The values options take.

use std::path::PathBuf;

use wasmrun::Access;
pub use wasmrun::units::{duration, moment as time, size};

/// `--dir HOST[::GUEST][:ro|:rw]`.
#[derive(Debug, Clone, PartialEq)]
pub struct DirArg {
    pub host: PathBuf,
    /// `None` for the host's path.
    pub guest: Option<String>,
    pub access: Access,
}

/// `--env NAME[=VALUE]`.
#[derive(Debug, Clone, PartialEq)]
pub enum EnvArg {
    Set(String, String),
    Copy(String),
}

/// `--stdin inherit|null|FILE`.
#[derive(Debug, Clone, PartialEq)]
pub enum StdinArg {
    Inherit,
    Null,
    File(PathBuf),
}

/// A file to be written. By `-` some mean standard output, where what they ask for would be mixed with the
/// rest.
pub fn output_file(path: PathBuf) -> Result<PathBuf, String> {
    match path.as_os_str() == "-" {
        true => Err("it takes a file; one of that name is ./-".into()),
        false => Ok(path),
    }
}

pub fn dir(text: &str) -> Result<DirArg, String> {
    let (rest, access) = access(text);
    let (host, guest) = match rest.rsplit_once("::") {
        Some((host, guest)) => (host, Some(guest)),
        None => (rest, None),
    };
    if host.is_empty() || guest.is_some_and(str::is_empty) {
        return Err("the form is HOST[::GUEST][:ro|:rw], with neither path empty".into());
    }
    Ok(DirArg {
        host: host.into(),
        guest: guest.map(str::to_owned),
        access,
    })
}

/// Takes `:ro` or `:rw` off the end. After another colon it is not a mode but a guest path:
/// `data::ro` is `data`, shown as `ro`.
pub fn access(text: &str) -> (&str, Access) {
    for (mode, access) in [(":ro", Access::ReadOnly), (":rw", Access::ReadWrite)] {
        if let Some(rest) = text.strip_suffix(mode)
            && !rest.ends_with(':')
        {
            return (rest, access);
        }
    }
    (text, Access::ReadWrite)
}

pub fn env(text: &str) -> Result<EnvArg, String> {
    match text.split_once('=') {
        Some(("", _)) | None if text.is_empty() || text.starts_with('=') => {
            Err("the form is NAME=VALUE, or NAME to copy the host's value".into())
        }
        Some((name, value)) => Ok(EnvArg::Set(name.into(), value.into())),
        None => Ok(EnvArg::Copy(text.into())),
    }
}

pub fn stdin(text: &str) -> Result<StdinArg, String> {
    Ok(match text {
        "inherit" => StdinArg::Inherit,
        "null" => StdinArg::Null,
        "" => return Err("the form is inherit, null, or the name of a file".into()),
        file => StdinArg::File(file.into()),
    })
}

#[cfg(test)]
mod held;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_directory_is_host_guest_and_access() {
        use Access::{ReadOnly, ReadWrite};
        for (text, host, guest, access) in [
            ("data", "data", None, ReadWrite),
            ("data:ro", "data", None, ReadOnly),
            ("data:rw", "data", None, ReadWrite),
            ("/a::/b", "/a", Some("/b"), ReadWrite),
            ("/a::/b:ro", "/a", Some("/b"), ReadOnly),
            // A colon of the host's own.
            ("/a:b", "/a:b", None, ReadWrite),
            ("C:\\data::/data:ro", "C:\\data", Some("/data"), ReadOnly),
            // The last `::` separates.
            ("/a::b::/g", "/a::b", Some("/g"), ReadWrite),
            // A name that looks like a mode.
            ("data::ro", "data", Some("ro"), ReadWrite),
            ("data::ro:ro", "data", Some("ro"), ReadOnly),
            ("x:ro::/x:rw", "x:ro", Some("/x"), ReadWrite),
            ("ro", "ro", None, ReadWrite),
        ] {
            let expected = DirArg {
                host: host.into(),
                guest: guest.map(str::to_owned),
                access,
            };
            assert_eq!(dir(text).as_ref(), Ok(&expected), "{text}");
        }
        for text in ["", "::/g", "host::", "::", ":ro", "::ro"] {
            assert!(dir(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_variable_is_set_or_copied() {
        let set = |name: &str, value: &str| Ok(EnvArg::Set(name.into(), value.into()));
        assert_eq!(env("K=V"), set("K", "V"));
        assert_eq!(env("K=a=b"), set("K", "a=b"));
        assert_eq!(env("K="), set("K", ""));
        assert_eq!(env("K"), Ok(EnvArg::Copy("K".into())));
        assert!(env("").is_err());
        assert!(env("=V").is_err());
    }

    #[test]
    fn sizes_take_units() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65536),
            ("64Ki", 64 << 10),
            ("64KiB", 64 << 10),
            ("64Mi", 64 << 20),
            ("1.5Gi", 3 << 29),
            ("2G", 2_000_000_000),
            ("10k", 10_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["18446744073709551615", "0018446744073709551615"] {
            assert_eq!(size(text), Ok(u64::MAX), "{text}");
        }
        assert_eq!(size("15Ei"), Ok(15 << 60));
        for text in [
            "16Ei",
            "99999999999G",
            "18446744073709551616",
            "1e30",
            "1.0Yi",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
        for text in ["", "Mi", "-1", "64 potatoes", "1e6", "0x10"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_without_a_unit_suggests_seconds() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        for text in ["18446744073709551615.1s0.9s", "18446744073709551615.2s0.8s"] {
            duration(text).expect_err("humantime panics over it");
        }
        let error = duration("3").expect_err("no unit");
        assert!(error.ends_with("did you mean 3s?"), "{error}");
        for text in ["", "s", "-3", "3 potatoes"] {
            let error = duration(text).expect_err("no time");
            assert!(!error.contains("did you mean"), "{text}: {error}");
        }
    }

    #[test]
    fn a_time_is_nanoseconds_since_1970() {
        assert_eq!(time("1970-01-01T00:00:01Z"), Ok(1_000_000_000));
        assert_eq!(time("2026-01-31T12:00:00Z"), Ok(1_769_860_800_000_000_000));
        for text in ["", "noon", "1969-12-31T23:59:59Z", "9999-01-01T00:00:00Z"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_directory_is_refused_or_means_one(text in any::<String>()) {
            held::dir(&text);
        }

        #[test]
        fn any_text_of_colons_and_modes_is_refused_or_means_one_directory(
            text in "([a-z/.\u{e9} ]|:|::|:ro|:rw|\\.\\.){0,8}",
        ) {
            held::dir(&text);
        }

        #[test]
        fn a_directory_that_is_written_out_is_the_one_that_was_meant(
            (host, guest, read_only) in ("[^:]{1,10}", "[^:]{1,10}", any::<bool>()),
        ) {
            let (mode, access) = match read_only {
                true => ("ro", Access::ReadOnly),
                false => ("rw", Access::ReadWrite),
            };
            let meant = DirArg { host: host.clone().into(), guest: Some(guest.clone()), access };
            prop_assert_eq!(dir(&format!("{host}::{guest}:{mode}")), Ok(meant));
        }

        #[test]
        fn any_text_of_keys_is_refused_or_means_one_mount(
            text in "(type=(bind|tmpfs|tar|overlay|volume),|src=|dst=|lower=|upper=|size=|ro|\"|\n|[a,:1/ ]){0,9}",
        ) {
            held::mount(&text);
        }

        #[test]
        fn any_size_is_refused_or_exact(text in any::<String>()) {
            held::size(&text);
        }

        #[test]
        fn a_size_is_its_number_times_its_unit_or_refused(
            (number, unit) in (any::<u64>(), 0..13_usize),
        ) {
            let units = ["", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
            let factor = match unit {
                0..=6 => 1000_u128.pow(unit as u32),
                _ => 1024_u128.pow(unit as u32 - 6),
            };
            for number in [number, number % 100, number >> 20, number >> 40] {
                let exact = u64::try_from(u128::from(number) * factor).ok();
                let read = size(&format!("{number}{}", units[unit]));
                prop_assert_eq!(read.ok(), exact, "{}{}", number, units[unit]);
            }
        }

        #[test]
        fn any_other_value_is_refused_or_taken(text in any::<String>()) {
            held::others(&text);
        }
    }

    #[test]
    fn standard_input_is_a_word_or_a_file() {
        assert_eq!(stdin("null"), Ok(StdinArg::Null));
        assert_eq!(stdin("inherit"), Ok(StdinArg::Inherit));
        assert_eq!(stdin("./null"), Ok(StdinArg::File("./null".into())));
    }
}
