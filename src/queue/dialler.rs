//! Claims jobs for free channels and starts their calls.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Inner, asked,
    attempt::{self, Carrier},
    batch,
    claim::{self, Job},
    closing::{self, Closing},
    fair::{Fair, Head},
    heads::{self, Takes},
    in_call, ladder, moves, profiles, records,
    state::State,
};
use crate::{
    clock::now_ms,
    numbers::{self, T38Policy, Transport, Trunk},
    people::Rules,
    policy::Sending,
    store::{StoreError, Topic},
};

/// Places calls until `stop`, then waits for those in progress: their ends are recorded.
pub(super) async fn run(queue: Arc<Inner>, stop: CancellationToken) {
    let mut calls = JoinSet::new();
    let mut wake = queue.store.listen(Topic::Queue);
    let mut fair = Fair::default();
    while !stop.is_cancelled() {
        while calls.try_join_next().is_some() {}
        let pause = match next(&queue, &mut fair).await {
            Ok(Step::Call(call)) => {
                calls.spawn(in_call::run(queue.clone(), *call));
                continue;
            }
            Ok(Step::Again) => continue,
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
    queue.stopping.store(true, Ordering::Relaxed);
    // What is not over by then is hung up: its pages are told by what the far end has said of them.
    let rest = async { while calls.join_next().await.is_some() {} };
    if tokio::time::timeout(queue.drain, rest).await.is_err() {
        for call in queue.calls.list() {
            queue.line.hang_up(&call.call_id);
        }
        while calls.join_next().await.is_some() {}
    }
}

enum Step {
    Call(Box<in_call::Claimed>),
    /// Something was done that lets the next one go.
    Again,
    Idle(Duration),
}

fn ids(trunks: &[Trunk]) -> Vec<String> {
    trunks.iter().map(|trunk| trunk.trunk_id.clone()).collect()
}

/// The next call. Nothing is written while no job can go: those whose trunks are full are not even looked at,
/// and keep their places.
async fn next(queue: &Inner, fair: &mut Fair) -> Result<Step, StoreError> {
    // The line learns a little later that a trunk was turned off.
    let mut trunks = numbers::trunks(&queue.store).await?;
    trunks.retain(|trunk| trunk.active);
    let usable = queue.line.usable(&ids(&trunks));
    let with_room = trunks.iter().filter(|t| usable.contains(&t.trunk_id));
    let takes = Takes::of(with_room);
    if usable.is_empty() {
        return Ok(Step::Idle(Duration::from_secs(5)));
    }
    let mut heads = heads::to_dial(&queue.store, now_ms(), &takes).await?;
    while let Some(at) = fair.next(&heads, now_ms(), queue.policy.age_ms()) {
        let head = heads.swap_remove(at);
        let rules = profiles::rules(queue, &head.tenant_id, &head.user_id).await?;
        match claim_one(queue, &head, &rules, &trunks).await? {
            Claim::Ours(jobs, carriers) => {
                let pages = jobs.iter().filter_map(|job| job.pages_total).sum();
                fair.charge(&Head { pages, ..head });
                return call(queue, jobs, rules.sending, &carriers).await;
            }
            Claim::Again => return Ok(Step::Again),
            Claim::NotNow => {}
        }
    }
    Ok(Step::Idle(until_due(queue).await?))
}

/// What became of an attempt to have a job.
enum Claim {
    /// The job, those that share its call behind it, and the trunks that can take the call now.
    Ours(Vec<Job>, Vec<Carrier>),
    /// Its profile has put it off, or ended it: its lane may have another.
    Again,
    /// Somebody else has it, or the last channel is gone meanwhile.
    NotNow,
}

async fn claim_one(
    queue: &Inner,
    head: &Head,
    rules: &Rules,
    trunks: &[Trunk],
) -> Result<Claim, StoreError> {
    if !profiles::may_call(queue, head, rules).await? {
        return Ok(Claim::Again);
    }
    let routes = numbers::trunks_for(trunks, &head.destination);
    let reachable = carriers(&queue.line.usable(&ids(&routes)), &routes);
    let along = batch::companions(queue, head, &rules.sending, &reachable).await?;
    let Some((mut tx, job)) = claim::to_dial(&queue.store, &queue.owner, head).await? else {
        return Ok(Claim::NotNow);
    };
    // The last channel may be gone meanwhile.
    let reachable = carriers(&queue.line.usable(&ids(&routes)), &routes);
    if reachable.is_empty() {
        tx.roll_back().await?;
        return Ok(Claim::NotNow);
    }
    let along = batch::unless_hylafax(along, &reachable);
    let along = claim::to_carry(&mut tx, &queue.owner, &job, &along).await?;
    // The claim is ours now. Pages are read and drawn with no transaction open: a page that comes in
    // meanwhile waits for the same database.
    tx.commit().await?;
    let mut jobs = vec![job];
    jobs.extend(along);
    Ok(Claim::Ours(jobs, reachable))
}

/// Places the call of jobs that are ours.
async fn call(
    queue: &Inner,
    jobs: Vec<Job>,
    sending: Sending,
    carriers: &[Carrier],
) -> Result<Step, StoreError> {
    let Some(lead) = jobs.first() else {
        return Ok(Step::Again);
    };
    let attempt = batch::attempt_of(queue, lead, carriers).await?;
    // One moment for the record and the header lines.
    let at = now_ms();
    let mut parts = Vec::new();
    for (index, job) in jobs.iter().enumerate() {
        match in_call::part(queue, job, at).await {
            Ok(part) => parts.push(part),
            Err(error) => {
                tracing::error!(
                    job = job.job_id,
                    error = format!("{error:#}"),
                    "the pages can't be read; put off"
                );
                put_off(queue, (job, &sending)).await?;
            }
        }
        // The first stands for all on the line: without it none is called.
        if parts.is_empty() {
            for job in &jobs[index + 1..] {
                put_off(queue, (job, &sending)).await?;
            }
            return Ok(Step::Again);
        }
    }
    let (legs, order) = in_call::order(parts, attempt);
    // The call is on record before it is placed: a crash finds it.
    let mut tx = queue.store.begin().await?;
    records::placed(&mut tx, &legs, &order, at).await?;
    tx.commit().await?;
    let shown = queue.calls.begin(&order, &legs);
    let offer = attempt::Offer::of(&order);
    // Here, so that the trunk's channel is taken before the next look for a free one.
    let events = queue.line.place(order).await;
    Ok(Step::Call(Box::new(in_call::Claimed {
        sending,
        legs,
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
            hylafax: trunk.transport == Transport::Hylafax,
        })
        .collect()
}

/// Tries a claimed job later whose call can't be made up. Each time counts as a call, so it ends.
async fn put_off(queue: &Inner, (job, sending): (&Job, &Sending)) -> Result<(), StoreError> {
    let mut tx = queue.store.begin().await?;
    // One that was called off in this moment is ended by `cancel::carry_out`.
    if job.tries < asked::sending(sending, &job.options).max_calls {
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
        let pages = job.pages_total.unwrap_or(0);
        let verdicts = records::verdicts(&mut tx, &job.tenant_id, &job.job_id, pages).await?;
        closing::close(
            &mut tx,
            &Closing {
                tenant_id: &job.tenant_id,
                job_id: &job.job_id,
                from: State::Dialling,
                to: ladder::given_up(&verdicts),
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
