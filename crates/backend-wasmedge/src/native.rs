//! What the library hands out, each freed once, and what it says.

use std::any::type_name;
use std::ffi::CStr;
use std::ptr::NonNull;

use wasmrun_core::{Error, ErrorKind, Result};

use crate::library::{CallResult, Library, Text};

/// Something of the library's that is ours to free.
pub(crate) struct Owned<T> {
    raw: NonNull<T>,
    delete: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// Takes what the library made.
    ///
    /// # Safety
    ///
    /// `delete` frees `made`, and nobody else does.
    pub(crate) unsafe fn new(made: *mut T, delete: unsafe extern "C" fn(*mut T)) -> Result<Self> {
        let raw = NonNull::new(made).ok_or_else(|| {
            let name = type_name::<T>().rsplit("::").next().unwrap_or_default();
            Error::new(ErrorKind::Engine, format!("WasmEdge made no {name}"))
        })?;
        Ok(Owned { raw, delete })
    }

    pub(crate) fn raw(&self) -> *mut T {
        self.raw.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: it is ours, whole, and not used after this.
        unsafe { (self.delete)(self.raw()) }
    }
}

/// A name as the library takes it: borrowed, and copied where it is kept.
pub(crate) fn text(name: &str) -> Text {
    Text {
        length: u32::try_from(name.len()).unwrap_or(u32::MAX),
        start: name.as_ptr().cast(),
    }
}

impl Library {
    /// Whether a call did what it was asked.
    pub(crate) fn succeeded(&self, result: CallResult) -> bool {
        // SAFETY: a plain value in, a plain value out.
        unsafe { self.ResultOK(result) }
    }

    /// The code of an error.
    pub(crate) fn code(&self, result: CallResult) -> u32 {
        // SAFETY: as above.
        unsafe { self.ResultGetCode(result) }
    }

    /// What the library says of a result.
    pub(crate) fn message(&self, result: CallResult) -> String {
        // SAFETY: it returns a constant of its own.
        let message = unsafe { CStr::from_ptr(self.ResultGetMessage(result)) };
        message.to_string_lossy().into_owned()
    }
}
