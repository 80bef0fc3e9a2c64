//! WASI preview1 and functions of the host for WasmEdge, called without static types.

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::slice;

use wasmrun_core::guest::ValueType;
use wasmrun_core::{Result, Usage};
use wasmrun_wasi_preview1::{Imported, Stop, Wasi};

use crate::library::{
    CallResult, CallingFrame, Library, MemoryInstance, ModuleInstance, Value, constants,
};
use crate::native::{Owned, text};
use crate::values::{give_all, of_type, take_all};

/// What the functions of a run work with. It stays where it is while the guest runs.
pub(crate) struct Host {
    pub(crate) library: &'static Library,
    pub(crate) wasi: Wasi,
    pub(crate) usage: Usage,
    /// The guest's memory, once it has one; null before, and if it exports none.
    pub(crate) memory: *mut MemoryInstance,
    /// Others that functions of the host work on, by the names that it exports them by.
    pub(crate) other_memories: Vec<(String, *mut MemoryInstance)>,
    /// Why the guest was unwound.
    pub(crate) end: Option<End>,
}

impl Host {
    fn other_memory(&self, name: &str) -> *mut MemoryInstance {
        let found = self.other_memories.iter().find(|(other, _)| other == name);
        found.map_or(null_mut(), |(_, memory)| *memory)
    }
}

/// What a call has ended the guest with.
pub(crate) enum End {
    Stop(Stop),
    /// It must not unwind through WasmEdge.
    Panic(Box<dyn Any + Send>),
}

/// Adds a function to what the guest may import from its module.
///
/// # Safety
///
/// `function` and `host` must stay until `module` is dropped, and nothing else may use `host` while a guest runs.
pub(crate) unsafe fn add(
    library: &Library,
    module: &Owned<ModuleInstance>,
    function: &Imported,
    host: *mut Host,
) -> Result<()> {
    let types = |types: &[ValueType]| {
        let types = types.iter().map(|ty| of_type(library, *ty));
        types.collect::<Vec<_>>()
    };
    let (params, results) = (types(function.params()), types(function.results()));
    // SAFETY: the lists are as long as told, and copied; the library takes the function over.
    unsafe {
        let ty = library.FunctionTypeCreate(
            params.as_ptr(),
            params.len() as u32,
            results.as_ptr(),
            results.len() as u32,
        );
        let ty = Owned::new(ty, library.FunctionTypeDelete)?;
        let made = library.FunctionInstanceCreateBinding(
            ty.raw(),
            call,
            std::ptr::from_ref(function).cast_mut().cast(),
            host.cast(),
            0,
        );
        library.ModuleInstanceAddFunction(module.raw(), text(function.name()), made);
    }
    Ok(())
}

unsafe extern "C" fn call(
    function: *mut c_void,
    host: *mut c_void,
    _: *const CallingFrame,
    params: *const Value,
    count: u32,
    returns: *mut Value,
    return_count: u32,
) -> CallResult {
    // SAFETY: they are what `add` gave, and lists as long as the function's type says; the guest waits for this call
    // and has no other thread, so nothing else uses the host or the guest's memory meanwhile.
    let (function, host, params, returns) = unsafe {
        let params = match count {
            0 => &[],
            count => slice::from_raw_parts(params, count as usize),
        };
        let returns = match return_count {
            0 => &mut [],
            count => slice::from_raw_parts_mut(returns, count as usize),
        };
        (
            &*function.cast::<Imported>().cast_const(),
            &mut *host.cast::<Host>(),
            params,
            returns,
        )
    };
    let called = catch_unwind(AssertUnwindSafe(|| {
        function.with_slots(|slots| {
            take_all(function.params(), params, slots);
            let memory = match function.other_memory() {
                None => host.memory,
                Some(name) => host.other_memory(name),
            };
            // SAFETY: as above.
            let memory = unsafe { bytes(host.library, memory) };
            host.usage.account().see(memory.len() as u64);
            function.call(&mut host.wasi, memory, slots)?;
            let results = give_all(host.library, function.results(), slots);
            for (value, given) in returns.iter_mut().zip(results) {
                *value = given;
            }
            Ok(())
        })
    }));
    let library = host.library;
    let end = match called {
        Ok(Ok(())) => return CallResult::SUCCESS,
        Ok(Err(stop)) => End::Stop(stop),
        Err(panic) => End::Panic(panic),
    };
    host.end = Some(end);
    // SAFETY: plain values. WasmEdge unwinds the guest, and nobody looks at the number.
    unsafe { library.ResultGen(constants::USER_LEVEL_ERROR, 1) }
}

/// # Safety
///
/// The memory must be there, and be used through this slice alone.
pub(crate) unsafe fn bytes<'a>(library: &Library, memory: *mut MemoryInstance) -> &'a mut [u8] {
    if memory.is_null() {
        return &mut [];
    }
    // SAFETY: the caller's promise; a null pointer comes for an empty memory.
    unsafe {
        let length = library.MemoryInstanceGetPageSize(memory) * PAGE;
        match library.MemoryInstanceGetPointer(memory, 0, length) {
            start if start.is_null() => &mut [],
            start => slice::from_raw_parts_mut(start, length as usize),
        }
    }
}

/// Bytes of a page.
pub(crate) const PAGE: u64 = 65_536;
