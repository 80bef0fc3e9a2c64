//! What a container wrote.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use wasmrun::{FollowedLog, Log, LogLine, NoEvent};

/// Which lines of a container's log are asked for; by default all that are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogQuery {
    /// So many lines, the last ones.
    pub tail: usize,
    /// Of those, only lines begun at that time or later.
    pub since: Option<SystemTime>,
    /// And then those that come, until the container is over.
    pub follow: bool,
}

impl Default for LogQuery {
    fn default() -> Self {
        LogQuery {
            tail: usize::MAX,
            since: None,
            follow: false,
        }
    }
}

impl LogQuery {
    /// All lines that are kept.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for so many lines, the last ones.
    #[must_use]
    pub fn tail(mut self, lines: usize) -> Self {
        self.tail = lines;
        self
    }

    /// Of those, only lines begun at that time or later.
    #[must_use]
    pub fn since(mut self, time: SystemTime) -> Self {
        self.since = Some(time);
        self
    }

    /// Asks for those that come as well, until the container is over.
    #[must_use]
    pub fn follow(mut self) -> Self {
        self.follow = true;
        self
    }
}

/// Lines that a container wrote, of both its streams: in the order in which they were begun or, of those that are followed, in
/// which they ended.
#[derive(Debug)]
pub struct ContainerLogs {
    lines: Lines,
    since: Option<SystemTime>,
}

#[derive(Debug)]
enum Lines {
    Kept(VecDeque<LogLine>),
    Followed(FollowedLog),
}

impl ContainerLogs {
    pub(crate) fn of(log: &Log, query: &LogQuery) -> Self {
        let lines = match query.follow {
            false => Lines::Kept(log.tail(query.tail).into()),
            true => Lines::Followed(log.follow(query.tail)),
        };
        ContainerLogs {
            lines,
            since: query.since,
        }
    }

    /// Waits so long for the next line.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](NoEvent::TimedOut) if there was none, [`Over`](NoEvent::Over) if there will be none.
    pub fn recv_timeout(&mut self, time: Duration) -> Result<LogLine, NoEvent> {
        let began = Instant::now();
        loop {
            let line = match &mut self.lines {
                Lines::Kept(lines) => lines.pop_front().ok_or(NoEvent::Over),
                Lines::Followed(lines) => lines.recv_timeout(time.saturating_sub(began.elapsed())),
            }?;
            if self.since.is_none_or(|since| line.time >= since) {
                return Ok(line);
            }
        }
    }

    /// How many lines went, to make room for later ones, before they were told to who follows.
    pub fn missed(&self) -> u64 {
        match &self.lines {
            Lines::Kept(_) => 0,
            Lines::Followed(lines) => lines.missed(),
        }
    }
}

impl Iterator for ContainerLogs {
    type Item = LogLine;

    fn next(&mut self) -> Option<LogLine> {
        self.recv_timeout(Duration::MAX).ok()
    }
}
