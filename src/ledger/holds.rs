//! Holds and their settling.

use sqlx::Row as _;

use super::Tariff;
use crate::{
    clock::now_ms,
    store::{Insert, StoreError, Tx, new_id},
};

/// Units to hold for a job.
#[derive(Clone, Debug)]
pub struct NewHold {
    /// Whose.
    pub tenant_id: String,
    /// Who pays.
    pub group_id: String,
    /// Who sends.
    pub user_id: String,
    /// For which job.
    pub job_id: String,
    /// The tariff's name.
    pub tariff: String,
    /// Thousandths of a unit for a confirmed page, as agreed now.
    pub page_price: i64,
    /// Thousandths of a unit held.
    pub units: i64,
}

impl NewHold {
    /// A hold for `pages` pages of a job at `tariff`.
    #[must_use]
    pub fn of(
        tariff: &Tariff,
        pages: u32,
        tenant_id: &str,
        group_id: &str,
        user_id: &str,
        job_id: &str,
    ) -> Self {
        Self {
            tenant_id: tenant_id.to_owned(),
            group_id: group_id.to_owned(),
            user_id: user_id.to_owned(),
            job_id: job_id.to_owned(),
            tariff: tariff.name.clone(),
            page_price: i64::from(tariff.page_price),
            // Both are 32 bits, so the product fits.
            units: i64::from(tariff.page_price) * i64::from(pages),
        }
    }
}

/// What settling found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Settlement {
    /// This call settled it: thousandths of a unit taken.
    Now(i64),
    /// It was settled before: thousandths of a unit taken then.
    Before(i64),
}

/// Holds units for a job.
///
/// # Errors
/// A unique violation when units are held for the job already.
pub async fn hold(tx: &mut Tx, hold: &NewHold) -> Result<(), StoreError> {
    hold_all(tx, std::slice::from_ref(hold)).await
}

/// Holds units for many jobs.
///
/// # Errors
/// A unique violation when units are held for one of the jobs already.
pub async fn hold_all(tx: &mut Tx, holds: &[NewHold]) -> Result<(), StoreError> {
    static ROWS: Insert = Insert::new(
        "INSERT INTO hold (hold_id, tenant_id, group_id, user_id, job_id, tariff, page_price, units,
                           held_at)",
        9,
    );
    let now = now_ms();
    let rows = holds.iter().map(|hold| {
        vec![
            new_id().into(),
            hold.tenant_id.as_str().into(),
            hold.group_id.as_str().into(),
            hold.user_id.as_str().into(),
            hold.job_id.as_str().into(),
            hold.tariff.as_str().into(),
            hold.page_price.into(),
            hold.units.into(),
            now.into(),
        ]
    });
    ROWS.rows(tx, rows.collect()).await
}

/// Settles a job by its confirmed pages, at the price agreed when it was accepted. Exactly once: a
/// second call changes nothing and says what the first took.
///
/// # Errors
/// [`StoreError::Missing`] when nothing was held for the job.
pub async fn settle(
    tx: &mut Tx,
    tenant_id: &str,
    job_id: &str,
    confirmed_pages: u32,
) -> Result<Settlement, StoreError> {
    // The condition makes it once: of two transactions the second sees the first's row and changes none.
    let now = sqlx::query(
        "UPDATE hold SET settled = page_price * $1, pages = $1, settled_at = $2
         WHERE tenant_id = $3 AND job_id = $4 AND settled IS NULL RETURNING settled",
    )
    .bind(i64::from(confirmed_pages))
    .bind(now_ms())
    .bind(tenant_id)
    .bind(job_id)
    .fetch_optional(tx.conn())
    .await?;
    if let Some(row) = now {
        return Ok(Settlement::Now(row.try_get(0)?));
    }
    let before: Option<i64> =
        sqlx::query_scalar("SELECT settled FROM hold WHERE tenant_id = $1 AND job_id = $2")
            .bind(tenant_id)
            .bind(job_id)
            .fetch_optional(tx.conn())
            .await?;
    before
        .map(Settlement::Before)
        .ok_or(StoreError::Missing("hold"))
}
