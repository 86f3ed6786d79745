//! What applies to a user: the tenant's values, the profile's, the user's own, the nearest first.
//!
//! A group uses the profile with its own name; what that leaves open is `Basic`'s, and what that
//! leaves open is the house's: fine resolution, A4.

use faxpost_t4::Resolution;
use sqlx::Row as _;

use super::{
    Language,
    directory::{known, named},
};
use crate::{
    numbers,
    store::{Store, StoreError},
};

/// The profile of groups without one of their own name.
pub const BASIC: &str = "Basic";

named! {
    /// The paper that pages are drawn for.
    Paper {
        /// 210 × 297 mm.
        A4 = "a4",
        /// 8½ × 11 in.
        Letter = "letter",
        /// 8½ × 14 in.
        Legal = "legal",
    }
}

/// What applies to a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Lines an inch.
    pub resolution: Resolution,
    /// Paper.
    pub paper: Paper,
    /// What they read.
    pub language: Language,
    /// IANA name.
    pub time_zone: String,
    /// E.164 with the plus sign: TSI and caller identity. `None`: neither they nor their group have one.
    pub caller_number: Option<String>,
}

/// What applies to a user.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such user.
pub async fn settings_for(
    store: &Store,
    tenant_id: &str,
    user_id: &str,
) -> Result<Settings, StoreError> {
    let row = sqlx::query(
        "SELECT u.group_id, u.language AS own_language, u.caller_number, t.language, t.time_zone,
                COALESCE(p.resolution, b.resolution) AS resolution,
                COALESCE(p.paper, b.paper) AS paper
         FROM fax_user u
         JOIN tenant t ON t.tenant_id = u.tenant_id
         JOIN user_group g ON g.tenant_id = u.tenant_id AND g.group_id = u.group_id
         LEFT JOIN profile p ON p.tenant_id = u.tenant_id AND p.name = g.name
         LEFT JOIN profile b ON b.tenant_id = u.tenant_id AND b.name = $3
         WHERE u.tenant_id = $1 AND u.user_id = $2",
    )
    .bind(tenant_id)
    .bind(user_id)
    .bind(BASIC)
    .fetch_optional(store.reader())
    .await?
    .ok_or(StoreError::Missing("user"))?;
    let own: Option<String> = row.try_get("own_language")?;
    let language = match own {
        Some(own) => known("fax_user", "language", own)?,
        None => known("tenant", "language", row.try_get("language")?)?,
    };
    let resolution: Option<String> = row.try_get("resolution")?;
    let paper: Option<String> = row.try_get("paper")?;
    let caller_number: Option<String> = row.try_get("caller_number")?;
    let caller_number = match caller_number {
        Some(number) => Some(number),
        None => {
            let group_id: String = row.try_get("group_id")?;
            numbers::first_of_group(store, tenant_id, &group_id)
                .await?
                .map(|number| number.e164)
        }
    };
    Ok(Settings {
        resolution: resolution.map_or(Ok(Resolution::Fine), resolution_named)?,
        paper: paper.map_or(Ok(Paper::A4), |paper| known("profile", "paper", paper))?,
        language,
        time_zone: row.try_get("time_zone")?,
        caller_number,
    })
}

fn resolution_named(name: String) -> Result<Resolution, StoreError> {
    match name.as_str() {
        "standard" => Ok(Resolution::Standard),
        "fine" => Ok(Resolution::Fine),
        "superfine" => Ok(Resolution::Superfine),
        _ => Err(StoreError::Unknown {
            table: "profile",
            column: "resolution",
            value: name,
        }),
    }
}
