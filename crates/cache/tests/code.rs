//! Compiled code: when it is found, and when it is not.
#![cfg(unix)]

#[allow(dead_code, reason = "each test file uses its part")]
mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use common::{Fake, HIT, Here, change, compile, compile_for, guest, miss};
use serde_json::{Value, json};
use wasmrun_cache::Cache;
use wasmrun_core::{CacheUse, ErrorKind, Guest, Limits, Miss, RunConfig};

fn limited(change: impl FnOnce(&mut Limits)) -> RunConfig {
    RunConfig::new().limit(change)
}

#[test]
fn what_was_compiled_once_is_loaded_the_next_time() {
    let here = Here::new();
    let engine = Arc::new(Fake::default());
    assert_eq!(
        compile(&engine, &guest(1), &here.cache()),
        miss(Miss::Unseen)
    );
    assert_eq!(compile(&engine, &guest(1), &here.cache()), HIT);
    // By its content and not by its name.
    let renamed = Guest::from_bytes("other.wasm", guest(1).bytes()).expect("a guest");
    assert_eq!(compile(&engine, &renamed, &here.cache()), HIT);
    assert_eq!(engine.compiled(), 1);
    assert_eq!(
        compile(&engine, &guest(2), &here.cache()),
        miss(Miss::Unseen)
    );
}

#[test]
fn code_is_for_one_engine_version_and_setting_and_a_miss_says_which_differs() {
    let here = Here::new();
    let (cache, guest) = (here.cache(), guest(1));
    let engine = Arc::new(Fake::default());
    assert_eq!(compile(&engine, &guest, &cache), miss(Miss::Unseen));
    for config in [
        limited(|limits| limits.fuel = Some(1)),
        limited(|limits| limits.timeout = Some(Duration::from_secs(9))),
        limited(|limits| limits.stack = Some(1 << 20)),
        limited(|limits| limits.stack = Some(2 << 20)),
    ] {
        let used = compile_for(&engine, &guest, &cache, &config);
        assert_eq!(used, miss(Miss::OtherSettings));
        assert_eq!(compile_for(&engine, &guest, &cache, &config), HIT);
    }
    // How much fuel is not the code's business.
    let more = limited(|limits| limits.fuel = Some(2));
    assert_eq!(compile_for(&engine, &guest, &cache, &more), HIT);

    for (engine, why) in [
        (Fake::new("other", "1.0", ""), Miss::OtherEngine),
        (Fake::new("fake", "1.1", ""), Miss::OtherVersion),
        (Fake::new("fake", "1.0", "no AVX"), Miss::OtherSettings),
    ] {
        let engine = Arc::new(engine);
        assert_eq!(compile(&engine, &guest, &cache), miss(why));
        assert_eq!(compile(&engine, &guest, &cache), HIT);
    }
    assert_eq!(compile(&engine, &guest, &cache), HIT);
    assert_eq!(cache.verify().expect("verifies").good, 8);
}

#[test]
fn a_damaged_or_truncated_entry_is_a_miss_and_then_whole_again() {
    let here = Here::new();
    let (cache, guest) = (here.cache(), guest(1));
    let engine = Arc::new(Fake::default());
    compile(&engine, &guest, &cache);
    for (directory, damage) in [
        ("entries", (|file| file[70] ^= 1) as fn(&mut Vec<u8>)),
        ("entries", |file| file.truncate(100)),
        ("entries", Vec::clear),
        ("entries", |file| *file = b"something else".to_vec()),
        ("code", |file| file.truncate(10)),
        ("code", Vec::clear),
        ("code", |file| file.push(0)),
        ("code", |file| file[3] ^= 1),
    ] {
        change(&here.only_file(directory), damage);
        assert_eq!(compile(&engine, &guest, &cache), miss(Miss::Damaged));
        assert_eq!(compile(&engine, &guest, &cache), HIT);
    }
    fs::remove_file(here.only_file("code")).expect("removes");
    assert_eq!(compile(&engine, &guest, &cache), miss(Miss::Damaged));
    assert_eq!(compile(&engine, &guest, &cache), HIT);
}

#[test]
fn an_entry_under_the_name_of_another_is_a_miss() {
    let here = Here::new();
    let cache = here.cache();
    let engine = Arc::new(Fake::default());
    compile(&engine, &guest(1), &cache);
    let first = here.only_file("entries");
    let content = fs::read(&first).expect("reads");
    fs::remove_file(&first).expect("removes");
    compile(&engine, &guest(2), &cache);
    fs::write(here.only_file("entries"), content).expect("writes");
    assert_eq!(compile(&engine, &guest(2), &cache), miss(Miss::Damaged));
}

#[test]
fn code_that_others_may_write_to_or_that_is_a_link_is_a_miss() {
    let here = Here::new();
    let (cache, guest) = (here.cache(), guest(1));
    let engine = Arc::new(Fake::default());
    compile(&engine, &guest, &cache);
    let code = here.only_file("code");
    fs::set_permissions(&code, PermissionsExt::from_mode(0o666)).expect("opens it up");
    assert_eq!(compile(&engine, &guest, &cache), miss(Miss::Damaged));

    let code = here.only_file("code");
    let elsewhere = here.path("elsewhere");
    fs::rename(&code, &elsewhere).expect("renames");
    std::os::unix::fs::symlink(&elsewhere, &code).expect("links");
    assert_eq!(compile(&engine, &guest, &cache), miss(Miss::Damaged));
    assert_eq!(compile(&engine, &guest, &cache), HIT);
}

#[test]
fn a_flipped_bit_that_no_time_tells_of_is_found_by_verify_and_once_the_system_was_started_anew() {
    let here = Here::new();
    let (cache, guest) = (here.cache(), guest(1));
    let engine = Arc::new(Fake::default());
    compile(&engine, &guest, &cache);
    let flip = |file: &mut Vec<u8>| file[3] ^= 1;

    change(&here.only_file("code"), flip);
    let verified = cache.verify().expect("verifies");
    assert_eq!((verified.good, verified.damaged.len()), (0, 1));
    assert_eq!(verified.damaged[0].guest, "app.wat");
    assert!(here.files("code").is_empty() && here.files("entries").is_empty());
    assert_eq!(compile(&engine, &guest, &cache), miss(Miss::Unseen));

    // As if the code had been as it is now when it was last compared, under another start.
    let entry = here.only_file("entries");
    let age = || {
        change(&entry, |record| {
            let mut json: Value = serde_json::from_slice(&record[65..]).expect("JSON");
            let code = fs::metadata(here.only_file("code")).expect("the code");
            let compared = &mut json["compared"];
            compared["stamp"]["modified"] = json!([code.mtime(), code.mtime_nsec()]);
            compared["stamp"]["changed"] = json!([code.ctime(), code.ctime_nsec()]);
            compared["boot"] = "another".into();
            let json = serde_json::to_vec(&json).expect("JSON");
            let digest = wasmrun_core::Digest::of(&json);
            *record = [digest.to_string().as_bytes(), b"\n", &json].concat();
        })
    };
    age();
    assert_eq!(compile(&engine, &guest, &cache), HIT);
    let noted = fs::read_to_string(&entry).expect("reads");
    assert!(!noted.contains(r#""another""#), "it is compared once");
    change(&here.only_file("code"), flip);
    age();
    assert_eq!(compile(&engine, &guest, &cache), miss(Miss::Damaged));
    assert_eq!(compile(&engine, &guest, &cache), HIT);
}

#[test]
fn code_whose_times_changed_and_nothing_else_is_compared_once() {
    let here = Here::new();
    let (cache, guest) = (here.cache(), guest(1));
    let engine = Arc::new(Fake::default());
    compile(&engine, &guest, &cache);
    let entry = here.only_file("entries");
    let before = fs::read(&entry).expect("reads");
    change(&here.only_file("code"), |_| ());
    assert_eq!(compile(&engine, &guest, &cache), HIT);
    let noted = fs::read(&entry).expect("reads");
    assert_ne!(noted, before);
    assert_eq!(compile(&engine, &guest, &cache), HIT);
    assert_eq!(fs::read(&entry).expect("reads"), noted);
}

#[test]
fn code_that_the_engine_does_not_load_is_compiled_and_no_error() {
    let here = Here::new();
    let (cache, guest) = (here.cache(), guest(1));
    let engine = Arc::new(Fake::new("fake", "1.0", "takes nothing"));
    assert_eq!(compile(&engine, &guest, &cache), miss(Miss::Unseen));
    assert_eq!(compile(&engine, &guest, &cache), miss(Miss::Rejected));
    assert_eq!(engine.compiled(), 2);
}

#[test]
fn a_disk_that_takes_nothing_is_a_miss_and_no_error() {
    let here = Here::new();
    let (cache, guest) = (here.cache(), guest(1));
    // Permissions would not keep root from writing; this does.
    fs::write(here.path("cache/v1"), "in the way").expect("writes");
    let engine = Arc::new(Fake::default());
    match compile(&engine, &guest, &cache) {
        CacheUse::Miss {
            why: Miss::Unreadable,
            not_kept: Some(_),
        } => {}
        used => panic!("{used:?}"),
    }
    fs::remove_file(here.path("cache/v1")).expect("removes");
    compile(&engine, &guest, &cache);
    assert_eq!(compile(&engine, &guest, &cache), HIT);
}

#[test]
fn a_read_only_directory_still_serves_what_is_in_it() {
    let here = Here::new();
    let (cache, known) = (here.cache(), guest(1));
    let engine = Arc::new(Fake::default());
    compile(&engine, &known, &cache);
    let closed = |mode| {
        for directory in ["cache/v1/code", "cache/v1/entries", "cache/v1", "cache"] {
            let permissions = PermissionsExt::from_mode(mode);
            fs::set_permissions(here.path(directory), permissions).expect("changes the mode");
        }
    };
    closed(0o500);
    assert_eq!(compile(&engine, &known, &here.cache()), HIT);
    let used = compile(&engine, &guest(2), &here.cache());
    let CacheUse::Miss { why, .. } = used else {
        panic!("{used:?}");
    };
    assert_eq!(why, Miss::Unseen);
    closed(0o700);
}

#[test]
fn a_directory_that_is_not_ours_alone_is_refused_and_said_how_to_close() {
    let here = Here::new();
    drop(here.cache());
    let directory = here.path("cache");
    for mode in [0o701, 0o710, 0o755, 0o777] {
        fs::set_permissions(&directory, PermissionsExt::from_mode(mode)).expect("opens it up");
        let error = Cache::open(&directory).expect_err("open to others");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("chmod 700"), "{error}");
    }
    fs::set_permissions(&directory, PermissionsExt::from_mode(0o700)).expect("closes it");
    assert!(Cache::open(&directory).is_ok());

    let of_another = match std::os::unix::fs::chown(&directory, Some(65_534), None) {
        Ok(()) => directory,
        // Only root can give a directory away; then there is one of root's.
        Err(_) => "/".into(),
    };
    let error = Cache::open(&of_another).expect_err("somebody else's");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("belongs to user"), "{error}");

    let file = here.path("file");
    fs::write(&file, "").expect("writes");
    let error = Cache::open(&file).expect_err("a file");
    assert!(error.to_string().contains("not a directory"), "{error}");
}

#[test]
fn many_writers_at_once_leave_every_entry_whole() {
    let here = Here::new();
    let engine = Arc::new(Fake::default().padded(60_000));
    thread::scope(|scope| {
        for start in 0..8 {
            let (here, engine) = (&here, &engine);
            scope.spawn(move || {
                // Each its own, as processes have.
                let cache = here.cache();
                for round in 0..20 {
                    let used = compile(engine, &guest((start + round) % 10), &cache);
                    let fine = match used {
                        CacheUse::Hit => true,
                        CacheUse::Miss { not_kept, .. } => not_kept.is_none(),
                        _ => false,
                    };
                    assert!(fine);
                }
            });
        }
    });
    let verified = here.cache().verify().expect("verifies");
    assert_eq!((verified.good, verified.damaged.len()), (10, 0));
    assert_eq!(here.files("code").len(), 10);
}

#[test]
fn writers_and_sweepers_do_not_disturb_each_other() {
    let here = Here::new();
    let engine = Arc::new(Fake::default().padded(16 << 10));
    thread::scope(|scope| {
        for start in 0..4 {
            let (here, engine) = (&here, &engine);
            scope.spawn(move || {
                let cache = here.cache().with_max_bytes(64 << 10);
                for round in 0..50 {
                    compile(engine, &guest((start * 3 + round) % 10), &cache);
                }
            });
        }
        let here = &here;
        scope.spawn(move || {
            for _ in 0..50 {
                here.cache().prune(32 << 10).expect("prunes");
            }
        });
    });
    let verified = here.cache().verify().expect("verifies");
    assert!(verified.damaged.is_empty(), "{verified:?}");
}

/// Makes an entry look as if it had last been used so many hours ago.
fn age(here: &Here, guest: usize, hours: u64) {
    let name = common::guest(guest).digest().to_string();
    let entry = here
        .files("entries")
        .into_iter()
        .find(|file| {
            let file = file.file_name().expect("a name").to_string_lossy();
            file.starts_with(&name[..32])
        })
        .expect("an entry");
    let then = SystemTime::now() - Duration::from_secs(hours * 3600);
    fs::File::open(entry)
        .and_then(|file| file.set_modified(then))
        .expect("ages");
}

#[test]
fn what_was_used_longest_ago_goes_first() {
    let here = Here::new();
    let cache = here.cache().with_max_bytes(45_000);
    let engine = Arc::new(Fake::default().padded(10_000));
    for number in 0..4 {
        compile(&engine, &guest(number), &cache);
        age(&here, number, 9 - number as u64);
    }
    // The oldest of all, but for this use.
    assert_eq!(compile(&engine, &guest(0), &cache), HIT);
    compile(&engine, &guest(4), &cache);
    let kept: Vec<bool> = (0..5)
        .map(|number| {
            let name = guest(number).digest();
            let entries = cache.list().expect("lists");
            entries.iter().any(|entry| entry.guest_digest == name)
        })
        .collect();
    assert_eq!(kept, [true, false, true, true, true]);
    assert_eq!(here.files("code").len(), 4);

    let removed = cache.prune(25_000).expect("prunes");
    assert_eq!(removed.entries, 2);
    assert_eq!(compile(&engine, &guest(0), &cache), HIT);
    assert_eq!(compile(&engine, &guest(4), &cache), HIT);
}

#[test]
fn code_larger_than_the_cache_is_not_kept_and_costs_no_other() {
    let here = Here::new();
    let cache = here.cache().with_max_bytes(5_000);
    let small = Arc::new(Fake::default());
    compile(&small, &guest(1), &cache);
    let large = Arc::new(Fake::default().padded(6_000));
    match compile(&large, &guest(2), &cache) {
        CacheUse::Miss {
            not_kept: Some(why),
            ..
        } => assert_eq!(why, "6000 bytes of code exceed the cache's 5000"),
        used => panic!("{used:?}"),
    }
    assert_eq!(compile(&small, &guest(1), &cache), HIT);
}

#[test]
fn what_an_interrupted_writer_left_is_swept_up() {
    let here = Here::new();
    let cache = here.cache();
    let engine = Arc::new(Fake::default());
    compile(&engine, &guest(1), &cache);
    let orphan = here.path("cache/v1/code").join("0".repeat(64));
    let unfinished = here.path("cache/v1/code/.unfinished-x");
    // What is known of guests is written without the lock.
    let guests = here.path("cache/v1/guests");
    fs::create_dir_all(&guests).expect("a directory");
    let record = guests.join(".unfinished-x");
    for left in [&orphan, &unfinished, &record] {
        fs::write(left, "left").expect("writes");
    }
    let removed = cache.prune(u64::MAX).expect("prunes");
    assert_eq!((removed.entries, removed.bytes), (0, 8));
    assert!(!orphan.exists() && !unfinished.exists());
    assert!(record.exists(), "someone may be at it");

    let then = SystemTime::now() - Duration::from_secs(7200);
    fs::File::open(&record)
        .and_then(|file| file.set_modified(then))
        .expect("ages");
    cache.prune(u64::MAX).expect("prunes");
    assert!(!record.exists());
    assert_eq!(compile(&engine, &guest(1), &cache), HIT);
}

#[test]
fn clearing_removes_all_of_the_cache_and_nothing_else() {
    let here = Here::new();
    let cache = here.cache();
    let engine = Arc::new(Fake::default());
    compile(&engine, &guest(1), &cache);
    let others = [
        here.path("cache/thesis.txt"),
        here.path("cache/v1/code/main.rs"),
    ];
    for other in &others {
        fs::write(other, "not of the cache").expect("writes");
    }
    assert_eq!(cache.clear().expect("clears").entries, 1);
    assert!(cache.list().expect("lists").is_empty());
    assert!(others.iter().all(|other| other.exists()));
    assert_eq!(compile(&engine, &guest(1), &cache), miss(Miss::Unseen));
    assert_eq!(compile(&engine, &guest(1), &cache), HIT);
}
