//! From what was typed to what the library takes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use wasmrun::{
    Clock, EngineInfo, Error, ErrorKind, InheritEnv, Limits, Mount, MountSource, Network,
    NetworkRules, Place, Random, Result, RunConfig, RunFile, SamePath, Source, Stdin, Stdout,
    env_file, guest_path, volume_directory,
};

use crate::args::{GuestArgs, LaunchArgs};
use crate::guest;
use crate::values::{DirArg, EnvArg, StdinArg};

/// What is to be run, and how.
#[derive(Debug)]
pub struct Request {
    /// As it was named.
    pub guest: PathBuf,
    pub source: Source,
    pub max_guest_bytes: u64,
    pub config: RunConfig,
}

impl Request {
    /// What a file asks for, as far as the command can do it. A program that is in a registry is got.
    pub fn of(file: &RunFile) -> Result<Self> {
        let mut config = file.run_config()?;
        not_for_programs(&config)?;
        for mount in &mut config.mounts {
            if let MountSource::Volume(name) = &mount.source {
                let directory = volume_directory(name, config.volumes.as_deref())?;
                mount.source = MountSource::Bind(directory);
            }
        }
        Ok(Request {
            guest: file.launch.program()?.to_owned(),
            source: guest::find(&file.launch)?,
            max_guest_bytes: file.launch.max_guest_bytes(),
            config,
        })
    }
}

/// Refuses what only a program that uses the library can be given.
pub fn not_for_programs(config: &RunConfig) -> Result<()> {
    let is_ours = |output: &Stdout| !matches!(output, Stdout::Capture | Stdout::Pipe);
    let what = match config {
        _ if config.stdin == Stdin::Pipe => "stdin = \"pipe\"",
        _ if !is_ours(&config.stdout) => "stdout = \"capture\" or \"pipe\"",
        _ if !is_ours(&config.stderr) => "stderr = \"capture\" or \"pipe\"",
        _ if config.logs.is_some() => "logs",
        _ => return Ok(()),
    };
    let message =
        format!("{what} is for programs that use the library; the command has no use for it");
    Err(usage(message))
}

/// Whether a run on `engine` is a process of its own, which has to be ended: what is part of ours ends with
/// us.
pub fn is_outside(engine: &EngineInfo) -> bool {
    engine.place != Place::InProcess
}

/// What is asked of several engines, which the file may not choose among.
pub fn resolve(args: &GuestArgs) -> Result<Request> {
    let file = asked(args)?;
    let launch = &file.launch;
    let says = [
        ("engine", launch.engine.is_some()),
        ("prefer", !launch.prefer.is_empty()),
        ("workspace", launch.workspace.is_some()),
    ];
    if let Some((key, _)) = says.into_iter().find(|(_, says)| *says) {
        return Err(usage(format!(
            "the file says `{key}`, which only `wasmrun run` keeps to; leave it out, and name engines by --engines"
        )));
    }
    Request::of(&file)
}

/// The file that was given, with what was typed over it.
pub fn asked(args: &GuestArgs) -> Result<RunFile> {
    let mut file = match &args.config {
        Some(path) => RunFile::read(path)?,
        None => RunFile::default(),
    };
    let launch = &mut file.launch;
    if let Some((guest, _)) = args.guest_and_args.split_first() {
        launch.guest = Some(guest.into());
    }
    launch.sha256 = args.sha256.or(launch.sha256);
    launch.max_guest_size = args.max_guest_size.or(launch.max_guest_size);
    if args.command.is_some() {
        launch.command.clone_from(&args.command);
    }
    launch.uses.extend_from_slice(&args.r#use);
    #[cfg(feature = "oci")]
    args.images.set(launch);
    environment(args, &mut file)?;
    config(args, &mut file.config)?;
    Ok(file)
}

/// The same, on the engine and in the workspace that were typed.
pub fn asked_on(typed: &LaunchArgs, args: &GuestArgs) -> Result<RunFile> {
    let mut file = asked(args)?;
    // Of engine and preference there is one.
    if typed.engine.is_some() || !typed.prefer.is_empty() {
        file.launch.engine = typed.engine.clone();
        file.launch.prefer = typed.prefer.clone();
    }
    if typed.workspace.is_some() {
        file.launch.workspace = typed.workspace.clone();
    }
    Ok(file)
}

fn environment(args: &GuestArgs, file: &mut RunFile) -> Result<()> {
    let RunFile { launch, config } = file;
    for path in &args.env_file {
        // In a file, `env` goes over all files of variables.
        for (name, _) in env_file::read(path)? {
            config.env.retain(|(other, _)| *other != name);
        }
        launch.env_file.push(path.clone());
    }
    for arg in &args.env {
        let (name, value) = variable(arg)?;
        launch.variables.retain(|other| *other != name);
        if let EnvArg::Copy(_) = arg {
            launch.variables.push(name.clone());
        }
        match config.env.iter_mut().find(|(other, _)| *other == name) {
            Some(variable) => variable.1 = value,
            None => config.env.push((name, value)),
        }
    }
    if args.inherit_env {
        config.inherit_env = InheritEnv::All;
    }
    Ok(())
}

fn config(args: &GuestArgs, config: &mut RunConfig) -> Result<()> {
    let guest_args = args.guest_and_args.get(1..).unwrap_or_default();
    if !guest_args.is_empty() {
        config.args = guest_args.iter().map(utf8).collect::<Result<_>>()?;
    }
    let mounts = mounts(args)?;
    config.mounts.retain(|mount| {
        mounts
            .iter()
            .all(|over| !guest_path::same(&over.path, &mount.path))
    });
    config.mounts.extend(mounts);
    let same_path = [
        (args.replace_dirs, SamePath::Replace),
        (args.keep_dirs, SamePath::Keep),
        (args.layer_dirs, SamePath::Layer),
    ];
    if let Some((_, same_path)) = same_path.into_iter().find(|(is_typed, _)| *is_typed) {
        config.same_path = same_path;
    }
    let over = |typed: &Option<String>, file: &mut Option<String>| {
        if typed.is_some() {
            file.clone_from(typed);
        }
    };
    over(&args.argv0, &mut config.argv0);
    over(&args.cwd, &mut config.working_directory);
    over(&args.invoke, &mut config.entry);
    if let Some(stdin) = &args.stdin {
        config.stdin = match stdin {
            StdinArg::Inherit => Stdin::Inherit,
            StdinArg::Null => Stdin::Null,
            StdinArg::File(path) => Stdin::File(path.clone()),
        };
    }
    if let Some(network) = network(args)? {
        config.network = network;
    }
    if let Some(seed) = args.deterministic {
        *config = std::mem::take(config).deterministic(seed);
    }
    match (&mut config.clock, args.clock) {
        (Clock::Virtual { start, .. }, Some(at)) => *start = at,
        (clock, Some(at)) => *clock = Clock::Fixed(at),
        (_, None) => {}
    }
    if let Some(seed) = args.seed {
        config.random = Random::Seeded(seed);
    }
    let mut limits = Limits::default();
    args.limits.set(&mut limits);
    config.limits = limits.or(&config.limits);
    Ok(())
}

/// What was typed of the network.
fn network(args: &GuestArgs) -> Result<Option<Network>> {
    let rules = NetworkRules {
        connect: args.net.clone(),
        listen: args.listen.clone(),
    };
    match (args.network, rules == NetworkRules::new()) {
        (false, true) => Ok(None),
        (false, false) => Ok(Some(Network::Rules(rules))),
        (true, true) => Ok(Some(Network::Host)),
        (true, false) => Err(usage(
            "--network lets the guest reach all that the host does, so --net and --listen would say nothing; leave out \
             one of them",
        )),
    }
}

fn mounts(args: &GuestArgs) -> Result<Vec<Mount>> {
    let mut mounts: Vec<Mount> = args.dir.iter().map(directory).collect::<Result<_>>()?;
    for more in [&args.mount, &args.overlay, &args.tmpfs, &args.volume] {
        mounts.extend_from_slice(more);
    }
    Ok(mounts)
}

fn utf8(arg: &OsString) -> Result<String> {
    arg.to_str().map(str::to_owned).ok_or_else(|| {
        usage(format!(
            "argument {arg:?} is not UTF-8, which guests require"
        ))
    })
}

fn variable(arg: &EnvArg) -> Result<(String, String)> {
    match arg {
        EnvArg::Set(name, value) => Ok((name.clone(), value.clone())),
        // Copied here, so that of several --env for one name the last stands, whatever its form.
        EnvArg::Copy(name) => match std::env::var(name) {
            Ok(value) => Ok((name.clone(), value)),
            Err(std::env::VarError::NotPresent) => Err(usage(format!(
                "--env {name} copies the host's {name}, which is not set; give --env {name}=VALUE"
            ))),
            Err(std::env::VarError::NotUnicode(_)) => Err(usage(format!(
                "--env {name}: the host's value is not UTF-8, which guests require"
            ))),
        },
    }
}

fn directory(dir: &DirArg) -> Result<Mount> {
    let host = dir.host.to_string_lossy();
    let guest = match &dir.guest {
        Some(guest) => guest.clone(),
        None => {
            colon_for_two(&dir.host, &host)?;
            if guest_path::normalise(&host).is_err() {
                return Err(usage(format!(
                    "--dir {host}: the guest cannot call it that; say how, as in --dir {host}::/data"
                )));
            }
            host.into_owned()
        }
    };
    Ok(Mount::bind(&dir.host, guest, dir.access))
}

/// Catches `--dir /a:/b`, the form other tools have.
fn colon_for_two(path: &Path, host: &str) -> Result<()> {
    match host.split_once(':') {
        Some((before, after)) if !path.exists() && Path::new(before).is_dir() => Err(Error::new(
            ErrorKind::Preopen,
            format!("--dir {host}: no such directory; did you mean {before}::{after}?"),
        )),
        _ => Ok(()),
    }
}

/// An error about what was typed.
pub fn usage(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use wasmrun::{Access, Choice, Engines, Overflow};

    use super::*;
    use crate::args::{Cli, RunArgs};

    fn typed(line: &str) -> RunArgs {
        Cli::try_parse_from(line.split(' ')).expect("parses").run
    }

    fn resolved(line: &str) -> Result<Request> {
        resolve(&typed(line).guest)
    }

    fn chosen(line: &str) -> Result<Choice> {
        let args = typed(line);
        asked_on(&args.launch, &args.guest)?.choice(&Engines::new())
    }

    #[test]
    fn a_plain_run_gives_the_guest_nothing_but_our_streams() {
        let request = resolved("wasmrun app.wasm x").expect("resolves");
        assert_eq!(
            chosen("wasmrun app.wasm x").expect("resolves"),
            Choice::Auto
        );
        assert_eq!(
            request.config,
            RunConfig::new().arg("x").stdin(Stdin::Inherit)
        );
    }

    #[test]
    fn every_option_arrives_in_the_config() {
        let request = resolved(
            "wasmrun --dir .::/data:ro --replace-dirs --cwd /data --env A=1 --inherit-env \
             --stdin null --argv0 tool --invoke main --network --clock 1970-01-01T00:00:01Z \
             --seed 7 --max-memory 1Mi --fuel 2 --timeout 3s --max-stack 4Ki --max-table 5 \
             --max-instances 6 --max-output 8k --max-guest-size 7 app.wasm",
        )
        .expect("resolves");
        let expected = RunConfig::new()
            .map_dir(".", "/data", Access::ReadOnly)
            .same_path(SamePath::Replace)
            .working_directory("/data")
            .env("A", "1")
            .inherit_env(InheritEnv::All)
            .argv0("tool")
            .entry("main")
            .network(Network::Host)
            .clock(Clock::Fixed(1_000_000_000))
            .random(Random::Seeded(7))
            .limit(|limits| {
                limits.memory = Some(1 << 20);
                limits.fuel = Some(2);
                limits.timeout = Some(std::time::Duration::from_secs(3));
                limits.stack = Some(4 << 10);
                limits.table_elements = Some(5);
                limits.instances = Some(6);
                limits.output = Some(8000);
                limits.overflow = Overflow::Stop;
            });
        assert_eq!(request.config, expected);
        assert_eq!(request.max_guest_bytes, 7);
    }

    #[test]
    fn rules_about_the_network_arrive_in_the_config() {
        let request = resolved("wasmrun --net deny:10.0.0.0/8 --listen [::1]:80 app.wasm");
        let rules = NetworkRules::new()
            .connect("deny:10.0.0.0/8".parse().expect("a rule"))
            .listen("[::1]:80".parse().expect("a rule"));
        let expected = RunConfig::new().network(Network::Rules(rules));
        let config = request.expect("resolves").config;
        assert_eq!(config, expected.stdin(Stdin::Inherit));
        let error = resolved("wasmrun --network --net x app.wasm").expect_err("a contradiction");
        assert_eq!(error.kind(), ErrorKind::Config);
    }

    #[test]
    fn a_deterministic_run_has_a_seed_or_none_and_a_time_or_none() {
        let config = |line: &str| resolved(line).expect("resolves").config;
        let typed = |line: &str| config(line).stdin(Stdin::Null);
        assert_eq!(
            typed("wasmrun --deterministic app.wasm"),
            RunConfig::new().deterministic(0)
        );
        assert_eq!(
            typed("wasmrun --deterministic=9 app.wasm 5"),
            RunConfig::new().deterministic(9).arg("5")
        );
        let begun = config("wasmrun --deterministic --clock 1970-01-01T00:00:01Z app.wasm");
        let (start, step) = (1_000_000_000, 1000);
        assert_eq!(begun.clock, Clock::Virtual { start, step });
        let both = "wasmrun --deterministic --seed 1 app.wasm".split(' ');
        assert!(Cli::try_parse_from(both).is_err());
    }

    #[test]
    fn preferred_engines_come_before_all_others() {
        let Choice::Of(names) =
            chosen("wasmrun --prefer wasmi-cli,wasmer app.wasm").expect("resolves")
        else {
            panic!("a preference is a list");
        };
        assert_eq!(names[..3], ["wasmi-cli", "wasmer", "wasmtime"]);
        assert_eq!(names.len(), Engines::new().names().count());
    }

    #[test]
    fn an_engine_by_name_and_a_preference_contradict_each_other() {
        let error = chosen("wasmrun --engine wasmer --prefer wasmtime app.wasm")
            .expect_err("a contradiction");
        assert_eq!(error.kind(), ErrorKind::Config);
    }

    #[test]
    fn of_several_values_for_a_variable_the_last_stands_whatever_its_form() {
        let path = std::env::var("PATH").expect("tests have a PATH");
        let request = resolved("wasmrun --env PATH=x --env PATH app.wasm").expect("resolves");
        assert_eq!(request.config.env.last(), Some(&("PATH".into(), path)));
    }

    #[test]
    fn a_variable_that_is_not_set_cannot_be_copied() {
        let error = resolved("wasmrun --env WASMRUN_NOT_SET app.wasm").expect_err("not set");
        assert!(error.to_string().contains("--env WASMRUN_NOT_SET=VALUE"));
    }

    #[test]
    fn a_single_colon_between_two_paths_is_pointed_out() {
        let error = resolved("wasmrun --dir .:/data app.wasm").expect_err("one colon");
        assert!(error.to_string().ends_with("did you mean .::/data?"));
    }

    #[test]
    fn a_directory_above_needs_a_name_in_the_guest() {
        let error = resolved("wasmrun --dir .. app.wasm").expect_err("no name");
        assert!(error.to_string().contains("--dir ..::/data"));
        assert!(resolved("wasmrun --dir ..::/data app.wasm").is_ok());
    }
}
