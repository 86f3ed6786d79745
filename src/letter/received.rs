//! The mail that brings a received fax.

use super::{
    LetterError,
    layout::{Block, Layout, Tone},
    local,
    mail::{self, Attachment, Head, one_line},
    words,
};
use crate::{clock::Millis, language::Language, outcome};

/// The media type of a mail that is a fax and nothing else (RFC 3965 §3, RFC 3302 §3).
pub const FAX_FILE: &str = "image/tiff; application=faxbw";

/// A file with pages of the fax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// `application/pdf`.
    pub media_type: &'static str,
    /// What its name ends in, `pdf`.
    pub ending: &'static str,
    /// The page that it is a picture of, counted from 1; `None`: all that the mail has.
    pub page: Option<u32>,
    /// The octets.
    pub bytes: Vec<u8>,
}

/// What the letter brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The pages.
    Files {
        /// One file, or a picture for each page.
        files: Vec<File>,
        /// They open with the recipient's password.
        protected: bool,
        /// Their text can be searched.
        searchable: bool,
    },
    /// No pages.
    Notice {
        /// Why.
        why: Withheld,
        /// They are kept until then at least, Unix milliseconds.
        until_ms: Millis,
    },
}

/// Why a letter comes without the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// As it is set for the recipient.
    Chosen,
    /// The relay takes no mail of that size, octets.
    TooLarge(u64),
    /// As pictures they are too many for one mail.
    TooMany,
    /// The recipient was taken off the number while it came.
    NotSet,
    /// They can't be written, now or later.
    Unable(Unable),
}

/// Why pages can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unable {
    /// What was kept of them can't be read.
    Pages,
    /// The recipient's password can't be read.
    Password,
    /// They can't be made files of the recipient's form.
    Form,
}

/// The part of a fax that one of several mails brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Which: `2`; of a part that had to be parted again, `2.1`.
    pub label: String,
    /// Of how many.
    pub of: u32,
    /// Its first page, from 1.
    pub first: u32,
    /// Its last page.
    pub last: u32,
}

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
    /// Where an answer is faxed to who called; nowhere where that can't be, or the recipient may not.
    pub reply_to: Option<String>,
    /// TSI: what the sender's machine calls itself. Anybody can set it to anything.
    pub tsi: Option<String>,
    /// SUB: whom the sender asks for behind the number (T.33).
    pub sub_address: Option<String>,
    /// Pages of the fax.
    pub pages: u32,
    /// When the call came, Unix milliseconds.
    pub started_ms: Millis,
    /// From the answer to the end.
    pub duration_ms: Option<u32>,
    /// The call broke off: pages are missing.
    pub incomplete: bool,
    /// The key of its outcome.
    pub outcome: String,
    /// Pages, counted from 1, that are turned to be read.
    pub turned: Vec<u32>,
    /// Which part of the fax this is, where it goes in several mails.
    pub portion: Option<Portion>,
    /// What it brings.
    pub content: Content,
}

/// Who called, as far as anybody knows.
fn caller(letter: &ReceivedLetter) -> &str {
    let tsi = letter.tsi.as_deref().map_or("", str::trim);
    match (letter.remote_number.trim(), tsi) {
        ("", "") => words::UNKNOWN_CALLER.to(letter.language),
        ("", tsi) => tsi,
        (number, _) => number,
    }
}

/// What the fax is called: the subject, and the title of its files.
#[must_use]
pub fn title(letter: &ReceivedLetter) -> String {
    let (caller, pages) = (caller(letter), local::pages(letter.pages, letter.language));
    match (letter.language, letter.incomplete) {
        (Language::En, false) => format!("Fax from {caller} ({pages})"),
        (Language::En, true) => format!("Incomplete fax from {caller} ({pages})"),
        (Language::Fr, false) => format!("Fax de {caller} ({pages})"),
        (Language::Fr, true) => format!("Fax incomplet de {caller} ({pages})"),
    }
}

/// What the letter brings, in sentences.
fn brings(letter: &ReceivedLetter) -> Vec<String> {
    let language = letter.language;
    let mut said = Vec::new();
    match &letter.content {
        Content::Files {
            files,
            protected,
            searchable,
        } => {
            let attached = match files.first().map(|file| file.ending) {
                Some("pdf") if *protected => words::ATTACHED_SEALED,
                Some("tif") => words::ATTACHED_TIFF,
                Some("png" | "jpg") => words::ATTACHED_PICTURES,
                _ => words::ATTACHED,
            };
            let mut attached = attached.to(language).to_owned();
            if *searchable {
                attached += &format!(" {}", words::SEARCHABLE.to(language));
            }
            said.push(attached);
        }
        Content::Notice { why, until_ms } => {
            let until = local::time(*until_ms, &letter.time_zone, language);
            said.push(withheld(*why, language));
            said.push(to_be_had(*why, &until, language));
        }
    }
    if let Some(Portion {
        label,
        of,
        first,
        last,
    }) = &letter.portion
    {
        let all = letter.pages;
        let which = match (language, first == last) {
            (Language::En, true) => format!("page {first} of {all}"),
            (Language::En, false) => format!("pages {first} to {last} of {all}"),
            (Language::Fr, true) => format!("la page {first} sur {all}"),
            (Language::Fr, false) => format!("les pages {first} à {last} sur {all}"),
        };
        said.push(match language {
            Language::En => format!(
                "This is part {label} of {of}, with {which}: the whole fax is too large for one message."
            ),
            Language::Fr => format!(
                "Ceci est la partie {label} sur {of}, avec {which}\u{a0}: le fax entier est trop volumineux pour un \
                 seul message."
            ),
        });
    }
    said.extend(turned(letter));
    said
}

/// Why the pages are not here.
fn withheld(why: Withheld, language: Language) -> String {
    let size = |octets: u64| octets / 1_000_000;
    match (why, language) {
        (Withheld::Chosen, _) => words::ONLY_NOTICE.to(language).to_owned(),
        (Withheld::TooMany, _) => words::TOO_MANY.to(language).to_owned(),
        (Withheld::NotSet, _) => words::NOT_SET.to(language).to_owned(),
        (Withheld::Unable(Unable::Pages), _) => words::LOST_PAGES.to(language).to_owned(),
        (Withheld::Unable(Unable::Password), _) => words::LOST_PASSWORD.to(language).to_owned(),
        (Withheld::Unable(Unable::Form), _) => words::NO_FILES.to(language).to_owned(),
        (Withheld::TooLarge(octets), Language::En) if size(octets) > 0 => format!(
            "Its pages are not attached: they are too large for the mail server, which takes {} MB.",
            size(octets)
        ),
        (Withheld::TooLarge(octets), Language::En) => format!(
            "Its pages are not attached: they are too large for the mail server, which takes {} kB.",
            octets / 1000
        ),
        (Withheld::TooLarge(octets), Language::Fr) if size(octets) > 0 => format!(
            "Ses pages ne sont pas jointes\u{a0}: elles sont trop volumineuses pour le serveur de messagerie, qui \
             accepte {}\u{a0}Mo.",
            size(octets)
        ),
        (Withheld::TooLarge(octets), Language::Fr) => format!(
            "Ses pages ne sont pas jointes\u{a0}: elles sont trop volumineuses pour le serveur de messagerie, qui \
             accepte {}\u{a0}ko.",
            octets / 1000
        ),
    }
}

/// How the pages can be had, as far as they can.
fn to_be_had(why: Withheld, until: &str, language: Language) -> String {
    match (why, language) {
        // `deliver` refuses an address that the number does not have.
        (Withheld::NotSet, _) => words::ASK_FOR_NUMBER.to(language).to_owned(),
        (Withheld::Unable(Unable::Pages), _) => words::ASK_SENDER.to(language).to_owned(),
        (Withheld::Unable(Unable::Password), Language::En) => format!(
            "They are kept until {until}. Your administrator can set a new password for your address and then have them \
             sent to you, by the id below."
        ),
        (Withheld::Unable(Unable::Password), Language::Fr) => format!(
            "Elles sont conservées jusqu'au {until}. Votre administrateur peut fixer un nouveau mot de passe pour votre \
             adresse, puis vous les faire envoyer, avec l'identifiant ci-dessous."
        ),
        (Withheld::Unable(Unable::Form), Language::En) => format!(
            "They are kept until {until}. Your administrator can have them sent to you in another form, by the id below."
        ),
        (Withheld::Unable(Unable::Form), Language::Fr) => format!(
            "Elles sont conservées jusqu'au {until}. Votre administrateur peut vous les faire envoyer sous une autre \
             forme, avec l'identifiant ci-dessous."
        ),
        (_, Language::En) => {
            format!(
                "They are kept until {until}. Your administrator can have them sent to you, by the id below."
            )
        }
        (_, Language::Fr) => format!(
            "Elles sont conservées jusqu'au {until}. Votre administrateur peut vous les faire envoyer, avec \
             l'identifiant ci-dessous."
        ),
    }
}

/// Which pages were turned.
fn turned(letter: &ReceivedLetter) -> Option<String> {
    let numbers: Vec<String> = letter.turned.iter().map(u32::to_string).collect();
    let (last, others) = numbers.split_last()?;
    let list = others.join(", ");
    Some(match (letter.language, others.is_empty()) {
        (Language::En, true) => format!("Page {last} was turned to be read."),
        (Language::En, false) => format!("Pages {list} and {last} were turned to be read."),
        (Language::Fr, true) => format!("La page {last} a été tournée pour être lue."),
        (Language::Fr, false) => {
            format!("Les pages {list} et {last} ont été tournées pour être lues.")
        }
    })
}

/// Writes the mail that brings the fax.
///
/// # Errors
/// [`LetterError`].
pub fn received(letter: &ReceivedLetter) -> Result<Vec<u8>, LetterError> {
    let language = letter.language;
    let tsi = letter.tsi.as_deref().map(str::trim);
    let tsi = tsi.filter(|tsi| !tsi.is_empty());
    let caller = caller(letter);
    let pages = local::pages(letter.pages, language);
    let mut subject = title(letter);
    if let Some(Portion { label, of, .. }) = &letter.portion {
        subject += &match language {
            Language::En => format!(", part {label} of {of}"),
            Language::Fr => format!(", partie {label} sur {of}"),
        };
    }

    let mut lead = brings(letter);
    if letter.incomplete {
        lead.insert(0, words::INCOMPLETE.to(language).to_owned());
        if let Some(outcome) = outcome::by_key(&letter.outcome) {
            lead.insert(1, outcome.words(language));
        }
    }
    let mut facts = Block::new(subject.clone());
    let unable = matches!(
        letter.content,
        Content::Notice {
            why: Withheld::Unable(_),
            ..
        }
    );
    facts.tone = Some(if letter.incomplete || unable {
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
        reply_to: None,
        date_ms: letter.date_ms,
        subject,
        in_reply_to: None,
        reply: false,
        mark: Some(("X-Faxpost-Fax", &letter.received_id)),
    };
    let files: &[File] = match &letter.content {
        Content::Files { files, .. } => files,
        Content::Notice { .. } => &[],
    };
    let mut attachments = files.iter().map(|file| Attachment {
        media_type: file.media_type,
        name: file_name(letter, file, caller),
        bytes: &file.bytes,
    });
    let is_alone = |file: &File| file.media_type == FAX_FILE;
    let mail = if files.first().is_some_and(is_alone)
        && let Some(file) = attachments.next()
    {
        mail::write_alone(&head, &layout, file)
    } else {
        mail::write(&head, &layout, None, attachments.collect())?
    };
    Ok(mail::answered_at(mail, letter.reply_to.as_deref()))
}

/// `fax-2026-10-01-1403-33123456789.pdf`, `…-page-03.png`, `…-part-2.pdf`: letters that every file system takes.
fn file_name(letter: &ReceivedLetter, file: &File, caller: &str) -> String {
    let at = local::zoned(letter.started_ms, &letter.time_zone).strftime("%Y-%m-%d-%H%M");
    let caller: String = caller
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(20)
        .collect();
    let mark = if caller.is_empty() { "" } else { "-" };
    let which = match (file.page, &letter.portion) {
        (Some(page), _) => format!("-page-{page:02}"),
        (None, Some(portion)) => format!("-part-{}", portion.label),
        (None, None) => String::new(),
    };
    format!("fax-{at}{mark}{caller}{which}.{}", file.ending)
}
