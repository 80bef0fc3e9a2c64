//! Compiling on an engine that is chosen.

use std::sync::Arc;

use wasmrun_core::{CodeCache, Control, Engine, Guest, Program, Result, RunConfig};

use crate::{Choice, Engines};

impl Engines {
    /// Compiles `guest` on the engine that [`select`](Engines::select) takes, for runs as `config`
    /// asks.
    ///
    /// # Errors
    ///
    /// Those of [`select`](Engines::select) and of [`Program::compile`].
    pub fn compile(&self, guest: &Guest, config: &RunConfig, choice: &Choice) -> Result<Program> {
        self.compile_on(self.select(guest, config, choice)?.engine, guest, config)
    }

    /// Like [`compile`](Engines::compile), for a run that has begun: see [`Program::compile_for_run`].
    ///
    /// # Errors
    ///
    /// As for [`compile`](Engines::compile).
    pub fn compile_for_run(
        &self,
        guest: &Guest,
        config: &RunConfig,
        choice: &Choice,
        control: &Control,
    ) -> Result<Program> {
        let engine = self.select(guest, config, choice)?.engine;
        let cache = self.cache().map(|cache| cache as &dyn CodeCache);
        Program::compile_for_run(engine, guest, config, cache, control)
    }

    /// Compiles `guest` on `engine`, or loads it compiled if the [cache](Engines::with_cache) has
    /// it.
    ///
    /// # Errors
    ///
    /// Those of [`Program::compile`].
    pub fn compile_on(
        &self,
        engine: Arc<dyn Engine>,
        guest: &Guest,
        config: &RunConfig,
    ) -> Result<Program> {
        match self.cache() {
            None => Program::compile(engine, guest, config),
            Some(cache) => Program::compile_cached(engine, guest, config, cache),
        }
    }
}
