//! Guests: proven senders who are nobody's users, by a rule of `policies/senders.toml`. A guest is a row like a user's,
//! made when they send first, in a group whose profile and account are theirs; nothing else makes one or is open to one.

use sqlx::Row as _;

use super::{NewUser, Plan, Role, User, add_user, tenant_by_name, user_by_address};
use crate::store::{Store, StoreError};

/// The guest of a tenant's group who has this address. Who is a user already stays one. Nothing when there is no such
/// tenant or group.
///
/// # Errors
/// What the database says.
pub async fn guest(
    store: &Store,
    tenant: &str,
    group: &str,
    address: &str,
) -> Result<Option<User>, StoreError> {
    if let Some(known) = user_by_address(store, address).await? {
        return Ok(Some(known));
    }
    let Some(tenant) = tenant_by_name(store, tenant).await? else {
        return Ok(None);
    };
    let row = sqlx::query("SELECT group_id FROM user_group WHERE tenant_id = $1 AND name = $2")
        .bind(&tenant.tenant_id)
        .bind(group)
        .fetch_optional(store.reader())
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let new = NewUser {
        tenant_id: tenant.tenant_id,
        group_id: Some(row.try_get("group_id")?),
        name: address.split('@').next().unwrap_or_default().to_owned(),
        address: address.to_owned(),
        role: Role::Guest,
        plan: Plan::SendOnly,
        language: None,
        caller_number: None,
    };
    let mut tx = store.begin().await?;
    match add_user(&mut tx, &new).await {
        Ok(_) => tx.commit().await?,
        // Two first mails at once: the other made the row.
        Err(error) if error.is_unique_violation() => drop(tx),
        Err(error) => return Err(error),
    }
    user_by_address(store, address).await
}
