//! AUTH: the exchange of challenges and responses (RFC 4954 §4).

use smtp_proto::{AUTH_LOGIN, AUTH_PLAIN};
use zeroize::Zeroizing;

use super::{Gone, Next, Session};
use crate::front::smtp::{
    auth::{self, AuthFault, Credentials},
    input::Line,
    replies,
};

/// Why an AUTH exchange ended without credentials.
enum Stopped {
    /// The exchange failed; the session goes on.
    Auth(AuthFault),
    /// The session ends; its answer is said.
    Session,
}

impl Session {
    pub(super) async fn auth(&mut self, mechanism: u64, initial: String) -> Result<Next, Gone> {
        if let Some(next) = self.out_of_step("AUTH") {
            return Ok(next);
        }
        if self.greeting.is_none() {
            return Ok(self.refuse(replies::greet_first()));
        }
        if !self.takes_passwords() {
            return Ok(self.refuse(replies::needs_tls()));
        }
        if self.login.is_some() {
            return Ok(self.refuse(replies::logged_in_already()));
        }
        // RFC 4954 §4
        if self.open.is_some() {
            return Ok(self.refuse(replies::mail_is_open()));
        }
        let credentials = match mechanism {
            AUTH_PLAIN => self.plain(initial).await?,
            AUTH_LOGIN => self.login_by_turns(initial).await?,
            _ => return Ok(self.refuse(replies::mechanism())),
        };
        let answer = match credentials {
            Err(Stopped::Session) => return Ok(Next::Close),
            Err(Stopped::Auth(AuthFault::Cancelled)) => replies::auth_cancelled(),
            Err(Stopped::Auth(AuthFault::Malformed)) => replies::auth_not_base64(),
            Err(Stopped::Auth(AuthFault::Another)) => replies::auth_as_another(),
            Ok(Credentials { login, password }) => {
                match self.shared.intake.login(&login, &password).await {
                    Ok(person) => {
                        tracing::info!(session = %self.id, user = %person.user_id, "logged in");
                        self.login = Some(person);
                        return Ok(self.answer(&replies::logged_in()));
                    }
                    Err(answer) => answer,
                }
            }
        };
        if answer.code == 535 {
            self.failed_logins += 1;
            tracing::info!(session = %self.id, failed = self.failed_logins, "login refused");
            if self.failed_logins >= self.shared.limits.max_failed_logins {
                self.say(&answer);
                return Ok(self.end(&replies::too_many_logins()));
            }
        }
        Ok(self.refuse(answer))
    }

    async fn plain(&mut self, initial: String) -> Result<Result<Credentials, Stopped>, Gone> {
        let message = match self.response(initial, "").await? {
            Ok(message) => message,
            Err(stopped) => return Ok(Err(stopped)),
        };
        Ok(auth::plain(&message).map_err(Stopped::Auth))
    }

    async fn login_by_turns(
        &mut self,
        initial: String,
    ) -> Result<Result<Credentials, Stopped>, Gone> {
        let login = match self.response(initial, auth::LOGIN_NAME).await? {
            Ok(login) => login.to_string(),
            Err(stopped) => return Ok(Err(stopped)),
        };
        Ok(self
            .response(String::new(), auth::LOGIN_PASSWORD)
            .await?
            .map(|password| Credentials { login, password }))
    }

    /// The client's response to a challenge, which is sent unless the response came with the command.
    async fn response(
        &mut self,
        initial: String,
        challenge: &'static str,
    ) -> Result<Result<Zeroizing<String>, Stopped>, Gone> {
        let line = if initial.is_empty() {
            self.say(&replies::challenge(challenge));
            loop {
                match self.input.line() {
                    Line::Whole(line) => break line,
                    Line::Malformed | Line::TooLong => {
                        return Ok(Err(Stopped::Auth(AuthFault::Malformed)));
                    }
                    Line::Partial => {
                        self.flush().await?;
                        if self.more().await? == Next::Close {
                            return Ok(Err(Stopped::Session));
                        }
                    }
                }
            }
        } else {
            initial.into_bytes()
        };
        Ok(auth::decode(&line).map_err(Stopped::Auth))
    }
}
