//! What a flattened component does is what the component does.

mod host;

use host::{NOTE, Ran, command, flat, lifted, note, run, run_wishing};
use wasmparser::{ExternalKind, Name, Parser, Payload, Validator, WasmFeatures};
use wasmtime_environ::Trap;

fn returned(calls: impl IntoIterator<Item = String>) -> Ran {
    Ran {
        calls: calls.into_iter().collect(),
        end: None,
    }
}

fn ended(calls: impl IntoIterator<Item = String>, end: impl Into<String>) -> Ran {
    Ran {
        calls: calls.into_iter().collect(),
        end: Some(end.into()),
    }
}

fn trap(trap: Trap) -> String {
    format!("trap({})", trap as u8)
}

/// A command whose entry is this.
fn entry(body: &str) -> String {
    command(&format!(
        r#"(core module $m (func (export "run") (result i32) {body}))
           (core instance $i (instantiate $m))"#
    ))
}

// ---- the entry -------------------------------------------------------------------------------------

#[test]
fn an_entry_that_returns_ok_returns() {
    assert_eq!(run(&entry("(i32.const 0)")), returned([]));
}

#[test]
fn an_entry_that_returns_err_exits() {
    assert_eq!(run(&entry("(i32.const 1)")), ended([], "exit-err()"));
}

#[test]
fn an_entry_that_returns_neither_traps() {
    let end = trap(Trap::InvalidDiscriminant);
    assert_eq!(run(&entry("(i32.const 2)")), ended([], end));
}

#[test]
fn the_newest_entry_is_taken() {
    let text = command(&format!(
        r#"{NOTE}
        (core module $m (import "" "note" (func $note (param i32)))
            (func (export "old") (result i32) (call $note (i32.const 1)) (i32.const 0))
            (func (export "run") (result i32) (call $note (i32.const 2)) (i32.const 0)))
        (core instance $i (instantiate $m (with "" (instance $host))))
        (func $old (result (result)) (canon lift (core func $i "old")))
        (instance $old (export "run" (func $old)))
        (export "wasi:cli/run@0.2.1" (instance $old))"#
    ));
    // `command` adds 0.2.0.
    assert_eq!(run(&text), returned([note(1)]));
}

// ---- calls of the host -----------------------------------------------------------------------------

#[test]
fn functions_of_the_host_are_called_by_interface_and_name() {
    let text = command(
        r#"
        (import "wasi:io/streams@0.2.6" (instance $streams
            (export "output-stream" (type $stream (sub resource)))
            (export "[method]output-stream.check" (func (param "self" (borrow $stream)) (param "n" u64)))))
        (alias export $streams "output-stream" (type $stream))
        (import "wasi:cli/stdout@0.2.6" (instance $stdout
            (export "output-stream" (type $out (eq $stream)))
            (export "get-stdout" (func (result (own $out))))))
        (import "alone" (func $alone (param "n" u32)))
        (core func $get (canon lower (func $stdout "get-stdout")))
        (core func $check (canon lower (func $streams "[method]output-stream.check")))
        (core func $drop (canon resource.drop $stream))
        (core func $alone (canon lower (func $alone)))
        (core module $m
            (import "" "get" (func $get (result i32)))
            (import "" "check" (func $check (param i32 i64)))
            (import "" "drop" (func $drop (param i32)))
            (import "" "alone" (func $alone (param i32)))
            (func (export "run") (result i32)
                (call $check (i32.const 5) (i64.const 7))
                (call $drop (call $get))
                (call $alone (i32.const 3))
                (i32.const 0)))
        (core instance $i (instantiate $m (with "" (instance
            (export "get" (func $get)) (export "check" (func $check))
            (export "drop" (func $drop)) (export "alone" (func $alone))))))"#,
    );
    let calls = [
        "wasi:io/streams@0.2.6#[method]output-stream.check(5, 7)",
        "wasi:cli/stdout@0.2.6#get-stdout()",
        "wasi:io/streams@0.2.6#[resource-drop]output-stream(102)",
        "#alone(3)",
    ];
    assert_eq!(run(&text), returned(calls.map(str::to_owned)));
    let imports = flat(&text).imports;
    let names = imports
        .iter()
        .map(|import| (&*import.interface, &*import.name));
    let expected = [
        ("wasi:cli/stdout@0.2.6", "get-stdout"),
        ("wasi:io/streams@0.2.6", "[method]output-stream.check"),
        ("wasi:io/streams@0.2.6", "[resource-drop]output-stream"),
        ("", "alone"),
    ];
    assert_eq!(names.collect::<Vec<_>>(), expected);
    assert!(imports.iter().all(|import| !import.allocates));
}

/// A command that imports `my:host/names@1.0.0`, whose functions give back lists and strings, and [`NOTE`]. Its `realloc` notes
/// what it is called with, if that function is `$noted`, and gives addresses from 1024 on.
fn with_names(run: &str, noted: &str) -> String {
    command(&format!(
        r#"{NOTE}
        (import "my:host/names@1.0.0" (instance $names
            (export "all" (func (param "n" u32) (result (list string))))
            (export "one" (func (result (option (tuple u8 string)))))
            (export "few" (func (result (tuple u32 u64))))))
        (core module $libc
            (import "" "note" (func $host (param i32)))
            (memory (export "memory") 1)
            (global $next (mut i32) (i32.const 1024))
            (func $none (param i32))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (call ${noted} (local.get 0)) (call ${noted} (local.get 1))
                (call ${noted} (local.get 2)) (call ${noted} (local.get 3))
                (global.get $next)
                (global.set $next (i32.add (global.get $next) (local.get 3)))))
        (core instance $libc (instantiate $libc (with "" (instance $host))))
        (alias core export $libc "memory" (core memory $memory))
        (alias core export $libc "realloc" (core func $realloc))
        (core func $all (canon lower (func $names "all") (memory $memory) (realloc $realloc)))
        (core func $one (canon lower (func $names "one") (memory $memory) (realloc $realloc)))
        (core func $few (canon lower (func $names "few") (memory $memory) (realloc $realloc)))
        (core module $m
            (import "" "all" (func $all (param i32 i32)))
            (import "" "one" (func $one (param i32)))
            (import "" "few" (func $few (param i32)))
            (func (export "run") (result i32) {run} (i32.const 0)))
        (core instance $i (instantiate $m (with "" (instance
            (export "all" (func $all)) (export "one" (func $one)) (export "few" (func $few))))))"#
    ))
}

#[test]
fn memory_that_a_call_wants_is_handed_over() {
    let text = with_names(
        "(call $all (i32.const 3) (i32.const 64)) (call $one (i32.const 96)) (call $few (i32.const 32))",
        "none",
    );
    let ran = run_wishing(&text, [(4, 16), (1, 3), (8, 5)]);
    let calls = [
        "my:host/names@1.0.0#all(3, 64)",
        "allocated(1024)",
        "allocated(1040)",
        "allocated(1043)",
        "my:host/names@1.0.0#one(96)",
        "my:host/names@1.0.0#few(32)",
    ];
    assert_eq!(ran, returned(calls.map(str::to_owned)));
    let imports = flat(&text).imports;
    let allocate = imports
        .iter()
        .map(|import| (&*import.name, import.allocates));
    let expected = [
        ("note", false),
        ("all", true),
        ("one", true),
        ("few", false),
    ];
    assert_eq!(allocate.collect::<Vec<_>>(), expected);
}

#[test]
fn realloc_must_not_call_the_host() {
    let text = with_names("(call $all (i32.const 3) (i32.const 64))", "host");
    let called = "my:host/names@1.0.0#all(3, 64)".to_owned();
    assert_eq!(run(&text), returned([called.clone()]));
    let ran = run_wishing(&text, [(1, 1)]);
    assert_eq!(ran, ended([called], trap(Trap::CannotLeaveComponent)));
}

#[test]
fn what_follows_the_entry_has_its_result_and_must_not_call_the_host() {
    let fields = |run: u32, post_return: &str| {
        format!(
            r#"{NOTE}
            (core module $m
                (import "" "note" (func $note (param i32)))
                (func (export "run") (result i32) (call $note (i32.const 7)) (i32.const {run}))
                (func (export "after") (param i32) {post_return}))
            (core instance $i (instantiate $m (with "" (instance $host))))"#
        )
    };
    let after = r#"(post-return (func $i "after"))"#;
    let unless_1 = "(if (i32.ne (local.get 0) (i32.const 1)) (then unreachable))";
    let failed = run(&lifted(&fields(1, unless_1), after));
    assert_eq!(failed, ended([note(7)], "exit-err()"));
    let trapped = run(&lifted(&fields(0, unless_1), after));
    assert!(trapped.end.expect("0 is not 1").contains("unreachable"));
    let left = run(&lifted(&fields(0, "(call $note (i32.const 8))"), after));
    assert_eq!(left, ended([note(7)], trap(Trap::CannotLeaveComponent)));
}

// ---- modules that import each other ----------------------------------------------------------------

#[test]
fn what_one_module_exports_another_uses() {
    let text = command(&format!(
        r#"{NOTE}
        (core module $a
            (import "" "note" (func $note (param i32)))
            (memory (export "memory") 1)
            (table (export "table") 4 funcref)
            (global (export "place") i32 (i32.const 100))
            (global $count (export "count") (mut i32) (i32.const 40))
            (func $double (export "double") (param i32) (result i32)
                (global.set $count (i32.add (global.get $count) (i32.const 1)))
                (i32.mul (local.get 0) (i32.const 2))))
        (core instance $a (instantiate $a (with "" (instance $host))))
        (core module $b
            (import "a" "place" (global $place i32))
            (import "a" "count" (global $count (mut i32)))
            (import "a" "memory" (memory 1))
            (import "a" "table" (table 1 funcref))
            (import "a" "double" (func $double (param i32) (result i32)))
            (import "" "note" (func $note (param i32)))
            (type $unary (func (param i32) (result i32)))
            (global $own i32 (i32.add (global.get $place) (i32.const 2)))
            (global $second (mut i32) (global.get $place))
            (table $other 1 funcref)
            (elem (i32.const 1) $double)
            (elem (table $other) (i32.const 0) func $half)
            (data (global.get $place) "AB")
            (data (i32.add (global.get $place) (i32.const 2)) "C")
            (func $half (param i32) (result i32) (i32.div_u (local.get 0) (i32.const 2)))
            (func (export "run") (result i32)
                (call $note (i32.load8_u (i32.add (global.get $second) (i32.const 1))))
                (call $note (i32.load8_u (global.get $own)))
                (call $note (call_indirect (type $unary) (i32.const 21) (i32.const 1)))
                (call $note (call_indirect $other (type $unary) (i32.const 18) (i32.const 0)))
                (call $note (call $double (i32.const 5)))
                (call $note (global.get $count))
                (i32.const 0)))
        (core instance $i (instantiate $b (with "" (instance $host)) (with "a" (instance $a))))"#
    ));
    assert_eq!(run(&text), returned([66, 67, 42, 9, 10, 42].map(note)));
}

#[test]
fn a_module_that_is_instantiated_twice_has_everything_twice() {
    let text = command(&format!(
        r#"{NOTE}
        (core module $count
            (global $n (mut i32) (i32.const 0))
            (func (export "next") (result i32)
                (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))
        (core instance $a (instantiate $count))
        (core instance $b (instantiate $count))
        (core module $m
            (import "a" "next" (func $a (result i32)))
            (import "b" "next" (func $b (result i32)))
            (import "" "note" (func $note (param i32)))
            (func (export "run") (result i32)
                (call $note (call $a)) (call $note (call $a)) (call $note (call $b))
                (i32.const 0)))
        (core instance $i (instantiate $m
            (with "" (instance $host)) (with "a" (instance $a)) (with "b" (instance $b))))"#
    ));
    assert_eq!(run(&text), returned([1, 2, 1].map(note)));
}

/// So large that more than one thread copies it.
#[test]
fn functions_of_a_large_module_stay_in_their_places() {
    const FUNCTIONS: u32 = 200;
    let ballast = "(drop (v128.const i64x2 1 2))".repeat(700);
    let functions = (0..FUNCTIONS)
        .map(|number| format!("(func $f{number} {ballast} (call $note (i32.const {number})))"));
    let functions: String = functions.collect();
    let calls: String = (0..FUNCTIONS)
        .map(|number| format!("(call $f{number})"))
        .collect();
    let text = command(&format!(
        r#"{NOTE}
        (core module $m (import "" "note" (func $note (param i32))) {functions}
            (func (export "run") (result i32) {calls} (i32.const 0)))
        (core instance $i (instantiate $m (with "" (instance $host))))"#
    ));
    assert_eq!(run(&text), returned((0..FUNCTIONS).map(note)));
}

#[test]
fn references_to_functions_that_only_an_export_declared_are_made() {
    let text = command(&format!(
        r#"{NOTE}
        (core module $m
            (import "" "note" (func $note (param i32)))
            (table 1 funcref)
            (func $one (export "one") (call $note (i32.const 1)))
            (func (export "run") (result i32)
                (table.set (i32.const 0) (ref.func $one))
                (call_indirect (i32.const 0))
                (i32.const 0)))
        (core instance $i (instantiate $m (with "" (instance $host))))"#
    ));
    assert_eq!(run(&text), returned([note(1)]));
}

/// Two components within one, of which the second calls the first.
const SIBLINGS: &str = r#"
    (component $double
        (core module $m (func (export "double") (param i32) (result i32)
            (i32.mul (local.get 0) (i32.const 2))))
        (core instance $i (instantiate $m))
        (func (export "double") (param "n" u32) (result u32) (canon lift (core func $i "double"))))
    (component $caller
        (import "note" (func $note (param "n" u32)))
        (import "double" (func $double (param "n" u32) (result u32)))
        (core func $note (canon lower (func $note)))
        (core func $double (canon lower (func $double)))
        (core module $m
            (import "" "note" (func $note (param i32)))
            (import "" "double" (func $double (param i32) (result i32)))
            (func (export "run") (result i32)
                (call $note (call $double (i32.const 4))) (i32.const 0)))
        (core instance $i (instantiate $m (with "" (instance
            (export "note" (func $note)) (export "double" (func $double))))))
        (func (export "run") (result (result)) (canon lift (core func $i "run"))))"#;

#[test]
fn nested_components_call_each_other() {
    let text = format!(
        r#"(component {NOTE} {SIBLINGS}
        (instance $double (instantiate $double))
        (instance $caller (instantiate $caller
            (with "note" (func $notes "note")) (with "double" (func $double "double"))))
        (instance $run (export "run" (func $caller "run")))
        (export "wasi:cli/run@0.2.0" (instance $run)))"#
    );
    assert_eq!(run(&text), returned([note(8)]));
}

#[test]
fn a_component_must_not_call_one_within_it() {
    let text = command(
        r#"(component $child
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))
        (instance $child (instantiate $child))
        (core func $f (canon lower (func $child "f")))
        (core module $m (import "" "f" (func $f))
            (func (export "run") (result i32) (call $f) (i32.const 0)))
        (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))"#,
    );
    assert_eq!(run(&text), ended([], trap(Trap::CannotEnterComponent)));
}

// ---- instantiating -----------------------------------------------------------------------------------

/// Two modules, of which the first has memory, a table and a start function, and the second fills both. Each start function
/// notes what there is.
fn filling(offset: u32, place: u32) -> String {
    command(&format!(
        r#"{NOTE}
        (core module $a
            (import "" "note" (func $note (param i32)))
            (memory (export "memory") 1)
            (table (export "table") 2 funcref)
            (data (i32.const 0) "0")
            (data $more "unused")
            (elem (i32.const 0) $start)
            (func $look (export "look")
                (call $note (i32.load8_u (i32.const 0)))
                (call $note (ref.is_null (table.get (i32.const 1)))))
            (func $start (call $look) (i32.store8 (i32.const 0) (i32.const 0x31)))
            (start $start))
        (core instance $a (instantiate $a (with "" (instance $host))))
        (core module $b
            (import "a" "memory" (memory 1))
            (import "a" "table" (table 2 funcref))
            (import "a" "look" (func $look))
            (elem (i32.const {place}) func $look)
            (data (i32.const {offset}) "2")
            (func $again (memory.init $late (i32.const 0) (i32.const 0) (i32.const 1)))
            (data $late "3")
            (start $look)
            (func (export "run") (result i32)
                (call_indirect (i32.const 1)) (call $again) (call $look) (i32.const 0)))
        (core instance $i (instantiate $b (with "a" (instance $a))))"#
    ))
}

#[test]
fn start_functions_run_before_what_comes_after_them_is_there() {
    let expected = [48, 1, 50, 0, 50, 0, 51, 0];
    assert_eq!(run(&filling(0, 1)), returned(expected.map(note)));
}

#[test]
fn segments_that_do_not_fit_trap_when_it_is_their_turn() {
    let first = [48, 1].map(note);
    let memory = run(&filling(65536, 1));
    assert_eq!(memory.calls, first);
    assert!(
        memory
            .end
            .expect("beyond the memory")
            .contains("out of bounds")
    );
    let table = run(&filling(0, 2));
    assert_eq!(table.calls, first);
    assert!(
        table
            .end
            .expect("beyond the table")
            .contains("out of bounds")
    );
}

#[test]
fn a_start_function_may_be_the_hosts() {
    let text = command(
        r#"
        (import "my:host/bells@1.0.0" (instance $bells (export "ring" (func))))
        (core func $ring (canon lower (func $bells "ring")))
        (core module $m (import "" "ring" (func $ring)) (start $ring)
            (func (export "run") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m (with "" (instance (export "ring" (func $ring))))))"#,
    );
    let ring = "my:host/bells@1.0.0#ring()".to_owned();
    assert_eq!(run(&text), returned([ring]));
}

// ---- what the module looks like ----------------------------------------------------------------------

#[test]
fn functions_keep_their_names() {
    let text = command(&format!(
        r#"{NOTE}
        (core module $first (func $helper (export "help")))
        (core instance $first (instantiate $first))
        (core module $second
            (import "" "help" (func $imported))
            (import "host" "note" (func $note (param i32)))
            (func $main (export "run") (result i32) (i32.const 0))
            (func (export "unnamed")))
        (core instance $i (instantiate $second
            (with "" (instance $first)) (with "host" (instance $host))))"#
    ));
    let names = |text: &str| {
        let module = flat(text).module;
        let mut names = Vec::new();
        for payload in Parser::new(0).parse_all(module.bytes()) {
            if let Payload::CustomSection(section) = payload.expect("it is valid")
                && let wasmparser::KnownCustom::Name(section) = section.as_known()
            {
                for name in section {
                    if let Name::Function(functions) = name.expect("they are sound") {
                        let functions = functions.into_iter();
                        names.extend(
                            functions.map(|name| name.expect("they are sound").name.to_owned()),
                        );
                    }
                }
            }
        }
        names
    };
    assert_eq!(names(&text), ["first!helper", "second!main", "_start"]);
    assert_eq!(names(&entry("(i32.const 0)")), ["_start"]);
}

// ---- resources -------------------------------------------------------------------------------------

/// A command with a resource of its own, whose destructor notes what is dropped; `run` is this.
fn with_resource(run: &str, options: &str) -> String {
    lifted(
        &format!(
            r#"{NOTE}
            (core module $dtor
                (import "" "note" (func $note (param i32)))
                (func (export "drop") (param i32) (call $note (local.get 0)))
                (func (export "none") (param i32)))
            (core instance $dtor (instantiate $dtor (with "" (instance $host))))
            (type $r (resource (rep i32) (dtor (func $dtor "drop"))))
            (type $s (resource (rep i32)))
            (core func $new (canon resource.new $r))
            (core func $rep (canon resource.rep $r))
            (core func $drop (canon resource.drop $r))
            (core func $drop-s (canon resource.drop $s))
            (core module $m
                (import "" "new" (func $new (param i32) (result i32)))
                (import "" "rep" (func $rep (param i32) (result i32)))
                (import "" "drop" (func $drop (param i32)))
                (import "" "drop-s" (func $drop-s (param i32)))
                (func (export "after") (param i32) (drop (call $rep (i32.const 7))) (call $drop (i32.const 7)))
                (func (export "run") (result i32) {run} (i32.const 0)))
            (core instance $i (instantiate $m (with "" (instance
                (export "new" (func $new)) (export "rep" (func $rep))
                (export "drop" (func $drop)) (export "drop-s" (func $drop-s))))))"#
        ),
        options,
    )
}

#[test]
fn handles_of_its_own_resources_are_had_of_the_host() {
    let text = with_resource(
        "(drop (call $rep (call $new (i32.const 5))))
        (call $drop (i32.const 3)) (call $drop-s (i32.const 4)) (call $drop (i32.const 5))",
        "",
    );
    // Functions that drop tell what a handle stood for, doubled, and 1 if it owned that.
    let dropped = [(0, 43), (0, 43), (0, 0)];
    let calls = [
        "[resource-new]0(5)".to_owned(),
        "[resource-rep]0(101)".to_owned(),
        "[resource-drop]0(3)".to_owned(),
        note(21),
        "[resource-drop]1(4)".to_owned(),
        "[resource-drop]0(5)".to_owned(),
    ];
    assert_eq!(run_wishing(&text, dropped), returned(calls));
    let imports = flat(&text).imports;
    assert_eq!(imports.len(), 1, "{imports:?}");
}

#[test]
fn what_is_called_after_the_entry_drops_nothing() {
    let text = with_resource("", r#"(post-return (func $i "after"))"#);
    let end = trap(Trap::CannotLeaveComponent);
    let calls = ["[resource-rep]0(7)".to_owned()];
    assert_eq!(run(&text), ended(calls, end));
}

/// A command in which one component passes handles of the host's resource to another: `$given`, `$lent` are the calls.
fn passing(run: &str) -> String {
    format!(
        r#"(component
            (import "my:host/it@1.0.0" (instance $it
                (export "r" (type $r (sub resource)))
                (export "use" (func (param "r" (borrow $r))))))
            (alias export $it "r" (type $r))
            (component $taker
                (import "r" (type $r (sub resource)))
                (import "use" (func $use (param "r" (borrow $r))))
                (core func $use (canon lower (func $use)))
                (core func $drop (canon resource.drop $r))
                (core module $m
                    (import "" "use" (func $use (param i32)))
                    (import "" "drop" (func $drop (param i32)))
                    (func (export "f") (param i32) (call $use (local.get 0)) (call $drop (local.get 0))))
                (core instance $i (instantiate $m (with "" (instance
                    (export "use" (func $use)) (export "drop" (func $drop))))))
                (func (export "given") (param "r" (own $r)) (canon lift (core func $i "f")))
                (func (export "lent") (param "r" (borrow $r)) (canon lift (core func $i "f"))))
            (instance $taker (instantiate $taker
                (with "r" (type $r)) (with "use" (func $it "use"))))
            (component $giver
                (import "r" (type $r (sub resource)))
                (import "given" (func $given (param "r" (own $r))))
                (import "lent" (func $lent (param "r" (borrow $r))))
                (core func $given (canon lower (func $given)))
                (core func $lent (canon lower (func $lent)))
                (core func $drop (canon resource.drop $r))
                (core module $m
                    (import "" "given" (func $given (param i32)))
                    (import "" "lent" (func $lent (param i32)))
                    (import "" "drop" (func $drop (param i32)))
                    (func (export "run") (result i32) {run} (i32.const 0)))
                (core instance $i (instantiate $m (with "" (instance
                    (export "given" (func $given)) (export "lent" (func $lent))
                    (export "drop" (func $drop))))))
                (func (export "run") (result (result)) (canon lift (core func $i "run"))))
            (instance $giver (instantiate $giver (with "r" (type $r))
                (with "given" (func $taker "given")) (with "lent" (func $taker "lent"))))
            (instance $run (export "run" (func $giver "run")))
            (export "wasi:cli/run@0.2.0" (instance $run)))"#
    )
}

#[test]
fn handles_move_from_component_to_component_by_what_they_stand_for() {
    let text = passing(
        "(call $given (i32.const 1)) (call $lent (i32.const 2)) (call $drop (i32.const 3))",
    );
    let calls = [
        "my:host/it@1.0.0#[resource-take]r|1(1)",
        "my:host/it@1.0.0#[resource-new]r(101)",
        "my:host/it@1.0.0#use(102)",
        "my:host/it@1.0.0#[resource-drop]r(102)",
        "enter-call()",
        "my:host/it@1.0.0#[resource-lend]r|1(2)",
        "my:host/it@1.0.0#[resource-borrow]r(106)",
        "my:host/it@1.0.0#use(107)",
        "my:host/it@1.0.0#[resource-drop]r(107)",
        "exit-call()",
        "my:host/it@1.0.0#[resource-drop]r|1(3)",
    ];
    assert_eq!(run(&text), returned(calls.map(str::to_owned)));
    let imports = flat(&text).imports;
    let callers = imports.iter().map(|import| import.caller.component);
    assert_eq!(callers.collect::<Vec<_>>(), [0, 0, 0, 1, 0, 1, 1]);
}

// ---- memories --------------------------------------------------------------------------------------

/// A component in which two call a function of the host, which takes and gives back a string: each with a memory of its own, the
/// second with UTF-16.
fn two_callers() -> String {
    let caller = |name: &str, encoding: &str| {
        format!(
            r#"(component ${name}
                (import "f" (func $f (param "s" string) (result string)))
                (core module $libc (memory (export "memory") 1)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
                (core instance $libc (instantiate $libc))
                (core func $f (canon lower (func $f) string-encoding={encoding}
                    (memory $libc "memory") (realloc (func $libc "realloc"))))
                (core module $m
                    (import "" "f" (func $f (param i32 i32 i32)))
                    (func (export "run") (result i32)
                        (call $f (i32.const 1) (i32.const 2) (i32.const 16)) (i32.const 0)))
                (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
                (func (export "run") (result (result)) (canon lift (core func $i "run"))))
            (instance ${name} (instantiate ${name} (with "f" (func $f))))"#
        )
    };
    format!(
        r#"(component (import "f" (func $f (param "s" string) (result string)))
            {} {}
            (component $both
                (import "one" (func $one (result (result))))
                (import "other" (func $other (result (result))))
                (core func $one (canon lower (func $one)))
                (core func $other (canon lower (func $other)))
                (core module $m
                    (import "" "one" (func $one (result i32)))
                    (import "" "other" (func $other (result i32)))
                    (func (export "run") (result i32) (i32.or (call $one) (call $other))))
                (core instance $i (instantiate $m (with "" (instance
                    (export "one" (func $one)) (export "other" (func $other))))))
                (func (export "run") (result (result)) (canon lift (core func $i "run"))))
            (instance $both (instantiate $both
                (with "one" (func $one "run")) (with "other" (func $other "run"))))
            (instance $run (export "run" (func $both "run")))
            (export "wasi:cli/run@0.2.0" (instance $run)))"#,
        caller("one", "utf8"),
        caller("other", "utf16"),
    )
}

#[test]
fn functions_of_the_host_are_told_whose_memory_and_strings_are_meant() {
    let calls = [
        "#f(1, 2, 16)",
        "allocated(64)",
        "#f|0|memory-1|utf16(1, 2, 16)",
        "allocated|0|memory-1(64)",
    ];
    let wishes = [(1, 5), (u32::MAX, u32::MAX), (2, 10)];
    let ran = run_wishing(&two_callers(), wishes);
    assert_eq!(ran, returned(calls.map(str::to_owned)));
    let mut memories = Vec::new();
    for payload in Parser::new(0).parse_all(flat(&two_callers()).module.bytes()) {
        if let Payload::ExportSection(exports) = payload.expect("it is valid") {
            let exports = exports
                .into_iter()
                .map(|export| export.expect("it is valid"));
            let names = exports.filter(|export| export.kind == ExternalKind::Memory);
            memories.extend(names.map(|export| (export.name.to_owned(), export.index)));
        }
    }
    let expected = [("memory".to_owned(), 0), ("memory-1".to_owned(), 1)];
    assert_eq!(memories, expected);
}

/// A command whose second module has these fields, and imports `a` of the first, which has those.
fn two_modules(first: &str, second: &str) -> String {
    command(&format!(
        r#"(core module $a {first})
        (core instance $a (instantiate $a))
        (core module $b {second} (func (export "run") (result i32) (i32.const 0)))
        (core instance $i (instantiate $b (with "a" (instance $a))))"#
    ))
}

#[test]
fn newer_proposals_are_put_together_too() {
    for (what, first, second) in [
        (
            "tags",
            r#"(tag $own (export "tag") (param i64))"#,
            r#"(import "a" "tag" (tag $e (param i64)))
               (tag $own (param i32))
               (func (block $b (result i64) (try_table (catch $e $b) (throw $own (i32.const 1))) unreachable) drop)"#,
        ),
        (
            "types that name each other",
            r#"(rec (type $even (func (param (ref null $odd)))) (type $odd (func (param (ref null $even)))))
               (func (export "even") (type $even))
               (global (export "g") (ref null $even) (ref.null $even))"#,
            r#"(type $first (func (param i32)))
               (rec (type $even (func (param (ref null $odd)))) (type $odd (func (param (ref null $even)))))
               (import "a" "even" (func $even (type $even)))
               (import "a" "g" (global $g (ref null $even)))
               (global $own (ref null $even) (global.get $g))
               (table 1 (ref null $even) (global.get $g))
               (elem declare func $even)
               (func (local (ref null $odd)) (call_ref $even (local.get 0) (ref.func $even))
                   (call_ref $even (ref.null $odd) (global.get $own)))"#,
        ),
        (
            "structures",
            r#"(type $point (struct (field i32) (field (mut i64))))
               (global (export "p") (ref $point) (struct.new $point (i32.const 1) (i64.const 2)))"#,
            r#"(type $none (func))
               (type $point (struct (field i32) (field (mut i64))))
               (import "a" "p" (global $p (ref $point)))
               (global $q (ref $point) (global.get $p))
               (func (result i64) (struct.get $point 1 (global.get $q)))
               (func (param anyref) (drop (ref.cast (ref $point) (local.get 0))))"#,
        ),
        (
            "arrays of data",
            r#"(data "passive") (memory 1)"#,
            r#"(type $bytes (array i8))
               (data $d "data")
               (func (drop (array.new_data $bytes $d (i32.const 0) (i32.const 4))) (data.drop $d))"#,
        ),
        (
            "tail calls and vectors",
            r#"(global (export "v") v128 (v128.const i64x2 1 2)) (func (export "f") (param i32))"#,
            r#"(import "a" "v" (global $v v128))
               (import "a" "f" (func $f (param i32)))
               (global $own v128 (global.get $v))
               (func (param i32) (return_call $f (local.get 0)))
               (func (result v128) (i8x16.swizzle (global.get $v) (global.get $own)))"#,
        ),
    ] {
        println!("{what}");
        flat(&two_modules(first, second));
    }
}

#[test]
fn a_component_of_webassembly_2_becomes_a_module_of_it() {
    for text in [
        &*filling(0, 1),
        &*with_names("", "host"),
        &*entry("(i32.const 0)"),
    ] {
        Validator::new_with_features(WasmFeatures::WASM2)
            .validate_all(flat(text).module.bytes())
            .expect("nothing newer is in it");
    }
}
