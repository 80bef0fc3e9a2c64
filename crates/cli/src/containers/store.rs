//! Where containers are: a directory each, in the user's directory for what lasts as long as a login.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use etcetera::BaseStrategy;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasmrun::{Error, ErrorKind, Result, is_kept_name};
use wasmrun_containers::{Failure, RestartPolicy, State};

/// The directory of all containers, made if it is not there.
pub fn root() -> Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let base = match runtime.filter(|directory| directory.is_absolute()) {
        Some(directory) => directory,
        None => {
            let strategy = etcetera::choose_base_strategy().map_err(|source| {
                let message =
                    "there is no directory to keep containers in; set XDG_RUNTIME_DIR or HOME";
                Error::new(ErrorKind::Config, message).with_source(source)
            })?;
            strategy.state_dir().unwrap_or_else(|| strategy.data_dir())
        }
    };
    let root = base.join("wasmrun").join("containers");
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(&root).map_err(failed("make", &root))?;
    let made = root.symlink_metadata().map_err(failed("read", &root))?;
    // What is in it is obeyed.
    if !made.is_dir()
        || made.uid() != rustix::process::geteuid().as_raw()
        || made.mode() & 0o077 != 0
    {
        let message = format!(
            "{} is not a directory of this user's alone; make it one (mode 0700), or set XDG_RUNTIME_DIR",
            root.display()
        );
        return Err(Error::new(ErrorKind::Config, message));
    }
    Ok(root)
}

/// What a container was made of.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The run, as JSON.
    pub run: String,
    pub restart: RestartPolicy,
    /// Whether compiled code is kept.
    pub cache: bool,
    /// What relative paths are from.
    pub directory: PathBuf,
}

/// What was known of a container last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    pub name: String,
    #[serde(flatten)]
    pub state: State,
    pub exit_code: Option<u8>,
    pub guest: String,
    pub engine: Option<String>,
    pub restart: RestartPolicy,
    pub restarts: u32,
    /// Times are in milliseconds since 1970.
    pub created_ms: u64,
    pub started_ms: Option<u64>,
    pub ended_ms: Option<u64>,
    /// The process that looks after it, or did.
    pub pid: u32,
    /// What it used, once it has ended.
    pub stats: Option<serde_json::Value>,
}

/// The directory of one container.
#[derive(Debug, Clone)]
pub struct Place {
    pub name: String,
    directory: PathBuf,
}

impl Place {
    /// Makes one that has all that it takes to be started, under a name that is free.
    pub fn create(name: &str, kept: &Kept, record: &Record) -> Result<Self> {
        let place = Place::named(name)?;
        let root = root()?;
        let mut builder = tempfile::Builder::new();
        // Of a name that no container can have.
        let made = builder.prefix(".new-").tempdir_in(&root);
        let made = made.map_err(failed("make a directory in", &root))?;
        let unfinished = Place {
            directory: made.path().to_owned(),
            ..place.clone()
        };
        unfinished.write("spec.json", kept)?;
        unfinished.tell(record)?;
        File::create(unfinished.path("lock")).map_err(failed("make", &unfinished.path("lock")))?;
        // A directory takes the place of none but an empty one.
        fs::rename(made.path(), &place.directory).map_err(|source| match source.kind() {
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
                let message = format!(
                    "container {name} is there already; remove it first, or take another name"
                );
                Error::new(ErrorKind::InUse, message)
            }
            _ => failed("make", &place.directory)(source),
        })?;
        // It is there no more.
        let _ = made.keep();
        Ok(place)
    }

    /// That of a container that is there.
    pub fn open(name: &str) -> Result<Self> {
        let place = Place::named(name)?;
        match place.directory.is_dir() {
            true => Ok(place),
            false => {
                let message =
                    format!("container {name} is not there; `wasmrun ps` shows those that are");
                Err(Error::new(ErrorKind::Config, message))
            }
        }
    }

    fn named(name: &str) -> Result<Self> {
        if !is_kept_name(name) {
            let message = format!(
                "container {name:?}: a name has letters, digits, `_`, `.` and `-`, and begins with a letter or a digit"
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(Place {
            name: name.to_owned(),
            directory: root()?.join(name),
        })
    }

    /// All that are there, by name.
    pub fn all() -> Result<Vec<Self>> {
        let root = root()?;
        let mut all = Vec::new();
        for entry in fs::read_dir(&root).map_err(failed("read", &root))? {
            let name = entry.map_err(failed("read", &root))?.file_name();
            if let Some(name) = name.to_str().filter(|name| is_kept_name(name)) {
                all.push(Place {
                    directory: root.join(name),
                    name: name.to_owned(),
                });
            }
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    pub fn path(&self, file: impl AsRef<OsStr>) -> PathBuf {
        self.directory.join(file.as_ref())
    }

    pub fn socket(&self) -> PathBuf {
        self.path("socket")
    }

    pub fn log(&self) -> PathBuf {
        self.path("log")
    }

    pub fn kept(&self) -> Result<Kept> {
        self.read("spec.json")
    }

    /// What is so: a container whose supervisor was killed does not run, whatever it said last.
    pub fn record(&self) -> Result<Record> {
        // Who is started meanwhile has the lock before anything else.
        let is_held = self.is_held()?;
        let mut record: Record = self.read("state.json")?;
        if !is_held && !record.state.is_over() && record.state != State::Created {
            // It may have told its end just now.
            record = self.read("state.json")?;
        }
        if !is_held && !record.state.is_over() && record.state != State::Created {
            record.state = State::Failed {
                kind: Failure::Error(ErrorKind::Interrupted),
                reason: format!(
                    "the process {} that looked after it was killed, and it with that",
                    record.pid
                ),
            };
            record.exit_code = Some(wasmrun::exit_code::MEMORY_OR_KILL);
        }
        Ok(record)
    }

    pub fn tell(&self, record: &Record) -> Result<()> {
        self.write("state.json", record)
    }

    /// Whether somebody looks after it.
    pub fn is_held(&self) -> Result<bool> {
        match self.lock_file()?.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(source)) => Err(failed("lock", &self.path("lock"))(source)),
        }
    }

    /// Takes it, for as long as the file is open anywhere.
    pub fn hold(&self) -> Result<Option<File>> {
        let lock = self.lock_file()?;
        // Who only looks whether somebody has it has it for a moment.
        for _ in 0..100 {
            match lock.try_lock() {
                Ok(()) => return Ok(Some(lock)),
                Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(2)),
                Err(TryLockError::Error(source)) => {
                    return Err(failed("lock", &self.path("lock"))(source));
                }
            }
        }
        Ok(None)
    }

    /// Waits until nobody looks after it.
    pub fn wait(&self) -> Result<()> {
        let lock = self.lock_file()?;
        lock.lock_shared()
            .map_err(failed("lock", &self.path("lock")))
    }

    /// Removes it. Whoever calls this holds it.
    pub fn remove(&self) -> Result<()> {
        fs::remove_dir_all(&self.directory).map_err(failed("remove", &self.directory))
    }

    fn lock_file(&self) -> Result<File> {
        let path = self.path("lock");
        File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => {
                let message = format!("container {} has been removed", self.name);
                Error::new(ErrorKind::Ended, message)
            }
            _ => failed("open", &path)(source),
        })
    }

    fn read<T: DeserializeOwned>(&self, file: &str) -> Result<T> {
        let path = self.path(file);
        let text = fs::read(&path).map_err(failed("read", &path))?;
        serde_json::from_slice(&text).map_err(|source| failed("understand", &path)(source.into()))
    }

    /// Whoever reads it finds all of it, or what was there before.
    fn write(&self, file: &str, value: &impl Serialize) -> Result<()> {
        let path = self.path(file);
        let written = || {
            let mut new = tempfile::NamedTempFile::new_in(&self.directory)?;
            serde_json::to_writer_pretty(&mut new, value)?;
            new.flush()?;
            new.persist(&path)?;
            Ok(())
        };
        written().map_err(failed("write", &path))
    }
}

pub fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let message = format!("cannot {what} {}", path.display());
    |source| Error::new(ErrorKind::Io, message).with_source(source)
}
