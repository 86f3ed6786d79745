//! Writes the report of each submission that is closed: from the records, so that it says the same
//! however often a restart interrupts it.

use std::{sync::Arc, time::Duration};

use faxpost_t4::tiff;
use sqlx::Row;
use tokio_util::sync::CancellationToken;

use super::{
    Inner,
    closing::{REPORT_PREFIX, report_purpose},
    notifications, pages, profiles, receipt,
    records::{self, page_number},
};
use crate::{
    letter::{self, Attempt, CoverSaid, Detail, DocumentNote, Report, ReportJob, Said},
    options::{Options, ReportWish},
    people,
    relay::{self, Draft},
    store::{Topic, Tx},
    vault::{Custody, NewItem, What},
};

/// Drafts written in one go.
const BATCH: i64 = 16;
/// How often faxes that are late are looked for.
const DELAYS_EVERY: Duration = Duration::from_secs(15);

/// Writes reports until `stop`.
pub(super) async fn run(queue: Arc<Inner>, stop: CancellationToken) {
    let mut wake = queue.store.listen(Topic::Outbox);
    let mut delays = tokio::time::interval(DELAYS_EVERY);
    while !stop.is_cancelled() {
        match write_all(&queue).await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "reports can't be written; trying again"
                );
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = wake.heard() => {}
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
            _ = delays.tick() => {
                if let Err(error) = notifications::tell_delays(&queue).await {
                    tracing::warn!(error = format!("{error:#}"), "delays can't be told; trying again");
                }
            }
        }
    }
}

async fn write_all(queue: &Inner) -> anyhow::Result<usize> {
    let drafts = relay::to_compose(&queue.store, REPORT_PREFIX, BATCH).await?;
    let mut written = 0;
    for draft in drafts {
        match write(queue, &draft).await {
            Ok(()) => written += 1,
            Err(error) => {
                tracing::error!(
                    mail = draft.mail_id,
                    error = format!("{error:#}"),
                    "a report can't be written"
                );
                relay::put_off_draft(&queue.store, &draft.mail_id).await?;
            }
        }
    }
    Ok(written)
}

async fn write(queue: &Inner, draft: &Draft) -> anyhow::Result<()> {
    let submission_id = draft
        .purpose
        .strip_prefix(REPORT_PREFIX)
        .unwrap_or(&draft.purpose);
    debug_assert_eq!(report_purpose(submission_id), draft.purpose);
    let (mut report, wish) = facts(queue, draft, submission_id).await?;
    let asked = notifications::asked(queue, &draft.tenant_id, submission_id, &report.jobs).await?;
    if asked.is_none() && unwanted(wish, &report) {
        let mut tx = queue.store.begin().await?;
        relay::drop_draft(&mut tx, &draft.tenant_id, &draft.mail_id).await?;
        release(&queue.custody, &mut tx, &draft.tenant_id, submission_id).await?;
        tx.commit().await?;
        return Ok(());
    }
    let mail = match &asked {
        Some(asked) => {
            report.to.clone_from(&asked.to);
            letter::report_as_dsn(&report, &asked.dsn)?
        }
        None => letter::report(&report)?,
    };
    let kept = queue
        .custody
        .keep_one(NewItem {
            tenant_id: draft.tenant_id.clone(),
            what: What::Mail,
            bytes: mail,
        })
        .await?;
    let mut tx = queue.store.begin().await?;
    queue.custody.record(&mut tx, &kept).await?;
    if let Some(asked) = &asked {
        // RFC 3464 §2: a notification can't come back.
        relay::readdress(&mut tx, &draft.mail_id, &asked.to, "").await?;
    }
    if !relay::ready(&mut tx, &draft.mail_id, &kept.custody_id).await? {
        // Written by another node meanwhile: what nobody sends must not stay in custody.
        return Ok(());
    }
    release(&queue.custody, &mut tx, &draft.tenant_id, submission_id).await?;
    tx.commit().await?;
    queue.store.wake(Topic::Outbox);
    Ok(())
}

/// Whether the mail itself asked for no report of this.
fn unwanted(wish: Option<ReportWish>, report: &Report) -> bool {
    match wish {
        None | Some(ReportWish::Always) => false,
        Some(ReportWish::Failed) => report.jobs.iter().all(|job| job.state == "sent"),
        Some(ReportWish::None) => true,
    }
}

/// Ends the custody of submissions whose report could not be written in its time: what it was to be written
/// from has served, and must not keep a day's key. The status page counts the report as dropped.
pub(super) async fn release_unwritten(queue: &Inner) -> anyhow::Result<()> {
    if !relay::has_unwritten(&queue.store, REPORT_PREFIX).await? {
        return Ok(());
    }
    let mut tx = queue.store.begin().await?;
    let dropped = relay::drop_unwritten(&mut tx, REPORT_PREFIX).await?;
    for (tenant_id, purpose) in &dropped {
        if let Some(submission_id) = purpose.strip_prefix(REPORT_PREFIX) {
            release(&queue.custody, &mut tx, tenant_id, submission_id).await?;
            tracing::error!(
                submission = submission_id,
                "its report could not be written for three days: it is given up"
            );
        }
    }
    tx.commit().await?;
    Ok(())
}

/// With the report written, the submission's own custody has served: message, rendition and covers.
async fn release(
    custody: &Custody,
    tx: &mut Tx,
    tenant_id: &str,
    submission_id: &str,
) -> anyhow::Result<()> {
    let rows = sqlx::query(
        "SELECT custody_id FROM submission WHERE tenant_id = $1 AND submission_id = $2
         UNION SELECT custody_id FROM rendition
             WHERE tenant_id = $1 AND submission_id = $2 AND custody_id IS NOT NULL
         UNION SELECT cover_custody_id FROM job
             WHERE tenant_id = $1 AND submission_id = $2 AND cover_custody_id IS NOT NULL",
    )
    .bind(tenant_id)
    .bind(submission_id)
    .fetch_all(tx.conn())
    .await?;
    for row in rows {
        let custody_id: String = row.try_get(0)?;
        custody.done(tx, tenant_id, &custody_id).await?;
    }
    Ok(())
}

async fn facts(
    queue: &Inner,
    draft: &Draft,
    submission_id: &str,
) -> anyhow::Result<(Report, Option<ReportWish>)> {
    let submission = sqlx::query(
        "SELECT user_id, message_id, subject, proof, accepted_at, options FROM submission
         WHERE tenant_id = $1 AND submission_id = $2",
    )
    .bind(&draft.tenant_id)
    .bind(submission_id)
    .fetch_one(queue.store.reader())
    .await?;
    let user_id: String = submission.try_get("user_id")?;
    let settings = people::settings_for(&queue.store, &draft.tenant_id, &user_id).await?;
    let sending = profiles::rules(queue, &draft.tenant_id, &user_id)
        .await?
        .sending;
    let rows = sqlx::query(
        "SELECT job_id, destination, sub_address, code, state, tries, rendition_id, cover_custody_id, cover_notes,
                pages_total, pages_confirmed, outcome, outcome_note, finished_at
         FROM job WHERE tenant_id = $1 AND submission_id = $2 ORDER BY job_id",
    )
    .bind(&draft.tenant_id)
    .bind(submission_id)
    .fetch_all(queue.store.reader())
    .await?;
    let mut jobs = Vec::new();
    let mut picture = None;
    let mut notes = rendition_notes(queue, &draft.tenant_id, submission_id).await?;
    for row in &rows {
        add_cover_notes(&mut notes, row)?;
        let job_id: String = row.try_get("job_id")?;
        let pages = page_number(row.try_get::<Option<i64>, _>("pages_total")?.unwrap_or(0));
        if picture.is_none() && !sending.discreet {
            picture = first_page(queue, &draft.tenant_id, row)
                .await
                .unwrap_or_else(|error| {
                    // A report without a picture is still the report that is owed.
                    tracing::warn!(
                        job = job_id,
                        error = format!("{error:#}"),
                        "no picture for a report"
                    );
                    None
                });
        }
        jobs.push(ReportJob {
            destination: row.try_get("destination")?,
            sub_address: row.try_get("sub_address")?,
            code: row.try_get("code")?,
            state: row
                .try_get::<String, _>("state")?
                .parse::<super::State>()?
                .name()
                .to_owned(),
            outcome: row
                .try_get::<Option<String>, _>("outcome")?
                .unwrap_or_default(),
            note: row
                .try_get::<Option<String>, _>("outcome_note")?
                .and_then(|note| Detail::from_column(&note)),
            pages,
            confirmed: page_number(row.try_get("pages_confirmed")?),
            verdicts: records::verdicts_of(&queue.store, &draft.tenant_id, &job_id, pages).await?,
            repeats: records::possible_repeats(&queue.store, &draft.tenant_id, &job_id, pages)
                .await?,
            calls: page_number(row.try_get("tries")?),
            last: last_attempt(queue, &draft.tenant_id, &job_id, &settings).await?,
        });
    }
    let mut report = Report {
        message_id: draft.message_id.clone(),
        from: queue.report_from.clone(),
        to: draft.recipient.clone(),
        date_ms: crate::clock::now_ms(),
        language: settings.language,
        time_zone: settings.time_zone.clone(),
        in_reply_to: submission.try_get("message_id")?,
        subject: match sending.discreet {
            true => String::new(),
            false => submission.try_get("subject")?,
        },
        submission_id: submission_id.to_owned(),
        proof: submission.try_get("proof")?,
        jobs,
        notes,
        first_page_png: picture,
        discreet: sending.discreet,
        receipt: None,
        json: sending.json,
    };
    let options = submission.try_get::<Option<String>, _>("options")?;
    let options = Options::from_column(options.as_deref());
    let wanted = !unwanted(options.report, &report);
    if wanted && options.receipt.unwrap_or(sending.receipt) {
        report.receipt = receipt::draw(queue, &report, &settings).await;
    }
    Ok((report, options.report))
}

async fn last_attempt(
    queue: &Inner,
    tenant_id: &str,
    job_id: &str,
    settings: &people::Settings,
) -> anyhow::Result<Option<Attempt>> {
    let row = sqlx::query(
        "SELECT leg.remote_ident, leg.rate, leg.ecm, leg.duration_ms, leg.t30_code, leg.outcome,
                call.placed_at, call.sip_status, call.q850, call.media
         FROM leg JOIN call ON call.call_id = leg.call_id AND call.tenant_id = leg.tenant_id
         WHERE leg.tenant_id = $1 AND leg.job_id = $2 ORDER BY call.placed_at DESC, leg.leg_id DESC LIMIT 1",
    )
    .bind(tenant_id)
    .bind(job_id)
    .fetch_optional(queue.store.reader())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let number = |name: &str| -> anyhow::Result<Option<u32>> {
        Ok(row.try_get::<Option<i64>, _>(name)?.map(page_number))
    };
    Ok(Some(Attempt {
        started: pages::local_date(row.try_get("placed_at")?, settings),
        duration_ms: number("duration_ms")?,
        rate: number("rate")?,
        ecm: number("ecm")?.map(|ecm| ecm != 0),
        remote_ident: row.try_get("remote_ident")?,
        media: row.try_get("media")?,
        t30_code: number("t30_code")?,
        sip_status: number("sip_status")?,
        q850: number("q850")?,
    }))
}

/// What is to be told of a job's cover, once for all jobs of which it is the same.
fn add_cover_notes(notes: &mut Vec<DocumentNote>, job: &sqlx::any::AnyRow) -> anyhow::Result<()> {
    let Some(said) = job.try_get::<Option<String>, _>("cover_notes")? else {
        return Ok(());
    };
    for said in CoverSaid::from_column(&said) {
        let note = DocumentNote {
            name: String::new(),
            said: Said::Cover(said),
        };
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    Ok(())
}

async fn rendition_notes(
    queue: &Inner,
    tenant_id: &str,
    submission_id: &str,
) -> anyhow::Result<Vec<DocumentNote>> {
    let notes: Vec<String> = sqlx::query_scalar(
        "SELECT notes FROM rendition WHERE tenant_id = $1 AND submission_id = $2 ORDER BY rendition_id",
    )
    .bind(tenant_id)
    .bind(submission_id)
    .fetch_all(queue.store.reader())
    .await?;
    let mut all = Vec::new();
    for list in notes {
        // Of two renditions of one mail, drawn before and after a change of its profile, most is the same.
        for note in serde_json::from_str::<Vec<DocumentNote>>(&list)? {
            if !all.contains(&note) {
                all.push(note);
            }
        }
    }
    Ok(all)
}

/// The picture of the first page of the first job that has one: its cover, else the rendition.
async fn first_page(
    queue: &Inner,
    tenant_id: &str,
    job: &sqlx::any::AnyRow,
) -> anyhow::Result<Option<Vec<u8>>> {
    let custody_id: Option<String> =
        match job.try_get("cover_custody_id")? {
            Some(cover) => Some(cover),
            None => match job.try_get::<Option<String>, _>("rendition_id")? {
                Some(rendition) => sqlx::query_scalar(
                    "SELECT custody_id FROM rendition WHERE tenant_id = $1 AND rendition_id = $2",
                )
                .bind(tenant_id)
                .bind(rendition)
                .fetch_one(queue.store.reader())
                .await?,
                None => None,
            },
        };
    let Some(custody_id) = custody_id else {
        return Ok(None);
    };
    let bytes = queue
        .custody
        .open(&queue.store, tenant_id, &custody_id)
        .await?;
    tokio::task::spawn_blocking(move || {
        let pages = tiff::read(&bytes)?;
        Ok(pages.first().map(letter::page_picture).transpose()?)
    })
    .await?
}
