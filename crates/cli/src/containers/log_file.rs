//! A container's log as two files, the older of which goes when the newer is full: lines as container runtimes of Kubernetes have
//! them, `TIME stdout|stderr F|P TEXT`. P is a piece of a line that goes on.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wasmrun::{LogLine, LogStream};

/// Writes a container's log.
pub struct Writer {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// When a file is full.
    most: u64,
}

fn older(path: &Path) -> PathBuf {
    path.with_extension("1")
}

impl Writer {
    pub fn open(path: PathBuf, most: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options.create(true).append(true).read(true).open(&path)?;
        let mut bytes = file.metadata()?.len();
        if bytes > 0 {
            // Who wrote it before may have been killed within a line.
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                bytes += 1;
            }
        }
        Ok(Writer {
            path,
            file,
            bytes,
            most,
        })
    }

    pub fn write(&mut self, line: &Line) -> io::Result<()> {
        if self.bytes >= self.most {
            fs::rename(&self.path, older(&self.path))?;
            *self = Writer::open(self.path.clone(), self.most)?;
        }
        let stream = match line.stream {
            LogStream::Stdout => "stdout",
            LogStream::Stderr => "stderr",
        };
        let time = humantime::format_rfc3339_nanos(line.time);
        let mark = if line.ended { 'F' } else { 'P' };
        let mut text = format!("{time} {stream} {mark} ").into_bytes();
        text.extend_from_slice(&line.bytes);
        text.push(b'\n');
        self.file.write_all(&text)?;
        self.bytes += text.len() as u64;
        Ok(())
    }
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub time: SystemTime,
    pub stream: LogStream,
    pub bytes: Vec<u8>,
    pub ended: bool,
}

impl From<LogLine> for Line {
    fn from(line: LogLine) -> Self {
        Line {
            time: line.time,
            stream: line.stream,
            bytes: line.bytes,
            ended: line.ended,
        }
    }
}

impl Line {
    /// `None` for what was not written whole.
    fn parse(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n")?;
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let mut word = || std::str::from_utf8(parts.next()?).ok();
        let (time, stream, mark) = (word()?, word()?, word()?);
        Some(Line {
            time: humantime::parse_rfc3339(time).ok()?,
            stream: match stream {
                "stdout" => LogStream::Stdout,
                _ => LogStream::Stderr,
            },
            bytes: parts.next()?.to_vec(),
            ended: mark == "F",
        })
    }
}

/// Reads a container's log, as far as it was written by then; whoever reads on gets what came since.
pub struct Reader {
    path: PathBuf,
    file: Option<BufReader<File>>,
    /// The beginning of a line that is not written whole yet.
    begun: Vec<u8>,
}

impl Reader {
    /// From the beginning of what is kept.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        // If the newer becomes the older in between, it is read as that.
        let file = match opened(&older(&path))? {
            Some(file) => Some(file),
            None => opened(&path)?,
        };
        Ok(Reader {
            path,
            file,
            begun: Vec::new(),
        })
    }

    /// The next line; `None` if there is none yet.
    pub fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if self.file.is_none() {
                self.file = opened(&self.path)?;
            }
            let Some(file) = &mut self.file else {
                return Ok(None);
            };
            file.read_until(b'\n', &mut self.begun)?;
            if self.begun.ends_with(b"\n") {
                let line = Line::parse(&std::mem::take(&mut self.begun));
                match line {
                    Some(line) => return Ok(Some(line)),
                    // The process that wrote it was killed in the middle.
                    None => continue,
                }
            }
            // At its end: the next file is there if this is not the newest.
            let newest = match fs::metadata(&self.path) {
                Ok(newest) => newest,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            let this = file.get_ref().metadata()?;
            if (newest.dev(), newest.ino()) == (this.dev(), this.ino()) {
                return Ok(None);
            }
            // It may have been written to before it was replaced.
            if file.fill_buf()?.is_empty() {
                self.begun.clear();
                self.file = opened(&self.path)?;
            }
        }
    }

    /// The last lines of what is there.
    pub fn tail(&mut self, count: usize) -> io::Result<VecDeque<Line>> {
        let mut lines = VecDeque::new();
        while let Some(line) = self.next()? {
            if lines.len() == count {
                lines.pop_front();
            }
            if count > 0 {
                lines.push_back(line);
            }
        }
        Ok(lines)
    }
}

fn opened(path: &Path) -> io::Result<Option<BufReader<File>>> {
    match File::open(path) {
        Ok(file) => Ok(Some(BufReader::new(file))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line {
            time: SystemTime::UNIX_EPOCH + std::time::Duration::new(1, 5),
            stream: LogStream::Stderr,
            bytes: text.as_bytes().to_vec(),
            ended: !text.ends_with('\\'),
        }
    }

    fn log() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        (directory, path)
    }

    #[test]
    fn what_is_written_is_read() {
        let (_directory, path) = log();
        let mut reader = Reader::open(path.clone()).expect("nothing there");
        assert_eq!(reader.next().expect("readable"), None);
        let mut writer = Writer::open(path.clone(), 1 << 20).expect("opens");
        let lines = ["", "two words", "\u{e4} \u{1b}", "a piece\\"].map(line);
        for line in &lines {
            writer.write(line).expect("written");
            assert_eq!(reader.next().expect("readable").as_ref(), Some(line));
        }
        let mut reader = Reader::open(path.clone()).expect("there");
        assert_eq!(reader.tail(2).expect("readable"), &lines[2..]);
        let text = fs::read_to_string(path).expect("text");
        let second = text.lines().nth(1).expect("a line");
        assert_eq!(second, "1970-01-01T00:00:01.000000005Z stderr F two words");
    }

    #[test]
    fn what_is_oldest_goes_and_who_follows_goes_on() {
        let (directory, path) = log();
        let mut writer = Writer::open(path.clone(), 200).expect("opens");
        let mut reader = Reader::open(path.clone()).expect("opens");
        for n in 0..100 {
            let line = line(&n.to_string());
            writer.write(&line).expect("written");
            assert_eq!(reader.next().expect("readable"), Some(line));
        }
        assert_eq!(fs::read_dir(&directory).expect("there").count(), 2);
        let mut kept = Reader::open(path).expect("there");
        let lines = kept.tail(usize::MAX).expect("readable");
        assert!((4..12).contains(&lines.len()), "{}", lines.len());
        assert_eq!(lines.back(), Some(&line("99")));
    }

    #[test]
    fn a_line_that_was_cut_off_spoils_no_other() {
        let (_directory, path) = log();
        fs::write(&path, "1970-01-01T00:00:01Z std").expect("written");
        let mut writer = Writer::open(path.clone(), 200).expect("opens");
        writer.write(&line("whole")).expect("written");
        let mut reader = Reader::open(path).expect("there");
        assert_eq!(reader.tail(9).expect("readable"), [line("whole")]);
    }
}
