//! The program that a command line names.

use wasmrun::{Launch, Result, Source};

/// Finds it. On a terminal, what is got from a registry is watched.
pub fn find(launch: &Launch) -> Result<Source> {
    #[cfg(feature = "oci")]
    return launch.source_telling(&crate::images::Bars::new());
    #[cfg(not(feature = "oci"))]
    launch.source()
}
