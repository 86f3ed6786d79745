//! Who speaks: EHLO and its likes, STARTTLS, and what is offered to whom.

use std::time::Duration;

use tokio::time::timeout;

use super::{Gone, Greeting, Next, Session, xclient};
use crate::front::smtp::{input::Input, replies};

/// How long a TLS handshake may take: a few packets.
const HANDSHAKE: Duration = Duration::from_secs(30);

impl Session {
    pub(super) fn greet(
        &mut self,
        command: &str,
        name: String,
        extended: bool,
    ) -> Result<Next, Gone> {
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
            "CHUNKING",
        ]
        .map(str::to_owned)
        .to_vec();
        keywords.push(format!("SIZE {}", self.shared.limits.max_size));
        if self.shared.tls.is_some() && !self.under_tls {
            keywords.push("STARTTLS".into());
        }
        if self.takes_passwords() {
            keywords.push("AUTH SCRAM-SHA-256 PLAIN LOGIN".into());
        }
        if self.may_xclient() {
            keywords.push(xclient::KEYWORD.into());
        }
        keywords
    }

    /// RFC 4954 §4: passwords in clear only where nobody can listen.
    pub(super) fn takes_passwords(&self) -> bool {
        self.under_tls
            || self
                .shared
                .limits
                .clear_passwords_from
                .iter()
                .any(|network| self.peer.is_some_and(|peer| network.contains(peer)))
    }

    pub(super) async fn start_tls(&mut self) -> Result<Next, Gone> {
        if self.shared.tls.is_none() {
            return Ok(self.refuse(replies::not_offered("STARTTLS")));
        }
        if self.under_tls {
            return Ok(self.refuse(replies::tls_already()));
        }
        // What a stranger put behind STARTTLS in clear would be obeyed under TLS (CVE-2011-0411).
        if let Some(next) = self.out_of_step("STARTTLS") {
            return Ok(next);
        }
        self.say(&replies::go_ahead_tls());
        self.flush().await?;
        self.begin_tls().await?;
        // RFC 3207 §4.2: all that was said in clear is forgotten.
        self.input = Input::new();
        self.greeting = None;
        self.login = None;
        self.open = None;
        Ok(Next::Command)
    }

    /// The handshake, by the certificate of the moment.
    pub(super) async fn begin_tls(&mut self) -> Result<(), Gone> {
        let acceptor = self.shared.tls.as_ref().ok_or(Gone)?.acceptor();
        let wire = self.wire.take().ok_or(Gone)?;
        let patience = self.shared.limits.command_timeout.min(HANDSHAKE);
        let wire = timeout(patience, wire.into_tls(&acceptor))
            .await
            .map_err(|_| Gone)??;
        self.certificate = wire.certificate();
        self.wire = Some(wire);
        self.under_tls = true;
        Ok(())
    }
}
