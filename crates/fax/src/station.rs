//! What a station is, what a call is for, and what it says while it goes on.

use faxpost_t4::FaxPage;

use crate::frames::Agreement;

/// What we are on the line.
#[derive(Clone, Debug)]
pub struct Station {
    /// TSI of a sender, CSI of a receiver: up to 20 printable ASCII characters (T.30 §5.3.6.2.4); longer
    /// ones are cut, others left out. T.30 wants digits, `+` and space.
    pub ident: String,
    /// Error correction mode (T.30 Annex A) is offered.
    pub ecm: bool,
    /// V.17 (up to 14400 bit/s) is offered.
    pub v17: bool,
    /// The highest rate to offer, bit/s. Below 12000 V.17 is left out (it has no lower limit to set), below
    /// 7200 V.29 too.
    pub max_rate: u32,
    /// 391 lines an inch is offered beside 98 and 196.
    pub superfine: bool,
    /// B4 and A3 widths are offered beside A4.
    pub wide: bool,
}

impl Default for Station {
    fn default() -> Self {
        Self {
            ident: String::new(),
            ecm: true,
            v17: true,
            max_rate: 14_400,
            superfine: true,
            wide: false,
        }
    }
}

/// What a call is for.
pub enum Work {
    /// Sends a document.
    Send {
        /// TIFF-F, held in memory only.
        tiff: Vec<u8>,
        /// 0-based page to begin with: the first that isn't confirmed.
        first_page: u32,
        /// 0-based pages, ascending, with which further documents begin: EOM goes before them, not MPS, and phase B
        /// after it (T.30 §5.3.6.1.6).
        documents: Vec<u32>,
        /// SUB: sub-address, 20 characters (T.30 §5.3.6.2.8). A far end that takes none is sent nothing: the
        /// call ends with the code SUB_UNACCEPTABLE.
        sub_address: Option<String>,
        /// The password of a transmission, 20 characters: T.30 has it in SID (§5.3.6.2.10; PWD is for
        /// polling). A far end that takes none is sent nothing: the call ends with the code SID_UNACCEPTABLE.
        password: Option<String>,
        /// Before the data of each page, line time stands still until [`Call::go`](crate::Call::go).
        ask_before_data: bool,
    },
    /// Receives.
    Receive {
        /// Where pages are kept.
        gate: Box<dyn PageGate + Send>,
    },
}

impl Work {
    /// Sends all pages of `tiff`.
    #[must_use]
    pub fn send(tiff: Vec<u8>) -> Self {
        Self::Send {
            tiff,
            first_page: 0,
            documents: Vec::new(),
            sub_address: None,
            password: None,
            ask_before_data: false,
        }
    }

    /// Receives into `gate`.
    #[must_use]
    pub fn receive(gate: impl PageGate + Send + 'static) -> Self {
        Self::Receive {
            gate: Box::new(gate),
        }
    }
}

/// Where a received page is kept before it is confirmed.
///
/// The far end drops its copy when it hears our confirmation, so the page must be on stable storage
/// by then.
pub trait PageGate {
    /// Takes a page. A live call may block here for at most 500 ms, in which nothing else of the call
    /// moves; line time lost so is not made up for afterwards.
    fn keep(&mut self, page: ReceivedPage) -> Kept;

    /// Asked each tick after [`keep`](Self::keep) said [`Kept::Pending`], until it says otherwise.
    fn poll(&mut self) -> Kept;

    /// Ticks of line time that the last [`keep`](Self::keep) blocked: without ECM they count
    /// against the 2.0 s that a confirmation may be late.
    fn blocked_ticks(&self) -> u32 {
        0
    }
}

/// What became of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// On stable storage: confirm it.
    Committed,
    /// Not yet known: hold the far end.
    Pending,
    /// It can't be kept: don't confirm it.
    Refused,
}

/// A page as received.
#[derive(Clone, Debug)]
pub struct ReceivedPage {
    /// 0-based within the call.
    pub index: u32,
    /// The page.
    pub page: FaxPage,
    /// Rows that arrived damaged (always 0 with ECM).
    pub bad_rows: u32,
    /// The longest run of damaged rows.
    pub longest_bad_run: u32,
    /// EOP came after it: the sender says that no page follows (T.30 §5.3.6.1.6).
    pub last: bool,
}

/// What happens on a call. [`Event::Ended`] is always last and comes once.
#[derive(Clone, Debug)]
pub enum Event {
    /// A fax tone or a T.30 signal came from the far end: it is a fax machine. Comes once.
    FaxHeard,
    /// DCS went out or came in; comes again after each new training.
    Negotiated(Agreement),
    /// A frame, other than image data.
    Frame {
        /// It is ours.
        sent: bool,
        /// The facsimile control field, with its X bit.
        fcf: u8,
        /// Its name; for a PPS the whole: `PPS-EOP`.
        name: String,
    },
    /// The far end is ready for the data of a page, which waits for [`Call::go`](crate::Call::go). Comes
    /// for each page, again for one that is repeated, directly after the verdict that lets it follow; only
    /// when [`Work::Send`] asked for it.
    PageDataNext {
        /// 0-based in the file.
        index: u32,
    },
    /// Data of a page begins to go out, or to be written; again for a page that is repeated.
    PageStarted {
        /// 0-based: in the file when we send, in the call when we receive.
        index: u32,
    },
    /// How far a page is; about twice a second.
    PageProgress {
        /// 0-based.
        index: u32,
        /// How far.
        progress: Progress,
    },
    /// The far end's verdict on a page that we sent. A refused page may be repeated and confirmed after.
    PageVerdict(PageVerdict),
    /// A received page is kept and its confirmation goes out.
    PageKept {
        /// 0-based in the call.
        index: u32,
    },
    /// A received page was not kept and is not confirmed; the call ends.
    PageRefused {
        /// 0-based in the call.
        index: u32,
        /// Why.
        why: String,
    },
    /// The call is over.
    Ended(Ending),
}

/// How far a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Rows that went out, without ECM.
    SentRows {
        /// Rows so far.
        rows: u32,
        /// Rows of the page.
        of: u32,
    },
    /// Octets of image that went out, with ECM.
    Sent {
        /// Octets so far, repeats by error correction included.
        octets: u32,
        /// Octets of the page in the line's coding; 0 while unknown.
        of: u32,
    },
    /// Rows that came in. How many will come isn't known before the end.
    Received {
        /// Rows so far.
        rows: u32,
    },
}

/// What the far end said of a page, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// MCF, RTP or PIP answered its post-message command.
    Confirmed,
    /// RTN, PIN or ERR answered it.
    Refused,
    /// Page data went out and nothing that counts came back.
    Unknown,
    /// No page data went out.
    Unsent,
}

/// The verdict on one page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageVerdict {
    /// 0-based in the file.
    pub index: u32,
    /// What the far end said.
    pub verdict: Verdict,
    /// The frames that say so: `MCF to PPS-EOP`.
    pub evidence: String,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// spandsp's T.30 completion code. It proves nothing about pages.
    pub code: u32,
    /// Its name.
    pub name: &'static str,
    /// What ended the call.
    pub cause: Cause,
    /// Of a sender: one verdict for each page of the file from the first that was to be sent.
    pub pages: Vec<PageVerdict>,
    /// Of a receiver: pages kept and confirmed.
    pub kept: u32,
    /// The last agreement.
    pub agreement: Option<Agreement>,
    /// The far end is a fax machine.
    pub fax_heard: bool,
    /// Line time from the start to the end.
    pub ticks: u64,
}

/// What ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// T.30 came to an end of its own; the completion code says which.
    Protocol,
    /// [`Call::terminate`](crate::Call::terminate): we or the far end hung up.
    HungUp,
    /// [`T38Endpoint::break_off`](crate::T38Endpoint::break_off): we ended it before a page's data, with DCN.
    BrokenOff,
    /// Nothing moved for 70 s of line time.
    Silence,
    /// A received page could not be kept, or not in time.
    PageNotKept,
    /// The permit for a page's data did not come within 4 s.
    NoPermit,
    /// The engine's page count and the frames disagree: which page is on the line can't be told.
    PageCountLost,
    /// A received page grew beyond all measure.
    PageTooLong,
}
