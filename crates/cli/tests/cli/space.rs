//! Tests in namespaces of their own: with a network that has nothing else in it, and file systems as small as they want.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use tempfile::TempDir;
use wasmrun_testkit::compiler;

/// Says to a test that it is in there, and where its scratch directory is.
const INSIDE: &str = "WASMRUN_TEST_SPACE";

/// What `space.c` exits with where the system does not let it do its work.
const REFUSED: i32 = 77;

/// Something that a test wants to have there, beside loopback.
#[derive(Debug, Clone, Copy)]
pub enum Want {
    /// A further address of loopback.
    Address(&'static str),
    /// A file of this content at this place of the system, if the system has one there.
    File(&'static str, &'static str),
    /// A tmpfs with these options, at this name in the scratch directory.
    Tmpfs(&'static str, &'static str),
}

/// Starts the test of this name again, alone and in namespaces of its own, and sees to it that it passes. In there, this
/// returns its scratch directory.
///
/// Where the system does not let that be made the test fails, if this is CI, and otherwise is left out, with a warning.
pub fn enter(test: &str, wants: &[Want]) -> Option<PathBuf> {
    if let Some(scratch) = env::var_os(INSIDE) {
        return Some(scratch.into());
    }
    let scratch = TempDir::new().expect("a directory");
    let program = compiler::native("space", include_str!("space.c"));
    let ran = Command::new(program)
        .args(options(wants, scratch.path()))
        .arg(env::current_exe().expect("a test binary"))
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, scratch.path())
        .output()
        .expect("it starts");
    if ran.status.code() == Some(REFUSED) {
        left_out(test, &ran);
    } else {
        let told = String::from_utf8_lossy(&ran.stdout);
        let passed = ran.status.success() && told.contains("1 passed");
        assert!(passed, "{told}\n{}", String::from_utf8_lossy(&ran.stderr));
    }
    None
}

/// What `space.c` is told.
fn options(wants: &[Want], scratch: &Path) -> Vec<String> {
    let mut options = Vec::new();
    let path = |path: PathBuf| path.into_os_string().into_string().expect("UTF-8");
    for (number, want) in wants.iter().enumerate() {
        match *want {
            Want::Address(address) => options.extend(["-a".into(), address.into()]),
            Want::File(place, content) => {
                if Path::new(place).exists() {
                    let file = scratch.join(format!("file{number}"));
                    fs::write(&file, content).expect("a file");
                    options.extend(["-f".into(), path(file), place.into()]);
                }
            }
            Want::Tmpfs(name, with) => {
                let directory = scratch.join(name);
                fs::create_dir(&directory).expect("a directory");
                options.extend(["-t".into(), with.into(), path(directory)]);
            }
        }
    }
    options
}

fn left_out(test: &str, ran: &Output) {
    let reason = String::from_utf8_lossy(&ran.stderr);
    let reason = format!(
        "cannot {}; it takes user namespaces with all rights in them (user.max_user_namespaces above 0 and, where there \
         is such a setting, kernel.apparmor_restrict_unprivileged_userns=0) or root, in a container with --privileged, \
         and IPv6",
        reason.trim_end()
    );
    assert!(env::var_os("CI").is_none(), "{reason}");
    // Past the test harness, which shows nothing of a test that passes.
    let warning = format!("WARNING: {test} was not tried at all: {reason}\n");
    io::stderr().write_all(warning.as_bytes()).expect("stderr");
}
