//! The one place where what a guest needs and a caller asks meets what an engine can do.

mod interfaces;

use std::fmt;

use serde::Serialize;

use crate::guest::{GuestKind, Import, WasiVersion, nearest, shown};
use crate::{
    Access, Capability, Clock, Compile, CompileOptions, Engine, Error, ErrorKind, Guest,
    HostFunctions, Limits, MountSource, Network, Random, Request, Result, SamePath, Support,
    guest_path,
};

/// A reason why an engine cannot run a guest as asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refusal {
    /// The field of [`Capability`] that stands in the way; `imports`, `privileged`, `tables` or `entry` where no
    /// engine could help.
    pub what: &'static str,
    /// The reason, ready to be read after an engine's name and a colon.
    pub reason: String,
    /// Whether the caller asked for it, and could do without. Otherwise the guest needs it.
    pub asked: bool,
}

impl Refusal {
    /// With what the engine says of it.
    pub(crate) fn by(mut self, engine: &dyn Engine, guest: &Guest) -> Refusal {
        if let Some(why) = engine.reason(guest, self.what) {
            self.reason = format!("{}: {why}", self.reason);
        }
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::new(ErrorKind::Unsupported, refusal.reason).with_context("request", refusal.what)
    }
}

/// Every reason why an engine of this `capability` cannot run `guest` as is asked. Empty if it can.
pub fn refusals<'a>(
    capability: &Capability,
    guest: &Guest,
    request: impl Into<Request<'a>>,
) -> Vec<Refusal> {
    let request = request.into();
    let mut refusals = unmet_needs(capability, guest, request.host);
    if !request.config.privileged {
        refusals.extend(privileged(guest, request.host));
    }
    refusals.extend(unmet_requests(capability, guest, request));
    refusals
}

/// As [`refusals`], by what `engine` can do with this guest, and with what it says of it.
pub fn refusals_of<'a>(
    engine: &dyn Engine,
    guest: &Guest,
    request: impl Into<Request<'a>>,
) -> Vec<Refusal> {
    refusals(&engine.capability_for(guest), guest, request)
        .into_iter()
        .map(|refusal| refusal.by(engine, guest))
        .collect()
}

/// Whether the machine has what `engine` needs to run `guest` as is asked, which it [can](refusals) as such.
///
/// # Errors
///
/// What the machine lacks.
pub fn set_up<'a>(
    engine: &dyn Engine,
    guest: &Guest,
    request: impl Into<Request<'a>>,
) -> Result<()> {
    let request = request.into();
    let set_up = engine.set_up(Compile {
        guest,
        options: CompileOptions::of(request),
        control: None,
        host: request.host,
    });
    set_up.map_err(|error| error.with_engine(&engine.info().name))
}

/// What the guest needs and the engine lacks.
fn unmet_needs(capability: &Capability, guest: &Guest, host: &HostFunctions) -> Vec<Refusal> {
    let mut found = Refusals::default();
    let (kind, name) = match guest.kind() {
        GuestKind::Module => (capability.modules, "modules"),
        GuestKind::Component => (capability.components, "components"),
        GuestKind::Package => (capability.packages, "packages"),
    };
    found.unless(kind, name, || format!("cannot run {name}"));
    if !kind.is_supported() {
        // What else such a guest needs follows from its kind.
        return found.refusals;
    }
    match guest.wasi() {
        WasiVersion::None => {}
        WasiVersion::Unstable => found.unless(capability.unstable, "unstable", || {
            "has no wasi_unstable, which the guest imports".into()
        }),
        WasiVersion::Preview1 => found.unless(capability.preview1, "preview1", || {
            "has no WASI preview1, which the guest imports".into()
        }),
        WasiVersion::Preview2 => found.unless(capability.preview2, "preview2", || {
            "has no WASI preview2, which the guest imports".into()
        }),
        WasiVersion::Preview3 => found.unless(capability.preview3, "preview3", || {
            "has no WASI preview3 (0.3), which the guest is for".into()
        }),
        WasiVersion::Wasix => found.unless(capability.wasix, "wasix", || {
            "has no WASIX, which the guest imports".into()
        }),
        other => found.never(
            other.as_str(),
            format!("the guest imports WASI {other}, which no engine here has yet"),
        ),
    }
    if let Some(import) = guest.threads_import() {
        found.unless(capability.wasi_threads, "wasi_threads", || {
            format!("cannot start threads for a guest, which this one needs: it imports {import}")
        });
    }
    let lacking = guest.proposals().difference(capability.proposals);
    if !lacking.is_empty() {
        found.never(
            "proposals",
            format!("lacks WebAssembly proposals that the guest uses: {lacking}"),
        );
    }
    if guest.memories().iter().any(|memory| memory.shared) {
        found.unless(capability.shared_memories, "shared_memories", || {
            "has no memories that threads could share, and the guest has one".into()
        });
    }
    let elements = guest.tables().iter().map(|table| table.initial);
    let elements = elements.fold(0, u64::saturating_add);
    if elements > Limits::MAX_TABLE_ELEMENTS {
        found.never(
            "tables",
            format!(
                "the guest's tables start out with {elements} elements, more than the {} that there \
                 are for any guest",
                Limits::MAX_TABLE_ELEMENTS
            ),
        );
    }
    let mut unknown = guest.unknown_imports();
    unknown.retain(|import| host.of_import(import).is_none() && !host.serves(import));
    if let Some(first) = unknown.first() {
        let why = why_unknown(first, host);
        let more = match unknown.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more that nothing here provides)"),
        };
        found.never(
            "imports",
            format!("the guest imports {first}, which {why}{more}"),
        );
    }
    unmet_by_host(&mut found, capability, guest, host);
    interfaces::unmet(&mut found, capability, guest, host);
    found.refusals
}

/// Why neither WASI nor the host has what the guest imports there.
fn why_unknown(import: &Import, host: &HostFunctions) -> String {
    if let Some(near) = interfaces::nearest_to(import, host) {
        return format!("the host does not have: was {near} meant?");
    }
    let functions = host.names_of(&import.module);
    let near = if functions.is_empty() {
        let near = nearest(&import.module, &host.modules());
        near.map(|module| format!("{}.{}", shown(module), shown(&import.name)))
    } else {
        let near = nearest(&import.name, &functions);
        near.map(|name| format!("{}.{}", shown(&import.module), shown(name)))
    };
    match near {
        Some(near) => format!("the host does not have: was {near} meant?"),
        None if functions.is_empty() => import.why_unknown(),
        None => {
            let functions: Vec<_> = functions.into_iter().map(str::to_owned).collect();
            let has = shorten(&functions);
            format!("the host does not have; of that module it has {has}")
        }
    }
}

/// Why a guest that may not have what is privileged cannot have this host's functions.
pub(crate) fn privileged(guest: &Guest, host: &HostFunctions) -> Option<Refusal> {
    let import = host.privileged_import(guest)?;
    Some(Refusal {
        what: "privileged",
        reason: format!(
            "the guest imports {import}, a privileged function of the host, which is offered only where \
             RunConfig::privileged says so, as in Profile::Full"
        ),
        asked: false,
    })
}

/// What the host's functions stand in the way of.
fn unmet_by_host(
    found: &mut Refusals,
    capability: &Capability,
    guest: &Guest,
    host: &HostFunctions,
) {
    if let Some(problem) = host.problem() {
        found.never("host_functions", problem);
    }
    for (place, import) in guest.imports().iter().enumerate() {
        let Some(function) = host.of_import(import) else {
            continue;
        };
        found.unless(capability.host_functions, "host_functions", || {
            format!("cannot offer functions of the host, and the guest imports {import}")
        });
        if let Some(wanted) = guest.import_type(place)
            && wanted != function.signature()
        {
            let has = function.signature();
            found.never(
                "imports",
                format!("the guest imports {import} as {wanted}, and the host has it as {has}"),
            );
        }
    }
}

/// What the caller asks and the engine, or any engine, lacks.
pub(crate) fn unmet_requests(
    capability: &Capability,
    guest: &Guest,
    Request { config, live, .. }: Request<'_>,
) -> Vec<Refusal> {
    let mut found = Refusals {
        asked: true,
        ..Refusals::default()
    };
    let component = guest.kind() == GuestKind::Component;

    if live {
        found.unless(capability.live, "live", || {
            "cannot keep an instance of a guest".into()
        });
    }
    match &config.entry {
        // Whoever keeps an instance says at each call what to call.
        _ if live => {}
        Some(entry) if !guest.has_entry(entry) => {
            found.never("entry", no_such_entry(guest, entry));
        }
        Some(_) => found.unless(capability.entry, "entry", || {
            "cannot call an export of the caller's choice".into()
        }),
        None if guest.kind() != GuestKind::Package && !guest.is_command() => {
            found.never("entry", no_default_entry(guest));
        }
        None => {}
    }

    let special_arg = |arg: &String| arg.is_empty() || arg.starts_with('-');
    if config.args.iter().any(special_arg) {
        found.unless(capability.args, "args", || {
            "cannot pass arguments that are empty or start with a dash".into()
        });
    }
    if config.argv0.is_some() {
        found.unless(capability.argv0, "argv0", || "cannot set argv[0]".into());
    }
    if !config.env.is_empty() || config.inherit_env != crate::InheritEnv::None {
        found.unless(capability.env, "env", || {
            "cannot set environment variables".into()
        });
    }
    let paths = || config.mounts.iter().map(|mount| mount.path.as_str());
    if config.same_path == SamePath::Layer
        && let Some(path) = guest_path::repeated(paths())
    {
        found.unless(capability.own_mounts, "own_mounts", || {
            format!("cannot layer what is mounted at {path}")
        });
    }
    for mount in &config.mounts {
        let host = match &mount.source {
            MountSource::Bind(host) | MountSource::File(host) => Some(host),
            MountSource::Volume(_) => None,
            MountSource::Memory(_)
            | MountSource::Tar(_)
            | MountSource::Package(_)
            | MountSource::Overlay(_) => {
                found.unless(capability.own_mounts, "own_mounts", || {
                    format!("cannot show {} to a guest", mount.source)
                });
                continue;
            }
        };
        if let MountSource::File(_) = &mount.source {
            found.unless(capability.file_mounts, "file_mounts", || {
                format!(
                    "cannot show {} to a guest: it is not a directory",
                    mount.source
                )
            });
        }
        found.unless(capability.preopens, "preopens", || {
            "cannot show directories to a guest".into()
        });
        if host.is_none_or(|host| host.as_os_str() != mount.path.as_str()) {
            found.unless(capability.mapped_preopens, "mapped_preopens", || {
                format!(
                    "cannot show {} as {}: directories keep their host path",
                    mount.source, mount.path
                )
            });
        }
        if mount.access == Access::ReadOnly {
            found.unless(capability.read_only_preopens, "read_only_preopens", || {
                format!("cannot make {} read-only", mount.path)
            });
        }
    }
    if config.working_directory.is_some() {
        if component {
            found.unless(capability.working_directory, "working_directory", || {
                "cannot tell a guest its working directory".into()
            });
        } else {
            found.never(
                "working_directory",
                "a working directory is for components; WASI preview1 has none (map a directory \
                 at `.` instead)"
                    .into(),
            );
        }
    }
    let network = match &config.network {
        Network::Denied => None,
        Network::Host => Some((capability.network, "network", "grant network access")),
        Network::Rules(_) => Some((
            capability.network_rules,
            "network_rules",
            "keep rules about what of the network a guest may reach",
        )),
    };
    if let Some((support, what, label)) = network {
        if component {
            found.unless(support, what, || format!("cannot {label}"));
        } else {
            found.never(
                what,
                "network access is for components; WASI preview1 cannot open connections".into(),
            );
        }
    }
    match config.clock {
        Clock::Host => {}
        Clock::Fixed(_) => found.unless(capability.fixed_clock, "fixed_clock", || {
            "cannot stop the wall clock".into()
        }),
        Clock::Virtual { .. } => found.unless(capability.virtual_clock, "virtual_clock", || {
            "cannot have clocks that only the guest moves".into()
        }),
    }
    if config.sorted_listings {
        found.unless(capability.sorted_listings, "sorted_listings", || {
            "cannot sort what directories list".into()
        });
    }
    if config.random != Random::Host {
        found.unless(capability.seeded_random, "seeded_random", || {
            "cannot seed random numbers".into()
        });
    }
    if config.killable {
        found.unless(capability.kill, "kill", || {
            "cannot end a running guest".into()
        });
    }

    let limits = &config.limits;
    for (asked, support, what, label) in [
        (limits.memory, capability.memory, "memory", "memory"),
        (limits.fuel, capability.fuel, "fuel", "fuel"),
        (limits.stack, capability.stack, "stack", "stack"),
        (
            limits.table_elements,
            capability.table_elements,
            "table_elements",
            "table elements",
        ),
        (
            limits.instances,
            capability.instances,
            "instances",
            "instances",
        ),
    ] {
        if asked.is_some() {
            found.unless(support, what, || format!("cannot limit {label}"));
        }
    }
    if limits.timeout.is_some() {
        found.unless(capability.timeout, "timeout", || {
            "cannot limit a guest's time".into()
        });
    }
    found.refusals
}

fn no_default_entry(guest: &Guest) -> String {
    let exports = |interface: &str| {
        let mut exports = guest.exports().iter();
        exports.any(|export| export.name.starts_with(interface))
    };
    let wanted = match guest.kind() {
        GuestKind::Component
            if exports("wasi:http/handler@") || exports("wasi:http/incoming-handler@") =>
        {
            "it is a service of wasi:http, which no engine here serves"
        }
        GuestKind::Component => "it exports no wasi:cli/run",
        _ => "it exports no _start function",
    };
    match guest.entries().as_slice() {
        [] => format!("the guest is not a command: {wanted}"),
        entries => format!(
            "the guest is not a command: {wanted}; functions that could be called instead: {}",
            shorten(entries)
        ),
    }
}

fn no_such_entry(guest: &Guest, entry: &str) -> String {
    match guest.entries().as_slice() {
        [] => format!("the guest exports no function {entry:?} without parameters and results"),
        entries => format!(
            "the guest exports no function {entry:?} without parameters and results; it has {}",
            shorten(entries)
        ),
    }
}

fn shorten(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let names_shown: Vec<_> = names.iter().take(SHOWN).map(|name| shown(name)).collect();
    let mut text = names_shown.join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

#[derive(Default)]
struct Refusals {
    refusals: Vec<Refusal>,
    asked: bool,
}

impl Refusals {
    fn unless(&mut self, support: Support, what: &'static str, reason: impl FnOnce() -> String) {
        let told = self.refusals.iter().any(|refusal| refusal.what == what);
        if !support.is_supported() && !told {
            self.never(what, reason());
        }
    }

    fn never(&mut self, what: &'static str, reason: String) {
        self.refusals.push(Refusal {
            what,
            reason,
            asked: self.asked,
        });
    }
}
