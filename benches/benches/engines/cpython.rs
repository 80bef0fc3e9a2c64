//! CPython, which starts with modules to import that are in each kind of file system.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use criterion::Criterion;
use wasmrun::{Access, Engines, MemoryMount, Mount, MountSource, Program, RunConfig, Stdout};
use wasmrun_testkit::{pack, programs};

use crate::group::{Group, timed};

const ENGINE: &str = "wasmtime";

/// Packages, and modules in each.
const PACKAGES: usize = 10;
const MODULES: usize = 20;

/// Bytes that may be written to memory.
const ROOM: u64 = 16 << 20;

pub fn benches(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let library = directory.path().join("lib");
    write_library(&library);
    // While the program is compiled, they become old enough that what was read of them is kept.
    let [tar, compressed] = ["lib.tar", "lib.tar.gz"].map(|name| {
        let archive = directory.path().join(name);
        pack(&library, &archive);
        archive
    });
    let config = RunConfig::new()
        .env("PYTHONPATH", "/lib")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdout(Stdout::Capture)
        .stderr(Stdout::Capture);
    let with = |mount| config.clone().mount(mount);
    let host = with(Mount::bind(&library, "/lib", Access::ReadOnly));
    // Only where one of these benches is asked for: it takes seconds.
    let program = LazyLock::new(|| {
        let engine = Engines::shared().get(ENGINE).expect(ENGINE);
        Program::compile(engine, &programs::program("python.wasm"), &host).expect(ENGINE)
    });
    let mut group = Group::new(criterion, "CPython starts");
    group.sample_size(10);
    let start = |config: &RunConfig| {
        let (program, config) = (&*program, config.clone().args(["-c", "import everything"]));
        timed(|| {
            let report = program.run(&config).expect(ENGINE);
            let errors = String::from_utf8_lossy(&report.stderr.bytes);
            assert!(report.outcome.success(), "{errors}");
        })
    };
    group.told(ENGINE, || start(&host));
    let copy = MemoryMount {
        bytes: Some(ROOM),
        from: Some(Box::new(host.mounts[0].source.clone())),
        ..MemoryMount::default()
    };
    let memory = Mount {
        source: MountSource::Memory(copy),
        ..Mount::memory("/lib", ROOM)
    };
    for (name, mount) in [
        ("memory", memory),
        ("overlay", Mount::overlay(&library, "/lib", ROOM)),
        ("tar", Mount::tar(tar, "/lib")),
        ("tar.gz", Mount::tar(compressed, "/lib")),
    ] {
        let config = with(mount);
        let name = format!("{ENGINE}/{name}");
        group.beside(name, || start(&host), || start(&config));
    }
}

/// Modules in packages, and one named `everything` that imports them all.
fn write_library(directory: &Path) {
    let mut everything = String::new();
    for package in 0..PACKAGES {
        let packaged = directory.join(format!("p{package}"));
        fs::create_dir_all(&packaged).expect("a directory");
        fs::write(packaged.join("__init__.py"), "").expect("a file");
        for module in 0..MODULES {
            let file = packaged.join(format!("m{module}.py"));
            fs::write(file, source()).expect("a file");
            writeln!(everything, "import p{package}.m{module}").expect("is text");
        }
    }
    fs::write(directory.join("everything.py"), everything).expect("a file");
}

/// A module of a kibibyte or two, which takes little to compile.
fn source() -> String {
    let functions = (0..10).map(|number| {
        format!(
            "def function_{number}(first, second):\n    \
             \"\"\"What it is for takes more room in a file than what it does.\"\"\"\n    \
             return first + second * {number}\n\n\n"
        )
    });
    functions.collect()
}
