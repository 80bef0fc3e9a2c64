//! Compiled code as files.

use std::path::{Path, PathBuf};

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
    /// The file holds exactly the bytes that [`Code::artifact`](crate::Code::artifact) gave of code for the same
    /// [`CodeKey`](crate::CodeKey) as the one this artifact is the answer to. As long as code loaded from it is in
    /// use, its content does not change. (It may be removed.)
    pub unsafe fn trusted(path: PathBuf) -> Artifact {
        Artifact(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}
