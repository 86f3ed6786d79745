//! Durable accept for every door: custody, submission, jobs and holds, before anybody is told.
//!
//! [`Submitter::accept`] seals the mail in the caller's task and hands it to the one writer. The
//! writer takes all that wait, flushes their blobs with one `fdatasync`, writes all their rows in one
//! database transaction, wakes the queue, and only then answers each: under load a flush and a commit
//! are shared by many mails, and a lone mail waits for nobody. While one batch is committed, the next
//! is flushed.

mod batch;
mod once_more;
mod quota;
mod repeats;
mod rows;
mod writer;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::{
    clock::{Millis, now_ms},
    ledger::Tariffs,
    options::Options,
    policy::{Daily, SameMail},
    relay::NewMail,
    sender::VerifiedSender,
    store::{Store, StoreError},
    trouble::Trouble,
    vault::{Custody, CustodyError, NewItem, What},
};
use batch::Prepared;
pub use once_more::{NotAgain, once_more};
pub use quota::{Left, OverLimit, Today, Unit, left_today};

/// Which door a submission came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// SMTP.
    Smtp,
    /// LMTP.
    Lmtp,
    /// A polled mailbox.
    Imap,
    /// The HTTP interface.
    Http,
    /// The command line.
    Shell,
}

impl Door {
    /// As the table has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Lmtp => "lmtp",
            Self::Imap => "imap",
            Self::Http => "http",
            Self::Shell => "shell",
        }
    }
}

/// A written mail that is owed beside a submission, in its transaction. Where the whole mail came before, it is
/// not owed again.
#[derive(Clone, Debug)]
pub struct Letter {
    /// To whom and what for; `about` becomes the submission.
    pub mail: NewMail,
    /// The mail.
    pub bytes: Vec<u8>,
}

/// A mail to accept.
#[derive(Clone, Debug)]
pub struct NewSubmission {
    /// Its id, of [`crate::store::new_id`]; what `letters` say may name it.
    pub submission_id: String,
    /// What is owed with it.
    pub letters: Vec<Letter>,
    /// Who sent it: nobody unproven gets this far.
    pub sender: VerifiedSender,
    /// Which door.
    pub door: Door,
    /// MAIL FROM; empty for `<>`.
    pub reverse_path: String,
    /// DSN ENVID (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// DSN RET (RFC 3461 §4.3).
    pub ret: Option<String>,
    /// The mail as it came.
    pub message: Vec<u8>,
    /// Its own Message-ID.
    pub message_id: Option<String>,
    /// Its subject.
    pub subject: String,
    /// What it asks of its faxes as a whole.
    pub options: Options,
    /// It gives a password for the far machines (see [`crate::dial::password_of`]).
    pub password: bool,
    /// What else tells it when it comes again, whatever it looks like then.
    pub told_by: Vec<ToldBy>,
    /// Where it goes; one at least.
    pub recipients: Vec<NewRecipient>,
}

/// Tells a mail again: a mail of the same user to the same number that has this too makes no job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldBy {
    /// A hash, one of a kind.
    pub mark: [u8; 32],
    /// Until when it is remembered, Unix milliseconds.
    pub until: Millis,
}

/// One destination of a mail.
#[derive(Clone, Debug)]
pub struct NewRecipient {
    /// E.164 with the plus sign.
    pub destination: String,
    /// Sub-address behind it (T.33).
    pub sub_address: Option<String>,
    /// The envelope recipient as it was given.
    pub given: String,
    /// Who it is, where a contact or a list says so.
    pub name: Option<String>,
    /// What is asked of this fax, wherever it is written.
    pub options: Options,
    /// DSN NOTIFY (RFC 3461 §4.1).
    pub notify: Option<String>,
    /// DSN ORCPT (RFC 3461 §4.2).
    pub orcpt: Option<String>,
}

/// What was accepted: it is in custody and in the queue, and flushed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Accepted {
    /// The submission's id; when the whole mail came before, the id that it has since then.
    pub submission_id: String,
    /// The jobs' ids, in the order of the recipients that this mail is faxed to.
    pub jobs: Vec<String>,
    /// For each recipient who had this mail before: the submission that faxes it.
    pub again: Vec<String>,
    /// Those of them whose mail has other octets: this one is a copy, and none that came again because its 250 was lost.
    pub copies: Vec<String>,
}

/// Why a mail was not accepted. Nothing of it will be sent.
#[derive(Debug, Error)]
pub enum AcceptError {
    /// It has no recipient.
    #[error("a submission needs a recipient")]
    NoRecipient,
    /// It could not be kept.
    #[error("the mail could not be kept: {0}")]
    Custody(#[from] CustodyError),
    /// It could not be recorded.
    #[error("the mail could not be recorded: {0}")]
    Store(#[from] StoreError),
    /// What failed, failed for the whole batch; the log has it.
    #[error("the mail could not be kept: {what}")]
    Batch {
        /// What failed.
        what: String,
        /// Whether trying again can help.
        trouble: Trouble,
    },
    /// The day's limits.
    #[error("{0}")]
    OverLimit(Box<OverLimit>),
    /// The gateway is stopping.
    #[error("the gateway is stopping")]
    Stopping,
}

impl AcceptError {
    /// Whether trying again can help.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::NoRecipient => Trouble::Permanent,
            Self::Custody(error) => error.trouble(),
            Self::Store(error) => error.trouble(),
            Self::Batch { trouble, .. } => *trouble,
            Self::OverLimit(over) => over.trouble(),
            Self::Stopping => Trouble::Temporary,
        }
    }
}

/// A prepared submission and who waits for the answer.
type Waiting = (Prepared, oneshot::Sender<Result<Accepted, AcceptError>>);

/// Mails that wait for the writer; more wait for room, which holds SMTP sessions back.
const WAITING: usize = 512;

/// Accepts mails. Cheap to clone; the writer stops when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Submitter {
    custody: Custody,
    tariffs: std::sync::Arc<Tariffs>,
    same_mail: SameMail,
    store: Store,
    used_up: std::sync::Arc<quota::UsedUp>,
    writer: mpsc::Sender<Waiting>,
}

impl Submitter {
    /// Starts the writer.
    #[must_use]
    pub fn start(
        store: Store,
        custody: Custody,
        tariffs: Tariffs,
        same_mail: SameMail,
        daily: Daily,
    ) -> Self {
        let (writer, waiting) = mpsc::channel(WAITING);
        tokio::spawn(writer::run(store.clone(), custody.clone(), daily, waiting));
        Self {
            store,
            used_up: std::sync::Arc::default(),
            custody,
            tariffs: tariffs.into(),
            same_mail,
            writer,
        }
    }

    /// Where mails are kept.
    #[must_use]
    pub fn custody(&self) -> &Custody {
        &self.custody
    }

    /// Accepts a mail: when this returns `Ok`, the mail is in custody and its jobs are queued, and
    /// both are flushed. A mail that came before makes no job again. When the caller goes away
    /// meanwhile, the mail may be accepted all the same.
    ///
    /// # Errors
    /// [`AcceptError`]; its trouble says whether the client should try again.
    pub async fn accept(&self, submission: NewSubmission) -> Result<Accepted, AcceptError> {
        self.take(submission, None).await
    }

    /// Accepts a mail that is meant once more, though it came before; with one `key` once.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub async fn accept_anew(
        &self,
        submission: NewSubmission,
        key: &str,
    ) -> Result<Accepted, AcceptError> {
        self.take(submission, Some(key)).await
    }

    async fn take(
        &self,
        submission: NewSubmission,
        anew: Option<&str>,
    ) -> Result<Accepted, AcceptError> {
        if submission.recipients.is_empty() {
            return Err(AcceptError::NoRecipient);
        }
        let mut submission = submission;
        let message = std::mem::take(&mut submission.message);
        let digest = repeats::digest(&message);
        // Nothing of it is sealed or flushed when the day has nothing left. A mail that is kept already, whose 250 was lost,
        // is not one of those: put off until tomorrow it would be taken for a new one.
        if let Some(over) = self.used_up.of(&submission) {
            let same = (self.same_mail, anew);
            let marks = batch::marks(&submission, &digest, same, now_ms());
            let tenant_id = submission.sender.tenant_id();
            if !repeats::is_known(&self.store, tenant_id, &marks).await? {
                return Err(AcceptError::OverLimit(over));
            }
        }
        let tenant_id = submission.sender.tenant_id().to_owned();
        let sealed = self
            .custody
            .seal(NewItem {
                tenant_id: submission.sender.tenant_id().to_owned(),
                what: What::Message,
                bytes: message,
            })
            .await?;
        let mut letters = Vec::new();
        for letter in std::mem::take(&mut submission.letters) {
            let item = NewItem {
                tenant_id: letter.mail.tenant_id.clone(),
                what: What::Mail,
                bytes: letter.bytes,
            };
            letters.push((letter.mail, self.custody.seal(item).await?));
        }
        let mut prepared = Prepared::new(
            submission,
            digest,
            sealed,
            &self.tariffs,
            (self.same_mail, anew),
        );
        prepared.beside(letters);
        let (answer, answered) = oneshot::channel();
        if self.writer.send((prepared, answer)).await.is_err() {
            return Err(AcceptError::Stopping);
        }
        let accepted = answered.await.unwrap_or(Err(AcceptError::Stopping));
        if let Err(AcceptError::OverLimit(over)) = &accepted {
            self.used_up.remember(&tenant_id, over);
        }
        accepted
    }
}

#[cfg(test)]
mod tests;
