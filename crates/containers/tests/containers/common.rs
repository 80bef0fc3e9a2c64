//! What the tests share.

use std::time::Duration;

use wasmrun::{Engines, Error, ErrorKind, Guest};
use wasmrun_containers::{Containers, LogQuery, Spec};
use wasmrun_testkit::guests::{self, Endless};

/// Longer than anything here takes.
pub const LONG: Duration = Duration::from_secs(60);

/// The engines that are tried where it could make a difference.
pub const ENGINES: &[&str] = &[
    "wasmi",
    #[cfg(feature = "wasmtime")]
    "wasmtime",
];

/// Containers whose images are guests of the test kit.
pub fn containers() -> Containers {
    Containers::with_images(Engines::new(), |reference, _, config| {
        Ok((image(reference)?, config.clone()))
    })
}

fn image(reference: &str) -> Result<Guest, Error> {
    Ok(match reference {
        "hello" => guests::hello(),
        "fails" => guests::exit(3),
        "cat" => guests::cat(),
        "loop" => Endless::Loop.guest(),
        "sleep" => Endless::Sleep.guest(),
        "trap" => guests::plain(r#"(func (export "_start") unreachable)"#),
        "write" => Endless::Write.guest(),
        // Two lines, the first of which is begun first and ends last; and one that does not end.
        "streams" => guests::wasi(
            r#"(data (i32.const 1024) "one\ntwo") (data (i32.const 1040) "error\n")
               (func (export "_start")
                 (call $print (i32.const 1024) (i32.const 1))
                 (call $write (i32.const 2) (i32.const 1040) (i32.const 6))
                 (call $print (i32.const 1025) (i32.const 6)))"#,
        ),
        _ => {
            let message = format!("no image {reference}");
            return Err(Error::new(ErrorKind::GuestNotFound, message));
        }
    })
}

/// A container's spec: an image on an engine.
pub fn spec(engine: &str, image: &str) -> Spec {
    let mut spec = Spec::of_image(image);
    spec.run.launch.engine = Some(engine.to_owned());
    spec
}

/// Creates and starts one.
pub fn started(containers: &Containers, id: &str, spec: Spec) {
    containers.create(id, spec).expect("a new one");
    containers.start(id).expect("it starts");
}

/// Waits until it has said a line.
pub fn has_spoken(containers: &Containers, id: &str) {
    let query = LogQuery::new().follow();
    let mut logs = containers.logs(id, &query).expect("it is there");
    logs.recv_timeout(LONG).expect("it speaks");
}

/// The lines of its log that are kept.
pub fn lines(containers: &Containers, id: &str) -> Vec<String> {
    let logs = containers.logs(id, &LogQuery::new()).expect("it is there");
    logs.map(|line| String::from_utf8_lossy(&line.bytes).into_owned())
        .collect()
}
