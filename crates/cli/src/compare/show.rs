//! A comparison, for people.

use wasmrun::guest::shown;

use super::difference::{Difference, How};
use super::{Comparison, Ran};
use crate::lineup::Refused;
use crate::say::harmless;

/// Lines of one diff that are shown.
const MAX_LINES: usize = 200;

pub fn text(comparison: &Comparison) -> String {
    let mut text = String::new();
    if let Some(first) = comparison.ran.first() {
        if comparison.agree {
            let names: Vec<&str> = comparison.ran.iter().map(name).collect();
            text += &format!(
                "All agree on {}: {}.\n{}\n",
                shown(&comparison.guest),
                names.join(", "),
                summary(first)
            );
        } else {
            text += &format!("{}: {}\n", name(first), summary(first));
        }
        for ran in &comparison.ran[1..] {
            let own: Vec<&Difference> = comparison
                .differences
                .iter()
                .filter(|difference| difference.engine == ran.engine.name)
                .collect();
            match own.as_slice() {
                [] if comparison.agree => {}
                [] => text += &format!("\n{}: the same\n", name(ran)),
                own => {
                    text += &format!("\n{} differs from {}:\n", name(ran), name(first));
                    for difference in own {
                        text += &described(difference, name(first), name(ran));
                    }
                }
            }
        }
    }
    text += &list("Failed", &comparison.failed);
    text += &list("Not compared", &comparison.refused);
    for warning in &comparison.warnings {
        text += &format!("\nNote: {warning}.\n");
    }
    text
}

fn name(ran: &Ran) -> &str {
    &ran.engine.name
}

fn summary(ran: &Ran) -> String {
    format!(
        "{}, {} on stdout, {} on stderr",
        ran.outcome,
        bytes(ran.stdout_bytes),
        bytes(ran.stderr_bytes)
    )
}

fn bytes(count: u64) -> String {
    match count {
        0 => "nothing".into(),
        1 => "1 byte".into(),
        count => format!("{count} bytes"),
    }
}

fn described(difference: &Difference, first_name: &str, here_name: &str) -> String {
    let part = shown(&difference.part.to_string());
    match &difference.how {
        How::Value { first, here } => format!(
            "{part}: {} ({first_name}: {})\n",
            harmless(here),
            harmless(first)
        ),
        How::Text { diff } => {
            let mut lines = diff.split_terminator('\n').map(line);
            let mut text = String::new();
            for line in lines.by_ref().take(MAX_LINES) {
                text += &line;
                text.push('\n');
            }
            match lines.count() {
                0 => {}
                more => text += &format!("… {more} more lines; --json has them\n"),
            }
            text
        }
        How::Bytes {
            first_bytes,
            here_bytes,
            at,
        } => format!(
            "{part}: {} ({first_name}) and {} ({here_name}), different from byte {at} on\n",
            bytes(*first_bytes),
            bytes(*here_bytes)
        ),
    }
}

/// A line of a diff, as it is but for what could drive a terminal.
fn line(line: &str) -> String {
    let parts: Vec<String> = line.split('\t').map(harmless).collect();
    parts.join("\t")
}

fn list(title: &str, engines: &[Refused]) -> String {
    if engines.is_empty() {
        return String::new();
    }
    let lines: String = engines
        .iter()
        .map(|one| format!("  {}\n", harmless(&one.to_string())))
        .collect();
    format!("\n{title}:\n{lines}")
}
