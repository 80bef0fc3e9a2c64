//! The manual.

use crate::common::run;

#[test]
fn help_goes_to_stdout_and_is_a_success() {
    for args in [
        &["--help"][..],
        &["-h"],
        &["run", "--help"],
        &["compare", "--help"],
        &["bench", "--help"],
        &["engines", "--help"],
        &["inspect", "--help"],
        &["compile", "--help"],
        &["cache", "--help"],
        &["cache", "prune", "--help"],
    ] {
        let seen = run(args);
        assert_eq!(seen.code, Some(0), "{args:?}");
        assert_eq!(seen.stderr, "", "{args:?}");
    }
}

#[test]
fn help_reads_like_this() {
    insta::assert_snapshot!("help_short", run(["-h"]).stdout);
    insta::assert_snapshot!("help_long", run(["--help"]).stdout);
    insta::assert_snapshot!("help_compare", run(["compare", "-h"]).stdout);
    insta::assert_snapshot!("help_bench", run(["bench", "--help"]).stdout);
}
