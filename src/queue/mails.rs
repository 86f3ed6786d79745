//! The mails about faxes under way: a question, an acceptance, a delay, the answer to a reply, a copy that came.
//!
//! Each is owed in the transaction that makes it due, as a draft, and written here from the records as they stand then.
//! The token that stands in one is recorded in the transaction that makes it ready: a mail that a crash kept from being
//! ready has no token that counts.

mod facts;
mod owed;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::{Inner, replies::actions};
use crate::{
    clock::{Millis, now_ms},
    letter::{
        self, About, AcceptedLetter, Again, Answered, Asked, Delayed, Done, Parked, Standing,
    },
    relay::{self, Draft},
    store::Topic,
    tokens::{Drawn, NewToken},
    vault::{NewItem, What},
};
use facts::Facts;
use owed::Purpose;
pub use owed::owe_again;
pub(super) use owed::{owe_answers, owe_delay, owe_question};

/// Drafts written in one go, of each kind.
const BATCH: i64 = 16;
/// How long a mail that says how faxes stand can be answered: no fax lasts longer.
const ANSWERED_WITHIN: Millis = 14 * 86_400_000;
/// Between two looks for submissions whose senders are to hear that they are accepted.
const LOOK: Duration = Duration::from_secs(2);
/// How long a draft rests whose faxes are not ready to be told of.
const REST: Millis = 1000;

/// Owes and writes mails until `stop`.
pub(super) async fn run(queue: Arc<Inner>, stop: CancellationToken) {
    let mut wake = queue.store.listen(Topic::Outbox);
    let mut looked: Option<Instant> = None;
    while !stop.is_cancelled() {
        // Every report that goes out wakes us too: under load that is many times a second.
        if looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            if let Err(error) = owed::owe_acceptances(&queue).await {
                tracing::warn!(%error, "mails that faxes are accepted can't be owed; trying again");
            }
            looked = Some(Instant::now());
        }
        match write_all(&queue).await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "mails about faxes can't be written; trying again");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = wake.heard() => {}
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
        }
    }
}

async fn write_all(queue: &Inner) -> anyhow::Result<usize> {
    let mut written = 0;
    for prefix in owed::PREFIXES {
        for draft in relay::to_compose(&queue.store, prefix, BATCH).await? {
            match write(queue, &draft).await {
                Ok(true) => written += 1,
                Ok(false) => {}
                Err(error) => {
                    let (mail, error) = (draft.mail_id.as_str(), format!("{error:#}"));
                    tracing::error!(mail, error, "a mail about a fax can't be written");
                    relay::put_off_draft(&queue.store, mail).await?;
                }
            }
        }
    }
    Ok(written)
}

/// Writes a mail; `false` when its time has not come, or has gone.
async fn write(queue: &Inner, draft: &Draft) -> anyhow::Result<bool> {
    let purpose = Purpose::read(&draft.purpose)
        .ok_or_else(|| anyhow::anyhow!("no mail is for {:?}", draft.purpose))?;
    let facts = Facts::of(queue, draft, &purpose).await?;
    // What is asked is asked once of all of them: those whose pages are being made may be kept back too.
    let asks = matches!(purpose, Purpose::Ask(_) | Purpose::Approve(_));
    let unready = facts
        .faxes
        .iter()
        .any(|fax| fax.standing == Standing::Queued);
    let young = now_ms() - draft.created_at < facts::PATIENCE;
    if unready && (asks || matches!(purpose, Purpose::Accepted(_)) && young) {
        relay::rest_draft(&queue.store, &queue.owner, &draft.mail_id, now_ms() + REST).await?;
        return Ok(false);
    }
    let drawn = token(queue, draft, &purpose, &facts)?;
    let Some(mail) = compose(queue, draft, &purpose, facts, drawn.as_ref()).await? else {
        // What it was to ask or tell is over before it was written.
        let mut tx = queue.store.begin().await?;
        relay::drop_draft(&mut tx, &draft.tenant_id, &draft.mail_id).await?;
        tx.commit().await?;
        return Ok(true);
    };
    let item = NewItem {
        tenant_id: draft.tenant_id.clone(),
        what: What::Mail,
        bytes: mail,
    };
    let kept = queue.custody.keep_one(item).await?;
    let mut tx = queue.store.begin().await?;
    queue.custody.record(&mut tx, &kept).await?;
    if let Some(drawn) = &drawn {
        queue.tokens.record(&mut tx, drawn).await?;
    }
    if relay::ready(&mut tx, &draft.mail_id, &kept.custody_id).await? {
        tx.commit().await?;
        queue.store.wake(Topic::Outbox);
    }
    Ok(true)
}

/// The token of a mail that can be answered.
fn token(
    queue: &Inner,
    draft: &Draft,
    purpose: &Purpose,
    facts: &Facts,
) -> anyhow::Result<Option<Drawn>> {
    let action = match purpose {
        // An approver alone lets go what waits for them; its sender may call it off.
        Purpose::Ask(_) if facts.approver.is_some() => actions::UNDER_WAY,
        Purpose::Ask(_) => actions::CONFIRM,
        Purpose::Approve(_) => actions::APPROVE,
        Purpose::Accepted(_) | Purpose::Delayed(_) => actions::UNDER_WAY,
        Purpose::Answer { .. } | Purpose::Again(_) => return Ok(None),
    };
    let asks = action != actions::UNDER_WAY;
    let expires_at = match facts.until.filter(|_| asks) {
        Some(until) => until,
        None => now_ms() + ANSWERED_WITHIN,
    };
    Ok(Some(queue.tokens.draw(NewToken {
        tenant_id: draft.tenant_id.clone(),
        action: action.to_owned(),
        subject: facts.submission_id.clone(),
        address: draft.recipient.clone(),
        expires_at,
    })?))
}

/// The mail; none when there is nothing left to say.
async fn compose(
    queue: &Inner,
    draft: &Draft,
    purpose: &Purpose,
    facts: Facts,
    drawn: Option<&Drawn>,
) -> anyhow::Result<Option<Vec<u8>>> {
    let answered = drawn.filter(|_| !facts.domain.is_empty());
    let reply_to = answered.map(|drawn| format!("job+{}@{}", drawn.text(), facts.domain));
    let about = About {
        message_id: draft.message_id.clone(),
        from: queue.report_from.clone(),
        company: facts.company.clone(),
        reply_to,
        to: draft.recipient.clone(),
        date_ms: now_ms(),
        language: facts.language,
        time_zone: facts.time_zone.clone(),
        in_reply_to: facts.in_reply_to.clone(),
        subject: facts.subject.clone(),
        submission_id: facts.submission_id.clone(),
    };
    let bytes = match purpose {
        Purpose::Ask(_) | Purpose::Approve(_) => {
            let Some(until) = facts.until else {
                return Ok(None);
            };
            let asked = match (purpose, &facts.approver) {
                (Purpose::Approve(_), _) => Asked::Approver(facts.sender.clone()),
                (_, Some(approver)) => Asked::Other(approver.clone()),
                _ => Asked::Sender,
            };
            let preview = facts.preview(queue, draft).await;
            let parked = |fax: &letter::Fax| matches!(fax.standing, Standing::Parked(_));
            letter::parked(&Parked {
                about,
                asked,
                until,
                faxes: facts.faxes.into_iter().filter(parked).collect(),
                preview,
            })?
        }
        Purpose::Accepted(_) => {
            if facts.closed {
                return Ok(None);
            }
            let preview = facts.preview(queue, draft).await;
            letter::accepted(&AcceptedLetter {
                about,
                faxes: facts.faxes,
                preview,
            })?
        }
        Purpose::Delayed(job_id) => {
            let (calls, codes) = facts::last_call(queue, &draft.tenant_id, job_id).await?;
            let waiting = |fax: &letter::Fax| matches!(fax.standing, Standing::Waiting(..));
            let Some(fax) = facts.faxes.into_iter().find(waiting) else {
                return Ok(None);
            };
            letter::delayed(&Delayed {
                about,
                fax,
                calls,
                codes,
            })?
        }
        Purpose::Answer { done, other, .. } => {
            let by = facts.approver.clone().filter(|_| *other);
            letter::answered(&Answered {
                about,
                done: *done,
                by,
                faxes: facts.faxes,
            })?
        }
        Purpose::Again(_) => letter::again(&Again {
            about,
            faxes: facts.faxes,
        })?,
    };
    Ok(Some(bytes))
}

/// As the outbox's purpose has it.
fn name_of(done: Done) -> &'static str {
    match done {
        Done::Cancelled => "cancelled",
        Done::Released => "released",
    }
}
