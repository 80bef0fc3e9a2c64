//! What a program brings with it of how it is run.

use std::env;

use crate::{InheritEnv, Mount, RunConfig};

/// What a program brings with it of how it is run, from a package or an image: it holds where a caller does not ask for
/// something else.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Brought {
    /// Arguments.
    pub args: Vec<String>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// `argv[0]`.
    pub argv0: Option<String>,
    /// The working directory.
    pub working_directory: Option<String>,
    /// Mounts.
    pub mounts: Vec<Mount>,
}

impl Brought {
    /// The config to run the program with, for a caller that asks for `config`: the arguments before the caller's, unless
    /// that calls an export of its choice; variables, `argv[0]` and working directory where the caller has none; and the
    /// mounts in front of the caller's. What becomes of two at one path is up to the caller's
    /// [`same_path`](RunConfig::same_path).
    #[must_use]
    pub fn under(&self, config: &RunConfig) -> RunConfig {
        let mut config = config.clone();
        if config.entry.is_none() {
            config.args.splice(0..0, self.args.iter().cloned());
        }
        let is_inherited = |name: &String| match &config.inherit_env {
            InheritEnv::None => false,
            InheritEnv::Named(names) => names.contains(name),
            InheritEnv::All => env::var_os(name).is_some(),
        };
        let under = self.env.iter().filter(|(name, _)| !is_inherited(name));
        let under: Vec<_> = under.cloned().collect();
        config.env.splice(0..0, under);
        if config.argv0.is_none() {
            config.argv0.clone_from(&self.argv0);
        }
        if config.working_directory.is_none() {
            config.working_directory.clone_from(&self.working_directory);
        }
        config.mounts.splice(0..0, self.mounts.iter().cloned());
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Access;

    #[test]
    fn what_a_caller_asks_goes_over_what_a_program_brings() {
        let brought = Brought {
            args: vec!["-i".into()],
            env: vec![("K".into(), "its".into()), ("PATH".into(), "/bin".into())],
            argv0: Some("tool".into()),
            working_directory: Some("/lib".into()),
            mounts: vec![Mount::bind("/its", "/lib", Access::ReadOnly)],
        };
        let plain = brought.under(&RunConfig::new());
        assert_eq!((&plain.args, &plain.env), (&brought.args, &brought.env));
        assert_eq!(plain.argv0.as_deref(), Some("tool"));
        assert_eq!(plain.working_directory.as_deref(), Some("/lib"));
        assert_eq!(plain.mounts, brought.mounts);

        let asked = RunConfig::new()
            .argv0("x")
            .arg("b")
            .env("K", "mine")
            .inherit_env(InheritEnv::Named(vec!["PATH".into()]))
            .map_dir("/srv", "/data", Access::ReadOnly)
            .working_directory("/");
        let run = brought.under(&asked);
        assert_eq!(run.argv0.as_deref(), Some("x"));
        assert_eq!(run.args, ["-i", "b"]);
        // Of several values for one name the last stands, and the host's is there where the program's is not.
        let values = [("K".into(), "its".into()), ("K".into(), "mine".into())];
        assert_eq!(run.env, values);
        assert_eq!(run.working_directory.as_deref(), Some("/"));
        let paths: Vec<_> = run.mounts.iter().map(|mount| &*mount.path).collect();
        assert_eq!(paths, ["/lib", "/data"]);

        // Its arguments are for its own entry.
        assert_eq!(brought.under(&asked.entry("add")).args, ["b"]);
    }
}
