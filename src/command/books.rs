//! Commands of phone books: contacts and contact groups, of a tenant or of one user.

use super::{
    CommandError, Gateway,
    directory::{of_tenant, taken, user},
    grammar::Line,
};
use crate::{
    books::{self, Contact, ContactGroup, NAMES, Owner},
    dial::{self, Destination, SubAddress},
    store::Store,
};

/// Whether a command is about a phone book.
pub(super) fn is_ours(word: Option<&str>) -> bool {
    matches!(
        word,
        Some("contact" | "contacts" | "contact-group" | "contact-groups")
    )
}

/// `add contact NAME +NUMBER [VALUE ...] [of TENANT|for ADDRESS]`, `add contact-group NAME [CONTACT ...] […]`
pub(super) async fn add(gateway: Gateway<'_>, line: &mut Line<'_>) -> Result<String, CommandError> {
    let what = line.word("contact or contact-group")?;
    let name = entry_name(line)?;
    if what == "contact-group" {
        return add_group(gateway, line, &name).await;
    }
    let mut contact = Contact {
        contact_id: String::new(),
        name,
        title: String::new(),
        number: number(line)?,
        sub_address: None,
    };
    let owner = values(gateway.store, line, &mut contact).await?;
    let mut tx = gateway.store.begin().await?;
    let added = books::add_contact(&mut tx, &owner, &contact).await;
    added.map_err(taken(format!(
        "there is a contact {} already: `set contact` changes it",
        contact.name
    )))?;
    tx.commit().await?;
    Ok(words(&contact))
}

async fn add_group(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
    name: &str,
) -> Result<String, CommandError> {
    let (names, owner) = names(gateway.store, line).await?;
    let mut found = Vec::new();
    for name in &names {
        found.push(known(gateway.store, &owner, name).await?);
    }
    let mut tx = gateway.store.begin().await?;
    let added = books::add_group(&mut tx, &owner, name).await;
    let group_id = added.map_err(taken(format!(
        "there is a contact group {name} already: `set contact-group` changes it"
    )))?;
    for contact in &found {
        books::add_member(&mut tx, &owner.tenant_id, &group_id, &contact.contact_id).await?;
    }
    tx.commit().await?;
    show_group(gateway.store, &owner, name).await
}

/// `set contact NAME VALUE ... […]`, `set contact-group NAME add|remove CONTACT [CONTACT ...] […]`
pub(super) async fn set(gateway: Gateway<'_>, line: &mut Line<'_>) -> Result<String, CommandError> {
    let what = line.word("contact or contact-group")?;
    let name = entry_name(line)?;
    if what == "contact-group" {
        return set_group(gateway, line, &name).await;
    }
    if line.peek().is_none() {
        return Err(line.mistake("nothing to set", VALUES).into());
    }
    // Whose it is stands behind what is to be set.
    let mut asked = Contact {
        contact_id: String::new(),
        name: name.clone(),
        title: "\0".into(),
        number: String::new(),
        sub_address: Some(String::new()),
    };
    let owner = values(gateway.store, line, &mut asked).await?;
    let mut contact = known(gateway.store, &owner, &name).await?;
    if asked.title != "\0" {
        contact.title = asked.title;
    }
    if !asked.number.is_empty() {
        contact.number = asked.number;
    }
    if asked.sub_address.as_deref() != Some("") {
        contact.sub_address = asked.sub_address;
    }
    let mut tx = gateway.store.begin().await?;
    books::change_contact(&mut tx, &owner, &contact).await?;
    tx.commit().await?;
    Ok(words(&contact))
}

async fn set_group(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
    name: &str,
) -> Result<String, CommandError> {
    let adds = match line.word("add or remove")?.as_str() {
        "add" => true,
        "remove" => false,
        other => {
            return Err(line
                .mistake(&format!("{other:?}"), "add or remove, and contacts")
                .into());
        }
    };
    let (names, owner) = names(gateway.store, line).await?;
    if names.is_empty() {
        return Err(line
            .mistake("no contact is named", "names of contacts")
            .into());
    }
    let group = known_group(gateway.store, &owner, name).await?;
    let mut tx = gateway.store.begin().await?;
    for name in &names {
        let contact = known(gateway.store, &owner, name).await?;
        let (tenant, id) = (&owner.tenant_id, &contact.contact_id);
        if adds {
            books::add_member(&mut tx, tenant, &group.group_id, id).await?;
        } else if !books::remove_member(&mut tx, tenant, &group.group_id, id).await? {
            return Err(CommandError::Refused(format!(
                "{name} is not in {}: `show contact-group {}` lists who is",
                group.name, group.name
            )));
        }
    }
    tx.commit().await?;
    show_group(gateway.store, &owner, name).await
}

/// `remove contact NAME […]`, `remove contact-group NAME […]`
pub(super) async fn remove(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    let what = line.word("contact or contact-group")?;
    let name = entry_name(line)?;
    let owner = owner(gateway.store, line).await?;
    line.end()?;
    let mut tx;
    if what == "contact-group" {
        let group = known_group(gateway.store, &owner, &name).await?;
        tx = gateway.store.begin().await?;
        books::remove_group(&mut tx, &owner, &group.group_id).await?;
    } else {
        let contact = known(gateway.store, &owner, &name).await?;
        tx = gateway.store.begin().await?;
        books::remove_contact(&mut tx, &owner, &contact).await?;
    }
    tx.commit().await?;
    Ok(format!("{name} is removed"))
}

/// `show contacts […]`, `show contact NAME […]`, `show contact-groups […]`, `show contact-group NAME […]`
pub(super) async fn show(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    let store = gateway.store;
    let what = line.word("contact, contacts, contact-group or contact-groups")?;
    let name = match what.ends_with('s') {
        true => None,
        false => Some(entry_name(line)?),
    };
    let owner = owner(store, line).await?;
    line.end()?;
    let rows: Vec<String> = match (what.as_str(), name) {
        ("contact", Some(name)) => return Ok(words(&known(store, &owner, &name).await?)),
        (_, Some(name)) => return show_group(store, &owner, &name).await,
        ("contacts", None) => books::contacts(store, &owner)
            .await?
            .iter()
            .map(words)
            .collect(),
        (_, None) => books::groups(store, &owner)
            .await?
            .iter()
            .map(group_words)
            .collect(),
    };
    Ok(if rows.is_empty() {
        "none".to_owned()
    } else {
        rows.join("\n")
    })
}

async fn show_group(store: &Store, owner: &Owner, name: &str) -> Result<String, CommandError> {
    Ok(group_words(&known_group(store, owner, name).await?))
}

const VALUES: &str =
    "number +NUMBER, title TITLE, sub-address DIGITS|none, of TENANT or for ADDRESS";

/// Reads the values of a contact, and whose it is.
async fn values(
    store: &Store,
    line: &mut Line<'_>,
    contact: &mut Contact,
) -> Result<Owner, CommandError> {
    while let Some(word) = line.peek() {
        match word {
            "number" => {
                line.literal("number")?;
                contact.number = number(line)?;
            }
            "title" => {
                line.literal("title")?;
                contact.title = line.word("who it is, for covers")?;
            }
            "sub-address" => {
                line.literal("sub-address")?;
                let word = line.word("digits, # and *, or none")?;
                contact.sub_address = match word.as_str() {
                    "none" => None,
                    text => {
                        let sub = SubAddress::from_record(text).ok_or_else(|| {
                            line.mistake(&format!("{text:?}"), "1 to 20 digits, # and *, or none")
                        })?;
                        Some(sub.to_string())
                    }
                };
            }
            _ => break,
        }
    }
    let owner = owner(store, line).await?;
    if let Some(word) = line.next() {
        return Err(line.mistake(&format!("{word:?}"), VALUES).into());
    }
    Ok(owner)
}

/// Names of contacts, and whose they are.
async fn names(store: &Store, line: &mut Line<'_>) -> Result<(Vec<String>, Owner), CommandError> {
    let mut names = Vec::new();
    while !matches!(line.peek(), None | Some("of" | "for")) {
        names.push(entry_name(line)?);
    }
    let owner = owner(store, line).await?;
    line.end()?;
    Ok((names, owner))
}

/// `for ADDRESS`: a user's own; `of TENANT`, or nothing: a tenant's.
async fn owner(store: &Store, line: &mut Line<'_>) -> Result<Owner, CommandError> {
    if line.peek() == Some("for") {
        line.literal("for")?;
        let user = user(store, &line.word("an address of the user")?).await?;
        return Ok(Owner {
            tenant_id: user.tenant_id,
            user_id: Some(user.user_id),
        });
    }
    let tenant = of_tenant(store, line).await?;
    Ok(Owner {
        tenant_id: tenant.tenant_id,
        user_id: None,
    })
}

fn entry_name(line: &mut Line<'_>) -> Result<String, CommandError> {
    let word = line.word("the name of a contact or group")?;
    let name = books::entry_name(&word);
    Ok(name.ok_or_else(|| line.mistake(&format!("{word:?} is no name"), NAMES))?)
}

fn number(line: &mut Line<'_>) -> Result<String, CommandError> {
    let word = line.word("a number as +33123456789")?;
    let number = Destination::from_record(&word)
        .ok_or_else(|| line.mistake(&format!("{word:?} is no number"), "one as +33123456789"))?;
    dial::possible(&number)
        .map_err(|why| line.mistake(&why.to_string(), "a number that can exist"))?;
    Ok(number.to_string())
}

async fn known(store: &Store, owner: &Owner, name: &str) -> Result<Contact, CommandError> {
    let found = books::contact(store, owner, name).await?;
    found.ok_or_else(|| {
        CommandError::Refused(format!(
            "there is no contact {name} in that phone book: `show contacts` lists them"
        ))
    })
}

async fn known_group(
    store: &Store,
    owner: &Owner,
    name: &str,
) -> Result<ContactGroup, CommandError> {
    let found = books::group(store, owner, name).await?;
    found.ok_or_else(|| {
        CommandError::Refused(format!(
            "there is no contact group {name} in that phone book: `show contact-groups` lists them"
        ))
    })
}

fn words(contact: &Contact) -> String {
    let mut text = format!("{}  {}", contact.name, contact.number);
    if let Some(sub_address) = &contact.sub_address {
        text += &format!("/T33S={sub_address}");
    }
    if !contact.title.is_empty() {
        text += &format!("  {}", contact.title);
    }
    text
}

fn group_words(group: &ContactGroup) -> String {
    let names: Vec<&str> = group.members.iter().map(|one| one.name.as_str()).collect();
    match names.is_empty() {
        true => format!("{}  (empty)", group.name),
        false => format!("{}  {}", group.name, names.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::{command::testing, store::testing::on_each_database};

    on_each_database! {
        async fn phone_books_are_kept(store) {
            let run = async |line: &str| testing::run(&store, Path::new("/nowhere"), line, &[]).await;
            assert!(run("add tenant North domain fax.example.com").await.is_ok());
            assert!(run("add user ada@example.com").await.is_ok());
            assert_eq!(
                run("add contact Jo.Doe +33123456789 title \"Jo Doe\" sub-address 12").await.unwrap(),
                "jo.doe  +33123456789/T33S=12  Jo Doe"
            );
            assert!(run("add contact jo.doe +33123456780").await.unwrap_err().contains("already"));
            run("add contact jo.doe +33123456780 for ada@example.com").await.unwrap();
            run("add contact max +4930123456").await.unwrap();
            assert_eq!(run("add contact-group board jo.doe max").await.unwrap(), "board  jo.doe max");
            assert_eq!(run("set contact-group board remove max").await.unwrap(), "board  jo.doe");
            assert_eq!(
                run("set contact jo.doe sub-address none number +33123456781").await.unwrap(),
                "jo.doe  +33123456781  Jo Doe"
            );
            assert_eq!(run("show contacts for ada@example.com").await.unwrap(), "jo.doe  +33123456780");
            assert_eq!(run("show contact-groups").await.unwrap(), "board  jo.doe");
            for (wrong, why) in [
                ("add contact list +33123456789", "meaning of its own"),
                ("add contact x 0123456789", "one as +33123456789"),
                ("add contact x +3312", "can exist"),
                ("set contact nobody title x", "no contact nobody"),
                ("set contact jo.doe", "nothing to set"),
                ("set contact-group board remove max", "not in board"),
                ("add contact-group other nobody", "no contact nobody"),
                ("add contact x +33123456789 colour red", "colour"),
            ] {
                let told = run(wrong).await.unwrap_err();
                assert!(told.contains(why), "{wrong}: {told}");
            }
            assert_eq!(run("remove contact jo.doe").await.unwrap(), "jo.doe is removed");
            assert_eq!(run("show contact-group board").await.unwrap(), "board  (empty)");
            assert_eq!(run("remove contact-group board").await.unwrap(), "board is removed");
        }
    }
}
