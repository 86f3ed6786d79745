//! The mail password (SMTP AUTH). It proves a sender and opens nothing.

use std::sync::LazyLock;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _},
};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{User, folded, user_by_address};
use crate::store::{Store, StoreError, Tx};

/// Checks at a time: each takes 19 MiB and 34 ms of a core, which a flood of AUTH must not multiply.
static ROOM: Semaphore = Semaphore::const_new(4);

/// What an unknown user's password is held against, so that the answer takes as long.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    hashed(b"nobody").unwrap_or_else(|_| {
        // The system gave no randomness: a fixed salt is as good for a hash that nothing matches.
        "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
            .to_owned()
    })
});

/// Argon2id, 19 MiB, 2 passes, as a PHC string (RFC 9106; OWASP's first choice).
fn hashed(password: &[u8]) -> Result<String, argon2::password_hash::Error> {
    Ok(Argon2::default().hash_password(password)?.to_string())
}

/// Sets, or with `None` removes, a user's mail password. Takes about 34 ms.
///
/// # Errors
/// [`StoreError::Missing`] when the user is not the tenant's.
pub async fn set_mail_password(
    tx: &mut Tx,
    tenant_id: &str,
    user_id: &str,
    password: Option<&str>,
) -> Result<(), StoreError> {
    let phc = match password {
        None => None,
        Some(password) => {
            let password = Zeroizing::new(password.as_bytes().to_vec());
            let hash = off_thread(move || hashed(&password)).await?;
            Some(hash.map_err(|error| sqlx::Error::Io(std::io::Error::other(error.to_string())))?)
        }
    };
    let done =
        sqlx::query("UPDATE fax_user SET mail_password = $1 WHERE tenant_id = $2 AND user_id = $3")
            .bind(phc)
            .bind(tenant_id)
            .bind(user_id)
            .execute(tx.conn())
            .await?;
    match done.rows_affected() {
        1 => Ok(()),
        _ => Err(StoreError::Missing("user")),
    }
}

/// The user whose address is `login` if `password` is theirs. Takes as long for unknown users, users
/// without a password and wrong passwords. The caller limits how often a peer may ask.
///
/// # Errors
/// What the database says: never because of the password.
pub async fn check_mail_password(
    store: &Store,
    login: &str,
    password: &str,
) -> Result<Option<User>, StoreError> {
    let user = user_by_address(store, &folded(login)).await?;
    let phc: Option<String> = match &user {
        None => None,
        Some(user) => sqlx::query_scalar::<_, Option<String>>(
            "SELECT mail_password FROM fax_user WHERE tenant_id = $1 AND user_id = $2",
        )
        .bind(&user.tenant_id)
        .bind(&user.user_id)
        .fetch_optional(store.reader())
        .await?
        .flatten(),
    };
    let known = phc.is_some();
    let password = Zeroizing::new(password.as_bytes().to_vec());
    let right = off_thread(move || {
        // Evaluated for known users too: the first use makes it.
        let nobody = NOBODY.as_str();
        let phc = phc.as_deref().unwrap_or(nobody);
        Argon2::default().verify_password(&password, phc).is_ok()
    })
    .await?;
    Ok(user.filter(|_| known && right))
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    // The semaphore is never closed, so the permit always comes.
    let _room = ROOM.acquire().await;
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| sqlx::Error::Io(std::io::Error::other(error)))?)
}
