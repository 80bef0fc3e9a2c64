//! What holds of flattening, whatever is flattened.
//!
//! The properties are in files of their own, because a fuzz target in `fuzz/` uses them too.

mod flattening;
mod linking;

use arbitrary::Unstructured;
use linking::Held;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Two components within one, with all that adapters do between them, and whatever is refused.
const COMPOSED: &str = r#"(component
    (import "my:host/it@1.0.0" (instance $it
        (export "r" (type $r (sub resource)))
        (export "names" (func (param "r" (borrow $r)) (result (list string))))))
    (alias export $it "r" (type $r))
    (component $double
        (type $own (resource (rep i32)))
        (core func $new (canon resource.new $own))
        (core module $m
            (type $t (func))
            (tag $e (export "e") (param i32))
            (table (export "t") 1 (ref null $t))
            (func (export "double") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
            (func (export "drop") (param i32)))
        (core instance $i (instantiate $m))
        (func (export "double") (param "n" u32) (result u32)
            (canon lift (core func $i "double") (post-return (func $i "drop")))))
    (component $caller
        (import "r" (type $r (sub resource)))
        (import "double" (func $double (param "n" u32) (result u32)))
        (import "names" (func $names (param "r" (borrow $r)) (result (list string))))
        (core module $libc (memory (export "memory") 1) (table (export "table") 3 funcref)
            (func $start (nop)) (start $start)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8)))
        (core instance $libc (instantiate $libc))
        (core func $double (canon lower (func $double)))
        (core func $drop (canon resource.drop $r))
        (core func $names (canon lower (func $names)
            (memory $libc "memory") (realloc (func $libc "realloc")) string-encoding=utf8))
        (core module $m
            (import "libc" "memory" (memory 1))
            (import "libc" "table" (table 1 funcref))
            (import "" "double" (func $double (param i32) (result i32)))
            (import "" "drop" (func $drop (param i32)))
            (import "" "names" (func $names (param i32 i32)))
            (data (i32.const 16) "data") (data $passive "more")
            (elem (i32.const 0) $double $drop) (elem declare func $names)
            (global $g i32 (i32.const 5))
            (func (export "run") (result i32)
                (memory.init $passive (i32.const 0) (i32.const 0) (i32.const 4))
                (call_indirect (param i32) (call $double (global.get $g)) (i32.const 1))
                (call $names (i32.const 1) (i32.const 32))
                (i32.const 0)))
        (core instance $i (instantiate $m (with "libc" (instance $libc)) (with "" (instance
            (export "double" (func $double)) (export "drop" (func $drop)) (export "names" (func $names))))))
        (func (export "run") (result (result)) (canon lift (core func $i "run"))))
    (instance $double (instantiate $double))
    (instance $caller (instantiate $caller (with "r" (type $r))
        (with "double" (func $double "double")) (with "names" (func $it "names"))))
    (instance $run (export "run" (func $caller "run")))
    (export "wasi:cli/run@0.2.0" (instance $run)))"#;

/// Two components that pass each other strings, lists and resources, from memory to memory.
const PASSING: &str = r#"(component
    (component $there
        (core module $m (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
            (func (export "make") (param i32 i32) (result i32) (i32.const 7))
            (func (export "use") (param i32 i32 i32) (result i32) (i32.const 16))
            (func (export "drop") (param i32)))
        (core instance $i (instantiate $m))
        (type $r' (resource (rep i32) (dtor (func $i "drop"))))
        (export $r "r" (type $r'))
        (func (export "make") (param "s" string) (result (own $r))
            (canon lift (core func $i "make") string-encoding=utf16
                (memory $i "memory") (realloc (func $i "realloc"))))
        (func (export "use") (param "r" (borrow $r)) (param "l" (list u16)) (result string)
            (canon lift (core func $i "use") string-encoding=latin1+utf16
                (memory $i "memory") (realloc (func $i "realloc")) (post-return (func $i "drop")))))
    (instance $there (instantiate $there))
    (component $here
        (import "there" (instance $there
            (export "r" (type $r (sub resource)))
            (export "make" (func (param "s" string) (result (own $r))))
            (export "use" (func (param "r" (borrow $r)) (param "l" (list u16)) (result string)))))
        (alias export $there "r" (type $r))
        (core module $libc (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8)))
        (core instance $libc (instantiate $libc))
        (core func $make (canon lower (func $there "make") (memory $libc "memory")))
        (core func $use (canon lower (func $there "use")
            (memory $libc "memory") (realloc (func $libc "realloc"))))
        (core func $drop (canon resource.drop $r))
        (core module $m
            (import "" "make" (func $make (param i32 i32) (result i32)))
            (import "" "use" (func $use (param i32 i32 i32 i32)))
            (import "" "drop" (func $drop (param i32)))
            (func (export "run") (result i32) (local $r i32)
                (local.set $r (call $make (i32.const 0) (i32.const 4)))
                (call $use (local.get $r) (i32.const 0) (i32.const 2) (i32.const 32))
                (call $drop (local.get $r))
                (i32.const 0)))
        (core instance $i (instantiate $m (with "" (instance
            (export "make" (func $make)) (export "use" (func $use)) (export "drop" (func $drop))))))
        (func (export "run") (result (result)) (canon lift (core func $i "run"))))
    (instance $here (instantiate $here (with "there" (instance $there))))
    (instance $run (export "run" (func $here "run")))
    (export "wasi:cli/run@0.2.0" (instance $run)))"#;

/// Components that nobody wrote, and programs behind the adapter of preview1.
fn components() -> impl Iterator<Item = &'static [u8]> {
    let modules = wasmrun_corpus::modules().map(|module| module.wasm);
    modules.filter(|wasm| wasm.starts_with(b"\0asm\x0d\0\x01\0"))
}

#[test]
fn components_that_nobody_wrote_are_flattened_or_refused() {
    let flattened = components().filter(|wasm| flattening::holds(wasm)).count();
    println!("{flattened} of {} were flattened", components().count());
    // The programs.
    assert!(flattened >= 4);
}

#[test]
fn modules_that_nobody_wrote_do_together_what_they_do_apart() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut held = Vec::new();
    for _ in 0..500 {
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random.to_le_bytes()
        })
        .take(1 << 9)
        .flatten()
        .collect();
        // Too few bytes are as good as none.
        held.extend(linking::holds(&mut Unstructured::new(&bytes)));
    }
    let count = |wanted: &[Held]| held.iter().filter(|held| wanted.contains(held)).count();
    let (valid, same) = (count(&[Held::Valid, Held::Same]), count(&[Held::Same]));
    println!(
        "of {} {valid} were flattened, and {same} ran to an end",
        held.len()
    );
    assert!(valid > 200 && same > 100);
}

/// What the translator is not made for is refused before it gets there, or by it.
#[test]
fn what_no_component_of_a_toolchain_has_is_refused_or_flattened() {
    let typed = r#"(type $t (func)) (func (export "f") (param (ref null $t)))
        (table (export "t") 1 (ref null $t)) (global (export "g") (ref null $t) (ref.null $t))"#;
    for fields in [
        r#"(core module $x TYPED) (export "x" (core module $x))"#,
        r#"(import "x" (core module (type $t (func))
            (export "f" (func (param (ref null 0)))) (export "t" (table 1 (ref null 0)))))"#,
        r#"(import "x" (instance (export "m" (core module (type $t (struct))
            (export "g" (global (ref null 0)))))))"#,
        r#"(import "x" (component (import "y" (core module (type $t (array i8))
            (import "" "t" (tag (param (ref 0))))))))"#,
        r#"(core type $t (rec (type (func (param (ref 0)))) (type (struct (field (ref null 0))))))"#,
        r#"(core rec (type $a (func (param (ref $b)))) (type $b (struct (field (ref null $a)))))"#,
        r#"(component $c (core module $x TYPED) (export "x" (core module $x)))
            (instance $c (instantiate $c)) (export "c" (instance $c))"#,
        r#"(component $c) (export "c" (component $c))"#,
        r#"(import "v" (value u8))"#,
        r#"(import "f" (func $f (result (map string u8)))) (core module $l (memory (export "m") 1)
                (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable))
            (core instance $l (instantiate $l))
            (core func $f (canon lower (func $f) (memory $l "m") (realloc (func $l "r"))))
            (core module $u (import "" "f" (func (param i32))))
            (core instance (instantiate $u (with "" (instance (export "f" (func $f))))))"#,
        r#"(import "f" (func $f (param "l" (list u8 4)))) (core func $f (canon lower (func $f)))
            (core module $u (import "" "f" (func (param i32 i32 i32 i32))))
            (core instance (instantiate $u (with "" (instance (export "f" (func $f))))))"#,
        r#"(import "s" (func $f (param "s" (stream u8)))) (core func $f (canon lower (func $f)))"#,
        r#"(core module $x (memory (export "m") 1 1 shared)) (core instance (instantiate $x))"#,
        r#"(core module $x (type $c (cont 1)) (type (func))) (core instance (instantiate $x))"#,
        r#"(core module $x (func (try (do) (catch_all)))) (core instance (instantiate $x))"#,
        r#"(core func $t (canon thread.yield)) (core func $b (canon backpressure.inc))"#,
        r#"(core module $x (import "a" "b" (func))) (core instance (instantiate $x
            (with "a" (instance (export "b" (func $i "run"))))))"#,
    ] {
        let text = format!(
            r#"(component
            (core module $m (func (export "run") (result i32) (i32.const 0)) (func (export "f")))
            (core instance $i (instantiate $m))
            {}
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $run (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $run)))"#,
            fields.replace("TYPED", typed)
        );
        let flattened = flattening::holds(text.as_bytes());
        println!("{flattened}: {fields}");
    }
}

/// A component that can be flattened.
fn sound() -> impl Strategy<Value = Vec<u8>> {
    let own = [COMPOSED, PASSING].map(|text| wat::parse_str(text).expect("it is our own text"));
    assert!(own.iter().all(|wasm| flattening::holds(wasm)));
    let programs = components().map(<[u8]>::to_vec);
    let programs = programs.filter(|wasm| flattening::holds(wasm));
    let sound: Vec<_> = programs.chain(own).collect();
    assert!(sound.len() > 5);
    select(sound)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_component_with_flipped_bits_is_flattened_or_refused(
        (mut bytes, flips) in (sound(), vec((any::<Index>(), 0..8_u32), 1..8)),
    ) {
        for (place, bit) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
        }
        flattening::holds(&bytes);
    }

    #[test]
    fn a_component_with_other_bytes_in_it_is_flattened_or_refused(
        (mut bytes, at, more) in (sound(), any::<Index>(), vec(any::<u8>(), 0..20)),
    ) {
        let at = at.index(bytes.len());
        bytes.splice(at..at, more);
        flattening::holds(&bytes);
    }
}
