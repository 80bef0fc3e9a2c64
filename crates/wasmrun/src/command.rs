//! The front in the manner of [`std::process::Command`].

use std::path::PathBuf;

use wasmrun_cache::Cache;
use wasmrun_core::{
    Access, Attachments, Clock, Control, Guest, HostFunctions, InheritEnv, Limits, Mount, Network,
    Outcome, Program, Random, Report, Request, Result, Run, RunConfig, SamePath, Stdin, Stdout,
};

use crate::source::{Place, Source};
use crate::{Choice, Engines, Launch};

/// Runs a guest, in the manner of [`std::process::Command`].
///
/// The guest sees nothing of the host that it is not given: no environment, no directory, no
/// network. Its streams default to what the standard library's do: inherited for
/// [`status`](Command::status) and [`spawn`](Command::spawn); captured, with no input, for
/// [`output`](Command::output).
///
/// ```no_run
/// use std::time::Duration;
/// use wasmrun::{Access, Command};
///
/// # fn main() -> wasmrun::Result<()> {
/// let report = Command::new("app.wasm")
///     .args(["--input", "/data/in.csv"])
///     .env("LANG", "C.UTF-8")
///     .map_dir("/srv/data", "/data", Access::ReadOnly)
///     .limit(|limits| limits.timeout = Some(Duration::from_secs(2)))
///     .output()?;
/// if report.outcome.success() {
///     println!("{}", String::from_utf8_lossy(&report.stdout.bytes));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Command {
    launch: Launch,
    /// The program, if it is there already and not what `launch` names.
    given: Option<Place>,
    choice: Choice,
    engines: Option<Engines>,
    cache: Option<Cache>,
    host: HostFunctions,
    config: RunConfig,
    stdin: Option<Stdin>,
    stdout: Option<Stdout>,
    stderr: Option<Stdout>,
}

impl Command {
    /// A command that runs the guest that this names: most often the path of a file, which is read when the command is started.
    /// [`Launch::source`] tells what else it may be.
    pub fn new(guest: impl Into<PathBuf>) -> Self {
        let launch = Launch {
            guest: Some(guest.into()),
            ..Launch::default()
        };
        Command::of(launch, None)
    }

    /// A command that runs a guest that was read before.
    pub fn from_guest(guest: Guest) -> Self {
        Command::of(Launch::default(), Some(Place::Guest(guest)))
    }

    /// A command that runs the program of an image, with what the image says of a run [under](crate::oci::configured) what
    /// the command is given.
    #[cfg(feature = "oci")]
    pub fn from_image(image: &crate::oci::Image) -> Self {
        let image = Place::Image(Box::new(image.clone()));
        Command::of(Launch::default(), Some(image))
    }

    fn of(launch: Launch, given: Option<Place>) -> Self {
        Command {
            launch,
            given,
            choice: Choice::Auto,
            engines: None,
            cache: None,
            host: HostFunctions::new(),
            config: RunConfig::new(),
            stdin: None,
            stdout: None,
            stderr: None,
        }
    }

    /// Chooses the engine: `"auto"`, a name, or several names, best first.
    pub fn engine(&mut self, choice: impl Into<Choice>) -> &mut Self {
        self.choice = choice.into();
        self
    }

    /// Chooses among these engines, not [those of the process](Engines::shared).
    pub fn engines(&mut self, engines: Engines) -> &mut Self {
        self.engines = Some(engines);
        self
    }

    /// Keeps compiled code in this cache, and not where [the engines](Command::engines) do. Nothing
    /// is kept unless one of them has a cache.
    pub fn cache(&mut self, cache: Cache) -> &mut Self {
        self.cache = Some(cache);
        self
    }

    /// The largest file that is read; [`Guest::DEFAULT_MAX_BYTES`] unless set.
    pub fn max_guest_bytes(&mut self, bytes: u64) -> &mut Self {
        self.launch.max_guest_size = Some(bytes);
        self
    }

    /// Of a package: runs this command of it, and not the package's own choice. To read packages takes the feature `webc`.
    pub fn package_command(&mut self, name: impl Into<String>) -> &mut Self {
        self.launch.command = Some(name.into());
        self
    }

    /// Of a package: lets it use another, or those in a directory: see [`PackageChoice::uses`](crate::PackageChoice::uses).
    pub fn package_uses(&mut self, package: impl Into<String>) -> &mut Self {
        self.launch.uses.push(package.into());
        self
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl Into<String>) -> &mut Self {
        self.config.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, args: impl IntoIterator<Item = impl Into<String>>) -> &mut Self {
        self.config.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.config.env.push((name.into(), value.into()));
        self
    }

    /// Sets environment variables.
    pub fn envs<N: Into<String>, V: Into<String>>(
        &mut self,
        vars: impl IntoIterator<Item = (N, V)>,
    ) -> &mut Self {
        let vars = vars
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        self.config.env.extend(vars);
        self
    }

    /// Gives the guest some or all of the host's environment variables.
    pub fn inherit_env(&mut self, which: InheritEnv) -> &mut Self {
        self.config.inherit_env = which;
        self
    }

    /// Lets the guest import these functions of the host.
    pub fn host_functions(&mut self, functions: HostFunctions) -> &mut Self {
        self.host = functions;
        self
    }

    /// Shows the host directory `host` to the guest as `guest`.
    pub fn map_dir(
        &mut self,
        host: impl Into<PathBuf>,
        guest: impl Into<String>,
        access: Access,
    ) -> &mut Self {
        self.mount(Mount::bind(host, guest, access))
    }

    /// Shows something to the guest at a path of its own.
    pub fn mount(&mut self, mount: Mount) -> &mut Self {
        self.config.mounts.push(mount);
        self
    }

    /// Sets where standard input comes from.
    pub fn stdin(&mut self, stdin: Stdin) -> &mut Self {
        self.stdin = Some(stdin);
        self
    }

    /// Sets where standard output goes.
    pub fn stdout(&mut self, stdout: Stdout) -> &mut Self {
        self.stdout = Some(stdout);
        self
    }

    /// Sets where standard error goes.
    pub fn stderr(&mut self, stderr: Stdout) -> &mut Self {
        self.stderr = Some(stderr);
        self
    }

    /// Keeps so many bytes of what the guest wrote last: see [`RunConfig::logs`].
    pub fn logs(&mut self, bytes: u64) -> &mut Self {
        self.config.logs = Some(bytes);
        self
    }

    /// Changes the limits.
    pub fn limit(&mut self, change: impl FnOnce(&mut Limits)) -> &mut Self {
        change(&mut self.config.limits);
        self
    }

    /// Sets `argv[0]`; the guest's file name unless set.
    pub fn argv0(&mut self, argv0: impl Into<String>) -> &mut Self {
        self.config.argv0 = Some(argv0.into());
        self
    }

    /// Says what becomes of two mounts at one path.
    pub fn same_path(&mut self, same_path: SamePath) -> &mut Self {
        self.config.same_path = same_path;
        self
    }

    /// Tells the guest its working directory.
    pub fn working_directory(&mut self, guest_path: impl Into<String>) -> &mut Self {
        self.config.working_directory = Some(guest_path.into());
        self
    }

    /// Grants network access.
    pub fn network(&mut self, network: Network) -> &mut Self {
        self.config.network = network;
        self
    }

    /// Sets the clocks.
    pub fn clock(&mut self, clock: Clock) -> &mut Self {
        self.config.clock = clock;
        self
    }

    /// Sets the source of random numbers.
    pub fn random(&mut self, random: Random) -> &mut Self {
        self.config.random = random;
        self
    }

    /// Makes two runs do the same: see [`RunConfig::deterministic`].
    pub fn deterministic(&mut self, seed: u64) -> &mut Self {
        self.config = std::mem::take(&mut self.config).deterministic(seed);
        self
    }

    /// Offers the guest the privileged functions of the host as well: see [`RunConfig::privileged`].
    pub fn privileged(&mut self, privileged: bool) -> &mut Self {
        self.config.privileged = privileged;
        self
    }

    /// Calls this exported function instead of the default one.
    pub fn entry(&mut self, entry: impl Into<String>) -> &mut Self {
        self.config.entry = Some(entry.into());
        self
    }

    /// Runs the guest and tells how it ended.
    ///
    /// # Errors
    ///
    /// What kept the guest from starting or from being observed; how it ended, however badly, is
    /// the [`Outcome`].
    pub fn status(&self) -> Result<Outcome> {
        let config = self.config(Stdin::Inherit, Stdout::Inherit);
        Ok(self.run(&config)?.outcome)
    }

    /// Runs the guest and collects what it wrote.
    ///
    /// # Errors
    ///
    /// As for [`Command::status`].
    pub fn output(&self) -> Result<Report> {
        self.run(&self.config(Stdin::Null, Stdout::Capture))
    }

    /// Starts the guest, so that it can be [killed](Run::kill).
    ///
    /// # Errors
    ///
    /// As for [`Command::status`]; what keeps an engine from starting the guest is told by
    /// [`Run::wait`].
    pub fn spawn(&self) -> Result<Run> {
        let source = self.source()?;
        let config = self.config(Stdin::Inherit, Stdout::Inherit).killable(true);
        let control = begin(&config)?;
        let (program, config) = self.compile(&source, &config, &control)?;
        program.start_with(&config, Attachments::new().control(&control))
    }

    fn run(&self, config: &RunConfig) -> Result<Report> {
        let source = self.source()?;
        let control = begin(config)?;
        let (program, config) = self.compile(&source, config, &control)?;
        program.run_with(&config, Attachments::new().control(&control))
    }

    fn config(&self, stdin: Stdin, output: Stdout) -> RunConfig {
        self.config
            .clone()
            .stdin(self.stdin.clone().unwrap_or(stdin))
            .stdout(self.stdout.clone().unwrap_or(output.clone()))
            .stderr(self.stderr.clone().unwrap_or(output))
    }

    fn source(&self) -> Result<Source> {
        match &self.given {
            Some(given) => Ok(self.launch.at(given.clone())),
            None => self.launch.source(),
        }
    }

    /// The program, and what it is run with.
    fn compile(
        &self,
        source: &Source,
        config: &RunConfig,
        control: &Control,
    ) -> Result<(Program, RunConfig)> {
        let engines = self.engines.as_ref().unwrap_or(Engines::shared());
        let cached;
        let engines = match &self.cache {
            None => engines,
            Some(cache) => {
                cached = engines.clone().with_cache(cache.clone());
                &cached
            }
        };
        let (guest, config) = source.open(engines, config)?;
        let request = Request::new(&config, &self.host);
        let program = engines.compile_for_run(&guest, request, &self.choice, control)?;
        Ok((program, config))
    }
}

/// Lets the time of a run begin, before its guest is read.
fn begin(config: &RunConfig) -> Result<Control> {
    let control = Control::new();
    if let Some(timeout) = config.limits.timeout {
        control.expire_after(timeout)?;
    }
    Ok(control)
}
