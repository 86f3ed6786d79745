//! Taking jobs to work on: one conditional update each, so that no two workers hold the same job.

use sqlx::Row;

use super::{fair::Head, records::page_number, state::State};
use crate::{
    clock::now_ms,
    options::Options,
    store::{Kind, Store, StoreError, Tx},
};

/// How long a claimed job is ours without renewal.
pub(super) const LEASE_MS: i64 = 120_000;

/// A job as its row tells it.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub tenant_id: String,
    pub job_id: String,
    pub submission_id: String,
    pub user_id: String,
    pub destination: String,
    /// The envelope recipient as it was given.
    pub recipient: String,
    /// Who it is, where a contact or a list says so.
    pub to_name: Option<String>,
    pub sub_address: Option<String>,
    /// Its mail gives a password for the far machine.
    pub password: bool,
    /// What is asked of it.
    pub options: Options,
    pub state: State,
    pub tries: u32,
    pub rendition_id: Option<String>,
    pub cover_custody_id: Option<String>,
    pub pages_total: Option<u32>,
    pub lease_owner: Option<String>,
    lease_until: Option<i64>,
    deadline: i64,
}

#[cfg(test)]
impl Job {
    /// One that stands nowhere.
    pub fn for_testing() -> Self {
        Self {
            tenant_id: "t".into(),
            job_id: "j".into(),
            submission_id: "s".into(),
            user_id: "u".into(),
            destination: "+33123456789".into(),
            recipient: "+33123456789@fax.example".into(),
            to_name: None,
            sub_address: None,
            password: false,
            options: Options::default(),
            state: State::Dialling,
            tries: 1,
            rendition_id: None,
            cover_custody_id: None,
            pages_total: Some(1),
            lease_owner: None,
            lease_until: None,
            deadline: 0,
        }
    }
}

const COLUMNS: &str =
    "tenant_id, job_id, submission_id, user_id, destination, recipient, to_name, sub_address, password, options, state, tries,
     rendition_id, cover_custody_id, pages_total, lease_owner, lease_until, deadline";

/// Which rows another claim has now are passed over on PostgreSQL; SQLite has one writer, so there are none.
fn skip_locked(tx: &Tx, strength: &str) -> String {
    match tx.kind() {
        Kind::Postgres => format!("FOR {strength} SKIP LOCKED"),
        Kind::Sqlite => String::new(),
    }
}

fn job(row: &sqlx::any::AnyRow) -> Result<Job, StoreError> {
    let state: String = row.try_get("state")?;
    Ok(Job {
        tenant_id: row.try_get("tenant_id")?,
        job_id: row.try_get("job_id")?,
        submission_id: row.try_get("submission_id")?,
        user_id: row.try_get("user_id")?,
        destination: row.try_get("destination")?,
        recipient: row.try_get("recipient")?,
        to_name: row.try_get("to_name")?,
        sub_address: row.try_get("sub_address")?,
        password: row.try_get::<i64, _>("password")? != 0,
        options: Options::from_column(row.try_get::<Option<String>, _>("options")?.as_deref()),
        state: state
            .parse()
            .map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        tries: page_number(row.try_get("tries")?),
        rendition_id: row.try_get("rendition_id")?,
        cover_custody_id: row.try_get("cover_custody_id")?,
        pages_total: row
            .try_get::<Option<i64>, _>("pages_total")?
            .map(page_number),
        lease_owner: row.try_get("lease_owner")?,
        lease_until: row.try_get("lease_until")?,
        deadline: row.try_get("deadline")?,
    })
}

/// Takes every queued job of a submission: they share its pages. None when another renderer has them.
pub(super) async fn to_render(
    store: &Store,
    owner: &str,
    head: &Head,
) -> Result<Vec<Job>, StoreError> {
    let mut tx = store.begin().await?;
    let now = now_ms();
    // The submission's row is the turnstile. Two renderers that each hold some of its jobs and wait for the
    // others' would be a deadlock; neither waits.
    let turn = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT submission_id FROM submission WHERE tenant_id = $1 AND submission_id = $2 {}",
        skip_locked(&tx, "NO KEY UPDATE")
    )))
    .bind(&head.tenant_id)
    .bind(&head.submission_id)
    .fetch_optional(tx.conn())
    .await?;
    if turn.is_none() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "UPDATE job SET state = $1, state_since = $2, deadline = $3, lease_owner = $4, lease_until = $5
         WHERE state = $6 AND job_id IN (
             SELECT job_id FROM job WHERE tenant_id = $7 AND submission_id = $8 AND state = $6 {})
         RETURNING {COLUMNS}",
        skip_locked(&tx, "UPDATE")
    )))
    .bind(State::Rendering.name())
    .bind(now)
    .bind(State::Rendering.deadline(now))
    .bind(owner)
    .bind(now + LEASE_MS)
    .bind(State::Queued.name())
    .bind(&head.tenant_id)
    .bind(&head.submission_id)
    .fetch_all(tx.conn())
    .await?;
    let jobs = rows.iter().map(job).collect::<Result<Vec<_>, _>>()?;
    tx.commit().await?;
    Ok(jobs)
}

/// Takes a job to be called, counting the call. `None` when it is no longer to be had: somebody else has it,
/// or its destination is on the line. Nothing is kept unless the transaction is committed.
pub(super) async fn to_dial(
    store: &Store,
    owner: &str,
    head: &Head,
) -> Result<Option<(Tx, Job)>, StoreError> {
    let mut tx = store.begin().await?;
    let now = now_ms();
    // The states of calls stand in the text: a partial index serves no placeholders.
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "UPDATE job SET state = $1, state_since = $2, deadline = $3, lease_owner = $4, lease_until = $5,
                tries = tries + 1
         WHERE tenant_id = $6 AND job_id = $7 AND state IN ($8, $9) AND run_at <= $2 AND opens_at <= $2
           AND cancelled_at IS NULL AND (not_after IS NULL OR not_after > $2)
           AND NOT EXISTS (SELECT 1 FROM job AS busy WHERE busy.destination = job.destination
                           AND busy.state IN ('{}', '{}') AND busy.carried_by IS NULL)
         RETURNING {COLUMNS}",
        State::Dialling,
        State::Sending,
    )))
    .bind(State::Dialling.name())
    .bind(now)
    .bind(State::Dialling.deadline(now))
    .bind(owner)
    .bind(now + LEASE_MS)
    .bind(&head.tenant_id)
    .bind(&head.job_id)
    .bind(State::Ready.name())
    .bind(State::Waiting.name())
    .fetch_optional(tx.conn())
    .await
    .map_err(StoreError::from);
    match row {
        Ok(Some(row)) => Ok(Some((tx, job(&row)?))),
        Ok(None) => Ok(None),
        // Another node began a call to this number in the same moment: the index lets one through.
        Err(error) if error.is_unique_violation() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Who is due within this goes along: those that a call left behind wait equally long, but for a moment.
const SOON_MS: i64 = 2000;

/// The waiting jobs that are like this one for the far end: of the same user, to the same number and
/// sub-address, from the same number, in the same set-up, with a cover or without as it is, without a password; in the order of their
/// lane.
pub(super) async fn alike(store: &Store, job: &Job, most: u32) -> Result<Vec<Job>, StoreError> {
    let setup = |rendition: &str| {
        format!(
            "COALESCE((SELECT page_setup FROM rendition WHERE rendition.tenant_id = $1
                       AND rendition.rendition_id = {rendition}), '')"
        )
    };
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM job
         WHERE tenant_id = $1 AND user_id = $2 AND destination = $3 AND COALESCE(sub_address, '') = $4
           AND state IN ('{}', '{}') AND run_at <= $10 AND opens_at <= $5 AND cancelled_at IS NULL
           AND job_id <> $6 AND password = 0 AND COALESCE(caller, '') = $11
           AND (not_after IS NULL OR not_after > $5) AND CASE WHEN cover_custody_id IS NULL THEN 0 ELSE 1 END = $7 AND {} = {}
         ORDER BY place, job_id LIMIT $9",
        State::Ready,
        State::Waiting,
        setup("job.rendition_id"),
        setup("$8"),
    )))
    .bind(&job.tenant_id)
    .bind(&job.user_id)
    .bind(&job.destination)
    .bind(job.sub_address.as_deref().unwrap_or_default())
    .bind(now_ms())
    .bind(&job.job_id)
    .bind(i64::from(job.cover_custody_id.is_some()))
    .bind(job.rendition_id.as_deref().unwrap_or_default())
    .bind(i64::from(most))
    .bind(now_ms() + SOON_MS)
    .bind(job.options.caller.as_deref().unwrap_or_default())
    .fetch_all(store.reader())
    .await?;
    rows.iter().map(self::job).collect()
}

/// Takes further jobs for the call of one that was just taken, in the same transaction; those that are still to
/// be had. They don't stand for their number on the line: the one that carries them does.
pub(super) async fn to_carry(
    tx: &mut Tx,
    owner: &str,
    by: &Job,
    jobs: &[Job],
) -> Result<Vec<Job>, StoreError> {
    let now = now_ms();
    let mut taken = Vec::new();
    for wanted in jobs {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "UPDATE job SET state = $1, state_since = $2, deadline = $3, lease_owner = $4, lease_until = $5,
                    tries = tries + 1, carried_by = $6
             WHERE state IN ($7, $8) AND job_id IN (
                 SELECT job_id FROM job WHERE tenant_id = $9 AND job_id = $10 AND state IN ($7, $8)
                   AND run_at <= $11 AND opens_at <= $2 AND cancelled_at IS NULL {})
             RETURNING {COLUMNS}",
            skip_locked(tx, "UPDATE")
        )))
        .bind(State::Dialling.name())
        .bind(now)
        // It waits for those before it, as long as pages may be on their way.
        .bind(State::Sending.deadline(now))
        .bind(owner)
        .bind(now + LEASE_MS)
        .bind(&by.job_id)
        .bind(State::Ready.name())
        .bind(State::Waiting.name())
        .bind(&wanted.tenant_id)
        .bind(&wanted.job_id)
        .bind(now + SOON_MS)
        .fetch_optional(tx.conn())
        .await?;
        if let Some(row) = row {
            taken.push(job(&row)?);
        }
    }
    Ok(taken)
}

/// Keeps a job in work ours for another while.
pub(super) async fn renew(store: &Store, job: &Job) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    sqlx::query(
        "UPDATE job SET lease_until = $1 WHERE tenant_id = $2 AND job_id = $3 AND lease_owner = $4",
    )
    .bind(now_ms() + LEASE_MS)
    .bind(&job.tenant_id)
    .bind(&job.job_id)
    .bind(&job.lease_owner)
    .execute(tx.conn())
    .await?;
    tx.commit().await
}

/// The jobs in work whose worker is gone: their lease is over, or it belongs to an earlier start of this node.
pub(super) async fn abandoned(
    store: &Store,
    node: &str,
    owner: &str,
) -> Result<Vec<Job>, StoreError> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM job
         WHERE state IN ($1, $2, $3)
           AND (lease_until < $4 OR (lease_owner LIKE $5 AND lease_owner <> $6))"
    )))
    .bind(State::Rendering.name())
    .bind(State::Dialling.name())
    .bind(State::Sending.name())
    .bind(now_ms())
    // A database of one machine has one node: whoever held a lease before is gone.
    .bind(if store.is_shared() {
        format!("{node}/%")
    } else {
        "%".to_owned()
    })
    .bind(owner)
    .fetch_all(store.reader())
    .await?;
    rows.iter().map(job).collect()
}

/// Whether a job is still as it was read: neither moved on nor renewed meanwhile. It stays so until the
/// transaction ends.
pub(super) async fn is_unchanged(tx: &mut Tx, job: &Job) -> Result<bool, StoreError> {
    let same = sqlx::query(
        "UPDATE job SET deadline = deadline
         WHERE tenant_id = $1 AND job_id = $2 AND state = $3 AND deadline = $4
           AND COALESCE(lease_owner, '') = $5 AND COALESCE(lease_until, 0) = $6",
    )
    .bind(&job.tenant_id)
    .bind(&job.job_id)
    .bind(job.state.name())
    .bind(job.deadline)
    .bind(job.lease_owner.as_deref().unwrap_or_default())
    .bind(job.lease_until.unwrap_or(0))
    .execute(tx.conn())
    .await?;
    Ok(same.rows_affected() == 1)
}

/// The jobs whose state has lasted longer than the table allows.
pub(super) async fn overdue(store: &Store) -> Result<Vec<Job>, StoreError> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM job WHERE finished_at IS NULL AND deadline < $1"
    )))
    .bind(now_ms())
    .fetch_all(store.reader())
    .await?;
    rows.iter().map(job).collect()
}

/// When the next waiting job may be claimed, Unix milliseconds.
pub(super) async fn next_due(store: &Store) -> Result<Option<i64>, StoreError> {
    let due: Option<i64> = sqlx::query_scalar(
        "SELECT CAST(MIN(CASE WHEN run_at > opens_at THEN run_at ELSE opens_at END) AS BIGINT)
         FROM job WHERE state IN ($1, $2) AND (run_at > $3 OR opens_at > $3)",
    )
    .bind(State::Ready.name())
    .bind(State::Waiting.name())
    .bind(now_ms())
    .fetch_one(store.reader())
    .await?;
    Ok(due)
}

/// A job by its id.
pub(super) async fn by_id(store: &Store, tenant_id: &str, job_id: &str) -> Result<Job, StoreError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM job WHERE tenant_id = $1 AND job_id = $2"
    )))
    .bind(tenant_id)
    .bind(job_id)
    .fetch_one(store.reader())
    .await?;
    job(&row)
}

#[cfg(test)]
mod tests;
