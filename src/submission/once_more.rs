//! A submission that is over, made a new one: its sender wants it faxed once more, and its mail is still in custody.

use sqlx::Row as _;

use super::{Door, NewRecipient, NewSubmission};
use crate::{
    options::Options,
    sender::VerifiedSender,
    store::{Store, StoreError, new_id},
    trouble::Trouble,
    vault::Custody,
};

/// Why a submission can't be faxed once more. A sentence without its full stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAgain {
    /// Some of it is still to be sent.
    #[error("it is not over yet: when its report has come, \"resend\" has it faxed once more")]
    UnderWay,
    /// Its mail is kept no longer.
    #[error("its mail is kept no longer: send it again from your mail program")]
    Gone,
}

/// The sender's submission as a new one of the same mail to the same numbers, with nothing asked of when. A mail says that
/// it is accepted. Whether they may still fax those numbers is the caller's to ask.
///
/// # Errors
/// What the database says, or the disk just now.
pub async fn once_more(
    store: &Store,
    custody: &Custody,
    sender: VerifiedSender,
    submission_id: &str,
) -> Result<Result<NewSubmission, NotAgain>, StoreError> {
    let tenant_id = sender.tenant_id().to_owned();
    let row = sqlx::query(
        "SELECT reverse_path, message_id, subject, custody_id, envid, ret, options, closed_at FROM submission
         WHERE tenant_id = $1 AND submission_id = $2 AND user_id = $3",
    )
    .bind(&tenant_id)
    .bind(submission_id)
    .bind(&sender.user().user_id)
    .fetch_optional(store.reader())
    .await?;
    let Some(row) = row else {
        return Ok(Err(NotAgain::Gone));
    };
    if row.try_get::<Option<i64>, _>("closed_at")?.is_none() {
        return Ok(Err(NotAgain::UnderWay));
    }
    let custody_id: String = row.try_get("custody_id")?;
    let message = match custody.open(store, &tenant_id, &custody_id).await {
        Ok(message) => message.to_vec(),
        Err(error) if error.trouble() == Trouble::Permanent => return Ok(Err(NotAgain::Gone)),
        Err(error) => {
            return Err(sqlx::Error::Io(std::io::Error::other(error.to_string())).into());
        }
    };
    let rows = sqlx::query(
        "SELECT destination, sub_address, recipient, to_name, notify, orcpt, options, password FROM job
         WHERE tenant_id = $1 AND submission_id = $2 ORDER BY job_id",
    )
    .bind(&tenant_id)
    .bind(submission_id)
    .fetch_all(store.reader())
    .await?;
    let mut password = false;
    let mut recipients = Vec::with_capacity(rows.len());
    for job in &rows {
        password |= job.try_get::<i64, _>("password")? != 0;
        recipients.push(NewRecipient {
            destination: job.try_get("destination")?,
            sub_address: job.try_get("sub_address")?,
            given: job.try_get("recipient")?,
            name: job.try_get("to_name")?,
            notify: job.try_get("notify")?,
            orcpt: job.try_get("orcpt")?,
            options: now(job)?,
        });
    }
    Ok(Ok(NewSubmission {
        told_by: Vec::new(),
        submission_id: new_id(),
        letters: Vec::new(),
        sender,
        door: Door::Smtp,
        reverse_path: row.try_get("reverse_path")?,
        envid: row.try_get("envid")?,
        ret: row.try_get("ret")?,
        message,
        message_id: row.try_get("message_id")?,
        subject: row.try_get("subject")?,
        password,
        options: Options {
            accepted: Some(true),
            ..now(&row)?
        },
        recipients,
    }))
}

/// What was asked, but for the times, which are over.
fn now(row: &sqlx::any::AnyRow) -> Result<Options, StoreError> {
    let options = row.try_get::<Option<String>, _>("options")?;
    Ok(Options {
        send_at: None,
        not_after: None,
        ..Options::from_column(options.as_deref())
    })
}
