//! The engine.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use wasmrun_core::{
    Artifact, Capability, Code, Compile, Engine, EngineInfo, Guest, GuestKind, Proposals, Result,
    Support,
};
use wasmrun_wasi_preview2::flattened;

use crate::adapter::Adapter;
use crate::component::ComponentCode;
use crate::identity::identity;
use crate::relay::RelayedCode;
use crate::runtime::Runtime;
use crate::version::Version;

/// Whether a guest may have the runtime keep what is in no memory and no table: objects, exceptions, and streams that it serves
/// when the guest has forgotten them.
fn has_uncounted(guest: &Guest) -> bool {
    const UNCOUNTED: Proposals = Proposals::GC
        .union(Proposals::EXCEPTIONS)
        .union(Proposals::LEGACY_EXCEPTIONS)
        .union(Proposals::COMPONENT_ASYNC);
    guest.proposals().difference(UNCOUNTED) != guest.proposals()
}

/// A runtime that is an executable on this machine.
#[derive(Clone)]
pub struct SubprocessEngine(Arc<Runtime>);

impl SubprocessEngine {
    pub(crate) fn new(adapter: &'static dyn Adapter, version: Version, path: PathBuf) -> Self {
        SubprocessEngine(Arc::new(Runtime::new(adapter, version, path)))
    }
}

impl SubprocessEngine {
    /// Whether the runtime is the one to say which of several entries a component is started at.
    fn chooses_itself(&self, guest: &Guest) -> bool {
        guest.kind() == GuestKind::Component
            && self.0.adapter.components().is_some()
            && guest.entries().len() > 1
    }
}

impl fmt::Debug for SubprocessEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EngineInfo {
            name,
            version,
            place,
        } = &self.0.info;
        write!(f, "SubprocessEngine({name} {version}, {place})")
    }
}

impl Engine for SubprocessEngine {
    fn info(&self) -> &EngineInfo {
        &self.0.info
    }

    /// For modules, and what only components ask for. A runtime that has none is given them as modules.
    fn capability(&self) -> Capability {
        let Runtime {
            adapter, version, ..
        } = &*self.0;
        let mut capability = adapter.capability(version);
        let Some(components) = adapter.components() else {
            return flattened::capability(capability);
        };
        let theirs = components.capability(version);
        capability.proposals |= theirs.proposals;
        capability.components = theirs.components;
        capability.preview2 = theirs.preview2;
        capability.preview3 = theirs.preview3;
        capability.working_directory = theirs.working_directory;
        capability.network = theirs.network;
        capability
    }

    fn capability_for(&self, guest: &Guest) -> Capability {
        let mut capability = match (guest.kind(), self.0.adapter.components()) {
            (GuestKind::Component, Some(components)) => components.capability(&self.0.version),
            (GuestKind::Component, None) => flattened::capability_for(guest, self.capability()),
            _ => self.0.adapter.capability(&self.0.version),
        };
        if has_uncounted(guest) {
            capability.memory = Support::Unsupported;
        }
        if self.chooses_itself(guest) {
            capability.entry = Support::Unsupported;
        }
        if self.0.is_too_large(guest) {
            capability.modules = Support::Unsupported;
            capability.components = Support::Unsupported;
        }
        capability
    }

    fn reason(&self, guest: &Guest, what: &str) -> Option<Cow<'static, str>> {
        match what {
            "memory" if has_uncounted(guest) => {
                Some("nobody counts the objects, exceptions or streams that this guest may make".into())
            }
            "live" | "host_functions"
                if guest.kind() == GuestKind::Component
                    && self.0.adapter.components().is_some() =>
            {
                Some("components stay with the runtime, whose command line knows only runs".into())
            }
            "entry" if self.chooses_itself(guest) => {
                Some("this one has several, and its command line does not say which is meant".into())
            }
            "network_rules" if self.capability_for(guest).network.is_supported() => {
                Some("its command line grants the whole network or none of it".into())
            }
            "modules" | "components" if self.0.is_too_large(guest) => Some(
                "this one's memory has all the pages that 32 bits address, and here it may have one less".into(),
            ),
            _ if self.0.adapter.components().is_none() => flattened::reason(guest, &self.capability(), what),
            _ => None,
        }
    }

    /// The guest is made ready for the runtime; each run compiles it, in its own process, unless there
    /// is a cache to keep what the runtime compiles ahead. Of other runtimes a cache keeps the guest as it is
    /// made ready.
    fn compile(&self, compile: Compile<'_>) -> Result<Arc<dyn Code>> {
        let runtime = self.0.clone();
        match (compile.guest.kind(), self.0.adapter.components()) {
            (GuestKind::Component, Some(components)) => {
                Ok(Arc::new(ComponentCode::new(runtime, components, compile)))
            }
            (GuestKind::Component, None) => flattened::compile(compile, |module| {
                Ok(Arc::new(RelayedCode::new(runtime, module)?))
            }),
            _ => Ok(Arc::new(RelayedCode::new(runtime, compile)?)),
        }
    }

    /// Of a module, what starts by default is kept.
    fn code_identity(&self, Compile { guest, .. }: Compile<'_>) -> Result<Option<Vec<u8>>> {
        let is_kept = guest.kind() == GuestKind::Component || guest.is_command();
        Ok(is_kept.then(|| [identity(&self.0), flattened::identity(guest)].concat()))
    }

    fn load(&self, compile: Compile<'_>, artifact: Artifact) -> Result<Arc<dyn Code>> {
        let runtime = self.0.clone();
        match (compile.guest.kind(), self.0.adapter.components()) {
            (GuestKind::Component, Some(components)) => {
                let code = ComponentCode::load(runtime, components, compile, &artifact);
                Ok(Arc::new(code))
            }
            (GuestKind::Component, None) => {
                flattened::load(compile, artifact, |module, artifact| {
                    Ok(Arc::new(RelayedCode::load(runtime, module, &artifact)?))
                })
            }
            _ => Ok(Arc::new(RelayedCode::load(runtime, compile, &artifact)?)),
        }
    }
}
