//! Telling the runtime's own words from the guest's: both arrive on one stream.

/// How a runtime starts a message of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    text: String,
    /// It is one only where the guest has written nothing before: the runtime says this before it
    /// starts the guest.
    only_first: bool,
}

impl Marker {
    /// A message that may follow what the guest wrote.
    pub(crate) fn anywhere(text: impl Into<String>) -> Self {
        Marker {
            text: text.into(),
            only_first: false,
        }
    }

    /// A message of a runtime that could not start the guest.
    pub(crate) fn first(text: impl Into<String>) -> Self {
        Marker {
            text: text.into(),
            only_first: true,
        }
    }
}

/// The longest message kept. Runtimes print call stacks of a few dozen lines, but with the guest's
/// own names in them.
const LONGEST_MESSAGE: usize = 256 << 10;

/// Splits a stream into what the guest wrote, which goes on at once, and the message the runtime
/// ends it with, which is kept.
///
/// What looks like such a message and turns out to be the guest's, because more than a message
/// follows or the runtime ended well, is the guest's again.
#[derive(Debug)]
pub(crate) struct Splitter {
    markers: Vec<Marker>,
    /// Whether the guest has written anything.
    begun: bool,
    /// Bytes not yet told apart: the start of a marker, or a whole message.
    held: Vec<u8>,
    /// How many of them went on as the guest's already, because the rest of a marker did not come in time.
    passed: usize,
    in_message: bool,
}

/// What a stream ended with.
#[derive(Debug)]
pub(crate) struct End {
    /// What is left of the guest's.
    pub(crate) guests: Vec<u8>,
    /// The runtime's message.
    pub(crate) message: Vec<u8>,
    /// How many bytes of the message went on as the guest's: a busy machine may take its time within a marker.
    pub(crate) passed: usize,
}

impl Splitter {
    pub(crate) fn new(markers: Vec<Marker>) -> Self {
        Splitter {
            markers,
            begun: false,
            held: Vec::new(),
            passed: 0,
            in_message: false,
        }
    }

    /// Takes what arrived; returns what is the guest's.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let mut guests = Vec::new();
        // A later message is the one that counts; an earlier one was the guest's.
        while let Some(at) = self.find_marker() {
            self.release(at, &mut guests);
            self.in_message = true;
        }
        if self.in_message {
            if self.held.len() > LONGEST_MESSAGE {
                self.release(self.held.len(), &mut guests);
                self.in_message = false;
            }
        } else {
            let undecided = self.undecided();
            self.release(self.held.len() - undecided, &mut guests);
        }
        guests
    }

    /// Whether bytes are held only because they may be the start of a marker.
    pub(crate) fn is_undecided(&self) -> bool {
        !self.in_message && self.held.len() > self.passed
    }

    /// Waits no longer for the rest of a marker: a prompt has to be seen. If the rest comes after all, it is one.
    pub(crate) fn settle(&mut self) -> Vec<u8> {
        if self.in_message {
            return Vec::new();
        }
        let guests = self.held[self.passed..].to_vec();
        self.passed = self.held.len();
        guests
    }

    /// The stream has ended.
    pub(crate) fn finish(mut self) -> End {
        let guests = self.settle();
        if !self.in_message {
            self.held.clear();
            self.passed = 0;
        }
        End {
            guests,
            message: self.held,
            passed: self.passed,
        }
    }

    fn release(&mut self, count: usize, to: &mut Vec<u8>) {
        self.begun |= count > 0;
        let passed = self.passed.min(count);
        to.extend(self.held.drain(..count).skip(passed));
        self.passed -= passed;
    }

    /// Where the first message starts; in one, the next, which starts on a line of its own.
    fn find_marker(&self) -> Option<usize> {
        self.markers
            .iter()
            .filter_map(|marker| {
                let text = marker.text.as_bytes();
                if marker.only_first {
                    let first = !self.begun && !self.in_message && self.held.starts_with(text);
                    return first.then_some(0);
                }
                self.held
                    .windows(text.len())
                    .enumerate()
                    .filter(|&(at, _)| !self.in_message || (at > 0 && self.held[at - 1] == b'\n'))
                    .find_map(|(at, window)| (window[0] == text[0] && window == text).then_some(at))
            })
            .min()
    }

    /// How many of the last bytes may be the start of a marker.
    fn undecided(&self) -> usize {
        self.markers
            .iter()
            .filter_map(|marker| {
                let text = marker.text.as_bytes();
                if marker.only_first {
                    let possible = !self.begun && text.starts_with(&self.held);
                    return possible.then_some(self.held.len());
                }
                let longest = self.held.len().min(text.len() - 1);
                (1..=longest)
                    .rev()
                    .find(|&count| self.held.ends_with(&text[..count]))
            })
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splitter() -> Splitter {
        Splitter::new(vec![
            Marker::anywhere("Error: failed to run "),
            Marker::first("Error: failed to compile"),
        ])
    }

    /// Splits `text`, arriving in pieces of `size`.
    fn split(text: &str, size: usize) -> (String, String) {
        let mut splitter = splitter();
        let mut guests = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            guests.extend(splitter.push(piece));
        }
        let end = splitter.finish();
        guests.extend(end.guests);
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (text(guests), text(end.message))
    }

    #[test]
    fn the_last_message_is_the_runtimes_and_all_before_it_the_guests() {
        for size in 1..60 {
            for (text, guests, message) in [
                ("plain", "plain", ""),
                ("", "", ""),
                ("Error", "Error", ""),
                (
                    "a\nError: failed to run x\n why",
                    "a\n",
                    "Error: failed to run x\n why",
                ),
                (
                    "no newError: failed to run x",
                    "no new",
                    "Error: failed to run x",
                ),
                (
                    "Error: failed to run 1\nError: failed to run 2",
                    "Error: failed to run 1\n",
                    "Error: failed to run 2",
                ),
                (
                    "Error: failed to compile: x",
                    "",
                    "Error: failed to compile: x",
                ),
                (
                    "mine\nError: failed to compile: x",
                    "mine\nError: failed to compile: x",
                    "",
                ),
            ] {
                assert_eq!(
                    split(text, size),
                    (guests.to_owned(), message.to_owned()),
                    "{text:?} in pieces of {size}"
                );
            }
        }
    }

    #[test]
    fn a_marker_that_takes_its_time_is_one() {
        let mut splitter = splitter();
        assert_eq!(splitter.push(b"mine\nError: fail"), b"mine\n");
        assert_eq!(splitter.settle(), b"Error: fail");
        assert_eq!(splitter.push(b"ed to "), b"");
        assert_eq!(splitter.settle(), b"ed to ");
        assert!(!splitter.is_undecided());
        assert_eq!(splitter.push(b"run x"), b"");
        let end = splitter.finish();
        assert_eq!(end.message, b"Error: failed to run x");
        assert_eq!(end.message[end.passed..], *b"run x");
        assert_eq!(end.guests, b"");
    }

    #[test]
    fn what_cannot_be_a_marker_passes_at_once() {
        let mut splitter = splitter();
        assert_eq!(splitter.push(b"hello Err"), b"hello ");
        assert!(splitter.is_undecided());
        assert_eq!(splitter.settle(), b"Err");
        assert!(!splitter.is_undecided());
        assert_eq!(splitter.push(b"and on"), b"and on");
    }

    #[test]
    fn what_is_too_long_for_a_message_is_the_guests() {
        let mut splitter = splitter();
        let mut text = b"Error: failed to run ".to_vec();
        text.resize(LONGEST_MESSAGE + 1, b'x');
        assert_eq!(splitter.push(&text), text);
        let end = splitter.finish();
        assert_eq!((end.guests, end.message), (Vec::new(), Vec::new()));
    }
}
