//! A fax whose first calls failed and whose next one is a while off.

use super::{
    LetterError,
    faxes::{self, About, Fax},
    layout::Block,
    words,
};
use crate::language::{Language, Say, say};

const DELAYED: Say = say("Delayed", "Retardé");

/// A fax that is tried again later.
#[derive(Clone, Debug)]
pub struct Delayed {
    /// Whom it is for.
    pub about: About,
    /// Its destination.
    pub fax: Fax,
    /// Calls placed so far.
    pub calls: u32,
    /// What the last call ended with, for administrators: `SIP 486, busy`.
    pub codes: String,
}

/// Writes the letter.
///
/// # Errors
/// [`LetterError`].
pub fn delayed(letter: &Delayed) -> Result<Vec<u8>, LetterError> {
    let about = &letter.about;
    let lead = match about.language {
        Language::En => vec![
            "A fax of yours could not be sent yet. It is tried again, and a report follows when it is over.".to_owned(),
            "Reply to this mail with the word “cancel” to call it off.".to_owned(),
            "Once it is over, “resend” has it faxed once more, within three days.".to_owned(),
        ],
        Language::Fr => vec![
            "Un de vos fax n'a pas encore pu être envoyé. Un nouvel essai suivra, puis un rapport à la fin.".to_owned(),
            "Répondez à ce message par le mot «\u{a0}annuler\u{a0}» pour y renoncer.".to_owned(),
            "Une fois qu'il est terminé, «\u{a0}renvoyer\u{a0}» le fait faxer à nouveau, dans les trois jours.".to_owned(),
        ],
    };
    let mut block: Block = faxes::block(&letter.fax, about);
    block.row(
        words::CALLS.to(about.language),
        super::local::count(letter.calls, about.language),
    );
    block.row(words::DETAIL.to(about.language), letter.codes.as_str());
    faxes::write(about, DELAYED, lead, vec![block], None)
}
