//! Components as modules on wasmtime, which is the engine that has components too.

use std::sync::Arc;

use libtest_mimic::Trial;
use wasmrun_core::{CodeCache, Engine};
use wasmrun_testkit::suite;
use wasmrun_wasi_preview2::Flattening;

/// The rules about components as trials of `wasmtime-flattened`; none where wasmtime is not here.
pub fn trials(engines: &[Arc<dyn Engine>], code: &Arc<dyn CodeCache>) -> Vec<Trial> {
    let mut wasmtime = engines.iter().filter(|one| one.info().name == "wasmtime");
    let Some(wasmtime) = wasmtime.next() else {
        return Vec::new();
    };
    let flattening = Flattening::new("wasmtime-flattened", wasmtime.clone());
    let flattening: Arc<dyn Engine> = Arc::new(flattening);
    let mut trials = suite::of_components(&flattening);
    let engines = [wasmtime.clone(), flattening];
    trials.extend(suite::as_components(&engines, Some(code)));
    trials
}
