//! Commands about polled mailboxes.

use std::{net::IpAddr, str::FromStr};

use super::{
    CommandError, Gateway,
    directory::{mail_address, of_tenant, taken, whole},
    grammar::Line,
};
use crate::{
    clock::now_ms,
    numbers::{self, Credentials, Mailbox, MailboxState, NumbersIn, OAuth, Security},
    vault::Vault,
};

const OPTIONS: &str = "host, port, security, ca, login, password, oauth, secret, token, scope, address, folder, faxed, \
                       refused, numbers, believes, owner, every or idle";
/// Seconds between two looks: fewer load the server, more than 29 minutes end its patience (RFC 9051 §5.4).
const EVERY: std::ops::RangeInclusive<u32> = 5..=1740;

/// `add mailbox NAME host HOST login LOGIN [of TENANT] [OPTION ...]`
pub(super) async fn add(gateway: Gateway<'_>, line: &mut Line<'_>) -> Result<String, CommandError> {
    line.literal("mailbox")?;
    let name = line.word("the mailbox's name")?;
    line.literal("host")?;
    let host = host(line)?;
    line.literal("login")?;
    let login = text(line, "the login")?;
    let tenant = of_tenant(gateway.store, line).await?;
    let mut change = Change::of(Mailbox::new(&tenant.tenant_id, &name, &host, &login));
    while let Some(option) = line.next() {
        change.option(&option, line)?;
    }
    let mailbox = change.made(gateway)?;
    let mut tx = gateway.store.begin().await?;
    numbers::add_mailbox(&mut tx, &mailbox)
        .await
        .map_err(taken(format!("there is a mailbox {name} already")))?;
    tx.commit().await?;
    Ok(format!("mailbox {name} is on\n{}", settings(&mailbox)))
}

/// `set mailbox NAME on|off | OPTION ...`
pub(super) async fn set(gateway: Gateway<'_>, line: &mut Line<'_>) -> Result<String, CommandError> {
    let mut change = Change::of(named(gateway, line).await?);
    let mut option = line.word(&format!("on, off, {OPTIONS}"))?;
    loop {
        match option.as_str() {
            "on" => change.mailbox.active = true,
            "off" => change.mailbox.active = false,
            option => change.option(option, line)?,
        }
        match line.next() {
            Some(next) => option = next,
            None => break,
        }
    }
    let mailbox = change.made(gateway)?;
    let mut tx = gateway.store.begin().await?;
    numbers::change_mailbox(&mut tx, &mailbox).await?;
    tx.commit().await?;
    Ok(format!("{}\n{}", headline(&mailbox), settings(&mailbox)))
}

/// `remove mailbox NAME`
pub(super) async fn remove(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    let mailbox = named(gateway, line).await?;
    line.end()?;
    let mut tx = gateway.store.begin().await?;
    numbers::remove_mailbox(&mut tx, &mailbox).await?;
    tx.commit().await?;
    Ok(format!(
        "mailbox {} is removed; its mails stay where they are on its server",
        mailbox.name
    ))
}

/// `show mailbox NAME`, `show mailboxes`
pub(super) async fn show(
    gateway: Gateway<'_>,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    let now = now_ms();
    let states = numbers::mailbox_states(gateway.store, now).await?;
    let words = |mailbox: &Mailbox| {
        let state = states
            .iter()
            .find(|state| state.mailbox_id == mailbox.mailbox_id);
        numbers::mailbox_words(state.unwrap_or(&MailboxState::default()), now)
    };
    if line.peek() == Some("mailbox") {
        let mailbox = named(gateway, line).await?;
        line.end()?;
        return Ok(format!(
            "{}\n{}\n  {}",
            headline(&mailbox),
            settings(&mailbox),
            words(&mailbox)
        ));
    }
    line.next();
    line.end()?;
    let rows: Vec<String> = numbers::mailboxes(gateway.store)
        .await?
        .iter()
        .map(|mailbox| {
            let state = if mailbox.active {
                words(mailbox)
            } else {
                "off".to_owned()
            };
            let Mailbox { name, address, .. } = mailbox;
            format!("{name}  {address}  {}  {state}", mailbox.host)
        })
        .collect();
    Ok(if rows.is_empty() {
        "none".to_owned()
    } else {
        rows.join("\n")
    })
}

async fn named(gateway: Gateway<'_>, line: &mut Line<'_>) -> Result<Mailbox, CommandError> {
    line.literal("mailbox")?;
    let name = line.word("the mailbox's name")?;
    let mailbox = numbers::mailbox_by_name(gateway.store, &name).await?;
    mailbox.ok_or_else(|| {
        CommandError::Refused(format!(
            "there is no mailbox {name}: `show mailboxes` lists them"
        ))
    })
}

fn headline(mailbox: &Mailbox) -> String {
    let on = if mailbox.active { "on" } else { "off" };
    format!("mailbox {} is {on}", mailbox.name)
}

/// Every setting in one line each; of secrets only that there are some.
fn settings(mailbox: &Mailbox) -> String {
    let or = |value: &Option<String>, none: &str| value.clone().unwrap_or_else(|| none.to_owned());
    let given = mailbox.credentials.is_some();
    let credentials = match &mailbox.oauth {
        None if given => format!("{}, with a password", mailbox.login),
        None => format!("{}, without a password", mailbox.login),
        Some(oauth) => format!(
            "{}, by XOAUTH2 with tokens of {} for the client {}{}{}",
            mailbox.login,
            oauth.endpoint,
            oauth.client_id,
            if given { ", with its secrets" } else { "" },
            oauth
                .scope
                .as_ref()
                .map(|scope| format!(", scope {scope}"))
                .unwrap_or_default()
        ),
    };
    let numbers = match mailbox.numbers {
        NumbersIn::Address => "in To and Cc".to_owned(),
        NumbersIn::Subject => format!(
            "in To and Cc, else first in the subject of mails to {}",
            mailbox.address
        ),
        NumbersIn::Body => format!(
            "in To and Cc, else first in the text of mails to {}",
            mailbox.address
        ),
    };
    let rows = [
        format!(
            "server: {}:{}, security {}, CA {}",
            mailbox.host,
            mailbox.port(),
            mailbox.security.name(),
            or(&mailbox.ca, "the system's")
        ),
        format!("login: {credentials}"),
        format!("address: {}", mailbox.address),
        format!(
            "folders: {}, faxed mails to {}, others to {}",
            mailbox.folder, mailbox.faxed, mailbox.refused
        ),
        format!("numbers: {numbers}"),
        format!(
            "believes Authentication-Results of: {}",
            or(&mailbox.authserv_id, "nobody")
        ),
        format!(
            "who hears what was refused: {}",
            or(&mailbox.owner, "the operator")
        ),
        format!(
            "looked at: every {}{}",
            mailbox
                .every_s
                .map_or_else(|| "imap.poll_s".to_owned(), |s| format!("{s} s")),
            if mailbox.idle {
                ", and at once by IDLE"
            } else {
                ""
            }
        ),
    ];
    rows.map(|row| format!("  {row}")).join("\n")
}

/// A mailbox while its options are read.
struct Change {
    mailbox: Mailbox,
    password: Option<Option<String>>,
    client_secret: Option<Option<String>>,
    refresh_token: Option<Option<String>>,
}

impl Change {
    fn of(mailbox: Mailbox) -> Self {
        Self {
            mailbox,
            password: None,
            client_secret: None,
            refresh_token: None,
        }
    }

    /// Reads one option's value.
    fn option(&mut self, option: &str, line: &mut Line<'_>) -> Result<(), CommandError> {
        let mailbox = &mut self.mailbox;
        match option {
            "host" => mailbox.host = host(line)?,
            "port" if line.peek() == Some("none") => {
                line.next();
                mailbox.port = 0;
            }
            "port" => mailbox.port = whole(line)?,
            "security" => mailbox.security = one_of::<Security>(line, "tls, starttls or none")?,
            "ca" => mailbox.ca = unless_none(text(line, "a PEM file of CAs, or none")?),
            "login" => mailbox.login = text(line, "the login")?,
            "password" => self.password = Some(secret(line, "the password, - or none")?),
            "oauth" => mailbox.oauth = oauth(line)?,
            "secret" => self.client_secret = Some(secret(line, "the client's secret, - or none")?),
            "token" => self.refresh_token = Some(secret(line, "the refresh token, - or none")?),
            "scope" => {
                let scope = unless_none(text(line, "a scope, or none")?);
                match &mut mailbox.oauth {
                    Some(oauth) => oauth.scope = scope,
                    None => return refused("`scope` goes with `oauth ENDPOINT client ID`"),
                }
            }
            "address" => mailbox.address = mail_address(line)?.to_lowercase(),
            "folder" => mailbox.folder = folder(line)?,
            "faxed" => mailbox.faxed = folder(line)?,
            "refused" => mailbox.refused = folder(line)?,
            "numbers" => mailbox.numbers = one_of::<NumbersIn>(line, "address, subject or body")?,
            "believes" => {
                let id = text(line, "an authserv-id as mx.example.com, or none")?;
                mailbox.authserv_id = unless_none(id.to_lowercase());
            }
            "owner" if line.peek() == Some("none") => {
                line.next();
                mailbox.owner = None;
            }
            "owner" => mailbox.owner = Some(mail_address(line)?),
            "every" if line.peek() == Some("none") => {
                line.next();
                mailbox.every_s = None;
            }
            "every" => {
                let seconds = whole(line)?;
                if !EVERY.contains(&seconds) {
                    let (least, most) = (EVERY.start(), EVERY.end());
                    return refused(&format!("every {least} to {most} seconds, not {seconds}"));
                }
                mailbox.every_s = Some(seconds);
            }
            "idle" => {
                let word = line.word("on or off")?;
                mailbox.idle = match word.as_str() {
                    "on" => true,
                    "off" => false,
                    _ => return Err(line.mistake(&format!("{word:?}"), "on or off").into()),
                };
            }
            other => return Err(line.mistake(&format!("{other:?}"), OPTIONS).into()),
        }
        Ok(())
    }

    /// The mailbox, with its secrets sealed, if its settings go together.
    fn made(self, gateway: Gateway<'_>) -> Result<Mailbox, CommandError> {
        let mut mailbox = self.mailbox;
        let local = mailbox.host == "localhost"
            || mailbox
                .host
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback());
        if mailbox.security == Security::None && !local {
            return refused(
                "`security none` sends the password in the clear: it is for a server on this machine alone. Use \
                 starttls or tls",
            );
        }
        if !mailbox.address.contains('@') {
            return refused(
                "a mailbox has a mail address of its own, and its login is none: add `address ADDRESS`",
            );
        }
        let folders = [&mailbox.folder, &mailbox.faxed, &mailbox.refused];
        if folders[0] == folders[1] || folders[0] == folders[2] {
            return refused(
                "`faxed` and `refused` are other folders than `folder`: mails would be looked at for ever",
            );
        }
        if let [None, None, None] = [&self.password, &self.client_secret, &self.refresh_token] {
            return Ok(mailbox);
        }
        let unsealable = |error: crate::vault::VaultError| {
            CommandError::Refused(format!(
                "the secrets can't be sealed ({error}): the folder of keys, {}, must be writable",
                gateway.keys.display()
            ))
        };
        let vault = Vault::open(gateway.keys).map_err(unsealable)?;
        // What can't be opened any more is given anew.
        let mut credentials = mailbox.unseal(&vault).unwrap_or_default();
        let Credentials {
            password,
            client_secret,
            refresh_token,
        } = &mut credentials;
        for (place, given) in [
            (password, self.password),
            (client_secret, self.client_secret),
            (refresh_token, self.refresh_token),
        ] {
            if let Some(given) = given {
                *place = given;
            }
        }
        mailbox.seal(&vault, &credentials).map_err(unsealable)?;
        Ok(mailbox)
    }
}

fn refused<T>(sentence: &str) -> Result<T, CommandError> {
    Err(CommandError::Refused(sentence.to_owned()))
}

fn unless_none(word: String) -> Option<String> {
    (word != "none").then_some(word)
}

fn one_of<T: FromStr>(line: &mut Line<'_>, expected: &str) -> Result<T, CommandError> {
    let word = line.word(expected)?;
    word.parse()
        .map_err(|_| line.mistake(&format!("{word:?}"), expected).into())
}

/// A word without control characters: it goes into a line of IMAP or HTTP.
fn text(line: &mut Line<'_>, expected: &str) -> Result<String, CommandError> {
    let word = line.word(expected)?;
    if word.is_empty() || word.contains(char::is_control) {
        return Err(line.mistake(&format!("{word:?}"), expected).into());
    }
    Ok(word)
}

/// The word is never repeated in an answer.
fn secret(line: &mut Line<'_>, expected: &str) -> Result<Option<String>, CommandError> {
    let word = line.word(expected)?;
    if word.is_empty() || word.contains(char::is_control) {
        return Err(line.mistake("what is there can't be one", expected).into());
    }
    Ok(unless_none(word))
}

fn host(line: &mut Line<'_>) -> Result<String, CommandError> {
    let expected = "a host name or address as imap.example.com";
    let word = line.word(expected)?;
    let fit = |b: u8| b.is_ascii_alphanumeric() || b".-:_".contains(&b);
    if word.is_empty() || !word.bytes().all(fit) {
        return Err(line
            .mistake(&format!("{word:?} is no host"), expected)
            .into());
    }
    Ok(word)
}

/// A folder's name; `*` and `%` would mean others (RFC 9051 §6.3.9).
fn folder(line: &mut Line<'_>) -> Result<String, CommandError> {
    let word = text(line, "a folder's name")?;
    if word.contains(['*', '%']) {
        return Err(line
            .mistake(&format!("{word:?}"), "a folder's name without * and %")
            .into());
    }
    Ok(word)
}

/// `oauth none`, `oauth ENDPOINT client ID`
fn oauth(line: &mut Line<'_>) -> Result<Option<OAuth>, CommandError> {
    let expected = "the token endpoint's address, https://..., or none";
    let endpoint = text(line, expected)?;
    if endpoint == "none" {
        return Ok(None);
    }
    let local = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"];
    if !endpoint.starts_with("https://") && !local.iter().any(|start| endpoint.starts_with(start)) {
        return Err(line.mistake(&format!("{endpoint:?}"), expected).into());
    }
    line.literal("client")?;
    let client_id = text(line, "the client's id")?;
    Ok(Some(OAuth {
        endpoint,
        client_id,
        scope: None,
    }))
}

#[cfg(test)]
mod tests;
