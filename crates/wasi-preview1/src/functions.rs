//! The functions, each listed once, and the ways to reach them: typed, raw, by name.

use wasmrun_core::guest::{FuncSignature, ValueType};
use wiggle::GuestMemory;

use crate::call::answer;
use crate::{Abi, Stop, Wasi, descriptors, files, others, paths, poll, surroundings};

/// Calls `$then` with what else it was given and the list. In front of each function is where it is, and `abi` if it
/// is another for each module.
#[doc(hidden)]
#[macro_export]
macro_rules! __list {
    ($then:path $(, $more:path)?) => {
        $then! {
            $($more;)?
            both {
                [surroundings] args_get(argv: i32, argv_buf: i32) -> i32;
                [surroundings] args_sizes_get(count: i32, size: i32) -> i32;
                [surroundings] environ_get(environ: i32, environ_buf: i32) -> i32;
                [surroundings] environ_sizes_get(count: i32, size: i32) -> i32;
                [surroundings] clock_res_get(id: i32, resolution: i32) -> i32;
                [surroundings] clock_time_get(id: i32, precision: i64, time: i32) -> i32;
                [files] fd_advise(fd: i32, offset: i64, len: i64, advice: i32) -> i32;
                [files] fd_allocate(fd: i32, offset: i64, len: i64) -> i32;
                [descriptors] fd_close(fd: i32) -> i32;
                [files] fd_datasync(fd: i32) -> i32;
                [descriptors] fd_fdstat_get(fd: i32, stat: i32) -> i32;
                [descriptors] fd_fdstat_set_flags(fd: i32, flags: i32) -> i32;
                [descriptors] fd_fdstat_set_rights(fd: i32, base: i64, inheriting: i64) -> i32;
                [files abi] fd_filestat_get(fd: i32, stat: i32) -> i32;
                [files] fd_filestat_set_size(fd: i32, size: i64) -> i32;
                [files] fd_filestat_set_times(fd: i32, atim: i64, mtim: i64, flags: i32) -> i32;
                [files] fd_pread(fd: i32, iovs: i32, len: i32, offset: i64, read: i32) -> i32;
                [descriptors] fd_prestat_get(fd: i32, prestat: i32) -> i32;
                [descriptors] fd_prestat_dir_name(fd: i32, path: i32, len: i32) -> i32;
                [files] fd_pwrite(fd: i32, iovs: i32, len: i32, offset: i64, written: i32) -> i32;
                [files] fd_read(fd: i32, iovs: i32, len: i32, read: i32) -> i32;
                [paths] fd_readdir(fd: i32, buf: i32, len: i32, cookie: i64, used: i32) -> i32;
                [descriptors] fd_renumber(fd: i32, to: i32) -> i32;
                [files abi] fd_seek(fd: i32, offset: i64, whence: i32, position: i32) -> i32;
                [files] fd_sync(fd: i32) -> i32;
                [files] fd_tell(fd: i32, position: i32) -> i32;
                [files] fd_write(fd: i32, iovs: i32, len: i32, written: i32) -> i32;
                [paths] path_create_directory(fd: i32, path: i32, len: i32) -> i32;
                [paths abi] path_filestat_get(
                    fd: i32, flags: i32, path: i32, len: i32, stat: i32
                ) -> i32;
                [paths] path_filestat_set_times(
                    fd: i32, flags: i32, path: i32, len: i32, atim: i64, mtim: i64, fst_flags: i32
                ) -> i32;
                [paths] path_link(
                    fd: i32, flags: i32, path: i32, len: i32, new_fd: i32, new: i32, new_len: i32
                ) -> i32;
                [paths] path_open(
                    fd: i32, flags: i32, path: i32, len: i32, oflags: i32, base: i64,
                    inheriting: i64, fdflags: i32, opened: i32
                ) -> i32;
                [paths] path_readlink(
                    fd: i32, path: i32, len: i32, buf: i32, buf_len: i32, used: i32
                ) -> i32;
                [paths] path_remove_directory(fd: i32, path: i32, len: i32) -> i32;
                [paths] path_rename(
                    fd: i32, path: i32, len: i32, new_fd: i32, new: i32, new_len: i32
                ) -> i32;
                [paths] path_symlink(target: i32, target_len: i32, fd: i32, path: i32, len: i32) -> i32;
                [paths] path_unlink_file(fd: i32, path: i32, len: i32) -> i32;
                [poll abi] poll_oneoff(subscriptions: i32, events: i32, count: i32, ready: i32) -> i32;
                [exit] proc_exit(code: i32);
                [others] proc_raise(signal: i32) -> i32;
                [others] sched_yield() -> i32;
                [surroundings] random_get(buf: i32, len: i32) -> i32;
                [others] sock_recv(
                    fd: i32, iovs: i32, len: i32, flags: i32, received: i32, out_flags: i32
                ) -> i32;
                [others] sock_send(fd: i32, iovs: i32, len: i32, flags: i32, sent: i32) -> i32;
                [others] sock_shutdown(fd: i32, how: i32) -> i32;
            }
            preview1 {
                [others] sock_accept(fd: i32, flags: i32, accepted: i32) -> i32;
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
        both { $([$($_kind:ident)*] $name:ident $params:tt $(-> $result:ident)?;)* }
        preview1 { $([$($_more_kind:ident)*] $more:ident $more_params:tt $(-> $more_result:ident)?;)* }
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

            const ABI: Abi = Abi::Preview1;

            typed! { $($both)* $($preview1)* }
        }

        /// The functions of `wasi_unstable`, preview1's predecessor, with their types.
        pub mod unstable {
            use super::*;

            /// The module guests import them from.
            pub const MODULE: &str = "wasi_unstable";

            const ABI: Abi = Abi::Unstable;

            typed! { $($both)* }
        }
    };
}

macro_rules! typed {
    ($([$($kind:ident)*] $name:ident($($param:ident: $type:ident),*) $(-> $result:ident)?;)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`, with pointers into `memory`.")]
            ///
            /// # Errors
            ///
            /// The [`Stop`] that ends the guest.
            #[allow(clippy::too_many_arguments)]
            pub fn $name(
                wasi: &mut Wasi, memory: &mut GuestMemory<'_> $(, $param: $type)*
            ) -> result!($($result)?) {
                wasi.running()?;
                call!([$($kind)*] ABI $name wasi memory $($param)*)
            }
        )*
    };
}

macro_rules! result {
    () => { Result<(), Stop> };
    (i32) => { Result<i32, Stop> };
}

macro_rules! call {
    ([exit] $abi:ident $name:ident $wasi:ident $memory:ident $code:ident) => {{
        let _ = ($memory, $abi);
        Err(Stop::Exit($code))
    }};
    ([$file:ident] $abi:ident $name:ident $wasi:ident $memory:ident $($param:ident)*) => {
        answer($file::$name($wasi, $memory $(, $param)*))
    };
    ([$file:ident abi] $abi:ident $name:ident $wasi:ident $memory:ident $($param:ident)*) => {
        answer($file::$name($abi, $wasi, $memory $(, $param)*))
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
