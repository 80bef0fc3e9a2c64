//! An engine whose components become modules.

use std::borrow::Cow;
use std::sync::Arc;

use wasmrun_core::{
    Artifact, Capability, Code, Compile, Engine, EngineInfo, Guest, GuestKind, Result,
};

use crate::flattened;

/// An engine for modules, which has components as well by making [modules](flattened) of them. If it has components of its
/// own, it does not use them.
#[derive(Debug)]
pub struct Flattening {
    info: EngineInfo,
    modules: Arc<dyn Engine>,
}

impl Flattening {
    /// The same engine with components, under a name of its own.
    pub fn new(name: impl Into<String>, modules: Arc<dyn Engine>) -> Self {
        let info = EngineInfo {
            name: name.into(),
            ..modules.info().clone()
        };
        Flattening { info, modules }
    }
}

impl Engine for Flattening {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn capability(&self) -> Capability {
        flattened::capability(self.modules.capability())
    }

    fn capability_for(&self, guest: &Guest) -> Capability {
        flattened::capability_for(guest, self.capability())
    }

    fn reason(&self, guest: &Guest, what: &str) -> Option<Cow<'static, str>> {
        flattened::reason(guest, &self.capability(), what)
            .or_else(|| self.modules.reason(guest, what))
    }

    fn compile(&self, compile: Compile<'_>) -> Result<Arc<dyn Code>> {
        match compile.guest.kind() {
            GuestKind::Component => {
                flattened::compile(compile, |module| self.modules.compile(module))
            }
            GuestKind::Module | GuestKind::Package => self.modules.compile(compile),
        }
    }

    fn code_identity(&self, compile: Compile<'_>) -> Result<Option<Vec<u8>>> {
        let of_modules = self.modules.code_identity(compile)?;
        Ok(of_modules.map(|identity| [identity, flattened::identity(compile.guest)].concat()))
    }

    fn load(&self, compile: Compile<'_>, artifact: Artifact) -> Result<Arc<dyn Code>> {
        match compile.guest.kind() {
            GuestKind::Component => flattened::load(compile, artifact, |module, artifact| {
                self.modules.load(module, artifact)
            }),
            GuestKind::Module | GuestKind::Package => self.modules.load(compile, artifact),
        }
    }
}
