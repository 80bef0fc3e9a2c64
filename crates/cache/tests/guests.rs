//! Guests that are known are not read, unless their file may have changed.
#![cfg(unix)]

#[allow(dead_code, reason = "each test file uses its part")]
mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::{Fake, HIT, Here, binary, compile, settle, text};
use wasmrun_cache::Cache;
use wasmrun_core::{Capability, ErrorKind, Guest, Miss, Program, RunConfig, Support, check};

const CAP: u64 = Guest::DEFAULT_MAX_BYTES;

fn open(cache: &Cache, path: &Path) -> Guest {
    cache.guest(path, CAP).expect("a guest")
}

#[test]
fn a_file_that_has_not_changed_is_not_read_and_all_is_known_of_it() {
    let here = Here::new();
    let cache = here.cache();
    let (wasm, wat) = (here.path("app.wasm"), here.path("app.wat"));
    fs::write(&wasm, binary(1)).expect("writes");
    fs::write(&wat, text(1)).expect("writes");
    settle();
    for path in [&wasm, &wat] {
        assert!(open(&cache, path).is_read());
        let (known, read) = (open(&cache, path), Guest::open(path).expect("a guest"));
        assert!(!known.is_read());
        assert_eq!(known.known(), read.known());
        let all = |guest: &Guest| serde_json::to_value(guest.inspect()).expect("json");
        assert_eq!(all(&known), all(&read));
    }
    // Another name of the same file.
    let link = here.path("link.wasm");
    std::os::unix::fs::symlink(&wasm, &link).expect("links");
    let guest = open(&cache, &link);
    assert!(!guest.is_read());
    assert_eq!(guest.name(), "link.wasm");

    // What is asked is checked as ever, and whoever compiles reads.
    let mut capability = Capability::EVERYTHING;
    capability.memory = Support::Unsupported;
    let config = RunConfig::new().limit(|limits| limits.memory = Some(1));
    let refusals = check::refusals(&capability, &guest, &config);
    assert_eq!(refusals.len(), 1);
    let engine = Arc::new(Fake::default());
    let program = Program::compile(engine.clone(), &guest, &RunConfig::new()).expect("compiles");
    assert!(program.guest().is_read());
    assert_eq!(compile(&engine, &guest, &cache), common::miss(Miss::Unseen));
    assert_eq!(compile(&engine, &open(&cache, &link), &cache), HIT);

    let keeping_nothing = Arc::new(Fake::default().keeping_nothing());
    let used = compile(&keeping_nothing, &open(&cache, &link), &cache);
    assert_eq!(used, common::miss(Miss::NoArtifacts));

    // A cap that the file exceeds holds for a known file too.
    let error = cache.guest(&wasm, 5).expect_err("over the cap");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    fs::remove_file(&wasm).expect("removes");
    let error = cache.guest(&wasm, CAP).expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::GuestNotFound);
}

#[test]
fn a_file_that_was_replaced_or_written_to_is_read() {
    let here = Here::new();
    let cache = here.cache();
    let (a, b, link) = (here.path("a"), here.path("b"), here.path("link"));
    let (one, two) = (binary(1), binary(2));
    assert_eq!(one.len(), two.len());
    fs::write(&a, &one).expect("writes");
    fs::write(&b, &two).expect("writes");
    let times = fs::metadata(&a).expect("times").modified().expect("times");
    let set_time = |path: &Path| {
        let file = fs::File::options().write(true).open(path).expect("opens");
        file.set_modified(times).expect("sets the time");
    };
    set_time(&b);
    std::os::unix::fs::symlink(&a, &link).expect("links");
    settle();
    assert_eq!(open(&cache, &link).bytes(), one);
    assert!(!open(&cache, &link).is_read());

    // The same size and time, behind the same link.
    fs::remove_file(&link).expect("removes");
    std::os::unix::fs::symlink(&b, &link).expect("links");
    assert_eq!(open(&cache, &link).bytes(), two);
    assert!(!open(&cache, &link).is_read());
    assert_eq!(open(&cache, &link).memories()[0].initial_bytes, 2 << 16);

    // In place, with the time put back.
    fs::write(&a, &two).expect("writes");
    set_time(&a);
    assert_eq!(open(&cache, &a).bytes(), two);

    // By renaming another over it.
    fs::rename(&a, &b).expect("renames");
    assert!(open(&cache, &b).is_read());
}

#[test]
fn a_file_that_was_just_written_is_not_taken_for_unchanged() {
    let here = Here::new();
    let cache = here.cache();
    let file = here.path("app.wasm");
    for pages in 1..20 {
        fs::write(&file, binary(pages)).expect("writes");
        assert_eq!(open(&cache, &file).bytes(), binary(pages));
        assert!(open(&cache, &file).is_read());
    }
    assert!(here.files("guests").is_empty());
}

#[test]
fn a_known_guest_whose_file_changes_before_it_is_compiled_is_what_the_file_is_then() {
    let here = Here::new();
    let cache = here.cache();
    let file = here.path("app.wasm");
    fs::write(&file, binary(1)).expect("writes");
    settle();
    open(&cache, &file);
    let known = open(&cache, &file);
    assert!(!known.is_read());
    fs::write(&file, binary(2)).expect("writes");
    let engine = Arc::new(Fake::default());
    let config = RunConfig::new();
    let program =
        Program::compile_cached(engine.clone(), &known, &config, &cache).expect("compiles");
    assert_eq!(program.guest().bytes(), binary(2));
    // It was kept as what it was.
    assert_eq!(compile(&engine, &common::guest(2), &cache), HIT);
    let first = compile(&engine, &common::guest(1), &cache);
    assert_eq!(first, common::miss(Miss::Unseen));

    // And it is checked as what it was.
    fs::write(&file, r#"(module (func (export "no_start")))"#).expect("writes");
    let error = Program::compile_cached(Arc::new(Fake::new("b", "1", "")), &known, &config, &cache)
        .expect_err("not a command");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn a_guest_that_declares_more_than_is_worth_remembering_is_read_each_time() {
    let here = Here::new();
    let cache = here.cache();
    let file = here.path("app.wat");
    let exports: String = (0..20_000)
        .map(|number| format!(r#"(export "function number {number}" (func 0))"#))
        .collect();
    fs::write(
        &file,
        format!(r#"(module (func (export "_start")) {exports})"#),
    )
    .expect("writes");
    settle();
    for _ in 0..2 {
        assert!(open(&cache, &file).is_read());
    }
}

#[test]
fn a_damaged_record_is_read_over() {
    let here = Here::new();
    let cache = here.cache();
    let file = here.path("app.wasm");
    fs::write(&file, binary(1)).expect("writes");
    settle();
    open(&cache, &file);
    assert!(!open(&cache, &file).is_read());
    common::change(&here.only_file("guests"), |record| record[80] ^= 1);
    assert!(open(&cache, &file).is_read());
    assert!(!open(&cache, &file).is_read());
    common::change(&here.only_file("guests"), |record| record[80] ^= 1);
    assert_eq!(cache.verify().expect("verifies").unreadable, 1);
    assert!(here.files("guests").is_empty());
}
