//! Choosing an engine, and saying why.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use wasmrun_core::guest::shown;
use wasmrun_core::{
    Capability, Engine, Error, ErrorKind, Guest, Place, Refusal, Request, Result, check,
};

use crate::Engines;

/// Which engines may run a guest.
///
/// ```
/// use wasmrun::Choice;
///
/// assert_eq!(Choice::from("auto"), Choice::Auto);
/// assert_eq!(Choice::from("wasmer"), Choice::Of(vec!["wasmer".into()]));
/// assert_eq!(Choice::from(["wasmer", "wazero-cli"]).to_string(), "wasmer, wazero-cli");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Choice {
    /// Any, in the order of [`Engines::names`].
    #[default]
    Auto,
    /// These and no others, best first, by name or as `NAME=PATH`.
    Of(Vec<String>),
}

impl From<&str> for Choice {
    fn from(name: &str) -> Self {
        match name {
            "auto" => Choice::Auto,
            name => Choice::Of(vec![name.into()]),
        }
    }
}

impl<const N: usize> From<[&str; N]> for Choice {
    fn from(names: [&str; N]) -> Self {
        Choice::Of(names.map(str::to_owned).into())
    }
}

impl From<Vec<String>> for Choice {
    fn from(names: Vec<String>) -> Self {
        Choice::Of(names)
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Auto => f.write_str("auto"),
            Choice::Of(names) => f.write_str(&names.join(", ")),
        }
    }
}

/// The engine that is to run a guest, and every engine that was looked at for it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Selection {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// The engines looked at, in order.
    pub considered: Vec<Considered>,
}

/// What was found of every engine. `Display` is a table, one line an engine.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Explanation {
    /// The engines: those of the choice, in its order, then the others.
    pub considered: Vec<Considered>,
    #[serde(skip)]
    selected: Result<Arc<dyn Engine>>,
}

impl Explanation {
    /// Where none was taken: the engine that lacks least, and what it lacks.
    pub fn nearest(&self) -> Option<(&Considered, &[Refusal])> {
        nearest(&self.considered)
    }

    /// The engine that was taken.
    ///
    /// # Errors
    ///
    /// As for [`Engines::select`].
    pub fn into_selection(self) -> Result<Selection> {
        Ok(Selection {
            engine: self.selected?,
            considered: self.considered,
        })
    }
}

/// What was found of one engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Considered {
    /// Its name, as the choice gave it.
    pub engine: String,
    /// Its version, if it is here and was looked at.
    pub version: Option<String>,
    /// Where it is, likewise.
    pub place: Option<Place>,
    /// Whether it is to run the guest, and why not.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Whether an engine is to run a guest, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// It is the one.
    Taken,
    /// It could, but another was taken or asked for.
    Able,
    /// It cannot.
    PassedOver {
        /// Everything that stands in the way.
        reasons: Vec<Refusal>,
    },
    /// It is not here, or cannot start.
    Absent {
        /// What sort of absence this is.
        kind: ErrorKind,
        /// What is missing, and how to get it.
        reason: String,
    },
    /// It was not looked at, because one before it could.
    NotReached,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Taken => f.write_str("taken"),
            Verdict::Able => f.write_str("able"),
            Verdict::PassedOver { reasons } => write!(f, "unable: {}", all(reasons)),
            Verdict::Absent { reason, .. } => write!(f, "absent: {reason}"),
            Verdict::NotReached => f.write_str("not looked at"),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = |considered: &Considered| considered.version.clone().unwrap_or("-".into());
        let widest = |cell: &dyn Fn(&Considered) -> usize| {
            self.considered.iter().map(cell).max().unwrap_or_default()
        };
        let names = widest(&|considered| considered.engine.chars().count());
        let versions = widest(&|considered| version(considered).chars().count());
        for considered in &self.considered {
            writeln!(
                f,
                "{:names$}  {:versions$}  {}",
                considered.engine,
                version(considered),
                considered.verdict
            )?;
        }
        Ok(())
    }
}

impl Engines {
    /// The first engine of `choice` that is here, can do what `guest` needs, and honours all that is asked: by a
    /// config or, with functions of the host, a [`Request`]. No engine after it is looked at.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if none can: the message names the nearest engine,
    /// what stands in its way, and the engines outside `choice` that could.
    /// [`EngineNotFound`](ErrorKind::EngineNotFound) if none is here.
    pub fn select<'a>(
        &self,
        guest: &Guest,
        request: impl Into<Request<'a>>,
        choice: &Choice,
    ) -> Result<Selection> {
        let request = request.into();
        known(self, choice)?;
        // What no engine could do needs none to be opened.
        if let Some(error) = hopeless(guest, request) {
            return Err(error);
        }
        walk(self, guest, request, choice, Extent::FirstFit).into_selection()
    }

    /// Like [`select`](Engines::select), but looks at every engine and tells of each whether it
    /// could run `guest` as is asked, and why not.
    pub fn explain<'a>(
        &self,
        guest: &Guest,
        request: impl Into<Request<'a>>,
        choice: &Choice,
    ) -> Explanation {
        // Opens them all at the same time; the walk then finds them open.
        drop(self.all());
        walk(self, guest, request.into(), choice, Extent::All)
    }
}

/// Refuses a misspelt name even where an engine before it would be taken.
fn known(engines: &Engines, choice: &Choice) -> Result<()> {
    match choice {
        Choice::Auto => Ok(()),
        Choice::Of(names) => names.iter().try_for_each(|name| engines.knows(name)),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Extent {
    FirstFit,
    All,
}

fn walk(
    engines: &Engines,
    guest: &Guest,
    request: Request<'_>,
    choice: &Choice,
    extent: Extent,
) -> Explanation {
    let chosen: Vec<&str> = match choice {
        Choice::Auto => engines.names().collect(),
        Choice::Of(names) => names.iter().map(String::as_str).collect(),
    };
    let mut taken = None;
    let mut considered = Vec::new();
    for name in &chosen {
        if taken.is_some() && extent == Extent::FirstFit {
            considered.push(unseen(name, Verdict::NotReached));
            continue;
        }
        let (mut one, engine) = consider(engines, name, guest, request);
        if one.verdict == Verdict::Able && taken.is_none() {
            one.verdict = Verdict::Taken;
            taken = engine;
        }
        considered.push(one);
    }
    let asked = considered.len();
    if taken.is_none() || extent == Extent::All {
        let others = engines.names().filter(|name| !chosen.contains(name));
        considered.extend(others.map(|name| consider(engines, name, guest, request).0));
    }
    let (asked, others) = considered.split_at(asked);
    let selected = known(engines, choice)
        .and_then(|()| taken.ok_or_else(|| none_fits(guest, request, asked, others)));
    Explanation {
        considered,
        selected,
    }
}

fn consider(
    engines: &Engines,
    name: &str,
    guest: &Guest,
    request: Request<'_>,
) -> (Considered, Option<Arc<dyn Engine>>) {
    let engine = match engines.get(name) {
        Ok(engine) => engine,
        Err(error) => return (unseen(name, cannot_start(&error)), None),
    };
    let reasons = check::refusals_of(&*engine, guest, request);
    let info = engine.info();
    let considered = Considered {
        engine: name.to_owned(),
        version: Some(info.version.clone()),
        place: Some(info.place.clone()),
        verdict: match reasons.is_empty() {
            true => check::set_up(&*engine, guest, request)
                .map_or_else(|error| cannot_start(&error), |()| Verdict::Able),
            false => Verdict::PassedOver { reasons },
        },
    };
    (considered, Some(engine))
}

fn cannot_start(error: &Error) -> Verdict {
    let message = error.to_string();
    let prefix = error.engine().map(|engine| format!("{engine}: "));
    let reason = prefix
        .and_then(|prefix| message.strip_prefix(&prefix))
        .unwrap_or(&message)
        .to_owned();
    Verdict::Absent {
        kind: error.kind(),
        reason,
    }
}

fn unseen(name: &str, verdict: Verdict) -> Considered {
    Considered {
        engine: name.to_owned(),
        version: None,
        place: None,
        verdict,
    }
}

/// What stands in the way on every engine there could be.
fn hopeless(guest: &Guest, request: Request<'_>) -> Option<Error> {
    let refusal = check::refusals(&Capability::EVERYTHING, guest, request)
        .into_iter()
        .next()?;
    Some(unsupported(
        format!("{}: {refusal}", shown(guest.name())),
        &refusal,
    ))
}

fn none_fits(
    guest: &Guest,
    request: Request<'_>,
    asked: &[Considered],
    others: &[Considered],
) -> Error {
    if let Some(error) = hopeless(guest, request) {
        return error;
    }
    let able: Vec<&str> = others
        .iter()
        .filter(|other| other.verdict == Verdict::Able)
        .map(|other| other.engine.as_str())
        .collect();
    let way_out = match able.as_slice() {
        [] if others.is_empty() => String::new(),
        [] => "; no engine here can".into(),
        able => format!("; {} can", and(able)),
    };
    match (asked, nearest(asked)) {
        ([only], Some((_, reasons))) => {
            unsupported(format!("{}{way_out}", all(reasons)), &reasons[0]).with_engine(&only.engine)
        }
        (_, Some((nearest, reasons))) => unsupported(
            format!(
                "no engine can run {} as asked{way_out}; nearest is {}, which {}",
                shown(guest.name()),
                nearest.engine,
                all(reasons)
            ),
            &reasons[0],
        ),
        (asked, None) => absent(asked),
    }
}

/// The engine that lacks least: first of what the guest needs, then of what is asked.
fn nearest(considered: &[Considered]) -> Option<(&Considered, &[Refusal])> {
    let passed_over = considered.iter().filter_map(|one| match &one.verdict {
        Verdict::PassedOver { reasons } => Some((one, reasons.as_slice())),
        _ => None,
    });
    passed_over.min_by_key(|(_, reasons)| {
        let needs = reasons.iter().filter(|reason| !reason.asked).count();
        (needs, reasons.len())
    })
}

fn absent(asked: &[Considered]) -> Error {
    let found = asked.iter().find_map(|one| match &one.verdict {
        Verdict::Absent { kind, reason } => Some((one, *kind, reason)),
        _ => None,
    });
    match (asked, found) {
        ([_], Some((one, kind, reason))) => Error::new(kind, reason).with_engine(&one.engine),
        (_, Some((one, kind, reason))) => Error::new(
            kind,
            format!("none of the engines is here; {}: {reason}", one.engine),
        ),
        (_, None) => Error::new(
            ErrorKind::EngineNotFound,
            "no engine was given to choose from",
        ),
    }
}

fn unsupported(message: String, refusal: &Refusal) -> Error {
    Error::new(ErrorKind::Unsupported, message)
        .with_operation("select")
        .with_context("request", refusal.what)
}

fn all(reasons: &[Refusal]) -> String {
    let reasons: Vec<&str> = reasons.iter().map(|refusal| &*refusal.reason).collect();
    reasons.join("; ")
}

fn and(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
