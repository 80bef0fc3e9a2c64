//! Starting a runtime at the head of a session of its own, which ends with us.
//!
//! The child has something to do before it becomes the runtime, and for that `std` copies this process
//! with the tables of all its memory. In a host of 64 MB that takes as long as a small runtime does in
//! all, and it grows with the host. So on Linux the child borrows our memory until then, as that of
//! `posix_spawn` does.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{Pid, Resource, Rlimit};

use crate::spawn::launch::{Launch, kept_variables};

/// The runtime's standard input, output and error.
pub(super) type Streams = [OwnedFd; 3];

/// Starts it. It ends when this thread does.
pub(super) fn start(launch: &Launch, streams: Streams) -> io::Result<Pid> {
    #[cfg(target_os = "linux")]
    if borrowing::is_sound() {
        return borrowing::start(launch, streams);
    }
    start_with_a_copy(launch, streams)
}

fn start_with_a_copy(launch: &Launch, streams: Streams) -> io::Result<Pid> {
    let [stdin, stdout, stderr] = streams;
    let mut command = Command::new(&launch.executable);
    command
        .args(&launch.args)
        .env_clear()
        .envs(kept_variables())
        // It depends on nothing of ours.
        .current_dir("/")
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr);
    let (parent, handed) = (rustix::process::getpid(), launch.handed.clone());
    let prepare = move || {
        hand_over(handed.as_deref())?;
        Ok(detach(parent)?)
    };
    // SAFETY: it only makes system calls, which is allowed between fork and exec.
    unsafe { command.pre_exec(prepare) };
    let child = command.spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Called in the child: the runtime is to have this file too.
fn hand_over(file: Option<&File>) -> Result<(), Errno> {
    file.map_or(Ok(()), |file| fcntl_setfd(file, FdFlags::empty()))
}

/// Called in the child before it becomes the runtime.
fn detach(parent: Pid) -> Result<(), Errno> {
    // A session rather than a process group: a background group that reads from the terminal is
    // stopped, a process without a terminal of its own is not.
    rustix::process::setsid()?;
    // A runtime that aborts leaves no file behind.
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none)?;
    // A closed reader is an error the guest sees, as it is in an engine of this process.
    // SAFETY: ignoring a signal installs no handler.
    if unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(Errno::INVAL);
    }
    die_with(parent)
}

/// Ties the child's life to that of the thread that started it, which waits for it.
#[cfg(target_os = "linux")]
fn die_with(parent: Pid) -> Result<(), Errno> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before.
    if getppid() != Some(parent) {
        return Err(Errno::SRCH);
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn die_with(_: Pid) -> Result<(), Errno> {
    Ok(())
}

#[cfg(target_os = "linux")]
mod borrowing {
    use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int, c_void};
    use std::mem::MaybeUninit;
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;
    use std::ptr::{null, null_mut};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI32, Ordering};

    use rustix::io::{fcntl_dupfd_cloexec, retry_on_intr};
    use rustix::process::{WaitOptions, waitpid};
    use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

    use super::*;

    /// The child's stack, in bytes. It makes system calls and nothing else.
    const STACK: usize = 64 << 10;

    /// What the child does.
    struct Plan {
        parent: Pid,
        streams: Streams,
        handed: Option<Arc<File>>,
        executable: CString,
        args: Strings,
        env: Strings,
        /// Why it did not become the runtime: an error number, or 0. It has our memory; where an emulator gives
        /// it a copy, all there is to know is that it exits with 127.
        failure: AtomicI32,
    }

    /// Up to 2.23, glibc's `clone` takes a child in our memory for a thread of ours, and writes to
    /// what it keeps of the one that calls it (its bug 18862).
    pub(super) fn is_sound() -> bool {
        #[cfg(target_env = "gnu")]
        {
            // SAFETY: it is a string that never changes.
            let version = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
            let mut parts = version.to_str().unwrap_or_default().split('.');
            let mut part = || parts.next().and_then(|part| part.parse::<u32>().ok());
            (part(), part()) >= (Some(2), Some(24))
        }
        #[cfg(not(target_env = "gnu"))]
        true
    }

    pub(super) fn start(launch: &Launch, streams: Streams) -> io::Result<Pid> {
        let executable = launch.executable.as_os_str();
        let args = std::iter::once(executable).chain(launch.args.iter().map(AsRef::as_ref));
        let env = kept_variables().map(|(name, value)| {
            let mut variable = OsString::from(name);
            variable.push("=");
            variable.push(value);
            variable
        });
        let [stdin, stdout, stderr] = streams.map(out_of_the_way);
        let plan = Plan {
            parent: rustix::process::getpid(),
            streams: [stdin?, stdout?, stderr?],
            handed: launch.handed.clone(),
            executable: terminated(executable)?,
            args: Strings::new(args)?,
            env: Strings::new(env)?,
            failure: AtomicI32::new(0),
        };
        let pid = clone_for(&plan)?;
        match plan.failure.into_inner() {
            0 => Ok(pid),
            error => {
                // It has ended, or is about to.
                let _ = retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
                Err(io::Error::from_raw_os_error(error))
            }
        }
    }

    /// Not one of those that the runtime's streams become.
    fn out_of_the_way(fd: OwnedFd) -> io::Result<OwnedFd> {
        match fd.as_raw_fd() {
            0..3 => Ok(fcntl_dupfd_cloexec(&fd, 3)?),
            _ => Ok(fd),
        }
    }

    /// Starts the child and waits until it needs our memory no more.
    fn clone_for(plan: &Plan) -> io::Result<Pid> {
        let mut stack = Vec::<u128>::with_capacity(STACK / size_of::<u128>());
        let top = stack.spare_capacity_mut().as_mut_ptr_range().end;
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let plan = std::ptr::from_ref(plan).cast_mut().cast::<c_void>();
        let _blocked = SignalsBlocked::new();
        // SAFETY: the child's stack and plan stay where they are until it has become the runtime or
        // ended: with CLONE_VFORK this thread goes on only then. Of our memory it changes its stack,
        // this thread's errno and the plan's `failure`, which is atomic. No handler of ours runs in it,
        // since signals are blocked until it has none; what it handles itself is not ours, since
        // CLONE_SIGHAND is not given.
        let pid = unsafe { libc::clone(child, top.cast(), flags, plan) };
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        Pid::from_raw(pid).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    extern "C" fn child(plan: *mut c_void) -> c_int {
        // SAFETY: `clone_for` has a reference to it while this runs.
        let plan = unsafe { &*plan.cast::<Plan>() };
        let error = match become_runtime(plan) {
            Err(error) => error.raw_os_error(),
            // SAFETY: it is this thread's.
            Ok(()) => unsafe { *libc::__errno_location() },
        };
        plan.failure.store(error, Ordering::Relaxed);
        127
    }

    /// Returns only if it does not. Makes system calls and nothing else: for what other threads of ours
    /// hold, it would wait for ever.
    fn become_runtime(plan: &Plan) -> Result<(), Errno> {
        let [stdin, stdout, stderr] = &plan.streams;
        dup2_stdin(stdin)?;
        dup2_stdout(stdout)?;
        dup2_stderr(stderr)?;
        hand_over(plan.handed.as_deref())?;
        // It depends on nothing of ours.
        rustix::process::chdir(c"/")?;
        // Before the handlers: some C libraries take a lock there, and then it at least dies with us.
        detach(plan.parent)?;
        drop_handlers();
        // SAFETY: the set is made before it is used; the strings and the lists of them end.
        unsafe {
            let mut none = MaybeUninit::uninit();
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), null_mut());
            libc::execve(plan.executable.as_ptr(), plan.args.list(), plan.env.list());
        }
        Ok(())
    }

    /// Our handlers must not run in the child, whose memory is still ours.
    fn drop_handlers() {
        for signal in 1..=libc::SIGRTMAX() {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: all zeros are an action too. The default handler runs nothing.
            unsafe {
                let known = libc::sigaction(signal, null(), action.as_mut_ptr()) == 0;
                let action = action.assume_init_mut();
                if known && ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction) {
                    action.sa_sigaction = libc::SIG_DFL;
                    libc::sigaction(signal, action, null_mut());
                }
            }
        }
    }

    /// While it lives, this thread handles no signals.
    struct SignalsBlocked(libc::sigset_t);

    impl SignalsBlocked {
        fn new() -> Self {
            let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
            // SAFETY: the one is made before it is used, and the other is what it was used for.
            unsafe {
                libc::sigfillset(all.as_mut_ptr());
                libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
                SignalsBlocked(before.assume_init())
            }
        }
    }

    impl Drop for SignalsBlocked {
        fn drop(&mut self) {
            // SAFETY: it is what this thread had.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, null_mut()) };
        }
    }

    /// Strings as C takes them: they end with a zero, and their list with a null.
    struct Strings {
        _owned: Vec<CString>,
        pointers: Vec<*const c_char>,
    }

    impl Strings {
        fn new(strings: impl IntoIterator<Item = impl AsRef<OsStr>>) -> io::Result<Self> {
            let owned = strings
                .into_iter()
                .map(|string| terminated(string.as_ref()));
            let owned = owned.collect::<io::Result<Vec<_>>>()?;
            let pointers = owned.iter().map(|string| string.as_ptr());
            Ok(Strings {
                pointers: pointers.chain([null()]).collect(),
                _owned: owned,
            })
        }

        fn list(&self) -> *const *const c_char {
            self.pointers.as_ptr()
        }
    }

    fn terminated(string: &OsStr) -> io::Result<CString> {
        Ok(CString::new(string.as_bytes())?)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{PipeReader, Read};
    use std::sync::Arc;
    use std::thread::{self, ScopedJoinHandle};
    use std::time::Duration;

    use rustix::process::{Signal, WaitOptions, getpid, kill_process, waitpid};

    use wasmrun_core::Usage;

    use super::*;
    use crate::spawn::memory_file;

    fn shell(script: &str) -> Launch {
        Launch {
            executable: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            handed: None,
            usage: Usage::default(),
        }
    }

    type Start = fn(&Launch, Streams) -> io::Result<Pid>;

    const WAYS: [Start; 2] = [borrowing::start, start_with_a_copy];

    fn start_by(start: Start, launch: &Launch) -> io::Result<(Pid, PipeReader)> {
        let (stdin, _) = io::pipe()?;
        let (ours, stdout) = io::pipe()?;
        let stderr = stdout.try_clone()?;
        let pid = start(launch, [stdin.into(), stdout.into(), stderr.into()])?;
        Ok((pid, ours))
    }

    fn ended(pid: Pid) -> Option<i32> {
        let status = waitpid(Some(pid), WaitOptions::empty()).expect("a child");
        status.and_then(|(_, status)| status.exit_status())
    }

    /// What a process prints, and what it exits with.
    fn said(start: Start, script: &str) -> (String, Option<i32>) {
        let (pid, mut output) = start_by(start, &shell(script)).expect("a shell");
        let mut text = String::new();
        output.read_to_string(&mut text).expect("text");
        (text, ended(pid))
    }

    #[test]
    fn a_process_has_its_streams_and_nothing_else_of_ours() {
        for start in WAYS {
            let said = |script| said(start, script);
            let both = ("out\nerr\n".into(), Some(7));
            assert_eq!(said("echo out; echo err >&2; exit 7"), both);
            assert_eq!(said("cat; pwd; ulimit -c"), ("/\n0\n".into(), Some(0)));
            // Whoever started us may have left some open to all.
            let list = "exec ls /proc/self/fd";
            let listed = Command::new("/bin/sh").args(["-c", list]).output();
            let listed = listed.expect("a shell").stdout;
            assert_eq!(said(list).0.as_bytes(), listed);
            let (status, _) = said("exec cat /proc/self/status");
            for none in ["SigBlk:\t0000000000000000\n", "SigCgt:\t0000000000000000\n"] {
                assert!(status.contains(none), "{status}");
            }
            let (session, _) = said("exec cut -d' ' -f1,6 /proc/self/stat");
            let (pid, leader) = session.trim().split_once(' ').expect("two numbers");
            assert_eq!(pid, leader);
            // Some are what a shell sets itself.
            let known = ["PWD", "OLDPWD", "SHLVL", "_", "LD_LIBRARY_PATH"];
            let (env, _) = said("exec env");
            let names = env.lines().filter_map(|line| Some(line.split_once('=')?.0));
            let ours: Vec<&str> = names.filter(|name| !known.contains(name)).collect();
            assert!(ours.is_empty(), "{ours:?}");
        }
    }

    #[test]
    fn a_process_has_the_file_that_it_is_handed() {
        let (path, file) = memory_file("a", b"in memory").expect("a file");
        let list = |handed| Launch {
            handed,
            usage: Usage::default(),
            ..shell(&format!("cat {}", path.display()))
        };
        let file = Arc::new(file);
        for start in WAYS {
            for (handed, expected) in [(Some(file.clone()), "in memory"), (None, "")] {
                let (pid, mut output) = start_by(start, &list(handed)).expect("a shell");
                let mut text = String::new();
                output.read_to_string(&mut text).expect("text");
                assert_eq!(ended(pid), Some(i32::from(expected.is_empty())));
                assert!(text.starts_with(expected), "{text}");
            }
        }
    }

    #[test]
    fn what_cannot_be_started_is_an_error() {
        for start in WAYS {
            let refused = |launch| start_by(start, &launch).expect_err("is refused").kind();
            let no = |executable: &str| {
                refused(Launch {
                    executable: executable.into(),
                    args: Vec::new(),
                    handed: None,
                    usage: Usage::default(),
                })
            };
            assert_eq!(no("/no/such/runtime"), io::ErrorKind::NotFound);
            assert_eq!(no("/"), io::ErrorKind::PermissionDenied);
            assert_eq!(no("a\0b"), io::ErrorKind::InvalidInput);
            let long = shell(&"x".repeat(1 << 20));
            assert_eq!(refused(long), io::ErrorKind::ArgumentListTooLong);
        }
    }

    #[test]
    fn many_threads_start_processes_while_signals_come() {
        extern "C" fn handler(_: libc::c_int) {}
        // SAFETY: the handler does nothing.
        unsafe { libc::signal(libc::SIGUSR1, handler as *const () as libc::sighandler_t) };
        let starts = |thread: usize| {
            for round in 0..25 {
                let start = WAYS[round % WAYS.len()];
                let code = (thread * 25 + round) % 128;
                assert_eq!(said(start, &format!("exit {code}")).1, Some(code as i32));
            }
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || starts(n))).collect();
            while !threads.iter().all(ScopedJoinHandle::is_finished) {
                kill_process(getpid(), Signal::USR1).expect("a signal");
                thread::sleep(Duration::from_micros(200));
            }
        });
    }
}
