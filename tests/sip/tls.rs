//! SIP over TLS: calls both ways, and what is said when a handshake fails.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use faxpost::line::sip::{End, Event, Proto, SipConfig, SipLine, TlsSetup, Trunk};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::kit::*;

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "testdata", "tls", "sip", name]
        .iter()
        .collect()
}

fn identity(name: &str) -> (PathBuf, PathBuf) {
    (
        file(&format!("{name}.pem")),
        file(&format!("{name}-key.pem")),
    )
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Trusts our CA, and is nobody.
fn trusting() -> SipConfig {
    SipConfig {
        tls: TlsSetup {
            ca: Some(file("ca.pem")),
            ..TlsSetup::default()
        },
        ..SipConfig::for_testing()
    }
}

/// A server with one of the certificates.
struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Server {
    async fn start(certificate: &str) -> Self {
        let (chain, key) = identity(certificate);
        let chain = CertificateDer::pem_file_iter(chain)
            .unwrap()
            .collect::<Result<Vec<_>, _>>()
            .unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
            .unwrap();
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }

    fn addr(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The next connection, with the name that it asked for.
    async fn accept(&self) -> (Wire<server::TlsStream<TcpStream>>, Option<String>) {
        let accepted = timeout(PATIENCE, self.listener.accept()).await.unwrap();
        let stream = self.acceptor.accept(accepted.unwrap().0).await.unwrap();
        let name = stream.get_ref().1.server_name().map(str::to_owned);
        (Wire::new(stream, self.addr()), name)
    }
}

/// SIP on a stream.
struct Wire<S> {
    stream: S,
    read: Vec<u8>,
    contact: SocketAddr,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    fn new(stream: S, contact: SocketAddr) -> Self {
        Self {
            stream,
            read: Vec::new(),
            contact,
        }
    }

    async fn receive(&mut self) -> Message {
        loop {
            if let Some(message) = self.take() {
                return message;
            }
            let mut buffer = [0; 4096];
            let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await;
            let octets = read.expect("a message").unwrap();
            assert!(octets > 0, "the connection is closed");
            self.read.extend_from_slice(&buffer[..octets]);
        }
    }

    fn take(&mut self) -> Option<Message> {
        let text = String::from_utf8_lossy(&self.read).into_owned();
        let (head, _) = text.split_once("\r\n\r\n")?;
        let length = Message(format!("{head}\r\n\r\n"))
            .header("Content-Length")
            .map_or(0, |length| length.parse().unwrap());
        let end = head.len() + 4 + length;
        (self.read.len() >= end).then(|| {
            let message = self.read.drain(..end).collect();
            Message(String::from_utf8(message).unwrap())
        })
    }

    async fn request(&mut self, method: &str) -> Message {
        loop {
            let message = self.receive().await;
            if message.method() == method {
                return message;
            }
        }
    }

    async fn answer(&mut self, request: &Message, status: &str, body: &str) {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "From", "Call-ID", "CSeq"] {
            for value in request.headers(name) {
                text += &format!("{name}: {value}\r\n");
            }
        }
        let tag = if request.to_tag().is_some() {
            ""
        } else {
            ";tag=peer"
        };
        text += &format!("To: {}{tag}\r\n", request.header("To").unwrap());
        let mut contact = format!("<sip:peer@{};transport=tls>", self.contact);
        if request.method() == "REGISTER" {
            contact = format!("{};expires=60", request.header("Contact").unwrap());
        }
        text += &format!("Contact: {contact}\r\n");
        if !body.is_empty() {
            text += "Content-Type: application/sdp\r\n";
        }
        self.say(&format!(
            "{text}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
    }

    async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn take_call(&mut self) -> Message {
        let invite = self.request("INVITE").await;
        self.answer(&invite, "200 OK", ANSWER).await;
        self.request("ACK").await;
        invite
    }
}

fn over_tls(trunk: &mut Trunk) {
    for target in &mut trunk.targets {
        target.proto = Proto::Tls;
        target.tls_name = Some("trunk.test".into());
    }
}

/// Why a call to that address came to nothing, and how long that took.
async fn unreachable(config: SipConfig, target: SocketAddr) -> (String, Duration) {
    let mut us = us_with(config).await;
    us.trunk(&[target], |trunk| {
        over_tls(trunk);
        trunk.connect_timeout = Duration::from_millis(500);
    })
    .await;
    let start = Instant::now();
    us.line.dial(dial()).unwrap();
    let End::Unreachable { error } = us.ended().await else {
        panic!("no reason")
    };
    us.nothing_left().await;
    (error, start.elapsed())
}

#[tokio::test]
async fn registration_and_call_go_over_one_connection_that_was_checked() {
    let server = Server::start("trunk").await;
    let mut us = us_with(trusting()).await;
    us.trunk(&[server.addr()], |trunk| {
        over_tls(trunk);
        trunk.password = "secret".into();
        trunk.register = Some(Duration::from_secs(60));
    })
    .await;
    let (mut wire, name) = server.accept().await;
    assert_eq!(name.as_deref(), Some("trunk.test"), "SNI (RFC 6066 §3)");
    let register = wire.request("REGISTER").await;
    assert!(register.header("Via").unwrap().starts_with("SIP/2.0/TLS "));
    let contact = register.header("Contact").unwrap().to_lowercase();
    assert!(contact.contains("transport=tls"), "{contact}");
    wire.answer(&register, "200 OK", "").await;
    assert!(matches!(us.event().await, Event::Registered { .. }));

    us.line.dial(dial()).unwrap();
    let invite = wire.take_call().await;
    assert_eq!(
        invite.start_line(),
        "INVITE sip:+33123456789@trunk.test SIP/2.0"
    );
    let (call, sdp) = us.answered().await;
    assert_eq!(sdp, ANSWER);
    us.line.hangup(call, None);
    let bye = wire.request("BYE").await;
    wire.answer(&bye, "200 OK", "").await;
    assert_eq!(us.ended().await, End::LocalBye);
}

#[tokio::test]
async fn a_certificate_that_does_not_do_is_told_at_once_with_what_to_do() {
    for (certificate, trusted, words) in [
        ("other", true, "is not for trunk.test: set the trunk's host"),
        (
            "trunk",
            false,
            "of no CA that we trust: name its CA in sip.tls_ca",
        ),
        ("expired", true, "has expired"),
    ] {
        let server = Server::start(certificate).await;
        let address = server.addr();
        tokio::spawn(async move {
            while let Ok((stream, _)) = server.listener.accept().await {
                let _ = server.acceptor.accept(stream).await;
            }
        });
        let config = if trusted {
            trusting()
        } else {
            // Another CA, so that this does not hang on what the machine trusts.
            SipConfig {
                tls: TlsSetup {
                    ca: Some(file("../localhost.pem")),
                    ..TlsSetup::default()
                },
                ..SipConfig::for_testing()
            }
        };
        let (error, took) = unreachable(config, address).await;
        assert!(error.contains(words), "{certificate}: {error}");
        assert!(error.contains(&address.to_string()), "{error}");
        // Not after 64·T1, as the stack would.
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}

#[tokio::test]
async fn ports_that_are_no_tls_ports_are_told_too() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (error, _) = unreachable(trusting(), silent.local_addr().unwrap()).await;
    assert!(error.contains("no TLS handshake came of it"), "{error}");

    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            stream
                .write_all(b"SIP/2.0 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    let (error, _) = unreachable(trusting(), address).await;
    assert!(error.contains("does not speak TLS"), "{error}");

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let (error, _) = unreachable(trusting(), address).await;
    assert!(error.contains("refuses connections"), "{error}");
}

#[tokio::test]
async fn the_next_target_is_tried_when_a_handshake_fails() {
    let bad = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = Server::start("trunk").await;
    let mut us = us_with(trusting()).await;
    us.trunk(&[bad.local_addr().unwrap(), good.addr()], |trunk| {
        over_tls(trunk);
        trunk.targets[1].priority = 1;
        trunk.connect_timeout = Duration::from_millis(300);
    })
    .await;
    us.line.dial(dial()).unwrap();
    let (mut wire, _) = good.accept().await;
    wire.take_call().await;
    let (call, _) = us.answered().await;
    us.line.hangup(call, None);
    let bye = wire.request("BYE").await;
    wire.answer(&bye, "200 OK", "").await;
    us.ended().await;
}

#[tokio::test]
async fn a_connection_that_breaks_under_a_call_is_brought_back_for_its_bye() {
    let server = Server::start("trunk").await;
    let mut us = us_with(trusting()).await;
    us.trunk(&[server.addr()], over_tls).await;
    us.line.dial(dial()).unwrap();
    let (mut wire, _) = server.accept().await;
    wire.take_call().await;
    let (call, _) = us.answered().await;
    drop(wire);
    // Under the domain's name once more, though the far end's Contact is an address.
    let (mut wire, name) = server.accept().await;
    assert_eq!(name.as_deref(), Some("trunk.test"));
    us.line.hangup(call, None);
    let bye = wire.request("BYE").await;
    wire.answer(&bye, "200 OK", "").await;
    assert_eq!(us.ended().await, End::LocalBye);
}

/// Connects to us over TLS as a trunk does.
async fn connect(us: &Us) -> Wire<client::TlsStream<TcpStream>> {
    let mut store = RootCertStore::empty();
    store
        .add(CertificateDer::from_pem_file(file("ca.pem")).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    let port = us.line.tls_port().unwrap();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let own = stream.local_addr().unwrap();
    let name = ServerName::try_from("trunk.test").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap();
    Wire::new(stream, own)
}

#[tokio::test]
async fn calls_come_in_over_our_own_tls_port_with_a_sec1_key() {
    let mut us = us_with(SipConfig {
        tls: TlsSetup {
            ca: Some(file("ca.pem")),
            identity: Some(identity("trunk")),
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        },
        ..SipConfig::for_testing()
    })
    .await;
    // Strangers are closed on unread.
    let before = us.line.dropped().unlisted_source;
    let port = us.line.tls_port().unwrap();
    let mut stranger = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let read = timeout(PATIENCE, stranger.read(&mut [0; 16])).await;
    assert!(matches!(read, Ok(Ok(0) | Err(_))), "it is told nothing");
    assert_eq!(us.line.dropped().unlisted_source, before + 1);

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    us.trunk(&[nobody.local_addr().unwrap()], over_tls).await;
    let mut wire = connect(&us).await;
    let ours = format!("127.0.0.1:{port}");
    let own = wire.contact;
    let invite = format!(
        "INVITE sips:+33123456789@{ours} SIP/2.0\r\nVia: SIP/2.0/TLS {own};branch=z9hG4bKin;rport\r\n\
         Max-Forwards: 70\r\nFrom: <sips:+33111111111@{own}>;tag=a\r\nTo: <sips:+33123456789@{ours}>\r\n\
         Call-ID: in@peer\r\nCSeq: 1 INVITE\r\nContact: <sips:peer@{own}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{OFFER}",
        OFFER.len()
    );
    wire.say(&invite).await;
    let Event::Incoming { call, to, .. } = us.event().await else {
        panic!("no Incoming")
    };
    assert_eq!(to, "+33123456789");
    us.line.answer(call, ANSWER.into());
    let ok = loop {
        let message = wire.receive().await;
        if message.status() == Some(200) {
            break message;
        }
    };
    // RFC 3261 §12.1.1: SIPS for SIPS; and the port is the one that listens.
    assert_eq!(
        ok.header("Contact"),
        Some(format!("<sips:gateway@{ours}>").as_str())
    );
    let ack = format!(
        "ACK sips:gateway@{ours} SIP/2.0\r\nVia: SIP/2.0/TLS {own};branch=z9hG4bKack;rport\r\n\
         Max-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: in@peer\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
        ok.header("From").unwrap(),
        ok.header("To").unwrap()
    );
    wire.say(&ack).await;
    assert_eq!(us.answered().await.0, call);
    us.line.hangup(call, None);
    // Over the connection that the call came by.
    let bye = wire.request("BYE").await;
    assert!(bye.header("Via").unwrap().contains(&ours), "{bye:?}");
    wire.answer(&bye, "200 OK", "").await;
    assert_eq!(us.ended().await, End::LocalBye);
}
