//! Ending wasmer's compiler before it is done: a middleware unwinds. If it failed, a compiler that is left half way
//! through a function would be used for the next.

use wasmer::LocalFunctionIndex;
use wasmer::sys::wasmparser::Operator;
use wasmer::sys::{FunctionMiddleware, MiddlewareError, MiddlewareReaderState, ModuleMiddleware};
use wasmrun_core::Control;

/// Unwinds once compiling is to end, and changes nothing.
#[derive(Debug)]
pub(crate) struct UntilInterrupted(pub(crate) Control);

impl ModuleMiddleware for UntilInterrupted {
    fn generate_function_middleware<'a>(
        &self,
        _: LocalFunctionIndex,
    ) -> Box<dyn FunctionMiddleware<'a> + 'a> {
        Box::new(UntilInterrupted(self.0.clone()))
    }
}

impl<'a> FunctionMiddleware<'a> for UntilInterrupted {
    fn feed(
        &mut self,
        operator: Operator<'a>,
        state: &mut MiddlewareReaderState<'a>,
    ) -> Result<(), MiddlewareError> {
        self.0.unwind_if_interrupted();
        state.push_operator(operator);
        Ok(())
    }
}
