//! What happened on the line, row by row: calls, legs and page reports.

use std::collections::BTreeSet;

use sqlx::{Row, any::AnyRow};

use super::{
    attempt::{Offer, Tried},
    legs::Legs,
};
use crate::{
    clock::{Millis, now_ms},
    line::{CallEnding, CallOrder, Media, Negotiated, PageVerdict, SipEnding, Verdict},
    outcome::{self, RetryClass},
    store::{Store, StoreError, Tx},
};

/// A leg of a call, as it is recorded before the call is placed.
#[derive(Clone, Debug)]
pub struct LegRecord {
    /// The tenant.
    pub tenant_id: String,
    /// The call.
    pub call_id: String,
    /// The leg.
    pub leg_id: String,
    /// The job that it carries.
    pub job_id: String,
    /// 0-based page of the job that the leg starts at.
    pub first_page: u32,
}

/// The call goes on over another trunk.
pub(super) async fn moved(tx: &mut Tx, leg: &LegRecord, trunk_id: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE call SET trunk_id = $1 WHERE tenant_id = $2 AND call_id = $3")
        .bind(trunk_id)
        .bind(&leg.tenant_id)
        .bind(&leg.call_id)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Records that a call is about to be placed, with its legs in their order.
pub(super) async fn placed(
    tx: &mut Tx,
    legs: &Legs,
    order: &CallOrder,
    at: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO call (call_id, tenant_id, trunk_id, direction, local_number, remote_number, placed_at)
         VALUES ($1, $2, $3, 'out', $4, $5, $6)",
    )
    .bind(&order.call_id)
    .bind(&legs.call().tenant_id)
    .bind(&order.trunk_id)
    .bind(&order.from)
    .bind(&order.to)
    .bind(at)
    .execute(tx.conn())
    .await?;
    for (place, leg) in (0_i64..).zip(legs.iter()) {
        let leg = &leg.record;
        sqlx::query(
            "INSERT INTO leg (leg_id, tenant_id, call_id, job_id, place, first_page, offered_t38, offered_v17,
                              offered_ecm)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&leg.leg_id)
        .bind(&leg.tenant_id)
        .bind(&leg.call_id)
        .bind(&leg.job_id)
        .bind(place)
        .bind(i64::from(leg.first_page))
        .bind(i64::from(order.t38))
        .bind(i64::from(order.v17))
        .bind(i64::from(order.ecm))
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// Records the answer.
pub(super) async fn answered(tx: &mut Tx, leg: &LegRecord) -> Result<(), StoreError> {
    sqlx::query("UPDATE call SET answered_at = $1 WHERE tenant_id = $2 AND call_id = $3")
        .bind(now_ms())
        .bind(&leg.tenant_id)
        .bind(&leg.call_id)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Records that the data of a page is about to go out: from now on the page is unknown until its answer
/// is recorded. `page` counts from the leg's first.
pub(super) async fn page_data_next(
    tx: &mut Tx,
    leg: &LegRecord,
    page: u32,
) -> Result<(), StoreError> {
    data_page(tx, leg, Some(page)).await
}

/// Records what the far end said of the page on the line, which is no longer open by that.
pub(super) async fn answered_page(
    tx: &mut Tx,
    leg: &LegRecord,
    verdict: &PageVerdict,
) -> Result<(), StoreError> {
    page(tx, leg, verdict).await?;
    data_page(tx, leg, None).await
}

async fn data_page(tx: &mut Tx, leg: &LegRecord, page: Option<u32>) -> Result<(), StoreError> {
    sqlx::query("UPDATE leg SET data_page = $1 WHERE tenant_id = $2 AND leg_id = $3")
        .bind(page.map(|page| i64::from(leg.first_page + page)))
        .bind(&leg.tenant_id)
        .bind(&leg.leg_id)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Records what the far end said of a page; `page` counts from the leg's first. A confirmation stands.
pub(super) async fn page(
    tx: &mut Tx,
    leg: &LegRecord,
    verdict: &PageVerdict,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO page_report (leg_id, tenant_id, job_id, page, verdict, evidence, reported_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (leg_id, page) DO UPDATE SET verdict = excluded.verdict, evidence = excluded.evidence
         WHERE page_report.verdict <> 'confirmed'",
    )
    .bind(&leg.leg_id)
    .bind(&leg.tenant_id)
    .bind(&leg.job_id)
    .bind(i64::from(leg.first_page + verdict.page))
    .bind(verdict_name(verdict.verdict))
    .bind(&verdict.evidence)
    .bind(now_ms())
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Records how the call ended for one of its legs.
pub(super) async fn ended(
    tx: &mut Tx,
    leg: &LegRecord,
    ending: &CallEnding,
    outcome: &str,
) -> Result<(), StoreError> {
    let status = match &ending.sip {
        Some(SipEnding::Status(status)) => Some(i64::from(*status)),
        _ => None,
    };
    sqlx::query(
        "UPDATE call SET ended_at = $1, sip_status = $2, q850 = $3, media = $4
         WHERE tenant_id = $5 AND call_id = $6",
    )
    .bind(now_ms())
    .bind(status)
    .bind(ending.q850.map(i64::from))
    .bind(ending.media.map(media_name))
    .bind(&leg.tenant_id)
    .bind(&leg.call_id)
    .execute(tx.conn())
    .await?;
    let agreed: Option<&Negotiated> = ending.negotiated.as_ref();
    sqlx::query(
        "UPDATE leg SET t30_code = $1, remote_ident = $2, rate = $3, ecm = $4, resolution = $5,
                duration_ms = $6, outcome = $7
         WHERE tenant_id = $8 AND leg_id = $9",
    )
    .bind(ending.t30.map(i64::from))
    .bind(agreed.and_then(|agreed| agreed.remote_ident.clone()))
    .bind(agreed.map(|agreed| i64::from(agreed.rate)))
    .bind(agreed.map(|agreed| i64::from(agreed.ecm)))
    .bind(agreed.map(|agreed| agreed.vertical_dpi.to_string()))
    // Nothing is known of how long a call lasted whose end we did not see.
    .bind(
        (!ending.duration.is_zero())
            .then(|| i64::try_from(ending.duration.as_millis()).unwrap_or(i64::MAX)),
    )
    .bind(outcome)
    .bind(&leg.tenant_id)
    .bind(&leg.leg_id)
    .execute(tx.conn())
    .await?;
    for verdict in &ending.pages {
        page(tx, leg, verdict).await?;
    }
    Ok(())
}

/// A leg that is over.
pub(super) struct LegEnd {
    /// A key of `outcome`.
    pub outcome: String,
    /// Data of a page went out on it.
    pub page_data: bool,
}

/// The legs of a job that are over.
pub(super) async fn legs(
    tx: &mut Tx,
    tenant_id: &str,
    job_id: &str,
) -> Result<Vec<LegEnd>, StoreError> {
    let rows = sqlx::query(
        "SELECT leg.outcome, CAST(COUNT(page_report.page) AS BIGINT) AS pages
         FROM leg LEFT JOIN page_report
             ON page_report.leg_id = leg.leg_id AND page_report.verdict <> 'unsent'
         WHERE leg.tenant_id = $1 AND leg.job_id = $2 AND leg.outcome IS NOT NULL
         GROUP BY leg.leg_id, leg.outcome",
    )
    .bind(tenant_id)
    .bind(job_id)
    .fetch_all(tx.conn())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(LegEnd {
                outcome: row.try_get("outcome")?,
                page_data: row.try_get::<i64, _>("pages")? > 0,
            })
        })
        .collect()
}

/// What the calls of a job offered and how they ended, in order.
pub(super) async fn tried(
    store: &Store,
    tenant_id: &str,
    job_id: &str,
) -> Result<Vec<Tried>, StoreError> {
    let rows = sqlx::query(
        "SELECT leg.offered_t38, leg.offered_v17, leg.offered_ecm, leg.outcome, call.trunk_id, call.media
         FROM leg JOIN call ON call.call_id = leg.call_id AND call.tenant_id = leg.tenant_id
         WHERE leg.tenant_id = $1 AND leg.job_id = $2 AND leg.outcome IS NOT NULL
         ORDER BY call.placed_at, call.call_id",
    )
    .bind(tenant_id)
    .bind(job_id)
    .fetch_all(store.reader())
    .await?;
    rows.iter()
        .map(|row| {
            let offered = |column| -> Result<bool, StoreError> {
                Ok(row.try_get::<Option<i64>, _>(column)? != Some(0))
            };
            let media: Option<String> = row.try_get("media")?;
            let outcome: String = row.try_get("outcome")?;
            Ok(Tried {
                offer: Offer {
                    t38: offered("offered_t38")?,
                    v17: offered("offered_v17")?,
                    ecm: offered("offered_ecm")?,
                },
                trunk_id: row
                    .try_get::<Option<String>, _>("trunk_id")?
                    .unwrap_or_default(),
                media: [Media::T38, Media::G711]
                    .into_iter()
                    .find(|known| media.as_deref() == Some(media_name(*known))),
                // What this version doesn't know tells nothing of the offer.
                class: outcome::by_key(&outcome).map_or(RetryClass::Never, |known| known.retry),
            })
        })
        .collect()
}

/// The leg of a job that a crash left open, whether or not another leg of its call was closed before, with the
/// page whose data may have been on the line (counted from the leg's first).
pub(super) async fn open_leg(
    tx: &mut Tx,
    tenant_id: &str,
    job_id: &str,
) -> Result<Option<(LegRecord, Option<u32>)>, StoreError> {
    let row = sqlx::query(
        "SELECT leg.leg_id, leg.call_id, leg.first_page, leg.data_page
         FROM leg JOIN call ON call.call_id = leg.call_id AND call.tenant_id = leg.tenant_id
         WHERE leg.tenant_id = $1 AND leg.job_id = $2 AND leg.outcome IS NULL
         ORDER BY call.placed_at DESC LIMIT 1",
    )
    .bind(tenant_id)
    .bind(job_id)
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let leg = LegRecord {
        tenant_id: tenant_id.to_owned(),
        call_id: row.try_get("call_id")?,
        leg_id: row.try_get("leg_id")?,
        job_id: job_id.to_owned(),
        first_page: page_number(row.try_get("first_page")?),
    };
    let data_page: Option<i64> = row.try_get("data_page")?;
    let open = data_page.map(|page| page_number(page).saturating_sub(leg.first_page));
    Ok(Some((leg, open)))
}

/// What was said of a job's pages, in the order in which it was.
async fn told<'e>(
    by: impl sqlx::Executor<'e, Database = sqlx::Any>,
    tenant_id: &str,
    job_id: &str,
) -> Result<Vec<AnyRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT page, verdict FROM page_report WHERE tenant_id = $1 AND job_id = $2
         ORDER BY reported_at, leg_id",
    )
    .bind(tenant_id.to_owned())
    .bind(job_id.to_owned())
    .fetch_all(by)
    .await?;
    Ok(rows)
}

/// The best verdict on each page of a job over all its legs, page 0 first; what no leg speaks of is unsent.
///
/// Confirmed by any leg is confirmed; else the last word counts.
pub(super) async fn verdicts(
    tx: &mut Tx,
    tenant_id: &str,
    job_id: &str,
    pages: u32,
) -> Result<Vec<Verdict>, StoreError> {
    let rows = told(tx.conn(), tenant_id, job_id).await?;
    fold_verdicts(&rows, pages)
}

/// As [`verdicts`], outside a transaction, for reports.
pub(super) async fn verdicts_of(
    store: &Store,
    tenant_id: &str,
    job_id: &str,
    pages: u32,
) -> Result<Vec<Verdict>, StoreError> {
    let rows = told(store.reader(), tenant_id, job_id).await?;
    fold_verdicts(&rows, pages)
}

/// The pages (from 0, in order) that went out again though an earlier call had left them unknown: their
/// header line said so.
pub(super) async fn possible_repeats(
    store: &Store,
    tenant_id: &str,
    job_id: &str,
    pages: u32,
) -> Result<Vec<u32>, StoreError> {
    let rows = told(store.reader(), tenant_id, job_id).await?;
    let mut repeats = BTreeSet::new();
    for (at, row) in rows.iter().enumerate() {
        // What was known when the call was placed decides what was drawn.
        let before = fold_verdicts(&rows[..at], pages)?;
        let page = page_number(row.try_get("page")?);
        let verdict = verdict_of(&row.try_get::<String, _>("verdict")?);
        if before.get(page as usize) == Some(&Verdict::Unknown) && verdict != Verdict::Unsent {
            repeats.insert(page);
        }
    }
    Ok(repeats.into_iter().collect())
}

fn fold_verdicts(rows: &[AnyRow], pages: u32) -> Result<Vec<Verdict>, StoreError> {
    let mut verdicts = vec![Verdict::Unsent; pages as usize];
    for row in rows {
        let page: i64 = row.try_get("page")?;
        let name: String = row.try_get("verdict")?;
        let Some(slot) = usize::try_from(page)
            .ok()
            .and_then(|page| verdicts.get_mut(page))
        else {
            continue;
        };
        let verdict = verdict_of(&name);
        // "Unsent" of a later leg takes nothing back from what an earlier one left unknown.
        if *slot != Verdict::Confirmed && !(verdict == Verdict::Unsent && *slot != Verdict::Unsent)
        {
            *slot = verdict;
        }
    }
    Ok(verdicts)
}

/// The column's word for a verdict.
#[must_use]
pub fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Confirmed => "confirmed",
        Verdict::Refused => "refused",
        Verdict::Unknown => "unknown",
        Verdict::Unsent => "unsent",
    }
}

fn verdict_of(name: &str) -> Verdict {
    match name {
        "confirmed" => Verdict::Confirmed,
        "refused" => Verdict::Refused,
        "unsent" => Verdict::Unsent,
        // What this version can't read is no evidence of arrival.
        _ => Verdict::Unknown,
    }
}

/// The column's word for a medium.
#[must_use]
pub fn media_name(media: Media) -> &'static str {
    match media {
        Media::T38 => "t38",
        Media::G711 => "g711",
    }
}

/// A count or page number from its column; the tables hold no negative ones.
pub(super) fn page_number(column: i64) -> u32 {
    u32::try_from(column).unwrap_or(0)
}
