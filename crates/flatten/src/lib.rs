//! Makes one core module of a WASI 0.2 component, for engines that have no components.
//!
//! [`flatten`] instantiates the component as far as that can be done without running it: its core modules are put
//! together in one, in which what one imports and another exports is the same item. What is left are the functions that
//! the component asks of its host. They are the imports of the module, typed as the canonical ABI lowers them. An
//! engine needs nothing else.
//!
//! # What the module looks like
//!
//! It exports `_start` and, if the component has one, `memory`: the memory that functions of the host work on. If they work
//! on several, the others are `memory-1` and so on. `_start` runs start functions, `wasi:cli/run`, and
//! what that has called when it has returned. It imports functions only:
//!
//! - Functions of WASI and of other interfaces that the component imports: the module is the interface as the
//!   component writes it, with its version (`wasi:io/streams@0.2.6`), or empty for a function that the component imports
//!   as such; the name is the function's (`[method]output-stream.check-write`). The type is that of a synchronous
//!   `canon lower`, but for those that [allocate](Import::allocates).
//! - In the module `[cabi]`: `exit-err: () -> ()` ends a guest whose entry returned an error, and
//!   `trap: (i32) -> ()` one that breaks a rule of the canonical ABI, by the number of `wasmtime_environ::Trap`.
//!   `invalid-string: (i32) -> ()` ends one that passes another component a string that is no UTF-8, or no UTF-16: by the bits of
//!   a unit. None returns.
//! - What handles are had by, which is told below.
//!
//! A function whose result contains a string or a list needs memory, which only the guest can give. The host does not
//! call the guest for it: such an import has one more result, an `i64`. It is negative if nothing is wanted, and otherwise
//! says what is: the alignment in its upper half, the size in its lower one. The module then calls `realloc` itself, and
//! hands the address over with `[cabi] allocated: (i32) -> i64`, whose result is of the same kind.
//!
//! Where a function works on another memory than `memory`, or strings are not UTF-8, the name of its import says so (see
//! [`Caller`]), and `allocated` is imported by a name that says the same of the memory.
//!
//! Calls out of `realloc` and of what is called after the entry trap, as they have to.
//!
//! # Handles
//!
//! The host keeps the handles, as it keeps what those of its own resources stand for: a table for each component in the
//! component that has any. Where several have, the name of an import says behind a `|` whose it works on (see [`Caller`]).
//! What is done with handles of a resource of the host's is in the module of its interface, named
//! `[resource-drop]output-stream`; of resources of the component's own in `[cabi]`, by their numbers: `[resource-drop]0`.
//!
//! - `[resource-new]: (i32) -> i32` makes a handle that owns what it is given, and `[resource-rep]: (i32) -> i32` tells what
//!   that was.
//! - `[resource-drop]` drops a handle: `(i32) -> ()` of the host's. One of the component's own is
//!   `(i32) -> i64`, which is what the handle stood for, doubled, and 1 if it owned that, or else 0: the destructor is the
//!   module's to call.
//! - `[resource-take]: (i32) -> i32` drops a handle that owns, and tells what it stood for: what the other component gets a
//!   new handle of.
//! - `[resource-lend]: (i32) -> i32` lends what a handle stands for until the call returns, and `[resource-borrow]: (i32) ->
//!   i32` makes a handle of that.
//! - `[cabi] enter-call: () -> ()` and `[cabi] exit-call: () -> ()` are called where a call between components that lends
//!   handles begins and ends.
//!
//! A wrong handle, one that is dropped or taken while it is lent, and one that is lent and not dropped when the call
//! returns end the guest.
//!
//! # What is not made a module
//!
//! Components with a memory that has addresses of 64 bits; with anything asynchronous, or that passes objects of garbage collection; that pass core modules or values. They are refused by name,
//! and so is what is no command of WASI 0.2.
//!
//! ```
//! # fn main() -> wasmrun_guest::Result<()> {
//! # use wasmrun_guest::Guest;
//! let component = Guest::from_bytes("exit.wat", r#"(component
//!     (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
//!     (core func $exit (canon lower (func $exit "exit")))
//!     (core module $m
//!         (import "" "exit" (func $exit (param i32)))
//!         (func (export "run") (result i32) (call $exit (i32.const 1)) (i32.const 0)))
//!     (core instance $i (instantiate $m (with "" (instance (export "exit" (func $exit))))))
//!     (func $run (result (result)) (canon lift (core func $i "run")))
//!     (instance $run (export "run" (func $run)))
//!     (export "wasi:cli/run@0.2.0" (instance $run)))"#)?;
//! let flattened = wasmrun_flatten::flatten(&component)?;
//! let [exit] = &*flattened.imports else { unreachable!() };
//! assert_eq!((&*exit.interface, &*exit.name), ("wasi:cli/exit@0.2.0", "exit"));
//! assert!(!exit.allocates);
//! # Ok(())
//! # }
//! ```

mod caller;
mod code;
mod constants;
mod glue;
mod merge;
mod module;
mod names;
mod numbers;
mod passing;
mod plan;
mod resources;
mod transcode;
mod transfers;
mod translate;

use std::fmt::Display;

use wasmrun_guest::{Error, ErrorKind, Guest, GuestKind, Result, fingerprint};
use wasmtime_environ::ScopeVec;

pub use caller::{Caller, Encoding};
use plan::Plan;
use translate::Translated;

/// Changes with what is made of a component: a part of the identity of code that is kept. See [`fingerprint`].
pub const FINGERPRINT: u64 = fingerprint([
    wasmtime_environ::VERSION.as_bytes(),
    include_bytes!("caller.rs"),
    include_bytes!("code.rs"),
    include_bytes!("constants.rs"),
    include_bytes!("glue.rs"),
    include_bytes!("merge.rs"),
    include_bytes!("module.rs"),
    include_bytes!("names.rs"),
    include_bytes!("numbers.rs"),
    include_bytes!("passing.rs"),
    include_bytes!("plan.rs"),
    include_bytes!("resources.rs"),
    include_bytes!("transcode.rs"),
    include_bytes!("transfers.rs"),
    include_bytes!("translate.rs"),
]);

/// A component as one core module.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Flattened {
    /// The module, under the name of the component. It is valid.
    pub module: Guest,
    /// What it asks of its host, but for the module `[cabi]`: in its order, the first of its imports.
    pub imports: Vec<Import>,
    /// How many core instances the component consisted of.
    pub instances: u64,
}

/// A function that a flattened component asks of its host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Import {
    /// The interface (`wasi:io/streams@0.2.6`), which is the module; empty for a function of no interface.
    pub interface: String,
    /// Its name there; that of a resource behind `[resource-drop]`, or what else is [done with handles](crate#handles).
    pub name: String,
    /// Who calls it.
    pub caller: Caller,
    /// Whether its result contains a string or a list, so that it has one more result: what it wants of memory.
    pub allocates: bool,
}

impl Import {
    /// The name by which the module imports it: its own, and the [caller](Caller) if that has to be said.
    pub fn imported_name(&self) -> String {
        self.caller.importing(&self.name)
    }
}

/// Makes one core module of a command component of WASI 0.2.
///
/// # Errors
///
/// Those of [`Guest::validate`]. [`Unsupported`](ErrorKind::Unsupported) for what is no component, no command, or needs more than one module can
/// have.
pub fn flatten(guest: &Guest) -> Result<Flattened> {
    let guest = &guest.read()?;
    if guest.kind() != GuestKind::Component {
        let what = format!("a {} cannot be flattened, only a component", guest.kind());
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    guest.validate()?;
    if passing::passes_modules(guest.bytes()).map_err(invalid)? {
        return Err(refuse(
            "it passes core modules, in an import, an export or a type",
        ));
    }
    let scope = ScopeVec::new();
    let translated = Translated::of(guest, &scope)?;
    let plan = Plan::of(&translated)?;
    let module = merge::merge(&plan, &translated)?;
    let module = Guest::from_bytes(guest.name(), module)
        .and_then(|module| module.validate().map(|()| module))
        .map_err(|error| refuse(format!("it would be no valid one: {error}")))?;
    Ok(Flattened {
        module,
        instances: plan.instances.len() as u64,
        imports: plan.into_imports(),
    })
}

/// The error for a component that cannot be one module.
fn refuse(why: impl Display) -> Error {
    let message = format!("the component cannot be made one core module: {why}");
    Error::new(ErrorKind::Unsupported, message)
}

/// The error for a component in which something is not there that was seen before.
fn invalid(what: impl Display) -> Error {
    let message = format!("a module of the component cannot be read: {what}");
    Error::new(ErrorKind::Invalid, message)
}
