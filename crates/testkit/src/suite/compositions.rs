//! Compositions: components in a component, which pass resources, strings and lists to each other.
//!
//! What each comes to is what it does on an engine that has components; others have it as one module.

use wasmrun_core::{
    ErrorKind, Guest, HostFunctions, HostInterface, Outcome, Place, Program, Proposals, Refusal,
    Report, Request, RunConfig, Support, TrapKind, check,
};

use crate::case::{Case, captured, stdout};
use crate::guests::{MEMORY, text};

crate::suite::rules![
    resources_pass_between_components,
    a_resource_is_dropped_once_by_its_own_component,
    handles_that_are_wrong_trap,
    what_is_lent_is_given_back_before_the_call_returns,
    what_is_lent_cannot_be_given_away,
    a_destructor_that_traps_ends_the_guest,
    streams_of_the_host_pass_between_components,
    streams_of_the_host_are_their_components_alone,
    strings_pass_between_memories_in_every_encoding,
    strings_that_are_none_trap,
    lists_pass_between_memories,
    each_component_passes_the_host_what_is_in_its_own_memory,
    the_host_works_on_the_memory_that_is_meant,
    much_passes_between_the_host_and_each_memory,
    the_memories_of_a_composition_are_limited_together,
    strings_of_the_host_are_in_the_encoding_of_the_component,
];

/// Runs a guest that checks itself. It says so by the error of its entry, as an engine that does nothing says success.
fn holds(case: &Case, guest: &Guest) {
    if let Some(report) = case.run(guest, &captured()) {
        assert_eq!(report.outcome, Outcome::Exited(1));
    }
}

fn traps(case: &Case, guest: &Guest, kind: TrapKind) {
    if let Some(report) = case.run(guest, &captured()) {
        match &report.outcome {
            Outcome::Trapped(trap) => assert_eq!(trap.kind, kind, "{trap:?}"),
            other => panic!("it should have trapped: {other:?}"),
        }
    }
}

// ---- resources of a component's own ----------------------------------------------------------------

/// A component with two resources of its own, `r` and `s`, one that passes on what it is lent, and one that calls both:
/// this is the body of its entry. `$is` traps unless two numbers are the same. `$dropped` has the digits of what was
/// dropped.
fn keeper(body: &str) -> Guest {
    text(
        "keeper.wasm",
        &format!(
            r#"(component
  (component $keeper
    (core module $state
      (global $dropped (mut i32) (i32.const 0))
      (func (export "drop") (param $rep i32)
        (if (i32.eq (local.get $rep) (i32.const 13)) (then unreachable))
        (global.set $dropped
          (i32.add (i32.mul (global.get $dropped) (i32.const 10)) (local.get $rep))))
      (func (export "dropped") (result i32) (global.get $dropped)))
    (core instance $state (instantiate $state))
    (type $r' (resource (rep i32) (dtor (func $state "drop"))))
    (type $s' (resource (rep i32)))
    (export $r "r" (type $r'))
    (export $s "s" (type $s'))
    (core func $new-r (canon resource.new $r))
    (core func $new-s (canon resource.new $s))
    (core func $rep-r (canon resource.rep $r))
    (core func $drop-r (canon resource.drop $r))
    (core module $m
      (import "" "rep-r" (func $rep (param i32) (result i32)))
      (import "" "drop-r" (func $drop (param i32)))
      (func (export "get") (param i32) (result i32) (local.get 0))
      (func (export "take") (param $r i32) (result i32) (local $rep i32)
        (local.set $rep (call $rep (local.get $r)))
        (call $drop (local.get $r))
        (local.get $rep))
      (func (export "both") (param i32 i32)))
    (core instance $i (instantiate $m (with "" (instance
      (export "rep-r" (func $rep-r)) (export "drop-r" (func $drop-r))))))
    (func (export "new-r") (param "rep" u32) (result (own $r)) (canon lift (core func $new-r)))
    (func (export "new-s") (param "rep" u32) (result (own $s)) (canon lift (core func $new-s)))
    (func (export "get") (param "r" (borrow $r)) (result u32) (canon lift (core func $i "get")))
    (func (export "take") (param "r" (own $r)) (result u32) (canon lift (core func $i "take")))
    (func (export "both") (param "lent" (borrow $r)) (param "given" (own $r))
      (canon lift (core func $i "both")))
    (func (export "dropped") (result u32) (canon lift (core func $state "dropped"))))
  (instance $keeper (instantiate $keeper))
  (component $between
    (import "keeper" (instance $keeper
      (export "r" (type $r (sub resource)))
      (export "get" (func (param "r" (borrow $r)) (result u32)))
      (export "take" (func (param "r" (own $r)) (result u32)))))
    (alias export $keeper "r" (type $r'))
    (export $r "r" (type $r'))
    (core func $get (canon lower (func $keeper "get")))
    (core func $take (canon lower (func $keeper "take")))
    (core func $drop (canon resource.drop $r))
    (core module $m
      (import "" "get" (func $get (param i32) (result i32)))
      (import "" "take" (func $take (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "via") (param $r i32) (result i32) (local $rep i32)
        (local.set $rep (call $get (local.get $r)))
        (call $drop (local.get $r))
        (local.get $rep))
      (func (export "keep") (param i32))
      (func (export "steal") (param i32) (result i32) (call $take (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance
      (export "get" (func $get)) (export "take" (func $take)) (export "drop" (func $drop))))))
    (func (export "via") (param "r" (borrow $r)) (result u32) (canon lift (core func $i "via")))
    (func (export "keep") (param "r" (borrow $r)) (canon lift (core func $i "keep")))
    (func (export "steal") (param "r" (borrow $r)) (result u32) (canon lift (core func $i "steal"))))
  (instance $between (instantiate $between (with "keeper" (instance $keeper))))
  (component $user
    (import "keeper" (instance $keeper
      (export "r" (type $r (sub resource)))
      (export "s" (type $s (sub resource)))
      (export "new-r" (func (param "rep" u32) (result (own $r))))
      (export "new-s" (func (param "rep" u32) (result (own $s))))
      (export "get" (func (param "r" (borrow $r)) (result u32)))
      (export "take" (func (param "r" (own $r)) (result u32)))
      (export "both" (func (param "lent" (borrow $r)) (param "given" (own $r))))
      (export "dropped" (func (result u32)))))
    (alias export $keeper "r" (type $r))
    (alias export $keeper "s" (type $s))
    (import "between" (instance $between
      (export "r" (type $r'' (eq $r)))
      (export "via" (func (param "r" (borrow $r'')) (result u32)))
      (export "keep" (func (param "r" (borrow $r''))))
      (export "steal" (func (param "r" (borrow $r'')) (result u32)))))
    (core func $new-r (canon lower (func $keeper "new-r")))
    (core func $new-s (canon lower (func $keeper "new-s")))
    (core func $get (canon lower (func $keeper "get")))
    (core func $take (canon lower (func $keeper "take")))
    (core func $both (canon lower (func $keeper "both")))
    (core func $dropped (canon lower (func $keeper "dropped")))
    (core func $via (canon lower (func $between "via")))
    (core func $keep (canon lower (func $between "keep")))
    (core func $steal (canon lower (func $between "steal")))
    (core func $drop (canon resource.drop $r))
    (core func $drop-s (canon resource.drop $s))
    (core module $m
      (import "" "new-r" (func $new (param i32) (result i32)))
      (import "" "new-s" (func $new-s (param i32) (result i32)))
      (import "" "get" (func $get (param i32) (result i32)))
      (import "" "take" (func $take (param i32) (result i32)))
      (import "" "both" (func $both (param i32 i32)))
      (import "" "dropped" (func $dropped (result i32)))
      (import "" "via" (func $via (param i32) (result i32)))
      (import "" "keep" (func $keep (param i32)))
      (import "" "steal" (func $steal (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (import "" "drop-s" (func $drop-s (param i32)))
      (func $is (param i32 i32)
        (if (i32.ne (local.get 0) (local.get 1)) (then unreachable)))
      (func (export "run") (result i32) (local $r i32) (local $s i32)
        {body} (i32.const 1)))
    (core instance $i (instantiate $m (with "" (instance
      (export "new-r" (func $new-r)) (export "new-s" (func $new-s)) (export "get" (func $get))
      (export "take" (func $take)) (export "both" (func $both)) (export "dropped" (func $dropped))
      (export "via" (func $via)) (export "keep" (func $keep)) (export "steal" (func $steal))
      (export "drop" (func $drop)) (export "drop-s" (func $drop-s))))))
    (func (export "run") (result (result)) (canon lift (core func $i "run"))))
  (instance $user (instantiate $user
    (with "keeper" (instance $keeper)) (with "between" (instance $between))))
  (instance $run (export "run" (func $user "run")))
  (export "wasi:cli/run@0.2.0" (instance $run)))"#
        ),
    )
}

fn resources_pass_between_components(case: &Case) {
    let guest = keeper(
        "(call $is (call $new (i32.const 7)) (i32.const 1))
        (call $is (call $new-s (i32.const 8)) (i32.const 2))
        (call $is (call $new (i32.const -1)) (i32.const 3))
        (call $is (call $get (i32.const 1)) (i32.const 7))
        (call $is (call $get (i32.const 3)) (i32.const -1))
        (call $is (call $via (i32.const 1)) (i32.const 7))
        (call $is (call $via (i32.const 1)) (i32.const 7))
        (call $drop-s (i32.const 2))
        (call $is (call $take (i32.const 1)) (i32.const 7))
        ;; Numbers are used again, the latest first.
        (call $is (call $new (i32.const 5)) (i32.const 1))
        (call $is (call $new (i32.const 6)) (i32.const 2))
        (call $is (call $via (i32.const 2)) (i32.const 6))",
    );
    holds(case, &guest);
}

fn a_resource_is_dropped_once_by_its_own_component(case: &Case) {
    let guest = keeper(
        "(local.set $r (call $new (i32.const 1)))
        (local.set $s (call $new (i32.const 2)))
        (call $is (call $via (local.get $s)) (i32.const 2))
        (call $is (call $dropped) (i32.const 0))
        (call $drop (local.get $s))
        (call $is (call $dropped) (i32.const 2))
        (call $is (call $take (local.get $r)) (i32.const 1))
        (call $is (call $dropped) (i32.const 21))
        (drop (call $new (i32.const 3)))",
    );
    holds(case, &guest);
}

fn handles_that_are_wrong_trap(case: &Case) {
    for body in [
        "(drop (call $get (i32.const 0)))",
        "(drop (call $get (i32.const 1)))",
        "(drop (call $get (i32.const -1)))",
        "(drop (call $take (i32.const 1)))",
        "(call $drop (i32.const 1))",
        "(local.set $r (call $new (i32.const 1))) (call $drop (local.get $r)) (call $drop (local.get $r))",
        "(local.set $r (call $new (i32.const 1))) (drop (call $take (local.get $r)))
        (drop (call $get (local.get $r)))",
        // Of the other resource.
        "(drop (call $get (call $new-s (i32.const 1))))",
        "(drop (call $via (call $new-s (i32.const 1))))",
        "(call $drop (call $new-s (i32.const 1)))",
        "(call $drop-s (call $new (i32.const 1)))",
    ] {
        traps(case, &keeper(body), TrapKind::HostFunction);
    }
}

fn what_is_lent_is_given_back_before_the_call_returns(case: &Case) {
    let guest = keeper("(call $keep (call $new (i32.const 1)))");
    traps(case, &guest, TrapKind::HostFunction);
}

fn what_is_lent_cannot_be_given_away(case: &Case) {
    for body in [
        "(drop (call $steal (call $new (i32.const 1))))",
        "(local.set $r (call $new (i32.const 1))) (call $both (local.get $r) (local.get $r))",
    ] {
        traps(case, &keeper(body), TrapKind::HostFunction);
    }
    let guest = keeper("(call $both (call $new (i32.const 1)) (call $new (i32.const 2)))");
    holds(case, &guest);
}

fn a_destructor_that_traps_ends_the_guest(case: &Case) {
    for body in [
        "(call $drop (call $new (i32.const 13)))",
        "(drop (call $take (call $new (i32.const 13))))",
    ] {
        traps(case, &keeper(body), TrapKind::Unreachable);
    }
}

// ---- resources of the host -------------------------------------------------------------------------

/// Imports of a component whose components are to write: streams of the host's, and its standard output.
const STREAMS: &str = r#"
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error-type))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error-type (type $e'))
    (export "error" (type $e (eq $e')))
    (export "output-stream" (type $stream (sub resource)))
    (type $failed' (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $failed (eq $failed')))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $stream)) (param "contents" (list u8))
        (result (result (error $failed)))))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $stream (type $s'))
    (export "output-stream" (type $s (eq $s')))
    (export "get-stdout" (func (result (own $s))))))
  (alias export $streams "stream-error" (type $failed))"#;

/// What a component in it imports to write to a `$stream`: `$write`.
const WRITE: &str = r#"
    (import "stream" (type $stream (sub resource)))
    (import "error" (type $e (sub resource)))
    (type $failed' (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (import "stream-error" (type $failed (eq $failed')))
    (import "write" (func $write
      (param "self" (borrow $stream)) (param "contents" (list u8))
      (result (result (error $failed)))))"#;

/// What it is given for that.
const GIVEN_WRITE: &str = r#"(with "stream" (type $stream)) (with "error" (type $error-type))
    (with "stream-error" (type $failed))
    (with "write" (func $streams "[method]output-stream.blocking-write-and-flush"))"#;

/// A component that prints on streams that it is lent or given, and one that has them: this is the body of its entry.
fn printing(body: &str) -> Guest {
    printing_after("", body)
}

/// Likewise, after another component.
fn printing_after(other: &str, body: &str) -> Guest {
    text(
        "printing.wasm",
        &format!(
            r#"(component {other}
  {STREAMS}
  (component $printer
    {WRITE}
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $write (canon lower (func $write) (memory $libc "memory")))
    (core func $drop (canon resource.drop $stream))
    (core module $m
      (import "" "memory" (memory 1))
      (import "" "write" (func $write (param i32 i32 i32 i32)))
      (import "" "drop" (func $drop (param i32)))
      (func $print (param $stream i32) (param $char i32)
        (i32.store8 (i32.const 64) (local.get $char))
        (call $write (local.get $stream) (i32.const 64) (i32.const 1) (i32.const 0))
        (if (i32.load8_u (i32.const 0)) (then unreachable)))
      (func (export "lent") (param $stream i32) (param $char i32)
        (call $print (local.get $stream) (local.get $char))
        (call $drop (local.get $stream)))
      (func (export "kept") (param $stream i32) (param $char i32)
        (call $print (local.get $stream) (local.get $char)))
      (func (export "given") (param $stream i32) (param $char i32) (result i32)
        (call $print (local.get $stream) (local.get $char))
        (local.get $stream)))
    (core instance $i (instantiate $m (with "" (instance
      (export "memory" (memory $libc "memory")) (export "write" (func $write))
      (export "drop" (func $drop))))))
    (func (export "lent") (param "to" (borrow $stream)) (param "char" u32)
      (canon lift (core func $i "lent")))
    (func (export "kept") (param "to" (borrow $stream)) (param "char" u32)
      (canon lift (core func $i "kept")))
    (func (export "given") (param "to" (own $stream)) (param "char" u32) (result (own $stream))
      (canon lift (core func $i "given"))))
  (instance $printer (instantiate $printer
    {GIVEN_WRITE}))
  (component $user
    (import "stream" (type $stream (sub resource)))
    (import "get-stdout" (func $stdout (result (own $stream))))
    (import "lent" (func $lent (param "to" (borrow $stream)) (param "char" u32)))
    (import "kept" (func $kept (param "to" (borrow $stream)) (param "char" u32)))
    (import "given" (func $given (param "to" (own $stream)) (param "char" u32) (result (own $stream))))
    (core func $stdout (canon lower (func $stdout)))
    (core func $lent (canon lower (func $lent)))
    (core func $kept (canon lower (func $kept)))
    (core func $given (canon lower (func $given)))
    (core func $drop (canon resource.drop $stream))
    (core module $m
      (import "" "stdout" (func $stdout (result i32)))
      (import "" "lent" (func $lent (param i32 i32)))
      (import "" "kept" (func $kept (param i32 i32)))
      (import "" "given" (func $given (param i32 i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "run") (result i32) (local $out i32)
        {body} (i32.const 0)))
    (core instance $i (instantiate $m (with "" (instance
      (export "stdout" (func $stdout)) (export "lent" (func $lent)) (export "kept" (func $kept))
      (export "given" (func $given)) (export "drop" (func $drop))))))
    (func (export "run") (result (result)) (canon lift (core func $i "run"))))
  (instance $user (instantiate $user
    (with "stream" (type $stream)) (with "get-stdout" (func $stdout "get-stdout"))
    (with "lent" (func $printer "lent")) (with "kept" (func $printer "kept"))
    (with "given" (func $printer "given"))))
  (instance $run (export "run" (func $user "run")))
  (export "wasi:cli/run@0.2.0" (instance $run)))"#
        ),
    )
}

fn streams_of_the_host_pass_between_components(case: &Case) {
    let guest = printing(
        "(drop (call $stdout))
        (local.set $out (call $stdout))
        (if (i32.ne (local.get $out) (i32.const 2)) (then unreachable))
        (call $lent (local.get $out) (i32.const 0x61))
        (local.set $out (call $given (local.get $out) (i32.const 0x62)))
        (call $lent (local.get $out) (i32.const 0x63))
        (call $drop (local.get $out))",
    );
    if let Some(report) = case.run(&guest, &captured()) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "abc");
    }
}

fn streams_of_the_host_are_their_components_alone(case: &Case) {
    for body in [
        "(call $lent (i32.const 1) (i32.const 0x61))",
        "(call $kept (call $stdout) (i32.const 0x61))",
        "(drop (call $given (i32.const 1) (i32.const 0x61)))",
        "(local.set $out (call $stdout))
        (drop (call $given (call $stdout) (i32.const 0x61)))
        (call $drop (i32.const 2)) (call $lent (i32.const 2) (i32.const 0x61))",
    ] {
        traps(case, &printing(body), TrapKind::HostFunction);
    }
}

// ---- memories --------------------------------------------------------------------------------------

/// A component that gives back the string that it is passed, in these bytes, and one that passes it this one, of so many
/// units, and compares what it gets; each has strings in an encoding. What is compared is the length as the component is
/// told it, and as many bytes.
fn echoing(
    [there, here]: [&str; 2],
    (string, length): (&str, u32),
    (expected, tagged): (&str, u32),
) -> Guest {
    text(
        "echoing.wasm",
        &format!(
            r#"(component
  (component $there
    {MEMORY}
    (core module $m
      (import "" "memory" (memory 1))
      (func (export "echo") (param i32 i32) (result i32)
        (i32.store (i32.const 16) (local.get 0))
        (i32.store (i32.const 20) (local.get 1))
        (i32.const 16)))
    (core instance $i (instantiate $m (with "" (instance (export "memory" (memory $memory))))))
    (func (export "echo") (param "s" string) (result string)
      (canon lift (core func $i "echo") string-encoding={there}
        (memory $memory) (realloc (func $realloc)))))
  (instance $there (instantiate $there))
  (component $here
    (import "echo" (func $echo (param "s" string) (result string)))
    {MEMORY}
    (core func $echo (canon lower (func $echo) string-encoding={here}
      (memory $memory) (realloc (func $realloc))))
    (core module $m
      (import "" "echo" (func $echo (param i32 i32 i32)))
      (import "" "memory" (memory 1))
      (data (i32.const 1024) "{string}")
      (data (i32.const 2048) "{expected}")
      (func (export "run") (result i32) (local $at i32) (local $byte i32)
        (call $echo (i32.const 1024) (i32.const {length}) (i32.const 0))
        (local.set $at (i32.load (i32.const 0)))
        (if (i32.ne (i32.load (i32.const 4)) (i32.const {tagged})) (then (return (i32.const 0))))
        (loop $next
          (if (i32.eq (local.get $byte) (i32.const {bytes})) (then (return (i32.const 1))))
          (if (i32.ne
            (i32.load8_u (i32.add (local.get $at) (local.get $byte)))
            (i32.load8_u offset=2048 (local.get $byte))) (then (return (i32.const 0))))
          (local.set $byte (i32.add (local.get $byte) (i32.const 1)))
          (br $next))
        unreachable))
    (core instance $i (instantiate $m (with "" (instance
      (export "memory" (memory $memory)) (export "echo" (func $echo))))))
    (func (export "run") (result (result)) (canon lift (core func $i "run"))))
  (instance $here (instantiate $here (with "echo" (func $there "echo"))))
  (instance $run (export "run" (func $here "run")))
  (export "wasi:cli/run@0.2.0" (instance $run)))"#,
            bytes = expected.len() / 3
        ),
    )
}

/// Bytes as text has them.
fn escaped(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes
        .into_iter()
        .map(|byte| format!("\\{byte:02x}"))
        .collect()
}

fn utf16(units: impl IntoIterator<Item = u16>) -> String {
    escaped(units.into_iter().flat_map(u16::to_le_bytes))
}

/// As a component with that encoding has it: the bytes, and what it says of the length.
fn encoded(string: &str, encoding: &str) -> (String, u32) {
    const IS_UTF16: u32 = 1 << 31;
    let units = string.encode_utf16().count() as u32;
    let latin1: Option<Vec<u8>> = string.chars().map(|char| u8::try_from(char).ok()).collect();
    match (encoding, latin1) {
        ("utf8", _) => (escaped(string.bytes()), string.len() as u32),
        ("utf16", _) => (utf16(string.encode_utf16()), units),
        (_, Some(latin1)) => (escaped(latin1), units),
        (_, None) => (utf16(string.encode_utf16()), units | IS_UTF16),
    }
}

const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];

fn strings_pass_between_memories_in_every_encoding(case: &Case) {
    for string in [
        "",
        "plain, and longer than what is looked at at once",
        "caf\u{e9} \u{80}\u{ff}",
        "\u{e9}t\u{e9} \u{20ac} \u{10348} \u{ffff}\u{10ffff} and more",
        "\u{7f}\u{7ff}\u{800}\u{d7ff}\u{e000}",
    ] {
        for there in ENCODINGS {
            for here in ENCODINGS {
                let (bytes, length) = encoded(string, here);
                let guest = echoing([there, here], (&bytes, length), (&bytes, length));
                if !several_memories(case, &guest) {
                    return;
                }
                holds(case, &guest);
            }
        }
    }
}

fn strings_that_are_none_trap(case: &Case) {
    let utf8: &[&[u8]] = &[
        b"\x80",
        b"ab\xff",
        b"\xc0\x80",
        b"\xc3",
        b"12345678\xe0\x9f\xbf",
        b"\xed\xa0\x80",
        b"\xe2\x82",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xe2\x28\xa1",
    ];
    let utf8 = utf8.iter().map(|bytes| {
        let length = bytes.len() as u32;
        ("utf8", escaped(bytes.iter().copied()), length)
    });
    let units: &[&[u16]] = &[
        &[0xd800],
        &[0xdc00, 0xd800],
        &[0x61, 0xd83d, 0x61],
        &[0xdbff, 0xdbff],
    ];
    let units = units.iter().flat_map(|units| {
        let (string, length) = (utf16(units.iter().copied()), units.len() as u32);
        [
            ("utf16", string.clone(), length),
            ("latin1+utf16", string, length | 1 << 31),
        ]
    });
    for (here, string, length) in utf8.chain(units) {
        for there in ENCODINGS {
            let guest = echoing([there, here], (&string, length), ("", 0));
            if !several_memories(case, &guest) {
                return;
            }
            traps(case, &guest, TrapKind::HostFunction);
        }
    }
}

/// Two components that each have a memory, of which the first writes this to standard output and the second that, if it
/// writes.
fn writing(there: &str, here: Option<&str>) -> Guest {
    let own = here.map_or(String::new(), |text| {
        format!(
            r#"(call $write (call $stdout) (i32.const 1024) (i32.const {}) (i32.const 0))"#,
            text.len()
        )
    });
    let lowered = r#"
    (import "get-stdout" (func $stdout (result (own $stream))))
    (core func $stdout (canon lower (func $stdout)))
    (core func $write (canon lower (func $write) (memory $memory)))"#;
    let imports = r#"
      (import "" "memory" (memory 1))
      (import "" "stdout" (func $stdout (result i32)))
      (import "" "write" (func $write (param i32 i32 i32 i32)))"#;
    let given = format!(r#"{GIVEN_WRITE} (with "get-stdout" (func $stdout "get-stdout"))"#);
    let here = here.unwrap_or_default();
    text(
        "writing.wasm",
        &format!(
            r#"(component
  {STREAMS}
  (component $there
    {WRITE} {MEMORY} {lowered}
    (core module $m {imports}
      (data (i32.const 512) "{there}")
      (func (export "write") (param i32 i32)
        (call $write (call $stdout) (i32.const 512) (i32.const {}) (i32.const 0))
        (call $write (call $stdout) (local.get 0) (local.get 1) (i32.const 0))))
    (core instance $i (instantiate $m (with "" (instance
      (export "memory" (memory $memory))
      (export "stdout" (func $stdout)) (export "write" (func $write))))))
    (func (export "write") (param "bytes" (list u8))
      (canon lift (core func $i "write") (memory $memory) (realloc (func $realloc)))))
  (instance $there (instantiate $there {given}))
  (component $here
    {WRITE} {MEMORY} {lowered}
    (import "there" (func $there (param "bytes" (list u8))))
    (core func $there (canon lower (func $there) (memory $memory)))
    (core module $m {imports}
      (import "" "there" (func $there (param i32 i32)))
      (data (i32.const 1024) "{here}")
      (data (i32.const 3000) ", passed on")
      (func (export "run") (result i32)
        {own}
        (call $there (i32.const 3000) (i32.const 11))
        {own}
        (i32.const 0)))
    (core instance $i (instantiate $m (with "" (instance
      (export "memory" (memory $memory)) (export "there" (func $there))
      (export "stdout" (func $stdout)) (export "write" (func $write))))))
    (func (export "run") (result (result)) (canon lift (core func $i "run"))))
  (instance $here (instantiate $here {given} (with "there" (func $there "write"))))
  (instance $run (export "run" (func $here "run")))
  (export "wasi:cli/run@0.2.0" (instance $run)))"#,
            there.len()
        ),
    )
}

fn lists_pass_between_memories(case: &Case) {
    let guest = writing("there", None);
    if several_memories(case, &guest)
        && let Some(report) = case.run(&guest, &captured())
    {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "there, passed on");
    }
}

fn each_component_passes_the_host_what_is_in_its_own_memory(case: &Case) {
    let guest = writing("there", Some("(here)"));
    if several_memories(case, &guest)
        && let Some(report) = case.run(&guest, &captured())
    {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "(here)there, passed on(here)");
    }
}

fn the_host_works_on_the_memory_that_is_meant(case: &Case) {
    let idle = format!("(component $idle {MEMORY}) (instance (instantiate $idle))");
    let guest = printing_after(
        &idle,
        "(local.set $out (call $stdout))
        (call $lent (local.get $out) (i32.const 0x61))
        (call $lent (local.get $out) (i32.const 0x62))",
    );
    if several_memories(case, &guest)
        && let Some(report) = case.run(&guest, &captured())
    {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "ab");
    }
}

/// More than a page at a time, both ways, and nothing of it in another memory.
fn much_passes_between_the_host_and_each_memory(case: &Case) {
    const LENGTH: usize = 70_000;
    let guest = text(
        "asking-much.wasm",
        &format!(
            r#"(component
  (import "acme:test/capitals@1.0.0" (instance $host
    (export "capitals" (func (param "s" string) (result string)))))
  (component $asking
    (import "capitals" (func $capitals (param "s" string) (result string)))
    {MEMORY}
    (core func $capitals (canon lower (func $capitals) (memory $memory) (realloc (func $realloc))))
    (core module $m
      (import "" "memory" (memory 2))
      (import "" "capitals" (func $capitals (param i32 i32 i32)))
      (func (export "ask") (param $char i32) (result i32)
        (drop (memory.grow (i32.const 2)))
        (memory.fill (i32.const 60000) (local.get $char) (i32.const {LENGTH}))
        (call $capitals (i32.const 60000) (i32.const {LENGTH}) (i32.const 8))
        (call $is-there (local.get $char)))
      (func $is-there (export "is-there") (param $char i32) (result i32)
        (local $at i32) (local $end i32)
        (local.set $at (i32.load (i32.const 8)))
        (local.set $end (i32.add (local.get $at) (i32.load (i32.const 12))))
        (if (i32.ne (i32.load (i32.const 12)) (i32.const {LENGTH})) (then (return (i32.const 0))))
        (loop $next
          (if (i32.ne (i32.add (i32.load8_u (local.get $at)) (i32.const 0x20)) (local.get $char))
            (then (return (i32.const 0))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br_if $next (i32.ne (local.get $at) (local.get $end))))
        (i32.const 1)))
    (core instance $i (instantiate $m (with "" (instance
      (export "memory" (memory $memory)) (export "capitals" (func $capitals))))))
    (func (export "ask") (param "char" u32) (result u32) (canon lift (core func $i "ask")))
    (func (export "is-there") (param "char" u32) (result u32)
      (canon lift (core func $i "is-there"))))
  (instance $first (instantiate $asking (with "capitals" (func $host "capitals"))))
  (instance $second (instantiate $asking (with "capitals" (func $host "capitals"))))
  (component $both
    (type $asking (instance
      (export "ask" (func (param "char" u32) (result u32)))
      (export "is-there" (func (param "char" u32) (result u32)))))
    (import "first" (instance $first (type $asking)))
    (import "second" (instance $second (type $asking)))
    (core func $first (canon lower (func $first "ask")))
    (core func $first' (canon lower (func $first "is-there")))
    (core func $second (canon lower (func $second "ask")))
    (core func $second' (canon lower (func $second "is-there")))
    (core module $m
      (import "first" "ask" (func $first (param i32) (result i32)))
      (import "first" "is-there" (func $first' (param i32) (result i32)))
      (import "second" "ask" (func $second (param i32) (result i32)))
      (import "second" "is-there" (func $second' (param i32) (result i32)))
      (func (export "run") (result i32)
        (if (i32.eqz (call $first (i32.const 0x61))) (then (return (i32.const 0))))
        (if (i32.eqz (call $second (i32.const 0x62))) (then (return (i32.const 0))))
        (if (i32.eqz (call $first' (i32.const 0x61))) (then (return (i32.const 0))))
        (if (i32.eqz (call $first (i32.const 0x63))) (then (return (i32.const 0))))
        (call $second' (i32.const 0x62))))
    (core instance $i (instantiate $m
      (with "first" (instance (export "ask" (func $first)) (export "is-there" (func $first'))))
      (with "second" (instance (export "ask" (func $second)) (export "is-there" (func $second'))))))
    (func (export "run") (result (result)) (canon lift (core func $i "run"))))
  (instance $both (instantiate $both
    (with "first" (instance $first)) (with "second" (instance $second))))
  (instance $run (export "run" (func $both "run")))
  (export "wasi:cli/run@0.2.0" (instance $run)))"#
        ),
    );
    let interface = HostInterface::new().function("capitals", |_, (said,): (String,)| {
        said.to_ascii_uppercase()
    });
    let host = HostFunctions::new().interface("acme:test/capitals@1.0.0", interface);
    if let Some(report) = run_with(case, &guest, &host, &captured()) {
        assert_eq!(report.outcome, Outcome::Exited(1));
    }
}

/// All memories count. A runtime that has components itself cannot count them together, and lets none have a second.
fn the_memories_of_a_composition_are_limited_together(case: &Case) {
    const PAGE: u64 = 1 << 16;
    let guest = writing("there", None);
    let apart = keeps_components(case);
    for pages in [4, 2] {
        let config = captured().limit(|limits| limits.memory = Some(pages * PAGE));
        if several_memories(case, &guest)
            && let Some(report) = case.run(&guest, &config)
        {
            let expected = match pages {
                4 if !apart => Outcome::Exited(0),
                _ => Outcome::OutOfMemory,
            };
            assert_eq!(report.outcome, expected, "{pages} pages");
            if report.outcome.success() {
                assert_eq!(stdout(&report), "there, passed on");
            }
        }
    }
}

/// Whether the engine runs a component that has several memories when it is one module: every engine does that has modules of
/// several. If it does not, it has been asserted that it says so.
fn several_memories(case: &Case, guest: &Guest) -> bool {
    let can = case.capability();
    let has = can.proposals.contains(Proposals::MULTI_MEMORY);
    let refused = case.refuses(guest, &captured());
    assert_eq!(refused, !(can.components.is_supported() && has));
    if refused && can.components.is_supported() {
        let refusals = check::refusals_of(&**case.engine(), guest, &captured());
        let told = |refusal: &Refusal| refusal.reason.contains("multi-memory");
        assert!(refusals.iter().any(told), "{refusals:?}");
    }
    !refused
}

/// A component with strings in this encoding that passes the host its first argument, and compares what it gets back with
/// these bytes. What is compared is the length as it is told, and as many bytes.
fn asking(encoding: &str, (expected, length): (&str, u32)) -> Guest {
    text(
        "asking.wasm",
        &format!(
            r#"(component
  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-arguments" (func (result (list string))))))
  (import "acme:test/echo@1.0.0" (instance $echo
    (export "echo" (func (param "s" string) (result string)))))
  {MEMORY}
  (core func $arguments (canon lower (func $environment "get-arguments") string-encoding={encoding}
    (memory $memory) (realloc (func $realloc))))
  (core func $echo (canon lower (func $echo "echo") string-encoding={encoding}
    (memory $memory) (realloc (func $realloc))))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "arguments" (func $arguments (param i32)))
    (import "" "echo" (func $echo (param i32 i32 i32)))
    (data (i32.const 2048) "{expected}")
    (func $is (param $at i32) (param $length i32) (local $byte i32)
      (if (i32.ne (local.get $length) (i32.const {length})) (then unreachable))
      (loop $next
        (if (i32.eq (local.get $byte) (i32.const {bytes})) (then (return)))
        (if (i32.ne
          (i32.load8_u (i32.add (local.get $at) (local.get $byte)))
          (i32.load8_u offset=2048 (local.get $byte))) (then unreachable))
        (local.set $byte (i32.add (local.get $byte) (i32.const 1)))
        (br $next)))
    (func (export "run") (result i32) (local $all i32)
      (call $arguments (i32.const 0))
      (local.set $all (i32.load (i32.const 0)))
      (call $is (i32.load offset=8 (local.get $all)) (i32.load offset=12 (local.get $all)))
      (call $echo (i32.load offset=8 (local.get $all)) (i32.load offset=12 (local.get $all))
        (i32.const 0))
      (call $is (i32.load (i32.const 0)) (i32.load (i32.const 4)))
      (i32.const 1)))
  (core instance $i (instantiate $m (with "" (instance
    (export "memory" (memory $memory))
    (export "arguments" (func $arguments)) (export "echo" (func $echo))))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $run)))"#,
            bytes = expected.len() / 3
        ),
    )
}

fn strings_of_the_host_are_in_the_encoding_of_the_component(case: &Case) {
    for string in ["plain", "caf\u{e9} \u{ff}", "\u{20ac} \u{10348} and \u{e9}"] {
        let own = string.to_owned();
        let interface = HostInterface::new().function("echo", move |_, (said,): (String,)| {
            assert_eq!(said, own);
            said
        });
        let host = HostFunctions::new().interface("acme:test/echo@1.0.0", interface);
        for encoding in ENCODINGS {
            let (bytes, length) = encoded(string, encoding);
            let guest = asking(encoding, (&bytes, length));
            let config = captured().arg(string);
            match run_with(case, &guest, &host, &config) {
                Some(report) => {
                    assert_eq!(report.outcome, Outcome::Exited(1), "{encoding}: {string}");
                }
                None => return,
            }
        }
    }
}

/// Runs a guest that calls these. `None` if the engine has no such functions for it, or not its memories.
fn run_with(
    case: &Case,
    guest: &Guest,
    host: &HostFunctions,
    config: &RunConfig,
) -> Option<Report> {
    let request = Request::new(config, host);
    let refusals = check::refusals_of(&**case.engine(), guest, request);
    let program = Program::compile(case.engine().clone(), guest, request);
    if refusals.is_empty() {
        let program = program.unwrap_or_else(|error| panic!("not compiled: {error:?}"));
        return Some(case.ran(program.run(config)));
    }
    let can = case.engine().capability_for(guest);
    assert!(!can.host_functions.is_supported() || !can.components.is_supported());
    let error = program.expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    None
}

/// Whether components stay with a runtime on `PATH`.
fn keeps_components(case: &Case) -> bool {
    matches!(case.engine().info().place, Place::Executable(_))
        && case.capability().components == Support::Native
}
