//! WasmEdge's C library: where it is, and the functions of it that are used.

use std::env;
use std::ffi::{CStr, OsStr, c_char, c_void};
use std::path::{Path, PathBuf};

use wasmrun_core::{Error, ErrorKind, Result};

/// The release whose header files the declarations below follow; patches keep to them.
const RELEASE: (u32, u32) = (0, 17);

/// The folder that holds the library.
const LIB_DIR: &str = "WASMEDGE_LIB_DIR";
/// The folder that WasmEdge was installed to.
const DIR: &str = "WASMEDGE_DIR";

/// The names that the library has, the one that tells its ABI first.
#[cfg(target_os = "macos")]
const FILES: &[&str] = &["libwasmedge.0.dylib", "libwasmedge.dylib"];
#[cfg(windows)]
const FILES: &[&str] = &["wasmedge.dll"];
#[cfg(not(any(target_os = "macos", windows)))]
const FILES: &[&str] = &["libwasmedge.so.0", "libwasmedge.so"];

// ---- declarations ----------------------------------------------------------------------------------

macro_rules! opaque {
    ($($name:ident)*) => {$(
        /// The library's own; only pointers to it come out.
        #[repr(C)]
        pub(crate) struct $name([u8; 0]);
    )*};
}

opaque! {
    Async AstModule CallingFrame Configure Executor FunctionInstance FunctionType GlobalInstance Loader
    MemoryInstance ModuleInstance Statistics Store TableInstance Validator
}

/// `WasmEdge_Result`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallResult {
    pub(crate) code: u32,
}

impl CallResult {
    pub(crate) const SUCCESS: CallResult = CallResult { code: 0 };
}

/// `WasmEdge_String`.
#[repr(C)]
pub(crate) struct Text {
    pub(crate) length: u32,
    pub(crate) start: *const c_char,
}

/// `WasmEdge_Bytes`.
#[repr(C)]
pub(crate) struct Bytes {
    pub(crate) length: u32,
    pub(crate) start: *const u8,
}

/// `WasmEdge_ValType`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct ValType([u8; 8]);

/// `WasmEdge_Value`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Value {
    /// What has 32 bits fills the lower 32, what has 64 the lower 64.
    pub(crate) bits: u128,
    pub(crate) ty: ValType,
}

/// `WasmEdge_WrapFunc_t`.
pub(crate) type HostFunction = unsafe extern "C" fn(
    this: *mut c_void,
    data: *mut c_void,
    frame: *const CallingFrame,
    params: *const Value,
    param_count: u32,
    returns: *mut Value,
    return_count: u32,
) -> CallResult;

/// What is used of `enum WasmEdge_Standard`, `WasmEdge_Proposal`, `WasmEdge_ErrCategory`.
pub(crate) mod constants {
    pub(crate) const WASM_2: u32 = 1;
    pub(crate) const TAIL_CALL: u32 = 7;
    pub(crate) const EXTENDED_CONST: u32 = 8;
    pub(crate) const FUNCTION_REFERENCES: u32 = 9;
    pub(crate) const MULTI_MEMORIES: u32 = 11;
    pub(crate) const RELAXED_SIMD: u32 = 12;
    pub(crate) const USER_LEVEL_ERROR: u32 = 1;
}

macro_rules! functions {
    ($($name:ident($($param:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions, named as in C but for the `WasmEdge_` in front.
        #[allow(non_snake_case, reason = "the names are C's")]
        pub(crate) struct Library {
            $(pub(crate) $name: unsafe extern "C" fn($($type),*) $(-> $result)?,)*
        }

        impl Library {
            /// # Safety
            ///
            /// The library must be of [`RELEASE`], and is never to be unloaded.
            unsafe fn functions(library: &libloading::Library) -> Result<Self, libloading::Error> {
                // SAFETY: the types are those of the release's header files.
                unsafe {
                    Ok(Library {
                        $($name: *library.get(concat!("WasmEdge_", stringify!($name), "\0").as_bytes())?,)*
                    })
                }
            }

            $(
                /// # Safety
                ///
                /// As the header files tell: all that is passed is alive, and as long as told.
                #[allow(non_snake_case, dead_code, reason = "what frees something is only handed on")]
                pub(crate) unsafe fn $name(&self $(, $param: $type)*) $(-> $result)? {
                    // SAFETY: the caller's promise.
                    unsafe { (self.$name)($($param),*) }
                }
            )*
        }
    };
}

functions! {
    LogOff();
    ResultOK(result: CallResult) -> bool;
    ResultGen(category: u32, code: u32) -> CallResult;
    ResultGetCode(result: CallResult) -> u32;
    ResultGetMessage(result: CallResult) -> *const c_char;

    ValTypeGenI32() -> ValType;
    ValTypeGenI64() -> ValType;
    ValTypeGenF32() -> ValType;
    ValTypeGenF64() -> ValType;
    ValTypeGenV128() -> ValType;
    ValueGenI64(value: i64) -> Value;

    ConfigureCreate() -> *mut Configure;
    ConfigureDelete(configure: *mut Configure);
    ConfigureSetWASMStandard(configure: *mut Configure, standard: u32);
    ConfigureAddProposal(configure: *mut Configure, proposal: u32);
    ConfigureSetForceInterpreter(configure: *mut Configure, force: bool);
    ConfigureStatisticsSetCostMeasuring(configure: *mut Configure, measure: bool);

    StatisticsCreate() -> *mut Statistics;
    StatisticsDelete(statistics: *mut Statistics);
    StatisticsClear(statistics: *mut Statistics);
    StatisticsSetCostLimit(statistics: *mut Statistics, limit: u64);
    StatisticsGetTotalCost(statistics: *const Statistics) -> u64;

    LoaderCreate(configure: *const Configure) -> *mut Loader;
    LoaderDelete(loader: *mut Loader);
    LoaderParseFromBytes(loader: *mut Loader, module: *mut *mut AstModule, bytes: Bytes) -> CallResult;
    ASTModuleDelete(module: *mut AstModule);
    ValidatorCreate(configure: *const Configure) -> *mut Validator;
    ValidatorDelete(validator: *mut Validator);
    ValidatorValidate(validator: *mut Validator, module: *const AstModule) -> CallResult;

    StoreCreate() -> *mut Store;
    StoreDelete(store: *mut Store);
    ExecutorCreate(configure: *const Configure, statistics: *mut Statistics) -> *mut Executor;
    ExecutorDelete(executor: *mut Executor);
    ExecutorRegisterImport(
        executor: *mut Executor, store: *mut Store, import: *const ModuleInstance
    ) -> CallResult;
    ExecutorInstantiate(
        executor: *mut Executor, instance: *mut *mut ModuleInstance, store: *mut Store,
        module: *const AstModule
    ) -> CallResult;
    ExecutorInvoke(
        executor: *mut Executor, function: *const FunctionInstance, params: *const Value, count: u32,
        returns: *mut Value, return_count: u32
    ) -> CallResult;
    ExecutorAsyncInvoke(
        executor: *mut Executor, function: *const FunctionInstance, params: *const Value, count: u32
    ) -> *mut Async;
    AsyncWaitFor(call: *const Async, milliseconds: u64) -> bool;
    AsyncCancel(call: *mut Async);
    AsyncGet(call: *const Async, returns: *mut Value, return_count: u32) -> CallResult;
    AsyncDelete(call: *mut Async);

    ModuleInstanceCreate(name: Text) -> *mut ModuleInstance;
    ModuleInstanceDelete(instance: *mut ModuleInstance);
    ModuleInstanceAddFunction(
        instance: *mut ModuleInstance, name: Text, function: *mut FunctionInstance
    );
    ModuleInstanceFindFunction(instance: *const ModuleInstance, name: Text) -> *mut FunctionInstance;
    ModuleInstanceFindMemory(instance: *const ModuleInstance, name: Text) -> *mut MemoryInstance;
    ModuleInstanceFindTable(instance: *const ModuleInstance, name: Text) -> *mut TableInstance;
    TableInstanceGetSize(table: *const TableInstance) -> u32;
    ModuleInstanceFindGlobal(instance: *const ModuleInstance, name: Text) -> *mut GlobalInstance;
    GlobalInstanceGetValue(global: *const GlobalInstance) -> Value;
    GlobalInstanceSetValue(global: *mut GlobalInstance, value: Value) -> CallResult;
    MemoryInstanceGetPageSize(memory: *const MemoryInstance) -> u64;
    MemoryInstanceGetPointer(memory: *mut MemoryInstance, offset: u64, length: u64) -> *mut u8;
    FunctionTypeCreate(
        params: *const ValType, count: u32, results: *const ValType, result_count: u32
    ) -> *mut FunctionType;
    FunctionTypeDelete(ty: *mut FunctionType);
    FunctionInstanceCreateBinding(
        ty: *const FunctionType, function: HostFunction, this: *mut c_void, data: *mut c_void,
        cost: u64
    ) -> *mut FunctionInstance;
}

// ---- finding it ------------------------------------------------------------------------------------

/// The library that is loaded, and its version.
pub(crate) struct Loaded {
    pub(crate) library: &'static Library,
    pub(crate) version: String,
}

/// Looks for the library where the environment says; without that where the system's loader looks, and in
/// the places where WasmEdge is usually installed.
pub(crate) fn find() -> Result<Loaded> {
    for (variable, below) in [(LIB_DIR, &[""] as &[&str]), (DIR, &["lib", "lib64", ""])] {
        let Some(root) = env::var_os(variable).filter(|root| !root.is_empty()) else {
            continue;
        };
        let root = PathBuf::from(root);
        let found = below.iter().find_map(|part| in_folder(&root.join(part)));
        return found.map_or_else(
            || {
                let message = format!(
                    "there is no {} in {}, where {variable} says it is",
                    FILES[0],
                    root.display()
                );
                Err(Error::new(ErrorKind::EngineNotFound, message))
            },
            |path| at(&path),
        );
    }
    // SAFETY: as in `open`.
    let by_loader = match unsafe { libloading::Library::new(FILES[0]) } {
        Ok(library) => return checked(library, FILES[0].as_ref()),
        Err(error) => error,
    };
    match usual_folders().iter().find_map(|folder| in_folder(folder)) {
        Some(path) => at(&path),
        None => Err(Error::new(
            ErrorKind::EngineNotFound,
            format!(
                "its library, {}, cannot be loaded; install WasmEdge {}.{} \
                 (https://wasmedge.org/docs/start/install), or set {LIB_DIR} to the folder that holds the \
                 library or {DIR} to the one WasmEdge is installed in",
                FILES[0], RELEASE.0, RELEASE.1
            ),
        )
        .with_source(by_loader)),
    }
}

/// Loads the library from a file, or from the folder that holds it.
pub(crate) fn at(path: &Path) -> Result<Loaded> {
    let file = in_folder(path);
    let path = file.as_deref().unwrap_or(path);
    // SAFETY: loading runs what is in the library to set itself up, as linking it would; the caller chose it.
    let library = unsafe { libloading::Library::new(path) }.map_err(|source| {
        let message = format!("cannot load {}: {source}", path.display());
        Error::new(ErrorKind::EngineNotFound, message)
    })?;
    checked(library, path.as_os_str())
}

fn in_folder(folder: &Path) -> Option<PathBuf> {
    let mut files = FILES.iter().map(|file| folder.join(file));
    files.find(|file| file.is_file())
}

fn usual_folders() -> Vec<PathBuf> {
    let home = env::home_dir().map(|home| home.join(".wasmedge/lib"));
    let system = ["/usr/local/lib", "/opt/homebrew/lib", "/usr/local/lib64"];
    home.into_iter().chain(system.map(PathBuf::from)).collect()
}

/// Takes a library that is of the right release.
fn checked(library: libloading::Library, path: &OsStr) -> Result<Loaded> {
    let no_wasmedge = |source: libloading::Error| {
        let message = format!("{} is not WasmEdge's library: {source}", path.display());
        Error::new(ErrorKind::EngineNotFound, message)
    };
    type Number = unsafe extern "C" fn() -> u32;
    type Version = unsafe extern "C" fn() -> *const c_char;
    // SAFETY: these functions have had these types in every release, and return constants.
    let (release, version) = unsafe {
        let number = |name: &str| {
            library
                .get::<Number>(name.as_bytes())
                .map(|number| number())
        };
        let release = (
            number("WasmEdge_VersionGetMajor\0").map_err(no_wasmedge)?,
            number("WasmEdge_VersionGetMinor\0").map_err(no_wasmedge)?,
        );
        let version = library.get::<Version>(b"WasmEdge_VersionGet\0");
        (release, CStr::from_ptr(version.map_err(no_wasmedge)?()))
    };
    let version = version.to_string_lossy().into_owned();
    if release != RELEASE {
        return Err(Error::new(
            ErrorKind::EngineNotFound,
            format!(
                "{} is WasmEdge {version}, and this build of wasmrun works with {}.{}; install that, or set \
                 {LIB_DIR} to the folder that holds it",
                path.display(),
                RELEASE.0,
                RELEASE.1
            ),
        ));
    }
    // SAFETY: it is of that release, and stays loaded from here on.
    let functions = unsafe { Library::functions(&library) }.map_err(no_wasmedge)?;
    // It has threads and state of its own, and does not expect to be unloaded.
    std::mem::forget(library);
    Ok(Loaded {
        library: Box::leak(Box::new(functions)),
        version,
    })
}
