//! Who the user is to a registry: docker's configuration file, and the programs it names that keep secrets.

use std::env;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use wasmrun_guest::{Error, ErrorKind, Result};

use crate::stamp;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from being shown.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a registry is told of who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// A user and a password, or what takes its place.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token that others are asked for with, as some registries give at a login.
    Identity(Secret),
}

/// The user whose secret is an identity token, in the language of credential helpers.
const TOKEN_USER: &str = "<token>";

/// Docker's configuration file, from which credentials are taken, and which is changed by a login.
///
/// It is `config.json` in the directory that `DOCKER_CONFIG` names, or else in `.docker` in the user's home. A missing file
/// has no credentials.
#[derive(Debug, Clone)]
pub struct DockerConfig {
    path: PathBuf,
}

/// What is used of it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: Map<String, Value>,
    creds_store: String,
    cred_helpers: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase", default)]
struct Entry {
    auth: String,
    identitytoken: String,
    username: String,
    password: String,
}

/// What a credential helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl DockerConfig {
    /// The user's.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) if the user has no home.
    pub fn user() -> Result<DockerConfig> {
        let directory = match env::var_os("DOCKER_CONFIG").filter(|path| !path.is_empty()) {
            Some(path) => PathBuf::from(path),
            None => {
                let home = etcetera::home_dir().map_err(|source| {
                    Error::new(ErrorKind::Io, "the user has no home to keep credentials in")
                        .with_source(source)
                })?;
                home.join(".docker")
            }
        };
        Ok(DockerConfig::at(directory.join("config.json")))
    }

    /// The file at `path`.
    pub fn at(path: impl Into<PathBuf>) -> DockerConfig {
        DockerConfig { path: path.into() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The credentials for a registry, as host and port name it; `None` if there are none.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if the file is malformed; [`Io`](ErrorKind::Io) if it, or the helper that it names,
    /// fails. What either has in it is not told.
    pub fn get(&self, registry: &str) -> Result<Option<Credentials>> {
        let Some(config) = self.read()? else {
            return Ok(None);
        };
        let config: Config = self.parsed(config)?;
        if let Some(helper) = config.helper(registry) {
            return ask(helper, registry);
        }
        let own = config
            .auths
            .into_iter()
            .find(|(key, _)| is_for(key, registry));
        let Some((_, entry)) = own else {
            return Ok(None);
        };
        let entry: Entry = self.parsed(entry)?;
        if !entry.identitytoken.is_empty() {
            return Ok(Some(Credentials::Identity(Secret(entry.identitytoken))));
        }
        if entry.auth.is_empty() {
            let known = !entry.username.is_empty();
            return Ok(known.then_some(Credentials::Basic {
                user: entry.username,
                password: Secret(entry.password),
            }));
        }
        let decoded = BASE64_STANDARD.decode(entry.auth.trim());
        let decoded = decoded.ok().and_then(|text| String::from_utf8(text).ok());
        let Some((user, password)) = decoded.as_deref().and_then(|text| text.split_once(':'))
        else {
            let message = format!(
                "{}: what it has for {registry} is malformed; `wasmrun login {registry}` writes it anew",
                self.path.display()
            );
            return Err(Error::new(ErrorKind::Config, message));
        };
        Ok(Some(Credentials::Basic {
            user: user.into(),
            password: Secret(password.trim_end_matches('\0').into()),
        }))
    }

    /// Keeps a user and a password for a registry, as docker does: with the helper that the file names, or else in the file,
    /// where anybody who can read it can read them. Returns the helper.
    ///
    /// # Errors
    ///
    /// As for [`get`](DockerConfig::get), and if it cannot be written.
    pub fn put(&self, registry: &str, user: &str, password: &Secret) -> Result<Option<String>> {
        if user.contains(':') {
            // RFC 7617, 2: it would end there.
            let message = "the name of a user has no `:` in it, as that is where a password begins";
            return Err(Error::new(ErrorKind::Config, message));
        }
        let mut whole = self.read()?.unwrap_or_else(|| json!({}));
        let config: Config = self.parsed(whole.clone())?;
        if let Some(helper) = config.helper(registry) {
            let request =
                json!({ "ServerURL": key(registry), "Username": user, "Secret": password.0 });
            let said = run(helper, "store", request.to_string().as_bytes())?;
            return match said.success {
                true => Ok(Some(helper.to_owned())),
                false => Err(failed(helper, "keep the credentials")),
            };
        }
        let auth = BASE64_STANDARD.encode(format!("{user}:{}", password.0));
        let auths = self.auths(&mut whole)?;
        auths.retain(|key, _| !is_for(key, registry));
        auths.insert(key(registry).into(), json!({ "auth": auth }));
        self.write(&whole)?;
        Ok(None)
    }

    /// Forgets what is kept for a registry; returns whether there was anything.
    ///
    /// # Errors
    ///
    /// As for [`put`](DockerConfig::put).
    pub fn remove(&self, registry: &str) -> Result<bool> {
        let Some(mut whole) = self.read()? else {
            return Ok(false);
        };
        let config: Config = self.parsed(whole.clone())?;
        let mut removed = false;
        if let Some(helper) = config.helper(registry) {
            removed = ask(helper, registry)?.is_some();
            if removed && !run(helper, "erase", key(registry).as_bytes())?.success {
                return Err(failed(helper, "forget the credentials"));
            }
        }
        let auths = self.auths(&mut whole)?;
        let before = auths.len();
        auths.retain(|key, _| !is_for(key, registry));
        if auths.len() != before {
            removed = true;
            self.write(&whole)?;
        }
        Ok(removed)
    }

    fn auths<'a>(&self, whole: &'a mut Value) -> Result<&'a mut Map<String, Value>> {
        let auths = whole
            .as_object_mut()
            .map(|whole| whole.entry("auths").or_insert_with(|| json!({})));
        auths
            .and_then(Value::as_object_mut)
            .ok_or_else(|| self.malformed())
    }

    fn read(&self) -> Result<Option<Value>> {
        match fs::read(&self.path) {
            Ok(content) => serde_json::from_slice(&content)
                .map(Some)
                .map_err(|_| self.malformed()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io("cannot be read", error)),
        }
    }

    fn parsed<T: for<'de> Deserialize<'de>>(&self, value: Value) -> Result<T> {
        serde_json::from_value(value).map_err(|_| self.malformed())
    }

    /// The parser's own words would quote what may be a secret.
    fn malformed(&self) -> Error {
        let message = format!(
            "{} is no configuration of docker's: mend it or remove it",
            self.path.display()
        );
        Error::new(ErrorKind::Config, message)
    }

    fn io(&self, what: &str, error: io::Error) -> Error {
        Error::new(ErrorKind::Io, format!("{} {what}", self.path.display())).with_source(error)
    }

    /// Replaces the file. It is for its owner alone.
    fn write(&self, whole: &Value) -> Result<()> {
        let write = || -> io::Result<()> {
            // Where it is a symbolic link, what it leads to is replaced, and not the link.
            let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
            let directory = path.parent().unwrap_or(Path::new("."));
            stamp::make_dir(directory)?;
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            file.write_all(&serde_json::to_vec_pretty(whole)?)?;
            file.as_file().sync_data()?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|error| self.io("cannot be written", error))
    }
}

impl Config {
    /// The helper that keeps the secrets of a registry.
    fn helper(&self, registry: &str) -> Option<&str> {
        let own = self
            .cred_helpers
            .iter()
            .find(|(key, _)| is_for(key, registry));
        let own = own.and_then(|(_, helper)| helper.as_str());
        own.or(Some(self.creds_store.as_str()))
            .filter(|helper| !helper.is_empty())
    }
}

/// What docker calls a registry in its file.
fn key(registry: &str) -> &str {
    match registry {
        "docker.io" => "https://index.docker.io/v1/",
        registry => registry,
    }
}

/// Whether what docker calls a registry is this one: it may have a scheme and a path.
fn is_for(name: &str, registry: &str) -> bool {
    let host = |name: &str| {
        let rest = name.split_once("://").map_or(name, |(_, rest)| rest);
        rest.split('/')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    name == key(registry) || host(name) == host(key(registry))
}

/// What a helper knows of a registry.
fn ask(helper: &str, registry: &str) -> Result<Option<Credentials>> {
    let said = run(helper, "get", key(registry).as_bytes())?;
    if !said.success {
        // It tells that there are none in words, on its standard output.
        let none = String::from_utf8_lossy(&said.output).contains("credentials not found");
        return match none {
            true => Ok(None),
            false => Err(failed(helper, "tell the credentials")),
        };
    }
    let answer: Answer =
        serde_json::from_slice(&said.output).map_err(|_| failed(helper, "tell the credentials"))?;
    let secret = Secret(answer.secret);
    Ok(Some(match answer.username.as_str() {
        TOKEN_USER => Credentials::Identity(secret),
        _ => Credentials::Basic {
            user: answer.username,
            password: secret,
        },
    }))
}

struct Said {
    success: bool,
    output: Vec<u8>,
}

/// Runs a credential helper: <https://github.com/docker/docker-credential-helpers>.
fn run(helper: &str, action: &str, input: &[u8]) -> Result<Said> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !helper.chars().all(is_name) {
        let message = format!(
            "`{helper}` is no name of a credential helper: see docker's configuration file"
        );
        return Err(Error::new(ErrorKind::Config, message));
    }
    let program = format!("docker-credential-{helper}");
    let unusable = |error: io::Error| {
        let message = format!("{program}, which docker's configuration file names, cannot be run");
        Error::new(ErrorKind::Io, message).with_source(error)
    };
    let mut child = Command::new(&program)
        .arg(action)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(unusable)?;
    // One that does not read is still asked how it ended.
    let given = child.stdin.take().map(|mut stdin| stdin.write_all(input));
    let output = child.wait_with_output().map_err(unusable)?;
    if output.status.success() {
        given.transpose().map_err(unusable)?;
    }
    Ok(Said {
        success: output.status.success(),
        output: output.stdout,
    })
}

fn failed(helper: &str, what: &str) -> Error {
    let message = format!("docker-credential-{helper} does not {what}; run it by hand to see why");
    Error::new(ErrorKind::Io, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> (tempfile::TempDir, DockerConfig) {
        let directory = tempfile::tempdir().expect("a directory");
        let config = DockerConfig::at(directory.path().join("config.json"));
        fs::write(config.path(), content).expect("a file");
        (directory, config)
    }

    fn basic(user: &str, password: &str) -> Option<Credentials> {
        Some(Credentials::Basic {
            user: user.into(),
            password: Secret::new(password),
        })
    }

    #[test]
    fn a_login_is_kept_as_docker_does_and_leaves_all_else_alone() {
        let (_directory, config) = file(
            r#"{"auths":{"https://h:1/v2/":{"auth":"YTpi"},"other":{"auth":"Yzpk"}},"HttpHeaders":{"x":"y"}}"#,
        );
        assert_eq!(config.get("h:1").expect("readable"), basic("a", "b"));
        let wrong = config.put("h:1", "m:e", &Secret::new("p"));
        assert!(
            wrong
                .expect_err("no name")
                .to_string()
                .contains("has no `:`")
        );
        config.put("h:1", "me", &Secret::new("p:w")).expect("kept");
        assert_eq!(config.get("h:1").expect("readable"), basic("me", "p:w"));
        let text = fs::read_to_string(config.path()).expect("readable");
        let json: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json["HttpHeaders"]["x"], "y");
        assert_eq!(json["auths"]["h:1"]["auth"], "bWU6cDp3");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(config.path())
                .expect("there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(config.remove("h:1").expect("removed"));
        assert!(!config.remove("h:1").expect("nothing"));
        assert_eq!(config.get("h:1").expect("readable"), None);
        assert_eq!(config.get("other").expect("readable"), basic("c", "d"));
    }

    #[test]
    fn a_missing_file_has_nothing_and_is_made() {
        let directory = tempfile::tempdir().expect("a directory");
        let config = DockerConfig::at(directory.path().join("new/config.json"));
        assert_eq!(config.get("h").expect("nothing"), None);
        assert!(!config.remove("h").expect("nothing"));
        config
            .put("docker.io", "a", &Secret::new("b"))
            .expect("kept");
        assert_eq!(config.get("docker.io").expect("readable"), basic("a", "b"));
        let text = fs::read_to_string(config.path()).expect("readable");
        assert!(text.contains("https://index.docker.io/v1/"), "{text}");
    }

    #[test]
    fn no_error_tells_a_secret() {
        for content in [
            r#"{"auths":{"h":{"auth":"c2VjcmV0"}}}"#,
            r#"{"auths":{"h":"hunter2"}}"#,
            r#"{"auths":["hunter2"]}"#,
            r#"{"auths":{"h":{"identitytoken":["hunter2"]}}}"#,
            "hunter2",
        ] {
            let (_directory, config) = file(content);
            let error = config.get("h").expect_err(content);
            let told = format!("{error} {error:?}");
            assert!(
                !told.contains("hunter2") && !told.contains("c2Vj") && !told.contains("secret"),
                "{told}"
            );
        }
        let (_directory, config) = file(r#"{"auths":{"h":{"identitytoken":"hunter2"}}}"#);
        let credentials = config.get("h").expect("readable").expect("there");
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }

    #[test]
    fn a_helper_that_is_no_name_or_not_there_is_told() {
        let (_directory, config) = file(r#"{"credsStore":"../x"}"#);
        let error = config.get("h").expect_err("no name").to_string();
        assert!(error.contains("is no name"), "{error}");
        let (_directory, config) = file(r#"{"credHelpers":{"h":"nobody-has-this"}}"#);
        let error = config.get("h").expect_err("not there").to_string();
        assert!(
            error.contains("docker-credential-nobody-has-this"),
            "{error}"
        );
        assert_eq!(config.get("other").expect("nothing"), None);
    }
}
