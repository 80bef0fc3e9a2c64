//! What stands in for a table of dynamic symbols in an executable that has none.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;

/// In place of the C library's, which finds nothing in a static executable. Random numbers would come
/// from a file then (crate `getrandom`), which may not be there, and which takes a descriptor.
///
/// # Safety
///
/// `name` is a C string, as for any `dlsym`.
#[unsafe(no_mangle)]
unsafe extern "C" fn dlsym(_: *mut c_void, name: *const c_char) -> *mut c_void {
    // SAFETY: the caller's promise.
    match unsafe { CStr::from_ptr(name) }.to_bytes() {
        b"getrandom" => libc::getrandom as *mut c_void,
        _ => ptr::null_mut(),
    }
}
