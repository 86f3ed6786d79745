//! Peers to try faxpost against on one machine.

pub mod sink;
