//! Code that a runtime keeps in a directory of its own, from there to a cache and back.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{captured, guest, runtime};
use wasmrun_core::{
    Artifact, CacheUse, CodeCache, CodeKey, Engine, ErrorKind, Guest, Miss, Outcome, Program,
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

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let below = |path: PathBuf| match path.is_dir() {
        true => files_below(&path),
        false => vec![path],
    };
    paths.flat_map(below).collect()
}

#[test]
fn wazero_runs_the_code_it_once_made() {
    let Some(engine) = runtime("wazero-cli") else {
        return;
    };
    let engine: Arc<dyn Engine> = Arc::new(engine);
    let here = tempfile::tempdir().expect("a directory");
    tempfile::env::override_temp_dir(here.path()).expect("nobody else does");
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
    let given = files_below(here.path());
    let given = given
        .iter()
        .filter(|file| fs::read_link(file).is_ok_and(|code| code == kept.0));
    assert_eq!(given.count(), 1, "it was given the code, and left it there");

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
