//! What a container is to run, and how: from the specification of its bundle to a run as a file.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use libcontainer::oci_spec::runtime::{Process, Spec};
use wasmrun::{Access, MemoryMount, Mount, MountSource, Network, RunFile};

use crate::annotations::Asked;

/// What is kept of a container's memory for wasmrun itself. See "Kubernetes" in docs/architecture.md for how it was measured.
pub const RESERVE: u64 = 24 << 20;

/// The least that is left to a guest: below it hardly any program starts.
const LEAST: u64 = 1 << 20;

/// What a container's first argument names.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A program of Linux, or a script.
    Linux,
    /// A core module of WebAssembly.
    Module(PathBuf),
    /// A component of WebAssembly.
    Component(PathBuf),
}

/// Looks at what a file is.
///
/// # Errors
///
/// A line that names it, if it cannot be read or is nothing that is run here.
pub fn identify(path: &Path) -> Result<Found, String> {
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(8).read_to_end(&mut head))
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    match &head[..] {
        [0x7f, b'E', b'L', b'F', ..] | [b'#', b'!', ..] => Ok(Found::Linux),
        [0, b'a', b's', b'm', _, _, 0, 0] => Ok(Found::Module(path.into())),
        [0, b'a', b's', b'm', _, _, 1, 0] => Ok(Found::Component(path.into())),
        _ => Err(format!(
            "{} is neither a WebAssembly binary nor an executable of Linux",
            path.display()
        )),
    }
}

/// Where the program of a container is, seen from inside of it.
///
/// It is looked for as Linux programs are: as it is if its name has a slash, else in `PATH`. A WebAssembly binary need not be
/// executable, and may lie in the working directory.
///
/// # Errors
///
/// A line that names it, and where it was looked for.
pub fn find(process: &Process) -> Result<PathBuf, String> {
    let name = first_argument(process)?;
    let directory = process.cwd();
    if name.contains('/') {
        let path = directory.join(name);
        return match path.metadata() {
            Ok(metadata) if metadata.is_file() => Ok(path),
            Ok(_) => Err(format!("{} is not a file", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(format!(
                "{} is not there, and the image has no WebAssembly layer",
                path.display()
            )),
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        };
    }
    let in_path = variable(process, "PATH").unwrap_or_default();
    let mut executables = std::env::split_paths(in_path).map(|at| at.join(name));
    let executable = executables.find(|path| {
        path.metadata()
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    });
    let binaries = std::env::split_paths(in_path).chain([directory.clone()]);
    let binary = || {
        binaries
            .map(|at| at.join(name))
            .find(|path| path.extension() == Some(OsStr::new("wasm")) && path.is_file())
    };
    executable.or_else(binary).ok_or_else(|| {
        format!(
            "{name} is neither in PATH ({in_path}) nor, as a WebAssembly binary, in {}, and the image has no WebAssembly layer",
            directory.display()
        )
    })
}

/// The first argument, which names what is run.
///
/// # Errors
///
/// A line, if there is none.
pub fn first_argument(process: &Process) -> Result<&str, String> {
    let args = process.args().as_deref().unwrap_or_default();
    let first = args
        .first()
        .map(String::as_str)
        .filter(|name| !name.is_empty());
    first.ok_or_else(|| "the container has no command; name its program".into())
}

fn variable<'p>(process: &'p Process, name: &str) -> Option<&'p str> {
    let all = process.env().as_deref().unwrap_or_default();
    all.iter()
        .rev()
        .find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='))
}

/// How a guest is run, as the container's specification and annotations have it.
///
/// It sees as `/` what the container has there: the root file system with everything that is mounted in it. What of that
/// is read-only is so by the kernel, which wasmrun runs on inside of the container, and what it may do there are the user's rights.
/// Only what is mounted at `hidden` is an empty directory.
///
/// # Errors
///
/// A line that names what cannot be honoured.
pub fn run(
    spec: &Spec,
    asked: &Asked,
    found: &Found,
    hidden: &[String],
) -> Result<RunFile, String> {
    let (path, is_component) = match found {
        Found::Linux => return Err("a program of Linux is not run by wasmrun".into()),
        Found::Module(path) => (path, false),
        Found::Component(path) => (path, true),
    };
    let process = process(spec)?;
    let mut run = asked.run.clone();
    run.launch.guest = Some(path.clone());
    let config = &mut run.config;
    config.argv0 = Some(first_argument(process)?.into());
    config.args = process.args().iter().flatten().skip(1).cloned().collect();
    config.env.extend(environment(process)?);
    config
        .mounts
        .insert(0, Mount::bind("/", "/", Access::ReadWrite));
    config.mounts.extend(hidden.iter().map(|path| Mount {
        path: path.clone(),
        source: MountSource::Memory(MemoryMount::default()),
        access: Access::ReadOnly,
    }));
    // A module of WASI preview1 has none but the root.
    let directory = utf8(process.cwd())?;
    if is_component || directory != "/" {
        config.working_directory = Some(directory.into());
    }
    // A pod's network is a namespace of its own, which any of its containers reaches. WASI preview1 has no connections.
    if !asked.network && is_component {
        config.network = Network::Host;
    }
    config.limits.memory = match (memory(spec)?, config.limits.memory) {
        (Some(cap), Some(asked)) => Some(asked.min(cap)),
        (cap, asked) => cap.or(asked),
    };
    Ok(run)
}

/// Where file systems are mounted that tell of processes, by what the kernel says of mounts (`/proc/self/mountinfo`).
///
/// To a guest they would tell of the process that runs it, which is none of the container's programs: its descriptors, its
/// environment, its memory.
pub fn of_processes(mountinfo: &str) -> Vec<String> {
    let places = mountinfo.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let is_proc = file_system.split(' ').next()? == "proc";
        is_proc.then(|| unescaped(mount.split(' ').nth(4)?))?
    });
    let mut all: Vec<String> = places.collect();
    all.sort();
    // What is below another is hidden with it.
    all.dedup_by(|below, above| Path::new(below).starts_with(Path::new(above)));
    all
}

/// A path as the kernel writes it: with spaces and the like as three octal digits.
fn unescaped(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = after.get(escaped.map_or(0, |_| 3)..)?;
    }
    String::from_utf8(bytes).ok()
}

/// The part about the process, without which nothing is run.
///
/// # Errors
///
/// A line, if there is none.
pub fn process(spec: &Spec) -> Result<&Process, String> {
    let process = spec.process().as_ref();
    process.ok_or_else(|| "the container's specification has no process".into())
}

/// The variables. Where one is there twice, the last is what a program of Linux would be told by most shells and libraries
/// of its language, and what CRI's order means.
fn environment(process: &Process) -> Result<Vec<(String, String)>, String> {
    let mut variables: Vec<(String, String)> = Vec::new();
    for variable in process.env().iter().flatten() {
        let Some((name, value)) = variable
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
        else {
            return Err(format!(
                "the environment variable {variable:?} has no name and value; write NAME=VALUE"
            ));
        };
        variables.retain(|(known, _)| known != name);
        variables.push((name.into(), value.into()));
    }
    Ok(variables)
}

/// What the guest may have of the container's memory, so that its growth fails before the kernel ends the process.
fn memory(spec: &Spec) -> Result<Option<u64>, String> {
    let resources = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.resources().as_ref());
    let limit = resources
        .and_then(|resources| resources.memory().as_ref())
        .and_then(|memory| memory.limit());
    // Zero and less are no limit.
    let Some(limit) = limit
        .and_then(|limit| u64::try_from(limit).ok())
        .filter(|limit| *limit > 0)
    else {
        return Ok(None);
    };
    match limit.checked_sub(RESERVE) {
        Some(rest) if rest >= LEAST => Ok(Some(rest)),
        _ => Err(format!(
            "a memory limit of {limit} bytes is too small: wasmrun itself is given {} Mi of it, and a guest needs 1 Mi; \
             let the limit be {} Mi or more",
            RESERVE >> 20,
            (RESERVE + LEAST) >> 20
        )),
    }
}

fn utf8(path: &Path) -> Result<&str, String> {
    path.to_str()
        .ok_or_else(|| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn spec(json: serde_json::Value) -> Spec {
        let mut whole = serde_json::json!({
            "ociVersion": "1.1.0",
            "root": {"path": "rootfs"},
            "process": {
                "cwd": "/work", "user": {"uid": 1000, "gid": 1000},
                "args": ["/app.wasm", "a", "$${b}"],
                "env": ["A=1", "B=x=y", "A=2"],
            },
            "linux": {},
        });
        let (Some(whole_map), serde_json::Value::Object(over)) = (whole.as_object_mut(), json)
        else {
            panic!("objects");
        };
        whole_map.extend(over);
        serde_json::from_value(whole).expect("a specification")
    }

    fn module() -> Found {
        Found::Module("/app.wasm".into())
    }

    #[test]
    fn what_the_specification_says_is_what_is_run() {
        let run = run(
            &spec(serde_json::json!({})),
            &Asked::default(),
            &module(),
            &[],
        )
        .expect("a run");
        let text = run.to_toml().expect("written");
        let run = RunFile::from_toml(&text).expect("read again");
        let config = &run.config;
        assert_eq!(run.launch.guest.as_deref(), Some(Path::new("/app.wasm")));
        assert_eq!(config.argv0.as_deref(), Some("/app.wasm"));
        assert_eq!(config.args, ["a", "$${b}"]);
        let env = [
            ("B".to_owned(), "x=y".to_owned()),
            ("A".to_owned(), "2".to_owned()),
        ];
        assert_eq!(config.env, env);
        assert_eq!(config.mounts, [Mount::bind("/", "/", Access::ReadWrite)]);
        assert_eq!(config.working_directory.as_deref(), Some("/work"));
        assert_eq!(config.limits.memory, None);
    }

    #[test]
    fn components_have_the_pods_network_unless_something_was_said_of_it() {
        let component = Found::Component("/app.wasm".into());
        let spec = spec(serde_json::json!({}));
        let mut asked = Asked::default();
        let network = |asked: &Asked, found: &Found| {
            run(&spec, asked, found, &[]).expect("a run").config.network
        };
        assert_eq!(network(&asked, &component), Network::Host);
        assert_eq!(network(&asked, &module()), Network::Denied);
        asked.network = true;
        assert_eq!(network(&asked, &component), Network::Denied);
    }

    #[test]
    fn a_guest_may_have_what_wasmrun_leaves_of_the_containers_memory() {
        let of = |limit: i64, asked: Option<u64>| {
            let resources = serde_json::json!({"resources": {"memory": {"limit": limit}}});
            let spec = spec(serde_json::json!({ "linux": resources }));
            let mut asked_for = Asked::default();
            asked_for.run.config.limits.memory = asked;
            run(&spec, &asked_for, &module(), &[]).map(|run| run.config.limits.memory)
        };
        let all = 256 << 20;
        let rest = (256 << 20) - RESERVE;
        assert_eq!(of(all, None), Ok(Some(rest)));
        assert_eq!(of(all, Some(1 << 20)), Ok(Some(1 << 20)));
        assert_eq!(of(all, Some(1 << 40)), Ok(Some(rest)));
        assert_eq!(of(-1, Some(5)), Ok(Some(5)));
        assert_eq!(of(0, None), Ok(None));
        let error = of(1 << 20, None).expect_err("too small");
        assert!(error.contains("1048576 bytes is too small"), "{error}");
    }

    #[test]
    fn annotations_are_in_the_run() {
        let mut asked = Asked::default();
        asked.run.config.limits.timeout = Some(Duration::from_secs(1));
        asked.run.config.env = vec![("MODE".into(), "slow".into())];
        let run = run(&spec(serde_json::json!({})), &asked, &module(), &[]).expect("a run");
        assert_eq!(run.config.limits.timeout, Some(Duration::from_secs(1)));
        assert_eq!(run.config.env.len(), 3);
    }

    #[test]
    fn a_variable_without_a_value_is_refused() {
        let process = serde_json::json!({
            "cwd": "/", "user": {"uid": 0, "gid": 0}, "args": ["x"], "env": ["A"],
        });
        let spec = spec(serde_json::json!({ "process": process }));
        let error = run(&spec, &Asked::default(), &module(), &[]).expect_err("no value");
        assert!(error.contains("\"A\""), "{error}");
    }

    #[test]
    fn files_are_known_by_how_they_begin() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x");
        let of = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("written");
            identify(&path)
        };
        assert_eq!(of(b"\x7fELF\x02"), Ok(Found::Linux));
        assert_eq!(of(b"#!/bin/sh"), Ok(Found::Linux));
        assert!(matches!(of(b"\0asm\x01\0\0\0"), Ok(Found::Module(_))));
        assert!(matches!(of(b"\0asm\x0d\0\x01\0"), Ok(Found::Component(_))));
        for other in [&b""[..], b"\0as", b"\0asm\x01\0\x07\0", b"text"] {
            let error = of(other).expect_err("nothing to run");
            assert!(error.contains("neither a WebAssembly binary"), "{error}");
        }
    }

    #[test]
    fn programs_are_found_as_linux_finds_them_and_binaries_in_the_working_directory() {
        let directory = tempfile::tempdir().expect("a directory");
        let inside = |name: &str| directory.path().join(name);
        for (name, mode) in [("tool", 0o755), ("data", 0o644), ("app.wasm", 0o644)] {
            std::fs::write(inside(name), "x").expect("written");
            std::fs::set_permissions(inside(name), PermissionsExt::from_mode(mode)).expect("set");
        }
        let of = |name: &str, path: &str| {
            let process = serde_json::json!({
                "cwd": directory.path(), "user": {"uid": 0, "gid": 0},
                "args": [name], "env": [format!("PATH={path}")],
            });
            find(&serde_json::from_value(process).expect("a process"))
        };
        let here = directory.path().to_str().expect("UTF-8");
        assert_eq!(of("tool", here), Ok(inside("tool")));
        assert_eq!(of("app.wasm", "/nowhere"), Ok(inside("app.wasm")));
        assert_eq!(of("./data", ""), Ok(inside("./data")));
        for (name, path) in [
            ("data", here),
            ("tool", "/nowhere"),
            ("./gone", here),
            ("", here),
        ] {
            of(name, path).expect_err(name);
        }
    }

    #[test]
    fn what_tells_of_processes_is_an_empty_directory() {
        let mountinfo = "\
            1 0 0:1 / / rw - overlay overlay rw,lowerdir=/a\n\
            2 1 0:2 / /proc rw,nosuid - proc proc rw\n\
            3 2 0:2 /bus /proc/bus ro - proc proc rw\n\
            4 1 0:3 / /of\\040the\\040node rw shared:1 - proc proc rw\n\
            5 1 0:4 / /dev rw - tmpfs tmpfs rw\n";
        let hidden = of_processes(mountinfo);
        assert_eq!(hidden, ["/of the node", "/proc"]);
        let spec = spec(serde_json::json!({}));
        let run = run(&spec, &Asked::default(), &module(), &hidden).expect("a run");
        let hides = |mount: &&Mount| matches!(mount.source, MountSource::Memory(_));
        let paths = run
            .config
            .mounts
            .iter()
            .filter(hides)
            .map(|mount| &*mount.path);
        assert_eq!(paths.collect::<Vec<_>>(), ["/of the node", "/proc"]);
    }
}
