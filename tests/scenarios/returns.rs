//! What comes back of our mails, and the notifications that senders ask for.

use faxpost_t4::Resolution;

use crate::support::{ALICE, FAR_NUMBER, OUR_NUMBER, Rig, fax, letters};

const BOSS: &str = "boss@example.localhost";

/// What a mail system writes of a mail that failed.
fn report(to: &str, action: &str, status: &str) -> Vec<u8> {
    format!(
        "From: MAILER-DAEMON@mx.localhost\r\nTo: {to}\r\nSubject: Undelivered Mail Returned to Sender\r\n\
         Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nI'm sorry.\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.localhost\r\n\r\n\
         Final-Recipient: rfc822; {ALICE}\r\nAction: {action}\r\nStatus: {status}\r\n\
         Diagnostic-Code: smtp; 550 unknown user\r\n--b--\r\n"
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_a_received_fax_that_bounces_reaches_who_answers_for_its_number() {
    let mut rig = Rig::builder().without_far_end().start().await;
    rig.admin(&format!("add user {BOSS} role tenant"));
    let pages = [fax::page(0, Resolution::Standard, 1143)];
    let mut sender = rig.call_in(&pages, &[]);
    assert!(sender.wait().await.success(), "{}", sender.log());
    let faxes = rig.wait_faxes(1).await;
    assert_eq!(faxes[0].recipients, [ALICE]);
    let path = faxes[0].return_path.clone();
    assert!(
        path.starts_with("bounce+") && path.ends_with("@fax.localhost"),
        "{path}"
    );

    // Somebody guesses: the address is none of ours.
    let guessed = path.replace("bounce+0", "bounce+7");
    let answers = rig
        .try_mail("", &[&guessed], &report(&guessed, "failed", "5.1.1"))
        .await;
    assert!(answers.rcpt[0].starts_with("550 5.1.1"), "{answers:?}");
    // It is late, and no more.
    let answers = rig
        .try_mail("", &[&path], &report(&path, "delayed", "4.4.1"))
        .await;
    assert!(answers.data.unwrap().starts_with("250"));
    let failed = report(&path, "failed", "5.1.1");
    rig.until("the report is taken", async || {
        // The relay's answer to the fax may not be on record yet: then it is 451.
        let answers = rig.try_mail("", &[&path], &failed).await;
        answers.data.filter(|answer| answer.starts_with("250"))
    })
    .await;
    let faxes = rig.wait_faxes(2).await;
    assert_eq!(faxes[1].recipients, [BOSS]);
    let mailed = fax::pdf_pages(&faxes[1].pdf()).remove(0).picture;
    fax::assert_same(&pages, &[mailed]);
    let notice = rig.wait_letter("A fax could not be delivered to").await;
    assert_eq!(notice.recipients, [BOSS]);
    assert_eq!(notice.return_path, "");
    notice.assert_says(&format!(
        "A fax from {FAR_NUMBER} to {OUR_NUMBER} was mailed to {ALICE} and came back"
    ));
    notice.assert_says(&format!("It is mailed to {BOSS} instead."));
    assert!(notice.parts.is_empty(), "no content");
    // Twice acts once.
    let again = rig.try_mail("", &[&path], &failed).await;
    assert!(again.data.unwrap().starts_with("250"));
    let status = rig.status().await;
    assert_eq!(status["outbox"]["bounced"], 1);
    assert_eq!(rig.faxes().len(), 2);
    assert!(rig.jobs().await.is_empty(), "nothing of it became a fax");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_bounces_is_counted_and_nobody_is_answered() {
    let rig = Rig::builder().start().await;
    rig.mail(&[FAR_NUMBER], &letters::message("Counted", "Text.", &[]))
        .await;
    let letter = rig.wait_report("Counted").await;
    let path = letter.return_path.clone();
    let failed = report(&path, "failed", "5.2.2");
    rig.until("the report is taken", async || {
        let answers = rig.try_mail("", &[&path], &failed).await;
        answers.data.filter(|answer| answer.starts_with("250"))
    })
    .await;
    assert_eq!(rig.status().await["outbox"]["bounced"], 1);
    assert_eq!(rig.letters().len(), 1);
}

/// The machine's part of a notification, its lines joined.
fn delivery_status(letter: &letters::Letter) -> String {
    let (.., octets) = letter
        .parts
        .iter()
        .find(|(kind, ..)| kind == "message/delivery-status")
        .unwrap_or_else(|| panic!("no notification: {}", String::from_utf8_lossy(&letter.raw)));
    String::from_utf8(octets.clone()).unwrap()
}

fn to(number: &str, parameters: &str) -> String {
    format!("{number}@fax.localhost {parameters}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_a_notification_says_delivered_when_all_pages_are_confirmed() {
    let rig = Rig::builder().start().await;
    let message = letters::message("Asked", "Text.", &[]);
    let from = format!("{ALICE} RET=FULL ENVID=QQ+2B1");
    let asked = to(
        FAR_NUMBER,
        "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;+2B33@office.localhost",
    );
    let answers = rig.try_mail(&from, &[&asked], &message).await;
    assert!(
        answers.data.clone().unwrap().starts_with("250"),
        "{answers:?}"
    );
    let letter = rig.wait_report("Asked").await;
    assert_eq!(
        (letter.return_path.as_str(), &letter.recipients[..]),
        ("", &[ALICE.to_owned()][..])
    );
    letter.assert_says(&format!("{FAR_NUMBER}: sent"));
    let status = delivery_status(&letter);
    for line in [
        "Original-Envelope-Id: QQ+1",
        "Reporting-MTA: dns; gateway.localhost",
        "Original-Recipient: rfc822; +33@office.localhost",
        &format!("Final-Recipient: rfc822; {FAR_NUMBER}@fax.localhost"),
        "Action: delivered",
        "Status: 2.0.0",
        "Diagnostic-Code: x-fax; 1 of 1 pages confirmed",
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }
    // RFC 3461 §4.3: a success brings the header alone.
    let raw = String::from_utf8_lossy(&letter.raw).into_owned();
    assert!(raw.contains("text/rfc822-headers") && !raw.contains("message/rfc822"));
    assert_eq!(rig.reports_in_all().await.len(), 1, "one mail, not two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_2_who_asks_for_no_notification_has_our_report_all_the_same() {
    let mut rig = Rig::builder()
        .short_waits()
        .far_end(&["--refuse", "486"])
        .start()
        .await;
    for (subject, notify) in [("Never", "NEVER"), ("Success alone", "SUCCESS")] {
        let message = letters::message(subject, "Text.", &[]);
        let asked = to(FAR_NUMBER, &format!("NOTIFY={notify}"));
        let _ = rig.try_mail(ALICE, &[&asked], &message).await;
        let letter = rig.wait_report(subject).await;
        letter.assert_says("The line was busy.");
        let raw = String::from_utf8_lossy(&letter.raw).into_owned();
        assert!(!raw.contains("delivery-status"), "{raw}");
        assert!(letter.return_path.starts_with("bounce+"));
    }
    // The failure that was asked for, with the whole mail.
    let message = letters::message("Failure", "The text itself.", &[]);
    let asked = to(FAR_NUMBER, "NOTIFY=FAILURE");
    let _ = rig
        .try_mail(&format!("{ALICE} RET=FULL"), &[&asked], &message)
        .await;
    let letter = rig.wait_report("Failure").await;
    let status = delivery_status(&letter);
    assert!(status.contains("Action: failed"), "{status}");
    assert!(status.contains("SIP 486"), "{status}");
    let raw = String::from_utf8_lossy(&letter.raw).into_owned();
    assert!(raw.contains("Content-Type: message/rfc822"), "{raw}");
    assert!(raw.contains("The text itself."), "{raw}");
    rig.stop().await;
}

/// The sender is proven by the message; its envelope sender is nobody's here: no notification goes there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_no_notification_goes_to_an_envelope_sender_who_is_not_the_user() {
    let rules = "fresh_s = 86400\n[[relay]]\nnetworks = ['127.0.0.1']\nauthserv_id = 'mx.localhost'\n[[rule]]\nwho = ['*']\n\
                 proof = ['relay']\n";
    let rig = Rig::builder().policy("senders.toml", rules).start().await;
    let mut message =
        format!("Authentication-Results: mx.localhost; auth=pass smtp.auth={ALICE}\r\n")
            .into_bytes();
    message.extend(letters::message("Forged envelope", "Text.", &[]));
    let asked = to(FAR_NUMBER, "NOTIFY=SUCCESS,FAILURE,DELAY");
    let answers = rig
        .try_mail("victim@example.net", &[&asked], &message)
        .await;
    assert!(
        answers.data.clone().unwrap().starts_with("250"),
        "{answers:?}"
    );
    let letter = rig.wait_report("Forged envelope").await;
    assert_eq!(letter.recipients, [ALICE]);
    assert!(letter.return_path.starts_with("bounce+"));
    assert!(
        letter
            .parts
            .iter()
            .all(|(kind, ..)| kind != "message/delivery-status")
    );
    assert!(
        rig.letters()
            .iter()
            .all(|letter| letter.recipients == [ALICE])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_7_who_asked_hears_that_a_fax_is_late() {
    let policy = include_str!("../../policies/sending.toml");
    let at_once = policy.replace("delayed_min = 240", "delayed_min = 0");
    assert_ne!(policy, at_once);
    let rig = Rig::builder()
        .policy("sending.toml", &at_once)
        .without_far_end()
        .start()
        .await;
    let message = letters::message("Late", "Text.", &[]);
    let asked = to(FAR_NUMBER, "NOTIFY=DELAY,FAILURE");
    let _ = rig
        .try_mail(ALICE, &[&asked, "+33123456780@fax.localhost"], &message)
        .await;
    let letter = rig.wait_letter("Not sent yet: Late").await;
    assert_eq!(letter.return_path, "");
    let status = delivery_status(&letter);
    assert!(status.contains("Action: delayed"), "{status}");
    assert!(status.contains("Will-Retry-Until: "), "{status}");
    assert_eq!(status.matches("Final-Recipient").count(), 1, "{status}");
    assert!(rig.reports().is_empty());
}
