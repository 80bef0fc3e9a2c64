//! The rules of an overlay.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod fragile;
mod model;
mod rules;
mod tree;
