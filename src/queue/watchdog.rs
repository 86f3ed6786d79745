//! Everything ends: jobs whose worker is gone are taken back, jobs that overstay are ended, honestly.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    Inner,
    claim::{self, Job},
    closing::{self, Closing},
    in_call, moves, records,
    state::State,
};
use crate::{
    clock::now_ms,
    line::{CallEnding, PageVerdict, Verdict},
    outcome::RetryClass,
    store::{StoreError, Topic, Tx},
};

/// What a leg ended by that was cut off by the end of our process.
const CUT_OFF: &str = "gateway-restarted";

/// Walks behind the others until `stop`.
pub(super) async fn run(queue: Arc<Inner>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(10)) => {}
        }
        if let Err(error) = take_back(&queue).await {
            tracing::warn!(%error, "abandoned jobs can't be taken back; trying again");
        }
        if let Err(error) = end_overdue(&queue).await {
            tracing::warn!(%error, "overdue jobs can't be ended; trying again");
        }
    }
}

/// Takes back the jobs whose worker is gone.
pub(super) async fn take_back(queue: &Inner) -> Result<(), StoreError> {
    let node = queue.owner.split('/').next().unwrap_or_default();
    for job in claim::abandoned(&queue.store, node, &queue.owner).await? {
        take_back_one(queue, &job).await?;
        tracing::warn!(job = job.job_id, state = %job.state, "taken back from a worker that is gone");
    }
    queue.store.wake(Topic::Queue);
    queue.store.wake(Topic::Outbox);
    Ok(())
}

async fn take_back_one(queue: &Inner, job: &Job) -> Result<(), StoreError> {
    let mut tx = queue.store.begin().await?;
    if !claim::is_unchanged(&mut tx, job).await? {
        return Ok(());
    }
    match job.state {
        State::Rendering => {
            moves::advance(
                &mut tx,
                &job.tenant_id,
                &job.job_id,
                State::Rendering,
                State::Queued,
            )
            .await?;
        }
        State::Dialling | State::Sending => {
            cut_off(
                &mut tx,
                queue,
                job,
                CUT_OFF,
                "the gateway was stopped during the call",
            )
            .await?;
        }
        _ => {}
    }
    tx.commit().await
}

/// Ends a job's open leg by what is on record of its pages, and decides what comes after it.
async fn cut_off(
    tx: &mut Tx,
    queue: &Inner,
    job: &Job,
    outcome: &str,
    why: &str,
) -> Result<(), StoreError> {
    if let Some((leg, page_data)) = records::open_leg(tx, &job.tenant_id, &job.job_id).await? {
        // If the call is up after all, and ours, it must not go on unrecorded.
        queue.line.hang_up(&leg.call_id);
        let total = job.pages_total.unwrap_or(0);
        let known = records::verdicts(tx, &job.tenant_id, &job.job_id, total).await?;
        let ending = CallEnding {
            pages: cut_off_pages(&known, leg.first_page, page_data, why),
            own_fault: Some(why.into()),
            ..CallEnding::default()
        };
        records::ended(tx, &leg, &ending, outcome).await?;
    }
    in_call::after_leg(tx, queue, job, job.state, outcome, RetryClass::Protocol).await
}

/// After page data began, every page of the leg without a word of the far end is unknown, never a guess:
/// the confirmation of the first may have been on the wire, and on a busy machine the line worker is
/// ahead of the records, so that those behind it may have gone out too.
fn cut_off_pages(
    known: &[Verdict],
    first_page: u32,
    page_data: bool,
    why: &str,
) -> Vec<PageVerdict> {
    if !page_data {
        return Vec::new();
    }
    known
        .iter()
        .skip(first_page as usize)
        .zip(0..)
        .filter(|(verdict, _)| **verdict != Verdict::Confirmed)
        .map(|(_, page)| PageVerdict {
            page,
            verdict: Verdict::Unknown,
            evidence: why.into(),
        })
        .collect()
}

/// Sends each job that overstays where the table says.
async fn end_overdue(queue: &Inner) -> Result<(), StoreError> {
    for job in claim::overdue(&queue.store).await? {
        let Some(to) = job.state.rule().overdue else {
            continue;
        };
        let mut tx = queue.store.begin().await?;
        if !claim::is_unchanged(&mut tx, &job).await? {
            continue;
        }
        if matches!(job.state, State::Dialling | State::Sending) {
            // What became of the pages decides, not the table alone.
            cut_off(&mut tx, queue, &job, "deadline", "the call took too long").await?;
        } else if to.is_final() {
            closing::close(
                &mut tx,
                &Closing {
                    tenant_id: &job.tenant_id,
                    job_id: &job.job_id,
                    from: job.state,
                    to,
                    outcome: "deadline",
                    note: None,
                    hostname: &queue.hostname,
                },
            )
            .await?;
        } else {
            moves::advance_at(
                &mut tx,
                &job.tenant_id,
                &job.job_id,
                job.state,
                to,
                None,
                now_ms(),
            )
            .await?;
        }
        tx.commit().await?;
        tracing::warn!(job = job.job_id, state = %job.state, "overdue");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Confirmed, Unsent};

    #[test]
    fn promise_3_a_crash_after_page_data_leaves_the_open_pages_unknown() {
        let pages = cut_off_pages(&[Confirmed, Confirmed, Unsent, Unsent], 1, true, "x");
        let told: Vec<_> = pages.iter().map(|page| (page.page, page.verdict)).collect();
        assert_eq!(told, [(1, Verdict::Unknown), (2, Verdict::Unknown)]);
    }

    #[test]
    fn a_crash_before_page_data_leaves_nothing_unknown() {
        assert!(cut_off_pages(&[Unsent, Unsent], 0, false, "x").is_empty());
    }

    #[test]
    fn a_crash_after_the_last_confirmation_leaves_nothing_unknown() {
        assert!(cut_off_pages(&[Confirmed, Confirmed], 0, true, "x").is_empty());
    }
}
