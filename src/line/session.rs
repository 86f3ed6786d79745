//! What outgoing and incoming calls share once they are answered: media, the move to T.38, the worker's
//! frames and the end.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    CallEnding, Media, Negotiated, PageVerdict,
    calls::Inner,
    media::MediaSocket,
    protocol::{FromWorker, MediaSetup, Role, ToWorker},
    sip::{
        CallId, End, Event, OfferId, ReAnswer,
        sdp::{Codec, Local, LocalMedia, Remote, RemoteMedia, RemoteT38},
    },
    workers::{WorkerCall, WorkerEvent},
};

/// How long a worker may take to end a call that was hung up, clock time.
const END_LIMIT: Duration = Duration::from_secs(10);
/// T.38 datagrams when the peer names no limit: T.38 Annex D leaves it open, 400 is what gateways use.
const DEFAULT_DATAGRAM: u32 = 400;

/// What comes next on an answered call.
pub(super) enum Step {
    /// The worker said something that the direction handles.
    Worker(FromWorker),
    /// The media changed to T.38.
    SwitchedToT38,
    /// The call is over.
    Ended(Box<CallEnding>),
}

/// An answered call with its worker.
pub(super) struct Session<'a> {
    inner: &'a Inner,
    call: CallId,
    events: mpsc::UnboundedReceiver<Event>,
    hang_up: mpsc::UnboundedReceiver<()>,
    pub worker: WorkerCall,
    local: Local,
    media: Media,
    /// Kept while the peer may still send to it.
    _audio: Option<MediaSocket>,
    fax: Option<MediaSocket>,
    pending: Option<(OfferId, RemoteT38)>,
    accepts_t38: bool,
    /// When we offer T.38 ourselves; `None`: never, or done.
    offer_at: Option<Instant>,
    reoffer: Option<tokio::task::JoinHandle<(ReAnswer, Local)>>,
    page_data: bool,
    /// What the worker asked for page data with while a re-INVITE was open.
    permit_held: Option<FromWorker>,
    fax_heard: bool,
    negotiated: Option<Negotiated>,
    answered_at: Instant,
    own_fault: Option<String>,
    hanging_up: bool,
    give_up_at: Option<Instant>,
    q850: Option<u16>,
}

/// What a session begins with.
pub(super) struct Begin {
    pub call: CallId,
    pub events: mpsc::UnboundedReceiver<Event>,
    pub hang_up: mpsc::UnboundedReceiver<()>,
    /// Taken before the call was answered: a call without one would be answered for nothing.
    pub worker: WorkerCall,
    pub local: Local,
    pub audio: MediaSocket,
    pub remote: RemoteMedia,
    pub role: Role,
    pub ident: String,
    pub ecm: bool,
    pub v17: bool,
    pub max_rate: u32,
    pub caller: bool,
    /// The peer's re-INVITE to T.38 is accepted.
    pub accepts_t38: bool,
    /// Line time after which we offer T.38 ourselves; `None`: never.
    pub offer_t38_after: Option<Duration>,
}

impl<'a> Session<'a> {
    /// Starts the worker's part.
    pub async fn begin(inner: &'a Inner, begin: Begin) -> Result<Self, String> {
        let worker = begin.worker;
        let (setup, media, peer) = match &begin.remote {
            RemoteMedia::Audio { addr, codecs, .. } => {
                let alaw = codecs
                    .first()
                    .is_none_or(|payload| payload.codec == Codec::Pcma);
                (MediaSetup::G711 { alaw }, Media::G711, *addr)
            }
            RemoteMedia::T38(t38) => (t38_setup(t38), Media::T38, t38.addr),
        };
        let socket = begin
            .audio
            .connect(peer)
            .map_err(|error| format!("the media socket can't be connected: {error}"))?;
        let start = ToWorker::Start {
            call: worker.call,
            role: begin.role,
            ident: begin.ident,
            ecm: begin.ecm,
            v17: begin.v17,
            max_rate: begin.max_rate,
            caller: begin.caller,
            speed: inner.speed,
            media: setup,
        };
        worker
            .say(&start, vec![socket])
            .await
            .map_err(|error| error.to_string())?;
        let now = Instant::now();
        Ok(Self {
            inner,
            call: begin.call,
            events: begin.events,
            hang_up: begin.hang_up,
            worker,
            local: begin.local,
            media,
            _audio: Some(begin.audio),
            fax: None,
            pending: None,
            accepts_t38: begin.accepts_t38,
            offer_at: begin
                .offer_t38_after
                .filter(|_| media == Media::G711)
                .map(|after| now + after / inner.speed),
            reoffer: None,
            page_data: false,
            permit_held: None,
            fax_heard: false,
            negotiated: None,
            answered_at: now,
            own_fault: None,
            hanging_up: false,
            give_up_at: None,
            q850: None,
        })
    }

    /// The medium at the moment.
    pub fn media(&self) -> Media {
        self.media
    }

    /// Waits for what comes next.
    pub async fn next(&mut self) -> Step {
        loop {
            tokio::select! {
                event = self.worker.next() => match event {
                    WorkerEvent::Said(said) => {
                        if let Some(step) = self.worker_said(said) {
                            return step;
                        }
                    }
                    WorkerEvent::Lost(how) => {
                        self.own_fault.get_or_insert(format!("the line worker ended: {how}"));
                        return self.ended(None, Vec::new());
                    }
                },
                Some(event) = self.events.recv() => {
                    if let Some(step) = self.signalled(event).await {
                        return step;
                    }
                }
                Some(()) = self.hang_up.recv(), if !self.hanging_up => self.fail("we hung up").await,
                () = until(self.offer_at) => self.offer_t38(),
                done = finished(&mut self.reoffer) => {
                    if let Some(step) = self.reoffered(done).await {
                        return step;
                    }
                }
                () = until(self.give_up_at) => {
                    self.own_fault.get_or_insert("the line worker did not end the call".into());
                    return self.ended(None, Vec::new());
                }
            }
        }
    }

    /// Ends the call soon for a reason of our own, which its ending names.
    pub async fn fail(&mut self, why: &str) {
        if !self.hanging_up {
            self.own_fault.get_or_insert(why.to_owned());
            self.stop().await;
        }
    }

    /// Ends the call soon: the worker says what became of its pages.
    pub async fn stop(&mut self) {
        if self.hanging_up {
            return;
        }
        self.hanging_up = true;
        self.give_up_at = Some(Instant::now() + END_LIMIT);
        let bye = ToWorker::HangUp {
            call: self.worker.call,
        };
        if self.worker.say(&bye, Vec::new()).await.is_err() {
            // Its loss is told by the next event.
            tracing::debug!(call = %self.call, "the line worker is gone");
        }
    }

    fn worker_said(&mut self, said: FromWorker) -> Option<Step> {
        match said {
            FromWorker::FaxHeard { .. } => {
                self.fax_heard = true;
                None
            }
            FromWorker::Negotiated { ref what, .. } => {
                self.negotiated = Some(what.clone());
                Some(Step::Worker(said))
            }
            // While the media are being talked about, no page data may begin: it would be on the old ones.
            FromWorker::PageDataNext { .. } if self.pending.is_some() || self.reoffer.is_some() => {
                self.permit_held = Some(said);
                None
            }
            FromWorker::PageDataNext { .. } | FromWorker::PageStarted { .. } => {
                self.page_data = true;
                self.offer_at = None;
                Some(Step::Worker(said))
            }
            FromWorker::Ended {
                t30,
                pages,
                negotiated,
                fax_heard,
                fault,
                ..
            } => {
                self.fax_heard |= fax_heard;
                if let Some(fault) = fault {
                    self.own_fault.get_or_insert(fault.to_string());
                }
                if negotiated.is_some() {
                    self.negotiated = negotiated;
                }
                Some(self.ended(Some(t30), pages))
            }
            other => Some(Step::Worker(other)),
        }
    }

    async fn signalled(&mut self, event: Event) -> Option<Step> {
        match event {
            Event::Reoffer { offer, sdp, .. } => {
                self.answer_reoffer(offer, &sdp);
                None
            }
            Event::ReofferDone { offer, .. } => match self.pending.take() {
                Some((pending, t38)) if pending == offer => self.switch(&t38).await,
                other => {
                    self.pending = other;
                    None
                }
            },
            Event::Ended { why, .. } => {
                if let End::RemoteBye { q850 } = why {
                    self.q850 = q850;
                }
                self.stop().await;
                None
            }
            _ => None,
        }
    }

    /// The peer wants other media: T.38 until page data began, else what we have.
    fn answer_reoffer(&mut self, offer: OfferId, sdp: &[u8]) {
        let answer = self.reoffer_answer(offer, sdp);
        self.inner.sip.reanswer(self.call, offer, answer);
    }

    fn reoffer_answer(&mut self, offer: OfferId, sdp: &[u8]) -> Result<Vec<u8>, u16> {
        const NOT_ACCEPTABLE: u16 = 488;
        let remote = Remote::parse(sdp).map_err(|_| 400_u16)?;
        let Some(t38) = remote.t38().cloned() else {
            return Err(NOT_ACCEPTABLE);
        };
        if !self.accepts_t38 || self.page_data || self.media == Media::T38 {
            return Err(NOT_ACCEPTABLE);
        }
        let media = self.fax_media().map_err(|error| {
            self.own_fault.get_or_insert(error);
            500_u16
        })?;
        let answer = self
            .local
            .answer(&remote, &media)
            .map_err(|_| NOT_ACCEPTABLE)?;
        self.offer_at = None;
        self.pending = Some((offer, t38));
        Ok(answer)
    }

    /// Our own re-INVITE, in a task of its own: signalling and the fax go on meanwhile.
    fn offer_t38(&mut self) {
        self.offer_at = None;
        if self.page_data || self.media == Media::T38 || self.hanging_up || self.pending.is_some() {
            return;
        }
        let media = match self.fax_media() {
            Ok(media) => media,
            Err(error) => {
                tracing::warn!(call = %self.call, error, "T.38 can't be offered; audio goes on");
                return;
            }
        };
        let mut local = self.local.clone();
        let sdp = local.offer(&media);
        let (sip, call) = (self.inner.sip.clone(), self.call);
        self.reoffer = Some(tokio::spawn(async move {
            (sip.reoffer(call, sdp).await, local)
        }));
    }

    async fn reoffered(&mut self, done: Option<(ReAnswer, Local)>) -> Option<Step> {
        let (answer, local) = done?;
        match answer {
            ReAnswer::Accepted { sdp } => {
                self.local = local;
                let t38 = Remote::parse(&sdp)
                    .ok()
                    .and_then(|remote| remote.t38().cloned());
                if let Some(t38) = t38 {
                    return self.switch(&t38).await;
                }
            }
            // 488 and its like: audio goes on exactly as before.
            ReAnswer::Rejected { status } => {
                tracing::debug!(call = %self.call, status, "the far end refuses T.38; audio goes on");
                self.fax = None;
            }
            ReAnswer::Glare | ReAnswer::Gone => {}
        }
        self.release_permit()
    }

    /// The media stay as they are: page data that was held up may be asked for now.
    fn release_permit(&mut self) -> Option<Step> {
        if self.pending.is_some() {
            return None;
        }
        let held = self.permit_held.take()?;
        self.page_data = true;
        Some(Step::Worker(held))
    }

    fn fax_media(&mut self) -> Result<LocalMedia, String> {
        let socket = match self.fax.take() {
            Some(socket) => socket,
            None => self.inner.ports.bind().map_err(|error| error.to_string())?,
        };
        let port = socket.port().map_err(|error| error.to_string())?;
        self.fax = Some(socket);
        Ok(LocalMedia::T38 {
            addr: (self.inner.advertised, port).into(),
        })
    }

    /// Both sides agreed: the fax starts anew on the T.38 socket.
    async fn switch(&mut self, t38: &RemoteT38) -> Option<Step> {
        let socket = self.fax.as_ref()?.connect(t38.addr);
        let socket = match socket {
            Ok(socket) => socket,
            Err(error) => {
                self.own_fault
                    .get_or_insert(format!("the T.38 socket can't be connected: {error}"));
                self.stop().await;
                return None;
            }
        };
        self.media = Media::T38;
        self.permit_held = None;
        self.offer_at = None;
        let change = ToWorker::Media {
            call: self.worker.call,
            media: t38_setup(t38),
        };
        if self.worker.say(&change, vec![socket]).await.is_err() {
            tracing::debug!(call = %self.call, "the line worker is gone");
        }
        Some(Step::SwitchedToT38)
    }

    fn ended(&mut self, t30: Option<u32>, pages: Vec<(u32, super::Verdict, String)>) -> Step {
        self.inner.sip.hangup(self.call, None);
        self.inner.forget(self.call);
        Step::Ended(Box::new(CallEnding {
            sip: None,
            q850: self.q850,
            t30,
            no_fax_heard: !self.fax_heard && self.negotiated.is_none(),
            negotiated: self.negotiated.clone(),
            media: Some(self.media),
            pages: pages
                .into_iter()
                .map(|(page, verdict, evidence)| PageVerdict {
                    page,
                    verdict,
                    evidence,
                })
                .collect(),
            duration: self.answered_at.elapsed() * self.inner.speed,
            own_fault: self.own_fault.take(),
            hylafax: None,
        }))
    }
}

fn t38_setup(t38: &RemoteT38) -> MediaSetup {
    MediaSetup::T38 {
        max_datagram: t38.max_datagram.map_or(DEFAULT_DATAGRAM, u32::from),
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn finished<T>(task: &mut Option<tokio::task::JoinHandle<T>>) -> Option<T> {
    match task {
        Some(running) => {
            let done = running.await.ok();
            *task = None;
            done
        }
        None => std::future::pending().await,
    }
}
