//! Re-INVITEs both ways against scripted peers: refusals, glare, refreshes, offers that are wanted of us.

use std::sync::Arc;

use faxpost::line::sip::{End, Event, ReAnswer, SipLine};

use crate::kit::{ANSWER, FAX_ANSWER, FAX_OFFER, OFFER, dial};
use crate::peers::{expected, hang_up, param, with_password, with_peer};

#[tokio::test]
async fn a_488_leaves_the_call_up_until_the_peer_hangs_up() {
    let (mut us, peer) = with_peer().await;
    let (call, ok) = peer.call(&mut us, "488").await;
    let (answer, ()) = tokio::join!(us.line.reoffer(call, FAX_OFFER.into()), async {
        let reinvite = peer.request("INVITE").await;
        assert_eq!(
            (reinvite.body(), reinvite.header("Content-Type")),
            (FAX_OFFER, Some("application/sdp"))
        );
        peer.answer(&reinvite, "488 Not Acceptable Here", "", "")
            .await;
        peer.request("ACK").await;
    });
    assert_eq!(answer, ReAnswer::Rejected { status: 488 });
    assert_eq!((us.line.calls(), us.line.dialogs()), (1, 1));
    peer.send(&peer.in_dialog(&ok, "BYE", 2, "bye", "")).await;
    assert_eq!(us.ended().await, End::RemoteBye { q850: None });
    us.nothing_left().await;
}

#[tokio::test]
async fn a_reinvite_that_is_never_answered_leaves_the_call_up() {
    let (mut us, peer) = with_peer().await;
    let (call, _) = peer.call(&mut us, "silent").await;
    assert_eq!(
        us.line.reoffer(call, FAX_OFFER.into()).await,
        ReAnswer::Rejected { status: 408 }
    );
    hang_up(&mut us, &peer, call).await;
}

#[tokio::test]
async fn a_481_to_our_reinvite_ends_the_call() {
    let (mut us, peer) = with_peer().await;
    let (call, _) = peer.call(&mut us, "481").await;
    let (answer, ()) = tokio::join!(us.line.reoffer(call, FAX_OFFER.into()), async {
        let reinvite = peer.request("INVITE").await;
        peer.answer(&reinvite, "481 Call/Transaction Does Not Exist", "", "")
            .await;
    });
    assert_eq!(answer, ReAnswer::Gone);
    assert_eq!(us.ended().await, End::SessionExpired);
    us.nothing_left().await;
}

#[tokio::test]
async fn after_491_we_try_again() {
    let (mut us, peer) = with_peer().await;
    let (call, _) = peer.call(&mut us, "glare").await;
    let (answer, ()) = tokio::join!(us.line.reoffer(call, FAX_OFFER.into()), async {
        let first = peer.request("INVITE").await;
        peer.answer(&first, "491 Request Pending", "", "").await;
        let second = loop {
            let again = peer.request("INVITE").await;
            if again.cseq() > first.cseq() {
                break again;
            }
        };
        peer.answer(&second, "200 OK", "", FAX_ANSWER).await;
        peer.request("ACK").await;
    });
    assert_eq!(
        answer,
        ReAnswer::Accepted {
            sdp: FAX_ANSWER.into()
        }
    );
    hang_up(&mut us, &peer, call).await;
}

#[tokio::test]
async fn an_offer_that_meets_ours_gets_491_and_ours_goes_on() {
    let (mut us, peer) = with_peer().await;
    let (call, ok) = peer.call(&mut us, "meet").await;
    let (answer, ()) = tokio::join!(us.line.reoffer(call, FAX_OFFER.into()), async {
        let ours = peer.request("INVITE").await;
        peer.send(&peer.in_dialog(&ok, "INVITE", 2, "theirs", FAX_ANSWER))
            .await;
        peer.response(491, "INVITE").await;
        peer.send(&peer.in_dialog(&ok, "ACK", 2, "theirs", ""))
            .await;
        peer.answer(&ours, "200 OK", "", FAX_ANSWER).await;
        peer.request("ACK").await;
    });
    assert_eq!(
        answer,
        ReAnswer::Accepted {
            sdp: FAX_ANSWER.into()
        }
    );
    hang_up(&mut us, &peer, call).await;
}

#[tokio::test]
async fn the_peers_reinvite_is_done_only_when_our_answer_is_acknowledged() {
    let (mut us, peer) = with_peer().await;
    let (call, ok) = peer.call(&mut us, "re").await;
    peer.send(&peer.in_dialog(&ok, "INVITE", 2, "re2", FAX_ANSWER))
        .await;
    let Event::Reoffer { offer, sdp, .. } = us.event().await else {
        panic!("no Reoffer")
    };
    assert_eq!(sdp, FAX_ANSWER.as_bytes());
    us.line.reanswer(call, offer, Ok(FAX_OFFER.into()));
    let answer = peer.response(200, "INVITE").await;
    assert_eq!(
        (answer.body(), answer.header("Content-Type")),
        (FAX_OFFER, Some("application/sdp"))
    );
    // INFO makes the stack say Confirmed as well: that is no ACK.
    peer.send(&peer.in_dialog(&ok, "INFO", 3, "info", "")).await;
    peer.response(200, "INFO").await;
    // Nor can we offer meanwhile.
    assert_eq!(
        us.line.reoffer(call, FAX_OFFER.into()).await,
        ReAnswer::Glare
    );
    peer.send(&peer.in_dialog(&ok, "ACK", 2, "ack2", "")).await;
    assert_eq!(us.event().await, Event::ReofferDone { call, offer });
    // Twice is once.
    us.line.reanswer(call, offer, Err(488));
    hang_up(&mut us, &peer, call).await;
}

#[tokio::test]
async fn refreshes_are_answered_with_what_stands_and_nobody_is_asked() {
    let (mut us, peer) = with_peer().await;
    let (call, ok) = peer.call(&mut us, "refresh").await;
    // The same SDP; the same with a higher version; none at all.
    for (cseq, body) in [
        (2, OFFER.to_owned()),
        (3, OFFER.replace("- 1 1 IN", "- 1 2 IN")),
        (4, String::new()),
    ] {
        peer.send(&peer.in_dialog(&ok, "INVITE", cseq, &format!("r{cseq}"), &body))
            .await;
        let answer = peer.response(200, "INVITE").await;
        assert_eq!(answer.body(), ANSWER, "our SDP, unchanged");
        peer.send(&peer.in_dialog(&ok, "ACK", cseq, &format!("a{cseq}"), ""))
            .await;
    }
    peer.send(&peer.in_dialog(&ok, "UPDATE", 5, "u5", "")).await;
    assert_eq!(peer.response(200, "UPDATE").await.body(), "");
    peer.send(&peer.in_dialog(&ok, "OPTIONS", 6, "o6", ""))
        .await;
    assert!(
        peer.response(200, "OPTIONS")
            .await
            .header("Allow")
            .is_some()
    );
    peer.send(&peer.in_dialog(&ok, "REFER", 7, "f7", "")).await;
    peer.response(405, "REFER").await;
    hang_up(&mut us, &peer, call).await;
}

#[tokio::test]
async fn an_update_with_an_offer_is_done_at_once() {
    let (mut us, peer) = with_peer().await;
    let (call, ok) = peer.call(&mut us, "update").await;
    peer.send(&peer.in_dialog(&ok, "UPDATE", 2, "u2", FAX_ANSWER))
        .await;
    let Event::Reoffer { offer, .. } = us.event().await else {
        panic!("no Reoffer")
    };
    us.line.reanswer(call, offer, Ok(FAX_OFFER.into()));
    assert_eq!(us.event().await, Event::ReofferDone { call, offer });
    assert_eq!(peer.response(200, "UPDATE").await.body(), FAX_OFFER);
    hang_up(&mut us, &peer, call).await;
}

#[tokio::test]
async fn a_challenged_reinvite_without_a_credential_does_not_leave_the_peer_hanging() {
    let (mut us, peer) = with_peer().await;
    let (call, _) = peer.call(&mut us, "407").await;
    let line = Arc::clone(&us.line);
    let (answer, ()) = tokio::join!(line.reoffer(call, FAX_OFFER.into()), async {
        let reinvite = peer.request("INVITE").await;
        let challenge = "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n";
        peer.answer(
            &reinvite,
            "407 Proxy Authentication Required",
            challenge,
            "",
        )
        .await;
        let bye = peer.request("BYE").await;
        peer.answer(&bye, "200 OK", "", "").await;
    });
    assert_eq!(answer, ReAnswer::Gone);
    assert_eq!(us.ended().await, End::AuthFailed);
    us.nothing_left().await;
}

#[tokio::test]
async fn a_challenged_reinvite_and_bye_are_answered_with_the_trunks_credential() {
    let (mut us, peer) = with_password().await;
    let (call, _) = peer.call(&mut us, "407pw").await;
    const CHALLENGE: &str =
        "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256\r\n";
    let (answer, ()) = tokio::join!(us.line.reoffer(call, FAX_OFFER.into()), async {
        let first = peer.request("INVITE").await;
        peer.answer(&first, "407 Proxy Authentication Required", CHALLENGE, "")
            .await;
        peer.request("ACK").await;
        let second = peer.request("INVITE").await;
        let header = second.header("Proxy-Authorization").unwrap();
        assert_eq!(
            param(header, "response"),
            expected(header, "INVITE", "s3cret")
        );
        peer.answer(&second, "200 OK", "", FAX_ANSWER).await;
        peer.request("ACK").await;
    });
    assert_eq!(
        answer,
        ReAnswer::Accepted {
            sdp: FAX_ANSWER.into()
        }
    );
    us.line.hangup(call, None);
    let bye = peer.request("BYE").await;
    peer.answer(&bye, "407 Proxy Authentication Required", CHALLENGE, "")
        .await;
    let again = loop {
        let again = peer.request("BYE").await;
        if again.cseq() > bye.cseq() {
            break again;
        }
    };
    assert!(again.header("Proxy-Authorization").is_some());
    peer.answer(&again, "200 OK", "", "").await;
    assert_eq!(us.ended().await, End::LocalBye);
}

#[tokio::test]
async fn the_called_side_can_reinvite_us() {
    let (mut us, peer) = with_peer().await;
    let call = us.line.dial(dial()).unwrap();
    let invite = peer.take_call().await;
    // At once after the ACK, as gateways do that hear the fax tone.
    peer.send(&peer.in_our_dialog(&invite, "INVITE", 1, "re1", "", FAX_OFFER))
        .await;
    assert_eq!(us.answered().await, (call, ANSWER.to_owned()));
    let Event::Reoffer { offer, sdp, .. } = us.event().await else {
        panic!("no Reoffer")
    };
    assert_eq!(sdp, FAX_OFFER.as_bytes());
    us.line.reanswer(call, offer, Ok(FAX_ANSWER.into()));
    peer.response(200, "INVITE").await;
    peer.send(&peer.in_our_dialog(&invite, "ACK", 1, "ack1", "", ""))
        .await;
    assert_eq!(us.event().await, Event::ReofferDone { call, offer });
    peer.send(&peer.in_our_dialog(&invite, "BYE", 2, "bye2", "Reason: Q.850;cause=16\r\n", ""))
        .await;
    peer.response(200, "BYE").await;
    assert_eq!(us.ended().await, End::RemoteBye { q850: Some(16) });
    us.nothing_left().await;
}

#[tokio::test]
async fn an_answer_in_the_ack_to_the_offer_that_was_wanted_of_us_is_told_when_the_media_moved() {
    let (mut us, peer) = with_peer().await;
    let (call, ok) = peer.call(&mut us, "wanted").await;
    let elsewhere = OFFER.replace("audio 4000", "audio 4008");
    for (cseq, answer) in [(2, OFFER), (3, elsewhere.as_str())] {
        peer.send(&peer.in_dialog(&ok, "INVITE", cseq, &format!("w{cseq}"), ""))
            .await;
        assert_eq!(peer.response(200, "INVITE").await.body(), ANSWER);
        // Until it is answered no other offer may be made (RFC 3264 §4).
        assert_eq!(
            us.line.reoffer(call, FAX_OFFER.into()).await,
            ReAnswer::Glare
        );
        peer.send(&peer.in_dialog(&ok, "ACK", cseq, &format!("x{cseq}"), answer))
            .await;
    }
    // The first brought nothing new.
    let sdp = elsewhere.into_bytes();
    assert_eq!(us.event().await, Event::Remote { call, sdp });
    hang_up(&mut us, &peer, call).await;
}

#[tokio::test]
async fn an_offer_that_waits_after_glare_gives_way_to_the_peers() {
    let (mut us, peer) = with_peer().await;
    let (call, ok) = peer.call(&mut us, "way").await;
    let line = Arc::clone(&us.line);
    let (answer, ()) = tokio::join!(line.reoffer(call, FAX_OFFER.into()), async {
        let ours = peer.request("INVITE").await;
        peer.answer(&ours, "491 Request Pending", "", "").await;
        peer.request("ACK").await;
        // The caller owns the Call-ID and waits longer (RFC 3261 §14.1), but this one is in a hurry.
        peer.send(&peer.in_dialog(&ok, "INVITE", 2, "theirs", FAX_ANSWER))
            .await;
        let Event::Reoffer { offer, .. } = us.event().await else {
            panic!("no Reoffer")
        };
        us.line.reanswer(call, offer, Ok(FAX_OFFER.into()));
        peer.response(200, "INVITE").await;
        peer.send(&peer.in_dialog(&ok, "ACK", 2, "acked", "")).await;
        assert_eq!(us.event().await, Event::ReofferDone { call, offer });
    });
    assert_eq!(answer, ReAnswer::Glare);
    hang_up(&mut us, &peer, call).await;
}

#[tokio::test]
async fn an_accepted_offer_that_nobody_acknowledges_ends_with_bye() {
    let (mut us, peer) = with_peer().await;
    let (call, ok) = peer.call(&mut us, "noack2").await;
    peer.send(&peer.in_dialog(&ok, "INVITE", 2, "n2", FAX_ANSWER))
        .await;
    let Event::Reoffer { offer, .. } = us.event().await else {
        panic!("no Reoffer")
    };
    us.line.reanswer(call, offer, Ok(FAX_OFFER.into()));
    peer.response(200, "INVITE").await;
    // RFC 3261 §13.3.1.4: repeated, and in the end the session is over.
    peer.response(200, "INVITE").await;
    let bye = peer.request("BYE").await;
    peer.answer(&bye, "200 OK", "", "").await;
    assert_eq!(us.ended().await, End::NoAck);
    us.nothing_left().await;
}
