//! Session timers (RFC 4028), both roles, against a peer of our own words. A second lasts 20 ms here.

use std::time::Duration;

use faxpost::line::sip::{CallId, End, Event, ReAnswer, SipLine};

use crate::kit::*;

/// Half of it is 0.9 s, and without a refresh the session is over after 1.2 s.
const BY_US: &str = "Supported: timer\r\nRequire: timer\r\nSession-Expires: 90;refresher=uac\r\n";
const BY_PEER: &str = "Supported: timer\r\nSession-Expires: 90;refresher=uas\r\n";

async fn with_timers() -> (Us, Peer) {
    let us = us().await;
    let peer = Peer::new(us.addr()).await;
    us.trunk(&[peer.addr()], |trunk| {
        trunk.session_expires = Some(Duration::from_secs(1800));
    })
    .await;
    (us, peer)
}

/// We call; the peer's 200 carries `fields`.
async fn call(us: &mut Us, peer: &Peer, fields: &str) -> (CallId, Message) {
    let call = us.line.dial(dial()).unwrap();
    let invite = peer.request("INVITE").await;
    peer.answer(&invite, "200 OK", fields, ANSWER).await;
    peer.request("ACK").await;
    assert_eq!(us.answered().await.0, call);
    (call, invite)
}

/// Our refresh, answered: its body and fields are as they must be.
async fn refreshed(peer: &Peer, body: &str, status: &str, fields: &str) {
    let refresh = peer.request("INVITE").await;
    assert_eq!(refresh.body(), body, "what stands, unchanged");
    assert_eq!(refresh.header("Session-Expires"), Some("90;refresher=uac"));
    assert!(refresh.header("Supported").unwrap().contains("timer"));
    assert!(refresh.header("Content-Type").is_some());
    let sdp = if status.starts_with("200") {
        ANSWER
    } else {
        ""
    };
    peer.answer(&refresh, status, fields, sdp).await;
    peer.request("ACK").await;
}

async fn we_hang_up(us: &mut Us, peer: &Peer) {
    let bye = peer.request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;
    assert_eq!(us.ended().await, End::SessionExpired);
    us.nothing_left().await;
}

#[tokio::test]
async fn we_refresh_until_the_peer_no_longer_knows_the_call() {
    let (mut us, peer) = with_timers().await;
    let (_, invite) = call(&mut us, &peer, BY_US).await;
    assert_eq!(invite.header("Session-Expires"), Some("1800"));
    assert_eq!(invite.header("Min-SE"), Some("90"));
    assert!(invite.header("Supported").unwrap().contains("timer"));
    refreshed(&peer, OFFER, "200 OK", BY_US).await;
    // Glare: it is tried again, within the interval.
    refreshed(&peer, OFFER, "491 Request Pending", "").await;
    refreshed(&peer, OFFER, "200 OK", BY_US).await;
    refreshed(&peer, OFFER, "481 Call/Transaction Does Not Exist", "").await;
    we_hang_up(&mut us, &peer).await;
}

#[tokio::test]
async fn a_refresh_repeats_t38_once_the_call_is_a_fax() {
    let (mut us, peer) = with_timers().await;
    let (call, _) = call(&mut us, &peer, BY_US).await;
    let (answer, ()) = tokio::join!(us.line.reoffer(call, FAX_ANSWER.into()), async {
        let reinvite = peer.request("INVITE").await;
        assert_eq!(reinvite.header("Session-Expires"), Some("90;refresher=uac"));
        peer.answer(&reinvite, "200 OK", BY_US, FAX_OFFER).await;
        peer.request("ACK").await;
    });
    assert!(matches!(answer, ReAnswer::Accepted { .. }));
    refreshed(&peer, FAX_ANSWER, "200 OK", BY_US).await;
    us.line.hangup(call, None);
    let bye = peer.request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;
    assert_eq!(us.ended().await, End::LocalBye);
}

#[tokio::test]
async fn the_peer_refreshes_and_when_it_stops_we_hang_up() {
    let (mut us, peer) = with_timers().await;
    let (_, invite) = call(&mut us, &peer, BY_PEER).await;
    let fields = "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n";
    let refresh = peer.in_our_dialog(&invite, "INVITE", 9, "refresh", fields, ANSWER);
    peer.send(&refresh).await;
    let ok = peer.response(200, "INVITE").await;
    assert_eq!(ok.header("Session-Expires"), Some("90;refresher=uac"));
    assert_eq!(ok.header("Require"), Some("timer"));
    assert_eq!(ok.body(), OFFER, "what stands, unchanged");
    peer.send(&peer.in_our_dialog(&invite, "ACK", 9, "ack", "", ""))
        .await;
    // Too brief for us: nothing changes by it.
    let fields = "Supported: timer\r\nSession-Expires: 30\r\n";
    peer.send(&peer.in_our_dialog(&invite, "UPDATE", 10, "brief", fields, ""))
        .await;
    assert_eq!(
        peer.response(422, "UPDATE").await.header("Min-SE"),
        Some("90")
    );
    we_hang_up(&mut us, &peer).await;
}

#[tokio::test]
async fn a_422_is_met_with_a_longer_interval() {
    let (mut us, peer) = with_timers().await;
    let call = us.line.dial(dial()).unwrap();
    let first = peer.request("INVITE").await;
    peer.answer(
        &first,
        "422 Session Interval Too Small",
        "Min-SE: 3600\r\n",
        "",
    )
    .await;
    peer.request("ACK").await;
    let second = peer.request("INVITE").await;
    assert_eq!(second.header("Session-Expires"), Some("3600"));
    assert_eq!(second.header("Min-SE"), Some("3600"));
    // A peer without session timers: there is none, and nobody refreshes.
    peer.answer(&second, "200 OK", "", ANSWER).await;
    peer.request("ACK").await;
    assert_eq!(us.answered().await.0, call);
    us.line.hangup(call, None);
    let bye = peer.request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;
    assert_eq!(us.ended().await, End::LocalBye);
}

#[tokio::test]
async fn a_caller_may_ask_us_to_refresh_but_not_too_often() {
    let (mut us, peer) = with_timers().await;
    let brief = "Supported: timer\r\nSession-Expires: 60\r\n";
    peer.send(&peer.invite("brief", brief, OFFER)).await;
    let refusal = peer.response(422, "INVITE").await;
    assert_eq!(refusal.header("Min-SE"), Some("90"));

    let fields = "Supported: timer\r\nSession-Expires: 90;refresher=uas\r\n";
    peer.send(&peer.invite("ours", fields, OFFER)).await;
    let Event::Incoming { call, .. } = us.event().await else {
        panic!("no Incoming")
    };
    us.line.answer(call, ANSWER.into());
    let ok = peer.response(200, "INVITE").await;
    assert_eq!(ok.header("Session-Expires"), Some("90;refresher=uas"));
    assert_eq!(ok.header("Require"), None);
    peer.send(&peer.in_dialog(&ok, "ACK", 1, "ackours", ""))
        .await;
    us.answered().await;
    // The role is that of the refresh itself: who sends it is its UAC.
    let refresh = peer.request("INVITE").await;
    assert_eq!(refresh.header("Session-Expires"), Some("90;refresher=uac"));
    assert_eq!(refresh.body(), ANSWER);
    // Nobody answers it: the session is over.
    we_hang_up(&mut us, &peer).await;
}
