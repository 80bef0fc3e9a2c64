//! The forms a guest comes in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What form a guest has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuestKind {
    /// A core module.
    Module,
    /// A component.
    Component,
    /// A webc package: modules and files, which only an engine that knows packages can open.
    Package,
}

impl GuestKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            GuestKind::Module => "module",
            GuestKind::Component => "component",
            GuestKind::Package => "package",
        }
    }
}

impl fmt::Display for GuestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
