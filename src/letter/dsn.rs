//! Delivery status notifications (RFC 3461, 3464, 6522): the machine's part of a report, and what goes back of the mail.
//!
//! The part for people is our own report: who asked for notifications gets one mail that is both.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use mail_builder::{
    headers::{content_type::ContentType, raw::Raw},
    mime::MimePart,
};

use crate::clock::Millis;

/// Octets of a mail that go back whole: the sender has it anyway.
const WHOLE: usize = 4 << 20;
/// Octets of a header that go back.
const HEADERS: usize = 64 * 1024;
/// Octets of a line (RFC 5322 §2.1.1).
const LINE: usize = 998;

/// What became of one recipient (RFC 3464 §2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The far end confirmed every page.
    Delivered,
    /// It will not be sent, or nobody knows whether all of it arrived.
    Failed,
    /// It is still tried.
    Delayed,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Delayed => "delayed",
        }
    }
}

/// One recipient of the mail.
#[derive(Clone, Debug)]
pub struct DsnRecipient {
    /// ORCPT as it was given: `rfc822;bob@example.com`.
    pub original: Option<String>,
    /// RCPT TO, as it was given.
    pub address: String,
    /// What became of it.
    pub action: Action,
    /// RFC 3463.
    pub status: String,
    /// What the far end said, English: pages, its name, codes.
    pub diagnosis: String,
    /// The last call, Unix milliseconds.
    pub last_attempt: Option<Millis>,
    /// How long it is tried still.
    pub retry_until: Option<Millis>,
}

/// A notification.
#[derive(Clone, Debug)]
pub struct Dsn {
    /// Our name.
    pub reporting_mta: String,
    /// ENVID as it was given, decoded.
    pub envelope_id: Option<String>,
    /// When the mail was accepted.
    pub arrived: Millis,
    /// One at least.
    pub recipients: Vec<DsnRecipient>,
    /// `RET=FULL`.
    pub full: bool,
    /// The mail as it came.
    pub message: Vec<u8>,
}

/// The parts behind the one for people.
pub(super) fn parts(dsn: &Dsn) -> Vec<MimePart<'static>> {
    // RFC 3464 §2: 7 bit.
    let status = part("message/delivery-status", status(dsn));
    let failed = dsn
        .recipients
        .iter()
        .any(|one| one.action == Action::Failed);
    // RFC 3461 §4.3: RET is about failures; of a success the header is enough.
    let whole = (dsn.full && failed).then(|| whole(&dsn.message)).flatten();
    let returned = match whole {
        Some(message) => part("message/rfc822", message),
        None => part("text/rfc822-headers", headers(&dsn.message)),
    };
    vec![status, returned]
}

/// As it stands: these types are not to be encoded (RFC 3464 §2, RFC 2046 §5.2.1).
fn part(media_type: &'static str, text: String) -> MimePart<'static> {
    MimePart::new(ContentType::new(media_type), text)
        .header("Content-Transfer-Encoding", Raw::new("7bit"))
}

fn status(dsn: &Dsn) -> String {
    let mut text = String::new();
    // RFC 3464 §2.2. Writing into a String can't fail.
    if let Some(id) = &dsn.envelope_id {
        let _ = write!(text, "Original-Envelope-Id: {}\r\n", printable(id));
    }
    let _ = write!(
        text,
        "Reporting-MTA: dns; {}\r\nArrival-Date: {}\r\n",
        printable(&dsn.reporting_mta),
        date(dsn.arrived)
    );
    for one in &dsn.recipients {
        text.push_str("\r\n");
        // RFC 3464 §2.3.
        if let Some((kind, address)) = one.original.as_deref().and_then(|to| to.split_once(';')) {
            let _ = write!(
                text,
                "Original-Recipient: {}; {}\r\n",
                printable(kind),
                printable(address)
            );
        }
        let _ = write!(
            text,
            "Final-Recipient: rfc822; {}\r\nAction: {}\r\nStatus: {}\r\n",
            printable(&one.address),
            one.action.word(),
            one.status
        );
        if !one.diagnosis.is_empty() {
            let _ = write!(
                text,
                "Diagnostic-Code: x-fax; {}\r\n",
                printable(&one.diagnosis)
            );
        }
        if let Some(at) = one.last_attempt {
            let _ = write!(text, "Last-Attempt-Date: {}\r\n", date(at));
        }
        if let Some(at) = one.retry_until {
            let _ = write!(text, "Will-Retry-Until: {}\r\n", date(at));
        }
    }
    text
}

/// What came from outside, on one line of ASCII.
fn printable(text: &str) -> String {
    let clean = text
        .chars()
        .map(|c| if (' '..='~').contains(&c) { c } else { '?' });
    clean.take(800).collect()
}

fn date(ms: Millis) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let at = at.to_zoned(TimeZone::UTC);
    at.strftime("%a, %-d %b %Y %H:%M:%S +0000").to_string()
}

/// The mail, where it can go back as it came: 7 bit, its lines no longer than they may be, and not too large.
fn whole(message: &[u8]) -> Option<String> {
    let fits = |line: &[u8]| line.len() <= LINE;
    if message.len() > WHOLE || !message.is_ascii() || message.contains(&0) {
        return None;
    }
    if !message.split(|octet| *octet == b'\n').all(fits) {
        return None;
    }
    let (header, body) = split(message);
    Some(format!("{}\r\n{}", without_passwords(header), crlf(body)))
}

fn headers(message: &[u8]) -> String {
    let (header, _) = split(message);
    without_passwords(&header[..header.len().min(HEADERS)])
}

fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let ends = [b"\r\n\r\n".as_slice(), b"\n\n"].map(|end| {
        let at = message
            .windows(end.len())
            .position(|window| window == end)?;
        Some((at + end.len() / 2, at + end.len()))
    });
    let end = ends.into_iter().flatten().min();
    end.map_or((message, &[]), |(header, body)| {
        (&message[..header], &message[body..])
    })
}

/// The header without the fields that have passwords (`X-Fax-Password`, `X-Fax-Document-Password`): they are in the
/// sealed mail alone.
fn without_passwords(header: &[u8]) -> String {
    let mut out = String::new();
    let mut kept = true;
    for line in String::from_utf8_lossy(header).lines() {
        if !line.starts_with([' ', '\t']) {
            let name = line.split(':').next().unwrap_or_default().trim_end();
            let name = name.to_ascii_lowercase();
            kept = !(name.starts_with("x-fax") && name.contains("password"));
        }
        if kept && !line.is_empty() {
            let line: String = line
                .chars()
                .map(|c| {
                    if (' '..='~').contains(&c) || c == '\t' {
                        c
                    } else {
                        '?'
                    }
                })
                .take(LINE)
                .collect();
            out.push_str(&line);
            out.push_str("\r\n");
        }
    }
    out
}

fn crlf(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .replace('\n', "\r\n")
}

#[cfg(test)]
mod tests;
