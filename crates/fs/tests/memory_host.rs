//! Whether a file system in memory does what the tmpfs of the host does.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use proptest::prelude::*;
use rustix::fs::{
    AtFlags, FallocateFlags, Mode, OFlags, RawDir, SeekFrom, Statx, StatxFlags, Timespec,
    Timestamps, UTIME_NOW, UTIME_OMIT,
};
use rustix::io::ReadWriteFlags;
use wasmrun_fs::{
    Directory, File, FileType, Memory, MemoryLimits, Name, OpenOptions, Result, SetTime, SetTimes,
    Stat, Step, SyncWrites,
};

const NAMES: [&str; 3] = ["a", "b", "c"];
const TARGETS: [&[u8]; 4] = [b"", b"a", b"b/c", &[b'x'; 4096]];
const SIZES: [u64; 8] = [0, 1, 4095, 4096, 4097, 8192, 10_000, 1 << 40];

type At = (usize, &'static str);

/// An operation. Directories and files are the numbers of open ones, modulo how many there are.
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
    SetTimes(At, SetTimes),
    CloseDirectory(usize),
    Read(usize, u64, usize),
    Write(usize, u64, usize, u8),
    Append(usize, usize, u8),
    SetSize(usize, u64),
    Allocate(usize, u64, u64),
    CloseFile(usize),
}

/// What an operation gives, as far as two file systems agree on it.
#[derive(Debug, PartialEq)]
enum Given {
    Nothing,
    Bytes(Vec<u8>),
    Count(usize),
    Names(BTreeMap<Vec<u8>, FileType>),
    Stat(FileType, u64, u64),
}

fn stat_given(stat: &Stat) -> Given {
    Given::Stat(stat.file_type, stat.links, stat.size)
}

fn pattern(length: usize, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|at| seed.wrapping_add((at % 251) as u8))
        .collect()
}

/// What both sides can do.
trait Side {
    type Dir;
    type File;

    fn enter(&self, dir: &Self::Dir, name: &str)
    -> Result<std::result::Result<Self::Dir, Vec<u8>>>;
    fn open(&self, dir: &Self::Dir, name: &str, options: OpenOptions) -> Result<Self::File>;
    fn on_names(&self, dirs: &[Self::Dir], op: &Op) -> Result<Given>;
    fn on_file(&self, file: &Self::File, op: &Op) -> Result<Given>;
    fn list(&self, dir: &Self::Dir) -> Result<BTreeMap<Vec<u8>, FileType>>;
    fn stat_at(&self, dir: &Self::Dir, name: &[u8]) -> Result<Stat>;
    fn stat_dir(&self, dir: &Self::Dir) -> Stat;
    fn stat_file(&self, file: &Self::File) -> Stat;
}

struct Ours;

fn name(name: &str) -> Name<'_> {
    Name::new(name.as_bytes()).unwrap()
}

impl Side for Ours {
    type Dir = Arc<dyn Directory>;
    type File = Arc<dyn File>;

    fn enter(&self, dir: &Self::Dir, at: &str) -> Result<std::result::Result<Self::Dir, Vec<u8>>> {
        Ok(match dir.enter(name(at))? {
            Step::Directory(dir) => Ok(dir),
            Step::Symlink(target) => Err(target),
        })
    }

    fn open(&self, dir: &Self::Dir, at: &str, options: OpenOptions) -> Result<Self::File> {
        dir.open_at(name(at), options)
    }

    fn on_names(&self, dirs: &[Self::Dir], op: &Op) -> Result<Given> {
        let dir = |at: &At| &dirs[at.0 % dirs.len()];
        let nothing = |()| Given::Nothing;
        match op {
            Op::Stat(at) => dir(at).stat_at(name(at.1)).map(|stat| stat_given(&stat)),
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
            Op::SetTimes(at, times) => dir(at).set_times_at(name(at.1), *times).map(nothing),
            Op::List(at) => self.list(&dirs[at % dirs.len()]).map(Given::Names),
            _ => unreachable!(),
        }
    }

    fn on_file(&self, file: &Self::File, op: &Op) -> Result<Given> {
        match *op {
            Op::Read(_, offset, length) => {
                let mut buffer = vec![0xee; length];
                let count = file.read_at(&mut buffer, offset)?;
                buffer.truncate(count);
                Ok(Given::Bytes(buffer))
            }
            Op::Write(_, offset, length, seed) => file
                .write_at(&pattern(length, seed), offset)
                .map(Given::Count),
            Op::Append(_, length, seed) => file.append(&pattern(length, seed)).map(Given::Count),
            Op::SetSize(_, size) => file.set_size(size).map(|()| Given::Nothing),
            Op::Allocate(_, offset, length) => {
                file.allocate(offset, length).map(|()| Given::Nothing)
            }
            _ => unreachable!(),
        }
    }

    fn list(&self, dir: &Self::Dir) -> Result<BTreeMap<Vec<u8>, FileType>> {
        let mut names = BTreeMap::new();
        dir.list(0, 1, &mut |entry| {
            assert_eq!(names.insert(entry.name.to_vec(), entry.file_type), None);
            ControlFlow::Continue(())
        })?;
        Ok(names)
    }

    fn stat_at(&self, dir: &Self::Dir, name: &[u8]) -> Result<Stat> {
        dir.stat_at(Name::new(name).unwrap())
    }

    fn stat_dir(&self, dir: &Self::Dir) -> Stat {
        dir.stat().unwrap()
    }

    fn stat_file(&self, file: &Self::File) -> Stat {
        file.stat().unwrap()
    }
}

struct Host;

fn host_type(mode: u16) -> FileType {
    match rustix::fs::FileType::from_raw_mode(mode.into()) {
        rustix::fs::FileType::RegularFile => FileType::Regular,
        rustix::fs::FileType::Directory => FileType::Directory,
        rustix::fs::FileType::Symlink => FileType::Symlink,
        other => panic!("{other:?}"),
    }
}

fn statx(dir: impl AsFd, name: &[u8], flags: AtFlags) -> Result<Statx> {
    Ok(rustix::fs::statx(
        dir,
        name,
        flags,
        StatxFlags::BASIC_STATS,
    )?)
}

fn host_stat(stat: &Statx) -> Stat {
    let time = |time: rustix::fs::StatxTimestamp| {
        time.tv_sec as u64 * 1_000_000_000 + u64::from(time.tv_nsec)
    };
    Stat {
        file_type: host_type(stat.stx_mode),
        device: 0,
        inode: stat.stx_ino,
        links: stat.stx_nlink.into(),
        size: stat.stx_size,
        accessed: time(stat.stx_atime),
        modified: time(stat.stx_mtime),
        changed: time(stat.stx_ctime),
    }
}

fn host_times(SetTimes { accessed, modified }: SetTimes) -> Timestamps {
    let time = |time| match time {
        SetTime::Keep => Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        SetTime::Now => Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        },
        SetTime::To(time) => Timespec {
            tv_sec: (time / 1_000_000_000) as i64,
            tv_nsec: (time % 1_000_000_000) as _,
        },
    };
    Timestamps {
        last_access: time(accessed),
        last_modification: time(modified),
    }
}

impl Side for Host {
    type Dir = OwnedFd;
    type File = OwnedFd;

    fn enter(&self, dir: &OwnedFd, at: &str) -> Result<std::result::Result<OwnedFd, Vec<u8>>> {
        if let Ok(target) = rustix::fs::readlinkat(dir, at, Vec::new()) {
            return Ok(Err(target.into_bytes()));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        Ok(Ok(rustix::fs::openat(dir, at, flags, Mode::empty())?))
    }

    fn open(&self, dir: &OwnedFd, at: &str, options: OpenOptions) -> Result<OwnedFd> {
        let mut flags = OFlags::RDWR | OFlags::NOFOLLOW;
        flags.set(OFlags::CREATE, options.create);
        // Without O_CREAT, Linux leaves O_EXCL undefined.
        flags.set(OFlags::EXCL, options.create && options.exclusive);
        flags.set(OFlags::TRUNC, options.truncate);
        Ok(rustix::fs::openat(dir, at, flags, Mode::RWXU)?)
    }

    fn on_names(&self, dirs: &[OwnedFd], op: &Op) -> Result<Given> {
        use rustix::fs;

        let dir = |at: &At| &dirs[at.0 % dirs.len()];
        let flags = AtFlags::empty();
        match op {
            Op::Stat(at) => {
                return self
                    .stat_at(dir(at), at.1.as_bytes())
                    .map(|s| stat_given(&s));
            }
            Op::ReadLink(at) => {
                let target = fs::readlinkat(dir(at), at.1, Vec::new())?;
                return Ok(Given::Bytes(target.into_bytes()));
            }
            Op::List(at) => return self.list(&dirs[at % dirs.len()]).map(Given::Names),
            Op::CreateDirectory(at) => fs::mkdirat(dir(at), at.1, Mode::RWXU)?,
            Op::Symlink(at, target) => fs::symlinkat(*target, dir(at), at.1)?,
            Op::Link(at, to) => fs::linkat(dir(at), at.1, dir(to), to.1, flags)?,
            Op::Rename(at, to) => fs::renameat(dir(at), at.1, dir(to), to.1)?,
            Op::RemoveFile(at) => fs::unlinkat(dir(at), at.1, flags)?,
            Op::RemoveDirectory(at) => fs::unlinkat(dir(at), at.1, AtFlags::REMOVEDIR)?,
            Op::SetTimes(at, times) => {
                let times = host_times(*times);
                fs::utimensat(dir(at), at.1, &times, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            _ => unreachable!(),
        }
        Ok(Given::Nothing)
    }

    fn on_file(&self, file: &OwnedFd, op: &Op) -> Result<Given> {
        match *op {
            Op::Read(_, offset, length) => {
                let mut buffer = vec![0xee; length];
                let count = rustix::io::pread(file, buffer.as_mut_slice(), offset)?;
                buffer.truncate(count);
                Ok(Given::Bytes(buffer))
            }
            Op::Write(_, offset, length, seed) => Ok(Given::Count(rustix::io::pwrite(
                file,
                &pattern(length, seed),
                offset,
            )?)),
            Op::Append(_, length, seed) => {
                let bytes = pattern(length, seed);
                let bytes = [IoSlice::new(&bytes)];
                let count = rustix::io::pwritev2(file, &bytes, 0, ReadWriteFlags::APPEND)?;
                Ok(Given::Count(count))
            }
            Op::SetSize(_, size) => {
                rustix::fs::ftruncate(file, size)?;
                Ok(Given::Nothing)
            }
            Op::Allocate(_, offset, length) => {
                rustix::fs::fallocate(file, FallocateFlags::empty(), offset, length)?;
                Ok(Given::Nothing)
            }
            _ => unreachable!(),
        }
    }

    fn list(&self, dir: &OwnedFd) -> Result<BTreeMap<Vec<u8>, FileType>> {
        rustix::fs::seek(dir, SeekFrom::Start(0))?;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut entries = RawDir::new(dir, &mut buffer);
        let mut names = BTreeMap::new();
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let mode = entry.file_type().as_raw_mode() as u16;
            names.insert(entry.file_name().to_bytes().to_vec(), host_type(mode));
        }
        Ok(names)
    }

    fn stat_at(&self, dir: &OwnedFd, name: &[u8]) -> Result<Stat> {
        Ok(host_stat(&statx(dir, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    fn stat_dir(&self, dir: &OwnedFd) -> Stat {
        host_stat(&statx(dir, b"", AtFlags::EMPTY_PATH).unwrap())
    }

    fn stat_file(&self, file: &OwnedFd) -> Stat {
        self.stat_dir(file)
    }
}

/// A file system with what is open in it.
struct World<S: Side> {
    side: S,
    dirs: Vec<S::Dir>,
    files: Vec<S::File>,
}

impl<S: Side> World<S> {
    fn new(side: S, root: S::Dir) -> Self {
        World {
            side,
            dirs: vec![root],
            files: Vec::new(),
        }
    }

    fn apply(&mut self, op: &Op) -> Option<Result<Given>> {
        Some(match *op {
            Op::Enter((dir, name)) => {
                let dir = &self.dirs[dir % self.dirs.len()];
                self.side.enter(dir, name).map(|step| match step {
                    Ok(dir) => {
                        self.dirs.push(dir);
                        Given::Nothing
                    }
                    Err(target) => Given::Bytes(target),
                })
            }
            Op::Open((dir, name), options) => {
                let dir = &self.dirs[dir % self.dirs.len()];
                self.side.open(dir, name, options).map(|file| {
                    self.files.push(file);
                    Given::Nothing
                })
            }
            Op::CloseDirectory(dir) => {
                let dir = dir % self.dirs.len();
                if dir > 0 {
                    self.dirs.swap_remove(dir);
                }
                return None;
            }
            Op::CloseFile(file) => {
                let file = file.checked_rem(self.files.len())?;
                self.files.swap_remove(file);
                return None;
            }
            Op::Read(file, ..)
            | Op::Write(file, ..)
            | Op::Append(file, ..)
            | Op::SetSize(file, ..)
            | Op::Allocate(file, ..) => {
                let file = &self.files[file.checked_rem(self.files.len())?];
                self.side.on_file(file, op)
            }
            _ => self.side.on_names(&self.dirs, op),
        })
    }

    /// All there is: by path, or by the number of the handle.
    fn all(&self) -> BTreeMap<String, Stat> {
        let mut all = BTreeMap::new();
        self.walk(&self.dirs[0], "", &mut all);
        for (at, dir) in self.dirs.iter().enumerate() {
            all.insert(format!("directory {at}"), self.side.stat_dir(dir));
        }
        for (at, file) in self.files.iter().enumerate() {
            all.insert(format!("file {at}"), self.side.stat_file(file));
        }
        all
    }

    fn walk(&self, dir: &S::Dir, path: &str, all: &mut BTreeMap<String, Stat>) {
        // Not by listing it, which would change its times.
        for name in NAMES {
            let path = format!("{path}/{name}");
            let Ok(stat) = self.side.stat_at(dir, name.as_bytes()) else {
                continue;
            };
            if stat.file_type == FileType::Directory {
                let dir = self.side.enter(dir, name).unwrap().unwrap();
                self.walk(&dir, &path, all);
            }
            all.insert(path, stat);
        }
    }

    /// What is in all files, around the offsets that are used.
    fn contents(&mut self) -> Vec<Given> {
        let mut paths = self.all();
        paths.retain(|path, stat| path.starts_with('/') && stat.file_type == FileType::Regular);
        for path in paths.keys() {
            let (dirs, name) = path[1..].rsplit_once('/').unwrap_or(("", &path[1..]));
            let mut dir = None;
            for name in dirs.split('/').filter(|name| !name.is_empty()) {
                let from = dir.as_ref().unwrap_or(&self.dirs[0]);
                dir = Some(self.side.enter(from, name).unwrap().unwrap());
            }
            let from = dir.as_ref().unwrap_or(&self.dirs[0]);
            let file = self
                .side
                .open(from, name, open(false, false, false))
                .unwrap();
            self.files.push(file);
        }
        let offsets = [0, (1 << 40) - 20_000, 1 << 40];
        let read = |(file, offset)| {
            self.side
                .on_file(file, &Op::Read(0, offset, 60_000))
                .unwrap()
        };
        let files = self.files.iter();
        files
            .flat_map(|file| offsets.map(|offset| (file, offset)))
            .map(read)
            .collect()
    }
}

fn open(create: bool, exclusive: bool, truncate: bool) -> OpenOptions {
    OpenOptions {
        read: true,
        write: true,
        create,
        exclusive,
        truncate,
        sync: SyncWrites::No,
    }
}

/// A directory of the host, in a tmpfs if there is one: whether it is.
fn host_directory() -> (tempfile::TempDir, bool) {
    const TMPFS: i128 = 0x0102_1994;
    let shm = Path::new("/dev/shm");
    let tmpfs = rustix::fs::statfs(shm).is_ok_and(|stat| i128::from(stat.f_type) == TMPFS);
    match tempfile::tempdir_in(shm) {
        Ok(dir) if tmpfs => (dir, true),
        _ => (tempfile::tempdir().unwrap(), false),
    }
}

struct Both {
    memory: Memory,
    ours: World<Ours>,
    host: World<Host>,
    tmpfs: bool,
    _dir: tempfile::TempDir,
}

impl Both {
    fn new() -> Self {
        let memory = Memory::new(MemoryLimits::default());
        let (dir, tmpfs) = host_directory();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let root = rustix::fs::open(dir.path(), flags, Mode::empty()).unwrap();
        let ours = World::new(Ours, memory.root());
        Both {
            memory,
            ours,
            host: World::new(Host, root),
            tmpfs,
            _dir: dir,
        }
    }

    fn apply(&mut self, op: &Op) {
        let (mut ours, mut host) = (self.ours.apply(op), self.host.apply(op));
        if !self.tmpfs {
            [&mut ours, &mut host]
                .into_iter()
                .for_each(forget_directory_size);
        }
        assert_eq!(ours, host, "{op:?}");
    }

    /// Compares all there is in the end.
    fn compare(&mut self) {
        let (ours, host) = (self.ours.all(), self.host.all());
        let mut numbers = BTreeMap::new();
        assert!(ours.keys().eq(host.keys()));
        for (path, ours) in &ours {
            let host = host[path];
            let mut given = [Some(Ok(stat_given(ours))), Some(Ok(stat_given(&host)))];
            if !self.tmpfs {
                given.iter_mut().for_each(forget_directory_size);
            }
            assert_eq!(given[0], given[1], "{path}");
            assert_eq!(
                *numbers.entry(ours.inode).or_insert(host.inode),
                host.inode,
                "{path}"
            );
        }
        assert_eq!(
            numbers.values().collect::<BTreeSet<_>>().len(),
            numbers.len()
        );

        let entries: BTreeMap<_, _> = ours
            .values()
            .map(|stat| (stat.inode, entries_of(stat)))
            .collect();
        assert_eq!(self.memory.used().entries, entries.values().sum::<u64>());
        // With the names opened, all that has pages has a handle.
        assert_eq!(self.ours.contents(), self.host.contents());
        if self.tmpfs {
            let stats = self.host.files.iter();
            let stats = stats.map(|file| statx(file, b"", AtFlags::EMPTY_PATH).unwrap());
            let blocks: BTreeMap<_, _> =
                stats.map(|stat| (stat.stx_ino, stat.stx_blocks)).collect();
            assert_eq!(self.memory.used().bytes, blocks.values().sum::<u64>() * 512);
        }
    }

    /// What has changed of the times since `before`: of each, whether those of reading, content and names have.
    fn changes(&self, before: &Times) -> [BTreeMap<String, [bool; 3]>; 2] {
        let changes = |before: &BTreeMap<String, Stat>, now: BTreeMap<String, Stat>| {
            let change = |(path, now): (String, Stat)| {
                let before = before
                    .get(&path)
                    .filter(|before| before.inode == now.inode)?;
                let changed = [
                    before.accessed != now.accessed,
                    before.modified != now.modified,
                    before.changed != now.changed,
                ];
                Some((path, changed))
            };
            now.into_iter().filter_map(change).collect()
        };
        [
            changes(&before.0, self.ours.all()),
            changes(&before.1, self.host.all()),
        ]
    }
}

type Times = (BTreeMap<String, Stat>, BTreeMap<String, Stat>);

/// What an inode is charged.
fn entries_of(stat: &Stat) -> u64 {
    match stat.file_type {
        FileType::Directory => 1,
        _ => stat.links.max(1),
    }
}

/// Only a tmpfs counts the links and sizes of directories as we do.
fn forget_directory_size(given: &mut Option<Result<Given>>) {
    if let Some(Ok(Given::Stat(FileType::Directory, links, size))) = given {
        (*links, *size) = (0, 0);
    }
}

fn ops() -> impl Strategy<Value = Op> {
    let at = || (0..8usize, prop::sample::select(&NAMES[..]));
    let size = || prop::sample::select(&SIZES[..]);
    let length = || prop_oneof![0..20_000usize, Just(1), Just(4096)];
    let file = 0..8usize;
    let options = any::<(bool, bool, bool)>().prop_map(|(c, e, t)| open(c, e, t));
    let names = prop_oneof![
        at().prop_map(Op::Enter),
        at().prop_map(Op::Stat),
        (at(), options).prop_map(|(at, options)| Op::Open(at, options)),
        at().prop_map(Op::ReadLink),
        at().prop_map(Op::CreateDirectory),
        (at(), prop::sample::select(&TARGETS[..])).prop_map(|(at, target)| Op::Symlink(at, target)),
        (at(), at()).prop_map(|(at, to)| Op::Link(at, to)),
        (at(), at()).prop_map(|(at, to)| Op::Rename(at, to)),
        at().prop_map(Op::RemoveFile),
        at().prop_map(Op::RemoveDirectory),
        (0..8usize).prop_map(Op::List),
        (0..8usize).prop_map(Op::CloseDirectory),
    ];
    let files = prop_oneof![
        (file.clone(), size(), length()).prop_map(|(file, at, len)| Op::Read(file, at, len)),
        (file.clone(), size(), length(), any::<u8>())
            .prop_map(|(file, at, len, seed)| Op::Write(file, at, len, seed)),
        (file.clone(), length(), any::<u8>())
            .prop_map(|(file, len, seed)| Op::Append(file, len, seed)),
        (file.clone(), size()).prop_map(|(file, size)| Op::SetSize(file, size)),
        (file.clone(), size(), 0..10_000u64)
            .prop_map(|(file, at, len)| Op::Allocate(file, at, len)),
        file.prop_map(Op::CloseFile),
    ];
    prop_oneof![3 => names, 1 => files]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn operations_do_what_they_do_on_the_host(ops in prop::collection::vec(ops(), 0..120)) {
        let mut both = Both::new();
        for op in &ops {
            both.apply(op);
        }
        both.compare();
    }

    /// Mostly names, so that trees become deep and renames meet all cases.
    #[test]
    fn renames_do_what_they_do_on_the_host(
        ops in prop::collection::vec(
            prop_oneof![
                (0..4usize, prop::sample::select(&NAMES[..])).prop_map(Op::CreateDirectory),
                (0..4usize, prop::sample::select(&NAMES[..])).prop_map(Op::Enter),
                (0..4usize, prop::sample::select(&NAMES[..])).prop_map(|at| Op::Open(at, open(true, true, false))),
                ((0..4usize, prop::sample::select(&NAMES[..])), (0..4usize, prop::sample::select(&NAMES[..])))
                    .prop_map(|(at, to)| Op::Rename(at, to)),
                (0..4usize, prop::sample::select(&NAMES[..])).prop_map(Op::RemoveDirectory),
            ],
            0..80,
        ),
    ) {
        let mut both = Both::new();
        for op in &ops {
            both.apply(op);
        }
        both.compare();
    }
}

#[test]
fn times_change_as_on_the_host() {
    // Longer than a tick of the clock that Linux takes times from.
    const TICK: Duration = Duration::from_millis(12);

    let set = |accessed, modified| SetTimes { accessed, modified };
    let day_ago = SetTime::To(1_000_000_000);
    let ops = [
        Op::CreateDirectory((0, "a")),
        Op::Enter((0, "a")),
        Op::List(1),
        Op::List(1),
        Op::Open((1, "a"), open(true, false, true)),
        Op::Read(0, 0, 10),
        Op::Read(0, 0, 0),
        Op::Write(0, 0, 10, 1),
        Op::Write(0, 0, 0, 1),
        Op::Read(0, 0, 0),
        Op::Append(0, 10, 1),
        Op::Append(0, 0, 1),
        Op::Read(0, 100, 10),
        Op::SetSize(0, 20),
        Op::SetSize(0, 4096),
        Op::Allocate(0, 0, 10),
        Op::Allocate(0, 0, 0),
        Op::Open((1, "a"), open(false, false, true)),
        Op::Open((1, "a"), open(true, false, true)),
        Op::Open((1, "a"), open(true, false, false)),
        Op::Link((1, "a"), (0, "b")),
        Op::Link((1, "a"), (0, "b")),
        Op::Rename((1, "a"), (0, "b")),
        Op::Rename((1, "a"), (1, "b")),
        Op::Rename((1, "b"), (1, "b")),
        Op::Rename((1, "b"), (0, "c")),
        Op::Open((1, "a"), open(true, false, true)),
        Op::Rename((0, "b"), (1, "a")),
        Op::RemoveFile((1, "a")),
        Op::Symlink((1, "a"), b"b/c"),
        Op::ReadLink((1, "a")),
        Op::ReadLink((1, "a")),
        Op::SetTimes((1, "a"), set(SetTime::Now, SetTime::Keep)),
        Op::Rename((1, "a"), (1, "c")),
        Op::ReadLink((1, "c")),
        Op::SetTimes((0, "c"), set(SetTime::Keep, SetTime::Keep)),
        Op::SetTimes((0, "c"), set(day_ago, SetTime::Keep)),
        Op::SetTimes((0, "c"), set(SetTime::Keep, day_ago)),
        Op::SetTimes((0, "a"), set(SetTime::Now, SetTime::Now)),
        Op::CreateDirectory((1, "a")),
        Op::Enter((1, "a")),
        Op::List(2),
        Op::CreateDirectory((0, "b")),
        Op::Rename((1, "a"), (0, "b")),
        Op::List(2),
        Op::Stat((0, "b")),
        Op::RemoveDirectory((0, "b")),
        Op::List(2),
        Op::RemoveFile((1, "c")),
        Op::RemoveFile((1, "c")),
    ];
    let mut both = Both::new();
    if !both.tmpfs {
        return;
    }
    for op in ops {
        let before = (both.ours.all(), both.host.all());
        sleep(TICK);
        both.apply(&op);
        let [ours, host] = both.changes(&before);
        assert_eq!(ours, host, "{op:?}");
    }
}

#[test]
fn targets_of_symbolic_links_are_tested_before_the_name() {
    let mut both = Both::new();
    for target in [b"a".as_slice(), b"", b"a", &[b'x'; 4096]] {
        both.apply(&Op::Symlink((0, "a"), target));
    }
}
