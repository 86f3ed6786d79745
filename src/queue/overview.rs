//! What an operator sees of the queue: jobs by state and age, calls in progress.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use sqlx::Row;
use tokio_util::sync::CancellationToken;

use super::{
    legs::{Leg, Legs},
    records::page_number,
};
use crate::{
    clock::{Millis, now_ms},
    line::{CallEvent, CallOrder, Media, PageVerdict, Verdict},
    store::{Store, StoreError},
};

/// A call in progress. Numbers are personal data: the page shows them, no log does.
#[derive(Clone, Debug, Serialize)]
pub struct CallNow {
    /// The call.
    pub call_id: String,
    /// The job whose document is on the line, of several that it may carry.
    pub job_id: String,
    /// The trunk.
    pub trunk_id: String,
    /// The called number.
    pub to: String,
    /// `dialling`, `ringing`, `answered`, `sending`.
    pub phase: &'static str,
    /// `t38` or `g711`, once settled.
    pub media: Option<Media>,
    /// The far end's identification, once it gave one.
    pub remote_ident: Option<String>,
    /// bit/s, once agreed.
    pub rate: Option<u32>,
    /// 1-based page of the job that is on the line.
    pub page: Option<u32>,
    /// How far that page is, 0 to 100.
    pub percent: u8,
    /// Pages of the job confirmed so far.
    pub confirmed: u32,
    /// Pages of the job.
    pub pages: u32,
    /// Unix milliseconds.
    pub since: Millis,
    #[serde(skip)]
    parts: Vec<Part>,
}

/// A job of the call.
#[derive(Clone, Debug)]
struct Part {
    job_id: String,
    /// Pages of the job, and the first of them that the call sends.
    pages: u32,
    first_page: u32,
    /// The first of its pages on the call.
    begins: u32,
    called_off: CancellationToken,
}

impl CallNow {
    /// The 1-based page of its job that a page of the call is; that job is shown from now on.
    fn turn_to(&mut self, page: u32) -> u32 {
        let Some(part) = self.parts.iter().rfind(|part| part.begins <= page) else {
            return page + 1;
        };
        if self.job_id != part.job_id {
            self.job_id.clone_from(&part.job_id);
            (self.pages, self.confirmed) = (part.pages, part.first_page);
        }
        part.first_page + page - part.begins + 1
    }

    fn answered(&mut self, verdict: &PageVerdict) {
        let page = self.turn_to(verdict.page);
        if verdict.verdict == Verdict::Confirmed {
            self.percent = 100;
            self.confirmed = self.confirmed.max(page);
        }
    }
}

/// The calls in progress of this process.
#[derive(Clone, Default)]
pub(super) struct CallsNow(Arc<Mutex<Vec<CallNow>>>);

impl CallsNow {
    /// Shows a call until the guard is dropped.
    pub fn begin(&self, order: &CallOrder, legs: &Legs) -> Shown {
        let part = |leg: &Leg| Part {
            job_id: leg.job.job_id.clone(),
            pages: leg.job.pages_total.unwrap_or(0),
            first_page: leg.record.first_page,
            begins: leg.begins,
            called_off: CancellationToken::new(),
        };
        let parts: Vec<Part> = legs.iter().map(part).collect();
        let first = &parts[0];
        let called_off = first.called_off.clone();
        self.lock().push(CallNow {
            call_id: order.call_id.clone(),
            job_id: first.job_id.clone(),
            trunk_id: order.trunk_id.clone(),
            to: order.to.clone(),
            phase: "dialling",
            media: None,
            remote_ident: None,
            rate: None,
            page: None,
            percent: 0,
            confirmed: first.first_page,
            pages: first.pages,
            since: now_ms(),
            parts,
        });
        Shown {
            calls: self.clone(),
            call_id: order.call_id.clone(),
            called_off,
        }
    }

    /// Tells the call of a job, if there is one, that the job has been called off.
    pub fn call_off(&self, job_id: &str) {
        let calls = self.lock();
        let parts = calls.iter().flat_map(|call| &call.parts);
        parts
            .filter(|part| part.job_id == job_id)
            .for_each(|part| part.called_off.cancel());
    }

    /// Takes in what happened on a call.
    pub fn note(&self, call_id: &str, event: &CallEvent) {
        let mut calls = self.lock();
        let Some(call) = calls.iter_mut().find(|call| call.call_id == call_id) else {
            return;
        };
        match event {
            CallEvent::Trunk(trunk_id) => call.trunk_id.clone_from(trunk_id),
            CallEvent::Ringing => call.phase = "ringing",
            CallEvent::Answered => call.phase = "answered",
            CallEvent::Media(media) => call.media = Some(*media),
            CallEvent::Negotiated(agreed) => {
                call.remote_ident.clone_from(&agreed.remote_ident);
                call.rate = Some(agreed.rate);
            }
            CallEvent::PageDataNext { answered, .. } => {
                call.phase = "sending";
                if let Some(verdict) = answered {
                    call.answered(verdict);
                }
            }
            CallEvent::PageStarted { page } => {
                call.page = Some(call.turn_to(*page));
                call.percent = 0;
            }
            CallEvent::PageProgress { page, percent } => {
                call.page = Some(call.turn_to(*page));
                call.percent = *percent;
            }
            CallEvent::Page(verdict) => call.answered(verdict),
            CallEvent::Ended(_) => {}
        }
    }

    /// All of them.
    pub fn list(&self) -> Vec<CallNow> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<CallNow>> {
        // A list for display is right whatever a panicking holder left of it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes its call off the list when dropped.
pub(super) struct Shown {
    calls: CallsNow,
    call_id: String,
    /// Cancelled when the call's first job has been called off.
    pub called_off: CancellationToken,
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.calls
            .lock()
            .retain(|call| call.call_id != self.call_id);
    }
}

/// The queue at a glance.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Overview {
    /// Jobs by state, with the oldest one's start in that state (Unix ms).
    pub states: Vec<StateCount>,
    /// The last jobs that did not end as sent: id, state, outcome key, Unix ms.
    pub troubles: Vec<Trouble>,
}

/// Jobs in one state.
#[derive(Clone, Debug, Serialize)]
pub struct StateCount {
    /// The state's name.
    pub state: String,
    /// How many.
    pub jobs: u32,
    /// Since when the oldest is in it, Unix ms.
    pub oldest: Millis,
}

/// A job that ended otherwise than sent.
#[derive(Clone, Debug, Serialize)]
pub struct Trouble {
    /// The job.
    pub job_id: String,
    /// Its final state.
    pub state: String,
    /// A key of `outcome`.
    pub outcome: String,
    /// Unix milliseconds.
    pub at: Millis,
}

/// Counts the jobs, all tenants: for the operator's page.
///
/// # Errors
/// [`StoreError`].
pub async fn overview(store: &Store) -> Result<Overview, StoreError> {
    let rows = sqlx::query(
        "SELECT state, CAST(COUNT(*) AS BIGINT) AS jobs, CAST(MIN(state_since) AS BIGINT) AS oldest
         FROM job GROUP BY state ORDER BY state",
    )
    .fetch_all(store.reader())
    .await?;
    let states = rows
        .iter()
        .map(|row| {
            Ok(StateCount {
                state: row.try_get("state")?,
                jobs: page_number(row.try_get("jobs")?),
                oldest: row.try_get("oldest")?,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    let rows = sqlx::query(
        "SELECT job_id, state, outcome, finished_at FROM job
         WHERE finished_at IS NOT NULL AND state <> 'sent' ORDER BY finished_at DESC LIMIT 5",
    )
    .fetch_all(store.reader())
    .await?;
    let troubles = rows
        .iter()
        .map(|row| {
            Ok(Trouble {
                job_id: row.try_get("job_id")?,
                state: row.try_get("state")?,
                outcome: row
                    .try_get::<Option<String>, _>("outcome")?
                    .unwrap_or_default(),
                at: row.try_get("finished_at")?,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    Ok(Overview { states, troubles })
}
