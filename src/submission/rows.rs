//! The rows of submissions.

use super::{Accepted, batch::Rows, repeats::Claimed};
use crate::{
    ledger, queue, relay,
    store::{Insert, Store, StoreError, Tx},
    vault::{Custody, KeptItem},
};

/// Writes all rows of all submissions: custody, submissions, jobs, holds. Of mails that came before
/// nothing is written: what lies flushed is without a row and ends with its day.
pub(super) async fn write(
    tx: &mut Tx,
    custody: &Custody,
    all: &[&Rows],
    claimed: &[Claimed],
    kept: &[&[KeptItem]],
) -> Result<Vec<Accepted>, StoreError> {
    static ROWS: Insert = Insert::new(
        "INSERT INTO submission (submission_id, tenant_id, user_id, door, proof, reverse_path,
                                 message_id, subject, digest, custody_id, report_to, envid, ret,
                                 options, accepted_at)",
        15,
    );
    let (mut submissions, mut jobs, mut holds, mut items) = (vec![], vec![], vec![], vec![]);
    let mut letters = Vec::new();
    let mut accepted = Vec::with_capacity(all.len());
    for ((rows, claimed), kept) in all.iter().zip(claimed).zip(kept) {
        let owners = claimed.owners.as_slice();
        let mut one = rows.accepted_beside(owners);
        one.copies = copies(tx, all, rows, &one.again).await?;
        accepted.push(one);
        let row = &rows.submission;
        if claimed.written || rows.own_jobs(owners).next().is_none() {
            continue;
        }
        let Some((message, beside)) = kept.split_first() else {
            continue;
        };
        items.push(message);
        for (mail, kept) in rows.letters.iter().zip(beside) {
            letters.push((mail, kept));
        }
        submissions.push(vec![
            row.submission_id.as_str().into(),
            row.sender.tenant_id().into(),
            row.sender.user().user_id.as_str().into(),
            row.door.into(),
            row.sender.proof_words().into(),
            storable(&row.reverse_path).into(),
            row.message_id.as_deref().map(storable).into(),
            storable(&row.subject).into(),
            row.digest.clone().into(),
            row.custody_id.as_str().into(),
            row.sender.user().address.as_str().into(),
            row.envid.as_deref().map(storable).into(),
            row.ret.clone().into(),
            row.options.to_column().into(),
            row.accepted_at.into(),
        ]);
        for job in rows.own_jobs(owners) {
            jobs.push(job.clone());
            holds.extend(
                rows.holds
                    .iter()
                    .filter(|hold| hold.job_id == job.job_id)
                    .cloned(),
            );
        }
    }
    custody.record_all(tx, &items).await?;
    ROWS.rows(tx, submissions).await?;
    queue::enqueue_all(tx, &jobs).await?;
    ledger::hold_all(tx, &holds).await?;
    for (mail, kept) in letters {
        custody.record(tx, kept).await?;
        relay::enqueue_written(tx, mail, &kept.custody_id).await?;
    }
    Ok(accepted)
}

/// Of the submissions that a mail repeats, those whose octets are others.
async fn copies(
    tx: &mut Tx,
    all: &[&Rows],
    rows: &Rows,
    again: &[String],
) -> Result<Vec<String>, StoreError> {
    let mut copies = Vec::new();
    for id in again {
        if copies.contains(id) {
            continue;
        }
        let beside = all.iter().find(|one| one.submission.submission_id == *id);
        let digest: Option<Vec<u8>> = match beside {
            Some(one) => Some(one.submission.digest.clone()),
            None => {
                sqlx::query_scalar(
                    "SELECT digest FROM submission WHERE tenant_id = $1 AND submission_id = $2",
                )
                .bind(rows.submission.sender.tenant_id())
                .bind(id)
                .fetch_optional(tx.conn())
                .await?
            }
        };
        if digest.is_some_and(|digest| digest != rows.submission.digest) {
            copies.push(id.clone());
        }
    }
    Ok(copies)
}

/// PostgreSQL's TEXT holds no NUL, and a header may decode to one; SQLite's would be cut there by others.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Whether a submission's row is there: for a commit whose answer was lost.
pub(super) async fn is_there(
    store: &Store,
    tenant_id: &str,
    submission_id: &str,
) -> Result<bool, StoreError> {
    let id: Option<String> = sqlx::query_scalar(
        "SELECT submission_id FROM submission WHERE tenant_id = $1 AND submission_id = $2",
    )
    .bind(tenant_id)
    .bind(submission_id)
    .fetch_optional(store.reader())
    .await?;
    Ok(id.is_some())
}
