//! The HTTP doors: the status page, and the same as JSON.

use std::sync::Arc;

use askama::Template;
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Millis, now_ms},
    inbox,
    line::Lines,
    numbers::{self, MailboxState, Reach, TrunkState},
    queue::{self, CallNow, Overview, Queue},
    relay::{self, OutboxStatus},
    store::{Store, StoreError},
};

/// What the page shows.
#[derive(Clone)]
pub struct Page {
    /// The database.
    pub store: Store,
    /// The queue.
    pub queue: Queue,
    /// The line.
    pub line: Lines,
    /// Our name.
    pub hostname: String,
}

/// The gateway at a glance.
#[derive(Serialize)]
pub struct Status {
    /// Our name.
    pub hostname: String,
    /// Our version.
    pub version: &'static str,
    /// When this was read, Unix milliseconds.
    pub at: i64,
    /// Outgoing calls in progress.
    pub calls: Vec<CallNow>,
    /// Calls in progress, both ways.
    pub calls_in_all: usize,
    /// Jobs.
    pub queue: Overview,
    /// Received faxes by state.
    pub inbox: Vec<inbox::StateCount>,
    /// Mail to be relayed.
    pub outbox: OutboxStatus,
    /// Trunks: name, whether they are on, how they are.
    pub trunks: Vec<TrunkLine>,
    /// Polled mailboxes: name, whether they are on, how they are.
    pub mailboxes: Vec<MailboxLine>,
    /// Packets from addresses of no trunk, which got no answer.
    pub strangers: u64,
    /// Calls that wanted a media port when all were in use.
    pub wanting_ports: u64,
}

/// A trunk at a glance.
#[derive(Serialize)]
pub struct TrunkLine {
    /// Its name.
    pub name: String,
    /// It is on.
    pub active: bool,
    /// Calls that it may carry.
    pub channels: u32,
    /// Calls that it carries now, both ways.
    pub busy: usize,
    /// How it is.
    pub state: TrunkState,
    /// The same in words.
    pub words: String,
}

/// A mailbox at a glance.
#[derive(Serialize)]
pub struct MailboxLine {
    /// Its name.
    pub name: String,
    /// It is on.
    pub active: bool,
    /// How it is.
    pub state: MailboxState,
    /// The same in words.
    pub words: String,
}

/// Serves the page until `stop`.
///
/// # Errors
/// The listener failed.
pub async fn run(page: Page, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
    let app = Router::new()
        .route("/", get(show))
        .route("/status.json", get(status))
        .route("/healthz", get(healthy))
        .with_state(Arc::new(page));
    axum::serve(listener, app)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await?;
    Ok(())
}

async fn read(page: &Page) -> Result<Status, StoreError> {
    let calls = page.queue.calls();
    let at = now_ms();
    let now = page.line.trunks();
    let trunks = numbers::trunks(&page.store)
        .await?
        .into_iter()
        .map(|trunk| {
            let now = now.iter().find(|now| now.trunk_id == trunk.trunk_id);
            let state = now.map(|now| now.state.clone()).unwrap_or_default();
            TrunkLine {
                busy: now.map_or(0, |now| now.busy),
                words: if trunk.active {
                    numbers::state_words(&state, at)
                } else {
                    "off".to_owned()
                },
                name: trunk.name,
                active: trunk.active,
                channels: trunk.channels,
                state,
            }
        })
        .collect();
    Ok(Status {
        hostname: page.hostname.clone(),
        version: env!("CARGO_PKG_VERSION"),
        at,
        calls,
        calls_in_all: page.line.calls(),
        queue: queue::overview(&page.store).await?,
        inbox: inbox::overview(&page.store).await?,
        outbox: relay::status(&page.store).await?,
        trunks,
        mailboxes: mailboxes(&page.store, at).await?,
        strangers: page.line.dropped().unlisted_source,
        wanting_ports: page.line.wanting_ports(),
    })
}

async fn mailboxes(store: &Store, at: Millis) -> Result<Vec<MailboxLine>, StoreError> {
    let mut states = numbers::mailbox_states(store, at).await?;
    let line = |mailbox: numbers::Mailbox| {
        let place = states
            .iter()
            .position(|state| state.mailbox_id == mailbox.mailbox_id);
        let state = place.map(|at| states.swap_remove(at)).unwrap_or_default();
        MailboxLine {
            words: if mailbox.active {
                numbers::mailbox_words(&state, at)
            } else {
                "off".to_owned()
            },
            name: mailbox.name,
            active: mailbox.active,
            state,
        }
    };
    Ok(numbers::mailboxes(store)
        .await?
        .into_iter()
        .map(line)
        .collect())
}

/// A failure of the database, told to whoever looks.
struct Unavailable(StoreError);

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        tracing::error!(error = %self.0, "the status can't be read");
        let words = "The status can't be read: the database does not answer. The log says why.\n";
        (StatusCode::SERVICE_UNAVAILABLE, words).into_response()
    }
}

async fn status(State(page): State<Arc<Page>>) -> Result<Json<Status>, Unavailable> {
    read(&page).await.map(Json).map_err(Unavailable)
}

async fn healthy(State(page): State<Arc<Page>>) -> Result<&'static str, Unavailable> {
    queue::overview(&page.store).await.map_err(Unavailable)?;
    Ok("ok\n")
}

#[derive(Template)]
#[template(path = "status.html")]
struct StatusPage {
    status: Status,
}

impl StatusPage {
    /// The one sentence on top.
    fn verdict(&self) -> &'static str {
        if self.status.trunks.iter().all(|trunk| !trunk.active) {
            "No trunk is on: faxes wait. Add one with faxpost admin add trunk …"
        } else if let Some(down) = self.down() {
            down
        } else if self
            .status
            .inbox
            .iter()
            .any(|row| row.state == "unreadable")
        {
            "A received fax could not be written as a mail: its recipient was told, the log says why."
        } else if self.mailbox_fails() {
            "Mails in a mailbox can't be faxed: see below."
        } else if self.status.outbox.failed > 0 {
            "Some of our mail was refused by the relay: see below."
        } else if self.status.outbox.dropped > 0 {
            "Some of our mail was never delivered, and is no longer kept: see below."
        } else {
            "All is well."
        }
    }

    fn down(&self) -> Option<&'static str> {
        let down = |trunk: &&TrunkLine| trunk.active && trunk.state.reach == Reach::Down;
        let on = self
            .status
            .trunks
            .iter()
            .filter(|trunk| trunk.active)
            .count();
        match self.status.trunks.iter().filter(down).count() {
            0 => None,
            all if all == on => Some("Every trunk is down: see below."),
            _ => Some("A trunk is down; faxes go over the others: see below."),
        }
    }

    fn mailbox_fails(&self) -> bool {
        let fails = |mailbox: &MailboxLine| mailbox.active && mailbox.state.failing_since.is_some();
        self.status.mailboxes.iter().any(fails)
    }

    fn age(&self, since: &i64) -> String {
        let seconds = (self.status.at - since).max(0) / 1000;
        match seconds {
            0..=119 => format!("{seconds} s"),
            120..=7199 => format!("{} min", seconds / 60),
            _ => format!("{} h", seconds / 3600),
        }
    }
}

async fn show(State(page): State<Arc<Page>>) -> Result<Response, Unavailable> {
    let status = read(&page).await.map_err(Unavailable)?;
    let html = StatusPage { status }.render().unwrap_or_else(|error| {
        tracing::error!(%error, "the status page can't be drawn");
        String::from("The page can't be drawn; /status.json holds the same.")
    });
    let mut response = Html(html).into_response();
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    let private = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, private);
    Ok(response)
}
