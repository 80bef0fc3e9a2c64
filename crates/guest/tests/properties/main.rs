//! What holds whatever bytes a guest has.
//!
//! The properties, and components that double, are in files of their own, because others use them too.

mod doubling;
mod inspection;
mod memory;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use wasmrun_guest::{ErrorKind, Guest};

const MODULE: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "env" "table" (table 1 funcref))
    (type $unary (func (param i32 f64) (result i64)))
    (memory (export "memory") 1 10)
    (table $own 2 4 funcref)
    (global $g (mut i32) (i32.const 3))
    (tag $e (param i32))
    (elem (table $own) (i32.const 0) func $start)
    (data (i32.const 8) "hello")
    (func $start (export "start") (drop (call $write
        (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
    (func (export "typed") (type $unary) (i64.const 1))
    (func (export "_start") (local i32 i64 v128)
        (block (loop (br_if 1 (global.get $g))))
        (try_table (throw $e (i32.const 1))))
    (start $start)
    (@custom "name of my own" "anything"))"#;

const COMPONENT: &str = r#"(component
    (import "wasi:cli/environment@0.2.0" (instance $environment
        (export "initial-cwd" (func (result (option string))))))
    (core module $m (memory (export "memory") 1) (table 3 funcref)
        (func (export "run") (result i32) (i32.const 0)))
    (core instance $i (instantiate $m))
    (component (component (type (record (field "a" u8)))))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $run (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $run)))"#;

/// A program that is sound.
fn sound() -> impl Strategy<Value = Vec<u8>> {
    select(vec![MODULE, COMPONENT]).prop_map(|text| {
        let guest = Guest::from_bytes("sound", text).expect("it is sound");
        guest.bytes().to_vec()
    })
}

/// A header, and then anything; short numbers are what sections consist of.
fn headed() -> impl Strategy<Value = Vec<u8>> {
    let header = select(vec![
        &b"\0asm\x01\0\0\0"[..],
        b"\0asm\x0d\0\x01\0",
        b"\0webc",
        b"(",
    ]);
    let byte = prop_oneof![0..16_u8, any::<u8>(), Just(0xff)];
    (header, vec(byte, 0..300)).prop_map(|(header, rest)| [header, &rest].concat())
}

fn inspected(bytes: &[u8]) {
    memory::in_proportion(bytes, inspection::holds);
}

proptest! {
    #[test]
    fn any_bytes_are_inspected_or_refused(bytes in vec(any::<u8>(), 0..500)) {
        inspected(&bytes);
    }

    #[test]
    fn what_begins_like_a_program_is_inspected_or_refused(bytes in headed()) {
        inspected(&bytes);
    }

    #[test]
    fn a_program_that_was_cut_off_is_inspected_or_refused(
        (bytes, end) in (sound(), any::<Index>()),
    ) {
        inspected(&bytes[..end.index(bytes.len())]);
    }

    #[test]
    fn a_program_with_flipped_bits_is_inspected_or_refused(
        (mut bytes, flips) in (sound(), vec((any::<Index>(), 0..8_u32), 1..8)),
    ) {
        for (place, bit) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
        }
        inspected(&bytes);
    }

    #[test]
    fn a_program_with_other_bytes_in_it_is_inspected_or_refused(
        (mut bytes, at, more) in (sound(), any::<Index>(), vec(any::<u8>(), 0..20)),
    ) {
        let at = at.index(bytes.len());
        bytes.splice(at..at, more);
        inspected(&bytes);
    }

    #[test]
    fn text_is_inspected_or_refused(text in "\\(?[ -~\\n]{0,200}") {
        inspected(text.as_bytes());
    }
}

#[test]
fn what_a_guest_claims_costs_nothing() {
    // Sections of four billion entries, a name of four gigabytes.
    for id in 0..=13 {
        for layer in [&b"\x01\0\0\0"[..], b"\x0d\0\x01\0"] {
            for claim in [
                &b"\x05\xff\xff\xff\xff\x0f"[..],
                b"\x07\x01\xff\xff\xff\xff\x0f\x60",
            ] {
                inspected(&[b"\0asm", layer, &[id], claim].concat());
            }
        }
    }
}

#[test]
fn a_component_that_doubles_is_refused_before_it_is_written_out() {
    for (way, text) in doubling::components(4) {
        let guest = Guest::from_bytes("doubling", text).expect(way);
        assert!(guest.is_command(), "{way}");
        guest.validate().expect(way);
    }
    for levels in [24, 60] {
        for (way, text) in doubling::components(levels) {
            let binary = wat::parse_str(text).expect(way);
            let mut refusal = None;
            let peak =
                memory::Peak::measured(|| refusal = Guest::from_bytes("doubling", &*binary).err());
            let refusal = refusal.unwrap_or_else(|| panic!("{way}: {levels} times is too much"));
            assert_eq!(refusal.kind(), ErrorKind::Invalid, "{way}");
            assert!(
                refusal.to_string().contains("more than"),
                "{way}: {refusal}"
            );
            assert!(peak < 16 << 20, "{way}: {peak} bytes");
        }
    }
}

#[test]
fn data_that_lie_far_apart_take_no_memory_by_being_there() {
    let text = r#"(module (memory 1000)
        (data (i32.const 0) "a") (data (i32.const 65000000) "b"))"#;
    inspected(&wat::parse_str(text).expect("a module"));
}
