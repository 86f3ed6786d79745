//! The mail that brings a received fax.

use super::{
    LetterError,
    layout::{Block, Layout, Tone},
    local,
    mail::{self, Attachment, Head, one_line},
    words,
};
use crate::{clock::Millis, language::Language, outcome};

/// A received fax, for one recipient.
#[derive(Clone, Debug)]
pub struct ReceivedLetter {
    /// Our Message-ID, without brackets.
    pub message_id: String,
    /// Our address.
    pub from: String,
    /// The recipient's address.
    pub to: String,
    /// The Date, Unix milliseconds.
    pub date_ms: Millis,
    /// The recipient's language.
    pub language: Language,
    /// IANA time zone of the times in the text.
    pub time_zone: String,
    /// The fax.
    pub received_id: String,
    /// The number that was called, E.164.
    pub number: String,
    /// What the number is called.
    pub number_title: String,
    /// Who called, as the trunk gave it; may be empty.
    pub remote_number: String,
    /// TSI: what the sender's machine calls itself. Anybody can set it to anything.
    pub tsi: Option<String>,
    /// SUB: whom the sender asks for behind the number (T.33).
    pub sub_address: Option<String>,
    /// Pages in the PDF.
    pub pages: u32,
    /// When the call came, Unix milliseconds.
    pub started_ms: Millis,
    /// From the answer to the end.
    pub duration_ms: Option<u32>,
    /// The call broke off: pages are missing.
    pub incomplete: bool,
    /// The key of its outcome.
    pub outcome: String,
    /// The fax.
    pub pdf: Vec<u8>,
}

/// Writes the mail with the fax as a PDF.
///
/// # Errors
/// [`LetterError`].
pub fn received(letter: &ReceivedLetter) -> Result<Vec<u8>, LetterError> {
    let language = letter.language;
    let tsi = letter
        .tsi
        .as_deref()
        .map(str::trim)
        .filter(|tsi| !tsi.is_empty());
    let caller = match letter.remote_number.trim() {
        "" => tsi.unwrap_or(words::UNKNOWN_CALLER.to(language)),
        number => number,
    };
    let pages = local::pages(letter.pages, language);
    let subject = match (language, letter.incomplete) {
        (Language::En, false) => format!("Fax from {caller} ({pages})"),
        (Language::En, true) => format!("Incomplete fax from {caller} ({pages})"),
        (Language::Fr, false) => format!("Fax de {caller} ({pages})"),
        (Language::Fr, true) => format!("Fax incomplet de {caller} ({pages})"),
    };

    let mut lead = vec![words::ATTACHED.to(language).to_owned()];
    if letter.incomplete {
        lead.insert(0, words::INCOMPLETE.to(language).to_owned());
        if let Some(outcome) = outcome::by_key(&letter.outcome) {
            lead.insert(1, outcome.words(language));
        }
    }
    let mut facts = Block::new(subject.clone());
    facts.tone = Some(if letter.incomplete {
        Tone::Doubtful
    } else {
        Tone::Good
    });
    let remote = match letter.remote_number.trim() {
        "" => words::UNKNOWN_NUMBER.to(language),
        number => number,
    };
    facts.row(words::CALLER.to(language), remote);
    facts.row(words::CALLER_IDENT.to(language), tsi.unwrap_or_default());
    facts.row(
        words::CALLED.to(language),
        match letter.number_title.trim() {
            "" => letter.number.clone(),
            title => format!("{} ({title})", letter.number),
        },
    );
    facts.row(
        words::SUB_ADDRESS.to(language),
        letter.sub_address.as_deref().unwrap_or_default().trim(),
    );
    facts.row(
        words::PAGES.to(language),
        local::count(letter.pages, language),
    );
    facts.row(
        words::ARRIVED.to(language),
        local::time(letter.started_ms, &letter.time_zone, language),
    );
    if let Some(ms) = letter.duration_ms {
        facts.row(words::DURATION.to(language), local::duration(ms));
    }
    let mut technical = Block::new(words::TECHNICAL.to(language));
    technical.list.push(match letter.outcome.as_str() {
        "" => letter.received_id.clone(),
        outcome => format!("{}: {outcome}", letter.received_id),
    });
    facts.heading = pages;

    let layout = Layout {
        language,
        title: subject.clone(),
        lead,
        blocks: vec![facts, technical],
        picture: None,
        foot: words::AUTOMATIC_FOOT.to(language),
    };
    let head = Head {
        message_id: &letter.message_id,
        from: &letter.from,
        from_name: format!("{} {}", words::FAX.to(language), one_line(caller)),
        to: &letter.to,
        date_ms: letter.date_ms,
        subject,
        in_reply_to: None,
        reply: false,
        mark: Some(("X-Faxpost-Fax", &letter.received_id)),
    };
    let attachment = Attachment {
        media_type: "application/pdf",
        name: file_name(letter, caller),
        bytes: &letter.pdf,
    };
    mail::write(&head, &layout, None, Some(attachment))
}

/// `fax-2026-10-01-1403-33123456789.pdf`: letters that every file system takes.
fn file_name(letter: &ReceivedLetter, caller: &str) -> String {
    let at = local::zoned(letter.started_ms, &letter.time_zone).strftime("%Y-%m-%d-%H%M");
    let caller: String = caller
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(20)
        .collect();
    let mark = if caller.is_empty() { "" } else { "-" };
    format!("fax-{at}{mark}{caller}.pdf")
}
