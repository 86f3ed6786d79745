//! A fax that waits for somebody's word: to its sender, and to who has to approve it.

use super::{
    LetterError,
    faxes::{self, About, Fax, Preview, Standing},
    local,
};
use crate::{
    clock::Millis,
    language::{Language, Say, say},
};

const TO_CONFIRM: Say = say("To be confirmed", "À confirmer");
const TO_APPROVE: Say = say("To be approved", "À approuver");
const AWAITS_APPROVAL: Say = say("Awaits approval", "En attente d'approbation");

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The sender, for their own word.
    Sender,
    /// Nobody by this mail: another is, and the sender is told who.
    Other(String),
    /// Who has to approve it; this one sends it.
    Approver(String),
}

/// A fax that is kept back.
#[derive(Clone, Debug)]
pub struct Parked {
    /// Whom it is for.
    pub about: About,
    /// Who is asked.
    pub asked: Asked,
    /// Until when.
    pub until: Millis,
    /// The destinations that are kept back.
    pub faxes: Vec<Fax>,
    /// What would be sent.
    pub preview: Option<Preview>,
}

/// Writes the letter.
///
/// # Errors
/// [`LetterError`].
pub fn parked(parked: &Parked) -> Result<Vec<u8>, LetterError> {
    let about = &parked.about;
    let language = about.language;
    let until = local::time(parked.until, &about.time_zone, language);
    let (title, lead) = match (&parked.asked, language) {
        (Asked::Sender, Language::En) => (
            TO_CONFIRM,
            vec![
                "This fax has not been sent: it waits for your word.".to_owned(),
                "Reply to this mail with the word “send” to have it sent, or with “cancel” to call it off. The word must \
                 be the first of your reply."
                    .to_owned(),
                format!("Without an answer by {until} it ends unsent."),
            ],
        ),
        (Asked::Sender, Language::Fr) => (
            TO_CONFIRM,
            vec![
                "Ce fax n'a pas été envoyé\u{a0}: il attend votre accord.".to_owned(),
                "Répondez à ce message par le mot «\u{a0}envoyer\u{a0}» pour l'envoyer, ou «\u{a0}annuler\u{a0}» pour y \
                 renoncer. Ce mot doit être le premier de votre réponse."
                    .to_owned(),
                format!("Sans réponse jusqu'au {until}, il ne sera pas envoyé."),
            ],
        ),
        (Asked::Other(by), Language::En) => (
            AWAITS_APPROVAL,
            vec![
                format!("This fax has not been sent: {by} was asked to approve it, and has until {until}."),
                "Reply to this mail with the word “cancel” to call it off.".to_owned(),
            ],
        ),
        (Asked::Other(by), Language::Fr) => (
            AWAITS_APPROVAL,
            vec![
                format!("Ce fax n'a pas été envoyé\u{a0}: {by} doit l'approuver, avant le {until}."),
                "Répondez à ce message par le mot «\u{a0}annuler\u{a0}» pour y renoncer.".to_owned(),
            ],
        ),
        (Asked::Approver(sender), Language::En) => (
            TO_APPROVE,
            vec![
                format!("{sender} wants to send this fax, and it needs your approval."),
                "Reply to this mail with the word “send” to approve it, or with “cancel” to refuse it. The word must be \
                 the first of your reply."
                    .to_owned(),
                format!("Without an answer by {until} it ends unsent."),
            ],
        ),
        (Asked::Approver(sender), Language::Fr) => (
            TO_APPROVE,
            vec![
                format!("{sender} veut envoyer ce fax, et votre approbation est nécessaire."),
                "Répondez à ce message par le mot «\u{a0}envoyer\u{a0}» pour l'approuver, ou «\u{a0}annuler\u{a0}» pour \
                 le refuser. Ce mot doit être le premier de votre réponse."
                    .to_owned(),
                format!("Sans réponse jusqu'au {until}, il ne sera pas envoyé."),
            ],
        ),
    };
    let blocks = parked.faxes.iter().map(|fax| {
        let standing = Standing::Parked(parked.until);
        let fax = Fax {
            standing,
            ..fax.clone()
        };
        let mut block = faxes::block(&fax, about);
        let why = fax.why.iter().map(|reason| reason.to(language));
        block.sentences.extend(why);
        block
    });
    faxes::write(
        about,
        title,
        lead,
        blocks.collect(),
        parked.preview.as_ref(),
    )
}
