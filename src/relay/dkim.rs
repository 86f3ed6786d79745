//! DKIM signatures of our mails (RFC 6376, 8463): keys by domain, in files that only we can read.
//!
//! `keys/dkim/DOMAIN/SELECTOR.pem` is a private key (PKCS#8): RSA of 2048 bits or more, or Ed25519. Of each kind the
//! last selector by name signs, so a new key takes the place of the one before; each mail gets a signature of each
//! kind. What is handed on for others is not signed: its From line is not our word.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mail_auth::{
    common::{
        crypto::{Ed25519Key, RsaKey, Sha256},
        headers::HeaderWriter as _,
    },
    dkim::{DkimSigner, Done},
};
use mail_parser::{Address, MessageParser};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _};

/// How long keys are remembered: a new one signs so much later.
const REMEMBERED: Duration = Duration::from_secs(30);
/// What a signature covers (RFC 6376 §5.4.1). Those that a mail has not are covered too: nobody can add one.
const COVERED: [&str; 12] = [
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "In-Reply-To",
    "References",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
];

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with SHA-256: what every verifier knows.
    Rsa,
    /// Ed25519 (RFC 8463): small, and known to some.
    Ed25519,
}

impl KeyKind {
    /// As DNS records and commands write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }
}

enum Signer {
    Rsa(Box<DkimSigner<RsaKey<Sha256>, Done>>),
    Ed25519(Box<DkimSigner<Ed25519Key, Done>>),
}

/// When the keys of a domain were read, and what signs with them.
type Known = (Instant, Arc<Vec<Signer>>);

/// A key as it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Whose mails it signs.
    pub domain: String,
    /// Its name there.
    pub selector: String,
    /// What it is.
    pub kind: KeyKind,
    /// It signs: it is the last of its kind.
    pub signs: bool,
    /// The TXT record of [`Published::name`].
    pub record: String,
    /// Its file.
    pub file: PathBuf,
}

impl Published {
    /// Where the record is to be (RFC 6376 §3.6.2.1).
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }
}

/// Signs with the keys of a folder.
pub struct Signing {
    folder: PathBuf,
    known: Mutex<HashMap<String, Known>>,
}

impl Signing {
    /// With the keys beside the vault's.
    #[must_use]
    pub fn new(keys: &Path) -> Self {
        Self {
            folder: folder(keys),
            known: Mutex::default(),
        }
    }

    /// A mail with the signatures of its From line's domain, or as it is when that has no key. Its lines end in CRLF.
    pub(super) fn signed(&self, mail: Vec<u8>) -> Vec<u8> {
        let Some(domain) = domain_of(&mail) else {
            return mail;
        };
        let mut headers = String::new();
        for signer in self.signers(&domain).iter() {
            let signature = match signer {
                Signer::Rsa(signer) => signer.sign(&mail),
                Signer::Ed25519(signer) => signer.sign(&mail),
            };
            match signature {
                Ok(signature) => headers.push_str(&signature.to_header()),
                Err(error) => {
                    tracing::error!(%error, domain, "a mail goes out without a signature")
                }
            }
        }
        [headers.as_bytes(), &mail].concat()
    }

    fn signers(&self, domain: &str) -> Arc<Vec<Signer>> {
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, signers)) = known.get(domain)
            && now.duration_since(*read) < REMEMBERED
        {
            return signers.clone();
        }
        let signers = Arc::new(self.read(domain));
        known.insert(domain.to_owned(), (now, signers.clone()));
        signers
    }

    fn read(&self, domain: &str) -> Vec<Signer> {
        let found = keys_of(&self.folder, domain).unwrap_or_else(|error| {
            tracing::error!(%error, domain, "DKIM keys can't be read: mails go out unsigned");
            Vec::new()
        });
        let signing = found.into_iter().filter(|key| key.signs);
        signing.filter_map(|key| signer(&key)).collect()
    }
}

fn folder(keys: &Path) -> PathBuf {
    keys.join("dkim")
}

/// The domain in the From line of a mail of ours; lower case.
fn domain_of(mail: &[u8]) -> Option<String> {
    let parsed = MessageParser::default().parse_headers(mail)?;
    let Some(Address::List(list)) = parsed.from() else {
        return None;
    };
    let address = list.first()?.address.as_deref()?;
    let (_, domain) = address.rsplit_once('@')?;
    is_domain(domain).then(|| domain.to_ascii_lowercase())
}

/// A name that can be one of a folder, too: no dots alone, no slash.
fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn signer(key: &Published) -> Option<Signer> {
    let der = PrivateKeyDer::from_pem_file(&key.file).ok()?;
    let (domain, selector) = (key.domain.as_str(), key.selector.as_str());
    Some(match key.kind {
        KeyKind::Rsa => {
            let key = RsaKey::<Sha256>::from_key_der(der).ok()?;
            let signer = DkimSigner::from_key(key).domain(domain);
            Signer::Rsa(Box::new(signer.selector(selector).headers(COVERED)))
        }
        KeyKind::Ed25519 => {
            let signer = DkimSigner::from_key(ed25519(&der)?).domain(domain);
            Signer::Ed25519(Box::new(signer.selector(selector).headers(COVERED)))
        }
    })
}

fn ed25519(der: &PrivateKeyDer<'_>) -> Option<Ed25519Key> {
    // OpenSSL writes no public key beside the private one.
    Ed25519Key::from_pkcs8_maybe_unchecked_der(der.secret_der()).ok()
}

/// The keys of a domain, by selector.
fn keys_of(folder: &Path, domain: &str) -> io::Result<Vec<Published>> {
    let mut found = Vec::new();
    let files = match fs::read_dir(folder.join(domain)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        files => files?,
    };
    for entry in files {
        let file = entry?.path();
        let selector = file.file_stem().and_then(|name| name.to_str());
        let (Some(selector), Some("pem")) =
            (selector, file.extension().and_then(|end| end.to_str()))
        else {
            continue;
        };
        let (kind, record) = public_of(&file).map_err(io::Error::other)?;
        found.push(Published {
            domain: domain.to_owned(),
            selector: selector.to_owned(),
            kind,
            signs: false,
            record,
            file,
        });
    }
    found.sort_by(|a, b| a.selector.cmp(&b.selector));
    for kind in [KeyKind::Rsa, KeyKind::Ed25519] {
        if let Some(last) = found.iter_mut().rfind(|key| key.kind == kind) {
            last.signs = true;
        }
    }
    Ok(found)
}

/// Every key there is, by domain and selector.
///
/// # Errors
/// A file that is no key, or can't be read: it is named.
pub fn keys(keys: &Path) -> io::Result<Vec<Published>> {
    let folder = folder(keys);
    let mut found = Vec::new();
    let domains = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        domains => domains?,
    };
    for entry in domains {
        if let Some(domain) = entry?.file_name().to_str().filter(|name| is_domain(name)) {
            found.extend(keys_of(&folder, domain)?);
        }
    }
    found.sort_by(|a, b| (&a.domain, &a.selector).cmp(&(&b.domain, &b.selector)));
    Ok(found)
}

/// Kind and DNS record (RFC 6376 §3.6.1) of a private key.
fn public_of(file: &Path) -> Result<(KeyKind, String), String> {
    let named = |why: String| format!("{}: {why}", file.display());
    let der = PrivateKeyDer::from_pem_file(file).map_err(|error| named(error.to_string()))?;
    if let Some(key) = ed25519(&der) {
        let record = format!(
            "v=DKIM1; k=ed25519; p={}",
            STANDARD.encode(key.public_key())
        );
        return Ok((KeyKind::Ed25519, record));
    }
    match RsaKey::<Sha256>::from_key_der(der) {
        Ok(key) => {
            let public = STANDARD.encode(public_key_info(&key.public_key()));
            Ok((KeyKind::Rsa, format!("v=DKIM1; k=rsa; p={public}")))
        }
        Err(_) => Err(named(
            "no private key that signs: RSA of 2048 bits or more, or Ed25519, in PKCS#8 (BEGIN PRIVATE KEY)".into(),
        )),
    }
}

/// SubjectPublicKeyInfo (RFC 5280 §4.1) around an RSAPublicKey, as DKIM records have it everywhere.
fn public_key_info(rsa: &[u8]) -> Vec<u8> {
    // rsaEncryption, NULL.
    const ALGORITHM: [u8; 15] = [
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    let bits = [&[0], rsa].concat();
    let inner = [&ALGORITHM[..], &tagged(0x03, &bits)].concat();
    tagged(0x30, &inner)
}

/// A DER value with its length.
fn tagged(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(value.len()) {
        Ok(short @ 0..=0x7f) => out.push(short),
        _ => {
            let octets = value.len().to_be_bytes();
            let octets: Vec<u8> = octets.into_iter().skip_while(|octet| *octet == 0).collect();
            // No length has more than eight octets.
            out.push(0x80 | octets.len() as u8);
            out.extend(octets);
        }
    }
    out.extend_from_slice(value);
    out
}

/// Who may read a key but us; nobody is right.
#[must_use]
pub fn loose(key: &Published) -> Option<String> {
    let mode = fs::metadata(&key.file).ok()?.mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        let file = key.file.display();
        format!("{file} can be read by others (mode {mode:o}): chmod 600 {file}")
    })
}

/// Makes a key and keeps it.
///
/// # Errors
/// A sentence: the domain or selector is none, or taken; RSA needs the program `openssl`.
pub fn make(keys: &Path, domain: &str, selector: &str, kind: KeyKind) -> Result<Published, String> {
    let domain = domain.to_ascii_lowercase();
    if !is_domain(&domain) || !domain.contains('.') {
        return Err(format!("{domain} is no domain"));
    }
    if !is_domain(selector) {
        return Err(format!(
            "{selector} is no selector: letters, digits and hyphens"
        ));
    }
    let pem = match kind {
        KeyKind::Ed25519 => {
            let der = Ed25519Key::generate_pkcs8().map_err(|error| error.to_string())?;
            pem_of(&PrivatePkcs8KeyDer::from(der))
        }
        KeyKind::Rsa => rsa()?,
    };
    let folder = folder(keys).join(&domain);
    let path = folder.join(format!("{selector}.pem"));
    let kept = keep(&folder, &path, pem.as_bytes());
    kept.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            format!("{domain} has a key {selector} already: choose another selector")
        }
        _ => format!("{}: {error}", path.display()),
    })?;
    let all = keys_of(&self::folder(keys), &domain).map_err(|error| error.to_string())?;
    let made = all.into_iter().find(|key| key.selector == selector);
    made.ok_or_else(|| format!("{} vanished", path.display()))
}

/// Flushed before anybody is told to publish it.
fn keep(folder: &Path, path: &Path, pem: &[u8]) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(pem)?;
    file.sync_all()?;
    File::open(folder)?.sync_all()
}

fn pem_of(der: &PrivatePkcs8KeyDer<'_>) -> String {
    let text = STANDARD.encode(der.secret_pkcs8_der());
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem + "-----END PRIVATE KEY-----\n"
}

/// The cryptography that is built in signs with RSA keys and makes none.
fn rsa() -> Result<String, String> {
    let made = std::process::Command::new("openssl")
        .args([
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
        ])
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .output();
    match made {
        Ok(made) if made.status.success() => {
            String::from_utf8(made.stdout).map_err(|_| "openssl gave no PEM".to_owned())
        }
        _ => Err("an RSA key is made by the program openssl, which is not here: install it (Debian: openssl), or make \
                  the key elsewhere and put it as keys/dkim/DOMAIN/SELECTOR.pem, mode 600"
            .to_owned()),
    }
}

#[cfg(test)]
mod tests;
