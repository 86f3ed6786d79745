//! The table `refused_mail`: mails of a mailbox that nobody proven sent, until its owner was told.

use sqlx::Row as _;

use crate::{
    clock::Millis,
    numbers::Mailbox,
    store::{Store, StoreError, Tx, new_id},
};

/// What was told is forgotten after so long.
const KEPT: Millis = 30 * 24 * 3_600_000;
/// And what nobody could be told, because there is neither owner nor operator.
const UNTOLD: Millis = 180 * 24 * 3_600_000;

/// A mail that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RefusedMail {
    pub refused_id: String,
    /// Who it says to be from.
    pub sender: String,
    pub subject: String,
    /// A sentence.
    pub reason: String,
    pub at: Millis,
}

/// Records a refused mail, once for each; what it says of itself may be anything.
pub(super) async fn record(
    store: &Store,
    mailbox: &Mailbox,
    place: &str,
    [sender, subject, reason]: [&str; 3],
    now: Millis,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    sqlx::query(
        "INSERT INTO refused_mail (refused_id, tenant_id, mailbox_id, place, sender, subject, reason, refused_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (mailbox_id, place) DO NOTHING",
    )
    .bind(new_id())
    .bind(&mailbox.tenant_id)
    .bind(&mailbox.mailbox_id)
    .bind(place)
    .bind(storable(sender))
    .bind(storable(subject))
    .bind(storable(reason))
    .bind(now)
    .execute(tx.conn())
    .await?;
    tx.commit().await
}

/// PostgreSQL's TEXT holds no NUL; nobody reads more of a subject than this.
fn storable(text: &str) -> String {
    let text = text.chars().take(500);
    text.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What the owner was not told yet, oldest first.
pub(super) async fn untold(
    store: &Store,
    mailbox: &Mailbox,
    most: i64,
) -> Result<Vec<RefusedMail>, StoreError> {
    let rows = sqlx::query(
        "SELECT refused_id, sender, subject, reason, refused_at FROM refused_mail
         WHERE tenant_id = $1 AND mailbox_id = $2 AND told_at IS NULL ORDER BY refused_id LIMIT $3",
    )
    .bind(&mailbox.tenant_id)
    .bind(&mailbox.mailbox_id)
    .bind(most)
    .fetch_all(store.reader())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(RefusedMail {
                refused_id: row.try_get("refused_id")?,
                sender: row.try_get("sender")?,
                subject: row.try_get("subject")?,
                reason: row.try_get("reason")?,
                at: row.try_get("refused_at")?,
            })
        })
        .collect()
}

/// Forgets what was told long ago, or could not be told for longer, of every mailbox.
pub(super) async fn sweep(store: &Store, now: Millis) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    sqlx::query("DELETE FROM refused_mail WHERE told_at < $1 OR refused_at < $2")
        .bind(now - KEPT)
        .bind(now - UNTOLD)
        .execute(tx.conn())
        .await?;
    tx.commit().await
}

/// Marks in `tx` that the owner is told of those up to `last`.
pub(super) async fn told(
    tx: &mut Tx,
    mailbox: &Mailbox,
    last: &str,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE refused_mail SET told_at = $1
         WHERE tenant_id = $2 AND mailbox_id = $3 AND told_at IS NULL AND refused_id <= $4",
    )
    .bind(now)
    .bind(&mailbox.tenant_id)
    .bind(&mailbox.mailbox_id)
    .bind(last)
    .execute(tx.conn())
    .await?;
    Ok(())
}
