//! Two endpoints in lock-step: no sockets, no clock, no sleep.
#![allow(dead_code, clippy::unwrap_used)]

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use faxpost_fax::{
    AudioEndpoint, Ending, Event, Kept, PageGate, ReceivedPage, Station, T38Endpoint, TICK_SAMPLES,
    TxIfp, Verdict, Work, g711::Law,
};
use faxpost_t4::{Bitmap, Coding, FaxPage, Resolution, decode, encode, tiff};

/// Seconds of line time in ticks.
pub fn seconds(seconds: f64) -> u32 {
    (seconds * 50.0) as u32
}

/// A generator of the same numbers on every run (xorshift).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Page `number`: lines of "words", some 10 KB in MMR, page 7 some 100 KB, each page different.
pub fn picture(number: u64, resolution: Resolution) -> Bitmap {
    let height = match resolution {
        Resolution::Standard => 1100,
        Resolution::Fine => 2200,
        Resolution::Superfine => 4400,
    };
    let mut bitmap = Bitmap::new(1728, height);
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ (number + 1));
    for line in 0..40 {
        let top = 40 + line * height / 44;
        let mut x = 120;
        while x < 1560 {
            let wide = 4 + dice.roll(20) as usize;
            let tall = 8 + dice.roll(16) as usize;
            for y in top..(top + tall).min(height) {
                for across in 0..wide {
                    // Solid letters are light; every eighth page is dense, several blocks of ECM.
                    if number % 8 != 7 || (across * 7 + y * 3) % 11 < 6 {
                        bitmap.set_black(x + across, y);
                    }
                }
            }
            x += wide + 4 + dice.roll(12) as usize;
        }
    }
    bitmap
}

pub fn page(number: u64, resolution: Resolution) -> FaxPage {
    let bitmap = picture(number, resolution);
    FaxPage {
        width: bitmap.width(),
        height: bitmap.height(),
        resolution,
        coding: Coding::Mmr,
        data: encode(&bitmap, Coding::Mmr),
    }
}

/// Pages 0.. of these resolutions.
pub fn document(resolutions: &[Resolution]) -> Vec<FaxPage> {
    (0..)
        .zip(resolutions)
        .map(|(number, &resolution)| page(number, resolution))
        .collect()
}

pub fn three_pages() -> Vec<FaxPage> {
    static PAGES: OnceLock<Vec<FaxPage>> = OnceLock::new();
    PAGES
        .get_or_init(|| document(&[Resolution::Standard; 3]))
        .clone()
}

pub fn file(pages: &[FaxPage]) -> Vec<u8> {
    tiff::write(pages).unwrap()
}

pub fn pixels(page: &FaxPage) -> Bitmap {
    decode(&page.data, page.coding, page.width, Some(page.height)).unwrap()
}

/// The pages are these, bit for bit.
pub fn assert_same(got: &[FaxPage], expected: &[FaxPage]) {
    assert_eq!(got.len(), expected.len(), "pages");
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert_eq!(got.resolution, expected.resolution, "page {at}");
        assert!(pixels(got) == pixels(expected), "page {at} differs");
    }
}

/// When a page is kept.
#[derive(Clone, Copy, Debug)]
pub enum Commit {
    Now,
    /// The gate blocks for these ticks.
    Blocking(u32),
    /// The gate says pending for these ticks.
    Later(u32),
    Never,
    Refused,
}

/// A gate that keeps pages in memory.
#[derive(Clone)]
pub struct Shelf {
    pub pages: Arc<Mutex<Vec<ReceivedPage>>>,
    blocked: Arc<AtomicU32>,
    commit: Commit,
    left: u32,
}

impl Shelf {
    pub fn new(commit: Commit) -> Self {
        Self {
            pages: Arc::default(),
            blocked: Arc::default(),
            commit,
            left: 0,
        }
    }

    pub fn kept(&self) -> Vec<FaxPage> {
        self.pages
            .lock()
            .unwrap()
            .iter()
            .map(|page| page.page.clone())
            .collect()
    }

    /// Damaged rows of each page.
    pub fn bad_rows(&self) -> Vec<u32> {
        let pages = self.pages.lock().unwrap();
        pages.iter().map(|page| page.bad_rows).collect()
    }

    /// Ticks that the gate blocked and the far end must still pass alone.
    pub fn take_blocked(&self) -> u32 {
        self.blocked.swap(0, Ordering::Relaxed)
    }
}

impl PageGate for Shelf {
    fn keep(&mut self, page: ReceivedPage) -> Kept {
        self.pages.lock().unwrap().push(page);
        match self.commit {
            Commit::Now => Kept::Committed,
            Commit::Blocking(ticks) => {
                self.blocked.store(ticks, Ordering::Relaxed);
                Kept::Committed
            }
            Commit::Later(ticks) => {
                self.left = ticks;
                Kept::Pending
            }
            Commit::Never => {
                self.left = u32::MAX;
                Kept::Pending
            }
            Commit::Refused => Kept::Refused,
        }
    }

    fn poll(&mut self) -> Kept {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            Kept::Committed
        } else {
            Kept::Pending
        }
    }
}

/// What to do to a frame of an endpoint while it is on the way.
#[derive(Clone, Copy, Debug)]
pub enum Tamper {
    /// It is gone, preamble and all.
    Lose,
    /// It arrives with a bad checksum.
    Spoil,
    /// Replaces its facsimile control field.
    Become(u8),
}

/// The way of one endpoint's packets to the other.
#[derive(Default)]
pub struct Way {
    /// By name and count from 0 of the frame: what happens to it.
    tampers: HashMap<(String, u32), Tamper>,
    seen: HashMap<String, u32>,
    /// One for each frame that the endpoint queued and that is not yet wholly on the way.
    frames: VecDeque<Option<Tamper>>,
    octet: usize,
    queue: VecDeque<(u64, u16, Vec<u8>)>,
    /// From this tick on nothing passes.
    pub cut: Option<u64>,
    /// Of this many packets of image data one is lost.
    pub image_loss: Option<u64>,
    image_packets: u64,
    pub last_seq: u16,
    /// Nothing passes from `cut_delay` seconds after the endpoint queued a frame of this name.
    pub cut_after: Option<String>,
    pub cut_delay: f64,
}

impl Way {
    pub fn tampering(tampers: &[(&str, u32, Tamper)]) -> Self {
        let tampers = tampers
            .iter()
            .map(|&(name, count, tamper)| ((name.to_owned(), count), tamper))
            .collect();
        Self {
            tampers,
            ..Self::default()
        }
    }

    fn frame_sent(&mut self, name: &str, now: u64) {
        let count = self.seen.entry(name.to_owned()).or_default();
        self.frames
            .push_back(self.tampers.get(&(name.to_owned(), *count)).copied());
        *count += 1;
        if self.cut_after.as_deref() == Some(name) {
            self.cut = self.cut.or(Some(now + u64::from(seconds(self.cut_delay))));
        }
    }

    /// Puts a packet on the way, unless it is part of a frame that is lost.
    fn put(&mut self, now: u64, packet: TxIfp) {
        let TxIfp { seq, mut data, .. } = packet;
        self.last_seq = seq;
        let tamper = self.frames.front().copied().flatten();
        let mut lost = self.cut.is_some_and(|cut| now >= cut);
        if data[0] & 0x40 != 0 && data[0] != 0xC0 {
            self.image_packets += 1;
            lost |= self
                .image_loss
                .is_some_and(|of| self.image_packets.is_multiple_of(of));
        }
        // The V.21 preamble's indicator.
        lost |= data[0] == 0x06 && matches!(tamper, Some(Tamper::Lose));
        // V.21 data (T.38 §7.2.2, version 0): octet 0 C0, octet 1 the number of fields.
        if data[0] == 0xC0 {
            lost |= matches!(tamper, Some(Tamper::Lose));
            let mut at = 2;
            for _ in 0..data[1] {
                let (kind, present) = ((data[at] >> 4) & 7, data[at] & 0x80 != 0);
                if matches!(kind, 2 | 4) && matches!(tamper, Some(Tamper::Spoil)) {
                    data[at] += 0x10;
                }
                at += 1;
                if present {
                    let len = usize::from(u16::from_be_bytes([data[at], data[at + 1]])) + 1;
                    at += 2;
                    for octet in &mut data[at..at + len] {
                        // The third octet of a frame is its FCF, most significant bit first here.
                        if kind == 0
                            && self.octet == 2
                            && let Some(Tamper::Become(field)) = tamper
                        {
                            *octet = (field | (octet.reverse_bits() & 1)).reverse_bits();
                        }
                        self.octet += 1;
                    }
                    at += len;
                }
                if (2..=5).contains(&kind) && self.octet > 0 {
                    self.frames.pop_front();
                    self.octet = 0;
                }
            }
        }
        if !lost {
            self.queue.push_back((now + 2, seq, data));
        }
    }

    fn due(&mut self, now: u64) -> Option<(u16, Vec<u8>)> {
        if self.queue.front()?.0 > now {
            return None;
        }
        self.queue.pop_front().map(|(_, seq, data)| (seq, data))
    }
}

/// One end of a call and what it told.
pub struct End<E> {
    pub endpoint: E,
    pub events: Vec<Event>,
}

impl<E> End<E> {
    pub fn new(endpoint: E) -> Self {
        Self {
            endpoint,
            events: Vec::new(),
        }
    }

    pub fn ending(&self) -> &Ending {
        match self.events.last() {
            Some(Event::Ended(ending)) => ending,
            other => panic!("not ended: {other:?}"),
        }
    }

    pub fn verdicts(&self) -> Vec<Verdict> {
        self.ending()
            .pages
            .iter()
            .map(|page| page.verdict)
            .collect()
    }

    /// Names of the frames sent (`true`) or heard.
    pub fn frames(&self, ours: bool) -> Vec<&str> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Frame { sent, name, .. } if *sent == ours => Some(name.as_str()),
                _ => None,
            })
            .collect()
    }

    pub fn count(&self, ours: bool, frame: &str) -> usize {
        self.frames(ours)
            .iter()
            .filter(|&&name| name == frame)
            .count()
    }
}

/// A T.38 call.
pub struct T38Call {
    pub a: End<T38Endpoint>,
    pub b: End<T38Endpoint>,
    pub a_way: Way,
    pub b_way: Way,
    pub now: u64,
    pub shelf: Shelf,
}

impl T38Call {
    /// `a` calls and sends `pages`, `b` answers and keeps them as `commit` says.
    pub fn new(station: &Station, pages: &[FaxPage], commit: Commit) -> Self {
        Self::with(station, Work::send(file(pages)), commit)
    }

    pub fn with(station: &Station, work: Work, commit: Commit) -> Self {
        let shelf = Shelf::new(commit);
        let a = Station {
            ident: "+33123456789".into(),
            ..station.clone()
        };
        let b = Station {
            ident: "+49 30 1234".into(),
            ..station.clone()
        };
        Self {
            a: End::new(T38Endpoint::new(&a, work, true, 400).unwrap()),
            b: End::new(T38Endpoint::new(&b, Work::receive(shelf.clone()), false, 400).unwrap()),
            a_way: Way::default(),
            b_way: Way::default(),
            now: 0,
            shelf,
        }
    }

    pub fn tick(&mut self) {
        self.now += 1;
        move_packets(&mut self.a, &mut self.a_way, self.now);
        self.settle();
        move_packets(&mut self.b, &mut self.b_way, self.now);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some((seq, data)) = self.a_way.due(self.now) {
            self.b.endpoint.rx_ifp(seq, &data);
        }
        while let Some((seq, data)) = self.b_way.due(self.now) {
            self.a.endpoint.rx_ifp(seq, &data);
        }
        // While the gate blocks, the far end's time goes on and its packets wait.
        for _ in 0..self.shelf.take_blocked() {
            self.now += 1;
            move_packets(&mut self.a, &mut self.a_way, self.now);
        }
    }

    /// Ticks until both ends are over, or `most` seconds passed.
    pub fn run(mut self, most: f64) -> Self {
        let end = self.now + u64::from(seconds(most));
        while self.now < end && !(self.a.endpoint.is_ended() && self.b.endpoint.is_ended()) {
            self.tick();
        }
        take_events(&mut self.a, &mut self.a_way, self.now);
        take_events(&mut self.b, &mut self.b_way, self.now);
        self
    }
}

pub fn take_events(end: &mut End<T38Endpoint>, way: &mut Way, now: u64) {
    while let Some(event) = end.endpoint.next_event() {
        if let Event::Frame {
            sent: true, name, ..
        } = &event
        {
            way.frame_sent(name, now);
        }
        end.events.push(event);
    }
}

pub fn move_packets(end: &mut End<T38Endpoint>, way: &mut Way, now: u64) {
    take_events(end, way, now);
    end.endpoint.tick();
    while let Some(packet) = end.endpoint.take_tx_ifp() {
        way.put(now, packet);
    }
    take_events(end, way, now);
}

/// An audio call through G.711, with a delay of three ticks each way.
pub struct AudioCall {
    /// Of this many ticks of audio to the receiver one is lost.
    pub loss: Option<u64>,
    pub a: End<AudioEndpoint>,
    pub b: End<AudioEndpoint>,
    a_way: VecDeque<[i16; TICK_SAMPLES]>,
    b_way: VecDeque<[i16; TICK_SAMPLES]>,
    pub now: u64,
    pub law: Law,
    pub shelf: Shelf,
}

impl AudioCall {
    pub fn new(station: &Station, pages: &[FaxPage], commit: Commit) -> Self {
        Self::with(station, Work::send(file(pages)), commit)
    }

    pub fn with(station: &Station, work: Work, commit: Commit) -> Self {
        let shelf = Shelf::new(commit);
        let silent = VecDeque::from([[0; TICK_SAMPLES]; 3]);
        Self {
            a: End::new(AudioEndpoint::new(station, work, true).unwrap()),
            b: End::new(AudioEndpoint::new(station, Work::receive(shelf.clone()), false).unwrap()),
            a_way: silent.clone(),
            b_way: silent,
            now: 0,
            law: Law::A,
            loss: None,
            shelf,
        }
    }

    pub fn tick(&mut self) {
        self.now += 1;
        let mut tx = [0; TICK_SAMPLES];
        let rx = self.b_way.pop_front();
        self.a.endpoint.tick(rx.as_ref(), &mut tx);
        self.a_way
            .push_back(tx.map(|sample| self.law.decode(self.law.encode(sample))));
        let lost = self.loss.is_some_and(|of| self.now.is_multiple_of(of));
        let rx = self.a_way.pop_front().filter(|_| !lost);
        self.b.endpoint.tick(rx.as_ref(), &mut tx);
        self.b_way
            .push_back(tx.map(|sample| self.law.decode(self.law.encode(sample))));
        for end in [&mut self.a, &mut self.b] {
            while let Some(event) = end.endpoint.next_event() {
                end.events.push(event);
            }
        }
    }

    pub fn run(mut self, most: f64) -> Self {
        let end = self.now + u64::from(seconds(most));
        while self.now < end && !(self.a.endpoint.is_ended() && self.b.endpoint.is_ended()) {
            self.tick();
        }
        self
    }
}
