//! Who asks: tokens, passwords, and that nobody else learns them.

use std::fs;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use wasmrun_registry::{Client, DockerConfig, PullPolicy, QUIET, Secret};

use crate::content::{artifact, preview1, says};
use crate::own::{Asked, Registry, reply, store};

const UNAUTHORIZED: &str = "401 Unauthorized";

/// Credentials for a registry, in a file.
fn known(
    directory: &tempfile::TempDir,
    registry: &str,
    user: &str,
    password: &str,
) -> DockerConfig {
    let config = DockerConfig::at(directory.path().join("config.json"));
    config
        .put(registry, user, &Secret::new(password))
        .expect("kept");
    config
}

fn filled(hook: impl Fn(&Asked, &mut TcpStream) -> bool + Send + Sync + 'static) -> Registry {
    let registry = Registry::with(hook);
    let [manifest, config, layer] = artifact(preview1("x"));
    registry.put("1", &manifest, &[&config, &layer]);
    registry
}

/// A registry that wants a token, which is given to those who ask with `Basic me:hunter2`, or to anybody.
fn with_tokens(anybody: bool) -> Registry {
    let own = Arc::new(Mutex::new(String::new()));
    let address = own.clone();
    let registry = filled(move |asked, stream| {
        let address = address.lock().expect("not poisoned").clone();
        let authorization = asked.headers.get("authorization").map(String::as_str);
        if asked.path.starts_with("/token") {
            match anybody || authorization == Some("Basic bWU6aHVudGVyMg==") {
                true => reply(stream, "200 OK", "", br#"{"token":"t0ken"}"#),
                false => reply(stream, UNAUTHORIZED, "", b"{}"),
            }
            return true;
        }
        if authorization == Some("Bearer t0ken") {
            return false;
        }
        let challenge = format!(
            "WWW-Authenticate: Bearer realm=\"http://{address}/token\",service=\"s\",scope=\"repository:some/thing:pull\"\r\n"
        );
        reply(stream, UNAUTHORIZED, &challenge, b"{}");
        true
    });
    own.lock()
        .expect("not poisoned")
        .clone_from(&registry.address);
    registry
}

#[test]
fn a_token_is_asked_for_once_by_anybody() {
    let registry = with_tokens(true);
    let (_directory, store) = store();
    store
        .pull(
            &Client::anonymous(),
            &registry.reference("1"),
            PullPolicy::Always,
            QUIET,
        )
        .expect("pulled");
    let asked = registry.asked();
    let tokens: Vec<_> = asked
        .iter()
        .filter(|asked| asked.path.starts_with("/token"))
        .collect();
    assert_eq!(tokens.len(), 1);
    assert!(!tokens[0].headers.contains_key("authorization"));
    assert!(
        tokens[0]
            .path
            .contains("scope=repository%3Asome%2Fthing%3Apull"),
        "{}",
        tokens[0].path
    );
}

#[test]
fn a_token_is_given_to_who_is_known() {
    let registry = with_tokens(false);
    let (directory, store) = store();
    let reference = registry.reference("1");
    let error = store
        .pull(&Client::anonymous(), &reference, PullPolicy::Always, QUIET)
        .expect_err("nobody");
    says(&error, &["wasmrun login"]);
    let wrong = Client::with_credentials(known(&directory, &registry.address, "me", "hunter3"));
    let error = store
        .pull(&wrong, &reference, PullPolicy::Always, QUIET)
        .expect_err("wrong");
    says(&error, &["does not let in"]);
    assert!(!format!("{error:?} {wrong:?}").contains("hunter"));
    let right = Client::with_credentials(known(&directory, &registry.address, "me", "hunter2"));
    store
        .pull(&right, &reference, PullPolicy::Always, QUIET)
        .expect("pulled");
    right
        .check(&registry.address, "me", &Secret::new("hunter2"))
        .expect("let in");
    let error = right
        .check(&registry.address, "me", &Secret::new("hunter3"))
        .expect_err("wrong");
    says(&error, &["does not let in"]);
}

#[test]
fn a_password_goes_to_its_registry_alone() {
    let elsewhere = filled(|_, _| false);
    let address = elsewhere.address.clone();
    let registry = filled(move |asked, stream| {
        if asked.headers.get("authorization").map(String::as_str) != Some("Basic bWU6aHVudGVyMg==")
        {
            reply(
                stream,
                UNAUTHORIZED,
                "WWW-Authenticate: Basic realm=\"x\"\r\n",
                b"{}",
            );
            return true;
        }
        if asked.is_blob() {
            let location = format!("Location: http://{address}{}\r\n", asked.path);
            reply(stream, "302 Found", &location, b"");
        }
        asked.is_blob()
    });
    let (directory, store) = store();
    let client = Client::with_credentials(known(&directory, &registry.address, "me", "hunter2"));
    store
        .pull(&client, &registry.reference("1"), PullPolicy::Always, QUIET)
        .expect("pulled");
    let led = elsewhere.asked();
    assert_eq!(led.len(), 2);
    assert!(
        led.iter()
            .all(|asked| !asked.headers.contains_key("authorization"))
    );
}

#[test]
fn no_token_is_asked_for_without_tls_elsewhere() {
    for realm in ["http://192.0.2.1/token", "file:///etc/passwd", "no address"] {
        let registry = filled(move |_, stream| {
            let challenge = format!("WWW-Authenticate: Bearer realm=\"{realm}\"\r\n");
            reply(stream, UNAUTHORIZED, &challenge, b"{}");
            true
        });
        let (directory, store) = store();
        let client =
            Client::with_credentials(known(&directory, &registry.address, "me", "hunter2"));
        let error = store
            .pull(&client, &registry.reference("1"), PullPolicy::Always, QUIET)
            .expect_err(realm);
        says(&error, &["not HTTPS"]);
    }
}

#[test]
fn a_malformed_token_is_not_told() {
    for answer in [
        "{\"token\":\"hunter2\\r\\nX: y\"}",
        "{\"token\":[\"hunter2\"]}",
        "hunter2",
    ] {
        let own = Arc::new(Mutex::new(String::new()));
        let address = own.clone();
        let registry = filled(move |asked, stream| {
            let address = address.lock().expect("not poisoned").clone();
            match asked.path.starts_with("/token") {
                true => reply(stream, "200 OK", "", answer.as_bytes()),
                false => {
                    let challenge =
                        format!("WWW-Authenticate: Bearer realm=\"http://{address}/token\"\r\n");
                    reply(stream, UNAUTHORIZED, &challenge, b"{}");
                }
            }
            true
        });
        own.lock()
            .expect("not poisoned")
            .clone_from(&registry.address);
        let (_directory, store) = store();
        let error = store
            .pull(
                &Client::anonymous(),
                &registry.reference("1"),
                PullPolicy::Always,
                QUIET,
            )
            .expect_err(answer);
        says(&error, &["no token that can be sent"]);
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

/// A helper that keeps one registry's secret in a file beside it.
#[cfg(unix)]
#[test]
fn a_helper_keeps_secrets() {
    use std::os::unix::fs::PermissionsExt;

    const HELPER: &str = r#"#!/bin/sh
echo "$*" >>"$(dirname "$0")/arguments"
read -r line
case $1 in
store) echo "$line" >"$(dirname "$0")/kept" ;;
get) cat "$(dirname "$0")/kept" 2>/dev/null || { echo 'credentials not found in native keychain'; exit 1; } ;;
erase) rm "$(dirname "$0")/kept" ;;
esac
"#;
    let directory = tempfile::tempdir().expect("a directory");
    let helper = directory.path().join("docker-credential-of-a-test");
    fs::write(&helper, HELPER).expect("written");
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).expect("set");
    // It is found on PATH only, so it is asked for in a process that has it there.
    let path = format!(
        "{}:{}",
        directory.path().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let ran = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "who::with_the_helper", "--ignored"])
        .env("PATH", path)
        .env("OF_A_TEST", directory.path())
        .output()
        .expect("it runs");
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stdout)
    );
    assert!(String::from_utf8_lossy(&ran.stdout).contains("1 passed"));
}

#[cfg(unix)]
#[test]
#[ignore = "run by a_helper_keeps_secrets"]
fn with_the_helper() {
    let directory = std::env::var_os("OF_A_TEST").expect("a directory");
    let directory = std::path::Path::new(&directory);
    let file = directory.join("config.json");
    fs::write(&file, r#"{"credHelpers":{"h:1":"of-a-test"}}"#).expect("written");
    let config = DockerConfig::at(&file);
    assert_eq!(config.get("h:1").expect("asked"), None);
    assert_eq!(config.get("else").expect("asked"), None);
    let kept = config
        .put("h:1", "me", &Secret::new("hunter2"))
        .expect("kept");
    assert_eq!(kept.as_deref(), Some("of-a-test"));
    assert!(
        !fs::read_to_string(&file)
            .expect("readable")
            .contains("auths")
    );
    assert!(
        fs::read_to_string(directory.join("kept"))
            .expect("readable")
            .contains("hunter2")
    );
    assert!(config.get("h:1").expect("asked").is_some());
    assert!(config.remove("h:1").expect("removed"));
    assert_eq!(config.get("h:1").expect("asked"), None);
    assert!(!config.remove("h:1").expect("nothing"));
    // Whoever lists processes sees no secret.
    let arguments = fs::read_to_string(directory.join("arguments")).expect("readable");
    let verbs: Vec<_> = arguments.lines().collect();
    assert!(
        verbs.contains(&"store") && verbs.contains(&"get"),
        "{verbs:?}"
    );
    assert!(
        verbs
            .iter()
            .all(|verb| matches!(*verb, "store" | "get" | "erase")),
        "{verbs:?}"
    );
}
