//! webc packages, in which programs of wasmer's registry come: atoms (the programs), commands (how atoms are run),
//! volumes (trees of files), and what other packages are used.
//!
//! A [`Package`] is a file, and gives for each of its commands a guest, which is an ordinary one, and what it is run with.
//! Below it is what reads the format: a [`Webc`] is read from anything that can be read and sought in. Its table of contents and its manifest are read at
//! once; atoms and volumes when they are asked for, and each is compared with its digest then. Versions 2 and 3 of the
//! format are read. Nothing is fetched from anywhere, and nothing in a package is trusted: what does not fit
//! together, or is more than a [bound](limits), is an error that says where.
//!
//! The crate `webc` is what writes such packages, and what the tests here make them by. It does not serve to read
//! them: it slices by spans that it did not compare, and so panics at some packages that are malformed.

mod bytes;
mod dependencies;
mod inspection;
mod manifest;
mod package;
mod problem;
mod sections;
mod tree;
mod webc;

pub use inspection::{
    PackageInspection, PackedAtom, PackedCommand, PackedDependency, PackedMapping, PackedVolume,
};
pub use manifest::{Command, Dependency, Manifest, Mapping, Wanted};
pub use package::{Package, PackagedCommand, Use};
pub use problem::Problem;
pub use tree::{Entry, Volume, What};
pub use webc::{AtomInfo, VolumeInfo, Webc};

/// How much a package may have in it. Beyond that it is not read.
pub mod limits {
    /// Bytes of the table of contents, and of the manifest.
    pub const MANIFEST: u64 = 4 << 20;
    /// Bytes of the table of one volume, or of the atoms: names, times and digests of files.
    pub const TABLE: u64 = 256 << 20;
    /// Files, directories and symbolic links of one volume.
    pub const ENTRIES: usize = 1_000_000;
    /// Bytes of a path in a volume.
    pub const PATH: usize = 4095;
    /// Bytes of all paths of one volume.
    pub const PATHS: usize = 256 << 20;
}

/// What a package begins with, whatever its version.
pub const MAGIC: &[u8] = b"\0webc";
