//! Mailboxes that are polled: mails in them are faxed.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sqlx::{Row as _, any::AnyRow};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::words::unknown;
use crate::{
    clock::{Millis, now_ms},
    store::{Store, StoreError, Tx, new_id},
    vault::{STANDING, Sealed, Vault, VaultError},
};

/// How the connection to a mailbox's server is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Security {
    /// TLS from the first octet (RFC 8314 §3.2).
    Tls,
    /// STARTTLS (RFC 9051 §6.2.1).
    Starttls,
    /// Nothing: a server on this machine.
    None,
}

/// Where in a mail a number may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumbersIn {
    /// To and Cc: `number@domain`.
    Address,
    /// There, else at the beginning of the subject.
    Subject,
    /// There, else at the beginning of the text.
    Body,
}

words!("mailbox", Security, "security", "tls" => Tls, "starttls" => Starttls, "none" => None);
words!("mailbox", NumbersIn, "numbers", "address" => Address, "subject" => Subject, "body" => Body);

/// How access tokens are had (RFC 6749).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth {
    /// The token endpoint's address.
    pub endpoint: String,
    /// Who we are there.
    pub client_id: String,
    /// What is asked for.
    pub scope: Option<String>,
}

/// What a mailbox is opened with. Wiped when dropped.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Credentials {
    /// The password.
    pub password: Option<String>,
    /// OAuth: the client's secret.
    pub client_secret: Option<String>,
    /// OAuth: the refresh token; without one the client asks in its own name.
    pub refresh_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// A mailbox.
#[derive(Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Id.
    pub mailbox_id: String,
    /// Whose fax domains its mails may name.
    pub tenant_id: String,
    /// Its name, one of a kind.
    pub name: String,
    /// It is polled.
    pub active: bool,
    /// The IMAP server: a name or an address.
    pub host: String,
    /// Its port; 0: as the security has it.
    pub port: u16,
    /// TLS, STARTTLS or nothing.
    pub security: Security,
    /// A PEM file of CAs that are trusted beside the system's.
    pub ca: Option<String>,
    /// Who we are there.
    pub login: String,
    /// Its own mail address, lower case.
    pub address: String,
    /// What it is opened with, sealed: [`Mailbox::seal`].
    pub credentials: Option<Sealed>,
    /// XOAUTH2; `None`: a password.
    pub oauth: Option<OAuth>,
    /// Whose mails are faxed.
    pub folder: String,
    /// Where they go then.
    pub faxed: String,
    /// Where the others go.
    pub refused: String,
    /// Where a number may stand.
    pub numbers: NumbersIn,
    /// Whose Authentication-Results are believed (RFC 8601 §2.5), lower case.
    pub authserv_id: Option<String>,
    /// Who is told of what was refused; `None`: the operator.
    pub owner: Option<String>,
    /// Seconds between two looks; `None`: as the configuration has it.
    pub every_s: Option<u32>,
    /// IDLE where the server has it.
    pub idle: bool,
    /// When.
    pub created_at: Millis,
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("mailbox_id", &self.mailbox_id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Mailbox {
    /// A mailbox under TLS, whose INBOX is faxed; numbers in To and Cc.
    #[must_use]
    pub fn new(tenant_id: &str, name: &str, host: &str, login: &str) -> Self {
        Self {
            mailbox_id: new_id(),
            tenant_id: tenant_id.to_owned(),
            name: name.to_owned(),
            active: true,
            host: host.to_owned(),
            port: 0,
            security: Security::Tls,
            ca: None,
            login: login.to_owned(),
            address: login.to_lowercase(),
            credentials: None,
            oauth: None,
            folder: "INBOX".into(),
            faxed: "Faxed".into(),
            refused: "Refused".into(),
            numbers: NumbersIn::Address,
            authserv_id: None,
            owner: None,
            every_s: None,
            idle: true,
            created_at: now_ms(),
        }
    }

    /// The server's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        match (self.port, self.security) {
            // RFC 8314 §3.2, RFC 9051 §2.1.
            (0, Security::Tls) => 993,
            (0, _) => 143,
            (port, _) => port,
        }
    }

    /// Takes what it is opened with, sealed with the standing key, which lies outside the database.
    ///
    /// # Errors
    /// The key can't be had.
    pub fn seal(&mut self, vault: &Vault, credentials: &Credentials) -> Result<(), VaultError> {
        // Strings alone: it can't fail.
        let clear = Zeroizing::new(serde_json::to_vec(credentials).unwrap_or_default());
        let sealed = vault.seal(&self.mailbox_id, &self.tenant_id, STANDING, &clear)?;
        self.credentials = Some(sealed);
        Ok(())
    }

    /// What it is opened with; nothing where nothing was given.
    ///
    /// # Errors
    /// The key is missing, or it was sealed for another mailbox.
    pub fn unseal(&self, vault: &Vault) -> Result<Credentials, VaultError> {
        let Some(sealed) = &self.credentials else {
            return Ok(Credentials::default());
        };
        let clear = vault.unseal(&self.mailbox_id, &self.tenant_id, sealed)?;
        serde_json::from_slice(&clear).map_err(|_| VaultError::Damaged)
    }
}

const COLUMNS: &str = "mailbox_id, tenant_id, name, active, host, port, security, ca, login, address, \
     credentials_sealed, token_endpoint, client_id, scope, folder, faxed, refused, numbers, authserv_id, owner, \
     every_s, idle, created_at";

fn read(row: &AnyRow) -> Result<Mailbox, StoreError> {
    let port: i64 = row.try_get("port")?;
    let every_s: Option<i64> = row.try_get("every_s")?;
    let sealed: Option<Vec<u8>> = row.try_get("credentials_sealed")?;
    let endpoint: Option<String> = row.try_get("token_endpoint")?;
    let client_id: Option<String> = row.try_get("client_id")?;
    let scope: Option<String> = row.try_get("scope")?;
    Ok(Mailbox {
        mailbox_id: row.try_get("mailbox_id")?,
        tenant_id: row.try_get("tenant_id")?,
        name: row.try_get("name")?,
        active: row.try_get::<i64, _>("active")? != 0,
        host: row.try_get("host")?,
        port: u16::try_from(port).map_err(|_| unknown("mailbox", "port", port))?,
        security: row.try_get::<String, _>("security")?.parse()?,
        ca: row.try_get("ca")?,
        login: row.try_get("login")?,
        address: row.try_get("address")?,
        credentials: sealed
            .map(Sealed::from_stored)
            .transpose()
            .map_err(|error| unknown("mailbox", "credentials_sealed", error))?,
        oauth: endpoint.map(|endpoint| OAuth {
            endpoint,
            client_id: client_id.unwrap_or_default(),
            scope,
        }),
        folder: row.try_get("folder")?,
        faxed: row.try_get("faxed")?,
        refused: row.try_get("refused")?,
        numbers: row.try_get::<String, _>("numbers")?.parse()?,
        authserv_id: row.try_get("authserv_id")?,
        owner: row.try_get("owner")?,
        every_s: every_s
            .map(|value| u32::try_from(value).map_err(|_| unknown("mailbox", "every_s", value)))
            .transpose()?,
        idle: row.try_get::<i64, _>("idle")? != 0,
        created_at: row.try_get("created_at")?,
    })
}

/// All mailboxes, of every tenant: one gateway polls them all.
///
/// # Errors
/// What the database says.
pub async fn mailboxes(store: &Store) -> Result<Vec<Mailbox>, StoreError> {
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM mailbox ORDER BY name"
    )))
    .fetch_all(store.reader())
    .await?
    .iter()
    .map(read)
    .collect()
}

/// The mailbox with this name.
///
/// # Errors
/// What the database says.
pub async fn mailbox_by_name(store: &Store, name: &str) -> Result<Option<Mailbox>, StoreError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM mailbox WHERE name = $1"
    )))
    .bind(name)
    .fetch_optional(store.reader())
    .await?;
    row.as_ref().map(read).transpose()
}

/// Records a new mailbox.
///
/// # Errors
/// A unique violation when the name is taken.
pub async fn add_mailbox(tx: &mut Tx, mailbox: &Mailbox) -> Result<(), StoreError> {
    // What the table wants filled; the rest follows as a change.
    sqlx::query(
        "INSERT INTO mailbox (mailbox_id, tenant_id, name, active, host, port, security, login, address, folder,
                              faxed, refused, numbers, idle, created_at)
         VALUES ($1, $2, $3, 1, $4, 0, $5, $6, $7, '', '', '', $8, 1, $9)",
    )
    .bind(&mailbox.mailbox_id)
    .bind(&mailbox.tenant_id)
    .bind(&mailbox.name)
    .bind(&mailbox.host)
    .bind(mailbox.security.name())
    .bind(&mailbox.login)
    .bind(&mailbox.address)
    .bind(mailbox.numbers.name())
    .bind(mailbox.created_at)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "INSERT INTO mailbox_state (mailbox_id, tenant_id, login_refused) VALUES ($1, $2, 0)",
    )
    .bind(&mailbox.mailbox_id)
    .bind(&mailbox.tenant_id)
    .execute(tx.conn())
    .await?;
    change_mailbox(tx, mailbox).await
}

/// Records everything about a mailbox anew.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such mailbox (any more).
pub async fn change_mailbox(tx: &mut Tx, mailbox: &Mailbox) -> Result<(), StoreError> {
    let oauth = mailbox.oauth.as_ref();
    let done = sqlx::query(
        "UPDATE mailbox SET name = $3, active = $4, host = $5, port = $6, security = $7, ca = $8, login = $9,
                address = $10, credentials_sealed = $11, token_endpoint = $12, client_id = $13, scope = $14,
                folder = $15, faxed = $16, refused = $17, numbers = $18, authserv_id = $19, owner = $20,
                every_s = $21, idle = $22
         WHERE tenant_id = $1 AND mailbox_id = $2",
    )
    .bind(&mailbox.tenant_id)
    .bind(&mailbox.mailbox_id)
    .bind(&mailbox.name)
    .bind(i64::from(mailbox.active))
    .bind(&mailbox.host)
    .bind(i64::from(mailbox.port))
    .bind(mailbox.security.name())
    .bind(mailbox.ca.as_deref())
    .bind(&mailbox.login)
    .bind(&mailbox.address)
    .bind(mailbox.credentials.clone().map(Sealed::into_bytes))
    .bind(oauth.map(|oauth| oauth.endpoint.as_str()))
    .bind(oauth.map(|oauth| oauth.client_id.as_str()))
    .bind(oauth.and_then(|oauth| oauth.scope.as_deref()))
    .bind(&mailbox.folder)
    .bind(&mailbox.faxed)
    .bind(&mailbox.refused)
    .bind(mailbox.numbers.name())
    .bind(mailbox.authserv_id.as_deref())
    .bind(mailbox.owner.as_deref())
    .bind(mailbox.every_s.map(i64::from))
    .bind(i64::from(mailbox.idle))
    .execute(tx.conn())
    .await?;
    match done.rows_affected() {
        1 => Ok(()),
        _ => Err(StoreError::Missing("mailbox")),
    }
}

/// Records new credentials, unless somebody has given others since `mailbox` was read: a token endpoint may give a
/// new refresh token with each access token (RFC 6749 §6).
///
/// # Errors
/// What the database says.
pub async fn renew_credentials(
    store: &Store,
    mailbox: &Mailbox,
    fresh: &Sealed,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    sqlx::query(
        "UPDATE mailbox SET credentials_sealed = $1
         WHERE tenant_id = $2 AND mailbox_id = $3 AND credentials_sealed = $4",
    )
    .bind(fresh.clone().into_bytes())
    .bind(&mailbox.tenant_id)
    .bind(&mailbox.mailbox_id)
    .bind(mailbox.credentials.clone().map(Sealed::into_bytes))
    .execute(tx.conn())
    .await?;
    tx.commit().await
}

/// Removes a mailbox with its credentials, what was known of its state, and what it refused.
///
/// # Errors
/// What the database says.
pub async fn remove_mailbox(tx: &mut Tx, mailbox: &Mailbox) -> Result<(), StoreError> {
    for table in ["refused_mail", "mailbox_state", "mailbox"] {
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "DELETE FROM {table} WHERE tenant_id = $1 AND mailbox_id = $2"
        )))
        .bind(&mailbox.tenant_id)
        .bind(&mailbox.mailbox_id)
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}
