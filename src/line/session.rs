//! What outgoing and incoming calls share once they are answered: media, the worker's frames and the end.
//! How the media change is in `reoffers`.

mod reoffers;

use std::{net::SocketAddr, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    CallEnding, Media, Negotiated, PageVerdict,
    calls::Inner,
    media::{self, Ear, MediaSocket},
    protocol::{FromWorker, Role, ToWorker},
    sip::{
        CallId, End, Event, OfferId, ReAnswer,
        sdp::{Codec, Local, RemoteMedia},
    },
    workers::{WorkerCall, WorkerEvent},
};
use crate::numbers::MediaFrom;

/// How long a worker may take to end a call that was hung up, clock time.
const END_LIMIT: Duration = Duration::from_secs(10);

/// What comes next on an answered call.
pub(super) enum Step {
    /// The worker said something that the direction handles.
    Worker(FromWorker),
    /// The fax begins anew on other media.
    Switched,
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
    /// The law of our audio, now or last.
    law: Codec,
    /// Kept while the peer may still send to it, and for a way back.
    audio: Option<MediaSocket>,
    fax: Option<MediaSocket>,
    /// Where the peer said that its media are, and who else sends to ours until it is heard.
    peer: SocketAddr,
    ear: Option<Ear>,
    media_from: MediaFrom,
    /// What of the peer's offer we accepted; its ACK is awaited.
    pending: Option<(OfferId, RemoteMedia)>,
    accepts_t38: bool,
    /// When we offer T.38 ourselves; `None`: never, or done.
    offer_at: Option<Instant>,
    reoffer: Option<tokio::task::JoinHandle<ReAnswer>>,
    /// What our own offer is of, while nobody has answered it and none of the peer's has overtaken it.
    offered: Option<Media>,
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
    /// What the SDP named, whatever the media.
    pub socket: MediaSocket,
    pub remote: RemoteMedia,
    pub role: Role,
    pub ident: String,
    pub ecm: bool,
    pub v17: bool,
    pub max_rate: u32,
    pub caller: bool,
    /// Whom media are taken from.
    pub media_from: MediaFrom,
    /// The peer's re-INVITE to T.38 is accepted.
    pub accepts_t38: bool,
    /// Line time after which we offer T.38 ourselves; `None`: never.
    pub offer_t38_after: Option<Duration>,
}

impl<'a> Session<'a> {
    /// Starts the worker's part.
    pub async fn begin(inner: &'a Inner, begin: Begin) -> Result<Self, String> {
        let worker = begin.worker;
        let mut law = Codec::Pcma;
        if let RemoteMedia::Audio { codecs, .. } = &begin.remote
            && let Some(first) = codecs.first()
        {
            law = first.codec;
        }
        let (setup, media) = reoffers::setup(&begin.remote, law);
        let socket = begin
            .socket
            .connect(begin.remote.addr())
            .map_err(|error| format!("the media socket can't be connected: {error}"))?;
        let (audio, fax) = match media {
            Media::G711 => (Some(begin.socket), None),
            Media::T38 => (None, Some(begin.socket)),
        };
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
            law,
            ear: open_ear(begin.media_from, audio.as_ref().or(fax.as_ref())),
            audio,
            fax,
            peer: begin.remote.addr(),
            media_from: begin.media_from,
            pending: None,
            accepts_t38: begin.accepts_t38,
            offer_at: begin
                .offer_t38_after
                .filter(|_| media == Media::G711)
                .map(|after| now + after / inner.speed),
            reoffer: None,
            offered: None,
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
                source = stranger(&mut self.ear) => self.approve(source),
                done = finished(&mut self.reoffer) => {
                    if let Some(step) = self.reoffered(done.unwrap_or(ReAnswer::Gone)).await {
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

    /// As [`fail`](Self::fail), of a page that waits for its permit: the far end hears DCN before the BYE.
    pub async fn break_off(&mut self, why: &str) {
        if !self.hanging_up {
            self.own_fault.get_or_insert(why.to_owned());
            let call = self.worker.call;
            self.end(ToWorker::BreakOff { call }).await;
        }
    }

    /// Ends the call soon: the worker says what became of its pages.
    pub async fn stop(&mut self) {
        if !self.hanging_up {
            let call = self.worker.call;
            self.end(ToWorker::HangUp { call }).await;
        }
    }

    async fn end(&mut self, bye: ToWorker) {
        self.hanging_up = true;
        self.give_up_at = Some(Instant::now() + END_LIMIT);
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
            FromWorker::MediaHeard { .. } => {
                // It is where it said: nobody else is listened to.
                self.ear = None;
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
                Some((pending, remote)) if pending == offer => self.agreed(remote).await,
                other => {
                    self.pending = other;
                    None
                }
            },
            Event::Remote { sdp, .. } => self.moved(&sdp).await,
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

    /// The media stay as they are: page data that was held up may be asked for now.
    fn release_permit(&mut self) -> Option<Step> {
        if self.pending.is_some() {
            return None;
        }
        let held = self.permit_held.take()?;
        self.page_data = true;
        Some(Step::Worker(held))
    }

    /// Somebody sends to our media's port, and the peer was not heard yet. What it sends reaches the worker,
    /// and what we send reaches it, only from here on.
    fn approve(&mut self, source: SocketAddr) {
        if !media::may_be(self.media_from, self.peer, source) {
            return;
        }
        let socket = match self.media {
            Media::T38 => self.fax.as_ref(),
            Media::G711 => self.audio.as_ref(),
        };
        match socket.map(|socket| socket.take_from(source)) {
            Some(Ok(())) => {
                tracing::info!(call = %self.call, "media come from elsewhere than signalled, and are taken");
                self.ear = None;
            }
            Some(Err(error)) => {
                tracing::warn!(call = %self.call, %error, "the peer's media can't be taken");
            }
            None => {}
        }
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

/// Without one the signalled address alone is heard, as most peers want it.
fn open_ear(policy: MediaFrom, socket: Option<&MediaSocket>) -> Option<Ear> {
    if policy == MediaFrom::Signalled {
        return None;
    }
    socket?
        .ear()
        .inspect_err(
            |error| tracing::warn!(%error, "media are taken from the signalled address alone"),
        )
        .ok()
}

async fn stranger(ear: &mut Option<Ear>) -> SocketAddr {
    match ear {
        Some(ear) => ear.stranger().await,
        None => std::future::pending().await,
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
