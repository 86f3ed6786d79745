//! Looks at a database without changing it: what [`Store::open`](super::Store::open) would find.

use std::{path::PathBuf, str::FromStr};

use sqlx::{
    AnyConnection, Connection as _, Row as _, any::AnyConnectOptions, migrate::Migrator,
    sqlite::SqliteConnectOptions,
};

use super::StoreError;

/// What is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A SQLite file that would be created.
    NoFile(PathBuf),
    /// Our tables, up to a migration: 0 when there are none yet.
    At {
        /// The last migration that was done.
        version: i64,
        /// The last that this program knows.
        latest: i64,
    },
    /// A migration that this program does not know, or knows otherwise.
    Foreign {
        /// Its number.
        version: i64,
    },
}

/// Looks at the database that `url` names.
///
/// # Errors
/// [`StoreError::Address`], or what the database says.
pub async fn look(url: &str) -> Result<Found, StoreError> {
    sqlx::any::install_default_drivers();
    if url.starts_with("sqlite:") {
        look_at_sqlite(url).await
    } else {
        let mut conn = AnyConnection::connect(url).await?;
        sqlx::query("SET default_transaction_read_only = on")
            .execute(&mut conn)
            .await?;
        let there: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
            .fetch_one(&mut conn)
            .await?;
        let found = versions(&mut conn, there, &super::database::POSTGRES).await;
        // It said what we wanted; how it goes is its own affair.
        let _ = conn.close().await;
        found
    }
}

fn address(error: sqlx::Error) -> StoreError {
    StoreError::Address(error.to_string())
}

fn file(url: &str) -> Result<PathBuf, StoreError> {
    let file = SqliteConnectOptions::from_str(url).map_err(address)?;
    Ok(file.get_filename().to_owned())
}

/// How a SQLite file is opened so that nothing changes beside it either.
pub(super) fn read_only(url: &str) -> Result<AnyConnectOptions, StoreError> {
    // A reader of a WAL database makes `-wal` and `-shm` where there are none, unless it is told that
    // nobody writes; and nobody does, or they would be there.
    let mut wal = file(url)?.into_os_string();
    wal.push("-wal");
    let how = if PathBuf::from(wal).exists() {
        "mode=ro"
    } else {
        "mode=ro&immutable=true"
    };
    let mark = if url.contains('?') { '&' } else { '?' };
    AnyConnectOptions::from_str(&format!("{url}{mark}{how}")).map_err(address)
}

async fn look_at_sqlite(url: &str) -> Result<Found, StoreError> {
    let path = file(url)?;
    if !path.exists() {
        return Ok(Found::NoFile(path));
    }
    let options = read_only(url)?;
    let mut conn = AnyConnection::connect_with(&options).await?;
    let there: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'",
    )
    .fetch_one(&mut conn)
    .await?;
    let found = versions(&mut conn, there == 1, &super::database::SQLITE).await;
    let _ = conn.close().await;
    found
}

async fn versions(
    conn: &mut AnyConnection,
    there: bool,
    known: &Migrator,
) -> Result<Found, StoreError> {
    let mut version = 0;
    if there {
        let rows = sqlx::query("SELECT version, checksum FROM _sqlx_migrations ORDER BY version")
            .fetch_all(conn)
            .await?;
        for row in rows {
            version = row.try_get("version")?;
            let checksum: Vec<u8> = row.try_get("checksum")?;
            let ours = known.iter().find(|ours| ours.version == version);
            if ours.is_none_or(|ours| *ours.checksum != *checksum) {
                return Ok(Found::Foreign { version });
            }
        }
    }
    let latest = known.iter().map(|ours| ours.version).max().unwrap_or(0);
    Ok(Found::At { version, latest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn a_file_is_looked_at_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("faxpost.db");
        let url = format!("sqlite://{}", path.display());
        assert_eq!(look(&url).await.unwrap(), Found::NoFile(path.clone()));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

        std::fs::write(&path, "").unwrap();
        let empty = look(&url).await.unwrap();
        assert!(
            matches!(empty, Found::At { version: 0, latest } if latest > 0),
            "{empty:?}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"");

        let store = Store::open(&url).await.unwrap();
        let Found::At { version, latest } = look(&url).await.unwrap() else {
            panic!("our own tables");
        };
        assert_eq!(version, latest);
        for (change, found) in [
            (
                "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1",
                Found::Foreign { version: 9999 },
            ),
            (
                "DELETE FROM _sqlx_migrations",
                Found::At { version: 0, latest },
            ),
        ] {
            let mut tx = store.begin().await.unwrap();
            sqlx::query(change).execute(tx.conn()).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(look(&url).await.unwrap(), found);
        }
        store.close().await;

        let before = std::fs::read(&path).unwrap();
        let names = || std::fs::read_dir(dir.path()).unwrap().count();
        let files = names();
        assert_eq!(look(&url).await.unwrap(), Found::At { version: 0, latest });
        assert!(std::fs::read(&path).unwrap() == before && names() == files);
    }

    #[cfg(feature = "interop")]
    #[tokio::test]
    async fn a_server_is_looked_at_and_nothing_is_made_on_postgres() {
        use sqlx::{Connection as _, Executor as _};
        let server = std::env::var("FAXPOST_TEST_POSTGRES").expect("a private server");
        let schema = format!("t_{}", crate::store::new_id().to_lowercase());
        let mut conn = sqlx::PgConnection::connect(&server).await.unwrap();
        let make = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
        conn.execute(make).await.unwrap();
        let mark = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{mark}options[search_path]={schema}");
        for _ in 0..2 {
            let found = look(&url).await.unwrap();
            assert!(matches!(found, Found::At { version: 0, .. }), "{found:?}");
        }
        let _store = Store::open(&url).await.unwrap();
        let found = look(&url).await.unwrap();
        assert!(
            matches!(found, Found::At { version, latest } if version == latest),
            "{found:?}"
        );
    }
}
