use faxpost_paper::{Note, PaperError, Reason, TemplateFault};

use super::*;
use crate::{
    documents::{self, LeftOut},
    language::Language,
    outcome::{self, Verdict},
    worker::paper::PaperFailure,
};

const ID: &str = "01K6G3S2Q8M4T7V9W0X1Y2Z3A4";

fn attempt() -> Attempt {
    Attempt {
        started: "2026-10-01 14:03 CEST".into(),
        duration_ms: Some(71_600),
        rate: Some(14_400),
        ecm: Some(true),
        remote_ident: Some("+33 1 23 45 67 89".into()),
        media: Some("t38".into()),
        t30_code: Some(0),
        sip_status: Some(200),
        q850: None,
    }
}

pub(super) fn sent_job() -> ReportJob {
    ReportJob {
        destination: "+33123456789".into(),
        sub_address: None,
        code: None,
        state: "sent".into(),
        outcome: "sent".into(),
        note: None,
        pages: 3,
        confirmed: 3,
        verdicts: vec![Verdict::Confirmed; 3],
        repeats: Vec::new(),
        calls: 1,
        last: Some(attempt()),
    }
}

pub(super) fn broken_job() -> ReportJob {
    ReportJob {
        destination: "+33198765432".into(),
        state: "unknown".into(),
        outcome: "dropped-in-page".into(),
        confirmed: 2,
        pages: 5,
        verdicts: vec![
            Verdict::Confirmed,
            Verdict::Confirmed,
            Verdict::Unknown,
            Verdict::Unsent,
            Verdict::Unsent,
        ],
        repeats: vec![0, 2, 3],
        calls: 4,
        last: Some(Attempt {
            t30_code: Some(49),
            q850: Some(41),
            ecm: Some(false),
            rate: Some(9600),
            media: Some("g711".into()),
            ..attempt()
        }),
        ..sent_job()
    }
}

fn busy_job() -> ReportJob {
    ReportJob {
        destination: "+4930123456".into(),
        sub_address: Some("1234".into()),
        code: Some("4711".into()),
        state: "failed".into(),
        outcome: "busy".into(),
        confirmed: 0,
        verdicts: vec![Verdict::Unsent; 3],
        calls: 5,
        last: Some(Attempt {
            started: "2026-10-01 14:03 CEST".into(),
            sip_status: Some(486),
            q850: Some(17),
            ..Attempt::default()
        }),
        ..sent_job()
    }
}

fn damaged_job() -> ReportJob {
    ReportJob {
        state: "failed".into(),
        outcome: "attachment-unreadable".into(),
        note: Some(Detail::NotDrawn {
            name: "offer.pdf".into(),
            failure: PaperFailure::Document(PaperError::Damaged {
                name: "offer.pdf".into(),
                reason: Reason::Broken,
            }),
        }),
        pages: 0,
        confirmed: 0,
        verdicts: vec![],
        calls: 0,
        last: None,
        ..sent_job()
    }
}

pub(super) fn a_report(language: Language, jobs: Vec<ReportJob>) -> Report {
    Report {
        message_id: format!("{ID}.report@fax.example.com"),
        from: "fax@fax.example.com".into(),
        to: "alice@example.com".into(),
        date_ms: 1_790_856_260_000,
        language,
        time_zone: "Europe/Paris".into(),
        in_reply_to: Some("<offer-1@example.com>".into()),
        subject: "Offer for the roof: Müller & Söhne".into(),
        submission_id: ID.into(),
        proof: "dkim example.com".into(),
        jobs,
        notes: Vec::new(),
        first_page_png: None,
        discreet: false,
        receipt: None,
        json: false,
    }
}

fn a_file(media_type: &'static str, ending: &'static str) -> Content {
    Content::Files {
        files: vec![File {
            media_type,
            ending,
            page: None,
            bytes: b"%PDF-1.7 the pages".to_vec(),
        }],
        protected: false,
        searchable: false,
    }
}

fn pictures(media_type: &'static str, ending: &'static str) -> Content {
    let file = |page| File {
        media_type,
        ending,
        page: Some(page),
        bytes: vec![0, 255],
    };
    Content::Files {
        files: vec![file(1), file(2)],
        protected: false,
        searchable: false,
    }
}

fn a_fax(language: Language, incomplete: bool) -> ReceivedLetter {
    ReceivedLetter {
        message_id: format!("{ID}.1a2b@fax.example.com"),
        from: "fax@fax.example.com".into(),
        to: "office@example.com".into(),
        date_ms: 1_790_856_260_000,
        language,
        time_zone: "Europe/Paris".into(),
        received_id: ID.into(),
        number: "+33198765432".into(),
        number_title: "Sales".into(),
        remote_number: "+33123456789".into(),
        reply_to: Some("+33123456789@fax.example.com".into()),
        tsi: Some("  ACME & FILS ".into()),
        sub_address: incomplete.then(|| "4711".into()),
        pages: 2,
        started_ms: 1_790_856_185_000,
        duration_ms: Some(64_000),
        incomplete,
        outcome: if incomplete {
            "reception-broken"
        } else {
            "received"
        }
        .into(),
        turned: Vec::new(),
        portion: None,
        content: a_file("application/pdf", "pdf"),
    }
}

/// What must hold for every mail that we write.
pub(super) fn sound(mail: &[u8]) -> String {
    let text = std::str::from_utf8(mail).unwrap();
    assert!(text.is_ascii(), "7 bit on the wire");
    assert!(
        !text.replace("\r\n", "").contains(['\r', '\n']),
        "CRLF everywhere"
    );
    assert!(text.split("\r\n").all(|line| line.len() <= 998));
    let parsed = mail_parser::MessageParser::default().parse(mail).unwrap();
    assert!(
        parsed
            .body_text(0)
            .is_some_and(|text| !text.contains("<td"))
    );
    assert!(
        parsed
            .body_html(0)
            .is_some_and(|html| html.contains("</html>"))
    );
    assert!(parsed.header("Auto-Submitted").is_some());
    text.to_owned()
}

/// The mail as people see it: decoded, for snapshots that can be read.
fn seen(mail: &[u8]) -> String {
    let raw = sound(mail);
    let (head, _) = raw.split_once("\r\n\r\n").unwrap();
    let parsed = mail_parser::MessageParser::default().parse(mail).unwrap();
    format!(
        "{}\n\nSubject, decoded: {}\n\n{}\n=====\n{}",
        head.replace("\r\n", "\n"),
        parsed.subject().unwrap(),
        parsed.body_text(0).unwrap().replace("\r\n", "\n"),
        parsed.body_html(0).unwrap().replace("\r\n", "\n"),
    )
}

#[test]
fn reports_in_both_languages() {
    for language in Language::ALL {
        let code = language.code();
        let jobs = [
            ("sent", vec![sent_job()]),
            ("partly", vec![sent_job(), broken_job(), busy_job()]),
            (
                "unknown",
                vec![ReportJob {
                    confirmed: 0,
                    verdicts: vec![Verdict::Unknown],
                    pages: 1,
                    ..broken_job()
                }],
            ),
            ("not-sent", vec![busy_job()]),
            ("damaged", vec![damaged_job()]),
        ];
        for (name, jobs) in jobs {
            let mut letter = a_report(language, jobs);
            if name == "partly" {
                letter.notes = vec![DocumentNote {
                    name: "offer.pdf".into(),
                    said: Note::FontSubstituted {
                        font: "Vetlana".into(),
                    }
                    .into(),
                }];
            }
            insta::assert_snapshot!(
                format!("report-{name}-{code}"),
                seen(&report(&letter).unwrap())
            );
        }
    }
}

#[test]
fn received_faxes_in_both_languages() {
    for language in Language::ALL {
        for incomplete in [false, true] {
            let mail = received(&a_fax(language, incomplete)).unwrap();
            let name = if incomplete { "incomplete" } else { "whole" };
            insta::assert_snapshot!(format!("fax-{name}-{}", language.code()), seen(&mail));
            let parsed = mail_parser::MessageParser::default().parse(&mail).unwrap();
            let file = parsed.attachment(0).unwrap();
            assert_eq!(file.contents(), b"%PDF-1.7 the pages");
            let file = mail_parser::MimeHeaders::attachment_name(file).unwrap();
            assert_eq!(file, "fax-2026-10-01-1403-33123456789.pdf");
        }
    }
}

#[test]
fn received_faxes_in_each_form_and_both_languages() {
    let until_ms = 1_793_448_260_000;
    let notice = |why| Content::Notice { why, until_ms };
    let pdf = |protected, searchable| match a_file("application/pdf", "pdf") {
        Content::Files { files, .. } => Content::Files {
            files,
            protected,
            searchable,
        },
        other => other,
    };
    let part = Portion {
        label: "2".into(),
        of: 3,
        first: 4,
        last: 6,
    };
    let one = Portion {
        label: "3.1".into(),
        of: 3,
        first: 7,
        last: 7,
    };
    for language in Language::ALL {
        let forms = [
            ("password", pdf(true, false), None, vec![]),
            ("searchable", pdf(false, true), None, vec![2]),
            ("tiff", a_file("image/tiff", "tif"), None, vec![1, 2]),
            ("png", pictures("image/png", "png"), None, vec![]),
            ("jpeg", pictures("image/jpeg", "jpg"), None, vec![]),
            ("notice", notice(Withheld::Chosen), None, vec![]),
            (
                "too-large",
                notice(Withheld::TooLarge(10_240_000)),
                None,
                vec![],
            ),
            ("removed", notice(Withheld::NotSet), None, vec![]),
            ("too-many", notice(Withheld::TooMany), None, vec![]),
            (
                "lost",
                notice(Withheld::Unable(Unable::Pages)),
                None,
                vec![],
            ),
            (
                "lost-password",
                notice(Withheld::Unable(Unable::Password)),
                None,
                vec![],
            ),
            (
                "no-files",
                notice(Withheld::Unable(Unable::Form)),
                None,
                vec![],
            ),
            ("part", pdf(false, false), Some(part.clone()), vec![]),
            ("part-again", pdf(false, false), Some(one.clone()), vec![]),
        ];
        for (name, content, portion, turned) in forms {
            let mut letter = a_fax(language, false);
            if portion.is_some() {
                letter.pages = 9;
            }
            (letter.content, letter.portion, letter.turned) = (content, portion, turned);
            let mail = received(&letter).unwrap();
            let parsed = mail_parser::MessageParser::default().parse(&mail).unwrap();
            let text = parsed.body_text(0).unwrap().replace("\r\n", "\n");
            sound(&mail);
            let names: Vec<_> = parsed
                .attachments()
                .map(|file| mail_parser::MimeHeaders::attachment_name(file).unwrap_or("?"))
                .collect();
            let subject = parsed.subject().unwrap();
            insta::assert_snapshot!(
                format!("fax-{name}-{}", language.code()),
                format!("{subject}\n{}\n\n{text}", names.join("\n"))
            );
        }
    }
}

#[test]
fn the_bytes_of_a_mail_are_fixed_by_its_data() {
    let mut letter = a_report(Language::En, vec![sent_job()]);
    letter.first_page_png = Some(png_of(&[0, 128, 255, 255], 2, 2).unwrap());
    let mail = report(&letter).unwrap();
    assert_eq!(mail, report(&letter).unwrap());
    insta::assert_snapshot!(
        "report-with-picture-raw",
        sound(&mail).replace("\r\n", "\n")
    );

    let parsed = mail_parser::MessageParser::default().parse(&mail).unwrap();
    let picture = parsed.attachment(0).unwrap();
    assert_eq!(picture.contents(), letter.first_page_png.unwrap());
    let cid = mail_parser::MimeHeaders::content_id(picture).unwrap();
    assert!(
        parsed
            .body_html(0)
            .unwrap()
            .contains(&format!("src=\"cid:{cid}\""))
    );
}

#[test]
fn a_notice_answers_or_stands_alone() {
    let mut letter = Notice {
        message_id: format!("{ID}.notice@fax.example.com"),
        from: "fax@fax.example.com".into(),
        to: "alice@example.com".into(),
        date_ms: 1_790_856_260_000,
        language: Language::En,
        in_reply_to: None,
        subject: "Welcome".into(),
        sentences: vec!["Your faxes are ready.".into()],
    };
    let alone = sound(&notice(&letter).unwrap());
    assert!(alone.contains("Auto-Submitted: auto-generated\r\n"));
    letter.in_reply_to = Some("a@b".into());
    let answer = sound(&notice(&letter).unwrap());
    assert!(answer.contains("Auto-Submitted: auto-replied\r\n"));
    assert!(answer.contains("In-Reply-To: <a@b>\r\nReferences: <a@b>\r\n"));
}

#[test]
fn nothing_from_outside_makes_a_header_or_markup() {
    let evil = "x\r\nBcc: victim@example.com\r\n\r\n<script>alert(1)</script>";
    let mut letter = a_report(Language::En, vec![sent_job()]);
    letter.subject = evil.into();
    letter.in_reply_to = Some(evil.into());
    letter.to = "alice@example.com>\r\nBcc: <victim@example.com".into();
    letter.notes = vec![DocumentNote {
        name: evil.into(),
        said: Note::FontMissing {
            font: evil.into(),
            script: faxpost_paper::Script::Han,
        }
        .into(),
    }];
    letter.jobs[0].note = Some(Detail::LeftOut {
        parts: vec![LeftOut {
            name: evil.into(),
            reason: documents::Reason::Unsupported {
                media_type: evil.into(),
            },
        }],
    });
    letter.jobs[0].destination = evil.into();
    letter.jobs[0].state = "failed".into();
    if let Some(last) = &mut letter.jobs[0].last {
        last.remote_ident = Some(evil.into());
    }
    let mut fax = a_fax(Language::Fr, true);
    fax.remote_number = evil.into();
    fax.tsi = Some(evil.into());
    fax.number_title = evil.into();
    for mail in [report(&letter).unwrap(), received(&fax).unwrap()] {
        sound(&mail);
        let parsed = mail_parser::MessageParser::default().parse(&mail).unwrap();
        assert!(parsed.bcc().is_none());
        assert_eq!(parsed.to().unwrap().iter().count(), 1);
        let html = parsed.body_html(0).unwrap();
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&#60;script&#62;") || html.contains("&lt;script&gt;"));
        let text = parsed.body_text(0).unwrap();
        assert!(text.lines().all(|line| !line.starts_with("Bcc")));
    }
    let mail = report(&letter).unwrap();
    let parsed = mail_parser::MessageParser::default().parse(&mail).unwrap();
    assert!(parsed.in_reply_to().as_text().is_none());
}

#[test]
fn every_state_and_outcome_can_be_told() {
    for state in [
        "sent",
        "partly",
        "failed",
        "cancelled",
        "expired",
        "unknown",
    ] {
        for row in outcome::TABLE {
            for language in Language::ALL {
                let job = ReportJob {
                    state: state.into(),
                    outcome: row.key.into(),
                    confirmed: 1,
                    ..busy_job()
                };
                let mail = report(&a_report(language, vec![job])).unwrap();
                sound(&mail);
                let parsed = mail_parser::MessageParser::default().parse(&mail).unwrap();
                let text = parsed
                    .body_text(0)
                    .unwrap()
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ");
                let said = row
                    .what
                    .to(language)
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ");
                assert_eq!(text.contains(&said), state != "sent", "{state} {}", row.key);
                let subject = parsed.subject().unwrap();
                let good = subject.starts_with("Sent:") || subject.starts_with("Envoyé\u{a0}:");
                assert_eq!(good, state == "sent", "{subject}");
            }
        }
    }
}

#[test]
fn a_long_subject_and_no_subject_are_readable() {
    let mut letter = a_report(Language::En, vec![sent_job()]);
    letter.subject = "é".repeat(2000);
    sound(&report(&letter).unwrap());
    letter.subject = "  ".into();
    let mail = report(&letter).unwrap();
    let parsed = mail_parser::MessageParser::default().parse(&mail).unwrap();
    assert_eq!(
        parsed.subject().unwrap(),
        "Sent: (no subject) (3 pages, +33123456789)"
    );
}

#[test]
fn what_belongs_to_a_result_is_kept_as_data_and_told_in_the_readers_language() {
    let detail = Detail::NotDrawn {
        name: "offer.pdf".into(),
        failure: PaperFailure::Crashed,
    };
    assert_eq!(
        Detail::from_column(&detail.to_column()),
        Some(detail.clone())
    );
    assert_eq!(Detail::from_column("something else"), None);
    assert_eq!(
        detail.to(Language::En),
        "offer.pdf: the document could not be drawn: the program that draws it failed twice"
    );
    assert!(
        detail
            .to(Language::Fr)
            .starts_with("offer.pdf\u{a0}: le document n'a pas pu être dessiné")
    );
    let notes = [
        Note::FontSubstituted { font: "F".into() },
        Note::FontMissing {
            font: "F".into(),
            script: faxpost_paper::Script::Han,
        },
        Note::FontUnreadable,
        Note::CharactersMissing {
            count: 2,
            scripts: vec![faxpost_paper::Script::Thai],
        },
        Note::NotPrinted { page: 1 },
        Note::FieldCut,
        Note::FormUnsupported,
        Note::Cut { page: 1, parts: 3 },
        Note::BlankLeftOut { pages: vec![2, 4] },
        Note::PictureMissing,
        Note::Template {
            fault: TemplateFault {
                place: Some((3, 4)),
                said: "unknown font family: x".into(),
            },
        },
        Note::LeftOut,
        Note::Animation,
        Note::AnnotationMissing,
        Note::Reduced {
            page: 1,
            percent: 50,
        },
    ];
    for note in notes {
        // The mail's own text has no name.
        let note = DocumentNote {
            name: String::new(),
            said: note.into(),
        };
        let (en, fr) = (note.to(Language::En), note.to(Language::Fr));
        assert_ne!(en, fr);
        assert!(
            !en.starts_with(':') && !fr.starts_with('\u{a0}'),
            "{en} {fr}"
        );
    }
}

#[test]
fn what_became_of_a_cover_is_said_in_both_languages() {
    let fault = TemplateFault {
        place: Some((12, 3)),
        said: "unknown variable: naem".into(),
    };
    let name = || "summer".to_owned();
    let replaced = |failure| CoverSaid::Replaced {
        name: name(),
        failure,
    };
    let faulty = PaperFailure::Document(PaperError::Template {
        name: name(),
        fault,
    });
    let all = vec![
        replaced(faulty),
        replaced(PaperFailure::Crashed),
        CoverSaid::Gone { name: name() },
        CoverSaid::Drawn(Note::CharactersMissing {
            count: 2,
            scripts: vec![faxpost_paper::Script::Han],
        }),
    ];
    let kept = CoverSaid::to_column(&all).unwrap();
    assert_eq!(CoverSaid::from_column(&kept), all);
    assert_eq!(CoverSaid::to_column(&[]), None);
    let said = |language| {
        let words = |said: &CoverSaid| {
            let note = DocumentNote {
                name: String::new(),
                said: Said::Cover(said.clone()),
            };
            note.to(language)
        };
        all.iter().map(words).collect::<Vec<_>>()
    };
    assert_eq!(
        said(Language::En),
        [
            "the cover “summer” has an error in line 12, column 3: unknown variable: naem; the plain cover was sent in \
             its place",
            "the cover “summer” could not be drawn, and the plain one was sent in its place: the document could not be \
             drawn: the program that draws it failed twice",
            "there is no cover “summer” any more; the plain one was sent in its place",
            "the cover: 2 characters (Chinese characters) have no shape in the fonts here and can't be read on the page; ask the \
             administrator for a font",
        ]
    );
    let french = said(Language::Fr);
    assert!(
        french[0].contains("a une erreur à la ligne 12, colonne 3\u{a0}: unknown variable: naem")
    );
    assert!(
        french.iter().all(|words| words.contains("page de garde")),
        "{french:?}"
    );
}

#[test]
fn a_receipt_and_a_report_for_programs_go_with_it_where_they_are_wanted() {
    for language in Language::ALL {
        let mut report = a_report(language, vec![sent_job(), broken_job()]);
        report.subject = "<script> & \"quotes\"".into();
        let page = crate::letter::receipt(&report).unwrap();
        assert!(
            !page.contains("<script>") && page.contains("+33123456789"),
            "{page}"
        );
        insta::assert_snapshot!(format!("receipt-{}", language.code()), page);
    }
    let mut report = a_report(Language::En, vec![sent_job(), broken_job()]);
    report.receipt = Some(b"%PDF-1.4".to_vec());
    report.json = true;
    report.discreet = true;
    report.subject = String::new();
    let mail = crate::letter::report(&report).unwrap();
    let parsed = mail_parser::MessageParser::default()
        .parse(&mail[..])
        .unwrap();
    assert_eq!(parsed.subject(), Some("Partly confirmed (1 of 2 numbers)"));
    let files: Vec<_> = parsed.attachments().collect();
    assert_eq!(files.len(), 2);
    let json = String::from_utf8(files[1].contents().to_vec()).unwrap();
    insta::assert_snapshot!("report-json", json);
}
