//! Scripted peers on raw sockets: what trunks do, and what they should not do.

use std::time::Duration;

use faxpost::line::sip::{Dropped, End, Event, SipConfig, SipLine};
use sha2::{Digest, Sha256};

use crate::kit::{ANSWER, Message, OFFER, PATIENCE, Peer, Us, dial, us, us_with};

/// Us with one trunk, and the peer that is its target.
pub async fn with_peer() -> (Us, Peer) {
    let us = us().await;
    let peer = Peer::new(us.addr()).await;
    us.trunk(&[peer.addr()], |_| {}).await;
    (us, peer)
}

/// One with a password.
pub async fn with_password() -> (Us, Peer) {
    let (us, peer) = with_peer().await;
    us.trunk(&[peer.addr()], |t| t.password = "s3cret".into())
        .await;
    (us, peer)
}

/// The peer answers our BYE, and nothing of the call is left.
pub async fn hang_up(us: &mut Us, peer: &Peer, call: faxpost::line::sip::CallId) {
    us.line.hangup(call, None);
    let bye = peer.request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;
    assert_eq!(us.ended().await, End::LocalBye);
    us.nothing_left().await;
}

fn refused(status: u16, reason: &str) -> End {
    End::Refused {
        status,
        reason: Some(reason.into()),
        q850: None,
        retry_after: None,
    }
}

// Calls of ours

#[tokio::test]
async fn a_busy_peer_is_told_with_cause_and_retry_after() {
    let (mut us, peer) = with_peer().await;
    us.line.dial(dial()).unwrap();
    let invite = peer.request("INVITE").await;
    assert_eq!(
        invite.start_line(),
        "INVITE sip:+33123456789@trunk.test SIP/2.0"
    );
    assert!(
        invite
            .header("From")
            .unwrap()
            .contains("sip:+33987654321@trunk.test")
    );
    assert!(invite.header("Allow").unwrap().contains("UPDATE"));
    assert_eq!(
        (invite.header("Content-Type"), invite.body()),
        (Some("application/sdp"), OFFER)
    );
    assert_eq!(
        invite.header("Route"),
        None,
        "the route for the stack stays inside"
    );
    peer.answer(
        &invite,
        "486 Line Busy",
        "Reason: Q.850;cause=17\r\nRetry-After: 120 (later)\r\n",
        "",
    )
    .await;
    assert_eq!(
        us.ended().await,
        End::Refused {
            status: 486,
            reason: Some("Line Busy".into()),
            q850: Some(17),
            retry_after: Some(Duration::from_secs(120)),
        }
    );
    peer.request("ACK").await;
    us.nothing_left().await;
}

#[tokio::test]
async fn other_refusals_are_told_as_they_are() {
    let (mut us, peer) = with_peer().await;
    for (answer, end) in [
        (
            "480 Temporarily Unavailable",
            refused(480, "Temporarily Unavailable"),
        ),
        ("404 Not Found", refused(404, "Not Found")),
        ("302 Moved Temporarily", refused(302, "Moved Temporarily")),
        ("603 Decline", refused(603, "Decline")),
        ("499 Strange", refused(499, "Strange")),
        // From the peer, not from our own clock.
        ("408 Request Timeout", refused(408, "Request Timeout")),
    ] {
        us.line.dial(dial()).unwrap();
        let invite = peer.request("INVITE").await;
        peer.answer(&invite, answer, "", "").await;
        assert_eq!(us.ended().await, end, "{answer}");
    }
    us.nothing_left().await;
}

#[tokio::test]
async fn a_peer_that_only_rings_is_cancelled() {
    let (mut us, peer) = with_peer().await;
    us.trunk(&[peer.addr()], |t| {
        t.ring_timeout = Duration::from_millis(30)
    })
    .await;
    us.line.dial(dial()).unwrap();
    let invite = peer.request("INVITE").await;
    peer.answer(&invite, "100 Trying", "", "").await;
    peer.answer(&invite, "183 Session Progress", "", ANSWER)
        .await;
    assert!(
        matches!(us.event().await, Event::Progress { status: 183, sdp: Some(sdp), .. } if sdp == ANSWER.as_bytes())
    );
    assert_eq!(us.ended().await, End::RingTimeout);
    let cancel = peer.request("CANCEL").await;
    assert_eq!(cancel.header("Via"), invite.header("Via"), "RFC 3261 §9.1");
    peer.answer(&cancel, "200 OK", "", "").await;
    peer.answer(&invite, "487 Request Terminated", "", "").await;
    peer.request("ACK").await;
    us.nothing_left().await;
}

#[tokio::test]
async fn a_200_that_crosses_our_cancel_is_ended_with_bye() {
    let (mut us, peer) = with_peer().await;
    let call = us.line.dial(dial()).unwrap();
    let invite = peer.request("INVITE").await;
    peer.answer(&invite, "180 Ringing", "", "").await;
    assert!(matches!(
        us.event().await,
        Event::Progress { status: 180, .. }
    ));
    us.line.hangup(call, None);
    assert_eq!(us.ended().await, End::Cancelled);
    let cancel = peer.request("CANCEL").await;
    peer.answer(&invite, "200 OK", "", ANSWER).await;
    peer.answer(&cancel, "481 Call/Transaction Does Not Exist", "", "")
        .await;
    peer.request("ACK").await;
    let bye = peer.request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;
    us.nothing_left().await;
}

#[tokio::test]
async fn a_silent_peer_is_left_for_the_next_and_a_trying_one_is_not() {
    let (mut us, silent) = with_peer().await;
    let trying = Peer::new(us.addr()).await;
    let never = Peer::new(us.addr()).await;
    us.trunk(&[silent.addr(), trying.addr(), never.addr()], |t| {
        t.connect_timeout = Duration::from_millis(60);
        t.setup_timeout = Duration::from_millis(200);
    })
    .await;
    us.line.dial(dial()).unwrap();
    silent.request("INVITE").await;
    let invite = trying.request("INVITE").await;
    trying.answer(&invite, "100 Trying", "", "").await;
    assert_eq!(us.ended().await, End::SetupTimeout);
    trying.request("CANCEL").await;
    assert!(
        never.socket.try_recv(&mut [0; 16]).is_err(),
        "a second call after a first that may ring"
    );

    us.trunk(&[silent.addr()], |t| {
        t.connect_timeout = Duration::from_millis(60)
    })
    .await;
    us.line.dial(dial()).unwrap();
    assert!(matches!(us.ended().await, End::Unreachable { .. }));
    us.nothing_left().await;
}

#[tokio::test]
async fn a_503_goes_to_the_next_target_and_the_last_one_is_told() {
    let (mut us, first) = with_peer().await;
    let second = Peer::new(us.addr()).await;
    us.trunk(&[first.addr(), second.addr()], |_| {}).await;
    let call = us.line.dial(dial()).unwrap();
    let invite = first.request("INVITE").await;
    first
        .answer(&invite, "503 Service Unavailable", "Retry-After: 9\r\n", "")
        .await;
    second.take_call().await;
    assert_eq!(us.answered().await, (call, ANSWER.to_owned()));
    hang_up(&mut us, &second, call).await;

    // The first is left alone for its 9 s, unless there is no other.
    us.line.dial(dial()).unwrap();
    let invite = second.request("INVITE").await;
    second
        .answer(&invite, "503 Service Unavailable", "", "")
        .await;
    let invite = first.request("INVITE").await;
    first
        .answer(&invite, "503 Service Unavailable", "Retry-After: 9\r\n", "")
        .await;
    let End::Refused {
        status,
        retry_after,
        ..
    } = us.ended().await
    else {
        panic!("not refused")
    };
    assert_eq!((status, retry_after), (503, Some(Duration::from_secs(9))));
}

/// A parameter of a digest header.
pub fn param<'a>(header: &'a str, name: &str) -> &'a str {
    header
        .trim_start_matches("Digest ")
        .split(',')
        .filter_map(|p| p.trim().split_once('='))
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map_or("", |(_, v)| v.trim_matches('"'))
}

fn sha(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// RFC 7616 §3.4.1, computed here and not by the stack.
pub fn expected(header: &str, method: &str, password: &str) -> String {
    let of = |name| param(header, name);
    let ha1 = sha(&format!("{}:{}:{password}", of("username"), of("realm")));
    let ha2 = sha(&format!("{method}:{}", of("uri")));
    sha(&format!(
        "{ha1}:{}:{}:{}:auth:{ha2}",
        of("nonce"),
        of("nc"),
        of("cnonce")
    ))
}

#[tokio::test]
async fn a_challenge_is_answered_whatever_its_spelling() {
    let (mut us, peer) = with_password().await;
    us.trunk(&[peer.addr()], |t| {
        t.password = "s3cret".into();
        t.auth_user = Some("auth-id".into());
    })
    .await;
    for (status, challenge, answer) in [
        (
            "401 Unauthorized",
            "WWW-Authenticate: Digest realm=\"r\", nonce=\"n1\", qop=\"auth,auth-int\", algorithm=SHA-256\r\n",
            "Authorization",
        ),
        (
            "407 Proxy Authentication Required",
            "Proxy-Authenticate: Digest realm=\"r\",nonce=\"n2\",algorithm=SHA-512-256,qop=\"auth\"\r\nProxy-Authenticate: Digest realm=\"r\",nonce=\"n3\",algorithm=SHA-256,qop=\"auth\"\r\n",
            "Proxy-Authorization",
        ),
    ] {
        let call = us.line.dial(dial()).unwrap();
        let first = peer.request("INVITE").await;
        peer.answer(&first, status, challenge, "").await;
        peer.request("ACK").await;
        let second = peer.request("INVITE").await;
        let header = second.header(answer).expect("credentials");
        assert_eq!(param(header, "username"), "auth-id");
        assert_eq!(param(header, "algorithm"), "SHA-256");
        assert_eq!(
            param(header, "response"),
            expected(header, "INVITE", "s3cret"),
            "{header}"
        );
        assert_eq!(second.header("Call-ID"), first.header("Call-ID"));
        assert_eq!(second.cseq(), first.cseq() + 1);
        assert_eq!(second.to_tag(), None);
        peer.answer(&second, "200 OK", "", ANSWER).await;
        peer.request("ACK").await;
        assert_eq!(us.answered().await.0, call);
        hang_up(&mut us, &peer, call).await;
    }
}

#[tokio::test]
async fn md5_without_qop_is_answered_too() {
    let (mut us, peer) = with_password().await;
    let call = us.line.dial(dial()).unwrap();
    let first = peer.request("INVITE").await;
    peer.answer(
        &first,
        "401 Unauthorized",
        "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n",
        "",
    )
    .await;
    let second = loop {
        let again = peer.request("INVITE").await;
        if again.cseq() > first.cseq() {
            break again;
        }
    };
    let header = second.header("Authorization").unwrap();
    assert_eq!(
        (param(header, "username"), param(header, "algorithm")),
        ("gateway", "MD5")
    );
    assert_eq!(param(header, "response").len(), 32);
    assert_eq!(param(header, "qop"), "");
    peer.answer(&second, "200 OK", "", ANSWER).await;
    us.answered().await;
    hang_up(&mut us, &peer, call).await;
}

#[tokio::test]
async fn a_refused_or_missing_credential_ends_the_call_after_one_try() {
    const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n";
    let (mut us, peer) = with_password().await;
    us.line.dial(dial()).unwrap();
    let first = peer.request("INVITE").await;
    peer.answer(&first, "401 Unauthorized", CHALLENGE, "").await;
    peer.request("ACK").await;
    let second = peer.request("INVITE").await;
    peer.answer(&second, "401 Unauthorized", CHALLENGE, "")
        .await;
    assert_eq!(us.ended().await, End::AuthFailed);
    peer.request("ACK").await;

    // What we can't compute is not tried.
    us.line.dial(dial()).unwrap();
    let first = peer.request("INVITE").await;
    let int = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"\r\n";
    peer.answer(&first, "401 Unauthorized", int, "").await;
    assert_eq!(us.ended().await, End::AuthFailed);
    peer.request("ACK").await;

    us.trunk(&[peer.addr()], |_| {}).await;
    us.line.dial(dial()).unwrap();
    let first = peer.request("INVITE").await;
    peer.answer(&first, "401 Unauthorized", CHALLENGE, "").await;
    assert_eq!(us.ended().await, End::AuthFailed);
    us.nothing_left().await;
}

#[tokio::test]
async fn a_200_without_contact_can_still_be_hung_up() {
    let (mut us, peer) = with_peer().await;
    let call = us.line.dial(dial()).unwrap();
    let invite = peer.request("INVITE").await;
    let mut ok = String::from("SIP/2.0 200 OK\r\n");
    for name in ["Via", "From", "Call-ID", "CSeq"] {
        ok += &format!("{name}: {}\r\n", invite.header(name).unwrap());
    }
    ok += &format!(
        "To: {};tag=peer\r\nContent-Type: application/sdp\r\n",
        invite.header("To").unwrap()
    );
    peer.send(&format!(
        "{ok}Content-Length: {}\r\n\r\n{ANSWER}",
        ANSWER.len()
    ))
    .await;
    us.answered().await;
    hang_up(&mut us, &peer, call).await;
}

// Calls of the peer's

#[tokio::test]
async fn an_incoming_call_tells_who_calls_whom() {
    let (mut us, peer) = with_peer().await;
    let extra = "P-Asserted-Identity: <tel:+33222222222>\r\nDiversion: <sip:+33444444444@h>;reason=no-answer, <sip:+33333333333@h>;reason=busy\r\nX-Trunk: t1\r\n";
    peer.send(&peer.invite("who", extra, OFFER)).await;
    let Event::Incoming {
        call,
        to,
        from,
        diversion,
        sdp,
        source,
        headers,
        ..
    } = us.event().await
    else {
        panic!("no Incoming")
    };
    assert_eq!(
        (to.as_str(), from.as_str(), diversion.as_deref()),
        ("+33123456789", "+33222222222", Some("+33333333333"))
    );
    assert_eq!((sdp.as_slice(), source), (OFFER.as_bytes(), peer.addr()));
    assert_eq!(headers, [("X-Trunk".to_owned(), "t1".to_owned())]);
    us.line.reject(call, 404, Some(1));
    let no = peer.response(404, "INVITE").await;
    assert_eq!(no.header("Reason"), Some("Q.850;cause=1"));
}

#[tokio::test]
async fn a_retransmitted_invite_is_one_call() {
    let (mut us, peer) = with_peer().await;
    let invite = peer.invite("again", "", OFFER);
    for _ in 0..3 {
        peer.send(&invite).await;
    }
    let Event::Incoming { call, .. } = us.event().await else {
        panic!("no Incoming")
    };
    us.line.ring(call);
    peer.response(180, "INVITE").await;
    peer.send(&invite).await;
    peer.response(180, "INVITE").await;
    us.line.answer(call, ANSWER.into());
    let ok = peer.response(200, "INVITE").await;
    assert_eq!(
        (ok.body(), ok.header("Content-Type")),
        (ANSWER, Some("application/sdp"))
    );
    assert!(ok.header("Allow").is_some());
    peer.send(&invite).await;
    // Unacknowledged, the 200 comes again.
    peer.response(200, "INVITE").await;
    peer.send(&peer.in_dialog(&ok, "ACK", 1, "ack", "")).await;
    assert_eq!(us.answered().await.0, call);
    assert_eq!(us.line.calls(), 1);
    // The same request by another way (RFC 3261 §8.2.2.2).
    peer.send(&invite.replace("z9hG4bKagain", "z9hG4bKother"))
        .await;
    peer.response(482, "INVITE").await;
    hang_up(&mut us, &peer, call).await;
}

#[tokio::test]
async fn a_caller_that_cancels_while_we_ring_gets_200_and_487() {
    let (mut us, peer) = with_peer().await;
    let invite = peer.invite("cancel", "", OFFER);
    peer.send(&invite).await;
    let Event::Incoming { call, .. } = us.event().await else {
        panic!("no Incoming")
    };
    us.line.ring(call);
    let ringing = peer.response(180, "INVITE").await;
    assert!(ringing.to_tag().is_some());
    let (head, _) = invite.split_once("Contact").unwrap();
    let cancel = format!(
        "{}Content-Length: 0\r\n\r\n",
        head.replace("INVITE", "CANCEL")
    );
    peer.send(&cancel).await;
    peer.response(200, "CANCEL").await;
    peer.response(487, "INVITE").await;
    assert_eq!(us.ended().await, End::Cancelled);
    // Too late, and harmless.
    us.line.answer(call, ANSWER.into());
    us.nothing_left().await;
}

#[tokio::test]
async fn an_answer_that_nobody_acknowledges_ends_with_bye() {
    let (mut us, peer) = with_peer().await;
    peer.send(&peer.invite("noack", "", OFFER)).await;
    let Event::Incoming { call, .. } = us.event().await else {
        panic!("no Incoming")
    };
    us.line.answer(call, ANSWER.into());
    peer.response(200, "INVITE").await;
    peer.response(200, "INVITE").await;
    let bye = peer.request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;
    assert_eq!(us.ended().await, End::NoAck);
    us.nothing_left().await;
}

#[tokio::test]
async fn a_hang_up_before_the_ack_waits_for_it() {
    let (mut us, peer) = with_peer().await;
    peer.send(&peer.invite("early", "", OFFER)).await;
    let Event::Incoming { call, .. } = us.event().await else {
        panic!("no Incoming")
    };
    us.line.answer(call, ANSWER.into());
    let ok = peer.response(200, "INVITE").await;
    us.line.hangup(call, None);
    peer.send(&peer.in_dialog(&ok, "ACK", 1, "ack", "")).await;
    let bye = peer.request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;
    assert_eq!(us.ended().await, End::LocalBye);
    us.nothing_left().await;
}

#[tokio::test]
async fn an_invite_without_an_offer_gets_ours_and_answers_in_its_ack() {
    let (mut us, peer) = with_peer().await;
    peer.send(&peer.invite("late", "", "")).await;
    let Event::Incoming { call, sdp, .. } = us.event().await else {
        panic!("no Incoming")
    };
    assert!(sdp.is_empty());
    us.line.answer(call, OFFER.into());
    let ok = peer.response(200, "INVITE").await;
    peer.send(&peer.in_dialog(&ok, "ACK", 1, "ack", ANSWER))
        .await;
    assert_eq!(us.answered().await, (call, ANSWER.to_owned()));
    hang_up(&mut us, &peer, call).await;
}

#[tokio::test]
async fn a_bye_with_a_cause_is_told() {
    let (mut us, peer) = with_peer().await;
    let (call, ok) = peer.call(&mut us, "bye").await;
    let bye = peer
        .in_dialog(&ok, "BYE", 2, "bye", "")
        .replace("Content-Length", "Reason: Q.850;cause=31\r\nContent-Length");
    peer.send(&bye).await;
    peer.response(200, "BYE").await;
    assert_eq!(
        us.event().await,
        Event::Ended {
            call,
            why: End::RemoteBye { q850: Some(31) }
        }
    );
    us.nothing_left().await;
    // Retransmitted: answered from memory. New: no such call.
    peer.send(&bye).await;
    peer.response(200, "BYE").await;
    peer.send(&peer.in_dialog(&ok, "BYE", 3, "bye2", "")).await;
    peer.response(481, "BYE").await;
}

#[tokio::test]
async fn what_an_invite_lacks_or_asks_too_much_is_refused() {
    let (us, peer) = with_peer().await;
    let (head, rest) = peer
        .invite("nocontact", "", OFFER)
        .split_once("Contact")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    peer.send(&format!("{head}{}", rest.split_once("\r\n").unwrap().1))
        .await;
    peer.response(400, "INVITE").await;
    peer.send(&peer.invite("prack", "Require: 100rel, timer\r\n", OFFER))
        .await;
    assert_eq!(
        peer.response(420, "INVITE").await.header("Unsupported"),
        Some("100rel")
    );
    peer.send(&peer.invite("text", "Content-Type: text/plain\r\n", "hello"))
        .await;
    assert_eq!(
        peer.response(415, "INVITE").await.header("Accept"),
        Some("application/sdp")
    );
    assert_eq!(
        us.line.dropped(),
        Dropped {
            malformed: 1,
            ..Dropped::default()
        }
    );
    assert_eq!((us.line.calls(), us.line.dialogs()), (0, 0));
}

#[tokio::test]
async fn too_many_calls_at_once_are_put_off() {
    let us = us_with(SipConfig {
        invites_per_second: 0,
        invite_burst: 2,
        ..SipConfig::for_testing()
    })
    .await;
    let mut us = us;
    let peer = Peer::new(us.addr()).await;
    us.trunk(&[peer.addr()], |_| {}).await;
    for id in ["one", "two"] {
        peer.send(&peer.invite(id, "", OFFER)).await;
        assert!(matches!(us.event().await, Event::Incoming { .. }));
    }
    peer.send(&peer.invite("three", "", OFFER)).await;
    assert_eq!(
        peer.response(503, "INVITE").await.header("Retry-After"),
        Some("5")
    );
    assert_eq!(us.line.dropped().over_rate, 1);
}

// Strangers, probes and noise

#[tokio::test]
async fn a_stranger_hears_nothing_and_is_counted() {
    let (mut us, peer) = with_peer().await;
    let stranger = Peer::at("127.0.0.9:0", us.addr()).await;
    stranger.send(&stranger.invite("scan", "", OFFER)).await;
    stranger.send(&options(&stranger, &us, "scan")).await;
    stranger.send("\r\n\r\n").await;
    stranger.send("REGISTER sip:x SIP/2.0\r\n\r\n").await;
    // What comes later from a known peer is answered: so the rest was read, and left.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while us.line.dropped().unlisted_source < 4 && tokio::time::Instant::now() < deadline {
        peer.send(&options(
            &peer,
            &us,
            &format!("{:?}", tokio::time::Instant::now())
                .replace(|c: char| !c.is_alphanumeric(), ""),
        ))
        .await;
        peer.response(200, "OPTIONS").await;
    }
    assert_eq!(
        us.line.dropped(),
        Dropped {
            unlisted_source: 4,
            ..Dropped::default()
        }
    );
    assert!(
        stranger.socket.try_recv(&mut [0; 64]).is_err(),
        "a datagram for a stranger"
    );
    us.nothing_left().await;
}

fn options(peer: &Peer, us: &Us, id: &str) -> String {
    let (addr, us) = (peer.addr(), us.addr());
    format!(
        "OPTIONS sip:{us} SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bK{id};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:p@{addr}>;tag=t{id}\r\nTo: <sip:{us}>\r\nCall-ID: {id}@probe\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

#[tokio::test]
async fn probes_are_answered_and_the_rest_is_refused() {
    let (mut us, peer) = with_peer().await;
    peer.send(&options(&peer, &us, "probe")).await;
    let ok = peer.response(200, "OPTIONS").await;
    assert!(ok.header("Allow").unwrap().contains("INVITE"));
    assert_eq!(ok.header("Accept"), Some("application/sdp"));
    for (method, status) in [
        ("REGISTER", 405),
        ("SUBSCRIBE", 405),
        ("MESSAGE", 405),
        ("BYE", 481),
        ("UPDATE", 481),
    ] {
        peer.send(&options(&peer, &us, method).replace("OPTIONS", method))
            .await;
        peer.response(status, method).await;
    }
    let stray = Message(format!(
        "SIP/2.0 200 OK\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@{}>;tag=2\r\nCall-ID: gone@x\r\n\r\n",
        us.addr()
    ));
    peer.send(&peer.in_dialog(&stray, "INVITE", 7, "gone", OFFER))
        .await;
    peer.response(481, "INVITE").await;
    us.nothing_left().await;
}

#[tokio::test]
async fn garbage_does_no_harm() {
    let (mut us, peer) = with_peer().await;
    let invite = peer.invite("cut", "", OFFER);
    let noise: Vec<Vec<u8>> = vec![
        vec![0; 64],
        vec![0xff; 60_000],
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"INVITE".to_vec(),
        invite.as_bytes()[..invite.len() / 2].to_vec(),
        invite.replace("CSeq: 1 INVITE", "CSeq: 99999999999 INVITE").into_bytes(),
        invite.replace("Via: SIP/2.0/UDP", "Via: ").into_bytes(),
        options(&peer, &us, "len").replace("Content-Length: 0", "Content-Length: 4294967296").into_bytes(),
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKstray\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: s\r\nCSeq: 1 INVITE\r\n\r\n".to_vec(),
        b"FOO sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n".to_vec(),
    ];
    for packet in noise {
        peer.socket.send_to(&packet, us.addr()).await.unwrap();
    }
    let (call, _) = peer.call(&mut us, "after").await;
    hang_up(&mut us, &peer, call).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_peer_that_answers_and_hangs_up_in_one_breath_is_answered_and_ended() {
    let (mut us, peer) = with_peer().await;
    for cause in [16, 31, 38] {
        let call = us.line.dial(dial()).unwrap();
        let invite = peer.request("INVITE").await;
        peer.answer(&invite, "200 OK", "", ANSWER).await;
        let reason = format!("Reason: Q.850;cause={cause}\r\n");
        let branch = format!("bye{cause}");
        peer.send(&peer.in_our_dialog(&invite, "BYE", 1, &branch, &reason, ""))
            .await;
        peer.response(200, "BYE").await;
        assert_eq!(us.answered().await.0, call);
        assert_eq!(us.ended().await, End::RemoteBye { q850: Some(cause) });
    }
    us.nothing_left().await;
}
