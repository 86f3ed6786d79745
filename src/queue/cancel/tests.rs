use super::*;
use crate::{
    queue::{
        state::TABLE,
        testing::{self, Fax},
    },
    store::testing::on_each_database,
};

async fn in_state(store: &Store, state: State) -> String {
    let made = testing::submit(store, &Fax::default()).await;
    let job = &made.jobs[0];
    // As if another node, or a renderer, had it.
    let put = format!(
        "UPDATE job SET state = '{state}', lease_owner = 'other/1', lease_until = 9000000000000,
                pages_total = 3, finished_at = {} WHERE job_id = '{job}'",
        if state.is_final() { "1" } else { "NULL" }
    );
    testing::run(store, &put).await;
    job.clone()
}

async fn one(store: &Store, id: &str) -> Cancelled {
    let mut done = cancel(store, id, "gw").await.unwrap();
    assert_eq!(done.len(), 1);
    done.remove(0).result
}

async fn reports(store: &Store) -> i64 {
    sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM outbox")
        .fetch_one(store.reader())
        .await
        .unwrap()
}

on_each_database! {
    async fn a_fax_can_be_called_off_in_every_state_that_is_not_an_end(store) {
        for rule in &TABLE {
            let state = rule.state;
            let before = reports(&store).await;
            let job = in_state(&store, state).await;
            let (result, then, reported) = match state {
                State::Dialling => (Cancelled::Dialling, state, 0),
                State::Sending => (Cancelled::AfterThisPage, state, 0),
                state if state.is_final() => (Cancelled::Over(state), state, 0),
                state => (Cancelled::Now(state), State::Cancelled, 1),
            };
            assert_eq!(one(&store, &job).await, result);
            assert_eq!(testing::state(&store, &job).await, then);
            assert_eq!(reports(&store).await - before, reported, "{state}");
            // A second time it says what is so already.
            let again = match state {
                State::Dialling | State::Sending => Cancelled::Already,
                _ => Cancelled::Over(then),
            };
            assert_eq!(one(&store, &job).await, again);
            // A destination has one call at a time.
            testing::run(&store, "UPDATE job SET state = 'failed', finished_at = 1 WHERE state IN ('dialling', 'sending')").await;
        }
    }

    async fn a_submission_is_called_off_with_all_its_faxes_and_one_report(store) {
        let made = testing::submit(&store, &Fax { to: vec!["+331", "+332", "+333"], ..Fax::default() }).await;
        let put = format!("UPDATE job SET state = 'sent', finished_at = 1 WHERE job_id = '{}'", made.jobs[1]);
        testing::run(&store, &put).await;
        let done = cancel(&store, &made.submission_id, "gw").await.unwrap();
        let results: Vec<_> = done.iter().map(|job| job.result).collect();
        let now = Cancelled::Now(State::Queued);
        assert_eq!(results, [now, Cancelled::Over(State::Sent), now]);
        assert_eq!(reports(&store).await, 1);
        assert!(cancel(&store, "nobody", "gw").await.unwrap().is_empty());
    }

    async fn what_was_confirmed_before_stands_and_is_paid(store) {
        let job = in_state(&store, State::Waiting).await;
        let mut tx = store.begin().await.unwrap();
        for sql in [
            "INSERT INTO call (call_id, tenant_id, direction, local_number, remote_number, placed_at)
             VALUES ('c', 't', 'out', '', '', 1)",
            "INSERT INTO leg (leg_id, tenant_id, call_id, first_page) VALUES ('l', 't', 'c', 0)",
        ] {
            sqlx::query(sql).execute(tx.conn()).await.unwrap();
        }
        sqlx::query("INSERT INTO page_report (leg_id, tenant_id, job_id, page, verdict, evidence, reported_at)
                     VALUES ('l', 't', $1, 0, 'confirmed', 'MCF', 1)")
            .bind(&job).execute(tx.conn()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(one(&store, &job).await, Cancelled::Now(State::Waiting));
        let pages: i64 = sqlx::query_scalar("SELECT pages_confirmed FROM job").fetch_one(store.reader()).await.unwrap();
        let settled: Option<i64> = sqlx::query_scalar("SELECT settled FROM hold").fetch_one(store.reader()).await.unwrap();
        assert_eq!((pages, settled), (1, Some(1500)));
    }

    async fn of_two_who_call_off_at_once_one_does_it(store) {
        let job = in_state(&store, State::Ready).await;
        let results = tokio::join!(one(&store, &job), one(&store, &job), one(&store, &job));
        let results = [results.0, results.1, results.2];
        let now = results.iter().filter(|result| **result == Cancelled::Now(State::Ready)).count();
        let over = results.iter().filter(|result| **result == Cancelled::Over(State::Cancelled)).count();
        assert_eq!((now, over), (1, 2), "{results:?}");
        assert_eq!(reports(&store).await, 1);
    }
}
