//! Compiled code that is kept: what an engine, a cache and core have to do with it.
//!
//! A [`CodeCache`] finds and keeps files, and knows no engine; an [`Engine`](crate::Engine) makes
//! and loads their content, and knows no cache. Core brings the two together, after its checks.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::{Code, Compile, CompileOptions, Engine, EngineInfo, Guest, Result};

/// A file with compiled code, fit to be loaded.
#[derive(Debug)]
pub struct Artifact(PathBuf);

impl Artifact {
    /// Vouches for a file.
    ///
    /// Engines run what is in it: they do not, and cannot, see whether code is what they once made.
    ///
    /// # Safety
    ///
    /// The file holds exactly the bytes that [`Code::artifact`] gave of code for the same
    /// [`CodeKey`] as the one this artifact is the answer to. As long as code loaded from it is in
    /// use, its content does not change. (It may be removed.)
    pub unsafe fn trusted(path: PathBuf) -> Artifact {
        Artifact(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// All that compiled code depends on.
#[derive(Debug)]
#[non_exhaustive]
pub struct CodeKey<'a> {
    /// What was compiled. It counts by its [digest](Guest::digest), not by its name.
    pub guest: &'a Guest,
    /// By which engine; its name and version count.
    pub engine: &'a EngineInfo,
    /// What for.
    pub options: CompileOptions,
    /// What else it depends on: [`Engine::code_identity`].
    pub identity: &'a [u8],
}

/// Keeps compiled code, as files.
///
/// Whatever goes wrong with a cache costs time, and nothing else: it never keeps a guest from
/// running.
pub trait CodeCache: Send + Sync + fmt::Debug {
    /// Code for `key`, if it was kept.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn find(&self, key: &CodeKey<'_>) -> Result<Artifact, Miss>;

    /// Keeps code for `key`.
    ///
    /// # Errors
    ///
    /// Why it was not kept, in words.
    fn keep(&self, key: &CodeKey<'_>, artifact: &[u8]) -> Result<(), String>;

    /// Forgets what was found for `key`: the engine did not take it.
    fn forget(&self, key: &CodeKey<'_>);

    /// Hears that `guest` is going to be compiled, as the engine has no code that could be kept.
    fn pass_over(&self, _guest: &Guest) {}
}

/// Remembers what executables answered when they were asked, as long as they stay the files they were.
pub trait Answers: Send + Sync + fmt::Debug {
    /// What `executable` answers to `question`: what it answered before, if its file has not changed
    /// since, and otherwise what `ask` finds out.
    ///
    /// # Errors
    ///
    /// Those of `ask`. A memory that cannot be used is none.
    fn answer(
        &self,
        executable: &Path,
        question: &str,
        ask: &mut dyn FnMut() -> Result<String>,
    ) -> Result<String>;
}

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

/// Code for a guest that was checked: from the cache or, with the guest as it is now, compiled.
pub(crate) fn find_or_compile(
    cache: &dyn CodeCache,
    engine: &dyn Engine,
    guest: &Guest,
    options: CompileOptions,
    compile: impl FnOnce() -> Result<(Guest, Arc<dyn Code>)>,
) -> Result<(Guest, Arc<dyn Code>, CacheUse)> {
    let identity_of = |guest| engine.code_identity(Compile { guest, options });
    let Some(identity) = identity_of(guest)? else {
        cache.pass_over(guest);
        let (guest, code) = compile()?;
        let (why, not_kept) = (Miss::NoArtifacts, None);
        return Ok((guest, code, CacheUse::Miss { why, not_kept }));
    };
    let key = CodeKey {
        guest,
        engine: engine.info(),
        options,
        identity: &identity,
    };
    let why = match cache.find(&key) {
        Ok(artifact) => match engine.load(Compile { guest, options }, artifact) {
            Ok(code) => return Ok((guest.clone(), code, CacheUse::Hit)),
            Err(error) => {
                tracing::warn!(?guest, ?error, "kept code was not loaded");
                cache.forget(&key);
                Miss::Rejected
            }
        },
        Err(why) => why,
    };
    let (guest, code) = compile()?;
    let kept = match (code.artifact(), identity_of(&guest)) {
        (Ok(Some(artifact)), Ok(Some(identity))) => {
            let (guest, identity) = (&guest, &*identity);
            let key = CodeKey {
                guest,
                identity,
                ..key
            };
            let kept = cache.keep(&key, &artifact);
            if kept.is_ok()
                && let Ok(artifact) = cache.find(&key)
            {
                code.kept(&artifact);
            }
            kept
        }
        (Ok(_), Ok(_)) => Err(Miss::NoArtifacts.to_string()),
        (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
    };
    let not_kept = kept.err();
    Ok((guest, code, CacheUse::Miss { why, not_kept }))
}
