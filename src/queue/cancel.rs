//! Calling a fax off, in every state: before a call at once, during one after the page in progress.

use sqlx::Row;

use super::{
    Inner,
    closing::{self, Closing},
    state::State,
};
use crate::{
    clock::now_ms,
    numbers::{self, Transport},
    outcome::CANCELLED,
    store::{Store, StoreError, Topic, Tx},
};

/// How often a job is looked at that moves on while it is being called off.
const LOOKS: u32 = 20;

/// What became of one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It is off; it was in this state.
    Now(State),
    /// A call is being set up: it is hung up.
    Dialling,
    /// It shares a call with others, and none of its pages is out: it is left out.
    BeforeItsTurn,
    /// Pages go out: the call ends after the one in progress.
    AfterThisPage,
    /// That was asked for before, and the call has not ended yet.
    Already,
    /// It was over before.
    Over(State),
}

/// A job that was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelledJob {
    /// The job.
    pub job_id: String,
    /// The number.
    pub destination: String,
    /// What became of it.
    pub result: Cancelled,
}

/// Calls off a job, or all jobs of a submission. None when `id` is neither.
///
/// What is called off while it is on the line ends there: whoever follows the call sees it before the next page.
///
/// # Errors
/// [`StoreError`]; jobs that were called off before it stay so.
pub async fn cancel(
    store: &Store,
    id: &str,
    hostname: &str,
) -> Result<Vec<CancelledJob>, StoreError> {
    let rows = sqlx::query(
        "SELECT tenant_id, job_id, destination FROM job WHERE job_id = $1 OR submission_id = $1 ORDER BY job_id",
    )
    .bind(id)
    .fetch_all(store.reader())
    .await?;
    let mut done = Vec::with_capacity(rows.len());
    for row in rows {
        let tenant_id: String = row.try_get("tenant_id")?;
        let job_id: String = row.try_get("job_id")?;
        let result = cancel_job(store, &tenant_id, &job_id, hostname).await?;
        done.push(CancelledJob {
            job_id,
            destination: row.try_get("destination")?,
            result,
        });
    }
    store.wake(Topic::Queue);
    store.wake(Topic::Outbox);
    Ok(done)
}

async fn cancel_job(
    store: &Store,
    tenant_id: &str,
    job_id: &str,
    hostname: &str,
) -> Result<Cancelled, StoreError> {
    for _ in 0..LOOKS {
        let mut tx = store.begin().await?;
        match cancel_in(&mut tx, tenant_id, job_id, hostname).await? {
            Some(result) => {
                tx.commit().await?;
                return Ok(result);
            }
            // It moved on in between: it is looked at again.
            None => tx.roll_back().await?,
        }
    }
    Err(StoreError::Missing(
        "a moment in which the fax stays as it is",
    ))
}

/// Calls a job off in a transaction; `None` when it moved on meanwhile, and the transaction is to be given up.
pub(super) async fn cancel_in(
    tx: &mut Tx,
    tenant_id: &str,
    job_id: &str,
    hostname: &str,
) -> Result<Option<Cancelled>, StoreError> {
    let row = sqlx::query(
        "SELECT state, cancelled_at, carried_by FROM job WHERE tenant_id = $1 AND job_id = $2",
    )
    .bind(tenant_id)
    .bind(job_id)
    .fetch_one(tx.conn())
    .await?;
    let carried = row.try_get::<Option<String>, _>("carried_by")?.is_some();
    let state: State = row
        .try_get::<String, _>("state")?
        .parse()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let before: Option<i64> = row.try_get("cancelled_at")?;
    let (moved, result) = match state {
        state if state.is_final() => return Ok(Some(Cancelled::Over(state))),
        State::Dialling | State::Sending if before.is_some() => {
            return Ok(Some(Cancelled::Already));
        }
        State::Dialling => (
            mark(tx, tenant_id, job_id, state).await?,
            if carried {
                Cancelled::BeforeItsTurn
            } else {
                Cancelled::Dialling
            },
        ),
        State::Sending => (
            mark(tx, tenant_id, job_id, state).await?,
            Cancelled::AfterThisPage,
        ),
        state => (
            close(tx, tenant_id, job_id, state, hostname).await?,
            Cancelled::Now(state),
        ),
    };
    Ok(moved.then_some(result))
}

/// Leaves word for whoever follows the call.
async fn mark(
    tx: &mut Tx,
    tenant_id: &str,
    job_id: &str,
    state: State,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE job SET cancelled_at = $1
         WHERE tenant_id = $2 AND job_id = $3 AND state = $4 AND cancelled_at IS NULL",
    )
    .bind(now_ms())
    .bind(tenant_id)
    .bind(job_id)
    .bind(state.name())
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn close(
    tx: &mut Tx,
    tenant_id: &str,
    job_id: &str,
    from: State,
    hostname: &str,
) -> Result<bool, StoreError> {
    let closing = Closing {
        tenant_id,
        job_id,
        from,
        to: State::Cancelled,
        outcome: CANCELLED.key,
        note: None,
        hostname,
    };
    closing::close(tx, &closing).await
}

/// Whether a job has been called off.
pub(super) async fn is_marked(
    tx: &mut Tx,
    tenant_id: &str,
    job_id: &str,
) -> Result<bool, StoreError> {
    let at: Option<i64> =
        sqlx::query_scalar("SELECT cancelled_at FROM job WHERE tenant_id = $1 AND job_id = $2")
            .bind(tenant_id)
            .bind(job_id)
            .fetch_one(tx.conn())
            .await?;
    Ok(at.is_some())
}

/// Tells our calls whose jobs have been called off, and ends jobs that were called off in the moment in which
/// their call ended. The word may come from another process or node, so it is looked for.
pub(super) async fn carry_out(queue: &Inner) -> Result<(), StoreError> {
    // The partial index has no other rows than these few.
    let rows = sqlx::query(
        "SELECT tenant_id, job_id, state FROM job WHERE cancelled_at IS NOT NULL AND finished_at IS NULL",
    )
    .fetch_all(queue.store.reader())
    .await?;
    if rows.is_empty() {
        return Ok(());
    }
    let trunks = numbers::trunks(&queue.store).await?;
    let asks_no_page = |trunk_id: &str| {
        (trunks.iter()).any(|t| t.trunk_id == trunk_id && t.transport == Transport::Hylafax)
    };
    for row in rows {
        let (tenant_id, job_id): (String, String) =
            (row.try_get("tenant_id")?, row.try_get("job_id")?);
        let state: String = row.try_get("state")?;
        match state.parse() {
            Ok(State::Dialling | State::Sending) => {
                // A HylaFAX server asks nobody before a page: there the job can only be killed.
                for call in queue
                    .calls
                    .list()
                    .iter()
                    .filter(|call| call.job_id == job_id)
                {
                    if asks_no_page(&call.trunk_id) {
                        queue.line.hang_up(&call.call_id);
                    }
                }
                queue.calls.call_off(&job_id);
            }
            Ok(state) if !state.is_final() => {
                let mut tx = queue.store.begin().await?;
                if close(&mut tx, &tenant_id, &job_id, state, &queue.hostname).await? {
                    tx.commit().await?;
                    queue.store.wake(Topic::Outbox);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
