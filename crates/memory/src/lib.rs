//! Address space that a thread keeps for its next guest: for its memory, and for a stack. To reserve it and to give
//! it back takes as long as the whole rest of a small guest's run, and holds up the other threads. What a memory
//! begins with is mapped once, and stays for the next guest that begins with the same.
//!
//! For Linux, whose `madvise` promises to give back what a memory began with. Elsewhere there is no such memory.

#[cfg(target_os = "linux")]
mod image;
#[cfg(target_os = "linux")]
mod reservation;
#[cfg(target_os = "linux")]
mod space;
#[cfg(target_os = "linux")]
mod spare;
#[cfg(target_os = "linux")]
mod stack;
#[cfg(not(target_os = "linux"))]
mod unsupported;
#[cfg(target_os = "linux")]
mod written;

#[cfg(target_os = "linux")]
pub use image::Image;
#[cfg(target_os = "linux")]
pub use reservation::Layout;
#[cfg(target_os = "linux")]
pub use space::Space;
#[cfg(target_os = "linux")]
pub use spare::is_address_space_limited;
#[cfg(target_os = "linux")]
pub use stack::Stack;
#[cfg(not(target_os = "linux"))]
pub use unsupported::{Image, is_address_space_limited};
