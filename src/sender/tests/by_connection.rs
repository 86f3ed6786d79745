//! What the connection proves.

use super::*;

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
    let listed = shown("scanner");
    let digest: String = (listed.digest().iter())
        .map(|octet| format!("{octet:02x}"))
        .collect();
    let with = |envelope: &'static str, from: &str, certificate: &ClientCertificate| Try {
        rules: format!(
            "[[rule]]\nwho = ['ada@example.com', 'ada.l@example.com']\nproof = ['certificate']\ncertificates = ['{}']\n\
             [[rule]]\nwho = ['*']\nproof = ['password']\n",
            digest
        ),
        reverse_path: envelope,
        certificate: Some(certificate.clone()),
        ..dkim(&format!("From: {from}\r\n\r\nx"))
    };
    let sender = with("ada@example.com", "ada.l@example.com", &listed)
        .verdict()
        .await
        .unwrap();
    assert_eq!(
        sender.proof_words(),
        format!("certificate {}", &digest[..16])
    );
    let other = with("ada@example.com", "ada@example.com", &shown("stranger"))
        .verdict()
        .await;
    assert_eq!(other, Err(Refusal::Unproven));
    let bob = with("bob@example.com", "bob@example.com", &listed)
        .verdict()
        .await;
    assert_eq!(bob, Err(Refusal::Unproven));
    let forged = with("ada@example.com", "bob@example.com", &listed)
        .verdict()
        .await;
    assert_eq!(forged, Err(Refusal::FromDiffers("bob@example.com".into())));
}

fn shown(name: &str) -> ClientCertificate {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls/clients");
    let chain = crate::config::pem::certificates(&folder.join(format!("{name}.pem")));
    ClientCertificate::of(&chain.unwrap()).unwrap()
}

#[tokio::test]
async fn promise_4_a_certificate_of_a_listed_authority_proves_within_its_rule() {
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/tls/clients/ca.pem");
    let with = |envelope: &'static str, from: &str, name: &str| Try {
        rules: format!(
            "[[rule]]\nwho = ['ada@example.com', 'ada.l@example.com']\nproof = ['certificate']\n\
             authority = {{ file = '{ca}', names = ['scanner.example.com'] }}\n\
             [[rule]]\nwho = ['*']\nproof = ['password']\n"
        ),
        reverse_path: envelope,
        certificate: Some(shown(name)),
        ..dkim(&format!("From: {from}\r\n\r\nx"))
    };
    let sender = with("ada@example.com", "ada.l@example.com", "scanner");
    let sender = sender.verdict().await.unwrap();
    assert_eq!(sender.proof_words(), "authority scanner.example.com");
    for other in ["stranger", "nameless", "foreign", "server"] {
        let refused = with("ada@example.com", "ada@example.com", other);
        assert_eq!(refused.verdict().await, Err(Refusal::Unproven), "{other}");
    }
    let bob = with("bob@example.com", "bob@example.com", "scanner");
    assert_eq!(bob.verdict().await, Err(Refusal::Unproven));
    let forged = with("ada@example.com", "bob@example.com", "scanner");
    assert_eq!(
        forged.verdict().await,
        Err(Refusal::FromDiffers("bob@example.com".into()))
    );
}
