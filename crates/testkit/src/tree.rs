//! What a directory holds, all of it, in a form that can be compared.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

/// Everything below a directory, by path.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Tree(BTreeMap<String, Node>);

#[derive(Clone, PartialEq, Eq)]
enum Node {
    Directory,
    File(Vec<u8>),
    Symlink(String),
    Other,
}

impl Tree {
    /// Reads a directory. Symlinks are noted and not followed.
    ///
    /// # Errors
    ///
    /// Something in it cannot be read.
    pub fn read(root: &Path) -> io::Result<Tree> {
        let mut tree = Tree::default();
        tree.add(root, "")?;
        Ok(tree)
    }

    /// The same without what is in the directory `name`.
    #[must_use]
    pub fn without(mut self, name: &str) -> Tree {
        let inside = format!("{name}/");
        self.0.retain(|path, _| !path.starts_with(&inside));
        self
    }

    fn add(&mut self, directory: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            let node = if kind.is_dir() {
                self.add(&entry.path(), &format!("{path}/"))?;
                Node::Directory
            } else if kind.is_file() {
                Node::File(fs::read(entry.path())?)
            } else if kind.is_symlink() {
                Node::Symlink(fs::read_link(entry.path())?.to_string_lossy().into())
            } else {
                Node::Other
            };
            self.0.insert(path, node);
        }
        Ok(())
    }
}

/// One line an entry: `a/b: "text"`, `a/`, `l -> target`.
impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 80;
        for (path, node) in &self.0 {
            match node {
                Node::Directory => writeln!(f, "{path}/")?,
                Node::Symlink(target) => writeln!(f, "{path} -> {target}")?,
                Node::Other => writeln!(f, "{path}: neither file nor directory")?,
                Node::File(bytes) => {
                    let shown = &bytes[..bytes.len().min(SHOWN)];
                    write!(f, "{path}: {:?}", String::from_utf8_lossy(shown))?;
                    if bytes.len() > SHOWN {
                        write!(f, "… ({} bytes)", bytes.len())?;
                    }
                    writeln!(f)?;
                }
            }
        }
        Ok(())
    }
}
