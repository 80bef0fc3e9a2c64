//! The rules of an overlay.
#![allow(clippy::unwrap_used)]

mod fragile;
mod model;
mod rules;
mod tree;
