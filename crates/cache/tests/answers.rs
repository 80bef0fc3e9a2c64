//! Executables that have not changed are not asked again.
#![cfg(unix)]

#[allow(dead_code, reason = "each test file uses its part")]
mod common;

use std::fs;
use std::path::Path;

use common::{Here, settle};
use wasmrun_cache::Cache;
use wasmrun_core::{Answers, Error, ErrorKind};

/// The answer of `file`, which is what is in it, and whether it was asked.
fn answer(cache: &Cache, file: &Path, question: &str) -> (String, bool) {
    let mut asked = false;
    let answer = cache.answer(file, question, &mut || {
        asked = true;
        Ok(fs::read_to_string(file).expect("reads"))
    });
    (answer.expect("an answer"), asked)
}

#[test]
fn an_answer_is_remembered_until_the_file_changes() {
    let here = Here::new();
    let (cache, file) = (here.cache(), here.path("runtime"));
    fs::write(&file, "one").expect("writes");
    // It may change again within the same tick of the clock.
    for _ in 0..2 {
        assert_eq!(answer(&cache, &file, "version"), ("one".into(), true));
    }
    settle();
    assert_eq!(answer(&cache, &file, "version"), ("one".into(), true));
    assert_eq!(answer(&cache, &file, "version"), ("one".into(), false));
    assert_eq!(
        answer(&here.cache(), &file, "version"),
        ("one".into(), false)
    );
    assert_eq!(answer(&cache, &file, "name"), ("one".into(), true));

    // Of the same length.
    fs::write(&file, "two").expect("writes");
    assert_eq!(answer(&cache, &file, "version"), ("two".into(), true));
    settle();
    assert_eq!(answer(&cache, &file, "version"), ("two".into(), true));
    assert_eq!(answer(&cache, &file, "version"), ("two".into(), false));
    cache.clear().expect("clears");
    assert_eq!(answer(&cache, &file, "version"), ("two".into(), true));
}

#[test]
fn a_file_that_is_replaced_while_it_is_asked_is_asked_again() {
    let here = Here::new();
    let (cache, file, other) = (here.cache(), here.path("runtime"), here.path("other"));
    fs::write(&file, "one").expect("writes");
    fs::write(&other, "two").expect("writes");
    settle();
    let answered = cache.answer(&file, "version", &mut || {
        fs::rename(&other, &file).expect("renames");
        Ok("two".into())
    });
    assert_eq!(answered.expect("an answer"), "two");
    assert_eq!(answer(&cache, &file, "version"), ("two".into(), true));
}

#[test]
fn no_answer_is_not_remembered() {
    let here = Here::new();
    let (cache, file) = (here.cache(), here.path("runtime"));
    fs::write(&file, "one").expect("writes");
    settle();
    let refused = cache.answer(&file, "version", &mut || {
        Err(Error::new(ErrorKind::EngineNotFound, "says nothing"))
    });
    assert_eq!(refused.expect_err("none").kind(), ErrorKind::EngineNotFound);
    assert_eq!(answer(&cache, &file, "version"), ("one".into(), true));
    let gone = cache.answer(&here.path("gone"), "version", &mut || Ok("me".into()));
    assert_eq!(gone.expect("it is asked"), "me");
}
