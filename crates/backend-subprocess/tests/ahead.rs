//! Code that a runtime keeps in a directory of its own, from there to a cache and back.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{captured, guest, runtime, script};
use wasmrun_backend_subprocess::at;
use wasmrun_core::{
    Artifact, CacheUse, CodeCache, CodeKey, Engine, ErrorKind, Guest, Miss, Outcome, Place, Program,
};

/// Keeps one program, for who asks next.
#[derive(Debug)]
struct File(PathBuf);

impl CodeCache for File {
    fn find(&self, _: &CodeKey<'_>) -> Result<Artifact, Miss> {
        match self.0.exists() {
            // SAFETY: the only ones who ask run one guest on one engine. What a test writes there instead
            // is for a runtime that compares it with a checksum.
            true => Ok(unsafe { Artifact::trusted(self.0.clone()) }),
            false => Err(Miss::Unseen),
        }
    }

    fn keep(&self, _: &CodeKey<'_>, artifact: &[u8]) -> Result<(), String> {
        fs::write(&self.0, artifact).map_err(|error| error.to_string())
    }

    fn forget(&self, _: &CodeKey<'_>) {}
}

fn exits_with_42() -> Guest {
    guest(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (memory (export "memory") 1)
             (func (export "_start") (call $exit (i32.const 42))))"#,
    )
}

/// How many of the directories that wazero finds code in have this.
fn links_to(code: &Path) -> usize {
    fn inside(directory: PathBuf) -> impl Iterator<Item = PathBuf> {
        // Those of other tests come and go.
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.path())
    }
    let files = inside(std::env::temp_dir())
        .flat_map(inside)
        .flat_map(inside);
    files
        .filter(|file| fs::read_link(file).is_ok_and(|file| file == code))
        .count()
}

#[test]
fn wazero_runs_the_code_it_once_made() {
    let Some(engine) = runtime("wazero-cli") else {
        return;
    };
    let engine: Arc<dyn Engine> = Arc::new(engine);
    let here = tempfile::tempdir().expect("a directory");
    let kept = File(here.path().join("code"));
    let (guest, config) = (exits_with_42(), captured());
    let program = || {
        let program = Program::compile_cached(engine.clone(), &guest, &config, &kept);
        program.expect("compiles")
    };
    let ran = |program: &Program| program.run(&config).expect("runs").outcome;

    let first = program();
    assert_ne!(first.cache_use(), Some(&CacheUse::Hit));
    assert_eq!(ran(&first), Outcome::Exited(42));
    let second = program();
    assert_eq!(second.cache_use(), Some(&CacheUse::Hit));
    assert_eq!(ran(&second), Outcome::Exited(42));

    // What it cannot use it removes, and makes anew.
    assert_eq!(
        links_to(&kept.0),
        2,
        "both were given the code, and left it"
    );

    // It does look at it.
    let code = fs::read(&kept.0).expect("reads");
    let damaged: Vec<_> = code.iter().map(|byte| !byte).collect();
    let lengths = code.len() - 200;
    fs::write(&kept.0, [&damaged[..lengths], &code[lengths..]].concat()).expect("writes");
    let error = second.run(&config).expect_err("it is damaged");
    assert_eq!(error.kind(), ErrorKind::Engine, "{error:?}");

    // Without it, it compiles the guest, which it still has.
    fs::remove_file(&kept.0).expect("removes");
    assert_eq!(ran(&second), Outcome::Exited(42));
    assert_eq!(ran(&first), Outcome::Exited(42));
}

#[test]
fn code_that_goes_while_a_runtime_starts_is_made_anew() {
    let Some(engine) = runtime("wasmtime-cli") else {
        return;
    };
    let Place::Executable(wasmtime) = &engine.info().place else {
        panic!("{:?}", engine.info());
    };
    let here = tempfile::tempdir().expect("a directory");
    let kept = File(here.path().join("code"));
    // Between our look at the code and that of the runtime.
    let (code, wasmtime) = (kept.0.display(), wasmtime.display());
    let removes = format!("[ \"$1\" = run ] && rm -f '{code}'\nexec '{wasmtime}' \"$@\"");
    let (_directory, path) = script(&removes);
    let engine: Arc<dyn Engine> = Arc::new(at("wasmtime-cli", path, None).expect("wasmtime"));
    let (guest, config) = (exits_with_42(), captured());
    let program = || {
        let program = Program::compile_cached(engine.clone(), &guest, &config, &kept);
        program.expect("compiles")
    };
    program();
    let program = program();
    assert_eq!(program.cache_use(), Some(&CacheUse::Hit));
    let report = program.run(&config).expect("runs");
    assert_eq!(report.outcome, Outcome::Exited(42));
    assert!(!kept.0.exists());
}
