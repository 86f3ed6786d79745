//! A received page is kept first and confirmed after.
//!
//! With ECM a page whose commit takes long is held with RNR (T.30 Annex A §A.4.3) as long as the sender's
//! T5 allows. Without ECM there is no such frame: the call stands still, at most 2.0 s, because the
//! sender repeats its command from 2.55 s on (T4, 3 s ± 15 %, T.30 §5.4.3.1).

use std::collections::VecDeque;

use faxpost_t4::FaxPage;

use crate::{
    TICKS_PER_SECOND,
    frames::fcf,
    memfd::Memfd,
    station::{Event, Kept, PageGate, ReceivedPage},
};

/// Without ECM, blocked and frozen time together: 2.0 s.
const FREEZE_TICKS: u32 = 2 * TICKS_PER_SECOND;

/// With ECM, how long RNR is said: a sender's T5 is 60 s ± 5 s (T.30 §5.4.3.1), and a round of RNR and RR
/// takes 2.4 s.
const HOLD_TICKS: u32 = 50 * TICKS_PER_SECOND;

/// Rows that no page has: a row costs a sender as little as one bit, and the engine keeps them all in
/// memory.
pub const MOST_ROWS: u32 = faxpost_t4::MAX_HEIGHT as u32;

/// The receiving side of a call.
pub struct Custody {
    gate: Box<dyn PageGate + Send>,
    file: Memfd,
    /// Pages that the engine had counted at the last page end.
    counted: u32,
    kept: u32,
    pending: Option<Pending>,
    /// The page that just ended was not stored: the engine must not confirm it.
    unstored: bool,
    /// The last post-message command was EOP.
    no_page_follows: bool,
}

struct Pending {
    index: u32,
    ecm: bool,
    ticks: u32,
}

/// What the engine knows when a page has ended.
pub struct PageEnd {
    /// Error correction mode.
    pub ecm: bool,
    /// Pages received, as T.30 counts.
    pub pages_rx: u32,
    /// Pages written, as the file's writer counts.
    pub written: u32,
    /// The file's writer had an error.
    pub write_error: bool,
    /// Rows of the page.
    pub rows: u32,
    /// Rows that came damaged.
    pub bad_rows: u32,
    /// The longest run of them.
    pub longest_bad_run: u32,
}

/// What to do with the page's confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The engine's own answer goes out.
    Answer,
    /// RNR, until told otherwise.
    NotReady,
    /// RNR, then DCN.
    Refuse,
    /// Nothing goes out until the page is kept.
    Freeze,
    /// Nothing goes out any more.
    HangUp,
}

/// What became of a page that was pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Not yet.
    Waiting,
    /// Kept: the held confirmation may go.
    Go,
    /// Turn the sender away at the next chance (ECM).
    Refuse,
    /// Hang up.
    HangUp,
}

impl Custody {
    /// Receives into `gate`, by way of `file`.
    pub fn new(gate: Box<dyn PageGate + Send>, file: Memfd) -> Self {
        Self {
            gate,
            file,
            counted: 0,
            kept: 0,
            pending: None,
            unstored: false,
            no_page_follows: false,
        }
    }

    /// The sender's command after page data: what comes next.
    pub fn post_message(&mut self, command: u8) {
        match command {
            fcf::EOP | fcf::PRI_EOP => self.no_page_follows = true,
            fcf::MPS | fcf::EOM | fcf::PRI_MPS | fcf::PRI_EOM => self.no_page_follows = false,
            _ => {}
        }
    }

    /// The gate, when no page was received yet.
    pub fn into_gate(self) -> Box<dyn PageGate + Send> {
        self.gate
    }

    /// The path of the file that the engine writes.
    pub fn path(&self) -> String {
        self.file.path()
    }

    /// Pages kept.
    pub fn kept(&self) -> u32 {
        self.kept
    }

    /// The page that is being received, 0-based.
    pub fn index(&self) -> u32 {
        self.counted
    }

    /// A page ended; its answer is decided now.
    pub fn page_end(&mut self, end: &PageEnd, events: &mut VecDeque<Event>) -> Decision {
        if end.pages_rx <= self.counted {
            // Not stored. Without ECM that is a bad page and RTN follows; with ECM the engine would
            // confirm it all the same (it does for a page without a row).
            self.unstored = true;
            return if end.ecm {
                refuse(end.ecm, self.counted, "it has no rows".into(), events)
            } else {
                Decision::Answer
            };
        }
        self.unstored = false;
        self.counted = end.pages_rx;
        let index = end.pages_rx - 1;
        if end.rows > MOST_ROWS {
            return refuse(end.ecm, index, "it is too long".into(), events);
        }
        // The engine confirms pages that it failed to write.
        if end.write_error || end.written != end.pages_rx {
            return refuse(
                end.ecm,
                index,
                "it could not be written to memory".into(),
                events,
            );
        }
        let page = match self
            .file
            .content()
            .map_err(|error| error.to_string())
            .and_then(last_page)
        {
            Ok(page) => page,
            Err(why) => return refuse(end.ecm, index, why, events),
        };
        let page = ReceivedPage {
            index,
            page,
            bad_rows: end.bad_rows,
            longest_bad_run: end.longest_bad_run,
            last: self.no_page_follows,
        };
        match self.gate.keep(page) {
            Kept::Committed => {
                self.commit(index, events);
                Decision::Answer
            }
            Kept::Pending => {
                let ticks = if end.ecm {
                    0
                } else {
                    self.gate.blocked_ticks()
                };
                self.pending = Some(Pending {
                    index,
                    ecm: end.ecm,
                    ticks,
                });
                if end.ecm {
                    Decision::NotReady
                } else {
                    Decision::Freeze
                }
            }
            Kept::Refused => refuse(end.ecm, index, "its keeper refused it".into(), events),
        }
    }

    /// A tick of line time passes. `None` when no page is pending.
    pub fn tick(&mut self, events: &mut VecDeque<Event>) -> Option<Settled> {
        let pending = self.pending.as_mut()?;
        let (index, ecm) = (pending.index, pending.ecm);
        pending.ticks += 1;
        let late = pending.ticks > if ecm { HOLD_TICKS } else { FREEZE_TICKS };
        let why = match self.gate.poll() {
            Kept::Committed => {
                self.pending = None;
                self.commit(index, events);
                return Some(Settled::Go);
            }
            Kept::Pending if !late => return Some(Settled::Waiting),
            Kept::Pending => "it was not kept in time",
            Kept::Refused => "its keeper refused it",
        };
        self.pending = None;
        events.push_back(Event::PageRefused {
            index,
            why: why.to_owned(),
        });
        Some(if ecm {
            Settled::Refuse
        } else {
            Settled::HangUp
        })
    }

    /// An answer is queued that confirms a page: whether it confirms one that was not stored.
    pub fn confirms_unstored(&self) -> bool {
        self.unstored
    }

    /// Page data comes in again: whatever was unstored is forgotten, the sender was told.
    pub fn data_follows(&mut self) {
        self.unstored = false;
    }

    fn commit(&mut self, index: u32, events: &mut VecDeque<Event>) {
        self.kept += 1;
        events.push_back(Event::PageKept { index });
    }
}

fn refuse(ecm: bool, index: u32, why: String, events: &mut VecDeque<Event>) -> Decision {
    events.push_back(Event::PageRefused { index, why });
    if ecm {
        Decision::Refuse
    } else {
        Decision::HangUp
    }
}

/// The last page of the engine's file.
fn last_page(tiff: Vec<u8>) -> Result<FaxPage, String> {
    faxpost_t4::tiff::read_last(&tiff).map_err(|error| error.to_string())
}
