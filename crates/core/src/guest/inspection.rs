//! All that is known of a guest, in one value that serializes.

use std::path::PathBuf;

use serde::Serialize;

use super::shown::serialize_some_path;
use super::{Export, Guest, GuestKind, Import, MemoryDecl, TableDecl, WasiVersion};
use crate::Proposals;

/// What [`Guest::inspect`] found; `wasmrun inspect --json` prints it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// [`Guest::name`].
    pub name: String,
    /// [`Guest::path`].
    #[serde(serialize_with = "serialize_some_path")]
    pub path: Option<PathBuf>,
    /// The length of the binary.
    pub bytes: u64,
    /// [`Guest::kind`].
    pub kind: GuestKind,
    /// [`Guest::wasi`].
    pub wasi: WasiVersion,
    /// [`Guest::is_command`].
    pub command: bool,
    /// [`Guest::entries`].
    pub entries: Vec<String>,
    /// [`Guest::start_section`].
    pub start_section: bool,
    /// [`Guest::needs_threads`].
    pub needs_threads: bool,
    /// [`Guest::proposals`].
    pub proposals: Proposals,
    /// [`Guest::memories`].
    pub memories: Vec<MemoryDecl>,
    /// [`Guest::tables`].
    pub tables: Vec<TableDecl>,
    /// [`Guest::imports`].
    pub imports: Vec<Import>,
    /// [`Guest::unknown_imports`].
    pub unknown_imports: Vec<Import>,
    /// [`Guest::exports`].
    pub exports: Vec<Export>,
}

impl Inspection {
    pub(super) fn of(guest: &Guest) -> Inspection {
        Inspection {
            name: guest.name().to_owned(),
            path: guest.path().map(PathBuf::from),
            bytes: guest.size(),
            kind: guest.kind(),
            wasi: guest.wasi(),
            command: guest.is_command(),
            entries: guest.entries(),
            start_section: guest.start_section(),
            needs_threads: guest.needs_threads(),
            proposals: guest.proposals(),
            memories: guest.memories().to_vec(),
            tables: guest.tables().to_vec(),
            imports: guest.imports().to_vec(),
            unknown_imports: guest.unknown_imports().into_iter().cloned().collect(),
            exports: guest.exports().to_vec(),
        }
    }
}
