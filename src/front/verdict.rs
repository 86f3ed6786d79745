//! What a client hears of a message, by recipient or for all of them.

use super::{Answer, house::Kept};

/// What became of a message, for each recipient that it has.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// For each number of the envelope.
    pub(super) numbers: Vec<Result<Kept, Answer>>,
    pub(super) postmaster: Option<Result<String, Answer>>,
}

impl Verdict {
    /// One answer for all (RFC 5321 §3.3): 250 only when it is kept for all.
    #[must_use]
    pub fn as_one(&self) -> Answer {
        let refused = self.numbers.iter().find_map(|kept| kept.as_ref().err());
        if let Some(answer) = refused {
            return answer.clone();
        }
        match (self.numbers.first(), &self.postmaster) {
            (_, Some(Err(answer))) => answer.clone(),
            (Some(Ok(kept)), Some(Ok(_))) => {
                kept_answer(format!("{}; the postmaster gets it too", kept_words(kept)))
            }
            (None, Some(Ok(_))) => self.of_postmaster(),
            _ => self.of_number(0),
        }
    }

    /// The answer for a number, by its place in the envelope (RFC 2033 §4.2).
    #[must_use]
    pub fn of_number(&self, index: usize) -> Answer {
        match self.numbers.get(index) {
            Some(Ok(kept)) => kept_answer(kept_words(kept)),
            Some(Err(answer)) => answer.clone(),
            None => nobody(),
        }
    }

    /// The answer for postmaster.
    #[must_use]
    pub fn of_postmaster(&self) -> Answer {
        match &self.postmaster {
            Some(Ok(id)) => kept_answer(format!("{id} is kept and goes to the postmaster")),
            Some(Err(answer)) => answer.clone(),
            None => nobody(),
        }
    }
}

fn kept_answer(words: String) -> Answer {
    Answer::new(250, "2.0.0", words)
}

/// No door asks for a verdict without recipients.
fn nobody() -> Answer {
    Answer::new(503, "5.5.1", "the mail has no recipient")
}

fn kept_words(kept: &Kept) -> String {
    let id = &kept.submission;
    match (kept.faxed, kept.again) {
        (_, 0) => format!("{id} is kept and will be faxed"),
        (0, _) => format!("{id} is kept since this mail came before: it is not faxed again"),
        (faxed, again) => format!(
            "{id} is kept and will be faxed to {faxed} of {}: the others had this mail before",
            faxed + again
        ),
    }
}
