//! Mail out: what we owe to mailboxes, until the next MTA has taken it.
//!
//! The outbox holds one row for each mail: `compose` (promised, not yet written), `ready`, `sending`,
//! `sent`, `failed`, `dropped`, `replaced`. A row is made in the transaction that owes it ([`enqueue`]), gets its bytes
//! with [`ready`], and [`Relay`] hands it to the next MTA, one recipient a transaction. A repeat after
//! a crash or a lost answer has the same Message-ID. A mail that is refused or given
//! up stays in custody and in [`status`] for as long as `retention.toml` says; then its content is ended and
//! counted as `dropped`: nothing is lost in silence. One that was sent anew is `replaced` ([`set_aside`]). A mail that is too large for the relay goes back to
//! `compose` where its writer can make it smaller, and has the size that it may have with it.
//!
//! What is to be missed when it does not arrive goes out with a return path of its own ([`OWN_PATH`]); what comes back
//! to one is read by [`bounce`] and recorded once ([`record_bounce`]), and rooms above act on it. What is our own word is signed ([`dkim`]) as it goes out.

pub mod bounce;
pub mod dkim;
mod outbox;
mod pace;
mod return_path;
mod returned;
mod sender;
mod session;
mod wire;

pub use outbox::{
    Draft, NewMail, OutboxStatus, Part, divide, drop_draft, drop_unwritten, enqueue,
    enqueue_divisible, enqueue_written, has_unwritten, put_off_draft, readdress, ready, rest_draft,
    rouse_drafts, set_aside, status, stuck, take_up_drafts, to_compose, withdraw,
};
pub use return_path::{OWN_PATH, ReturnPaths};
pub use returned::{Mailed, Recorded, Returned, is_owed, mailed, record_bounce};
pub use sender::{Relay, Setup};
pub use session::submit;

#[cfg(test)]
mod tests;
