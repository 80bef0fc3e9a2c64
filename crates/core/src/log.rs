//! What a guest wrote last, line by line, with when and where.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::NoEvent;

/// A line of a guest's output.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// When its first byte was written or, of a runtime in a process of its own, was read.
    pub time: SystemTime,
    /// Where it was written.
    pub stream: LogStream,
    /// What it is, without the end of the line.
    pub bytes: Vec<u8>,
    /// Whether the line ends here. Otherwise it is the last so far, or too long for one piece: the stream's next is its
    /// continuation.
    pub ended: bool,
}

/// One of a guest's output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line is at most so long, in bytes: as container runtimes have it.
const LONGEST: usize = 16 << 10;

/// The last lines that a guest wrote, within a bound: kept for one run, or [by the caller](crate::Attachments::log) for
/// several, one after the other. All clones are the same log.
#[derive(Debug, Clone)]
pub struct Log(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Debug)]
struct Lines {
    /// Bytes of all lines together.
    most: usize,
    bytes: usize,
    lines: VecDeque<LogLine>,
    /// How many lines have gone: the number of the first that is here.
    first: u64,
    /// Bytes in all, for each stream.
    written: [u64; 2],
    is_over: bool,
}

impl Log {
    /// Keeps up to `most` bytes, as [`RunConfig::logs`](crate::RunConfig::logs) counts them.
    pub fn new(most: u64) -> Self {
        Log(Arc::new(Shared {
            lines: Mutex::new(Lines {
                most: usize::try_from(most).unwrap_or(usize::MAX),
                bytes: 0,
                lines: VecDeque::new(),
                first: 0,
                written: [0; 2],
                is_over: false,
            }),
            changed: Condvar::new(),
        }))
    }

    /// The last `count` lines, and pieces of lines, in the order in which they were begun.
    pub fn tail(&self, count: usize) -> Vec<LogLine> {
        let kept = self.lines();
        let skipped = kept.lines.len().saturating_sub(count);
        kept.lines.range(skipped..).cloned().collect()
    }

    /// The last `tail` lines, and then those that come, until the log [is over](Log::end).
    pub fn follow(&self, tail: usize) -> FollowedLog {
        let kept = self.lines();
        let skipped = kept.lines.len().saturating_sub(tail);
        let place = Followed {
            next: kept.first + skipped as u64,
            open: [None; 2],
            missed: 0,
        };
        FollowedLog {
            log: self.clone(),
            place,
        }
    }

    /// Bytes that were written to a stream in all, whether they are still kept or not.
    pub fn written(&self, stream: LogStream) -> u64 {
        self.lines().written[stream as usize]
    }

    /// What comes next begins a new line, in each stream: it is of another run.
    pub fn end_lines(&self) {
        self.change(Lines::end_lines);
    }

    /// No more comes, unless it [goes on](Log::go_on). Who follows the log is told.
    pub fn end(&self) {
        self.change(|lines| {
            lines.end_lines();
            lines.is_over = true;
        });
    }

    /// More comes after all.
    pub fn go_on(&self) {
        self.change(|lines| lines.is_over = false);
    }

    fn change(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.lines());
        self.0.changed.notify_all();
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        // `push` leaves whole lines at every point where it could panic.
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lines of a [`Log`] as they come: each once it has ended, so one stream's are not held up by a line of the other's that
/// has not.
#[derive(Debug)]
pub struct FollowedLog {
    log: Log,
    place: Followed,
}

/// How far a log was followed.
#[derive(Debug)]
struct Followed {
    /// The number of the first line that was not seen.
    next: u64,
    /// Lines that were seen and had not ended, one of each stream.
    open: [Option<u64>; 2],
    missed: u64,
}

impl FollowedLog {
    /// Waits so long for the next line.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](NoEvent::TimedOut) if there was none, [`Over`](NoEvent::Over) if there will be none.
    pub fn recv_timeout(&mut self, time: Duration) -> Result<LogLine, NoEvent> {
        // A deadline beyond what the clock can tell is none.
        self.next_until(Instant::now().checked_add(time))
    }

    /// How many lines went, to make room for later ones, before they could be told.
    pub fn missed(&self) -> u64 {
        self.place.missed
    }

    fn next_until(&mut self, until: Option<Instant>) -> Result<LogLine, NoEvent> {
        let FollowedLog { log, place } = self;
        let mut lines = log.lines();
        loop {
            if let Some(line) = place.next_of(&lines) {
                return Ok(line);
            }
            if lines.is_over {
                return Err(NoEvent::Over);
            }
            lines = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => {
                    let waited = log.0.changed.wait(lines);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
                Some(Duration::ZERO) => return Err(NoEvent::TimedOut),
                Some(left) => {
                    let waited = log.0.changed.wait_timeout(lines, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Followed {
    /// The next line that has ended, of those that are here.
    fn next_of(&mut self, lines: &Lines) -> Option<LogLine> {
        let at = |number: u64| {
            let index = usize::try_from(number.checked_sub(lines.first)?).ok()?;
            lines.lines.get(index)
        };
        let is_told = |line: &LogLine| lines.is_over || !is_open(line);
        // Those that were begun first come first.
        self.open.sort_by_key(|open| open.unwrap_or(u64::MAX));
        for open in &mut self.open {
            match open.map(at) {
                Some(Some(line)) if is_told(line) => {
                    *open = None;
                    return Some(line.clone());
                }
                Some(None) => {
                    *open = None;
                    self.missed += 1;
                }
                Some(Some(_)) | None => {}
            }
        }
        self.missed += lines.first.saturating_sub(self.next);
        self.next = self.next.max(lines.first);
        while let Some(line) = at(self.next) {
            let number = self.next;
            self.next += 1;
            if is_told(line) {
                return Some(line.clone());
            }
            // A stream has one such line, and so there is room.
            if let Some(free) = self.open.iter_mut().find(|open| open.is_none()) {
                *free = Some(number);
            }
        }
        None
    }
}

impl Iterator for FollowedLog {
    type Item = LogLine;

    fn next(&mut self) -> Option<LogLine> {
        self.next_until(None).ok()
    }
}

impl Lines {
    fn push(&mut self, stream: LogStream, bytes: &[u8]) {
        let now = SystemTime::now();
        self.written[stream as usize] += bytes.len() as u64;
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            let mut pieces = text.chunks(LONGEST).peekable();
            if pieces.peek().is_none() {
                self.append(now, stream, &[], ended);
            }
            while let Some(piece) = pieces.next() {
                self.append(now, stream, piece, ended && pieces.peek().is_none());
            }
        }
        while self.bytes > self.most
            && let Some(first) = self.lines.pop_front()
        {
            self.bytes -= cost(&first);
            self.first += 1;
        }
    }

    fn end_lines(&mut self) {
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            let mut last = self.lines.iter_mut().rev();
            if let Some(line) = last.find(|line| line.stream == stream && is_open(line)) {
                line.ended = true;
            }
        }
    }

    /// Adds a piece to the line of that stream that is open, as far as there is room, and then to a new one.
    fn append(&mut self, time: SystemTime, stream: LogStream, mut piece: &[u8], ended: bool) {
        let last = self
            .lines
            .iter_mut()
            .rev()
            .find(|line| line.stream == stream);
        if let Some(open) = last.filter(|line| is_open(line)) {
            let (fits, rest) = piece.split_at(piece.len().min(LONGEST - open.bytes.len()));
            open.bytes.extend_from_slice(fits);
            self.bytes += fits.len();
            if rest.is_empty() {
                open.ended = ended;
                return;
            }
            piece = rest;
        }
        let line = LogLine {
            time,
            stream,
            bytes: piece.to_vec(),
            ended,
        };
        self.bytes += cost(&line);
        self.lines.push_back(line);
    }
}

/// Whether more may come to that line.
fn is_open(line: &LogLine) -> bool {
    !line.ended && line.bytes.len() < LONGEST
}

/// What a line counts for: one without bytes takes room as well.
fn cost(line: &LogLine) -> usize {
    line.bytes.len() + size_of::<LogLine>()
}

/// Keeps what is written to one stream.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    pub(crate) log: Log,
    pub(crate) stream: LogStream,
}

impl Recorder {
    pub(crate) fn record(&self, bytes: &[u8]) {
        self.log.change(|lines| lines.push(self.stream, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(log: &Log) -> Vec<String> {
        let lines = log.tail(usize::MAX).into_iter();
        let texts = lines.map(|line| {
            let mark = if line.stream == LogStream::Stderr {
                "! "
            } else {
                ""
            };
            let end = if line.ended { "" } else { "..." };
            format!("{mark}{}{end}", String::from_utf8_lossy(&line.bytes))
        });
        texts.collect()
    }

    fn recorders(log: &Log) -> [Recorder; 2] {
        [LogStream::Stdout, LogStream::Stderr].map(|stream| Recorder {
            log: log.clone(),
            stream,
        })
    }

    #[test]
    fn lines_are_put_together_for_each_stream() {
        let log = Log::new(1 << 20);
        let [out, err] = recorders(&log);
        out.record(b"one\ntw");
        err.record(b"\n");
        out.record(b"o");
        assert_eq!(texts(&log), ["one", "two...", "! "]);
        out.record(b"\n");
        err.record(b"last");
        assert_eq!(texts(&log), ["one", "two", "! ", "! last..."]);
        assert_eq!(log.tail(1).len(), 1);
        let lines = log.tail(9);
        assert!(lines.is_sorted_by_key(|line| line.time));
    }

    #[test]
    fn a_long_line_comes_in_pieces() {
        let log = Log::new(1 << 20);
        let [out, _] = recorders(&log);
        out.record(b"a");
        out.record(&vec![b'b'; 2 * LONGEST]);
        out.record(b"\nnext\n");
        let lines = log.tail(usize::MAX);
        let lengths: Vec<_> = lines
            .iter()
            .map(|line| (line.bytes.len(), line.ended))
            .collect();
        assert_eq!(
            lengths,
            [(LONGEST, false), (LONGEST, false), (1, true), (4, true)]
        );
    }

    #[test]
    fn what_is_old_goes() {
        let line = size_of::<LogLine>();
        let log = Log::new(2 * line as u64 + 6);
        let [out, _] = recorders(&log);
        for text in ["one\n", "two\n", "six\n"] {
            out.record(text.as_bytes());
        }
        assert_eq!(texts(&log), ["two", "six"]);
        out.record(b"and");
        assert_eq!(texts(&log), ["six", "and..."]);
        Log::new(0).lines().push(LogStream::Stdout, b"nothing");
        assert_eq!(log.written(LogStream::Stdout), 15);
        assert_eq!(log.written(LogStream::Stderr), 0);
    }

    #[test]
    fn who_follows_is_told_each_line_when_it_ends() {
        let log = Log::new(1 << 20);
        let [out, err] = recorders(&log);
        out.record(b"old\none\ntw");
        err.record(b"an error\n");
        let mut followed = log.follow(3);
        let next = |followed: &mut FollowedLog| {
            let line = followed.recv_timeout(Duration::ZERO);
            line.map(|line| String::from_utf8_lossy(&line.bytes).into_owned())
        };
        assert_eq!(next(&mut followed).as_deref(), Ok("one"));
        assert_eq!(next(&mut followed).as_deref(), Ok("an error"));
        assert_eq!(next(&mut followed), Err(NoEvent::TimedOut));
        out.record(b"o\nthr");
        assert_eq!(next(&mut followed).as_deref(), Ok("two"));
        assert_eq!(next(&mut followed), Err(NoEvent::TimedOut));
        err.record(b"la");
        log.end();
        assert_eq!(next(&mut followed).as_deref(), Ok("thr"));
        assert_eq!(next(&mut followed).as_deref(), Ok("la"));
        assert_eq!(next(&mut followed), Err(NoEvent::Over));
        log.go_on();
        out.record(b"again\n");
        log.end();
        assert_eq!(followed.count(), 1);
        assert_eq!(log.tail(2).first().map(|line| line.ended), Some(true));
    }

    #[test]
    fn who_follows_too_slowly_knows_what_was_missed() {
        let log = Log::new(2 * (size_of::<LogLine>() as u64 + 3));
        let [out, _] = recorders(&log);
        let mut followed = log.follow(0);
        out.record(b"one\ntwo\nsix\n");
        log.end();
        assert_eq!(followed.by_ref().count(), 2);
        assert_eq!(followed.missed(), 1);
    }
}
