//! What is typed of containers.

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use wasmrun_containers::{RestartPolicy, Signal};

use crate::values;

/// A container instead of a run in the foreground.
#[derive(Debug, Args)]
pub struct DetachArgs {
    /// Run it in the background as a container, and print its name
    ///
    /// It goes on when the shell ends, and is looked at and ended by `wasmrun ps`, `logs`, `stats`, `stop`, `rm` and others. It has
    /// no standard input unless --stdin names a file, and what it writes goes to its log.
    #[arg(
        long,
        help_heading = "Container",
        conflicts_with_all = ["explain", "report", "changes", "invoke"]
    )]
    pub detach: bool,

    /// The container's name; one is made up where it is left out
    #[arg(
        long,
        value_name = "NAME",
        requires = "detach",
        help_heading = "Container"
    )]
    pub name: Option<String>,

    /// Start it again when it has ended by itself: no, the default, on-failure, on-failure:N or always
    ///
    /// After a pause of a tenth of a second, which doubles each time, up to a minute. N is how often in a row.
    #[arg(
        long,
        value_name = "POLICY",
        requires = "detach",
        default_value = "no",
        hide_default_value = true,
        help_heading = "Container"
    )]
    pub restart: RestartPolicy,
}

#[derive(Debug, Subcommand)]
pub enum ContainersCommand {
    /// Show all containers: programs that were started by `wasmrun run --detach`
    Ps {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Start containers that have ended, as they were started first
    Start {
        /// The containers
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
    /// End containers, after a time in which they may do so by themselves
    ///
    /// They are not started again, whatever their restart policy says.
    Stop {
        /// The containers
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        /// The time
        #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "10s")]
        time: Duration,
    },
    /// End containers at once, as a signal does
    Kill {
        /// The containers
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        /// The signal, which the exit code tells: KILL, TERM, INT, HUP, QUIT, USR1 or USR2
        #[arg(long, short, value_name = "SIGNAL", default_value = "KILL")]
        signal: Signal,
    },
    /// Wait until a container has ended; its exit code is that of this command
    Wait {
        /// The container
        name: String,
    },
    /// Show what a container has written: to standard output and standard error, as it did
    Logs {
        /// The container
        name: String,
        /// Show what comes as well, until it has ended
        #[arg(long, short)]
        follow: bool,
        /// So many lines, the last ones
        #[arg(long, short = 'n', value_name = "N")]
        tail: Option<usize>,
        /// Only lines from that time on: such as 2026-01-31T12:00:00Z, or 10m ago
        #[arg(long, value_name = "TIME", value_parser = since)]
        since: Option<SystemTime>,
        /// Show the time of each line
        #[arg(long, short)]
        timestamps: bool,
    },
    /// Show what containers use, or have used: processor time, memory, fuel, bytes written
    Stats {
        /// The containers; all where none is named
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove containers that have ended, with their logs
    Rm {
        /// The containers
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        /// Kill those that run, and do not mind those that are not there
        #[arg(long, short)]
        force: bool,
    },
}

/// A time, or how long ago it was.
fn since(text: &str) -> Result<SystemTime, String> {
    if let Ok(time) = humantime::parse_rfc3339(text) {
        return Ok(time);
    }
    let ago = text.strip_suffix(" ago").unwrap_or(text);
    let ago = humantime::parse_duration(ago)
        .map_err(|_| "a time is like 2026-01-31T12:00:00Z, or 10m for ten minutes ago")?;
    SystemTime::now()
        .checked_sub(ago)
        .ok_or_else(|| "that was before all time".to_owned())
}
