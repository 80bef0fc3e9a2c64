//! `--invoke` of a function of a component, with values in WAVE.

use crate::common::{Guests, Seen, run};

const GUEST: &str = r#"(component
    (type $point' (record (field "x" s32) (field "y" s32)))
    (import "point" (type $point (eq $point')))
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
      (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
      (func (export "add-some") (param i32 i32 i32) (result i32) (i32.add (local.get 0) (local.get 2)))
      (func (export "same") (param i32 i32) (result i32)
        (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1)) (i32.const 0))
      (func (export "nothing"))
      (func (export "trap") (param i32) unreachable))
    (core instance $i (instantiate $m))
    (alias core export $i "memory" (core memory $memory))
    (alias core export $i "realloc" (core func $realloc))
    (func (export "add") (param "a" s32) (param "b" s32) (result s32)
      (canon lift (core func $i "add")))
    (func (export "add-some") (param "a" s32) (param "b" (option s32)) (result s32)
      (canon lift (core func $i "add-some")))
    (func (export "greet") (param "name" string) (result string)
      (canon lift (core func $i "same") (memory $memory) (realloc $realloc)))
    (func (export "move") (param "from" $point) (result $point)
      (canon lift (core func $i "same") (memory $memory)))
    (func (export "trap") (param "a" u8) (canon lift (core func $i "trap")))
    (func $nothing (canon lift (core func $i "nothing")))
    (instance $calls (export "nothing" (func $nothing)))
    (export "acme:plugin/calls@1.0.0" (instance $calls)))"#;

fn invoked(guests: &Guests, words: &[&str]) -> Seen {
    let guest = guests.file("plugin.wat", GUEST);
    let guest = guest.to_str().expect("UTF-8");
    let mut line = vec![
        "--engine",
        "wasmtime",
        "--timeout",
        "20s",
        "--invoke",
        words[0],
        guest,
    ];
    line.extend(&words[1..]);
    run(line)
}

#[test]
fn a_function_of_a_component_is_given_values_and_its_result_is_printed() {
    let guests = Guests::new();
    for (words, printed) in [
        (&["add(1, 2)"][..], "3\n"),
        (&["add", "1", "-2"], "-1\n"),
        (&["add-some", "1"], "1\n"),
        (&["add-some(1, some(2))"], "3\n"),
        (&["greet", r#""wörld""#], "\"wörld\"\n"),
        (&["greet(\"a\\nb\")"], "\"a\\nb\"\n"),
        (&["move", "{y: 2, x: -1}"], "{x: -1, y: 2}\n"),
        (&["nothing()"], ""),
        (&["acme:plugin/calls@1.0.0#nothing"], ""),
    ] {
        let seen = invoked(&guests, words);
        assert_eq!(
            (seen.code, &*seen.stdout),
            (Some(0), printed),
            "{words:?} {seen:?}"
        );
    }
    let seen = invoked(&guests, &["trap(1)"]);
    assert_eq!(seen.code, Some(134), "{seen:?}");
}

#[test]
fn what_a_function_of_a_component_does_not_take_is_a_usage_error_that_shows_it() {
    let guests = Guests::new();
    let add = "add is func(a: s32, b: s32) -> s32: ";
    for (words, told) in [
        (
            &["add", "1"][..],
            format!("{add}it takes 2 arguments, and 1 are given"),
        ),
        (&["add", "1", "x"], format!("{add}x is no s32")),
        (&["add(1)"], format!("{add}(1): ")),
        (
            &["add(1, 2", "3"],
            format!("{add}it is given values in parentheses"),
        ),
        (
            &["add-some"],
            "add-some is func(a: s32, b: option<s32>) -> s32: it takes 1 to 2 arguments".to_owned(),
        ),
        (
            &["greet", "world"],
            r#"a string is written "like this""#.to_owned(),
        ),
        (
            &["ad(1, 2)"],
            "the guest exports no function ad: was add meant?".to_owned(),
        ),
    ] {
        let seen = invoked(&guests, words);
        assert_eq!(seen.code, Some(125), "{words:?} {seen:?}");
        assert!(seen.message().contains(&told), "{words:?} {seen:?}");
    }
}

#[test]
fn the_functions_of_a_component_are_shown() {
    let guests = Guests::new();
    let guest = guests.file("plugin.wat", GUEST);
    let seen = run(["inspect", guest.to_str().expect("UTF-8")]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let shown = seen.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for function in [
        "add: func(a: s32, b: s32) -> s32",
        "acme:plugin/calls@1.0.0#nothing: func()",
    ] {
        assert!(shown.contains(function), "{}", seen.stdout);
    }
}
