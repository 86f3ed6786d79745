//! Writes the mail of each received fax, from its records.

use std::{sync::Arc, time::Duration};

use faxpost_t4::{FaxPage, pdf, tiff};
use sqlx::Row;
use tokio_util::sync::CancellationToken;

use super::{Inner, records, records::DELIVERY_PREFIX};
use crate::{
    clock::now_ms,
    letter::{self, ReceivedLetter},
    people,
    relay::{self, Draft},
    store::Topic,
    vault::{NewItem, What},
};

/// Drafts written in one go.
const BATCH: i64 = 16;

/// Writes until `stop`.
pub(super) async fn run(inbox: Arc<Inner>, stop: CancellationToken) {
    let mut wake = inbox.store.listen(Topic::Outbox);
    while !stop.is_cancelled() {
        match write_all(&inbox).await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "faxes can't be written as mails; trying again"
                );
            }
        }
        tidy(&inbox).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = wake.heard() => {}
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
        }
    }
}

/// Ends what overstays: faxes that nobody receives any more, those whose mails are settled, and those that
/// could not be delivered.
async fn tidy(inbox: &Inner) {
    let tidied = async {
        for open in records::left_open(&inbox.store, now_ms()).await? {
            tracing::warn!(
                fax = open.received_id,
                "overdue: delivered as far as it came"
            );
            inbox.cut_off(&open, "deadline").await?;
        }
        records::settle_deliveries(&inbox.store, &inbox.custody, inbox.retention).await?;
        records::drop_overdue(&inbox.store, &inbox.custody, now_ms()).await
    };
    if let Err(error) = tidied.await {
        tracing::warn!(%error, "received faxes can't be tidied; trying again");
    }
}

pub(super) async fn write_all(inbox: &Inner) -> anyhow::Result<usize> {
    let drafts = relay::to_compose(&inbox.store, DELIVERY_PREFIX, BATCH).await?;
    let mut written = 0;
    for draft in drafts {
        match write(inbox, &draft).await {
            Ok(()) => written += 1,
            Err(error) => {
                tracing::error!(
                    mail = draft.mail_id,
                    error = format!("{error:#}"),
                    "a fax can't be written as a mail"
                );
                relay::put_off_draft(&inbox.store, &draft.mail_id).await?;
            }
        }
    }
    Ok(written)
}

async fn write(inbox: &Inner, draft: &Draft) -> anyhow::Result<()> {
    let received_id = draft
        .purpose
        .strip_prefix(DELIVERY_PREFIX)
        .and_then(|rest| rest.split(':').next())
        .ok_or_else(|| anyhow::anyhow!("a delivery without its fax"))?
        .to_owned();
    let tenant_id = &draft.tenant_id;
    let pages = pages(inbox, tenant_id, &received_id).await?;
    let letter = facts(inbox, draft, &received_id, &pages).await?;
    let kept = inbox
        .custody
        .keep_one(NewItem {
            tenant_id: tenant_id.clone(),
            what: What::Mail,
            bytes: letter::received(&letter)?,
        })
        .await?;
    let mut tx = inbox.store.begin().await?;
    inbox.custody.record(&mut tx, &kept).await?;
    if !relay::ready(&mut tx, &draft.mail_id, &kept.custody_id).await? {
        // Written by another node meanwhile: what nobody sends must not stay in custody.
        return Ok(());
    }
    tx.commit().await?;
    inbox.store.wake(Topic::Outbox);
    Ok(())
}

async fn pages(inbox: &Inner, tenant_id: &str, received_id: &str) -> anyhow::Result<Vec<FaxPage>> {
    let custody: Vec<String> = sqlx::query_scalar(
        "SELECT custody_id FROM received_page WHERE tenant_id = $1 AND received_id = $2 ORDER BY page",
    )
    .bind(tenant_id)
    .bind(received_id)
    .fetch_all(inbox.store.reader())
    .await?;
    let mut pages = Vec::new();
    for custody_id in &custody {
        let bytes = inbox
            .custody
            .open(&inbox.store, tenant_id, custody_id)
            .await?;
        pages.extend(tiff::read(&bytes)?);
    }
    Ok(pages)
}

async fn facts(
    inbox: &Inner,
    draft: &Draft,
    received_id: &str,
    pages: &[FaxPage],
) -> anyhow::Result<ReceivedLetter> {
    let tenant_id = &draft.tenant_id;
    let row = sqlx::query(
        "SELECT fax.remote_number, fax.tsi, fax.sub_address, fax.incomplete, fax.outcome, fax.started_at, number.e164, number.title
         FROM received_fax AS fax JOIN number ON number.number_id = fax.number_id AND number.tenant_id = fax.tenant_id
         WHERE fax.tenant_id = $1 AND fax.received_id = $2",
    )
    .bind(tenant_id)
    .bind(received_id)
    .fetch_one(inbox.store.reader())
    .await?;
    let duration: Option<i64> =
        sqlx::query_scalar("SELECT duration_ms FROM leg WHERE tenant_id = $1 AND received_id = $2")
            .bind(tenant_id)
            .bind(received_id)
            .fetch_optional(inbox.store.reader())
            .await?
            .flatten();
    let tenant = people::tenant(&inbox.store, tenant_id)
        .await?
        .ok_or_else(|| anyhow::anyhow!("the fax's tenant is gone"))?;
    let language = match people::user_by_address(&inbox.store, &draft.recipient).await? {
        Some(user) if user.tenant_id == *tenant_id => {
            people::settings_for(&inbox.store, tenant_id, &user.user_id)
                .await?
                .language
        }
        _ => tenant.language,
    };
    let title = format!("fax {received_id}");
    Ok(ReceivedLetter {
        message_id: draft.message_id.clone(),
        from: inbox.from.clone(),
        to: draft.recipient.clone(),
        date_ms: now_ms(),
        language,
        time_zone: tenant.time_zone,
        received_id: received_id.to_owned(),
        number: row.try_get("e164")?,
        number_title: row.try_get("title")?,
        remote_number: row.try_get("remote_number")?,
        tsi: row.try_get("tsi")?,
        sub_address: row.try_get("sub_address")?,
        pages: u32::try_from(pages.len())?,
        started_ms: row.try_get("started_at")?,
        duration_ms: duration.and_then(|ms| u32::try_from(ms).ok()),
        incomplete: row.try_get::<i64, _>("incomplete")? != 0,
        outcome: row
            .try_get::<Option<String>, _>("outcome")?
            .unwrap_or_default(),
        pdf: pdf::wrap(
            pages,
            &pdf::PdfInfo {
                title,
                ..pdf::PdfInfo::default()
            },
        ),
    })
}
