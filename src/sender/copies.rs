//! Tells copies of a mail: whoever has one could send it again, from a host of their own, with other lines around what
//! its signature covers.

use mail_parser::{Header, HeaderName, MessageParser, parsers::MessageStream};
use sha2::{Digest as _, Sha256};

use super::signature::SignatureFault;
use crate::clock::Millis;

/// Lines that say who sends what to whom: a signature must cover as many as there are, or another could be added.
pub(super) const COVERED: [&str; 5] = ["From", "To", "Cc", "Date", "Subject"];
/// Clocks differ by so much.
const SKEW: Millis = 600_000;

/// What is the same in every copy of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Print {
    /// A hash of what each signature must cover, without the white space that a canonicalisation may pass over
    /// (RFC 6376 §3.4).
    pub mark: [u8; 32],
    /// Its Date.
    pub dated: Millis,
}

/// What tells copies of a message. Nothing where it has not one Date that can be read: no copy of such a mail proves
/// anything, since nobody can say whether it is fresh.
pub(super) fn print(message: &[u8]) -> Option<Print> {
    let (mut headers, mut stream) = (Vec::new(), MessageStream::new(message));
    stream.parse_headers(&MessageParser::default(), &mut headers);
    let dated = date(&headers)?;
    let mut hash = Sha256::new();
    for name in COVERED {
        for header in &headers {
            if raw_name(header, message).eq_ignore_ascii_case(name.as_bytes()) {
                hash.update(name.as_bytes());
                hash.update([0]);
                let value = header.offset_start as usize..header.offset_end as usize;
                dense(message.get(value).unwrap_or_default(), &mut hash);
                hash.update([0]);
            }
        }
    }
    dense(
        message.get(stream.offset()..).unwrap_or_default(),
        &mut hash,
    );
    Some(Print {
        mark: hash.finalize().into(),
        dated,
    })
}

/// The name of a field as it is written, up to its colon.
pub(super) fn raw_name<'m>(header: &Header<'_>, message: &'m [u8]) -> &'m [u8] {
    let end = (header.offset_start as usize).saturating_sub(1);
    message
        .get(header.offset_field as usize..end)
        .unwrap_or_default()
}

/// The mail's Date, if it has one.
pub(super) fn date(headers: &[Header<'_>]) -> Option<Millis> {
    let mut dates = headers
        .iter()
        .filter(|header| header.name == HeaderName::Date);
    let (Some(date), None) = (dates.next(), dates.next()) else {
        return None;
    };
    let seconds = date.value.as_datetime()?.to_timestamp();
    Some(seconds.saturating_mul(1000))
}

/// When a mail is fresh.
#[derive(Clone, Copy)]
pub(super) struct Age {
    pub now: Millis,
    pub fresh: Millis,
}

impl Age {
    pub fn fault(self, at: Millis) -> Option<SignatureFault> {
        if at > self.now.saturating_add(SKEW) {
            Some(SignatureFault::Future)
        } else if at < self.now - self.fresh {
            Some(SignatureFault::Old)
        } else {
            None
        }
    }

    /// The same of a mail's Date.
    pub fn fault_of(self, date: Option<Millis>) -> Option<SignatureFault> {
        date.map_or(Some(SignatureFault::Date), |at| self.fault(at))
    }

    /// Until when a copy of a mail of this date could be fresh: until then it is told. A date in the future, which a
    /// login may have, will be fresh when its day comes.
    pub fn outlived_by(self, date: Millis) -> Millis {
        let latest = date.max(self.now.saturating_add(SKEW));
        latest.saturating_add(self.fresh)
    }
}

fn dense(text: &[u8], hash: &mut Sha256) {
    for run in text.split(|octet| matches!(octet, b' ' | b'\t' | b'\r' | b'\n')) {
        hash.update(run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "From: a@x\r\nTo: b@y\r\nDate: Fri, 20 Nov 2026 12:00:00 +0000\r\nSubject: s\r\n\r\nbody text\r\n";

    fn marked(text: &str) -> [u8; 32] {
        print(text.as_bytes()).unwrap().mark
    }

    #[test]
    fn a_mark_stands_for_what_is_signed() {
        let one = marked(MAIL);
        assert_eq!(one, marked(&MAIL.replace("To: b", "X-New: 1\r\nto:  b")));
        assert_eq!(one, marked(&MAIL.replace("body text", "body \t text  ")));
        assert_eq!(one, marked(&format!("Received: by x\r\n{MAIL}")));
        // A line that is no field is no part of it, and none of the body.
        assert_eq!(one, marked(&MAIL.replace(": s\r\n", ": s\r\nrubbish\r\n")));
        for (from, to) in [
            ("a@x", "c@x"),
            ("b@y", "c@y"),
            ("12:00:00", "12:00:01"),
            (": s", ": t"),
            ("body", "bodi"),
        ] {
            assert_ne!(one, marked(&MAIL.replace(from, to)), "{from}");
        }
    }

    #[test]
    fn only_a_mail_of_one_date_has_copies_that_prove() {
        let (head, tail) = MAIL.split_once("Subject").unwrap();
        let with = |line: &str| print(format!("{line}Subject{tail}").as_bytes());
        assert_eq!(print(MAIL.as_bytes()).unwrap().dated, 1_795_176_000_000);
        assert_eq!(with("From: a@x\r\n"), None);
        assert_eq!(with("From: a@x\r\nDate: soon\r\n"), None);
        assert_eq!(
            with(&format!("{head}Date: Fri, 20 Nov 2026 13:00:00 +0000\r\n")),
            None
        );
        assert_eq!(print(b""), None);
    }

    #[test]
    fn a_copy_is_told_for_as_long_as_it_could_be_fresh() {
        let age = |now| Age { now, fresh: 1_000 };
        let date = 10_000_000;
        for accepted in [date - 20_000_000, date - SKEW, date, date + 1_000] {
            let until = age(accepted).outlived_by(date);
            assert_ne!(age(until + 1).fault(date), None, "{accepted}");
            assert!(until >= date + 1_000);
        }
        assert_eq!(age(0).outlived_by(Millis::MAX), Millis::MAX);
    }
}
