//! What a destination's fax machine takes, learned from calls that confirmed pages with less than everything.

use sqlx::Row;

use super::{attempt::Offer, claim::Job};
use crate::{
    clock::{Millis, now_ms},
    store::{Store, StoreError, Tx},
};

/// The offer that the first call of a fax to this number begins with; `None`: everything.
pub(super) async fn of(
    store: &Store,
    tenant_id: &str,
    destination: &str,
) -> Result<Option<Offer>, StoreError> {
    let row = sqlx::query(
        "SELECT t38, v17, ecm FROM destination_memory
         WHERE tenant_id = $1 AND destination = $2 AND expires_at > $3",
    )
    .bind(tenant_id)
    .bind(destination)
    .bind(now_ms())
    .fetch_optional(store.reader())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let is = |column| -> Result<bool, StoreError> { Ok(row.try_get::<i64, _>(column)? != 0) };
    Ok(Some(Offer {
        t38: is("t38")?,
        v17: is("v17")?,
        ecm: is("ecm")?,
    }))
}

/// Pages of the job were confirmed with this offer: remembered if it is less than everything.
///
/// What is known already keeps its day, however often it works: then everything is offered once again, as
/// the far end may have a better line or machine by now.
pub(super) async fn worked(
    tx: &mut Tx,
    job: &Job,
    offer: Offer,
    lasts: Millis,
) -> Result<(), StoreError> {
    if offer == Offer::FULL || lasts == 0 {
        return Ok(());
    }
    let now = now_ms();
    sqlx::query(
        "INSERT INTO destination_memory (tenant_id, destination, t38, v17, ecm, learned_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (tenant_id, destination) DO UPDATE SET t38 = excluded.t38, v17 = excluded.v17,
             ecm = excluded.ecm, learned_at = excluded.learned_at, expires_at = excluded.expires_at
         WHERE destination_memory.expires_at <= excluded.learned_at OR destination_memory.t38 <> excluded.t38
            OR destination_memory.v17 <> excluded.v17 OR destination_memory.ecm <> excluded.ecm",
    )
    .bind(&job.tenant_id)
    .bind(&job.destination)
    .bind(i64::from(offer.t38))
    .bind(i64::from(offer.v17))
    .bind(i64::from(offer.ecm))
    .bind(now)
    .bind(now + lasts)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Forgets what is over, of all tenants.
pub(super) async fn sweep(store: &Store) -> Result<(), StoreError> {
    let now = now_ms();
    // Nearly always there is nothing: no writer's turn is taken for that.
    let over: i64 = sqlx::query_scalar(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM destination_memory WHERE expires_at <= $1",
    )
    .bind(now)
    .fetch_one(store.reader())
    .await?;
    if over == 0 {
        return Ok(());
    }
    let mut tx = store.begin().await?;
    sqlx::query("DELETE FROM destination_memory WHERE expires_at <= $1")
        .bind(now)
        .execute(tx.conn())
        .await?;
    tx.commit().await
}
