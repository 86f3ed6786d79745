//! Nobody sends as you: mails from strangers' servers that DKIM proves, and their copies.

use base64::Engine as _;
use mail_auth::{
    common::{crypto::Ed25519Key, headers::HeaderWriter as _},
    dkim::DkimSigner,
};

use crate::support::{
    ALICE, FAR_NUMBER, Rig,
    dns::{Stub, Zone},
    letters,
};

const RULES: &str = "fresh_s = 86400\n[[rule]]\nwho = ['office.example']\nproof = ['dkim']\n";
/// An address of Alice's. (The resolver answers for names below localhost itself, RFC 6761 §6.3.)
const FROM: &str = "alice@office.example";
/// Where mailing services have bounces go: it proves nothing.
const ENVELOPE: &str = "bounces@mailer.example";

fn key() -> (Vec<u8>, Zone) {
    let pkcs8 = Ed25519Key::generate_pkcs8().unwrap();
    let public = Ed25519Key::from_pkcs8_der(&pkcs8).unwrap().public_key();
    let public = base64::engine::general_purpose::STANDARD.encode(public);
    let record = format!("v=DKIM1; k=ed25519; p={public}");
    let zone = Zone::default().txt("fax._domainkey.office.example", &record);
    (pkcs8, zone)
}

fn signed(pkcs8: &[u8], message: &[u8]) -> Vec<u8> {
    let signature = DkimSigner::from_key(Ed25519Key::from_pkcs8_der(pkcs8).unwrap())
        .domain("office.example")
        .selector("fax")
        .headers(["From", "To", "Date", "Subject"])
        .sign(message)
        .unwrap();
    [signature.to_header().as_bytes(), message].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_a_signed_mail_is_faxed_once_and_to_no_other_number() {
    let (pkcs8, zone) = key();
    let stub = Stub::serve(zone);
    let mut rig = Rig::builder()
        .policy("senders.toml", RULES)
        .setting("smtp", &format!("dns = \"{}\"", stub.address))
        .start()
        .await;
    rig.admin(&format!("add address {FROM} to {ALICE}"));
    let message = letters::message("Signed", "Our offer.", &[]);
    let message = String::from_utf8(message)
        .unwrap()
        .replace(ALICE, FROM)
        .into_bytes();

    let unsigned = rig.try_mail(ENVELOPE, &[FAR_NUMBER], &message).await;
    let answer = unsigned.data.unwrap_or_default();
    assert!(
        answer.starts_with("550 5.7.1 nothing proves that alice@office.example"),
        "{answer}"
    );

    let mail = signed(&pkcs8, &message);
    let first = rig.try_mail(ENVELOPE, &[FAR_NUMBER], &mail).await;
    let answer = first.data.unwrap_or_default();
    assert!(answer.starts_with("250 "), "{answer}");

    // Somebody who saw it sends it on: to a number of theirs, and once more to the same.
    let other = rig.try_mail(ENVELOPE, &["+33123456700"], &mail).await;
    let answer = other.data.unwrap_or_default();
    assert!(
        answer.contains("+33123456700 is in neither its To nor its Cc line"),
        "{answer}"
    );
    let dressed = [
        b"Received: from elsewhere\r\nX-Seen: 1\r\n".as_slice(),
        &mail,
    ]
    .concat();
    rig.stop().await;
    rig.restart().await;
    let copy = rig
        .try_mail("eve@evil.example", &[FAR_NUMBER], &dressed)
        .await;
    let answer = copy.data.unwrap_or_default();
    assert!(
        answer.contains("came before: it is not faxed again"),
        "{answer}"
    );

    let report = &rig.wait_reports(1).await[0];
    report.assert_says("Accepted because it was signed by office.example (DKIM)");
    assert_eq!(rig.jobs().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_a_secret_sends_for_its_user_and_is_kept_nowhere() {
    let rig = Rig::builder()
        .policy(
            "senders.toml",
            "fresh_s = 86400\n[[rule]]\nwho = ['*']\nproof = ['secret']\n",
        )
        .start()
        .await;
    let said = rig.admin(&format!("add secret to {ALICE} days 30"));
    let secret = said.split(' ').next().unwrap().to_owned();
    assert_eq!(secret.len(), 26, "{said}");
    let shown = rig.admin(&format!("show secrets of {ALICE}"));
    assert!(
        shown.contains("ends ") && !shown.contains(&secret),
        "{shown}"
    );

    let message = letters::message("Scan", "A page.", &[]);
    let without = rig.try_mail(ENVELOPE, &[FAR_NUMBER], &message).await;
    let answer = without.data.unwrap_or_default();
    assert!(answer.starts_with("530 5.7.0"), "{answer}");

    let to = format!("{FAR_NUMBER}/secret={secret}@fax.localhost");
    let text = String::from_utf8(message).unwrap();
    let text = text.replace(&format!("{FAR_NUMBER}@fax.localhost"), &to);
    let text = text.replace("Subject: Scan", &format!("Subject: Scan [secret {secret}]"));
    assert_eq!(text.matches(&secret).count(), 2, "{text}");
    let sent = rig.try_mail(ENVELOPE, &[&to], text.as_bytes()).await;
    let answer = sent.data.unwrap_or_default();
    assert!(answer.starts_with("250 "), "{answer}");

    let report = rig.wait_report("Scan").await;
    report.assert_says("Accepted because it was sent with a secret of yours");
    assert!(!report.words().contains(&secret));
    let kept: Vec<(String, String)> = sqlx::query_as(
        "SELECT s.subject, j.recipient FROM submission s JOIN job j ON j.submission_id = s.submission_id",
    )
    .fetch_all(rig.store.reader())
    .await
    .unwrap();
    assert_eq!(
        kept,
        [("Scan".to_owned(), format!("{FAR_NUMBER}@fax.localhost"))]
    );

    rig.admin(&format!("remove secrets of {ALICE}"));
    let gone = rig.try_mail(ENVELOPE, &[&to], text.as_bytes()).await;
    let answer = gone.data.unwrap_or_default();
    assert!(
        answer.contains("the secret in it is none of this address"),
        "{answer}"
    );
}
