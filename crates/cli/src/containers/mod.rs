//! Containers for people without containerd: `wasmrun run --detach`, `wasmrun ps` and others.
//!
//! Each has a directory of its own ([`store`]) and, while it runs, one process, which is this command again ([`supervisor`]). There
//! is no daemon: the others only look into the directory, and talk to that process ([`request`]).

pub mod args;
#[cfg(unix)]
mod client;
#[cfg(unix)]
mod log_file;
#[cfg(unix)]
mod request;
#[cfg(unix)]
mod store;
#[cfg(unix)]
mod supervisor;

#[cfg(unix)]
pub use client::{containers, detach};
#[cfg(unix)]
pub use supervisor::{is_supervisor, supervise};

#[cfg(not(unix))]
mod elsewhere {
    use wasmrun::{Error, ErrorKind};

    use super::args::ContainersCommand;
    use crate::args::RunArgs;
    use crate::say;

    pub fn containers(_: &ContainersCommand) -> u8 {
        refuse()
    }

    pub fn detach(_: &RunArgs) -> u8 {
        refuse()
    }

    pub fn is_supervisor() -> bool {
        false
    }

    pub fn supervise() -> u8 {
        refuse()
    }

    fn refuse() -> u8 {
        let message =
            "containers need the sockets and file locks of Unix, which this system does not have";
        say::error(&Error::new(ErrorKind::Unsupported, message), false)
    }
}

#[cfg(not(unix))]
pub use elsewhere::*;
