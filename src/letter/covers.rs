//! What is said of covers, in the reader's language.

use faxpost_paper::Note;
use serde::{Deserialize, Serialize};

use super::details;
use crate::{
    language::{Language, Say},
    worker::paper::PaperFailure,
};

/// The text of a mail that its sender's profile leaves out.
pub(super) const TEXT_IGNORED: Say = Say {
    en: "the text of the mail was not faxed: the profile of your group leaves it out (body ignore)",
    fr: "le texte du message n'a pas été envoyé\u{a0}: le profil de votre groupe l'exclut (body ignore)",
};

/// Something that the sender should know of a cover, for `job.cover_notes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CoverSaid {
    /// It was drawn, and this is worth knowing.
    Drawn(Note),
    /// Its template failed; the plain cover went out.
    Replaced {
        /// The template.
        name: String,
        /// Why.
        failure: PaperFailure,
    },
    /// The profile names a cover that is not there; the plain one went out.
    Gone {
        /// The cover.
        name: String,
    },
}

impl CoverSaid {
    /// As the table holds it.
    #[must_use]
    pub fn to_column(all: &[Self]) -> Option<String> {
        // Names, numbers and enums always make JSON; without it the fax is still the same.
        (!all.is_empty()).then(|| serde_json::to_string(all).unwrap_or_default())
    }

    /// What the table holds.
    #[must_use]
    pub fn from_column(text: &str) -> Vec<Self> {
        serde_json::from_str(text).unwrap_or_default()
    }

    pub(super) fn to(&self, language: Language) -> String {
        match self {
            Self::Drawn(note) => {
                let note = details::note(note, language);
                match language {
                    Language::En => format!("the cover: {note}"),
                    Language::Fr => format!("la page de garde\u{a0}: {note}"),
                }
            }
            Self::Replaced { name, failure } => {
                // What is wrong in a template names it.
                let named = matches!(failure, PaperFailure::Document(_));
                let failure = details::paper_failure(failure, language);
                match language {
                    Language::En if named => {
                        format!("{failure}; the plain cover was sent in its place")
                    }
                    Language::En => format!(
                        "the cover “{name}” could not be drawn, and the plain one was sent in its place: {failure}"
                    ),
                    Language::Fr if named => {
                        format!("{failure}\u{a0}; la page de garde simple a été envoyée à sa place")
                    }
                    Language::Fr => format!(
                        "la page de garde «\u{a0}{name}\u{a0}» n'a pas pu être dessinée, et la simple a été envoyée à \
                         sa place\u{a0}: {failure}"
                    ),
                }
            }
            Self::Gone { name } => match language {
                Language::En => {
                    format!(
                        "there is no cover “{name}” any more; the plain one was sent in its place"
                    )
                }
                Language::Fr => format!(
                    "la page de garde «\u{a0}{name}\u{a0}» n'existe plus\u{a0}; la simple a été envoyée à sa place"
                ),
            },
        }
    }
}
