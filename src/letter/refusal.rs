//! What of an accepted mail was refused, for the proven person who sent it (promise 2).

use super::{
    LetterError,
    layout::{Block, Layout, Tone},
    local,
    mail::{self, Head},
    words,
};
use crate::{
    clock::Millis,
    language::{Language, Say, Told, say},
};

const SUBJECT_CHARS: usize = 100;
/// Lines of one kind: a mail to thousands of numbers makes no letter of thousands of lines.
const LINES: usize = 100;

const TITLE: Say = say("Partly refused", "Refusé en partie");
const LEAD: Say = say(
    "Your mail was accepted, but not all of it. What is named below was refused, each with its reason; everything \
     else is on its way, and its report follows.",
    "Votre message a été accepté, mais pas en entier. Ce qui est cité ci-dessous a été refusé, avec la raison\u{a0}; tout le \
     reste est en route et son rapport suivra.",
);
const NUMBERS_REFUSED: Say = say("Not faxed to", "Pas faxé à");
const ATTACHMENTS_REFUSED: Say = say("Left out", "Laissé de côté");
const OPTIONS_REFUSED: Say = say("Not heeded", "Ignoré");
const NUMBERS_ACCEPTED: Say = say("Will be faxed to", "Sera faxé à");

/// What kind of thing was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A number, an address, a list.
    Recipient,
    /// A file.
    Attachment,
    /// An option in the mail.
    Option,
}

impl Part {
    const ALL: [Self; 3] = [Self::Recipient, Self::Attachment, Self::Option];

    fn heading(self) -> Say {
        match self {
            Self::Recipient => NUMBERS_REFUSED,
            Self::Attachment => ATTACHMENTS_REFUSED,
            Self::Option => OPTIONS_REFUSED,
        }
    }
}

/// One thing that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What it is.
    pub part: Part,
    /// As the sender wrote it.
    pub name: String,
    /// The rule and what to do, a sentence without its full stop.
    pub why: Told,
}

/// What of a mail was refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Our Message-ID, without brackets.
    pub message_id: String,
    /// Our address.
    pub from: String,
    /// The sender's address, proven.
    pub to: String,
    /// The Date, Unix milliseconds.
    pub date_ms: Millis,
    /// The reader's language.
    pub language: Language,
    /// The mail's own Message-ID.
    pub in_reply_to: Option<String>,
    /// Its subject.
    pub subject: String,
    /// What its accepted part is known by.
    pub submission_id: String,
    /// What was refused; one at least.
    pub refused: Vec<Refused>,
    /// The numbers that were accepted.
    pub accepted: Vec<String>,
}

/// Writes the letter.
///
/// # Errors
/// [`LetterError`].
pub fn refusal(refusal: &Refusal) -> Result<Vec<u8>, LetterError> {
    let language = refusal.language;
    let subject = match mail::shortened(&refusal.subject, SUBJECT_CHARS) {
        subject if subject.is_empty() => words::NO_SUBJECT.to(language).to_owned(),
        subject => subject,
    };
    let title = format!("{}{} {subject}", TITLE.to(language), local::colon(language));
    let mut blocks = Vec::new();
    for part in Part::ALL {
        let of_part = refusal
            .refused
            .iter()
            .filter(|refused| refused.part == part);
        let lines: Vec<String> = of_part.map(|refused| line(refused, language)).collect();
        if !lines.is_empty() {
            let mut block = Block::new(part.heading().to(language));
            block.tone = Some(Tone::Bad);
            block.list = bounded(lines, language);
            blocks.push(block);
        }
    }
    if !refusal.accepted.is_empty() {
        let mut block = Block::new(NUMBERS_ACCEPTED.to(language));
        block.tone = Some(Tone::Good);
        block.list = bounded(refusal.accepted.clone(), language);
        blocks.push(block);
    }
    let mut technical = Block::new(words::TECHNICAL.to(language));
    technical.list.push(refusal.submission_id.clone());
    blocks.push(technical);
    let layout = Layout {
        language,
        title: title.clone(),
        lead: vec![LEAD.to(language).to_owned()],
        blocks,
        picture: None,
        foot: words::AUTOMATIC_FOOT.to(language),
    };
    let head = Head {
        message_id: &refusal.message_id,
        from: &refusal.from,
        from_name: words::FAX.to(language).to_owned(),
        to: &refusal.to,
        reply_to: None,
        date_ms: refusal.date_ms,
        subject: title,
        in_reply_to: refusal.in_reply_to.as_deref(),
        reply: true,
        // The mark is the report's.
        mark: None,
    };
    mail::write(&head, &layout, None, Vec::new())
}

fn line(refused: &Refused, language: Language) -> String {
    let colon = local::colon(language);
    let name = mail::shortened(&refused.name, SUBJECT_CHARS);
    format!("{name}{colon} {}", refused.why.to(language))
}

fn bounded(mut lines: Vec<String>, language: Language) -> Vec<String> {
    if let Some(more) = lines.len().checked_sub(LINES).filter(|more| *more > 0) {
        lines.truncate(LINES);
        lines.push(match language {
            Language::En => format!("and {more} more"),
            Language::Fr => format!("et {more} autres"),
        });
    }
    lines
}

#[cfg(test)]
mod tests;
