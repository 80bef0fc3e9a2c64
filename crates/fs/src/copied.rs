//! A file system in memory that began as a copy, and how it differs from that.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::changes::{Candidate, Change, Kind, told};
use crate::overlay::join;
use crate::tree::{At, names};
use crate::{
    Directory, Errno, FileType, Memory, Name, OpenOptions, Result, SetTime, SetTimes, Stat, Step,
    content,
};

/// A file system in memory that began as a copy of a directory, which is not to be changed meanwhile.
pub(crate) struct Copied {
    from: Arc<dyn Directory>,
    memory: Arc<dyn Directory>,
    /// What was copied, by its path.
    originals: BTreeMap<Vec<u8>, Original>,
    /// The paths that a file in memory had at first, by its number.
    paths: HashMap<u64, Vec<Vec<u8>>>,
    /// What was changed before that time was not changed by the guest.
    made: u64,
}

/// What a path had in memory when the copy was made.
struct Original {
    inode: u64,
    file_type: FileType,
    size: u64,
    modified: u64,
}

/// A directory of each that is copied.
struct Pair {
    path: Vec<u8>,
    from: Arc<dyn Directory>,
    to: Arc<dyn Directory>,
}

/// Where a file of several names was copied to, by its device and number.
type Linked = HashMap<(u64, u64), (Arc<dyn Directory>, Vec<u8>)>;

impl Copied {
    /// See [`Kept::copy`](crate::Kept::copy).
    pub(crate) fn new(
        from: Arc<dyn Directory>,
        memory: &Memory,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        let mut copied = Copied {
            memory: memory.root(),
            originals: BTreeMap::new(),
            paths: HashMap::new(),
            made: 0,
            from: Arc::clone(&from),
        };
        let mut linked = Linked::new();
        let mut done = Vec::new();
        let mut pending = vec![Pair {
            path: Vec::new(),
            from,
            to: memory.root(),
        }];
        while let Some(pair) = pending.pop() {
            for (name, _) in names(&*pair.from)? {
                go_on()?;
                pending.extend(copied.copy(&pair, Name::new(&name)?, &mut linked)?);
            }
            done.push(pair);
        }
        // What was made in a directory has changed its times.
        for pair in &done {
            pair.to.set_times(times(&pair.from.stat()?))?;
        }
        copied.made = memory.now();
        Ok(copied)
    }

    /// Copies what has a name, which is gone perhaps; what is in a directory is left to be copied.
    fn copy(&mut self, pair: &Pair, name: Name<'_>, linked: &mut Linked) -> Result<Option<Pair>> {
        let Pair { from, to, .. } = pair;
        let stat = match from.stat_at(name) {
            Err(Errno::Noent) => return Ok(None),
            stat => stat?,
        };
        let path = join(&pair.path, name.bytes());
        let mut below = None;
        match stat.file_type {
            FileType::Directory => {
                to.create_directory(name)?;
                below = match (from.enter(name)?, to.enter(name)?) {
                    (Step::Directory(from), Step::Directory(to)) => Some(Pair {
                        path: path.clone(),
                        from,
                        to,
                    }),
                    _ => return Err(Errno::Stale),
                };
            }
            FileType::Symlink => {
                to.symlink(name, &from.read_link(name)?)?;
                to.set_times_at(name, times(&stat))?;
            }
            FileType::Regular => {
                let number = (stat.device, stat.inode);
                match linked.get(&number) {
                    Some((directory, other)) => {
                        directory.link(Name::new(other)?, &**to, name)?;
                    }
                    None => {
                        let file = to.open_at(name, OpenOptions::NEW)?;
                        content::copy(&*from.open_at(name, OpenOptions::READ)?, &*file)?;
                        file.set_times(times(&stat))?;
                        if stat.links > 1 {
                            linked.insert(number, (Arc::clone(to), name.bytes().to_vec()));
                        }
                    }
                }
            }
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Other => return Ok(None),
        }
        let Stat {
            inode,
            file_type,
            size,
            modified,
            ..
        } = to.stat_at(name)?;
        self.paths.entry(inode).or_default().push(path.clone());
        let original = Original {
            inode,
            file_type,
            size,
            modified,
        };
        self.originals.insert(path, original);
        Ok(below)
    }

    /// How what is in memory differs from what was copied.
    pub(crate) fn changes(&self) -> Result<Vec<Change>> {
        let visited = self.visit()?;
        let staying: HashSet<&[u8]> = visited
            .iter()
            .filter(|at| at.stays(self))
            .filter_map(|at| at.natural.as_deref())
            .collect();
        let mut candidates = Vec::new();
        for at in &visited {
            candidates.extend(self.candidate(at, &staying)?);
        }
        let there: HashSet<&[u8]> = visited.iter().map(|at| &*at.path).collect();
        let places: HashMap<&[u8], &[u8]> = visited
            .iter()
            .filter_map(|at| Some((at.origin.as_deref()?, &*at.path)))
            .chain([(&b""[..], &b""[..])])
            .collect();
        for (original, what) in &self.originals {
            let (parent, name) = crate::tree::split(original);
            let Some(place) = places.get(parent) else {
                continue;
            };
            let path = join(place, name);
            if !staying.contains(&original[..]) && !there.contains(&path[..]) {
                candidates.push(Candidate {
                    path,
                    hides: Some(original.clone()),
                    file_type: what.file_type,
                    size: size_of(what.file_type, what.size),
                    kind: Kind::Removed,
                });
            }
        }
        Ok(told(candidates))
    }

    /// All that is in memory.
    fn visit(&self) -> Result<Vec<Visited>> {
        let mut visited = Vec::new();
        let mut pending = vec![(Vec::new(), Some(Vec::new()), Arc::clone(&self.memory))];
        while let Some((path, origin, directory)) = pending.pop() {
            for (name, _) in names(&*directory)? {
                let at = Name::new(&name)?;
                let stat = directory.stat_at(at)?;
                let natural = origin.as_ref().map(|origin| join(origin, &name));
                let path = join(&path, &name);
                let mut origin = None;
                if stat.file_type == FileType::Directory
                    && let Step::Directory(below) = directory.enter(at)?
                {
                    // A directory has one name.
                    origin = self.paths_of(&stat).first().cloned();
                    pending.push((path.clone(), origin.clone(), below));
                }
                visited.push(Visited {
                    path,
                    natural,
                    origin,
                    stat,
                });
            }
        }
        Ok(visited)
    }

    fn paths_of(&self, stat: &Stat) -> &[Vec<u8>] {
        self.paths.get(&stat.inode).map_or(&[], Vec::as_slice)
    }

    fn candidate(&self, at: &Visited, staying: &HashSet<&[u8]>) -> Result<Option<Candidate>> {
        let kind = if at.stat.file_type == FileType::Directory {
            if at.stays(self) {
                return Ok(None);
            }
            Kind::Directory(at.origin.clone())
        } else {
            let mut before = self.paths_of(&at.stat).iter();
            let from = match at.stays(self) {
                true => None,
                false => before.find(|path| !staying.contains(&path[..])).cloned(),
            };
            Kind::File {
                from,
                differs: self.differs(at)?,
            }
        };
        Ok(Some(Candidate {
            path: at.path.clone(),
            hides: at.natural.clone(),
            file_type: at.stat.file_type,
            size: size_of(at.stat.file_type, at.stat.size),
            kind,
        }))
    }

    /// Whether a file differs from what was copied to its path, if that is of its kind.
    fn differs(&self, at: &Visited) -> Result<Option<bool>> {
        let natural = at.natural.as_deref();
        let Some((path, original)) = natural.and_then(|path| self.originals.get_key_value(path))
        else {
            return Ok(None);
        };
        if original.file_type != at.stat.file_type {
            return Ok(None);
        }
        if original.inode == at.stat.inode && at.stat.changed < self.made {
            return Ok(Some(false));
        }
        let (before, now) = (
            At::find(&*self.from, path)?,
            At::find(&*self.memory, &at.path)?,
        );
        let differs = match at.stat.file_type {
            FileType::Symlink => now.read_link()? != before.read_link()?,
            _ if (original.size, original.modified) != (at.stat.size, at.stat.modified) => true,
            _ => !content::is_equal(&*now.open()?, &*before.open()?)?,
        };
        Ok(Some(differs))
    }
}

/// Something in memory.
struct Visited {
    path: Vec<u8>,
    /// Where it would have been at first, if its directory was there.
    natural: Option<Vec<u8>>,
    /// Where it was at first, if it is a directory.
    origin: Option<Vec<u8>>,
    stat: Stat,
}

impl Visited {
    /// Whether it was there at first.
    fn stays(&self, copied: &Copied) -> bool {
        let natural = self.natural.as_ref();
        natural.is_some_and(|natural| copied.paths_of(&self.stat).contains(natural))
    }
}

fn size_of(file_type: FileType, size: u64) -> u64 {
    match file_type {
        FileType::Directory => 0,
        _ => size,
    }
}

fn times(stat: &Stat) -> SetTimes {
    SetTimes {
        accessed: SetTime::To(stat.accessed),
        modified: SetTime::To(stat.modified),
    }
}
