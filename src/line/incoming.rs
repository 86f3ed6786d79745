//! An incoming call from its offer to its ending.

use std::time::Duration;

use faxpost_t4::tiff;
use tokio::sync::mpsc;

use super::{
    Answerer, CallEnding, Decision, IncomingCall, ReceivedPage,
    calls::Inner,
    media::MediaSocket,
    protocol::{FromWorker, Role, ToWorker},
    session::{Begin, Session, Step},
    sip::{
        CallId, End, Event,
        sdp::{Codec, Local, LocalMedia, Remote, RemoteMedia},
    },
    workers::{NoWorker, WorkerCall},
};
use crate::numbers::T38Policy;

/// As the answering fax we offer T.38 this long after the answer, in line time: CED is out by then.
const OFFER_T38_AFTER: Duration = Duration::from_millis(1500);
/// The highest rate of V.17.
const MAX_RATE: u32 = 14_400;

/// Answers or refuses the call and follows it; `None` when it was never answered.
pub(super) async fn run(
    inner: &Inner,
    call: CallId,
    offered: &IncomingCall,
    sdp: &[u8],
    answerer: &dyn Answerer,
    mut events: mpsc::UnboundedReceiver<Event>,
    hang_up: mpsc::UnboundedReceiver<()>,
) -> Option<CallEnding> {
    let (policy, media_from) = inner.trunks.policies(&offered.trunk_id);
    let theirs = if sdp.is_empty() {
        None
    } else {
        let usable = usable(inner, sdp, policy);
        if usable.is_none() {
            inner.sip.reject(call, 488, None);
            return None;
        }
        usable
    };
    // All that can be missing is taken before the call is put on record and answered.
    let room = match Room::take(inner, theirs.as_ref()).await {
        Ok(room) => room,
        Err(none) => {
            tracing::error!(
                call = offered.call_id,
                error = none.why,
                "a call is refused unanswered"
            );
            inner.sip.reject(call, none.status, Some(none.q850));
            return None;
        }
    };
    let ident = match answerer.offered(offered).await {
        Decision::Refuse(status) => {
            inner.sip.reject(call, status, None);
            return None;
        }
        Decision::Answer { ident } => ident,
    };
    inner.sip.answer(call, room.sdp);
    let answered = loop {
        match events.recv().await {
            Some(Event::Answered { sdp, .. }) => break sdp,
            Some(Event::Ended { why, .. }) => return Some(never_stood(why)),
            Some(_) => {}
            None => return Some(fault("SIP signalling has stopped")),
        }
    };
    // RFC 3261 §13.2.1: who called without an offer answers ours in the ACK.
    let best = match theirs {
        Some((_, best)) => best,
        None => match usable(inner, &answered, T38Policy::Never) {
            Some((_, best)) => best,
            None => {
                inner.sip.hangup(call, Some(88));
                return Some(CallEnding::default());
            }
        },
    };
    let begin = Begin {
        call,
        events,
        hang_up,
        worker: room.worker,
        local: room.local,
        socket: room.socket,
        remote: best,
        role: Role::Receive,
        ident,
        ecm: true,
        v17: true,
        max_rate: MAX_RATE,
        caller: false,
        media_from,
        accepts_t38: policy != T38Policy::Never,
        offer_t38_after: (policy != T38Policy::Never).then_some(OFFER_T38_AFTER),
    };
    match Session::begin(inner, begin).await {
        Ok(session) => Some(follow(session, offered, answerer).await),
        Err(error) => {
            inner.sip.hangup(call, None);
            Some(fault(error))
        }
    }
}

/// What a call needs here: a place in a line worker, a media socket, and the SDP that names it.
struct Room {
    worker: WorkerCall,
    socket: MediaSocket,
    local: Local,
    sdp: Vec<u8>,
}

/// Why there is no room.
struct NoRoom {
    why: String,
    /// SIP status of the refusal.
    status: u16,
    /// Cause for the Reason header (Q.850 §2.2.7).
    q850: u16,
}

impl Room {
    /// `theirs`: the offer and what of it we take; none when the caller wants ours.
    async fn take(inner: &Inner, theirs: Option<&(Remote, RemoteMedia)>) -> Result<Self, NoRoom> {
        let fault = |error: &dyn std::fmt::Display| NoRoom {
            why: error.to_string(),
            // Temporary failure: the trunk may try another of our gateways (RFC 3261 §21.5.4).
            status: 503,
            q850: 41,
        };
        let worker = inner.workers.open().await.map_err(|error| match error {
            // User busy: the caller's machine knows what that means, and calls again.
            NoWorker::Full => NoRoom {
                status: 486,
                q850: 17,
                ..fault(&error)
            },
            NoWorker::Start(_) | NoWorker::Gone => fault(&error),
        })?;
        // No circuit available (Q.850 cause 34): all ports of the range are in calls.
        let socket = inner.ports.bind().map_err(|error| NoRoom {
            q850: 34,
            ..fault(&error)
        })?;
        let port = socket.port().map_err(|error| fault(&error))?;
        let addr = (inner.advertised.now(), port).into();
        let mut local = Local::new(crate::clock::now_ms().unsigned_abs());
        let audio = LocalMedia::Audio {
            addr,
            codecs: vec![Codec::Pcma, Codec::Pcmu],
        };
        let sdp = match theirs {
            None => local.offer(&audio),
            Some((remote, best)) => {
                let media = match best {
                    RemoteMedia::T38(_) => LocalMedia::T38 { addr },
                    RemoteMedia::Audio { .. } => audio,
                };
                // Before anybody is told the port: nothing of a stranger's is ever in the queue.
                socket
                    .take_from(best.addr())
                    .map_err(|error| fault(&error))?;
                local.answer(remote, &media).map_err(|error| NoRoom {
                    // Incompatible destination: the offer can't be met.
                    status: 488,
                    q850: 88,
                    why: error.to_string(),
                })?
            }
        };
        Ok(Self {
            worker,
            socket,
            local,
            sdp,
        })
    }
}

/// What of a peer's SDP we take: fax before audio, where the trunk has T.38.
fn usable(inner: &Inner, sdp: &[u8], policy: T38Policy) -> Option<(Remote, RemoteMedia)> {
    let remote = Remote::parse(sdp).ok()?.reachable_from(inner.ports.ip());
    let best = match policy {
        T38Policy::Never => remote.audio().cloned(),
        T38Policy::Wait | T38Policy::Offer => remote.best(),
    }?;
    Some((remote, best))
}

/// A call that ended between our answer and its ACK: the far end's doing, and the network's.
fn never_stood(why: End) -> CallEnding {
    match why {
        End::RemoteBye { q850 } => CallEnding {
            q850,
            ..CallEnding::default()
        },
        End::Cancelled | End::NoAck | End::SessionExpired | End::TransportLost => {
            CallEnding::default()
        }
        other => fault(format!("{other:?}")),
    }
}

fn fault(reason: impl ToString) -> CallEnding {
    CallEnding {
        own_fault: Some(reason.to_string()),
        ..CallEnding::default()
    }
}

async fn follow(
    mut session: Session<'_>,
    offered: &IncomingCall,
    answerer: &dyn Answerer,
) -> CallEnding {
    loop {
        match session.next().await {
            Step::Ended(ending) => return *ending,
            Step::Worker(FromWorker::PageReceived {
                page,
                tiff,
                bad_rows,
                last,
                ..
            }) => {
                let committed = keep(offered, answerer, page, &tiff.0, bad_rows, last).await;
                let kept = ToWorker::Kept {
                    call: session.worker.call,
                    page,
                    committed,
                };
                if session.worker.say(&kept, Vec::new()).await.is_err() {
                    tracing::debug!(call = offered.call_id, "the line worker is gone");
                }
            }
            Step::Worker(_) | Step::Switched => {}
        }
    }
}

async fn keep(
    offered: &IncomingCall,
    answerer: &dyn Answerer,
    index: u32,
    bytes: &[u8],
    bad_rows: u32,
    last: bool,
) -> bool {
    let page = match tiff::read(bytes) {
        Ok(mut pages) if pages.len() == 1 => pages.remove(0),
        Ok(_) => {
            tracing::error!(
                call = offered.call_id,
                "a line worker gave no single page; it is refused"
            );
            return false;
        }
        Err(error) => {
            tracing::error!(call = offered.call_id, %error, "a line worker gave an unreadable page; it is refused");
            return false;
        }
    };
    answerer
        .keep(
            offered,
            ReceivedPage {
                index,
                page,
                bad_rows,
                last,
            },
        )
        .await
}
