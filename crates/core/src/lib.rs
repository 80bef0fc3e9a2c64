//! The contract that every wasmrun engine follows.
//!
//! A [`Guest`] is a WebAssembly program, read and inspected once. A [`RunConfig`] says what the
//! caller asks. An [`Engine`] with some [`Capability`] compiles the guest into a [`Program`], which
//! runs any number of times; each run ends in a [`Report`] with an [`Outcome`].
//!
//! Whatever a caller asks for is enforced, emulated or refused, never ignored: [`check`] compares
//! needs and requests with the capability, above all engines, before anything is compiled or
//! started.
//!
//! This crate holds no engine, no async runtime and no command line. Most users want the `wasmrun`
//! crate, which re-exports this one and brings the engines; those who add an engine implement
//! [`Engine`] and [`Code`].

mod account;
mod artifact;
mod brought;
mod cache;
mod cache_use;
mod capability;
pub mod check;
mod clock;
mod compile;
mod config;
mod control;
mod cpu;
mod engine;
mod entries;
pub mod guest_path;
mod host;
mod instance;
mod layer;
mod limits;
mod log;
mod mappings;
mod mount;
mod network;
mod open;
mod outcome;
mod profile;
mod program;
mod pump;
mod request;
mod run;
pub mod stdio;
mod task;
pub mod units;
mod unwind;
mod usage;
mod volume;
mod watchdog;
mod written;

pub use account::Account;
pub use artifact::Artifact;
pub use brought::Brought;
pub use cache::{Answers, CodeCache, CodeKey};
pub use cache_use::{CacheUse, Miss};
pub use capability::{Capability, Support};
pub use check::Refusal;
pub use clock::{VirtualClock, VirtualTime};
pub use compile::Compilation;
pub use config::{Clock, InheritEnv, Network, Random, RunConfig, Stdin, Stdout};
pub use control::{Control, Hook, Interrupt};
pub use engine::{
    CallLimits, Code, Compile, CompileOptions, Engine, EngineInfo, Instantiated, Live, Place, Ran,
    Task,
};
pub use entries::Entries;
pub use host::{
    Async, ComponentValue, DistantMemory, Dynamic, GuestSlice, GuestStr, HostCall, HostEnded,
    HostFunction, HostFunctions, HostInterface, HostMemory, HostParam, HostReturn, HostRun,
    HostValue, HostValues, InterfaceFunction, InterfaceParams, InterfaceResult, InterfaceReturn,
    InterfaceValue, IntoHostFunction, MemoryError, Mismatch, NoState, RawFunction, Resource, Value,
};
pub use instance::{
    Called, GuestEnded, Instance, InstanceMemory, TypedFunction, component_function,
};
pub use layer::{Change, ChangeKind, ChangedType, Changes, Layer, Layers};
pub use limits::{Limits, Overflow};
pub use log::{FollowedLog, Log, LogLine, LogStream};
pub use mount::{Access, MemoryMount, Mount, MountSource, OverlayMount, PackageMount, SamePath};
pub use network::{
    Attempt, Denials, Denied, DeniedAttempt, ListenRule, NetworkProtocol, NetworkRule,
    NetworkRules, NetworkStats, Pins, Traffic,
};
pub use outcome::{Captured, Outcome, Report, Stats, Trap, TrapKind};
pub use profile::Profile;
pub use program::Program;
pub use request::{Attachments, Request};
pub use run::{Event, Events, Killer, NoEvent, Run, RunState};
pub use usage::{LiveStats, Usage};
pub use volume::{is_kept_name, user_data_directory, volume_directory};
#[doc(inline)]
pub use wasmrun_guest as guest;
pub use wasmrun_guest::{
    Digest, Error, ErrorKind, Guest, GuestKind, NoDigest, NoSha256, Proposals, PullPolicy, Result,
    Sha256, WasiVersion, exit_code, fingerprint,
};
