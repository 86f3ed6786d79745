//! Nothing is refused in silence.

use faxpost::people::Language;

use crate::support::{
    ALICE, DAMAGED_PDF, FAR_NUMBER, Rig, SAMPLE_PDF, letters, phone::SilentPhone,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_the_smtp_answer_names_what_is_wrong() {
    let rig = Rig::builder().without_far_end().start().await;
    let message = letters::message("Who am I", "Text.", &[]);

    let stranger = rig
        .try_mail("mallory@elsewhere.example", &[FAR_NUMBER], &message)
        .await;
    let answer = [stranger.mail.as_str()]
        .into_iter()
        .chain(stranger.rcpt.iter().map(String::as_str))
        .chain(stranger.data.as_deref())
        .find(|answer| !answer.starts_with('2'))
        .unwrap_or_else(|| panic!("a stranger was let in: {stranger:?}"));
    assert!(answer.starts_with("550"), "{answer}");
    assert!(answer.contains("5.7.1"), "{answer}");
    assert!(answer.contains("mallory@elsewhere.example"), "{answer}");

    // The envelope alone is Alice's: the From line is held against it.
    let forged = String::from_utf8(message.clone())
        .unwrap()
        .replace(ALICE, "mallory@elsewhere.example");
    let answers = rig.try_mail(ALICE, &[FAR_NUMBER], forged.as_bytes()).await;
    let answer = answers.data.unwrap_or_default();
    assert!(answer.starts_with("550 5.7.1"), "{answer}");

    for (wrong, why) in [
        (
            "hello@fax.localhost",
            "550 5.1.1 hello is no fax number and no contact",
        ),
        ("+33@fax.localhost", "550 5.1.3"),
        ("0123456789@fax.localhost", "550 5.1.3"),
    ] {
        let answers = rig.try_mail(ALICE, &[wrong], &message).await;
        assert!(answers.rcpt[0].starts_with(why), "{answers:?}");
        assert!(answers.data.is_none());
    }
    assert!(rig.jobs().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_the_report_names_the_attachment_and_what_is_wrong_with_it() {
    let rig = Rig::builder().without_far_end().start().await;
    let damaged = letters::message(
        "Damaged",
        "See the attachment.",
        &[
            ("application/pdf", "good.pdf", SAMPLE_PDF),
            ("application/pdf", "contract 7.pdf", DAMAGED_PDF),
        ],
    );
    let zip = letters::message(
        "Packed",
        "See the attachment.",
        &[("application/zip", "all.zip", b"PK\x03\x04")],
    );
    rig.mail(&[FAR_NUMBER], &damaged).await;
    rig.mail(&[FAR_NUMBER], &zip).await;
    let report = rig.wait_report("Damaged").await;
    assert!(report.subject.starts_with("Not sent"), "{}", report.subject);
    report.assert_says("contract 7.pdf");
    report.assert_says("An attachment is damaged: no pages could be made of it.");
    let report = rig.wait_report("Packed").await;
    report.assert_says("all.zip: it is cut off or its structure is broken");
    report.assert_says("An attachment is damaged: no pages could be made of it.");
    assert_eq!(rig.reports_in_all().await.len(), 2);
    assert_eq!(
        rig.count("SELECT CAST(COUNT(*) AS BIGINT) FROM call").await,
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_the_report_says_in_french_what_is_wrong_with_an_attachment() {
    let rig = Rig::builder()
        .language(Language::Fr)
        .without_far_end()
        .start()
        .await;
    let damaged = letters::message(
        "Damaged",
        "See the attachment.",
        &[("application/pdf", "contract 7.pdf", DAMAGED_PDF)],
    );
    rig.mail(&[FAR_NUMBER], &damaged).await;
    let report = rig.wait_report("Damaged").await;
    report.assert_says("Une pièce jointe est endommagée");
    report.assert_says(
        "« contract 7.pdf » est endommagé : il est tronqué ou sa structure est abîmée",
    );
    assert!(!report.words().contains("damaged:"), "{}", report.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_busy_climbs_the_ladder_and_ends_in_words() {
    let mut rig = Rig::builder()
        .short_waits()
        .far_end(&["--refuse", "486"])
        .start()
        .await;
    rig.mail(&[FAR_NUMBER], &letters::message("Busy", "Text.", &[]))
        .await;
    let report = rig.wait_report("Busy").await;
    report.assert_says(&format!("{FAR_NUMBER}: not sent"));
    report.assert_says("The line was busy. Try again later");
    report.assert_says("Calls placed: 4");
    assert_eq!(rig.far_log().matches("refused a call with 486").count(), 4);

    rig.kill_far_end().await;
    rig.start_far_end(&["--refuse", "486", "--refuse-first", "1"])
        .await;
    rig.mail(&[FAR_NUMBER], &letters::message("Once", "Text.", &[]))
        .await;
    let report = rig.wait_report("Once").await;
    report.assert_says(&format!("{FAR_NUMBER}: sent"));
    report.assert_says("Calls placed: 2");
    assert_eq!(rig.jobs().await[1].tries, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_an_unreachable_trunk_is_told_in_words() {
    let rig = Rig::builder().short_waits().without_far_end().start().await;
    rig.mail(&[FAR_NUMBER], &letters::message("Nobody", "Text.", &[]))
        .await;
    let report = rig.wait_report("Nobody").await;
    report.assert_says(&format!("{FAR_NUMBER}: not sent"));
    report.assert_says("Our telephone provider did not answer.");
    report.assert_says("Calls placed: 2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_a_telephone_is_told_from_a_fax() {
    let rig = Rig::builder().short_waits().without_far_end().start().await;
    let phone = SilentPhone::start(rig.far_address()).await;
    rig.mail(&[FAR_NUMBER], &letters::message("Phone", "Text.", &[]))
        .await;
    let report = rig.wait_report("Phone").await;
    report.assert_says(&format!("{FAR_NUMBER}: not sent"));
    report.assert_says("The call was answered, but no fax machine was heard.");
    report.assert_says("Calls placed: 2");
    report.assert_says("Page by page: 1 not sent");
    assert_eq!(phone.calls(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_numbers_refused_after_data_are_named_in_a_letter() {
    const DENIED: &str = "+33912345678";
    let rules = "fresh_s = 86400\n[[relay]]\nnetworks = ['127.0.0.1']\nauthserv_id = 'mx.localhost'\n[[rule]]\nwho = ['*']\nproof = ['relay']\n";
    let rig = Rig::builder().policy("senders.toml", rules).start().await;
    rig.admin("set profile Basic deny +339");
    let mut message =
        format!("Authentication-Results: mx.localhost; auth=pass smtp.auth={ALICE}\r\n")
            .into_bytes();
    message.extend(letters::message("Two numbers", "Text.", &[]));
    let answers = rig.try_mail(ALICE, &[DENIED, FAR_NUMBER], &message).await;
    let answer = answers.data.unwrap_or_default();
    assert!(answer.starts_with("250 2.0.0 "), "{answer}");
    assert!(answer.contains("a mail tells why 1 of 2"), "{answer}");
    let letter = rig.wait_letter("Partly refused: Two numbers").await;
    letter.assert_says(&format!(
        "{DENIED}@fax.localhost: your organisation does not let you fax"
    ));
    letter.assert_says(&format!("Will be faxed to - {FAR_NUMBER}"));
    let report = rig.wait_report("Two numbers").await;
    report.assert_says(&format!("{FAR_NUMBER}: sent"));

    // Nothing is left of it: then the answer is enough.
    let alone = rig.try_mail(ALICE, &[DENIED], &message).await;
    let answer = alone.data.unwrap_or_default();
    assert!(
        answer.starts_with("550 5.7.1 +33912345678: your organisation"),
        "{answer}"
    );
}
