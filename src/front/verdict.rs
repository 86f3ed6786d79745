//! What a client hears of a message, by recipient or for all of them.

use super::{Answer, house::Kept};

/// Reasons in one answer for many numbers.
const REASONS: usize = 10;

/// What became of a message, for each recipient that it has.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// For each number of the envelope, then for each name.
    pub(super) numbers: Vec<Result<Kept, Answer>>,
    pub(super) postmaster: Option<Result<String, Answer>>,
    /// Where it replies to a mail of ours.
    pub(super) reply: Option<Result<String, Answer>>,
    /// For each return path of ours.
    pub(super) returned: Vec<Result<(), Answer>>,
}

impl Verdict {
    /// One answer for all (RFC 5321 §3.3): 250 when it is kept for some, who is refused then is told by a letter.
    #[must_use]
    pub fn as_one(&self) -> Answer {
        if self.reply.is_some() {
            return self.of_reply();
        }
        if let Some(answer) = self.returned.iter().find_map(|said| said.as_ref().err()) {
            return answer.clone();
        }
        let kept = self.numbers.iter().find_map(|kept| kept.as_ref().ok());
        let refused = self.numbers.iter().filter(|kept| kept.is_err()).count();
        match (kept, &self.postmaster) {
            (_, Some(Err(answer))) => answer.clone(),
            (Some(kept), postmaster) => {
                let mut words = kept_words(kept);
                if refused > 0 {
                    let all = self.numbers.len();
                    words += &format!("; a mail tells why {refused} of {all} numbers are refused");
                }
                if postmaster.is_some() {
                    words += "; the postmaster gets it too";
                }
                kept_answer(words)
            }
            (None, _) if refused > 0 => self.all_refused(),
            (None, Some(Ok(_))) => self.of_postmaster(),
            (None, None) => self.of_returned(0),
        }
    }

    /// The first refusal, with the reasons of the others that have another.
    fn all_refused(&self) -> Answer {
        let mut answers = self.numbers.iter().filter_map(|kept| kept.as_ref().err());
        let Some(mut answer) = answers.next().cloned() else {
            return nobody();
        };
        let mut reasons = vec![answer.text.clone()];
        for other in answers {
            if !reasons.contains(&other.text) && reasons.len() < REASONS {
                reasons.push(other.text.clone());
            }
        }
        answer.text = reasons.join("; ").into();
        answer
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

    /// The answer for a reply to a mail of ours.
    #[must_use]
    pub fn of_reply(&self) -> Answer {
        match &self.reply {
            Some(Ok(done)) => kept_answer(done.clone()),
            Some(Err(answer)) => answer.clone(),
            None => nobody(),
        }
    }

    /// The answer for a return path of ours, by its place in the envelope.
    #[must_use]
    pub fn of_returned(&self, index: usize) -> Answer {
        match self.returned.get(index) {
            Some(Ok(())) => kept_answer("the report is heeded".to_owned()),
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
