//! A submission with everything that its rows need.

use super::{Accepted, NewSubmission};
use crate::{
    clock::{Millis, now_ms},
    ledger::{NewHold, Tariffs},
    queue::NewJob,
    sender::VerifiedSender,
    store::new_id,
    vault::SealedItem,
};

/// How long a job may wait for its first call.
const JOB_LASTS: Millis = 24 * 3_600_000;

/// The row of a submission.
#[derive(Clone, Debug)]
pub(super) struct SubmissionRow {
    pub submission_id: String,
    pub sender: VerifiedSender,
    pub door: &'static str,
    pub reverse_path: String,
    pub message_id: Option<String>,
    pub subject: String,
    pub digest: Vec<u8>,
    pub custody_id: String,
    pub envid: Option<String>,
    pub ret: Option<String>,
    pub accepted_at: Millis,
}

/// A sealed submission with its rows.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Taken when it is flushed.
    pub sealed: SealedItem,
    pub rows: Rows,
}

/// All rows of a submission but custody's.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub submission: SubmissionRow,
    pub jobs: Vec<NewJob>,
    pub holds: Vec<NewHold>,
}

impl Prepared {
    pub(super) fn new(
        new: NewSubmission,
        digest: Vec<u8>,
        sealed: SealedItem,
        tariffs: &Tariffs,
    ) -> Self {
        let now = now_ms();
        let submission_id = new_id();
        let tenant_id = new.sender.tenant_id();
        let user = new.sender.user();
        let jobs: Vec<NewJob> = new
            .recipients
            .into_iter()
            .map(|recipient| NewJob {
                job_id: new_id(),
                tenant_id: tenant_id.to_owned(),
                submission_id: submission_id.clone(),
                user_id: user.user_id.clone(),
                group_id: user.group_id.clone(),
                destination: recipient.destination,
                recipient: recipient.given,
                notify: recipient.notify,
                orcpt: recipient.orcpt,
                deadline: now + JOB_LASTS,
                run_at: now,
                priority: 0,
            })
            .collect();
        let holds = jobs
            .iter()
            .map(|job| {
                NewHold::of(
                    tariffs.of(&job.destination),
                    tariffs.held_pages(),
                    &job.tenant_id,
                    &job.group_id,
                    &job.user_id,
                    &job.job_id,
                )
            })
            .collect();
        let submission = SubmissionRow {
            submission_id,
            door: new.door.name(),
            reverse_path: new.reverse_path,
            message_id: new.message_id,
            subject: new.subject,
            digest,
            custody_id: sealed.custody_id().to_owned(),
            envid: new.envid,
            ret: new.ret,
            accepted_at: now,
            sender: new.sender,
        };
        Self {
            sealed,
            rows: Rows {
                submission,
                jobs,
                holds,
            },
        }
    }
}

impl Rows {
    pub(super) fn accepted(&self) -> Accepted {
        Accepted {
            submission_id: self.submission.submission_id.clone(),
            jobs: self.jobs.iter().map(|job| job.job_id.clone()).collect(),
        }
    }
}
