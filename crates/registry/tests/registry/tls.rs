//! A registry behind TLS, with certificates of the test's own. It is reached by a proxy, which leads any name to it.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use wasmrun_registry::{Client, PullPolicy, QUIET};

use crate::content::{artifact, preview1};
use crate::own::{Registry, store};

/// Who signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("signed").pem();
        let issuer = Issuer::new(params, key);
        Authority { issuer, pem }
    }

    /// What a server needs that is called `name` in its certificate, which is valid in these years.
    fn server(&self, name: &str, years: (i32, i32)) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key);
        Arc::new(config.expect("a certificate and its key"))
    }
}

type Servers = HashMap<&'static str, Arc<ServerConfig>>;

/// A proxy behind which each name is the registry, by that name's server; one that has none speaks no TLS, but plainly. Returns
/// its address.
fn proxy(registry: &Registry, servers: Servers) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (registry, servers) = (registry.address.clone(), Arc::new(servers));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (registry, servers) = (registry.clone(), servers.clone());
            // Clients that do not trust it leave.
            thread::spawn(move || connect(stream, &registry, &servers));
        }
    });
    address
}

fn connect(mut stream: TcpStream, registry: &str, servers: &Servers) -> io::Result<()> {
    let asked = head(&mut BufReader::new(stream.try_clone()?))?;
    let name = asked
        .strip_prefix("CONNECT ")
        .and_then(|asked| asked.split(':').next());
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let Some(server) = name.and_then(|name| servers.get(name)) else {
        let mut first = [0];
        stream.peek(&mut first)?;
        return match first {
            [b'G'] => relayed(&mut stream, registry),
            _ => stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        };
    };
    let connection = ServerConnection::new(server.clone()).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    relayed(&mut stream, registry)?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// Lets the registry answer a request.
fn relayed(stream: &mut (impl Read + Write), registry: &str) -> io::Result<()> {
    let asked = head(&mut BufReader::new(&mut *stream))?;
    let mut upstream = TcpStream::connect(registry)?;
    upstream.write_all(asked.as_bytes())?;
    io::copy(&mut upstream, stream).map(drop)
}

/// A request without a body.
fn head(from: &mut impl BufRead) -> io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

/// What comes of a pull from there, in a process that trusts the certificates of a file.
fn pulled(host: &str, proxy: &str, trusted: &Path) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    for name in [
        "ALL_PROXY",
        "all_proxy",
        "NO_PROXY",
        "no_proxy",
        "SSL_CERT_DIR",
    ] {
        command.env_remove(name);
    }
    let output = command
        .args(["--exact", "tls::pulls", "--ignored", "--nocapture"])
        .env("OF_A_TEST", host)
        .env("HTTPS_PROXY", format!("http://{proxy}"))
        .env("SSL_CERT_FILE", trusted)
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout);
    let told = told.lines().find_map(|line| line.split_once("told: "));
    told.expect("it tells").1.to_owned()
}

#[test]
#[ignore = "run by the others, each time in a process of its own"]
fn pulls() {
    let host = std::env::var("OF_A_TEST").expect("a host");
    let reference = format!("oci://{host}/some/thing:1");
    let (_directory, store) = store();
    let client = Client::anonymous().plain_http("plain.test:5000");
    let pulled = store.pull(
        &client,
        &reference.parse().expect("a reference"),
        PullPolicy::Always,
        QUIET,
    );
    match pulled {
        Ok(image) => {
            let program = fs::read(&image.program).expect("readable");
            assert_eq!(program, preview1("x"));
            println!("told: pulled");
        }
        Err(error) => println!("told: {error}"),
    }
}

#[test]
fn whose_certificate_is_not_right_is_not_spoken_to() {
    let registry = Registry::honest();
    let [manifest, config, layer] = artifact(preview1("x"));
    registry.put("1", &manifest, &[&config, &layer]);
    let (trusted, other) = (Authority::new("trusted"), Authority::new("other"));
    let always = (2000, 3000);
    let servers = HashMap::from([
        ("good.test", trusted.server("good.test", always)),
        ("unknown.test", other.server("unknown.test", always)),
        ("expired.test", trusted.server("expired.test", (2000, 2001))),
        ("early.test", trusted.server("early.test", (2999, 3000))),
        ("wrong.test", trusted.server("good.test", always)),
    ]);
    let proxy = proxy(&registry, servers);
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("authorities.pem");
    fs::write(&file, &trusted.pem).expect("written");

    assert_eq!(pulled("good.test", &proxy, &file), "pulled");
    let asked = registry.asked().len();
    for (host, reason) in [
        ("unknown.test", "is signed by nobody whom the system trusts"),
        ("expired.test", "has expired"),
        ("early.test", "is not valid yet"),
        ("wrong.test", "is for another name"),
    ] {
        let told = pulled(host, &proxy, &file);
        let expected = format!("the certificate of {host} {reason}");
        assert!(told.starts_with(&expected), "{told}");
    }
    let told = pulled("plain.test", &proxy, &file);
    assert!(told.starts_with("plain.test does not speak TLS"), "{told}");
    // Nobody of whom these are was asked for anything.
    assert_eq!(registry.asked().len(), asked);
    // Without TLS, only to whom that is said of.
    assert_eq!(pulled("plain.test:5000", &proxy, &file), "pulled");

    // What is named, and has nobody to trust in it, is not left aside for whom the system trusts.
    fs::write(&file, "nobody").expect("written");
    for file in [file.as_path(), Path::new("/nowhere/authorities.pem")] {
        let told = pulled("good.test", &proxy, file);
        assert!(told.contains("SSL_CERT_FILE"), "{told}");
    }
}
