//! From what the caller wrote to what a backend can act on without asking again.

use std::collections::HashMap;
use std::io::{PipeReader, PipeWriter};
use std::path::{Path, PathBuf};

use crate::log::{Log, LogStream, Recorder};
use crate::stdio::{Capture, open_input, open_output};
use crate::{
    Access, Control, Denials, Error, ErrorKind, Guest, HostRun, InheritEnv, Layers, MemoryMount,
    Mount, MountSource, OverlayMount, PackageMount, Result, RunConfig, SamePath, Task, Usage,
    VirtualClock, guest_path, volume_directory,
};

/// Our own ends of the guest's streams.
#[derive(Default)]
pub(crate) struct Streams {
    pub stdin: Option<PipeWriter>,
    pub stdout: Option<PipeReader>,
    pub stderr: Option<PipeReader>,
    pub stdout_capture: Option<Capture>,
    pub stderr_capture: Option<Capture>,
    pub log: Option<Log>,
}

/// `control` ends the run, which a stream may have to do.
pub(crate) fn resolve(
    guest: &Guest,
    config: &RunConfig,
    control: &Control,
    log: Option<Log>,
) -> Result<(Task, Streams)> {
    let args = arguments(guest, config)?;
    let env = environment(config)?;
    let mounts = mounts(config)?;
    let working_directory = config
        .working_directory
        .as_deref()
        .map(guest_path::normalise)
        .transpose()?;
    let mut streams = Streams {
        log: config.logs.filter(|_| log.is_none()).map(Log::new),
        ..Streams::default()
    };
    let log = log.or(streams.log.clone());
    let recorder = |stream| log.clone().map(|log| Recorder { log, stream });
    let task = Task {
        args,
        env,
        mounts,
        layers: Layers::default(),
        working_directory,
        stdin: open_input(&config.stdin, &mut streams.stdin)?,
        stdout: open_output(
            &config.stdout,
            &config.limits,
            control,
            recorder(LogStream::Stdout),
            &mut streams.stdout,
            &mut streams.stdout_capture,
        )?,
        stderr: open_output(
            &config.stderr,
            &config.limits,
            control,
            recorder(LogStream::Stderr),
            &mut streams.stderr,
            &mut streams.stderr_capture,
        )?,
        limits: config.limits.clone(),
        usage: Usage::new(&config.limits),
        network: config.network.clone(),
        denials: Denials::default(),
        clock: config.clock,
        virtual_clock: VirtualClock::of(config.clock),
        random: config.random,
        sorted_listings: config.sorted_listings,
        host: HostRun::default(),
        entry: config.entry.clone(),
    };
    Ok((task, streams))
}

fn arguments(guest: &Guest, config: &RunConfig) -> Result<Vec<String>> {
    let argv0 = config.argv0.as_deref().unwrap_or(guest.name());
    let args: Vec<String> = std::iter::once(argv0)
        .chain(config.args.iter().map(String::as_str))
        .map(str::to_owned)
        .collect();
    match args.iter().position(|arg| arg.contains('\0')) {
        Some(at) => Err(Error::new(
            ErrorKind::Config,
            format!("argument {at} contains a NUL byte"),
        )),
        None => Ok(args),
    }
}

fn environment(config: &RunConfig) -> Result<Vec<(String, String)>> {
    let not_utf8 = |name: &std::ffi::OsStr| {
        Error::new(
            ErrorKind::Config,
            format!("the host's environment variable {name:?} is not UTF-8, which guests require"),
        )
    };
    let mut env: Vec<(String, String)> = match &config.inherit_env {
        InheritEnv::None => Vec::new(),
        InheritEnv::Named(names) => names
            .iter()
            .map(|name| {
                check_name(name)?;
                let value = std::env::var_os(name).ok_or_else(|| {
                    Error::new(
                        ErrorKind::Config,
                        format!("environment variable {name} is not set here, so the guest cannot inherit it"),
                    )
                })?;
                let value = value.into_string().map_err(|_| not_utf8(name.as_ref()))?;
                Ok((name.clone(), value))
            })
            .collect::<Result<_>>()?,
        InheritEnv::All => std::env::vars_os()
            .map(|(name, value)| match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => Ok((name, value)),
                (Err(name), _) => Err(not_utf8(&name)),
                (Ok(name), Err(_)) => Err(not_utf8(name.as_ref())),
            })
            .collect::<Result<_>>()?,
    };
    for (name, value) in &config.env {
        check_name(name)?;
        if value.contains('\0') {
            return Err(Error::new(
                ErrorKind::Config,
                format!("the value of environment variable {name} contains a NUL byte"),
            ));
        }
        env.push((name.clone(), value.clone()));
    }
    Ok(last_of_each(env))
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(Error::new(
            ErrorKind::Config,
            format!(
                "{name:?} cannot name an environment variable: it is empty or contains `=` or NUL"
            ),
        ));
    }
    Ok(())
}

/// Each name once, where it first stood, with the value it last had.
fn last_of_each(env: Vec<(String, String)>) -> Vec<(String, String)> {
    if env.len() < 2 {
        return env;
    }
    let mut unique: Vec<(String, String)> = Vec::with_capacity(env.len());
    let mut places: HashMap<String, usize> = HashMap::with_capacity(env.len());
    for (name, value) in env {
        match places.get(&name) {
            Some(&place) => unique[place].1 = value,
            None => {
                places.insert(name.clone(), unique.len());
                unique.push((name, value));
            }
        }
    }
    unique
}

fn mounts(config: &RunConfig) -> Result<Vec<Mount>> {
    let mut resolved: Vec<Mount> = Vec::with_capacity(config.mounts.len());
    for mount in &config.mounts {
        let path = guest_path::normalise(&mount.path)?;
        let source = source(&mount.source, &path, config)?;
        if let (MountSource::Tar(_) | MountSource::Package(_), Access::ReadWrite) =
            (&source, mount.access)
        {
            let message = format!("{source} cannot be written, but at {path} it is to be");
            return Err(Error::new(ErrorKind::Preopen, message));
        }
        let mount = Mount {
            path,
            source,
            access: mount.access,
        };
        let taken = resolved
            .iter()
            .position(|other| guest_path::same(&other.path, &mount.path));
        match (taken, config.same_path) {
            (None, _) => resolved.push(mount),
            (Some(place), SamePath::Replace) => resolved[place] = mount,
            (Some(_), SamePath::Keep) => {}
            (Some(place), SamePath::Layer) => {
                resolved[place] = layered(&resolved[place].source, mount)?;
            }
            (Some(place), SamePath::Refuse) => {
                let message = format!(
                    "{} and {} are both mounted at {} in the guest",
                    resolved[place].source, mount.source, mount.path
                );
                return Err(Error::new(ErrorKind::Preopen, message));
            }
        }
    }
    Ok(resolved)
}

/// A mount over what is at its path already.
fn layered(below: &MountSource, mount: Mount) -> Result<Mount> {
    let refuse = |why: &str| {
        let Mount { path, source, .. } = &mount;
        let message = format!("cannot layer {source} over {below} at {path}: {why}");
        Err(Error::new(ErrorKind::Preopen, message))
    };
    let Some(below) = lowers(below) else {
        return refuse("what is below is not a directory");
    };
    let (upper, lower) = match (&mount.source, mount.access) {
        (MountSource::Memory(memory), _) => {
            let upper = MemoryMount {
                from: None,
                ..memory.clone()
            };
            let from = memory.from.as_deref().cloned();
            (MountSource::Memory(upper), from.into_iter().collect())
        }
        (MountSource::Overlay(OverlayMount { lower, upper }), _) => {
            (MountSource::clone(upper), lower.clone())
        }
        (
            MountSource::Bind(_) | MountSource::Tar(_) | MountSource::Package(_),
            Access::ReadOnly,
        ) => {
            let nothing = MemoryMount::default();
            (MountSource::Memory(nothing), vec![mount.source.clone()])
        }
        (MountSource::Bind(_), Access::ReadWrite) => {
            return refuse(
                "marks for what the guest removes would be left in it; mount it read-only, or have it be the upper of \
                 an overlay",
            );
        }
        _ => return refuse("it is not a directory"),
    };
    let lower = [lower, below].concat();
    Ok(Mount {
        source: match lower.is_empty() {
            true => upper,
            false => MountSource::Overlay(OverlayMount {
                lower,
                upper: Box::new(upper),
            }),
        },
        ..mount
    })
}

/// What is found where this is mounted, as layers, the uppermost first; `None` if it is not a directory.
fn lowers(source: &MountSource) -> Option<Vec<MountSource>> {
    Some(match source {
        MountSource::Memory(memory) => memory.from.as_deref().cloned().into_iter().collect(),
        MountSource::Overlay(overlay) => [lowers(&overlay.upper)?, overlay.lower.clone()].concat(),
        MountSource::Bind(_)
        | MountSource::Volume(_)
        | MountSource::Tar(_)
        | MountSource::Package(_) => vec![source.clone()],
        MountSource::File(_) => return None,
    })
}

/// What is mounted at `path`, with the directories of the host that it needs.
fn source(source: &MountSource, path: &str, config: &RunConfig) -> Result<MountSource> {
    Ok(match source {
        MountSource::Bind(host) => MountSource::Bind(directory(host, path)?),
        MountSource::Volume(name) => {
            MountSource::Bind(volume_directory(name, config.volumes.as_deref())?)
        }
        MountSource::Overlay(overlay) => MountSource::Overlay(layers(overlay, path, config)?),
        MountSource::File(_) if guest_path::same(path, "/") => {
            let message = format!("cannot mount {source} at {path}: it is not a directory");
            return Err(Error::new(ErrorKind::Preopen, message));
        }
        MountSource::File(host) => MountSource::File(file(host, path)?),
        MountSource::Tar(archive) => MountSource::Tar(file(archive, path)?),
        MountSource::Package(package) => MountSource::Package(PackageMount {
            file: file(&package.file, path)?,
            ..package.clone()
        }),
        MountSource::Memory(memory) => MountSource::Memory(self::memory(memory, path, config)?),
    })
}

fn memory(memory: &MemoryMount, path: &str, config: &RunConfig) -> Result<MemoryMount> {
    use MountSource::{Bind, Package, Tar, Volume};

    let from = match memory.from.as_deref() {
        None => None,
        Some(from @ (Bind(_) | Volume(_) | Tar(_) | Package(_))) => {
            Some(Box::new(source(from, path, config)?))
        }
        Some(from) => {
            let message = format!(
                "cannot begin the memory at {path} with {from}: it begins with a directory of the host, a volume, an archive or a volume of a package"
            );
            return Err(Error::new(ErrorKind::Preopen, message));
        }
    };
    Ok(MemoryMount {
        from,
        ..memory.clone()
    })
}

fn layers(overlay: &OverlayMount, path: &str, config: &RunConfig) -> Result<OverlayMount> {
    use MountSource::{Bind, Memory, Package, Tar, Volume};

    let refuse = |why: String| {
        let message = format!("cannot make the overlay at {path}: {why}");
        Err(Error::new(ErrorKind::Preopen, message))
    };
    if overlay.lower.is_empty() {
        return refuse("it has no lower directory".into());
    }
    let is_lower =
        |source: &&MountSource| matches!(source, Bind(_) | Volume(_) | Tar(_) | Package(_));
    if let Some(other) = overlay.lower.iter().find(|source| !is_lower(source)) {
        return refuse(format!("{other} cannot be below"));
    }
    let is_upper = match &*overlay.upper {
        Memory(memory) => memory.from.is_none(),
        upper => matches!(upper, Bind(_) | Volume(_)),
    };
    if !is_upper {
        return refuse(format!("changes cannot go to {}", overlay.upper));
    }
    let lower = overlay.lower.iter();
    let lower = lower.map(|lower| source(lower, path, config));
    Ok(OverlayMount {
        lower: lower.collect::<Result<_>>()?,
        upper: Box::new(source(&overlay.upper, path, config)?),
    })
}

fn directory(host: &Path, path: &str) -> Result<PathBuf> {
    absolute(host, path, "directory", std::fs::Metadata::is_dir)
}

fn file(host: &Path, path: &str) -> Result<PathBuf> {
    absolute(host, path, "file", std::fs::Metadata::is_file)
}

fn absolute(
    host: &Path,
    path: &str,
    what: &str,
    is_it: impl FnOnce(&std::fs::Metadata) -> bool,
) -> Result<PathBuf> {
    let refuse = |why: &str| {
        let message = format!("cannot map {} to {path}: {why}", host.display());
        Error::new(ErrorKind::Preopen, message)
    };
    match std::fs::metadata(host) {
        Ok(found) if is_it(&found) => std::path::absolute(host)
            .map_err(|source| refuse("no absolute path").with_source(source)),
        Ok(_) => Err(refuse(&format!("it is not a {what}"))),
        Err(source) => Err(refuse(&format!("the {what} cannot be opened")).with_source(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Access;

    fn guest() -> Guest {
        Guest::from_bytes("app.wasm", "(module (func (export \"_start\")))").expect("a guest")
    }

    fn resolved(config: &RunConfig) -> Result<(Task, Streams)> {
        resolve(&guest(), config, &Control::new(), None)
    }

    fn refused(config: RunConfig) -> Error {
        match resolved(&config) {
            Err(error) => error,
            Ok(_) => panic!("{config:?} was accepted"),
        }
    }

    #[test]
    fn argv0_is_the_file_name_unless_set() {
        let (task, _) = resolved(&RunConfig::new().arg("x")).expect("resolves");
        assert_eq!(task.args, ["app.wasm", "x"]);
        let (task, _) = resolved(&RunConfig::new().argv0("y")).expect("resolves");
        assert_eq!(task.args, ["y"]);
    }

    #[test]
    fn the_last_value_of_a_variable_stands() {
        let config = RunConfig::new().env("A", "1").env("B", "2").env("A", "3");
        let (task, _) = resolved(&config).expect("resolves");
        let pairs: Vec<_> = task.env.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(pairs, ["A=3", "B=2"]);
    }

    #[test]
    fn impossible_names_and_values_are_refused() {
        for name in ["", "A=B", "A\0"] {
            assert_eq!(
                refused(RunConfig::new().env(name, "x")).kind(),
                ErrorKind::Config
            );
        }
        assert_eq!(
            refused(RunConfig::new().env("A", "\0")).kind(),
            ErrorKind::Config
        );
        assert_eq!(
            refused(RunConfig::new().arg("\0")).kind(),
            ErrorKind::Config
        );
    }

    #[test]
    fn inheriting_what_is_not_set_is_refused() {
        let config =
            RunConfig::new().inherit_env(InheritEnv::Named(vec!["WASMRUN_NOT_SET".into()]));
        assert!(refused(config).to_string().contains("WASMRUN_NOT_SET"));
    }

    #[test]
    fn two_mounts_on_one_guest_path_are_refused_unless_allowed() {
        let dir = tempfile::tempdir().expect("a directory");
        let config = RunConfig::new()
            .map_dir(dir.path(), "/data", Access::ReadWrite)
            .map_dir(dir.path(), "data/.", Access::ReadOnly);
        assert_eq!(refused(config.clone()).kind(), ErrorKind::Preopen);
        let (task, _) = resolved(&config.clone().same_path(SamePath::Replace)).expect("resolves");
        assert_eq!(task.mounts.len(), 1);
        assert_eq!(task.mounts[0].access, Access::ReadOnly);
        let (task, _) = resolved(&config.same_path(SamePath::Keep)).expect("resolves");
        assert_eq!(task.mounts.len(), 1);
        assert_eq!(task.mounts[0].access, Access::ReadWrite);
    }

    #[test]
    fn layers_are_those_of_an_overlay() {
        let dir = tempfile::tempdir().expect("a directory");
        let archive = dir.path().join("a.tar");
        std::fs::write(&archive, "").expect("a file");
        let (bind, tar) = (
            MountSource::Bind(dir.path().into()),
            MountSource::Tar(archive.clone()),
        );
        let memory = |bytes| Mount::memory("/x", bytes).source;
        let overlay = |lower: &[&MountSource], upper| {
            let lower = lower.iter().copied().cloned().collect();
            let upper = Box::new(upper);
            MountSource::Overlay(OverlayMount { lower, upper })
        };
        let nothing = || MountSource::Memory(MemoryMount::default());
        let at = |source: &MountSource, access| Mount {
            path: "/x".into(),
            source: source.clone(),
            access,
        };
        let (ro, rw) = (Access::ReadOnly, Access::ReadWrite);
        for (mounts, expected) in [
            (
                vec![at(&bind, rw), at(&tar, ro), at(&memory(1), rw)],
                Ok(at(&overlay(&[&tar, &bind], memory(1)), rw)),
            ),
            (
                vec![at(&bind, rw), at(&memory(1), rw), at(&tar, ro)],
                Ok(at(&overlay(&[&tar, &bind], nothing()), ro)),
            ),
            (
                vec![at(&bind, rw), at(&memory(1), ro)],
                Ok(at(&overlay(&[&bind], memory(1)), ro)),
            ),
            (
                vec![at(&memory(1), rw), at(&memory(2), rw)],
                Ok(at(&memory(2), rw)),
            ),
            (
                vec![at(&tar, ro), at(&overlay(&[&bind], memory(1)), rw)],
                Ok(at(&overlay(&[&bind, &tar], memory(1)), rw)),
            ),
            (
                vec![
                    at(&overlay(&[&tar], bind.clone()), rw),
                    at(&memory(1), rw),
                    at(&memory(2), rw),
                ],
                Ok(at(&overlay(&[&bind, &tar], memory(2)), rw)),
            ),
            (vec![at(&tar, ro), at(&bind, rw)], Err("mount it read-only")),
            (
                vec![at(&bind, ro), Mount::file(&archive, "/x", ro)],
                Err("it is not a directory"),
            ),
            (
                vec![Mount::file(&archive, "/x", ro), at(&bind, ro)],
                Err("what is below is not a directory"),
            ),
        ] {
            let mut config = RunConfig::new().same_path(SamePath::Layer);
            config.mounts = mounts;
            match expected {
                Ok(mount) => {
                    let (task, _) = resolved(&config).expect("resolves");
                    assert_eq!(task.mounts, [mount]);
                }
                Err(words) => {
                    let error = refused(config);
                    assert_eq!(error.kind(), ErrorKind::Preopen);
                    let told = error.to_string();
                    assert!(told.contains("at /x") && told.contains(words), "{told}");
                }
            }
        }
    }

    #[test]
    fn a_preopen_that_is_no_directory_is_refused_by_name() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        for path in [file.path(), "/no/such/directory".as_ref()] {
            let error = refused(RunConfig::new().map_dir(path, "/x", Access::ReadOnly));
            assert_eq!(error.kind(), ErrorKind::Preopen);
            assert!(error.to_string().contains(&*path.to_string_lossy()));
        }
    }
}
