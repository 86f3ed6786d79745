//! What a mail of the outbox is to bring: written in its purpose, which the relay does not read.
//!
//! `fax:ID:ADDRESS`, and with spaces between what sets it apart: `again-FORM-KEY` when it was asked for,
//! `part-LABEL/OF/FIRST-LAST` when it is one of several; `instead` when it goes to who answers for
//! the number; `unable` in the end when it says that the pages can't be had.

use crate::{letter::Portion, numbers::Form};

/// What the purpose of a delivery begins with.
pub(super) const PREFIX: &str = "fax:";

/// The last word of the purpose of a letter that went in the place of pages that could not be written. How the fax
/// ends depends on it (`settlement`).
const UNABLE: &str = " unable";

/// A mail that is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owed {
    pub received_id: String,
    /// The form that was asked for; `None`: the recipient's.
    pub form: Option<Form>,
    /// Its pages; `None`: all.
    pub portion: Option<Portion>,
    /// Its reader is no recipient of the number, but answers for it: nobody else could have it.
    pub instead: bool,
}

impl Owed {
    pub fn read(purpose: &str) -> Option<Self> {
        let (received_id, rest) = purpose.strip_prefix(PREFIX)?.split_once(':')?;
        let mut words = rest.split(' ');
        let _address = words.next()?;
        let (mut form, mut portion, mut instead) = (None, None, false);
        for word in words {
            if let Some(again) = word.strip_prefix("again-") {
                form = Some(again.split_once('-')?.0.parse().ok()?);
            } else if let Some(part) = word.strip_prefix("part-") {
                portion = Some(read_portion(part)?);
            } else if word == "instead" {
                instead = true;
            } else if word != UNABLE.trim_start() {
                return None;
            }
        }
        let received_id = received_id.to_owned();
        Some(Self {
            received_id,
            form,
            portion,
            instead,
        })
    }
}

/// The purpose of the mail that a fax's end owes to a recipient.
pub(super) fn purpose(received_id: &str, address: &str) -> String {
    // A space would end it.
    format!("{PREFIX}{received_id}:{}", address.replace(' ', "_"))
}

/// The purpose of one that was asked for later.
pub(super) fn purpose_again(received_id: &str, address: &str, form: Form, key: &str) -> String {
    format!(
        "{} again-{}-{key}",
        purpose(received_id, address),
        form.name()
    )
}

/// The purpose of one to who answers for the number, when it came back from its recipients.
pub(super) fn purpose_instead(received_id: &str, address: &str) -> String {
    format!("{} instead", purpose(received_id, address))
}

/// The purpose of a part of another.
pub(super) fn purpose_of_part(whole: &str, portion: &Portion) -> String {
    let whole = able(whole).split(" part-").next().unwrap_or_default();
    let Portion {
        label,
        of,
        first,
        last,
    } = portion;
    format!("{whole} part-{label}/{of}/{first}-{last}")
}

/// The purpose of the letter that goes in the place of another mail whose pages can't be written.
pub(super) fn purpose_unable(of: &str) -> String {
    format!("{}{UNABLE}", able(of))
}

fn able(purpose: &str) -> &str {
    purpose.strip_suffix(UNABLE).unwrap_or(purpose)
}

/// The Message-ID of a part: that of the whole with its label.
pub(super) fn message_id_of_part(whole: &str, portion: &Portion) -> String {
    let (left, host) = whole.split_once('@').unwrap_or((whole, "localhost"));
    let left = left.split(".part").next().unwrap_or_default();
    format!("{left}.part{}@{host}", portion.label)
}

fn read_portion(text: &str) -> Option<Portion> {
    let mut fields = text.split('/');
    let label = fields.next()?.to_owned();
    let of = fields.next()?.parse().ok()?;
    let (first, last) = fields.next()?.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (fields.next().is_none() && 0 < first && first <= last).then_some(Portion {
        label,
        of,
        first,
        last,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_says_what_is_owed() {
        let whole = purpose("01K", "a/b:c#d@example.com");
        let owed = |form, portion| Owed {
            received_id: "01K".into(),
            form,
            portion,
            instead: false,
        };
        let instead = Owed::read(&purpose_instead("01K", "a@example.com")).unwrap();
        assert!(instead.instead && instead.form.is_none());
        assert_eq!(Owed::read(&whole), Some(owed(None, None)));
        let again = purpose_again("01K", "a@example.com", Form::Jpeg, "K");
        assert_eq!(Owed::read(&again), Some(owed(Some(Form::Jpeg), None)));
        let part = Portion {
            label: "2".into(),
            of: 3,
            first: 4,
            last: 6,
        };
        let second = purpose_of_part(&again, &part);
        assert_eq!(
            Owed::read(&second),
            Some(owed(Some(Form::Jpeg), Some(part)))
        );
        // A part that is parted again is a part of the whole.
        let less = Portion {
            label: "2.1".into(),
            of: 3,
            first: 4,
            last: 4,
        };
        let third = purpose_of_part(&second, &less);
        assert_eq!(
            Owed::read(&third),
            Some(owed(Some(Form::Jpeg), Some(less.clone())))
        );
        assert_eq!(third.matches("part-").count(), 1);
        // A letter in a part's place is that part's.
        let unable = purpose_unable(&third);
        assert!(unable.ends_with(" unable"), "{unable}");
        assert_eq!(Owed::read(&unable), Owed::read(&third));
        assert_eq!(purpose_unable(&unable), unable);
        assert_eq!(purpose_of_part(&unable, &less), third);
        let id = message_id_of_part("01K.1a2b@gw.example", &less);
        assert_eq!(id, "01K.1a2b.part2.1@gw.example");
        assert_eq!(message_id_of_part(&id, &less), id);
        for wrong in [
            "report:1",
            "fax:1",
            "fax:1:a part-1/2/3",
            "fax:1:a part-1/2/0-1",
            "fax:1:a b",
        ] {
            assert_eq!(Owed::read(wrong), None, "{wrong}");
        }
    }
}
