//! The engines a program can choose from.

use std::path::Path;
use std::process;
use std::sync::{Arc, LazyLock, OnceLock};
use std::thread;

use wasmrun_cache::Cache;
use wasmrun_core::{
    Answers, Engine, EngineInfo, Error, ErrorKind, Guest, GuestKind, Place, Result,
};

use crate::registry::{KNOWN, Known, Open, Opened};

/// The engines to choose from, best first.
///
/// Making one costs nothing: an engine is opened when it is first asked for, and is then shared by
/// all clones. Asking for one that is linked in looks for no executable, and loads no library.
#[derive(Debug, Clone)]
pub struct Engines {
    slots: Vec<Arc<Slot>>,
    cache: Option<Cache>,
}

#[derive(Debug)]
enum Slot {
    Known(&'static Known, OnceLock<Arc<dyn Engine>>),
    Registered(Arc<dyn Engine>),
}

impl Default for Engines {
    fn default() -> Self {
        Self::new()
    }
}

impl Engines {
    /// Every engine wasmrun knows, built in or not: in-process ones, then executables.
    pub fn new() -> Self {
        let slot = |known| Arc::new(Slot::Known(known, OnceLock::new()));
        Engines {
            slots: KNOWN.iter().map(slot).collect(),
            cache: None,
        }
    }

    /// None at all, for those who [register](Engines::register) their own.
    pub fn empty() -> Self {
        Engines {
            slots: Vec::new(),
            cache: None,
        }
    }

    /// The engines of [`Engines::new`], one set for the whole process: what
    /// [`Command`](crate::Command) and [`run`](crate::run) use unless told otherwise.
    pub fn shared() -> &'static Engines {
        static SHARED: LazyLock<Engines> = LazyLock::new(Engines::new);
        &SHARED
    }

    /// Adds an engine: in the place of the one that has its name, or else as the last.
    pub fn register(&mut self, engine: Arc<dyn Engine>) {
        let slot = Arc::new(Slot::Registered(engine));
        match self
            .slots
            .iter_mut()
            .find(|other| other.name() == slot.name())
        {
            Some(other) => *other = slot,
            None => self.slots.push(slot),
        }
    }

    /// The same engines, with compiled code kept in `cache`: what was compiled once is loaded the
    /// next time, by this process or another. Nothing is kept unless a cache is given.
    ///
    /// ```no_run
    /// use wasmrun::{Cache, Engines};
    ///
    /// # fn main() -> wasmrun::Result<()> {
    /// let engines = Engines::new().with_cache(Cache::open("/var/cache/my-service")?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_cache(mut self, cache: Cache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Where compiled code is kept, if anywhere.
    pub fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    /// Opens the guest in a file of at most `max_bytes`. With a [cache](Engines::with_cache), a file
    /// that was opened before and has not changed is not read.
    ///
    /// # Errors
    ///
    /// As for [`Guest::open`].
    pub fn guest(&self, path: impl AsRef<Path>, max_bytes: u64) -> Result<Guest> {
        match &self.cache {
            None => Guest::open_capped(path, max_bytes),
            Some(cache) => cache.guest(path.as_ref(), max_bytes),
        }
    }

    /// The guest in a file that the cache remembers, if there is a cache, the file has not changed since, and it is no package.
    /// Nothing is read of it.
    pub(crate) fn known_guest(&self, path: &Path, max_bytes: u64) -> Option<Guest> {
        let known = self.cache.as_ref()?.known_guest(path, max_bytes);
        known.filter(|guest| guest.kind() != GuestKind::Package)
    }

    /// The names of all engines, present or not, best first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().map(|slot| slot.name())
    }

    /// The engine called `name`, or, for `NAME=PATH`, the runtime at that path taken for a `NAME`.
    ///
    /// # Errors
    ///
    /// [`EngineNotFound`](ErrorKind::EngineNotFound), with the way to get it, if it is not built
    /// in, not installed or not known; what the engine itself says if it cannot start.
    pub fn get(&self, name: &str) -> Result<Arc<dyn Engine>> {
        match name.split_once('=') {
            Some((name, path)) => self.slot(name)?.at(Path::new(path), self.answers()),
            None => self.slot(name)?.open(self.answers()),
        }
    }

    /// Those that are part of this process, each opened when the iterator comes to it. This looks for no
    /// executable.
    pub fn in_process(&self) -> impl Iterator<Item = (&str, Result<Arc<dyn Engine>>)> {
        self.slots
            .iter()
            .filter(|slot| slot.is_in_process())
            .map(|slot| (slot.name(), slot.open(self.answers())))
    }

    /// Those of them that are linked in: this loads no library either.
    pub fn linked_in(&self) -> impl Iterator<Item = (&str, Result<Arc<dyn Engine>>)> {
        self.slots
            .iter()
            .filter(|slot| slot.is_in_process() && !slot.is_library())
            .map(|slot| (slot.name(), slot.open(self.answers())))
    }

    /// Every engine, with the reason where it is not here. This looks for executables, for all at
    /// the same time.
    pub fn all(&self) -> Vec<(&str, Result<Arc<dyn Engine>>)> {
        let answers = self.answers();
        thread::scope(|scope| {
            let opening: Vec<_> = self
                .slots
                .iter()
                .map(|slot| {
                    let thread = thread::Builder::new().spawn_scoped(scope, || slot.open(answers));
                    (slot, thread.ok())
                })
                .collect();
            opening
                .into_iter()
                .map(|(slot, thread)| {
                    // Without a thread to be had, or after a panic in one, here.
                    let opened = thread.and_then(|thread| thread.join().ok());
                    (slot.name(), opened.unwrap_or_else(|| slot.open(answers)))
                })
                .collect()
        })
    }

    /// Fails if `name`, or the `NAME` of a `NAME=PATH`, is no engine's.
    pub(crate) fn knows(&self, name: &str) -> Result<()> {
        let name = name.split_once('=').map_or(name, |(name, _)| name);
        self.slot(name).map(drop)
    }

    /// What remembers the versions of executables.
    fn answers(&self) -> Option<&dyn Answers> {
        self.cache.as_ref().map(|cache| cache as &dyn Answers)
    }

    fn slot(&self, name: &str) -> Result<&Slot> {
        self.slots
            .iter()
            .find(|slot| slot.name() == name)
            .map(|slot| &**slot)
            .ok_or_else(|| {
                let names: Vec<_> = self.names().collect();
                Error::new(
                    ErrorKind::EngineNotFound,
                    format!("no engine is called {name}; there are {}", names.join(", ")),
                )
            })
    }
}

/// The command a person would type to run `program` on the runtime `engine`, with nothing but
/// arguments: to see what the runtime does by itself, without us. `None` for an engine that is part of
/// this process, or has no such command.
pub fn own_command(
    engine: &EngineInfo,
    program: &Path,
    args: &[String],
) -> Option<process::Command> {
    #[cfg(feature = "subprocess")]
    return wasmrun_backend_subprocess::own_command(engine, program, args);
    #[cfg(not(feature = "subprocess"))]
    {
        let _ = (engine, program, args);
        None
    }
}

impl Slot {
    fn name(&self) -> &str {
        match self {
            Slot::Known(known, _) => known.name,
            Slot::Registered(engine) => &engine.info().name,
        }
    }

    fn is_in_process(&self) -> bool {
        match self {
            Slot::Known(known, _) => {
                matches!(known.open, Some(Open::InProcess(_) | Open::Library(_)))
            }
            Slot::Registered(engine) => engine.info().place == Place::InProcess,
        }
    }

    fn is_library(&self) -> bool {
        matches!(self, Slot::Known(known, _) if matches!(known.open, Some(Open::Library(_))))
    }

    fn open(&self, answers: Option<&dyn Answers>) -> Opened {
        let (known, opened) = match self {
            Slot::Known(known, opened) => (known, opened),
            Slot::Registered(engine) => return Ok(engine.clone()),
        };
        if let Some(engine) = opened.get() {
            return Ok(engine.clone());
        }
        // An engine that is not here is looked for again next time: it may have come.
        let engine = match known.open.ok_or_else(|| not_built_in(known))? {
            Open::InProcess(open) | Open::Library(open) => open(),
            Open::Executable { find, .. } => find(known.name, answers),
        }
        .map_err(|error| error.with_engine(known.name))?;
        Ok(opened.get_or_init(|| engine).clone())
    }

    fn at(&self, path: &Path, answers: Option<&dyn Answers>) -> Opened {
        if let Slot::Known(known, _) = self {
            match known.open {
                None => return Err(not_built_in(known)),
                Some(Open::Executable { at, .. }) => {
                    return at(known.name, path, answers)
                        .map_err(|error| error.with_engine(known.name));
                }
                Some(Open::InProcess(_) | Open::Library(_)) => {}
            }
        }
        Err(Error::new(
            ErrorKind::Config,
            "is part of this process and has no path; give one to an engine that is an executable",
        )
        .with_engine(self.name()))
    }
}

fn not_built_in(known: &Known) -> Error {
    Error::new(
        ErrorKind::EngineNotFound,
        format!(
            "is not built in; build wasmrun with its Cargo feature `{}`",
            known.feature
        ),
    )
    .with_engine(known.name)
}
