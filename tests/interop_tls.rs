//! SIP over TLS with another TLS than ours: OpenSSL, by Python's ssl. Needs python3.
#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead as _, BufReader, Lines},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use faxpost::line::sip::{
    Dial, End, Event, Proto, SipConfig, SipLine as _, Target, TlsSetup, Trunk, TrunkId, start,
};
use tokio::time::timeout;

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
/// Nothing here takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The peer, and what it prints.
struct Peer {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    fn start(arguments: &[String]) -> Self {
        let root = env!("CARGO_MANIFEST_DIR");
        let mut child = Command::new("python3")
            .arg(format!("{root}/tests/tls/peer.py"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed");
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    async fn line(&mut self) -> String {
        tokio::task::block_in_place(|| self.said.next().expect("it says something").unwrap())
    }
}

fn file(name: &str) -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    format!("{root}/testdata/tls/sip/{name}")
}

fn config() -> SipConfig {
    SipConfig {
        tls: TlsSetup {
            ca: Some(PathBuf::from(file("ca.pem"))),
            identity: Some((file("trunk.pem").into(), file("trunk-key.pem").into())),
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        },
        ..SipConfig::for_testing()
    }
}

fn trunk(port: u16) -> Trunk {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    Trunk {
        id: TrunkId(1),
        domain: "trunk.test".into(),
        targets: vec![Target {
            tls_name: Some("trunk.test".into()),
            ..Target::new(address, Proto::Tls)
        }],
        user: "gateway".into(),
        auth_user: None,
        password: "secret".into(),
        register: Some(Duration::from_secs(60)),
        allow_from: Vec::new(),
        session_expires: None,
        setup_timeout: PATIENCE,
        ring_timeout: PATIENCE,
        connect_timeout: PATIENCE,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registration_and_a_call_over_openssl() {
    let mut peer = Peer::start(&["server".into(), file("trunk.pem"), file("trunk-key.pem")]);
    let port = peer.line().await;
    let port = port.strip_prefix("port ").unwrap().parse().unwrap();
    let line = start(config()).await.unwrap();
    let mut events = line.events().unwrap();
    line.set_trunk(TrunkId(1), Some(trunk(port))).await.unwrap();
    assert_eq!(peer.line().await, "tls TLSv1.3");
    assert_eq!(peer.line().await, "REGISTER");
    let mut next = async || timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
    assert!(matches!(next().await, Event::Registered { .. }));
    let call = line
        .dial(Dial {
            trunk: TrunkId(1),
            to: "+33123456789".into(),
            from: "+33987654321".into(),
            display: None,
            sdp: OFFER.into(),
            headers: Vec::new(),
        })
        .unwrap();
    let answered = next().await;
    assert!(matches!(answered, Event::Answered { call: told, .. } if told == call));
    line.hangup(call, None);
    assert!(matches!(
        next().await,
        Event::Ended {
            why: End::LocalBye,
            ..
        }
    ));
    for method in ["INVITE", "ACK", "BYE"] {
        assert_eq!(peer.line().await, method);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_connects_to_our_port_and_trusts_it() {
    let line = start(config()).await.unwrap();
    let mut trunk = trunk(1);
    trunk.register = None;
    line.set_trunk(TrunkId(1), Some(trunk)).await.unwrap();
    let port = line.tls_port().unwrap().to_string();
    let mut peer = Peer::start(&["client".into(), file("ca.pem"), port]);
    assert_eq!(peer.line().await, "tls TLSv1.3");
    assert_eq!(peer.line().await, "SIP/2.0 200 OK");
}
