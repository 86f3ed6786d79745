//! One call from its order to its end: each event that counts is on record before the next step.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::sync::mpsc;

use super::{
    Inner,
    attempt::{Attempt, Offer},
    cancel,
    claim::{self, Job},
    closing::{self, Closing},
    ladder::{self, Next},
    memory, moves, overview, pages,
    records::{self, LegRecord},
    state::State,
};
use crate::{
    clock::{Millis, now_ms},
    line::{CallEnding, CallEvent, CallOrder, Verdict},
    outcome,
    policy::Sending,
    store::{StoreError, Topic, Tx, new_id},
    trouble::Trouble,
};

/// How often the end of a call is recorded at most, when the database is in trouble: what the far end
/// said last is known nowhere else.
const SETTLE_TRIES: u32 = 8;
const SETTLE_PAUSE: Duration = Duration::from_secs(2);

/// A job that was claimed for a call, and the call as it was placed.
pub(super) struct Claimed {
    pub job: Job,
    /// The rules of trying again that apply to it.
    pub sending: Sending,
    pub leg: LegRecord,
    pub offer: Offer,
    pub events: mpsc::Receiver<CallEvent>,
    pub shown: overview::Shown,
}

/// The leg that starts at the first page that isn't confirmed.
pub(super) fn leg_of(job: &Job, verdicts: &[Verdict]) -> LegRecord {
    let first = verdicts
        .iter()
        .position(|verdict| *verdict != Verdict::Confirmed)
        .unwrap_or(0);
    LegRecord {
        tenant_id: job.tenant_id.clone(),
        call_id: new_id(),
        leg_id: new_id(),
        job_id: job.job_id.clone(),
        first_page: u32::try_from(first).unwrap_or(u32::MAX),
    }
}

/// Settles everything about the call.
pub(super) async fn order(
    queue: &Inner,
    job: &Job,
    leg: &LegRecord,
    verdicts: &[Verdict],
    attempt: Attempt,
    at: Millis,
) -> anyhow::Result<CallOrder> {
    let pages = pages::for_call(&queue.store, &queue.custody, job, verdicts, at).await?;
    let Attempt { offer, mut trunks } = attempt;
    let more_trunks = trunks.split_off(trunks.len().min(1));
    Ok(CallOrder {
        call_id: leg.call_id.clone(),
        trunk_id: trunks.pop().unwrap_or_default(),
        more_trunks,
        from: pages.from,
        to: job.destination.clone(),
        sub_address: job.sub_address.clone(),
        ident: pages.ident,
        pages: pages.pages,
        documents: Vec::new(),
        ecm: offer.ecm,
        v17: offer.v17,
        // V.29 ends at 9600 bit/s. A HylaFAX server knows no V.17, only a rate.
        max_rate: if offer.v17 { 14_400 } else { 9_600 },
        t38: offer.t38,
    })
}

/// Follows a call to its end.
pub(super) async fn run(queue: Arc<Inner>, claimed: Claimed) {
    let Claimed {
        job,
        sending,
        leg,
        offer,
        mut events,
        shown,
    } = claimed;
    let mut state = State::Dialling;
    let mut called_off = false;
    let mut renewal = tokio::time::interval(Duration::from_millis(claim::LEASE_MS as u64 / 3));
    renewal.tick().await; // the first comes at once, and the lease is fresh
    let ending = loop {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = renewal.tick() => {
                if let Err(error) = claim::renew(&queue.store, &job).await {
                    tracing::warn!(job = job.job_id, %error, "the lease can't be renewed");
                }
                continue;
            }
            () = shown.called_off.cancelled(), if !called_off => {
                called_off = true;
                // No page has its permit: the call ends now. Else it ends before the next page.
                if state == State::Dialling {
                    queue.line.hang_up(&leg.call_id);
                }
                continue;
            }
        };
        match event {
            Some(CallEvent::Ended(ending)) => break ending,
            Some(event) => {
                queue.calls.note(&leg.call_id, &event);
                if let Err(error) = follow(&queue, &leg, &mut state, event).await {
                    // Without a record the call must not go on: the permit is dropped with the event.
                    tracing::error!(job = job.job_id, %error, "the call can't be recorded; hanging up");
                    queue.line.hang_up(&leg.call_id);
                }
            }
            None => {
                break CallEnding {
                    own_fault: Some("the line gave no ending".into()),
                    ..CallEnding::default()
                };
            }
        }
    };
    let mut tries = 0;
    while let Err(error) = settle(&queue, (&job, &sending), &leg, offer, state, &ending).await {
        tries += 1;
        if tries == SETTLE_TRIES || error.trouble() == Trouble::Permanent {
            tracing::error!(job = job.job_id, %error, "the call's end can't be recorded; the watchdog will settle it");
            break;
        }
        tracing::warn!(job = job.job_id, %error, "the call's end can't be recorded; trying again");
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
    queue.store.wake(Topic::Queue);
    queue.store.wake(Topic::Outbox);
}

async fn follow(
    queue: &Inner,
    leg: &LegRecord,
    state: &mut State,
    event: CallEvent,
) -> Result<(), StoreError> {
    match event {
        CallEvent::Trunk(trunk_id) => {
            let mut tx = queue.store.begin().await?;
            records::moved(&mut tx, leg, &trunk_id).await?;
            tx.commit().await
        }
        CallEvent::Answered => {
            let mut tx = queue.store.begin().await?;
            records::answered(&mut tx, leg).await?;
            tx.commit().await
        }
        CallEvent::PageDataNext {
            page,
            answered,
            permit,
        } => {
            // One commit a page: the answer to the one before and the word that this one is next.
            let mut tx = queue.store.begin().await?;
            if let Some(verdict) = &answered {
                records::answered_page(&mut tx, leg, verdict).await?;
            }
            // Called off: this page stays unsent, and the permit that is dropped ends the call.
            let go = !cancel::is_marked(&mut tx, &leg.tenant_id, &leg.job_id).await?;
            let mut ours = false;
            if go {
                records::page_data_next(&mut tx, leg, page).await?;
                ours = still_ours(&mut tx, queue, leg, *state).await?;
            }
            tx.commit().await?;
            if ours {
                *state = State::Sending;
                // A line that is gone meanwhile will end the call itself.
                let _ = permit.send(());
            }
            Ok(())
        }
        CallEvent::Page(verdict) => {
            let mut tx = queue.store.begin().await?;
            records::answered_page(&mut tx, leg, &verdict).await?;
            tx.commit().await
        }
        CallEvent::Ringing
        | CallEvent::Media(_)
        | CallEvent::Negotiated(_)
        | CallEvent::PageStarted { .. }
        | CallEvent::PageProgress { .. }
        | CallEvent::Ended(_) => Ok(()),
    }
}

/// Holds the job for another page, whose first one moves it on to `sending`; `false` when somebody else
/// has it: then nothing may go out.
async fn still_ours(
    tx: &mut Tx,
    queue: &Inner,
    leg: &LegRecord,
    state: State,
) -> Result<bool, StoreError> {
    let lease = moves::Lease {
        owner: &queue.owner,
        until: now_ms() + claim::LEASE_MS,
    };
    if state == State::Sending {
        return moves::hold(tx, &leg.tenant_id, &leg.job_id, state, lease).await;
    }
    // A job whose lease ran out may be another's again, in the same state.
    Ok(
        moves::hold(tx, &leg.tenant_id, &leg.job_id, state, lease).await?
            && moves::advance_at(
                tx,
                &leg.tenant_id,
                &leg.job_id,
                State::Dialling,
                State::Sending,
                Some(lease),
                0,
            )
            .await?,
    )
}

async fn settle(
    queue: &Inner,
    (job, sending): (&Job, &Sending),
    leg: &LegRecord,
    offer: Offer,
    state: State,
    ending: &CallEnding,
) -> Result<(), StoreError> {
    let mut tx = queue.store.begin().await?;
    let mut outcome = outcome::classify(ending);
    // We hung up because somebody told us to, not by a fault.
    if outcome == &outcome::OWN_FAULT {
        if cancel::is_marked(&mut tx, &job.tenant_id, &job.job_id).await? {
            outcome = &outcome::CANCELLED;
        } else if queue.stopping.load(Ordering::Relaxed) {
            outcome = &outcome::GATEWAY_RESTARTED;
        }
    }
    tracing::info!(
        job = job.job_id,
        call = leg.call_id,
        outcome = outcome.key,
        t30 = ending.t30,
        duration_ms = ending.duration.as_millis() as u64,
        "call ended"
    );
    records::ended(&mut tx, leg, ending, outcome.key).await?;
    if (ending.pages.iter()).any(|page| page.verdict == Verdict::Confirmed) {
        memory::worked(&mut tx, job, offer, queue.policy.remember_ms()).await?;
    }
    after_leg(
        &mut tx,
        queue,
        (job, sending),
        state,
        outcome.key,
        outcome.retry,
    )
    .await?;
    tx.commit().await
}

fn count<T>(legs: impl Iterator<Item = T>) -> u32 {
    u32::try_from(legs.count()).unwrap_or(u32::MAX)
}

/// Decides what comes after a leg whose page reports are on record.
pub(super) async fn after_leg(
    tx: &mut Tx,
    queue: &Inner,
    (job, sending): (&Job, &Sending),
    state: State,
    outcome: &str,
    class: outcome::RetryClass,
) -> Result<(), StoreError> {
    let pages = job.pages_total.unwrap_or(0);
    let verdicts = records::verdicts(tx, &job.tenant_id, &job.job_id, pages).await?;
    let legs = records::legs(tx, &job.tenant_id, &job.job_id).await?;
    let calls = ladder::Calls {
        placed: job.tries,
        with_page_data: count(legs.iter().filter(|leg| leg.page_data)),
        // A call that overstayed ends as `deadline`, whose class is the job's end.
        of_class: count(legs.iter().filter(|leg| {
            leg.outcome == outcome
                || outcome::by_key(&leg.outcome).is_some_and(|outcome| outcome.retry == class)
        })),
    };
    let mut next = ladder::after_call(&verdicts, class, calls, sending);
    let mut outcome = outcome;
    // What the far end has confirmed stands; a fax that is all there is sent, whoever called it off.
    if next != Next::End(State::Sent) && cancel::is_marked(tx, &job.tenant_id, &job.job_id).await? {
        next = Next::End(State::Cancelled);
        outcome = outcome::CANCELLED.key;
    }
    match next {
        Next::Wait(ms) => {
            moves::advance_at(
                tx,
                &job.tenant_id,
                &job.job_id,
                state,
                State::Waiting,
                None,
                now_ms() + ms,
            )
            .await?;
        }
        Next::End(to) => {
            closing::close(
                tx,
                &Closing {
                    tenant_id: &job.tenant_id,
                    job_id: &job.job_id,
                    from: state,
                    to,
                    outcome: if to == State::Sent { "sent" } else { outcome },
                    note: None,
                    hostname: &queue.hostname,
                },
            )
            .await?;
        }
    }
    Ok(())
}
