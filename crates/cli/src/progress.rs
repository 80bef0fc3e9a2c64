//! A sign of life while something large is compiled.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use wasmrun::guest::shown;
use wasmrun::{
    Artifact, Cache, CodeCache, CodeKey, Compilation, Control, Engine, Engines, Guest, Miss, Place,
    Program, Request, Result, RunConfig,
};

/// What takes long enough to be waited for, in bytes.
const LARGE: u64 = 1 << 20;

/// Compiles for a run that `control` may end. On a terminal, what is large and has to be compiled shows
/// how long that has taken so far.
pub fn compile(
    engines: &Engines,
    engine: Arc<dyn Engine>,
    guest: &Guest,
    request: Request<'_>,
    control: &Control,
) -> Result<Program> {
    match engines.cache() {
        Some(cache) => {
            let watched = Watched::new(cache);
            Program::compile_for_run(engine, guest, request, Some(&watched), control)
        }
        None => {
            let in_process = engine.info().place == Place::InProcess;
            let _spinner = in_process.then(|| Spinner::of(guest));
            Program::compile_for_run(engine, guest, request, None, control)
        }
    }
}

/// Compiles for runs to come, with the same sign of life.
pub fn compile_ahead(
    cache: &Cache,
    engine: Arc<dyn Engine>,
    guest: &Guest,
    config: &RunConfig,
    control: &Control,
) -> Result<Program> {
    let watched = Watched::new(cache);
    let how = Compilation::new().ahead().cache(&watched).control(control);
    Program::compile_with(engine, guest, config, how)
}

/// A cache that tells when something has to be compiled.
#[derive(Debug)]
struct Watched<'a> {
    cache: &'a Cache,
    spinner: Mutex<Option<Spinner>>,
}

impl<'a> Watched<'a> {
    fn new(cache: &'a Cache) -> Self {
        Watched {
            cache,
            spinner: Mutex::default(),
        }
    }

    fn set(&self, spinner: Option<Spinner>) {
        *self.spinner.lock().unwrap_or_else(PoisonError::into_inner) = spinner;
    }
}

impl CodeCache for Watched<'_> {
    fn find(&self, key: &CodeKey<'_>) -> std::result::Result<Artifact, Miss> {
        let found = self.cache.find(key);
        if found.is_err() {
            self.set(Spinner::of(key.guest));
        }
        found
    }

    fn keep(&self, key: &CodeKey<'_>, artifact: &[u8]) -> std::result::Result<(), String> {
        self.set(None);
        self.cache.keep(key, artifact)
    }

    fn forget(&self, key: &CodeKey<'_>) {
        self.set(Spinner::of(key.guest));
        self.cache.forget(key);
    }

    fn pass_over(&self, guest: &Guest) {
        self.set(Spinner::of(guest));
        self.cache.pass_over(guest);
    }
}

/// Spins until it is dropped, and then leaves nothing behind.
#[derive(Debug)]
struct Spinner(ProgressBar);

impl Spinner {
    fn of(guest: &Guest) -> Option<Spinner> {
        if guest.size() < LARGE {
            return None;
        }
        let bar = ProgressBar::new_spinner();
        // Starts no thread where nobody would see it.
        if bar.is_hidden() {
            return None;
        }
        let style = ProgressStyle::with_template("{spinner} compiling {msg} {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_message(shown(guest.name()));
        bar.tick();
        bar.enable_steady_tick(Duration::from_millis(100));
        Some(Spinner(bar))
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
