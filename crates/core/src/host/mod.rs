//! Functions of the host that guests may import.

mod call;
mod function;
mod future;
mod interface;
mod memory;
mod run;
mod set;
mod small;
mod typed;
mod value;

pub use call::{HostCall, NoState};
pub(crate) use function::with_slots;
pub use function::{HostEnded, HostFunction};
pub use future::Async;
pub use interface::{
    ComponentValue, HostInterface, InterfaceFunction, InterfaceParams, InterfaceResult,
    InterfaceReturn, InterfaceValue, Mismatch, Resource,
};
pub(crate) use interface::{compatible, signature};
pub use memory::{DistantMemory, HostMemory, MemoryError};
pub use run::HostRun;
pub(crate) use run::{HostEnd, Listener, Slot};
pub use set::HostFunctions;
pub use typed::{
    GuestSlice, GuestStr, HostParam, HostReturn, HostValue, HostValues, IntoHostFunction,
};
pub use value::{Dynamic, RawFunction, Value};
