use super::*;
use crate::{
    clock::now_ms,
    numbers::Route,
    queue::{
        claim,
        fair::Fair,
        testing::{self, Fax},
    },
    store::testing::on_each_database,
};

const AGE: Millis = 600_000;

fn trunk(prefixes: &[&str]) -> Trunk {
    let route = |prefix: &&str| Route {
        prefix: (*prefix).to_owned(),
        cost: 1,
    };
    Trunk {
        routes: prefixes.iter().map(route).collect(),
        ..Trunk::new("t", "a", "192.0.2.1", 5060)
    }
}

#[test]
fn what_trunks_take_is_what_one_of_them_takes() {
    assert_eq!(Takes::of(&[trunk(&["+33"]), trunk(&[])]), Takes::All);
    assert_eq!(Takes::of(&[trunk(&["+33", "+"])]), Takes::All);
    assert!(!Takes::of(&[]).takes("+331"));
    let some = Takes::of(&[trunk(&["+33"]), trunk(&["+4930", "+1"])]);
    for (number, taken) in [
        ("+33123456789", true),
        ("+4930123456", true),
        ("+4989123456", false),
        ("+12125550100", true),
        ("+34", false),
    ] {
        assert_eq!(some.takes(number), taken, "{number}");
    }
    let (text, values) = some.sql("d", 2);
    assert_eq!(
        text,
        "(1 = 0 OR substr(d, 1, 2) IN ($2) OR substr(d, 1, 3) IN ($3) OR substr(d, 1, 5) IN ($4))"
    );
    assert_eq!(values, ["+1", "+33", "+4930"]);
}

/// Calls that end at once, in the order in which they are placed.
async fn calls(store: &Store, fair: &mut Fair, takes: &Takes, most: usize) -> Vec<String> {
    let mut placed = Vec::new();
    while placed.len() < most {
        let heads = to_dial(store, now_ms(), takes).await.unwrap();
        let Some(at) = fair.next(&heads, now_ms(), AGE) else {
            break;
        };
        let (tx, job) =
            (claim::to_dial(store, "n/1", &heads[at]).await.unwrap()).expect("it is free");
        tx.commit().await.unwrap();
        fair.charge(&heads[at]);
        let done = format!(
            "UPDATE job SET state = 'sent' WHERE job_id = '{}'",
            job.job_id
        );
        testing::run(store, &done).await;
        placed.push(job.job_id);
    }
    placed
}

/// `count` faxes of one user, each to a number of its own.
async fn many(store: &Store, tenant: &str, user: &str, country: &str, count: usize) -> Vec<String> {
    let numbers: Vec<String> = (0..count).map(|n| format!("{country}{n:08}")).collect();
    let to = numbers.iter().map(String::as_str).collect();
    testing::submit(store, &Fax { tenant, user, to }).await.jobs
}

on_each_database! {
    async fn a_tenants_single_fax_goes_before_anothers_many(store) {
        let bulk = many(&store, "bulk", "u", "+331", 40).await;
        testing::all_become(&store, State::Ready).await;
        let mut fair = Fair::default();
        let first = calls(&store, &mut fair, &Takes::All, 5).await;
        assert_eq!(first, bulk[..5], "one after the other, as they came");
        let single = many(&store, "single", "u", "+332", 1).await;
        let colleague = many(&store, "bulk", "v", "+333", 2).await;
        testing::run(&store, "UPDATE job SET state = 'ready', pages_total = 2 WHERE state = 'queued'").await;
        let then = calls(&store, &mut fair, &Takes::All, 100).await;
        assert_eq!(then.len(), 38);
        assert!(then[..2].contains(&single[0]), "{then:?}");
        // Within the tenant its other user takes turns with the one of many.
        let places: Vec<_> = colleague.iter().map(|job| then.iter().position(|at| at == job).unwrap()).collect();
        assert!(places[0] < 3 && places[1] < 6, "{places:?}");
        let rest: Vec<_> = then.iter().filter(|job| bulk.contains(job)).collect();
        assert!(rest.is_sorted(), "and its own go as they came");
    }

    async fn renderers_take_turns_too(store) {
        many(&store, "bulk", "u", "+331", 1).await;
        many(&store, "bulk", "u", "+332", 1).await;
        let single = many(&store, "single", "u", "+333", 1).await;
        let mut fair = Fair::default();
        let mut order = Vec::new();
        while let heads = to_render(&store, now_ms()).await.unwrap() && let Some(at) = fair.next(&heads, 0, 0) {
            let jobs = claim::to_render(&store, "n/1", &heads[at]).await.unwrap();
            fair.charge(&heads[at]);
            order.push(jobs[0].job_id.clone());
        }
        assert_eq!(order.len(), 3);
        assert_eq!(order[1], single[0]);
    }

    async fn a_job_whose_only_trunk_is_full_keeps_its_place(store) {
        let abroad = many(&store, "t", "u", "+44", 2).await;
        let home = many(&store, "t", "u", "+33", 3).await;
        testing::all_become(&store, State::Ready).await;
        let mut fair = Fair::default();
        let home_only = Takes::of(&[trunk(&["+33"])]);
        assert_eq!(calls(&store, &mut fair, &home_only, 2).await, home[..2]);
        // Nothing was written of those that could not go.
        let untouched: i64 = sqlx::query_scalar(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM job WHERE state = 'ready' AND tries = 0 AND run_at = 0")
            .fetch_one(store.reader()).await.unwrap();
        assert_eq!(untouched, 3);
        let rest = calls(&store, &mut fair, &Takes::All, 9).await;
        assert_eq!(rest, [abroad[0].clone(), abroad[1].clone(), home[2].clone()]);
        assert_eq!(calls(&store, &mut fair, &Takes::of(&[]), 9).await, Vec::<String>::new());
    }

    async fn a_job_that_is_not_due_or_whose_number_is_on_the_line_lets_the_next_one_go(store) {
        let jobs = many(&store, "t", "u", "+33", 3).await;
        testing::all_become(&store, State::Waiting).await;
        let later = now_ms() + 3_600_000;
        testing::run(&store, &format!("UPDATE job SET run_at = {later} WHERE job_id = '{}'", jobs[0])).await;
        let number = "SELECT destination FROM job WHERE job_id";
        many(&store, "other", "u", "+33", 1).await;
        let busy = format!(
            "UPDATE job SET state = 'sending', destination = ({number} = '{}') WHERE tenant_id = 'other'", jobs[1]);
        testing::run(&store, &busy).await;
        let heads = to_dial(&store, now_ms(), &Takes::All).await.unwrap();
        let found: Vec<_> = heads.iter().map(|head| &head.job_id).collect();
        assert_eq!(found, [&jobs[2]]);
        let due = claim::next_due(&store).await.unwrap();
        assert_eq!(due, Some(later));
    }

    async fn an_urgent_fax_overtakes_its_users_own_that_came_shortly_before(store) {
        let jobs = many(&store, "t", "u", "+33", 2).await;
        let mut tx = store.begin().await.unwrap();
        for (job, priority) in jobs.iter().zip([5, 0]) {
            crate::queue::jobs::prioritise(&mut tx, "t", job, State::Queued, priority, AGE).await.unwrap();
        }
        tx.commit().await.unwrap();
        testing::all_become(&store, State::Ready).await;
        assert_eq!(to_dial(&store, now_ms(), &Takes::All).await.unwrap()[0].job_id, jobs[1]);
        // An hour later than the other it no longer does.
        testing::run(&store, &format!(
            "UPDATE job SET accepted_at = accepted_at - {0}, place = place - {0} WHERE job_id = '{1}'",
            6 * AGE, jobs[0])).await;
        assert_eq!(to_dial(&store, now_ms(), &Takes::All).await.unwrap()[0].job_id, jobs[0]);
    }

    async fn thousands_that_wait_are_not_looked_through(store) {
        for user in ["u", "v", "w"] {
            many(&store, "t", user, "+33", 1500).await;
        }
        testing::all_become(&store, State::Ready).await;
        testing::run(&store, "UPDATE job SET state = 'sent' WHERE user_id = 'w'").await;
        let (text, prefixes) = to_dial_sql(store.kind(), &Takes::of(&[trunk(&["+33", "+49"])]));
        let (explain, column) = match store.kind() {
            Kind::Sqlite => ("EXPLAIN QUERY PLAN", "detail"),
            Kind::Postgres => ("EXPLAIN", "QUERY PLAN"),
        };
        testing::run(&store, "ANALYZE job").await;
        let mut query = sqlx::query(sqlx::AssertSqlSafe(format!("{explain} {text}"))).bind(now_ms());
        for prefix in prefixes {
            query = query.bind(prefix);
        }
        let rows = query.fetch_all(store.reader()).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.try_get(column).unwrap()).collect();
        let plan = plan.join("\n");
        assert!(plan.contains("job_to_dial"), "{plan}");
        for scan in ["SCAN job", "SCAN next", "Seq Scan on job", "USE TEMP B-TREE FOR ORDER BY"] {
            assert!(!plan.contains(scan), "{plan}");
        }
        assert_eq!(to_dial(&store, now_ms(), &Takes::All).await.unwrap().len(), 2);
    }
}
