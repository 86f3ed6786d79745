use super::*;
use crate::{
    language::Language,
    letter::{
        Late, LateJob, late, report_as_dsn,
        tests::{a_report, broken_job, sent_job, sound},
    },
};

const MAIL: &[u8] = b"Received: from x\r\n\tby y; now\r\nFrom: Alice <alice@example.com>\r\n\
    X-Fax-Document-Password: open\r\n sesame\r\nx-fax-password : 1234#\r\nSubject: =?utf-8?Q?Offer?=\r\n\
    Message-ID: <offer-1@example.com>\r\n\r\nThe text.\r\n";

fn recipient(action: Action) -> DsnRecipient {
    let (status, diagnosis) = match action {
        Action::Delivered => (
            "2.0.0",
            "3 of 3 pages confirmed; CSI +33 1 23 45 67 89; 14400 bit/s",
        ),
        Action::Failed => ("4.4.2", "2 of 5 pages confirmed; dropped-in-page; T.30 49"),
        Action::Delayed => ("4.4.1", "busy"),
    };
    DsnRecipient {
        original: Some("rfc822;+33123456789@fax.example.com".into()),
        address: "+33123456789@fax.example.com".into(),
        action,
        status: status.into(),
        diagnosis: diagnosis.into(),
        last_attempt: Some(1_790_856_000_000),
        retry_until: (action == Action::Delayed).then_some(1_790_900_000_000),
    }
}

fn a_dsn(action: Action, full: bool) -> Dsn {
    Dsn {
        reporting_mta: "fax.example.com".into(),
        envelope_id: Some("QQ314159".into()),
        arrived: 1_790_855_000_000,
        recipients: vec![recipient(action)],
        full,
        message: MAIL.to_vec(),
    }
}

#[test]
fn promise_2_the_report_is_the_notification_that_was_asked_for() {
    for language in Language::ALL {
        let of = |job, dsn: &Dsn| {
            let mail = report_as_dsn(&a_report(language, vec![job]), dsn).unwrap();
            sound(&mail).replace("\r\n", "\n")
        };
        let code = language.code();
        insta::assert_snapshot!(
            format!("dsn-delivered-{code}"),
            of(sent_job(), &a_dsn(Action::Delivered, true))
        );
        insta::assert_snapshot!(
            format!("dsn-failed-{code}"),
            of(broken_job(), &a_dsn(Action::Failed, true))
        );
        let letter = late(&Late {
            message_id: "01K6G3S2Q8M4T7V9W0X1Y2Z3A4.delayed@fax.example.com".into(),
            from: "fax@fax.example.com".into(),
            to: "alice@example.com".into(),
            date_ms: 1_790_856_260_000,
            language,
            time_zone: "Europe/Paris".into(),
            in_reply_to: Some("offer-1@example.com".into()),
            subject: "Offer".into(),
            jobs: vec![LateJob {
                destination: "+33123456789".into(),
                outcome: "busy".into(),
                until: 1_790_900_000_000,
            }],
            dsn: a_dsn(Action::Delayed, true),
        });
        insta::assert_snapshot!(
            format!("dsn-delayed-{code}"),
            sound(&letter.unwrap()).replace("\r\n", "\n")
        );
    }
}

#[test]
fn promise_5_no_password_goes_back() {
    for dsn in [a_dsn(Action::Failed, true), a_dsn(Action::Failed, false)] {
        let mail = report_as_dsn(&a_report(Language::En, vec![broken_job()]), &dsn).unwrap();
        let text = sound(&mail);
        assert!(text.contains("Message-ID: <offer-1@example.com>"));
        for secret in ["sesame", "1234#"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert_eq!(text.contains("The text."), dsn.full);
    }
}

#[test]
fn what_came_from_outside_begins_no_line_of_its_own() {
    let evil = "x\r\nAction: delivered\r\n\r\nFinal-Recipient: rfc822; a@b\u{e9}";
    let mut dsn = a_dsn(Action::Failed, true);
    dsn.envelope_id = Some(evil.into());
    dsn.recipients[0].original = Some(format!("rfc822;{evil}"));
    dsn.recipients[0].address = evil.into();
    dsn.recipients[0].diagnosis = evil.into();
    dsn.message = format!("Subject: {evil}\u{7}\r\n\r\n{evil}").into_bytes();
    let text = status(&dsn);
    assert_eq!(text.matches("\r\nAction: ").count(), 1);
    assert_eq!(
        text.matches("Final-Recipient").count(),
        5,
        "four within values"
    );
    assert_eq!(text.split("\r\n\r\n").count(), 2);
    // 8-bit text goes back as its header alone.
    let mail = report_as_dsn(&a_report(Language::En, vec![broken_job()]), &dsn).unwrap();
    assert!(sound(&mail).contains("text/rfc822-headers"));
}

#[test]
fn a_notification_is_read_as_one() {
    let mail = report_as_dsn(
        &a_report(Language::En, vec![broken_job()]),
        &a_dsn(Action::Failed, false),
    )
    .unwrap();
    let parsed = mail_parser::MessageParser::default().parse(&mail).unwrap();
    use mail_parser::MimeHeaders as _;
    let kind = parsed.content_type().unwrap();
    assert_eq!(kind.subtype(), Some("report"));
    assert_eq!(kind.attribute("report-type"), Some("delivery-status"));
    // RFC 5322 §3.3.
    assert!(sound(&mail).contains("Arrival-Date: Thu, 1 Oct 2026 11:43:20 +0000\r\n"));
}
