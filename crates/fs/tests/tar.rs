//! The rules of a tar archive as a file system.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::collections::BTreeMap;
use std::fs::{self, File as HostFile};
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use proptest::sample::Index;
use tar::{EntryType, Header};
use wasmrun_core::{Access, Control, Interrupt};
use wasmrun_fs::{
    Directory, Errno, File, FileType, Mounted, Name, OpenOptions, Opened, SetTime, SetTimes, Stat,
    Step, Tar, TarError, TarLimits, World,
};

type Dir = Arc<dyn Directory>;

const READ: OpenOptions = OpenOptions {
    read: true,
    write: false,
    create: false,
    exclusive: false,
    truncate: false,
    sync: wasmrun_fs::SyncWrites::No,
};
const CREATE: OpenOptions = OpenOptions {
    create: true,
    ..READ
};

/// An archive that is written member by member, with whatever names and headers.
#[derive(Clone, Default)]
struct Archive(Vec<u8>);

impl Archive {
    fn new() -> Self {
        Archive::default()
    }

    fn header(kind: u8, name: &[u8], size: u64) -> Header {
        let mut header = Header::new_gnu();
        let old = header.as_old_mut();
        old.linkflag = [kind];
        old.name[..name.len()].copy_from_slice(name);
        header.set_size(size);
        header.set_mtime(7);
        header
    }

    fn raw(mut self, mut header: Header, content: &[u8]) -> Self {
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn member(self, kind: u8, name: impl AsRef<[u8]>, content: &[u8]) -> Self {
        let header = Archive::header(kind, name.as_ref(), content.len() as u64);
        self.raw(header, content)
    }

    fn file(self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.member(b'0', name, content.as_ref())
    }

    fn directory(self, name: impl AsRef<[u8]>) -> Self {
        self.member(b'5', name, b"")
    }

    fn to(self, kind: u8, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        let mut header = Archive::header(kind, name.as_ref(), 0);
        let target = target.as_ref();
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target);
        self.raw(header, b"")
    }

    fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.to(b'2', name, target)
    }

    fn link(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.to(b'1', name, target)
    }

    fn pax(self, kind: u8, records: &[(&str, &[u8])]) -> Self {
        let records: Vec<u8> = records.iter().flat_map(|(k, v)| record(k, v)).collect();
        self.member(kind, "PaxHeaders/x", &records)
    }

    fn ended(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    fn open(self) -> Dir {
        root(&self.ended())
    }

    fn error(self) -> String {
        error(&self.ended())
    }
}

fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
    let length = (rest.len()..)
        .find(|length| rest.len() + length.to_string().len() == *length)
        .unwrap();
    [length.to_string().as_bytes(), &rest].concat()
}

fn read(bytes: &[u8], limits: TarLimits) -> Result<Tar, TarError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Tar::from_file(file, limits)
}

fn root(bytes: &[u8]) -> Dir {
    read(bytes, TarLimits::default()).unwrap().root()
}

fn error(bytes: &[u8]) -> String {
    let error = read(bytes, TarLimits::default()).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn name(name: &str) -> Name<'_> {
    Name::new(name.as_bytes()).unwrap()
}

fn enter(dir: &Dir, path: &str) -> Dir {
    path.split('/').fold(dir.clone(), |dir, part| {
        match dir.enter(name(part)).unwrap() {
            Step::Directory(dir) => dir,
            Step::Symlink(_) => panic!("{part} is a symbolic link"),
        }
    })
}

/// The directory a path is in, and its last name.
fn parent<'a>(root: &Dir, path: &'a str) -> (Dir, Name<'a>) {
    match path.rsplit_once('/') {
        Some((above, last)) => (enter(root, above), name(last)),
        None => (root.clone(), name(path)),
    }
}

fn stat(root: &Dir, path: &str) -> Stat {
    let (dir, name) = parent(root, path);
    dir.stat_at(name).unwrap()
}

fn open(root: &Dir, path: &str) -> Arc<dyn File> {
    let (dir, name) = parent(root, path);
    dir.open_at(name, READ).unwrap()
}

fn contents(file: &dyn File) -> Vec<u8> {
    let size = file.stat().unwrap().size as usize;
    let mut content = Vec::new();
    let mut buffer = [0; 700];
    loop {
        match file.read_at(&mut buffer, content.len() as u64).unwrap() {
            0 => break,
            count => content.extend_from_slice(&buffer[..count]),
        }
    }
    assert_eq!(content.len(), size);
    content
}

fn text(root: &Dir, path: &str) -> String {
    String::from_utf8(contents(&*open(root, path))).unwrap()
}

/// What is listed from a cookie on: names, inodes, types and the cookies behind.
fn listed(dir: &Dir, cookie: u64) -> Vec<(Vec<u8>, u64, FileType, u64)> {
    let mut entries = Vec::new();
    dir.list(cookie, 0, &mut |entry| {
        let name = entry.name.to_vec();
        entries.push((name, entry.inode, entry.file_type, entry.next));
        ControlFlow::Continue(())
    })
    .unwrap();
    entries
}

fn names(dir: &Dir) -> Vec<String> {
    let names = listed(dir, 0).into_iter().skip(2);
    names
        .map(|(name, ..)| String::from_utf8_lossy(&name).into_owned())
        .collect()
}

#[test]
fn everything_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Tar>();
    shared::<TarError>();
}

// Names, and what they stand for.

#[test]
fn an_archive_without_members_is_an_empty_directory() {
    let root = Archive::new().open();
    assert_eq!(names(&root), [""; 0]);
    let stat = root.stat().unwrap();
    assert_eq!((stat.inode, stat.links, stat.modified), (1, 2, 0));
}

#[test]
fn a_file_has_its_content() {
    let large: Vec<u8> = (0..5000).map(|at| at as u8).collect();
    let root = Archive::new()
        .file("empty", "")
        .file("small", "abc")
        .file("large", &large)
        .file("last", "z")
        .open();
    assert_eq!(text(&root, "empty"), "");
    assert_eq!(text(&root, "small"), "abc");
    assert_eq!(contents(&*open(&root, "large")), large);
    let file = open(&root, "small");
    for offset in [3, 4, u64::MAX] {
        assert_eq!(file.read_at(&mut [0; 4], offset), Ok(0));
    }
    assert_eq!(file.read_at(&mut [], 0), Ok(0));
}

#[test]
fn what_leads_to_the_same_place_is_the_same_name() {
    let root = Archive::new()
        .file("a", "1")
        .file("./a", "2")
        .file("/a", "3")
        .directory("d/")
        .file("d//./b", "4")
        .open();
    assert_eq!(names(&root), ["a", "d"]);
    assert_eq!(text(&root, "a"), "3");
    assert_eq!(text(&root, "d/b"), "4");
}

#[test]
fn missing_directories_are_made() {
    let root = Archive::new().file("a/b/c", "x").open();
    assert_eq!(text(&root, "a/b/c"), "x");
    assert_eq!(stat(&root, "a/b").modified, 0);
    assert_eq!(stat(&root, "a").links, 3);
}

#[test]
fn a_member_of_the_root_gives_it_its_time() {
    for dot in [".", "./", "/"] {
        let root = Archive::new().directory(dot).open();
        assert_eq!(root.stat().unwrap().modified, 7_000_000_000);
    }
    assert!(Archive::new().file("./.", "").error().contains("root"));
    assert!(Archive::new().symlink("", "x").error().contains("root"));
}

#[test]
fn a_later_member_replaces_an_earlier_one() {
    let root = Archive::new()
        .file("a", "old")
        .link("old", "a")
        .file("a", "new")
        .file("to link", "")
        .symlink("to link", "x")
        .symlink("to file", "x")
        .file("to file", "file")
        .open();
    assert_eq!(text(&root, "a"), "new");
    assert_eq!(text(&root, "old"), "old");
    assert_eq!((stat(&root, "a").links, stat(&root, "old").links), (1, 1));
    assert_eq!(root.read_link(name("to link")), Ok(b"x".to_vec()));
    assert_eq!(text(&root, "to file"), "file");
}

#[test]
fn a_directory_over_a_directory_keeps_its_entries() {
    let root = Archive::new().file("d/a", "x").directory("d").open();
    assert_eq!(names(&enter(&root, "d")), ["a"]);
    assert_eq!(stat(&root, "d").modified, 7_000_000_000);
}

#[test]
fn a_file_over_a_directory_replaces_all_of_it() {
    let root = Archive::new()
        .file("d/e/a", "x")
        .link("b", "d/e/a")
        .link("d/c", "b")
        .file("d", "file")
        .open();
    assert_eq!(names(&root), ["b", "d"]);
    assert_eq!(text(&root, "d"), "file");
    assert_eq!((stat(&root, "b").links, root.stat().unwrap().links), (1, 2));
}

#[test]
fn a_directory_over_anything_else_replaces_it() {
    let root = Archive::new()
        .directory("e")
        .file("f", "x")
        .symlink("l", "e")
        .directory("f")
        .directory("l")
        .file("l/a", "x")
        .open();
    assert_eq!(stat(&root, "f").file_type, FileType::Directory);
    assert_eq!(names(&enter(&root, "l")), ["a"]);
    assert_eq!(names(&enter(&root, "e")), [""; 0]);
}

#[test]
fn a_member_in_a_symbolic_link_is_where_that_leads() {
    let root = Archive::new()
        .directory("usr/lib")
        .symlink("lib", "usr/lib/")
        .symlink("usr/up", "./../lib")
        .file("lib/a", "1")
        .file("usr/up/b/c", "2")
        .link("hard", "lib/a")
        .open();
    assert_eq!(text(&root, "usr/lib/a"), "1");
    assert_eq!(text(&root, "usr/lib/b/c"), "2");
    assert_eq!(text(&root, "hard"), "1");
    assert_eq!(root.read_link(name("lib")), Ok(b"usr/lib/".to_vec()));
}

#[test]
fn no_member_leaves_the_archive_by_a_symbolic_link() {
    for target in ["/", "/d", "..", "../d", "d/../../d", "l", "m"] {
        let archive = Archive::new()
            .directory("d")
            .symlink("l", target)
            .symlink("m", "l");
        let error = archive.file("l/a", "x").error();
        assert!(error.contains("member \"l/a\""), "{error}");
        assert!(error.contains("symbolic links"), "{error}");
    }
}

#[test]
fn a_name_that_leads_up_is_an_error() {
    for bad in ["..", "../a", "a/../b", "a/.."] {
        for archive in [
            Archive::new().file(bad, "x"),
            Archive::new().directory(bad),
            Archive::new().file("a/b", "").link("b", bad),
        ] {
            let error = archive.error();
            assert!(error.contains("without \"..\""), "{error}");
        }
    }
}

#[test]
fn a_file_on_the_way_is_an_error() {
    let devices = [b'3', b'4', b'6'].map(|kind| Archive::new().member(kind, "a", b""));
    for archive in devices.into_iter().chain([Archive::new().file("a", "x")]) {
        for below in ["a/b", "a/b/c"] {
            let error = archive.clone().file(below, "x").error();
            assert!(error.contains(&format!("member \"{below}\"")), "{error}");
            assert!(error.contains("expected \"a\""), "{error}");
        }
    }
}

#[test]
fn a_name_may_be_long_and_any_bytes_but_nul() {
    let longest = "x".repeat(255);
    let root = Archive::new()
        .file(b"\xff\xfe", "bytes")
        .pax(b'x', &[("path", format!("d/{longest}").as_bytes())])
        .file("short", "pax")
        .member(b'L', "././@LongLink", format!("{longest}\0").as_bytes())
        .file("short", "gnu")
        .open();
    assert!(root.stat_at(Name::new(b"\xff\xfe").unwrap()).is_ok());
    assert_eq!(text(&root, &format!("d/{longest}")), "pax");
    assert_eq!(text(&root, &longest), "gnu");
    let too_long = "x".repeat(256);
    for bad in [too_long.as_bytes(), b"a\0b", &b"x/".repeat(2048)] {
        let archive = Archive::new().pax(b'x', &[("path", bad)]).file("a", "");
        assert!(archive.error().contains("member \"x") || bad.contains(&0));
        let error = Archive::new().member(b'L', "L", bad).file("a", "").error();
        assert!(error.contains("expected"), "{error}");
    }
    // The target of a link on the way has names as well.
    let archive = Archive::new().pax(b'x', &[("linkpath", too_long.as_bytes())]);
    let error = archive.symlink("l", "").file("l/a", "").error();
    assert!(error.contains("255"), "{error}");
}

#[test]
fn a_directory_may_be_told_by_the_slash_behind_its_name() {
    let root = Archive::new()
        .member(0, "d/", b"")
        .file("e/", "ignored")
        .file("f", "x")
        .open();
    assert_eq!(stat(&root, "d").file_type, FileType::Directory);
    assert_eq!(stat(&root, "e").file_type, FileType::Directory);
    assert_eq!(text(&root, "f"), "x");
}

#[test]
fn a_prefix_of_posix_is_before_the_name() {
    let mut header = Header::new_ustar();
    header.as_ustar_mut().unwrap().prefix[..3].copy_from_slice(b"a/b");
    header.as_old_mut().name[..1].copy_from_slice(b"c");
    header.set_size(1);
    header.set_entry_type(EntryType::Regular);
    let root = Archive::new().raw(header, b"x").open();
    assert_eq!(text(&root, "a/b/c"), "x");
}

// Links, and what is no file.

#[test]
fn hard_links_are_names_of_one_file() {
    let root = Archive::new()
        .file("a", "x")
        .link("d/b", "./a")
        .link("c", "/d/b")
        .link("a", "a")
        .symlink("s", "a")
        .link("t", "s")
        .open();
    let first = stat(&root, "a");
    assert_eq!((first.links, stat(&root, "s").links), (3, 2));
    assert_eq!(stat(&root, "d/b"), first);
    assert_eq!(stat(&root, "c"), first);
    assert_eq!(root.read_link(name("t")), Ok(b"a".to_vec()));
}

#[test]
fn a_hard_link_has_no_content_whatever_its_size() {
    let mut header = Archive::header(b'1', b"b", 1 << 40);
    header.as_old_mut().linkname[0] = b'a';
    let archive = Archive::new().file("a", "x").raw(header, b"");
    assert_eq!(text(&archive.file("c", "").open(), "b"), "x");
}

#[test]
fn a_hard_link_to_what_is_not_there_is_an_error() {
    for target in ["a", "d/a", "", "/", "d"] {
        let archive = Archive::new().directory("d").link("b", target);
        let error = archive.file("a", "x").error();
        assert!(error.contains("member \"b\""), "{error}");
        assert!(error.contains(&format!("{target:?}")), "{error}");
    }
}

#[test]
fn a_symbolic_link_has_its_target_as_it_is() {
    let long = "x/../".repeat(100);
    let root = Archive::new()
        .symlink("a", "/../etc//passwd/.")
        .pax(b'x', &[("linkpath", long.as_bytes())])
        .symlink("b", "short")
        .member(b'K', "K", format!("{long}\0").as_bytes())
        .symlink("c", "short")
        .open();
    let target = |at| root.read_link(name(at)).unwrap();
    assert_eq!(target("a"), b"/../etc//passwd/.");
    assert_eq!(target("b"), long.as_bytes());
    assert_eq!(target("c"), long.as_bytes());
    assert_eq!(stat(&root, "b").size, 500);
    let entered = root.enter(name("b"));
    assert!(matches!(entered, Ok(Step::Symlink(target)) if target == long.as_bytes()));
    for bad in [&b""[..], b"a\0b", &[b'x'; 4096]] {
        let archive = Archive::new().pax(b'x', &[("linkpath", bad)]);
        let error = archive.symlink("l", "").error();
        assert!(error.contains("member \"l\": expected a target"), "{error}");
    }
}

#[test]
fn devices_and_fifos_are_there_but_cannot_be_opened() {
    for kind in [b'3', b'4', b'6'] {
        let root = Archive::new().member(kind, "x", b"").open();
        assert_eq!(stat(&root, "x").file_type, FileType::Other);
        assert_eq!(root.open_at(name("x"), READ).err(), Some(Errno::Nxio));
    }
}

#[test]
fn opening_tells_what_is_no_file() {
    let root = Archive::new()
        .directory("d")
        .symlink("l", "f")
        .file("f", "")
        .open();
    let open = |at| root.open_at(name(at), READ).err();
    assert_eq!(open("d"), Some(Errno::Isdir));
    assert_eq!(open("l"), Some(Errno::Loop));
    assert_eq!(open("x"), Some(Errno::Noent));
    assert_eq!(root.enter(name("f")).err(), Some(Errno::Notdir));
    assert_eq!(root.enter(name("x")).err(), Some(Errno::Noent));
    assert_eq!(root.read_link(name("f")), Err(Errno::Inval));
    assert_eq!(root.read_link(name("d")), Err(Errno::Inval));
    assert_eq!(root.read_link(name("x")), Err(Errno::Noent));
}

#[test]
fn whiteouts_are_names() {
    let archive = Archive::new().file("d/.wh.x", "").file(".wh..wh..opq", "");
    let root = archive.open();
    assert_eq!(names(&root), [".wh..wh..opq", "d"]);
    assert_eq!(names(&enter(&root, "d")), [".wh.x"]);
}

#[test]
fn nothing_can_be_changed() {
    let root = Archive::new().file("f", "x").directory("d").open();
    let (f, d, new) = (name("f"), name("d"), name("new"));
    let times = SetTimes {
        accessed: SetTime::Now,
        modified: SetTime::Now,
    };
    let write = OpenOptions {
        write: true,
        ..READ
    };
    let truncate = OpenOptions {
        truncate: true,
        ..READ
    };
    let exclusive = OpenOptions {
        exclusive: true,
        ..CREATE
    };
    let file = root.open_at(f, CREATE).unwrap();
    for refused in [
        root.set_times(times),
        root.set_times_at(f, times),
        root.create_directory(new),
        root.symlink(new, b"x"),
        root.link(f, &*root, new),
        root.rename(f, &*root, new),
        root.remove_file(f),
        root.remove_directory(d),
        root.open_at(f, write).map(drop),
        root.open_at(f, truncate).map(drop),
        root.open_at(new, CREATE).map(drop),
        file.set_times(times),
        file.write_at(b"x", 0).map(drop),
        file.append(b"x").map(drop),
        file.set_size(0),
        file.allocate(0, 1),
    ] {
        assert_eq!(refused, Err(Errno::Rofs));
    }
    assert_eq!(root.open_at(f, exclusive).err(), Some(Errno::Exist));
    assert_eq!((file.sync(false), root.sync()), (Ok(()), Ok(())));
}

// What is known of files.

#[test]
fn each_archive_is_a_device() {
    let archive = Archive::new().file("f", "").directory("d").ended();
    let (one, other) = (root(&archive), root(&archive));
    let device = one.stat().unwrap().device;
    assert_eq!(stat(&one, "f").device, device);
    assert_eq!(enter(&one, "d").stat().unwrap().device, device);
    assert_ne!(other.stat().unwrap().device, device);
    let tar = read(&archive, TarLimits::default()).unwrap();
    assert_eq!(tar.root().stat(), tar.clone().root().stat());
}

#[test]
fn inodes_are_numbers_from_1_on() {
    let root = Archive::new()
        .file("d/e/a", "")
        .file("b", "")
        .link("c", "b")
        .open();
    let paths = ["d", "d/e", "d/e/a", "b", "c"];
    let mut inodes: Vec<_> = paths.iter().map(|path| stat(&root, path).inode).collect();
    assert_eq!(inodes[3], inodes[4]);
    inodes.push(root.stat().unwrap().inode);
    inodes.sort_unstable();
    inodes.dedup();
    assert_eq!(inodes, [1, 2, 3, 4, 5]);
}

#[test]
fn times_are_those_of_members() {
    let mut before_1970 = Archive::header(b'0', b"old", 0);
    before_1970.as_old_mut().mtime = [0xff; 12];
    let mut none = Archive::header(b'0', b"none", 0);
    none.as_old_mut().mtime = [0; 12];
    let root = Archive::new()
        .pax(b'x', &[("mtime", b"1700000000.123456789")])
        .file("exact", "")
        .file("plain", "")
        .raw(before_1970, b"")
        .raw(none, b"")
        .open();
    let time = |path| {
        let stat = stat(&root, path);
        assert_eq!(stat.accessed, stat.modified);
        assert_eq!(stat.changed, stat.modified);
        stat.modified
    };
    assert_eq!(time("exact"), 1_700_000_000_123_456_789);
    assert_eq!(time("plain"), 7_000_000_000);
    assert_eq!((time("old"), time("none")), (0, 0));
}

#[test]
fn a_size_in_a_pax_header_is_what_counts() {
    let root = Archive::new()
        .pax(b'x', &[("size", b"600")])
        .raw(Archive::header(b'0', b"f", 0), &[b'x'; 600])
        .file("g", "y")
        .open();
    assert_eq!(text(&root, "f"), "x".repeat(600));
    assert_eq!(text(&root, "g"), "y");
}

#[test]
fn a_global_header_is_of_all_members_behind_it() {
    let root = Archive::new()
        .file("before", "")
        .pax(b'g', &[("comment", b"a commit"), ("mtime", b"9")])
        .file("behind", "")
        .pax(b'x', &[("mtime", b"5")])
        .file("own", "")
        .pax(b'g', &[("mtime", b"")])
        .file("taken back", "")
        .pax(b'g', &[("comment", b"at the end")])
        .open();
    let time = |path| stat(&root, path).modified / 1_000_000_000;
    assert_eq!((time("before"), time("behind")), (7, 9));
    assert_eq!((time("own"), time("taken back")), (5, 7));
}

// Lists and paths.

#[test]
fn a_list_is_sorted_and_goes_on_from_any_cookie() {
    let root = Archive::new()
        .file("b", "")
        .directory("c")
        .symlink("a", "x")
        .open();
    let all = listed(&root, 0);
    let names: Vec<_> = all.iter().map(|(name, ..)| &name[..]).collect();
    assert_eq!(names, [&b"."[..], b"..", b"a", b"b", b"c"]);
    assert_eq!((all[0].1, all[1].1), (1, 1));
    assert_eq!(
        [all[2].2, all[3].2, all[4].2],
        [FileType::Symlink, FileType::Regular, FileType::Directory]
    );
    for (at, entry) in all.iter().enumerate() {
        assert_eq!(listed(&root, entry.3), all[at + 1..]);
    }
    for behind in [6, 1 << 33, u64::MAX] {
        assert_eq!(listed(&root, behind), []);
    }
}

#[test]
fn a_list_breaks_when_asked() {
    let root = Archive::new().file("a", "").file("b", "").open();
    let mut count = 0;
    root.list(0, 1 << 16, &mut |_| {
        count += 1;
        match count {
            3 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    })
    .unwrap();
    assert_eq!(count, 3);
}

#[test]
fn a_shortcut_crosses_no_symbolic_link_and_leads_not_up() {
    let root = Archive::new()
        .file("d/e/f", "")
        .symlink("d/l", "e")
        .symlink("m", "d")
        .open();
    let inode = |path: &[u8]| Some(root.shortcut(path)?.stat().unwrap().inode);
    assert_eq!(inode(b"d/e"), Some(stat(&root, "d/e").inode));
    assert_eq!(inode(b"d//./e/"), Some(stat(&root, "d/e").inode));
    for path in [&b"d/l"[..], b"m", b"m/e", b"d/..", b"d/e/f", b"x", b"d/x"] {
        assert!(root.shortcut(path).is_none());
    }
}

#[test]
fn a_guest_follows_paths_in_an_archive() {
    let archive = Archive::new()
        .file("d/e/f", "deep")
        .symlink("d/l", "../d/e")
        .symlink("absolute", "/d/e/f")
        .ended();
    let world = World::new(vec![Mounted::new("/", root(&archive), Access::ReadOnly)]);
    let place = world.mounts().next().unwrap().1;
    for path in ["d/e/f", "d/l/f", "absolute", "d/l/../e/./f"] {
        match place.open_path(path.as_bytes(), true, false, READ) {
            Ok(Opened::File(file, _)) => assert_eq!(contents(&*file), b"deep"),
            _ => panic!("{path}"),
        }
    }
    let refused = place.open_path(b"d/new", true, false, CREATE);
    assert_eq!(refused.err(), Some(Errno::Rofs));
}

// Compressed archives.

#[test]
fn a_compressed_archive_is_told_by_its_first_bytes() {
    let archive = Archive::new().file("a", "x".repeat(100_000)).ended();
    let dir = tempfile::tempdir().unwrap();
    for (at, bytes) in [("plain.tar.gz", &archive), ("gzip.tar", &gzip(&archive))] {
        let path = dir.path().join(at);
        fs::write(&path, bytes).unwrap();
        let root = Tar::open(&path, TarLimits::default()).unwrap().root();
        assert_eq!(text(&root, "a"), "x".repeat(100_000));
    }
}

#[test]
fn gzip_may_have_parts_and_zeros_behind_them() {
    let archive = Archive::new().file("a", "x".repeat(2000)).ended();
    let (one, other) = archive.split_at(1234);
    let zeros = vec![0; 100_000];
    for parts in [
        vec![gzip(one), gzip(other)],
        vec![gzip(b""), gzip(one), gzip(b""), gzip(other), zeros],
    ] {
        assert_eq!(text(&root(&parts.concat()), "a"), "x".repeat(2000));
    }
    let error = error(&[gzip(&archive), b"x".to_vec()].concat());
    assert!(error.contains("behind the gzip"), "{error}");
}

#[test]
fn damaged_gzip_is_an_error() {
    let archive = gzip(&Archive::new().file("a", "x".repeat(2000)).ended());
    for length in 2..archive.len() {
        error(&archive[..length]);
    }
    let mut damaged = archive.clone();
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 1;
    assert!(error(&damaged).contains("decompressing"));
}

#[test]
fn gzip_is_decompressed_within_the_limit() {
    let archive = Archive::new().file("a", "x".repeat(10 << 20)).ended();
    let compressed = gzip(&archive);
    let limits = |bytes| TarLimits {
        bytes,
        ..TarLimits::default()
    };
    let length = archive.len() as u64;
    assert!(read(&compressed, limits(length)).is_ok());
    assert!(read(&compressed, limits(u64::MAX)).is_ok());
    let error = read(&compressed, limits(length - 1)).unwrap_err();
    assert!(error.to_string().contains("decompress to at most"));
    let twice = [&compressed[..], &compressed].concat();
    assert!(read(&twice, limits(length + 1)).is_err());
}

// What is no archive that can be shown.

#[test]
fn errors_name_the_archive_and_the_member() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.tar");
    fs::write(&path, Archive::new().file("a\nb/../c", "").ended()).unwrap();
    let error = Tar::open(&path, TarLimits::default()).unwrap_err();
    let path = path.display();
    let expected = format!(r#"{path}: member "a\nb/../c": expected a path without "..""#);
    assert_eq!(error.to_string(), expected);
    let missing = dir.path().join("missing");
    let error = Tar::open(&missing, TarLimits::default()).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
    let error = Tar::open(dir.path(), TarLimits::default()).unwrap_err();
    assert!(error.to_string().contains("a regular file"), "{error}");
}

#[test]
fn an_archive_that_is_cut_off_is_an_error() {
    let archive = Archive::new()
        .pax(b'x', &[("path", b"d/a")])
        .file("a", "x".repeat(700))
        .file("b", "y");
    let length = archive.0.len();
    let archive = archive.ended();
    for end in 0..length + 512 {
        error(&archive[..end]);
    }
    for end in length + 512..=archive.len() {
        root(&archive[..end]);
    }
}

#[test]
fn what_is_behind_the_end_does_not_matter() {
    let mut archive = Archive::new().file("a", "x").ended();
    archive.extend_from_slice(&[b'x'; 700]);
    assert_eq!(names(&root(&archive)), ["a"]);
}

#[test]
fn half_an_end_marker_is_an_error() {
    let mut archive = Archive::new().file("a", "x");
    archive.0.resize(1536, 0);
    let error = archive.file("b", "y").error();
    assert!(error.contains("end marker at byte 1536"), "{error}");
}

#[test]
fn what_is_no_tar_is_an_error() {
    for bytes in [vec![], vec![b'x'; 10], vec![b'x'; 512], vec![b'x'; 5000]] {
        assert!(error(&bytes).contains("byte 0"));
    }
    let mut archive = Archive::new().file("a", "x").file("b", "y").ended();
    archive[1024 + 5] ^= 1;
    assert!(error(&archive).contains("expected a tar header at byte 1024"));
}

#[test]
fn a_checksum_may_be_of_signed_bytes() {
    let mut header = Archive::header(b'0', b"\xff", 0);
    header.set_cksum();
    let sum = format!("{:06o}\0 ", header.cksum().unwrap() - 256);
    header.as_old_mut().cksum.copy_from_slice(sum.as_bytes());
    let archive = [&header.as_bytes()[..], &[0; 1024]].concat();
    assert!(root(&archive).stat_at(Name::new(b"\xff").unwrap()).is_ok());
}

#[test]
fn a_size_that_the_archive_does_not_have_is_an_error() {
    for size in [2000, 1 << 33, 1 << 60, u64::MAX - 511, u64::MAX] {
        for kind in *b"07LKxg" {
            let header = Archive::header(kind, b"big", size);
            let error = Archive::new().raw(header, b"x").error();
            assert!(error.contains("member \"big\""), "{error}");
        }
        let archive = Archive::new().pax(b'x', &[("size", size.to_string().as_bytes())]);
        let error = archive.file("f", "x").error();
        assert!(error.contains("member \"f\""), "{error}");
    }
    let mut beyond_64_bits = Archive::header(b'0', b"big", 0);
    beyond_64_bits.as_old_mut().size = [0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let error = Archive::new().raw(beyond_64_bits, b"").error();
    assert!(error.contains("size"), "{error}");
}

#[test]
fn extension_headers_have_a_bound() {
    for kind in *b"LKxg" {
        for (size, within) in [(1 << 20, true), ((1 << 20) + 1, false)] {
            let content = vec![b'a'; size];
            let archive = Archive::new().member(kind, "ext", &content);
            let error = archive.symlink("a", "b").error();
            let bounded = error.contains("at most 1048576 bytes");
            assert_eq!(!bounded, within, "{error}");
        }
    }
}

#[test]
fn an_extension_header_without_a_member_is_an_error() {
    for kind in *b"LKx" {
        let error = Archive::new().member(kind, "ext", b"").error();
        assert!(error.contains("behind the extension header"), "{error}");
    }
    let archive = Archive::new().member(b'x', "ext", b"nonsense");
    let error = archive.file("a", "").error();
    assert!(error.contains("member \"ext\""), "{error}");
}

#[test]
fn sparse_files_are_refused_by_name() {
    let pax = Archive::new().pax(b'x', &[("GNU.sparse.major", b"1")]);
    for archive in [
        Archive::new().member(b'S', "holes", b""),
        pax.file("holes", "0\n"),
    ] {
        let error = archive.error();
        assert!(error.contains("member \"holes\""), "{error}");
        assert!(error.contains("sparse"), "{error}");
    }
}

#[test]
fn a_member_of_an_unknown_type_is_an_error() {
    for kind in *b"8DMNVXZ\xff" {
        let error = Archive::new().member(kind, "what", b"").error();
        let expected = "member \"what\": expected a file";
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn limits_hold() {
    let limits = |bytes, entries| TarLimits {
        bytes,
        entries,
        ..TarLimits::default()
    };
    let archive = Archive::new().file("a", "123").file("a", "4567").ended();
    assert!(read(&archive, limits(7, 2)).is_ok());
    let error = read(&archive, limits(6, 2)).unwrap_err().to_string();
    assert!(error.contains("at most 6 bytes of content"), "{error}");
    assert!(error.contains("found 7 up to here"), "{error}");
    let error = read(&archive, limits(7, 1)).unwrap_err().to_string();
    let expected =
        "tar archive: member \"a\": expected at most 1 members and directories, found more";
    assert_eq!(error, expected);
    let archive = Archive::new().file("d/e/a", "").ended();
    assert!(read(&archive, limits(0, 3)).is_ok());
    assert!(read(&archive, limits(0, 2)).is_err());
    assert!(read(&Archive::new().ended(), limits(0, 0)).is_ok());
}

#[test]
fn names_and_extension_headers_count() {
    let limits = |bytes, names| TarLimits {
        bytes,
        names,
        ..TarLimits::default()
    };
    // Those of directories that have to be made, and of what is replaced, as well.
    let archive = Archive::new().symlink("one/ab", "1234");
    let archive = archive.symlink("one/ab", "56").ended();
    assert!(read(&archive, limits(0, 13)).is_ok());
    let error = read(&archive, limits(0, 12)).unwrap_err().to_string();
    let expected = "tar archive: member \"one/ab\": expected at most 12 bytes of names and targets of symbolic \
                    links in all, found 13 up to here";
    assert_eq!(error, expected);

    // However many there are, they are only of one member, or of none.
    for kind in *b"xg" {
        let mut archive = Archive::new();
        for _ in 0..10 {
            archive = archive.pax(kind, &[("path", b"x")]);
        }
        let archive = archive.file("a", "1").ended();
        assert!(read(&archive, limits(91, 100)).is_ok());
        let error = read(&archive, limits(90, 100)).unwrap_err().to_string();
        assert!(error.contains("at most 90 bytes of content"), "{error}");
    }
}

// Many runs of one process.

/// Until what was written before is certain to have another time than what is written next.
fn settle() {
    std::thread::sleep(Duration::from_millis(3100));
}

/// What this thread has read so far, in bytes.
#[cfg(target_os = "linux")]
fn has_read() -> u64 {
    let io = fs::read_to_string("/proc/thread-self/io").unwrap();
    let read = io.lines().find_map(|line| line.strip_prefix("rchar: "));
    read.unwrap().parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn an_archive_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut archive = Archive::new();
    for number in 0..300 {
        archive = archive.file(format!("d{}/f{number}", number % 7), "x");
    }
    let archive = archive.ended();
    let paths = [dir.path().join("a.tar"), dir.path().join("a.tar.gz")];
    fs::write(&paths[0], &archive).unwrap();
    fs::write(&paths[1], gzip(&archive)).unwrap();
    let open = |path: &Path| Tar::open(path, TarLimits::default()).unwrap();
    // What has just changed may change again unseen.
    let before = has_read();
    open(&paths[0]);
    open(&paths[0]);
    assert!(has_read() - before > 2 * 300 * 512);
    settle();
    for path in &paths {
        let first = open(path);
        let before = has_read();
        for _ in 0..1000 {
            let next = open(path);
            assert_ne!(
                next.root().stat().unwrap().device,
                first.root().stat().unwrap().device
            );
        }
        // What is left is how much that was.
        assert!(has_read() - before < 10_000);
        assert_eq!(text(&open(path).root(), "d3/f3"), "x");
        drop(first);
        assert_eq!(text(&open(path).root(), "d3/f3"), "x");
    }
    // With other limits it may be another, or none.
    let none = TarLimits {
        entries: 0,
        ..TarLimits::default()
    };
    assert!(Tar::open(&paths[0], none).is_err());
}

#[test]
fn an_archive_that_has_changed_is_read_anew() {
    let dir = tempfile::tempdir().unwrap();
    let paths = [dir.path().join("a.tar"), dir.path().join("a.tar.gz")];
    let write = |name: &str| {
        let archive = Archive::new().file(name, name).ended();
        fs::write(&paths[0], &archive).unwrap();
        fs::write(&paths[1], gzip(&archive)).unwrap();
        for path in &paths {
            // The time that a program sets says nothing.
            let file = HostFile::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
    };
    let open = || {
        let tars = paths
            .each_ref()
            .map(|path| Tar::open(path, TarLimits::default()));
        tars.map(|tar| tar.unwrap().root())
    };
    write("a");
    settle();
    let before = open();
    for (name, settled) in [("b", true), ("c", false), ("d", false)] {
        write(name);
        if settled {
            settle();
        }
        for root in open().iter().chain(&open()) {
            assert_eq!(names(root), [name]);
            assert_eq!(text(root, name), name);
        }
    }
    // What is in use stays as it was read.
    for root in before {
        assert_eq!(names(&root), ["a"]);
    }
}

#[test]
fn threads_open_the_same_archive() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tar.gz");
    let archive = Archive::new().file("a", "x".repeat(1 << 20)).ended();
    fs::write(&path, gzip(&archive)).unwrap();
    settle();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let root = Tar::open(&path, TarLimits::default()).unwrap().root();
                    let mut byte = [0];
                    assert_eq!(open(&root, "a").read_at(&mut byte, 1 << 19), Ok(1));
                    assert_eq!(byte, *b"x");
                }
            });
        }
    });
}

#[test]
fn an_archive_is_read_no_further_when_the_run_is_to_end() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::new().file("a", "x").ended();
    let paths = [dir.path().join("a.tar"), dir.path().join("a.tar.gz")];
    fs::write(&paths[0], &archive).unwrap();
    fs::write(&paths[1], gzip(&archive)).unwrap();
    for settled in [false, true] {
        if settled {
            settle();
        }
        for path in &paths {
            let over = Control::new();
            over.interrupt(Interrupt::Kill);
            let error = Tar::open_until(&over, path, TarLimits::default()).unwrap_err();
            assert!(error.to_string().contains("is to end"), "{error}");
            let tar = Tar::open_until(&Control::new(), path, TarLimits::default()).unwrap();
            assert_eq!(text(&tar.root(), "a"), "x");
            // What is read already takes no time.
            assert_eq!(
                Tar::open_until(&over, path, TarLimits::default()).is_ok(),
                settled
            );
        }
    }
}

#[test]
fn a_timeout_holds_while_an_archive_is_decompressed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tar.gz");
    // Zeros are no archive, which is not found out before there are 16 GiB of them.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&vec![0; 16 << 20]).unwrap();
    fs::write(&path, gzip.finish().unwrap().repeat(1100)).unwrap();
    let control = Control::new();
    control.expire_after(Duration::from_millis(100)).unwrap();
    let error = Tar::open_until(&control, &path, TarLimits::default()).unwrap_err();
    assert!(error.to_string().contains("is to end"), "{error}");
}

#[test]
fn an_archive_cut_off_after_opening_fails_to_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tar");
    let archive = Archive::new().file("a", "x".repeat(10_000));
    fs::write(&path, archive.file("empty", "").ended()).unwrap();
    let root = Tar::open(&path, TarLimits::default()).unwrap().root();
    let file = open(&root, "a");
    let cut = HostFile::options().write(true).open(&path).unwrap();
    cut.set_len(512 + 100).unwrap();
    let mut buffer = [0; 200];
    assert_eq!(file.read_at(&mut buffer, 0), Ok(100));
    assert_eq!(file.read_at(&mut buffer, 100), Err(Errno::Io));
    assert_eq!(file.read_at(&mut buffer, 9_999), Err(Errno::Io));
    assert_eq!(file.read_at(&mut buffer, 10_000), Ok(0));
    cut.set_len(0).unwrap();
    assert_eq!(file.read_at(&mut buffer, 0), Err(Errno::Io));
    assert_eq!(file.stat().unwrap().size, 10_000);
    assert_eq!(text(&root, "empty"), "");
}

#[test]
fn the_depth_of_a_tree_does_not_matter() {
    let path = "d/".repeat(2000);
    let root = Archive::new()
        .symlink("l", &path[..98])
        .pax(b'x', &[("path", format!("l/{path}").as_bytes())])
        .directory("")
        .open();
    let (mut dir, mut depth) = (root, 0);
    while let Ok(Step::Directory(below)) = dir.enter(name("d")) {
        (dir, depth) = (below, depth + 1);
    }
    assert_eq!(depth, 49 + 2000);
}

// Any archive.

/// What is at a path: of a file its content, time and names.
#[derive(Debug, PartialEq)]
enum Seen {
    Directory,
    File(Vec<u8>, u64, u64),
    Symlink(Vec<u8>),
    Other,
}

/// All there is in an archive. No call may fail.
fn walk(root: &Dir) -> BTreeMap<Vec<u8>, Seen> {
    let mut seen = BTreeMap::new();
    let mut ahead = vec![(Vec::new(), root.clone())];
    while let Some((above, dir)) = ahead.pop() {
        let mut directories = 0;
        for (bytes, inode, file_type, _) in listed(&dir, 0).into_iter().skip(2) {
            let name = Name::new(&bytes).unwrap();
            let stat = dir.stat_at(name).unwrap();
            assert_eq!((stat.inode, stat.file_type), (inode, file_type));
            let path = [&above[..], b"/", &bytes].concat();
            let what = match file_type {
                FileType::Directory => {
                    let Ok(Step::Directory(below)) = dir.enter(name) else {
                        panic!("a directory that cannot be entered");
                    };
                    assert_eq!(below.stat(), Ok(stat));
                    ahead.push((path.clone(), below));
                    directories += 1;
                    Seen::Directory
                }
                FileType::Regular => {
                    let file = dir.open_at(name, READ).unwrap();
                    assert_eq!(file.stat(), Ok(stat));
                    Seen::File(contents(&*file), stat.modified, stat.links)
                }
                FileType::Symlink => Seen::Symlink(dir.read_link(name).unwrap()),
                _ => Seen::Other,
            };
            seen.insert(path, what);
        }
        assert_eq!(dir.stat().unwrap().links, 2 + directories);
    }
    seen
}

/// All there is in a directory of the host.
fn walk_host(dir: &Path, above: &[u8], seen: &mut BTreeMap<Vec<u8>, Seen>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let path = [above, b"/", entry.file_name().as_bytes()].concat();
        let data = entry.metadata().unwrap();
        let what = if data.is_dir() {
            walk_host(&entry.path(), &path, seen);
            Seen::Directory
        } else if data.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap();
            Seen::Symlink(target.into_os_string().into_vec())
        } else {
            let time = data.mtime() as u64 * 1_000_000_000 + data.mtime_nsec() as u64;
            Seen::File(fs::read(entry.path()).unwrap(), time, data.nlink())
        };
        seen.insert(path, what);
    }
}

/// A member of an archive that is unpacked. Directories have other names than all else.
#[derive(Debug, Clone)]
enum Op {
    File(String, Vec<u8>, u64),
    Directory(String),
    Symlink(String, String),
    /// Another name of one of the files before.
    Link(String, Index),
}

fn directories() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        4 => Just("A/".to_owned()),
        4 => Just("B/".to_owned()),
        1 => Just("Long".repeat(30) + "/"),
    ];
    prop::collection::vec(name, 0..3).prop_map(|names| names.concat())
}

fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        6 => "[a-d]",
        1 => Just("é".repeat(100)),
        1 => Just("new\nline".repeat(15)),
    ];
    (prop_oneof![Just(""), Just("./")], directories(), name)
        .prop_map(|(dot, above, name)| format!("{dot}{above}{name}"))
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        (500usize..2000, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
    ];
    let file = (path(), content, 1u64..1 << 31);
    let op = prop_oneof![
        4 => file.prop_map(|(path, content, time)| Op::File(path, content, time)),
        2 => directories().prop_map(|path| Op::Directory(format!("A/{path}"))),
        1 => (path(), path()).prop_map(|(path, target)| Op::Symlink(path, target)),
        2 => (path(), any::<Index>()).prop_map(|(path, file)| Op::Link(path, file)),
    ];
    prop::collection::vec(op, 0..20)
}

fn plain(path: &str) -> &str {
    path.strip_prefix("./").unwrap_or(path)
}

/// The archive of these members, as the `tar` crate writes it: long names as GNU has them.
fn written(ops: &[Op]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut names: Vec<&str> = Vec::new();
    let mut files: Vec<&str> = Vec::new();
    for op in ops {
        let mut header = Header::new_gnu();
        header.set_mode(0o755);
        header.set_mtime(1);
        header.set_size(0);
        let written = match op {
            Op::File(path, content, time) => {
                header.set_mtime(*time);
                header.set_size(content.len() as u64);
                names.push(plain(path));
                files.push(plain(path));
                builder.append_data(&mut header, path, &content[..])
            }
            Op::Directory(path) => {
                header.set_entry_type(EntryType::Directory);
                builder.append_data(&mut header, path, &[][..])
            }
            Op::Symlink(path, target) => {
                header.set_entry_type(EntryType::Symlink);
                names.push(plain(path));
                files.retain(|file| *file != plain(path));
                builder.append_link(&mut header, path, target)
            }
            // The crate does not replace what is there by a hard link.
            Op::Link(path, _) if names.contains(&plain(path)) => Ok(()),
            Op::Link(..) if files.is_empty() => Ok(()),
            Op::Link(path, file) => {
                header.set_entry_type(EntryType::Link);
                names.push(plain(path));
                builder.append_link(&mut header, path, file.get(&files))
            }
        };
        written.unwrap();
    }
    builder.into_inner().unwrap()
}

/// Where the headers of an undamaged archive are.
fn headers(archive: &[u8]) -> Vec<usize> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap().raw(true);
    entries
        .map(|entry| entry.unwrap().raw_header_position() as usize)
        .collect()
}

fn fix_checksum(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

const LIMITS: TarLimits = TarLimits {
    bytes: 1 << 20,
    entries: 1000,
    names: 10_000,
};

fn is_no_trouble(archive: &[u8]) {
    if let Ok(tar) = read(archive, LIMITS) {
        walk(&tar.root());
    }
}

const KINDS: &[u8] = b"000001112222555LKxg346";
const NAMES: [&str; 11] = [
    "a", "b", "a/b", "b/a", "a/b/c", "a/", ".", "..", "a/../b", "/a", "",
];
const TARGETS: [&str; 9] = ["a", "b", "a/b", "..", "../a", ".", "/a", "b/..", ""];
const CONTENTS: [&str; 6] = [
    "",
    "a/c\0",
    "8 path=a\n",
    "10 path=a\n",
    "8 size=\n",
    "9 size=9\n",
];

proptest! {
    #[test]
    fn an_archive_is_what_unpacking_it_leaves(ops in ops(), compressed in any::<bool>()) {
        let archive = written(&ops);
        let unpacked = tempfile::tempdir().unwrap();
        tar::Archive::new(&archive[..]).unpack(unpacked.path()).unwrap();
        let mut expected = BTreeMap::new();
        walk_host(unpacked.path(), b"", &mut expected);
        let archive = if compressed { gzip(&archive) } else { archive };
        prop_assert_eq!(walk(&root(&archive)), expected);
    }

    #[test]
    fn no_bytes_are_trouble(
        bytes in prop::collection::vec(any::<u8>(), 0..3000),
        compressed in any::<bool>(),
    ) {
        let magic: &[u8] = if compressed { &[0x1f, 0x8b, 8, 0] } else { &[] };
        is_no_trouble(&[magic, &bytes].concat());
    }

    #[test]
    fn no_damaged_archive_is_trouble(
        ops in ops(),
        damage in prop::collection::vec((any::<Index>(), 0usize..512, any::<u8>()), 1..6),
        length in prop::option::of(any::<Index>()),
        in_headers in any::<bool>(),
    ) {
        let mut archive = written(&ops);
        let headers = headers(&archive);
        for (block, at, byte) in damage {
            let block = match in_headers && !headers.is_empty() {
                true => *block.get(&headers),
                false => block.index(archive.len() / 512) * 512,
            };
            archive[block + at] = byte;
        }
        if in_headers {
            for header in headers {
                fix_checksum(&mut archive[header..header + 512]);
            }
        }
        if let Some(length) = length {
            archive.truncate(length.index(archive.len() + 1));
        }
        is_no_trouble(&archive);
        is_no_trouble(&gzip(&archive));
    }

    #[test]
    fn no_members_are_trouble(members in prop::collection::vec(
        (
            prop::sample::select(KINDS),
            prop::sample::select(&NAMES[..]),
            prop::sample::select(&TARGETS[..]),
            prop::sample::select(&CONTENTS[..]),
        ),
        0..12,
    )) {
        let mut archive = Archive::new();
        for (kind, name, target, content) in members {
            let content = if b"0LKxg".contains(&kind) { content } else { "" };
            let mut header = Archive::header(kind, name.as_bytes(), content.len() as u64);
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
            archive = archive.raw(header, content.as_bytes());
        }
        is_no_trouble(&archive.ended());
    }
}
