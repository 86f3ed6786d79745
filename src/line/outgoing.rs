//! An outgoing call from its order to its ending.

use std::time::Duration;

use faxpost_t4::tiff;
use tokio::{sync::mpsc, time::Instant};

use super::{
    CallEnding, CallEvent, CallOrder, Media, PageVerdict, SipEnding, Verdict,
    calls::Inner,
    protocol::{FromWorker, Role, ToWorker},
    session::{Begin, Session, Step},
    sip::{
        CallId, End, Event,
        sdp::{Codec, Local, LocalMedia, Remote},
    },
};
use crate::{numbers::T38Policy, worker::Blob};

/// The far end's gateway usually offers T.38; this long after the answer we do, in line time.
const OFFER_T38_AFTER: Duration = Duration::from_secs(6);

/// Places the call and follows it to its end; `tx` hears the rest.
pub(super) async fn run(
    inner: &Inner,
    order: CallOrder,
    tx: &mpsc::Sender<CallEvent>,
    hang_up: mpsc::UnboundedReceiver<()>,
) -> CallEnding {
    let pages = u32::try_from(order.pages.len()).unwrap_or(u32::MAX);
    let mut ending = match place(inner, order, tx, hang_up).await {
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
    tx: &mpsc::Sender<CallEvent>,
    mut hang_up: mpsc::UnboundedReceiver<()>,
) -> Result<CallEnding, Box<CallEnding>> {
    let tiff = tiff::write(&order.pages).map_err(fault)?;
    let audio = inner.ports.bind().map_err(fault)?;
    let port = audio.port().map_err(fault)?;
    let mut local = Local::new(crate::clock::now_ms().unsigned_abs());
    let offer = local.offer(&LocalMedia::Audio {
        addr: (inner.advertised, port).into(),
        codecs: vec![Codec::Pcma, Codec::Pcmu],
    });
    let (call, mut events) = inner.dial(&order, offer).map_err(|sip| {
        Box::new(CallEnding {
            sip: Some(sip),
            ..CallEnding::default()
        })
    })?;
    let sdp = match answered(inner, call, &mut events, &mut hang_up, tx).await {
        Ok(sdp) => sdp,
        Err(ending) => {
            inner.forget(call);
            return Err(ending);
        }
    };
    let remote = Remote::parse(&sdp).ok().and_then(|remote| remote.best());
    let Some(remote) = remote else {
        inner.sip.hangup(call, None);
        inner.forget(call);
        return Err(Box::new(CallEnding {
            sip: Some(SipEnding::Status(488)),
            ..CallEnding::default()
        }));
    };
    let offers = order.t38 && inner.t38_policy(&order.trunk_id) == T38Policy::Offer;
    let begin = Begin {
        call,
        events,
        hang_up,
        local,
        audio,
        remote,
        role: Role::Send {
            tiff: Blob(tiff),
            pages: u32::try_from(order.pages.len()).unwrap_or(u32::MAX),
        },
        ident: order.ident.clone(),
        ecm: order.ecm,
        max_rate: order.max_rate,
        caller: true,
        accepts_t38: order.t38,
        offer_t38_after: offers.then_some(OFFER_T38_AFTER),
    };
    let session = Session::begin(inner, begin).await.map_err(|error| {
        inner.sip.hangup(call, None);
        inner.forget(call);
        fault(error)
    })?;
    let pages = u32::try_from(order.pages.len()).unwrap_or(u32::MAX);
    Ok(follow(session, pages, tx).await)
}

/// Waits for the answer: its SDP, or why there is none.
async fn answered(
    inner: &Inner,
    call: CallId,
    events: &mut mpsc::UnboundedReceiver<Event>,
    hang_up: &mut mpsc::UnboundedReceiver<()>,
    tx: &mpsc::Sender<CallEvent>,
) -> Result<Vec<u8>, Box<CallEnding>> {
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
                return Err(Box::new(unanswered(why)));
            }
            Some(_) => {}
            None => return Err(fault("SIP signalling has stopped")),
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
    // The answer to "may page data go out?", once it was asked.
    let mut permit: Option<tokio::sync::oneshot::Receiver<()>> = None;
    loop {
        let step = tokio::select! {
            step = session.next() => step,
            given = wait_for(&mut permit) => {
                permit = None;
                if given {
                    on_line.begins(0);
                    let go = ToWorker::Go { call: session.worker.call };
                    if session.worker.say(&go, Vec::new()).await.is_err() {
                        tracing::debug!("the line worker is gone");
                    }
                } else {
                    session.stop().await;
                }
                continue;
            }
        };
        match step {
            Step::SwitchedToT38 => tell(tx, CallEvent::Media(Media::T38)).await,
            Step::Ended(mut ending) => {
                if ending.pages.is_empty() {
                    ending.pages = on_line.broken_off();
                }
                return *ending;
            }
            Step::Worker(FromWorker::PageDataNext { .. }) => {
                let (give, given) = tokio::sync::oneshot::channel();
                permit = Some(given);
                tell(tx, CallEvent::PageDataNext(give)).await;
            }
            Step::Worker(said) => {
                if let Some(event) = event(said) {
                    on_line.note(&event);
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

    fn begins(&mut self, page: u32) {
        self.open = (page < self.pages).then_some(page);
    }

    fn note(&mut self, event: &CallEvent) {
        match event {
            CallEvent::PageStarted { page } => self.begins(*page),
            CallEvent::Page(verdict) => {
                self.told.retain(|told| told.page != verdict.page);
                self.told.push(verdict.clone());
                match verdict.verdict {
                    // The next page follows at once: its start may not have been told.
                    Verdict::Confirmed => self.begins(verdict.page + 1),
                    _ => self.open = None,
                }
            }
            _ => {}
        }
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

async fn wait_for(permit: &mut Option<tokio::sync::oneshot::Receiver<()>>) -> bool {
    match permit {
        Some(given) => given.await.is_ok(),
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

    fn page(page: u32, verdict: Verdict) -> CallEvent {
        CallEvent::Page(PageVerdict {
            page,
            verdict,
            evidence: String::new(),
        })
    }

    fn left(pages: u32, permitted: bool, events: &[CallEvent]) -> Vec<(u32, Verdict)> {
        let mut on_line = OnLine::new(pages);
        if permitted {
            on_line.begins(0);
        }
        events.iter().for_each(|event| on_line.note(event));
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
        use Verdict::{Confirmed, Refused, Unknown};
        assert!(left(3, false, &[]).is_empty());
        assert_eq!(left(3, true, &[]), [(0, Unknown)]);
        let started = CallEvent::PageStarted { page: 1 };
        assert_eq!(
            left(3, true, &[page(0, Confirmed), started]),
            [(0, Confirmed), (1, Unknown)]
        );
        assert_eq!(left(1, true, &[page(0, Confirmed)]), [(0, Confirmed)]);
        assert_eq!(left(2, true, &[page(0, Refused)]), [(0, Refused)]);
        let again = CallEvent::PageStarted { page: 0 };
        assert_eq!(left(2, true, &[page(0, Refused), again]), [(0, Unknown)]);
    }
}
