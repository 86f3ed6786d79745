//! Client certificates: known by their SHA-256, or by the authority that made them and the names that it gave them.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::{clock::Millis, config::pem};

/// What a client has shown under TLS, with a key that it has; nobody has asked yet who made it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    chain: Arc<Vec<CertificateDer<'static>>>,
    digest: [u8; 32],
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCertificate({:02x?}…)", &self.digest[..4])
    }
}

impl ClientCertificate {
    /// Of a chain, the client's own certificate first. None of an empty one.
    #[must_use]
    pub fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let digest = Sha256::digest(chain.first()?).into();
        let chain = chain.iter().map(|link| link.clone().into_owned());
        Some(Self {
            chain: Arc::new(chain.collect()),
            digest,
        })
    }

    /// The SHA-256 of the client's own.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

/// An authority as it is written: `{ file = "/etc/faxpost/devices.pem", names = ["scanner.example.com"] }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    file: std::path::PathBuf,
    names: Vec<String>,
}

/// Certificates of some names, made by an authority that is trusted for them.
#[derive(Clone, Debug)]
pub(super) struct Authority {
    anchors: Arc<Vec<TrustAnchor<'static>>>,
    names: Vec<String>,
}

impl Authority {
    /// Reads the file. The error is a sentence.
    pub fn read(written: &Written) -> Result<Self, String> {
        let file: &Path = &written.file;
        if !file.is_absolute() {
            let shown = file.display();
            return Err(format!("authority: give the whole path of {shown}, from /"));
        }
        let mut anchors = Vec::new();
        for certificate in pem::certificates(file).map_err(|fault| format!("authority: {fault}"))? {
            let anchor = anchor_from_trusted_cert(&certificate).map_err(|error| {
                let shown = file.display();
                format!("authority: {shown} holds what is no certificate of an authority: {error}")
            })?;
            anchors.push(anchor.to_owned());
        }
        if written.names.is_empty() {
            let what = "authority: list in `names` which names in its certificates are taken, such as \"scanner.example.com\"";
            return Err(what.to_owned());
        }
        let name = |name: &String| match ServerName::try_from(name.to_lowercase()) {
            Ok(ServerName::DnsName(_)) => Ok(name.to_lowercase()),
            _ => Err(format!("authority: {name:?} in `names` is no DNS name")),
        };
        Ok(Self {
            anchors: Arc::new(anchors),
            names: written.names.iter().map(name).collect::<Result<_, _>>()?,
        })
    }

    /// The first of the names for which a certificate is good: made by this authority, by way of the others that the client
    /// has shown, for clients or for any use (RFC 5280 §4.2.1.12), not expired, and with the name itself among its DNS
    /// names (§4.2.1.6): a wildcard there names nobody.
    pub fn name_of(&self, shown: &ClientCertificate, now: Millis) -> Option<&str> {
        let (own, others) = shown.chain.split_first()?;
        let certificate = EndEntityCert::try_from(own).ok()?;
        let now = UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(now).ok()?));
        certificate
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &self.anchors,
                others,
                now,
                KeyUsage::client_auth(),
                None,
                None,
            )
            .ok()?;
        let own: Vec<&str> = certificate.valid_dns_names().collect();
        let is_of = |name: &&String| own.iter().any(|dns| dns.eq_ignore_ascii_case(name));
        self.names.iter().find(is_of).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::clock::now_ms;

    const DAY: Millis = 24 * 3_600_000;

    fn file(name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls/clients");
        folder.join(format!("{name}.pem"))
    }

    fn shown(name: &str) -> ClientCertificate {
        ClientCertificate::of(&pem::certificates(&file(name)).unwrap()).unwrap()
    }

    #[test]
    fn promise_4_a_certificate_counts_by_authority_name_time_and_use() {
        let authority = Authority::read(&Written {
            file: file("ca"),
            names: vec!["printer.example.com".into(), "Scanner.example.com".into()],
        })
        .unwrap();
        let named = |name: &str, now| authority.name_of(&shown(name), now).map(str::to_owned);
        let now = now_ms();
        let scanner = Some("scanner.example.com".to_owned());
        assert_eq!(named("scanner", now), scanner);
        assert_eq!(named("client", now), scanner);
        assert_eq!(named("scanner", now + 36_500 * DAY), None, "expired");
        assert_eq!(named("scanner", 1_700_000_000_000), None, "not valid yet");
        assert_eq!(named("stranger", now), None, "of another name");
        // RFC 9525 §2: what stands in the subject is no name.
        assert_eq!(named("nameless", now), None, "without a name");
        assert_eq!(named("foreign", now), None, "of another authority");
        assert_eq!(named("server", now), None, "for servers");
    }

    #[test]
    fn what_is_wrong_with_an_authority_is_told() {
        let fault = |file: PathBuf, names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            Authority::read(&Written { file, names }).unwrap_err()
        };
        assert!(fault("ca.pem".into(), &["a.example"]).contains("the whole path"));
        assert!(fault(file("none"), &["a.example"]).contains("is not there"));
        assert!(fault(file("ca"), &[]).contains("`names`"));
        assert!(fault(file("ca"), &["a b"]).contains("no DNS name"));
    }
}
