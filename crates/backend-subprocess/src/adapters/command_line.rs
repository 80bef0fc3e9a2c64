//! Building a command line.

use std::ffi::OsString;
use std::path::Path;

use wasmrun_core::{Error, ErrorKind, Mount, Result};

/// Adds `option=NAME=VALUE` for each variable.
pub(super) fn environment(args: &mut Vec<OsString>, option: &str, env: &[(String, String)]) {
    for (name, value) in env {
        args.push(format!("{option}={name}={value}").into());
    }
}

/// Adds `option=` for each directory, as `write` writes it.
///
/// Most runtimes split a directory's two paths at colons and know no way to quote one. `read`
/// splits as the runtime does: what it reads otherwise than it was meant is refused.
pub(super) fn directories(
    args: &mut Vec<OsString>,
    option: &str,
    mounts: &[Mount],
    write: impl Fn(&str, &str) -> String,
    read: impl Fn(&str) -> (&str, &str),
) -> Result<()> {
    for mount in mounts {
        let host = mount
            .host()
            .ok_or_else(|| unsupported(format!("cannot be told to mount {}", mount.source)))?;
        let host = utf8(host)?;
        let text = write(host, &mount.path);
        if read(&text) != (host, &mount.path) {
            return Err(unsupported(format!(
                "cannot be told to map {host} to {}: colons separate paths on its command line",
                mount.path
            )));
        }
        args.push(format!("{option}={text}").into());
    }
    Ok(())
}

pub(super) fn unsupported(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

/// A path in UTF-8: what command lines are made of.
pub(super) fn utf8(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        unsupported(format!(
            "cannot be given {}: its name is not UTF-8",
            path.display()
        ))
    })
}
