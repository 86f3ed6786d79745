//! A far end that isn't ours: a program with its own T.30, on a soft modem, at the other end of a line.
//!
//! ```text
//! efax - pty - Modem (T.31, Class 1) - audio - [Gateway - IFP - UDPTL] - our endpoint
//! ```
//! Line time is ticks, here as everywhere; but the program lives in real time, so [`Rig::run`] ticks at
//! `speed` times real time. It never ticks while the program has something to do: that keeps the 55 ms
//! in which a Class 1 program must react, whatever else the machine does.
#![allow(dead_code, unused_imports)]

mod line;
mod modem;
mod pcap;
mod program;
mod pty;

use std::time::{Duration, Instant};

use faxpost_fax::{Call, Ending, Event, Station, TICK_SAMPLES, TICKS_PER_SECOND, Work};

pub use line::{Line, Path, Way};
pub use modem::{Gateway, Modem, Request};
pub use pcap::capture;
pub use program::{Efax, Job};
pub use pty::Pty;

/// A tick of line time.
pub type Samples = [i16; TICK_SAMPLES];

/// No call takes longer, in real time.
const WATCHDOG: Duration = Duration::from_secs(240);

/// A tick waits for a program that computes no longer than this.
const PATIENCE: Duration = Duration::from_secs(10);

/// A tick waits for what the program is to say no longer than this: efax pauses for a second before a page.
const REPLY: Duration = Duration::from_secs(2);

/// In ticks: what a program takes to react, on a real line. It must be less than 55 ms (efax(1)), and more
/// than nothing: it makes the silence between two modulations that T.30 asks for.
const REACTION: u32 = 2;

/// Between two looks at whether it still computes.
const GLANCE: Duration = Duration::from_micros(200);

/// Line time may pass so much faster than real time while the program stays in step.
const SPEED: f64 = 10.0;

/// From the end of our call to the far end's hearing of it: the line and the switch.
const HANG_UP_TICKS: u32 = 10;

/// A call between a program and an endpoint.
pub struct Rig {
    pub efax: Efax,
    /// What our endpoint told.
    pub events: Vec<Event>,
    pty: Pty,
    modem: Modem,
    /// A command during the call, and in how many ticks the modem takes it.
    command: Option<(Vec<u8>, u32)>,
    station: Station,
    path: Path,
    work: Option<Work>,
    caller: bool,
    line: Option<Line>,
    /// Ticks since our call ended.
    ended: u32,
    /// The program's modem is on hook, before the call and after.
    on_hook: bool,
    /// For these ticks our endpoint stands still.
    frozen: u32,
    speed: f64,
}

impl Rig {
    /// `job` is the program's, `work` ours.
    pub fn new(path: Path, station: &Station, job: &Job, work: Work) -> Self {
        let pty = Pty::open().expect("a pty");
        Self {
            efax: Efax::start(pty.path(), job),
            events: Vec::new(),
            pty,
            modem: Modem::new(),
            command: None,
            station: station.clone(),
            path,
            work: Some(work),
            caller: matches!(job, Job::Receive),
            line: None,
            ended: 0,
            on_hook: true,
            frozen: 0,
            speed: SPEED,
        }
    }

    /// Ticks at so many times real time.
    pub fn speed(mut self, speed: f64) -> Self {
        self.speed = speed;
        self
    }

    /// The call, once it has begun.
    pub fn call(&mut self) -> Option<&mut Call> {
        self.line.as_mut().map(Line::call)
    }

    pub fn ending(&self) -> &Ending {
        match self.events.last() {
            Some(Event::Ended(ending)) => ending,
            other => panic!("our call didn't end: {other:?}"),
        }
    }

    /// The line, once the call has begun.
    pub fn line(&mut self) -> Option<&mut Line> {
        self.line.as_mut()
    }

    /// The program ended, and says that all went well.
    pub fn efax_succeeded(&mut self) -> bool {
        self.efax.status().is_some_and(|status| status.success())
    }

    /// Our endpoint stands still for these ticks.
    pub fn freeze(&mut self, ticks: u32) {
        self.frozen += ticks;
    }

    /// Runs until the call is over and the program has ended.
    pub fn run(&mut self) {
        self.run_with(|_| {});
    }

    /// As [`run`](Self::run); `meddle` sees each tick.
    pub fn run_with(&mut self, mut meddle: impl FnMut(&mut Self)) {
        let start = Instant::now();
        let tick = Duration::from_secs_f64(1.0 / f64::from(TICKS_PER_SECOND) / self.speed);
        let full_speed = Duration::from_secs_f64(1.0 / f64::from(TICKS_PER_SECOND) / SPEED);
        let mut rx = [0; TICK_SAMPLES];
        let mut due = start;
        while !self.is_over() {
            assert!(
                start.elapsed() < WATCHDOG,
                "no end after {WATCHDOG:?}; our events: {:?}",
                self.events
            );
            self.wait(due);
            // Time that was lost waiting is made up for, at full speed and no faster.
            due = (due + tick).max(Instant::now() + tick.min(full_speed));
            self.tick(&mut rx);
            meddle(self);
        }
    }

    fn is_over(&mut self) -> bool {
        let call_is_over = match &mut self.line {
            Some(line) => line.call().is_ended(),
            None => self.work.is_some(),
        };
        call_is_over && self.efax.status().is_some()
    }

    /// Until `due`, and until the program has done what it has to do.
    fn wait(&mut self, due: Instant) {
        loop {
            self.converse();
            let now = Instant::now();
            if now >= due {
                break;
            }
            self.pty.wait(due - now);
        }
        let begin = Instant::now();
        while !self.program_waits(begin.elapsed()) {
            self.pty.wait(GLANCE);
            self.converse();
        }
    }

    /// The program waits for something to happen on the line; line time has stood still for `since`.
    fn program_waits(&mut self, since: Duration) -> bool {
        if self.efax.status().is_some() {
            return true;
        }
        // A pty takes its time to pass octets on, in which neither side has them: so if we know that the
        // program has something to say, we wait until it comes.
        if !self.on_hook && self.command.is_none() && self.modem.awaits_program() && since < REPLY {
            return false;
        }
        since > PATIENCE
            || self.modem.output().is_empty()
                && self.pty.unread().expect("a pty of ours") == 0
                && self.efax.is_waiting()
    }

    /// Moves octets between the program and its modem.
    fn converse(&mut self) {
        loop {
            let (octets, _) = self.modem.output().as_slices();
            let written = self.pty.write(octets).expect("a pty of ours");
            self.modem.output().drain(..written);
            let mut octets = [0; 1024];
            let room = if self.command.is_some() {
                0
            } else {
                self.modem.room().min(octets.len())
            };
            let read = self.pty.read(&mut octets[..room]).expect("a pty of ours");
            let octets = &octets[..read];
            if octets.starts_with(b"AT") && !self.on_hook {
                self.command = Some((octets.to_vec(), REACTION));
            } else if read > 0 {
                self.modem.take(octets);
            }
            if read == 0 && written == 0 {
                break;
            }
        }
    }

    fn tick(&mut self, rx: &mut Samples) {
        if let Some((command, ticks)) = &mut self.command {
            *ticks -= 1;
            if *ticks == 0 {
                self.modem.take(command);
                self.command = None;
            }
        }
        while let Some(request) = self.modem.next_request() {
            match request {
                Request::Dial => {
                    self.start_call();
                    self.modem.connected();
                }
                Request::Answer => {
                    self.start_call();
                    self.modem.answered();
                }
                Request::HangUp => {
                    if let Some(line) = &mut self.line {
                        line.call().terminate();
                    }
                    self.on_hook = true;
                }
            }
        }
        let tx = self.modem.tick(rx);
        let Some(line) = &mut self.line else {
            return;
        };
        *rx = line.tick(&tx, self.frozen > 0);
        self.frozen = self.frozen.saturating_sub(1);
        let call = line.call();
        while let Some(event) = call.next_event() {
            self.events.push(event);
        }
        if call.is_ended() {
            self.ended += 1;
            if self.ended == HANG_UP_TICKS && !self.on_hook {
                self.modem.hung_up();
            }
        }
    }

    fn start_call(&mut self) {
        let work = self.work.take().expect("the program calls once");
        let line = Line::new(self.path, &self.station, work, self.caller);
        self.line = Some(line.expect("memory for a call"));
        self.on_hook = false;
    }
}
