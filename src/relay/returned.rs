//! What the outbox knows of mails that came back after the relay had taken them.

use sqlx::Row as _;

use super::bounce::Bounce;
use crate::{
    clock::Millis,
    store::{StoreError, Tx},
};

/// A mail that came back for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// Its id.
    pub mail_id: String,
    /// Whose.
    pub tenant_id: String,
    /// What it was for.
    pub purpose: String,
    /// What it told of.
    pub about: String,
    /// Where it did not arrive.
    pub recipient: String,
    /// What was said of it.
    pub why: String,
}

/// What [`record_bounce`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It came back for the first time.
    Now(Returned),
    /// It came back before, was never sent, or is known no more: nothing is to be done.
    Before,
    /// It is being sent, and the relay's answer is not on record yet: try again.
    NotYet,
}

/// Records that a mail came back, once.
///
/// # Errors
/// What the database says.
pub async fn record_bounce(
    tx: &mut Tx,
    mail_id: &str,
    bounce: &Bounce,
    now: Millis,
) -> Result<Recorded, StoreError> {
    let why = bounce.words();
    let row = sqlx::query(
        "UPDATE outbox SET bounced_at = $1, last_answer = $2
         WHERE mail_id = $3 AND state = 'sent' AND bounced_at IS NULL
         RETURNING tenant_id, purpose, about, recipient",
    )
    .bind(now)
    .bind(&why)
    .bind(mail_id)
    .fetch_optional(tx.conn())
    .await?;
    if let Some(row) = row {
        return Ok(Recorded::Now(Returned {
            mail_id: mail_id.to_owned(),
            tenant_id: row.try_get("tenant_id")?,
            purpose: row.try_get("purpose")?,
            about: row.try_get("about")?,
            recipient: row.try_get("recipient")?,
            why,
        }));
    }
    let state: Option<String> = sqlx::query_scalar("SELECT state FROM outbox WHERE mail_id = $1")
        .bind(mail_id)
        .fetch_optional(tx.conn())
        .await?;
    Ok(match state.as_deref() {
        // The relay may have had it and its answer been lost.
        Some("sending" | "ready") => Recorded::NotYet,
        _ => Recorded::Before,
    })
}

/// A mail about something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailed {
    /// RCPT TO.
    pub recipient: String,
    /// It is waiting or sent, and has not come back.
    pub is_on_its_way: bool,
}

/// Every mail about something.
///
/// # Errors
/// What the database says.
pub async fn mailed(tx: &mut Tx, tenant_id: &str, about: &str) -> Result<Vec<Mailed>, StoreError> {
    let rows = sqlx::query(
        "SELECT recipient,
                CAST(CASE WHEN state NOT IN ('failed', 'dropped', 'replaced') AND bounced_at IS NULL THEN 1 ELSE 0 END AS BIGINT)
                    AS on_its_way
         FROM outbox WHERE tenant_id = $1 AND about = $2",
    )
    .bind(tenant_id)
    .bind(about)
    .fetch_all(tx.conn())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Mailed {
                recipient: row.try_get("recipient")?,
                is_on_its_way: row.try_get::<i64, _>("on_its_way")? == 1,
            })
        })
        .collect()
}

/// Whether there is a mail for this purpose.
///
/// # Errors
/// What the database says.
pub async fn is_owed(tx: &mut Tx, purpose: &str) -> Result<bool, StoreError> {
    let one: Option<String> = sqlx::query_scalar("SELECT mail_id FROM outbox WHERE purpose = $1")
        .bind(purpose)
        .fetch_optional(tx.conn())
        .await?;
    Ok(one.is_some())
}
