//! One call from its order to its end: each event that counts is on record before the next step.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::sync::mpsc;

use super::{
    Inner, asked,
    attempt::{Attempt, Offer},
    cancel,
    claim::{self, Job},
    closing::{self, Closing},
    ladder::{self, Next},
    legs::{Leg, Legs},
    mails, memory, moves, overview,
    pages::{self, CallPages},
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

/// The jobs that were claimed for a call, and the call as it was placed.
pub(super) struct Claimed {
    /// The rules of trying again that apply to them.
    pub sending: Sending,
    pub legs: Legs,
    pub offer: Offer,
    pub events: mpsc::Receiver<CallEvent>,
    pub shown: overview::Shown,
}

/// A job's part of a call: its leg, and its pages from the first that isn't confirmed.
pub(super) struct Part {
    leg: Leg,
    pages: CallPages,
}

/// Makes up a job's part of a call that is placed at `at`.
pub(super) async fn part(queue: &Inner, job: &Job, at: Millis) -> anyhow::Result<Part> {
    let total = job.pages_total.unwrap_or(0);
    let verdicts = records::verdicts_of(&queue.store, &job.tenant_id, &job.job_id, total).await?;
    let first = verdicts
        .iter()
        .position(|verdict| *verdict != Verdict::Confirmed)
        .unwrap_or(0);
    let pages = pages::for_call(&queue.store, &queue.custody, job, &verdicts, at).await?;
    Ok(Part {
        leg: Leg {
            record: LegRecord {
                tenant_id: job.tenant_id.clone(),
                call_id: String::new(),
                leg_id: new_id(),
                job_id: job.job_id.clone(),
                first_page: u32::try_from(first).unwrap_or(u32::MAX),
            },
            job: job.clone(),
            pages: u32::try_from(pages.pages.len()).unwrap_or(u32::MAX),
            begins: 0,
            state: State::Dialling,
        },
        pages,
    })
}

/// Settles everything about the call that carries these parts, of which there is one at least.
pub(super) fn order(parts: Vec<Part>, attempt: Attempt) -> (Legs, CallOrder) {
    let Attempt { offer, mut trunks } = attempt;
    let more_trunks = trunks.split_off(trunks.len().min(1));
    let mut order = CallOrder {
        call_id: new_id(),
        trunk_id: trunks.pop().unwrap_or_default(),
        more_trunks,
        from: String::new(),
        to: String::new(),
        sub_address: None,
        password: None,
        ident: String::new(),
        pages: Vec::new(),
        documents: Vec::new(),
        ecm: offer.ecm,
        v17: offer.v17,
        // V.29 ends at 9600 bit/s. A HylaFAX server knows no V.17, only a rate.
        max_rate: if offer.v17 { 14_400 } else { 9_600 },
        t38: offer.t38,
    };
    let mut legs = Vec::new();
    for Part { mut leg, pages } in parts {
        leg.begins = u32::try_from(order.pages.len()).unwrap_or(u32::MAX);
        leg.record.call_id.clone_from(&order.call_id);
        if legs.is_empty() {
            // Those that share a call have the same user, number and sub-address.
            order.from = pages.from;
            order.ident = pages.ident;
            order.password = pages.password;
            order.to.clone_from(&leg.job.destination);
            order.sub_address.clone_from(&leg.job.sub_address);
        } else {
            order.documents.push(leg.begins);
        }
        order.pages.extend(pages.pages);
        legs.push(leg);
    }
    (Legs::new(legs), order)
}

/// Follows a call to its end.
pub(super) async fn run(queue: Arc<Inner>, claimed: Claimed) {
    let Claimed {
        sending,
        mut legs,
        offer,
        mut events,
        shown,
    } = claimed;
    let call_id = legs.call().call_id.clone();
    let mut called_off = false;
    let mut renewal = tokio::time::interval(Duration::from_millis(claim::LEASE_MS as u64 / 3));
    renewal.tick().await; // the first comes at once, and the lease is fresh
    let ending = loop {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = renewal.tick() => {
                for leg in legs.iter() {
                    if let Err(error) = claim::renew(&queue.store, &leg.job).await {
                        tracing::warn!(job = leg.job.job_id, %error, "the lease can't be renewed");
                    }
                }
                continue;
            }
            () = shown.called_off.cancelled(), if !called_off => {
                called_off = true;
                // No page has its permit: the call ends now. Else it ends before the next page; and so it does
                // for a job behind the first, before its own.
                if !legs.sends() {
                    queue.line.hang_up(&call_id);
                }
                continue;
            }
        };
        match event {
            Some(CallEvent::Ended(ending)) => break ending,
            Some(event) => {
                queue.calls.note(&call_id, &event);
                if let Err(error) = follow(&queue, &mut legs, event).await {
                    // Without a record the call must not go on: the permit is dropped with the event.
                    tracing::error!(call = call_id, %error, "the call can't be recorded; hanging up");
                    queue.line.hang_up(&call_id);
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
    while let Err(error) = settle(&queue, &legs, &sending, offer, &ending).await {
        tries += 1;
        if tries == SETTLE_TRIES || error.trouble() == Trouble::Permanent {
            tracing::error!(call = call_id, %error, "the call's end can't be recorded; the watchdog will settle it");
            break;
        }
        tracing::warn!(call = call_id, %error, "the call's end can't be recorded; trying again");
        tokio::time::sleep(SETTLE_PAUSE).await;
    }
    queue.store.wake(Topic::Queue);
    queue.store.wake(Topic::Outbox);
}

async fn follow(queue: &Inner, legs: &mut Legs, event: CallEvent) -> Result<(), StoreError> {
    match event {
        CallEvent::Trunk(trunk_id) => {
            let mut tx = queue.store.begin().await?;
            records::moved(&mut tx, legs.call(), &trunk_id).await?;
            tx.commit().await
        }
        CallEvent::Answered => {
            let mut tx = queue.store.begin().await?;
            records::answered(&mut tx, legs.call()).await?;
            tx.commit().await
        }
        CallEvent::PageDataNext {
            page,
            answered,
            permit,
        } => {
            // One commit a page: the answer to the one before and the word that this one is next.
            let mut tx = queue.store.begin().await?;
            if let Some((leg, verdict)) = answered.as_ref().and_then(|told| legs.of_verdict(told)) {
                records::answered_page(&mut tx, &leg.record, &verdict).await?;
            }
            let Some((leg, own)) = legs.of_page(page) else {
                // Nobody's: the permit that is dropped ends the call.
                return tx.commit().await;
            };
            let job = &leg.job;
            // Called off: this page stays unsent, and the permit that is dropped ends the call.
            let go = !cancel::is_marked(&mut tx, &job.tenant_id, &job.job_id).await?;
            let mut ours = false;
            if go {
                records::page_data_next(&mut tx, &leg.record, own).await?;
                ours = still_ours(&mut tx, queue, &leg.record, leg.state).await?;
            }
            tx.commit().await?;
            if ours {
                leg.state = State::Sending;
                // A line that is gone meanwhile will end the call itself.
                let _ = permit.send(());
            }
            Ok(())
        }
        CallEvent::Page(verdict) => {
            let Some((leg, verdict)) = legs.of_verdict(&verdict) else {
                return Ok(());
            };
            let mut tx = queue.store.begin().await?;
            records::answered_page(&mut tx, &leg.record, &verdict).await?;
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

/// Settles every leg of the call by its own pages, all in one transaction.
async fn settle(
    queue: &Inner,
    legs: &Legs,
    sending: &Sending,
    offer: Offer,
    ending: &CallEnding,
) -> Result<(), StoreError> {
    let mut tx = queue.store.begin().await?;
    let mut called_off = false;
    for leg in legs.iter() {
        called_off |= cancel::is_marked(&mut tx, &leg.job.tenant_id, &leg.job.job_id).await?;
    }
    for leg in legs.iter() {
        let job = &leg.job;
        let ending = leg.ending(ending);
        let mut outcome = outcome::classify(&ending);
        // We hung up because somebody told us to, not by a fault.
        if outcome == &outcome::OWN_FAULT {
            if cancel::is_marked(&mut tx, &job.tenant_id, &job.job_id).await? {
                outcome = &outcome::CANCELLED;
            } else if queue.stopping.load(Ordering::Relaxed) {
                outcome = &outcome::GATEWAY_RESTARTED;
            } else if called_off {
                outcome = &outcome::CALL_ENDED_FOR_ANOTHER;
            }
        }
        tracing::info!(
            job = job.job_id,
            call = leg.record.call_id,
            outcome = outcome.key,
            t30 = ending.t30,
            duration_ms = ending.duration.as_millis() as u64,
            "call ended"
        );
        records::ended(&mut tx, &leg.record, &ending, outcome.key).await?;
        if (ending.pages.iter()).any(|page| page.verdict == Verdict::Confirmed) {
            memory::worked(&mut tx, job, offer, queue.policy.remember_ms()).await?;
        }
        after_leg(
            &mut tx,
            queue,
            (job, sending),
            leg.state,
            outcome.key,
            outcome.retry,
        )
        .await?;
    }
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
    let sending = asked::sending(sending, &job.options);
    let mut next = ladder::after_call(&verdicts, class, calls, &sending);
    let mut outcome = outcome;
    // What the far end has confirmed stands; a fax that is all there is sent, whoever called it off.
    if next != Next::End(State::Sent) && cancel::is_marked(tx, &job.tenant_id, &job.job_id).await? {
        next = Next::End(State::Cancelled);
        outcome = outcome::CANCELLED.key;
    }
    match next {
        Next::Wait(ms) => {
            mails::owe_delay(tx, queue, job, ms, sending.delayed_after_s).await?;
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
