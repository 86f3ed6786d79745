//! Putting people into the tables.

use super::{BASIC, Language, Plan, Role, folded};
use crate::{
    clock::now_ms,
    store::{StoreError, Tx, new_id},
};

/// A tenant to make.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// Its name, one of a kind.
    pub name: String,
    /// What its users read.
    pub language: Language,
    /// IANA name of its time zone.
    pub time_zone: String,
}

/// A group to make.
#[derive(Clone, Debug)]
pub struct NewGroup {
    /// Whose.
    pub tenant_id: String,
    /// Its name, one of a kind in the tenant.
    pub name: String,
}

/// A user to make.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Whose customer.
    pub tenant_id: String,
    /// Their group; the tenant's default group when `None`.
    pub group_id: Option<String>,
    /// As header lines and mails name them.
    pub name: String,
    /// Their primary mail address.
    pub address: String,
    /// What they may do.
    pub role: Role,
    /// What they have subscribed to.
    pub plan: Plan,
    /// What they read; `None` inherits.
    pub language: Option<Language>,
    /// E.164 number that they call as; `None` inherits.
    pub caller_number: Option<String>,
}

/// The name of a new tenant's default group.
const DEFAULT_GROUP: &str = "Default";

/// Makes a tenant with its default group and the profile `Basic`, and returns its id.
///
/// # Errors
/// A unique violation when the name is taken.
pub async fn create_tenant(tx: &mut Tx, tenant: &NewTenant) -> Result<String, StoreError> {
    let tenant_id = new_id();
    sqlx::query(
        "INSERT INTO tenant (tenant_id, name, language, time_zone, created_at)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&tenant_id)
    .bind(&tenant.name)
    .bind(tenant.language.code())
    .bind(&tenant.time_zone)
    .bind(now_ms())
    .execute(tx.conn())
    .await?;
    insert_group(tx, &tenant_id, DEFAULT_GROUP, true).await?;
    sqlx::query("INSERT INTO profile (profile_id, tenant_id, name) VALUES ($1, $2, $3)")
        .bind(new_id())
        .bind(&tenant_id)
        .bind(BASIC)
        .execute(tx.conn())
        .await?;
    Ok(tenant_id)
}

/// Makes a group and returns its id.
///
/// # Errors
/// A unique violation when the tenant has a group of that name.
pub async fn add_group(tx: &mut Tx, group: &NewGroup) -> Result<String, StoreError> {
    insert_group(tx, &group.tenant_id, &group.name, false).await
}

async fn insert_group(
    tx: &mut Tx,
    tenant_id: &str,
    name: &str,
    is_default: bool,
) -> Result<String, StoreError> {
    let group_id = new_id();
    sqlx::query(
        "INSERT INTO user_group (group_id, tenant_id, name, is_default) VALUES ($1, $2, $3, $4)",
    )
    .bind(&group_id)
    .bind(tenant_id)
    .bind(name)
    .bind(i64::from(is_default))
    .execute(tx.conn())
    .await?;
    Ok(group_id)
}

/// Gives a tenant a mail domain.
///
/// # Errors
/// A unique violation when the domain is somebody's already.
pub async fn add_domain(tx: &mut Tx, tenant_id: &str, domain: &str) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO tenant_domain (domain, tenant_id) VALUES ($1, $2)")
        .bind(folded(domain))
        .bind(tenant_id)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Makes a user with their primary address, and returns their id.
///
/// # Errors
/// A unique violation when the address is somebody's already; [`StoreError::Missing`] when the group
/// is not the tenant's.
pub async fn add_user(tx: &mut Tx, user: &NewUser) -> Result<String, StoreError> {
    let group_id: Option<String> = match &user.group_id {
        Some(group_id) => {
            sqlx::query_scalar(
                "SELECT group_id FROM user_group WHERE tenant_id = $1 AND group_id = $2",
            )
            .bind(&user.tenant_id)
            .bind(group_id)
            .fetch_optional(tx.conn())
            .await?
        }
        None => {
            sqlx::query_scalar(
                "SELECT group_id FROM user_group WHERE tenant_id = $1 AND is_default = 1",
            )
            .bind(&user.tenant_id)
            .fetch_optional(tx.conn())
            .await?
        }
    };
    let group_id = group_id.ok_or(StoreError::Missing("group"))?;
    let user_id = new_id();
    sqlx::query(
        "INSERT INTO fax_user (user_id, tenant_id, group_id, name, role, plan, language,
                               caller_number, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&user_id)
    .bind(&user.tenant_id)
    .bind(group_id)
    .bind(&user.name)
    .bind(user.role.name())
    .bind(user.plan.name())
    .bind(user.language.map(Language::code))
    .bind(user.caller_number.as_deref())
    .bind(now_ms())
    .execute(tx.conn())
    .await?;
    insert_address(tx, &user.tenant_id, &user_id, &user.address, true).await?;
    Ok(user_id)
}

/// Gives a user another address that sends and receives for them.
///
/// # Errors
/// A unique violation when the address is somebody's already; [`StoreError::Missing`] when the user
/// is not the tenant's.
pub async fn add_address(
    tx: &mut Tx,
    tenant_id: &str,
    user_id: &str,
    address: &str,
) -> Result<(), StoreError> {
    let user: Option<String> =
        sqlx::query_scalar("SELECT user_id FROM fax_user WHERE tenant_id = $1 AND user_id = $2")
            .bind(tenant_id)
            .bind(user_id)
            .fetch_optional(tx.conn())
            .await?;
    let user_id = user.ok_or(StoreError::Missing("user"))?;
    insert_address(tx, tenant_id, &user_id, address, false).await
}

async fn insert_address(
    tx: &mut Tx,
    tenant_id: &str,
    user_id: &str,
    address: &str,
    is_primary: bool,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO user_address (address, tenant_id, user_id, is_primary) VALUES ($1, $2, $3, $4)",
    )
    .bind(folded(address))
    .bind(tenant_id)
    .bind(user_id)
    .bind(i64::from(is_primary))
    .execute(tx.conn())
    .await?;
    Ok(())
}
