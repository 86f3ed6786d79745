//! The far end of every trunk: one thread that answers calls, places calls, and ticks a fax machine for
//! each, all over real sockets and in real time.
//!
//! It is cheap rather than complete: a few media sockets serve all calls, told apart by the gateway's
//! address, and no socket is waited for; every 2 ms all are looked at.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use faxpost_fax::{Ending, Event, Verdict};
use faxpost_t4::FaxPage;

use super::{
    media::{Media, Pages, Task},
    sip::{Dialog, Message, Wanted, sdp, wanted},
};

/// Sockets are looked at this often, and the calls are ticked in ten turns.
const TURN: Duration = Duration::from_millis(2);
const TURNS: usize = 10;
/// The nice value of its thread, and of no other (Linux has one for each thread).
const FIRST: i32 = -15;
/// Media sockets: each has room for some hundred packets until it is looked at.
const SOCKETS: usize = 32;
/// INVITEs that wait for an answer, and answers that wait for an ACK, are sent again (RFC 3261 T1).
const AGAIN: Duration = Duration::from_millis(500);
const MOST_TIMES: u32 = 7;
/// How long the gateway may take to hang up after the fax.
const GOODBYE: Duration = Duration::from_secs(20);

/// What is done with a call to a number: the first digit after the trunk's prefix says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Answered.
    Take,
    /// Rings for ever.
    Ring,
    /// Refused: busy, or a number that nobody has.
    Busy,
    Nobody,
}

impl Manner {
    /// A number that is treated so, behind the prefix `+3319n`.
    pub fn number(self, prefix: &str, serial: u32) -> String {
        let digit = match self {
            Self::Take => 1,
            Self::Ring => 2,
            Self::Busy => 3,
            Self::Nobody => 4,
        };
        format!("{prefix}{digit}{serial:05}")
    }

    fn of(number: &str) -> Self {
        match number.as_bytes().get("+33199".len()) {
            Some(b'2') => Self::Ring,
            Some(b'3') => Self::Busy,
            Some(b'4') => Self::Nobody,
            _ => Self::Take,
        }
    }
}

/// How a call went.
pub struct Outcome {
    /// The gateway sent the fax.
    pub sent_by_gateway: bool,
    /// The pages that came, where it did.
    pub pages: Vec<FaxPage>,
    /// T.30's ending, if the call came so far, and the answered call's time on the clock.
    pub ending: Option<Ending>,
    pub lasted: Duration,
    /// What was wrong with it.
    pub fault: Option<String>,
}

impl Outcome {
    /// All pages that we sent are confirmed.
    pub fn is_confirmed(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| {
            !ending.pages.is_empty()
                && (ending.pages.iter()).all(|page| page.verdict == Verdict::Confirmed)
        })
    }
}

/// Calls for the generator to place.
pub struct Order {
    pub trunk: usize,
    pub to: String,
    pub t38: bool,
    pub tiff: Arc<[u8]>,
}

/// What the generator tells.
#[derive(Default)]
pub struct Told {
    /// Calls that are up, and how many were at most.
    pub up: AtomicUsize,
    pub most_up: AtomicUsize,
    /// How late it was at worst, microseconds.
    pub late_us: AtomicUsize,
    outcomes: Mutex<Vec<Outcome>>,
}

impl Told {
    fn outcomes(&self) -> MutexGuard<'_, Vec<Outcome>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn ended(&self) -> usize {
        self.outcomes().len()
    }

    /// Takes the outcomes and begins anew.
    pub fn take(&self) -> Vec<Outcome> {
        std::mem::take(&mut *self.outcomes())
    }

    pub fn reset(&self) {
        self.most_up.store(0, Ordering::Relaxed);
        self.late_us.store(0, Ordering::Relaxed);
        self.outcomes().clear();
    }
}

/// The running generator.
pub struct Far {
    pub told: Arc<Told>,
    /// When the INVITE to a number came.
    pub invites: tokio::sync::mpsc::UnboundedReceiver<(String, Instant)>,
    /// Where its trunks are.
    pub trunks: Vec<SocketAddr>,
    orders: mpsc::Sender<Order>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Far {
    /// Starts it with so many trunks that lead to `gateway`.
    pub fn start(gateway: SocketAddr, trunks: usize) -> io::Result<Self> {
        let bind = || -> io::Result<UdpSocket> {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let sip = (0..trunks).map(|_| bind()).collect::<Result<Vec<_>, _>>()?;
        let media = (0..SOCKETS)
            .map(|_| bind())
            .collect::<Result<Vec<_>, _>>()?;
        let addresses = |sockets: &[UdpSocket]| {
            (sockets.iter().map(UdpSocket::local_addr)).collect::<Result<Vec<_>, _>>()
        };
        let (orders, ordered) = mpsc::channel();
        let (seen, invites) = tokio::sync::mpsc::unbounded_channel();
        let told = Arc::<Told>::default();
        let stop = Arc::<AtomicBool>::default();
        let trunks = addresses(&sip)?;
        let work = Work {
            gateway,
            sip_addresses: trunks.clone(),
            media_addresses: addresses(&media)?,
            sip,
            media,
            calls: Vec::new(),
            by_id: HashMap::new(),
            by_peer: HashMap::new(),
            turns: std::array::from_fn(|_| Vec::new()),
            serial: 0,
            ordered,
            seen,
            told: told.clone(),
            stop: stop.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("far-end".into())
            .spawn(move || work.run())?;
        Ok(Self {
            told,
            invites,
            trunks,
            orders,
            stop,
            thread: Some(thread),
        })
    }

    /// Places a call.
    pub fn call(&self, order: Order) {
        // Its thread ends with this alone.
        let _ = self.orders.send(order);
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A message that is sent again until it is answered.
struct Pending {
    message: String,
    next: Instant,
    times: u32,
}

/// A call, known by its Call-ID until the gateway has hung up and a while after.
struct Live {
    call_id: String,
    trunk: usize,
    sent_by_gateway: bool,
    dialog: Option<Dialog>,
    /// What the last request of the gateway was answered with, for its repeats.
    answer: String,
    pending: Option<Pending>,
    socket: usize,
    peer: Option<SocketAddr>,
    media: Option<Media>,
    pages: Pages,
    tiff: Option<Arc<[u8]>>,
    up_since: Option<Instant>,
    ending: Option<Ending>,
    ended_at: Option<Instant>,
    done: bool,
}

struct Work {
    gateway: SocketAddr,
    sip: Vec<UdpSocket>,
    sip_addresses: Vec<SocketAddr>,
    media: Vec<UdpSocket>,
    media_addresses: Vec<SocketAddr>,
    calls: Vec<Live>,
    by_id: HashMap<String, usize>,
    by_peer: HashMap<SocketAddr, usize>,
    /// The calls of each turn.
    turns: [Vec<usize>; TURNS],
    serial: u32,
    ordered: mpsc::Receiver<Order>,
    seen: tokio::sync::mpsc::UnboundedSender<(String, Instant)>,
    told: Arc<Told>,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn run(mut self) {
        // Before the rest of this process on its processor: the rest of it measures, and may be late. Without
        // the right to it, they share.
        let _ = rustix::process::setpriority_process(None, FIRST);
        let mut next = Instant::now();
        let mut turn = 0;
        while !self.stop.load(Ordering::Relaxed) {
            while let Ok(order) = self.ordered.try_recv() {
                self.place(order);
            }
            self.hear_sip();
            self.hear_media();
            self.tick(turn);
            if turn == 0 {
                self.look_after();
            }
            turn = (turn + 1) % TURNS;
            next += TURN;
            let now = Instant::now();
            let late = now.saturating_duration_since(next);
            let late_us = usize::try_from(late.as_micros()).unwrap_or(usize::MAX);
            self.told.late_us.fetch_max(late_us, Ordering::Relaxed);
            std::thread::sleep(next.saturating_duration_since(now));
        }
    }

    fn send(&self, trunk: usize, message: &str) {
        // What is lost is sent again.
        let _ = self.sip[trunk].send_to(message.as_bytes(), self.gateway);
    }

    // Signalling.

    fn hear_sip(&mut self) {
        let mut buffer = vec![0; 65_536];
        for trunk in 0..self.sip.len() {
            while let Ok(length) = self.sip[trunk].recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let Some(message) = Message::read(&text) else {
                    continue;
                };
                match message.status() {
                    Some(status) => self.answered(&message, status),
                    None => self.asked(trunk, &message),
                }
            }
        }
    }

    fn asked(&mut self, trunk: usize, message: &Message<'_>) {
        let ours = self.sip_addresses[trunk];
        let known = self.by_id.get(message.header("Call-ID")).copied();
        match (message.method(), known) {
            ("INVITE", None) => self.offered(trunk, message),
            // A repeat. Other media are not taken in the middle of a call.
            ("INVITE", Some(at)) if message.header("To").contains(";tag=") => {
                let no = message.answer("488 Not Acceptable Here", "", ours, None);
                self.calls[at].answer.clone_from(&no);
                self.send(trunk, &no);
            }
            ("INVITE", Some(at)) => self.send(trunk, &self.calls[at].answer),
            ("ACK", Some(at)) => self.calls[at].pending = None,
            ("BYE", Some(at)) => {
                self.send(trunk, &message.answer("200 OK", "", ours, None));
                self.hung_up(at);
            }
            ("CANCEL", Some(at)) => {
                self.send(trunk, &message.answer("200 OK", "", ours, None));
                let refusal = self.calls[at].answer.replacen(
                    "SIP/2.0 180 Ringing",
                    "SIP/2.0 487 Request Terminated",
                    1,
                );
                self.send(trunk, &refusal);
                self.calls[at].answer = refusal;
                self.calls[at].done = true;
            }
            ("ACK", None) => {}
            _ => self.send(trunk, &message.answer("200 OK", "o", ours, None)),
        }
    }

    /// A call comes from the gateway.
    fn offered(&mut self, trunk: usize, message: &Message<'_>) {
        let number = message.user().to_owned();
        let manner = Manner::of(&number);
        let _ = self.seen.send((number, Instant::now()));
        self.serial += 1;
        let (tag, ours) = (format!("l{}", self.serial), self.sip_addresses[trunk]);
        let mut call = Live {
            call_id: message.header("Call-ID").to_owned(),
            trunk,
            sent_by_gateway: true,
            dialog: None,
            answer: String::new(),
            pending: None,
            socket: self.serial as usize % SOCKETS,
            peer: None,
            media: None,
            pages: Pages::default(),
            tiff: None,
            up_since: None,
            ending: None,
            ended_at: None,
            done: false,
        };
        let refused = match manner {
            Manner::Take => None,
            Manner::Ring => Some("180 Ringing"),
            Manner::Busy => Some("486 Busy Here"),
            Manner::Nobody => Some("404 Not Found"),
        };
        let offer = wanted(message.body);
        if let (None, Some(offer)) = (refused, offer) {
            let answer = sdp(self.media_addresses[call.socket], offer.t38);
            call.answer = message.answer("200 OK", &tag, ours, Some(&answer));
            self.send(trunk, &call.answer);
            call.pending = Some(pending(call.answer.clone()));
            let at = self.add(call);
            self.up(at, &offer);
            return;
        }
        call.answer = message.answer(
            refused.unwrap_or("488 Not Acceptable Here"),
            &tag,
            ours,
            None,
        );
        call.done = manner != Manner::Ring;
        self.send(trunk, &call.answer);
        self.add(call);
    }

    fn add(&mut self, call: Live) -> usize {
        let at = self.calls.len();
        self.by_id.insert(call.call_id.clone(), at);
        self.calls.push(call);
        at
    }

    /// A call to the gateway.
    fn place(&mut self, order: Order) {
        self.serial += 1;
        let socket = self.serial as usize % SOCKETS;
        let offer = sdp(self.media_addresses[socket], order.t38);
        let dialog = Dialog {
            call_id: format!("load{}-{}", std::process::id(), self.serial),
            ours: self.sip_addresses[order.trunk],
            theirs: self.gateway,
            to_number: order.to,
            from_number: "+33123456789".into(),
            to: None,
        };
        let invite = dialog.invite(&offer);
        self.send(order.trunk, &invite);
        self.add(Live {
            call_id: dialog.call_id.clone(),
            trunk: order.trunk,
            sent_by_gateway: false,
            dialog: Some(dialog),
            answer: String::new(),
            pending: Some(pending(invite)),
            socket,
            peer: None,
            media: None,
            pages: Pages::default(),
            tiff: Some(order.tiff),
            up_since: None,
            ending: None,
            ended_at: None,
            done: false,
        });
    }

    /// The gateway answers an INVITE of ours.
    fn answered(&mut self, message: &Message<'_>, status: u16) {
        let Some(&at) = self.by_id.get(message.header("Call-ID")) else {
            return;
        };
        let call = &mut self.calls[at];
        let Some(dialog) = &mut call.dialog else {
            return;
        };
        if message.answered_method() != "INVITE" {
            return;
        }
        if status < 200 {
            // It is being seen to: nothing is sent again (RFC 3261 §17.1.1.2).
            call.pending = None;
            return;
        }
        call.pending = None;
        let refused = status >= 300;
        let target = if refused {
            format!("sip:{}@{}", dialog.to_number, dialog.theirs)
        } else {
            message.uri("Contact").to_owned()
        };
        dialog.to = Some((message.header("To").to_owned(), target));
        let ack = dialog.ack(refused);
        let (trunk, known) = (call.trunk, call.up_since.is_some() || call.done);
        self.send(trunk, &ack);
        if known {
            return;
        }
        match wanted(message.body).filter(|_| !refused) {
            Some(answer) => self.up(at, &answer),
            None => self.over(at, Some(format!("the gateway answered {status}"))),
        }
    }

    // Calls.

    /// The call stands.
    fn up(&mut self, at: usize, wanted: &Wanted) {
        let call = &mut self.calls[at];
        let task = match &call.tiff {
            Some(tiff) => Task::Send(tiff.clone()),
            None => Task::Receive(call.pages.clone()),
        };
        match Media::start(wanted, task, u32::try_from(at).unwrap_or(0)) {
            Ok(media) => call.media = Some(media),
            Err(error) => {
                self.over(at, Some(error.to_string()));
                return;
            }
        }
        call.up_since = Some(Instant::now());
        call.peer = Some(wanted.addr);
        self.by_peer.insert(wanted.addr, at);
        // The turn with the fewest calls.
        if let Some(turn) = self.turns.iter_mut().min_by_key(|turn| turn.len()) {
            turn.push(at);
        }
        let up = self.told.up.fetch_add(1, Ordering::Relaxed) + 1;
        self.told.most_up.fetch_max(up, Ordering::Relaxed);
    }

    fn hear_media(&mut self) {
        let mut buffer = [0; 2048];
        for socket in &self.media {
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if let Some(&at) = self.by_peer.get(&from)
                    && let Some(media) = &mut self.calls[at].media
                {
                    media.hear(&buffer[..length]);
                }
            }
        }
    }

    fn tick(&mut self, turn: usize) {
        for &at in &self.turns[turn] {
            let call = &mut self.calls[at];
            let (Some(media), Some(peer)) = (&mut call.media, call.peer) else {
                continue;
            };
            media.tick(&self.media[call.socket], peer);
            while let Some(event) = media.call().next_event() {
                if let Event::Ended(ending) = event {
                    call.ending = Some(ending);
                    call.ended_at = Some(Instant::now());
                }
            }
        }
        let calls = &self.calls;
        self.turns[turn].retain(|&at| calls[at].media.is_some());
    }

    /// The gateway hung up.
    fn hung_up(&mut self, at: usize) {
        let call = &mut self.calls[at];
        if let Some(media) = &mut call.media {
            media.call().terminate();
            while let Some(event) = media.call().next_event() {
                if let Event::Ended(ending) = event {
                    call.ending = Some(ending);
                }
            }
        }
        self.over(at, None);
    }

    /// The call is over: told, and nothing of it kept but its answer.
    fn over(&mut self, at: usize, fault: Option<String>) {
        let call = &mut self.calls[at];
        if std::mem::replace(&mut call.done, true) {
            return;
        }
        call.media = None;
        call.pending = None;
        if let Some(peer) = call.peer.take() {
            self.by_peer.remove(&peer);
            self.told.up.fetch_sub(1, Ordering::Relaxed);
        }
        let pages = std::mem::take(&mut *call.pages.lock().unwrap_or_else(PoisonError::into_inner));
        self.told.outcomes().push(Outcome {
            sent_by_gateway: call.sent_by_gateway,
            pages,
            ending: call.ending.take(),
            lasted: call
                .up_since
                .map_or(Duration::ZERO, |since| since.elapsed()),
            fault,
        });
    }

    /// What is late: answers, and hanging up.
    fn look_after(&mut self) {
        let now = Instant::now();
        for at in 0..self.calls.len() {
            if self.calls[at].done {
                continue;
            }
            let call = &mut self.calls[at];
            if let Some(pending) = &mut call.pending
                && now >= pending.next
            {
                pending.times += 1;
                pending.next = now + AGAIN * 2_u32.pow(pending.times);
                let (trunk, message) = (call.trunk, pending.message.clone());
                if pending.times > MOST_TIMES {
                    self.over(at, Some("the gateway does not answer".into()));
                } else {
                    self.send(trunk, &message);
                }
            } else if call.ended_at.is_some_and(|ended| now > ended + GOODBYE) {
                self.over(at, Some("the gateway does not hang up".into()));
            }
        }
    }
}

fn pending(message: String) -> Pending {
    Pending {
        message,
        next: Instant::now() + AGAIN,
        times: 0,
    }
}
