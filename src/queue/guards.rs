//! What keeps a fax back until somebody gives their word: numbers that nobody was faxed at before, slips of a digit,
//! far more pages than usual, and an approver, as the sender's profile has it.
//!
//! The question is asked of every job when its pages are made, by the number alone and what became of it before: another
//! Message-ID, another try or another of the user's addresses makes no difference.

use sqlx::{AssertSqlSafe, Row as _};

use super::{Inner, claim::Job, mails, moves, state::State};
use crate::{
    clock::{Millis, now_ms},
    letter::Reason,
    people,
    policy::{Guard, Sending},
    store::{Store, StoreError, Tx},
};

const HOUR: Millis = 3_600_000;
/// More pages than so many times the user's median are asked about.
const TIMES: u32 = 10;
/// A median of fewer faxes says nothing.
const LEAST: usize = 5;
/// Faxes that it is taken of, the latest.
const MOST: i64 = 101;
/// What a fax that was released has, as one that was just accepted.
const AFTER_RELEASE: Millis = 24 * HOUR;

/// Why a job is kept back, and whose word it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub why: Vec<Reason>,
    /// The sender's where there is none.
    pub approver: Option<String>,
}

/// Looks whether a job with so many pages is to be kept back.
pub(super) async fn look(
    store: &Store,
    sending: &Sending,
    job: &Job,
    pages: u32,
) -> Result<Option<Kept>, StoreError> {
    let mut why = Vec::new();
    // No mail can say that it needs none: who slips in the number would not.
    if job.options.confirm == Some(true) {
        why.push(Reason::Wish);
    }
    let asks = |guard| sending.guard.contains(&guard);
    if asks(Guard::First) || asks(Guard::Near) {
        let known = known_or_near(store, &job.tenant_id, &job.destination).await?;
        match known {
            Some(number) if number == job.destination => {}
            Some(number) if asks(Guard::Near) => why.push(Reason::Near(number)),
            _ if asks(Guard::First) => why.push(Reason::First),
            _ => {}
        }
    }
    if asks(Guard::Pages)
        && let Some(usual) = median(store, &job.tenant_id, &job.user_id).await?
        && pages > usual.saturating_mul(TIMES)
    {
        why.push(Reason::Pages(pages, usual));
    }
    let approver = match &sending.approver {
        Some(address) => other_than(store, job, address).await?,
        None => None,
    };
    why.extend(approver.clone().map(Reason::Approval));
    Ok((!why.is_empty()).then_some(Kept { why, approver }))
}

/// The approver, unless they are the sender: then their own word is all that can be asked.
async fn other_than(store: &Store, job: &Job, address: &str) -> Result<Option<String>, StoreError> {
    let approver = people::user_by_address(store, address).await?;
    let own = approver.is_some_and(|user| user.user_id == job.user_id);
    Ok((!own).then(|| address.to_owned()))
}

/// The number itself where the tenant has reached it, else one that it has reached and that is one slip away.
async fn known_or_near(
    store: &Store,
    tenant_id: &str,
    number: &str,
) -> Result<Option<String>, StoreError> {
    let mut all = near(number);
    all.push(number.to_owned());
    let places: Vec<String> = (2..all.len() + 2)
        .map(|place| format!("${place}"))
        .collect();
    let text = format!(
        "SELECT destination FROM reached_number WHERE tenant_id = $1 AND destination IN ({}) ORDER BY reached_at DESC",
        places.join(", ")
    );
    let mut query = sqlx::query(AssertSqlSafe(text)).bind(tenant_id.to_owned());
    for one in all {
        query = query.bind(one);
    }
    let rows = query.fetch_all(store.reader()).await?;
    let found: Vec<String> = rows
        .iter()
        .map(|row| row.try_get("destination"))
        .collect::<Result<_, _>>()?;
    let own = found.iter().find(|one| *one == number);
    Ok(own.or(found.first()).cloned())
}

/// Every number that is one slip away: a digit too many, too few, another, or two exchanged.
fn near(number: &str) -> Vec<String> {
    let digits: Vec<char> = number.trim_start_matches('+').chars().collect();
    let mut all = Vec::with_capacity(digits.len() * 22);
    let mut add = |digits: Vec<char>| {
        let text: String = std::iter::once('+').chain(digits).collect();
        if text != number && !all.contains(&text) {
            all.push(text);
        }
    };
    for at in 0..=digits.len() {
        for digit in '0'..='9' {
            let mut longer = digits.clone();
            longer.insert(at, digit);
            add(longer);
            if at < digits.len() {
                let mut other = digits.clone();
                other[at] = digit;
                add(other);
            }
        }
        if at < digits.len() {
            let mut shorter = digits.clone();
            shorter.remove(at);
            add(shorter);
        }
        if at + 1 < digits.len() {
            let mut exchanged = digits.clone();
            exchanged.swap(at, at + 1);
            add(exchanged);
        }
    }
    all
}

/// The median of the pages of the user's latest faxes that arrived, in part at least.
async fn median(store: &Store, tenant_id: &str, user_id: &str) -> Result<Option<u32>, StoreError> {
    let pages: Vec<i64> = sqlx::query_scalar(
        "SELECT pages_total FROM job
         WHERE tenant_id = $1 AND user_id = $2 AND pages_confirmed > 0 ORDER BY accepted_at DESC LIMIT $3",
    )
    .bind(tenant_id)
    .bind(user_id)
    .bind(MOST)
    .fetch_all(store.reader())
    .await?;
    let mut pages: Vec<u32> = pages.into_iter().map(super::records::page_number).collect();
    pages.sort_unstable();
    Ok((pages.len() >= LEAST).then(|| pages[pages.len() / 2]))
}

/// Keeps a job back whose pages are made, and owes the mails that ask; `false` when it was taken back meanwhile.
pub(super) async fn park(
    tx: &mut Tx,
    queue: &Inner,
    job: &Job,
    kept: &Kept,
    hours: u32,
) -> Result<bool, StoreError> {
    let (tenant_id, job_id) = (&job.tenant_id, &job.job_id);
    if !moves::advance(tx, tenant_id, job_id, State::Rendering, State::Parked).await? {
        return Ok(false);
    }
    let until = now_ms() + Millis::from(hours) * HOUR;
    sqlx::query(
        "UPDATE job SET parked_why = $1, approver = $2,
                deadline = CASE WHEN not_after < $3 THEN not_after ELSE $3 END
         WHERE tenant_id = $4 AND job_id = $5",
    )
    .bind(serde_json::to_string(&kept.why).unwrap_or_else(|_| "[]".into()))
    .bind(kept.approver.as_deref())
    .bind(until)
    .bind(tenant_id)
    .bind(job_id)
    .execute(tx.conn())
    .await?;
    mails::owe_question(tx, queue, job, kept.approver.as_deref()).await?;
    Ok(true)
}

/// Lets a job go that is kept back, for a day as if it had just come; `false` when it is not kept back any more.
pub(super) async fn release(
    tx: &mut Tx,
    tenant_id: &str,
    job_id: &str,
) -> Result<bool, StoreError> {
    let send_at: Option<Millis> =
        sqlx::query_scalar("SELECT send_at FROM job WHERE tenant_id = $1 AND job_id = $2")
            .bind(tenant_id)
            .bind(job_id)
            .fetch_one(tx.conn())
            .await?;
    let now = now_ms();
    // What its sender asked for stands: not before, and not after.
    sqlx::query(
        "UPDATE job SET expires_at = CASE WHEN not_after IS NULL THEN $1 ELSE expires_at END
         WHERE tenant_id = $2 AND job_id = $3 AND state = $4",
    )
    .bind(send_at.unwrap_or(now).max(now) + AFTER_RELEASE)
    .bind(tenant_id)
    .bind(job_id)
    .bind(State::Parked.name())
    .execute(tx.conn())
    .await?;
    let (from, to) = (State::Parked, State::Ready);
    moves::advance_at(tx, tenant_id, job_id, from, to, None, send_at.unwrap_or(0)).await
}

/// Remembers that a page to a number was confirmed.
pub(super) async fn reached(tx: &mut Tx, tenant_id: &str, job_id: &str) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO reached_number (tenant_id, destination, reached_at)
         SELECT tenant_id, destination, $1 FROM job WHERE tenant_id = $2 AND job_id = $3
         ON CONFLICT (tenant_id, destination) DO UPDATE SET reached_at = excluded.reached_at",
    )
    .bind(now_ms())
    .bind(tenant_id)
    .bind(job_id)
    .execute(tx.conn())
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        queue::testing::{self, Fax},
        store::testing::on_each_database,
    };

    #[test]
    fn every_slip_of_a_digit_is_near() {
        let all = near("+33123");
        for slip in [
            "+33124", "+3312", "+331234", "+33132", "+43123", "+3123", "+333123",
        ] {
            assert!(all.contains(&slip.to_owned()), "{slip}");
        }
        for far in ["+33123", "+33134", "+331", "+3312345"] {
            assert!(!all.contains(&far.to_owned()), "{far}");
        }
    }

    async fn job(store: &Store, to: &str) -> Job {
        let made = testing::submit(
            store,
            &Fax {
                to: vec![to],
                ..Fax::default()
            },
        )
        .await;
        crate::queue::claim::by_id(store, "t", &made.jobs[0])
            .await
            .unwrap()
    }

    fn sending(guard: &[Guard]) -> Sending {
        Sending {
            guard: guard.to_vec(),
            ..Sending::load(None).unwrap()
        }
    }

    async fn why(store: &Store, to: &str, guard: &[Guard], pages: u32) -> Vec<Reason> {
        let job = job(store, to).await;
        let kept = look(store, &sending(guard), &job, pages).await.unwrap();
        kept.map_or_else(Vec::new, |kept| kept.why)
    }

    on_each_database! {
        async fn a_number_is_known_once_a_page_was_confirmed_there(store) {
            let first = job(&store, "+33123456789").await;
            let all = [Guard::First, Guard::Near];
            assert_eq!(why(&store, "+33123456789", &all, 1).await, [Reason::First]);
            assert_eq!(why(&store, "+33123456789", &[], 1).await, []);
            let mut tx = store.begin().await.unwrap();
            reached(&mut tx, "t", &first.job_id).await.unwrap();
            reached(&mut tx, "t", &first.job_id).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(why(&store, "+33123456789", &all, 1).await, []);
            let near = Reason::Near("+33123456789".into());
            assert_eq!(why(&store, "+33123456798", &all, 1).await, [near]);
            assert_eq!(why(&store, "+33123456798", &[Guard::First], 1).await, [Reason::First]);
            assert_eq!(why(&store, "+33987654321", &[Guard::Near], 1).await, []);
            assert_eq!(why(&store, "+33987654321", &all, 1).await, [Reason::First]);
        }

        async fn far_more_pages_than_usual_are_asked_about(store) {
            for _ in 0..5 {
                testing::submit(&store, &Fax::default()).await;
            }
            testing::run(&store, "UPDATE job SET pages_confirmed = 1, pages_total = 2").await;
            assert_eq!(why(&store, "+331", &[Guard::Pages], 20).await, []);
            assert_eq!(why(&store, "+331", &[Guard::Pages], 21).await, [Reason::Pages(21, 2)]);
            testing::run(&store, "UPDATE job SET pages_confirmed = 0 WHERE job_id = (SELECT MIN(job_id) FROM job)").await;
            assert_eq!(why(&store, "+331", &[Guard::Pages], 21).await, [], "of four faxes nothing is usual");
        }
    }
}
