//! What a reply to one of our mails does: it calls faxes off, or lets them go.
//!
//! Who replies is proven by then, and is whom the token was mailed to; here the token is used up in the transaction of
//! what it does, so that of two replies at once one does it. What can't be done leaves it unused.

use sqlx::Row as _;

use super::{
    cancel::{self, Cancelled},
    guards, mails,
    state::State,
};
use crate::{
    letter::Done,
    store::{Store, StoreError, Topic, Tx},
    tokens::{Token, Tokens},
};

/// How often a submission is looked at whose jobs move on meanwhile.
const LOOKS: u32 = 20;

/// What a token of a mail about faxes lets be done; its subject is the submission.
pub mod actions {
    /// Of a mail that says how faxes stand: they can be called off.
    pub const UNDER_WAY: &str = "under-way";
    /// Of a mail that asks the sender for their word.
    pub const CONFIRM: &str = "confirm";
    /// Of a mail that asks an approver.
    pub const APPROVE: &str = "approve";
}

/// The first word of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Call off what is not sent.
    Cancel,
    /// Let go what is kept back.
    Send,
}

/// What a reply has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replied {
    /// What.
    pub done: Done,
    /// To how many faxes.
    pub faxes: usize,
}

/// Why a reply does nothing. A sentence without its full stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoEffect {
    /// The token has served, perhaps a moment ago.
    #[error("this mail was answered already, and an answer counts once")]
    Used,
    /// Nothing is left to call off.
    #[error("nothing of it is left to be called off: its report says what became of it")]
    Over,
    /// Nothing is kept back.
    #[error("nothing of it waits for your word: it goes out by itself, or is over")]
    NotParked,
    /// The mail was no question.
    #[error(
        "this mail does not ask whether the fax may be sent: only \"cancel\" does something here"
    )]
    NoQuestion,
}

/// Does what a reply says.
///
/// # Errors
/// [`StoreError`]; nothing was done.
pub async fn reply(
    store: &Store,
    tokens: &Tokens,
    token: &Token,
    word: Word,
    hostname: &str,
) -> Result<Result<Replied, NoEffect>, StoreError> {
    let mut tries = crate::store::Tries::default();
    for _ in 0..LOOKS {
        match once(store, tokens, token, word, hostname).await {
            Ok(Some(done)) => return Ok(done),
            // A job moved on in between: all of it is looked at again.
            Ok(None) => {}
            Err(error) if tries.again(&error).await => {}
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::Missing(
        "a moment in which the faxes stay as they are",
    ))
}

async fn once(
    store: &Store,
    tokens: &Tokens,
    token: &Token,
    word: Word,
    hostname: &str,
) -> Result<Option<Result<Replied, NoEffect>>, StoreError> {
    let mut tx = store.begin().await?;
    if !tokens.consume(&mut tx, token).await? {
        return Ok(Some(Err(NoEffect::Used)));
    }
    let done = match word {
        Word::Cancel => Done::Cancelled,
        Word::Send if token.action == actions::UNDER_WAY => {
            return Ok(Some(Err(NoEffect::NoQuestion)));
        }
        Word::Send => Done::Released,
    };
    let Some(faxes) = (match word {
        Word::Cancel => call_off(&mut tx, token, hostname).await?,
        Word::Send => let_go(&mut tx, token).await?,
    }) else {
        return Ok(None);
    };
    if faxes == 0 {
        return Ok(Some(Err(match word {
            Word::Cancel => NoEffect::Over,
            Word::Send => NoEffect::NotParked,
        })));
    }
    mails::owe_answers(&mut tx, token, done, hostname).await?;
    tx.commit().await?;
    store.wake(Topic::Queue);
    store.wake(Topic::Outbox);
    Ok(Some(Ok(Replied { done, faxes })))
}

/// How many were called off; none when one moved on meanwhile. An approver has a say in what is kept back for them alone.
async fn call_off(tx: &mut Tx, token: &Token, hostname: &str) -> Result<Option<usize>, StoreError> {
    let mut faxes = 0;
    for (job_id, state, approver) in jobs(tx, token).await? {
        let theirs = state == State::Parked && approver.as_deref() == Some(token.address.as_str());
        if state.is_final() || token.action == actions::APPROVE && !theirs {
            continue;
        }
        match cancel::cancel_in(tx, &token.tenant_id, &job_id, hostname).await? {
            None => return Ok(None),
            Some(Cancelled::Over(_) | Cancelled::Already) => {}
            Some(_) => faxes += 1,
        }
    }
    Ok(Some(faxes))
}

/// How many were let go: those that wait for the word of whom the token was mailed to.
async fn let_go(tx: &mut Tx, token: &Token) -> Result<Option<usize>, StoreError> {
    let mut faxes = 0;
    for (job_id, state, approver) in jobs(tx, token).await? {
        let theirs = match token.action.as_str() {
            actions::APPROVE => approver.as_deref() == Some(token.address.as_str()),
            actions::CONFIRM => approver.is_none(),
            _ => false,
        };
        if state != State::Parked || !theirs {
            continue;
        }
        if !guards::release(tx, &token.tenant_id, &job_id).await? {
            return Ok(None);
        }
        faxes += 1;
    }
    Ok(Some(faxes))
}

async fn jobs(
    tx: &mut Tx,
    token: &Token,
) -> Result<Vec<(String, State, Option<String>)>, StoreError> {
    let rows = sqlx::query(
        "SELECT job_id, state, approver FROM job WHERE tenant_id = $1 AND submission_id = $2 ORDER BY job_id",
    )
    .bind(&token.tenant_id)
    .bind(&token.subject)
    .fetch_all(tx.conn())
    .await?;
    rows.iter()
        .map(|row| {
            let state: String = row.try_get("state")?;
            let state = state
                .parse()
                .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
            Ok((row.try_get("job_id")?, state, row.try_get("approver")?))
        })
        .collect()
}

#[cfg(test)]
mod tests;
