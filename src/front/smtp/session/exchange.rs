//! AUTH: the exchange of challenges and responses (RFC 4954 §4).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use smtp_proto::{AUTH_LOGIN, AUTH_PLAIN, AUTH_SCRAM_SHA_256};
use zeroize::Zeroizing;

use super::{Gone, Next, Session};
use crate::{
    front::{
        Answer,
        smtp::{
            auth::{self, AuthFault, Credentials},
            input::Line,
            replies,
            scram::{Challenged, First, Malformed},
        },
    },
    sender::Person,
};

/// Why an AUTH exchange ended without credentials.
enum Stopped {
    /// The exchange failed; the session goes on.
    Auth(AuthFault),
    /// The exchange went as it should, and proves nobody.
    Refused(Answer),
    /// The session ends; its answer is said.
    Session,
}

impl From<Malformed> for Stopped {
    fn from(_: Malformed) -> Self {
        Self::Auth(AuthFault::Malformed)
    }
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
        let counted = self.counted();
        if let Some(Err(answer)) = counted.map(|peer| self.shared.intake.rates().login(peer)) {
            return Ok(self.refuse(answer));
        }
        let found = match mechanism {
            AUTH_PLAIN => self.plain(initial).await?,
            AUTH_LOGIN => self.login_by_turns(initial).await?,
            AUTH_SCRAM_SHA_256 => self.scram(initial).await?,
            _ => return Ok(self.refuse(replies::mechanism())),
        };
        let answer = match found {
            Ok(person) => {
                tracing::info!(session = %self.id, user = %person.user_id, "logged in");
                self.login = Some(person);
                return Ok(self.answer(&replies::logged_in()));
            }
            Err(Stopped::Session) => return Ok(Next::Close),
            Err(Stopped::Auth(AuthFault::Cancelled)) => replies::auth_cancelled(),
            Err(Stopped::Auth(AuthFault::Malformed)) => replies::auth_not_base64(),
            Err(Stopped::Auth(AuthFault::Another)) => replies::auth_as_another(),
            Err(Stopped::Refused(answer)) => answer,
        };
        if answer.code == 535 {
            self.failed_logins += 1;
            if let Some(peer) = counted {
                self.shared.intake.rates().wrong_password(peer);
            }
            tracing::info!(session = %self.id, failed = self.failed_logins, "login refused");
            if self.failed_logins >= self.shared.limits.max_failed_logins {
                self.say(&answer);
                return Ok(self.end(&replies::too_many_logins()));
            }
        }
        Ok(self.refuse(answer))
    }

    async fn plain(&mut self, initial: String) -> Result<Result<Person, Stopped>, Gone> {
        let message = match self.response(initial, "").await? {
            Ok(message) => message,
            Err(stopped) => return Ok(Err(stopped)),
        };
        match auth::plain(&message) {
            Ok(credentials) => Ok(self.with_password(credentials).await),
            Err(fault) => Ok(Err(Stopped::Auth(fault))),
        }
    }

    async fn login_by_turns(&mut self, initial: String) -> Result<Result<Person, Stopped>, Gone> {
        let login = match self.response(initial, auth::LOGIN_NAME).await? {
            Ok(login) => login.to_string(),
            Err(stopped) => return Ok(Err(stopped)),
        };
        match self.response(String::new(), auth::LOGIN_PASSWORD).await? {
            Ok(password) => Ok(self.with_password(Credentials { login, password }).await),
            Err(stopped) => Ok(Err(stopped)),
        }
    }

    async fn with_password(&self, credentials: Credentials) -> Result<Person, Stopped> {
        let Credentials { login, password } = credentials;
        let found = self.shared.intake.login(&login, &password).await;
        found.map_err(Stopped::Refused)
    }

    /// RFC 5802 §5: the client says who, we give a challenge, it proves the password, and we prove that we
    /// know it too; then the client says nothing more, and has its answer.
    async fn scram(&mut self, initial: String) -> Result<Result<Person, Stopped>, Gone> {
        let first = match self.response(initial, "").await? {
            Ok(message) => message,
            Err(stopped) => return Ok(Err(stopped)),
        };
        let first = match First::read(&first) {
            Ok(first) => first,
            Err(fault) => return Ok(Err(fault.into())),
        };
        let (person, verifier) = match self.shared.intake.scram(&first.login).await {
            Ok(found) => found,
            Err(answer) => return Ok(Err(Stopped::Refused(answer))),
        };
        let Ok(challenged) = Challenged::new(first, verifier) else {
            return Ok(Err(Stopped::Refused(replies::no_randomness())));
        };
        let challenge = STANDARD.encode(challenged.challenge());
        let proof = match self.response(String::new(), &challenge).await? {
            Ok(proof) => proof,
            Err(stopped) => return Ok(Err(stopped)),
        };
        let ours = match challenged.judge(&proof) {
            Ok(ours) => ours,
            Err(fault) => return Ok(Err(fault.into())),
        };
        let (Some(ours), Some(person)) = (ours, person) else {
            return Ok(Err(Stopped::Refused(replies::wrong_password())));
        };
        match self.response(String::new(), &STANDARD.encode(ours)).await? {
            Ok(rest) if rest.is_empty() => Ok(Ok(person)),
            Ok(_) => Ok(Err(Stopped::Auth(AuthFault::Malformed))),
            Err(stopped) => Ok(Err(stopped)),
        }
    }

    /// The client's response to a challenge, which is sent unless the response came with the command.
    async fn response(
        &mut self,
        initial: String,
        challenge: &str,
    ) -> Result<Result<Zeroizing<String>, Stopped>, Gone> {
        let line = if initial.is_empty() {
            self.say(&replies::challenge(challenge));
            loop {
                match self.input.line() {
                    Line::Whole(line) => break line,
                    Line::Malformed { .. } | Line::TooLong { .. } => {
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
