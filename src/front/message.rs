//! What the door reads of a message, and how large its structure may be.
//!
//! A message's octets are bounded by SIZE; its parts and header lines are not, and a parser pays far
//! more for each than the sender does. So they are counted before they are parsed.

use mail_parser::{Address, HeaderName, HeaderValue, MessageParser, MimeHeaders as _, PartType};
use memchr::{memchr, memchr_iter, memmem};

use crate::{
    dial::{NotAPassword, password_of},
    documents,
    options::{self, Fault, Wishes},
    sender::FromLine,
};

/// Lines that begin with `--`: possible boundaries of parts.
const BOUNDARY_LINES: usize = 10_000;
/// Lines with a colon: possible header lines, also in parts.
const COLON_LINES: usize = 200_000;
/// Lines of the message's own header.
const HEADER_FIELDS: usize = 1_000;
/// Parts in all.
const PARTS: usize = 1_000;
/// Parts within parts.
const NESTING: usize = 32;
/// Received lines, our own besides, that tell a loop (RFC 5321 §6.3).
const HOPS: usize = 50;
/// Addresses in To and Cc that are looked at.
const ADDRESSEES: usize = 1_000;
/// Characters of the subject that are kept.
const SUBJECT: usize = 998;

/// What the door wants to know.
#[derive(Debug, PartialEq, Eq)]
pub struct Heading {
    /// Each From line.
    pub from: Vec<FromLine>,
    /// The addresses in To and Cc lines, as many as are looked at.
    pub to: Vec<String>,
    /// Without brackets.
    pub message_id: Option<String>,
    /// Decoded; empty without one.
    pub subject: String,
    /// It gives a password for the far machines.
    pub password: bool,
    /// What its X-Fax- lines ask.
    pub in_header: Wishes,
    /// What the lines ask that its text begins with.
    pub in_text: Wishes,
}

/// Why a message can't be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// No header.
    #[error("the message has no header lines: it can't be read as mail")]
    NoHeader,
    /// A header line whose name no standard allows: readers of mail differ in what they take it for.
    #[error(
        "the message has the header line {0:?}, which is no name and colon as RFC 5322 wants them: have your mail \
         program or server corrected"
    )]
    FieldName(String),
    /// More structure than any document has.
    #[error(
        "the message has more {what} than the {most} that are read: send fewer documents at a time"
    )]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        most: usize,
    },
    /// It goes in circles.
    #[error("the message passed through more than {HOPS} servers: it is going in circles")]
    Loop,
    /// An out-of-office reply or the like.
    #[error(
        "the message is an automatic reply (Auto-Submitted: auto-replied), and those are not faxed: \
         send the document yourself"
    )]
    AutomaticReply,
    /// A mailing list's, or sent to many.
    #[error(
        "the message is from a mailing list or sent in bulk ({0}), and such mail is not faxed: send the document yourself"
    )]
    Bulk(&'static str),
    /// One that this gateway wrote.
    #[error(
        "the message is one that this fax gateway wrote, and those are not faxed: it is going in circles, or send what \
         is attached to it in a mail of your own"
    )]
    Own,
    /// Only its reader could open it.
    #[error(
        "the message is encrypted ({0}), and only you and your reader could open it: send the document without \
         encryption"
    )]
    Encrypted(&'static str),
    /// The password for the far machines can't be used.
    #[error(transparent)]
    Password(#[from] NotAPassword),
    /// What it asks of its fax can't be done.
    #[error(transparent)]
    Options(#[from] Fault),
}

/// Reads a message.
///
/// # Errors
/// [`Unfit`]; sending it again will not help.
pub fn read(message: &[u8]) -> Result<Heading, Unfit> {
    field_names(message)?;
    bound(
        "parts",
        BOUNDARY_LINES,
        memmem::find_iter(message, b"\n--").count(),
    )?;
    bound("header lines", COLON_LINES, colon_lines(message))?;
    let parsed = MessageParser::default()
        .parse(message)
        .ok_or(Unfit::NoHeader)?;
    let headers = parsed.headers();
    if headers.is_empty() {
        return Err(Unfit::NoHeader);
    }
    bound("header lines", HEADER_FIELDS, headers.len())?;
    if count(headers, &HeaderName::Received) > HOPS + 1 {
        return Err(Unfit::Loop);
    }
    bound_parts(&parsed)?;
    // RFC 3834 §5: generated mail (an invoice that a program sends) is welcome, replies are not.
    let automatic_reply = headers.iter().any(|header| {
        header.name.as_str().eq_ignore_ascii_case("auto-submitted")
            && header.value.as_text().is_some_and(|text| {
                // RFC 3834 §5: parameters and comments may follow.
                let word = text
                    .trim_start()
                    .split([';', '(', ' ', '\t'])
                    .next()
                    .unwrap_or_default();
                // RFC 5436 §2.7.1: a notification about a mail answers it too.
                ["auto-replied", "auto-notified"]
                    .iter()
                    .any(|known| word.eq_ignore_ascii_case(known))
            })
    });
    if automatic_reply {
        return Err(Unfit::AutomaticReply);
    }
    if let Some(mark) = bulk(headers) {
        return Err(Unfit::Bulk(mark));
    }
    if let Some(how) = encryption(&parsed) {
        return Err(Unfit::Encrypted(how));
    }
    let password = password_of(headers)?.is_some();
    let to = headers
        .iter()
        .filter(|header| matches!(header.name, HeaderName::To | HeaderName::Cc));
    Ok(Heading {
        in_header: options::of_headers(headers, message)?,
        in_text: documents::wishes(&parsed)?,
        password,
        from: headers
            .iter()
            .filter(|header| header.name == HeaderName::From)
            .map(|header| {
                let raw = message.get(header.offset_start as usize..header.offset_end as usize);
                from_line(&header.value, raw.unwrap_or_default())
            })
            .collect(),
        to: to
            .flat_map(|header| addresses(&header.value))
            .take(ADDRESSEES)
            .collect(),
        message_id: parsed.message_id().map(str::to_owned),
        subject: parsed
            .subject()
            .unwrap_or_default()
            .chars()
            .take(SUBJECT)
            .collect(),
    })
}

/// What says that a message is a list's or a mass mail's (RFC 2919, RFC 3834 §2). `List-Unsubscribe` alone says nothing:
/// programs put it on invoices too.
fn bulk(headers: &[mail_parser::Header<'_>]) -> Option<&'static str> {
    headers.iter().find_map(|header| {
        let name = header.name.as_str();
        if ["list-id", "list-post"]
            .iter()
            .any(|list| name.eq_ignore_ascii_case(list))
        {
            return Some("List-Id");
        }
        let value = header.value.as_text()?.trim();
        let bulk = ["bulk", "list", "junk", "auto_reply"]
            .iter()
            .any(|word| value.eq_ignore_ascii_case(word));
        (name.eq_ignore_ascii_case("precedence") && bulk).then_some("Precedence")
    })
}

/// Whether a Message-ID is one that we gave: all of ours have a ULID, and our name.
pub fn is_own(message_id: &str, hostname: &str) -> bool {
    let Some((local, domain)) = message_id.rsplit_once('@') else {
        return false;
    };
    let ulid = |part: &str| {
        part.len() == 26
            && part
                .bytes()
                .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
    };
    domain.eq_ignore_ascii_case(hostname) && local.split('.').any(ulid)
}

/// RFC 5322 §2.2 and §3.6.8: a field is printable ASCII without spaces, then a colon. Our reader of mail would take
/// "C c:" and ":Cc:" for Cc, and whoever signs a message or strips its lines for nothing of the kind.
fn field_names(message: &[u8]) -> Result<(), Unfit> {
    for (number, line) in message.split(|&octet| octet == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if number > 0 && matches!(line[0], b' ' | b'\t') {
            continue;
        }
        let name = line
            .iter()
            .position(|&octet| octet == b':')
            .map(|end| &line[..end]);
        let sound = |name: &[u8]| !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
        if !name.is_some_and(sound) {
            let shown = &name.unwrap_or(line);
            let shown = String::from_utf8_lossy(&shown[..shown.len().min(60)]);
            return Err(Unfit::FieldName(shown.into_owned()));
        }
    }
    Ok(())
}

fn count(headers: &[mail_parser::Header<'_>], name: &HeaderName<'_>) -> usize {
    headers.iter().filter(|header| header.name == *name).count()
}

/// A line of one address must be one to every reader: who let it be sent may have read it in another way than we.
fn from_line(value: &HeaderValue<'_>, raw: &[u8]) -> FromLine {
    if matches!(value, HeaderValue::Address(Address::Group(_))) {
        return FromLine::Group;
    }
    let addresses = addresses(value);
    match addresses.as_slice() {
        [one] if plain_mailbox(&String::from_utf8_lossy(raw)) != Some(one.as_str()) => {
            FromLine::Doubtful
        }
        _ => FromLine::Mailboxes(addresses),
    }
}

/// The address of `name <address>`, `address` or `address (comment)`, if a line is nothing else (RFC 5322 §3.4 without
/// its obsolete and nested forms).
fn plain_mailbox(line: &str) -> Option<&str> {
    let mut line = line.trim();
    // Names may stand in quotes, which hide all but their own end.
    let mut rest = line;
    if let Some(at) = line.find('<') {
        let mut quoted = false;
        let mut escaped = false;
        for (place, c) in line.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => quoted = !quoted,
                '<' if !quoted => {
                    rest = &line[place + 1..];
                    break;
                }
                '@' | '>' | ',' | ';' | ':' if !quoted => return None,
                _ => {}
            }
        }
        if quoted || rest.len() == line.len() && at > 0 {
            return None;
        }
        line = rest.strip_suffix('>')?;
    } else if let Some((address, comment)) = line.split_once('(') {
        let comment = comment.strip_suffix(')')?;
        if comment.contains(['(', ')', '\\']) {
            return None;
        }
        line = address.trim_end();
    }
    let (local_part, domain) = line.split_once('@')?;
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.contains(|c: char| {
                c.is_whitespace() || c.is_control() || "@<>()[],;:\\\"".contains(c)
            })
    };
    (is_plain(local_part) && is_plain(domain)).then_some(line)
}

/// How the whole mail is encrypted, if it is. A part that is, is told of in the report.
fn encryption(message: &mail_parser::Message<'_>) -> Option<&'static str> {
    let root = message.parts.first()?;
    let kind = root.content_type();
    let is = |main: &str, sub: &str| {
        kind.is_some_and(|kind| {
            kind.c_type.eq_ignore_ascii_case(main)
                && kind
                    .c_subtype
                    .as_deref()
                    .is_some_and(|found| found.eq_ignore_ascii_case(sub))
        })
    };
    // RFC 3156 §4 and others of RFC 1847 §2.2.
    if is("multipart", "encrypted") {
        return Some("PGP/MIME");
    }
    // RFC 8551 §3.2.2: other types are signed or compressed.
    if is("application", "pkcs7-mime") || is("application", "x-pkcs7-mime") {
        let smime_type = kind
            .and_then(|kind| kind.attribute("smime-type"))
            .unwrap_or("enveloped-data");
        let enveloped = ["enveloped-data", "authenveloped-data"];
        return enveloped
            .iter()
            .any(|known| known.eq_ignore_ascii_case(smime_type))
            .then_some("S/MIME");
    }
    // RFC 9580 §6.2
    let text = message.body_text(0)?;
    text.trim_start()
        .starts_with("-----BEGIN PGP MESSAGE-----")
        .then_some("PGP")
}

/// Every mailbox of an address line. One without an address counts as an empty one, so that it can't be
/// overlooked.
fn addresses(value: &HeaderValue<'_>) -> Vec<String> {
    let text =
        |addr: &mail_parser::Addr<'_>| match (addr.address().unwrap_or_default(), addr.name()) {
            // The parser takes a local part in quotes for a name: "+49 (30) 123456"@fax.example.com
            (domain, Some(local_part)) if domain.starts_with('@') => {
                format!("\"{local_part}\"{domain}")
            }
            (address, _) => address.to_owned(),
        };
    match value {
        HeaderValue::Address(Address::List(list)) => list.iter().map(text).collect(),
        HeaderValue::Address(Address::Group(groups)) => groups
            .iter()
            .flat_map(|group| group.addresses.iter().map(text))
            .collect(),
        _ => Vec::new(),
    }
}

fn bound(what: &'static str, most: usize, found: usize) -> Result<(), Unfit> {
    if found > most {
        Err(Unfit::TooMany { what, most })
    } else {
        Ok(())
    }
}

/// Lines that hold a colon. Base64 has none, so a document costs one fast pass.
fn colon_lines(message: &[u8]) -> usize {
    let mut lines = 0;
    let mut next = 0;
    for colon in memchr_iter(b':', message) {
        if colon < next {
            continue;
        }
        lines += 1;
        if lines > COLON_LINES {
            break;
        }
        match memchr(b'\n', &message[colon..]) {
            Some(end) => next = colon + end,
            None => break,
        }
    }
    lines
}

/// Counts parts and their nesting without recursion.
fn bound_parts(message: &mail_parser::Message<'_>) -> Result<(), Unfit> {
    let mut parts = 0;
    let mut open = vec![(message, 0u32, 1usize)];
    while let Some((message, id, depth)) = open.pop() {
        parts += 1;
        bound("parts", PARTS, parts)?;
        bound("levels of parts within parts", NESTING, depth)?;
        match message.parts.get(id as usize).map(|part| &part.body) {
            Some(PartType::Multipart(children)) => {
                open.extend(children.iter().map(|child| (message, *child, depth + 1)));
            }
            Some(PartType::Message(inner)) => open.push((inner, 0, depth + 1)),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn boxes(addresses: &[&str]) -> FromLine {
        FromLine::Mailboxes(
            addresses
                .iter()
                .map(|address| (*address).to_owned())
                .collect(),
        )
    }

    #[test]
    fn promise_4_a_name_that_only_some_readers_take_for_another_is_refused() {
        for name in [
            "C c",
            "C\tc",
            ":Cc",
            "Cc ",
            "Sub ject",
            ":X-Fax-Password",
            "Cc\u{e9}",
            "",
            "Cc\u{1}",
        ] {
            let mail = format!("{name}: x\r\nFrom: a@example.com\r\n\r\nhello: a\r\n");
            assert!(
                matches!(read(mail.as_bytes()), Err(Unfit::FieldName(_))),
                "{name:?}"
            );
            let mail = format!("From: a@example.com\r\n{name}: x\r\n\r\nx\r\n");
            assert!(
                matches!(read(mail.as_bytes()), Err(Unfit::FieldName(_))),
                "{name:?}"
            );
        }
        assert!(read(b"From: a@example.com\r\nno colon\r\n\r\nx").is_err());
        assert!(read(b" To: a\r\nFrom: a@example.com\r\n\r\nx").is_err());
        // Folded lines and the body may hold what they like.
        let folded = b"From: a@example.com\r\nSubject: one\r\n C c: two\r\n\r\nC c: three\r\n";
        assert!(read(folded).is_ok());
    }

    #[test]
    fn lists_bulk_mail_and_our_own_are_known() {
        let with =
            |line: &str| read(format!("From: a@example.com\r\n{line}\r\n\r\nx\r\n").as_bytes());
        for line in [
            "Precedence: bulk",
            "precedence: LIST",
            "Precedence:  junk ",
            "List-Id: <a.b.example>",
            "List-Post: NO",
        ] {
            assert!(matches!(with(line), Err(Unfit::Bulk(_))), "{line}");
        }
        for line in [
            "Precedence: first-class",
            "List-Unsubscribe: <mailto:a@b>",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(with(line).is_ok(), "{line}");
        }
        for line in [
            "Auto-Submitted: auto-replied",
            "auto-submitted: Auto-Notified; x=y",
        ] {
            assert_eq!(with(line), Err(Unfit::AutomaticReply), "{line}");
        }
        let own = "01K6G3S2Q8M4T7V9W0X1Y2Z3A4";
        assert!(is_own(
            &format!("{own}.report@fax.example.com"),
            "fax.example.com"
        ));
        assert!(is_own(
            &format!("answer.cancelled.{own}.own.{own}@FAX.example.com"),
            "fax.example.com"
        ));
        assert!(!is_own(
            &format!("{own}.report@other.example.com"),
            "fax.example.com"
        ));
        assert!(!is_own(
            "202611221400.AAA123@fax.example.com",
            "fax.example.com"
        ));
    }

    #[test]
    fn a_plain_mail_is_read() {
        let heading = read(
            b"From: Ada <ada@example.com>\r\nMessage-ID: <1@x>\r\nSubject: =?utf-8?q?r=C3=A9sum=C3=A9?=\r\n\r\nhi\r\n",
        )
        .unwrap();
        assert_eq!(heading.from, [boxes(&["ada@example.com"])]);
        assert_eq!(heading.message_id.as_deref(), Some("1@x"));
        assert_eq!(heading.subject, "résumé");
    }

    #[test]
    fn every_from_line_and_every_address_in_it_is_seen() {
        let from = |head: &str| {
            read(format!("{head}\r\nSubject: x\r\n\r\nhi\r\n").as_bytes())
                .unwrap()
                .from
        };
        assert_eq!(
            from("From: a@x\r\nFrom: b@x"),
            [boxes(&["a@x"]), boxes(&["b@x"])]
        );
        assert_eq!(from("FROM: a@x\r\nfrom: b@x").len(), 2);
        assert_eq!(from("From: a@x, B <b@x>"), [boxes(&["a@x", "b@x"])]);
        assert_eq!(from("From: us: a@x, b@x;"), [FromLine::Group]);
        assert_eq!(from("From: us: a@x;"), [FromLine::Group]);
        assert_eq!(from("From: a@x, us: b@x;"), [FromLine::Group]);
        assert_eq!(from("Sender: a@x"), []);
        assert_eq!(from("From: \"b@x\" <a@x>"), [boxes(&["a@x"])]);
    }

    #[test]
    fn a_from_line_is_one_address_to_every_reader_or_doubtful() {
        for (line, address) in [
            ("a@x", Some("a@x")),
            ("<a@x>", Some("a@x")),
            (" Ada B. <a@x>\r\n", Some("a@x")),
            ("\"B, A (\\\"x\\\") <b@y>\" <a@x>", Some("a@x")),
            ("=?utf-8?q?Zo=C3=AB?=\r\n <a@x>", Some("a@x")),
            ("a@x (Ada)", Some("a@x")),
            ("zoë@x", Some("zoë@x")),
            ("Ada (Sales) <a@x>", Some("a@x")),
            ("Ada (b@y) <a@x>", None),
            ("Ada (<b@y>) <a@x>", None),
            ("Ada (\" <a@x>", None),
            ("b@y <a@x>", None),
            ("<b@y> <a@x>", None),
            ("<a@x> b@y", None),
            ("<@y:a@x>", None),
            ("a@x (b) (c)", None),
            ("a@x (b", None),
            ("(b) a@x", None),
            ("a @x", None),
            ("a@x@y", None),
            ("\"a b\"@x", None),
            ("\"Ada <a@x>", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(plain_mailbox(line), address, "{line:?}");
        }
        let from = |line: &str| {
            read(format!("From: {line}\r\n\r\nhi").as_bytes())
                .unwrap()
                .from
        };
        assert_eq!(from("b@y <a@x>"), [FromLine::Doubtful]);
        assert_eq!(from("Ada <a@x>"), [boxes(&["a@x"])]);
        assert_eq!(from("Ada (Sales) <a@x>"), [boxes(&["a@x"])]);
        assert_eq!(from("(<b@y>) a@x"), [FromLine::Doubtful]);
    }

    #[test]
    fn whom_it_is_to_is_read_from_every_line() {
        let mail = b"From: a@x\r\nTo: +331@fax, B <b@x>, \"+33 (0)1\"@fax\r\nCC: us: c@x, d@x;\r\nto: e@x\r\nBcc: f@x\r\n\r\nhi\r\n";
        assert_eq!(
            read(mail).unwrap().to,
            ["+331@fax", "b@x", "\"+33 (0)1\"@fax", "c@x", "d@x", "e@x"]
        );
    }

    #[test]
    fn encrypted_mail_is_refused_and_signed_mail_is_not() {
        let read = |head: &str, body: &str| {
            read(format!("From: a@x\r\n{head}\r\n\r\n{body}\r\n").as_bytes())
        };
        for (head, how) in [
            (
                "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b",
                "PGP/MIME",
            ),
            (
                "Content-Type: application/pkcs7-mime; smime-type=enveloped-data",
                "S/MIME",
            ),
            (
                "Content-Type: application/x-pkcs7-mime; name=smime.p7m",
                "S/MIME",
            ),
            (
                "Content-Type: Application/PKCS7-Mime; smime-type=authEnveloped-data",
                "S/MIME",
            ),
        ] {
            let body = "--b\r\n\r\nx\r\n--b--";
            assert_eq!(read(head, body), Err(Unfit::Encrypted(how)), "{head}");
        }
        let armoured = "\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhQ==";
        assert_eq!(read("Subject: x", armoured), Err(Unfit::Encrypted("PGP")));
        assert!(
            read(
                "Content-Type: application/pkcs7-mime; smime-type=signed-data",
                "eA=="
            )
            .is_ok()
        );
        assert!(read("Subject: x", "-----BEGIN PGP SIGNED MESSAGE-----").is_ok());
    }

    #[test]
    fn loops_and_replies_and_nothing_are_refused() {
        let hops = "Received: by x\r\n".repeat(52);
        assert_eq!(
            read(format!("{hops}From: a@x\r\n\r\n.").as_bytes()),
            Err(Unfit::Loop)
        );
        let reply = b"From: a@x\r\nAuto-Submitted: auto-replied (vacation)\r\n\r\nx\r\n";
        assert_eq!(read(reply), Err(Unfit::AutomaticReply));
        let generated = b"From: a@x\r\nAuto-Submitted: auto-generated\r\n\r\nx\r\n";
        assert!(read(generated).is_ok());
        assert_eq!(read(b""), Err(Unfit::NoHeader));
        assert_eq!(read(b"\r\nno header\r\n"), Err(Unfit::NoHeader));
    }

    #[test]
    fn structure_is_bounded_before_it_is_parsed() {
        let too_many = |message: String| match read(message.as_bytes()) {
            Err(Unfit::TooMany { what, .. }) => what,
            other => panic!("{other:?}"),
        };
        let head = "From: a@x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
        assert_eq!(
            too_many(format!("{head}{}", "--b\r\n\r\nx\r\n".repeat(20_000))),
            "parts"
        );
        assert_eq!(
            too_many(format!("{head}{}", "--b\r\n\r\nx\r\n".repeat(2_000))),
            "parts"
        );
        assert_eq!(
            too_many(format!("From: a@x\r\n{}\r\nx", "a:\r\n".repeat(2_000))),
            "header lines"
        );
        assert_eq!(
            too_many(format!("From: a@x\r\n{}\r\nx", "a:\r\n".repeat(300_000))),
            "header lines"
        );
        let nested: String = (0..100)
            .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"))
            .collect();
        assert_eq!(
            too_many(format!("From: a@x\r\n{nested}\r\nx\r\n")),
            "levels of parts within parts"
        );
    }

    proptest! {
        #[test]
        fn nothing_that_arrives_makes_it_fall(message in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = read(&message);
        }

        #[test]
        fn pieces_of_mail_never_make_it_fall(pieces in prop::collection::vec(prop::sample::select(vec![
            "From: a@x\r\n", "From:", "\r\n", "--b", "--b--", "Content-Type: multipart/mixed; boundary=b\r\n",
            "Content-Type: message/rfc822\r\n", "Received: x;", ": ", "=?utf-8?b?", "x", "<a@", ">", "\"", "(", ",",
        ]), 0..60)) {
            let _ = read(pieces.concat().as_bytes());
        }
    }
}
