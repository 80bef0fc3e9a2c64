//! The behaviour suite: what every engine does, or refuses to, told rule by rule.
//!
//! A rule is a function that is named for what it holds and takes a [`Case`]. Where the engine lacks
//! what a rule asks for, [`Case::run`] asserts the refusal instead; no rule is ever skipped.

mod arguments;
mod component_files;
mod compositions;
mod concurrent;
pub(crate) mod determinism;
pub(crate) mod directories;
mod environment;
mod host_functions;
mod instances;
mod interfaces;
mod kinds;
mod limits;
mod linux;
mod live;
mod memories;
mod mounts;
mod network;
mod outcome;
mod overlays;
mod packages;
mod profiles;
mod sandbox;
mod streams;

use std::any::Any;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use wasmrun_core::{CodeCache, Engine, Support};

use crate::case::{Case, Shown};

/// A rule and its name.
pub(crate) type Rule = (&'static str, fn(&Case));

/// Lists functions as rules, by their own names.
macro_rules! rules {
    ($($rule:ident,)*) => {
        pub(crate) const RULES: &[crate::suite::Rule] = &[$((stringify!($rule), $rule),)*];
    };
}
pub(crate) use rules;

const LINUX: &str = "linux";

const TOPICS: &[(&str, &[Rule])] = &[
    ("outcome", outcome::RULES),
    ("streams", streams::RULES),
    ("environment", environment::RULES),
    ("arguments", arguments::RULES),
    (LINUX, linux::RULES),
    ("directories", directories::RULES),
    ("mounts", mounts::RULES),
    ("overlays", overlays::RULES),
    ("packages", packages::RULES),
    ("component_files", component_files::RULES),
    ("compositions", compositions::RULES),
    ("sandbox", sandbox::RULES),
    ("network", network::RULES),
    ("profiles", profiles::RULES),
    ("determinism", determinism::RULES),
    ("limits", limits::RULES),
    ("memories", memories::RULES),
    ("kinds", kinds::RULES),
    ("host_functions", host_functions::RULES),
    ("instances", instances::RULES),
    ("live", live::RULES),
    ("interfaces", interfaces::RULES),
    ("concurrent", concurrent::RULES),
];

/// Every rule as a trial of `engine`, named `engine::topic::rule`. What it makes of programs in C is kept in `code`.
pub fn trials(engine: &Arc<dyn Engine>, code: Option<&Arc<dyn CodeCache>>) -> Vec<Trial> {
    let rules = TOPICS.iter().flat_map(|(topic, rules)| {
        let code = code.filter(|_| *topic == LINUX);
        let case = move || Case::new(engine.clone()).keeping(code.cloned());
        rules.iter().map(move |rule| trial(case(), topic, *rule))
    });
    rules.chain(again(engine)).collect()
}

/// The rules about components as trials of `engine`.
pub fn of_components(engine: &Arc<dyn Engine>) -> Vec<Trial> {
    let topics = [
        ("component_files", component_files::RULES),
        ("kinds", kinds::RULES),
        ("interfaces", interfaces::RULES),
        ("network", network::RULES),
    ];
    let rules = topics.iter().flat_map(|(topic, rules)| {
        let case = || Case::new(engine.clone());
        rules.iter().map(move |rule| trial(case(), topic, *rule))
    });
    rules.collect()
}

/// The rules about directories once more, with these in memory, below overlays and, where they are only read, in archives.
fn again(engine: &Arc<dyn Engine>) -> impl Iterator<Item = Trial> {
    let topics = [
        ("directories_in_memory", directories::RULES, Shown::InMemory),
        ("sandbox_in_memory", sandbox::RULES, Shown::InMemory),
        (
            "directories_below_overlays",
            directories::RULES,
            Shown::BelowOverlays,
        ),
        (
            "sandbox_below_overlays",
            sandbox::RULES,
            Shown::BelowOverlays,
        ),
        (
            "directories_in_archives",
            directories::RULES,
            Shown::InArchives,
        ),
    ];
    topics.into_iter().flat_map(move |(topic, rules, way)| {
        let rules = rules.iter().filter(move |(rule, _)| {
            !ONLY_AS_THEY_ARE.contains(rule)
                && (way != Shown::InMemory || !rule.contains("fifo"))
                && (way != Shown::InArchives || rule.contains("read_only_"))
        });
        rules.map(move |rule| trial(Case::new(engine.clone()).shown(way), topic, *rule))
    })
}

/// The programs that Linux is asked about, as components by the adapter of toolchains: where one becomes a module, it has to
/// do what it does on an engine that has components, which is the first of these.
pub fn as_components(engines: &[Arc<dyn Engine>], code: Option<&Arc<dyn CodeCache>>) -> Vec<Trial> {
    let support = |engine: &Arc<dyn Engine>| engine.capability().components;
    let Some(native) = engines.iter().find(|one| support(one) == Support::Native) else {
        return Vec::new();
    };
    let emulated = engines
        .iter()
        .filter(|one| support(one) == Support::Emulated);
    let trials = emulated.flat_map(|engine| {
        let rules = linux::RULES
            .iter()
            .filter(|(name, _)| !TELLS_TIMES.contains(name));
        rules.map(move |rule| {
            let case = Case::new(engine.clone()).keeping(code.cloned());
            trial(case.like(native.clone()), "linux_as_components", *rule)
        })
    });
    trials.collect()
}

/// The adapter makes it tell when something happened.
const TELLS_TIMES: &[&str] = &["times_move_as_on_linux"];

/// There is no FIFO in memory. Two copies of one directory, or overlays of it, are two file systems, and what has several names is copied for each.
const ONLY_AS_THEY_ARE: &[&str] = &[
    "files_are_renamed_across_preopens",
    "read_only_and_read_write_may_show_one_directory",
];

/// A rule as a trial of its case.
pub(crate) fn trial(case: Case, topic: &str, (name, rule): Rule) -> Trial {
    let name = format!("{}::{topic}::{name}", case.name());
    Trial::test(name.clone(), move || {
        within_patience(&name, move || rule(&case))
    })
}

/// No rule takes nearly as long; one that does has found a guest that cannot be ended, and must
/// fail by its name.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) fn within_patience(
    name: &str,
    rule: impl FnOnce() + Send + 'static,
) -> Result<(), Failed> {
    let (ended, end) = channel();
    let thread = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            rule();
            // Nobody listens any more to a rule that took too long.
            let _ = ended.send(());
        })
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    match end.recv_timeout(PATIENCE) {
        Ok(()) => Ok(()),
        Err(RecvTimeoutError::Timeout) => {
            Err(format!("has not ended after {} s", PATIENCE.as_secs()).into())
        }
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Ok(()) => Ok(()),
            Err(panic) => Err(message(&*panic).into()),
        },
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied())
        .unwrap_or("panicked")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use wasmrun_core::Capability;

    use super::*;
    use crate::NullEngine;

    /// The rules that hold on an engine.
    fn held(engine: NullEngine) -> Vec<String> {
        let engine: Arc<dyn Engine> = Arc::new(engine);
        let holds = |rule: fn(&Case)| {
            catch_unwind(AssertUnwindSafe(|| rule(&Case::new(engine.clone())))).is_ok()
        };
        TOPICS
            .iter()
            .flat_map(|(topic, rules)| rules.iter().map(move |rule| (topic, rule)))
            .filter(|(_, (_, rule))| holds(*rule))
            .map(|(topic, (name, _))| format!("{topic}::{name}"))
            .collect()
    }

    /// What core alone keeps, whatever the engine is.
    const KEPT_BY_CORE: &[&str] = &[
        "streams::a_pipe_nobody_could_use_is_refused",
        "directories::two_preopens_on_one_guest_path_are_an_error",
        "directories::a_preopen_that_is_no_directory_is_an_error",
        "mounts::two_mounts_on_one_path_are_an_error",
        "overlays::a_directory_that_may_be_written_lies_over_nothing",
        "profiles::what_is_privileged_is_refused_by_name",
        "limits::more_elements_than_there_are_for_any_guest_are_refused",
        "limits::time_that_is_over_before_the_start_ends_the_guest_before_it",
        "limits::time_covers_compiling",
        "limits::compiling_ends_when_it_is_to_end",
        "limits::a_kill_at_once_is_a_kill",
        "limits::only_what_was_started_killable_can_be_killed",
        "kinds::a_module_has_no_working_directory",
        "kinds::sections_in_another_order_are_an_error",
        "kinds::an_entry_the_guest_lacks_is_refused_by_name",
        "kinds::a_guest_without_an_entry_is_refused",
        "kinds::an_unknown_import_is_refused_by_name",
        "host_functions::a_name_that_neither_has_is_refused_with_the_nearest",
        "host_functions::another_type_is_refused_with_both",
        "instances::a_program_for_runs_makes_no_instance",
        "interfaces::what_the_host_lacks_is_refused_with_the_nearest",
        "interfaces::another_type_is_refused_with_both",
        "interfaces::what_no_host_could_offer_is_refused",
        "concurrent::services_are_refused_by_name",
    ];

    /// A rule that an engine keeps by doing nothing would prove nothing.
    #[test]
    fn an_engine_that_does_nothing_and_claims_everything_fails_every_rule() {
        let mut kept = held(NullEngine::default());
        kept.retain(|rule| !KEPT_BY_CORE.contains(&rule.as_str()));
        assert_eq!(kept, [""; 0]);
    }

    #[test]
    fn an_engine_that_claims_nothing_passes_by_refusing_everything() {
        let engine = NullEngine::new(|_, _| panic!("it was asked to run something"));
        let engine = engine.with_capability(|capability| *capability = Capability::default());
        let rules: usize = TOPICS.iter().map(|(_, rules)| rules.len()).sum();
        assert_eq!(held(engine).len(), rules);
    }
}
