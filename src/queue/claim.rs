//! Taking jobs to work on: one conditional update each, so that no two workers hold the same job.

use sqlx::Row;

use super::{moves, records::page_number, state::State};
use crate::{
    clock::now_ms,
    store::{Store, StoreError, Tx},
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
    pub sub_address: Option<String>,
    pub state: State,
    pub tries: u32,
    pub rendition_id: Option<String>,
    pub cover_custody_id: Option<String>,
    pub pages_total: Option<u32>,
    pub lease_owner: Option<String>,
    lease_until: Option<i64>,
    deadline: i64,
}

const COLUMNS: &str =
    "tenant_id, job_id, submission_id, user_id, destination, sub_address, state, tries,
     rendition_id, cover_custody_id, pages_total, lease_owner, lease_until, deadline";

/// PostgreSQL lets claims pass each other; SQLite has one writer, so there is nothing to pass.
fn skip_locked(store: &Store) -> &'static str {
    if store.is_shared() {
        "FOR UPDATE SKIP LOCKED"
    } else {
        ""
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
        sub_address: row.try_get("sub_address")?,
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

/// Takes every queued job of the submission that has waited longest: they share its pages.
pub(super) async fn to_render(store: &Store, owner: &str) -> Result<Vec<Job>, StoreError> {
    let mut tx = store.begin().await?;
    let now = now_ms();
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "UPDATE job SET state = $1, state_since = $2, deadline = $3, lease_owner = $4, lease_until = $5
         WHERE state = $6 AND submission_id = (
             SELECT submission_id FROM job WHERE state = $6 AND run_at <= $2
             ORDER BY priority, run_at, job_id LIMIT 1 {})
         RETURNING {COLUMNS}",
        skip_locked(store)
    )))
    .bind(State::Rendering.name())
    .bind(now)
    .bind(State::Rendering.deadline(now))
    .bind(owner)
    .bind(now + LEASE_MS)
    .bind(State::Queued.name())
    .fetch_all(tx.conn())
    .await?;
    let jobs = rows.iter().map(job).collect::<Result<Vec<_>, _>>()?;
    tx.commit().await?;
    Ok(jobs)
}

/// Takes the next job that may be called, counting the call; none while its destination is on the line.
pub(super) async fn to_dial(
    tx: &mut Tx,
    store: &Store,
    owner: &str,
) -> Result<Option<Job>, StoreError> {
    let now = now_ms();
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "UPDATE job SET state = $1, state_since = $2, deadline = $3, lease_owner = $4, lease_until = $5,
                tries = tries + 1
         WHERE job_id = (
             SELECT job_id FROM job AS next WHERE next.state IN ($6, $7) AND next.run_at <= $2
               AND NOT EXISTS (SELECT 1 FROM job AS busy WHERE busy.destination = next.destination
                               AND busy.state IN ($8, $9))
             ORDER BY next.priority, next.run_at, next.job_id LIMIT 1 {})
           AND state IN ($6, $7)
         RETURNING {COLUMNS}",
        skip_locked(store)
    )))
    .bind(State::Dialling.name())
    .bind(now)
    .bind(State::Dialling.deadline(now))
    .bind(owner)
    .bind(now + LEASE_MS)
    .bind(State::Ready.name())
    .bind(State::Waiting.name())
    .bind(State::Dialling.name())
    .bind(State::Sending.name())
    .fetch_optional(tx.conn())
    .await?;
    row.as_ref().map(job).transpose()
}

/// Gives back a job that was just taken and can't be called now: the call does not count.
pub(super) async fn put_back(tx: &mut Tx, job: &Job, run_at: i64) -> Result<(), StoreError> {
    sqlx::query("UPDATE job SET tries = tries - 1 WHERE tenant_id = $1 AND job_id = $2")
        .bind(&job.tenant_id)
        .bind(&job.job_id)
        .execute(tx.conn())
        .await?;
    let (tenant, id) = (&job.tenant_id, &job.job_id);
    moves::advance_at(
        tx,
        tenant,
        id,
        State::Dialling,
        State::Waiting,
        None,
        run_at,
    )
    .await?;
    Ok(())
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
        "SELECT CAST(MIN(run_at) AS BIGINT) FROM job WHERE state IN ($1, $2) AND run_at > $3",
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
mod tests {
    use super::*;
    use crate::{
        queue::{NewJob, enqueue, moves},
        store::{new_id, testing::on_each_database},
    };

    /// A job that the owner `a/1` renders, as two readers see it.
    async fn rendering(store: &Store) -> Job {
        let tenant_id = new_id();
        let submission_id = new_id();
        let mut tx = store.begin().await.unwrap();
        sqlx::query(
            "INSERT INTO submission (submission_id, tenant_id, user_id, door, proof, reverse_path, subject,
                                     digest, custody_id, report_to, accepted_at)
             VALUES ($1, $2, 'u', 'smtp', 'password', '', '', $3, 'c', 'a@b', 1)",
        )
        .bind(&submission_id)
        .bind(&tenant_id)
        .bind(vec![0_u8; 32])
        .execute(tx.conn())
        .await
        .unwrap();
        let job = NewJob {
            job_id: new_id(),
            tenant_id,
            submission_id,
            user_id: "u".into(),
            group_id: "g".into(),
            destination: "+331".into(),
            sub_address: None,
            recipient: "+331@x".into(),
            notify: None,
            orcpt: None,
            deadline: now_ms() + 3_600_000,
            run_at: 0,
            priority: 0,
        };
        enqueue(&mut tx, &job).await.unwrap();
        tx.commit().await.unwrap();
        to_render(store, "a/1").await.unwrap().remove(0)
    }

    async fn unchanged(store: &Store, job: &Job) -> bool {
        let mut tx = store.begin().await.unwrap();
        let same = is_unchanged(&mut tx, job).await.unwrap();
        tx.roll_back().await.unwrap();
        same
    }

    on_each_database! {
        async fn a_job_that_was_renewed_or_moved_is_not_taken_back(store) {
            let job = rendering(&store).await;
            assert!(unchanged(&store, &job).await);
            assert!(unchanged(&store, &job).await, "looking changes nothing");
            let mut another = job.clone();
            another.lease_owner = Some("a/2".into());
            assert!(!unchanged(&store, &another).await, "another start has it");
            another.lease_owner = None;
            assert!(!unchanged(&store, &another).await);

            // Renewed in the millisecond after it was read.
            let mut older = job.clone();
            older.lease_until = older.lease_until.map(|until| until - 1);
            assert!(!unchanged(&store, &older).await);

            let mut tx = store.begin().await.unwrap();
            assert!(is_unchanged(&mut tx, &job).await.unwrap());
            moves::advance(&mut tx, &job.tenant_id, &job.job_id, State::Rendering, State::Queued).await.unwrap();
            tx.commit().await.unwrap();
            assert!(!unchanged(&store, &job).await, "it was moved on");
            // What is claimed anew, by whomever, is another lease.
            to_render(&store, "b/1").await.unwrap();
            assert!(!unchanged(&store, &job).await);
        }

        async fn of_two_watchdogs_one_takes_a_job_back(store) {
            let job = rendering(&store).await;
            let once = async || {
                let mut tx = store.begin().await.unwrap();
                if !is_unchanged(&mut tx, &job).await.unwrap() {
                    return 0;
                }
                moves::advance(&mut tx, &job.tenant_id, &job.job_id, State::Rendering, State::Queued).await.unwrap();
                tx.commit().await.unwrap();
                1
            };
            let taken = tokio::join!(once(), once(), once(), once());
            assert_eq!(taken.0 + taken.1 + taken.2 + taken.3, 1);
        }

        async fn a_lease_is_void_with_its_node_and_no_other(store) {
            let job = rendering(&store).await;
            let of = async |node: &str, owner: &str| abandoned(&store, node, owner).await.unwrap().len();
            assert_eq!(of("a", "a/1").await, 0, "it is ours");
            assert_eq!(of("a", "a/2").await, 1, "we were started anew");
            let other = if store.is_shared() { 0 } else { 1 };
            assert_eq!(of("b", "b/1").await, other, "another node's, where there can be one");
            assert_eq!(job.lease_owner.as_deref(), Some("a/1"));
        }
    }
}
