//! The SIP signalling against itself and against scripted peers on raw sockets.

mod kit;
mod loopback;
mod peers;
