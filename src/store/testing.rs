//! The same tests over both databases.
//!
//! [`on_each_database!`] writes a test `…::on_sqlite` for each scenario, and with the feature
//! `interop` also `…::on_postgres`, which needs `FAXPOST_TEST_POSTGRES` to name a server that the
//! tests may make schemas in, and fails without it.

use super::Store;

/// Tests that are given a fresh, migrated `Store` on each database.
///
/// ```ignore
/// on_each_database! {
///     async fn a_row_is_kept(store) { … }
/// }
/// ```
macro_rules! on_each_database {
    ($(async fn $name:ident($store:ident) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn scenario($store: $crate::store::Store) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn on_sqlite() {
                let dir = tempfile::tempdir().unwrap();
                scenario($crate::store::testing::sqlite(dir.path()).await).await;
            }

            #[cfg(feature = "interop")]
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn on_postgres() {
                scenario($crate::store::testing::postgres().await).await;
            }
        }
    )*};
}
pub(crate) use on_each_database;

/// A fresh SQLite database in `dir`.
pub async fn sqlite(dir: &std::path::Path) -> Store {
    let url = format!("sqlite://{}", dir.join("faxpost.db").display());
    Store::open(&url).await.unwrap()
}

/// A fresh schema on the server that `FAXPOST_TEST_POSTGRES` names. It stays: the server is private.
#[cfg(feature = "interop")]
pub async fn postgres() -> Store {
    use sqlx::{Connection as _, Executor as _};

    let server = std::env::var("FAXPOST_TEST_POSTGRES")
        .expect("FAXPOST_TEST_POSTGRES names a private PostgreSQL server");
    let schema = format!("t_{}", super::new_id().to_lowercase());
    let mut conn = sqlx::PgConnection::connect(&server).await.unwrap();
    conn.execute(sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}")))
        .await
        .unwrap();
    let mark = if server.contains('?') { '&' } else { '?' };
    Store::open(&format!("{server}{mark}options[search_path]={schema}"))
        .await
        .unwrap()
}
