//! What a guest has handles of.
//!
//! wasmtime-wasi's bindings name its own types for descriptors, listings and look-ups, which are private to it. A handle is a
//! number all the same, and what it stands for is ours.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::types;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::ResolveAddressStream;

use crate::descriptor::Descriptor;
use crate::listing::Listing;
use crate::sockets::LookUp;

/// What a handle of a type of the bindings stands for.
pub(crate) trait Handle {
    type Of: Send + 'static;
}

impl Handle for types::Descriptor {
    type Of = Descriptor;
}

impl Handle for types::DirectoryEntryStream {
    type Of = Listing;
}

impl Handle for ResolveAddressStream {
    type Of = LookUp;
}

/// The same handle, as one of what it stands for.
///
/// The type of a [`Resource`] says only what its number is taken for. A guest cannot make up or mix up numbers: it has
/// them from us, with the type of the bindings. And should one be wrong here, the table says so, which knows the type of
/// each entry.
pub(crate) fn inner<T: Handle + 'static>(handle: &Resource<T>) -> Resource<T::Of> {
    match handle.owned() {
        true => Resource::new_own(handle.rep()),
        false => Resource::new_borrow(handle.rep()),
    }
}

/// The handle that the guest gets of an entry that it is to own. See [`inner`].
pub(crate) fn outer<T: Handle + 'static>(entry: Resource<T::Of>) -> Resource<T> {
    Resource::new_own(entry.rep())
}
