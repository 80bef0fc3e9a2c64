//! Real programs from the package registries, and components that toolchains of other languages make, on every engine: the
//! same output, the same files.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use libtest_mimic::Trial;
use wasmrun_core::{
    Access, CodeCache, Engine, Guest, Mount, Outcome, Profile, Program, RunConfig, Stdin, Stdout,
};

use crate::case::{Case, captured, stderr, stdout};
use crate::compiler;
use crate::guests::hello;
use crate::made::Made;
use crate::suite::{rules, trial};

rules![
    cpython_reads_its_world_and_writes_a_file,
    cpython_does_the_same_twice,
    cpython_works_in_a_workspace,
    esbuild_bundles_and_minifies,
    boolector_solves,
    a_component_from_javascript_tells_of_its_world,
    a_component_from_python_writes_a_file,
];

/// The programs as trials of `engine`, named `engine::programs::rule`. What is compiled is kept in `code`.
pub(crate) fn trials(engine: &Arc<dyn Engine>, code: Option<&Arc<dyn CodeCache>>) -> Vec<Trial> {
    let trials = RULES.iter().map(|rule| {
        let case = Case::new(engine.clone()).keeping(code.cloned());
        trial(case, "programs", *rule)
    });
    trials.collect()
}

/// A program of `scripts/programs`, by the name of its file.
///
/// # Panics
///
/// Where it is missing.
pub fn program(name: &str) -> Guest {
    let path: PathBuf = compiler::programs().join(name);
    match Guest::open(&path) {
        Ok(guest) => guest,
        Err(error) => panic!("{error}: run scripts/programs, which gets it"),
    }
}

/// Shows the trial's `data` directory as `guest`, or, on an engine that cannot map, as what it is.
fn shown(case: &Case, guest: &str) -> (RunConfig, String) {
    let host = case.mkdir("data");
    let guest = if case.can("mapped_preopens") {
        guest.to_owned()
    } else {
        host.to_string_lossy().into_owned()
    };
    (captured().map_dir(host, &guest, Access::ReadWrite), guest)
}

/// CPython for an engine, with no limits; `None` as for [`Case::compile`]. It takes long to compile, so all trials of an
/// engine have the same.
fn cpython(case: &Case, config: &RunConfig) -> Option<Program> {
    static COMPILED: Made<Option<Program>> = Made::new();
    let guest = program("python.wasm");
    if case.refuses(&guest, config) {
        return None;
    }
    COMPILED.get(case.name(), || case.compile(&guest, &captured()))
}

fn cpython_reads_its_world_and_writes_a_file(case: &Case) {
    case.write(
        "data/planets.csv",
        include_str!("../../../examples/data/planets.csv"),
    );
    case.write("data/report.py", include_str!("../programs/report.py"));
    let (config, data) = shown(case, "/data");
    let config = config
        .args([&format!("{data}/report.py"), &data])
        .args(["one", "two words", "drei\u{1f980}"])
        .env("GREETING", "grüß dich")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdin::Bytes("abc\ndéf\n".into()));
    let Some(cpython) = cpython(case, &config) else {
        return;
    };
    let report = case.ran(cpython.run(&config));
    assert_eq!(stderr(&report), "done\n");
    assert_eq!(stdout(&report), "2 lines, 288 moons\n");
    assert_eq!(report.outcome, Outcome::Exited(7));
    assert_eq!(case.read("data/out/report.json"), REPORT);
    let mut left: Vec<_> = fs::read_dir(case.path("data/out"))
        .expect("the program made it")
        .map(|entry| entry.expect("it reads").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["report.json"]);

    // The same program once more, on what it is to find impossible.
    let config = captured().args(["/no/such/script.py"]);
    let report = case.ran(cpython.run(&config));
    assert_eq!(report.outcome, Outcome::Exited(2));
    assert!(
        stderr(&report).contains("/no/such/script.py"),
        "{}",
        stderr(&report)
    );
}

const REPORT: &str = r#"{
 "arguments": [
  "one",
  "two words",
  "drei🦀"
 ],
 "greeting": "grüß dich",
 "environment": [
  "GREETING"
 ],
 "lines": [
  "cba",
  "féd"
 ],
 "names": [
  "planets.csv",
  "report.py"
 ],
 "moons": 288,
 "sha256": "96a979f7d14d6633a1615b82958267f4d49ba959ce3e60c04c356a083a969a81"
}"#;

/// In directories whose files were made in another order.
fn cpython_does_the_same_twice(case: &Case) {
    let names = ["n", "e", "w", "s", "varies.py"];
    let (mut forth, mut back) = (names, names);
    forth.sort_unstable();
    back.reverse();
    let [one, two] = [("one", forth), ("two", back)].map(|(of, names)| {
        for name in names {
            let script = include_str!("../programs/varies.py");
            let content = if name == "varies.py" { script } else { "" };
            case.write(&format!("{of}/{name}"), content);
        }
        captured()
            .deterministic(1)
            .map_dir(case.path(of), "/data", Access::ReadOnly)
            .mount(Mount::memory("/scratch", 1 << 20))
            .args(["/data/varies.py", "/data", "/scratch"])
    });
    let Some(cpython) = cpython(case, &one) else {
        return;
    };
    let [first, second] = [one, two].map(|config| {
        let report = case.ran(cpython.run(&config));
        assert_eq!(stderr(&report), "");
        assert_eq!(report.outcome, Outcome::Exited(0));
        let left = report.layers[0].changes().expect("it is in memory");
        (stdout(&report), left)
    });
    assert_eq!(first, second);
    let (told, left) = first;
    assert!(told.contains(r#""date": "2000-01-02""#), "{told}");
    assert_eq!(left.len(), 4);
}

fn cpython_works_in_a_workspace(case: &Case) {
    const SCRIPT: &str = "
import errno
print(open('file').read(), open('/file').read())
try:
    open('new', 'w').write('new')
    print('written')
except OSError as error:
    print(errno.errorcode[error.errno])
";
    case.write("work/file", "content");
    let config = |profile: Profile| {
        profile
            .config(case.path("work"))
            .stdout(Stdout::Capture)
            .stderr(Stdout::Capture)
            .args(["-c", SCRIPT])
    };
    let read_only = config(Profile::ReadOnly);
    let Some(cpython) = cpython(case, &read_only) else {
        return;
    };
    for (profile, expected) in [
        (Profile::ReadOnly, "content content\nEROFS\n"),
        (Profile::ReadWrite, "content content\nwritten\n"),
    ] {
        let report = case.ran(cpython.run(&config(profile)));
        assert_eq!(
            (stdout(&report).as_str(), stderr(&report).as_str()),
            (expected, "")
        );
        let is_written = case.path("work/new").exists();
        assert_eq!(is_written, profile == Profile::ReadWrite);
    }
}

fn esbuild_bundles_and_minifies(case: &Case) {
    let main = include_str!("../programs/main.js");
    case.write("data/main.js", main);
    case.write("data/greet.js", include_str!("../programs/greet.js"));
    let guest = program("esbuild.wasm");

    let config = captured()
        .args(["--minify", "--loader=js", "--log-level=error"])
        .stdin(Stdin::Bytes(main.into()));
    let Some(esbuild) = case.compile(&guest, &config) else {
        return;
    };
    let report = case.ran(esbuild.run(&config));
    assert_eq!(stderr(&report), "");
    assert_eq!(
        stdout(&report),
        "import{greet as e}from\"./greet.js\";const r=[\"Mercury\",\"Venus\",\"Earth\",\"Mars\"];\
         for(const o of r)console.log(e(o));\n"
    );
    assert_eq!(report.outcome, Outcome::Exited(0));

    // It wants to see the directories above its input, up to the root.
    let config = captured()
        .map_dir(case.path("data"), "/", Access::ReadWrite)
        .env("PWD", "/")
        .args(["--bundle", "--minify", "--outfile=/out.js", "/main.js"])
        .arg("--log-level=error");
    if case.refuses(&hello(), &config) {
        return;
    }
    let report = case.ran(esbuild.run(&config));
    assert_eq!(
        (stdout(&report), stderr(&report)),
        (String::new(), String::new())
    );
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert_eq!(
        case.read("data/out.js"),
        "(()=>{function r(e){return`Hello, ${e}!`.toUpperCase()}var n=[\"Mercury\",\"Venus\",\
         \"Earth\",\"Mars\"];for(let e of n)console.log(r(e));})();\n"
    );
}

fn boolector_solves(case: &Case) {
    case.write(
        "data/factors.smt2",
        include_str!("../programs/factors.smt2"),
    );
    let (config, data) = shown(case, "/data");
    let config = config.arg(format!("{data}/factors.smt2"));
    if let Some(report) = case.run(&program("boolector.wasm"), &config) {
        assert_eq!(stderr(&report), "");
        assert_eq!(
            stdout(&report),
            "sat\n((a #b0000000010001111))\n((b #b0000000001100101))\n"
        );
        // Its code for a formula that can be satisfied.
        assert_eq!(report.outcome, Outcome::Exited(10));
    }
}

const LINES: &str = "abc\ndéf\n";

/// What the sources of the components are told. They fail in the end, each in its language's way: the run's result is an error.
fn told(config: RunConfig) -> RunConfig {
    config
        .args(["one", "two words", "drei\u{1f980}"])
        .env("GREETING", "grüß dich")
        .stdin(Stdin::Bytes(LINES.into()))
}

/// SpiderMonkey, which calls WASI 0.2 through the bindings that componentize-js makes.
fn a_component_from_javascript_tells_of_its_world(case: &Case) {
    let Some(report) = case.run(&program("tells-js.wasm"), &told(captured())) else {
        return;
    };
    assert_eq!(stderr(&report), "done\n");
    assert_eq!(
        stdout(&report),
        concat!(
            r#"{"arguments":["one","two words","drei🦀"],"greeting":"grüß dich","#,
            r#""lines":["cba","féd"],"power":"717897987691852588770249"}"#,
            "\n"
        )
    );
    assert_eq!(report.outcome, Outcome::Exited(1));
}

/// CPython, whose C library is linked to WASI 0.2 dynamically: several modules of one memory.
fn a_component_from_python_writes_a_file(case: &Case) {
    case.write("data/input", LINES);
    let (config, data) = shown(case, "/data");
    let config = told(config.arg(&data));
    let Some(report) = case.run(&program("tells-py.wasm"), &config) else {
        return;
    };
    assert_eq!(stderr(&report), "done\n");
    assert_eq!(stdout(&report), "158 bytes\n");
    assert_eq!(report.outcome, Outcome::Exited(1));
    assert_eq!(
        case.read("data/told.json"),
        concat!(
            r#"{"arguments": ["one", "two words", "drei🦀"], "greeting": "grüß dich", "#,
            r#""lines": ["cba", "féd"], "names": ["input"], "power": "717897987691852588770249"}"#,
            "\n"
        )
    );
}
