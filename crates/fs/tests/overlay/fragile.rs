//! A directory that fails when it is told to, to see what an interruption leaves.

use std::any::Any;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use wasmrun_fs::{
    Advice, Directory, Entry, Errno, File, Name, OpenOptions, Result, SetTimes, Stat, Step,
};

/// When changes fail.
#[derive(Clone)]
pub struct Fuse {
    left: Arc<AtomicI64>,
    /// Whether all fail from then on, as after a kill, or only one.
    kills: bool,
}

impl Fuse {
    pub fn new(kills: bool) -> Self {
        Fuse {
            left: Arc::new(AtomicI64::new(i64::MAX)),
            kills,
        }
    }

    /// So many changes succeed from now on.
    pub fn set(&self, changes: i64) {
        self.left.store(changes, SeqCst);
    }

    /// Whether a change has failed since.
    pub fn is_blown(&self) -> bool {
        self.left.load(SeqCst) < 0
    }

    fn change(&self) -> Result<()> {
        match self.left.fetch_sub(1, SeqCst) {
            0 => Err(Errno::Io),
            ..0 if self.kills => Err(Errno::Io),
            _ => Ok(()),
        }
    }
}

pub struct Fragile {
    pub inner: Arc<dyn Directory>,
    pub fuse: Fuse,
}

fn inner(directory: &dyn Directory) -> &dyn Directory {
    &*(directory as &dyn Any)
        .downcast_ref::<Fragile>()
        .unwrap()
        .inner
}

impl Directory for Fragile {
    fn stat(&self) -> Result<Stat> {
        self.inner.stat()
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.fuse.change()?;
        self.inner.set_times(times)
    }

    fn open(&self) -> Result<()> {
        self.inner.open()
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn list(
        &self,
        cookie: u64,
        room: usize,
        each: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        self.inner.list(cookie, room, each)
    }

    fn enter(&self, name: Name<'_>) -> Result<Step> {
        Ok(match self.inner.enter(name)? {
            Step::Directory(inner) => Step::Directory(Arc::new(Fragile {
                inner,
                fuse: self.fuse.clone(),
            })),
            link => link,
        })
    }

    fn stat_at(&self, name: Name<'_>) -> Result<Stat> {
        self.inner.stat_at(name)
    }

    fn set_times_at(&self, name: Name<'_>, times: SetTimes) -> Result<()> {
        self.fuse.change()?;
        self.inner.set_times_at(name, times)
    }

    fn open_at(&self, name: Name<'_>, options: OpenOptions) -> Result<Arc<dyn File>> {
        if options.create || options.truncate {
            self.fuse.change()?;
        }
        Ok(Arc::new(FragileFile {
            inner: self.inner.open_at(name, options)?,
            fuse: self.fuse.clone(),
        }))
    }

    fn read_link(&self, name: Name<'_>) -> Result<Vec<u8>> {
        self.inner.read_link(name)
    }

    fn create_directory(&self, name: Name<'_>) -> Result<()> {
        self.fuse.change()?;
        self.inner.create_directory(name)
    }

    fn symlink(&self, name: Name<'_>, target: &[u8]) -> Result<()> {
        self.fuse.change()?;
        self.inner.symlink(name, target)
    }

    fn link(&self, name: Name<'_>, to: &dyn Directory, new: Name<'_>) -> Result<()> {
        self.fuse.change()?;
        self.inner.link(name, inner(to), new)
    }

    fn rename(&self, name: Name<'_>, to: &dyn Directory, new: Name<'_>) -> Result<()> {
        self.fuse.change()?;
        self.inner.rename(name, inner(to), new)
    }

    fn remove_file(&self, name: Name<'_>) -> Result<()> {
        self.fuse.change()?;
        self.inner.remove_file(name)
    }

    fn remove_directory(&self, name: Name<'_>) -> Result<()> {
        self.fuse.change()?;
        self.inner.remove_directory(name)
    }
}

struct FragileFile {
    inner: Arc<dyn File>,
    fuse: Fuse,
}

impl File for FragileFile {
    fn stat(&self) -> Result<Stat> {
        self.inner.stat()
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.fuse.change()?;
        self.inner.set_times(times)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    /// Half of them at a time, so that it can end within.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        self.fuse.change()?;
        self.inner
            .write_at(&bytes[..bytes.len().div_ceil(2)], offset)
    }

    fn append(&self, bytes: &[u8]) -> Result<usize> {
        self.fuse.change()?;
        self.inner.append(bytes)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        self.fuse.change()?;
        self.inner.set_size(size)
    }

    fn allocate(&self, offset: u64, length: u64) -> Result<()> {
        self.fuse.change()?;
        self.inner.allocate(offset, length)
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        self.inner.advise(offset, length, advice)
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        self.inner.sync(data_only)
    }
}
