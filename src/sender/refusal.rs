//! Why a sender isn't believed, in a sentence that says what to do.

use super::{DirectoryDown, SignatureFault};
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
    /// A mail in a mailbox that shows no proof.
    #[error(
        "nothing in the mail proves who sent it: mail to a mailbox is faxed with what the rule for its From address takes \
         (a DKIM signature, the word of the mailbox's own server, or a secret)"
    )]
    Fetched,
    /// The sender is nobody's address.
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
    /// A group in the From line.
    #[error("the From line names a group and must have one address: nobody could say who sent it")]
    FromGroup,
    /// A From line that may be read in several ways.
    #[error(
        "the From line is not written as name <address>: programs could differ in who sent the message, so have your \
         mail program corrected"
    )]
    FromDoubtful,
    /// The From line names another than the envelope.
    #[error(
        "the From address {0} does not belong to the user who sent the message: put your own \
         address there"
    )]
    FromDiffers(String),
    /// No rule matches the From address.
    #[error(
        "nobody may send as {0} here: ask your administrator for a rule that lets this address send"
    )]
    NoRule(String),
    /// The rule for the From address wants another proof than the connection gave.
    #[error(
        "the way in which you sent this is not enough for mail from {0}: ask your administrator what is, such as a \
         login (SMTP AUTH)"
    )]
    NotEnough(String),
    /// What the rule takes did not hold.
    #[error("nothing proves that {from} sent this: {}", list(.whys))]
    NotProven {
        /// The From address.
        from: String,
        /// What failed of each proof that the rule takes.
        whys: Vec<Why>,
    },
    /// The rule's user or group is not there.
    #[error("mail from {0} is for a user or a group that is gone: tell your administrator")]
    NoSuchUser(String),
    /// The DNS can't be asked.
    #[error(
        "the DNS gives no answer about {0} just now, and who sent this can't be known without: try again in a few \
         minutes"
    )]
    Dns(String),
    /// The directory can't be asked.
    #[error("{0}: try again in a few minutes")]
    Directory(#[from] DirectoryDown),
}

/// Why one kind of proof did not hold: a phrase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// DKIM.
    #[error(transparent)]
    Signature(#[from] SignatureFault),
    /// SPF passed for no domain that counts.
    #[error(
        "the server that sent it is not one that {0} lists in SPF, or the envelope sender is of another domain"
    )]
    Spf(String),
    /// The relay's first Authentication-Results line does not say it.
    #[error(
        "{0} does not say in its Authentication-Results that this address logged in or passed DMARC"
    )]
    Relay(String),
    /// A line that says what to do, in a mail of which nobody says that it was signed.
    #[error(
        "its {0} line may be anybody's, since no login stands behind it: write the option in brackets at the end of the subject"
    )]
    Order(String),
    /// No secret of who has the From address.
    #[error(
        "the secret in it is none of this address, or has ended: ask your administrator for a new one"
    )]
    Secret,
    /// The mailbox's server does not say it in the first Authentication-Results line.
    #[error(
        "the first Authentication-Results line is not one of {0} that says that this address logged in or passed DMARC"
    )]
    Mailbox(String),
    /// Numbers that are not in To or Cc, or a mailbox that isn't.
    #[error("{}", unnamed(.0))]
    Unnamed(Vec<String>),
}

fn unnamed(missing: &[String]) -> String {
    let list = missing.join(", ");
    match missing {
        [address] if address.contains('@') => format!(
            "{list} is in neither its To nor its Cc line, and a number that stands elsewhere counts only in a mail to that \
             address"
        ),
        _ => format!(
            "{list} is in neither its To nor its Cc line, and hidden recipients need a login: put every number there"
        ),
    }
}

fn list(whys: &[Why]) -> String {
    let whys: Vec<String> = whys.iter().map(ToString::to_string).collect();
    whys.join("; ")
}

impl Refusal {
    /// Whether trying again can help.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Directory(_) | Self::Dns(_) => Trouble::Temporary,
            _ => Trouble::Permanent,
        }
    }

    /// Whether the message itself is at fault, not who sent it (RFC 3463 §3.7: X.6, not X.7).
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        matches!(
            self,
            Self::FromLines(_) | Self::FromAddresses(_) | Self::FromGroup | Self::FromDoubtful
        )
    }
}
