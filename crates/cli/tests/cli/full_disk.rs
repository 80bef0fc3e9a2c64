//! Workspaces on a disk that is full: what is asked is done or told to have failed, and nothing is lost or half there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::common::Seen;
use crate::space::{Want, enter};
use crate::workspace::{User, content, path};

/// Appends to the file `kept`, and exits with the error number of that.
const APPEND: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "kept, and more")
    (func (export "_start") (local $error i32)
      (local.set $error (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4)
        (i32.const 0) (i64.const 64) (i64.const 0)
        (i32.const 1)                ;; to the end
        (i32.const 12)))
      (if (i32.eqz (local.get $error)) (then
        (i32.store (i32.const 0) (i32.const 16))
        (i32.store (i32.const 4) (i32.const 14))
        (local.set $error
          (call $write (i32.load (i32.const 12)) (i32.const 0) (i32.const 1) (i32.const 8)))))
      (call $exit (local.get $error))))"#;

/// `ENOSPC`, as preview1 numbers it.
const NOSPC: i32 = 51;

/// What there is too little of.
#[derive(Debug, Clone, Copy)]
enum Lack {
    Space,
    Inodes,
}

/// A disk, and what fills it.
struct Disk {
    lack: Lack,
    filler: PathBuf,
}

impl Disk {
    fn at(directory: &Path, lack: Lack) -> Self {
        let filler = directory.join("filler");
        fs::create_dir(&filler).expect("there is room");
        Disk { lack, filler }
    }

    /// Fills it but for so many blocks, or files.
    fn fill(&self, room: u64) {
        match self.lack {
            Lack::Space => self.fill_space(room),
            Lack::Inodes => self.fill_inodes(room),
        }
    }

    fn fill_space(&self, room: u64) {
        let mut file = File::create(self.filler.join("0")).expect("there is room");
        let mut length = 0;
        while is_done(file.write_all(&[0; 4096])) {
            length += 4096;
        }
        let block = rustix::fs::fstatvfs(&file).expect("a disk").f_frsize;
        file.set_len(length - room * block).expect("it is ours");
    }

    fn fill_inodes(&self, room: u64) {
        let name = |number: u64| self.filler.join(number.to_string());
        let mut made = 0;
        while is_done(File::create(name(made)).map(drop)) {
            made += 1;
        }
        for number in made - room..made {
            fs::remove_file(name(number)).expect("it is ours");
        }
    }

    /// Has it have room again.
    fn clear(&self) {
        for entry in fs::read_dir(&self.filler).expect("it is there") {
            let entry = entry.expect("it is read");
            fs::remove_file(entry.path()).expect("it is ours");
        }
    }
}

/// For so many blocks or files there is room, time after time.
const ROOM: [u64; 8] = [0, 1, 2, 4, 8, 16, 32, 64];

/// Asserts that it failed, and said so and why.
fn assert_no_room(seen: &Seen) {
    assert_eq!(seen.code, Some(125), "{seen:?}");
    let reasons = ["No space left on device", "no space is left"];
    let is_told = reasons.iter().any(|reason| seen.message().contains(reason));
    assert!(is_told, "{seen:?}");
}

/// Whether there was room.
fn is_done(done: std::io::Result<()>) -> bool {
    match done {
        Err(error) if error.kind() == ErrorKind::StorageFull => false,
        done => done.map(|()| true).expect("nothing else goes wrong"),
    }
}

/// A user whose workspaces are on a disk.
struct Place {
    user: User,
    disk: Disk,
}

impl Place {
    fn new(home: PathBuf, lack: Lack) -> Self {
        let disk = Disk::at(&home.join("data"), lack);
        let user = User::at(home);
        user.churns("work");
        user.write("append.wat", APPEND);
        fs::create_dir(user.path("import")).expect("a directory");
        for name in ["x", "y", "z"] {
            user.write(&format!("import/{name}"), [b'i'; 8192]);
        }
        Place { user, disk }
    }

    fn workspaces(&self) -> PathBuf {
        self.user.path("data/wasmrun/workspaces")
    }

    /// All that guests would see of the workspaces, as archives.
    fn worlds(&self) -> Vec<Vec<u8>> {
        let names = ["work", "fork"].into_iter();
        let there = names.filter(|name| self.workspaces().join(name).exists());
        let world = |name| {
            let export = ["workspace", "export", name, "-"];
            let ran = self.user.command(&export).output().expect("it starts");
            assert!(ran.status.success(), "{:?}", Seen::from(ran));
            ran.stdout
        };
        there.map(world).collect()
    }

    /// How many layers are kept, or left behind.
    fn layers(&self) -> usize {
        let layers = fs::read_dir(self.workspaces().join(".layers"));
        layers.expect("layers").count()
    }

    /// Does this on a full disk, and then with more and more room until it is done. As long as it is not, it says why and
    /// changes nothing. Returns with how much room it was done.
    fn until_it_fits(&self, args: &[&str]) -> u64 {
        let (before, layers) = (self.worlds(), self.layers());
        for room in ROOM {
            self.disk.fill(room);
            let seen: Seen = self.user.command(args).output().expect("it starts").into();
            let left = self.layers();
            self.disk.clear();
            match seen.code {
                Some(0) => return room,
                // A guest is told as on any disk.
                Some(NOSPC) if args[0] == "run" => assert_eq!(seen.stderr, ""),
                _ => assert_no_room(&seen),
            }
            assert!(self.worlds() == before, "{args:?} with {room}: {seen:?}");
            // A fork may have had the other begin one.
            assert!(left <= layers + 1, "{args:?}: {left} layers of {layers}");
        }
        panic!("{args:?} takes more room than there is");
    }

    fn runs_out(&self) {
        let import = path(&self.user.path("import")).to_owned();
        for args in [
            &["workspace", "new", "other"][..],
            &["workspace", "fork", "work", "fork"],
            &["run", "--engine=wasmi", "--workspace=fork", "append.wat"],
            &["workspace", "import", "work", &import, "/"],
            // Of what is in several layers one is made.
            &["workspace", "changes", "work"],
            &["workspace", "reset", "other"],
        ] {
            assert_ne!(self.until_it_fits(args), 0, "{args:?}");
        }
        assert_eq!(self.until_it_fits(&["workspace", "changes", "fork"]), 0);
        assert_eq!(self.user.changes("fork"), 1);
        assert_eq!(self.user.changes("work"), 16 + 3);

        let project = self.user.project();
        assert_eq!(content(&project).len(), 1);
        assert_ne!(self.until_it_fits(&["workspace", "commit", "work"]), 0);
        let committed = content(&project);
        let whole = committed.values().filter(|content| content.len() == 1);
        assert_eq!((whole.count(), committed.len()), (19, 20), "{committed:?}");
        assert_eq!(self.user.changes("work"), 0);

        // To remove one takes no room, and makes some.
        self.disk.fill(0);
        let removed = self.user.workspace(&["rm", "fork", "other", "work"]);
        assert_eq!(removed.code, Some(0), "{removed:?}");
        assert_eq!(self.layers(), 1);
        let made = self.user.workspace(&["new", "other"]);
        assert_eq!(made.code, Some(0), "{made:?}");
    }
}

#[test]
fn without_space_a_workspace_is_as_it_was_or_as_it_is_to_be() {
    let test = "full_disk::without_space_a_workspace_is_as_it_was_or_as_it_is_to_be";
    if let Some(home) = enter(test, &[Want::Tmpfs("data", "nr_blocks=512")]) {
        Place::new(home, Lack::Space).runs_out();
    }
}

#[test]
fn without_inodes_a_workspace_is_as_it_was_or_as_it_is_to_be() {
    let test = "full_disk::without_inodes_a_workspace_is_as_it_was_or_as_it_is_to_be";
    if let Some(home) = enter(test, &[Want::Tmpfs("data", "nr_inodes=256")]) {
        Place::new(home, Lack::Inodes).runs_out();
    }
}

#[test]
fn a_commit_to_a_full_disk_leaves_each_file_whole_and_goes_on_with_room() {
    let test = "full_disk::a_commit_to_a_full_disk_leaves_each_file_whole_and_goes_on_with_room";
    let Some(home) = enter(test, &[Want::Tmpfs("disk", "nr_blocks=512")]) else {
        return;
    };
    let disk = Disk::at(&home.join("disk"), Lack::Space);
    fs::create_dir(home.join("disk/project")).expect("there is room");
    symlink("disk/project", home.join("project")).expect("there is room");
    let user = User::at(home);
    for letter in 'a'..'q' {
        user.write(&format!("project/f{letter}"), "old");
    }
    user.churns("work");
    let mut new = BTreeSet::new();
    for room in ROOM {
        disk.fill(room);
        let committed = user.workspace(&["commit", "work"]);
        let now = content(&user.project());
        if committed.code == Some(0) {
            break;
        }
        assert_no_room(&committed);
        // What is neither old nor whole is not there, under whatever name.
        assert_eq!(now.len(), 1 + 16, "{now:?}");
        let whole = now.values().filter(|content| content.len() == 1).count();
        let old = now.values().filter(|content| *content == "old").count();
        assert_eq!(whole + old, 16, "{now:?}");
        new.insert(whole);
        let used = user.workspace(&["changes", "work"]);
        assert_no_room(&used);
        assert!(used.message().contains("goes on when"), "{used:?}");
        disk.clear();
    }
    assert!(new.len() > 1, "it ended at different files: {new:?}");
    let committed = content(&user.project());
    let whole = committed.values().filter(|content| content.len() == 1);
    assert_eq!((whole.count(), committed.len()), (16, 17), "{committed:?}");
    disk.clear();
    assert_eq!(user.changes("work"), 0);
}
