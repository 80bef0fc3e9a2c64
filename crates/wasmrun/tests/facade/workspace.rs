//! Worlds that last over many runs.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wasmrun::{
    ChangeKind, Choice, Engines, ErrorKind, MountSource, Outcome, RunConfig, Stdout, Workspace,
    WorkspaceSettings, Workspaces,
};
use wasmrun_testkit::guests::files;

/// Workspaces, and a project with a file `kept` and one `dir/file`.
struct Place {
    home: TempDir,
    project: TempDir,
}

impl Place {
    fn new() -> Self {
        let [home, project] = [(); 2].map(|()| TempDir::new().expect("a directory"));
        let place = Place { home, project };
        place.write("kept", "kept\n");
        place.write("dir/file", "file\n");
        place
    }

    fn all(&self) -> Workspaces {
        Workspaces::at(self.home.path().join("workspaces"))
    }

    fn settings(&self) -> WorkspaceSettings {
        WorkspaceSettings::new().base(MountSource::Bind(self.project.path().into()))
    }

    fn workspace(&self) -> Workspace {
        let made = self.all().create("work", self.settings());
        made.expect("a workspace")
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        let parent = path.parent().expect("it is in the project");
        fs::create_dir_all(parent).expect("a directory");
        fs::write(path, content).expect("a file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.project.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect(name)
    }

    fn layers(&self) -> usize {
        let layers = self.home.path().join("workspaces/.layers");
        fs::read_dir(layers).expect("layers").count() - 1
    }
}

/// Runs a guest that does operations: what came of each.
fn run(workspace: &Workspace, operations: &[&str]) -> Vec<String> {
    let config = RunConfig::new()
        .args(operations.iter().copied())
        .stdout(Stdout::Capture);
    let report = workspace.run(Engines::shared(), &files(), &config);
    let report = report.expect("it runs");
    assert_eq!(report.outcome, Outcome::Exited(0));
    let said = String::from_utf8_lossy(&report.stdout.bytes).into_owned();
    said.lines().map(str::to_owned).collect()
}

fn write(workspace: &Workspace, name: &str, content: &str) {
    let open = format!("open a /:{name} write create truncate");
    let write = format!("write a {content}");
    let done = run(workspace, &[&open, &write]);
    assert_eq!(done, ["ok".to_owned(), format!("ok {}", content.len())]);
}

fn read(workspace: &Workspace, name: &str) -> String {
    let open = format!("open a /:{name} read");
    run(workspace, &[&open, "read a"]).swap_remove(1)
}

fn told(workspace: &Workspace) -> Vec<String> {
    let changes = workspace.changes().expect("changes").into_iter();
    let line = |change: wasmrun::Change| match change.kind {
        ChangeKind::Created => format!("+ {}", change.path),
        ChangeKind::Modified => format!("~ {}", change.path),
        ChangeKind::Removed => format!("- {}", change.path),
        ChangeKind::Renamed { from } => format!("{from} > {}", change.path),
    };
    changes.map(line).collect()
}

#[test]
fn what_guests_write_stays_and_is_told() {
    let place = Place::new();
    let workspace = place.workspace();
    write(&workspace, "new", "first");
    assert_eq!(read(&workspace, "new"), "ok first");
    assert_eq!(read(&workspace, "dir/file"), "ok file");
    run(&workspace, &["unlink /:kept", "rename /:dir /:moved"]);
    assert_eq!(told(&workspace), ["- kept", "dir > moved", "+ new"]);
    let diff = workspace.diff().expect("a diff");
    assert!(diff.contains("+first") && diff.contains("-kept"), "{diff}");
    // Nothing of it is in the project.
    assert_eq!(place.read("kept"), "kept\n");
    assert!(!place.path("new").exists());
    // And another handle sees the same.
    let again = place.all().open("work").expect("it is there");
    assert_eq!(read(&again, "moved/file"), "ok file");
}

#[test]
fn changes_are_made_for_good_or_undone() {
    let place = Place::new();
    let workspace = place.workspace();
    run(&workspace, &["rename /:dir /:moved", "unlink /:kept"]);
    write(&workspace, "moved/file", "other");
    workspace.commit().expect("a commit");
    assert_eq!(place.read("moved/file"), "other");
    assert!(!place.path("kept").exists() && !place.path("dir").exists());
    assert_eq!(told(&workspace), [""; 0]);

    write(&workspace, "moved/file", "undone");
    workspace.reset().expect("a reset");
    assert_eq!(read(&workspace, "moved/file"), "ok other");
    assert_eq!(told(&workspace), [""; 0]);
    assert_eq!(place.layers(), 1);
}

#[test]
fn a_commit_leaves_permissions_as_they_were() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    let mode = |name: &str| {
        let found = fs::metadata(place.path(name)).expect(name);
        found.permissions().mode() & 0o777
    };
    for name in ["kept", "dir/file"] {
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(0o750)).expect("set");
    }
    let workspace = place.workspace();
    write(&workspace, "kept", "changed");
    run(&workspace, &["rename /:dir/file /:moved"]);
    write(&workspace, "moved", "changed");
    workspace.commit().expect("a commit");
    assert_eq!((mode("kept"), mode("moved")), (0o750, 0o750));
}

#[test]
fn a_fork_begins_with_all_there_is_and_is_on_its_own() {
    let place = Place::new();
    let workspace = place.workspace();
    write(&workspace, "new", "first");
    let fork = workspace.fork("attempt").expect("a fork");
    assert_eq!(told(&fork), [""; 0]);
    assert_eq!(read(&fork, "new"), "ok first");
    write(&fork, "new", "second");
    run(&fork, &["unlink /:kept"]);
    assert_eq!(told(&fork), ["- kept", "~ new"]);
    assert_eq!(read(&workspace, "new"), "ok first");
    assert_eq!(told(&workspace), ["+ new"]);

    fork.commit().expect("it is committed to the workspace");
    assert_eq!(read(&workspace, "new"), "ok second");
    assert_eq!(told(&workspace), ["- kept", "+ new"]);
    assert_eq!(told(&fork), [""; 0]);
    // It can go on.
    write(&fork, "new", "third");
    fork.commit().expect("and again");
    assert_eq!(read(&workspace, "new"), "ok third");

    let undone = workspace.fork("undone").expect("a fork");
    write(&undone, "new", "nonsense");
    undone.remove().expect("it goes");
    fork.remove().expect("it goes");
    workspace.commit().expect("a commit");
    assert_eq!(place.read("new"), "third");
    assert!(!place.path("kept").exists());
    assert_eq!(place.layers(), 1);
}

#[test]
fn many_forks_leave_few_layers() {
    let place = Place::new();
    let workspace = place.workspace();
    for number in 0..12 {
        let fork = workspace.fork("attempt").expect("a fork");
        write(&fork, &format!("new{number}"), "content");
        fork.commit().expect("it is committed to the workspace");
        fork.remove().expect("it goes");
        write(&workspace, "count", &number.to_string());
    }
    assert_eq!(told(&workspace).len(), 13);
    assert_eq!(read(&workspace, "count"), "ok 11");
    assert!(place.layers() < 20, "{}", place.layers());
}

#[test]
fn a_fork_of_what_was_changed_since_is_not_committed() {
    let place = Place::new();
    let workspace = place.workspace();
    let fork = workspace.fork("attempt").expect("a fork");
    write(&fork, "new", "fork's");
    write(&workspace, "new", "workspace's");
    let error = fork.commit().expect_err("it was changed");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.to_string().contains("export the changes"), "{error}");
    assert_eq!(read(&workspace, "new"), "ok workspace's");
    assert_eq!(read(&fork, "new"), "ok fork's");
}

#[test]
fn forks_outlive_what_they_were_forked_from() {
    let place = Place::new();
    let workspace = place.workspace();
    write(&workspace, "new", "first");
    let fork = workspace.fork("attempt").expect("a fork");
    workspace.remove().expect("it goes");
    assert_eq!(read(&fork, "new"), "ok first");
    let error = fork.commit().expect_err("there is nothing to commit to");
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    fork.remove().expect("it goes as well");
    assert_eq!(place.layers(), 0);
}

#[test]
fn what_is_exported_can_be_imported() {
    let place = Place::new();
    let workspace = place.workspace();
    write(&workspace, "new", "first");
    run(&workspace, &["unlink /:kept"]);
    let archive = place.home.path().join("all.tar");
    let mut file = fs::File::create(&archive).expect("a file");
    workspace.export(&mut file).expect("an archive");

    let other = place.all().create("other", WorkspaceSettings::new());
    let other = other.expect("a workspace");
    run(&other, &["mkdir /:in"]);
    write(&other, "in/new", "nothing");
    other.import(&archive, "in/here").expect("all of it");
    assert_eq!(read(&other, "in/here/new"), "ok first");
    assert_eq!(read(&other, "in/here/dir/file"), "ok file");
    let listed = run(&other, &["list /", "open d /:in/here dir", "list d"]);
    assert_eq!(listed, ["ok in/", "ok", "ok dir/ new"]);
    other
        .import(place.project.path(), "/")
        .expect("a directory");
    assert_eq!(read(&other, "kept"), "ok kept");
    assert_eq!(
        told(&other)[..4],
        ["+ dir", "+ dir/file", "+ in", "+ in/here"]
    );

    // What cannot be imported whole is not imported.
    let garbage = place.home.path().join("garbage");
    fs::write(&garbage, [7; 2000]).expect("a file");
    let before = told(&other);
    for from in [&*garbage, Path::new("/no/such/archive")] {
        let error = other.import(from, "/").expect_err("no archive");
        assert!(error.to_string().contains(&*from.to_string_lossy()));
    }
    assert_eq!(told(&other), before);
}

#[test]
fn an_archive_can_be_changed_and_not_committed() {
    let place = Place::new();
    let archive = place.home.path().join("base.tar");
    let mut file = fs::File::create(&archive).expect("a file");
    place.workspace().export(&mut file).expect("an archive");
    let settings = WorkspaceSettings::new().base(MountSource::Tar(archive));
    let workspace = place.all().create("tar", settings).expect("a workspace");
    write(&workspace, "kept", "changed");
    assert_eq!(told(&workspace), ["~ kept"]);
    let error = workspace.commit().expect_err("it is an archive");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert_eq!(read(&workspace, "kept"), "ok changed");
}

#[test]
fn a_workspace_is_used_by_one_at_a_time() {
    let place = Place::new();
    let workspace = place.workspace();
    let locked = workspace.lock().expect("nobody has it");
    let same = place.all().open("work").expect("it is there");
    let files = files();
    let refused = [
        same.changes().map(drop),
        same.commit(),
        same.reset(),
        same.fork("other").map(drop),
        same.import(place.project.path(), "/"),
        same.remove(),
        same.run(Engines::shared(), &files, &RunConfig::new())
            .map(drop),
    ];
    for refused in refused {
        let error = refused.expect_err("somebody has it");
        assert_eq!(error.kind(), ErrorKind::InUse, "{error:?}");
    }
    assert!(same.info().is_ok());
    drop(locked);
    assert!(same.changes().is_ok());
}

#[test]
fn workspaces_are_listed_with_what_they_are() {
    let place = Place::new();
    assert_eq!(place.all().list().expect("none"), []);
    let workspace = place.workspace();
    let made = workspace.info().expect("it is known");
    workspace.fork("another").expect("a fork");
    let all = place.all().list().expect("two");
    let told: Vec<_> = all
        .iter()
        .map(|info| (&*info.name, info.parent.as_deref()))
        .collect();
    assert_eq!(told, [("another", Some("work")), ("work", None)]);
    assert_eq!(all[1].settings.path, "/");
    assert!(all[1].used_ms >= made.used_ms && made.used_ms > 0);
}

#[test]
fn what_cannot_be_a_workspace_is_refused_by_name() {
    let place = Place::new();
    let all = place.all();
    place.workspace();
    let base = |base: MountSource| WorkspaceSettings::new().base(base);
    let within = place.home.path().to_owned();
    for (name, settings, kind, words) in [
        ("work", place.settings(), ErrorKind::Config, "already"),
        ("../x", place.settings(), ErrorKind::Config, "no name"),
        (
            "x",
            base(MountSource::Bind("/no/such".into())),
            ErrorKind::Preopen,
            "/no/such",
        ),
        (
            "x",
            base(MountSource::Bind(place.path("kept"))),
            ErrorKind::Preopen,
            "not a directory",
        ),
        (
            "x",
            base(MountSource::Bind(within)),
            ErrorKind::Config,
            "in itself",
        ),
        (
            "x",
            base(MountSource::Memory(Default::default())),
            ErrorKind::Config,
            "cannot begin with",
        ),
        ("x", place.settings().path(".."), ErrorKind::Config, "root"),
    ] {
        let error = all.create(name, settings).expect_err(words);
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let error = all.open("x").expect_err("there is none");
    assert!(error.to_string().contains("no workspace \"x\""), "{error}");
}

#[test]
fn a_base_that_is_gone_is_told_and_loses_nothing() {
    let place = Place::new();
    let workspace = place.workspace();
    write(&workspace, "new", "first");
    let elsewhere = place.home.path().join("elsewhere");
    fs::rename(place.project.path(), &elsewhere).expect("moved");
    let error = workspace.changes().expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::Preopen, "{error:?}");
    let run = workspace.run(Engines::shared(), &files(), &RunConfig::new());
    assert_eq!(run.expect_err("it is gone").kind(), ErrorKind::Preopen);
    fs::rename(elsewhere, place.project.path()).expect("moved back");
    assert_eq!(told(&workspace), ["+ new"]);
}

#[test]
fn limits_and_engines_are_those_of_the_workspace_unless_a_run_has_its_own() {
    let place = Place::new();
    let settings = place
        .settings()
        .limit(|limits| limits.memory = Some(1 << 20))
        .engines(["wasmi"]);
    let workspace = place.all().create("small", settings);
    let locked = workspace.expect("a workspace").lock().expect("ours");
    assert_eq!(locked.choice(), Choice::from("wasmi"));
    let config = locked.config(&RunConfig::new().limit(|limits| limits.fuel = Some(7)));
    assert_eq!(config.limits.memory, Some(1 << 20));
    assert_eq!(config.limits.fuel, Some(7));
    let config = locked.config(&RunConfig::new().limit(|limits| limits.memory = Some(5)));
    assert_eq!(config.limits.memory, Some(5));
}
