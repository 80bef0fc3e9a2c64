//! What was read of archives, so that an archive is read once for all runs of a process.
//!
//! An archive is known by what the system tells of its file: which it is, how large, and when it last changed. One that
//! changed so shortly before it was looked at that it may change once more unseen is read by each run for itself.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wasmrun_core::Control;

use super::contents::{Contents, Format};
use super::error::Problem;
use super::source::{Source, goes_on};

/// What is kept of archives that no run uses, at most: of so many, and so many bytes of memory and of the disk. Of one that
/// has more, nothing is kept.
const MOST: Bounds = Bounds {
    archives: 32,
    memory: 256 << 20,
    disk: 1 << 30,
};

/// Two changes of a file within this many seconds may leave it with the same times: the clocks of file systems tick
/// as slowly as that. `wasmrun-cache` takes the same for guests.
const TICK: i64 = 2;

/// So often one that waits for an archive that another reads looks whether its run is to end.
const LOOK: Duration = Duration::from_millis(10);

/// What an archive has in it: as another run has read it, is reading it now, or as `control` leaves the time to read it.
pub(super) fn contents(
    file: &File,
    format: Format,
    control: &Control,
) -> Result<Arc<Contents>, Problem> {
    static CACHE: LazyLock<Cache> = LazyLock::new(|| Cache::new(MOST));

    let archive = Source { file, control };
    let now = seconds_since_1970();
    let key = Key::of(&file.metadata()?, format);
    if !key.is_certain(now) {
        return Contents::of(archive, &key.format).map(Arc::new);
    }
    CACHE.find_or_read(&key, control, || {
        let contents = Arc::new(Contents::of(archive, &key.format)?);
        let is_same = Key::of(&file.metadata()?, key.format.clone()) == key;
        Ok((contents, is_same))
    })
}

fn seconds_since_1970() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// What an archive is known by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds since 1970.
    modified: (i64, i64),
    changed: (i64, i64),
    format: Format,
}

impl Key {
    fn of(metadata: &Metadata, format: Format) -> Self {
        Key {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            format,
        }
    }

    /// Whether the file cannot change without another key from `now` on: seconds since 1970.
    fn is_certain(&self, now: i64) -> bool {
        self.modified.0.max(self.changed.0).saturating_add(TICK) < now
    }
}

/// How much a [`Cache`] keeps.
struct Bounds {
    archives: usize,
    memory: u64,
    disk: u64,
}

struct Cache {
    most: Bounds,
    state: Mutex<State>,
    /// An archive was read, or that was given up.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    known: HashMap<Key, Known>,
    /// What stays though no run uses it; what was used last is the last.
    kept: VecDeque<Arc<Contents>>,
}

/// What is known of an archive.
enum Known {
    /// A thread reads it.
    IsBeingRead,
    /// As long as it is kept or a run uses it.
    Read(Weak<Contents>),
}

impl Cache {
    fn new(most: Bounds) -> Self {
        Cache {
            most,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known by `key`, or else what `read` gives, and whether that is what the key stands for. While a thread
    /// reads an archive, others wait for it; if it fails, one of them reads it.
    fn find_or_read(
        &self,
        key: &Key,
        control: &Control,
        read: impl FnOnce() -> Result<(Arc<Contents>, bool), Problem>,
    ) -> Result<Arc<Contents>, Problem> {
        if let Some(found) = self.find_or_begin(key, control)? {
            return Ok(found);
        }
        let reading = Reading { cache: self, key };
        let (contents, is_same) = read()?;
        if is_same {
            reading.done(&contents);
        }
        Ok(contents)
    }

    /// What is known by `key`; if nothing is, this thread is the one that reads it.
    fn find_or_begin(
        &self,
        key: &Key,
        control: &Control,
    ) -> Result<Option<Arc<Contents>>, Problem> {
        let mut state = self.state();
        loop {
            let found = match state.known.get(key) {
                Some(Known::IsBeingRead) => {
                    let waited = self.changed.wait_timeout(state, LOOK);
                    (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                    goes_on(control)?;
                    continue;
                }
                Some(Known::Read(contents)) => contents.upgrade(),
                None => None,
            };
            let Some(contents) = found else {
                state.known.insert(key.clone(), Known::IsBeingRead);
                return Ok(None);
            };
            let dropped = self.keep(&mut state, &contents);
            drop(state);
            drop(dropped);
            return Ok(Some(contents));
        }
    }

    /// Keeps what was used now, and gives what is not kept any more, to be dropped when the state is free.
    fn keep(&self, state: &mut State, contents: &Arc<Contents>) -> Vec<Arc<Contents>> {
        let kept = &mut state.kept;
        kept.retain(|other| !Arc::ptr_eq(other, contents));
        if contents.memory > self.most.memory || contents.disk > self.most.disk {
            return Vec::new();
        }
        kept.push_back(Arc::clone(contents));
        let mut dropped = Vec::new();
        while kept.len() > self.most.archives
            || kept.iter().map(|kept| kept.memory).sum::<u64>() > self.most.memory
            || kept.iter().map(|kept| kept.disk).sum::<u64>() > self.most.disk
        {
            dropped.extend(kept.pop_front());
        }
        dropped
    }
}

/// That a thread reads an archive, until this is dropped.
struct Reading<'a> {
    cache: &'a Cache,
    key: &'a Key,
}

impl Reading<'_> {
    fn done(self, contents: &Arc<Contents>) {
        let mut state = self.cache.state();
        let dropped = self.cache.keep(&mut state, contents);
        let known = &mut state.known;
        known.retain(|_, known| match known {
            Known::IsBeingRead => true,
            Known::Read(contents) => contents.strong_count() > 0,
        });
        known.insert(self.key.clone(), Known::Read(Arc::downgrade(contents)));
        drop(state);
        drop(dropped);
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut state = self.cache.state();
        if let Some(Known::IsBeingRead) = state.known.get(self.key) {
            state.known.remove(self.key);
        }
        drop(state);
        self.cache.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::mpsc;
    use std::thread;

    use wasmrun_core::Interrupt;

    use super::super::TarLimits;
    use super::super::index::Builder;
    use super::*;

    fn cache() -> Cache {
        Cache::new(Bounds {
            archives: 3,
            memory: 100,
            disk: 100,
        })
    }

    fn key(inode: u64) -> Key {
        Key {
            device: 1,
            inode,
            size: 0,
            modified: (10, 0),
            changed: (11, 5),
            format: Format::Tar(TarLimits::default()),
        }
    }

    fn contents(memory: u64, disk: u64) -> Arc<Contents> {
        Arc::new(Contents {
            index: Builder::new(TarLimits::default()).finish(),
            decompressed: None,
            #[cfg(feature = "webc")]
            sha256: None,
            memory,
            disk,
        })
    }

    fn problem() -> Problem {
        Problem::new("damaged")
    }

    /// Has an archive of this size: whether it was read for that.
    fn reads(cache: &Cache, inode: u64, memory: u64, disk: u64) -> bool {
        let mut was_read = false;
        let found = cache.find_or_read(&key(inode), &Control::new(), || {
            was_read = true;
            Ok((contents(memory, disk), true))
        });
        assert!(found.is_ok());
        was_read
    }

    #[test]
    fn an_archive_that_just_changed_is_not_certain() {
        for (now, certain) in [(0, false), (11, false), (13, false), (14, true)] {
            assert_eq!(key(1).is_certain(now), certain, "{now}");
        }
        let from_the_future = Key {
            modified: (i64::MAX, 0),
            ..key(1)
        };
        assert!(!from_the_future.is_certain(i64::MAX));
    }

    #[test]
    fn an_archive_is_read_once() {
        let cache = cache();
        assert!(reads(&cache, 1, 0, 0));
        assert!((0..1000).all(|_| !reads(&cache, 1, 0, 0)));
        assert!(reads(&cache, 2, 0, 0));
    }

    #[test]
    fn what_was_used_last_stays_within_the_bounds() {
        for (memory, disk, fit) in [
            (0, 0, 3),
            (50, 0, 2),
            (0, 40, 2),
            (100, 100, 1),
            (101, 0, 0),
        ] {
            let cache = cache();
            assert!((1..=3).all(|inode| reads(&cache, inode, memory, disk)));
            let kept: Vec<_> = (cache.state().known.iter())
                .filter(|(_, known)| matches!(known, Known::Read(at) if at.strong_count() > 0))
                .map(|(key, _)| key.inode)
                .collect();
            assert_eq!(kept.len(), fit, "{memory} {disk}");
            assert!(kept.iter().all(|inode| *inode > 3 - fit as u64));
        }
        let cache = cache();
        assert!((1..=3).all(|inode| reads(&cache, inode, 0, 0)));
        assert!(!reads(&cache, 1, 0, 0));
        assert!(reads(&cache, 4, 0, 0));
        assert!(!reads(&cache, 1, 0, 0));
        assert!(reads(&cache, 2, 0, 0));
    }

    #[test]
    fn what_a_run_uses_is_not_read_again_whatever_is_kept() {
        let cache = cache();
        let too_large = contents(1000, 0);
        let used = cache.find_or_read(&key(1), &Control::new(), || Ok((too_large, true)));
        assert!((2..20).all(|inode| reads(&cache, inode, 0, 0)));
        assert!(!reads(&cache, 1, 1000, 0));
        drop(used);
        assert!(reads(&cache, 1, 1000, 0));
        // Nothing of what is gone is left behind.
        assert!(cache.state().known.len() <= 5);
    }

    #[test]
    fn threads_that_want_the_same_have_it_read_once() {
        let (cache, times) = (cache(), AtomicUsize::new(0));
        let run = || {
            cache.find_or_read(&key(1), &Control::new(), || {
                times.fetch_add(1, SeqCst);
                thread::sleep(Duration::from_millis(30));
                Ok((contents(1000, 0), true))
            })
        };
        let all: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
            let ended = threads.into_iter().map(|thread| thread.join());
            ended.map(|ended| ended.expect("no panic")).collect()
        });
        let all: Result<Vec<_>, _> = all.into_iter().collect();
        assert!(all.is_ok_and(|all| all.iter().all(|one| Arc::ptr_eq(one, &all[0]))));
        assert_eq!(times.load(SeqCst), 1);
    }

    #[test]
    fn who_waits_reads_it_if_the_reader_does_not() {
        type Ends = fn() -> Result<(Arc<Contents>, bool), Problem>;
        let ends: [Ends; 3] = [
            || Err(problem()),
            || Ok((contents(0, 0), false)),
            || panic!("a bug"),
        ];
        for end in ends {
            let (cache, (began, begins)) = (cache(), mpsc::channel());
            thread::scope(|scope| {
                let fails = || {
                    cache.find_or_read(&key(1), &Control::new(), || {
                        began.send(()).expect("is awaited");
                        thread::sleep(Duration::from_millis(30));
                        end()
                    })
                };
                let reader = scope.spawn(move || catch_unwind(AssertUnwindSafe(fails)).is_ok());
                begins.recv().expect("it begins");
                assert!(reads(&cache, 1, 0, 0));
                assert!(!reads(&cache, 1, 0, 0));
                drop(reader.join());
            });
        }
    }

    #[test]
    fn who_waits_ends_with_its_run() {
        let cache = cache();
        let reads_on = cache.find_or_begin(&key(1), &Control::new());
        assert!(reads_on.is_ok_and(|found| found.is_none()));
        let control = Control::new();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let found = cache.find_or_read(&key(1), &control, || panic!("is being read"));
                found
                    .err()
                    .map(|problem| problem.in_archive("a").to_string())
            });
            control.interrupt(Interrupt::Timeout);
            let error = waiter.join().expect("no panic").expect("an error");
            assert!(error.contains("is to end"), "{error}");
        });
    }
}
