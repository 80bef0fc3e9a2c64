//! Programs that come in webc packages.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wasmrun::{Guest, Sha256};
use wasmrun_testkit::guests;
use wasmrun_testkit::packages::{Packed, PackedCommand};

use crate::common::{Guests, Seen, engines, run};

fn write(directory: &Guests, name: &str, packed: &Packed) -> PathBuf {
    let path = directory.dir().join(name);
    packed.write(&path);
    path
}

/// Writes its arguments.
fn tool(name: &str, args: &[&str]) -> Packed {
    Packed::new()
        .named(name, "1.2.3")
        .atom("args", guests::args().bytes())
        .command(PackedCommand {
            name: "tool",
            atom: "args",
            args,
            ..PackedCommand::default()
        })
}

fn typed(words: &[&str], package: &Path, args: &[&str]) -> Seen {
    let words = words.iter().map(AsRef::as_ref);
    let args = args.iter().map(AsRef::as_ref);
    run(words.chain([package.as_os_str()]).chain(args))
}

fn fails(seen: &Seen, code: i32, words: &[&str]) {
    assert_eq!(seen.code, Some(code), "{seen:?}");
    assert_eq!(seen.stderr.lines().count(), 1, "{seen:?}");
    for word in words {
        assert!(seen.stderr.contains(word), "{word}: {seen:?}");
    }
}

#[test]
fn a_package_is_run_on_every_engine() {
    let files = Guests::new();
    let app = write(&files, "app.webc", &tool("ns/app", &["-x"]));
    for engine in engines() {
        let seen = typed(&["--engine", engine], &app, &["--y"]);
        assert_eq!(seen.code, Some(0), "{seen:?}");
        assert_eq!(seen.stdout, "tool\0-x\0--y\0.");
    }
    let all = format!("--engines={}", engines().join(","));
    let seen = typed(&["compare", &all], &app, &["--y"]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
}

#[test]
fn what_is_compiled_of_a_package_is_found_again() {
    let files = Guests::new();
    // Compiled by nobody else.
    let module = r#"(module (memory (export "memory") 3) (func (export "_start")))"#;
    let module = Guest::from_bytes("unique.wat", module).expect("a guest");
    let packed = Packed::new()
        .atom("unique", module.bytes())
        .command(PackedCommand {
            name: "unique",
            atom: "unique",
            ..PackedCommand::default()
        });
    let app = write(&files, "app.webc", &packed);
    let report = files.dir().join("report.json");
    let option = format!("--report={}", report.display());
    for engine in engines().into_iter().filter(|name| *name != "wasmi") {
        let compiled = typed(&["compile", "--engine", engine], &app, &[]);
        assert_eq!(compiled.code, Some(0), "{compiled:?}");
        let seen = typed(&["--engine", engine, &option], &app, &[]);
        assert_eq!(seen.code, Some(0), "{seen:?}");
        let told: Value =
            serde_json::from_slice(&fs::read(&report).expect("a report")).expect("JSON");
        assert!(told["cache"].to_string().contains("hit"), "{told}");
    }
}

#[test]
fn a_command_of_a_package_or_of_one_that_it_uses_is_chosen() {
    let files = Guests::new();
    fs::create_dir(files.dir().join("deps")).expect("a directory");
    let other = tool("ns/other", &[]).command(PackedCommand {
        name: "theirs",
        atom: "args",
        ..PackedCommand::default()
    });
    write(&files, "deps/other.webc", &other);
    let app = tool("ns/app", &[])
        .uses("other", "ns/other@^1")
        .command(PackedCommand {
            name: "second",
            atom: "args",
            dependency: Some("other"),
            argv0: Some("2nd"),
            ..PackedCommand::default()
        });
    let app = write(&files, "app.webc", &app);
    let deps = files.dir().join("deps");
    let deps = deps.to_str().expect("UTF-8");
    for (name, args) in [
        ("second", "2nd\0."),
        ("theirs", "theirs\0."),
        ("tool", "tool\0."),
    ] {
        let seen = typed(&["--use", deps, "--command", name], &app, &[]);
        assert_eq!((seen.code, &*seen.stdout), (Some(0), args), "{seen:?}");
    }
    fails(
        &typed(&["--use", deps], &app, &[]),
        125,
        &["tool, second, tool, theirs"],
    );
    fails(
        &typed(&["--command", "tool"], &app, &[]),
        125,
        &["ns/other@^1", "--use"],
    );
    let job = files.file(
        "job.toml",
        "guest = 'app.webc'\ncommand = 'second'\nuse = ['deps']",
    );
    let seen = run(["--config".as_ref(), job.as_os_str()]);
    assert_eq!((seen.code, &*seen.stdout), (Some(0), "2nd\0."), "{seen:?}");
}

#[test]
fn what_is_said_of_packages_is_not_ignored_for_others() {
    let files = Guests::new();
    let module = files.file("app.wat", r#"(module (func (export "_start")))"#);
    for option in [["--command", "x"], ["--use", "x"]] {
        fails(&typed(&option, &module, &[]), 125, &["no webc package"]);
    }
    let app = write(&files, "app.webc", &tool("ns/app", &[]));
    fails(&typed(&["bench"], &app, &[]), 125, &["is a package"]);
    let none = typed(&["--command", "none"], &app, &[]);
    fails(&none, 125, &["no command \"none\"", "tool"]);
}

#[test]
fn a_package_that_is_malformed_is_one_line() {
    let files = Guests::new();
    let bytes = tool("ns/app", &[]).bytes();
    let cut = files.file("cut.webc", &bytes[..bytes.len() - 3]);
    fails(&typed(&[], &cut, &[]), 126, &["cut.webc", "cut off"]);
    let old = files.file("old.webc", [b"\0webc001", &bytes[8..]].concat());
    fails(&typed(&[], &old, &[]), 126, &["old.webc", "001"]);
}

#[test]
fn the_digest_is_that_of_the_package() {
    let files = Guests::new();
    let packed = tool("ns/app", &[]);
    let app = write(&files, "app.webc", &packed);
    let digest = Sha256::of(&packed.bytes()).to_string();
    let seen = typed(&["--sha256", &digest], &app, &[]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let other = Sha256::of(b"").to_string();
    fails(
        &typed(&["--sha256", &other], &app, &[]),
        126,
        &["not the expected program"],
    );
}

#[test]
fn what_is_written_to_a_volume_is_told_and_the_package_stays() {
    let files = Guests::new();
    let packed = Packed::new()
        .atom("files", guests::files().bytes())
        .command(PackedCommand {
            name: "files",
            atom: "files",
            ..PackedCommand::default()
        })
        .file("assets", "kept", "kept")
        .shows(None, "assets", "/data");
    let app = write(&files, "app.webc", &packed);
    let changes = files.dir().join("changes.json");
    let option = format!("--changes={}", changes.display());
    let seen = typed(&[&option], &app, &["unlink /data:kept"]);
    assert_eq!((seen.code, &*seen.stdout), (Some(0), "ok\n"), "{seen:?}");
    let told: Value =
        serde_json::from_slice(&fs::read(&changes).expect("it is there")).expect("JSON");
    assert!(told.to_string().contains("kept"), "{told}");
    assert!(fs::read(&app).expect("a file") == packed.bytes());

    let mount = format!("--dir={}::/data:ro", files.dir().display());
    let refused = typed(&[&mount], &app, &["list /data"]);
    fails(&refused, 125, &["both mounted at /data"]);
    for (option, listed) in [
        ("--replace-dirs", "ok app.webc changes.json\n"),
        ("--keep-dirs", "ok kept\n"),
        ("--layer-dirs", "ok app.webc changes.json kept\n"),
    ] {
        let seen = typed(&[&mount, option], &app, &["list /data"]);
        assert_eq!(
            (seen.code, &*seen.stdout),
            (Some(0), listed),
            "{option}: {seen:?}"
        );
    }
}

#[test]
fn a_package_is_inspected() {
    let files = Guests::new();
    let packed = tool("ns/app", &["-x"])
        .entrypoint("tool")
        .command(PackedCommand {
            name: "second",
            atom: "thing",
            dependency: Some("other"),
            env: &["A=1"],
            working_directory: Some("/data"),
            ..PackedCommand::default()
        })
        .uses("other", "ns/other@^1.2")
        .file("assets", "d/f", "content")
        .link("assets", "l", "d/f")
        .shows(None, "assets", "/data")
        .shows_directory("assets", "d", "/d")
        .shows(Some("other"), "share", "/share");
    let app = write(&files, "app.webc", &packed);
    let seen = typed(&["inspect"], &app, &[]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    insta::assert_snapshot!("package", seen.stdout);

    let seen = typed(&["inspect", "--json"], &app, &[]);
    let found: Value = serde_json::from_str(&seen.stdout).expect("JSON");
    assert_eq!(found["kind"], "package");
    assert_eq!(found["commands"][0]["args"][0], "-x");
    assert_eq!(found["mappings"][2]["dependency"], "other");
    assert_eq!(found["volumes"][0]["files"], 1);
    assert_eq!(found["atoms"][0]["wasi"], "preview1");
}
