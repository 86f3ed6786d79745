//! One connection, from greeting to goodbye.
//!
//! Answers gather in `out` while whole commands are in the buffer, and leave in one write when more
//! must be read (RFC 2920 §3.2).

mod chunks;
mod envelope;
mod exchange;
mod greet;
mod xclient;

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use smtp_proto::{Error, Request};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    budget::Budget,
    data::Chunks,
    input::{Input, Line, begins_a_chunk},
    limits::Limits,
    listen::Role,
    readings::Readings,
    replies,
    tls::Identity,
    wire::Wire,
};
use crate::{
    front::{Answer, Envelope, Intake},
    policy::ClientCertificate,
    sender::Person,
};

/// How long the last answer may take to be read.
const LINGER: Duration = Duration::from_secs(2);

/// What all sessions of a door share.
pub struct Shared {
    pub intake: Arc<Intake>,
    pub limits: Limits,
    pub hostname: String,
    pub tls: Option<Identity>,
    pub budget: Arc<Budget>,
    pub readings: Readings,
    pub stop: CancellationToken,
}

/// Whether the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Command,
    Close,
}

/// The client is gone: nothing can be said any more.
struct Gone;

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// What the client called itself.
struct Greeting {
    name: String,
    extended: bool,
}

/// A mail between MAIL and the end of its data.
struct Open {
    envelope: Envelope,
    utf8: bool,
    /// SIZE, 0 when it wasn't given.
    declared: usize,
    /// What RCPT was answered with 250, in that order: LMTP wants an answer for each (RFC 2033 §4.2).
    taken: Vec<Taken>,
    /// The message so far, when it comes by BDAT.
    chunks: Option<Chunks>,
}

/// A recipient that was taken.
#[derive(Clone, Copy, Debug)]
enum Taken {
    /// By its place in the envelope.
    Number(usize),
    /// By its place among the names.
    Name(usize),
    Postmaster,
    Reply,
    /// By its place in the envelope.
    Returned(usize),
}

/// A connection that was let in.
pub struct Arrival {
    pub wire: Wire,
    pub role: Role,
    /// Where it comes from, by the proxy's word where there is one; None when the proxy doesn't know.
    pub peer: Option<IpAddr>,
    /// Stands in logs and trace lines.
    pub id: String,
}

/// One connection.
pub struct Session {
    shared: Arc<Shared>,
    /// None only while TLS begins.
    wire: Option<Wire>,
    input: Input,
    out: Vec<u8>,
    role: Role,
    peer: Option<IpAddr>,
    /// A mail proxy said whom it speaks for: from then on it is the client who speaks.
    introduced: bool,
    id: String,
    under_tls: bool,
    greeting: Option<Greeting>,
    login: Option<Person>,
    /// What the client has shown.
    certificate: Option<ClientCertificate>,
    open: Option<Open>,
    errors: usize,
    /// Commands in a row that bring no mail nearer.
    chatter: usize,
    failed_logins: usize,
    /// We end the session while the client may still be talking.
    interrupting: bool,
}

impl Session {
    /// A session on a fresh connection.
    pub fn new(shared: Arc<Shared>, arrival: Arrival) -> Self {
        Self {
            shared,
            wire: Some(arrival.wire),
            input: Input::new(),
            out: Vec::with_capacity(512),
            role: arrival.role,
            peer: arrival.peer,
            introduced: false,
            id: arrival.id,
            under_tls: false,
            greeting: None,
            login: None,
            certificate: None,
            open: None,
            errors: 0,
            chatter: 0,
            failed_logins: 0,
            interrupting: false,
        }
    }

    /// Speaks with the client until one of both ends it.
    pub async fn run(mut self) {
        if self.converse().await.is_ok()
            && let Some(mut wire) = self.wire.take()
        {
            // The client may be gone already; there is nobody to tell.
            let _ = timeout(LINGER, async {
                wire.close().await?;
                if self.interrupting {
                    wire.drain().await?;
                }
                Ok::<(), io::Error>(())
            })
            .await;
        }
    }

    async fn converse(&mut self) -> Result<(), Gone> {
        if self.role == Role::Submissions {
            self.begin_tls().await?;
        }
        // RFC 5321 §4.3.1: the client waits for the greeting. One that doesn't isn't a mail client.
        if self.wire.as_ref().is_some_and(Wire::has_unread) {
            self.end(&replies::spoke_early());
            return self.flush().await;
        }
        self.say(&replies::greeting(&self.shared.hostname, self.role));
        loop {
            let line = self.input.line();
            let next = match line {
                Line::Whole(line) => self.command(line).await?,
                // What follows a BDAT that can't be read is its chunk, and nobody knows how long.
                Line::Malformed { chunk: true } => self.end(&replies::malformed_line()),
                Line::TooLong { chunk: true } => self.end(&replies::line_too_long()),
                Line::Malformed { .. } => self.refuse(replies::malformed_line()),
                Line::TooLong { .. } => self.refuse(replies::line_too_long()),
                Line::Partial => {
                    self.flush().await?;
                    self.more().await?
                }
            };
            if next == Next::Close {
                return self.flush().await;
            }
        }
    }

    /// Waits for octets, not for longer than the limits allow, nor after the server began to stop.
    async fn more(&mut self) -> Result<Next, Gone> {
        let mut patience = self.shared.limits.command_timeout;
        // A message that comes in chunks holds memory from the first one on: it has one deadline.
        let chunks = self.open.as_ref().and_then(|open| open.chunks.as_ref());
        let in_chunks = chunks.is_some();
        if let Some(chunks) = chunks {
            patience = patience.min(chunks.time_left());
        }
        let Some(wire) = &mut self.wire else {
            return Err(Gone);
        };
        let read = tokio::select! {
            biased;
            () = self.shared.stop.cancelled() => {
                // RFC 5321 §3.8
                return Ok(self.end(&replies::stopping()));
            }
            read = timeout(patience, self.input.fill(wire)) => read,
        };
        match read {
            Err(_) if in_chunks => Ok(self.end(&replies::too_slow())),
            Err(_) => Ok(self.end(&replies::timed_out())),
            Ok(Ok(0) | Err(_)) => Err(Gone),
            Ok(Ok(_)) => Ok(Next::Command),
        }
    }

    /// Where the client is, unless it is a machine that speaks for many: those are not counted as one source.
    fn counted(&self) -> Option<IpAddr> {
        let limits = &self.shared.limits;
        let mut proxies = limits.proxy_from.iter().chain(&limits.xclient_from);
        let peer = self.peer?;
        let speaks_for_many =
            self.shared.intake.is_listed(peer) || proxies.any(|network| network.contains(peer));
        (!speaks_for_many).then_some(peer)
    }

    fn say(&mut self, answer: &Answer) {
        answer.write(&mut self.out);
    }

    /// Ends the session, though the client didn't ask for it.
    fn end(&mut self, answer: &Answer) -> Next {
        self.say(answer);
        self.interrupting = true;
        Next::Close
    }

    /// Says a refusal of a bad command; too many of them end the session.
    fn refuse(&mut self, answer: Answer) -> Next {
        self.say(&answer);
        self.errors += 1;
        if self.errors >= self.shared.limits.max_errors {
            tracing::info!(session = %self.id, "ended after too many bad commands");
            return self.end(&replies::too_many_errors());
        }
        Next::Command
    }

    /// Answers a command that brings no mail nearer. A session that has nothing else to say keeps a seat for ever.
    fn chatter(&mut self, answer: &Answer) -> Next {
        self.say(answer);
        self.chatter += 1;
        if self.chatter > self.shared.limits.max_chatter {
            tracing::info!(session = %self.id, "ended: it brings no mail");
            return self.end(&replies::no_mail());
        }
        Next::Command
    }

    fn answer(&mut self, answer: &Answer) -> Next {
        self.say(answer);
        Next::Command
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        if self.out.is_empty() {
            return Ok(());
        }
        let wire = self.wire.as_mut().ok_or(Gone)?;
        timeout(self.shared.limits.command_timeout, wire.write(&self.out))
            .await
            .map_err(|_| Gone)??;
        self.out.clear();
        Ok(())
    }

    async fn command(&mut self, mut line: Vec<u8>) -> Result<Next, Gone> {
        let chunks = self.open.as_ref().and_then(|open| open.chunks.as_ref());
        if chunks.is_some_and(|chunks| chunks.time_left().is_zero()) {
            return Ok(self.end(&replies::too_slow()));
        }
        if begins_a_chunk(&line) && line.iter().filter(|octet| octet.is_ascii_digit()).count() > 19
        {
            // The parser would take the number's end for the number.
            return Ok(self.end(&replies::syntax("BDAT size [LAST]")));
        }
        if let Some(claims) = xclient::claims(&line) {
            let claims = claims.to_owned();
            return Ok(self.xclient(&claims));
        }
        line.extend_from_slice(b"\r\n");
        let request = match Request::parse(&mut line.iter()) {
            Ok(request) => request.into_owned(),
            Err(error) if begins_a_chunk(&line) => {
                self.unparsed(&error);
                self.interrupting = true;
                return Ok(Next::Close);
            }
            Err(error) => return Ok(self.unparsed(&error)),
        };
        let name = request.name();
        match request {
            // RFC 2033 §4.1: LMTP has a greeting of its own, so that nobody takes one for the other.
            Request::Ehlo { .. } | Request::Helo { .. } if self.role == Role::Lmtp => {
                Ok(self.refuse(replies::greet_as_lmtp()))
            }
            Request::Lhlo { .. } if self.role != Role::Lmtp => {
                Ok(self.refuse(replies::not_offered(name)))
            }
            Request::Ehlo { host } | Request::Lhlo { host } => self.greet(name, host, true),
            Request::Helo { host } => self.greet(name, host, false),
            Request::Mail { from } => self.mail(from).await,
            Request::Rcpt { to } => self.rcpt(envelope::named(to, &line)).await,
            Request::Data => self.data().await,
            Request::Rset => {
                self.open = None;
                Ok(self.chatter(&replies::ok()))
            }
            Request::Noop { .. } => Ok(self.chatter(&replies::ok())),
            Request::Help { .. } => Ok(self.chatter(&replies::help())),
            Request::Vrfy { .. } => Ok(self.chatter(&replies::cannot_verify())),
            Request::Quit => {
                self.say(&replies::goodbye());
                Ok(Next::Close)
            }
            Request::StartTls => self.start_tls().await,
            Request::Auth {
                mechanism,
                initial_response,
            } => self.auth(mechanism, initial_response).await,
            Request::Expn { .. }
            | Request::Etrn { .. }
            | Request::Atrn { .. }
            | Request::Burl { .. } => Ok(self.refuse(replies::not_offered(name))),
            Request::Bdat {
                chunk_size,
                is_last,
            } => self.chunk(chunk_size, is_last).await,
        }
    }

    fn unparsed(&mut self, error: &Error) -> Next {
        let answer = match error {
            Error::InvalidSenderAddress => replies::bad_sender_address(),
            Error::InvalidRecipientAddress => replies::bad_recipient_address(),
            Error::SyntaxError { syntax } => replies::syntax(syntax),
            Error::InvalidParameter { param } => replies::syntax(param),
            Error::UnsupportedParameter { param } => replies::unknown_parameter(param),
            // The parser wants octets beyond the line's end: something is missing in the command.
            Error::NeedsMoreData { .. } => replies::syntax("with all its parts: HELP shows how"),
            _ => replies::unknown_command(),
        };
        self.refuse(answer)
    }

    /// RFC 2920 §3.1: some commands must be the last before the client waits. One that goes on talking
    /// guesses our answer, and what follows could be read as something else than it meant.
    fn out_of_step(&mut self, name: &str) -> Option<Next> {
        if self.input.unread().is_empty() {
            return None;
        }
        Some(self.end(&replies::out_of_step(name)))
    }
}
