//! [`SipFaxLine`]: calls over SIP trunks. A task a call; signalling events find their task here.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Answerer, CallEnding, CallEvent, CallOrder, FaxLine, IncomingCall, SipEnding, incoming,
    media::Ports,
    outgoing,
    sip::{CallId, Event, Proto, SipLine, Target, Trunk as SipTrunk, TrunkId},
    workers::Workers,
};
use crate::{
    clock::now_ms,
    numbers::{T38Policy, Trunk},
    store::new_id,
    worker::Program,
};

/// How the line is set up.
pub struct Setup {
    /// The signalling.
    pub sip: Arc<dyn SipLine>,
    /// Where media sockets are bound.
    pub media_ip: IpAddr,
    /// The address that SDP names.
    pub advertised: IpAddr,
    /// First and last UDP port for media.
    pub media_ports: (u16, u16),
    /// Line time over clock time.
    pub speed: u32,
    /// How long a call may ring.
    pub ring_timeout: Duration,
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
    pub advertised: IpAddr,
    pub speed: u32,
    pub workers: Workers,
    ring_timeout: Duration,
    calls: Mutex<Calls>,
    trunks: Mutex<Vec<Known>>,
    answerer: Mutex<Option<Arc<dyn Answerer>>>,
    /// Cancelled when the signalling gives no more events.
    over: CancellationToken,
}

#[derive(Default)]
struct Calls {
    /// Where signalling events of a call go. Unbounded: the dispatcher must never wait.
    events: HashMap<CallId, mpsc::UnboundedSender<Event>>,
    /// Our ids, for hanging up.
    ours: HashMap<String, mpsc::UnboundedSender<()>>,
}

/// A trunk under its number in the signalling.
#[derive(Clone)]
struct Known {
    trunk_id: String,
    number: TrunkId,
    plain_numbers: bool,
    t38: T38Policy,
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
                speed: setup.speed.max(1),
                workers,
                ring_timeout: setup.ring_timeout,
                calls: Mutex::default(),
                trunks: Mutex::default(),
                answerer: Mutex::default(),
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
        for trunk in trunks {
            if let Err(error) = self.set_trunk(trunk).await {
                done = done.and(Err(error));
            }
        }
        done
    }

    async fn set_trunk(&self, trunk: &Trunk) -> anyhow::Result<()> {
        let number = self.inner.number_of(trunk);
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
        *self
            .inner
            .answerer
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
        let ended = async || {
            while self.calls() > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(patience, ended()).await.is_err() {
            for hang_up in self.inner.calls().ours.values() {
                // A call that ended this moment needs no telling.
                let _ = hang_up.send(());
            }
            ended().await;
        }
    }

    /// Calls in progress, both ways.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.inner.calls().ours.len()
    }
}

#[async_trait]
impl FaxLine for SipFaxLine {
    async fn place(&self, order: CallOrder) -> mpsc::Receiver<CallEvent> {
        let (tx, rx) = mpsc::channel(64);
        let inner = self.inner.clone();
        let hang_up = inner.register(&order.call_id);
        tokio::spawn(async move {
            let call_id = order.call_id.clone();
            let ending = outgoing::run(&inner, order, &tx, hang_up).await;
            inner.calls().ours.remove(&call_id);
            // A caller that no longer listens has its own record of the call.
            let _ = tx.send(CallEvent::Ended(ending)).await;
        });
        rx
    }

    fn hang_up(&self, call_id: &str) {
        if let Some(hang_up) = self.inner.calls().ours.get(call_id) {
            let _ = hang_up.send(());
        }
    }

    fn set_answerer(&self, answerer: Arc<dyn Answerer>) {
        *self
            .inner
            .answerer
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(answerer);
    }
}

impl Inner {
    fn calls(&self) -> std::sync::MutexGuard<'_, Calls> {
        // Two maps that are whole after every single operation.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trunks(&self) -> std::sync::MutexGuard<'_, Vec<Known>> {
        self.trunks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call known by our id; what comes back says when to hang up.
    pub fn register(&self, call_id: &str) -> mpsc::UnboundedReceiver<()> {
        let (tx, rx) = mpsc::unbounded_channel();
        self.calls().ours.insert(call_id.to_owned(), tx);
        rx
    }

    /// Dials; the call's events can't come before its task is known, as the map is held meanwhile.
    pub fn dial(
        &self,
        order: &CallOrder,
        sdp: Vec<u8>,
    ) -> Result<(CallId, mpsc::UnboundedReceiver<Event>), SipEnding> {
        let known = self
            .trunks()
            .iter()
            .find(|known| known.trunk_id == order.trunk_id)
            .cloned();
        let Some(known) = known else {
            return Err(SipEnding::Unreachable("the trunk is not active".into()));
        };
        let written = |number: &str| {
            if known.plain_numbers {
                number.trim_start_matches('+').to_owned()
            } else {
                number.to_owned()
            }
        };
        let mut calls = self.calls();
        let call = self
            .sip
            .dial(super::sip::Dial {
                trunk: known.number,
                to: written(&order.to),
                from: written(&order.from),
                display: None,
                sdp,
                headers: Vec::new(),
            })
            .map_err(|error| SipEnding::Unreachable(error.to_string()))?;
        let (tx, rx) = mpsc::unbounded_channel();
        calls.events.insert(call, tx);
        Ok((call, rx))
    }

    /// Forgets a call of the signalling.
    pub fn forget(&self, call: CallId) {
        self.calls().events.remove(&call);
    }

    /// The number that a trunk has in the signalling: given once, kept while the process lives.
    fn number_of(&self, trunk: &Trunk) -> TrunkId {
        let plain_numbers = trunk.number_format == "plain";
        let mut trunks = self.trunks();
        if let Some(known) = trunks
            .iter_mut()
            .find(|known| known.trunk_id == trunk.trunk_id)
        {
            known.plain_numbers = plain_numbers;
            known.t38 = trunk.t38;
            return known.number;
        }
        let number = TrunkId(u32::try_from(trunks.len()).unwrap_or(u32::MAX));
        trunks.push(Known {
            trunk_id: trunk.trunk_id.clone(),
            number,
            plain_numbers,
            t38: trunk.t38,
        });
        number
    }

    async fn sip_trunk(&self, trunk: &Trunk, number: TrunkId) -> anyhow::Result<SipTrunk> {
        let targets: Vec<SocketAddr> = tokio::net::lookup_host((trunk.host.as_str(), trunk.port))
            .await
            .map_err(|error| {
                anyhow::anyhow!(
                    "trunk {}: {} has no address: {error}",
                    trunk.name,
                    trunk.host
                )
            })?
            .collect();
        Ok(SipTrunk {
            id: number,
            domain: format!("{}:{}", trunk.host, trunk.port),
            targets: targets
                .into_iter()
                .map(|addr| Target {
                    addr,
                    proto: Proto::Udp,
                    tls_name: None,
                })
                .collect(),
            user: trunk.sip_user.clone().unwrap_or_else(|| "faxpost".into()),
            auth_user: None,
            password: String::new(),
            register: None,
            allow_from: Vec::new(),
            session_expires: None,
            setup_timeout: Duration::from_secs(30),
            ring_timeout: self.ring_timeout,
            connect_timeout: Duration::from_secs(5),
        })
    }

    /// What a trunk is offered of T.38; one that we don't know gets what trunks get by default.
    pub fn t38_policy(&self, trunk_id: &str) -> T38Policy {
        self.trunks()
            .iter()
            .find(|known| known.trunk_id == trunk_id)
            .map_or(T38Policy::Offer, |known| known.t38)
    }

    fn known(&self, number: TrunkId) -> Option<Known> {
        self.trunks()
            .iter()
            .find(|known| known.number == number)
            .cloned()
    }
}

/// Hands each event to its call's task. Never waits: what waits is in the tasks.
async fn dispatch(inner: Arc<Inner>, mut events: mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Registered { .. } | Event::RegistrationFailed { .. } => {}
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
            | Event::Ended { call, .. } => {
                let ended = matches!(event, Event::Ended { .. });
                let mut calls = inner.calls();
                if let Some(tx) = calls.events.get(&call) {
                    let _ = tx.send(event);
                }
                if ended {
                    calls.events.remove(&call);
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
    let answerer = inner
        .answerer
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let Some(answerer) = answerer else {
        inner.sip.reject(call, 480, None);
        return;
    };
    let (tx, events) = mpsc::unbounded_channel();
    inner.calls().events.insert(call, tx);
    let known = inner.known(trunk);
    let plain = known.as_ref().is_some_and(|known| known.plain_numbers);
    let offered = IncomingCall {
        call_id: new_id(),
        trunk_id: known.map(|known| known.trunk_id).unwrap_or_default(),
        to: read_number(to, plain),
        from: read_number(from, plain),
    };
    let inner = inner.clone();
    tokio::spawn(async move {
        let hang_up = inner.register(&offered.call_id);
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
        inner.calls().ours.remove(&offered.call_id);
    });
}

/// A number as the trunk wrote it: one that writes country code first and no plus sign gets the sign back.
fn read_number(number: String, plain: bool) -> String {
    let is_plain = |c: char| c.is_ascii_digit() && c != '0';
    if plain && number.starts_with(is_plain) && number.bytes().all(|b| b.is_ascii_digit()) {
        format!("+{number}")
    } else {
        number
    }
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

#[cfg(test)]
mod tests {
    use super::read_number;

    #[test]
    fn a_plain_trunk_writes_numbers_without_their_sign() {
        let read = |number: &str, plain| read_number(number.to_owned(), plain);
        assert_eq!(read("33199001122", true), "+33199001122");
        assert_eq!(read("33199001122", false), "33199001122");
        for as_it_is in ["+33199001122", "0199001122", "anonymous", ""] {
            assert_eq!(read(as_it_is, true), as_it_is);
        }
    }
}
