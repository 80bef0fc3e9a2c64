//! One function of an interface that the host has, as engines bind it.

use std::fmt;
use std::sync::Arc;

use crate::guest::{ComponentFunction, ComponentSignature};

use super::super::call::HostCall;
use super::super::function::{Failure, HostEnded, attend};
use super::super::memory::HostMemory;
use super::super::run::HostRun;
use super::typed::{InterfaceParams, InterfaceResult, InterfaceReturn};
use super::value::{ComponentValue, Mismatch};

type Body = dyn Fn(&mut HostCall<'_>, Vec<ComponentValue>) -> Result<Option<ComponentValue>, Failure>
    + Send
    + Sync;

/// A function of an interface that the host has. Cloning shares it.
#[derive(Clone)]
pub struct InterfaceFunction {
    /// `None` for one that takes whatever a guest imports it as.
    signature: Option<Arc<ComponentSignature>>,
    body: Arc<Body>,
}

impl InterfaceFunction {
    pub(super) fn typed<P: InterfaceParams, R: InterfaceReturn>(
        function: impl Fn(&mut HostCall<'_>, P) -> Result<R, HostEnded> + Send + Sync + 'static,
    ) -> Self {
        InterfaceFunction {
            signature: Some(Arc::new(signature::<P, R::Result>())),
            body: Arc::new(move |call, params| {
                // Core has compared the types.
                let params = P::from_values(params).ok_or("it was given what it does not take")?;
                Ok(function(call, params)?.into_result()?.into_value())
            }),
        }
    }

    pub(super) fn dynamic(
        function: impl Fn(
            &mut HostCall<'_>,
            &[ComponentValue],
        ) -> Result<Option<ComponentValue>, Failure>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        InterfaceFunction {
            signature: None,
            body: Arc::new(move |call, params| function(call, &params)),
        }
    }

    /// Its type; `None` for one that takes whatever a guest imports it as.
    pub fn signature(&self) -> Option<&ComponentSignature> {
        self.signature.as_deref()
    }

    /// Calls it within a call of another function of the host, which stands for it where components are modules.
    ///
    /// # Errors
    ///
    /// What it fails with, or returns that is not of the type.
    #[doc(hidden)]
    pub fn call_within(
        &self,
        call: &mut HostCall<'_>,
        import: &ComponentFunction,
        params: Vec<ComponentValue>,
    ) -> Result<Option<ComponentValue>, Failure> {
        // A component's memory is its own.
        let mut call = HostCall::new(call.run(), HostMemory::Bytes(&mut []));
        let result = (self.body)(&mut call, params)?;
        check_result(result.as_ref(), &import.signature)?;
        Ok(result)
    }

    /// Calls it for the guest of that run, which imports it as this.
    ///
    /// # Errors
    ///
    /// As for [`HostFunction::call`](crate::HostFunction::call).
    pub fn call(
        &self,
        run: &mut HostRun,
        import: &ComponentFunction,
        params: Vec<ComponentValue>,
    ) -> Result<Option<ComponentValue>, HostEnded> {
        attend(run, HostMemory::Bytes(&mut []), import, |call| {
            let result = (self.body)(call, params)?;
            check_result(result.as_ref(), &import.signature)?;
            Ok(result)
        })
    }
}

/// The type of a function of Rust.
pub(crate) fn signature<P: InterfaceParams, R: InterfaceResult>() -> ComponentSignature {
    let params = P::types().into_iter();
    ComponentSignature {
        params: params.map(|ty| ("".into(), ty)).collect(),
        result: R::ty(),
        is_async: false,
        is_opaque: false,
    }
}

fn check_result(
    result: Option<&ComponentValue>,
    signature: &ComponentSignature,
) -> Result<(), Mismatch> {
    let checked = match (result, &signature.result) {
        (None, None) => Ok(()),
        (Some(value), Some(ty)) => value.check(ty),
        (None, Some(ty)) => Err(Mismatch::new("is nothing", ty)),
        (Some(_), None) => Err(Mismatch::new("is a value", "nothing")),
    };
    checked.map_err(|mismatch| mismatch.within(".its result"))
}

impl fmt::Debug for InterfaceFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.signature {
            Some(signature) => signature.fmt(f),
            None => f.write_str("func of any type"),
        }
    }
}
