//! The members of an archive, one after the other.
//!
//! The `tar` crate reads the fields of headers. From header to header we go ourselves: it reads extension headers
//! into memory however large they are, and what it gives unread leaves out the sizes that pax headers tell.

use std::rc::Rc;

use tar::{EntryType, Header};

use super::error::{Problem, told};
use super::extensions::Extensions;
use super::source::Source;

/// What an archive is made of, in bytes.
const BLOCK: u64 = 512;

/// The largest extension header, in bytes. What matters of one are names; some have extended attributes as well.
const EXTENSION_MAX: u64 = 1 << 20;

/// A member of an archive.
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) what: What,
    /// Nanoseconds since 1970.
    pub(super) modified: u64,
}

/// What a member is.
pub(super) enum What {
    /// A file, and where its content is in the archive, which has all of it.
    File {
        offset: u64,
        size: u64,
    },
    Directory,
    Symlink(Vec<u8>),
    /// Another name of the member of this name.
    Link(Vec<u8>),
    /// A device or FIFO.
    Other,
}

/// The members of an archive that are still to be read.
pub(super) struct Members<'a> {
    archive: Source<'a>,
    length: u64,
    /// Where the next header is.
    at: u64,
    /// How many bytes of content there were, and may be.
    content: u64,
    most_content: u64,
    /// What is told of all members from here on.
    global: Extensions,
}

impl<'a> Members<'a> {
    /// Those of `archive`, which may have so many bytes of content in it.
    pub(super) fn of(archive: Source<'a>, most_content: u64) -> Result<Self, Problem> {
        Ok(Members {
            archive,
            length: archive.file.metadata()?.len(),
            at: 0,
            content: 0,
            most_content,
            global: Extensions::default(),
        })
    }

    /// The next member, until the end of the archive.
    pub(super) fn next(&mut self) -> Result<Option<Member>, Problem> {
        let (mut long_name, mut long_target) = (None, None);
        let mut told = Extensions::default();
        let mut extended = false;
        while let Some(header) = self.header()? {
            match header.entry_type() {
                EntryType::GNULongName => long_name = Some(self.long(&header)?),
                EntryType::GNULongLink => long_target = Some(self.long(&header)?),
                EntryType::XHeader => {
                    let bytes = self.extension(&header)?;
                    told.add(&bytes).map_err(|what| of(&header, what))?;
                }
                EntryType::XGlobalHeader => {
                    let bytes = self.extension(&header)?;
                    self.global.add(&bytes).map_err(|what| of(&header, what))?;
                    // It tells of no member in particular, so none has to follow.
                    continue;
                }
                _ => {
                    told.name = long_name.or(told.name);
                    told.target = long_target.or(told.target);
                    let told = told.or(&self.global);
                    return self.member(&header, told).map(Some);
                }
            }
            extended = true;
        }
        match extended {
            true => Err(Problem::new(format!(
                "expected a member behind the extension header, at byte {}",
                self.at
            ))),
            false => Ok(None),
        }
    }

    /// The next header, until the end of the archive, which are two blocks of zeros. The second may be cut off.
    fn header(&mut self) -> Result<Option<Header>, Problem> {
        let mut header = Header::new_old();
        if !self.block(&mut header)? {
            return Err(Problem::new(format!(
                "expected a header or the end marker at byte {}, but that is cut off: the archive has {} bytes",
                self.at, self.length
            )));
        }
        let at = self.at;
        self.at += BLOCK;
        if !is_zero(&header) {
            return match has_right_checksum(&header) {
                true => Ok(Some(header)),
                false => Err(Problem::new(format!(
                    "expected a tar header at byte {at}, found other bytes"
                ))),
            };
        }
        match self.block(&mut header)? && !is_zero(&header) {
            true => Err(Problem::new(format!(
                "expected the other half of the end marker at byte {}, found other bytes",
                self.at
            ))),
            false => Ok(None),
        }
    }

    /// Reads the next block: whether the archive has one.
    fn block(&self, block: &mut Header) -> Result<bool, Problem> {
        let end = self.at.checked_add(BLOCK);
        if end.is_none_or(|end| end > self.length) {
            return Ok(false);
        }
        self.archive.read_exact_at(block.as_mut_bytes(), self.at)?;
        Ok(true)
    }

    /// Goes on behind the content of a header that it has come to: where that is.
    fn pass(&mut self, size: u64) -> Result<u64, Problem> {
        let offset = self.at;
        let end = offset.checked_add(size).filter(|end| *end <= self.length);
        let end = end.ok_or_else(|| {
            Problem::new(format!(
                "expected {size} bytes of content at byte {offset}, but the archive has {} bytes",
                self.length
            ))
        })?;
        self.content = self.content.saturating_add(size);
        if self.content > self.most_content {
            return Err(Problem::new(format!(
                "expected at most {} bytes of content in all, found {} up to here",
                self.most_content, self.content
            )));
        }
        self.at = end.next_multiple_of(BLOCK);
        Ok(offset)
    }

    /// The content of an extension header.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, Problem> {
        let content = (|| {
            let size = size(header)?;
            if size > EXTENSION_MAX {
                return Err(Problem::new(format!(
                    "expected an extension header of at most {EXTENSION_MAX} bytes, found one of {size}"
                )));
            }
            let offset = self.pass(size)?;
            let mut content = vec![0; size as usize];
            self.archive.read_exact_at(&mut content, offset)?;
            Ok(content)
        })();
        content.map_err(|problem| problem.of_member(&header.path_bytes()))
    }

    /// The name in an extension header of GNU, which NULs may follow.
    fn long(&mut self, header: &Header) -> Result<Rc<[u8]>, Problem> {
        let mut name = self.extension(header)?;
        while name.pop_if(|last| *last == 0).is_some() {}
        Ok(name.into())
    }

    fn member(&mut self, header: &Header, told: Extensions) -> Result<Member, Problem> {
        let name = match &told.name {
            Some(name) => name.to_vec(),
            None => header.path_bytes().into_owned(),
        };
        match self.what(header, &name, &told) {
            Ok(what) => Ok(Member {
                name,
                what,
                modified: told.modified.unwrap_or_else(|| modified(header)),
            }),
            Err(problem) => Err(problem.of_member(&name)),
        }
    }

    fn what(&mut self, header: &Header, name: &[u8], told: &Extensions) -> Result<What, Problem> {
        let target = || match &told.target {
            Some(target) => target.to_vec(),
            None => header.link_name_bytes().unwrap_or_default().into_owned(),
        };
        // Nothing but files has content, whatever size the header has: for a hard link it may be that of the file.
        match header.entry_type() {
            EntryType::Regular | EntryType::Continuous if !told.sparse => {
                let size = told.size.map_or_else(|| size(header), Ok)?;
                let offset = self.pass(size)?;
                Ok(match name.ends_with(b"/") {
                    // As V7 has it, which has no type for them.
                    true => What::Directory,
                    false => What::File { offset, size },
                })
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Err(Problem::new(
                "expected a file with all of its content: sparse files are not supported",
            )),
            EntryType::Directory => Ok(What::Directory),
            EntryType::Symlink => Ok(What::Symlink(target())),
            EntryType::Link => Ok(What::Link(target())),
            EntryType::Char | EntryType::Block | EntryType::Fifo => Ok(What::Other),
            other => Err(Problem::new(format!(
                "expected a file, directory, link, device or FIFO, found the type {}",
                told_type(other)
            ))),
        }
    }
}

fn of(header: &Header, what: &str) -> Problem {
    Problem::new(what).of_member(&header.path_bytes())
}

fn told_type(entry_type: EntryType) -> String {
    told(&[entry_type.as_byte()])
}

fn is_zero(block: &Header) -> bool {
    block.as_bytes().iter().all(|byte| *byte == 0)
}

/// Whether the sum of the bytes is what the header says, with the field of the sum taken as spaces. Some writers have
/// added up signed bytes.
fn has_right_checksum(header: &Header) -> bool {
    let field = 148..156;
    let bytes = header.as_bytes().iter().enumerate();
    let bytes = bytes.map(|(at, byte)| match field.contains(&at) {
        true => b' ',
        false => *byte,
    });
    let (mut unsigned, mut signed) = (0, 0);
    for byte in bytes {
        unsigned += i64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    let sum = header.cksum().map(i64::from);
    sum.is_ok_and(|sum| sum == unsigned || sum == signed)
}

/// The size that a header tells.
fn size(header: &Header) -> Result<u64, Problem> {
    let field = &header.as_old().size;
    // It is binary then, and the crate takes the last 64 of its bits for all.
    let is_too_large = field[0] & 0x80 != 0 && (field[0] != 0x80 || field[1..4] != [0; 3]);
    match header.entry_size() {
        Ok(size) if !is_too_large => Ok(size),
        _ => Err(Problem::new(format!(
            "expected a number as its size, found {}",
            told(field)
        ))),
    }
}

/// The time that a header tells. Without one that can be told, the member is as good.
fn modified(header: &Header) -> u64 {
    let seconds = header.mtime().unwrap_or(0).cast_signed();
    // A binary one may be negative.
    u64::try_from(seconds)
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
}
