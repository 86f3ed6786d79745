//! The IMAP door: mailboxes are polled, and the mails in them are faxed.
//!
//! [`Poller::run`] has a task for each mailbox that is on (`mailbox`), which looks at it when IDLE says so and at an
//! interval (`watch`). A look (`look`) takes the mails one by one: asks for the size, fetches, lets
//! `intake` decide and keep, and only then moves the mail away (`folders`), so that a crash leaves it where it is; the
//! mail is known when it comes again. `session` speaks the protocol over a `wire` that bounds what a server may send,
//! `login` and `token` prove who we are. What nobody proven sent is told to the mailbox's owner (`digest`), what was
//! refused of a proven sender's to them (`told`).

mod digest;
mod folders;
mod login;
mod look;
mod mailbox;
mod names;
mod refused;
mod renewal;
mod session;
mod still;
mod tls;
mod token;
mod told;
mod watch;
mod wire;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{Intake, Postmaster};
use crate::{
    config,
    numbers::{self, Mailbox},
    store::Store,
    vault::{Custody, Sealed},
};

/// How often the mailboxes are read anew.
const EVERY: Duration = Duration::from_secs(5);

/// What polling needs.
pub struct Setup {
    /// The directory.
    pub store: Store,
    /// Where what we write is kept; its vault opens the mailboxes' secrets.
    pub custody: Custody,
    /// What decides of the mails.
    pub intake: Arc<Intake>,
    /// Who hears of mailboxes that can't be polled.
    pub postmaster: Postmaster,
    /// `[imap]`
    pub config: config::Imap,
    /// Octets of a mail at most.
    pub max_size: usize,
    /// Who we are among the nodes.
    pub node: String,
    /// Our address.
    pub from: String,
    /// Our name, for Message-IDs.
    pub hostname: String,
}

/// What the tasks share.
struct Shared {
    setup: Setup,
    /// Something was refused: there may be a digest to write.
    refused: Notify,
}

/// Polls the mailboxes.
pub struct Poller(Arc<Shared>);

impl Poller {
    /// A poller that has not begun.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self(Arc::new(Shared {
            setup,
            refused: Notify::new(),
        }))
    }

    /// Polls until it is told to stop. Mailboxes that are added, changed or removed are taken up within seconds.
    pub async fn run(self, stop: CancellationToken) {
        let digests = tokio::spawn(digest::run(Arc::clone(&self.0), stop.clone()));
        let mut running = HashMap::new();
        loop {
            self.take_up(&mut running, &stop).await;
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
        for (_, task) in running {
            task.end().await;
        }
        let _ = digests.await;
    }

    /// The mailboxes that are on; nothing while they can't be read.
    async fn wanted(&self) -> Option<Vec<Mailbox>> {
        match numbers::mailboxes(&self.0.setup.store).await {
            Ok(mut mailboxes) => {
                mailboxes.retain(|mailbox| mailbox.active);
                Some(mailboxes)
            }
            Err(error) => {
                tracing::warn!(%error, "the mailboxes can't be read; trying again");
                None
            }
        }
    }

    /// Starts and ends tasks, so that each mailbox that is on has one with its settings of now.
    async fn take_up(&self, running: &mut HashMap<String, Running>, stop: &CancellationToken) {
        let Some(mut wanted) = self.wanted().await else {
            return;
        };
        let gone = |task: &Running| {
            task.handle.is_finished() || !wanted.iter().any(|mailbox| task.serves(mailbox))
        };
        let stale: Vec<String> = running
            .iter()
            .filter(|(_, task)| gone(task))
            .map(|(id, _)| id.clone())
            .collect();
        if !stale.is_empty() {
            for id in stale {
                if let Some(task) = running.remove(&id) {
                    task.end().await;
                }
            }
            // One that ended may have renewed its secrets last: its successor begins with those.
            let Some(now) = self.wanted().await else {
                return;
            };
            wanted = now;
        }
        for mailbox in wanted {
            let id = mailbox.mailbox_id.clone();
            running
                .entry(id)
                .or_insert_with(|| Running::start(&self.0, mailbox, stop));
        }
    }
}

/// Secrets that a task has renewed itself, the last of them last. What is on record may be an earlier one, when it was
/// read before the last was written.
#[derive(Clone, Default)]
struct Renewed(Arc<Mutex<Vec<Sealed>>>);

impl Renewed {
    /// As many as are known.
    const MOST: usize = 16;

    fn add(&self, secrets: Sealed) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MOST {
            known.remove(0);
        }
        known.push(secrets);
    }

    fn knows(&self, secrets: &Sealed) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(secrets)
    }
}

/// The task of a mailbox.
struct Running {
    mailbox: Mailbox,
    renewed: Renewed,
    stop: CancellationToken,
    handle: JoinHandle<()>,
}

impl Running {
    fn start(shared: &Arc<Shared>, mailbox: Mailbox, stop: &CancellationToken) -> Self {
        let stop = stop.child_token();
        let renewed = Renewed::default();
        let follow = mailbox::follow(
            Arc::clone(shared),
            mailbox.clone(),
            renewed.clone(),
            stop.clone(),
        );
        Self {
            mailbox,
            renewed,
            stop,
            handle: tokio::spawn(follow),
        }
    }

    /// Whether it goes by these settings, or by secrets that it has renewed itself.
    fn serves(&self, mailbox: &Mailbox) -> bool {
        let mut ours = self.mailbox.clone();
        if let Some(secrets) = &mailbox.credentials
            && self.renewed.knows(secrets)
        {
            ours.credentials = Some(secrets.clone());
        }
        ours == *mailbox
    }

    async fn end(self) {
        self.stop.cancel();
        let _ = self.handle.await;
    }
}

/// For the fuzz targets: what bounds an IMAP server's octets.
#[doc(hidden)]
pub mod fuzzing {
    /// Lets pieces through a gauge that takes literals of 100 octets at most; how many octets it let through.
    pub fn gauge<'d>(pieces: impl IntoIterator<Item = &'d [u8]>) -> usize {
        let mut gauge = super::wire::Gauge::default();
        gauge.allow(u64::MAX, 100);
        let mut through = 0;
        for piece in pieces {
            for octet in piece {
                if gauge.heard(std::slice::from_ref(octet)).is_err() {
                    return through;
                }
                through += 1;
            }
        }
        through
    }
}
