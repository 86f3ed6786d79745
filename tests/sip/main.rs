//! The SIP signalling against itself and against scripted peers on raw sockets.
#![allow(clippy::unwrap_used)]

mod endings;
mod kit;
mod loopback;
#[path = "../support/peer.rs"]
mod peer;
mod peers;
mod reoffers;
mod targets;
mod tending;
mod timers;
mod tls;
