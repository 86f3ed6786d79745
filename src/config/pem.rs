//! Certificates and keys in PEM files, as the doors and the line need them.

use std::{io, path::Path};

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error, PemObject},
};

/// The certificates in a file: a chain, or CAs.
///
/// # Errors
/// A sentence that names the file.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(file, &error))?;
    if chain.is_empty() {
        return Err(format!("{} holds no certificate", file.display()));
    }
    Ok(chain)
}

/// The private key in a file: PKCS#8, PKCS#1 (RSA) or SEC1 (EC), not encrypted.
///
/// # Errors
/// A sentence that names the file and the formats.
pub fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| match error {
        Error::NoItemsFound => format!(
            "{} holds no private key that can be read: it must begin with BEGIN PRIVATE KEY (PKCS#8), BEGIN \
             RSA PRIVATE KEY (PKCS#1) or BEGIN EC PRIVATE KEY (SEC1), and not be encrypted. `openssl pkey -in \
             FILE` turns others into the first",
            file.display()
        ),
        error => unreadable(file, &error),
    })
}

fn unreadable(file: &Path, error: &Error) -> String {
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::NotFound => {
            format!("{} is not there", file.display())
        }
        Error::Io(error) => format!("{}: {error}", file.display()),
        error => format!("{} is no PEM file: {error}", file.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_what_it_should_hold() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.pem");
        let named = |fault: String| {
            assert!(fault.contains("some.pem"), "{fault}");
            fault
        };
        assert!(named(certificates(&path).unwrap_err()).contains("is not there"));
        std::fs::write(&path, "nothing").unwrap();
        assert!(named(certificates(&path).unwrap_err()).contains("holds no certificate"));
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        for text in ["nothing", encrypted] {
            std::fs::write(&path, text).unwrap();
            let fault = named(private_key(&path).unwrap_err());
            for format in ["PKCS#8", "PKCS#1", "SEC1", "encrypted"] {
                assert!(fault.contains(format), "{fault}");
            }
        }
    }
}
