//! The results as they are printed or written: always the same ones.

mod csv;
mod html;
mod table;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use wasmrun::{Error, ErrorKind, Result};

use super::results::Results;
use crate::say;

/// What is printed.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    Terminal,
    Json,
    Csv,
    Markdown,
}

/// Prints the results; returns the exit code.
pub fn print(results: &Results, format: Format) -> u8 {
    match format {
        Format::Terminal => say::print(table::terminal(results)),
        Format::Json => say::print_json(results),
        Format::Csv => say::print(csv::csv(results)),
        Format::Markdown => say::print(table::markdown(results)),
    }
}

/// A file for a page, opened before there is anything to write: until then it stays as it is, and if there never is
/// anything, one that was not there is not there again.
pub struct Page {
    path: PathBuf,
    file: File,
    /// It was not there, and there is nothing in it.
    is_new: bool,
}

impl Page {
    pub fn create(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let (file, is_new) = match options.clone().create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                (options.open(path), false)
            }
            file => (file, true),
        };
        let file = file.map_err(|source| {
            Error::new(ErrorKind::Io, format!("cannot create {}", path.display()))
                .with_source(source)
        })?;
        Ok(Page {
            path: path.into(),
            file,
            is_new,
        })
    }

    pub fn write(mut self, results: &Results) -> Result<()> {
        let page = html::html(results);
        self.is_new = false;
        let mut write = || {
            // A pipe or a terminal has no length.
            if self.file.metadata()?.is_file() {
                self.file.set_len(0)?;
            }
            self.file.write_all(page.as_bytes())
        };
        write().map_err(|source: io::Error| {
            let path = self.path.display();
            Error::new(ErrorKind::Io, format!("cannot write {path}")).with_source(source)
        })
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if self.is_new {
            // If it cannot be removed, an empty one stays.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A time, to three digits.
fn time(ms: f64) -> String {
    let (value, unit) = match ms {
        0.0 => return "0 ms".into(),
        ms if ms >= 1000.0 => (ms / 1000.0, "s"),
        ms if ms >= 1.0 => (ms, "ms"),
        ms => (ms * 1000.0, "µs"),
    };
    let digits = match value {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}")
}

fn memory(bytes: Option<u64>) -> String {
    match bytes {
        Some(bytes) => ByteSize(bytes).display().iec().to_string(),
        None => "–".into(),
    }
}
