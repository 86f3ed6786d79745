//! T.30 fax endpoints over T.38 and G.711.
//!
//! The crate knows nothing of mail, people, sockets or clocks. Time is *ticks* of 20 ms: a caller who
//! ticks an endpoint fifty times a second has a live fax call, one who ticks as fast as the processor
//! allows has the same call some hundred times faster, bit for bit.
//!
//! - [`T38Endpoint`] and [`AudioEndpoint`] are the two kinds of endpoint, [`Call`] what they share:
//!   [`Event`]s, the [`Ending`], hanging up.
//! - [`Station`] is what we are, [`Work`] what the call is for, [`PageGate`] where a received page is
//!   kept *before* it is confirmed.
//! - [`udptl`], [`rtp`] and [`g711`] turn packets into what the endpoints take.
//!
//! Modems and T.30 are spandsp's. What it gets wrong or leaves open is cured or guarded against in
//! safe code around it: `guard` (frames that would break it), `tracker` (what the far end said of each
//! page that we sent), `custody` (a page is kept, then confirmed). `ffi` is the only unsafe code.
#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod completion;
mod custody;
mod dcn;
mod endpoint;
#[allow(unsafe_code)]
mod ffi;
pub mod frames;
pub mod g711;
mod guard;
mod memfd;
pub mod rtp;
mod session;
mod station;
mod tiff_pages;
mod tone;
mod tracker;
pub mod udptl;

pub use completion::completion_name;
pub use endpoint::{AudioEndpoint, Call, StartError, T38Endpoint, TxIfp};
pub use frames::Agreement;
pub use station::{
    Cause, Ending, Event, Kept, PageGate, PageVerdict, Progress, ReceivedPage, Station, Verdict,
    Work,
};

/// Samples of line time in a tick: 20 ms at 8000 Hz.
pub const TICK_SAMPLES: usize = 160;

/// Ticks in a second of line time.
pub const TICKS_PER_SECOND: u32 = 50;
