//! From an accepted mail to pages: one rendition for all jobs of a submission, a cover for each.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use faxpost_paper::PageSetup;
use faxpost_t4::{FaxPage, tiff};
use sqlx::Row;
use tokio_util::sync::CancellationToken;

use super::{
    Inner, asked, claim,
    claim::Job,
    closing::{self, Closing},
    covers,
    draw::{self, How},
    guards, heads, jobs, moves, pages, profiles, routes,
    state::State,
};
use crate::{
    clock::now_ms,
    documents::{self, Contents, Document, LeftOut},
    letter::{CoverSaid, Detail, DocumentNote},
    people::{self, Settings},
    policy::{Body, Sending, Unreadable},
    store::{StoreError, Topic, new_id},
    trouble::Trouble,
    vault::{CustodyError, NewItem, What},
};

/// Renders until `stop`, one submission at a time.
pub(super) async fn run(queue: Arc<Inner>, stop: CancellationToken) {
    let mut wake = queue.store.listen(Topic::Queue);
    while !stop.is_cancelled() {
        match next(&queue).await {
            Ok(Some(jobs)) => {
                render(&queue, jobs).await;
                continue;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "jobs to render can't be claimed; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = wake.heard() => {}
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
        }
    }
}

/// The jobs of the submission whose turn it is.
async fn next(queue: &Inner) -> Result<Option<Vec<Job>>, StoreError> {
    // What is remembered of turns is right whatever a panicking holder left of it.
    let turns = || {
        queue
            .to_render
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    };
    let mut heads = heads::to_render(&queue.store, now_ms()).await?;
    loop {
        let at = turns().next(&heads, now_ms(), queue.policy.age_ms());
        let Some(at) = at else { return Ok(None) };
        let head = heads.swap_remove(at);
        let jobs = claim::to_render(&queue.store, &queue.owner, &head).await?;
        if !jobs.is_empty() {
            turns().charge(&head);
            return Ok(Some(jobs));
        }
    }
}

/// Why jobs can't get their pages.
pub(super) enum Failure {
    /// The mail itself is at fault: the jobs fail with these words.
    Mail {
        outcome: &'static str,
        note: Option<Detail>,
    },
    /// We are: the jobs go back to be rendered later.
    Ours(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Ours(error.to_string())
    }
}

async fn render(queue: &Inner, mut jobs: Vec<Job>) {
    if let Err(error) = look_through(queue, &mut jobs).await {
        tracing::warn!(%error, "whether the numbers may be called can't be seen yet; the dialler will look");
    }
    if jobs.is_empty() {
        return;
    }
    let all = jobs.clone();
    for kind in asked::kinds(jobs) {
        render_kind(queue, &all, &kind).await;
    }
    queue.store.wake(Topic::Queue);
}

/// Renders jobs that share their pages, and keeps all that were claimed ours meanwhile.
async fn render_kind(queue: &Inner, all: &[Job], jobs: &[Job]) {
    let result = leased(queue, all, prepare(queue, jobs)).await;
    for job in jobs {
        let ended = match &result {
            Ok((rendition, contents)) => {
                match leased(queue, all, finish(queue, job, rendition, contents)).await {
                    Ok(()) => Ok(()),
                    Err(failure) => fail(queue, job, &failure).await,
                }
            }
            Err(failure) => fail(queue, job, failure).await,
        };
        if let Err(error) = ended {
            tracing::warn!(job = job.job_id, %error, "a rendered job can't be moved on; the watchdog will");
        }
    }
}

/// Ends the jobs that will not be called, before any page is drawn for them.
async fn look_through(queue: &Inner, jobs: &mut Vec<Job>) -> Result<(), StoreError> {
    routes::end_unroutable(queue, jobs).await?;
    if let Some(job) = jobs.first() {
        let rules = profiles::rules(queue, &job.tenant_id, &job.user_id).await?;
        profiles::end_refused(queue, jobs, &rules).await?;
    }
    Ok(())
}

/// Does some of the work and keeps the jobs ours meanwhile: drawing may outlast a lease.
async fn leased<T>(queue: &Inner, jobs: &[Job], work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut renewal = tokio::time::interval(Duration::from_millis(claim::LEASE_MS as u64 / 3));
    renewal.tick().await; // the first comes at once, and the lease is fresh
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = renewal.tick() => {
                for job in jobs {
                    if let Err(error) = claim::renew(&queue.store, job).await {
                        tracing::warn!(job = job.job_id, %error, "the lease can't be renewed");
                    }
                }
            }
        }
    }
}

async fn fail(queue: &Inner, job: &Job, failure: &Failure) -> Result<(), StoreError> {
    let mut tx = queue.store.begin().await?;
    match failure {
        Failure::Mail { outcome, note } => {
            closing::close(
                &mut tx,
                &Closing {
                    tenant_id: &job.tenant_id,
                    job_id: &job.job_id,
                    from: State::Rendering,
                    to: State::Failed,
                    outcome,
                    note: note.as_ref().map(Detail::to_column).as_deref(),
                    hostname: &queue.hostname,
                },
            )
            .await?;
        }
        Failure::Ours(reason) => {
            tracing::warn!(job = job.job_id, reason, "rendering put off");
            let later = now_ms() + 15_000;
            moves::advance_at(
                &mut tx,
                &job.tenant_id,
                &job.job_id,
                State::Rendering,
                State::Queued,
                None,
                later,
            )
            .await?;
        }
    }
    tx.commit().await?;
    queue.store.wake(Topic::Outbox);
    Ok(())
}

/// The pages that all jobs of a submission share.
struct Rendition {
    rendition_id: Option<String>,
    pages: u32,
    setup: PageSetup,
    settings: Settings,
    sender: covers::Sender,
    /// How the covers look; `None`: there is none.
    look: Option<covers::Look>,
    /// Where the mail's text went.
    body: Body,
    /// What the sender's profile says.
    sending: Sending,
}

async fn prepare(queue: &Inner, jobs: &[Job]) -> Result<(Rendition, Contents), Failure> {
    let job = &jobs[0];
    let row = sqlx::query(
        "SELECT custody_id, accepted_at FROM submission WHERE tenant_id = $1 AND submission_id = $2",
    )
    .bind(&job.tenant_id)
    .bind(&job.submission_id)
    .fetch_one(queue.store.reader())
    .await
    .map_err(StoreError::from)?;
    let custody_id: String = row.try_get("custody_id").map_err(StoreError::from)?;
    let accepted_at: i64 = row.try_get("accepted_at").map_err(StoreError::from)?;
    let settings = people::settings_for(&queue.store, &job.tenant_id, &job.user_id).await?;
    let settings = asked::settings(&settings, &job.options);
    let rules = profiles::rules(queue, &job.tenant_id, &job.user_id).await?;
    let mut sending = asked::sending(&rules.sending, &job.options);
    // What one number of a mail may overtake says nothing of the others.
    sending.priority = rules.sending.priority;
    let user = people::user(&queue.store, &job.tenant_id, &job.user_id).await?;
    let tenant = people::tenant(&queue.store, &job.tenant_id).await?;
    let (Some(user), Some(tenant)) = (user, tenant) else {
        return Err(Failure::Mail {
            outcome: "no-user",
            note: None,
        });
    };
    let message = queue
        .custody
        .open(&queue.store, &job.tenant_id, &custody_id)
        .await
        .map_err(|error| not_read(&error))?;
    let options = documents::Options {
        list: job.options.list == Some(true),
        language: settings.language,
        conversions: queue.converters.known(),
    };
    let read = move || {
        (
            documents::read(&message, &options),
            documents::password(&message),
        )
    };
    let (contents, password) = tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| Failure::Ours(error.to_string()))?;
    let unreadable = sending.unreadable;
    let look = covers::look(queue, &job.tenant_id, &sending.cover).await?;
    let (contents, body) = placed(fit(contents, unreadable)?, sending.body, look.is_some())?;
    let setup = PageSetup {
        fit: sending.fit(),
        tone: sending.tone,
        dots: sending.dots,
        ..pages::setup(&settings)
    };
    let key = serde_json::to_string(&setup).map_err(|error| Failure::Ours(error.to_string()))?;
    let sender = covers::Sender::of(user, tenant, accepted_at);
    let made = sqlx::query(
        "SELECT rendition_id, pages FROM rendition
         WHERE tenant_id = $1 AND submission_id = $2 AND page_setup = $3 AND body = $4 AND pages IS NOT NULL",
    )
    .bind(&job.tenant_id)
    .bind(&job.submission_id)
    .bind(&key)
    .bind(body.name())
    .fetch_optional(queue.store.reader())
    .await
    .map_err(StoreError::from)?;
    if let Some(row) = made {
        let pages = super::records::page_number(row.try_get("pages").map_err(StoreError::from)?);
        let id: String = row.try_get("rendition_id").map_err(StoreError::from)?;
        let rendition = Rendition {
            rendition_id: (pages > 0).then_some(id),
            pages,
            setup,
            settings,
            sender,
            look,
            body,
            sending,
        };
        return Ok((rendition, contents));
    }
    let how = How {
        password: password.as_ref(),
        setup,
        body,
        unreadable,
    };
    let (drawn, notes) = draw::draw(queue, &contents, &how).await?;
    tracing::info!(
        submission = job.submission_id,
        pages = drawn.len(),
        "the documents of a mail are drawn"
    );
    let pages = u32::try_from(drawn.len()).unwrap_or(u32::MAX);
    // Without pages there is still something to tell.
    let kept = match drawn.is_empty() && notes.is_empty() {
        true => None,
        false => Some(keep_rendition(queue, job, (&key, body), &drawn, &notes).await?),
    };
    let rendition_id = kept.filter(|_| pages > 0);
    let rendition = Rendition {
        rendition_id,
        pages,
        setup,
        settings,
        sender,
        look,
        body,
        sending,
    };
    Ok((rendition, contents))
}

/// A message that is gone or damaged won't come back.
fn not_read(error: &CustodyError) -> Failure {
    match error.trouble() {
        Trouble::Temporary => Failure::Ours(error.to_string()),
        Trouble::Permanent => {
            tracing::error!(%error, "an accepted mail can't be read");
            Failure::Mail {
                outcome: "own-fault",
                note: None,
            }
        }
    }
}

/// What can become a fax: a mail that can be read, with something to draw, and nothing that can't be unless
/// its sender's profile leaves that out.
fn fit(contents: Option<Contents>, unreadable: Unreadable) -> Result<Contents, Failure> {
    let failed = |outcome, note| Err(Failure::Mail { outcome, note });
    let Some(contents) = contents else {
        return failed("mail-unreadable", None);
    };
    let missed = contents
        .left_out
        .iter()
        .filter(|part| part.reason.is_missed());
    let parts: Vec<LeftOut> = missed.cloned().collect();
    let nothing = contents.documents.is_empty();
    if let Some(first) = parts.first()
        && (nothing || unreadable == Unreadable::Stop)
    {
        let outcome = match first.reason.is_damage() {
            true => "attachment-unreadable",
            false => "attachment-unsupported",
        };
        return failed(outcome, Some(Detail::LeftOut { parts }));
    }
    if nothing {
        return failed("mail-empty", None);
    }
    Ok(contents)
}

/// Puts the mail's own text where its sender's profile has it, and says where that is. A text that no cover can
/// print has pages of its own.
fn placed(contents: Contents, body: Body, cover: bool) -> Result<(Contents, Body), Failure> {
    let mut contents = contents;
    let (own, others): (Vec<Document>, Vec<Document>) = std::mem::take(&mut contents.documents)
        .into_iter()
        .partition(|document| document.own_text);
    match body {
        Body::Ignore => {
            if others.is_empty() && !cover {
                return Err(Failure::Mail {
                    outcome: "mail-empty",
                    note: Some(Detail::TextIgnored),
                });
            }
            contents.text_ignored = !own.is_empty();
            contents.documents = others;
            Ok((contents, Body::Ignore))
        }
        Body::Cover | Body::Page => {
            contents.documents = own.into_iter().chain(others).collect();
            let on_cover = body == Body::Cover && cover && contents.cover_text().is_some();
            let body = if on_cover { Body::Cover } else { Body::Page };
            Ok((contents, body))
        }
    }
}

fn written(pages: &[FaxPage]) -> Result<Vec<u8>, Failure> {
    tiff::write(pages).map_err(|error| Failure::Ours(error.to_string()))
}

async fn keep_rendition(
    queue: &Inner,
    job: &Job,
    (key, body): (&str, Body),
    drawn: &[FaxPage],
    notes: &[DocumentNote],
) -> Result<String, Failure> {
    let kept = match drawn.is_empty() {
        true => None,
        false => {
            let item = NewItem {
                tenant_id: job.tenant_id.clone(),
                what: What::Rendition,
                bytes: written(drawn)?,
            };
            let kept = queue.custody.keep_one(item).await;
            Some(kept.map_err(|error| Failure::Ours(error.to_string()))?)
        }
    };
    let rendition_id = new_id();
    let mut tx = queue.store.begin().await?;
    // All its jobs may have ended meanwhile: then its custody may have ended with the report, and what would
    // be recorded now would keep the day's key for ever.
    let open = sqlx::query(
        "UPDATE submission SET closed_at = closed_at
         WHERE tenant_id = $1 AND submission_id = $2 AND closed_at IS NULL",
    )
    .bind(&job.tenant_id)
    .bind(&job.submission_id)
    .execute(tx.conn())
    .await
    .map_err(StoreError::from)?;
    if open.rows_affected() == 0 {
        return Err(Failure::Ours("its jobs have ended meanwhile".into()));
    }
    if let Some(kept) = &kept {
        let recorded = queue.custody.record(&mut tx, kept).await;
        recorded.map_err(|error| Failure::Ours(error.to_string()))?;
    }
    sqlx::query(
        "INSERT INTO rendition (rendition_id, tenant_id, submission_id, page_setup, pages, custody_id, notes, created_at,
                                body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&rendition_id)
    .bind(&job.tenant_id)
    .bind(&job.submission_id)
    .bind(key)
    .bind(i64::try_from(drawn.len()).unwrap_or(i64::MAX))
    .bind(kept.as_ref().map(|kept| kept.custody_id.as_str()))
    .bind(serde_json::to_string(notes).unwrap_or_else(|_| "[]".into()))
    .bind(now_ms())
    .bind(body.name())
    .execute(tx.conn())
    .await
    .map_err(StoreError::from)?;
    tx.commit().await?;
    Ok(rendition_id)
}

/// Makes the job's own cover and lets it be dialled, or keeps it back.
async fn finish(
    queue: &Inner,
    job: &Job,
    rendition: &Rendition,
    contents: &Contents,
) -> Result<(), Failure> {
    let (cover, said) = match &rendition.look {
        Some(look) => {
            let cover = covers::content(
                job,
                &rendition.sender,
                &asked::settings(&rendition.settings, &job.options),
                contents,
                rendition.body,
                rendition.pages,
            );
            let (done, said) = covers::draw(queue, look, cover, rendition.setup).await?;
            (done.pages, said)
        }
        None => (Vec::new(), Vec::new()),
    };
    let kept = if cover.is_empty() {
        None
    } else {
        let item = NewItem {
            tenant_id: job.tenant_id.clone(),
            what: What::Cover,
            bytes: written(&cover)?,
        };
        Some(
            queue
                .custody
                .keep_one(item)
                .await
                .map_err(|error| Failure::Ours(error.to_string()))?,
        )
    };
    let total = rendition.pages + u32::try_from(cover.len()).unwrap_or(u32::MAX);
    if total == 0 {
        return Err(Failure::Mail {
            outcome: "mail-empty",
            note: None,
        });
    }
    let kept_back = guards::look(&queue.store, &rendition.sending, job, total).await?;
    let mut tx = queue.store.begin().await?;
    if let Some(kept) = &kept {
        queue
            .custody
            .record(&mut tx, kept)
            .await
            .map_err(|error| Failure::Ours(error.to_string()))?;
    }
    sqlx::query(
        "UPDATE job SET rendition_id = $1, cover_custody_id = $2, pages_total = $3, cover_notes = $4
         WHERE tenant_id = $5 AND job_id = $6 AND state = $7",
    )
    .bind(&rendition.rendition_id)
    .bind(kept.as_ref().map(|kept| kept.custody_id.as_str()))
    .bind(i64::from(total))
    .bind(CoverSaid::to_column(&said))
    .bind(&job.tenant_id)
    .bind(&job.job_id)
    .bind(State::Rendering.name())
    .execute(tx.conn())
    .await
    .map_err(StoreError::from)?;
    jobs::prioritise(
        &mut tx,
        &job.tenant_id,
        &job.job_id,
        State::Rendering,
        job.options.priority.unwrap_or(rendition.sending.priority),
        queue.policy.age_ms(),
    )
    .await?;
    // Pages are made at once, so that what is wrong with them is told at once; the call has its time.
    let moved = match &kept_back {
        Some(why) => guards::park(&mut tx, queue, job, why, rendition.sending.confirm_h).await?,
        None => {
            let (tenant_id, job_id) = (&job.tenant_id, &job.job_id);
            let at = job.options.send_at.unwrap_or(0);
            let (from, to) = (State::Rendering, State::Ready);
            moves::advance_at(&mut tx, tenant_id, job_id, from, to, None, at).await?
        }
    };
    if moved {
        tx.commit().await?;
        if kept_back.is_some() {
            tracing::info!(
                job = job.job_id,
                "kept back until somebody gives their word"
            );
            queue.store.wake(Topic::Outbox);
        }
    }
    // Else somebody took it back meanwhile: a cover that no job has must not stay in custody.
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::{Document, Kind};

    fn contents(own: &[bool]) -> Contents {
        let document = |own_text: &bool| Document {
            name: if *own_text { "" } else { "a.pdf" }.to_owned(),
            kind: if *own_text { Kind::Text } else { Kind::Pdf },
            bytes: Vec::new(),
            own_text: *own_text,
        };
        Contents {
            documents: own.iter().map(document).collect(),
            ..Contents::default()
        }
    }

    #[test]
    fn the_text_goes_where_the_profile_has_it() {
        let place = |own: &[bool], body, cover| match placed(contents(own), body, cover) {
            Ok((contents, body)) => {
                let own = contents.documents.iter().map(|one| one.own_text);
                Some((own.collect::<Vec<_>>(), contents.text_ignored, body))
            }
            Err(_) => None,
        };
        let both = &[false, true][..];
        let first = vec![true, false];
        assert_eq!(
            place(both, Body::Cover, true),
            Some((first.clone(), false, Body::Cover))
        );
        // Without a cover it is not lost.
        assert_eq!(
            place(both, Body::Cover, false),
            Some((first.clone(), false, Body::Page))
        );
        assert_eq!(
            place(both, Body::Page, true),
            Some((first, false, Body::Page))
        );
        assert_eq!(
            place(both, Body::Ignore, false),
            Some((vec![false], true, Body::Ignore))
        );
        assert_eq!(
            place(&[false], Body::Ignore, false),
            Some((vec![false], false, Body::Ignore))
        );
        // A cover alone has still its subject; nothing at all is no fax.
        assert_eq!(
            place(&[true], Body::Ignore, true),
            Some((vec![], true, Body::Ignore))
        );
        assert_eq!(place(&[true], Body::Ignore, false), None);
    }
}
