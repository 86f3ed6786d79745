use proptest::prelude::*;

use super::*;

const POSTFIX: &str = "From: MAILER-DAEMON@mx.example (Mail Delivery System)\r\n\
Subject: Undelivered Mail Returned to Sender\r\n\
Auto-Submitted: auto-replied\r\n\
MIME-Version: 1.0\r\n\
Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"B/mx.example\"\r\n\
\r\n\
--B/mx.example\r\nContent-Description: Notification\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nI'm sorry.\r\n\r\n\
--B/mx.example\r\nContent-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\n\
Reporting-MTA: dns; mx.example\r\nX-Postfix-Queue-ID: 4C\r\nArrival-Date: Sun, 22 Nov 2026 12:00:00 +0000 (UTC)\r\n\r\n\
Final-Recipient: rfc822; bob@example.com\r\nOriginal-Recipient: rfc822;bob@example.com\r\nAction: ACTION\r\n\
Status: STATUS\r\nDiagnostic-Code: x-postfix; unknown user:\r\n    \"bob\"\r\n\r\n\
--B/mx.example\r\nContent-Type: message/rfc822\r\n\r\nFrom: fax@fax.example.com\r\nSubject: fax\r\n\r\nx\r\n\r\n\
--B/mx.example--\r\n";

fn postfix(action: &str, status: &str) -> String {
    POSTFIX.replace("ACTION", action).replace("STATUS", status)
}

#[test]
fn a_machines_report_says_what_became_of_it() {
    let read = |action, status| read(postfix(action, status).as_bytes());
    let failed = read("failed", "5.1.1");
    assert_eq!(failed.fate, Fate::Failed);
    assert_eq!(
        failed.words(),
        "failed 5.1.1: x-postfix; unknown user: \"bob\""
    );
    // A timeout is a failure, whatever its status.
    assert_eq!(read("failed (expired)", "4.4.7").fate, Fate::Failed);
    assert_eq!(read("delayed", "4.4.1").fate, Fate::Delayed);
    for action in ["delivered", "Relayed", "expanded"] {
        assert_eq!(read(action, "2.1.5").fate, Fate::Delivered);
    }
    // Without an action that is one, the class of the status decides.
    assert_eq!(read("exploded", "5.0.0").fate, Fate::Failed);
    assert_eq!(read("exploded", "4.0.0").fate, Fate::Delayed);
    // With neither, who wrote it.
    assert_eq!(read("exploded", "bad").fate, Fate::Failed);
}

#[test]
fn of_several_recipients_the_worst_counts() {
    let two = postfix("delivered", "2.0.0").replace(
        "Final-Recipient",
        "Final-Recipient: rfc822; a@b\r\nAction: failed\r\nStatus: 5.2.2\r\n\r\nFinal-Recipient",
    );
    let found = read(two.as_bytes());
    assert_eq!(found.fate, Fate::Failed);
    assert_eq!(found.status.as_deref(), Some("5.2.2"));
}

#[test]
fn who_is_away_or_has_read_it_is_no_failure() {
    let away = b"From: bob@example.com\r\nAuto-Submitted: auto-replied\r\nSubject: I am away\r\n\r\nUntil Monday.\r\n";
    assert_eq!(read(away).fate, Fate::Unrelated);
    let mdn = b"From: postmaster@example.com\r\nContent-Type: multipart/report; report-type=disposition-notification; \
        boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nread\r\n--b\r\nContent-Type: \
        message/disposition-notification\r\n\r\nDisposition: manual-action/MDN-sent-manually; displayed\r\n--b--\r\n";
    assert_eq!(read(mdn).fate, Fate::Unrelated);
    // A failure that somebody forwards: the report stands within another mail.
    let inner = postfix("failed", "5.1.1");
    let forwarded = format!(
        "From: bob@example.com\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: message/rfc822\r\n\
         \r\n{inner}\r\n--o--\r\n"
    );
    assert_eq!(read(forwarded.as_bytes()).fate, Fate::Unrelated);
    assert_eq!(read(b"").fate, Fate::Unrelated);
}

#[test]
fn reports_for_people_alone_are_told_by_who_wrote_them() {
    let qmail = b"From: MAILER-DAEMON@mx.example\r\nSubject: failure notice\r\n\r\nHi. This is the qmail-send program.\r\n";
    assert_eq!(read(qmail).fate, Fate::Failed);
    let late = b"From: Mail Delivery System <Mailer-Daemon@mx.example>\r\nSubject: Warning: message delayed 24 hours\r\n\r\nx\r\n";
    assert_eq!(read(late).fate, Fate::Delayed);
    let exim = b"From: x@mx.example\r\nX-Failed-Recipients: bob@example.com\r\n\r\nx\r\n";
    assert_eq!(read(exim).fate, Fate::Failed);
}

#[test]
fn promise_5_nothing_of_a_report_is_kept_but_a_line() {
    let long = postfix("failed", "5.1.1").replace("unknown user", &"é\u{7}x ".repeat(400));
    let words = read(long.as_bytes()).words();
    assert!(words.len() < 250, "{words}");
    assert!(words.bytes().all(|octet| (b' '..=b'~').contains(&octet)));
}

proptest! {
    #[test]
    fn no_report_makes_trouble(
        lines in proptest::collection::vec(prop_oneof![
            Just("Action: failed".to_owned()),
            Just("Status: 5.1.1".to_owned()),
            Just(" folded".to_owned()),
            Just(String::new()),
            Just("--B/mx.example".to_owned()),
            Just("Content-Type: message/delivery-status".to_owned()),
            "[ -~]{0,60}",
            "\\PC{0,20}",
        ], 0..40),
    ) {
        let body = lines.join("\r\n");
        let mail = format!("Content-Type: multipart/report; boundary=\"B/mx.example\"\r\n\r\n{body}\r\n");
        let found = read(mail.as_bytes());
        prop_assert!(found.words().len() < 300);
        // Whatever comes as a failure has its action or its status in it.
        if found.fate == Fate::Failed {
            prop_assert!(body.contains("Action") || body.contains("5."), "{}", body);
        }
    }
}
