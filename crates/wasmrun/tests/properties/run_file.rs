//! Whatever text is given for a run, it is refused in a line or means one run.

use wasmrun::RunFile;

pub fn holds(text: &str) {
    for read in [RunFile::from_toml(text), RunFile::from_json(text)] {
        match read {
            Ok(file) => survives(&file),
            Err(error) => assert!(!error.to_string().contains('\n')),
        }
    }
    if let Err(error) = wasmrun::env_file::parse("a.env", text.as_bytes()) {
        assert!(error.to_string().starts_with("a.env, line "));
    }
}

/// It is the same after being written and read again, in either format.
pub fn survives(file: &RunFile) {
    let toml = file.to_toml().expect("what was read can be written");
    let again = RunFile::from_toml(&toml).expect("what was written can be read");
    assert_eq!(&again, file, "{toml}");
    let json = file.to_json().expect("what was read can be written");
    let again = RunFile::from_json(&json).expect("what was written can be read");
    assert_eq!(&again, file, "{json}");
}
