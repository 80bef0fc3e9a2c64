//! A module's start function as an export that is called later.
//!
//! wasmer would run it before the guest's memory can be reached, and before fuel is counted.

use wasmer::sys::{FunctionMiddleware, MiddlewareError, ModuleMiddleware};
use wasmer::{ExportIndex, LocalFunctionIndex, ModuleInfo};

/// Exports the start function under this name. The module is validated as it came, before.
#[derive(Debug)]
pub(crate) struct StartExport(pub(crate) String);

impl ModuleMiddleware for StartExport {
    fn transform_module_info(&self, module: &mut ModuleInfo) -> Result<(), MiddlewareError> {
        if let Some(function) = module.start_function.take() {
            let function = ExportIndex::Function(function);
            module.exports.insert(self.0.clone(), function);
        }
        Ok(())
    }

    fn generate_function_middleware<'a>(
        &self,
        _: LocalFunctionIndex,
    ) -> Box<dyn FunctionMiddleware<'a> + 'a> {
        Box::new(Unchanged)
    }
}

#[derive(Debug)]
struct Unchanged;

impl FunctionMiddleware<'_> for Unchanged {}
