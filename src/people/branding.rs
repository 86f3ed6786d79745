//! What a tenant's covers have of its own: company, footer, logo, and templates.

use sqlx::Row as _;

use crate::{
    clock::{Millis, now_ms},
    store::{Store, StoreError, Tx},
};

/// What stands on every cover of a tenant, whatever its template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branding {
    /// The company; `None`: the tenant's name.
    pub company: Option<String>,
    /// Small print at the foot.
    pub footer: Option<String>,
    /// A PNG file, as a paper worker made it.
    pub logo: Option<Vec<u8>>,
}

/// A template of a tenant's own, without its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCover {
    /// Its name, one of a kind in the tenant.
    pub name: String,
    /// Of its source.
    pub octets: usize,
    /// When it was stored.
    pub stored_at: Millis,
}

/// What a tenant's covers have of its own.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such tenant.
pub async fn branding(store: &Store, tenant_id: &str) -> Result<Branding, StoreError> {
    let row = sqlx::query("SELECT company, footer, logo FROM tenant WHERE tenant_id = $1")
        .bind(tenant_id)
        .fetch_optional(store.reader())
        .await?
        .ok_or(StoreError::Missing("tenant"))?;
    Ok(Branding {
        company: row.try_get("company")?,
        footer: row.try_get("footer")?,
        logo: row.try_get("logo")?,
    })
}

/// Records a tenant's company and footer.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such tenant.
pub async fn set_branding(
    tx: &mut Tx,
    tenant_id: &str,
    company: Option<&str>,
    footer: Option<&str>,
) -> Result<(), StoreError> {
    let done = sqlx::query("UPDATE tenant SET company = $1, footer = $2 WHERE tenant_id = $3")
        .bind(company)
        .bind(footer)
        .bind(tenant_id)
        .execute(tx.conn())
        .await?;
    one(done.rows_affected(), "tenant")
}

/// Records a tenant's logo, or that it has none.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such tenant.
pub async fn set_logo(
    tx: &mut Tx,
    tenant_id: &str,
    logo: Option<Vec<u8>>,
) -> Result<(), StoreError> {
    let done = sqlx::query("UPDATE tenant SET logo = $1 WHERE tenant_id = $2")
        .bind(logo)
        .bind(tenant_id)
        .execute(tx.conn())
        .await?;
    one(done.rows_affected(), "tenant")
}

/// Gives a tenant another name.
///
/// # Errors
/// A unique violation when another tenant has it.
pub async fn rename_tenant(tx: &mut Tx, tenant_id: &str, name: &str) -> Result<(), StoreError> {
    let done = sqlx::query("UPDATE tenant SET name = $1 WHERE tenant_id = $2")
        .bind(name)
        .bind(tenant_id)
        .execute(tx.conn())
        .await?;
    one(done.rows_affected(), "tenant")
}

/// The templates of a tenant's own, by name.
///
/// # Errors
/// What the database says.
pub async fn own_covers(store: &Store, tenant_id: &str) -> Result<Vec<OwnCover>, StoreError> {
    let rows = sqlx::query(
        "SELECT name, source, stored_at FROM tenant_cover WHERE tenant_id = $1 ORDER BY name",
    )
    .bind(tenant_id)
    .fetch_all(store.reader())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(OwnCover {
                name: row.try_get("name")?,
                octets: row.try_get::<String, _>("source")?.len(),
                stored_at: row.try_get("stored_at")?,
            })
        })
        .collect()
}

/// The source of a template of a tenant's own.
///
/// # Errors
/// What the database says.
pub async fn own_cover(
    store: &Store,
    tenant_id: &str,
    name: &str,
) -> Result<Option<String>, StoreError> {
    Ok(
        sqlx::query_scalar("SELECT source FROM tenant_cover WHERE tenant_id = $1 AND name = $2")
            .bind(tenant_id)
            .bind(name)
            .fetch_optional(store.reader())
            .await?,
    )
}

/// Keeps a template, in the place of one of the same name.
///
/// # Errors
/// What the database says.
pub async fn keep_cover(
    tx: &mut Tx,
    tenant_id: &str,
    name: &str,
    source: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO tenant_cover (tenant_id, name, source, stored_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id, name)
         DO UPDATE SET source = excluded.source, stored_at = excluded.stored_at",
    )
    .bind(tenant_id)
    .bind(name)
    .bind(source)
    .bind(now_ms())
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Removes a template.
///
/// # Errors
/// [`StoreError::Missing`] when there is none of that name.
pub async fn remove_cover(tx: &mut Tx, tenant_id: &str, name: &str) -> Result<(), StoreError> {
    let done = sqlx::query("DELETE FROM tenant_cover WHERE tenant_id = $1 AND name = $2")
        .bind(tenant_id)
        .bind(name)
        .execute(tx.conn())
        .await?;
    one(done.rows_affected(), "cover")
}

fn one(rows: u64, what: &'static str) -> Result<(), StoreError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(StoreError::Missing(what))
    }
}
