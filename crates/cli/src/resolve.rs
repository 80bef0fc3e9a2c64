//! From what was typed to what the library takes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use wasmrun::{
    Choice, Clock, EngineInfo, Engines, Error, ErrorKind, Guest, InheritEnv, Mount, MountSource,
    Network, NetworkRules, Place, Random, Result, RunConfig, SamePath, Stdin, guest_path,
    volume_directory,
};

use crate::args::{GuestArgs, RunArgs};
use crate::guest;
use crate::values::{DirArg, EnvArg, StdinArg};

/// What is to be run, and how.
#[derive(Debug)]
pub struct Request {
    pub guest: PathBuf,
    pub max_guest_bytes: u64,
    pub config: RunConfig,
}

impl Request {
    /// Reads the guest, or what these engines' cache knows of it.
    pub fn open(&self, engines: &Engines) -> Result<Guest> {
        guest::open(engines, &self.guest, self.max_guest_bytes)
    }
}

/// Whether a run on `engine` is a process of its own, which has to be ended: what is part of ours ends with
/// us.
pub fn is_outside(engine: &EngineInfo) -> bool {
    engine.place != Place::InProcess
}

pub fn resolve(args: &GuestArgs) -> Result<Request> {
    let (guest, guest_args) = match args.guest_and_args.split_first() {
        Some((guest, args)) => (PathBuf::from(guest), args),
        None => return Err(usage("name the guest to run")),
    };
    let mut config = config(args, guest_args)?;
    if config.stdin == Stdin::Inherit && guest::is_stdin(&guest) {
        // It has been read to its end by then.
        config.stdin = Stdin::Null;
    }
    Ok(Request {
        guest,
        max_guest_bytes: args.max_guest_size,
        config,
    })
}

/// Which engine is to run it.
pub fn choice(args: &RunArgs, engines: &Engines) -> Result<Choice> {
    match (args.engine.as_str(), args.prefer.as_slice()) {
        (engine, []) => Ok(Choice::from(engine)),
        ("auto", preferred) => {
            let others = engines
                .names()
                .filter(|name| preferred.iter().all(|preferred| preferred != name));
            let names = preferred.iter().map(String::as_str).chain(others);
            Ok(Choice::Of(names.map(str::to_owned).collect()))
        }
        (engine, _) => Err(usage(format!(
            "--engine {engine} leaves nothing to --prefer; give one of them"
        ))),
    }
}

fn config(args: &GuestArgs, guest_args: &[OsString]) -> Result<RunConfig> {
    let mut config = RunConfig::new();
    config.args = guest_args.iter().map(utf8).collect::<Result<_>>()?;
    config.argv0 = args.argv0.clone();
    config.env = args.env.iter().map(variable).collect::<Result<_>>()?;
    if args.inherit_env {
        config.inherit_env = InheritEnv::All;
    }
    config.mounts = args.dir.iter().map(directory).collect::<Result<_>>()?;
    config.mounts.extend_from_slice(&args.mount);
    config.mounts.extend_from_slice(&args.overlay);
    config.mounts.extend_from_slice(&args.tmpfs);
    config.mounts.extend_from_slice(&args.volume);
    for mount in &mut config.mounts {
        if let MountSource::Volume(name) = &mount.source {
            mount.source = MountSource::Bind(volume_directory(name, None)?);
        }
    }
    config.same_path = match (args.replace_dirs, args.layer_dirs) {
        (true, _) => SamePath::Replace,
        (_, true) => SamePath::Layer,
        (false, false) => SamePath::Refuse,
    };
    config.working_directory = args.cwd.clone();
    config.stdin = match &args.stdin {
        StdinArg::Inherit => Stdin::Inherit,
        StdinArg::Null => Stdin::Null,
        StdinArg::File(path) => Stdin::File(path.clone()),
    };
    config.network = network(args)?;
    config.clock = args.clock.map_or(Clock::Host, Clock::Fixed);
    config.random = args.seed.map_or(Random::Host, Random::Seeded);
    if let Some(seed) = args.deterministic {
        config = config.deterministic(seed);
        if let (Clock::Virtual { start, .. }, Some(at)) = (&mut config.clock, args.clock) {
            *start = at;
        }
    }
    config.entry = args.invoke.clone();
    Ok(config.limit(|limits| args.limits.set(limits)))
}

fn network(args: &GuestArgs) -> Result<Network> {
    let rules = NetworkRules {
        connect: args.net.clone(),
        listen: args.listen.clone(),
    };
    match (args.network, rules == NetworkRules::new()) {
        (false, true) => Ok(Network::Denied),
        (false, false) => Ok(Network::Rules(rules)),
        (true, true) => Ok(Network::Host),
        (true, false) => Err(usage(
            "--network lets the guest reach all that the host does, so --net and --listen would say nothing; leave out \
             one of them",
        )),
    }
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
    use wasmrun::{Access, Overflow};

    use super::*;
    use crate::args::Cli;

    fn typed(line: &str) -> RunArgs {
        Cli::try_parse_from(line.split(' ')).expect("parses").run
    }

    fn resolved(line: &str) -> Result<Request> {
        resolve(&typed(line).guest)
    }

    fn chosen(line: &str) -> Result<Choice> {
        choice(&typed(line), &Engines::new())
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
