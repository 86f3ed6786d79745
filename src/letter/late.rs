//! The word that a fax is late, for those who asked for it (RFC 3461 §4.1, DELAY).

use super::{
    Dsn, LetterError, dsn,
    layout::{Block, Layout, Tone},
    local,
    mail::{self, Head},
    words,
};
use crate::{
    clock::Millis,
    language::{Language, Say, say},
    outcome,
};

const SUBJECT_CHARS: usize = 100;
const TITLE: Say = say("Not sent yet", "Pas encore envoyé");
const LEAD: Say = say(
    "This fax is late. It is still tried, and there is nothing to do: a report follows when it is sent or given up.",
    "Ce fax est en retard. Les essais continuent et il n'y a rien à faire\u{a0}: un rapport suivra quand il aura été envoyé \
     ou abandonné.",
);
const UNTIL: Say = say("Tried until", "Essais jusqu'au");

/// A fax that is late.
#[derive(Clone, Debug)]
pub struct Late {
    /// Our Message-ID, without brackets.
    pub message_id: String,
    /// Our address.
    pub from: String,
    /// The envelope sender.
    pub to: String,
    /// The Date, Unix milliseconds.
    pub date_ms: Millis,
    /// The reader's language.
    pub language: Language,
    /// The reader's IANA time zone.
    pub time_zone: String,
    /// The mail's own Message-ID.
    pub in_reply_to: Option<String>,
    /// Its subject.
    pub subject: String,
    /// Those that are late.
    pub jobs: Vec<LateJob>,
    /// The same for machines.
    pub dsn: Dsn,
}

/// One destination.
#[derive(Clone, Debug)]
pub struct LateJob {
    /// E.164 with the plus sign.
    pub destination: String,
    /// The key of its last outcome; empty before the first call.
    pub outcome: String,
    /// When it is given up, Unix milliseconds.
    pub until: Millis,
}

/// Writes the letter.
///
/// # Errors
/// [`LetterError`].
pub fn late(late: &Late) -> Result<Vec<u8>, LetterError> {
    let language = late.language;
    let subject = match mail::shortened(&late.subject, SUBJECT_CHARS) {
        subject if subject.is_empty() => words::NO_SUBJECT.to(language).to_owned(),
        subject => subject,
    };
    let title = format!("{}{} {subject}", TITLE.to(language), local::colon(language));
    let block = |job: &LateJob| {
        let mut block = Block::new(job.destination.clone());
        block.tone = Some(Tone::Doubtful);
        block.sentences.extend(
            outcome::by_key(&job.outcome).map(|outcome| outcome.what.to(language).to_owned()),
        );
        block.row(
            UNTIL.to(language),
            local::time(job.until, &late.time_zone, language),
        );
        block
    };
    let layout = Layout {
        language,
        title: title.clone(),
        lead: vec![LEAD.to(language).to_owned()],
        blocks: late.jobs.iter().map(block).collect(),
        picture: None,
        foot: words::AUTOMATIC_FOOT.to(language),
    };
    let head = Head {
        message_id: &late.message_id,
        from: &late.from,
        from_name: words::FAX.to(language).to_owned(),
        to: &late.to,
        date_ms: late.date_ms,
        subject: title,
        reply_to: None,
        in_reply_to: late.in_reply_to.as_deref(),
        reply: true,
        mark: None,
    };
    mail::write_report(&head, &layout, None, Vec::new(), dsn::parts(&late.dsn))
}
