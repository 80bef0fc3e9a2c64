//! All that is known of a guest, in one value that serializes.

use std::path::PathBuf;

use serde::Serialize;

use crate::decl::{Export, Import, MemoryDecl, TableDecl};
use crate::guest::Guest;
use crate::kind::GuestKind;
use crate::proposals::Proposals;
use crate::shown::serialize_some_path;
use crate::wasi::WasiVersion;
use crate::wit::ComponentFunction;

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
    /// [`Guest::imported_functions`].
    pub imported_functions: Vec<ComponentFunction>,
    /// [`Guest::exported_functions`].
    pub exported_functions: Vec<ComponentFunction>,
}

impl Guest {
    /// All that is known of it, in one value.
    pub fn inspect(&self) -> Inspection {
        Inspection {
            name: self.name().to_owned(),
            path: self.path().map(PathBuf::from),
            bytes: self.size(),
            kind: self.kind(),
            wasi: self.wasi(),
            command: self.is_command(),
            entries: self.entries(),
            start_section: self.start_section(),
            needs_threads: self.needs_threads(),
            proposals: self.proposals(),
            memories: self.memories().to_vec(),
            tables: self.tables().to_vec(),
            imports: self.imports().to_vec(),
            unknown_imports: self.unknown_imports().into_iter().cloned().collect(),
            exports: self.exports().to_vec(),
            imported_functions: self.imported_functions().to_vec(),
            exported_functions: self.exported_functions().to_vec(),
        }
    }
}
