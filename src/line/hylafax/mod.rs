//! Analogue and ISDN lines: calls that a HylaFAX server places and answers with its modems.
//!
//! We hand it a job, follow that to its end, and take received faxes out of its queue, over its client
//! protocol. It confirms and counts pages itself: `docs/promises.md` says what can be known of them.

mod client;
mod job;
mod keeper;
mod outgoing;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use async_trait::async_trait;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    Answerer, CallEvent, CallOrder, FaxLine,
    in_progress::InProgress,
    trunks::{TrunkNow, Trunks},
};
use crate::{
    numbers::{Transport, Trunk},
    vault::Vault,
};
use client::{Client, ClientError};

/// Who we are to a server that asks for no name.
const USER: &str = "faxpost";

/// Calls by the modems of HylaFAX servers.
#[derive(Clone)]
pub struct HylaFaxLine {
    inner: Arc<Inner>,
}

struct Inner {
    /// Our name: jobs carry it, so that a server's other clients, or other gateways, keep theirs.
    node: String,
    trunks: Trunks,
    vault: Option<Arc<Vault>>,
    calls: InProgress,
    /// What watches over each trunk: stopped when the trunk goes or changes.
    keepers: Mutex<HashMap<String, Watch>>,
}

/// A keeper at work.
struct Watch {
    trunk: Trunk,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// How to get into a server.
#[derive(Clone)]
struct Access {
    host: String,
    port: u16,
    user: String,
    password: Option<zeroize::Zeroizing<String>>,
}

impl Access {
    async fn login(&self) -> Result<Client, ClientError> {
        let password = self.password.as_ref().map(|password| password.as_str());
        Client::login(&self.host, self.port, &self.user, password).await
    }
}

impl HylaFaxLine {
    /// A line without trunks; `node` is this gateway's name among those that use a server.
    #[must_use]
    pub fn new(node: &str, vault: Option<Arc<Vault>>) -> Self {
        Self {
            inner: Arc::new(Inner {
                // It stands within a tag whose parts slashes divide.
                node: node.replace(['/', '"', '\\'], "-"),
                trunks: Trunks::default(),
                vault,
                calls: InProgress::default(),
                keepers: Mutex::default(),
            }),
        }
    }

    /// Makes those of `trunks` that are HylaFAX servers the ones that calls go over and come from.
    ///
    /// # Errors
    /// A trunk's password can't be opened: a sentence that names the first such trunk.
    pub fn set_trunks(&self, trunks: &[Trunk]) -> anyhow::Result<()> {
        let ours: Vec<Trunk> = trunks
            .iter()
            .filter(|trunk| trunk.transport == Transport::Hylafax)
            .cloned()
            .collect();
        self.inner.trunks.forget_missing(&ours);
        let mut keepers = self
            .inner
            .keepers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut leaving = HashMap::new();
        for (trunk_id, watch) in std::mem::take(&mut *keepers) {
            if watch.trunk.active && ours.contains(&watch.trunk) {
                keepers.insert(trunk_id, watch);
            } else {
                watch.stop.cancel();
                leaving.insert(trunk_id, watch.task);
            }
        }
        let mut done = Ok(());
        for trunk in ours {
            let number = self.inner.trunks.take_over(&trunk);
            if !trunk.active || keepers.contains_key(&trunk.trunk_id) {
                continue;
            }
            match self.inner.access(&trunk) {
                Ok(access) => {
                    let stop = CancellationToken::new();
                    let keeper = keeper::Keeper::new(trunk.clone(), number, access);
                    let run = keeper.run(self.inner.clone(), stop.clone());
                    let before = leaving.remove(&trunk.trunk_id);
                    let task = tokio::spawn(async move {
                        // Two at once would take the same fax twice. One that panicked has ended too.
                        if let Some(before) = before {
                            let _ = before.await;
                        }
                        run.await;
                    });
                    keepers.insert(trunk.trunk_id.clone(), Watch { trunk, stop, task });
                }
                Err(error) => {
                    let sentence = format!("{error:#}");
                    self.inner.trunks.failed(&trunk.trunk_id, &sentence, None);
                    done = done.and(Err(error));
                }
            }
        }
        done
    }

    /// Whether this trunk is a HylaFAX server.
    #[must_use]
    pub fn has(&self, trunk_id: &str) -> bool {
        self.inner.trunks.knows(trunk_id)
    }

    /// As [`FaxLine::usable`], with whether each is doubtful.
    pub(super) fn ranked(&self, trunk_ids: &[String]) -> Vec<(bool, String)> {
        self.inner.trunks.ranked(trunk_ids)
    }

    /// How the trunks are.
    #[must_use]
    pub fn trunks(&self) -> Vec<TrunkNow> {
        self.inner.trunks.now()
    }

    /// Returns when something about a trunk changed since this last returned.
    pub async fn trunks_changed(&self) {
        self.inner.trunks.changed().await;
    }

    /// Calls in progress that we placed.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.inner.calls.count()
    }

    /// Takes no more faxes, lets calls in progress end by themselves for `patience`, then calls them off.
    /// Returns when every end was told.
    pub async fn close(&self, patience: Duration) {
        self.inner.calls.close(patience).await;
    }
}

#[async_trait]
impl FaxLine for HylaFaxLine {
    async fn place(&self, order: CallOrder) -> mpsc::Receiver<CallEvent> {
        let (tx, rx) = mpsc::channel(64);
        let hung_up = self.inner.calls.begin(&order.call_id);
        let inner = self.inner.clone();
        // Now, not in the call's own task: whoever asks next for a usable trunk must find it taken.
        let channel = inner.trunks.hold(&order.trunk_id);
        tokio::spawn(async move {
            let call_id = order.call_id.clone();
            let ending = outgoing::run(&inner, order, channel, &tx, hung_up).await;
            inner.calls.end(&call_id);
            // A caller that no longer listens has its own record of the call.
            let _ = tx.send(CallEvent::Ended(ending)).await;
        });
        rx
    }

    fn hang_up(&self, call_id: &str) {
        self.inner.calls.hang_up(call_id);
    }

    fn usable(&self, trunk_ids: &[String]) -> Vec<String> {
        self.inner.trunks.usable(trunk_ids)
    }

    fn set_answerer(&self, answerer: Arc<dyn Answerer>) {
        self.inner.calls.set_answerer(Some(answerer));
    }
}

impl Inner {
    fn access(&self, trunk: &Trunk) -> anyhow::Result<Access> {
        let named = |what: &str| format!("trunk {}: {what}", trunk.name);
        let password = match (&self.vault, &trunk.password) {
            (_, None) => None,
            (None, Some(_)) => anyhow::bail!(named("there is no key for its password")),
            (Some(vault), Some(_)) => {
                let clear = trunk.open_password(vault).with_context(|| {
                    named("its password can't be opened; set it anew, or bring the keys back")
                })?;
                clear.map(|clear| zeroize::Zeroizing::new(String::from_utf8_lossy(&clear).into()))
            }
        };
        Ok(Access {
            host: trunk.host.trim_matches(['[', ']']).to_owned(),
            port: trunk.port,
            user: trunk.sip_user.clone().unwrap_or_else(|| USER.to_owned()),
            password,
        })
    }

    /// What marks a job as ours.
    fn tag(&self, call_id: &str) -> String {
        format!("faxpost/{}/{call_id}", self.node)
    }

    /// The call that a job's tag names; none for jobs that aren't ours.
    fn call_of<'a>(&self, tag: &'a str) -> Option<&'a str> {
        let (node, call_id) = tag.strip_prefix("faxpost/")?.split_once('/')?;
        (node == self.node).then_some(call_id)
    }
}
