//! The one question that every failure must answer: can trying again help?

/// Whether trying again can help. Every error that leaves a room says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// The same request may succeed later: a full disk, a busy database, a peer that is down.
    Temporary,
    /// The same request will fail again: a damaged document, an unknown number.
    Permanent,
}
