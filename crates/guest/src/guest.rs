//! The program: read once, inspected once, then shared by everything that runs it.

use std::fmt;
use std::fs::Metadata;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use wasmparser::BinaryReaderError;

use crate::data::{self, WithoutData};
use crate::decl::{Export, ExportKind, FuncSignature, Import, ImportKind, MemoryDecl, TableDecl};
use crate::derived::{Derived, DerivedStore};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::inspect::{self, Facts, ImportTypes};
use crate::interfaces::{self, Interfaces};
use crate::kind::GuestKind;
use crate::known::Known;
use crate::malformed::invalid;
use crate::proposals::Proposals;
use crate::read;
use crate::scan::{self, Scanned};
use crate::sha256::Sha256;
use crate::shown::{shown, shown_path};
use crate::source::{self, Source};
use crate::start;
use crate::text;
use crate::validate;
use crate::wasi::{self, WasiVersion};
use crate::wit::{ComponentFunction, WasiImports};

/// A program and what is known of it. Cloning shares it.
#[derive(Clone)]
pub struct Guest(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    name: String,
    path: Option<PathBuf>,
    bytes: Vec<u8>,
    /// Where the bytes still are, if they are known without having been read.
    unread: Option<Unread>,
    size: u64,
    kind: GuestKind,
    wasi: WasiVersion,
    facts: Facts,
    import_types: ImportTypes,
    interfaces: OnceLock<Interfaces>,
    scanned: OnceLock<Scanned>,
    validated: OnceLock<Result<(), String>>,
    digest: OnceLock<Digest>,
    derived: Derived,
    store: OnceLock<Arc<dyn DerivedStore>>,
}

#[derive(Clone)]
struct Unread {
    path: PathBuf,
    max_bytes: u64,
}

impl Guest {
    /// The largest file [`open`](Guest::open) reads.
    pub const DEFAULT_MAX_BYTES: u64 = 256 << 20;

    /// The name of the default entry. For a component or package it stands for the entry that kind
    /// has by definition (`wasi:cli/run`; what the package's manifest says).
    pub const DEFAULT_ENTRY: &'static str = "_start";

    /// The export of a module that is called before its entry, if it can be called without arguments.
    pub const INITIALIZE: &'static str = "_initialize";

    /// Reads and inspects a file of at most [`DEFAULT_MAX_BYTES`](Guest::DEFAULT_MAX_BYTES).
    ///
    /// # Errors
    ///
    /// [`GuestNotFound`](crate::ErrorKind::GuestNotFound); [`NotWasm`](crate::ErrorKind::NotWasm) for a
    /// directory, a pipe, an empty file and everything that is no WebAssembly;
    /// [`Invalid`](crate::ErrorKind::Invalid) for a malformed program or one over the cap;
    /// [`Io`](crate::ErrorKind::Io) if the system refuses to read it.
    pub fn open(path: impl AsRef<Path>) -> Result<Guest> {
        Guest::open_capped(path, Guest::DEFAULT_MAX_BYTES)
    }

    /// Like [`open`](Guest::open), with a cap of the caller's. No more than it is ever read.
    ///
    /// # Errors
    ///
    /// As for [`open`](Guest::open).
    pub fn open_capped(path: impl AsRef<Path>, max_bytes: u64) -> Result<Guest> {
        Guest::open_seen(path, max_bytes).map(|(guest, _)| guest)
    }

    /// Like [`open_capped`](Guest::open_capped); tells as well what the system said of the opened
    /// file before it was read. If that is still so later, the file still holds this guest.
    ///
    /// # Errors
    ///
    /// As for [`open`](Guest::open).
    pub fn open_seen(path: impl AsRef<Path>, max_bytes: u64) -> Result<(Guest, Metadata)> {
        let path = path.as_ref();
        let called = shown_path(&path.to_string_lossy());
        let (bytes, metadata) = read::read(path, max_bytes)?;
        let guest = Guest::build(&called, file_name(path), Some(path), bytes)?;
        Ok((guest, metadata))
    }

    /// Like [`open_capped`](Guest::open_capped), of a file that has to have this digest as it is: of text, that of the
    /// text. It is compared before anything else is done with what was read.
    ///
    /// # Errors
    ///
    /// As for [`open`](Guest::open); [`Invalid`](crate::ErrorKind::Invalid) for any other file.
    pub fn open_expected(
        path: impl AsRef<Path>,
        max_bytes: u64,
        expected: &Sha256,
    ) -> Result<Guest> {
        let path = path.as_ref();
        let called = shown_path(&path.to_string_lossy());
        let (bytes, _) = read::read(path, max_bytes)?;
        expected.check(&called, &bytes)?;
        Guest::build(&called, file_name(path), Some(path), bytes)
    }

    /// The guest in a file that was seen before and has not changed since. Nothing is read.
    ///
    /// It has no [`bytes`](Guest::bytes) until it is [`read`](Guest::read). `max_bytes` is for
    /// then.
    pub fn from_known(path: impl AsRef<Path>, max_bytes: u64, known: Known) -> Guest {
        let path = path.as_ref();
        tracing::debug!(guest = %path.display(), bytes = known.size, "guest is known");
        Guest(Arc::new(Inner {
            name: file_name(path),
            path: (!known.text)
                .then(|| std::path::absolute(path).ok())
                .flatten(),
            bytes: Vec::new(),
            unread: Some(Unread {
                path: path.into(),
                max_bytes,
            }),
            size: known.size,
            kind: known.kind,
            wasi: known.wasi,
            facts: known.facts,
            import_types: Vec::new(),
            interfaces: OnceLock::new(),
            scanned: OnceLock::from(known.scanned),
            validated: OnceLock::new(),
            digest: OnceLock::from(known.digest),
            derived: Derived::default(),
            store: OnceLock::new(),
        }))
    }

    /// The same guest with its bytes. If it was only [known](Guest::from_known) until now, its file
    /// is read, and the guest is what the file holds now.
    ///
    /// # Errors
    ///
    /// As for [`open`](Guest::open).
    pub fn read(&self) -> Result<Guest> {
        match &self.0.unread {
            None => Ok(self.clone()),
            Some(Unread { path, max_bytes }) => {
                let guest = Guest::open_capped(path, *max_bytes)?;
                Ok(guest.with_name(&*self.0.name))
            }
        }
    }

    /// The same guest by another name, for one whose file has none of its own.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Guest {
        let mut inner = Arc::unwrap_or_clone(self.0);
        inner.name = name.into();
        Guest(Arc::new(inner))
    }

    /// Whether it has its [`bytes`](Guest::bytes).
    pub fn is_read(&self) -> bool {
        self.0.unread.is_none()
    }

    /// What is known of it, to recognise it [later](Guest::from_known). Reads all code, as
    /// [`proposals`](Guest::proposals) and [`digest`](Guest::digest) do.
    pub fn known(&self) -> Known {
        Known {
            kind: self.0.kind,
            wasi: self.0.wasi,
            // Of a file, only text is without a path.
            text: self.0.path.is_none(),
            size: self.0.size,
            digest: self.digest(),
            scanned: self.scanned(),
            facts: self.0.facts.clone(),
        }
    }

    /// Inspects a program that is in memory already: a binary, or text in the text format.
    ///
    /// # Errors
    ///
    /// As for [`open`](Guest::open), where they do not concern files.
    pub fn from_bytes(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Result<Guest> {
        let name = name.into();
        Guest::build(&shown_path(&name), name, None, bytes.into())
    }

    /// Reads a program of at most `max_bytes` to its end, from standard input or another stream that is no
    /// file, and inspects it as [`from_bytes`](Guest::from_bytes) does.
    ///
    /// # Errors
    ///
    /// As for [`open`](Guest::open), where they do not concern files.
    pub fn from_reader(
        name: impl Into<String>,
        from: impl io::Read,
        max_bytes: u64,
    ) -> Result<Guest> {
        let name = name.into();
        let called = shown_path(&name);
        let bytes = read::stream(&called, from, max_bytes)?;
        Guest::build(&called, name, None, bytes)
    }

    /// Like [`from_reader`](Guest::from_reader), of a program that has to have this digest.
    ///
    /// # Errors
    ///
    /// As for [`open_expected`](Guest::open_expected), where they do not concern files.
    pub fn from_reader_expected(
        name: impl Into<String>,
        from: impl io::Read,
        max_bytes: u64,
        expected: &Sha256,
    ) -> Result<Guest> {
        let name = name.into();
        let called = shown_path(&name);
        let bytes = read::stream(&called, from, max_bytes)?;
        expected.check(&called, &bytes)?;
        Guest::build(&called, name, None, bytes)
    }

    /// `called` is what errors call it, fit for a message.
    fn build(called: &str, name: String, path: Option<&Path>, bytes: Vec<u8>) -> Result<Guest> {
        let (kind, path, bytes) = match source::sniff(&bytes) {
            Source::Binary(kind) => (kind, path, bytes),
            Source::Text => {
                let binary = text::translate(called, &bytes)?;
                // `(module binary "…")` may say anything.
                match source::sniff(&binary) {
                    Source::Binary(kind @ (GuestKind::Module | GuestKind::Component)) => {
                        (kind, None, binary)
                    }
                    _ => return Err(invalid(called, "its text holds no module")),
                }
            }
            Source::CutHeader => return Err(invalid(called, "it ends inside its header")),
            Source::OtherVersion { version, layer } => {
                let what = format!(
                    "its version is {version}, layer {layer}; known are modules (version 1, layer 0) and components (version 13, layer 1)"
                );
                return Err(invalid(called, what));
            }
            Source::Foreign(foreign) => return Err(foreign.refusal(called)),
        };

        let (facts, import_types) = match kind {
            GuestKind::Package => Default::default(),
            GuestKind::Module | GuestKind::Component => {
                inspect::inspect(&bytes).map_err(|malformed| invalid(called, malformed))?
            }
        };
        let wasi = match kind {
            GuestKind::Module => wasi::of_module(&facts.imports),
            GuestKind::Component => {
                let imports = facts.imports.iter().map(|import| import.module.as_str());
                let exports = facts.exports.iter().map(|export| export.name.as_str());
                wasi::of_component(imports.chain(exports))
            }
            // Packages are WASIX's own format.
            GuestKind::Package => WasiVersion::Wasix,
        };
        tracing::debug!(guest = called, %kind, %wasi, bytes = bytes.len(), "read guest");
        Ok(Guest(Arc::new(Inner {
            name,
            path: path.and_then(|path| std::path::absolute(path).ok()),
            size: bytes.len() as u64,
            bytes,
            unread: None,
            kind,
            wasi,
            facts,
            import_types,
            interfaces: OnceLock::new(),
            scanned: OnceLock::new(),
            validated: OnceLock::new(),
            digest: OnceLock::new(),
            derived: Derived::default(),
            store: OnceLock::new(),
        })))
    }

    /// The file's name, or what [`from_bytes`](Guest::from_bytes) was told: the default `argv[0]`.
    /// Use [`shown`] in messages.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The absolute path of the file, if it held exactly [`bytes`](Guest::bytes) when it was read.
    /// `None` for text, whose binary is on no disk, and for bytes.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The binary; text is translated already. Empty for a guest that is not [read](Guest::is_read);
    /// engines get none of those to compile.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// The length of the binary, in bytes.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// How many bytes its active data segments put into memories when it is instantiated. Of a
    /// component those of all its modules, once; 0 for a package.
    pub fn data_size(&self) -> u64 {
        self.0.facts.data.bytes
    }

    /// How many active data segments these bytes are in.
    pub fn data_segments(&self) -> u64 {
        self.0.facts.data.segments
    }

    /// From the first of those bytes to the last, where in memory that is known without running the guest:
    /// a module with one memory, its own and not shared, whose active segments all have constant places
    /// within what it has at first; or a component of which one module alone has a memory and data, is such a
    /// module, and is instantiated once. What lies between them is zeros.
    pub fn data_range(&self) -> Option<Range<u64>> {
        self.0.facts.data.range.clone()
    }

    /// The guest as one that puts nothing into its memory, and what it would have put there; `None` where its
    /// [`data_range`](Guest::data_range) is not known, or more than a gibibyte.
    ///
    /// For engines that are faster at making a memory with data than at putting them there. What lies
    /// between the data is among the bytes, however much that is.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) if its sections cannot be read.
    pub fn without_data(&self) -> Result<Option<WithoutData>> {
        let (Some(range), [memory]) = (self.data_range(), self.memories()) else {
            return Ok(None);
        };
        let is_component = self.0.kind == GuestKind::Component;
        data::apart(&self.0.bytes, is_component, memory, range)
            .map_err(|source| self.invalid("its data section cannot be read", source))
    }

    /// The digest of the binary. The first call reads all of it, at about a gigabyte a second.
    pub fn digest(&self) -> Digest {
        *self.0.digest.get_or_init(|| Digest::of(&self.0.bytes))
    }

    /// What form it has.
    pub fn kind(&self) -> GuestKind {
        self.0.kind
    }

    /// The system interface it was built for. A package counts as WASIX, which defines packages.
    pub fn wasi(&self) -> WasiVersion {
        self.0.wasi
    }

    /// What it asks its host for, in its own order. Empty for a package.
    pub fn imports(&self) -> &[Import] {
        &self.0.facts.imports
    }

    /// The type of what a module imports at that place among its [`imports`](Guest::imports). `None` for what is
    /// no function, and for a guest that is not [read](Guest::is_read).
    pub fn import_type(&self, place: usize) -> Option<&FuncSignature> {
        self.0.import_types.get(place)?.as_deref()
    }

    /// The functions that a component exports, those of interfaces that it exports as well. None for one that is not
    /// valid, or has more of them than ten thousand.
    ///
    /// The first call goes through all of the component but its code, and reads its file if it is not
    /// [read](Guest::is_read); later ones are free.
    pub fn exported_functions(&self) -> &[ComponentFunction] {
        &self.interfaces().exported
    }

    /// The functions that a component imports and that are not WASI's. Otherwise as
    /// [`exported_functions`](Guest::exported_functions).
    pub fn imported_functions(&self) -> &[ComponentFunction] {
        &self.interfaces().imported
    }

    /// The resources that a component imports and that are not WASI's: the interface of each, and its name there.
    /// Otherwise as [`exported_functions`](Guest::exported_functions).
    pub fn imported_resources(&self) -> impl Iterator<Item = (&str, &str)> {
        let resources = self.interfaces().imported_resources.iter();
        resources.map(|(interface, name)| (&**interface, &**name))
    }

    /// What a component imports of WASI, with the types that it has for it. `None` if that could not be read: it is not
    /// valid, or has more functions than ten thousand. Otherwise as [`exported_functions`](Guest::exported_functions).
    pub fn wasi_imports(&self) -> Option<&WasiImports> {
        self.interfaces().wasi.as_ref()
    }

    fn interfaces(&self) -> &Interfaces {
        self.0.interfaces.get_or_init(|| match self.0.kind {
            GuestKind::Module | GuestKind::Package => Interfaces::default(),
            GuestKind::Component => match self.read() {
                Ok(guest) => interfaces::read(guest.bytes(), guest.imports(), guest.exports()),
                // Who compiles it reads it again, and tells why it cannot be.
                Err(_) => Interfaces::default(),
            },
        })
    }

    /// The imports that no engine here can provide: they are not part of what a command has in any version
    /// of WASI. [`Import::why_unknown`] tells what each is.
    ///
    /// Function names and interfaces are compared with those of each version; WASIX alone is taken
    /// at its word, because its functions grow with its runtime. The shared `env.memory` and the
    /// `wasi.thread-spawn` of wasi-threads are known: see [`needs_threads`](Guest::needs_threads). So are types, and
    /// interfaces of nothing else, for which a component needs nobody.
    pub fn unknown_imports(&self) -> Vec<&Import> {
        let threaded = self.shared_memory().is_some();
        let known = |import: &&Import| match self.0.kind {
            GuestKind::Component => {
                let only_types = |import: &Import| {
                    let can_be = matches!(import.kind, ImportKind::Instance | ImportKind::Type);
                    can_be && self.interfaces().only_types.contains(&import.module)
                };
                wasi::defines_for_component(import) || only_types(import)
            }
            GuestKind::Module | GuestKind::Package => wasi::defines_for_module(import, threaded),
        };
        self.imports()
            .iter()
            .filter(|import| !known(import))
            .collect()
    }

    /// Whether it expects its host to start threads: see [`threads_import`](Guest::threads_import).
    pub fn needs_threads(&self) -> bool {
        self.threads_import().is_some()
    }

    /// The import by which it expects its host to start threads: a function that does, or a shared memory.
    /// The latter says nothing of a guest for WASIX, all of which have one.
    pub fn threads_import(&self) -> Option<&Import> {
        let spawn = self
            .imports()
            .iter()
            .find(|import| wasi::spawns_threads(import));
        spawn.or_else(|| {
            self.shared_memory()
                .filter(|_| self.wasi() != WasiVersion::Wasix)
        })
    }

    fn shared_memory(&self) -> Option<&Import> {
        let is_memory = |import: &&Import| import.kind == ImportKind::Memory;
        let mut memories = self.imports().iter().filter(is_memory).zip(self.memories());
        memories.find_map(|(import, memory)| memory.shared.then_some(import))
    }

    /// What it offers, in its own order. Empty for a package.
    pub fn exports(&self) -> &[Export] {
        &self.0.facts.exports
    }

    /// Whether it can be started at `name`.
    ///
    /// For a module: an exported function without parameters and results. For a component: its
    /// `wasi:cli/run`, with or without the version. [`DEFAULT_ENTRY`](Guest::DEFAULT_ENTRY) asks
    /// the same as [`is_command`](Guest::is_command), for every kind.
    pub fn has_entry(&self, name: &str) -> bool {
        match self.0.kind {
            GuestKind::Module => self
                .exports()
                .iter()
                .any(|export| export.name == name && export.is_entry()),
            GuestKind::Component => self
                .runs()
                .any(|run| name == Guest::DEFAULT_ENTRY || name == run || unversioned(run) == name),
            // Its manifest is the engine's to read.
            GuestKind::Package => name == Guest::DEFAULT_ENTRY,
        }
    }

    /// The names [`has_entry`](Guest::has_entry) accepts, as the guest writes them. None for a
    /// package.
    pub fn entries(&self) -> Vec<String> {
        match self.0.kind {
            GuestKind::Module => self
                .exports()
                .iter()
                .filter(|export| export.is_entry())
                .map(|export| export.name.clone())
                .collect(),
            GuestKind::Component => self.runs().map(str::to_owned).collect(),
            GuestKind::Package => Vec::new(),
        }
    }

    /// The exports of a component that make it a command.
    fn runs(&self) -> impl Iterator<Item = &str> {
        self.exports()
            .iter()
            .filter(|export| export.kind == ExportKind::Instance)
            .map(|export| export.name.as_str())
            .filter(|name| wasi::is_run(name))
    }

    /// Whether it has the default entry: `_start` for a module, `wasi:cli/run` for a component. A
    /// package is taken to be one.
    pub fn is_command(&self) -> bool {
        self.has_entry(Guest::DEFAULT_ENTRY)
    }

    /// Whether instantiating it already runs code of it.
    pub fn start_section(&self) -> bool {
        self.0.facts.start_section
    }

    /// The name under which [`start_as_export`](Guest::start_as_export) exports the start function;
    /// `None` if there is none. Needs no [bytes](Guest::bytes).
    pub fn start_export(&self) -> Option<String> {
        let has_one = self.0.kind == GuestKind::Module && self.start_section();
        has_one.then(|| start::free_name(self.exports()))
    }

    /// A module without its start section, and the name under which it exports the start function
    /// instead; `None` if it has no such section.
    ///
    /// For engines that run a start function while they instantiate a module, when they do not count
    /// fuel yet, cannot interrupt the guest, or have no memory for WASI: they call the export first.
    ///
    /// # Errors
    ///
    /// Those of [`validate`](Guest::validate): what is invalid may be valid once it is changed.
    pub fn start_as_export(&self) -> Result<Option<(Vec<u8>, String)>> {
        let Some(name) = self.start_export() else {
            return Ok(None);
        };
        self.validate()?;
        let module = start::as_export(&self.0.bytes, &name)
            .map_err(|source| self.invalid("its sections cannot be read", source))?;
        Ok(module.map(|module| (module, name)))
    }

    /// Its memories, imported ones first. For a component, those its modules define.
    pub fn memories(&self) -> &[MemoryDecl] {
        &self.0.facts.memories
    }

    /// Its tables, imported ones first. For a component, those its modules define.
    pub fn tables(&self) -> &[TableDecl] {
        &self.0.facts.tables
    }

    /// The WebAssembly proposals it uses.
    ///
    /// The first call reads all code, at some hundred megabytes a second; later calls are free.
    /// Where code is malformed, what was seen elsewhere is returned. Empty for a package.
    pub fn proposals(&self) -> Proposals {
        self.scanned().proposals
    }

    /// Whether it may grow a table: it has one that can grow, and code that does so. Read along with
    /// [`proposals`](Guest::proposals).
    pub fn grows_tables(&self) -> bool {
        // Compilers that do not grow tables mostly declare so.
        let can_grow = |table: &TableDecl| table.maximum != Some(table.initial);
        self.tables().iter().any(can_grow) && self.scanned().grows_tables
    }

    /// Checks that all of it is valid, its code included, as it came.
    ///
    /// Engines validate what they compile, but who changes a guest first may make valid what was not: a start
    /// function that becomes an export is declared by that, and `ref.func` may name it.
    ///
    /// The first call reads all code; later ones are free. Every proposal is let through, because which of
    /// them an engine has is a question of its own. A package is left to its engine.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid), with what is wrong first and where. For a guest that is only
    /// [known](Guest::from_known), those of [`read`](Guest::read): its file is read.
    pub fn validate(&self) -> Result<()> {
        if !self.is_read() {
            return self.read()?.validate();
        }
        let validated = self.0.validated.get_or_init(|| match self.0.kind {
            GuestKind::Package => Ok(()),
            GuestKind::Module | GuestKind::Component => {
                validate::validate(&self.0.bytes).map_err(|malformed| malformed.to_string())
            }
        });
        let invalid = |what| invalid(&shown(&self.0.name), what);
        validated.as_ref().copied().map_err(invalid)
    }

    /// What somebody makes of it, by its type: `make` is called the first time, and what it returned is kept as long as
    /// the guest is.
    ///
    /// ```
    /// use wasmrun_guest::Guest;
    ///
    /// struct Exports(usize);
    ///
    /// # fn main() -> wasmrun_guest::Result<()> {
    /// let guest = Guest::from_bytes("app.wat", r#"(module (func (export "_start")))"#)?;
    /// let exports = guest.derive(|| Exports(guest.exports().len()));
    /// assert_eq!(exports.0, 1);
    /// assert_eq!(guest.derive(|| Exports(0)).0, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn derive<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        self.0.derived.get(make)
    }

    /// Has what is made of it be kept there as well, beyond the guest. The first store that it is given is it.
    pub fn keep_derived_in(&self, store: Arc<dyn DerivedStore>) {
        let _ = self.0.store.set(store);
    }

    /// Where that is kept.
    pub fn derived_store(&self) -> Option<&dyn DerivedStore> {
        self.0.store.get().map(|store| &**store)
    }

    fn invalid(&self, what: &str, source: BinaryReaderError) -> Error {
        invalid(&shown(&self.0.name), what).with_source(source)
    }

    fn scanned(&self) -> Scanned {
        *self.0.scanned.get_or_init(|| match self.0.kind {
            // Its code is the engine's to read.
            GuestKind::Package => Scanned::default(),
            GuestKind::Module | GuestKind::Component => scan::scan(&self.0.bytes),
        })
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            name, kind, size, ..
        } = &*self.0;
        write!(f, "Guest({name:?}, {kind}, {size} bytes)")
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn unversioned(name: &str) -> &str {
    name.split_once('@').map_or(name, |(name, _)| name)
}
