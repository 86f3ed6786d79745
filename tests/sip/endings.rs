//! How calls end when the peer, the network or both of us at once end them: nothing is left of any.

use faxpost::line::sip::{CallId, End, Event, SipConfig, SipLine};

use crate::kit::{ANSWER, Message, OFFER, Peer, Us, dial, us_with};
use crate::peers::{hang_up, with_peer};

/// The CANCEL of an INVITE: its head with another method (RFC 3261 §9.1).
fn cancel(invite: &str) -> String {
    let (head, _) = invite.split_once("Contact").unwrap();
    format!(
        "{}Content-Length: 0\r\n\r\n",
        head.replace("INVITE", "CANCEL")
    )
}

async fn incoming(us: &mut Us) -> CallId {
    match us.event().await {
        Event::Incoming { call, .. } => call,
        other => panic!("{other:?} instead of Incoming"),
    }
}

#[tokio::test]
async fn a_cancel_in_one_breath_with_its_invite_ends_the_call() {
    let (mut us, peer) = with_peer().await;
    let invite = peer.invite("breath", "", OFFER);
    peer.send(&invite).await;
    peer.send(&cancel(&invite)).await;
    let call = incoming(&mut us).await;
    // The gateway may answer before it hears of it.
    us.line.answer(call, ANSWER.into());
    let refusal = peer.response(487, "INVITE").await;
    peer.send(&peer.in_dialog(&refusal, "ACK", 1, "breath", ""))
        .await;
    assert_eq!(us.ended().await, End::Cancelled);
    us.nothing_left().await;
}

#[tokio::test]
async fn a_cancel_that_crosses_our_200_changes_nothing_until_the_bye() {
    let (mut us, peer) = with_peer().await;
    let invite = peer.invite("cross", "", OFFER);
    peer.send(&invite).await;
    let call = incoming(&mut us).await;
    us.line.answer(call, ANSWER.into());
    let ok = peer.response(200, "INVITE").await;
    peer.send(&cancel(&invite)).await;
    // RFC 3261 §9.2: no effect on what has a final answer. The caller takes the 200 and hangs up.
    peer.send(&peer.in_dialog(&ok, "ACK", 1, "ackcross", ""))
        .await;
    assert_eq!(us.answered().await.0, call);
    peer.send(&peer.in_dialog(&ok, "BYE", 2, "byecross", ""))
        .await;
    peer.response(200, "BYE").await;
    assert_eq!(us.ended().await, End::RemoteBye { q850: None });
    us.nothing_left().await;
}

#[tokio::test]
async fn a_bye_with_an_old_cseq_is_refused_and_the_next_one_taken() {
    let (mut us, peer) = with_peer().await;
    let (call, ok) = peer.call(&mut us, "old").await;
    peer.send(&peer.in_dialog(&ok, "OPTIONS", 9, "nine", ""))
        .await;
    peer.response(200, "OPTIONS").await;
    // RFC 3261 §12.2.2.
    peer.send(&peer.in_dialog(&ok, "BYE", 4, "four", "")).await;
    peer.response(500, "BYE").await;
    assert_eq!((us.line.calls(), us.line.dialogs()), (1, 1));
    peer.send(&peer.in_dialog(&ok, "BYE", 10, "ten", "")).await;
    peer.response(200, "BYE").await;
    let why = End::RemoteBye { q850: None };
    assert_eq!(us.event().await, Event::Ended { call, why });
    us.nothing_left().await;
}

#[tokio::test]
async fn byes_that_cross_end_the_call_once() {
    let (mut us, peer) = with_peer().await;
    let (call, ok) = peer.call(&mut us, "both").await;
    us.line.hangup(call, None);
    let ours = peer.request("BYE").await;
    peer.send(&peer.in_dialog(&ok, "BYE", 2, "theirs", ""))
        .await;
    // Either is true: the call is over, or no longer known.
    loop {
        let answer = peer.receive().await;
        if let Some(status) = answer.status() {
            assert!([200, 481].contains(&status), "{}", answer.start_line());
            break;
        }
    }
    peer.answer(&ours, "200 OK", "", "").await;
    let why = us.ended().await;
    assert!(
        matches!(why, End::LocalBye | End::RemoteBye { .. }),
        "{why:?}"
    );
    us.nothing_left().await;
}

#[tokio::test]
async fn a_bye_that_nobody_answers_ends_the_call_all_the_same() {
    let (mut us, peer) = with_peer().await;
    let (call, _) = peer.call(&mut us, "gone").await;
    us.line.hangup(call, None);
    peer.request("BYE").await;
    assert_eq!(us.ended().await, End::LocalBye);
    us.nothing_left().await;
}

/// One call of each kind of ending, by its number.
async fn one(us: &mut Us, peer: &Peer, number: usize) {
    let id = format!("n{number}");
    match number % 8 {
        // Ours: refused, cancelled while it rings, answered and hung up by either side.
        0 => {
            us.line.dial(dial()).unwrap();
            let invite = peer.request("INVITE").await;
            peer.answer(&invite, "486 Busy Here", "", "").await;
            assert!(matches!(us.ended().await, End::Refused { .. }));
        }
        1 => {
            let call = us.line.dial(dial()).unwrap();
            let invite = peer.request("INVITE").await;
            peer.answer(&invite, "180 Ringing", "", "").await;
            us.event().await;
            us.line.hangup(call, None);
            let cancel = peer.request("CANCEL").await;
            peer.answer(&cancel, "200 OK", "", "").await;
            peer.answer(&invite, "487 Request Terminated", "", "").await;
            assert_eq!(us.ended().await, End::Cancelled);
        }
        2 => {
            let call = us.line.dial(dial()).unwrap();
            peer.take_call().await;
            us.answered().await;
            bye_by_us(us, peer, call).await;
        }
        3 => {
            us.line.dial(dial()).unwrap();
            let invite = peer.take_call().await;
            us.answered().await;
            peer.send(&peer.in_our_dialog(&invite, "BYE", 1, &id, "", ""))
                .await;
            assert!(matches!(us.ended().await, End::RemoteBye { .. }));
        }
        // Theirs: refused, cancelled, hung up by either side.
        4 => {
            peer.send(&peer.invite(&id, "", OFFER)).await;
            let call = incoming(us).await;
            us.line.reject(call, 404, None);
            peer.response(404, "INVITE").await;
            assert!(matches!(us.ended().await, End::Refused { .. }));
        }
        5 => {
            let invite = peer.invite(&id, "", OFFER);
            peer.send(&invite).await;
            let call = incoming(us).await;
            us.line.ring(call);
            peer.response(180, "INVITE").await;
            peer.send(&cancel(&invite)).await;
            assert_eq!(us.ended().await, End::Cancelled);
        }
        6 => {
            let (call, _) = peer.call(us, &id).await;
            bye_by_us(us, peer, call).await;
        }
        _ => {
            let (_, ok): (_, Message) = peer.call(us, &id).await;
            peer.send(&peer.in_dialog(&ok, "BYE", 2, &format!("b{id}"), ""))
                .await;
            assert!(matches!(us.ended().await, End::RemoteBye { .. }));
        }
    }
}

async fn bye_by_us(us: &mut Us, peer: &Peer, call: CallId) {
    us.line.hangup(call, None);
    let bye = peer.request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;
    assert_eq!(us.ended().await, End::LocalBye);
}

#[tokio::test]
async fn two_hundred_calls_of_every_ending_leave_no_call_and_no_dialog() {
    // Patient: a test that is stopped for a second must not meet 64·T1.
    let mut us = us_with(SipConfig {
        t1: std::time::Duration::from_millis(100),
        invites_per_second: 10_000,
        ..SipConfig::for_testing()
    })
    .await;
    let peer = Peer::new(us.addr()).await;
    us.trunk(&[peer.addr()], |_| {}).await;
    for number in 0..200 {
        one(&mut us, &peer, number).await;
        assert_eq!(us.line.calls(), 0, "after call {number}");
    }
    us.nothing_left().await;
    let (call, _) = peer.call(&mut us, "last").await;
    hang_up(&mut us, &peer, call).await;
}
