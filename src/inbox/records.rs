//! The rows of a received fax.

use sha2::{Digest, Sha256};
use sqlx::Row;

use super::owed;
use crate::{
    clock::{Millis, now_ms},
    line::{CallEnding, IncomingCall, ReceivedPage},
    numbers::{self, Form, Number},
    relay::{self, NewMail},
    store::{Store, StoreError, Topic, Tx, new_id},
};

/// How long a fax may be received after its last page before it counts as cut off.
const RECEIVING_LASTS_MS: i64 = 15 * 60 * 1000;
/// How long its mails may wait for the relay.
pub(super) const DELIVERY_LASTS_MS: i64 = 72 * 3600 * 1000;

/// A fax that is being received.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub tenant_id: String,
    pub received_id: String,
}

/// Records a call that will be answered.
pub(super) async fn begin(
    tx: &mut Tx,
    number: &Number,
    call: &IncomingCall,
) -> Result<(), StoreError> {
    let now = now_ms();
    sqlx::query(
        "INSERT INTO call (call_id, tenant_id, trunk_id, direction, local_number, remote_number, placed_at, answered_at)
         VALUES ($1, $2, $3, 'in', $4, $5, $6, $6)",
    )
    .bind(&call.call_id)
    .bind(&number.tenant_id)
    .bind(&call.trunk_id)
    .bind(&number.e164)
    .bind(&call.from)
    .bind(now)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "INSERT INTO received_fax (received_id, tenant_id, number_id, call_id, state, remote_number,
                                   pages, incomplete, started_at, deadline)
         VALUES ($1, $2, $3, $4, 'receiving', $5, 0, 1, $6, $7)",
    )
    .bind(new_id())
    .bind(&number.tenant_id)
    .bind(&number.number_id)
    .bind(&call.call_id)
    .bind(&call.from)
    .bind(now)
    .bind(now + RECEIVING_LASTS_MS)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The fax that a call brings. The call's id is ours, so it names the tenant, not the other way round.
pub(super) async fn by_call(store: &Store, call_id: &str) -> Result<Option<Open>, StoreError> {
    let row = sqlx::query(
        "SELECT tenant_id, received_id FROM received_fax WHERE call_id = $1 AND state = 'receiving'",
    )
    .bind(call_id)
    .fetch_optional(store.reader())
    .await?;
    row.map(|row| {
        Ok(Open {
            tenant_id: row.try_get("tenant_id")?,
            received_id: row.try_get("received_id")?,
        })
    })
    .transpose()
}

/// How many pages of a call were committed; `None` for a call that we never took.
pub(super) async fn pages_of(store: &Store, call_id: &str) -> Result<Option<u32>, StoreError> {
    let pages: Option<i64> =
        sqlx::query_scalar("SELECT pages FROM received_fax WHERE call_id = $1")
            .bind(call_id)
            .fetch_optional(store.reader())
            .await?;
    Ok(pages.map(|pages| u32::try_from(pages).unwrap_or(0)))
}

/// Records a page that is in custody. The fax is complete once a page that EOP followed is kept.
pub(super) async fn page(
    tx: &mut Tx,
    open: &Open,
    page: &ReceivedPage,
    custody_id: &str,
) -> Result<(), StoreError> {
    let now = now_ms();
    sqlx::query(
        "INSERT INTO received_page (received_id, tenant_id, page, custody_id, digest, bad_rows, committed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&open.received_id)
    .bind(&open.tenant_id)
    .bind(i64::from(page.index))
    .bind(custody_id)
    .bind(Sha256::digest(&page.page.data).to_vec())
    .bind(i64::from(page.bad_rows))
    .bind(now)
    .execute(tx.conn())
    .await?;
    let updated = sqlx::query(
        "UPDATE received_fax SET pages = pages + 1, incomplete = $1, deadline = $2
         WHERE tenant_id = $3 AND received_id = $4 AND state = 'receiving'",
    )
    .bind(i64::from(!page.last))
    .bind(now + RECEIVING_LASTS_MS)
    .bind(&open.tenant_id)
    .bind(&open.received_id)
    .execute(tx.conn())
    .await?;
    if updated.rows_affected() != 1 {
        // Closed meanwhile: a page that nobody would deliver must not be confirmed.
        return Err(sqlx::Error::RowNotFound.into());
    }
    Ok(())
}

/// Records how the call ended.
pub(super) async fn call_ended(
    tx: &mut Tx,
    open: &Open,
    call: &IncomingCall,
    ending: &CallEnding,
    outcome: &str,
) -> Result<(), StoreError> {
    let agreed = ending.negotiated.as_ref();
    sqlx::query(
        "UPDATE call SET ended_at = $1, q850 = $2, media = $3 WHERE tenant_id = $4 AND call_id = $5",
    )
    .bind(now_ms())
    .bind(ending.q850.map(i64::from))
    .bind(ending.media.map(|media| match media {
        crate::line::Media::T38 => "t38",
        crate::line::Media::G711 => "g711",
    }))
    .bind(&open.tenant_id)
    .bind(&call.call_id)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "INSERT INTO leg (leg_id, tenant_id, call_id, received_id, first_page, t30_code, remote_ident,
                          rate, ecm, resolution, duration_ms, outcome)
         VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(new_id())
    .bind(&open.tenant_id)
    .bind(&call.call_id)
    .bind(&open.received_id)
    .bind(ending.t30.map(i64::from))
    .bind(agreed.and_then(|agreed| agreed.remote_ident.clone()))
    .bind(agreed.map(|agreed| i64::from(agreed.rate)))
    .bind(agreed.map(|agreed| i64::from(agreed.ecm)))
    .bind(agreed.map(|agreed| agreed.vertical_dpi.to_string()))
    .bind(i64::try_from(ending.duration.as_millis()).unwrap_or(i64::MAX))
    .bind(outcome)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "UPDATE received_fax SET tsi = $1, sub_address = $2 WHERE tenant_id = $3 AND received_id = $4",
    )
    .bind(agreed.and_then(|agreed| agreed.remote_ident.clone()))
    .bind(agreed.and_then(|agreed| agreed.sub_address.clone()))
    .bind(&open.tenant_id)
    .bind(&open.received_id)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Records the end of a call that was cut off with the process that followed it, unless its end is on
/// record already.
pub(super) async fn call_cut_off(
    tx: &mut Tx,
    open: &Open,
    outcome: &str,
) -> Result<(), StoreError> {
    let call_id: Option<String> = sqlx::query_scalar(
        "UPDATE call SET ended_at = $1 WHERE tenant_id = $2 AND ended_at IS NULL AND call_id = (
             SELECT call_id FROM received_fax WHERE tenant_id = $2 AND received_id = $3)
         RETURNING call_id",
    )
    .bind(now_ms())
    .bind(&open.tenant_id)
    .bind(&open.received_id)
    .fetch_optional(tx.conn())
    .await?;
    let Some(call_id) = call_id else {
        return Ok(());
    };
    sqlx::query(
        "INSERT INTO leg (leg_id, tenant_id, call_id, received_id, first_page, outcome)
         VALUES ($1, $2, $3, $4, 0, $5)",
    )
    .bind(new_id())
    .bind(&open.tenant_id)
    .bind(&call_id)
    .bind(&open.received_id)
    .bind(outcome)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends a fax: with pages it is `received` and has a mail for each recipient, without it has `failed`.
pub(super) async fn close(
    tx: &mut Tx,
    tenant_id: &str,
    received_id: &str,
    outcome: &str,
    hostname: &str,
) -> Result<(), StoreError> {
    let now = now_ms();
    let row = sqlx::query(
        "UPDATE received_fax SET state = CASE WHEN pages > 0 THEN 'received' ELSE 'failed' END,
                outcome = $1, ended_at = $2, deadline = $3
         WHERE tenant_id = $4 AND received_id = $5 AND state = 'receiving'
         RETURNING number_id, pages",
    )
    .bind(outcome)
    .bind(now)
    .bind(now + DELIVERY_LASTS_MS)
    .bind(tenant_id)
    .bind(received_id)
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(()) };
    let pages: i64 = row.try_get("pages")?;
    if pages == 0 {
        return Ok(());
    }
    let number_id: String = row.try_get("number_id")?;
    let recipients: Vec<String> = sqlx::query_scalar(
        "SELECT address FROM number_recipient WHERE tenant_id = $1 AND number_id = $2 ORDER BY address",
    )
    .bind(tenant_id)
    .bind(&number_id)
    .fetch_all(tx.conn())
    .await?;
    for recipient in recipients {
        let mail = NewMail {
            tenant_id: tenant_id.to_owned(),
            purpose: owed::purpose(received_id, &recipient),
            about: received_id.to_owned(),
            message_id: format!("{received_id}.{}@{hostname}", short_digest(&recipient)),
            return_path: relay::OWN_PATH.to_owned(),
            recipient,
            deadline: now + DELIVERY_LASTS_MS,
        };
        relay::enqueue_divisible(tx, &mail).await?;
    }
    Ok(())
}

/// What came of [`deliver_again`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redelivery {
    /// A mail in this form is owed.
    Owed(Form),
    /// There is no such fax.
    NoFax,
    /// Its pages are not kept any more, or are still coming.
    Gone,
    /// The address is no recipient of the number that it came to.
    NotTheirs,
}

/// Owes a recipient the pages of a fax that are kept, once more or for the first time. `None`: in the recipient's
/// form.
///
/// # Errors
/// What the database says.
pub async fn deliver_again(
    store: &Store,
    received_id: &str,
    address: &str,
    form: Option<Form>,
    hostname: &str,
) -> Result<Redelivery, StoreError> {
    let row = sqlx::query("SELECT tenant_id, number_id FROM received_fax WHERE received_id = $1")
        .bind(received_id)
        .fetch_optional(store.reader())
        .await?;
    let Some(row) = row else {
        return Ok(Redelivery::NoFax);
    };
    let (tenant_id, number_id): (String, String) =
        (row.try_get("tenant_id")?, row.try_get("number_id")?);
    let recipient = numbers::recipient(store, &tenant_id, &number_id, address).await?;
    let Some(recipient) = recipient else {
        return Ok(Redelivery::NotTheirs);
    };
    let form = match form.unwrap_or(recipient.form) {
        // They asked for the pages.
        Form::Notice => Form::Pdf,
        form => form,
    };
    let form = recipient.form_of(form);
    let now = now_ms();
    let mut tx = store.begin().await?;
    let open = sqlx::query(
        "UPDATE received_fax SET state = 'received', deadline = $1
         WHERE tenant_id = $2 AND received_id = $3 AND pages > 0 AND state IN ('received', 'kept', 'unreadable', 'failed')",
    )
    .bind(now + DELIVERY_LASTS_MS)
    .bind(&tenant_id)
    .bind(received_id)
    .execute(tx.conn())
    .await?;
    if open.rows_affected() != 1 {
        return Ok(Redelivery::Gone);
    }
    let key = new_id();
    let digest = short_digest(&format!("{address} {key}"));
    let mail = NewMail {
        tenant_id,
        purpose: owed::purpose_again(received_id, &recipient.address, form, &key),
        about: received_id.to_owned(),
        message_id: format!("{received_id}.{digest}@{hostname}"),
        return_path: relay::OWN_PATH.to_owned(),
        recipient: recipient.address,
        deadline: now + DELIVERY_LASTS_MS,
    };
    relay::enqueue_divisible(&mut tx, &mail).await?;
    tx.commit().await?;
    store.wake(Topic::Outbox);
    Ok(Redelivery::Owed(form))
}

/// A mail of the fax went out without its pages: they are kept when its mails are settled.
pub(super) async fn announced(
    tx: &mut Tx,
    tenant_id: &str,
    received_id: &str,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE received_fax SET announced = 1 WHERE tenant_id = $1 AND received_id = $2")
        .bind(tenant_id)
        .bind(received_id)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Tells the mails of one fax apart without naming their recipients.
pub(super) fn short_digest(recipient: &str) -> String {
    Sha256::digest(recipient.as_bytes())
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The faxes that have been received since before `before`: nobody receives them any more.
pub(super) async fn left_open(store: &Store, before: Millis) -> Result<Vec<Open>, StoreError> {
    let rows = sqlx::query(
        "SELECT tenant_id, received_id FROM received_fax WHERE state = 'receiving' AND deadline < $1",
    )
    .bind(before)
    .fetch_all(store.reader())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Open {
                tenant_id: row.try_get("tenant_id")?,
                received_id: row.try_get("received_id")?,
            })
        })
        .collect()
}

/// Received faxes in one state.
#[derive(Clone, Debug, serde::Serialize)]
pub struct StateCount {
    /// The state's name.
    pub state: String,
    /// How many.
    pub faxes: u32,
    /// Their pages.
    pub pages: u32,
}

/// Counts the received faxes, all tenants: for the operator's page.
///
/// # Errors
/// [`StoreError`].
pub async fn overview(store: &Store) -> Result<Vec<StateCount>, StoreError> {
    let rows = sqlx::query(
        "SELECT state, CAST(COUNT(*) AS BIGINT) AS faxes, CAST(SUM(pages) AS BIGINT) AS pages
         FROM received_fax GROUP BY state ORDER BY state",
    )
    .fetch_all(store.reader())
    .await?;
    rows.iter()
        .map(|row| {
            let count = |name: &str| -> Result<u32, StoreError> {
                Ok(u32::try_from(row.try_get::<i64, _>(name)?).unwrap_or(0))
            };
            Ok(StateCount {
                state: row.try_get("state")?,
                faxes: count("faxes")?,
                pages: count("pages")?,
            })
        })
        .collect()
}
