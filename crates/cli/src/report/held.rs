//! What holds of every report, whatever it tells of. The fuzz targets use it too.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use wasmrun::{EngineInfo, Error, ErrorKind, Limits, Outcome, Place, Stats, Trap, TrapKind};

use crate::report::{ReportFile, RunReport};

/// A report is one JSON value, in which every text is what it was.
pub fn report(path: &[u8], text: &str, number: u64) {
    let path = PathBuf::from(OsString::from_vec(path.to_vec()));
    let mut limits = Limits::default();
    limits.memory = Some(number);
    limits.timeout = Some(Duration::from_nanos(number));
    let mut report = RunReport::new(&path, &limits);
    let engine = EngineInfo {
        name: text.into(),
        version: text.into(),
        place: Place::Executable(path.clone()),
    };
    report.selected(&engine, Duration::from_nanos(number));
    let mut stats = Stats::default();
    stats.run = Some(Duration::from_nanos(number));
    stats.fuel_used = Some(number);
    let trap = Trap::new(TrapKind::Other, text);
    report.ended(&Outcome::Trapped(trap), &stats, Some(9));
    report.failed(&Error::new(ErrorKind::Engine, text).with_engine(text));

    let file = tempfile::NamedTempFile::new().expect("a file");
    let to = ReportFile::create(file.path()).expect("it is there");
    report.write(to, 7).expect("it is written");
    let written = std::fs::read(file.path()).expect("it is there");
    let read: Value = serde_json::from_slice(&written).expect("it is JSON");
    assert_eq!(read["guest"]["path"], *path.to_string_lossy());
    assert_eq!(read["engine"]["name"], *text);
    assert_eq!(read["outcome"]["detail"]["message"], *text);
    assert_eq!(read["fuel_used"], number);
    assert_eq!(read["limits"]["memory"], number);
    assert_eq!(read["exit_code"], 7);
}
