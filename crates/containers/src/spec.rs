//! What a container is made of.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmrun::{Error, ErrorKind, Result, RunFile, Stdin, Stdout, is_read_once};

/// What a container is made of: a run as a [file](RunFile) has it, and what only a run with a life has.
///
/// A container has streams of its own. `inherit` is, for its input, none and, for its output, its log, where all that it
/// writes is kept as far as [`RunConfig::logs`](wasmrun::RunConfig::logs) says, or else [`Spec::LOG`] bytes of it. An input that is
/// a [pipe](Stdin::Pipe) is for [`Containers::take_stdin`](crate::Containers::take_stdin); it is closed when the container is asked
/// to stop.
///
/// ```
/// use wasmrun_containers::{RestartPolicy, Spec};
///
/// let mut spec = Spec::new("app.wasm");
/// spec.run.config.limits.memory = Some(64 << 20);
/// spec.restart = RestartPolicy::OnFailure(Some(3));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Spec {
    /// The program.
    pub guest: GuestRef,
    /// How it is run, and on which engine. Its [`guest`](wasmrun::Launch::guest) is not looked at; its
    /// [`pull`](wasmrun::Launch::pull) says when an image is fetched: whenever the container is started, or only if it is not here.
    /// What is started again by its [`restart`](Spec::restart) policy is not fetched again.
    pub run: RunFile,
    /// Whether it is started again when it has ended by itself.
    pub restart: RestartPolicy,
}

/// Where a container's program is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GuestRef {
    /// A file, a package, or a reference to what is in a registry, as [`Launch::guest`](wasmrun::Launch::guest) has it. It is
    /// opened whenever the container is started.
    Path(PathBuf),
    /// An image by its reference, for [whoever resolves](crate::Containers::with_images) those.
    Image(String),
}

impl fmt::Display for GuestRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GuestRef::Path(path) => path.display().fmt(f),
            GuestRef::Image(reference) => f.write_str(reference),
        }
    }
}

/// Whether a container that ended by itself is started again. One that was stopped or killed is not, whatever this says.
///
/// Written `no`, `on-failure`, `on-failure:N` or `always`. The first pause is a tenth of a second, each later one twice as long as
/// the one before, up to a minute. A run of ten seconds or more counts as a success: after it, all begins anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum RestartPolicy {
    /// It is not.
    #[default]
    No,
    /// If it did not exit with 0: so many times in a row, where a number is given.
    OnFailure(Option<u32>),
    /// However it ended.
    Always,
}

impl RestartPolicy {
    /// A run that was at least so long was no failure to start.
    pub(crate) const LONG_ENOUGH: Duration = Duration::from_secs(10);

    const FIRST_PAUSE: Duration = Duration::from_millis(100);
    const LONGEST_PAUSE: Duration = Duration::from_secs(60);

    /// How long to wait before it is started for the `nth` time in a row, counted from 1; `None` if it is not.
    pub(crate) fn pause(self, nth: u32, succeeded: bool) -> Option<Duration> {
        let again = match self {
            RestartPolicy::No => false,
            RestartPolicy::OnFailure(most) => !succeeded && most.is_none_or(|most| nth <= most),
            RestartPolicy::Always => true,
        };
        // A minute is reached long before the factor is too large.
        let factor = 1 << nth.saturating_sub(1).min(16);
        again.then_some(Self::LONGEST_PAUSE.min(Self::FIRST_PAUSE * factor))
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestartPolicy::No => f.write_str("no"),
            RestartPolicy::OnFailure(None) => f.write_str("on-failure"),
            RestartPolicy::OnFailure(Some(most)) => write!(f, "on-failure:{most}"),
            RestartPolicy::Always => f.write_str("always"),
        }
    }
}

impl From<RestartPolicy> for String {
    fn from(policy: RestartPolicy) -> Self {
        policy.to_string()
    }
}

impl FromStr for RestartPolicy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let message = format!(
                "{text:?} is no restart policy; there are no, on-failure, on-failure:N and always"
            );
            Error::new(ErrorKind::Config, message)
        };
        match text.split_once(':') {
            None => match text {
                "no" => Ok(RestartPolicy::No),
                "on-failure" => Ok(RestartPolicy::OnFailure(None)),
                "always" => Ok(RestartPolicy::Always),
                _ => Err(wrong()),
            },
            Some(("on-failure", most)) => match most.parse() {
                Ok(most) => Ok(RestartPolicy::OnFailure(Some(most))),
                Err(_) => Err(wrong()),
            },
            Some(_) => Err(wrong()),
        }
    }
}

impl TryFrom<String> for RestartPolicy {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl Spec {
    /// How much of what a container writes is kept unless its config says otherwise: 1 MiB.
    pub const LOG: u64 = 1 << 20;

    /// A program in a file, which has nothing.
    pub fn new(guest: impl Into<PathBuf>) -> Self {
        Spec::of(GuestRef::Path(guest.into()))
    }

    /// A program in an image, which has nothing.
    pub fn of_image(reference: impl Into<String>) -> Self {
        Spec::of(GuestRef::Image(reference.into()))
    }

    fn of(guest: GuestRef) -> Self {
        Spec {
            guest,
            run: RunFile::default(),
            restart: RestartPolicy::default(),
        }
    }

    /// A run as a file has it, with the program that it names.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if it names none.
    pub fn of_run(run: RunFile) -> Result<Self> {
        let guest = GuestRef::Path(run.launch.program()?.to_owned());
        Ok(Spec {
            run,
            ..Spec::of(guest)
        })
    }

    /// Refuses what a container cannot be given.
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |what: &str, why: &str| {
            let message = format!("{what} is not for a container: {why}");
            Err(Error::new(ErrorKind::Unsupported, message))
        };
        let config = &self.run.config;
        for (name, output) in [("stdout", &config.stdout), ("stderr", &config.stderr)] {
            if matches!(output, Stdout::Capture | Stdout::Pipe) {
                let what = format!("{name} = \"capture\" or \"pipe\"");
                return refuse(&what, "its log has what it writes");
            }
        }
        if let GuestRef::Path(path) = &self.guest
            && is_read_once(path)
        {
            return refuse(
                "a guest from standard input or a pipe",
                "it can be read once, and a container may be started again",
            );
        }
        if matches!(self.guest, GuestRef::Image(_)) && self.run.launch.sha256.is_some() {
            return refuse(
                "sha256 beside an image",
                "say the digest in the image's reference, after an @",
            );
        }
        Ok(())
    }

    /// The run, with the container's own streams in place of ours.
    pub(crate) fn own_streams(&self) -> Result<wasmrun::RunConfig> {
        let mut config = self.run.run_config()?;
        if config.stdin == Stdin::Inherit {
            config.stdin = Stdin::Null;
        }
        for output in [&mut config.stdout, &mut config.stderr] {
            if *output == Stdout::Inherit {
                *output = Stdout::Null;
            }
        }
        // Whoever keeps containers ends them.
        Ok(config.killable(true))
    }

    /// How much of what it writes is kept.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.run.config.logs.unwrap_or(Spec::LOG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_can_be_read_once_is_for_no_container() {
        for name in ["-", "/dev/stdin"] {
            let error = Spec::new(name).check().expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
        assert!(Spec::new("app.wasm").check().is_ok());
    }

    #[test]
    fn a_restart_policy_is_read_as_it_is_written() {
        for text in ["no", "on-failure", "on-failure:3", "always"] {
            let policy: RestartPolicy = text.parse().expect(text);
            assert_eq!(policy.to_string(), text);
        }
        for text in ["", "never", "on-failure:", "on-failure:-1", "always:2"] {
            let error = text.parse::<RestartPolicy>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Config);
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pause = |nth| RestartPolicy::Always.pause(nth, true);
        let milliseconds = |n| Some(Duration::from_millis(n));
        assert_eq!(pause(1), milliseconds(100));
        assert_eq!(pause(2), milliseconds(200));
        assert_eq!(pause(5), milliseconds(1600));
        assert_eq!(pause(11), milliseconds(60_000));
        assert_eq!(pause(u32::MAX), milliseconds(60_000));
    }

    #[test]
    fn only_failures_are_tried_again_on_failure_and_only_so_often() {
        let policy = RestartPolicy::OnFailure(Some(2));
        assert!(policy.pause(2, false).is_some());
        assert!(policy.pause(3, false).is_none());
        assert!(policy.pause(1, true).is_none());
        assert!(RestartPolicy::No.pause(1, false).is_none());
    }
}
