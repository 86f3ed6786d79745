//! Mails that were fetched from a mailbox: nothing but the mail can prove them.

use super::*;

fn fetched(mail: &str, believes: Option<&'static str>) -> Try {
    Try {
        rules: "[[rule]]\nwho = ['*']\nproof = ['mailbox', 'dkim', 'secret', 'spf', 'network']\nnetworks = ['0.0.0.0/0']\n".into(),
        peer: None,
        fetched: Some(believes),
        ..dkim(mail)
    }
}

#[tokio::test]
async fn promise_4_a_fetched_mail_proves_itself_by_its_signature() {
    let (verdict, _) = fetched(&signed("good"), None).asking().await;
    assert_eq!(verdict.unwrap().proof_words(), "dkim example.org");
    let (verdict, asked) = fetched(&signed("unsigned"), None).asking().await;
    let refusal = verdict.unwrap_err();
    assert!(
        refusal
            .to_string()
            .contains("it has no DKIM signature of example.org"),
        "{refusal}"
    );
    // There is no peer whose network or SPF could be looked at.
    assert!(asked.is_empty(), "{asked:?}");
    // A signature covers no envelope: the number, or the mailbox, must be in what it covers.
    for missing in ["+331", "scan@office.example"] {
        let unnamed = vec![missing.to_owned()];
        let (verdict, _) = Try {
            unnamed,
            ..fetched(&signed("good"), None)
        }
        .asking()
        .await;
        let refusal = verdict.unwrap_err().to_string();
        assert!(
            refusal.contains(&format!("{missing} is in neither its To nor its Cc line")),
            "{refusal}"
        );
    }
    // Changed on its way to the mailbox.
    let other = signed("good").replace("Subject: ", "Subject: +331: ");
    let (verdict, _) = fetched(&other, None).asking().await;
    assert!(
        matches!(verdict, Err(Refusal::NotProven { .. })),
        "{verdict:?}"
    );
}

#[tokio::test]
async fn promise_4_the_mailboxs_own_server_is_believed_where_it_is_named() {
    let said = |id: &str, results: &str| {
        format!(
            "Received: by a; now\r\nReceived: by b; now\r\nAuthentication-Results: {id}; {results}\r\n{}",
            signed("unsigned")
        )
    };
    let dmarc = "dmarc=pass header.from=example.org";
    let sender = fetched(&said("MX.example.com", dmarc), Some("mx.example.com"))
        .verdict()
        .await;
    let sender = sender.unwrap();
    assert_eq!(sender.proof_words(), "mailbox mx.example.com");
    assert!(sender.once().is_some_and(|once| once.replayable));
    let hidden = Try {
        unnamed: vec!["+331".to_owned()],
        ..fetched(&said("mx.example.com", dmarc), Some("mx.example.com"))
    };
    assert!(hidden.verdict().await.is_err());
    let old = Try {
        now: THEN + 2 * DAY,
        ..fetched(&said("mx.example.com", dmarc), Some("mx.example.com"))
    };
    assert!(old.verdict().await.is_err());
    for (mail, believes) in [
        (said("mx.example.com", dmarc), None),
        (said("mx.evil.example", dmarc), Some("mx.example.com")),
        (
            said("mx.example.com", "dmarc=fail header.from=example.org"),
            Some("mx.example.com"),
        ),
        (
            said("mx.example.com", "dmarc=pass header.from=evil.example"),
            Some("mx.example.com"),
        ),
        (
            said("mx.example.com", "spf=pass smtp.mailfrom=example.org"),
            Some("mx.example.com"),
        ),
        (
            said("mx.evil.example", dmarc).replace(
                "From:",
                &format!("Authentication-Results: mx.example.com; {dmarc}\r\nFrom:"),
            ),
            Some("mx.example.com"),
        ),
    ] {
        let verdict = fetched(&mail, believes).verdict().await;
        assert!(
            matches!(verdict, Err(Refusal::NotProven { .. })),
            "{mail}: {verdict:?}"
        );
    }
    // Where the rule does not take it, the word is nothing.
    let rules = "[[rule]]\nwho = ['*']\nproof = ['password']\n".to_owned();
    let other = Try {
        rules,
        ..fetched(&said("mx.example.com", dmarc), Some("mx.example.com"))
    };
    assert_eq!(other.verdict().await, Err(Refusal::Fetched));
}

#[tokio::test]
async fn promise_4_a_secret_proves_a_fetched_mail() {
    let secrets = secret::of_subject(&format!("[secret {SECRET}]")).secrets;
    let mail = signed("unsigned");
    let sender = Try {
        secrets,
        ..fetched(&mail, None)
    }
    .verdict()
    .await
    .unwrap();
    assert_eq!(sender.proof_words(), "secret");
}
