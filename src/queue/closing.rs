//! The end of a job: its state, its units and, when it was the submission's last, the report's place in
//! the outbox, all in one transaction.

use sqlx::Row;

use super::{guards, moves, records, state::State};
use crate::{
    clock::now_ms,
    ledger,
    line::Verdict,
    relay::{self, NewMail},
    store::{StoreError, Tx},
};

/// How long a report may wait for the relay.
pub(super) const REPORT_LASTS_MS: i64 = 72 * 3600 * 1000;

/// What a job needs to end.
#[derive(Clone, Debug)]
pub(super) struct Closing<'a> {
    /// The tenant.
    pub tenant_id: &'a str,
    /// The job.
    pub job_id: &'a str,
    /// The state that it leaves.
    pub from: State,
    /// The final state.
    pub to: State,
    /// A key of `outcome`.
    pub outcome: &'a str,
    /// What the report says besides.
    pub note: Option<&'a str>,
    /// Our name, for the report's Message-ID.
    pub hostname: &'a str,
}

/// Ends a job; `false` when it was no longer in `from` (somebody else ended it).
pub(super) async fn close(tx: &mut Tx, closing: &Closing<'_>) -> Result<bool, StoreError> {
    let Closing {
        tenant_id, job_id, ..
    } = *closing;
    if !moves::advance(tx, tenant_id, job_id, closing.from, closing.to).await? {
        return Ok(false);
    }
    let row = sqlx::query(
        "SELECT submission_id, pages_total, cover_custody_id FROM job WHERE tenant_id = $1 AND job_id = $2",
    )
    .bind(tenant_id)
    .bind(job_id)
    .fetch_one(tx.conn())
    .await?;
    let submission_id: String = row.try_get("submission_id")?;
    let pages = records::page_number(row.try_get::<Option<i64>, _>("pages_total")?.unwrap_or(0));
    let verdicts = records::verdicts(tx, tenant_id, job_id, pages).await?;
    let confirmed = verdicts
        .iter()
        .filter(|v| **v == Verdict::Confirmed)
        .count();
    let confirmed = u32::try_from(confirmed).unwrap_or(u32::MAX);
    sqlx::query(
        "UPDATE job SET pages_confirmed = $1, outcome = $2, outcome_note = $3
         WHERE tenant_id = $4 AND job_id = $5",
    )
    .bind(i64::from(confirmed))
    .bind(closing.outcome)
    .bind(closing.note)
    .bind(tenant_id)
    .bind(job_id)
    .execute(tx.conn())
    .await?;
    if confirmed > 0 {
        guards::reached(tx, tenant_id, job_id).await?;
    }
    // A job without an open hold (an earlier close took it) has nothing left to settle.
    let _settled = ledger::settle(tx, tenant_id, job_id, confirmed).await?;
    close_submission(tx, tenant_id, &submission_id, closing.hostname).await?;
    Ok(true)
}

/// Puts the report into the outbox when no job of the submission is open any more.
async fn close_submission(
    tx: &mut Tx,
    tenant_id: &str,
    submission_id: &str,
    hostname: &str,
) -> Result<(), StoreError> {
    // Two jobs that end at once on PostgreSQL must not both see the other one open: this row is the turnstile.
    let turnstile = sqlx::query(
        "UPDATE submission SET closed_at = closed_at WHERE tenant_id = $1 AND submission_id = $2",
    )
    .bind(tenant_id)
    .bind(submission_id)
    .execute(tx.conn())
    .await?;
    debug_assert_eq!(turnstile.rows_affected(), 1);
    let open: i64 = sqlx::query_scalar(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM job
         WHERE tenant_id = $1 AND submission_id = $2 AND finished_at IS NULL",
    )
    .bind(tenant_id)
    .bind(submission_id)
    .fetch_one(tx.conn())
    .await?;
    if open > 0 {
        return Ok(());
    }
    let now = now_ms();
    let closed = sqlx::query(
        "UPDATE submission SET closed_at = $1
         WHERE tenant_id = $2 AND submission_id = $3 AND closed_at IS NULL",
    )
    .bind(now)
    .bind(tenant_id)
    .bind(submission_id)
    .execute(tx.conn())
    .await?;
    if closed.rows_affected() == 0 {
        return Ok(());
    }
    let report_to: String = sqlx::query_scalar(
        "SELECT report_to FROM submission WHERE tenant_id = $1 AND submission_id = $2",
    )
    .bind(tenant_id)
    .bind(submission_id)
    .fetch_one(tx.conn())
    .await?;
    // One purpose, one Message-ID: a second report can't come to be (promise 3).
    relay::enqueue(
        tx,
        &NewMail {
            tenant_id: tenant_id.to_owned(),
            purpose: report_purpose(submission_id),
            about: submission_id.to_owned(),
            message_id: format!("{submission_id}.report@{hostname}"),
            // A report that comes back is counted; nothing is ever said to who sent it back (RFC 3834 §3.3).
            return_path: relay::OWN_PATH.to_owned(),
            recipient: report_to,
            deadline: now + REPORT_LASTS_MS,
        },
    )
    .await?;
    Ok(())
}

/// The outbox's word for a submission's report.
pub(super) fn report_purpose(submission_id: &str) -> String {
    format!("{REPORT_PREFIX}{submission_id}")
}

/// What the purpose of a report begins with.
pub(super) const REPORT_PREFIX: &str = "report:";
