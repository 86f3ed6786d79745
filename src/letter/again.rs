//! A mail that came a second time and was not faxed twice.

use super::{
    LetterError,
    faxes::{self, About, Fax},
};
use crate::language::{Language, Say, say};

const TWICE: Say = say("Came twice, faxed once", "Reçu deux fois, faxé une fois");

/// A mail that came again.
#[derive(Clone, Debug)]
pub struct Again {
    /// Whom it is for.
    pub about: About,
    /// The destinations of the first one, as they stand.
    pub faxes: Vec<Fax>,
}

/// Writes the letter.
///
/// # Errors
/// [`LetterError`].
pub fn again(letter: &Again) -> Result<Vec<u8>, LetterError> {
    let about = &letter.about;
    let lead = match about.language {
        Language::En => vec![
            "A copy of this mail came in. It is faxed once: the copy was accepted and makes no second fax.".to_owned(),
            "To fax the document twice, send it in a new mail of its own. If you sent it once only, a mail server on its \
             way has doubled it, or somebody who has your mail has sent it too: tell your administrator if that goes on."
                .to_owned(),
        ],
        Language::Fr => vec![
            "Une copie de ce message est arrivée. Il n'est faxé qu'une fois\u{a0}: la copie a été acceptée, sans second fax."
                .to_owned(),
            "Pour faxer le document deux fois, envoyez-le dans un nouveau message. Si vous ne l'avez envoyé qu'une fois, un \
             serveur de messagerie l'a dupliqué, ou quelqu'un qui a votre message l'a aussi envoyé\u{a0}: prévenez votre \
             administrateur si cela se répète."
                .to_owned(),
        ],
    };
    let blocks = letter.faxes.iter().map(|fax| faxes::block(fax, about));
    faxes::write(about, TWICE, lead, blocks.collect(), None)
}
