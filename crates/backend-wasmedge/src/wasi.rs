//! WASI preview1 for WasmEdge: the functions of `wasmrun-wasi-preview1`, called without static types.

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use wasmrun_core::Result;
use wasmrun_core::guest::ValueType;
use wasmrun_wasi_preview1::{Function, GuestMemory, Stop, Wasi};

use crate::library::{
    CallResult, CallingFrame, Library, MemoryInstance, ModuleInstance, Value, constants,
};
use crate::native::{Owned, text};

/// What the functions of a run work with. It stays where it is while the guest runs.
pub(crate) struct Host {
    pub(crate) library: &'static Library,
    pub(crate) wasi: Wasi,
    /// The guest's memory, once it has one; null before, and if it exports none.
    pub(crate) memory: *mut MemoryInstance,
    /// Why the guest was unwound.
    pub(crate) end: Option<End>,
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
/// `host` must stay until `module` is dropped, and nothing else may use it while a guest runs.
pub(crate) unsafe fn add(
    library: &Library,
    module: &Owned<ModuleInstance>,
    function: &'static Function,
    host: *mut Host,
) -> Result<()> {
    let of_type = |ty: &ValueType| {
        // SAFETY: plain values.
        unsafe {
            match ty {
                ValueType::I64 => library.ValTypeGenI64(),
                _ => library.ValTypeGenI32(),
            }
        }
    };
    let params: Vec<_> = function.params.iter().map(of_type).collect();
    let results: Vec<_> = function.result.iter().map(of_type).collect();
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
        library.ModuleInstanceAddFunction(module.raw(), text(function.name), made);
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
    // SAFETY: they are what `add` gave; the guest waits for this call and has no other thread, so nothing else
    // uses the host or the guest's memory meanwhile.
    let (function, host, params) = unsafe {
        let params = match count {
            0 => &[],
            count => slice::from_raw_parts(params, count as usize),
        };
        (
            &*function.cast::<Function>().cast_const(),
            &mut *host.cast::<Host>(),
            params,
        )
    };
    let called = catch_unwind(AssertUnwindSafe(|| {
        let arguments: Vec<u64> = params.iter().map(|value| value.bits as u64).collect();
        // SAFETY: as above.
        let memory = unsafe { bytes(host.library, host.memory) };
        (function.call)(
            &mut host.wasi,
            &mut GuestMemory::Unshared(memory),
            &arguments,
        )
    }));
    let library = host.library;
    let end = match called {
        Ok(Ok(errno)) => {
            if let (Some(errno), 1) = (errno, return_count) {
                // SAFETY: there is room for one.
                unsafe { *returns = library.ValueGenI32(errno) };
            }
            return CallResult::SUCCESS;
        }
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
unsafe fn bytes<'a>(library: &Library, memory: *mut MemoryInstance) -> &'a mut [u8] {
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
