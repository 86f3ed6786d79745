//! The database: connections, transactions, migrations.
//!
//! SQLite: one connection writes, some read; WAL, `synchronous=FULL`; every write transaction is
//! `BEGIN IMMEDIATE`, because a deferred one that reads first gets SQLITE_BUSY whatever the timeout.
//! Durability assumes that the file system honours `fsync` and that nobody copies the file without
//! its `-wal`.
//!
//! PostgreSQL: READ COMMITTED. The rooms rely on unique indexes and on conditional updates, which
//! look at the newest row in READ COMMITTED; serialisable would add nothing but retries that each
//! caller must be ready for. Deadlocks remain possible, hence [`Tries`]. Durability
//! assumes `synchronous_commit = on`, which is set on each connection.

use std::{
    fs::OpenOptions, os::unix::fs::OpenOptionsExt as _, path::Path, str::FromStr, sync::Arc,
    time::Duration,
};

use sqlx::{
    Any, AnyConnection, AnyPool, ConnectOptions as _, Executor as _, Transaction,
    any::{AnyConnectOptions, AnyPoolOptions},
    migrate::Migrator,
    sqlite::SqliteConnectOptions,
};
use tokio::task::JoinHandle;

use super::{
    StoreError, end_process,
    error::{is_commit_unknown, is_failed_flush},
    wake::{Bells, Listener, Topic, hear_postgres},
};

/// Which database it is, for the few statements that differ: DDL, the claim, the wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One file, one machine.
    Sqlite,
    /// A server, any number of nodes.
    Postgres,
}

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    writer: AnyPool,
    reader: AnyPool,
    bells: Arc<Bells>,
    /// Hears other nodes; PostgreSQL only.
    hearing: Option<JoinHandle<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(task) = &self.hearing {
            task.abort();
        }
    }
}

/// Connections that read SQLite.
const SQLITE_READERS: u32 = 4;
/// Connections to PostgreSQL.
const POSTGRES_CONNECTIONS: u32 = 16;

/// What brings each database to this version's tables.
pub(super) static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
pub(super) static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

impl Store {
    /// Connects, creates the file if there is none (mode 0600), and migrates.
    ///
    /// `url` is `sqlite://path` or `postgres://…`.
    ///
    /// # Errors
    /// [`StoreError::Address`], [`StoreError::Migrate`], or what the database says.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        if url.starts_with("sqlite:") {
            Self::open_sqlite(url).await
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Self::open_postgres(url).await
        } else {
            let scheme = url.split(':').next().unwrap_or_default();
            Err(StoreError::Address(format!(
                "it must begin with sqlite:// or postgres://, not {scheme:?}"
            )))
        }
    }

    /// Connects to read alone: nothing is made, migrated or written. For a database that [`super::look()`] has found up
    /// to date.
    ///
    /// # Errors
    /// As of [`Store::open`].
    pub async fn open_to_look(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let (kind, options) = if url.starts_with("sqlite:") {
            (Kind::Sqlite, super::look::read_only(url)?)
        } else {
            (Kind::Postgres, options(url)?)
        };
        let pool = AnyPoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await?;
        Ok(Self(Arc::new(Inner {
            kind,
            writer: pool.clone(),
            reader: pool,
            bells: Arc::new(Bells::new()),
            hearing: None,
        })))
    }

    async fn open_sqlite(url: &str) -> Result<Self, StoreError> {
        let file = SqliteConnectOptions::from_str(url)
            .map_err(|error| StoreError::Address(error.to_string()))?;
        create_private(file.get_filename())?;
        let options = options(url)?;
        let writer = AnyPoolOptions::new()
            .max_connections(1)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(|conn, _| {
                Box::pin(async move {
                    conn.execute(
                        "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; \
                         PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
                    )
                    .await?;
                    Ok(())
                })
            })
            .connect_with(options.clone())
            .await?;
        SQLITE.run(&writer).await?;
        let reader = AnyPoolOptions::new()
            .max_connections(SQLITE_READERS)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(|conn, _| {
                Box::pin(async move {
                    conn.execute("PRAGMA busy_timeout = 10000; PRAGMA query_only = ON;")
                        .await?;
                    Ok(())
                })
            })
            .connect_with(options)
            .await?;
        Ok(Self(Arc::new(Inner {
            kind: Kind::Sqlite,
            writer,
            reader,
            bells: Arc::new(Bells::new()),
            hearing: None,
        })))
    }

    async fn open_postgres(url: &str) -> Result<Self, StoreError> {
        let pool = AnyPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .after_connect(|conn, _| {
                Box::pin(async move {
                    conn.execute("SET synchronous_commit = on").await?;
                    Ok(())
                })
            })
            .connect_with(options(url)?)
            .await?;
        POSTGRES.run(&pool).await?;
        let bells = Arc::new(Bells::new());
        let hearing = hear_postgres(url, bells.clone()).await?;
        Ok(Self(Arc::new(Inner {
            kind: Kind::Postgres,
            writer: pool.clone(),
            reader: pool,
            bells,
            hearing: Some(hearing),
        })))
    }

    /// Which database it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whether other machines may work on it too.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.kind() == Kind::Postgres
    }

    /// Begins a transaction that may write. On SQLite only one is open at a time: keep it short,
    /// and never wait for anything but the database in it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let inner = match self.0.kind {
            Kind::Sqlite => self.0.writer.begin_with("BEGIN IMMEDIATE").await?,
            Kind::Postgres => self.0.writer.begin().await?,
        };
        Ok(Tx {
            inner,
            kind: self.0.kind,
        })
    }

    /// Connections that read. On SQLite they can't write.
    #[must_use]
    pub fn reader(&self) -> &AnyPool {
        &self.0.reader
    }

    /// Tells all nodes that there is work. Call it after the commit.
    pub fn wake(&self, topic: Topic) {
        self.0.bells.ring(topic);
        if self.0.kind == Kind::Postgres {
            let pool = self.0.writer.clone();
            tokio::spawn(async move {
                // A lost wake-up costs others one round of their clock, not the work.
                if let Err(error) = pool.execute(topic.notify()).await {
                    tracing::debug!(%error, "other nodes were not woken");
                }
            });
        }
    }

    /// Listens to one topic from now on.
    #[must_use]
    pub fn listen(&self, topic: Topic) -> Listener {
        self.0.bells.listen(topic)
    }

    /// Closes all connections; for an orderly stop.
    pub async fn close(&self) {
        self.0.reader.close().await;
        self.0.writer.close().await;
    }
}

/// Counts the tries of a transaction that the database gave up for the sake of another: deadlocks on
/// PostgreSQL, a writer in another process on SQLite. The whole is to be done again, from
/// [`Store::begin`] on:
///
/// ```ignore
/// let mut tries = Tries::default();
/// loop {
///     match attempt(&store).await {
///         Err(error) if tries.again(&error).await => {}
///         done => return done,
///     }
/// }
/// ```
#[derive(Debug, Default)]
pub struct Tries(u32);

impl Tries {
    /// Whether `error` is a conflict that is worth another try: ten in all. It returns after a wait
    /// that grows and is drawn by lot, because those who collided once would meet again.
    pub async fn again(&mut self, error: &StoreError) -> bool {
        self.0 += 1;
        if self.0 >= 10 || !error.is_conflict() {
            return false;
        }
        let mut lot = [0; 1];
        // Without randomness the wait is the longest.
        let share = getrandom::fill(&mut lot).map_or(1.0, |()| f32::from(lot[0]) / 255.0);
        let longest = Duration::from_millis(4 << self.0);
        tokio::time::sleep(longest.mul_f32(share)).await;
        true
    }
}

fn options(url: &str) -> Result<AnyConnectOptions, StoreError> {
    Ok(AnyConnectOptions::from_str(url)
        .map_err(|error| StoreError::Address(error.to_string()))?
        .disable_statement_logging())
}

/// SQLite would create the file readable by all.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(
            StoreError::Address(format!("{} can't be made: {error}", path.display())),
        ),
        _ => Ok(()),
    }
}

/// A transaction that may write. Dropped without [`Tx::commit`], it leaves nothing.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Any>,
    kind: Kind,
}

impl Tx {
    /// The connection to run statements on.
    pub fn conn(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }

    /// Which database it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Commits: when it returns, what was written is flushed. A flush that fails ends the process.
    ///
    /// # Errors
    /// [`StoreError::CommitUnknown`] when the connection broke meanwhile; else nothing was committed.
    pub async fn commit(self) -> Result<(), StoreError> {
        let Err(error) = self.inner.commit().await else {
            return Ok(());
        };
        if self.kind == Kind::Sqlite
            && let sqlx::Error::Database(database) = &error
            && database.code().is_some_and(|code| is_failed_flush(&code))
        {
            end_process(&format!(
                "a commit could not be written or flushed ({database}); what the disk holds is not \
                 known, so a restart must read it. Look at the disk and the kernel's log first."
            ));
        }
        if is_commit_unknown(&error) {
            return Err(StoreError::CommitUnknown(error));
        }
        Err(error.into())
    }

    /// Gives all of it up, and waits until that is done. Dropping does the same later.
    ///
    /// # Errors
    /// What the database says.
    pub async fn roll_back(self) -> Result<(), StoreError> {
        Ok(self.inner.rollback().await?)
    }
}

#[cfg(test)]
mod tests;
