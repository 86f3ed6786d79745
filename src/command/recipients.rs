//! Commands about those to whom the faxes of a number are mailed.

use super::{
    CommandError, Gateway,
    directory::{e164, mail_address},
    grammar::Line,
};
use crate::{
    inbox::{self, Redelivery},
    numbers::{self, Form, Number, Recipient},
    store::Store,
    vault::Vault,
};

const SETTINGS: &str = "form, password or large";
/// Octets of a password: a few are found by trying, and readers take 127 at most (ISO 32000-2 §7.6.4.3.3).
const PASSWORD: std::ops::RangeInclusive<usize> = 8..=127;

/// `add recipient ADDRESS to +NUMBER [FORM ...]`
pub(super) async fn add(gateway: Gateway<'_>, line: &mut Line<'_>) -> Result<String, CommandError> {
    line.literal("recipient")?;
    let address = mail_address(line)?;
    line.literal("to")?;
    let number = number(gateway.store, line).await?;
    let (tenant_id, number_id) = (&number.tenant_id, &number.number_id);
    let known = numbers::recipient(gateway.store, tenant_id, number_id, &address).await?;
    if known.is_some() {
        return Err(CommandError::Refused(format!(
            "faxes for {} are mailed to {address} already: `set recipient` changes how",
            number.e164
        )));
    }
    let mut recipient = Recipient {
        tenant_id: tenant_id.clone(),
        number_id: number_id.clone(),
        address: address.trim().to_lowercase(),
        form: Form::default(),
        large: numbers::Large::default(),
        password: None,
    };
    change(gateway, &mut recipient, line)?;
    let mut tx = gateway.store.begin().await?;
    numbers::add_recipient(&mut tx, tenant_id, number_id, &recipient.address).await?;
    numbers::change_recipient(&mut tx, &recipient).await?;
    tx.commit().await?;
    Ok(format!("{}: {}", number.e164, words(&recipient)))
}

/// `set recipient ADDRESS of +NUMBER FORM ...`
pub(super) async fn set(gateway: Gateway<'_>, line: &mut Line<'_>) -> Result<String, CommandError> {
    let (number, mut recipient) = named(gateway.store, line).await?;
    if line.peek().is_none() {
        line.word(SETTINGS)?;
    }
    change(gateway, &mut recipient, line)?;
    let mut tx = gateway.store.begin().await?;
    numbers::change_recipient(&mut tx, &recipient).await?;
    tx.commit().await?;
    Ok(format!("{}: {}", number.e164, words(&recipient)))
}

/// `remove recipient ADDRESS of +NUMBER`
pub(super) async fn remove(store: &Store, line: &mut Line<'_>) -> Result<String, CommandError> {
    let (number, recipient) = named(store, line).await?;
    line.end()?;
    let mut tx = store.begin().await?;
    numbers::remove_recipient(&mut tx, &recipient).await?;
    tx.commit().await?;
    let left = numbers::recipients_of(store, &number.tenant_id, &number.number_id).await?;
    Ok(if left.is_empty() {
        format!(
            "{} has no recipients now: calls to it are refused",
            number.e164
        )
    } else {
        format!("faxes for {} are mailed to {}", number.e164, left.join(" "))
    })
}

/// `show number +NUMBER`
pub(super) async fn show(store: &Store, line: &mut Line<'_>) -> Result<String, CommandError> {
    line.literal("number")?;
    let number = number(store, line).await?;
    line.end()?;
    let recipients = numbers::recipients(store, &number.tenant_id, &number.number_id).await?;
    let mut text = format!("{}  {}", number.e164, number.title);
    for recipient in &recipients {
        text += &format!("\n  {}", words(recipient));
    }
    if recipients.is_empty() {
        text += "\n  no recipients: calls to it are refused";
    }
    Ok(text)
}

/// `deliver FAX to ADDRESS [form FORM]`
pub(super) async fn deliver(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    let fax = line.word("the id of a received fax, as its letter gives it")?;
    let fax = fax.to_ascii_uppercase();
    line.literal("to")?;
    let address = mail_address(line)?;
    let mut form = None;
    if line.peek().is_some() {
        line.literal("form")?;
        form = Some(self::form(line)?).filter(|form| *form != Form::Notice);
    }
    line.end()?;
    let done = inbox::deliver_again(gateway.store, &fax, &address, form, gateway.hostname).await?;
    match done {
        Redelivery::Owed(form) => Ok(format!(
            "fax {fax} is mailed to {address} as {}",
            form.name()
        )),
        Redelivery::NoFax => Err(CommandError::Refused(format!(
            "there is no received fax {fax}"
        ))),
        Redelivery::Gone => Err(CommandError::Refused(format!(
            "the pages of {fax} are gone: it was delivered, or its time here is over (retention.toml)"
        ))),
        Redelivery::NotTheirs => Err(CommandError::Refused(format!(
            "{address} is no recipient of the number that {fax} came to: `add recipient` makes it one"
        ))),
    }
}

async fn number(store: &Store, line: &mut Line<'_>) -> Result<Number, CommandError> {
    let e164 = e164(line)?;
    numbers::number_by_e164(store, &e164).await?.ok_or_else(|| {
        CommandError::Refused(format!(
            "{e164} is no number here: `show numbers` lists them"
        ))
    })
}

async fn named(store: &Store, line: &mut Line<'_>) -> Result<(Number, Recipient), CommandError> {
    line.literal("recipient")?;
    let address = mail_address(line)?;
    line.literal("of")?;
    let number = number(store, line).await?;
    let found = numbers::recipient(store, &number.tenant_id, &number.number_id, &address).await?;
    let recipient = found.ok_or_else(|| {
        CommandError::Refused(format!(
            "{address} is no recipient of {}: `show number {}` lists them",
            number.e164, number.e164
        ))
    })?;
    Ok((number, recipient))
}

fn change(
    gateway: Gateway<'_>,
    recipient: &mut Recipient,
    line: &mut Line<'_>,
) -> Result<(), CommandError> {
    while let Some(setting) = line.next() {
        match setting.as_str() {
            "form" => recipient.form = form(line)?,
            "large" => {
                let expected = "split or notice";
                let word = line.word(expected)?;
                recipient.large = word
                    .parse()
                    .map_err(|_| line.mistake(&format!("{word:?}"), expected))?;
            }
            "password" => password(gateway, recipient, line)?,
            other => return Err(line.mistake(&format!("{other:?}"), SETTINGS).into()),
        }
    }
    // Whoever set a password must not get the fax in the clear.
    if recipient.password.is_some() && !matches!(recipient.form, Form::Pdf | Form::Notice) {
        return Err(CommandError::Refused(format!(
            "{} has a password, which only form pdf can have: set form pdf, or password none",
            recipient.address
        )));
    }
    Ok(())
}

fn form(line: &mut Line<'_>) -> Result<Form, CommandError> {
    let expected = "pdf, pdfa, tiff, png, jpeg or notice";
    let word = line.word(expected)?;
    word.parse().map_err(|_| {
        line.mistake(&format!("{word:?} is no form"), expected)
            .into()
    })
}

fn password(
    gateway: Gateway<'_>,
    recipient: &mut Recipient,
    line: &mut Line<'_>,
) -> Result<(), CommandError> {
    let expected = "none, or from 8 to 127 letters, digits and signs of ASCII";
    let word = zeroize::Zeroizing::new(line.word(expected)?);
    if *word == "none" {
        recipient.password = None;
        return Ok(());
    }
    // Other letters are written in more than one way, and readers differ in which they compare.
    let plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if !PASSWORD.contains(&word.len()) || !word.bytes().all(plain) {
        return Err(line.mistake("the password does not fit", expected).into());
    }
    let keys = gateway.keys;
    let sealed =
        Vault::open(keys).and_then(|vault| recipient.seal_password(&vault, word.as_bytes()));
    sealed.map_err(|error| {
        CommandError::Refused(format!(
            "the password can't be sealed ({error}): the folder of keys, {}, must be writable",
            keys.display()
        ))
    })
}

/// How a recipient gets faxes; of the password only that there is one.
fn words(recipient: &Recipient) -> String {
    let password = if recipient.password.is_some() {
        " with a password"
    } else {
        ""
    };
    let (form, large) = (recipient.form.name(), recipient.large.name());
    format!(
        "{}  form {form}{password}, large {large}",
        recipient.address
    )
}
