//! Files that are no program for us: one line that says what they are, and never exit code 0.

use crate::common::{Guests, Seen, engines, run, wasmrun};

/// Runs `content` as a guest on every engine, and inspects it; each time it is refused alike.
fn refused(content: impl AsRef<[u8]>) -> String {
    let guests = Guests::new();
    let guest = guests.file("app.wasm", content);
    let mut message = None;
    for args in [
        vec!["inspect"],
        vec![],
        vec!["--engine", "wasmtime"],
        vec!["--engine", "wasmer"],
    ] {
        let seen: Seen = wasmrun()
            .current_dir(guests.dir())
            .args(&args)
            .arg(guest.file_name().expect("a name"))
            .output()
            .expect("wasmrun starts")
            .into();
        assert_eq!(seen.code, Some(126), "{args:?}: {seen:?}");
        assert_eq!(seen.stdout, "");
        let said = seen.message().to_owned();
        assert_eq!(*message.get_or_insert(said.clone()), said, "{args:?}");
    }
    message.expect("it was run")
}

#[test]
fn what_is_not_wasm_is_named_for_what_it_is() {
    for (content, what) in [
        (&b""[..], "empty"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0", "an ELF binary"),
        (b"\xcf\xfa\xed\xfe\x07\0\0\x01", "a Mach-O binary"),
        (b"MZ\x90\0\x03\0\0\0\x04\0", "a Windows (PE) binary"),
        (b"#!/bin/sh\necho hi\n", "a script"),
        (b"int main(void) { return 0; }\n", "text"),
    ] {
        let message = refused(content);
        let start = format!("app.wasm is {what}, not a WebAssembly program");
        assert!(message.starts_with(&start), "{message}");
    }
}

#[test]
fn damaged_wasm_is_invalid() {
    for content in [
        &b"\0asm"[..],
        b"\0asm\x02\0\0\0",
        // A type section that ends before its first type.
        b"\0asm\x01\0\0\0\x01\x04\x01",
        // A function section that claims four billion functions.
        b"\0asm\x01\0\0\0\x03\x05\xff\xff\xff\xff\x0f",
        // A custom section that claims to be longer than the file.
        b"\0asm\x01\0\0\0\0\xff\xff\xff\xff\x0f",
    ] {
        let message = refused(content);
        let start = "app.wasm is not a valid WebAssembly program: ";
        assert!(message.starts_with(start), "{message}");
    }
    let message = refused("(module (fun))");
    assert!(
        message.starts_with("app.wasm:1:10: not valid WebAssembly text: "),
        "{message}"
    );
}

#[test]
fn a_component_that_doubles_is_refused_before_an_engine_writes_it_out() {
    let doubled = (1..=24).fold("(component $c0)".to_owned(), |inner, level| {
        let instance = format!("(instance (instantiate $c{}))", level - 1);
        format!("(component $c{level} {inner} {instance} {instance})")
    });
    let message = refused(format!(
        "(component {doubled} (instance (instantiate $c24)))"
    ));
    assert_eq!(
        message,
        "app.wasm is not a valid WebAssembly program: it is made of more than 10000 instances of its \
         modules and components"
    );
}

#[test]
fn a_missing_file_is_127_and_a_directory_is_not_a_program() {
    let missing = run(["no/such/app.wasm"]);
    assert_eq!(missing.code, Some(127), "{missing:?}");
    assert_eq!(missing.message(), "no such file: no/such/app.wasm");
    let guests = Guests::new();
    let directory = run([guests.dir()]);
    assert_eq!(directory.code, Some(126), "{directory:?}");
    assert!(directory.message().contains("is a directory"));
}

#[test]
fn a_file_over_the_cap_is_not_read() {
    let guests = Guests::new();
    let app = guests.file(
        "app.wasm",
        [b"\0asm\x01\0\0\0".as_slice(), &[0; 2048]].concat(),
    );
    let seen = run(["--max-guest-size".as_ref(), "1Ki".as_ref(), app.as_os_str()]);
    assert_eq!(seen.code, Some(126), "{seen:?}");
    assert!(seen.message().contains("the cap for a guest is 1024"));
}

/// Runs `text` on each engine of this build, and by `auto`; each time it is refused.
fn unsupported(text: &str) -> Vec<String> {
    let guests = Guests::new();
    let guest = guests.file("app.wat", text);
    let choices = engines().into_iter().chain(["auto"]);
    choices
        .map(|engine| {
            let seen = run(["--engine".as_ref(), engine.as_ref(), guest.as_os_str()]);
            assert_eq!(seen.code, Some(126), "{engine}: {seen:?}");
            seen.message().to_owned()
        })
        .collect()
}

#[test]
fn a_guest_without_an_entry_names_what_could_be_called() {
    for message in unsupported(r#"(module (func (export "f")) (func (export "g")))"#) {
        assert_eq!(
            message,
            "app.wat: the guest is not a command: it exports no _start function; functions that \
             could be called instead: f, g"
        );
    }
}

#[test]
fn an_import_that_is_not_part_of_wasi_is_named() {
    for message in unsupported(
        r#"(module (import "env" "log" (func)) (import "env" "now" (func))
            (func (export "_start")))"#,
    ) {
        assert_eq!(
            message,
            "app.wat: the guest imports env.log, which is not part of WASI (and 1 more that nothing \
             here provides)"
        );
    }
}

#[test]
fn an_import_with_a_slip_in_its_name_is_told_the_nearest() {
    for message in unsupported(
        r#"(module (import "wasi_snapshot_preview1" "fd_wirte" (func)) (func (export "_start")))"#,
    ) {
        assert_eq!(
            message,
            "app.wat: the guest imports wasi_snapshot_preview1.fd_wirte, which is not part of WASI \
             preview1: was fd_write meant?"
        );
    }
}

#[cfg(feature = "wasmtime")]
#[test]
fn an_interface_of_wasi_that_no_engine_serves_is_not_denied_to_be_one() {
    let guests = Guests::new();
    let guest = guests.file(
        "app.wat",
        r#"(component (import "wasi:http/types@0.2.0" (instance)))"#,
    );
    let seen = run(["--engine", "wasmtime"]
        .map(AsRef::as_ref)
        .into_iter()
        .chain([guest.as_os_str()]));
    assert_eq!(seen.code, Some(126), "{seen:?}");
    assert_eq!(
        seen.message(),
        "app.wat: the guest imports wasi:http/types@0.2.0, which is part of WASI 0.2, but not of its \
         commands: no engine here serves it"
    );
}

#[cfg(any(feature = "wasmtime", feature = "wasmer", feature = "wasmi"))]
#[test]
fn code_that_does_not_validate_is_refused_by_every_engine() {
    for message in
        unsupported(r#"(module (func (export "_start") (drop (i32.add (i32.const 1)))))"#)
    {
        assert_eq!(message.lines().count(), 1);
    }
}
