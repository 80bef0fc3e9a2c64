//! Cookies for the names of a directory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::FileType;

/// The first cookie of a name, behind those of `.` and `..`.
const FIRST: u64 = 2;

/// `telldir` of a guest has 31 bits.
const MOST: u64 = (1 << 31) - 1;

/// The number and type of what a name stands for.
pub(super) type Known = (u64, FileType);

/// The names of a directory that is listed, in the order they were first met.
///
/// A name keeps its cookie while it is there, whichever layer it moves to, and no other name ever gets it. So several
/// can list the directory at once, and it can be emptied and filled meanwhile. What is made is listed by those who
/// begin later, so that nobody who makes a name for each that is listed does so for ever.
#[derive(Default)]
pub(super) struct Listing {
    cookies: HashMap<Arc<[u8]>, u64>,
    /// What is known of a name is forgotten when something becomes of it.
    names: BTreeMap<u64, (Arc<[u8]>, Option<Known>)>,
    next: u64,
}

impl Listing {
    /// Whether the names of the directory were ever [set](Listing::set).
    pub(super) fn is_set(&self) -> bool {
        self.next != 0
    }

    /// These are its names now.
    pub(super) fn set(&mut self, names: Vec<(Arc<[u8]>, Known)>) {
        if self.next + names.len() as u64 >= MOST {
            *self = Listing::default();
        }
        self.next = self.next.max(FIRST);
        let mut old = std::mem::take(&mut self.cookies);
        for (name, known) in names {
            let cookie = old.remove(&name);
            self.put(name, cookie, Some(known));
        }
        for cookie in old.values() {
            self.names.remove(cookie);
        }
    }

    fn put(&mut self, name: Arc<[u8]>, cookie: Option<u64>, known: Option<Known>) {
        let cookie = cookie.unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        self.cookies.insert(Arc::clone(&name), cookie);
        self.names.insert(cookie, (name, known));
    }

    /// Something becomes of a name: it may be gone, or stand for something else.
    pub(super) fn touch(&mut self, name: &[u8]) {
        if let Some(cookie) = self.cookies.get(name)
            && let Some((_, known)) = self.names.get_mut(cookie)
        {
            *known = None;
        }
    }

    /// The first name from a cookie on, its cookie, and what is known of it.
    pub(super) fn from(&self, cookie: u64) -> Option<(u64, Arc<[u8]>, Option<Known>)> {
        let (cookie, (name, known)) = self.names.range(cookie..).next()?;
        Some((*cookie, Arc::clone(name), *known))
    }

    /// What a name stands for was found out: nothing if it is not there.
    pub(super) fn learn(&mut self, cookie: u64, found: Option<Known>) {
        match found {
            Some(_) => {
                if let Some((_, known)) = self.names.get_mut(&cookie) {
                    *known = found;
                }
            }
            None => {
                if let Some((name, _)) = self.names.remove(&cookie) {
                    self.cookies.remove(&name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known = (1, FileType::Regular);

    fn names(names: &[&[u8]]) -> Vec<(Arc<[u8]>, Known)> {
        names.iter().map(|name| (Arc::from(*name), KNOWN)).collect()
    }

    fn cookie(listing: &Listing, name: &[u8]) -> Option<u64> {
        listing.cookies.get(name).copied()
    }

    #[test]
    fn a_name_keeps_its_cookie_while_it_is_there() {
        let mut listing = Listing::default();
        listing.set(names(&[b"a", b"b"]));
        let b = cookie(&listing, b"b");
        listing.set(names(&[b"c", b"b"]));
        assert_eq!(cookie(&listing, b"b"), b);
        assert_eq!(cookie(&listing, b"a"), None);
        assert_eq!(listing.names.len(), 2);
        listing.set(names(&[b"a", b"b", b"c"]));
        assert!(cookie(&listing, b"a") > cookie(&listing, b"c"));
    }

    #[test]
    fn what_becomes_of_a_name_has_to_be_found_out() {
        let mut listing = Listing::default();
        listing.set(names(&[b"a", b"b"]));
        listing.touch(b"a");
        listing.touch(b"b");
        listing.touch(b"new");
        assert_eq!(listing.names.len(), 2);
        assert!(listing.names.values().all(|(_, known)| known.is_none()));
        listing.learn(2, None);
        listing.learn(3, Some(KNOWN));
        let first = listing.from(0).map(|(cookie, _, known)| (cookie, known));
        assert_eq!(first, Some((3, Some(KNOWN))));
        assert_eq!(cookie(&listing, b"a"), None);
    }

    #[test]
    fn cookies_never_take_more_than_31_bits() {
        let mut listing = Listing::default();
        listing.set(names(&[b"a"]));
        listing.next = MOST - 2;
        listing.set(names(&[b"a", b"b"]));
        assert_eq!(cookie(&listing, b"a"), Some(FIRST));
        listing.set(names(&[b"b", b"c"]));
        assert!(listing.names.keys().all(|cookie| *cookie < 10));
    }
}
