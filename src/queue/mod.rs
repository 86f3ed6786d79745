//! Jobs, renditions, calls, legs and page reports: what is to be sent and how it went.
//!
//! A job walks the table in [`state`]: the renderer makes its pages, the dialler claims it for a
//! channel, the call's task follows it on the line, and its end settles the units and, with the
//! submission's last job, puts the report into the outbox. The watchdog walks behind.

mod asked;
mod attempt;
mod batch;
mod cancel;
mod claim;
mod closing;
mod covers;
mod dialler;
mod draw;
mod fair;
mod guards;
mod heads;
mod in_call;
mod jobs;
mod ladder;
mod legs;
mod mails;
mod memory;
mod moves;
mod notifications;
mod overview;
mod pages;
mod profiles;
mod receipt;
mod records;
mod renderer;
mod replies;
mod reporter;
mod routes;
pub mod state;
#[cfg(test)]
mod testing;
mod watchdog;

use std::{
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use cancel::{Cancelled, CancelledJob, cancel};
pub use jobs::{NewJob, enqueue, enqueue_all};
pub use mails::owe_again;
pub use overview::{CallNow, Overview, overview};
pub use pages::pages_of_last_call;
pub use profiles::hours_changed;
pub use replies::{NoEffect, Replied, Word, actions, reply};
pub use state::State;

use crate::{
    conversion::Converters,
    line::FaxLine,
    policy::{Covers, Sending},
    store::{Node, Store},
    tokens::Tokens,
    vault::Custody,
    worker::paper::PaperPool,
};

/// What the queue works with.
#[derive(Clone)]
pub struct Queue {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    custody: Custody,
    paper: Arc<PaperPool>,
    converters: Converters,
    line: Arc<dyn FaxLine>,
    policy: Sending,
    covers: Covers,
    tokens: Tokens,
    /// Covers that used up their limits.
    resting: covers::Resting,
    hostname: String,
    report_from: String,
    renderers: usize,
    paper_deadline: Duration,
    max_pages: u32,
    /// `node/start`: a lease of an earlier start of this node is void at once.
    owner: String,
    /// Held: no other process becomes this node while the queue lives.
    _node: Node,
    drain: Duration,
    /// Calls in progress, for the status page.
    calls: overview::CallsNow,
    /// Whose mail is rendered next.
    to_render: Mutex<fair::Fair>,
    /// Calls that end from now on were ended by our stop.
    stopping: AtomicBool,
}

/// How the queue is set up.
pub struct Setup {
    /// The database.
    pub store: Store,
    /// Pages and mails.
    pub custody: Custody,
    /// Paper workers.
    pub paper: Arc<PaperPool>,
    /// What makes other documents PDFs.
    pub converters: Converters,
    /// The line.
    pub line: Arc<dyn FaxLine>,
    /// How a fax is tried again.
    pub policy: Sending,
    /// The house's covers.
    pub covers: Covers,
    /// What stands in mails that can be answered.
    pub tokens: Tokens,
    /// Our name.
    pub hostname: String,
    /// The From of reports.
    pub report_from: String,
    /// Documents rendered at a time.
    pub renderers: usize,
    /// Clock time that one document may take.
    pub paper_deadline: Duration,
    /// Pages that one document may have.
    pub max_pages: u32,
    /// This node, held as long as the queue runs.
    pub node: Node,
    /// How long calls in progress may go on after the stop.
    pub drain: Duration,
}

/// What a running queue does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Everything.
    All,
    /// It neither renders nor dials: jobs wait as they are. Reports are written and deadlines are kept.
    Held,
}

impl Queue {
    /// A queue at rest.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self {
            inner: Arc::new(Inner {
                store: setup.store,
                custody: setup.custody,
                paper: setup.paper,
                converters: setup.converters,
                line: setup.line,
                policy: setup.policy,
                covers: setup.covers,
                tokens: setup.tokens,
                resting: covers::Resting::default(),
                hostname: setup.hostname,
                report_from: setup.report_from,
                renderers: setup.renderers,
                paper_deadline: setup.paper_deadline,
                max_pages: setup.max_pages,
                owner: format!("{}/{}", setup.node.id(), crate::store::new_id()),
                _node: setup.node,
                drain: setup.drain,
                calls: overview::CallsNow::default(),
                to_render: Mutex::default(),
                stopping: AtomicBool::new(false),
            }),
        }
    }

    /// Takes back what an earlier start left in work, then does `work` until `stop`.
    ///
    /// # Errors
    /// The database can't be read at the start; later failures are logged and tried again.
    pub async fn run(
        &self,
        work: Work,
        stop: CancellationToken,
    ) -> Result<(), crate::store::StoreError> {
        watchdog::take_back(&self.inner).await?;
        let mut tasks = JoinSet::new();
        match work {
            Work::All => {
                for _ in 0..self.inner.renderers {
                    tasks.spawn(renderer::run(self.inner.clone(), stop.clone()));
                }
                tasks.spawn(dialler::run(self.inner.clone(), stop.clone()));
            }
            Work::Held => tracing::warn!("jobs are held: nothing is rendered or dialled"),
        }
        tasks.spawn(reporter::run(self.inner.clone(), stop.clone()));
        tasks.spawn(mails::run(self.inner.clone(), stop.clone()));
        tasks.spawn(watchdog::run(self.inner.clone(), stop.clone()));
        tasks.spawn(watchdog::call_off(self.inner.clone(), stop.clone()));
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                // A worker of the queue that is gone would leave jobs to rot: better a restart.
                tracing::error!(%error, "a task of the queue failed; stopping to be started again");
                stop.cancel();
            }
        }
        Ok(())
    }

    /// The calls in progress.
    #[must_use]
    pub fn calls(&self) -> Vec<CallNow> {
        self.inner.calls.list()
    }
}
