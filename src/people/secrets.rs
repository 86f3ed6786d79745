//! Secrets that prove a sender where nothing else can: a scanner, a program. Each is shown once, when it is made; the
//! table has its hash.

use sha2::{Digest as _, Sha256};
use sqlx::Row as _;
use zeroize::Zeroizing;

use super::{User, user};
use crate::{
    clock::{Millis, now_ms},
    store::{Store, StoreError, Tx, new_id},
};

const DAY: Millis = 86_400_000;
/// How long a secret proves its user, unless told.
pub const SECRET_LASTS_DAYS: u32 = 90;
/// How long the ones before go on when there is a new one.
const OVERLAP: Millis = 7 * DAY;
/// How long before its end its user is told.
const WARNING: Millis = 14 * DAY;
/// RFC 4648 §6, in small letters: no 0, 1, 8 or 9 to be taken for something else.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// 130 bits.
const LENGTH: usize = 26;

/// A secret as far as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretInfo {
    /// Its row.
    pub secret_id: String,
    /// Whose customer.
    pub tenant_id: String,
    /// Whose.
    pub user_id: String,
    /// When it was made.
    pub created_at: Millis,
    /// When it ends.
    pub expires_at: Millis,
}

/// Makes a secret for a user; those that they have end a week later at most. The secret, which nobody is told again.
///
/// # Errors
/// What the database says, or the system when it has no randomness.
pub async fn add_secret(
    tx: &mut Tx,
    tenant_id: &str,
    user_id: &str,
    days: u32,
) -> Result<Zeroizing<String>, StoreError> {
    let now = now_ms();
    sqlx::query(
        "UPDATE sender_secret SET replaced_at = $1,
                expires_at = CASE WHEN expires_at < $2 THEN expires_at ELSE $2 END
         WHERE tenant_id = $3 AND user_id = $4 AND replaced_at IS NULL",
    )
    .bind(now)
    .bind(now + OVERLAP)
    .bind(tenant_id)
    .bind(user_id)
    .execute(tx.conn())
    .await?;
    let secret = fresh()?;
    sqlx::query(
        "INSERT INTO sender_secret (secret_id, tenant_id, user_id, hash, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(new_id())
    .bind(tenant_id)
    .bind(user_id)
    .bind(hash(&secret))
    .bind(now)
    .bind(now + Millis::from(days) * DAY)
    .execute(tx.conn())
    .await?;
    Ok(secret)
}

fn fresh() -> Result<Zeroizing<String>, StoreError> {
    let mut random = Zeroizing::new([0; LENGTH]);
    getrandom::fill(random.as_mut())
        .map_err(|error| sqlx::Error::Io(std::io::Error::other(error.to_string())))?;
    // 32 letters: five bits of each octet, all equally likely.
    let letters = random
        .iter()
        .map(|octet| char::from(ALPHABET[usize::from(octet & 31)]));
    Ok(Zeroizing::new(letters.collect()))
}

/// A hash that is fast to make will do: there are 2^130 to try.
fn hash(secret: &str) -> Vec<u8> {
    let lower = Zeroizing::new(secret.to_ascii_lowercase());
    Sha256::digest(lower.as_bytes()).to_vec()
}

/// The user whose secret this is, while it lasts. The row is found by its hash: how long that takes tells nothing of
/// other secrets.
///
/// # Errors
/// What the database says.
pub async fn user_by_secret(store: &Store, secret: &str) -> Result<Option<User>, StoreError> {
    let row = sqlx::query(
        "SELECT tenant_id, user_id FROM sender_secret WHERE hash = $1 AND expires_at > $2",
    )
    .bind(hash(secret))
    .bind(now_ms())
    .fetch_optional(store.reader())
    .await?;
    match row {
        Some(row) => {
            let (tenant_id, user_id): (String, String) =
                (row.try_get("tenant_id")?, row.try_get("user_id")?);
            user(store, &tenant_id, &user_id).await
        }
        None => Ok(None),
    }
}

/// A user's secrets that still last, the oldest first.
///
/// # Errors
/// What the database says.
pub async fn secrets_of(
    store: &Store,
    tenant_id: &str,
    user_id: &str,
) -> Result<Vec<SecretInfo>, StoreError> {
    let rows = sqlx::query(
        "SELECT secret_id, tenant_id, user_id, created_at, expires_at FROM sender_secret
         WHERE tenant_id = $1 AND user_id = $2 AND expires_at > $3 ORDER BY created_at, secret_id",
    )
    .bind(tenant_id)
    .bind(user_id)
    .bind(now_ms())
    .fetch_all(store.reader())
    .await?;
    rows.iter().map(info).collect()
}

/// Ends all secrets of a user at once; how many there were.
///
/// # Errors
/// What the database says.
pub async fn remove_secrets(
    tx: &mut Tx,
    tenant_id: &str,
    user_id: &str,
) -> Result<u64, StoreError> {
    let done = sqlx::query("DELETE FROM sender_secret WHERE tenant_id = $1 AND user_id = $2")
        .bind(tenant_id)
        .bind(user_id)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected())
}

/// Secrets that end within a fortnight, have no successor, and whose users were not told yet. Those that ended are
/// forgotten.
///
/// # Errors
/// What the database says.
pub async fn secrets_ending(store: &Store) -> Result<Vec<SecretInfo>, StoreError> {
    let now = now_ms();
    let mut tx = store.begin().await?;
    sqlx::query("DELETE FROM sender_secret WHERE expires_at <= $1")
        .bind(now)
        .execute(tx.conn())
        .await?;
    tx.commit().await?;
    let rows = sqlx::query(
        "SELECT secret_id, tenant_id, user_id, created_at, expires_at FROM sender_secret
         WHERE expires_at <= $1 AND warned_at IS NULL AND replaced_at IS NULL ORDER BY expires_at LIMIT 1000",
    )
    .bind(now + WARNING)
    .fetch_all(store.reader())
    .await?;
    rows.iter().map(info).collect()
}

/// Records that a secret's user is being told of its end.
///
/// # Errors
/// What the database says.
pub async fn secret_warned(tx: &mut Tx, secret: &SecretInfo) -> Result<(), StoreError> {
    sqlx::query("UPDATE sender_secret SET warned_at = $1 WHERE tenant_id = $2 AND secret_id = $3")
        .bind(now_ms())
        .bind(&secret.tenant_id)
        .bind(&secret.secret_id)
        .execute(tx.conn())
        .await?;
    Ok(())
}

fn info(row: &sqlx::any::AnyRow) -> Result<SecretInfo, StoreError> {
    Ok(SecretInfo {
        secret_id: row.try_get("secret_id")?,
        tenant_id: row.try_get("tenant_id")?,
        user_id: row.try_get("user_id")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
    })
}
