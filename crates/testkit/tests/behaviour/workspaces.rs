//! Worlds that last over many runs, on every engine.

use std::fs;
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use tempfile::TempDir;
use wasmrun::{Change, ChangeKind, Engines, MountSource, Workspace, WorkspaceSettings, Workspaces};
use wasmrun_core::{Engine, ErrorKind, Guest, Outcome, Program, RunConfig, Stdout, check};
use wasmrun_testkit::guests::{component, files};

/// A rule, given engines that take turns.
type Rule = fn(&[Arc<dyn Engine>], &Guest);

const RULES: &[(&str, Rule)] = &[
    (
        "what_a_guest_writes_the_next_one_finds",
        what_a_guest_writes_the_next_one_finds,
    ),
    ("a_fork_is_kept_or_undone", a_fork_is_kept_or_undone),
    (
        "what_is_committed_is_in_the_directory",
        what_is_committed_is_in_the_directory,
    ),
];

/// Every rule as a trial of every engine, which takes turns with the first, by a module and by a component. What an engine
/// cannot run it refuses, and that is asserted.
pub fn trials(engines: &[Arc<dyn Engine>]) -> Vec<Trial> {
    let Some(first) = engines.first() else {
        return Vec::new();
    };
    let mut trials = Vec::new();
    for engine in engines {
        for guest in [files(), component(&files())] {
            for (name, rule) in RULES {
                let kind = guest.kind();
                let name = format!("{}::workspaces::{name}_{kind}", engine.info().name);
                let (turns, guest) = ([engine.clone(), first.clone()], guest.clone());
                trials.push(Trial::test(name, move || {
                    if !refuses(&turns[0], &guest) {
                        rule(&turns, &guest);
                    }
                    Ok::<(), Failed>(())
                }));
            }
        }
    }
    trials
}

/// A project with a file, and a workspace that began with it.
struct Place {
    _home: TempDir,
    project: TempDir,
    work: Workspace,
}

impl Place {
    fn new() -> Self {
        let [home, project] = [(); 2].map(|()| TempDir::new().expect("a directory"));
        fs::write(project.path().join("kept"), "kept").expect("a file");
        let base = MountSource::Bind(project.path().into());
        let settings = WorkspaceSettings::new().base(base);
        let work = Workspaces::at(home.path()).create("work", settings);
        Place {
            work: work.expect("a workspace"),
            _home: home,
            project,
        }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.project.path().join(name)).expect(name)
    }
}

/// Has a guest do something in a workspace: what came of it.
fn run(
    engine: &Arc<dyn Engine>,
    guest: &Guest,
    work: &Workspace,
    operations: &[&str],
) -> Vec<String> {
    let locked = work.lock().expect("nobody uses it");
    let config = RunConfig::new()
        .args(operations.iter().copied())
        .stdout(Stdout::Capture);
    let config = locked.config(&config);
    let program = Program::compile(engine.clone(), guest, &config).expect("it compiles");
    let report = program.run(&config).expect("it runs");
    assert_eq!(report.outcome, Outcome::Exited(0));
    let said = String::from_utf8_lossy(&report.stdout.bytes).into_owned();
    said.lines().map(str::to_owned).collect()
}

/// Whether the engine refuses to run the guest in a workspace, which is left as it is then.
fn refuses(engine: &Arc<dyn Engine>, guest: &Guest) -> bool {
    let place = Place::new();
    let config = place
        .work
        .lock()
        .expect("nobody uses it")
        .config(&RunConfig::new());
    if check::refusals_of(&**engine, guest, &config).is_empty() {
        return false;
    }
    let error = place.work.run(&only(engine), guest, &RunConfig::new());
    let error = error.expect_err("it cannot run there");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert_eq!(told(&place.work), []);
    true
}

fn only(engine: &Arc<dyn Engine>) -> Engines {
    let mut engines = Engines::empty();
    engines.register(engine.clone());
    engines
}

fn told(work: &Workspace) -> Vec<(String, ChangeKind)> {
    let changes = work.changes().expect("changes").into_iter();
    changes
        .map(|Change { path, kind, .. }| (path, kind))
        .collect()
}

fn what_a_guest_writes_the_next_one_finds(engines: &[Arc<dyn Engine>], guest: &Guest) {
    let place = Place::new();
    for (turn, engine) in engines.iter().chain(engines).enumerate() {
        let write = format!("write a {turn}");
        let operations = [
            "open a /:log read write create append",
            &write,
            "pread a 0 9",
        ];
        let found = &run(engine, guest, &place.work, &operations)[2];
        let expected: String = (0..=turn).map(|turn| turn.to_string()).collect();
        assert_eq!(*found, format!("ok {expected}"));
    }
    assert_eq!(told(&place.work), [("log".into(), ChangeKind::Created)]);
}

fn a_fork_is_kept_or_undone(engines: &[Arc<dyn Engine>], guest: &Guest) {
    let place = Place::new();
    for (engine, kept) in engines
        .iter()
        .chain(engines)
        .zip([true, false, false, true])
    {
        let fork = place.work.fork("attempt").expect("a fork");
        let operations = ["open a /:kept write append", "write a +"];
        run(engine, guest, &fork, &operations);
        assert_eq!(told(&fork), [("kept".into(), ChangeKind::Modified)]);
        if kept {
            fork.commit().expect("the workspace is as it was");
        }
        fork.remove().expect("nobody uses it");
    }
    let read = run(
        &engines[0],
        guest,
        &place.work,
        &["open a /:kept read", "read a"],
    );
    assert_eq!(read[1], "ok kept++");
}

fn what_is_committed_is_in_the_directory(engines: &[Arc<dyn Engine>], guest: &Guest) {
    let place = Place::new();
    run(
        &engines[0],
        guest,
        &place.work,
        &["mkdir /:dir", "rename /:kept /:dir/moved"],
    );
    run(
        &engines[1],
        guest,
        &place.work,
        &["open a /:dir/moved write append", "write a  on"],
    );
    assert_eq!(place.read("kept"), "kept");
    place.work.commit().expect("it began with a directory");
    assert_eq!(place.read("dir/moved"), "kept on");
    assert!(!place.project.path().join("kept").exists());
    assert_eq!(told(&place.work), []);
}
