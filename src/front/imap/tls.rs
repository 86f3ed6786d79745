//! TLS to a mailbox's server.

use std::{io, path::Path, sync::Arc, time::Duration};

use rustls::{CertificateError, ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{session::ImapError, wire::Io};
use crate::config::pem;

/// Whom we trust: the system's CAs, and those of a file.
///
/// # Errors
/// A sentence that names the file.
pub(super) async fn client(ca: Option<String>) -> Result<Arc<ClientConfig>, String> {
    // A system has some hundred CAs.
    let made = tokio::task::spawn_blocking(move || {
        let mut store = RootCertStore::empty();
        let (_, _) =
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(file) = &ca {
            for certificate in pem::certificates(Path::new(file))? {
                store
                    .add(certificate)
                    .map_err(|error| format!("{file} holds no CA certificate: {error}"))?;
            }
        }
        if store.is_empty() {
            return Err("this machine trusts no CA: install ca-certificates".to_owned());
        }
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?
                .with_root_certificates(store)
                .with_no_client_auth();
        Ok(Arc::new(config))
    });
    made.await
        .unwrap_or_else(|_| Err("the CA certificates can't be read".to_owned()))
}

/// A connection that tells when its other end is gone without a word, as during IDLE.
pub(super) async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    use rustix::net::sockopt;
    let stream = TcpStream::connect((host, port))
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => format!("{host}:{port} refuses connections"),
            _ => format!("no connection to {host}:{port}: {error}"),
        })?;
    // A kernel without one of them keeps the stream all the same.
    let _ = sockopt::set_socket_keepalive(&stream, true);
    let _ = sockopt::set_tcp_keepidle(&stream, Duration::from_secs(60));
    let _ = sockopt::set_tcp_keepintvl(&stream, Duration::from_secs(15));
    let _ = sockopt::set_tcp_keepcnt(&stream, 4);
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// The TLS handshake, with a certificate for `host`.
pub(super) async fn handshake<S: Io>(
    config: Arc<ClientConfig>,
    host: &str,
    stream: S,
) -> Result<TlsStream<S>, ImapError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        ImapError::broken(format!("{host} is no name that a certificate can be for"))
    })?;
    let done = TlsConnector::from(config).connect(name, stream).await;
    done.map_err(|error| ImapError::broken(no_handshake(host, &error)))
}

fn no_handshake(host: &str, error: &io::Error) -> String {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => format!(
            "the certificate of {host} is of no CA that we trust: name its CA (`ca FILE`), if you do"
        ),
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => {
            format!("the certificate is not for {host}: set `host` to the name in the certificate")
        }
        Some(rustls::Error::InvalidCertificate(fault)) => {
            format!("the certificate of {host} is no good: {fault}")
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            format!("{host} does not speak TLS there: is it a port for STARTTLS?")
        }
        _ => format!("no TLS with {host}: {error}"),
    }
}
