//! Jobs come into the queue.

use super::State;
use crate::{
    clock::{Millis, now_ms},
    store::{Cell, Insert, StoreError, Tx},
};

/// A job to queue.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id, a ULID.
    pub job_id: String,
    /// Whose.
    pub tenant_id: String,
    /// Of which submission, recorded before.
    pub submission_id: String,
    /// Who sends.
    pub user_id: String,
    /// Who pays.
    pub group_id: String,
    /// E.164 with the plus sign.
    pub destination: String,
    /// Sub-address behind it (T.33).
    pub sub_address: Option<String>,
    /// The envelope recipient as it was given.
    pub recipient: String,
    /// DSN NOTIFY (RFC 3461 §4.1).
    pub notify: Option<String>,
    /// DSN ORCPT (RFC 3461 §4.2).
    pub orcpt: Option<String>,
    /// The latest time: it is not begun after, nor tried again.
    pub deadline: Millis,
    /// Not begun before.
    pub run_at: Millis,
    /// Lower is begun first.
    pub priority: i64,
}

/// Queues a job.
///
/// # Errors
/// What the database says.
pub async fn enqueue(tx: &mut Tx, job: &NewJob) -> Result<(), StoreError> {
    enqueue_all(tx, std::slice::from_ref(job)).await
}

/// Queues many jobs.
///
/// # Errors
/// What the database says.
pub async fn enqueue_all(tx: &mut Tx, jobs: &[NewJob]) -> Result<(), StoreError> {
    static ROWS: Insert = Insert::new(
        "INSERT INTO job (job_id, tenant_id, submission_id, user_id, group_id, destination, sub_address,
                          recipient, notify, orcpt, state, state_since, deadline, expires_at, run_at, priority,
                          tries, pages_confirmed)",
        18,
    );
    let now = now_ms();
    let rows = jobs.iter().map(|job| {
        vec![
            job.job_id.as_str().into(),
            job.tenant_id.as_str().into(),
            job.submission_id.as_str().into(),
            job.user_id.as_str().into(),
            job.group_id.as_str().into(),
            job.destination.as_str().into(),
            job.sub_address.clone().into(),
            job.recipient.as_str().into(),
            job.notify.clone().into(),
            job.orcpt.clone().into(),
            State::Queued.name().into(),
            now.into(),
            job.deadline.into(),
            job.deadline.into(),
            job.run_at.into(),
            job.priority.into(),
            Cell::Int(0),
            Cell::Int(0),
        ]
    });
    ROWS.rows(tx, rows.collect()).await
}
