//! Exit codes that do not fit into a process's.
//!
//! A process hands the kernel 32 bits and its parent gets eight of them: a guest that exits with
//! 256 would have succeeded. A filter on that one system call makes the difference visible: a
//! larger code ends the process by a signal.

use std::io;

use libc::{BPF_ABS, BPF_JEQ, BPF_JGT, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};

/// The signal of a process that tried to exit with more than eight bits.
pub(super) const TOO_LARGE: i32 = libc::SIGSYS;

const LARGEST: u32 = 255;

/// Where in `struct seccomp_data` the number of the system call is, and the low half of its first
/// argument.
const NUMBER: u32 = 0;
const CODE: u32 = if cfg!(target_endian = "little") {
    16
} else {
    20
};

/// Lets this process, and what it becomes, exit with eight bits only.
pub(super) fn limit() -> io::Result<()> {
    let load = |at| operation(BPF_LD | BPF_W | BPF_ABS, at, 0, 0);
    let answer = |action| operation(BPF_RET | BPF_K, action, 0, 0);
    let mut filter = [
        load(NUMBER),
        operation(BPF_JMP | BPF_JEQ | BPF_K, libc::SYS_exit_group as u32, 0, 2),
        load(CODE),
        operation(BPF_JMP | BPF_JGT | BPF_K, LARGEST, 1, 0),
        answer(libc::SECCOMP_RET_ALLOW),
        answer(libc::SECCOMP_RET_KILL_PROCESS),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program outlives the calls, and the second copies it. Older kernels would make the
    // process slower without the flag.
    let installed = unsafe {
        match libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) {
            0 => libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                &raw const program,
            ),
            failed => failed.into(),
        }
    };
    match installed {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn operation(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}
