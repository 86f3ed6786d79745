//! Numbers and trunks.
