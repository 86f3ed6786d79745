//! The certificate and key for STARTTLS.

use std::{path::Path, sync::Arc};

use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use crate::config::pem;

/// Reads the chain and the key, PEM.
///
/// # Errors
/// A sentence that names the file.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let chain = pem::certificates(certificate)?;
    let key_der = pem::private_key(key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(chain, key_der)
        })
        .map_err(|error| format!("{} and {}: {error}", certificate.display(), key.display()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain.pem");
        let fault = |path: &Path| acceptor(path, path).err().expect("must fail");
        assert!(fault(&path).contains("chain.pem"));
        std::fs::write(&path, "nothing").unwrap();
        assert_eq!(
            fault(&path),
            format!("{} holds no certificate", path.display())
        );
    }
}
