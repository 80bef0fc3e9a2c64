//! What guests are most often to be allowed, in a word.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Access, MemoryMount, Mount, MountSource, RunConfig};

/// What a guest that works on a directory of the host, its workspace, is allowed. Each makes a plain [`RunConfig`], which
/// the caller goes on with.
///
/// The workspace is the guest's root, so that relative paths lead there as well as absolute ones: a guest of preview1 has no
/// other working directory. What is mounted besides lies in it.
///
/// None lets the guest reach the network, which only components can be given: see [`RunConfig::network`]. Nor is it given
/// the host's environment, where secrets are.
///
/// ```
/// use wasmrun_core::{Mount, Profile};
///
/// let config = Profile::ReadOnly.config("/srv/project").mount(Mount::memory("/tmp", 64 << 20));
/// assert_eq!(config.mounts[0].path, Profile::WORKSPACE);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Nothing of the host. In place of the workspace there is an empty file system in memory.
    Isolated,
    /// To read the workspace. Whatever would change it fails with `EROFS` ("read-only file system").
    ReadOnly,
    /// To read and to change it.
    ReadWrite,
    /// That, and to import what is [privileged](crate::HostFunctions::privileged) of the host's functions.
    Full,
}

impl Profile {
    /// Where the guest has its workspace.
    pub const WORKSPACE: &str = "/";

    /// The config of a guest that works on the directory `workspace` of the host.
    pub fn config(self, workspace: impl Into<PathBuf>) -> RunConfig {
        let source = match self {
            Profile::Isolated => MountSource::Memory(MemoryMount::default()),
            Profile::ReadOnly | Profile::ReadWrite | Profile::Full => {
                MountSource::Bind(workspace.into())
            }
        };
        let access = match self {
            Profile::ReadOnly => Access::ReadOnly,
            Profile::Isolated | Profile::ReadWrite | Profile::Full => Access::ReadWrite,
        };
        RunConfig::new()
            .mount(Mount {
                path: Self::WORKSPACE.into(),
                source,
                access,
            })
            .privileged(self == Profile::Full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_allows_what_the_one_before_does_and_more() {
        let config = |profile: Profile| profile.config("/srv");
        let hosts = |profile| config(profile).mounts[0].host().is_some();
        let writes = |profile| config(profile).mounts[0].access == Access::ReadWrite;
        assert!(!hosts(Profile::Isolated));
        assert!(hosts(Profile::ReadOnly) && !writes(Profile::ReadOnly));
        assert!(hosts(Profile::ReadWrite) && writes(Profile::ReadWrite));
        assert_eq!(
            config(Profile::ReadWrite).privileged(true),
            config(Profile::Full)
        );
    }
}
