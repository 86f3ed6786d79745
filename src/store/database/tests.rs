use super::super::testing::on_each_database;
use super::super::{Cell, Insert, new_id};
use super::*;

static TENANT: Insert = Insert::new(
    "INSERT INTO tenant (tenant_id, name, language, time_zone, created_at)",
    5,
);

fn tenant(name: String) -> Vec<Cell> {
    vec![
        new_id().into(),
        name.into(),
        "en".into(),
        "UTC".into(),
        1.into(),
    ]
}

async fn count(store: &Store) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM tenant")
        .fetch_one(store.reader())
        .await
        .unwrap()
}

async fn add_one(store: &Store, order: [&'static str; 2]) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    for name in order {
        sqlx::query("UPDATE tenant SET created_at = created_at + 1 WHERE name = $1")
            .bind(name)
            .execute(tx.conn())
            .await?;
    }
    tx.commit().await
}

on_each_database! {
    async fn committed_rows_stay_and_dropped_ones_do_not(store) {
        let mut tx = store.begin().await.unwrap();
        TENANT.rows(&mut tx, (0..77).map(|n| tenant(format!("a{n}"))).collect()).await.unwrap();
        assert_eq!(count(&store).await, 0, "others don't see it before the commit");
        tx.commit().await.unwrap();
        assert_eq!(count(&store).await, 77);
        let mut tx = store.begin().await.unwrap();
        TENANT.rows(&mut tx, vec![tenant("b".into())]).await.unwrap();
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        TENANT.rows(&mut tx, vec![tenant("c".into())]).await.unwrap();
        tx.roll_back().await.unwrap();
        assert_eq!(count(&store).await, 77);
    }

    async fn of_many_writers_one_wins_a_name(store) {
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut tx = store.begin().await?;
                    // Reading first is what breaks deferred transactions on SQLite.
                    sqlx::query("SELECT name FROM tenant WHERE name = $1")
                        .bind("one")
                        .fetch_optional(tx.conn())
                        .await?;
                    TENANT.rows(&mut tx, vec![tenant("one".into())]).await?;
                    tx.commit().await
                })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(()) => won += 1,
                Err(error) => {
                    assert!(error.is_unique_violation(), "{error:?}");
                    assert_eq!(error.trouble(), crate::trouble::Trouble::Permanent);
                }
            }
        }
        assert_eq!((won, count(&store).await), (1, 1));
    }

    async fn conditional_updates_count_right_under_contention(store) {
        let mut tx = store.begin().await.unwrap();
        TENANT.rows(&mut tx, vec![tenant("n".into()), tenant("m".into())]).await.unwrap();
        tx.commit().await.unwrap();
        // Two rows in opposite orders: deadlocks on PostgreSQL, which trying again must cure.
        let tasks: Vec<_> = (0..6)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move {
                    let order = if n % 2 == 0 { ["n", "m"] } else { ["m", "n"] };
                    let mut tries = Tries::default();
                    loop {
                        match add_one(&store, order).await {
                            Err(error) if tries.again(&error).await => {}
                            done => return done,
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let sum: i64 = sqlx::query_scalar("SELECT CAST(SUM(created_at) AS BIGINT) FROM tenant")
            .fetch_one(store.reader())
            .await
            .unwrap();
        assert_eq!(sum, 14);
    }

    async fn a_wake_up_is_heard_once_and_never_lost(store) {
        let mut queue = store.listen(Topic::Queue);
        let mut inbox = store.listen(Topic::Inbox);
        store.wake(Topic::Queue);
        store.wake(Topic::Queue);
        queue.heard().await;
        assert!(tokio::time::timeout(std::time::Duration::ZERO, inbox.heard()).await.is_err());
        store.wake(Topic::Inbox);
        inbox.heard().await;
    }

    async fn nulls_keep_their_types(store) {
        let mut tx = store.begin().await.unwrap();
        static PROFILE: Insert = Insert::new(
            "INSERT INTO profile (profile_id, tenant_id, name, resolution, priority)", 5);
        let row = tenant("t".into());
        let Cell::Text(id) = row[0].clone() else { unreachable!() };
        TENANT.rows(&mut tx, vec![row]).await.unwrap();
        PROFILE.rows(&mut tx, vec![vec![
            new_id().into(), id.clone().into(), "Basic".into(), Cell::OptText(None), Cell::OptInt(None),
        ]]).await.unwrap();
        tx.commit().await.unwrap();
        let got: (Option<String>, Option<i64>) =
            sqlx::query_as("SELECT resolution, priority FROM profile WHERE tenant_id = $1")
                .bind(id).fetch_one(store.reader()).await.unwrap();
        assert_eq!(got, (None, None));
    }
}

#[cfg(feature = "interop")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_is_woken_on_postgres() {
    let store = super::super::testing::postgres().await;
    let other = super::super::testing::postgres().await;
    let mut listener = other.listen(Topic::Outbox);
    store.wake(Topic::Outbox);
    tokio::time::timeout(std::time::Duration::from_secs(20), listener.heard())
        .await
        .unwrap();
}

#[tokio::test]
async fn sqlite_is_durable_and_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let store = super::super::testing::sqlite(dir.path()).await;
    let mut tx = store.begin().await.unwrap();
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(tx.conn())
        .await
        .unwrap();
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous")
        .fetch_one(tx.conn())
        .await
        .unwrap();
    assert_eq!((mode.as_str(), synchronous), ("wal", 2));
    let refused = sqlx::query("DELETE FROM tenant")
        .execute(store.reader())
        .await;
    assert!(refused.is_err(), "readers can't write");
    let file = std::fs::metadata(dir.path().join("faxpost.db")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    drop(tx);
    store.close().await;
    // Opening what is there already changes nothing.
    super::super::testing::sqlite(dir.path()).await;
}

#[tokio::test]
async fn a_wrong_address_is_named_without_its_secrets() {
    let error = Store::open("mysql://root:secret@host/db")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("\"mysql\""));
    assert!(!error.to_string().contains("secret"));
}
