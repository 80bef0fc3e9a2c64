//! The functions, each listed once, and the ways to reach them: typed, raw, by name.

use wasmrun_core::guest::{FuncSignature, ValueType};
use wasmtime_wasi::p0::types as old;
use wasmtime_wasi::p0::wasi_unstable;
use wasmtime_wasi::p1::types::{self, Errno};
use wasmtime_wasi::p1::wasi_snapshot_preview1;
use wiggle::GuestMemory;

use crate::call::{SUCCESS, refused, running};
#[cfg(target_os = "linux")]
use crate::{CutShort, readdir};
use crate::{Stop, Wasi, block_on_ready, bounds, open, poll, standard};

/// Calls `$then` with what else it was given and the list. A mark in front of each function says
/// how it is called: at once (`ready`), as a `future`, or with something of this crate's own.
#[doc(hidden)]
#[macro_export]
macro_rules! __list {
    ($then:path $(, $more:path)?) => {
        $then! {
            $($more;)?
            both {
                [args] args_get(argv: i32, argv_buf: i32) -> i32;
                [ready] args_sizes_get(count: i32, size: i32) -> i32;
                [environ] environ_get(environ: i32, environ_buf: i32) -> i32;
                [ready] environ_sizes_get(count: i32, size: i32) -> i32;
                [clock] clock_res_get(id: i32, resolution: i32) -> i32;
                [clock] clock_time_get(id: i32, precision: i64, time: i32) -> i32;
                [stream] fd_advise(fd: i32, offset: i64, len: i64, advice: i32) -> i32;
                [stream_ready] fd_allocate(fd: i32, offset: i64, len: i64) -> i32;
                [close] fd_close(fd: i32) -> i32;
                [stream] fd_datasync(fd: i32) -> i32;
                [fdstat] fd_fdstat_get(fd: i32, stat: i32) -> i32;
                [stream_ready] fd_fdstat_set_flags(fd: i32, flags: i32) -> i32;
                [rights] fd_fdstat_set_rights(fd: i32, base: i64, inheriting: i64) -> i32;
                [future] fd_filestat_get(fd: i32, stat: i32) -> i32;
                [stream] fd_filestat_set_size(fd: i32, size: i64) -> i32;
                [stream] fd_filestat_set_times(fd: i32, atim: i64, mtim: i64, flags: i32) -> i32;
                [pread] fd_pread(fd: i32, iovs: i32, len: i32, offset: i64, read: i32) -> i32;
                [ready] fd_prestat_get(fd: i32, prestat: i32) -> i32;
                [name] fd_prestat_dir_name(fd: i32, path: i32, len: i32) -> i32;
                [stream] fd_pwrite(fd: i32, iovs: i32, len: i32, offset: i64, written: i32) -> i32;
                [read] fd_read(fd: i32, iovs: i32, len: i32, read: i32) -> i32;
                [readdir] fd_readdir(fd: i32, buf: i32, len: i32, cookie: i64, used: i32) -> i32;
                [renumber] fd_renumber(fd: i32, to: i32) -> i32;
                [seek] fd_seek(fd: i32, offset: i64, whence: i32, position: i32) -> i32;
                [stream] fd_sync(fd: i32) -> i32;
                [ready] fd_tell(fd: i32, position: i32) -> i32;
                [write] fd_write(fd: i32, iovs: i32, len: i32, written: i32) -> i32;
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
                [readlink] path_readlink(
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
                [random] random_get(buf: i32, len: i32) -> i32;
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
        $theirs::$name(context, $memory $(, $param)*).or_else(refused)
    }};
    ([future] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident $($param:ident)*) => {{
        let (context, control) = $wasi.enter()?;
        block_on_ready(control, $theirs::$name(context, $memory $(, $param)*))?.or_else(refused)
    }};
    // wasmtime-wasi has no clock for the time of a processor, and calls that a bad descriptor.
    ([clock] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident $($param:ident)*) => {{
        let errno = call!([ready] $theirs $ours $name $wasi $memory $($param)*)?;
        Ok(if errno == Errno::Badf as i32 { Errno::Inval as i32 } else { errno })
    }};
    // What a standard stream answers differently from a file.
    ([stream] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident $($param:ident)*) => {{
        match standard::$name($wasi $(, $param)*)? {
            Some(errno) => Ok(errno),
            None => call!([future] $theirs $ours $name $wasi $memory $($param)*),
        }
    }};
    ([stream_ready] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $($param:ident)*) => {{
        match standard::$name($wasi $(, $param)*)? {
            Some(errno) => Ok(errno),
            None => call!([ready] $theirs $ours $name $wasi $memory $($param)*),
        }
    }};
    ([pread] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $fd:ident $iovs:ident $len:ident $offset:ident $read:ident) => {{
        let errno = call!([stream] $theirs $ours $name $wasi $memory
            $fd $iovs $len $offset $read)?;
        standard::unless_empty(errno, $memory, [$iovs, $len, $read])
    }};
    ([read] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $fd:ident $iovs:ident $len:ident $read:ident) => {{
        if let Some(errno) = standard::fd_read($wasi, $memory, [$fd, $iovs, $len, $read])? {
            return Ok(errno);
        }
        let errno = call!([future] $theirs $ours $name $wasi $memory $fd $iovs $len $read)?;
        standard::unless_empty(errno, $memory, [$iovs, $len, $read])
    }};
    ([write] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $fd:ident $iovs:ident $len:ident $written:ident) => {{
        match standard::fd_write($wasi, $memory, [$fd, $iovs, $len, $written])? {
            Some(errno) => Ok(errno),
            None => call!([future] $theirs $ours $name $wasi $memory $fd $iovs $len $written),
        }
    }};
    ([fdstat] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $fd:ident $stat:ident) => {{
        let errno = call!([future] $theirs $ours $name $wasi $memory $fd $stat)?;
        if errno == SUCCESS {
            standard::add_flags($wasi, $memory, [$fd, $stat])?;
        }
        Ok(errno)
    }};
    ([rights] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $fd:ident $base:ident $inheriting:ident) => {{
        let [base, inheriting] = [$base, $inheriting].map(|rights| rights & rights!($ours));
        call!([stream_ready] $theirs $ours $name $wasi $memory $fd base inheriting)
    }};
    ([seek] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $fd:ident $offset:ident $whence:ident $position:ident) => {{
        const SET: i32 = set!($ours);
        if $offset <= 0 || $whence == SET {
            return call!([future] $theirs $ours $name $wasi $memory
                $fd $offset $whence $position);
        }
        bounds::seek_forward(
            $wasi,
            $memory,
            $position,
            |wasi, memory| $ours::fd_tell(wasi, memory, $fd, 0),
            |wasi, memory| {
                let at = 0;
                call!([future] $theirs $ours $name wasi memory $fd $offset $whence at)
            },
            |wasi, memory, offset| {
                let (whence, at) = (SET, 0);
                call!([future] $theirs $ours $name wasi memory $fd offset whence at)
            },
        )
    }};
    ([args] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $argv:ident $buf:ident) => {{
        let (context, _) = $wasi.enter()?;
        $theirs::args_get(context, $memory, $argv, $buf).or_else(|error| {
            bounds::strings(
                error,
                context,
                $memory,
                [$argv, $buf],
                |context, own| $theirs::args_sizes_get(context, own, 0, 4),
                |context, own, buf| $theirs::args_get(context, own, 0, buf),
            )
        })
    }};
    ([environ] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $environ:ident $buf:ident) => {{
        let (context, _) = $wasi.enter()?;
        $theirs::environ_get(context, $memory, $environ, $buf).or_else(|error| {
            bounds::strings(
                error,
                context,
                $memory,
                [$environ, $buf],
                |context, own| $theirs::environ_sizes_get(context, own, 0, 4),
                |context, own, buf| $theirs::environ_get(context, own, 0, buf),
            )
        })
    }};
    ([name] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $fd:ident $path:ident $len:ident) => {{
        let (context, _) = $wasi.enter()?;
        $theirs::$name(context, $memory, $fd, $path, $len)
            .or_else(|error| bounds::filled(error, $memory, [$path, $len], None))
    }};
    ([readdir] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $fd:ident $buf:ident $len:ident $cookie:ident $used:ident) => {{
        #[cfg(target_os = "linux")]
        if let Some(errno) =
            readdir::fd_readdir($wasi, $memory, [$fd, $buf, $len, $used], $cookie)?
        {
            return Ok(errno);
        }
        let (context, control) = $wasi.enter()?;
        block_on_ready(control, $theirs::$name(context, $memory, $fd, $buf, $len, $cookie, $used))?
            .or_else(|error| bounds::filled(error, $memory, [$buf, $len], Some($used)))
    }};
    ([readlink] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $fd:ident $path:ident $path_len:ident $buf:ident $len:ident $used:ident) => {{
        let (context, control) = $wasi.enter()?;
        let read = $theirs::$name(context, $memory, $fd, $path, $path_len, $buf, $len, $used);
        block_on_ready(control, read)?
            .or_else(|error| bounds::filled(error, $memory, [$buf, $len], Some($used)))
    }};
    // wasmtime-wasi makes all of it before it fills the buffer, and takes its time.
    ([random] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $buf:ident $len:ident) => {{
        for (at, len) in bounds::pieces($buf, $len) {
            let (context, _) = $wasi.enter()?;
            let errno = $theirs::$name(context, $memory, at, len)
                .or_else(|error| bounds::filled(error, $memory, [at, len], None))?;
            if errno != SUCCESS {
                return Ok(errno);
            }
        }
        Ok(SUCCESS)
    }};
    ([poll] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident $($param:ident)*) => {
        poll::$ours($wasi, $memory, [$($param),*])
    };
    ([open] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $fd:ident $flags:ident $path:ident $len:ident $oflags:ident $base:ident
        $inheriting:ident $($param:ident)*) => {{
        if let Some(errno) = open::refusal($wasi, $memory, [$fd, $flags, $path, $len])? {
            return Ok(errno);
        }
        let [base, inheriting] = [$base, $inheriting].map(|rights| rights & rights!($ours));
        #[cfg(target_os = "linux")]
        let _cut_short = CutShort::by(&$wasi.control);
        let errno = call!([future] $theirs $ours $name $wasi $memory
            $fd $flags $path $len $oflags base inheriting $($param)*)?;
        if errno == SUCCESS {
            $wasi.opened.more();
        }
        // It may have been cut short.
        running(&$wasi.control)?;
        Ok(errno)
    }};
    ([close] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident $fd:ident) => {{
        let errno = call!([future] $theirs $ours $name $wasi $memory $fd)?;
        if errno == SUCCESS {
            $wasi.closed($fd);
        }
        Ok(errno)
    }};
    // Closes what the number stood for.
    ([renumber] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident
        $fd:ident $to:ident) => {{
        let errno = call!([future] $theirs $ours $name $wasi $memory $fd $to)?;
        if errno == SUCCESS && $fd != $to {
            $wasi.closed($to);
            $wasi.renumbered($fd, $to);
        }
        Ok(errno)
    }};
    // wasmtime-wasi refuses codes from 126 on; ours arrive whole.
    ([exit] $theirs:ident $ours:ident $name:ident $wasi:ident $memory:ident $code:ident) => {{
        let _ = ($wasi, $memory);
        Err(Stop::Exit($code))
    }};
}

/// The rights there are. Others mean nothing, as rights that nobody has.
macro_rules! rights {
    (preview1) => {
        types::Rights::all().bits().cast_signed()
    };
    (unstable) => {
        old::Rights::all().bits().cast_signed()
    };
}

/// From the start of a file.
macro_rules! set {
    (preview1) => {
        types::Whence::Set as i32
    };
    (unstable) => {
        old::Whence::Set as i32
    };
}

crate::__list!(modules);

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

impl Function {
    /// Whether that is its type.
    pub(crate) fn is_of(&self, ty: &FuncSignature) -> bool {
        ty.params == self.params && ty.results == self.result.as_slice()
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
