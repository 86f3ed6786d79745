//! Who sent it: proof, and the user it maps to.
//!
//! The From line alone proves nothing (promise 4). [`Prover::claim`] judges what is known before the message: a login
//! or a listed network settles who sends, while the client can still be told at MAIL. Where a rule takes a proof that
//! only the message shows, the claim stays open, and [`Prover::prove`] decides by the message. It makes a
//! [`VerifiedSender`], which is made nowhere else.

mod alignment;
mod copies;
mod dns;
mod prover;
mod refusal;
mod results;
pub mod secret;
mod signature;

use std::{net::IpAddr, sync::Arc};

use async_trait::async_trait;

pub use crate::policy::senders::SenderRules;
use crate::{clock::Millis, policy::ClientCertificate};
pub use dns::Dns;
pub use prover::Prover;
pub use refusal::{Refusal, Why};
pub use results::{AuthResult, read_results};
pub use secret::Secret;
pub use signature::SignatureFault;

/// A user, as far as proof is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Whose customer they are.
    pub tenant_id: String,
    /// The user.
    pub user_id: String,
    /// Their group, which pays.
    pub group_id: String,
    /// Their primary mail address: reports go there.
    pub address: String,
}

/// Who has which mail address.
#[async_trait]
pub trait Directory: Send + Sync {
    /// The user that `address` belongs to, whatever its case.
    ///
    /// # Errors
    /// [`DirectoryDown`]: nothing can be said now.
    async fn person_by_address(&self, address: &str) -> Result<Option<Person>, DirectoryDown>;

    /// The user whose secret this is, while it lasts.
    ///
    /// # Errors
    /// [`DirectoryDown`].
    async fn person_by_secret(&self, _secret: &Secret) -> Result<Option<Person>, DirectoryDown> {
        Ok(None)
    }

    /// The guest who has this address, if there is one: nothing is made.
    ///
    /// # Errors
    /// [`DirectoryDown`].
    async fn known_guest(&self, _address: &str) -> Result<Option<Person>, DirectoryDown> {
        Ok(None)
    }

    /// The guest of a tenant's group who has this address; made when there is none yet. Nobody where there is no such
    /// group.
    ///
    /// # Errors
    /// [`DirectoryDown`].
    async fn guest(
        &self,
        _tenant: &str,
        _group: &str,
        _address: &str,
    ) -> Result<Option<Person>, DirectoryDown> {
        Ok(None)
    }
}

/// The directory can't be asked now; trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the directory of users can't be read just now")]
pub struct DirectoryDown;

/// What proved a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The peer is in a listed network.
    Network(IpAddr),
    /// SMTP AUTH as this user (RFC 4954).
    Password,
    /// A signature that DMARC counts as this domain's.
    Dkim(String),
    /// This peer may send for this domain, as DMARC counts it.
    Spf(IpAddr, String),
    /// The relay of this name says so: that the user logged in there, or that the mail passed DMARC.
    Relay(String),
    /// The server of this name, which the mailbox that the mail was in believes, says so.
    Mailbox(String),
    /// A secret of the user's.
    Secret,
    /// A listed certificate, by its SHA-256.
    Certificate([u8; 32]),
    /// A certificate that a listed authority made for this name.
    Authority(String),
}

/// A user who was proven to have sent a message. Its fields are private so that only [`Prover::prove`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSender {
    person: Person,
    proof: Proof,
    once: Option<Once>,
}

/// A mail whose copies could prove as much counts once: they can be told, and are repeats for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once {
    /// SHA-256 of what every sound signature of the mail covers, or would.
    pub mark: [u8; 32],
    /// Until when a copy would still be fresh, Unix milliseconds.
    pub until: Millis,
    /// This mail may be such a copy itself: what proved it can be had by others than its sender. It is a repeat of every
    /// mail with this mark. Else it is one only of a mail that may have been a copy of it.
    pub replayable: bool,
}

impl VerifiedSender {
    /// The sender's tenant.
    #[must_use]
    pub fn tenant_id(&self) -> &str {
        &self.person.tenant_id
    }

    /// The sender.
    #[must_use]
    pub fn user(&self) -> &Person {
        &self.person
    }

    /// What proved them.
    #[must_use]
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// How copies of the mail are told; nothing where none could prove anything, as it has not one Date.
    #[must_use]
    pub fn once(&self) -> Option<Once> {
        self.once
    }

    /// The proof in words for the record, its kind first: `network 127.0.0.1`, `password`, `dkim example.com`.
    #[must_use]
    pub fn proof_words(&self) -> String {
        match &self.proof {
            Proof::Network(peer) => format!("network {peer}"),
            Proof::Password => "password".into(),
            Proof::Dkim(domain) => format!("dkim {domain}"),
            Proof::Spf(peer, domain) => format!("spf {domain} {peer}"),
            Proof::Relay(name) => format!("relay {name}"),
            Proof::Mailbox(name) => format!("mailbox {name}"),
            Proof::Secret => "secret".into(),
            Proof::Authority(name) => format!("authority {name}"),
            Proof::Certificate(digest) => {
                // As many as tell it from others by eye.
                let start: String = digest[..8]
                    .iter()
                    .map(|octet| format!("{octet:02x}"))
                    .collect();
                format!("certificate {start}")
            }
        }
    }
}

/// What the connection says of the sender before any mail.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    /// The peer's address; none where a mail was fetched.
    pub address: Option<IpAddr>,
    /// What it called itself.
    pub greeting: &'a str,
    /// Who gave a right password on this connection.
    pub login: Option<&'a Person>,
    /// The certificate whose key the client has shown to have.
    pub certificate: Option<&'a ClientCertificate>,
}

/// Who says to send, as far as is known before the message.
#[derive(Clone, Debug)]
pub struct Claim(State);

#[derive(Clone, Debug)]
enum State {
    /// Proven for the envelope; the From line is still to be read.
    Settled(Settled),
    /// The message may prove it.
    Open(Open),
}

#[derive(Clone, Debug)]
struct Settled {
    /// None for a guest who was not here before: they are one when they have sent.
    person: Option<Person>,
    proof: Proof,
    /// What the client showed, for the rule of another From address of theirs.
    certificate: Option<ClientCertificate>,
    /// Lower case.
    reverse_path: String,
}

#[derive(Clone, Debug)]
struct Open {
    peer: Option<IpAddr>,
    greeting: String,
    reverse_path: String,
    /// Of a mail that was fetched: whose Authentication-Results are believed (lower case).
    believes: Option<String>,
    /// Why it is not settled.
    refusal: Refusal,
}

impl Claim {
    /// Who sends, when that is known already.
    #[must_use]
    pub fn person(&self) -> Option<&Person> {
        match &self.0 {
            State::Settled(settled) => settled.person.as_ref(),
            State::Open(_) => None,
        }
    }

    /// Whether the message has yet to prove who sends.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.0, State::Open(_))
    }
}

/// One From line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromLine {
    /// The address of each mailbox; empty for one without.
    Mailboxes(Vec<String>),
    /// A named group (RFC 5322 §3.4): nobody can say who of it sent.
    Group,
    /// Programs differ in what they read in it.
    Doubtful,
}

/// What a message shows of its sender.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The message, our trace line first.
    pub message: &'a Arc<Vec<u8>>,
    /// Each From line.
    pub from: &'a [FromLine],
    /// Numbers of the envelope that neither To nor Cc names; of a mail that was fetched, whose number stands elsewhere
    /// in it, the mailbox's address when they don't name that.
    pub unnamed: &'a [String],
    /// The secrets that came with it.
    pub secrets: &'a [Secret],
}

#[cfg(test)]
mod tests;
