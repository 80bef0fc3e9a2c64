//! `wasmrun engines`.

use serde::Serialize;
use wasmrun::{Capability, Engine, Engines, Place, Proposals, Support};

use crate::args::EnginesArgs;
use crate::say;
use crate::wrap::labelled;

/// Shows every engine; returns the exit code.
pub fn engines(args: &EnginesArgs) -> u8 {
    let engines = Engines::new();
    let shown: Vec<Shown> = engines
        .all()
        .into_iter()
        .map(|(name, engine)| Shown {
            name: name.to_owned(),
            state: match engine {
                Ok(engine) => State::here(&*engine),
                Err(error) => State::Absent {
                    absent: error.to_string(),
                },
            },
        })
        .collect();
    if args.json {
        return say::print_json(&shown);
    }
    let here = shown.iter().filter_map(Shown::describe);
    let absent = shown.iter().filter_map(Shown::excuse);
    let mut parts: Vec<String> = here.collect();
    let absent: String = absent.collect();
    if !absent.is_empty() {
        parts.push(format!("Not here:\n{absent}"));
    }
    say::print(parts.join("\n"))
}

#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    #[serde(flatten)]
    state: State,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum State {
    Here {
        version: String,
        place: Place,
        capability: Box<Capability>,
    },
    Absent {
        absent: String,
    },
}

impl State {
    fn here(engine: &dyn Engine) -> Self {
        let info = engine.info();
        State::Here {
            version: info.version.clone(),
            place: info.place.clone(),
            capability: Box::new(engine.capability()),
        }
    }
}

impl Shown {
    fn describe(&self) -> Option<String> {
        let State::Here {
            version,
            place,
            capability,
        } = &self.state
        else {
            return None;
        };
        let mut text = format!("{} {version}, {place}\n", self.name);
        for support in [Support::Native, Support::Emulated, Support::Unsupported] {
            let names: Vec<_> = capability
                .iter()
                .filter(|(_, found)| *found == support)
                .map(|(name, _)| match Capability::EXPERIMENTAL.contains(&name) {
                    true if support.is_supported() => format!("{name} (experimental)"),
                    _ => name.to_owned(),
                })
                .collect();
            if !names.is_empty() {
                text += &labelled(&support.to_string(), &names);
            }
        }
        let lacking = Proposals::ALL.difference(capability.proposals);
        text += &labelled(
            "proposals",
            &capability.proposals.iter().collect::<Vec<_>>(),
        );
        text += &labelled("without", &lacking.iter().collect::<Vec<_>>());
        Some(text)
    }

    fn excuse(&self) -> Option<String> {
        match &self.state {
            State::Here { .. } => None,
            State::Absent { absent } => Some(format!("  {absent}\n")),
        }
    }
}
