//! Whether an overlay does what a plain file system in memory does, whatever is done to both.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use proptest::prelude::*;
use wasmrun_core::Changes;
use wasmrun_fs::{
    Commit, File, FileType, Kept, Memory, MemoryLimits, Name, OpenOptions, Overlay, Result,
    SetTime, SetTimes, Stat, Step,
};

use crate::fragile::{Fragile, Fuse};
use crate::tree::{CREATE, Dir, Tree, filled, make, memory, name, tree};

const NAMES: [&str; 3] = ["a", "b", "c"];
const TARGETS: [&[u8]; 3] = [b"", b"a", b"b/c"];

/// A directory, by the number of its handle, and a name in it.
type At = (usize, &'static str);

#[derive(Debug, Clone)]
enum Op {
    Enter(At),
    Stat(At),
    Open(At, OpenOptions),
    ReadLink(At),
    CreateDirectory(At),
    Symlink(At, &'static [u8]),
    Link(At, At),
    Rename(At, At),
    RemoveFile(At),
    RemoveDirectory(At),
    List(usize),
    SetTimes(At),
    Close(usize),
    Read(usize, u64, usize),
    Write(usize, u64, usize, u8),
    Append(usize, u8),
    SetSize(usize, u64),
    /// All handles are closed, and another overlay goes on with the upper.
    Reopen,
    /// And the upper is a lower from then on.
    Push,
}

#[derive(Debug, PartialEq)]
enum Given {
    Nothing,
    Bytes(Vec<u8>),
    Count(usize),
    Names(BTreeMap<Vec<u8>, FileType>),
    Stat(FileType, Option<(u64, u64)>),
}

/// Those of directories differ.
fn given(stat: &Stat) -> Given {
    let is_directory = stat.file_type == FileType::Directory;
    Given::Stat(
        stat.file_type,
        (!is_directory).then_some((stat.links, stat.size)),
    )
}

struct World {
    dirs: Vec<Dir>,
    files: Vec<(Arc<dyn File>, OpenOptions)>,
}

impl World {
    fn new(root: Dir) -> Self {
        World {
            dirs: vec![root],
            files: Vec::new(),
        }
    }

    fn dir(&self, number: usize) -> &Dir {
        &self.dirs[number % self.dirs.len()]
    }

    /// `None` if the operation does not apply.
    fn apply(&mut self, op: &Op) -> Option<Result<Given>> {
        let nothing = |()| Given::Nothing;
        let dir = |at: &At| self.dir(at.0);
        Some(match op {
            Op::Enter(at) => dir(at).enter(name(at.1)).map(|step| match step {
                Step::Directory(dir) => {
                    self.dirs.push(dir);
                    Given::Nothing
                }
                Step::Symlink(target) => Given::Bytes(target),
            }),
            Op::Open(at, options) => dir(at).open_at(name(at.1), *options).map(|file| {
                self.files.push((file, *options));
                Given::Nothing
            }),
            Op::Stat(at) => dir(at).stat_at(name(at.1)).map(|stat| given(&stat)),
            Op::ReadLink(at) => dir(at).read_link(name(at.1)).map(Given::Bytes),
            Op::CreateDirectory(at) => dir(at).create_directory(name(at.1)).map(nothing),
            Op::Symlink(at, target) => dir(at).symlink(name(at.1), target).map(nothing),
            Op::Link(at, to) => dir(at)
                .link(name(at.1), &**dir(to), name(to.1))
                .map(nothing),
            Op::Rename(at, to) => dir(at)
                .rename(name(at.1), &**dir(to), name(to.1))
                .map(nothing),
            Op::RemoveFile(at) => dir(at).remove_file(name(at.1)).map(nothing),
            Op::RemoveDirectory(at) => dir(at).remove_directory(name(at.1)).map(nothing),
            Op::List(at) => listed(self.dir(*at)).map(Given::Names),
            Op::SetTimes(at) => {
                let times = SetTimes {
                    accessed: SetTime::Keep,
                    modified: SetTime::To(7),
                };
                let set = dir(at).set_times_at(name(at.1), times);
                if set.is_ok() {
                    assert_eq!(dir(at).stat_at(name(at.1)).unwrap().modified, 7);
                }
                set.map(nothing)
            }
            Op::Close(number) => {
                if let Some(file) = number.checked_rem(self.files.len()) {
                    self.files.swap_remove(file);
                }
                let dir = number % self.dirs.len();
                if dir > 0 {
                    self.dirs.swap_remove(dir);
                }
                return None;
            }
            Op::Read(file, ..)
            | Op::Write(file, ..)
            | Op::Append(file, ..)
            | Op::SetSize(file, ..) => {
                let (file, options) = &self.files[file.checked_rem(self.files.len())?];
                if !options.write && !matches!(op, Op::Read(..)) {
                    return None;
                }
                on_file(&**file, op)
            }
            Op::Reopen | Op::Push => return None,
        })
    }
}

fn on_file(file: &dyn File, op: &Op) -> Result<Given> {
    match *op {
        Op::Read(_, offset, length) => {
            let mut buffer = vec![0xee; length];
            let count = file.read_at(&mut buffer, offset)?;
            buffer.truncate(count);
            Ok(Given::Bytes(buffer))
        }
        Op::Write(_, offset, length, seed) => {
            file.write_at(&vec![seed; length], offset).map(Given::Count)
        }
        Op::Append(_, seed) => file.append(&[seed; 10]).map(Given::Count),
        Op::SetSize(_, size) => file.set_size(size).map(|()| Given::Nothing),
        _ => unreachable!(),
    }
}

/// The names of a directory, a few at a time.
fn listed(dir: &Dir) -> Result<BTreeMap<Vec<u8>, FileType>> {
    let mut names = BTreeMap::new();
    let mut cookie = 0;
    loop {
        let mut last = None;
        dir.list(cookie, 1, &mut |entry| {
            assert!(entry.next < 1 << 31);
            assert_eq!(names.insert(entry.name.to_vec(), entry.file_type), None);
            last = Some(entry.next);
            match names.len() % 3 {
                0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        })?;
        match last {
            Some(next) => cookie = next,
            None => return Ok(names),
        }
    }
}

/// The numbers and times of all there is, by path.
fn stats(root: &Dir) -> BTreeMap<String, Stat> {
    let mut stats = BTreeMap::new();
    let mut pending = vec![(String::new(), Arc::clone(root))];
    while let Some((path, dir)) = pending.pop() {
        for at in listed(&dir).unwrap().keys() {
            if matches!(&at[..], b"." | b"..") {
                continue;
            }
            let at = Name::new(at).unwrap();
            let path = format!("{path}/{at:?}");
            let stat = dir.stat_at(at).unwrap();
            if let Ok(Step::Directory(dir)) = dir.enter(at) {
                assert_eq!(dir.stat().unwrap().inode, stat.inode);
                pending.push((path.clone(), dir));
            }
            stats.insert(path, stat);
        }
    }
    stats
}

/// Where uppers come from.
type Uppers = Box<dyn FnMut() -> Dir>;

/// An overlay, and a plain file system that has to do the same.
struct Both {
    uppers: Uppers,
    upper: Dir,
    lowers: Vec<Dir>,
    overlay: Overlay,
    ours: World,
    plain: World,
    /// What the lowers showed in the beginning, and each of them has.
    merged: Tree,
    before: Vec<BTreeMap<String, Stat>>,
    trees: Vec<Tree>,
    /// Our numbers of the plain files.
    numbers: HashMap<u64, u64>,
}

impl Both {
    fn new(lower: Dir, mut uppers: Uppers) -> Self {
        let merged = tree(&lower);
        let plain = memory();
        make(&plain, &merged);
        let upper = uppers();
        let overlay = Overlay::new(vec![Arc::clone(&lower)], Arc::clone(&upper));
        let mut both = Both {
            uppers,
            upper,
            lowers: Vec::new(),
            ours: World::new(overlay.root()),
            overlay,
            plain: World::new(plain),
            merged,
            before: Vec::new(),
            trees: Vec::new(),
            numbers: HashMap::new(),
        };
        both.lower(lower);
        both
    }

    /// There is another lower, which may not change from now on.
    fn lower(&mut self, lower: Dir) {
        self.trees.insert(0, tree(&lower));
        self.before.insert(0, stats(&lower));
        self.lowers.insert(0, lower);
    }

    fn root(&self) -> &Dir {
        &self.ours.dirs[0]
    }

    fn apply(&mut self, op: &Op) {
        let (ours, plain) = (self.ours.apply(op), self.plain.apply(op));
        assert_eq!(ours, plain, "{op:?}");
        if matches!(op, Op::Push) {
            self.push();
        }
        if matches!(op, Op::Push | Op::Reopen) {
            self.overlay = Overlay::new(self.lowers.clone(), Arc::clone(&self.upper));
            self.ours = World::new(self.overlay.root());
            self.plain = World::new(Arc::clone(&self.plain.dirs[0]));
            self.numbers.clear();
            self.compare();
        }
    }

    fn push(&mut self) {
        let upper = (self.uppers)();
        let lower = std::mem::replace(&mut self.upper, upper);
        self.lower(lower);
        self.merged = tree(self.root());
    }

    /// Each plain file has a number that is ours as long as it lives, and no other has.
    fn compare_numbers(&mut self) {
        let (ours, plain) = (stats(self.root()), stats(&self.plain.dirs[0]));
        for (path, ours) in &ours {
            let number = self.numbers.entry(plain[path].inode).or_insert(ours.inode);
            assert_eq!(*number, ours.inode, "{path}");
            assert_eq!(ours.device, self.root().stat().unwrap().device);
        }
        let mut here: Vec<_> = plain.values().map(|stat| stat.inode).collect();
        here.sort_unstable();
        here.dedup();
        let mut numbers: Vec<_> = here.iter().map(|number| self.numbers[number]).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), here.len());
    }

    fn compare(&mut self) {
        let ours = tree(self.root());
        assert_eq!(ours, tree(&self.plain.dirs[0]));
        for (ours, plain) in self.ours.dirs.iter().zip(&self.plain.dirs) {
            assert_eq!(listed(ours), listed(plain));
        }
        for ((ours, _), (plain, _)) in self.ours.files.iter().zip(&self.plain.files) {
            let read = Op::Read(0, 0, 100_000);
            assert_eq!(on_file(&**ours, &read), on_file(&**plain, &read));
        }
        let changes = self.overlay.changes().unwrap();
        let changed = self.merged.changed(&changes, &ours);
        assert_eq!(changed, ours, "{changes:#?}");

        for (lower, before) in self.lowers.iter().zip(&self.trees) {
            assert_eq!(&tree(lower), before);
        }
        for (lower, before) in self.lowers.iter().zip(&self.before) {
            let modified = |stats: &BTreeMap<String, Stat>| -> Vec<_> {
                stats.values().map(|stat| stat.modified).collect()
            };
            assert_eq!(modified(&stats(lower)), modified(before));
        }
    }
}

fn options() -> impl Strategy<Value = OpenOptions> {
    any::<(bool, bool, bool, bool)>().prop_map(|(write, create, exclusive, truncate)| OpenOptions {
        read: true,
        write: write || truncate || create,
        create,
        exclusive: exclusive && create,
        truncate,
        ..Default::default()
    })
}

fn at() -> impl Strategy<Value = At> {
    (0..6usize, prop::sample::select(&NAMES[..]))
}

/// What changes names.
fn changes() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => at().prop_map(Op::Enter),
        2 => (at(), options()).prop_map(|(at, options)| Op::Open(at, options)),
        1 => at().prop_map(|at| Op::Open(at, CREATE)),
        2 => at().prop_map(Op::CreateDirectory),
        1 => (at(), prop::sample::select(&TARGETS[..])).prop_map(|(at, to)| Op::Symlink(at, to)),
        4 => (at(), at()).prop_map(|(at, to)| Op::Rename(at, to)),
        1 => at().prop_map(Op::RemoveFile),
        1 => at().prop_map(Op::RemoveDirectory),
        1 => at().prop_map(Op::SetTimes),
    ]
}

fn ops() -> impl Strategy<Value = Op> {
    let file = 0..4usize;
    let looks = prop_oneof![
        at().prop_map(Op::Stat),
        at().prop_map(Op::ReadLink),
        (0..6usize).prop_map(Op::List),
        (0..6usize).prop_map(Op::Close),
    ];
    let files = prop_oneof![
        (file.clone(), 0..300_000u64, 0..10_000usize)
            .prop_map(|(file, at, length)| Op::Read(file, at, length)),
        (file.clone(), 0..300_000u64, 1..10_000usize, any::<u8>())
            .prop_map(|(file, at, length, seed)| Op::Write(file, at, length, seed)),
        (file.clone(), any::<u8>()).prop_map(|(file, seed)| Op::Append(file, seed)),
        (file, 0..300_000u64).prop_map(|(file, size)| Op::SetSize(file, size)),
    ];
    prop_oneof![6 => changes(), 2 => looks, 2 => files]
}

fn links() -> impl Strategy<Value = Op> {
    (at(), at()).prop_map(|(at, to)| Op::Link(at, to))
}

/// A tree to begin with.
fn trees() -> impl Strategy<Value = Tree> {
    trees_with(100_000)
}

/// A tree to begin with, whose files have up to three times so many zeros.
fn trees_with(zeros: usize) -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        2 => (any::<u8>(), 0..200usize).prop_map(|(seed, size)| Tree::File(vec![seed; size])),
        1 => (1..4usize).prop_map(move |times| {
            let mut content = vec![0; times * zeros];
            content.push(1);
            Tree::File(content)
        }),
        1 => Just(Tree::Link(b"a/b".to_vec())),
    ];
    let named = || prop::sample::select(&NAMES[..]).prop_map(|name| name.as_bytes().to_vec());
    let below = leaf.prop_recursive(3, 16, 3, move |below| {
        prop::collection::btree_map(named(), below, 0..=3).prop_map(Tree::Directory)
    });
    prop::collection::btree_map(named(), below, 2..=3).prop_map(Tree::Directory)
}

fn lower(tree: &Tree) -> Dir {
    let lower = memory();
    make(&lower, tree);
    lower
}

fn memories() -> Uppers {
    Box::new(memory)
}

#[cfg(target_os = "linux")]
fn host_directory() -> (tempfile::TempDir, Dir) {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let dir = dir.unwrap();
    let root = wasmrun_fs::HostDirectory::open(dir.path()).unwrap();
    (dir, Arc::new(root))
}

#[cfg(target_os = "linux")]
fn hosts() -> Uppers {
    let mut kept = Vec::new();
    Box::new(move || {
        let (dir, root) = host_directory();
        kept.push(dir);
        root
    })
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn operations_do_what_they_do_on_a_plain_file_system(
        tree in trees(),
        ops in prop::collection::vec(prop_oneof![15 => ops(), 1 => links()], 0..80),
    ) {
        let mut both = Both::new(lower(&tree), memories());
        for op in &ops {
            both.apply(op);
            if !matches!(op, Op::Stat(_) | Op::ReadLink(_) | Op::Read(..)) {
                both.compare_numbers();
            }
        }
        both.compare();
    }

    /// Without links, as those of a lower are not kept.
    #[test]
    fn what_was_an_upper_can_be_a_lower(
        tree in trees(),
        ops in prop::collection::vec(
            prop_oneof![30 => ops(), 2 => Just(Op::Reopen), 1 => Just(Op::Push)],
            0..120,
        ),
    ) {
        let mut both = Both::new(lower(&tree), memories());
        for op in &ops {
            both.apply(op);
        }
        both.compare();
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn changes_made_for_good_make_what_was_shown(
        before in trees(),
        ops in prop::collection::vec(ops(), 0..80),
    ) {
        let lower = lower(&before);
        let overlay = Overlay::new(vec![Arc::clone(&lower)], memory());
        let root = overlay.root();
        let kept = Kept::new(overlay, vec![Arc::clone(&lower)], Some(Arc::clone(&lower)));
        made_for_good(&kept, root, &lower, &ops);
    }

    #[test]
    fn changes_of_a_copy_make_of_the_original_what_it_is(
        before in trees(),
        ops in prop::collection::vec(prop_oneof![15 => ops(), 1 => links()], 0..80),
    ) {
        let original = lower(&before);
        let memory = Memory::new(MemoryLimits::default());
        let commits_to = Some(Arc::clone(&original));
        let kept = Kept::copy(Arc::clone(&original), &memory, commits_to, &|| Ok(())).unwrap();
        assert_eq!(tree(&memory.root()), before);
        assert_eq!(kept.changes().unwrap(), []);
        made_for_good(&kept, memory.root(), &original, &ops);
    }
}

proptest! {
    #![proptest_config(config(40))]

    #[test]
    fn a_commit_goes_on_whenever_it_ended(
        before in trees_with(1),
        ops in prop::collection::vec(ops(), 0..30),
    ) {
        for steps in 0.. {
            let (lower, upper) = (lower(&before), memory());
            let overlay = Overlay::new(vec![Arc::clone(&lower)], Arc::clone(&upper));
            let mut world = World::new(overlay.root());
            for op in &ops {
                world.apply(op);
            }
            let shown = tree(&world.dirs[0]);
            let mut saved = Commit::new(overlay.changes().unwrap());
            let fuse = Fuse::new(true);
            let to = Fragile { inner: Arc::clone(&lower), fuse: fuse.clone() };
            fuse.set(steps);
            let ended = saved.clone().make(&*world.dirs[0], &to, &mut |commit| {
                saved = commit.clone();
                Ok(())
            });
            let whole = !fuse.is_blown();
            prop_assert_eq!(ended.is_ok(), whole);
            // By another process.
            let overlay = Overlay::new(vec![Arc::clone(&lower)], upper);
            saved.make(&*overlay.root(), &*lower, &mut |_| Ok(())).unwrap();
            prop_assert_eq!(tree(&lower), shown);
            if whole {
                break;
            }
        }
    }
}

/// Does operations, and makes the changes in a directory, which then has what was shown.
fn made_for_good(kept: &Kept, root: Dir, to: &Dir, ops: &[Op]) {
    let mut world = World::new(root);
    for op in ops {
        world.apply(op);
    }
    let shown = tree(&world.dirs[0]);
    let changes = kept.changes().unwrap();
    kept.commit().unwrap();
    assert_eq!(tree(to), shown, "{changes:#?}");
}

#[cfg(target_os = "linux")]
proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn another_overlay_goes_on_with_directories_of_the_host(
        tree in trees(),
        ops in prop::collection::vec(
            prop_oneof![15 => ops(), 1 => links(), 2 => Just(Op::Reopen)],
            0..80,
        ),
    ) {
        let (_dir, lower) = host_directory();
        make(&lower, &tree);
        let mut both = Both::new(lower, hosts());
        for op in &ops {
            both.apply(op);
            both.compare_numbers();
        }
        both.compare();
    }
}

/// What an operation leaves if a step of it fails.
struct Broken {
    upper: Dir,
    lower: Dir,
    fuse: Fuse,
    world: World,
    before: Tree,
}

impl Broken {
    /// After these operations.
    fn after(lower_tree: &Tree, ops: &[Op], kills: bool) -> Self {
        let (lower, upper) = (lower(lower_tree), memory());
        let fuse = Fuse::new(kills);
        let fragile = Fragile {
            inner: Arc::clone(&upper),
            fuse: fuse.clone(),
        };
        let overlay = Overlay::new(vec![Arc::clone(&lower)], Arc::new(fragile));
        let mut world = World::new(overlay.root());
        for op in ops {
            world.apply(op);
        }
        let before = tree(&world.dirs[0]);
        Broken {
            upper,
            lower,
            fuse,
            world,
            before,
        }
    }

    fn reopened(&self) -> (Tree, Overlay) {
        let overlay = Overlay::new(vec![Arc::clone(&self.lower)], Arc::clone(&self.upper));
        (tree(&overlay.root()), overlay)
    }
}

/// A kill at any step leaves the old state or the new.
fn survives_kills(lower: &Tree, ops: &[Op]) {
    for (number, op) in ops.iter().enumerate() {
        let mut whole = Broken::after(lower, &ops[..number], true);
        whole.world.apply(op);
        let after = whole.reopened().0;
        for steps in 0.. {
            let mut broken = Broken::after(lower, &ops[..number], true);
            broken.fuse.set(steps);
            broken.world.apply(op);
            let (left, overlay) = broken.reopened();
            let states = [&broken.before, &after];
            assert!(states.contains(&&left), "{op:?} after {steps} steps");
            let changes = overlay.changes().unwrap();
            assert_eq!(lower.changed(&changes, &left), left);
            if !broken.fuse.is_blown() {
                break;
            }
        }
    }
}

/// A step that fails leaves the old state or the new, and what is shown is what is kept, also when it goes on.
fn survives_errors(lower: &Tree, ops: &[Op], more: &[Op]) {
    for (number, op) in ops.iter().enumerate() {
        let mut whole = Broken::after(lower, &ops[..number], false);
        whole.world.apply(op);
        let after = whole.reopened().0;
        for steps in 0.. {
            let mut broken = Broken::after(lower, &ops[..number], false);
            broken.fuse.set(steps);
            let given = broken.world.apply(op);
            let left = tree(&broken.world.dirs[0]);
            match given {
                Some(Ok(_)) => assert_eq!(left, after),
                _ => assert!([&broken.before, &after].contains(&&left), "{op:?}"),
            }
            assert_eq!(broken.reopened().0, left);
            let blown = broken.fuse.is_blown();
            broken.fuse.set(i64::MAX);
            for op in more {
                broken.world.apply(op);
            }
            assert_eq!(broken.reopened().0, tree(&broken.world.dirs[0]));
            if !blown {
                break;
            }
        }
    }
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn a_kill_at_any_step_leaves_the_old_state_or_the_new(
        tree in trees_with(1),
        ops in prop::collection::vec(changes(), 1..16),
    ) {
        survives_kills(&tree, &ops);
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_state_or_the_new(
        tree in trees_with(1),
        ops in prop::collection::vec(changes(), 1..16),
        more in prop::collection::vec(changes(), 0..10),
    ) {
        survives_errors(&tree, &ops, &more);
    }
}

/// What is done rarely: a directory goes that was renamed and has lost what the lower has in it.
#[test]
fn a_renamed_directory_goes_in_one_step_or_not_at_all() {
    let lower = tree(&filled(&["a/", "a/a", "a/b/", "a/b/c", "b/", "b/a"]));
    let emptied = [
        Op::Rename((0, "b"), (0, "c")),
        Op::Enter((0, "a")),
        Op::RemoveFile((1, "a")),
        Op::Rename((0, "a"), (0, "b")),
        Op::Rename((1, "b"), (0, "a")),
    ];
    let removed = [Op::RemoveDirectory((0, "b"))];
    let replaced = [Op::Rename((0, "c"), (0, "b"))];
    let more = [
        Op::Rename((0, "b"), (0, "a")),
        Op::CreateDirectory((0, "b")),
        Op::Rename((0, "b"), (0, "c")),
        Op::Rename((0, "c"), (0, "b")),
    ];
    for last in [removed, replaced] {
        let ops = [&emptied[..], &last].concat();
        survives_kills(&lower, &ops);
        for number in 0..more.len() {
            survives_errors(&lower, &ops, &more[number..]);
        }
    }
}
