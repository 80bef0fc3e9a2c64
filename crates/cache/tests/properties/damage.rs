//! Whatever a cache's files hold, it is what was kept or a miss: never an error, and never the code of
//! something else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use wasmrun_cache::Cache;
use wasmrun_core::{Answers, CacheUse, Digest, Guest, Miss};

use crate::common::{Fake, HIT, Here, binary, compile, miss, settle};

const QUESTION: &str = "version";
const ANSWER: &str = "1.0";

/// A cache with a program, what is known of its file, and an answer of it.
pub struct Kept {
    here: Here,
    cache: Cache,
    engine: Arc<Fake>,
    /// A file of each kind.
    files: Vec<(PathBuf, Vec<u8>)>,
}

/// What happens to one of the files.
#[derive(Debug)]
pub struct Damage<'a> {
    /// Which: the number of its kind.
    pub file: u8,
    /// Where, and how much of it goes.
    pub at: u16,
    pub removed: u16,
    /// What comes there instead.
    pub added: &'a [u8],
    /// With a digest that is right again.
    pub sealed: bool,
}

const KINDS: [&str; 4] = ["entries", "code", "guests", "answers"];

impl Kept {
    /// Takes some seconds: what is known of a file is kept once it is certain.
    pub fn new() -> Kept {
        let here = Here::new();
        fs::write(here.path("app.wasm"), binary(1)).expect("writes");
        settle();
        let mut kept = Kept {
            cache: here.cache(),
            engine: Arc::new(Fake::default()),
            files: Vec::new(),
            here,
        };
        assert_eq!(kept.used(), miss(Miss::Unseen));
        assert_eq!(kept.answer(), ANSWER);
        kept.files = KINDS
            .map(|kind| kept.here.only_file(kind))
            .map(|file| (file.clone(), fs::read(file).expect("reads")))
            .into();
        kept
    }

    fn used(&self) -> CacheUse {
        let path = self.here.path("app.wasm");
        let guest = self.cache.guest(&path, Guest::DEFAULT_MAX_BYTES);
        // The engine sees that it loads what it compiled.
        compile(&self.engine, &guest.expect("a guest"), &self.cache)
    }

    fn answer(&self) -> String {
        let executable = self.here.path("app.wasm");
        let answer = self
            .cache
            .answer(&executable, QUESTION, &mut || Ok(ANSWER.into()));
        answer.expect("an answer")
    }

    pub fn holds(&self, damage: &Damage<'_>) {
        let file = usize::from(damage.file) % KINDS.len();
        let (path, content) = &self.files[file];
        fs::write(path, damage.done(content)).expect("writes");
        // What has its digest was written by us, as the directory says. It may say anything of a guest.
        match KINDS[file] {
            "guests" if damage.sealed => {
                let path = self.here.path("app.wasm");
                let _ = self.cache.guest(&path, Guest::DEFAULT_MAX_BYTES);
            }
            "answers" if damage.sealed => drop(self.answer()),
            _ => {
                self.used();
                assert_eq!(self.used(), HIT);
                assert_eq!(self.answer(), ANSWER);
            }
        }
        self.cache.list().expect("lists");
        self.cache.verify().expect("verifies");
        self.cache.prune(u64::MAX).expect("prunes");
        for (path, content) in &self.files {
            fs::write(path, content).expect("writes");
            fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("closes it");
        }
        assert_eq!(self.used(), HIT);
    }
}

impl Damage<'_> {
    fn done(&self, content: &[u8]) -> Vec<u8> {
        let from = if self.sealed { SEAL } else { 0 };
        let start = content.len().min(from + usize::from(self.at));
        let end = content.len().min(start + usize::from(self.removed));
        let mut done = [&content[..start], self.added, &content[end..]].concat();
        if self.sealed {
            let digest = Digest::of(&done[SEAL..]).to_string();
            done.splice(..SEAL, [digest.as_bytes(), b"\n"].concat());
        }
        done
    }
}

/// What a record starts with: its digest and a new line.
const SEAL: usize = 65;
