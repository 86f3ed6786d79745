//! What a user's profile says to a fax: whether its number may be called, and when.

use super::{
    Inner,
    claim::Job,
    closing::{self, Closing},
    fair::Head,
    ladder, records,
    state::State,
};
use crate::{
    clock::{Millis, now_ms},
    outcome::{NOT_ALLOWED, OUT_OF_HOURS, Outcome},
    people::{self, Rules},
    store::{StoreError, Topic, Tx},
};

/// What a fax has from the beginning of its hours on, as it has from its acceptance.
const AFTER_OPENING: Millis = 24 * 3_600_000;
/// No fax waits for its hours longer than this after its acceptance, whatever is made of them meanwhile. A
/// week's hours come within a week.
const LONGEST: Millis = 14 * 24 * 3_600_000;

/// What applies to the faxes of a user.
pub(super) async fn rules(
    queue: &Inner,
    tenant_id: &str,
    user_id: &str,
) -> Result<Rules, StoreError> {
    match people::rules_for(&queue.store, &queue.policy, tenant_id, user_id).await {
        // Somebody who is gone has the operator's rules; that they are gone is told where the pages are made.
        Err(StoreError::Missing(_)) => Rules::of(&queue.policy, &[], "UTC"),
        rules => rules,
    }
}

/// Whether the head of a lane may be called now; what may not is put off or ended.
pub(super) async fn may_call(
    queue: &Inner,
    head: &Head,
    rules: &Rules,
) -> Result<bool, StoreError> {
    if rules.numbers.refusal(&head.destination).is_some() {
        end(queue, head, ladder::given_up, &NOT_ALLOWED).await?;
        return Ok(false);
    }
    let now = now_ms();
    match rules.opens(now) {
        Some(opens) if opens <= now => Ok(true),
        Some(opens) if opens - head.accepted_at <= LONGEST => {
            let mut tx = queue.store.begin().await?;
            wait_until(&mut tx, &head.tenant_id, &head.user_id, opens).await?;
            tx.commit().await?;
            Ok(false)
        }
        _ => {
            end(queue, head, super::watchdog::expired, &OUT_OF_HOURS).await?;
            Ok(false)
        }
    }
}

/// All waiting faxes of a user wait for their hours: in their state, with a deadline that counts from then, unless it
/// was asked for.
/// Those that would wait too long are left, to be looked at one by one.
async fn wait_until(
    tx: &mut Tx,
    tenant_id: &str,
    user_id: &str,
    opens: Millis,
) -> Result<(), StoreError> {
    let latest = opens + AFTER_OPENING;
    sqlx::query(
        "UPDATE job SET opens_at = $1,
                expires_at = CASE WHEN not_after IS NULL AND expires_at < $2 THEN $2 ELSE expires_at END,
                deadline = CASE WHEN not_after IS NULL AND deadline < $2 THEN $2 ELSE deadline END
         WHERE tenant_id = $3 AND user_id = $4 AND state IN ($5, $6) AND opens_at < $1
           AND COALESCE(send_at, accepted_at) >= $7",
    )
    .bind(opens)
    .bind(latest)
    .bind(tenant_id)
    .bind(user_id)
    .bind(State::Ready.name())
    .bind(State::Waiting.name())
    .bind(opens - LONGEST)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The hours of a tenant's profiles have changed: its faxes ask anew. Their deadlines stay, which counted from
/// the old ones.
///
/// # Errors
/// What the database says.
pub async fn hours_changed(tx: &mut Tx, tenant_id: &str) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE job SET opens_at = 0 WHERE tenant_id = $1 AND opens_at > 0 AND finished_at IS NULL",
    )
    .bind(tenant_id)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends those of these jobs, which are being rendered, whose number may not be called any more, and removes
/// them from the list. All are one user's.
pub(super) async fn end_refused(
    queue: &Inner,
    jobs: &mut Vec<Job>,
    rules: &Rules,
) -> Result<(), StoreError> {
    let refused = |job: &Job| rules.numbers.refusal(&job.destination).is_some();
    for job in jobs.iter().filter(|job| refused(job)) {
        let at = At {
            tenant_id: &job.tenant_id,
            job_id: &job.job_id,
            from: job.state,
            pages: 0,
        };
        close(queue, at, ladder::given_up, &NOT_ALLOWED).await?;
    }
    jobs.retain(|job| !refused(job));
    Ok(())
}

async fn end(
    queue: &Inner,
    head: &Head,
    to: fn(&[crate::line::Verdict]) -> State,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    let at = At {
        tenant_id: &head.tenant_id,
        job_id: &head.job_id,
        from: head.state,
        pages: head.pages,
    };
    close(queue, at, to, outcome).await
}

/// A job where it was last seen.
struct At<'a> {
    tenant_id: &'a str,
    job_id: &'a str,
    from: State,
    pages: u32,
}

async fn close(
    queue: &Inner,
    at: At<'_>,
    to: fn(&[crate::line::Verdict]) -> State,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    let mut tx = queue.store.begin().await?;
    let verdicts = records::verdicts(&mut tx, at.tenant_id, at.job_id, at.pages).await?;
    let closing = Closing {
        tenant_id: at.tenant_id,
        job_id: at.job_id,
        from: at.from,
        to: to(&verdicts),
        outcome: outcome.key,
        note: None,
        hostname: &queue.hostname,
    };
    // One that moved on meanwhile is looked at again.
    if closing::close(&mut tx, &closing).await? {
        tx.commit().await?;
        tracing::info!(
            job = at.job_id,
            outcome = outcome.key,
            "ended by its profile"
        );
        queue.store.wake(Topic::Outbox);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        queue::{
            claim, heads,
            testing::{self, Fax},
        },
        store::{Store, testing::on_each_database},
    };

    const HOUR: Millis = 3_600_000;

    async fn due(store: &Store) -> usize {
        heads::to_dial(store, now_ms(), &heads::Takes::All)
            .await
            .unwrap()
            .len()
    }

    async fn number(store: &Store, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(store.reader())
            .await
            .unwrap()
    }

    on_each_database! {
        async fn promise_7_who_waits_for_its_hours_has_its_time_from_then_on(store) {
            testing::submit(&store, &Fax { to: vec!["+331", "+332"], ..Fax::default() }).await;
            testing::submit(&store, &Fax { user: "v", to: vec!["+333"], ..Fax::default() }).await;
            testing::all_become(&store, State::Ready).await;
            assert_eq!(due(&store).await, 2);
            let opens = now_ms() + 60 * HOUR;
            let mut tx = store.begin().await.unwrap();
            wait_until(&mut tx, "t", "u", opens).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(due(&store).await, 1, "the other user's");
            testing::run(&store, "UPDATE job SET state = 'sent', finished_at = 1 WHERE user_id = 'v'").await;
            assert_eq!(due(&store).await, 0);
            assert_eq!(claim::next_due(&store).await.unwrap(), Some(opens));
            // In its state, and not overdue before a day after its hours have come.
            let least = number(&store, "SELECT CAST(MIN(deadline) AS BIGINT) FROM job WHERE state = 'ready'").await;
            let latest = number(&store, "SELECT CAST(MIN(expires_at) AS BIGINT) FROM job WHERE state = 'ready'").await;
            assert_eq!((least, latest), (opens + AFTER_OPENING, opens + AFTER_OPENING));
            assert!(claim::overdue(&store).await.unwrap().is_empty());
            // When its hours are made others, it asks anew.
            let mut tx = store.begin().await.unwrap();
            hours_changed(&mut tx, "t").await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(due(&store).await, 1);
        }

        async fn promise_7_no_fax_waits_for_hours_without_end(store) {
            testing::submit(&store, &Fax::default()).await;
            testing::all_become(&store, State::Waiting).await;
            testing::set(&store, "accepted_at", now_ms() - 10 * 24 * HOUR).await;
            let mut tx = store.begin().await.unwrap();
            wait_until(&mut tx, "t", "u", now_ms() + 5 * 24 * HOUR).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(due(&store).await, 1, "it is left, to be ended by itself");
        }
    }
}
