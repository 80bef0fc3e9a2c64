//! An engine whose compiled code is text, and that says how often it had to compile.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use wasmrun_cache::Cache;
use wasmrun_core::{
    Artifact, CacheUse, Capability, Code, Compile, Control, Engine, EngineInfo, Error, ErrorKind,
    Guest, Miss, Outcome, Place, Program, Ran, Result, RunConfig, Stats, Task,
};

/// See above. Its guests exit with what its code says.
#[derive(Debug)]
pub struct Fake {
    info: EngineInfo,
    identity: &'static str,
    padding: usize,
    keeps: bool,
    compiled: AtomicUsize,
}

impl Fake {
    pub fn new(name: &str, version: &str, identity: &'static str) -> Fake {
        Fake {
            info: EngineInfo {
                name: name.into(),
                version: version.into(),
                place: Place::InProcess,
            },
            identity,
            padding: 0,
            keeps: true,
            compiled: AtomicUsize::new(0),
        }
    }

    /// Code of at least this many bytes.
    pub fn padded(mut self, bytes: usize) -> Fake {
        self.padding = bytes;
        self
    }

    /// None of its code can be kept.
    pub fn keeping_nothing(mut self) -> Fake {
        self.keeps = false;
        self
    }

    pub fn compiled(&self) -> usize {
        self.compiled.load(Ordering::Relaxed)
    }

    fn text(&self, compile: Compile<'_>) -> String {
        let text = format!(
            "{:?} {:?} {}",
            compile.guest.digest(),
            compile.options,
            self.identity
        );
        format!("{text:<width$}", width = self.padding)
    }
}

impl Default for Fake {
    fn default() -> Self {
        Fake::new("fake", "1.0", "")
    }
}

impl Engine for Fake {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn capability(&self) -> Capability {
        Capability::EVERYTHING
    }

    fn compile(&self, compile: Compile<'_>) -> Result<Arc<dyn Code>> {
        assert!(compile.guest.is_read());
        self.compiled.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Text(self.text(compile))))
    }

    fn code_identity(&self, _: Compile<'_>) -> Result<Option<Vec<u8>>> {
        Ok(self.keeps.then(|| self.identity.into()))
    }

    fn load(&self, compile: Compile<'_>, artifact: Artifact) -> Result<Arc<dyn Code>> {
        let text = std::fs::read_to_string(artifact.path())
            .map_err(|error| Error::new(ErrorKind::Io, error.to_string()))?;
        assert_eq!(text, self.text(compile), "the code of something else");
        if self.identity == "takes nothing" {
            return Err(Error::new(ErrorKind::Engine, "takes nothing"));
        }
        Ok(Arc::new(Text(text)))
    }
}

struct Text(String);

impl Code for Text {
    fn run(&self, _: Task, _: &Control) -> Result<Ran> {
        Ok(Ran {
            outcome: Outcome::Exited(0),
            stats: Stats::default(),
        })
    }

    fn artifact(&self, _: Option<&Control>) -> Result<Option<Vec<u8>>> {
        Ok(Some(self.0.clone().into()))
    }
}

/// A directory with a cache in it, and guests beside it.
pub struct Here(TempDir);

impl Here {
    pub fn new() -> Here {
        Here(TempDir::new().expect("a directory"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn cache(&self) -> Cache {
        Cache::open(self.path("cache")).expect("a cache")
    }

    /// The files in a directory of the cache.
    pub fn files(&self, directory: &str) -> Vec<PathBuf> {
        let directory = self.path("cache/v1").join(directory);
        let files = directory.read_dir().into_iter().flatten();
        files.map(|file| file.expect("a file").path()).collect()
    }

    /// The one file in a directory of the cache.
    pub fn only_file(&self, directory: &str) -> PathBuf {
        match self.files(directory).as_slice() {
            [file] => file.clone(),
            files => panic!("not one file: {files:?}"),
        }
    }
}

/// A guest that differs from others by its memory.
pub fn text(pages: usize) -> String {
    format!(r#"(module (memory {pages}) (func (export "_start")))"#)
}

pub fn guest(pages: usize) -> Guest {
    Guest::from_bytes("app.wat", text(pages)).expect("a guest")
}

pub fn binary(pages: usize) -> Vec<u8> {
    guest(pages).bytes().to_vec()
}

pub const HIT: CacheUse = CacheUse::Hit;

/// A miss after which the code was kept.
pub fn miss(why: Miss) -> CacheUse {
    CacheUse::Miss {
        why,
        not_kept: None,
    }
}

/// What the cache had.
pub fn compile(engine: &Arc<Fake>, guest: &Guest, cache: &Cache) -> CacheUse {
    compile_for(engine, guest, cache, &RunConfig::new())
}

pub fn compile_for(
    engine: &Arc<Fake>,
    guest: &Guest,
    cache: &Cache,
    config: &RunConfig,
) -> CacheUse {
    let program = Program::compile_cached(engine.clone(), guest, config, cache).expect("compiles");
    let report = program.run(config).expect("runs");
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert_eq!(report.stats.cache.as_ref(), program.cache_use());
    program.cache_use().cloned().expect("a cache was asked")
}

/// Writes a file in place.
pub fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut content = std::fs::read(path).expect("reads");
    change(&mut content);
    std::fs::write(path, content).expect("writes");
}

/// Until what was written before is certain to have another time than what is written next.
pub fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(3100));
}
