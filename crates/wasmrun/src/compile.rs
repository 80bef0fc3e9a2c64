//! Compiling on an engine that is chosen.

use std::sync::Arc;

use wasmrun_core::{CodeCache, Control, Engine, Guest, Program, Request, Result};

use crate::{Choice, Engines};

impl Engines {
    /// Compiles `guest` on the engine that [`select`](Engines::select) takes, for runs as is asked.
    ///
    /// # Errors
    ///
    /// Those of [`select`](Engines::select) and of [`Program::compile`].
    pub fn compile<'a>(
        &self,
        guest: &Guest,
        request: impl Into<Request<'a>>,
        choice: &Choice,
    ) -> Result<Program> {
        let request = request.into();
        let engine = self.select(guest, request, choice)?.engine;
        self.compile_on(engine, guest, request)
    }

    /// Like [`compile`](Engines::compile), for a run that has begun: see [`Program::compile_for_run`].
    ///
    /// # Errors
    ///
    /// As for [`compile`](Engines::compile).
    pub fn compile_for_run<'a>(
        &self,
        guest: &Guest,
        request: impl Into<Request<'a>>,
        choice: &Choice,
        control: &Control,
    ) -> Result<Program> {
        let request = request.into();
        let engine = self.select(guest, request, choice)?.engine;
        let cache = self.cache().map(|cache| cache as &dyn CodeCache);
        Program::compile_for_run(engine, guest, request, cache, control)
    }

    /// Compiles `guest` on `engine`, or loads it compiled if the [cache](Engines::with_cache) has
    /// it.
    ///
    /// # Errors
    ///
    /// Those of [`Program::compile`].
    pub fn compile_on<'a>(
        &self,
        engine: Arc<dyn Engine>,
        guest: &Guest,
        request: impl Into<Request<'a>>,
    ) -> Result<Program> {
        match self.cache() {
            None => Program::compile(engine, guest, request),
            Some(cache) => Program::compile_cached(engine, guest, request, cache),
        }
    }
}
