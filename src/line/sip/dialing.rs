//! An outgoing call until it is answered: the trunk's targets in order, each under our own clock.

use std::sync::Arc;

use rsipstack::Error as StackError;
use rsipstack::dialog::dialog::{DialogState, DialogStateReceiver};
use rsipstack::dialog::invitation::InviteOption;
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Auth, Header, Response, Scheme, StatusCode, Transport, Uri};
use rsipstack::transport::SipAddr;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

use super::adapter::{Command, Core, Line, credential};
use super::inspector::{made_up, private_route};
use super::message::{cause_of, retry_after, sdp_of};
use super::refresh::{self, Agreed};
use super::talk::{Talk, talk};
use super::{CallId, Dial, End, Event, Proto, ReAnswer, Target, Trunk};

/// What became of one target.
enum Attempt {
    Answered {
        dialog: InviteDialog,
        states: DialogStateReceiver,
        sdp: Vec<u8>,
        timer: Option<Agreed>,
    },
    /// 422: the same target wants at least this session interval (RFC 4028 §7.3).
    TooBrief(u32),
    /// The next target may be tried: this one has no call of ours, ringing or up.
    Next(End),
    Over(End),
}

/// The whole life of an outgoing call.
pub(super) async fn run(
    core: Arc<Core>,
    trunk: Arc<Trunk>,
    dial: Dial,
    headers: Vec<Header>,
    mut line: Line,
) {
    let mut why = End::Unreachable {
        error: "the trunk has no address to call".into(),
    };
    let mut least = None;
    for target in &core.resting.order(&trunk) {
        let mut attempted = attempt(&core, &trunk, target, &dial, &headers, least, &mut line).await;
        if let Attempt::TooBrief(seconds) = attempted {
            least = Some(seconds);
            attempted = attempt(&core, &trunk, target, &dial, &headers, least, &mut line).await;
        }
        match attempted {
            Attempt::TooBrief(_) => {
                why = End::Internal("the trunk goes on raising the session interval".into());
                break;
            }
            Attempt::Answered {
                dialog,
                states,
                sdp,
                timer,
            } => {
                core.resting.worked(target.addr);
                core.tell(Event::Answered {
                    call: line.call,
                    sdp: sdp.clone(),
                })
                .await;
                let mut standing = Talk::new(dialog.clone(), dial.sdp, sdp, true);
                standing.agree(&core, timer);
                let why = talk(&core, standing, states, &mut line).await;
                return core.finish(line.call, Some(dialog), why).await;
            }
            Attempt::Next(end) => {
                let asked = match &end {
                    End::Refused { retry_after, .. } => *retry_after,
                    _ => None,
                };
                core.resting.failed(target.addr, asked);
                why = end;
            }
            Attempt::Over(end) => {
                why = end;
                break;
            }
        }
    }
    core.finish(line.call, None, why).await;
}

/// How far an INVITE has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Silent,
    Trying,
    Ringing,
}

async fn attempt(
    core: &Arc<Core>,
    trunk: &Trunk,
    target: &Target,
    dial: &Dial,
    headers: &[Header],
    least: Option<u32>,
    line: &mut Line,
) -> Attempt {
    let start = Instant::now();
    let reached = tokio::select! {
        reached = core.reach(target, trunk.connect_timeout) => reached,
        () = hung_up(&mut line.commands) => return Attempt::Over(End::Cancelled),
    };
    if let Err(error) = reached {
        return Attempt::Next(End::Unreachable { error });
    }

    let sip_id = core.new_sip_id();
    core.name_call(line.call, &sip_id);
    let (sender, mut states) = core.layer.new_dialog_state_channel();
    let mut headers = headers.to_vec();
    if let Some(interval) = trunk.session_expires {
        let seconds = u32::try_from(interval.as_secs()).unwrap_or(u32::MAX);
        headers.extend(refresh::in_invite(seconds, least));
    }
    let option = invite(core, trunk, target, dial, headers, sip_id);
    let layer = Arc::clone(&core.layer);
    // Dropped before its end, this future ends the INVITE by itself: retransmissions stop before a
    // provisional answer, CANCEL after one, BYE should a 200 cross it (RFC 3261 §9.1).
    let mut invite = Box::pin(async move { layer.do_invite(option, sender).await });

    let mut stage = Stage::Silent;
    let mut deadline = start + trunk.connect_timeout.min(trunk.setup_timeout);
    let mut early = Vec::new();
    let result = loop {
        tokio::select! {
            biased;
            result = &mut invite => break result,
            Some(state) = states.recv() => {
                let reached = progress(core, line.call, &state, &mut early).await;
                if reached > stage {
                    stage = reached;
                    deadline = match stage {
                        Stage::Ringing => Instant::now() + trunk.ring_timeout,
                        _ => start + trunk.setup_timeout,
                    };
                }
            }
            () = hung_up(&mut line.commands) => return Attempt::Over(End::Cancelled),
            () = sleep_until(deadline) => return timed_out(target, stage),
        }
    };
    while let Ok(state) = states.try_recv() {
        // What follows belongs to the talk, a BYE that is already here above all.
        if matches!(state, DialogState::Confirmed(..)) {
            break;
        }
        stage = stage.max(progress(core, line.call, &state, &mut early).await);
    }
    match result {
        Ok((dialog, Some(response))) => {
            // By now the peer may have hung up again; that is for the talk to find out.
            if response.status_code == StatusCode::OK {
                // Some peers describe their media in a 183 only.
                let sdp = sdp_of(&response.headers, &response.body)
                    .filter(|sdp| !sdp.is_empty())
                    .unwrap_or(early);
                return Attempt::Answered {
                    dialog,
                    states,
                    sdp,
                    timer: refresh::agreed_by(&response),
                };
            }
            if response.status_code.code() == 422
                && let Some(seconds) = refresh::least_of(&response)
            {
                return Attempt::TooBrief(seconds);
            }
            refused(target, stage, &response)
        }
        Ok((_, None)) => timed_out(target, stage),
        Err(StackError::DialogError(
            _,
            _,
            StatusCode::Unauthorized | StatusCode::ProxyAuthenticationRequired,
        )) => Attempt::Over(End::AuthFailed),
        Err(e) => Attempt::Over(unreachable(&e)),
    }
}

/// Tells progress, and how far the INVITE has come by it.
async fn progress(core: &Core, call: CallId, state: &DialogState, early: &mut Vec<u8>) -> Stage {
    let response = match state {
        DialogState::Early(_, response) => response,
        DialogState::Trying(_) => return Stage::Trying,
        _ => return Stage::Silent,
    };
    let sdp = sdp_of(&response.headers, &response.body).filter(|sdp| !sdp.is_empty());
    if let Some(sdp) = &sdp {
        early.clone_from(sdp);
    }
    let status = response.status_code.code();
    core.tell(Event::Progress { call, status, sdp }).await;
    Stage::Ringing
}

/// Only a target that never spoke can be left for the next: another may have a call of ours.
fn timed_out(target: &Target, stage: Stage) -> Attempt {
    match stage {
        Stage::Silent => Attempt::Next(End::Unreachable {
            error: format!("no answer from {}", target.addr),
        }),
        Stage::Trying => Attempt::Over(End::SetupTimeout),
        Stage::Ringing => Attempt::Over(End::RingTimeout),
    }
}

fn refused(target: &Target, stage: Stage, response: &Response) -> Attempt {
    let status = response.status_code.code();
    if made_up(response) {
        // 503: the stream broke; 408: the stack's own timers B and C.
        return match stage {
            Stage::Trying | Stage::Ringing if status == 503 => Attempt::Over(End::TransportLost),
            _ => timed_out(target, stage),
        };
    }
    let end = End::Refused {
        status,
        reason: reason_of(response),
        q850: cause_of(&response.headers),
        retry_after: retry_after(response),
    };
    match status {
        401 | 407 => Attempt::Over(End::AuthFailed),
        // RFC 3261 §21.5.4: this server can't, another may.
        503 => Attempt::Next(end),
        _ => Attempt::Over(end),
    }
}

/// The reason phrase as the peer wrote it.
fn reason_of(response: &Response) -> Option<String> {
    match (&response.wire_reason, &response.status_code) {
        (Some(reason), _) => Some(reason.clone()),
        (None, StatusCode::Other(_, reason)) => Some(reason.clone()),
        (None, known) => Some(known.text().to_owned()),
    }
}

/// The stack's error without what it may quote from messages (numbers).
pub(super) fn unreachable(error: &StackError) -> End {
    let error = match error {
        StackError::TransportLayerError(text, addr) => format!("{addr}: {text}"),
        StackError::IoError(e) => e.to_string(),
        StackError::DnsResolutionError(text) => text.clone(),
        _ => "the INVITE could not be sent or its answer not be read".to_owned(),
    };
    End::Unreachable { error }
}

/// Waits for a hang-up; nothing else can be asked of a call that isn't answered.
async fn hung_up(commands: &mut UnboundedReceiver<Command>) {
    loop {
        match commands.recv().await {
            None | Some(Command::Hangup { .. }) => return,
            Some(Command::Reoffer { reply, .. }) => {
                let _ = reply.send(ReAnswer::Gone);
            }
            Some(_) => {}
        }
    }
}

pub(super) fn address(target: &Target) -> SipAddr {
    let transport = match target.proto {
        Proto::Udp => Transport::Udp,
        Proto::Tcp => Transport::Tcp,
        Proto::Tls => Transport::Tls,
    };
    SipAddr::new(transport, target.addr.into())
}

fn invite(
    core: &Core,
    trunk: &Trunk,
    target: &Target,
    dial: &Dial,
    headers: Vec<Header>,
    sip_id: String,
) -> InviteOption {
    let from = if dial.from.is_empty() {
        &trunk.user
    } else {
        &dial.from
    };
    InviteOption {
        caller: uri(from, &trunk.domain),
        caller_display_name: dial.display.clone(),
        callee: uri(&dial.to, &trunk.domain),
        contact: core.contact_of(trunk).uri,
        destination: Some(address(target)),
        content_type: Some(super::message::SDP.to_owned()),
        offer: Some(dial.sdp.clone()),
        credential: credential(trunk),
        headers: Some(headers),
        call_id: Some(sip_id),
        route_set: vec![private_route(&address(target))],
        ..InviteOption::default()
    }
}

pub(super) fn uri(user: &str, domain: &str) -> Uri {
    // `set_trunk` has refused what can't stand here; a name that doesn't parse as host and port is
    // written as it is.
    let host = domain
        .try_into()
        .unwrap_or_else(|_| rsipstack::sip::Domain::from(domain).into());
    Uri {
        scheme: Some(Scheme::Sip),
        auth: Some(Auth {
            user: user.to_owned(),
            password: None,
        }),
        host_with_port: host,
        ..Uri::default()
    }
}
