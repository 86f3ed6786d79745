//! The certificate and key for STARTTLS and submissions, read anew when they change.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use rustls::{
    DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use tokio_rustls::TlsAcceptor;

use crate::config::pem;

/// Who we are under TLS.
pub struct Identity {
    certificate: PathBuf,
    key: PathBuf,
    /// Clients are asked for a certificate of theirs.
    asks: bool,
    /// A std mutex: it is held to copy a pointer and never across an await.
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    /// When the files that were last looked at were written.
    written: [Option<SystemTime>; 2],
}

impl Identity {
    /// Reads the chain and the key, PEM. `asks`: clients are asked for a certificate of theirs.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn open(certificate: &Path, key: &Path, asks: bool) -> Result<Self, String> {
        // Before reading: what is written meanwhile is looked at again.
        let written = [written(certificate), written(key)];
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            asks,
            current: Mutex::new(Current {
                acceptor: acceptor(certificate, key, asks)?,
                written,
            }),
        })
    }

    /// For the next handshake.
    pub fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.acceptor.clone()
    }

    /// Reads the files again if they changed, or `anyway`; says whether it did. A program that renews
    /// them writes one after the other: between the two they don't fit, and the old ones stay.
    ///
    /// # Errors
    /// A sentence that names the file: the old ones stay.
    pub fn look_again(&self, anyway: bool) -> Result<bool, String> {
        let seen = [written(&self.certificate), written(&self.key)];
        {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            if current.written == seen && !anyway {
                return Ok(false);
            }
            // Files that can't be used are told once, not every minute.
            current.written = seen;
        }
        let fresh = acceptor(&self.certificate, &self.key, self.asks)?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.acceptor = fresh;
        Ok(true)
    }
}

fn written(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path)
        .and_then(|file| file.modified())
        .ok()
}

fn acceptor(certificate: &Path, key: &Path, asks: bool) -> Result<TlsAcceptor, String> {
    let chain = pem::certificates(certificate)?;
    let key_der = pem::private_key(key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let builder = if asks {
                builder.with_client_cert_verifier(Arc::new(AnyCertificate(algorithms)))
            } else {
                builder.with_no_client_auth()
            };
            builder.with_single_cert(chain, key_der)
        })
        .map_err(|error| format!("{} and {}: {error}", certificate.display(), key.display()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Takes any certificate, whoever made it and until when: what it is worth, its fingerprint in the rules says. That
/// the client has its key is checked.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain.pem");
        let fault = |path: &Path| Identity::open(path, path, false).err().expect("must fail");
        assert!(fault(&path).contains("chain.pem"));
        std::fs::write(&path, "nothing").unwrap();
        assert_eq!(
            fault(&path),
            format!("{} holds no certificate", path.display())
        );
    }

    #[test]
    fn changed_files_are_read_again_and_bad_ones_change_nothing() {
        let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls");
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = (folder.path().join("chain"), folder.path().join("key"));
        std::fs::copy(testdata.join("localhost.pem"), &chain).unwrap();
        std::fs::copy(testdata.join("localhost-key.pem"), &key).unwrap();
        let identity = Identity::open(&chain, &key, true).unwrap();
        assert_eq!(identity.look_again(false), Ok(false));
        assert_eq!(identity.look_again(true), Ok(true));
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        std::fs::write(&chain, "half of a cert").unwrap();
        std::fs::File::open(&chain)
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert!(identity.look_again(false).is_err());
        assert_eq!(identity.look_again(false), Ok(false), "told once");
        // Still there for handshakes.
        let _ = identity.acceptor();
    }
}
