//! Tables: for a terminal, for Markdown and for the page.

use wasmrun::Place;
use wasmrun::guest::shown;

use super::{memory, time};
use crate::bench::results::{Results, Series, Subject};
use crate::bench::start::Start;
use crate::bench::statistics::Interval;
use crate::say::harmless;

pub struct Table {
    pub title: &'static str,
    pub head: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

/// The results as tables, without those that would be empty.
pub fn tables(results: &Results) -> Vec<Table> {
    let starts = Table {
        title: "From start to end of a process",
        head: vec![
            "engine", "median", "spread", "fastest", "slowest", "memory", "compared",
        ],
        rows: results
            .starts()
            .into_iter()
            .map(|series| {
                let summary = &series.summary;
                vec![
                    series.label(),
                    time(summary.median_ms),
                    format!("± {}", time(summary.mad_ms)),
                    time(summary.min_ms),
                    time(summary.max_ms),
                    memory(series.max_rss),
                    compared(series),
                ]
            })
            .collect(),
    };
    let phases = Table {
        title: "Phases of a run",
        head: vec![
            "engine",
            "compile",
            "load",
            "instantiate",
            "run",
            "guest memory",
            "run compared",
        ],
        rows: results
            .engines
            .iter()
            .map(|engine| {
                let name = engine.info.name.as_str();
                let phase = |phase| {
                    results.phase(name, phase).map_or("–".into(), |series| {
                        let summary = &series.summary;
                        format!("{} ± {}", time(summary.median_ms), time(summary.mad_ms))
                    })
                };
                let mut row = vec![name.to_owned()];
                let shown = [
                    Subject::Compile,
                    Subject::Load,
                    Subject::Instantiate,
                    Subject::Run,
                ];
                row.extend(shown.map(phase));
                row.push(memory(engine.guest_memory));
                row.push(
                    results
                        .phase(name, Subject::Run)
                        .map_or("–".into(), compared),
                );
                row
            })
            .collect(),
    };
    [starts, phases]
        .into_iter()
        .filter(|table| !table.rows.is_empty())
        .collect()
}

/// A series against the fastest.
fn compared(series: &Series) -> String {
    let Some(ratio) = series.to_fastest else {
        return if series.fastest { "fastest" } else { "–" }.into();
    };
    let times = format!("{:.2} times", ratio.ratio);
    let Some(Interval { low, high }) = ratio.interval else {
        return format!("{times}: too few rounds to tell");
    };
    let times = format!("{times} ({low:.2} to {high:.2})");
    match ratio.is_significant() {
        Some(false) => format!("{times}: no significant difference"),
        _ => times,
    }
}

/// What was measured, in a line.
pub fn headline(results: &Results) -> String {
    let words = [results.guest.as_str()].into_iter();
    let words = words.chain(results.args.iter().map(String::as_str));
    let line = words.map(shown).collect::<Vec<_>>().join(" ");
    format!(
        "{line}: {} rounds after {} to warm up, medians ± median distance from them",
        results.rounds, results.warmup
    )
}

/// What has to be said of the tables.
pub fn notes(results: &Results) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(inspect) = results.phase("", Subject::Inspect) {
        notes.push(format!(
            "Reading and checking the guest takes {} on every engine.",
            time(inspect.summary.median_ms)
        ));
    }
    let outside = |place: &Place| matches!(place, Place::Executable(_));
    let has = |start| {
        let start = Subject::Start(start);
        results.series.iter().any(|series| series.subject == start)
    };
    if has(Start::Warm) {
        notes.push(
            "A warm start finds what an earlier one kept: the compiled guest, of engines that have \
             a time for loading it."
                .into(),
        );
    }
    if has(Start::Own) {
        notes.push("An executable by itself is a runtime's own command, without wasmrun.".into());
    }
    if let Some(empty) = &results.empty_process {
        let mut note = format!(
            "A process that does nothing takes {}.",
            time(empty.median_ms)
        );
        if results.engines.iter().any(|one| outside(&one.info.place)) {
            note += " That is subtracted where an executable is started, whose own start is the rest \
                     of its instantiation.";
        }
        notes.push(note);
    }
    let ratios = results.series.iter().filter_map(|one| one.to_fastest);
    let ranges = ratios.map(|ratio| ratio.interval.is_some());
    if let Some(has_range) = ranges.reduce(|one, other| one || other) {
        let mut note = String::from("Comparisons are with the fastest, in times as long");
        if has_range {
            note +=
                ", and in parentheses the range that has the true value with a confidence of 95 %";
        }
        notes.push(note + ".");
    }
    notes
}

pub fn terminal(results: &Results) -> String {
    let mut text = format!("{}\n", headline(results));
    for table in tables(results) {
        text += &format!("\n{}\n", table.title);
        let head = table.head.iter().map(|cell| (*cell).to_owned()).collect();
        let rows: Vec<Vec<String>> = [head].into_iter().chain(table.rows).collect();
        for row in &rows {
            let mut line = String::from(" ");
            for (column, cell) in row.iter().enumerate() {
                let widths = rows.iter().map(|row| row[column].chars().count());
                let width = widths.max().unwrap_or_default();
                line += &match column {
                    0 => format!(" {cell:width$}"),
                    // Numbers to the right, words to the left.
                    _ if column + 1 < row.len() => format!("  {cell:>width$}"),
                    _ => format!("  {cell}"),
                };
            }
            text += line.trim_end();
            text.push('\n');
        }
    }
    text.push('\n');
    for note in notes(results) {
        text += &format!("{note}\n");
    }
    for refused in &results.refused {
        text += &format!("Not measured: {}\n", harmless(&refused.to_string()));
    }
    for warning in &results.warnings {
        text += &format!("Warning: {}.\n", harmless(warning));
    }
    text
}

pub fn markdown(results: &Results) -> String {
    let mut text = format!("{}\n", escaped(&headline(results)));
    for table in tables(results) {
        text += &format!("\n### {}\n\n", table.title);
        text += &format!("| {} |\n", table.head.join(" | "));
        let rules: Vec<&str> = (0..table.head.len())
            .map(|column| match column {
                0 => "---",
                _ if column + 1 < table.head.len() => "---:",
                _ => "---",
            })
            .collect();
        text += &format!("| {} |\n", rules.join(" | "));
        for row in &table.rows {
            let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
            text += &format!("| {} |\n", cells.join(" | "));
        }
    }
    text.push('\n');
    let refused = results.refused.iter();
    let refused =
        refused.map(|refused| format!("Not measured: {}", harmless(&refused.to_string())));
    let warnings = results.warnings.iter();
    let warnings = warnings.map(|warning| format!("Warning: {}.", harmless(warning)));
    for line in notes(results).into_iter().chain(refused).chain(warnings) {
        text += &format!("- {}\n", escaped(&line));
    }
    text
}

/// Text in which nothing is Markdown but what we say ourselves.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "|*_<[\\`~&#".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_is_called_cannot_break_a_table() {
        assert_eq!(escaped("a|b_<i>`#"), "a\\|b\\_\\<i>\\`\\#");
    }

    #[test]
    fn times_have_three_digits_and_a_unit() {
        for (ms, text) in [
            (0.0, "0 ms"),
            (0.001_234, "1.23 µs"),
            (0.2, "200 µs"),
            (1.0, "1.00 ms"),
            (12.34, "12.3 ms"),
            (999.4, "999 ms"),
            (1234.0, "1.23 s"),
        ] {
            assert_eq!(time(ms), text);
        }
    }
}
