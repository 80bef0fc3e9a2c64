//! Strings that components with other memories, or other encodings, pass to each other.
//!
//! Who copies a string is code in the module, as an adapter is: a module of its own for each way, with one function, which
//! works on a memory that the string is in and one that it comes to. Adapters have seen to it that both have room and are
//! aligned, and say it in code units. What comes out, and what traps, is what wasmtime's own functions do.

use wasmtime_environ::component::{FixedEncoding, Transcode};

/// A module that copies strings so, as text: its first function does. It imports the memory that a string is in, the one that
/// it comes to, and the function that ends a guest whose string is not in its encoding, of which it is told the bits.
pub(crate) fn transcoder(way: Transcode) -> String {
    let (function, helpers): (_, &[_]) = match way {
        Transcode::Copy(FixedEncoding::Utf8) => (COPY_UTF8, &[DECODE_UTF8]),
        Transcode::Copy(FixedEncoding::Utf16) => (COPY_UTF16, &[DECODE_UTF16]),
        Transcode::Copy(FixedEncoding::Latin1) => (COPY_LATIN1, &[]),
        Transcode::Latin1ToUtf16 => (LATIN1_TO_UTF16, &[]),
        Transcode::Latin1ToUtf8 => (LATIN1_TO_UTF8, &[ENCODE_UTF8]),
        Transcode::Utf16ToCompactProbablyUtf16 => (UTF16_TO_COMPACT, &[COPY_UTF16, DECODE_UTF16]),
        Transcode::Utf16ToCompactUtf16 => (UTF16_TO_REST, &[INFLATE, COPY_UTF16, DECODE_UTF16]),
        Transcode::Utf16ToLatin1 => (UTF16_TO_LATIN1, &[]),
        Transcode::Utf16ToUtf8 => (UTF16_TO_UTF8, &[DECODE_UTF16, ENCODE_UTF8]),
        Transcode::Utf8ToCompactUtf16 => (UTF8_TO_REST, &[INFLATE, ENCODE_UTF16, DECODE_UTF8]),
        Transcode::Utf8ToLatin1 => (UTF8_TO_LATIN1, &[]),
        Transcode::Utf8ToUtf16 => (UTF8_TO_UTF16, &[ENCODE_UTF16, DECODE_UTF8]),
    };
    let helpers = helpers.concat();
    format!(
        r#"(module $strings
            (import "" "from" (memory $from 0))
            (import "" "to" (memory $to 0))
            (import "" "invalid" (func $invalid (param i32)))
            {function} {helpers})"#
    )
}

// ---- from an encoding to itself --------------------------------------------------------------------

const COPY_UTF8: &str = r#"
(func $utf8-to-utf8 (param $src i32) (param $length i32) (param $dst i32)
  (local $at i32) (local $end i32)
  (local.set $at (local.get $src))
  (local.set $end (i32.add (local.get $src) (local.get $length)))
  (loop $next
    (if (i32.ne (local.get $at) (local.get $end)) (then
      ;; Eight at a time, while all are of one byte.
      (if (i32.ge_u (i32.sub (local.get $end) (local.get $at)) (i32.const 8)) (then
        (if (i64.eqz (i64.and (i64.load $from align=1 (local.get $at)) (i64.const 0x8080808080808080)))
          (then
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br $next)))))
      (local.set $at (i32.wrap_i64 (i64.shr_u
        (call $decode-utf8 (local.get $at) (local.get $end)) (i64.const 32))))
      (br $next))))
  (memory.copy $to $from (local.get $dst) (local.get $src) (local.get $length)))"#;

const COPY_UTF16: &str = r#"
(func $utf16-to-utf16 (param $src i32) (param $length i32) (param $dst i32)
  (local $at i32) (local $end i32)
  (local.set $at (local.get $src))
  (local.set $end (i32.add (local.get $src) (i32.shl (local.get $length) (i32.const 1))))
  (loop $next
    (if (i32.ne (local.get $at) (local.get $end)) (then
      (local.set $at (i32.wrap_i64 (i64.shr_u
        (call $decode-utf16 (local.get $at) (local.get $end)) (i64.const 32))))
      (br $next))))
  (memory.copy $to $from
    (local.get $dst) (local.get $src) (i32.shl (local.get $length) (i32.const 1))))"#;

const COPY_LATIN1: &str = r#"
(func $latin1-to-latin1 (param $src i32) (param $length i32) (param $dst i32)
  (memory.copy $to $from (local.get $dst) (local.get $src) (local.get $length)))"#;

// ---- from one to another ---------------------------------------------------------------------------

const LATIN1_TO_UTF16: &str = r#"
(func $latin1-to-utf16 (param $src i32) (param $length i32) (param $dst i32)
  (loop $next
    (if (local.get $length) (then
      (i32.store16 $to (local.get $dst) (i32.load8_u $from (local.get $src)))
      (local.set $src (i32.add (local.get $src) (i32.const 1)))
      (local.set $dst (i32.add (local.get $dst) (i32.const 2)))
      (local.set $length (i32.sub (local.get $length) (i32.const 1)))
      (br $next)))))"#;

/// How many units there are now.
const UTF8_TO_UTF16: &str = r#"
(func $utf8-to-utf16 (param $src i32) (param $length i32) (param $dst i32) (result i32)
  (call $encode-utf16 (local.get $src) (local.get $length) (local.get $dst)))"#;

/// How many units were read, and written. The first time, it ends at what takes more than one byte.
const UTF16_TO_UTF8: &str = r#"
(func $utf16-to-utf8 (param $src i32) (param $length i32) (param $dst i32) (param $room i32)
  (param $first i32) (result i32 i32)
  (local $at i32) (local $end i32) (local $out i32) (local $decoded i64) (local $char i32)
  (local.set $at (local.get $src))
  (local.set $end (i32.add (local.get $src) (i32.shl (local.get $length) (i32.const 1))))
  (local.set $out (local.get $dst))
  (block $done (loop $next
    (br_if $done (i32.eq (local.get $at) (local.get $end)))
    (local.set $decoded (call $decode-utf16 (local.get $at) (local.get $end)))
    (local.set $char (i32.wrap_i64 (local.get $decoded)))
    (br_if $done (i32.and (i32.ne (local.get $first) (i32.const 0))
      (i32.ge_u (local.get $char) (i32.const 0x80))))
    (br_if $done (i32.lt_u
      (i32.sub (local.get $room) (i32.sub (local.get $out) (local.get $dst)))
      (call $length-utf8 (local.get $char))))
    (local.set $out (call $encode-utf8 (local.get $char) (local.get $out)))
    (local.set $at (i32.wrap_i64 (i64.shr_u (local.get $decoded) (i64.const 32))))
    (br $next)))
  (i32.shr_u (i32.sub (local.get $at) (local.get $src)) (i32.const 1))
  (i32.sub (local.get $out) (local.get $dst)))"#;

/// Likewise.
const LATIN1_TO_UTF8: &str = r#"
(func $latin1-to-utf8 (param $src i32) (param $length i32) (param $dst i32) (param $room i32)
  (param $first i32) (result i32 i32)
  (local $at i32) (local $end i32) (local $out i32) (local $char i32)
  (local.set $at (local.get $src))
  (local.set $end (i32.add (local.get $src) (local.get $length)))
  (local.set $out (local.get $dst))
  (block $done (loop $next
    (br_if $done (i32.eq (local.get $at) (local.get $end)))
    (local.set $char (i32.load8_u $from (local.get $at)))
    (br_if $done (i32.and (i32.ne (local.get $first) (i32.const 0))
      (i32.ge_u (local.get $char) (i32.const 0x80))))
    (br_if $done (i32.lt_u
      (i32.sub (local.get $room) (i32.sub (local.get $out) (local.get $dst)))
      (call $length-utf8 (local.get $char))))
    (local.set $out (call $encode-utf8 (local.get $char) (local.get $out)))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br $next)))
  (i32.sub (local.get $at) (local.get $src))
  (i32.sub (local.get $out) (local.get $dst)))"#;

// ---- to Latin-1 as long as that will do, or UTF-16 -------------------------------------------------

/// How many units were read, and bytes written, up to the first that Latin-1 does not have.
const UTF16_TO_LATIN1: &str = r#"
(func $utf16-to-latin1 (param $src i32) (param $length i32) (param $dst i32) (result i32 i32)
  (local $done i32) (local $unit i32)
  (block $end (loop $next
    (br_if $end (i32.eq (local.get $done) (local.get $length)))
    (local.set $unit (i32.load16_u $from
      (i32.add (local.get $src) (i32.shl (local.get $done) (i32.const 1)))))
    (br_if $end (i32.gt_u (local.get $unit) (i32.const 0xff)))
    (i32.store8 $to (i32.add (local.get $dst) (local.get $done)) (local.get $unit))
    (local.set $done (i32.add (local.get $done) (i32.const 1)))
    (br $next)))
  (local.get $done)
  (local.get $done))"#;

/// Likewise. What is no UTF-8 is not Latin-1 either.
const UTF8_TO_LATIN1: &str = r#"
(func $utf8-to-latin1 (param $src i32) (param $length i32) (param $dst i32) (result i32 i32)
  (local $at i32) (local $end i32) (local $out i32) (local $byte i32) (local $second i32)
  (local.set $at (local.get $src))
  (local.set $end (i32.add (local.get $src) (local.get $length)))
  (local.set $out (local.get $dst))
  (block $done (loop $next
    (br_if $done (i32.eq (local.get $at) (local.get $end)))
    (local.set $byte (i32.load8_u $from (local.get $at)))
    (if (i32.ge_u (local.get $byte) (i32.const 0x80)) (then
      (br_if $done (i32.ne (i32.and (local.get $byte) (i32.const 0xfe)) (i32.const 0xc2)))
      (br_if $done (i32.eq (i32.add (local.get $at) (i32.const 1)) (local.get $end)))
      (local.set $second (i32.load8_u $from offset=1 (local.get $at)))
      (br_if $done (i32.ne (i32.and (local.get $second) (i32.const 0xc0)) (i32.const 0x80)))
      (local.set $byte (i32.or
        (i32.shl (i32.and (local.get $byte) (i32.const 0x03)) (i32.const 6))
        (i32.and (local.get $second) (i32.const 0x3f))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (i32.store8 $to (local.get $out) (local.get $byte))
    (local.set $out (i32.add (local.get $out) (i32.const 1)))
    (br $next)))
  (i32.sub (local.get $at) (local.get $src))
  (i32.sub (local.get $out) (local.get $dst)))"#;

/// What remains after so many bytes of Latin-1: how many units there are now in all.
const UTF8_TO_REST: &str = r#"
(func $utf8-to-rest (param $src i32) (param $length i32) (param $dst i32) (param $room i32)
  (param $latin1 i32) (result i32)
  (call $inflate (local.get $dst) (local.get $latin1))
  (i32.add
    (call $encode-utf16 (local.get $src) (local.get $length)
      (i32.add (local.get $dst) (i32.shl (local.get $latin1) (i32.const 1))))
    (local.get $latin1)))"#;

/// Likewise.
const UTF16_TO_REST: &str = r#"
(func $utf16-to-rest (param $src i32) (param $length i32) (param $dst i32) (param $room i32)
  (param $latin1 i32) (result i32)
  (call $inflate (local.get $dst) (local.get $latin1))
  (call $utf16-to-utf16 (local.get $src) (local.get $length)
    (i32.add (local.get $dst) (i32.shl (local.get $latin1) (i32.const 1))))
  (i32.add (local.get $length) (local.get $latin1)))"#;

/// The length, with its uppermost bit set if it is of UTF-16.
const UTF16_TO_COMPACT: &str = r#"
(func $utf16-to-compact (param $src i32) (param $length i32) (param $dst i32) (result i32)
  (local $at i32)
  (call $utf16-to-utf16 (local.get $src) (local.get $length) (local.get $dst))
  (loop $next
    (if (i32.ne (local.get $at) (local.get $length)) (then
      (if (i32.gt_u
        (i32.load16_u $to (i32.add (local.get $dst) (i32.shl (local.get $at) (i32.const 1))))
        (i32.const 0xff)) (then
          (return (i32.or (local.get $length) (i32.const 0x80000000)))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next))))
  (local.set $at (i32.const 0))
  (loop $next
    (if (i32.ne (local.get $at) (local.get $length)) (then
      (i32.store8 $to (i32.add (local.get $dst) (local.get $at))
        (i32.load8_u $to (i32.add (local.get $dst) (i32.shl (local.get $at) (i32.const 1)))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next))))
  (local.get $length))"#;

// ---- what several need -----------------------------------------------------------------------------

/// The character at a place in front of the end, and in the upper half, where the next is.
const DECODE_UTF8: &str = r#"
(func $decode-utf8 (param $at i32) (param $end i32) (result i64)
  (local $char i32) (local $more i32) (local $least i32) (local $byte i32)
  (local.set $char (i32.load8_u $from (local.get $at)))
  (local.set $at (i32.add (local.get $at) (i32.const 1)))
  (if (i32.ge_u (local.get $char) (i32.const 0x80)) (then
    (block $known
      (block $invalid
        (br_if $invalid (i32.lt_u (local.get $char) (i32.const 0xc2)))
        (br_if $invalid (i32.gt_u (local.get $char) (i32.const 0xf4)))
        (local.set $more (i32.const 1))
        (local.set $least (i32.const 0x80))
        (if (i32.ge_u (local.get $char) (i32.const 0xe0)) (then
          (local.set $more (i32.const 2))
          (local.set $least (i32.const 0x800))))
        (if (i32.ge_u (local.get $char) (i32.const 0xf0)) (then
          (local.set $more (i32.const 3))
          (local.set $least (i32.const 0x10000))))
        (br_if $invalid (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (local.get $more)))
        (local.set $char (i32.and (local.get $char)
          (i32.shr_u (i32.const 0x3f) (local.get $more))))
        (loop $next
          (local.set $byte (i32.load8_u $from (local.get $at)))
          (br_if $invalid
            (i32.ne (i32.and (local.get $byte) (i32.const 0xc0)) (i32.const 0x80)))
          (local.set $char (i32.or
            (i32.shl (local.get $char) (i32.const 6))
            (i32.and (local.get $byte) (i32.const 0x3f))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (local.set $more (i32.sub (local.get $more) (i32.const 1)))
          (br_if $next (local.get $more)))
        (br_if $invalid (i32.lt_u (local.get $char) (local.get $least)))
        (br_if $invalid (i32.gt_u (local.get $char) (i32.const 0x10ffff)))
        (br_if $known
          (i32.ne (i32.and (local.get $char) (i32.const 0xfffff800)) (i32.const 0xd800))))
      (call $invalid (i32.const 8))
      (unreachable))))
  (i64.or
    (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32))
    (i64.extend_i32_u (local.get $char))))"#;

/// Likewise.
const DECODE_UTF16: &str = r#"
(func $decode-utf16 (param $at i32) (param $end i32) (result i64)
  (local $char i32) (local $second i32)
  (local.set $char (i32.load16_u $from (local.get $at)))
  (local.set $at (i32.add (local.get $at) (i32.const 2)))
  (if (i32.eq (i32.and (local.get $char) (i32.const 0xf800)) (i32.const 0xd800)) (then
    (block $known
      (block $invalid
        (br_if $invalid (i32.ge_u (local.get $char) (i32.const 0xdc00)))
        (br_if $invalid (i32.eq (local.get $at) (local.get $end)))
        (local.set $second (i32.load16_u $from (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 2)))
        (br_if $invalid
          (i32.ne (i32.and (local.get $second) (i32.const 0xfc00)) (i32.const 0xdc00)))
        (local.set $char (i32.add (i32.const 0x10000) (i32.or
          (i32.shl (i32.and (local.get $char) (i32.const 0x3ff)) (i32.const 10))
          (i32.and (local.get $second) (i32.const 0x3ff)))))
        (br $known))
      (call $invalid (i32.const 16))
      (unreachable))))
  (i64.or
    (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32))
    (i64.extend_i32_u (local.get $char))))"#;

/// How many bytes a character takes; and puts it there, which gives the place behind it.
const ENCODE_UTF8: &str = r#"
(func $length-utf8 (param $char i32) (result i32)
  (i32.add (i32.const 1) (i32.add
    (i32.ge_u (local.get $char) (i32.const 0x80))
    (i32.add
      (i32.ge_u (local.get $char) (i32.const 0x800))
      (i32.ge_u (local.get $char) (i32.const 0x10000))))))
(func $encode-utf8 (param $char i32) (param $at i32) (result i32)
  (local $more i32)
  (local.set $more (i32.sub (call $length-utf8 (local.get $char)) (i32.const 1)))
  (if (i32.eqz (local.get $more)) (then
    (i32.store8 $to (local.get $at) (local.get $char))
    (return (i32.add (local.get $at) (i32.const 1)))))
  ;; As many leading ones as there are bytes.
  (i32.store8 $to (local.get $at) (i32.or
    (i32.shr_u (i32.const 0xf00) (i32.add (local.get $more) (i32.const 1)))
    (i32.shr_u (local.get $char) (i32.mul (local.get $more) (i32.const 6)))))
  (loop $next
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (local.set $more (i32.sub (local.get $more) (i32.const 1)))
    (i32.store8 $to (local.get $at) (i32.or (i32.const 0x80) (i32.and (i32.const 0x3f)
      (i32.shr_u (local.get $char) (i32.mul (local.get $more) (i32.const 6))))))
    (br_if $next (local.get $more)))
  (i32.add (local.get $at) (i32.const 1)))"#;

/// Puts UTF-8 there as UTF-16: how many units.
const ENCODE_UTF16: &str = r#"
(func $encode-utf16 (param $src i32) (param $length i32) (param $dst i32) (result i32)
  (local $end i32) (local $out i32) (local $decoded i64) (local $char i32)
  (local.set $end (i32.add (local.get $src) (local.get $length)))
  (local.set $out (local.get $dst))
  (loop $next
    (if (i32.ne (local.get $src) (local.get $end)) (then
      (local.set $decoded (call $decode-utf8 (local.get $src) (local.get $end)))
      (local.set $char (i32.wrap_i64 (local.get $decoded)))
      (local.set $src (i32.wrap_i64 (i64.shr_u (local.get $decoded) (i64.const 32))))
      (if (i32.ge_u (local.get $char) (i32.const 0x10000)) (then
        (local.set $char (i32.sub (local.get $char) (i32.const 0x10000)))
        (i32.store16 $to (local.get $out)
          (i32.or (i32.const 0xd800) (i32.shr_u (local.get $char) (i32.const 10))))
        (local.set $out (i32.add (local.get $out) (i32.const 2)))
        (local.set $char
          (i32.or (i32.const 0xdc00) (i32.and (local.get $char) (i32.const 0x3ff))))))
      (i32.store16 $to (local.get $out) (local.get $char))
      (local.set $out (i32.add (local.get $out) (i32.const 2)))
      (br $next))))
  (i32.shr_u (i32.sub (local.get $out) (local.get $dst)) (i32.const 1)))"#;

/// Makes UTF-16 of so many bytes of Latin-1, where they are.
const INFLATE: &str = r#"
(func $inflate (param $at i32) (param $count i32)
  (loop $next
    (if (local.get $count) (then
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (i32.store16 $to (i32.add (local.get $at) (i32.shl (local.get $count) (i32.const 1)))
        (i32.load8_u $to (i32.add (local.get $at) (local.get $count))))
      (br $next)))))"#;
