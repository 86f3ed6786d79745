//! The first job of each lane that could go now: what turns are taken of.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row;

use super::{fair::Head, records::page_number, state::State};
use crate::{
    clock::Millis,
    numbers::Trunk,
    store::{Kind, Store, StoreError},
};

/// The numbers that some trunks take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Every number.
    All,
    /// Those that begin so.
    Prefixes(BTreeSet<String>),
}

impl Takes {
    /// What at least one of these trunks takes.
    pub fn of<'a>(trunks: impl IntoIterator<Item = &'a Trunk>) -> Self {
        let mut prefixes = BTreeSet::new();
        for trunk in trunks {
            if trunk.routes.is_empty() {
                return Self::All;
            }
            prefixes.extend(trunk.routes.iter().map(|route| route.prefix.clone()));
        }
        if prefixes.contains("+") {
            return Self::All;
        }
        Self::Prefixes(prefixes)
    }

    /// Whether one of them takes this number.
    pub fn takes(&self, number: &str) -> bool {
        match self {
            Self::All => true,
            Self::Prefixes(prefixes) => prefixes.iter().any(|p| number.starts_with(p.as_str())),
        }
    }

    /// As SQL on `column`, with placeholders from `first`; and what stands in them. A list for each length:
    /// a price list of thousands of prefixes costs a few look-ups a number.
    pub fn sql(&self, column: &str, first: usize) -> (String, Vec<String>) {
        let Self::Prefixes(prefixes) = self else {
            return ("1 = 1".to_owned(), Vec::new());
        };
        let mut lengths: BTreeMap<usize, Vec<&String>> = BTreeMap::new();
        for prefix in prefixes {
            lengths.entry(prefix.len()).or_default().push(prefix);
        }
        let (mut terms, mut values) = (vec!["1 = 0".to_owned()], Vec::new());
        for (length, prefixes) in lengths {
            let places: Vec<String> = (0..prefixes.len())
                .map(|n| format!("${}", first + values.len() + n))
                .collect();
            terms.push(format!(
                "substr({column}, 1, {length}) IN ({})",
                places.join(", ")
            ));
            values.extend(prefixes.into_iter().cloned());
        }
        (format!("({})", terms.join(" OR ")), values)
    }
}

/// The lanes with jobs in `states`, by jumping from one to the next over the index, not over the jobs; then
/// of each the first job for which `fit` holds. The states stand in the text: a partial index serves only
/// conditions that are known when the statement is planned.
fn sql(kind: Kind, states: &str, fit: &str) -> String {
    let first = |columns: &str| {
        format!(
            "SELECT {columns} FROM job AS next
             WHERE next.lane = lanes.lane AND next.state IN ({states}) AND next.run_at <= $1 AND {fit}
             ORDER BY next.place, next.job_id LIMIT 1"
        )
    };
    // PostgreSQL would rather hash the whole table than look up one row a lane; SQLite knows no LATERAL.
    let heads = match kind {
        Kind::Postgres => format!("CROSS JOIN LATERAL ({}) AS job", first("next.*")),
        Kind::Sqlite => format!("JOIN job ON job.job_id = ({})", first("next.job_id")),
    };
    format!(
        "WITH RECURSIVE lanes(lane) AS (
             SELECT MIN(lane) FROM job WHERE state IN ({states})
             UNION ALL
             SELECT (SELECT MIN(job.lane) FROM job WHERE job.state IN ({states}) AND job.lane > lanes.lane)
             FROM lanes WHERE lanes.lane IS NOT NULL)
         SELECT job.tenant_id, job.user_id, job.job_id, job.submission_id, job.state, job.destination,
                job.priority, COALESCE(job.send_at, job.accepted_at) AS accepted_at, job.pages_total
         FROM lanes {heads}
         WHERE lanes.lane IS NOT NULL"
    )
}

fn quoted(states: &[State]) -> String {
    let names: Vec<String> = states
        .iter()
        .map(|state| format!("'{}'", state.name()))
        .collect();
    names.join(", ")
}

fn to_dial_sql(kind: Kind, takes: &Takes) -> (String, Vec<String>) {
    let (takes, prefixes) = takes.sql("next.destination", 2);
    let on_line = quoted(&[State::Dialling, State::Sending]);
    let fit = format!(
        "next.opens_at <= $1 AND {takes} AND NOT EXISTS (
             SELECT 1 FROM job AS busy WHERE busy.destination = next.destination AND busy.state IN ({on_line})
             AND busy.carried_by IS NULL)"
    );
    (
        sql(kind, &quoted(&[State::Ready, State::Waiting]), &fit),
        prefixes,
    )
}

/// The first job of each lane that may be called now, whose number one of the trunks with room takes, and
/// has no call.
pub(super) async fn to_dial(
    store: &Store,
    now: Millis,
    takes: &Takes,
) -> Result<Vec<Head>, StoreError> {
    let (text, prefixes) = to_dial_sql(store.kind(), takes);
    fetch(store, text, now, prefixes).await
}

/// The first job of each lane that is to be rendered.
pub(super) async fn to_render(store: &Store, now: Millis) -> Result<Vec<Head>, StoreError> {
    let text = sql(store.kind(), &quoted(&[State::Queued]), "1 = 1");
    fetch(store, text, now, Vec::new()).await
}

async fn fetch(
    store: &Store,
    text: String,
    now: Millis,
    prefixes: Vec<String>,
) -> Result<Vec<Head>, StoreError> {
    let mut query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(now);
    for prefix in prefixes {
        query = query.bind(prefix);
    }
    let rows = query.fetch_all(store.reader()).await?;
    rows.iter()
        .map(|row| {
            Ok(Head {
                tenant_id: row.try_get("tenant_id")?,
                user_id: row.try_get("user_id")?,
                job_id: row.try_get("job_id")?,
                submission_id: row.try_get("submission_id")?,
                state: (row.try_get::<String, _>("state")?.parse())
                    .map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
                destination: row.try_get("destination")?,
                priority: row.try_get("priority")?,
                accepted_at: row.try_get("accepted_at")?,
                pages: page_number(row.try_get::<Option<i64>, _>("pages_total")?.unwrap_or(1)),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
