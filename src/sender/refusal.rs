//! Why a sender isn't believed, in a sentence that says what to do.

use super::DirectoryDown;
use crate::trouble::Trouble;

/// Why a sender isn't believed. What it prints is what the user reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither a listed network nor a login.
    #[error(
        "nothing proves who you are: log in (SMTP AUTH) with your mail password, or send through \
         your organisation's mail server"
    )]
    Unproven,
    /// The envelope sender is nobody's address.
    #[error(
        "{0} is not the address of a user here: send from the address that your administrator \
         registered, or ask them to add this one"
    )]
    Unknown(String),
    /// The envelope sender isn't an address of who logged in.
    #[error("{0} is not an address of the user who logged in: send from your own address")]
    NotTheLogins(String),
    /// Mail from `<>`.
    #[error(
        "reports of mail systems (sender <>) can't be faxed: send the document from your own \
         address"
    )]
    NullReversePath,
    /// Not exactly one From line.
    #[error("the message has {0} From lines and must have one: nobody could say who sent it")]
    FromLines(usize),
    /// Not exactly one address in the From line.
    #[error("the From line has {0} addresses and must have one: nobody could say who sent it")]
    FromAddresses(usize),
    /// The From line names another than the envelope.
    #[error(
        "the From address {0} does not belong to the user who sent the message: put your own \
         address there"
    )]
    FromDiffers(String),
    /// The directory can't be asked.
    #[error("{0}: try again in a few minutes")]
    Directory(#[from] DirectoryDown),
}

impl Refusal {
    /// Whether trying again can help.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Directory(_) => Trouble::Temporary,
            _ => Trouble::Permanent,
        }
    }

    /// Whether the message itself is at fault, not who sent it (RFC 3463 §3.7: X.6, not X.7).
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        matches!(self, Self::FromLines(_) | Self::FromAddresses(_))
    }
}
