//! The cover of a job: whose template, what stands on it, and the plain one where that fails.
//!
//! Templates are the operator's or a tenant's, and anybody's: each is drawn in a paper worker, with the mail's
//! words as values. What a failure says goes into the report; the fax goes out all the same.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use faxpost_paper::{Cover, Template};

use super::{Inner, claim::Job, draw::not_drawn, pages, renderer::Failure};
use crate::{
    clock::Millis,
    documents::{Contents, Kind},
    letter::CoverSaid,
    people::{self, Branding, Settings, Tenant, User},
    policy::{Body, covers},
    store::StoreError,
    trouble::Trouble,
    worker::paper::{PaperDone, PaperFailure, PaperLimit, PaperRequest},
};

/// How long a template that used up its limits is not tried again: each try holds up the faxes behind it.
const REST: Duration = Duration::from_secs(600);
/// Templates that rest, at most.
const MOST_RESTING: usize = 64;

/// How the covers of a submission look.
pub(super) struct Look {
    tenant_id: String,
    template: Template,
    /// The cover that the profile names is gone; the plain one stands in.
    gone: Option<String>,
    branding: Branding,
}

/// How the covers of a tenant look where its profile names this one; `None`: there is to be none.
pub(super) async fn look(
    queue: &Inner,
    tenant_id: &str,
    name: &str,
) -> Result<Option<Look>, StoreError> {
    if name == covers::NONE {
        return Ok(None);
    }
    let own = people::own_cover(&queue.store, tenant_id, name).await?;
    let found = match own {
        Some(source) => Some(Template {
            name: name.to_owned(),
            source,
        }),
        None => queue.covers.get(name),
    };
    let gone = found.is_none().then(|| name.to_owned());
    Ok(Some(Look {
        tenant_id: tenant_id.to_owned(),
        template: found.unwrap_or_default(),
        gone,
        branding: people::branding(&queue.store, tenant_id).await?,
    }))
}

/// Who sends, and when.
pub(super) struct Sender {
    name: String,
    address: String,
    company: String,
    accepted_at: Millis,
}

impl Sender {
    pub fn of(user: User, tenant: Tenant, accepted_at: Millis) -> Self {
        Self {
            name: user.name,
            address: user.address,
            company: tenant.name,
            accepted_at,
        }
    }
}

/// What stands on the cover of a job, before its look.
pub(super) fn content(
    job: &Job,
    sender: &Sender,
    settings: &Settings,
    contents: &Contents,
    body: Body,
    document_pages: u32,
) -> Cover {
    let text = contents.cover_text().filter(|_| body == Body::Cover);
    Cover {
        organisation: sender.company.clone(),
        from_name: sender.name.clone(),
        from_number: settings.caller_number.clone().unwrap_or_default(),
        from_address: sender.address.clone(),
        to_name: (job.to_name.clone())
            .or_else(|| contents.name_of(&job.recipient))
            .unwrap_or_default(),
        to_number: job.destination.clone(),
        date: pages::local_date(sender.accepted_at, settings),
        subject: contents.subject.clone(),
        document_pages,
        message: text.map_or_else(String::new, |text| {
            String::from_utf8_lossy(&text.bytes).into_owned()
        }),
        message_is_html: text.is_some_and(|text| matches!(text.kind, Kind::Html { .. })),
        language: pages::language(settings),
        ..Cover::default()
    }
}

/// Draws a cover; where its template fails, the plain one that is built in.
pub(super) async fn draw(
    queue: &Inner,
    look: &Look,
    cover: Cover,
    setup: faxpost_paper::PageSetup,
) -> Result<(PaperDone, Vec<CoverSaid>), Failure> {
    let Branding {
        company,
        footer,
        logo,
    } = look.branding.clone();
    let mut cover = Cover {
        template: look.template.clone(),
        logo,
        footer: footer.unwrap_or_default(),
        ..cover
    };
    if let Some(company) = company {
        cover.organisation = company;
    }
    let mut said: Vec<CoverSaid> = Vec::new();
    said.extend(look.gone.clone().map(|name| CoverSaid::Gone { name }));
    let first = match queue.resting.failure(&look.tenant_id, &cover.template) {
        Some(failure) => Err(failure),
        None => draw_one(queue, &look.tenant_id, &cover, setup).await?,
    };
    let done = match first {
        Ok(done) => done,
        Err(failure) => {
            let plain = Template::default();
            if cover.template.source == plain.source {
                return Err(failed(&failure));
            }
            let name = std::mem::replace(&mut cover.template, plain).name;
            tracing::warn!(
                template = name,
                "a cover can't be drawn, the plain one goes out"
            );
            let done = draw_one(queue, &look.tenant_id, &cover, setup).await?;
            said.push(CoverSaid::Replaced { name, failure });
            done.map_err(|failure| failed(&failure))?
        }
    };
    said.extend(done.notes.iter().cloned().map(CoverSaid::Drawn));
    Ok((done, said))
}

async fn draw_one(
    queue: &Inner,
    tenant_id: &str,
    cover: &Cover,
    setup: faxpost_paper::PageSetup,
) -> Result<Result<PaperDone, PaperFailure>, Failure> {
    let request = PaperRequest::Cover {
        cover: Box::new(cover.clone()),
        setup,
    };
    match queue.paper.render(&request, queue.paper_deadline).await {
        Ok(done) => Ok(Ok(done)),
        Err(failure) if failure.trouble() == Trouble::Permanent => {
            queue.resting.heard(tenant_id, &cover.template, &failure);
            Ok(Err(failure))
        }
        Err(failure) => Err(Failure::Ours(failure.to_string())),
    }
}

fn failed(failure: &PaperFailure) -> Failure {
    not_drawn("cover", failure)
}

/// Templates that used up their limits a while ago, and whose faxes they were drawn for: one tenant's mail puts no
/// other's covers to rest.
#[derive(Debug, Default)]
pub(super) struct Resting(Mutex<Vec<Rest>>);

#[derive(Debug)]
struct Rest {
    tenant_id: String,
    template: Template,
    failure: PaperFailure,
    since: Instant,
}

impl Resting {
    fn failure(&self, tenant_id: &str, template: &Template) -> Option<PaperFailure> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|rest| rest.since.elapsed() < REST);
        let found = all.iter().find(|rest| rest.is(tenant_id, template));
        found.map(|rest| rest.failure.clone())
    }

    /// Remembers what the template itself used up. An error in its words costs nothing to see again and may be of
    /// one fax's values; clock time and a worker that was killed may be the machine's; and in place of the plain one
    /// there is nothing.
    fn heard(&self, tenant_id: &str, template: &Template, failure: &PaperFailure) {
        use PaperLimit::{Memory, Nesting, Page, Processor};
        let used_up = matches!(
            failure,
            PaperFailure::Limit(Page(_) | Processor(_) | Memory(_) | Nesting)
        );
        if !used_up || template.source == Template::default().source {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MOST_RESTING && all.iter().all(|rest| !rest.is(tenant_id, template)) {
            all.push(Rest {
                tenant_id: tenant_id.to_owned(),
                template: template.clone(),
                failure: failure.clone(),
                since: Instant::now(),
            });
        }
    }
}

impl Rest {
    fn is(&self, tenant_id: &str, template: &Template) -> bool {
        self.tenant_id == tenant_id && self.template == *template
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_that_never_ends_is_not_tried_for_each_fax() {
        let resting = Resting::default();
        let (slow, wrong) = (
            Template {
                name: "slow".into(),
                source: "#f()".into(),
            },
            Template::default(),
        );
        let limit = PaperFailure::Limit(PaperLimit::Page(Duration::from_secs(5)));
        resting.heard("a", &slow, &limit);
        resting.heard("a", &wrong, &PaperFailure::TooLarge { bytes: 1 });
        assert_eq!(resting.failure("a", &slow), Some(limit.clone()));
        assert_eq!(resting.failure("b", &slow), None, "another tenant's");
        assert_eq!(resting.failure("a", &wrong), None);
        // Another source of the same name is another template.
        let mended = Template {
            source: "#g()".into(),
            ..slow
        };
        assert_eq!(resting.failure("a", &mended), None);
    }

    #[test]
    fn promise_7_the_plain_cover_never_rests_nor_does_one_that_the_machine_failed() {
        let resting = Resting::default();
        let limit = PaperFailure::Limit(PaperLimit::Page(Duration::from_secs(5)));
        resting.heard("a", &Template::default(), &limit);
        assert_eq!(resting.failure("a", &Template::default()), None);
        let other = Template {
            name: "other".into(),
            source: "#f()".into(),
        };
        let wall = PaperFailure::Limit(PaperLimit::Wall(Duration::from_secs(60)));
        for failure in [wall, PaperFailure::Crashed] {
            resting.heard("a", &other, &failure);
            assert_eq!(resting.failure("a", &other), None, "{failure:?}");
        }
    }
}
