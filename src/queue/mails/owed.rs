//! Which mails are owed, to whom, and what the outbox calls them.

use std::collections::HashMap;

use sqlx::Row as _;

use super::name_of;
use crate::{
    clock::{Millis, now_ms},
    letter::Done,
    options::Options,
    policy::{Acknowledge, Sending},
    queue::{Inner, claim::Job, profiles, replies::actions, state::State},
    relay::{self, NewMail},
    store::{StoreError, Topic, Tx, new_id},
    tokens::Token,
};

/// How long such a mail may wait for the relay.
const LASTS: Millis = 72 * 3_600_000;
/// Submissions looked at in one go.
const BATCH: i64 = 100;

/// What the purposes of these mails begin with.
pub(super) const PREFIXES: [&str; 6] = [
    "ask:",
    "approve:",
    "accepted:",
    "delayed:",
    "answer:",
    "again:",
];

/// What a mail is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To a submission's sender: faxes of it are kept back.
    Ask(String),
    /// To who has to approve them.
    Approve(String),
    /// The submission is on its way.
    Accepted(String),
    /// The job is tried again later.
    Delayed(String),
    /// A reply has done something to the submission.
    Answer {
        /// What.
        done: Done,
        /// The submission.
        submission: String,
        /// Another than the reader did it.
        other: bool,
    },
    /// The submission's mail came again.
    Again(String),
}

impl Purpose {
    pub fn read(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let own = rest.to_owned();
        Some(match kind {
            "ask" => Self::Ask(own),
            "approve" => Self::Approve(own),
            "accepted" => Self::Accepted(own),
            "delayed" => Self::Delayed(own),
            "again" => Self::Again(own),
            "answer" => {
                let [done, submission, who, _] = *rest.split(':').collect::<Vec<_>>() else {
                    return None;
                };
                let all = [Done::Cancelled, Done::Released];
                Self::Answer {
                    done: all.into_iter().find(|known| name_of(*known) == done)?,
                    submission: submission.to_owned(),
                    other: who == "other",
                }
            }
            _ => return None,
        })
    }
}

/// Owes a mail about a submission; one for each purpose.
async fn owe(
    tx: &mut Tx,
    tenant_id: &str,
    (purpose, submission_id): (String, &str),
    recipient: String,
    hostname: &str,
) -> Result<bool, StoreError> {
    let mail = NewMail {
        tenant_id: tenant_id.to_owned(),
        message_id: format!("{}@{hostname}", purpose.replace(':', ".")),
        purpose,
        about: submission_id.to_owned(),
        return_path: String::new(), // RFC 3834 §3.3
        recipient,
        deadline: now_ms() + LASTS,
    };
    relay::enqueue(tx, &mail).await
}

async fn report_to(
    tx: &mut Tx,
    tenant_id: &str,
    submission_id: &str,
) -> Result<String, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT report_to FROM submission WHERE tenant_id = $1 AND submission_id = $2",
    )
    .bind(tenant_id)
    .bind(submission_id)
    .fetch_one(tx.conn())
    .await?)
}

/// Marks a submission as one whose sender hears of it; `false` when they did before.
async fn told(tx: &mut Tx, tenant_id: &str, submission_id: &str) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE submission SET told_at = $1
         WHERE tenant_id = $2 AND submission_id = $3 AND told_at IS NULL",
    )
    .bind(now_ms())
    .bind(tenant_id)
    .bind(submission_id)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Owes the questions about a job that is kept back: one for all jobs of its submission.
pub(in crate::queue) async fn owe_question(
    tx: &mut Tx,
    queue: &Inner,
    job: &Job,
    approver: Option<&str>,
) -> Result<(), StoreError> {
    let (tenant_id, submission_id) = (&job.tenant_id, &job.submission_id);
    told(tx, tenant_id, submission_id).await?;
    let sender = report_to(tx, tenant_id, submission_id).await?;
    let ask = (format!("ask:{submission_id}"), submission_id.as_str());
    owe(tx, tenant_id, ask, sender, &queue.hostname).await?;
    if let Some(approver) = approver {
        let approve = (format!("approve:{submission_id}"), submission_id.as_str());
        owe(tx, tenant_id, approve, approver.to_owned(), &queue.hostname).await?;
    }
    Ok(())
}

/// Owes the answers to a reply: to who wrote it, and to the sender where that is another.
pub(in crate::queue) async fn owe_answers(
    tx: &mut Tx,
    token: &Token,
    done: Done,
    hostname: &str,
) -> Result<(), StoreError> {
    let (tenant_id, submission_id) = (&token.tenant_id, token.subject.as_str());
    let purpose = |who: &str| {
        let done = name_of(done);
        format!("answer:{done}:{submission_id}:{who}:{}", new_id())
    };
    let own = (purpose("own"), submission_id);
    owe(tx, tenant_id, own, token.address.clone(), hostname).await?;
    if token.action == actions::APPROVE {
        let sender = report_to(tx, tenant_id, submission_id).await?;
        let other = (purpose("other"), submission_id);
        owe(tx, tenant_id, other, sender, hostname).await?;
    }
    Ok(())
}

/// Owes the mail that a job is delayed, where its next call is far off: once for each job.
pub(in crate::queue) async fn owe_delay(
    tx: &mut Tx,
    queue: &Inner,
    job: &Job,
    wait: Millis,
    after_s: u32,
) -> Result<(), StoreError> {
    if after_s == 0 || wait < Millis::from(after_s) * 1000 {
        return Ok(());
    }
    let done = sqlx::query(
        "UPDATE job SET delay_told = 1 WHERE tenant_id = $1 AND job_id = $2 AND delay_told = 0",
    )
    .bind(&job.tenant_id)
    .bind(&job.job_id)
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 1 {
        let sender = report_to(tx, &job.tenant_id, &job.submission_id).await?;
        let delayed = (
            format!("delayed:{}", job.job_id),
            job.submission_id.as_str(),
        );
        owe(tx, &job.tenant_id, delayed, sender, &queue.hostname).await?;
    }
    Ok(())
}

/// Owes the notice that a copy of a submission's mail came: one for all copies, so that nobody can have many mails sent
/// by sending many.
///
/// # Errors
/// What the database says.
pub async fn owe_again(
    tx: &mut Tx,
    tenant_id: &str,
    submission_id: &str,
    hostname: &str,
) -> Result<(), StoreError> {
    let sender = report_to(tx, tenant_id, submission_id).await?;
    let again = (format!("again:{submission_id}"), submission_id);
    owe(tx, tenant_id, again, sender, hostname).await?;
    Ok(())
}

/// Owes the mails that say that submissions are accepted, where their profile has it so: of each at once, or of those
/// that take long.
pub(super) async fn owe_acceptances(queue: &Inner) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "SELECT tenant_id, submission_id, user_id, accepted_at, options FROM submission
         WHERE closed_at IS NULL AND told_at IS NULL ORDER BY submission_id LIMIT $1",
    )
    .bind(BATCH)
    .fetch_all(queue.store.reader())
    .await?;
    // Many of them are one user's.
    let mut known: HashMap<(String, String), Sending> = HashMap::new();
    for row in rows {
        let (tenant_id, user_id): (String, String) =
            (row.try_get("tenant_id")?, row.try_get("user_id")?);
        let submission_id: String = row.try_get("submission_id")?;
        let age = now_ms() - row.try_get::<Millis, _>("accepted_at")?;
        let user = (tenant_id.clone(), user_id);
        let sending = match known.get(&user) {
            Some(sending) => sending,
            None => {
                let rules = profiles::rules(queue, &user.0, &user.1).await?;
                known.entry(user).or_insert(rules.sending)
            }
        };
        let options = Options::from_column(row.try_get::<Option<String>, _>("options")?.as_deref());
        // Who wants to see the pages wants the mail that shows them.
        let wish = options.accepted.or(options.preview.filter(|wish| *wish));
        let accepted = match wish {
            Some(true) => Acknowledge::Always,
            Some(false) => Acknowledge::Never,
            None => sending.accepted,
        };
        let due = match accepted {
            Acknowledge::Never => false,
            Acknowledge::Always => true,
            Acknowledge::Slow => age >= Millis::from(sending.accepted_after_s) * 1000,
        };
        let never = accepted == Acknowledge::Never;
        if !due && !never {
            continue;
        }
        let mut tx = queue.store.begin().await?;
        if told(&mut tx, &tenant_id, &submission_id).await? {
            if due {
                let sender = report_to(&mut tx, &tenant_id, &submission_id).await?;
                let accepted = (format!("accepted:{submission_id}"), submission_id.as_str());
                owe(&mut tx, &tenant_id, accepted, sender, &queue.hostname).await?;
            }
            tx.commit().await?;
            queue.store.wake(Topic::Outbox);
        }
    }
    Ok(())
}

/// The states in which a fax is told to have no pages yet.
pub(super) fn has_no_pages(state: State) -> bool {
    matches!(state, State::Queued | State::Rendering)
}
