//! Numbers on which faxes arrive.

use sqlx::{Row as _, any::AnyRow};

use crate::{
    clock::{Millis, now_ms},
    store::{Store, StoreError, Tx, new_id},
};

/// A number (DID).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// Id.
    pub number_id: String,
    /// Whose.
    pub tenant_id: String,
    /// Its one group.
    pub group_id: String,
    /// E.164 with the plus sign.
    pub e164: String,
    /// As mails name it.
    pub title: String,
    /// When.
    pub created_at: Millis,
}

/// A number to make.
#[derive(Clone, Debug)]
pub struct NewNumber {
    /// Whose.
    pub tenant_id: String,
    /// Its group.
    pub group_id: String,
    /// E.164 with the plus sign.
    pub e164: String,
    /// As mails name it.
    pub title: String,
}

fn read(row: &AnyRow) -> Result<Number, StoreError> {
    Ok(Number {
        number_id: row.try_get("number_id")?,
        tenant_id: row.try_get("tenant_id")?,
        group_id: row.try_get("group_id")?,
        e164: row.try_get("e164")?,
        title: row.try_get("title")?,
        created_at: row.try_get("created_at")?,
    })
}

/// The number with these digits (E.164 with the plus sign), whosever it is: it tells the tenant.
///
/// # Errors
/// What the database says.
pub async fn number_by_e164(store: &Store, e164: &str) -> Result<Option<Number>, StoreError> {
    sqlx::query(
        "SELECT number_id, tenant_id, group_id, e164, title, created_at FROM number WHERE e164 = $1",
    )
    .bind(e164)
    .fetch_optional(store.reader())
    .await?
    .map(|row| read(&row))
    .transpose()
}

/// The numbers of a group, E.164, the oldest first.
///
/// # Errors
/// What the database says.
pub async fn of_group(
    store: &Store,
    tenant_id: &str,
    group_id: &str,
) -> Result<Vec<String>, StoreError> {
    let numbers = sqlx::query_scalar(
        "SELECT e164 FROM number WHERE tenant_id = $1 AND group_id = $2 ORDER BY created_at, number_id",
    )
    .bind(tenant_id)
    .bind(group_id)
    .fetch_all(store.reader())
    .await?;
    Ok(numbers)
}

/// The oldest number of a group: what its users call as unless they say otherwise.
///
/// # Errors
/// What the database says.
pub async fn first_of_group(
    store: &Store,
    tenant_id: &str,
    group_id: &str,
) -> Result<Option<Number>, StoreError> {
    sqlx::query(
        "SELECT number_id, tenant_id, group_id, e164, title, created_at FROM number
         WHERE tenant_id = $1 AND group_id = $2 ORDER BY created_at, number_id LIMIT 1",
    )
    .bind(tenant_id)
    .bind(group_id)
    .fetch_optional(store.reader())
    .await?
    .map(|row| read(&row))
    .transpose()
}

/// The mail addresses that faxes for a number go to, sorted.
///
/// # Errors
/// What the database says.
pub async fn recipients_of(
    store: &Store,
    tenant_id: &str,
    number_id: &str,
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT address FROM number_recipient WHERE tenant_id = $1 AND number_id = $2
         ORDER BY address",
    )
    .bind(tenant_id)
    .bind(number_id)
    .fetch_all(store.reader())
    .await?)
}

/// Makes a number and returns its id.
///
/// # Errors
/// A unique violation when the number is somebody's; [`StoreError::Missing`] when the group is not
/// the tenant's.
pub async fn add_number(tx: &mut Tx, number: &NewNumber) -> Result<String, StoreError> {
    let group: Option<String> = sqlx::query_scalar(
        "SELECT group_id FROM user_group WHERE tenant_id = $1 AND group_id = $2",
    )
    .bind(&number.tenant_id)
    .bind(&number.group_id)
    .fetch_optional(tx.conn())
    .await?;
    let group_id = group.ok_or(StoreError::Missing("group"))?;
    let number_id = new_id();
    sqlx::query(
        "INSERT INTO number (number_id, tenant_id, group_id, e164, title, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&number_id)
    .bind(&number.tenant_id)
    .bind(group_id)
    .bind(&number.e164)
    .bind(&number.title)
    .bind(now_ms())
    .execute(tx.conn())
    .await?;
    Ok(number_id)
}

/// Mails faxes for a number to `address` too; nothing happens when they are already.
///
/// # Errors
/// [`StoreError::Missing`] when the number is not the tenant's.
pub async fn add_recipient(
    tx: &mut Tx,
    tenant_id: &str,
    number_id: &str,
    address: &str,
) -> Result<(), StoreError> {
    let number: Option<String> =
        sqlx::query_scalar("SELECT number_id FROM number WHERE tenant_id = $1 AND number_id = $2")
            .bind(tenant_id)
            .bind(number_id)
            .fetch_optional(tx.conn())
            .await?;
    let number_id = number.ok_or(StoreError::Missing("number"))?;
    sqlx::query(
        "INSERT INTO number_recipient (number_id, tenant_id, address) VALUES ($1, $2, $3)
         ON CONFLICT (number_id, address) DO NOTHING",
    )
    .bind(number_id)
    .bind(tenant_id)
    .bind(address.trim().to_lowercase())
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Every number, for the operator's eyes.
///
/// # Errors
/// What the database says.
pub async fn all_numbers(store: &Store) -> Result<Vec<Number>, StoreError> {
    sqlx::query(
        "SELECT number_id, tenant_id, group_id, e164, title, created_at FROM number ORDER BY e164",
    )
    .fetch_all(store.reader())
    .await?
    .iter()
    .map(read)
    .collect()
}
