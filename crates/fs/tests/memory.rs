//! The rules of a file system in memory.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;

use wasmrun_fs::{
    Advice, Directory, Errno, File, FileType, Memory, MemoryLimits, MemoryUse, Name, OpenOptions,
    SetTime, SetTimes, Step,
};

const PAGE: u64 = 4096;
const SIZE_MAX: u64 = i64::MAX as u64;
const NO_LIMITS: MemoryLimits = MemoryLimits {
    bytes: None,
    entries: None,
};

const OPEN: OpenOptions = OpenOptions {
    read: true,
    write: true,
    create: false,
    exclusive: false,
    truncate: false,
    sync: wasmrun_fs::SyncWrites::No,
};
const CREATE: OpenOptions = OpenOptions {
    create: true,
    ..OPEN
};
const EXCLUSIVE: OpenOptions = OpenOptions {
    exclusive: true,
    ..CREATE
};
const TRUNCATE: OpenOptions = OpenOptions {
    truncate: true,
    ..OPEN
};

type Dir = Arc<dyn Directory>;

fn name(name: &str) -> Name<'_> {
    Name::new(name.as_bytes()).unwrap()
}

fn memory() -> (Memory, Dir) {
    limited(NO_LIMITS)
}

fn limited(limits: MemoryLimits) -> (Memory, Dir) {
    let memory = Memory::new(limits);
    let root = memory.root();
    (memory, root)
}

fn bytes(bytes: u64) -> MemoryLimits {
    MemoryLimits {
        bytes: Some(bytes),
        entries: None,
    }
}

fn entries(entries: u64) -> MemoryLimits {
    MemoryLimits {
        bytes: None,
        entries: Some(entries),
    }
}

/// A file system whose time is set by hand.
fn timed() -> (Arc<AtomicU64>, Dir) {
    let time = Arc::new(AtomicU64::new(100));
    let clock = Arc::clone(&time);
    let memory = Memory::with_clock(NO_LIMITS, Arc::new(move || clock.load(SeqCst)));
    (time, memory.root())
}

fn create(dir: &Dir, at: &str) -> Arc<dyn File> {
    dir.open_at(name(at), EXCLUSIVE).unwrap()
}

fn make_directory(dir: &Dir, at: &str) -> Dir {
    dir.create_directory(name(at)).unwrap();
    enter(dir, at)
}

fn enter(dir: &Dir, at: &str) -> Dir {
    match dir.enter(name(at)).unwrap() {
        Step::Directory(dir) => dir,
        Step::Symlink(_) => panic!("{at} is a symbolic link"),
    }
}

fn contents(file: &dyn File) -> Vec<u8> {
    let mut buffer = vec![0xff; file.stat().unwrap().size as usize + 1];
    let count = file.read_at(&mut buffer, 0).unwrap();
    buffer.truncate(count);
    buffer
}

fn listed(dir: &Dir, cookie: u64) -> Vec<(String, u64)> {
    let mut entries = Vec::new();
    dir.list(cookie, 1 << 16, &mut |entry| {
        entries.push((String::from_utf8_lossy(entry.name).into_owned(), entry.next));
        ControlFlow::Continue(())
    })
    .unwrap();
    entries
}

fn names(dir: &Dir) -> Vec<String> {
    listed(dir, 0).into_iter().map(|(name, _)| name).collect()
}

fn error<T>(result: Result<T, Errno>) -> Option<Errno> {
    result.err()
}

#[test]
fn everything_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Memory>();
    shared::<Dir>();
    shared::<Arc<dyn File>>();
}

// Content and its limit.

#[test]
fn holes_take_no_room_and_read_as_zeros() {
    let (memory, root) = memory();
    let file = create(&root, "f");
    file.set_size(1 << 40).unwrap();
    assert_eq!(memory.used().bytes, 0);
    let mut buffer = [1; 10_000];
    assert_eq!(file.read_at(&mut buffer, (1 << 40) - 5000), Ok(5000));
    assert!(buffer[..5000].iter().all(|&byte| byte == 0));
    assert_eq!(file.write_at(b"x", 1 << 39), Ok(1));
    assert_eq!(memory.used().bytes, PAGE);
    assert_eq!(file.stat().unwrap().size, 1 << 40);
}

#[test]
fn nothing_is_read_at_the_end_and_behind_it() {
    let (_, root) = memory();
    let file = create(&root, "f");
    file.write_at(b"abc", 0).unwrap();
    for offset in [3, 4, SIZE_MAX, u64::MAX] {
        assert_eq!(file.read_at(&mut [0; 4], offset), Ok(0));
    }
    let mut buffer = [0; 4];
    assert_eq!(file.read_at(&mut buffer, 1), Ok(2));
    assert_eq!(&buffer, b"bc\0\0");
}

#[test]
fn what_was_cut_off_reads_as_zeros_when_the_file_grows_again() {
    let (_, root) = memory();
    let file = create(&root, "f");
    file.write_at(&[7; 9000], 0).unwrap();
    file.set_size(4100).unwrap();
    file.set_size(9000).unwrap();
    let content = contents(&*file);
    assert!(content[..4100].iter().all(|&byte| byte == 7));
    assert!(content[4100..].iter().all(|&byte| byte == 0));
}

#[test]
fn pages_are_charged_once_and_given_back_by_truncation() {
    let (memory, root) = memory();
    let file = create(&root, "f");
    for _ in 0..2 {
        file.write_at(&[1; 5000], 4000).unwrap();
        assert_eq!(memory.used().bytes, 3 * PAGE);
    }
    file.set_size(4097).unwrap();
    assert_eq!(memory.used().bytes, 2 * PAGE);
    file.set_size(4096).unwrap();
    assert_eq!(memory.used().bytes, PAGE);
    root.open_at(name("f"), TRUNCATE).unwrap();
    assert_eq!(memory.used().bytes, 0);
}

#[test]
fn pages_are_given_back_with_the_last_name_and_the_last_handle() {
    let (memory, root) = memory();
    let file = create(&root, "f");
    file.append(&[1; 5000]).unwrap();
    root.link(name("f"), &*root, name("g")).unwrap();
    root.remove_file(name("f")).unwrap();
    root.remove_file(name("g")).unwrap();
    assert_eq!(file.stat().unwrap().links, 0);
    file.append(b"more").unwrap();
    assert_eq!(contents(&*file).len(), 5004);
    assert_eq!(
        memory.used(),
        MemoryUse {
            bytes: 2 * PAGE,
            entries: 2
        }
    );
    drop(file);
    assert_eq!(
        memory.used(),
        MemoryUse {
            bytes: 0,
            entries: 1
        }
    );
}

#[test]
fn pages_are_given_back_by_a_rename_over_the_file() {
    let (memory, root) = memory();
    create(&root, "f").append(b"f").unwrap();
    create(&root, "g").append(b"g").unwrap();
    root.rename(name("f"), &*root, name("g")).unwrap();
    assert_eq!(
        memory.used(),
        MemoryUse {
            bytes: PAGE,
            entries: 2
        }
    );
}

#[test]
fn a_write_gets_what_there_is_room_for() {
    let (memory, root) = limited(bytes(3 * PAGE + 100));
    let file = create(&root, "f");
    file.write_at(b"x", 2 * PAGE).unwrap();
    assert_eq!(file.write_at(&[1; 20_000], 100), Ok(3 * 4096 - 100));
    assert_eq!(file.stat().unwrap().size, 3 * PAGE);
    assert_eq!(error(file.write_at(b"x", 3 * PAGE)), Some(Errno::Nospc));
    assert_eq!(error(file.append(b"x")), Some(Errno::Nospc));
    assert_eq!(file.stat().unwrap().size, 3 * PAGE);
    assert_eq!(file.write_at(&[2; 4096], 0), Ok(4096));
    assert_eq!(memory.used().bytes, 3 * PAGE);
    file.set_size(PAGE).unwrap();
    assert_eq!(file.append(b"x"), Ok(1));
}

#[test]
fn to_write_nothing_does_nothing() {
    let (_, root) = limited(MemoryLimits {
        bytes: Some(0),
        entries: None,
    });
    assert_eq!(error(root.open_at(name("f"), CREATE)), Some(Errno::Nospc));
    let (_, root) = limited(MemoryLimits {
        bytes: Some(0),
        entries: Some(2),
    });
    let file = create(&root, "f");
    let before = file.stat();
    assert_eq!(file.write_at(b"", u64::MAX), Ok(0));
    assert_eq!(file.append(b""), Ok(0));
    assert_eq!(file.stat(), before);
    assert_eq!(error(file.append(b"x")), Some(Errno::Nospc));
}

#[test]
fn a_file_ends_at_the_largest_offset() {
    let (memory, root) = memory();
    let file = create(&root, "f");
    assert_eq!(file.write_at(b"abc", SIZE_MAX - 2), Ok(2));
    assert_eq!(file.stat().unwrap().size, SIZE_MAX);
    for offset in [SIZE_MAX, SIZE_MAX + 1, u64::MAX] {
        assert_eq!(error(file.write_at(b"x", offset)), Some(Errno::Fbig));
    }
    assert_eq!(error(file.append(b"x")), Some(Errno::Fbig));
    assert_eq!(error(file.set_size(SIZE_MAX + 1)), Some(Errno::Fbig));
    assert_eq!(error(file.allocate(SIZE_MAX, 1)), Some(Errno::Fbig));
    assert_eq!(error(file.allocate(u64::MAX, u64::MAX)), Some(Errno::Fbig));
    assert_eq!(file.set_size(SIZE_MAX), Ok(()));
    assert_eq!(memory.used().bytes, PAGE);
}

#[test]
fn allocation_charges_all_pages_or_none() {
    let (memory, root) = limited(bytes(4 * PAGE));
    let file = create(&root, "f");
    file.write_at(b"x", PAGE).unwrap();
    assert_eq!(error(file.allocate(0, 4 * PAGE + 1)), Some(Errno::Nospc));
    assert_eq!(memory.used().bytes, PAGE);
    assert_eq!(error(file.allocate(0, 0)), Some(Errno::Inval));
    assert_eq!(file.allocate(4095, 2 * PAGE), Ok(()));
    assert_eq!(memory.used().bytes, 3 * PAGE);
    assert_eq!(file.stat().unwrap().size, 4095 + 2 * PAGE);
    let other = create(&root, "g");
    assert_eq!(other.append(&[1; 5000]), Ok(4096));
    assert_eq!(file.write_at(&[2; 3 * 4096], 0), Ok(3 * 4096));
    assert_eq!(file.allocate(0, 1), Ok(()));
    assert_eq!(file.stat().unwrap().size, 3 * PAGE);
    file.set_size(0).unwrap();
    assert_eq!(memory.used().bytes, PAGE);
}

#[test]
fn allocation_costs_no_memory_before_it_is_written() {
    let (memory, root) = memory();
    let files: Vec<_> = (0..5000).map(|i| create(&root, &i.to_string())).collect();
    let full = files
        .iter()
        .position(|file| file.allocate(0, SIZE_MAX) == Err(Errno::Nospc));
    assert_eq!(full, Some(1));
    files[0].write_at(b"x", 1 << 50).unwrap();
    assert_eq!(memory.used().bytes, 1 << 63);
    files[0].set_size(1).unwrap();
    assert_eq!(memory.used().bytes, PAGE);
}

// Entries and their limit.

#[test]
fn every_inode_and_every_further_name_is_an_entry() {
    let (memory, root) = limited(entries(4));
    make_directory(&root, "d");
    create(&root, "f");
    root.link(name("f"), &*root, name("g")).unwrap();
    assert_eq!(memory.used().entries, 4);
    assert_eq!(
        error(root.link(name("f"), &*root, name("h"))),
        Some(Errno::Nospc)
    );
    assert_eq!(error(root.create_directory(name("h"))), Some(Errno::Nospc));
    assert_eq!(error(root.symlink(name("h"), b"f")), Some(Errno::Nospc));
    assert_eq!(error(root.open_at(name("h"), CREATE)), Some(Errno::Nospc));
    assert_eq!(
        error(root.open_at(name("f"), EXCLUSIVE)),
        Some(Errno::Exist)
    );
    assert_eq!(names(&root), [".", "..", "d", "f", "g"]);
    root.remove_file(name("f")).unwrap();
    root.symlink(name("h"), b"f").unwrap();
    root.remove_file(name("g")).unwrap();
    root.remove_file(name("h")).unwrap();
    root.remove_directory(name("d")).unwrap();
    assert_eq!(memory.used().entries, 1);
}

#[test]
fn a_removed_directory_is_an_entry_while_it_is_open() {
    let (memory, root) = memory();
    let dir = make_directory(&root, "d");
    root.remove_directory(name("d")).unwrap();
    assert_eq!(memory.used().entries, 2);
    drop(dir);
    assert_eq!(memory.used().entries, 1);
}

#[test]
fn a_limit_of_bytes_limits_the_entries() {
    let (_, root) = limited(bytes(2 * PAGE + 1));
    create(&root, "1");
    create(&root, "2");
    assert_eq!(error(root.open_at(name("3"), CREATE)), Some(Errno::Nospc));
    let (_, root) = limited(MemoryLimits {
        bytes: Some(0),
        entries: Some(10),
    });
    create(&root, "1");
}

#[test]
fn there_is_a_root_whatever_the_limit() {
    let (memory, root) = limited(entries(0));
    assert_eq!(memory.used().entries, 1);
    assert_eq!(error(root.create_directory(name("d"))), Some(Errno::Nospc));
}

#[test]
fn targets_of_symbolic_links_have_bounds() {
    let (_, root) = memory();
    create(&root, "f");
    let longest = vec![b'x'; 4095];
    root.symlink(name("l"), &longest).unwrap();
    assert_eq!(root.read_link(name("l")), Ok(longest.clone()));
    assert_eq!(root.stat_at(name("l")).unwrap().size, 4095);
    for at in ["new", "f"] {
        assert_eq!(
            error(root.symlink(name(at), &[b'x'; 4096])),
            Some(Errno::Nametoolong)
        );
        assert_eq!(error(root.symlink(name(at), b"")), Some(Errno::Noent));
        assert_eq!(error(root.symlink(name(at), b"a\0b")), Some(Errno::Inval));
    }
    assert_eq!(error(root.symlink(name("f"), b"x")), Some(Errno::Exist));
}

// Errors.

#[test]
fn opening_tells_what_is_no_file() {
    let (_, root) = memory();
    make_directory(&root, "d");
    root.symlink(name("l"), b"target").unwrap();
    for options in [OPEN, CREATE, TRUNCATE] {
        assert_eq!(error(root.open_at(name("d"), options)), Some(Errno::Isdir));
        assert_eq!(error(root.open_at(name("l"), options)), Some(Errno::Loop));
    }
    for at in ["d", "l"] {
        assert_eq!(error(root.open_at(name(at), EXCLUSIVE)), Some(Errno::Exist));
    }
    assert_eq!(error(root.open_at(name("none"), OPEN)), Some(Errno::Noent));
    let exclusive = OpenOptions {
        create: false,
        ..EXCLUSIVE
    };
    create(&root, "f");
    assert_eq!(error(root.open_at(name("f"), exclusive)), None);
}

#[test]
fn paths_lead_through_directories_and_symbolic_links() {
    let (_, root) = memory();
    create(&root, "f");
    root.symlink(name("l"), b"target").unwrap();
    assert_eq!(error(root.enter(name("f"))), Some(Errno::Notdir));
    assert_eq!(error(root.enter(name("none"))), Some(Errno::Noent));
    assert!(matches!(root.enter(name("l")), Ok(Step::Symlink(target)) if target == b"target"));
    assert_eq!(error(root.read_link(name("f"))), Some(Errno::Inval));
}

#[test]
fn nothing_is_in_a_removed_directory() {
    let (memory, root) = memory();
    create(&root, "f");
    let dir = make_directory(&root, "d");
    root.remove_directory(name("d")).unwrap();
    let at = name("x");
    let f = name("f");
    let attempts = [
        error(dir.open_at(at, CREATE)),
        error(dir.open_at(at, OPEN)),
        error(dir.create_directory(at)),
        error(dir.symlink(at, b"target")),
        error(root.link(f, &*dir, at)),
        error(root.rename(f, &*dir, at)),
        error(dir.rename(at, &*root, f)),
        error(dir.stat_at(at)),
        error(dir.enter(at)),
        error(dir.remove_file(at)),
        error(dir.list(0, 100, &mut |_| ControlFlow::Continue(()))),
    ];
    assert_eq!(attempts, [Some(Errno::Noent); 11]);
    assert_eq!(memory.used().entries, 3);
    let stat = dir.stat().unwrap();
    assert_eq!((stat.links, stat.size), (0, 40));
    assert_eq!((dir.open(), dir.sync()), (Ok(()), Ok(())));
}

#[test]
fn removal_tells_directories_from_files() {
    let (_, root) = memory();
    let dir = make_directory(&root, "d");
    create(&dir, "f");
    root.symlink(name("l"), b"d").unwrap();
    assert_eq!(error(root.remove_file(name("d"))), Some(Errno::Isdir));
    assert_eq!(
        error(root.remove_directory(name("d"))),
        Some(Errno::Notempty)
    );
    assert_eq!(error(dir.remove_directory(name("f"))), Some(Errno::Notdir));
    assert_eq!(error(root.remove_directory(name("l"))), Some(Errno::Notdir));
    assert_eq!(error(root.remove_file(name("none"))), Some(Errno::Noent));
    assert_eq!(
        error(root.remove_directory(name("none"))),
        Some(Errno::Noent)
    );
}

#[test]
fn a_directory_has_no_second_name() {
    let (_, root) = memory();
    make_directory(&root, "d");
    create(&root, "f");
    assert_eq!(
        error(root.link(name("d"), &*root, name("e"))),
        Some(Errno::Perm)
    );
    assert_eq!(
        error(root.link(name("d"), &*root, name("f"))),
        Some(Errno::Exist)
    );
    assert_eq!(
        error(root.link(name("none"), &*root, name("f"))),
        Some(Errno::Noent)
    );
}

#[test]
fn rename_replaces_like_by_like() {
    let (_, root) = memory();
    let full = make_directory(&root, "full");
    create(&full, "x");
    make_directory(&root, "empty");
    create(&root, "f");
    let rename = |from: &str, to: &str| error(root.rename(name(from), &*root, name(to)));
    assert_eq!(rename("none", "full"), Some(Errno::Noent));
    assert_eq!(rename("empty", "f"), Some(Errno::Notdir));
    assert_eq!(rename("f", "empty"), Some(Errno::Isdir));
    assert_eq!(rename("f", "full"), Some(Errno::Isdir));
    assert_eq!(rename("empty", "full"), Some(Errno::Notempty));
    assert_eq!(rename("full", "full"), None);
    assert_eq!(rename("full", "empty"), None);
    assert_eq!(names(&root), [".", "..", "empty", "f"]);
    assert_eq!(names(&enter(&root, "empty")), [".", "..", "x"]);
}

#[test]
fn rename_of_a_name_of_the_same_file_does_nothing() {
    let (time, root) = timed();
    create(&root, "f");
    root.link(name("f"), &*root, name("g")).unwrap();
    time.store(200, SeqCst);
    root.rename(name("f"), &*root, name("g")).unwrap();
    assert_eq!(names(&root), [".", "..", "f", "g"]);
    assert_eq!(root.stat_at(name("f")).unwrap().changed, 100);
    assert_eq!(root.stat().unwrap().modified, 100);
}

#[test]
fn a_directory_is_not_moved_into_itself() {
    let (_, root) = memory();
    let a = make_directory(&root, "a");
    let b = make_directory(&a, "b");
    for to in [&a, &b] {
        assert_eq!(
            error(root.rename(name("a"), &**to, name("x"))),
            Some(Errno::Inval)
        );
    }
    create(&b, "f");
    assert_eq!(
        error(b.rename(name("f"), &*root, name("a"))),
        Some(Errno::Notempty)
    );
    b.rename(name("f"), &*root, name("f")).unwrap();
    a.rename(name("b"), &*root, name("b")).unwrap();
    root.rename(name("a"), &*b, name("a")).unwrap();
    assert_eq!(
        error(root.rename(name("b"), &*a, name("b"))),
        Some(Errno::Inval)
    );
}

#[test]
fn other_file_systems_are_out_of_reach() {
    let (_, root) = memory();
    let (_, other) = memory();
    create(&root, "f");
    create(&other, "taken");
    assert_eq!(
        error(root.rename(name("f"), &*other, name("g"))),
        Some(Errno::Xdev)
    );
    assert_eq!(
        error(root.rename(name("none"), &*other, name("g"))),
        Some(Errno::Xdev)
    );
    assert_eq!(
        error(root.link(name("f"), &*other, name("g"))),
        Some(Errno::Xdev)
    );
    assert_eq!(
        error(root.link(name("f"), &*other, name("taken"))),
        Some(Errno::Exist)
    );
    assert_eq!(
        error(root.link(name("none"), &*other, name("g"))),
        Some(Errno::Noent)
    );
}

// What is known of files.

#[test]
fn numbers_tell_files_and_file_systems_apart() {
    let (first, root) = memory();
    let (_, other) = memory();
    let (stat, other) = (root.stat().unwrap(), other.stat().unwrap());
    assert_eq!((stat.inode, other.inode), (1, 1));
    assert_ne!(stat.device, other.device);
    assert_eq!(first.clone().root().stat().unwrap().device, stat.device);
    let file = create(&root, "f").stat().unwrap();
    root.remove_file(name("f")).unwrap();
    let next = create(&root, "f").stat().unwrap();
    assert_eq!((file.inode, next.inode), (2, 3));
    assert_eq!(next.device, stat.device);
}

#[test]
fn a_directory_counts_its_names_and_its_entries() {
    let (_, root) = memory();
    let count = |dir: &Dir| {
        let stat = dir.stat().unwrap();
        (stat.links, stat.size / 20 - 2)
    };
    assert_eq!(count(&root), (2, 0));
    let a = make_directory(&root, "a");
    let b = make_directory(&root, "b");
    create(&root, "f");
    assert_eq!(count(&root), (4, 3));
    root.rename(name("b"), &*a, name("b")).unwrap();
    assert_eq!(
        (count(&root), count(&a), count(&b)),
        ((3, 2), (3, 1), (2, 0))
    );
    make_directory(&root, "b");
    a.rename(name("b"), &*root, name("b")).unwrap();
    assert_eq!(
        (count(&root), count(&a), count(&b)),
        ((4, 3), (2, 0), (2, 0))
    );
    root.remove_directory(name("b")).unwrap();
    assert_eq!((count(&root), count(&b)), ((3, 2), (0, 0)));
    assert_eq!(root.stat_at(name("a")), a.stat());
}

#[test]
fn a_read_shows_if_it_is_the_first_since_a_change_and_once_a_day() {
    const DAY: u64 = 86_400_000_000_000;
    let (time, root) = timed();
    let file = create(&root, "f");
    let read_at = |now| {
        time.store(now, SeqCst);
        file.read_at(&mut [], 0).unwrap();
        let _ = listed(&root, 0);
        assert_eq!(file.stat().unwrap().accessed, root.stat().unwrap().accessed);
        file.stat().unwrap().accessed
    };
    assert_eq!(read_at(110), 110);
    assert_eq!(read_at(120), 110);
    assert_eq!(read_at(109 + DAY), 110);
    assert_eq!(read_at(110 + DAY), 110 + DAY);
    assert_eq!(read_at(50), 110 + DAY);
}

#[test]
fn a_write_without_room_is_a_change_and_one_out_of_bounds_is_none() {
    let time = Arc::new(AtomicU64::new(100));
    let clock = Arc::clone(&time);
    let limits = MemoryLimits {
        bytes: Some(0),
        entries: Some(2),
    };
    let memory = Memory::with_clock(limits, Arc::new(move || clock.load(SeqCst)));
    let file = create(&memory.root(), "f");
    let modified_at = |now, result: Result<usize, Errno>, expected| {
        assert_eq!(error(result), Some(expected));
        time.store(now, SeqCst);
        file.stat().unwrap().modified
    };
    assert_eq!(modified_at(200, file.append(b"x"), Errno::Nospc), 100);
    assert_eq!(modified_at(300, file.append(b"x"), Errno::Nospc), 200);
    assert_eq!(
        modified_at(400, file.write_at(b"x", SIZE_MAX), Errno::Fbig),
        200
    );
    assert_eq!(error(file.allocate(0, 1)), Some(Errno::Nospc));
    assert_eq!(file.stat().unwrap().modified, 200);
}

#[test]
fn times_are_set_and_that_is_a_change() {
    let (time, root) = timed();
    let file = create(&root, "f");
    let times = |accessed, modified| SetTimes { accessed, modified };
    let stat = || {
        let stat = file.stat().unwrap();
        (stat.accessed, stat.modified, stat.changed)
    };
    time.store(200, SeqCst);
    file.set_times(times(SetTime::Keep, SetTime::Keep)).unwrap();
    assert_eq!(stat(), (100, 100, 100));
    file.set_times(times(SetTime::To(1), SetTime::Keep))
        .unwrap();
    assert_eq!(stat(), (1, 100, 200));
    time.store(300, SeqCst);
    root.set_times_at(name("f"), times(SetTime::Keep, SetTime::Now))
        .unwrap();
    assert_eq!(stat(), (1, 300, 300));
    let nothing = root.set_times_at(name("g"), times(SetTime::Now, SetTime::Now));
    assert_eq!(error(nothing), Some(Errno::Noent));
    root.set_times(times(SetTime::To(7), SetTime::To(8)))
        .unwrap();
    let root = root.stat().unwrap();
    assert_eq!((root.accessed, root.modified, root.changed), (7, 8, 300));
}

#[test]
fn advice_and_sync_have_nothing_to_do() {
    let (_, root) = memory();
    let file = create(&root, "f");
    assert_eq!(file.advise(0, 0, Advice::WillNeed), Ok(()));
    assert_eq!((file.sync(true), file.sync(false)), (Ok(()), Ok(())));
}

// Listing.

#[test]
fn entries_are_listed_in_the_order_they_were_made() {
    let (_, root) = memory();
    for at in ["z", "a", "m"] {
        create(&root, at);
    }
    let dir = make_directory(&root, "d");
    assert_eq!(names(&root), [".", "..", "z", "a", "m", "d"]);
    root.rename(name("z"), &*root, name("y")).unwrap();
    assert_eq!(names(&root), [".", "..", "a", "m", "d", "y"]);
    root.rename(name("y"), &*root, name("a")).unwrap();
    assert_eq!(names(&root), [".", "..", "a", "m", "d"]);
    root.rename(name("a"), &*dir, name("a")).unwrap();
    assert_eq!(names(&root), [".", "..", "m", "d"]);
    let number = dir.stat().unwrap().inode;
    let mut types = Vec::new();
    dir.list(0, 0, &mut |entry| {
        types.push((entry.file_type, entry.inode == number));
        ControlFlow::Continue(())
    })
    .unwrap();
    let directory = (FileType::Directory, true);
    assert_eq!(types, [directory, directory, (FileType::Regular, false)]);
}

#[test]
fn a_list_goes_on_wherever_it_was_left() {
    let (_, root) = memory();
    for at in 0..600 {
        create(&root, &at.to_string());
    }
    let all = listed(&root, 0);
    for (at, (_, next)) in all.iter().enumerate() {
        assert!(*next < 1 << 62);
        assert_eq!(listed(&root, *next), all[at + 1..]);
    }
    assert_eq!(listed(&root, u64::MAX), []);
}

#[test]
fn changes_meanwhile_neither_repeat_nor_hide_entries() {
    let (_, root) = memory();
    for at in ["a", "b", "c", "d"] {
        create(&root, at);
    }
    let mut seen = Vec::new();
    // The directory is changed while it is listed, so it cannot be locked.
    root.list(0, 1, &mut |entry| {
        let at = String::from_utf8(entry.name.to_vec()).unwrap();
        if at == "b" {
            root.remove_file(name("a")).unwrap();
            root.remove_file(name("c")).unwrap();
            create(&root, "e");
            create(&root, "new");
            root.rename(name("new"), &*root, name("b")).unwrap();
        }
        seen.push(at);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(seen, [".", "..", "a", "b", "d", "e"]);
}

#[test]
fn a_directory_removed_while_it_is_listed_has_no_more_entries() {
    let (_, root) = memory();
    let dir = make_directory(&root, "d");
    create(&dir, "f");
    let list = dir.list(0, 1, &mut |entry| {
        if entry.name == b"f" {
            dir.remove_file(name("f")).unwrap();
            root.remove_directory(name("d")).unwrap();
        }
        ControlFlow::Continue(())
    });
    assert_eq!(list, Ok(()));
}

#[test]
fn a_large_directory_is_listed_once_while_it_is_emptied() {
    const COUNT: usize = 200_000;
    let (memory, root) = memory();
    for at in 0..COUNT {
        root.symlink(name(&at.to_string()), b"x").unwrap();
    }
    let mut seen = BTreeSet::new();
    let mut cookie = 0;
    loop {
        let mut batch = Vec::new();
        root.list(cookie, 100, &mut |entry| {
            batch.push(entry.name.to_vec());
            cookie = entry.next;
            if batch.len() < 4 {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })
        .unwrap();
        if batch.is_empty() {
            break;
        }
        for at in batch.into_iter().filter(|at| at != b"." && at != b"..") {
            root.remove_file(Name::new(&at).unwrap()).unwrap();
            assert!(seen.insert(at));
        }
    }
    assert_eq!(seen.len(), COUNT);
    assert_eq!(memory.used().entries, 1);
}

// Life and death.

#[test]
fn a_deep_tree_is_dropped() {
    let (memory, root) = memory();
    let mut dir = Arc::clone(&root);
    for _ in 0..50_000 {
        dir = make_directory(&dir, "d");
    }
    assert_eq!(
        error(root.rename(name("d"), &*dir, name("x"))),
        Some(Errno::Inval)
    );
    assert_eq!(memory.used().entries, 50_001);
}

#[test]
fn nothing_outlives_its_last_handle() {
    let life: Arc<dyn Fn() -> u64 + Send + Sync> = {
        let time = AtomicU64::new(0);
        Arc::new(move || time.fetch_add(1, SeqCst))
    };
    let memory = Memory::with_clock(NO_LIMITS, Arc::clone(&life));
    let a = make_directory(&memory.root(), "a");
    let b = make_directory(&a, "b");
    let file = create(&b, "f");
    b.link(name("f"), &*memory.root(), name("g")).unwrap();
    drop((memory, a));
    create(&b, "alive");
    drop(b);
    file.append(b"alive").unwrap();
    assert_eq!(Arc::strong_count(&life), 2);
    drop(file);
    assert_eq!(Arc::strong_count(&life), 1);
}

// Threads.

/// A sequence of numbers that looks random, and is the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn in_threads(count: u64, work: impl Fn(u64) + Sync) {
    let start = Barrier::new(count as usize);
    thread::scope(|scope| {
        for thread in 0..count {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                work(thread);
            });
        }
    });
}

#[test]
fn threads_lose_no_byte_of_the_limit() {
    let limits = MemoryLimits {
        bytes: Some(40 * PAGE),
        entries: Some(12),
    };
    let (memory, root) = limited(limits);
    in_threads(8, |thread| {
        let mut random = Random(thread);
        for _ in 0..5000 {
            let at = random.below(12).to_string();
            let Ok(file) = root.open_at(name(&at), CREATE) else {
                let _ = root.remove_file(name(&at));
                continue;
            };
            let _ = match random.below(6) {
                0 => file.set_size(random.below(80_000)),
                1 => file.allocate(random.below(40_000), 1 + random.below(20_000)),
                2 => root.remove_file(name(&at)),
                3 => root.rename(name(&at), &*root, name(&random.below(12).to_string())),
                4 => root.link(name(&at), &*root, name(&random.below(12).to_string())),
                _ => file.write_at(&[1; 20_000], random.below(60_000)).map(drop),
            };
            let used = memory.used();
            assert!(used.bytes <= 40 * PAGE && used.entries <= 12);
        }
    });

    let remaining = names(&root).split_off(2);
    assert_eq!(memory.used().entries, 1 + remaining.len() as u64);
    for at in &remaining {
        root.open_at(name(at), OPEN).unwrap().set_size(0).unwrap();
    }
    assert_eq!(memory.used().bytes, 0);
    for at in &remaining {
        root.remove_file(name(at)).unwrap();
    }
    assert_eq!(
        memory.used(),
        MemoryUse {
            bytes: 0,
            entries: 1
        }
    );
}

#[test]
fn threads_append_without_gaps_and_overlaps() {
    let (_, root) = memory();
    in_threads(4, |thread| {
        let file = root.open_at(name("log"), CREATE).unwrap();
        for _ in 0..500 {
            assert_eq!(file.append(&[thread as u8; 100]), Ok(100));
        }
    });
    let content = contents(&*root.open_at(name("log"), OPEN).unwrap());
    let mut counts = BTreeMap::new();
    for record in content.chunks(100) {
        assert!(record.iter().all(|byte| *byte == record[0]));
        *counts.entry(record[0]).or_insert(0) += 1;
    }
    assert_eq!(
        counts,
        BTreeMap::from([(0, 500), (1, 500), (2, 500), (3, 500)])
    );
}

#[test]
fn threads_leave_a_tree_that_is_whole() {
    let (memory, root) = memory();
    let reach = |random: &mut Random| {
        let mut dir = Arc::clone(&root);
        for _ in 0..random.below(4) {
            match dir.enter(name(["a", "b", "c"][random.below(3) as usize])) {
                Ok(Step::Directory(next)) => dir = next,
                _ => break,
            }
        }
        dir
    };
    in_threads(8, |thread| {
        let mut random = Random(thread);
        for _ in 0..4000 {
            let (dir, to) = (reach(&mut random), reach(&mut random));
            let mut any = || name(["a", "b", "c"][random.below(3) as usize]);
            let (at, new) = (any(), any());
            let _ = match random.below(8) {
                0 | 1 => dir.create_directory(at),
                2 => dir.open_at(at, CREATE).map(drop),
                3 => dir.link(at, &*to, new),
                4 | 5 => dir.rename(at, &*to, new),
                6 => dir.remove_file(at),
                _ => dir.remove_directory(at),
            };
            let _ = (dir.stat(), to.stat_at(new));
        }
    });

    let mut names_of = BTreeMap::new();
    let mut entries = 1;
    let mut dirs = vec![root];
    while let Some(dir) = dirs.pop() {
        let names = names(&dir).split_off(2);
        entries += names.len() as u64;
        let mut subdirectories = 0;
        for at in &names {
            let stat = dir.stat_at(name(at)).unwrap();
            if stat.file_type == FileType::Directory {
                subdirectories += 1;
                dirs.push(enter(&dir, at));
            } else {
                names_of.entry(stat.inode).or_insert((0, stat.links)).0 += 1;
            }
        }
        let stat = dir.stat().unwrap();
        assert_eq!(
            (stat.links, stat.size),
            (2 + subdirectories, 40 + 20 * names.len() as u64)
        );
    }
    assert!(names_of.values().all(|(names, links)| names == links));
    assert_eq!(memory.used().entries, entries);
}

#[test]
fn a_million_files_are_listed_once_each_while_half_of_them_go() {
    const MANY: u64 = 1_000_000;
    let (memory, root) = memory();
    for number in 0..MANY {
        create(&root, &number.to_string());
    }
    let mut seen = vec![false; MANY as usize];
    let (mut cookie, mut left) = (0, MANY);
    loop {
        let mut batch = Vec::new();
        root.list(cookie, 8192, &mut |entry| {
            batch.push((entry.name.to_vec(), entry.next));
            match batch.len() {
                100 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        })
        .unwrap();
        let Some((_, next)) = batch.last() else { break };
        cookie = *next;
        for (at, _) in &batch {
            let Ok(number) = std::str::from_utf8(at).unwrap().parse::<usize>() else {
                continue;
            };
            assert!(!std::mem::replace(&mut seen[number], true), "{number}");
            if number % 2 == 0 {
                root.remove_file(Name::new(at).unwrap()).unwrap();
                left -= 1;
            }
        }
    }
    assert!(seen.iter().all(|seen| *seen));
    assert_eq!(memory.used().entries, 1 + left);
}
