//! The names an overlay keeps for itself in a directory of a layer, and what is at them.

use crate::content::{read_all, write_all};
use crate::{Directory, Errno, FileType, NAME_MAX, Name, OpenOptions, Result};

/// What they all begin with.
const PREFIX: &[u8] = b".wh.";

/// In a directory that hides everything below it.
pub(super) const OPAQUE: &[u8] = b".wh..wh..opq";

/// In a directory that was renamed: where the layers below have it.
pub(super) const FROM: &[u8] = b".wh..wh.from";

/// Before the name of a file that was renamed.
const FILE_FROM: &[u8] = b".wh..wh.from.";

/// What is not complete begins so.
const TEMPORARY: &[u8] = b".wh..wh.tmp.";

/// As one thing is made at a time, there is never a second one in a directory.
const TEMPORARY_NAME: &[u8] = b".wh..wh.tmp.0";

/// The longest path in a file. Nobody who fills a layer can make us read more.
const PATH_MOST: u64 = 1 << 20;

/// Whether a name is one of these.
pub(super) fn is_mark(name: &[u8]) -> bool {
    name.starts_with(PREFIX)
}

/// Whether it is the name of something that is not complete.
pub(super) fn is_temporary(name: &[u8]) -> bool {
    name.starts_with(TEMPORARY)
}

/// The name that a whiteout of this name hides.
pub(super) fn hidden_by(mark: &[u8]) -> Option<&[u8]> {
    mark.strip_prefix(PREFIX).filter(|name| !is_mark(name))
}

pub(super) fn whiteout_of(name: Name<'_>) -> Vec<u8> {
    [PREFIX, name.bytes()].concat()
}

/// Where it is kept which file of the lowers this is.
pub(super) fn origin_of(name: Name<'_>) -> Vec<u8> {
    [FILE_FROM, name.bytes()].concat()
}

/// Whether something is at a mark, which is not if it is too long for a name.
pub(super) fn exists(directory: &dyn Directory, mark: &[u8]) -> Result<bool> {
    if mark.len() > NAME_MAX {
        return Ok(false);
    }
    match directory.stat_at(Name::new(mark)?) {
        Ok(_) => Ok(true),
        Err(Errno::Noent) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes an empty mark, if there is none yet.
pub(super) fn put(directory: &dyn Directory, mark: &[u8]) -> Result<()> {
    let options = OpenOptions {
        exclusive: false,
        ..OpenOptions::NEW
    };
    directory.open_at(Name::new(mark)?, options).map(drop)
}

/// Removes a mark, or what was left incomplete, if it is there.
pub(super) fn take(directory: &dyn Directory, mark: &[u8]) -> Result<()> {
    let Ok(name) = Name::new(mark) else {
        return Ok(());
    };
    match directory.remove_file(name) {
        Err(Errno::Isdir) => directory.remove_directory(name),
        Err(Errno::Noent) => Ok(()),
        removed => removed,
    }
}

/// Removes a mark that says nothing any more. If that fails, it goes on saying nothing.
pub(super) fn remove(directory: &dyn Directory, mark: &[u8]) {
    let _ = take(directory, mark);
}

/// The path at a mark.
pub(super) fn read(directory: &dyn Directory, mark: &[u8]) -> Result<Option<Vec<u8>>> {
    let Ok(name) = Name::new(mark) else {
        return Ok(None);
    };
    match directory.stat_at(name) {
        Ok(stat) if stat.file_type == FileType::Regular && stat.size <= PATH_MOST => {
            let file = directory.open_at(name, OpenOptions::READ)?;
            let mut content = vec![0; stat.size as usize];
            let length = read_all(&*file, &mut content, 0)?;
            content.truncate(length);
            Ok(Some(content))
        }
        Ok(_) | Err(Errno::Noent) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a path to a mark: all of it, or nothing.
pub(super) fn write(directory: &dyn Directory, mark: &[u8], path: &[u8]) -> Result<()> {
    if path.len() as u64 > PATH_MOST {
        return Err(Errno::Nametoolong);
    }
    complete(directory, Name::new(mark)?, |name| {
        write_all(&*directory.open_at(name, OpenOptions::NEW)?, path, 0)
    })
}

/// Makes something under a hidden name, and moves it to its own when it is complete.
pub(super) fn complete<T>(
    directory: &dyn Directory,
    name: Name<'_>,
    make: impl Fn(Name<'_>) -> Result<T>,
) -> Result<T> {
    let temporary = Name::new(TEMPORARY_NAME)?;
    let made = match make(temporary) {
        // Somebody was killed here.
        Err(Errno::Exist) => {
            remove(directory, TEMPORARY_NAME);
            make(temporary)
        }
        made => made,
    };
    let made = made.and_then(|made| {
        directory.rename(temporary, directory, name)?;
        Ok(made)
    });
    if made.is_err() {
        remove(directory, TEMPORARY_NAME);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whiteout_hides_a_name() {
        assert_eq!(hidden_by(b".wh.a"), Some(&b"a"[..]));
        assert_eq!(hidden_by(b".wh..a"), Some(&b".a"[..]));
        for name in [OPAQUE, FROM, b".wh..wh.from.a", TEMPORARY_NAME, b"a"] {
            assert_eq!(hidden_by(name), None);
        }
    }
}
