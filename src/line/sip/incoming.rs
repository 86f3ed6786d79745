//! An incoming call until our answer is acknowledged.

use std::sync::Arc;

use rsipstack::dialog::dialog::{DialogState, DialogStateReceiver};
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Header, StatusCode};
use tokio::time::{Instant, sleep_until};

use super::adapter::{Command, Core, Line};
use super::message::{q850, sdp_of, sdp_type};
use super::talk::{Talk, talk, terminated};
use super::timers::UNANSWERED;
use super::{End, Event, ReAnswer, refresh};

/// The whole life of an incoming call. `first` is its `Incoming` event, `sdp` the offer in it.
pub(super) async fn run(
    core: Arc<Core>,
    dialog: InviteDialog,
    mut states: DialogStateReceiver,
    mut line: Line,
    first: Event,
    sdp: Vec<u8>,
    timer: refresh::Answer,
) {
    core.tell(first).await;
    let (fields, agreed) = match timer {
        refresh::Answer::With(fields, agreed) => (fields, agreed),
        refresh::Answer::TooBrief(_) => (Vec::new(), None),
    };
    let why = match ringing(&core, &dialog, &mut states, &mut line, fields).await {
        Err(end) => end,
        Ok(local) => {
            // RFC 3261 §13.2.1: the answer to the offer in our 200 comes in the ACK.
            let remote = if sdp.is_empty() {
                body_of_ack(&dialog)
            } else {
                sdp
            };
            core.tell(Event::Answered {
                call: line.call,
                sdp: remote.clone(),
            })
            .await;
            let mut standing = Talk::new(dialog.clone(), local, remote, false);
            standing.agree(&core, agreed);
            talk(&core, standing, states, &mut line).await
        }
    };
    core.finish(line.call, Some(dialog), why).await;
}

fn body_of_ack(dialog: &InviteDialog) -> Vec<u8> {
    dialog
        .last_remote_ack()
        .and_then(|ack| sdp_of(&ack.headers, &ack.body))
        .unwrap_or_default()
}

/// Until the ACK of our 200: then the SDP we answered with.
async fn ringing(
    core: &Core,
    dialog: &InviteDialog,
    states: &mut DialogStateReceiver,
    line: &mut Line,
    fields: Vec<Header>,
) -> Result<Vec<u8>, End> {
    let deadline = Instant::now() + UNANSWERED;
    let mut answer: Option<Vec<u8>> = None;
    // RFC 3261 §15: no BYE by the callee before the ACK. The stack ends the wait after 64·T1.
    let mut hang_up: Option<Option<u16>> = None;
    loop {
        tokio::select! {
            biased;
            state = states.recv() => match state {
                Some(DialogState::Confirmed(..)) => {
                    if let Some(cause) = hang_up {
                        core.bye(dialog, cause).await;
                        return Err(End::LocalBye);
                    }
                    return Ok(answer.unwrap_or_default());
                }
                Some(DialogState::Terminated(_, reason)) => {
                    let end = terminated(reason, &line.bye_cause);
                    return Err(if hang_up.is_some() { End::LocalBye } else { end });
                }
                Some(_) => {}
                None => return Err(End::Internal("the stack dropped the dialog".into())),
            },
            command = line.commands.recv() => match command {
                Some(Command::Ring) if answer.is_none() => {
                    let _ = dialog.ringing(None, None);
                }
                Some(Command::Answer(sdp)) if answer.is_none() => {
                    // An error means that the transaction has just ended: the state will tell.
                    let headers = [sdp_type(), fields.clone()].concat();
                    let _ = dialog.accept(Some(headers), Some(sdp.clone()));
                    answer = Some(sdp);
                }
                Some(Command::Reject { status, q850: cause }) if answer.is_none() => {
                    let status = if (400..=699).contains(&status) { status } else { 480 };
                    let _ = dialog.reject(Some(status.into()), cause.map(q850));
                    return Err(End::Refused { status, reason: None, q850: cause, retry_after: None });
                }
                Some(Command::Hangup { q850: cause }) if answer.is_none() => {
                    let _ = dialog.reject(Some(StatusCode::TemporarilyUnavailable), cause.map(q850));
                    return Err(End::Cancelled);
                }
                Some(Command::Hangup { q850: cause }) => hang_up = hang_up.or(Some(cause)),
                Some(Command::Reoffer { reply, .. }) => {
                    let _ = reply.send(ReAnswer::Gone);
                }
                Some(_) => {}
                None => return Err(End::Internal("the call lost its owner".into())),
            },
            () = sleep_until(deadline), if answer.is_none() => {
                let _ = dialog.reject(Some(StatusCode::TemporarilyUnavailable), None);
                return Err(End::SetupTimeout);
            }
        }
    }
}
