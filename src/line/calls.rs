//! [`SipFaxLine`]: calls over SIP trunks. A task a call; signalling events find their task here.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Answerer, CallEnding, CallEvent, CallOrder, FaxLine, IncomingCall, SipEnding,
    in_progress::InProgress,
    incoming,
    media::Ports,
    outgoing,
    resolve::Resolver,
    sip::{Advertised, CallId, Dropped, Event, SipLine, Trunk as SipTrunk, TrunkId},
    trunks::{Channel, TrunkNow, Trunks, read_number, written},
    workers::Workers,
};
use crate::{
    clock::now_ms,
    numbers::{self, Transport, Trunk},
    store::new_id,
    vault::Vault,
    worker::Program,
};

/// The session interval that we ask for (RFC 4028 §4: 1800 s is the recommended one).
const SESSION_EXPIRES: Duration = Duration::from_secs(1800);

/// How the line is set up.
pub struct Setup {
    /// The signalling.
    pub sip: Arc<dyn SipLine>,
    /// Where media sockets are bound.
    pub media_ip: IpAddr,
    /// The address that SDP names.
    pub advertised: Advertised,
    /// Finds the trunks.
    pub resolver: Resolver,
    /// First and last UDP port for media.
    pub media_ports: (u16, u16),
    /// Line time over clock time.
    pub speed: u32,
    /// How long a call may ring.
    pub ring_timeout: Duration,
    /// Opens the trunks' passwords; without it trunks have none.
    pub vault: Option<Arc<Vault>>,
    /// The program that runs line workers.
    pub program: Program,
    /// Line workers.
    pub workers: usize,
}

/// Calls over SIP trunks.
#[derive(Clone)]
pub struct SipFaxLine {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub sip: Arc<dyn SipLine>,
    pub ports: Ports,
    pub advertised: Advertised,
    resolver: Resolver,
    pub speed: u32,
    pub workers: Workers,
    ring_timeout: Duration,
    /// Where signalling events of a call go. Unbounded: the dispatcher must never wait.
    events: Mutex<HashMap<CallId, mpsc::UnboundedSender<Event>>>,
    pub calls: InProgress,
    pub trunks: Trunks,
    vault: Option<Arc<Vault>>,
    /// Cancelled when the signalling gives no more events.
    over: CancellationToken,
}

impl SipFaxLine {
    /// Starts the line workers and begins to listen to the signalling.
    ///
    /// # Errors
    /// A line worker can't be started, or the signalling's events are taken: a sentence.
    pub async fn start(setup: Setup) -> anyhow::Result<Self> {
        let events = setup
            .sip
            .events()
            .ok_or_else(|| anyhow::anyhow!("the SIP events are taken already"))?;
        let workers = Workers::new(setup.program, setup.workers);
        workers.warm().await?;
        let line = Self {
            inner: Arc::new(Inner {
                sip: setup.sip,
                ports: Ports::new(setup.media_ip, setup.media_ports.0, setup.media_ports.1),
                advertised: setup.advertised,
                resolver: setup.resolver,
                speed: setup.speed.max(1),
                workers,
                ring_timeout: setup.ring_timeout,
                events: Mutex::default(),
                calls: InProgress::default(),
                trunks: Trunks::default(),
                vault: setup.vault,
                over: CancellationToken::new(),
            }),
        };
        tokio::spawn(dispatch(line.inner.clone(), events));
        Ok(line)
    }

    /// Makes `trunks` the ones that calls go over and come from. Calls in progress go on. A trunk that
    /// can't be used keeps no other from being set.
    ///
    /// # Errors
    /// A trunk's host has no address, or signalling refuses it: a sentence that names the first such trunk.
    pub async fn set_trunks(&self, trunks: &[Trunk]) -> anyhow::Result<()> {
        let mut done = Ok(());
        for gone in self.inner.trunks.forget_missing(trunks) {
            // Removing can't fail; its calls go on.
            let _ = self.inner.sip.set_trunk(gone, None).await;
        }
        for trunk in trunks {
            if let Err(error) = self.set_trunk(trunk).await {
                self.inner
                    .trunks
                    .failed(&trunk.trunk_id, &format!("{error:#}"), None);
                done = done.and(Err(error));
            }
        }
        done
    }

    async fn set_trunk(&self, trunk: &Trunk) -> anyhow::Result<()> {
        let number = self.inner.trunks.take_over(trunk);
        let sip = if trunk.active {
            Some(self.inner.sip_trunk(trunk, number).await?)
        } else {
            None
        };
        self.inner
            .sip
            .set_trunk(number, sip)
            .await
            .map_err(|error| anyhow::anyhow!("trunk {}: {error}", trunk.name))
    }

    /// Returns when the signalling has stopped: no call will come or go any more.
    pub async fn over(&self) {
        self.inner.over.cancelled().await;
    }

    /// Takes no more calls and lets those in progress end by themselves for `patience`; then hangs them up.
    /// Returns when every end was told.
    pub async fn close(&self, patience: Duration) {
        self.inner.calls.close(patience).await;
        // Trunks must not send calls to where nobody answers; all are told at the same time.
        let gone = self.inner.trunks.forget_missing(&[]);
        let mut removals = tokio::task::JoinSet::new();
        for number in gone {
            let sip = self.inner.sip.clone();
            removals.spawn(async move { sip.set_trunk(number, None).await });
        }
        removals.join_all().await;
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

    /// Requests that got no answer or a refusal because of where they came from, how many or how they
    /// were, since the start.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.inner.sip.dropped()
    }

    /// How often a call wanted a media port and all were in use, since the start.
    #[must_use]
    pub fn wanting_ports(&self) -> u64 {
        self.inner.ports.wanting()
    }

    /// Calls in progress, both ways.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.inner.calls.count()
    }
}

#[async_trait]
impl FaxLine for SipFaxLine {
    async fn place(&self, order: CallOrder) -> mpsc::Receiver<CallEvent> {
        let (tx, rx) = mpsc::channel(64);
        let inner = self.inner.clone();
        let hang_up = inner.calls.begin(&order.call_id);
        // Now, not in the call's own task: whoever asks next for a usable trunk must find it taken.
        let channel = inner.trunks.hold(&order.trunk_id);
        tokio::spawn(async move {
            let call_id = order.call_id.clone();
            let ending = outgoing::run(&inner, order, channel, &tx, hang_up).await;
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
    fn events(&self) -> MutexGuard<'_, HashMap<CallId, mpsc::UnboundedSender<Event>>> {
        // A map that is whole after every single operation.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Dials; the call's events can't come before its task is known, as the map is held meanwhile.
    pub fn dial(
        &self,
        channel: &Channel,
        order: &CallOrder,
        sdp: Vec<u8>,
    ) -> Result<(CallId, mpsc::UnboundedReceiver<Event>), SipEnding> {
        let trunk = &channel.trunk;
        let from = trunk.caller_number.as_ref().unwrap_or(&order.from);
        let mut events = self.events();
        let call = self
            .sip
            .dial(super::sip::Dial {
                trunk: channel.number,
                to: format!("{}{}", trunk.dial_prefix, written(trunk, &order.to)),
                from: written(trunk, from),
                display: None,
                sdp,
                headers: Vec::new(),
            })
            .map_err(|error| SipEnding::Unreachable(error.to_string()))?;
        let (tx, rx) = mpsc::unbounded_channel();
        events.insert(call, tx);
        Ok((call, rx))
    }

    /// Forgets a call of the signalling.
    pub fn forget(&self, call: CallId) {
        self.events().remove(&call);
    }

    async fn sip_trunk(&self, trunk: &Trunk, number: TrunkId) -> anyhow::Result<SipTrunk> {
        let named = |what: &str| format!("trunk {}: {what}", trunk.name);
        let targets = self
            .resolver
            .targets(trunk)
            .await
            .map_err(|error| anyhow::anyhow!(named(&error)))?;
        let password = match (&self.vault, &trunk.password) {
            (_, None) => String::new(),
            (None, Some(_)) => anyhow::bail!(named("there is no key for its password")),
            (Some(vault), Some(_)) => {
                let clear = trunk.open_password(vault).with_context(|| {
                    named("its password can't be opened; set it anew, or bring the keys back")
                })?;
                String::from_utf8_lossy(&clear.unwrap_or_default()).into_owned()
            }
        };
        // RFC 3261 §19.1.2: the port of the transport goes without saying.
        let default_port = if trunk.transport == Transport::Tls {
            5061
        } else {
            5060
        };
        let domain = if [0, default_port].contains(&trunk.port) {
            trunk.host.clone()
        } else {
            format!("{}:{}", trunk.host, trunk.port)
        };
        Ok(SipTrunk {
            id: number,
            domain,
            targets,
            user: trunk.sip_user.clone().unwrap_or_else(|| "faxpost".into()),
            auth_user: None,
            password,
            register: trunk
                .register_s
                .map(|seconds| Duration::from_secs(seconds.into())),
            allow_from: trunk
                .sources
                .iter()
                .filter_map(|net| numbers::network(net))
                .collect(),
            session_expires: Some(SESSION_EXPIRES),
            setup_timeout: Duration::from_secs(30),
            ring_timeout: self.ring_timeout,
            connect_timeout: Duration::from_secs(5),
        })
    }
}

/// Hands each event to its call's task. Never waits: what waits is in the tasks.
async fn dispatch(inner: Arc<Inner>, mut events: mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Registered { .. } | Event::RegistrationFailed { .. } | Event::Probed { .. } => {
                inner.trunks.note(&event)
            }
            Event::Incoming {
                call,
                trunk,
                to,
                from,
                sdp,
                ..
            } => offered(&inner, call, trunk, to, from, sdp),
            Event::Progress { call, .. }
            | Event::Answered { call, .. }
            | Event::Reoffer { call, .. }
            | Event::ReofferDone { call, .. }
            | Event::Remote { call, .. }
            | Event::Ended { call, .. } => {
                let ended = matches!(event, Event::Ended { .. });
                let mut events = inner.events();
                if let Some(tx) = events.get(&call) {
                    let _ = tx.send(event);
                }
                if ended {
                    events.remove(&call);
                }
            }
        }
    }
    tracing::error!("SIP signalling has stopped");
    inner.over.cancel();
}

fn offered(
    inner: &Arc<Inner>,
    call: CallId,
    trunk: TrunkId,
    to: String,
    from: String,
    sdp: Vec<u8>,
) {
    let Some(answerer) = inner.calls.answerer() else {
        inner.sip.reject(call, 480, None);
        return;
    };
    let (tx, events) = mpsc::unbounded_channel();
    inner.events().insert(call, tx);
    let channel = inner.trunks.occupy(trunk);
    let known = channel.as_ref().map(|channel| &channel.trunk);
    let offered = IncomingCall {
        call_id: new_id(),
        trunk_id: known
            .map(|known| known.trunk_id.clone())
            .unwrap_or_default(),
        to: read_number(to, known),
        from: read_number(from, known),
    };
    let inner = inner.clone();
    tokio::spawn(async move {
        let _channel = channel;
        let hang_up = inner.calls.begin(&offered.call_id);
        let started = now_ms();
        let ending = incoming::run(
            &inner,
            call,
            &offered,
            &sdp,
            answerer.as_ref(),
            events,
            hang_up,
        )
        .await;
        inner.forget(call);
        if let Some(ending) = ending {
            log_end(&offered, &ending, started);
            answerer.ended(&offered, ending).await;
        }
        inner.calls.end(&offered.call_id);
    });
}

fn log_end(call: &IncomingCall, ending: &CallEnding, started: i64) {
    tracing::info!(
        call = call.call_id,
        t30 = ending.t30,
        own_fault = ending.own_fault,
        duration_ms = now_ms() - started,
        "incoming call ended"
    );
}
