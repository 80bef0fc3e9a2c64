//! A containerd with namespaces, directories and sockets of its own: a machine beside the machine.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::cri::Cri;

/// What no call of a client takes: who does, hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// The name by which containerd knows the shim.
pub const RUNTIME: &str = "io.containerd.wasmrun.v1";

/// The containerd of a release of Debian.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Release {
    Bookworm,
    Sid,
}

impl Release {
    fn folder(self) -> &'static str {
        match self {
            Release::Bookworm => "bookworm",
            Release::Sid => "sid",
        }
    }

    fn config(self) -> &'static str {
        match self {
            Release::Bookworm => include_str!("containerd-1.6.toml"),
            Release::Sid => include_str!("containerd-2.toml"),
        }
    }
}

/// What a program left when it had ended.
pub struct Ran {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Its exit code, or 128 and the signal that ended it.
    pub fn code(&self) -> i32 {
        let signalled = || self.status.signal().map_or(-1, |signal| 128 + signal);
        self.status.code().unwrap_or_else(signalled)
    }

    /// Fails unless it ended with this code.
    #[track_caller]
    pub fn ended(self, code: i32) -> Ran {
        assert_eq!(self.code(), code, "{self}");
        self
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "exit code {}", self.code())?;
        writeln!(f, "stdout: {}", self.stdout.trim_end())?;
        write!(f, "stderr: {}", self.stderr.trim_end())
    }
}

/// What the tests are given: where the programs of others are, and ours.
#[derive(Clone)]
pub struct Given {
    /// `scripts/pods` puts containerd, CRI and docker there.
    pub programs: PathBuf,
    /// The shim and `wasmrun`.
    pub ours: PathBuf,
}

pub struct Node {
    pub release: Release,
    /// `containerd 1.6`, as the trials are named.
    pub name: String,
    given: Given,
    scratch: TempDir,
    init: Child,
    /// The first process of the namespaces.
    pid: u32,
    containerd: Mutex<Option<Child>>,
    count: AtomicU32,
}

impl Node {
    /// Starts one.
    ///
    /// Whoever calls has to outlive it: it ends with the thread.
    ///
    /// # Errors
    ///
    /// What the system does not let us have, in words.
    pub fn start(release: Release, given: &Given) -> Result<Arc<Node>, String> {
        let scratch = tempfile::Builder::new()
            .prefix("wasmrun-pods-")
            .tempdir()
            .map_err(|error| format!("cannot make a temporary directory: {error}"))?;
        let mut init = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "-n", "-m", "-p", "--fork"])
            .args(["--mount-proc", "--kill-child=KILL", "bash", "-c"])
            .arg(include_str!("init.sh"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start setpriv (package util-linux): {error}"))?;
        let mut line = String::new();
        if let Some(stdout) = init.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).ok();
        }
        if line != "ready\n" {
            let mut reason = String::new();
            if let Some(stderr) = init.stderr.as_mut() {
                stderr.read_to_string(&mut reason).ok();
            }
            init.wait().ok();
            return Err(format!("cannot make namespaces: {}", reason.trim_end()));
        }
        let pid = only_child(init.id()).ok_or("cannot find the first process of the namespaces")?;
        let mut node = Node {
            release,
            name: String::new(),
            given: given.clone(),
            scratch,
            init,
            pid,
            containerd: Mutex::new(None),
            count: AtomicU32::new(0),
        };
        node.configure();
        node.start_containerd()?;
        let version = node.run(node.command("ctr").arg("version"), &[]).stdout;
        let version = version.split("Version:").nth(1).unwrap_or_default().trim();
        let short: Vec<&str> = version.split('.').take(2).collect();
        node.name = format!("containerd {}", short.join("."));
        Ok(Arc::new(node))
    }

    fn configure(&self) {
        let base = self.scratch.path();
        for folder in ["cni", "logs", "files"] {
            fs::create_dir_all(base.join(folder)).expect("a directory");
        }
        let plugins = self.given.programs.join("sid/usr/lib/cni");
        let config = self
            .release
            .config()
            .replace("@BASE@", &base.display().to_string())
            .replace("@CNI@", &plugins.display().to_string());
        fs::write(base.join("containerd.toml"), config).expect("a file");
        let network =
            include_str!("network.conflist").replace("@BASE@", &base.display().to_string());
        fs::write(base.join("cni/pods.conflist"), network).expect("a file");
    }

    /// Starts containerd and waits until it answers.
    pub fn start_containerd(&self) -> Result<(), String> {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("containerd.log"))
            .map_err(|error| error.to_string())?;
        let script = format!(
            "echo $$ >'{}'; exec containerd -c '{}'",
            self.path("containerd.pid").display(),
            self.path("containerd.toml").display()
        );
        let child = self
            .command("sh")
            .args(["-c", &script])
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(|error| error.to_string())?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("cannot start nsenter: {error}"))?;
        *self
            .containerd
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(child);
        let began = Instant::now();
        loop {
            // Plugins are there after the socket is.
            let plugins = self.run(self.command("ctr").args(["plugins", "ls"]), &[]);
            let cri = |line: &&str| line.contains("cri") && line.trim_end().ends_with("ok");
            if plugins.stdout.lines().any(|line| cri(&line)) {
                return Ok(());
            }
            if began.elapsed() > LIMIT {
                return Err(format!("containerd does not answer:\n{}", self.log()));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends containerd as a crash does.
    pub fn kill_containerd(&self) {
        let pid = fs::read_to_string(self.path("containerd.pid")).expect("who wrote it runs");
        self.run(self.command("kill").args(["-KILL", pid.trim()]), &[]);
        if let Some(mut child) = self
            .containerd
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            child.wait().ok();
        }
    }

    /// The last that containerd said.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.path("containerd.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// A path in its directory, which has the same name inside and outside.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A name that no other container of this node has.
    pub fn id(&self, stem: &str) -> String {
        format!("{stem}-{}", self.count.fetch_add(1, Ordering::Relaxed))
    }

    /// The namespace of containerd that the tests use, and the name of their cgroup.
    pub fn namespace(&self) -> String {
        format!("wasmrun-{}-{}", std::process::id(), self.release.folder())
    }

    /// Where the shim and `wasmrun` are.
    pub fn ours(&self) -> &Path {
        &self.given.ours
    }

    /// A program that sees the node and nothing of the machine's /run.
    pub fn command(&self, program: &str) -> Command {
        let mut path = vec![self.given.ours.clone()];
        for folder in [self.release.folder(), "bookworm", "sid"] {
            path.push(self.given.programs.join(folder).join("usr/bin"));
            path.push(self.given.programs.join(folder).join("usr/sbin"));
        }
        // The registry of scripts/runtimes.
        path.extend(
            self.given
                .programs
                .parent()
                .map(|runtimes| runtimes.join("bin")),
        );
        path.extend(["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from));
        let mut command = Command::new("nsenter");
        command
            .args([
                "--target",
                &self.pid.to_string(),
                "-n",
                "-m",
                "-p",
                "env",
                "-i",
            ])
            .arg(format!("PATH={}", join(&path)))
            .arg("LANG=C.UTF-8")
            .arg(format!("HOME={}", self.scratch.path().display()))
            .arg(format!(
                "CONTAINERD_ADDRESS={}",
                self.path("containerd.sock").display()
            ))
            .arg(format!("CONTAINERD_NAMESPACE={}", self.namespace()))
            .arg(format!(
                "WASMRUN_SHIM_CACHE={}",
                self.path("cache").display()
            ))
            .arg(program);
        command
    }

    /// Runs it to its end, which has to come in time.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn run(&self, command: &mut Command, input: &[u8]) -> Ran {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsenter starts");
        let gather = |pipe: Option<Box<dyn Read + Send>>| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                if let Some(mut pipe) = pipe {
                    pipe.read_to_end(&mut bytes).ok();
                }
                String::from_utf8_lossy(&bytes).into_owned()
            })
        };
        let stdout = gather(child.stdout.take().map(|pipe| Box::new(pipe) as _));
        let stderr = gather(child.stderr.take().map(|pipe| Box::new(pipe) as _));
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input).ok();
        }
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child") {
                break status;
            }
            if began.elapsed() > LIMIT {
                // Whom nsenter started does not end with it.
                if let Some(inner) = only_child(child.id()) {
                    Command::new("kill")
                        .args(["-KILL", &inner.to_string()])
                        .status()
                        .ok();
                }
                child.kill().ok();
                child.wait().ok();
                panic!(
                    "{command:?} takes more than {LIMIT:?}; containerd says\n{}",
                    self.log()
                );
            }
            thread::sleep(Duration::from_millis(5));
        };
        // Who holds a pipe open after its program has ended is not waited for.
        let text = |reader: thread::JoinHandle<String>| {
            let began = Instant::now();
            while !reader.is_finished() {
                assert!(
                    began.elapsed() < LIMIT,
                    "{command:?} has ended, and its output has not"
                );
                thread::sleep(Duration::from_millis(1));
            }
            reader.join().unwrap_or_default()
        };
        Ran {
            status,
            stdout: text(stdout),
            stderr: text(stderr),
        }
    }

    pub fn ctr(&self, arguments: &[&str]) -> Ran {
        self.run(self.command("ctr").args(arguments), &[])
    }

    /// A client of CRI, with a process of its own.
    pub fn cri(&self) -> Cri {
        let python = self.given.programs.join("cri/bin/python");
        let script = self.path("cri.py");
        fs::write(&script, include_str!("cri.py")).expect("a file");
        let command = Command::new(python)
            .arg(script)
            .arg(self.path("containerd.sock"))
            .arg(self.given.programs.join("cri/api.pb"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        Cri::new(command)
    }

    /// Makes an image known, to the tests' namespace of containerd and to the kubelet's.
    pub fn import(&self, image: &Path) {
        self.import_with(image, &[]);
    }

    pub fn import_with(&self, image: &Path, options: &[&str]) {
        for namespace in [self.namespace().as_str(), "k8s.io"] {
            let path = image.display().to_string();
            let import = ["-n", namespace, "image", "import", "--all-platforms"];
            self.ctr(&[&import, options, &[&path]].concat()).ended(0);
        }
    }

    /// The processes of the node: identifier as the node sees it, and command line.
    pub fn processes(&self) -> Vec<(u32, String)> {
        let mut all = Vec::new();
        let folder = format!("/proc/{}/root/proc", self.pid);
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
                continue;
            };
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if !line.is_empty() {
                all.push((pid, line));
            }
        }
        all
    }

    /// A file of the node's own /proc or /run.
    pub fn own(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.pid))
    }

    /// The folders of the machine's cgroups in which the tests' containers are, one a controller.
    pub fn cgroups(&self) -> Vec<PathBuf> {
        let name = self.namespace();
        let root = Path::new("/sys/fs/cgroup");
        let controllers = fs::read_dir(root).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = controllers.map(|entry| entry.path().join(&name)).collect();
        found.push(root.join(&name));
        found.retain(|folder| folder.is_dir());
        found
    }

    /// What speaks of a container, or of any at all: processes, mounts, cgroups, and what the shim keeps in /run.
    pub fn left_of(&self, id: &str) -> Vec<String> {
        let mut left = Vec::new();
        let clients = [
            "bash ",
            "sleep ",
            "containerd -c ",
            "ctr ",
            "dockerd ",
            "docker ",
            "sh -c ",
            "env ",
        ];
        for (pid, line) in self.processes() {
            let expected = clients.iter().any(|client| line.starts_with(client));
            if line.contains(id) && !expected {
                left.push(format!("process {pid}: {line}"));
            }
        }
        // What the machine has below /run is hidden on the node, but listed.
        let of_the_machine = mounts("self");
        let ours = self.scratch.path().display().to_string();
        for place in mounts(&self.pid.to_string()) {
            let below = place.starts_with(&ours) || place.starts_with("/run/");
            if below && place.contains(id) && !of_the_machine.contains(&place) {
                left.push(format!("mount {place}"));
            }
        }
        for folder in self.cgroups() {
            walk(&folder, 4, &mut |path, is_folder| {
                if is_folder && path.display().to_string().contains(id) {
                    left.push(format!("cgroup {}", path.display()));
                }
            });
        }
        walk(&self.own("/run"), 6, &mut |path, _| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if !id.is_empty() && name.contains(id) {
                left.push(format!("file {}", path.display()));
            }
        });
        left
    }

    /// Waits until nothing is left of a container.
    #[track_caller]
    pub fn nothing_left_of(&self, id: &str) {
        eventually(|| {
            let left = self.left_of(id);
            left.is_empty().then_some(()).ok_or(left.join("\n"))
        });
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.init.kill().ok();
        self.init.wait().ok();
        // All in the namespaces end with the first, in their own time, and a cgroup stays while one is in it.
        for _ in 0..100 {
            let mut found = self.cgroups();
            for folder in found.clone() {
                walk(&folder, 6, &mut |path, is_folder| {
                    if is_folder {
                        found.push(path.to_owned());
                    }
                });
            }
            if found.is_empty() {
                break;
            }
            // Those in others first.
            found.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
            for folder in found {
                fs::remove_dir(folder).ok();
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Where something is mounted for a process.
fn mounts(process: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{process}/mountinfo")).unwrap_or_default();
    let places = text.lines().filter_map(|line| line.split(' ').nth(4));
    places.map(str::to_owned).collect()
}

pub fn walk(folder: &Path, depth: u32, seen: &mut dyn FnMut(&Path, bool)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        seen(&entry.path(), is_folder);
        if is_folder && depth > 0 {
            walk(&entry.path(), depth - 1, seen);
        }
    }
}

/// Tries until it succeeds.
///
/// # Panics
///
/// If it does not within the time that a call may take, with why it did not last.
#[track_caller]
pub fn eventually<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(reason) => assert!(began.elapsed() < LIMIT, "{reason}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn only_child(of: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

fn join(path: &[PathBuf]) -> String {
    let parts: Vec<String> = path.iter().map(|part| part.display().to_string()).collect();
    parts.join(":")
}
