//! Calls on trunks.

pub mod sip;
