//! The engines that take part where there are several.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use wasmrun::{Choice, Engine, EngineInfo, Engines, Guest, Result, RunConfig, Verdict};

use crate::resolve::usage;

/// The engines that can run a guest as asked, and the reasons of the others.
#[derive(Debug)]
pub struct Lineup {
    pub able: Vec<Contestant>,
    pub refused: Vec<Refused>,
}

/// An engine that takes part.
#[derive(Debug, Clone)]
pub struct Contestant {
    pub engine: Arc<dyn Engine>,
    /// As it was asked for: NAME, or NAME=PATH.
    pub asked: String,
    /// What it is called here: its name, numbered from its second appearance on.
    pub label: String,
}

impl Contestant {
    pub fn info(&self) -> &EngineInfo {
        self.engine.info()
    }
}

/// An engine that does not.
#[derive(Debug, Clone, Serialize)]
pub struct Refused {
    pub engine: String,
    pub reason: String,
}

/// `ENGINE: REASON`, which some reasons are already.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refused { engine, reason } = self;
        let own = reason.strip_prefix(engine.as_str());
        let reason = own
            .and_then(|rest| rest.strip_prefix(": "))
            .unwrap_or(reason);
        write!(f, "{engine}: {reason}")
    }
}

/// Finds the engines called `names`. Of `all`, those that are not here are passed over in silence;
/// one asked for by name has to be here.
pub fn line_up(
    engines: &Engines,
    names: &[String],
    guest: &Guest,
    config: &RunConfig,
) -> Result<Lineup> {
    let all = names.iter().any(|name| name == "all");
    if all && names.len() > 1 {
        return Err(usage("--engines all has every other engine in it already"));
    }
    let choice = match all {
        true => Choice::Auto,
        false => Choice::Of(names.to_vec()),
    };
    let explanation = engines.explain(guest, config, &choice);
    let asked = match all {
        true => explanation.considered.len(),
        false => names.len(),
    };
    let mut lineup = Lineup {
        able: Vec::new(),
        refused: Vec::new(),
    };
    for one in &explanation.considered[..asked] {
        let engine = one.engine.clone();
        match &one.verdict {
            Verdict::Absent { .. } if all => {}
            Verdict::Absent { .. } => {
                return Err(engines.get(&engine).map_or_else(
                    |e| e,
                    |_| usage(format!("{engine} is here only now; try again")),
                ));
            }
            Verdict::PassedOver { reasons } => {
                let reasons: Vec<&str> = reasons.iter().map(|one| &*one.reason).collect();
                lineup.refused.push(Refused {
                    reason: reasons.join("; "),
                    engine,
                });
            }
            _ => {
                let opened = engines.get(&engine)?;
                let name = &opened.info().name;
                let before = lineup.able.iter().filter(|one| one.info().name == *name);
                let label = match before.count() {
                    0 => name.clone(),
                    before => format!("{name}#{}", before + 1),
                };
                lineup.able.push(Contestant {
                    engine: opened,
                    asked: engine,
                    label,
                });
            }
        }
    }
    if lineup.able.is_empty() {
        explanation.into_selection()?;
    }
    Ok(lineup)
}
