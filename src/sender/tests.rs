//! Senders against a directory in memory, a DNS server on loopback, and mails that another program signed
//! (`testdata/dkim/make.py`).

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
    certificate: Option<[u8; 32]>,
    reverse_path: &'static str,
    mail: String,
    unnamed: Vec<String>,
    secrets: Vec<Secret>,
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
            certificate: self.certificate,
        };
        let claim = prover.claim(peer, self.reverse_path, &Town).await?;
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

// What the connection proves --------------------------------------------------------------------

async fn settled(
    peer: &'static str,
    login: Option<&'static str>,
    reverse_path: &'static str,
    from: &str,
) -> Result<VerifiedSender, Refusal> {
    let verdict = Try {
        rules:
            "[[rule]]\nwho = ['*']\nproof = ['password', 'network']\nnetworks = ['127.0.0.0/8']\n"
                .into(),
        peer: Some(peer),
        login,
        reverse_path,
        ..dkim(&format!("{from}\r\n\r\nx"))
    };
    verdict.verdict().await
}

#[tokio::test]
async fn a_listed_network_or_a_password_proves() {
    let sender = settled(HERE, None, "Ada@Example.com", "From: ada@example.com")
        .await
        .unwrap();
    assert_eq!(sender.user().user_id, "ada");
    assert_eq!(sender.proof_words(), "network 127.0.0.1");
    assert_eq!(sender.once(), None);
    let sender = settled(
        AWAY,
        Some("ada"),
        "ada@example.com",
        "From: ada@example.com",
    )
    .await
    .unwrap();
    assert_eq!(sender.proof(), &Proof::Password);
    // Another address of the same user is theirs too.
    assert!(
        settled(HERE, None, "ada@example.com", "From: Ada.L@example.com")
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn promise_4_nobody_sends_as_another() {
    use Refusal as R;
    for (peer, login, envelope, from, refusal) in [
        (AWAY, None, "bob@example.com", "bob", R::Unproven),
        (
            HERE,
            None,
            "ada@example.com",
            "bob",
            R::FromDiffers("bob@example.com".into()),
        ),
        (
            HERE,
            Some("ada"),
            "bob@example.com",
            "bob",
            R::NotTheLogins("bob@example.com".into()),
        ),
        (
            HERE,
            Some("ada"),
            "eve@example.net",
            "ada",
            R::NotTheLogins("eve@example.net".into()),
        ),
        (
            HERE,
            Some("ada"),
            "ada@example.com",
            "bob",
            R::FromDiffers("bob@example.com".into()),
        ),
        (
            HERE,
            None,
            "eve@example.net",
            "bob",
            R::Unknown("eve@example.net".into()),
        ),
        (HERE, None, "", "bob", R::NullReversePath),
        (
            HERE,
            None,
            "down@example.com",
            "bob",
            R::Directory(DirectoryDown),
        ),
    ] {
        let from = format!("From: {from}@example.com");
        assert_eq!(
            settled(peer, login, envelope, &from).await,
            Err(refusal),
            "{envelope}"
        );
    }
}

#[tokio::test]
async fn there_is_one_from_line_with_one_address() {
    for (from, refusal) in [
        ("X: y", Refusal::FromLines(0)),
        (
            "From: bob@example.com\r\nFrom: ada@example.com",
            Refusal::FromLines(2),
        ),
        (
            "From: ada@example.com\r\nFrom: ada@example.com",
            Refusal::FromLines(2),
        ),
        (
            "From: ada@example.com, bob@example.com",
            Refusal::FromAddresses(2),
        ),
        ("From: us: ada@example.com;", Refusal::FromGroup),
    ] {
        assert_eq!(
            settled(HERE, None, "ada@example.com", from).await,
            Err(refusal),
            "{from}"
        );
        // However well it is signed.
        let mail = signed("good").replace("From: Ada <ada@example.org>", from);
        let (verdict, asked) = dkim(&mail).asking().await;
        assert!(verdict.is_err(), "{from}");
        assert!(asked.is_empty(), "{asked:?}");
    }
}

#[tokio::test]
async fn the_first_rule_that_matches_decides_alone() {
    let rules = "[[rule]]\nwho = ['example.org']\nproof = ['password']\n[[rule]]\nwho = ['*']\nproof = ['dkim', 'network']\nnetworks = ['127.0.0.0/8']\n";
    let verdict = Try {
        rules: rules.into(),
        ..dkim(&signed("good"))
    };
    assert_eq!(verdict.verdict().await, Err(Refusal::Unproven));
    // The From line decides, whatever the envelope said.
    let verdict = Try {
        rules: rules.into(),
        peer: Some(HERE),
        reverse_path: "ada@example.com",
        ..dkim(&signed("good"))
    };
    assert_eq!(
        verdict.verdict().await,
        Err(Refusal::NotEnough("ada@example.org".into()))
    );
    let nobody = Try {
        rules: "[[rule]]\nwho = ['x.example']\nproof = ['dkim']\n".into(),
        ..dkim(&signed("good"))
    };
    assert_eq!(
        nobody.verdict().await,
        Err(Refusal::NoRule("ada@example.org".into()))
    );
}

#[tokio::test]
async fn promise_4_a_listed_certificate_proves_within_its_rule() {
    let listed = [0xab; 32];
    let with = |envelope: &'static str, from: &str, certificate| Try {
        rules: format!(
            "[[rule]]\nwho = ['ada@example.com', 'ada.l@example.com']\nproof = ['certificate']\ncertificates = ['{}']\n\
             [[rule]]\nwho = ['*']\nproof = ['password']\n",
            "ab".repeat(32)
        ),
        reverse_path: envelope,
        certificate: Some(certificate),
        ..dkim(&format!("From: {from}\r\n\r\nx"))
    };
    let sender = with("ada@example.com", "ada.l@example.com", listed)
        .verdict()
        .await
        .unwrap();
    assert_eq!(sender.proof_words(), "certificate abababababababab");
    let other = with("ada@example.com", "ada@example.com", [0; 32])
        .verdict()
        .await;
    assert_eq!(other, Err(Refusal::Unproven));
    let bob = with("bob@example.com", "bob@example.com", listed)
        .verdict()
        .await;
    assert_eq!(bob, Err(Refusal::Unproven));
    let forged = with("ada@example.com", "bob@example.com", listed)
        .verdict()
        .await;
    assert_eq!(forged, Err(Refusal::FromDiffers("bob@example.com".into())));
}

// DKIM -------------------------------------------------------------------------------------------

#[tokio::test]
async fn promise_4_a_mail_that_another_program_signed_is_proven() {
    for name in [
        "good",
        "simple",
        "ed25519",
        "two_numbers",
        "below",
        "strict",
        "alone",
    ] {
        let (verdict, asked) = dkim(&signed(name)).asking().await;
        let sender = verdict.unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert_eq!(sender.user().user_id, "ada", "{name}");
        assert!(sender.proof_words().starts_with("dkim "), "{name}");
        assert!(
            asked.iter().any(|question| question.contains("_domainkey")),
            "{asked:?}"
        );
    }
}

#[tokio::test]
async fn promise_4_what_a_signature_does_not_prove_is_refused_by_name() {
    use SignatureFault as F;
    let domain = || "example.org".to_owned();
    let misaligned = |signer: &str, domain: &str| F::Misaligned {
        signer: signer.into(),
        domain: domain.into(),
    };
    for (name, expected) in [
        ("unsigned", F::Missing(domain())),
        ("length", F::Length),
        ("sha1", F::Sha1),
        ("to_not_covered", F::Uncovered("To".into())),
        ("another", misaligned("evil.example", "example.org")),
        (
            "strict_below",
            misaligned("mail.strict.example", "strict.example"),
        ),
        (
            "alone_below",
            misaligned("mail.alone.example", "alone.example"),
        ),
        ("test_key", F::Testing(domain())),
        ("revoked", F::NoKey(domain())),
        ("no_key", F::NoKey(domain())),
        ("short_key", F::NoKey(domain())),
    ] {
        assert_eq!(fault(&signed(name)).await, expected, "{name}");
    }
}

#[tokio::test]
async fn promise_4_a_signed_mail_that_was_changed_is_refused() {
    use SignatureFault as F;
    let good = signed("good");
    assert_eq!(
        fault(&good.replace("as promised", "as amended")).await,
        F::Broken
    );
    assert_eq!(fault(&format!("{good}and more\r\n")).await, F::Broken);
    assert_eq!(
        fault(&good.replace("+33123456789", "+33123456780")).await,
        F::Broken
    );
    assert_eq!(
        fault(&good.replace("the offer", "your offer")).await,
        F::Broken
    );
    // Lines that are put in beside the signed ones.
    let added = |line: &str| format!("{line}\r\n{good}");
    assert_eq!(
        fault(&added("To: +882123456789@fax.example.com")).await,
        F::Uncovered("To".into())
    );
    for odd in ["To ", "T o", "C\tc", ":Cc", ":X-Fax-Password", "Sub ject"] {
        let found = fault(&added(&format!("{odd}: +882123456789@fax.example.com"))).await;
        assert_eq!(found, F::FieldName(odd.replace('\t', "\\t")));
    }
    assert_eq!(
        fault(&added("X-Fax-Password: 1")).await,
        F::Uncovered("X-Fax-Password".into())
    );
    assert_eq!(
        fault(&added("Subject: pay")).await,
        F::Uncovered("Subject".into())
    );
    // A signature appended to the list of another's proves nothing, and hides nothing.
    let evil = signed("another");
    let (evil, _) = evil.split_once("\r\nFrom:").unwrap();
    assert!(dkim(&added(evil)).asking().await.0.is_ok());
    // What relays put on top is no part of the mail.
    assert!(
        dkim(&added("Received: by x; now\r\nX-Spam: no"))
            .asking()
            .await
            .0
            .is_ok()
    );
}

#[tokio::test]
async fn promise_4_a_signed_mail_must_be_fresh() {
    use SignatureFault as F;
    let at = async |now: Millis| {
        let (verdict, asked) = Try {
            now,
            ..dkim(&signed("good"))
        }
        .asking()
        .await;
        match verdict {
            Ok(_) => Ok(()),
            Err(Refusal::NotProven { whys, .. }) => {
                assert!(asked.is_empty(), "nothing is asked for it: {asked:?}");
                Err(whys)
            }
            other => panic!("{other:?}"),
        }
    };
    let why = |fault| Err(vec![Why::Signature(fault)]);
    assert_eq!(at(THEN).await, Ok(()));
    assert_eq!(at(THEN - 9 * MINUTE).await, Ok(()));
    assert_eq!(at(THEN - 11 * MINUTE).await, why(F::Future));
    assert_eq!(at(THEN + DAY).await, Ok(()));
    assert_eq!(at(THEN + DAY + MINUTE).await, why(F::Old));
}

#[tokio::test]
async fn promise_4_a_signed_mail_proves_nothing_to_other_numbers() {
    let replay = Try {
        unnamed: vec!["+882123456789".into()],
        ..dkim(&signed("good"))
    };
    let refusal = replay.asking().await.0.unwrap_err();
    assert!(
        refusal
            .to_string()
            .contains("+882123456789 is in neither its To nor its Cc line"),
        "{refusal}"
    );
    assert_eq!(refusal.trouble(), crate::trouble::Trouble::Permanent);
}

#[tokio::test]
async fn promise_4_copies_of_a_signed_mail_have_one_mark_until_they_are_stale() {
    let once = async |mail: &str| dkim(mail).asking().await.0.unwrap().once().unwrap();
    let good = once(&signed("good")).await;
    // Another signature over the same mail, another way to sign it, more lines: the same mail.
    for copy in ["simple", "ed25519", "below"] {
        assert_eq!(once(&signed(copy)).await.mark, good.mark, "{copy}");
    }
    assert_eq!(
        once(&format!("X-New: 1\r\n{}", signed("good"))).await.mark,
        good.mark
    );
    assert_ne!(once(&signed("two_numbers")).await.mark, good.mark);
    assert!(good.until >= THEN + DAY + 10 * MINUTE);
}

/// A Cc recipient has a signed copy of what was proven in another way: it must be told as a copy.
#[tokio::test]
async fn promise_4_a_mail_has_its_mark_whatever_proved_it() {
    let good = || signed("good");
    let copy = dkim(&good()).asking().await.0.unwrap().once().unwrap();
    assert!(copy.replayable);
    let rule =
        |proof: &str, more: &str| format!("[[rule]]\nwho = ['*']\nproof = [{proof}]\n{more}");
    let relay = "[[relay]]\nnetworks = ['192.0.2.66']\nauthserv_id = 'mx'\n";
    let said = |word: &str| format!("Authentication-Results: mx; {word}\r\n{}", good());
    let network = || Try {
        rules: rule("'network'", "networks = ['192.0.2.66']"),
        reverse_path: "ada@example.org",
        ..dkim(&good())
    };
    let ways = [
        (
            "spf",
            true,
            Try {
                rules: rule("'spf', 'dkim'", ""),
                zone: zone().txt("example.org", "v=spf1 ip4:192.0.2.66 -all"),
                reverse_path: "ada@example.org",
                ..dkim(&good())
            },
        ),
        (
            "relay",
            true,
            Try {
                rules: rule("'relay', 'dkim'", "") + relay,
                ..dkim(&said("dmarc=pass header.from=example.org"))
            },
        ),
        (
            "relay",
            false,
            Try {
                rules: rule("'relay', 'dkim'", "") + relay,
                ..dkim(&said("auth=pass smtp.auth=ada@example.org"))
            },
        ),
        (
            "secret",
            false,
            Try {
                rules: rule("'secret', 'dkim'", ""),
                secrets: vec![
                    secret::of_address(&format!("+331/secret={SECRET}"))
                        .unwrap()
                        .1
                        .unwrap(),
                ],
                ..dkim(&good())
            },
        ),
        ("network", false, network()),
        // A login may send what was dated long ago, or will be: a copy is told all the same while it is fresh.
        (
            "network",
            false,
            Try {
                now: THEN - DAY,
                ..network()
            },
        ),
    ];
    for (proof, replayable, way) in ways {
        let sender = way.asking().await.0.unwrap();
        assert!(sender.proof_words().starts_with(proof), "{sender:?}");
        let once = sender.once().expect(proof);
        assert_eq!(
            (once.mark, once.replayable),
            (copy.mark, replayable),
            "{proof}"
        );
        assert!(once.until >= THEN + DAY, "{proof}");
    }
}

#[tokio::test]
async fn promise_4_what_a_relay_says_of_a_stale_mail_proves_nothing() {
    let dmarc = "dmarc=pass header.from=example.org";
    let why = async |one: Try| match one.verdict().await {
        Err(Refusal::NotProven { whys, .. }) => whys,
        other => panic!("{other:?}"),
    };
    let stale = Try {
        now: THEN + DAY + MINUTE,
        ..relay(dmarc)
    };
    assert_eq!(why(stale).await, [Why::Signature(SignatureFault::Old)]);
    let mut undated = relay(dmarc);
    undated.mail = undated.mail.replace("Date:", "X-Date:");
    assert_eq!(why(undated).await, [Why::Signature(SignatureFault::Date)]);
    // Who logs in there may send what was written long ago.
    let old = Try {
        now: THEN + 30 * DAY,
        ..relay("auth=pass smtp.auth=ada@example.org")
    };
    assert!(old.verdict().await.is_ok());
}

#[tokio::test]
async fn a_dns_that_fails_or_is_silent_is_trouble_that_passes() {
    let slow = |zone: Zone| async {
        let began = std::time::Instant::now();
        let verdict = Try {
            zone,
            ..dkim(&signed("good"))
        }
        .asking()
        .await
        .0;
        (verdict, began.elapsed())
    };
    let domain = || vec!["example.org".to_owned()];
    let dmarc = || vec!["_dmarc.example.org".to_owned()];
    for zone in [
        Zone {
            failing: domain(),
            ..zone()
        },
        Zone {
            failing: dmarc(),
            ..zone()
        },
        Zone {
            silent: domain(),
            ..zone()
        },
        Zone {
            silent: dmarc(),
            ..zone()
        },
    ] {
        let (verdict, elapsed) = slow(zone).await;
        assert_eq!(verdict, Err(Refusal::Dns("example.org".into())));
        assert!(elapsed < super::dns::BUDGET * 3, "{elapsed:?}");
    }
    let prover = Prover::new(
        SenderRules::parse("fresh_s = 60\n[[rule]]\nwho=['*']\nproof=['dkim']").unwrap(),
        None,
    );
    let peer = Peer {
        address: None,
        greeting: "",
        login: None,
        certificate: None,
    };
    let claim = prover.claim(peer, "x@example.net", &Town).await.unwrap();
    let from = [FromLine::Mailboxes(vec!["ada@example.org".into()])];
    let shown = Shown {
        message: &Arc::new(signed("good").into_bytes()),
        from: &from,
        unnamed: &[],
        secrets: &[],
    };
    assert_eq!(
        prover.prove(claim, shown, &Town).await,
        Err(Refusal::Dns("example.org".into()))
    );
}

#[tokio::test]
async fn who_is_known_here_is_told_to_nobody_unproven() {
    let stranger = signed("good").replace("ada@example.org", "eve@example.org");
    let known = fault(&signed("unsigned")).await;
    let unknown = fault(&signed("unsigned").replace("ada@example.org", "eve@example.org")).await;
    assert_eq!(known, unknown);
    assert_eq!(fault(&stranger).await, SignatureFault::Broken);
}

/// Signed by mail-auth, for times and sizes that no file has.
fn sign_now(mail: &str, expires_in: u64) -> (String, Zone) {
    let pkcs8 = Ed25519Key::generate_pkcs8().unwrap();
    let key = Ed25519Key::from_pkcs8_der(&pkcs8).unwrap();
    use base64::Engine as _;
    let public = base64::engine::general_purpose::STANDARD.encode(key.public_key());
    let mut signer = DkimSigner::from_key(key)
        .domain("example.org")
        .selector("now")
        .headers(["From", "To", "Date", "Subject"]);
    if expires_in > 0 {
        signer = signer.expiration(expires_in);
    }
    let signature = signer.sign(mail.as_bytes()).unwrap();
    let zone = Zone::default().txt(
        "now._domainkey.example.org",
        &format!("v=DKIM1; k=ed25519; p={public}"),
    );
    (format!("{}{mail}", signature.to_header()), zone)
}

fn mail_of_today(body: &str) -> String {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let date = jiff::fmt::rfc2822::to_string(&now).unwrap();
    format!(
        "From: ada@example.org\r\nTo: +33123456789@fax.example.com\r\nDate: {date}\r\nSubject: x\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_large_mail_is_hashed_on_another_thread_and_proven() {
    let (mail, zone) = sign_now(
        &mail_of_today(&"a line of a large document\r\n".repeat(100_000)),
        0,
    );
    let verdict = Try {
        zone,
        now: now_ms(),
        ..dkim(&mail)
    }
    .asking()
    .await
    .0;
    assert_eq!(verdict.unwrap().proof_words(), "dkim example.org");
}

#[tokio::test]
async fn an_expired_signature_proves_nothing() {
    let (mail, zone) = sign_now(&mail_of_today("x\r\n"), 30);
    let at = async |now| {
        Try {
            zone: zone.clone(),
            now,
            ..dkim(&mail)
        }
        .asking()
        .await
        .0
    };
    assert!(at(now_ms()).await.is_ok());
    let later = at(now_ms() + 2 * MINUTE).await.unwrap_err();
    assert!(later.to_string().contains("has expired"), "{later}");
}

// SPF --------------------------------------------------------------------------------------------

fn spf(record: &str) -> Try {
    Try {
        rules: "[[rule]]\nwho = ['*']\nproof = ['spf']\n".into(),
        zone: zone().txt("example.org", record),
        reverse_path: "ada@example.org",
        ..dkim(&signed("unsigned"))
    }
}

#[tokio::test]
async fn spf_proves_where_its_domain_is_that_of_the_from_line() {
    let pass = "v=spf1 ip4:192.0.2.66 -all";
    let sender = spf(pass).asking().await.0.unwrap();
    assert_eq!(sender.proof_words(), "spf example.org 192.0.2.66");
    let why = async |one: Try| one.asking().await.0.unwrap_err();
    assert!(matches!(
        why(spf("v=spf1 -all")).await,
        Refusal::NotProven { .. }
    ));
    assert!(matches!(
        why(spf("v=spf1 ?all")).await,
        Refusal::NotProven { .. }
    ));
    assert!(matches!(why(spf("none")).await, Refusal::NotProven { .. }));
    // A pass of another domain's.
    let other = Try {
        zone: zone().txt("evil.example", pass),
        reverse_path: "ada@evil.example",
        ..spf(pass)
    };
    assert!(matches!(why(other).await, Refusal::NotProven { .. }));
    let hidden = Try {
        unnamed: vec!["+331".into()],
        ..spf(pass)
    };
    assert!(why(hidden).await.to_string().contains("hidden recipients"));
    let mute = Try {
        zone: Zone {
            failing: vec!["example.org".into()],
            ..zone()
        },
        ..spf(pass)
    };
    assert_eq!(why(mute).await, Refusal::Dns("example.org".into()));
    // It is opt-in: a rule that does not list it does not take it.
    let without = Try {
        rules: dkim("").rules,
        ..spf(pass)
    };
    assert!(matches!(why(without).await, Refusal::NotProven { .. }));
}

// A secret ---------------------------------------------------------------------------------------

const SECRET: &str = "abcdefghijklmnopqrstuvwxyz";

#[tokio::test]
async fn promise_4_a_secret_proves_its_own_user_alone() {
    let secret = |text: &str| {
        secret::of_address(&format!("+331/secret={text}"))
            .unwrap()
            .1
            .unwrap()
    };
    let with = |from: &str, text: &str| Try {
        rules: "[[rule]]\nwho = ['*']\nproof = ['secret', 'dkim']\n".into(),
        secrets: vec![secret(text)],
        // Whoever knows it may send to whom they like, hidden or not.
        unnamed: vec!["+331".into()],
        ..dkim(&format!("From: {from}\r\n\r\nx"))
    };
    let sender = with("ada@example.com", SECRET).verdict().await.unwrap();
    assert_eq!(
        (
            sender.user().user_id.as_str(),
            sender.proof_words().as_str()
        ),
        ("ada", "secret")
    );
    assert_eq!(sender.once(), None);
    for (from, text) in [
        ("bob@example.com", SECRET),
        ("eve@example.net", SECRET),
        ("ada@example.com", &SECRET.replace('a', "b")),
    ] {
        let refusal = with(from, text).verdict().await.unwrap_err().to_string();
        assert!(
            refusal.contains("the secret in it is none of this address"),
            "{refusal}"
        );
    }
    // Where the rule does not take it, it is nothing.
    let without = Try {
        rules: dkim("").rules,
        ..with("ada@example.com", SECRET)
    };
    let refusal = without.verdict().await.unwrap_err().to_string();
    assert!(
        !refusal.contains("secret") && refusal.contains("no DKIM signature"),
        "{refusal}"
    );
}

#[tokio::test]
async fn promise_4_guests_are_of_named_domains_and_proven_each_time() {
    let rules =
        "[[rule]]\nwho = ['strict.example']\nproof = ['dkim']\nas_guest_of = 'North/Guests'\n"
            .to_owned();
    let sent = async |mail: &str| {
        Try {
            rules: rules.clone(),
            ..dkim(mail)
        }
        .asking()
        .await
        .0
    };
    let sender = sent(&signed("strict")).await.unwrap();
    assert_eq!(
        sender.user().user_id,
        "guest of North/Guests: ada@strict.example"
    );
    let forged = signed("strict").replace("as promised", "x");
    assert!(sent(&forged).await.is_err());
    assert_eq!(
        sent(&signed("good")).await,
        Err(Refusal::NoRule("ada@example.org".into()))
    );
    let gone = rules.replace("Guests", "Gone");
    let gone = Try {
        rules: gone,
        ..dkim(&signed("strict"))
    }
    .asking()
    .await
    .0;
    assert_eq!(gone, Err(Refusal::NoSuchUser("ada@strict.example".into())));
}

/// Counts the guests that are made.
#[derive(Default)]
struct Inn(std::sync::Mutex<Vec<String>>);

#[async_trait]
impl Directory for Inn {
    async fn person_by_address(&self, _: &str) -> Result<Option<Person>, DirectoryDown> {
        Ok(None)
    }

    async fn known_guest(&self, address: &str) -> Result<Option<Person>, DirectoryDown> {
        let known = self.0.lock().unwrap().iter().any(|known| known == address);
        Ok(known.then(|| person(address)))
    }

    async fn guest(
        &self,
        _: &str,
        _: &str,
        address: &str,
    ) -> Result<Option<Person>, DirectoryDown> {
        self.0.lock().unwrap().push(address.to_owned());
        Ok(Some(person(address)))
    }
}

#[tokio::test]
async fn promise_4_nobody_becomes_a_guest_without_proof() {
    let inn = Inn::default();
    let rules = "fresh_s = 60\n[[rule]]\nwho = ['p.example']\nproof = ['network']\nnetworks = ['127.0.0.0/8']\nas_guest_of = 'North/Guests'\n\
         [[rule]]\nwho = ['q.example']\nproof = ['dkim']\nas_guest_of = 'North/Guests'\n";
    let prover = Prover::new(SenderRules::parse(rules).unwrap(), None);
    let sent = async |peer: &str, envelope: &str, from: &str| {
        let peer = Peer {
            address: peer.parse().ok(),
            greeting: "",
            login: None,
            certificate: None,
        };
        let claim = prover.claim(peer, envelope, &inn).await?;
        let known = claim.person().is_some();
        let from = [FromLine::Mailboxes(vec![from.to_owned()])];
        let shown = Shown {
            message: &Arc::new(b"X: y\r\n\r\nx".to_vec()),
            from: &from,
            unnamed: &[],
            secrets: &[],
        };
        prover
            .prove(claim, shown, &inn)
            .await
            .map(|sender| (known, sender))
    };
    for (peer, envelope, from) in [
        (AWAY, "ann@p.example", "ann@p.example"),
        (HERE, "ann@p.example", "eve@p.example"),
        (HERE, "ann@p.example", "eve@q.example"),
        (HERE, "eve@q.example", "eve@q.example"),
    ] {
        assert!(
            sent(peer, envelope, from).await.is_err(),
            "{envelope} {from}"
        );
        assert_eq!(*inn.0.lock().unwrap(), [""; 0], "{envelope} {from}");
    }
    for known in [false, true] {
        let (was, sender) = sent(HERE, "ann@p.example", "ann@p.example").await.unwrap();
        assert_eq!(
            (was, sender.user().user_id.as_str()),
            (known, "ann@p.example")
        );
        assert_eq!(*inn.0.lock().unwrap(), ["ann@p.example"]);
    }
    // Another's address is not theirs, though both are guests.
    let other = sent(HERE, "ann@p.example", "eve@p.example").await;
    assert_eq!(
        other.unwrap_err(),
        Refusal::FromDiffers("eve@p.example".into())
    );
}

// A trusted relay --------------------------------------------------------------------------------

fn relay(results: &str) -> Try {
    Try {
        rules: "[[relay]]\nnetworks = ['192.0.2.66']\nauthserv_id = 'MX.example.com'\n[[rule]]\nwho = ['*']\nproof = ['relay']\n".into(),
        ..dkim(&format!("Authentication-Results: mx.example.com; {results}\r\n{}", signed("unsigned")))
    }
}

#[tokio::test]
async fn a_relay_is_believed_from_its_network_alone() {
    let login = "auth=pass smtp.auth=ada@example.org";
    let sender = relay(login).verdict().await.unwrap();
    assert_eq!(sender.proof_words(), "relay mx.example.com");
    // Who logged in there said the envelope: hidden recipients are theirs.
    let hidden = || vec!["+331".to_owned()];
    assert!(
        Try {
            unnamed: hidden(),
            ..relay(login)
        }
        .verdict()
        .await
        .is_ok()
    );
    let dmarc = "dmarc=pass header.from=example.org";
    assert!(relay(dmarc).verdict().await.is_ok());
    let refused = Try {
        unnamed: hidden(),
        ..relay(dmarc)
    }
    .verdict()
    .await
    .unwrap_err();
    assert!(
        refused.to_string().contains("hidden recipients"),
        "{refused}"
    );
    for bad in [
        "auth=pass smtp.auth=bob@example.com",
        "auth=fail smtp.auth=ada@example.org",
        "dmarc=pass header.from=evil.example",
        "dmarc=none header.from=example.org",
        "spf=pass smtp.mailfrom=example.org",
    ] {
        assert!(
            matches!(relay(bad).verdict().await, Err(Refusal::NotProven { .. })),
            "{bad}"
        );
    }
    // From elsewhere the same line is a forgery.
    let elsewhere = Try {
        peer: Some("192.0.2.67"),
        ..relay(login)
    };
    assert_eq!(elsewhere.verdict().await, Err(Refusal::Unproven));
}

#[tokio::test]
async fn a_rule_may_make_its_senders_one_user() {
    let rules = |user: &str| {
        format!("[[rule]]\nwho = ['example.org']\nproof = ['dkim']\nas_user = '{user}'\n")
    };
    let sent = async |user: &str| {
        Try {
            rules: rules(user),
            ..dkim(&signed("good"))
        }
        .asking()
        .await
        .0
    };
    assert_eq!(sent("Bob@example.com").await.unwrap().user().user_id, "bob");
    assert_eq!(
        sent("gone@example.com").await,
        Err(Refusal::NoSuchUser("ada@example.org".into()))
    );
}
