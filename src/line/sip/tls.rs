//! SIP over TLS (RFC 3261 §26.3.1): streams whose handshake is done, or why there is none.
//!
//! The stack's own TLS is not used: it trusts nobody until told, checks the name in the URI (for a
//! resolved target its address), hides what failed behind a 408 after 64·T1, waits without end for a
//! handshake that never comes, reads no SEC1 keys, and only warns when it can't listen.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::config::pem;

/// Whom we trust over TLS, and who we are.
#[derive(Clone, Debug, Default)]
pub struct TlsSetup {
    /// PEM certificates of CAs that are trusted beside the system's.
    pub ca: Option<PathBuf>,
    /// PEM chain and private key: for our listener, and for trunks that ask who we are.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Where we listen for TLS; it needs an identity.
    pub listen: Option<SocketAddr>,
}

/// Whether the CAs can be used.
///
/// # Errors
/// A sentence that names the file.
pub fn look_at_ca(file: &Path) -> Result<(), String> {
    let mut store = RootCertStore::empty();
    add_from(&mut store, file)
}

/// Whether the chain and the key can be used.
///
/// # Errors
/// A sentence that names the file.
pub fn look_at_identity(certificate: &Path, key: &Path) -> Result<(), String> {
    acceptor(certificate, key).map(drop)
}

fn add_from(store: &mut RootCertStore, file: &Path) -> Result<(), String> {
    for certificate in pem::certificates(file)? {
        store
            .add(certificate)
            .map_err(|error| format!("{} holds no CA certificate: {error}", file.display()))?;
    }
    Ok(())
}

/// What a TLS listener greets with.
pub(super) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let (chain, private) = (pem::certificates(certificate)?, pem::private_key(key)?);
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(chain, private)
        })
        .map_err(|error| format!("{} and {}: {error}", certificate.display(), key.display()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Opens connections to trunks.
#[derive(Debug)]
pub(super) struct Opener {
    setup: TlsSetup,
    /// Made when it is first needed: a system has some hundred CAs, and many gateways no TLS trunk.
    config: OnceCell<Arc<ClientConfig>>,
}

impl Opener {
    pub(super) fn new(setup: TlsSetup) -> Self {
        Self {
            setup,
            config: OnceCell::new(),
        }
    }

    async fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let made = self.config.get_or_try_init(|| async {
            let setup = self.setup.clone();
            tokio::task::spawn_blocking(move || client(&setup))
                .await
                .unwrap_or_else(|_| Err("the CA certificates can't be read".to_owned()))
        });
        made.await.cloned()
    }

    /// A connection whose certificate is for `name`, the trunk's domain (RFC 5922 §7.1), whatever SRV
    /// says of its host. The error is a sentence.
    pub(super) async fn open(
        &self,
        address: SocketAddr,
        name: &str,
        limit: Duration,
    ) -> Result<TlsStream<TcpStream>, String> {
        let config = self.config().await?;
        let server = ServerName::try_from(name.to_owned())
            .map_err(|_| format!("{name} is no name that a certificate can be for"))?;
        let until = Instant::now() + limit;
        let stream = timeout_at(until, TcpStream::connect(address))
            .await
            .map_err(|_| format!("no connection to {address} within {}", words(limit)))?
            .map_err(|error| no_connection(address, &error))?;
        keep_alive(&stream);
        timeout_at(until, TlsConnector::from(config).connect(server, stream))
            .await
            .map_err(|_| {
                format!(
                    "{address} took the connection and no TLS handshake came of it within {}: is it a TLS port?",
                    words(limit)
                )
            })?
            .map_err(|error| no_handshake(address, name, &error))
    }
}

fn client(setup: &TlsSetup) -> Result<Arc<ClientConfig>, String> {
    let mut store = RootCertStore::empty();
    // What the system has and rustls can't read is of no use; the rest is.
    let (_, _) = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = &setup.ca {
        add_from(&mut store, file)?;
    }
    if store.is_empty() {
        return Err(
            "this machine trusts no CA: install ca-certificates, or name the trunk's CA in sip.tls_ca"
                .to_owned(),
        );
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(store);
    let config = match &setup.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(pem::certificates(certificate)?, pem::private_key(key)?)
            .map_err(|error| format!("{} and {}: {error}", certificate.display(), key.display()))?,
    };
    Ok(Arc::new(config))
}

/// A peer that is gone without a word is noticed within two minutes: nothing else would tell that the
/// stream is dead, and requests would be written into it.
pub(super) fn keep_alive(stream: &TcpStream) {
    use rustix::net::sockopt;
    // A kernel without one of them keeps the stream all the same.
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, Duration::from_secs(60));
    let _ = sockopt::set_tcp_keepintvl(stream, Duration::from_secs(15));
    let _ = sockopt::set_tcp_keepcnt(stream, 4);
    let _ = sockopt::set_tcp_user_timeout(stream, 60_000);
    let _ = stream.set_nodelay(true);
}

fn words(limit: Duration) -> String {
    if limit < Duration::from_secs(1) {
        format!("{} ms", limit.as_millis())
    } else {
        format!("{} s", limit.as_secs())
    }
}

fn no_connection(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("{address} refuses connections"),
        _ => format!("no connection to {address}: {error}"),
    }
}

/// Why a handshake failed, with what to do.
fn no_handshake(address: SocketAddr, name: &str, error: &io::Error) -> String {
    let cause = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<rustls::Error>());
    let Some(cause) = cause else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => format!(
                "{address} closed the connection within the TLS handshake: is it a TLS port, and does it take TLS 1.2?"
            ),
            _ => format!("no TLS with {address}: {error}"),
        };
    };
    match cause {
        rustls::Error::InvalidCertificate(fault) => bad_certificate(address, name, fault),
        rustls::Error::InvalidMessage(_) => {
            format!("{address} does not speak TLS: is it a TLS port?")
        }
        rustls::Error::AlertReceived(alert) => {
            format!("{address} broke the TLS handshake off: {alert:?}")
        }
        rustls::Error::PeerIncompatible(_) => {
            format!("{address} has no TLS version or cipher that is still safe: {cause}")
        }
        _ => format!("no TLS with {address}: {cause}"),
    }
}

fn bad_certificate(address: SocketAddr, name: &str, fault: &CertificateError) -> String {
    use CertificateError as Fault;
    match fault {
        Fault::UnknownIssuer => format!(
            "the certificate of {address} is of no CA that we trust: name its CA in sip.tls_ca, if you do"
        ),
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => format!(
            "the certificate of {address} is not for {name}: set the trunk's host to the name in the certificate"
        ),
        Fault::Expired | Fault::ExpiredContext { .. } => format!(
            "the certificate of {address} has expired: tell the provider, or set this machine's clock"
        ),
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => {
            format!("the certificate of {address} is not valid yet: is this machine's clock right?")
        }
        other => format!("the certificate of {address} is no good: {other}"),
    }
}
