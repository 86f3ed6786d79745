//! The rows of submissions.

use sha2::{Digest as _, Sha256};

use super::batch::Rows;
use crate::{
    ledger, queue,
    store::{Insert, Store, StoreError, Tx},
    vault::{Custody, KeptItem},
};

/// SHA-256 of a mail.
pub(super) fn digest(message: &[u8]) -> Vec<u8> {
    Sha256::digest(message).to_vec()
}

/// Writes all rows of all submissions: custody, submissions, jobs, holds.
pub(super) async fn write(
    tx: &mut Tx,
    custody: &Custody,
    all: &[&Rows],
    kept: &[&KeptItem],
) -> Result<(), StoreError> {
    static ROWS: Insert = Insert::new(
        "INSERT INTO submission (submission_id, tenant_id, user_id, door, proof, reverse_path,
                                 message_id, subject, digest, custody_id, report_to, envid, ret,
                                 accepted_at)",
        14,
    );
    let (mut submissions, mut jobs, mut holds) = (vec![], vec![], vec![]);
    for rows in all {
        let row = &rows.submission;
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
            row.accepted_at.into(),
        ]);
        jobs.extend_from_slice(&rows.jobs);
        holds.extend_from_slice(&rows.holds);
    }
    custody.record_all(tx, kept).await?;
    ROWS.rows(tx, submissions).await?;
    queue::enqueue_all(tx, &jobs).await?;
    ledger::hold_all(tx, &holds).await
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
