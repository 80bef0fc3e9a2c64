//! One trial at work: an engine, a directory of the trial's own, and the rule that a request is
//! either honoured or refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;
use wasmrun_core::{
    Access, Capability, Clock, CodeCache, Compilation, Engine, Error, ErrorKind, Guest, GuestKind,
    InheritEnv, MemoryMount, Mount, MountSource, Network, Outcome, OverlayMount, Place, Program,
    Random, Report, Run, RunConfig, SamePath, Stdout, WasiVersion, check,
};

use crate::known_differences;
use crate::tree::Tree;

/// What a rule of the suite is given: an engine to try it on.
pub struct Case {
    engine: Arc<dyn Engine>,
    capability: Capability,
    directory: OnceLock<TempDir>,
    shown: Shown,
    code: Option<Arc<dyn CodeCache>>,
    reference: Option<Arc<dyn Engine>>,
}

/// How a guest of [`Case::run`] is shown directories of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As they are.
    AsTheyAre,
    /// Below an overlay each, whose changes are made for good when the guest has ended.
    BelowOverlays,
    /// As copies in memory, likewise.
    InMemory,
    /// Those that are read-only, as what is in an archive.
    InArchives,
}

/// Makes an archive of a directory, compressed if its name says so.
///
/// # Panics
///
/// Without the command `tar`.
pub fn pack(directory: &Path, archive: &Path) {
    let mut tar = std::process::Command::new("tar");
    let tar = tar.arg("-caf").arg(archive).arg("-C").arg(directory);
    let made = tar.arg(".").status();
    assert!(made.is_ok_and(|status| status.success()), "tar makes it");
}

impl Case {
    pub(crate) fn new(engine: Arc<dyn Engine>) -> Self {
        Case {
            capability: engine.capability(),
            engine,
            directory: OnceLock::new(),
            shown: Shown::AsTheyAre,
            code: None,
            reference: None,
        }
    }

    /// The same, which keeps what it compiles, if there is where.
    pub(crate) fn keeping(self, code: Option<Arc<dyn CodeCache>>) -> Self {
        Case { code, ..self }
    }

    /// The same, in which directories are shown another way.
    pub(crate) fn shown(self, shown: Shown) -> Self {
        Case { shown, ..self }
    }

    /// The same, for programs as components: what they find on this engine is right.
    pub(crate) fn like(self, reference: Arc<dyn Engine>) -> Self {
        Case {
            reference: Some(reference),
            ..self
        }
    }

    /// Another case, with a directory of its own, that keeps its code in the same place.
    pub(crate) fn on(&self, engine: &Arc<dyn Engine>) -> Self {
        Case::new(engine.clone()).keeping(self.code.clone())
    }

    pub(crate) fn reference(&self) -> Option<&Arc<dyn Engine>> {
        self.reference.as_ref()
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// The engine's name.
    pub fn name(&self) -> &str {
        &self.engine.info().name
    }

    /// What the engine says it can do.
    pub fn capability(&self) -> &Capability {
        &self.capability
    }

    /// Runs a guest to its end. `None` if the engine lacks something for it: then it was refused, by
    /// name and before anything happened, and that has been asserted.
    pub fn run(&self, guest: &Guest, config: &RunConfig) -> Option<Report> {
        let program = self.compile(guest, config)?;
        Some(self.run_compiled(&program, config))
    }

    /// Runs what was compiled for that.
    pub(crate) fn run_compiled(&self, program: &Program, config: &RunConfig) -> Report {
        let can = self.engine.capability_for(program.guest()).own_mounts;
        if self.shown == Shown::AsTheyAre || !can.is_supported() {
            return self.ran(program.run(config));
        }
        let archives = TempDir::new().expect("a directory");
        let mut config = config.clone();
        for (number, mount) in config.mounts.iter_mut().enumerate() {
            self.show(mount, &archives.path().join(number.to_string()));
        }
        let report = self.ran(program.run(&config));
        for layer in &report.layers {
            layer.commit().expect("changes are made");
        }
        report
    }

    /// Has a directory of the host be shown as it is to be.
    fn show(&self, mount: &mut Mount, archive: &Path) {
        let MountSource::Bind(host) = &mount.source else {
            return;
        };
        match self.shown {
            Shown::InArchives if mount.access == Access::ReadOnly && host.is_dir() => {
                pack(host, archive);
                mount.source = MountSource::Tar(archive.to_owned());
            }
            Shown::BelowOverlays => {
                mount.source = MountSource::Overlay(OverlayMount {
                    lower: vec![mount.source.clone()],
                    upper: Box::new(MountSource::Memory(MemoryMount::default())),
                });
            }
            Shown::InMemory => {
                mount.source = MountSource::Memory(MemoryMount {
                    from: Some(Box::new(mount.source.clone())),
                    ..MemoryMount::default()
                });
            }
            _ => {}
        }
    }

    /// Runs a guest that has no end of its own until its time is out, and asserts that it came as far as that. On a busy
    /// machine a runtime may take all of a short time to start, and is given more.
    pub(crate) fn run_out_of_time(
        &self,
        guest: &Guest,
        config: &RunConfig,
        came_so_far: impl Fn(&Report) -> bool,
    ) -> Option<Report> {
        for milliseconds in [300, 3_000, 30_000] {
            let timeout = Some(Duration::from_millis(milliseconds));
            let config = config.clone().limit(|limits| limits.timeout = timeout);
            let report = self.run(guest, &config)?;
            assert_eq!(report.outcome, Outcome::TimedOut, "{}", guest.name());
            if came_so_far(&report) {
                return Some(report);
            }
        }
        panic!("{} has not come so far", guest.name());
    }

    /// Like [`Case::run`], for what an executable may refuse itself although it can do the like: a
    /// value its command line cannot carry, two requests that exclude each other, a start section.
    /// `None` then as well. An engine in this process has no such excuse.
    pub fn run_or_refused(&self, guest: &Guest, config: &RunConfig) -> Option<Report> {
        if self.refuses(guest, config) {
            return None;
        }
        let before = self.tree();
        let ran = Program::compile(self.engine.clone(), guest, config)
            .and_then(|program| program.run(config));
        if !self.refused_itself(&ran) {
            return Some(self.ran(ran));
        }
        assert_eq!(self.tree(), before, "a refused guest left something behind");
        None
    }

    /// Whether this is a refusal of the engine's own, which only an executable may have.
    pub fn refused_itself<T>(&self, result: &Result<T, Error>) -> bool {
        let executable = matches!(self.engine.info().place, Place::Executable(_));
        match result {
            Err(error) if executable && error.kind() == ErrorKind::Unsupported => {
                self.assert_refusal(error);
                true
            }
            _ => false,
        }
    }

    /// Starts a guest; `None` as for [`Case::run`].
    pub fn start(&self, guest: &Guest, config: &RunConfig) -> Option<Run> {
        let program = self.compile(guest, config)?;
        match program.start(config) {
            Ok(run) => Some(run),
            Err(error) => panic!("not started: {error:?}"),
        }
    }

    /// Compiles a guest; `None` as for [`Case::run`].
    pub fn compile(&self, guest: &Guest, config: &RunConfig) -> Option<Program> {
        if self.refuses(guest, config) {
            return None;
        }
        let mut how = Compilation::new();
        if let Some(code) = &self.code {
            how = how.cache(&**code);
        }
        match Program::compile_with(self.engine.clone(), guest, config, how) {
            Ok(program) => Some(program),
            Err(error) => panic!("{} should run {}: {error:?}", self.name(), guest.name()),
        }
    }

    /// Whether the engine lacks something for this guest and config. If so, that it refuses has been
    /// asserted.
    pub fn refuses(&self, guest: &Guest, config: &RunConfig) -> bool {
        let lacking = self.lacking(guest, config);
        if !lacking.is_empty() {
            self.assert_refused(&[], guest, config);
        }
        !lacking.is_empty()
    }

    /// The report of a run that must have been observed.
    pub fn ran(&self, report: wasmrun_core::Result<Report>) -> Report {
        let report = match report {
            Ok(report) => report,
            Err(error) => panic!("not run: {error:?}"),
        };
        assert_eq!(report.engine, self.engine.info().name);
        assert_eq!(report.engine_version, self.engine.info().version);
        report
    }

    /// Asserts that the guest is refused for `what` (`imports`, `entry` …) or for what the engine
    /// lacks, by an error of one line that names the engine, and that nothing happened.
    pub fn assert_refused(&self, what: &[&'static str], guest: &Guest, config: &RunConfig) {
        let refusals = check::refusals_of(&*self.engine, guest, config);
        let mut allowed = self.lacking(guest, config);
        allowed.extend(what);
        for refusal in &refusals {
            assert!(
                allowed.contains(&refusal.what),
                "refused for {:?}: {refusal}; expected: {allowed:?}",
                refusal.what
            );
        }
        let before = self.tree();
        let unasked = Program::compile(self.engine.clone(), guest, &RunConfig::new());
        let at_compile = Program::compile(self.engine.clone(), guest, config).err();
        // A program that is there already has to refuse as well.
        let at_start = unasked.ok().map(|program| program.start(config).err());
        for error in [Some(at_compile), at_start].into_iter().flatten() {
            let Some(error) = error else {
                panic!("{} lacks {allowed:?} and did not refuse", self.name());
            };
            self.assert_refusal(&error);
            assert!(
                refusals
                    .iter()
                    .any(|refusal| refusal.reason == error.message()),
                "{error:?}"
            );
        }
        assert_eq!(self.tree(), before, "a refused guest left something behind");
    }

    fn assert_refusal(&self, error: &Error) {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        assert_eq!(error.engine(), Some(self.name()), "{error:?}");
        let line = error.to_string();
        assert!(!line.contains('\n'), "{line}");
    }

    /// What the guest or the config asks for and the engine lacks, by the names of the capabilities.
    ///
    /// This is the contract told once more, in the suite's own words: core's check is on trial too.
    fn lacking(&self, guest: &Guest, config: &RunConfig) -> Vec<&'static str> {
        let capability = self.engine.capability_for(guest);
        let limits = &config.limits;
        let component = guest.kind() == GuestKind::Component;
        let wasi = guest.wasi();
        let mounts = || config.mounts.iter();
        let own = |mount: &&Mount| {
            matches!(
                mount.source,
                MountSource::Memory(_)
                    | MountSource::Tar(_)
                    | MountSource::Package(_)
                    | MountSource::Overlay(_)
            )
        };
        let binds = || mounts().filter(|mount| !own(mount));
        let asked = [
            ("modules", guest.kind() == GuestKind::Module),
            ("components", component),
            ("packages", guest.kind() == GuestKind::Package),
            ("unstable", wasi == WasiVersion::Unstable),
            ("preview1", wasi == WasiVersion::Preview1),
            ("preview2", wasi == WasiVersion::Preview2),
            ("preview3", wasi == WasiVersion::Preview3),
            ("wasix", wasi == WasiVersion::Wasix),
            ("wasi_threads", guest.needs_threads()),
            (
                "shared_memories",
                guest.memories().iter().any(|memory| memory.shared),
            ),
            (
                "args",
                config
                    .args
                    .iter()
                    .any(|arg| arg.is_empty() || arg.starts_with('-')),
            ),
            ("argv0", config.argv0.is_some()),
            (
                "env",
                !config.env.is_empty() || config.inherit_env != InheritEnv::None,
            ),
            ("preopens", binds().next().is_some()),
            (
                "mapped_preopens",
                binds().any(|mount| match &mount.source {
                    MountSource::Bind(host) | MountSource::File(host) => {
                        host != Path::new(&mount.path)
                    }
                    _ => true,
                }),
            ),
            (
                "read_only_preopens",
                binds().any(|mount| mount.access == Access::ReadOnly),
            ),
            (
                "file_mounts",
                mounts().any(|mount| matches!(mount.source, MountSource::File(_))),
            ),
            (
                "own_mounts",
                mounts().any(|mount| own(&mount)) || is_layered(config),
            ),
            ("working_directory", config.working_directory.is_some()),
            ("entry", config.entry.is_some()),
            ("memory", limits.memory.is_some()),
            ("fuel", limits.fuel.is_some()),
            ("timeout", limits.timeout.is_some()),
            ("kill", config.killable),
            ("stack", limits.stack.is_some()),
            ("table_elements", limits.table_elements.is_some()),
            ("instances", limits.instances.is_some()),
            ("network", config.network == Network::Host),
            ("network_rules", matches!(config.network, Network::Rules(_))),
            ("fixed_clock", matches!(config.clock, Clock::Fixed(_))),
            (
                "virtual_clock",
                matches!(config.clock, Clock::Virtual { .. }),
            ),
            ("seeded_random", config.random != Random::Host),
            ("sorted_listings", config.sorted_listings),
        ];
        let mut lacking: Vec<_> = asked
            .into_iter()
            .filter(|(what, asked)| *asked && !can(&capability, what))
            .map(|(what, _)| what)
            .collect();
        if !capability.proposals.contains(guest.proposals()) {
            lacking.push("proposals");
        }
        lacking
    }

    /// Whether the engine says that it can do `what`, a field of [`Capability`].
    pub fn can(&self, what: &str) -> bool {
        can(&self.capability, what)
    }

    /// Whether the engine is known to differ here, for a reason.
    pub(crate) fn known(&self, part: &str, expected: &str, seen: &str) -> bool {
        known_differences::is_known(self.name(), part, expected, seen)
    }

    // ---- a directory of the trial's own --------------------------------------------------------

    /// The path of something in the trial's directory, which is gone when the trial is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory
            .get_or_init(|| TempDir::with_prefix("wasmrun-trial-").expect("a temporary directory"))
            .path()
            .join(name)
    }

    /// Makes a directory in it, with all that is above.
    pub fn mkdir(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).expect("a directory in the trial's own");
        path
    }

    /// Makes a file in it, with the directories above.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("a directory in the trial's own");
        }
        fs::write(&path, content).expect("a file in the trial's directory");
        path
    }

    /// Makes a FIFO in it.
    pub fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .expect("a FIFO in the trial's directory");
        path
    }

    /// Reads a file in it.
    pub fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// All that is in it.
    pub fn tree(&self) -> Tree {
        match self.directory.get() {
            Some(directory) => Tree::read(directory.path()).expect("the trial's directory reads"),
            None => Tree::default(),
        }
    }
}

/// Whether a mount lies over another.
fn is_layered(config: &RunConfig) -> bool {
    let mut paths: Vec<_> = config.mounts.iter().map(|mount| &mount.path).collect();
    paths.sort();
    paths.dedup();
    config.same_path == SamePath::Layer && paths.len() < config.mounts.len()
}

fn can(capability: &Capability, what: &str) -> bool {
    let mut fields = capability.iter();
    let field = fields.find(|(name, _)| *name == what);
    let (_, support) = field.unwrap_or_else(|| panic!("no capability is called {what:?}"));
    support.is_supported()
}

/// A config that captures both output streams, which is what nearly every rule wants.
pub(crate) fn captured() -> RunConfig {
    RunConfig::new()
        .stdout(Stdout::Capture)
        .stderr(Stdout::Capture)
}

/// Captured standard output, as text.
pub(crate) fn stdout(report: &Report) -> String {
    String::from_utf8_lossy(&report.stdout.bytes).into_owned()
}

/// Captured standard error, as text.
pub(crate) fn stderr(report: &Report) -> String {
    String::from_utf8_lossy(&report.stderr.bytes).into_owned()
}
