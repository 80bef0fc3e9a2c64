//! Directories that are listed.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use wasmrun_fs::{Errno, FileType, Place};
use wasmtime_wasi::p2::bindings::filesystem::types::DirectoryEntry;

use crate::stat::descriptor_type;

/// So many entries are read ahead: of the largest directory a guest makes us keep no more.
const AHEAD: usize = 64;

/// About as many bytes as they take.
const ROOM: usize = 4096;

/// A directory that is being listed.
pub(crate) struct Listing {
    place: Place,
    entries: wasmrun_fs::Listing,
    /// What was read and is still to be given.
    ahead: VecDeque<(FileType, Vec<u8>)>,
    /// Where it goes on behind that.
    cookie: u64,
    ended: bool,
}

impl Listing {
    /// Begins to list, so that what keeps the directory from being read is told now.
    pub(crate) fn begin(place: Place) -> Result<Self, Errno> {
        let mut listing = Listing {
            place,
            entries: wasmrun_fs::Listing::default(),
            ahead: VecDeque::new(),
            cookie: 0,
            ended: false,
        };
        listing.read_ahead()?;
        Ok(listing)
    }

    /// The next entry, as [`next_entry`](Self::next_entry) has it.
    pub(crate) fn next(&mut self) -> Result<Option<DirectoryEntry>, Errno> {
        let entry = self.next_entry()?;
        Ok(entry.map(|(file_type, name)| DirectoryEntry {
            type_: descriptor_type(file_type),
            name,
        }))
    }

    /// The next entry: [`Errno::Ilseq`] if its name is not UTF-8, behind which the list goes on.
    pub(crate) fn next_entry(&mut self) -> Result<Option<(FileType, String)>, Errno> {
        if self.ahead.is_empty() {
            self.read_ahead()?;
        }
        let Some((file_type, name)) = self.ahead.pop_front() else {
            return Ok(None);
        };
        let name = String::from_utf8(name).map_err(|_| Errno::Ilseq)?;
        Ok(Some((file_type, name)))
    }

    /// Reads at least one entry, if there is another.
    fn read_ahead(&mut self) -> Result<(), Errno> {
        while self.ahead.is_empty() && !self.ended {
            let (ahead, cookie) = (&mut self.ahead, &mut self.cookie);
            let mut any = false;
            self.entries
                .list(&self.place, *cookie, ROOM, &mut |entry| {
                    any = true;
                    *cookie = entry.next;
                    if !matches!(entry.name, b"." | b"..") {
                        ahead.push_back((entry.file_type, entry.name.to_vec()));
                    }
                    match ahead.len() {
                        AHEAD => ControlFlow::Break(()),
                        _ => ControlFlow::Continue(()),
                    }
                })?;
            self.ended = !any;
        }
        Ok(())
    }
}
