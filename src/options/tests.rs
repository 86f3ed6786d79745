use mail_parser::MessageParser;
use proptest::prelude::*;

use super::*;
use crate::language::Language;

fn list(text: &str) -> Result<Wishes, Fault> {
    of_list(text, Place::Header)
}

fn options(text: &str) -> Options {
    list(text).unwrap().options
}

/// 2026-11-22 13:20 in Paris, a Sunday.
const NOW: Millis = 1_795_350_000_000;

fn at(text: &str) -> String {
    let settled = list(&format!("at {text}"))
        .unwrap()
        .settle(NOW, "Europe/Paris");
    let at = settled.unwrap().send_at.unwrap();
    let zone = jiff::tz::TimeZone::get("Europe/Paris").unwrap();
    let at = jiff::Timestamp::from_millisecond(at)
        .unwrap()
        .to_zoned(zone);
    at.strftime("%a %Y-%m-%d %H:%M").to_string()
}

#[test]
fn a_list_has_every_option() {
    let asked = list(
        "superfine, paper=letter; cover Business, body: ignore, photo, priority 2, calls 3, tries 2, \
         code 4711, header \"Smith, Jones & Co\", caller +33 1 23 45 67 89, report failed, receipt, accepted, \
         preview=no, confirm, sub-address 12#, document-password \"a, b\"",
    )
    .unwrap();
    assert_eq!(
        asked.options,
        Options {
            resolution: Some(Resolution::Superfine),
            paper: Some(Paper::Letter),
            cover: Some("business".into()),
            body: Some(Body::Ignore),
            tone: Some(Tone::Photo),
            priority: Some(2),
            send_at: None,
            not_after: None,
            calls: Some(3),
            tries: Some(2),
            code: Some("4711".into()),
            header: Some("Smith, Jones & Co".into()),
            caller: Some("+33 1 23 45 67 89".into()),
            sub_address: Some("12#".into()),
            report: Some(ReportWish::Failed),
            receipt: Some(true),
            accepted: Some(true),
            preview: Some(false),
            confirm: Some(true),
            list: None,
        }
    );
    assert_eq!(
        asked.document_password,
        Some(DocumentPassword("a, b".into()))
    );
    assert!(
        !format!("{asked:?}").contains("a, b"),
        "a secret is never written out"
    );
    let column = asked.options.to_column();
    assert_eq!(Options::from_column(column.as_deref()), asked.options);
    assert_eq!(Options::default().to_column(), None);
}

#[test]
fn words_and_other_names_stand_for_options() {
    assert_eq!(options("Sans-Couverture").cover.as_deref(), Some("none"));
    assert_eq!(options("no cover").cover.as_deref(), Some("none"));
    assert_eq!(options("cover").cover.as_deref(), Some("plain"));
    assert_eq!(
        options("résolution normale").resolution,
        Some(Resolution::Standard)
    );
    assert_eq!(
        options("Billing Code: AB 12").code.as_deref(),
        Some("AB 12")
    );
    assert_eq!(options("rapport jamais").report, Some(ReportWish::None));
    assert_eq!(options("urgent").priority, Some(0));
    assert_eq!(list("").unwrap(), Wishes::default());
    assert_eq!(list(" , ;").unwrap(), Wishes::default());
}

#[test]
fn promise_2_what_is_not_known_is_named_with_what_is() {
    let fault = list("fine, reslution=x-secret").unwrap_err();
    let told = fault.to_string();
    assert!(told.starts_with(
        "\"reslution\" in the X-Fax- lines is no fax option: known are resolution, paper, cover"
    ));
    assert!(told.contains("document-password"));
    assert!(!told.contains("x-secret"));
    let told = list("documentpassword geheim").unwrap_err().to_string();
    assert!(
        told.starts_with("\"documentpassword\" in") && !told.contains("geheim"),
        "{told}"
    );
    let told = of_subject("Fwd: x [document-password geheim]")
        .unwrap_err()
        .to_string();
    assert!(!told.contains("geheim"), "{told}");
    for (wrong, expected) in [
        ("resolution 600dpi", "standard, fine or superfine"),
        ("priority 10", "from 0 (first) to 9 (last)"),
        ("at 25:00", "a time as 18:00"),
        ("header \"\"", "up to 40 characters"),
        ("header a\u{202e}b", "characters that can be seen"),
        ("header a\r\nb", "characters that can be seen"),
        ("caller Bank", "one of your own numbers"),
        ("code", "up to 40 characters"),
        ("cover ../x", "a cover's name"),
        ("sub 12a", "1 to 20 digits"),
        ("accepted maybe", "yes or no"),
    ] {
        let told = list(wrong).unwrap_err().to_string();
        assert!(told.contains(expected), "{wrong}: {told}");
    }
    assert_eq!(
        list("fine, resolution standard").unwrap_err(),
        Fault::Twice {
            name: "resolution",
            place: Place::Header
        }
    );
    assert!(list("fine, fine").is_ok());
    let many = vec!["fine"; 41].join(",");
    assert_eq!(list(&many).unwrap_err(), Fault::TooMany(Place::Header));
}

#[test]
fn each_place_takes_what_belongs_there() {
    let told = of_list("password 12", Place::Subject)
        .unwrap_err()
        .to_string();
    assert!(told.contains("X-Fax-Password line alone"), "{told}");
    let told = of_address("+331/report=none").unwrap_err().to_string();
    assert!(told.contains("write it in the subject"), "{told}");
    let told = of_address("+331/document-password=x")
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("logs on the way") && !told.contains('='),
        "{told}"
    );
}

#[test]
fn an_address_keeps_what_is_the_numbers() {
    let (left, wishes) =
        of_address("Jo.Doe/FAX=+49-30-123/Cover=none/T33S=12/header=Ada_L@fax.example").unwrap();
    assert_eq!(left, "Jo.Doe/FAX=+49-30-123/T33S=12@fax.example");
    assert_eq!(wishes.options.cover.as_deref(), Some("none"));
    assert_eq!(wishes.options.header.as_deref(), Some("Ada L"));
    assert_eq!(
        of_address("030/123456").unwrap(),
        ("030/123456".into(), Wishes::default())
    );
    assert!(matches!(
        of_address("+331/fine=yes"),
        Err(Fault::Unknown { .. })
    ));
}

#[test]
fn header_lines_are_options() {
    let read = |lines: &str| {
        let mail = format!("From: a@x\r\n{lines}\r\ntext");
        let parsed = MessageParser::default().parse(mail.as_bytes()).unwrap();
        of_headers(parsed.headers(), mail.as_bytes())
    };
    let asked = read(
        "X-Fax-Resolution: fine\r\nx-fax-header: =?utf-8?q?Caf=C3=A9?=\r\nX-Fax-Options: nocover,\r\n report none\r\n\
         X-Fax-Password: 12\r\nX-Faxpost-Submission: x\r\n",
    )
    .unwrap();
    assert_eq!(asked.options.header.as_deref(), Some("Café"));
    assert_eq!(asked.options.cover.as_deref(), Some("none"));
    assert_eq!(asked.options.report, Some(ReportWish::None));
    assert_eq!(read("X-Other: fine\r\n"), Ok(Wishes::default()));
    let told = read("X-Fax-Resoluton: fine\r\n").unwrap_err().to_string();
    assert!(
        told.contains("\"X-Fax-Resoluton\" in the X-Fax- lines"),
        "{told}"
    );
    assert!(read("X-Fax-Cover: none\r\nX-Fax-Cover: plain\r\n").is_err());
}

#[test]
fn a_subject_has_options_in_brackets_at_its_ends() {
    let read = |subject: &str| {
        let found = of_subject(subject).unwrap();
        (
            found.left,
            found.wishes.options.to_column().unwrap_or_default(),
        )
    };
    let fine = r#"{"resolution":"Fine"}"#.to_owned();
    for (subject, left) in [
        ("Offer [fine]", "Offer"),
        ("[fine] Offer", "Offer"),
        ("[fine] Re: Offer", "Re: Offer"),
        (
            "[EXTERNAL] [fine] Offer [ticket 123]",
            "[EXTERNAL] Offer [ticket 123]",
        ),
        ("Offer [a] [fax: fine]", "Offer [a]"),
        ("[fine]", ""),
        ("Offer [resolution fine]", "Offer"),
    ] {
        assert_eq!(read(subject), (left.to_owned(), fine.clone()), "{subject}");
    }
    for other in [
        "[EXTERNAL] Offer",
        "Offer [ticket 123]",
        "[LEGAL] contract",
        "[cover letter] application",
        "[Report weekly] numbers",
        "Lunch [at home]",
        "Offer [fine] for you",
        "Fwd: Invoice [ticket 123]",
        "array[0]",
        "[",
        "]",
        "[[]]",
        "[unclosed fine",
        "",
    ] {
        assert_eq!(read(other), (other.to_owned(), String::new()), "{other}");
    }
    let long = "[fine]".repeat(1_000_000);
    assert_eq!(of_subject(&long).unwrap().left, long, "nobody writes that");
    let both = of_subject("[nocover] Offer [fine, code 4711]").unwrap();
    assert_eq!(both.left, "Offer");
    assert_eq!(both.wishes.options.code.as_deref(), Some("4711"));
    assert!(of_subject("[fine] Offer [standard, nocover]").is_err());
    let told = of_subject("Offer [fine, nocovr]").unwrap_err().to_string();
    assert!(told.contains("\"nocovr\" in the subject"), "{told}");
    assert!(of_subject("Offer [fax: reslution fine]").is_err());
}

#[test]
fn promise_4_options_in_a_forwarded_subject_are_nobodys() {
    for subject in [
        "Fwd: Offer [fine, report none]",
        "RE: [caller=+33123456789] Offer",
        "TR : Offre [fine]",
        "[EXTERNAL] Re[2]: FW: [nocover] x",
        "AW: x [ticket 1] [fax: header Bank]",
        "转发： x [fine]",
        "回覆: x [fax: nocover, code 4711]",
        "Offer (fwd) [fine]",
    ] {
        let fault = of_subject(subject).unwrap_err();
        assert!(matches!(fault, Fault::Forwarded(_)), "{subject}: {fault}");
    }
    assert!(of_subject("Report: x [fine]").is_ok());
}

#[test]
fn a_long_line_is_not_looked_through() {
    // A stranger's mail is read too, before it is refused: a megabyte of this took minutes.
    for odd in ["&", "&#", "<", "<!-", "</p", "&amp"] {
        let html = odd.repeat((1 << 20) / odd.len());
        assert_eq!(of_html(&html), (Vec::new(), html.clone()), "{odd}");
    }
    let long = format!("#fax fine {}", "x".repeat(5_000));
    assert_eq!(of_html(&long).0, Vec::<String>::new());
}

#[test]
fn a_text_may_begin_with_options() {
    let read = |text: &str| of_text(text);
    let lists = |all: &[&str]| all.iter().map(|&list| list.to_owned()).collect::<Vec<_>>();
    assert_eq!(
        read("#fax fine, nocover\r\n\r\nDear Jo,\r\n#fax standard\r\n"),
        (
            lists(&["fine, nocover"]),
            "Dear Jo,\r\n#fax standard\r\n".into()
        )
    );
    assert_eq!(
        read("\n\u{feff} #FAX: fine,\n  code 4711\n#fax nocover\ntext"),
        (lists(&["fine,code 4711", "nocover"]), "text".into())
    );
    assert_eq!(read("#fax fine"), (lists(&["fine"]), String::new()));
    for other in [
        "Fax: +33 1 23 45 67 89\n",
        "#faxes are fun",
        "# fax fine",
        "> #fax fine\ntext",
        "Dear Jo\n#fax fine",
        "",
        "\n\ntext",
    ] {
        assert_eq!(read(other), (vec![], other.to_owned()), "{other}");
    }
}

#[test]
fn an_html_text_may_begin_with_options() {
    let outlook = "<html><head><style>p.#fax {x}</style><title>#fax y</title></head><body><!-- #fax z -->\
                   <p class=MsoNormal><span>#fax&nbsp;fine, <b>code</b> 4711<o:p></o:p></span></p>\r\n<p>Dear Jo</p>#fax a";
    let (lists, left) = of_html(outlook);
    assert_eq!(lists, ["fine, code 4711"]);
    assert!(
        !left.contains("4711") && left.contains("<p>Dear Jo</p>#fax a"),
        "{left}"
    );
    let gmail =
        "<div dir=\"ltr\">#fax fine,<div>nocover</div><div><br></div><div>Hi &amp; bye</div></div>";
    let (lists, left) = of_html(gmail);
    assert_eq!(lists, ["fine,nocover"]);
    assert_eq!(
        left,
        "<div dir=\"ltr\"><div></div><div><br></div><div>Hi &amp; bye</div></div>"
    );
    assert_eq!(of_html("#fax fine").0, ["fine"]);
    for quoted in [
        "<blockquote>#fax fine</blockquote>",
        "<div class=\"gmail_quote\">#fax fine</div>",
        "<p>Hello</p><p>#fax fine</p>",
        "<div class='gmail_quote gmail_quote_container'><div>#fax fine</div></div>",
        "<p>&#35;faxes</p>",
    ] {
        assert_eq!(of_html(quoted), (vec![], quoted.to_owned()), "{quoted}");
    }
    // Written as characters' numbers it is the same.
    assert_eq!(of_html("<p>&#35;fax fine</p>").0, ["fine"]);
}

#[test]
fn times_are_where_the_sender_is() {
    for (written, moment) in [
        ("18:00", "Sun 2026-11-22 18:00"),
        ("18h", "Sun 2026-11-22 18:00"),
        ("6 pm", "Sun 2026-11-22 18:00"),
        ("1800", "Sun 2026-11-22 18:00"),
        ("13:19", "Mon 2026-11-23 13:19"),
        ("tomorrow 8h30", "Mon 2026-11-23 08:30"),
        ("demain", "Mon 2026-11-23 00:00"),
        ("mon 08:00", "Mon 2026-11-23 08:00"),
        ("dimanche 9:00", "Sun 2026-11-29 09:00"),
        ("2026-11-30 08:00", "Mon 2026-11-30 08:00"),
        ("2026-11-30T08:00", "Mon 2026-11-30 08:00"),
        ("+90m", "Sun 2026-11-22 14:50"),
        ("+2 h", "Sun 2026-11-22 15:20"),
        // What is over is now.
        ("2026-11-01 08:00", "Sun 2026-11-22 13:20"),
    ] {
        assert_eq!(at(written), moment, "{written}");
    }
    for wrong in [
        "24:30",
        "8",
        "18:0",
        "13pm",
        "30/11 08:00",
        "+2",
        "+0m",
        "soon",
        "2026-13-01",
        "t",
        "+99999999999d",
    ] {
        assert!(list(&format!("at={wrong}")).is_err(), "{wrong}");
    }
}

#[test]
fn promise_7_nothing_is_put_off_for_ever() {
    let settle = |text: &str| list(text).unwrap().settle(NOW, "Europe/Paris");
    assert_eq!(settle("at +15d"), Err(Fault::Ahead));
    assert_eq!(settle("at 9999-12-31"), Err(Fault::Ahead));
    assert_eq!(settle("not after 2026-12-31"), Err(Fault::Ahead));
    assert_eq!(settle("not after 2026-11-21"), Err(Fault::Over));
    assert_eq!(
        settle("at 2026-11-25 10:00, not after 2026-11-25 09:00"),
        Err(Fault::Over)
    );
    // A clock's time is the next one after it is sent.
    let both = settle("at 23:00, not after 02:00").unwrap();
    let hours = (both.not_after.unwrap() - both.send_at.unwrap()) / 3_600_000;
    assert_eq!(hours, 3);
    // A day lasts until its end.
    let day = settle("not-after 2026-11-22").unwrap().not_after.unwrap();
    assert_eq!((day - NOW) / 3_600_000, 10);
    assert_eq!(settle("fine").unwrap().send_at, None);
}

#[test]
fn the_nearest_to_the_number_counts() {
    let (_, address) = of_address("+331/cover=none").unwrap();
    let mail = list("cover business, fine, at 18:00").unwrap();
    let both = address.or(mail);
    assert_eq!(both.options.cover.as_deref(), Some("none"));
    assert_eq!(both.options.resolution, Some(Resolution::Fine));
    assert!(both.at.is_some());
}

#[test]
fn every_option_is_explained_in_every_language() {
    for language in Language::ALL {
        let lines = help(language);
        assert_eq!(lines.len(), rows().len());
        assert!(lines.iter().all(|line| line.len() > 20));
    }
    let mut names: Vec<&str> = rows()
        .iter()
        .flat_map(|row| row.aliases.iter().chain([&row.name]))
        .copied()
        .collect();
    let words = rows()
        .iter()
        .flat_map(|row| row.words)
        .map(|word| word.word);
    names.extend(words.filter(|word| {
        *word != "cover" && !["receipt", "accepted", "preview", "confirm"].contains(word)
    }));
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "a name stands for two options");
}

proptest! {
    #[test]
    fn any_text_is_read(text in "(?s).{0,200}") {
        fuzzing::read(&text);
    }

    #[test]
    fn texts_of_our_own_pieces_are_read(pieces in prop::collection::vec(prop::sample::select(vec![
        "#fax", " fine", ", ", "\n", "[", "]", "fax:", "Re: ", "cover", "=", "none", "\"", "<p>", "<blockquote>",
        "</p>", "<br>", "&nbsp;", "/", "at ", "18:00", "not after ", "+2h", "<!--", "<style", "\u{e9}", "@", "at=\u{e9}t0",
    ]), 0..30)) {
        fuzzing::read(&pieces.concat());
    }
}
