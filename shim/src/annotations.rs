//! What a pod asks of its guests by annotations.

use std::collections::{BTreeMap, HashMap};

use wasmrun::guest::nearest;
use wasmrun::{Network, NetworkRules, RunFile};

/// What the names of our annotations begin with.
const PREFIX: &str = "wasmrun.";

/// The annotations that there are, without the prefix.
const KNOWN: [&str; 7] = [
    "config",
    "deterministic",
    "engine",
    "fuel",
    "max-stack",
    "network",
    "timeout",
];

/// What the annotations of a container ask for.
#[derive(Debug, Default)]
pub struct Asked {
    /// The run so far: what `wasmrun.config` says, and the other annotations over it.
    pub run: RunFile,
    /// Whether something was said of the network. A run as a file that does not name it grants none.
    pub network: bool,
}

impl Asked {
    /// Reads the annotations of a container. Those of others are none of our business.
    ///
    /// # Errors
    ///
    /// A line that names the annotation, for an unknown one and for a value that is not understood.
    pub fn of(annotations: Option<&HashMap<String, String>>) -> Result<Asked, String> {
        let ours: BTreeMap<&str, &str> = annotations
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?, value.as_str())))
            .collect();
        if let Some(unknown) = ours.keys().find(|name| !KNOWN.contains(name)) {
            let meant = match nearest(unknown, &KNOWN) {
                Some(near) => format!("did you mean {PREFIX}{near}?"),
                None => format!("there are {PREFIX}{}", KNOWN.join(&format!(", {PREFIX}"))),
            };
            return Err(format!("unknown annotation {PREFIX}{unknown}; {meant}"));
        }
        let mut asked = Asked::default();
        if let Some(text) = ours.get("config") {
            asked.run = config(text).map_err(|why| about("config", &why))?;
            asked.network = true;
        }
        for (name, value) in ours {
            asked
                .take(name, value.trim())
                .map_err(|why| about(name, &format!("{value:?}: {why}")))?;
        }
        Ok(asked)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        let RunFile { launch, config } = &mut self.run;
        match name {
            "engine" => {
                if value.contains('=') || value.is_empty() {
                    return Err("an engine's name is expected, such as wasmtime, or auto".into());
                }
                launch.engine = Some(value.into());
            }
            "fuel" => config.limits.fuel = key(&["limits", "fuel"], value)?.config.limits.fuel,
            "timeout" => {
                config.limits.timeout = key(&["limits", "timeout"], value)?.config.limits.timeout;
            }
            "max-stack" => {
                config.limits.stack = key(&["limits", "stack"], value)?.config.limits.stack;
            }
            "network" => {
                config.network = network(value)?;
                self.network = true;
            }
            "deterministic" => match value {
                "false" => {}
                "true" => *config = std::mem::take(config).deterministic(0),
                seed => {
                    let seed = seed.parse().map_err(|_| {
                        format!("true, false or the seed of random numbers is expected, not {seed}")
                    })?;
                    *config = std::mem::take(config).deterministic(seed);
                }
            },
            _ => {}
        }
        Ok(())
    }
}

fn about(name: &str, why: &str) -> String {
    format!("annotation {PREFIX}{name}: {why}")
}

/// A run as a file. What the container itself says is not for it to say.
fn config(text: &str) -> Result<RunFile, String> {
    let read = match text.trim_start().starts_with('{') {
        true => RunFile::from_json(text),
        false => RunFile::from_toml(text),
    };
    let run = read.map_err(|error| error.to_string())?;
    let RunFile { launch, config } = &run;
    let of_the_node = [
        (launch.workspace.is_some(), "workspace"),
        (!launch.variables.is_empty(), "variables"),
        (!launch.env_file.is_empty(), "env_file"),
        (
            config.inherit_env != wasmrun::InheritEnv::None,
            "inherit_env",
        ),
        (config.volumes.is_some(), "volumes"),
    ];
    if let Some((_, key)) = of_the_node.iter().find(|(said, _)| *said) {
        return Err(format!(
            "{key} is of the user who runs wasmrun, which a pod has none of"
        ));
    }
    let of_the_container = [
        (launch.guest.is_some(), "guest", "command"),
        (!config.args.is_empty(), "args", "args"),
        (config.argv0.is_some(), "argv0", "command"),
        (
            config.working_directory.is_some(),
            "working_directory",
            "workingDir",
        ),
        (config.stdin != wasmrun::Stdin::Inherit, "stdin", "stdin"),
        (
            config.stdout != wasmrun::Stdout::Inherit,
            "stdout",
            "log of the container",
        ),
        (
            config.stderr != wasmrun::Stdout::Inherit,
            "stderr",
            "log of the container",
        ),
    ];
    match of_the_container.iter().find(|(said, ..)| *said) {
        Some((_, key, instead)) => Err(format!("{key} is told by the container's {instead}")),
        None => Ok(run),
    }
}

/// What a file says that has this one key, so that values are what they are there.
fn key(path: &[&str], value: &str) -> Result<RunFile, String> {
    let file = path.iter().rev().fold(
        serde_json::Value::from(value),
        |inner, key| serde_json::json!({ *key: inner }),
    );
    RunFile::from_json(&file.to_string()).map_err(|error| {
        // Its place in a file that nobody wrote tells nothing.
        let told = error.to_string();
        let told = told.strip_prefix("JSON: ").unwrap_or(&told);
        told.split(", line ").next().unwrap_or(told).to_owned()
    })
}

/// `host`, `none`, or rules as `--net` has them, with commas between.
fn network(value: &str) -> Result<Network, String> {
    match value {
        "host" => Ok(Network::Host),
        "none" => Ok(Network::Denied),
        rules => {
            let mut all = NetworkRules::new();
            for rule in rules.split(',').map(str::trim) {
                let listens = rule.strip_prefix("listen:");
                all = match listens {
                    Some(place) => all.listen(place.parse().map_err(|e| format!("{e}"))?),
                    None => all.connect(rule.parse().map_err(|e| format!("{e}"))?),
                };
            }
            Ok(Network::Rules(all))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn of(annotations: &[(&str, &str)]) -> Result<Asked, String> {
        let annotations = annotations
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Asked::of(Some(&annotations))
    }

    #[test]
    fn every_annotation_arrives_in_the_run() {
        let asked = of(&[
            ("io.kubernetes.cri.container-type", "container"),
            ("wasmrun.engine", "wasmi"),
            ("wasmrun.fuel", "1000"),
            ("wasmrun.timeout", "1m 30s"),
            ("wasmrun.max-stack", "64Ki"),
            ("wasmrun.network", "tcp:example.com:443, listen:0.0.0.0:80"),
            ("wasmrun.deterministic", "7"),
        ])
        .expect("understood");
        let RunFile { launch, config } = asked.run;
        assert_eq!(launch.engine.as_deref(), Some("wasmi"));
        assert_eq!(config.limits.fuel, Some(1000));
        assert_eq!(config.limits.timeout, Some(Duration::from_secs(90)));
        assert_eq!(config.limits.stack, Some(64 << 10));
        assert_eq!(config.random, wasmrun::Random::Seeded(7));
        let Network::Rules(rules) = config.network else {
            panic!("no rules: {:?}", config.network);
        };
        assert_eq!((rules.connect.len(), rules.listen.len()), (1, 1));
    }

    #[test]
    fn a_run_as_a_file_is_in_either_format_and_goes_below_the_others() {
        for text in [
            "env.MODE = 'fast'\nlimits = { fuel = 5, output = '1Ki' }",
            r#"{"env": {"MODE": "fast"}, "limits": {"fuel": 5, "output": "1Ki"}}"#,
        ] {
            let asked = of(&[("wasmrun.config", text), ("wasmrun.fuel", "9")]).expect("understood");
            let config = asked.run.config;
            assert_eq!(config.limits.fuel, Some(9));
            assert_eq!(config.limits.output, Some(1 << 10));
            assert_eq!(config.env, [("MODE".to_owned(), "fast".to_owned())]);
            assert!(asked.network, "a file that names no network grants none");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (name, value, told) in [
            ("wasmrun.fule", "1", "did you mean wasmrun.fuel?"),
            ("wasmrun.x", "1", "there are wasmrun.config"),
            ("wasmrun.fuel", "many", "annotation wasmrun.fuel: "),
            ("wasmrun.timeout", "2", "annotation wasmrun.timeout: "),
            ("wasmrun.max-stack", "-1", "annotation wasmrun.max-stack: "),
            ("wasmrun.engine", "wasmtime=/bin/sh", "an engine's name"),
            (
                "wasmrun.network",
                "some where",
                "annotation wasmrun.network: ",
            ),
            ("wasmrun.deterministic", "yes", "true, false or the seed"),
            (
                "wasmrun.config",
                "limits.memroy = 1",
                "did you mean `memory`?",
            ),
            ("wasmrun.config", "guest = 'x'", "the container's command"),
            (
                "wasmrun.config",
                "workspace = 'x'",
                "which a pod has none of",
            ),
        ] {
            let error = of(&[(name, value)]).expect_err(name);
            assert!(error.contains(told), "{name}={value}: {error}");
            assert!(error.contains("wasmrun."), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
