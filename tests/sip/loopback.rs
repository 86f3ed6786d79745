//! Two adapters.

use faxpost::line::sip::{End, Event, ReAnswer, SipConfig, SipError, SipLine, TrunkId, start};

use crate::kit::{ANSWER, FAX_ANSWER, FAX_OFFER, OFFER, Us, dial, trunk, us, us_with};

async fn pair() -> (Us, Us) {
    let (a, b) = (us().await, us().await);
    a.trunk(&[b.addr()], |_| {}).await;
    b.trunk(&[a.addr()], |_| {}).await;
    (a, b)
}

/// A call from `a` to `b`, answered.
async fn up(a: &mut Us, b: &mut Us) -> (faxpost::line::sip::CallId, faxpost::line::sip::CallId) {
    let out = a.line.dial(dial()).unwrap();
    let Event::Incoming {
        call,
        to,
        from,
        sdp,
        source,
        ..
    } = b.event().await
    else {
        panic!("no Incoming")
    };
    assert_eq!(
        (to.as_str(), from.as_str()),
        ("+33123456789", "+33987654321")
    );
    assert_eq!((sdp.as_slice(), source), (OFFER.as_bytes(), a.addr()));
    b.line.ring(call);
    let progress = a.event().await;
    assert_eq!(
        progress,
        Event::Progress {
            call: out,
            status: 180,
            sdp: None
        }
    );
    b.line.answer(call, ANSWER.into());
    assert_eq!(a.answered().await, (out, ANSWER.to_owned()));
    assert_eq!(b.answered().await, (call, OFFER.to_owned()));
    (out, call)
}

#[tokio::test]
async fn a_call_is_dialled_answered_switched_to_fax_and_hung_up() {
    let (mut a, mut b) = pair().await;
    let (out, inc) = up(&mut a, &mut b).await;

    // The called side asks for T.38, as fax machines do.
    let (answer, ()) = tokio::join!(b.line.reoffer(inc, FAX_OFFER.into()), async {
        let Event::Reoffer { call, offer, sdp } = a.event().await else {
            panic!("no Reoffer")
        };
        assert_eq!((call, sdp.as_slice()), (out, FAX_OFFER.as_bytes()));
        a.line.reanswer(call, offer, Ok(FAX_ANSWER.into()));
        assert_eq!(a.event().await, Event::ReofferDone { call, offer });
    });
    assert_eq!(
        answer,
        ReAnswer::Accepted {
            sdp: FAX_ANSWER.into()
        }
    );

    a.line.hangup(out, Some(16));
    a.line.hangup(out, None);
    assert_eq!(a.ended().await, End::LocalBye);
    assert_eq!(b.ended().await, End::RemoteBye { q850: Some(16) });
    a.line.hangup(out, None);
    a.nothing_left().await;
    b.nothing_left().await;
}

#[tokio::test]
async fn a_refused_reoffer_leaves_the_call_as_it_was() {
    let (mut a, mut b) = pair().await;
    let (out, inc) = up(&mut a, &mut b).await;
    for status in [488, 415, 606] {
        let (answer, ()) = tokio::join!(a.line.reoffer(out, FAX_OFFER.into()), async {
            let Event::Reoffer { call, offer, .. } = b.event().await else {
                panic!("no Reoffer")
            };
            b.line.reanswer(call, offer, Err(status));
        });
        assert_eq!(answer, ReAnswer::Rejected { status });
    }
    b.line.hangup(inc, None);
    assert_eq!(b.ended().await, End::LocalBye);
    assert_eq!(a.ended().await, End::RemoteBye { q850: None });
    assert_eq!(a.line.reoffer(out, FAX_OFFER.into()).await, ReAnswer::Gone);
}

#[tokio::test]
async fn a_reoffer_that_nobody_answers_is_refused_for_us() {
    let (mut a, mut b) = pair().await;
    let (out, _) = up(&mut a, &mut b).await;
    assert_eq!(
        a.line.reoffer(out, FAX_OFFER.into()).await,
        ReAnswer::Rejected { status: 488 }
    );
    assert!(matches!(b.event().await, Event::Reoffer { .. }));
    assert_eq!((a.line.calls(), b.line.calls()), (1, 1));
}

#[tokio::test]
async fn both_sides_offering_at_once_end_with_one_of_them_accepted() {
    let (mut a, mut b) = pair().await;
    let (out, inc) = up(&mut a, &mut b).await;
    let (line_a, line_b) = (
        std::sync::Arc::clone(&a.line),
        std::sync::Arc::clone(&b.line),
    );
    let (from_a, from_b) = (
        line_a.reoffer(out, FAX_OFFER.into()),
        line_b.reoffer(inc, FAX_ANSWER.into()),
    );
    let serve = async {
        loop {
            tokio::select! {
                event = a.event() => if let Event::Reoffer { call, offer, .. } = event {
                    a.line.reanswer(call, offer, Ok(FAX_OFFER.into()));
                },
                event = b.event() => if let Event::Reoffer { call, offer, .. } = event {
                    b.line.reanswer(call, offer, Ok(FAX_ANSWER.into()));
                },
            }
        }
    };
    let both = async { tokio::join!(from_a, from_b) };
    let (of_a, of_b) = tokio::select! {
        answers = both => answers,
        () = serve => unreachable!(),
    };
    let accepted = |answer: &ReAnswer| matches!(answer, ReAnswer::Accepted { .. });
    assert!(accepted(&of_a) || accepted(&of_b), "{of_a:?} {of_b:?}");
    for answer in [of_a, of_b] {
        assert!(accepted(&answer) || answer == ReAnswer::Glare, "{answer:?}");
    }
    assert_eq!((a.line.calls(), b.line.calls()), (1, 1));
}

#[tokio::test]
async fn a_rejection_is_told_with_its_cause() {
    let (mut a, mut b) = pair().await;
    a.line.dial(dial()).unwrap();
    let Event::Incoming { call, .. } = b.event().await else {
        panic!("no Incoming")
    };
    b.line.reject(call, 486, Some(17));
    let busy = |reason: Option<&str>| End::Refused {
        status: 486,
        reason: reason.map(str::to_owned),
        q850: Some(17),
        retry_after: None,
    };
    assert_eq!(a.ended().await, busy(Some("Busy Here")));
    assert_eq!(b.ended().await, busy(None));
    a.nothing_left().await;
    b.nothing_left().await;
}

#[tokio::test]
async fn hanging_up_while_it_rings_cancels() {
    let (mut a, mut b) = pair().await;
    let out = a.line.dial(dial()).unwrap();
    let Event::Incoming { call, .. } = b.event().await else {
        panic!("no Incoming")
    };
    b.line.ring(call);
    assert!(matches!(
        a.event().await,
        Event::Progress { status: 180, .. }
    ));
    a.line.hangup(out, None);
    assert_eq!(a.ended().await, End::Cancelled);
    assert_eq!(b.ended().await, End::Cancelled);
    a.nothing_left().await;
    b.nothing_left().await;
}

#[tokio::test]
async fn hanging_up_an_unanswered_incoming_call_refuses_it() {
    let (mut a, mut b) = pair().await;
    a.line.dial(dial()).unwrap();
    let Event::Incoming { call, .. } = b.event().await else {
        panic!("no Incoming")
    };
    b.line.hangup(call, None);
    assert_eq!(b.ended().await, End::Cancelled);
    assert!(matches!(a.ended().await, End::Refused { status: 480, .. }));
}

#[tokio::test]
async fn a_call_that_only_rings_ends_by_our_own_clock() {
    let (a, mut b) = (us().await, us().await);
    let mut a = a;
    a.trunk(&[b.addr()], |t| {
        t.ring_timeout = std::time::Duration::from_millis(50)
    })
    .await;
    b.trunk(&[a.addr()], |_| {}).await;
    a.line.dial(dial()).unwrap();
    let Event::Incoming { call, .. } = b.event().await else {
        panic!("no Incoming")
    };
    b.line.ring(call);
    assert_eq!(a.ended().await, End::RingTimeout);
    assert_eq!(b.ended().await, End::Cancelled);
}

#[tokio::test]
async fn two_hundred_calls_leave_nothing_behind() {
    // A busy machine may need longer for them all than the other tests' 64·T1 of 1.3 s.
    let patient = || SipConfig {
        t1: std::time::Duration::from_millis(200),
        ..SipConfig::for_testing()
    };
    let (mut a, mut b) = (us_with(patient()).await, us_with(patient()).await);
    a.trunk(&[b.addr()], |_| {}).await;
    b.trunk(&[a.addr()], |_| {}).await;
    for _ in 0..200 {
        a.line.dial(dial()).unwrap();
    }
    let mut ended = (0, 0);
    while ended != (200, 200) {
        tokio::select! {
            event = a.event() => match event {
                Event::Answered { call, .. } => a.line.hangup(call, None),
                Event::Ended { why, .. } => {
                    assert_eq!(why, End::LocalBye);
                    ended.0 += 1;
                }
                _ => {}
            },
            event = b.event() => match event {
                Event::Incoming { call, .. } => b.line.answer(call, ANSWER.into()),
                Event::Ended { why, .. } => {
                    assert_eq!(why, End::RemoteBye { q850: None });
                    ended.1 += 1;
                }
                _ => {}
            },
        }
    }
    a.nothing_left().await;
    b.nothing_left().await;
}

#[tokio::test]
async fn a_port_in_use_is_an_error_with_a_remedy() {
    let a = us().await;
    let config = SipConfig {
        listen: a.addr(),
        ..SipConfig::for_testing()
    };
    let error = start(config).await.unwrap_err();
    assert!(matches!(error, SipError::Listen { addr, .. } if addr == a.addr()));
    assert!(error.to_string().contains("in use"), "{error}");

    // The TCP port alone is tried as well: the stack would only warn.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = SipConfig {
        listen: taken.local_addr().unwrap(),
        tcp: true,
        ..SipConfig::for_testing()
    };
    let error = start(config).await.unwrap_err();
    assert!(error.to_string().contains("TCP port is in use"), "{error}");
}

#[tokio::test]
async fn the_port_is_free_again_after_the_adapter_is_dropped() {
    let a = us().await;
    let addr = a.addr();
    drop(a);
    let patience = tokio::time::Instant::now() + crate::kit::PATIENCE;
    while tokio::net::UdpSocket::bind(addr).await.is_err() {
        assert!(
            tokio::time::Instant::now() < patience,
            "the port is still held"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_a_sentence() {
    let a = us().await;
    let mut registering = trunk(&[a.addr()]);
    registering.register = Some(std::time::Duration::from_secs(60));
    let error = a
        .line
        .set_trunk(registering.id, Some(registering))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, SipError::Invalid(text) if text.contains("without a password")),
        "{error}"
    );
    assert_eq!(a.line.dial(dial()), Err(SipError::UnknownTrunk(TrunkId(1))));
    a.trunk(&[], |_| {}).await;
    assert_eq!(a.line.dial(dial()), Err(SipError::NoTarget(TrunkId(1))));
    a.trunk(&[a.addr()], |_| {}).await;
    let mut evil = dial();
    evil.to = "1\r\nX: y".into();
    assert!(matches!(a.line.dial(evil), Err(SipError::Invalid(_))));
}

#[tokio::test]
async fn calls_go_over_tcp_and_a_refused_connection_is_told_at_once() {
    use faxpost::line::sip::Proto;
    let tcp = || SipConfig {
        tcp: true,
        ..SipConfig::for_testing()
    };
    let (mut a, mut b) = (us_with(tcp()).await, us_with(tcp()).await);
    a.trunk(&[b.addr()], |t| t.targets[0].proto = Proto::Tcp)
        .await;
    b.trunk(&[], |t| {
        t.allow_from = vec![("127.0.0.1".parse().unwrap(), 32)]
    })
    .await;
    let out = a.line.dial(dial()).unwrap();
    let Event::Incoming { call, .. } = b.event().await else {
        panic!("no Incoming")
    };
    b.line.answer(call, ANSWER.into());
    assert_eq!(a.answered().await.0, out);
    b.answered().await;
    a.line.hangup(out, None);
    assert_eq!(a.ended().await, End::LocalBye);
    assert_eq!(b.ended().await, End::RemoteBye { q850: None });

    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    a.trunk(&[closed], |t| t.targets[0].proto = Proto::Tcp)
        .await;
    a.line.dial(dial()).unwrap();
    assert!(matches!(a.ended().await, End::Unreachable { .. }));
}
