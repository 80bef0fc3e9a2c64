//! Workspaces, by the command, by two processes, and after a kill. What they do on a full disk is in `full_disk.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::common::{READY_AND_LOOP, Seen, started, with_cache};

/// Writes the files `fa` to `fp`, each with 8192 times the same letter, another in each run.
const CHURN: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "f")
    (func (export "_start") (local $letter i32)
      (drop (call $random (i32.const 32) (i32.const 1)))
      (memory.fill (i32.const 1024)
        (i32.add (i32.const 97) (i32.and (i32.const 15) (i32.load8_u (i32.const 32))))
        (i32.const 8192))
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 8192))
      (local.set $letter (i32.const 97))
      (loop $next
        (i32.store8 (i32.const 17) (local.get $letter))
        (if (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 2)
              (i32.const 9) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 12))
          (then unreachable))
        (drop (call $write (i32.load (i32.const 12)) (i32.const 0) (i32.const 1) (i32.const 8)))
        (drop (call $close (i32.load (i32.const 12))))
        (local.set $letter (i32.add (local.get $letter) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $letter) (i32.const 113))))))"#;

/// A user of their own, with a project in which is the file `kept`.
pub struct User {
    home: PathBuf,
    _temporary: Option<TempDir>,
}

impl User {
    fn new() -> Self {
        let temporary = TempDir::new().expect("a directory");
        let user = User::at(temporary.path().into());
        User {
            _temporary: Some(temporary),
            ..user
        }
    }

    /// One whose home is that directory, which stays.
    pub fn at(home: PathBuf) -> Self {
        let user = User {
            home,
            _temporary: None,
        };
        fs::create_dir_all(user.project()).expect("a directory");
        user.write("project/kept", "kept\n");
        user.write("churn.wat", CHURN);
        user.write("loop.wat", READY_AND_LOOP);
        let project = user.project();
        let made = user.workspace(&["new", "work", "--from", path(&project)]);
        assert_eq!(made.code, Some(0), "{made:?}");
        user
    }

    pub fn project(&self) -> PathBuf {
        self.path("project")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("a file");
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = with_cache(&self.path("cache"));
        command.args(args).current_dir(&self.home);
        command.env("XDG_DATA_HOME", self.path("data"));
        command
    }

    pub fn workspace(&self, args: &[&str]) -> Seen {
        let mut command = self.command(&["workspace"]);
        command.args(args).output().expect("wasmrun starts").into()
    }

    pub fn churns(&self, workspace: &str) {
        let run = [
            "run",
            "--engine=wasmi",
            "--workspace",
            workspace,
            "churn.wat",
        ];
        let ran: Seen = self.command(&run).output().expect("it starts").into();
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }

    pub fn changes(&self, workspace: &str) -> usize {
        let seen = self.workspace(&["changes", workspace]);
        assert_eq!(seen.code, Some(0), "{seen:?}");
        let changes: Vec<serde_json::Value> = serde_json::from_str(&seen.stdout).expect("JSON");
        changes.len()
    }
}

pub fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// What is in a directory, by name; of files like those of [`CHURN`] the letter.
pub fn content(directory: &Path) -> BTreeMap<String, String> {
    let mut content = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("it is there") {
        let entry = entry.expect("it is read");
        let bytes = fs::read(entry.path()).expect("a file");
        let letter = match &bytes[..] {
            [first, rest @ ..] if rest.len() == 8191 && rest.iter().all(|byte| byte == first) => {
                (*first as char).to_string()
            }
            other => String::from_utf8_lossy(other).into_owned(),
        };
        content.insert(entry.file_name().to_string_lossy().into_owned(), letter);
    }
    content
}

#[test]
fn a_workspace_is_made_changed_and_committed() {
    let user = User::new();
    user.churns("work");
    assert_eq!(user.changes("work"), 16);
    assert_eq!(content(&user.project()).len(), 1);
    let diff = user.workspace(&["diff", "work"]);
    assert!(diff.stdout.contains("+++ b/fa"), "{diff:?}");

    assert_eq!(user.workspace(&["fork", "work", "attempt"]).code, Some(0));
    assert_eq!(user.changes("attempt"), 0);
    let listed = user.workspace(&["ls"]).stdout;
    assert!(listed.contains("attempt  a fork of work"), "{listed}");
    assert!(listed.contains("used just now"), "{listed}");
    assert_eq!(user.workspace(&["rm", "attempt"]).code, Some(0));

    let exported = user.workspace(&["export", "work", "all.tar"]);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let made = user.workspace(&["new", "other", "--from", "all.tar", "--path", "/in"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let imported = user.workspace(&["import", "other", "project", "deep/er"]);
    assert_eq!(imported.code, Some(0), "{imported:?}");
    assert_eq!(user.changes("other"), 3);
    assert_eq!(user.workspace(&["reset", "other"]).code, Some(0));
    assert_eq!(user.changes("other"), 0);

    assert_eq!(user.workspace(&["commit", "work"]).code, Some(0));
    assert_eq!(content(&user.project()).len(), 17);
    assert_eq!(user.changes("work"), 0);
}

#[test]
fn what_a_run_changed_of_a_workspace_is_told_with_the_rest() {
    let user = User::new();
    let run = [
        "--engine=wasmi",
        "--workspace=work",
        "--tmpfs=/tmp",
        "--changes=-",
        "churn.wat",
    ];
    let ran: Seen = user.command(&run).output().expect("it starts").into();
    let told: Vec<serde_json::Value> = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(told.len(), 16, "{ran:?}");
    assert!(told.iter().all(|change| change["mount"] == "/"), "{ran:?}");
}

#[test]
fn engines_and_limits_of_a_workspace_hold_for_its_runs() {
    let user = User::new();
    let options = ["new", "small", "--engines=wasmi", "--max-memory=1Ki"];
    assert_eq!(user.workspace(&options).code, Some(0));
    let run = ["--workspace=small", "churn.wat"];
    let ran: Seen = user.command(&run).output().expect("it starts").into();
    assert_eq!(ran.code, Some(137), "{ran:?}");
    assert!(ran.message().contains("wasmi"), "{ran:?}");
    let run = ["--workspace=small", "--max-memory=1Mi", "churn.wat"];
    let ran: Seen = user.command(&run).output().expect("it starts").into();
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn two_processes_do_not_use_one_workspace() {
    let user = User::new();
    let run = ["--engine=wasmi", "--workspace=work", "loop.wat"];
    let mut first = started(&mut user.command(&run));
    for second in [&["changes", "work"][..], &["rm", "work"]] {
        let refused = user.workspace(second);
        assert_eq!(refused.code, Some(125), "{refused:?}");
        assert!(refused.message().contains("work is in use"), "{refused:?}");
    }
    let second: Seen = user.command(&run).output().expect("it starts").into();
    assert!(second.message().contains("work is in use"), "{second:?}");
    first.kill().expect("it is killed");
    first.wait().expect("it ends");
    assert_eq!(user.changes("work"), 0);
}

#[test]
fn a_name_that_is_none_is_an_error_that_says_what_to_do() {
    let user = User::new();
    for args in [
        &["workspace", "diff", "nil"][..],
        &["--workspace=nil", "churn.wat"],
    ] {
        let seen: Seen = user.command(args).output().expect("it starts").into();
        assert_eq!(seen.code, Some(125), "{seen:?}");
        assert!(
            seen.message().contains("`wasmrun workspace new`"),
            "{seen:?}"
        );
    }
}

#[test]
fn killed_at_any_moment_it_opens_and_nothing_is_half_committed() {
    let user = User::new();
    let project = user.project();
    let import = user.path("import");
    fs::create_dir(&import).expect("a directory");
    for name in ["x", "y", "z"] {
        fs::write(import.join(name), [b'i'; 8192]).expect("a file");
    }
    for moment in 0..40 {
        user.churns("work");
        let fork = format!("fork{moment}");
        let args = match moment % 4 {
            0 => vec!["run", "--engine=wasmi", "--workspace=work", "churn.wat"],
            1 => vec!["workspace", "commit", "work"],
            2 => vec!["workspace", "fork", "work", &fork],
            _ => vec!["workspace", "import", "work", path(&import), "/"],
        };
        let mut child = user.command(&args).spawn().expect("it starts");
        thread::sleep(Duration::from_micros(moment * 800));
        child.kill().expect("it is ours");
        child.wait().expect("it ends");

        user.changes("work");
        let listed = user.workspace(&["ls", "--json"]);
        assert_eq!(listed.code, Some(0), "{listed:?}");
        if listed.stdout.contains(&fork) {
            user.changes(&fork);
            assert_eq!(user.workspace(&["rm", &fork]).code, Some(0));
        }
        for (name, content) in content(&project) {
            // A guest that was killed may have left a file empty, which was then committed as that.
            let whole = content.is_empty() || content.len() == 1 || name == "kept";
            assert!(whole || name.starts_with(".wasmrun-"), "{name}: {content}");
        }
    }
    user.churns("work");
    let committed = user.workspace(&["commit", "work"]);
    assert_eq!(committed.code, Some(0), "{committed:?}");
    let content = content(&project);
    let files: Vec<_> = content
        .keys()
        .filter(|name| name.starts_with('f'))
        .collect();
    assert_eq!(files.len(), 16, "{content:?}");
    assert!(content.values().filter(|letter| letter.len() == 1).count() >= 16);
    assert!(
        !content.keys().any(|name| name.starts_with(".wasmrun-")),
        "{content:?}"
    );
}
