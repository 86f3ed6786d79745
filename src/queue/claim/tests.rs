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
}
