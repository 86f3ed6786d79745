//! Senders against a directory in memory, a DNS server on loopback, and mails that another program signed
//! (`testdata/dkim/make.py`).

mod by_connection;
mod by_dkim;
mod by_mailbox;
mod by_relay;
mod by_secret;
mod by_spf;
#[path = "../../tests/support/dns.rs"]
mod dns;

use std::path::PathBuf;

use mail_auth::{
    common::{crypto::Ed25519Key, headers::HeaderWriter as _},
    dkim::DkimSigner,
};

use super::*;
use crate::clock::now_ms;
use dns::{Stub, Zone};

/// When the mails of `testdata/dkim` are dated: 20 November 2026, 12:00 UTC.
const THEN: Millis = 1_795_176_000_000;
const MINUTE: Millis = 60_000;
const DAY: Millis = 86_400_000;
const HERE: &str = "127.0.0.1";
const AWAY: &str = "192.0.2.66";

struct Town;

#[async_trait]
impl Directory for Town {
    async fn person_by_address(&self, address: &str) -> Result<Option<Person>, DirectoryDown> {
        let user_id = match address {
            "ada@example.com" | "ada.l@example.com" | "ada@example.org" | "ada@strict.example"
            | "ada@alone.example" => "ada",
            "bob@example.com" => "bob",
            "down@example.com" => return Err(DirectoryDown),
            _ => return Ok(None),
        };
        Ok(Some(person(user_id)))
    }

    async fn person_by_secret(&self, secret: &Secret) -> Result<Option<Person>, DirectoryDown> {
        Ok((secret.text() == SECRET).then(|| person("ada")))
    }

    async fn guest(
        &self,
        tenant: &str,
        group: &str,
        address: &str,
    ) -> Result<Option<Person>, DirectoryDown> {
        Ok((group != "Gone").then(|| person(&format!("guest of {tenant}/{group}: {address}"))))
    }
}

fn person(user_id: &str) -> Person {
    Person {
        tenant_id: "t".into(),
        user_id: user_id.into(),
        group_id: "g".into(),
        address: format!("{user_id}@example.com"),
    }
}

fn testdata(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/dkim")
        .join(name)
}

fn zone() -> Zone {
    let text = std::fs::read_to_string(testdata("zone.txt")).unwrap();
    text.lines().fold(Zone::default(), |zone, line| {
        let (name, text) = line.split_once(' ').unwrap();
        zone.txt(name, text)
    })
}

fn signed(name: &str) -> String {
    String::from_utf8(std::fs::read(testdata(&format!("{name}.eml"))).unwrap()).unwrap()
}

/// One try: who sends what from where.
struct Try {
    rules: String,
    zone: Zone,
    now: Millis,
    peer: Option<&'static str>,
    login: Option<&'static str>,
    certificate: Option<ClientCertificate>,
    reverse_path: &'static str,
    mail: String,
    unnamed: Vec<String>,
    secrets: Vec<Secret>,
    /// Out of a mailbox, which believes this authserv-id.
    fetched: Option<Option<&'static str>>,
}

/// A stranger's mail under a rule that takes DKIM alone.
fn dkim(mail: &str) -> Try {
    Try {
        rules: "[[rule]]\nwho = ['*']\nproof = ['dkim']\n".into(),
        zone: zone(),
        now: THEN + MINUTE,
        peer: Some(AWAY),
        login: None,
        certificate: None,
        reverse_path: "bounces@mailer.example",
        mail: mail.to_owned(),
        unnamed: Vec::new(),
        secrets: Vec::new(),
        fetched: None,
    }
}

impl Try {
    async fn verdict(self) -> Result<VerifiedSender, Refusal> {
        self.verdict_with(&Stub::serve(Zone::default())).await
    }

    async fn asking(self) -> (Result<VerifiedSender, Refusal>, Vec<String>) {
        let stub = Stub::serve(self.zone.clone());
        (self.verdict_with(&stub).await, stub.questions())
    }

    async fn verdict_with(self, stub: &Stub) -> Result<VerifiedSender, Refusal> {
        let rules = SenderRules::parse(&format!("fresh_s = 86400\n{}", self.rules)).unwrap();
        let now = self.now;
        let prover =
            Prover::new(rules, Some(Dns::new(Some(stub.address)).unwrap())).at(move || now);
        let login = self.login.map(person);
        let peer = Peer {
            address: self.peer.map(|peer| peer.parse().unwrap()),
            greeting: "mail.example.net",
            login: login.as_ref(),
            certificate: self.certificate.as_ref(),
        };
        let claim = match self.fetched {
            Some(believes) => prover.fetched(believes),
            None => prover.claim(peer, self.reverse_path, &Town).await?,
        };
        let parsed = mail_parser::MessageParser::default()
            .parse(self.mail.as_bytes())
            .unwrap();
        let from: Vec<FromLine> = parsed
            .headers()
            .iter()
            .filter(|header| header.name == mail_parser::HeaderName::From)
            .map(|header| match &header.value {
                mail_parser::HeaderValue::Address(mail_parser::Address::List(list)) => {
                    FromLine::Mailboxes(
                        list.iter()
                            .map(|one| one.address().unwrap_or_default().to_owned())
                            .collect(),
                    )
                }
                mail_parser::HeaderValue::Address(_) => FromLine::Group,
                _ => FromLine::Mailboxes(vec![]),
            })
            .collect();
        let shown = Shown {
            message: &Arc::new(self.mail.clone().into_bytes()),
            from: &from,
            unnamed: &self.unnamed,
            secrets: &self.secrets,
        };
        prover.prove(claim, shown, &Town).await
    }
}

async fn fault(mail: &str) -> SignatureFault {
    let (verdict, _) = dkim(mail).asking().await;
    match verdict {
        Err(Refusal::NotProven { whys, .. }) => match whys.as_slice() {
            [Why::Signature(fault)] => fault.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn relay(results: &str) -> Try {
    Try {
        rules: "[[relay]]\nnetworks = ['192.0.2.66']\nauthserv_id = 'MX.example.com'\n[[rule]]\nwho = ['*']\nproof = ['relay']\n".into(),
        ..dkim(&format!("Authentication-Results: mx.example.com; {results}\r\n{}", signed("unsigned")))
    }
}

fn spf(record: &str) -> Try {
    Try {
        rules: "[[rule]]\nwho = ['*']\nproof = ['spf']\n".into(),
        zone: zone().txt("example.org", record),
        reverse_path: "ada@example.org",
        ..dkim(&signed("unsigned"))
    }
}

const SECRET: &str = "abcdefghijklmnopqrstuvwxyz";
