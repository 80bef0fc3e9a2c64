//! Images between registries and stores: registries of the tests' own, which misbehave, and real ones with other clients.

mod content;
mod files;
mod hostile;
mod own;
mod real;
mod store;
mod tls;
mod who;
