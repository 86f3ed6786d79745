//! An IMAP session (RFC 9051, RFC 3501): commands, with every answer read to its end within its time.
//!
//! The library has the parser and the framing. Its own commands are not used: some stop reading at a NO as at an OK,
//! the others' unasked answers go into a channel that drops the hundred and first, IDLE reports a closed connection as
//! an interruption, and none has a time-out.

use std::{io, time::Duration};

use async_imap::{
    Session,
    imap_proto::{
        AttributeValue, Capability, MailboxDatum, RequestId, Response, ResponseCode, Status,
    },
};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{
    names,
    wire::{ANSWER, Excess, LITERAL, Wire},
};

/// The slowest rate at which a mail may come, octets a second.
const SLOWEST: u64 = 8 << 10;
/// How much longer than one answer a command may take with all of its answers.
const WHOLE: Duration = Duration::from_secs(300);
/// UIDs that are asked for at once.
pub(super) const LOT: usize = 200;

/// What can go wrong with a server. The words are for the administrator.
#[derive(Debug, thiserror::Error)]
pub(super) enum ImapError {
    /// It does not let us in: trying again soon would make it worse.
    #[error("the login was refused: {0}")]
    Login(String),
    /// It says NO or BAD to a command; the connection stands.
    #[error("the server does not {what}: {words}")]
    No {
        /// What was asked.
        what: &'static str,
        /// What it said.
        words: String,
    },
    /// It sends more than was asked for.
    #[error(transparent)]
    Excess(#[from] Excess),
    /// The connection is of no use any more.
    #[error("{0}")]
    Broken(String),
}

impl ImapError {
    pub fn broken(words: impl Into<String>) -> Self {
        Self::Broken(words.into())
    }

    pub fn of_io(error: &io::Error) -> Self {
        let excess = error.get_ref().and_then(|cause| cause.downcast_ref());
        match (excess, error.kind()) {
            (Some(excess), _) => Self::Excess(*excess),
            // The library repeats in its words what it could not read: a mail, for instance.
            (None, io::ErrorKind::Other) => Self::broken("the server's answer can't be read"),
            (None, _) => Self::Broken(format!("the connection broke: {error}")),
        }
    }

    pub fn of_library(error: &async_imap::error::Error) -> Self {
        match error {
            async_imap::error::Error::Io(error) => Self::of_io(error),
            async_imap::error::Error::ConnectionLost => {
                Self::broken("the server closed the connection")
            }
            async_imap::error::Error::Parse(_) => Self::broken("the server's answer can't be read"),
            other => Self::Broken(short(&other.to_string())),
        }
    }
}

/// What a server says may be long, and go on in several lines.
pub(super) fn short(words: &str) -> String {
    words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect()
}

/// A folder that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Folder {
    /// While it is the same, a UID is the same mail for ever (RFC 9051 §2.3.1.1).
    pub uid_validity: u32,
}

/// A session behind the login.
#[derive(Debug)]
pub(super) struct Imap {
    session: Session<Wire>,
    /// For each answer.
    patience: Duration,
    capabilities: Vec<String>,
    /// Mails have come since the last search.
    news: bool,
}

impl Imap {
    /// Takes a session over, and asks what the server can do: it may be more than before the login.
    pub async fn new(session: Session<Wire>, patience: Duration) -> Result<Self, ImapError> {
        let mut imap = Self {
            session,
            patience,
            capabilities: Vec::new(),
            news: false,
        };
        let mut found = Vec::new();
        imap.command("say what it can do", "CAPABILITY", |answer| {
            if let Response::Capabilities(list) = answer {
                found.extend(list.iter().filter_map(|capability| match capability {
                    Capability::Atom(name) => Some(name.to_ascii_uppercase()),
                    _ => None,
                }));
            }
        })
        .await?;
        imap.capabilities = found;
        Ok(imap)
    }

    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|known| known == capability)
    }

    /// Opens a folder (RFC 9051 §6.3.2).
    pub async fn select(&mut self, folder: &str) -> Result<Folder, ImapError> {
        let mut validity = None;
        let command = format!("SELECT {}", names::folder(folder));
        let done = self
            .command("open the folder", &command, |answer| {
                if let Response::Data { outcome, .. } = answer
                    && let Some(ResponseCode::UidValidity(value)) = outcome.code
                {
                    validity = Some(value);
                }
            })
            .await?;
        if done == Done::ReadOnly {
            return Err(ImapError::broken(format!(
                "the folder {folder} can't be written: let our login move mails out of it"
            )));
        }
        let uid_validity = validity.ok_or_else(|| {
            ImapError::broken("the server gives mails no lasting numbers (UIDVALIDITY)")
        })?;
        Ok(Folder { uid_validity })
    }

    /// The UIDs of the mails that nobody has deleted, lowest first.
    pub async fn search(&mut self) -> Result<Vec<u32>, ImapError> {
        // What comes from here on may not be in the answer.
        self.news = false;
        let mut uids = Vec::new();
        self.command("search the folder", "UID SEARCH UNDELETED", |answer| {
            if let Response::MailboxData(MailboxDatum::Search(found)) = answer {
                uids.extend(found);
            }
        })
        .await?;
        // No server is bound to an order.
        uids.sort_unstable();
        uids.dedup();
        Ok(uids)
    }

    /// How large these mails are, octets; those that are gone meanwhile are left out.
    pub async fn sizes(&mut self, uids: &[u32]) -> Result<Vec<(u32, u32)>, ImapError> {
        let mut sizes = Vec::with_capacity(uids.len());
        for lot in uids.chunks(LOT) {
            let set: Vec<String> = lot.iter().map(u32::to_string).collect();
            let command = format!("UID FETCH {} (UID RFC822.SIZE)", set.join(","));
            self.command("say how large a mail is", &command, |answer| {
                if let Response::Fetch(_, values) = answer
                    && let (Some(uid), Some(size)) = (uid_of(values), size_of(values))
                    && lot.contains(&uid)
                {
                    sizes.push((uid, size));
                }
            })
            .await?;
        }
        sizes.sort_unstable();
        sizes.dedup_by_key(|(uid, _)| *uid);
        Ok(sizes)
    }

    /// A whole mail that is said to have so many octets, and may have `most` (servers round); nothing when it is gone.
    /// It stays unseen.
    pub async fn mail(
        &mut self,
        uid: u32,
        said: u32,
        most: u64,
    ) -> Result<Option<Vec<u8>>, ImapError> {
        self.part(uid, "BODY.PEEK[]", u64::from(said), most).await
    }

    /// The beginning of a mail's header.
    pub async fn header(&mut self, uid: u32) -> Result<Option<Vec<u8>>, ImapError> {
        self.part(uid, "BODY.PEEK[HEADER]<0.8192>", 8192, 8192)
            .await
    }

    async fn part(
        &mut self,
        uid: u32,
        what: &str,
        said: u64,
        most: u64,
    ) -> Result<Option<Vec<u8>>, ImapError> {
        let command = format!("UID FETCH {uid} (UID {what})");
        let mut found = None;
        let patience = self.patience;
        // One answer has all of it, so its time is by its size.
        self.patience += Duration::from_secs(said / SLOWEST);
        let limits = (ANSWER + most, most.max(LITERAL));
        let done = self
            .bounded("hand over a mail", &command, limits, |answer| {
                if let Response::Fetch(_, values) = answer
                    && uid_of(values) == Some(uid)
                    && let Some(data) = data_of(values)
                {
                    found = Some(data.to_vec());
                }
            })
            .await;
        self.patience = patience;
        done?;
        Ok(found)
    }

    /// Any command whose answer is OK or not.
    pub async fn order(&mut self, what: &'static str, command: &str) -> Result<(), ImapError> {
        self.command(what, command, |_| {}).await.map(drop)
    }

    /// Whether there is such a folder (RFC 9051 §6.3.9).
    pub async fn has_folder(&mut self, folder: &str) -> Result<bool, ImapError> {
        let mut found = false;
        let command = format!("LIST \"\" {}", names::folder(folder));
        self.command("list its folders", &command, |answer| {
            if let Response::MailboxData(MailboxDatum::List(_)) = answer {
                found = true;
            }
        })
        .await?;
        Ok(found)
    }

    /// Waits for news by IDLE (RFC 2177), so long at most; whether there are some.
    pub async fn idle(
        &mut self,
        most: Duration,
        stop: &CancellationToken,
    ) -> Result<bool, ImapError> {
        self.session.as_mut().allow(ANSWER, LITERAL);
        let until = Instant::now() + most;
        let run = timeout(self.patience, self.session.run_command("IDLE")).await;
        let tag = run
            .map_err(|_| silent())?
            .map_err(|error| ImapError::of_library(&error))?;
        let begun = Instant::now() + self.patience;
        loop {
            match self.hear(begun, &tag, |_| {}).await? {
                Heard::Continue => break,
                Heard::Done(Ok(_)) => {
                    return Err(ImapError::broken("the server ended IDLE by itself"));
                }
                Heard::Done(Err(words)) => return Err(no("wait for mails (IDLE)", words)),
                Heard::Other => {}
            }
        }
        // What came before the server began to wait is news as well: nothing would tell of it again.
        while !self.news {
            let heard = tokio::select! {
                () = stop.cancelled() => break,
                heard = self.hear(until, &tag, |_| {}) => heard,
            };
            match heard {
                Ok(Heard::Done(_)) => {
                    return Err(ImapError::broken("the server ended IDLE by itself"));
                }
                Ok(_) => {}
                Err(_) if Instant::now() >= until => break,
                Err(error) => return Err(error),
            }
        }
        let ended = timeout(self.patience, self.session.run_command_untagged("DONE")).await;
        ended
            .map_err(|_| silent())?
            .map_err(|error| ImapError::of_library(&error))?;
        let done = Instant::now() + self.patience;
        loop {
            let heard = self.hear(done, &tag, |_| {});
            if let Heard::Done(_) = heard.await? {
                return Ok(self.news);
            }
        }
    }

    /// Says goodbye; how that goes does not matter.
    pub async fn end(mut self) {
        let goodbye = self.session.run_command("LOGOUT");
        let _ = timeout(Duration::from_secs(1), goodbye).await;
    }

    pub(super) async fn command(
        &mut self,
        what: &'static str,
        command: &str,
        each: impl FnMut(&Response<'_>),
    ) -> Result<Done, ImapError> {
        self.bounded(what, command, (ANSWER, LITERAL), each).await
    }

    /// Gives a command, hands each answer to `each`, and returns when it is done.
    async fn bounded(
        &mut self,
        what: &'static str,
        command: &str,
        (octets, literal): (u64, u64),
        mut each: impl FnMut(&Response<'_>),
    ) -> Result<Done, ImapError> {
        self.session.as_mut().allow(octets, literal);
        // Whoever says a word every minute would keep us for ever.
        let end = Instant::now() + self.patience + WHOLE;
        let run = timeout(self.patience, self.session.run_command(command)).await;
        let tag = run
            .map_err(|_| silent())?
            .map_err(|error| ImapError::of_library(&error))?;
        loop {
            let until = end.min(Instant::now() + self.patience);
            match self.hear(until, &tag, &mut each).await? {
                Heard::Done(Ok(done)) => return Ok(done),
                Heard::Done(Err(words)) => return Err(no(what, words)),
                Heard::Continue | Heard::Other => {}
            }
        }
    }

    /// Reads one answer.
    async fn hear(
        &mut self,
        until: Instant,
        tag: &RequestId,
        mut each: impl FnMut(&Response<'_>),
    ) -> Result<Heard, ImapError> {
        let answer = match timeout_at(until, self.session.read_response()).await {
            Err(_) => return Err(silent()),
            Ok(Err(error)) => return Err(ImapError::of_io(&error)),
            // Also within IDLE, where it is easily taken for an end of waiting.
            Ok(Ok(None)) => return Err(ImapError::broken("the server closed the connection")),
            Ok(Ok(Some(answer))) => answer,
        };
        match answer.parsed() {
            Response::Continue(_) => return Ok(Heard::Continue),
            Response::Done {
                tag: done,
                status,
                outcome,
            } if done == tag => {
                return Ok(Heard::Done(match status {
                    Status::Ok if outcome.code == Some(ResponseCode::ReadOnly) => {
                        Ok(Done::ReadOnly)
                    }
                    Status::Ok => Ok(Done::Well),
                    _ => Err(outcome
                        .information
                        .as_deref()
                        .unwrap_or_default()
                        .to_owned()),
                }));
            }
            other => {
                self.news |= is_news(other);
                not_goodbye(other)?;
                each(other);
            }
        }
        Ok(Heard::Other)
    }
}

/// An answer, as far as it ends something.
enum Heard {
    /// The command is done, or the server says no, in these words.
    Done(Result<Done, String>),
    Continue,
    Other,
}

/// Mails that came, whoever told of them.
fn is_news(answer: &Response<'_>) -> bool {
    matches!(
        answer,
        Response::MailboxData(MailboxDatum::Exists(_) | MailboxDatum::Recent(_))
    )
}

/// RFC 9051 §7.1.5
fn not_goodbye(answer: &Response<'_>) -> Result<(), ImapError> {
    let Response::Data {
        status: Status::Bye,
        outcome,
    } = answer
    else {
        return Ok(());
    };
    let words = outcome.information.as_deref().unwrap_or_default();
    Err(ImapError::broken(format!(
        "the server ends the connection: {}",
        short(words)
    )))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Well,
    ReadOnly,
}

fn silent() -> ImapError {
    ImapError::broken("the server does not answer")
}

fn no(what: &'static str, words: String) -> ImapError {
    let words = if words.is_empty() {
        "it gives no reason".to_owned()
    } else {
        short(&words)
    };
    ImapError::No { what, words }
}

fn uid_of(values: &[AttributeValue<'_>]) -> Option<u32> {
    values.iter().find_map(|value| match value {
        AttributeValue::Uid(uid) => Some(*uid),
        _ => None,
    })
}

fn size_of(values: &[AttributeValue<'_>]) -> Option<u32> {
    values.iter().find_map(|value| match value {
        AttributeValue::Rfc822Size(size) => Some(*size),
        _ => None,
    })
}

fn data_of<'v>(values: &'v [AttributeValue<'_>]) -> Option<&'v [u8]> {
    values.iter().find_map(|value| match value {
        AttributeValue::BodySection {
            data: Some(data), ..
        } => Some(data.as_ref()),
        _ => None,
    })
}
