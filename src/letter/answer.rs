//! The answer to a reply: what it did, and how the faxes stand now.

use super::{
    LetterError,
    faxes::{self, About, Fax},
};
use crate::language::{Language, Say, say};

const STOPPED: Say = say("Called off", "Abandonné");
const RELEASED: Say = say("Released", "Autorisé");

/// What a reply did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It called faxes off.
    Cancelled,
    /// It let faxes go.
    Released,
}

/// What a reply did.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Whom it is for.
    pub about: About,
    /// What was done.
    pub done: Done,
    /// Who did it, where it was another than the reader.
    pub by: Option<String>,
    /// The destinations as they stand.
    pub faxes: Vec<Fax>,
}

/// Writes the letter.
///
/// # Errors
/// [`LetterError`].
pub fn answered(letter: &Answered) -> Result<Vec<u8>, LetterError> {
    let about = &letter.about;
    let by = letter.by.as_deref();
    let (title, said) = match (letter.done, about.language) {
        (Done::Cancelled, Language::En) => (
            STOPPED,
            match by {
                Some(by) => format!("{by} has called this fax off. This is how it stands now:"),
                None => "Your reply was read: what was not sent is called off. This is how it stands now:".to_owned(),
            },
        ),
        (Done::Cancelled, Language::Fr) => (
            STOPPED,
            match by {
                Some(by) => format!("{by} a renoncé à ce fax. Voici où il en est\u{a0}:"),
                None => "Votre réponse a été lue\u{a0}: ce qui n'était pas envoyé est abandonné. Voici où il en est\u{a0}:"
                    .to_owned(),
            },
        ),
        (Done::Released, Language::En) => (
            RELEASED,
            match by {
                Some(by) => format!("{by} has approved this fax. This is how it stands now:"),
                None => "Your reply was read: the fax goes out. This is how it stands now:".to_owned(),
            },
        ),
        (Done::Released, Language::Fr) => (
            RELEASED,
            match by {
                Some(by) => format!("{by} a approuvé ce fax. Voici où il en est\u{a0}:"),
                None => "Votre réponse a été lue\u{a0}: le fax part. Voici où il en est\u{a0}:".to_owned(),
            },
        ),
    };
    let blocks = letter.faxes.iter().map(|fax| faxes::block(fax, about));
    faxes::write(about, title, vec![said], blocks.collect(), None)
}
