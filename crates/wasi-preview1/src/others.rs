//! What is left of WASI: the process, and sockets, of which no guest has any.

use std::thread;

use wasmtime_wasi::p1::types::{Errno, Fdflags, Riflags, Sdflags, Siflags, Signal};
use wiggle::GuestMemory;

use crate::Wasi;
use crate::call::{Result, argument};

pub(crate) fn proc_raise(_: &mut Wasi, _: &mut GuestMemory<'_>, signal: i32) -> Result<()> {
    argument::<Signal>(signal)?;
    Err(Errno::Notsup.into())
}

pub(crate) fn sched_yield(_: &mut Wasi, _: &mut GuestMemory<'_>) -> Result<()> {
    thread::yield_now();
    Ok(())
}

pub(crate) fn sock_accept(
    wasi: &mut Wasi,
    _: &mut GuestMemory<'_>,
    fd: i32,
    flags: i32,
    _: i32,
) -> Result<()> {
    argument::<Fdflags>(flags)?;
    no_socket(wasi, fd)
}

#[expect(clippy::too_many_arguments, reason = "WASI has a function of so many")]
pub(crate) fn sock_recv(
    wasi: &mut Wasi,
    _: &mut GuestMemory<'_>,
    fd: i32,
    _: i32,
    _: i32,
    flags: i32,
    _: i32,
    _: i32,
) -> Result<()> {
    argument::<Riflags>(flags)?;
    no_socket(wasi, fd)
}

pub(crate) fn sock_send(
    wasi: &mut Wasi,
    _: &mut GuestMemory<'_>,
    fd: i32,
    _: i32,
    _: i32,
    flags: i32,
    _: i32,
) -> Result<()> {
    argument::<Siflags>(flags)?;
    no_socket(wasi, fd)
}

pub(crate) fn sock_shutdown(
    wasi: &mut Wasi,
    _: &mut GuestMemory<'_>,
    fd: i32,
    how: i32,
) -> Result<()> {
    argument::<Sdflags>(how)?;
    no_socket(wasi, fd)
}

fn no_socket(wasi: &mut Wasi, fd: i32) -> Result<()> {
    wasi.descriptors.get(fd)?;
    Err(Errno::Notsock.into())
}
