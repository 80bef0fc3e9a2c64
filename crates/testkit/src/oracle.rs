//! Linux as the oracle: what a program finds as a guest is what it finds as a program of this machine.
//!
//! Where the WASI text leaves something open, the same C program says what is right. It is one idea, in a
//! file of `guests/oracle/`, which begins with `oracle.h` and has a function `look`; there it calls what it is about
//! and says what comes of it, with `TELL(call)`. A rule is then a [`Scene`] in which the program is put twice:
//!
//! ```ignore
//! fn files_are_sought_as_on_linux(case: &Case) {
//!     agrees(case, program!("offsets"), &Scene { files: &[("f", "0123456789")], ..SCENE });
//! }
//! ```
//!
//! What it says, what it writes, how it ends and what becomes of its directory are to be the same: on a directory of the host,
//! on a copy of it in memory, and below an overlay. The last two have to be as Linux's file system in memory is.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use wasmrun_core::{Access, Engine, Guest, Outcome, Program as Compiled, RunConfig, Stdin, Stdout};

use crate::case::{Case, Shown};
use crate::made::Made;
use crate::{Tree, compiler, guests};

/// A program of `guests/oracle/`, by its name.
macro_rules! program {
    ($name:literal) => {
        $crate::oracle::Program {
            name: $name,
            source: concat!(
                include_str!("../../guests/oracle/oracle.h"),
                include_str!(concat!("../../guests/oracle/", $name, ".c"))
            ),
        }
    };
}
pub(crate) use program;

/// A C program that is compiled twice.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) source: &'static str,
}

/// What a program is put into, as a guest and as a program of this machine.
pub(crate) struct Scene {
    /// What is in the directory it is given.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// What comes from the pipe that is its standard input.
    pub(crate) stdin: &'static str,
    /// What its standard output is, if it is no pipe.
    pub(crate) stdout: Option<&'static str>,
}

/// An empty one.
pub(crate) const SCENE: Scene = Scene {
    files: &[],
    stdin: "",
    stdout: None,
};

/// What is to be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    said: String,
    written: Vec<u8>,
    code: Option<i32>,
    tree: Tree,
}

/// Asserts that the program finds the same on an engine as on this machine; or as a component, what it finds as one on the
/// engine that the case is to be [like](Case::like). Where the engine lacks what it takes, that has been asserted instead.
pub(crate) fn agrees(case: &Case, program: Program, scene: &Scene) {
    if let Some(reference) = case.reference() {
        return agrees_as_component(case, reference, &program, scene);
    }
    let guest = compiled(&program);
    let Some(compiled) = case.compile(&guest, &config(scene, &case.mkdir("wasi"))) else {
        return;
    };
    for shown in [Shown::AsTheyAre, Shown::InMemory, Shown::BelowOverlays] {
        let case = case.on(case.engine()).shown(shown);
        let host = directory(case.mkdir("wasi"), scene);
        let guest = as_guest(&case, &compiled, scene, &host);
        let native = on_linux(&program, scene, shown);
        same(&format!("{}, {shown:?}", program.name), guest, native);
    }
}

/// What it finds as a program of this machine, whatever engine that is compared with: in memory, unless directories are as
/// they are.
fn on_linux(program: &Program, scene: &Scene, shown: Shown) -> Seen {
    static FOUND: Made<Seen> = Made::new();
    let (place, memory) = match shown {
        Shown::AsTheyAre => ("on the disk", std::env::temp_dir()),
        // Linux has memory for files there.
        _ => ("in memory", "/dev/shm".into()),
    };
    FOUND.get(&format!("{} {place}", program.name), || {
        let native = tempfile::tempdir_in(memory).expect("a temporary directory");
        as_native(program, scene, &directory(native.path().to_owned(), scene))
    })
}

fn agrees_as_component(case: &Case, reference: &Arc<dyn Engine>, program: &Program, scene: &Scene) {
    // It is flattened once for all engines, as is what is right.
    static COMPONENTS: Made<(Guest, Seen)> = Made::new();
    let seen = |engine: &Arc<dyn Engine>, component: &Guest| {
        let case = case.on(engine);
        let host = directory(case.mkdir("wasi"), scene);
        let compiled = case.compile(component, &config(scene, &host))?;
        Some(as_guest(&case, &compiled, scene, &host))
    };
    let (component, expected) = COMPONENTS.get(program.name, || {
        let component = guests::component(&compiled(program));
        let expected = seen(reference, &component).expect("it has components");
        (component, expected)
    });
    if let Some(seen) = seen(case.engine(), &component) {
        same(program.name, seen, expected);
    }
}

fn compiled(program: &Program) -> Guest {
    compiler::c(&format!("{}.wasm", program.name), program.source)
}

fn same(what: &str, guest: Seen, expected: Seen) {
    let lines = |seen: &Seen| seen.said.lines().map(str::to_owned).collect::<Vec<_>>();
    let differs = lines(&expected)
        .into_iter()
        .zip(lines(&guest))
        .filter(|(expected, guest)| expected != guest)
        .map(|(expected, guest)| format!("\n  {expected}, and the guest: {guest}"))
        .collect::<String>();
    assert!(differs.is_empty(), "{what}:{differs}");
    assert_eq!(guest, expected, "{what}: the guest's, and what is right");
}

fn directory(directory: PathBuf, scene: &Scene) -> PathBuf {
    for (file, content) in scene.files {
        fs::write(directory.join(file), content).expect("a file in a directory just made");
    }
    directory
}

fn config(scene: &Scene, host: &Path) -> RunConfig {
    RunConfig::new()
        .map_dir(host, "/d", Access::ReadWrite)
        .arg("/d")
        .stdin(Stdin::Bytes(scene.stdin.into()))
        .stdout(match scene.stdout {
            Some(path) => Stdout::File(path.into()),
            None => Stdout::Capture,
        })
        .stderr(Stdout::Capture)
}

fn as_guest(case: &Case, compiled: &Compiled, scene: &Scene, host: &Path) -> Seen {
    let report = case.run_compiled(compiled, &config(scene, host));
    Seen {
        said: String::from_utf8_lossy(&report.stderr.bytes).into_owned(),
        written: report.stdout.bytes,
        code: match report.outcome {
            Outcome::Exited(code) => Some(code),
            _ => None,
        },
        tree: read(host),
    }
}

fn as_native(program: &Program, scene: &Scene, directory: &Path) -> Seen {
    let executable = compiler::native(program.name, program.source);
    let mut child = Command::new(executable)
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(match scene.stdout {
            Some(path) => File::create(path).expect("it can be written to").into(),
            None => Stdio::piped(),
        })
        .stderr(Stdio::piped())
        .spawn()
        .expect("a program that was just compiled starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // Less than a pipe has room for.
    stdin.write_all(scene.stdin.as_bytes()).expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    Seen {
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
        written: output.stdout,
        code: output.status.code(),
        tree: read(directory),
    }
}

fn read(directory: &Path) -> Tree {
    Tree::read(directory).expect("the directory reads")
}
