//! What limits ask of a user: whether a guest, and when their day begins.

use sqlx::Row as _;

use super::Role;
use crate::store::{Store, StoreError};

/// A user as limits see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Entered by a rule, not by an administrator.
    pub guest: bool,
    /// The tenant's time zone, an IANA name.
    pub time_zone: String,
}

/// How a user stands; nothing for one who is not there.
///
/// # Errors
/// What the database says.
pub async fn standing(
    store: &Store,
    tenant_id: &str,
    user_id: &str,
) -> Result<Option<Standing>, StoreError> {
    let row = sqlx::query(
        "SELECT u.role, t.time_zone FROM fax_user u JOIN tenant t ON t.tenant_id = u.tenant_id
         WHERE u.tenant_id = $1 AND u.user_id = $2",
    )
    .bind(tenant_id)
    .bind(user_id)
    .fetch_optional(store.reader())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let role: String = row.try_get(0)?;
    Ok(Some(Standing {
        guest: role == Role::Guest.name(),
        time_zone: row.try_get(1)?,
    }))
}
