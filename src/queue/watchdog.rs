//! Everything ends: jobs whose worker is gone are taken back, jobs that overstay are ended, honestly.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    Inner, cancel,
    claim::{self, Job},
    closing::{self, Closing},
    in_call, ladder, memory, moves, profiles, records, reporter, routes,
    state::State,
};
use crate::{
    clock::now_ms,
    line::{CallEnding, PageVerdict, Verdict},
    outcome::{NOT_RELEASED, RetryClass},
    policy::Sending,
    store::{StoreError, Topic, Tx},
};

/// What a leg ended by that was cut off by the end of our process.
const CUT_OFF: &str = "gateway-restarted";

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(10);
/// Between two looks for faxes that were called off by another process: somebody waits.
const LOOK: Duration = Duration::from_secs(1);

/// Carries out what was called off, until `stop`. Calls that are still up then end by the stop.
pub(super) async fn call_off(queue: Arc<Inner>, stop: CancellationToken) {
    let mut wake = queue.store.listen(Topic::Queue);
    loop {
        if let Err(error) = cancel::carry_out(&queue).await {
            tracing::warn!(%error, "faxes that were called off can't be ended; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = wake.heard() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Walks behind the others until `stop`.
pub(super) async fn run(queue: Arc<Inner>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(ROUND) => {}
        }
        if let Err(error) = take_back(&queue).await {
            tracing::warn!(%error, "abandoned jobs can't be taken back; trying again");
        }
        if let Err(error) = end_overdue(&queue).await {
            tracing::warn!(%error, "overdue jobs can't be ended; trying again");
        }
        if let Err(error) = routes::sweep(&queue).await {
            tracing::warn!(%error, "numbers that no trunk takes can't be looked for; trying again");
        }
        if let Err(error) = reporter::release_unwritten(&queue).await {
            let error = format!("{error:#}");
            tracing::warn!(
                error,
                "custody of reports that were given up can't be ended; trying again"
            );
        }
        if let Err(error) = memory::sweep(&queue.store).await {
            tracing::warn!(%error, "what is remembered too long can't be forgotten; trying again");
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
    let rules = profiles::rules(queue, &job.tenant_id, &job.user_id).await?;
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
                (job, &rules.sending),
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
    (job, sending): (&Job, &Sending),
    outcome: &str,
    why: &str,
) -> Result<(), StoreError> {
    if let Some((leg, on_line)) = records::open_leg(tx, &job.tenant_id, &job.job_id).await? {
        // If the call is up after all, and ours, it must not go on unrecorded.
        queue.line.hang_up(&leg.call_id);
        let ending = CallEnding {
            pages: cut_off_page(on_line, why).into_iter().collect(),
            own_fault: Some(why.into()),
            ..CallEnding::default()
        };
        records::ended(tx, &leg, &ending, outcome).await?;
    }
    // Neither the line nor the far end failed: soon again, by a row of its own.
    in_call::after_leg(
        tx,
        queue,
        (job, sending),
        job.state,
        outcome,
        RetryClass::Interrupted,
    )
    .await
}

/// The page whose data may have been on the line is unknown, never a guess: its confirmation may have been
/// on the wire, or heard and not recorded. Those behind it had no permit, so nothing of them is out.
fn cut_off_page(on_line: Option<u32>, why: &str) -> Option<PageVerdict> {
    on_line.map(|page| PageVerdict {
        page,
        verdict: Verdict::Unknown,
        evidence: why.into(),
    })
}

/// The end of a job whose time is over: the table's, unless its pages have more to say.
fn when_over(to: State, verdicts: &[Verdict]) -> State {
    match ladder::given_up(verdicts) {
        State::Failed => to,
        better => better,
    }
}

/// As [`when_over`], of a job that has run out of time.
pub(super) fn expired(verdicts: &[Verdict]) -> State {
    when_over(State::Expired, verdicts)
}

/// Sends each job that overstays where the table says.
async fn end_overdue(queue: &Inner) -> Result<(), StoreError> {
    for job in claim::overdue(&queue.store).await? {
        let Some(to) = job.state.rule().overdue else {
            continue;
        };
        let rules = profiles::rules(queue, &job.tenant_id, &job.user_id).await?;
        let mut tx = queue.store.begin().await?;
        if !claim::is_unchanged(&mut tx, &job).await? {
            continue;
        }
        if matches!(job.state, State::Dialling | State::Sending) {
            // What became of the pages decides, not the table alone.
            cut_off(
                &mut tx,
                queue,
                (&job, &rules.sending),
                "deadline",
                "the call took too long",
            )
            .await?;
        } else if to.is_final() {
            let total = job.pages_total.unwrap_or(0);
            let verdicts = records::verdicts(&mut tx, &job.tenant_id, &job.job_id, total).await?;
            closing::close(
                &mut tx,
                &Closing {
                    tenant_id: &job.tenant_id,
                    job_id: &job.job_id,
                    from: job.state,
                    to: when_over(to, &verdicts),
                    outcome: match job.state {
                        State::Parked => NOT_RELEASED.key,
                        _ => "deadline",
                    },
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
    use Verdict::{Confirmed, Refused, Unknown, Unsent};

    #[test]
    fn promise_7_what_arrived_is_not_called_expired() {
        for (verdicts, end) in [
            (&[][..], State::Expired),
            (&[Unsent, Unsent], State::Expired),
            (&[Refused, Unsent], State::Expired),
            (&[Confirmed, Unsent], State::Partly),
            (&[Confirmed, Refused], State::Partly),
            (&[Confirmed, Unknown], State::Unknown),
            (&[Unknown, Unsent], State::Unknown),
        ] {
            assert_eq!(when_over(State::Expired, verdicts), end, "{verdicts:?}");
            assert!(State::Waiting.leads_to(end));
        }
    }
}
