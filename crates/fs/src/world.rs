//! What a guest sees of files: directories mounted at paths of its own, in each other perhaps.
//!
//! Where directories are mounted is kept by path, as a tree of names. A [`Place`] that a guest has reached knows where in
//! that tree it is, if anywhere, so that a path that goes on there comes to what is mounted.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use wasmrun_core::Access;

use crate::nothing::Nothing;
use crate::numbered::Numbered;
use crate::order::Order;
use crate::{Directory, Entry, Errno, File, FileType, Name, Result, SetTimes, Stat, Step};

/// A directory or a file mounted at a path of the guest's.
#[derive(Clone)]
pub struct Mounted {
    path: String,
    directory: Arc<dyn Directory>,
    /// If it is not the directory, but what has this name there.
    file: Option<Vec<u8>>,
    access: Access,
}

impl Mounted {
    /// A directory at `path`, which is normalised. A relative one is from the guest's root, which is its working
    /// directory.
    pub fn new(path: impl Into<String>, directory: Arc<dyn Directory>, access: Access) -> Self {
        Mounted {
            path: path.into(),
            directory,
            file: None,
            access,
        }
    }

    /// What has this name in `directory` at `path`, which is not the guest's root.
    pub fn file(
        path: impl Into<String>,
        directory: Arc<dyn Directory>,
        name: Name<'_>,
        access: Access,
    ) -> Self {
        Mounted {
            file: Some(name.bytes().to_vec()),
            ..Mounted::new(path, directory, access)
        }
    }

    /// The directory of the host at `host`, shown at `path`.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being opened. Only Linux has what it takes.
    pub fn bind(host: &Path, path: &str, access: Access) -> io::Result<Self> {
        Ok(Mounted::new(path, crate::host(host)?, access))
    }

    /// The file of the host at `host`, shown at `path`. Should another take its place there, that is shown.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being found. Only Linux has what it takes.
    pub fn bind_file(host: &Path, path: &str, access: Access) -> io::Result<Self> {
        let host = host.canonicalize()?;
        let name = host.file_name().map(OsStr::as_encoded_bytes);
        let name = name.and_then(|name| Name::new(name).ok());
        match (host.parent(), name) {
            (Some(directory), Some(name)) => {
                Ok(Mounted::file(path, crate::host(directory)?, name, access))
            }
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }
}

/// All that a guest sees of files.
#[derive(Clone)]
pub struct World {
    mounts: Arc<Mounts>,
    order: Option<Order>,
}

struct Mounts {
    mounts: Vec<Mounted>,
    spots: Vec<Spot>,
    /// Paths of the guest's at which it is given a directory, and where they are.
    given: Vec<(String, usize)>,
}

/// A name that leads to something mounted, or something that is.
#[derive(Default)]
struct Spot {
    below: BTreeMap<Vec<u8>, usize>,
    mount: Option<usize>,
}

/// The guest's root.
const ROOT: usize = 0;

impl World {
    /// A world of these mounts. Of two at one path the later one is seen.
    pub fn new(mounts: Vec<Mounted>) -> Self {
        let mut world = Mounts {
            mounts: Vec::with_capacity(mounts.len()),
            spots: vec![Spot::default()],
            given: Vec::with_capacity(mounts.len()),
        };
        for mount in mounts {
            let spot = world.make(mount.path.as_bytes());
            world.spots[spot].mount = Some(world.mounts.len());
            world.mounts.push(mount);
        }
        world.give_directories();
        world.give_files();
        World {
            mounts: Arc::new(world),
            order: None,
        }
    }

    /// The same, of which is told in an order that does not hang on the file systems: a [`Listing`](crate::Listing) is
    /// sorted, and files and devices have numbers from 1 on, in the order that the guest meets them.
    #[must_use]
    pub fn in_order(self) -> Self {
        World {
            order: Some(Order::default()),
            ..self
        }
    }

    /// The directories that a guest is given, and their paths: those that are mounted and not within another, in the order
    /// they were given, and those without which no path would lead to a file that is.
    pub fn mounts(&self) -> impl ExactSizeIterator<Item = (&str, Place)> {
        let given = self.mounts.given.iter();
        given.map(|(path, spot)| (path.as_str(), self.spot(*spot, None)))
    }

    fn at_mount(&self, number: usize, spot: usize) -> Place {
        let mount = &self.mounts.mounts[number];
        Place {
            world: self.clone(),
            directory: mount.directory.clone(),
            access: mount.access,
            mount: Some((number, spot)),
            spot: Some(spot).filter(|spot| !self.mounts.spots[*spot].below.is_empty()),
        }
    }

    /// The guest's root, where something mounted has to do with this path.
    pub(crate) fn root_for(&self, path: &[u8]) -> Option<Place> {
        self.mounts.nearest(path).1?;
        Some(self.spot(ROOT, None))
    }

    /// What is at a spot where no more than the way to something mounted may be.
    fn spot(&self, spot: usize, below: Option<&Place>) -> Place {
        let mount = self.mounts.spots[spot].mount;
        match mount.filter(|mount| self.mounts.mounts[*mount].file.is_none()) {
            Some(mount) => self.at_mount(mount, spot),
            None => Place {
                world: self.clone(),
                directory: Arc::new(Nothing::at(spot)),
                access: Access::ReadOnly,
                mount: below.and_then(|place| place.mount),
                spot: Some(spot),
            },
        }
    }
}

impl Mounts {
    /// The spot of a path.
    fn make(&mut self, path: &[u8]) -> usize {
        let mut at = ROOT;
        for name in names(path) {
            at = match self.spots[at].below.get(name) {
                Some(&below) => below,
                None => {
                    self.spots.push(Spot::default());
                    let new = self.spots.len() - 1;
                    self.spots[at].below.insert(name.to_vec(), new);
                    new
                }
            };
        }
        at
    }

    /// Gives the guest the directories that are mounted, but for those which it reaches by others: of all that it is
    /// given, a C library takes the one nearest to a path, from where no `..` would lead out.
    fn give_directories(&mut self) {
        for number in 0..self.mounts.len() {
            let Mounted { path, file, .. } = &self.mounts[number];
            let above = path.trim_end_matches('/').rsplit_once('/');
            let above = above.and_then(|(above, _)| self.nearest(above.as_bytes()).1);
            let is_reached = above.is_some_and(|above| {
                let above = &self.mounts[above];
                above.file.is_none() && above.path.starts_with('/') == path.starts_with('/')
            });
            if file.is_none() && !is_reached {
                let (spot, _) = self.nearest(path.as_bytes());
                self.given.push((path.clone(), spot));
            }
        }
    }

    /// Gives the guest the directories of files that are mounted where no directory is.
    fn give_files(&mut self) {
        for number in 0..self.mounts.len() {
            let Mounted { path, file, .. } = &self.mounts[number];
            let (directory, _) = path.rsplit_once('/').unwrap_or((".", path));
            let directory = if directory.is_empty() { "/" } else { directory }.to_owned();
            let is_reached = self.nearest(directory.as_bytes()).1.is_some();
            let is_given = self.given.iter().any(|(given, _)| *given == directory);
            if file.is_some() && !is_reached && !is_given {
                let spot = self.make(directory.as_bytes());
                self.given.push((directory, spot));
            }
        }
    }

    /// How far a path leads among what is mounted, and what is mounted last on the way.
    fn nearest(&self, path: &[u8]) -> (usize, Option<usize>) {
        let mut at = ROOT;
        let mut mount = self.spots[at].mount;
        for name in names(path) {
            match self.spots[at].below.get(name) {
                Some(&below) => at = below,
                // The root is its own parent.
                None if at == ROOT && name == b".." => {}
                None => break,
            }
            mount = self.spots[at].mount.or(mount);
        }
        (at, mount)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = self
            .mounts
            .mounts
            .iter()
            .map(|mount| (&mount.path, mount.access));
        f.debug_map().entries(paths).finish()
    }
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|name| !matches!(*name, b"" | b"."))
}

/// A directory that a guest has reached.
#[derive(Clone)]
pub struct Place {
    world: World,
    pub(crate) directory: Arc<dyn Directory>,
    access: Access,
    /// What is mounted here, and where.
    mount: Option<(usize, usize)>,
    /// If something is mounted below.
    spot: Option<usize>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("mount", &self.mount)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

impl Place {
    /// What the guest may do here.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Whether the guest may change what is here.
    pub(crate) fn writable(&self) -> Result<()> {
        match self.access {
            Access::ReadOnly => Err(Errno::Rofs),
            Access::ReadWrite => Ok(()),
        }
    }

    /// What is known of it.
    pub fn stat(&self) -> Result<Stat> {
        Ok(self.told(self.directory.stat()?))
    }

    /// What is to be told of what is here, of which its file system tells this.
    pub(crate) fn told(&self, stat: Stat) -> Stat {
        match &self.world.order {
            Some(order) => order.told(stat),
            None => stat,
        }
    }

    /// A file that is here, as the guest has it.
    pub(crate) fn shown(&self, file: Arc<dyn File>) -> Result<Arc<dyn File>> {
        match &self.world.order {
            Some(order) => {
                let stat = order.told(file.stat()?);
                Ok(Arc::new(Numbered::new(file, &stat)))
            }
            None => Ok(file),
        }
    }

    /// What is at a name that is to go, where that matters for the [numbers](Place::lost) that are told.
    pub(crate) fn going(&self, name: Name<'_>) -> Option<Stat> {
        self.world.order.as_ref()?;
        self.directory.stat_at(name).ok()
    }

    /// What was going has lost its name.
    pub(crate) fn lost(&self, gone: Option<Stat>) {
        if let (Some(order), Some(gone)) = (&self.world.order, gone)
            && (gone.links <= 1 || gone.file_type == FileType::Directory)
        {
            order.forget(&gone);
        }
    }

    /// The order in which is told of files, if not in that of their file systems.
    pub(crate) fn order(&self) -> Option<&Order> {
        self.world.order.as_ref()
    }

    /// The number that its file system has for itself.
    pub(crate) fn device(&self) -> Result<u64> {
        Ok(self.directory.stat()?.device)
    }

    /// Sets its times.
    ///
    /// # Errors
    ///
    /// [`Errno::Rofs`] if it is read-only.
    pub fn set_times(&self, times: SetTimes) -> Result<()> {
        self.writable()?;
        self.directory.set_times(times)
    }

    /// Writes to the disk what is not there yet.
    pub fn sync(&self) -> Result<()> {
        self.directory.sync()
    }

    /// Whether both are in one mount.
    pub(crate) fn is_in_mount_of(&self, other: &Place) -> bool {
        self.mount == other.mount
    }

    /// Where a symbolic link leads that is here and absolute: a path of the guest's, or, where nothing is mounted that
    /// it leads to, of the mount the link is in.
    pub(crate) fn origin_of(&self, target: &[u8]) -> Place {
        let world = &self.world;
        world.root_for(target).unwrap_or_else(|| match self.mount {
            Some((mount, spot)) => world.at_mount(mount, spot),
            None => world.spot(ROOT, None),
        })
    }

    /// Whether a path that goes on here comes to no other mount.
    pub(crate) fn is_plain(&self) -> bool {
        self.spot.is_none()
    }

    /// The spot below, if `name` leads to something mounted.
    fn below(&self, name: Name<'_>) -> Option<usize> {
        let spot = &self.world.mounts.spots[self.spot?];
        spot.below.get(name.bytes()).copied()
    }

    /// A directory of the same mount, with nothing mounted in it.
    pub(crate) fn with(&self, directory: Arc<dyn Directory>) -> Place {
        Place {
            directory,
            spot: None,
            ..self.clone()
        }
    }

    /// What is at `name` for a path that goes on behind it.
    pub(crate) fn enter(&self, name: Name<'_>) -> Result<Entered> {
        let Some(spot) = self.below(name) else {
            return Ok(match self.directory.enter(name)? {
                Step::Directory(directory) => Entered::Place(self.with(directory)),
                Step::Symlink(target) => Entered::Symlink(target),
            });
        };
        match self.file(spot) {
            Some(_) => Err(Errno::Notdir),
            None => Ok(Entered::Place(self.at_spot(spot, name))),
        }
    }

    /// The file that is mounted at a spot.
    fn file(&self, spot: usize) -> Option<(usize, &[u8])> {
        let number = self.world.mounts.spots[spot].mount?;
        let file = self.world.mounts.mounts[number].file.as_deref()?;
        Some((number, file))
    }

    fn at_spot(&self, spot: usize, name: Name<'_>) -> Place {
        if self.world.mounts.spots[spot].mount.is_none()
            && let Ok(Step::Directory(directory)) = self.directory.enter(name)
        {
            return Place {
                directory,
                spot: Some(spot),
                ..self.clone()
            };
        }
        self.world.spot(spot, Some(self))
    }

    /// Whether something is mounted at `name`, or it is the way to something that is.
    pub(crate) fn is_mount(&self, name: Name<'_>) -> bool {
        self.below(name).is_some()
    }

    /// The directory that is mounted at `name`, or the way to something that is.
    pub(crate) fn directory_at(&self, name: Name<'_>) -> Option<Place> {
        let spot = self.below(name)?;
        match self.file(spot) {
            Some(_) => None,
            None => Some(self.at_spot(spot, name)),
        }
    }

    /// The file that is mounted at `name`: the directory it is in, and its name there.
    pub(crate) fn file_at(&self, name: Name<'_>) -> Option<(Place, Name<'_>)> {
        let spot = self.below(name)?;
        let (number, file) = self.file(spot)?;
        let place = self.world.at_mount(number, spot);
        Some((place, Name::new(file).ok()?))
    }

    fn type_at(&self, spot: usize) -> FileType {
        match self.file(spot) {
            Some(_) => FileType::Regular,
            None => FileType::Directory,
        }
    }

    /// Lists the directory, as [`Directory::list`] does, and what is mounted in it: as the file systems have it, and a guest
    /// perhaps [does not](crate::Listing).
    ///
    /// # Errors
    ///
    /// [`Errno::Inval`] for a cookie that no list has, and what keeps the directory from being read.
    pub fn list(
        &self,
        cookie: u64,
        room: usize,
        each: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let Some(spot) = self.spot else {
            return self.directory.list(cookie, room, each);
        };
        let below = &self.world.mounts.spots[spot].below;
        let mut ended = false;
        if cookie & MOUNTED == 0 {
            self.directory.list(cookie, room, &mut |mut entry| {
                if let Some(&spot) = below.get(entry.name) {
                    entry.file_type = self.type_at(spot);
                }
                let flow = each(entry);
                ended |= flow.is_break();
                flow
            })?;
        }
        // Behind them, what only a mount makes a name of this directory.
        let begin = cookie.saturating_sub(MOUNTED) as usize;
        for (number, (bytes, spot)) in below.iter().enumerate().skip(begin) {
            if ended {
                break;
            }
            let Ok(name) = Name::new(bytes) else {
                continue;
            };
            if self.directory.stat_at(name).is_ok() {
                continue;
            }
            let stat = match self.file_at(name) {
                Some((place, name)) => place.directory.stat_at(name),
                None => self.at_spot(*spot, name).directory.stat(),
            };
            // A file of the host may have gone.
            let Ok(stat) = stat else { continue };
            let entry = Entry {
                name: bytes,
                inode: stat.inode,
                file_type: self.type_at(*spot),
                next: MOUNTED + number as u64 + 1,
            };
            ended = each(entry).is_break();
        }
        Ok(())
    }
}

/// Cookies from here on are of what is mounted in a directory. Linux has none that large.
const MOUNTED: u64 = 1 << 63;

/// What a path comes to by a name.
pub(crate) enum Entered {
    Place(Place),
    Symlink(Vec<u8>),
}
