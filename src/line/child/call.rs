//! One call's thread: line time passes at its own pace, orders come in, events go out.

use std::{
    os::fd::OwnedFd,
    sync::mpsc,
    time::{Duration, Instant},
};

use faxpost_fax::{Agreement, Cause, Ending, Event, PageVerdict, Progress, Station, Verdict, Work};

use super::{Order, Voice, gate::Gate, media::Media};
use crate::line::{
    self, Negotiated,
    protocol::{Fault, FromWorker, Role, ToWorker},
};

/// The completion code of a call that never began: spandsp's T30_ERR_CALLDROPPED.
pub(super) const NEVER_STARTED: u32 = 49;

/// A tick of line time.
const TICK: Duration = Duration::from_millis(20);
/// A thread that is this far behind was stopped, not late: it does not hurry after.
const TOO_LATE: Duration = Duration::from_millis(500);

pub(super) fn run(
    start: ToWorker,
    fd: OwnedFd,
    voice: &Voice,
    orders: &mpsc::Receiver<Order>,
    kept: mpsc::Receiver<(u32, bool)>,
) {
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
        return;
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
            tiff, sub_address, ..
        } => Work::Send {
            tiff: tiff.0,
            first_page: 0,
            sub_address,
            password: None,
            ask_before_data: true,
        },
        Role::Receive => Work::receive(Gate::new(voice.clone(), kept, speed)),
    };
    let ended = match Media::open(&media, fd, &station, work, caller) {
        Ok(media) => follow(media, &station, caller, speed, voice, orders),
        Err(error) => {
            eprintln!("a call can't begin: {error}");
            None
        }
    };
    voice.say(&match ended {
        Some((ending, fax_heard)) => farewell(voice.call, ending, fax_heard),
        None => FromWorker::Ended {
            call: voice.call,
            t30: NEVER_STARTED,
            pages: Vec::new(),
            negotiated: None,
            fax_heard: false,
            fault: Some(Fault::NotBegun),
        },
    });
}

/// Ticks until the end; the ending, and whether a fax was heard on any of the call's media.
fn follow(
    mut media: Media,
    station: &Station,
    caller: bool,
    speed: u32,
    voice: &Voice,
    orders: &mpsc::Receiver<Order>,
) -> Option<(Ending, bool)> {
    let step = TICK / speed;
    let mut next = Instant::now();
    let mut heard = false;
    loop {
        match orders.try_recv() {
            Ok(Order::Media(setup, fd)) => {
                let work = media.into_work().ok()?;
                media = Media::open(&setup, fd, station, work, caller).ok()?;
            }
            Ok(Order::Adjust(setup)) => media.adjust(&setup),
            Ok(Order::Go) => media.call().go(),
            Ok(Order::HangUp) | Err(mpsc::TryRecvError::Disconnected) => media.call().terminate(),
            Err(mpsc::TryRecvError::Empty) => {}
        }
        media.tick();
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
                    heard |= ending.fax_heard;
                    return Some((ending, heard));
                }
                Event::FaxHeard => {
                    heard = true;
                    voice.say(&FromWorker::FaxHeard { call: voice.call });
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
        next += step;
        let now = Instant::now();
        if now.saturating_duration_since(next) > TOO_LATE {
            next = now;
        }
        std::thread::sleep(next.saturating_duration_since(now));
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
        Event::PageProgress {
            index,
            progress: Progress::Sent { octets: part, of } | Progress::SentRows { rows: part, of },
        } if of > 0 => FromWorker::PageProgress {
            call,
            page: index,
            // Not 100: that is for the far end to say. Repeats may go beyond the page.
            percent: u8::try_from(u64::from(part) * 100 / u64::from(of))
                .unwrap_or(99)
                .min(99),
        },
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
            Cause::Protocol | Cause::HungUp | Cause::Silence | Cause::PageTooLong => None,
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
