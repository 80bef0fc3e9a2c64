//! A page with plots, which needs nothing but itself.

use std::fmt::Write;

use super::table::{Table, headline, notes, tables};
use super::{memory, time};
use crate::bench::results::{Results, Series, Subject};
use crate::say::harmless;

const STYLE: &str = include_str!("page.css");

/// Of the drawings, in their own unit.
const WIDTH: f64 = 960.0;
/// Where bars begin, after the names.
const LEFT: f64 = 220.0;
/// What is left for the numbers behind them.
const RIGHT: f64 = 130.0;
const ROW: f64 = 46.0;
const AXIS: f64 = 30.0;

pub fn html(results: &Results) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} on {count} engines</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>{title}</h1>\n<p class=\"lead\">{lead}</p>\n<p class=\"facts\">{facts}</p>\n\
         </header>\n<main>\n",
        title = escaped(&results.guest),
        count = results.engines.len(),
        lead = escaped(&lead(results)),
        facts = escaped(&facts(results)),
    );
    let starts = results.starts();
    if !starts.is_empty() {
        page += &section(
            "From start to end of a process",
            "A bar is a median, the line on it the middle half of the runs, a dot is one run.",
            &bars(&starts),
        );
    }
    page += &section(
        "Phases of a run",
        "Medians, one after the other. The start of an executable is part of its instantiation.",
        &phases(results),
    );
    if let Some(drawing) = memories(results, &starts) {
        page += &section(
            "Memory",
            "The most a process had, and what of it the guest had where the engine tells.",
            &drawing,
        );
    }
    page += "<section>\n<h2>In numbers</h2>\n";
    for table in tables(results) {
        page += &tabular(&table);
    }
    page += "<ul>\n";
    for note in notes(results) {
        let _ = writeln!(page, "<li>{}</li>", escaped(&note));
    }
    for refused in &results.refused {
        let _ = writeln!(
            page,
            "<li>Not measured: {}</li>",
            escaped(&refused.to_string())
        );
    }
    for warning in &results.warnings {
        let _ = writeln!(page, "<li class=\"warning\">{}.</li>", escaped(warning));
    }
    page += "</ul>\n</section>\n</main>\n";
    let _ = writeln!(
        page,
        "<footer>wasmrun {}</footer>\n</body>\n</html>",
        escaped(results.wasmrun)
    );
    page
}

/// The result in a sentence.
fn lead(results: &Results) -> String {
    let starts = results.starts();
    let [fastest, others @ ..] = starts.as_slice() else {
        return format!("{} engines", results.engines.len());
    };
    let mut lead = format!(
        "{} is fastest, {} from start to end",
        fastest.label(),
        time(fastest.summary.median_ms)
    );
    let equal: Vec<String> = others
        .iter()
        .filter(|series| series.significant == Some(false))
        .map(|series| series.label())
        .collect();
    if !equal.is_empty() {
        lead += &format!("; no significant difference to {}", equal.join(" and "));
    }
    if others.iter().any(|series| series.significant.is_none()) {
        lead += "; too few rounds to tell for sure";
    }
    if let Some((last, ratio)) = others
        .last()
        .and_then(|last| Some((last, last.to_fastest?)))
        && ratio.is_significant() == Some(true)
    {
        lead += &format!("; {} takes {:.1} times as long", last.label(), ratio.ratio);
    }
    lead + "."
}

fn facts(results: &Results) -> String {
    let host = &results.host;
    let processors = match host.processors {
        Some(1) => ", 1 processor".into(),
        Some(count) => format!(", {count} processors"),
        None => String::new(),
    };
    format!(
        "{}. Guest: {}. Measured on {} {}{processors}.",
        headline(results),
        memory(Some(results.guest_bytes as u64)),
        host.system,
        host.architecture
    )
}

fn section(title: &str, explanation: &str, drawing: &str) -> String {
    format!("<section>\n<h2>{title}</h2>\n<p>{explanation}</p>\n{drawing}</section>\n")
}

fn tabular(table: &Table) -> String {
    let mut text = format!(
        "<div class=\"scroll\"><table>\n<caption>{}</caption>\n<tr>",
        table.title
    );
    for cell in &table.head {
        let _ = write!(text, "<th scope=\"col\">{}</th>", escaped(cell));
    }
    text += "</tr>\n";
    for row in &table.rows {
        text += "<tr>";
        for (column, cell) in row.iter().enumerate() {
            let cell = escaped(cell);
            let _ = match column {
                0 => write!(text, "<th scope=\"row\">{cell}</th>"),
                _ => write!(text, "<td>{cell}</td>"),
            };
        }
        text += "</tr>\n";
    }
    text + "</table></div>\n"
}

/// From a value to a place on a drawing.
struct Scale {
    /// The largest value that is drawn.
    end: f64,
    step: f64,
}

impl Scale {
    /// One that ends behind `largest`, in steps that people count in.
    fn to(largest: f64) -> Self {
        let largest = if largest > 0.0 { largest } else { 1.0 };
        let rough = largest / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * power)
            .find(|step| *step >= rough)
            .unwrap_or(10.0 * power);
        Scale {
            end: (largest / step).ceil() * step,
            step,
        }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + self.width(value.min(self.end))
    }

    fn width(&self, value: f64) -> f64 {
        value / self.end * (WIDTH - LEFT - RIGHT)
    }

    fn axis(&self, rows: usize, label: impl Fn(f64) -> String) -> String {
        let bottom = ROW * rows as f64;
        let mut text = String::new();
        let steps = (self.end / self.step).round() as usize;
        for tick in 0..=steps {
            let value = tick as f64 * self.step;
            let x = self.x(value);
            let _ = write!(
                text,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{bottom}\"/>\
                 <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                bottom + 18.0,
                escaped(&label(value))
            );
            text.push('\n');
        }
        text
    }
}

fn drawing(label: &str, rows: usize, content: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{label}\">\n{content}</svg>\n",
        ROW * rows as f64 + AXIS
    )
}

fn name(row: usize, name: &str) -> String {
    format!(
        "<text class=\"name\" x=\"{}\" y=\"{:.1}\">{}</text>\n",
        LEFT - 12.0,
        ROW * row as f64 + ROW / 2.0 + 4.0,
        escaped(name)
    )
}

fn value(x: f64, row: usize, text: &str) -> String {
    format!(
        "<text class=\"value\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>\n",
        ROW * row as f64 + ROW / 2.0 + 4.0,
        escaped(text)
    )
}

/// A bar for each series, with its spread and every single run.
fn bars(series: &[&Series]) -> String {
    // A single run that took for ever must not make all others a line.
    let largest = series
        .iter()
        .map(|series| {
            let summary = &series.summary;
            let (low, high) = (summary.lower_quartile_ms, summary.upper_quartile_ms);
            summary.max_ms.min(high + 1.5 * (high - low))
        })
        .fold(0.0, f64::max);
    let scale = Scale::to(largest * 1.02);
    let mut content = scale.axis(series.len(), time);
    for (row, series) in series.iter().enumerate() {
        let summary = &series.summary;
        let top = ROW * row as f64;
        let (middle, height) = (top + ROW / 2.0, ROW - 18.0);
        let class = match series.fastest {
            true => "bar fastest",
            false => "bar",
        };
        content += &name(row, &series.label());
        let _ = writeln!(
            content,
            "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height}\" \
             rx=\"3\"><title>{}</title></rect>",
            top + 9.0,
            scale.width(summary.median_ms.min(scale.end)),
            escaped(&format!(
                "{}: {} ± {}",
                series.label(),
                time(summary.median_ms),
                time(summary.mad_ms)
            ))
        );
        let mut end = scale.x(summary.median_ms);
        for (number, ms) in series.samples_ms.iter().enumerate() {
            // Spread over the bar's height by the golden section: even, and the same each time.
            let spread = (number as f64 * 0.618_034).fract() - 0.5;
            let (x, y) = (scale.x(*ms), middle + spread * (height - 8.0));
            end = end.max(x);
            let class = if *ms > scale.end { "dot beyond" } else { "dot" };
            let _ = writeln!(
                content,
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\"><title>run {}: \
                 {}</title></circle>",
                number + 1,
                time(*ms)
            );
        }
        let (low, high) = (
            scale.x(summary.lower_quartile_ms),
            scale.x(summary.upper_quartile_ms),
        );
        let _ = writeln!(
            content,
            "<path class=\"spread\" d=\"M{low:.1} {middle}H{high:.1}M{low:.1} {:.1}v10M{high:.1} \
             {:.1}v10\"/>",
            middle - 5.0,
            middle - 5.0
        );
        let told = match series.to_fastest {
            Some(ratio) => format!("{} · {:.2}×", time(summary.median_ms), ratio.ratio),
            None => time(summary.median_ms),
        };
        content += &value(end + 12.0, row, &told);
    }
    drawing("Time from start to end, by engine", series.len(), &content)
}

/// The phases of each engine, one after the other.
fn phases(results: &Results) -> String {
    let medians = |engine: &str| -> Vec<(Subject, f64)> {
        Subject::PHASES
            .into_iter()
            .filter_map(|phase| Some((phase, results.phase(engine, phase)?.summary.median_ms)))
            .collect()
    };
    let mut engines: Vec<(&str, Vec<(Subject, f64)>)> = results
        .engines
        .iter()
        .map(|engine| (&*engine.info.name, medians(&engine.info.name)))
        .collect();
    let total = |phases: &[(Subject, f64)]| phases.iter().map(|(_, ms)| ms).sum::<f64>();
    engines.sort_by(|(_, a), (_, b)| total(a).total_cmp(&total(b)));
    let largest = engines
        .iter()
        .map(|(_, phases)| total(phases))
        .fold(0.0, f64::max);
    let scale = Scale::to(largest);
    let mut content = scale.axis(engines.len(), time);
    for (row, (engine, phases)) in engines.iter().enumerate() {
        content += &name(row, engine);
        let mut before = 0.0;
        for (phase, ms) in phases {
            let _ = writeln!(
                content,
                "<rect class=\"{phase}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{}\">\
                 <title>{}</title></rect>",
                scale.x(before),
                ROW * row as f64 + 9.0,
                scale.width(*ms),
                ROW - 18.0,
                escaped(&format!("{engine}, {phase}: {}", time(*ms)))
            );
            before += ms;
        }
        content += &value(scale.x(before) + 12.0, row, &time(before));
    }
    let legend: String = Subject::PHASES
        .iter()
        .map(|phase| format!("<span><i class=\"{phase}\"></i>{phase}</span>"))
        .collect();
    format!(
        "<p class=\"legend\">{legend}</p>\n{}",
        drawing("Phases of a run, by engine", engines.len(), &content)
    )
}

/// The memory of each process and guest, if any is known.
fn memories(results: &Results, starts: &[&Series]) -> Option<String> {
    let of_guest = |engine: &str| {
        let measured = results.engines.iter().find(|one| one.info.name == engine);
        measured.and_then(|measured| measured.guest_memory)
    };
    let rows: Vec<(String, u64, u64)> = starts
        .iter()
        .filter_map(|series| {
            let guest = of_guest(&series.engine);
            let process = series.max_rss;
            process.or(guest)?;
            Some((
                series.label(),
                process.unwrap_or_default(),
                guest.unwrap_or_default(),
            ))
        })
        .collect();
    let largest = rows
        .iter()
        .map(|(_, process, guest)| *process.max(guest))
        .max()?;
    const MIB: f64 = (1 << 20) as f64;
    let scale = Scale::to(largest as f64 / MIB);
    let mut content = scale.axis(rows.len(), |mib| format!("{mib} MiB"));
    for (row, (label, process, guest)) in rows.iter().enumerate() {
        content += &name(row, label);
        for (class, bytes, inset) in [("process", process, 9.0), ("guest", guest, 17.0)] {
            let _ = writeln!(
                content,
                "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" \
                 height=\"{:.1}\" rx=\"3\"><title>{}</title></rect>",
                ROW * row as f64 + inset,
                scale.width(*bytes as f64 / MIB),
                ROW - 2.0 * inset,
                escaped(&format!("{label}, {class}: {}", memory(Some(*bytes))))
            );
        }
        let end = scale.x(*process.max(guest) as f64 / MIB);
        let known = |bytes: u64| memory((bytes > 0).then_some(bytes));
        content += &value(end + 12.0, row, &known(*process));
    }
    Some(format!(
        "<p class=\"legend\"><span><i class=\"process\"></i>process</span><span><i \
         class=\"guest\"></i>guest</span></p>\n{}",
        drawing("Memory, by engine", rows.len(), &content)
    ))
}

/// Text that is no markup, whatever is in it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in harmless(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_markup() {
        assert_eq!(
            escaped("<script src=\"x\">&\u{1b}"),
            "&lt;script src=&quot;x&quot;&gt;&amp;\\u{1b}"
        );
    }

    #[test]
    fn a_scale_ends_behind_the_largest_value_in_round_steps() {
        for (largest, end, step) in [(4.3, 5.0, 1.0), (70.0, 80.0, 20.0), (0.0, 1.0, 0.2)] {
            let scale = Scale::to(largest);
            assert!((scale.end - end).abs() < 1e-9, "{largest}: {}", scale.end);
            assert!(
                (scale.step - step).abs() < 1e-9,
                "{largest}: {}",
                scale.step
            );
        }
        assert!((Scale::to(3.0).x(99.0) - (WIDTH - RIGHT)).abs() < 1e-9);
    }
}
