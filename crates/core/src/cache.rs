//! Compiled code that is kept: what an engine, a cache and core have to do with it.
//!
//! A [`CodeCache`] finds and keeps files, and knows no engine; an [`Engine`](crate::Engine) makes
//! and loads their content, and knows no cache. Core brings the two together, after its checks.

use std::fmt;
use std::path::Path;

use crate::{Artifact, CompileOptions, EngineInfo, Guest, Miss, Result};

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
    /// What else it depends on: [`Engine::code_identity`](crate::Engine::code_identity).
    pub identity: &'a [u8],
}

impl<'a> CodeKey<'a> {
    /// For what is made of a guest, by something of this name and version, for any use.
    pub fn of_derived(guest: &'a Guest, maker: &'a EngineInfo, identity: &'a [u8]) -> Self {
        CodeKey {
            guest,
            engine: maker,
            options: CompileOptions::default(),
            identity,
        }
    }
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
