//! The set of functions that a host has.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::guest::{FuncSignature, Import, ImportKind, ValueType, is_wasi};

use super::function::HostFunction;
use super::typed::IntoHostFunction;

/// Functions of the host that guests may import, by module and name. Made before there is an engine, cheap to
/// clone, and shared by programs and threads.
///
/// A function is a closure of up to twelve parameters. Its type, as the guest declares it, follows from them:
///
/// | Rust | WebAssembly |
/// |---|---|
/// | `i32`, `u32` | `i32` |
/// | `i64`, `u64` | `i64` |
/// | `f32`, `f64` | `f32`, `f64` |
/// | `[u8; 16]` | `v128`, the least significant byte first |
/// | [`GuestSlice`](crate::GuestSlice), [`GuestStr`](crate::GuestStr) | two `i32`: an address and a length |
/// | `GuestSlice<u64>`, `GuestStr<u64>` | two `i64`, of a 64-bit memory |
///
/// It returns nothing, one value or a tuple of them, and any of these in a `Result`: an error
/// [ends the guest](crate::TrapKind::HostFunction). One whose first parameter is a
/// [`&mut HostCall`](crate::HostCall) sees the guest's memory and what the run was given.
/// [`Dynamic`](crate::Dynamic) is a function whose type is made at run time, [`Async`](crate::Async) one that
/// awaits something.
///
/// ```
/// use wasmrun_core::{GuestStr, HostCall, HostFunctions, MemoryError};
///
/// let host = HostFunctions::new()
///     .function("env", "add", |a: i32, b: i32| a.wrapping_add(b))
///     .function("env", "log", |call: &mut HostCall<'_>, line: GuestStr| {
///         println!("{}", line.read(call)?);
///         Ok::<(), MemoryError>(())
///     });
/// assert_eq!(host.get("env", "add").map(|add| add.signature().to_string()).as_deref(), Some("(i32, i32) -> (i32)"));
/// ```
#[derive(Clone, Default)]
pub struct HostFunctions(Option<Arc<Modules>>);

type Modules = BTreeMap<String, BTreeMap<String, Defined>>;

#[derive(Clone)]
struct Defined {
    function: HostFunction,
    /// In place of WASI's, or of one before it.
    replaces: bool,
    /// Another was there, and it is not known which is meant.
    twice: bool,
}

/// As many parameters, or results, as the WebAssembly JavaScript Interface lets a function have, and engines follow.
const MOST: usize = 1000;

impl HostFunctions {
    /// None yet.
    pub const fn new() -> Self {
        HostFunctions(None)
    }

    /// Defines a function. A name that was defined before, or that WASI has, is refused where a guest is to be
    /// compiled with this set: [`replace`](HostFunctions::replace) says that it is meant.
    #[must_use]
    pub fn function<Marker>(
        self,
        module: impl Into<String>,
        name: impl Into<String>,
        function: impl IntoHostFunction<Marker>,
    ) -> Self {
        self.define(module.into(), name.into(), function, false)
    }

    /// Defines a function in place of the one that was defined before, or that WASI has.
    #[must_use]
    pub fn replace<Marker>(
        self,
        module: impl Into<String>,
        name: impl Into<String>,
        function: impl IntoHostFunction<Marker>,
    ) -> Self {
        self.define(module.into(), name.into(), function, true)
    }

    fn define<Marker>(
        mut self,
        module: String,
        name: String,
        function: impl IntoHostFunction<Marker>,
        replaces: bool,
    ) -> Self {
        let signature = function.signature();
        let sees_guest = function.sees_guest();
        let body = function.into_body();
        let function = HostFunction::new(&module, &name, signature, sees_guest, body);
        let modules = Arc::make_mut(self.0.get_or_insert_default());
        let functions = modules.entry(module).or_default();
        let twice = !replaces && functions.contains_key(&name);
        let defined = Defined {
            function,
            replaces,
            twice,
        };
        functions.insert(name, defined);
        self
    }

    /// The function of that name, if there is one.
    pub fn get(&self, module: &str, name: &str) -> Option<&HostFunction> {
        Some(&self.0.as_ref()?.get(module)?.get(name)?.function)
    }

    /// The function that a guest imports there, if there is one.
    pub fn of_import(&self, import: &Import) -> Option<&HostFunction> {
        match import.kind {
            ImportKind::Function => self.get(&import.module, &import.name),
            _ => None,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// All of them, by their modules and names.
    pub fn iter(&self) -> impl Iterator<Item = &HostFunction> {
        self.defined().map(|defined| &defined.function)
    }

    /// The modules that there are functions of.
    pub(crate) fn modules(&self) -> Vec<&str> {
        let modules = self.0.iter().flat_map(|modules| modules.keys());
        modules.map(String::as_str).collect()
    }

    /// The names of that module's functions.
    pub(crate) fn names_of(&self, module: &str) -> Vec<&str> {
        let functions = self.0.iter().filter_map(|modules| modules.get(module));
        let names = functions.flat_map(BTreeMap::keys);
        names.map(String::as_str).collect()
    }

    /// Why no guest can be given this set.
    pub(crate) fn problem(&self) -> Option<String> {
        self.defined().find_map(|defined| {
            let (function, replaces) = (&defined.function, defined.replaces);
            let FuncSignature { params, results } = function.signature();
            let meant = "; HostFunctions::replace says that it is meant";
            if defined.twice {
                Some(format!("the host defines {function} twice{meant}"))
            } else if !replaces && is_wasi(function.module(), function.name()) {
                Some(format!(
                    "the host defines {function}, which WASI has{meant}"
                ))
            } else if function.signature().has(ValueType::Reference) {
                Some(format!(
                    "the host defines {function} with references, which cannot be passed"
                ))
            } else if params.len().max(results.len()) > MOST {
                Some(format!(
                    "the host defines {function} with more parameters or results than the {MOST} that engines take"
                ))
            } else {
                None
            }
        })
    }

    fn defined(&self) -> impl Iterator<Item = &Defined> {
        let modules = self.0.iter().flat_map(|modules| modules.values());
        modules.flat_map(BTreeMap::values)
    }
}

impl fmt::Debug for HostFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
