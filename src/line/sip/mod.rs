//! SIP signalling behind a small face: [`SipLine`], the [`Event`]s it gives, and [`sdp`], our model
//! of what two ends say about media.
//!
//! Nothing of the SIP stack appears here, so a call's state machine can be tested against a
//! scripted `SipLine`, and the stack can be changed without anybody noticing. Authentication,
//! failover between a trunk's targets, glare, dialog removal, refreshes and the filter of sources
//! are the adapter's business ([`start`]).
//!
//! The stack logs whole messages, numbers included, at INFO: every subscriber must carry the
//! directive [`LOG_FILTER`].

mod adapter;
mod ask;
mod config;
mod dialing;
mod flows;
mod incoming;
mod inspector;
mod listeners;
mod message;
mod refresh;
mod router;
pub mod sdp;
mod sources;
mod talk;
mod targets;
mod tending;
mod timers;
mod tls;

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

pub use adapter::{SipAdapter, start};
pub use config::SipConfig;
pub use tls::{TlsSetup, look_at_ca, look_at_identity};

/// The directive that keeps the stack's raw messages (phone numbers) out of the log.
pub const LOG_FILTER: &str = "rsipstack=warn";

/// How long a peer's re-INVITE may wait for [`SipLine::reanswer`]; then the adapter says 488.
pub const REOFFER_LIMIT: Duration = Duration::from_secs(10);

/// A boxed future, so that the trait is object-safe.
pub type Fut<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Extra header fields, name and value, in order. Never `Via`, `Contact`, `Content-*` and the like,
/// which belong to the adapter.
pub type Headers = Vec<(String, String)>;

/// One call, in our numbering: never the SIP Call-ID. Unique while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// One trunk, numbered by whoever configures it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrunkId(pub u32);

/// One pending re-INVITE (or UPDATE) of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OfferId(pub u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call-{}", self.0)
    }
}

impl fmt::Display for TrunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trunk-{}", self.0)
    }
}

/// Transport of a target (RFC 3261 §18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proto {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream under TLS.
    Tls,
}

/// One address a trunk can be reached at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Address and port, resolved.
    pub addr: SocketAddr,
    /// Transport.
    pub proto: Proto,
    /// Name that the certificate must carry; TLS needs one.
    pub tls_name: Option<String>,
    /// Lower ones are tried first (RFC 2782).
    pub priority: u16,
    /// Its share of the calls among those of the same priority (RFC 2782).
    pub weight: u16,
}

impl Target {
    /// The only one of a trunk, or one of equals, which are tried in their order.
    #[must_use]
    pub fn new(addr: SocketAddr, proto: Proto) -> Self {
        Self {
            addr,
            proto,
            tls_name: None,
            priority: 0,
            weight: 0,
        }
    }
}

/// The address that others reach us by, in Via, Contact and SDP; it may change while we run.
#[derive(Clone, Debug)]
pub struct Advertised(std::sync::Arc<std::sync::RwLock<IpAddr>>);

impl Advertised {
    /// What it is now.
    #[must_use]
    pub fn now(&self) -> IpAddr {
        *self
            .0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn set(&self, address: IpAddr) {
        *self
            .0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = address;
    }
}

impl From<IpAddr> for Advertised {
    fn from(address: IpAddr) -> Self {
        Self(std::sync::Arc::new(std::sync::RwLock::new(address)))
    }
}

/// A provider's trunk.
#[derive(Clone, PartialEq, Eq)]
pub struct Trunk {
    /// Its number.
    pub id: TrunkId,
    /// Host part of the URIs we write (`sip:number@domain`).
    pub domain: String,
    /// Where it is, by priority. May be empty for a trunk that only calls us.
    pub targets: Vec<Target>,
    /// User part of our From and Contact when a call names none.
    pub user: String,
    /// Digest user name when it differs from `user`.
    pub auth_user: Option<String>,
    /// Digest password; empty: a challenge ends the call.
    pub password: String,
    /// Register, and ask for this lifetime; it needs a password.
    pub register: Option<Duration>,
    /// Networks (address, prefix bits) its requests and answers come from, beside its targets.
    pub allow_from: Vec<(IpAddr, u8)>,
    /// RFC 4028 session interval to ask for; `None`: none, but a peer's is taken part in.
    pub session_expires: Option<Duration>,
    /// From INVITE until ringing or an answer, per target.
    pub setup_timeout: Duration,
    /// From ringing until an answer.
    pub ring_timeout: Duration,
    /// How long a target may stay silent (no 100 Trying either) before the next is tried.
    pub connect_timeout: Duration,
}

impl fmt::Debug for Trunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trunk")
            .field("id", &self.id)
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

/// An outgoing call.
#[derive(Clone)]
pub struct Dial {
    /// Over which trunk.
    pub trunk: TrunkId,
    /// User part of the request URI and of To, as the trunk wants it (`+33123456789`).
    pub to: String,
    /// User part of From; empty: the trunk's user.
    pub from: String,
    /// Display name in From.
    pub display: Option<String>,
    /// Our offer.
    pub sdp: Vec<u8>,
    /// Further header fields of the INVITE.
    pub headers: Headers,
}

/// Why a call or an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// We hung up an answered call.
    LocalBye,
    /// The peer hung up an answered call; `q850` from its Reason header (RFC 3326).
    RemoteBye {
        /// Cause.
        q850: Option<u16>,
    },
    /// We hung up before an answer, or the caller cancelled before ours.
    Cancelled,
    /// We answered and no ACK came.
    NoAck,
    /// The peer is gone: it no longer knows the dialog, or stopped answering in it.
    SessionExpired,
    /// The connection broke and can't be brought back.
    TransportLost,
    /// Challenged, and our credential was missing or refused.
    AuthFailed,
    /// A final answer 3xx to 6xx, from the peer or from us.
    Refused {
        /// SIP status.
        status: u16,
        /// Reason phrase.
        reason: Option<String>,
        /// Cause in the Reason header (RFC 3326).
        q850: Option<u16>,
        /// Retry-After (RFC 3261 §20.33).
        retry_after: Option<Duration>,
    },
    /// No target could be reached, or none said anything.
    Unreachable {
        /// One sentence.
        error: String,
    },
    /// A target said Trying, and neither rang nor answered in time.
    SetupTimeout,
    /// It rang, and nobody answered in time.
    RingTimeout,
    /// Something that should not happen; the sentence is for the log.
    Internal(String),
}

/// What happens on the line. For one call: `Incoming` first if it is the peer's, `Answered` at most
/// once, `Ended` exactly once and last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A registration stands.
    Registered {
        /// Trunk.
        trunk: TrunkId,
        /// For how long.
        until: Duration,
        /// Our address as the registrar sees it.
        public: Option<SocketAddr>,
    },
    /// A registration failed and will be tried again.
    RegistrationFailed {
        /// Trunk.
        trunk: TrunkId,
        /// SIP status; `None`: no answer.
        status: Option<u16>,
        /// Why there was no answer, a sentence.
        error: Option<String>,
        /// No earlier registration lasts any more.
        lost: bool,
        /// Next attempt.
        retry_in: Duration,
    },
    /// A trunk was asked with OPTIONS whether it is there (RFC 3261 §11).
    Probed {
        /// Trunk.
        trunk: TrunkId,
        /// It answered, whatever it said but 503.
        answered: bool,
        /// Else why not, a sentence.
        error: Option<String>,
    },
    /// A call from a trunk's source. Must be met by `ring`, `answer`, `reject` or `hangup`.
    Incoming {
        /// The call.
        call: CallId,
        /// Whose source it came from.
        trunk: TrunkId,
        /// User part of the request URI: the number called.
        to: String,
        /// User part of P-Asserted-Identity (RFC 3325), else of From; empty when withheld.
        from: String,
        /// User part of the first Diversion (RFC 5806): the number first called.
        diversion: Option<String>,
        /// The offer. Empty when the INVITE carries none: then the 200 must carry an offer, and
        /// `Answered` brings the answer from the ACK (RFC 3261 §13.2.1).
        sdp: Vec<u8>,
        /// Where the INVITE came from.
        source: SocketAddr,
        /// Header fields that the stack has no type for (`X-…`).
        headers: Headers,
    },
    /// Our call makes progress: 180, 183 and the like; 100 is not told.
    Progress {
        /// The call.
        call: CallId,
        /// SIP status.
        status: u16,
        /// Early media, if described.
        sdp: Option<Vec<u8>>,
    },
    /// The call stands: our INVITE got 200, or our 200 got its ACK.
    Answered {
        /// The call.
        call: CallId,
        /// The peer's SDP, never ours: its answer, or its offer when it called.
        sdp: Vec<u8>,
    },
    /// The peer's re-INVITE (or UPDATE) with a new SDP; say [`SipLine::reanswer`] within
    /// [`REOFFER_LIMIT`]. A refresh (no SDP, or the one we know) is answered by the adapter; but on hold the
    /// one without SDP comes, empty: it wants our offer, and `Remote` brings the answer.
    Reoffer {
        /// The call.
        call: CallId,
        /// Which offer.
        offer: OfferId,
        /// The peer's SDP.
        sdp: Vec<u8>,
    },
    /// Our 200 to a `Reoffer` was acknowledged: only now stop the old media.
    ReofferDone {
        /// The call.
        call: CallId,
        /// Which offer.
        offer: OfferId,
    },
    /// The peer asked us for an offer (a re-INVITE without one), got what stands, and answered it otherwise
    /// than before: its media moved. There is nothing to answer.
    Remote {
        /// The call.
        call: CallId,
        /// The peer's SDP.
        sdp: Vec<u8>,
    },
    /// The call is over.
    Ended {
        /// The call.
        call: CallId,
        /// Why.
        why: End,
    },
}

/// What became of our re-INVITE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReAnswer {
    /// 200, with the peer's answer.
    Accepted {
        /// The peer's SDP.
        sdp: Vec<u8>,
    },
    /// Refused (488, 415, 606 …) or not answered in time (408): the call is as it was.
    Rejected {
        /// SIP status.
        status: u16,
    },
    /// Both sides offered at once (491), and it stayed so: the call is as it was. The peer's offer,
    /// if it has one, comes as `Reoffer`.
    Glare,
    /// There is no such call, or it ended; `Ended` tells why.
    Gone,
}

/// What the face refuses at once. The text is a sentence for an operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SipError {
    /// The listening address can't be had.
    #[error("cannot listen for SIP on {addr}: {reason}")]
    Listen {
        /// Address and port.
        addr: SocketAddr,
        /// What the system said, and what to do.
        reason: String,
    },
    /// No such trunk.
    #[error("{0} is not configured")]
    UnknownTrunk(TrunkId),
    /// The trunk has no target to call.
    #[error("{0} has no address to call")]
    NoTarget(TrunkId),
    /// Something this version does not do.
    #[error("{0}")]
    Unsupported(String),
    /// A number or header that can't stand in a SIP message.
    #[error("{0}")]
    Invalid(String),
    /// The adapter has stopped.
    #[error("SIP signalling has stopped")]
    Stopped,
}

/// SIP signalling as the gateway sees it. Object-safe: the gateway holds `Arc<dyn SipLine>`.
///
/// Every method but [`set_trunk`](SipLine::set_trunk) and [`reoffer`](SipLine::reoffer) returns at
/// once; what comes of it is told by events. All must be called inside a tokio runtime.
pub trait SipLine: Send + Sync {
    /// The one stream of events, bounded; `None` once taken. A reader that stops reading stops the
    /// signalling: it must never wait for anything else.
    fn events(&self) -> Option<tokio::sync::mpsc::Receiver<Event>>;

    /// Adds or replaces a trunk, opens the filter of sources for it, registers with it and asks it
    /// from time to time whether it is there; `None` removes it and its registration. Calls that are
    /// up go on. Nothing happens when the trunk is as it was.
    fn set_trunk<'a>(&'a self, id: TrunkId, trunk: Option<Trunk>) -> Fut<'a, Result<(), SipError>>;

    /// Calls. Tries the trunk's targets in order, the next one only when the one before was
    /// unreachable or said 503. Tells `Progress`, `Answered`, `Ended`.
    fn dial(&self, dial: Dial) -> Result<CallId, SipError>;

    /// 180 to an incoming call.
    fn ring(&self, call: CallId);

    /// 200 to an incoming call, with our SDP; `Answered` follows when the ACK comes.
    fn answer(&self, call: CallId, sdp: Vec<u8>);

    /// Refuses an incoming call with a status 400 to 699; `q850` goes into the Reason header.
    fn reject(&self, call: CallId, status: u16, q850: Option<u16>);

    /// Our re-INVITE, with glare back-off inside. Anything but `Accepted` leaves media as it was.
    fn reoffer<'a>(&'a self, call: CallId, sdp: Vec<u8>) -> Fut<'a, ReAnswer>;

    /// Answers a `Reoffer`: `Ok(sdp)` is 200, `Err(status)` a refusal (488), after which the call
    /// goes on as it was. Ignored when the offer is no longer pending.
    fn reanswer(&self, call: CallId, offer: OfferId, answer: Result<Vec<u8>, u16>);

    /// CANCEL, BYE or a refusal, whatever the call's state needs. Idempotent; always leads to
    /// `Ended`.
    fn hangup(&self, call: CallId, q850: Option<u16>);

    /// Requests thrown away since the start, by reason.
    fn dropped(&self) -> Dropped;
}

/// Counters of what was thrown away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Packets from addresses of no trunk: no answer at all.
    pub unlisted_source: u64,
    /// INVITEs above the rate limit: 503 with Retry-After.
    pub over_rate: u64,
    /// Requests that could not be understood: 400.
    pub malformed: u64,
}
