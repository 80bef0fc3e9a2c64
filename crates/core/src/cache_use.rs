//! What came of asking a cache.

use std::fmt;

use serde::Serialize;

/// What a cache had of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CacheUse {
    /// Its compiled code.
    Hit,
    /// Nothing, so it was compiled.
    Miss {
        /// Why there was nothing.
        why: Miss,
        /// Why there will be nothing next time either, if so.
        #[serde(skip_serializing_if = "Option::is_none")]
        not_kept: Option<String>,
    },
}

/// Why a cache had no code of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Miss {
    /// The engine has no code that could be kept.
    NoArtifacts,
    /// Nothing of this guest is kept.
    Unseen,
    /// Only code of other engines is.
    OtherEngine,
    /// Only code of other versions of the engine is.
    OtherVersion,
    /// Only code for other limits or another machine is.
    OtherSettings,
    /// What was kept was damaged, and is removed.
    Damaged,
    /// The engine did not load what was kept, and it is removed.
    Rejected,
    /// The cache cannot be read.
    Unreadable,
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Miss::NoArtifacts => "has no code that could be kept",
            Miss::Unseen => "nothing of this guest is kept",
            Miss::OtherEngine => "what is kept was compiled by another engine",
            Miss::OtherVersion => "what is kept was compiled by another version of the engine",
            Miss::OtherSettings => "what is kept was compiled for other limits or another machine",
            Miss::Damaged => "what was kept is damaged",
            Miss::Rejected => "the engine did not load what was kept",
            Miss::Unreadable => "the cache cannot be read",
        })
    }
}
