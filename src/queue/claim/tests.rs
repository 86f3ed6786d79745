use super::*;
use crate::{
    queue::{
        heads, moves,
        testing::{self, Fax},
    },
    store::testing::on_each_database,
};

async fn take(store: &Store, owner: &str) -> Vec<Job> {
    let heads = heads::to_render(store, now_ms()).await.unwrap();
    to_render(store, owner, &heads[0]).await.unwrap()
}

/// A job that the owner `a/1` renders, as two readers see it.
async fn rendering(store: &Store) -> Job {
    testing::submit(store, &Fax::default()).await;
    take(store, "a/1").await.remove(0)
}

async fn unchanged(store: &Store, job: &Job) -> bool {
    let mut tx = store.begin().await.unwrap();
    let same = is_unchanged(&mut tx, job).await.unwrap();
    tx.roll_back().await.unwrap();
    same
}

on_each_database! {
    async fn a_job_that_was_renewed_or_moved_is_not_taken_back(store) {
        let job = rendering(&store).await;
        assert!(unchanged(&store, &job).await);
        assert!(unchanged(&store, &job).await, "looking changes nothing");
        let mut another = job.clone();
        another.lease_owner = Some("a/2".into());
        assert!(!unchanged(&store, &another).await, "another start has it");
        another.lease_owner = None;
        assert!(!unchanged(&store, &another).await);

        // Renewed in the millisecond after it was read.
        let mut older = job.clone();
        older.lease_until = older.lease_until.map(|until| until - 1);
        assert!(!unchanged(&store, &older).await);

        let mut tx = store.begin().await.unwrap();
        assert!(is_unchanged(&mut tx, &job).await.unwrap());
        moves::advance(&mut tx, &job.tenant_id, &job.job_id, State::Rendering, State::Queued).await.unwrap();
        tx.commit().await.unwrap();
        assert!(!unchanged(&store, &job).await, "it was moved on");
        // What is claimed anew, by whomever, is another lease.
        take(&store, "b/1").await;
        assert!(!unchanged(&store, &job).await);
    }

    async fn of_two_watchdogs_one_takes_a_job_back(store) {
        let job = rendering(&store).await;
        let once = async || {
            let mut tx = store.begin().await.unwrap();
            if !is_unchanged(&mut tx, &job).await.unwrap() {
                return 0;
            }
            moves::advance(&mut tx, &job.tenant_id, &job.job_id, State::Rendering, State::Queued).await.unwrap();
            tx.commit().await.unwrap();
            1
        };
        let taken = tokio::join!(once(), once(), once(), once());
        assert_eq!(taken.0 + taken.1 + taken.2 + taken.3, 1);
    }

    async fn a_lease_is_void_with_its_node_and_no_other(store) {
        let job = rendering(&store).await;
        let of = async |node: &str, owner: &str| abandoned(&store, node, owner).await.unwrap().len();
        assert_eq!(of("a", "a/1").await, 0, "it is ours");
        assert_eq!(of("a", "a/2").await, 1, "we were started anew");
        let other = if store.is_shared() { 0 } else { 1 };
        assert_eq!(of("b", "b/1").await, other, "another node's, where there can be one");
        assert_eq!(job.lease_owner.as_deref(), Some("a/1"));
    }

    async fn of_many_renderers_one_has_all_jobs_of_a_submission(store) {
        let numbers: Vec<String> = (0..20).map(|n| format!("+3310000{n:04}")).collect();
        for _ in 0..3 {
            let fax = Fax { to: numbers.iter().map(String::as_str).collect(), ..Fax::default() };
            let made = testing::submit(&store, &fax).await;
            let heads = heads::to_render(&store, now_ms()).await.unwrap();
            let head = heads.iter().find(|head| head.submission_id == made.submission_id).unwrap();
            let claim = || to_render(&store, "a/1", head);
            let taken = tokio::join!(claim(), claim(), claim(), claim());
            let taken = [taken.0.unwrap(), taken.1.unwrap(), taken.2.unwrap(), taken.3.unwrap()];
            let mut counts = taken.map(|jobs| jobs.len());
            counts.sort_unstable();
            assert_eq!(counts, [0, 0, 0, 20]);
        }
    }

    async fn one_call_at_a_time_goes_to_one_destination(store) {
        for _ in 0..5 {
            testing::submit(&store, &Fax { user: &crate::store::new_id(), ..Fax::default() }).await;
        }
        testing::all_become(&store, State::Ready).await;
        let heads = heads::to_dial(&store, now_ms(), &heads::Takes::All).await.unwrap();
        assert_eq!(heads.len(), 5, "five users, one number");
        // Each commits, as nodes that see nothing of each other until then.
        let claim = async |head: &Head| {
            let Some((tx, _)) = to_dial(&store, "a/1", head).await.unwrap() else { return 0 };
            tx.commit().await.unwrap();
            1
        };
        let taken = tokio::join!(claim(&heads[0]), claim(&heads[1]), claim(&heads[2]), claim(&heads[3]));
        assert_eq!(taken.0 + taken.1 + taken.2 + taken.3, 1);
        let left = heads::to_dial(&store, now_ms(), &heads::Takes::All).await.unwrap();
        assert!(left.is_empty(), "its number is on the line");
    }

    async fn a_job_that_was_called_off_or_is_not_due_is_not_called(store) {
        testing::submit(&store, &Fax::default()).await;
        testing::all_become(&store, State::Waiting).await;
        let heads = heads::to_dial(&store, now_ms(), &heads::Takes::All).await.unwrap();
        for column in ["cancelled_at", "run_at", "opens_at"] {
            testing::set(&store, column, i64::MAX).await;
            assert!(to_dial(&store, "a/1", &heads[0]).await.unwrap().is_none(), "{column}");
            testing::set(&store, column, 0).await;
            testing::run(&store, "UPDATE job SET cancelled_at = NULL").await;
        }
        assert!(to_dial(&store, "a/1", &heads[0]).await.unwrap().is_some());
    }

    async fn faxes_that_are_alike_share_the_call_of_the_first_and_the_number_stands_once(store) {
        let mut made = Vec::new();
        for _ in 0..4 {
            made.extend(testing::submit(&store, &Fax::default()).await.jobs);
        }
        let others = testing::submit(&store, &Fax { user: "v", ..Fax::default() }).await.jobs;
        testing::submit(&store, &Fax { to: vec!["+4930123456"], ..Fax::default() }).await;
        testing::all_become(&store, State::Ready).await;
        let only = async |column: &str, job: &str| {
            testing::run(&store, &format!("UPDATE job SET {column} WHERE job_id = '{job}'")).await;
        };
        // One is for somebody else behind the number, one has a cover, one is not due yet.
        let heads = heads::to_dial(&store, now_ms(), &heads::Takes::All).await.unwrap();
        let head = heads.iter().find(|head| head.job_id == made[0]).unwrap();
        let alike = async || {
            let lead = by_id(&store, "t", &made[0]).await.unwrap();
            let jobs = alike(&store, &lead, 10).await.unwrap();
            jobs.into_iter().map(|job| job.job_id).collect::<Vec<_>>()
        };
        assert_eq!(alike().await, made[1..], "in their order");
        only("sub_address = '7'", &made[1]).await;
        only("cover_custody_id = 'c'", &made[2]).await;
        assert_eq!(alike().await, made[3..]);
        only("run_at = 9000000000000", &made[3]).await;
        assert!(alike().await.is_empty());
        for (column, job) in [("sub_address = NULL", 1), ("cover_custody_id = NULL", 2), ("run_at = 0", 3)] {
            only(column, &made[job]).await;
        }

        // All are taken with the first, or none.
        let along = {
            let lead = by_id(&store, "t", &made[0]).await.unwrap();
            super::alike(&store, &lead, 2).await.unwrap()
        };
        let (mut tx, lead) = to_dial(&store, "a/1", head).await.unwrap().unwrap();
        let taken = to_carry(&mut tx, "a/1", &lead, &along).await.unwrap();
        assert_eq!(taken.iter().map(|job| job.tries).collect::<Vec<_>>(), [1, 1]);
        tx.roll_back().await.unwrap();
        assert_eq!(testing::state(&store, &made[1]).await, State::Ready);
        let (mut tx, lead) = to_dial(&store, "a/1", head).await.unwrap().unwrap();
        let taken = to_carry(&mut tx, "a/1", &lead, &along).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(taken.len(), 2);
        for job in &made[..3] {
            assert_eq!(testing::state(&store, job).await, State::Dialling);
        }
        // Nobody else's call goes to that number, and what is taken is not taken again.
        let left = heads::to_dial(&store, now_ms(), &heads::Takes::All).await.unwrap();
        assert_eq!(left.len(), 1, "the other number's");
        let other = Head { job_id: others[0].clone(), user_id: "v".into(), ..head.clone() };
        assert!(to_dial(&store, "b/1", &other).await.unwrap().is_none());
        let mut tx = store.begin().await.unwrap();
        assert!(to_carry(&mut tx, "b/1", &lead, &along).await.unwrap().is_empty());
        tx.roll_back().await.unwrap();
        // It waits as long as pages may be on their way, and is free of the first when it leaves the call.
        let late = format!("UPDATE job SET state = 'dialling' WHERE job_id = '{}' AND deadline > {}", made[1],
                           now_ms() + 3 * 3_600_000);
        assert_eq!(testing::run(&store, &late).await, 1);
        let mut tx = store.begin().await.unwrap();
        moves::advance(&mut tx, "t", &made[1], State::Dialling, State::Waiting).await.unwrap();
        tx.commit().await.unwrap();
        let free = format!("UPDATE job SET run_at = 0 WHERE job_id = '{}' AND carried_by IS NULL", made[1]);
        assert_eq!(testing::run(&store, &free).await, 1);
    }
}
