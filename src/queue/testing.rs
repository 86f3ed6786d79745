//! Jobs for the queue's own tests.

use super::{NewJob, State, enqueue_all};
use crate::{
    clock::now_ms,
    ledger::{self, NewHold, Tariffs},
    store::{Store, new_id},
};

/// A mail to fax.
pub struct Fax<'a> {
    pub tenant: &'a str,
    pub user: &'a str,
    pub to: Vec<&'a str>,
}

impl Default for Fax<'_> {
    fn default() -> Self {
        Self {
            tenant: "t",
            user: "u",
            to: vec!["+33123456789"],
        }
    }
}

/// What came of it.
pub struct Made {
    pub submission_id: String,
    pub jobs: Vec<String>,
}

/// Queues a mail, without its message.
pub async fn submit(store: &Store, fax: &Fax<'_>) -> Made {
    let submission_id = new_id();
    let mut tx = store.begin().await.unwrap();
    sqlx::query(
        "INSERT INTO submission (submission_id, tenant_id, user_id, door, proof, reverse_path, subject,
                                 digest, custody_id, report_to, accepted_at)
         VALUES ($1, $2, $3, 'smtp', 'password', '', '', $4, 'c', 'a@b', 1)",
    )
    .bind(&submission_id)
    .bind(fax.tenant)
    .bind(fax.user)
    .bind(vec![0_u8; 32])
    .execute(tx.conn())
    .await
    .unwrap();
    let job = |to: &&str| NewJob {
        job_id: new_id(),
        tenant_id: fax.tenant.into(),
        submission_id: submission_id.clone(),
        user_id: fax.user.into(),
        group_id: "g".into(),
        destination: (*to).to_owned(),
        sub_address: None,
        password: false,
        recipient: format!("{to}@x"),
        to_name: None,
        notify: None,
        orcpt: None,
        options: crate::options::Options::default(),
        deadline: now_ms() + 3_600_000,
        run_at: 0,
    };
    let jobs: Vec<NewJob> = fax.to.iter().map(job).collect();
    enqueue_all(&mut tx, &jobs).await.unwrap();
    let tariffs: Tariffs =
        toml::from_str("held_pages = 10\n[[tariff]]\nname = 'all'\nprefix = ''\npage_price = 1500")
            .unwrap();
    let hold = |job: &NewJob| {
        let tariff = tariffs.of(&job.destination);
        NewHold::of(tariff, 10, &job.tenant_id, "g", &job.user_id, &job.job_id)
    };
    let holds: Vec<NewHold> = jobs.iter().map(hold).collect();
    ledger::hold_all(&mut tx, &holds).await.unwrap();
    tx.commit().await.unwrap();
    Made {
        submission_id,
        jobs: jobs.into_iter().map(|job| job.job_id).collect(),
    }
}

/// Runs a statement; gives how many rows it changed.
pub async fn run(store: &Store, sql: &str) -> u64 {
    let mut tx = store.begin().await.unwrap();
    let done = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(tx.conn())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    done.rows_affected()
}

/// Every job is put into a state, with two pages.
pub async fn all_become(store: &Store, state: State) {
    run(
        store,
        &format!("UPDATE job SET state = '{state}', pages_total = 2"),
    )
    .await;
}

/// Sets a column of every job.
pub async fn set(store: &Store, column: &str, value: i64) {
    run(store, &format!("UPDATE job SET {column} = {value}")).await;
}

/// Where a job is.
pub async fn state(store: &Store, job_id: &str) -> State {
    let name: String = sqlx::query_scalar("SELECT state FROM job WHERE job_id = $1")
        .bind(job_id)
        .fetch_one(store.reader())
        .await
        .unwrap();
    name.parse().unwrap()
}
