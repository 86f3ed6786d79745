//! One call: line time passes at its own pace, orders come in, events go out.

use std::{
    net::UdpSocket,
    os::fd::OwnedFd,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use faxpost_fax::{Agreement, Cause, Ending, Event, PageVerdict, Progress, Station, Verdict, Work};

use super::{
    Order, Voice,
    gate::Gate,
    media::Media,
    ticker::{Ticked, Ticker},
};
use crate::line::{
    self, Negotiated,
    protocol::{Fault, FromWorker, Role, ToWorker},
};

/// The completion code of a call that never began: spandsp's T30_ERR_CALLDROPPED.
const NEVER_STARTED: u32 = 49;

/// A tick of line time.
const TICK: Duration = Duration::from_millis(20);
/// A call that is this far behind was stopped, not late: it does not hurry after.
const TOO_LATE: Duration = Duration::from_millis(500);

/// A call in this worker.
pub(super) struct Call {
    /// Taken while the media change.
    media: Option<Media>,
    station: Station,
    caller: bool,
    voice: Voice,
    orders: mpsc::Receiver<Order>,
    ticker: Ticker,
    step: Duration,
    due: Instant,
    /// A fax was heard, on any of the call's media.
    heard: bool,
    /// The peer was heard on the media as they are now.
    arrives: bool,
    /// How far the page on the line is, as last told: its number and per cent.
    progress: Option<(u32, u8)>,
    /// Dead when the call is.
    _alive: Arc<()>,
}

/// What the worker's main thread keeps the other ends of.
pub(super) struct Ways {
    pub orders: mpsc::Receiver<Order>,
    pub kept: mpsc::Receiver<(u32, bool)>,
    pub alive: Arc<()>,
}

impl Call {
    /// Begins a call on its media socket; `None`: it can't, and has said so.
    pub fn begin(
        start: ToWorker,
        fd: OwnedFd,
        voice: Voice,
        ways: Ways,
        ticker: &Ticker,
    ) -> Option<Self> {
        let ToWorker::Start {
            role,
            ident,
            ecm,
            v17,
            max_rate,
            caller,
            speed,
            media,
            ..
        } = start
        else {
            return None;
        };
        let station = Station {
            ident,
            ecm,
            v17,
            max_rate,
            ..Station::default()
        };
        let speed = speed.max(1);
        let work = match role {
            Role::Send {
                tiff,
                documents,
                sub_address,
                password,
                ..
            } => Work::Send {
                tiff: tiff.0,
                first_page: 0,
                documents,
                sub_address,
                password: password.map(|password| password.reveal().to_owned()),
                ask_before_data: true,
            },
            Role::Receive => {
                Work::receive(Gate::new(voice.clone(), ways.kept, speed, ticker.clone()))
            }
        };
        let media = match Media::open(&media, fd, &station, work, caller) {
            Ok(media) => media,
            Err(error) => {
                eprintln!("a call can't begin: {error}");
                voice.not_begun();
                return None;
            }
        };
        let step = TICK / speed;
        Some(Self {
            media: Some(media),
            station,
            caller,
            voice,
            orders: ways.orders,
            ticker: ticker.clone(),
            step,
            due: ticker.next_beat(step),
            heard: false,
            arrives: false,
            progress: None,
            _alive: ways.alive,
        })
    }

    /// Does what the gateway ordered; `None`: other media can't be had, and the old ones are gone.
    fn obey(&mut self) -> Option<&mut Media> {
        match self.orders.try_recv() {
            Ok(Order::Media(setup, fd)) => {
                let work = self.media.take()?.into_work().ok()?;
                let media = Media::open(&setup, fd, &self.station, work, self.caller).ok()?;
                self.media = Some(media);
                self.arrives = false;
            }
            Ok(Order::Go) => self.media.as_mut()?.call().go(),
            Ok(Order::BreakOff) => self.media.as_mut()?.break_off(),
            Ok(Order::HangUp) | Err(mpsc::TryRecvError::Disconnected) => {
                self.media.as_mut()?.call().terminate();
            }
            Ok(Order::Adjust(setup)) => {
                // It may have moved, too.
                self.arrives = false;
                self.media.as_mut()?.adjust(&setup);
            }
            Err(mpsc::TryRecvError::Empty) => {}
        }
        self.media.as_mut()
    }

    /// Says what happened; the ending, when that was last.
    fn tell_events(&mut self) -> Option<Ending> {
        let (media, voice) = (self.media.as_mut()?, &self.voice);
        // A verdict waits for the event behind it: one frame, so that one commit records both.
        let mut answered = None;
        while let Some(event) = media.call().next_event() {
            match event {
                Event::PageVerdict(page) => tell(voice, answered.replace(page)),
                Event::PageDataNext { index } => voice.say(&FromWorker::PageDataNext {
                    call: voice.call,
                    page: index,
                    answered: answered.take().map(told),
                }),
                Event::Ended(ending) => {
                    tell(voice, answered.take());
                    self.heard |= ending.fax_heard;
                    return Some(ending);
                }
                Event::FaxHeard => {
                    self.heard = true;
                    voice.say(&FromWorker::FaxHeard { call: voice.call });
                }
                Event::PageProgress { index, progress } => {
                    let last = self.progress.filter(|(page, _)| *page == index);
                    let worth =
                        |now: &u8| last.is_none_or(|(_, last)| now.abs_diff(last) >= PROGRESS_STEP);
                    if let Some(percent) = percent(progress).filter(worth) {
                        self.progress = Some((index, percent));
                        voice.say(&FromWorker::PageProgress {
                            call: voice.call,
                            page: index,
                            percent,
                        });
                    }
                }
                other => {
                    if let Some(said) = said(voice.call, other) {
                        tell(voice, answered.take());
                        voice.say(&said);
                    }
                }
            }
        }
        tell(voice, answered);
        None
    }
}

impl Ticked for Call {
    fn due(&self) -> Instant {
        self.due
    }

    fn fall(&self) {
        self.voice.not_begun();
    }

    fn socket(&self) -> Option<Arc<UdpSocket>> {
        self.media.as_ref().map(Media::socket)
    }

    fn tick(&mut self, came: bool) -> bool {
        let Some(media) = self.obey() else {
            self.voice.not_begun();
            return false;
        };
        if media.tick(came) && !self.arrives {
            self.arrives = true;
            let call = self.voice.call;
            self.voice.say(&FromWorker::MediaHeard { call });
        }
        if let Some(ending) = self.tell_events() {
            let said = farewell(self.voice.call, ending, self.heard);
            self.voice.say(&said);
            return false;
        }
        self.due += self.step;
        if Instant::now().saturating_duration_since(self.due) > TOO_LATE {
            self.due = self.ticker.next_beat(self.step);
        }
        true
    }
}

/// Per cent of a sent page between two words about it: each costs the gateway two wake-ups.
const PROGRESS_STEP: u8 = 10;

/// How far a sent page is, per cent. Not 100: that is for the far end to say. Repeats may go beyond the page.
fn percent(progress: Progress) -> Option<u8> {
    let (Progress::Sent { octets: part, of } | Progress::SentRows { rows: part, of }) = progress
    else {
        return None;
    };
    let percent = (u64::from(part) * 100).checked_div(of.into())?;
    Some(u8::try_from(percent).unwrap_or(99).min(99))
}

impl Voice {
    /// A call that could not begin, or not go on, ends at once.
    pub fn not_begun(&self) {
        self.say(&FromWorker::Ended {
            call: self.call,
            t30: NEVER_STARTED,
            pages: Vec::new(),
            negotiated: None,
            fax_heard: false,
            fault: Some(Fault::NotBegun),
        });
    }
}

/// Says a verdict that no page follows at once.
fn tell(voice: &Voice, page: Option<PageVerdict>) {
    if let Some(page) = page {
        voice.say(&FromWorker::PageVerdict {
            call: voice.call,
            page: page.index,
            verdict: verdict(page.verdict),
            evidence: page.evidence,
        });
    }
}

fn told(page: PageVerdict) -> line::PageVerdict {
    line::PageVerdict {
        page: page.index,
        verdict: verdict(page.verdict),
        evidence: page.evidence,
    }
}

fn said(call: u64, event: Event) -> Option<FromWorker> {
    Some(match event {
        Event::Negotiated(agreement) => FromWorker::Negotiated {
            call,
            what: negotiated(&agreement),
        },
        Event::PageStarted { index } => FromWorker::PageStarted { call, page: index },
        _ => return None,
    })
}

fn farewell(call: u64, ending: Ending, fax_heard: bool) -> FromWorker {
    FromWorker::Ended {
        call,
        t30: ending.code,
        pages: ending
            .pages
            .into_iter()
            .map(|page| (page.index, verdict(page.verdict), page.evidence))
            .collect(),
        negotiated: ending.agreement.as_ref().map(negotiated),
        fax_heard,
        fault: match ending.cause {
            Cause::NoPermit => Some(Fault::NoPermit),
            Cause::PageNotKept => Some(Fault::PageNotKept),
            Cause::PageCountLost => Some(Fault::PageCountLost),
            Cause::Protocol
            | Cause::HungUp
            | Cause::BrokenOff
            | Cause::Silence
            | Cause::PageTooLong => None,
        },
    }
}

fn negotiated(agreement: &Agreement) -> Negotiated {
    let ident = agreement.remote_ident.trim();
    let (_, vertical) = agreement.resolution.dpi();
    Negotiated {
        remote_ident: (!ident.is_empty()).then(|| ident.to_owned()),
        sub_address: agreement.sub_address.clone(),
        rate: agreement.rate,
        ecm: agreement.ecm,
        vertical_dpi: vertical as u32,
    }
}

fn verdict(verdict: Verdict) -> line::Verdict {
    match verdict {
        Verdict::Confirmed => line::Verdict::Confirmed,
        Verdict::Refused => line::Verdict::Refused,
        Verdict::Unknown => line::Verdict::Unknown,
        Verdict::Unsent => line::Verdict::Unsent,
    }
}
