//! Programs in registries and in the store: `wasmrun pull` and the like, and what is said of a guest that is a reference.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use wasmrun::oci::{
    Client, Digest, DockerConfig, Event, Images, Listed, Progress, Reference, Secret, Store,
};
use wasmrun::{
    Engines, Error, ErrorKind, Guest, Launch, PullPolicy, Result, RunConfig, is_reference,
};

use crate::resolve::usage;
use crate::values::{self, DirArg};
use crate::{guest, say};

#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Get programs from registries into the store
    ///
    /// A reference is oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGITS]. What the store has already is not transferred,
    /// and what was interrupted is gone on with.
    Pull {
        /// What to get
        #[arg(value_name = "REF", required = true)]
        references: Vec<Reference>,
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Send a program to a registry: one of the store, or a file, which is put into the store first
    ///
    /// A file becomes an artifact, which has the program and what it imports and exports; with --dir, an image for
    /// WebAssembly, whose root has the program and those directories.
    #[command(override_usage = "wasmrun push [OPTIONS] [GUEST] REF")]
    Push {
        /// The program's file, if it is not in the store, and where it goes
        #[arg(value_name = "GUEST REF", required = true, num_args = 1..=2, value_hint = ValueHint::FilePath)]
        what: Vec<String>,
        /// Put a directory into the image: HOST::GUEST
        #[arg(long, value_name = "DIR", value_parser = values::dir, value_hint = ValueHint::DirPath)]
        dir: Vec<DirArg>,
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Show what is in the store
    Images {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give something in the store another name
    Tag {
        /// What it is called
        #[arg(value_name = "REF")]
        from: Reference,
        /// What it is to be called as well
        #[arg(value_name = "NEW")]
        to: Reference,
    },
    /// Remove names from the store, and what has no other
    Rmi {
        /// What to remove
        #[arg(value_name = "REF", required = true)]
        references: Vec<Reference>,
    },
    /// Write what is in the store to a file, as an archive of an OCI image layout
    Save {
        /// What to write
        #[arg(value_name = "REF", required = true)]
        references: Vec<Reference>,
        /// The file; - is standard output
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: PathBuf,
    },
    /// Take over what is in such a file
    Load {
        /// The file
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// What it is to be called; by its own name where left out
        #[arg(value_name = "REF")]
        reference: Option<Reference>,
    },
    /// Tell a registry from now on who asks; the password is read from standard input
    ///
    /// It is kept as docker does, by the helper that docker's configuration file names, or else in that file.
    Login {
        /// Host and port of the registry
        #[arg(value_name = "REGISTRY")]
        host: String,
        /// The user there
        #[arg(short, long, value_name = "NAME")]
        user: String,
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Forget who asks a registry
    Logout {
        /// Host and port of the registry
        #[arg(value_name = "REGISTRY")]
        host: String,
    },
    /// Remove from the store what has no name and, beyond a size, what was used longest ago
    Prune {
        /// How much may stay
        #[arg(long, value_name = "SIZE", value_parser = values::size)]
        max_size: Option<u64>,
    },
}

/// How registries are talked to.
#[derive(Debug, Default, Args)]
pub struct RegistryArgs {
    /// Talk to this registry without TLS, so that whoever is on the way can read and change what is said
    ///
    /// HOST[:PORT], as in the reference. The loopback interface needs no such permission.
    #[arg(long, value_name = "REGISTRY", help_heading = "Registries")]
    plain_http: Vec<String>,
}

/// How a guest is got that is a reference.
#[derive(Debug, Default, Args)]
pub struct ImageArgs {
    /// When a registry is asked for a GUEST that is a reference
    #[arg(long, value_name = "WHEN", help_heading = "Registries")]
    pull: Option<When>,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum When {
    /// Each time
    Always,
    /// If it is not in the store, which is the default
    Missing,
    /// Never
    Never,
}

impl ImageArgs {
    /// Says so of a program.
    pub fn set(&self, launch: &mut Launch) {
        launch.pull = self.pull.map(PullPolicy::from).or(launch.pull);
        launch
            .plain_http
            .extend_from_slice(&self.registry.plain_http);
    }
}

impl From<When> for PullPolicy {
    fn from(when: When) -> Self {
        match when {
            When::Always => PullPolicy::Always,
            When::Missing => PullPolicy::IfNotPresent,
            When::Never => PullPolicy::Never,
        }
    }
}

fn client(args: &RegistryArgs) -> Result<Client> {
    let client = Client::with_credentials(DockerConfig::user()?);
    Ok(args.plain_http.iter().fold(client, Client::plain_http))
}

/// Does what a command asks; returns the exit code.
pub fn images(command: &ImageCommand) -> u8 {
    match run(command) {
        Ok(code) => code,
        Err(error) => say::error(&error, false),
    }
}

fn run(command: &ImageCommand) -> Result<u8> {
    let store = || Store::open(Store::user_dir()?);
    match command {
        ImageCommand::Pull {
            references,
            registry,
        } => {
            let images = Images::new(store()?, client(registry)?)
                .policy(PullPolicy::Always)
                .progress(Bars::new());
            for reference in references {
                let image = images.get(reference)?;
                let code = say::print(format!("{reference} is {}\n", image.manifest));
                if code != 0 {
                    return Ok(code);
                }
            }
            Ok(0)
        }
        ImageCommand::Push {
            what,
            dir,
            registry,
        } => push(&store()?, what, dir, registry),
        ImageCommand::Images { json: true } => Ok(say::print_json(&store()?.images()?)),
        ImageCommand::Images { json: false } => Ok(say::print(table(&store()?.images()?))),
        ImageCommand::Tag { from, to } => store()?.tag(from, to).map(|()| 0),
        ImageCommand::Rmi { references } => {
            let store = store()?;
            for reference in references {
                store.untag(reference)?;
            }
            match store.prune(None) {
                Ok(_) => Ok(0),
                // The names are gone. What is left is removed when somebody next prunes.
                Err(error) if error.kind() == ErrorKind::InUse => Ok(0),
                Err(error) => Err(error),
            }
        }
        ImageCommand::Save { references, output } => save(&store()?, references, output),
        ImageCommand::Load { file, reference } => {
            let loaded = store()?.load(file, reference.as_ref())?;
            let lines = loaded.iter().map(|reference| format!("{reference}\n"));
            Ok(say::print(lines.collect::<String>()))
        }
        ImageCommand::Login {
            host,
            user,
            registry,
        } => login(host, user, registry),
        ImageCommand::Logout { host } => {
            if !DockerConfig::user()?.remove(host)? {
                say::line(format_args!("nothing was kept for {host}"));
            }
            Ok(0)
        }
        ImageCommand::Prune { max_size } => {
            let removed = store()?.prune(*max_size)?;
            let names = say::count(removed.images, "name");
            let files = say::count(removed.files, "file");
            let size = say::size(removed.bytes);
            Ok(say::print(format!("removed {names} and {files}, {size}\n")))
        }
    }
}

fn push(store: &Store, what: &[String], dir: &[DirArg], registry: &RegistryArgs) -> Result<u8> {
    let (file, reference) = match what {
        [file, reference] => (Some(file), reference),
        [reference] => (None, reference),
        _ => return Err(usage("name what is pushed, and where to")),
    };
    let reference: Reference = reference.parse()?;
    match file {
        Some(file) => {
            let guest = to_push(file)?;
            let directories = dir.iter().map(|dir| {
                let own = || dir.host.to_string_lossy().into_owned();
                (dir.host.clone(), dir.guest.clone().unwrap_or_else(own))
            });
            let directories: Vec<_> = directories.collect();
            match directories.is_empty() {
                true => store.add(&guest, &reference)?,
                false => store.add_image(&guest, &directories, &reference)?,
            };
        }
        None if !dir.is_empty() => {
            return Err(usage(
                "--dir is for a GUEST that becomes an image; what is in the store is sent as it is",
            ));
        }
        None => {}
    }
    let digest = store.push(&client(registry)?, &reference, &Bars::new())?;
    Ok(say::print(format!("{reference} is {digest}\n")))
}

/// The guest that becomes an artifact, or the program of an image.
fn to_push(file: &str) -> Result<Guest> {
    if is_reference(Path::new(file)) {
        return Err(usage(format!(
            "{file} may have more than a program; `wasmrun tag` gives it the other name, by which it is pushed whole"
        )));
    }
    let launch = Launch {
        guest: Some(file.into()),
        ..Launch::default()
    };
    let source = guest::find(&launch)?;
    if source.package().is_some() {
        return Err(usage(format!(
            "{file} is a package, which has more than a program; what is pushed is a .wasm file and, with --dir, directories"
        )));
    }
    let (guest, _) = source.open(&Engines::new(), &RunConfig::new())?;
    Ok(guest)
}

fn save(store: &Store, references: &[Reference], output: &Path) -> Result<u8> {
    if output.as_os_str() == "-" {
        let mut stdout = io::stdout().lock();
        if stdout.is_terminal() {
            return Err(usage("an archive is not for a terminal; name a file"));
        }
        store.save(references, &mut stdout)?;
        return Ok(say::printed(stdout.flush()));
    }
    let unwritten = |error| {
        let message = format!("cannot write {}", output.display());
        Error::new(ErrorKind::Io, message).with_source(error)
    };
    // What is there stays until all of the new is.
    let directory = output
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let file =
        tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new("."))).map_err(unwritten)?;
    store.save(
        references,
        &mut File::options()
            .write(true)
            .open(file.path())
            .map_err(unwritten)?,
    )?;
    file.persist(output)
        .map_err(|error| unwritten(error.error))?;
    Ok(0)
}

/// The longest password that is read.
const PASSWORD_MOST: u64 = 64 << 10;

fn login(host: &str, user: &str, registry: &RegistryArgs) -> Result<u8> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        let message = format!(
            "the password is read from standard input, and a terminal would show it; try `wasmrun login {host} --user {user} < FILE`"
        );
        return Err(usage(message));
    }
    let mut password = String::new();
    stdin
        .lock()
        .take(PASSWORD_MOST)
        .read_to_string(&mut password)
        .map_err(|source| {
            Error::new(
                ErrorKind::Io,
                "cannot read the password from standard input",
            )
            .with_source(source)
        })?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(usage("there is no password on standard input"));
    }
    let password = Secret::new(password);
    client(registry)?.check(host, user, &password)?;
    let config = DockerConfig::user()?;
    match config.put(host, user, &password)? {
        Some(helper) => say::line(format_args!(
            "docker-credential-{helper} keeps the password for {host}"
        )),
        None => say::line(format_args!(
            "{} has the password for {host} now; who can read that file can read it",
            config.path().display()
        )),
    }
    Ok(0)
}

/// A line for each image.
fn table(images: &[Listed]) -> String {
    let width = images
        .iter()
        .map(|image| image.reference.len())
        .max()
        .unwrap_or_default();
    let now = SystemTime::now();
    let lines = images.iter().map(|image| {
        let age = now.duration_since(image.last_used).unwrap_or_default();
        let digest: String = image.digest.hex().chars().take(12).collect();
        format!(
            "{:width$}  {digest}  {:>10}  {}\n",
            image.reference,
            say::size(image.bytes),
            say::ago(age)
        )
    });
    lines.collect()
}

/// A bar for each blob that is on its way, on a terminal.
pub struct Bars {
    all: MultiProgress,
    bars: Mutex<HashMap<Digest, ProgressBar>>,
}

impl Bars {
    pub fn new() -> Bars {
        Bars {
            all: MultiProgress::new(),
            bars: Mutex::default(),
        }
    }
}

impl Progress for Bars {
    fn event(&self, event: Event) {
        if self.all.is_hidden() {
            return;
        }
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Begins { digest, bytes } => {
                let bar = self.all.add(ProgressBar::new(bytes));
                let style = ProgressStyle::with_template(
                    "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}",
                );
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                bar.set_message(digest.hex().chars().take(12).collect::<String>());
                bars.insert(digest, bar);
            }
            Event::Advances { digest, bytes } => {
                if let Some(bar) = bars.get(&digest) {
                    bar.set_position(bytes);
                }
            }
            Event::Ends { digest } => {
                if let Some(bar) = bars.remove(&digest) {
                    bar.finish_and_clear();
                }
            }
            _ => {}
        }
    }
}
