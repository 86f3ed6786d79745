//! The table `outbox` and its moves; no other code changes a state of it.

use serde::Serialize;
use sqlx::{AssertSqlSafe, Row as _};

use super::pace;
use crate::{
    clock::{Millis, now_ms},
    store::{Kind, Store, StoreError, Tries, Tx, new_id},
    vault::Custody,
};

/// A mail that is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMail {
    /// Whose it is.
    pub tenant_id: String,
    /// What it is for, `report:<submission>`: there is one mail for each purpose.
    pub purpose: String,
    /// What it tells of: a submission, a received fax; empty for what is handed on.
    pub about: String,
    /// Its Message-ID without brackets, fixed now.
    pub message_id: String,
    /// MAIL FROM; empty for `<>`, [`super::OWN_PATH`] for one of its own.
    pub return_path: String,
    /// RCPT TO.
    pub recipient: String,
    /// When it is given up, Unix milliseconds.
    pub deadline: Millis,
}

/// A mail that is owed and not yet written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Its id.
    pub mail_id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// What it is for.
    pub purpose: String,
    /// Its Message-ID without brackets.
    pub message_id: String,
    /// RCPT TO.
    pub recipient: String,
    /// Octets that the relay takes of it, as far as it has said; `None`: nothing is known.
    pub limit: Option<u64>,
    /// When it was put into the outbox.
    pub created_at: Millis,
}

/// One of the mails that a draft has become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is for: one of a kind.
    pub purpose: String,
    /// Its Message-ID without brackets.
    pub message_id: String,
    /// The mail.
    pub custody_id: String,
}

/// How the outbox stands, over all tenants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutboxStatus {
    /// Mails that wait: to be written, to be sent, or being sent.
    pub ready: u64,
    /// When the oldest of them was made.
    pub oldest: Option<Millis>,
    /// Mails that were refused or given up; they are kept for the time that the policy says.
    pub failed: u64,
    /// Mails of which that time is over: their content is gone, undelivered.
    pub dropped: u64,
    /// Mails that the relay took and that came back.
    pub bounced: u64,
    /// What the relay said last to a mail that it has not taken.
    pub last_error: Option<String>,
}

/// A mail that was claimed to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claimed {
    pub tenant_id: String,
    pub mail_id: String,
    pub purpose: String,
    pub return_path: String,
    pub recipient: String,
    pub custody_id: String,
    pub tries: i64,
    pub deadline: Millis,
    /// Ours while the row says the same.
    pub lease_until: Millis,
}

/// Puts a mail into the outbox, to be composed; `false` when its purpose is there already.
///
/// # Errors
/// What the database says.
pub async fn enqueue(tx: &mut Tx, mail: &NewMail) -> Result<bool, StoreError> {
    let now = now_ms();
    let done = sqlx::query(
        "INSERT INTO outbox (mail_id, tenant_id, purpose, about, message_id, return_path, recipient, state,
                             tries, run_at, deadline, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'compose', 0, $8, $9, $10)
         ON CONFLICT (purpose) DO NOTHING",
    )
    .bind(new_id())
    .bind(&mail.tenant_id)
    .bind(&mail.purpose)
    .bind(&mail.about)
    .bind(&mail.message_id)
    .bind(&mail.return_path)
    .bind(&mail.recipient)
    .bind(now)
    .bind(mail.deadline)
    .bind(now)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// As [`enqueue`], of a mail whose writer can make it smaller: when it is too large for the relay it is to be
/// composed again, and [`Draft::limit`] says how large it may be.
///
/// # Errors
/// What the database says.
pub async fn enqueue_divisible(tx: &mut Tx, mail: &NewMail) -> Result<bool, StoreError> {
    let fresh = enqueue(tx, mail).await?;
    if fresh {
        sqlx::query("UPDATE outbox SET size_limit = 0 WHERE tenant_id = $1 AND purpose = $2")
            .bind(&mail.tenant_id)
            .bind(&mail.purpose)
            .execute(tx.conn())
            .await?;
    }
    Ok(fresh)
}

/// Puts a mail into the outbox that is written already and in custody; `false` when its purpose is there
/// already: then the custody item is nobody's, and the caller's transaction should not keep it.
///
/// # Errors
/// What the database says.
pub async fn enqueue_written(
    tx: &mut Tx,
    mail: &NewMail,
    custody_id: &str,
) -> Result<bool, StoreError> {
    if !enqueue(tx, mail).await? {
        return Ok(false);
    }
    let done = sqlx::query(
        "UPDATE outbox SET state = 'ready', custody_id = $1
         WHERE tenant_id = $2 AND purpose = $3 AND state = 'compose'",
    )
    .bind(custody_id)
    .bind(&mail.tenant_id)
    .bind(&mail.purpose)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Puts a draft off that could not be written: those behind it come first meanwhile.
///
/// # Errors
/// What the database says.
pub async fn put_off_draft(store: &Store, mail_id: &str) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    sqlx::query("UPDATE outbox SET run_at = $1 WHERE mail_id = $2 AND state = 'compose'")
        .bind(now_ms() + pace::DRAFT)
        .bind(mail_id)
        .execute(tx.conn())
        .await?;
    tx.commit().await
}

/// Lets a draft rest until `at`, or until [`take_up_drafts`]; `node` does what it waits for.
///
/// # Errors
/// What the database says.
pub async fn rest_draft(
    store: &Store,
    node: &str,
    mail_id: &str,
    at: Millis,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    sqlx::query(
        "UPDATE outbox SET run_at = $1, lease_owner = $2 WHERE mail_id = $3 AND state = 'compose'",
    )
    .bind(at)
    .bind(node)
    .bind(mail_id)
    .execute(tx.conn())
    .await?;
    tx.commit().await
}

/// Drafts whose purpose begins with `prefix` and that wait for this node rest no longer: it began anew, and does
/// nothing for them. On a database that no other node shares, that is all of them.
///
/// # Errors
/// What the database says.
pub async fn rouse_drafts(store: &Store, node: &str, prefix: &str) -> Result<(), StoreError> {
    let alone = i64::from(!store.is_shared());
    let mut tx = store.begin().await?;
    sqlx::query(
        "UPDATE outbox SET run_at = $1
         WHERE state = 'compose' AND purpose LIKE $2 AND run_at > $1 AND (lease_owner = $3 OR $4 = 1)",
    )
    .bind(now_ms())
    .bind(format!("{prefix}%"))
    .bind(node)
    .bind(alone)
    .execute(tx.conn())
    .await?;
    tx.commit().await
}

/// The drafts about something may be written now.
///
/// # Errors
/// What the database says.
pub async fn take_up_drafts(store: &Store, tenant_id: &str, about: &str) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    sqlx::query(
        "UPDATE outbox SET run_at = $1 WHERE tenant_id = $2 AND about = $3 AND state = 'compose' AND run_at > $1",
    )
    .bind(now_ms())
    .bind(tenant_id)
    .bind(about)
    .execute(tx.conn())
    .await?;
    tx.commit().await
}

/// The mails to be composed whose purpose begins with `prefix` (letters, digits and `:`), oldest first.
///
/// # Errors
/// What the database says.
pub async fn to_compose(store: &Store, prefix: &str, limit: i64) -> Result<Vec<Draft>, StoreError> {
    let rows = sqlx::query(
        "SELECT mail_id, tenant_id, purpose, message_id, recipient, size_limit, created_at FROM outbox
         WHERE state = 'compose' AND purpose LIKE $1 AND run_at <= $2
         ORDER BY created_at, mail_id LIMIT $3",
    )
    .bind(format!("{prefix}%"))
    .bind(now_ms())
    .bind(limit)
    .fetch_all(store.reader())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Draft {
                mail_id: row.try_get("mail_id")?,
                tenant_id: row.try_get("tenant_id")?,
                purpose: row.try_get("purpose")?,
                message_id: row.try_get("message_id")?,
                recipient: row.try_get("recipient")?,
                limit: row
                    .try_get::<Option<i64>, _>("size_limit")?
                    .map(i64::unsigned_abs)
                    .filter(|octets| *octets > 0),
                created_at: row.try_get("created_at")?,
            })
        })
        .collect()
}

/// Puts several mails in the place of a draft that is too large for one, all ready or none. `false` when it is
/// no draft any more; then their custody is nobody's, and the caller's transaction should not keep it.
///
/// # Errors
/// What the database says.
pub async fn divide(tx: &mut Tx, mail_id: &str, parts: &[Part]) -> Result<bool, StoreError> {
    let draft = sqlx::query(
        "DELETE FROM outbox WHERE mail_id = $1 AND state = 'compose'
         RETURNING tenant_id, about, return_path, recipient, deadline, created_at, size_limit",
    )
    .bind(mail_id)
    .fetch_optional(tx.conn())
    .await?;
    let Some(draft) = draft else {
        return Ok(false);
    };
    let text = |name: &str| draft.try_get::<String, _>(name);
    let time = |name: &str| draft.try_get::<Millis, _>(name);
    for part in parts {
        sqlx::query(
            "INSERT INTO outbox (mail_id, tenant_id, purpose, about, message_id, return_path, recipient, state,
                                 custody_id, tries, run_at, deadline, created_at, size_limit)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'ready', $8, 0, $9, $10, $11, $12)",
        )
        .bind(new_id())
        .bind(text("tenant_id")?)
        .bind(&part.purpose)
        .bind(text("about")?)
        .bind(&part.message_id)
        .bind(text("return_path")?)
        .bind(text("recipient")?)
        .bind(&part.custody_id)
        .bind(now_ms())
        .bind(time("deadline")?)
        .bind(time("created_at")?)
        .bind(draft.try_get::<Option<i64>, _>("size_limit")?)
        .execute(tx.conn())
        .await?;
    }
    Ok(true)
}

/// Takes a draft out again: what it was to tell is over.
///
/// # Errors
/// What the database says.
pub async fn drop_draft(tx: &mut Tx, tenant_id: &str, mail_id: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM outbox WHERE tenant_id = $1 AND mail_id = $2 AND state = 'compose'")
        .bind(tenant_id)
        .bind(mail_id)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Gives a draft its bytes: it may be sent. `false` when it is no draft any more; then the custody
/// item is nobody's, and the caller's transaction should not keep it.
///
/// # Errors
/// What the database says.
pub async fn ready(tx: &mut Tx, mail_id: &str, custody_id: &str) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE outbox SET state = 'ready', custody_id = $1, run_at = $2
         WHERE mail_id = $3 AND state = 'compose'",
    )
    .bind(custody_id)
    .bind(now_ms())
    .bind(mail_id)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets the mails about something aside that failed, but whose recipient was sent a later one about it, with all its
/// parts: they count as failed no more, and their content is done. How many there were.
///
/// # Errors
/// What the database says.
pub async fn set_aside(
    tx: &mut Tx,
    custody: &Custody,
    tenant_id: &str,
    about: &str,
) -> Result<usize, StoreError> {
    // Parts have the time of the mail that they were.
    let rows = sqlx::query(
        "UPDATE outbox SET state = 'replaced'
         WHERE tenant_id = $1 AND about = $2 AND state IN ('failed', 'dropped') AND EXISTS (
             SELECT 1 FROM outbox AS later
             WHERE later.tenant_id = outbox.tenant_id AND later.about = outbox.about
               AND later.recipient = outbox.recipient AND later.created_at > outbox.created_at
               AND later.state = 'sent' AND NOT EXISTS (
                   SELECT 1 FROM outbox AS part
                   WHERE part.tenant_id = later.tenant_id AND part.about = later.about
                     AND part.recipient = later.recipient AND part.created_at = later.created_at
                     AND part.state <> 'sent'))
         RETURNING custody_id",
    )
    .bind(tenant_id)
    .bind(about)
    .fetch_all(tx.conn())
    .await?;
    for row in &rows {
        if let Some(custody_id) = row.try_get::<Option<String>, _>("custody_id")? {
            custody.done(tx, tenant_id, &custody_id).await?;
        }
    }
    Ok(rows.len())
}

/// Another recipient and return path for a draft: it became a notification.
///
/// # Errors
/// What the database says.
pub async fn readdress(
    tx: &mut Tx,
    mail_id: &str,
    recipient: &str,
    return_path: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE outbox SET recipient = $1, return_path = $2 WHERE mail_id = $3 AND state = 'compose'",
    )
    .bind(recipient)
    .bind(return_path)
    .bind(mail_id)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Takes back a draft that has nothing to say any more.
///
/// # Errors
/// What the database says.
pub async fn withdraw(store: &Store, mail_id: &str) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    sqlx::query("DELETE FROM outbox WHERE mail_id = $1 AND state = 'compose'")
        .bind(mail_id)
        .execute(tx.conn())
        .await?;
    tx.commit().await
}

/// How the outbox stands.
///
/// # Errors
/// What the database says.
pub async fn status(store: &Store) -> Result<OutboxStatus, StoreError> {
    let counts = sqlx::query(
        "SELECT CAST(COALESCE(SUM(CASE WHEN state IN ('failed', 'dropped') THEN 0 ELSE 1 END), 0) AS BIGINT) AS waiting,
                CAST(COALESCE(SUM(CASE WHEN state = 'failed' THEN 1 ELSE 0 END), 0) AS BIGINT) AS failed,
                CAST(COALESCE(SUM(CASE WHEN state = 'dropped' THEN 1 ELSE 0 END), 0) AS BIGINT) AS dropped,
                CAST(MIN(CASE WHEN state IN ('failed', 'dropped') THEN NULL ELSE created_at END) AS BIGINT) AS oldest
         FROM outbox WHERE state NOT IN ('sent', 'replaced')",
    )
    .fetch_one(store.reader())
    .await?;
    let bounced: i64 = sqlx::query_scalar(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM outbox WHERE bounced_at IS NOT NULL",
    )
    .fetch_one(store.reader())
    .await?;
    let last_error: Option<String> = sqlx::query_scalar(
        "SELECT last_answer FROM outbox WHERE state NOT IN ('sent', 'dropped', 'replaced') AND last_answer IS NOT NULL
         ORDER BY run_at DESC, mail_id DESC LIMIT 1",
    )
    .fetch_optional(store.reader())
    .await?;
    Ok(OutboxStatus {
        ready: counts.try_get::<i64, _>("waiting")?.unsigned_abs(),
        oldest: counts.try_get("oldest")?,
        failed: counts.try_get::<i64, _>("failed")?.unsigned_abs(),
        dropped: counts.try_get::<i64, _>("dropped")?.unsigned_abs(),
        bounced: bounced.unsigned_abs(),
        last_error,
    })
}

/// Mails that were made before `before`, tried, and not taken by the relay; and what it said last to one of them.
///
/// # Errors
/// What the database says.
pub async fn stuck(store: &Store, before: Millis) -> Result<(u64, Option<String>), StoreError> {
    let row = sqlx::query(
        "SELECT CAST(COUNT(*) AS BIGINT) AS mails, MAX(last_answer) AS said FROM outbox
         WHERE state IN ('ready', 'sending') AND tries > 0 AND created_at <= $1",
    )
    .bind(before)
    .fetch_one(store.reader())
    .await?;
    let mails = row.try_get::<i64, _>("mails")?.unsigned_abs();
    Ok((mails, row.try_get("said")?))
}

/// When there is something to do next: a mail to send, a lease that runs out, a draft past its time.
pub(super) async fn next_due(store: &Store) -> Result<Option<Millis>, StoreError> {
    let due: Option<i64> = sqlx::query_scalar(
        "SELECT CAST(MIN(CASE state WHEN 'ready' THEN run_at WHEN 'sending' THEN lease_until
                                    ELSE deadline END) AS BIGINT)
         FROM outbox WHERE state IN ('ready', 'sending', 'compose')",
    )
    .fetch_one(store.reader())
    .await?;
    Ok(due)
}

/// What this node was sending when it began was cut off by its own end. On a database that no other node
/// shares, that is all of it; else another node may be sending, and its lease decides.
pub(super) async fn take_back(store: &Store, node: &str) -> Result<(), StoreError> {
    let alone = i64::from(store.kind() == Kind::Sqlite);
    let mut tx = store.begin().await?;
    sqlx::query(
        "UPDATE outbox SET state = 'ready', lease_owner = NULL, lease_until = NULL
         WHERE state = 'sending' AND (lease_owner = $1 OR $2 = 1)",
    )
    .bind(node)
    .bind(alone)
    .execute(tx.conn())
    .await?;
    tx.commit().await
}

/// Claims mails that are due, at most `limit`; frees those whose lease ran out; gives up drafts that
/// nobody wrote in time.
pub(super) async fn claim(
    store: &Store,
    node: &str,
    now: Millis,
    limit: usize,
) -> Result<Vec<Claimed>, StoreError> {
    again(|| claim_once(store, node, now, limit)).await
}

/// Does a transaction again when the database gave it up for the sake of another.
pub(super) async fn again<T, F>(mut once: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut tries = Tries::default();
    loop {
        let done = once().await;
        if let Err(error) = &done
            && tries.again(error).await
        {
            continue;
        }
        return done;
    }
}

async fn claim_once(
    store: &Store,
    node: &str,
    now: Millis,
    limit: usize,
) -> Result<Vec<Claimed>, StoreError> {
    let lease_until = now + pace::LEASE;
    let mut tx = store.begin().await?;
    sqlx::query(
        "UPDATE outbox SET state = 'ready', lease_owner = NULL, lease_until = NULL
         WHERE state = 'sending' AND lease_until <= $1",
    )
    .bind(now)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "UPDATE outbox SET state = 'failed', run_at = $1, last_answer = 'it was not written in time'
         WHERE state = 'compose' AND deadline <= $2",
    )
    .bind(now)
    .bind(now)
    .execute(tx.conn())
    .await?;
    // The outer condition makes it a claim: of two nodes that pick a row, one finds it changed.
    let rows = sqlx::query(
        "UPDATE outbox SET state = 'sending', lease_owner = $1, lease_until = $2, tries = tries + 1
         WHERE state = 'ready' AND mail_id IN (
             SELECT mail_id FROM outbox WHERE state = 'ready' AND run_at <= $3
             ORDER BY run_at, mail_id LIMIT $4)
         RETURNING tenant_id, mail_id, purpose, return_path, recipient, custody_id, tries, deadline",
    )
    .bind(node)
    .bind(lease_until)
    .bind(now)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(tx.conn())
    .await?;
    tx.commit().await?;
    rows.iter()
        .map(|row| {
            Ok(Claimed {
                tenant_id: row.try_get("tenant_id")?,
                mail_id: row.try_get("mail_id")?,
                purpose: row.try_get("purpose")?,
                return_path: row.try_get("return_path")?,
                recipient: row.try_get("recipient")?,
                custody_id: row.try_get("custody_id")?,
                tries: row.try_get("tries")?,
                deadline: row.try_get("deadline")?,
                lease_until,
            })
        })
        .collect()
}

/// The relay has it. `false` when the claim was lost meanwhile: then somebody else settles.
pub(super) async fn sent(
    tx: &mut Tx,
    mail: &Claimed,
    answer: &str,
    now: Millis,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE outbox SET state = 'sent', sent_at = $1, last_answer = $2, lease_owner = NULL, lease_until = NULL
         WHERE tenant_id = $3 AND mail_id = $4 AND state = 'sending' AND lease_until = $5",
    )
    .bind(now)
    .bind(answer)
    .bind(&mail.tenant_id)
    .bind(&mail.mail_id)
    .bind(mail.lease_until)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Again at `run_at`.
pub(super) async fn put_off(
    tx: &mut Tx,
    mail: &Claimed,
    answer: &str,
    run_at: Millis,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE outbox SET state = 'ready', run_at = $1, last_answer = $2, lease_owner = NULL, lease_until = NULL
         WHERE tenant_id = $3 AND mail_id = $4 AND state = 'sending' AND lease_until = $5",
    )
    .bind(run_at)
    .bind(answer)
    .bind(&mail.tenant_id)
    .bind(&mail.mail_id)
    .bind(mail.lease_until)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// It is to be composed again, of `limit` octets at most. `false` when nobody can make it smaller, or the claim was
/// lost. What it was is the caller's to end, in the same transaction.
pub(super) async fn compose_smaller(
    tx: &mut Tx,
    mail: &Claimed,
    answer: &str,
    limit: u64,
    now: Millis,
) -> Result<bool, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let done = sqlx::query(
        "UPDATE outbox SET state = 'compose', custody_id = NULL, size_limit = $1, run_at = $2, last_answer = $3,
                lease_owner = NULL, lease_until = NULL
         WHERE tenant_id = $4 AND mail_id = $5 AND state = 'sending' AND lease_until = $6
           AND size_limit IS NOT NULL AND (size_limit = 0 OR size_limit > $1)",
    )
    .bind(limit)
    .bind(now)
    .bind(answer)
    .bind(&mail.tenant_id)
    .bind(&mail.mail_id)
    .bind(mail.lease_until)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// It won't be tried again. Its custody stays open until [`drop_overdue`].
pub(super) async fn failed(
    tx: &mut Tx,
    mail: &Claimed,
    answer: &str,
    now: Millis,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE outbox SET state = 'failed', run_at = $1, last_answer = $2, lease_owner = NULL, lease_until = NULL
         WHERE tenant_id = $3 AND mail_id = $4 AND state = 'sending' AND lease_until = $5",
    )
    .bind(now)
    .bind(answer)
    .bind(&mail.tenant_id)
    .bind(&mail.mail_id)
    .bind(mail.lease_until)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether a mail meets `condition`, of which `$1` is `before`. Asked first: there is hardly ever one, and a
/// write transaction holds others up.
async fn is_any(
    store: &Store,
    condition: &'static str,
    before: Millis,
) -> Result<bool, StoreError> {
    let one: Option<String> = sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT mail_id FROM outbox WHERE {condition} LIMIT 1"
    )))
    .bind(before)
    .fetch_optional(store.reader())
    .await?;
    Ok(one.is_some())
}

/// Forgets mails that were due before `before` and sent or replaced, or dropped before it, at most `limit`: their content
/// is gone already, and who owed them has settled. How many there were.
pub(super) async fn forget(store: &Store, before: Millis, limit: i64) -> Result<usize, StoreError> {
    const OVER: &str = "state IN ('sent', 'dropped', 'replaced') AND run_at <= $1";
    if !is_any(store, OVER, before).await? {
        return Ok(0);
    }
    let mut tx = store.begin().await?;
    let done = sqlx::query(AssertSqlSafe(format!(
        "DELETE FROM outbox WHERE {OVER} AND mail_id IN (
             SELECT mail_id FROM outbox WHERE {OVER} ORDER BY run_at, mail_id LIMIT $2)"
    )))
    .bind(before)
    .bind(limit)
    .execute(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}

/// Ends mails that were given up before `before`, at most `limit`: the custody of their content is done.
/// How many there were.
pub(super) async fn drop_overdue(
    store: &Store,
    custody: &Custody,
    before: Millis,
    now: Millis,
    limit: i64,
) -> Result<usize, StoreError> {
    const OVERDUE: &str = "state = 'failed' AND run_at <= $1";
    if !is_any(store, OVERDUE, before).await? {
        return Ok(0);
    }
    let mut tx = store.begin().await?;
    // The outer condition makes it a claim, as above.
    let rows = sqlx::query(AssertSqlSafe(format!(
        "UPDATE outbox SET state = 'dropped', run_at = $3
         WHERE {OVERDUE} AND mail_id IN (
             SELECT mail_id FROM outbox WHERE {OVERDUE} ORDER BY run_at, mail_id LIMIT $2)
         RETURNING tenant_id, mail_id, custody_id"
    )))
    .bind(before)
    .bind(limit)
    .bind(now)
    .fetch_all(tx.conn())
    .await?;
    let mut ids = Vec::new();
    for row in &rows {
        let tenant_id: String = row.try_get("tenant_id")?;
        // A draft that was never written has none.
        if let Some(custody_id) = row.try_get::<Option<String>, _>("custody_id")? {
            custody.done(&mut tx, &tenant_id, &custody_id).await?;
        }
        ids.push(row.try_get::<String, _>("mail_id")?);
    }
    tx.commit().await?;
    for mail in ids {
        tracing::error!(
            mail,
            "a mail that could not be delivered is no longer kept (retention.toml)"
        );
    }
    Ok(rows.len())
}

/// Ends the drafts that were given up unwritten and whose purpose begins with `prefix`: nobody will write them
/// any more. Gives their tenants and purposes, for what they were to be written from.
///
/// # Errors
/// What the database says.
pub async fn drop_unwritten(
    tx: &mut Tx,
    prefix: &str,
) -> Result<Vec<(String, String)>, StoreError> {
    let rows = sqlx::query(
        "UPDATE outbox SET state = 'dropped'
         WHERE state = 'failed' AND custody_id IS NULL AND purpose LIKE $1
         RETURNING tenant_id, purpose",
    )
    .bind(format!("{prefix}%"))
    .fetch_all(tx.conn())
    .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("tenant_id")?, row.try_get("purpose")?)))
        .collect()
}

/// Whether there is such a draft: looking takes no writer's turn.
///
/// # Errors
/// What the database says.
pub async fn has_unwritten(store: &Store, prefix: &str) -> Result<bool, StoreError> {
    let one: Option<String> = sqlx::query_scalar(
        "SELECT mail_id FROM outbox
         WHERE state = 'failed' AND custody_id IS NULL AND purpose LIKE $1 LIMIT 1",
    )
    .bind(format!("{prefix}%"))
    .fetch_optional(store.reader())
    .await?;
    Ok(one.is_some())
}
