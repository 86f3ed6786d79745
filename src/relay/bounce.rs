//! Reads what comes back to a return path of ours: did the mail fail, is it late, did it arrive?
//!
//! A report by RFC 3464 says so for machines. Without one there is who wrote it: a mail system's daemon tells of
//! failures, a person's automaton (RFC 3834) says that they are away, which is no failure. Nothing of its text is
//! kept but a status and a line of diagnosis, and no address in it is heeded: what failed says our own tag.

use mail_parser::{Address, HeaderValue, Message, MessageParser, MimeHeaders as _, PartType};

/// Octets of a machine's report that are read.
const READ: usize = 64 * 1024;
/// Groups of fields of it that are read.
const GROUPS: usize = 100;
const DIAGNOSIS: usize = 200;

/// What became of a mail by the word of who bounced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It will not arrive.
    Failed,
    /// It is still tried.
    Delayed,
    /// It arrived, or went on to where nobody reports from.
    Delivered,
    /// It is no report on a delivery.
    Unrelated,
}

/// What a mail to a return path says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounce {
    /// What became of our mail.
    pub fate: Fate,
    /// RFC 3463; none where there was no machine's report.
    pub status: Option<String>,
    /// A line of why, for the operator.
    pub diagnosis: Option<String>,
}

impl Bounce {
    fn of(fate: Fate) -> Self {
        Self {
            fate,
            status: None,
            diagnosis: None,
        }
    }

    /// `failed 5.1.1: smtp; 550 unknown`, as it is recorded.
    #[must_use]
    pub fn words(&self) -> String {
        let fate = match self.fate {
            Fate::Failed => "failed",
            Fate::Delayed => "delayed",
            Fate::Delivered => "delivered",
            Fate::Unrelated => "unrelated",
        };
        let status = self.status.as_deref().unwrap_or("without a status");
        match &self.diagnosis {
            Some(why) => format!("{fate} {status}: {why}"),
            None => format!("{fate} {status}"),
        }
    }
}

/// Reads a mail that came to a return path of ours.
#[must_use]
pub fn read(message: &[u8]) -> Bounce {
    let Some(parsed) = MessageParser::default().parse(message) else {
        return Bounce::of(Fate::Unrelated);
    };
    match report_of(&parsed) {
        Some(Kind::Delivery(status)) => {
            from_status(status).unwrap_or_else(|| Bounce::of(by_looks(&parsed)))
        }
        // RFC 8098: somebody read it, or would not say so.
        Some(Kind::Other) => Bounce::of(Fate::Unrelated),
        None => Bounce::of(by_looks(&parsed)),
    }
}

enum Kind<'a> {
    Delivery(&'a [u8]),
    Other,
}

/// The machine's part of a `multipart/report` (RFC 6522): the report's own, never one within the mail that it returns.
fn report_of<'a>(parsed: &'a Message<'_>) -> Option<Kind<'a>> {
    let root = parsed.parts.first()?;
    let PartType::Multipart(children) = &root.body else {
        return None;
    };
    let kind = root.content_type()?;
    let is_report = kind
        .subtype()
        .is_some_and(|sub| sub.eq_ignore_ascii_case("report"));
    for child in children {
        let Some(part) = parsed.parts.get(*child as usize) else {
            continue;
        };
        let Some(kind) = part.content_type() else {
            continue;
        };
        let sub = kind.subtype().unwrap_or_default().to_ascii_lowercase();
        // RFC 6533 §3 for the second.
        let is_status = matches!(sub.as_str(), "delivery-status" | "global-delivery-status");
        if kind.ctype().eq_ignore_ascii_case("message") && is_status {
            return Some(Kind::Delivery(part.contents()));
        }
    }
    is_report.then_some(Kind::Other)
}

/// RFC 3464 §2.1: fields of the message, an empty line, then fields of each recipient. The worst is what counts: our
/// mails have one recipient, whom an alias may have made several.
fn from_status(octets: &[u8]) -> Option<Bounce> {
    let text = String::from_utf8_lossy(&octets[..octets.len().min(READ)]);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut found: Option<Bounce> = None;
    for group in text.split("\n\n").take(GROUPS) {
        let Some(bounce) = of_recipient(&fields(group)) else {
            continue;
        };
        let worse = found
            .as_ref()
            .is_none_or(|before| rank(bounce.fate) > rank(before.fate));
        if worse {
            found = Some(bounce);
        }
    }
    found
}

fn rank(fate: Fate) -> u8 {
    match fate {
        Fate::Unrelated => 0,
        Fate::Delivered => 1,
        Fate::Delayed => 2,
        Fate::Failed => 3,
    }
}

/// Names in lower case, and unfolded values.
fn fields(group: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in group.lines() {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    fields
}

fn of_recipient(fields: &[(String, String)]) -> Option<Bounce> {
    let value = |name: &str| {
        let mut found = fields.iter().filter(|(field, _)| field == name);
        found.next().map(|(_, value)| value.as_str())
    };
    let status = value("status").and_then(status);
    // RFC 3464 §2.3.3, with a comment behind it at times.
    let action = value("action").map(|action| {
        let word = action.split([' ', '\t', ';', '(']).next();
        word.unwrap_or_default().to_ascii_lowercase()
    });
    let fate = match action.as_deref() {
        Some("failed") => Fate::Failed,
        Some("delayed") => Fate::Delayed,
        Some("delivered" | "relayed" | "expanded") => Fate::Delivered,
        // Against §2.3.3 some leave it out: the class of the status says the same.
        _ => match status.as_deref()?.as_bytes().first()? {
            b'5' => Fate::Failed,
            b'4' => Fate::Delayed,
            _ => Fate::Delivered,
        },
    };
    Some(Bounce {
        fate,
        status,
        diagnosis: value("diagnostic-code").map(one_line),
    })
}

/// RFC 3463 §2: class, subject, detail.
fn status(text: &str) -> Option<String> {
    let word = text.split([' ', '\t', '(', ';']).next()?;
    let mut numbers = word.split('.');
    let class = numbers.next()?;
    let short = |part: Option<&str>| {
        part.is_some_and(|part| {
            (1..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit())
        })
    };
    let is_one = matches!(class, "2" | "4" | "5")
        && short(numbers.next())
        && short(numbers.next())
        && numbers.next().is_none();
    is_one.then(|| word.to_owned())
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let printable = |c: char| if (' '..='~').contains(&c) { c } else { '?' };
    let line = words.join(" ");
    line.chars().map(printable).take(DIAGNOSIS).collect()
}

/// Without a machine's report: by who wrote it.
fn by_looks(parsed: &Message<'_>) -> Fate {
    // Exim's, which older versions have alone.
    if parsed.header("X-Failed-Recipients").is_some() {
        return Fate::Failed;
    }
    let text = |name: &'static str| match parsed.header(name) {
        Some(HeaderValue::Text(text)) => text.to_ascii_lowercase(),
        _ => String::new(),
    };
    let from = match parsed.from() {
        Some(Address::List(list)) => list.first().and_then(|one| one.address.as_deref()),
        _ => None,
    };
    let from = from.unwrap_or_default().to_ascii_lowercase();
    let local_part = from.split('@').next().unwrap_or_default();
    if !matches!(local_part, "mailer-daemon" | "postmaster") {
        return Fate::Unrelated;
    }
    let subject = text("Subject");
    let late = ["delay", "warning", "still being", "retard"];
    if late.iter().any(|word| subject.contains(word)) {
        Fate::Delayed
    } else {
        Fate::Failed
    }
}

#[cfg(test)]
mod tests;
