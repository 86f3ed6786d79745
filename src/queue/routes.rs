//! Numbers that no trunk takes end at once, and are told.

use sqlx::Row;

use super::{
    Inner,
    claim::Job,
    closing::{self, Closing},
    heads::Takes,
    ladder, records,
    state::State,
};
use crate::{
    numbers,
    outcome::NO_TRUNK,
    store::{StoreError, Topic},
};

/// What the trunks take, those included that are off, full or down: that passes. `None` while there is no
/// trunk at all: the gateway is being set up, or a trunk is replaced, and faxes wait for that.
async fn taken(queue: &Inner) -> Result<Option<Takes>, StoreError> {
    let trunks = numbers::trunks(&queue.store).await?;
    Ok((!trunks.is_empty()).then(|| Takes::of(&trunks)))
}

/// Ends those of these jobs, which are being rendered, whose number no trunk takes, and removes them from the
/// list: no page is drawn for them.
pub(super) async fn end_unroutable(queue: &Inner, jobs: &mut Vec<Job>) -> Result<(), StoreError> {
    let Some(takes) = taken(queue).await? else {
        return Ok(());
    };
    let mut ended = Vec::new();
    for job in jobs.iter().filter(|job| !takes.takes(&job.destination)) {
        end(queue, &job.tenant_id, &job.job_id, job.state, 0).await?;
        ended.push(job.job_id.clone());
    }
    jobs.retain(|job| !ended.contains(&job.job_id));
    Ok(())
}

/// Ends the jobs that wait for a call and whose number no trunk takes any more.
pub(super) async fn sweep(queue: &Inner) -> Result<(), StoreError> {
    let takes = match taken(queue).await? {
        None | Some(Takes::All) => return Ok(()),
        Some(takes) => takes,
    };
    let (fits, prefixes) = takes.sql("destination", 3);
    let mut query = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT tenant_id, job_id, state, pages_total FROM job
         WHERE state IN ($1, $2) AND NOT {fits} LIMIT 100"
    )))
    .bind(State::Ready.name())
    .bind(State::Waiting.name());
    for prefix in prefixes {
        query = query.bind(prefix);
    }
    for row in query.fetch_all(queue.store.reader()).await? {
        let (tenant_id, job_id): (String, String) =
            (row.try_get("tenant_id")?, row.try_get("job_id")?);
        let state: String = row.try_get("state")?;
        let pages =
            records::page_number(row.try_get::<Option<i64>, _>("pages_total")?.unwrap_or(0));
        // A state of a later version is not ours to end.
        if let Ok(state) = state.parse() {
            end(queue, &tenant_id, &job_id, state, pages).await?;
        }
    }
    Ok(())
}

async fn end(
    queue: &Inner,
    tenant_id: &str,
    job_id: &str,
    from: State,
    pages: u32,
) -> Result<(), StoreError> {
    let mut tx = queue.store.begin().await?;
    let verdicts = records::verdicts(&mut tx, tenant_id, job_id, pages).await?;
    let closing = Closing {
        tenant_id,
        job_id,
        from,
        to: ladder::given_up(&verdicts),
        outcome: NO_TRUNK.key,
        note: None,
        hostname: &queue.hostname,
    };
    // One that moved on meanwhile is looked at again.
    if closing::close(&mut tx, &closing).await? {
        tx.commit().await?;
        tracing::warn!(job = job_id, "no trunk takes the number: it has ended");
        queue.store.wake(Topic::Outbox);
    }
    Ok(())
}
