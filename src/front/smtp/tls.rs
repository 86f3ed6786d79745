//! The certificate and key for STARTTLS and submissions, read anew when they change.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use crate::config::pem;

/// Who we are under TLS.
pub struct Identity {
    certificate: PathBuf,
    key: PathBuf,
    /// A std mutex: it is held to copy a pointer and never across an await.
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    /// When the files that were last looked at were written.
    written: [Option<SystemTime>; 2],
}

impl Identity {
    /// Reads the chain and the key, PEM.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, String> {
        // Before reading: what is written meanwhile is looked at again.
        let written = [written(certificate), written(key)];
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: Mutex::new(Current {
                acceptor: acceptor(certificate, key)?,
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
        let fresh = acceptor(&self.certificate, &self.key)?;
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

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, String> {
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
        let fault = |path: &Path| Identity::open(path, path).err().expect("must fail");
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
        let identity = Identity::open(&chain, &key).unwrap();
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
