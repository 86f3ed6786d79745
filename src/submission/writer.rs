//! The two tasks that commit submissions, many at a time: while one commits a batch, the other
//! flushes the next, so a mail waits for the disk twice, not four times.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{AcceptError, Accepted, OverLimit, Waiting, batch::Rows, quota, repeats, rows};
use crate::{
    policy::Daily,
    store::{Store, StoreError, Topic, Tries},
    trouble::Trouble,
    vault::{Custody, CustodyError, KeptItem},
};

/// How often mails are forgotten that came too long ago to come again.
const TIDY: Duration = Duration::from_secs(60);
/// Submissions of one flush, and of one commit.
const BATCH: usize = 256;

/// A submission whose mail is flushed.
struct Flushed {
    rows: Rows,
    /// The mail, then its letters.
    kept: Vec<KeptItem>,
    answer: oneshot::Sender<Result<Accepted, AcceptError>>,
}

/// Where submissions are written, and by which limits.
struct Books {
    store: Store,
    custody: Custody,
    daily: Daily,
    standings: quota::Standings,
}

/// Flushes and commits until all submitters are gone.
pub(super) async fn run(
    store: Store,
    custody: Custody,
    daily: Daily,
    mut waiting: mpsc::Receiver<Waiting>,
) {
    let books = Books {
        store,
        custody,
        daily,
        standings: quota::Standings::default(),
    };
    let (flushed, mut to_commit) = mpsc::channel(BATCH);
    let flusher = async {
        let mut batch = Vec::with_capacity(BATCH);
        while waiting.recv_many(&mut batch, BATCH).await > 0 {
            flush(&books.custody, batch.drain(..), &flushed).await;
        }
        drop(flushed);
    };
    let committer = async {
        let mut batch = Vec::with_capacity(BATCH);
        let mut tidy = tokio::time::interval(TIDY);
        loop {
            tokio::select! {
                biased;
                mails = to_commit.recv_many(&mut batch, BATCH) => match mails {
                    0 => return,
                    _ => commit(&books, std::mem::take(&mut batch)).await,
                },
                _ = tidy.tick() => {
                    repeats::tidy(&books.store).await;
                    quota::tidy(&books.store).await;
                }
            }
        }
    };
    tokio::join!(flusher, committer);
}

/// Flushes the mails of a batch and hands them on.
async fn flush(
    custody: &Custody,
    batch: impl Iterator<Item = Waiting>,
    flushed: &mpsc::Sender<Flushed>,
) {
    let mut sealed = Vec::new();
    let mut others = Vec::new();
    for (prepared, answer) in batch {
        // Whoever is gone before anything was kept is not served: nobody was told anything.
        if !answer.is_closed() {
            sealed.extend(prepared.sealed);
            others.push((prepared.rows, answer));
        }
    }
    let kept = match custody.flush(sealed).await {
        Ok(kept) => kept,
        Err(error) => {
            tracing::error!(%error, mails = others.len(), "mails could not be kept");
            for (_, answer) in others {
                let _ = answer.send(Err(shared(&error)));
            }
            return;
        }
    };
    let mut kept = kept.into_iter();
    for (rows, answer) in others {
        let kept = kept.by_ref().take(1 + rows.letters.len()).collect();
        // The committer outlives us; were it gone, the answers would go with it, as "stopping".
        let _ = flushed.send(Flushed { rows, kept, answer }).await;
    }
}

/// Commits a batch and answers everybody in it.
async fn commit(books: &Books, flushed: Vec<Flushed>) {
    match record(books, &flushed, false).await {
        Ok(accepted) => {
            wake(&books.store, &flushed);
            for (one, accepted) in flushed.into_iter().zip(accepted) {
                let _ = one.answer.send(accepted);
            }
        }
        // A submission that the database won't have must not take the others with it.
        Err(error) if error.trouble() == Trouble::Permanent && flushed.len() > 1 => {
            tracing::warn!(%error, mails = flushed.len(), "a batch is committed one by one");
            for one in flushed {
                alone(books, one).await;
            }
        }
        Err(error) => settle_doubt(books, error, flushed).await,
    }
}

/// What became of one of a batch that was written.
type Written = Result<Accepted, AcceptError>;

/// Writes a batch. Those that the day's limits don't let in are left out of it, and it is written without them. In
/// `doubt` a mail may be there already and have used up the limit itself; to count it waits for its commit to end.
async fn record(books: &Books, batch: &[Flushed], doubt: bool) -> Result<Vec<Written>, StoreError> {
    let mut written: Vec<Option<Written>> = batch.iter().map(|_| None).collect();
    let mut tries = Tries::default();
    loop {
        let left = || (0..batch.len()).filter(|index| written[*index].is_none());
        let (indices, part): (Vec<usize>, Vec<&Flushed>) =
            left().map(|index| (index, &batch[index])).unzip();
        let found = match try_record(books, &part).await {
            Err(error) if tries.again(&error).await => continue,
            found => found?,
        };
        let over = found.iter().any(Result::is_err);
        for (index, found) in indices.into_iter().zip(found) {
            match found {
                Err(_) if doubt && is_there(&books.store, &batch[index].rows).await => {
                    written[index] = Some(Ok(batch[index].rows.accepted()));
                }
                Err(limit) => written[index] = Some(Err(AcceptError::OverLimit(limit))),
                Ok(accepted) if !over => written[index] = Some(Ok(accepted)),
                // Nothing was committed.
                Ok(_) => {}
            }
        }
        if written.iter().all(Option::is_some) {
            return Ok(written.into_iter().flatten().collect());
        }
    }
}

/// Writes a batch as a whole. With one that is over a limit nothing is written.
async fn try_record(
    books: &Books,
    batch: &[&Flushed],
) -> Result<Vec<Result<Accepted, Box<OverLimit>>>, StoreError> {
    let (rows, kept): (Vec<_>, Vec<_>) = batch
        .iter()
        .map(|one| (&one.rows, one.kept.as_slice()))
        .unzip();
    let dated = quota::dated(&books.store, &books.standings, &rows).await?;
    let mut tx = books.store.begin().await?;
    let claimed = repeats::claim(&mut tx, &rows).await?;
    let over = quota::count(&mut tx, &books.daily, &rows, &claimed, &dated).await?;
    if over.iter().any(Option::is_some) {
        // The keys of the mails that are refused go with it: else they would be known when they come again.
        drop(tx);
        let said = rows.iter().zip(over).map(|(rows, over)| match over {
            Some(over) => Err(Box::new(over)),
            None => Ok(rows.accepted()),
        });
        return Ok(said.collect());
    }
    let accepted = rows::write(&mut tx, &books.custody, &rows, &claimed, &kept).await?;
    tx.commit().await?;
    Ok(accepted.into_iter().map(Ok).collect())
}

fn wake(store: &Store, batch: &[Flushed]) {
    store.wake(Topic::Queue);
    if batch.iter().any(|one| !one.rows.letters.is_empty()) {
        store.wake(Topic::Outbox);
    }
}

async fn alone(books: &Books, one: Flushed) {
    match record(books, std::slice::from_ref(&one), false).await {
        Ok(mut accepted) => {
            wake(&books.store, std::slice::from_ref(&one));
            let answer = accepted.pop().unwrap_or(Err(AcceptError::Stopping));
            let _ = one.answer.send(answer);
        }
        Err(error) => settle_doubt(books, error, vec![one]).await,
    }
}

/// Answers a batch whose commit failed. When the answer to the commit was lost, "try again" to
/// somebody whose mail was committed would send it twice. So the same rows are written once more:
/// either they go in now, or their keys are there already, for which PostgreSQL waits until a commit
/// that is still on its way has ended.
async fn settle_doubt(books: &Books, error: StoreError, batch: Vec<Flushed>) {
    tracing::error!(%error, mails = batch.len(), "mails could not be recorded");
    let again = match error {
        StoreError::CommitUnknown(_) => record(books, &batch, true).await,
        _ => Err(error),
    };
    match again {
        Ok(accepted) => {
            for (one, accepted) in batch.into_iter().zip(accepted) {
                let _ = one.answer.send(accepted);
            }
        }
        Err(error) if error.is_unique_violation() => {
            for one in batch {
                settle_alone(books, one).await;
            }
        }
        Err(error) => {
            for one in batch {
                let _ = one.answer.send(Err(failed(&error)));
            }
        }
    }
    books.store.wake(Topic::Queue);
}

/// Answers one of a batch of which some rows are there already.
async fn settle_alone(books: &Books, one: Flushed) {
    let answer = match record(books, std::slice::from_ref(&one), true).await {
        Ok(mut accepted) => accepted.pop().unwrap_or(Err(AcceptError::Stopping)),
        Err(error) if error.is_unique_violation() && is_there(&books.store, &one.rows).await => {
            Ok(one.rows.accepted())
        }
        Err(error) => Err(failed(&error)),
    };
    let _ = one.answer.send(answer);
}

async fn is_there(store: &Store, rows: &Rows) -> bool {
    let row = &rows.submission;
    let there = rows::is_there(store, row.sender.tenant_id(), &row.submission_id).await;
    there.unwrap_or(false)
}

fn failed(error: &StoreError) -> AcceptError {
    AcceptError::Batch {
        what: error.to_string(),
        trouble: error.trouble(),
    }
}

fn shared(error: &CustodyError) -> AcceptError {
    AcceptError::Batch {
        what: error.to_string(),
        trouble: error.trouble(),
    }
}
