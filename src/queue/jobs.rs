//! Jobs come into the queue.

use super::State;
use crate::{
    clock::{Millis, now_ms},
    options::Options,
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
    /// Its mail gives a password for the far machine.
    pub password: bool,
    /// The envelope recipient as it was given.
    pub recipient: String,
    /// Who it is, where a contact or a list says so.
    pub to_name: Option<String>,
    /// DSN NOTIFY (RFC 3461 §4.1).
    pub notify: Option<String>,
    /// DSN ORCPT (RFC 3461 §4.2).
    pub orcpt: Option<String>,
    /// What is asked of it.
    pub options: Options,
    /// The latest time: it is not begun after, nor tried again.
    pub deadline: Millis,
    /// Not begun before.
    pub run_at: Millis,
}

/// The priority until the profile's is known: see [`prioritise`].
const PRIORITY: i64 = 5;

/// The lane of a user's faxes: lanes take turns.
fn lane(job: &NewJob) -> String {
    format!("{}/{}", job.tenant_id, job.user_id)
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
                          password, recipient, notify, orcpt, state, state_since, deadline, expires_at, run_at,
                          opens_at, accepted_at, priority, lane, place, tries, pages_confirmed, options, send_at,
                          not_after, code, caller, to_name)",
        29,
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
            Cell::Int(i64::from(job.password)),
            job.recipient.as_str().into(),
            job.notify.clone().into(),
            job.orcpt.clone().into(),
            State::Queued.name().into(),
            now.into(),
            job.deadline.into(),
            job.deadline.into(),
            job.run_at.into(),
            Cell::Int(0),
            now.into(),
            PRIORITY.into(),
            lane(job).into(),
            now.into(),
            Cell::Int(0),
            Cell::Int(0),
            job.options.to_column().into(),
            job.options.send_at.into(),
            job.options.not_after.into(),
            job.options.code.clone().into(),
            job.options.caller.clone().into(),
            job.to_name.clone().into(),
        ]
    });
    ROWS.rows(tx, rows.collect()).await
}

/// Gives a job in `state` its priority, and its place in its lane: `age` later for each step of priority, so
/// that of one user's faxes a less urgent one is overtaken by those that come within that time.
pub(super) async fn prioritise(
    tx: &mut Tx,
    tenant_id: &str,
    job_id: &str,
    state: State,
    priority: i64,
    age: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE job SET priority = $1, place = accepted_at + $2
         WHERE tenant_id = $3 AND job_id = $4 AND state = $5",
    )
    .bind(priority)
    .bind(priority.saturating_mul(age))
    .bind(tenant_id)
    .bind(job_id)
    .bind(state.name())
    .execute(tx.conn())
    .await?;
    Ok(())
}
