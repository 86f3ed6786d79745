use super::*;
use crate::letter::{
    AcceptedLetter, Again, Answered, Asked, Delayed, Done, Parked, accepted, again, answered,
    delayed, parked,
};

const ID: &str = "01K6G3S2Q8M4T7V9W0X1Y2Z3A4";
const UNTIL: Millis = 1_790_942_585_000;

fn about(language: Language) -> About {
    About {
        message_id: format!("ask.{ID}@fax.example.com"),
        from: "fax@fax.example.com".into(),
        company: Some("Müller & Söhne".into()),
        reply_to: Some(format!("job+{}@fax.example.com", "abcdefgh".repeat(6))),
        to: "alice@example.com".into(),
        date_ms: 1_790_856_260_000,
        language,
        time_zone: "Europe/Paris".into(),
        in_reply_to: Some("<offer-1@example.com>".into()),
        subject: "Offer for the roof".into(),
        submission_id: ID.into(),
    }
}

fn fax(destination: &str, standing: Standing, why: Vec<Reason>) -> Fax {
    Fax {
        destination: destination.into(),
        sub_address: None,
        pages: 3,
        standing,
        why,
    }
}

fn preview() -> Option<Preview> {
    Some(Preview {
        pdf: b"%PDF-1.4 the pages".to_vec(),
        shown: 2,
        of: 3,
    })
}

/// The mail, its parts in clear, without the HTML, which says the same.
fn shown(mail: &[u8]) -> String {
    let parsed = mail_parser::MessageParser::default().parse(mail).unwrap();
    let text = String::from_utf8_lossy(mail);
    let head = text.split("\r\n\r\n").next().unwrap().replace("\r\n", "\n");
    for line in text.split("\r\n") {
        assert!(line.len() <= 998);
    }
    let html = parsed.body_html(0).unwrap();
    assert!(!html.contains("href") && !html.contains("http"), "no links");
    let files: Vec<String> = parsed
        .attachments()
        .map(|part| {
            use mail_parser::MimeHeaders as _;
            format!("[{}]", part.attachment_name().unwrap_or_default())
        })
        .collect();
    let body = parsed.body_text(0).unwrap().replace("\r\n", "\n");
    format!("{head}\n\n{body}{}\n", files.join("\n"))
}

fn each(name: &str, write: impl Fn(About) -> Result<Vec<u8>, LetterError>) {
    for language in Language::ALL {
        let mail = write(about(language)).unwrap();
        insta::assert_snapshot!(format!("{name}-{}", language.code()), shown(&mail));
    }
}

fn doubtful() -> Vec<Fax> {
    let waits = Standing::Parked(UNTIL);
    vec![
        fax(
            "+33123456789",
            waits.clone(),
            vec![Reason::First, Reason::Pages(43, 3)],
        ),
        fax(
            "+33123456798",
            waits,
            vec![Reason::Near("+33123456789".into())],
        ),
    ]
}

#[test]
fn a_question_to_the_sender_says_why_and_what_to_answer() {
    each("ask", |about| {
        parked(&Parked {
            about,
            asked: Asked::Sender,
            until: UNTIL,
            faxes: doubtful(),
            preview: preview(),
        })
    });
}

#[test]
fn an_approver_is_asked_and_the_sender_told() {
    let approval = vec![Reason::Approval("boss@example.com".into())];
    let faxes = vec![fax("+33123456789", Standing::Parked(UNTIL), approval)];
    for (name, asked) in [
        (
            "approve",
            Asked::Approver("Alice Martin (alice@example.com)".into()),
        ),
        ("awaits-approval", Asked::Other("boss@example.com".into())),
    ] {
        each(name, |about| {
            parked(&Parked {
                about,
                asked: asked.clone(),
                until: UNTIL,
                faxes: faxes.clone(),
                preview: None,
            })
        });
    }
}

#[test]
fn an_acceptance_says_how_each_fax_stands() {
    let faxes = vec![
        fax("+33123456781", Standing::OnLine, vec![]),
        fax("+33123456782", Standing::Ready, vec![]),
        fax(
            "+33123456783",
            Standing::Waiting(UNTIL, "busy".into()),
            vec![],
        ),
        fax("+33123456784", Standing::Over("sent".into()), vec![]),
        fax("+33123456785", Standing::Queued, vec![]),
    ];
    each("accepted", |about| {
        accepted(&AcceptedLetter {
            about,
            faxes: faxes.clone(),
            preview: preview(),
        })
    });
}

#[test]
fn a_delay_says_why_and_when_the_next_call_is() {
    each("delayed", |about| {
        delayed(&Delayed {
            about,
            fax: fax(
                "+33123456783",
                Standing::Waiting(UNTIL, "busy".into()),
                vec![],
            ),
            calls: 1,
            codes: "SIP 486, Q.850 17, busy".into(),
        })
    });
}

#[test]
fn an_answer_says_what_was_done_and_by_whom() {
    for (name, done, by) in [
        ("called-off", Done::Cancelled, None),
        (
            "approved",
            Done::Released,
            Some("boss@example.com".to_owned()),
        ),
    ] {
        let state = match done {
            Done::Cancelled => Standing::Over("cancelled".into()),
            Done::Released => Standing::Ready,
        };
        each(name, |about| {
            answered(&Answered {
                about: About {
                    reply_to: None,
                    ..about
                },
                done,
                by: by.clone(),
                faxes: vec![fax("+33123456789", state.clone(), vec![])],
            })
        });
    }
}

#[test]
fn a_copy_is_told_and_a_discreet_mail_has_no_subject() {
    each("again", |about| {
        again(&Again {
            about: About {
                reply_to: None,
                company: None,
                subject: String::new(),
                ..about
            },
            faxes: vec![fax("+33123456789", Standing::Over("sent".into()), vec![])],
        })
    });
}
