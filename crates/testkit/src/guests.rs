//! The guests of the suite: small programs, one idea each, from the sources in `guests/` and from
//! those that stand next to the rule they are for.

use std::sync::OnceLock;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wasmrun_core::Guest;
use wit_component::ComponentEncoder;

use crate::compiler;

const PRELUDE: &str = include_str!("../guests/prelude.wat");

/// A guest from the text format, whole.
pub fn text(name: &str, text: &str) -> Guest {
    match Guest::from_bytes(name, text) {
        Ok(guest) => guest,
        Err(error) => panic!("{name}: {error:?}\n{text}"),
    }
}

/// A guest without WASI: the fields of a module.
pub fn plain(fields: &str) -> Guest {
    text("plain.wasm", &format!("(module {fields})"))
}

/// A preview1 guest: the fields of a module, after the prelude and with two pages of memory.
pub fn wasi(fields: &str) -> Guest {
    with_memory(r#"(memory (export "memory") 2)"#, fields)
}

/// A preview1 guest that imports more.
pub fn importing(imports: &str, fields: &str) -> Guest {
    let source = format!(r#"(module {imports} {PRELUDE} (memory (export "memory") 2) {fields})"#);
    text("importing.wasm", &source)
}

/// A preview1 guest with a memory of its own.
pub fn with_memory(memory: &str, fields: &str) -> Guest {
    text("guest.wasm", &source(memory, fields))
}

/// The text of a preview1 guest.
pub fn source(memory: &str, fields: &str) -> String {
    format!("(module {PRELUDE} {memory} {fields})")
}

/// A guest for preview1's predecessor.
pub fn unstable(fields: &str) -> Guest {
    let prelude = PRELUDE.replace("wasi_snapshot_preview1", "wasi_unstable");
    text(
        "unstable.wasm",
        &format!(r#"(module {prelude} (memory (export "memory") 2) {fields})"#),
    )
}

/// A preview1 command as a preview2 component, by the adapter that toolchains use.
pub fn component(module: &Guest) -> Guest {
    let encoded = ComponentEncoder::default()
        .module(module.bytes())
        .and_then(|encoder| {
            encoder.adapter(
                WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
                WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
            )
        })
        .and_then(|mut encoder| encoder.encode());
    match encoded {
        Ok(bytes) => Guest::from_bytes("component.wasm", bytes).expect("wit-component's own work"),
        Err(error) => panic!("{} does not become a component: {error:?}", module.name()),
    }
}

/// What a component needs to take and give what is in memory, of two pages: `$memory` and `$realloc`.
pub(crate) const MEMORY: &str = r#"
    (core module $libc
      (memory (export "memory") 2)
      (global $next (mut i32) (i32.const 4096))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and
          (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get 2))))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (memory.copy (local.get $at) (local.get 0)
          (select (local.get 1) (local.get 3) (i32.lt_u (local.get 1) (local.get 3))))
        (local.get $at)))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))"#;

/// Writes `hello` to standard output.
pub fn hello() -> Guest {
    wasi(HELLO)
}

/// The fields of [`hello`].
pub const HELLO: &str = r#"
    (data (i32.const 1024) "hello\n")
    (func (export "_start") (call $print (i32.const 1024) (i32.const 6)))"#;

/// Exits with a code.
pub fn exit(code: i32) -> Guest {
    wasi(&format!(
        r#"(func (export "_start") (call $proc_exit (i32.const {code})) unreachable)"#
    ))
}

/// Writes its arguments to standard output, a NUL byte after each, and a full stop.
pub fn args() -> Guest {
    with_memory(r#"(memory (export "memory") 64)"#, &strings("args"))
}

/// Writes its environment to standard output, a NUL byte after each, and a full stop.
pub fn environ() -> Guest {
    with_memory(r#"(memory (export "memory") 64)"#, &strings("environ"))
}

/// Pointers go to 1 MiB, strings to 2 MiB.
fn strings(which: &str) -> String {
    format!(
        r#"(func (export "_start")
            (call $check (call ${which}_sizes_get (i32.const 32) (i32.const 36)))
            (if (i32.load (i32.const 32))
                (then
                    (call $check (call ${which}_get (i32.const 0x100000) (i32.const 0x200000)))
                    (call $print (i32.const 0x200000) (i32.load (i32.const 36)))))
            (call $put (i32.const 0x2e)))"#
    )
}

/// Copies standard input to standard output.
pub fn cat() -> Guest {
    wasi(CAT)
}

/// The fields of [`cat`].
pub const CAT: &str = r#"
    (func (export "_start") (local $len i32)
        (loop $more
            (local.set $len (call $read (i32.const 0) (i32.const 0x10000) (i32.const 0x10000)))
            (call $print (i32.const 0x10000) (local.get $len))
            (br_if $more (local.get $len))))"#;

/// Says `ready` and then never ends, by one of these:
#[derive(Debug, Clone, Copy)]
pub enum Endless {
    /// A loop.
    Loop,
    /// Calls of a host function that returns at once.
    HostCalls,
    /// Bulk operations, each of some milliseconds.
    Bulk,
    /// One long sleep.
    Sleep,
    /// Many short sleeps.
    Naps,
    /// Reading standard input.
    Read,
    /// Waiting for standard input to be readable.
    Poll,
    /// Writing to standard output.
    Write,
}

impl Endless {
    /// Every one of them.
    pub const ALL: [Endless; 8] = [
        Endless::Loop,
        Endless::HostCalls,
        Endless::Bulk,
        Endless::Sleep,
        Endless::Naps,
        Endless::Read,
        Endless::Poll,
        Endless::Write,
    ];

    /// The guest that does it from its `_start`.
    pub fn guest(self) -> Guest {
        self.fields(r#"(export "_start")"#, "")
    }

    /// The guest that does it from its start section, before any entry is called.
    pub fn at_instantiation(self) -> Guest {
        self.fields("", r#"(start $endless) (func (export "_start"))"#)
    }

    fn fields(self, export: &str, more: &str) -> Guest {
        let body = match self {
            Endless::Loop => "",
            Endless::HostCalls => {
                "(call $check (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 16)))"
            }
            Endless::Bulk => {
                "(memory.fill (i32.const 0x10000) (i32.const 7) (i32.const 0x1000000))"
            }
            Endless::Sleep => "(call $sleep (i64.const 86400000000000))",
            Endless::Naps => "(call $sleep (i64.const 1000000))",
            // To read nothing is the end of the input.
            Endless::Read => {
                "(if (i32.eqz (call $read (i32.const 0) (i32.const 0x10000) (i32.const 4096)))
                     (then unreachable))"
            }
            // A subscription of type 1, to reading from descriptor 0.
            Endless::Poll => {
                "(memory.fill (i32.const 64) (i32.const 0) (i32.const 48))
                 (i32.store8 (i32.const 72) (i32.const 1))
                 (call $check
                    (call $poll_oneoff (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 8)))"
            }
            Endless::Write => "(call $print (i32.const 0x10000) (i32.const 0x10000))",
        };
        with_memory(
            r#"(memory (export "memory") 258)"#,
            &format!(
                r#"(data (i32.const 1024) "ready\n")
                (func $endless {export}
                    (call $print (i32.const 1024) (i32.const 6))
                    (loop $again {body} (br $again)))
                {more}"#
            ),
        )
    }
}

/// More calls than any stack holds, and yet finite: on an engine that bounds no stack they take some
/// two gigabytes, so that it is the rule that fails and not the machine.
pub const FAR_TOO_DEEP: u64 = 20_000_000;

/// Calls itself a number of times, with nothing that could be done in a loop, and exits
/// with 7.
pub fn recursion(depth: u64) -> Guest {
    wasi(&format!(
        r#"(func $down (param i64) (result i64)
            (if (i64.eqz (local.get 0)) (then (return (i64.const 0))))
            (i64.add (i64.const 1) (call $down (i64.sub (local.get 0) (i64.const 1)))))
        (func (export "_start")
            (if (i64.ne (call $down (i64.const {depth})) (i64.const {depth})) (then unreachable))
            (call $proc_exit (i32.const 7)))"#
    ))
}

/// Says what it finds of its world, as its arguments ask: `guests/world.c`.
pub fn world() -> Guest {
    static WORLD: OnceLock<Guest> = OnceLock::new();
    WORLD
        .get_or_init(|| compiler::c("world.wasm", include_str!("../guests/world.c")))
        .clone()
}

/// Does to files what its arguments say: `guests/files.c`.
pub fn files() -> Guest {
    static FILES: OnceLock<Guest> = OnceLock::new();
    FILES
        .get_or_init(|| compiler::c("files.wasm", include_str!("../guests/files.c")))
        .clone()
}
