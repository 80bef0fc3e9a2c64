//! What a component can ask that a module cannot, or by other words. (What both can ask is in the suite, where it is
//! compared.)

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmrun_core::{Access, Control, Interrupt};
use wasmrun_fs::{Memory, MemoryLimits, Mounted, World};
use wasmrun_wasi_preview2::{Files, FilesViewMut, resources};
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorType, ErrorCode, Host as _, HostDescriptor,
    HostDirectoryEntryStream, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{FsResult, StreamError};

type Fd = Resource<Descriptor>;

/// A guest's own view of its files.
struct Guest {
    control: Control,
    files: Files,
    table: ResourceTable,
}

impl Guest {
    /// `/rw`, which may be written, and `/ro`, which is the same and may not.
    fn new() -> Self {
        let memory = Memory::new(MemoryLimits {
            bytes: Some(4096),
            entries: Some(16),
        });
        Guest::with([
            Mounted::new("/rw", memory.root(), Access::ReadWrite),
            Mounted::new("/ro", memory.root(), Access::ReadOnly),
        ])
    }

    fn with(mounts: impl IntoIterator<Item = Mounted>) -> Self {
        let world = World::new(mounts.into_iter().collect());
        let control = Control::new();
        Guest {
            files: Files::new(world, control.clone()),
            control,
            table: resources(),
        }
    }

    fn view(&mut self) -> FilesViewMut<'_> {
        FilesViewMut {
            files: &self.files,
            table: &mut self.table,
        }
    }

    fn given(&mut self) -> Vec<Fd> {
        let given = self.view().get_directories().expect("room for a few");
        given.into_iter().map(|(fd, _)| fd).collect()
    }

    fn open(
        &mut self,
        fd: &Fd,
        path: &str,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Fd, ErrorCode> {
        let fd = same(fd);
        let mut view = self.view();
        let opened = view.open_at(fd, PathFlags::empty(), path.into(), how, flags);
        told(now(opened))
    }

    fn create(&mut self, fd: &Fd, path: &str) -> Fd {
        let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
        let created = self.open(fd, path, OpenFlags::CREATE, flags);
        created.expect("a new file")
    }

    fn flags(&mut self, fd: &Fd) -> DescriptorFlags {
        told(now(self.view().get_flags(same(fd)))).expect("flags")
    }
}

/// Another handle of the same.
fn same<T: 'static>(handle: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(handle.rep())
}

/// What is done at once.
fn now<T>(done: impl Future<Output = T>) -> T {
    match pin!(done).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("files are not waited for"),
    }
}

fn told<T>(result: FsResult<T>) -> Result<T, ErrorCode> {
    result.map_err(|error| error.downcast().expect("an error that the guest is told"))
}

#[test]
fn flags_say_what_a_descriptor_is_for() {
    let mut guest = Guest::new();
    let [rw, ro] = &guest.given()[..] else {
        panic!("two are given");
    };
    let (read, write) = (DescriptorFlags::READ, DescriptorFlags::WRITE);
    let mutate = DescriptorFlags::MUTATE_DIRECTORY;
    assert_eq!(guest.flags(rw), read | mutate);
    assert_eq!(guest.flags(ro), read);
    for (asked, has) in [
        (read, read),
        (write, write),
        (DescriptorFlags::empty(), read),
        (write | mutate, write),
        (
            write | DescriptorFlags::DATA_INTEGRITY_SYNC,
            write | DescriptorFlags::DATA_INTEGRITY_SYNC,
        ),
    ] {
        let file = guest.open(rw, "file", OpenFlags::CREATE, asked);
        assert_eq!(guest.flags(&file.expect("a file")), has);
    }
}

#[test]
fn what_is_read_only_is_not_opened_to_be_changed() {
    let mut guest = Guest::new();
    let given = guest.given();
    guest.create(&given[0], "file");
    let (none, read) = (OpenFlags::empty(), DescriptorFlags::READ);
    let mut open = |path, how, flags| guest.open(&given[1], path, how, flags).map(drop);
    let read_only = Err(ErrorCode::ReadOnly);
    assert_eq!(open("file", none, read), Ok(()));
    assert_eq!(open(".", OpenFlags::DIRECTORY, read), Ok(()));
    assert_eq!(open("file", none, DescriptorFlags::WRITE), read_only);
    assert_eq!(open("file", OpenFlags::TRUNCATE, read), read_only);
    assert_eq!(open("new", OpenFlags::CREATE, read), read_only);
    let mutate = read | DescriptorFlags::MUTATE_DIRECTORY;
    assert_eq!(open(".", OpenFlags::DIRECTORY, mutate), read_only);
}

#[test]
fn one_file_is_known_by_all_its_names() {
    let mut guest = Guest::new();
    let given = guest.given();
    let (one, other) = (
        guest.create(&given[0], "one"),
        guest.create(&given[0], "other"),
    );
    let again = guest.create(&given[0], "one");
    let mut is_same = |a: &Fd, b: &Fd| now(guest.view().is_same_object(same(a), same(b)));
    assert!(is_same(&one, &again).expect("an answer"));
    assert!(!is_same(&one, &other).expect("an answer"));
    assert!(is_same(&given[0], &given[1]).expect("an answer"));

    let mut hash = |fd: &Fd| {
        let hash = told(now(guest.view().metadata_hash(same(fd)))).expect("a hash");
        (hash.lower, hash.upper)
    };
    let (of_one, of_other) = (hash(&one), hash(&other));
    assert_eq!(of_one, hash(&again));
    assert!(of_one.0 != of_other.0 && of_one.1 != of_other.1);
    let mut view = guest.view();
    let by_path = view.metadata_hash_at(same(&given[1]), PathFlags::empty(), "one".into());
    let by_path = told(now(by_path)).expect("a hash");
    assert_eq!((by_path.lower, by_path.upper), of_one);
}

#[test]
fn a_stream_goes_on_where_it_is_and_says_why_it_cannot() {
    let mut guest = Guest::new();
    let given = guest.given();
    let file = guest.create(&given[0], "file");
    let writer = told(guest.view().write_via_stream(same(&file), 8190)).expect("a stream");
    let mut write = |bytes: &'static [u8]| {
        let stream = guest.table.get_mut(&writer).expect("the stream");
        assert!(stream.check_write().expect("room") > 0);
        stream.write(bytes.into())
    };
    write(b"a").expect("room for two");
    write(b"b").expect("room for one");
    let Err(StreamError::LastOperationFailed(error)) = write(b"c") else {
        panic!("there is no room");
    };
    let error = guest.table.push(error).expect("room in the table");
    let code = guest
        .view()
        .filesystem_error_code(error)
        .expect("an answer");
    assert_eq!(code, Some(ErrorCode::InsufficientSpace));

    let reader = told(guest.view().read_via_stream(same(&file), 8189)).expect("a stream");
    let reader = guest.table.get_mut(&reader).expect("the stream");
    assert_eq!(reader.read(2).expect("two bytes")[..], *b"\0a");
    assert_eq!(reader.read(2).expect("one byte")[..], *b"b");
    assert_eq!(reader.read(0).expect("nothing").len(), 0);
    assert!(matches!(reader.read(2), Err(StreamError::Closed)));
}

#[test]
fn streams_are_for_what_a_file_was_opened_for() {
    let mut guest = Guest::new();
    let given = guest.given();
    guest.create(&given[0], "file");
    let mut open = |flags| guest.open(&given[0], "file", OpenFlags::empty(), flags);
    let (read, write) = (open(DescriptorFlags::READ), open(DescriptorFlags::WRITE));
    let (read, write) = (read.expect("a file"), write.expect("a file"));
    let mut view = guest.view();
    let bad = Some(ErrorCode::BadDescriptor);
    assert_eq!(told(view.read_via_stream(same(&write), 0)).err(), bad);
    assert_eq!(told(view.write_via_stream(same(&read), 0)).err(), bad);
    assert_eq!(told(view.append_via_stream(same(&read))).err(), bad);
    let directory = view.read_via_stream(same(&given[0]), 0);
    assert_eq!(told(directory).err(), Some(ErrorCode::IsDirectory));
}

#[test]
fn what_is_read_at_once_is_bounded() {
    let mut guest = Guest::with([Mounted::new(
        "/",
        Memory::new(MemoryLimits::default()).root(),
        Access::ReadWrite,
    )]);
    let given = guest.given();
    let file = guest.create(&given[0], "file");
    let mut view = guest.view();
    told(now(view.set_size(same(&file), 1 << 40))).expect("a hole takes nothing");
    let (bytes, is_end) = told(now(view.read(same(&file), u64::MAX, 0))).expect("zeros");
    assert!(bytes.len() <= 1 << 20 && !bytes.is_empty() && !is_end);
    let (bytes, is_end) = told(now(view.read(same(&file), 9, 1 << 40))).expect("the end");
    assert!(bytes.is_empty() && is_end);
    let beyond = now(view.read(same(&file), 9, u64::MAX));
    assert_eq!(told(beyond).err(), Some(ErrorCode::Invalid));
}

#[test]
fn handles_without_end_are_an_error() {
    let mut guest = Guest::new();
    let given = guest.given();
    let file = guest.create(&given[0], "file");
    guest.table.set_max_capacity(5);
    let read = DescriptorFlags::READ;
    let one_more = guest.open(&given[0], "file", OpenFlags::empty(), read);
    let none = Some(ErrorCode::InsufficientMemory);
    assert!(one_more.is_ok());
    let stream = told(guest.view().read_via_stream(same(&file), 0));
    assert!(stream.is_ok());
    let refused = guest.open(&given[0], "file", OpenFlags::empty(), read);
    assert_eq!(refused.err(), none);
    assert_eq!(
        told(guest.view().read_via_stream(same(&file), 0)).err(),
        none
    );
    assert_eq!(
        told(now(guest.view().read_directory(same(&given[0])))).err(),
        none
    );
}

#[test]
fn a_file_is_there_as_long_as_a_stream_of_it() {
    let mut guest = Guest::new();
    let given = guest.given();
    let file = guest.create(&given[0], "file");
    let appender = told(guest.view().append_via_stream(same(&file))).expect("a stream");
    HostDescriptor::drop(&mut guest.view(), file).expect("it is there");
    let stream = guest.table.get_mut(&appender).expect("the stream");
    stream.write("kept".into()).expect("the file");
    let mut view = guest.view();
    let stat = view.stat_at(same(&given[0]), PathFlags::empty(), "file".into());
    let stat = told(now(stat)).expect("the file");
    assert_eq!((stat.type_, stat.size), (DescriptorType::RegularFile, 4));
    assert!(stat.status_change_timestamp.is_some());
}

#[test]
fn a_guest_that_is_to_end_is_told_nothing_more() {
    let mut guest = Guest::new();
    let given = guest.given();
    let control = guest.control.clone();
    let file = guest.create(&given[0], "file");
    control.interrupt(Interrupt::Kill);
    let ended = now(guest.view().read(same(&file), 1, 0)).expect_err("it is to end");
    assert!(ended.downcast_ref().is_none());
    let reader = told(guest.view().read_via_stream(same(&file), 0)).expect("a stream");
    let reader = guest.table.get_mut(&reader).expect("the stream");
    assert!(matches!(reader.read(1), Err(StreamError::Trap(_))));
}

#[cfg(target_os = "linux")]
#[test]
fn a_listing_goes_on_behind_a_name_that_is_not_utf8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let directory = tempfile::tempdir().expect("a directory");
    let mut expected: Vec<_> = (0..200).map(|number| format!("name-{number}")).collect();
    for name in &expected {
        std::fs::write(directory.path().join(name), "").expect("a file");
    }
    for name in [&b"\xff"[..], b"\xfe"] {
        let path = directory.path().join(OsStr::from_bytes(name));
        std::fs::write(path, "").expect("a file");
    }
    let mounted = Mounted::bind(directory.path(), "/", Access::ReadOnly);
    let mut guest = Guest::with([mounted.expect("the directory")]);
    let given = guest.given();
    let listing = now(guest.view().read_directory(same(&given[0])));
    let listing = told(listing).expect("a listing");
    let (mut names, mut unsayable) = (Vec::new(), 0);
    loop {
        match told(now(guest.view().read_directory_entry(same(&listing)))) {
            Ok(Some(entry)) => names.push(entry.name),
            Ok(None) => break,
            Err(ErrorCode::IllegalByteSequence) => unsayable += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(unsayable, 2);
    let listing = Resource::new_own(listing.rep());
    HostDirectoryEntryStream::drop(&mut guest.view(), listing).expect("it is there");
}
