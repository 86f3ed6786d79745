//! Who there is.

use std::str::FromStr;

use sqlx::{Row as _, any::AnyRow};

use super::folded;
use crate::{
    clock::Millis,
    language::Language,
    store::{Store, StoreError, Tx},
};

/// A text that names none of the known values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a known value")]
pub struct NotKnown;

/// Makes an enum whose variants have the names that the tables hold.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// As the tables and people write it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::people::directory::NotKnown;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::people::directory::NotKnown),
                }
            }
        }
    };
}
pub(super) use named;

named! {
    /// What somebody may do; the highest wins.
    Role {
        /// Runs the gateway.
        Operator = "operator",
        /// Manages a tenant.
        Tenant = "tenant",
        /// Sends and receives.
        User = "user",
        /// Sends what a rule lets a stranger's proven mail send, and nothing else.
        Guest = "guest",
    }
}

named! {
    /// What a user has subscribed to.
    Plan {
        /// Both ways.
        SendReceive = "send-receive",
        /// Sending only.
        SendOnly = "send-only",
    }
}

/// Reads a column that holds a name.
pub(super) fn known<T: FromStr>(
    table: &'static str,
    column: &'static str,
    text: String,
) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Unknown {
        table,
        column,
        value: text,
    })
}

/// A customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Id.
    pub tenant_id: String,
    /// Its name, one of a kind.
    pub name: String,
    /// What its users read unless they say otherwise.
    pub language: Language,
    /// IANA name of its time zone.
    pub time_zone: String,
    /// When.
    pub created_at: Millis,
}

/// Users and numbers of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Id.
    pub group_id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// Its name, one of a kind in the tenant.
    pub name: String,
    /// The tenant's default group.
    pub is_default: bool,
    /// Who owns it; need not be a member.
    pub owner_id: Option<String>,
}

/// Somebody who sends and receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Id.
    pub user_id: String,
    /// Whose customer.
    pub tenant_id: String,
    /// Their one group.
    pub group_id: String,
    /// As header lines and mails name them.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// What they have subscribed to.
    pub plan: Plan,
    /// What they read, when it isn't the tenant's language.
    pub language: Option<Language>,
    /// Their primary mail address, lower case: reports go there.
    pub address: String,
    /// E.164 number that they call as, when it isn't the group's.
    pub caller_number: Option<String>,
}

/// The tenant with this id.
///
/// # Errors
/// What the database says.
pub async fn tenant(store: &Store, tenant_id: &str) -> Result<Option<Tenant>, StoreError> {
    sqlx::query(
        "SELECT tenant_id, name, language, time_zone, created_at FROM tenant WHERE tenant_id = $1",
    )
    .bind(tenant_id)
    .fetch_optional(store.reader())
    .await?
    .map(|row| read_tenant(&row))
    .transpose()
}

/// The tenant with this name.
///
/// # Errors
/// What the database says.
pub async fn tenant_by_name(store: &Store, name: &str) -> Result<Option<Tenant>, StoreError> {
    sqlx::query(
        "SELECT tenant_id, name, language, time_zone, created_at FROM tenant WHERE name = $1",
    )
    .bind(name)
    .fetch_optional(store.reader())
    .await?
    .map(|row| read_tenant(&row))
    .transpose()
}

/// The tenant that mail to number@`domain` is for.
///
/// # Errors
/// What the database says.
pub async fn tenant_by_domain(store: &Store, domain: &str) -> Result<Option<Tenant>, StoreError> {
    sqlx::query(
        "SELECT t.tenant_id, t.name, t.language, t.time_zone, t.created_at
         FROM tenant_domain d JOIN tenant t ON t.tenant_id = d.tenant_id WHERE d.domain = $1",
    )
    .bind(folded(domain))
    .fetch_optional(store.reader())
    .await?
    .map(|row| read_tenant(&row))
    .transpose()
}

fn read_tenant(row: &AnyRow) -> Result<Tenant, StoreError> {
    Ok(Tenant {
        tenant_id: row.try_get("tenant_id")?,
        name: row.try_get("name")?,
        language: known("tenant", "language", row.try_get("language")?)?,
        time_zone: row.try_get("time_zone")?,
        created_at: row.try_get("created_at")?,
    })
}

/// The group with this id.
///
/// # Errors
/// What the database says.
pub async fn group(
    store: &Store,
    tenant_id: &str,
    group_id: &str,
) -> Result<Option<Group>, StoreError> {
    let row = sqlx::query(
        "SELECT group_id, tenant_id, name, is_default, owner_id FROM user_group
         WHERE tenant_id = $1 AND group_id = $2",
    )
    .bind(tenant_id)
    .bind(group_id)
    .fetch_optional(store.reader())
    .await?;
    row.map(|row| {
        Ok(Group {
            group_id: row.try_get("group_id")?,
            tenant_id: row.try_get("tenant_id")?,
            name: row.try_get("name")?,
            is_default: row.try_get::<i64, _>("is_default")? != 0,
            owner_id: row.try_get("owner_id")?,
        })
    })
    .transpose()
}

/// The user with this id.
///
/// # Errors
/// What the database says.
pub async fn user(
    store: &Store,
    tenant_id: &str,
    user_id: &str,
) -> Result<Option<User>, StoreError> {
    sqlx::query(
        "SELECT u.user_id, u.tenant_id, u.group_id, u.name, u.role, u.plan, u.language,
                u.caller_number, p.address
         FROM fax_user u
         JOIN user_address p ON p.tenant_id = u.tenant_id AND p.user_id = u.user_id AND p.is_primary = 1
         WHERE u.tenant_id = $1 AND u.user_id = $2",
    )
    .bind(tenant_id)
    .bind(user_id)
    .fetch_optional(store.reader())
    .await?
    .map(|row| read_user(&row))
    .transpose()
}

/// The user that a mail address belongs to, whatever its case and tenant: an address has one user.
///
/// # Errors
/// What the database says.
pub async fn user_by_address(store: &Store, address: &str) -> Result<Option<User>, StoreError> {
    sqlx::query(
        "SELECT u.user_id, u.tenant_id, u.group_id, u.name, u.role, u.plan, u.language,
                u.caller_number, p.address
         FROM user_address a
         JOIN fax_user u ON u.tenant_id = a.tenant_id AND u.user_id = a.user_id
         JOIN user_address p ON p.tenant_id = u.tenant_id AND p.user_id = u.user_id AND p.is_primary = 1
         WHERE a.address = $1",
    )
    .bind(folded(address))
    .fetch_optional(store.reader())
    .await?
    .map(|row| read_user(&row))
    .transpose()
}

fn read_user(row: &AnyRow) -> Result<User, StoreError> {
    let language: Option<String> = row.try_get("language")?;
    Ok(User {
        user_id: row.try_get("user_id")?,
        tenant_id: row.try_get("tenant_id")?,
        group_id: row.try_get("group_id")?,
        name: row.try_get("name")?,
        role: known("fax_user", "role", row.try_get("role")?)?,
        plan: known("fax_user", "plan", row.try_get("plan")?)?,
        language: language
            .map(|text| known("fax_user", "language", text))
            .transpose()?,
        address: row.try_get("address")?,
        caller_number: row.try_get("caller_number")?,
    })
}

/// The id of a tenant's default group, as a transaction sees it.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such tenant.
pub async fn default_group(tx: &mut Tx, tenant_id: &str) -> Result<String, StoreError> {
    let row: Option<String> = sqlx::query_scalar(
        "SELECT group_id FROM user_group WHERE tenant_id = $1 AND is_default = 1",
    )
    .bind(tenant_id)
    .fetch_optional(tx.conn())
    .await?;
    row.ok_or(StoreError::Missing("the tenant's default group"))
}

/// Every user with their primary address, for the operator's eyes.
///
/// # Errors
/// What the database says.
pub async fn all_users(store: &Store) -> Result<Vec<User>, StoreError> {
    let ids = sqlx::query("SELECT tenant_id, user_id FROM fax_user ORDER BY created_at, user_id")
        .fetch_all(store.reader())
        .await?;
    let mut users = Vec::with_capacity(ids.len());
    for row in ids {
        let (tenant_id, user_id): (String, String) =
            (row.try_get("tenant_id")?, row.try_get("user_id")?);
        users.extend(user(store, &tenant_id, &user_id).await?);
    }
    Ok(users)
}

/// The tenant that was made first: the operator's.
///
/// # Errors
/// What the database says.
pub async fn first_tenant(store: &Store) -> Result<Option<Tenant>, StoreError> {
    let first: Option<String> =
        sqlx::query_scalar("SELECT tenant_id FROM tenant ORDER BY created_at, tenant_id LIMIT 1")
            .fetch_optional(store.reader())
            .await?;
    match first {
        Some(tenant_id) => tenant(store, &tenant_id).await,
        None => Ok(None),
    }
}

/// The operator who was entered first.
///
/// # Errors
/// What the database says.
pub async fn first_operator(store: &Store) -> Result<Option<User>, StoreError> {
    let row = sqlx::query(
        "SELECT tenant_id, user_id FROM fax_user WHERE role = $1 ORDER BY created_at, user_id LIMIT 1",
    )
    .bind(Role::Operator.name())
    .fetch_optional(store.reader())
    .await?;
    match row {
        Some(row) => user(store, row.try_get("tenant_id")?, row.try_get("user_id")?).await,
        None => Ok(None),
    }
}

/// Who answers for a group's faxes, in this order: its owner, the tenant's administrators, the operators within the
/// tenant. Their primary addresses, each once.
///
/// # Errors
/// What the database says.
pub async fn responsible_for(
    tx: &mut Tx,
    tenant_id: &str,
    group_id: &str,
) -> Result<Vec<String>, StoreError> {
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT p.address
         FROM fax_user u
         JOIN user_address p ON p.tenant_id = u.tenant_id AND p.user_id = u.user_id AND p.is_primary = 1
         LEFT JOIN user_group g ON g.tenant_id = u.tenant_id AND g.group_id = $2 AND g.owner_id = u.user_id
         WHERE u.tenant_id = $1 AND (g.group_id IS NOT NULL OR u.role IN ('tenant', 'operator'))
         ORDER BY CASE WHEN g.group_id IS NOT NULL THEN 0 WHEN u.role = 'tenant' THEN 1 ELSE 2 END,
                  u.created_at, u.user_id",
    )
    .bind(tenant_id)
    .bind(group_id)
    .fetch_all(tx.conn())
    .await?;
    Ok(found)
}

/// The first of a tenant's fax domains, by name; none when it only receives.
///
/// # Errors
/// What the database says.
pub async fn first_domain(store: &Store, tenant_id: &str) -> Result<Option<String>, StoreError> {
    let domain: Option<String> = sqlx::query_scalar(
        "SELECT domain FROM tenant_domain WHERE tenant_id = $1 ORDER BY domain LIMIT 1",
    )
    .bind(tenant_id)
    .fetch_optional(store.reader())
    .await?;
    Ok(domain)
}
