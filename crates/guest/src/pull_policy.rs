//! When a registry is asked for a program.

use std::fmt;

use serde::{Deserialize, Serialize};

/// When a registry is asked for a program that comes from one. Written `always`, `missing` or `never`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    /// Each time: what the tag leads to now is wanted. What of it is here already is not transferred.
    Always,
    /// If it is not here, whole.
    #[default]
    #[serde(rename = "missing")]
    IfNotPresent,
    /// Never: what is not here is an error.
    Never,
}

/// As it is written.
impl fmt::Display for PullPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PullPolicy::Always => "always",
            PullPolicy::IfNotPresent => "missing",
            PullPolicy::Never => "never",
        })
    }
}
