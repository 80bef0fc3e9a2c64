//! WebAssembly programs in OCI registries, and the store that they are kept in.
//!
//! ```no_run
//! use wasmrun_registry::{Client, DockerConfig, PullPolicy, QUIET, Store};
//!
//! # fn main() -> wasmrun_guest::Result<()> {
//! let store = Store::open(Store::user_dir()?)?;
//! let client = Client::with_credentials(DockerConfig::user()?);
//! let reference = "oci://registry.example.com/tools/hello:1.0".parse()?;
//! let image = store.pull(&client, &reference, PullPolicy::IfNotPresent, QUIET)?;
//! println!("{} is in {}", image.name, image.program.display());
//! # Ok(())
//! # }
//! ```
//!
//! # What is read
//!
//! - Artifacts of the CNCF's [layout]: a configuration of the type `application/vnd.wasm.config.v0+json` and a layer of the
//!   type `application/wasm`; and what older tools wrote for them ([`is_wasm_media_type`]).
//! - Images for the platforms `wasip1/wasm`, `wasi/wasm` and `wasip2/wasm`, whose layers are tar archives, compressed by
//!   gzip or zstd or not at all. Nothing of them is unpacked: an [`Image`] has its layers as archives, to be mounted one over
//!   the other.
//!
//! Of an index, the platform decides. Whatever else a registry has, code of a machine's above all, is refused in one line.
//! So is what contradicts itself: a program for another WASI than its configuration says, a digest that is another.
//!
//! # The store
//!
//! ```text
//! oci-layout, index.json, blobs/sha256/DIGEST    an image layout, which other tools read as it is
//! wasmrun/tars/DIGEST        a layer, decompressed, by the digest that its image's configuration has for it
//! wasmrun/programs/DIGEST    the program of an image, out of its layers
//! wasmrun/found/DIGEST       what was found of an image, by the digest of its manifest
//! wasmrun/seen/KIND-DIGEST   the stamp of a file that had its digest; when it was last used is the time of this one
//! wasmrun/partial/DIGEST     a blob that is on its way
//! wasmrun/lock, index.lock   held by who transfers or removes, and by who changes index.json
//! ```
//!
//! A blob gets its name once it is whole and has its digest, `index.json` leads to a manifest once all of its blobs are
//! there, and everything is written to a file of another name first. So whoever is interrupted leaves the store whole, and a
//! transfer goes on where it ended. Two transfers of the same blob wait for each other.
//!
//! Digests are compared on the way in and on use. On use, a large file is read for that only if its stamp (device, inode,
//! size, times of modification and of change) is another than when it was last done, or the system has been started since.
//! What is damaged is removed, and got again by the next pull.
//!
//! [layout]: https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/

mod archive;
mod build;
mod challenge;
mod client;
mod credentials;
mod digest;
mod image;
mod layers;
mod layout;
mod limits;
mod manifest;
pub mod media_type;
mod progress;
mod reference;
mod stamp;
mod store;
mod transfer;
mod zstd;

pub use client::Client;
pub use credentials::{Credentials, DockerConfig, Secret};
pub use digest::Digest;
pub use image::Image;
pub use limits::Limits;
pub use manifest::{Descriptor, Platform, TITLE};
pub use media_type::is_wasm_media_type;
pub use progress::{Event, Progress, QUIET};
pub use reference::Reference;
pub use store::{Listed, Removed, Store};
pub use wasmrun_guest::PullPolicy;
