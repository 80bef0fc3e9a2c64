//! Components as modules on wasmtime, which is the engine that has components too.

use std::borrow::Cow;
use std::sync::Arc;

use libtest_mimic::Trial;
use wasmrun_core::{Capability, Code, Compile, Engine, EngineInfo, Guest, GuestKind, Result};
use wasmrun_testkit::suite;
use wasmrun_wasi_preview2::flattened;

/// The rules about components as trials of `wasmtime-flattened`; none where wasmtime is not here.
pub fn trials(engines: &[Arc<dyn Engine>]) -> Vec<Trial> {
    let mut wasmtime = engines.iter().filter(|one| one.info().name == "wasmtime");
    let Some(wasmtime) = wasmtime.next() else {
        return Vec::new();
    };
    let flattening: Arc<dyn Engine> = Arc::new(Flattening {
        info: EngineInfo {
            name: "wasmtime-flattened".into(),
            ..wasmtime.info().clone()
        },
        wasmtime: wasmtime.clone(),
    });
    let mut trials = suite::of_components(&flattening);
    trials.extend(suite::as_components(&[wasmtime.clone(), flattening]));
    trials
}

/// wasmtime, without components of its own.
#[derive(Debug)]
struct Flattening {
    info: EngineInfo,
    wasmtime: Arc<dyn Engine>,
}

impl Engine for Flattening {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn capability(&self) -> Capability {
        flattened::capability(self.wasmtime.capability())
    }

    fn capability_for(&self, guest: &Guest) -> Capability {
        flattened::capability_for(guest, self.capability())
    }

    fn reason(&self, guest: &Guest, what: &str) -> Option<Cow<'static, str>> {
        flattened::reason(guest, what)
    }

    fn compile(&self, compile: Compile<'_>) -> Result<Arc<dyn Code>> {
        match compile.guest.kind() {
            GuestKind::Component => {
                flattened::compile(compile, |module| self.wasmtime.compile(module))
            }
            GuestKind::Module | GuestKind::Package => self.wasmtime.compile(compile),
        }
    }
}
