//! The table `token`.

use sqlx::Row as _;

use super::Token;
use crate::{
    clock::{Millis, now_ms},
    store::{Store, StoreError, Tx},
};

/// How long a token is known after its end, so that whoever answers late hears why: 30 days.
const KNOWN: Millis = 30 * 86_400_000;

pub(super) async fn insert(tx: &mut Tx, token: &Token) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO token (nonce, tenant_id, action, subject, address, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(&token.nonce)
    .bind(&token.tenant_id)
    .bind(&token.action)
    .bind(&token.subject)
    .bind(&token.address)
    .bind(now_ms())
    .bind(token.expires_at)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The row of a nonce, and whether it has served. Whose it is is known only by it.
pub(super) async fn find(store: &Store, nonce: &str) -> Result<Option<(Token, bool)>, StoreError> {
    let row = sqlx::query(
        "SELECT tenant_id, action, subject, address, expires_at, used_at FROM token WHERE nonce = $1",
    )
    .bind(nonce)
    .fetch_optional(store.reader())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let token = Token {
        nonce: nonce.to_owned(),
        tenant_id: row.try_get("tenant_id")?,
        action: row.try_get("action")?,
        subject: row.try_get("subject")?,
        address: row.try_get("address")?,
        expires_at: row.try_get("expires_at")?,
    };
    Ok(Some((
        token,
        row.try_get::<Option<i64>, _>("used_at")?.is_some(),
    )))
}

pub(super) async fn consume(tx: &mut Tx, token: &Token) -> Result<bool, StoreError> {
    let now = now_ms();
    let done = sqlx::query(
        "UPDATE token SET used_at = $1
         WHERE nonce = $2 AND tenant_id = $3 AND used_at IS NULL AND expires_at > $1",
    )
    .bind(now)
    .bind(&token.nonce)
    .bind(&token.tenant_id)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends all tokens for a subject, in the transaction of what makes them pointless: they count as used.
///
/// # Errors
/// What the database says.
pub async fn revoke(tx: &mut Tx, tenant_id: &str, subject: &str) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE token SET used_at = $1 WHERE tenant_id = $2 AND subject = $3 AND used_at IS NULL",
    )
    .bind(now_ms())
    .bind(tenant_id)
    .bind(subject)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Forgets tokens that were over long ago.
///
/// # Errors
/// What the database says.
pub async fn sweep(store: &Store) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    sqlx::query("DELETE FROM token WHERE expires_at <= $1")
        .bind(now_ms() - KNOWN)
        .execute(tx.conn())
        .await?;
    tx.commit().await
}
