//! What a guest is allowed in a word, and functions of the host that not every guest may have.

use wasmrun_core::{
    Error, ErrorKind, Guest, HostCall, HostFunctions, HostInterface, Outcome, Profile, Program,
    Request, RunConfig, Stdout, check,
};

use super::directories::{all_fail, holds};
use crate::case::{Case, stdout};
use crate::guests::{plain, text, world};

crate::suite::rules![
    isolated_shows_nothing_of_the_host,
    read_only_lets_nothing_be_changed,
    read_write_lets_the_workspace_be_changed,
    a_relative_path_leads_to_the_workspace,
    full_offers_privileged_functions,
    what_is_privileged_is_refused_by_name,
    a_program_that_was_compiled_for_more_is_refused,
];

const ALL: [Profile; 4] = [
    Profile::Isolated,
    Profile::ReadOnly,
    Profile::ReadWrite,
    Profile::Full,
];

/// A workspace with a file and a directory in it.
fn workspace(case: &Case, profile: Profile) -> RunConfig {
    case.write("work/file", "content");
    case.write("work/dir/file", "nested");
    profile
        .config(case.path("work"))
        .stdout(Stdout::Capture)
        .stderr(Stdout::Capture)
}

fn isolated_shows_nothing_of_the_host(case: &Case) {
    let config = workspace(case, Profile::Isolated);
    let before = case.tree();
    let _ = holds(
        case,
        &config,
        &[
            ("preopen 3", "ok /"),
            ("list 3", "ok"),
            ("stat 3:file", "NOENT"),
            ("open a 3:file write create", "ok"),
            ("write a its own", "ok 7"),
            ("stat 3:file", "ok file 7"),
            ("preopen 4", "BADF"),
        ],
    );
    assert_eq!(case.tree(), before);
}

fn read_only_lets_nothing_be_changed(case: &Case) {
    let config = workspace(case, Profile::ReadOnly);
    all_fail(
        case,
        &config,
        &[
            "open a 3:file write",
            "open a 3:file read truncate",
            "open a 3:new write create",
            "mkdir 3:new",
            "unlink 3:file",
            "rmdir 3:dir",
            "rename 3:file 3:new",
            "link 3:file 3:new",
            "symlink file 3:new",
            "touch-path 3:file 5",
        ],
    );
    let _ = holds(
        case,
        &config,
        &[
            ("list 3", "ok dir/ file"),
            ("open a 3:dir/file read", "ok"),
            ("read a", "ok nested"),
            ("open b 3:file write", "ROFS"),
            ("open b 3:new write create", "ROFS"),
            ("mkdir 3:new", "ROFS"),
        ],
    );
}

fn read_write_lets_the_workspace_be_changed(case: &Case) {
    for profile in [Profile::ReadWrite, Profile::Full] {
        let config = workspace(case, profile);
        let done = holds(
            case,
            &config,
            &[
                ("open a 3:file write truncate", "ok"),
                ("write a changed", "ok 7"),
                ("open b 3:dir/new write create", "ok"),
                ("write b new", "ok 3"),
                ("unlink 3:dir/file", "ok"),
            ],
        );
        if done {
            assert_eq!(case.read("work/file"), "changed");
            assert_eq!(case.read("work/dir/new"), "new");
            assert!(!case.path("work/dir/file").exists());
        }
    }
}

fn a_relative_path_leads_to_the_workspace(case: &Case) {
    for profile in ALL {
        let config = workspace(case, profile);
        let reads = ["read=file", "read=/file", "read=dir/../file", "read=./file"];
        let makes = match profile {
            Profile::Isolated => &["mkdir=dir", "make=file"][..],
            _ => &[],
        };
        let config = config.args(makes.iter().copied()).args(reads);
        if let Some(report) = case.run(&world(), &config) {
            let content = match profile {
                Profile::Isolated => "file",
                _ => "content",
            };
            let expected = reads.map(|read| {
                let path = read.trim_start_matches("read=");
                format!("read {path}: {content}\n")
            });
            let told = stdout(&report);
            assert!(told.ends_with(&expected.concat()), "{profile:?}: {told}");
        }
    }
}

/// A guest that has the host end it.
fn privileged_guest() -> Guest {
    plain(
        r#"(import "host" "hello" (func $hello))
           (import "host" "end" (func $end (param i32)))
           (func (export "_start") (call $hello) (call $end (i32.const 7)) unreachable)"#,
    )
}

/// A host of which one function is privileged.
fn host() -> HostFunctions {
    HostFunctions::new()
        .function("host", "end", |call: &mut HostCall<'_>, code: i32| {
            call.exit(code)
        })
        .privileged()
        .function("host", "hello", || ())
}

fn compiled(case: &Case, guest: &Guest, config: &RunConfig) -> Result<Program, Error> {
    Program::compile(case.engine().clone(), guest, Request::new(config, &host()))
}

fn full_offers_privileged_functions(case: &Case) {
    if !case.can("host_functions") {
        return;
    }
    let config = workspace(case, Profile::Full);
    let program = compiled(case, &privileged_guest(), &config).expect("it compiles");
    let report = case.ran(program.run(&config));
    assert_eq!(report.outcome, Outcome::Exited(7));
}

fn is_refused(case: &Case, error: &Error, import: &str) {
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert_eq!(error.engine(), Some(case.name()), "{error:?}");
    let begin = format!("the guest imports {import}, a privileged function of the host");
    assert!(error.message().starts_with(&begin), "{error}");
    assert!(error.message().contains("Profile::Full"), "{error}");
}

fn what_is_privileged_is_refused_by_name(case: &Case) {
    if !case.can("host_functions") {
        return;
    }
    for profile in [Profile::Isolated, Profile::ReadOnly, Profile::ReadWrite] {
        let config = workspace(case, profile);
        let error = compiled(case, &privileged_guest(), &config).expect_err("it is privileged");
        is_refused(case, &error, "host.end");
        // What it does not import is nothing to it.
        let modest = plain(
            r#"(import "host" "hello" (func $hello)) (func (export "_start") (call $hello))"#,
        );
        assert!(compiled(case, &modest, &config).is_ok());
    }
    let component = text(
        "component.wat",
        r#"(component (import "acme:host/power@1.0.0"
            (instance (export "off" (func)) (export "state" (func)))))"#,
    );
    let off = HostInterface::new().function("off", |_, (): ()| ());
    let host = HostFunctions::new().interface(
        "acme:host/power@1.0.0",
        off.privileged().function("state", |_, (): ()| ()),
    );
    for (config, refused) in [
        (RunConfig::new(), vec!["acme:host/power@1.0.0#off"]),
        (RunConfig::new().privileged(true), vec![]),
    ] {
        let request = Request::new(&config, &host).live();
        let refusals = check::refusals_of(&**case.engine(), &component, request);
        let mut refusals = refusals.iter();
        let privileged = refusals.find(|refusal| refusal.what == "privileged");
        let import = privileged.map(|refusal| refusal.reason.split([',', ' ']).nth(3));
        assert_eq!(import.flatten(), refused.first().copied());
    }
}

fn a_program_that_was_compiled_for_more_is_refused(case: &Case) {
    if !case.can("host_functions") {
        return;
    }
    let (full, less) = (
        workspace(case, Profile::Full),
        workspace(case, Profile::ReadWrite),
    );
    let program = compiled(case, &privileged_guest(), &full).expect("it compiles");
    is_refused(
        case,
        &program.run(&less).expect_err("less is allowed"),
        "host.end",
    );
    is_refused(
        case,
        &program.start(&less).expect_err("less is allowed"),
        "host.end",
    );
    let host = host();
    let request = Request::new(&full, &host).live();
    if let Ok(program) = Program::compile(case.engine().clone(), &privileged_guest(), request) {
        let error = program.instantiate(&less).expect_err("less is allowed");
        is_refused(case, &error, "host.end");
        assert!(program.instantiate(&full).is_ok() || !case.can("live"));
    }
}
