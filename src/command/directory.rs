//! Commands that bring a gateway into service: tenants, users, numbers; those of trunks are beside.

use std::path::Path;

use super::{CommandError, grammar::Line, trunks};
use crate::{
    dial,
    language::Language,
    numbers::{self, NewNumber},
    people::{self, NewTenant, NewUser, Plan, Role, Tenant},
    store::{Store, StoreError},
};

pub(super) async fn add(
    store: &Store,
    keys: &Path,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    match line
        .word("tenant, user, address, number, recipient, profile, secret, cover, mailbox or trunk")?
        .as_str()
    {
        "tenant" => add_tenant(store, line).await,
        "user" => add_user(store, line).await,
        "address" => add_address(store, line).await,
        "number" => add_number(store, line).await,
        "trunk" => trunks::add(store, keys, line).await,
        other => Err(line
            .mistake(
                &format!("{other:?} can't be added"),
                "tenant, user, address, number, recipient, profile, secret, cover, mailbox or trunk",
            )
            .into()),
    }
}

pub(super) async fn set(
    store: &Store,
    keys: &Path,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    match line
        .word("password, recipient, profile, tenant, logo, mailbox or trunk")?
        .as_str()
    {
        "password" => set_password(store, line).await,
        "trunk" => trunks::set(store, keys, line).await,
        other => Err(line
            .mistake(
                &format!("{other:?} can't be set"),
                "password, recipient, profile, tenant, logo, mailbox or trunk",
            )
            .into()),
    }
}

pub(super) async fn show(store: &Store, line: &mut Line<'_>) -> Result<String, CommandError> {
    let rows: Vec<String> = match line
        .word("users, numbers, trunks, mailboxes, profiles, secrets, covers, number, tenant, trunk, mailbox, profile or cover")?
        .as_str()
    {
        "users" => people::all_users(store)
            .await?
            .into_iter()
            .map(|user| format!("{}  {}  {}", user.address, user.name, user.role.name()))
            .collect(),
        "numbers" => {
            let mut rows = Vec::new();
            for number in numbers::all_numbers(store).await? {
                let to =
                    numbers::recipients_of(store, &number.tenant_id, &number.number_id).await?;
                rows.push(format!(
                    "{}  {}  to {}",
                    number.e164,
                    number.title,
                    to.join(" ")
                ));
            }
            rows
        }
        "trunks" => trunks::list(store).await?,
        "trunk" => return trunks::show(store, line).await,
        other => {
            return Err(line
                .mistake(
                    &format!("{other:?} can't be shown"),
                    "users, numbers, trunks, mailboxes, profiles, secrets, covers, number, tenant, trunk, mailbox, profile or cover",
                )
                .into());
        }
    };
    Ok(if rows.is_empty() {
        "none".into()
    } else {
        rows.join("\n")
    })
}

pub(super) async fn remove(store: &Store, line: &mut Line<'_>) -> Result<String, CommandError> {
    match line
        .word("recipient, secrets, trunk, mailbox, profile, cover or logo")?
        .as_str()
    {
        "trunk" => trunks::remove(store, line).await,
        other => Err(line
            .mistake(
                &format!("{other:?} can't be removed"),
                "recipient, secrets, trunk, mailbox, profile, cover or logo",
            )
            .into()),
    }
}

async fn add_tenant(store: &Store, line: &mut Line<'_>) -> Result<String, CommandError> {
    let name = line.word("the tenant's name")?;
    line.literal("domain")?;
    let domain = line.word("a mail domain")?;
    let (mut language, mut time_zone) = (Language::En, String::from("UTC"));
    while let Some(option) = line.next() {
        match option.as_str() {
            "language" => {
                let code = line.word("en or fr")?;
                language = code
                    .parse()
                    .map_err(|_| line.mistake(&format!("{code:?} is no language"), "en or fr"))?;
            }
            "zone" => {
                time_zone = line.word("a time zone as Europe/Paris")?;
                if jiff::tz::TimeZone::get(&time_zone).is_err() {
                    return Err(line
                        .mistake(
                            &format!("{time_zone:?} is no time zone"),
                            "one as Europe/Paris",
                        )
                        .into());
                }
            }
            other => {
                return Err(line
                    .mistake(&format!("{other:?}"), "language or zone")
                    .into());
            }
        }
    }
    let mut tx = store.begin().await?;
    let tenant = NewTenant {
        name: name.clone(),
        language,
        time_zone,
    };
    let tenant_id = people::create_tenant(&mut tx, &tenant)
        .await
        .map_err(taken(format!("there is a tenant {name} already")))?;
    people::add_domain(&mut tx, &tenant_id, &domain)
        .await
        .map_err(taken(format!("the domain {domain} has its tenant already")))?;
    tx.commit().await?;
    Ok(format!("tenant {name} takes faxes for number@{domain}"))
}

async fn add_user(store: &Store, line: &mut Line<'_>) -> Result<String, CommandError> {
    let address = mail_address(line)?;
    let mut name = address.split('@').next().unwrap_or_default().to_owned();
    let (mut tenant, mut caller, mut role, mut plan) = (None, None, Role::User, Plan::SendReceive);
    while let Some(option) = line.next() {
        match option.as_str() {
            "name" => name = line.word("the user's name")?,
            "tenant" => tenant = Some(line.word("a mail domain of the tenant")?),
            "caller" => caller = Some(e164(line)?),
            "role" => {
                let word = line.word("operator, tenant or user")?;
                let known: Option<Role> = word.parse().ok();
                // Guests are made by their first mail, under a rule.
                role = known.filter(|role| *role != Role::Guest).ok_or_else(|| {
                    line.mistake(&format!("{word:?} is no role"), "operator, tenant or user")
                })?;
            }
            "plan" => {
                let word = line.word("send-receive or send-only")?;
                plan = word.parse().map_err(|_| {
                    line.mistake(&format!("{word:?} is no plan"), "send-receive or send-only")
                })?;
            }
            other => {
                return Err(line
                    .mistake(&format!("{other:?}"), "name, tenant, caller, role or plan")
                    .into());
            }
        }
    }
    let tenant = whose(store, tenant.as_deref()).await?;
    let mut tx = store.begin().await?;
    let user = NewUser {
        tenant_id: tenant.tenant_id,
        group_id: None,
        name: name.clone(),
        address: address.clone(),
        role,
        plan,
        language: None,
        caller_number: caller,
    };
    people::add_user(&mut tx, &user)
        .await
        .map_err(taken(format!(
            "the address {address} belongs to a user already"
        )))?;
    tx.commit().await?;
    Ok(format!("{name} <{address}> is a user of {}", tenant.name))
}

async fn add_address(store: &Store, line: &mut Line<'_>) -> Result<String, CommandError> {
    let address = mail_address(line)?;
    line.literal("to")?;
    let known = line.word("an address of the user")?;
    let user = user(store, &known).await?;
    let mut tx = store.begin().await?;
    people::add_address(&mut tx, &user.tenant_id, &user.user_id, &address)
        .await
        .map_err(taken(format!(
            "the address {address} belongs to a user already"
        )))?;
    tx.commit().await?;
    Ok(format!("{address} sends and receives for {}", user.name))
}

async fn add_number(store: &Store, line: &mut Line<'_>) -> Result<String, CommandError> {
    let number = e164(line)?;
    let (mut title, mut tenant) = (number.clone(), None);
    loop {
        match line.word("title, tenant or to")?.as_str() {
            "title" => title = line.word("the number's title")?,
            "tenant" => tenant = Some(line.word("a mail domain of the tenant")?),
            "to" => break,
            other => {
                return Err(line
                    .mistake(&format!("{other:?}"), "title, tenant or to")
                    .into());
            }
        }
    }
    let mut recipients = vec![mail_address(line)?];
    while let Some(more) = line.next() {
        recipients.push(more);
    }
    let tenant = whose(store, tenant.as_deref()).await?;
    let mut tx = store.begin().await?;
    let group_id = people::default_group(&mut tx, &tenant.tenant_id).await?;
    let new = NewNumber {
        tenant_id: tenant.tenant_id.clone(),
        group_id,
        e164: number.clone(),
        title,
    };
    let number_id = numbers::add_number(&mut tx, &new)
        .await
        .map_err(taken(format!("{number} is a number here already")))?;
    for recipient in &recipients {
        numbers::add_recipient(&mut tx, &tenant.tenant_id, &number_id, recipient)
            .await
            .map_err(taken(format!("{recipient} is named twice")))?;
    }
    tx.commit().await?;
    Ok(format!(
        "faxes for {number} are mailed to {}",
        recipients.join(" ")
    ))
}

async fn set_password(store: &Store, line: &mut Line<'_>) -> Result<String, CommandError> {
    let address = line.word("an address of the user")?;
    let password = line.word("the mail password")?;
    let user = user(store, &address).await?;
    let mut tx = store.begin().await?;
    people::set_mail_password(&mut tx, &user.tenant_id, &user.user_id, Some(&password)).await?;
    tx.commit().await?;
    Ok(format!("{} has a new mail password", user.name))
}

/// The tenant that a domain names; without one, the only or first tenant of this gateway.
pub(super) async fn whose(store: &Store, domain: Option<&str>) -> Result<Tenant, CommandError> {
    match domain {
        Some(domain) => people::tenant_by_domain(store, domain)
            .await?
            .ok_or_else(|| CommandError::Refused(format!("no tenant has the domain {domain}"))),
        None => people::first_tenant(store).await?.ok_or_else(|| {
            CommandError::Refused("there is no tenant yet: `faxpost init` makes the first".into())
        }),
    }
}

/// `of TENANT`, by a mail domain or by its name; without it the first tenant.
pub(super) async fn of_tenant(store: &Store, line: &mut Line<'_>) -> Result<Tenant, CommandError> {
    if line.peek() != Some("of") {
        return whose(store, None).await;
    }
    line.next();
    named_tenant(store, line).await
}

/// A tenant by its name or a mail domain.
pub(super) async fn named_tenant(
    store: &Store,
    line: &mut Line<'_>,
) -> Result<Tenant, CommandError> {
    let tenant = line.word("the tenant's name or a mail domain of it")?;
    if let Some(tenant) = people::tenant_by_name(store, &tenant).await? {
        return Ok(tenant);
    }
    people::tenant_by_domain(store, &tenant)
        .await?
        .ok_or_else(|| {
            CommandError::Refused(format!("no tenant has the name or the domain {tenant}"))
        })
}

pub(super) async fn user(store: &Store, address: &str) -> Result<people::User, CommandError> {
    people::user_by_address(store, address)
        .await?
        .ok_or_else(|| {
            CommandError::Refused(format!(
                "no user has the address {address}: `show users` lists them"
            ))
        })
}

pub(super) fn mail_address(line: &mut Line<'_>) -> Result<String, CommandError> {
    let word = line.word("a mail address")?;
    let fit = word
        .split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    if fit {
        Ok(word)
    } else {
        Err(line
            .mistake(
                &format!("{word:?} is no mail address"),
                "one as alice@example.com",
            )
            .into())
    }
}

pub(super) fn e164(line: &mut Line<'_>) -> Result<String, CommandError> {
    let word = line.word("a number as +33123456789")?;
    dial::Destination::from_record(&word)
        .map(|number| number.as_str().to_owned())
        .ok_or_else(|| {
            line.mistake(&format!("{word:?} is no number"), "one as +33123456789")
                .into()
        })
}

pub(super) fn whole<T: std::str::FromStr>(line: &mut Line<'_>) -> Result<T, CommandError> {
    let word = line.word("a whole number")?;
    word.parse().map_err(|_| {
        line.mistake(&format!("{word:?} does not fit"), "a whole number")
            .into()
    })
}

/// A name that must be one of a kind: its sentence when it isn't.
pub(super) fn taken(sentence: String) -> impl FnOnce(StoreError) -> CommandError {
    move |error| {
        if error.is_unique_violation() {
            CommandError::Refused(sentence)
        } else {
            error.into()
        }
    }
}
