//! How trunks are, as each gateway that uses them told it: for the status page and for commands, which
//! run in processes of their own.

use sqlx::{Row as _, any::AnyRow};

use crate::{
    clock::Millis,
    store::{Store, StoreError, Tx},
};

/// Whether calls can go over a trunk, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// It answers, and is registered where it wants that.
    Up,
    /// It does not, or refused to register.
    Down,
    /// Not asked yet.
    #[default]
    Unknown,
}

impl Reach {
    /// As the table has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

/// How a trunk is. Times are Unix milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct TrunkState {
    /// Whether calls can go over it.
    pub reach: Reach,
    /// Since when.
    pub since: Millis,
    /// Since when it is registered; `None`: it isn't.
    pub registered_since: Option<Millis>,
    /// Until when, unless it is refreshed.
    pub registered_until: Option<Millis>,
    /// When it answered OPTIONS last.
    pub answered_at: Option<Millis>,
    /// The last failure, a sentence; it stays when it is over.
    pub failure: Option<String>,
    /// When.
    pub failed_at: Option<Millis>,
    /// Until when it asked to be left alone (Retry-After).
    pub rests_until: Option<Millis>,
}

/// A state in words: "up for 3 h, registered for 3 h, OPTIONS answered 12 s ago".
#[must_use]
pub fn state_words(state: &TrunkState, now: Millis) -> String {
    let mut words = vec![match state.reach {
        Reach::Up => format!("up for {}", ago(now - state.since)),
        Reach::Down => format!("down for {}", ago(now - state.since)),
        Reach::Unknown => "not asked yet".to_owned(),
    }];
    if let Some(since) = state.registered_since {
        words.push(format!("registered for {}", ago(now - since)));
    }
    if let Some(at) = state.answered_at {
        words.push(format!("OPTIONS answered {} ago", ago(now - at)));
    }
    if let Some(until) = state.rests_until.filter(|until| *until > now) {
        words.push(format!(
            "left alone for another {}, as it asked",
            ago(until - now)
        ));
    }
    if let (Some(failure), Some(at)) = (&state.failure, state.failed_at) {
        words.push(format!("last failure {} ago: {failure}", ago(now - at)));
    }
    words.join(", ")
}

/// A span of time in words.
#[must_use]
pub fn ago(ms: Millis) -> String {
    match ms.max(0) / 1000 {
        s @ 0..=119 => format!("{s} s"),
        s @ 120..=7199 => format!("{} min", s / 60),
        s @ 7200..=172_799 => format!("{} h", s / 3600),
        s => format!("{} days", s / 86_400),
    }
}

/// What one gateway told of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldState {
    /// Which trunk.
    pub trunk_id: String,
    /// Which gateway.
    pub node: String,
    /// What it told.
    pub state: TrunkState,
    /// When.
    pub told_at: Millis,
}

/// Records what this gateway (`node`) knows of a trunk now.
///
/// # Errors
/// What the database says.
pub async fn tell_state(
    tx: &mut Tx,
    tenant_id: &str,
    trunk_id: &str,
    node: &str,
    state: &TrunkState,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO trunk_state (trunk_id, tenant_id, node, state, since, registered_since,
                                  registered_until, answered_at, failure, failed_at, told_at,
                                  rests_until)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (trunk_id, node) DO UPDATE SET
             state = excluded.state, since = excluded.since,
             registered_since = excluded.registered_since,
             registered_until = excluded.registered_until, answered_at = excluded.answered_at,
             failure = excluded.failure, failed_at = excluded.failed_at, told_at = excluded.told_at,
             rests_until = excluded.rests_until",
    )
    .bind(trunk_id)
    .bind(tenant_id)
    .bind(node)
    .bind(state.reach.name())
    .bind(state.since)
    .bind(state.registered_since)
    .bind(state.registered_until)
    .bind(state.answered_at)
    .bind(state.failure.as_deref())
    .bind(state.failed_at)
    .bind(now)
    .bind(state.rests_until)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What every gateway told of every trunk. Trunks serve all tenants, so none is asked for.
///
/// # Errors
/// What the database says.
pub async fn told_states(store: &Store) -> Result<Vec<ToldState>, StoreError> {
    sqlx::query(
        "SELECT trunk_id, node, state, since, registered_since, registered_until, answered_at,
                failure, failed_at, told_at, rests_until
         FROM trunk_state ORDER BY trunk_id, node",
    )
    .fetch_all(store.reader())
    .await?
    .iter()
    .map(read)
    .collect()
}

fn read(row: &AnyRow) -> Result<ToldState, StoreError> {
    let reach: String = row.try_get("state")?;
    let reach = match reach.as_str() {
        "up" => Reach::Up,
        "down" => Reach::Down,
        "unknown" => Reach::Unknown,
        _ => {
            return Err(StoreError::Unknown {
                table: "trunk_state",
                column: "state",
                value: reach,
            });
        }
    };
    Ok(ToldState {
        trunk_id: row.try_get("trunk_id")?,
        node: row.try_get("node")?,
        state: TrunkState {
            reach,
            since: row.try_get("since")?,
            registered_since: row.try_get("registered_since")?,
            registered_until: row.try_get("registered_until")?,
            answered_at: row.try_get("answered_at")?,
            failure: row.try_get("failure")?,
            failed_at: row.try_get("failed_at")?,
            rests_until: row.try_get("rests_until")?,
        },
        told_at: row.try_get("told_at")?,
    })
}
