//! Containers, on real engines.

#![cfg(all(unix, feature = "wasmi"))]

mod common;
mod events;
mod life;
mod logs;
mod refused;
mod restarts;
mod stats;
