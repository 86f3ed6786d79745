//! As much of SIP as a load generator needs: one dialog a call, UDP, no authentication.

use std::net::SocketAddr;

/// A message, read.
pub struct Message<'a> {
    /// Request line or status line.
    pub first: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    pub body: &'a str,
}

impl<'a> Message<'a> {
    pub fn read(text: &'a str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let first = lines.next()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim(), value.trim()))
            .collect();
        Some(Self {
            first,
            headers,
            body,
        })
    }

    /// The status of an answer; `None` for a request.
    pub fn status(&self) -> Option<u16> {
        let rest = self.first.strip_prefix("SIP/2.0 ")?;
        rest.get(..3)?.parse().ok()
    }

    /// The method of a request.
    pub fn method(&self) -> &'a str {
        self.first.split(' ').next().unwrap_or_default()
    }

    /// The user part of a request's target.
    pub fn user(&self) -> &'a str {
        let target = self.first.split(' ').nth(1).unwrap_or_default();
        let target = target.split_once(':').map_or(target, |(_, rest)| rest);
        target.split(['@', ';']).next().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &'a str {
        self.all(name).next().unwrap_or_default()
    }

    fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'a str> + 'b {
        let same = move |(found, _): &&(&str, &str)| found.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| *value)
    }

    /// The method that an answer's CSeq names.
    pub fn answered_method(&self) -> &'a str {
        self.header("CSeq").split(' ').nth(1).unwrap_or_default()
    }

    /// What stands between the angle brackets of a header.
    pub fn uri(&self, name: &str) -> &'a str {
        let value = self.header(name);
        let inner = value.split_once('<').map_or(value, |(_, rest)| rest);
        inner.split('>').next().unwrap_or_default()
    }

    /// An answer (RFC 3261 §8.2.6.2).
    pub fn answer(&self, status: &str, tag: &str, ours: SocketAddr, sdp: Option<&str>) -> String {
        let mut answer = format!("SIP/2.0 {status}\r\n");
        for via in self.all("Via") {
            answer.push_str(&format!("Via: {via}\r\n"));
        }
        let to = self.header("To");
        let tag = if to.contains(";tag=") || tag.is_empty() {
            String::new()
        } else {
            format!(";tag={tag}")
        };
        answer.push_str(&format!(
            "From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:load@{ours}>\r\n",
            self.header("From"),
            self.header("Call-ID"),
            self.header("CSeq"),
        ));
        close(answer, sdp)
    }
}

fn close(mut message: String, sdp: Option<&str>) -> String {
    match sdp {
        Some(sdp) => message.push_str(&format!(
            "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        )),
        None => message.push_str("Content-Length: 0\r\n\r\n"),
    }
    message
}

/// Our side of a dialog that we began.
pub struct Dialog {
    pub call_id: String,
    /// Of the trunk, and of the gateway.
    pub ours: SocketAddr,
    pub theirs: SocketAddr,
    pub to_number: String,
    pub from_number: String,
    /// The To header as the answer had it, with its tag, and where the far end wants requests.
    pub to: Option<(String, String)>,
}

impl Dialog {
    fn request(&self, method: &str, branch: &str, sdp: Option<&str>) -> String {
        let first_target = format!("sip:{}@{}", self.to_number, self.theirs);
        let (to, target) = self
            .to
            .clone()
            .unwrap_or_else(|| (format!("<{first_target}>"), first_target.clone()));
        let head = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {ours};branch=z9hG4bK{id}{branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{from}@{ours}>;tag=f{id}\r\nTo: {to}\r\nCall-ID: {id}\r\n\
             CSeq: 1 {method}\r\nContact: <sip:load@{ours}>\r\n\
             Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\n",
            ours = self.ours,
            id = self.call_id,
            from = self.from_number,
        );
        close(head, sdp)
    }

    pub fn invite(&self, sdp: &str) -> String {
        self.request("INVITE", "i", Some(sdp))
    }

    /// The ACK of a 200 is a transaction of its own, that of a refusal belongs to the INVITE's (RFC 3261
    /// §13.2.2.4, §17.1.1.3).
    pub fn ack(&self, refused: bool) -> String {
        self.request("ACK", if refused { "i" } else { "a" }, None)
    }
}

/// Where an SDP wants its media, and the largest datagram it takes.
pub struct Wanted {
    pub addr: SocketAddr,
    pub t38: bool,
    pub max_datagram: u32,
}

/// Reads the first stream of an SDP.
pub fn wanted(sdp: &str) -> Option<Wanted> {
    let field = |key: &str| sdp.lines().find_map(|line| line.strip_prefix(key));
    let host = field("c=IN IP4 ")?.trim();
    let mut media = field("m=")?.split(' ');
    let t38 = media.next()? == "image";
    let port: u16 = media.next()?.parse().ok()?;
    let max_datagram = field("a=T38FaxMaxDatagram:")
        .and_then(|octets| octets.trim().parse().ok())
        .unwrap_or(400);
    Some(Wanted {
        addr: SocketAddr::new(host.parse().ok()?, port),
        t38,
        max_datagram,
    })
}

/// Our SDP, as offer and as answer.
pub fn sdp(media: SocketAddr, t38: bool) -> String {
    let (ip, port) = (media.ip(), media.port());
    let stream = if t38 {
        format!(
            "m=image {port} udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n\
             a=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxBuffer:2000\r\n\
             a=T38FaxMaxDatagram:400\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n"
        )
    } else {
        format!("m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n")
    };
    format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n{stream}")
}
