//! A fax modem on a pseudo terminal, and a fax machine at the other end of its line, for programs that
//! drive modems: spandsp's Class 1 modem and one of our endpoints, joined by G.711, or by G.711 to a gateway
//! and T.38 behind it.
//!
//! ```text
//! softmodem FOLDER SPEED
//! ```
//! Its first line is the terminal's path. What the machine receives lies in FOLDER, a TIFF a page. Commands
//! come on standard input, a line each; it goes when that is closed:
//!
//! - `ring FILE`: the machine calls, and sends this TIFF to whoever answers.
//! - `busy`: the next number that is dialled is engaged.
//! - `t38`: from the next call on the machine is behind a gateway; `g711`: it no longer is.
//! - `network PORT PEER`: the next call goes over RTP instead, between these UDP ports on loopback; whoever is there
//!   is the machine.
//! - `cut PAGE`: the machine hangs up in the middle of this page (from 0) of the next call to it.
//!
//! It says `ended …` of each call, and `slow …` when this machine could not keep up with SPEED: what the program
//! then made of its own timers is no fault of either.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../../tests/rig/line.rs"]
mod line;
#[path = "../../tests/rig/modem.rs"]
mod modem;
mod network;
#[path = "../../tests/rig/pty.rs"]
mod pty;

use std::{
    fs,
    io::{BufRead, Write},
    path::PathBuf,
    sync::mpsc::{Receiver, TryRecvError, channel},
    time::{Duration, Instant},
};

use faxpost_fax::{
    Event, Kept, PageGate, ReceivedPage, Station, TICK_SAMPLES, TICKS_PER_SECOND, Work,
};
use faxpost_t4::tiff;

use line::{Line as Media, Path};
use modem::{Gateway, Modem, Request};
use network::Network;
use pty::Pty;

/// A tick of line time.
pub type Samples = [i16; TICK_SAMPLES];

/// Line time stands still while the program is to speak, but no longer than this.
const REPLY: Duration = Duration::from_secs(2);
/// In ticks: what a program takes to react; it makes the silence between two modulations that T.30 asks for.
const REACTION: u32 = 2;
/// Between two rings, in ticks.
const RING: u32 = 4 * TICKS_PER_SECOND;
/// From the end of our call to the program's hearing of it.
const HANG_UP: u32 = 10;
/// Of a page that is cut: so much of it goes by.
const INTO_THE_PAGE: u32 = TICKS_PER_SECOND;

/// Pages go into a folder.
struct Tray {
    folder: PathBuf,
    call: u32,
}

impl PageGate for Tray {
    fn keep(&mut self, page: ReceivedPage) -> Kept {
        let name = format!("{:03}-{:03}.tif", self.call, page.index);
        let bytes = tiff::write(std::slice::from_ref(&page.page)).unwrap();
        // Under its name at once and whole: who waits for it looks for the name.
        fs::write(self.folder.join("new"), bytes).unwrap();
        fs::rename(self.folder.join("new"), self.folder.join(name)).unwrap();
        Kept::Committed
    }

    fn poll(&mut self) -> Kept {
        Kept::Committed
    }
}

struct Line {
    pty: Pty,
    modem: Modem,
    folder: PathBuf,
    station: Station,
    /// The machine at the other end, during a call.
    machine: Option<Media>,
    /// Or a network, and whether a call is on it.
    network: Option<Network>,
    /// What lies between it and the modem.
    path: Path,
    /// What it hears in the next tick.
    heard: Samples,
    /// What it sends when its ringing is answered, and ticks to the next ring.
    ringing: Option<(Vec<u8>, u32)>,
    busy: bool,
    cut: Option<u32>,
    /// Ticks until the machine hangs up.
    cut_in: Option<u32>,
    /// A command during the call, and in how many ticks the modem takes it.
    command: Option<(Vec<u8>, u32)>,
    on_hook: bool,
    ended: u32,
    calls: u32,
    /// Ticks of this call, and those that this machine began too late.
    ticks: u32,
    late: u32,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("a folder"));
    let speed: f64 = arguments.next().map_or(1.0, |speed| speed.parse().unwrap());
    let pty = Pty::open().unwrap();
    say(&pty.path().display().to_string());
    let commands = commands();
    let mut line = Line {
        pty,
        modem: Modem::new(),
        folder,
        station: Station {
            ident: "+49 30 555".into(),
            ..Station::default()
        },
        machine: None,
        network: None,
        path: Path::Audio,
        heard: [0; TICK_SAMPLES],
        ringing: None,
        busy: false,
        cut: None,
        cut_in: None,
        command: None,
        on_hook: true,
        ended: 0,
        calls: 0,
        ticks: 0,
        late: 0,
    };
    let tick = Duration::from_secs_f64(1.0 / f64::from(TICKS_PER_SECOND) / speed);
    let mut due = Instant::now();
    loop {
        match commands.try_recv() {
            Ok(command) => line.obey(&command),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return,
        }
        let late = line.wait(due) > tick;
        line.count(late);
        let now = Instant::now();
        due = if line.network.is_some() && now - due < 4 * tick {
            // The gateway's clock goes on.
            due + tick
        } else {
            // Time that was lost waiting is not made up for: the program's timers run on real time.
            now + tick
        };
        line.tick();
    }
}

/// What others wait for is one line each.
fn say(line: &str) {
    println!("{line}");
    // Nobody listens any more: standard input will say so too.
    let _ = std::io::stdout().flush();
}

fn commands() -> Receiver<String> {
    let (tx, rx) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if tx.send(line).is_err() {
                return;
            }
        }
    });
    rx
}

impl Line {
    fn obey(&mut self, command: &str) {
        let (word, value) = command.split_once(' ').unwrap_or((command, ""));
        match word {
            "ring" => self.ringing = Some((fs::read(value).unwrap(), 0)),
            "busy" => self.busy = true,
            "t38" => self.path = Path::T38,
            "g711" => self.path = Path::Audio,
            "network" => {
                let mut ports = value.split(' ').map(|port| port.parse().unwrap());
                let (ours, theirs) = (ports.next().unwrap(), ports.next().unwrap());
                self.network = Some(Network::between(ours, theirs).unwrap());
                say("network");
            }
            "cut" => self.cut = Some(value.parse().unwrap()),
            other => panic!("softmodem: what is {other:?}?"),
        }
    }

    /// Until `due`, and until the program has said what it is to say. How much later than `due` it was.
    fn wait(&mut self, due: Instant) -> Duration {
        let late = loop {
            self.converse();
            let now = Instant::now();
            if now >= due {
                break now - due;
            }
            self.pty.wait(due - now);
        };
        let begin = Instant::now();
        while !self.on_hook
            && self.command.is_none()
            && self.modem.awaits_program()
            && begin.elapsed() < REPLY
        {
            self.pty.wait(Duration::from_millis(1));
            self.converse();
        }
        late
    }

    fn count(&mut self, late: bool) {
        self.ticks += 1;
        self.late += u32::from(late);
    }

    /// Moves octets between the program and its modem.
    fn converse(&mut self) {
        loop {
            let (octets, _) = self.modem.output().as_slices();
            let written = self.pty.write(octets).unwrap();
            self.modem.output().drain(..written);
            let mut octets = [0; 1024];
            let room = match self.command {
                Some(_) => 0,
                None => self.modem.room().min(octets.len()),
            };
            let read = self.pty.read(&mut octets[..room]).unwrap();
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

    fn tick(&mut self) {
        if let Some((command, ticks)) = &mut self.command {
            *ticks -= 1;
            if *ticks == 0 {
                self.modem.take(command);
                self.command = None;
            }
        }
        while let Some(request) = self.modem.next_request() {
            self.request(request);
        }
        if let Some((_, ticks)) = &mut self.ringing {
            if *ticks == 0 {
                self.modem.rings();
                *ticks = RING;
            }
            *ticks -= 1;
        }
        let said = self.modem.tick(&self.heard);
        self.heard.fill(0);
        if let Some(network) = &mut self.network {
            self.heard = network.tick(&said);
            return;
        }
        let Some(machine) = &mut self.machine else {
            return;
        };
        self.heard = machine.tick(&said, false);
        let call = machine.call();
        while let Some(event) = call.next_event() {
            match event {
                Event::PageStarted { index } if self.cut == Some(index) => {
                    (self.cut, self.cut_in) = (None, Some(INTO_THE_PAGE));
                }
                Event::Ended(ending) => {
                    let pages = ending.pages.iter().map(|page| page.evidence.as_str());
                    let sub_address = ending
                        .agreement
                        .as_ref()
                        .and_then(|a| a.sub_address.as_ref());
                    let asked_for = sub_address.map(|sub| format!(" for {sub}"));
                    say(&format!(
                        "ended {} {:?}{}: kept {}, {}",
                        ending.name,
                        self.path,
                        asked_for.unwrap_or_default(),
                        ending.kept,
                        pages.collect::<Vec<_>>().join(", ")
                    ));
                }
                _ => {}
            }
        }
        if let Some(ticks) = &mut self.cut_in {
            *ticks -= 1;
            if *ticks == 0 {
                self.cut_in = None;
                call.terminate();
            }
        }
        if call.is_ended() {
            self.ended += 1;
            if self.ended == 1 && self.late > self.ticks / 10 {
                let (late, ticks) = (self.late, self.ticks);
                say(&format!(
                    "slow: {late} of {ticks} ticks began a tick late or more"
                ));
            }
            if self.ended == HANG_UP && !self.on_hook {
                self.modem.hung_up();
            }
        }
    }

    fn request(&mut self, request: Request) {
        match request {
            Request::Dial if std::mem::take(&mut self.busy) => {
                say("busy");
                self.modem.busy();
            }
            Request::Dial if self.network.is_some() => {
                say("dialled");
                self.on_hook = false;
                self.modem.connected();
            }
            Request::Dial => {
                say("dialled");
                self.calls += 1;
                let tray = Tray {
                    folder: self.folder.clone(),
                    call: self.calls,
                };
                self.begin(Work::receive(tray), false);
                self.modem.connected();
            }
            Request::Answer => {
                say("answered");
                if self.network.is_some() {
                    self.on_hook = false;
                } else if let Some((tiff, _)) = self.ringing.take() {
                    self.begin(Work::send(tiff), true);
                }
                self.modem.answered();
            }
            Request::HangUp => {
                if let Some(machine) = &mut self.machine {
                    machine.call().terminate();
                }
                if self.network.take().is_some() && !self.on_hook {
                    say("hung up");
                }
                self.on_hook = true;
            }
        }
    }

    fn begin(&mut self, work: Work, caller: bool) {
        self.machine = Some(Media::new(self.path, &self.station, work, caller).unwrap());
        (self.ended, self.on_hook) = (0, false);
        (self.ticks, self.late) = (0, 0);
    }
}
