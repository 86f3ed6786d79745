//! What the stack reads or writes wrongly, put right on the way in and out.

use rsipstack::sip::headers::untyped::{Contact, ProxyAuthenticate, WwwAuthenticate};
use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::typed::Route;
use rsipstack::sip::{
    Header, Headers, Method, Param, Request, Response, SipMessage, StatusCode, StatusCodeKind, Uri,
};
use rsipstack::transaction::endpoint::MessageInspector;
use rsipstack::transport::SipAddr;

use super::message::ALLOW;

/// Marks answers that the stack made up itself (timer B, a broken stream): they look like the
/// peer's otherwise. Taken off everything that comes from the network.
const MADE_UP: &str = "X-Faxpost-Made-Up";

/// The Route that tells the stack where an INVITE went, for its CANCEL: the stack would otherwise
/// send CANCEL to the host in the request URI, which is the trunk's domain and not the target in
/// use (RFC 3261 §9.1 wants the same place). Taken off before anything is sent.
pub(super) fn private_route(target: &SipAddr) -> Route {
    let mut uri = Uri::from(target.clone());
    uri.params.push(Param::Lr);
    uri.params.push(Param::Other(PRIVATE.into(), None));
    Route {
        display_name: None,
        uri,
        params: Vec::new(),
    }
}

const PRIVATE: &str = "faxpost-target";

/// Whether the stack, not the peer, gave this answer.
pub(super) fn made_up(response: &Response) -> bool {
    response.headers.iter().any(is_mark)
}

fn is_mark(header: &Header) -> bool {
    matches!(header, Header::Other(name, _) if name.eq_ignore_ascii_case(MADE_UP))
}

#[derive(Debug, Default)]
pub(super) struct Inspector;

impl MessageInspector for Inspector {
    fn before_send(&self, message: SipMessage, _: Option<&SipAddr>) -> SipMessage {
        match message {
            SipMessage::Request(request) => SipMessage::Request(outgoing_request(request)),
            SipMessage::Response(response) => SipMessage::Response(outgoing_response(response)),
        }
    }

    fn after_received(&self, message: SipMessage, from: Option<&SipAddr>) -> SipMessage {
        match message {
            SipMessage::Response(response) => {
                SipMessage::Response(incoming_response(response, from))
            }
            request => request,
        }
    }
}

fn outgoing_request(mut request: Request) -> Request {
    request
        .headers
        .retain(|h| !matches!(h, Header::Route(route) if route.value().contains(PRIVATE)));
    for header in request.headers.iter_mut() {
        // The stack writes an algorithm name that RFC 7616 §3.3 does not know.
        match header {
            Header::Authorization(value) => value.replace(standard_algorithm(value.value())),
            Header::ProxyAuthorization(value) => value.replace(standard_algorithm(value.value())),
            _ => {}
        }
    }
    if request.method == Method::Invite {
        add_allow(&mut request.headers);
    }
    request
}

fn outgoing_response(mut response: Response) -> Response {
    // RFC 3261 §13.3.1.4: a 2xx to INVITE names what the dialog allows.
    if response.status_code.kind() == StatusCodeKind::Successful
        && cseq_is(&response, Method::Invite)
    {
        add_allow(&mut response.headers);
    }
    response
}

fn incoming_response(mut response: Response, from: Option<&SipAddr>) -> Response {
    response.headers.retain(|h| !is_mark(h));
    let Some(from) = from else {
        response
            .headers
            .push(Header::Other(MADE_UP.into(), "1".into()));
        return response;
    };
    if matches!(
        response.status_code,
        StatusCode::Unauthorized | StatusCode::ProxyAuthenticationRequired
    ) {
        choose_challenge(&mut response.headers);
    }
    // A 200 without Contact (RFC 3261 §12.1.1 forbids it) would leave a call that nobody can hang
    // up: the stack drops the dialog but has sent the ACK. Go on with where it came from.
    if response.status_code == StatusCode::OK
        && cseq_is(&response, Method::Invite)
        && response.contact_header().is_err()
    {
        response.headers.push(Header::Contact(Contact::new(format!(
            "<sip:{}>",
            from.addr
        ))));
    }
    response
}

fn cseq_is(response: &Response, method: Method) -> bool {
    response
        .cseq_header()
        .and_then(|cseq| cseq.method())
        .is_ok_and(|m| m == method)
}

fn add_allow(headers: &mut Headers) {
    if !headers.iter().any(|h| matches!(h, Header::Allow(_))) {
        headers.push(Header::Allow(ALLOW.into()));
    }
}

fn standard_algorithm(value: &str) -> String {
    value.replace("algorithm=SHA256", "algorithm=SHA-256")
}

/// The stack answers the first challenge, whatever it is, and breaks the call on a `qop` list or an
/// algorithm spelled as in the standard. So the first one that we can answer (RFC 8760 §2.4: the
/// server lists them in its order of preference) is rewritten for it, and the others are removed.
/// When none is left the stack reports the challenge as final.
fn choose_challenge(headers: &mut Headers) {
    let mut www = false;
    let mut proxy = false;
    let old = std::mem::take(&mut headers.0);
    for header in old {
        match header {
            Header::WwwAuthenticate(value) => {
                if let Some(rewritten) = (!www).then(|| rewrite_challenge(value.value())).flatten()
                {
                    www = true;
                    headers.push(Header::WwwAuthenticate(WwwAuthenticate::new(rewritten)));
                }
            }
            Header::ProxyAuthenticate(value) => {
                if let Some(rewritten) =
                    (!proxy).then(|| rewrite_challenge(value.value())).flatten()
                {
                    proxy = true;
                    headers.push(Header::ProxyAuthenticate(ProxyAuthenticate::new(rewritten)));
                }
            }
            other => headers.push(other),
        }
    }
}

/// A challenge as the stack can read it, or `None` when it can't be answered: not Digest, an
/// algorithm other than MD5 and SHA-256, or `auth-int` alone (the stack would hash an empty body).
fn rewrite_challenge(value: &str) -> Option<String> {
    let value = value.trim();
    let (scheme, rest) = value.split_once(char::is_whitespace)?;
    if !scheme.eq_ignore_ascii_case("digest") {
        return None;
    }
    let mut kept = Vec::new();
    for (name, text) in params(rest) {
        match name.to_ascii_lowercase().as_str() {
            "qop" => {
                let auth = text
                    .split([',', ' '])
                    .any(|q| q.trim().eq_ignore_ascii_case("auth"));
                if !auth && !text.trim().is_empty() {
                    return None;
                }
                if auth {
                    kept.push("qop=\"auth\"".to_owned());
                }
            }
            "algorithm" => match text.to_ascii_uppercase().as_str() {
                "MD5" => kept.push("algorithm=MD5".to_owned()),
                "SHA-256" | "SHA256" => kept.push("algorithm=SHA256".to_owned()),
                _ => return None,
            },
            "stale" => kept.push(format!("stale={text}")),
            "realm" | "nonce" | "opaque" | "domain" => kept.push(format!("{name}=\"{text}\"")),
            _ => {}
        }
    }
    Some(format!("Digest {}", kept.join(", ")))
}

/// `name=value` pairs, quotes taken off (a comma inside quotes separates nothing).
fn params(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
        let Some((name, after)) = rest.split_once('=') else {
            return found;
        };
        let after = after.trim_start();
        let (value, tail) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        found.push((name.trim(), value.trim()));
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn challenges_are_rewritten_so_that_the_stack_can_answer_them() {
        let cases = [
            (
                r#"Digest realm="a, b", nonce="n=1", qop="auth,auth-int", algorithm=MD5"#,
                Some(r#"Digest realm="a, b", nonce="n=1", qop="auth", algorithm=MD5"#),
            ),
            (
                r#"digest  realm="a",nonce="n",algorithm=SHA-256,qop="auth-int, auth""#,
                Some(r#"Digest realm="a", nonce="n", algorithm=SHA256, qop="auth""#),
            ),
            (
                r#"Digest realm="a", nonce="n", stale=TRUE, opaque="o""#,
                Some(r#"Digest realm="a", nonce="n", stale=TRUE, opaque="o""#),
            ),
            (r#"Digest realm="a", nonce="n", qop="auth-int""#, None),
            (
                r#"Digest realm="a", nonce="n", algorithm=SHA-512-256"#,
                None,
            ),
            (r#"Bearer realm="a""#, None),
            ("nonsense", None),
        ];
        for (given, wanted) in cases {
            assert_eq!(rewrite_challenge(given).as_deref(), wanted, "{given}");
        }
    }

    #[test]
    fn the_first_challenge_we_can_answer_is_the_only_one_left() {
        let mut headers = Headers::default();
        for value in [
            r#"Digest realm="r", nonce="1", algorithm=SHA-512-256"#,
            r#"Digest realm="r", nonce="2", algorithm=SHA-256"#,
            r#"Digest realm="r", nonce="3", algorithm=MD5"#,
        ] {
            headers.push(Header::WwwAuthenticate(WwwAuthenticate::new(value)));
        }
        choose_challenge(&mut headers);
        assert_eq!(headers.len(), 1);
        assert!(headers.0[0].to_string().contains(r#"nonce="2""#));
    }

    #[test]
    fn a_peer_cannot_forge_the_mark_of_our_own_answers() {
        let mut forged = Response::default();
        forged
            .headers
            .push(Header::Other(MADE_UP.to_ascii_lowercase(), "1".into()));
        let addr = SipAddr::from("127.0.0.1:5060".parse::<std::net::SocketAddr>().unwrap());
        assert!(!made_up(&incoming_response(forged, Some(&addr))));
        assert!(made_up(&incoming_response(Response::default(), None)));
    }

    proptest! {
        #[test]
        fn rewriting_never_panics(text in ".{0,200}") {
            let _ = rewrite_challenge(&text);
            let _ = rewrite_challenge(&format!("Digest {text}"));
        }
    }
}
