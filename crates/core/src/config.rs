//! What the caller asks for: one plain struct, with a builder in the manner of
//! [`std::process::Command`].

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::written::{As, Content, Count, Maybe, Moment, Pairs, Size};
use crate::{Access, Limits, Mount, MountSource, NetworkRules, SamePath};

/// What a caller asks of a run: what the guest sees, and what it may use.
///
/// The default is an empty world: no arguments, no environment, no directories, no input, no
/// network; output goes where ours goes.
///
/// ```
/// use wasmrun_core::{Access, RunConfig, Stdout};
///
/// let config = RunConfig::new()
///     .arg("--verbose")
///     .env("LANG", "C.UTF-8")
///     .map_dir("/srv/data", "/data", Access::ReadOnly)
///     .stdout(Stdout::Capture);
/// assert_eq!(config.mounts[0].path, "/data");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RunConfig {
    /// Arguments after `argv[0]`.
    pub args: Vec<String>,
    /// `argv[0]`; the guest's file name where `None`.
    pub argv0: Option<String>,
    /// Environment variables. Of several values for one name the last stands.
    #[serde(with = "Pairs")]
    pub env: Vec<(String, String)>,
    /// Which of the host's environment variables the guest gets; `env` goes over them.
    pub inherit_env: InheritEnv,
    /// What the guest sees of files.
    pub mounts: Vec<Mount>,
    /// What becomes of two mounts at one path.
    pub same_path: SamePath,
    /// The directory of the host that volumes are kept in, each in one of its name; `wasmrun/volumes` in the user's data
    /// directory where `None`.
    pub volumes: Option<PathBuf>,
    /// The working directory told to the guest. Preview1 has none, so only components may ask.
    pub working_directory: Option<String>,
    /// Where the guest's standard input comes from.
    pub stdin: Stdin,
    /// Where its standard output goes.
    pub stdout: Stdout,
    /// Where its standard error goes.
    pub stderr: Stdout,
    /// So many bytes of what it wrote last to its output streams, wherever they lead, are kept for
    /// [`Run::logs`](crate::Run::logs) and the [`Report`](crate::Report): of lines with what is told of each. `None`
    /// keeps none.
    #[serde(with = "Maybe::<Size>")]
    pub logs: Option<u64>,
    /// What it may use.
    pub limits: Limits,
    /// Whether a [`Killer`](crate::Killer) is to end the guest. Some engines run loops more slowly when they
    /// must be ready for it.
    pub killable: bool,
    /// What of the network it may reach. Preview1 cannot connect, so only components may ask.
    pub network: Network,
    /// The clocks it reads.
    pub clock: Clock,
    /// The random numbers it draws.
    pub random: Random,
    /// Whether the guest is told of files in an order of its own making, and not in that of the file systems: directories
    /// are listed by the bytes of their names, `.` and `..` first, and files and devices are numbered as the guest first
    /// meets them. The number of a file that it met a million files ago may be another.
    pub sorted_listings: bool,
    /// Whether it may import functions of the host that are [privileged](crate::HostFunctions::privileged). A guest that
    /// imports one is refused otherwise.
    pub privileged: bool,
    /// The exported function to call; `_start`, or a component's `wasi:cli/run`, where `None`. A
    /// module's `_initialize`, if it has one, is called before it.
    pub entry: Option<String>,
}

/// Which of the host's environment variables a guest gets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum InheritEnv {
    /// None of them.
    #[default]
    None,
    /// Those named. One that the host does not have is an error.
    Named(Vec<String>),
    /// All of them.
    All,
}

/// Where a guest's standard input comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Stdin {
    /// Nowhere: the guest reads the end of the file at once.
    #[default]
    Null,
    /// Our own standard input.
    Inherit,
    /// These bytes.
    Bytes(#[serde(with = "Content")] Vec<u8>),
    /// This file.
    File(PathBuf),
    /// A pipe that the caller writes to: [`Run::stdin`](crate::Run::stdin).
    Pipe,
}

/// Where a guest's standard output or standard error goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Stdout {
    /// To our own.
    #[default]
    Inherit,
    /// Nowhere.
    Null,
    /// Into the [`Report`](crate::Report), up to [`Limits::output`] bytes.
    Capture,
    /// To this file, created or truncated.
    File(PathBuf),
    /// A pipe that the caller reads from: [`Run::stdout`](crate::Run::stdout).
    Pipe,
}

/// What of the network a guest may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Nothing.
    #[default]
    Denied,
    /// Whatever the host reaches.
    Host,
    /// What these rules allow.
    Rules(NetworkRules),
}

/// The clocks a guest reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Clock {
    /// The host's.
    #[default]
    Host,
    /// A wall clock that stands still, at this many nanoseconds after 1970-01-01 00:00 UTC. The monotonic clock runs.
    Fixed(#[serde(with = "As::<Moment>")] u64),
    /// Clocks, wall and monotonic, that only the guest moves: by a step each time that it reads one of them or asks whether
    /// a time has come, and by all of the time for which it sleeps, which it does not wait. Where it waits for a stream as
    /// well, what the stream has at that moment comes first. Files in memory have the wall clock's time.
    ///
    /// A [timeout](Limits::timeout) is of the host's time all the same.
    Virtual {
        /// Where the wall clock begins, in nanoseconds after 1970-01-01 00:00 UTC. The monotonic clock begins at 0.
        #[serde(with = "As::<Moment>")]
        start: u64,
        /// By how many nanoseconds a look moves both. With 0 they stand still until the guest sleeps, and a guest that
        /// looks until a time has come does so for ever.
        #[serde(with = "As::<Count>")]
        step: u64,
    },
}

impl Clock {
    /// The clock of [`RunConfig::deterministic`]: it begins at 2000-01-01 00:00 UTC, which all formats of archives can
    /// express, and a look takes a microsecond.
    pub const DETERMINISTIC: Clock = Clock::Virtual {
        start: 946_684_800_000_000_000,
        step: 1000,
    };
}

/// The random numbers a guest draws.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Random {
    /// The host's, fit for cryptography.
    #[default]
    Host,
    /// A sequence that follows from this seed, the same on every engine that supports it.
    Seeded(#[serde(with = "As::<Count>")] u64),
}

impl RunConfig {
    /// An empty world.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every path of the host in it, for whom they are not to be from the working directory.
    pub fn host_paths_mut(&mut self) -> Vec<&mut PathBuf> {
        let mut paths: Vec<&mut PathBuf> = self.volumes.iter_mut().collect();
        let sources = self.mounts.iter_mut().map(|mount| &mut mount.source);
        paths.extend(sources.flat_map(MountSource::host_paths_mut));
        if let Stdin::File(path) = &mut self.stdin {
            paths.push(path);
        }
        for output in [&mut self.stdout, &mut self.stderr] {
            if let Stdout::File(path) = output {
                paths.push(path);
            }
        }
        paths
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets `argv[0]`.
    #[must_use]
    pub fn argv0(mut self, argv0: impl Into<String>) -> Self {
        self.argv0 = Some(argv0.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Gives the guest some or all of the host's environment variables.
    #[must_use]
    pub fn inherit_env(mut self, which: InheritEnv) -> Self {
        self.inherit_env = which;
        self
    }

    /// Shows the host directory `host` to the guest as `guest`.
    #[must_use]
    pub fn map_dir(
        mut self,
        host: impl Into<PathBuf>,
        guest: impl Into<String>,
        access: Access,
    ) -> Self {
        self.mounts.push(Mount::bind(host, guest, access));
        self
    }

    /// Shows something to the guest at a path of its own.
    #[must_use]
    pub fn mount(mut self, mount: Mount) -> Self {
        self.mounts.push(mount);
        self
    }

    /// Says what becomes of two mounts at one path.
    #[must_use]
    pub fn same_path(mut self, same_path: SamePath) -> Self {
        self.same_path = same_path;
        self
    }

    /// Tells the guest its working directory.
    #[must_use]
    pub fn working_directory(mut self, guest_path: impl Into<String>) -> Self {
        self.working_directory = Some(guest_path.into());
        self
    }

    /// Sets where standard input comes from.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Sets where standard output goes.
    #[must_use]
    pub fn stdout(mut self, stdout: Stdout) -> Self {
        self.stdout = stdout;
        self
    }

    /// Sets where standard error goes.
    #[must_use]
    pub fn stderr(mut self, stderr: Stdout) -> Self {
        self.stderr = stderr;
        self
    }

    /// Keeps so many bytes of what the guest wrote last.
    #[must_use]
    pub fn logs(mut self, bytes: u64) -> Self {
        self.logs = Some(bytes);
        self
    }

    /// Changes the limits.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use wasmrun_core::RunConfig;
    /// let config = RunConfig::new().limit(|limits| {
    ///     limits.memory = Some(64 << 20);
    ///     limits.timeout = Some(Duration::from_secs(2));
    /// });
    /// assert_eq!(config.limits.memory, Some(67_108_864));
    /// ```
    #[must_use]
    pub fn limit(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Makes [`Run::kill`](crate::Run::kill) and a [`Killer`](crate::Killer) able to end the guest.
    #[must_use]
    pub fn killable(mut self, killable: bool) -> Self {
        self.killable = killable;
        self
    }

    /// Grants network access.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Sets the clocks.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the source of random numbers.
    #[must_use]
    pub fn random(mut self, random: Random) -> Self {
        self.random = random;
        self
    }

    /// Tells the guest of files in an order that does not hang on the file systems.
    #[must_use]
    pub fn sorted_listings(mut self, sorted: bool) -> Self {
        self.sorted_listings = sorted;
        self
    }

    /// Makes two runs do the same: the clock is [`Clock::DETERMINISTIC`], random numbers follow from `seed`, and listings
    /// are [sorted](RunConfig::sorted_listings).
    ///
    /// What the guest is given has to be the same both times: arguments, environment, files and their times, and its input
    /// as bytes or a file. What comes through a pipe or the network comes when it comes.
    ///
    /// ```
    /// use wasmrun_core::{Clock, Random, RunConfig};
    ///
    /// let config = RunConfig::new().deterministic(7);
    /// assert_eq!((config.clock, config.random), (Clock::DETERMINISTIC, Random::Seeded(7)));
    /// ```
    #[must_use]
    pub fn deterministic(self, seed: u64) -> Self {
        self.clock(Clock::DETERMINISTIC)
            .random(Random::Seeded(seed))
            .sorted_listings(true)
    }

    /// Offers the guest the privileged functions of the host as well.
    #[must_use]
    pub fn privileged(mut self, privileged: bool) -> Self {
        self.privileged = privileged;
        self
    }

    /// Calls this exported function instead of the default one.
    #[must_use]
    pub fn entry(mut self, entry: impl Into<String>) -> Self {
        self.entry = Some(entry.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_refused() {
        let error = serde_json::from_str::<RunConfig>(r#"{"limits":{"memroy":1}}"#)
            .expect_err("a misspelt limit must not be ignored");
        assert!(error.to_string().contains("memroy"), "{error}");
    }

    #[test]
    fn a_config_survives_its_json() {
        let config = RunConfig::new()
            .arg("a")
            .env("K", "V")
            .map_dir("/h", "/g", Access::ReadWrite)
            .stdin(Stdin::Bytes(vec![1, 255]))
            .deterministic(u64::MAX)
            .clock(Clock::Fixed(1_769_860_800_000_000_000))
            .privileged(true)
            .limit(|limits| limits.timeout = Some(std::time::Duration::from_millis(1500)));
        let json = serde_json::to_string(&config).expect("serialises");
        assert!(json.contains(r#""timeout":"1s 500ms""#), "{json}");
        assert_eq!(
            serde_json::from_str::<RunConfig>(&json).expect("parses"),
            config
        );
    }

    #[test]
    fn what_people_write_and_what_programs_write_is_the_same() {
        let of = |json: serde_json::Value| serde_json::from_value::<RunConfig>(json);
        let people = serde_json::from_str::<RunConfig>(
            r#"{
            "env": {"B": "1", "A": "2"},
            "stdin": {"bytes": "a\n"},
            "clock": {"fixed": "1970-01-01T00:00:01Z"},
            "limits": {"memory": "64Mi", "timeout": "2s", "fuel": "18446744073709551615"}
            }"#,
        );
        let programs = of(serde_json::json!({
            "env": [["B", "1"], ["A", "2"]],
            "stdin": {"bytes": [97, 10]},
            "clock": {"fixed": 1_000_000_000},
            "limits": {"memory": 67_108_864, "timeout": 2000, "fuel": u64::MAX},
        }));
        assert_eq!(people.expect("parses"), programs.expect("parses"));
        for wrong in [
            serde_json::json!({"limits": {"memory": -1}}),
            serde_json::json!({"limits": {"memory": "64 potatoes"}}),
            serde_json::json!({"limits": {"timeout": "2"}}),
            serde_json::json!({"limits": {"fuel": "64Mi"}}),
            serde_json::json!({"env": {"A": 1}}),
        ] {
            of(wrong.clone()).expect_err(&wrong.to_string());
        }
    }

    #[test]
    fn every_path_of_the_host_is_found() {
        let mut config: RunConfig = serde_json::from_value(serde_json::json!({
            "volumes": "a",
            "mounts": [
                {"path": "/0", "bind": "b"}, {"path": "/1", "file": "c"}, {"path": "/2", "tar": "d"},
                {"path": "/3", "volume": "no"}, {"path": "/4", "memory": {}},
                {"path": "/5", "overlay": {"lower": [{"bind": "e"}, {"tar": "f"}], "upper": {"bind": "g"}}},
            ],
            "stdin": {"file": "h"}, "stdout": {"file": "i"}, "stderr": {"file": "j"},
        }))
        .expect("parses");
        let paths: Vec<_> = config
            .host_paths_mut()
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        assert_eq!(paths.concat(), "abcdefghij");
    }
}
