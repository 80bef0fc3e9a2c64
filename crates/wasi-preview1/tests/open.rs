//! How many files a guest may have open, and what it may not open at all.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use rustix::process::{Resource, getrlimit};
use wasmrun_core::{Access, Control, Interrupt};
use wasmrun_wasi_preview1::{GuestMemory, Mounted, Stop, Wasi, World, preview1};

const BADF: i32 = 8;
const MFILE: i32 = 33;
const NOTDIR: i32 = 54;
const NXIO: i32 = 60;
const FOLLOW: i32 = 1;
const CREATE: i32 = 1;
const DIRECTORY: i32 = 2;
const READ: i64 = 2;
const WRITE: i64 = 64;

fn guest(directory: &Path) -> Wasi {
    guest_ended_by(directory, &Control::new())
}

fn guest_ended_by(directory: &Path, control: &Control) -> Wasi {
    let mount = Mounted::bind(directory, "/", Access::ReadWrite).expect("a directory");
    Wasi::new(&[], &World::new(vec![mount]), control.clone())
}

/// The descriptor, or the errno.
fn open(wasi: &mut Wasi, name: &str, oflags: i32, rights: i64) -> Result<i32, i32> {
    try_open(wasi, name, oflags, rights).expect("a guest that goes on")
}

fn try_open(
    wasi: &mut Wasi,
    name: &str,
    oflags: i32,
    rights: i64,
) -> Result<Result<i32, i32>, Stop> {
    let mut memory = vec![0; 8];
    memory.extend(name.as_bytes());
    let mut memory = GuestMemory::Unshared(&mut memory);
    let len = name.len() as i32;
    let errno = preview1::path_open(
        wasi,
        &mut memory,
        3,
        FOLLOW,
        8,
        len,
        oflags,
        rights,
        0,
        0,
        0,
    );
    Ok(match errno? {
        0 => Ok(memory
            .read::<i32>(wiggle::GuestPtr::new(0))
            .expect("it was written")),
        errno => Err(errno),
    })
}

fn close(wasi: &mut Wasi, fd: i32) -> Result<i32, Stop> {
    preview1::fd_close(wasi, &mut GuestMemory::Unshared(&mut []), fd)
}

#[test]
fn a_guest_cannot_use_up_the_descriptors_of_its_host() {
    let directory = tempfile::tempdir().expect("a directory");
    let wasi = &mut guest(directory.path());
    let mut opened = Vec::new();
    let errno = loop {
        match open(wasi, "file", CREATE, WRITE) {
            Ok(fd) => opened.push(fd),
            Err(errno) => break errno,
        }
    };
    assert_eq!(errno, MFILE);
    let ours = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    assert!(
        opened.len() as u64 <= ours / 2,
        "{} of {ours}",
        opened.len()
    );
    let hosts: Result<Vec<_>, _> = (0..ours / 5).map(|_| File::open("/dev/null")).collect();
    drop(hosts.expect("the host has some left"));

    // One that is closed, or replaced, makes room for one; one that is not there does not.
    let no_memory = || GuestMemory::Unshared(&mut []);
    let (first, second) = (opened[0], opened[1]);
    let renumbered = preview1::fd_renumber(wasi, &mut no_memory(), first, second);
    assert_eq!(renumbered, Ok(0));
    open(wasi, "file", 0, READ).expect("there is room");
    assert_eq!(open(wasi, "file", 0, READ), Err(MFILE));
    assert_eq!(close(wasi, second), Ok(0));
    assert_eq!(close(wasi, second), Ok(BADF));
    let fd = open(wasi, "file", 0, READ).expect("there is room");
    assert_eq!(open(wasi, "file", 0, READ), Err(MFILE));
    // To give it its own number closes nothing.
    assert_eq!(preview1::fd_renumber(wasi, &mut no_memory(), fd, fd), Ok(0));
    assert_eq!(open(wasi, "file", 0, READ), Err(MFILE));
}

#[test]
fn a_fifo_or_socket_in_a_directory_is_not_opened() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
    let _socket = UnixListener::bind(path("socket")).expect("a socket");
    std::os::unix::fs::symlink("fifo", path("link")).expect("a symlink");
    let wasi = &mut guest(directory.path());
    for name in ["fifo", "link", "socket", "./fifo"] {
        for (oflags, rights) in [(0, READ), (0, WRITE), (0, READ | WRITE), (CREATE, WRITE)] {
            // It would wait for ever.
            assert_eq!(open(wasi, name, oflags, rights), Err(NXIO), "{name}");
        }
        assert_eq!(open(wasi, name, DIRECTORY, READ), Err(NOTDIR), "{name}");
    }
    open(wasi, "file", CREATE, WRITE).expect("a file");
    open(wasi, ".", DIRECTORY, READ).expect("a directory");
}

#[test]
fn a_socket_in_a_directory_is_listed_without_a_type() {
    const UNKNOWN: u8 = 0;
    let directory = tempfile::tempdir().expect("a directory");
    let _socket = UnixListener::bind(directory.path().join("socket")).expect("a socket");
    let wasi = &mut guest(directory.path());
    let mut bytes = [&[0xff; 1024][..], b"socket"].concat();
    let mut memory = GuestMemory::Unshared(&mut bytes);
    let stat = preview1::path_filestat_get(wasi, &mut memory, 3, 0, 1024, 6, 0);
    assert_eq!(stat, Ok(0));
    let listed = preview1::fd_readdir(wasi, &mut memory, 3, 100, 900, 0, 1004);
    assert_eq!(listed, Ok(0));
    assert_eq!(bytes[16], UNKNOWN);
}

#[test]
fn a_fifo_that_takes_the_place_of_a_file_holds_nobody_up_beyond_its_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    File::create(path("file")).expect("a file");
    mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
    let control = Control::new();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                renameat_with(CWD, path("file"), CWD, path("fifo"), RenameFlags::EXCHANGE)
                    .expect("they change places");
            }
        });
        let guest = scope.spawn(|| {
            let mut wasi = guest_ended_by(directory.path(), &control);
            loop {
                match try_open(&mut wasi, "file", 0, READ) {
                    Ok(opened) => drop(opened.map(|fd| close(&mut wasi, fd))),
                    Err(stop) => return stop,
                }
            }
        });
        // Long enough to meet it.
        thread::sleep(Duration::from_millis(200));
        control.interrupt(Interrupt::Timeout);
        let stop = guest.join().expect("no panic");
        over.store(true, Ordering::SeqCst);
        assert_eq!(stop, Stop::Interrupted(Interrupt::Timeout));
    });
}
