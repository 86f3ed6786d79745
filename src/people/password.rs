//! The mail password (SMTP AUTH). It proves a sender and opens nothing.

use std::sync::LazyLock;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _},
};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{
    User, folded,
    scram::{ITERATIONS, Verifier},
    user_by_address,
};
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

/// The same password however it is typed (RFC 4013, which SCRAM asks for). What the rules of letters don't
/// allow is taken as it is.
fn prepared(password: &str) -> Zeroizing<String> {
    let prepared =
        stringprep::saslprep(password).map_or_else(|_| password.into(), |p| p.into_owned());
    Zeroizing::new(prepared)
}

/// Sets, or with `None` removes, a user's mail password. Takes about 75 ms.
///
/// # Errors
/// [`StoreError::Missing`] when the user is not the tenant's.
pub async fn set_mail_password(
    tx: &mut Tx,
    tenant_id: &str,
    user_id: &str,
    password: Option<&str>,
) -> Result<(), StoreError> {
    let [phc, scram] = match password {
        None => [None, None],
        Some(password) => {
            let password = prepared(password);
            let made = off_thread(move || {
                let mut salt = [0; 16];
                getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
                let phc = hashed(password.as_bytes()).map_err(|error| error.to_string())?;
                Ok([phc, Verifier::of(&password, &salt, ITERATIONS).kept()])
            });
            let made: Result<_, String> = made.await?;
            made.map_err(|error| sqlx::Error::Io(std::io::Error::other(error)))?
                .map(Some)
        }
    };
    let done = sqlx::query(
        "UPDATE fax_user SET mail_password = $1, mail_scram = $2 WHERE tenant_id = $3 AND user_id = $4",
    )
    .bind(phc)
    .bind(scram)
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
    let password = prepared(password);
    let right = off_thread(move || {
        // Evaluated for known users too: the first use makes it.
        let nobody = NOBODY.as_str();
        let phc = phc.as_deref().unwrap_or(nobody);
        Argon2::default()
            .verify_password(password.as_bytes(), phc)
            .is_ok()
    })
    .await?;
    Ok(user.filter(|_| known && right))
}

/// What a login's password is checked by, and whose it is. Logins that nobody has get a verifier that nothing
/// fits, the same each time.
///
/// # Errors
/// What the database says.
pub async fn scram_verifier(
    store: &Store,
    login: &str,
) -> Result<(Option<User>, Verifier), StoreError> {
    let login = folded(login);
    let user = user_by_address(store, &login).await?;
    let kept: Option<String> = match &user {
        None => None,
        Some(user) => sqlx::query_scalar::<_, Option<String>>(
            "SELECT mail_scram FROM fax_user WHERE tenant_id = $1 AND user_id = $2",
        )
        .bind(&user.tenant_id)
        .bind(&user.user_id)
        .fetch_optional(store.reader())
        .await?
        .flatten(),
    };
    if let Some(verifier) = kept.as_deref().and_then(Verifier::read) {
        return Ok((user, verifier));
    }
    // An id that nobody outside has seen, and that stays: a salt that changed would tell.
    let secret: Option<String> = sqlx::query_scalar("SELECT MIN(tenant_id) FROM tenant")
        .fetch_one(store.reader())
        .await?;
    let secret = secret.unwrap_or_default();
    Ok((None, Verifier::of_nobody(secret.as_bytes(), &login)))
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    // The semaphore is never closed, so the permit always comes.
    let _room = ROOM.acquire().await;
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| sqlx::Error::Io(std::io::Error::other(error)))?)
}
