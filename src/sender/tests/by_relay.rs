//! A trusted relay, and whom senders become.

use super::*;

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
async fn promise_4_a_relays_word_stands_for_no_line_that_says_what_to_do() {
    // Whoever has a signed mail can add such a line to a copy of it: DMARC passes all the same.
    let with = |results: &str| {
        let unsigned = signed("unsigned");
        let added =
            format!("x-FAX-Report: none\r\nAuthentication-Results: mx.example.com; {results}");
        Try {
            rules: relay(results).rules,
            ..dkim(&format!("{added}\r\n{unsigned}"))
        }
    };
    let refused = with("dmarc=pass header.from=example.org").verdict().await;
    let told = refused.unwrap_err().to_string();
    assert!(
        told.contains("x-FAX-Report line may be anybody's"),
        "{told}"
    );
    let login = with("auth=pass smtp.auth=ada@example.org").verdict().await;
    assert!(login.is_ok());
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
