//! A runtime: an adapter and the executable it speaks to.

use std::path::PathBuf;

use wasmrun_core::{EngineInfo, Error, ErrorKind, Guest, Place, Proposals};

use crate::adapter::Adapter;
use crate::version::Version;

pub(crate) struct Runtime {
    pub(crate) adapter: &'static dyn Adapter,
    pub(crate) version: Version,
    pub(crate) path: PathBuf,
    pub(crate) info: EngineInfo,
}

impl Runtime {
    pub(crate) fn new(adapter: &'static dyn Adapter, version: Version, path: PathBuf) -> Self {
        Runtime {
            info: EngineInfo {
                name: adapter.name().to_owned(),
                version: version.to_string(),
                place: Place::Executable(path.clone()),
            },
            adapter,
            version,
            path,
        }
    }

    /// The proposals it has for modules.
    pub(crate) fn proposals(&self) -> Proposals {
        self.adapter.proposals(&self.version)
    }

    /// Whether a guest begins with a memory that it cannot have here.
    pub(crate) fn is_too_large(&self, guest: &Guest) -> bool {
        const PAGE: u64 = 1 << 16;
        let most = self.adapter.most_pages();
        most.is_some_and(|most| {
            let mut memories = guest.memories().iter();
            memories.any(|memory| memory.initial_bytes > most * PAGE)
        })
    }

    /// Why a run that a signal ended was none.
    pub(crate) fn killed(&self, signal: i32) -> Error {
        const SIGKILL: i32 = 9;
        let why = match signal {
            SIGKILL => "someone killed it; the system does when memory runs out",
            _ => "it crashed",
        };
        let executable = self.adapter.executable();
        let message = format!("{executable} ended by signal {signal}: {why}");
        Error::new(ErrorKind::Engine, message)
    }
}
