//! Places in a guest's code where it looks whether it is to end.
//!
//! A signal ends a guest that runs code of its own (see `interrupt`). What is left is a guest that
//! spends nearly all its time in long operations, each a function of wasmer's: filling, copying,
//! growing, throwing. In front of those, and nowhere else, a check is compiled in, which costs
//! nothing beside them.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use wasmer::sys::vm::VMGlobalDefinition;
use wasmer::sys::wasmparser::{BlockType, Operator};
use wasmer::sys::{FunctionMiddleware, MiddlewareError, MiddlewareReaderState, ModuleMiddleware};
use wasmer::{GlobalInit, GlobalType, LocalFunctionIndex, ModuleInfo, Mutability, Type};

/// Compiles the checks into one module. Must be its last middleware: the flag is the last global.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    global: OnceLock<u32>,
}

impl ModuleMiddleware for Checkpoints {
    fn transform_module_info(&self, module: &mut ModuleInfo) -> Result<(), MiddlewareError> {
        let global = module
            .globals
            .push(GlobalType::new(Type::I32, Mutability::Var));
        module.global_initializers.push(GlobalInit::I32Const(0));
        self.global.set(global.as_u32()).map_err(|_| {
            MiddlewareError::new("checkpoints", "they serve one module, and this is another")
        })
    }

    fn generate_function_middleware<'a>(
        &self,
        _: LocalFunctionIndex,
    ) -> Box<dyn FunctionMiddleware<'a> + 'a> {
        Box::new(FunctionCheckpoints {
            global: self.global.get().copied(),
        })
    }
}

#[derive(Debug)]
struct FunctionCheckpoints {
    global: Option<u32>,
}

impl<'a> FunctionMiddleware<'a> for FunctionCheckpoints {
    fn feed(
        &mut self,
        operator: Operator<'a>,
        state: &mut MiddlewareReaderState<'a>,
    ) -> Result<(), MiddlewareError> {
        if is_long(&operator)
            && let Some(global_index) = self.global
        {
            state.extend(&[
                Operator::GlobalGet { global_index },
                Operator::If {
                    blockty: BlockType::Empty,
                },
                Operator::Unreachable,
                Operator::End,
            ]);
        }
        state.push_operator(operator);
        Ok(())
    }
}

fn is_long(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryGrow { .. }
            | Operator::MemoryInit { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableGrow { .. }
            | Operator::TableInit { .. }
            | Operator::Throw { .. }
            | Operator::ThrowRef
            | Operator::MemoryAtomicNotify { .. }
            | Operator::MemoryAtomicWait32 { .. }
            | Operator::MemoryAtomicWait64 { .. }
    )
}

/// The global of one instance that the checks look at.
#[derive(Debug, Default)]
pub(crate) struct Flag(Mutex<Option<Location>>);

#[derive(Debug)]
struct Location(NonNull<VMGlobalDefinition>);

// SAFETY: what it points to is only written, atomically, and under the lock of a `Flag`, which
// forgets it before it is freed.
unsafe impl Send for Location {}

impl Flag {
    /// Says where the flag is. Of several globals the last stands.
    ///
    /// # Safety
    ///
    /// The global must stay until [`Flag::forget`].
    pub(crate) unsafe fn place(&self, global: NonNull<VMGlobalDefinition>) {
        *self.location() = Some(Location(global));
    }

    /// Tells the guest to end. Before the guest has started this may have no effect.
    pub(crate) fn raise(&self) {
        if let Some(Location(global)) = &*self.location() {
            // SAFETY: the global is still there (see `place`), aligned, and an `i32`, which the
            // guest reads as a whole.
            let flag = unsafe { AtomicU32::from_ptr(global.as_ptr().cast()) };
            flag.store(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn forget(&self) {
        *self.location() = None;
    }

    fn location(&self) -> MutexGuard<'_, Option<Location>> {
        // Nothing that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
