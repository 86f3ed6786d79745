//! What a trunk gets while nobody calls: registrations, OPTIONS; and what a change leaves alone.

use std::time::Duration;

use faxpost::line::sip::{Event, Proto, SipConfig, SipLine, Trunk, TrunkId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::kit::*;
use crate::peers::{expected, param};

const CHALLENGE: &str =
    "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n1\", qop=\"auth\", algorithm=SHA-256\r\n";

fn registering(trunk: &mut Trunk) {
    trunk.password = "secret".into();
    trunk.register = Some(Duration::from_secs(120));
}

async fn registrar() -> (Us, Peer) {
    let us = us().await;
    let peer = Peer::new(us.addr()).await;
    us.trunk(&[peer.addr()], registering).await;
    (us, peer)
}

fn contact(us: &Us) -> String {
    format!("<sip:gateway@{}>", us.addr())
}

/// 200 with our binding, and another device's, which lasts longer.
async fn grant(us: &Us, peer: &Peer, request: &Message, seconds: u32) {
    let bindings = format!(
        "Contact: <sip:other@198.51.100.1>;expires=3600, {};expires={seconds}\r\n",
        contact(us)
    );
    peer.answer(request, "200 OK", &bindings, "").await;
}

async fn registered(us: &mut Us) -> Duration {
    match us.event().await {
        Event::Registered { trunk, until, .. } => {
            assert_eq!(trunk, TrunkId(1));
            until
        }
        other => panic!("{other:?} instead of Registered"),
    }
}

#[tokio::test]
async fn a_registration_is_proven_refreshed_and_taken_back() {
    let (mut us, peer) = registrar().await;
    let first = peer.request("REGISTER").await;
    assert_eq!(first.start_line(), "REGISTER sip:trunk.test SIP/2.0");
    assert_eq!(first.header("Expires"), Some("120"));
    assert_eq!(first.header("Contact"), Some(contact(&us).as_str()));
    assert!(first.header("Authorization").is_none());
    peer.answer(&first, "401 Unauthorized", CHALLENGE, "").await;
    let proven = peer.request("REGISTER").await;
    let header = proven.header("Authorization").unwrap();
    assert_eq!(param(header, "username"), "gateway");
    assert_eq!(
        param(header, "response"),
        expected(header, "REGISTER", "secret")
    );
    assert_eq!(proven.header("Call-ID"), first.header("Call-ID"));
    assert!(proven.cseq() > first.cseq());
    // The registrar saw us elsewhere: our Contact stays what others can reach.
    assert_eq!(proven.header("Contact"), Some(contact(&us).as_str()));
    grant(&us, &peer, &proven, 1).await;
    assert_eq!(registered(&mut us).await, Duration::from_secs(1));

    // The refresh comes before that second is over, in the same sequence.
    let refresh = timeout(Duration::from_millis(990), peer.request("REGISTER")).await;
    let refresh = refresh.expect("a refresh before the registration ends");
    assert_eq!(refresh.header("Call-ID"), first.header("Call-ID"));
    assert!(refresh.cseq() > proven.cseq());
    // RFC 3261 §10.3: too brief for this registrar now; asked again for what it wants.
    peer.answer(
        &refresh,
        "423 Interval Too Brief",
        "Min-Expires: 300\r\n",
        "",
    )
    .await;
    let longer = peer.request("REGISTER").await;
    assert_eq!(longer.header("Expires"), Some("300"));
    grant(&us, &peer, &longer, 300).await;
    assert_eq!(registered(&mut us).await, Duration::from_secs(300));

    let line = us.line.clone();
    let removal = tokio::spawn(async move { line.set_trunk(TrunkId(1), None).await });
    let last = peer.request("REGISTER").await;
    assert_eq!(last.header("Expires"), Some("0"));
    assert_eq!(last.header("Contact"), Some(contact(&us).as_str()));
    peer.answer(&last, "200 OK", "", "").await;
    removal.await.unwrap().unwrap();
    us.nothing_left().await;
}

#[tokio::test]
async fn a_refused_password_is_tried_twice_and_then_not_for_long() {
    let (mut us, peer) = registrar().await;
    let mut pauses = Vec::new();
    for _ in 0..2 {
        let request = peer.request("REGISTER").await;
        peer.answer(&request, "403 Forbidden", "", "").await;
        match us.event().await {
            Event::RegistrationFailed {
                status: Some(403),
                lost: true,
                retry_in,
                ..
            } => pauses.push(retry_in),
            other => panic!("{other:?}"),
        }
    }
    // With timers 25 times faster: 10 s, then 15 min.
    assert!(pauses[0] < Duration::from_secs(1), "{pauses:?}");
    assert!(pauses[1] > Duration::from_secs(30), "{pauses:?}");
}

#[tokio::test]
async fn a_registrar_that_falls_silent_costs_the_registration() {
    let (mut us, peer) = registrar().await;
    let request = peer.request("REGISTER").await;
    grant(&us, &peer, &request, 1).await;
    registered(&mut us).await;
    // Nothing is answered any more. First a refresh fails, and in the end the registration lapses.
    loop {
        match us.event().await {
            Event::RegistrationFailed { lost: true, .. } => break,
            Event::RegistrationFailed { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    // And it comes back.
    let binding = format!("Contact: {};expires=60\r\n", contact(&us));
    while !matches!(
        meanwhile(&mut us, &peer, "REGISTER", "200 OK", &binding).await,
        Event::Registered { .. }
    ) {}
}

/// The next event, every request answered until then: those sent in the silence before may come first.
async fn meanwhile(us: &mut Us, peer: &Peer, method: &str, status: &str, extra: &str) -> Event {
    loop {
        tokio::select! {
            event = us.event() => return event,
            request = peer.request(method) => peer.answer(&request, status, extra, "").await,
        }
    }
}

/// Reads one request from a stream and answers it 200.
async fn take_over_tcp(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    while !text.windows(4).any(|w| w == b"\r\n\r\n") {
        let read = timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap();
        text.extend_from_slice(&buffer[..read.unwrap()]);
    }
    let text = String::from_utf8(text).unwrap();
    let mut answer = String::from("SIP/2.0 200 OK\r\n");
    for line in text.lines().skip(1) {
        let name = line.split(':').next().unwrap();
        if ["Via", "From", "To", "Call-ID", "CSeq", "Contact"].contains(&name) {
            answer += &format!("{line}{}\r\n", if name == "To" { ";tag=r" } else { "" });
        }
    }
    answer += "Content-Length: 0\r\n\r\n";
    stream.write_all(answer.as_bytes()).await.unwrap();
    text
}

#[tokio::test]
async fn a_lost_connection_is_registered_anew_at_once_with_the_same_contact() {
    let mut us = us_with(SipConfig {
        tcp: true,
        ..SipConfig::for_testing()
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    us.trunk(&[listener.local_addr().unwrap()], |trunk| {
        registering(trunk);
        trunk.targets[0].proto = Proto::Tcp;
    })
    .await;
    let contact = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("Contact:"));
        line.unwrap().to_owned()
    };
    let (mut stream, _) = listener.accept().await.unwrap();
    let first = take_over_tcp(&mut stream).await;
    registered(&mut us).await;
    assert!(contact(&first).contains("transport=TCP") || contact(&first).contains("transport=tcp"));
    drop(stream);
    // Not after 90 s, which is three quarters of the lifetime.
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let again = take_over_tcp(&mut stream).await;
    assert_eq!(contact(&again), contact(&first), "no second binding");
    registered(&mut us).await;
}

#[tokio::test]
async fn options_tells_when_a_trunk_goes_and_comes_back() {
    let mut us = us_with(SipConfig {
        probe: Some(Duration::from_millis(300)),
        ..SipConfig::for_testing()
    })
    .await;
    let peer = Peer::new(us.addr()).await;
    us.trunk(&[peer.addr()], |_| {}).await;
    let probed = |event| match event {
        Event::Probed { answered, .. } => answered,
        other => panic!("{other:?}"),
    };
    let probe = peer.request("OPTIONS").await;
    assert!(probe.header("Contact").unwrap().contains("gateway@"));
    // Whatever it says, it is there.
    peer.answer(&probe, "404 Not Found", "", "").await;
    assert!(probed(us.event().await));
    // Silence; and then it is back.
    assert!(!probed(us.event().await));
    while !probed(meanwhile(&mut us, &peer, "OPTIONS", "200 OK", "").await) {}
    // Out of service is as good as gone.
    let out = "503 Service Unavailable";
    while probed(meanwhile(&mut us, &peer, "OPTIONS", out, "").await) {}
}

#[tokio::test]
async fn a_trunk_that_is_removed_or_moved_keeps_its_calls() {
    let mut us = us().await;
    let (peer, other) = (
        Peer::at("127.0.0.2:0", us.addr()).await,
        Peer::at("127.0.0.3:0", us.addr()).await,
    );
    us.trunk(&[peer.addr()], |_| {}).await;
    us.line.dial(dial()).unwrap();
    let invite = peer.take_call().await;
    us.answered().await;
    us.trunk(&[other.addr()], |_| {}).await;
    us.line.set_trunk(TrunkId(1), None).await.unwrap();
    // A new call from there is a stranger's; the one that is up is heard.
    peer.send(&peer.invite("new", "", OFFER)).await;
    let bye = peer.in_our_dialog(&invite, "BYE", 9, "bye", "", "");
    peer.send(&bye).await;
    peer.response(200, "BYE").await;
    us.ended().await;
    // With its last call over, nothing is heard from it any more.
    let before = us.line.dropped().unlisted_source;
    peer.send(&peer.invite("later", "", OFFER)).await;
    while us.line.dropped().unlisted_source == before {
        tokio::task::yield_now().await;
    }
    us.nothing_left().await;
}

#[tokio::test]
async fn another_address_of_ours_is_registered_and_the_old_one_taken_back() {
    let (mut us, peer) = registrar().await;
    let request = peer.request("REGISTER").await;
    grant(&us, &peer, &request, 60).await;
    registered(&mut us).await;
    let old = contact(&us);
    let line = us.line.clone();
    let change = tokio::spawn(async move { line.advertise([127, 0, 0, 3].into()).await });
    let removal = peer.request("REGISTER").await;
    assert_eq!(
        (removal.header("Expires"), removal.header("Contact")),
        (Some("0"), Some(old.as_str()))
    );
    peer.answer(&removal, "200 OK", "", "").await;
    change.await.unwrap().unwrap();
    let anew = peer.request("REGISTER").await;
    let now = format!("127.0.0.3:{}", us.addr().port());
    assert_eq!(
        anew.header("Contact"),
        Some(format!("<sip:gateway@{now}>").as_str())
    );
    assert!(anew.header("Via").unwrap().contains(&now), "{anew:?}");
    assert_eq!(us.line.advertised().now().to_string(), "127.0.0.3");
    us.line.dial(dial()).unwrap();
    let invite = peer.request("INVITE").await;
    assert!(invite.header("Via").unwrap().contains(&now), "{invite:?}");
    assert!(invite.header("Contact").unwrap().contains(&now));
}
