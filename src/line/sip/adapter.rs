//! [`SipLine`] over rsipstack: the listener, the table of calls, and the one task that each has.

use std::collections::HashMap;
use std::fmt;
use std::future::Future as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use rsipstack::EndpointBuilder;
use rsipstack::dialog::DialogId;
use rsipstack::dialog::authenticate::Credential;
use rsipstack::dialog::dialog::Dialog;
use rsipstack::dialog::dialog_layer::DialogLayer;
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::typed::Contact;
use rsipstack::sip::{Auth, Header, HostWithPort, Param, Scheme, Transport, Uri};
use rsipstack::transaction::endpoint::{EndpointInnerRef, EndpointOption};
use rsipstack::transport::connection::SipConnection;
use rsipstack::transport::tls::{TlsConfig, TlsListenerConnection};
use rsipstack::transport::{SipAddr, TransportLayer};
use tokio::net::UdpSocket;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::config::SipConfig;
use super::flows::{self, Closings, Opened};
use super::inspector::Inspector;
use super::listeners::{listen_error, listen_for_tls, listeners, refused};
use super::message::{check_user, checked_headers, q850};
use super::sources::{Bucket, Sources};
use super::targets::Resting;
use super::tending;
use super::timers::Timers;
use super::tls::Opener;
use super::{
    Advertised, CallId, Dial, Dropped, End, Event, Fut, OfferId, Proto, ReAnswer, SipError,
    SipLine, Target, Trunk, TrunkId, dialing, router,
};

/// Octets of datagrams that may wait for us.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// What a call's task is asked.
#[derive(Debug)]
pub(super) enum Command {
    Ring,
    Answer(Vec<u8>),
    Reject {
        status: u16,
        q850: Option<u16>,
    },
    Reoffer {
        sdp: Vec<u8>,
        reply: oneshot::Sender<ReAnswer>,
    },
    Reanswer {
        offer: OfferId,
        answer: Result<Vec<u8>, u16>,
    },
    Hangup {
        q850: Option<u16>,
    },
}

/// A call as the table knows it.
#[derive(Clone, Debug)]
struct CallEntry {
    trunk: TrunkId,
    commands: mpsc::UnboundedSender<Command>,
    bye_cause: ByeCause,
}

/// The Q.850 cause of the peer's BYE: the stack's event does not carry it.
pub(super) type ByeCause = Arc<OnceLock<u16>>;

/// What a call's task is born with.
pub(super) struct Line {
    pub(super) call: CallId,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) bye_cause: ByeCause,
}

#[derive(Default)]
struct Calls {
    by_id: HashMap<CallId, CallEntry>,
    /// SIP Call-ID → call; an outgoing call has one per attempt.
    by_sip: HashMap<String, CallId>,
}

/// What the tasks share.
pub(super) struct Core {
    pub(super) layer: Arc<DialogLayer>,
    pub(super) endpoint: EndpointInnerRef,
    pub(super) timers: Timers,
    pub(super) sources: Arc<Sources>,
    pub(super) over_rate: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) stop: CancellationToken,
    /// Connections over TLS.
    pub(super) tls: Opener,
    pub(super) opened: Opened,
    /// Targets that failed lately.
    pub(super) resting: Resting,
    /// Our own address as Via and Contact say it, and our ports there.
    advertised: Advertised,
    port: u16,
    tls_port: Option<u16>,
    /// What the listeners are made of, to name them anew.
    socket: Arc<UdpSocket>,
    tcp: bool,
    bucket: Mutex<Bucket>,
    events: mpsc::Sender<Event>,
    trunks: RwLock<HashMap<TrunkId, Arc<Trunk>>>,
    tended: Mutex<HashMap<TrunkId, Tended>>,
    /// How often trunks are asked whether they are there.
    pub(super) probe: Option<Duration>,
    /// The far ends of connections that have closed.
    pub(super) closed: broadcast::Sender<SocketAddr>,
    calls: Mutex<Calls>,
    next: AtomicU64,
}

/// The adapter. Dropping it stops the signalling; calls that are up are left to their peers, so
/// hang up first.
pub struct SipAdapter {
    core: Arc<Core>,
    events: Mutex<Option<mpsc::Receiver<Event>>>,
    local: SocketAddr,
}

impl fmt::Debug for SipAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SipAdapter")
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

/// Starts listening. The error names the address and what to do.
pub async fn start(config: SipConfig) -> Result<SipAdapter, SipError> {
    let stop = CancellationToken::new();
    let transport = TransportLayer::new(stop.clone());

    // The stack only warns when a listener fails, so the ports are taken or tried here.
    let socket = UdpSocket::bind(config.listen)
        .await
        .map_err(|e| refused(config.listen, "UDP", &e))?;
    // Answers to a burst of calls come at once; what the system grants beyond its default is welcome.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
    let local = socket
        .local_addr()
        .map_err(|e| refused(config.listen, "UDP", &e))?;
    let advertised = Advertised::from(
        config
            .advertised
            .unwrap_or_else(|| SipConnection::resolve_bind_address(local).ip()),
    );
    let socket = Arc::new(socket);
    for listener in listeners(&socket, &advertised, config.tcp, &stop).await? {
        transport.add_transport(listener);
    }
    if config.tcp {
        drop(std::net::TcpListener::bind(local).map_err(|e| refused(local, "TCP", &e))?);
    }
    let over_tls = listen_for_tls(&config.tls).await?;
    // No keep-alives are sent on idle streams, so an idle stream is not a dead one.
    transport.set_stream_idle_timeout(Duration::ZERO);

    let sources = Arc::new(Sources::default());
    let filter = Arc::clone(&sources);
    transport.set_whitelist(move |ip: IpAddr| {
        let filter = Arc::clone(&filter);
        async move { filter.admits(ip) }
    });

    let timers = Timers {
        t1: config.t1,
        second: config.session_second,
    };
    let closed = broadcast::Sender::new(16);
    let endpoint = EndpointBuilder::new()
        .with_user_agent(&config.user_agent)
        .with_transport_layer(transport)
        .with_cancel_token(stop.clone())
        .with_inspector(Box::new(Inspector))
        .with_transport_inspector(Box::new(Closings(closed.clone())))
        .with_option(EndpointOption {
            t1: timers.t1,
            t2: timers.t2(),
            t4: timers.t4(),
            t1x64: timers.t1x64(),
            callid_suffix: Some(advertised.now().to_string()),
            ..EndpointOption::default()
        })
        .build();
    let incoming = endpoint
        .incoming_transactions()
        .map_err(|_| SipError::Stopped)?;
    let (events, receiver) = mpsc::channel(config.event_capacity.max(1));
    let core = Arc::new(Core {
        layer: Arc::new(DialogLayer::new(Arc::clone(&endpoint.inner))),
        endpoint: Arc::clone(&endpoint.inner),
        timers,
        sources,
        over_rate: AtomicU64::new(0),
        malformed: AtomicU64::new(0),
        stop: stop.clone(),
        tls: Opener::new(config.tls),
        opened: Opened::default(),
        resting: Resting::default(),
        advertised,
        port: local.port(),
        tls_port: over_tls.as_ref().map(|(_, _, local)| local.port()),
        socket,
        tcp: config.tcp,
        bucket: Mutex::new(Bucket::new(
            config.invites_per_second,
            config.invite_burst,
            Instant::now(),
        )),
        events,
        trunks: RwLock::default(),
        tended: Mutex::default(),
        probe: config.probe,
        closed: closed.clone(),
        calls: Mutex::default(),
        next: AtomicU64::new(1),
    });
    let mut serving = Box::pin(async move { endpoint.serve().await });
    // The first poll starts the stack's listeners; those that are named later are only names.
    std::future::poll_fn(|context| {
        let _ = serving.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
    tokio::spawn(serving);
    tokio::spawn(router::run(Arc::clone(&core), incoming));
    tokio::spawn(flows::rescue(Arc::clone(&core)));
    if let Some((listener, acceptor, _)) = over_tls {
        core.name_listeners().await?;
        tokio::spawn(flows::serve(Arc::clone(&core), listener, acceptor));
    }
    Ok(SipAdapter {
        core,
        events: Mutex::new(Some(receiver)),
        local,
    })
}

impl SipAdapter {
    /// Address and port we listen on, the port known even if the configuration said 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The port we listen for TLS on, if we do.
    pub fn tls_port(&self) -> Option<u16> {
        self.core.tls_port
    }

    /// Our address as others know it; it follows [`advertise`](Self::advertise).
    pub fn advertised(&self) -> Advertised {
        self.core.advertised.clone()
    }

    /// Others reach us by another address from now on: trunks are told by a new registration. Calls that
    /// are up keep the address that they began with.
    ///
    /// # Errors
    /// The stack does not take it; the address before stays.
    pub async fn advertise(&self, address: IpAddr) -> Result<(), SipError> {
        let core = &self.core;
        let before = core.advertised.now();
        if before == address {
            return Ok(());
        }
        let trunks = core.all_trunks();
        // The registrations under the old address go while it still stands in our Contact.
        let ids = trunks.iter().map(|trunk| trunk.id);
        let mut endings: JoinSet<()> = ids
            .map(|id| {
                let core = Arc::clone(core);
                async move { core.stop_tending(id).await }
            })
            .collect();
        while endings.join_next().await.is_some() {}
        core.advertised.set(address);
        let named = core.name_listeners().await;
        if named.is_err() {
            core.advertised.set(before);
        }
        for trunk in trunks {
            // Unless it was removed or changed meanwhile.
            if core.trunk(trunk.id).as_ref() == Some(&trunk) {
                core.tend(trunk).await;
            }
        }
        named
    }

    /// Dialogs the stack holds now: none when no call is up. For the status page and for tests.
    pub fn dialogs(&self) -> usize {
        self.core.layer.len()
    }

    /// Calls that have not ended.
    pub fn calls(&self) -> usize {
        self.core.calls().by_id.len()
    }
}

impl Drop for SipAdapter {
    fn drop(&mut self) {
        self.core.stop.cancel();
    }
}

impl SipLine for SipAdapter {
    fn events(&self) -> Option<mpsc::Receiver<Event>> {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn set_trunk<'a>(&'a self, id: TrunkId, trunk: Option<Trunk>) -> Fut<'a, Result<(), SipError>> {
        Box::pin(set_trunk(&self.core, id, trunk))
    }

    fn dial(&self, dial: Dial) -> Result<CallId, SipError> {
        let core = &self.core;
        if core.stop.is_cancelled() {
            return Err(SipError::Stopped);
        }
        let trunk = core
            .trunk(dial.trunk)
            .ok_or(SipError::UnknownTrunk(dial.trunk))?;
        if trunk.targets.is_empty() {
            return Err(SipError::NoTarget(trunk.id));
        }
        check_user(&dial.to, "number to call")?;
        if !dial.from.is_empty() {
            check_user(&dial.from, "number to call from")?;
        }
        if dial
            .display
            .as_deref()
            .is_some_and(|d| d.chars().any(char::is_control))
        {
            return Err(SipError::Invalid(
                "the display name has a control character".into(),
            ));
        }
        let headers = checked_headers(&dial.headers)?;
        let line = core.open_call(trunk.id, None);
        let call = line.call;
        tokio::spawn(dialing::run(Arc::clone(core), trunk, dial, headers, line));
        Ok(call)
    }

    fn ring(&self, call: CallId) {
        self.core.command(call, Command::Ring);
    }

    fn answer(&self, call: CallId, sdp: Vec<u8>) {
        self.core.command(call, Command::Answer(sdp));
    }

    fn reject(&self, call: CallId, status: u16, q850: Option<u16>) {
        self.core.command(call, Command::Reject { status, q850 });
    }

    fn reoffer<'a>(&'a self, call: CallId, sdp: Vec<u8>) -> Fut<'a, ReAnswer> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.core.command(call, Command::Reoffer { sdp, reply });
            // The sender is dropped, unanswered, with the call.
            answer.await.unwrap_or(ReAnswer::Gone)
        })
    }

    fn reanswer(&self, call: CallId, offer: OfferId, answer: Result<Vec<u8>, u16>) {
        self.core.command(call, Command::Reanswer { offer, answer });
    }

    fn hangup(&self, call: CallId, q850: Option<u16>) {
        self.core.command(call, Command::Hangup { q850 });
    }

    fn dropped(&self) -> Dropped {
        Dropped {
            unlisted_source: self.core.sources.refused(),
            over_rate: self.core.over_rate.load(Ordering::Relaxed),
            malformed: self.core.malformed.load(Ordering::Relaxed),
        }
    }
}

/// The task that tends a trunk.
struct Tended {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn set_trunk(core: &Arc<Core>, id: TrunkId, trunk: Option<Trunk>) -> Result<(), SipError> {
    if let Some(trunk) = &trunk {
        core.check(id, trunk)?;
    }
    if core.trunk(id).as_deref() == trunk.as_ref() {
        return Ok(());
    }
    let trunk = trunk.map(Arc::new);
    core.sources.set(id, trunk.as_deref(), core.has_calls(id));
    {
        let mut trunks = core.trunks.write().unwrap_or_else(PoisonError::into_inner);
        match &trunk {
            Some(trunk) => trunks.insert(id, Arc::clone(trunk)),
            None => trunks.remove(&id),
        };
    }
    core.stop_tending(id).await;
    if let Some(trunk) = trunk {
        core.tend(trunk).await;
    }
    Ok(())
}

impl Core {
    /// Refuses what can't be done, or can't stand in a message.
    fn check(&self, id: TrunkId, trunk: &Trunk) -> Result<(), SipError> {
        if trunk.register.is_some() && trunk.password.is_empty() {
            return Err(SipError::Invalid(format!(
                "{id} is to register without a password"
            )));
        }
        let nameless = |t: &Target| t.proto == Proto::Tls && t.tls_name.is_none();
        if trunk.targets.iter().any(nameless) {
            return Err(SipError::Invalid(format!(
                "{id} is to be reached over TLS without a name for its certificate"
            )));
        }
        if !self.tcp && trunk.targets.iter().any(|t| t.proto == Proto::Tcp) {
            return Err(SipError::Unsupported(format!(
                "{id} asks for TCP, but we don't listen on TCP"
            )));
        }
        check_user(&trunk.user, "trunk's user")?;
        let unfit = |c: char| c.is_control() || "@<>;? ".contains(c);
        if trunk.domain.is_empty() || trunk.domain.chars().any(unfit) {
            return Err(SipError::Invalid(format!("{id} has no usable domain")));
        }
        Ok(())
    }

    /// Ends what is done for a trunk while nobody calls, its registration included.
    async fn stop_tending(&self, id: TrunkId) {
        let tended = self.tended().remove(&id);
        if let Some(tended) = tended {
            tended.stop.cancel();
            if tokio::time::timeout(self.timers.t1 * 10, tended.task)
                .await
                .is_err()
            {
                tracing::warn!(trunk = %id, "the registrar did not take our registration back");
            }
        }
    }

    /// Registers with a trunk and asks whether it is there, from now on. What was done for it before ends
    /// first: the old registration goes before the new one comes, as they may be of the same Contact.
    async fn tend(self: &Arc<Self>, trunk: Arc<Trunk>) {
        let id = trunk.id;
        self.stop_tending(id).await;
        let stop = self.stop.child_token();
        let task = tokio::spawn(tending::run(Arc::clone(self), trunk, stop.clone()));
        self.tended().insert(id, Tended { stop, task });
    }

    fn all_trunks(&self) -> Vec<Arc<Trunk>> {
        let trunks = self.trunks.read().unwrap_or_else(PoisonError::into_inner);
        trunks.values().cloned().collect()
    }

    /// The TLS target at an address whose trunk has calls, and how long a connection to it may take.
    pub(super) fn target_in_use(&self, address: SocketAddr) -> Option<(Target, Duration)> {
        let at = |target: &&Target| target.addr == address && target.proto == Proto::Tls;
        self.all_trunks()
            .iter()
            .filter(|trunk| self.has_calls(trunk.id))
            .find_map(|trunk| {
                let target = trunk.targets.iter().find(at)?;
                Some((target.clone(), trunk.connect_timeout))
            })
    }

    /// Tells the stack how our listeners are called now.
    async fn name_listeners(&self) -> Result<(), SipError> {
        let mut listeners = listeners(&self.socket, &self.advertised, self.tcp, &self.stop).await?;
        if self.tls_port.is_some() {
            let external = self.listens_for_tls();
            let local = external
                .get_socketaddr()
                .map_err(|e| listen_error(([0, 0, 0, 0], 0).into(), e.to_string()))?;
            let named = TlsListenerConnection::new(local, Some(local), TlsConfig::default());
            listeners.push(
                named
                    .await
                    .map_err(|e| listen_error(local, e.to_string()))?
                    .into(),
            );
        }
        flows::rename(&self.endpoint.transport_layer, listeners);
        Ok(())
    }

    /// Where others reach us over TLS: the SIP port stands for it where we don't listen.
    pub(super) fn listens_for_tls(&self) -> SipAddr {
        let port = self.tls_port.unwrap_or(self.port);
        let address = SocketAddr::new(self.advertised.now(), port);
        SipAddr::new(Transport::Tls, address.into())
    }

    /// Our address for a trunk, as its Contact says it.
    fn host_for(&self, trunk: &Trunk) -> HostWithPort {
        match tending::contact_transport(trunk) {
            Some(Transport::Tls) => self.listens_for_tls().addr,
            _ => SocketAddr::new(self.advertised.now(), self.port).into(),
        }
    }

    fn tended(&self) -> MutexGuard<'_, HashMap<TrunkId, Tended>> {
        self.tended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_calls(&self, id: TrunkId) -> bool {
        self.calls().by_id.values().any(|call| call.trunk == id)
    }

    pub(super) fn trunk(&self, id: TrunkId) -> Option<Arc<Trunk>> {
        self.trunks
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a new call into the table, under its SIP Call-ID if it has one already.
    pub(super) fn open_call(&self, trunk: TrunkId, sip_id: Option<&str>) -> Line {
        let call = CallId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, commands) = mpsc::unbounded_channel();
        let bye_cause = ByeCause::default();
        let mut calls = self.calls();
        calls.by_id.insert(
            call,
            CallEntry {
                trunk,
                commands: sender,
                bye_cause: Arc::clone(&bye_cause),
            },
        );
        if let Some(sip_id) = sip_id {
            calls.by_sip.insert(sip_id.to_owned(), call);
        }
        Line {
            call,
            commands,
            bye_cause,
        }
    }

    /// Ties another SIP Call-ID to a call.
    pub(super) fn name_call(&self, call: CallId, sip_id: &str) {
        self.calls().by_sip.insert(sip_id.to_owned(), call);
    }

    /// Whether a SIP Call-ID belongs to one of our calls.
    pub(super) fn knows(&self, sip_id: &str) -> bool {
        self.calls().by_sip.contains_key(sip_id)
    }

    /// Notes the cause that a BYE brings, before the stack reads it.
    pub(super) fn note_bye(&self, sip_id: &str, cause: Option<u16>) {
        let calls = self.calls();
        let entry = calls
            .by_sip
            .get(sip_id)
            .and_then(|call| calls.by_id.get(call));
        if let (Some(entry), Some(cause)) = (entry, cause) {
            let _ = entry.bye_cause.set(cause);
        }
    }

    fn command(&self, call: CallId, command: Command) {
        // A call that is not there (any more) needs nothing: everything here is idempotent.
        if let Some(entry) = self.calls().by_id.get(&call) {
            let _ = entry.commands.send(command);
        }
    }

    pub(super) fn take_token(&self) -> bool {
        self.bucket
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(Instant::now())
    }

    pub(super) fn next_offer(&self) -> OfferId {
        OfferId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) async fn tell(&self, event: Event) {
        // Nobody listens: the gateway is going down, and so are we.
        let _ = self.events.send(event).await;
    }

    /// The end of every call: the dialog leaves the stack, the call leaves the table, `Ended` is
    /// told. A call's task does this once, as its last act.
    pub(super) async fn finish(&self, call: CallId, dialog: Option<InviteDialog>, why: End) {
        if let Some(dialog) = dialog {
            self.forget(&dialog.id());
        }
        let trunk = {
            let mut calls = self.calls();
            calls.by_sip.retain(|_, owner| *owner != call);
            calls.by_id.remove(&call).map(|entry| entry.trunk)
        };
        if let Some(trunk) = trunk
            && !self.has_calls(trunk)
        {
            self.sources.forget_former(trunk);
        }
        self.tell(Event::Ended { call, why }).await;
    }

    /// The one place that removes dialogs: the stack keeps every dialog until it is told.
    fn forget(&self, id: &DialogId) {
        self.layer.remove_dialog(id);
    }

    /// Sends BYE and waits a little for its answer; the transaction goes on by itself.
    pub(super) async fn bye(&self, dialog: &InviteDialog, cause: Option<u16>) {
        let headers = cause.map(|cause| vec![Header::Reason(q850(cause).into())]);
        let (dialog, limit) = (dialog.clone(), self.timers.reinvite());
        let sent = tokio::spawn(async move {
            let _ = tokio::time::timeout(limit, dialog.bye_with_headers(headers)).await;
        });
        let _ = tokio::time::timeout(self.timers.bye(), sent).await;
    }

    /// BYE in a dialog that the stack has given up because our re-INVITE was challenged: it
    /// reports the dialog terminated and sends nothing, which would leave the peer's call up.
    pub(super) async fn bye_after_challenge(&self, dialog: &InviteDialog) {
        let id = dialog.id();
        let mut snapshot = dialog.snapshot();
        snapshot.state = rsipstack::dialog::dialog::DialogSnapshotState::Confirmed;
        self.forget(&id);
        let (states, _unread) = self.layer.new_dialog_state_channel();
        if let Ok(true) = self.layer.restore_from_snapshot(snapshot, states)
            && let Some(Dialog::Invite(restored)) = self.layer.get_dialog(&id)
        {
            self.bye(&restored, None).await;
        }
    }

    /// Our Contact for a trunk: the same in all that we send it.
    pub(super) fn contact_of(&self, trunk: &Trunk) -> Contact {
        let transport = tending::contact_transport(trunk).map(Param::Transport);
        let uri = Uri {
            scheme: Some(Scheme::Sip),
            auth: Some(Auth {
                user: trunk.user.clone(),
                password: None,
            }),
            host_with_port: self.host_for(trunk),
            params: transport.into_iter().collect(),
            ..Uri::default()
        };
        Contact {
            display_name: None,
            uri,
            params: vec![],
        }
    }

    /// The part of it that a registrar repeats: `user@host:port`.
    pub(super) fn contact_of_text(&self, trunk: &Trunk) -> String {
        format!("{}@{}", trunk.user, self.host_for(trunk))
    }

    /// A new SIP Call-ID.
    pub(super) fn new_sip_id(&self) -> String {
        format!("{}@{}", ulid::Ulid::new(), self.advertised.now())
    }
}

/// The trunk's credential, for challenges in either direction; `None` without a password.
pub(super) fn credential(trunk: &Trunk) -> Option<Credential> {
    (!trunk.password.is_empty()).then(|| Credential {
        username: trunk.user.clone(),
        password: trunk.password.clone(),
        realm: None,
        auth_username: trunk.auth_user.clone(),
    })
}
