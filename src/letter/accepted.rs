//! A mail that was accepted and is on its way: asked for, or because its result takes longer.

use super::{
    LetterError,
    faxes::{self, About, Fax, Preview},
};
use crate::language::{Language, Say, say};

const ACCEPTED: Say = say("Accepted", "Accepté");

/// A submission under way.
#[derive(Clone, Debug)]
pub struct AcceptedLetter {
    /// Whom it is for.
    pub about: About,
    /// Its destinations.
    pub faxes: Vec<Fax>,
    /// What is sent.
    pub preview: Option<Preview>,
}

/// Writes the letter.
///
/// # Errors
/// [`LetterError`].
pub fn accepted(letter: &AcceptedLetter) -> Result<Vec<u8>, LetterError> {
    let about = &letter.about;
    let lead = match about.language {
        Language::En => vec![
            "Your fax is accepted and on its way. A report follows when it is over.".to_owned(),
            "Reply to this mail with the word “cancel” to call off what is not sent by then.".to_owned(),
            "Once it is over, “resend” has it faxed once more, within three days.".to_owned(),
        ],
        Language::Fr => vec![
            "Votre fax est accepté et en cours de traitement. Un rapport suivra à la fin.".to_owned(),
            "Répondez à ce message par le mot «\u{a0}annuler\u{a0}» pour renoncer à ce qui ne sera pas encore envoyé."
                .to_owned(),
            "Une fois qu'il est terminé, «\u{a0}renvoyer\u{a0}» le fait faxer à nouveau, dans les trois jours.".to_owned(),
        ],
    };
    let blocks = letter.faxes.iter().map(|fax| faxes::block(fax, about));
    faxes::write(
        about,
        ACCEPTED,
        lead,
        blocks.collect(),
        letter.preview.as_ref(),
    )
}
