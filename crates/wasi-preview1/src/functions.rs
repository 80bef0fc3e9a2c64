//! The functions, each listed once, and the ways to reach them: typed, raw, by name.

use wasmrun_core::guest::{Import, ImportKind, ValueType};
use wasmrun_core::{Error, ErrorKind};
use wasmtime_wasi::p0::wasi_unstable;
use wasmtime_wasi::p1::wasi_snapshot_preview1;
use wiggle::GuestMemory;

use crate::{Stop, Wasi, block_on_ready, open, poll};

/// Calls `$then` with what else it was given and the list. A mark in front of each function says
/// how it is called: at once (`ready`), as a `future`, or with something of this crate's own.
#[doc(hidden)]
#[macro_export]
macro_rules! __list {
    ($then:path $(, $more:path)?) => {
        $then! {
            $($more;)?
            both {
                [ready] args_get(argv: i32, argv_buf: i32) -> i32;
                [ready] args_sizes_get(count: i32, size: i32) -> i32;
                [ready] environ_get(environ: i32, environ_buf: i32) -> i32;
                [ready] environ_sizes_get(count: i32, size: i32) -> i32;
                [ready] clock_res_get(id: i32, resolution: i32) -> i32;
                [ready] clock_time_get(id: i32, precision: i64, time: i32) -> i32;
                [future] fd_advise(fd: i32, offset: i64, len: i64, advice: i32) -> i32;
                [ready] fd_allocate(fd: i32, offset: i64, len: i64) -> i32;
                [close] fd_close(fd: i32) -> i32;
                [future] fd_datasync(fd: i32) -> i32;
                [future] fd_fdstat_get(fd: i32, stat: i32) -> i32;
                [ready] fd_fdstat_set_flags(fd: i32, flags: i32) -> i32;
                [ready] fd_fdstat_set_rights(fd: i32, base: i64, inheriting: i64) -> i32;
                [future] fd_filestat_get(fd: i32, stat: i32) -> i32;
                [future] fd_filestat_set_size(fd: i32, size: i64) -> i32;
                [future] fd_filestat_set_times(fd: i32, atim: i64, mtim: i64, flags: i32) -> i32;
                [future] fd_pread(fd: i32, iovs: i32, len: i32, offset: i64, read: i32) -> i32;
                [ready] fd_prestat_get(fd: i32, prestat: i32) -> i32;
                [ready] fd_prestat_dir_name(fd: i32, path: i32, len: i32) -> i32;
                [future] fd_pwrite(fd: i32, iovs: i32, len: i32, offset: i64, written: i32) -> i32;
                [future] fd_read(fd: i32, iovs: i32, len: i32, read: i32) -> i32;
                [future] fd_readdir(fd: i32, buf: i32, len: i32, cookie: i64, used: i32) -> i32;
                [renumber] fd_renumber(fd: i32, to: i32) -> i32;
                [future] fd_seek(fd: i32, offset: i64, whence: i32, position: i32) -> i32;
                [future] fd_sync(fd: i32) -> i32;
                [ready] fd_tell(fd: i32, position: i32) -> i32;
                [future] fd_write(fd: i32, iovs: i32, len: i32, written: i32) -> i32;
                [future] path_create_directory(fd: i32, path: i32, len: i32) -> i32;
                [future] path_filestat_get(
                    fd: i32, flags: i32, path: i32, len: i32, stat: i32
                ) -> i32;
                [future] path_filestat_set_times(
                    fd: i32, flags: i32, path: i32, len: i32, atim: i64, mtim: i64, fst_flags: i32
                ) -> i32;
                [future] path_link(
                    fd: i32, flags: i32, path: i32, len: i32, new_fd: i32, new: i32, new_len: i32
                ) -> i32;
                [open] path_open(
                    fd: i32, flags: i32, path: i32, len: i32, oflags: i32, base: i64,
                    inheriting: i64, fdflags: i32, opened: i32
                ) -> i32;
                [future] path_readlink(
                    fd: i32, path: i32, len: i32, buf: i32, buf_len: i32, used: i32
                ) -> i32;
                [future] path_remove_directory(fd: i32, path: i32, len: i32) -> i32;
                [future] path_rename(
                    fd: i32, path: i32, len: i32, new_fd: i32, new: i32, new_len: i32
                ) -> i32;
                [future] path_symlink(target: i32, target_len: i32, fd: i32, path: i32, len: i32) -> i32;
                [future] path_unlink_file(fd: i32, path: i32, len: i32) -> i32;
                [poll] poll_oneoff(subscriptions: i32, events: i32, count: i32, ready: i32) -> i32;
                [exit] proc_exit(code: i32);
                [ready] proc_raise(signal: i32) -> i32;
                [ready] sched_yield() -> i32;
                [pieces] random_get(buf: i32, len: i32) -> i32;
                [ready] sock_recv(
                    fd: i32, iovs: i32, len: i32, flags: i32, received: i32, out_flags: i32
                ) -> i32;
                [ready] sock_send(fd: i32, iovs: i32, len: i32, flags: i32, sent: i32) -> i32;
                [ready] sock_shutdown(fd: i32, how: i32) -> i32;
            }
            preview1 {
                [ready] sock_accept(fd: i32, flags: i32, accepted: i32) -> i32;
            }
        }
    };
}

/// Calls a macro of the caller's with every function, so that an engine can bind each with its
/// types.
///
/// The macro is given entries of this form, where `preview1` and `unstable` are the modules of this
/// crate that hold the functions:
///
/// ```text
/// preview1::fd_read(fd: i32, iovs: i32, len: i32, read: i32) -> i32;
/// preview1::proc_exit(code: i32);
/// unstable::fd_read(fd: i32, iovs: i32, len: i32, read: i32) -> i32;
/// ```
///
/// Only `proc_exit` has no result. For an engine that binds closures it comes down to this:
///
/// ```
/// use wasmrun_wasi_preview1::{GuestMemory, Stop, Wasi, preview1, unstable};
///
/// struct Linker;
///
/// impl Linker {
///     fn bind<F>(&mut self, module: &str, name: &str, function: F) {}
/// }
///
/// macro_rules! bind {
///     ($($module:ident::$name:ident($($param:ident: $type:ident),*) $(-> $result:ident)?;)*) => {
///         fn bind_all(linker: &mut Linker) {
///             $(linker.bind(
///                 $module::MODULE,
///                 stringify!($name),
///                 |wasi: &mut Wasi, memory: &mut [u8] $(, $param: $type)*| {
///                     $module::$name(wasi, &mut GuestMemory::Unshared(memory) $(, $param)*)
///                 },
///             );)*
///         }
///     };
/// }
/// wasmrun_wasi_preview1::each_function!(bind);
///
/// bind_all(&mut Linker);
/// ```
#[macro_export]
macro_rules! each_function {
    ($then:path) => {
        $crate::__list!($crate::__flat, $then);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __flat {
    (
        $then:path;
        both { $([$_kind:ident] $name:ident $params:tt $(-> $result:ident)?;)* }
        preview1 { $([$_more_kind:ident] $more:ident $more_params:tt $(-> $more_result:ident)?;)* }
    ) => {
        $then! {
            $(preview1::$name $params $(-> $result)?;)*
            $(preview1::$more $more_params $(-> $more_result)?;)*
            $(unstable::$name $params $(-> $result)?;)*
        }
    };
}

macro_rules! modules {
    (both { $($both:tt)* } preview1 { $($preview1:tt)* }) => {
        /// The functions of `wasi_snapshot_preview1`, with their types.
        pub mod preview1 {
            use super::*;

            /// The module guests import them from.
            pub const MODULE: &str = "wasi_snapshot_preview1";

            typed! { wasi_snapshot_preview1 preview1; $($both)* $($preview1)* }
        }

        /// The functions of `wasi_unstable`, preview1's predecessor, with their types.
        pub mod unstable {
            use super::*;

            /// The module guests import them from.
            pub const MODULE: &str = "wasi_unstable";

            typed! { wasi_unstable unstable; $($both)* }
        }
    };
}

macro_rules! typed {
    (
        $theirs:ident $ours:ident;
        $([$kind:ident] $name:ident($($param:ident: $type:ident),*) $(-> $result:ident)?;)*
    ) => {
        $(
            #[doc = concat!("`", stringify!($name), "`, with pointers into `memory`.")]
            ///
            /// # Errors
            ///
            /// The [`Stop`] that ends the guest.
            #[allow(clippy::too_many_arguments)]
            pub fn $name(
                wasi: &mut Wasi,
                memory: &mut GuestMemory<'_>,
                $($param: $type),*
            ) -> result!($($result)?) {
                call!([$kind] $theirs $ours $name wasi memory $($param)*)
            }
        )*
    };
}

macro_rules! result {
    () => { Result<(), Stop> };
    (i32) => { Result<i32, Stop> };
}

macro_rules! call {
    ([ready] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident $($param:ident)*) => {{
        let (context, _) = $wasi.enter()?;
        $theirs::$name(context, $memory $(, $param)*).map_err(Stop::trap)
    }};
    ([future] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident $($param:ident)*) => {{
        let (context, control) = $wasi.enter()?;
        block_on_ready(control, $theirs::$name(context, $memory $(, $param)*))?
            .map_err(Stop::trap)
    }};
    ([poll] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident $($param:ident)*) => {
        poll::$ours($wasi, $memory, [$($param),*])
    };
    ([open] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $fd:ident $flags:ident $path:ident $len:ident $($param:ident)*) => {{
        if let Some(errno) = open::refusal($wasi, $memory, [$fd, $flags, $path, $len])? {
            return Ok(errno);
        }
        let errno = call!([future] $theirs $ours $name $wasi $memory
            $fd $flags $path $len $($param)*)?;
        if errno == SUCCESS {
            $wasi.opened.more();
        }
        Ok(errno)
    }};
    ([close] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident $fd:ident) => {{
        let errno = call!([future] $theirs $ours $name $wasi $memory $fd)?;
        if errno == SUCCESS {
            $wasi.opened.less();
        }
        Ok(errno)
    }};
    // Closes what the number stood for.
    ([renumber] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $fd:ident $to:ident) => {{
        let errno = call!([future] $theirs $ours $name $wasi $memory $fd $to)?;
        if errno == SUCCESS && $fd != $to {
            $wasi.opened.less();
        }
        Ok(errno)
    }};
    // wasmtime-wasi makes all of it before it fills the buffer, and takes its time.
    ([pieces] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $buf:ident $len:ident) => {{
        for (at, len) in pieces($buf, $len) {
            let errno = call!([ready] $theirs $ours $name $wasi $memory at len)?;
            if errno != SUCCESS {
                return Ok(errno);
            }
        }
        Ok(SUCCESS)
    }};
    // wasmtime-wasi refuses codes from 126 on; ours arrive whole.
    ([exit] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident $code:ident) => {{
        let _ = ($wasi, $memory);
        Err(Stop::Exit($code))
    }};
}

crate::__list!(modules);

/// The errno of a call that did what it was asked.
pub(crate) const SUCCESS: i32 = 0;

/// A buffer in pieces, each with its address and length. What would go beyond the last address stays
/// whole, so that it is refused.
fn pieces(buf: i32, len: i32) -> impl Iterator<Item = (i32, i32)> {
    const PIECE: u32 = 64 << 10;
    let (begin, whole) = (buf.cast_unsigned(), len.cast_unsigned());
    let size = match begin.checked_add(whole) {
        Some(_) => PIECE,
        None => u32::MAX,
    };
    (0..whole.div_ceil(size).max(1)).map(move |number| {
        let done = number * size;
        let piece = (whole - done).min(size);
        ((begin + done).cast_signed(), piece.cast_signed())
    })
}

/// A function as a guest imports it, for engines that call without static types.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// The module it is imported from.
    pub module: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// What it takes: `I32` and `I64` only.
    pub params: &'static [ValueType],
    /// What it returns: an `I32`, the errno; nothing for `proc_exit`.
    pub result: Option<ValueType>,
    /// Calls it. An argument fills a slot; an `I32` its lower half, where the upper does not matter.
    pub call: RawCall,
}

/// How [`Function::call`] calls.
pub type RawCall = fn(&mut Wasi, &mut GuestMemory<'_>, &[u64]) -> Result<Option<i32>, Stop>;

/// The function of that name, if `module` has it.
pub fn find(module: &str, name: &str) -> Option<&'static Function> {
    FUNCTIONS
        .iter()
        .find(|function| function.module == module && function.name == name)
}

/// The function that a guest imports, if it `is` what the guest takes it for: the types are the engine's to
/// compare.
///
/// # Errors
///
/// [`Unsupported`](ErrorKind::Unsupported), by the name of the import.
pub fn imported(
    import: &Import,
    is: impl FnOnce(&Function) -> bool,
) -> wasmrun_core::Result<&'static Function> {
    let refuse = |why| {
        let message = format!("the guest imports {import}, which WASI preview1 does not have{why}");
        Error::new(ErrorKind::Unsupported, message)
    };
    let function = find(&import.module, &import.name)
        .filter(|_| import.kind == ImportKind::Function)
        .ok_or_else(|| refuse(""))?;
    if is(function) {
        Ok(function)
    } else {
        Err(refuse(" with that type"))
    }
}

macro_rules! table {
    ($($module:ident::$name:ident($($param:ident: $type:ident),*) $(-> $result:ident)?;)*) => {
        /// All functions of both modules.
        pub static FUNCTIONS: &[Function] = &[$(
            Function {
                module: $module::MODULE,
                name: stringify!($name),
                params: &[$(value_type!($type)),*],
                result: [$(Some(value_type!($result)),)? None][0],
                call: |wasi, memory, arguments| {
                    let &[$($param),*] = arguments else {
                        return Err(Stop::Trap(concat!(
                            "wrong number of arguments for ", stringify!($name)
                        ).into()));
                    };
                    let returned = $module::$name(wasi, memory $(, $param as $type)*)?;
                    Ok(returned!(returned $($result)?))
                },
            }
        ),*];
    };
}

macro_rules! value_type {
    (i32) => {
        ValueType::I32
    };
    (i64) => {
        ValueType::I64
    };
}

macro_rules! returned {
    ($value:ident i32) => {
        Some($value)
    };
    ($value:ident) => {{
        let () = $value;
        None
    }};
}

each_function!(table);
