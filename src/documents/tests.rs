//! Whole mails. `testdata/labelled` holds them as mail programs write them, each with what is to become of its
//! parts beside it.

use std::{fs, path::Path};

use faxpost_paper::{Input, Limits, PageSetup, render};

use super::{
    tnef::tests::{packed, packed_rtf},
    *,
};

fn read_all(message: &[u8]) -> Contents {
    read(message, &Options::default()).expect("a mail")
}

fn text(document: &Document) -> String {
    String::from_utf8(document.bytes.clone()).expect("UTF-8")
}

/// A mail with these parts.
fn mail(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = b"From: a@x.example\r\nTo: +331@fax.example\r\nSubject: =?utf-8?q?F=C3=A9vrier?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    for part in parts {
        out.extend(b"--b\r\n");
        out.extend(*part);
        out.extend(b"\r\n");
    }
    out.extend(b"--b--\r\n");
    out
}

fn attached(name: &str, media_type: &str, bytes: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    format!("Content-Type: {media_type}\r\nContent-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{text}").into_bytes()
}

fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    // Stored, not packed: local headers, the directory, its end (APPNOTE §4.3.7, §4.3.12, §4.3.16).
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let at = out.len() as u32;
        let mut common = vec![20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0x28];
        common.extend(crc(bytes).to_le_bytes());
        common.extend((bytes.len() as u32).to_le_bytes());
        common.extend((bytes.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(*bytes);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (at, count) = (out.len() as u32, files.len() as u16);
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// What became of a mail, a line a part, drawn where there is something to draw.
fn told(message: &[u8]) -> Vec<String> {
    let contents = read_all(message);
    let mut lines: Vec<String> = contents.documents.iter().map(drawn).collect();
    let out = contents.left_out.iter();
    lines.extend(out.map(|part| match part.name.as_str() {
        "" => format!("left out (text): {}", part.reason),
        name => format!("left out {name}: {}", part.reason),
    }));
    lines
}

fn drawn(document: &Document) -> String {
    let name = match document.own_text {
        true => "(text)".to_owned(),
        false => document.name.clone(),
    };
    let bytes = document.bytes.clone();
    let (kind, input) = match &document.kind {
        Kind::Pdf => (
            "pdf".to_owned(),
            Input::Pdf {
                name: name.clone(),
                bytes,
                password: None,
            },
        ),
        Kind::Picture { shown } => {
            let input = Input::Picture {
                name: name.clone(),
                bytes,
                shown: *shown,
            };
            ("picture".to_owned(), input)
        }
        Kind::Text => (
            "text".to_owned(),
            Input::Text {
                name: name.clone(),
                text: text(document),
            },
        ),
        Kind::Html { pictures, .. } => {
            let shown = pictures
                .iter()
                .filter(|picture| !picture.bytes.is_empty())
                .count();
            let input = Input::Html {
                name: name.clone(),
                html: text(document),
                pictures: pictures.clone(),
            };
            (format!("html+{shown}"), input)
        }
        Kind::Convert(conversion) => panic!("{conversion:?} was not asked for"),
    };
    match render(
        &input,
        &PageSetup::a4_fine(),
        &Limits::default(),
        &mut |_, _| (),
    ) {
        Ok(done) => {
            let others = done
                .notes
                .iter()
                .filter(|note| **note != faxpost_paper::Note::LeftOut);
            let notes: String = others.map(|note| format!(", {note}")).collect();
            format!("{kind} {name}: {}{notes}", done.pages.len())
        }
        Err(error) => format!("{kind} {name}: {error}"),
    }
}

#[test]
fn no_wanted_picture_of_the_labelled_mails_is_lost_and_no_ornament_becomes_a_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/labelled");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|ending| ending != "eml") {
            continue;
        }
        seen += 1;
        let message = fs::read(&path).expect("a mail");
        let label = fs::read_to_string(path.with_extension("txt")).expect("its label");
        let (says, wanted): (Vec<&str>, Vec<&str>) =
            label.lines().partition(|line| line.starts_with("says "));
        let told = told(&message);
        if told != wanted {
            wrong.push(format!(
                "{}: {told:#?} instead of {wanted:#?}",
                path.display()
            ));
        }
        for words in says {
            assert!(
                text(&read_all(&message).documents[0]).contains(&words[5..]),
                "{}",
                path.display()
            );
        }
    }
    assert!(seen >= 30, "{seen}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn text_and_pdfs_come_in_the_order_of_the_mail() {
    let contents = read_all(&mail(&[
        b"Content-Type: text/plain; charset=utf-8\r\n\r\nHello",
        &attached("z.pdf", "application/octet-stream", b"%PDF-1.4 z"),
        &attached("a.pdf", "application/pdf", b"%PDF-1.4 a"),
    ]));
    assert_eq!(contents.subject, "Février");
    let names: Vec<_> = contents.documents.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["", "z.pdf", "a.pdf"]);
    assert_eq!(contents.cover_text().map(text).as_deref(), Some("Hello"));
}

#[test]
fn texts_are_read_in_any_charset() {
    let part = |charset: &str, bytes: &[u8]| {
        let mut part =
            format!("Content-Type: text/plain{charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
                .into_bytes();
        part.extend(bytes);
        text(&read_all(&mail(&[&part])).documents[0])
    };
    assert_eq!(part("; charset=iso-8859-15", b"10 \xa4"), "10 €");
    assert_eq!(
        part("; charset=koi8-r", b"\xf0\xd2\xc9\xd7\xc5\xd4"),
        "Привет"
    );
    assert_eq!(part("; charset=gb2312", b"\xb4\xab\xd5\xe6"), "传真");
    assert_eq!(
        part("; charset=windows-1256", b"\xc7\xe1\xdd\xc7\xdf\xd3"),
        "الفاكس"
    );
    assert_eq!(part("; charset=utf-7", b"Caf+AOk-"), "Café");
    assert_eq!(part("; charset=us-ascii", "déjà".as_bytes()), "déjà");
    assert_eq!(part("; charset=x-unknown", "déjà".as_bytes()), "déjà");
    assert_eq!(
        part("", b"Le prix a \xe9t\xe9 pay\xe9 d\xe9j\xe0"),
        "Le prix a été payé déjà"
    );
}

#[test]
fn plain_text_is_preferred_unless_html_carries_more() {
    let alternative = |html: &str| {
        let part = format!(
            "Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\nContent-Type: text/plain\r\n\r\nplain\r\n--a\r\nContent-Type: text/html\r\n\r\n{html}\r\n--a--"
        );
        read_all(&mail(&[part.as_bytes()]))
    };
    let simple = alternative("<h1>Title</h1><ul><li>a</ul>");
    assert_eq!(text(&simple.documents[0]), "plain");
    let table = alternative("<table><tr><td>a<td>b<tr><td>c<td>d</table>");
    assert!(matches!(
        table.documents[0].kind,
        Kind::Html { rich: true, .. }
    ));
    // Its tables would be lost on a cover.
    assert_eq!(
        (simple.cover_text().is_some(), table.cover_text()),
        (true, None)
    );
    // HTML alone is simple enough for a cover.
    let alone = read_all(b"From: a@x.example\r\nContent-Type: text/html\r\n\r\n<p>Hello");
    assert!(alone.cover_text().is_some());
    let nothing = read_all(b"From: a@x.example\r\nContent-Type: text/html\r\n\r\n<p>&nbsp;<img src=http://x.example/a>");
    assert!(nothing.documents.is_empty(), "{nothing:?}");
    assert_eq!(nothing.left_out[0].reason, Reason::Remote { count: 1 });
    // Its pages tell of what the web would have; a cover can't.
    let cover = read_all(
        b"From: a@x.example\r\nContent-Type: text/html\r\n\r\n<p>Hello<img src=//x.example/a>",
    );
    assert!(
        matches!(cover.documents[0].kind, Kind::Html { remote: 1, .. })
            && cover.left_out.is_empty()
    );
}

#[test]
fn containers_are_opened_within_bounds() {
    let inner = zipped(&[
        ("b.txt", b"two"),
        ("__MACOSX/._b.txt", b"x"),
        ("Thumbs.db", b"x"),
    ]);
    let outer = zipped(&[
        ("a.txt", b"one"),
        ("inner.zip", &inner),
        ("c.bin", b"\0\x01"),
    ]);
    let contents = read_all(&mail(&[&attached("all.zip", "application/zip", &outer)]));
    let names: Vec<_> = contents.documents.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["all.zip/a.txt", "all.zip/inner.zip/b.txt"]);
    assert_eq!(contents.left_out.len(), 1);
    let mut deep = zipped(&[("x.txt", b"x")]);
    for _ in 0..10 {
        deep = zipped(&[("z.zip", &deep)]);
    }
    let contents = read_all(&mail(&[&attached("deep.zip", "application/zip", &deep)]));
    assert_eq!(
        (contents.documents.len(), &contents.left_out[0].reason),
        (0, &Reason::TooDeep)
    );
    for (bytes, reason) in [
        (zipped(&[]), Reason::Nothing),
        (b"PK\x03\x04 broken".to_vec(), Reason::Zip(ZipFault::Broken)),
        (
            zipped(&[("twice", b"1"), ("twice", b"2")]),
            Reason::Zip(ZipFault::Broken),
        ),
    ] {
        let contents = read_all(&mail(&[&attached("z.zip", "application/zip", &bytes)]));
        assert_eq!(contents.left_out[0].reason, reason);
    }
}

#[test]
fn a_zip_file_behind_a_password_is_refused_by_name() {
    let mut zip = zipped(&[("a.txt", b"one")]);
    // Bit 0 of the flags (APPNOTE §4.4.4), in both headers.
    zip[6] |= 1;
    let central = zip
        .windows(4)
        .position(|w| w == b"PK\x01\x02")
        .expect("a directory");
    zip[central + 8] |= 1;
    let contents = read_all(&mail(&[&attached("shut.zip", "application/zip", &zip)]));
    assert_eq!(
        contents.left_out,
        [LeftOut {
            name: "shut.zip".into(),
            reason: Reason::Encrypted
        }]
    );
}

#[test]
fn a_forwarded_mail_has_its_heading_its_text_and_its_parts() {
    let inner = b"From: Bob <bob@x.example>\r\nDate: Mon, 2 Nov 2026 09:20:05 +0100\r\nSubject: Offer\r\nContent-Type: text/html\r\n\r\n<p>Our <b>offer</b>";
    let mut part = b"Content-Type: message/rfc822\r\n\r\n".to_vec();
    part.extend(inner);
    let contents = read_all(&mail(&[
        b"Content-Type: text/plain\r\n\r\nSee below.",
        &part,
    ]));
    assert_eq!(contents.documents.len(), 2, "{contents:?}");
    let forwarded = &contents.documents[1];
    assert_eq!(
        (forwarded.name.as_str(), forwarded.own_text),
        ("Offer", false)
    );
    let said = text(forwarded);
    assert!(
        said.contains("From: Bob &lt;bob@x.example&gt;\nDate: 2026-11-02 09:20 +01:00"),
        "{said}"
    );
    assert!(said.ends_with("<p>Our <b>offer</b>"), "{said}");
    // As a file, too, whatever its coding; and in French.
    let file = mail(&[&attached("old.eml", "application/octet-stream", inner)]);
    let options = Options {
        language: Language::Fr,
        ..Options::default()
    };
    let contents = read(&file, &options).expect("a mail");
    assert!(
        text(&contents.documents[0]).contains("De\u{a0}: Bob"),
        "{contents:?}"
    );
    assert!(
        contents.cover_text().is_none(),
        "it is not what the sender wrote"
    );
}

#[test]
fn a_winmail_dat_gives_its_files_and_its_text_where_the_mail_has_none() {
    let tnef = packed(
        "Inside",
        &[("Größe.pdf", b"%PDF-1.4"), ("note.txt", b"a note")],
    );
    let part = attached("winmail.dat", "application/ms-tnef", &tnef);
    let names = |contents: &Contents| -> Vec<String> {
        contents.documents.iter().map(|d| d.name.clone()).collect()
    };
    let contents = read_all(&mail(&[b"Content-Type: text/plain\r\n\r\nOutside", &part]));
    assert_eq!(names(&contents), ["", "Größe.pdf", "note.txt"]);
    assert_eq!(text(&contents.documents[0]), "Outside");
    let contents = read_all(&mail(&[&part]));
    assert_eq!(text(&contents.documents[0]), "Inside");
    let contents = read_all(&mail(&[&attached(
        "winmail.dat",
        "application/ms-tnef",
        b"\x78\x9f\x3e\x22\0\0\x01",
    )]));
    assert_eq!(contents.left_out[0].reason, Reason::Broken);
}

#[test]
fn outlooks_text_in_rtf_alone_is_a_document_of_its_own() {
    let text = [
        &[23, 0, 0, 0, 11, 0, 0, 0][..],
        b"MELA",
        &[0; 4],
        b"{\\rtf1 yes}",
    ]
    .concat();
    let part = |rtf: &[u8]| attached("winmail.dat", "application/ms-tnef", &packed_rtf(rtf));
    let options = Options {
        list: false,
        conversions: vec![Conversion::Rtf],
        language: Language::En,
    };
    let read_with = |rtf: &[u8], options| read(&mail(&[&part(rtf)]), options).expect("a mail");
    let contents = read_with(&text, &options);
    assert_eq!(contents.documents[0].name, "winmail.dat.rtf");
    assert_eq!(contents.documents[0].kind, Kind::Convert(Conversion::Rtf));
    assert_eq!(contents.documents[0].bytes, b"{\\rtf1 yes}");
    // Without LibreOffice it is named, and so is what can't be unpacked.
    let contents = read_all(&mail(&[&part(&text)]));
    assert!(matches!(
        contents.left_out[0].reason,
        Reason::Unsupported { .. }
    ));
    let contents = read_with(&text[..20], &options);
    assert_eq!(contents.left_out[0].reason, Reason::Broken);
}

#[test]
fn what_only_the_recipient_can_open_is_refused() {
    let refused = |parts: &[&[u8]]| read_all(&mail(parts)).left_out[0].reason.clone();
    assert_eq!(
        refused(&[b"Content-Type: text/plain\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n"]),
        Reason::Encrypted
    );
    assert_eq!(
        refused(&[b"Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\n\r\nx"]),
        Reason::Wrapped
    );
    assert_eq!(
        refused(&[&attached("a.gpg", "application/octet-stream", b"\x85\x01")]),
        Reason::Encrypted
    );
}

#[test]
fn what_is_converted_here_is_a_document_and_else_it_is_named() {
    let message = mail(&[&attached("a.doc", "application/msword", b"x")]);
    let contents = read_all(&message);
    assert_eq!(
        contents.left_out[0].reason.to_string(),
        "application/msword can't be drawn; save it as PDF"
    );
    let options = Options {
        conversions: vec![Conversion::Word],
        ..Options::default()
    };
    let contents = read(&message, &options).expect("a mail");
    assert_eq!(contents.documents[0].kind, Kind::Convert(Conversion::Word));
}

#[test]
fn a_mail_with_nothing_in_it_has_no_documents() {
    let contents = read_all(b"From: a@x.example\r\nSubject: x\r\n\r\n\r\n");
    assert_eq!((contents.documents, contents.left_out), (vec![], vec![]));
}

#[test]
fn the_header_names_the_people_behind_the_numbers() {
    let contents = read_all(
        b"From: a@x.example\r\nTo: \"Durand, Marie\" <+331@fax.example>, +332@fax.example,\r\n \
          \"+333@fax.example\" <+333@fax.example>, =?utf-8?q?=C3=89lodie?= <Sales.334@FAX.example>\r\n\
          Cc: '+335' <+335@fax.example>\r\nSubject: x\r\n\r\nHello\r\n",
    );
    let name = |address: &str| contents.name_of(address);
    assert_eq!(name("+331@fax.example").as_deref(), Some("Durand, Marie"));
    assert_eq!(
        name("sales.334@fax.example").as_deref(),
        Some("\u{c9}lodie")
    );
    for nobody in [
        "+332@fax.example",
        "+333@fax.example",
        "+335@fax.example",
        "+336@fax.example",
    ] {
        assert_eq!(name(nobody), None, "{nobody}");
    }
}
