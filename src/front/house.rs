//! What a mail door asks of the rooms behind it, small enough to be played in a test.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answer, Reply};
use crate::{
    books::Contact,
    dial::{Destination, SubAddress},
    language::Told,
    letter::Refused,
    options::{Options, Wishes},
    people::{Terms, Verifier},
    relay::bounce::Bounce,
    sender::{Directory, DirectoryDown, Person, VerifiedSender},
    submission::{Door, ToldBy},
    tokens::{Invalid, Token},
    trouble::Trouble,
};

/// The rooms behind a mail door.
#[async_trait]
pub trait House: Directory {
    /// The tenant whose faxes go through `domain` (lower case).
    ///
    /// # Errors
    /// [`DirectoryDown`].
    async fn tenant_of_domain(&self, domain: &str) -> Result<Option<String>, DirectoryDown>;

    /// Why a user may not fax this number, by their profile: a sentence without its full stop.
    ///
    /// # Errors
    /// [`DirectoryDown`].
    async fn not_allowed(
        &self,
        _tenant_id: &str,
        _user_id: &str,
        _number: &Destination,
    ) -> Result<Option<Told>, DirectoryDown> {
        Ok(None)
    }

    /// What holds for the options of a user's mail.
    ///
    /// # Errors
    /// [`DirectoryDown`].
    async fn terms(&self, _tenant_id: &str, _user_id: &str) -> Result<Terms, DirectoryDown> {
        Ok(Terms::default())
    }

    /// Whom a user's phone book, or their tenant's, has by this name: none where nobody is called so.
    ///
    /// # Errors
    /// [`DirectoryDown`].
    async fn contacts(
        &self,
        _tenant_id: &str,
        _user_id: &str,
        _name: &str,
    ) -> Result<Option<Vec<Contact>>, DirectoryDown> {
        Ok(None)
    }

    /// The numbers that a user may call from, E.164.
    ///
    /// # Errors
    /// [`DirectoryDown`].
    async fn callers(
        &self,
        _tenant_id: &str,
        _user_id: &str,
    ) -> Result<Vec<String>, DirectoryDown> {
        Ok(Vec::new())
    }

    /// The user whose address is `login` and whose mail password is `password`.
    ///
    /// # Errors
    /// [`DirectoryDown`].
    async fn login(&self, login: &str, password: &str) -> Result<Option<Person>, DirectoryDown>;

    /// What SCRAM checks the mail password of `login` by, and whose it is; for a login that nobody has, a
    /// verifier that nothing fits.
    ///
    /// # Errors
    /// [`DirectoryDown`].
    async fn scram(&self, login: &str) -> Result<(Option<Person>, Verifier), DirectoryDown>;

    /// Keeps a mail: it returns when the mail is flushed and its jobs are committed, not before
    /// (promise 1).
    ///
    /// # Errors
    /// [`NotTaken`]: nothing was kept.
    async fn accept(&self, mail: Mail) -> Result<Kept, NotTaken>;

    /// The mail of ours that a token stands for, or why it stands for none.
    ///
    /// # Errors
    /// [`DirectoryDown`].
    async fn token(&self, _text: &str) -> Result<Result<Token, Invalid>, DirectoryDown> {
        Ok(Err(Invalid::Unknown))
    }

    /// Does what a reply says, and gives its author's answer: it returns when that is committed.
    ///
    /// # Errors
    /// The answer of a reply that does nothing.
    async fn reply(&self, _reply: Reply) -> Result<String, Answer> {
        Err(super::replies::not_yours())
    }

    /// The mail of ours whose return path this is.
    fn returned_mail(&self, _local_part: &str) -> Option<String> {
        None
    }

    /// Takes what came back of a mail of ours: it returns when what follows from it is committed (promise 1).
    ///
    /// # Errors
    /// [`NotTaken`]: nothing was done.
    async fn returned(&self, _mail_id: &str, _bounce: &Bounce) -> Result<(), NotTaken> {
        Ok(())
    }

    /// Who reads mail to postmaster; nobody when no operator is known.
    ///
    /// # Errors
    /// [`DirectoryDown`].
    async fn postmaster(&self) -> Result<Option<String>, DirectoryDown>;

    /// Keeps a mail to postmaster, to be handed on: it returns its id when the mail is flushed and
    /// committed (promise 1).
    ///
    /// # Errors
    /// [`NotTaken`]: nothing was kept.
    async fn hand_on(&self, mail: PostmasterMail) -> Result<String, NotTaken>;
}

/// A mail to postmaster, from anybody.
#[derive(Clone, Debug)]
pub struct PostmasterMail {
    /// The address in MAIL, as it was given; empty for `<>`.
    pub reverse_path: String,
    /// The message as it came, below our Received line.
    pub message: Vec<u8>,
}

/// What became of a mail that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The submission's id.
    pub submission: String,
    /// Numbers that it is faxed to.
    pub faxed: usize,
    /// Numbers that had the same mail before, and are not faxed again (promise 3).
    pub again: usize,
}

/// A mail whose sender is proven and whose recipients are numbers.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Which door it came through.
    pub door: Door,
    /// What tells it again besides its octets.
    pub told_by: Vec<ToldBy>,
    /// Who sent it.
    pub sender: VerifiedSender,
    /// The address in MAIL, as it was given.
    pub reverse_path: String,
    /// DSN ENVID, decoded (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// DSN RET: `FULL` or `HDRS` (RFC 3461 §4.3).
    pub ret: Option<&'static str>,
    /// One a number; at least one.
    pub recipients: Vec<FaxRecipient>,
    /// What of it is not taken, and has no answer of its own: the sender is owed a letter that names it.
    pub refused: Vec<Refused>,
    /// The mail's own Message-ID, without brackets.
    pub message_id: Option<String>,
    /// The subject, decoded, without options; empty without one.
    pub subject: String,
    /// What it asks of its faxes as a whole.
    pub options: Options,
    /// It gives a password for the far machines.
    pub password: bool,
    /// The message as it came, below our Received line.
    pub message: Vec<u8>,
}

/// One number of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaxRecipient {
    /// The number.
    pub destination: Destination,
    /// Who or what behind it.
    pub sub_address: Option<SubAddress>,
    /// The address in RCPT, as it was given.
    pub address: String,
    /// Who it is, where a contact or a list says so.
    pub name: Option<String>,
    /// What the address asks.
    pub wishes: Wishes,
    /// What is asked of this fax, wherever it is written; known when the mail is kept.
    pub options: Options,
    /// DSN NOTIFY as on the wire: `SUCCESS,FAILURE` (RFC 3461 §4.1).
    pub notify: Option<String>,
    /// DSN ORCPT, decoded: `rfc822;bob@example.com` (RFC 3461 §4.2).
    pub orcpt: Option<String>,
}

/// Why a mail was not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct NotTaken {
    /// Whether trying again can help.
    pub trouble: Trouble,
    /// What the user reads.
    pub sentence: String,
    /// It goes beyond what a day may hold.
    pub limited: Option<Limited>,
}

impl NotTaken {
    /// For another reason than a limit.
    #[must_use]
    pub fn new(trouble: Trouble, sentence: impl Into<String>) -> Self {
        Self {
            trouble,
            sentence: sentence.into(),
            limited: None,
        }
    }
}

/// A day's limit that a mail goes beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// Until the next day.
    pub wait: Duration,
}
