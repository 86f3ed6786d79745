//! An outgoing call from its order to its ending.

use std::time::Duration;

use faxpost_t4::tiff;
use tokio::{sync::mpsc, time::Instant};

use super::{
    CallEnding, CallEvent, CallOrder, PageVerdict, SipEnding, Verdict,
    calls::Inner,
    media::MediaSocket,
    protocol::{FromWorker, Role, ToWorker},
    session::{Begin, Session, Step},
    sip::{
        CallId, End, Event,
        sdp::{Codec, Local, LocalMedia, Remote},
    },
    trunks::Channel,
    workers::WorkerCall,
};
use crate::{numbers::T38Policy, worker::Blob};

/// The far end's gateway usually offers T.38; this long after the answer we do, in line time.
const OFFER_T38_AFTER: Duration = Duration::from_secs(6);

/// Places the call and follows it to its end; `channel` is the first trunk's, if it had one, and `tx` hears
/// the rest.
pub(super) async fn run(
    inner: &Inner,
    order: CallOrder,
    channel: Option<Channel>,
    tx: &mpsc::Sender<CallEvent>,
    hang_up: mpsc::UnboundedReceiver<()>,
) -> CallEnding {
    let pages = u32::try_from(order.pages.len()).unwrap_or(u32::MAX);
    let mut ending = match place(inner, order, channel, tx, hang_up).await {
        Ok(ending) => ending,
        Err(ending) => *ending,
    };
    for page in 0..pages {
        if !ending.pages.iter().any(|verdict| verdict.page == page) {
            ending.pages.push(PageVerdict {
                page,
                verdict: Verdict::Unsent,
                evidence: "no page data went out".into(),
            });
        }
    }
    ending.pages.sort_by_key(|verdict| verdict.page);
    ending
}

fn fault(reason: impl ToString) -> Box<CallEnding> {
    Box::new(CallEnding {
        own_fault: Some(reason.to_string()),
        ..CallEnding::default()
    })
}

async fn place(
    inner: &Inner,
    order: CallOrder,
    mut first: Option<Channel>,
    tx: &mpsc::Sender<CallEvent>,
    mut hang_up: mpsc::UnboundedReceiver<()>,
) -> Result<CallEnding, Box<CallEnding>> {
    let tiff = tiff::write(&order.pages).map_err(fault)?;
    // Before anybody is called: a call that is answered for nothing costs money.
    let worker = inner.workers.open().await.map_err(fault)?;
    let media = inner.ports.bind().map_err(fault)?;
    let port = media.port().map_err(fault)?;
    let mut why = None;
    let trunks = std::iter::once(&order.trunk_id).chain(&order.more_trunks);
    for (index, trunk_id) in trunks.enumerate() {
        // Held until the call is over.
        let channel = match index {
            0 => first.take(),
            _ => inner.trunks.hold(trunk_id),
        };
        let Some(channel) = channel else { continue };
        if index > 0 {
            tell(tx, CallEvent::Trunk(trunk_id.clone())).await;
        }
        let by = By {
            inner,
            order: &order,
            channel: &channel,
            port,
            tx,
        };
        let up = match by.dial(&mut hang_up).await {
            Ok(up) => up,
            Err(ending) if may_go_elsewhere(&ending) => {
                why = Some(ending);
                continue;
            }
            Err(ending) => return Err(ending),
        };
        return carry(
            inner,
            &order,
            &channel,
            tiff,
            (worker, media),
            up,
            tx,
            hang_up,
        )
        .await;
    }
    // Taken between the choice of the trunks and now, or switched off: nothing went out.
    Err(why
        .unwrap_or_else(|| unplaced(SipEnding::Unreachable("no trunk has a free channel".into()))))
}

fn unplaced(sip: SipEnding) -> Box<CallEnding> {
    Box::new(CallEnding {
        sip: Some(sip),
        ..CallEnding::default()
    })
}

/// Whether another trunk may be tried: this one has no call of ours, ringing or up, and it is the
/// trunk that failed, not the number. A trunk that said Trying and then nothing may have one.
pub(super) fn may_go_elsewhere(ending: &CallEnding) -> bool {
    match ending.sip {
        // RFC 3261 §21.5; 401 and 407: it does not take our password.
        Some(SipEnding::Status(status)) => matches!(status, 401 | 407 | 500..=599),
        Some(SipEnding::Unreachable(_)) => true,
        Some(SipEnding::NoAnswer) | None => false,
    }
}

/// A call that was not: its end, and how long the trunk wants to be left alone (RFC 3261 §20.33).
struct Down {
    ending: Box<CallEnding>,
    retry_after: Option<Duration>,
}

impl From<Box<CallEnding>> for Down {
    fn from(ending: Box<CallEnding>) -> Self {
        Self {
            ending,
            retry_after: None,
        }
    }
}

/// A call that was answered.
struct Up {
    call: CallId,
    events: mpsc::UnboundedReceiver<Event>,
    local: Local,
    sdp: Vec<u8>,
}

/// One trunk's attempt at a call.
struct By<'a> {
    inner: &'a Inner,
    order: &'a CallOrder,
    channel: &'a Channel,
    port: u16,
    tx: &'a mpsc::Sender<CallEvent>,
}

impl By<'_> {
    async fn dial(&self, hang_up: &mut mpsc::UnboundedReceiver<()>) -> Result<Up, Box<CallEnding>> {
        let addr = (self.inner.advertised.now(), self.port).into();
        let audio = LocalMedia::Audio {
            addr,
            codecs: vec![Codec::Pcma, Codec::Pcmu],
        };
        let at_once = self.order.t38 && self.channel.trunk.t38 == T38Policy::Offer;
        let mut ended = Err(Down::from(fault("no offer was made")));
        for media in [at_once.then_some(LocalMedia::T38 { addr }), Some(audio)] {
            let Some(media) = media else { continue };
            ended = self.attempt(&media, hang_up).await;
            // RFC 3261 §21.4.26, §21.4.13, §21.6.4: it was the media; G.711 may do.
            let refused =
                |end: &CallEnding| matches!(end.sip, Some(SipEnding::Status(415 | 488 | 606)));
            if !ended.as_ref().is_err_and(|down| refused(&down.ending)) {
                break;
            }
        }
        let trunk_id = &self.channel.trunk.trunk_id;
        match &ended {
            Err(down) if may_go_elsewhere(&down.ending) => {
                let sentence = match &down.ending.sip {
                    Some(SipEnding::Status(status)) => format!("a call was refused with {status}"),
                    Some(SipEnding::Unreachable(why)) => why.clone(),
                    _ => "a call could not be placed".to_owned(),
                };
                let trunks = &self.inner.trunks;
                trunks.failed(trunk_id, &sentence, down.retry_after);
            }
            _ => self.inner.trunks.worked(trunk_id),
        }
        ended.map_err(|down| down.ending)
    }

    async fn attempt(
        &self,
        media: &LocalMedia,
        hang_up: &mut mpsc::UnboundedReceiver<()>,
    ) -> Result<Up, Down> {
        let mut local = Local::new(crate::clock::now_ms().unsigned_abs());
        let offer = local.offer(media);
        let (call, mut events) = self
            .inner
            .dial(self.channel, self.order, offer)
            .map_err(|error| Down::from(unplaced(error)))?;
        match answered(self.inner, call, &mut events, hang_up, self.tx).await {
            Ok(sdp) => Ok(Up {
                call,
                events,
                local,
                sdp,
            }),
            Err(down) => {
                self.inner.forget(call);
                Err(down)
            }
        }
    }
}

/// An answered call, to its end.
#[expect(clippy::too_many_arguments, reason = "what a call is made of")]
async fn carry(
    inner: &Inner,
    order: &CallOrder,
    channel: &Channel,
    tiff: Vec<u8>,
    (worker, media): (WorkerCall, MediaSocket),
    up: Up,
    tx: &mpsc::Sender<CallEvent>,
    hang_up: mpsc::UnboundedReceiver<()>,
) -> Result<CallEnding, Box<CallEnding>> {
    let call = up.call;
    let remote = Remote::parse(&up.sdp)
        .ok()
        .and_then(|remote| remote.reachable_from(inner.ports.ip()).best());
    let Some(remote) = remote else {
        inner.sip.hangup(call, None);
        inner.forget(call);
        return Err(unplaced(SipEnding::Status(488)));
    };
    let pages = u32::try_from(order.pages.len()).unwrap_or(u32::MAX);
    let t38 = order.t38 && channel.trunk.t38 != T38Policy::Never;
    let begin = Begin {
        call,
        events: up.events,
        hang_up,
        worker,
        local: up.local,
        socket: media,
        remote,
        role: Role::Send {
            tiff: Blob(tiff),
            pages,
            documents: order.documents.clone(),
            sub_address: order.sub_address.clone(),
            password: order.password.clone(),
        },
        ident: order.ident.clone(),
        ecm: order.ecm,
        v17: order.v17,
        max_rate: order.max_rate,
        caller: true,
        media_from: channel.trunk.media,
        accepts_t38: t38,
        offer_t38_after: t38.then_some(OFFER_T38_AFTER),
    };
    let session = Session::begin(inner, begin).await.map_err(|error| {
        inner.sip.hangup(call, None);
        inner.forget(call);
        fault(error)
    })?;
    Ok(follow(session, pages, tx).await)
}

/// Waits for the answer: its SDP, or why there is none.
async fn answered(
    inner: &Inner,
    call: CallId,
    events: &mut mpsc::UnboundedReceiver<Event>,
    hang_up: &mut mpsc::UnboundedReceiver<()>,
    tx: &mpsc::Sender<CallEvent>,
) -> Result<Vec<u8>, Down> {
    let since = Instant::now();
    let mut hung_up = false;
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            Some(()) = hang_up.recv(), if !hung_up => {
                hung_up = true;
                inner.sip.hangup(call, None);
                continue;
            }
        };
        match event {
            Some(Event::Progress { status, .. }) if status >= 180 => {
                tell(tx, CallEvent::Ringing).await
            }
            Some(Event::Answered { sdp, .. }) => {
                tell(tx, CallEvent::Answered).await;
                return Ok(sdp);
            }
            Some(Event::Ended { why, .. }) => {
                tracing::debug!(call = %call, after_ms = since.elapsed().as_millis() as u64, "not answered");
                // Called off: no other trunk is tried, whatever this one said.
                let why = if hung_up { End::Cancelled } else { why };
                let retry_after = match why {
                    // RFC 3261 §21.5.4: of the trunk; of others it is the called number's.
                    End::Refused {
                        status: 503,
                        retry_after,
                        ..
                    } => retry_after,
                    _ => None,
                };
                return Err(Down {
                    ending: Box::new(unanswered(why)),
                    retry_after,
                });
            }
            Some(_) => {}
            None => return Err(fault("SIP signalling has stopped").into()),
        }
    }
}

fn unanswered(why: End) -> CallEnding {
    let mut ending = CallEnding::default();
    match why {
        End::Refused { status, q850, .. } => {
            ending.sip = Some(SipEnding::Status(status));
            ending.q850 = q850;
        }
        End::AuthFailed => ending.sip = Some(SipEnding::Status(407)),
        End::RingTimeout => ending.sip = Some(SipEnding::NoAnswer),
        End::SetupTimeout => ending.sip = Some(SipEnding::Status(408)),
        End::Unreachable { error } => ending.sip = Some(SipEnding::Unreachable(error)),
        End::Cancelled | End::LocalBye => {
            ending.own_fault = Some("called off before the answer".into())
        }
        other => ending.own_fault = Some(format!("{other:?}")),
    }
    ending
}

async fn follow(mut session: Session<'_>, pages: u32, tx: &mpsc::Sender<CallEvent>) -> CallEnding {
    tell(tx, CallEvent::Media(session.media())).await;
    let mut on_line = OnLine::new(pages);
    // The answer to "may this page's data go out?", while it is awaited.
    let mut permit: Option<(u32, tokio::sync::oneshot::Receiver<()>)> = None;
    loop {
        let step = tokio::select! {
            step = session.next() => step,
            given = wait_for(&mut permit) => {
                permit = None;
                if let Some(page) = given {
                    on_line.begins(page);
                    let go = ToWorker::Go { call: session.worker.call };
                    if session.worker.say(&go, Vec::new()).await.is_err() {
                        tracing::debug!("the line worker is gone");
                    }
                } else {
                    session.break_off("the page about to go out has no permit").await;
                }
                continue;
            }
        };
        match step {
            Step::Switched => tell(tx, CallEvent::Media(session.media())).await,
            Step::Ended(mut ending) => {
                if ending.pages.is_empty() {
                    ending.pages = on_line.broken_off();
                }
                return *ending;
            }
            Step::Worker(FromWorker::PageDataNext { page, answered, .. }) => {
                let (give, given) = tokio::sync::oneshot::channel();
                permit = Some((page, given));
                if let Some(verdict) = &answered {
                    on_line.note(verdict);
                }
                let event = CallEvent::PageDataNext {
                    page,
                    answered,
                    permit: give,
                };
                tell(tx, event).await;
            }
            Step::Worker(said) => {
                if let Some(event) = event(said) {
                    if let CallEvent::Page(verdict) = &event {
                        on_line.note(verdict);
                    }
                    tell(tx, event).await;
                }
            }
        }
    }
}

/// What is known of the pages while the call lasts, for a worker that can't say it any more.
struct OnLine {
    pages: u32,
    /// The page whose data may be on the line.
    open: Option<u32>,
    told: Vec<PageVerdict>,
}

impl OnLine {
    fn new(pages: u32) -> Self {
        Self {
            pages,
            open: None,
            told: Vec::new(),
        }
    }

    /// The page has its permit: from now on its data may be out.
    fn begins(&mut self, page: u32) {
        self.open = (page < self.pages).then_some(page);
    }

    fn note(&mut self, verdict: &PageVerdict) {
        self.told.retain(|told| told.page != verdict.page);
        self.told.push(verdict.clone());
        self.open = None;
    }

    /// The verdicts when the worker is gone: page data without an answer leaves its page unknown.
    fn broken_off(self) -> Vec<PageVerdict> {
        let mut verdicts = self.told;
        if let Some(open) = self.open {
            let confirmed = verdicts
                .iter()
                .any(|told| told.page == open && told.verdict == Verdict::Confirmed);
            if !confirmed {
                verdicts.retain(|told| told.page != open);
                verdicts.push(PageVerdict {
                    page: open,
                    verdict: Verdict::Unknown,
                    evidence: "the call broke off on our side while the page was on the line"
                        .into(),
                });
            }
        }
        verdicts
    }
}

/// The page whose permit is given; none when it was dropped.
async fn wait_for(permit: &mut Option<(u32, tokio::sync::oneshot::Receiver<()>)>) -> Option<u32> {
    match permit {
        Some((page, given)) => given.await.ok().map(|()| *page),
        None => std::future::pending().await,
    }
}

fn event(said: FromWorker) -> Option<CallEvent> {
    Some(match said {
        FromWorker::Negotiated { what, .. } => CallEvent::Negotiated(what),
        FromWorker::PageStarted { page, .. } => CallEvent::PageStarted { page },
        FromWorker::PageProgress { page, percent, .. } => CallEvent::PageProgress { page, percent },
        FromWorker::PageVerdict {
            page,
            verdict,
            evidence,
            ..
        } => CallEvent::Page(PageVerdict {
            page,
            verdict,
            evidence,
        }),
        _ => return None,
    })
}

async fn tell(tx: &mpsc::Sender<CallEvent>, event: CallEvent) {
    // Whoever placed the call and went away is told nothing more; the call still ends by itself.
    let _ = tx.send(event).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens on a line: a permit for a page, or a verdict on one.
    enum Step {
        Permit(u32),
        Said(u32, Verdict),
    }

    fn left(pages: u32, steps: &[Step]) -> Vec<(u32, Verdict)> {
        let mut on_line = OnLine::new(pages);
        for step in steps {
            match *step {
                Step::Permit(page) => on_line.begins(page),
                Step::Said(page, verdict) => on_line.note(&PageVerdict {
                    page,
                    verdict,
                    evidence: String::new(),
                }),
            }
        }
        let mut left: Vec<_> = on_line
            .broken_off()
            .into_iter()
            .map(|told| (told.page, told.verdict))
            .collect();
        left.sort_by_key(|(page, _)| *page);
        left
    }

    #[test]
    fn promise_3_a_lost_worker_leaves_the_page_on_the_line_unknown() {
        use Step::{Permit, Said};
        use Verdict::{Confirmed, Refused, Unknown};
        assert!(left(3, &[]).is_empty());
        assert_eq!(left(3, &[Permit(0)]), [(0, Unknown)]);
        let first = [Permit(0), Said(0, Confirmed)];
        assert_eq!(left(1, &first), [(0, Confirmed)]);
        // The next page had no permit yet: nothing of it is out.
        assert_eq!(left(3, &first), [(0, Confirmed)]);
        assert_eq!(
            left(3, &[Permit(0), Said(0, Confirmed), Permit(1)]),
            [(0, Confirmed), (1, Unknown)]
        );
        let refused = [Permit(0), Said(0, Refused)];
        assert_eq!(left(2, &refused), [(0, Refused)]);
        let again = [Permit(0), Said(0, Refused), Permit(0)];
        assert_eq!(left(2, &again), [(0, Unknown)]);
    }
}
