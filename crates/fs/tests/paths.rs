//! Whether what is done by paths is what Linux does with them: in a directory of the host, and in memory.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use wasmrun_core::Access;
use wasmrun_fs::{
    Directory, Errno, FileType, HostDirectory, Memory, MemoryLimits, Mounted, Name, OpenOptions,
    Opened, Place, Stat, Step, World,
};

/// What is done by a path, or two.
#[derive(Debug, Clone)]
enum Op {
    Stat(String, bool),
    Open(String, bool, bool, OpenOptions),
    ReadLink(String),
    CreateDirectory(String),
    Symlink(String, String),
    Link(String, bool, String),
    Rename(String, String),
    RemoveFile(String),
    RemoveDirectory(String),
}

/// What comes of it, as far as two file systems agree on that.
#[derive(Debug, PartialEq)]
enum Given {
    Done,
    Stat(FileType, Option<u64>),
    Target(Vec<u8>),
}

type Done = Result<Given, Errno>;

fn stat(file_type: FileType, links: u64) -> Given {
    // Of a directory not every file system counts them.
    Given::Stat(
        file_type,
        (file_type != FileType::Directory).then_some(links),
    )
}

fn ours(place: &Place, op: &Op) -> Done {
    let done = |()| Given::Done;
    match op {
        Op::Stat(path, follow) => {
            let found = place.stat_path(path.as_bytes(), *follow);
            found.map(|found: Stat| stat(found.file_type, found.links))
        }
        Op::Open(path, follow, directory, options) => {
            let opened = place.open_path(path.as_bytes(), *follow, *directory, *options)?;
            if let (Opened::File(file, _), true) = (opened, options.write) {
                file.write_at(b"x", 0)?;
            }
            Ok(Given::Done)
        }
        Op::ReadLink(path) => place.read_link_path(path.as_bytes()).map(Given::Target),
        Op::CreateDirectory(path) => place.create_directory_path(path.as_bytes()).map(done),
        Op::Symlink(target, path) => place
            .symlink_path(target.as_bytes(), path.as_bytes())
            .map(done),
        Op::Link(path, follow, new) => place
            .link_path(path.as_bytes(), *follow, place, new.as_bytes())
            .map(done),
        Op::Rename(path, new) => place
            .rename_path(path.as_bytes(), place, new.as_bytes())
            .map(done),
        Op::RemoveFile(path) => place.remove_file_path(path.as_bytes()).map(done),
        Op::RemoveDirectory(path) => place.remove_directory_path(path.as_bytes()).map(done),
    }
}

fn linux(root: &OwnedFd, op: &Op) -> Done {
    let done = |()| Given::Done;
    let given: rustix::io::Result<Given> = match op {
        Op::Stat(path, follow) => {
            let flags = match follow {
                true => AtFlags::empty(),
                false => AtFlags::SYMLINK_NOFOLLOW,
            };
            rustix::fs::statat(root, path, flags).map(|found| {
                let file_type = match rustix::fs::FileType::from_raw_mode(found.st_mode) {
                    rustix::fs::FileType::Directory => FileType::Directory,
                    rustix::fs::FileType::Symlink => FileType::Symlink,
                    _ => FileType::Regular,
                };
                stat(file_type, found.st_nlink)
            })
        }
        Op::Open(path, follow, directory, options) => {
            let mut flags = match (options.read, options.write) {
                (true, true) => OFlags::RDWR,
                (false, true) => OFlags::WRONLY,
                _ => OFlags::RDONLY,
            };
            flags.set(OFlags::NOFOLLOW, !follow);
            flags.set(OFlags::DIRECTORY, *directory);
            flags.set(OFlags::CREATE, options.create);
            flags.set(OFlags::EXCL, options.exclusive);
            flags.set(OFlags::TRUNC, options.truncate);
            let mode = Mode::from_raw_mode(0o644);
            rustix::fs::openat(root, path, flags, mode).and_then(|file| {
                if options.write {
                    rustix::io::pwrite(file, b"x", 0)?;
                }
                Ok(Given::Done)
            })
        }
        Op::ReadLink(path) => rustix::fs::readlinkat(root, path, Vec::new())
            .map(|target| Given::Target(target.into_bytes())),
        Op::CreateDirectory(path) => {
            rustix::fs::mkdirat(root, path, Mode::from_raw_mode(0o755)).map(done)
        }
        Op::Symlink(target, path) => rustix::fs::symlinkat(target, root, path).map(done),
        Op::Link(path, follow, new) => {
            let flags = match follow {
                true => AtFlags::SYMLINK_FOLLOW,
                false => AtFlags::empty(),
            };
            rustix::fs::linkat(root, path, root, new, flags).map(done)
        }
        Op::Rename(path, new) => rustix::fs::renameat(root, path, root, new).map(done),
        Op::RemoveFile(path) => rustix::fs::unlinkat(root, path, AtFlags::empty()).map(done),
        Op::RemoveDirectory(path) => rustix::fs::unlinkat(root, path, AtFlags::REMOVEDIR).map(done),
    };
    Ok(given?)
}

/// All that is below a directory: what it is, and its content or target.
fn tree(directory: &Arc<dyn Directory>, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    let mut names = Vec::new();
    let listed = directory.list(0, 4096, &mut |entry| {
        names.push(entry.name.to_vec());
        ControlFlow::Continue(())
    });
    listed.expect("a directory that is there");
    for name in names {
        let Ok(name) = Name::new(&name) else { continue };
        let path = format!("{prefix}/{name:?}");
        match directory.enter(name) {
            Ok(Step::Directory(below)) => {
                found.insert(path.clone(), b"directory".to_vec());
                tree(&below, &path, found);
            }
            Ok(Step::Symlink(target)) => {
                found.insert(path, target);
            }
            Err(_) => {
                let file = directory.open_at(
                    name,
                    OpenOptions {
                        read: true,
                        ..Default::default()
                    },
                );
                let mut content = vec![0; 16];
                let length = file
                    .expect("a file")
                    .read_at(&mut content, 0)
                    .expect("it reads");
                content.truncate(length);
                found.insert(path, content);
            }
        }
    }
}

fn whole(directory: Arc<dyn Directory>) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    tree(&directory, "", &mut found);
    found
}

fn place(root: Arc<dyn Directory>) -> Place {
    let world = World::new(vec![Mounted::new("/", root, Access::ReadWrite)]);
    let (_, place) = world.mounts().next().expect("a mount");
    place
}

/// Does operations in both, `native` being where Linux does them.
fn agree(root: Arc<dyn Directory>, native: &Path, ops: &[Op]) -> Result<(), TestCaseError> {
    // What leads out of it meets nothing of others.
    let native = native.join("0/1/2/3/4/5/6/7/8/9");
    fs::create_dir_all(&native).expect("a directory");
    let flags = OFlags::DIRECTORY | OFlags::PATH;
    let directory = rustix::fs::openat(CWD, &native, flags, Mode::empty()).expect("is there");
    let place = place(root.clone());
    for op in ops {
        let ours = ours(&place, op);
        if ours == Err(Errno::Perm) {
            // It would lead out. (Or it is a link to a directory, which Linux refuses as well.)
            continue;
        }
        prop_assert_eq!(ours, linux(&directory, op), "{:?}", op);
    }
    let same: Arc<dyn Directory> = Arc::new(HostDirectory::open(&native).expect("is there"));
    prop_assert_eq!(whole(root), whole(same));
    Ok(())
}

fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        8 => prop::sample::select(vec!["a", "b", "c"]),
        1 => prop::sample::select(vec![".", "..", ""]),
    ];
    (
        vec(part, 1..4),
        prop::sample::select(vec!["", "", "", "/", "//", "/."]),
    )
        .prop_map(|(parts, end)| {
            let path = parts.join("/");
            // One that is absolute is not of the directory.
            format!("{}{end}", path.trim_start_matches('/'))
        })
}

fn op() -> impl Strategy<Value = Op> {
    let options =
        any::<[bool; 5]>().prop_map(|[read, write, create, exclusive, truncate]| OpenOptions {
            read: read || !write,
            write,
            create,
            exclusive: exclusive && create,
            truncate,
            ..OpenOptions::default()
        });
    prop_oneof![
        (path(), any::<bool>()).prop_map(|(path, follow)| Op::Stat(path, follow)),
        (path(), any::<bool>(), prop::bool::weighted(0.2), options)
            // Linux has made a file of that name before it refuses.
            .prop_filter("both", |(_, _, directory, options)| !(*directory
                && options.create))
            .prop_map(|(path, follow, directory, options)| {
                Op::Open(path, follow, directory, options)
            }),
        path().prop_map(Op::ReadLink),
        path().prop_map(Op::CreateDirectory),
        (path(), path()).prop_map(|(target, path)| Op::Symlink(target, path)),
        (path(), any::<bool>(), path()).prop_map(|(path, follow, new)| Op::Link(path, follow, new)),
        (path(), path()).prop_map(|(path, new)| Op::Rename(path, new)),
        path().prop_map(Op::RemoveFile),
        path().prop_map(Op::RemoveDirectory),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn paths_lead_where_they_do_on_linux(ops in vec(op(), 1..60)) {
        let [ours, native] = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
        let root = HostDirectory::open(ours.path()).expect("is there");
        agree(Arc::new(root), native.path(), &ops)?;
    }

    #[test]
    fn paths_lead_where_they_do_on_linux_in_memory(ops in vec(op(), 1..60)) {
        let native = tempfile::tempdir_in("/dev/shm").expect("Linux has memory for files there");
        let memory = Memory::new(MemoryLimits::default());
        agree(memory.root(), native.path(), &ops)?;
    }
}
