//! A call that stands: the peer's re-INVITEs and ours (`ours`), refreshes, the hang-up.

mod ours;

use rsipstack::dialog::dialog::{
    DialogState, DialogStateReceiver, TerminatedReason, TransactionHandle,
};
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::{Header, Method, Request, StatusCode};
use tokio::time::{Instant, sleep_until};

use super::adapter::{ByeCause, Command, Core, Line};
use super::message::{ALLOW, sdp_of, sdp_type};
use super::refresh::{self, Agreed, Answer, Clock};
use super::{End, Event, OfferId, ReAnswer, sdp};
use ours::{Ours, in_flight};

/// A call that stands.
pub(super) struct Talk {
    dialog: InviteDialog,
    /// What we last agreed to: repeated, unchanged, in answer to a refresh.
    local: Vec<u8>,
    remote: Vec<u8>,
    /// We made the Call-ID (decides who waits longer after glare).
    owner: bool,
    theirs: Theirs,
    /// The session's timer, when one was agreed on.
    clock: Option<Clock>,
}

impl Talk {
    pub(super) fn new(dialog: InviteDialog, local: Vec<u8>, remote: Vec<u8>, owner: bool) -> Self {
        Self {
            dialog,
            local,
            remote,
            owner,
            theirs: Theirs::None,
            clock: None,
        }
    }

    /// Starts the session's timer anew, or ends it: every 2xx to a re-INVITE or UPDATE does
    /// (RFC 4028 §7.2, §9).
    pub(super) fn agree(&mut self, core: &Core, agreed: Option<Agreed>) {
        let second = core.timers.second;
        self.clock = agreed.map(|agreed| Clock::start(agreed, second, Instant::now()));
    }
}

/// The peer's offer.
enum Theirs {
    None,
    Open {
        offer: OfferId,
        handle: TransactionHandle,
        invite: Option<u32>,
        sdp: Vec<u8>,
        until: Instant,
        /// About the session timer, for a 2xx.
        fields: Vec<Header>,
        agreed: Option<Agreed>,
    },
    /// It wanted ours, and got what stands; its answer comes in the ACK of that CSeq (RFC 3261 §14.2).
    Asked {
        cseq: u32,
    },
    /// Accepted; the ACK of that CSeq is awaited.
    Accepted {
        offer: OfferId,
        cseq: u32,
        local: Vec<u8>,
        remote: Vec<u8>,
    },
}

/// The call, until it ends.
pub(super) async fn talk(
    core: &Core,
    mut talk: Talk,
    mut states: DialogStateReceiver,
    line: &mut Line,
) -> End {
    let mut ours: Option<Ours> = None;
    loop {
        let wake = [
            ours.as_ref().map(|o| o.until),
            talk.theirs.until(),
            talk.clock.as_ref().map(Clock::wake),
        ]
        .into_iter()
        .flatten()
        .min();
        tokio::select! {
            biased;
            state = states.recv() => {
                let Some(state) = state else { return End::Internal("the stack dropped the dialog".into()) };
                let on_its_way = ours.as_ref().is_some_and(|o| o.in_flight.is_some());
                if let Some(end) = talk.on_state(core, state, on_its_way, line).await {
                    return end;
                }
            }
            answer = in_flight(&mut ours) => {
                if let Some(mine) = ours.take() {
                    match talk.on_answer(core, answer, mine).await {
                        Ok(waiting) => ours = waiting,
                        Err(end) => return end,
                    }
                }
            }
            command = line.commands.recv() => match command {
                Some(Command::Hangup { q850 }) => return talk.hang_up(core, q850).await,
                None => return talk.hang_up(core, None).await,
                Some(Command::Reoffer { sdp, reply }) => match ours {
                    None if matches!(talk.theirs, Theirs::None) => ours = Some(talk.offer(core, sdp, Some(reply), 1)),
                    // RFC 3264 §4: no offer while one is open, whosever it is.
                    _ => drop(reply.send(ReAnswer::Glare)),
                },
                Some(Command::Reanswer { offer, answer }) => {
                    let accepted = talk.reanswer(core, offer, answer, line).await;
                    // Ours was put off by glare (RFC 3261 §14.1), and what it would change has just changed.
                    if let Some(mine) = ours.take_if(|ours| accepted && ours.in_flight.is_none()) {
                        mine.give_way();
                    }
                }
                Some(_) => {}
            },
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                let now = Instant::now();
                if talk.theirs.until().is_some_and(|until| until <= now) {
                    talk.refuse(StatusCode::NotAcceptableHere).await;
                }
                if ours.as_ref().is_some_and(|o| o.until <= now) {
                    ours = talk.on_deadline(core, ours.take());
                }
                if talk.clock.as_ref().is_some_and(|clock| clock.is_over(now)) {
                    // RFC 4028 §10: nobody refreshed.
                    talk.hang_up(core, None).await;
                    return End::SessionExpired;
                }
                if talk.clock.as_ref().is_some_and(|clock| clock.is_due(now)) {
                    ours = talk.refresh(core, ours);
                }
            }
        }
    }
}

impl Theirs {
    fn until(&self) -> Option<Instant> {
        match self {
            Theirs::Open { until, .. } => Some(*until),
            _ => None,
        }
    }
}

impl Talk {
    async fn on_state(
        &mut self,
        core: &Core,
        state: DialogState,
        ours_on_its_way: bool,
        line: &Line,
    ) -> Option<End> {
        match state {
            DialogState::Updated(_, request, handle) => {
                // RFC 3261 §14.2: ours is on its way, so theirs is refused; the stack does not.
                if ours_on_its_way {
                    let _ = handle.reply(StatusCode::RequestPending).await;
                } else {
                    self.on_offer(core, &request, handle, line).await;
                }
                None
            }
            DialogState::Confirmed(..) => {
                self.on_confirmed(core, line).await;
                None
            }
            DialogState::Terminated(_, TerminatedReason::ProxyAuthRequired) => {
                core.bye_after_challenge(&self.dialog).await;
                Some(End::AuthFailed)
            }
            DialogState::Terminated(_, reason) => Some(terminated(reason, &line.bye_cause)),
            DialogState::Options(_, _, handle) => {
                let _ = handle
                    .respond(
                        StatusCode::OK,
                        Some(vec![Header::Allow(ALLOW.into())]),
                        None,
                    )
                    .await;
                None
            }
            DialogState::Info(_, _, handle) => {
                let _ = handle.reply(StatusCode::OK).await;
                None
            }
            DialogState::Refer(_, _, handle)
            | DialogState::Message(_, _, handle)
            | DialogState::Notify(_, _, handle)
            | DialogState::Publish(_, _, handle) => {
                let allow = Some(vec![Header::Allow(ALLOW.into())]);
                let _ = handle
                    .respond(StatusCode::MethodNotAllowed, allow, None)
                    .await;
                None
            }
            _ => None,
        }
    }

    /// The peer's re-INVITE or UPDATE.
    async fn on_offer(
        &mut self,
        core: &Core,
        request: &Request,
        handle: TransactionHandle,
        line: &Line,
    ) {
        if matches!(self.theirs, Theirs::Open { .. }) {
            // RFC 3261 §14.2: an earlier one is still open.
            let _ = handle.reply(StatusCode::RequestPending).await;
            return;
        }
        // §14.1: who sends another has the answer to the one before. Its ACK may be lost, or come to us by
        // another way than this.
        self.acknowledged(core, line).await;
        let invite = request.method == Method::Invite;
        let (fields, agreed) = match refresh::answer(&request.headers) {
            Answer::With(fields, agreed) => (fields, agreed),
            Answer::TooBrief(fields) => {
                // RFC 4028 §6.
                let status = StatusCode::SessionIntervalTooSmall;
                let _ = handle.respond(status, Some(fields), None).await;
                return;
            }
        };
        let Some(sdp) = sdp_of(&request.headers, &request.body) else {
            // RFC 3261 §21.4.13.
            let _ = handle
                .respond(StatusCode::UnsupportedMediaType, None, None)
                .await;
            return;
        };
        if sdp.is_empty() && !invite {
            // A bodyless UPDATE refreshes the session and negotiates nothing (RFC 4028 §7.4).
            let _ = handle.respond(StatusCode::OK, Some(fields), None).await;
            self.agree(core, agreed);
            return;
        }
        let cseq = request
            .cseq_header()
            .and_then(|cseq| cseq.seq())
            .unwrap_or_default();
        // A refresh, or a re-INVITE that asks us to offer: what we have, unchanged (RFC 4028 §7.4,
        // RFC 3261 §14.2). On hold that would keep the hold for ever: then the gateway writes our offer.
        let unchanged = if sdp.is_empty() {
            !sdp::is_held(&self.local)
        } else {
            sdp::same_session(&sdp, &self.remote)
        };
        if unchanged {
            let headers = [sdp_type(), fields].concat();
            let answered = handle
                .respond(StatusCode::OK, Some(headers), Some(self.local.clone()))
                .await;
            if sdp.is_empty() && answered.is_ok() {
                self.theirs = Theirs::Asked { cseq };
            }
            self.agree(core, agreed);
            return;
        }
        let offer = core.next_offer();
        self.theirs = Theirs::Open {
            offer,
            handle,
            invite: invite.then_some(cseq),
            sdp: sdp.clone(),
            until: Instant::now() + core.timers.reoffer(),
            fields,
            agreed,
        };
        core.tell(Event::Reoffer {
            call: line.call,
            offer,
            sdp,
        })
        .await;
    }

    /// The gateway's answer to the peer's offer; whether the offer was accepted.
    async fn reanswer(
        &mut self,
        core: &Core,
        which: OfferId,
        answer: Result<Vec<u8>, u16>,
        line: &Line,
    ) -> bool {
        if !matches!(&self.theirs, Theirs::Open { offer, .. } if *offer == which) {
            return false;
        }
        let local = match answer {
            Err(status) => {
                let status = if (400..=699).contains(&status) {
                    status
                } else {
                    488
                };
                self.refuse(status.into()).await;
                return false;
            }
            Ok(local) => local,
        };
        let Theirs::Open {
            offer,
            handle,
            invite,
            sdp,
            fields,
            agreed,
            ..
        } = std::mem::replace(&mut self.theirs, Theirs::None)
        else {
            return false;
        };
        self.agree(core, agreed);
        let headers = [sdp_type(), fields].concat();
        if handle
            .respond(StatusCode::OK, Some(headers), Some(local.clone()))
            .await
            .is_err()
        {
            return false;
        }
        match invite {
            Some(cseq) if sdp.is_empty() => {
                self.local = local;
                self.theirs = Theirs::Asked { cseq };
            }
            Some(cseq) => {
                self.theirs = Theirs::Accepted {
                    offer,
                    cseq,
                    local,
                    remote: sdp,
                }
            }
            // An UPDATE has no ACK.
            None => {
                self.local = local;
                self.remote = sdp;
                core.tell(Event::ReofferDone {
                    call: line.call,
                    offer,
                })
                .await;
            }
        }
        true
    }

    async fn refuse(&mut self, status: StatusCode) {
        if let Theirs::Open { handle, .. } = std::mem::replace(&mut self.theirs, Theirs::None) {
            let _ = handle.reply(status).await;
        }
    }

    /// The stack says Confirmed after many things; only the ACK of the re-INVITE we accepted counts.
    async fn on_confirmed(&mut self, core: &Core, line: &Line) {
        let acked = self
            .dialog
            .last_remote_ack()
            .and_then(|ack| ack.cseq_header().and_then(|c| c.seq()).ok());
        if matches!(self.theirs, Theirs::Asked { cseq } if acked == Some(cseq)) {
            self.theirs = Theirs::None;
            let ack = self.dialog.last_remote_ack();
            let sdp = ack.and_then(|ack| sdp_of(&ack.headers, &ack.body));
            if let Some(sdp) = sdp.filter(|sdp| !sdp.is_empty())
                && !sdp::same_session(&sdp, &self.remote)
            {
                self.remote.clone_from(&sdp);
                let call = line.call;
                core.tell(Event::Remote { call, sdp }).await;
            }
            return;
        }
        if matches!(self.theirs, Theirs::Accepted { cseq, .. } if acked == Some(cseq)) {
            self.acknowledged(core, line).await;
        }
    }

    /// The peer has our 200 to its offer.
    async fn acknowledged(&mut self, core: &Core, line: &Line) {
        let theirs = std::mem::replace(&mut self.theirs, Theirs::None);
        if let Theirs::Accepted {
            offer,
            local,
            remote,
            ..
        } = theirs
        {
            self.local = local;
            self.remote = remote;
            let call = line.call;
            core.tell(Event::ReofferDone { call, offer }).await;
        }
    }

    async fn hang_up(&mut self, core: &Core, cause: Option<u16>) -> End {
        // RFC 3261 §15.1.2: what is still open is answered 487.
        self.refuse(StatusCode::RequestTerminated).await;
        core.bye(&self.dialog, cause).await;
        End::LocalBye
    }
}

pub(super) fn random() -> [u8; 2] {
    let mut bytes = [0; 2];
    // Without randomness both sides may collide once more; the attempts are counted.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

/// The stack names the side that acted, whoever we are; when we act we say so ourselves.
pub(super) fn terminated(reason: TerminatedReason, bye_cause: &ByeCause) -> End {
    match reason {
        TerminatedReason::UacBye | TerminatedReason::UasBye => End::RemoteBye {
            q850: bye_cause.get().copied(),
        },
        TerminatedReason::UacCancel => End::Cancelled,
        TerminatedReason::Timeout => End::NoAck,
        TerminatedReason::ProxyAuthRequired => End::AuthFailed,
        TerminatedReason::UacBusy | TerminatedReason::UasBusy | TerminatedReason::UasDecline => {
            End::Internal("the stack refused the call by itself".into())
        }
        TerminatedReason::ProxyError(status)
        | TerminatedReason::UacOther(status)
        | TerminatedReason::UasOther(status) => End::Refused {
            status: status.code(),
            reason: None,
            q850: None,
            retry_after: None,
        },
    }
}
