//! What a guest may use up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::written::{Count, Maybe, Size, Time};

/// Bounds on what a guest may use. `None` asks for no bound.
///
/// A bound that an engine cannot keep is refused before the guest starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of all the guest's linear memories and tables together, an element of a table counting as
    /// [`Limits::TABLE_ELEMENT_BYTES`]. `memory.grow` and `table.grow` beyond it fail in the guest; a guest
    /// that starts out larger ends as [`OutOfMemory`](crate::Outcome::OutOfMemory).
    #[serde(with = "Maybe::<Size>")]
    pub memory: Option<u64>,
    /// Fuel units, in the engine's own measure (about one per instruction).
    #[serde(with = "Maybe::<Count>")]
    pub fuel: Option<u64>,
    /// Time from the start of the run to its end, on the wall clock. Start functions, host calls and sleeping
    /// count, and so does compiling that is a part of the run: that of `wasmrun::Command`, of the command
    /// line, and of [`Program::compile_for_run`](crate::Program::compile_for_run). A program that was compiled
    /// before has all of it. A run whose time is over before the guest starts does not start it.
    #[serde(with = "Maybe::<Time>")]
    pub timeout: Option<Duration>,
    /// Bytes of stack for the guest's calls.
    #[serde(with = "Maybe::<Size>")]
    pub stack: Option<u64>,
    /// Bytes of each output stream, which `overflow` says the meaning of. Captured streams are
    /// bounded by [`Limits::DEFAULT_OUTPUT`] where this is `None`.
    #[serde(with = "Maybe::<Size>")]
    pub output: Option<u64>,
    /// What becomes of a guest that writes more than `output`.
    pub overflow: Overflow,
    /// Elements in all tables of the guest together. There are never more than
    /// [`Limits::MAX_TABLE_ELEMENTS`], which needs no asking.
    #[serde(with = "Maybe::<Count>")]
    pub table_elements: Option<u64>,
    /// Core instances that the guest may consist of: a module is one, a component has any number.
    #[serde(with = "Maybe::<Count>")]
    pub instances: Option<u64>,
}

/// What becomes of a guest that writes more than [`Limits::output`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// It goes on. Of captured streams the excess is dropped, and
    /// [`Captured::dropped`](crate::Captured::dropped) counts it; other streams have no bound.
    #[default]
    Truncate,
    /// It is ended, as [`TooMuchOutput`](crate::Outcome::TooMuchOutput), wherever the stream leads.
    /// What is within the bound has been written by then.
    Stop,
}

impl Limits {
    /// The bound on each captured stream where the caller sets none: 64 MiB.
    pub const DEFAULT_OUTPUT: u64 = 64 << 20;

    /// The most elements that all tables of a guest have together on any engine, as in the JavaScript API
    /// of WebAssembly. A guest that starts out with more is refused; `table.grow` beyond it fails.
    pub const MAX_TABLE_ELEMENTS: u64 = 10_000_000;

    /// What an element of a table counts as, in bytes of [`memory`](Limits::memory): the same on every
    /// engine, and no less than any takes. (V8 takes 28: a reference, and what it is called by; WasmEdge
    /// 16, wasmtime, wasmer, wasmi and wazero 8.)
    pub const TABLE_ELEMENT_BYTES: u64 = 32;

    /// These, and of `others` what is not bounded here. What becomes of too much output goes with its bound.
    #[must_use]
    pub fn or(self, others: &Limits) -> Limits {
        let (output, overflow) = match self.output {
            None => (others.output, others.overflow),
            output => (output, self.overflow),
        };
        Limits {
            memory: self.memory.or(others.memory),
            fuel: self.fuel.or(others.fuel),
            timeout: self.timeout.or(others.timeout),
            stack: self.stack.or(others.stack),
            output,
            overflow,
            table_elements: self.table_elements.or(others.table_elements),
            instances: self.instances.or(others.instances),
        }
    }

    /// How many elements all tables may have together.
    pub fn most_table_elements(&self) -> u64 {
        self.table_elements
            .map_or(Self::MAX_TABLE_ELEMENTS, |limit| {
                limit.min(Self::MAX_TABLE_ELEMENTS)
            })
    }
}
