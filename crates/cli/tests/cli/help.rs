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
        &["config", "--help"],
        &["schema", "--help"],
        &["cache", "--help"],
        &["cache", "prune", "--help"],
        #[cfg(feature = "oci")]
        &["pull", "--help"],
        #[cfg(feature = "oci")]
        &["push", "--help"],
        #[cfg(feature = "oci")]
        &["login", "--help"],
        &["completions", "--help"],
        &["man", "--help"],
    ] {
        let seen = run(args);
        assert_eq!(seen.code, Some(0), "{args:?}");
        assert_eq!(seen.stderr, "", "{args:?}");
    }
}

// A build without registries has no word of them.
#[cfg(feature = "oci")]
#[test]
fn help_reads_like_this() {
    insta::assert_snapshot!("help_short", run(["-h"]).stdout);
    insta::assert_snapshot!("help_long", run(["--help"]).stdout);
    insta::assert_snapshot!("help_compare", run(["compare", "-h"]).stdout);
    insta::assert_snapshot!("help_bench", run(["bench", "--help"]).stdout);
}

#[test]
fn shells_learn_the_command_line() {
    for (shell, mark) in [
        ("bash", "complete -F _wasmrun"),
        ("zsh", "#compdef wasmrun"),
        ("fish", "complete -c wasmrun"),
    ] {
        let seen = run(["completions", shell]);
        assert_eq!((seen.code, &*seen.stderr), (Some(0), ""), "{shell}");
        for known in [mark, "compare", "max-memory", "env-file"] {
            assert!(seen.stdout.contains(known), "{shell}: {known}");
        }
    }
    assert_eq!(run(["completions", "ksh"]).code, Some(125));
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let dir = tempfile::tempdir().expect("a directory");
    let man = dir.path().join("share/man1");
    let seen = run(["man".as_ref(), man.as_os_str()]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    assert_eq!((&*seen.stdout, &*seen.stderr), ("", ""));
    let mut pages: Vec<_> = std::fs::read_dir(&man)
        .expect("it was made")
        .map(|page| page.expect("it can be read").file_name())
        .collect();
    pages.sort();
    assert_eq!(
        pages,
        [
            "wasmrun-bench.1",
            "wasmrun-cache-clear.1",
            "wasmrun-cache-dir.1",
            "wasmrun-cache-list.1",
            "wasmrun-cache-prune.1",
            "wasmrun-cache-verify.1",
            "wasmrun-cache.1",
            "wasmrun-compare.1",
            "wasmrun-compile.1",
            "wasmrun-completions.1",
            "wasmrun-config.1",
            "wasmrun-engines.1",
            "wasmrun-flatten.1",
            #[cfg(feature = "oci")]
            "wasmrun-images.1",
            "wasmrun-inspect.1",
            "wasmrun-kill.1",
            #[cfg(feature = "oci")]
            "wasmrun-load.1",
            #[cfg(feature = "oci")]
            "wasmrun-login.1",
            #[cfg(feature = "oci")]
            "wasmrun-logout.1",
            "wasmrun-logs.1",
            "wasmrun-man.1",
            #[cfg(feature = "oci")]
            "wasmrun-prune.1",
            "wasmrun-ps.1",
            #[cfg(feature = "oci")]
            "wasmrun-pull.1",
            #[cfg(feature = "oci")]
            "wasmrun-push.1",
            "wasmrun-rm.1",
            #[cfg(feature = "oci")]
            "wasmrun-rmi.1",
            "wasmrun-run.1",
            #[cfg(feature = "oci")]
            "wasmrun-save.1",
            "wasmrun-schema.1",
            "wasmrun-start.1",
            "wasmrun-stats.1",
            "wasmrun-stop.1",
            #[cfg(feature = "oci")]
            "wasmrun-tag.1",
            "wasmrun-wait.1",
            "wasmrun-workspace-changes.1",
            "wasmrun-workspace-commit.1",
            "wasmrun-workspace-diff.1",
            "wasmrun-workspace-export.1",
            "wasmrun-workspace-fork.1",
            "wasmrun-workspace-import.1",
            "wasmrun-workspace-ls.1",
            "wasmrun-workspace-new.1",
            "wasmrun-workspace-reset.1",
            "wasmrun-workspace-rm.1",
            "wasmrun-workspace.1",
            "wasmrun.1",
        ]
    );
    let page = std::fs::read_to_string(man.join("wasmrun-inspect.1")).expect("a page");
    insta::assert_snapshot!("man_inspect", page);

    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let seen = run(["man".as_ref(), file.as_os_str()]);
    assert_eq!(seen.code, Some(125), "{seen:?}");
    assert!(seen.message().starts_with("cannot write the manual into "));
}
