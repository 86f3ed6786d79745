//! A SIP peer that is nothing but a socket and the test's own words.

// Each test crate uses its own part of this.
#![allow(dead_code)]

use std::{collections::HashSet, net::SocketAddr, sync::Mutex, time::Duration};

use tokio::{net::UdpSocket, time::timeout};

/// Nothing takes as long; it only ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// A peer that says what the test writes.
pub struct Peer {
    pub socket: UdpSocket,
    us: SocketAddr,
    /// Requests handed out already.
    seen: Mutex<HashSet<String>>,
}

/// A message as the peer reads it.
#[derive(Clone, Debug)]
pub struct Message(pub String);

impl Message {
    pub fn start_line(&self) -> &str {
        self.0.lines().next().unwrap_or("")
    }

    pub fn status(&self) -> Option<u16> {
        self.start_line()
            .strip_prefix("SIP/2.0 ")?
            .get(..3)?
            .parse()
            .ok()
    }

    pub fn method(&self) -> &str {
        self.start_line().split(' ').next().unwrap_or("")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.0.split_once("\r\n\r\n")?;
        head.lines().skip(1).find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.trim().eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub fn headers(&self, name: &str) -> Vec<&str> {
        let head = self.0.split_once("\r\n\r\n").map_or("", |(head, _)| head);
        head.lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(n, _)| n.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    pub fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    pub fn cseq(&self) -> u32 {
        self.header("CSeq")
            .and_then(|v| v.split(' ').next())
            .and_then(|n| n.parse().ok())
            .expect("a CSeq")
    }

    /// Tag of To, if any.
    pub fn to_tag(&self) -> Option<&str> {
        self.header("To")?.split(";tag=").nth(1)
    }
}

impl Peer {
    pub async fn new(us: SocketAddr) -> Self {
        Self::at("127.0.0.1:0", us).await
    }

    pub async fn at(addr: &str, us: SocketAddr) -> Self {
        Self {
            socket: UdpSocket::bind(addr).await.unwrap(),
            us,
            seen: Mutex::default(),
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    pub async fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.us).await.unwrap();
    }

    pub async fn receive(&self) -> Message {
        let mut buf = vec![0; 65_536];
        let (len, _) = timeout(PATIENCE, self.socket.recv_from(&mut buf))
            .await
            .expect("a datagram")
            .unwrap();
        Message(String::from_utf8_lossy(&buf[..len]).into_owned())
    }

    /// The next new request of that method; retransmissions and all else are passed over.
    pub async fn request(&self, method: &str) -> Message {
        loop {
            let message = self.receive().await;
            if message.method() != method {
                continue;
            }
            let id = message.header("Call-ID").unwrap_or_default();
            let name = format!("{method} {id} {}", message.cseq());
            if self.seen.lock().unwrap().insert(name) {
                return message;
            }
        }
    }

    /// The next answer with that status to that method.
    pub async fn response(&self, status: u16, method: &str) -> Message {
        loop {
            let message = self.receive().await;
            if message.status() == Some(status)
                && message.header("CSeq").is_some_and(|c| c.ends_with(method))
            {
                return message;
            }
        }
    }

    /// Answers a request. `extra` holds whole lines; a body brings its type.
    pub async fn answer(&self, request: &Message, status: &str, extra: &str, body: &str) {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "From", "Call-ID", "CSeq", "Record-Route"] {
            for value in request.headers(name) {
                text += &format!("{name}: {value}\r\n");
            }
        }
        let to = request.header("To").unwrap();
        let tag = if request.to_tag().is_some() || status.starts_with("100") {
            ""
        } else {
            ";tag=peer"
        };
        text += &format!("To: {to}{tag}\r\n");
        text += &format!("Contact: <sip:peer@{}>\r\n{extra}", self.addr());
        self.send(&finish(text, body)).await;
    }

    /// An initial INVITE to us.
    pub fn invite(&self, id: &str, extra: &str, body: &str) -> String {
        let addr = self.addr();
        let text = format!(
            "INVITE sip:+33123456789@{us} SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bK{id};rport\r\n\
             Max-Forwards: 70\r\nFrom: \"A\" <sip:+33111111111@{addr}>;tag=from{id}\r\n\
             To: <sip:+33123456789@{us}>\r\nCall-ID: {id}@peer\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:peer@{addr}>\r\n{extra}",
            us = self.us
        );
        finish(text, body)
    }

    /// A request in the dialog that `ok`, our 2xx to `invite`, made.
    pub fn in_dialog(
        &self,
        ok: &Message,
        method: &str,
        cseq: u32,
        branch: &str,
        body: &str,
    ) -> String {
        let addr = self.addr();
        let text = format!(
            "{method} sip:gateway@{us} SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bK{branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:peer@{addr}>\r\n",
            us = self.us,
            from = ok.header("From").unwrap(),
            to = ok.header("To").unwrap(),
            id = ok.header("Call-ID").unwrap(),
        );
        finish(text, body)
    }

    /// A request in the dialog that our INVITE and the peer's answer to it (tag `peer`) made.
    pub fn in_our_dialog(
        &self,
        invite: &Message,
        method: &str,
        cseq: u32,
        branch: &str,
        extra: &str,
        body: &str,
    ) -> String {
        let addr = self.addr();
        let text = format!(
            "{method} sip:gateway@{us} SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bK{branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: {to};tag=peer\r\nTo: {from}\r\nCall-ID: {id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:peer@{addr}>\r\n{extra}",
            us = self.us,
            from = invite.header("From").unwrap(),
            to = invite.header("To").unwrap(),
            id = invite.header("Call-ID").unwrap(),
        );
        finish(text, body)
    }
}

fn finish(mut text: String, body: &str) -> String {
    if !body.is_empty() && !text.contains("Content-Type") {
        text += "Content-Type: application/sdp\r\n";
    }
    format!("{text}Content-Length: {}\r\n\r\n{body}", body.len())
}
