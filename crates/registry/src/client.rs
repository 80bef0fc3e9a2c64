//! Talking to registries: the [distribution specification], with care for what they answer.
//!
//! [distribution specification]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md

use std::collections::{BTreeSet, HashMap};
use std::env;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::IpAddr;
use std::sync::{Mutex, OnceLock, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::CertificateError;
use serde::Deserialize;
use ureq::http::{HeaderMap, Request, Response, StatusCode, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, AsSendBody, Body, SendBody};
use url::{Host, Url};
use wasmrun_guest::{Error, ErrorKind, Result, shown};

use crate::challenge::Challenge;
use crate::credentials::{Credentials, DockerConfig, Secret};
use crate::{Limits, Reference};

/// Who talks to registries, with the credentials of a [`DockerConfig`].
///
/// TLS is asked of every registry but those on the loopback interface and those that are [named](Client::plain_http).
/// Certificates are signed by those whom the system trusts, or Mozilla where the system has none. `SSL_CERT_FILE` names a file of others, in
/// PEM, that are trusted in their place, and `SSL_CERT_DIR` directories of such, with colons between them. A redirect is followed to HTTPS,
/// within the loopback interface, or within its origin, and takes no credentials to another origin. Proxies are those of
/// the environment (`HTTPS_PROXY`, `NO_PROXY`), but not for the loopback interface.
pub struct Client {
    /// Made for the first request: to read the certificates of the system takes longer than many a guest runs.
    agent: OnceLock<Agent>,
    limits: Limits,
    plain: BTreeSet<String>,
    config: Option<DockerConfig>,
    /// What was sent before to a registry, by what it is for, and let us in.
    sent: Mutex<HashMap<Scope, Secret>>,
}

/// What a repository is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Scope {
    registry: String,
    repository: String,
    actions: &'static str,
}

impl Scope {
    pub fn pull(reference: &Reference) -> Scope {
        Scope::of(reference, "pull")
    }

    pub fn push(reference: &Reference) -> Scope {
        Scope::of(reference, "pull,push")
    }

    fn of(reference: &Reference, actions: &'static str) -> Scope {
        Scope {
            registry: reference.registry().into(),
            repository: repository(reference),
            actions,
        }
    }
}

/// What is sent.
pub(crate) struct Call<'a> {
    pub method: &'static str,
    pub url: Url,
    pub headers: Vec<(header::HeaderName, String)>,
    pub body: Option<(&'a mut dyn Content, u64)>,
    /// Whether all of the answer is small, and so has to be there soon.
    pub small: bool,
}

/// What can be sent twice.
pub(crate) trait Content: Read + Seek {}

impl<T: Read + Seek> Content for T {}

impl Call<'_> {
    pub fn get(url: Url) -> Self {
        Call {
            method: "GET",
            url,
            headers: Vec::new(),
            body: None,
            small: true,
        }
    }
}

/// So many redirects are followed.
const REDIRECTS: usize = 5;
/// So much of a registry's words about an error is read.
const ERROR_MOST: u64 = 64 << 10;

impl Client {
    /// A client that has no credentials.
    pub fn anonymous() -> Client {
        Client::new(None, Limits::default())
    }

    /// A client with these credentials.
    pub fn with_credentials(config: DockerConfig) -> Client {
        Client::new(Some(config), Limits::default())
    }

    fn new(config: Option<DockerConfig>, limits: Limits) -> Client {
        Client {
            agent: OnceLock::new(),
            limits,
            plain: BTreeSet::new(),
            config,
            sent: Mutex::default(),
        }
    }

    /// The same client, waiting no longer than these say.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Client {
        Client {
            agent: OnceLock::new(),
            limits,
            ..self
        }
    }

    /// Talks to the registry of this host and port without TLS: whoever is on the way can read and change what is said,
    /// credentials included.
    #[must_use]
    pub fn plain_http(mut self, registry: impl Into<String>) -> Client {
        self.plain.insert(registry.into().to_ascii_lowercase());
        self
    }

    /// Whether a registry is talked to without TLS.
    fn is_plain(&self, registry: &str) -> bool {
        self.plain.contains(registry) || is_loopback(&format!("http://{registry}/"))
    }

    /// The address of something at a registry.
    fn url(&self, registry: &str, path: &str) -> Result<Url> {
        let scheme = if self.is_plain(registry) {
            "http"
        } else {
            "https"
        };
        let host = match registry {
            // Docker's registry is elsewhere than its name says.
            "docker.io" => "registry-1.docker.io",
            registry => registry,
        };
        Url::parse(&format!("{scheme}://{host}/v2/{path}")).map_err(|error| {
            let message = format!("{registry} is no host of a registry");
            Error::new(ErrorKind::Config, message).with_source(error)
        })
    }

    /// The address of something in a repository.
    pub(crate) fn place(&self, reference: &Reference, path: &str) -> Result<Url> {
        self.url(
            reference.registry(),
            &format!("{}/{path}", repository(reference)),
        )
    }

    /// Sends a request as whoever the registry wants to see, and follows where it leads.
    pub(crate) fn send(&self, scope: &Scope, mut call: Call<'_>) -> Result<Response<Body>> {
        let origin = self.url(&scope.registry, "")?.origin();
        let known = {
            let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.get(scope).cloned()
        };
        let own = known.filter(|_| call.url.origin() == origin);
        let response = self.follow(scope, &mut call, own.as_ref())?;
        if response.status() != StatusCode::UNAUTHORIZED || call.url.origin() != origin {
            return Ok(response);
        }
        let Some(authorization) = self.authorize(scope, response.headers(), None)? else {
            return Ok(response);
        };
        let response = self.follow(scope, &mut call, Some(&authorization))?;
        if response.status() != StatusCode::UNAUTHORIZED {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.insert(scope.clone(), authorization);
        }
        Ok(response)
    }

    fn follow(
        &self,
        scope: &Scope,
        call: &mut Call<'_>,
        authorization: Option<&Secret>,
    ) -> Result<Response<Body>> {
        let mut url = call.url.clone();
        let registry = &scope.registry;
        for _ in 0..=REDIRECTS {
            let authorization = authorization.filter(|_| url.origin() == call.url.origin());
            let response = self.once(registry, call, &url, authorization)?;
            let leads = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            if !leads || call.body.is_some() {
                return Ok(response);
            }
            url = self.location(registry, &url, response.headers())?;
        }
        let message = format!("{registry} redirects more than {REDIRECTS} times");
        Err(Error::new(ErrorKind::Io, message))
    }

    /// Where an answer says to go on, if that is a place to go to.
    pub(crate) fn location(&self, registry: &str, from: &Url, headers: &HeaderMap) -> Result<Url> {
        let location = headers
            .get(header::LOCATION)
            .and_then(|value| value.to_str().ok());
        let to = location.and_then(|location| from.join(location).ok());
        let Some(to) = to else {
            let message = format!("{registry} leads elsewhere, but not where");
            return Err(Error::new(ErrorKind::Io, message));
        };
        let safe = to.scheme() == "https"
            || to.origin() == from.origin()
            || (is_loopback(from.as_str()) && is_loopback(to.as_str()) && to.scheme() == "http");
        if safe {
            return Ok(to);
        }
        // What follows the host may be a secret.
        let message = format!(
            "{registry} redirects to {}://{}, which is neither HTTPS nor, from the loopback interface, on it; this is not followed",
            shown(to.scheme()),
            shown(to.host_str().unwrap_or_default())
        );
        Err(Error::new(ErrorKind::Io, message))
    }

    fn once(
        &self,
        registry: &str,
        call: &mut Call<'_>,
        url: &Url,
        authorization: Option<&Secret>,
    ) -> Result<Response<Body>> {
        let mut request = Request::builder().method(call.method).uri(url.as_str());
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization.reveal());
        }
        let unsendable = |_| {
            // The error may quote what was to be sent.
            let message = format!("what {registry} answered leads to no request that can be made");
            Error::new(ErrorKind::Io, message)
        };
        match &mut call.body {
            None => {
                let request = request.body(()).map_err(unsendable)?;
                self.run(registry, request, url, call.small)
            }
            Some((content, size)) => {
                let begin = content.seek(SeekFrom::Start(0));
                begin.map_err(|error| {
                    Error::new(ErrorKind::Io, "what is sent cannot be read").with_source(error)
                })?;
                let request = request.header(header::CONTENT_LENGTH, *size);
                let body = SendBody::from_reader(content);
                let request = request.body(body).map_err(unsendable)?;
                self.run(registry, request, url, call.small)
            }
        }
    }

    fn run<S: AsSendBody>(
        &self,
        registry: &str,
        request: Request<S>,
        url: &Url,
        small: bool,
    ) -> Result<Response<Body>> {
        let agent = self.agent()?;
        let mut config = agent.configure_request(request);
        if is_loopback(url.as_str()) {
            config = config.proxy(None);
        }
        if small {
            config = config.timeout_global(Some(self.limits.silence * 2));
        }
        let run = agent.run(config.build());
        run.map_err(|error| self.failed(registry, error))
    }

    fn agent(&self) -> Result<&Agent> {
        match self.agent.get() {
            Some(agent) => Ok(agent),
            None => {
                let agent = agent(&self.limits)?;
                Ok(self.agent.get_or_init(|| agent))
            }
        }
    }

    /// What a failure of the connection is to the user.
    pub(crate) fn failed(&self, registry: &str, error: ureq::Error) -> Error {
        let what = match &error {
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                format!(
                    "{registry} could not be connected to within {:?}",
                    self.limits.connect
                )
            }
            ureq::Error::Timeout(_) => {
                format!(
                    "{registry} was silent for more than {:?}",
                    self.limits.silence
                )
            }
            ureq::Error::HostNotFound => format!("there is no host {registry}"),
            error => match tls(error) {
                Some(rustls::Error::InvalidCertificate(wrong)) => {
                    return Error::new(ErrorKind::Io, untrusted(registry, wrong));
                }
                None if !matches!(error, ureq::Error::Tls(_)) => {
                    format!("the connection to {registry} failed")
                }
                _ => format!(
                    "{registry} does not speak TLS as it is spoken here; --plain-http is for one that speaks none"
                ),
            },
        };
        let error = match error {
            // These may quote an address, and that a secret.
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                return Error::new(ErrorKind::Io, what);
            }
            error => error,
        };
        Error::new(ErrorKind::Io, what).with_source(error)
    }

    /// What is sent to be let in; `None` if the answer does not say how, or we have nothing to say.
    fn authorize(
        &self,
        scope: &Scope,
        headers: &HeaderMap,
        given: Option<&Credentials>,
    ) -> Result<Option<Secret>> {
        let challenges = headers.get_all(header::WWW_AUTHENTICATE).iter();
        let mut challenges: Vec<Challenge> = challenges
            .filter_map(|value| Challenge::read(value.to_str().ok()?))
            .collect();
        // A token is of use for less than a password.
        challenges.sort_by_key(|challenge| *challenge == Challenge::Basic);
        let Some(challenge) = challenges.into_iter().next() else {
            return Ok(None);
        };
        let known = match (given, &self.config) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(config)) => config.get(&scope.registry)?,
            (None, None) => None,
        };
        match challenge {
            Challenge::Basic => match known {
                Some(Credentials::Basic { user, password }) => Ok(Some(basic(&user, &password))),
                Some(Credentials::Identity(_)) | None => Ok(None),
            },
            Challenge::Bearer {
                realm,
                service,
                scope: wanted,
            } => {
                let wanted = wanted.unwrap_or_else(|| match scope.repository.as_str() {
                    "" => String::new(),
                    repository => format!("repository:{repository}:{}", scope.actions),
                });
                let service = service.unwrap_or_default();
                self.token(scope, &realm, &service, &wanted, known.as_ref())
                    .map(Some)
            }
        }
    }

    /// Asks for a token, as the registries' [token specification] has it.
    ///
    /// [token specification]: https://distribution.github.io/distribution/spec/auth/token/
    fn token(
        &self,
        scope: &Scope,
        realm: &str,
        service: &str,
        wanted: &str,
        known: Option<&Credentials>,
    ) -> Result<Secret> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
        }
        let registry = &scope.registry;
        let own = self.url(registry, "")?;
        let realm = Url::parse(realm).ok().filter(|realm| {
            realm.scheme() == "https"
                || (realm.scheme() == "http"
                    && own.scheme() == "http"
                    && (realm.host() == own.host()
                        || (is_loopback(own.as_str()) && is_loopback(realm.as_str()))))
        });
        let Some(mut realm) = realm else {
            let message = format!(
                "{registry} wants a token from where nothing is asked: an address that is not HTTPS"
            );
            return Err(Error::new(ErrorKind::Io, message));
        };
        let mut form = None;
        let mut authorization = None;
        match known {
            Some(Credentials::Identity(token)) => {
                let mut fields = url::form_urlencoded::Serializer::new(String::new());
                fields.append_pair("grant_type", "refresh_token");
                fields.append_pair("refresh_token", token.reveal());
                fields.append_pair("client_id", "wasmrun");
                fields.append_pair("service", service);
                fields.append_pair("scope", wanted);
                form = Some(io::Cursor::new(fields.finish()));
            }
            other => {
                let mut query = realm.query_pairs_mut();
                if !service.is_empty() {
                    query.append_pair("service", service);
                }
                if !wanted.is_empty() {
                    query.append_pair("scope", wanted);
                }
                if let Some(Credentials::Basic { user, password }) = other {
                    query.append_pair("account", user);
                    authorization = Some(basic(user, password));
                }
            }
        }
        let mut call = Call::get(realm);
        if let Some(form) = &mut form {
            call.method = "POST";
            let size = form.get_ref().len() as u64;
            call.headers.push((
                header::CONTENT_TYPE,
                "application/x-www-form-urlencoded".into(),
            ));
            call.body = Some((form, size));
        }
        let mut response = self.follow(scope, &mut call, authorization.as_ref())?;
        if !response.status().is_success() {
            let message = match response.status().as_u16() {
                401 | 403 => denied(registry, known.is_some()),
                status => format!("{registry} gives no token: it answered {status}"),
            };
            return Err(Error::new(ErrorKind::Io, message));
        }
        let answer = self.document(registry, "token", &mut response)?;
        // The parser's own words would quote it.
        let answer: Option<Answer> = serde_json::from_slice(&answer).ok();
        let token = answer.and_then(|answer| answer.token.or(answer.access_token));
        match token {
            Some(token) if token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Secret::new(format!("Bearer {token}")))
            }
            _ => Err(Error::new(
                ErrorKind::Io,
                format!("{registry} gives no token that can be sent"),
            )),
        }
    }

    /// Reads an answer that has to be small.
    pub(crate) fn document(
        &self,
        registry: &str,
        what: &str,
        response: &mut Response<Body>,
    ) -> Result<Vec<u8>> {
        let too_large = || {
            let most = Limits::DOCUMENT;
            let message =
                format!("{registry} sends a {what} of more than {most} bytes, which is refused");
            Error::new(ErrorKind::Invalid, message)
        };
        if response
            .body()
            .content_length()
            .is_some_and(|length| length > Limits::DOCUMENT)
        {
            return Err(too_large());
        }
        let mut content = Vec::new();
        let reader = response.body_mut().as_reader();
        let read = reader.take(Limits::DOCUMENT + 1).read_to_end(&mut content);
        read.map_err(|error| self.failed(registry, error.into()))?;
        match content.len() as u64 > Limits::DOCUMENT {
            true => Err(too_large()),
            false => Ok(content),
        }
    }

    /// The error that an answer is, where `what` was asked for.
    pub(crate) fn refused(
        &self,
        scope: &Scope,
        what: &dyn fmt::Display,
        mut response: Response<Body>,
    ) -> Error {
        #[derive(Deserialize)]
        struct Answer {
            errors: Vec<Entry>,
        }
        #[derive(Deserialize)]
        struct Entry {
            #[serde(default)]
            code: String,
            #[serde(default)]
            message: String,
        }
        let status = response.status();
        let registry = &scope.registry;
        let (kind, message) = match status.as_u16() {
            401 | 403 => {
                let known = self
                    .config
                    .as_ref()
                    .is_some_and(|config| matches!(config.get(registry), Ok(Some(_))));
                (
                    ErrorKind::Io,
                    format!("{what}: {}", denied(registry, known)),
                )
            }
            404 => (
                ErrorKind::GuestNotFound,
                format!("{what} is not in the registry"),
            ),
            429 => (
                ErrorKind::Io,
                format!("{what}: {registry} was asked too often; try again later"),
            ),
            _ => (
                ErrorKind::Io,
                format!("{what}: {registry} answered {status}"),
            ),
        };
        let mut content = Vec::new();
        let read = response
            .body_mut()
            .as_reader()
            .take(ERROR_MOST)
            .read_to_end(&mut content);
        let answer = read
            .ok()
            .and_then(|_| serde_json::from_slice::<Answer>(&content).ok());
        let said = answer.and_then(|answer| answer.errors.into_iter().next());
        let message = match said {
            Some(Entry {
                code,
                message: said,
            }) if !(code.is_empty() && said.is_empty()) => {
                let said = if said.is_empty() { code } else { said };
                format!("{message} (it says: {})", shown(&said))
            }
            _ => message,
        };
        Error::new(kind, message)
    }

    /// Whether a registry lets in who has these credentials: what a login asks before it keeps them.
    ///
    /// # Errors
    ///
    /// If it does not, or cannot be asked.
    pub fn check(&self, registry: &str, user: &str, password: &Secret) -> Result<()> {
        let scope = Scope {
            registry: registry.into(),
            repository: String::new(),
            actions: "",
        };
        let credentials = Credentials::Basic {
            user: user.into(),
            password: password.clone(),
        };
        let mut call = Call::get(self.url(registry, "")?);
        let mut response = self.follow(&scope, &mut call, None)?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(authorization) =
                self.authorize(&scope, response.headers(), Some(&credentials))?
        {
            response = self.follow(&scope, &mut call, Some(&authorization))?;
        }
        match response.status() {
            status if status.is_success() => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Error::new(ErrorKind::Io, denied(registry, true)))
            }
            status => Err(Error::new(
                ErrorKind::Io,
                format!("{registry} answered {status}, where a registry answers 200 OK"),
            )),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("limits", &self.limits)
            .field("plain", &self.plain)
            .finish_non_exhaustive()
    }
}

fn agent(limits: &Limits) -> Result<Agent> {
    let system = rustls_native_certs::load_native_certs();
    let mut named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter();
    if let Some(name) = named.find(|name| env::var_os(name).is_some())
        && (system.certs.is_empty() || (name == "SSL_CERT_FILE" && !system.errors.is_empty()))
    {
        let message = format!("{name} names no certificates that can be read");
        let error = Error::new(ErrorKind::Config, message);
        return Err(match system.errors.into_iter().next() {
            Some(source) => error.with_source(source),
            None => error,
        });
    }
    let roots = match system.certs.is_empty() {
        true => RootCerts::WebPki,
        false => RootCerts::new_with_certs(
            &system
                .certs
                .iter()
                .map(|certificate| Certificate::from_der(certificate).to_owned())
                .collect::<Vec<_>>(),
        ),
    };
    Ok(Agent::new_with_config(
        Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("wasmrun/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .timeout_connect(Some(limits.connect))
            .timeout_per_read(Some(limits.silence))
            .timeout_per_write(Some(limits.silence))
            .timeout_recv_response(Some(limits.silence))
            .build(),
    ))
}

/// What a repository is called at its registry: what docker's has at its root is in `library`.
fn repository(reference: &Reference) -> String {
    match (reference.registry(), reference.repository()) {
        ("docker.io", repository) if !repository.contains('/') => format!("library/{repository}"),
        (_, repository) => repository.into(),
    }
}

fn basic(user: &str, password: &Secret) -> Secret {
    let both = BASE64_STANDARD.encode(format!("{user}:{}", password.reveal()));
    Secret::new(format!("Basic {both}"))
}

fn denied(registry: &str, known: bool) -> String {
    match known {
        true => format!(
            "{registry} does not let in who the user is there; `wasmrun login {registry}` changes that"
        ),
        false => format!("{registry} wants to know who asks; `wasmrun login {registry}` tells it"),
    }
}

/// What rustls has to say, which may come by way of a connection.
fn tls(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// Why nothing is said to a registry with such a certificate.
fn untrusted(registry: &str, wrong: &CertificateError) -> String {
    let what = match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another name"
        }
        CertificateError::UnknownIssuer => {
            "is signed by nobody whom the system trusts; SSL_CERT_FILE names a file of those who are trusted in their place"
        }
        wrong => return format!("the certificate of {registry} is not accepted: {wrong}"),
    };
    format!("the certificate of {registry} {what}")
}

/// Whether an address is on the loopback interface, by what it says of itself and not by what a name comes to.
fn is_loopback(url: &str) -> bool {
    match Url::parse(url).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}
