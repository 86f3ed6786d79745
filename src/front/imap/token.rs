//! OAuth access tokens (RFC 6749): a refresh token, or the client's own credentials, for a token that lasts an hour.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, Uri, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use serde::Deserialize;
use tokio::time::timeout;
use zeroize::{Zeroize as _, Zeroizing};

use super::{
    session::{ImapError, short},
    tls,
    wire::Io,
};
use crate::numbers::{Credentials, OAuth};

/// Octets of an answer at most.
const ANSWER: usize = 64 << 10;
/// A token is renewed so long before its end.
const BEFORE: Duration = Duration::from_secs(60);
/// Of an endpoint that does not say how long its tokens last.
const USUALLY_S: u64 = 600;

/// An access token. Wiped when dropped.
pub(super) struct Token {
    pub access: Zeroizing<String>,
    /// A new refresh token, which the next request needs.
    pub refresh: Option<Zeroizing<String>>,
    good_until: Instant,
}

impl Token {
    pub fn is_good(&self) -> bool {
        Instant::now() < self.good_until
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
}

#[derive(Deserialize)]
struct Denied {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Asks the endpoint for a token.
///
/// # Errors
/// [`ImapError::Login`] when it gives none; else it can't be asked now.
pub(super) async fn fetch(
    oauth: &OAuth,
    credentials: &Credentials,
    tls: Option<Arc<ClientConfig>>,
    patience: Duration,
) -> Result<Token, ImapError> {
    let asked = timeout(patience, ask(oauth, credentials, tls)).await;
    let (status, mut body) = asked.map_err(|_| {
        ImapError::broken(format!(
            "the token endpoint {} does not answer",
            oauth.endpoint
        ))
    })??;
    let token = read(oauth, status, &body);
    body.zeroize();
    token
}

fn read(oauth: &OAuth, status: u16, body: &[u8]) -> Result<Token, ImapError> {
    let endpoint = &oauth.endpoint;
    if status == 200
        && let Ok(granted) = serde_json::from_slice::<Granted>(body)
    {
        let lasts = Duration::from_secs(granted.expires_in.unwrap_or(USUALLY_S));
        return Ok(Token {
            access: Zeroizing::new(granted.access_token),
            refresh: granted.refresh_token.map(Zeroizing::new),
            good_until: Instant::now() + lasts.saturating_sub(BEFORE),
        });
    }
    // RFC 6749 §5.2. What it says may repeat what it was asked, but not a token.
    if let (400..500, Ok(denied)) = (status, serde_json::from_slice::<Denied>(body)) {
        let Denied {
            error,
            error_description,
        } = denied;
        let words = short(&format!("{error} {error_description}"));
        return Err(ImapError::Login(format!(
            "the token endpoint {endpoint} gives no token: {words}"
        )));
    }
    Err(ImapError::broken(format!(
        "the token endpoint {endpoint} answers {status} and no token"
    )))
}

/// The request's body (RFC 6749 §6, §4.4.2).
fn form(oauth: &OAuth, credentials: &Credentials) -> Zeroizing<String> {
    let mut fields = vec![("client_id", oauth.client_id.as_str())];
    match &credentials.refresh_token {
        Some(token) => fields.extend([("grant_type", "refresh_token"), ("refresh_token", token)]),
        None => fields.push(("grant_type", "client_credentials")),
    }
    if let Some(secret) = &credentials.client_secret {
        fields.push(("client_secret", secret));
    }
    if let Some(scope) = &oauth.scope {
        fields.push(("scope", scope));
    }
    let mut form = Zeroizing::new(String::new());
    for (name, value) in fields {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        escape(value, &mut form);
    }
    form
}

/// As `application/x-www-form-urlencoded` has it.
fn escape(value: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for octet in value.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            out.push(char::from(octet));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(octet >> 4)]));
            out.push(char::from(DIGITS[usize::from(octet & 15)]));
        }
    }
}

async fn ask(
    oauth: &OAuth,
    credentials: &Credentials,
    tls: Option<Arc<ClientConfig>>,
) -> Result<(u16, Vec<u8>), ImapError> {
    let fault = |words: String| ImapError::broken(format!("the token endpoint: {words}"));
    let uri: Uri =
        (oauth.endpoint.parse()).map_err(|_| fault(format!("{} is no address", oauth.endpoint)))?;
    let secure = uri.scheme_str() == Some("https");
    let host = uri
        .host()
        .ok_or_else(|| fault("it has no host".to_owned()))?;
    let bare = host.trim_matches(['[', ']']);
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = tls::connect(bare, port).await.map_err(&fault)?;
    let stream: Box<dyn Io> = match (secure, tls) {
        (false, _) => Box::new(stream),
        (true, Some(tls)) => Box::new(tls::handshake(tls, bare, stream).await?),
        (true, None) => return Err(fault("no CA to trust is known".to_owned())),
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| fault(error.to_string()))?;
    let running = tokio::spawn(connection);
    let body = form(oauth, credentials);
    let request = Request::post(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(
            "Host",
            uri.authority().map_or(host, |authority| authority.as_str()),
        )
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Accept", "application/json")
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .map_err(|error| fault(error.to_string()))?;
    let answered = sender.send_request(request).await;
    let answer = answered.map_err(|error| fault(error.to_string()))?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), ANSWER).collect().await;
    let body = body.map_err(|error| fault(error.to_string()))?.to_bytes();
    running.abort();
    Ok((status, body.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oauth() -> OAuth {
        OAuth {
            endpoint: "https://login.example.com/token".into(),
            client_id: "us & them".into(),
            scope: Some("https://mail/.default".into()),
        }
    }

    #[test]
    fn a_refresh_token_or_the_clients_own_name_asks() {
        let mut credentials = Credentials::default();
        credentials.client_secret = Some("s=1".into());
        credentials.refresh_token = Some("t+2".into());
        assert_eq!(
            form(&oauth(), &credentials).as_str(),
            "client_id=us%20%26%20them&grant_type=refresh_token&refresh_token=t%2B2&client_secret=s%3D1&\
             scope=https%3A%2F%2Fmail%2F.default"
        );
        credentials.refresh_token = None;
        assert!(form(&oauth(), &credentials).contains("grant_type=client_credentials"));
    }

    #[test]
    fn an_answer_is_a_token_a_refusal_or_neither() {
        let token = read(
            &oauth(),
            200,
            br#"{"access_token":"a","expires_in":3600,"refresh_token":"r"}"#,
        )
        .unwrap();
        assert_eq!((token.access.as_str(), token.is_good()), ("a", true));
        assert_eq!(token.refresh.as_deref().map(String::as_str), Some("r"));
        let soon = read(&oauth(), 200, br#"{"access_token":"a","expires_in":30}"#).unwrap();
        assert!(!soon.is_good());
        let refused = |status, body: &[u8]| read(&oauth(), status, body).err().unwrap();
        let denied = refused(
            400,
            br#"{"error":"invalid_grant","error_description":"expired"}"#,
        );
        assert!(
            matches!(&denied, ImapError::Login(words) if words.contains("invalid_grant expired")),
            "{denied}"
        );
        for (status, body) in [
            (200, &b"<html>"[..]),
            (500, br#"{"error":"x"}"#),
            (400, b""),
        ] {
            assert!(matches!(refused(status, body), ImapError::Broken(_)));
        }
    }
}
