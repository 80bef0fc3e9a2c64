//! Docker's registry of images, as a program of its own.

use std::env;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// Whether a program of `scripts/runtimes` is on `PATH`.
///
/// # Panics
///
/// If it is not, unless [it may be missing](crate::may_be_missing).
pub fn is_here(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let here = env::split_paths(&path).any(|directory| directory.join(name).is_file());
    if !here && crate::may_be_missing() {
        eprintln!("WARNING: {name} is not on PATH, and nothing was tried with it");
        return false;
    }
    assert!(
        here,
        "{name} is not on PATH (scripts/runtimes installs it; WASMRUN_ALLOW_MISSING=1 does without)"
    );
    true
}

/// A registry on a port of the loopback interface, empty at first. It ends when it is dropped.
#[derive(Debug)]
pub struct DockerRegistry {
    address: String,
    process: Child,
    _directory: TempDir,
}

impl DockerRegistry {
    /// Starts one that lets in everybody, or who is in a file as Apache's `htpasswd -B` writes it. `None` where it is missing,
    /// and may be.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(htpasswd: Option<&str>) -> Option<DockerRegistry> {
        if !is_here("docker-registry") {
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr());
        let address = free.expect("a port").to_string();
        let root = directory.path().display();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: \"{address}\"}}\n\
             storage: {{filesystem: {{rootdirectory: {root}/data}}}}\n"
        );
        if let Some(users) = htpasswd {
            fs::write(directory.path().join("htpasswd"), users).expect("written");
            config += &format!("auth: {{htpasswd: {{realm: test, path: {root}/htpasswd}}}}\n");
        }
        let file = directory.path().join("config.yml");
        fs::write(&file, config).expect("written");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut registry = DockerRegistry {
            address,
            process,
            _directory: directory,
        };
        while TcpStream::connect(&registry.address).is_err() {
            if let Some(status) = registry.process.try_wait().expect("it can be asked") {
                panic!("docker-registry ended: {status}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Some(registry)
    }

    /// Its host and port.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
