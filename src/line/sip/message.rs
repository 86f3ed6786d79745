//! Reading and writing the header fields that the face speaks of.

use std::time::Duration;

use rsipstack::sip::prelude::HeadersExt;
use rsipstack::sip::{Header, Headers as SipHeaders, Request, Response};

use super::{Headers, SipError};

/// What we take part in (RFC 3261 §20.5).
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO";
/// The one body we read (RFC 3261 §20.1).
pub(super) const SDP: &str = "application/sdp";

/// The Content-Type that the stack does not add to bodies of answers and re-INVITEs.
pub(super) fn sdp_type() -> Vec<Header> {
    vec![Header::ContentType(SDP.into())]
}

/// A Reason header with a Q.850 cause (RFC 3326 §2).
pub(super) fn q850(cause: u16) -> String {
    format!("Q.850;cause={cause}")
}

/// The Q.850 cause in a message's Reason headers, if there is one.
pub(super) fn cause_of(headers: &SipHeaders) -> Option<u16> {
    headers.iter().find_map(|header| {
        let Header::Reason(value) = header else {
            return None;
        };
        value.value().split(',').find_map(|reason| {
            let mut parts = reason.split(';').map(str::trim);
            if !parts.next()?.eq_ignore_ascii_case("q.850") {
                return None;
            }
            parts.find_map(|p| {
                let (name, value) = p.split_once('=')?;
                name.trim()
                    .eq_ignore_ascii_case("cause")
                    .then(|| value.trim().parse().ok())
                    .flatten()
            })
        })
    })
}

/// Retry-After in seconds, comments and parameters left out (RFC 3261 §20.33).
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.header_value("Retry-After")?;
    let digits: String = value
        .trim()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok().map(Duration::from_secs)
}

/// The user part of the URI in a name-addr or addr-spec, percent-decoded, its parameters left out.
/// `tel:` URIs give the number. Empty when there is none.
pub(super) fn user_of(value: &str) -> String {
    // A display name may hold anything, a colon or a comma included: skip it first.
    let after_name = match value.trim_start().strip_prefix('"') {
        Some(quoted) => end_of_quote(quoted),
        None => value,
    };
    let uri = match after_name.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or(rest),
        None => after_name.split(',').next().unwrap_or(after_name),
    };
    let Some((scheme, rest)) = uri.trim().split_once(':') else {
        return String::new();
    };
    let user = if scheme.eq_ignore_ascii_case("tel") {
        rest
    } else {
        match rest.split_once('@') {
            Some((user, _)) => user,
            None => return String::new(),
        }
    };
    let user = user.split([';', '?', ':']).next().unwrap_or(user);
    percent_decoded(user)
}

fn end_of_quote(text: &str) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|h| std::str::from_utf8(h).ok())
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match hex {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The number called: the request URI's user.
pub(super) fn called(request: &Request) -> String {
    user_of(&request.uri.to_string())
}

/// The number calling: P-Asserted-Identity (RFC 3325 §9.1: we trust it, as it comes from a trunk's
/// source), else From. Empty when withheld (RFC 3261 §8.1.1.3, RFC 3323 §4.1.1.3).
pub(super) fn calling(request: &Request) -> String {
    let asserted = request.headers.iter().find_map(|header| match header {
        Header::PAssertedIdentity(value) => {
            Some(user_of(value.value())).filter(|user| !user.is_empty())
        }
        _ => None,
    });
    let user = asserted
        .or_else(|| request.from_header().ok().map(|from| user_of(from.value())))
        .unwrap_or_default();
    if ["anonymous", "unavailable", "restricted", "unknown"]
        .iter()
        .any(|w| user.eq_ignore_ascii_case(w))
    {
        return String::new();
    }
    user
}

/// The number first called. RFC 5806 §4: the topmost Diversion is the latest, so the last entry of
/// the last one is the first.
pub(super) fn diverted(request: &Request) -> Option<String> {
    let last = request.diversion_headers().last()?.value().to_owned();
    Some(user_of(last_entry(&last))).filter(|user| !user.is_empty())
}

/// What follows the last comma that is outside quotes and brackets.
fn last_entry(list: &str) -> &str {
    let (mut quoted, mut bracket, mut start) = (false, false, 0);
    for (at, c) in list.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '<' if !quoted => bracket = true,
            '>' if !quoted => bracket = false,
            ',' if !quoted && !bracket => start = at + 1,
            _ => {}
        }
    }
    &list[start..]
}

/// Header fields that the stack has no type for.
pub(super) fn extra(headers: &SipHeaders) -> Headers {
    headers
        .iter()
        .filter_map(|header| match header {
            Header::Other(name, value) => Some((name.trim().to_owned(), value.trim().to_owned())),
            _ => None,
        })
        .collect()
}

/// Option tags of Require that we don't know (RFC 3261 §8.2.2.3). `timer` passes: refreshes are
/// answered, and the peer is left to do them.
pub(super) fn unknown_requirements(headers: &SipHeaders) -> Vec<String> {
    headers
        .iter()
        .filter_map(|header| match header {
            Header::Require(value) => Some(value.value()),
            _ => None,
        })
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|tag| !tag.is_empty() && !tag.eq_ignore_ascii_case("timer"))
        .map(str::to_owned)
        .collect()
}

/// The SDP in a body: all of it, or the first such part of a multipart one (gateways from the
/// telephone world add ISUP parts). `None` when there is a body and no SDP in it.
pub(super) fn sdp_of(headers: &SipHeaders, body: &[u8]) -> Option<Vec<u8>> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Some(Vec::new());
    }
    let kind = headers.iter().find_map(|header| match header {
        Header::ContentType(value) => Some(value.value().trim().to_owned()),
        _ => None,
    });
    // Some peers forget the type; RFC 3261 §20.15 forbids it, but there is one body an INVITE has.
    let Some(kind) = kind else {
        return Some(body.to_vec());
    };
    let essence = kind
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    if essence == SDP {
        return Some(body.to_vec());
    }
    if !essence.starts_with("multipart/") {
        return None;
    }
    let boundary = kind.split(';').skip(1).find_map(|p| {
        let (name, value) = p.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then(|| value.trim().trim_matches('"').to_owned())
    })?;
    part_of(&String::from_utf8_lossy(body), &boundary)
}

fn part_of(body: &str, boundary: &str) -> Option<Vec<u8>> {
    if boundary.is_empty() {
        return None;
    }
    let marker = format!("--{boundary}");
    body.split(marker.as_str()).skip(1).find_map(|part| {
        let part = part.trim_start_matches(['\r', '\n']);
        let (head, text) = part
            .split_once("\r\n\r\n")
            .or_else(|| part.split_once("\n\n"))?;
        let is_sdp = head.lines().any(|line| {
            line.split_once(':').is_some_and(|(name, value)| {
                (name.trim().eq_ignore_ascii_case("content-type")
                    || name.trim().eq_ignore_ascii_case("c"))
                    && value.trim().to_ascii_lowercase().starts_with(SDP)
            })
        });
        is_sdp.then(|| text.as_bytes().to_vec())
    })
}

/// Refuses a user part that would change the message around it or dial nothing. The stack
/// percent-encodes the rest (RFC 3261 §19.1.2).
pub(super) fn check_user(user: &str, what: &str) -> Result<(), SipError> {
    if user.is_empty() || user.len() > 128 {
        return Err(SipError::Invalid(format!(
            "the {what} is empty or longer than 128 characters"
        )));
    }
    if user
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() || "@:<>\"".contains(c))
    {
        return Err(SipError::Invalid(format!(
            "the {what} has a character that a SIP address can't hold"
        )));
    }
    Ok(())
}

/// The caller's header fields as the stack's, or why not.
pub(super) fn checked_headers(headers: &Headers) -> Result<Vec<Header>, SipError> {
    const OURS: [&str; 12] = [
        "via",
        "from",
        "to",
        "call-id",
        "cseq",
        "contact",
        "route",
        "record-route",
        "max-forwards",
        "content-type",
        "content-length",
        "authorization",
    ];
    headers
        .iter()
        .map(|(name, value)| {
            let token = !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b));
            if !token || value.chars().any(char::is_control) {
                return Err(SipError::Invalid(format!(
                    "the header field {name:?} can't be written"
                )));
            }
            if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
                return Err(SipError::Invalid(format!(
                    "the header field {name} is written by the signalling itself"
                )));
            }
            Ok(Header::Other(name.clone(), value.clone()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_user_is_found_in_every_shape_of_address() {
        for (value, wanted) in [
            ("<sip:+33123456789@example.net>;tag=1", "+33123456789"),
            ("\"Doe, \\\"J\\\" <sip:x@y>\" <sip:+331@h>;tag=2", "+331"),
            ("sip:100@h;transport=udp", "100"),
            ("Bob <sips:bob@h:5061>", "bob"),
            ("<tel:+33-1-23;phone-context=x>", "+33-1-23"),
            ("<sip:+331;npdi=yes:pw@h>", "+331"),
            ("<sip:%2B331%zz@h>", "+331%zz"),
            ("<sip:example.net>", ""),
            ("", ""),
            ("\"unclosed", ""),
        ] {
            assert_eq!(user_of(value), wanted, "{value}");
        }
    }

    #[test]
    fn causes_are_read_beside_other_reasons() {
        for (value, wanted) in [
            ("Q.850;cause=17;text=\"User busy\"", Some(17)),
            ("SIP;cause=486, q.850 ; Cause = 34", Some(34)),
            ("SIP;cause=486", None),
            ("Q.850", None),
            ("", None),
        ] {
            let mut headers = SipHeaders::default();
            headers.push(Header::Reason(value.into()));
            assert_eq!(cause_of(&headers), wanted, "{value}");
        }
    }

    #[test]
    fn sdp_is_taken_out_of_a_multipart_body() {
        let mut headers = SipHeaders::default();
        headers.push(Header::ContentType(
            "multipart/mixed; boundary=\"x-1\"".into(),
        ));
        let body = b"--x-1\r\nContent-Type: application/isup\r\n\r\n\x01\x02\r\n--x-1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\ns=-\r\n--x-1--\r\n";
        assert_eq!(
            sdp_of(&headers, body).as_deref(),
            Some(&b"v=0\r\ns=-\r\n"[..])
        );
        assert_eq!(
            sdp_of(
                &headers,
                b"--x-1\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x-1--"
            ),
            None
        );
        assert_eq!(sdp_of(&headers, b" \r\n").as_deref(), Some(&b""[..]));
    }

    #[test]
    fn what_could_break_a_message_is_refused() {
        assert!(check_user("+33123456789", "number").is_ok());
        assert!(check_user("*31#0612", "number").is_ok());
        for bad in ["", "a b", "1@evil", "1\r\nX: y", "<1>"] {
            assert!(check_user(bad, "number").is_err(), "{bad:?}");
        }
        assert!(checked_headers(&vec![("X-Fax".into(), "1".into())]).is_ok());
        for (name, value) in [
            ("X\r\n", "1"),
            ("X", "a\r\nVia: b"),
            ("", "x"),
            ("Via", "x"),
        ] {
            assert!(
                checked_headers(&vec![(name.into(), value.into())]).is_err(),
                "{name:?}"
            );
        }
    }

    #[test]
    fn the_first_number_called_is_the_last_diversion() {
        assert_eq!(
            user_of(last_entry(
                "<sip:3@h>;reason=no-answer, \"a,b\" <sip:2,5@h>;counter=1"
            )),
            "2,5"
        );
    }

    proptest! {
        #[test]
        fn readers_never_panic(text in ".{0,120}", body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = user_of(&text);
            let _ = last_entry(&text);
            let mut headers = SipHeaders::default();
            headers.push(Header::Reason(text.as_str().into()));
            headers.push(Header::ContentType(format!("multipart/mixed;boundary={text}").into()));
            let _ = cause_of(&headers);
            let _ = sdp_of(&headers, &body);
        }
    }
}
