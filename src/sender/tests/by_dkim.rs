//! DKIM: mails that another program signed, and the marks of copies.

use super::*;

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
        assert!(elapsed < crate::sender::dns::BUDGET * 3, "{elapsed:?}");
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
