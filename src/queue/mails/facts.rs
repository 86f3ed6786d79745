//! What a mail about faxes tells, as the records have it.

use faxpost_t4::{FaxPage, pdf, tiff};
use sqlx::Row as _;

use super::owed::{self, Purpose};
use crate::{
    clock::Millis,
    language::Language,
    letter::{Fax, Preview, Reason, Standing},
    options::Options,
    people,
    queue::{Inner, profiles, records::page_number, state::State},
    relay::Draft,
};

/// How long an acceptance waits for the pages that it is to show.
pub(super) const PATIENCE: Millis = 120_000;
/// Pages of a preview, and octets, at most.
const PREVIEW_PAGES: usize = 20;
const PREVIEW_OCTETS: usize = 4 << 20;

/// The facts.
pub(super) struct Facts {
    pub submission_id: String,
    pub language: Language,
    pub time_zone: String,
    pub company: Option<String>,
    /// The fax domain that the mail was sent to: answers go there.
    pub domain: String,
    pub in_reply_to: Option<String>,
    pub subject: String,
    /// Name and address of who sent it.
    pub sender: String,
    pub closed: bool,
    pub faxes: Vec<Fax>,
    /// Who has to approve faxes of it.
    pub approver: Option<String>,
    /// When the first that is kept back ends.
    pub until: Option<Millis>,
    /// No picture of what it says.
    hidden: bool,
    /// Where the pages of the first fax are: cover and rendition.
    pages: Option<(Option<String>, Option<String>)>,
}

impl Facts {
    pub async fn of(queue: &Inner, draft: &Draft, purpose: &Purpose) -> anyhow::Result<Self> {
        let (submission_id, only) = match purpose {
            Purpose::Delayed(job_id) => {
                let id = sqlx::query_scalar(
                    "SELECT submission_id FROM job WHERE tenant_id = $1 AND job_id = $2",
                )
                .bind(&draft.tenant_id)
                .bind(job_id)
                .fetch_one(queue.store.reader())
                .await?;
                (id, Some(job_id.as_str()))
            }
            Purpose::Answer { submission, .. } => (submission.clone(), None),
            Purpose::Ask(id)
            | Purpose::Approve(id)
            | Purpose::Accepted(id)
            | Purpose::Again(id) => (id.clone(), None),
        };
        let row = sqlx::query(
            "SELECT user_id, message_id, subject, closed_at, options FROM submission
             WHERE tenant_id = $1 AND submission_id = $2",
        )
        .bind(&draft.tenant_id)
        .bind(&submission_id)
        .fetch_one(queue.store.reader())
        .await?;
        let user_id: String = row.try_get("user_id")?;
        let sending = profiles::rules(queue, &draft.tenant_id, &user_id)
            .await?
            .sending;
        let user = people::user(&queue.store, &draft.tenant_id, &user_id).await?;
        // An approver reads their own language.
        let reader = people::user_by_address(&queue.store, &draft.recipient).await?;
        let reader = reader.filter(|reader| reader.tenant_id == draft.tenant_id);
        let reader_id = reader.map_or_else(|| user_id.clone(), |reader| reader.user_id);
        let settings = people::settings_for(&queue.store, &draft.tenant_id, &reader_id).await?;
        let branding = people::branding(&queue.store, &draft.tenant_id).await?;
        let subject: String = row.try_get("subject")?;
        let options = Options::from_column(row.try_get::<Option<String>, _>("options")?.as_deref());
        // A question is asked of what is seen.
        let asks = matches!(purpose, Purpose::Ask(_) | Purpose::Approve(_));
        let unseen = !asks && options.preview == Some(false);
        let mut facts = Self {
            submission_id,
            language: settings.language,
            time_zone: settings.time_zone,
            company: branding.company,
            domain: String::new(),
            // Another's mail is none that the approver has.
            in_reply_to: match purpose {
                Purpose::Approve(_) => None,
                _ => row.try_get("message_id")?,
            },
            subject: if sending.discreet {
                String::new()
            } else {
                subject
            },
            sender: user.map_or_else(String::new, |user| {
                format!("{} ({})", user.name, user.address)
            }),
            closed: row.try_get::<Option<i64>, _>("closed_at")?.is_some(),
            faxes: Vec::new(),
            approver: None,
            until: None,
            hidden: sending.discreet || unseen,
            pages: None,
        };
        facts.read_jobs(queue, draft, only).await?;
        if facts.domain.is_empty() {
            let domain = people::first_domain(&queue.store, &draft.tenant_id).await?;
            facts.domain = domain.unwrap_or_default();
        }
        Ok(facts)
    }

    async fn read_jobs(
        &mut self,
        queue: &Inner,
        draft: &Draft,
        only: Option<&str>,
    ) -> anyhow::Result<()> {
        let rows = sqlx::query(
            "SELECT job_id, destination, sub_address, recipient, state, run_at, opens_at, deadline, outcome, pages_total,
                    parked_why, approver, cover_custody_id, rendition_id,
                    (SELECT leg.outcome FROM leg WHERE leg.tenant_id = job.tenant_id AND leg.job_id = job.job_id
                     ORDER BY leg.leg_id DESC LIMIT 1) AS ended
             FROM job WHERE tenant_id = $1 AND submission_id = $2 ORDER BY job_id",
        )
        .bind(&draft.tenant_id)
        .bind(&self.submission_id)
        .fetch_all(queue.store.reader())
        .await?;
        for row in rows {
            let job_id: String = row.try_get("job_id")?;
            let recipient: String = row.try_get("recipient")?;
            if let Some((_, domain)) = recipient.rsplit_once('@')
                && self.domain.is_empty()
                && let Some(tenant) = people::tenant_by_domain(&queue.store, domain).await?
                && tenant.tenant_id == draft.tenant_id
            {
                // A number may have stood in a polled mail's text, with anybody's domain behind it.
                self.domain = domain.to_owned();
            }
            if only.is_some_and(|only| only != job_id) {
                continue;
            }
            let state: State = row.try_get::<String, _>("state")?.parse()?;
            let deadline: Millis = row.try_get("deadline")?;
            if let Some(approver) = row.try_get::<Option<String>, _>("approver")? {
                self.approver = Some(approver);
            }
            let pages: Option<i64> = row.try_get("pages_total")?;
            if pages.is_some() && self.pages.is_none() {
                self.pages = Some((
                    row.try_get("cover_custody_id")?,
                    row.try_get("rendition_id")?,
                ));
            }
            let standing = match state {
                State::Parked => {
                    self.until = Some(self.until.map_or(deadline, |until| until.min(deadline)));
                    Standing::Parked(deadline)
                }
                state if owed::has_no_pages(state) => Standing::Queued,
                State::Waiting => {
                    let next: Millis = row
                        .try_get::<Millis, _>("run_at")?
                        .max(row.try_get("opens_at")?);
                    let ended: Option<String> = row.try_get("ended")?;
                    Standing::Waiting(next, ended.unwrap_or_default())
                }
                State::Dialling | State::Sending => Standing::OnLine,
                state if state.is_final() => Standing::Over(state.name().to_owned()),
                _ => Standing::Ready,
            };
            let why: Option<String> = row.try_get("parked_why")?;
            let why = why.and_then(|why| serde_json::from_str::<Vec<Reason>>(&why).ok());
            self.faxes.push(Fax {
                destination: row.try_get("destination")?,
                sub_address: row.try_get("sub_address")?,
                pages: pages.map_or(0, page_number),
                standing,
                why: why.unwrap_or_default(),
            });
        }
        Ok(())
    }

    /// What is sent to the first of them; none where mails are to say nothing of the content, or it can't be shown: the
    /// mail goes out without.
    pub async fn preview(&self, queue: &Inner, draft: &Draft) -> Option<Preview> {
        let (cover, rendition) = self.pages.as_ref().filter(|_| !self.hidden)?;
        let made = preview(
            queue,
            &draft.tenant_id,
            cover.as_deref(),
            rendition.as_deref(),
        )
        .await;
        made.inspect_err(|error| {
            let (mail, error) = (draft.mail_id.as_str(), format!("{error:#}"));
            tracing::warn!(mail, error, "no preview for a mail about a fax");
        })
        .ok()
        .flatten()
    }
}

async fn preview(
    queue: &Inner,
    tenant_id: &str,
    cover: Option<&str>,
    rendition: Option<&str>,
) -> anyhow::Result<Option<Preview>> {
    let mut kept = Vec::new();
    if let Some(cover) = cover {
        kept.push(queue.custody.open(&queue.store, tenant_id, cover).await?);
    }
    if let Some(rendition) = rendition {
        let custody_id: String = sqlx::query_scalar(
            "SELECT custody_id FROM rendition WHERE tenant_id = $1 AND rendition_id = $2",
        )
        .bind(tenant_id)
        .bind(rendition)
        .fetch_one(queue.store.reader())
        .await?;
        kept.push(
            queue
                .custody
                .open(&queue.store, tenant_id, &custody_id)
                .await?,
        );
    }
    let made = tokio::task::spawn_blocking(move || -> anyhow::Result<Option<Preview>> {
        let mut pages: Vec<FaxPage> = Vec::new();
        for bytes in kept {
            pages.extend(tiff::read(&bytes)?);
        }
        let of = u32::try_from(pages.len())?;
        let mut octets = 0;
        let fits = |page: &&FaxPage| {
            octets += page.data.len();
            octets <= PREVIEW_OCTETS
        };
        let shown = pages.iter().take(PREVIEW_PAGES).take_while(fits).count();
        pages.truncate(shown);
        if pages.is_empty() {
            return Ok(None);
        }
        let info = pdf::PdfInfo {
            creator: "faxpost".into(),
            ..pdf::PdfInfo::default()
        };
        Ok(Some(Preview {
            pdf: pdf::wrap(&pages, &info),
            shown: u32::try_from(shown)?,
            of,
        }))
    });
    made.await?
}

/// Calls placed for a job, and what the last one ended with, for administrators.
pub(super) async fn last_call(
    queue: &Inner,
    tenant_id: &str,
    job_id: &str,
) -> anyhow::Result<(u32, String)> {
    let row = sqlx::query(
        "SELECT leg.outcome, leg.t30_code, call.sip_status, call.q850,
                (SELECT tries FROM job WHERE tenant_id = $1 AND job_id = $2) AS tries
         FROM leg JOIN call ON call.call_id = leg.call_id AND call.tenant_id = leg.tenant_id
         WHERE leg.tenant_id = $1 AND leg.job_id = $2 ORDER BY call.placed_at DESC, leg.leg_id DESC LIMIT 1",
    )
    .bind(tenant_id)
    .bind(job_id)
    .fetch_optional(queue.store.reader())
    .await?;
    let Some(row) = row else {
        return Ok((0, String::new()));
    };
    let mut codes = Vec::new();
    for (name, column) in [
        ("SIP", "sip_status"),
        ("Q.850", "q850"),
        ("T.30", "t30_code"),
    ] {
        let code: Option<i64> = row.try_get(column)?;
        codes.extend(code.map(|code| format!("{name} {code}")));
    }
    codes.extend(row.try_get::<Option<String>, _>("outcome")?);
    Ok((page_number(row.try_get("tries")?), codes.join(", ")))
}
