//! The ends of a container's standard streams.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// What keeps the streams of a container open while it lives.
///
/// They are FIFOs. containerd reads the ones, and may be restarted meanwhile: a guest that writes then is to wait, and not to find
/// its stream closed. Of the other it is containerd's to say when it has ended.
#[derive(Default)]
pub struct Held {
    stdin: Option<File>,
    _outputs: Vec<File>,
}

impl Held {
    /// Opens what there is of them.
    ///
    /// # Errors
    ///
    /// A line that names what cannot be opened.
    pub fn open(stdin: &str, outputs: [&str; 2]) -> Result<Held, String> {
        let held = |path: &str| -> Result<Option<File>, String> {
            let path = location(path)?;
            if !is_fifo(path) {
                return Ok(None);
            }
            // As reader and writer at once, which waits for nobody.
            let opened = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(path);
            opened.map(Some).map_err(|error| cannot(path, &error))
        };
        let mut all = Vec::new();
        for output in outputs {
            all.extend(held(output)?);
        }
        Ok(Held {
            stdin: held(stdin)?,
            _outputs: all,
        })
    }

    /// Lets the guest find the end of its input when containerd's side closes it. Until a guest begins, that side may not
    /// have opened it yet, which would look the same.
    pub fn leave_stdin(&mut self) {
        self.stdin = None;
    }
}

/// Opens standard input for a container.
///
/// # Errors
///
/// A line that names what cannot be opened.
pub fn input(path: &str) -> Result<File, String> {
    let path = location(path)?;
    File::open(path).map_err(|error| cannot(path, &error))
}

/// Opens an output for a container, likewise.
///
/// # Errors
///
/// As for [`input`].
pub fn output(path: &str) -> Result<File, String> {
    let path = location(path)?;
    let opened = match is_fifo(path) {
        true => OpenOptions::new().write(true).open(path),
        false => OpenOptions::new().append(true).create(true).open(path),
    };
    opened.map_err(|error| cannot(path, &error))
}

/// Where a stream leads. containerd says so by a path or an address, and by neither where there is no stream.
fn location(address: &str) -> Result<&Path, String> {
    if address.is_empty() {
        return Ok(Path::new("/dev/null"));
    }
    match address.split_once("://") {
        None => Ok(Path::new(address)),
        Some(("fifo" | "file", path)) => Ok(Path::new(path)),
        Some((scheme, _)) => Err(format!(
            "standard streams cannot lead to {scheme}://; a FIFO or a file is expected"
        )),
    }
}

fn is_fifo(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.file_type().is_fifo())
}

fn cannot(path: &Path, error: &io::Error) -> String {
    format!("cannot open the stream {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn input_ends_when_it_is_closed_and_outputs_outlive_their_reader() {
        let directory = tempfile::tempdir().expect("a directory");
        let fifo = |name: &str| {
            let path = directory.path().join(name);
            let mode = Mode::RUSR | Mode::WUSR;
            mknodat(CWD, &path, FileType::Fifo, mode, 0).expect("a FIFO");
            path.to_str().expect("UTF-8").to_owned()
        };
        let (stdin, stdout) = (fifo("in"), fifo("out"));
        let mut held = Held::open(&stdin, [&stdout, ""]).expect("opened");
        let (mut guest_in, mut guest_out) = (
            input(&stdin).expect("opened"),
            output(&stdout).expect("opened"),
        );
        drop(File::open(&stdout).expect("a reader"));
        guest_out.write_all(b"still here").expect("kept open");
        let mut client = OpenOptions::new().write(true).open(&stdin).expect("opened");
        client.write_all(b"all").expect("written");
        drop(client);
        held.leave_stdin();
        let mut read = String::new();
        guest_in.read_to_string(&mut read).expect("read");
        assert_eq!(read, "all");
    }

    #[test]
    fn where_a_stream_cannot_lead_is_refused() {
        let error = output("binary:///logger").expect_err("refused");
        assert!(error.contains("binary://"), "{error}");
        assert!(Held::open("binary:///x", ["", ""]).is_err());
        assert!(input("").is_ok() && output("").is_ok());
    }
}
