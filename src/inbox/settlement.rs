//! How a received fax ends: delivered, or kept for a while and then dropped.

use sqlx::{Row, any::AnyRow};

use crate::{
    clock::{Millis, now_ms},
    policy::Retention,
    relay,
    store::{Store, StoreError, Tx},
    vault::Custody,
};

/// Settles the faxes whose mails are all settled: delivered when there were any and the relay took each of
/// them; then the pages' custody ends, unless a mail went out without them: then they are kept for a while. A mail
/// that failed does not count when a later one brought its recipient the fax. One conditional update each: of several
/// nodes that look at once, one finds the fax `received`, and none settles it before the last mail's own transaction is
/// committed. How many were settled here.
pub(super) async fn settle_deliveries(
    store: &Store,
    custody: &Custody,
    retention: Retention,
) -> Result<usize, StoreError> {
    const OPEN: &str = "'compose', 'ready', 'sending'";
    const MAILS: &str = "SELECT 1 FROM outbox WHERE outbox.tenant_id = received_fax.tenant_id
                         AND outbox.about = received_fax.received_id";
    // A letter that its pages could not be written (`owed::UNABLE`), and none since then that has them.
    const UNABLE: &str = "outbox.state = 'sent' AND outbox.purpose LIKE '% unable' AND NOT EXISTS (
                          SELECT 1 FROM outbox AS later WHERE later.tenant_id = outbox.tenant_id
                          AND later.about = outbox.about AND later.recipient = outbox.recipient
                          AND later.created_at > outbox.created_at AND later.purpose NOT LIKE '% unable')";
    let mut tx = store.begin().await?;
    let mended = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT tenant_id, received_id FROM received_fax
         WHERE state = 'received' AND NOT EXISTS ({MAILS} AND outbox.state IN ({OPEN}))
           AND EXISTS ({MAILS} AND outbox.state IN ('failed', 'dropped'))"
    )))
    .fetch_all(tx.conn())
    .await?;
    for row in &mended {
        let (tenant_id, received_id): (String, String) =
            (row.try_get("tenant_id")?, row.try_get("received_id")?);
        relay::set_aside(&mut tx, custody, &tenant_id, &received_id).await?;
    }
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "UPDATE received_fax
         SET state = CASE WHEN NOT EXISTS ({MAILS})
                            OR EXISTS ({MAILS} AND outbox.state NOT IN ('sent', 'replaced')) THEN 'failed'
                          WHEN EXISTS ({MAILS} AND {UNABLE}) THEN 'unreadable'
                          WHEN announced = 1 THEN 'kept' ELSE 'delivered' END,
             deadline = $1
         WHERE state = 'received' AND NOT EXISTS ({MAILS} AND outbox.state IN ({OPEN}))
         RETURNING tenant_id, received_id, state"
    )))
    .bind(now_ms() + retention.undelivered_ms())
    .fetch_all(tx.conn())
    .await?;
    for row in &rows {
        if row.try_get::<String, _>("state")? == "delivered" {
            end_pages(&mut tx, custody, row).await?;
        }
    }
    tx.commit().await?;
    Ok(rows.len())
}

/// Ends the pages of faxes that nobody could be sent and that were kept for their time.
pub(super) async fn drop_overdue(
    store: &Store,
    custody: &Custody,
    now: Millis,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    let rows = sqlx::query(
        "UPDATE received_fax SET state = 'dropped'
         WHERE state IN ('failed', 'unreadable', 'kept') AND pages > 0 AND deadline <= $1
         RETURNING tenant_id, received_id",
    )
    .bind(now)
    .fetch_all(tx.conn())
    .await?;
    for row in &rows {
        end_pages(&mut tx, custody, row).await?;
    }
    tx.commit().await?;
    for row in &rows {
        let fax: String = row.try_get("received_id")?;
        tracing::error!(
            fax,
            "a fax that was not delivered whole is no longer kept (retention.toml)"
        );
    }
    Ok(())
}

async fn end_pages(tx: &mut Tx, custody: &Custody, fax: &AnyRow) -> Result<(), StoreError> {
    let tenant_id: String = fax.try_get("tenant_id")?;
    let pages: Vec<String> = sqlx::query_scalar(
        "SELECT custody_id FROM received_page WHERE tenant_id = $1 AND received_id = $2 ORDER BY page",
    )
    .bind(&tenant_id)
    .bind(fax.try_get::<String, _>("received_id")?)
    .fetch_all(tx.conn())
    .await?;
    for custody_id in pages {
        custody.done(tx, &tenant_id, &custody_id).await?;
    }
    Ok(())
}
