//! Writes the mail of each received fax, from its records.

use std::{sync::Arc, time::Duration};

use faxpost_t4::{Turn, tiff};
use sqlx::Row;
use tokio_util::sync::CancellationToken;

use super::{
    Inner,
    form::{self, Page, Title},
    owed::{self, Owed},
    reading::Look,
    records,
    split::{self, Bounds, Mails},
};
use crate::{
    clock::{Millis, now_ms},
    letter::{self, Content, Portion, ReceivedLetter, Withheld},
    numbers::{self, Form, Large},
    people,
    recognition::PageReading,
    relay::{self, Draft, Part},
    store::Topic,
    vault::{Clear, KeptItem, NewItem, What},
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
    let drafts = relay::to_compose(&inbox.store, owed::PREFIX, BATCH).await?;
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
    let owed =
        Owed::read(&draft.purpose).ok_or_else(|| anyhow::anyhow!("a delivery without its fax"))?;
    let tenant_id = &draft.tenant_id;
    let mut pages = pages(inbox, tenant_id, &owed.received_id).await?;
    let how = how(inbox, draft, &owed).await?;
    match read_first(inbox, draft, &owed, &how, &pages).await? {
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
    let letter = facts(inbox, draft, &owed.received_id, &pages).await?;
    if let Some(portion) = &owed.portion {
        pages.retain(|page| (portion.first..=portion.last).contains(&page.number));
    }
    let until_ms = now_ms() + inbox.retention.undelivered_ms();
    // Pictures and encryption are work for a processor: nothing else waits for it.
    let written = tokio::task::spawn_blocking(move || {
        Composition {
            letter,
            pages,
            how,
            portion: owed.portion,
            until_ms,
        }
        .write()
    })
    .await??;
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

/// How a recipient gets this fax.
struct How {
    form: Form,
    large: Large,
    password: Option<Clear>,
    /// They are no recipient any more: what they had set is gone, and a password might have been.
    gone: bool,
    /// Octets of a mail.
    limit: Option<u64>,
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
    Ok(match found {
        Some(recipient) => How {
            form: recipient.form_of(owed.form.unwrap_or(recipient.form)),
            large: recipient.large,
            password: recipient.open_password(&inbox.custody.vault())?,
            gone: false,
            limit,
        },
        None => How {
            form: Form::Notice,
            large: Large::Notice,
            password: None,
            gone: true,
            limit,
        },
    })
}

/// What the mails of one draft are made of.
struct Composition {
    letter: ReceivedLetter,
    pages: Vec<Page>,
    how: How,
    /// The draft's own part of the fax.
    portion: Option<Portion>,
    /// How long pages that are not sent are kept at least.
    until_ms: Millis,
}

/// Mails, and which part of the fax each has where it is parted here.
struct Written {
    mails: Vec<(Option<Portion>, Vec<u8>)>,
    /// One is a notice: the pages must be kept.
    announced: bool,
}

impl Composition {
    fn write(mut self) -> anyhow::Result<Written> {
        let (Some(first), Some(last)) = (self.pages.first(), self.pages.last()) else {
            anyhow::bail!("a fax without its pages");
        };
        let span = (first.number, last.number);
        if self.how.form == Form::Notice {
            let why = if self.how.gone {
                Withheld::NotSet
            } else {
                Withheld::Chosen
            };
            return self.notice(why);
        }
        // A try to part the fax gives the letter another id.
        let message_id = self.letter.message_id.clone();
        let whole_pages = u32::try_from(self.pages.len()).unwrap_or(u32::MAX);
        let bounds = Bounds {
            octets: self.how.limit.map_or(usize::MAX, |limit| {
                usize::try_from(limit).unwrap_or(usize::MAX)
            }),
            pages: form::most_pages(self.how.form),
        };
        let refuse = self.how.large == Large::Notice;
        let within = self.portion.take();
        let written = split::mails(span, within.as_ref(), bounds, |first, last, portion| {
            // A notice was asked for instead of parts: no other cut is tried.
            self.mail(first, last, portion)
        })?;
        let limit = self.how.limit.unwrap_or_default();
        match written {
            Mails::Whole(mail) => Ok(Written {
                mails: vec![(None, mail)],
                announced: false,
            }),
            Mails::Parts(_) if refuse && bounds.pages >= whole_pages as usize => {
                self.letter.message_id = message_id;
                self.portion = within;
                self.notice(Withheld::TooLarge(limit))
            }
            Mails::Parts(parts) => Ok(Written {
                mails: parts
                    .into_iter()
                    .map(|(portion, mail)| (Some(portion), mail))
                    .collect(),
                announced: false,
            }),
            Mails::TooLarge => {
                self.letter.message_id = message_id;
                self.portion = within;
                self.notice(Withheld::TooLarge(limit))
            }
        }
    }

    /// The mail of some of the pages.
    fn mail(
        &mut self,
        first: u32,
        last: u32,
        portion: Option<&Portion>,
    ) -> anyhow::Result<Vec<u8>> {
        let some: Vec<Page> = self
            .pages
            .iter()
            .filter(|page| (first..=last).contains(&page.number))
            .cloned()
            .collect();
        let title = Title {
            title: letter::title(&self.letter),
            author: match self.letter.remote_number.trim() {
                "" => self
                    .letter
                    .tsi
                    .clone()
                    .unwrap_or_default()
                    .trim()
                    .to_owned(),
                number => number.to_owned(),
            },
            subject: format!("{} {}", self.letter.number, self.letter.received_id),
            created: Some(self.letter.started_ms.div_euclid(1000)),
        };
        let password = self.how.password.as_ref().map(|clear| clear.as_slice());
        let files = form::files(self.how.form, &some, &title, password)?;
        self.letter.turned = some
            .iter()
            .filter(|page| page.turn != Turn::None)
            .map(|page| page.number)
            .collect();
        if let Some(portion) = portion {
            // A part of a part has that of the whole with its own label.
            self.letter.message_id = owed::message_id_of_part(&self.letter.message_id, portion);
        }
        self.letter.portion = portion.cloned();
        self.letter.content = Content::Files {
            files,
            protected: password.is_some(),
            searchable: matches!(self.how.form, Form::Pdf | Form::PdfA)
                && some.iter().any(|page| !page.words.is_empty()),
        };
        Ok(letter::received(&self.letter)?)
    }

    fn notice(mut self, why: Withheld) -> anyhow::Result<Written> {
        self.letter.portion = self.portion.take();
        self.letter.turned = Vec::new();
        self.letter.content = Content::Notice {
            why,
            until_ms: self.until_ms,
        };
        Ok(Written {
            mails: vec![(None, letter::received(&self.letter)?)],
            announced: true,
        })
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
            .await?;
        for page in tiff::read(&bytes)? {
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

async fn facts(
    inbox: &Inner,
    draft: &Draft,
    received_id: &str,
    pages: &[Page],
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
        turned: Vec::new(),
        portion: None,
        content: Content::Files {
            files: Vec::new(),
            protected: false,
            searchable: false,
        },
    })
}
