//! A file system in memory that began as a copy, and how it differs from that.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::changes::{Candidate, Change, Kind, told};
use crate::copy::copy_and_tell;
use crate::overlay::join;
use crate::tree::{At, names};
use crate::{Directory, FileType, Memory, Name, Result, Stat, Step, content};

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

impl Copied {
    /// See [`Kept::copy`](crate::Kept::copy).
    pub(crate) fn new(
        from: Arc<dyn Directory>,
        memory: &Memory,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        let mut originals = BTreeMap::new();
        let mut paths: HashMap<u64, Vec<Vec<u8>>> = HashMap::new();
        copy_and_tell(
            Arc::clone(&from),
            memory.root(),
            go_on,
            &mut |path, stat| {
                paths.entry(stat.inode).or_default().push(path.clone());
                let original = Original {
                    inode: stat.inode,
                    file_type: stat.file_type,
                    size: stat.size,
                    modified: stat.modified,
                };
                originals.insert(path, original);
            },
        )?;
        Ok(Copied {
            from,
            memory: memory.root(),
            originals,
            paths,
            made: memory.now(),
        })
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
