//! The SIP that a fax machine would not speak: a telephone that answers and says nothing, and a bare INVITE.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::{net::UdpSocket, task::JoinHandle};

/// Answers every call with silence, and refuses T.38; ends when dropped.
pub struct SilentPhone {
    calls: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Drop for SilentPhone {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SilentPhone {
    pub async fn start(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).await.unwrap();
        // A port that swallows the caller's sound.
        let media = UdpSocket::bind(super::ports::local(0)).await.unwrap();
        let calls = Arc::new(AtomicU32::new(0));
        let counted = calls.clone();
        let task = tokio::spawn(async move {
            let port = media.local_addr().unwrap().port();
            let mut buffer = vec![0; 65_536];
            let mut answered = std::collections::HashSet::new();
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let method = request.split(' ').next().unwrap_or_default();
                let answer = match method {
                    "INVITE" if request.contains("image udptl") => {
                        response(&request, "488 Not Acceptable Here", None, address)
                    }
                    "INVITE" => {
                        if answered.insert(header(&request, "Call-ID").unwrap_or_default()) {
                            counted.fetch_add(1, Ordering::Relaxed);
                        }
                        let sdp = format!(
                            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                             m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
                        );
                        response(&request, "200 OK", Some(&sdp), address)
                    }
                    "ACK" => continue,
                    _ => response(&request, "200 OK", None, address),
                };
                let _ = socket.send_to(answer.as_bytes(), peer).await;
            }
        });
        Self { calls, task }
    }

    /// Calls that were answered.
    #[must_use]
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }
}

pub(super) fn header(request: &str, name: &str) -> Option<String> {
    request.lines().find_map(|line| {
        let (head, value) = line.split_once(':')?;
        head.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}

/// RFC 3261 §8.2.6: Via, From, Call-ID and CSeq are the request's, To gets our tag.
pub fn response(request: &str, status: &str, sdp: Option<&str>, address: SocketAddr) -> String {
    let mut answer = format!("SIP/2.0 {status}\r\n");
    for line in request.lines() {
        if let Some((head, value)) = line.split_once(':') {
            match head.to_ascii_lowercase().as_str() {
                "via" | "from" | "call-id" | "cseq" => answer.push_str(&format!("{line}\r\n")),
                "to" if value.contains("tag=") => answer.push_str(&format!("{line}\r\n")),
                "to" => answer.push_str(&format!("{line};tag=silent\r\n")),
                _ => {}
            }
        }
        if line.is_empty() {
            break;
        }
    }
    answer.push_str(&format!("Contact: <sip:silent@{address}>\r\n"));
    let body = sdp.unwrap_or_default();
    if sdp.is_some() {
        answer.push_str("Content-Type: application/sdp\r\n");
    }
    answer.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    answer
}

/// Calls a number at the gateway and gives every status up to the final one.
pub async fn invite(gateway: SocketAddr, number: &str) -> Vec<u16> {
    let socket = UdpSocket::bind(super::ports::local(0)).await.unwrap();
    let ours = socket.local_addr().unwrap();
    let id = faxpost::store::new_id();
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
               m=audio 9 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n";
    let head = |method: &str, to: &str| {
        format!(
            "{method} sip:{number}@{gateway} SIP/2.0\r\nVia: SIP/2.0/UDP {ours};branch=z9hG4bK{id}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:caller@{ours}>;tag=c\r\nTo: {to}\r\nCall-ID: {id}\r\n\
             CSeq: 1 {method}\r\nContact: <sip:caller@{ours}>\r\n"
        )
    };
    let to = format!("<sip:{number}@{gateway}>");
    let request = format!(
        "{}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        head("INVITE", &to),
        sdp.len()
    );
    socket.send_to(request.as_bytes(), gateway).await.unwrap();
    let mut statuses = Vec::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let answer = tokio::time::timeout(super::LIMIT, socket.recv(&mut buffer)).await;
        let length = answer.expect("an answer to INVITE").unwrap();
        let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let status: u16 = answer[8..11].parse().unwrap();
        statuses.push(status);
        if status >= 300 {
            // RFC 3261 §17.1.1.3: the ACK has the response's To.
            let to = header(&answer, "To").unwrap();
            let ack = format!("{}Content-Length: 0\r\n\r\n", head("ACK", &to));
            socket.send_to(ack.as_bytes(), gateway).await.unwrap();
        }
        if status >= 200 {
            return statuses;
        }
    }
}
