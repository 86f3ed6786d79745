//! What the letters about faxes under way share: whom they are for, and how a fax stands.

use super::{
    LetterError,
    layout::{Block, Layout, Tone},
    local,
    mail::{self, Attachment, Head},
    words,
};
use crate::{
    clock::Millis,
    language::{Language, Say, say},
    outcome,
};

/// How much of the submission's subject is repeated, characters.
const SUBJECT_CHARS: usize = 100;

const ON_THE_LINE: Say = say("is being sent just now", "est en cours d'envoi");
const GETS_ITS_PAGES: Say = say("its pages are being made", "ses pages sont en préparation");
const WAITS_FOR_ITS_TURN: Say = say("waits for its turn", "attend son tour");
const PREVIEW: Say = say(
    "The attached preview shows the pages as they will be sent, in black and white. The header line is added on the \
     call, and the resolution may become coarser there.",
    "L'aperçu ci-joint montre les pages telles qu'elles seront envoyées, en noir et blanc. La ligne d'en-tête s'ajoute \
     lors de l'appel, et la résolution peut y être réduite.",
);
const NUMBER_PAGES: Say = say("Pages", "Pages");

/// Whom a letter about a submission is for.
#[derive(Clone, Debug)]
pub struct About {
    /// Our Message-ID, without brackets.
    pub message_id: String,
    /// Our address.
    pub from: String,
    /// The name beside it: the tenant's company, or nothing.
    pub company: Option<String>,
    /// Where an answer goes; none where none is wanted.
    pub reply_to: Option<String>,
    /// The reader's address.
    pub to: String,
    /// The Date, Unix milliseconds.
    pub date_ms: Millis,
    /// The reader's language.
    pub language: Language,
    /// The reader's IANA time zone.
    pub time_zone: String,
    /// The submission's own Message-ID.
    pub in_reply_to: Option<String>,
    /// The submission's subject; empty where mails are to say nothing of the content.
    pub subject: String,
    /// The submission.
    pub submission_id: String,
}

/// One destination.
#[derive(Clone, Debug)]
pub struct Fax {
    /// E.164 with the plus sign.
    pub destination: String,
    /// Who behind it (T.33).
    pub sub_address: Option<String>,
    /// Pages, the cover counted; 0: not made yet.
    pub pages: u32,
    /// How it stands.
    pub standing: Standing,
    /// Why it is kept back, or was.
    pub why: Vec<Reason>,
}

/// How a fax stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It waits for somebody's word until then.
    Parked(Millis),
    /// Its pages are not made.
    Queued,
    /// It waits for its call.
    Ready,
    /// It waits for another call: not before, and the key of what ended the last one.
    Waiting(Millis, String),
    /// Its call is up.
    OnLine,
    /// It is over: its final state.
    Over(String),
}

/// Why a fax is kept back.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// No page to this number was ever confirmed for the tenant.
    First,
    /// The number differs by one digit from this one, which is known.
    Near(String),
    /// So many pages, where the user's faxes have so many.
    Pages(u32, u32),
    /// This address has to approve it.
    Approval(String),
    /// Its sender wants to confirm it.
    Wish,
}

impl Reason {
    /// A sentence.
    pub(super) fn to(&self, language: Language) -> String {
        match (self, language) {
            (Self::First, Language::En) => {
                "No page to this number was ever confirmed for your organisation: is it the right one?".to_owned()
            }
            (Self::First, Language::Fr) => {
                "Aucune page vers ce numéro n'a encore été confirmée pour votre organisation\u{a0}: est-ce le bon\u{a0}?"
                    .to_owned()
            }
            (Self::Near(known), Language::En) => {
                format!("It is one digit away from {known}, which your organisation has reached before: is it a slip?")
            }
            (Self::Near(known), Language::Fr) => format!(
                "Il ne diffère que d'un chiffre de {known}, que votre organisation a déjà joint\u{a0}: est-ce une erreur de \
                 frappe\u{a0}?"
            ),
            (Self::Pages(pages, usual), Language::En) => format!(
                "It has {}, and your faxes usually have {}.",
                local::pages(*pages, language),
                local::count(*usual, language)
            ),
            (Self::Pages(pages, usual), Language::Fr) => format!(
                "Il fait {}, et vos fax en font d'ordinaire {}.",
                local::pages(*pages, language),
                local::count(*usual, language)
            ),
            (Self::Wish, Language::En) => "You asked to see it before it is sent.".to_owned(),
            (Self::Wish, Language::Fr) => "Vous avez demandé à le voir avant son envoi.".to_owned(),
            (Self::Approval(by), Language::En) => format!("It must be approved by {by}."),
            (Self::Approval(by), Language::Fr) => format!("Il doit être approuvé par {by}."),
        }
    }
}

/// The pages as a file, and whether it has all of them.
#[derive(Clone, Debug)]
pub struct Preview {
    /// A PDF.
    pub pdf: Vec<u8>,
    /// Pages in it.
    pub shown: u32,
    /// Pages of the fax.
    pub of: u32,
}

impl Preview {
    fn words(&self, language: Language) -> String {
        let mut said = PREVIEW.to(language).to_owned();
        if self.shown < self.of {
            let (shown, of) = (
                local::count(self.shown, language),
                local::count(self.of, language),
            );
            said += &match language {
                Language::En => format!(" It has the first {shown} of {of} pages."),
                Language::Fr => format!(" Il contient les {shown} premières pages sur {of}."),
            };
        }
        said
    }
}

/// Writes a letter about faxes: its title before the subject, its first sentences, a block for each fax.
pub(super) fn write(
    about: &About,
    title: Say,
    lead: Vec<String>,
    blocks: Vec<Block>,
    preview: Option<&Preview>,
) -> Result<Vec<u8>, LetterError> {
    let language = about.language;
    let subject = mail::shortened(&about.subject, SUBJECT_CHARS);
    let subject = if subject.is_empty() {
        title.to(language).to_owned()
    } else {
        format!("{}{} {subject}", title.to(language), local::colon(language))
    };
    let mut lead = lead;
    lead.extend(preview.map(|preview| preview.words(language)));
    let mut blocks = blocks;
    let mut technical = Block::new(words::TECHNICAL.to(language));
    technical.list.push(about.submission_id.clone());
    blocks.push(technical);
    let layout = Layout {
        language,
        title: subject.clone(),
        lead,
        blocks,
        picture: None,
        foot: words::AUTOMATIC_FOOT.to(language),
    };
    let company = about.company.as_deref().map(str::trim);
    let head = Head {
        message_id: &about.message_id,
        from: &about.from,
        from_name: match company.filter(|company| !company.is_empty()) {
            Some(company) => format!("{} {company}", words::FAX.to(language)),
            None => words::FAX.to(language).to_owned(),
        },
        reply_to: about.reply_to.as_deref(),
        to: &about.to,
        date_ms: about.date_ms,
        subject,
        in_reply_to: about.in_reply_to.as_deref(),
        reply: true,
        // The mark is the report's.
        mark: None,
    };
    let files = preview.map(|preview| Attachment {
        media_type: "application/pdf",
        name: match language {
            Language::En => "preview.pdf".to_owned(),
            Language::Fr => "apercu.pdf".to_owned(),
        },
        bytes: &preview.pdf,
    });
    mail::write(&head, &layout, None, files.into_iter().collect())
}

/// The block of a fax.
pub(super) fn block(fax: &Fax, about: &About) -> Block {
    let language = about.language;
    let (standing, tone) = standing(&fax.standing, about);
    let mut block = Block::new(format!(
        "{}{} {standing}",
        fax.destination,
        local::colon(language)
    ));
    block.tone = Some(tone);
    if let Standing::Waiting(_, key) = &fax.standing
        && let Some(outcome) = outcome::by_key(key)
    {
        block.sentences.push(outcome.what.to(language).to_owned());
    }
    if let Some(sub_address) = &fax.sub_address {
        block.row(words::SUB_ADDRESS.to(language), sub_address);
    }
    if fax.pages > 0 {
        block.row(NUMBER_PAGES.to(language), local::count(fax.pages, language));
    }
    block
}

fn standing(standing: &Standing, about: &About) -> (String, Tone) {
    let language = about.language;
    let at = |ms: Millis| local::time(ms, &about.time_zone, language);
    match standing {
        Standing::Parked(until) => (
            match language {
                Language::En => format!("not sent, waits for an answer until {}", at(*until)),
                Language::Fr => format!("non envoyé, attend une réponse jusqu'au {}", at(*until)),
            },
            Tone::Doubtful,
        ),
        Standing::Queued => (GETS_ITS_PAGES.to(language).to_owned(), Tone::Good),
        Standing::Ready => (WAITS_FOR_ITS_TURN.to(language).to_owned(), Tone::Good),
        Standing::Waiting(next, _) => (
            match language {
                Language::En => format!("not sent yet, the next call is on {}", at(*next)),
                Language::Fr => format!("pas encore envoyé, prochain appel le {}", at(*next)),
            },
            Tone::Doubtful,
        ),
        Standing::OnLine => (ON_THE_LINE.to(language).to_owned(), Tone::Good),
        Standing::Over(state) => {
            let (said, tone) = match state.as_str() {
                "sent" => (words::RESULT_SENT, Tone::Good),
                "partly" => (words::RESULT_PARTLY, Tone::Doubtful),
                "unknown" => (words::RESULT_UNKNOWN, Tone::Doubtful),
                "cancelled" => (words::RESULT_CANCELLED, Tone::Bad),
                _ => (words::RESULT_FAILED, Tone::Bad),
            };
            (said.to(language).to_owned(), tone)
        }
    }
}

#[cfg(test)]
mod tests;
