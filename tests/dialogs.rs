//! Runs `tests/dialogs/*.txt` against the real listener, with a directory and an acceptor in memory.
//!
//! A dialog is what a client says and what it must hear:
//!
//! ```text
//! # a comment
//! set max_errors = 3           a limit, before the first line of talk
//! set user.mails_per_minute = 2 of policies/limits.toml
//! set door = lmtp              smtp, unless told: submission, submissions, lmtp, or socket (LMTP over one)
//! C: NOOP                      a line to send, with CRLF
//! C= a\nb                      octets to send, with \r \n \0 \t \\ \xNN
//! C< dkim/good.eml             the file of testdata, as a message's data without its end
//! C+ NOOP                      a line that is sent in one write with the next C
//! S: 250 2.0.0 *               the next line must match; * is any text
//! S~ 250 *                     lines "250-…" are passed over until the last line, which must match
//! TLS                          begins TLS; "TLS cert" shows a certificate, whose SHA-256 a rule writes as FINGERPRINT,
//!                              "TLS scanner" one of testdata/tls/clients, where a rule finds their AUTHORITY
//! CONNECT                      opens another connection and leaves the old one open
//! SWITCH                       goes back to the connection before
//! CLOSE                        the client goes without a word
//! STOP                         the server begins to stop
//! END                          the server must have closed the connection
//! MAILS 1                      so many mails must have been kept
//! MAIL has text                the last one kept must hold this
//! MAIL lacks text              or must not
//! SUBJECT text                 the subject of that one, and
//! ASKS {"cover":"none"}        what is asked of its first fax, as it is kept; nothing: "-"
//! GIVEN address                its first recipient as kept
//! NOTES <a@b> <>               what was kept for postmaster, and from whom
//! NOTE lacks text              the last of it must not hold this
//! TO +33123456789              its only number
//! REFUSED address: why         what of it was not taken and is told by a letter
//! RETURNED mail failed 5.1.1   what was read of reports to return paths of ours, bounce+ours…@
//! PROOF password               what proved its sender
//! ASKED no                     whether the DNS was asked anything
//! DSN RET ENVID NOTIFY ORCPT   its DSN parameters, "-" for one that it hasn't got
//! REPEAT 5 C: NOOP             the line, so many times
//! ```
#![allow(clippy::unwrap_used)]

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use faxpost::{
    books::Contact,
    config::{Config, LmtpAddress},
    dial::{Destination, DialPlan},
    front::{
        House, Intake, Kept, Limited, Mail, NotTaken, PostmasterMail,
        smtp::{Door, Limits, Role},
    },
    language::Told,
    people::{Codes, Terms, Verifier},
    policy::Limits as Policy,
    relay::bounce::Bounce,
    sender::{Directory, DirectoryDown, Dns, Person, Prover, Secret, SenderRules},
    trouble::Trouble,
    vault::SpoolDir,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

#[path = "support/dns.rs"]
#[allow(dead_code)]
mod dns;

use dns::{Stub, Zone};

/// No step waits longer: a guard against hanging, never a pause.
const PATIENCE: Duration = Duration::from_secs(20);

/// Two tenants, three users, and what they mailed.
#[derive(Default)]
struct Town {
    kept: Mutex<Vec<Mail>>,
    returned: Mutex<Vec<String>>,
    to_postmaster: Mutex<Vec<PostmasterMail>>,
    postmaster: Option<String>,
    directory_down: bool,
    house_full: bool,
    /// The limit of the day is used up.
    used_up: bool,
}

fn person(tenant_id: &str, user_id: &str, address: &str) -> Person {
    Person {
        tenant_id: tenant_id.into(),
        user_id: user_id.into(),
        group_id: "default".into(),
        address: address.into(),
    }
}

#[async_trait]
impl Directory for Town {
    async fn person_by_address(&self, address: &str) -> Result<Option<Person>, DirectoryDown> {
        if self.directory_down {
            return Err(DirectoryDown);
        }
        Ok(match address {
            "ada@example.com" | "ada.l@example.com" => {
                Some(person("north", "ada", "ada@example.com"))
            }
            "bob@example.com" => Some(person("north", "bob", "bob@example.com")),
            "ada@example.org" => Some(person("north", "ada", "ada@example.com")),
            "zoë@example.com" => Some(person("north", "zoe", "zoë@example.com")),
            "sue@example.net" => Some(person("south", "sue", "sue@example.net")),
            _ => None,
        })
    }

    async fn person_by_secret(&self, secret: &Secret) -> Result<Option<Person>, DirectoryDown> {
        let adas = secret.text() == "abcdefghijklmnopqrstuvwx27";
        Ok(adas.then(|| person("north", "ada", "ada@example.com")))
    }

    async fn guest(
        &self,
        tenant: &str,
        group: &str,
        address: &str,
    ) -> Result<Option<Person>, DirectoryDown> {
        Ok((group == "Partners").then(|| person(tenant, "guest", address)))
    }
}

#[async_trait]
impl House for Town {
    async fn tenant_of_domain(&self, domain: &str) -> Result<Option<String>, DirectoryDown> {
        Ok(match domain {
            "fax.example.com" => Some("north".into()),
            "fax.example.net" => Some("south".into()),
            _ => None,
        })
    }

    async fn not_allowed(
        &self,
        _: &str,
        _: &str,
        number: &Destination,
    ) -> Result<Option<Told>, DirectoryDown> {
        let denied = number.as_str().starts_with("+33140");
        Ok(denied.then(|| Told {
            en: "your profile does not allow it".to_owned(),
            fr: "votre profil ne le permet pas".to_owned(),
        }))
    }

    async fn terms(&self, _: &str, user: &str) -> Result<Terms, DirectoryDown> {
        Ok(Terms {
            time_zone: "Europe/Paris".into(),
            codes: match user {
                "bob" => Codes::Of(vec!["47##".into()]),
                _ => Codes::Free,
            },
        })
    }

    async fn contacts(
        &self,
        tenant: &str,
        _: &str,
        name: &str,
    ) -> Result<Option<Vec<Contact>>, DirectoryDown> {
        let contact = |number: &str| Contact {
            contact_id: String::new(),
            name: "jo.doe".into(),
            title: "Jo Doe".into(),
            number: number.into(),
            sub_address: None,
        };
        Ok(match (tenant, name) {
            ("north", "jo.doe") => Some(vec![contact("+33123456789")]),
            ("north", "board") => Some(vec![contact("+33123456789"), contact("+33123456780")]),
            _ => None,
        })
    }

    async fn callers(&self, _: &str, _: &str) -> Result<Vec<String>, DirectoryDown> {
        Ok(vec!["+33199001122".into()])
    }

    fn returned_mail(&self, local_part: &str) -> Option<String> {
        let mail = local_part.strip_prefix("bounce+")?;
        mail.starts_with("ours").then(|| mail.to_owned())
    }

    async fn returned(&self, mail: &str, bounce: &Bounce) -> Result<(), NotTaken> {
        if mail == "ours-sending" {
            let words = "it is being sent just now: try again in a minute";
            return Err(NotTaken::new(Trouble::Temporary, words));
        }
        let line = format!("{mail} {}", bounce.words());
        self.returned.lock().unwrap().push(line);
        Ok(())
    }

    async fn login(&self, login: &str, password: &str) -> Result<Option<Person>, DirectoryDown> {
        match self.person_by_address(&login.to_lowercase()).await? {
            Some(person) if password == format!("{} sings", person.user_id) => Ok(Some(person)),
            _ => Ok(None),
        }
    }

    async fn scram(&self, login: &str) -> Result<(Option<Person>, Verifier), DirectoryDown> {
        let person = self.person_by_address(&login.to_lowercase()).await?;
        let user = person.as_ref().map_or("nobody", |person| &person.user_id);
        let verifier = Verifier::of(&format!("{user} sings"), b"salt", 4096);
        Ok((person, verifier))
    }

    async fn accept(&self, mail: Mail) -> Result<Kept, NotTaken> {
        if self.house_full {
            let sentence = "the store is busy: try again in a few minutes";
            return Err(NotTaken::new(Trouble::Temporary, sentence));
        }
        if self.used_up {
            return Err(NotTaken {
                limited: Some(Limited {
                    wait: Duration::from_secs(18_001),
                }),
                ..NotTaken::new(Trouble::Temporary, "you may send 3 faxes a day")
            });
        }
        let mut kept = self.kept.lock().unwrap();
        let faxed = mail.recipients.len();
        kept.push(mail);
        Ok(Kept {
            submission: format!("submission-{}", kept.len()),
            faxed,
            again: 0,
        })
    }

    async fn postmaster(&self) -> Result<Option<String>, DirectoryDown> {
        if self.directory_down {
            return Err(DirectoryDown);
        }
        Ok(self.postmaster.clone())
    }

    async fn hand_on(&self, mail: PostmasterMail) -> Result<String, NotTaken> {
        let mut kept = self.to_postmaster.lock().unwrap();
        kept.push(mail);
        Ok(format!("note-{}", kept.len()))
    }
}

/// One line of a dialog.
#[derive(Clone, Debug)]
struct Step {
    line: usize,
    word: String,
    rest: String,
}

struct Dialog {
    path: PathBuf,
    settings: Vec<(String, String)>,
    steps: VecDeque<Step>,
}

impl Dialog {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let mut dialog = Self {
            path: path.to_owned(),
            settings: Vec::new(),
            steps: VecDeque::new(),
        };
        for (index, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(setting) = line.strip_prefix("set ") {
                let (name, value) = setting.split_once(" = ").expect("set name = value");
                dialog.settings.push((name.into(), value.into()));
                continue;
            }
            let (mut word, mut rest) = line.split_once(' ').unwrap_or((line, ""));
            let mut times = 1;
            if word == "REPEAT" {
                let (count, step) = rest.split_once(' ').expect("REPEAT count step");
                times = count.parse().expect("a count");
                (word, rest) = step.split_once(' ').unwrap_or((step, ""));
            }
            let step = Step {
                line: index + 1,
                word: word.into(),
                rest: rest.into(),
            };
            dialog.steps.extend(std::iter::repeat_n(step, times));
        }
        dialog
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// The client's end of one connection.
struct Client {
    stream: Box<dyn Stream>,
    read: Vec<u8>,
    pending: Vec<u8>,
}

impl Client {
    async fn connect(address: &LmtpAddress) -> Self {
        let stream: Box<dyn Stream> = match address {
            LmtpAddress::Tcp(address) => {
                let stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                Box::new(stream)
            }
            LmtpAddress::Unix(path) => Box::new(UnixStream::connect(path).await.unwrap()),
        };
        Self {
            stream,
            read: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// Sends; a server that closed already is found out at the next reading.
    async fn send(&mut self, octets: &[u8]) {
        self.pending.extend_from_slice(octets);
        let pending = std::mem::take(&mut self.pending);
        let _ = self.stream.write_all(&pending).await;
        let _ = self.stream.flush().await;
    }

    /// The next line without its CRLF; None at the end of the connection.
    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.read.drain(..end + 2).collect();
                return Some(String::from_utf8(line[..end].to_vec()).expect("answers are ASCII"));
            }
            let mut more = [0; 4096];
            match self.stream.read(&mut more).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.read.extend_from_slice(&more[..read]),
            }
        }
    }

    async fn begin_tls(&mut self, shows: &str) {
        let certificate = CertificateDer::from_pem_file(testdata("tls/localhost.pem")).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match shows {
            "" => config.with_no_client_auth(),
            "cert" => {
                let key = PrivateKeyDer::from_pem_file(testdata("tls/localhost-key.pem")).unwrap();
                config
                    .with_client_auth_cert(vec![shown_certificate()], key)
                    .unwrap()
            }
            name => {
                let file = |end| testdata(&format!("tls/clients/{name}.{end}"));
                let chain = vec![CertificateDer::from_pem_file(file("pem")).unwrap()];
                let key = PrivateKeyDer::from_pem_file(file("key")).unwrap();
                config.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let stream = TlsConnector::from(Arc::new(config))
            .connect(ServerName::try_from("localhost").unwrap(), plain)
            .await
            .expect("a TLS handshake");
        self.stream = Box::new(stream);
    }
}

/// Any will do: its fingerprint is in the rule.
fn shown_certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_file(testdata("tls/localhost.pem")).unwrap()
}

fn fingerprint() -> String {
    let digest = Sha256::digest(shown_certificate());
    digest
        .iter()
        .map(|octet| format!("{octet:02X}"))
        .collect::<Vec<_>>()
        .join(":")
}

fn testdata(name: &str) -> PathBuf {
    root().join("testdata").join(name)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|at| rest.is_char_boundary(*at))
                .any(|at| matches(tail, &rest[at..]))
        }),
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        if octet != b'\\' {
            out.push(octet);
            continue;
        }
        out.push(match octets.next().expect("an escape") {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'x' => {
                let digits = [octets.next().unwrap(), octets.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    out
}

struct Run {
    town: Arc<Town>,
    address: LmtpAddress,
    stop: CancellationToken,
    dns: Stub,
    clients: Vec<Client>,
    current: usize,
    /// Where the socket lies, for as long as the dialog runs.
    _folder: tempfile::TempDir,
}

/// The zone that the mails of `testdata/dkim` were signed for.
fn zone() -> Zone {
    let text = std::fs::read_to_string(testdata("dkim/zone.txt")).unwrap();
    text.lines().fold(Zone::default(), |zone, line| {
        let (name, text) = line.split_once(' ').unwrap();
        zone.txt(name, text)
    })
}

impl Run {
    async fn start(dialog: &Dialog) -> Self {
        let mut config = Config::for_testing(Path::new("/"));
        config.hostname = "fax.example.com".into();
        config.smtp.min_free_disk = 0;
        let any = config.smtp.listen[0];
        let folder = tempfile::tempdir().unwrap();
        let mut role = Role::Smtp;
        let mut limits = Limits::of(&config);
        let mut town = Town::default();
        let mut rules = SenderRules::load(None).unwrap();
        let (mut zone, mut clock) = (zone(), None);
        let mut policy = Policy::default();
        for (name, value) in &dialog.settings {
            let number = || value.parse::<u64>().expect("a number");
            let small = || value.parse::<u32>().expect("a number");
            let size = || value.parse::<usize>().expect("a number");
            let duration = || Duration::from_millis(number());
            match (name.as_str(), value.as_str()) {
                ("max_size", _) => limits.max_size = size(),
                ("max_recipients", _) => limits.max_recipients = size(),
                ("max_errors", _) => limits.max_errors = size(),
                ("max_sessions", _) => limits.max_sessions = size(),
                ("max_sessions_per_address", _) => limits.max_sessions_per_address = size(),
                ("data_budget", _) => limits.data_budget = size(),
                ("spool_from", _) => {
                    limits.spool_from = size();
                    limits.spool = Some(SpoolDir::open(folder.path()).unwrap());
                }
                ("read_patience_ms", _) => limits.read_patience = duration(),
                ("command_timeout_ms", _) => limits.command_timeout = duration(),
                ("data_timeout_ms", _) => limits.data_timeout = duration(),
                ("rate_window_ms", _) => limits.rate_window = duration(),
                ("min_data_rate", _) => limits.min_data_rate = number(),
                ("min_free_disk", _) => limits.disk = Some(("/".into(), number())),
                ("clear_passwords", "none") => limits.clear_passwords_from.clear(),
                ("rules", _) => {
                    let text = String::from_utf8(unescape(value)).unwrap();
                    let text = text.replace("FINGERPRINT", &fingerprint());
                    let ca = testdata("tls/clients/ca.pem");
                    let text = text.replace("AUTHORITY", &ca.display().to_string());
                    rules = SenderRules::parse(&format!("fresh_s = 86400\n{text}\n")).unwrap();
                    limits.ask_certificates = rules.asks_certificates();
                }
                ("clock_s", _) => clock = Some(i64::try_from(number()).unwrap() * 1000),
                ("dns", "failing") => zone.failing = vec!["example.org".into()],
                ("spf", _) => zone = zone.txt("example.org", value),
                ("postmaster", _) => town.postmaster = Some(value.clone()),
                ("directory", "down") => town.directory_down = true,
                ("house", "full") => town.house_full = true,
                ("used_up", "yes") => town.used_up = true,
                ("source.connections_per_minute", _) => {
                    policy.source.connections_per_minute = small();
                }
                ("source.mails_per_minute", _) => policy.source.mails_per_minute = small(),
                ("source.failed_logins_per_hour", _) => {
                    policy.source.failed_logins_per_hour = small();
                }
                ("source.postmaster_per_hour", _) => policy.source.postmaster_per_hour = small(),
                ("source.postmaster_octets", _) => policy.source.postmaster_octets = size(),
                ("user.mails_per_minute", _) => policy.user.mails_per_minute = small(),
                ("tenant.mails_per_minute", _) => policy.tenant.mails_per_minute = small(),
                ("door", "submission") => {
                    role = Role::Submission;
                    config.smtp.submission = vec![any];
                }
                ("door", "submissions") => {
                    role = Role::Submissions;
                    config.smtp.submissions = vec![any];
                }
                ("door", "lmtp") => {
                    role = Role::Lmtp;
                    config.smtp.lmtp = vec![LmtpAddress::Tcp(any)];
                }
                ("door", "socket") => {
                    role = Role::Lmtp;
                    config.smtp.lmtp = vec![LmtpAddress::Unix(folder.path().join("lmtp"))];
                }
                ("proxy_from", _) => limits.proxy_from = vec![value.parse().unwrap()],
                ("xclient_from", _) => limits.xclient_from = vec![value.parse().unwrap()],
                ("proxy_patience_ms", _) => limits.proxy_patience = duration(),
                ("tls", "yes") => {
                    config.smtp.tls_certificate = Some(testdata("tls/localhost.pem"));
                    config.smtp.tls_key = Some(testdata("tls/localhost-key.pem"));
                }
                other => panic!("{}: no setting {other:?}", dialog.path.display()),
            }
        }
        let town = Arc::new(town);
        let dns = Stub::serve(zone);
        let mut prover = Prover::new(rules, Some(Dns::new(Some(dns.address)).unwrap()));
        if let Some(clock) = clock {
            prover = prover.at(move || clock);
        }
        let intake = Intake::new(
            Arc::clone(&town) as _,
            prover,
            DialPlan::load(None).unwrap(),
        )
        .with_limits(policy);
        let door = Door::open(&config, limits).await.unwrap();
        let (_, address) = door.addresses().find(|(at, _)| *at == role).unwrap();
        let address = address.clone();
        let stop = CancellationToken::new();
        tokio::spawn(door.serve(Arc::new(intake), stop.clone()));
        Self {
            town,
            address,
            stop,
            dns,
            clients: Vec::new(),
            current: 0,
            _folder: folder,
        }
    }

    fn client(&mut self) -> &mut Client {
        &mut self.clients[self.current]
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        if self.clients.is_empty() || step.word == "CONNECT" {
            self.clients.push(Client::connect(&self.address).await);
            self.current = self.clients.len() - 1;
        }
        let rest = step.rest.as_str();
        match step.word.as_str() {
            "C:" => {
                let line = [rest.as_bytes(), b"\r\n"].concat();
                self.client().send(&line).await;
            }
            "C=" => {
                let octets = unescape(rest);
                self.client().send(&octets).await;
            }
            "C<" => {
                let text = String::from_utf8(std::fs::read(testdata(rest)).unwrap()).unwrap();
                let stuffed = text.replace("\r\n.", "\r\n..");
                self.client().send(stuffed.as_bytes()).await;
            }
            "C+" => {
                let line = [rest.as_bytes(), b"\r\n"].concat();
                self.client().pending.extend(line);
            }
            "S:" => {
                let line = self
                    .client()
                    .line()
                    .await
                    .ok_or("the connection was closed")?;
                if !matches(rest, &line) {
                    return Err(format!("heard {line:?}"));
                }
            }
            "S~" => loop {
                let line = self
                    .client()
                    .line()
                    .await
                    .ok_or("the connection was closed")?;
                if line.as_bytes().get(3) == Some(&b'-') && line[..3] == rest[..3] {
                    continue;
                }
                if !matches(rest, &line) {
                    return Err(format!("heard {line:?}"));
                }
                break;
            },
            "END" => {
                if let Some(line) = self.client().line().await {
                    return Err(format!("heard {line:?}"));
                }
            }
            "TLS" => self.client().begin_tls(rest).await,
            "CONNECT" => {}
            "SWITCH" => self.current -= 1,
            "CLOSE" => self.client().stream = Box::new(tokio::io::empty()),
            "STOP" => self.stop.cancel(),
            "MAILS" => {
                let kept = self.town.kept.lock().unwrap().len();
                if kept.to_string() != rest {
                    return Err(format!("{kept} were kept"));
                }
            }
            "NOTES" => {
                let notes = self.town.to_postmaster.lock().unwrap();
                let senders: Vec<_> = notes
                    .iter()
                    .map(|note| format!("<{}>", note.reverse_path))
                    .collect();
                if senders.join(" ") != rest {
                    return Err(format!("they are from {senders:?}"));
                }
            }
            "NOTE" => {
                let notes = self.town.to_postmaster.lock().unwrap();
                let note = notes.last().ok_or("none was kept")?;
                let text = rest.strip_prefix("lacks ").expect("NOTE lacks text");
                let message = String::from_utf8_lossy(&note.message);
                if message.contains(text) {
                    return Err(format!("it is {message:?}"));
                }
            }
            "MAIL" => {
                let kept = self.town.kept.lock().unwrap();
                let mail = kept.last().ok_or("no mail was kept")?;
                let (how, text) = rest.split_once(' ').expect("MAIL has text");
                let text = unescape(text);
                let has = mail
                    .message
                    .windows(text.len())
                    .any(|window| window == text);
                if has != (how == "has") {
                    return Err(format!(
                        "it is {:?}",
                        mail.message.escape_ascii().to_string()
                    ));
                }
            }
            "TO" => {
                let kept = self.town.kept.lock().unwrap();
                let mail = kept.last().ok_or("no mail was kept")?;
                let numbers: Vec<String> = mail
                    .recipients
                    .iter()
                    .map(|recipient| match &recipient.sub_address {
                        None => recipient.destination.to_string(),
                        Some(sub) => format!("{}/T33S={sub}", recipient.destination),
                    })
                    .collect();
                if numbers.join(" ") != rest {
                    return Err(format!("it goes to {numbers:?}"));
                }
            }
            "RETURNED" => {
                let returned = self.town.returned.lock().unwrap();
                if returned.join(", ") != rest {
                    return Err(format!("what came back is {returned:?}"));
                }
            }
            "REFUSED" => {
                let kept = self.town.kept.lock().unwrap();
                let refused = &kept.last().ok_or("no mail was kept")?.refused;
                let lines: Vec<_> = refused
                    .iter()
                    .map(|one| format!("{}: {}", one.name, one.why.en))
                    .collect();
                if lines.join(" ") != rest {
                    return Err(format!("refused was {lines:?}"));
                }
            }
            "PROOF" => {
                let kept = self.town.kept.lock().unwrap();
                let words = kept.last().ok_or("no mail was kept")?.sender.proof_words();
                if words != rest {
                    return Err(format!("it is {words:?}"));
                }
            }
            "ASKS" => {
                let kept = self.town.kept.lock().unwrap();
                let mail = kept.last().ok_or("no mail was kept")?;
                let asked = mail.recipients[0].options.to_column();
                let found = asked.as_deref().unwrap_or("-");
                if found != rest {
                    return Err(format!("it is {found}"));
                }
            }
            "SUBJECT" | "GIVEN" => {
                let kept = self.town.kept.lock().unwrap();
                let mail = kept.last().ok_or("no mail was kept")?;
                let found = match step.word.as_str() {
                    "SUBJECT" => &mail.subject,
                    _ => &mail.recipients[0].address,
                };
                if found != rest {
                    return Err(format!("it is {found:?}"));
                }
            }
            "ASKED" => {
                let questions = self.dns.questions();
                if questions.is_empty() != (rest == "no") {
                    return Err(format!("the questions were {questions:?}"));
                }
            }
            "DSN" => {
                let kept = self.town.kept.lock().unwrap();
                let mail = kept.last().ok_or("no mail was kept")?;
                let recipient = &mail.recipients[0];
                let words = [
                    mail.ret,
                    mail.envid.as_deref(),
                    recipient.notify.as_deref(),
                    recipient.orcpt.as_deref(),
                ]
                .map(|word| word.unwrap_or("-"));
                if words.join(" ") != rest {
                    return Err(format!("they are {words:?}"));
                }
            }
            other => panic!("no step {other:?}"),
        }
        Ok(())
    }
}

async fn play(path: &Path) -> Result<(), String> {
    let dialog = Dialog::read(path);
    let mut run = Run::start(&dialog).await;
    for step in &dialog.steps {
        let place = format!(
            "{}:{}: {} {}",
            path.display(),
            step.line,
            step.word,
            step.rest
        );
        match tokio::time::timeout(PATIENCE, run.step(step)).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => return Err(format!("{place}\n    {fault}")),
            Err(_) => return Err(format!("{place}\n    nothing came")),
        }
    }
    run.stop.cancel();
    Ok(())
}

/// What SCRAM says at its end to a proof that is wrong, RFC 5802 §5: to a client that knows our nonce.
#[tokio::test]
async fn a_wrong_proof_is_refused_alike_for_somebody_and_for_nobody() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let dialog = Dialog {
        path: PathBuf::new(),
        settings: Vec::new(),
        steps: VecDeque::new(),
    };
    let run = Run::start(&dialog).await;
    let mut client = Client::connect(&run.address).await;
    client.line().await.unwrap();
    client.send(b"EHLO client.example\r\n").await;
    while client.line().await.unwrap().starts_with("250-") {}
    let mut answers = Vec::new();
    for login in ["ada@example.com", "nobody@example.com", "ada@example.com"] {
        let first = STANDARD.encode(format!("n,,n={login},r=abc"));
        client
            .send(format!("AUTH SCRAM-SHA-256 {first}\r\n").as_bytes())
            .await;
        let challenge = client.line().await.unwrap();
        let challenge = STANDARD
            .decode(challenge.strip_prefix("334 ").unwrap())
            .unwrap();
        let challenge = String::from_utf8(challenge).unwrap();
        let nonce = challenge.split(',').next().unwrap();
        let proof = STANDARD.encode([7; 32]);
        let last = STANDARD.encode(format!("c=biws,{nonce},p={proof}"));
        client.send(format!("{last}\r\n").as_bytes()).await;
        answers.push(client.line().await.unwrap());
    }
    assert!(answers[0].starts_with("535 5.7.8 "), "{answers:?}");
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
    let end = client.line().await.unwrap();
    assert!(
        end.starts_with("421 4.7.0 too many wrong passwords"),
        "{end}"
    );
}

#[tokio::test]
async fn every_dialog_goes_as_written() {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(root().join("tests/dialogs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    assert!(paths.len() > 40, "only {} dialogs", paths.len());
    let mut faults = Vec::new();
    for path in &paths {
        if let Err(fault) = play(path).await {
            faults.push(fault);
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {} dialogs went otherwise:\n{}",
        faults.len(),
        paths.len(),
        faults.join("\n")
    );
}

/// Each of the mails in `testdata/mails` is taken whole from its own sender.
#[tokio::test]
async fn real_clients_mails_are_taken() {
    let mut seen = 0;
    for entry in std::fs::read_dir(testdata("mails")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "eml") {
            continue;
        }
        let message = std::fs::read(&path).unwrap();
        let dialog = Dialog {
            path: path.clone(),
            settings: Vec::new(),
            steps: VecDeque::new(),
        };
        let run = Run::start(&dialog).await;
        let mut client = Client::connect(&run.address).await;
        let stuffed = String::from_utf8(message.clone())
            .expect("the samples are ASCII or UTF-8")
            .replace("\r\n.", "\r\n..");
        assert!(client.line().await.unwrap().starts_with("220 "));
        client.send(b"EHLO client.example\r\n").await;
        while client.line().await.unwrap().as_bytes()[3] == b'-' {}
        client
            .send(b"MAIL FROM:<ada@example.com> BODY=8BITMIME\r\nRCPT TO:<+33123456789@fax.example.com>\r\nDATA\r\n")
            .await;
        for code in ["250", "250", "354"] {
            let line = client.line().await.unwrap();
            assert!(line.starts_with(code), "{}: {line}", path.display());
        }
        client.send(stuffed.as_bytes()).await;
        client.send(b".\r\n").await;
        let line = client.line().await.unwrap();
        assert!(
            line.starts_with("250 2.0.0 submission-1 "),
            "{}: {line}",
            path.display()
        );
        let kept = run.town.kept.lock().unwrap();
        let trace = kept[0].message.len() - message.len();
        assert!(kept[0].message.starts_with(b"Received: "));
        assert_eq!(
            &kept[0].message[trace..],
            &message[..],
            "{}",
            path.display()
        );
        assert!(kept[0].message_id.is_some(), "{}", path.display());
        assert!(!kept[0].subject.is_empty(), "{}", path.display());
        drop(kept);
        run.stop.cancel();
        seen += 1;
    }
    assert!(seen >= 4, "only {seen} mails");
}

/// Whoever holds connections without bringing mail keeps nobody else waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_and_dripping_crowds_hold_up_nobody() {
    let dialog = Dialog {
        path: "a crowd".into(),
        settings: vec![
            ("max_sessions".into(), "600".into()),
            ("max_sessions_per_address".into(), "600".into()),
        ],
        steps: VecDeque::new(),
    };
    let run = Run::start(&dialog).await;
    let mail = async |client: &mut Client| {
        let begin = std::time::Instant::now();
        for line in [
            "MAIL FROM:<ada@example.com>",
            "RCPT TO:<+33123456789@fax.example.com>",
            "DATA",
            "From: ada@example.com\r\n\r\nhello\r\n.",
        ] {
            client.send(format!("{line}\r\n").as_bytes()).await;
            let answer = client.line().await.expect("an answer");
            assert!(answer.starts_with(['2', '3']), "{answer}");
        }
        begin.elapsed()
    };
    let mut one = Client::connect(&run.address).await;
    one.line().await.expect("a greeting");
    one.send(b"HELO one\r\n").await;
    one.line().await.expect("an answer");
    let mut crowd = Vec::new();
    for index in 0..500 {
        let mut client = Client::connect(&run.address).await;
        client.line().await.expect("a greeting");
        if index % 2 == 0 {
            let begin = b"HELO drip\r\nMAIL FROM:<ada@example.com>\r\nRCPT TO:<+33123456789@fax.example.com>\r\n";
            // HELO must be the last before the answer; the others may follow at once.
            client.send(&begin[..11]).await;
            client.line().await.expect("an answer");
            client.send(&begin[11..]).await;
            client.line().await.expect("an answer");
            client.line().await.expect("an answer");
            client.send(b"DATA\r\n").await;
            client.line().await.expect("an answer");
        }
        crowd.push(client);
    }
    let mut times = Vec::new();
    for _ in 0..20 {
        for client in crowd.iter_mut().step_by(2) {
            client.send(b"x").await;
        }
        times.push(mail(&mut one).await);
    }
    times.sort_unstable();
    assert!(times[10] < Duration::from_secs(2), "{times:?}");
    assert_eq!(run.town.kept.lock().unwrap().len(), 20);
    // The crowd is there yet: nobody was thrown out for another.
    for client in &mut crowd {
        client.send(b"\r\n.\r\nNOOP\r\n").await;
    }
    let last = crowd.last_mut().expect("a crowd");
    assert!(last.line().await.is_some());
}
