//! Claims jobs for free channels and starts their calls.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Inner,
    attempt::{self, Carrier},
    claim,
    claim::Job,
    closing::{self, Closing},
    in_call, ladder, memory, moves, records,
    state::State,
};
use crate::{
    clock::{Millis, now_ms},
    line::Verdict,
    numbers::{self, T38Policy, Transport, Trunk},
    store::{StoreError, Topic},
};

/// Places calls until `stop`, then waits for those in progress: their ends are recorded.
pub(super) async fn run(queue: Arc<Inner>, stop: CancellationToken) {
    let mut calls = JoinSet::new();
    let mut wake = queue.store.listen(Topic::Queue);
    while !stop.is_cancelled() {
        while calls.try_join_next().is_some() {}
        let pause = match next(&queue).await {
            Ok(Step::Call(call)) => {
                calls.spawn(in_call::run(queue.clone(), *call));
                continue;
            }
            Ok(Step::Idle(pause)) => pause,
            Err(error) => {
                tracing::warn!(%error, "jobs to dial can't be claimed; trying again");
                Duration::from_secs(2)
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = wake.heard() => {}
            () = tokio::time::sleep(pause) => {}
            Some(_) = calls.join_next(), if !calls.is_empty() => {}
        }
    }
    // What is not over by then is hung up: its pages are told by what the far end has said of them.
    let rest = async { while calls.join_next().await.is_some() {} };
    if tokio::time::timeout(queue.drain, rest).await.is_err() {
        for call in queue.calls.list() {
            queue.line.hang_up(&call.call_id);
        }
        while calls.join_next().await.is_some() {}
    }
}

/// How long a job waits whose trunks are all full while others are not, and one that no trunk takes: an
/// operator may add a route before the job's latest time.
const FULL: Millis = 2_000;
const NO_ROUTE: Millis = 15_000;

enum Step {
    Call(Box<in_call::Claimed>),
    Idle(Duration),
}

async fn next(queue: &Inner) -> Result<Step, StoreError> {
    // The line learns a little later that a trunk was turned off.
    let mut trunks = numbers::trunks(&queue.store).await?;
    trunks.retain(|trunk| trunk.active);
    let ids = |trunks: &[Trunk]| {
        trunks
            .iter()
            .map(|t| t.trunk_id.clone())
            .collect::<Vec<_>>()
    };
    if queue.line.usable(&ids(&trunks)).is_empty() {
        return Ok(Step::Idle(Duration::from_secs(5)));
    }
    let mut tx = queue.store.begin().await?;
    let Some(job) = claim::to_dial(&mut tx, &queue.store, &queue.owner).await? else {
        drop(tx);
        return Ok(Step::Idle(until_due(queue).await?));
    };
    let routes = numbers::trunks_for(&trunks, &job.destination);
    let usable = queue.line.usable(&ids(&routes));
    if usable.is_empty() {
        let wait = if routes.is_empty() { NO_ROUTE } else { FULL };
        if routes.is_empty() {
            tracing::warn!(
                job = job.job_id,
                "no trunk that is on takes the number; it waits"
            );
        }
        claim::put_back(&mut tx, &job, now_ms() + wait).await?;
        tx.commit().await?;
        return Ok(Step::Idle(Duration::ZERO));
    }
    // The claim is ours now. Pages are read and drawn with no transaction open: a page that comes in
    // meanwhile waits for the same database.
    tx.commit().await?;
    let pages = job.pages_total.unwrap_or(0);
    let verdicts = records::verdicts_of(&queue.store, &job.tenant_id, &job.job_id, pages).await?;
    let leg = in_call::leg_of(&job, &verdicts);
    let attempt = attempt::next(
        &records::tried(&queue.store, &job.tenant_id, &job.job_id).await?,
        memory::of(&queue.store, &job.tenant_id, &job.destination).await?,
        &carriers(&usable, &routes),
    );
    // One moment for the record and the header lines.
    let at = now_ms();
    let order = match in_call::order(queue, &job, &leg, &verdicts, attempt, at).await {
        Ok(order) => order,
        Err(error) => {
            tracing::error!(
                job = job.job_id,
                error = format!("{error:#}"),
                "the pages can't be read; put off"
            );
            put_off(queue, &job, &verdicts).await?;
            return Ok(Step::Idle(Duration::ZERO));
        }
    };
    // The call is on record before it is placed: a crash finds it.
    let mut tx = queue.store.begin().await?;
    records::placed(&mut tx, &leg, &order, at).await?;
    tx.commit().await?;
    let shown = queue
        .calls
        .begin(&order, &job.job_id, leg.first_page, pages);
    let offer = attempt::Offer::of(&order);
    // Here, so that the trunk's channel is taken before the next look for a free one.
    let events = queue.line.place(order).await;
    Ok(Step::Call(Box::new(in_call::Claimed {
        job,
        leg,
        offer,
        events,
        shown,
    })))
}

/// The trunks that can take the call now, in their order.
fn carriers(usable: &[String], routes: &[Trunk]) -> Vec<Carrier> {
    (usable.iter())
        .filter_map(|id| routes.iter().find(|trunk| trunk.trunk_id == *id))
        .map(|trunk| Carrier {
            trunk_id: trunk.trunk_id.clone(),
            t38: trunk.t38 != T38Policy::Never && trunk.transport != Transport::Hylafax,
        })
        .collect()
}

/// Tries a claimed job later whose call can't be made up. Each time counts as a call, so it ends.
async fn put_off(queue: &Inner, job: &Job, verdicts: &[Verdict]) -> Result<(), StoreError> {
    let mut tx = queue.store.begin().await?;
    if job.tries < queue.policy.max_calls {
        moves::advance_at(
            &mut tx,
            &job.tenant_id,
            &job.job_id,
            State::Dialling,
            State::Waiting,
            None,
            now_ms() + 60_000,
        )
        .await?;
    } else {
        closing::close(
            &mut tx,
            &Closing {
                tenant_id: &job.tenant_id,
                job_id: &job.job_id,
                from: State::Dialling,
                to: ladder::given_up(verdicts),
                outcome: "own-fault",
                note: None,
                hostname: &queue.hostname,
            },
        )
        .await?;
    }
    tx.commit().await?;
    queue.store.wake(Topic::Outbox);
    Ok(())
}

async fn until_due(queue: &Inner) -> Result<Duration, StoreError> {
    let longest = Duration::from_secs(5);
    Ok(claim::next_due(&queue.store).await?.map_or(longest, |due| {
        Duration::from_millis(u64::try_from(due - now_ms()).unwrap_or(0)).min(longest)
    }))
}
