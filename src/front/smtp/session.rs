//! One connection, from greeting to goodbye.
//!
//! Answers gather in `out` while whole commands are in the buffer, and leave in one write when more
//! must be read (RFC 2920 §3.2).

mod envelope;
mod exchange;

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use smtp_proto::{Error, Request};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    budget::Budget,
    input::{Input, Line},
    limits::Limits,
    replies,
    wire::Wire,
};
use crate::{
    front::{Answer, Envelope, Intake},
    sender::Person,
};

/// How long the last answer may take to be read.
const LINGER: Duration = Duration::from_secs(2);

/// What all sessions of a door share.
pub struct Shared {
    pub intake: Arc<Intake>,
    pub limits: Limits,
    pub hostname: String,
    pub tls: Option<TlsAcceptor>,
    pub budget: Arc<Budget>,
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
}

/// One connection.
pub struct Session {
    shared: Arc<Shared>,
    /// None only while TLS begins.
    wire: Option<Wire>,
    input: Input,
    out: Vec<u8>,
    peer: IpAddr,
    id: String,
    under_tls: bool,
    greeting: Option<Greeting>,
    login: Option<Person>,
    open: Option<Open>,
    errors: usize,
    failed_logins: usize,
    /// We end the session while the client may still be talking.
    interrupting: bool,
}

impl Session {
    /// A session on a fresh connection. `id` stands in logs and trace lines.
    pub fn new(shared: Arc<Shared>, wire: Wire, peer: IpAddr, id: String) -> Self {
        Self {
            shared,
            wire: Some(wire),
            input: Input::new(),
            out: Vec::with_capacity(512),
            peer,
            id,
            under_tls: false,
            greeting: None,
            login: None,
            open: None,
            errors: 0,
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
        // RFC 5321 §4.3.1: the client waits for the greeting. One that doesn't isn't a mail client.
        if self.wire.as_ref().is_some_and(Wire::has_unread) {
            self.end(&replies::spoke_early());
            return self.flush().await;
        }
        self.say(&replies::greeting(&self.shared.hostname));
        loop {
            let line = self.input.line();
            let next = match line {
                Line::Whole(line) => self.command(line).await?,
                Line::Malformed => self.refuse(replies::malformed_line()),
                Line::TooLong => self.refuse(replies::line_too_long()),
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
        let Some(wire) = &mut self.wire else {
            return Err(Gone);
        };
        let read = tokio::select! {
            biased;
            () = self.shared.stop.cancelled() => {
                // RFC 5321 §3.8
                return Ok(self.end(&replies::stopping()));
            }
            read = timeout(self.shared.limits.command_timeout, self.input.fill(wire)) => read,
        };
        match read {
            Err(_) => Ok(self.end(&replies::timed_out())),
            Ok(Ok(0) | Err(_)) => Err(Gone),
            Ok(Ok(_)) => Ok(Next::Command),
        }
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
        line.extend_from_slice(b"\r\n");
        let request = match Request::parse(&mut line.iter()) {
            Ok(request) => request.into_owned(),
            Err(error) => return Ok(self.unparsed(&error)),
        };
        let name = request.name();
        match request {
            Request::Ehlo { host } => self.greet(name, host, true),
            Request::Helo { host } => self.greet(name, host, false),
            Request::Mail { from } => self.mail(from).await,
            Request::Rcpt { to } => self.rcpt(envelope::named(to, &line)).await,
            Request::Data => self.data().await,
            Request::Rset => {
                self.open = None;
                Ok(self.answer(&replies::ok()))
            }
            Request::Noop { .. } => Ok(self.answer(&replies::ok())),
            Request::Help { .. } => Ok(self.answer(&replies::help())),
            Request::Vrfy { .. } => Ok(self.answer(&replies::cannot_verify())),
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
            | Request::Burl { .. }
            | Request::Lhlo { .. } => Ok(self.refuse(replies::not_offered(name))),
            // Its octets would follow unasked, and must not be read as commands.
            Request::Bdat { .. } => Ok(self.end(&replies::not_offered(name))),
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

    fn greet(&mut self, command: &str, name: String, extended: bool) -> Result<Next, Gone> {
        if let Some(next) = self.out_of_step(command) {
            return Ok(next);
        }
        // RFC 5321 §4.1.4: a greeting in mid-session clears what was open.
        self.open = None;
        self.greeting = Some(Greeting { name, extended });
        let mut lines = vec![self.shared.hostname.clone()];
        if extended {
            lines.extend(self.extensions());
        }
        let last = lines.len() - 1;
        for (index, line) in lines.iter().enumerate() {
            let separator = if index == last { ' ' } else { '-' };
            self.out
                .extend_from_slice(format!("250{separator}{line}\r\n").as_bytes());
        }
        Ok(Next::Command)
    }

    fn extensions(&self) -> Vec<String> {
        let mut keywords: Vec<String> = [
            "PIPELINING",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            "DSN",
        ]
        .map(str::to_owned)
        .to_vec();
        keywords.push(format!("SIZE {}", self.shared.limits.max_size));
        if self.shared.tls.is_some() && !self.under_tls {
            keywords.push("STARTTLS".into());
        }
        if self.takes_passwords() {
            keywords.push("AUTH PLAIN LOGIN".into());
        }
        keywords
    }

    /// RFC 4954 §4: passwords in clear only where nobody can listen.
    fn takes_passwords(&self) -> bool {
        self.under_tls
            || self
                .shared
                .limits
                .clear_passwords_from
                .iter()
                .any(|network| network.contains(self.peer))
    }

    async fn start_tls(&mut self) -> Result<Next, Gone> {
        let Some(acceptor) = self.shared.tls.clone() else {
            return Ok(self.refuse(replies::not_offered("STARTTLS")));
        };
        if self.under_tls {
            return Ok(self.refuse(replies::tls_already()));
        }
        // What a stranger put behind STARTTLS in clear would be obeyed under TLS (CVE-2011-0411).
        if let Some(next) = self.out_of_step("STARTTLS") {
            return Ok(next);
        }
        self.say(&replies::go_ahead_tls());
        self.flush().await?;
        let wire = self.wire.take().ok_or(Gone)?;
        let patience = self.shared.limits.command_timeout;
        let wire = timeout(patience, wire.into_tls(&acceptor))
            .await
            .map_err(|_| Gone)??;
        self.wire = Some(wire);
        // RFC 3207 §4.2: all that was said in clear is forgotten.
        self.input = Input::new();
        self.under_tls = true;
        self.greeting = None;
        self.login = None;
        self.open = None;
        Ok(Next::Command)
    }
}
