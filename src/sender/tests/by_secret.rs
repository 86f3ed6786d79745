//! Secrets, and guests.

use super::*;

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
