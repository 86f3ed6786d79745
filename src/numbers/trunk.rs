//! Trunks: the providers that carry calls.

use sqlx::{Row as _, any::AnyRow};

use crate::{
    clock::{Millis, now_ms},
    store::{Store, StoreError, Tx, new_id},
};

/// What a trunk is offered of T.38.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum T38Policy {
    /// We ask for it.
    Offer,
    /// The trunk asks for it.
    Wait,
    /// Calls stay G.711.
    Never,
}

impl T38Policy {
    /// As the table has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Wait => "wait",
            Self::Never => "never",
        }
    }
}

impl std::str::FromStr for T38Policy {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        match text {
            "offer" => Ok(Self::Offer),
            "wait" => Ok(Self::Wait),
            "never" => Ok(Self::Never),
            _ => Err(unknown("t38", text)),
        }
    }
}

fn unknown(column: &'static str, value: impl ToString) -> StoreError {
    StoreError::Unknown {
        table: "trunk",
        column,
        value: value.to_string(),
    }
}

/// A trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// Id.
    pub trunk_id: String,
    /// The operator's tenant.
    pub tenant_id: String,
    /// Its name, one of a kind.
    pub name: String,
    /// Calls go over it.
    pub active: bool,
    /// Where it is: a name or an address.
    pub host: String,
    /// Its SIP port.
    pub port: u16,
    /// `udp`, `tcp`, `tls`.
    pub transport: String,
    /// Who we are there; `None`: it knows us by our address.
    pub sip_user: Option<String>,
    /// The password, in custody.
    pub password_custody_id: Option<String>,
    /// Calls at a time.
    pub channels: u32,
    /// `e164` (+33…) or `plain` (33…).
    pub number_format: String,
    /// T.38.
    pub t38: T38Policy,
    /// Lower is tried first.
    pub priority: i64,
    /// When.
    pub created_at: Millis,
}

/// A trunk to make; it is active at once.
#[derive(Clone, Debug)]
pub struct NewTrunk {
    /// The operator's tenant.
    pub tenant_id: String,
    /// Its name, one of a kind.
    pub name: String,
    /// Where it is.
    pub host: String,
    /// Its SIP port.
    pub port: u16,
    /// `udp`, `tcp`, `tls`.
    pub transport: String,
    /// Who we are there.
    pub sip_user: Option<String>,
    /// The password, in custody ([`crate::vault::What::Secret`]), recorded in this transaction.
    pub password_custody_id: Option<String>,
    /// Calls at a time.
    pub channels: u32,
    /// `e164` or `plain`.
    pub number_format: String,
    /// T.38.
    pub t38: T38Policy,
    /// Lower is tried first.
    pub priority: i64,
}

fn read(row: &AnyRow) -> Result<Trunk, StoreError> {
    let (port, channels): (i64, i64) = (row.try_get("port")?, row.try_get("channels")?);
    Ok(Trunk {
        trunk_id: row.try_get("trunk_id")?,
        tenant_id: row.try_get("tenant_id")?,
        name: row.try_get("name")?,
        active: row.try_get::<i64, _>("active")? != 0,
        host: row.try_get("host")?,
        port: u16::try_from(port).map_err(|_| unknown("port", port))?,
        transport: row.try_get("transport")?,
        sip_user: row.try_get("sip_user")?,
        password_custody_id: row.try_get("password_custody_id")?,
        channels: u32::try_from(channels).map_err(|_| unknown("channels", channels))?,
        number_format: row.try_get("number_format")?,
        t38: row.try_get::<String, _>("t38")?.parse()?,
        priority: row.try_get("priority")?,
        created_at: row.try_get("created_at")?,
    })
}

/// All trunks, those that are tried first in front. They serve all tenants, so none is asked for.
///
/// # Errors
/// What the database says.
pub async fn trunks(store: &Store) -> Result<Vec<Trunk>, StoreError> {
    sqlx::query(
        "SELECT trunk_id, tenant_id, name, active, host, port, transport, sip_user,
                password_custody_id, channels, number_format, t38, priority, created_at
         FROM trunk ORDER BY priority, created_at, trunk_id",
    )
    .fetch_all(store.reader())
    .await?
    .iter()
    .map(read)
    .collect()
}

/// The trunk with this id.
///
/// # Errors
/// What the database says.
pub async fn trunk(store: &Store, trunk_id: &str) -> Result<Option<Trunk>, StoreError> {
    sqlx::query(
        "SELECT trunk_id, tenant_id, name, active, host, port, transport, sip_user,
                password_custody_id, channels, number_format, t38, priority, created_at
         FROM trunk WHERE trunk_id = $1",
    )
    .bind(trunk_id)
    .fetch_optional(store.reader())
    .await?
    .map(|row| read(&row))
    .transpose()
}

/// Makes a trunk and returns its id.
///
/// # Errors
/// A unique violation when the name is taken.
pub async fn add_trunk(tx: &mut Tx, trunk: &NewTrunk) -> Result<String, StoreError> {
    let trunk_id = new_id();
    sqlx::query(
        "INSERT INTO trunk (trunk_id, tenant_id, name, active, host, port, transport, sip_user,
                            password_custody_id, channels, number_format, t38, priority, created_at)
         VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(&trunk_id)
    .bind(&trunk.tenant_id)
    .bind(&trunk.name)
    .bind(&trunk.host)
    .bind(i64::from(trunk.port))
    .bind(&trunk.transport)
    .bind(trunk.sip_user.as_deref())
    .bind(trunk.password_custody_id.as_deref())
    .bind(i64::from(trunk.channels))
    .bind(&trunk.number_format)
    .bind(trunk.t38.name())
    .bind(trunk.priority)
    .bind(now_ms())
    .execute(tx.conn())
    .await?;
    Ok(trunk_id)
}

/// Takes a trunk into or out of service.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such trunk.
pub async fn set_trunk_active(tx: &mut Tx, trunk_id: &str, active: bool) -> Result<(), StoreError> {
    let done = sqlx::query("UPDATE trunk SET active = $1 WHERE trunk_id = $2")
        .bind(i64::from(active))
        .bind(trunk_id)
        .execute(tx.conn())
        .await?;
    match done.rows_affected() {
        1 => Ok(()),
        _ => Err(StoreError::Missing("trunk")),
    }
}
