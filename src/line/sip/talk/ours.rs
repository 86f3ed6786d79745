//! Our re-INVITE: the offer that the gateway makes, and the refresh that the session's timer asks for.

use std::future::Future;
use std::pin::Pin;

use rsipstack::Result as StackResult;
use rsipstack::dialog::dialog::DialogState;
use rsipstack::sip::{Response, StatusCodeKind};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::adapter::Core;
use super::super::message::{sdp_of, sdp_type};
use super::super::refresh::{self, Clock};
use super::super::timers::GLARE_ATTEMPTS;
use super::super::{End, ReAnswer};
use super::{Talk, Theirs, random};

type InFlight = Pin<Box<dyn Future<Output = StackResult<Option<Response>>> + Send>>;

/// Our re-INVITE.
pub(super) struct Ours {
    sdp: Vec<u8>,
    /// It repeats what stands; nobody waits for it.
    refresh: bool,
    /// `None` once we gave it up and said so.
    reply: Option<oneshot::Sender<ReAnswer>>,
    attempt: u32,
    /// On its way: when we give up. Waiting after glare: when we try again.
    pub(super) until: Instant,
    pub(super) in_flight: Option<InFlight>,
}

/// The answer to our re-INVITE, if one is on its way.
pub(super) async fn in_flight(ours: &mut Option<Ours>) -> StackResult<Option<Response>> {
    match ours.as_mut().and_then(|o| o.in_flight.as_mut()) {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

impl Talk {
    /// Sends our re-INVITE.
    pub(super) fn offer(
        &self,
        core: &Core,
        sdp: Vec<u8>,
        reply: Option<oneshot::Sender<ReAnswer>>,
        attempt: u32,
    ) -> Ours {
        let (dialog, body) = (self.dialog.clone(), sdp.clone());
        let mut headers = sdp_type();
        headers.extend(self.clock.iter().flat_map(Clock::in_request));
        let in_flight: InFlight =
            Box::pin(async move { dialog.reinvite(Some(headers), Some(body)).await });
        let until = Instant::now() + core.timers.reinvite();
        Ours {
            sdp,
            refresh: reply.is_none(),
            reply,
            attempt,
            until,
            in_flight: Some(in_flight),
        }
    }

    /// What came of our re-INVITE: nothing left of it, a pause after glare, or the call's end.
    pub(super) async fn on_answer(
        &mut self,
        core: &Core,
        answer: StackResult<Option<Response>>,
        mut mine: Ours,
    ) -> Result<Option<Ours>, End> {
        let response = match answer {
            Ok(Some(response)) => response,
            // The dialog is gone, or the re-INVITE was challenged; its state will tell.
            Ok(None) => {
                mine.say(ReAnswer::Gone);
                return match self.dialog.state() {
                    DialogState::Terminated(..) => Ok(None),
                    _ => Err(self.hang_up(core, None).await),
                };
            }
            Err(_) => {
                mine.say(ReAnswer::Rejected { status: 503 });
                return Ok(None);
            }
        };
        let status = response.status_code.code();
        if response.status_code.kind() == StatusCodeKind::Successful {
            self.agree(core, refresh::agreed_by(&response));
            if mine.refresh {
                return Ok(None);
            }
            if mine.reply.is_none() {
                // Accepted after we gave it up: the two ends no longer agree on the media.
                self.hang_up(core, None).await;
                return Err(End::Internal("a re-INVITE was accepted too late".into()));
            }
            self.local = std::mem::take(&mut mine.sdp);
            self.remote = sdp_of(&response.headers, &response.body).unwrap_or_default();
            mine.say(ReAnswer::Accepted {
                sdp: self.remote.clone(),
            });
            return Ok(None);
        }
        match status {
            // RFC 3261 §14.1, §21.4.27.
            491 if mine.attempt < GLARE_ATTEMPTS && (mine.refresh || mine.reply.is_some()) => {
                let dice = u16::from_ne_bytes(random());
                mine.until = Instant::now() + core.timers.glare(self.owner, dice);
                mine.in_flight = None;
                Ok(Some(mine))
            }
            491 => {
                mine.say(ReAnswer::Glare);
                Ok(None)
            }
            // RFC 4028 §7.3: asked for too brief an interval after all.
            422 if mine.attempt < GLARE_ATTEMPTS => {
                match (refresh::least_of(&response), self.clock) {
                    (Some(seconds), Some(clock)) => {
                        self.agree(core, Some(clock.raised(seconds)));
                        Ok(Some(self.offer(
                            core,
                            mine.sdp,
                            mine.reply,
                            mine.attempt + 1,
                        )))
                    }
                    _ => {
                        mine.say(ReAnswer::Rejected { status });
                        Ok(None)
                    }
                }
            }
            // RFC 4028 §10: a refresh that nobody answers ends the session.
            408 if mine.refresh => {
                self.hang_up(core, None).await;
                Err(End::SessionExpired)
            }
            // RFC 3261 §12.2.1.2: the peer has no such dialog any more.
            481 => {
                mine.say(ReAnswer::Gone);
                self.hang_up(core, None).await;
                Err(End::SessionExpired)
            }
            _ => {
                mine.say(ReAnswer::Rejected { status });
                Ok(None)
            }
        }
    }

    pub(super) fn on_deadline(&self, core: &Core, ours: Option<Ours>) -> Option<Ours> {
        let mut mine = ours?;
        if mine.in_flight.is_some() && mine.refresh {
            // The session's own end comes, unless an answer still does.
            mine.until = Instant::now() + core.timers.t1x64() * 6;
            return Some(mine);
        }
        if mine.in_flight.is_some() {
            // Kept, so that a late 200 is acknowledged and noticed.
            mine.say(ReAnswer::Rejected { status: 408 });
            mine.until = Instant::now() + core.timers.t1x64() * 6;
            return Some(mine);
        }
        let reply = mine.reply.take();
        if !matches!(self.theirs, Theirs::None) {
            // The peer's offer came during the pause: it goes first.
            if let Some(reply) = reply {
                let _ = reply.send(ReAnswer::Glare);
            }
            return None;
        }
        Some(self.offer(core, mine.sdp, reply, mine.attempt + 1))
    }

    /// Our refresh: what stands, unchanged. It waits while an offer is open.
    pub(super) fn refresh(&mut self, core: &Core, ours: Option<Ours>) -> Option<Ours> {
        let busy = ours.is_some() || !matches!(self.theirs, Theirs::None);
        if let Some(clock) = &mut self.clock {
            // Should it fail, it is tried again well before the end.
            clock.put_off(Instant::now() + core.timers.t1x64() / 4);
        }
        if busy {
            return ours;
        }
        Some(self.offer(core, self.local.clone(), None, 1))
    }
}

impl Ours {
    /// The peer's offer was accepted while this one waited.
    pub(super) fn give_way(mut self) {
        self.say(ReAnswer::Glare);
    }

    fn say(&mut self, answer: ReAnswer) {
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(answer);
        }
    }
}
