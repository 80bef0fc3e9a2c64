//! Runtimes on `PATH`, by their own commands.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use wasmrun::{Engine, Guest, Place};

use super::ByHand;
use crate::engines;

/// What one would type to run `guest`.
pub fn all(guest: &Guest) -> Vec<ByHand> {
    let directory = Arc::new(tempfile::tempdir().expect("a directory"));
    let file = directory.path().join("guest.wasm");
    std::fs::write(&file, guest.bytes()).expect("a file");
    let command = |(name, engine): (&'static str, Arc<dyn Engine>)| {
        let Place::Executable(path) = engine.info().place.clone() else {
            return None;
        };
        let args = args(name, &directory.path().join("its-cache"))?;
        let (file, directory) = (file.clone(), directory.clone());
        let run = move || {
            // It stays as long as this does.
            let _ = &directory;
            let mut command = Command::new(&path);
            command.args(&args).arg(&file);
            let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
            assert!(status.expect(name).success());
        };
        Some(ByHand {
            name,
            run: Box::new(run),
        })
    };
    engines().filter_map(command).collect()
}

/// What comes before the file. Unlike others, wazero keeps code only if it is told where.
fn args(engine: &str, cache: &Path) -> Option<Vec<OsString>> {
    Some(match engine {
        "wasmedge-cli" => vec![],
        "wasmtime-cli" | "wasmer-cli" | "wasmi-cli" => vec!["run".into()],
        "wazero-cli" => vec!["run".into(), "-cachedir".into(), cache.into()],
        _ => return None,
    })
}
