//! What was sent in a day, by user, tenant and number. Faxes are counted in the transaction that accepts them, so that
//! all nodes count together and a restart forgets nothing; pages are those that settled a hold.

use std::collections::{BTreeMap, HashMap};

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use sqlx::Row as _;

use crate::{
    clock::Millis,
    store::{Cell, Insert, Store, StoreError, Tx},
};

/// A day of a tenant's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Days since 1970 there.
    pub number: i64,
    /// Its first moment.
    pub starts: Millis,
    /// The first moment of the next.
    pub ends: Millis,
}

impl Day {
    /// The day that it is at `now` in a time zone (an IANA name; UTC where it is unknown).
    #[must_use]
    pub fn at(now: Millis, zone: &str) -> Self {
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        let here = Timestamp::from_millisecond(now)
            .unwrap_or(Timestamp::UNIX_EPOCH)
            .to_zoned(zone.clone());
        let (date, next) = (here.date(), here.date().saturating_add(1.day()));
        // A day may have 23 or 25 hours.
        let first = |date: Date| {
            date.to_zoned(zone.clone())
                .map_or(now, |first| first.timestamp().as_millisecond())
        };
        let since = date.since(Date::constant(1970, 1, 1));
        Self {
            number: since.map_or(0, |days| i64::from(days.get_days())),
            starts: first(date),
            ends: first(next),
        }
    }
}

/// Who or what is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A user, guests among them, by id.
    User(String),
    /// All of the tenant.
    Tenant,
    /// A number: E.164 with the plus sign.
    Number(String),
}

impl Subject {
    fn text(&self) -> String {
        match self {
            Self::User(id) => format!("user {id}"),
            Self::Tenant => "tenant".to_owned(),
            Self::Number(number) => format!("number {number}"),
        }
    }
}

/// One count: whose, of what, which day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counter {
    /// The tenant.
    pub tenant_id: String,
    /// What is counted.
    pub subject: Subject,
    /// [`Day::number`].
    pub day: i64,
}

/// Counts faxes and returns each count as it is then. In the order of the keys: two nodes that lock them in turn would
/// otherwise lock each other out.
///
/// # Errors
/// What the database says; then the transaction is lost.
pub async fn count(
    tx: &mut Tx,
    faxes: &BTreeMap<Counter, i64>,
) -> Result<HashMap<Counter, i64>, StoreError> {
    static ROWS: Insert = Insert::with_tail(
        "INSERT INTO day_count (tenant_id, subject, day, faxes)",
        4,
        " ON CONFLICT (tenant_id, subject, day) DO UPDATE SET faxes = day_count.faxes + excluded.faxes
          RETURNING tenant_id, subject, day, faxes",
    );
    let rows = faxes.iter().map(|(counter, faxes)| {
        vec![
            Cell::from(counter.tenant_id.as_str()),
            counter.subject.text().into(),
            counter.day.into(),
            (*faxes).into(),
        ]
    });
    let mut totals: HashMap<(String, String, i64), i64> = HashMap::new();
    for row in ROWS.returning(tx, rows.collect()).await? {
        let key = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        totals.insert(key, row.try_get(3)?);
    }
    let mut counts = HashMap::with_capacity(faxes.len());
    for counter in faxes.keys() {
        let key = (
            counter.tenant_id.clone(),
            counter.subject.text(),
            counter.day,
        );
        let total = totals.get(&key).ok_or(StoreError::Missing("day count"))?;
        counts.insert(counter.clone(), *total);
    }
    Ok(counts)
}

/// Faxes that were counted.
///
/// # Errors
/// What the database says.
pub async fn counted(store: &Store, counter: &Counter) -> Result<i64, StoreError> {
    let count: Option<i64> = sqlx::query_scalar(
        "SELECT faxes FROM day_count WHERE tenant_id = $1 AND subject = $2 AND day = $3",
    )
    .bind(&counter.tenant_id)
    .bind(counter.subject.text())
    .bind(counter.day)
    .fetch_optional(store.reader())
    .await?;
    Ok(count.unwrap_or(0))
}

/// A tenant's confirmed pages since a moment, or one user's.
const PAGES: &str = "SELECT CAST(COALESCE(SUM(pages), 0) AS BIGINT) FROM hold
     WHERE tenant_id = $1 AND settled_at >= $2 AND ($3 = '' OR user_id = $3)";

/// Pages that settled holds since `since`: of a user, or of the whole tenant.
///
/// # Errors
/// What the database says.
pub async fn pages_since(
    tx: &mut Tx,
    tenant_id: &str,
    user_id: Option<&str>,
    since: Millis,
) -> Result<i64, StoreError> {
    let pages = sqlx::query_scalar(PAGES)
        .bind(tenant_id)
        .bind(since)
        .bind(user_id.unwrap_or_default())
        .fetch_one(tx.conn())
        .await?;
    Ok(pages)
}

/// The same outside a transaction.
///
/// # Errors
/// What the database says.
pub async fn pages_until_now(
    store: &Store,
    tenant_id: &str,
    user_id: Option<&str>,
    since: Millis,
) -> Result<i64, StoreError> {
    let pages = sqlx::query_scalar(PAGES)
        .bind(tenant_id)
        .bind(since)
        .bind(user_id.unwrap_or_default())
        .fetch_one(store.reader())
        .await?;
    Ok(pages)
}

/// Forgets the counts of days before `day`, of all tenants.
///
/// # Errors
/// What the database says.
pub async fn forget_counts(store: &Store, day: i64) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    sqlx::query("DELETE FROM day_count WHERE day < $1")
        .bind(day)
        .execute(tx.conn())
        .await?;
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    #[test]
    fn a_day_is_the_tenants() {
        // 2026-11-22 23:30 in London is 00:30 of the next day in Paris.
        let now = Timestamp::from_second(1_795_390_200)
            .unwrap()
            .as_millisecond();
        let (london, paris) = (Day::at(now, "Europe/London"), Day::at(now, "Europe/Paris"));
        assert_eq!(paris.number, london.number + 1);
        assert_eq!(
            (now - paris.starts, london.ends - now),
            (HOUR / 2, HOUR / 2)
        );
        assert_eq!(Day::at(now, "Nowhere/At_All"), Day::at(now, "UTC"));
        // The day on which summer time ends has 25 hours.
        let autumn = Day::at(1_792_929_600_000, "Europe/Paris");
        assert_eq!(autumn.ends - autumn.starts, 25 * HOUR);
    }
}
