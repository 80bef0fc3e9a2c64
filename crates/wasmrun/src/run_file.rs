//! A run as a file.

mod json;
mod node;
mod problem;
mod read;
#[cfg(feature = "schema")]
mod schema;
#[cfg(test)]
mod tests;
mod toml;
mod variables;
mod write;

use std::env::VarError;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wasmrun_core::units::{Maybe, Size};
use wasmrun_core::{Error, ErrorKind, Guest, PullPolicy, Result, RunConfig, Sha256, Stdin};

use crate::source::is_reference;
use crate::{Choice, Engines, LockedWorkspace, PackageChoice, Workspaces, env_file};
use node::{Kind, Node};
use problem::{Problem, Step};

/// A run as a file, in TOML or JSON: the program, the engine, and everything that a [`RunConfig`] says, in the form that
/// it has for serde.
///
/// ```toml
/// guest = "app.wasm"
/// args = ["--verbose"]
///
/// [env]
/// MODE = "fast"
///
/// [[mounts]]
/// path = "/data"
/// bind = "data"
///
/// [limits]
/// memory = "64Mi"
/// timeout = "2s"
/// ```
///
/// What a file does not say is as the command has it: the guest's standard input is ours, and else it has nothing. Keys that are
/// not known are errors, as are values of another type, with line and column.
///
/// ```
/// use wasmrun::{RunFile, Stdin};
///
/// let file = RunFile::from_toml("guest = 'app.wasm'\nlimits.memory = '64Mi'")?;
/// assert_eq!(file.config.limits.memory, Some(64 << 20));
/// assert_eq!(file.config.stdin, Stdin::Inherit);
///
/// let error = RunFile::from_toml("limits.memroy = 1").expect_err("a slip");
/// assert_eq!(
///     error.to_string(),
///     "TOML: unknown key `memroy` in limits, line 1 column 8; did you mean `memory`?"
/// );
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields))]
pub struct RunFile {
    /// What is run, and on which engine.
    #[serde(flatten)]
    pub launch: Launch,
    /// How it is run.
    #[serde(flatten)]
    pub config: RunConfig,
}

/// What is run, and on which engine: the keys of a [`RunFile`] beside those of the config.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Launch {
    /// The program: a .wasm module or component, a .webc package, or .wat text; a reference to what is in a registry, which begins
    /// with `oci://`; or `-`, standard input.
    pub guest: Option<PathBuf>,
    /// The SHA-256 digest that the program's file has to have. It is compared before anything else is done with it.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub sha256: Option<Sha256>,
    /// Of a webc package: the command that is run, instead of the package's own choice.
    pub command: Option<String>,
    /// Of a webc package: other packages that it uses, as files, directories of such, or `NAME=FILE`.
    #[serde(rename = "use")]
    pub uses: Vec<String>,
    /// Of a reference: when its registry is asked, `always`, `missing` or `never`; if it is not in the store, where left out.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<String>", extend("enum" = ["always", "missing", "never", null]))
    )]
    pub pull: Option<PullPolicy>,
    /// Of a reference: registries, as host and port, that are talked to without TLS.
    pub plain_http: Vec<String>,
    /// The largest program that is read; 256Mi where left out.
    #[serde(with = "Maybe::<Size>")]
    pub max_guest_size: Option<u64>,
    /// The engine: `auto`, a name, or `NAME=PATH` for a runtime elsewhere.
    pub engine: Option<String>,
    /// Engines that `auto` tries before all others, best first.
    pub prefer: Vec<String>,
    /// The workspace of the user's that it is run in.
    pub workspace: Option<String>,
    /// The variables of the host that the file uses: `${NAME}` in its texts is the value of one, and `$${` is `${`.
    ///
    /// Of a file that was read, these are those that `env` has under their own name. When it is written, `env` refers to
    /// them, and the host's values are not in the file.
    pub variables: Vec<String>,
    /// Files of environment variables, as Docker's `--env-file` has them. The later ones go over the earlier, and `env`
    /// over all.
    pub env_file: Vec<PathBuf>,
}

impl Launch {
    /// What names the program.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if nothing does.
    pub fn program(&self) -> Result<&Path> {
        let none = || Error::new(ErrorKind::Config, "name the guest to run");
        self.guest.as_deref().ok_or_else(none)
    }

    /// The largest program that is read.
    pub fn max_guest_bytes(&self) -> u64 {
        self.max_guest_size.unwrap_or(Guest::DEFAULT_MAX_BYTES)
    }

    /// What it says of a package.
    pub fn package_choice(&self) -> PackageChoice {
        PackageChoice {
            command: self.command.clone(),
            uses: self.uses.clone(),
        }
    }
}

/// A run with nothing but our standard input.
impl Default for RunFile {
    fn default() -> Self {
        RunFile {
            launch: Launch::default(),
            config: RunConfig::new().stdin(Stdin::Inherit),
        }
    }
}

impl RunFile {
    /// Reads a file: JSON if its name ends in `.json`, otherwise TOML. Relative paths in it are from its directory.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) if it cannot be read; [`Config`](ErrorKind::Config), with line and column, for what is
    /// wrong in it.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let text = String::from_utf8(env_file::content(path)?)
            .map_err(|_| Error::new(ErrorKind::Config, format!("{name} is not UTF-8")))?;
        let is_json = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let parse = match is_json {
            true => json::parse,
            false => toml::parse,
        };
        let mut file = RunFile::parse(&name, &text, parse)?;
        if let Some(directory) = path.parent() {
            file.rebase(directory);
        }
        Ok(file)
    }

    /// Reads text in TOML. Relative paths stay as they are.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config), with line and column.
    pub fn from_toml(text: &str) -> Result<Self> {
        RunFile::parse("TOML", text, toml::parse)
    }

    /// Reads text in JSON. Relative paths stay as they are.
    ///
    /// # Errors
    ///
    /// As for [`from_toml`](RunFile::from_toml).
    pub fn from_json(text: &str) -> Result<Self> {
        RunFile::parse("JSON", text, json::parse)
    }

    fn parse(
        name: &str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<Node, Problem>,
    ) -> Result<Self> {
        let host = |name: &str| std::env::var(name);
        let read = parse(text).and_then(|node| RunFile::of(node, &host));
        read.map_err(|problem| problem.told(name, text))
    }

    fn of(node: Node, host: &dyn Fn(&str) -> Result<String, VarError>) -> Result<Self, Problem> {
        let place = node.place;
        let Kind::Table(mut table) = node.kind else {
            return Err(Problem::new("a table is expected").at(place));
        };
        let declared = table
            .extract_if(.., |(key, _)| key.text == "variables")
            .next();
        let declared = match &declared {
            None => Vec::new(),
            Some((key, node)) => Vec::<String>::deserialize(node)
                .map_err(|problem| problem.at(node.place).inside(Step::Key(key.text.clone())))?,
        };
        let keys = read::keys_of::<Launch>();
        let (launch, config): (node::Table, _) = table
            .into_iter()
            .partition(|(key, _)| keys.contains(&&*key.text));
        let says_stdin = config.iter().any(|(key, _)| key.text == "stdin");
        let [mut launch, mut config] = [launch, config].map(|table| Node {
            kind: Kind::Table(table),
            place,
        });
        let copied = variables::copied(&mut config, &declared);
        variables::replace(&mut launch, &declared, host)?;
        variables::replace(&mut config, &declared, host)?;
        let mut launch = Launch::deserialize(&launch)?;
        launch.variables = copied;
        let mut config = RunConfig::deserialize(&config).map_err(|problem| problem.beside(keys))?;
        if !says_stdin {
            config.stdin = Stdin::Inherit;
        }
        Ok(RunFile { launch, config })
    }

    /// Lets relative paths be from `directory`.
    fn rebase(&mut self, directory: &Path) {
        let launch = &mut self.launch;
        let guest = launch
            .guest
            .iter_mut()
            .filter(|guest| guest.as_os_str() != "-" && !is_reference(guest));
        let paths = guest.chain(&mut launch.env_file);
        for path in paths.chain(self.config.host_paths_mut()) {
            if !path.as_os_str().is_empty() {
                *path = directory.join(&path);
            }
        }
        for engine in launch.engine.iter_mut().chain(&mut launch.prefer) {
            if let Some((name, path)) = engine.split_once('=') {
                *engine = format!("{name}={}", directory.join(path).display());
            }
        }
        for used in &mut launch.uses {
            *used = match used.split_once('=') {
                Some((name, path)) => format!("{name}={}", directory.join(path).display()),
                None => directory.join(&used).display().to_string(),
            };
        }
    }

    /// As text in TOML that is read as the same. What a file need not say is left out.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) for a path that is not UTF-8.
    pub fn to_toml(&self) -> Result<String> {
        write::toml(self)
    }

    /// As text in JSON that is read as the same. What a file need not say is left out.
    ///
    /// # Errors
    ///
    /// As for [`to_toml`](RunFile::to_toml).
    pub fn to_json(&self) -> Result<String> {
        write::json(self)
    }

    /// The JSON Schema of such files, in draft 2020-12.
    #[cfg(feature = "schema")]
    pub fn schema() -> serde_json::Value {
        schema::of_a_file()
    }

    /// Opens the program, and tells what it is run with.
    ///
    /// # Errors
    ///
    /// Those of [`Launch::source`] and [`Source::open`](crate::Source::open).
    pub fn open(&self, engines: &Engines, config: &RunConfig) -> Result<(Guest, RunConfig)> {
        self.launch.source()?.open(engines, config)
    }

    /// Which of these engines may run it.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if it names an engine, and others that it prefers.
    pub fn choice(&self, engines: &Engines) -> Result<Choice> {
        let engine = self.launch.engine.as_deref().unwrap_or("auto");
        let preferred = &self.launch.prefer;
        match engine {
            _ if preferred.is_empty() => Ok(Choice::from(engine)),
            "auto" => {
                let others = engines
                    .names()
                    .filter(|name| preferred.iter().all(|preferred| preferred != name));
                let names = preferred.iter().map(String::as_str).chain(others);
                Ok(Choice::Of(names.map(str::to_owned).collect()))
            }
            engine => Err(Error::new(
                ErrorKind::Config,
                format!("the engine {engine} leaves nothing to prefer; give one of them"),
            )),
        }
    }

    /// The workspace that it is to be run in, if it says one, of `all`: kept for the run.
    ///
    /// # Errors
    ///
    /// As for [`Workspaces::open`] and [`Workspace::lock`](crate::Workspace::lock).
    pub fn lock_workspace(&self, all: &Workspaces) -> Result<Option<LockedWorkspace>> {
        let name = self.launch.workspace.as_deref();
        name.map(|name| all.open(name)?.lock()).transpose()
    }

    /// The config, with the variables that are in files in front of its own. What a workspace adds to it comes from
    /// [that](RunFile::lock_workspace).
    ///
    /// # Errors
    ///
    /// As for [`env_file::read`].
    pub fn run_config(&self) -> Result<RunConfig> {
        let mut config = self.config.clone();
        if !self.launch.env_file.is_empty() {
            let mut env = Vec::new();
            for path in &self.launch.env_file {
                env.extend(env_file::read(path)?);
            }
            env.append(&mut config.env);
            config.env = env;
        }
        Ok(config)
    }
}
