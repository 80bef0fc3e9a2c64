//! The set of functions that a host has.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::Guest;
use crate::guest::{
    ComponentFunction, FuncSignature, Import, ImportKind, ValueType, is_wasi, is_wasi_interface,
    shown,
};

use super::function::HostFunction;
use super::interface::{HostInterface, InterfaceFunction, compatible};
use super::typed::IntoHostFunction;

/// Functions of the host that guests may import: modules by module and name, components by
/// [interface](HostFunctions::interface) and name. Made before there is an engine, cheap to clone, and shared by programs
/// and threads.
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
pub struct HostFunctions(Option<Arc<All>>);

#[derive(Clone, Default)]
struct All {
    modules: BTreeMap<String, BTreeMap<String, Defined>>,
    /// What components may import; under no name what they import as functions of their own.
    interfaces: BTreeMap<String, HostInterface>,
    /// An interface that was defined more than once.
    twice: Option<String>,
}

#[derive(Clone)]
struct Defined {
    function: HostFunction,
    /// In place of WASI's, or of one before it.
    replaces: bool,
    /// Another was there, and it is not known which is meant.
    twice: bool,
    privileged: bool,
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

    /// Defines an interface that components may import, by the name that WIT has for it (`ns:pkg/name@1.0.0`). One of
    /// a version serves components that import a [compatible](https://semver.org) one; of several that would, the
    /// newest does. WASI's own cannot be defined.
    ///
    /// ```
    /// use wasmrun_core::{HostFunctions, HostInterface};
    ///
    /// let host = HostFunctions::new().interface(
    ///     "acme:host/text@1.0.0",
    ///     HostInterface::new()
    ///         // join: func(parts: list<string>, with: option<char>) -> string
    ///         .function("join", |_, (parts, with): (Vec<String>, Option<char>)| {
    ///             parts.join(&with.map(String::from).unwrap_or_default())
    ///         })
    ///         // parse: func(text: string) -> result<s64, string>, an error that the guest sees
    ///         .function("parse", |_, (text,): (String,)| {
    ///             text.parse::<i64>().map_err(|error| error.to_string())
    ///         })
    ///         // Whatever a guest imports it as.
    ///         .dynamic("show", |call, params| {
    ///             call.emit(format!("{params:?}"));
    ///             Ok(None)
    ///         }),
    /// );
    /// # assert!(!host.is_empty());
    /// ```
    #[must_use]
    pub fn interface(mut self, name: impl Into<String>, interface: HostInterface) -> Self {
        let name = name.into();
        let all = Arc::make_mut(self.0.get_or_insert_default());
        if all.interfaces.insert(name.clone(), interface).is_some() {
            all.twice = Some(name);
        }
        self
    }

    /// Defines the functions that components import as such, and not in an interface.
    #[must_use]
    pub fn world(self, functions: HostInterface) -> Self {
        self.interface("", functions)
    }

    /// Makes all that is defined so far privileged: a guest that imports something of it is refused unless its config
    /// [says](crate::RunConfig::privileged) that it may, as that of [`Profile::Full`](crate::Profile::Full) does. What is
    /// defined later is not, unless this comes again.
    ///
    /// ```
    /// use wasmrun_core::HostFunctions;
    ///
    /// let host = HostFunctions::new()
    ///     .function("host", "reboot", || ())
    ///     .privileged()
    ///     .function("host", "hello", || ());
    /// # assert!(!host.is_empty());
    /// ```
    #[must_use]
    pub fn privileged(mut self) -> Self {
        if let Some(all) = &mut self.0 {
            let all = Arc::make_mut(all);
            let modules = all.modules.values_mut();
            for defined in modules.flat_map(BTreeMap::values_mut) {
                defined.privileged = true;
            }
            for interface in all.interfaces.values_mut() {
                *interface = std::mem::take(interface).privileged();
            }
        }
        self
    }

    fn define<Marker>(
        mut self,
        module: String,
        name: String,
        function: impl IntoHostFunction<Marker>,
        replaces: bool,
    ) -> Self {
        let function = HostFunction::new(&module, &name, function);
        let all = Arc::make_mut(self.0.get_or_insert_default());
        let functions = all.modules.entry(module).or_default();
        let twice = !replaces && functions.contains_key(&name);
        let defined = Defined {
            function,
            replaces,
            twice,
            privileged: false,
        };
        functions.insert(name, defined);
        self
    }

    /// The function of that name, if there is one.
    pub fn get(&self, module: &str, name: &str) -> Option<&HostFunction> {
        Some(&self.0.as_ref()?.modules.get(module)?.get(name)?.function)
    }

    /// The function that a guest imports there, if there is one.
    pub fn of_import(&self, import: &Import) -> Option<&HostFunction> {
        match import.kind {
            ImportKind::Function => self.get(&import.module, &import.name),
            _ => None,
        }
    }

    /// The interface that a component finds by that name, which may be of another, compatible version; under no name
    /// the functions that are of none.
    pub fn get_interface(&self, name: &str) -> Option<&HostInterface> {
        let interfaces = &self.0.as_ref()?.interfaces;
        interfaces.get(name).or_else(|| {
            let (wanted, _) = compatible(name)?;
            let serve = interfaces.iter().filter_map(|(name, interface)| {
                let (serves, version) = compatible(name)?;
                (serves == wanted).then_some((version, interface))
            });
            let newest = serve.max_by_key(|(version, _)| *version)?;
            Some(newest.1)
        })
    }

    /// The function that a component imports as this, if there is one.
    pub fn of_component(&self, import: &ComponentFunction) -> Option<&InterfaceFunction> {
        self.get_interface(&import.interface)?.get(&import.name)
    }

    /// The first function that the guest imports and that is privileged, if there is one.
    pub(crate) fn privileged_import(&self, guest: &Guest) -> Option<String> {
        let all = self.0.as_ref()?;
        let is_privileged = |import: &&Import| {
            let functions = all.modules.get(&import.module);
            import.kind == ImportKind::Function
                && functions
                    .and_then(|functions| functions.get(&import.name))
                    .is_some_and(|defined| defined.privileged)
        };
        if let Some(import) = guest.imports().iter().find(is_privileged) {
            return Some(import.to_string());
        }
        // To know what a component imports of an interface, all of it has to be looked at.
        let mut interfaces = all.interfaces.values();
        if !interfaces.any(HostInterface::has_privileged) {
            return None;
        }
        let is_privileged = |import: &&ComponentFunction| {
            let interface = self.get_interface(&import.interface);
            interface.is_some_and(|interface| interface.is_privileged(&import.name))
        };
        let import = guest.imported_functions().iter().find(is_privileged)?;
        Some(import.to_string())
    }

    /// Whether a component that imports this is served, as far as the name tells.
    pub(crate) fn serves(&self, import: &Import) -> bool {
        match import.kind {
            ImportKind::Instance => self.get_interface(&import.module).is_some(),
            ImportKind::ComponentFunction => {
                let world = self.get_interface("");
                world.is_some_and(|world| world.get(&import.module).is_some())
            }
            _ => false,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// All of them that are for modules, by their modules and names.
    pub fn iter(&self) -> impl Iterator<Item = &HostFunction> {
        self.defined().map(|defined| &defined.function)
    }

    /// The modules that there are functions of.
    pub(crate) fn modules(&self) -> Vec<&str> {
        let modules = self.0.iter().flat_map(|all| all.modules.keys());
        modules.map(String::as_str).collect()
    }

    /// Whether there is something for components.
    pub fn has_interfaces(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|all| !all.interfaces.is_empty())
    }

    /// The interfaces that there are functions of.
    pub(crate) fn interfaces(&self) -> Vec<&str> {
        let names = self.0.iter().flat_map(|all| all.interfaces.keys());
        names
            .map(String::as_str)
            .filter(|name| !name.is_empty())
            .collect()
    }

    /// The names of that module's functions.
    pub(crate) fn names_of(&self, module: &str) -> Vec<&str> {
        let functions = self.0.iter().filter_map(|all| all.modules.get(module));
        let names = functions.flat_map(BTreeMap::keys);
        names.map(String::as_str).collect()
    }

    /// Why no guest can be given this set.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem_of_interfaces()
            .or_else(|| self.problem_of_modules())
    }

    fn problem_of_interfaces(&self) -> Option<String> {
        let all = self.0.as_ref()?;
        if let Some(twice) = &all.twice {
            return Some(match twice.as_str() {
                "" => "the host defines the functions of the world twice".to_owned(),
                twice => format!("the host defines the interface {} twice", shown(twice)),
            });
        }
        all.interfaces.iter().find_map(|(name, interface)| {
            if is_wasi_interface(name) {
                Some(format!(
                    "the host defines {name}, which is WASI's own; give it another name"
                ))
            } else {
                let (twice, name) = (interface.twice()?, shown(name));
                Some(format!("the host defines {name}#{} twice", shown(twice)))
            }
        })
    }

    fn problem_of_modules(&self) -> Option<String> {
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
        let modules = self.0.iter().flat_map(|all| all.modules.values());
        modules.flat_map(BTreeMap::values)
    }
}

impl fmt::Debug for HostFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        list.entries(self.iter());
        let interfaces = self.0.iter().flat_map(|all| &all.interfaces);
        list.entries(interfaces).finish()
    }
}
