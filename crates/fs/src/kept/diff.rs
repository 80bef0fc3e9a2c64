//! Changes as unified text.

use std::fmt::Write;

use similar::TextDiff;
use wasmrun_core as core;

use super::{failed, shown};
use crate::changes::{Change, ChangeKind};
use crate::content::read_all;
use crate::tree::{At, below};
use crate::{Directory, FileType, Result};

/// What is larger is not compared line by line.
const MOST: usize = 1 << 20;

pub(super) fn unified(
    before: &dyn Directory,
    after: &dyn Directory,
    changes: &[Change],
) -> core::Result<String> {
    let mut text = String::new();
    for change in changes {
        let path = &change.path;
        let said = match &change.kind {
            ChangeKind::Removed => removed(&mut text, before, path),
            ChangeKind::Created => compare(&mut text, None, Some((after, path))),
            ChangeKind::Modified => compare(&mut text, Some((before, path)), Some((after, path))),
            ChangeKind::Renamed { from } => {
                // A `String` takes whatever is written.
                let _ = writeln!(
                    text,
                    "rename from {}\nrename to {}",
                    shown(from),
                    shown(path)
                );
                compare(&mut text, Some((before, from)), Some((after, path)))
            }
        };
        said.map_err(failed(shown(path)))?;
    }
    Ok(text)
}

/// Whatever was in a directory that is gone is gone as well.
fn removed(text: &mut String, before: &dyn Directory, path: &[u8]) -> Result<()> {
    for (path, _) in below(before, path)? {
        compare(text, Some((before, &path)), None)?;
    }
    Ok(())
}

type Side<'a> = Option<(&'a dyn Directory, &'a [u8])>;

fn compare(text: &mut String, old: Side<'_>, new: Side<'_>) -> Result<()> {
    let [before, after] = [old, new].map(|side| side.map(|(root, path)| content(root, path)));
    let (before, after) = (before.transpose()?.flatten(), after.transpose()?.flatten());
    let name = |side: Side<'_>, prefix: &str| match side {
        Some((_, path)) => format!("{prefix}/{}", shown(path)),
        None => "/dev/null".to_owned(),
    };
    let (old, new) = (name(old, "a"), name(new, "b"));
    match (before, after) {
        // Directories have no text.
        (None, None) => {}
        (before, after) => match (as_text(&before), as_text(&after)) {
            (Some(before), Some(after)) if before == after => {}
            (Some(before), Some(after)) => {
                let diff = TextDiff::from_lines(before, after);
                let _ = write!(text, "{}", diff.unified_diff().header(&old, &new));
            }
            _ => {
                let _ = writeln!(text, "Binary files {old} and {new} differ");
            }
        },
    }
    Ok(())
}

/// What a file has in it, or a link leads to; a byte more than the most of what is larger.
fn content(root: &dyn Directory, path: &[u8]) -> Result<Option<Vec<u8>>> {
    let at = At::find(root, path)?;
    let stat = at.stat()?;
    match stat.file_type {
        FileType::Regular => {
            let length = usize::try_from(stat.size)
                .unwrap_or(usize::MAX)
                .min(MOST + 1);
            let mut bytes = vec![0; length];
            let length = read_all(&*at.open()?, &mut bytes, 0)?;
            bytes.truncate(length);
            Ok(Some(bytes))
        }
        FileType::Symlink => Ok(Some(at.read_link()?)),
        _ => Ok(None),
    }
}

/// As text, if it is; nothing is none.
fn as_text(content: &Option<Vec<u8>>) -> Option<&str> {
    match content.as_deref() {
        None => Some(""),
        Some(bytes) if bytes.len() > MOST || bytes.contains(&0) => None,
        Some(bytes) => std::str::from_utf8(bytes).ok(),
    }
}
