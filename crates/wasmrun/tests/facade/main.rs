//! The facade: its registry, its choice of an engine, its command.

mod command;
mod engines;
mod fake;
mod select;
