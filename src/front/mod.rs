//! The mail doors: SMTP, submission, LMTP, and mailboxes that are polled by IMAP.
//!
//! [`smtp`] and [`imap`] speak the protocols, `intake` decides (who sent it, where to, is it fit), and the
//! [`House`] behind them keeps what was accepted: [`Rooms`], or a test's.

mod alerts;
mod answer;
mod asked;
mod house;
pub mod imap;
mod intake;
mod message;
mod named;
mod polled;
mod postmaster;
mod rates;
mod reading;
mod replies;
mod rooms;
mod rows;
mod secrets;
pub mod smtp;
mod verdict;

pub use alerts::Alerts;
pub use answer::Answer;
pub use house::{FaxRecipient, House, Kept, Limited, Mail, NotTaken, PostmasterMail};
pub use intake::{ByName, Envelope, Intake, Numbered, Recipient, Replies};
pub use named::Named;
pub use postmaster::Postmaster;
pub use rates::Rates;
pub use replies::Reply;
pub use rooms::Rooms;
pub use secrets::SecretNotices;
pub use verdict::Verdict;

/// For the fuzz targets: the readers of what a client sends.
#[doc(hidden)]
pub mod fuzzing {
    pub use super::smtp::{lines, scan};

    /// Reads a distribution list: each line is a row, or is named as a bad one.
    pub fn rows(text: &str, plan: &crate::dial::DialPlan) {
        if let Some((rows, bad)) = super::rows::read(text, plan) {
            assert!(rows.len() + bad.len() <= super::rows::MOST_ROWS);
            let lines = rows.iter().map(|row| row.line);
            let lines = lines.chain(bad.iter().map(|bad| bad.line));
            assert!(
                lines.max().unwrap_or(0) as usize
                    <= text.lines().count() + text.matches('\r').count() + 1
            );
        }
    }

    /// Reads a message's header as the door does.
    pub fn heading(message: &[u8]) -> bool {
        super::message::read(message).is_ok()
    }
}
