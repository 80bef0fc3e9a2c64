//! Rewrites a module so that it keeps bounds its engine has none for: backends whose engines lack the same
//! share it.
//!
//! A guest is [read](Parts::of) once, whole and validated. A [`Rewriter`] then adds what the backend wants
//! behind the guest's own types, functions and globals, and has every function of the guest
//!
//! - count the [stack](Bound) that its calls take,
//! - count the [fuel](Meter) it uses,
//! - ask before a memory or a table [grows](Growth),
//! - see none of the page that a memory without any is [given](Rewriter::make_room).
//!
//! What is not touched is copied byte by byte. How sections become a module again is the backend's.

use wasmrun_core::fingerprint;

mod bounded;
mod copy;
mod grow;
mod metered;
mod numbers;
mod parts;
mod rewriter;
mod room;

pub use bounded::{Bound, USUAL_STACK};
pub use copy::{append, raw};
pub use grow::Growth;
pub use metered::Meter;
pub use parts::Parts;
pub use rewriter::Rewriter;

/// Changes with what rewriting adds to a module: a part of the identity of code that is kept. See
/// [`fingerprint`].
pub const FINGERPRINT: u64 = fingerprint([
    include_bytes!("bounded.rs"),
    include_bytes!("copy.rs"),
    include_bytes!("grow.rs"),
    include_bytes!("metered.rs"),
    include_bytes!("numbers.rs"),
    include_bytes!("parts.rs"),
    include_bytes!("rewriter.rs"),
    include_bytes!("room.rs"),
]);
