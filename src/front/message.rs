//! What the door reads of a message, and how large its structure may be.
//!
//! A message's octets are bounded by SIZE; its parts and header lines are not, and a parser pays far
//! more for each than the sender does. So they are counted before they are parsed.

use mail_parser::{Address, HeaderName, HeaderValue, MessageParser, PartType};
use memchr::{memchr, memchr_iter, memmem};

use crate::dial::{NotAPassword, password_of};

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
/// Characters of the subject that are kept.
const SUBJECT: usize = 998;

/// What the door wants to know.
#[derive(Debug, PartialEq, Eq)]
pub struct Heading {
    /// The addresses of each From line.
    pub from: Vec<Vec<String>>,
    /// Without brackets.
    pub message_id: Option<String>,
    /// Decoded; empty without one.
    pub subject: String,
    /// It gives a password for the far machines.
    pub password: bool,
}

/// Why a message can't be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// No header.
    #[error("the message has no header lines: it can't be read as mail")]
    NoHeader,
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
    /// The password for the far machines can't be used.
    #[error(transparent)]
    Password(#[from] NotAPassword),
}

/// Reads a message.
///
/// # Errors
/// [`Unfit`]; sending it again will not help.
pub fn read(message: &[u8]) -> Result<Heading, Unfit> {
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
                text.trim_start()
                    .get(..12)
                    .is_some_and(|word| word.eq_ignore_ascii_case("auto-replied"))
            })
    });
    if automatic_reply {
        return Err(Unfit::AutomaticReply);
    }
    let password = password_of(headers)?.is_some();
    Ok(Heading {
        password,
        from: headers
            .iter()
            .filter(|header| header.name == HeaderName::From)
            .map(|header| addresses(&header.value))
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

fn count(headers: &[mail_parser::Header<'_>], name: &HeaderName<'_>) -> usize {
    headers.iter().filter(|header| header.name == *name).count()
}

/// Every mailbox of a From line. One without an address counts as an empty one, so that it can't be
/// overlooked.
fn addresses(value: &HeaderValue<'_>) -> Vec<String> {
    let text = |addr: &mail_parser::Addr<'_>| addr.address().unwrap_or_default().to_owned();
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

    #[test]
    fn a_plain_mail_is_read() {
        let heading = read(
            b"From: Ada <ada@example.com>\r\nMessage-ID: <1@x>\r\nSubject: =?utf-8?q?r=C3=A9sum=C3=A9?=\r\n\r\nhi\r\n",
        )
        .unwrap();
        assert_eq!(heading.from, [["ada@example.com"]]);
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
        assert_eq!(from("From: a@x\r\nFrom: b@x"), [["a@x"], ["b@x"]]);
        assert_eq!(from("FROM: a@x\r\nfrom : b@x").len(), 2);
        assert_eq!(from("From: a@x, B <b@x>"), [vec!["a@x", "b@x"]]);
        assert_eq!(from("From: us: a@x, b@x;"), [vec!["a@x", "b@x"]]);
        assert_eq!(from("Sender: a@x"), Vec::<Vec<String>>::new());
        assert_eq!(from("From: \"b@x\" <a@x>"), [["a@x"]]);
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
