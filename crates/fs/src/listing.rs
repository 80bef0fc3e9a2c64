//! The listing of an open directory, as a guest is shown it.

use std::ops::{ControlFlow, Range};

use crate::order::{Order, Room};
use crate::{Entry, FileType, Name, Place, Result};

/// Where the listing of an open directory is. Each that a guest opens has one of its own.
///
/// In a world that is [in order](crate::World::in_order) it is what the directory had when it was listed from the beginning,
/// by the bytes of names. POSIX leaves open whether what is made or removed behind that is seen before it is rewound.
/// In other worlds it is the file system's, entry by entry.
#[derive(Default)]
pub struct Listing(State);

#[derive(Default)]
enum State {
    #[default]
    Unread,
    Sorted(Sorted),
    /// All of it was given, up to this cookie.
    Ended(u64),
}

impl Listing {
    /// Lists `place` from a [cookie](Entry::next) on, 0 for all, until `each` breaks. `room` is about how many bytes of
    /// names and entries the caller takes.
    ///
    /// # Errors
    ///
    /// Those of [`Place::list`], and [`Errno::Nomem`](crate::Errno::Nomem) if a directory that is to be sorted is larger
    /// than 64 MiB in memory, or with others that are being listed.
    pub fn list(
        &mut self,
        place: &Place,
        cookie: u64,
        room: usize,
        each: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let Some(order) = place.order() else {
            return place.list(cookie, room, each);
        };
        let is_fresh = match &self.0 {
            State::Ended(end) if cookie > 0 && cookie >= *end => return Ok(()),
            State::Sorted(_) => cookie > 0,
            State::Unread | State::Ended(_) => false,
        };
        if !is_fresh {
            // What it had before has to make room first.
            self.0 = State::Unread;
            self.0 = State::Sorted(Sorted::read(place, order)?);
        }
        if let State::Sorted(sorted) = &self.0
            && sorted.give(cookie, each).is_continue()
        {
            self.0 = State::Ended(sorted.entries.len() as u64);
        }
        Ok(())
    }
}

/// The entries that a directory had, by the bytes of their names, `.` and `..` first.
struct Sorted {
    names: Vec<u8>,
    entries: Vec<Listed>,
    _room: Room,
}

struct Listed {
    name: Range<usize>,
    inode: u64,
    file_type: FileType,
}

impl Sorted {
    fn read(place: &Place, order: &Order) -> Result<Self> {
        let (mut names, mut entries) = (Vec::new(), Vec::new());
        let mut room = order.room();
        let mut enough = Ok(());
        place.list(0, usize::MAX, &mut |entry| {
            enough = room.take(entry.name.len() + size_of::<Listed>());
            if enough.is_err() {
                return ControlFlow::Break(());
            }
            let begin = names.len();
            names.extend_from_slice(entry.name);
            entries.push(Listed {
                name: begin..names.len(),
                inode: entry.inode,
                file_type: entry.file_type,
            });
            ControlFlow::Continue(())
        })?;
        enough?;
        entries.sort_unstable_by_key(|entry| rank(&names[entry.name.clone()]));
        let device = place.device()?;
        for entry in &mut entries {
            let name = &names[entry.name.clone()];
            let is_mount = Name::new(name).is_ok_and(|name| place.is_mount(name));
            entry.inode = match is_mount.then(|| place.stat_path(name, false)) {
                Some(Ok(mounted)) => mounted.inode,
                _ => order.inode(device, entry.inode),
            };
        }
        Ok(Sorted {
            names,
            entries,
            _room: room,
        })
    }

    /// Gives what is from a cookie on.
    fn give(
        &self,
        cookie: u64,
        each: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let begin = usize::try_from(cookie).unwrap_or(usize::MAX);
        let rest = self.entries.iter().enumerate().skip(begin);
        for (number, entry) in rest {
            each(Entry {
                name: &self.names[entry.name.clone()],
                inode: entry.inode,
                file_type: entry.file_type,
                next: number as u64 + 1,
            })?;
        }
        ControlFlow::Continue(())
    }
}

fn rank(name: &[u8]) -> (u8, &[u8]) {
    let first = match name {
        b"." => 0,
        b".." => 1,
        _ => 2,
    };
    (first, name)
}

#[cfg(test)]
mod tests {
    use wasmrun_core::Access;

    use super::*;
    use crate::{Memory, MemoryLimits, Mounted, World};

    fn world(names: &[&str]) -> (World, Place) {
        let memory = Memory::new(MemoryLimits::default());
        let inner = Memory::new(MemoryLimits::default());
        let world = World::new(vec![
            Mounted::new("/", memory.root(), Access::ReadWrite),
            Mounted::new("/mounted", inner.root(), Access::ReadWrite),
        ]);
        let world = world.in_order();
        let place = world.mounts().next().map(|(_, place)| place);
        let place = place.expect("it is mounted");
        for name in names {
            place.create_directory_path(name.as_bytes()).expect(name);
        }
        (world, place)
    }

    /// At most so many entries from a cookie on, and the last cookie.
    fn listed(
        listing: &mut Listing,
        place: &Place,
        cookie: u64,
        most: usize,
    ) -> (Vec<(String, u64)>, u64) {
        let (mut entries, mut last) = (Vec::new(), cookie);
        let list = listing.list(place, cookie, 0, &mut |entry| {
            if entries.len() == most {
                return ControlFlow::Break(());
            }
            let name = String::from_utf8_lossy(entry.name).into_owned();
            entries.push((name, entry.inode));
            last = entry.next;
            ControlFlow::Continue(())
        });
        list.expect("it lists");
        (entries, last)
    }

    fn names(listing: &mut Listing, place: &Place, cookie: u64, most: usize) -> (Vec<String>, u64) {
        let (entries, last) = listed(listing, place, cookie, most);
        (entries.into_iter().map(|(name, _)| name).collect(), last)
    }

    #[test]
    fn names_and_numbers_do_not_tell_what_was_made_first() {
        let all = |made: &[&str]| {
            let (_world, place) = world(made);
            listed(&mut Listing::default(), &place, 0, usize::MAX)
        };
        let once = all(&["z", "b", "a", "-", "Z", "\u{e9}"]);
        assert_eq!(all(&["\u{e9}", "Z", "-", "a", "b", "z"]), once);
        let (names, _): (Vec<_>, Vec<_>) = once.0.into_iter().unzip();
        assert_eq!(
            names,
            [".", "..", "-", "Z", "a", "b", "mounted", "z", "\u{e9}"]
        );
    }

    #[test]
    fn a_listing_goes_on_whatever_is_made_and_removed_meanwhile() {
        let (_world, place) = world(&["b", "d", "f"]);
        let mut listing = Listing::default();
        let (first, cookie) = names(&mut listing, &place, 0, 3);
        assert_eq!(first, [".", "..", "b"]);
        for name in ["b", "d"] {
            place.remove_directory_path(name.as_bytes()).expect(name);
        }
        for name in ["a", "c"] {
            place.create_directory_path(name.as_bytes()).expect(name);
        }
        let (rest, end) = names(&mut listing, &place, cookie, usize::MAX);
        assert_eq!(rest, ["d", "f", "mounted"]);
        // To the end, again from where it was, and anew.
        assert_eq!(names(&mut listing, &place, end, usize::MAX).0, [""; 0]);
        assert_eq!(names(&mut listing, &place, cookie, 1).0.len(), 1);
        let (again, _) = names(&mut listing, &place, 0, usize::MAX);
        assert_eq!(again, [".", "..", "a", "c", "f", "mounted"]);
    }

    #[test]
    fn a_file_has_the_number_that_was_listed() {
        let (_world, place) = world(&["b", "a"]);
        let (entries, _) = listed(&mut Listing::default(), &place, 0, usize::MAX);
        for (name, inode) in entries {
            if name != ".." {
                let stat = place.stat_path(name.as_bytes(), true).expect("it is there");
                assert_eq!(stat.inode, inode, "{name}");
            }
        }
    }
}
