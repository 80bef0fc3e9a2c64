//! The rules a [`Guest`] keeps: what it accepts, what it refuses and how, what it says of itself.

use std::path::Path;

use wasmrun_guest::{ErrorKind, Guest, Proposals};
use wasmrun_guest::{ExportKind, GuestKind, ImportKind, WasiVersion};

fn wat(text: &str) -> Guest {
    Guest::from_bytes("app.wat", text).expect("a good guest")
}

fn uses(text: &str) -> Proposals {
    wat(text).proposals()
}

/// The error of bytes that must be refused, as kind and line.
#[track_caller]
fn refused(bytes: impl Into<Vec<u8>>) -> (ErrorKind, String) {
    let error = Guest::from_bytes("app", bytes).expect_err("must be refused");
    let line = error.to_string();
    assert_eq!(line.lines().count(), 1, "one line: {line}");
    assert!(line.contains("app"), "names the guest: {line}");
    (error.kind(), line)
}

#[track_caller]
fn refused_file(path: &Path) -> (ErrorKind, String) {
    let error = Guest::open(path).expect_err("must be refused");
    let line = error.to_string();
    assert_eq!(line.lines().count(), 1, "one line: {line}");
    let name = path.to_str().expect("a test's path");
    assert!(line.contains(name), "names the file: {line}");
    (error.kind(), line)
}

/// A module with one section of `id` and `content` after its header.
fn section(id: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    bytes.push(id);
    bytes.push(u8::try_from(content.len()).expect("a short section"));
    bytes.extend(content);
    bytes
}

const COMMAND: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "env" "log" (func $log (param i64)))
    (memory (export "memory") 2 16)
    (table 3 5 funcref)
    (global $g (mut i32) (i32.const 1))
    (func $start (export "_start"))
    (func (export "other"))
    (func (export "add") (param i32 f64) (result i64) i64.const 0)
    (export "log" (func $log))
    (elem (i32.const 0) $start)
    (data (i32.const 8) "hello")
    (start $start))"#;

const COMPONENT: &str = r#"(component
    (import "wasi:cli/environment@0.2.0" (instance))
    (import "wasi:http/types@0.2.0" (instance))
    (core module $m
        (memory 4)
        (func (export "run") (result i32) i32.const 0))
    (core instance $i (instantiate $m))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $r (export "run" (func $run)))
    (export "wasi:cli/run@0.2.3" (instance $r)))"#;

// What is accepted, and what it says.

#[test]
fn every_function_of_a_large_guest_counts() {
    let large = format!("(func {})", "nop ".repeat(1 << 20));
    let extends = "(func (drop (i32.extend8_s (i32.const 0))))";
    for functions in [
        [&large, &large, &large, extends],
        [extends, &large, &large, &large],
    ] {
        assert_eq!(
            uses(&format!("(module {})", functions.concat())),
            Proposals::SIGN_EXTENSION
        );
    }
}

#[test]
fn a_module_tells_what_it_declares() {
    let guest = wat(COMMAND);
    assert_eq!(guest.kind(), GuestKind::Module);
    assert_eq!(guest.wasi(), WasiVersion::Preview1);
    assert_eq!(guest.name(), "app.wat");
    assert!(guest.bytes().starts_with(b"\0asm\x01\0\0\0"));
    assert!(guest.start_section());
    assert!(!guest.needs_threads());

    let imports: Vec<_> = guest
        .imports()
        .iter()
        .map(|i| (i.to_string(), i.kind))
        .collect();
    assert_eq!(
        imports,
        [
            (
                "wasi_snapshot_preview1.fd_write".to_owned(),
                ImportKind::Function
            ),
            ("env.log".to_owned(), ImportKind::Function)
        ]
    );
    let unknown: Vec<_> = guest
        .unknown_imports()
        .iter()
        .map(|i| i.to_string())
        .collect();
    assert_eq!(unknown, ["env.log"]);

    let signature = |name: &str| {
        let export = guest.exports().iter().find(|export| export.name == name);
        match &export.expect("exported").kind {
            ExportKind::Function(signature) => signature.to_string(),
            other => panic!("{name} is {other:?}"),
        }
    };
    assert_eq!(signature("add"), "(i32, f64) -> (i64)");
    assert_eq!(signature("log"), "(i64) -> ()");
    assert_eq!(signature("_start"), "() -> ()");

    let [memory] = guest.memories() else {
        panic!("one memory")
    };
    assert_eq!(memory.initial_bytes, 2 << 16);
    assert_eq!(memory.maximum_bytes, Some(16 << 16));
    assert!(!memory.imported && !memory.shared && !memory.memory64);
    let [table] = guest.tables() else {
        panic!("one table")
    };
    assert_eq!((table.initial, table.maximum), (3, Some(5)));
}

#[test]
fn a_start_section_becomes_an_export_of_a_name_that_is_free() {
    for (taken, expected) in [
        ("", "wasmrun:start"),
        (r#"(func (export "wasmrun:start"))"#, "wasmrun:start'"),
    ] {
        let guest = wat(&format!(
            r#"(module (func (export "_start")) {taken} (func $s) (start $s) (data "kept"))"#
        ));
        let rewritten = guest.start_as_export().expect("it is sound");
        let (module, name) = rewritten.expect("it has a start section");
        assert_eq!(name, expected);
        let module = Guest::from_bytes("rewritten", module).expect("still a module");
        assert!(!module.start_section());
        assert!(module.has_entry(&name) && module.is_command());
    }
    let without = wat(r#"(module (func (export "_start")))"#);
    assert!(without.start_as_export().expect("sound").is_none());
    let exports_nothing =
        wat("(module (table 1 funcref) (func $s) (start $s) (elem (i32.const 0) $s))");
    let rewritten = exports_nothing.start_as_export().expect("it is sound");
    let (module, name) = rewritten.expect("it has a start section");
    let module = Guest::from_bytes("rewritten", module).expect("still a module");
    assert!(!module.start_section() && module.has_entry(&name));
    module.validate().expect("its sections are in order");
}

#[test]
fn what_an_export_would_make_valid_is_refused() {
    for invalid in [
        "(start $f) (func $f (drop (ref.func $f)))",
        "(start $f) (func $f (param i32))",
        "(start $f) (func $f (result i32) (i32.const 0))",
    ] {
        let guest = wat(&format!(r#"(module (func (export "_start")) {invalid})"#));
        let error = guest.start_as_export().expect_err(invalid);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{invalid}");
    }
}

#[test]
fn an_entry_is_an_exported_function_without_parameters_and_results() {
    let guest = wat(COMMAND);
    assert!(guest.is_command());
    assert_eq!(guest.entries(), ["_start", "other"]);
    assert!(guest.has_entry("other"));
    for name in ["add", "log", "memory", "missing", ""] {
        assert!(!guest.has_entry(name), "{name}");
    }
    assert!(!wat("(module)").is_command());
    assert!(!wat(r#"(module (func (export "_start") (param i32)))"#).is_command());
}

#[test]
fn data_is_what_active_segments_put_into_memories() {
    let guest = wat(r#"(module (memory 1)
            (data (i32.const 0) "abc") (data "passive") (data (i32.const 9) "de"))"#);
    assert_eq!((guest.data_size(), guest.data_segments()), (5, 2));
    assert_eq!(guest.data_range(), Some(0..11));
}

#[test]
fn where_data_are_is_known_of_constant_places_in_a_memory_of_its_own() {
    let range = |text: &str| wat(text).data_range();
    for (memory, data, expected) in [
        ("(memory 1)", "", None),
        ("(memory 1)", r#"(data "passive")"#, None),
        ("(memory 1)", r#"(data (i32.const 7) "")"#, None),
        (
            "(memory 1)",
            r#"(data (i32.const 65535) "a")"#,
            Some(65535..65536),
        ),
        ("(memory 1)", r#"(data (i32.const 65535) "ab")"#, None),
        ("(memory 1)", r#"(data (i32.const -1) "a")"#, None),
        (
            "(memory 1)",
            r#"(data (i32.const 3) "a") (data (i32.const 65537) "")"#,
            None,
        ),
        ("(memory 0)", r#"(data (i32.const 0) "a")"#, None),
        (
            "(memory i64 1)",
            r#"(data (i64.const 8) "a") (data (i64.const 2) "b")"#,
            Some(2..9),
        ),
        ("(memory i64 1)", r#"(data (i64.const -1) "a")"#, None),
        ("(memory 1) (memory 1)", r#"(data (i32.const 0) "a")"#, None),
        ("(memory 1 1 shared)", r#"(data (i32.const 0) "a")"#, None),
        (
            r#"(import "" "" (memory 1))"#,
            r#"(data (i32.const 0) "a")"#,
            None,
        ),
        (
            r#"(import "" "" (global i32)) (memory 1)"#,
            r#"(data (i32.const 0) "a") (data (global.get 0) "b")"#,
            None,
        ),
        (
            "(memory 1)",
            r#"(data (offset (i32.add (i32.const 1) (i32.const 2))) "a")"#,
            None,
        ),
    ] {
        assert_eq!(
            range(&format!("(module {memory} {data})")),
            expected,
            "{memory} {data}"
        );
    }
}

#[test]
fn where_a_components_data_are_is_known_of_one_instance_with_a_memory_of_its_own() {
    let with_data = r#"(memory 1) (data (i32.const 4) "abc")"#;
    let importing = r#"(core module $b (import "a" "m" (memory 1)))
        (core instance $ib (instantiate $b (with "a" (instance $ia))))"#;
    let inner =
        "(component $inner (import \"m\" (core module $m)) (core instance (instantiate $m)))";
    for (known, text) in [
        (
            true,
            format!("(core module $a {with_data}) (core instance (instantiate $a))"),
        ),
        (
            true,
            format!(
                r#"(core module $z) (core instance (instantiate $z)) (core instance (instantiate $z))
                (core module $a (memory (export "m") 1) (data (i32.const 4) "abc"))
                (core instance $ia (instantiate $a)) {importing} (component)"#
            ),
        ),
        // Not made, or twice.
        (false, format!("(core module {with_data})")),
        (
            false,
            format!(
                "(core module $a {with_data})
                (core instance (instantiate $a)) (core instance (instantiate $a))"
            ),
        ),
        // Two with a memory, or with data.
        (
            false,
            format!(
                "(core module $z (memory 1)) (core instance (instantiate $z))
                (core module $a {with_data}) (core instance (instantiate $a))"
            ),
        ),
        (
            false,
            r#"(core module $a (memory (export "m") 1) (data (i32.const 4) "abc"))
            (core instance $ia (instantiate $a))
            (core module $b (import "a" "m" (memory 1)) (data (i32.const 8) "d"))
            (core instance (instantiate $b (with "a" (instance $ia))))"#
                .to_owned(),
        ),
        // Of a memory that another module has.
        (
            false,
            r#"(core module $a (memory (export "m") 1)) (core instance $ia (instantiate $a))
            (core module $b (import "a" "m" (memory 1)) (data (i32.const 4) "abc"))
            (core instance (instantiate $b (with "a" (instance $ia))))"#
                .to_owned(),
        ),
        // Inner components may be made any number of times, and modules given to them.
        (
            false,
            format!("(component (core module $a {with_data}) (core instance (instantiate $a)))"),
        ),
        (
            false,
            format!(
                r#"(core module $a {with_data}) (core instance (instantiate $a)) {inner}
                (instance (instantiate $inner (with "m" (core module $a))))"#
            ),
        ),
        (
            false,
            format!(
                "(core module $a {with_data}) (core instance (instantiate $a))
                (component (alias outer 1 $a (core module $m)) (core instance (instantiate $m)))"
            ),
        ),
        (
            false,
            format!(
                r#"(core module $a {with_data}) (core instance (instantiate $a))
                (instance (export "m" (core module $a)))"#
            ),
        ),
        // An export is one more module: the same, or before others.
        (
            false,
            format!(
                r#"(core module $a {with_data}) (export $e "e" (core module $a))
                (core instance (instantiate $a)) (core instance (instantiate $e))"#
            ),
        ),
        (
            false,
            format!(
                r#"(core module $b) (export $e "e" (core module $b)) (core module $a {with_data})
                (core instance (instantiate $e))
                (core instance (instantiate $a)) (core instance (instantiate $a))"#
            ),
        ),
        // Numbers are those of others as well.
        (
            false,
            format!(
                r#"(import "m" (core module $m)) (core module $a {with_data})
                (core instance (instantiate $a))"#
            ),
        ),
    ] {
        let component = wat(&format!("(component {text})"));
        assert!(component.data_size() >= 3, "{text}");
        assert_eq!(component.data_range(), known.then_some(4..7), "{text}");
        let apart = component.without_data().expect("sound");
        assert_eq!(apart.is_some(), known, "{text}");
    }
}

/// Asserts that `binary` is `emptied` with a section more that says nothing, and as long as it was.
fn assert_is_filled(binary: &[u8], emptied: &Guest, guest: &Guest) {
    assert_eq!(binary.len(), guest.bytes().len());
    Guest::from_bytes("filled.wasm", binary.to_vec()).expect("sound");
    let fill = binary.strip_prefix(emptied.bytes()).expect("the same");
    assert_eq!(fill[0], 0, "a custom section");
}

#[test]
fn without_its_data_a_module_is_the_same_and_begins_with_zeros() {
    // The last is as long as a fill of one or of five bytes' length takes.
    for last in [
        0, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 20_000,
    ] {
        let last = "e".repeat(last);
        let code = r#"(memory 1) (table 1 funcref)
            (func (memory.init 1 (i32.const 0) (i32.const 0) (i32.const 1)) (data.drop 0))
            (elem (i32.const 0) 0)"#;
        let guest = wat(&format!(
            r#"(module {code}
            (data (i32.const 8) "abc") (data "xyz") (data (i32.const 10) "de")
            (data (i32.const 0) "") (data (memory 0) (offset (i32.const 300)) "end{last}"))"#
        ));
        let apart = guest.without_data().expect("sound").expect("known");
        let mut expected = vec![0; 295 + last.len()];
        expected[..4].copy_from_slice(b"abde");
        expected[292..][..3].copy_from_slice(b"end");
        expected[295..].copy_from_slice(last.as_bytes());
        assert_eq!(guest.data_range(), Some(8..303 + last.len() as u64));
        assert_eq!((apart.at, apart.data), (8, expected));
        let emptied = wat(&format!(
            r#"(module {code}
            (data "") (data "xyz") (data "") (data "") (data ""))"#
        ));
        assert_is_filled(&apart.binary, &emptied, &guest);
    }

    let uncounted = wat(r#"(module (memory 1) (data (i32.const 8) "abc") (data "passive"))"#);
    let apart = uncounted.without_data().expect("sound").expect("known");
    assert_eq!((apart.at, &*apart.data), (8, &b"abc"[..]));
    let mut emptied = wat("(module (memory 1))").bytes().to_vec();
    // A data section, of one byte that says: no segment.
    emptied.extend([11, 1, 0]);
    let emptied = Guest::from_bytes("emptied.wasm", emptied).expect("sound");
    assert_is_filled(&apart.binary, &emptied, &uncounted);

    for text in [
        "(module (memory 1))",
        r#"(module (memory 1) (data (i32.const 65536) "a"))"#,
        r#"(module (memory i64 0x10000000)
            (data (i64.const 0) "a") (data (i64.const 0x80000000000) "b"))"#,
    ] {
        assert!(wat(text).without_data().expect("sound").is_none(), "{text}");
    }
}

#[test]
fn a_module_is_no_component() {
    let mut bytes = wat("(component (core module))").bytes().to_vec();
    let module = bytes.windows(6).position(|bytes| bytes == b"\x01\x08\0asm");
    // The section of a component.
    bytes[module.expect("there")] = 4;
    let error = Guest::from_bytes("odd.wasm", bytes).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn without_its_data_a_component_is_the_same() {
    let component = |data: &str| {
        wat(&format!(
            r#"(component
            (core module $z (memory (export "m") 1) {data})
            (core instance $iz (instantiate $z))
            (core module $a (import "z" "m" (memory 1)) (data "passive"))
            (core instance (instantiate $a (with "z" (instance $iz)))))"#
        ))
    };
    let guest = component(r#"(data (i32.const 7) "abc") (data (i32.const 0) "")"#);
    let apart = guest.without_data().expect("sound").expect("known");
    assert_eq!((apart.at, &*apart.data), (7, &b"abc"[..]));
    let binary = Guest::from_bytes("apart.wasm", apart.binary.clone()).expect("sound");
    assert_eq!((binary.data_size(), binary.size()), (0, guest.size()));
    let same = guest.bytes().iter().zip(&apart.binary);
    let differ: Vec<_> = same
        .enumerate()
        .filter(|(_, (one, other))| one != other)
        .collect();
    let data = guest.bytes().windows(3).position(|bytes| bytes == b"abc");
    let around = data.expect("there").abs_diff(differ[0].0);
    assert!(around < 16 && differ.len() < 24, "{differ:?}");
}

#[test]
fn a_component_of_wasi_0_3_is_told_from_others() {
    let run = |exports: &[&str]| {
        let exports: String = exports
            .iter()
            .map(|name| format!(r#"(export "{name}" (instance $r))"#))
            .collect();
        wat(&format!(
            r#"(component
                (core module $m (func (export "run") (result i32) i32.const 0))
                (core instance $i (instantiate $m))
                (func $run async (result (result)) (canon lift (core func $i "run")))
                (instance $r (export "run" (func $run)))
                {exports})"#
        ))
    };
    let both = ["wasi:cli/run@0.2.0", "wasi:cli/run@0.3.0"];
    let guest = run(&both);
    assert_eq!(guest.wasi(), WasiVersion::Preview3);
    assert_eq!(guest.entries(), both);
    let concurrent = Proposals::COMPONENT_MODEL | Proposals::COMPONENT_ASYNC;
    assert_eq!(guest.proposals(), concurrent);
    // A draft is no release.
    let draft = run(&["wasi:cli/run@0.3.0-rc-2025-09-16"]);
    assert!(!draft.is_command());
}

#[test]
fn what_is_to_come_of_asynchronous_components_is_told_apart() {
    let concurrent = Proposals::COMPONENT_MODEL | Proposals::COMPONENT_ASYNC;
    let more = concurrent | Proposals::COMPONENT_MORE_ASYNC;
    let lifted = |callback: &str| {
        format!(
            r#"(core module $m
                (func (export "f") (result i32) i32.const 0)
                (func (export "c") (param i32 i32 i32) (result i32) i32.const 0))
            (core instance $i (instantiate $m))
            (func async (canon lift (core func $i "f") async {callback}))"#
        )
    };
    for (fields, used) in [
        (lifted(r#"(callback (func $i "c"))"#), concurrent),
        (lifted(""), more),
        (
            "(core func (canon waitable-set.new))".to_owned(),
            concurrent,
        ),
        ("(core func (canon subtask.cancel))".to_owned(), concurrent),
        ("(core func (canon subtask.cancel async))".to_owned(), more),
        (
            "(core func (canon context.get i32 0))".to_owned(),
            concurrent,
        ),
        ("(core func (canon context.get i32 1))".to_owned(), more),
        ("(core func (canon error-context.drop))".to_owned(), more),
        ("(core func (canon thread.index))".to_owned(), more),
    ] {
        let guest = wat(&format!("(component {fields})"));
        assert_eq!(guest.proposals(), used, "{fields}");
    }
}

#[test]
fn a_component_tells_its_interfaces_and_the_memory_of_its_modules() {
    let guest = wat(COMPONENT);
    assert_eq!(guest.kind(), GuestKind::Component);
    assert_eq!(guest.wasi(), WasiVersion::Preview2);
    assert!(guest.is_command());
    assert_eq!(guest.entries(), ["wasi:cli/run@0.2.3"]);
    for entry in ["wasi:cli/run@0.2.3", "wasi:cli/run", Guest::DEFAULT_ENTRY] {
        assert!(guest.has_entry(entry), "{entry}");
    }
    assert!(!guest.has_entry("run"));
    let unknown: Vec<_> = guest
        .unknown_imports()
        .iter()
        .map(|i| i.to_string())
        .collect();
    assert_eq!(unknown, ["wasi:http/types@0.2.0"]);
    assert_eq!(guest.memories().len(), 1);
    assert_eq!(guest.memories()[0].initial_bytes, 4 << 16);
    assert_eq!(guest.proposals(), Proposals::COMPONENT_MODEL);
    assert!(!wat("(component)").is_command());
}

#[test]
fn a_package_is_recognised_and_left_to_its_engine() {
    let guest = Guest::from_bytes("app.webc", *b"\0webc003 and more").expect("a package");
    assert_eq!(guest.kind(), GuestKind::Package);
    assert_eq!(guest.wasi(), WasiVersion::Wasix);
    assert!(guest.is_command() && guest.entries().is_empty());
    assert!(guest.proposals().is_empty());
}

#[test]
fn threads_are_a_need_and_not_an_unknown_import() {
    let guest = wat(r#"(module
            (import "env" "memory" (memory 1 4 shared))
            (import "wasi" "thread-spawn" (func (param i32) (result i32))))"#);
    assert!(guest.needs_threads());
    assert!(guest.unknown_imports().is_empty());
    assert!(guest.memories()[0].imported && guest.memories()[0].shared);
    assert_eq!(guest.proposals(), Proposals::THREADS);

    let plain = wat(r#"(module (import "env" "memory" (memory 1)))"#);
    assert!(!plain.needs_threads());
    assert_eq!(plain.unknown_imports().len(), 1);

    let of = |text: &str| wat(text).threads_import().map(ToString::to_string);
    let second = r#"(module (import "a" "b" (memory 1)) (import "c" "d" (memory 1 1 shared)))"#;
    assert_eq!(of(second).as_deref(), Some("c.d"));
    // All that is built for WASIX imports a shared memory.
    let wasix = |function: &str| {
        let text = format!(
            r#"(module (import "env" "memory" (memory 1 4 shared))
                (import "wasix_32v1" "{function}" (func (param i32 i32) (result i32))))"#
        );
        assert!(wat(&text).unknown_imports().is_empty());
        of(&text)
    };
    assert_eq!(wasix("getcwd"), None);
    for spawn in ["thread_spawn", "thread_spawn_v2"] {
        assert_eq!(wasix(spawn), Some(format!("wasix_32v1.{spawn}")));
    }
}

#[test]
fn the_path_is_told_only_of_a_binary_on_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = dir.path().join("app.wat");
    std::fs::write(&text, COMMAND).expect("written");
    let from_text = Guest::open(&text).expect("text");
    assert_eq!(from_text.path(), None);
    assert_eq!(from_text.name(), "app.wat");

    let binary = dir.path().join("app.wasm");
    std::fs::write(&binary, from_text.bytes()).expect("written");
    let from_binary = Guest::open(&binary).expect("a binary");
    assert_eq!(from_binary.path(), Some(binary.as_path()));
    assert_eq!(from_binary.name(), "app.wasm");
    assert_eq!(from_binary.bytes(), from_text.bytes());
    assert_eq!(wat(COMMAND).path(), None);
}

#[test]
fn a_guest_is_shared_between_threads_and_debugs_in_one_short_line() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    let guest = wat("(module)");
    shared(&guest);
    assert_eq!(guest.bytes().as_ptr(), guest.clone().bytes().as_ptr());
    assert_eq!(format!("{guest:?}"), r#"Guest("app.wat", module, 8 bytes)"#);
}

#[test]
fn an_inspection_serializes() {
    let json = serde_json::to_value(wat(COMMAND).inspect()).expect("json");
    assert_eq!(json["kind"], "module");
    assert_eq!(json["wasi"], "preview1");
    assert_eq!(json["command"], true);
    assert_eq!(json["entries"][0], "_start");
    assert_eq!(json["unknown_imports"][0]["module"], "env");
    assert_eq!(json["exports"][0]["kind"], "memory");
    assert_eq!(json["exports"][3]["kind"]["function"]["params"][1], "f64");
    assert_eq!(json["proposals"], serde_json::json!([]));
}

// Proposals.

#[test]
fn a_plain_program_needs_no_proposal() {
    assert_eq!(uses(COMMAND), Proposals::MVP);
}

#[test]
fn each_operator_and_type_names_its_proposal() {
    let cases = [
        (
            "(func (result i32) (i32.extend8_s (i32.const 1)))",
            Proposals::SIGN_EXTENSION,
        ),
        (
            "(func (result i32) (i32.trunc_sat_f32_s (f32.const 1)))",
            Proposals::SATURATING_FLOAT_TO_INT,
        ),
        (
            "(func (result i32 i32) i32.const 1 i32.const 2)",
            Proposals::MULTI_VALUE,
        ),
        (
            "(func (param i32) local.get 0 (block (param i32) drop))",
            Proposals::MULTI_VALUE,
        ),
        (
            "(memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))",
            Proposals::BULK_MEMORY,
        ),
        (r#"(memory 1) (data "passive")"#, Proposals::BULK_MEMORY),
        ("(func (param externref))", Proposals::REFERENCE_TYPES),
        ("(table 1 externref)", Proposals::REFERENCE_TYPES),
        (
            "(table 1 funcref) (table 1 funcref)",
            Proposals::REFERENCE_TYPES,
        ),
        ("(func (local v128))", Proposals::SIMD),
        ("(func (drop (i32x4.splat (i32.const 1))))", Proposals::SIMD),
        (
            "(func (param v128) (drop (i32x4.relaxed_trunc_f32x4_s (local.get 0))))",
            Proposals::SIMD | Proposals::RELAXED_SIMD,
        ),
        ("(memory 1 1 shared)", Proposals::THREADS),
        ("(func atomic.fence)", Proposals::THREADS),
        ("(func $f return_call $f)", Proposals::TAIL_CALL),
        (
            "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
            Proposals::EXTENDED_CONST,
        ),
        (
            "(global $a i32 (i32.const 1)) (global i32 (global.get $a))",
            Proposals::GC,
        ),
        (
            r#"(import "a" "b" (global $a i32)) (global i32 (global.get $a))"#,
            Proposals::MVP,
        ),
        (
            r#"(global (export "g") (mut i32) (i32.const 1))"#,
            Proposals::MUTABLE_GLOBAL,
        ),
        (r#"(global (export "g") i32 (i32.const 1))"#, Proposals::MVP),
        ("(memory 1) (memory 1)", Proposals::MULTI_MEMORY),
        ("(memory i64 1)", Proposals::MEMORY64),
        ("(memory 1 (pagesize 1))", Proposals::CUSTOM_PAGE_SIZES),
        ("(tag)", Proposals::EXCEPTIONS),
        (
            "(func (block $b (try_table (catch_all $b))))",
            Proposals::EXCEPTIONS,
        ),
        ("(func try catch_all end)", Proposals::LEGACY_EXCEPTIONS),
        (
            "(tag $t) (func try throw $t catch $t end)",
            Proposals::LEGACY_EXCEPTIONS,
        ),
        ("(type (struct (field i32)))", Proposals::GC),
        ("(type (sub (func)))", Proposals::GC),
        ("(func (param anyref))", Proposals::GC),
        (
            "(type $f (func)) (func (param (ref null $f)))",
            Proposals::FUNCTION_REFERENCES,
        ),
        (
            "(type $f (func)) (type (cont $f))",
            Proposals::STACK_SWITCHING,
        ),
        (
            "(func (param i64 i64 i64 i64) (result i64 i64)
                local.get 0 local.get 1 local.get 2 local.get 3 i64.add128)",
            Proposals::WIDE_ARITHMETIC | Proposals::MULTI_VALUE,
        ),
    ];
    for (text, expected) in cases {
        let module = format!("(module {text})");
        assert_eq!(uses(&module), expected, "{text}");
    }
}

#[test]
fn a_component_uses_what_its_modules_use() {
    let used =
        uses("(component (core module (memory 1 1 shared)) (component (core module (tag))))");
    let expected = Proposals::COMPONENT_MODEL | Proposals::THREADS | Proposals::EXCEPTIONS;
    assert_eq!(used, expected);
    let used = uses("(component (type (stream u8)))");
    assert_eq!(
        used,
        Proposals::COMPONENT_MODEL | Proposals::COMPONENT_ASYNC
    );
}

#[test]
fn unreadable_code_keeps_what_was_seen_around_it() {
    let mut bytes = wat("(module (func i32.const 7 drop) (func atomic.fence))")
        .bytes()
        .to_vec();
    let first = bytes
        .windows(2)
        .position(|pair| pair == [0x41, 7])
        .expect("i32.const 7");
    bytes[first] = 0xff;
    let guest = Guest::from_bytes("broken", bytes).expect("well-formed around the operators");
    assert_eq!(guest.proposals(), Proposals::THREADS);
}

// What is refused: not a program.

#[test]
fn a_missing_file_is_not_found() {
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["missing.wasm", "file/below.wasm"] {
        std::fs::write(dir.path().join("file"), "").expect("written");
        let (kind, line) = refused_file(&dir.path().join(name));
        assert_eq!(kind, ErrorKind::GuestNotFound);
        assert!(line.starts_with("no such file: "), "{line}");
    }
    let error = Guest::open("").expect_err("no path");
    assert_eq!(error.kind(), ErrorKind::GuestNotFound);
}

#[test]
fn a_directory_is_not_wasm() {
    let dir = tempfile::tempdir().expect("a directory");
    let (kind, line) = refused_file(dir.path());
    assert_eq!(kind, ErrorKind::NotWasm);
    assert!(line.contains("is a directory"), "{line}");
}

#[test]
fn an_empty_file_is_not_wasm() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("empty.wasm");
    std::fs::write(&path, "").expect("written");
    let (kind, line) = refused_file(&path);
    assert_eq!(kind, ErrorKind::NotWasm);
    assert!(line.contains("is empty"), "{line}");
}

#[test]
fn what_is_not_wasm_says_what_it_is_and_what_to_do() {
    let cases: [(&[u8], &str, &str); 8] = [
        (b"\x7fELF\x02\x01\x01", "an ELF binary", "wasm32-wasip1"),
        (b"\xcf\xfa\xed\xfe\x07", "a Mach-O binary", "wasm32-wasip1"),
        (
            b"\xca\xfe\xba\xbe\0\0\0\x02",
            "a universal Mach-O binary",
            "wasm32-wasip1",
        ),
        (b"MZ\x90\0\x03", "a Windows (PE) binary", "wasm32-wasip1"),
        (b"#!/usr/bin/env python3\n", "a script", "interpreter"),
        (b"\x1f\x8b\x08\0", "a gzip file", "unpack"),
        (b"print('hello')\n", "text", "not a WebAssembly program"),
        (b"\x80\x81\0\0", "binary data", "not a WebAssembly program"),
    ];
    for (bytes, what, help) in cases {
        let (kind, line) = refused(bytes);
        assert_eq!(kind, ErrorKind::NotWasm, "{line}");
        assert!(line.contains(what) && line.contains(help), "{line}");
    }
}

#[test]
fn a_file_over_the_cap_is_refused_with_size_and_cap() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("large.wasm");
    let bytes = wat(COMMAND).bytes().to_vec();
    std::fs::write(&path, &bytes).expect("written");
    let len = bytes.len() as u64;

    Guest::open_capped(&path, len).expect("exactly the cap");
    let error = Guest::open_capped(&path, len - 1).expect_err("a byte over");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let line = error.to_string();
    assert!(line.contains(&format!("has {len} bytes")), "{line}");
    assert!(line.contains(&format!("is {}", len - 1)), "{line}");

    // A sparse file: reading it would take a terabyte.
    let huge = std::fs::File::create(dir.path().join("huge")).expect("created");
    huge.set_len(1 << 40).expect("sparse");
    let (kind, _) = refused_file(&dir.path().join("huge"));
    assert_eq!(kind, ErrorKind::Invalid);

    // What it is comes before how large it is.
    std::fs::write(&path, b"\x7fELF and more than the cap").expect("written");
    let error = Guest::open_capped(&path, 8).expect_err("an ELF");
    assert_eq!(error.kind(), ErrorKind::NotWasm);
}

#[cfg(unix)]
#[test]
fn only_regular_files_are_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let fifo = dir.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.expect("mkfifo").success());
    for path in [
        fifo.as_path(),
        Path::new("/dev/zero"),
        Path::new("/dev/null"),
    ] {
        let (kind, line) = refused_file(path);
        assert_eq!(kind, ErrorKind::NotWasm);
        assert!(line.contains("not a regular file"), "{line}");
    }
    // A link to a program is the program.
    let target = dir.path().join("app.wasm");
    std::fs::write(&target, wat(COMMAND).bytes()).expect("written");
    let link = dir.path().join("link.wasm");
    std::os::unix::fs::symlink(&target, &link).expect("linked");
    assert_eq!(
        Guest::open(&link).expect("through the link").name(),
        "link.wasm"
    );
}

// What is refused: a broken program.

#[test]
fn every_truncation_is_refused_without_a_panic() {
    for text in [COMMAND, COMPONENT] {
        let guest = wat(text);
        let good = guest.bytes();
        for end in 1..good.len() {
            // A module cut between sections may still be one, only with less in it.
            if let Ok(cut) = Guest::from_bytes("app", &good[..end]) {
                let _ = cut.inspect();
            }
        }
        let (kind, line) = refused(&good[..good.len() - 3]);
        assert_eq!(kind, ErrorKind::Invalid);
        assert!(line.contains("at offset 0x"), "{line}");
        let (kind, _) = refused(&good[..6]);
        assert_eq!(kind, ErrorKind::Invalid);
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for text in [COMMAND, COMPONENT] {
        let good = wat(text).bytes().to_vec();
        for _ in 0..2_000 {
            let mut bytes = good.clone();
            let place = random() % bytes.len();
            bytes[place] ^= 1 << (random() % 8);
            if let Ok(guest) = Guest::from_bytes("app", bytes) {
                let _ = guest.inspect();
            }
        }
    }
}

#[test]
fn text_with_an_error_is_refused_with_line_and_column() {
    let (kind, line) = refused("(module\n  (func (param i33)))");
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(line.starts_with("app:2:16: "), "{line}");
    for text in [
        "(",
        "(module",
        "(display 1)",
        "(module binary \"nonsense\")",
        "(module binary \"\")",
    ] {
        let (kind, line) = refused(text);
        assert_eq!(kind, ErrorKind::Invalid, "{line}");
    }
}

#[test]
fn deeply_nested_text_overflows_no_stack() {
    let depth = 500_000;
    let (kind, _) = refused("(".repeat(depth));
    assert_eq!(kind, ErrorKind::Invalid);
    let (kind, _) = refused("(component ".repeat(depth));
    assert_eq!(kind, ErrorKind::Invalid);
    // Folded blocks may nest: nothing here recurses over them.
    let (open, close) = ("(block ".repeat(depth), ")".repeat(depth));
    assert!(uses(&format!("(module (func {open}{close}))")).is_empty());
}

#[test]
fn an_unknown_version_is_named() {
    let (kind, line) = refused(*b"\0asm\x07\0\0\0");
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(line.contains("version is 7, layer 0"), "{line}");
}

#[test]
fn a_count_that_cannot_fit_is_refused() {
    // u32::MAX types, imports, functions, exports, … in a section of ten bytes.
    for id in [1, 2, 3, 4, 5, 6, 7, 9, 11, 13] {
        let (kind, line) = refused(section(id, b"\xff\xff\xff\xff\x0f\0\0\0\0\0"));
        assert_eq!(kind, ErrorKind::Invalid);
        assert!(line.contains("claims 4294967295 entries"), "{id}: {line}");
    }
    let (kind, _) = refused(section(10, b"\xff\xff\xff\xff\x0f\0\0\0\0\0"));
    assert_eq!(kind, ErrorKind::Invalid);
}

#[test]
fn four_billion_locals_are_refused() {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    bytes.extend(b"\x01\x04\x01\x60\0\0"); // (type (func))
    bytes.extend(b"\x03\x02\x01\0"); // (func (type 0) …
    bytes.extend(b"\x0a\x0a\x01\x08\x01\xff\xff\xff\xff\x0f\x7f\x0b"); // … (local i32 × u32::MAX))
    let (kind, line) = refused(bytes);
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(line.contains("4294967295 locals"), "{line}");
}

#[test]
fn a_large_memory_is_a_number_and_not_an_error() {
    let guest = wat("(module (memory 65536))");
    assert_eq!(guest.memories()[0].initial_bytes, 1 << 32);
    let guest = wat("(module (memory i64 0x1_0000_0000_0000))");
    assert_eq!(guest.memories()[0].initial_bytes, u64::MAX);
}

#[test]
fn an_export_of_nothing_is_refused() {
    // (export "f" (func 9)) without any function.
    let (kind, line) = refused(section(7, b"\x01\x01f\0\x09"));
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(line.contains("function 9"), "{line}");
}

#[test]
fn components_nest_only_so_deep() {
    let nested = |levels: u32| {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        for _ in 0..levels {
            let mut len = bytes.len();
            let mut outer = b"\0asm\x0d\0\x01\0\x04".to_vec();
            while len >= 0x80 {
                outer.push(len as u8 | 0x80);
                len >>= 7;
            }
            outer.push(len as u8);
            outer.extend(&bytes);
            bytes = outer;
        }
        bytes
    };
    Guest::from_bytes("app", nested(99)).expect("deep enough for anyone");
    let (kind, line) = refused(nested(2_000));
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(line.contains("nest too deep"), "{line}");
}

#[test]
fn a_component_type_cannot_overflow_the_stack() {
    // A type section of 300,000 instance types, each in the one before.
    let mut types = vec![1];
    for _ in 0..300_000 {
        types.extend(b"\x42\x01\x01");
    }
    let mut bytes = b"\0asm\x0d\0\x01\0\x07".to_vec();
    let mut len = types.len();
    while len >= 0x80 {
        bytes.push(len as u8 | 0x80);
        len >>= 7;
    }
    bytes.push(len as u8);
    bytes.extend(&types);
    let (kind, line) = refused(bytes);
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(line.contains("nest too deep"), "{line}");
}

#[test]
fn names_from_outside_cannot_break_a_message() {
    let error = Guest::from_bytes("a\n\u{1b}[2Jb", *b"junk").expect_err("text");
    assert_eq!(
        error.to_string(),
        r"a\n\u{1b}[2Jb is text, not a WebAssembly program"
    );
}

// Whether it is valid.

#[test]
fn validity_is_that_of_the_guest_as_it_came() {
    let undeclared = "(func $f (drop (ref.func $f)))";
    let module = format!("(module {undeclared} (start $f) (func (export \"_start\")))");
    let guest = wat(&module);
    for _ in 0..2 {
        let error = guest.validate().expect_err("the function is not declared");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let line = error.to_string();
        assert!(line.starts_with("app.wat is not a valid"), "{line}");
        assert!(line.contains("undeclared function reference"), "{line}");
    }
    let changed = guest.start_as_export();
    let error = changed.expect_err("the export would declare it");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let component = format!("(component (core module {undeclared}))");
    wat(&component).validate().expect_err("nor in a component");
}

#[test]
fn valid_guests_of_every_kind_are_found_valid() {
    for text in [COMMAND, COMPONENT] {
        wat(text).validate().expect(text);
    }
    // Of any proposals, which are compared with each engine.
    let odd = "(module (memory 1) (memory i64 1 2 shared) (tag) (type (struct (field i8)))
        (func try throw 0 catch_all end (drop (i64.add128 (i64.const 1) (i64.const 1)
            (i64.const 1) (i64.const 1))) drop))";
    wat(odd).validate().expect("valid");
    let package = Guest::from_bytes("app.webc", *b"\0webc001").expect("a package");
    package.validate().expect("its engine reads it");
}

#[test]
fn a_guest_that_is_only_known_is_read_to_be_validated() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("app.wasm");
    std::fs::write(&path, wat("(module (func i32.eqz))").bytes()).expect("written");
    let known = Guest::open(&path).expect("well-formed").known();
    let guest = Guest::from_known(&path, Guest::DEFAULT_MAX_BYTES, known);
    guest
        .validate()
        .expect_err("what the file holds is invalid");
    std::fs::remove_file(&path).expect("removed");
    let error = guest.validate().expect_err("nothing is there");
    assert_eq!(error.kind(), ErrorKind::GuestNotFound);
}
