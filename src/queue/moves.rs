//! The only code that changes a job's state: one conditional update along the table's arrows.

use super::state::State;
use crate::{
    clock::now_ms,
    store::{StoreError, Tx},
};

/// Who is at work on a claimed job, and until when nobody else may take it.
#[derive(Clone, Copy, Debug)]
pub struct Lease<'a> {
    /// Node and start of the process.
    pub owner: &'a str,
    /// Unix milliseconds.
    pub until: i64,
}

/// Moves a job along an arrow of the table; `false` when it was no longer in `from`.
///
/// The new state starts now, its deadline is the table's, a lease of the old state ends.
///
/// # Errors
/// [`StoreError`]; nothing moved.
pub async fn advance(
    tx: &mut Tx,
    tenant_id: &str,
    job_id: &str,
    from: State,
    to: State,
) -> Result<bool, StoreError> {
    advance_at(tx, tenant_id, job_id, from, to, None, 0).await
}

/// As [`advance`], taking a lease and setting when the new state may be claimed.
///
/// # Errors
/// [`StoreError`]; nothing moved.
pub async fn advance_at(
    tx: &mut Tx,
    tenant_id: &str,
    job_id: &str,
    from: State,
    to: State,
    lease: Option<Lease<'_>>,
    run_at: i64,
) -> Result<bool, StoreError> {
    debug_assert!(from.leads_to(to), "the table has no arrow {from} -> {to}");
    let now = now_ms();
    // A call that is up may end; every other state waits, and no wait outlasts the job's latest time.
    let in_call = matches!(to, State::Dialling | State::Sending);
    let done = sqlx::query(
        "UPDATE job SET state = $1, state_since = $2,
                deadline = CASE WHEN $11 = 0 AND $3 > expires_at THEN expires_at ELSE $3 END, run_at = $4,
                lease_owner = $5, lease_until = $6, finished_at = $7,
                carried_by = CASE WHEN $11 = 0 THEN NULL ELSE carried_by END
         WHERE tenant_id = $8 AND job_id = $9 AND state = $10",
    )
    .bind(to.name())
    .bind(now)
    .bind(to.deadline(now.max(run_at)))
    .bind(run_at)
    .bind(lease.map(|lease| lease.owner))
    .bind(lease.map(|lease| lease.until))
    .bind(to.is_final().then_some(now))
    .bind(tenant_id)
    .bind(job_id)
    .bind(from.name())
    .bind(i64::from(in_call))
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Renews the lease of a job in work; `false` when it has left the state, or belongs to somebody else.
///
/// # Errors
/// [`StoreError`]; nothing changed.
pub async fn hold(
    tx: &mut Tx,
    tenant_id: &str,
    job_id: &str,
    state: State,
    lease: Lease<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE job SET lease_until = $1
         WHERE tenant_id = $2 AND job_id = $3 AND state = $4 AND lease_owner = $5",
    )
    .bind(lease.until)
    .bind(tenant_id)
    .bind(job_id)
    .bind(state.name())
    .bind(lease.owner)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}
