//! Recipients that are no numbers: contacts, contact groups, and the list that comes with the mail. What they stand for
//! is looked up when it is known who sends, and no sooner: whom somebody knows is nobody's business.

use std::sync::Arc;

use mail_parser::MessageParser;

use super::{
    Answer,
    house::{FaxRecipient, House},
    intake::{Denied, Intake, later},
    rows,
};
use crate::{
    dial::{self, Destination, DialPlan, SubAddress},
    documents,
    language::Told,
    letter::{Part, Refused},
    options::{Options, Wishes},
    sender::Person,
};

/// A recipient by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Small letters: see [`crate::books::entry_name`], or [`documents::LIST`].
    pub name: String,
    /// What the address asks.
    pub wishes: Wishes,
    /// The address in RCPT, as it was given.
    pub address: String,
    /// DSN NOTIFY.
    pub notify: Option<String>,
    /// DSN ORCPT.
    pub orcpt: Option<String>,
}

/// Whom names stand for.
#[derive(Default)]
pub(super) struct Found {
    pub recipients: Vec<FaxRecipient>,
    /// Numbers and lines of a list that can't be faxed, where others of the same name are.
    pub refused: Vec<Refused>,
}

/// Looks all names of a mail up, for who sends. `taken`: the numbers that it has anyway. Of each name what became of it.
///
/// # Errors
/// The answer to give for all.
pub(super) async fn all(
    intake: &Intake,
    person: &Person,
    names: &[Named],
    taken: &[FaxRecipient],
    message: &Arc<Vec<u8>>,
) -> Result<(Found, Vec<Result<(), Answer>>), Answer> {
    let (mut all, mut said) = (Found::default(), Vec::with_capacity(names.len()));
    for named in names {
        let found = look_up(&*intake.house, &intake.plan, person, named, message).await;
        let found = match found {
            Ok(found) => found,
            Err(answer) => {
                said.push(Err(answer));
                continue;
            }
        };
        all.refused.extend(found.refused);
        let (before, mut denied) = (all.recipients.len(), None);
        for recipient in found.recipients {
            let to = |other: &FaxRecipient| {
                (&other.destination, &other.sub_address)
                    == (&recipient.destination, &recipient.sub_address)
            };
            // One fax to each, whichever name it has.
            if taken.iter().chain(&all.recipients).any(to) {
                denied = denied.or(Some(Ok(())));
                continue;
            }
            match intake.allowed(person, &recipient.destination).await {
                Ok(()) => all.recipients.push(recipient),
                Err(Denied {
                    why: Some(why),
                    answer,
                }) => {
                    all.refused.push(Refused {
                        part: Part::Recipient,
                        name: recipient.destination.to_string(),
                        why,
                    });
                    denied = Some(Err(answer));
                }
                Err(Denied { answer, .. }) => return Err(answer),
            }
        }
        let none = all.recipients.len() == before;
        said.push(denied.filter(|_| none).unwrap_or(Ok(())));
    }
    Ok((all, said))
}

/// Looks a name up, for who sends.
///
/// # Errors
/// The answer to give.
async fn look_up(
    house: &dyn House,
    plan: &DialPlan,
    person: &Person,
    named: &Named,
    message: &Arc<Vec<u8>>,
) -> Result<Found, Answer> {
    if named.name == documents::LIST {
        return of_list(plan, named, message);
    }
    let found = house
        .contacts(&person.tenant_id, &person.user_id, &named.name)
        .await;
    let contacts = found.map_err(|down| later(&down))?;
    let contacts = contacts.ok_or_else(|| nobody(&named.name))?;
    if contacts.is_empty() {
        return Err(Answer::new(
            550,
            "5.1.1",
            format!(
                "the contact group {} is empty: put contacts into it first",
                named.name
            ),
        ));
    }
    let mut recipients = Vec::with_capacity(contacts.len());
    let several = contacts.len() > 1;
    for contact in contacts {
        // Its number is dialled by today's plan, whenever it was written down.
        let number = dial::parse(&contact.number, plan).map_err(|fault| {
            Answer::new(
                550,
                "5.1.3",
                format!(
                    "the number of the contact {} can't be faxed: {fault}",
                    contact.name
                ),
            )
        })?;
        let sub_address = contact
            .sub_address
            .as_deref()
            .and_then(SubAddress::from_record);
        // What the To line calls a group is nobody in it.
        let name = Some(contact.title).filter(|title| several || !title.is_empty());
        recipients.push(one_of(
            named,
            (number, sub_address),
            name,
            named.wishes.clone(),
        ));
    }
    Ok(Found {
        recipients,
        refused: Vec::new(),
    })
}

fn of_list(plan: &DialPlan, named: &Named, message: &[u8]) -> Result<Found, Answer> {
    let list = MessageParser::default()
        .parse(message)
        .and_then(|mail| documents::list(&mail));
    let refused = |words: String| Answer::new(550, "5.6.0", words);
    let list = list.ok_or_else(|| {
        refused(
            "a mail to list@ has its list with it: attach distribution-list.csv (or .txt), with a number in each line"
                .into(),
        )
    })?;
    let (rows, bad) = rows::read(&list, plan).ok_or_else(|| {
        refused(format!(
            "the distribution list is longer than {} rows or {} KB: send it in parts",
            rows::MOST_ROWS,
            rows::LARGEST >> 10
        ))
    })?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let to = (row.address.destination, row.address.sub_address);
        all.push(one_of(
            named,
            to,
            Some(row.name),
            row.wishes.or(named.wishes.clone()),
        ));
    }
    if all.is_empty() {
        let first = bad.first().map_or_else(
            || "it has no line with a number".to_owned(),
            |bad| format!("line {}: {}", bad.line, bad.why),
        );
        return Err(refused(format!(
            "nothing of the distribution list can be faxed: {first}"
        )));
    }
    let bad = bad.into_iter().map(|bad| Refused {
        part: Part::Recipient,
        name: format!("distribution-list:{}", bad.line),
        why: Told {
            en: bad.why.clone(),
            fr: bad.why,
        },
    });
    Ok(Found {
        recipients: all,
        refused: bad.collect(),
    })
}

/// One of those that a name stands for.
fn one_of(
    named: &Named,
    (destination, sub_address): (Destination, Option<SubAddress>),
    name: Option<String>,
    wishes: Wishes,
) -> FaxRecipient {
    FaxRecipient {
        destination,
        sub_address,
        name,
        address: named.address.clone(),
        wishes,
        options: Options::default(),
        notify: named.notify.clone(),
        orcpt: named.orcpt.clone(),
    }
}

/// The answer for a name that nobody has.
pub(super) fn nobody(name: &str) -> Answer {
    Answer::new(
        550,
        "5.1.1",
        format!(
            "{name} is no fax number and no contact or contact group of yours: write the number, as in +33123456789@, or \
             have the contact added"
        ),
    )
}
