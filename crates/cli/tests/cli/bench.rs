//! `wasmrun bench`. What is measured is never looked at, only how it is told.

use std::path::Path;

use serde_json::Value;

use crate::common::{CAT, Guests, RANDOM, Seen, WRITE, engines, exit, run};

/// Two measured rounds on the engines of this build.
fn bench(args: &[&str], guest: &Path) -> Seen {
    let names = engines().join(",");
    let all = ["bench", "--runs", "2", "--engines", &names].into_iter();
    run(all
        .chain(args.iter().copied())
        .map(AsRef::as_ref)
        .chain([guest.as_os_str()]))
}

fn measured(args: &[&str], guest: &Path) -> Value {
    let seen = bench(&[&["--json"], args].concat(), guest);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    assert_eq!(seen.stderr, "", "no progress where there is no terminal");
    serde_json::from_str(&seen.stdout).unwrap_or_else(|e| panic!("{e}: {seen:?}"))
}

#[cfg(all(feature = "wasmtime", feature = "wasmer", feature = "wasmi"))]
mod looks {
    use super::*;

    #[test]
    fn results_read_like_this() {
        let guests = Guests::new();
        let guest = guests.file("app.wat", exit(0));
        let terminal = bench(&[], &guest);
        assert_eq!(
            (terminal.code, &*terminal.stderr),
            (Some(0), ""),
            "{terminal:?}"
        );
        insta::assert_snapshot!("bench_terminal", redacted(&terminal.stdout));
        let markdown = bench(&["--markdown"], &guest);
        assert_eq!(markdown.code, Some(0), "{markdown:?}");
        insta::assert_snapshot!("bench_markdown", redacted(&markdown.stdout));
    }

    /// Tables without their numbers, and so without their widths, in one order, and without what depends
    /// on the machine.
    fn redacted(text: &str) -> String {
        let (mut lines, mut rows) = (Vec::new(), Vec::new());
        for line in text.lines().filter(|line| !line.contains("Warning:")) {
            let is_row = engines()
                .iter()
                .any(|name| line.trim_start_matches(['|', ' ']).starts_with(name));
            match is_row {
                true => rows.push(times(line)),
                false => {
                    rows.sort();
                    lines.append(&mut rows);
                    lines.push(words(line));
                }
            }
        }
        lines.join("\n")
    }

    /// A row as far as its times go: memory and comparisons are the machine's matter.
    fn times(row: &str) -> String {
        let words = words(row);
        let (times, _) = words.rsplit_once("UNIT").unwrap_or_else(|| panic!("{row}"));
        format!("{times}UNIT …")
    }

    fn words(line: &str) -> String {
        let words = line.split_whitespace().map(|word| match word {
            word if word.parse::<f64>().is_ok() => "N",
            "ms" | "µs" | "s" => "UNIT",
            "ms." | "µs." | "s." => "UNIT.",
            word => word,
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn every_phase_and_start_of_every_engine_is_measured_as_often_as_asked() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", exit(3));
    let results = measured(&["--warmup", "2"], &guest);
    assert_eq!(
        (&results["rounds"], &results["warmup"]),
        (&2.into(), &2.into())
    );
    let series = results["series"].as_array().expect("a list");
    for engine in engines() {
        for subject in ["cold start", "warm start", "compile", "instantiate", "run"] {
            let one = series
                .iter()
                .find(|one| one["engine"] == engine && one["subject"] == subject)
                .unwrap_or_else(|| panic!("{subject} on {engine}: {results:#}"));
            assert_eq!(one["runs"], 2);
            let (low, high) = (one["min_ms"].as_f64(), one["max_ms"].as_f64());
            assert!(low > Some(0.0) && low <= high, "{one:#}");
            assert_eq!(one["samples_ms"].as_array().map(Vec::len), Some(2));
            assert_eq!(one["warmup_ms"].as_array().map(Vec::len), Some(2));
            assert!(one["fastest"] == true || one["to_fastest"]["ratio"].is_f64());
        }
    }
    assert!(series.iter().any(|one| one["subject"] == "inspect"));
    for engine in results["engines"].as_array().expect("a list") {
        assert_eq!(engine["guest_memory"], 65536, "{engine}");
    }
}

#[test]
#[cfg(all(unix, feature = "subprocess"))]
fn a_runtime_is_measured_cold_and_warm_and_by_itself() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", exit(0));
    for engine in ["wasmtime-cli", "wasmi-cli"] {
        let args = ["bench", "--json", "--runs", "2", "--engines", engine];
        let seen = run(args
            .map(AsRef::as_ref)
            .into_iter()
            .chain([guest.as_os_str()]));
        assert_eq!(seen.code, Some(0), "{seen:?}");
        let results: Value = serde_json::from_str(&seen.stdout).expect("JSON");
        let series = results["series"].as_array().expect("a list");
        let has = |subject| series.iter().any(|one| one["subject"] == subject);
        for subject in ["cold start", "warm start", "load", "start by itself"] {
            assert!(has(subject), "{subject} of {engine}: {results:#}");
        }
    }
}

#[test]
fn the_options_of_a_run_reach_the_processes_too() {
    let guests = Guests::new();
    let cat = guests.file("app.wat", CAT);
    let input = guests.file("input", "text");
    let out = guests.dir().join("out");
    std::fs::create_dir(&out).expect("a directory");
    let dir = format!("{}::/out", out.display());
    let results = measured(&["--stdin", input.to_str().expect("UTF-8")], &cat);
    assert!(
        results["series"][0]["subject"] == "cold start",
        "{results:#}"
    );
    let write = guests.file("write.wat", WRITE);
    let args = ["--dir", &dir, "--seed", "1", "--timeout", "1m"];
    let results = measured(&args, &write);
    let starts = results["series"].as_array().expect("a list").iter();
    let starts = starts.filter(|one| one["subject"] == "cold start").count();
    assert_eq!(starts, engines().len(), "{:#}", results["warnings"]);
    assert_eq!(std::fs::read_dir(&out).expect("it is there").count(), 0);
}

#[test]
fn engines_that_differ_are_not_measured_unless_asked() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", RANDOM);
    let first = engines()[0];
    let twice = format!("{first},{first}");
    let bench = |args: &[&str]| {
        let all = ["bench", "--runs=2", "--engines", &twice].into_iter();
        run(all
            .chain(args.iter().copied())
            .map(AsRef::as_ref)
            .chain([guest.as_os_str()]))
    };
    let seen = bench(&[]);
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(seen.stdout.contains("+++ stdout"), "{seen:?}");
    assert!(seen.message().contains("--ignore-differences"));
    let seen = bench(&["--ignore-differences", "--csv"]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let mut lines = seen.stdout.lines();
    let head = lines.next().unwrap_or_default();
    assert!(head.starts_with("engine,subject,runs,median_ms,"), "{head}");
    let columns = head.split(',').count();
    let second = format!("{first}#2,run,2,");
    assert!(seen.stdout.contains(&second), "{seen:?}");
    for line in lines {
        assert_eq!(line.split(',').count(), columns, "{line}");
    }
}

#[test]
fn the_page_stands_alone_and_is_well_formed() {
    let guests = Guests::new();
    let guest = guests.file("a<b&c>.wat", exit(0));
    let file = guests.dir().join("bench.html");
    // Longer than the new one.
    std::fs::write(&file, "<p>".repeat(1 << 20)).expect("an old page");
    let seen = bench(&["--html", file.to_str().expect("UTF-8")], &guest);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let page = std::fs::read_to_string(&file).expect("a page");
    for outside in [
        "http", "src=", "href=", "url(", "@import", "<script", "<link",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("a&lt;b&amp;c&gt;.wat") && !page.contains("a<b"));
    assert_eq!(page.matches("<svg").count(), 3);
    well_formed(&page);
}

/// Every element is closed, in order, and every attribute has a value in quotes.
fn well_formed(page: &str) {
    const VOID: [&str; 1] = ["meta"];
    let mut open: Vec<String> = Vec::new();
    // What is in a style is no markup.
    let (before, style) = page.split_once("<style>").expect("a style");
    let (_, after) = style.split_once("</style>").expect("its end");
    for tag in before.split('<').chain(after.split('<')).skip(1) {
        let (tag, text) = tag.split_once('>').unwrap_or(("!", tag));
        assert!(!text.contains('>'), "{text}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.trim_start_matches('/').split([' ', '/']).next();
        let name = name.unwrap_or_default();
        if tag.starts_with('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "{tag}");
        } else if !tag.starts_with('!') && !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_page_stays_as_it_is_if_nothing_is_measured() {
    let guests = Guests::new();
    let guest = guests.file("app.wasm", "no program");
    let file = guests.dir().join("bench.html");
    std::fs::write(&file, "an old page").expect("an old page");
    let seen = bench(&["--html", file.to_str().expect("UTF-8")], &guest);
    assert_eq!(seen.code, Some(126), "{seen:?}");
    let page = std::fs::read_to_string(&file).expect("it is there");
    assert_eq!(page, "an old page");
    let none = guests.dir().join("none.html");
    let seen = bench(&["--html", none.to_str().expect("UTF-8")], &guest);
    assert_eq!(seen.code, Some(126), "{seen:?}");
    assert!(!none.exists(), "an empty page");
}

#[test]
fn a_page_that_cannot_be_written_is_refused_before_anything_is_measured() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", exit(0));
    let seen = bench(&["--html", "no/such/bench.html"], &guest);
    assert_eq!(seen.code, Some(125), "{seen:?}");
    assert!(
        seen.message()
            .starts_with("cannot create no/such/bench.html")
    );
    for args in [&["--json", "--csv"][..], &["--runs", "1"], &["--time", "2"]] {
        let seen = run(["bench"].iter().chain(args).chain(&["app.wat"]));
        assert_eq!(seen.code, Some(125), "{seen:?}");
    }
}
