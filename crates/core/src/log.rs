//! What a guest wrote last, line by line, with when and where.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

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

/// The last lines that a guest wrote, within a bound.
#[derive(Debug, Clone)]
pub(crate) struct Log(Arc<Mutex<Lines>>);

#[derive(Debug)]
struct Lines {
    /// Bytes of all lines together.
    most: usize,
    bytes: usize,
    lines: VecDeque<LogLine>,
}

impl Log {
    /// Keeps up to `most` bytes, as [`RunConfig::logs`](crate::RunConfig::logs) counts them.
    pub(crate) fn new(most: u64) -> Self {
        Log(Arc::new(Mutex::new(Lines {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            bytes: 0,
            lines: VecDeque::new(),
        })))
    }

    /// The last `count` lines, and pieces of lines, in the order in which they were begun.
    pub(crate) fn tail(&self, count: usize) -> Vec<LogLine> {
        let kept = self.lines();
        let skipped = kept.lines.len().saturating_sub(count);
        kept.lines.range(skipped..).cloned().collect()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        // `push` leaves whole lines at every point where it could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn push(&mut self, stream: LogStream, bytes: &[u8]) {
        let now = SystemTime::now();
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
        }
    }

    /// Adds a piece to the line of that stream that is open, as far as there is room, and then to a new one.
    fn append(&mut self, time: SystemTime, stream: LogStream, mut piece: &[u8], ended: bool) {
        let last = self
            .lines
            .iter_mut()
            .rev()
            .find(|line| line.stream == stream);
        if let Some(open) = last.filter(|line| !line.ended && line.bytes.len() < LONGEST) {
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
        self.log.lines().push(self.stream, bytes);
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
    }
}
