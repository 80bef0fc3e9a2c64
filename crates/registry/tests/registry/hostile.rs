//! Registries that die, lie, flood, lead elsewhere and are silent.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use wasmrun_guest::{ErrorKind, Result};
use wasmrun_registry::{Client, Event, Image, Limits, PullPolicy, QUIET, Store};

use crate::content::{Blob, INDEX, MANIFEST, artifact, preview1, says};
use crate::own::{Asked, Registry, client, head, reply, store};

/// A registry with an artifact whose program has some size.
fn with_artifact(
    hook: impl Fn(&Asked, &mut TcpStream) -> bool + Send + Sync + 'static,
) -> (Registry, [Blob; 3]) {
    let registry = Registry::with(hook);
    let blobs = artifact(preview1(&"x".repeat(300_000)));
    let [manifest, config, layer] = &blobs;
    registry.put("1", manifest, &[config, layer]);
    (registry, blobs)
}

/// Gets what is there under the tag `1`.
fn pull(store: &Store, registry: &Registry) -> Result<Image> {
    let reference = registry.reference("1");
    store.pull(&client(), &reference, PullPolicy::IfNotPresent, QUIET)
}

/// Everything in the store that is a blob, or on its way to be one.
fn is_whole(store: &Store) {
    for blob in fs::read_dir(store.dir().join("blobs/sha256")).expect("a directory") {
        let blob = blob.expect("an entry");
        let digest = wasmrun_registry::Digest::of(&fs::read(blob.path()).expect("readable"));
        assert_eq!(digest.hex(), blob.file_name().to_string_lossy());
    }
    store.images().expect("readable");
}

/// Sends the first half of a blob.
fn half(blob: &[u8], stream: &mut TcpStream) {
    head(stream, "200 OK", "", blob.len() as u64);
    let _ = stream.write_all(&blob[..blob.len() / 2]);
}

#[test]
fn what_is_here_needs_no_network() {
    let (registry, [manifest, _, layer]) = with_artifact(|_, _| false);
    let (_directory, store) = store();
    let reference = registry.reference("1");
    let told = std::sync::Mutex::new(Vec::new());
    let progress = |event: Event| told.lock().expect("not poisoned").push(event);
    let image = store
        .pull(&client(), &reference, PullPolicy::IfNotPresent, &progress)
        .expect("pulled");
    assert_eq!(
        (image.manifest, image.digest),
        (manifest.digest(), layer.digest())
    );
    assert_eq!(image.name, "thing.wasm");
    assert_eq!(fs::read(&image.program).expect("readable"), layer.bytes);
    let told = told.into_inner().expect("not poisoned");
    let bytes = layer.bytes.len() as u64;
    let digest = layer.digest();
    assert!(told.contains(&Event::Begins { digest, bytes }));
    assert!(told.contains(&Event::Advances { digest, bytes }));
    assert_eq!(told.last(), Some(&Event::Ends { digest }));

    let asked = registry.asked().len();
    for policy in [PullPolicy::Never, PullPolicy::IfNotPresent] {
        let again = store
            .pull(&client(), &reference, policy, QUIET)
            .expect("here");
        assert_eq!(again, image);
        let by_digest = format!("oci://elsewhere.example/r@{}", manifest.digest());
        let by_digest = by_digest.parse().expect("a reference");
        assert_eq!(
            store
                .pull(&client(), &by_digest, policy, QUIET)
                .expect("here"),
            image
        );
    }
    assert_eq!(registry.asked().len(), asked);
    let other = registry.reference("2");
    let error = store
        .pull(&client(), &other, PullPolicy::Never, QUIET)
        .expect_err("not here");
    assert_eq!(error.kind(), ErrorKind::GuestNotFound);
    says(&error, &[&other.to_string(), "wasmrun pull"]);
    let error = store
        .pull(&client(), &other, PullPolicy::Always, QUIET)
        .expect_err("not there");
    assert_eq!(error.kind(), ErrorKind::GuestNotFound);
    says(&error, &["is not in the registry", "manifest unknown"]);
}

#[test]
fn always_asks_and_transfers_only_what_is_new() {
    let (registry, _) = with_artifact(|_, _| false);
    let (_directory, store) = store();
    let reference = registry.reference("1");
    let pull = || {
        store
            .pull(&client(), &reference, PullPolicy::Always, QUIET)
            .expect("pulled")
    };
    let before = pull();
    pull();
    let blobs = registry
        .asked()
        .iter()
        .filter(|asked| asked.is_blob())
        .count();
    assert_eq!(blobs, 2);
    let [manifest, config, layer] = artifact(preview1("another"));
    registry.put("1", &manifest, &[&config, &layer]);
    assert_ne!(pull(), before);
    assert_eq!(store.images().expect("readable").len(), 1);
}

#[test]
fn a_transfer_that_breaks_is_gone_on_with() {
    let times = Arc::new(AtomicUsize::new(0));
    let counted = times.clone();
    let layer = artifact(preview1(&"x".repeat(300_000)))[2].clone();
    let content = layer.bytes.clone();
    let path = format!("/blobs/{}", layer.digest());
    let (registry, _) = with_artifact(move |asked, stream| {
        let first = asked.path.ends_with(&path) && counted.fetch_add(1, Ordering::Relaxed) == 0;
        if first {
            half(&content, stream);
        }
        first
    });
    let (_directory, store) = store();
    pull(&store, &registry).expect("pulled");
    let ranges = registry
        .asked()
        .into_iter()
        .filter_map(|asked| asked.headers.get("range").cloned());
    let expected = format!("bytes={}-", layer.bytes.len() / 2);
    assert_eq!(ranges.collect::<Vec<_>>(), [expected]);
    is_whole(&store);
}

#[test]
fn what_an_earlier_process_left_is_gone_on_with_if_it_is_right() {
    let (registry, [_, config, layer]) = with_artifact(|asked, stream| {
        let dies = asked.is_blob();
        if dies {
            head(stream, "200 OK", "", 1 << 10);
        }
        dies
    });
    let (_directory, store) = store();
    let reference = registry.reference("1");
    let error = store
        .pull(&client(), &reference, PullPolicy::IfNotPresent, QUIET)
        .expect_err("it dies each time");
    says(&error, &[]);
    assert!(store.images().expect("readable").is_empty());
    is_whole(&store);

    let honest = registry.behaving(|_, _| false);
    let pull = |store: &Store| {
        let reference = honest.reference("1");
        store
            .pull(&client(), &reference, PullPolicy::IfNotPresent, QUIET)
            .expect("pulled")
    };
    let partial = store.dir().join("wasmrun/partial");
    let left = partial.join(layer.digest().hex());
    fs::write(&left, &layer.bytes[..1000]).expect("written");
    pull(&store);
    assert!(honest.asked().iter().any(|asked| {
        asked
            .headers
            .get("range")
            .is_some_and(|range| range == "bytes=1000-")
    }));
    assert!(!left.exists() && !partial.join(config.digest().hex()).exists());

    // Left by a crash of the system, with bytes in it that nobody wrote.
    let (_directory, other) = self::store();
    let left = other
        .dir()
        .join("wasmrun/partial")
        .join(layer.digest().hex());
    fs::write(&left, [0; 1000]).expect("written");
    pull(&other);
    is_whole(&other);
}

#[test]
fn another_digest_is_a_refusal() {
    let (registry, [_, _, layer]) = with_artifact(|_, _| false);
    let mut other = layer.bytes.clone();
    other[1000] ^= 1;
    let path = layer.digest().to_string();
    let lying = registry.behaving(move |asked, stream| {
        let lies = asked.path.ends_with(&path);
        if lies {
            reply(stream, "200 OK", "", &other);
        }
        lies
    });
    let (_directory, store) = store();
    let error = pull(&store, &lying).expect_err("another digest");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    says(&error, &[&layer.digest().to_string(), "refused"]);
    assert!(store.images().expect("readable").is_empty());
    is_whole(&store);
    pull(&store, &registry).expect("it is honest");
}

#[test]
fn another_manifest_than_the_digest_says_is_a_refusal() {
    let (registry, [manifest, ..]) = with_artifact(|_, _| false);
    let (_directory, store) = store();
    let wrong = Blob::new(
        MANIFEST,
        manifest
            .bytes
            .clone()
            .into_iter()
            .chain(*b" ")
            .collect::<Vec<_>>(),
    );
    let lying = registry.behaving(move |asked, stream| {
        if asked.is_manifest() {
            reply(
                stream,
                "200 OK",
                &format!("Content-Type: {MANIFEST}\r\n"),
                &wrong.bytes,
            );
        }
        asked.is_manifest()
    });
    let by_digest = format!("oci://{}/some/thing@{}", lying.address, manifest.digest());
    let error = store
        .pull(
            &client(),
            &by_digest.parse().expect("a reference"),
            PullPolicy::IfNotPresent,
            QUIET,
        )
        .expect_err("another digest");
    says(&error, &[&manifest.digest().to_string(), "is expected"]);
    let bytes = manifest.bytes.clone();
    let lying = registry.behaving(move |asked, stream| {
        if asked.is_manifest() {
            let headers = format!("Docker-Content-Digest: sha256:{}\r\n", "0".repeat(64));
            reply(stream, "200 OK", &headers, &bytes);
        }
        asked.is_manifest()
    });
    let error = pull(&store, &lying).expect_err("another digest");
    says(&error, &["is expected"]);
}

#[test]
fn another_length_is_a_refusal() {
    let (registry, [_, _, layer]) = with_artifact(|_, _| false);
    let all = layer.bytes.clone();
    for (what, more, said) in [
        ("says more", 0, all.len() as u64 + 5),
        ("sends more without saying it", 5, 0),
        ("sends less, each time", usize::MAX, 1000),
    ] {
        let (path, all) = (layer.digest().to_string(), all.clone());
        let lying = registry.behaving(move |asked, stream| {
            let lies = asked.path.ends_with(&path);
            if lies && more == usize::MAX {
                reply(stream, "200 OK", "", &all[..1000]);
            } else if lies && said == 0 {
                let chunk = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{:x}\r\n", all.len() + more);
                let _ = stream.write_all(chunk.as_bytes());
                let _ = stream.write_all(&all);
                let _ = stream.write_all(b"12345\r\n0\r\n\r\n");
            } else if lies {
                head(stream, "200 OK", "", said);
            }
            lies
        });
        let (_directory, store) = store();
        let error = pull(&store, &lying).expect_err(what);
        says(&error, &["bytes"]);
        is_whole(&store);
    }
}

#[test]
fn a_manifest_of_a_gibibyte_is_not_read() {
    for said in [true, false] {
        let registry = Registry::with(move |_, stream| {
            if said {
                head(stream, "200 OK", "", 1 << 30);
            } else {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            }
            let piece = [b' '; 1 << 16];
            for _ in 0..1 << 14 {
                if stream.write_all(&piece).is_err() {
                    break;
                }
            }
            true
        });
        let (_directory, store) = store();
        let error = pull(&store, &registry).expect_err("too large");
        says(&error, &["more than 4194304 bytes", "refused"]);
    }
}

#[test]
fn who_is_silent_is_not_waited_for() {
    let quick = || {
        let limits = Limits {
            silence: Duration::from_millis(200),
            ..Limits::default()
        };
        client().with_limits(limits)
    };
    let forever = |asked: &Asked, _: &mut TcpStream| {
        let silent = asked.is_manifest();
        if silent {
            thread::sleep(Duration::from_secs(600));
        }
        silent
    };
    let (registry, _) = with_artifact(forever);
    let (_directory, store) = store();
    let error = store
        .pull(
            &quick(),
            &registry.reference("1"),
            PullPolicy::IfNotPresent,
            QUIET,
        )
        .expect_err("silence");
    says(&error, &["was silent for more than 200ms"]);
    // In the middle of a blob, after some of it.
    let layer = artifact(preview1(&"x".repeat(300_000)))[2].clone();
    let path = layer.digest().to_string();
    let (registry, _) = with_artifact(move |asked, stream| {
        let silent = asked.path.ends_with(&path);
        if silent && asked.headers.contains_key("range") {
            thread::sleep(Duration::from_secs(600));
        } else if silent {
            half(&layer.bytes, stream);
            thread::sleep(Duration::from_secs(600));
        }
        silent
    });
    let error = store
        .pull(
            &quick(),
            &registry.reference("1"),
            PullPolicy::IfNotPresent,
            QUIET,
        )
        .expect_err("silence");
    says(
        &error,
        &[&registry.address, "was silent for more than 200ms"],
    );
    // Nobody at all.
    let nobody = "oci://127.0.0.1:1/r".parse().expect("a reference");
    let error = store
        .pull(&quick(), &nobody, PullPolicy::IfNotPresent, QUIET)
        .expect_err("nobody");
    says(&error, &["the connection to 127.0.0.1:1 failed"]);
    is_whole(&store);
}

#[test]
fn a_redirect_is_followed_within_loopback_and_nowhere_else() {
    let (honest, _) = with_artifact(|_, _| false);
    let address = honest.address.clone();
    let registry = honest.behaving(move |asked, stream| {
        let moved = asked.is_blob();
        if moved {
            let location = format!("Location: http://{address}{}\r\n", asked.path);
            reply(stream, "307 Temporary Redirect", &location, b"");
        }
        moved
    });
    let (_directory, store) = store();
    pull(&store, &registry).expect("followed");
    for (location, what) in [
        (
            "http://192.0.2.1/secret?token=hunter2",
            "redirects to http://192.0.2.1",
        ),
        (
            "http://localhost.example/",
            "redirects to http://localhost.example",
        ),
        ("ftp://127.0.0.1/", "redirects to ftp"),
        ("file:///etc/passwd", "redirects to file"),
        ("http://[", "but not where"),
    ] {
        let registry = honest.behaving(move |asked, stream| {
            if asked.is_blob() {
                reply(
                    stream,
                    "302 Found",
                    &format!("Location: {location}\r\n"),
                    b"",
                );
            }
            asked.is_blob()
        });
        let (_directory, store) = self::store();
        let error = pull(&store, &registry).expect_err(location);
        says(&error, &[what]);
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    let registry = Registry::with(|asked, stream| {
        reply(
            stream,
            "302 Found",
            &format!("Location: {}\r\n", asked.path),
            b"",
        );
        true
    });
    let error = pull(&store, &registry).expect_err("round and round");
    says(&error, &["redirects more than 5 times"]);
}

#[test]
fn eight_pulls_at_once_transfer_each_blob_once() {
    let (registry, [_, config, layer]) = with_artifact(|asked, _| {
        if asked.is_blob() {
            thread::sleep(Duration::from_millis(200));
        }
        false
    });
    let (_directory, store) = store();
    let path = store.dir().to_owned();
    let images = thread::scope(|scope| {
        let pulls: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let store = Store::open(&path).expect("a store");
                    store.pull(
                        &client(),
                        &registry.reference("1"),
                        PullPolicy::Always,
                        QUIET,
                    )
                })
            })
            .collect();
        pulls
            .into_iter()
            .map(|pull| pull.join().expect("no panic").expect("pulled"))
            .collect::<Vec<_>>()
    });
    assert!(images.iter().all(|image| *image == images[0]));
    let asked = registry.asked();
    for blob in [&config, &layer] {
        let path = format!("/blobs/{}", blob.digest());
        let times = asked
            .iter()
            .filter(|asked| asked.path.ends_with(&path))
            .count();
        assert_eq!(times, 1, "{path}");
    }
    assert_eq!(store.images().expect("readable").len(), 1);
    assert_eq!(
        fs::read_dir(path.join("wasmrun/partial"))
            .expect("a directory")
            .count(),
        0
    );
    is_whole(&store);
}

#[test]
fn what_is_no_manifest_is_one_line() {
    let (_directory, store) = store();
    let index = r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","size":1,"platform":{"os":"wasip1","architecture":"wasm"}}]}"#;
    for (media_type, text, what) in [
        ("text/html", "<html>\n</html>", "malformed"),
        (MANIFEST, "{}", "malformed"),
        (
            INDEX,
            r#"{"schemaVersion":2,"manifests":[]}"#,
            "for no platform that runs here",
        ),
        (INDEX, index, "where an image's manifest is expected"),
    ] {
        let registry = Registry::honest();
        registry.put("1", &Blob::new(media_type, text), &[]);
        let error = store
            .pull(
                &Client::anonymous(),
                &registry.reference("1"),
                PullPolicy::IfNotPresent,
                QUIET,
            )
            .expect_err(text);
        says(&error, &[what]);
    }
}
