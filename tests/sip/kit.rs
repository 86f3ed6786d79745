//! An adapter with its events, and what a peer does with it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use faxpost::line::sip::{
    CallId, Dial, End, Event, Proto, SipAdapter, SipConfig, SipLine, Target, Trunk, TrunkId, start,
};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

pub use crate::peer::{Message, Peer};

/// Nothing here takes as long; it only ends a test that would hang.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
pub const ANSWER: &str = "v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n";
pub const FAX_OFFER: &str = "v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=image 5002 udptl t38\r\n";
pub const FAX_ANSWER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=image 4002 udptl t38\r\n";

/// Our side: an adapter and its events.
pub struct Us {
    pub line: Arc<SipAdapter>,
    events: Receiver<Event>,
}

pub async fn us() -> Us {
    us_with(SipConfig::for_testing()).await
}

pub async fn us_with(config: SipConfig) -> Us {
    let line = Arc::new(start(config).await.unwrap());
    let events = line.events().unwrap();
    assert!(line.events().is_none(), "the events can be taken once");
    Us { line, events }
}

impl Us {
    pub fn addr(&self) -> SocketAddr {
        self.line.local_addr()
    }

    pub async fn trunk(&self, targets: &[SocketAddr], change: impl FnOnce(&mut Trunk)) {
        let mut trunk = trunk(targets);
        change(&mut trunk);
        self.line.set_trunk(trunk.id, Some(trunk)).await.unwrap();
    }

    pub async fn event(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv())
            .await
            .expect("an event")
            .expect("the adapter is alive")
    }

    pub async fn answered(&mut self) -> (CallId, String) {
        loop {
            match self.event().await {
                Event::Answered { call, sdp } => return (call, String::from_utf8(sdp).unwrap()),
                Event::Progress { .. } => {}
                other => panic!("{other:?} instead of Answered"),
            }
        }
    }

    pub async fn ended(&mut self) -> End {
        loop {
            match self.event().await {
                Event::Ended { why, .. } => return why,
                Event::Progress { .. } => {}
                other => panic!("{other:?} instead of Ended"),
            }
        }
    }

    /// Nothing is left of any call: no event waits, no call and no dialog is kept.
    pub async fn nothing_left(&mut self) {
        assert!(self.events.try_recv().is_err(), "an event after Ended");
        assert_eq!(self.line.calls(), 0, "calls");
        assert_eq!(self.line.dialogs(), 0, "dialogs");
    }
}

pub fn trunk(targets: &[SocketAddr]) -> Trunk {
    Trunk {
        id: TrunkId(1),
        domain: "trunk.test".into(),
        targets: targets
            .iter()
            .map(|&addr| Target::new(addr, Proto::Udp))
            .collect(),
        user: "gateway".into(),
        auth_user: None,
        password: String::new(),
        register: None,
        allow_from: Vec::new(),
        session_expires: None,
        setup_timeout: PATIENCE,
        ring_timeout: PATIENCE,
        connect_timeout: PATIENCE,
    }
}

pub fn dial() -> Dial {
    Dial {
        trunk: TrunkId(1),
        to: "+33123456789".into(),
        from: "+33987654321".into(),
        display: None,
        sdp: OFFER.into(),
        headers: Vec::new(),
    }
}

impl Peer {
    /// Answers our INVITE with 200 and takes the ACK.
    pub async fn take_call(&self) -> Message {
        let invite = self.request("INVITE").await;
        self.answer(&invite, "200 OK", "", ANSWER).await;
        self.request("ACK").await;
        invite
    }

    /// Calls us; `us` answers. Gives our 200, acknowledged.
    pub async fn call(&self, us: &mut Us, id: &str) -> (CallId, Message) {
        self.send(&self.invite(id, "", OFFER)).await;
        let Event::Incoming { call, .. } = us.event().await else {
            panic!("no Incoming")
        };
        us.line.answer(call, ANSWER.into());
        let ok = self.response(200, "INVITE").await;
        self.send(&self.in_dialog(&ok, "ACK", 1, &format!("ack{id}"), ""))
            .await;
        assert_eq!(us.answered().await, (call, OFFER.to_owned()));
        (call, ok)
    }
}
