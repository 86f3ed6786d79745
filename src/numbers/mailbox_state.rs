//! How mailboxes are, and which node polls each: one at a time.

use sqlx::Row as _;

use super::{Mailbox, ago};
use crate::{
    clock::Millis,
    store::{Store, StoreError, Tx},
};

/// How a mailbox is. Times are Unix milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct MailboxState {
    /// Which mailbox.
    #[serde(skip)]
    pub mailbox_id: String,
    /// Some node polls it.
    pub polled_by_a_node: bool,
    /// The last look that went well.
    pub polled_at: Option<Millis>,
    /// Since when every look has failed; `None`: the last one went well.
    pub failing_since: Option<Millis>,
    /// The last failure, a sentence; it stays when it is over.
    pub failure: Option<String>,
    /// When.
    pub failed_at: Option<Millis>,
    /// The last failure was that the server refused our login.
    pub login_refused: bool,
    /// When the operator was told of this spell of failures.
    #[serde(skip)]
    pub alerted_at: Option<Millis>,
    /// When its owner was told last what was refused.
    #[serde(skip)]
    pub digested_at: Option<Millis>,
}

/// A state in words: "polled 12 s ago".
#[must_use]
pub fn mailbox_words(state: &MailboxState, now: Millis) -> String {
    let mut words = Vec::new();
    if let Some(since) = state.failing_since {
        let how = if state.login_refused {
            "login refused"
        } else {
            "failing"
        };
        words.push(format!("{how} for {}", ago(now - since)));
    }
    match state.polled_at {
        Some(at) => words.push(format!("polled {} ago", ago(now - at))),
        None => words.push("not polled yet".to_owned()),
    }
    if !state.polled_by_a_node {
        words.push("no gateway polls it now".to_owned());
    }
    if let (Some(failure), Some(at)) = (&state.failure, state.failed_at) {
        words.push(format!("last failure {} ago: {failure}", ago(now - at)));
    }
    words.join(", ")
}

/// How every mailbox is, as of `now`.
///
/// # Errors
/// What the database says.
pub async fn mailbox_states(store: &Store, now: Millis) -> Result<Vec<MailboxState>, StoreError> {
    let rows = sqlx::query(
        "SELECT mailbox_id, lease_owner, lease_until, polled_at, failing_since, failure, failed_at, login_refused,
                alerted_at, digested_at
         FROM mailbox_state",
    )
    .fetch_all(store.reader())
    .await?;
    rows.iter()
        .map(|row| {
            let owner: Option<String> = row.try_get("lease_owner")?;
            let until: Option<Millis> = row.try_get("lease_until")?;
            Ok(MailboxState {
                mailbox_id: row.try_get("mailbox_id")?,
                polled_by_a_node: owner.is_some() && until.is_some_and(|until| until > now),
                polled_at: row.try_get("polled_at")?,
                failing_since: row.try_get("failing_since")?,
                failure: row.try_get("failure")?,
                failed_at: row.try_get("failed_at")?,
                login_refused: row.try_get::<i64, _>("login_refused")? != 0,
                alerted_at: row.try_get("alerted_at")?,
                digested_at: row.try_get("digested_at")?,
            })
        })
        .collect()
}

/// Becomes the one node that polls a mailbox, or goes on being it, until `until`; `false` while another is.
///
/// # Errors
/// What the database says.
pub async fn lease_mailbox(
    store: &Store,
    mailbox: &Mailbox,
    node: &str,
    now: Millis,
    until: Millis,
) -> Result<bool, StoreError> {
    let mut tx = store.begin().await?;
    let done = sqlx::query(
        "UPDATE mailbox_state SET lease_owner = $1, lease_until = $2
         WHERE tenant_id = $3 AND mailbox_id = $4
           AND (lease_owner IS NULL OR lease_owner = $1 OR lease_until <= $5)",
    )
    .bind(node)
    .bind(until)
    .bind(&mailbox.tenant_id)
    .bind(&mailbox.mailbox_id)
    .bind(now)
    .execute(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(done.rows_affected() == 1)
}

/// Lets another node poll a mailbox.
///
/// # Errors
/// What the database says.
pub async fn release_mailbox(
    store: &Store,
    mailbox: &Mailbox,
    node: &str,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    sqlx::query(
        "UPDATE mailbox_state SET lease_owner = NULL, lease_until = NULL
         WHERE tenant_id = $1 AND mailbox_id = $2 AND lease_owner = $3",
    )
    .bind(&mailbox.tenant_id)
    .bind(&mailbox.mailbox_id)
    .bind(node)
    .execute(tx.conn())
    .await?;
    tx.commit().await
}

/// Records a look that went well.
///
/// # Errors
/// What the database says.
pub async fn mailbox_polled(
    store: &Store,
    mailbox: &Mailbox,
    now: Millis,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    sqlx::query(
        "UPDATE mailbox_state SET polled_at = $1, failing_since = NULL, login_refused = 0, alerted_at = NULL
         WHERE tenant_id = $2 AND mailbox_id = $3",
    )
    .bind(now)
    .bind(&mailbox.tenant_id)
    .bind(&mailbox.mailbox_id)
    .execute(tx.conn())
    .await?;
    tx.commit().await
}

/// Records a look that failed.
///
/// # Errors
/// What the database says.
pub async fn mailbox_failed(
    store: &Store,
    mailbox: &Mailbox,
    failure: &str,
    login_refused: bool,
    now: Millis,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    sqlx::query(
        "UPDATE mailbox_state SET failure = $1, failed_at = $2, login_refused = $3,
                failing_since = COALESCE(failing_since, $2)
         WHERE tenant_id = $4 AND mailbox_id = $5",
    )
    // PostgreSQL's TEXT holds no NUL, and a server may say anything.
    .bind(failure.replace('\0', "\u{fffd}"))
    .bind(now)
    .bind(i64::from(login_refused))
    .bind(&mailbox.tenant_id)
    .bind(&mailbox.mailbox_id)
    .execute(tx.conn())
    .await?;
    tx.commit().await
}

/// Marks in `tx` that the operator is told of this spell of failures; `false` when that was done already.
///
/// # Errors
/// What the database says.
pub async fn mailbox_alerted(
    tx: &mut Tx,
    mailbox: &Mailbox,
    now: Millis,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE mailbox_state SET alerted_at = $1
         WHERE tenant_id = $2 AND mailbox_id = $3 AND alerted_at IS NULL AND failing_since IS NOT NULL",
    )
    .bind(now)
    .bind(&mailbox.tenant_id)
    .bind(&mailbox.mailbox_id)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Marks in `tx` that the owner is told what was refused.
///
/// # Errors
/// What the database says.
pub async fn mailbox_digested(
    tx: &mut Tx,
    mailbox: &Mailbox,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE mailbox_state SET digested_at = $1 WHERE tenant_id = $2 AND mailbox_id = $3",
    )
    .bind(now)
    .bind(&mailbox.tenant_id)
    .bind(&mailbox.mailbox_id)
    .execute(tx.conn())
    .await?;
    Ok(())
}
