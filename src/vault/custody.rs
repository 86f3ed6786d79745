//! Custody: sealed items in the blobs, their rows in the table `custody`, and the end of both.
//!
//! An item is sealed, flushed, and then recorded in the transaction that needs it; one that is never
//! recorded (a crash between) is unreadable rubbish that goes with its day. [`Custody::sweep`] ends a
//! day as a whole, once it is over, its last item is done and the bounce window has passed: the rows
//! go, the key is shredded, the segments are deleted.

use std::{fmt, io, path::Path, str::FromStr, sync::Arc};

use sqlx::Row as _;
use thiserror::Error;
use zeroize::Zeroize as _;

use super::{Clear, Day, STANDING, Sealed, Vault, VaultError};
use crate::{
    clock::{Millis, now_ms},
    store::{
        Insert, Store, StoreError, Tx,
        blobs::{BlobError, Blobs, Place},
        new_id,
    },
    trouble::Trouble,
};

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A mail as it came.
    Message,
    /// The pages of a rendition.
    Rendition,
    /// The pages of a cover.
    Cover,
    /// A received page.
    Page,
    /// A mail that we wrote.
    Mail,
    /// A password of ours; kept with the standing key.
    Secret,
}

impl What {
    /// As the table has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Rendition => "rendition",
            Self::Cover => "cover",
            Self::Page => "page",
            Self::Mail => "mail",
            Self::Secret => "secret",
        }
    }
}

/// Something to keep. Its bytes are overwritten once they are sealed.
pub struct NewItem {
    /// Whose it is.
    pub tenant_id: String,
    /// What it is.
    pub what: What,
    /// The clear bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for NewItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewItem({:?}, {} octets)", self.what, self.bytes.len())
    }
}

/// Sealed, but nowhere yet.
#[derive(Debug)]
#[must_use]
pub struct SealedItem {
    custody_id: String,
    tenant_id: String,
    what: What,
    day: Day,
    sealed: Sealed,
}

impl SealedItem {
    /// The id that it will have.
    #[must_use]
    pub fn custody_id(&self) -> &str {
        &self.custody_id
    }
}

/// Sealed and flushed; to be recorded with [`Custody::record`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct KeptItem {
    /// Its id in the table.
    pub custody_id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// What it is.
    pub what: What,
    /// Whose transit key seals it.
    pub day: Day,
    /// Where the sealed bytes lie.
    pub place: Place,
    /// Octets, sealed.
    pub size: u64,
    /// When.
    pub created_at: Millis,
}

/// What can go wrong with custody.
#[derive(Debug, Error)]
pub enum CustodyError {
    /// No such item, or its day is over.
    #[error("there is no item {0} in custody")]
    Missing(String),
    /// Sealing or opening.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The blobs.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder of blobs.
    #[error("the custody folder: {0}")]
    Folder(#[from] io::Error),
}

impl CustodyError {
    /// Whether trying again can help.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Missing(_) => Trouble::Permanent,
            Self::Vault(error) => error.trouble(),
            Self::Blob(error) => error.trouble(),
            Self::Store(error) => error.trouble(),
            Self::Folder(_) => Trouble::Temporary,
        }
    }
}

/// What a sweep ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Days whose keys were destroyed.
    pub days: Vec<Day>,
    /// Segments deleted.
    pub segments: usize,
}

const HOUR: Millis = 3_600_000;
const DAY: Millis = 24 * HOUR;
/// How long after delivery a bounce may still ask for the item: mail servers try for five days (RFC 5321 §4.5.4.1).
const BOUNCE_WINDOW: Millis = 7 * DAY;
/// What was sealed just before midnight is recorded within this time, or never.
const IN_FLIGHT: Millis = HOUR;
/// Octets from which sealing (0.6 µs a KB) moves off the async threads.
const LARGE: usize = 256 * 1024;

/// Custody. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Custody {
    vault: Arc<Vault>,
    blobs: Blobs,
    bounce_window: Millis,
}

impl Custody {
    /// Starts on both folders, and makes them (mode 0700) if there are none.
    ///
    /// # Errors
    /// When a folder can't be made or read.
    pub fn start(custody_dir: &Path, keys_dir: &Path) -> Result<Self, CustodyError> {
        Ok(Self::new(Vault::open(keys_dir)?, Blobs::open(custody_dir)?))
    }

    /// Custody on a vault and blobs that are open already.
    #[must_use]
    pub fn new(vault: Vault, blobs: Blobs) -> Self {
        Self {
            vault: Arc::new(vault),
            blobs,
            bounce_window: BOUNCE_WINDOW,
        }
    }

    /// The vault that seals what is kept here.
    #[must_use]
    pub fn vault(&self) -> Arc<Vault> {
        self.vault.clone()
    }

    /// Another bounce window than seven days.
    #[must_use]
    pub fn with_bounce_window(mut self, window: Millis) -> Self {
        self.bounce_window = window;
        self
    }

    /// Seals an item; nothing is kept yet.
    ///
    /// # Errors
    /// [`CustodyError::Vault`].
    pub async fn seal(&self, item: NewItem) -> Result<SealedItem, CustodyError> {
        if item.bytes.len() < LARGE {
            return self.seal_now(item);
        }
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.seal_now(item))
            .await
            .map_err(io::Error::other)?
    }

    fn seal_now(&self, mut item: NewItem) -> Result<SealedItem, CustodyError> {
        let day = match item.what {
            What::Secret => STANDING,
            _ => day_of(now_ms()),
        };
        let custody_id = new_id();
        let sealed = self
            .vault
            .seal(&custody_id, &item.tenant_id, day, &item.bytes)?;
        item.bytes.zeroize();
        Ok(SealedItem {
            custody_id,
            tenant_id: item.tenant_id,
            what: item.what,
            day,
            sealed,
        })
    }

    /// Writes and flushes sealed items; returns them in order. All or none of each day are kept.
    ///
    /// # Errors
    /// [`CustodyError::Blob`].
    pub async fn flush(&self, items: Vec<SealedItem>) -> Result<Vec<KeptItem>, CustodyError> {
        let mut kept = Vec::with_capacity(items.len());
        let mut items = items.into_iter().peekable();
        // A batch has one day, or two about midnight, in order; secrets come alone.
        while let Some(first) = items.next() {
            let day = first.day;
            let mut lot = vec![first];
            while let Some(next) = items.next_if(|item| item.day == day) {
                lot.push(next);
            }
            let (rows, blobs): (Vec<_>, Vec<_>) = lot
                .into_iter()
                .map(|item| {
                    let size = item.sealed.size() as u64;
                    let row = (item.custody_id, item.tenant_id, item.what, size);
                    (row, item.sealed.into_bytes())
                })
                .unzip();
            let places = self.blobs.append(day, blobs).await?;
            let created_at = now_ms();
            kept.extend(rows.into_iter().zip(places).map(
                |((custody_id, tenant_id, what, size), place)| KeptItem {
                    custody_id,
                    tenant_id,
                    what,
                    day,
                    place,
                    size,
                    created_at,
                },
            ));
        }
        Ok(kept)
    }

    /// Seals and flushes items; returns them in order, to be recorded.
    ///
    /// # Errors
    /// [`CustodyError::Vault`], [`CustodyError::Blob`].
    pub async fn keep(&self, items: Vec<NewItem>) -> Result<Vec<KeptItem>, CustodyError> {
        let mut sealed = Vec::with_capacity(items.len());
        for item in items {
            sealed.push(self.seal(item).await?);
        }
        self.flush(sealed).await
    }

    /// Seals and flushes one item, to be recorded.
    ///
    /// # Errors
    /// [`CustodyError::Vault`], [`CustodyError::Blob`].
    pub async fn keep_one(&self, item: NewItem) -> Result<KeptItem, CustodyError> {
        let kept = self.keep(vec![item]).await?.pop();
        kept.ok_or_else(|| io::Error::other("an item was kept nowhere").into())
    }

    /// Records a kept item.
    ///
    /// # Errors
    /// What the database says.
    pub async fn record(&self, tx: &mut Tx, item: &KeptItem) -> Result<(), StoreError> {
        self.record_all(tx, &[item]).await
    }

    /// Records many kept items.
    ///
    /// # Errors
    /// What the database says.
    pub async fn record_all(&self, tx: &mut Tx, items: &[&KeptItem]) -> Result<(), StoreError> {
        static ROWS: Insert = Insert::new(
            "INSERT INTO custody (custody_id, tenant_id, what, day, place, size, created_at)",
            7,
        );
        let rows = items.iter().map(|item| {
            vec![
                item.custody_id.as_str().into(),
                item.tenant_id.as_str().into(),
                item.what.name().into(),
                i64::from(item.day).into(),
                item.place.to_string().into(),
                i64::try_from(item.size).unwrap_or(i64::MAX).into(),
                item.created_at.into(),
            ]
        });
        ROWS.rows(tx, rows.collect()).await
    }

    /// Opens a recorded item.
    ///
    /// # Errors
    /// [`CustodyError::Missing`] and what reading and opening say.
    pub async fn open(
        &self,
        store: &Store,
        tenant_id: &str,
        custody_id: &str,
    ) -> Result<Clear, CustodyError> {
        let row = sqlx::query("SELECT place FROM custody WHERE tenant_id = $1 AND custody_id = $2")
            .bind(tenant_id)
            .bind(custody_id)
            .fetch_optional(store.reader())
            .await
            .map_err(StoreError::from)?
            .ok_or_else(|| CustodyError::Missing(custody_id.to_owned()))?;
        let place: String = row.try_get(0).map_err(StoreError::from)?;
        let place = Place::from_str(&place).map_err(|_| StoreError::Unknown {
            table: "custody",
            column: "place",
            value: place,
        })?;
        let sealed = Sealed::from_stored(self.blobs.read(&place).await?)?;
        if sealed.size() < LARGE {
            return Ok(self.vault.unseal(custody_id, tenant_id, &sealed)?);
        }
        let (vault, tenant_id, custody_id) = (
            self.vault.clone(),
            tenant_id.to_owned(),
            custody_id.to_owned(),
        );
        let opened =
            tokio::task::spawn_blocking(move || vault.unseal(&custody_id, &tenant_id, &sealed));
        Ok(opened.await.map_err(io::Error::other)??)
    }

    /// Marks an item as done: nothing but a bounce will ask for it. False when it was, or is unknown.
    ///
    /// # Errors
    /// What the database says.
    pub async fn done(
        &self,
        tx: &mut Tx,
        tenant_id: &str,
        custody_id: &str,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE custody SET done_at = $1
             WHERE tenant_id = $2 AND custody_id = $3 AND done_at IS NULL",
        )
        .bind(now_ms())
        .bind(tenant_id)
        .bind(custody_id)
        .execute(tx.conn())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes an item back that was done, because a bounce asks for it. False when its day is over.
    ///
    /// # Errors
    /// What the database says.
    pub async fn reopen(
        &self,
        tx: &mut Tx,
        tenant_id: &str,
        custody_id: &str,
    ) -> Result<bool, StoreError> {
        let reopened = sqlx::query(
            "UPDATE custody SET done_at = NULL WHERE tenant_id = $1 AND custody_id = $2",
        )
        .bind(tenant_id)
        .bind(custody_id)
        .execute(tx.conn())
        .await?;
        Ok(reopened.rows_affected() == 1)
    }

    /// Octets that are free for blobs.
    ///
    /// # Errors
    /// What the system says.
    pub fn free_space(&self) -> io::Result<u64> {
        self.blobs.free_space()
    }

    /// Ends the days that are over, done and past the bounce window.
    ///
    /// # Errors
    /// The first failure; what was ended until then stays ended, and a later sweep goes on.
    pub async fn sweep(&self, store: &Store) -> Result<Swept, CustodyError> {
        self.sweep_at(store, now_ms()).await
    }

    /// As [`Custody::sweep`], as if it were `now`.
    ///
    /// # Errors
    /// As [`Custody::sweep`].
    pub async fn sweep_at(&self, store: &Store, now: Millis) -> Result<Swept, CustodyError> {
        let mut days = self.vault.days()?;
        days.extend(self.blobs.days()?);
        days.sort_unstable();
        days.dedup();
        let mut swept = Swept::default();
        for day in days {
            let end = (Millis::from(day) + 1) * DAY;
            if day == STANDING || now < end + IN_FLIGHT {
                continue;
            }
            if !self.forget(store, day, now).await? {
                continue;
            }
            // The rows are gone first: after a crash here the day has none and is ended next time.
            if self.vault.destroy(day)? {
                swept.days.push(day);
            }
            swept.segments += self.blobs.delete_segments(day).await?;
        }
        Ok(swept)
    }

    /// Deletes the rows of a day if all are done and past the window; false if the day must stay.
    /// The one place that looks at all tenants: a day has one key for all of them.
    async fn forget(&self, store: &Store, day: Day, now: Millis) -> Result<bool, StoreError> {
        let mut tx = store.begin().await?;
        let row = sqlx::query(
            "SELECT CAST(COUNT(*) AS BIGINT), CAST(COUNT(done_at) AS BIGINT),
                    CAST(MAX(done_at) AS BIGINT)
             FROM custody WHERE day = $1",
        )
        .bind(i64::from(day))
        .fetch_one(tx.conn())
        .await?;
        let (all, done): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let last: Option<Millis> = row.try_get(2)?;
        if done < all || last.is_some_and(|last| now < last + self.bounce_window) {
            return Ok(false);
        }
        sqlx::query("DELETE FROM custody WHERE day = $1 AND done_at IS NOT NULL")
            .bind(i64::from(day))
            .execute(tx.conn())
            .await?;
        // A bounce may have taken an item back meanwhile: its key must stay.
        let left: i64 =
            sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM custody WHERE day = $1")
                .bind(i64::from(day))
                .fetch_one(tx.conn())
                .await?;
        if left > 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }
}

fn day_of(at: Millis) -> Day {
    // Day 0 is the standing key's; a clock before 1970 seals with day 1.
    Day::try_from(at / DAY).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests;
