//! `wasmrun compare GUEST`: one program on several engines, and where they differ.

mod difference;
mod files;
mod output;
mod show;

use serde::Serialize;
use wasmrun::guest::shown;
use wasmrun::{
    Attachments, Capability, Control, EngineInfo, Engines, Error, ErrorKind, Guest, Outcome,
    Program, Report, Result, Run, RunConfig, Stats, Stdout, Support,
};

use crate::args::{CompareArgs, SeveralArgs};
use crate::lineup::{Contestant, Lineup, Refused, line_up};
use crate::resolve::{self, Request, usage};
use crate::scratch::Scratch;
use crate::world::{Originals, World};
use crate::{input, say};

use difference::{Difference, How, Part};
use output::Output;

/// The exit code that says that engines differ.
pub const DIFFERENT: u8 = 1;

/// Compares the engines; returns the exit code.
pub fn compare(args: &CompareArgs) -> u8 {
    match execute(args) {
        Ok(comparison) => comparison.tell(args.json),
        Err(error) => say::error(&error, args.several.verbose),
    }
}

fn execute(args: &CompareArgs) -> Result<Comparison> {
    let stage = Stage::set(&args.several)?;
    if let [only] = &stage.lineup.able[..] {
        let name = &only.label;
        return Err(match args.several.engines.as_slice() {
            [one] if one != "all" => usage(format!("name another engine to compare {name} with")),
            _ => Error::new(
                ErrorKind::Unsupported,
                format!(
                    "only {name} can run {} as asked, so there is nothing to compare",
                    shown(stage.guest.name())
                ),
            ),
        });
    }
    stage.compare()
}

/// All that several runs of a guest share.
pub struct Stage {
    pub guest: Guest,
    /// With what its package or image says in the config.
    pub request: Request,
    /// The config without that.
    pub asked: RunConfig,
    pub lineup: Lineup,
    pub originals: Originals,
    pub scratch: Scratch,
}

impl Stage {
    pub fn set(args: &SeveralArgs) -> Result<Self> {
        let mut request = resolve::resolve(&args.guest)?;
        // Without a cache: each is to do the same work.
        let engines = Engines::new();
        let (guest, config) = request.source.open(&engines, &request.config)?;
        let asked = std::mem::replace(&mut request.config, config);
        let lineup = line_up(&engines, &args.engines, &guest, &request.config)?;
        let originals = Originals::of(&request.config)?;
        let scratch = Scratch::new()?;
        request.config.stdin = input::read_once(&request.config.stdin)?;
        Ok(Stage {
            guest,
            lineup,
            originals,
            scratch,
            request,
            asked,
        })
    }

    /// A run's own directories; everything else is as asked.
    pub fn world(&self) -> Result<World> {
        let mut world = self.originals.copy(&self.scratch)?;
        world.config.stdin = self.request.config.stdin.clone();
        Ok(world)
    }

    /// Compiles the guest and runs it once, with its output going nowhere.
    pub fn run(&self, contestant: &Contestant, world: &World) -> Result<Report> {
        let (program, config, control) = self.compile(contestant, world, Stdout::Null)?;
        match resolve::is_outside(contestant.info()) {
            false => program.run_with(&config, Attachments::new().control(&control)),
            true => self.attended(
                program.start_with(&config, Attachments::new().control(&control))?,
                Run::wait,
            ),
        }
    }

    /// The same, with all that it writes to its standard output and standard error.
    fn observe(&self, contestant: &Contestant, world: &World) -> Result<(Report, Output, Output)> {
        let (program, config, control) = self.compile(contestant, world, Stdout::Pipe)?;
        self.attended(
            program.start_with(&config, Attachments::new().control(&control))?,
            output::of_run,
        )
    }

    fn compile(
        &self,
        contestant: &Contestant,
        world: &World,
        output: Stdout,
    ) -> Result<(Program, RunConfig, Control)> {
        let config = world
            .config
            .clone()
            .stdout(output.clone())
            .stderr(output)
            .killable(resolve::is_outside(contestant.info()));
        let (engine, control) = (contestant.engine.clone(), Control::new());
        let program = Program::compile_for_run(engine, &self.guest, &config, None, &control)?;
        Ok((program, config, control))
    }

    /// Waits for a guest, which a signal kills meanwhile if it would outlive us.
    fn attended<T>(&self, run: Run, wait: impl FnOnce(Run) -> T) -> T {
        self.scratch.kills(run.killer().ok());
        let ended = wait(run);
        self.scratch.kills(None);
        ended
    }

    /// Runs the guest on every engine and compares each with the first that ran it.
    ///
    /// # Errors
    ///
    /// What kept the first engine from running it, if no engine did.
    pub fn compare(&self) -> Result<Comparison> {
        let mut comparison = Comparison {
            guest: self.guest.name().to_owned(),
            agree: true,
            ran: Vec::new(),
            differences: Vec::new(),
            failed: Vec::new(),
            refused: Vec::new(),
            warnings: self.originals.warnings(),
        };
        let mut first: Option<Seen> = None;
        let mut error = None;
        for contestant in &self.lineup.able {
            let world = self.world()?;
            match self.observe(contestant, &world) {
                Ok((report, stdout, stderr)) => {
                    let seen = Seen {
                        info: EngineInfo {
                            name: contestant.label.clone(),
                            ..contestant.info().clone()
                        },
                        capability: contestant.engine.capability_for(&self.guest),
                        report,
                        stdout,
                        stderr,
                        world,
                    };
                    comparison.ran.push(Ran::of(&seen));
                    match &first {
                        Some(first) => comparison.differences.extend(differences(first, &seen)?),
                        None => first = Some(seen),
                    }
                }
                Err(failure) => {
                    let list = match failure.kind() {
                        ErrorKind::Unsupported => &mut comparison.refused,
                        _ => &mut comparison.failed,
                    };
                    list.push(Refused {
                        engine: contestant.label.clone(),
                        reason: failure.to_string(),
                    });
                    error.get_or_insert(failure);
                }
            }
        }
        if let (None, Some(error)) = (first, error) {
            return Err(error);
        }
        comparison.agree = comparison.differences.is_empty() && comparison.failed.is_empty();
        comparison.refused.extend_from_slice(&self.lineup.refused);
        Ok(comparison)
    }
}

/// What was seen of a run.
struct Seen {
    info: EngineInfo,
    capability: Capability,
    report: Report,
    stdout: Output,
    stderr: Output,
    world: World,
}

fn differences(first: &Seen, seen: &Seen) -> Result<Vec<Difference>> {
    let (expected, found) = (&first.report.outcome, &seen.report.outcome);
    let mut differences = Vec::new();
    let mut add = |part: Part, how: Option<How>| {
        differences.extend(how.map(|how| Difference {
            engine: seen.info.name.clone(),
            part,
            how,
        }));
    };
    let reporting = (&first.capability, &seen.capability);
    if !same_outcome(expected, found, reporting) {
        let how = How::Value {
            first: expected.to_string(),
            here: found.to_string(),
        };
        add(Part::Outcome, Some(how));
    }
    let between = (first.info.name.as_str(), seen.info.name.as_str());
    for (part, first, here) in [
        (Part::Stdout, &first.stdout, &seen.stdout),
        (Part::Stderr, &first.stderr, &seen.stderr),
    ] {
        let how = difference::of_outputs(&part.to_string(), between, first, here);
        add(part, how);
    }
    for ((guest, one), (_, other)) in first.world.copies.iter().zip(&seen.world.copies) {
        let found = files::differences(guest, one, other, between).map_err(|source| {
            Error::new(
                ErrorKind::Io,
                format!("cannot compare the copies of {guest}"),
            )
            .with_source(source)
        })?;
        for (path, how) in found {
            add(Part::File(path), Some(how));
        }
    }
    Ok(differences)
}

/// Whether two outcomes are one, as far as both engines tell.
fn same_outcome(one: &Outcome, other: &Outcome, told_by: (&Capability, &Capability)) -> bool {
    let both_tell = |what: fn(&Capability) -> Support| {
        what(told_by.0).is_supported() && what(told_by.1).is_supported()
    };
    match (one, other) {
        (Outcome::Trapped(one), Outcome::Trapped(other)) => {
            one == other || !both_tell(|capability| capability.reports_trap_kinds)
        }
        (Outcome::Exited(one), Outcome::Exited(other)) => {
            let same_success = (*one == 0) == (*other == 0);
            let whole = both_tell(|capability| capability.reports_exit_codes);
            one == other || (same_success && !whole)
        }
        (one, other) => one == other,
    }
}

/// How one program went on several engines.
#[derive(Debug, Serialize)]
pub struct Comparison {
    guest: String,
    /// Whether every engine that ran it did what the first one did.
    pub agree: bool,
    #[serde(rename = "engines")]
    pub ran: Vec<Ran>,
    differences: Vec<Difference>,
    /// Engines that should have run it, and could not.
    pub failed: Vec<Refused>,
    /// Engines that cannot run it as asked.
    pub refused: Vec<Refused>,
    pub warnings: Vec<String>,
}

/// What one engine made of it.
#[derive(Debug, Serialize)]
pub struct Ran {
    #[serde(flatten)]
    pub engine: EngineInfo,
    pub outcome: Outcome,
    pub stdout_bytes: u64,
    pub stderr_bytes: u64,
    pub stats: Stats,
}

impl Ran {
    fn of(seen: &Seen) -> Self {
        let report = &seen.report;
        Ran {
            engine: seen.info.clone(),
            outcome: report.outcome.clone(),
            stdout_bytes: seen.stdout.bytes,
            stderr_bytes: seen.stderr.bytes,
            stats: report.stats.clone(),
        }
    }
}

impl Comparison {
    /// Prints it; returns the exit code.
    pub fn tell(&self, json: bool) -> u8 {
        let printed = match json {
            true => say::print_json(self),
            false => say::print(show::text(self)),
        };
        match (printed, self.agree) {
            (0, true) => 0,
            (0, false) => DIFFERENT,
            (failed, _) => failed,
        }
    }
}
