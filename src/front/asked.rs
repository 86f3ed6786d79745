//! What a mail asks of its faxes, by who may ask it: times where they are, their own numbers, their billing codes.

use super::{
    Answer,
    house::{FaxRecipient, House},
    intake::later,
};
use crate::{
    clock::{Millis, now_ms},
    dial::{self, DialPlan, SubAddress},
    documents,
    options::{Fault, Options, Wishes},
    people::Terms,
    sender::Person,
};

/// Makes options of what the recipients' addresses and the mail ask, and gives each recipient its own.
///
/// # Errors
/// The answer to give: nothing is sent otherwise than it was asked for.
pub(super) async fn settle(
    house: &dyn House,
    plan: &DialPlan,
    person: &Person,
    wishes: Wishes,
    recipients: &mut [FaxRecipient],
) -> Result<Options, Answer> {
    let (tenant, user) = (&person.tenant_id, &person.user_id);
    let terms = house.terms(tenant, user).await;
    let terms = terms.map_err(|down| later(&down))?;
    let now = now_ms();
    let mail = granted(wishes.clone(), &terms, now)?;
    for recipient in recipients.iter_mut() {
        recipient.options = match recipient.wishes.is_empty() {
            true => mail.clone(),
            false => granted(recipient.wishes.clone().or(wishes.clone()), &terms, now)?,
        };
        let sub_address = recipient.options.sub_address.as_deref();
        if let (None, Some(text)) = (&recipient.sub_address, sub_address) {
            recipient.sub_address = SubAddress::from_record(text);
        }
        let code = recipient.options.code.as_deref();
        terms.codes.check(code).map_err(refused)?;
    }
    let mut mail = mail;
    if recipients
        .iter()
        .any(|one| documents::asks_for_list(&one.address))
    {
        mail.list = Some(true);
        recipients
            .iter_mut()
            .for_each(|one| one.options.list = Some(true));
    }
    let all = recipients
        .iter_mut()
        .map(|recipient| &mut recipient.options);
    let callers: Vec<&mut String> = all
        .chain([&mut mail])
        .filter_map(|options| options.caller.as_mut())
        .collect();
    if !callers.is_empty() {
        let own = house.callers(tenant, user).await;
        let own = own.map_err(|down| later(&down))?;
        for caller in callers {
            *caller = own_number(caller, plan, &own)?;
        }
    }
    Ok(mail)
}

fn granted(wishes: Wishes, terms: &Terms, now: Millis) -> Result<Options, Answer> {
    let settled = wishes.settle(now, &terms.time_zone);
    settled.map_err(|fault: Fault| Answer::new(554, "5.6.0", fault.to_string()))
}

/// Nobody calls as another.
fn own_number(written: &str, plan: &DialPlan, own: &[String]) -> Result<String, Answer> {
    let number = dial::parse(written, plan)
        .map_err(|fault| refused(format!("the fax option caller is no fax number: {fault}")))?;
    match own.iter().any(|own| own == number.as_str()) {
        true => Ok(number.to_string()),
        false => Err(refused(format!(
            "the fax option caller: {number} is not one of your own numbers, and nobody calls as another"
        ))),
    }
}

fn refused(why: impl std::fmt::Display) -> Answer {
    Answer::new(550, "5.7.1", why.to_string())
}
