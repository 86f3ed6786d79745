//! A trunk of several servers: which one is asked, and when another.

use std::time::Duration;

use faxpost::line::sip::{End, SipLine};

use crate::kit::*;

/// Us, with a trunk of two servers; the second is of the lower priority.
async fn two(patience: Duration) -> (Us, Peer, Peer) {
    let us = us().await;
    let (first, second) = (Peer::new(us.addr()).await, Peer::new(us.addr()).await);
    us.trunk(&[first.addr(), second.addr()], |trunk| {
        trunk.targets[1].priority = 1;
        trunk.connect_timeout = patience;
    })
    .await;
    (us, first, second)
}

async fn one_call(us: &mut Us, peer: &Peer) {
    us.line.dial(dial()).unwrap();
    peer.take_call().await;
    let (call, _) = us.answered().await;
    us.line.hangup(call, None);
    let bye = peer.request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;
    assert_eq!(us.ended().await, End::LocalBye);
}

#[tokio::test]
async fn who_says_503_is_passed_over_and_left_alone_as_long_as_it_asks() {
    let (mut us, first, second) = two(PATIENCE).await;
    us.line.dial(dial()).unwrap();
    let invite = first.request("INVITE").await;
    let rest = "Retry-After: 60\r\n";
    first
        .answer(&invite, "503 Service Unavailable", rest, "")
        .await;
    first.request("ACK").await;
    second.take_call().await;
    let (call, _) = us.answered().await;
    us.line.hangup(call, None);
    let bye = second.request("BYE").await;
    second.answer(&bye, "200 OK", "", "").await;
    us.ended().await;
    // The next call does not even ask it.
    one_call(&mut us, &second).await;
    let mut buffer = [0; 2000];
    while let Ok(octets) = first.socket.try_recv(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..octets]).into_owned();
        assert!(!text.starts_with("INVITE"), "{text}");
    }
    us.nothing_left().await;
}

#[tokio::test]
async fn who_is_silent_is_passed_over_and_its_late_answer_is_no_second_call() {
    let (mut us, first, second) = two(Duration::from_millis(200)).await;
    us.line.dial(dial()).unwrap();
    let invite = first.request("INVITE").await;
    second.take_call().await;
    let (call, _) = us.answered().await;
    // Now it answers after all: acknowledged, and ended (RFC 3261 §13.2.2.4).
    first.answer(&invite, "200 OK", "", ANSWER).await;
    let bye = first.request("BYE").await;
    first.answer(&bye, "200 OK", "", "").await;
    us.line.hangup(call, None);
    let bye = second.request("BYE").await;
    second.answer(&bye, "200 OK", "", "").await;
    assert_eq!(us.ended().await, End::LocalBye);
    us.nothing_left().await;
}

#[tokio::test]
async fn who_said_trying_keeps_the_call() {
    let (mut us, first, second) = two(Duration::from_millis(200)).await;
    us.trunk(&[first.addr(), second.addr()], |trunk| {
        trunk.targets[1].priority = 1;
        trunk.setup_timeout = Duration::from_millis(300);
    })
    .await;
    us.line.dial(dial()).unwrap();
    let invite = first.request("INVITE").await;
    first.answer(&invite, "100 Trying", "", "").await;
    assert_eq!(us.ended().await, End::SetupTimeout);
    let cancel = first.request("CANCEL").await;
    first.answer(&cancel, "200 OK", "", "").await;
    first
        .answer(&invite, "487 Request Terminated", "", "")
        .await;
    assert!(
        second.socket.try_recv(&mut [0; 2000]).is_err(),
        "it may have a call of ours"
    );
}

#[tokio::test]
async fn a_registrar_that_says_503_leaves_it_to_the_next() {
    let us = us().await;
    let (first, second) = (Peer::new(us.addr()).await, Peer::new(us.addr()).await);
    us.trunk(&[first.addr(), second.addr()], |trunk| {
        trunk.password = "secret".into();
        trunk.register = Some(Duration::from_secs(60));
    })
    .await;
    let request = first.request("REGISTER").await;
    first
        .answer(&request, "503 Service Unavailable", "", "")
        .await;
    let request = second.request("REGISTER").await;
    second.answer(&request, "200 OK", "", "").await;
}
