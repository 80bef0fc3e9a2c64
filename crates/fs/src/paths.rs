//! What can be done with what a path leads to.
//!
//! Which of several errors a call has is as on Linux, whose `fs/namei.c` is the reference.

use std::sync::Arc;
use std::time::Duration;

use wasmrun_core::{Access, Control, Interrupt};

#[cfg(target_os = "linux")]
use crate::CutShort;
use crate::walk::{Part, Walk};
use crate::world::Entered;
use crate::{Errno, File, FileType, Name, OpenOptions, PATH_MAX, Place, Result, SetTimes, Stat};

/// What was opened.
#[derive(Clone)]
pub enum Opened {
    /// A file, and what may be done with what is known of it.
    File(Arc<dyn File>, Access),
    /// A directory.
    Directory(Place),
}

/// What a path leads to, which is there.
enum Target {
    Place(Place),
    /// A name, and what is known of what is there.
    Named(Place, Vec<u8>, Stat),
}

impl Place {
    /// What is known of what is at `path`. A symbolic link at its end is followed if asked.
    ///
    /// # Errors
    ///
    /// What Linux has for `fstatat`, as all of these have what Linux has for their like, and [`Errno::Perm`] for a path
    /// that leads above this directory, or is absolute.
    pub fn stat_path(&self, path: &[u8], follow: bool) -> Result<Stat> {
        match self.target(path, follow)? {
            Target::Place(place) => place.stat(),
            Target::Named(place, _, stat) => Ok(place.told(stat)),
        }
    }

    /// Sets the times of what is at `path`. A symbolic link at its end is followed if asked.
    ///
    /// # Errors
    ///
    /// Those of `utimensat`.
    pub fn set_times_path(&self, path: &[u8], follow: bool, times: SetTimes) -> Result<()> {
        if times == SetTimes::KEEP {
            // Linux does not even look at the path.
            return Ok(());
        }
        match self.target(path, follow)? {
            Target::Place(place) => place.set_times(times),
            Target::Named(place, name, _) => {
                place.writable()?;
                place.directory.set_times_at(Name::new(&name)?, times)
            }
        }
    }

    /// Opens what is at `path`, which has to be a directory if `directory` says so. A symbolic link at its end is
    /// followed if asked, and otherwise not opened.
    ///
    /// # Errors
    ///
    /// Those of `openat`. [`Errno::Nxio`] for a FIFO or socket.
    pub fn open_path(
        &self,
        path: &[u8],
        follow: bool,
        directory: bool,
        options: OpenOptions,
    ) -> Result<Opened> {
        if directory && options.create {
            return Err(Errno::Inval);
        }
        let mut walk = Walk::begin(self, path)?;
        loop {
            let last = walk.parent()?;
            let Part::Name(range) = last.part else {
                return opened(walk.place(), options);
            };
            let (place, name) = (walk.place(), walk.name(&range)?);
            if last.slash && options.create {
                return Err(Errno::Isdir);
            }
            if let Some(mounted) = place.directory_at(name) {
                return opened(&mounted, options);
            }
            if let Some((place, name)) = place.file_at(name) {
                return match last.slash || directory {
                    true => Err(Errno::Notdir),
                    false => {
                        open(&place, name, options).map(|file| Opened::File(file, place.access()))
                    }
                };
            }
            let target = if last.slash || directory {
                match place.enter(name)? {
                    Entered::Place(place) => return opened(&place, options),
                    Entered::Symlink(_) if !follow && !last.slash => return Err(Errno::Notdir),
                    Entered::Symlink(target) => target,
                }
            } else {
                match open(place, name, options) {
                    Err(Errno::Isdir) if !options.create && !options.writes() => {
                        match place.enter(name)? {
                            Entered::Place(place) => return opened(&place, options),
                            Entered::Symlink(target) => target,
                        }
                    }
                    Err(Errno::Loop) if follow => place.directory.read_link(name)?,
                    done => return done.map(|file| Opened::File(file, place.access())),
                }
            };
            walk.follow(target)?;
        }
    }

    /// As [`open_path`](Place::open_path), of a guest that `control` ends: what somebody has a lease on gets a while to be
    /// given up, and what blocks in the kernel is cut short.
    ///
    /// # Errors
    ///
    /// The [`Interrupt`], if the guest is to end.
    pub fn open_path_until(
        &self,
        control: &Control,
        path: &[u8],
        follow: bool,
        directory: bool,
        options: OpenOptions,
    ) -> std::result::Result<Result<Opened>, Interrupt> {
        /// How long to wait before trying again.
        const RETRY: Duration = Duration::from_millis(10);
        #[cfg(target_os = "linux")]
        let _cut_short = CutShort::by(control);
        loop {
            match self.open_path(path, follow, directory, options) {
                Ok(opened) => return Ok(Ok(opened)),
                Err(Errno::Again) => {
                    if let Some(reason) = control.sleep(RETRY) {
                        return Err(reason);
                    }
                }
                // It may have been cut short.
                Err(error) => return control.interrupted().map_or(Ok(Err(error)), Err),
            }
        }
    }

    /// The target of the symbolic link at `path`.
    ///
    /// # Errors
    ///
    /// Those of `readlinkat`.
    pub fn read_link_path(&self, path: &[u8]) -> Result<Vec<u8>> {
        match self.target(path, false)? {
            Target::Place(_) => Err(Errno::Inval),
            Target::Named(place, name, _) => place.directory.read_link(Name::new(&name)?),
        }
    }

    /// Makes a directory at `path`.
    ///
    /// # Errors
    ///
    /// Those of `mkdirat`.
    pub fn create_directory_path(&self, path: &[u8]) -> Result<()> {
        self.create(path, true, |place, name| {
            place.directory.create_directory(name)
        })
    }

    /// Makes a symbolic link at `path`, whether there is a `target` or not.
    ///
    /// # Errors
    ///
    /// Those of `symlinkat`, and [`Errno::Perm`] for a target that is absolute: so says WASI. (Such links that somebody
    /// else has made are followed.)
    pub fn symlink_path(&self, target: &[u8], path: &[u8]) -> Result<()> {
        match target {
            [] => return Err(Errno::Noent),
            [b'/', ..] => return Err(Errno::Perm),
            _ if target.contains(&0) => return Err(Errno::Inval),
            _ if target.len() >= PATH_MAX => return Err(Errno::Nametoolong),
            _ => {}
        }
        self.create(path, false, |place, name| {
            place.directory.symlink(name, target)
        })
    }

    /// Makes `new`, from `to`, another name of what is at `path`. A symbolic link at the end of `path` is followed if
    /// asked.
    ///
    /// # Errors
    ///
    /// Those of `linkat`.
    pub fn link_path(&self, path: &[u8], follow: bool, to: &Place, new: &[u8]) -> Result<()> {
        let target = self.target(path, follow)?;
        to.create(new, false, |to, new| match &target {
            Target::Named(place, name, _) => {
                one_file_system(place, to)?;
                place.directory.link(Name::new(name)?, &*to.directory, new)
            }
            Target::Place(_) => Err(Errno::Perm),
        })
    }

    /// Moves what is at `path` to `new`, from `to`, in place of what is there.
    ///
    /// # Errors
    ///
    /// Those of `renameat`.
    pub fn rename_path(&self, path: &[u8], to: &Place, new: &[u8]) -> Result<()> {
        let mut walk = Walk::begin(self, path)?;
        let last = walk.parent()?;
        let mut new = Walk::begin(to, new)?;
        let new_last = new.parent()?;
        let (place, to) = (walk.place(), new.place());
        let (Part::Name(range), Part::Name(new_range)) = (last.part, new_last.part) else {
            return Err(Errno::Busy);
        };
        one_file_system(place, to)?;
        place.writable()?;
        let (name, new_name) = (walk.name(&range)?, new.name(&new_range)?);
        if place.is_mount(name) || to.is_mount(new_name) {
            return Err(Errno::Busy);
        }
        if last.slash || new_last.slash {
            is_directory(place, name)?;
        }
        let moved = place.going(name);
        let replaced = to.going(new_name).filter(|replaced| {
            let number = |stat: &Stat| (stat.device, stat.inode);
            moved.as_ref().map(number) != Some(number(replaced))
        });
        place.directory.rename(name, &*to.directory, new_name)?;
        to.lost(replaced);
        Ok(())
    }

    /// Removes what is at `path`, which is no directory.
    ///
    /// # Errors
    ///
    /// Those of `unlinkat`.
    pub fn remove_file_path(&self, path: &[u8]) -> Result<()> {
        let mut walk = Walk::begin(self, path)?;
        let last = walk.parent()?;
        let Part::Name(range) = last.part else {
            return Err(Errno::Isdir);
        };
        let (place, name) = (walk.place(), walk.name(&range)?);
        place.writable()?;
        if place.is_mount(name) {
            let is_directory = place.directory_at(name).is_some();
            return Err(if is_directory {
                Errno::Isdir
            } else {
                Errno::Busy
            });
        }
        if last.slash {
            is_directory(place, name)?;
        }
        let gone = place.going(name);
        place.directory.remove_file(name)?;
        place.lost(gone);
        Ok(())
    }

    /// Removes the directory at `path`.
    ///
    /// # Errors
    ///
    /// Those of `unlinkat` with `AT_REMOVEDIR`.
    pub fn remove_directory_path(&self, path: &[u8]) -> Result<()> {
        let mut walk = Walk::begin(self, path)?;
        let range = match walk.parent()?.part {
            Part::Name(range) => range,
            Part::Dot => return Err(Errno::Inval),
            Part::DotDot => return Err(Errno::Notempty),
        };
        let (place, name) = (walk.place(), walk.name(&range)?);
        place.writable()?;
        if place.is_mount(name) {
            let is_directory = place.directory_at(name).is_some();
            return Err(if is_directory {
                Errno::Busy
            } else {
                Errno::Notdir
            });
        }
        let gone = place.going(name);
        place.directory.remove_directory(name)?;
        place.lost(gone);
        Ok(())
    }

    fn target(&self, path: &[u8], follow: bool) -> Result<Target> {
        let mut walk = Walk::begin(self, path)?;
        loop {
            let last = walk.parent()?;
            let Part::Name(range) = last.part else {
                return Ok(Target::Place(walk.place().clone()));
            };
            let (place, name) = (walk.place(), walk.name(&range)?);
            if let Some(mounted) = place.directory_at(name) {
                return Ok(Target::Place(mounted));
            }
            if let Some((place, name)) = place.file_at(name) {
                let stat = place.directory.stat_at(name)?;
                return match last.slash {
                    true => Err(Errno::Notdir),
                    false => Ok(named(&place, name, stat)),
                };
            }
            let stat = place.directory.stat_at(name)?;
            match stat.file_type {
                FileType::Symlink if follow || last.slash => {
                    let target = place.directory.read_link(name)?;
                    walk.follow(target)?;
                }
                FileType::Directory => return Ok(named(place, name, stat)),
                _ if last.slash => return Err(Errno::Notdir),
                _ => return Ok(named(place, name, stat)),
            }
        }
    }

    /// Makes something at `path`, where there is nothing yet. Only a directory may have slashes behind its name.
    fn create(
        &self,
        path: &[u8],
        directory: bool,
        create: impl FnOnce(&Place, Name<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut walk = Walk::begin(self, path)?;
        let last = walk.parent()?;
        let Part::Name(range) = last.part else {
            return Err(Errno::Exist);
        };
        let (place, name) = (walk.place(), walk.name(&range)?);
        if place.is_mount(name) {
            return Err(Errno::Exist);
        }
        let refused = match place.writable() {
            _ if last.slash && !directory => Err(Errno::Noent),
            writable => writable,
        };
        if refused.is_err() && place.directory.stat_at(name).is_ok() {
            return Err(Errno::Exist);
        }
        refused?;
        create(place, name)
    }
}

/// Whether what is in one place can be in another without being copied. Two mounts of directories of the host may be of one
/// file system; but what is in one that is read-only gets no name in one that can be written.
fn one_file_system(place: &Place, other: &Place) -> Result<()> {
    match place.is_in_mount_of(other) || place.writable().is_ok() && other.writable().is_ok() {
        true => Ok(()),
        false => Err(Errno::Xdev),
    }
}

fn named(place: &Place, name: Name<'_>, stat: Stat) -> Target {
    Target::Named(place.clone(), name.bytes().to_vec(), stat)
}

fn is_directory(place: &Place, name: Name<'_>) -> Result<()> {
    match place.directory.stat_at(name)?.file_type {
        FileType::Directory => Ok(()),
        _ => Err(Errno::Notdir),
    }
}

fn opened(place: &Place, options: OpenOptions) -> Result<Opened> {
    if options.create && options.exclusive {
        return Err(Errno::Exist);
    }
    if options.create || options.writes() {
        return Err(Errno::Isdir);
    }
    place.directory.open()?;
    Ok(Opened::Directory(place.clone()))
}

fn open(place: &Place, name: Name<'_>, options: OpenOptions) -> Result<Arc<dyn File>> {
    place.shown(open_there(place, name, options)?)
}

fn open_there(place: &Place, name: Name<'_>, options: OpenOptions) -> Result<Arc<dyn File>> {
    if place.writable().is_ok() || !(options.create || options.writes()) {
        return place.directory.open_at(name, options);
    }
    // On Linux devices could be written. Here read-only means what it says.
    match place.directory.stat_at(name) {
        Err(Errno::Noent) if options.create => Err(Errno::Rofs),
        Err(error) => Err(error),
        Ok(_) if options.create && options.exclusive => Err(Errno::Exist),
        Ok(stat) => match stat.file_type {
            FileType::Symlink => Err(Errno::Loop),
            FileType::Directory => Err(Errno::Isdir),
            _ if options.writes() => Err(Errno::Rofs),
            _ => {
                let create = false;
                let options = OpenOptions { create, ..options };
                place.directory.open_at(name, options)
            }
        },
    }
}
