//! What holds of every value, whatever was typed. The fuzz targets use it too.

use wasmrun::Access;

use crate::mounts;
use crate::values::{self, DirArg, EnvArg, StdinArg};

/// What is taken for a directory means the same when it is written out in full.
pub fn dir(text: &str) {
    let Ok(arg) = values::dir(text) else { return };
    let DirArg {
        host,
        guest,
        access,
    } = &arg;
    let host = host.to_str().expect("it was text");
    assert!(text.starts_with(host) && !host.is_empty());
    let mode = match access {
        Access::ReadOnly => "ro",
        Access::ReadWrite => "rw",
    };
    let path = match guest {
        None => host.to_owned(),
        Some(guest) => {
            assert!(text.contains(&format!("{host}::{guest}")) && !guest.is_empty());
            format!("{host}::{guest}")
        }
    };
    // A colon in front of a mode makes it a path.
    if !path.ends_with(':') {
        assert_eq!(values::dir(&format!("{path}:{mode}")).as_ref(), Ok(&arg));
    }
}

/// What is taken for a mount means the same when it is written as we would.
pub fn mount(text: &str) {
    let Ok(mount) = mounts::mount(text) else {
        return;
    };
    let option = mounts::option(&mount);
    let option = option.to_str().expect("it was text");
    if let Some(again) = option.strip_prefix("--mount=") {
        assert_eq!(mounts::mount(again).as_ref(), Ok(&mount), "{again}");
    }
}

/// A number without a unit is that number.
pub fn size(text: &str) {
    let taken = values::size(text);
    if let Ok(bytes) = text.parse::<u64>() {
        assert_eq!(taken, Ok(bytes));
    }
    if let Ok(bytes) = taken {
        assert!(text.contains(|c: char| c.is_ascii_digit()), "{text:?}");
        assert_eq!(values::size(&bytes.to_string()), Ok(bytes));
    }
}

/// Nothing that is typed is lost.
pub fn others(text: &str) {
    match values::env(text) {
        Ok(EnvArg::Set(name, value)) => assert_eq!(format!("{name}={value}"), text),
        Ok(EnvArg::Copy(name)) => assert_eq!(name, text),
        Err(_) => assert!(text.is_empty() || text.starts_with('=')),
    }
    match values::stdin(text) {
        Ok(StdinArg::File(path)) => assert_eq!(path.to_str(), Some(text)),
        Ok(StdinArg::Inherit | StdinArg::Null) => assert!(["inherit", "null"].contains(&text)),
        Err(_) => assert_eq!(text, ""),
    }
    // Refused or taken, without a panic.
    let _ = values::time(text);
    let _ = values::duration(text);
}
