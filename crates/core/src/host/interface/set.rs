//! The functions of one interface.

use std::collections::{BTreeMap, BTreeSet};

use super::super::call::HostCall;
use super::super::function::Failure;
use super::super::future::wait;
use super::function::InterfaceFunction;
use super::typed::{InterfaceParams, InterfaceReturn};
use super::value::ComponentValue;

/// The functions that a host has of an interface, for components: see [`HostFunctions::interface`].
///
/// [`HostFunctions::interface`]: crate::HostFunctions::interface
#[derive(Debug, Clone, Default)]
pub struct HostInterface {
    functions: BTreeMap<String, InterfaceFunction>,
    privileged: BTreeSet<String>,
    twice: Option<String>,
}

impl HostInterface {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A closure, which is given the call and a tuple of [values of Rust](crate::InterfaceValue). Its type follows from
    /// that, and a component that imports it as another is refused. What it returns is in [`InterfaceReturn`].
    ///
    /// The [call](HostCall) has the run's state and the like. A component's memory is not offered: it has 0 bytes there.
    #[must_use]
    pub fn function<P: InterfaceParams, R: InterfaceReturn>(
        self,
        name: impl Into<String>,
        function: impl Fn(&mut HostCall<'_>, P) -> R + Send + Sync + 'static,
    ) -> Self {
        let function = InterfaceFunction::typed(move |call, params| Ok(function(call, params)));
        self.define(name.into(), function)
    }

    /// Likewise, an `async` closure: the guest's thread waits, and what is awaited is dropped when the guest is to end,
    /// as with [`Async`](crate::Async).
    #[must_use]
    pub fn function_async<P: InterfaceParams, R: InterfaceReturn>(
        self,
        name: impl Into<String>,
        function: impl AsyncFn(&mut HostCall<'_>, P) -> R + Send + Sync + 'static,
    ) -> Self {
        let function = InterfaceFunction::typed(move |call: &mut HostCall<'_>, params| {
            wait(&call.control(), function(call, params))
        });
        self.define(name.into(), function)
    }

    /// A closure that takes whatever a component imports it as. What it returns has to be of the type that the
    /// component expects; the guest ends if it is not, as it does by an error.
    #[must_use]
    pub fn dynamic(
        self,
        name: impl Into<String>,
        function: impl Fn(
            &mut HostCall<'_>,
            &[ComponentValue],
        ) -> Result<Option<ComponentValue>, Failure>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.define(name.into(), InterfaceFunction::dynamic(function))
    }

    /// Makes all that is defined so far privileged, as [`HostFunctions::privileged`] does.
    ///
    /// [`HostFunctions::privileged`]: crate::HostFunctions::privileged
    #[must_use]
    pub fn privileged(mut self) -> Self {
        self.privileged = self.functions.keys().cloned().collect();
        self
    }

    fn define(mut self, name: String, function: InterfaceFunction) -> Self {
        if self.functions.insert(name.clone(), function).is_some() {
            self.twice = Some(name);
        }
        self
    }

    /// The function of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<&InterfaceFunction> {
        self.functions.get(name)
    }

    /// Whether there is a privileged function.
    pub(crate) fn has_privileged(&self) -> bool {
        !self.privileged.is_empty()
    }

    /// Whether that function is privileged.
    pub(crate) fn is_privileged(&self, name: &str) -> bool {
        self.privileged.contains(name)
    }

    /// The names of all.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.functions.keys().map(String::as_str).collect()
    }

    /// A name that was defined more than once.
    pub(crate) fn twice(&self) -> Option<&str> {
        self.twice.as_deref()
    }
}
