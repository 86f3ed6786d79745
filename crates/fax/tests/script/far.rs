//! The far end of a script, and the endpoint of ours that it speaks to.

use std::collections::VecDeque;

use faxpost_fax::{
    Event, Station, T38Endpoint, Work,
    frames::{fcf, fcf_of, rate_of},
};
use faxpost_t4::{Bitmap, Coding, EncodeOptions, FaxPage, Resolution, encode, encode_with};

use super::{
    frames,
    ifp::{self, Deframer, Heard},
    read::{Script, Step, Word},
};
use crate::common::{Commit, Shelf, assert_same, file, picture, seconds};

/// Before a turn of the far end's, after one of ours, in seconds (T.30 §5.3.1: 55 ms at least).
const TURN: f64 = 0.3;
/// How long a call may go on when its script is over.
const LONGEST: f64 = 300.0;

/// Plays a script, and sees that all is as it says.
pub fn play(script: &Script) -> Result<(), String> {
    let mut far = Far::new(script);
    let played = far.steps(&script.steps);
    let told = far.told();
    played.map_err(|why| format!("{why}\n  {told}"))?;
    far.finish()?;
    far.judge(script)
        .map_err(|why| format!("{why}\n  {told}\n  {:?}", far.events.last()))
}

/// Leaflets, some seconds of line time each.
fn leaflet(number: u64, resolution: Resolution) -> FaxPage {
    let rows = picture(number, resolution).cut_rows(0, 160);
    FaxPage::encode(&rows, resolution, Coding::Mmr)
}

struct Far {
    endpoint: T38Endpoint,
    shelf: Shelf,
    /// We are the caller: the far end answers.
    answers: bool,
    events: Vec<Event>,
    deframer: Deframer,
    heard: VecDeque<Heard>,
    seq: u16,
    /// The rate that the last DCS or CTC of the far end's named.
    rate: u32,
    ecm: bool,
    /// Pages that the far end sent whole.
    sent: Vec<FaxPage>,
    /// The page on the line.
    page: u64,
    /// Its frames, with error correction.
    frames: usize,
    log: Vec<String>,
    ticks: u64,
}

impl Far {
    fn new(script: &Script) -> Self {
        let station = Station {
            ident: "+33123456789".into(),
            ecm: script.ecm,
            ..Station::default()
        };
        let shelf = Shelf::new(match script.keep_after {
            Some(after) => Commit::Later(seconds(after)),
            None => Commit::Now,
        });
        let answers = !script.pages.is_empty();
        let work = if answers {
            let pages: Vec<FaxPage> = (0..)
                .zip(&script.pages)
                .map(|(number, &resolution)| leaflet(number, resolution))
                .collect();
            let mut work = Work::send(file(&pages));
            if let Work::Send {
                sub_address,
                password,
                ..
            } = &mut work
            {
                sub_address.clone_from(&script.sub_address);
                password.clone_from(&script.password);
            }
            work
        } else {
            Work::receive(shelf.clone())
        };
        let mut far = Self {
            endpoint: T38Endpoint::new(&station, work, answers, 400).expect("memory for a call"),
            shelf,
            answers,
            events: Vec::new(),
            deframer: Deframer::default(),
            heard: VecDeque::new(),
            seq: 0,
            rate: 14_400,
            ecm: false,
            sent: Vec::new(),
            page: 0,
            frames: 0,
            log: Vec::new(),
            ticks: 0,
        };
        // CED of who answers, CNG of who calls (T.30 §4).
        let tone = if answers { ifp::CED } else { 1 };
        far.put(&ifp::indicator(tone));
        far.pass(1.0);
        far.put(&ifp::indicator(ifp::NO_SIGNAL));
        far
    }

    fn put(&mut self, packet: &[u8]) {
        self.endpoint.rx_ifp(self.seq, packet);
        self.seq = self.seq.wrapping_add(1);
    }

    fn tick(&mut self) {
        self.ticks += 1;
        self.endpoint.tick();
        while let Some(packet) = self.endpoint.take_tx_ifp() {
            let heard = self.deframer.packet(&packet.data);
            for heard in &heard {
                if let Heard::Frame(frame) = heard {
                    self.log.push(frames::name(frame));
                }
            }
            self.heard.extend(heard);
        }
        while let Some(event) = self.endpoint.next_event() {
            self.events.push(event);
        }
    }

    /// Line time passes.
    fn pass(&mut self, time: f64) {
        for _ in 0..seconds(time) {
            self.tick();
        }
    }

    fn told(&self) -> String {
        format!("{} s: {}", self.ticks / 50, self.log.join(", "))
    }

    fn steps(&mut self, steps: &[(usize, Step)]) -> Result<(), String> {
        for (line, step) in steps {
            let done = match step {
                Step::Send(words) => {
                    self.send(words);
                    Ok(())
                }
                Step::Expect(words, within) => self.expect(words, *within),
                Step::Nothing(time) => self.nothing(*time),
                Step::Wait(time) => {
                    self.pass(*time);
                    Ok(())
                }
                Step::HangUp => {
                    self.endpoint.terminate();
                    Ok(())
                }
                Step::Times(count, steps) => {
                    (0..*count).try_for_each(|_| self.steps(steps))?;
                    Ok(())
                }
            };
            done.map_err(|why| format!("line {line}: {why}"))?;
        }
        Ok(())
    }

    /// What comes next from us, awaited for so many seconds from now.
    fn next(&mut self, end: u64) -> Option<Heard> {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return Some(heard);
            }
            if self.ticks >= end || self.endpoint.is_ended() {
                return None;
            }
            self.tick();
        }
    }

    fn expect(&mut self, words: &[Word], within: f64) -> Result<(), String> {
        let end = self.ticks + u64::from(seconds(within));
        let what = words[0].name.as_str();
        if matches!(what, "TCF" | "page") {
            return self.expect_data(what, end);
        }
        // What is left of image data, or of a training, is over with the first frame.
        let mut turn: Vec<Vec<u8>> = Vec::new();
        loop {
            match self.next(end) {
                Some(Heard::Frame(frame)) => turn.push(frame),
                Some(Heard::Turn) if !turn.is_empty() => break,
                Some(_) => {}
                None => return Err(format!("{what} does not come")),
            }
        }
        let mut rest = turn.iter();
        for word in words {
            if !rest.any(|frame| frames::is(frame, word)) {
                let came: Vec<_> = turn.iter().map(|frame| frames::name(frame)).collect();
                return Err(format!("{} is missing among {came:?}", word.name));
            }
        }
        match rest.next() {
            None => Ok(()),
            Some(frame) => Err(format!("{} comes behind", frames::name(frame))),
        }
    }

    fn expect_data(&mut self, what: &str, end: u64) -> Result<(), String> {
        let mut octets = 0;
        loop {
            match self.next(end) {
                Some(Heard::Data(count)) => octets += count,
                Some(Heard::DataEnd) if octets > 0 => return Ok(()),
                // With error correction it ends in frames that aren't V.21's.
                Some(heard @ Heard::Frame(_)) if octets > 0 && what == "page" => {
                    self.heard.push_front(heard);
                    return Ok(());
                }
                Some(Heard::Frame(frame)) => {
                    return Err(format!("{} comes instead of {what}", frames::name(&frame)));
                }
                Some(_) => {}
                None => return Err(format!("{what} does not come")),
            }
        }
    }

    fn nothing(&mut self, time: f64) -> Result<(), String> {
        let end = self.ticks + u64::from(seconds(time));
        while let Some(heard) = self.next(end) {
            if let Heard::Frame(frame) = heard {
                return Err(format!("{} comes", frames::name(&frame)));
            }
        }
        Ok(())
    }

    fn send(&mut self, words: &[Word]) {
        self.pass(TURN);
        let Some(word) = words.first() else { return };
        match word.name.as_str() {
            "TCF" => self.training_check(word.says.is_empty()),
            "page" if self.ecm => self.page_in_frames(word),
            "page" => self.plain_page(word),
            _ => self.turn(words),
        }
    }

    fn frame(&self, word: &Word) -> Vec<u8> {
        let mut frame = frames::frame(word, self.answers);
        if fcf_of(frame[2]) == fcf::PPS && frame.len() == 4 {
            // Page, block and frames less one (T.30 Annex A §A.4.3).
            frame.extend([self.page as u8, 0, (self.frames - 1) as u8]);
        }
        frame
    }

    fn turn(&mut self, words: &[Word]) {
        let turn: Vec<Vec<u8>> = words.iter().map(|word| self.frame(word)).collect();
        for frame in &turn {
            self.log.push(format!("> {}", frames::name(frame)));
            match fcf_of(frame[2]) {
                fcf::DCS if frame.len() > 5 => {
                    self.rate = rate_of(frame[4]).unwrap_or(2400);
                    self.ecm = frame.get(6).is_some_and(|octet| octet & 4 != 0);
                }
                fcf::CTC if frame.len() > 4 => {
                    self.rate = rate_of(frame[4]).unwrap_or(2400);
                }
                _ => {}
            }
        }
        let mut packets = ifp::turn(&turn);
        for (at, word) in words.iter().enumerate() {
            if word.spoilt {
                // Behind the preamble each frame is two packets, its octets and its end: FCS OK becomes FCS bad
                // (T.38 Table 5).
                packets[2 + at * 2][2] += 0x10;
            }
        }
        packets.iter().for_each(|packet| self.put(packet));
    }

    /// The training's indicator and data type of the rate (T.38 Tables 3 and 4); V.17 with its short training.
    fn modem(&self, long: bool) -> (u8, u8) {
        let (short, data) = match self.rate {
            2400 => return (4, 1),
            4800 => return (5, 2),
            7200 => (8, 5),
            9600 => (10, 6),
            12_000 => (12, 7),
            _ => (14, 8),
        };
        (short + u8::from(long), data)
    }

    fn octets_a_tick(&self) -> usize {
        self.rate as usize / 8 / 50
    }

    fn train(&mut self, long: bool) -> u8 {
        let (indicator, data) = self.modem(long);
        self.put(&ifp::indicator(indicator));
        self.pass(0.2);
        data
    }

    /// T.30 §5.3.6.1.3: zeros for 1.5 s.
    fn training_check(&mut self, good: bool) {
        let octet = if good { 0 } else { 0x55 };
        let data = vec![octet; self.rate as usize / 8 * 3 / 2];
        let modem = self.train(true);
        self.image(modem, &data);
        self.log.push("> TCF".to_owned());
    }

    /// Image without frames.
    fn image(&mut self, modem: u8, octets: &[u8]) {
        let packets = octets.chunks(self.octets_a_tick().max(1));
        let packets: Vec<_> = packets.map(|part| data(modem, 6, part)).collect();
        for packet in packets {
            self.put(&packet);
            self.tick();
        }
        self.put(&data(modem, 7, &[]));
        self.put(&ifp::indicator(ifp::NO_SIGNAL));
    }

    fn rows(&mut self, word: &Word) -> Bitmap {
        self.page = word.says[0].parse().unwrap();
        let page = leaflet(self.page, Resolution::Standard);
        if self.sent.len() == self.page as usize {
            self.sent.push(page);
        }
        picture(self.page, Resolution::Standard).cut_rows(0, 160)
    }

    fn plain_page(&mut self, word: &Word) {
        let options = EncodeOptions {
            end_of_page: true,
            ..EncodeOptions::for_page(Coding::Mh)
        };
        let rows = self.rows(word);
        let mut octets = encode_with(&rows, Coding::Mh, &options);
        match word.says.get(1).map(String::as_str) {
            // Half of the rows are spoilt; or the carrier breaks off within.
            Some("bad") => octets
                .iter_mut()
                .skip(200)
                .step_by(40)
                .for_each(|o| *o ^= 0x5A),
            Some("cut") => octets.truncate(octets.len() / 2),
            _ => {}
        }
        let modem = self.train(false);
        self.image(modem, &octets);
        self.log.push(format!("> page {}", self.page));
    }

    /// T.30 Annex A §A.4.1: frames of 256 octets, then RCP three times.
    fn page_in_frames(&mut self, word: &Word) {
        let coded = encode(&self.rows(word), Coding::Mmr);
        self.frames = coded.len().div_ceil(256);
        let says = &word.says[1..];
        let bad: Vec<usize> = says
            .iter()
            .filter_map(|said| said.strip_prefix("bad:")?.parse().ok())
            .collect();
        let only: Vec<usize> = says
            .iter()
            .filter_map(|said| said.strip_prefix("only:")?.parse().ok())
            .collect();
        let modem = self.train(false);
        for (number, part) in coded.chunks(256).enumerate() {
            if !only.is_empty() && !only.contains(&number) {
                continue;
            }
            let mut frame = vec![0xFF, 0x03, fcf::FCD, number as u8];
            frame.extend(part.iter().map(|octet| octet.reverse_bits()));
            frame.resize(260, 0);
            self.hdlc(modem, &frame, if bad.contains(&number) { 3 } else { 2 });
        }
        for last in [2, 2, 4] {
            self.hdlc(modem, &[0xFF, 0x03, fcf::RCP], last);
        }
        self.put(&ifp::indicator(ifp::NO_SIGNAL));
        self.log
            .push(format!("> page {} ({} frames)", self.page, self.frames));
    }

    fn hdlc(&mut self, modem: u8, frame: &[u8], end: u8) {
        // T.38 §7.3.6: the first bit on the line is the most significant.
        let octets: Vec<u8> = frame.iter().map(|octet| octet.reverse_bits()).collect();
        self.put(&data(modem, 0, &octets));
        self.put(&data(modem, end, &[]));
        self.tick();
    }

    /// The call goes on by itself until it is over.
    fn finish(&mut self) -> Result<(), String> {
        let end = self.ticks + u64::from(seconds(LONGEST));
        while !self.endpoint.is_ended() {
            if self.ticks >= end {
                return Err(format!("no end of the call\n  {}", self.told()));
            }
            self.tick();
        }
        while let Some(event) = self.endpoint.next_event() {
            self.events.push(event);
        }
        Ok(())
    }

    fn judge(&self, script: &Script) -> Result<(), String> {
        let Some(Event::Ended(ending)) = self.events.last() else {
            return Err("the call told no ending".to_owned());
        };
        let (name, cause) = (ending.name, format!("{:?}", ending.cause));
        if Some(name) != script.ending.as_deref() {
            return Err(format!("it ended with {name}"));
        }
        let expected = script
            .cause
            .as_deref()
            .unwrap_or(if script.steps_hang_up() {
                "HungUp"
            } else {
                "Protocol"
            });
        if cause != expected {
            return Err(format!("its cause is {cause}"));
        }
        let pages = ending.pages.iter();
        let verdicts: Vec<_> = pages.map(|p| (p.verdict, p.evidence.clone())).collect();
        if verdicts != script.verdicts {
            return Err(format!("of its pages is known: {verdicts:#?}"));
        }
        if let Some(kept) = script.kept {
            if ending.kept != kept {
                return Err(format!("{} pages were kept", ending.kept));
            }
            // Behind them may lie one that was not kept in time.
            let kept = kept as usize;
            assert_same(&self.shelf.kept()[..kept], &self.sent[..kept]);
        }
        let asked_for = ending
            .agreement
            .as_ref()
            .and_then(|a| a.sub_address.clone());
        if !self.answers && asked_for != script.asked_for {
            return Err(format!("the sub-address is {asked_for:?}"));
        }
        Ok(())
    }
}

impl Script {
    fn steps_hang_up(&self) -> bool {
        self.steps
            .iter()
            .any(|(_, step)| matches!(step, Step::HangUp))
    }
}

/// A packet of image data (T.38 §7.3, version 0): the field's type and its octets.
fn data(modem: u8, field: u8, octets: &[u8]) -> Vec<u8> {
    let mut packet = vec![0xC0 | modem << 1, 1, field << 4];
    if let Ok(less_one) = u16::try_from(octets.len().wrapping_sub(1))
        && !octets.is_empty()
    {
        packet[2] |= 0x80;
        packet.extend(less_one.to_be_bytes());
        packet.extend(octets);
    }
    packet
}
