//! What an engine can do, one field a request.

use std::fmt;

use serde::Serialize;

use crate::Proposals;

/// Whether, and how, an engine can do one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Support {
    /// The engine does it itself.
    Native,
    /// wasmrun does it around the engine, with the same effect.
    Emulated,
    /// Neither does; asking for it is refused before the guest starts.
    #[default]
    Unsupported,
}

impl Support {
    /// Whether a request for it is honoured.
    pub fn is_supported(self) -> bool {
        self != Support::Unsupported
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Support::Native => "native",
            Support::Emulated => "emulated",
            Support::Unsupported => "refused",
        })
    }
}

macro_rules! capability {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        /// What an engine can do.
        ///
        /// Fields are named for what is asked: kinds of guest by their plural (`components`),
        /// requests by the name of their field in [`RunConfig`](crate::RunConfig) and
        /// [`Limits`](crate::Limits) (`read_only_preopens`, `fuel`), and what an
        /// [`Outcome`](crate::Outcome) or [`Stats`](crate::Stats) tells by `reports_…`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
        pub struct Capability {
            /// The WebAssembly proposals the engine implements and has switched on.
            pub proposals: Proposals,
            $($(#[$doc])* pub $field: Support,)*
        }

        impl Capability {
            /// The fields about what engines call experimental, and may change from one release to the next.
            pub const EXPERIMENTAL: &[&str] = &["preview3"];

            /// That of an engine that lacks nothing. What it cannot run, none can.
            pub const EVERYTHING: Capability = Capability {
                proposals: Proposals::ALL,
                $($field: Support::Native,)*
            };

            /// Every field but the proposals, with its name, in the order of declaration.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, Support)> {
                [$((stringify!($field), self.$field),)*].into_iter()
            }
        }
    };
}

capability! {
    /// Core modules.
    modules,
    /// Components.
    components,
    /// Webc packages.
    packages,
    /// The WASI of `wasi_snapshot_preview1` imports.
    preview1,
    /// The WASI of `wasi_unstable` imports, preview1's predecessor.
    unstable,
    /// The WASI of `wasi:…@0.2` component imports.
    preview2,
    /// The WASI of `wasi:…@0.3` component imports, which is [experimental](Self::EXPERIMENTAL).
    preview3,
    /// WASIX imports.
    wasix,
    /// A guest whose memory is imported and shared, and that starts threads.
    wasi_threads,
    /// A memory that is declared shared, also where the guest starts no threads.
    shared_memories,
    /// Instances that stay, and are called.
    live,
    /// Functions of the host that a guest imports.
    host_functions,
    /// Arguments that start with a dash, are empty, or hold any other UTF-8.
    args,
    /// A name of the caller's choice as `argv[0]`.
    argv0,
    /// Environment variables.
    env,
    /// Host directories shown to the guest.
    preopens,
    /// A preopen whose path in the guest is not its path on the host.
    mapped_preopens,
    /// Preopens in which nothing can be created, changed or removed.
    read_only_preopens,
    /// Single files of the host.
    file_mounts,
    /// File systems of our own: in memory, archives and overlays.
    own_mounts,
    /// A working directory told to the guest.
    working_directory,
    /// Entry functions other than the default one.
    entry,
    /// A bound on linear memories and tables.
    memory,
    /// A bound on fuel.
    fuel,
    /// A bound on time.
    timeout,
    /// Ending a running guest from outside.
    kill,
    /// A bound on the stack.
    stack,
    /// A bound on table elements.
    table_elements,
    /// A bound on core instances.
    instances,
    /// Reaching the network.
    network,
    /// Reaching of the network what rules allow.
    network_rules,
    /// A wall clock that stands still.
    fixed_clock,
    /// Clocks, wall and monotonic, that only the guest moves.
    virtual_clock,
    /// Random numbers that follow from a seed.
    seeded_random,
    /// Listings by name, and numbers of files by first sight.
    sorted_listings,
    /// Exit codes arrive whole, all 32 bits of them.
    reports_exit_codes,
    /// Traps arrive with their kind.
    reports_trap_kinds,
    /// The fuel used is reported.
    reports_fuel,
    /// The largest size of the guest's memories and tables is reported.
    reports_peak_memory,
}
