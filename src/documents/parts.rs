//! The parts of a mail, in its order.

use faxpost_paper::Enclosed;
use mail_parser::{
    Address, Encoding, Message, MessageParser, MessagePart, MimeHeaders, PartType,
    decoders::{base64::base64_decode, quoted_printable::quoted_printable_decode},
};

use super::{
    Contents, Document, Kind, Options, Reason,
    files::{File, Found, Sorter},
    words::{self, Words},
};
use crate::language::Language;

/// Multiparts within each other.
const DEEPEST: usize = 40;

pub(super) fn read(message: &[u8], options: &Options) -> Option<Contents> {
    let mail = MessageParser::default().parse(message)?;
    let mut sorter = Sorter::new(options);
    part(&mut sorter, &mail, 0, Within::default());
    let own = words::together(std::mem::take(&mut sorter.words));
    sorter.words.push(words::without_options(own));
    let mut documents = settled(&mut sorter, None);
    if let Some(first) = documents.first_mut()
        && first.name.is_empty()
    {
        first.own_text = true;
    }
    Some(Contents {
        subject: subject(&mail),
        named: named(&mail),
        documents,
        left_out: sorter.left_out,
        ..Contents::default()
    })
}

/// The subject without what was for us.
fn subject(mail: &Message<'_>) -> String {
    let subject = mail.subject().unwrap_or_default().trim();
    crate::options::of_subject(subject).map_or_else(|_| subject.to_owned(), |found| found.left)
}

/// The text that the sender wrote, in the forms that it comes in. Nothing else of the mail is looked at.
pub(super) fn own_words(mail: &Message<'_>) -> Words {
    let options = Options::default();
    let mut sorter = Sorter::of_words(&options);
    part(&mut sorter, mail, 0, Within::default());
    words::together(sorter.words)
}

/// Names that are looked at: a mail goes to fewer numbers.
const MOST_NAMES: usize = 1_000;

/// The people in the To and Cc lines. What mail programs write in the name's place when they know none, the
/// address or the number again, is no name.
fn named(mail: &Message<'_>) -> Vec<(String, String)> {
    let lines = [mail.to(), mail.cc()].into_iter().flatten();
    let all = lines.flat_map(Address::iter).take(MOST_NAMES);
    let named = all.filter_map(|one| {
        let (address, name) = (one.address()?.trim(), one.name()?.trim());
        let name = name.trim_matches(['\'', '"']).trim();
        let is_name = name.chars().any(char::is_alphabetic) && !name.contains('@');
        is_name.then(|| (address.to_owned(), name.to_owned()))
    });
    named.collect()
}

/// Where a part stands.
#[derive(Clone, Copy, Default)]
struct Within {
    depth: usize,
    alternative: bool,
    related: bool,
}

fn part(sorter: &mut Sorter<'_>, mail: &Message<'_>, id: u32, within: Within) {
    let Some(part) = mail.part(id) else { return };
    if !sorter.may_look() {
        return;
    }
    if within.depth > DEEPEST {
        return sorter.leave_out(&name_of(part, id), Reason::TooDeep);
    }
    let inner = Within {
        depth: within.depth + 1,
        ..within
    };
    match &part.body {
        PartType::Multipart(children) => {
            // Of a broken mail the parser may say that a part is its own ancestor.
            let children: Vec<u32> = children
                .iter()
                .copied()
                .filter(|&child| child > id)
                .collect();
            multipart(sorter, mail, part, &children, inner);
        }
        PartType::Message(_) if sorter.words_alone => {}
        PartType::Message(message) => match sorter.depth >= DEEPEST_MAIL {
            true => sorter.leave_out(&name_of(part, id), Reason::TooDeep),
            false => {
                sorter.depth += 1;
                forwarded(sorter, message, &name_of(part, id));
                sorter.depth -= 1;
            }
        },
        _ => leaf(sorter, mail, part, id, within),
    }
}

/// Mails within each other.
const DEEPEST_MAIL: usize = 5;

fn multipart(
    sorter: &mut Sorter<'_>,
    mail: &Message<'_>,
    of: &MessagePart<'_>,
    children: &[u32],
    within: Within,
) {
    let each = |sorter: &mut Sorter<'_>, children: &[u32], within| {
        children
            .iter()
            .for_each(|&child| part(sorter, mail, child, within));
    };
    let subtype = of
        .content_type()
        .and_then(|kind| kind.subtype())
        .unwrap_or("mixed");
    match subtype.to_ascii_lowercase().as_str() {
        "alternative" => alternative(sorter, mail, children, within),
        "related" => {
            let within = Within {
                related: true,
                ..within
            };
            each(sorter, children, within);
        }
        // RFC 1847 §2.1: what is signed, and its signature.
        "signed" => each(sorter, children, within),
        // RFC 1847 §2.2: nothing of it is for us.
        "encrypted" => sorter.leave_out(&unnamed(sorter.options.language), Reason::Encrypted),
        _ => each(sorter, children, within),
    }
}

/// The same in several forms, the plainest first (RFC 2046 §5.1.4): of their texts one is drawn, and their
/// other parts stay, since some programs put attachments into the richest form.
fn alternative(sorter: &mut Sorter<'_>, mail: &Message<'_>, children: &[u32], within: Within) {
    let before = std::mem::take(&mut sorter.words);
    let mut one = Words::default();
    for &child in children {
        let within = Within {
            alternative: true,
            ..within
        };
        part(sorter, mail, child, within);
        let form = words::together(std::mem::take(&mut sorter.words));
        one.plain = one.plain.or(form.plain.filter(|_| form.html.is_none()));
        one.html = form.html.or(one.html);
    }
    sorter.words = before;
    sorter.words.push(one);
}

fn leaf(
    sorter: &mut Sorter<'_>,
    mail: &Message<'_>,
    part: &MessagePart<'_>,
    id: u32,
    within: Within,
) {
    let media_type = media_type(part);
    let attached = part
        .content_disposition()
        .is_some_and(|d| d.ctype().eq_ignore_ascii_case("attachment"));
    let named = part.attachment_name().is_some();
    let is_text = matches!(part.body, PartType::Text(_) | PartType::Html(_));
    if is_text && (id == 0 || !attached && !named) {
        match media_type.as_str() {
            "text/plain" | "" => return plain_text(sorter, mail, part, id),
            "text/html" => {
                return sorter.words.push(Words {
                    html: Some(decoded(mail, part)),
                    ..Words::default()
                });
            }
            // Other forms of the same words: rich text, AMP, what a watch shows.
            "text/calendar" => {}
            _ if within.alternative => return,
            _ => {}
        }
    }
    let raw = is_text.then(|| raw(mail, part)).flatten();
    let file = File {
        name: name_of(part, id),
        bytes: raw.as_deref().unwrap_or(part.contents()),
        charset: charset(part).map(str::to_owned),
        content_id: part
            .content_id()
            .map(|id| id.trim_matches(['<', '>', ' ']).to_owned()),
        inline: !attached && (within.related || part.content_id().is_some()),
        media_type,
    };
    if matches!(
        file.media_type.as_str(),
        "application/pkcs7-mime" | "application/x-pkcs7-mime"
    ) {
        // RFC 8551 §3.2: the kind of wrapping.
        let kind = part
            .content_type()
            .and_then(|kind| kind.attribute("smime-type"));
        let reason = match kind {
            Some(kind) if kind.eq_ignore_ascii_case("signed-data") => Reason::Wrapped,
            _ => Reason::Encrypted,
        };
        return sorter.leave_out(&file.name, reason);
    }
    sorter.file(file);
}

fn plain_text(sorter: &mut Sorter<'_>, mail: &Message<'_>, part: &MessagePart<'_>, id: u32) {
    let text = decoded(mail, part);
    if text.trim_start().starts_with("-----BEGIN PGP MESSAGE-----") {
        let name = part
            .attachment_name()
            .map_or_else(|| unnamed(sorter.options.language), |_| name_of(part, id));
        return sorter.leave_out(&name, Reason::Encrypted);
    }
    sorter.words.push(Words {
        plain: Some(text),
        ..Words::default()
    });
}

/// A mail within a mail: a few lines of its header, its text, its parts.
pub(super) fn forwarded(sorter: &mut Sorter<'_>, mail: &Message<'_>, name: &str) {
    let (found, words) = (
        std::mem::take(&mut sorter.found),
        std::mem::take(&mut sorter.words),
    );
    part(sorter, mail, 0, Within::default());
    let header = header(mail, sorter.options.language);
    let mut documents = settled(sorter, Some(&header));
    if let Some(first) = documents.first_mut()
        && first.name.is_empty()
    {
        let subject = mail
            .subject()
            .map(str::trim)
            .filter(|subject| !subject.is_empty());
        first.name = subject.unwrap_or(name).to_owned();
    }
    sorter.found = found;
    sorter.words = words;
    sorter
        .found
        .extend(documents.into_iter().map(|document| Found {
            document,
            content_id: None,
            inline: false,
        }));
}

/// The documents of a mail whose parts were all looked at: its text, with `header` above, then the others.
fn settled(sorter: &mut Sorter<'_>, header: Option<&str>) -> Vec<Document> {
    let words = words::together(std::mem::take(&mut sorter.words));
    let mut found = std::mem::take(&mut sorter.found);
    let carried = words.html.as_deref().map(words::look).unwrap_or_default();
    for found in &mut found {
        let id = found.content_id.as_deref();
        let asked_for = id.is_some_and(|id| {
            carried
                .shown
                .iter()
                .any(|shown| shown.eq_ignore_ascii_case(id))
        });
        if let Kind::Picture { shown } = &mut found.document.kind {
            // Its size decides then. Programs that turn a mail into plain text leave its ornaments as attachments
            // with names that no person gives.
            *shown |= asked_for || found.inline || is_machine_name(&found.document.name);
        }
    }
    let mut documents = Vec::new();
    let own = own_text(words, &carried, &mut found, header);
    // Of HTML that is drawn its pages tell.
    let drawn = own
        .as_ref()
        .is_some_and(|own| matches!(own.kind, Kind::Html { .. }));
    if carried.remote > 0 && !drawn {
        sorter.leave_out(
            "",
            Reason::Remote {
                count: carried.remote,
            },
        );
    }
    if let Some(own) = own {
        documents.push(own);
    }
    documents.extend(found.into_iter().map(|found| found.document));
    documents
}

/// The text itself, in the form that is drawn.
fn own_text(
    words: Words,
    carried: &words::Carried,
    found: &mut Vec<Found>,
    header: Option<&str>,
) -> Option<Document> {
    let html = words
        .html
        .filter(|_| carried.text || carried.drawn || !carried.shown.is_empty());
    let is_shown = |found: &Found| {
        let id = found.content_id.as_deref();
        matches!(found.document.kind, Kind::Picture { .. })
            && id.is_some_and(|id| {
                carried
                    .shown
                    .iter()
                    .any(|shown| shown.eq_ignore_ascii_case(id))
            })
    };
    let pictures = || -> Vec<Enclosed> {
        let shown = found.iter().filter(|found| is_shown(found));
        shown
            .map(|found| Enclosed {
                id: found.content_id.clone().unwrap_or_default(),
                bytes: found.document.bytes.clone(),
            })
            .collect()
    };
    let (kind, text) = match (words.plain, html) {
        (plain, Some(html)) => {
            let pictures = pictures();
            let rich = words::is_rich(carried, &pictures);
            match plain {
                Some(plain) if !rich => (Kind::Text, plain),
                None if !rich && !carried.text => return header_alone(header),
                _ => {
                    if rich {
                        found.retain(|found| !is_shown(found));
                    }
                    let ornament = |picture: Enclosed| Enclosed {
                        bytes: Vec::new(),
                        ..picture
                    };
                    let pictures = match rich {
                        true => pictures,
                        false => pictures.into_iter().map(ornament).collect(),
                    };
                    let html = header.map_or(html.clone(), |header| {
                        words::escaped(header) + "<hr>" + &html
                    });
                    return Some(document(
                        Kind::Html {
                            pictures,
                            rich,
                            remote: carried.remote,
                        },
                        html,
                    ));
                }
            }
        }
        (Some(plain), None) => (Kind::Text, plain),
        (None, None) => return header_alone(header),
    };
    let text = header.map_or(text.clone(), |header| format!("{header}\n\n{text}"));
    Some(document(kind, text))
}

fn header_alone(header: Option<&str>) -> Option<Document> {
    header.map(|header| document(Kind::Text, header.to_owned()))
}

fn document(kind: Kind, text: String) -> Document {
    Document {
        name: String::new(),
        kind,
        bytes: text.into_bytes(),
        own_text: false,
    }
}

/// Who wrote a mail, when, to whom, about what.
fn header(mail: &Message<'_>, language: Language) -> String {
    let words = match language {
        Language::En => ["From: ", "Date: ", "To: ", "Subject: "],
        Language::Fr => ["De\u{a0}: ", "Date\u{a0}: ", "À\u{a0}: ", "Objet\u{a0}: "],
    };
    let date = mail.date().map(|date| {
        let sign = if date.tz_before_gmt { '-' } else { '+' };
        format!(
            "{:04}-{:02}-{:02} {:02}:{:02} {sign}{:02}:{:02}",
            date.year, date.month, date.day, date.hour, date.minute, date.tz_hour, date.tz_minute
        )
    });
    let values = [
        mail.from().map(people),
        date,
        mail.to().map(people),
        mail.subject().map(|subject| subject.trim().to_owned()),
    ];
    let lines = words.iter().zip(values).filter_map(|(word, value)| {
        let value = value.filter(|value| !value.is_empty())?;
        // A folded header line is one line.
        Some(format!(
            "{word}{}",
            value.split_whitespace().collect::<Vec<_>>().join(" ")
        ))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn people(addresses: &Address<'_>) -> String {
    const MOST: usize = 20;
    let all = addresses
        .iter()
        .take(MOST)
        .map(|one| match (&one.name, &one.address) {
            (Some(name), Some(address)) => format!("{name} <{address}>"),
            (Some(one), None) | (None, Some(one)) => one.to_string(),
            (None, None) => String::new(),
        });
    let mut out = all
        .filter(|one| !one.is_empty())
        .collect::<Vec<_>>()
        .join(", ");
    if addresses.iter().count() > MOST {
        out.push_str(", …");
    }
    out
}

/// `image001.png` (Outlook), `Outlook-logo.png` (its web form), `ATT00001.png` (Exchange).
fn is_machine_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let stem = name
        .rsplit_once('.')
        .map_or(name.as_str(), |(stem, _)| stem);
    let numbered = |prefix: &str, digits: usize| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() >= digits && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    numbered("image", 3) || numbered("att", 5) || stem.starts_with("outlook-")
}

fn unnamed(language: Language) -> String {
    match language {
        Language::En => "the mail".to_owned(),
        Language::Fr => "le message".to_owned(),
    }
}

fn name_of(part: &MessagePart<'_>, id: u32) -> String {
    let unnamed = || match part.is_content_type("text", "calendar") {
        true => "invite.ics".to_owned(),
        false => format!("attachment {id}"),
    };
    let name = part
        .attachment_name()
        .filter(|name| !name.trim().is_empty());
    name.map_or_else(unnamed, str::to_owned)
}

/// Its media type in small letters, without parameters.
fn media_type(part: &MessagePart<'_>) -> String {
    let Some(kind) = part.content_type() else {
        // RFC 2045 §5.2.
        return match part.body {
            PartType::Text(_) => "text/plain".to_owned(),
            _ => "application/octet-stream".to_owned(),
        };
    };
    match kind.subtype() {
        Some(subtype) => format!("{}/{subtype}", kind.ctype()).to_ascii_lowercase(),
        None => kind.ctype().to_ascii_lowercase(),
    }
}

fn charset<'a>(part: &'a MessagePart<'_>) -> Option<&'a str> {
    part.content_type()
        .and_then(|kind| kind.attribute("charset"))
}

/// A text part's text, in whatever charset.
fn decoded(mail: &Message<'_>, part: &MessagePart<'_>) -> String {
    // Of UTF-7 the parser alone knows (RFC 2152).
    let utf_7 = charset(part).is_some_and(|charset| charset.to_ascii_lowercase().contains("utf-7"));
    match raw(mail, part) {
        Some(raw) if !utf_7 => faxpost_paper::text_of(&raw, charset(part)),
        _ => part.text_contents().unwrap_or_default().to_owned(),
    }
}

/// The text of a file, whatever its sender calls its kind.
pub(super) fn text_of_file(mail: &Message<'_>, part: &MessagePart<'_>) -> String {
    match part.body {
        PartType::Text(_) | PartType::Html(_) => decoded(mail, part),
        _ => faxpost_paper::text_of(part.contents(), charset(part)),
    }
}

/// A text part's octets: the parser gives text, and has put marks for octets that it could not read.
fn raw(mail: &Message<'_>, part: &MessagePart<'_>) -> Option<Vec<u8>> {
    let body = mail
        .raw_message()
        .get(part.offset_body as usize..part.offset_end as usize)?;
    match part.encoding {
        Encoding::None => Some(body.to_vec()),
        Encoding::Base64 => base64_decode(body),
        Encoding::QuotedPrintable => quoted_printable_decode(body),
    }
}
