//! A submission with everything that its rows need.

use super::{Accepted, NewSubmission, repeats};
use crate::{
    clock::{Millis, now_ms},
    ledger::{NewHold, Tariffs},
    options::Options,
    policy::SameMail,
    queue::NewJob,
    relay::NewMail,
    sender::VerifiedSender,
    store::new_id,
    vault::SealedItem,
};

/// How long a job may wait for its first call.
const JOB_LASTS: Millis = 24 * 3_600_000;

/// How long it is known what had a mail faxed once more.
const ANEW_KNOWN: Millis = 30 * 24 * 3_600_000;

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
    pub options: Options,
    pub accepted_at: Millis,
}

/// A sealed submission with its rows.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Taken when they are flushed: the mail, then the letters.
    pub sealed: Vec<SealedItem>,
    pub rows: Rows,
}

/// All rows of a submission but custody's.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub submission: SubmissionRow,
    /// What tells the mail again, for each job; nothing where every mail is a new one.
    pub marks: Vec<Vec<repeats::Mark>>,
    pub jobs: Vec<NewJob>,
    pub holds: Vec<NewHold>,
    /// In the order in which they were sealed.
    pub letters: Vec<NewMail>,
}

/// Until when a fax may wait for its call.
fn latest(options: &Options, now: Millis) -> Millis {
    let from = options.send_at.unwrap_or(now).max(now);
    options.not_after.unwrap_or(from + JOB_LASTS)
}

impl Prepared {
    pub(super) fn beside(&mut self, letters: Vec<(NewMail, SealedItem)>) {
        for (mut mail, sealed) in letters {
            mail.about.clone_from(&self.rows.submission.submission_id);
            self.rows.letters.push(mail);
            self.sealed.push(sealed);
        }
    }

    pub(super) fn new(
        new: NewSubmission,
        digest: Vec<u8>,
        sealed: SealedItem,
        tariffs: &Tariffs,
        (same_mail, anew): (SameMail, Option<&str>),
    ) -> Self {
        let now = now_ms();
        let marks = marks(&new, &digest, (same_mail, anew), now);
        let submission_id = new.submission_id;
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
                sub_address: recipient.sub_address,
                password: new.password,
                recipient: recipient.given,
                to_name: recipient.name,
                notify: recipient.notify,
                orcpt: recipient.orcpt,
                deadline: latest(&recipient.options, now),
                run_at: now,
                options: recipient.options,
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
            options: new.options,
            accepted_at: now,
            sender: new.sender,
        };
        Self {
            sealed: vec![sealed],
            rows: Rows {
                letters: Vec::new(),
                submission,
                marks,
                jobs,
                holds,
            },
        }
    }
}

/// What tells a mail again, for each of its recipients.
pub(super) fn marks(
    new: &NewSubmission,
    digest: &[u8],
    (same_mail, anew): (SameMail, Option<&str>),
    now: Millis,
) -> Vec<Vec<repeats::Mark>> {
    let (tenant_id, user) = (new.sender.tenant_id(), new.sender.user());
    let window_s = match new.message_id {
        Some(_) => same_mail.window_s,
        None => same_mail.without_message_id_s,
    };
    // The octets come again when a 250 was lost. What a signature proves, a copy of it would prove again, in another
    // wrapping and after the usual time too; so what tells copies is kept of every mail, whatever proved it.
    let once = new.sender.once();
    (new.recipients.iter())
        .map(|recipient| {
            let to = (
                recipient.destination.as_str(),
                recipient.sub_address.as_deref(),
            );
            let key = |told: &[u8]| repeats::key(tenant_id, &user.user_id, told, to);
            if let Some(anew) = anew {
                // What it was told by before is another fax's.
                return vec![repeats::Mark {
                    key: key(anew.as_bytes()),
                    until: now + ANEW_KNOWN,
                    strict: true,
                }];
            }
            let octets = (window_s > 0).then(|| repeats::Mark {
                key: key(digest),
                until: now + Millis::from(window_s) * 1000,
                strict: true,
            });
            let copies = once.map(|once| repeats::Mark {
                key: key(&once.mark),
                until: once.until,
                strict: once.replayable,
            });
            let others = new.told_by.iter().map(|told| repeats::Mark {
                key: key(&told.mark),
                until: told.until,
                strict: true,
            });
            octets.into_iter().chain(copies).chain(others).collect()
        })
        .collect()
}

impl Rows {
    pub(super) fn accepted(&self) -> Accepted {
        Accepted {
            submission_id: self.submission.submission_id.clone(),
            jobs: self.jobs.iter().map(|job| job.job_id.clone()).collect(),
            again: Vec::new(),
            copies: Vec::new(),
        }
    }

    /// What is accepted when `owners` fax its numbers, one for each job: those that another submission
    /// faxes already make no job.
    pub(super) fn accepted_beside(&self, owners: &[String]) -> Accepted {
        let mut accepted = self.accepted();
        if owners.is_empty() {
            return accepted;
        }
        let own = &self.submission.submission_id;
        accepted.jobs = self
            .own_jobs(owners)
            .map(|job| job.job_id.clone())
            .collect();
        accepted.again = owners
            .iter()
            .filter(|&owner| owner != own)
            .cloned()
            .collect();
        if let (true, Some(first)) = (accepted.jobs.is_empty(), accepted.again.first()) {
            accepted.submission_id.clone_from(first);
        }
        accepted
    }

    /// The jobs that this submission makes.
    pub(super) fn own_jobs<'a>(&'a self, owners: &'a [String]) -> impl Iterator<Item = &'a NewJob> {
        let own = &self.submission.submission_id;
        let is_own = move |index: usize| owners.get(index).is_none_or(|owner| owner == own);
        let jobs = self.jobs.iter().enumerate();
        jobs.filter_map(move |(index, job)| is_own(index).then_some(job))
    }
}
