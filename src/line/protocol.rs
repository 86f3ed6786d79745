//! What the parent and a line worker say to each other, frame by frame.
//!
//! Media sockets are opened, bound and connected by the parent and travel beside the frames.

use serde::{Deserialize, Serialize};

use super::{Negotiated, PageVerdict, Verdict};
use crate::{dial::Password, worker::Blob};

/// Calls that one line worker carries at most.
pub const CALLS_PER_WORKER: usize = 32;

/// From the parent to the line worker. `call` is the parent's number for the call in this worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToWorker {
    /// Starts a call; one descriptor comes beside it: the connected media socket.
    Start {
        /// The call.
        call: u64,
        /// What it does.
        role: Role,
        /// TSI or CSI.
        ident: String,
        /// ECM is offered.
        ecm: bool,
        /// V.17 is offered.
        v17: bool,
        /// The highest rate, bit/s.
        max_rate: u32,
        /// We placed the call.
        caller: bool,
        /// Ticks of line time that pass in one of clock time: 1 is real time.
        speed: u32,
        /// What the socket carries.
        media: MediaSetup,
    },
    /// The media changed before page data began: the T.30 session starts anew on the socket beside this.
    Media {
        /// The call.
        call: u64,
        /// What the new socket carries.
        media: MediaSetup,
    },
    /// The same media with other settings: the fax goes on. Where they go is the parent's doing, as the
    /// socket is its too.
    Adjust {
        /// The call.
        call: u64,
        /// What the socket carries from now on, of the same kind as before.
        media: MediaSetup,
    },
    /// The answer to [`FromWorker::PageReceived`].
    Kept {
        /// The call.
        call: u64,
        /// 0-based page.
        page: u32,
        /// Committed and flushed; `false` refuses it.
        committed: bool,
    },
    /// The answer to [`FromWorker::PageDataNext`]: page data may go out.
    Go {
        /// The call.
        call: u64,
    },
    /// The other answer to it: no page data goes out, but DCN, and the call ends (T.30 §5.3.6.1.8).
    BreakOff {
        /// The call.
        call: u64,
    },
    /// Ends the call; [`FromWorker::Ended`] follows.
    HangUp {
        /// The call.
        call: u64,
    },
}

/// What a call does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Sends a document.
    Send {
        /// TIFF-F, all pages of the order.
        tiff: Blob,
        /// Its pages.
        pages: u32,
        /// 0-based pages with which further documents begin: EOM goes before them.
        documents: Vec<u32>,
        /// SUB: who behind the number.
        sub_address: Option<String>,
        /// SID: the password of the transmission.
        password: Option<Password>,
    },
    /// Receives.
    Receive,
}

/// What a media socket carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaSetup {
    /// G.711 in RTP, 20 ms a packet.
    G711 {
        /// A-law, else µ-law.
        alaw: bool,
        /// The RTP payload type that was agreed on for it: 8 and 0 unless the peer has its own numbers.
        payload: u8,
    },
    /// T.38 over UDPTL.
    T38 {
        /// The peer's `T38FaxMaxDatagram`, octets.
        max_datagram: u32,
        /// The peer's `T38MaxBitRate`, bit/s: the highest rate that we offer or choose.
        max_rate: u32,
    },
}

/// From the line worker to the parent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromWorker {
    /// A fax tone or a T.30 signal from the far end was heard: the far end is a fax machine.
    FaxHeard {
        /// The call.
        call: u64,
    },
    /// The first packet came on these media: the peer is where we hear it.
    MediaHeard {
        /// The call.
        call: u64,
    },
    /// DCS went out or came in.
    Negotiated {
        /// The call.
        call: u64,
        /// The agreement.
        what: Negotiated,
    },
    /// The far end is ready for a page's data (CFR, or MCF to MPS): line time stands still until
    /// [`ToWorker::Go`], 4 s at most. Sent for each page, again for one that is repeated.
    PageDataNext {
        /// The call.
        call: u64,
        /// 0-based page.
        page: u32,
        /// The verdict on the page before, when it is what made the far end ready.
        answered: Option<PageVerdict>,
    },
    /// Page data begins.
    PageStarted {
        /// The call.
        call: u64,
        /// 0-based page.
        page: u32,
    },
    /// How far the page is.
    PageProgress {
        /// The call.
        call: u64,
        /// 0-based page.
        page: u32,
        /// 0 to 100.
        percent: u8,
    },
    /// The far end's verdict on a page that we sent.
    PageVerdict {
        /// The call.
        call: u64,
        /// 0-based page.
        page: u32,
        /// What it said.
        verdict: Verdict,
        /// The frames that say so.
        evidence: String,
    },
    /// A page to keep; it is confirmed after [`ToWorker::Kept`].
    PageReceived {
        /// The call.
        call: u64,
        /// 0-based page.
        page: u32,
        /// TIFF-F of this one page.
        tiff: Blob,
        /// Damaged rows.
        bad_rows: u32,
        /// EOP came after it.
        last: bool,
    },
    /// The fax is over, or the call was hung up. Always last for a call.
    Ended {
        /// The call.
        call: u64,
        /// T.30 completion code.
        t30: u32,
        /// A verdict for each page of a sender.
        pages: Vec<(u32, Verdict, String)>,
        /// The last agreement.
        negotiated: Option<Negotiated>,
        /// A T.30 signal was heard.
        fax_heard: bool,
        /// We ended it, for a reason of our own.
        fault: Option<Fault>,
    },
}

/// Why a line worker ended a call that T.30 and the far end would have let go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Fault {
    /// It had no thread, no socket or no memory for the call.
    #[error("the line worker could not begin the call")]
    NotBegun,
    /// [`ToWorker::Go`] did not come in time.
    #[error("the record that a page is about to go out came too late for the line")]
    NoPermit,
    /// [`ToWorker::Kept`] did not come in time, or said no.
    #[error("a received page could not be kept in time")]
    PageNotKept,
    /// The engine's page count and the frames disagree.
    #[error("the fax engine lost count of the pages")]
    PageCountLost,
}

impl FromWorker {
    /// The call that it speaks of.
    #[must_use]
    pub fn call(&self) -> u64 {
        match self {
            Self::FaxHeard { call }
            | Self::MediaHeard { call }
            | Self::Negotiated { call, .. }
            | Self::PageDataNext { call, .. }
            | Self::PageStarted { call, .. }
            | Self::PageProgress { call, .. }
            | Self::PageVerdict { call, .. }
            | Self::PageReceived { call, .. }
            | Self::Ended { call, .. } => *call,
        }
    }
}
