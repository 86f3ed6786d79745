//! The mail around a letter: headers and MIME parts.

use std::borrow::Cow;

use mail_builder::{
    MessageBuilder,
    headers::{content_type::ContentType, date::Date, message_id::MessageId, raw::Raw, text::Text},
    mime::MimePart,
};
use sha2::{Digest, Sha256};

use super::{LetterError, layout::Layout};
use crate::clock::Millis;

/// The longest subject that we write, characters.
const SUBJECT_CHARS: usize = 200;

/// What every letter's header says.
pub(super) struct Head<'a> {
    pub message_id: &'a str,
    /// Our address, and the name shown beside it.
    pub from: &'a str,
    pub from_name: String,
    pub to: &'a str,
    /// Where an answer goes; none where it goes to our address.
    pub reply_to: Option<&'a str>,
    pub date_ms: Millis,
    pub subject: String,
    /// The Message-ID of the mail that this answers: makes it `auto-replied`, else it is `auto-generated`.
    pub in_reply_to: Option<&'a str>,
    /// It is an answer, whether or not the mail had a Message-ID.
    pub reply: bool,
    /// One header of our own: name and value.
    pub mark: Option<(&'static str, &'a str)>,
}

/// A file beside the letter.
pub(super) struct Attachment<'a> {
    pub media_type: &'static str,
    pub name: String,
    pub bytes: &'a [u8],
}

/// The mail as it goes out.
pub(super) fn write(
    head: &Head<'_>,
    layout: &Layout,
    picture: Option<&[u8]>,
    attachments: Vec<Attachment<'_>>,
) -> Result<Vec<u8>, LetterError> {
    let boundaries = Boundaries(head.message_id);
    let letter = letter(&boundaries, layout, picture)?;
    let body = with_files(&boundaries, letter, attachments);
    Ok(around(head, layout, body))
}

/// The letter as the first part of a report (RFC 6522 §3), with the parts for machines behind it.
pub(super) fn write_report(
    head: &Head<'_>,
    layout: &Layout,
    picture: Option<&[u8]>,
    files: Vec<Attachment<'_>>,
    behind: Vec<MimePart<'_>>,
) -> Result<Vec<u8>, LetterError> {
    let boundaries = Boundaries(head.message_id);
    let letter = letter(&boundaries, layout, picture)?;
    // It has three parts at most: files stand with what people read.
    let mut parts = vec![with_files(&boundaries, letter, files)];
    parts.extend(behind);
    let kind = boundaries
        .of("report")
        .attribute("report-type", "delivery-status");
    Ok(around(head, layout, MimePart::new(kind, parts)))
}

/// A mail that is one file, for a machine.
pub(super) fn write_alone(head: &Head<'_>, layout: &Layout, file: Attachment<'_>) -> Vec<u8> {
    let body = MimePart::new(file.media_type, file.bytes).attachment(file.name);
    around(head, layout, body)
}

fn with_files<'a>(
    boundaries: &Boundaries<'_>,
    letter: MimePart<'a>,
    files: Vec<Attachment<'a>>,
) -> MimePart<'a> {
    if files.is_empty() {
        return letter;
    }
    let mut parts = vec![letter];
    parts.extend(
        files
            .into_iter()
            .map(|file| MimePart::new(file.media_type, file.bytes).attachment(file.name)),
    );
    MimePart::new(boundaries.of("mixed"), parts)
}

/// What people read, as text and as HTML.
fn letter<'a>(
    boundaries: &Boundaries<'_>,
    layout: &'a Layout,
    picture: Option<&'a [u8]>,
) -> Result<MimePart<'a>, LetterError> {
    let text = MimePart::new("text/plain", layout.text());
    let html = MimePart::new("text/html", layout.html()?);
    let html = match (picture, &layout.picture) {
        (Some(bytes), Some((cid, _))) => {
            let picture = MimePart::new("image/png", bytes)
                .header(
                    "Content-Disposition",
                    Raw::new("inline; filename=\"page-1.png\""),
                )
                .cid(cid.as_str());
            MimePart::new(boundaries.of("related"), vec![html, picture])
        }
        _ => html,
    };
    Ok(MimePart::new(
        boundaries.of("alternative"),
        vec![text, html],
    ))
}

/// The header, and the mail as it goes out.
fn around(head: &Head<'_>, layout: &Layout, body: MimePart<'_>) -> Vec<u8> {
    let mut mail = MessageBuilder::new()
        .from((one_line(&head.from_name).into_owned(), address(head.from)))
        .to(address(head.to))
        .date(Date::new(head.date_ms.div_euclid(1000)))
        .subject(Text::new(shortened(&head.subject, SUBJECT_CHARS)));
    if let Some(reply_to) = head.reply_to {
        mail = mail.reply_to(address(reply_to));
    }
    if let Some(id) = message_id(head.message_id) {
        mail = mail.message_id(MessageId::new(id));
    }
    if let Some(id) = head.in_reply_to.and_then(message_id) {
        mail = mail
            .in_reply_to(MessageId::new(id))
            .references(MessageId::new(id));
    }
    // RFC 3834 §5: so that no other automaton answers.
    let automatic = if head.reply {
        "auto-replied"
    } else {
        "auto-generated"
    };
    mail = mail
        .header("Auto-Submitted", Raw::new(automatic))
        .header("Content-Language", Raw::new(layout.language.code()));
    if let Some((name, value)) = head.mark {
        mail = mail.header(name, Text::new(one_line(value)));
    }
    let mut out = Vec::new();
    mail.body(body).serialize(&mut out);
    out
}

/// A mail whose answers go to this address (RFC 5322 §3.6.2); one that no header line can hold is left out.
pub(super) fn answered_at(mail: Vec<u8>, address: Option<&str>) -> Vec<u8> {
    let sound =
        |address: &&str| address.len() < 300 && address.bytes().all(|b| b.is_ascii_graphic());
    match address.filter(sound) {
        Some(address) => [format!("Reply-To: <{address}>\r\n").into_bytes(), mail].concat(),
        None => mail,
    }
}

/// Boundaries made of the Message-ID: the same letter is the same bytes. `=_` can stand in no
/// quoted-printable or base64 line (RFC 2045 §6.7), and nobody outside knows the rest beforehand.
struct Boundaries<'a>(&'a str);

impl Boundaries<'_> {
    fn of(&self, kind: &str) -> ContentType<'static> {
        let digest = Sha256::new()
            .chain_update(self.0)
            .chain_update([0])
            .chain_update(kind)
            .finalize();
        let mark: String = digest
            .iter()
            .take(12)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        ContentType::new(format!("multipart/{kind}")).attribute("boundary", format!("=_{mark}"))
    }
}

/// The text on one line: controls and marks that turn the writing direction become spaces. Nothing
/// that comes from outside reaches a header another way.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    let bad =
        |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.contains(bad) {
        text.replace(bad, " ").into()
    } else {
        text.into()
    }
}

/// The text on one line, spaces single, cut after `limit` characters.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    let line = one_line(text);
    let line = line.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

/// An address as the builder writes it between angle brackets: it does not look at it.
fn address(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>' | ',' | ';'))
        .collect()
}

/// A Message-ID without its brackets, if it can stand in a header as it is.
fn message_id(text: &str) -> Option<&str> {
    let id = text.trim().trim_start_matches('<').trim_end_matches('>');
    let fits = !id.is_empty()
        && id.len() <= 250
        && id
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>'));
    fits.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_can_not_stand_in_a_header_are_left_out() {
        assert_eq!(message_id("<a@b>"), Some("a@b"));
        assert_eq!(message_id("a@b"), Some("a@b"));
        assert_eq!(message_id("a@b>\r\nBcc: <x@y"), None);
        assert_eq!(message_id(""), None);
        assert_eq!(message_id(&"a".repeat(300)), None);
    }

    #[test]
    fn a_subject_is_one_line_and_ends() {
        assert_eq!(shortened("a\r\nBcc: x\u{202e}y\t z", 99), "a Bcc: x y z");
        assert_eq!(shortened(&"é".repeat(500), 99).chars().count(), 100);
    }
}
