//! Following a path, name by name, as Linux does.
//!
//! A path goes on from a directory and does not lead above it; a symbolic link that is absolute is a path from the
//! guest's root.

use std::ops::Range;

use crate::world::Entered;
use crate::{Errno, Name, Place, Result};

/// The longest path in bytes: `PATH_MAX`, which counts a NUL.
pub const PATH_MAX: usize = 4096;

/// So many symbolic links are followed on the way of one path.
const MOST_LINKS: u32 = 40;

/// So many directories are held on the way of one path, each by a descriptor of the host perhaps.
const MOST_HELD: usize = 256;

/// A path that is being followed.
pub(crate) struct Walk {
    /// The directories that led here, from the one the path began in.
    places: Vec<Place>,
    /// Whether the first of them is the guest's root, which is its own parent.
    rooted: bool,
    path: Vec<u8>,
    /// How much of it has been followed.
    at: usize,
    links: u32,
    /// The places do not have all that is between the first and the last.
    jumped: bool,
}

/// The end of a path.
pub(crate) struct Last {
    pub(crate) part: Part,
    /// Whether there are slashes behind it, so that it has to be a directory.
    pub(crate) slash: bool,
}

pub(crate) enum Part {
    /// A name in the directory the walk is in.
    Name(Range<usize>),
    /// That directory.
    Dot,
    /// That directory, which is the parent of one that is there.
    DotDot,
}

impl Walk {
    pub(crate) fn begin(place: &Place, path: &[u8]) -> Result<Self> {
        match path {
            b"" => return Err(Errno::Noent),
            // A directory is all that who has it may reach.
            [b'/', ..] => return Err(Errno::Perm),
            _ if path.contains(&0) => return Err(Errno::Inval),
            _ if path.len() >= PATH_MAX => return Err(Errno::Nametoolong),
            _ => {}
        }
        let mut walk = Walk {
            places: vec![place.clone()],
            rooted: false,
            path: path.to_vec(),
            at: 0,
            links: 0,
            jumped: false,
        };
        walk.jump();
        Ok(walk)
    }

    /// Where it is.
    pub(crate) fn place(&self) -> &Place {
        // There is always the one it began in.
        &self.places[self.places.len() - 1]
    }

    pub(crate) fn name(&self, range: &Range<usize>) -> Result<Name<'_>> {
        Name::new(&self.path[range.clone()])
    }

    /// Goes to the directory that the last name is in all at once, where that can be done.
    fn jump(&mut self) {
        let end = self.path.iter().rposition(|byte| *byte != b'/');
        let Some(slash) =
            end.and_then(|end| self.path[..end].iter().rposition(|byte| *byte == b'/'))
        else {
            return;
        };
        let (before, last) = self.path.split_at(slash);
        let leads_up = |path: &[u8]| path.split(|byte| *byte == b'/').any(|part| part == b"..");
        if !self.place().is_plain() || leads_up(before) || leads_up(last) {
            return;
        }
        if let Some(directory) = self.place().directory.shortcut(before) {
            let place = self.place().with(directory);
            self.places.push(place);
            self.at = slash;
            self.jumped = true;
        }
    }

    /// Goes on to the directory that the last part of the path is in.
    pub(crate) fn parent(&mut self) -> Result<Last> {
        loop {
            let begin = self.at + self.slashes(self.at);
            let end = begin
                + self.path[begin..]
                    .iter()
                    .take_while(|byte| **byte != b'/')
                    .count();
            let behind = self.slashes(end);
            let (is_last, slash) = (end + behind == self.path.len(), behind > 0);
            self.at = end;
            match &self.path[begin..end] {
                b"" | b"." if is_last => {
                    return Ok(Last {
                        part: Part::Dot,
                        slash,
                    });
                }
                b"" | b"." => {}
                b".." => {
                    self.up()?;
                    if is_last {
                        return Ok(Last {
                            part: Part::DotDot,
                            slash,
                        });
                    }
                }
                _ if is_last => {
                    return Ok(Last {
                        part: Part::Name(begin..end),
                        slash,
                    });
                }
                _ => match self.place().enter(self.name(&(begin..end))?)? {
                    Entered::Place(_) if self.places.len() == MOST_HELD => {
                        return Err(Errno::Nametoolong);
                    }
                    Entered::Place(place) => self.places.push(place),
                    Entered::Symlink(target) => self.follow(target)?,
                },
            }
        }
    }

    fn slashes(&self, from: usize) -> usize {
        self.path[from..]
            .iter()
            .take_while(|byte| **byte == b'/')
            .count()
    }

    fn up(&mut self) -> Result<()> {
        match self.places.len() {
            1 if self.rooted => {}
            1 => return Err(Errno::Perm),
            _ => drop(self.places.pop()),
        }
        Ok(())
    }

    /// Goes on with the target of the symbolic link that it has come to, and what is left of the path behind it.
    pub(crate) fn follow(&mut self, target: Vec<u8>) -> Result<()> {
        if self.jumped {
            self.retrace()?;
        }
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Errno::Loop);
        }
        if target.is_empty() {
            return Err(Errno::Noent);
        }
        if target.starts_with(b"/") {
            self.places = vec![self.place().origin_of(&target)];
            self.rooted = true;
        }
        let mut path = target;
        path.extend_from_slice(&self.path[self.at..]);
        if path.len() >= 2 * PATH_MAX {
            return Err(Errno::Nametoolong);
        }
        self.path = path;
        self.at = 0;
        Ok(())
    }

    /// Comes to the same name by all directories on the way.
    fn retrace(&mut self) -> Result<()> {
        self.jumped = false;
        self.places.truncate(1);
        self.at = 0;
        self.parent().map(drop)
    }
}
