//! The command line, as it was typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use wasmrun::{Launch, Limits, ListenRule, Mount, NetworkRule, Overflow, Sha256};

use crate::containers::args::{ContainersCommand, DetachArgs};
use crate::mounts;
use crate::values::{self, DirArg, EnvArg, StdinArg};

/// How it is used, with what only some builds have.
macro_rules! usage {
    ($images:literal) => {
        concat!(
            "wasmrun [run] [OPTIONS] GUEST [ARGS]...
       wasmrun [run] [OPTIONS] --config FILE [GUEST [ARGS]...]
       wasmrun compare [OPTIONS] GUEST [ARGS]...
       wasmrun bench [OPTIONS] GUEST [ARGS]...
       wasmrun config [OPTIONS] GUEST [ARGS]...
       wasmrun compile [OPTIONS] GUEST
       wasmrun cache dir|list|verify|clear|prune
       wasmrun workspace new|ls|changes|diff|commit|reset|fork|export|import|rm
       wasmrun run --detach [--name NAME] [OPTIONS] GUEST [ARGS]...
       wasmrun ps|start|stop|kill|wait|logs|stats|rm
",
            $images,
            "       wasmrun engines [--json]
       wasmrun inspect GUEST [--json]
       wasmrun schema
       wasmrun completions SHELL
       wasmrun man DIR"
        )
    };
}

#[cfg(feature = "oci")]
const USAGE: &str = usage!(
    "       wasmrun pull|push|images|tag|rmi|save|load|prune [OPTIONS] [REF]...
       wasmrun login|logout REGISTRY
"
);
#[cfg(not(feature = "oci"))]
const USAGE: &str = usage!("");

const RUN_USAGE: &str = "wasmrun [run] [OPTIONS] GUEST [ARGS]...
       wasmrun [run] [OPTIONS] --config FILE [GUEST [ARGS]...]";

const AFTER_HELP: &str = "Everything after GUEST belongs to the guest. `wasmrun --help` tells more, with examples and exit codes.";

const AFTER_LONG_HELP: &str = "\
Examples:
  Run a program with arguments:
      wasmrun app.wasm --verbose input.txt

  Let it read ./data as /data, write to ./out as /out, and nothing else:
      wasmrun --dir data::/data:ro --dir out::/out app.wasm

  Run what you do not trust, within bounds:
      wasmrun --timeout 2s --max-memory 64Mi --fuel 1000000000 app.wasm

  Give it one variable of its own and one of yours:
      wasmrun --env MODE=fast --env LANG app.wasm

  See which engine is taken, and why:
      wasmrun --explain --max-memory 64Mi app.wasm

  Keep a command line as a file, and run it:
      wasmrun config --dir data::/data:ro --timeout 2s app.wasm > job.toml
      wasmrun --config job.toml

  Use a runtime that is not on PATH:
      wasmrun --engine wasmi-cli=/opt/wasmi/bin/wasmi app.wasm

  Call a function of a module, or of a component:
      wasmrun --invoke add module.wasm 1 2
      wasmrun --invoke 'greet(\"world\")' component.wasm

  See whether all engines agree, and which is fastest:
      wasmrun compare app.wasm
      wasmrun bench --html bench.html app.wasm

  Compile it now, so that its first run starts at once too:
      wasmrun compile app.wasm

  Run a program that is in a registry, and from then on in the store:
      wasmrun oci://registry.example.com/tools/app:1.0 --verbose

  Run a program that comes through a pipe, and is not in a file:
      curl https://example.com/app.wasm | wasmrun - --verbose

  Run a file that is called like a subcommand:
      wasmrun ./engines

Compiled code is kept in $WASMRUN_CACHE_DIR, or else in wasmrun/code in the user's directory for
caches. Only a directory that belongs to the user, and to no one else, is used.

Exit codes:
  the guest's own  it ran to its end (as far as eight bits tell; a failure is never told as 0)
  124              its time or fuel ran out
  125              wasmrun itself failed: bad usage, a directory that is not there
  126              the file is no program for us: not wasm, invalid, or more than the engine can do
  127              the file or the engine was not found
  134              the guest trapped
  137              it starts out with more memory than it may have
  153              it wrote more than it may
  128+n            signal n ended it: 130 for Ctrl-C, 141 for a closed pipe, 143 for SIGTERM";

const AFTER_COMPARE_HELP: &str = "\
Everything after GUEST belongs to the guest. Exit codes: 0 if the engines agree, 1 if they differ;
otherwise those of `wasmrun run`.";

const AFTER_BENCH_HELP: &str = "\
Everything after GUEST belongs to the guest. Exit codes: 0 if it was measured, 1 if the engines
differ; otherwise those of `wasmrun run`.";

/// Run WebAssembly programs on any of several engines
///
/// The guest sees nothing of the host that it is not given: no directory, no environment, no
/// network. Whatever is asked for is enforced, or refused before the guest starts; nothing is
/// ignored.
#[derive(Debug, Parser)]
#[command(
    name = "wasmrun",
    version,
    override_usage = USAGE,
    after_help = AFTER_HELP,
    after_long_help = AFTER_LONG_HELP,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArgs,
}

/// A command line without a subcommand.
#[derive(Debug, Parser)]
struct Plain {
    #[command(flatten)]
    run: RunArgs,
}

/// The arguments of a run, if they are in order and no subcommand is in question. For the parser to learn
/// of all of [`Cli`] takes about as long as a small guest runs, and that is needed for nothing else.
pub fn plain_run() -> Option<RunArgs> {
    let Plain { run } = Plain::try_parse().ok()?;
    let first = run.guest.guest_and_args.first();
    let first = first.and_then(|first| first.to_str()).unwrap_or_default();
    (!Command::has_subcommand(first)).then_some(run)
}

fn output_file() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(values::output_file)
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a program; the word may be left out
    #[command(
        override_usage = RUN_USAGE,
        after_help = AFTER_HELP,
        after_long_help = AFTER_LONG_HELP
    )]
    Run(Box<RunArgs>),
    /// Run a program on several engines and show where they differ
    ///
    /// Each engine gets fresh copies of the directories the guest may write to, which are thrown
    /// away afterwards, and the same standard input, read once (none from a terminal).
    #[command(
        override_usage = "wasmrun compare [OPTIONS] GUEST [ARGS]...",
        after_help = AFTER_COMPARE_HELP
    )]
    Compare(Box<CompareArgs>),
    /// Measure a program on several engines
    ///
    /// Compares them first. Then measures, turn by turn, the phases of a run in this process and the
    /// start of a process of its own: `wasmrun` and, for a runtime on PATH, also its own command.
    /// Directories and standard input are as for `compare`.
    #[command(
        override_usage = "wasmrun bench [OPTIONS] GUEST [ARGS]...",
        after_help = AFTER_BENCH_HELP
    )]
    Bench(Box<BenchArgs>),
    /// Print a command line as a file for --config
    ///
    /// The file asks for the same, but it neither explains nor reports. Paths are printed as they were typed: relative
    /// ones are then from the file's directory. Of --env NAME it has the name, and not the host's value.
    #[command(override_usage = "wasmrun config [OPTIONS] GUEST [ARGS]...")]
    Config(Box<ConfigArgs>),
    /// Print the JSON Schema of such files, for editors
    Schema,
    /// Compile a program and keep the code, so that it starts faster
    Compile(CompileArgs),
    /// Make a component one core module, as engines without components are given it
    Flatten(FlattenArgs),
    /// Show, check or remove the compiled code that is kept
    Cache(CacheArgs),
    /// Keep what guests see of files from run to run: fork it, look at what changed, keep or undo it
    ///
    /// `wasmrun run --workspace NAME` runs a guest in one. They are kept in wasmrun/workspaces in the user's directory for data.
    Workspace(WorkspaceArgs),
    /// Programs in registries
    #[cfg(feature = "oci")]
    #[command(flatten)]
    Images(crate::images::ImageCommand),
    #[command(flatten)]
    Containers(ContainersCommand),
    /// Show every engine: where it is, its version, what it can do
    Engines(EnginesArgs),
    /// Show what a program is, what it needs, and which engines can run it
    Inspect(InspectArgs),
    /// Print what a shell needs to complete this command's lines
    ///
    /// For bash, in ~/.bashrc: `source <(wasmrun completions bash)`. For zsh, into a directory of $fpath:
    /// `wasmrun completions zsh > DIR/_wasmrun`. For fish:
    /// `wasmrun completions fish > ~/.config/fish/completions/wasmrun.fish`.
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual, a page for each command, into a directory
    ///
    /// Into ~/.local/share/man/man1 they are found by `man wasmrun`, as far as that is in the manual's path.
    Man {
        /// The directory; it is made if it is not there
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        dir: PathBuf,
    },
}

/// Where it is run.
#[derive(Debug, Args)]
pub struct LaunchArgs {
    /// The engine: auto, NAME, or NAME=PATH for a runtime elsewhere
    ///
    /// `auto`, the default, takes the first engine that is here, can do what the guest needs, and honours every option
    /// given. `wasmrun engines` lists the names.
    #[arg(long, value_name = "NAME", help_heading = "Engine")]
    pub engine: Option<String>,

    /// Engines that `auto` tries before all others, best first
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        help_heading = "Engine"
    )]
    pub prefer: Vec<String>,

    /// Run it in this workspace, which keeps what it writes
    ///
    /// What the workspace has is mounted first, at / unless it was made with another path. Its engines and limits hold
    /// where the command line has none.
    #[arg(long, value_name = "NAME", help_heading = "What the guest sees")]
    pub workspace: Option<String>,
}

#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(flatten)]
    pub launch: LaunchArgs,

    #[command(flatten)]
    pub guest: GuestArgs,

    /// Print JSON
    #[arg(long, help_heading = "Reporting")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub launch: LaunchArgs,

    /// Show on stderr which engine is taken, and why not the others
    #[arg(long, help_heading = "Engine")]
    pub explain: bool,

    /// Compile the guest anew, and keep no code
    #[arg(long, help_heading = "Engine")]
    pub no_cache: bool,

    #[command(flatten)]
    pub detach: DetachArgs,

    #[command(flatten)]
    pub guest: GuestArgs,

    /// Write how it went to a file, as JSON
    ///
    /// Outcome, engine and version, times, limits, what the cache had, connections and bytes, what of the
    /// network was denied, and every engine considered; the error, if the guest could not be started.
    #[arg(
        long,
        value_name = "FILE",
        value_parser = output_file(),
        value_hint = ValueHint::FilePath,
        help_heading = "Reporting"
    )]
    pub report: Option<PathBuf>,

    /// Write what the guest changed of overlays and file systems in memory, as JSON; - is standard output
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        help_heading = "Reporting"
    )]
    pub changes: Option<PathBuf>,

    /// Tell all there is about an error or a trap
    #[arg(short, long, help_heading = "Reporting")]
    pub verbose: bool,
}

/// A guest, and how it is to be run: the same for every command that runs one.
#[derive(Debug, Args)]
pub struct GuestArgs {
    /// The program (a .wasm module or component, a .webc package, or .wat text; - is standard input), and its arguments
    ///
    /// It may be a reference, oci://HOST/REPOSITORY:TAG, to what is in a registry or in the store. What its image says of
    /// arguments, variables and files is there, and what is asked here goes over it.
    ///
    /// A program that is read from standard input, as `-` or /dev/stdin, finds its own standard input
    /// empty, unless --stdin names a file. A named pipe or `<(command)` is read to its end as well.
    #[arg(
        value_name = "GUEST [ARGS]",
        required_unless_present = "config",
        num_args = 1..,
        trailing_var_arg = true,
        hide_long_help = false,
        value_hint = ValueHint::FilePath
    )]
    pub guest_and_args: Vec<OsString>,

    /// Run what is in a file, TOML or .json; options go over it
    ///
    /// GUEST, an option of one value and ARGS take the place of what the file has. Variables and mounts are added to the
    /// file's, and take the place of one of the same name or path. `wasmrun config` prints such a file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// Run the guest only if its file has this SHA-256 digest
    #[arg(long, value_name = "DIGEST")]
    pub sha256: Option<Sha256>,

    /// Of a webc package: run this command of it, or of a package that it uses
    ///
    /// Without it, the package's entrypoint or only command is run. Its arguments come before ARGS, its variables are there
    /// unless they are given otherwise, and its volumes are seen where it says, each below an overlay: what is written there
    /// goes to memory, and is told by --changes. A mount at the path of a volume is an error without --replace-dirs,
    /// --keep-dirs or --layer-dirs.
    #[arg(long, value_name = "NAME", help_heading = "Packages")]
    pub command: Option<String>,

    /// Of a webc package: let it use another, FILE or NAME=FILE, or those in a directory
    ///
    /// Packages are found by what they say of themselves. NAME, a package or what another calls it, says so in their place.
    #[arg(
        long,
        value_name = "PACKAGE",
        value_hint = ValueHint::AnyPath,
        help_heading = "Packages"
    )]
    pub r#use: Vec<String>,

    #[cfg(feature = "oci")]
    #[command(flatten)]
    pub images: crate::images::ImageArgs,

    /// Show a host directory to the guest: HOST[::GUEST][:ro|:rw]
    ///
    /// GUEST is HOST where it is left out. `:ro` makes it read-only, `:rw`, the default, does not.
    /// The last `::` separates: for a HOST that contains one, give a GUEST as well.
    #[arg(
        long,
        value_name = "DIR",
        value_parser = values::dir,
        value_hint = ValueHint::DirPath,
        help_heading = "What the guest sees"
    )]
    pub dir: Vec<DirArg>,

    /// Mount something in the guest: type=bind|volume|tmpfs|tar|overlay,src=HOST,dst=PATH[,ro][,size=SIZE]…
    ///
    /// `bind` is a directory of the host, as with --dir, or a single file; `volume` a directory that is kept by name; `tmpfs`
    /// a file system in memory, gone with the run, of 256Mi unless it says otherwise: empty at first or, with `src`, a copy of
    /// that directory or archive; `tar` what is in a tar or tar.gz, read-only; `overlay` what is in `lower=DIR`, directories or archives with colons between them, of
    /// which none is changed: what the guest writes goes to `upper=DIR` or, without it, to memory. `size=` and `entries=` bound
    /// what is in memory. A field with a comma is put in quotes.
    #[arg(
        long,
        value_name = "MOUNT",
        value_parser = mounts::mount,
        help_heading = "What the guest sees"
    )]
    pub mount: Vec<Mount>,

    /// Show a host directory to the guest, which changes only what it sees: HOST::PATH
    ///
    /// Its changes are kept in memory, up to 256Mi, and told by --changes; the directory stays as it is.
    #[arg(
        long,
        value_name = "DIR",
        value_parser = mounts::overlay,
        value_hint = ValueHint::DirPath,
        help_heading = "What the guest sees"
    )]
    pub overlay: Vec<Mount>,

    /// Mount a file system in memory: PATH[:SIZE]
    #[arg(
        long,
        value_name = "PATH",
        value_parser = mounts::tmpfs,
        help_heading = "What the guest sees"
    )]
    pub tmpfs: Vec<Mount>,

    /// Mount a directory that is kept by name, and made when it is first used: NAME:PATH[:ro|:rw]
    #[arg(
        long,
        value_name = "VOLUME",
        value_parser = mounts::volume,
        help_heading = "What the guest sees"
    )]
    pub volume: Vec<Mount>,

    /// Let a later mount take the path of an earlier one
    ///
    /// The order is: every --dir, every --mount, every --overlay, every --tmpfs, every --volume.
    #[arg(long, help_heading = "What the guest sees")]
    pub replace_dirs: bool,

    /// Let an earlier mount keep its path, and show nothing of a later one at it
    ///
    /// The volumes of a package are the first, so this is what keeps them. The order is as with --replace-dirs.
    #[arg(
        long,
        conflicts_with_all = ["replace_dirs", "layer_dirs"],
        help_heading = "What the guest sees"
    )]
    pub keep_dirs: bool,

    /// Let a later mount lie over an earlier one at its path
    ///
    /// The guest sees the directories of both merged, as in an overlay, and what it writes goes to the later: memory, or an
    /// overlay. If the later is read-only, all is. The order is as with --replace-dirs.
    #[arg(
        long,
        conflicts_with = "replace_dirs",
        help_heading = "What the guest sees"
    )]
    pub layer_dirs: bool,

    /// Tell the guest its working directory (components only)
    #[arg(long, value_name = "GUEST_DIR", help_heading = "What the guest sees")]
    pub cwd: Option<String>,

    /// Set an environment variable; NAME alone copies the host's
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = values::env, help_heading = "What the guest sees")]
    pub env: Vec<EnvArg>,

    /// Set the variables in a file, a line each: NAME=VALUE, or NAME for the host's; --env goes over it
    ///
    /// As Docker has it: a line that begins with `#` is none, nor is a NAME that the host does not have, and quotes are part
    /// of a value.
    #[arg(
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        help_heading = "What the guest sees"
    )]
    pub env_file: Vec<PathBuf>,

    /// Give the guest all of the host's environment; --env-file and --env go over it
    #[arg(long, help_heading = "What the guest sees")]
    pub inherit_env: bool,

    /// Its standard input: inherit, the default, null, or a file
    #[arg(
        long,
        value_name = "SOURCE",
        value_parser = values::stdin,
        value_hint = ValueHint::FilePath,
        help_heading = "What the guest sees"
    )]
    pub stdin: Option<StdinArg>,

    /// Its `argv[0]`, instead of the file's name
    #[arg(long, value_name = "NAME", help_heading = "What the guest sees")]
    pub argv0: Option<String>,

    /// Call this exported function instead of the default entry
    ///
    /// Of a guest that is to run, one that takes values is given the ARGS, one each. For a module these are integers, also
    /// as 0x…, and floats; for a component they are written as WAVE has it (`1`, `"text"`, `[1, 2]`, `{x: 1}`), and may
    /// as well come with the name: 'add(1, 2)'. Functions of interfaces are called NAMESPACE:PACKAGE/INTERFACE#FUNCTION, or
    /// FUNCTION alone where only one has it. What it returns is printed in the same way, a line each. Of other commands, it
    /// takes and returns nothing.
    #[arg(long, value_name = "EXPORT", help_heading = "What the guest sees")]
    pub invoke: Option<String>,

    /// Let it reach the network as the host does (components only)
    #[arg(long, help_heading = "What the guest sees")]
    pub network: bool,

    /// Let it reach what a rule allows and none denies: [allow:|deny:][tcp:|udp:]HOST[:PORT[-PORT]] (components only)
    ///
    /// HOST is a name, `*.example.com` for all names below it, `*` for all names, or an address or block of addresses
    /// (10.0.0.0/8; one of IPv6 in brackets where a port follows). Deny goes before allow, and what no rule is about is
    /// denied. Loopback, link-local and metadata addresses and the like are denied unless a rule names them. --report tells
    /// what was denied.
    #[arg(
        long,
        value_name = "RULE",
        value_parser = str::parse::<NetworkRule>,
        help_heading = "What the guest sees"
    )]
    pub net: Vec<NetworkRule>,

    /// Let it listen there, or bind a socket for datagrams: [tcp:|udp:]ADDR:PORT (components only)
    ///
    /// 0.0.0.0 and [::] are every address of the host, port 0 is any that is free.
    #[arg(
        long,
        value_name = "ADDR:PORT",
        value_parser = str::parse::<ListenRule>,
        help_heading = "What the guest sees"
    )]
    pub listen: Vec<ListenRule>,

    /// Make two runs do the same: with clocks that it moves itself, seeded random numbers and sorted listings
    ///
    /// Its clocks begin at 2000-01-01, or at --clock, and pass a microsecond each time that it looks; it sleeps without
    /// waiting. Random numbers follow from SEED, which is 0 where it is left out. Directories are listed by name. What it is
    /// given has to be the same both times, and its standard input a file.
    #[arg(
        long,
        value_name = "SEED",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "0",
        conflicts_with = "seed",
        help_heading = "What the guest sees"
    )]
    pub deterministic: Option<u64>,

    /// Stop its wall clock at this time, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = values::time, help_heading = "What the guest sees")]
    pub clock: Option<u64>,

    /// Let its random numbers follow from this seed
    #[arg(long, value_name = "N", help_heading = "What the guest sees")]
    pub seed: Option<u64>,

    #[command(flatten)]
    pub limits: LimitArgs,

    /// The largest guest that is read, 256Mi unless it is given
    #[arg(long, value_name = "SIZE", value_parser = values::size, help_heading = "Limits")]
    pub max_guest_size: Option<u64>,
}

/// What it may use.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// Memory, all memories and tables together, such as 64Mi
    ///
    /// An element of a table counts as 32 bytes. Sizes are bytes, or take a unit: k, M, G are powers of 1000, Ki, Mi, Gi powers of 1024.
    #[arg(long, value_name = "SIZE", value_parser = values::size, help_heading = "Limits")]
    pub max_memory: Option<u64>,

    /// Fuel, about one unit an instruction
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub fuel: Option<u64>,

    /// Time from start to end, compiling and sleeping included, such as 500ms, 2s or 1m30s
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = "Limits")]
    pub timeout: Option<Duration>,

    /// Stack for the guest's calls
    #[arg(long, value_name = "SIZE", value_parser = values::size, help_heading = "Limits")]
    pub max_stack: Option<u64>,

    /// Elements of all tables together, of which there are never more than 10,000,000
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub max_table: Option<u64>,

    /// Core instances a component may consist of
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub max_instances: Option<u64>,

    /// What it may write to stdout, and as much to stderr; one that writes more is ended
    #[arg(long, value_name = "SIZE", value_parser = values::size, help_heading = "Limits")]
    pub max_output: Option<u64>,
}

impl LimitArgs {
    /// Sets those that were given.
    pub fn set(&self, limits: &mut Limits) {
        limits.memory = self.max_memory;
        limits.fuel = self.fuel;
        limits.timeout = self.timeout;
        limits.stack = self.max_stack;
        limits.table_elements = self.max_table;
        limits.instances = self.max_instances;
        if self.max_output.is_some() {
            limits.output = self.max_output;
            limits.overflow = Overflow::Stop;
        }
    }
}

impl GuestArgs {
    /// The options of these that were typed, as they were typed, but for those named.
    pub fn typed(matches: &ArgMatches, except: &[&str]) -> Vec<OsString> {
        let mut typed = Vec::new();
        for option in Self::augment_args(clap::Command::new("")).get_arguments() {
            let id = option.get_id().as_str();
            let Some(name) = option.get_long().filter(|_| !except.contains(&id)) else {
                continue;
            };
            if matches.value_source(id) != Some(ValueSource::CommandLine) {
                continue;
            }
            if !option.get_action().takes_values() {
                typed.push(format!("--{name}").into());
                continue;
            }
            for value in matches.get_raw(id).into_iter().flatten() {
                let mut option = OsString::from(format!("--{name}="));
                option.push(value);
                typed.push(option);
            }
        }
        typed
    }
}

/// A guest for several engines.
#[derive(Debug, Args)]
pub struct SeveralArgs {
    /// The engines, by name or as NAME=PATH; `all` are those that are here and can run it
    ///
    /// The others are compared with the first. An engine may be named twice, which shows what differs
    /// from one run to the next.
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "all",
        help_heading = "Engine"
    )]
    pub engines: Vec<String>,

    #[command(flatten)]
    pub guest: GuestArgs,

    /// Tell all there is about an error
    #[arg(short, long, help_heading = "Reporting")]
    pub verbose: bool,
}

#[derive(Debug, Args)]
pub struct CompareArgs {
    #[command(flatten)]
    pub several: SeveralArgs,

    /// Print JSON
    #[arg(long, help_heading = "Reporting")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Measure even if the engines differ
    #[arg(long, help_heading = "Measuring")]
    pub ignore_differences: bool,

    /// Rounds to measure, in each of which every engine has its turn; else as many as fit into --time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..), help_heading = "Measuring")]
    pub runs: Option<u32>,

    /// Rounds before those, which do not count
    #[arg(
        long,
        value_name = "N",
        default_value = "1",
        help_heading = "Measuring"
    )]
    pub warmup: u32,

    /// About how long to measure; three rounds are measured in any case
    #[arg(
        long,
        value_name = "TIME",
        default_value = "10s",
        value_parser = values::duration,
        help_heading = "Measuring"
    )]
    pub time: Duration,

    #[command(flatten)]
    pub several: SeveralArgs,

    /// Print JSON, with every single measurement
    #[arg(long, group = "format", help_heading = "Reporting")]
    pub json: bool,

    /// Print comma-separated values
    #[arg(long, group = "format", help_heading = "Reporting")]
    pub csv: bool,

    /// Print Markdown
    #[arg(long, group = "format", help_heading = "Reporting")]
    pub markdown: bool,

    /// Write a page with plots to a file, too
    #[arg(
        long,
        value_name = "FILE",
        value_parser = output_file(),
        value_hint = ValueHint::FilePath,
        help_heading = "Reporting"
    )]
    pub html: Option<PathBuf>,
}

/// A program that is looked at, or made into something else: the same for every command that does not run it.
#[derive(Debug, Args)]
pub struct ProgramArgs {
    /// The program, or a reference to what is in a registry or in the store; - is standard input
    #[arg(value_name = "GUEST", value_hint = ValueHint::FilePath)]
    pub guest: PathBuf,

    /// The largest guest that is read
    #[arg(long, value_name = "SIZE", default_value = "256Mi", value_parser = values::size)]
    pub max_guest_size: u64,

    #[cfg(feature = "oci")]
    #[command(flatten)]
    pub images: crate::images::ImageArgs,
}

impl ProgramArgs {
    /// What is to be opened.
    pub fn launch(&self) -> Launch {
        #[cfg_attr(not(feature = "oci"), allow(unused_mut))]
        let mut launch = Launch {
            guest: Some(self.guest.clone()),
            max_guest_size: Some(self.max_guest_size),
            ..Launch::default()
        };
        #[cfg(feature = "oci")]
        self.images.set(&mut launch);
        launch
    }
}

/// Which program of a package it is.
#[derive(Debug, Args)]
pub struct PackageArgs {
    /// Of a webc package: the command whose program is meant, instead of the package's own choice
    #[arg(long, value_name = "NAME", help_heading = "Packages")]
    pub command: Option<String>,

    /// Of a webc package: another that it uses, FILE or NAME=FILE, or those in a directory
    #[arg(
        long,
        value_name = "PACKAGE",
        value_hint = ValueHint::AnyPath,
        help_heading = "Packages"
    )]
    pub r#use: Vec<String>,
}

impl PackageArgs {
    /// Says so of a program.
    pub fn of(&self, program: &ProgramArgs) -> Launch {
        Launch {
            command: self.command.clone(),
            uses: self.r#use.clone(),
            ..program.launch()
        }
    }
}

#[derive(Debug, Args)]
pub struct CompileArgs {
    #[command(flatten)]
    pub program: ProgramArgs,

    #[command(flatten)]
    pub package: PackageArgs,

    /// The engine: auto, NAME, or NAME=PATH for a runtime elsewhere
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub engine: String,

    /// For runs with --fuel
    #[arg(long)]
    pub fuel: bool,

    /// For runs with --timeout
    #[arg(long)]
    pub timeout: bool,

    /// For runs with this --max-stack
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub max_stack: Option<u64>,
}

#[derive(Debug, Args)]
pub struct FlattenArgs {
    #[command(flatten)]
    pub program: ProgramArgs,

    #[command(flatten)]
    pub package: PackageArgs,

    /// The module; - is standard output, which is the default
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub struct CacheArgs {
    #[command(subcommand)]
    pub command: CacheCommand,
}

#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Show where it is
    Dir,
    /// Show what is kept, the last used first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Compare everything with what was once written, and remove what is damaged
    ///
    /// Exits with 1 if anything was damaged.
    Verify,
    /// Remove everything
    Clear,
    /// Remove what was used longest ago, and all that no program needs
    Prune {
        /// How much may stay
        #[arg(long, value_name = "SIZE", default_value = "4Gi", value_parser = values::size)]
        max_size: u64,
    },
}

#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub struct WorkspaceArgs {
    #[command(subcommand)]
    pub command: WorkspaceCommand,
}

#[derive(Debug, Subcommand)]
pub enum WorkspaceCommand {
    /// Make a workspace
    New(NewWorkspaceArgs),
    /// Show all workspaces
    Ls {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what was changed in one since it began or was forked, as JSON
    Changes {
        /// The workspace
        name: String,
    },
    /// Show what was changed in one as unified text
    Diff {
        /// The workspace
        name: String,
    },
    /// Make the changes in what it began with: a directory, or the workspace it was forked from
    Commit {
        /// The workspace
        name: String,
    },
    /// Undo the changes
    Reset {
        /// The workspace
        name: String,
    },
    /// Make another that has all that this one has
    Fork {
        /// The workspace
        name: String,
        /// The name of the other
        fork: String,
    },
    /// Write all that is in one as a tar archive
    Export {
        /// The workspace
        name: String,
        /// The archive; - is standard output
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Only what was changed, as a layer of an image has it
        #[arg(long)]
        changes: bool,
    },
    /// Copy a directory or an archive into one, all of it or nothing
    Import {
        /// The workspace
        name: String,
        /// The directory, or a tar or tar.gz
        #[arg(value_hint = ValueHint::AnyPath)]
        from: PathBuf,
        /// Where to, below where the workspace is mounted
        #[arg(default_value = "/")]
        to: String,
    },
    /// Remove workspaces, with what was changed in them
    Rm {
        /// The workspaces
        #[arg(required = true)]
        names: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct NewWorkspaceArgs {
    /// What it is called: letters, digits, `_`, `.` and `-`
    pub name: String,

    /// What is in it at first, which stays as it is until it is committed: a directory, or a tar or tar.gz
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::AnyPath)]
    pub from: Option<PathBuf>,

    /// Where guests find it
    #[arg(long, value_name = "GUEST_DIR", default_value = "/")]
    pub path: String,

    /// The engines that run guests in it, best first; any, if none is named
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub engines: Vec<String>,

    #[command(flatten)]
    pub limits: LimitArgs,
}

#[derive(Debug, Args)]
pub struct EnginesArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    #[command(flatten)]
    pub program: ProgramArgs,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The option by which one asks for what a field of `Capability` allows.
pub fn option_for(capability: &str) -> Option<&'static str> {
    Some(match capability {
        "argv0" => "--argv0",
        "env" => "--env",
        "preopens" | "mapped_preopens" | "read_only_preopens" => "--dir",
        "file_mounts" | "own_mounts" => "--mount",
        "working_directory" => "--cwd",
        "entry" => "--invoke",
        "memory" => "--max-memory",
        "fuel" => "--fuel",
        "timeout" => "--timeout",
        "stack" => "--max-stack",
        "table_elements" => "--max-table",
        "instances" => "--max-instances",
        "network" => "--network",
        "network_rules" => "--net",
        "fixed_clock" => "--clock",
        "virtual_clock" | "sorted_listings" => "--deterministic",
        "seeded_random" => "--seed",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use clap::{Args, CommandFactory, FromArgMatches};

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_option_for_a_capability_is_one_of_ours() {
        let help = RunArgs::augment_args(clap::Command::new("run"));
        let options: Vec<_> = help
            .get_opts()
            .filter_map(|option| option.get_long())
            .collect();
        for (capability, _) in wasmrun::Capability::EVERYTHING.iter() {
            if let Some(option) = option_for(capability) {
                let name = option.trim_start_matches('-');
                assert!(options.contains(&name), "{capability}: {option}");
            }
        }
    }

    fn parsed(line: &str) -> RunArgs {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap_or_else(|e| panic!("{line}: {e}"));
        match cli.command {
            Some(Command::Run(args)) => *args,
            None => cli.run,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn options_for_the_guest_can_be_passed_on_as_they_were_typed() {
        let line = "wasmrun bench --env A=1 --runs 5 --env=B=2 --network --max-memory 64Mi \
                    --dir . --json app.wasm --fuel 1";
        let matches = Cli::command().get_matches_from(line.split_whitespace());
        let (_, bench) = matches.subcommand().expect("a subcommand");
        let typed = GuestArgs::typed(bench, &["dir"]);
        assert_eq!(
            typed,
            ["--env=A=1", "--env=B=2", "--network", "--max-memory=64Mi"]
        );
        // They mean the same there.
        let words = ["wasmrun".into()]
            .into_iter()
            .chain(typed)
            .chain(["app.wasm".into()]);
        let again = Cli::command().get_matches_from(words);
        let run = Cli::from_arg_matches(&again).expect("parses").run;
        assert_eq!(
            (run.guest.network, run.guest.limits.max_memory),
            (true, Some(64 << 20))
        );
        assert_eq!(run.guest.env.len(), 2);
    }

    #[test]
    fn everything_after_the_guest_belongs_to_it() {
        for line in [
            "wasmrun --fuel 3 app.wasm --help --fuel 4 -- engines",
            "wasmrun run --fuel 3 app.wasm --help --fuel 4 -- engines",
        ] {
            let args = parsed(line);
            assert_eq!(args.guest.limits.fuel, Some(3));
            assert_eq!(
                args.guest.guest_and_args,
                ["app.wasm", "--help", "--fuel", "4", "--", "engines"]
            );
        }
    }

    #[test]
    fn a_guest_called_like_a_subcommand_is_reachable() {
        for line in [
            "wasmrun ./engines",
            "wasmrun run engines",
            "wasmrun --explain engines",
            "wasmrun -- engines",
        ] {
            let name = parsed(line).guest.guest_and_args.remove(0);
            assert!(name == "engines" || name == "./engines", "{line}: {name:?}");
        }
    }
}
