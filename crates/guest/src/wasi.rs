//! Which system interface a guest was built for, and which of its imports belong to none.

use serde::{Deserialize, Serialize};

use crate::decl::{Import, ImportKind};

/// The system interface a guest asks its host for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WasiVersion {
    /// None: the guest imports nothing of WASI.
    None,
    /// `wasi_unstable`, the snapshot before preview1.
    Unstable,
    /// `wasi_snapshot_preview1`.
    Preview1,
    /// Components over `wasi:…@0.2`.
    Preview2,
    /// Components over `wasi:…@0.3`.
    Preview3,
    /// WASIX: preview1 with processes, threads and sockets.
    Wasix,
}

impl WasiVersion {
    /// The name people know it by.
    pub const fn as_str(self) -> &'static str {
        match self {
            WasiVersion::None => "none",
            WasiVersion::Unstable => "unstable",
            WasiVersion::Preview1 => "preview1",
            WasiVersion::Preview2 => "preview2",
            WasiVersion::Preview3 => "preview3",
            WasiVersion::Wasix => "wasix",
        }
    }
}

impl std::fmt::Display for WasiVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

pub(crate) const UNSTABLE: &str = "wasi_unstable";
pub(crate) const PREVIEW1: &str = "wasi_snapshot_preview1";
const WASIX: &[&str] = &["wasix_32v1", "wasix_64v1"];
const WASIX_THREAD_SPAWN: &[&str] = &["thread_spawn", "thread_spawn_v2"];
/// wasi-threads: a proposal next to preview1, with a module of its own.
const THREAD_SPAWN: (&str, &str) = ("wasi", "thread-spawn");

/// The functions of `wasi_snapshot_preview1`, in the order of its witx.
#[rustfmt::skip]
pub(crate) const PREVIEW1_FUNCTIONS: &[&str] = &[
    "args_get", "args_sizes_get", "environ_get", "environ_sizes_get",
    "clock_res_get", "clock_time_get",
    "fd_advise", "fd_allocate", "fd_close", "fd_datasync", "fd_fdstat_get", "fd_fdstat_set_flags",
    "fd_fdstat_set_rights", "fd_filestat_get", "fd_filestat_set_size", "fd_filestat_set_times",
    "fd_pread", "fd_prestat_get", "fd_prestat_dir_name", "fd_pwrite", "fd_read", "fd_readdir",
    "fd_renumber", "fd_seek", "fd_sync", "fd_tell", "fd_write",
    "path_create_directory", "path_filestat_get", "path_filestat_set_times", "path_link",
    "path_open", "path_readlink", "path_remove_directory", "path_rename", "path_symlink",
    "path_unlink_file",
    "poll_oneoff", "proc_exit", "proc_raise", "sched_yield", "random_get",
    SOCK_ACCEPT, "sock_recv", "sock_send", "sock_shutdown",
];

/// The one function preview1 has and `wasi_unstable` has not.
pub(crate) const SOCK_ACCEPT: &str = "sock_accept";

/// The interfaces a host of `wasi:…@0.2` provides, without those still marked unstable.
#[rustfmt::skip]
pub(crate) const PREVIEW2_INTERFACES: &[&str] = &[
    "cli/environment", "cli/exit", "cli/stdin", "cli/stdout", "cli/stderr",
    "cli/terminal-input", "cli/terminal-output",
    "cli/terminal-stdin", "cli/terminal-stdout", "cli/terminal-stderr",
    "clocks/monotonic-clock", "clocks/wall-clock",
    "filesystem/preopens", "filesystem/types",
    "io/error", "io/poll", "io/streams",
    "random/insecure", "random/insecure-seed", "random/random",
    "sockets/instance-network", "sockets/ip-name-lookup", "sockets/network",
    "sockets/tcp", "sockets/tcp-create-socket", "sockets/udp", "sockets/udp-create-socket",
];

/// The interfaces a host of `wasi:…@0.3` provides.
#[rustfmt::skip]
pub(crate) const PREVIEW3_INTERFACES: &[&str] = &[
    "cli/environment", "cli/exit", "cli/stdin", "cli/stdout", "cli/stderr", "cli/types",
    "cli/terminal-input", "cli/terminal-output",
    "cli/terminal-stdin", "cli/terminal-stdout", "cli/terminal-stderr",
    "clocks/monotonic-clock", "clocks/system-clock", "clocks/types",
    "filesystem/preopens", "filesystem/types",
    "random/insecure", "random/insecure-seed", "random/random",
    "sockets/ip-name-lookup", "sockets/types",
];

/// The version a core module was built for. The richest counts: WASIX contains preview1, and what
/// imports both snapshots needs a host of the newer.
pub(crate) fn of_module(imports: &[Import]) -> WasiVersion {
    let from = |module: &str| imports.iter().any(|import| import.module == module);
    if WASIX.iter().any(|module| from(module)) {
        WasiVersion::Wasix
    } else if from(PREVIEW1) {
        WasiVersion::Preview1
    } else if from(UNSTABLE) {
        WasiVersion::Unstable
    } else {
        WasiVersion::None
    }
}

/// The version a component was built for, by the names it imports and exports.
pub(crate) fn of_component<'a>(names: impl Iterator<Item = &'a str>) -> WasiVersion {
    let mut found = WasiVersion::None;
    for (_, version) in names.filter_map(interface) {
        if version.starts_with("0.3.") {
            return WasiVersion::Preview3;
        }
        if version.starts_with("0.2.") {
            found = WasiVersion::Preview2;
        }
    }
    found
}

/// Whether some version of WASI defines what a core module imports. `threaded` says that it imports
/// a shared memory, which is then its `env.memory`.
pub(crate) fn defines_for_module(import: &Import, threaded: bool) -> bool {
    let (module, name) = (import.module.as_str(), import.name.as_str());
    match import.kind {
        ImportKind::Function => is_wasi(module, name),
        ImportKind::Memory => threaded && (module, name) == ("env", "memory"),
        _ => false,
    }
}

/// Whether some version of WASI defines a function that core modules import by these names.
pub fn is_wasi(module: &str, name: &str) -> bool {
    match module {
        PREVIEW1 => PREVIEW1_FUNCTIONS.contains(&name),
        UNSTABLE => name != SOCK_ACCEPT && PREVIEW1_FUNCTIONS.contains(&name),
        // WASIX grows with its runtime: there is no list that would not soon be wrong.
        module => WASIX.contains(&module) || (module, name) == THREAD_SPAWN,
    }
}

/// Whether some version of WASI defines an interface that components import by this name.
pub fn is_wasi_interface(name: &str) -> bool {
    interface(name).is_some_and(|(interface, version)| {
        let list = match version.get(..4) {
            Some("0.2.") => PREVIEW2_INTERFACES,
            Some("0.3.") => PREVIEW3_INTERFACES,
            _ => return false,
        };
        list.contains(&interface) && is_release(version)
    })
}

/// Whether some version of WASI defines what a component imports.
pub(crate) fn defines_for_component(import: &Import) -> bool {
    import.kind == ImportKind::Instance && is_wasi_interface(&import.module)
}

/// Of a version of three parts: `0.2.0-rc-…` came before its release and differs from it.
pub(crate) fn is_release(version: &str) -> bool {
    let patch = version.rsplit('.').next().unwrap_or_default();
    patch.bytes().all(|b| b.is_ascii_digit())
}

/// Whether this is an import that starts a thread.
pub(crate) fn spawns_threads(import: &Import) -> bool {
    let (module, name) = (import.module.as_str(), import.name.as_str());
    (module, name) == THREAD_SPAWN
        || (WASIX.contains(&module) && WASIX_THREAD_SPAWN.contains(&name))
}

/// Whether a component export of this name makes it a command.
pub(crate) fn is_run(name: &str) -> bool {
    interface(name).is_some_and(|(interface, version)| {
        let is_known = version.starts_with("0.2.") || version.starts_with("0.3.");
        interface == "cli/run" && is_known && is_release(version)
    })
}

/// `wasi:cli/run@0.2.3` into `cli/run` and `0.2.3`.
pub(crate) fn interface(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("wasi:")?.split_once('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(module: &str, name: &str, kind: ImportKind) -> Import {
        Import {
            module: module.to_owned(),
            name: name.to_owned(),
            kind,
        }
    }

    #[test]
    fn every_function_of_the_snapshots_is_known_and_others_are_not() {
        let known =
            |module, name| defines_for_module(&import(module, name, ImportKind::Function), false);
        assert_eq!(PREVIEW1_FUNCTIONS.len(), 46);
        assert!(known("wasi_snapshot_preview1", "sock_accept"));
        assert!(!known("wasi_unstable", "sock_accept"));
        assert!(known("wasi_unstable", "sock_recv"));
        assert!(!known("wasi_snapshot_preview1", "sock_open"));
        assert!(known("wasix_32v1", "sock_open"));
        assert!(known("wasi", "thread-spawn"));
        assert!(!known("env", "emscripten_notify_memory_growth"));
    }

    #[test]
    fn a_memory_is_known_only_as_the_shared_one_of_threads() {
        let memory = import("env", "memory", ImportKind::Memory);
        assert!(defines_for_module(&memory, true));
        assert!(!defines_for_module(&memory, false));
    }

    #[test]
    fn a_component_import_is_known_by_package_interface_and_version() {
        let known = |name| defines_for_component(&import(name, "", ImportKind::Instance));
        assert!(known("wasi:cli/environment@0.2.0"));
        assert!(known("wasi:io/streams@0.2.12"));
        assert!(known("wasi:clocks/system-clock@0.3.0"));
        assert!(!known("wasi:io/streams@0.3.0"));
        assert!(!known("wasi:io/streams@0.2.0-rc-2023-12-05"));
        assert!(!known("wasi:io/streams@0.1.0"));
        assert!(!known("wasi:io/streams"));
        assert!(!known("wasi:http/types@0.2.0"));
        assert!(!known("my:host/log@0.2.0"));
        assert!(!known("wasi:cli/environment@é.2.0"));
        let function = import("wasi:cli/exit@0.2.0", "", ImportKind::ComponentFunction);
        assert!(!defines_for_component(&function));
    }

    #[test]
    fn the_richest_interface_counts() {
        let function = |module| import(module, "fd_write", ImportKind::Function);
        let of = |modules: &[&'static str]| {
            of_module(&modules.iter().map(|m| function(m)).collect::<Vec<_>>())
        };
        assert_eq!(of(&[]), WasiVersion::None);
        assert_eq!(of(&["wasi_unstable"]), WasiVersion::Unstable);
        assert_eq!(
            of(&["wasi_unstable", "wasi_snapshot_preview1"]),
            WasiVersion::Preview1
        );
        assert_eq!(
            of(&["wasi_snapshot_preview1", "wasix_32v1"]),
            WasiVersion::Wasix
        );
        let component = |names: &[&'static str]| of_component(names.iter().copied());
        assert_eq!(component(&["wasi:cli/run@0.2.3"]), WasiVersion::Preview2);
        assert_eq!(
            component(&["wasi:io/poll@0.2.0", "wasi:cli/run@0.3.0"]),
            WasiVersion::Preview3
        );
        assert_eq!(component(&["my:own/thing@0.2.0"]), WasiVersion::None);
    }
}
