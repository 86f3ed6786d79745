//! The SIP signalling against itself and against scripted peers on raw sockets.
#![allow(clippy::unwrap_used)]

mod kit;
mod loopback;
mod peers;
mod tending;
mod timers;
