//! Writes the mail of each received fax, from its records.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use faxpost_t4::{Turn, tiff};
use sqlx::Row;
use tokio_util::sync::CancellationToken;

use super::{
    Inner,
    composition::{Composition, How, Written, notice},
    easel::Easel,
    form::{self, Page},
    owed::{self, Owed},
    reading::Look,
    records, settlement,
};
use crate::{
    clock::{Millis, now_ms},
    dial::{self, Destination},
    letter::{Content, Portion, ReceivedLetter, Unable, Withheld},
    numbers::{self, Form, Large},
    people::{self, Role, User},
    recognition::PageReading,
    relay::{self, Draft, Part},
    store::Topic,
    trouble::Trouble,
    vault::{CustodyError, KeptItem, NewItem, What},
};

/// Drafts written in one go.
const BATCH: i64 = 16;

/// How long a draft rests whose pictures are to be drawn: after that it is looked at again, by any node.
const DRAWING_LASTS_MS: Millis = 15 * 60 * 1000;

/// Writes until `stop`: what is quick here, and pictures beside it, so that nobody's fax waits for another's pictures.
pub(super) async fn run(inbox: Arc<Inner>, stop: CancellationToken) {
    let easel = Easel::default();
    tokio::join!(
        write_quick(&inbox, &easel, &stop),
        draw(&inbox, &easel, &stop)
    );
}

async fn write_quick(inbox: &Inner, easel: &Easel, stop: &CancellationToken) {
    let mut wake = inbox.store.listen(Topic::Outbox);
    while !stop.is_cancelled() {
        match write_due(inbox, easel).await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "faxes can't be written as mails; trying again"
                );
            }
        }
        tidy(inbox).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = wake.heard() => {}
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
        }
    }
}

/// Draws pictures, one draft after another.
async fn draw(inbox: &Inner, easel: &Easel, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        while let Some(draft) = easel.next(now_ms()) {
            if stop.is_cancelled() {
                return;
            }
            if let Err(error) = write_or_put_off(inbox, &draft).await {
                tracing::warn!(%error, "a fax's pictures are drawn later");
            }
            easel.done(&draft.mail_id);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = easel.more() => {}
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
        settlement::settle_deliveries(&inbox.store, &inbox.custody, inbox.retention).await?;
        settlement::drop_overdue(&inbox.store, &inbox.custody, now_ms()).await
    };
    if let Err(error) = tidied.await {
        tracing::warn!(%error, "received faxes can't be tidied; trying again");
    }
}

/// Writes what is due and quick; the rest is put on the easel.
pub(super) async fn write_due(inbox: &Inner, easel: &Easel) -> anyhow::Result<usize> {
    let drafts = relay::to_compose(&inbox.store, owed::PREFIX, BATCH).await?;
    let mut done = 0;
    for draft in drafts {
        match pictures_of(inbox, &draft).await {
            Ok(Some(pages)) => {
                let until = now_ms() + DRAWING_LASTS_MS;
                relay::rest_draft(&inbox.store, &inbox.node, &draft.mail_id, until).await?;
                easel.put(&draft, pages);
                done += 1;
            }
            // What can't be looked at fails when it is written, and is told there.
            Ok(None) | Err(_) => done += usize::from(write_or_put_off(inbox, &draft).await?),
        }
    }
    Ok(done)
}

/// Writes what is due, pictures too.
#[cfg(test)]
pub(super) async fn write_all(inbox: &Inner) -> anyhow::Result<usize> {
    let mut written = 0;
    for draft in relay::to_compose(&inbox.store, owed::PREFIX, BATCH).await? {
        written += usize::from(write_or_put_off(inbox, &draft).await?);
    }
    Ok(written)
}

/// How many pages of a draft must be drawn as pictures, if any.
async fn pictures_of(inbox: &Inner, draft: &Draft) -> anyhow::Result<Option<i64>> {
    let Some(owed) = Owed::read(&draft.purpose) else {
        return Ok(None);
    };
    let row = sqlx::query(
        "SELECT number_id, pages FROM received_fax WHERE tenant_id = $1 AND received_id = $2",
    )
    .bind(&draft.tenant_id)
    .bind(&owed.received_id)
    .fetch_one(inbox.store.reader())
    .await?;
    let number_id: String = row.try_get("number_id")?;
    let found =
        numbers::recipient(&inbox.store, &draft.tenant_id, &number_id, &draft.recipient).await?;
    let form = found.map(|recipient| recipient.form_of(owed.form.unwrap_or(recipient.form)));
    Ok(form
        .is_some_and(form::is_pictures)
        .then_some(row.try_get("pages")?))
}

/// Writes a mail; `false` when it rests for a while as it can't be written now.
pub(super) async fn write_or_put_off(inbox: &Inner, draft: &Draft) -> anyhow::Result<bool> {
    let Err(error) = write(inbox, draft).await else {
        return Ok(true);
    };
    tracing::error!(
        mail = draft.mail_id,
        error = format!("{error:#}"),
        "a fax can't be written as a mail"
    );
    relay::put_off_draft(&inbox.store, &draft.mail_id).await?;
    Ok(false)
}

/// Put around an error after which no other try helps.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it can't be written, now or later")]
struct ForGood(Unable);

async fn write(inbox: &Inner, draft: &Draft) -> anyhow::Result<()> {
    let owed =
        Owed::read(&draft.purpose).ok_or_else(|| anyhow::anyhow!("a delivery without its fax"))?;
    let Err(error) = write_pages(inbox, draft, &owed).await else {
        return Ok(());
    };
    let Some(&ForGood(why)) = error.downcast_ref::<ForGood>() else {
        return Err(error);
    };
    tracing::error!(
        fax = owed.received_id,
        mail = draft.mail_id,
        error = format!("{error:#}"),
        "a fax can't be written as a mail: its recipient gets a letter that says so"
    );
    let letter = facts(inbox, draft, &owed.received_id).await?;
    let until_ms = now_ms() + inbox.retention.undelivered_ms();
    let mail = notice(letter, owed.portion, Withheld::Unable(why), until_ms)?;
    keep_unable(inbox, draft, mail).await
}

async fn write_pages(inbox: &Inner, draft: &Draft, owed: &Owed) -> anyhow::Result<()> {
    let tenant_id = &draft.tenant_id;
    let mut pages = pages(inbox, tenant_id, &owed.received_id).await?;
    let how = how(inbox, draft, owed).await?;
    match read_first(inbox, draft, owed, &how, &pages).await? {
        Look::Write(Some(read)) => add_readings(&mut pages, &read),
        Look::Write(None) => {}
        Look::Wait(until) | Look::Begin(until) => {
            relay::rest_draft(&inbox.store, &inbox.node, &draft.mail_id, until).await?;
            // They may have been read just now, before it lay down.
            if inbox
                .readings
                .as_ref()
                .is_some_and(|readings| readings.has(&owed.received_id))
            {
                relay::take_up_drafts(&inbox.store, tenant_id, &owed.received_id).await?;
            }
            return Ok(());
        }
    }
    let letter = facts(inbox, draft, &owed.received_id).await?;
    let portion = owed.portion.clone();
    if let Some(portion) = &portion {
        pages.retain(|page| (portion.first..=portion.last).contains(&page.number));
    }
    let until_ms = now_ms() + inbox.retention.undelivered_ms();
    // Pictures and encryption are work for a processor: nothing else waits for it.
    let written = tokio::task::spawn_blocking(move || {
        Composition {
            letter,
            pages,
            how,
            portion,
            until_ms,
        }
        .write()
    })
    .await;
    let written = match written {
        // It is made of what is in memory, so it would fail again.
        Ok(written) => written.context(ForGood(Unable::Form))?,
        Err(error) if error.is_panic() => {
            return Err(anyhow::Error::from(error).context(ForGood(Unable::Form)));
        }
        Err(error) => return Err(error.into()),
    };
    keep(inbox, draft, &owed.received_id, written).await
}

/// Whether a mail waits for its pages to be read; if nobody reads them yet, that begins here.
async fn read_first(
    inbox: &Inner,
    draft: &Draft,
    owed: &Owed,
    how: &How,
    pages: &[Page],
) -> anyhow::Result<Look> {
    let Some(readings) = &inbox.readings else {
        return Ok(Look::Write(None));
    };
    if how.form == Form::Notice {
        return Ok(Look::Write(None));
    }
    let (tenant_id, received_id) = (&draft.tenant_id, &owed.received_id);
    let row = sqlx::query(
        "SELECT number.group_id, fax.ended_at FROM received_fax AS fax
         JOIN number ON number.number_id = fax.number_id AND number.tenant_id = fax.tenant_id
         WHERE fax.tenant_id = $1 AND fax.received_id = $2",
    )
    .bind(tenant_id)
    .bind(received_id)
    .fetch_one(inbox.store.reader())
    .await?;
    let group_id: String = row.try_get("group_id")?;
    let Some(languages) = people::ocr_for(&inbox.store, tenant_id, &group_id).await? else {
        return Ok(Look::Write(None));
    };
    let ended: Millis = row
        .try_get::<Option<Millis>, _>("ended_at")?
        .unwrap_or_default();
    // One that was asked for later has its time from then on.
    let since = if owed.form.is_some() {
        draft.created_at
    } else {
        ended
    };
    let look = readings.look(received_id, since, now_ms());
    if let Look::Begin(until) = look {
        let pages = pages.iter().map(|page| page.page.clone()).collect();
        let (readings, store) = (readings.clone(), inbox.store.clone());
        let (tenant_id, received_id) = (tenant_id.clone(), received_id.clone());
        // Not waited for: what it leaves undone at the end of this process is begun anew by the next.
        tokio::spawn(async move {
            readings.read(&received_id, pages, &languages, until).await;
            if let Err(error) = relay::take_up_drafts(&store, &tenant_id, &received_id).await {
                tracing::warn!(%error, "a fax whose pages were read goes when its time is up");
            }
            store.wake(Topic::Outbox);
        });
    }
    Ok(look)
}

fn add_readings(pages: &mut [Page], read: &[Option<PageReading>]) {
    for (page, reading) in pages.iter_mut().zip(read) {
        if let Some(reading) = reading {
            page.turn = reading.turn;
            page.words.clone_from(&reading.words);
        }
    }
}

/// Puts what was written into custody and the outbox, all of it or nothing.
async fn keep(
    inbox: &Inner,
    draft: &Draft,
    received_id: &str,
    written: Written,
) -> anyhow::Result<()> {
    let tenant_id = &draft.tenant_id;
    let (portions, mails): (Vec<_>, Vec<_>) = written.mails.into_iter().unzip();
    let item = |bytes| NewItem {
        tenant_id: tenant_id.clone(),
        what: What::Mail,
        bytes,
    };
    let kept = inbox
        .custody
        .keep(mails.into_iter().map(item).collect())
        .await?;
    let mut tx = inbox.store.begin().await?;
    inbox
        .custody
        .record_all(&mut tx, &kept.iter().collect::<Vec<_>>())
        .await?;
    let ours = match (kept.as_slice(), portions.as_slice()) {
        ([one], [None]) => relay::ready(&mut tx, &draft.mail_id, &one.custody_id).await?,
        _ => {
            let part = |(kept, portion): (&KeptItem, &Option<Portion>)| {
                let portion = portion.as_ref()?;
                Some(Part {
                    purpose: owed::purpose_of_part(&draft.purpose, portion),
                    message_id: owed::message_id_of_part(&draft.message_id, portion),
                    custody_id: kept.custody_id.clone(),
                })
            };
            let parts: Vec<Part> = kept.iter().zip(&portions).filter_map(part).collect();
            relay::divide(&mut tx, &draft.mail_id, &parts).await?
        }
    };
    if !ours {
        // Written by another node meanwhile: what nobody sends must not stay in custody.
        return Ok(());
    }
    if written.announced {
        records::announced(&mut tx, tenant_id, received_id).await?;
    }
    tx.commit().await?;
    inbox.store.wake(Topic::Outbox);
    Ok(())
}

/// Puts the letter that says that the pages can't be had in the place of the mail that was to have them.
async fn keep_unable(inbox: &Inner, draft: &Draft, mail: Vec<u8>) -> anyhow::Result<()> {
    let item = NewItem {
        tenant_id: draft.tenant_id.clone(),
        what: What::Mail,
        bytes: mail,
    };
    let kept = inbox.custody.keep_one(item).await?;
    let mut tx = inbox.store.begin().await?;
    inbox.custody.record(&mut tx, &kept).await?;
    let part = Part {
        purpose: owed::purpose_unable(&draft.purpose),
        message_id: draft.message_id.clone(),
        custody_id: kept.custody_id.clone(),
    };
    if relay::divide(&mut tx, &draft.mail_id, &[part]).await? {
        tx.commit().await?;
        inbox.store.wake(Topic::Outbox);
    }
    Ok(())
}

async fn how(inbox: &Inner, draft: &Draft, owed: &Owed) -> anyhow::Result<How> {
    let tenant_id = &draft.tenant_id;
    let number_id: String = sqlx::query_scalar(
        "SELECT number_id FROM received_fax WHERE tenant_id = $1 AND received_id = $2",
    )
    .bind(tenant_id)
    .bind(&owed.received_id)
    .fetch_one(inbox.store.reader())
    .await?;
    let limit = [draft.limit, inbox.max_size].into_iter().flatten().min();
    let found = numbers::recipient(&inbox.store, tenant_id, &number_id, &draft.recipient).await?;
    if found.is_none()
        && owed.instead
        && !numbers::is_confined(&inbox.store, tenant_id, &number_id).await?
    {
        return Ok(How {
            form: Form::Pdf,
            large: Large::Split,
            password: None,
            gone: false,
            limit,
        });
    }
    let Some(recipient) = found else {
        return Ok(How {
            form: Form::Notice,
            large: Large::Notice,
            password: None,
            gone: !owed.instead,
            limit,
        });
    };
    let password = match recipient.open_password(&inbox.custody.vault()) {
        Ok(password) => password,
        Err(error) if error.trouble() == Trouble::Permanent => {
            return Err(anyhow::Error::from(error).context(ForGood(Unable::Password)));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(How {
        form: recipient.form_of(owed.form.unwrap_or(recipient.form)),
        large: recipient.large,
        password,
        gone: false,
        limit,
    })
}

/// What was kept of a page that no other try brings back.
fn lost(error: CustodyError) -> anyhow::Error {
    let trouble = match &error {
        CustodyError::Missing(_) => Trouble::Permanent,
        CustodyError::Vault(error) => error.trouble(),
        CustodyError::Blob(error) => error.trouble(),
        CustodyError::Store(_) | CustodyError::Folder(_) => Trouble::Temporary,
    };
    let error = anyhow::Error::from(error);
    match trouble {
        Trouble::Permanent => error.context(ForGood(Unable::Pages)),
        Trouble::Temporary => error,
    }
}

async fn pages(inbox: &Inner, tenant_id: &str, received_id: &str) -> anyhow::Result<Vec<Page>> {
    let rows = sqlx::query(
        "SELECT custody_id, bad_rows FROM received_page WHERE tenant_id = $1 AND received_id = $2 ORDER BY page",
    )
    .bind(tenant_id)
    .bind(received_id)
    .fetch_all(inbox.store.reader())
    .await?;
    let mut pages = Vec::new();
    for row in &rows {
        let custody_id: String = row.try_get("custody_id")?;
        let bad_rows: i64 = row.try_get("bad_rows")?;
        let bytes = inbox
            .custody
            .open(&inbox.store, tenant_id, &custody_id)
            .await
            .map_err(lost)?;
        for page in tiff::read(&bytes).context(ForGood(Unable::Pages))? {
            pages.push(Page {
                number: u32::try_from(pages.len() + 1)?,
                page,
                bad_rows: usize::try_from(bad_rows)?,
                turn: Turn::None,
                words: Vec::new(),
            });
        }
    }
    Ok(pages)
}

/// Where a user's answer is faxed to who called: the caller's number at their fax domain, where it is a number that can
/// exist and that they may fax. The answer is a mail like another: it is proven, and its signed To names the number.
async fn reply_to(inbox: &Inner, user: &User, caller: &str) -> anyhow::Result<Option<String>> {
    let number = Destination::from_record(caller.trim());
    let Some(number) = number.filter(|number| dial::possible(number).is_ok()) else {
        return Ok(None);
    };
    if user.role == Role::Guest {
        return Ok(None);
    }
    let allowed = people::allowed_for(&inbox.store, &user.tenant_id, &user.user_id).await?;
    if allowed.refusal(number.as_str()).is_some() {
        return Ok(None);
    }
    let domain = people::first_domain(&inbox.store, &user.tenant_id).await?;
    Ok(domain.map(|domain| format!("{number}@{domain}")))
}

async fn facts(inbox: &Inner, draft: &Draft, received_id: &str) -> anyhow::Result<ReceivedLetter> {
    let tenant_id = &draft.tenant_id;
    let row = sqlx::query(
        "SELECT fax.pages, fax.remote_number, fax.tsi, fax.sub_address, fax.incomplete, fax.outcome, fax.started_at, number.e164, number.title
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
    let remote_number: String = row.try_get("remote_number")?;
    let (language, reply_to) = match people::user_by_address(&inbox.store, &draft.recipient).await?
    {
        Some(user) if user.tenant_id == *tenant_id => (
            people::settings_for(&inbox.store, tenant_id, &user.user_id)
                .await?
                .language,
            reply_to(inbox, &user, &remote_number).await?,
        ),
        _ => (tenant.language, None),
    };
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
        remote_number,
        reply_to,
        tsi: row.try_get("tsi")?,
        sub_address: row.try_get("sub_address")?,
        pages: u32::try_from(row.try_get::<i64, _>("pages")?)?,
        started_ms: row.try_get("started_at")?,
        duration_ms: duration.and_then(|ms| u32::try_from(ms).ok()),
        incomplete: row.try_get::<i64, _>("incomplete")? != 0,
        outcome: row
            .try_get::<Option<String>, _>("outcome")?
            .unwrap_or_default(),
        turned: Vec::new(),
        portion: None,
        content: Content::Files {
            files: Vec::new(),
            protected: false,
            searchable: false,
        },
    })
}
