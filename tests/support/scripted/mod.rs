//! A far end that says what a script tells it to, page by page: real SIP, real T.38, its T.30 by hand.
//!
//! A fax machine of our own would confirm what it received; this one refuses, falls silent or hangs up
//! at the moment that a test names. It keeps no pages, but a record of every frame.

#[path = "../../../crates/fax/tests/script/ifp.rs"]
mod ifp;
pub mod media;
mod t30;

use std::{
    collections::HashMap,
    io::ErrorKind,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    net::UdpSocket,
    task::{JoinHandle, JoinSet},
};

use super::phone::{header, response};

/// What is said to a post-message command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The page is good.
    Mcf,
    /// The page is bad: train again.
    Rtn,
    /// The page is good: train again.
    Rtp,
    /// Nothing this time; the command that is repeated gets the next answer.
    Lost,
    /// Nothing, however often it is asked.
    Silence,
    /// DCN instead of an answer.
    Dcn,
    /// DCN while the page's data comes.
    DcnInPage,
    /// PPR until the sender lowers its rate by CTC, then MCF.
    PprUntilCtc,
    /// BYE instead of an answer.
    HangUp,
}

/// What is said to a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Training {
    /// It was good.
    Cfr,
    /// It failed.
    Ftt,
    /// DCN: nothing more is taken.
    Dcn,
}

/// What the machine says in one call; what is not told is MCF and CFR.
#[derive(Clone, Debug)]
pub struct Script {
    /// It offers error correction.
    pub ecm: bool,
    /// It takes a sub-address.
    pub takes_sub_address: bool,
    /// It takes a password.
    pub takes_password: bool,
    /// To each training.
    pub trainings: Vec<Training>,
    /// To each post-message command, blocks within a page left out.
    pub answers: Vec<Answer>,
}

impl Script {
    /// With error correction.
    #[must_use]
    pub fn ecm(answers: &[Answer]) -> Self {
        Self {
            ecm: true,
            takes_sub_address: false,
            takes_password: false,
            trainings: Vec::new(),
            answers: answers.to_vec(),
        }
    }

    /// Without error correction.
    #[must_use]
    pub fn plain(answers: &[Answer]) -> Self {
        Self {
            ecm: false,
            ..Self::ecm(answers)
        }
    }

    /// Takes a sub-address.
    #[must_use]
    pub fn taking_sub_address(mut self) -> Self {
        self.takes_sub_address = true;
        self
    }

    /// Takes a password.
    #[must_use]
    pub fn taking_password(mut self) -> Self {
        self.takes_password = true;
        self
    }

    /// Says these things to its trainings.
    #[must_use]
    pub fn trainings(mut self, trainings: &[Training]) -> Self {
        self.trainings = trainings.to_vec();
        self
    }
}

/// What stands behind the frames of a call that the gateway has hung up.
const BYE: &str = "(BYE)";

/// The frames of one call.
type Frames = Arc<Mutex<Vec<String>>>;

/// The machine. Ends when dropped.
pub struct ScriptedFax {
    calls: Arc<Mutex<Vec<Frames>>>,
    task: JoinHandle<()>,
}

impl Drop for ScriptedFax {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ScriptedFax {
    /// Answers calls at `address`: one script a call, the last for all that come after.
    pub async fn start(address: SocketAddr, speed: u32, scripts: &[Script]) -> Self {
        let until = Instant::now() + super::LIMIT;
        let socket = loop {
            match UdpSocket::bind(address).await {
                // A machine that was here is gone once its last call is.
                Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                bound => break bound.unwrap(),
            }
        };
        let calls = Arc::default();
        let machine = Machine {
            socket: Arc::new(socket),
            address,
            speed,
            scripts: scripts.to_vec(),
            calls: Arc::clone(&calls),
            open: HashMap::new(),
            running: JoinSet::new(),
        };
        let task = tokio::spawn(machine.run());
        Self { calls, task }
    }

    /// Ends it, and its port is free again.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// The frames of each call in order, its own with `> ` before them.
    #[must_use]
    pub fn frames(&self) -> Vec<Vec<String>> {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .map(|call| call.lock().unwrap().clone())
            .collect()
    }

    /// Of one call: the post-message commands and what was said to them.
    #[must_use]
    pub fn pages(&self, call: usize) -> Vec<String> {
        let mut frames = self.frames().swap_remove(call);
        let others = ["TSI", "> CSI", "> DIS", "> CFR", BYE];
        frames.retain(|name| !others.contains(&name.as_str()) && !name.starts_with("DCS"));
        frames
    }

    /// The rate of one call's first training, bit/s: above 9600 it is V.17.
    #[must_use]
    pub fn first_rate(&self, call: usize) -> Option<u32> {
        let frames = self.frames();
        let first = frames
            .get(call)?
            .iter()
            .find_map(|n| n.strip_prefix("DCS "))?;
        first.parse().ok()
    }

    /// Whether the gateway has hung up this call.
    #[must_use]
    pub fn is_over(&self, call: usize) -> bool {
        let frames = self.frames();
        frames
            .get(call)
            .is_some_and(|frames| frames.last().is_some_and(|last| last == BYE))
    }
}

/// A call that was answered.
struct Open {
    /// Swallows the caller's sound.
    audio: UdpSocket,
    number: usize,
    task: Option<tokio::task::AbortHandle>,
}

struct Machine {
    socket: Arc<UdpSocket>,
    address: SocketAddr,
    speed: u32,
    scripts: Vec<Script>,
    calls: Arc<Mutex<Vec<Frames>>>,
    open: HashMap<String, Open>,
    running: JoinSet<()>,
}

impl Machine {
    async fn run(mut self) {
        let mut buffer = vec![0; 65_536];
        while let Ok((length, peer)) = self.socket.recv_from(&mut buffer).await {
            let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let answer = match request.split(' ').next().unwrap_or_default() {
                "INVITE" if request.contains("image ") => self.fax(&request, peer).await,
                "INVITE" => self.sound(&request).await,
                "BYE" => {
                    let call = header(&request, "Call-ID").unwrap_or_default();
                    if let Some(open) = self.open.remove(&call) {
                        let log = self.calls.lock().unwrap()[open.number].clone();
                        log.lock().unwrap().push(BYE.to_owned());
                        if let Some(task) = open.task {
                            task.abort();
                        }
                    }
                    response(&request, "200 OK", None, self.address)
                }
                // ACK, and the answer to a BYE of ours.
                "ACK" | "SIP/2.0" => continue,
                _ => response(&request, "200 OK", None, self.address),
            };
            let _ = self.socket.send_to(answer.as_bytes(), peer).await;
        }
    }

    /// The first INVITE, or its repetition: answered with sound.
    async fn sound(&mut self, request: &str) -> String {
        let call = header(request, "Call-ID").unwrap_or_default();
        if !self.open.contains_key(&call) {
            let mut calls = self.calls.lock().unwrap();
            calls.push(Arc::default());
            let open = Open {
                audio: std::net::UdpSocket::bind(super::ports::local(0))
                    .and_then(|socket| {
                        socket.set_nonblocking(true)?;
                        UdpSocket::from_std(socket)
                    })
                    .unwrap(),
                number: calls.len() - 1,
                task: None,
            };
            self.open.insert(call.clone(), open);
        }
        let port = self.open[&call].audio.local_addr().unwrap().port();
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
        );
        response(request, "200 OK", Some(&sdp), self.address)
    }

    /// The INVITE to T.38: the script begins.
    async fn fax(&mut self, request: &str, peer: SocketAddr) -> String {
        let call = header(request, "Call-ID").unwrap_or_default();
        let Some(open) = self.open.get_mut(&call).filter(|open| open.task.is_none()) else {
            return response(
                request,
                "481 Call/Transaction Does Not Exist",
                None,
                self.address,
            );
        };
        let media = UdpSocket::bind(super::ports::local(0)).await.unwrap();
        let port = media.local_addr().unwrap().port();
        let script = &self.scripts[open.number.min(self.scripts.len() - 1)];
        let log = self.calls.lock().unwrap()[open.number].clone();
        let receiver = t30::Receiver::new(media, script, self.speed, log);
        let (socket, bye) = (self.socket.clone(), bye(request, self.address));
        let task = self.running.spawn(async move {
            if receiver.run().await == t30::End::HangUp {
                let _ = socket.send_to(bye.as_bytes(), peer).await;
            }
        });
        open.task = Some(task);
        let sdp = format!(
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=image {port} udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n\
             a=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxDatagram:400\r\n\
             a=T38FaxUdpEC:t38UDPRedundancy\r\n"
        );
        response(request, "200 OK", Some(&sdp), self.address)
    }
}

/// RFC 3261 §15.1.1: within the dialog of an INVITE to us, From and To change places.
fn bye(invite: &str, address: SocketAddr) -> String {
    let of = |name: &str| header(invite, name).unwrap_or_default();
    let contact = of("Contact");
    let target = contact.split(['<', '>']).nth(1).unwrap_or(contact.as_str());
    format!(
        "BYE {target} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{}\r\nMax-Forwards: 70\r\n\
         From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n",
        faxpost::store::new_id(),
        of("To"),
        of("From"),
        of("Call-ID"),
    )
}
