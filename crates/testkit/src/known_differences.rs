//! Where an engine is known to differ from what the suite expects, each with its reason.
//!
//! What is refused stays refused, what is contained stays contained. Where a runtime hides from us how
//! its guest ended, that is here too, until it can be seen from outside.
//!
//! An entry that a whole run did not need fails that run, so that the list never outlives what it tells.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A known difference.
struct Known {
    engine: &'static str,
    /// Why it is there, and why it stays.
    why: &'static str,
    /// Whether it is the difference between what was expected and what was seen, in a part of a
    /// rule or scenario (an operation of `files`, mostly).
    covers: fn(part: &str, expected: &str, seen: &str) -> bool,
}

const KNOWN: &[Known] = &[
    Known {
        engine: "wasmer-cli",
        why: "wasmer takes exit codes modulo 256 before its process ends: 256 looks like 0",
        covers: |part, _, seen| part.starts_with("exit ") && seen == "exited with 0",
    },
    Known {
        engine: "wasmedge-cli",
        why: "with its log off, as it goes to standard output, a trap is an exit with 134",
        covers: |part, _, seen| part == "exit 134" && seen == "trapped: wasm trap",
    },
    Known {
        engine: "wasmedge-cli",
        why: "WasmEdge's stack is bounded by the host's memory alone",
        covers: |part, _, seen| part == "recursion without bound" && seen == "exited with 7",
    },
    Known {
        engine: "node-cli",
        why: "V8 has one message for both ways in which a float cannot become an integer",
        covers: |part, expected, seen| {
            part.contains("trunc")
                && (expected, seen) == ("integer overflow", "invalid conversion to integer")
        },
    },
    Known {
        engine: "node-cli",
        why: "uvwasi keeps the rights of preview1, and knows what a stream is only by them",
        covers: |part, expected, seen| match part {
            "preopen 1" => (expected, seen) == ("BADF", "INVAL"),
            "seek 1 0 cur" => (expected, seen) == ("SPIPE", "NOTCAPABLE"),
            _ => false,
        },
    },
    Known {
        engine: "wazero-cli",
        why: "wazero's streams have an empty preopen name, and a seek fails as any other I/O does",
        covers: |part, expected, seen| match part {
            "preopen 1" => (expected, seen) == ("BADF", "ok "),
            "seek 1 0 cur" => (expected, seen) == ("SPIPE", "IO"),
            _ => false,
        },
    },
    Known {
        engine: "wasmedge-cli",
        why: "WasmEdge keeps the rights of preview1: what a descriptor may not do is NOTCAPABLE",
        covers: |_, expected, seen| is_error(expected) && seen == "NOTCAPABLE",
    },
    Known {
        engine: "wasmedge-cli",
        why: "a descriptor that is no preopen is INVAL, not BADF",
        covers: |part, expected, seen| {
            part.starts_with("preopen ") && (expected, seen) == ("BADF", "INVAL")
        },
    },
    Known {
        engine: "wasmedge-cli",
        why: "preopens lose the slash they start with, which C libraries do not look at",
        covers: |part, expected, seen| {
            part.starts_with("preopen ") && expected.replacen("ok /", "ok ", 1) == seen
        },
    },
    Known {
        engine: "wasmedge-cli",
        why: "creating exclusively follows a symlink to nowhere, within the directory",
        covers: |part, expected, seen| {
            part == "open a 3:dangling write create exclusive"
                && (expected, seen) == ("EXIST", "ok")
        },
    },
    Known {
        engine: "wasmedge-cli",
        why: "argv[0] ends in .wasm whatever the file is called",
        covers: |part, expected, seen| {
            part == "argv[0]" && Path::new(expected).with_extension("wasm") == Path::new(seen)
        },
    },
    Known {
        engine: "wasmer-cli",
        why: "wasmer's file system tells errors by its own numbers",
        covers: |_, expected, seen| is_error(expected) && is_error(seen),
    },
    Known {
        engine: "wasmer-cli",
        why: "all mounts are beneath one root in memory, where `..` and `/` lead; it holds nothing \
              else of the host",
        covers: |part, expected, seen| {
            let up = [":/", ":.", "..", "3: "].iter().any(|up| part.contains(up));
            let outside = ["secret", "/etc"]
                .iter()
                .any(|outside| part.contains(outside));
            let reached = (is_error(expected) || expected == "an error") && seen.starts_with("ok");
            part.starts_with("preopen ")
                || (part, expected) == ("open descriptor", "none")
                || (up && !outside && reached)
        },
    },
    Known {
        engine: "wasmer-cli",
        why: "symlinks are made in memory, absolute ones as well",
        covers: |part, expected, seen| {
            part.starts_with("symlink /") && (expected, seen) == ("PERM", "ok")
        },
    },
    Known {
        engine: "wasmer-cli",
        why: "links are made in memory, of directories as well, and are not counted",
        covers: |part, expected, seen| {
            (part.ends_with(" links") && (expected, seen) == ("ok 2", "ok 1"))
                || (part.starts_with("link 3:dir ") && (expected, seen) == ("PERM", "ok"))
        },
    },
    Known {
        engine: "wasmer-cli",
        why: "times are set in memory at most",
        covers: |part, _, seen| part.ends_with(" mtime") && seen.starts_with("ok "),
    },
    Known {
        engine: "wasmer-cli",
        why: "appending overwrites what was appended before, or what the last seek led to",
        covers: |part, expected, _| {
            part == "read b" && ["ok 0123456789abcdef", "ok 0123"].contains(&expected)
        },
    },
    Known {
        engine: "wasmer-cli",
        why: "a directory that the guest has not looked at is not there to be removed",
        covers: |part, expected, seen| {
            part == "rmdir 3:empty" && (expected, seen) == ("ok", "NOENT")
        },
    },
    Known {
        engine: "wasmer-cli",
        why: "a descriptor stays open when it is given another number, and directories can be sought",
        covers: |part, expected, seen| {
            expected == "BADF"
                && [("read a", "ok "), ("seek d 0 set", "ok 0")].contains(&(part, seen))
        },
    },
    Known {
        engine: "wasmer-cli",
        why: "its streams are terminals to the guest wherever they lead",
        covers: |part, _, seen| (part, seen) == ("file type of a stream", "a terminal"),
    },
];

fn is_error(outcome: &str) -> bool {
    outcome.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The places in the list that were needed.
static NEEDED: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

/// Whether a difference is known.
pub(crate) fn is_known(engine: &str, part: &str, expected: &str, seen: &str) -> bool {
    let covers = |known: &Known| known.engine == engine && (known.covers)(part, expected, seen);
    let Some(place) = KNOWN.iter().position(covers) else {
        return false;
    };
    let mut needed = NEEDED.lock().unwrap_or_else(PoisonError::into_inner);
    needed.insert(place);
    true
}

/// The entries that no trial of this process has needed, as engine and reason.
pub fn unneeded() -> Vec<(&'static str, &'static str)> {
    let needed = NEEDED.lock().unwrap_or_else(PoisonError::into_inner);
    let entries = KNOWN.iter().enumerate();
    entries
        .filter(|(place, _)| !needed.contains(place))
        .map(|(_, known)| (known.engine, known.why))
        .collect()
}
