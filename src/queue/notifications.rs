//! The notifications that senders ask for with their mail (RFC 3461): the report that is one, and the word that a fax
//! is late.
//!
//! One honest report: where a notification is due, our report is its part for people, and there is no second mail.
//! Where NOTIFY asks for none of what happened (NEVER, or SUCCESS of what failed) the report goes without it: it is
//! owed to the person who sent the fax, not to their mail system. Notifications go to the envelope sender only where
//! that is an address of the very user who is proven to have sent the mail: an envelope alone proves nothing, and a
//! forged one would have us write to strangers.

use sqlx::Row as _;

use super::{Inner, closing::REPORT_LASTS_MS};
use crate::{
    clock::{Millis, now_ms},
    letter::{self, Action, Dsn, DsnRecipient, Late, LateJob, ReportJob},
    outcome, people,
    relay::{self, Draft, NewMail},
    store::{StoreError, Topic, new_id},
    trouble::Trouble,
    vault::{NewItem, What},
};

/// What the purpose of a notification of delay begins with.
const DELAYED: &str = "dsn-delayed:";
const BATCH: i64 = 16;

/// A notification, and to whom.
pub(super) struct Asked {
    pub to: String,
    pub dsn: Dsn,
}

/// One recipient as the mail's sender asked for it.
struct Wish {
    job_id: String,
    recipient: String,
    orcpt: Option<String>,
    notify: Option<String>,
}

impl Wish {
    /// RFC 3461 §4.1. Without NOTIFY nothing was asked for: the report does as it is.
    fn wants(&self, event: &str) -> bool {
        let notify = self.notify.as_deref().unwrap_or_default();
        notify
            .split(',')
            .any(|word| word.eq_ignore_ascii_case(event))
    }
}

/// The notification that is due with a submission's report.
pub(super) async fn asked(
    queue: &Inner,
    tenant_id: &str,
    submission_id: &str,
    jobs: &[ReportJob],
) -> anyhow::Result<Option<Asked>> {
    let wishes = wishes(queue, tenant_id, submission_id).await?;
    let mut recipients = Vec::new();
    // Both are in the order of the jobs' ids.
    for (wish, job) in wishes.iter().zip(jobs) {
        let (event, action) = match job.state.as_str() {
            "sent" => ("SUCCESS", Action::Delivered),
            _ => ("FAILURE", Action::Failed),
        };
        if wish.wants(event) {
            recipients.push(DsnRecipient {
                original: wish.orcpt.clone(),
                address: wish.recipient.clone(),
                action,
                status: status(&job.outcome, action),
                diagnosis: diagnosis(job),
                last_attempt: last_attempt(queue, tenant_id, &wish.job_id).await?,
                retry_until: None,
            });
        }
    }
    dsn(queue, tenant_id, submission_id, recipients).await
}

/// The notification, where there is somebody whom it may go to.
async fn dsn(
    queue: &Inner,
    tenant_id: &str,
    submission_id: &str,
    recipients: Vec<DsnRecipient>,
) -> anyhow::Result<Option<Asked>> {
    if recipients.is_empty() {
        return Ok(None);
    }
    let row = sqlx::query(
        "SELECT s.envid, s.ret, s.reverse_path, s.accepted_at, s.custody_id
         FROM submission s
         JOIN user_address a ON a.tenant_id = s.tenant_id AND a.user_id = s.user_id AND a.address = LOWER(s.reverse_path)
         WHERE s.tenant_id = $1 AND s.submission_id = $2",
    )
    .bind(tenant_id)
    .bind(submission_id)
    .fetch_optional(queue.store.reader())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let custody_id: String = row.try_get("custody_id")?;
    let message = match queue
        .custody
        .open(&queue.store, tenant_id, &custody_id)
        .await
    {
        Ok(message) => message,
        // What it is to send back is lost, which may be why the fax failed: the report says that.
        Err(error) if error.trouble() == Trouble::Permanent => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let dsn = Dsn {
        reporting_mta: queue.hostname.clone(),
        envelope_id: row.try_get("envid")?,
        arrived: row.try_get("accepted_at")?,
        recipients,
        full: row.try_get::<Option<String>, _>("ret")?.as_deref() == Some("FULL"),
        message: message.to_vec(),
    };
    Ok(Some(Asked {
        to: row.try_get("reverse_path")?,
        dsn,
    }))
}

async fn wishes(
    queue: &Inner,
    tenant_id: &str,
    submission_id: &str,
) -> Result<Vec<Wish>, StoreError> {
    let rows = sqlx::query(
        "SELECT job_id, recipient, orcpt, notify FROM job
         WHERE tenant_id = $1 AND submission_id = $2 ORDER BY job_id",
    )
    .bind(tenant_id)
    .bind(submission_id)
    .fetch_all(queue.store.reader())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Wish {
                job_id: row.try_get("job_id")?,
                recipient: row.try_get("recipient")?,
                orcpt: row.try_get("orcpt")?,
                notify: row.try_get("notify")?,
            })
        })
        .collect()
}

async fn last_attempt(
    queue: &Inner,
    tenant_id: &str,
    job_id: &str,
) -> Result<Option<Millis>, StoreError> {
    let at: Option<Millis> = sqlx::query_scalar(
        "SELECT CAST(MAX(call.placed_at) AS BIGINT)
         FROM leg JOIN call ON call.call_id = leg.call_id AND call.tenant_id = leg.tenant_id
         WHERE leg.tenant_id = $1 AND leg.job_id = $2",
    )
    .bind(tenant_id)
    .bind(job_id)
    .fetch_one(queue.store.reader())
    .await?;
    Ok(at)
}

/// The outcome's code, of the class that the action has (RFC 3464 §2.3.4): a call that ended well is no reason for
/// pages that nobody confirmed.
fn status(key: &str, action: Action) -> String {
    let code = outcome::by_key(key).map_or("", |outcome| outcome.dsn);
    let fits = |classes: &[&str]| classes.iter().any(|class| code.starts_with(class));
    match action {
        Action::Delivered => "2.0.0".to_owned(),
        Action::Failed if fits(&["4", "5"]) => code.to_owned(),
        Action::Failed => "5.0.0".to_owned(),
        // RFC 3463 §2: it may still go.
        Action::Delayed if fits(&["4"]) => code.to_owned(),
        Action::Delayed => "4.4.1".to_owned(),
    }
}

/// What is known of the far end: pages, name, speed, codes.
fn diagnosis(job: &ReportJob) -> String {
    let mut parts = vec![match job.pages {
        0 => "no page was sent".to_owned(),
        pages => format!("{} of {pages} pages confirmed", job.confirmed),
    }];
    if job.state != "sent" {
        parts.push(job.outcome.clone());
    }
    if let Some(last) = &job.last {
        let ident = last.remote_ident.as_deref().unwrap_or_default().trim();
        if !ident.is_empty() {
            parts.push(format!("CSI {ident}"));
        }
        let rate = last.rate.filter(|rate| *rate > 0);
        parts.extend(rate.map(|rate| format!("{rate} bit/s")));
        parts.extend(last.sip_status.map(|status| format!("SIP {status}")));
        parts.extend(last.q850.map(|cause| format!("Q.850 {cause}")));
        parts.extend(last.t30_code.map(|code| format!("T.30 {code}")));
    }
    parts.join("; ")
}

/// Owes the notifications of delay that are due, and writes them. One for each submission.
pub(super) async fn tell_delays(queue: &Inner) -> anyhow::Result<()> {
    owe_delays(queue).await?;
    for draft in relay::to_compose(&queue.store, DELAYED, BATCH).await? {
        if let Err(error) = write_delay(queue, &draft).await {
            let error = format!("{error:#}");
            tracing::error!(mail = draft.mail_id, error, "a delay can't be told of");
            relay::put_off_draft(&queue.store, &draft.mail_id).await?;
        }
    }
    Ok(())
}

async fn owe_delays(queue: &Inner) -> anyhow::Result<()> {
    let before = now_ms() - Millis::from(queue.policy.delayed_min) * 60_000;
    let rows = sqlx::query(
        "SELECT DISTINCT s.tenant_id, s.submission_id, s.reverse_path
         FROM job j
         JOIN submission s ON s.tenant_id = j.tenant_id AND s.submission_id = j.submission_id
         JOIN user_address a ON a.tenant_id = s.tenant_id AND a.user_id = s.user_id AND a.address = LOWER(s.reverse_path)
         WHERE j.notify IS NOT NULL AND j.finished_at IS NULL AND j.state <> 'parked' AND j.accepted_at <= $1 AND j.notify LIKE '%DELAY%'
           AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.purpose = $2 || s.submission_id)
         LIMIT $3",
    )
    .bind(before)
    .bind(DELAYED)
    .bind(BATCH)
    .fetch_all(queue.store.reader())
    .await?;
    if rows.is_empty() {
        return Ok(());
    }
    let mut tx = queue.store.begin().await?;
    for row in &rows {
        let submission_id: String = row.try_get("submission_id")?;
        let mail = NewMail {
            tenant_id: row.try_get("tenant_id")?,
            purpose: format!("{DELAYED}{submission_id}"),
            message_id: format!("{}.delayed@{}", new_id(), queue.hostname),
            about: submission_id,
            return_path: String::new(),
            recipient: row.try_get("reverse_path")?,
            deadline: now_ms() + REPORT_LASTS_MS,
        };
        relay::enqueue(&mut tx, &mail).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn write_delay(queue: &Inner, draft: &Draft) -> anyhow::Result<()> {
    let tenant_id = &draft.tenant_id;
    let submission_id = draft.purpose.strip_prefix(DELAYED).unwrap_or_default();
    let submission = sqlx::query(
        "SELECT user_id, message_id, subject FROM submission WHERE tenant_id = $1 AND submission_id = $2",
    )
    .bind(tenant_id)
    .bind(submission_id)
    .fetch_one(queue.store.reader())
    .await?;
    let rows = sqlx::query(
        "SELECT job_id, destination, recipient, orcpt, notify, outcome, expires_at FROM job
         WHERE tenant_id = $1 AND submission_id = $2 AND finished_at IS NULL AND notify LIKE '%DELAY%' ORDER BY job_id",
    )
    .bind(tenant_id)
    .bind(submission_id)
    .fetch_all(queue.store.reader())
    .await?;
    let (mut recipients, mut jobs) = (Vec::new(), Vec::new());
    for row in &rows {
        let outcome = row
            .try_get::<Option<String>, _>("outcome")?
            .unwrap_or_default();
        let job_id: String = row.try_get("job_id")?;
        let until: Millis = row.try_get("expires_at")?;
        recipients.push(DsnRecipient {
            original: row.try_get("orcpt")?,
            address: row.try_get("recipient")?,
            action: Action::Delayed,
            status: status(&outcome, Action::Delayed),
            diagnosis: outcome.clone(),
            last_attempt: last_attempt(queue, tenant_id, &job_id).await?,
            retry_until: Some(until),
        });
        jobs.push(LateJob {
            destination: row.try_get("destination")?,
            outcome,
            until,
        });
    }
    // All of them ended meanwhile: their report says what there is to say.
    let Some(asked) = dsn(queue, tenant_id, submission_id, recipients).await? else {
        return Ok(relay::withdraw(&queue.store, &draft.mail_id).await?);
    };
    let user_id: String = submission.try_get("user_id")?;
    let settings = people::settings_for(&queue.store, tenant_id, &user_id).await?;
    let mail = letter::late(&Late {
        message_id: draft.message_id.clone(),
        from: queue.report_from.clone(),
        to: draft.recipient.clone(),
        date_ms: now_ms(),
        language: settings.language,
        time_zone: settings.time_zone,
        in_reply_to: submission.try_get("message_id")?,
        subject: submission.try_get("subject")?,
        jobs,
        dsn: asked.dsn,
    })?;
    let item = NewItem {
        tenant_id: tenant_id.clone(),
        what: What::Mail,
        bytes: mail,
    };
    let kept = queue.custody.keep_one(item).await?;
    let mut tx = queue.store.begin().await?;
    queue.custody.record(&mut tx, &kept).await?;
    if relay::ready(&mut tx, &draft.mail_id, &kept.custody_id).await? {
        tx.commit().await?;
        queue.store.wake(Topic::Outbox);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_what_was_written() {
        let wish = |notify: Option<&str>| Wish {
            job_id: String::new(),
            recipient: String::new(),
            orcpt: None,
            notify: notify.map(str::to_owned),
        };
        assert!(wish(Some("SUCCESS,FAILURE")).wants("FAILURE"));
        assert!(!wish(Some("SUCCESS")).wants("FAILURE"));
        assert!(!wish(Some("NEVER")).wants("FAILURE"));
        assert!(!wish(None).wants("FAILURE"));
    }

    #[test]
    fn promise_3_a_status_never_says_better_than_its_action() {
        for outcome in outcome::TABLE {
            let of = |action| status(outcome.key, action);
            assert!(of(Action::Delivered).starts_with('2'));
            assert!(
                of(Action::Failed).starts_with(['4', '5']),
                "{}",
                outcome.key
            );
            assert!(of(Action::Delayed).starts_with('4'), "{}", outcome.key);
        }
    }
}
