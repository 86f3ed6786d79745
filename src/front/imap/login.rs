//! From a name to a session behind the login.

use std::{sync::Arc, time::Duration};

use async_imap::{
    Authenticator, Client, Session,
    imap_proto::{Response, Status},
};
use rustls::ClientConfig;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{
    session::{Imap, ImapError, short},
    tls,
    wire::Wire,
};
use crate::numbers::{Credentials, Mailbox, Security};

/// What the server is shown.
pub(super) enum Proof<'a> {
    /// A password.
    Password(&'a Credentials),
    /// An OAuth access token.
    Token(&'a str),
}

/// Connects and logs in. Each step has `patience`, the greeting is read, and no octet before TLS counts after it.
pub(super) async fn open(
    mailbox: &Mailbox,
    tls: Option<Arc<ClientConfig>>,
    proof: Proof<'_>,
    patience: Duration,
) -> Result<Imap, ImapError> {
    let host = mailbox.host.as_str();
    let within = |what: &str| ImapError::broken(format!("{host} does not answer: no {what}"));
    let connected = timeout(patience, tls::connect(host, mailbox.port())).await;
    let stream = connected
        .map_err(|_| within("connection"))?
        .map_err(ImapError::Broken)?;
    let client = match (mailbox.security, tls) {
        (Security::Tls, Some(tls)) => {
            let shaken = timeout(patience, tls::handshake(tls, host, stream)).await;
            let stream = shaken.map_err(|_| within("TLS handshake"))??;
            greeted(Wire::new(stream), patience).await?
        }
        (Security::Starttls, Some(tls)) => {
            let client = greeted(Wire::new(stream), patience).await?;
            let wire = starttls(client, patience).await?;
            let shaken = timeout(patience, tls::handshake(tls, host, wire.into_inner())).await;
            // There is no second greeting (RFC 9051 §6.2.1).
            Client::new(Wire::new(shaken.map_err(|_| within("TLS handshake"))??))
        }
        (Security::None, _) => greeted(Wire::new(stream), patience).await?,
        (_, None) => return Err(ImapError::broken("no CA to trust is known")),
    };
    let shown = timeout(patience, shown(client, &mailbox.login, proof)).await;
    let session = shown.map_err(|_| within("answer to the login"))??;
    Imap::new(session, patience).await
}

/// Reads the greeting (RFC 9051 §7.1), which the library leaves in the stream. Who is greeted as logged in already has
/// not shown a password, and can't ask for TLS: such a server is not meant for us.
async fn greeted(wire: Wire, patience: Duration) -> Result<Client<Wire>, ImapError> {
    let mut client = Client::new(wire);
    let greeting = timeout(patience, client.read_response())
        .await
        .map_err(|_| {
            ImapError::broken(
                "the server does not greet: is it an IMAP server, and the security right?",
            )
        })?
        .map_err(|error| ImapError::of_io(&error))?
        .ok_or_else(|| ImapError::broken("the server closed the connection before its greeting"))?;
    match greeting.parsed() {
        Response::Data {
            status: Status::Ok, ..
        } => Ok(client),
        Response::Data {
            status: Status::Bye,
            outcome,
        } => Err(ImapError::broken(format!(
            "the server takes no connection: {}",
            short(outcome.information.as_deref().unwrap_or_default())
        ))),
        Response::Data {
            status: Status::PreAuth,
            ..
        } => Err(ImapError::broken(
            "the server takes us for somebody who is logged in already (PREAUTH): that is no server for this",
        )),
        _ => Err(ImapError::broken("what answers is no IMAP server")),
    }
}

/// Asks for TLS. The library's buffer goes with its client, so that what was sent in the clear behind the answer
/// (CVE-2011-0411) is heard by nobody.
async fn starttls(mut client: Client<Wire>, patience: Duration) -> Result<Wire, ImapError> {
    let asked = timeout(patience, client.run_command_and_check_ok("STARTTLS", None)).await;
    match asked {
        Err(_) => Err(ImapError::broken("the server does not answer STARTTLS")),
        Ok(Err(error)) => Err(ImapError::broken(format!(
            "the server does not begin TLS ({}), and no password goes to it in the clear: is it a port for TLS from the \
             first octet?",
            short(&error.to_string())
        ))),
        Ok(Ok(())) => Ok(client.into_inner()),
    }
}

async fn shown(
    client: Client<Wire>,
    login: &str,
    proof: Proof<'_>,
) -> Result<Session<Wire>, ImapError> {
    match proof {
        Proof::Token(token) => {
            let bearer = Bearer::new(login, token);
            let told = Arc::clone(&bearer.told);
            let done = client.authenticate("XOAUTH2", bearer).await;
            done.map_err(|(error, _)| {
                let told = told.lock().map(|told| told.clone()).unwrap_or_default();
                refused(&error, &told)
            })
        }
        Proof::Password(credentials) => {
            let password = credentials.password.as_deref().unwrap_or_default();
            if login.is_ascii() && password.is_ascii() {
                let done = client.login(login, password).await;
                return done.map_err(|(error, _)| refused(&error, ""));
            }
            // LOGIN has no other letters (RFC 9051 §6.2.3); SASL does (RFC 4616 §2).
            let plain = Plain(Zeroizing::new(format!("\0{login}\0{password}")));
            let done = client.authenticate("PLAIN", plain).await;
            done.map_err(|(error, _)| refused(&error, ""))
        }
    }
}

/// What the server says of a login. Neither password nor token is ever in it: we don't repeat what we sent.
fn refused(error: &async_imap::error::Error, told: &str) -> ImapError {
    use async_imap::error::Error;
    match error {
        Error::No(words) | Error::Bad(words) if words.contains("UNAVAILABLE") => {
            // RFC 5530 §3: its directory is down, not our password wrong.
            ImapError::broken(format!(
                "the server can't check logins now: {}",
                said(words)
            ))
        }
        Error::No(words) | Error::Bad(words) if told.is_empty() => ImapError::Login(said(words)),
        Error::No(_) | Error::Bad(_) => ImapError::Login(short(told)),
        other => ImapError::of_library(other),
    }
}

/// The server's own words in the library's: `code: None, info: Some("Authentication failed.")`.
fn said(words: &str) -> String {
    let inside = words
        .split_once("info: Some(\"")
        .and_then(|(_, rest)| rest.rsplit_once("\")"));
    short(inside.map_or(words, |(said, _)| said))
}

struct Plain(Zeroizing<String>);

impl Authenticator for Plain {
    type Response = Vec<u8>;

    fn process(&mut self, _challenge: &[u8]) -> Vec<u8> {
        self.0.as_bytes().to_vec()
    }
}

/// XOAUTH2, which RFC 7628 made into OAUTHBEARER: the token first; to an error in JSON an empty answer, whereupon the
/// server says NO.
struct Bearer {
    first: Option<Zeroizing<String>>,
    told: Arc<std::sync::Mutex<String>>,
}

impl Bearer {
    fn new(login: &str, token: &str) -> Self {
        Self {
            first: Some(Zeroizing::new(format!(
                "user={login}\u{1}auth=Bearer {token}\u{1}\u{1}"
            ))),
            told: Arc::default(),
        }
    }
}

impl Authenticator for Bearer {
    type Response = Vec<u8>;

    fn process(&mut self, challenge: &[u8]) -> Vec<u8> {
        match self.first.take() {
            Some(first) => first.as_bytes().to_vec(),
            None => {
                if let Ok(mut told) = self.told.lock() {
                    *told = String::from_utf8_lossy(challenge).into_owned();
                }
                Vec::new()
            }
        }
    }
}
