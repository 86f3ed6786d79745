//! The line: calls on trunks, from SIP to confirmed pages.
//!
//! [`FaxLine`] places calls and offers incoming ones to an [`Answerer`]. Signalling is `sip`; the
//! media and the modems run in sandboxed line workers that know neither keys nor names. `hylafax` hands
//! calls to a HylaFAX server and its modems instead; [`Lines`] sends each call by the kind of its trunk.

mod calls;
pub mod child;
mod ending;
pub mod hylafax;
mod in_progress;
mod incoming;
mod lines;
mod media;
mod outgoing;
pub mod protocol;
mod resolve;
mod session;
pub mod sip;
mod trunks;
mod workers;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use faxpost_t4::{FaxPage, Resolution};
use tokio::sync::{mpsc, oneshot};

use crate::dial::Password;
pub use crate::outcome::Verdict;
pub use calls::{Setup, SipFaxLine};
pub use hylafax::HylaFaxLine;
pub use lines::Lines;
pub use resolve::Resolver;
pub use trunks::TrunkNow;

pub use protocol::CALLS_PER_WORKER;

/// A call to place: everything is settled, the header line is drawn.
#[derive(Clone, Debug)]
pub struct CallOrder {
    /// Our id of the call (ULID), for logs and records.
    pub call_id: String,
    /// The trunk to try first.
    pub trunk_id: String,
    /// The trunks to try after it, as long as none may have a call of ours.
    pub more_trunks: Vec<String>,
    /// Who calls: E.164 with the plus sign.
    pub from: String,
    /// Who is called: E.164 with the plus sign.
    pub to: String,
    /// SUB: who behind that number (T.33); a machine that does not take it gets nothing.
    pub sub_address: Option<String>,
    /// SID: the password of the transmission; a machine that does not take one gets nothing.
    pub password: Option<Password>,
    /// TSI: what the far end shows as the sender (T.30 §5.3.6.2.6, 20 characters of digits, `+` and space).
    pub ident: String,
    /// The pages to send, from the first that is not confirmed.
    pub pages: Vec<FaxPage>,
    /// 0-based indexes into `pages` with which further documents begin: EOM goes before them (T.30 §5.3.6.1.6).
    /// A HylaFAX server carries one document.
    pub documents: Vec<u32>,
    /// Error correction mode (T.30 Annex A) is offered.
    pub ecm: bool,
    /// V.17 is offered; without it V.29 and V.27 ter are (T.30 Table 2, bits 11 to 14).
    pub v17: bool,
    /// The highest rate to offer, bit/s.
    pub max_rate: u32,
    /// T.38 is tried, as the trunk has it; else the call stays G.711.
    pub t38: bool,
}

/// The verdict on one page of a call.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PageVerdict {
    /// 0-based index into [`CallOrder::pages`].
    pub page: u32,
    /// What the far end said.
    pub verdict: Verdict,
    /// The frames that say so: `MCF to PPS-EOP`.
    pub evidence: String,
}

/// What happens on a call, in order; [`CallEvent::Ended`] is always last and comes once.
#[derive(Debug)]
pub enum CallEvent {
    /// The trunk before it could not take the call: this one is tried now.
    Trunk(String),
    /// The far end rings.
    Ringing,
    /// The far end answered.
    Answered,
    /// The media is settled: `t38` or `g711`.
    Media(Media),
    /// Capabilities are agreed (DCS sent or received).
    Negotiated(Negotiated),
    /// The data of a page comes next and waits for its permit, so that what a crash leaves unknown is on
    /// record before. A permit that is dropped, or not given within 4 s of line time, ends the call.
    PageDataNext {
        /// 0-based index.
        page: u32,
        /// The far end's verdict on the page before, when it has just come: to be recorded with the permit.
        answered: Option<PageVerdict>,
        /// To be given once that is on record.
        permit: oneshot::Sender<()>,
    },
    /// Page data begins.
    PageStarted {
        /// 0-based index.
        page: u32,
    },
    /// How far the page is.
    PageProgress {
        /// 0-based index.
        page: u32,
        /// 0 to 100.
        percent: u8,
    },
    /// The far end's verdict on a page that we sent, when no other follows at once.
    Page(PageVerdict),
    /// The call is over.
    Ended(CallEnding),
}

/// What carries the fax.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Media {
    /// T.38 over UDPTL.
    T38,
    /// G.711 over RTP.
    G711,
}

/// What two fax machines agreed on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Negotiated {
    /// The far end's identification: CSI when we send, TSI when we receive.
    pub remote_ident: Option<String>,
    /// SUB: whom the sender asks for behind our number, when we receive.
    pub sub_address: Option<String>,
    /// bit/s.
    pub rate: u32,
    /// Error correction mode.
    pub ecm: bool,
    /// Lines a inch of the pages: 98, 196 or 391.
    pub vertical_dpi: u32,
}

/// How a call ended: the facts, for `outcome` to put into words.
#[derive(Clone, Debug, Default)]
pub struct CallEnding {
    /// The final SIP response to our INVITE when it was not 200, or the cause of its absence.
    pub sip: Option<SipEnding>,
    /// Q.850 cause, when a Reason header gave one.
    pub q850: Option<u16>,
    /// spandsp's T.30 completion code, when a fax began.
    pub t30: Option<u32>,
    /// The far end was no fax machine: no T.30 signal came in time.
    pub no_fax_heard: bool,
    /// The last agreement.
    pub negotiated: Option<Negotiated>,
    /// The media at the end.
    pub media: Option<Media>,
    /// One for each page of the order (empty for incoming calls).
    pub pages: Vec<PageVerdict>,
    /// From the answer to the end.
    pub duration: Duration,
    /// A failure of our own that ended it: worker lost, no media port, a record that came too late.
    pub own_fault: Option<String>,
    /// What HylaFAX says of the end of a call that was its.
    pub hylafax: Option<String>,
}

/// Why a call was never answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SipEnding {
    /// A final response from 300 to 699.
    Status(u16),
    /// No response at all, or the trunk can't be reached.
    Unreachable(String),
    /// It rang until our limit.
    NoAnswer,
}

/// An incoming call, offered before it is answered.
#[derive(Clone, Debug)]
pub struct IncomingCall {
    /// Our id of the call (ULID).
    pub call_id: String,
    /// The trunk that brought it.
    pub trunk_id: String,
    /// The called number as the trunk gave it.
    pub to: String,
    /// The caller's number as the trunk gave it.
    pub from: String,
}

/// What to do with an incoming call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Answer as this station.
    Answer {
        /// CSI: what the far end's display shows (20 characters).
        ident: String,
    },
    /// Refuse, unanswered, with this SIP status: 404 not ours, 480 no room.
    Refuse(u16),
}

/// A page as it was received, before it is confirmed.
#[derive(Clone, Debug)]
pub struct ReceivedPage {
    /// 0-based.
    pub index: u32,
    /// The page in the coding that the line delivered.
    pub page: FaxPage,
    /// Rows that came damaged.
    pub bad_rows: u32,
    /// EOP came after it: the sender says that no page follows (T.30 §5.3.6.1.6).
    pub last: bool,
}

/// The room above that takes incoming calls.
#[async_trait]
pub trait Answerer: Send + Sync {
    /// Decides before the call is answered.
    async fn offered(&self, call: &IncomingCall) -> Decision;
    /// Returns `true` once the page is committed and flushed: only then is it confirmed. `false` refuses it.
    async fn keep(&self, call: &IncomingCall, page: ReceivedPage) -> bool;
    /// The call is over. Called once for each call that was answered.
    async fn ended(&self, call: &IncomingCall, ending: CallEnding);
    /// How many pages of this call are kept; `None`: it was never answered. For faxes that can come a
    /// second time, from a server that could not remove them.
    ///
    /// # Errors
    /// It can't be told now.
    async fn had(&self, _call_id: &str) -> anyhow::Result<Option<u32>> {
        Ok(None)
    }
}

/// A line that carries faxes.
#[async_trait]
pub trait FaxLine: Send + Sync {
    /// Starts a call. Events follow until [`CallEvent::Ended`].
    async fn place(&self, order: CallOrder) -> mpsc::Receiver<CallEvent>;
    /// Ends a call soon; [`CallEvent::Ended`] still follows. Unknown ids are ignored.
    fn hang_up(&self, call_id: &str);
    /// Those of these trunks that can take a call now, in the order to try them.
    fn usable(&self, trunk_ids: &[String]) -> Vec<String>;
    /// Takes the room that answers incoming calls; before this is called they are refused with 480.
    fn set_answerer(&self, answerer: Arc<dyn Answerer>);
}

/// The resolution that carries `dpi` lines a inch.
#[must_use]
pub fn resolution_of(dpi: u32) -> Resolution {
    match dpi {
        0..=146 => Resolution::Standard,
        147..=290 => Resolution::Fine,
        _ => Resolution::Superfine,
    }
}
