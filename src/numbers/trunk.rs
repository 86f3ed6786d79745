//! Trunks: the providers that carry calls.

use std::{fmt, net::IpAddr, str::FromStr};

use sqlx::{Row as _, any::AnyRow};

use super::words::unknown;
use crate::{
    clock::{Millis, now_ms},
    store::{Store, StoreError, Tx, new_id},
    vault::{Clear, STANDING, Sealed, Vault, VaultError},
};

/// What a trunk is offered of T.38.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum T38Policy {
    /// At once: in the INVITE.
    Offer,
    /// When the call stands: the far end may ask for it, and after a while we do.
    Wait,
    /// Calls stay G.711.
    Never,
}

/// How calls go to a trunk: SIP over one of its transports (RFC 3261 §18), or as jobs for HylaFAX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream under TLS.
    Tls,
    /// No SIP: a HylaFAX server with modems.
    Hylafax,
}

/// Whom the media of a trunk's calls are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaFrom {
    /// The address and the port that its SDP names: what is left of another call can't get in.
    Signalled,
    /// The machine that its SDP names, by the port that is heard first: for one whose media don't come from
    /// where they are to go (against RFC 4961).
    Machine,
    /// Whoever sends first: for a trunk behind a NAT, whose SDP names an address that we can't see.
    Nat,
}

/// How a trunk writes numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberFormat {
    /// `+33123456789`.
    E164,
    /// `33123456789`.
    Plain,
}

words!("trunk", T38Policy, "t38", "offer" => Offer, "wait" => Wait, "never" => Never);
words!("trunk", Transport, "transport", "udp" => Udp, "tcp" => Tcp, "tls" => Tls, "hylafax" => Hylafax);
words!("trunk", MediaFrom, "media", "signalled" => Signalled, "machine" => Machine, "nat" => Nat);
words!("trunk", NumberFormat, "number_format", "e164" => E164, "plain" => Plain);

/// Numbers that a trunk takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `+33`; `+` is every number.
    pub prefix: String,
    /// Of two equal prefixes the cheaper is tried first.
    pub cost: i64,
}

/// A trunk.
#[derive(Clone, PartialEq, Eq)]
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
    /// Its SIP port, or HylaFAX's; 0: SRV says where it is (RFC 3263), else the transport's own.
    pub port: u16,
    /// How calls go there.
    pub transport: Transport,
    /// Who we are there; `None`: it knows us by our address.
    pub sip_user: Option<String>,
    /// The password, sealed: [`Trunk::seal_password`].
    pub password: Option<Sealed>,
    /// The modem of a HylaFAX server that calls go over: `ttyS0`; `None`: any.
    pub modem: Option<String>,
    /// Register, and ask for this many seconds.
    pub register_s: Option<u32>,
    /// Networks that its calls come from beside its host: `198.51.100.0/24`.
    pub sources: Vec<String>,
    /// Calls at a time.
    pub channels: u32,
    /// Calls that may be placed in a minute.
    pub calls_per_minute: Option<u32>,
    /// Who calls, whoever sends (E.164); `None`: the sender's own number.
    pub caller_number: Option<String>,
    /// How it writes numbers.
    pub number_format: NumberFormat,
    /// Written before every called number.
    pub dial_prefix: String,
    /// T.38.
    pub t38: T38Policy,
    /// Whom media are taken from.
    pub media: MediaFrom,
    /// Lower is tried first.
    pub priority: i64,
    /// What it takes; none: every number at no cost.
    pub routes: Vec<Route>,
    /// When.
    pub created_at: Millis,
}

impl fmt::Debug for Trunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trunk")
            .field("trunk_id", &self.trunk_id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Trunk {
    /// A trunk that knows us by our address: UDP, four channels, T.38 once the call stands, every number.
    #[must_use]
    pub fn new(tenant_id: &str, name: &str, host: &str, port: u16) -> Self {
        Self {
            trunk_id: new_id(),
            tenant_id: tenant_id.to_owned(),
            name: name.to_owned(),
            active: true,
            host: host.to_owned(),
            port,
            transport: Transport::Udp,
            sip_user: None,
            password: None,
            modem: None,
            register_s: None,
            sources: Vec::new(),
            channels: 4,
            calls_per_minute: None,
            caller_number: None,
            number_format: NumberFormat::E164,
            dial_prefix: String::new(),
            t38: T38Policy::Wait,
            media: MediaFrom::Signalled,
            priority: 0,
            routes: Vec::new(),
            created_at: now_ms(),
        }
    }

    /// Takes a password. It is sealed with the standing key, which lies outside the database and is
    /// never destroyed: a day's key would take the password along.
    ///
    /// # Errors
    /// The key can't be had.
    pub fn seal_password(&mut self, vault: &Vault, password: &[u8]) -> Result<(), VaultError> {
        let sealed = vault.seal(&self.trunk_id, &self.tenant_id, STANDING, password)?;
        self.password = Some(sealed);
        Ok(())
    }

    /// The password in clear; `None` without one.
    ///
    /// # Errors
    /// The key is missing, or the password was sealed for another trunk.
    pub fn open_password(&self, vault: &Vault) -> Result<Option<Clear>, VaultError> {
        self.password
            .as_ref()
            .map(|sealed| vault.unseal(&self.trunk_id, &self.tenant_id, sealed))
            .transpose()
    }

    /// The longest of its prefixes that a number begins with, and its cost; `None`: not for this trunk.
    fn route_for(&self, number: &str) -> Option<(usize, i64)> {
        if self.routes.is_empty() {
            return Some((0, 0));
        }
        self.routes
            .iter()
            .filter(|route| number.starts_with(&route.prefix))
            .map(|route| (route.prefix.len(), route.cost))
            .max_by_key(|(length, _)| *length)
    }
}

/// The active trunks for a number in the order to try them: the longest matching prefix, then cost,
/// then priority.
#[must_use]
pub fn trunks_for(trunks: &[Trunk], number: &str) -> Vec<Trunk> {
    let mut fit: Vec<_> = trunks
        .iter()
        .filter(|trunk| trunk.active)
        .filter_map(|trunk| Some((trunk.route_for(number)?, trunk)))
        .collect();
    fit.sort_by_key(|((length, cost), trunk)| (std::cmp::Reverse(*length), *cost, trunk.priority));
    fit.into_iter().map(|(_, trunk)| trunk.clone()).collect()
}

/// A network as it is written: `198.51.100.0/24`, or one address.
#[must_use]
pub fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(width);
    // "Everybody" is never meant: a slip of the pen must not open the door to scanners.
    (1..=width).contains(&bits).then_some((address, bits))
}

const COLUMNS: &str = "trunk_id, tenant_id, name, active, host, port, transport, sip_user,
     password_sealed, modem, register_s, sources, channels, calls_per_minute, caller_number, number_format,
     dial_prefix, t38, media, priority, created_at";

fn count(column: &'static str, value: i64) -> Result<u32, StoreError> {
    u32::try_from(value).map_err(|_| unknown("trunk", column, value))
}

fn read(row: &AnyRow) -> Result<Trunk, StoreError> {
    let port: i64 = row.try_get("port")?;
    let optional = |column| -> Result<Option<u32>, StoreError> {
        let value: Option<i64> = row.try_get(column)?;
        value.map(|value| count(column, value)).transpose()
    };
    let sealed: Option<Vec<u8>> = row.try_get("password_sealed")?;
    Ok(Trunk {
        trunk_id: row.try_get("trunk_id")?,
        tenant_id: row.try_get("tenant_id")?,
        name: row.try_get("name")?,
        active: row.try_get::<i64, _>("active")? != 0,
        host: row.try_get("host")?,
        port: u16::try_from(port).map_err(|_| unknown("trunk", "port", port))?,
        transport: row.try_get::<String, _>("transport")?.parse()?,
        sip_user: row.try_get("sip_user")?,
        password: sealed
            .map(Sealed::from_stored)
            .transpose()
            .map_err(|error| unknown("trunk", "password_sealed", error))?,
        modem: row.try_get("modem")?,
        register_s: optional("register_s")?,
        sources: row
            .try_get::<String, _>("sources")?
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        channels: count("channels", row.try_get("channels")?)?,
        calls_per_minute: optional("calls_per_minute")?,
        caller_number: row.try_get("caller_number")?,
        number_format: row.try_get::<String, _>("number_format")?.parse()?,
        dial_prefix: row.try_get("dial_prefix")?,
        t38: row.try_get::<String, _>("t38")?.parse()?,
        media: row.try_get::<String, _>("media")?.parse()?,
        priority: row.try_get("priority")?,
        routes: Vec::new(),
        created_at: row.try_get("created_at")?,
    })
}

/// All trunks, by priority. They serve all tenants, so none is asked for.
///
/// # Errors
/// What the database says.
pub async fn trunks(store: &Store) -> Result<Vec<Trunk>, StoreError> {
    let mut trunks = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM trunk ORDER BY priority, created_at, trunk_id"
    )))
    .fetch_all(store.reader())
    .await?
    .iter()
    .map(read)
    .collect::<Result<Vec<_>, _>>()?;
    let routes =
        sqlx::query("SELECT trunk_id, prefix, cost FROM trunk_route ORDER BY trunk_id, prefix")
            .fetch_all(store.reader())
            .await?;
    for row in routes {
        let trunk_id: String = row.try_get("trunk_id")?;
        if let Some(trunk) = trunks.iter_mut().find(|trunk| trunk.trunk_id == trunk_id) {
            trunk.routes.push(Route {
                prefix: row.try_get("prefix")?,
                cost: row.try_get("cost")?,
            });
        }
    }
    Ok(trunks)
}

/// The trunk with this name.
///
/// # Errors
/// What the database says.
pub async fn trunk_by_name(store: &Store, name: &str) -> Result<Option<Trunk>, StoreError> {
    Ok(trunks(store)
        .await?
        .into_iter()
        .find(|trunk| trunk.name == name))
}

/// Records a new trunk.
///
/// # Errors
/// A unique violation when the name is taken.
pub async fn add_trunk(tx: &mut Tx, trunk: &Trunk) -> Result<(), StoreError> {
    // What the table wants filled; the rest of the columns follows as a change.
    sqlx::query(
        "INSERT INTO trunk (trunk_id, tenant_id, name, active, host, port, transport, sources,
                            channels, number_format, dial_prefix, t38, priority, created_at, media)
         VALUES ($1, $2, $3, 1, $4, 0, $5, '', 0, $6, '', $7, 0, $8, $9)",
    )
    .bind(&trunk.trunk_id)
    .bind(&trunk.tenant_id)
    .bind(&trunk.name)
    .bind(&trunk.host)
    .bind(trunk.transport.name())
    .bind(trunk.number_format.name())
    .bind(trunk.t38.name())
    .bind(trunk.created_at)
    .bind(trunk.media.name())
    .execute(tx.conn())
    .await?;
    change_trunk(tx, trunk).await
}

/// Records everything about a trunk anew, its routes too.
///
/// # Errors
/// [`StoreError::Missing`] when there is no such trunk (any more).
pub async fn change_trunk(tx: &mut Tx, trunk: &Trunk) -> Result<(), StoreError> {
    let done = sqlx::query(
        "UPDATE trunk SET name = $3, active = $4, host = $5, port = $6, transport = $7, sip_user = $8,
                password_sealed = $9, register_s = $10, sources = $11, channels = $12,
                calls_per_minute = $13, caller_number = $14, number_format = $15, dial_prefix = $16,
                t38 = $17, priority = $18, modem = $19, media = $20
         WHERE tenant_id = $1 AND trunk_id = $2",
    )
    .bind(&trunk.tenant_id)
    .bind(&trunk.trunk_id)
    .bind(&trunk.name)
    .bind(i64::from(trunk.active))
    .bind(&trunk.host)
    .bind(i64::from(trunk.port))
    .bind(trunk.transport.name())
    .bind(trunk.sip_user.as_deref())
    .bind(trunk.password.clone().map(Sealed::into_bytes))
    .bind(trunk.register_s.map(i64::from))
    .bind(trunk.sources.join(" "))
    .bind(i64::from(trunk.channels))
    .bind(trunk.calls_per_minute.map(i64::from))
    .bind(trunk.caller_number.as_deref())
    .bind(trunk.number_format.name())
    .bind(&trunk.dial_prefix)
    .bind(trunk.t38.name())
    .bind(trunk.priority)
    .bind(trunk.modem.as_deref())
    .bind(trunk.media.name())
    .execute(tx.conn())
    .await?;
    if done.rows_affected() != 1 {
        return Err(StoreError::Missing("trunk"));
    }
    drop_routes(tx, trunk).await?;
    for route in &trunk.routes {
        sqlx::query(
            "INSERT INTO trunk_route (trunk_id, tenant_id, prefix, cost) VALUES ($1, $2, $3, $4)",
        )
        .bind(&trunk.trunk_id)
        .bind(&trunk.tenant_id)
        .bind(&route.prefix)
        .bind(route.cost)
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// Removes a trunk with its routes, its password and what was known of its state.
///
/// # Errors
/// What the database says.
pub async fn remove_trunk(tx: &mut Tx, trunk: &Trunk) -> Result<(), StoreError> {
    drop_routes(tx, trunk).await?;
    for table in ["trunk_state", "trunk"] {
        sqlx::query(sqlx::AssertSqlSafe(format!(
            "DELETE FROM {table} WHERE tenant_id = $1 AND trunk_id = $2"
        )))
        .bind(&trunk.tenant_id)
        .bind(&trunk.trunk_id)
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

async fn drop_routes(tx: &mut Tx, trunk: &Trunk) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM trunk_route WHERE tenant_id = $1 AND trunk_id = $2")
        .bind(&trunk.tenant_id)
        .bind(&trunk.trunk_id)
        .execute(tx.conn())
        .await?;
    Ok(())
}
