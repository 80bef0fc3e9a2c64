//! Functions of the host that components may import, and the values that go through them.

mod function;
mod set;
mod typed;
mod value;
mod versions;

pub use function::InterfaceFunction;
pub(crate) use function::signature;
pub use set::HostInterface;
pub use typed::{InterfaceParams, InterfaceResult, InterfaceReturn, InterfaceValue};
pub use value::{ComponentValue, Mismatch, Resource};
pub(crate) use versions::compatible;
