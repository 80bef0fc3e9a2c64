//! WebAssembly programs that run under a name: created, started, stopped, started again when they fail, and looked at meanwhile.
//!
//! ```
//! use std::time::Duration;
//! use wasmrun::Engines;
//! use wasmrun_containers::{Containers, LogQuery, Spec};
//!
//! # fn main() -> wasmrun::Result<()> {
//! # if !cfg!(feature = "wasmi") { return Ok(()); }
//! # let file = std::env::temp_dir().join(format!("wasmrun-containers-{}.wat", std::process::id()));
//! # std::fs::write(&file, r#"(module (func (export "_start")))"#).expect("a file");
//! let containers = Containers::new(Engines::new());
//! let mut spec = Spec::new(&file);
//! spec.run.config.limits.memory = Some(64 << 20);
//! containers.create("web", spec)?;
//! containers.start("web")?;
//! let state = containers.wait("web")?;
//! println!("web {state}");
//! for line in containers.logs("web", &LogQuery::new().tail(10))? {
//!     println!("{}", String::from_utf8_lossy(&line.bytes));
//! }
//! containers.stop("web", Duration::from_secs(1))?;
//! containers.remove("web")?;
//! # let _ = std::fs::remove_file(file);
//! # Ok(())
//! # }
//! ```
//!
//! [`Containers`] is for one process: what it keeps ends with it. All containers of a process share one thread that looks after
//! them, beside the one of each guest that runs.

mod container;
mod events;
mod keeper;
mod logs;
mod signal;
mod spec;
mod state;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::io::PipeWriter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmrun::{Engines, Error, ErrorKind, Guest, Result, RunConfig, is_kept_name};

use container::Container;
use events::Happenings;
use keeper::Agenda;

pub use events::{ContainerEvent, ContainerEvents, Happened};
pub use logs::{ContainerLogs, LogQuery};
pub use signal::Signal;
pub use spec::{GuestRef, RestartPolicy, Spec};
pub use state::{ContainerStats, Failure, Info, State};
pub use wasmrun::PullPolicy;

/// Named runs with a life. Clones are the same containers; when the last goes, what still runs is killed.
///
/// A name has letters, digits, `_`, `.` and `-`, and begins with a letter or a digit. Every error names the container and its state.
/// Its kind is [`Config`](ErrorKind::Config) if there is no such container or its name cannot be one, [`InUse`](ErrorKind::InUse)
/// if the name is taken or it runs and must not, and [`Ended`](ErrorKind::Ended) if it does not run and must, or was removed
/// meanwhile.
#[derive(Debug, Clone)]
pub struct Containers(Arc<All>);

#[derive(Debug)]
struct All {
    house: House,
    by_id: Mutex<BTreeMap<String, Arc<Container>>>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// Finds the program of an image, and what it is run with.
type Images = Box<dyn Fn(&str, PullPolicy, &RunConfig) -> Result<(Guest, RunConfig)> + Send + Sync>;

/// What all containers stand on.
struct House {
    engines: Engines,
    images: Images,
    agenda: Arc<Agenda>,
    happenings: Arc<Happenings>,
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("House")
            .field("engines", &self.engines)
            .finish_non_exhaustive()
    }
}

impl Containers {
    /// None yet; they will run on these engines. With a [cache](Engines::with_cache) a program is compiled once for all.
    pub fn new(engines: Engines) -> Self {
        Containers::with_images(engines, |reference, _, _| {
            let message = format!("there is no store of images here to find {reference} in");
            Err(Error::new(ErrorKind::Unsupported, message))
        })
    }

    /// As [`new`](Containers::new). `images` finds the program of an image by its reference, fetches it as the policy says, and
    /// tells what it is run with where that config is asked for.
    pub fn with_images(
        engines: Engines,
        images: impl Fn(&str, PullPolicy, &RunConfig) -> Result<(Guest, RunConfig)>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Containers(Arc::new(All {
            house: House {
                engines,
                images: Box::new(images),
                agenda: Arc::default(),
                happenings: Arc::default(),
            },
            by_id: Mutex::default(),
            keeper: Mutex::default(),
        }))
    }

    /// Creates a container. Its program is looked for when it is started.
    ///
    /// # Errors
    ///
    /// The name is none, or taken; [`Unsupported`](ErrorKind::Unsupported) for what a container cannot be given.
    pub fn create(&self, id: &str, spec: Spec) -> Result<()> {
        if !is_kept_name(id) {
            let message = format!(
                "container {id:?} (not created): a name has letters, digits, `_`, `.` and `-`, and begins with a letter \
                 or a digit"
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        spec.check().map_err(|error| {
            let message = format!("container {id} (not created): {}", error.message());
            Error::new(error.kind(), message)
        })?;
        let mut by_id = self.by_id();
        if let Some(taken) = by_id.get(id) {
            let state = taken.info().state;
            let message = format!("container {id} ({state}) is there already; remove it first");
            return Err(Error::new(ErrorKind::InUse, message));
        }
        let container = Container::new(id, spec, &self.0.house);
        by_id.insert(id.to_owned(), container);
        self.0.house.happenings.tell(id, Happened::Created);
        Ok(())
    }

    /// Starts a container, for the first time or again. Returns once its program is compiled and has a thread; does nothing if it
    /// runs.
    ///
    /// # Errors
    ///
    /// What kept it from being started, which is its [state](State::Failed) then.
    pub fn start(&self, id: &str) -> Result<()> {
        let container = self.container(id)?;
        self.keep()?;
        container.start(&self.0.house)
    }

    /// Asks a container to end: closes its standard input, if that is a pipe, and lets functions of the host
    /// [know](wasmrun::HostCall::is_asked_to_end). If it has not ended after `grace`, it is killed. Returns how it ended; does
    /// nothing if it does not run. It is not started again.
    ///
    /// # Errors
    ///
    /// There is no such container.
    pub fn stop(&self, id: &str, grace: Duration) -> Result<State> {
        self.container(id)?.stop(grace)
    }

    /// Ends a container as that signal does. Returns at once; [`wait`](Containers::wait) tells when it is gone. It is not started
    /// again.
    ///
    /// # Errors
    ///
    /// There is no such container, or it does not run.
    pub fn kill(&self, id: &str, signal: Signal) -> Result<()> {
        self.container(id)?.kill(signal)
    }

    /// Waits until a container has ended and is not started again: one that was not started yet is waited for as well.
    ///
    /// # Errors
    ///
    /// There is no such container, or it is removed meanwhile.
    pub fn wait(&self, id: &str) -> Result<State> {
        let container = self.container(id)?;
        container.wait()
    }

    /// Waits likewise, but only so long; `None` if it has not ended by then.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Containers::wait).
    pub fn wait_timeout(&self, id: &str, time: Duration) -> Result<Option<State>> {
        self.container(id)?.wait_timeout(time)
    }

    /// Removes a container that does not run, with its log. Whether there was one.
    ///
    /// # Errors
    ///
    /// It runs.
    pub fn remove(&self, id: &str) -> Result<bool> {
        let Some(container) = self.by_id().get(id).cloned() else {
            return Ok(false);
        };
        container.remove()?;
        let mut by_id = self.by_id();
        if by_id
            .get(id)
            .is_some_and(|there| Arc::ptr_eq(there, &container))
        {
            by_id.remove(id);
        }
        Ok(true)
    }

    /// Where a container is in its life.
    ///
    /// # Errors
    ///
    /// There is no such container.
    pub fn state(&self, id: &str) -> Result<State> {
        Ok(self.info(id)?.state)
    }

    /// What is known of a container.
    ///
    /// # Errors
    ///
    /// There is no such container.
    pub fn info(&self, id: &str) -> Result<Info> {
        Ok(self.container(id)?.info())
    }

    /// All containers, by name.
    pub fn list(&self) -> Vec<Info> {
        let all: Vec<_> = self.by_id().values().cloned().collect();
        all.iter().map(|container| container.info()).collect()
    }

    /// What a container has written, in all its runs: as much as is kept.
    ///
    /// # Errors
    ///
    /// There is no such container.
    pub fn logs(&self, id: &str, query: &LogQuery) -> Result<ContainerLogs> {
        Ok(ContainerLogs::of(&self.container(id)?.log, query))
    }

    /// What a container uses, or has used.
    ///
    /// # Errors
    ///
    /// There is no such container.
    pub fn stats(&self, id: &str) -> Result<ContainerStats> {
        Ok(self.container(id)?.stats())
    }

    /// The other end of the standard input of a container that runs, where that is a [pipe](wasmrun::Stdin::Pipe) and nobody took it
    /// before. Drop it to let the container see the end of its input.
    ///
    /// # Errors
    ///
    /// There is no such container, or it does not run.
    pub fn take_stdin(&self, id: &str) -> Result<Option<PipeWriter>> {
        self.container(id)?.take_stdin()
    }

    /// Is refused: a guest is one program.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported), always, with the reason and what to do instead.
    pub fn exec(&self, id: &str) -> Result<Infallible> {
        Err(self.container(id)?.exec())
    }

    /// What happens to containers from now on.
    pub fn events(&self) -> ContainerEvents {
        self.0.house.happenings.listen()
    }

    /// Has them looked after.
    fn keep(&self) -> Result<()> {
        let mut keeper = self.0.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if keeper.is_none() {
            *keeper = Some(self.0.house.agenda.keep().map_err(|source| {
                let message = "cannot start a thread that looks after containers";
                Error::new(ErrorKind::Io, message).with_source(source)
            })?);
        }
        Ok(())
    }

    fn container(&self, id: &str) -> Result<Arc<Container>> {
        self.by_id().get(id).cloned().ok_or_else(|| {
            let message = format!("container {id} (not created) is not there; create it first");
            Error::new(ErrorKind::Config, message)
        })
    }

    fn by_id(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Container>>> {
        self.0.by_id()
    }
}

impl All {
    fn by_id(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Container>>> {
        // Nothing that can panic runs under this lock.
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing of a guest goes on.
impl Drop for All {
    fn drop(&mut self) {
        let all = std::mem::take(&mut *self.by_id());
        for container in all.values() {
            // One that does not run need not be killed.
            let _ = container.kill(Signal::Kill);
        }
        for container in all.values() {
            container.has_gone();
        }
        self.house.agenda.end();
        self.house.happenings.end();
        let keeper = self
            .keeper
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = keeper.take() {
            // It does not panic.
            let _ = keeper.join();
        }
    }
}
